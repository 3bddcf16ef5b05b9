/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "store/key_table.h"
#include "update/offer.h"
#include "update/verify.h"

#define FRESH_SINCE_KEY "fresh_since_ms" /* of store_meta_get() */

/*
 * Signed campaigns: what is verified and counts here becomes an order like a local one. And the keys: what becomes of campaigns whose key
 * is gone.
 */

/* --- how old may a document be that nobody knows? --- */

/* From when on this store can tell: made, or first seen with a clock that is believed. */
static int64_t fresh_since_ms(struct update *update) {
        _cleanup_free_ char *text = NULL;
        int64_t since_ms = 0;
        if (store_meta_get(update->options.store, FRESH_SINCE_KEY, &text) >= 0 && text)
                (void) str_parse_int64(text, 0, INT64_MAX, &since_ms);
        return since_ms;
}

void signed_note_clock(struct update *update) {
        char text[32];
        if (!update_is_credible(update) || fresh_since_ms(update) > 0)
                return;
        (void) str_format(text, sizeof text, "%lld", (long long) update_wall_ms(update));
        (void) store_meta_set(update->options.store, FRESH_SINCE_KEY, text);
}

/* Much older than the newest document of its key, or than this gateway's memory: it may be an old order that somebody sends again. */
static bool is_stale(struct update *update, const char *kid, int64_t iat_s) {
        struct key_row row = { 0 };
        int64_t newest_s = fresh_since_ms(update) / 1000;
        if (key_table_fetch(update->options.store, kid, &row) >= 0)
                newest_s = MAX(newest_s, row.newest_iat_s);
        return iat_s + CLAIMS_FRESH_S < newest_s;
}

/* --- an order on its way to offer.c --- */

struct signed_order {
        struct list link; /* update.signed_orders */
        struct update *update;
        struct verification *verification;
        bool planning;
        char *door;
        update_reply reply;
        void *ctx;

        /* once it is offered */
        struct keyring *keyring; /* held: lends the key */
        const struct keyring_key *key;
        uint8_t digest[DIGEST_SIZE];
};

static void order_free(struct signed_order *order) {
        if (!order)
                return;
        list_remove(&order->link);
        verification_cancel(order->verification);
        keyring_unref(order->keyring);
        free(order->door);
        free(order);
}

static void refuse(struct signed_order *order, const struct verified *verified, const struct gw_error *err, const struct json_errors *mistakes) {
        const struct refusal refusal = { .door = order->door, .command = "campaign.start", .verified = verified, .err = err };
        if (!order->planning)
                refusal_record(order->update, &refusal);
        if (order->planning || reply_error_after_sync(order->update, err, mistakes, order->reply, order->ctx) < 0)
                order->reply(order->ctx, NULL, err, mistakes);
        order_free(order);
}

/* What offer.c says. Acceptance is written down there. */
static void answered(void *ctx, struct json *result, const struct gw_error *err, const struct json_errors *mistakes) {
        struct signed_order *order = ctx;
        const struct verified verified = { .key = order->key, .claimed = order->key->kid, .digest = order->digest };
        if (err) {
                refuse(order, &verified, err, mistakes);
                return;
        }
        order->reply(order->ctx, result, NULL, NULL);
        order_free(order);
}

static int judge_document(const struct keyring_key *key, const struct campaign_document *document, struct gw_error *err) {
        int r = scope_judge_selector(key, &document->devices, err);
        if (r >= 0 && !key->scope.may_downgrade && (document->policy.allow_downgrade || document->rollback_of)) {
                gw_error_set(err, "key-scope", "may_downgrade: the key %s may neither allow downgrades nor roll back", key->kid);
                r = -EPERM;
        }
        return r;
}

static int offer(struct signed_order *order, const struct verified *verified) {
        struct update *update = order->update;
        const struct keyring_key *key = verified->key;
        struct update_actor actor = { .door = order->door, .principal = key->kid, .kid = key->kid };
        struct offer_origin origin = { .origin = CAMPAIGN_ORIGIN_SIGNED,
                                       .kid = key->kid,
                                       .digest = verified->digest,
                                       .path = "",
                                       .held = is_stale(update, key->kid, verified->document->iat_s) };
        int r = order->planning ? 0 : key_table_note(update->options.store, key->kid, key->fingerprint, verified->document->iat_s);
        if (r < 0)
                return r;
        order->keyring = keyring_ref(verified->keyring);
        order->key = key;
        memcpy(order->digest, verified->digest, DIGEST_SIZE);
        return offer_take(update, order->planning ? NULL : &actor, &origin, verified->payload, answered, order);
}

static void judge(struct signed_order *order, const struct verified *verified) {
        const struct campaign_document *document = verified->document;
        const struct claims claims = { .aud = &document->aud, .iat_s = document->iat_s, .nbf_s = document->nbf_s, .exp_s = document->exp_s };
        struct gw_error err = { 0 };
        int r;
        signed_note_clock(order->update);
        r = claims_judge(order->update, verified->key, &claims, &err);
        if (r >= 0)
                r = judge_document(verified->key, document, &err);
        if (r >= 0)
                r = offer(order, verified);
        if (r >= 0)
                return;
        if (!gw_error_is_set(&err))
                gw_error_set(&err, r == -ENOMEM ? "out-of-memory" : "internal-error", "the signed order could not be taken: %s", strerror(-r));
        refuse(order, verified, &err, NULL);
}

static void verified(void *ctx, const struct verified *verified, const struct gw_error *err) {
        struct signed_order *order = ctx;
        struct gw_error stopping;
        order->verification = NULL;
        if (order->update->stopping) {
                gw_error_set(&stopping, "shutting-down", "gatewayd is stopping");
                order->reply(order->ctx, NULL, &stopping, NULL);
                order_free(order);
        } else if (err) {
                refuse(order, verified, err, verified->mistakes);
        } else {
                judge(order, verified);
        }
}

static int begin(struct signed_order *order, const char *jws, size_t size) {
        if (!order->door)
                return -ENOMEM;
        return verification_start(order->update, VERIFICATION_CAMPAIGN, jws, size, verified, order, &order->verification);
}

static int take(struct update *update, const struct update_actor *actor, const char *jws, size_t size, update_reply reply, void *ctx) {
        struct signed_order *order = calloc(1, sizeof *order);
        struct gw_error err;
        int r;
        if (!order)
                return -ENOMEM;
        *order = (struct signed_order){ .update = update, .planning = !actor, .door = strdup(actor ? actor->door : ""), .reply = reply, .ctx = ctx };
        list_init(&order->link);
        list_append(&update->signed_orders, &order->link);
        r = begin(order, jws, size);
        if (r < 0)
                order_free(order);
        if (r != -EBUSY)
                return r;
        gw_error_set(&err, "too-many-requests", "too many signed orders wait to be verified");
        return reply_error(update, &err, NULL, reply, ctx);
}

int update_campaign_start_signed(struct update *update, const struct update_actor *actor, const char *jws, size_t size, update_reply reply,
                                 void *ctx) {
        return take(update, actor, jws, size, reply, ctx);
}

int update_campaign_plan_signed(struct update *update, const char *jws, size_t size, update_reply reply, void *ctx) {
        return take(update, NULL, jws, size, reply, ctx);
}

void signed_orders_free(struct update *update) {
        struct signed_order *order, *spare;
        LIST_FOREACH_SAFE(order, spare, &update->signed_orders, link)
                order_free(order);
}

/* --- keys that come and go --- */

/* Another key under the same id is not the one that signed. */
static bool is_the_one_seen(struct update *update, const struct keyring_key *key) {
        struct key_row row;
        return key_table_fetch(update->options.store, key->kid, &row) < 0 || memcmp(row.fingerprint, key->fingerprint, sizeof row.fingerprint) == 0;
}

static bool is_known(void *ctx, const char *kid) {
        struct update *update = ctx;
        const struct keyring_key *key = keyring_find(update->keyring, kid);
        return key && is_the_one_seen(update, key);
}

static void note_new_ones(struct update *update) {
        for (size_t i = 0; i < keyring_count(update->keyring); i++) {
                const struct keyring_key *key = keyring_at(update->keyring, i);
                if (is_the_one_seen(update, key))
                        continue;
                log_warning(NULL, "the key %s is another one than before", key->kid);
                (void) key_table_note(update->options.store, key->kid, key->fingerprint, 0);
        }
}

const struct keyring *update_keyring(const struct update *update) {
        return update->keyring;
}

void update_set_keyring(struct update *update, struct keyring *keyring) {
        struct keyring *before = update->keyring;
        update->keyring = keyring_ref(keyring);
        keyring_unref(before);
        update_keys_changed(update, is_known, update);
        note_new_ones(update);
        signed_note_clock(update);
}
