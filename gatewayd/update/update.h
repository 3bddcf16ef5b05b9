/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Campaigns and jobs: accepts orders, decides which device starts when, leads each through the steps of its driver (driver/run.h)
 * and writes every transition together with its event into the store. Doors call down into this header and are told through a
 * listener; nothing here knows a door.
 *
 * Async contract: where a function takes a `reply`, it returns < 0 and reply never comes, or 0 and reply comes exactly once, later,
 * and not before what it tells is durable. In a reply either `result` is set (lent) or `err`; `mistakes` goes with
 * `document-invalid`.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "artifact/artifact.h"
#include "base/json.h"
#include "base/json_errors.h"
#include "base/time.h"
#include "config/settings.h"
#include "document/names.h"
#include "driver/registry.h"
#include "fleet/fleet.h"
#include "loop/loop.h"
#include "store/event_table.h"
#include "store/store.h"

struct keyring;
struct update;

struct update_options {
        struct loop *loop;
        struct store *store;
        struct fleet *fleet;
        struct artifacts *artifacts;
        const struct driver_registry *registry;
        const struct settings *settings; /* see update_set_settings() */
        const char *gateway_id;          /* for the audience of what is signed */
        const struct clock *clock;       /* NULL: clock_real() */
        bool (*clock_is_credible)(void *ctx);
        void *clock_ctx;
        int64_t backoff_first_ms;        /* before the second attempt; 0 = 2000 */
};

/* Loads unfinished campaigns from the store. Nothing starts before update_begin(). */
int update_new(const struct update_options *options, struct update **ret_update, struct gw_error *err);
void update_begin(struct update *update);
/* Every run stops at a resumable point; `stopped` comes once, later, at most RUN_STOP_GRACE_MS from now. Then update_free(). */
void update_stop(struct update *update, void (*stopped)(void *ctx), void *ctx);
void update_free(struct update *update);
/* Deletes what the store need not keep: audit rows beyond limits.audit_rows and audit_age, finished campaigns beyond CAMPAIGNS_KEPT_MAX. In
 * slices, from the loop. To be called once an hour. */
void update_upkeep(struct update *update);
void update_set_settings(struct update *update, const struct settings *settings);

/* Who orders: the door and the principal (uid or key), for the audit. */
struct update_actor {
        const char *door;
        const char *principal;
        const char *kid; /* of the key that signed it; NULL: it came from this machine */
};

typedef void (*update_reply)(void *ctx, struct json *result, const struct gw_error *err, const struct json_errors *mistakes);

/* Idempotent on (id, revision). */
int update_campaign_start(struct update *update, const struct update_actor *actor, const struct json *document, update_reply reply, void *ctx);
int update_campaign_plan(struct update *update, const struct json *document, update_reply reply, void *ctx);
/*
 * The same for a signed campaign (JWS in compact form, copied): verified on a worker, its claims judged by this gateway's id, groups
 * and clock, and by the scope of its key; then as above. Refused with the errors of trust/jws.h, and not-for-this-gateway,
 * document-not-yet-valid, document-expired, clock-not-credible, key-expired, key-scope. Every acceptance and refusal is in the audit
 * with the key as principal. One that is older than it should be (design: 24 h older than the newest of its key, or than the store)
 * is accepted paused by `needs-approval`.
 */
int update_campaign_start_signed(struct update *update, const struct update_actor *actor, const char *jws, size_t size, update_reply reply,
                                 void *ctx);
int update_campaign_plan_signed(struct update *update, const char *jws, size_t size, update_reply reply, void *ctx);
/* Also over a pause by threshold or gate: then only a resume undoes it. `why` in the person's words, NULL none. */
int update_campaign_pause(struct update *update, const struct update_actor *actor, const char *id, const char *why, update_reply reply, void *ctx);
/* After a pause by a person, a threshold or a removed key; what failed before is not counted by the thresholds any more. After a removed
 * key the actor answers for the campaign from now on. */
int update_campaign_resume(struct update *update, const struct update_actor *actor, const char *id, update_reply reply, void *ctx);
/* Lets it pass its gate, or begin where it was held (needs-approval). */
int update_campaign_continue(struct update *update, const struct update_actor *actor, const char *id, update_reply reply, void *ctx);
/* The result says which jobs could not be stopped any more, and why. */
int update_campaign_cancel(struct update *update, const struct update_actor *actor, const char *id, update_reply reply, void *ctx);

/* Queues jobs again that ended without success: of these devices, or with these error names; both NULL: all of them. */
struct update_retry {
        const char *id;
        const struct str_list *devices;
        const struct str_list *errors;
};
int update_campaign_retry(struct update *update, const struct update_actor *actor, const struct update_retry *retry, update_reply reply, void *ctx);

/* Reads, at once. *ret_json is the caller's. campaign-unknown. */
int update_campaign_list(struct update *update, bool only_unfinished, struct json **ret_json);
/* Which jobs of a campaign are described, asked in their order. */
struct update_jobs_wanted {
        bool (*wanted)(void *ctx, const char *device, enum job_state state); /* NULL: all */
        void *ctx;
        bool steps; /* with the history of steps */
};
/* {campaign, document, jobs}. */
int update_campaign_get(struct update *update, const char *id, int64_t revision, const struct update_jobs_wanted *wanted, struct json **ret_json,
                        struct gw_error *err);
/* The running or newest job of a device, and the id of its campaign (STR_ID_MAX + 1 bytes). -ENOENT: it never had one. */
int update_device_job(struct update *update, const char *device, struct json **ret_job, char *ret_campaign);
/* What runs now, as the progress of a listener: {campaign, revision, device, step, percent, ...}; found() lends. At most `limit`; gives how many there
 * are. */
size_t update_each_running(struct update *update, size_t limit, void (*found)(void *ctx, struct json *progress), void *ctx);
int update_campaign_report(struct update *update, const char *id, int64_t revision, struct json **ret_json, struct gw_error *err);

/* Reads what one device runs (GW_OPERATION_INSPECT), or diagnoses it. Result: {device, notes, result | error}. device-unknown,
 * not-supported, busy. */
int update_device_visit(struct update *update, const char *device_id, enum gw_operation_kind kind, update_reply reply, void *ctx);

/* Reads a file of the cache with the registered formats: {sha256, size, format, version, compatible, parts, warnings, facts}. */
int update_artifact_inspect(struct update *update, const uint8_t sha256[DIGEST_SIZE], update_reply reply, void *ctx);

/* Notes an act of a person that is no campaign into the audit chain: device.adopt and its like. */
int update_audit(struct update *update, const struct update_actor *actor, const char *command, const char *device, const char *result);

/* The keys that count from now on (a reference is taken). Campaigns whose key is gone, or is another one than before, are paused. Also
 * before update_begin(). NULL: none. */
void update_set_keyring(struct update *update, struct keyring *keyring);
const struct keyring *update_keyring(const struct update *update); /* NULL: none */
/* Other keys are loaded: unfinished campaigns whose key is not known any more are paused (key-revoked). Also after update_new(). */
void update_keys_changed(struct update *update, bool (*is_known)(void *ctx, const char *kid), void *ctx);

struct update_listener {
        /* Durable, in order of seq. */
        void (*event)(void *ctx, const struct event_row *event);
        /* Unnumbered, never stored: a job moved. {campaign, device, step, done, total, ...}, lent. At most a few a second and job. */
        void (*progress)(void *ctx, const struct json *progress);
};
/* listener must live until update_unlisten(). At most 8. */
int update_listen(struct update *update, const struct update_listener *listener, void *ctx);
void update_unlisten(struct update *update, const struct update_listener *listener, void *ctx);

struct update_counts {
        size_t n_campaigns; /* unfinished */
        size_t n_jobs;      /* unfinished */
        size_t n_running;
        uint64_t n_finished; /* jobs since the daemon began */
};
struct update_counts update_count(const struct update *update);
