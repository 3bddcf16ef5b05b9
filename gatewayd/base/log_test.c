/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"

struct recorded {
        int n;
        enum log_level level;
        char text[LOG_TEXT_MAX];
        char line[2 * LOG_TEXT_MAX];
};

static void record(enum log_level level, const struct log_fields *fields, const char *text, void *context) {
        struct recorded *recorded = context;

        recorded->n++;
        recorded->level = level;
        strcpy(recorded->text, text);
        log_format(recorded->line, sizeof(recorded->line), level, fields, text);
        errno = EBADF;
}

static void test_levels_and_fields(void **state) {
        struct recorded recorded = {0};

        (void) state;
        log_set_sink(record, &recorded);
        errno = ENOENT;
        log_info(NULL, "hello %d", 7);
        assert_int_equal(errno, ENOENT);
        assert_string_equal(recorded.line, "info: hello 7");
        log_debug(NULL, "dropped");
        assert_int_equal(recorded.n, 1);
        log_set_level(LOG_LEVEL_DEBUG);
        log_debug(NULL, "kept");
        assert_int_equal(recorded.n, 2);
        log_set_level(LOG_LEVEL_ERROR);
        log_warning(NULL, "dropped");
        assert_int_equal(recorded.n, 2);
        log_error(&(struct log_fields){.device = "smp-udp:a", .error = "link-lost"}, "gone");
        assert_string_equal(recorded.line, "error: gone [device=smp-udp:a error=link-lost]");
        log_set_level(LOG_LEVEL_INFO);
        assert_int_equal(log_get_level(), LOG_LEVEL_INFO);
        log_set_sink(NULL, NULL);
}

static void test_a_peer_cannot_forge_a_line(void **state) {
        struct recorded recorded = {0};

        (void) state;
        log_set_sink(record, &recorded);
        log_notice(NULL, "name %s", "x\nerror: forged\x1b[2J");
        assert_string_equal(recorded.text, "name x\\x0aerror: forged\\x1b[2J");
        log_set_sink(NULL, NULL);
}

static void test_long_text_is_cut(void **state) {
        struct recorded recorded = {0};
        char text[2 * LOG_TEXT_MAX];

        (void) state;
        memset(text, '\n', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        log_set_sink(record, &recorded);
        log_error(NULL, "%s", text);
        assert_int_equal(recorded.n, 1);
        assert_true(strlen(recorded.text) < LOG_TEXT_MAX && strlen(recorded.text) > LOG_TEXT_MAX - 8);
        log_set_sink(NULL, NULL);
}

static void test_stderr_form(void **state) {
        char text[128];
        int pipe_fds[2], saved = dup(STDERR_FILENO);
        ssize_t n;

        (void) state;
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        dup2(pipe_fds[1], STDERR_FILENO);
        log_warning(&(struct log_fields){.campaign = "c1", .step = "upload"}, "slow");
        dup2(saved, STDERR_FILENO);
        n = read(pipe_fds[0], text, sizeof(text) - 1);
        assert_true(n > 0);
        text[n] = '\0';
        assert_string_equal(text, "warning: slow [campaign=c1 step=upload]\n");
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        close(saved);
}

static void test_level_names(void **state) {
        enum log_level level = LOG_LEVEL_INFO;

        (void) state;
        for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
                assert_int_equal(log_level_parse(log_level_name((enum log_level) i), &level), 0);
                assert_int_equal(level, i);
        }
        assert_int_equal(log_level_parse("INFO", &level), -EINVAL);
}

static void test_limit(void **state) {
        struct log_limit limit = {0};
        uint64_t n_silent = 99;

        (void) state;
        assert_true(log_limit_pass(&limit, -5, &n_silent));
        assert_int_equal(n_silent, 0);
        for (int i = 0; i < 10; i++)
                assert_false(log_limit_pass(&limit, i, &n_silent));
        assert_false(log_limit_pass(&limit, LOG_LIMIT_INTERVAL_MS - 6, NULL));
        assert_true(log_limit_pass(&limit, LOG_LIMIT_INTERVAL_MS - 5, &n_silent));
        assert_int_equal(n_silent, 11);
        assert_int_equal(limit.n_total, 13);
}

static void test_redact_url(void **state) {
        static const char *const rows[][2] = {
                {"https://fw.example/a.bin", "https://fw.example/a.bin"},
                {"https://me:secret@fw.example:8443/a.bin?token=1#x", "https://fw.example:8443/a.bin"},
                {"https://a@b@fw.example", "https://fw.example"},
                {"https://fw.example/x@y", "https://fw.example/x@y"},
                {"https://fw.example?u=a@b", "https://fw.example"},
                {"me:secret@host/path", "host/path"},
                {"", ""},
        };

        (void) state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char text[128];

                log_redact_url(text, sizeof(text), rows[i][0]);
                assert_string_equal(text, rows[i][1]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_levels_and_fields), cmocka_unit_test(test_a_peer_cannot_forge_a_line),
                cmocka_unit_test(test_long_text_is_cut),  cmocka_unit_test(test_stderr_form),
                cmocka_unit_test(test_level_names),       cmocka_unit_test(test_limit),
                cmocka_unit_test(test_redact_url),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
