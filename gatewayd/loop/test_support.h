/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For tests that wait for real events: runs the loop until a condition holds. What never comes ends the test by the watchdog or,
 * where nothing is left that could call back, at once.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "loop/loop.h"

#define TEST_WATCHDOG_S 60 /* only a hang gets there; SIGALRM then ends the test */

#define LOOP_UNTIL(loop, condition)                                                                                                        \
        do {                                                                                                                               \
                alarm(TEST_WATCHDOG_S);                                                                                                    \
                while (!(condition))                                                                                                       \
                        if (!loop_run_once(loop) && !(condition))                                                                          \
                                fail_msg("nothing is left that could make true: %s", #condition);                                          \
                alarm(0);                                                                                                                  \
        } while (0)

static inline void test_nothing(void *ctx) {
        (void) ctx;
}

/* One whole turn that does not wait: what is ready happens, closing handles are gone afterwards. */
static inline void loop_turn(struct loop *loop) {
        assert_int_equal(loop_defer(loop, test_nothing, NULL, NULL), 0);
        loop_run_once(loop);
}
