/* SPDX-License-Identifier: Apache-2.0 */
#include "document/command.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "document/params.h"

static int failed(struct gw_error *err, enum command_code code, const char *name, const char *text) {
        gw_error_set(err, name, "%s", text);
        return code;
}

bool params_is_request_id(const struct json *id) {
        const char *text = json_string_or_null(id);
        int64_t number;

        if (text)
                return text_length(text) <= COMMAND_ID_MAX;
        return reader_get_integer(id, &number) == 0 && number >= -JSON_INTEGER_MAX && number <= JSON_INTEGER_MAX;
}

static int read_id(const struct json *tree, struct command *command, struct gw_error *err) {
        struct json *id;

        if (json_member(tree, "id", &id) < 0)
                return 0;
        if (!params_is_request_id(id))
                return failed(err, COMMAND_CODE_INVALID_REQUEST, "request-invalid", "id: expected an integer or at most 128 characters");
        command->id = id;
        return 0;
}

static int read_envelope(const struct json *tree, struct command *command, struct gw_error *err) {
        static const char *const allowed[] = {"jsonrpc", "id", "method", "params"};
        struct json_errors unknown;
        const char *method;
        int r;

        if (json_kind(tree) == JSON_KIND_ARRAY)
                return failed(err, COMMAND_CODE_INVALID_REQUEST, "request-invalid", "batches are not supported");
        if (json_kind(tree) != JSON_KIND_OBJECT)
                return failed(err, COMMAND_CODE_INVALID_REQUEST, "request-invalid", "expected an object");
        r = read_id(tree, command, err);
        if (r < 0)
                return r;
        if (!str_equal(json_member_text(tree, "jsonrpc"), "2.0"))
                return failed(err, COMMAND_CODE_INVALID_REQUEST, "request-invalid", "jsonrpc: expected \"2.0\"");
        json_errors_init(&unknown);
        if (!json_members_check(tree, allowed, ARRAY_SIZE(allowed), "", &unknown)) {
                gw_error_set(err, "request-invalid", "%s: %s", unknown.items[0].path, unknown.items[0].text);
                return COMMAND_CODE_INVALID_REQUEST;
        }
        method = json_member_text(tree, "method");
        if (!method)
                return failed(err, COMMAND_CODE_INVALID_REQUEST, "request-invalid", "method: expected a text");
        command->method = command_method_find(method);
        if (!command->method)
                return failed(err, COMMAND_CODE_UNKNOWN_METHOD, "method-unknown", "this gateway does not know the method");
        return 0;
}

int params_settle(const struct command_method *method, struct json *params) {
        int r = 0;

        for (const struct command_param *param = method->params; param->name; param++) {
                double number;

                if (param->kind != PARAM_INTEGER || json_kind(json_child(params, param->name)) != JSON_KIND_DOUBLE)
                        continue;
                json_get_double(json_child(params, param->name), &number);
                r |= json_set_int(params, param->name, (int64_t) number);
        }
        return r;
}

static int read_params(struct json *tree, struct command *command, struct json_errors *errors, struct gw_error *err) {
        _cleanup_json_ struct json *nothing = json_new_object();
        struct reader reader = {.errors = errors};
        struct json *params = nothing;

        if (!nothing)
                return failed(err, COMMAND_CODE_INTERNAL, "out-of-memory", "no memory for the request");
        if (json_member(tree, "params", &params) == 0)
                command->params = params;
        if (!params_check_outer(&reader, (struct place){params, "params"}, command->method)) {
                gw_error_set(err, "params-invalid", "%zu mistake%s in the params of %s", reader.n_mistakes,
                             reader.n_mistakes == 1 ? "" : "s", command->method->name);
                return COMMAND_CODE_INVALID_PARAMS;
        }
        if (reader.out_of_memory || params_settle(command->method, params) < 0)
                return failed(err, COMMAND_CODE_INTERNAL, "out-of-memory", "no memory for the request");
        return 0;
}

int command_read(const char *text, size_t size, struct command *ret_command, struct json_errors *errors, struct gw_error *err) {
        struct json_check_error why = {.text = "too large"};
        int r;

        memset(ret_command, 0, sizeof(*ret_command));
        r = json_parse(text, size, 0, &ret_command->tree, &why);
        if (r == -ENOMEM)
                return failed(err, COMMAND_CODE_INTERNAL, "out-of-memory", "no memory for the request");
        if (r < 0) {
                gw_error_set(err, "request-invalid", "no JSON: line %u, column %u: %s", why.line, why.column, why.text);
                return COMMAND_CODE_PARSE;
        }
        r = read_envelope(ret_command->tree, ret_command, err);
        return r < 0 ? r : read_params(ret_command->tree, ret_command, errors, err);
}

void command_deinit(struct command *command) {
        json_free(command->tree);
        memset(command, 0, sizeof(*command));
}

bool command_params_check(const struct command_method *method, const struct json *params, struct json_errors *errors) {
        _cleanup_json_ struct json *nothing = params ? NULL : json_new_object();
        struct reader reader = {.errors = errors};

        return params_check(&reader, (struct place){params ? params : nothing, "params"}, method) && !reader.out_of_memory;
}

/* --- writing --- */

/* {"jsonrpc":"2.0"}, with the id of a request where there is one to answer. */
static struct json *envelope(void) {
        struct json *json = json_new_object();

        if (json && json_set_string(json, "jsonrpc", "2.0") < 0) {
                json_free(json);
                return NULL;
        }
        return json;
}

static int set_copy(struct json *object, const char *member, const struct json *value) {
        struct json *copy = NULL;

        if (value && json_copy(value, &copy) < 0)
                return -ENOMEM;
        return json_set(object, member, copy);
}

/* An envelope that answers. NULL: no memory. */
static struct json *reply_to(const struct json *id, const char *gateway) {
        struct json *reply = envelope();

        if (!reply)
                return NULL;
        if (set_copy(reply, "id", id) < 0 || json_set_string(reply, "gateway", gateway) < 0) {
                json_free(reply);
                return NULL;
        }
        return reply;
}

int command_reply_result(const struct json *id, const char *gateway, struct json *result, struct json **ret_reply) {
        _cleanup_json_ struct json *content = result ? result : json_new_object();
        _cleanup_json_ struct json *reply = reply_to(id, gateway);

        if (!content || !reply || json_set(reply, "result", TAKE_PTR(content)) < 0)
                return -ENOMEM;
        *ret_reply = TAKE_PTR(reply);
        return 0;
}

static int set_mistakes(struct json *data, const struct json_errors *errors) {
        struct json *list;
        int r = 0;

        if (!errors || !json_errors_any(errors))
                return 0;
        list = json_set_new_array(data, "errors");
        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < errors->n_items; i++) {
                struct json *item = json_append_new_object(list);

                if (!item)
                        return -ENOMEM;
                r |= json_set_string(item, "path", errors->items[i].path);
                r |= json_set_string(item, "text", errors->items[i].text);
        }
        if (errors->n_dropped)
                r |= json_set_int(data, "more_errors", (int64_t) errors->n_dropped);
        return r;
}

int command_reply_error(const struct json *id, const char *gateway, const struct command_failure *failure, struct json **ret_reply) {
        _cleanup_json_ struct json *reply = reply_to(id, gateway);
        struct json *error = reply ? json_set_new_object(reply, "error") : NULL;
        struct json *data;
        int r = 0;

        if (!error)
                return -ENOMEM;
        r |= json_set_int(error, "code", failure->code);
        r |= json_set_string(error, "message", failure->err->text);
        data = json_set_new_object(error, "data");
        if (!data)
                return -ENOMEM;
        r |= json_set_string(data, "name", failure->err->name);
        r |= json_set_string(data, "text", failure->err->text);
        r |= json_set_string(data, "advice", failure->advice);
        r |= set_mistakes(data, failure->errors);
        if (r < 0)
                return -ENOMEM;
        *ret_reply = TAKE_PTR(reply);
        return 0;
}

int command_notification(const char *method, struct json *params, struct json **ret_message) {
        _cleanup_json_ struct json *content = params ? params : json_new_object();
        _cleanup_json_ struct json *message = envelope();

        if (!content || !message || json_set_string(message, "method", method) < 0 || json_set(message, "params", TAKE_PTR(content)) < 0)
                return -ENOMEM;
        *ret_message = TAKE_PTR(message);
        return 0;
}

int command_request(int64_t id, const char *method, struct json *params, struct json **ret_request) {
        _cleanup_json_ struct json *content = params;
        _cleanup_json_ struct json *request = envelope();

        if (!request || json_set_int(request, "id", id) < 0 || json_set_string(request, "method", method) < 0)
                return -ENOMEM;
        if (content && json_set(request, "params", TAKE_PTR(content)) < 0)
                return -ENOMEM;
        *ret_request = TAKE_PTR(request);
        return 0;
}
