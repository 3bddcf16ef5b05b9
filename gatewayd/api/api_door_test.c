/* SPDX-License-Identifier: Apache-2.0 */
#include "api/test_support.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"

static size_t n_logged;

static void count_log(enum log_level level, const struct log_fields *fields, const char *text, void *ctx) {
        (void) text;
        (void) ctx;
        if (level <= LOG_LEVEL_WARNING && str_equal(fields->error, "request-invalid"))
                n_logged++;
}

static void test_garbage_is_answered_counted_and_logged_once(void **state) {
        static const struct {
                const char *line;
                int code;
        } rows[] = {
                { "garbage", -32700 },
                { "", -32700 },
                { "\x01\x02\xff", -32700 },
                { "[]", -32600 },
                { "{}", -32600 },
                { "{\"jsonrpc\":\"2.0\",\"id\":7}", -32600 },
                { "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"gateway.info\"}", -32600 },
                { "[{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"gateway.info\"}]", -32600 },
        };
        struct test_client *client = client_new();
        (void) state;
        n_logged = 0;
        log_set_sink(count_log, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct json *error;
                client_send(client, rows[i].line);
                error = json_child(client_next_line(client, i), "error");
                assert_int_equal(number_of(error, "code"), rows[i].code);
                assert_string_equal(text_of(json_child(error, "data"), "name"), "request-invalid");
                assert_string_not_equal(text_of(json_child(error, "data"), "advice"), "");
        }
        log_set_sink(NULL, NULL);
        assert_int_equal(n_logged, 1);
        assert_int_equal(fixture.api->garbage.n_total, ARRAY_SIZE(rows));
        assert_string_equal(text_of(client_result(client, "gateway.info", NULL), "id"), "test");
        client_free(client);
}

static void test_names_and_codes(void **state) {
        static const struct {
                const char *method, *params, *name;
                int code;
        } rows[] = {
                { "gateway.fly", NULL, "method-unknown", -32601 },
                { "gateway.info", "{\"x\":1}", "params-invalid", -32602 },
                { "device.get", NULL, "params-invalid", -32602 },
                { "device.get", "{\"id\":\"toy:nobody\"}", "device-unknown", -32000 },
                { "campaign.get", "{\"id\":\"none\"}", "campaign-unknown", -32000 },
                { "campaign.start", "{\"document\":{}}", "document-invalid", -32602 },
                { "campaign.start", "{\"jws\":\"x.y.z\",\"document\":{}}", "params-invalid", -32602 },
                { "artifact.import", NULL, "params-invalid", -32602 },
        };
        struct test_client *client = client_new();
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct json *error = json_child(client_call(client, rows[i].method, rows[i].params), "error");
                assert_string_equal(text_of(json_child(error, "data"), "name"), rows[i].name);
                assert_int_equal(number_of(error, "code"), rows[i].code);
        }
        client_free(client);
}

/* A slow answer does not hold up the ones behind it. */
static void test_requests_overlap(void **state) {
        struct test_client *client = client_new();
        int64_t slow, quick;
        (void) state;
        fixture.scan_never_ends = true;
        slow = client_ask(client, "device.scan", "{\"driver\":\"toy\"}", -1);
        quick = client_ask(client, "device.list", NULL, -1);
        assert_non_null(json_child(client_reply(client, quick), "result"));
        assert_int_equal(client->n_lines, 1);
        end_scans();
        assert_non_null(json_child(client_reply(client, slow), "result"));
        client_free(client);
}

static void test_text_ids_and_notifications(void **state) {
        struct test_client *client = client_new();
        (void) state;
        client_send(client, "{\"jsonrpc\":\"2.0\",\"method\":\"device.adopt\",\"params\":{\"id\":\"toy:quiet\"}}");
        client_send(client, "{\"jsonrpc\":\"2.0\",\"id\":\"mine\",\"method\":\"gateway.info\"}");
        assert_string_equal(text_of(client_next_line(client, 0), "id"), "mine");
        assert_true(fleet_find(fixture.fleet, "toy:quiet")->adopted);
        (void) client_result(client, "audit.query", NULL);
        assert_int_equal(client->n_lines, 2);
        client_free(client);
}

/* It goes away while its requests run: nobody is answered, nothing breaks. */
static void test_client_goes_away(void **state) {
        static const char *const slow[] = { "device.scan", "audit.verify", "device.diagnose", "device.adopt", "events.subscribe" };
        static const char *const params[] = { "{}", "{}", "{\"id\":\"toy:d0\"}", "{\"id\":\"toy:gone\"}",
                                              "{\"from\":1,\"progress\":true}" };
        struct test_client *witness = client_new();
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
                struct test_client *client = client_new();
                int fd = file_with("v1.0.0");
                (void) client_ask(client, slow[i], params[i], -1);
                (void) client_ask(client, "artifact.import", NULL, fd);
                if (i % 2 == 0)
                        LOOP_UNTIL(fixture.loop, !list_is_empty(&fixture.api->calls));
                client_free(client);
                close(fd);
                (void) client_result(witness, "gateway.info", NULL);
        }
        LOOP_UNTIL(fixture.loop, list_is_empty(&fixture.api->calls));
        client_free(witness);
}

static void test_too_long_a_line(void **state) {
        struct test_client *client = client_new(), *witness = client_new();
        char *line = malloc(CONTROL_LINE_MAX + 2);
        (void) state;
        assert_non_null(line);
        memset(line, 'x', CONTROL_LINE_MAX + 1);
        line[CONTROL_LINE_MAX + 1] = '\0';
        log_set_level(LOG_LEVEL_ERROR);
        client_send(client, line);
        LOOP_UNTIL(fixture.loop, client->closed);
        log_set_level(LOG_LEVEL_INFO);
        (void) client_result(witness, "gateway.info", NULL);
        free(line);
        client_free(client);
        client_free(witness);
}

static void test_too_many_clients(void **state) {
        struct test_client *clients[CONTROL_CLIENTS_MAX + 1];
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                clients[i] = client_new();
        assert_string_equal(text_of(json_child(json_child(client_next_line(clients[CONTROL_CLIENTS_MAX], 0), "error"), "data"), "name"),
                            "too-many-clients");
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                client_free(clients[i]);
}

static void test_too_many_requests(void **state) {
        struct test_client *client = client_new();
        struct json *last;
        (void) state;
        fixture.scan_never_ends = true;
        for (int i = 0; i <= CALLER_CALLS_MAX; i++)
                client_send(client, "{\"jsonrpc\":\"2.0\",\"id\":1000,\"method\":\"device.scan\",\"params\":{\"driver\":\"toy\"}}");
        last = client_next_line(client, 0);
        assert_string_equal(text_of(json_child(json_child(last, "error"), "data"), "name"), "too-many-requests");
        client_free(client);
}

/* A call that is left when everything ends is dropped, and the driver may still say that it is done. */
static void test_stop_with_calls(void **state) {
        struct test_client *client = client_new();
        (void) state;
        fixture.scan_never_ends = true;
        (void) client_ask(client, "device.scan", "{\"driver\":\"toy\"}", -1);
        LOOP_UNTIL(fixture.loop, fixture.n_scans > 0);
        api_stop(fixture.api);
        assert_string_equal(client_error(client, "gateway.info", NULL), "shutting-down");
        api_restart();
        end_scans();
        LOOP_UNTIL(fixture.loop, client->closed);
        client_free(client);
        client = client_new();
        (void) client_result(client, "gateway.info", NULL);
        client_free(client);
}

/* --- rights --- */

struct fake {
        struct caller caller;
        struct json *answer;
};

static int fake_send(struct caller *caller, const char *line, size_t size) {
        struct fake *fake = container_of(caller, struct fake, caller);
        json_free(fake->answer);
        fake->answer = NULL;
        return json_parse(line, size, JSON_REPLY_MAX, &fake->answer, NULL);
}

static size_t fake_queued_bytes(const struct caller *caller) {
        (void) caller;
        return 0;
}

static const struct caller_ops fake_ops = { .send = fake_send, .queued_bytes = fake_queued_bytes };

/* Params that pass the check, for every method that is not for reading. */
static const char *const some_params[COMMAND_METHOD_COUNT_] = {
        [COMMAND_CAMPAIGN_START] = "{\"document\":{}}",
        [COMMAND_CAMPAIGN_PAUSE] = "{\"id\":\"c\"}",
        [COMMAND_CAMPAIGN_RESUME] = "{\"id\":\"c\"}",
        [COMMAND_CAMPAIGN_CONTINUE] = "{\"id\":\"c\"}",
        [COMMAND_CAMPAIGN_CANCEL] = "{\"id\":\"c\"}",
        [COMMAND_CAMPAIGN_RETRY] = "{\"id\":\"c\"}",
        [COMMAND_DEVICE_ADOPT] = "{\"id\":\"toy:x\"}",
        [COMMAND_DEVICE_SET] = "{\"id\":\"toy:d0\",\"name\":\"x\"}",
        [COMMAND_DEVICE_FORGET] = "{\"id\":\"toy:d0\"}",
        [COMMAND_DEVICE_DIAGNOSE] = "{\"id\":\"toy:d0\"}",
        [COMMAND_DEVICE_PAIR] = "{\"id\":\"toy:d0\"}",
        [COMMAND_DEVICE_UNPAIR] = "{\"id\":\"toy:d0\"}",
        [COMMAND_DEVICE_IMPORT] = "{\"csv\":\"toy:x\"}",
        [COMMAND_ARTIFACT_REMOVE] = "{\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000000\"}",
};

/* The name of the error that a caller gets for a method with the params above. */
static const char *ask_fake(struct fake *fake, const struct command_method *method) {
        char line[256];
        int fd = -1;
        (void) str_format(line, sizeof line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}", method->name,
                          some_params[method->id] ? some_params[method->id] : "{}");
        call_line(&fake->caller, line, strlen(line), &fd);
        return text_of(json_child(json_child(fake->answer, "error"), "data"), "name");
}

/* Everything that is not for reading is refused before its function sees it. */
static void test_who_may_only_read(void **state) {
        struct fake fake = { .caller = { .ops = &fake_ops, .door = "socket", .principal = "uid:4711" } };
        size_t n_refused = 0;
        (void) state;
        caller_init(&fake.caller, fixture.api);
        for (int i = 0; i < COMMAND_METHOD_COUNT_; i++) {
                const struct command_method *method = &command_methods[i];
                if (method->right == COMMAND_RIGHT_READ)
                        continue;
                assert_string_equal(ask_fake(&fake, method), "permission-denied");
                n_refused++;
        }
        assert_in_range(n_refused, 15, COMMAND_METHOD_COUNT_);
        json_free(fake.answer);
        caller_gone(&fake.caller);
}

/* From far, what widens work needs a signature, and what belongs to the machine is not to be had at all. */
static void test_what_is_refused_from_far(void **state) {
        static const char *const names[] = {
                [COMMAND_RIGHT_ORDER] = "signature-required",
                [COMMAND_RIGHT_WIDEN] = "signature-required",
                [COMMAND_RIGHT_LOCAL] = "not-allowed-here",
        };
        struct fake fake = { .caller = { .ops = &fake_ops, .door = "mqtt", .principal = "mqtt", .authority = CALLER_REMOTE } };
        (void) state;
        caller_init(&fake.caller, fixture.api);
        for (int i = 0; i < COMMAND_METHOD_COUNT_; i++) {
                const struct command_method *method = &command_methods[i];
                if (method->right == COMMAND_RIGHT_READ || method->right == COMMAND_RIGHT_STOP)
                        continue;
                assert_string_equal(ask_fake(&fake, method), names[method->right]);
        }
        assert_string_equal(ask_fake(&fake, command_method_find("events.subscribe")), "not-allowed-here");
        (void) ask_fake(&fake, command_method_find("gateway.info"));
        assert_string_equal(text_of(json_child(fake.answer, "result"), "id"), "test");
        json_free(fake.answer);
        caller_gone(&fake.caller);
}

struct peer {
        uid_t uid;
        gid_t gid;
        int n_connections; /* the last one asks */
        const char *line;
};

/* What a process of this user and group is answered, read without a loop. */
static void child_asks(const struct peer *peer, int out) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char answer[4096];
        ssize_t size;
        int fd = -1;
        strcpy(address.sun_path, fixture.settings->gateway.control_socket);
        if (setgroups(0, NULL) < 0 || setgid(peer->gid) < 0 || setuid(peer->uid) < 0)
                _exit(1);
        for (int i = 0; i < peer->n_connections; i++) {
                fd = socket(AF_UNIX, SOCK_STREAM, 0);
                if (connect(fd, (struct sockaddr *) &address, sizeof address) < 0)
                        _exit(2);
        }
        /* Who is one too many may be told so, and be cut off, before it has said a word. */
        if (write(fd, peer->line, strlen(peer->line)) < 0 && errno != EPIPE)
                _exit(3);
        size = read(fd, answer, sizeof answer);
        _exit(size > 0 && write(out, answer, (size_t) size) == size ? 0 : 4);
}

static bool child_ended;

static void child_signal(void *ctx, int signum) {
        (void) ctx;
        (void) signum;
        child_ended = true;
}

static void answer_for(const struct peer *peer, char answer[static 4096]) {
        struct loop_signal *watch;
        int pipe_fds[2], status;
        ssize_t size;
        pid_t pid;
        child_ended = false;
        assert_int_equal(pipe(pipe_fds), 0);
        assert_int_equal(loop_signal(fixture.loop, SIGCHLD, child_signal, NULL, &watch), 0);
        pid = fork();
        if (pid == 0)
                child_asks(peer, pipe_fds[1]);
        LOOP_UNTIL(fixture.loop, child_ended);
        loop_signal_remove(watch);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        size = read(pipe_fds[0], answer, 4095);
        assert_true(size > 0);
        answer[size] = '\0';
        close(pipe_fds[0]);
        close(pipe_fds[1]);
}

static bool is_allowed_for(uid_t uid, gid_t gid) {
        struct peer peer = { .uid = uid,
                             .gid = gid,
                             .n_connections = 1,
                             .line = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"device.adopt\",\"params\":{\"id\":\"toy:x\"}}\n" };
        char answer[4096];
        answer_for(&peer, answer);
        assert_true(strstr(answer, "\"result\"") || strstr(answer, "\"permission-denied\""));
        return strstr(answer, "\"result\"");
}

/* Whoever may only read cannot take every place. */
static void test_too_many_readers(void **state) {
        struct peer peer = { .uid = 65534, .gid = 65534, .n_connections = CONTROL_READERS_MAX + 1, .line = "" };
        char answer[4096];
        (void) state;
        if (geteuid() != 0) {
                skip(); /* only root can be somebody else */
                return;
        }
        assert_int_equal(chmod(fixture.folder, 0755), 0);
        answer_for(&peer, answer);
        assert_non_null(strstr(answer, "\"too-many-clients\""));
}

static void test_rights_of_real_peers(void **state) {
        const struct group *group = getgrnam(fixture.settings->gateway.control_group);
        (void) state;
        if (geteuid() != 0) {
                skip(); /* only root can be somebody else */
                return;
        }
        assert_int_equal(chmod(fixture.folder, 0755), 0);
        assert_false(is_allowed_for(65534, 65534));
        assert_true(is_allowed_for(65534, group->gr_gid));
        assert_true(is_allowed_for(0, 0));
}

static void test_socket_of_the_group(void **state) {
        struct stat status;
        (void) state;
        assert_int_equal(stat(fixture.settings->gateway.control_socket, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0666);
}

static void test_fd_where_none_is_wanted(void **state) {
        struct test_client *client = client_new();
        int fd = file_with("x");
        (void) state;
        assert_non_null(json_child(client_reply(client, client_ask(client, "gateway.info", NULL, fd)), "result"));
        close(fd);
        client_free(client);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_garbage_is_answered_counted_and_logged_once),
                TEST(test_names_and_codes),
                TEST(test_requests_overlap),
                TEST(test_text_ids_and_notifications),
                TEST(test_client_goes_away),
                TEST(test_too_long_a_line),
                TEST(test_too_many_clients),
                TEST(test_too_many_requests),
                TEST(test_stop_with_calls),
                TEST(test_who_may_only_read),
                TEST(test_what_is_refused_from_far),
                TEST(test_rights_of_real_peers),
                TEST(test_too_many_readers),
                TEST(test_socket_of_the_group),
                TEST(test_fd_where_none_is_wanted),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
