/* SPDX-License-Identifier: Apache-2.0 */
#include "update/abort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static const struct {
        const char *label;
        struct campaign_abort rule;
        struct abort_counts counts;
        const char *why; /* NULL: goes on */
} cases[] = {
        { "nothing failed", { 3, 20, 5, 0 }, { 0, 30 }, NULL },
        { "two of three, too few to tell a share", { 3, 20, 5, 0 }, { 2, 3 }, NULL },
        { "the count does not wait for min_finished", { 3, 20, 5, 0 }, { 3, 3 }, "3 failed" },
        { "the share, as soon as enough are finished", { 3, 20, 5, 0 }, { 1, 5 }, "1 of 5 failed" },
        { "just below the share", { 3, 20, 5, 0 }, { 1, 6 }, NULL },
        { "just the share", { 30, 20, 5, 0 }, { 2, 10 }, "2 of 10 failed" },
        { "whichever is first", { 2, 90, 1, 0 }, { 2, 100 }, "2 failed" },
        { "all of them", { 1000, 100, 1, 0 }, { 4, 4 }, "4 of 4 failed" },
        { "all but one", { 1000, 100, 1, 0 }, { 3, 4 }, NULL },
        { "nothing finished", { 3, 20, 1, 0 }, { 0, 0 }, NULL },
};

static void test_thresholds(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char why[64] = "";
                bool due = abort_is_due(&cases[i].rule, &cases[i].counts, why, sizeof why);
                if (due != (cases[i].why != NULL))
                        fail_msg("%s", cases[i].label);
                assert_string_equal(why, due ? cases[i].why : "");
        }
}

static void test_first_wave(void **state) {
        (void) state;
        assert_true(abort_after_first_wave(&(struct abort_counts){ 2, 2 }));
        assert_true(abort_after_first_wave(&(struct abort_counts){ 1, 1 }));
        assert_false(abort_after_first_wave(&(struct abort_counts){ 1, 2 }));
        assert_false(abort_after_first_wave(&(struct abort_counts){ 0, 0 })); /* already, rejected: nothing was tried out */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_thresholds),
                cmocka_unit_test(test_first_wave),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
