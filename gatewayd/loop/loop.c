/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "loop/loop_internal.h"

struct loop_hook {
        struct list node;
        struct loop *loop;
        loop_fn callback;
        void *ctx;
};

struct loop_signal {
        uv_signal_t uv;
        void (*callback)(void *ctx, int signum);
        void *ctx;
};

/* ---- deferred calls: run by the idle handle, before the hooks of the same turn */

void loop_deferral_init(struct loop_deferral *deferral, struct loop *loop, loop_fn callback, void *ctx) {
        *deferral = (struct loop_deferral){ .loop = loop, .callback = callback, .ctx = ctx };
        list_init(&deferral->node);
}

static void on_idle(uv_idle_t *idle) {
        struct loop *loop = idle->data;
        struct list running = LIST_INIT(running), *node;

        /* Only what waits now: a call that defers itself again must not keep the loop from its descriptors. */
        while ((node = list_pop(&loop->deferred)))
                list_append(&running, node);
        uv_idle_stop(idle);
        loop->ran_deferred = true;
        while ((node = list_pop(&running))) {
                struct loop_deferral *deferral = container_of(node, struct loop_deferral, node);
                loop_fn callback = deferral->callback;
                void *ctx = deferral->ctx;

                if (deferral->on_heap)
                        free(deferral);
                callback(ctx);
        }
}

void loop_deferral_schedule(struct loop_deferral *deferral) {
        if (list_is_linked(&deferral->node))
                return;
        list_append(&deferral->loop->deferred, &deferral->node);
        uv_idle_start(&deferral->loop->idle, on_idle);
}

void loop_deferral_cancel(struct loop_deferral *deferral) {
        list_remove(&deferral->node);
        if (list_is_empty(&deferral->loop->deferred))
                uv_idle_stop(&deferral->loop->idle);
}

int loop_defer(struct loop *loop, loop_fn callback, void *ctx, struct loop_deferral **ret_deferral) {
        struct loop_deferral *deferral = malloc(sizeof *deferral);

        if (!deferral)
                return -ENOMEM;
        loop_deferral_init(deferral, loop, callback, ctx);
        deferral->on_heap = true;
        loop_deferral_schedule(deferral);
        if (ret_deferral)
                *ret_deferral = deferral;
        return 0;
}

void loop_defer_cancel(struct loop_deferral *deferral) {
        if (!deferral)
                return;
        loop_deferral_cancel(deferral);
        free(deferral);
}

/* ---- hooks at the end of a turn */

static void run_hooks(struct loop *loop) {
        struct list ran = LIST_INIT(ran), *node;

        /* Each moves over before it is called, so it may remove itself or any other one. */
        while ((node = list_pop(&loop->hooks))) {
                struct loop_hook *hook = container_of(node, struct loop_hook, node);

                list_append(&ran, node);
                hook->callback(hook->ctx);
        }
        while ((node = list_pop(&ran)))
                list_append(&loop->hooks, node);
}

static void on_prepare(uv_prepare_t *prepare) {
        struct loop *loop = prepare->data;

        run_hooks(loop);
        timer_queue_arm(loop);
}

int loop_turn_hook(struct loop *loop, loop_fn callback, void *ctx, struct loop_hook **ret_hook) {
        struct loop_hook *hook = malloc(sizeof *hook);

        if (!hook)
                return -ENOMEM;
        *hook = (struct loop_hook){ .loop = loop, .callback = callback, .ctx = ctx };
        list_append(&loop->hooks, &hook->node);
        *ret_hook = hook;
        return 0;
}

void loop_hook_remove(struct loop_hook *hook) {
        if (!hook)
                return;
        list_remove(&hook->node);
        free(hook);
}

/* ---- signals */

static void on_signal(uv_signal_t *uv, int signum) {
        struct loop_signal *watched = uv->data;

        watched->callback(watched->ctx, signum);
}

static void on_signal_closed(uv_handle_t *handle) {
        free(handle->data);
}

int loop_signal(struct loop *loop, int signum, void (*callback)(void *ctx, int signum), void *ctx, struct loop_signal **ret_signal) {
        struct loop_signal *watched = malloc(sizeof *watched);
        int r;

        if (!watched)
                return -ENOMEM;
        *watched = (struct loop_signal){ .callback = callback, .ctx = ctx };
        r = uv_signal_init(&loop->uv, &watched->uv);
        if (r < 0) {
                free(watched);
                return r;
        }
        watched->uv.data = watched;
        r = uv_signal_start(&watched->uv, on_signal, signum);
        if (r < 0) {
                loop_signal_remove(watched);
                return r;
        }
        *ret_signal = watched;
        return 0;
}

void loop_signal_remove(struct loop_signal *watched) {
        if (watched)
                uv_close((uv_handle_t *) &watched->uv, on_signal_closed);
}

/* ---- the scratch buffer: mapped, so that pages nobody reads into cost nothing */

int loop_scratch_acquire(struct loop *loop) {
        if (loop->n_scratch_users == 0) {
                void *memory = mmap(NULL, LOOP_SCRATCH_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                if (memory == MAP_FAILED)
                        return -ENOMEM;
                loop->scratch = memory;
        }
        loop->n_scratch_users++;
        return 0;
}

void loop_scratch_release(struct loop *loop) {
        if (--loop->n_scratch_users > 0)
                return;
        munmap(loop->scratch, LOOP_SCRATCH_SIZE);
        loop->scratch = NULL;
}

/* ---- the loop */

static int loop_init(struct loop *loop) {
        int r;

        list_init(&loop->deferred);
        list_init(&loop->hooks);
        r = uv_loop_init(&loop->uv);
        if (r < 0)
                return r;
        uv_prepare_init(&loop->uv, &loop->prepare);
        loop->prepare.data = loop;
        uv_prepare_start(&loop->prepare, on_prepare);
        uv_unref((uv_handle_t *) &loop->prepare);
        uv_idle_init(&loop->uv, &loop->idle);
        loop->idle.data = loop;
        return timer_queue_init(loop);
}

static int set_up_process(void) {
        struct rlimit files;

        signal(SIGPIPE, SIG_IGN);
        mallopt(M_ARENA_MAX, 1);
        if (setenv("UV_THREADPOOL_SIZE", LOOP_POOL_THREADS, 0) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
                return -errno;
        if (files.rlim_cur >= LOOP_FILES_MAX)
                return 0;
        files.rlim_cur = MIN(files.rlim_max, (rlim_t) LOOP_FILES_MAX);
        return setrlimit(RLIMIT_NOFILE, &files) < 0 ? -errno : 0;
}

static int make_loop(struct clock_fake *clock, struct loop **ret_loop) {
        struct loop *loop;
        int r;

        r = set_up_process();
        if (r < 0)
                return r;
        loop = calloc(1, sizeof *loop);
        if (!loop)
                return -ENOMEM;
        loop->clock = clock;
        r = loop_init(loop);
        if (r < 0) {
                free(loop);
                return r;
        }
        *ret_loop = loop;
        return 0;
}

int loop_new(struct loop **ret_loop) {
        return make_loop(NULL, ret_loop);
}

int loop_new_virtual(struct clock_fake *clock, struct loop **ret_loop) {
        return make_loop(clock, ret_loop);
}

void loop_run(struct loop *loop) {
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        run_hooks(loop); /* libuv leaves a turn that was stopped before its end */
}

bool loop_run_once(struct loop *loop) {
        return uv_run(&loop->uv, UV_RUN_ONCE) != 0;
}

void loop_stop(struct loop *loop) {
        uv_stop(&loop->uv);
}

int64_t loop_now_ms(const struct loop *loop) {
        return loop->clock ? loop->clock->now_monotonic_ms : time_now_monotonic_ms();
}

static void report_open(uv_handle_t *handle, void *ctx) {
        size_t *n_open = ctx;

        if (uv_is_closing(handle))
                return;
        fprintf(stderr, "loop: a handle of type %s was left open\n", uv_handle_type_name(uv_handle_get_type(handle)));
        (*n_open)++;
}

/* What libuv still holds after the last close is somebody's leak: its memory may be gone, so going on is no choice. */
static void loop_close_uv(struct loop *loop) {
        size_t n_open = 0;

        uv_walk(&loop->uv, report_open, &n_open);
        while (n_open == 0 && uv_loop_close(&loop->uv) == UV_EBUSY)
                uv_run(&loop->uv, UV_RUN_NOWAIT);
        if (n_open > 0)
                abort();
}

void loop_free(struct loop *loop) {
        if (!loop)
                return;
        while (loop->n_works > 0 || !list_is_empty(&loop->deferred))
                uv_run(&loop->uv, UV_RUN_ONCE);
        if (loop->timers.n_timers > 0 || !list_is_empty(&loop->hooks)) {
                fprintf(stderr, "loop: %zu timers and %zu turn hooks were left\n", loop->timers.n_timers, list_count(&loop->hooks));
                abort();
        }
        uv_close((uv_handle_t *) &loop->prepare, NULL);
        uv_close((uv_handle_t *) &loop->idle, NULL);
        timer_queue_close(loop);
        loop_close_uv(loop);
        free(loop);
}
