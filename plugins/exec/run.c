/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "diagnostics.h"
#include "message.h"
#include "program.h"
#include "question.h"

/* What the program said of itself. */
struct description {
        bool offered[PROGRAM_STEP_COUNT_];
        bool commits[PROGRAM_STEP_COUNT_];
        uint32_t timeout_ms[PROGRAM_STEP_COUNT_];
};

struct exec_run {
        const struct gw_host *host;
        const struct gw_run_api *api;
        struct gw_run *handle;
        const struct gw_device *device;
        struct description description;

        /* the call that runs */
        bool describing;
        enum program_step step; /* when not describing */
        struct gw_process *process;
        struct gw_timer *timer;
        uint32_t timeout_ms;
        uint64_t progress_done;
        struct json_line lines;
        struct diagnostics diagnostics;
        struct message end;
        bool has_end, stop_asked;
        struct gw_error failure; /* the program is being killed for this */
};

static const char *call_name(const struct exec_run *run) {
        return run->describing ? "describe" : program_step_name(run->step);
}

/* ---- how a step ends */

/* Worth another attempt; everything else will fail the same way again. The classes of the catalogue. */
static bool may_pass(const char *name) {
        static const char *const names[] = { "exec-start-failed", "exec-failed",         "exec-crashed",
                                             "exec-timeout",      "artifact-unreadable", "out-of-memory" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcmp(names[i], name) == 0)
                        return true;
        return false;
}

static void end_failed(struct exec_run *run, const struct gw_error *failure) {
        struct gw_error err = *failure;

        gw_error_prefix(&err, "%s", call_name(run));
        if (may_pass(err.name))
                run->api->again(run->handle, &err);
        else
                run->api->fail(run->handle, &err);
}

GW_PRINTF(3, 4) static void end_named(struct exec_run *run, const char *name, const char *format, ...) {
        struct gw_error err;
        va_list arguments;

        va_start(arguments, format);
        gw_error_vset(&err, name, format, arguments);
        va_end(arguments);
        end_failed(run, &err);
}

static void end_bad_output(struct exec_run *run, const char *why) {
        end_named(run, "exec-bad-output", "%s", why);
}

/* The next step behind this one that the program has and that changes something. */
static bool find_next(const struct exec_run *run, enum program_step after, enum program_step *ret_step) {
        for (int step = (int) after + 1; step < PROGRAM_DIAGNOSE; step++)
                if (run->description.offered[step]) {
                        *ret_step = (enum program_step) step;
                        return true;
                }
        return false;
}

static void go_behind(struct exec_run *run, enum program_step step) {
        enum program_step next;

        if (find_next(run, step, &next))
                run->api->jump(run->handle, program_step_name(next));
        else
                end_bad_output(run, "\"next\" behind its last step: that one must end with \"done\"");
}

static void end_described(struct exec_run *run) {
        enum program_step first;

        if (run->end.end != MESSAGE_END_NEXT)
                end_bad_output(run, "a description ends with \"next\"");
        else if (run->api->operation(run->handle) == GW_OPERATION_UPDATE && !find_next(run, PROGRAM_INSPECT, &first))
                end_bad_output(run, "no step that would change anything was described");
        else
                run->api->next(run->handle);
}

static void end_jump(struct exec_run *run) {
        enum program_step step = run->end.step;

        if (step == PROGRAM_INSPECT || step == PROGRAM_DIAGNOSE || !run->description.offered[step])
                end_bad_output(run, "a jump to a step that was not described, or that only looks");
        else
                run->api->jump(run->handle, program_step_name(step));
}

/* Behind inspect an interrupted job goes on at the step that the journal holds, as the host does by itself. */
static void end_next(struct exec_run *run) {
        if (run->step == PROGRAM_INSPECT && run->api->resume_step(run->handle))
                run->api->next(run->handle);
        else
                go_behind(run, run->step);
}

static void end_done(struct exec_run *run) {
        if (run->end.result == GW_RESULT_REPORTED)
                end_bad_output(run, "an update does not end with \"reported\"");
        else
                run->api->done(run->handle, run->end.result, run->end.proof);
}

static void end_as_said(struct exec_run *run) {
        bool looks = run->api->operation(run->handle) != GW_OPERATION_UPDATE;
        const struct message *end = &run->end;

        switch (end->end) {
        case MESSAGE_END_NEXT:
        case MESSAGE_END_DONE:
                if (looks)
                        run->api->done(run->handle, GW_RESULT_REPORTED, GW_PROOF_NONE);
                else if (end->end == MESSAGE_END_DONE)
                        end_done(run);
                else
                        end_next(run);
                break;
        case MESSAGE_END_JUMP:
                end_jump(run);
                break;
        case MESSAGE_END_WAIT:
                run->api->wait(run->handle, end->reason, end->wakes, end->delay_ms);
                break;
        case MESSAGE_END_AGAIN:
                run->api->again(run->handle, &end->error);
                break;
        case MESSAGE_END_FAIL:
                run->api->fail(run->handle, &end->error);
                break;
        }
}

/* ---- what the program says */

static void timed_out(void *ctx);

static void restart_timer(struct exec_run *run) {
        run->host->timer->cancel(run->timer);
        run->timer = NULL;
        (void) run->host->timer->start(run->host, run->timeout_ms, timed_out, run, &run->timer);
}

static int hear_progress(struct exec_run *run, const struct message *message) {
        /* Only what moves on counts as a sign of life. */
        if (message->done != run->progress_done)
                restart_timer(run);
        run->progress_done = message->done;
        run->api->progress(run->handle, message->done, message->total);
        return 0;
}

static int hear_step(struct exec_run *run, const struct message *message) {
        struct description *description = &run->description;

        if (!run->describing || description->offered[message->step]) {
                gw_error_set(&run->failure, "exec-bad-output", "\"step\" belongs into the answer to `describe`, once for each step");
                return -EBADMSG;
        }
        description->offered[message->step] = true;
        description->commits[message->step] = message->commits;
        description->timeout_ms[message->step] = message->timeout_ms;
        return 0;
}

static int hear_blob(struct exec_run *run, const struct message *message) {
        int r = run->api->blob_set(run->handle, message->blob ? message->blob : "", message->blob_size);

        if (r == 0)
                run->api->checkpoint(run->handle);
        else
                gw_error_set(&run->failure, "out-of-memory", "the blob cannot be kept: %s", strerror(-r));
        return r;
}

static int hear(struct exec_run *run, const struct message *message) {
        switch (message->kind) {
        case MESSAGE_PROGRESS:
                return hear_progress(run, message);
        case MESSAGE_NOTE:
                run->api->note(run->handle, "%s", message->note);
                return 0;
        case MESSAGE_LEARNED:
                run->api->learned(run->handle, &message->facts);
                return 0;
        case MESSAGE_BLOB:
                return hear_blob(run, message);
        case MESSAGE_TARGET:
                run->api->target(run->handle, &message->target);
                return 0;
        case MESSAGE_STEP:
                return hear_step(run, message);
        case MESSAGE_END:
                break;
        }
        return 0;
}

static int on_line(void *ctx, const char *text, size_t size) {
        struct exec_run *run = ctx;
        struct message message;
        int r;

        if (run->has_end) {
                gw_error_set(&run->failure, "exec-bad-output", "a line behind \"end\", which must be the last one");
                return -EBADMSG;
        }
        r = message_parse(text, size, &message, &run->failure);
        if (r < 0)
                return r;
        if (message.kind == MESSAGE_END) {
                message_deinit(&message);
                r = message_parse(text, size, &run->end, &run->failure);
                run->has_end = r == 0;
                return r;
        }
        if (run->describing && message.kind != MESSAGE_STEP && message.kind != MESSAGE_NOTE) {
                gw_error_set(&run->failure, "exec-bad-output", "a description has lines with \"step\", \"note\" and \"end\" only");
                r = -EBADMSG;
        } else {
                r = hear(run, &message);
        }
        message_deinit(&message);
        return r;
}

static void note_failure(struct exec_run *run, int r) {
        if (r == -E2BIG)
                gw_error_set(&run->failure, "exec-bad-output", "a line of more than %u bytes", EXEC_LINE_MAX);
        else if (!gw_error_is_set(&run->failure))
                gw_error_set(&run->failure, "out-of-memory", "its output cannot be read: %s", strerror(-r));
}

static void on_output(void *ctx, const uint8_t *data, size_t size) {
        struct exec_run *run = ctx;
        int r;

        if (gw_error_is_set(&run->failure))
                return;
        r = json_line_feed(&run->lines, data, size, on_line, run);
        if (r == 0)
                return;
        note_failure(run, r);
        run->host->process->terminate(run->process, 0);
}

static void on_diagnostic(void *ctx, const char *line) {
        struct exec_run *run = ctx;

        run->host->log->write(run->host, run->handle, GW_LOG_DEBUG, "%s: %s", call_name(run), line);
}

static void on_diagnostics(void *ctx, const uint8_t *data, size_t size) {
        struct exec_run *run = ctx;

        diagnostics_feed(&run->diagnostics, data, size, on_diagnostic, run);
}

static void timed_out(void *ctx) {
        struct exec_run *run = ctx;

        run->timer = NULL;
        if (!gw_error_is_set(&run->failure))
                gw_error_set(&run->failure, "exec-timeout", "%u ms went by without an end or progress", run->timeout_ms);
        run->host->process->terminate(run->process, EXEC_STOP_GRACE_MS);
}

/* ---- a call */

static void on_exited(void *ctx, int status, int term_signal, bool overflow) {
        struct exec_run *run = ctx;
        bool orderly = term_signal == 0 && status == 0;

        run->process = NULL;
        run->host->timer->cancel(run->timer);
        run->timer = NULL;
        diagnostics_flush(&run->diagnostics, on_diagnostic, run);
        if (orderly && !overflow && !gw_error_is_set(&run->failure)) {
                int r = json_line_flush(&run->lines, on_line, run);

                if (r < 0)
                        note_failure(run, r);
        }
        json_line_deinit(&run->lines);
        if (gw_error_is_set(&run->failure))
                end_failed(run, &run->failure);
        else if (overflow)
                end_named(run, "exec-too-much-output", "more than %lld bytes",
                          (long long) run->host->device->attribute_number(run->device, "output"));
        else if (run->stop_asked && !(orderly && run->has_end))
                run->api->stopped(run->handle);
        else if (term_signal != 0)
                end_named(run, "exec-crashed", "signal %d (%s)%s%s", term_signal, strsignal(term_signal),
                          diagnostics_join(&run->diagnostics), run->diagnostics.last);
        else if (status != 0)
                end_named(run, "exec-failed", "exit code %d%s%s", status, diagnostics_join(&run->diagnostics), run->diagnostics.last);
        else if (!run->has_end)
                end_named(run, "exec-no-result", "no line with \"end\"%s%s", diagnostics_join(&run->diagnostics), run->diagnostics.last);
        else if (run->describing)
                end_described(run);
        else
                end_as_said(run);
}

static const struct gw_process_handler process_handler = { .output = on_output, .diagnostics = on_diagnostics, .exited = on_exited };

/* A descriptor of its own, so that the place where one program reads is not moved by another one. */
static int open_part(const struct exec_run *run, int *ret_fd, struct gw_error *err) {
        const struct gw_order *order = run->api->order(run->handle);
        const struct gw_part *part = order ? order->wanted[0].part : NULL;
        char path[40];
        int fd, r = 0;

        if (!part) {
                *ret_fd = -1;
                return 0;
        }
        snprintf(path, sizeof path, "/proc/self/fd/%d", part->fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || lseek(fd, (off_t) part->offset, SEEK_SET) < 0) {
                r = -errno;
                gw_error_set(err, "artifact-unreadable", "the image cannot be opened: %s", strerror(-r));
                if (fd >= 0)
                        close(fd);
                return r;
        }
        *ret_fd = fd;
        return 0;
}

static int64_t number(const struct exec_run *run, const char *key) {
        return run->host->device->attribute_number(run->device, key);
}

static int start_process(struct exec_run *run, const char *program, const struct question *question, struct gw_error *err) {
        const char *const argv[] = { program, call_name(run), NULL };
        struct gw_process_options options = {
                .size = sizeof options,
                .argv = argv,
                .environment = question->environment,
                .directory = "/",
                .input = question->text,
                .input_size = question->size,
                .memory_max = (uint64_t) number(run, "memory"),
                .cpu_s_max = (uint32_t) ((number(run, "cpu") + 999) / 1000),
                .files_max = (uint32_t) number(run, "files"),
                .file_size_max = (uint32_t) number(run, "file_size"),
                .output_max = (size_t) number(run, "output"),
        };
        int r = open_part(run, &options.keep_fd, err);

        if (r < 0)
                return r;
        r = run->host->process->start(run->host, &options, &process_handler, run, &run->process, err);
        if (options.keep_fd >= 0)
                close(options.keep_fd);
        return r;
}

static uint32_t call_timeout_ms(const struct exec_run *run) {
        uint32_t timeout_ms = run->describing ? EXEC_DESCRIBE_TIMEOUT_MS : run->description.timeout_ms[run->step];

        return timeout_ms ? timeout_ms : (uint32_t) number(run, "timeout");
}

/* Every failure to begin is an end of the step, of the class that its name has. */
static void call(struct exec_run *run) {
        char program[PATH_MAX];
        struct gw_error err = { 0 };
        struct question question = { 0 };
        int r = program_check(run->host->device->attribute(run->device, "program"), program, &err);

        message_deinit(&run->end);
        diagnostics_init(&run->diagnostics);
        run->failure = (struct gw_error){ 0 };
        run->has_end = run->stop_asked = false;
        run->progress_done = 0;
        run->timeout_ms = call_timeout_ms(run);
        if (r == 0) {
                r = question_make(run->host, run->handle, call_name(run), &question);
                if (r < 0)
                        gw_error_set(&err, "out-of-memory", "no memory for what it is to be told");
        }
        if (r == 0)
                r = start_process(run, program, &question, &err);
        question_deinit(&question);
        if (r < 0) {
                end_failed(run, &err);
                return;
        }
        json_line_init(&run->lines, EXEC_LINE_MAX);
        restart_timer(run);
}

/* ---- the steps */

static int describe_enter(void *ctx, struct gw_error *err) {
        struct exec_run *run = ctx;
        const struct gw_order *order = run->api->order(run->handle);

        if (order && order->n_wanted != 1) {
                gw_error_set(err, "does-not-fit-device", "a program takes files with one image, this one has %zu", order->n_wanted);
                return -EINVAL;
        }
        run->describing = true;
        run->description = (struct description){ 0 };
        call(run);
        return 0;
}

static void committed(void *ctx) {
        struct exec_run *run = ctx;

        if (run->stop_asked)
                run->api->stopped(run->handle);
        else
                call(run);
}

static int enter(struct exec_run *run, enum program_step step, struct gw_error *err) {
        int r = 0;

        run->describing = false;
        run->stop_asked = false;
        run->step = step;
        if (!run->description.offered[step]) {
                /* Inspect may be missing; another one only where the program was exchanged in the middle of a job. */
                end_next(run);
        } else if (run->description.commits[step]) {
                r = run->api->committed(run->handle, committed);
                if (r < 0)
                        gw_error_set(err, "store-failed", "the point of no return could not be written down: %s", strerror(-r));
        } else {
                call(run);
        }
        return r;
}

static int enter_look(struct exec_run *run, enum program_step step, struct gw_error *err) {
        if (step == PROGRAM_DIAGNOSE && !run->description.offered[step])
                step = PROGRAM_INSPECT;
        if (run->description.offered[step])
                return enter(run, step, err);
        run->api->note(run->handle, "the program has no step that only looks");
        run->api->done(run->handle, GW_RESULT_REPORTED, GW_PROOF_NONE);
        return 0;
}

static int inspect_enter(void *ctx, struct gw_error *err) {
        struct exec_run *run = ctx;

        return run->api->operation(run->handle) == GW_OPERATION_UPDATE ? enter(run, PROGRAM_INSPECT, err)
                                                                       : enter_look(run, PROGRAM_INSPECT, err);
}

static int diagnose_enter(void *ctx, struct gw_error *err) {
        return enter_look(ctx, PROGRAM_DIAGNOSE, err);
}

#define STEP(name, step)                                                                                                                   \
        static int name##_enter(void *ctx, struct gw_error *err) {                                                                         \
                return enter(ctx, step, err);                                                                                              \
        }

STEP(prepare, PROGRAM_PREPARE)
STEP(upload, PROGRAM_UPLOAD)
STEP(test, PROGRAM_TEST)
STEP(activate, PROGRAM_ACTIVATE)
STEP(reset, PROGRAM_RESET)
STEP(return, PROGRAM_RETURN)
STEP(verify, PROGRAM_VERIFY)
STEP(trial, PROGRAM_TRIAL)
STEP(confirm, PROGRAM_CONFIRM)
STEP(finish, PROGRAM_FINISH)

/* Timeouts are our own, since a program states them. A job that is to stop does so before the device begins to change. */
const struct gw_step steps_update[STEPS_UPDATE_COUNT] = {
        { "describe", describe_enter, 0, GW_STEP_PREPARE },
        { "inspect", inspect_enter, 0, GW_STEP_PREPARE },
        { "prepare", prepare_enter, 0, GW_STEP_RESUMABLE },
        { "upload", upload_enter, 0, GW_STEP_RESUMABLE },
        { "test", test_enter, 0, GW_STEP_RESUMABLE },
        { "activate", activate_enter, 0, GW_STEP_RESUMABLE },
        { "reset", reset_enter, 0, 0 },
        { "return", return_enter, 0, 0 },
        { "verify", verify_enter, 0, 0 },
        { "trial", trial_enter, 0, 0 },
        { "confirm", confirm_enter, 0, 0 },
        { "finish", finish_enter, 0, 0 },
};

const struct gw_step steps_inspect[STEPS_LOOK_COUNT] = { { "describe", describe_enter, 0, 0 }, { "inspect", inspect_enter, 0, 0 } };

const struct gw_step steps_diagnose[STEPS_LOOK_COUNT] = { { "describe", describe_enter, 0, 0 }, { "diagnose", diagnose_enter, 0, 0 } };

/* ---- life */

int run_new(void *driver, struct gw_run *handle, void **ret_run, struct gw_error *err) {
        struct exec_run *run = calloc(1, sizeof *run);

        if (!run) {
                gw_error_set(err, "out-of-memory", "no memory for a run");
                return -ENOMEM;
        }
        run->host = ((const struct driver *) driver)->host;
        run->api = run->host->run;
        run->handle = handle;
        run->device = run->api->device(handle);
        *ret_run = run;
        return 0;
}

void run_stop(void *ctx, enum gw_stop_reason reason) {
        struct exec_run *run = ctx;
        bool hurry = reason == GW_STOP_SHUTDOWN || reason == GW_STOP_TIMEOUT;

        run->stop_asked = true;
        if (run->process)
                run->host->process->terminate(run->process, hurry ? EXEC_STOP_GRACE_MS : EXEC_CANCEL_GRACE_MS);
}

void run_free(void *ctx) {
        struct exec_run *run = ctx;

        run->host->timer->cancel(run->timer);
        if (run->process) {
                run->host->process->drop(run->process);
                json_line_deinit(&run->lines);
        }
        message_deinit(&run->end);
        free(run);
}
