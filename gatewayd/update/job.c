/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"

/*
 *   queued (ready | waits) -> in_progress (a run | waits) -> succeeded, failed, timed_out, rejected, canceled, superseded
 *
 * A job that is ready stands in campaign.ready and is started by schedule.c; one that waits has wakes or a timer, stands in update.asking, or
 * waits for its device to be free. What is behind its point of no return goes on in a campaign that is paused or over, too, and so does a
 * canceled job that has to take its device back from a trial (winding_down).
 */

bool job_is_final(const struct job *job) {
        return job_state_is_final(job->state);
}

static struct json *read_notes(const char *text) {
        struct json *notes = NULL;
        if (text && json_parse(text, strlen(text), 0, &notes, NULL) >= 0 && json_kind(notes) == JSON_KIND_ARRAY)
                return notes;
        json_free(notes);
        return json_new_array();
}

int job_new(struct campaign *campaign, struct gw_device *device, struct job_row *row, struct job **ret_job) {
        struct device_work *work = device && !campaign->visiting ? device_work(campaign->update, device) : NULL;
        struct job *job = calloc(1, sizeof *job);
        if (!job || (device && !campaign->visiting && !work)) {
                free(job);
                return -ENOMEM;
        }
        job->campaign = campaign;
        job->row = *row;
        memset(row, 0, sizeof *row);
        job->notes = read_notes(job->row.notes);
        job->state = JOB_STATE_QUEUED;
        (void) job_state_parse(job->row.state, &job->state);
        list_init(&job->ready_link);
        list_init(&job->device_link);
        list_init(&job->link);
        list_append(&campaign->jobs, &job->link);
        campaign->n_jobs++;
        campaign->n_unfinished += !job_is_final(job);
        campaign->started_any |= job->row.started_ms > 0;
        if (device) {
                job->device = device;
                fleet_hold(device);
                if (work)
                        list_append(&work->jobs, &job->device_link);
        }
        *ret_job = job;
        return 0;
}

static void let_device_go(struct job *job) {
        struct gw_device *device = TAKE_PTR(job->device);
        if (!device)
                return;
        list_remove(&job->device_link);
        device_work_free(device);
        fleet_release(job->campaign->update->options.fleet, device);
}

void job_free(struct job *job) {
        store_sync_cancel(job->journal_wait);
        timer_cancel(job->wake_timer);
        run_free(job->run);
        list_remove(&job->ready_link);
        list_remove(&job->link);
        let_device_go(job);
        free(job->order);
        json_free(job->notes);
        job_row_clear(&job->row);
        free(job);
}

static int record_state(struct job *job, const char *type) {
        struct json *body = json_new_object();
        json_set_string(body, "state", job->row.state);
        json_set_string(body, "reason", job->row.reason);
        json_set_string(body, "step", job->row.step);
        json_set_int(body, "attempt", job->row.attempt);
        return record_event(job->campaign->update, type, job->campaign, job->row.device, body);
}

int job_create(struct campaign *campaign, struct gw_device *device, bool undecided) {
        struct update *update = campaign->update;
        _cleanup_job_row_ struct job_row row = { .campaign_id = campaign->row.campaign_id, .attempt = 1, .queued_ms = update_wall_ms(update) };
        struct job *job;
        int r;
        row.undecided = undecided;
        if (campaign->has_begun) /* it comes late */
                row.wave = (int64_t) rollout_n_waves(campaign) - 1;
        row.device = strdup(device->id);
        row.state = strdup(job_state_name(JOB_STATE_QUEUED));
        if (!row.device || !row.state)
                return -ENOMEM;
        r = job_table_insert(update->options.store, &row);
        if (r >= 0)
                r = job_new(campaign, device, &row, &job);
        if (r < 0)
                return r;
        job_make_ready(job);
        return record_state(job, "job-state");
}

/* --- waiting --- */

static int set_text(char **text, const char *value) {
        char *copy = value ? strdup(value) : NULL;
        if (value && !copy)
                return -ENOMEM;
        free(*text);
        *text = copy;
        return 0;
}

static void wake(void *ctx) {
        struct job *job = ctx;
        job->wake_timer = NULL;
        job_make_ready(job);
}

void job_wait(struct job *job, const char *reason, uint32_t wakes, int64_t delay_ms) {
        struct log_fields fields = { .campaign = job->campaign->row.id, .device = job->row.device, .step = job->row.step, .error = reason };
        list_remove(&job->ready_link);
        timer_cancel(TAKE_PTR(job->wake_timer));
        job->wakes = wakes;
        job->campaign->look = true;
        if (!str_equal(job->row.reason, reason)) {
                log_info(&fields, "%s waits: %s", job->row.device, reason);
                (void) set_text(&job->row.reason, reason);
                job_tell_progress(job);
        }
        if (delay_ms > 0)
                (void) timer_start(job->campaign->update->options.loop, delay_ms, wake, job, &job->wake_timer);
}

void job_place(struct job *job) {
        struct campaign *campaign = job->campaign;
        list_remove(&job->ready_link);
        if (job_must_end(job)) /* the pass looks no further in a campaign that starts nothing else */
                list_prepend(&campaign->ready, &job->ready_link);
        else
                list_append(rollout_is_open(job) ? &campaign->ready : &campaign->later, &job->ready_link);
        schedule(campaign->update);
}

void job_make_ready(struct job *job) {
        if (job_is_final(job) || job->run || list_is_linked(&job->ready_link))
                return;
        timer_cancel(TAKE_PTR(job->wake_timer));
        job->wakes = 0;
        job->campaign->look = true;
        job_place(job);
}

/* --- ending --- */

void job_note(struct job *job, const char *text) {
        size_t n = json_length(job->notes);
        const char *last = n > 0 ? json_string_or_null(json_at(job->notes, n - 1)) : NULL;
        if (n >= UPDATE_NOTES_MAX || (last && strcmp(last, text) == 0))
                return;
        (void) json_append_string(job->notes, text);
}

static int describe_result(struct job *job) {
        struct json *body = NULL;
        int r = job_describe_result(job, &body);
        return r < 0 ? r : record_event(job->campaign->update, "job-result", job->campaign, job->row.device, body);
}

static void remember_after(struct job *job) {
        const struct gw_image *active = job->device ? device_active_image(job->device, 0) : NULL;
        char hex[2 * GW_HASH_MAX + 1];
        if (!active || !job->row.step)
                return;
        str_hex_encode(hex, sizeof hex, active->hash, active->hash_size);
        (void) set_text(&job->row.hash_after, hex[0] ? hex : NULL);
        (void) set_text(&job->row.version_after, active->version[0] ? active->version : NULL);
}

/* The notes stand in the row as text whenever it is written. */
static int write_notes(struct job *job) {
        char *text = NULL;
        int r = json_length(job->notes) > 0 ? json_write(job->notes, &text, NULL) : 0;
        if (r < 0)
                return r;
        free(job->row.notes);
        job->row.notes = text;
        return 0;
}

int job_write(struct job *job) {
        int r = write_notes(job);
        return r < 0 ? r : job_table_update(job->campaign->update->options.store, &job->row);
}

static int write_finish(struct job *job) {
        struct job_finish finish = { .state = job->row.state,
                                     .reason = job->row.reason,
                                     .result = job->row.result,
                                     .proof = job->row.proof,
                                     .error_name = job->row.error_name,
                                     .error_text = job->row.error_text,
                                     .version_after = job->row.version_after,
                                     .hash_after = job->row.hash_after,
                                     .finished_ms = job->row.finished_ms };
        if (write_notes(job) >= 0)
                finish.notes = job->row.notes;
        return job_table_finish(job->campaign->update->options.store, job->row.job_id, &finish);
}

static void log_finish(const struct job *job) {
        struct log_fields fields = { .campaign = job->campaign->row.id, .device = job->row.device, .step = job->row.step, .error = job->row.error_name };
        if (job->row.error_name)
                log_warning(&fields, "%s: %s: %s", job->row.device, job->row.state, job->row.error_text);
        else
                log_info(&fields, "%s: %s%s%s", job->row.device, job->row.state, job->row.result ? ": " : "", job->row.result ? job->row.result : "");
}

static void tell_fleet(struct job *job) {
        struct fleet_job_result result = { .job_id = job->row.job_id,
                                           .result = job->row.result ? job->row.result : job->row.state,
                                           .error = job->row.error_name,
                                           .time_ms = job->row.finished_ms };
        if (job->device)
                (void) fleet_result(job->campaign->update->options.fleet, job->device, &result);
}

int job_finish(struct job *job, enum job_state state, const struct run_end *end) {
        struct campaign *campaign = job->campaign;
        int r;
        /* A deadline keeps the last reason: why it never began. */
        (void) set_text(&job->row.reason, state == JOB_STATE_TIMED_OUT ? job_reason(job) : NULL);
        list_remove(&job->ready_link);
        timer_cancel(TAKE_PTR(job->wake_timer));
        job->wakes = 0;
        job->stopping = job->winding_down = false;
        job->state = state;
        (void) set_text(&job->row.state, job_state_name(state));
        if (end && end->kind == RUN_END_DONE) {
                (void) set_text(&job->row.result, result_name(end->result));
                (void) set_text(&job->row.proof, proof_name(end->proof));
        } else if (end && gw_error_is_set(&end->error)) {
                (void) set_text(&job->row.error_name, end->error.name);
                (void) set_text(&job->row.error_text, end->error.text);
        }
        job->row.finished_ms = MAX(update_wall_ms(campaign->update), 1);
        remember_after(job);
        campaign->n_unfinished--;
        campaign->look = true;
        campaign->update->n_finished++;
        r = write_finish(job);
        if (r >= 0)
                r = describe_result(job);
        if (r >= 0)
                r = record_job(campaign->update, job);
        tell_fleet(job);
        log_finish(job);
        if (job->device && str_equal(job->row.result, result_name(GW_RESULT_UPDATED)))
                campaigns_take_updated(campaign->update, campaign->row.id, job->device);
        if (job->device)
                schedule_device_done(job->device);
        campaign_check_complete(campaign);
        campaigns_check_dependents(campaign->update, campaign->row.id);
        return r;
}

int job_finish_error(struct job *job, enum job_state state, const struct gw_error *err) {
        struct run_end end = { .kind = RUN_END_FAIL, .error = *err };
        return job_finish(job, state, &end);
}

/* --- again --- */

/* What came out before stays in the report. */
static void note_result(struct job *job) {
        const struct job_row *row = &job->row;
        char text[240];
        (void) str_format(text, sizeof text, "before the retry: %s%s%s%s%s", row->state, row->error_name ? ": " : "", row->error_name ? row->error_name : "",
                          row->error_text ? ": " : "", row->error_text ? row->error_text : "");
        if (json_length(job->notes) >= UPDATE_NOTES_MAX) {
                json_free(job->notes);
                job->notes = json_new_array();
        }
        job_note(job, text);
}

/* The same for programs, as long as it is not too long: the newest ones. */
static int add_history(struct job *job) {
        struct job_row *row = &job->row;
        _cleanup_json_ struct json *before = NULL, *history = json_new_array();
        struct json *entry;
        char *text = NULL;
        size_t n_before;
        int r;
        if (row->history && json_parse(row->history, strlen(row->history), 0, &before, NULL) < 0)
                before = NULL;
        n_before = json_length(before);
        for (size_t i = n_before >= UPDATE_HISTORY_MAX ? n_before - UPDATE_HISTORY_MAX + 1 : 0; i < n_before; i++)
                json_append(history, json_ref(json_at(before, i)));
        entry = history ? json_append_new_object(history) : NULL;
        if (!entry)
                return -ENOMEM;
        job_describe_end(job, entry);
        r = json_write(history, &text, NULL);
        if (r < 0)
                return r;
        free(row->history);
        row->history = text;
        return 0;
}

int job_requeue(struct job *job) {
        struct job_row *row = &job->row;
        int r = job_table_clear_targets(job->campaign->update->options.store, row->job_id);
        if (r >= 0)
                r = add_history(job);
        if (r < 0)
                return r;
        note_result(job);
        job->state = JOB_STATE_QUEUED;
        (void) set_text(&row->state, job_state_name(JOB_STATE_QUEUED));
        char **texts[] = { &row->reason, &row->step, &row->result, &row->proof, &row->error_name, &row->error_text, &row->version_before, &row->hash_before, &row->version_after, &row->hash_after, &row->wanted, &row->images_before };
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                (void) set_text(texts[i], NULL);
        free(TAKE_PTR(row->blob));
        row->blob_size = 0;
        row->attempt = 1;
        row->committed = row->stopped = false;
        row->started_ms = row->finished_ms = row->not_before_ms = 0;
        row->queued_ms = update_wall_ms(job->campaign->update);
        job->campaign->n_unfinished++;
        r = job_write(job);
        if (r < 0)
                return r;
        job_make_ready(job);
        return record_state(job, "retried");
}

bool job_must_end(const struct job *job) {
        return !job_is_final(job) && (job->row.committed || job->winding_down);
}

bool job_may_stop(const struct job *job) {
        const struct driver_registry *registry = job->campaign->update->options.registry;
        const struct gw_driver *driver = job->device ? driver_registry_find(registry, job->device->driver) : NULL;
        return !driver || !job->row.step || run_step_is_resumable(driver, GW_OPERATION_UPDATE, job->row.step);
}

/* It waits, and the device may run the new image on trial: only the driver can take it back. */
static bool may_be_on_trial(const struct job *job) {
        return job->device && job->device->adopted && !job_may_stop(job);
}

static int stop_waiting(struct job *job, enum job_state state) {
        if (state == JOB_STATE_QUEUED || job->winding_down)
                return 0;
        if (job->row.committed)
                return -EBUSY;
        if (state == JOB_STATE_SUPERSEDED || !may_be_on_trial(job))
                return job_finish(job, state, NULL);
        job->stopping = job->winding_down = true;
        job->stop_state = state;
        list_remove(&job->ready_link);
        job_make_ready(job);
        return 0;
}

int job_stop(struct job *job, enum job_state state) {
        int r;
        if (job_is_final(job))
                return -EALREADY;
        if (!job->run)
                return stop_waiting(job, state);
        r = run_stop(job->run, state == JOB_STATE_QUEUED || state == JOB_STATE_SUPERSEDED ? GW_STOP_PAUSE : GW_STOP_CANCEL);
        if (r < 0)
                return r;
        job->stopping = true;
        job->stop_state = state;
        return 0;
}

/* --- another revision --- */

int job_move(struct job *job, struct campaign *campaign) {
        struct campaign *old = job->campaign;
        bool is_ready = list_is_linked(&job->ready_link) && !job->run && !job->wakes && !job->wake_timer;
        int r = job_table_set_campaign(campaign->update->options.store, job->row.job_id, campaign->row.campaign_id);
        if (r < 0)
                return r;
        list_remove(&job->link);
        list_remove(&job->ready_link);
        old->n_jobs--;
        old->n_unfinished--;
        old->n_running -= job->run != NULL;
        job->campaign = campaign;
        job->row.campaign_id = campaign->row.campaign_id;
        job->row.wave = 0;
        (void) job_table_set_wave(campaign->update->options.store, job->row.job_id, 0);
        list_append(&campaign->jobs, &job->link);
        campaign->n_jobs++;
        campaign->n_unfinished++;
        campaign->n_running += job->run != NULL;
        campaign->started_any = true;
        if (is_ready)
                job_make_ready(job);
        return record_state(job, "job-state");
}
