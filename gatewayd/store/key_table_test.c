/* SPDX-License-Identifier: Apache-2.0 */
#include "store/key_table.h"

#include "store/test_support.h"

static const uint8_t one[32] = { 1 }, two[32] = { 2 };

static void assert_row(struct store *store, const char *kid, const uint8_t *fingerprint, int64_t iat_s) {
        struct key_row row;

        assert_int_equal(key_table_fetch(store, kid, &row), 0);
        assert_memory_equal(row.fingerprint, fingerprint, 32);
        assert_int_equal(row.newest_iat_s, iat_s);
}

static void test_the_newest_time_only_grows(void **state) {
        struct fixture *fixture = *state;
        struct key_row row;

        assert_int_equal(key_table_fetch(fixture->store, "ci", &row), -ENOENT);
        assert_int_equal(key_table_note(fixture->store, "ci", one, 100), 0);
        assert_int_equal(key_table_note(fixture->store, "ci", one, 50), 0);
        assert_row(fixture->store, "ci", one, 100);
        assert_int_equal(key_table_note(fixture->store, "ci", one, 200), 0);
        assert_int_equal(key_table_note(fixture->store, "Ci", two, 7), 0);
        fixture_reopen(fixture);
        assert_row(fixture->store, "ci", one, 200);
        assert_row(fixture->store, "Ci", two, 7);
}

/* Another key under the same id: its documents may not begin anew behind those of the first. */
static void test_another_key_of_the_same_id(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(key_table_note(fixture->store, "ci", one, 100), 0);
        assert_int_equal(key_table_note(fixture->store, "ci", two, 50), 0);
        assert_row(fixture->store, "ci", two, 100);
}

static void test_what_is_known_is_not_written_again(void **state) {
        struct fixture *fixture = *state;
        struct store_statistics before, after;

        assert_int_equal(key_table_note(fixture->store, "ci", one, 100), 0);
        assert_int_equal(store_flush(fixture->store), 0);
        store_statistics(fixture->store, &before);
        assert_int_equal(key_table_note(fixture->store, "ci", one, 100), 0);
        assert_int_equal(key_table_note(fixture->store, "ci", one, 99), 0);
        assert_int_equal(store_flush(fixture->store), 0);
        store_statistics(fixture->store, &after);
        assert_int_equal(before.n_commits, after.n_commits);
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup_open, fixture_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_the_newest_time_only_grows),
                TEST(test_another_key_of_the_same_id),
                TEST(test_what_is_known_is_not_written_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
