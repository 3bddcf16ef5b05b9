/* SPDX-License-Identifier: Apache-2.0 */
#include "waiters.h"

#include <errno.h>
#include <stdlib.h>

struct waiter {
        struct waiter *next;
        void (*done)(void *ctx);
        void *ctx;
};

int waiters_add(struct waiter **waiters, void (*done)(void *ctx), void *ctx) {
        struct waiter *waiter = calloc(1, sizeof *waiter);

        if (!waiter)
                return -ENOMEM;
        *waiter = (struct waiter){ .next = *waiters, .done = done, .ctx = ctx };
        *waiters = waiter;
        return 0;
}

void waiters_tell(struct waiter *waiters) {
        while (waiters) {
                struct waiter *waiter = waiters;

                waiters = waiter->next;
                waiter->done(waiter->ctx);
                free(waiter);
        }
}

void waiters_free(struct waiter *waiters) {
        while (waiters) {
                struct waiter *waiter = waiters;

                waiters = waiter->next;
                free(waiter);
        }
}
