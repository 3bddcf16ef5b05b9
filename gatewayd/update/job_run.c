/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/str.h"
#include "update/start_rule.h"

#define BACKOFF_MAX_MS (5 * 60 * 1000)
#define REJECTED_WAIT_MS (5 * 60 * 1000)
#define BATTERY_WAIT_MS (30 * 60 * 1000) /* asking costs battery, too */

/* The owner of a job's run: what the step engine reports becomes rows, events and the job's next state. */

/* These are verdicts on the order, not failures of the device: nothing was sent to it. */
static bool is_refusal(const char *name) {
        static const char *const names[] = { "incompatible",        "downgrade",           "image-too-large", "rollback-image-gone", "image-dependency-unmet",
                                             "image-wrong-address", "does-not-fit-device", "not-adopted",     "image-slot-mismatch" };
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcmp(names[i], name) == 0)
                        return true;
        return false;
}

/* --- during the run --- */

static struct campaign_file *file_of(struct job *job) {
        return job->row.has_artifact ? campaign_find_file(job->campaign, job->row.artifact) : NULL;
}

/* With several images each of them has to find back; with one its hash is enough. */
static int remember_images(struct job *job) {
        struct gw_order before = { .size = sizeof before };
        for (size_t i = 0; i < job->order->n_wanted && before.n_wanted < GW_PARTS_MAX; i++) {
                const struct gw_image *active = device_active_image(job->device, job->order->wanted[i].image);
                struct gw_wanted *row = &before.wanted[before.n_wanted];
                if (!active || active->hash_size == 0) {
                        before.n_wanted = 0; /* no way back is better than half of one */
                        return job->order->n_wanted > 1 ? order_write_wanted(&before, &job->row.images_before) : 0;
                }
                row->image = active->image;
                row->hash_size = active->hash_size;
                memcpy(row->hash, active->hash, active->hash_size);
                (void) str_copy(row->version, sizeof row->version, active->version);
                before.n_wanted++;
        }
        if (before.n_wanted == 0 || (before.n_wanted == 1 && before.wanted[0].image == 0))
                return 0;
        return order_write_wanted(&before, &job->row.images_before);
}

/* A device may name a version without a hash (serial recovery), or neither. */
static int remember_before(struct job *job) {
        const struct gw_image *active = device_active_image(job->device, 0);
        char hex[2 * GW_HASH_MAX + 1];
        if (!active || job->row.hash_before || job->row.version_before)
                return 0;
        str_hex_encode(hex, sizeof hex, active->hash, active->hash_size);
        if (hex[0] && !(job->row.hash_before = strdup(hex)))
                return -ENOMEM;
        if (active->version[0] && !(job->row.version_before = strdup(active->version)))
                return -ENOMEM;
        return remember_images(job);
}

static int check_battery(const struct job *job, struct gw_error *err) {
        int percent = job->device->battery_percent, min_percent = job->campaign->document->policy.battery_min_percent;
        if (battery_is_enough(percent, min_percent))
                return 0;
        gw_error_set(err, "low-battery", "its battery has %d %%, the campaign wants %d %%", percent, min_percent);
        return -EAGAIN;
}

static int run_prepared(void *ctx, struct gw_run *run, struct gw_error *err) {
        struct job *job = ctx;
        int r;
        (void) run;
        /* Before a reset; on trial a device has to get through, whatever its battery says. */
        if (!job->row.step || job_may_stop(job)) {
                r = check_battery(job, err);
                if (r < 0)
                        return r;
        }
        free(TAKE_PTR(job->row.reason)); /* until here it may only look whether it still has to wait, and for what */
        /* What was begun is not judged anew: behind the first journaled step the device may well look different. */
        if (job->row.step)
                return 0;
        r = order_check(job->campaign, job->device, job->order, file_of(job), err);
        if (r < 0)
                return r;
        r = remember_before(job);
        if (r >= 0)
                r = job_write(job); /* with the file that was chosen: after a crash it must be the same */
        if (r < 0)
                gw_error_set(err, "store-failed", "what %s runs now cannot be written down: %s", job->row.device, strerror(-r));
        return r;
}

static void journaled(void *ctx, int result) {
        struct job *job = ctx;
        job->journal_wait = NULL;
        run_journaled(job->run, result);
}

static void wait_for_journal(struct job *job, int r) {
        if (r >= 0)
                r = store_sync(job->campaign->update->options.store, journaled, job, &job->journal_wait);
        if (r < 0)
                log_error(NULL, "the journal of %s cannot be written: %s", job->row.device, strerror(-r)); /* store_on_failure ends the daemon */
}

static int copy_blob(struct job *job) {
        size_t size;
        const void *blob = run_blob(job->run, &size);
        void *copy = NULL;
        if (size > 0) {
                copy = malloc(size);
                if (!copy)
                        return -ENOMEM;
                memcpy(copy, blob, size);
        }
        free(job->row.blob);
        job->row.blob = copy;
        job->row.blob_size = size;
        return 0;
}

static int enter_state(struct job *job) {
        struct update *update = job->campaign->update;
        struct json *body;
        if (job->state == JOB_STATE_IN_PROGRESS)
                return 0;
        job->state = JOB_STATE_IN_PROGRESS;
        free(job->row.state);
        job->row.state = strdup(job_state_name(job->state));
        if (!job->row.state)
                return -ENOMEM;
        job->row.started_ms = update_wall_ms(update);
        job->campaign->started_any = true;
        body = json_new_object();
        json_set_string(body, "state", job->row.state);
        json_set_string(body, "step", job->row.step);
        json_set_int(body, "attempt", job->row.attempt);
        return record_event(update, "job-state", job->campaign, job->row.device, body);
}

static void run_journal(void *ctx, struct gw_run *run, const char *step) {
        struct job *job = ctx;
        struct update *update = job->campaign->update;
        char *copy = strdup(step);
        int r = copy ? copy_blob(job) : -ENOMEM;
        if (hold_stops_before(job, step)) { /* it is written down as the step to go on at; then the run ends before it */
                job->stopping = run_stop(run, GW_STOP_PAUSE) >= 0;
                job->stop_state = JOB_STATE_QUEUED;
        }
        if (r >= 0) {
                free(job->row.step);
                job->row.step = TAKE_PTR(copy);
                free(TAKE_PTR(job->row.reason)); /* it moves: the next wait is a new one */
                r = job_table_enter_step(update->options.store, job->row.job_id, step, job->row.attempt, job->row.blob, job->row.blob_size,
                                         update_wall_ms(update));
        }
        free(copy);
        if (r >= 0)
                r = enter_state(job);
        wait_for_journal(job, r);
}

static void run_commit(void *ctx, struct gw_run *run) {
        struct job *job = ctx;
        (void) run;
        job->row.committed = true;
        wait_for_journal(job, job_table_set_committed(job->campaign->update->options.store, job->row.job_id));
}

static void no_effect(void *ctx, int result) {
        (void) ctx;
        (void) result;
}

static void run_checkpoint(void *ctx, struct gw_run *run) {
        struct job *job = ctx;
        struct store *store = job->campaign->update->options.store;
        (void) run;
        if (copy_blob(job) >= 0 && job_table_set_blob(store, job->row.job_id, job->row.blob, job->row.blob_size) >= 0)
                (void) store_sync(store, no_effect, NULL, NULL);
}

void job_tell_progress(struct job *job) {
        struct update *update = job->campaign->update;
        _cleanup_json_ struct json *json = update->n_listeners > 0 ? progress_describe(job) : NULL;
        job->progress_ms = loop_now_ms(update->options.loop);
        if (!json)
                return;
        for (size_t i = 0; i < update->n_listeners; i++)
                if (update->listeners[i].listener->progress)
                        update->listeners[i].listener->progress(update->listeners[i].ctx, json);
}

static void run_progress(void *ctx, struct gw_run *run, uint64_t done, uint64_t total) {
        struct job *job = ctx;
        bool last = done >= total;
        int64_t now_ms = loop_now_ms(job->campaign->update->options.loop);
        (void) run;
        if (job->progress_total == 0 || done < job->progress_from) {
                job->progress_from = done;
                job->progress_from_ms = now_ms;
        }
        job->progress_done = done;
        job->progress_total = total;
        if (now_ms > job->progress_from_ms)
                job->progress_rate = (int64_t) (done - job->progress_from) * 1000 / (now_ms - job->progress_from_ms);
        if (last || now_ms - job->progress_ms >= UPDATE_PROGRESS_MS)
                job_tell_progress(job);
}

static void run_entered(void *ctx, struct gw_run *run, const char *step) {
        struct job *job = ctx;
        struct log_fields fields = { .campaign = job->campaign->row.id, .device = job->row.device, .step = step };
        (void) run;
        job->progress_done = job->progress_total = 0;
        job->progress_rate = 0;
        log_debug(&fields, "%s: %s", job->row.device, step);
        job_tell_progress(job);
}

static void run_note(void *ctx, struct gw_run *run, const char *text) {
        (void) run;
        job_note(ctx, text);
}

static void run_target(void *ctx, struct gw_run *run, const struct gw_target *target) {
        struct job *job = ctx;
        bool succeeded = target->state == GW_TARGET_SUCCEEDED;
        struct target_row row = { .job_id = job->row.job_id, .key = (char *) target->key, .state = (char *) target_state_name(target->state) };
        (void) run;
        row.result = succeeded ? (char *) result_name(target->result) : NULL;
        row.proof = succeeded ? (char *) proof_name(target->proof) : NULL;
        row.error_name = target->error ? (char *) target->error->name : NULL;
        row.error_text = target->error ? (char *) target->error->text : NULL;
        (void) job_table_put_target(job->campaign->update->options.store, &row);
}

static void run_learned(void *ctx, struct gw_run *run, const struct gw_facts *facts) {
        struct job *job = ctx;
        (void) run;
        (void) fleet_learned(job->campaign->update->options.fleet, job->device, facts);
}

/* --- the end of a run --- */

static void try_again(struct job *job, const struct run_end *end) {
        struct update *update = job->campaign->update;
        struct log_fields fields = { .campaign = job->campaign->row.id, .device = job->row.device, .step = job->row.step, .error = end->error.name };
        int64_t delay_ms;
        if (job->row.attempt >= job->campaign->document->policy.attempts) {
                (void) job_finish_error(job, JOB_STATE_FAILED, &end->error);
                return;
        }
        delay_ms = backoff_ms((uint32_t) job->row.attempt, update->options.backoff_first_ms, BACKOFF_MAX_MS, backoff_random()) + 1;
        log_warning(&fields, "attempt %" PRId64 " on %s: %s; again in %" PRId64 " ms", job->row.attempt, job->row.device, end->error.text, delay_ms);
        job_note(job, end->error.text);
        job->row.attempt++;
        (void) job_write(job);
        job_wait(job, end->error.name, 0, delay_ms);
}

static void end_failed(struct job *job, const struct run_end *end) {
        if (strcmp(end->error.name, "low-battery") == 0 && end->rejected)
                job_wait(job, end->error.name, GW_WAKE_SEEN | GW_WAKE_TIMER, BATTERY_WAIT_MS);
        else if (driver_registry_error_class(job->campaign->update->options.registry, end->error.name) == GW_ERROR_WAIT && !job->row.committed)
                job_wait(job, end->error.name, GW_WAKE_SEEN | GW_WAKE_TIMER, REJECTED_WAIT_MS);
        else if (end->rejected || (!job->row.step && is_refusal(end->error.name)))
                (void) job_finish(job, JOB_STATE_REJECTED, end);
        else
                (void) job_finish(job, JOB_STATE_FAILED, end);
}

static void end_again(struct job *job, const struct run_end *end) {
        switch (driver_registry_error_class(job->campaign->update->options.registry, end->error.name)) {
        case GW_ERROR_RETRY:
        case GW_ERROR_TERMINAL: /* the driver knows better than the catalogue whether this one may pass */
                try_again(job, end);
                break;
        case GW_ERROR_WAIT:
                job_wait(job, end->error.name, GW_WAKE_SEEN | GW_WAKE_TIMER, UPDATE_INSPECT_RETRY_MS);
                break;
        }
}

static void end_stopped(struct job *job) {
        struct gw_error err;
        if (job->campaign->update->stopping)
                return;
        if (!job->stopping || job->stop_state == JOB_STATE_QUEUED) {
                job->stopping = false;
                job_make_ready(job);
                return;
        }
        job->stopping = false;
        if (job->stop_state == JOB_STATE_FAILED) {
                gw_error_set(&err, "did-not-return", "%s was not back by the deadline of the campaign", job->row.device);
                (void) job_finish_error(job, JOB_STATE_FAILED, &err);
                return;
        }
        (void) job_finish(job, job->stop_state, NULL);
}

static void wait_for(struct job *job, const struct run_end *end) {
        bool wakes_by_itself = end->delay_ms > 0 || (end->wakes & GW_WAKE_SEEN);
        job_wait(job, end->error.name, end->wakes, wakes_by_itself ? end->delay_ms : UPDATE_INSPECT_RETRY_MS);
}

static void act_on_end(struct job *job, const struct run_end *end) {
        const struct driver_registry *registry = job->campaign->update->options.registry;
        bool is_verdict = end->kind == RUN_END_DONE ||
                          (end->kind == RUN_END_FAIL && driver_registry_error_class(registry, end->error.name) != GW_ERROR_WAIT);
        /* Asked to end for good: unless the device had its last word first, this is the end. */
        if (job->stopping && job_state_is_final(job->stop_state) && !is_verdict) {
                end_stopped(job);
                return;
        }
        switch (end->kind) {
        case RUN_END_DONE:
                (void) job_finish(job, JOB_STATE_SUCCEEDED, end);
                break;
        case RUN_END_WAIT:
                wait_for(job, end);
                break;
        case RUN_END_AGAIN:
                end_again(job, end);
                break;
        case RUN_END_FAIL:
                end_failed(job, end);
                break;
        case RUN_END_STOPPED:
                end_stopped(job);
                break;
        }
}

static void run_ended(void *ctx, struct gw_run *run, const struct run_end *end) {
        struct job *job = ctx;
        struct update *update = job->campaign->update;
        struct gw_device *device = job->device;
        store_sync_cancel(TAKE_PTR(job->journal_wait));
        run_free(run);
        job->run = NULL;
        free(TAKE_PTR(job->order));
        job->campaign->n_running--;
        update->n_running--;
        ((struct device_work *) device->work)->running = NULL;
        if (!update->stopping)
                act_on_end(job, end);
        else if (end->kind == RUN_END_DONE || end->kind == RUN_END_FAIL)
                act_on_end(job, end); /* known now, so it is not asked of the device once more */
        if (device->work)
                schedule_device_done(device);
        schedule(update);
        update_check_stopped(update);
}

static const struct run_owner job_owner = {
        .prepared = run_prepared,
        .journal = run_journal,
        .commit = run_commit,
        .checkpoint = run_checkpoint,
        .progress = run_progress,
        .entered = run_entered,
        .note = run_note,
        .target = run_target,
        .learned = run_learned,
        .ended = run_ended,
};

int job_run_start(struct job *job, struct gw_error *err) {
        struct update *update = job->campaign->update;
        const struct driver_registry *registry = update->options.registry;
        struct run_options options = { .loop = update->options.loop,
                                       .driver = driver_registry_find(registry, job->device->driver),
                                       .instance = driver_registry_instance(registry, job->device->driver),
                                       .operation = GW_OPERATION_UPDATE,
                                       .device = job->device,
                                       .order = job->order,
                                       .campaign = job->campaign->row.id,
                                       .device_id = job->row.device,
                                       .resume_step = job->row.step,
                                       .blob = job->row.blob,
                                       .blob_size = job->row.blob_size,
                                       .attempt = (uint32_t) job->row.attempt,
                                       .committed = job->row.committed,
                                       .owner = &job_owner,
                                       .owner_ctx = job };
        int r;
        if (!options.driver || !driver_registry_is_started(registry, job->device->driver)) {
                gw_error_set(err, "driver-unavailable", "no driver %s is running", job->device->driver);
                return -ENOENT;
        }
        r = run_new(&options, &job->run);
        if (r < 0) {
                gw_error_set(err, "not-supported", "driver %s cannot update devices", job->device->driver);
                return r;
        }
        r = run_start(job->run, err);
        if (r < 0) {
                run_free(TAKE_PTR(job->run));
                return r;
        }
        ((struct device_work *) job->device->work)->running = job;
        job->campaign->n_running++;
        update->n_running++;
        job->stopping = job->winding_down;
        return 0;
}
