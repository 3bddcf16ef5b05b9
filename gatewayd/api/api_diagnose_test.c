/* SPDX-License-Identifier: Apache-2.0 */
#include "api/test_support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first finding of a check at this level; NULL. */
static const struct json *found(const struct json *result, const char *check, const char *level) {
        JSON_FOREACH_ITEM(i, row, json_child(result, "findings"))
        if (strcmp(text_of(row, "check"), check) == 0 && strcmp(text_of(row, "level"), level) == 0)
                return row;
        return NULL;
}

/* Whatever is no "ok" says what to do. */
static void expect_remedies(const struct json *result) {
        JSON_FOREACH_ITEM(i, row, json_child(result, "findings")) {
                assert_string_not_equal(text_of(row, "text"), "");
                if (strcmp(text_of(row, "level"), "ok") != 0 && !json_has(row, "remedy"))
                        fail_msg("no remedy: %s", text_of(row, "text"));
        }
}

static void keep_findings(void *ctx, int result, struct json *findings) {
        struct json **ret_findings = ctx;
        assert_int_equal(result, 0);
        *ret_findings = findings;
}

static struct json *diagnose(const char *text) {
        _cleanup_settings_ struct settings *settings = NULL;
        struct config_errors mistakes = CONFIG_ERRORS_INIT;
        struct api_options options = { 0 };
        struct json *result = NULL;
        struct api_diagnosis *diagnosis;
        assert_int_equal(settings_parse("test.conf", text, strlen(text), &mistakes, &settings), 0);
        config_errors_print(&mistakes, stderr);
        assert_false(config_errors_any(&mistakes));
        options.settings = settings;
        assert_int_equal(loop_new(&options.loop), 0);
        assert_int_equal(api_diagnose(&options, keep_findings, &result, &diagnosis), 0);
        while (!result && loop_run_once(options.loop))
                ;
        assert_non_null(result);
        loop_free(options.loop);
        expect_remedies(result);
        return result;
}

static void test_of_a_running_daemon(void **state) {
        struct test_client *client = client_new();
        struct json *result = client_result(client, "gateway.diagnose", NULL);
        (void) state;
        expect_remedies(result);
        assert_non_null(found(result, "state", "ok"));
        assert_non_null(found(result, "disk", "ok"));
        assert_non_null(found(result, "clock", "ok"));
        assert_non_null(found(result, "socket", "ok"));
        assert_non_null(found(result, "store", "ok"));
        assert_non_null(found(result, "devices", "ok"));
        assert_non_null(found(result, "ports", "ok"));
        fixture.clock_state = "not-credible";
        result = client_result(client, "gateway.diagnose", NULL);
        assert_non_null(strstr(text_of(found(result, "clock", "error"), "remedy"), "timedatectl"));
        client_free(client);
}

static void test_without_a_daemon(void **state) {
        _cleanup_json_ struct json *result =
                diagnose("[gateway]\nstate_dir = /nonexistent/state\ncontrol_socket = /nonexistent/socket\n"
                         "control_group = no-such-group\nadoption_list = /nonexistent/list\n"
                         "[trust]\nca_file = /nonexistent/ca.pem\n[mcuboot]\npublic_keys = /nonexistent/key.pem\n");
        size_t n_files = 0, n_no_place = 0;
        (void) state;
        assert_non_null(found(result, "state", "error"));
        assert_non_null(strstr(text_of(found(result, "socket", "error"), "text"), "no-such-group"));
        assert_non_null(found(result, "socket", "warning")); /* nobody serves it */
        JSON_FOREACH_ITEM(j, row, json_child(result, "findings"))
        n_no_place += strstr(text_of(row, "text"), "cannot make the control socket in /nonexistent:") != NULL;
        assert_int_equal(n_no_place, 1);
        JSON_FOREACH_ITEM(i, row, json_child(result, "findings"))
        n_files += strcmp(text_of(row, "check"), "files") == 0 && strcmp(text_of(row, "level"), "error") == 0;
        assert_int_equal(n_files, 3);
        assert_null(found(result, "store", "ok"));
        assert_null(found(result, "plugins", "error")); /* not asked */
}

static void test_disk_and_rights(void **state) {
        char text[256];
        (void) state;
        assert_int_equal(chmod(fixture.folder, 0777), 0);
        (void) str_format(text, sizeof text,
                          "[gateway]\nstate_dir = %s\ncontrol_socket = %s/socket\ncontrol_group = root\n[artifacts]\nreserve = 64T\n"
                          "[trust]\nkeys_dir = %s\n",
                          fixture.folder, fixture.folder, fixture.folder);
        {
                _cleanup_json_ struct json *result = diagnose(text);
                assert_non_null(strstr(text_of(found(result, "state", "warning"), "text"), "0777"));
                assert_non_null(strstr(text_of(found(result, "disk", "error"), "text"), "reserve"));
                assert_non_null(strstr(text_of(found(result, "socket", "ok"), "text"), "root"));
                assert_null(found(result, "socket", "warning")); /* the fixture's daemon serves it */
                /* Where everybody may write, everybody could put a key. */
                assert_non_null(strstr(text_of(found(result, "keys", "error"), "text"), "others may write"));
                assert_string_not_equal(text_of(found(result, "keys", "error"), "remedy"), "");
        }
}

/* A port is a pseudo terminal here; it is not opened by the diagnosis, and who holds it is named. */
static void test_port_held_by_somebody(void **state) {
        char text[256], link_path[128];
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), pipe_fds[2], ready[2];
        char byte;
        pid_t pid;
        (void) state;
        assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        assert_int_equal(pipe(pipe_fds), 0);
        assert_int_equal(pipe(ready), 0);
        (void) str_format(link_path, sizeof link_path, "%s/ttyTEST0", fixture.folder);
        assert_int_equal(symlink(ptsname(master), link_path), 0);
        (void) str_format(text, sizeof text, "[gateway]\nstate_dir = %s\ncontrol_group = root\n[serial]\nports = %s/ttyTEST*\n",
                          fixture.folder, fixture.folder);
        {
                _cleanup_json_ struct json *result = diagnose(text);
                assert_non_null(strstr(text_of(found(result, "ports", "ok"), "text"), ptsname(master)));
        }
        pid = fork();
        if (pid == 0) {
                close(pipe_fds[1]);
                _exit(open(ptsname(master), O_RDWR | O_NOCTTY) < 0 || write(ready[1], "x", 1) < 0 || read(pipe_fds[0], &byte, 1) < 0);
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        {
                _cleanup_json_ struct json *result = diagnose(text);
                const char *finding_text = text_of(found(result, "ports", "warning"), "text");
                char number[32];
                (void) str_format(number, sizeof number, "process %d", (int) pid);
                assert_non_null(strstr(finding_text, number));
        }
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        close(ready[0]);
        close(ready[1]);
        close(master);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_of_a_running_daemon),
                TEST(test_without_a_daemon),
                TEST(test_disk_and_rights),
                TEST(test_port_held_by_somebody),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
