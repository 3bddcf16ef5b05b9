/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/timer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "loop/loop_internal.h"

/*
 * A binary heap over one uv_timer_t. A uv_timer_t of its own for each would be a closing handle for each, and those keep the loop
 * from sleeping once per cancelled timer. The uv timer is armed at the end of a turn, so what is started and cancelled within one
 * turn costs nothing more.
 */

struct timer {
        struct loop *loop;
        int64_t due_ms;
        uint64_t order;
        size_t index; /* in the heap */
        loop_fn fired;
        void *ctx;
};

static bool is_before(const struct timer *a, const struct timer *b) {
        return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void place(struct timer_queue *queue, size_t index, struct timer *timer) {
        queue->heap[index] = timer;
        timer->index = index;
}

static void sift_up(struct timer_queue *queue, struct timer *timer, size_t index) {
        while (index > 0) {
                size_t parent = (index - 1) / 2;

                if (!is_before(timer, queue->heap[parent]))
                        break;
                place(queue, index, queue->heap[parent]);
                index = parent;
        }
        place(queue, index, timer);
}

static void sift_down(struct timer_queue *queue, struct timer *timer, size_t index) {
        for (;;) {
                size_t child = 2 * index + 1;

                if (child >= queue->n_timers)
                        break;
                if (child + 1 < queue->n_timers && is_before(queue->heap[child + 1], queue->heap[child]))
                        child++;
                if (is_before(timer, queue->heap[child]))
                        break;
                place(queue, index, queue->heap[child]);
                index = child;
        }
        place(queue, index, timer);
}

static int make_room(struct timer_queue *queue) {
        size_t capacity = queue->capacity ? queue->capacity * 2 : 16;
        struct timer **heap;

        if (queue->n_timers < queue->capacity)
                return 0;
        heap = reallocarray(queue->heap, capacity, sizeof *heap);
        if (!heap)
                return -ENOMEM;
        queue->heap = heap;
        queue->capacity = capacity;
        return 0;
}

static void take_out(struct timer_queue *queue, struct timer *timer) {
        size_t index = timer->index;
        struct timer *last = queue->heap[--queue->n_timers];

        if (index == 0)
                queue->stale = true;
        if (last == timer)
                return;
        if (index > 0 && is_before(last, queue->heap[(index - 1) / 2]))
                sift_up(queue, last, index);
        else
                sift_down(queue, last, index);
}

static void on_uv_timer(uv_timer_t *uv);

/* What a pool thread or a deferred call still does may be due before every timer. */
static bool is_idle(const struct loop *loop) {
        return loop->n_works == 0 && list_is_empty(&loop->deferred);
}

#define FAR_MS (3600 * 1000)

/* Virtual time: the loop looks at its descriptors once without waiting; then on_uv_timer() jumps. While work is under way only its
 * end wakes the loop; the armed timer keeps it alive. */
static void arm_virtual(struct loop *loop) {
        struct timer_queue *queue = &loop->timers;
        bool now = queue->n_timers > 0 && (is_idle(loop) || queue->heap[0]->due_ms <= loop_now_ms(loop));

        queue->may_jump = is_idle(loop) && !loop->ran_deferred;
        loop->ran_deferred = false;
        if (queue->n_timers == 0)
                uv_timer_stop(&queue->uv);
        else
                uv_timer_start(&queue->uv, on_uv_timer, now ? 0 : FAR_MS, 0);
}

static void jump(struct loop *loop) {
        int64_t ahead_ms = loop->timers.n_timers > 0 ? loop->timers.heap[0]->due_ms - loop_now_ms(loop) : 0;

        /* Only behind a turn in which nothing was done: whoever looks after each turn sees what was done at its time. */
        if (ahead_ms > 0 && loop->timers.may_jump && is_idle(loop))
                clock_fake_advance(loop->clock, ahead_ms);
        loop->timers.may_jump = false;
}

/* The timer that is due first decides how long the loop sleeps; without one it is not woken at all. */
void timer_queue_arm(struct loop *loop) {
        struct timer_queue *queue = &loop->timers;
        int64_t delay_ms;

        if (loop->clock) {
                arm_virtual(loop);
                return;
        }
        if (!queue->stale)
                return;
        queue->stale = false;
        if (queue->n_timers == 0) {
                uv_timer_stop(&queue->uv);
                return;
        }
        uv_update_time(&loop->uv);
        delay_ms = queue->heap[0]->due_ms - loop_now_ms(loop);
        uv_timer_start(&queue->uv, on_uv_timer, delay_ms > 0 ? (uint64_t) delay_ms : 0, 0);
}

/*
 * Until the end of the turn arms it right. uv_run() may return before, and by the armed timer it sees that something is waited for.
 * Not with 0: armed so from its own callback, libuv would call it again in the same turn, and for ever.
 */
static void keep_alive(struct timer_queue *queue) {
        queue->stale = true;
        uv_timer_start(&queue->uv, on_uv_timer, 1, 0);
}

static void on_uv_timer(uv_timer_t *uv) {
        struct loop *loop = uv->data;
        struct timer_queue *queue = &loop->timers;
        uint64_t n_started = queue->n_started;
        int64_t now_ms;

        if (loop->clock)
                jump(loop);
        now_ms = loop_now_ms(loop);

        /* Those that are started meanwhile wait for the next turn. */
        while (queue->n_timers > 0 && queue->heap[0]->due_ms <= now_ms && queue->heap[0]->order < n_started) {
                struct timer *timer = queue->heap[0];
                loop_fn fired = timer->fired;
                void *ctx = timer->ctx;

                timer_cancel(timer);
                fired(ctx);
        }
        if (queue->n_timers > 0)
                keep_alive(queue);
}

int timer_queue_init(struct loop *loop) {
        loop->timers.uv.data = loop;
        return uv_timer_init(&loop->uv, &loop->timers.uv);
}

void timer_queue_close(struct loop *loop) {
        uv_close((uv_handle_t *) &loop->timers.uv, NULL);
        free(loop->timers.heap);
}

int timer_start(struct loop *loop, int64_t delay_ms, loop_fn fired, void *ctx, struct timer **ret_timer) {
        struct timer_queue *queue = &loop->timers;
        struct timer *timer;

        if (make_room(queue) < 0)
                return -ENOMEM;
        timer = malloc(sizeof *timer);
        if (!timer)
                return -ENOMEM;
        delay_ms = delay_ms < 0 ? 0 : delay_ms;
        *timer = (struct timer){ .loop = loop, .order = queue->n_started++, .fired = fired, .ctx = ctx };
        if (__builtin_add_overflow(loop_now_ms(loop), delay_ms, &timer->due_ms))
                timer->due_ms = INT64_MAX;
        sift_up(queue, timer, queue->n_timers++);
        if (timer->index == 0)
                queue->stale = true;
        if (!uv_is_active((uv_handle_t *) &queue->uv))
                keep_alive(queue);
        *ret_timer = timer;
        return 0;
}

void timer_cancel(struct timer *timer) {
        if (!timer)
                return;
        take_out(&timer->loop->timers, timer);
        free(timer);
}
