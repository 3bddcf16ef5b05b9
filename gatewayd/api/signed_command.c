/* SPDX-License-Identifier: Apache-2.0 */
#include "api/signed_command.h"

#include <stdlib.h>

#include "api/methods.h"
#include "base/str.h"
#include "document/command_signed.h"
#include "store/jti_table.h"
#include "store/key_table.h"
#include "update/verify.h"

/* Known beyond the time in which it could be accepted: a clock that is set back does not bring a command back. */
#define JTI_KEPT_BEYOND_MS (24 * 3600 * (int64_t) 1000)

struct signed_command {
        struct verification *verification;
        struct command_signed content;
};

bool signed_command_is(const struct call *call) {
        return command_may_be_signed(call->command.method) && json_has(call->params, "jws");
}

void signed_command_free(struct signed_command *command) {
        if (!command)
                return;
        verification_cancel(command->verification);
        command_signed_deinit(&command->content);
        free(command);
}

/* --- scope: the drivers of what the command is about --- */

struct scope_check {
        const struct keyring_key *key;
        struct gw_error *err;
        int result;
};

static void judge_device(void *ctx, struct gw_device *device) {
        struct scope_check *check = ctx;
        if (check->result >= 0)
                check->result = scope_judge_driver(check->key, device->driver, check->err);
}

/* Every device that the words could mean; an id tells its driver also where nobody knows the device yet. */
static int judge_words(const struct call *call, const struct keyring_key *key, const char *words, struct gw_error *err) {
        struct scope_check check = { .key = key, .err = err };
        char driver[STR_DRIVER_MAX + 1];
        int r;
        if (str_is_device_id(words)) {
                (void) str_copy_n(driver, sizeof driver, words, strcspn(words, ":"));
                return scope_judge_driver(key, driver, err);
        }
        r = fleet_match(call->api->options.fleet, words, judge_device, &check);
        return r < 0 ? r : check.result;
}

static int judge_scope(const struct call *call, const struct keyring_key *key, const struct command_signed *content, struct gw_error *err) {
        const char *id = json_member_text(content->params, "id"), *match = json_member_text(content->params, "match"),
                   *driver = json_member_text(content->params, "driver");
        if (key->scope.drivers.n_items == 0 || str_starts_with(content->method->name, "gateway."))
                return 0;
        if (str_starts_with(content->method->name, "campaign."))
                return scope_judge_campaign(call->api->options.update, key, id, err);
        if (id || match)
                return judge_words(call, key, id ? id : match, err);
        if (driver)
                return scope_judge_driver(key, driver, err);
        gw_error_set(err, "key-scope", "drivers: the key %s is for some drivers only, so %s must name one", key->kid, content->method->name);
        return -EPERM;
}

/* --- the order of the checks --- */

static int read_content(struct call *call, const struct verified *verified, struct json_errors *mistakes, struct gw_error *err) {
        struct command_signed *content = &call->signed_command->content;
        int r = command_signed_read(verified->payload, content, mistakes);
        if (r == -EBADMSG)
                gw_error_set(err, "document-invalid", "the signed command has %zu mistakes", json_errors_count(mistakes));
        if (r >= 0 && content->method != call->command.method) {
                gw_error_set(err, "command-mismatch", "%s was signed, %s was asked for", content->method->name, call->command.method->name);
                r = -EPERM;
        }
        return r;
}

static int take_jti(struct call *call, const struct keyring_key *key, struct gw_error *err) {
        const struct command_signed *content = &call->signed_command->content;
        struct store *store = call->api->options.store;
        int r = jti_table_forget(store, api_wall_ms(call->api));
        if (r >= 0)
                r = jti_table_take(store, key->kid, content->jti, content->exp_s * 1000 + JTI_KEPT_BEYOND_MS);
        if (r >= 0)
                r = key_table_note(store, key->kid, key->fingerprint, content->iat_s);
        if (r == -EEXIST)
                gw_error_set(err, "command-replayed", "the command %s of the key %s came before", content->jti, key->kid);
        if (r == -ENOSPC)
                gw_error_set(err, "too-many-requests", "more signed commands came within a day than can be remembered");
        return r;
}

static int judge(struct call *call, const struct verified *verified, struct json_errors *mistakes, struct gw_error *err) {
        const struct command_signed *content = &call->signed_command->content;
        struct update *update = call->api->options.update;
        int r = read_content(call, verified, mistakes, err);
        if (r >= 0)
                r = claims_judge(update, verified->key, &(struct claims){ &content->aud, content->iat_s, -1, content->exp_s }, err);
        if (r >= 0)
                r = judge_scope(call, verified->key, content, err);
        if (r >= 0)
                r = take_jti(call, verified->key, err);
        return r;
}

static void refuse(struct call *call, const struct verified *verified, const struct gw_error *err, const struct json_errors *mistakes) {
        const struct refusal refusal = { .door = call->actor.door, .command = call->command.method->name, .verified = verified, .err = err };
        refusal_record(call->api->options.update, &refusal);
        call_fail_durable(call, err, mistakes);
}

/* From here on it is the key that acts. */
static void run(struct call *call, const struct keyring_key *key) {
        (void) str_copy(call->principal, sizeof call->principal, key->kid);
        call->actor.kid = call->principal;
        call->params = call->signed_command->content.params;
        methods[call->command.method->id](call);
}

static void verified(void *ctx, const struct verified *verified, const struct gw_error *err) {
        struct call *call = ctx;
        struct gw_error why = { 0 };
        struct json_errors mistakes;
        int r;
        call->signed_command->verification = NULL;
        json_errors_init(&mistakes);
        if (err) {
                refuse(call, verified, err, verified->mistakes);
                return;
        }
        if (call->api->stopping) {
                gw_error_set(&why, "shutting-down", "gatewayd is stopping");
                call_fail(call, &why, NULL);
                return;
        }
        r = judge(call, verified, &mistakes, &why);
        if (r >= 0)
                r = acceptance_record(call->api->options.update, call->actor.door, call->command.method->name, verified);
        if (r >= 0)
                run(call, verified->key);
        else if (gw_error_is_set(&why))
                refuse(call, verified, &why, json_errors_any(&mistakes) ? &mistakes : NULL);
        else
                call_fail_errno(call, r, NULL);
}

void signed_command_begin(struct call *call) {
        const char *jws = call_text(call, "jws");
        struct gw_error err;
        int r = -ENOMEM;
        call->signed_command = calloc(1, sizeof *call->signed_command);
        if (call->signed_command)
                r = verification_start(call->api->options.update, VERIFICATION_COMMAND, jws, strlen(jws), verified, call,
                                       &call->signed_command->verification);
        if (r == -EBUSY) {
                gw_error_set(&err, "too-many-requests", "too much that is signed waits to be verified");
                call_fail(call, &err, NULL);
        } else if (r < 0) {
                call_fail_errno(call, r, NULL);
        }
}
