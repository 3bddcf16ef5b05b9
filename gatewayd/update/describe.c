/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/error_catalogue.h"
#include "base/str.h"
#include "update/eta.h"

#define REPORT_DEVICES_MAX 100

/* JSON of campaigns and jobs as schemas/reply.schema.json and report.schema.json have them. */

static void set_time(struct json *json, const char *key, int64_t wall_ms) {
        char text[TIME_RFC3339_SIZE];
        if (wall_ms > 0 && time_format_rfc3339(text, sizeof text, wall_ms) >= 0)
                json_set_string(json, key, text);
}

static void set_digest(struct json *json, const char *key, const uint8_t digest[DIGEST_SIZE]) {
        char hex[DIGEST_HEX_SIZE];
        str_hex_encode(hex, sizeof hex, digest, DIGEST_SIZE);
        json_set_string(json, key, hex);
}

void error_describe(const struct update *update, struct json *json, const char *name, const char *text) {
        const struct gw_error_info *info = driver_registry_error(update->options.registry, name);
        struct json *error = json_set_new_object(json, "error");
        json_set_string(error, "name", name);
        json_set_string(error, "text", text ? text : "");
        json_set_string(error, "advice", info ? info->advice : NULL);
}

/* --- campaign --- */

struct tally {
        int64_t states[JOB_STATE_COUNT_], results[GW_RESULT_REPORTED + 1], total;
};

static void count(struct tally *tally, enum job_state state, const char *result, int64_t n_jobs) {
        enum gw_result parsed;
        tally->states[state] += n_jobs;
        tally->total += n_jobs;
        if (result && result_parse(result, &parsed) >= 0)
                tally->results[parsed] += n_jobs;
}

static int count_rows(void *ctx, const char *state, const char *result, int64_t n_jobs) {
        enum job_state parsed;
        if (job_state_parse(state, &parsed) >= 0)
                count(ctx, parsed, result, n_jobs);
        return 0;
}

/* Of the jobs in memory, else of their rows. */
static void add_counts(const struct campaign *campaign, struct json *json) {
        struct tally tally = { 0 };
        struct json *list = json_set_new_object(json, "counts");
        const struct job *job;
        if (campaign->n_jobs == 0 && campaign->row.campaign_id)
                (void) job_table_count(campaign->update->options.store, campaign->row.campaign_id, count_rows, &tally);
        LIST_FOREACH(job, &campaign->jobs, link)
                count(&tally, job->state, job->row.result, 1);
        json_set_int(list, "total", tally.total);
        for (int i = 0; i < JOB_STATE_COUNT_; i++)
                json_set_int(list, job_state_name((enum job_state) i), tally.states[i]);
        list = json_set_new_object(json, "results");
        for (int i = 0; i < GW_RESULT_REPORTED; i++)
                if (tally.results[i] > 0)
                        json_set_int(list, result_name((enum gw_result) i), tally.results[i]);
}

/* From what the devices before took; nothing while none has succeeded. */
static void add_eta(const struct campaign *campaign, struct json *json) {
        struct eta_load loads[CAMPAIGN_WAVES_MAX + 1] = { 0 };
        struct eta_rollout rollout = { .waves = loads,
                                       .n_waves = rollout_n_waves(campaign),
                                       .concurrency = campaign->document->policy.concurrency,
                                       .soak_ms = campaign->document->policy.soak_ms,
                                       .windows = hold_windows(campaign) };
        int64_t now_ms = update_wall_ms(campaign->update), average_ms = campaign_average_ms(campaign), ends_ms;
        const struct job *job;
        if (campaign->visiting || campaign->state != CAMPAIGN_STATE_IN_PROGRESS || average_ms == 0)
                return;
        LIST_FOREACH(job, &campaign->jobs, link)
                if (!job_is_final(job))
                        eta_add(&loads[MIN((size_t) job->row.wave, rollout.n_waves - 1)], average_ms);
        ends_ms = eta_of_rollout(&rollout, now_ms);
        if (ends_ms == INT64_MAX)
                return;
        json_set_int(json, "eta_ms", ends_ms - now_ms);
        set_time(json, "eta", ends_ms / 1000 * 1000);
}

int campaign_describe(const struct campaign *campaign, struct json **ret_json) {
        _cleanup_json_ struct json *json = json_new_object();
        if (!json)
                return -ENOMEM;
        json_set_string(json, "id", campaign->row.id);
        json_set_int(json, "revision", campaign->row.revision);
        json_set_string(json, "state", campaign->row.state);
        json_set_string(json, "reason", campaign->row.reason);
        json_set_string(json, "comment", campaign->document->comment);
        json_set_string(json, "source", campaign->row.source);
        json_set_string(json, "principal", campaign->row.principal);
        set_digest(json, "digest", campaign->row.digest);
        set_time(json, "accepted", campaign->row.accepted_ms);
        set_time(json, "deadline", campaign->row.deadline_ms);
        set_time(json, "finished", campaign->row.finished_ms);
        if (campaign->document->rollback)
                json_set_string(json, "rollback", "other-slot");
        json_set_int(json, "wave", campaign->row.wave + 1);
        json_set_int(json, "waves", (int64_t) rollout_n_waves(campaign));
        json_set_string(json, "rollback_of", campaign->document->rollback_of);
        if (campaign->state == CAMPAIGN_STATE_IN_PROGRESS)
                json_set_string(json, "waits", campaign->hold);
        add_eta(campaign, json);
        add_counts(campaign, json);
        *ret_json = TAKE_PTR(json);
        return 0;
}

/* --- job --- */

static void add_progress(const struct job *job, struct json *json) {
        if (job->progress_total == 0)
                return;
        json_set_int(json, "percent", (int64_t) (job->progress_done * 100 / job->progress_total));
        json_set_int(json, "done_bytes", (int64_t) job->progress_done);
        json_set_int(json, "total_bytes", (int64_t) job->progress_total);
        if (job->progress_rate > 0) {
                json_set_int(json, "rate_bytes_s", job->progress_rate);
                json_set_int(json, "eta_ms", (int64_t) (job->progress_total - job->progress_done) * 1000 / job->progress_rate);
        }
}

const char *job_reason(const struct job *job) {
        const struct campaign *campaign = job->campaign;
        if (job_is_final(job) || job->run)
                return job_is_final(job) ? job->row.reason : NULL;
        if (campaign->state == CAMPAIGN_STATE_PAUSED && !job_must_end(job))
                return "paused";
        if (job->row.reason)
                return job->row.reason;
        if (!rollout_is_open(job))
                return "wave";
        if (campaign->hold && campaign->state == CAMPAIGN_STATE_IN_PROGRESS)
                return campaign->hold;
        for (size_t i = 0; i < campaign->n_files; i++)
                if (!gw_error_is_set(&campaign->files[i].error) && !package_is_ready(campaign->files[i].user.package))
                        return campaign->files[i].waiting[0] ? campaign->files[i].waiting : "fetching";
        return campaign->state == CAMPAIGN_STATE_IN_PROGRESS ? "concurrency" : NULL;
}

static void add_result(struct job *job, struct json *json) {
        const struct job_row *row = &job->row;
        json_set_string(json, "result", row->result);
        json_set_string(json, "proof", row->proof);
        if (row->error_name)
                error_describe(job->campaign->update, json, row->error_name, row->error_text);
        if (json_length(job->notes) > 0)
                json_set(json, "notes", json_ref(job->notes));
        json_set_string(json, "version_before", row->version_before);
        json_set_string(json, "version_after", row->version_after);
        json_set_string(json, "hash_before", row->hash_before);
        json_set_string(json, "hash_after", row->hash_after);
}

void job_describe_end(const struct job *job, struct json *json) {
        const struct job_row *row = &job->row;
        json_set_string(json, "state", row->state);
        json_set_string(json, "result", row->result);
        json_set_string(json, "reason", row->reason);
        json_set_string(json, "error", row->error_name);
        json_set_string(json, "text", row->error_text);
        json_set_int(json, "attempt", row->attempt);
        set_time(json, "finished", row->finished_ms);
}

/* As it stands in the row. */
static struct json *history_of(const struct job *job) {
        struct json *history = NULL;
        if (!job->row.history || json_parse(job->row.history, strlen(job->row.history), 0, &history, NULL) < 0)
                return NULL;
        return history;
}

static void add_ends(const struct job *job, struct json *json) {
        struct json *history = history_of(job);
        if (history)
                json_set(json, "history", history);
}

static int add_step(void *ctx, struct step_row *row) {
        struct json *json = json_append_new_object(ctx);
        if (!json)
                return -ENOMEM;
        json_set_int(json, "n", row->n);
        json_set_string(json, "name", row->name);
        json_set_int(json, "attempt", row->attempt);
        set_time(json, "entered", row->entered_ms);
        return 0;
}

static int add_target(void *ctx, struct target_row *row) {
        struct json *json = json_append_new_object(ctx), *error;
        if (!json)
                return -ENOMEM;
        json_set_string(json, "key", row->key);
        json_set_string(json, "state", row->state);
        json_set_string(json, "result", row->result);
        json_set_string(json, "proof", row->proof);
        if (row->error_name) {
                error = json_set_new_object(json, "error");
                json_set_string(error, "name", row->error_name);
                json_set_string(error, "text", row->error_text);
        }
        return 0;
}

static int add_history(struct job *job, bool with_steps, struct json *json) {
        struct store *store = job->campaign->update->options.store;
        _cleanup_json_ struct json *targets = json_new_array();
        int r = targets ? job_table_each_target(store, job->row.job_id, add_target, targets) : -ENOMEM;
        if (r >= 0 && json_length(targets) > 0)
                r = json_set(json, "targets", json_ref(targets));
        if (r < 0 || !with_steps)
                return r;
        return job_table_each_step(store, job->row.job_id, add_step, json_set_new_array(json, "steps"));
}

int job_describe(struct job *job, bool with_steps, struct json **ret_json) {
        const struct job_row *row = &job->row;
        _cleanup_json_ struct json *json = json_new_object();
        const char *reason = job_reason(job);
        int r;
        if (!json)
                return -ENOMEM;
        json_set_string(json, "device", row->device);
        json_set_string(json, "name", job->device ? device_name(job->device) : NULL);
        json_set_string(json, "state", row->state);
        json_set_string(json, "reason", reason);
        if (job->state == JOB_STATE_IN_PROGRESS && reason)
                json_set_bool(json, "waiting", true);
        json_set_string(json, "step", job->run && run_step_name(job->run)[0] ? run_step_name(job->run) : row->step);
        if (job->run)
                add_progress(job, json);
        json_set_int(json, "wave", row->wave + 1);
        json_set_int(json, "attempt", row->attempt);
        json_set_int(json, "attempts", job->campaign->document->policy.attempts);
        json_set_bool(json, "committed", row->committed);
        if (row->has_artifact)
                set_digest(json, "artifact", row->artifact);
        add_result(job, json);
        add_ends(job, json);
        set_time(json, "queued", row->queued_ms);
        set_time(json, "started", row->started_ms);
        set_time(json, "finished", row->finished_ms);
        r = add_history(job, with_steps, json);
        if (r >= 0)
                *ret_json = TAKE_PTR(json);
        return r;
}

int job_describe_result(struct job *job, struct json **ret_json) {
        _cleanup_json_ struct json *json = json_new_object();
        if (!json)
                return -ENOMEM;
        json_set_string(json, "state", job->row.state);
        json_set_string(json, "reason", job->row.reason);
        add_result(job, json);
        if (job->row.started_ms > 0 && job->row.finished_ms >= job->row.started_ms)
                json_set_int(json, "duration_ms", job->row.finished_ms - job->row.started_ms);
        *ret_json = TAKE_PTR(json);
        return 0;
}

struct json *progress_describe(const struct job *job) {
        struct json *json = json_new_object();
        if (!json)
                return NULL;
        json_set_string(json, "campaign", job->campaign->row.id);
        json_set_int(json, "revision", job->campaign->row.revision);
        json_set_string(json, "device", job->row.device);
        if (job->run && run_step_name(job->run)[0])
                json_set_string(json, "step", run_step_name(job->run));
        add_progress(job, json);
        if (!job->run)
                json_set_string(json, "waiting", job->row.reason);
        json_set_int(json, "attempt", job->row.attempt);
        return json;
}

/* --- what a door asks --- */

struct row_ids {
        struct json *list;
        struct update *update;
};

/* What lives in memory is newer than its row; what is finished is not loaded with its jobs for a line of a list. */
static int describe_row(void *ctx, struct campaign_row *row) {
        struct row_ids *rows = ctx;
        struct campaign *campaign, *loaded = NULL;
        struct campaign_row taken = *row;
        struct json *json = NULL;
        int r = 0;
        LIST_FOREACH(campaign, &rows->update->campaigns, link)
                if (campaign->row.campaign_id == row->campaign_id)
                        break;
        if (&campaign->link == &rows->update->campaigns) {
                memset(row, 0, sizeof *row);
                r = campaign_look_at_row(rows->update, &taken, &loaded);
                campaign = loaded;
        }
        if (r >= 0)
                r = campaign_describe(campaign, &json);
        if (r >= 0)
                r = json_append(rows->list, json);
        campaign_free(loaded);
        return r;
}

int update_campaign_list(struct update *update, bool only_unfinished, struct json **ret_json) {
        _cleanup_json_ struct json *list = json_new_array();
        struct row_ids rows = { .list = list, .update = update };
        int r = list ? campaign_table_each(update->options.store, only_unfinished, describe_row, &rows) : -ENOMEM;
        if (r >= 0)
                *ret_json = TAKE_PTR(list);
        return r;
}

static bool is_wanted(const struct update_jobs_wanted *wanted, const struct job *job) {
        return !wanted || !wanted->wanted || wanted->wanted(wanted->ctx, job->row.device, job->state);
}

static int describe_whole(struct campaign *campaign, const struct update_jobs_wanted *wanted, struct json *json) {
        struct json *summary = NULL, *document = NULL, *jobs;
        struct job *job;
        int r = campaign_describe(campaign, &summary);
        if (r >= 0)
                r = json_set(json, "campaign", summary);
        if (r >= 0)
                r = campaign_document_write(campaign->document, &document);
        if (r >= 0)
                r = json_set(json, "document", document);
        jobs = json_set_new_array(json, "jobs");
        if (r < 0 || !jobs)
                return r < 0 ? r : -ENOMEM;
        LIST_FOREACH(job, &campaign->jobs, link) {
                struct json *row = NULL;
                if (!is_wanted(wanted, job))
                        continue;
                r = job_describe(job, wanted && wanted->steps, &row);
                if (r >= 0)
                        r = json_append(jobs, row);
                if (r < 0)
                        return r;
        }
        return 0;
}

int update_campaign_get(struct update *update, const char *id, int64_t revision, const struct update_jobs_wanted *wanted, struct json **ret_json,
                        struct gw_error *err) {
        _cleanup_json_ struct json *json = json_new_object();
        struct campaign *campaign;
        bool loaded;
        int r = campaign_look(update, id, revision, &campaign, &loaded, err);
        if (r < 0)
                return r;
        r = json ? describe_whole(campaign, wanted, json) : -ENOMEM;
        if (loaded)
                campaign_free(campaign);
        if (r >= 0)
                *ret_json = TAKE_PTR(json);
        return r;
}

/* --- one device --- */

static int take_newest(void *ctx, struct job_row *row) {
        struct job_row *newest = ctx;
        *newest = *row;
        memset(row, 0, sizeof *row);
        return 0;
}

static int describe_row_of_job(struct update *update, struct job_row *row, struct json **ret_job, char *ret_campaign) {
        struct campaign *campaign;
        struct job *job;
        int r = campaign_look_at_job(update, row, &campaign, &job);
        if (r < 0)
                return r;
        (void) str_copy(ret_campaign, STR_ID_MAX + 1, campaign->row.id);
        r = job_describe(job, false, ret_job);
        campaign_free(campaign);
        return r;
}

int update_device_job(struct update *update, const char *device_id, struct json **ret_job, char *ret_campaign) {
        struct gw_device *device = fleet_find(update->options.fleet, device_id);
        struct device_work *work = device ? device->work : NULL;
        struct job *job, *live = work ? work->running : NULL;
        _cleanup_job_row_ struct job_row row = { 0 };
        int r;
        if (!live && work)
                LIST_FOREACH(job, &work->jobs, device_link)
                        if (!live || !job_is_final(job))
                                live = job;
        if (live) {
                (void) str_copy(ret_campaign, STR_ID_MAX + 1, live->campaign->row.id);
                return job_describe(live, false, ret_job);
        }
        r = job_table_each_of_device(update->options.store, device_id, 1, take_newest, &row);
        if (r < 0 || !row.job_id)
                return r < 0 ? r : -ENOENT;
        return describe_row_of_job(update, &row, ret_job, ret_campaign);
}

/* --- what runs --- */

static void describe_running(const struct job *job, void (*found)(void *ctx, struct json *progress), void *ctx) {
        _cleanup_json_ struct json *progress = progress_describe(job);
        if (progress)
                found(ctx, progress);
}

size_t update_each_running(struct update *update, size_t limit, void (*found)(void *ctx, struct json *progress), void *ctx) {
        struct campaign *campaign;
        struct job *job;
        size_t n_running = 0;
        LIST_FOREACH(campaign, &update->campaigns, link)
                if (campaign->n_running > 0)
                        LIST_FOREACH(job, &campaign->jobs, link)
                                if (job->run && n_running++ < limit)
                                        describe_running(job, found, ctx);
        return n_running;
}

/* --- the report --- */

static struct json *failure_of(const struct update *update, struct json *failures, const char *name) {
        const struct gw_error_info *info;
        struct json *row;
        JSON_FOREACH_ITEM(i, known, failures)
                if (str_equal(json_member_text(known, "name"), name))
                        return known;
        row = json_append_new_object(failures);
        info = driver_registry_error(update->options.registry, name);
        json_set_string(row, "name", name);
        json_set_string(row, "class", info ? error_class_name(info->class_) : "terminal");
        json_set_string(row, "meaning", info ? info->meaning : "");
        json_set_string(row, "advice", info ? info->advice : "");
        json_set_int(row, "count", 0);
        json_set_new_array(row, "devices");
        json_set_bool(row, "cut", false);
        return row;
}

static void count_device(struct json *row, struct json *device) {
        struct json *devices = json_child(row, "devices");
        int64_t count = 0;
        (void) json_member_int(row, "count", 0, INT64_MAX, &count);
        json_set_int(row, "count", count + 1);
        if (json_length(devices) < REPORT_DEVICES_MAX) {
                json_append(devices, device);
                return;
        }
        json_set_bool(row, "cut", true);
        json_free(device);
}

static struct json *unseen_device(const struct job *job) {
        struct json *row = json_new_object();
        json_set_string(row, "device", job->row.device);
        if (job->device) {
                json_set_string(row, "name", device_name(job->device));
                set_time(row, "last_seen", job->device->last_seen_ms);
        }
        return row;
}

/* Most frequent first. */
static struct json *sort_failures(const struct json *failures) {
        struct json *sorted = json_new_array();
        size_t n = json_length(failures);
        bool taken[UPDATE_ERRORS_MAX] = { false };
        for (size_t i = 0; i < MIN(n, (size_t) UPDATE_ERRORS_MAX); i++) {
                int64_t most = -1;
                size_t best = 0;
                for (size_t j = 0; j < MIN(n, (size_t) UPDATE_ERRORS_MAX); j++) {
                        int64_t count = 0;
                        (void) json_member_int(json_at(failures, j), "count", 0, INT64_MAX, &count);
                        if (taken[j] || count <= most)
                                continue;
                        most = count;
                        best = j;
                }
                taken[best] = true;
                json_append(sorted, json_ref(json_at(failures, best)));
        }
        return sorted;
}

static struct json *new_group(struct json *json, const char *member) {
        struct json *group = json_set_new_object(json, member);
        json_set_int(group, "count", 0);
        json_set_new_array(group, "devices");
        json_set_bool(group, "cut", false);
        return group;
}

static struct json *retried_device(const struct job *job) {
        struct json *row = json_new_object();
        json_set_string(row, "device", job->row.device);
        json_set_string(row, "state", job->row.state);
        add_ends(job, row);
        return row;
}

struct wave_tally {
        int64_t n_devices, n_succeeded, n_failed, n_open;
};

static void count_wave(struct wave_tally *tally, const struct job *job) {
        tally->n_devices++;
        tally->n_succeeded += job->state == JOB_STATE_SUCCEEDED;
        tally->n_failed += job->state == JOB_STATE_FAILED;
        tally->n_open += !job_is_final(job);
}

static void add_wave_tallies(const struct campaign *campaign, struct json *json) {
        struct wave_tally tallies[CAMPAIGN_WAVES_MAX + 1] = { 0 };
        size_t n_waves = rollout_n_waves(campaign);
        struct json *waves = json_set_new_array(json, "waves");
        const struct job *job;
        LIST_FOREACH(job, &campaign->jobs, link)
                count_wave(&tallies[MIN((size_t) job->row.wave, n_waves - 1)], job);
        for (size_t i = 0; i < n_waves; i++) {
                struct json *row = json_append_new_object(waves);
                json_set_int(row, "wave", (int64_t) i + 1);
                json_set_int(row, "devices", tallies[i].n_devices);
                json_set_int(row, "succeeded", tallies[i].n_succeeded);
                json_set_int(row, "failed", tallies[i].n_failed);
                json_set_int(row, "open", tallies[i].n_open);
        }
}

int campaign_describe_report(struct campaign *campaign, struct json **ret_json) {
        const struct update *update = campaign->update;
        _cleanup_json_ struct json *json = json_new_object(), *failures = json_new_array();
        struct json *summary = NULL, *not_seen, *retried;
        struct job *job;
        int r = json && failures ? campaign_describe(campaign, &summary) : -ENOMEM;
        if (r < 0)
                return r;
        json_set_string(json, "schema", "gatewayd/report/1");
        json_set_string(json, "epoch", store_epoch(update->options.store));
        set_time(json, "created", update_wall_ms(update));
        json_set(json, "campaign", summary);
        not_seen = new_group(json, "not_seen");
        retried = new_group(json, "retried");
        LIST_FOREACH(job, &campaign->jobs, link) {
                const char *reason = job_reason(job);
                if (job->row.error_name)
                        count_device(failure_of(update, failures, job->row.error_name), json_new_string(job->row.device));
                if (reason && strcmp(reason, "not-seen") == 0)
                        count_device(not_seen, unseen_device(job));
                if (job->row.history)
                        count_device(retried, retried_device(job));
        }
        json_set(json, "failures", sort_failures(failures));
        add_wave_tallies(campaign, json);
        if (campaign->row.finished_ms > 0)
                json_set_int(json, "duration_ms", campaign->row.finished_ms - campaign->row.accepted_ms);
        *ret_json = TAKE_PTR(json);
        return 0;
}

int update_campaign_report(struct update *update, const char *id, int64_t revision, struct json **ret_json, struct gw_error *err) {
        struct campaign *campaign;
        bool loaded;
        int r = campaign_look(update, id, revision, &campaign, &loaded, err);
        if (r < 0)
                return r;
        r = campaign_describe_report(campaign, ret_json);
        if (loaded)
                campaign_free(campaign);
        return r;
}
