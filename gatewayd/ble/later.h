/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A deferred call of the loop that is scheduled again and again: once more while it waits changes nothing. */

#include "loop/loop.h"

struct later {
        struct loop *loop;
        loop_fn callback;
        void *ctx;
        struct loop_deferral *waiting;
};

static inline void later_run(void *ctx) {
        struct later *later = ctx;

        later->waiting = NULL;
        later->callback(later->ctx);
}

static inline void later_init(struct later *later, struct loop *loop, loop_fn callback, void *ctx) {
        *later = (struct later){ .loop = loop, .callback = callback, .ctx = ctx };
}

/* -ENOMEM; what changed is then seen with the next change. */
static inline int later_schedule(struct later *later) {
        return later->waiting ? 0 : loop_defer(later->loop, later_run, later, &later->waiting);
}

static inline void later_cancel(struct later *later) {
        loop_defer_cancel(later->waiting);
        later->waiting = NULL;
}
