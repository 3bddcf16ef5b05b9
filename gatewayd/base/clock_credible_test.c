/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock_credible.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

static void test_decision(void **state) {
        enum { BUILD = 1000, SEEN = 2000 };
        static const struct {
                int64_t wall_ms;
                int64_t newest_seen_ms;
                bool flag;
                enum clock_kernel_state kernel;
                enum clock_credible expected;
        } rows[] = {
                {5, 0, false, CLOCK_KERNEL_UNKNOWN, CLOCK_CREDIBLE_NOT}, /* 1970 */
                {5, 0, true, CLOCK_KERNEL_SYNCED, CLOCK_CREDIBLE_NOT},   /* 1970, whoever vouches */
                {999, 0, true, CLOCK_KERNEL_SYNCED, CLOCK_CREDIBLE_NOT},
                {1000, 0, true, CLOCK_KERNEL_UNKNOWN, CLOCK_CREDIBLE_TIMESYNC},
                {1500, SEEN, true, CLOCK_KERNEL_UNSYNCED, CLOCK_CREDIBLE_TIMESYNC}, /* what was seen may have been a wrong clock */
                {1500, SEEN, false, CLOCK_KERNEL_SYNCED, CLOCK_CREDIBLE_KERNEL},
                {1500, SEEN, false, CLOCK_KERNEL_UNSYNCED, CLOCK_CREDIBLE_NOT},
                {1500, SEEN, false, CLOCK_KERNEL_UNKNOWN, CLOCK_CREDIBLE_NOT},
                {2000, SEEN, false, CLOCK_KERNEL_UNKNOWN, CLOCK_CREDIBLE_PLAUSIBLE},
                {2500, SEEN, false, CLOCK_KERNEL_UNSYNCED, CLOCK_CREDIBLE_PLAUSIBLE},
                {1500, 0, false, CLOCK_KERNEL_UNSYNCED, CLOCK_CREDIBLE_PLAUSIBLE},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct clock_facts facts = {
                        .wall_ms = rows[i].wall_ms,
                        .build_ms = BUILD,
                        .newest_seen_ms = rows[i].newest_seen_ms,
                        .timesync_flag = rows[i].flag,
                        .kernel = rows[i].kernel,
                };

                assert_int_equal(clock_credible_decide(&facts), rows[i].expected);
        }
}

static void test_reads_flag_file(void **state) {
        char path[] = "/tmp/gatewayd-clock-XXXXXX";
        struct clock_facts facts = {0};
        int fd = mkstemp(path);

        (void) state;
        assert_true(fd >= 0);
        close(fd);
        clock_facts_read(&facts, path);
        assert_true(facts.timesync_flag);
        assert_int_equal(clock_credible_check(clock_build_ms() + 1, INT64_MAX, path), CLOCK_CREDIBLE_TIMESYNC);
        assert_int_equal(clock_credible_check(clock_build_ms() - 1, 0, path), CLOCK_CREDIBLE_NOT);
        unlink(path);
        clock_facts_read(&facts, path);
        assert_false(facts.timesync_flag);
}

static void test_names(void **state) {
        (void) state;
        assert_string_equal(clock_credible_name(CLOCK_CREDIBLE_NOT), "not-credible");
        assert_string_equal(clock_credible_name(CLOCK_CREDIBLE_PLAUSIBLE), "plausible");
        assert_true(clock_build_ms() > 1700000000000);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decision),
                cmocka_unit_test(test_reads_flag_file),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
