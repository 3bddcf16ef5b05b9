/* SPDX-License-Identifier: Apache-2.0 */
#include "api/test_support.h"

#include "api/outbox.h"

#define ROWS_MAX 64

/* A door that writes down what it is handed. */
static struct door {
        struct outbox *outbox;
        int64_t taken[ROWS_MAX];
        size_t n_taken;
        size_t n_told;
        size_t room; /* rows it takes before it is full */
} door;

static int take(void *ctx, struct event_row *row) {
        (void) ctx;
        if (door.room == 0)
                return -EAGAIN;
        door.room--;
        door.taken[door.n_taken++] = row->seq;
        return 0;
}

static void more(void *ctx) {
        (void) ctx;
        door.n_told++;
}

static const struct outbox_handler handler = { .more = more };

static void add_rows(size_t n) {
        for (size_t i = 0; i < n; i++) {
                struct event_row row = { .time_ms = TEST_NOW_MS, .credible = true, .type = (char *) "test", .body = (char *) "{}" };
                assert_int_equal(event_table_append(fixture.store, &row), 0);
        }
}

static int set_up_door(void **state) {
        static const char *const names[] = { "mqtt" };
        int r = set_up(state);
        door = (struct door){ .room = ROWS_MAX };
        return r < 0 ? r : event_table_configure_doors(fixture.store, names, 1);
}

static int tear_down_door(void **state) {
        outbox_free(TAKE_PTR(door.outbox));
        return tear_down(state);
}

static void open_door(void) {
        assert_int_equal(outbox_new(fixture.api, OUTBOX_DOOR_MQTT, &handler, NULL, &door.outbox), 0);
}

static int64_t cursor(void) {
        int64_t seq = -1;
        assert_int_equal(event_table_cursor(fixture.store, "mqtt", &seq), 0);
        return seq;
}

static void expect_taken(size_t n, int64_t first) {
        assert_int_equal(door.n_taken, n);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(door.taken[i], first + (int64_t) i);
        door.n_taken = 0;
}

static void test_rows_of_an_earlier_life(void **state) {
        (void) state;
        add_rows(5);
        open_door();
        assert_int_equal(outbox_next(door.outbox, 10, take, NULL), 0); /* not known to be on the disk yet */
        LOOP_UNTIL(fixture.loop, door.n_told == 1);
        assert_int_equal(outbox_next(door.outbox, 3, take, NULL), 3);
        assert_int_equal(outbox_next(door.outbox, 10, take, NULL), 2);
        assert_int_equal(outbox_next(door.outbox, 10, take, NULL), 0);
        expect_taken(5, 1);
        assert_int_equal(cursor(), 0);
        outbox_delivered(door.outbox, 3);
        assert_int_equal(cursor(), 3);
        outbox_delivered(door.outbox, 2);
        outbox_delivered(door.outbox, 99); /* no more than was taken */
        assert_int_equal(cursor(), 5);
}

static void test_a_full_door_takes_the_rest_later(void **state) {
        (void) state;
        add_rows(4);
        open_door();
        LOOP_UNTIL(fixture.loop, door.n_told == 1);
        door.room = 1;
        assert_int_equal(outbox_next(door.outbox, 10, take, NULL), 1);
        assert_true(outbox_has_more(door.outbox));
        door.room = ROWS_MAX;
        assert_int_equal(outbox_next(door.outbox, 10, take, NULL), 3);
        expect_taken(4, 1);
}

static void test_a_lost_connection_begins_behind_the_cursor(void **state) {
        (void) state;
        add_rows(4);
        open_door();
        LOOP_UNTIL(fixture.loop, door.n_told == 1);
        assert_int_equal(outbox_next(door.outbox, 10, take, NULL), 4);
        outbox_delivered(door.outbox, 2);
        outbox_rewind(door.outbox);
        LOOP_UNTIL(fixture.loop, door.n_told == 2);
        door.n_taken = 0;
        assert_int_equal(outbox_next(door.outbox, 10, take, NULL), 2);
        expect_taken(2, 3);
}

static void test_told_once_until_it_is_taken(void **state) {
        struct test_client *client = client_new();
        char hex[DIGEST_HEX_SIZE], params[1024];
        int64_t newest;
        (void) state;
        open_door();
        import_file(client, "v2.0.0", hex);
        start_params(params, sizeof params, "c", hex, 6, "{\"ids\":[\"toy:d0\",\"toy:d1\"]}");
        (void) client_result(client, "campaign.start", params);
        LOOP_UNTIL(fixture.loop, update_count(fixture.update).n_jobs == 0);
        newest = event_table_newest(fixture.store);
        assert_true(newest > 4);
        LOOP_UNTIL(fixture.loop, outbox_has_more(door.outbox));
        loop_turn(fixture.loop);
        assert_int_equal(door.n_told, 1);
        client_free(client);
}

static void test_what_is_not_configured_has_no_outbox(void **state) {
        (void) state;
        assert_int_equal(outbox_new(fixture.api, OUTBOX_DOOR_HTTPS, &handler, NULL, &door.outbox), -ENOENT);
}

#define DOOR_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_door, tear_down_door)

int main(void) {
        const struct CMUnitTest tests[] = {
                DOOR_TEST(test_rows_of_an_earlier_life),
                DOOR_TEST(test_a_full_door_takes_the_rest_later),
                DOOR_TEST(test_a_lost_connection_begins_behind_the_cursor),
                DOOR_TEST(test_told_once_until_it_is_taken),
                DOOR_TEST(test_what_is_not_configured_has_no_outbox),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
