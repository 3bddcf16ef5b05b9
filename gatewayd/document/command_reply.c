/* SPDX-License-Identifier: Apache-2.0 */
#include "document/command.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

static int not_a_reply(struct gw_error *err, const char *text) {
        gw_error_set(err, "protocol-error", "the gateway's answer is none: %s", text);
        return -EBADMSG;
}

static int read_error(const struct json *error, struct command_reply *reply, struct gw_error *err) {
        const struct json *data = json_child(error, "data");
        const char *name = json_member_text(data, "name"), *text = json_member_text(data, "text");
        const char *message = json_member_text(error, "message");

        if (json_member_int(error, "code", INT32_MIN, INT32_MAX, &reply->error_code) < 0 || reply->error_code == 0 || !message)
                return not_a_reply(err, "error without code or message");
        gw_error_set(&reply->error, name ? name : "error", "%s", text ? text : message);
        reply->error_advice = json_member_text(data, "advice");
        if (json_kind(json_child(data, "errors")) == JSON_KIND_ARRAY)
                reply->errors = json_child(data, "errors");
        return 0;
}

static int read_content(const struct json *tree, struct command_reply *reply, struct gw_error *err) {
        bool has_result = json_has(tree, "result"), has_error = json_has(tree, "error"), has_method = json_has(tree, "method");

        if (json_kind(tree) != JSON_KIND_OBJECT || !str_equal(json_member_text(tree, "jsonrpc"), "2.0"))
                return not_a_reply(err, "no JSON-RPC 2.0 object");
        if (has_result + has_error + has_method != 1)
                return not_a_reply(err, "expected exactly one of result, error and method");
        if (json_member_int(tree, "id", 0, INT64_MAX, &reply->id) < 0)
                reply->id = -1;
        if (has_error)
                return read_error(json_child(tree, "error"), reply, err);
        if (!has_method && !json_has(tree, "id"))
                return not_a_reply(err, "result without id");
        reply->result = json_child(tree, "result");
        reply->method = json_member_text(tree, "method");
        reply->params = json_child(tree, "params");
        if (has_result ? json_kind(reply->result) != JSON_KIND_OBJECT : !reply->method || json_kind(reply->params) != JSON_KIND_OBJECT)
                return not_a_reply(err, "result or params is no object");
        return 0;
}

int command_reply_read(const char *text, size_t size, struct command_reply *ret_reply, struct gw_error *err) {
        _cleanup_command_reply_ struct command_reply reply = { .id = -1 };
        struct json_check_error why = { .text = "too large" };
        int r = json_parse(text, size, JSON_REPLY_MAX, &reply.tree, &why);

        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return not_a_reply(err, why.text);
        r = read_content(reply.tree, &reply, err);
        if (r < 0)
                return r;
        *ret_reply = reply;
        memset(&reply, 0, sizeof(reply));
        return 0;
}

void command_reply_deinit(struct command_reply *reply) {
        json_free(reply->tree);
        memset(reply, 0, sizeof(*reply));
}
