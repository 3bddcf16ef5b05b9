/* SPDX-License-Identifier: Apache-2.0 */
#include "store/jti_table.h"

#include "store/test_support.h"

static void test_each_id_counts_once_a_key(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(jti_table_take(fixture->store, "ci", "a", 1000), 0);
        assert_int_equal(jti_table_take(fixture->store, "ci", "a", 2000), -EEXIST);
        assert_int_equal(jti_table_take(fixture->store, "ci", "A", 1000), 0);
        assert_int_equal(jti_table_take(fixture->store, "anna", "a", 1000), 0);
        fixture_reopen(fixture);
        assert_int_equal(jti_table_take(fixture->store, "ci", "a", 2000), -EEXIST);
}

static void test_old_ones_are_forgotten(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(jti_table_take(fixture->store, "ci", "a", 1000), 0);
        assert_int_equal(jti_table_take(fixture->store, "ci", "b", 1001), 0);
        assert_int_equal(jti_table_forget(fixture->store, 999), 0);
        assert_int_equal(jti_table_take(fixture->store, "ci", "a", 1000), -EEXIST);
        assert_int_equal(jti_table_forget(fixture->store, 1000), 0);
        assert_int_equal(jti_table_take(fixture->store, "ci", "a", 5000), 0);
        assert_int_equal(jti_table_take(fixture->store, "ci", "b", 5000), -EEXIST);
}

static void test_there_is_an_end(void **state) {
        struct fixture *fixture = *state;
        char jti[16];

        for (int i = 0; i < JTI_ROWS_MAX; i++) {
                snprintf(jti, sizeof jti, "%d", i);
                assert_int_equal(jti_table_take(fixture->store, "ci", jti, 1000 + i), 0);
        }
        assert_int_equal(jti_table_take(fixture->store, "ci", "more", 9000), -ENOSPC);
        assert_int_equal(jti_table_take(fixture->store, "ci", "0", 9000), -EEXIST);
        assert_int_equal(jti_table_forget(fixture->store, 1000), 0);
        assert_int_equal(jti_table_take(fixture->store, "ci", "more", 9000), 0);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup_open, fixture_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_each_id_counts_once_a_key),
                TEST(test_old_ones_are_forgotten),
                TEST(test_there_is_an_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
