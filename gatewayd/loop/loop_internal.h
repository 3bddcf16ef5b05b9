/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the event sources of this floor share and nobody above it sees: the libuv loop itself, deferred calls that are embedded in
 * their owner, and one scratch buffer into which every source reads. The scratch buffer is free for use in every callback of libuv:
 * callbacks do not nest, so its content is the reader's until that callback returns.
 */

#include <uv.h>

#include "base/list.h"
#include "loop/loop.h"

#define LOOP_SCRATCH_SIZE (64u * 1024u)
#define LOOP_POOL_THREADS "2"

struct clock_fake;
struct timer;

/* A deferred call. Embedded ones are initialised once and may be scheduled again and again. */
struct loop_deferral {
        struct list node; /* of loop.deferred while it waits */
        struct loop *loop;
        loop_fn callback;
        void *ctx;
        bool on_heap; /* made by loop_defer(): freed before it runs */
};

/* The heap of loop/timer.c over one uv_timer_t. */
struct timer_queue {
        uv_timer_t uv;
        struct timer **heap;
        size_t n_timers;
        size_t capacity;
        uint64_t n_started; /* breaks ties in the order of the starts */
        bool stale;         /* the head may have changed since uv was armed */
        bool may_jump;      /* of a virtual loop: nothing was done in the last turn, nor is left to be done */
};

struct loop {
        uv_loop_t uv;
        struct clock_fake *clock; /* NULL: the world's */
        uv_prepare_t prepare;
        uv_idle_t idle; /* active while deferred calls wait: then the loop does not sleep */
        struct list deferred;
        bool ran_deferred; /* in this turn */
        struct list hooks;
        struct timer_queue timers;
        size_t n_works; /* requests that a pool thread may still be busy with */
        uint8_t *scratch;
        size_t n_scratch_users;
};

void loop_deferral_init(struct loop_deferral *deferral, struct loop *loop, loop_fn callback, void *ctx);
void loop_deferral_schedule(struct loop_deferral *deferral); /* nothing when it already waits */
void loop_deferral_cancel(struct loop_deferral *deferral);   /* of an embedded one; also when it does not wait */

/* LOOP_SCRATCH_SIZE bytes at loop->scratch while anybody holds them. -ENOMEM. */
int loop_scratch_acquire(struct loop *loop);
void loop_scratch_release(struct loop *loop);

/* loop/timer.c */
int timer_queue_init(struct loop *loop);
void timer_queue_arm(struct loop *loop); /* at the end of a turn */
void timer_queue_close(struct loop *loop);
