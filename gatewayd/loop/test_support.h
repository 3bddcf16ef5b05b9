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

#define LOOP_UNTIL(loop, condition)                                                                                                \
        do {                                                                                                                       \
                alarm(TEST_WATCHDOG_S);                                                                                            \
                while (!(condition))                                                                                               \
                        if (!loop_run_once(loop) && !(condition))                                                                  \
                                fail_msg("nothing is left that could make true: %s", #condition);                                  \
                alarm(0);                                                                                                          \
        } while (0)
