/* SPDX-License-Identifier: Apache-2.0 */
#include "store/event_table.h"

#include "store/test_support.h"

static void append(struct store *store, int n) {
        for (int i = 0; i < n; i++) {
                struct event_row row = { .type = "job", .campaign = "a", .revision = 1, .device = "udp:one", .body = "{\"n\":1}" };

                assert_int_equal(event_table_append(store, &row), 0);
                assert_int_equal(row.seq, event_table_newest(store));
        }
        assert_int_equal(store_flush(store), 0);
}

static void open_keeping(struct fixture *fixture, uint32_t kept) {
        fixture_close(fixture);
        assert_int_equal(fixture_open(fixture, kept, NULL), 0);
}

static int compare_row(void *ctx, struct event_row *row) {
        int64_t *expected = ctx;

        assert_int_equal(row->seq, (*expected)++);
        return 0;
}

static int check_columns(void *ctx, struct event_row *row) {
        (void) ctx;
        assert_int_equal(row->time_ms, 5);
        assert_true(row->credible);
        assert_string_equal(row->type, "result");
        assert_string_equal(row->campaign, "a");
        assert_int_equal(row->revision, 7);
        assert_string_equal(row->device, "udp:one");
        assert_string_equal(row->body, "{\"x\":1}");
        return 0;
}

static void test_every_column_comes_back(void **state) {
        struct fixture *fixture = *state;
        struct event_row row = {
                .time_ms = 5, .credible = true, .type = "result", .campaign = "a", .revision = 7, .device = "udp:one", .body = "{\"x\":1}"
        };

        assert_int_equal(event_table_oldest(fixture->store), 0);
        assert_int_equal(event_table_newest(fixture->store), 0);
        assert_int_equal(event_table_append(fixture->store, &row), 0);
        assert_int_equal(row.seq, 1);
        fixture_reopen(fixture);
        assert_int_equal(event_table_each(fixture->store, 1, 10, check_columns, NULL), 0);
        assert_int_equal(event_table_append(fixture->store, &(struct event_row){ .body = "{}" }), -EINVAL); /* no type */
        assert_int_equal(event_table_newest(fixture->store), 1);
}

static void test_numbers_have_no_gaps_and_survive(void **state) {
        struct fixture *fixture = *state;
        int64_t expected = 3;

        append(fixture->store, 5);
        fixture_reopen(fixture);
        append(fixture->store, 1);
        assert_int_equal(event_table_newest(fixture->store), 6);
        assert_int_equal(event_table_each(fixture->store, 3, 2, compare_row, &expected), 0);
        assert_int_equal(expected, 5);
        assert_int_equal(event_table_each(fixture->store, 5, 100, compare_row, &expected), 0);
        assert_int_equal(expected, 7);
}

static void test_newest_rows_stay_without_doors(void **state) {
        struct fixture *fixture = *state;
        int64_t expected;

        open_keeping(fixture, 100);
        for (int i = 0; i < 100; i++)
                append(fixture->store, 10);
        assert_true(event_table_oldest(fixture->store) > 1000 - 100 - 64);
        assert_true(event_table_oldest(fixture->store) <= 1000 - 100 + 1);
        expected = event_table_oldest(fixture->store);
        assert_int_equal(event_table_each(fixture->store, 0, 10000, compare_row, &expected), 0);
        assert_int_equal(expected, 1001);
        open_keeping(fixture, 1);
        append(fixture->store, 1);
        append(fixture->store, 1);
        open_keeping(fixture, 1);
        append(fixture->store, 1);
        assert_int_equal(event_table_newest(fixture->store), 1003);
}

static void test_a_row_stays_until_every_door_has_it(void **state) {
        struct fixture *fixture = *state;
        int64_t cursor = -1;

        open_keeping(fixture, 10);
        assert_int_equal(event_table_configure_doors(fixture->store, (const char *const[]){ "mqtt", "https" }, 2), 0);
        for (int i = 0; i < 50; i++)
                append(fixture->store, 10);
        assert_int_equal(event_table_oldest(fixture->store), 1);
        assert_int_equal(event_table_undelivered(fixture->store), 500);
        assert_int_equal(event_table_advance(fixture->store, "mqtt", 500), 0);
        append(fixture->store, 1);
        assert_int_equal(event_table_oldest(fixture->store), 1);
        assert_int_equal(event_table_undelivered(fixture->store), 501);
        assert_int_equal(event_table_advance(fixture->store, "https", 300), 0);
        append(fixture->store, 1);
        assert_int_equal(event_table_oldest(fixture->store), 301);
        assert_int_equal(event_table_undelivered(fixture->store), 202);

        assert_int_equal(event_table_advance(fixture->store, "https", 200), 0); /* never back */
        assert_int_equal(event_table_cursor(fixture->store, "https", &cursor), 0);
        assert_int_equal(cursor, 300);
        assert_int_equal(event_table_advance(fixture->store, "https", 9999), -EINVAL);
        assert_int_equal(event_table_advance(fixture->store, "local", 1), -ENOENT);
}

/* A cursor is no write of its own, but an end of the daemon keeps it. */
static void test_cursors_go_along(void **state) {
        struct fixture *fixture = *state;
        struct store_statistics before, after;
        int64_t cursor = 0;

        assert_int_equal(event_table_configure_doors(fixture->store, (const char *const[]){ "mqtt" }, 1), 0);
        append(fixture->store, 5);
        store_statistics(fixture->store, &before);
        assert_int_equal(event_table_advance(fixture->store, "mqtt", 3), 0);
        assert_int_equal(store_flush(fixture->store), 0);
        store_statistics(fixture->store, &after);
        assert_int_equal(after.n_commits, before.n_commits);
        append(fixture->store, 1);
        assert_int_equal(fixture_ask(fixture, "SELECT cursor FROM door"), 3);
        assert_int_equal(event_table_advance(fixture->store, "mqtt", 6), 0);
        fixture_reopen(fixture);
        assert_int_equal(event_table_cursor(fixture->store, "mqtt", &cursor), 0);
        assert_int_equal(cursor, 6);
}

static void test_doors_come_and_go(void **state) {
        struct fixture *fixture = *state;
        const char *const many[] = { "1", "2", "3", "4", "5", "6", "7", "8", "9" };
        int64_t cursor = -1;

        open_keeping(fixture, 10);
        assert_int_equal(event_table_configure_doors(fixture->store, (const char *const[]){ "mqtt" }, 1), 0);
        for (int i = 0; i < 20; i++)
                append(fixture->store, 10);
        assert_int_equal(event_table_undelivered(fixture->store), 200);
        assert_int_equal(event_table_configure_doors(fixture->store, NULL, 0), 0); /* nobody holds the rows any more */
        assert_int_equal(event_table_undelivered(fixture->store), 0);
        append(fixture->store, 1);
        assert_true(event_table_oldest(fixture->store) > 100);
        assert_int_equal(event_table_configure_doors(fixture->store, (const char *const[]){ "https" }, 1), 0);
        assert_int_equal(event_table_cursor(fixture->store, "https", &cursor), 0);
        assert_int_equal(cursor, event_table_oldest(fixture->store) - 1);
        assert_int_equal(event_table_cursor(fixture->store, "mqtt", &cursor), -ENOENT);
        assert_int_equal(event_table_configure_doors(fixture->store, many, ARRAY_SIZE(many)), -EINVAL);
        fixture_reopen(fixture);
        assert_int_equal(event_table_cursor(fixture->store, "https", &cursor), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup_open, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_every_column_comes_back),
                TEST(test_numbers_have_no_gaps_and_survive),
                TEST(test_newest_rows_stay_without_doors),
                TEST(test_a_row_stays_until_every_door_has_it),
                TEST(test_cursors_go_along),
                TEST(test_doors_come_and_go),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
