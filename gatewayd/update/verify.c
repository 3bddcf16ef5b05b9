/* SPDX-License-Identifier: Apache-2.0 */
#include "update/verify.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "loop/worker.h"
#include "store/audit_table.h"
#include "update/internal.h"

#define REFUSALS_AT_ONCE 100        /* rows that may come one behind the other */
#define REFUSAL_EVERY_MS (60 * 1000) /* then one each minute */

struct verification {
        struct list link; /* update.verifications */
        struct update *update; /* NULL: canceled, or update/ is gone */
        struct work *work;
        struct keyring *keyring; /* held: lends the key */
        enum verification_kind kind;
        verification_done done;
        void *ctx;
        char *text;
        size_t size;

        /* the worker's */
        struct jws jws;
        char claimed[STR_ID_MAX + 1];
        struct json *payload;
        struct campaign_document *document;
        struct json_errors *mistakes;
        struct gw_error err;
        int result;
};

static void verification_free(struct verification *verification) {
        if (!verification)
                return;
        list_remove(&verification->link);
        keyring_unref(verification->keyring);
        jws_deinit(&verification->jws);
        json_free(verification->payload);
        campaign_document_free(verification->document);
        free(verification->mistakes);
        free(verification->text);
        free(verification);
}

/* --- on the worker --- */

static int read_payload(struct verification *verification) {
        struct json_check_error why = { .text = "too large" };
        int r = json_parse(verification->jws.payload, verification->jws.payload_size, 0, &verification->payload, &why);
        if (r >= 0 || r == -ENOMEM)
                return r;
        json_errors_add(verification->mistakes, "", "line %u, column %u: %s", why.line, why.column, why.text);
        gw_error_set(&verification->err, "document-invalid", "what was signed is no JSON: line %u, column %u: %s", why.line, why.column, why.text);
        return r;
}

static int read_document(struct verification *verification) {
        const struct campaign_parse_options options = { .origin = CAMPAIGN_ORIGIN_SIGNED };
        int r = campaign_document_read(verification->payload, "", &options, &verification->document, verification->mistakes);
        if (r == -EBADMSG)
                gw_error_set(&verification->err, "document-invalid", "the signed campaign document has %zu mistakes",
                             json_errors_count(verification->mistakes));
        return r;
}

static void verify(void *ctx) {
        struct verification *verification = ctx;
        static const char *const types[] = { [VERIFICATION_CAMPAIGN] = JWS_TYPE_CAMPAIGN, [VERIFICATION_COMMAND] = JWS_TYPE_COMMAND };
        int r = jws_verify(verification->keyring, verification->text, verification->size, types[verification->kind], &verification->jws,
                           verification->claimed, &verification->err);
        if (r >= 0)
                r = read_payload(verification);
        if (r >= 0 && verification->kind == VERIFICATION_CAMPAIGN)
                r = read_document(verification);
        if (r < 0 && !gw_error_is_set(&verification->err))
                gw_error_set(&verification->err, "out-of-memory", "no memory to check what was signed");
}

/* --- on the loop --- */

static void verify_done(void *ctx, int result) {
        struct verification *verification = ctx;
        struct update *update = verification->update;
        struct verified verified = { .key = verification->jws.key,
                                     .keyring = verification->keyring,
                                     .claimed = verification->claimed,
                                     .digest = verification->jws.key ? verification->jws.digest : NULL,
                                     .payload = verification->payload,
                                     .document = verification->document,
                                     .mistakes = json_errors_any(verification->mistakes) ? verification->mistakes : NULL };
        verification->work = NULL;
        if (update) {
                update->verifying_bytes -= verification->size;
                list_remove(&verification->link);
                list_init(&verification->link);
        }
        if (update && result >= 0)
                verification->done(verification->ctx, &verified, gw_error_is_set(&verification->err) ? &verification->err : NULL);
        verification_free(verification);
        if (update)
                update_check_stopped(update);
}

static struct verification *verification_new(struct update *update, enum verification_kind kind, const char *text, size_t size) {
        struct verification *verification = calloc(1, sizeof *verification);
        if (!verification)
                return NULL;
        list_init(&verification->link);
        verification->update = update;
        verification->kind = kind;
        verification->keyring = keyring_ref(update->keyring);
        verification->text = malloc(size + 1);
        verification->mistakes = malloc(sizeof *verification->mistakes);
        verification->size = size;
        if (!verification->text || !verification->mistakes) {
                verification_free(verification);
                return NULL;
        }
        json_errors_init(verification->mistakes);
        memcpy(verification->text, text, size);
        return verification;
}

int verification_start(struct update *update, enum verification_kind kind, const char *text, size_t size, verification_done done, void *ctx,
                       struct verification **ret_verification) {
        struct verification *verification;
        int r;
        if (update->verifying_bytes + size > VERIFY_BYTES_MAX)
                return -EBUSY;
        verification = verification_new(update, kind, text, size);
        if (!verification)
                return -ENOMEM;
        verification->done = done;
        verification->ctx = ctx;
        r = worker_start(update->options.loop, verify, verify_done, verification, &verification->work);
        if (r < 0) {
                verification_free(verification);
                return r;
        }
        update->verifying_bytes += size;
        list_append(&update->verifications, &verification->link);
        if (ret_verification)
                *ret_verification = verification;
        return 0;
}

/* The object ends when its work has; nobody hears of it. */
static void orphan(struct verification *verification) {
        list_remove(&verification->link);
        list_init(&verification->link);
        verification->update = NULL;
        worker_cancel(verification->work);
}

void verification_cancel(struct verification *verification) {
        struct update *update = verification ? verification->update : NULL;
        if (!update)
                return;
        update->verifying_bytes -= verification->size;
        orphan(verification);
}

void verifications_free(struct update *update) {
        struct verification *verification, *spare;
        LIST_FOREACH_SAFE(verification, spare, &update->verifications, link)
                orphan(verification);
}

/* --- claims --- */

static bool audience_matches(const struct update *update, const struct str_list *aud) {
        for (size_t i = 0; i < aud->n_items; i++)
                if (campaign_audience_entry_match(aud->items[i], update->options.gateway_id, &update->options.settings->gateway.groups))
                        return true;
        return false;
}

static void judge_time(struct update *update, const struct claims *claims, struct gw_error *err) {
        int64_t now_s = update_wall_ms(update) / 1000, from_s = MAX(claims->iat_s, claims->nbf_s);
        char text[TIME_RFC3339_SIZE] = "?";
        if (!update_is_credible(update)) {
                gw_error_set(err, "clock-not-credible", "the gateway's clock is not set, so nobody can say whether this is valid now");
        } else if (from_s > now_s + CLAIMS_SKEW_MAX_S) {
                (void) time_format_rfc3339(text, sizeof text, from_s * 1000);
                gw_error_set(err, "document-not-yet-valid", "it is valid from %s (%s)", text, claims->nbf_s > claims->iat_s ? "nbf" : "iat");
        } else if (claims->exp_s <= now_s) {
                (void) time_format_rfc3339(text, sizeof text, claims->exp_s * 1000);
                gw_error_set(err, "document-expired", "it could be accepted until %s (exp)", text);
        }
}

static bool shares_a_group(const struct str_list *a, const struct str_list *b) {
        for (size_t i = 0; i < a->n_items; i++)
                if (str_list_contains(b, a->items[i]))
                        return true;
        return false;
}

static void judge_scope(const struct update *update, const struct keyring_key *key, struct gw_error *err) {
        const struct key_scope *scope = &key->scope;
        char text[TIME_RFC3339_SIZE] = "?";
        if (scope->expires_ms > 0 && scope->expires_ms <= update_wall_ms(update)) {
                (void) time_format_rfc3339(text, sizeof text, scope->expires_ms);
                gw_error_set(err, "key-expired", "the key %s signs nothing since %s", key->kid, text);
        } else if (scope->groups.n_items > 0 && !shares_a_group(&scope->groups, &update->options.settings->gateway.groups)) {
                gw_error_set(err, "key-scope", "groups: this gateway is in none of the groups that the key %s is for", key->kid);
        } else if (scope->audience.n_items > 0 && !str_list_glob_match(&scope->audience, update->options.gateway_id)) {
                gw_error_set(err, "key-scope", "audience: the key %s is not for the gateway %s", key->kid, update->options.gateway_id);
        }
}

int claims_judge(struct update *update, const struct keyring_key *key, const struct claims *claims, struct gw_error *err) {
        struct gw_error why = { 0 };
        if (!audience_matches(update, claims->aud))
                gw_error_set(&why, "not-for-this-gateway", "aud names neither %s nor a group of it", update->options.gateway_id);
        if (!gw_error_is_set(&why))
                judge_time(update, claims, &why);
        if (!gw_error_is_set(&why))
                judge_scope(update, key, &why);
        if (!gw_error_is_set(&why))
                return 0;
        if (err)
                *err = why;
        return -EPERM;
}

static int refuse_driver(const struct keyring_key *key, const char *driver, struct gw_error *err) {
        gw_error_set(err, "key-scope", "drivers: the key %s is not for devices of the driver %s", key->kid, driver);
        return -EPERM;
}

int scope_judge_driver(const struct keyring_key *key, const char *driver, struct gw_error *err) {
        if (key->scope.drivers.n_items == 0 || str_list_contains(&key->scope.drivers, driver))
                return 0;
        return refuse_driver(key, driver, err);
}

int scope_judge_selector(const struct keyring_key *key, const struct campaign_selector *devices, struct gw_error *err) {
        int r = 0;
        if (key->scope.drivers.n_items == 0)
                return 0;
        if (devices->drivers.n_items == 0 && devices->ids.n_items == 0) {
                gw_error_set(err, "key-scope", "drivers: the key %s is for some drivers only, so the document must state its own (devices.driver)",
                             key->kid);
                return -EPERM;
        }
        for (size_t i = 0; i < devices->drivers.n_items && r >= 0; i++)
                r = scope_judge_driver(key, devices->drivers.items[i], err);
        for (size_t i = 0; devices->drivers.n_items == 0 && i < devices->ids.n_items && r >= 0; i++) {
                char driver[STR_DRIVER_MAX + 1];
                (void) str_copy_n(driver, sizeof driver, devices->ids.items[i], strcspn(devices->ids.items[i], ":"));
                r = scope_judge_driver(key, driver, err);
        }
        return r;
}

int scope_judge_campaign(struct update *update, const struct keyring_key *key, const char *id, struct gw_error *err) {
        struct campaign *campaign;
        bool loaded;
        int r;
        if (campaign_look(update, id, -1, &campaign, &loaded, NULL) < 0)
                return 0;
        r = scope_judge_selector(key, &campaign->document->devices, err);
        if (loaded)
                campaign_free(campaign);
        return r;
}

/* --- what is written down --- */

int acceptance_record(struct update *update, const char *door, const char *command, const struct verified *verified) {
        struct audit_row row = { .door = (char *) door,
                                 .principal = verified->key->kid,
                                 .command = (char *) command,
                                 .has_document_digest = true,
                                 .result = (char *) "verified" };
        memcpy(row.document_digest, verified->digest, sizeof row.document_digest);
        return record_audit(update, &row);
}

/* A bucket that fills by one row a minute. */
static bool may_write(struct update *update) {
        int64_t now_ms = loop_now_ms(update->options.loop), full_ms = REFUSALS_AT_ONCE * (int64_t) REFUSAL_EVERY_MS;
        int64_t empty_ms = MAX(update->refusals_until_ms, now_ms);
        if (empty_ms + REFUSAL_EVERY_MS > now_ms + full_ms)
                return false;
        update->refusals_until_ms = empty_ms + REFUSAL_EVERY_MS;
        return true;
}

static void describe_principal(const struct verified *verified, char *dst, size_t size) {
        if (verified->key)
                (void) str_copy(dst, size, verified->key->kid);
        else
                (void) str_format(dst, size, "%s%s", verified->claimed, verified->claimed[0] ? " (not proven)" : "unknown");
}

void refusal_record(struct update *update, const struct refusal *refusal) {
        char principal[STR_ID_MAX + 32], result[96];
        struct audit_row row = { .door = (char *) refusal->door, .principal = principal, .command = (char *) refusal->command, .result = result };
        if (strcmp(refusal->err->name, "not-for-this-gateway") == 0)
                return;
        if (!may_write(update)) {
                update->n_silent_refusals++;
                return;
        }
        describe_principal(refusal->verified, principal, sizeof principal);
        (void) str_copy(result, sizeof result, refusal->err->name);
        if (update->n_silent_refusals > 0)
                (void) str_format(result, sizeof result, "%s (%" PRIu64 " more before it)", refusal->err->name, update->n_silent_refusals);
        update->n_silent_refusals = 0;
        row.has_document_digest = refusal->verified->digest;
        if (row.has_document_digest)
                memcpy(row.document_digest, refusal->verified->digest, sizeof row.document_digest);
        (void) record_audit(update, &row);
        log_notice(&(struct log_fields){ .error = refusal->err->name }, "%s by %s over %s is refused: %s", refusal->command, principal, refusal->door,
                   refusal->err->text);
}
