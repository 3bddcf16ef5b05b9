/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Work that would block the loop (hashing, fsync, signatures) on a pool of two threads; the engine behind gw_worker_api. Work that
 * waits for a network does not belong here: it would starve the rest.
 */

#include "loop/loop.h"

struct work;

/*
 * `work` on a pool thread, then `done` on the loop: result 0, or -ECANCELED after worker_cancel(). ctx is shared by both, so its
 * owner leaves it alone until `done`. The handle is invalid when `done` begins. -ENOMEM. ret_work may be NULL.
 */
int worker_start(struct loop *loop, void (*work)(void *ctx), void (*done)(void *ctx, int result), void *ctx, struct work **ret_work);

/* Work that has not begun never will. `done` comes with -ECANCELED either way: for work that runs, when it has ended. NULL is fine. */
void worker_cancel(struct work *work);
