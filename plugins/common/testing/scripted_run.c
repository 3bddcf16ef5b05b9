/* SPDX-License-Identifier: Apache-2.0 */
#include "common/testing/scripted_run.h"

#include <stdlib.h>

#define BACK_OFF_MS 1000

enum pending { PENDING_NOTHING, PENDING_ENTER, PENDING_DONE, PENDING_FAIL, PENDING_AGAIN, PENDING_WAIT, PENDING_STOPPED };

static void turn(void *ctx);

GW_PRINTF(2, 3) static void breach(const struct gw_run *run, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        fprintf(stderr, "breach of the plugin interface after \"%s\": ", run->path);
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
        va_end(arguments);
        abort();
}

static const struct gw_step *steps_of(const struct gw_run *run, size_t *ret_n) {
        *ret_n = run->driver->operations[run->operation].n_steps;
        return run->driver->operations[run->operation].steps;
}

static const struct gw_step *step_find(const struct gw_run *run, const char *name) {
        size_t n;
        const struct gw_step *steps = steps_of(run, &n);

        for (size_t i = 0; i < n; i++)
                if (strcmp(steps[i].name, name) == 0)
                        return &steps[i];
        breach(run, "there is no step \"%s\"", name);
        return NULL;
}

static void turn_later(struct gw_run *run, enum pending pending, int64_t delay_ms) {
        run->pending = pending;
        run->scripted->host.timer->start(&run->scripted->host, delay_ms, turn, run, &run->turn);
}

/* ---- one attempt */

static void attempt_end(struct gw_run *run) {
        if (run->ctx)
                run->driver->run_free(run->ctx);
        run->ctx = NULL;
        run->step = NULL;
        run->commit_done = NULL;
}

static void run_end(struct gw_run *run, enum scripted_end end) {
        attempt_end(run);
        run->stop_wanted = false;
        run->end = end;
}

void scripted_run_begin(struct gw_run *run) {
        struct gw_error err = { 0 };
        size_t n;

        memcpy(run->blob, run->durable_blob, run->durable_size);
        run->blob_size = run->durable_size;
        memcpy(run->resumed, run->journaled, sizeof run->resumed);
        run->end = SCRIPTED_RUNNING;
        run->next_step = steps_of(run, &n);
        run->attempt = run->attempt ? run->attempt : 1;
        if (run->driver->run_new(run->driver_ctx, run, &run->ctx, &err) < 0) {
                run->error = err;
                run->end = SCRIPTED_FAILED;
                return;
        }
        turn_later(run, PENDING_ENTER, 0);
}

static void journal(struct gw_run *run, const struct gw_step *step) {
        snprintf(run->journaled, sizeof run->journaled, "%s", step->name);
        memcpy(run->durable_blob, run->blob, run->blob_size);
        run->durable_size = run->blob_size;
        run->n_journaled++;
}

static void path_add(struct gw_run *run, const char *name) {
        size_t used = strlen(run->path);

        snprintf(run->path + used, sizeof run->path - used, "%s%s", used ? " " : "", name);
}

static void enter(struct gw_run *run) {
        const struct gw_step *step = run->next_step;
        struct gw_error err = { 0 };

        if (run->stop_wanted &&
            ((step->flags & GW_STEP_RESUMABLE) || run->stop_reason == GW_STOP_CANCEL || run->stop_reason == GW_STOP_SHUTDOWN)) {
                run_end(run, SCRIPTED_STOPPED);
                return;
        }
        if (!(step->flags & GW_STEP_PREPARE) && run->operation == GW_OPERATION_UPDATE) {
                journal(run, step);
                if (run->crash_at && strcmp(run->crash_at, step->name) == 0) {
                        run->crash_at = NULL;
                        scripted_run_crash(run);
                        return;
                }
        }
        path_add(run, step->name);
        run->step = step;
        run->step_until_ms = step->timeout_ms ? run->scripted->now_ms + step->timeout_ms : INT64_MAX;
        run->stop_asked = false;
        if (step->enter(run->ctx, &err) >= 0) {
                if (run->stop_wanted)
                        scripted_run_stop(run, run->stop_reason);
                return;
        }
        run->error = err;
        run->step = NULL;
        turn_later(run, PENDING_FAIL, 0);
}

static void attempt_again(struct gw_run *run) {
        attempt_end(run);
        if (run->attempt >= (run->attempts_max ? run->attempts_max : 1)) {
                run->end = SCRIPTED_FAILED;
                return;
        }
        run->attempt++;
        scripted_run_begin(run);
}

static void turn(void *ctx) {
        struct gw_run *run = ctx;
        enum pending pending = (enum pending) run->pending;

        run->turn = NULL;
        run->pending = PENDING_NOTHING;
        switch (pending) {
        case PENDING_NOTHING:
                break;
        case PENDING_ENTER:
                if (run->ctx)
                        enter(run);
                else
                        scripted_run_begin(run);
                break;
        case PENDING_DONE:
                run_end(run, SCRIPTED_DONE);
                break;
        case PENDING_FAIL:
                run_end(run, SCRIPTED_FAILED);
                break;
        case PENDING_STOPPED:
                run_end(run, SCRIPTED_STOPPED);
                break;
        case PENDING_AGAIN:
                attempt_again(run);
                break;
        case PENDING_WAIT:
                run_end(run, SCRIPTED_WAITING);
                if (!run->stop_at_wait) {
                        run->end = SCRIPTED_RUNNING;
                        turn_later(run, PENDING_ENTER, run->wait_ms);
                }
                break;
        }
}

/* ---- what the driver calls */

static enum gw_operation_kind api_operation(const struct gw_run *run) {
        return run->operation;
}

static const struct gw_device *api_device(const struct gw_run *run) {
        return run->device;
}

static const struct gw_order *api_order(const struct gw_run *run) {
        return run->operation == GW_OPERATION_UPDATE ? run->order : NULL;
}

static const char *api_resume_step(const struct gw_run *run) {
        return run->resumed[0] ? run->resumed : NULL;
}

static uint32_t api_attempt(const struct gw_run *run) {
        return run->attempt;
}

static const void *api_blob(const struct gw_run *run, size_t *ret_size) {
        *ret_size = run->blob_size;
        return run->blob_size ? run->blob : NULL;
}

static int api_blob_set(struct gw_run *run, const void *data, size_t size) {
        if (size > GW_BLOB_MAX)
                return -EMSGSIZE;
        memcpy(run->blob, data, size);
        run->blob_size = size;
        return 0;
}

static void api_checkpoint(struct gw_run *run) {
        run->n_checkpoints++;
        memcpy(run->durable_blob, run->blob, run->blob_size);
        run->durable_size = run->blob_size;
}

static void committed_later(void *ctx) {
        struct gw_run *run = ctx;
        void (*done)(void *) = run->commit_done;

        run->commit_done = NULL;
        if (done)
                done(run->ctx);
}

static int api_committed(struct gw_run *run, void (*done)(void *run_ctx)) {
        if (run->refuse_commit)
                return -EIO;
        if (run->is_committed) {
                done(run->ctx);
                return 0;
        }
        run->is_committed = true;
        snprintf(run->committed_in, sizeof run->committed_in, "%s", run->step ? run->step->name : "");
        run->commit_done = done;
        scripted_host_after(run->scripted, 0, committed_later, run);
        return 0;
}

static bool api_is_committed(const struct gw_run *run) {
        return run->is_committed;
}

static void api_progress(struct gw_run *run, uint64_t done, uint64_t total) {
        if (done > total)
                breach(run, "progress %llu of %llu", (unsigned long long) done, (unsigned long long) total);
        run->progress_done = done;
        run->progress_total = total;
}

GW_PRINTF(2, 3) static void api_note(struct gw_run *run, const char *format, ...) {
        va_list arguments;

        if (run->n_notes == SCRIPTED_NOTES_MAX)
                return;
        va_start(arguments, format);
        vsnprintf(run->notes[run->n_notes++], sizeof run->notes[0], format, arguments);
        va_end(arguments);
}

static void api_target(struct gw_run *run, const struct gw_target *target) {
        size_t at = 0;

        while (at < run->n_targets && strcmp(run->targets[at].key, target->key) != 0)
                at++;
        if (at == SCRIPTED_TARGETS_MAX)
                breach(run, "too many targets");
        snprintf(run->targets[at].key, sizeof run->targets[at].key, "%s", target->key);
        run->targets[at].state = target->state;
        run->targets[at].result = target->result;
        run->targets[at].proof = target->proof;
        snprintf(run->targets[at].error, sizeof run->targets[at].error, "%s", target->error ? target->error->name : "");
        if (at == run->n_targets)
                run->n_targets++;
}

static void api_learned(struct gw_run *run, const struct gw_facts *facts) {
        scripted_device_learn(run->device, facts);
}

static void api_extend(struct gw_run *run, uint32_t timeout_ms) {
        if (!run->step)
                breach(run, "extend without a step");
        run->extended_ms = timeout_ms;
        run->step_until_ms = run->scripted->now_ms + timeout_ms;
}

/* Every end comes through here. */
static const struct gw_step *step_ended(struct gw_run *run, const char *how) {
        const struct gw_step *step = run->step;

        if (!step)
                breach(run, "%s, but no step is running", how);
        run->step = NULL;
        return step;
}

static void api_next(struct gw_run *run) {
        size_t n;
        const struct gw_step *steps = steps_of(run, &n), *step = step_ended(run, "next") + 1;

        if (step == steps + n)
                breach(run, "next after the last step");
        /* From the preparing steps to where the journal stands. */
        if (run->resumed[0] && (step[-1].flags & GW_STEP_PREPARE) && !(step->flags & GW_STEP_PREPARE))
                step = step_find(run, run->resumed);
        run->next_step = step;
        turn_later(run, PENDING_ENTER, 0);
}

static void api_jump(struct gw_run *run, const char *name) {
        step_ended(run, "jump");
        run->next_step = step_find(run, name);
        turn_later(run, PENDING_ENTER, 0);
}

static void api_done(struct gw_run *run, enum gw_result result, enum gw_proof proof) {
        step_ended(run, "done");
        run->result = result;
        run->proof = proof;
        turn_later(run, PENDING_DONE, 0);
}

static void api_wait(struct gw_run *run, const char *reason, uint32_t wakes, int64_t delay_ms) {
        step_ended(run, "wait");
        snprintf(run->reason, sizeof run->reason, "%s", reason);
        run->n_waits++;
        run->seen_wakes = wakes & GW_WAKE_SEEN;
        run->wait_ms = delay_ms;
        turn_later(run, PENDING_WAIT, 0);
}

static void api_again(struct gw_run *run, const struct gw_error *err) {
        step_ended(run, "again");
        run->error = *err;
        turn_later(run, PENDING_AGAIN, BACK_OFF_MS);
}

static void api_fail(struct gw_run *run, const struct gw_error *err) {
        step_ended(run, "fail");
        run->error = *err;
        turn_later(run, PENDING_FAIL, 0);
}

static void api_stopped(struct gw_run *run) {
        step_ended(run, "stopped");
        if (!run->stop_asked)
                breach(run, "stopped, but nobody asked");
        turn_later(run, PENDING_STOPPED, 0);
}

const struct gw_run_api scripted_run_api = {
        .size = sizeof scripted_run_api,
        .operation = api_operation,
        .device = api_device,
        .order = api_order,
        .resume_step = api_resume_step,
        .attempt = api_attempt,
        .blob = api_blob,
        .blob_set = api_blob_set,
        .checkpoint = api_checkpoint,
        .committed = api_committed,
        .is_committed = api_is_committed,
        .progress = api_progress,
        .note = api_note,
        .target = api_target,
        .learned = api_learned,
        .extend = api_extend,
        .next = api_next,
        .jump = api_jump,
        .done = api_done,
        .wait = api_wait,
        .again = api_again,
        .fail = api_fail,
        .stopped = api_stopped,
};

/* ---- what the test calls */

void scripted_run_deinit(struct gw_run *run) {
        run->scripted->host.timer->cancel(run->turn);
        run->turn = NULL;
        attempt_end(run);
}

enum scripted_end scripted_run_until_end(struct gw_run *run, int64_t most_ms) {
        int64_t until_ms = run->scripted->now_ms + most_ms;

        while (run->end == SCRIPTED_RUNNING && scripted_host_step(run->scripted, until_ms))
                ;
        return run->end;
}

enum scripted_end scripted_run_whole(struct gw_run *run, int64_t most_ms) {
        scripted_run_begin(run);
        return scripted_run_until_end(run, most_ms);
}

bool scripted_run_until_step(struct gw_run *run, const char *step, int64_t most_ms) {
        int64_t until_ms = run->scripted->now_ms + most_ms;

        while (run->end == SCRIPTED_RUNNING && !(run->step && strcmp(run->step->name, step) == 0))
                if (!scripted_host_step(run->scripted, until_ms))
                        return false;
        return run->end == SCRIPTED_RUNNING;
}

void scripted_run_crash(struct gw_run *run) {
        run->scripted->host.timer->cancel(run->turn);
        run->turn = NULL;
        attempt_end(run);
        run->n_crashes++;
        scripted_run_begin(run);
}

void scripted_run_stop(struct gw_run *run, enum gw_stop_reason reason) {
        if (!run->step || run->stop_asked)
                return;
        run->stop_asked = true;
        run->stop_wanted = true;
        run->stop_reason = reason;
        run->driver->run_stop(run->ctx, reason);
}

void scripted_run_continue(struct gw_run *run) {
        scripted_run_begin(run);
}

const char *scripted_run_note(const struct gw_run *run, const char *words) {
        for (size_t i = 0; i < run->n_notes; i++)
                if (strstr(run->notes[i], words))
                        return run->notes[i];
        return NULL;
}
