/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/run.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "loop/timer.h"

/*
 *   PREPARING -> (owner.prepared) -> JOURNALING -> STEPPING -+-> JOURNALING ...
 *        ^ a step runs                    ^ waits for the    |
 *                                           store            +-> ENDING -> ENDED
 *
 * A step's end is only recorded when it comes; it is acted upon from the loop (`turn`), so that a step may end from inside its
 * own enter function and the driver's stack is never re-entered.
 */
enum run_phase {
        RUN_IDLE,
        RUN_STEPPING,
        RUN_JOURNALING,
        RUN_COMMITTING, /* a step is running and waits for its point of no return to be durable */
        RUN_ENDED,
};

enum step_end {
        STEP_RUNNING,
        STEP_NEXT,
        STEP_JUMP,
        STEP_STOPPED,
        STEP_ENDS_RUN, /* `end` says how */
};

struct gw_run {
        struct run_options options;
        const struct gw_operation *operation;
        char *campaign;
        char *resume_step;
        size_t journaled; /* index of the step that the journal holds, SIZE_MAX none */
        void *ctx; /* the driver's */

        enum run_phase phase;
        size_t step;
        bool entered_any;
        bool prepared;
        bool committed;
        bool journaled_changed; /* blob differs from what is durable */

        enum step_end step_end;
        size_t jump_to;
        struct run_end end;
        void (*committed_done)(void *run_ctx);

        bool stop_wanted; /* by the owner, for the rest of the run */
        enum gw_stop_reason stop_reason;
        bool timed_out; /* the running step */
        bool stop_told; /* to the running step, with this reason */
        enum gw_stop_reason told_reason;

        struct timer *turn_timer, *step_timer, *grace_timer;
        int64_t last_checkpoint_ms;

        uint8_t *blob;
        size_t blob_size;
};

static void turn(void *ctx);

static void schedule_turn(struct gw_run *run) {
        if (!run->turn_timer && timer_start(run->options.loop, 0, turn, run, &run->turn_timer) < 0)
                log_error(NULL, "out of memory: the run on %s cannot go on", run->options.device_id);
}

static struct log_fields log_fields_of(const struct gw_run *run) {
        return (struct log_fields){ .campaign = run->campaign, .device = run->options.device_id, .step = run_step_name(run) };
}

/* --- making and ending --- */

static bool find_step(const struct gw_run *run, const char *name, size_t *ret_index) {
        for (size_t i = 0; i < run->operation->n_steps; i++)
                if (strcmp(run->operation->steps[i].name, name) == 0) {
                        *ret_index = i;
                        return true;
                }
        return false;
}

bool run_step_is_resumable(const struct gw_driver *driver, enum gw_operation_kind operation, const char *step) {
        const struct gw_operation *steps = &driver->operations[operation];
        for (size_t i = 0; i < steps->n_steps; i++)
                if (strcmp(steps->steps[i].name, step) == 0)
                        return steps->steps[i].flags & (GW_STEP_RESUMABLE | GW_STEP_PREPARE);
        return true;
}

static int copy_options(struct gw_run *run, const struct run_options *options) {
        if (options->campaign && !(run->campaign = strdup(options->campaign)))
                return -ENOMEM;
        if (options->resume_step && options->resume_step[0] && !(run->resume_step = strdup(options->resume_step)))
                return -ENOMEM;
        if (options->blob_size == 0)
                return 0;
        run->blob = malloc(options->blob_size);
        if (!run->blob)
                return -ENOMEM;
        memcpy(run->blob, options->blob, options->blob_size);
        run->blob_size = options->blob_size;
        return 0;
}

int run_new(const struct run_options *options, struct gw_run **ret_run) {
        const struct gw_operation *operation = &options->driver->operations[options->operation];
        struct gw_run *run;
        if (operation->n_steps == 0)
                return -ENOTSUP;
        run = calloc(1, sizeof *run);
        if (!run)
                return -ENOMEM;
        run->options = *options;
        run->operation = operation;
        run->committed = options->committed;
        run->journaled = SIZE_MAX;
        if (copy_options(run, options) < 0) {
                run_free(run);
                return -ENOMEM;
        }
        if (run->resume_step)
                (void) find_step(run, run->resume_step, &run->journaled);
        *ret_run = run;
        return 0;
}

static void cancel_timers(struct gw_run *run) {
        timer_cancel(TAKE_PTR(run->turn_timer));
        timer_cancel(TAKE_PTR(run->step_timer));
        timer_cancel(TAKE_PTR(run->grace_timer));
}

void run_free(struct gw_run *run) {
        if (!run)
                return;
        cancel_timers(run);
        if (run->ctx)
                run->options.driver->run_free(run->ctx);
        free(run->campaign);
        free(run->resume_step);
        free(run->blob);
        free(run);
}

/* The run is over: frees the driver's context, then tells the owner, who may free the run. */
static void finish(struct gw_run *run) {
        struct run_end end = run->end;
        cancel_timers(run);
        run->phase = RUN_ENDED;
        if (run->ctx)
                run->options.driver->run_free(TAKE_PTR(run->ctx));
        run->options.owner->ended(run->options.owner_ctx, run, &end);
}

static void finish_with(struct gw_run *run, enum run_end_kind kind, const struct gw_error *err) {
        run->end = (struct run_end){ .kind = kind };
        if (err)
                run->end.error = *err;
        finish(run);
}

/* --- entering steps --- */

static void step_timed_out(void *ctx);
static void tell_driver(struct gw_run *run, enum gw_stop_reason reason);

static void enter_step(struct gw_run *run) {
        const struct gw_step *step = &run->operation->steps[run->step];
        struct gw_error err = { 0 };
        int r;

        run->phase = RUN_STEPPING;
        run->step_end = STEP_RUNNING;
        run->stop_told = run->timed_out = false;
        run->entered_any = true;
        if (step->timeout_ms > 0)
                (void) timer_start(run->options.loop, step->timeout_ms, step_timed_out, run, &run->step_timer);
        if (run->options.owner->entered)
                run->options.owner->entered(run->options.owner_ctx, run, step->name);
        r = step->enter(run->ctx, &err);
        if (r >= 0) {
                if (run->stop_wanted)
                        tell_driver(run, run->stop_reason);
                return;
        }
        if (!gw_error_is_set(&err))
                gw_error_set(&err, "plugin-misbehaved", "step %s failed: %s", step->name, strerror(-r));
        run_api()->fail(run, &err);
}

static bool is_prepare(const struct gw_run *run, size_t index) {
        return run->operation->steps[index].flags & GW_STEP_PREPARE;
}

/* Canceled behind its last resumable step: the device may be on trial, and only a step can reset it. So the run is made ready
 * and goes on at its journaled step, which is told. */
static bool winds_down(const struct gw_run *run) {
        return run->stop_reason == GW_STOP_CANCEL && run->journaled != SIZE_MAX && !(run->operation->steps[run->journaled].flags & GW_STEP_RESUMABLE);
}

/* A run that is to stop does so before a step at which it can begin again; any other step is entered and told. */
static bool stops_before(const struct gw_run *run, size_t index) {
        if (!run->stop_wanted)
                return false;
        if (run->stop_reason == GW_STOP_SHUTDOWN)
                return true;
        if (run->committed)
                return false;
        if (is_prepare(run, index))
                return !winds_down(run);
        return run->operation->steps[index].flags & GW_STEP_RESUMABLE;
}

/* The step is in the journal already: a run that was begun again enters it without another write. */
static bool is_journaled(const struct gw_run *run, size_t index) {
        return index == run->journaled && !run->journaled_changed;
}

static bool pass_prepared(struct gw_run *run) {
        struct gw_error err = { 0 };
        if (run->prepared || !run->options.owner->prepared) {
                run->prepared = true;
                return true;
        }
        if (run->options.owner->prepared(run->options.owner_ctx, run, &err) >= 0) {
                run->prepared = true;
                return true;
        }
        run->end = (struct run_end){ .kind = RUN_END_FAIL, .rejected = true, .error = err };
        finish(run);
        return false;
}

static void go_to(struct gw_run *run, size_t index) {
        if (stops_before(run, index)) {
                finish_with(run, RUN_END_STOPPED, NULL);
                return;
        }
        if (is_prepare(run, index)) {
                run->step = index;
                enter_step(run);
                return;
        }
        if (!pass_prepared(run))
                return;
        run->step = index;
        if (!run->options.owner->journal || is_journaled(run, index)) {
                enter_step(run);
                return;
        }
        run->phase = RUN_JOURNALING;
        run->options.owner->journal(run->options.owner_ctx, run, run->operation->steps[index].name);
}

/* Behind the last preparing step the run goes on where the journal says it was. */
static void go_behind(struct gw_run *run, size_t index) {
        size_t next = index + 1;
        struct gw_error err;
        if (is_prepare(run, index) && (next == run->operation->n_steps || !is_prepare(run, next)) && run->journaled != SIZE_MAX)
                next = run->journaled;
        if (next < run->operation->n_steps) {
                go_to(run, next);
                return;
        }
        gw_error_set(&err, "plugin-misbehaved", "the driver went past its last step, %s", run_step_name(run));
        finish_with(run, RUN_END_FAIL, &err);
}

static void end_stopped(struct gw_run *run) {
        struct gw_error err;
        if (run->stop_wanted && (!run->timed_out || run->stop_reason != GW_STOP_PAUSE)) {
                finish_with(run, RUN_END_STOPPED, NULL);
        } else if (run->timed_out) {
                gw_error_set(&err, "step-timeout", "step %s did not end in time", run_step_name(run));
                finish_with(run, RUN_END_AGAIN, &err);
        } else {
                gw_error_set(&err, "plugin-misbehaved", "step %s stopped without being asked", run_step_name(run));
                finish_with(run, RUN_END_FAIL, &err);
        }
}

static bool is_shutting_down(const struct gw_run *run) {
        return run->stop_wanted && run->stop_reason == GW_STOP_SHUTDOWN;
}

static void turn(void *ctx) {
        struct gw_run *run = ctx;
        enum step_end step_end = run->step_end;
        run->turn_timer = NULL;
        if (run->phase != RUN_STEPPING)
                return;
        run->phase = RUN_IDLE;
        timer_cancel(TAKE_PTR(run->step_timer));
        if (!is_shutting_down(run)) /* the grace was for the step that ended just now */
                timer_cancel(TAKE_PTR(run->grace_timer));
        switch (step_end) {
        case STEP_RUNNING:
                break;
        case STEP_NEXT:
                go_behind(run, run->step);
                break;
        case STEP_JUMP:
                go_to(run, run->jump_to);
                break;
        case STEP_STOPPED:
                end_stopped(run);
                break;
        case STEP_ENDS_RUN:
                finish(run);
                break;
        }
}

static void start_first(void *ctx) {
        struct gw_run *run = ctx;
        run->turn_timer = NULL;
        go_to(run, !is_prepare(run, 0) && run->journaled != SIZE_MAX ? run->journaled : 0);
}

int run_start(struct gw_run *run, struct gw_error *err) {
        int r = run->options.driver->run_new(run->options.instance, run, &run->ctx, err);
        if (r < 0)
                return r;
        return timer_start(run->options.loop, 0, start_first, run, &run->turn_timer);
}

void run_journaled(struct gw_run *run, int r) {
        struct gw_error err;
        if (r < 0) {
                gw_error_set(&err, "store-failed", "the step could not be written down: %s", strerror(-r));
                finish_with(run, RUN_END_AGAIN, &err);
        } else if (run->phase == RUN_COMMITTING) {
                void (*done)(void *) = TAKE_PTR(run->committed_done);
                run->phase = RUN_STEPPING;
                run->committed = true;
                if (run->step_end != STEP_RUNNING)
                        schedule_turn(run);
                else
                        done(run->ctx);
        } else if (run->phase == RUN_JOURNALING) {
                run->journaled_changed = false;
                run->journaled = run->step;
                if (stops_before(run, run->step))
                        finish_with(run, RUN_END_STOPPED, NULL);
                else
                        enter_step(run);
        }
}

/* --- stopping --- */

static void grace_over(void *ctx) {
        struct gw_run *run = ctx;
        struct log_fields fields = log_fields_of(run);
        run->grace_timer = NULL;
        log_warning(&fields, "the step did not stop within %d ms and is given up", RUN_STOP_GRACE_MS);
        end_stopped(run);
}

static bool is_graver(enum gw_stop_reason reason, enum gw_stop_reason than) {
        static const int weight[] = { [GW_STOP_PAUSE] = 0, [GW_STOP_CANCEL] = 1, [GW_STOP_TIMEOUT] = 2, [GW_STOP_SHUTDOWN] = 3 };
        return weight[reason] > weight[than];
}

static void tell_driver(struct gw_run *run, enum gw_stop_reason reason) {
        bool may_still = reason == GW_STOP_PAUSE || reason == GW_STOP_CANCEL;
        if (run->step_end != STEP_RUNNING || (run->stop_told && !is_graver(reason, run->told_reason)))
                return;
        if (may_still && (run->committed || (is_prepare(run, run->step) && winds_down(run))))
                return;
        run->stop_told = true;
        run->told_reason = reason;
        run->options.driver->run_stop(run->ctx, reason);
}

static void step_timed_out(void *ctx) {
        struct gw_run *run = ctx;
        run->step_timer = NULL;
        if (run->step_end != STEP_RUNNING)
                return;
        if (!run->grace_timer)
                (void) timer_start(run->options.loop, RUN_STOP_GRACE_MS, grace_over, run, &run->grace_timer);
        run->timed_out = true;
        tell_driver(run, GW_STOP_TIMEOUT);
}

int run_stop(struct gw_run *run, enum gw_stop_reason reason) {
        bool is_committed = run->committed || run->phase == RUN_COMMITTING; /* the journal may say so already */
        if (run->phase == RUN_ENDED)
                return -EALREADY;
        if (is_committed && (reason == GW_STOP_CANCEL || reason == GW_STOP_PAUSE))
                return -EBUSY;
        /* A cancel may have to reset a device first; only the end of the daemon cannot wait. */
        if (reason == GW_STOP_SHUTDOWN && !run->grace_timer)
                (void) timer_start(run->options.loop, RUN_STOP_GRACE_MS, grace_over, run, &run->grace_timer);
        if (!run->stop_wanted || is_graver(reason, run->stop_reason))
                run->stop_reason = reason;
        run->stop_wanted = true;
        if (run->phase == RUN_STEPPING || run->phase == RUN_COMMITTING)
                tell_driver(run, run->stop_reason);
        return 0;
}

/* --- what a step may call: struct gw_run_api --- */

static bool end_step(struct gw_run *run, enum step_end step_end) {
        struct log_fields fields = log_fields_of(run);
        if ((run->phase != RUN_STEPPING && run->phase != RUN_COMMITTING) || run->step_end != STEP_RUNNING) {
                log_error(&fields, "the driver ended a step twice; the second end is ignored");
                return false;
        }
        run->step_end = step_end;
        if (run->phase == RUN_STEPPING)
                schedule_turn(run);
        return true;
}

static void end_run(struct gw_run *run, struct run_end end) {
        if (end_step(run, STEP_ENDS_RUN))
                run->end = end;
}

static void api_next(struct gw_run *run) {
        end_step(run, STEP_NEXT);
}

static void api_jump(struct gw_run *run, const char *step) {
        struct gw_error err;
        size_t index;
        if (find_step(run, step, &index)) {
                if (end_step(run, STEP_JUMP))
                        run->jump_to = index;
                return;
        }
        gw_error_set(&err, "plugin-misbehaved", "the driver jumped to a step that does not exist: %s", step);
        run_api()->fail(run, &err);
}

static void api_done(struct gw_run *run, enum gw_result result, enum gw_proof proof) {
        end_run(run, (struct run_end){ .kind = RUN_END_DONE, .result = result, .proof = proof });
}

static void api_wait(struct gw_run *run, const char *reason, uint32_t wakes, int64_t delay_ms) {
        struct run_end end = { .kind = RUN_END_WAIT, .wakes = wakes, .delay_ms = delay_ms };
        gw_error_set(&end.error, reason, "step %s", run_step_name(run));
        end_run(run, end);
}

static void api_again(struct gw_run *run, const struct gw_error *err) {
        end_run(run, (struct run_end){ .kind = RUN_END_AGAIN, .error = *err });
}

static void api_fail(struct gw_run *run, const struct gw_error *err) {
        end_run(run, (struct run_end){ .kind = RUN_END_FAIL, .error = *err });
}

static void api_stopped(struct gw_run *run) {
        end_step(run, STEP_STOPPED);
}

static int api_blob_set(struct gw_run *run, const void *data, size_t size) {
        uint8_t *copy;
        if (size > GW_BLOB_MAX)
                return -E2BIG;
        if (size == run->blob_size && (size == 0 || memcmp(run->blob, data, size) == 0))
                return 0;
        copy = malloc(size ? size : 1);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, data, size);
        free(run->blob);
        run->blob = copy;
        run->blob_size = size;
        run->journaled_changed = true;
        return 0;
}

static const void *api_blob(const struct gw_run *run, size_t *ret_size) {
        return run_blob(run, ret_size);
}

static void api_checkpoint(struct gw_run *run) {
        int64_t now_ms = loop_now_ms(run->options.loop);
        if (!run->options.owner->checkpoint || (run->last_checkpoint_ms && now_ms - run->last_checkpoint_ms < RUN_CHECKPOINT_MS))
                return;
        run->last_checkpoint_ms = now_ms;
        run->options.owner->checkpoint(run->options.owner_ctx, run);
}

static void committed_at_once(void *ctx) {
        struct gw_run *run = ctx;
        run->turn_timer = NULL;
        run_journaled(run, 0);
}

static int api_committed(struct gw_run *run, void (*done)(void *run_ctx)) {
        if (run->phase != RUN_STEPPING || run->step_end != STEP_RUNNING)
                return -EINVAL;
        if (run->committed || !run->options.owner->commit) {
                int r = timer_start(run->options.loop, 0, committed_at_once, run, &run->turn_timer);
                if (r < 0)
                        return r;
        }
        run->committed_done = done;
        run->phase = RUN_COMMITTING;
        if (!run->turn_timer)
                run->options.owner->commit(run->options.owner_ctx, run);
        return 0;
}

static void api_progress(struct gw_run *run, uint64_t done, uint64_t total) {
        if (run->options.owner->progress)
                run->options.owner->progress(run->options.owner_ctx, run, done, total);
}

static void GW_PRINTF(2, 3) api_note(struct gw_run *run, const char *format, ...) {
        char text[240];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        if (run->options.owner->note)
                run->options.owner->note(run->options.owner_ctx, run, text);
}

static void api_target(struct gw_run *run, const struct gw_target *target) {
        if (run->options.owner->target)
                run->options.owner->target(run->options.owner_ctx, run, target);
}

static void api_learned(struct gw_run *run, const struct gw_facts *facts) {
        if (run->options.owner->learned)
                run->options.owner->learned(run->options.owner_ctx, run, facts);
}

static void api_extend(struct gw_run *run, uint32_t timeout_ms) {
        if (run->phase != RUN_STEPPING && run->phase != RUN_COMMITTING)
                return;
        timer_cancel(TAKE_PTR(run->step_timer));
        (void) timer_start(run->options.loop, timeout_ms, step_timed_out, run, &run->step_timer);
}

static enum gw_operation_kind api_operation(const struct gw_run *run) {
        return run->options.operation;
}

static const struct gw_device *api_device(const struct gw_run *run) {
        return run->options.device;
}

static const struct gw_order *api_order(const struct gw_run *run) {
        return run->options.order;
}

static const char *api_resume_step(const struct gw_run *run) {
        return run->resume_step;
}

static uint32_t api_attempt(const struct gw_run *run) {
        return run->options.attempt;
}

static bool api_is_committed(const struct gw_run *run) {
        return run->committed;
}

const struct gw_run_api *run_api(void) {
        static const struct gw_run_api api = {
                .size = sizeof(struct gw_run_api),
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
        return &api;
}

/* --- what the owner asks --- */

const void *run_blob(const struct gw_run *run, size_t *ret_size) {
        *ret_size = run->blob_size;
        return run->blob;
}

bool run_is_committed(const struct gw_run *run) {
        return run->committed;
}

const char *run_step_name(const struct gw_run *run) {
        return run->entered_any || run->phase == RUN_JOURNALING ? run->operation->steps[run->step].name : "";
}

const char *run_campaign(const struct gw_run *run) {
        return run->campaign;
}

const char *run_device_id(const struct gw_run *run) {
        return run->options.device_id;
}

void *run_owner_ctx(const struct gw_run *run) {
        return run->options.owner_ctx;
}
