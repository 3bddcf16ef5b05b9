/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/log.h"

#define BACKOFF_FIRST_MS 2000

int64_t update_wall_ms(const struct update *update) {
        return clock_wall_ms(update->options.clock);
}

bool update_is_credible(const struct update *update) {
        return !update->options.clock_is_credible || update->options.clock_is_credible(update->options.clock_ctx);
}

struct campaign *update_find_campaign(struct update *update, const char *id) {
        struct campaign *campaign, *found = NULL;
        LIST_FOREACH(campaign, &update->campaigns, link)
                if (strcmp(campaign->row.id, id) == 0 && (!found || campaign->row.revision > found->row.revision))
                        found = campaign;
        return found;
}

struct campaign *update_find_loaded(struct update *update, int64_t campaign_id) {
        struct campaign *campaign;
        LIST_FOREACH(campaign, &update->campaigns, link)
                if (campaign->row.campaign_id == campaign_id)
                        return campaign;
        return NULL;
}

/* --- answers --- */

struct pending_reply {
        struct list link; /* update.replies */
        struct update *update;
        struct json *result;
        struct gw_error err;
        struct json_errors *mistakes;
        update_reply reply;
        void *ctx;
        struct store_wait *wait;
        struct loop_deferral *deferral;
};

static void reply_free(struct pending_reply *pending) {
        store_sync_cancel(pending->wait);
        loop_defer_cancel(pending->deferral);
        list_remove(&pending->link);
        json_free(pending->result);
        free(pending->mistakes);
        free(pending);
}

static void deliver(struct pending_reply *pending) {
        pending->wait = NULL;
        pending->deferral = NULL;
        pending->reply(pending->ctx, pending->result, gw_error_is_set(&pending->err) ? &pending->err : NULL, pending->mistakes);
        reply_free(pending);
}

static void reply_synced(void *ctx, int result) {
        struct pending_reply *pending = ctx;
        if (result < 0) {
                json_free(TAKE_PTR(pending->result));
                gw_error_set(&pending->err, "store-failed", "the order could not be written down: %s", strerror(-result));
        }
        deliver(pending);
}

static void reply_deferred(void *ctx) {
        deliver(ctx);
}

static struct pending_reply *reply_new(struct update *update, update_reply reply, void *ctx) {
        struct pending_reply *pending = calloc(1, sizeof *pending);
        if (!pending)
                return NULL;
        *pending = (struct pending_reply){ .update = update, .reply = reply, .ctx = ctx };
        list_init(&pending->link);
        list_append(&update->replies, &pending->link);
        return pending;
}

int reply_after_sync(struct update *update, struct json *result, update_reply reply, void *ctx) {
        struct pending_reply *pending = result ? reply_new(update, reply, ctx) : NULL;
        int r;
        if (!pending) {
                json_free(result);
                return -ENOMEM;
        }
        pending->result = result;
        r = store_sync(update->options.store, reply_synced, pending, &pending->wait);
        if (r < 0)
                reply_free(pending);
        return r;
}

static struct pending_reply *error_new(struct update *update, const struct gw_error *err, const struct json_errors *mistakes, update_reply reply, void *ctx) {
        struct pending_reply *pending = reply_new(update, reply, ctx);
        if (!pending)
                return NULL;
        pending->err = *err;
        pending->mistakes = mistakes ? malloc(sizeof *mistakes) : NULL;
        if (pending->mistakes)
                *pending->mistakes = *mistakes;
        return pending;
}

int reply_error_after_sync(struct update *update, const struct gw_error *err, const struct json_errors *mistakes, update_reply reply, void *ctx) {
        struct pending_reply *pending = error_new(update, err, mistakes, reply, ctx);
        int r = pending ? store_sync(update->options.store, reply_synced, pending, &pending->wait) : -ENOMEM;
        if (r < 0 && pending)
                reply_free(pending);
        return r;
}

int reply_error(struct update *update, const struct gw_error *err, const struct json_errors *mistakes, update_reply reply, void *ctx) {
        struct pending_reply *pending = error_new(update, err, mistakes, reply, ctx);
        int r;
        if (!pending)
                return -ENOMEM;
        r = loop_defer(update->options.loop, reply_deferred, pending, &pending->deferral);
        if (r < 0)
                reply_free(pending);
        return r;
}

void replies_drop(struct update *update) {
        struct pending_reply *pending, *spare;
        LIST_FOREACH_SAFE(pending, spare, &update->replies, link)
                reply_free(pending);
}

/* --- campaigns from the store --- */

static int load_job(void *ctx, struct job_row *row) {
        struct campaign *campaign = ctx;
        struct job_row taken = *row;
        struct job *job;
        int r;
        memset(row, 0, sizeof *row);
        r = job_new(campaign, fleet_find(campaign->update->options.fleet, taken.device), &taken, &job);
        job_row_clear(&taken);
        return r;
}

static int parse_row(const struct campaign_row *row, struct campaign_document **ret_document) {
        return campaign_document_parse(row->document, strlen(row->document), NULL, ret_document, NULL);
}

/* Without its jobs. Takes row over. */
static int load_bare(struct update *update, struct campaign_row *row, struct campaign **ret_campaign) {
        struct campaign_document *document = NULL;
        int r = parse_row(row, &document);
        if (r >= 0)
                r = campaign_new(update, row, document, ret_campaign);
        if (r < 0) {
                campaign_document_free(document);
                campaign_row_clear(row);
        }
        return r;
}

/* A zone that was there when it was accepted; without it nothing starts. */
static void read_windows(struct campaign *campaign) {
        struct gw_error err = { 0 };
        if (hold_read_windows(campaign, &err) < 0)
                log_error(&(struct log_fields){ .campaign = campaign->row.id, .error = err.name }, "%s", err.text);
}

int campaign_load(struct update *update, struct campaign_row *row, bool visiting, struct campaign **ret_campaign) {
        struct campaign *campaign;
        int64_t campaign_id = row->campaign_id;
        int r = load_bare(update, row, &campaign);
        if (r < 0)
                return r;
        campaign->visiting = visiting;
        campaign->look = campaign->has_begun = true;
        if (!visiting) {
                list_append(&update->campaigns, &campaign->link);
                read_windows(campaign);
                r = rollback_add_candidates(campaign);
        }
        if (r >= 0)
                r = job_table_each_of_campaign(update->options.store, campaign_id, load_job, campaign);
        if (r < 0) {
                campaign_free(campaign);
                return r;
        }
        *ret_campaign = campaign;
        return 0;
}

int campaign_look(struct update *update, const char *id, int64_t revision, struct campaign **ret_campaign, bool *ret_loaded, struct gw_error *err) {
        struct campaign_row row = { 0 };
        /* The store is asked first: a lower revision may still be in memory for its last job when the highest is over. */
        int r = campaign_table_find(update->options.store, id, revision, &row);
        struct campaign *campaign = r >= 0 ? update_find_loaded(update, row.campaign_id) : NULL;
        if (campaign) {
                campaign_row_clear(&row);
                *ret_campaign = campaign;
                *ret_loaded = false;
                return 0;
        }
        if (r >= 0)
                r = campaign_load(update, &row, true, ret_campaign);
        if (r < 0) {
                gw_error_set(err, "campaign-unknown", "no campaign %s is known", id);
                return r == -ENOENT ? r : -EIO;
        }
        *ret_loaded = true;
        return 0;
}

int campaign_look_at_row(struct update *update, struct campaign_row *row, struct campaign **ret_campaign) {
        int r = load_bare(update, row, ret_campaign);
        if (r >= 0)
                (*ret_campaign)->visiting = true;
        return r;
}

int campaign_look_at_job(struct update *update, struct job_row *row, struct campaign **ret_campaign, struct job **ret_job) {
        struct campaign_row campaign_row = { 0 };
        int r = campaign_table_fetch(update->options.store, row->campaign_id, &campaign_row);
        if (r >= 0)
                r = campaign_look_at_row(update, &campaign_row, ret_campaign);
        if (r < 0)
                return r;
        r = job_new(*ret_campaign, fleet_find(update->options.fleet, row->device), row, ret_job);
        if (r < 0)
                campaign_free(*ret_campaign);
        return r;
}

struct row_list {
        struct campaign_row *rows;
        size_t n_rows;
};

static int take_row(void *ctx, struct campaign_row *row) {
        struct row_list *list = ctx;
        struct campaign_row *rows = realloc(list->rows, (list->n_rows + 1) * sizeof *rows);
        if (!rows)
                return -ENOMEM;
        rows[list->n_rows++] = *row;
        memset(row, 0, sizeof *row);
        list->rows = rows;
        return 0;
}

static int load_unfinished(struct update *update, struct gw_error *err) {
        struct row_list list = { 0 };
        struct campaign *campaign;
        int r = campaign_table_each(update->options.store, true, take_row, &list);
        for (size_t i = 0; i < list.n_rows; i++) {
                char *id = strdup(list.rows[i].id);
                if (r >= 0)
                        r = campaign_load(update, &list.rows[i], false, &campaign);
                else
                        campaign_row_clear(&list.rows[i]);
                if (r < 0 && !gw_error_is_set(err))
                        gw_error_set(err, "store-corrupt", "campaign %s cannot be read from the store: %s", id ? id : "?", strerror(-r));
                free(id);
        }
        free(list.rows);
        return r;
}

/* A campaign can be final while jobs behind their point of no return go on; after a restart they are found here. */
static int take_orphan(void *ctx, struct job_row *row) {
        struct row_list *list = ctx;
        struct campaign_row *rows;
        for (size_t i = 0; i < list->n_rows; i++)
                if (list->rows[i].campaign_id == row->campaign_id)
                        return 0;
        rows = realloc(list->rows, (list->n_rows + 1) * sizeof *rows);
        if (!rows)
                return -ENOMEM;
        rows[list->n_rows++] = (struct campaign_row){ .campaign_id = row->campaign_id };
        list->rows = rows;
        return 0;
}

static int load_orphans(struct update *update) {
        struct row_list list = { 0 };
        struct campaign *campaign;
        int r = job_table_each_unfinished(update->options.store, take_orphan, &list);
        for (size_t i = 0; i < list.n_rows && r >= 0; i++) {
                struct campaign_row row = { 0 };
                if (update_find_loaded(update, list.rows[i].campaign_id))
                        continue;
                r = campaign_table_fetch(update->options.store, list.rows[i].campaign_id, &row);
                if (r >= 0)
                        r = campaign_load(update, &row, false, &campaign);
        }
        free(list.rows);
        return r;
}

/* --- life --- */

static void heard(void *ctx, struct gw_device *device, enum fleet_event event) {
        schedule_device(ctx, device, event);
}

int update_new(const struct update_options *options, struct update **ret_update, struct gw_error *err) {
        struct update *update = calloc(1, sizeof *update);
        int r;
        if (!update)
                return -ENOMEM;
        update->options = *options;
        if (!update->options.clock)
                update->options.clock = clock_real();
        if (update->options.backoff_first_ms == 0)
                update->options.backoff_first_ms = BACKOFF_FIRST_MS;
        list_init(&update->campaigns);
        list_init(&update->packages);
        list_init(&update->visits);
        list_init(&update->asking);
        list_init(&update->offers);
        list_init(&update->verifications);
        list_init(&update->signed_orders);
        list_init(&update->replies);
        update->announced_seq = event_table_newest(options->store);
        update->zones = time_zones_new(TIME_ZONE_DIRECTORY);
        if (!update->zones) {
                update_free(update);
                return -ENOMEM;
        }
        hold_read_gateway_windows(update);
        r = load_unfinished(update, err);
        if (r >= 0)
                r = load_orphans(update);
        if (r >= 0)
                r = fleet_listen(options->fleet, heard, update);
        if (r < 0) {
                update_free(update);
                return r;
        }
        *ret_update = update;
        return 0;
}

/* What becomes of the unfinished jobs of a campaign in this state; QUEUED: they go on. */
static enum job_state left_behind(enum campaign_state state) {
        switch (state) {
        case CAMPAIGN_STATE_CANCELED:
                return JOB_STATE_CANCELED;
        case CAMPAIGN_STATE_SUPERSEDED:
                return JOB_STATE_SUPERSEDED;
        case CAMPAIGN_STATE_COMPLETED:
        case CAMPAIGN_STATE_EXPIRED:
                return JOB_STATE_TIMED_OUT;
        case CAMPAIGN_STATE_SCHEDULED:
        case CAMPAIGN_STATE_IN_PROGRESS:
        case CAMPAIGN_STATE_PAUSED:
        case CAMPAIGN_STATE_COUNT_:
                break;
        }
        return JOB_STATE_QUEUED;
}

/* After a restart: what ran goes on, what a final campaign left behind ends. */
static void begin_campaign(struct campaign *campaign) {
        enum job_state state = left_behind(campaign->state);
        struct job *job, *spare;
        campaign_arm_deadline(campaign);
        campaign_begin_files(campaign);
        if (!campaign_state_is_final(campaign->state))
                hold_look(campaign); /* whoever asks before the first pass is told the right reason */
        LIST_FOREACH_SAFE(job, spare, &campaign->jobs, link) {
                if (job_is_final(job))
                        continue;
                if (state == JOB_STATE_QUEUED || job_stop(job, state) == -EBUSY)
                        job_make_ready(job);
        }
        if (!campaign_state_is_final(campaign->state))
                (void) campaign_take_devices(campaign);
}

void update_begin(struct update *update) {
        struct campaign *campaign, *spare;
        update->begun = true;
        LIST_FOREACH_SAFE(campaign, spare, &update->campaigns, link)
                begin_campaign(campaign);
        schedule(update);
}

static void tell_stopped(void *ctx) {
        struct update *update = ctx;
        update->stopped_timer = NULL;
        update->stopped(update->stopped_ctx);
}

void update_check_stopped(struct update *update) {
        if (!update->stopping || update->stopped_timer || update->n_running > 0 || update->n_visiting > 0 || !packages_are_idle(update) ||
            !list_is_empty(&update->verifications))
                return;
        (void) timer_start(update->options.loop, 0, tell_stopped, update, &update->stopped_timer);
}

void update_stop(struct update *update, void (*stopped)(void *ctx), void *ctx) {
        struct campaign *campaign;
        struct job *job;
        update->stopping = true;
        update->stopped = stopped;
        update->stopped_ctx = ctx;
        timer_cancel(TAKE_PTR(update->schedule_timer));
        timer_cancel(TAKE_PTR(update->upkeep_timer));
        LIST_FOREACH(campaign, &update->campaigns, link)
                LIST_FOREACH(job, &campaign->jobs, link)
                        if (job->run)
                                (void) run_stop(job->run, GW_STOP_SHUTDOWN);
        visits_stop(update);
        update_check_stopped(update);
}

void update_free(struct update *update) {
        struct campaign *campaign, *spare;
        if (!update)
                return;
        timer_cancel(update->schedule_timer);
        timer_cancel(update->upkeep_timer);
        timer_cancel(update->stopped_timer);
        if (update->announcing)
                store_sync_cancel(update->announce_wait);
        fleet_unlisten(update->options.fleet, heard, update);
        signed_orders_free(update);
        verifications_free(update);
        offers_free(update);
        LIST_FOREACH_SAFE(campaign, spare, &update->campaigns, link)
                campaign_free(campaign);
        replies_drop(update);
        keyring_unref(update->keyring);
        windows_free(update->windows);
        time_zones_free(update->zones);
        free(update);
}

void update_set_settings(struct update *update, const struct settings *settings) {
        update->options.settings = settings;
        hold_read_gateway_windows(update);
        schedule(update);
}

int update_listen(struct update *update, const struct update_listener *listener, void *ctx) {
        if (update->n_listeners == UPDATE_LISTENERS_MAX)
                return -ENOSPC;
        update->listeners[update->n_listeners].listener = listener;
        update->listeners[update->n_listeners++].ctx = ctx;
        return 0;
}

void update_unlisten(struct update *update, const struct update_listener *listener, void *ctx) {
        for (size_t i = 0; i < update->n_listeners; i++)
                if (update->listeners[i].listener == listener && update->listeners[i].ctx == ctx) {
                        update->listeners[i] = update->listeners[--update->n_listeners];
                        return;
                }
}

struct update_counts update_count(const struct update *update) {
        struct update_counts counts = { .n_running = update->n_running, .n_finished = update->n_finished };
        const struct campaign *campaign;
        LIST_FOREACH(campaign, &update->campaigns, link) {
                counts.n_campaigns += !campaign_state_is_final(campaign->state);
                counts.n_jobs += campaign->n_unfinished;
        }
        return counts;
}

/* --- files for people --- */

struct inspection {
        struct package_user user;
        struct update *update;
        update_reply reply;
        void *ctx;
};

static void inspected(void *ctx, struct package *package) {
        struct inspection *inspection = ctx;
        struct gw_error err = { 0 };
        struct json *json = NULL;
        if (package_error(package))
                err = *package_error(package);
        else if (package_describe(package, &json) < 0)
                gw_error_set(&err, "out-of-memory", "no memory to describe the file");
        if (json)
                (void) reply_after_sync(inspection->update, json, inspection->reply, inspection->ctx);
        else
                (void) reply_error(inspection->update, &err, NULL, inspection->reply, inspection->ctx);
        package_put(&inspection->user);
        free(inspection);
}

int update_artifact_inspect(struct update *update, const uint8_t sha256[DIGEST_SIZE], update_reply reply, void *ctx) {
        struct inspection *inspection = calloc(1, sizeof *inspection);
        int r;
        if (!inspection)
                return -ENOMEM;
        *inspection = (struct inspection){ .user = { .done = inspected, .ctx = inspection }, .update = update, .reply = reply, .ctx = ctx };
        r = package_get(update, sha256, &inspection->user);
        if (r < 0)
                free(inspection);
        return r;
}
