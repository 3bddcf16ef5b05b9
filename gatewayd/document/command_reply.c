/* SPDX-License-Identifier: Apache-2.0 */
#include "document/command.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "document/params.h"

static int not_a_reply(struct gw_error *err, const char *text) {
        gw_error_set(err, "protocol-error", "the gateway's answer is none: %s", text);
        return -EBADMSG;
}

static bool is_mistake(const struct json *item) {
        return json_member_text(item, "path") && json_member_text(item, "text");
}

/* Absent, or a list of {path, text}. */
static bool are_mistakes(const struct json *data) {
        const struct json *list = json_child(data, "errors");

        if (!json_has(data, "errors"))
                return true;
        for (size_t i = 0; i < json_length(list); i++)
                if (!is_mistake(json_at(list, i)))
                        return false;
        return json_kind(list) == JSON_KIND_ARRAY;
}

static int read_error_data(const struct json *data, struct command_reply *reply, struct gw_error *err) {
        const char *name = json_member_text(data, "name"), *text = json_member_text(data, "text");

        if (!name || !str_is_error_name(name) || !text)
                return not_a_reply(err, "error data without name or text");
        if (json_has(data, "advice") && !json_member_text(data, "advice"))
                return not_a_reply(err, "advice is no text");
        if (!are_mistakes(data))
                return not_a_reply(err, "errors is no list of path and text");
        gw_error_set(&reply->error, name, "%s", text);
        reply->error_advice = json_member_text(data, "advice");
        reply->errors = json_child(data, "errors");
        return 0;
}

static int read_error(const struct json *error, struct command_reply *reply, struct gw_error *err) {
        const char *message = json_member_text(error, "message");

        if (reader_get_integer(json_child(error, "code"), &reply->error_code) < 0 || reply->error_code < INT32_MIN ||
            reply->error_code > INT32_MAX || reply->error_code == 0 || !message)
                return not_a_reply(err, "error without code or message");
        gw_error_set(&reply->error, "protocol-error", "%s", message);
        return json_has(error, "data") ? read_error_data(json_child(error, "data"), reply, err) : 0;
}

static int read_head(const struct json *tree, struct command_reply *reply, struct gw_error *err) {
        struct json *id;
        int64_t number;

        if (json_kind(tree) != JSON_KIND_OBJECT || !str_equal(json_member_text(tree, "jsonrpc"), "2.0"))
                return not_a_reply(err, "no JSON-RPC 2.0 object");
        reply->gateway = json_member_text(tree, "gateway");
        if (json_has(tree, "gateway") && !(reply->gateway && str_is_gateway_id(reply->gateway)))
                return not_a_reply(err, "gateway is no gateway id");
        reply->id = -1;
        if (json_member(tree, "id", &id) < 0 || json_kind(id) == JSON_KIND_NULL)
                return 0;
        if (!params_is_request_id(id))
                return not_a_reply(err, "id is neither text, integer nor null");
        if (reader_get_integer(id, &number) == 0 && number >= 0)
                reply->id = number;
        return 0;
}

/* Exactly one of result, error and method is there; which one decides what else must be. */
static int read_content(const struct json *tree, struct command_reply *reply, struct gw_error *err) {
        bool has_result = json_has(tree, "result"), has_error = json_has(tree, "error"), has_method = json_has(tree, "method");

        if (has_result + has_error + has_method != 1)
                return not_a_reply(err, "expected exactly one of result, error and method");
        if (json_has(tree, "params") && json_kind(json_child(tree, "params")) != JSON_KIND_OBJECT)
                return not_a_reply(err, "params is no object");
        if (has_error)
                return read_error(json_child(tree, "error"), reply, err);
        reply->result = json_child(tree, "result");
        reply->method = json_member_text(tree, "method");
        reply->params = json_child(tree, "params");
        if (has_result && (json_kind(reply->result) != JSON_KIND_OBJECT || !json_has(tree, "id")))
                return not_a_reply(err, "result is no object, or without id");
        if (has_method && (!reply->method || !reply->params))
                return not_a_reply(err, "method is no text, or without params");
        return 0;
}

int command_reply_read(const char *text, size_t size, struct command_reply *ret_reply, struct gw_error *err) {
        _cleanup_command_reply_ struct command_reply reply = {.id = -1};
        struct json_check_error why = {.text = "too large"};
        int r = json_parse(text, size, JSON_REPLY_MAX, &reply.tree, &why);

        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return not_a_reply(err, why.text);
        r = read_head(reply.tree, &reply, err);
        if (r == 0)
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
