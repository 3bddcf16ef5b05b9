/* SPDX-License-Identifier: Apache-2.0 */
#include "document/command.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_table(void **state) {
        (void) state;
        for (int i = 0; i < COMMAND_METHOD_COUNT_; i++) {
                assert_non_null(command_methods[i].name);
                assert_int_equal(command_methods[i].id, i);
                assert_ptr_equal(command_method_find(command_methods[i].name), &command_methods[i]);
        }
        assert_null(command_method_find("device.reboot"));
        assert_null(command_method_find(""));
        assert_int_equal(command_method_find("device.list")->right, COMMAND_RIGHT_READ);
        assert_int_equal(command_method_find("campaign.start")->right, COMMAND_RIGHT_ORDER);
        assert_true(command_method_find("artifact.import")->takes_file);
}

static void test_read(void **state) {
        static const char text[] = "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"device.get\",\"params\":{\"id\":\"smp-udp:kitchen\"}}";
        _cleanup_command_ struct command command = {0};
        int64_t id = 0;

        (void) state;
        assert_int_equal(command_read(text, strlen(text), &command, NULL, NULL), 0);
        assert_int_equal(command.method->id, COMMAND_DEVICE_GET);
        assert_string_equal(json_member_text(command.params, "id"), "smp-udp:kitchen");
        assert_int_equal(json_get_int(command.id, 0, 10, &id), 0);
        assert_int_equal(id, 7);
}

static void test_read_refuses(void **state) {
        static const struct {
                const char *text;
                int code;
                const char *name;
                bool has_id;
        } rows[] = {
                {"{", COMMAND_CODE_PARSE, "request-invalid", false},
                {"", COMMAND_CODE_PARSE, "request-invalid", false},
                {"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"gateway.info\"}", COMMAND_CODE_PARSE, "request-invalid", false},
                {"[]", COMMAND_CODE_INVALID_REQUEST, "request-invalid", false},
                {"null", COMMAND_CODE_INVALID_REQUEST, "request-invalid", false},
                {"{\"id\":1,\"method\":\"gateway.info\"}", COMMAND_CODE_INVALID_REQUEST, "request-invalid", true},
                {"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"gateway.info\"}", COMMAND_CODE_INVALID_REQUEST, "request-invalid", true},
                {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"gateway.info\"}", COMMAND_CODE_INVALID_REQUEST, "request-invalid", false},
                {"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"gateway.info\"}", COMMAND_CODE_INVALID_REQUEST, "request-invalid", false},
                {"{\"jsonrpc\":\"2.0\",\"id\":1}", COMMAND_CODE_INVALID_REQUEST, "request-invalid", true},
                {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":3}", COMMAND_CODE_INVALID_REQUEST, "request-invalid", true},
                {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"gateway.info\",\"x\":1}", COMMAND_CODE_INVALID_REQUEST, "request-invalid",
                 true},
                {"{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"gateway.halt\"}", COMMAND_CODE_UNKNOWN_METHOD, "method-unknown", true},
                {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"device.get\"}", COMMAND_CODE_INVALID_PARAMS, "params-invalid", true},
                {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"gateway.info\",\"params\":[]}", COMMAND_CODE_INVALID_PARAMS, "params-invalid",
                 true},
                {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"gateway.info\",\"params\":null}", COMMAND_CODE_INVALID_PARAMS,
                 "params-invalid", true},
                {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"device.get\",\"params\":{\"id\":\"\"}}", COMMAND_CODE_INVALID_PARAMS,
                 "params-invalid", true},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_command_ struct command command = {0};
                struct gw_error err = {.name = ""};

                assert_int_equal(command_read(rows[i].text, strlen(rows[i].text), &command, NULL, &err), rows[i].code);
                assert_string_equal(err.name, rows[i].name);
                assert_int_equal(command.id != NULL, rows[i].has_id);
        }
}

/* Each line: a method, its params, the path of the one mistake or NULL. */
static const struct {
        const char *method, *params, *path;
} params_rows[] = {
        {"campaign.start", "{\"document\":{}}", NULL},
        {"campaign.start", "{\"document\":[]}", "params.document"},
        {"campaign.start", "{}", "params"},
        {"campaign.start", "{\"jws\":\"a.b.c\"}", NULL},
        {"campaign.start", "{\"document\":{},\"jws\":\"x\"}", "params"},
        {"campaign.pause", "{\"id\":\"a\",\"reason\":\"rain\"}", NULL},
        {"campaign.pause", "{\"id\":\"..\"}", "params.id"},
        {"campaign.retry", "{\"id\":\"a\",\"errors\":[\"smp-no-answer\"],\"devices\":[\"smp-udp:a\"]}", NULL},
        {"campaign.retry", "{\"id\":\"a\",\"errors\":[]}", "params.errors"},
        {"campaign.list", "{\"state\":[\"paused\",\"in_progress\"],\"limit\":1000}", NULL},
        {"campaign.list", "{\"limit\":1001}", "params.limit"},
        {"campaign.get", "{\"id\":\"a\",\"steps\":true,\"state\":[\"failed\"],\"revision\":2}", NULL},
        {"campaign.get", "{\"id\":\"a\",\"steps\":1}", "params.steps"},
        {"device.list", "{\"state\":\"adopted\",\"match\":\"*\",\"after\":\"smp-udp:a\"}", NULL},
        {"device.list", "{\"state\":[\"adopted\"]}", "params.state"},
        {"device.adopt", "{\"id\":\"smp-udp:a\",\"name\":\"Kitchen\",\"labels\":[]}", NULL},
        {"device.adopt", "{\"id\":\"smp-udp:a\",\"match\":\"*\"}", "params"},
        {"device.adopt", "{}", "params"},
        {"device.adopt", "{\"match\":\"*\",\"address\":\"x\"}", "params.address"},
        {"device.set", "{\"id\":\"Kitchen\",\"model\":null}", NULL},
        {"device.set", "{\"id\":\"Kitchen\",\"labels\":null}", "params.labels"},
        {"device.set", "{\"id\":\"Kitchen\"}", "params"},
        {"device.set", "{\"id\":\"Kitchen\",\"labels\":[\"a\"],\"add_labels\":[\"b\"]}", "params.labels"},
        {"device.scan", "{\"duration_ms\":99}", "params.duration_ms"},
        {"device.import", "{\"csv\":\"smp-udp:a\\n\",\"dry_run\":true}", NULL},
        {"artifact.import", "{\"sha256\":\"AB\"}", "params.sha256"},
        {"artifact.list", "{\"limit\":1}", "params.limit"},
        {"events.subscribe", "{\"from\":0}", "params.from"},
        {"events.subscribe", "{\"from\":1,\"epoch\":\"0123456789abcdef\",\"progress\":true}", NULL},
        {"gateway.reload", "{}", NULL},
};

static void test_params(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(params_rows); i++) {
                _cleanup_json_ struct json *params = NULL;
                struct json_errors errors;
                bool right;

                json_errors_init(&errors);
                assert_int_equal(json_parse(params_rows[i].params, strlen(params_rows[i].params), 0, &params, NULL), 0);
                right = command_params_check(command_method_find(params_rows[i].method), params, &errors);
                if (right != !params_rows[i].path)
                        print_error("row %zu: %s\n", i, right ? "accepted" : errors.items[0].path);
                assert_int_equal(right, !params_rows[i].path);
                if (!right)
                        assert_string_equal(errors.items[0].path, params_rows[i].path);
        }
        assert_true(command_params_check(command_method_find("gateway.info"), NULL, NULL));
        assert_false(command_params_check(command_method_find("device.get"), NULL, NULL));
}

static void test_integers_are_settled(void **state) {
        static const char text[] = "{\"jsonrpc\":\"2.0\",\"method\":\"device.list\",\"params\":{\"limit\":5.0}}";
        _cleanup_command_ struct command command = {0};
        int64_t limit = 0;

        (void) state;
        assert_int_equal(command_read(text, strlen(text), &command, NULL, NULL), 0);
        assert_null(command.id);
        assert_int_equal(json_member_int(command.params, "limit", 1, 10, &limit), 0);
        assert_int_equal(limit, 5);
}

static void assert_text(struct json *json, const char *expected) {
        _cleanup_free_ char *text = NULL;

        assert_int_equal(json_write(json, &text, NULL), 0);
        assert_string_equal(text, expected);
        json_free(json);
}

static void test_writing(void **state) {
        _cleanup_json_ struct json *id = json_new_string("q-1");
        struct json *reply = NULL, *result = json_new_object();
        struct gw_error err = {.name = "device-unknown", .text = "no device \"x\""};
        struct json_errors errors;
        struct command_failure failure = {COMMAND_CODE_FAILED, &err, "list the devices", &errors};

        (void) state;
        json_errors_init(&errors);
        json_set_int(result, "n", 3);
        assert_int_equal(command_reply_result(id, "pi-1", result, &reply), 0);
        assert_text(reply, "{\"jsonrpc\":\"2.0\",\"id\":\"q-1\",\"gateway\":\"pi-1\",\"result\":{\"n\":3}}");
        assert_int_equal(command_reply_error(NULL, NULL, &failure, &reply), 0);
        assert_text(reply, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":\"no device \\\"x\\\"\","
                           "\"data\":{\"name\":\"device-unknown\",\"text\":\"no device \\\"x\\\"\",\"advice\":\"list the devices\"}}}");
        json_errors_add(&errors, "params.id", "is missing");
        assert_int_equal(command_reply_error(id, "pi-1", &failure, &reply), 0);
        assert_non_null(json_child(json_child(json_child(reply, "error"), "data"), "errors"));
        json_free(reply);
        assert_int_equal(command_notification("event", NULL, &reply), 0);
        assert_text(reply, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{}}");
        assert_int_equal(command_request(4, "gateway.info", NULL, &reply), 0);
        assert_text(reply, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"gateway.info\"}");
}

static void read_reply(const char *text, struct command_reply *ret) {
        assert_int_equal(command_reply_read(text, strlen(text), ret, NULL), 0);
}

static void test_client_reads(void **state) {
        _cleanup_command_reply_ struct command_reply result = {0}, error = {0}, event = {0}, bare = {0};

        (void) state;
        read_reply("{\"jsonrpc\":\"2.0\",\"id\":4,\"gateway\":\"pi\",\"result\":{\"n\":3}}", &result);
        assert_int_equal(result.id, 4);
        assert_true(json_has(result.result, "n"));
        assert_int_equal(result.error_code, 0);
        read_reply("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32602,\"message\":\"m\",\"data\":{\"name\":\"params-invalid\","
                   "\"text\":\"t\","
                   "\"advice\":\"a\",\"errors\":[{\"path\":\"p\",\"text\":\"t\"}]}}}",
                   &error);
        assert_int_equal(error.id, -1);
        assert_int_equal(error.error_code, COMMAND_CODE_INVALID_PARAMS);
        assert_string_equal(error.error.name, "params-invalid");
        assert_string_equal(error.error_advice, "a");
        assert_int_equal(json_length(error.errors), 1);
        read_reply("{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"percent\":3}}", &event);
        assert_string_equal(event.method, "progress");
        read_reply("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-1,\"message\":\"m\"}}", &bare);
        assert_string_equal(bare.error.name, "protocol-error");
        assert_string_equal(bare.error.text, "m");
}

static void test_client_refuses(void **state) {
        static const char *const texts[] = {
                "",
                "{}",
                "[]",
                "{\"jsonrpc\":\"2.0\",\"id\":1}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{\"code\":1,\"message\":\"\"}}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":3}",
                "{\"jsonrpc\":\"2.0\",\"result\":{}}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":0,\"message\":\"\"}}",
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-1}}",
                "{\"jsonrpc\":\"2.0\",\"method\":\"event\"}",
                "{\"jsonrpc\":\"2.0\",\"method\":3,\"params\":{}}",
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct command_reply reply = {0};
                struct gw_error err = {.name = ""};

                assert_int_equal(command_reply_read(texts[i], strlen(texts[i]), &reply, &err), -EBADMSG);
                assert_string_equal(err.name, "protocol-error");
                assert_null(reply.tree);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_read),
                cmocka_unit_test(test_read_refuses),
                cmocka_unit_test(test_params),
                cmocka_unit_test(test_integers_are_settled),
                cmocka_unit_test(test_writing),
                cmocka_unit_test(test_client_reads),
                cmocka_unit_test(test_client_refuses),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
