/* SPDX-License-Identifier: Apache-2.0 */
#include "api/call.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/events.h"
#include "api/methods.h"
#include "api/signed_command.h"
#include "base/error_catalogue.h"
#include "base/str.h"

/* --- callers --- */

void caller_init(struct caller *caller, struct api *api) {
        caller->api = api;
        caller->n_calls = 0;
        caller->subscription = NULL;
}

void caller_drained(struct caller *caller) {
        if (caller->subscription)
                subscription_drained(caller->subscription);
}

void caller_gone(struct caller *caller) {
        struct call *call;
        subscription_free(TAKE_PTR(caller->subscription));
        LIST_FOREACH(call, &caller->api->calls, link)
        if (call->caller == caller)
                call->caller = NULL;
}

/* --- the reply --- */

void call_free(struct call *call) {
        if (call->drop)
                call->drop(call);
        if (call->caller)
                call->caller->n_calls--;
        store_sync_cancel(call->wait);
        signed_command_free(call->signed_command);
        json_free(call->result);
        free(call->failure);
        command_deinit(&call->command);
        cleanup_close(&call->fd);
        list_remove(&call->link);
        free(call);
}

/* Frees the call before anything is sent: sending may end the caller. */
static void finish(struct call *call, struct json *reply) {
        struct caller *caller = call->caller;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        bool heard = caller && reply && call->command.id;
        /* A reply to something that has no readable id is a reply all the same: JSON-RPC wants it with a null id. */
        if (caller && reply && !call->command.method)
                heard = true;
        if (heard && json_write(reply, &text, &size) < 0)
                heard = false;
        json_free(reply);
        call_free(call);
        if (heard)
                (void) caller->ops->send(caller, text, size);
}

void call_answer(struct call *call, struct json *result) {
        struct json *reply = NULL;
        (void) command_reply_result(call->command.id, call->api->options.gateway_id, result, &reply);
        finish(call, reply);
}

static void fail(struct call *call, enum command_code code, const struct gw_error *err, const struct json_errors *mistakes) {
        struct command_failure failure = {
                .code = code, .err = err, .advice = error_advice(call->api->options.registry, err->name), .errors = mistakes
        };
        struct json *reply = NULL;
        (void) command_reply_error(call->command.id, call->api->options.gateway_id, &failure, &reply);
        finish(call, reply);
}

static enum command_code code_of(const char *name) {
        if (strcmp(name, "params-invalid") == 0 || strcmp(name, "document-invalid") == 0)
                return COMMAND_CODE_INVALID_PARAMS;
        if (strcmp(name, "out-of-memory") == 0 || strcmp(name, "internal-error") == 0)
                return COMMAND_CODE_INTERNAL;
        return COMMAND_CODE_FAILED;
}

void call_fail(struct call *call, const struct gw_error *err, const struct json_errors *mistakes) {
        fail(call, code_of(err->name), err, mistakes);
}

void call_fail_errno(struct call *call, int r, const struct gw_error *err) {
        struct gw_error own = { 0 };
        if (err && gw_error_is_set(err)) {
                call_fail(call, err, NULL);
                return;
        }
        if (r == -ENOMEM)
                gw_error_set(&own, "out-of-memory", "the gateway has no memory left for this");
        else
                gw_error_set(&own, "internal-error", "%s failed: %s", call->command.method->name, strerror(-r));
        call_fail(call, &own, NULL);
}

void call_fail_param(struct call *call, const char *path, const char *text) {
        struct json_errors mistakes;
        struct gw_error err;
        json_errors_init(&mistakes);
        json_errors_add(&mistakes, path, "%s", text);
        gw_error_set(&err, "params-invalid", "%s: %s", path, text);
        call_fail(call, &err, &mistakes);
}

static void is_durable(void *ctx, int result) {
        struct call *call = ctx;
        struct gw_error err;
        call->wait = NULL;
        if (result >= 0) {
                call_answer(call, TAKE_PTR(call->result));
                return;
        }
        gw_error_set(&err, "store-failed", "what was done could not be written down: %s", strerror(-result));
        call_fail(call, &err, NULL);
}

void call_answer_durable(struct call *call, struct json *result) {
        int r;
        call->result = result;
        r = store_sync(call->api->options.store, is_durable, call, &call->wait);
        if (r < 0)
                call_fail_errno(call, r, NULL);
}

struct call_failure {
        struct gw_error err;
        struct json_errors mistakes;
};

static void failure_is_durable(void *ctx, int result) {
        struct call *call = ctx;
        struct call_failure *failure = TAKE_PTR(call->failure);
        (void) result; /* a store that failed ends the daemon; the refusal holds either way */
        call->wait = NULL;
        call_fail(call, &failure->err, json_errors_any(&failure->mistakes) ? &failure->mistakes : NULL);
        free(failure);
}

void call_fail_durable(struct call *call, const struct gw_error *err, const struct json_errors *mistakes) {
        call->failure = malloc(sizeof *call->failure);
        if (!call->failure) {
                call_fail(call, err, mistakes);
                return;
        }
        json_errors_init(&call->failure->mistakes);
        if (mistakes)
                call->failure->mistakes = *mistakes;
        call->failure->err = *err;
        if (store_sync(call->api->options.store, failure_is_durable, call, &call->wait) < 0)
                call_fail(call, err, mistakes);
}

void call_reply(void *ctx, struct json *result, const struct gw_error *err, const struct json_errors *mistakes) {
        struct call *call = ctx;
        if (err)
                call_fail(call, err, mistakes);
        else
                call_answer(call, json_ref(result));
}

void call_started(struct call *call, int r) {
        if (r < 0)
                call_fail_errno(call, r, NULL);
}

void call_audit(struct call *call, const char *device, const char *result) {
        /* A store that cannot be written makes the durable answer fail. */
        (void) update_audit(call->api->options.update, &call->actor, call->command.method->name, device, result);
}

/* --- the request --- */

static struct call *call_new(struct caller *caller) {
        struct call *call = calloc(1, sizeof *call);
        if (!call)
                return NULL;
        call->api = caller->api;
        call->caller = caller;
        call->fd = -1;
        (void) str_copy(call->principal, sizeof call->principal, caller->principal);
        call->actor = (struct update_actor){ .door = caller->door, .principal = call->principal };
        list_append(&caller->api->calls, &call->link);
        caller->n_calls++;
        return call;
}

static void note_garbage(struct caller *caller, const struct gw_error *err) {
        struct api *api = caller->api;
        uint64_t n_before = 0;
        if (log_limit_pass(&api->garbage, loop_now_ms(api->options.loop), &n_before))
                log_warning(&(struct log_fields){ .error = err->name },
                            "%s, %s: a line that is no request: %s (%" PRIu64 " more since the last report)", caller->door,
                            caller->principal, err->text, n_before);
}

static void check_local_right(const struct call *call, struct gw_error *err) {
        const struct command_method *method = call->command.method;
        if (method->right != COMMAND_RIGHT_READ && call->caller->authority != CALLER_COMMANDS)
                gw_error_set(err, "permission-denied", "%s may not call %s", call->principal, method->name);
}

static void check_remote_right(const struct call *call, struct gw_error *err) {
        const struct command_method *method = call->command.method;
        bool needs_signature = method->right == COMMAND_RIGHT_ORDER || method->right == COMMAND_RIGHT_WIDEN ||
                               (method->right == COMMAND_RIGHT_STOP && !call->api->options.settings->mqtt.unsigned_stop);
        if (method->right == COMMAND_RIGHT_LOCAL || method->streams)
                gw_error_set(err, "not-allowed-here", "%s is for the control socket only", method->name);
        else if (needs_signature && !json_has(call->params, "jws"))
                gw_error_set(err, "signature-required", "%s is carried out from far only when it is signed", method->name);
}

static bool may_run(const struct call *call, struct gw_error *err) {
        const struct command_method *method = call->command.method;
        if (call->api->stopping)
                gw_error_set(err, "shutting-down", "gatewayd is stopping");
        else if (call->caller->authority == CALLER_REMOTE)
                check_remote_right(call, err);
        else
                check_local_right(call, err);
        if (gw_error_is_set(err))
                return false;
        if (call->caller->n_calls > CALLER_CALLS_MAX)
                gw_error_set(err, "too-many-requests", "%d requests of this connection run already", CALLER_CALLS_MAX);
        else if (method->takes_file && call->fd < 0)
                gw_error_set(err, "params-invalid", "%s needs an open file that is sent along with the line", method->name);
        return !gw_error_is_set(err);
}

void call_line(struct caller *caller, const char *line, size_t size, int *fd) {
        struct call *call = call_new(caller);
        struct gw_error err = { 0 };
        struct json_errors mistakes;
        int r;
        if (!call) {
                caller->ops->cut(caller); /* better than a peer that waits for ever */
                return;
        }
        json_errors_init(&mistakes);
        r = command_read(line, size, &call->command, &mistakes, &err);
        if (r < 0) {
                if (r == COMMAND_CODE_PARSE || r == COMMAND_CODE_INVALID_REQUEST)
                        note_garbage(caller, &err);
                fail(call, (enum command_code) r, &err, &mistakes);
                return;
        }
        call->params = call->command.params;
        if (call->command.method->takes_file)
                call->fd = TAKE_FD(*fd);
        if (!may_run(call, &err))
                call_fail(call, &err, NULL);
        else if (signed_command_is(call))
                signed_command_begin(call);
        else
                methods[call->command.method->id](call);
}

/* --- what several methods need --- */

const char *call_text(const struct call *call, const char *member) {
        return json_member_text(call->params, member);
}

void set_time(struct json *json, const char *member, int64_t wall_ms) {
        char text[TIME_RFC3339_SIZE];
        if (wall_ms > 0 && time_format_rfc3339(text, sizeof text, wall_ms) >= 0)
                json_set_string(json, member, text);
}

void set_hex(struct json *json, const char *member, const uint8_t *data, size_t size) {
        char hex[2 * GW_HASH_MAX + 1];
        if (str_hex_encode(hex, sizeof hex, data, size) >= 0)
                json_set_string(json, member, hex);
}

int set_job(const struct api *api, const char *device, struct json *json) {
        char campaign[STR_ID_MAX + 1];
        struct json *job = NULL;
        int r = update_device_job(api->options.update, device, &job, campaign);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        json_set_string(json, "campaign", campaign);
        return json_set(json, "job", job);
}

const char *error_advice(const struct driver_registry *registry, const char *name) {
        const struct gw_error_info *info = registry ? driver_registry_error(registry, name) : error_catalogue_find(name);
        return info ? info->advice : NULL;
}

void set_error(const struct api_options *options, struct json *json, const char *name, const char *text) {
        json_set_string(json, "name", name);
        json_set_string(json, "text", text);
        json_set_string(json, "advice", error_advice(options->registry, name));
}

int64_t api_wall_ms(const struct api *api) {
        return clock_wall_ms(api->options.clock ? api->options.clock : clock_real());
}

bool texts_contain(const struct json *texts, const char *text) {
        JSON_FOREACH_ITEM(i, item, texts)
        if (str_equal(json_string_or_null(item), text))
                return true;
        return false;
}

int page_begin(struct page *page, const struct json *params, struct json *result, const char *member) {
        int64_t limit = COMMAND_PAGE_DEFAULT;
        (void) json_member_int(params, "limit", 1, COMMAND_PAGE_MAX, &limit);
        *page = (struct page){ .limit = (size_t) limit, .items = json_set_new_array(result, member) };
        return page->items ? 0 : -ENOMEM;
}

bool page_wants(struct page *page) {
        if (!page->more && json_length(page->items) < page->limit)
                return true;
        page->more = true;
        return false;
}

int page_add(struct page *page, struct json *item, const char *token) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r = item ? json_write(item, &text, &size) : -ENOMEM;
        if (r < 0) {
                json_free(item);
                return r;
        }
        /* A single entry may be as large as it is: a page without one would never end. */
        if (page->more || (json_length(page->items) > 0 && page->size_bytes + size > REPLY_LIST_BYTES_MAX)) {
                page->more = true;
                json_free(item);
                return 0;
        }
        page->size_bytes += size;
        (void) str_copy(page->last, sizeof page->last, token);
        return json_append(page->items, item);
}

int page_finish(const struct page *page, struct json *result) {
        return page->more ? json_set_string(result, "next", page->last) : 0;
}
