/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who wants to hear that a scan is over. Several callers share one scan; the list belongs to it, NULL is nobody.
 */

struct waiter;

/* -ENOMEM. */
int waiters_add(struct waiter **waiters, void (*done)(void *ctx), void *ctx);
/* Calls everybody once and frees the list. The owner takes the list out before, so that a new scan may begin from inside. */
void waiters_tell(struct waiter *waiters);
/* Without calling anybody. */
void waiters_free(struct waiter *waiters);
