/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "loop/loop_internal.h"
#include "loop/process_spawn.h"
#include "loop/timer.h"

#define DRAIN_READS_MAX 17 /* of LOOP_SCRATCH_SIZE: more than the largest pipe holds */

enum process_source {
        PROCESS_SOURCE_EXIT,
        PROCESS_SOURCE_INPUT,
        PROCESS_SOURCE_OUTPUT,
        PROCESS_SOURCE_DIAGNOSTICS,
        PROCESS_SOURCE_COUNT_,
};

/* A descriptor of ours that is polled: the pidfd, or our end of a pipe. */
struct source {
        uv_poll_t poll;
        struct process *process;
        int fd;
        size_t n_bytes; /* passed so far */
};

struct process {
        struct loop *loop;
        pid_t pid;
        const struct gw_process_handler *handler;
        void *ctx;
        struct source sources[PROCESS_SOURCE_COUNT_];
        size_t n_closing; /* polls that libuv still holds */
        uint8_t *input;
        size_t input_size;
        size_t output_max;
        struct timer *kill_timer;
        int64_t kill_ms; /* when it goes off */
        bool overflow;
        bool dropped; /* no callback any more: only waits for its end, to be reaped */
        bool over;    /* reaped, the memory goes with the last poll */
};

/* The group may outlive its leader. Until the leader is reaped, the number belongs to nobody else. */
static void kill_group(struct process *process, int signum) {
        kill(-process->pid, signum);
}

/* ---- the end */

static void free_when_closed(struct process *process) {
        if (!process->over || process->n_closing > 0)
                return;
        loop_scratch_release(process->loop);
        free(process->input);
        free(process);
}

static void on_poll_closed(uv_handle_t *handle) {
        struct source *source = handle->data;

        source->process->n_closing--;
        free_when_closed(source->process);
}

static void source_close(struct source *source) {
        if (source->fd < 0)
                return;
        source->process->n_closing++;
        uv_close((uv_handle_t *) &source->poll, on_poll_closed);
        close(TAKE_FD(source->fd));
}

static void close_pipes(struct process *process) {
        source_close(&process->sources[PROCESS_SOURCE_INPUT]);
        source_close(&process->sources[PROCESS_SOURCE_OUTPUT]);
        source_close(&process->sources[PROCESS_SOURCE_DIAGNOSTICS]);
        timer_cancel(TAKE_PTR(process->kill_timer));
}

static void process_end(struct process *process) {
        close_pipes(process);
        source_close(&process->sources[PROCESS_SOURCE_EXIT]);
        process->over = true;
        free_when_closed(process);
}

/* ---- the child's output */

static void deliver(struct process *process, enum process_source which, const uint8_t *data, size_t size) {
        size_t *n_bytes = &process->sources[which].n_bytes;
        size_t n_wanted = MIN(size, process->output_max - *n_bytes);

        *n_bytes += n_wanted;
        if (which == PROCESS_SOURCE_OUTPUT && n_wanted < size && !process->overflow) {
                process->overflow = true;
                kill_group(process, SIGKILL);
        }
        if (n_wanted == 0)
                return;
        if (which == PROCESS_SOURCE_OUTPUT && process->handler->output)
                process->handler->output(process->ctx, data, n_wanted);
        if (which == PROCESS_SOURCE_DIAGNOSTICS && process->handler->diagnostics)
                process->handler->diagnostics(process->ctx, data, n_wanted);
}

/* true: there may be more. */
static bool read_some(struct process *process, enum process_source which) {
        struct source *source = &process->sources[which];
        ssize_t n;

        if (source->fd < 0)
                return false;
        n = read(source->fd, process->loop->scratch, LOOP_SCRATCH_SIZE);
        if (n > 0) {
                deliver(process, which, process->loop->scratch, (size_t) n);
                return true;
        }
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
                source_close(source);
        return false;
}

/* ---- its input */

static void write_input(struct process *process) {
        struct source *source = &process->sources[PROCESS_SOURCE_INPUT];
        ssize_t n = write(source->fd, process->input + source->n_bytes, process->input_size - source->n_bytes);

        if (n >= 0)
                source->n_bytes += (size_t) n;
        else if (errno == EAGAIN || errno == EINTR)
                return;
        /* A child that does not read all of it is within its rights. */
        if (n < 0 || source->n_bytes == process->input_size)
                source_close(source);
}

/* ---- its end */

static int reap(struct process *process, int *ret_signal) {
        siginfo_t info = { 0 };

        *ret_signal = 0;
        while (waitid(P_PID, (id_t) process->pid, &info, WEXITED) < 0 && errno == EINTR)
                ;
        if (info.si_code == CLD_EXITED)
                return info.si_status;
        *ret_signal = info.si_status;
        return -1;
}

/* What the pipe still holds; not to its end, which a grandchild that left the group can put off for ever. */
static void drain(struct process *process, enum process_source which) {
        for (int i = 0; i < DRAIN_READS_MAX && read_some(process, which); i++)
                ;
}

/* First the rest of the group, then the rest of the output, then the news. */
static void on_exited(struct process *process) {
        int status, term_signal;

        kill_group(process, SIGKILL);
        drain(process, PROCESS_SOURCE_OUTPUT);
        drain(process, PROCESS_SOURCE_DIAGNOSTICS);
        status = reap(process, &term_signal);
        process_end(process);
        if (process->dropped)
                process->loop->n_works--;
        else
                process->handler->exited(process->ctx, status, term_signal, process->overflow);
}

static void on_poll(uv_poll_t *poll, int poll_status, int events) {
        struct source *source = poll->data;
        struct process *process = source->process;
        enum process_source which = (enum process_source)(source - process->sources);
        (void) poll_status; /* of a pipe: the other end was closed, which the next call tells, too */
        (void) events;

        switch (which) {
        case PROCESS_SOURCE_EXIT:
                on_exited(process);
                break;
        case PROCESS_SOURCE_INPUT:
                write_input(process);
                break;
        case PROCESS_SOURCE_OUTPUT:
        case PROCESS_SOURCE_DIAGNOSTICS:
                read_some(process, which);
                break;
        case PROCESS_SOURCE_COUNT_:
                break;
        }
}

static void on_grace_over(void *ctx) {
        struct process *process = ctx;

        process->kill_timer = NULL;
        kill_group(process, SIGKILL);
}

void process_terminate(struct process *process, int64_t grace_ms) {
        int64_t kill_ms;

        if (!process)
                return;
        kill_ms = loop_now_ms(process->loop) + grace_ms;
        if (process->kill_timer && process->kill_ms <= kill_ms)
                return;
        timer_cancel(TAKE_PTR(process->kill_timer));
        process->kill_ms = kill_ms;
        if (grace_ms > 0)
                kill_group(process, SIGTERM);
        if (grace_ms <= 0 || timer_start(process->loop, grace_ms, on_grace_over, process, &process->kill_timer) < 0)
                kill_group(process, SIGKILL);
}

void process_drop(struct process *process) {
        if (!process || process->dropped)
                return;
        kill_group(process, SIGKILL);
        close_pipes(process);
        process->dropped = true;
        process->loop->n_works++;
}

/* ---- the beginning */

static int source_open(struct process *process, enum process_source which, int fd, int events) {
        struct source *source = &process->sources[which];
        int r;

        source->process = process;
        r = uv_poll_init(&process->loop->uv, &source->poll, fd);
        if (r < 0) {
                close(fd);
                return r;
        }
        source->fd = fd;
        source->poll.data = source;
        return uv_poll_start(&source->poll, events, on_poll);
}

static int sources_open(struct process *process, struct process_spawned *spawned) {
        static const int events[PROCESS_SOURCE_COUNT_] = { UV_READABLE, UV_WRITABLE, UV_READABLE, UV_READABLE };
        int *const fds[PROCESS_SOURCE_COUNT_] = { &spawned->pidfd, &spawned->input, &spawned->output, &spawned->diagnostics };
        int r = 0;

        for (size_t i = 0; i < PROCESS_SOURCE_COUNT_ && r == 0; i++)
                r = source_open(process, (enum process_source) i, TAKE_FD(*fds[i]), events[i]);
        return r;
}

static int process_new(struct loop *loop, const struct gw_process_options *options, struct process **ret_process) {
        _cleanup_free_ struct process *process = calloc(1, sizeof *process);
        _cleanup_free_ uint8_t *input = malloc(options->input_size + 1);

        if (!process || !input || loop_scratch_acquire(loop) < 0)
                return -ENOMEM;
        if (options->input_size > 0)
                memcpy(input, options->input, options->input_size);
        process->loop = loop;
        process->input = TAKE_PTR(input);
        process->input_size = options->input_size;
        process->output_max = options->output_max ? options->output_max : PROCESS_OUTPUT_DEFAULT;
        for (size_t i = 0; i < PROCESS_SOURCE_COUNT_; i++)
                process->sources[i].fd = -1;
        *ret_process = TAKE_PTR(process);
        return 0;
}

static int start_error(const struct gw_process_options *options, int r, struct gw_error *err) {
        gw_error_set(err, r == -ENOENT || r == -EACCES || r == -EINVAL ? "exec-not-found" : "exec-start-failed", "%s: %s",
                     options->argv[0] ? options->argv[0] : "(no program)", strerror(-r));
        return r;
}

int process_start(struct loop *loop, const struct gw_process_options *options, const struct gw_process_handler *handler, void *ctx,
                  struct process **ret_process, struct gw_error *err) {
        struct process_spawned spawned;
        struct process *process;
        int r;

        if (!options->argv[0] || options->argv[0][0] != '/')
                return start_error(options, -EINVAL, err);
        r = process_new(loop, options, &process);
        if (r < 0)
                return start_error(options, r, err);
        process->handler = handler;
        process->ctx = ctx;
        r = process_spawn(options, &spawned);
        if (r < 0) {
                process_end(process);
                return start_error(options, r, err);
        }
        process->pid = spawned.pid;
        r = sources_open(process, &spawned);
        process_spawned_deinit(&spawned);
        if (r < 0) {
                int term_signal;

                kill_group(process, SIGKILL);
                reap(process, &term_signal);
                process_end(process);
                return start_error(options, r, err);
        }
        *ret_process = process;
        return 0;
}
