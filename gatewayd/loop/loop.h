/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one event loop. Everything that waits in this daemon waits here: timers, sockets, serial ports, children, downloads. All
 * callbacks of this floor come on the thread that calls loop_run(), one at a time, never from inside the call that asked for
 * them. Nothing in a callback may block longer than a few milliseconds.
 *
 * A turn of the loop: due timers, deferred calls, turn hooks, then it sleeps until a descriptor is ready. While nothing happens
 * it sleeps without a limit: no tick, no polling.
 *
 * The objects that the functions of this floor hand out belong to the loop until their last callback, or until the owner
 * cancels or closes them; each header says which.
 */

#include <stdbool.h>
#include <stdint.h>

#define LOOP_FILES_MAX 16384

struct clock_fake;
struct loop;
struct loop_deferral;
struct loop_hook;
struct loop_signal;

/*
 * Also, for the whole process: ignores SIGPIPE; keeps libuv's pool at two threads unless UV_THREADPOOL_SIZE is set; lets all threads
 * share one heap, which is smaller; raises the soft limit of open files to LOOP_FILES_MAX as far as the hard one allows (a thousand
 * devices are a thousand sockets). So the first loop is made before any other thread runs.
 */
int loop_new(struct loop **ret_loop);

/*
 * A loop on the time of `clock`, which must outlive it, for tests: no timer waits for the world. When nothing else is to be done (no
 * deferred call, no work of the pool, no descriptor ready) both times of the clock jump to the timer that is due next, so weeks pass
 * in the time that their callbacks take. The test may move the clock itself, too.
 */
int loop_new_virtual(struct clock_fake *clock, struct loop **ret_loop);

/* Runs until loop_stop(), or until nothing is left that could ever call back. The hooks run once more at its end. */
void loop_run(struct loop *loop);

/* One turn: sleeps until something happens, handles it. false: nothing is left that could ever call back. For tests and tools. */
bool loop_run_once(struct loop *loop);

/* loop_run() returns after this turn. */
void loop_stop(struct loop *loop);

/*
 * Everything that was opened on the loop must be closed or cancelled before; what still ends in a second phase is carried to its
 * end here, including work that a pool thread has begun. Something left open is a bug, reported on stderr and asserted. NULL is
 * fine.
 */
void loop_free(struct loop *loop);

/* Monotonic milliseconds, the clock of base/time.h (or the virtual one), read at the call. */
int64_t loop_now_ms(const struct loop *loop);

typedef void (*loop_fn)(void *ctx);

/*
 * Calls back once, later, in the order of the calls. The handle is invalid from the callback on. A call that is deferred from
 * inside a deferred call runs in the next turn. ret_deferral may be NULL when it is never to be cancelled. -ENOMEM.
 */
int loop_defer(struct loop *loop, loop_fn callback, void *ctx, struct loop_deferral **ret_deferral);
void loop_defer_cancel(struct loop_deferral *deferral); /* NULL is fine; the callback does not come */

/*
 * Calls back at the end of every turn, just before the loop may sleep, in the order of the calls: the place to commit what the turn
 * has changed. It may defer, start timers and add or remove hooks; the next turn then follows at once where that is due. A hook does
 * not keep loop_run() running. -ENOMEM.
 */
int loop_turn_hook(struct loop *loop, loop_fn callback, void *ctx, struct loop_hook **ret_hook);
void loop_hook_remove(struct loop_hook *hook); /* NULL is fine */

/* Calls back for every arrival of the signal, until removed. Keeps loop_run() running. */
int loop_signal(struct loop *loop, int signum, void (*callback)(void *ctx, int signum), void *ctx, struct loop_signal **ret_signal);
void loop_signal_remove(struct loop_signal *signal); /* NULL is fine */
