/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One-shot timers; the engine behind gw_timer_api. Starting and cancelling cost a step in a heap and no system call, so thousands
 * of retransmission timers that nearly never fire are fine. The timer belongs to the loop; the owner holds the handle until the
 * callback begins or until it cancels.
 */

#include <stdint.h>

#include "loop/loop.h"

struct timer;

/*
 * `fired` comes once, never earlier than delay_ms from now and never from inside (a delay of 0 or less: in the next turn). Timers
 * that are due together fire in the order of their times, then of their starts. The handle is invalid when `fired` begins.
 * -ENOMEM.
 */
int timer_start(struct loop *loop, int64_t delay_ms, loop_fn fired, void *ctx, struct timer **ret_timer);

/* NULL is fine. `fired` does not come any more; the handle is invalid. */
void timer_cancel(struct timer *timer);
