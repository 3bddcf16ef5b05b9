/* SPDX-License-Identifier: Apache-2.0 */
#include "api/test_support.h"

#include <inttypes.h>

#include "base/limits.h"
#include "store/event_table.h"

#define START_SIZE 1024

/* Events as update/ writes them, but any number of them. */
static void add_events(size_t n, const char *campaign, const char *device) {
        for (size_t i = 0; i < n; i++) {
                struct event_row row = { .time_ms = TEST_NOW_MS,
                                         .credible = true,
                                         .type = (char *) "job-state",
                                         .campaign = (char *) campaign,
                                         .revision = 1,
                                         .device = (char *) device,
                                         .body = (char *) "{\"state\":\"queued\"}" };
                assert_int_equal(event_table_append(fixture.store, &row), 0);
        }
        assert_int_equal(store_flush(fixture.store), 0);
}

static void start(struct test_client *client, const char *id, const char *devices) {
        char hex[DIGEST_HEX_SIZE], params[START_SIZE];
        import_file(client, "v2.0.0", hex);
        start_params(params, sizeof params, id, hex, 6, devices);
        (void) client_result(client, "campaign.start", params);
}

static struct json *params_of(struct json *notification, const char *method) {
        assert_string_equal(text_of(notification, "method"), method);
        assert_false(json_has(notification, "id"));
        assert_string_equal(text_of(json_child(notification, "params"), "gateway"), "test");
        return json_child(notification, "params");
}

/* From the first one on, without a gap, each once. */
static void expect_events(struct test_client *client, int64_t first, size_t n) {
        for (size_t i = 0; i < n; i++) {
                struct json *params = params_of(client_next_notification(client), "event");
                assert_int_equal(number_of(params, "seq"), first + (int64_t) i);
        }
}

static void test_only_new_ones(void **state) {
        struct test_client *watcher = client_new(), *client = client_new();
        struct json *result, *params;
        (void) state;
        add_events(3, "old", NULL);
        result = client_result(watcher, "events.subscribe", NULL);
        assert_int_equal(number_of(result, "oldest"), 1);
        assert_int_equal(number_of(result, "newest"), 3);
        assert_int_equal(number_of(result, "from"), 4);
        assert_string_equal(text_of(result, "epoch"), store_epoch(fixture.store));
        start(client, "c", "{\"ids\":[\"toy:d0\"]}");
        params = params_of(client_next_notification(watcher), "event");
        assert_int_equal(number_of(params, "seq"), 4);
        assert_string_equal(text_of(params, "campaign"), "c");
        assert_string_equal(text_of(params, "type"), "campaign-state");
        assert_string_equal(text_of(json_child(params, "data"), "state"), "in_progress");
        do
                params = params_of(client_next_notification(watcher), "event");
        while (strcmp(text_of(json_child(params, "data"), "state"), "completed") != 0);
        client_free(watcher);
        client_free(client);
}

static void test_backlog_in_slices_then_live(void **state) {
        const size_t n = 3 * SUBSCRIPTION_SLICE + 7;
        struct test_client *watcher = client_new(), *client = client_new();
        (void) state;
        add_events(n, "old", "toy:d0");
        assert_int_equal(number_of(client_result(watcher, "events.subscribe", "{\"from\":3}"), "from"), 3);
        start(client, "c", "{\"ids\":[\"toy:d0\"]}");
        expect_events(watcher, 3, n - 2 + 3);
        client_free(watcher);
        client_free(client);
}

static void test_a_number_of_the_future(void **state) {
        struct test_client *watcher = client_new(), *client = client_new();
        (void) state;
        add_events(2, "old", NULL);
        assert_int_equal(number_of(client_result(watcher, "events.subscribe", "{\"from\":4}"), "from"), 4);
        start(client, "c", "{\"ids\":[\"toy:d0\"]}");
        expect_events(watcher, 4, 2);
        client_free(watcher);
        client_free(client);
}

/* Another epoch: the numbers mean nothing, so it gets all there is. */
static void test_epoch(void **state) {
        struct test_client *client = client_new();
        char params[80];
        (void) state;
        add_events(5, "old", NULL);
        assert_int_equal(number_of(client_result(client, "events.subscribe", "{\"from\":4,\"epoch\":\"0123456789abcdef\"}"), "from"), 1);
        expect_events(client, 1, 5);
        (void) str_format(params, sizeof params, "{\"from\":4,\"epoch\":\"%s\"}", store_epoch(fixture.store));
        assert_int_equal(number_of(client_result(client, "events.subscribe", params), "from"), 4);
        expect_events(client, 4, 2);
        client_free(client);
}

static void test_filters(void **state) {
        struct test_client *client = client_new();
        struct json *params;
        (void) state;
        add_events(2, "a", "toy:d0");
        add_events(2, "b", "toy:d0");
        add_events(1, "b", "toy:d1");
        (void) client_result(client, "events.subscribe", "{\"from\":1,\"campaign\":\"b\"}");
        expect_events(client, 3, 3);
        (void) client_result(client, "events.subscribe", "{\"from\":1,\"device\":\"toy:d1\",\"campaign\":\"b\"}");
        params = params_of(client_next_notification(client), "event");
        assert_int_equal(number_of(params, "seq"), 5);
        client_free(client);
}

static void test_second_subscribe_replaces(void **state) {
        struct test_client *watcher = client_new(), *client = client_new();
        (void) state;
        (void) client_result(watcher, "events.subscribe", NULL);
        (void) client_result(watcher, "events.subscribe", "{\"campaign\":\"nothing\"}");
        start(client, "c", "{\"ids\":[\"toy:d0\"]}");
        LOOP_UNTIL(fixture.loop, event_table_newest(fixture.store) >= 4);
        (void) client_result(watcher, "gateway.info", NULL);
        assert_int_equal(client_n_notifications(watcher), 0);
        client_free(watcher);
        client_free(client);
}

static void test_progress(void **state) {
        struct test_client *watcher = client_new(), *other = client_new();
        struct json *notification, *params;
        (void) state;
        fixture.hold = true;
        (void) client_result(watcher, "events.subscribe", "{\"progress\":true,\"device\":\"toy:d0\"}");
        (void) client_result(other, "events.subscribe", NULL);
        start(other, "c", "{\"ids\":[\"toy:d0\",\"toy:d1\"]}");
        do
                notification = client_next_notification(watcher);
        while (!json_has(json_child(notification, "params"), "percent"));
        params = params_of(notification, "progress");
        assert_string_equal(text_of(params, "device"), "toy:d0");
        assert_string_equal(text_of(params, "campaign"), "c");
        assert_int_equal(number_of(params, "percent"), 100);
        for (size_t i = 0; i < other->n_lines; i++)
                assert_string_not_equal(text_of(other->lines[i].json, "method"), "progress");
        client_free(watcher);
        client_free(other);
}

/* --- readers of every speed, without a socket --- */

struct slow {
        struct caller caller;
        size_t queued_bytes; /* it reads nothing until told */
        size_t n_sent;
        int64_t last_seq;
        bool was_cut;
};

static int slow_send(struct caller *caller, const char *line, size_t size) {
        struct slow *slow = container_of(caller, struct slow, caller);
        _cleanup_json_ struct json *json = NULL;
        assert_int_equal(json_parse(line, size, JSON_REPLY_MAX, &json, NULL), 0);
        slow->queued_bytes += size;
        if (!json_has(json, "method"))
                return 0;
        slow->n_sent++;
        slow->last_seq = number_of(json_child(json, "params"), "seq");
        return 0;
}

static size_t slow_queued_bytes(const struct caller *caller) {
        return container_of(caller, struct slow, caller)->queued_bytes;
}

static void slow_cut(struct caller *caller) {
        container_of(caller, struct slow, caller)->was_cut = true;
        caller_gone(caller);
}

static const struct caller_ops slow_ops = { .send = slow_send, .queued_bytes = slow_queued_bytes, .cut = slow_cut };

static void slow_subscribe(struct slow *slow) {
        static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.subscribe\",\"params\":{\"from\":1}}";
        int fd = -1;
        *slow = (struct slow){ .caller = { .ops = &slow_ops, .door = "socket", .principal = "uid:4711" } };
        caller_init(&slow->caller, fixture.api);
        call_line(&slow->caller, line, strlen(line), &fd);
}

/* The backlog of a peer that does not read stays in the table, not in memory. */
static void test_backlog_waits_for_the_reader(void **state) {
        const size_t n = 6000;
        struct slow slow;
        (void) state;
        add_events(n, "old", "toy:d0");
        slow_subscribe(&slow);
        LOOP_UNTIL(fixture.loop, slow.queued_bytes > SUBSCRIPTION_QUEUE_BYTES);
        for (int i = 0; i < 10; i++)
                loop_turn(fixture.loop);
        assert_in_range(slow.queued_bytes, SUBSCRIPTION_QUEUE_BYTES, SUBSCRIPTION_QUEUE_BYTES + SUBSCRIPTION_SLICE * 1024);
        assert_in_range(slow.n_sent, 1, n - 1);
        while (slow.n_sent < n) {
                slow.queued_bytes = 0;
                caller_drained(&slow.caller);
                LOOP_UNTIL(fixture.loop, slow.n_sent == n || slow.queued_bytes > SUBSCRIPTION_QUEUE_BYTES);
        }
        assert_int_equal(slow.last_seq, n);
        assert_false(slow.was_cut);
        caller_gone(&slow.caller);
}

/* One that lags until its next event is gone is not told the rest as if nothing were missing. */
static void test_cut_where_events_are_gone(void **state) {
        struct slow slow;
        int64_t oldest;
        (void) state;
        log_set_level(LOG_LEVEL_ERROR);
        add_events(6000, "old", "toy:d0");
        slow_subscribe(&slow);
        LOOP_UNTIL(fixture.loop, slow.queued_bytes > SUBSCRIPTION_QUEUE_BYTES);
        /* No door has a cursor, so what is beyond the kept ones goes, some with every commit. */
        for (size_t n = 0; n < EVENTS_KEPT_MAX; n += 250)
                add_events(250, "new", "toy:d0");
        oldest = event_table_oldest(fixture.store);
        assert_true(oldest > slow.last_seq + 1);
        slow.queued_bytes = 0;
        caller_drained(&slow.caller);
        LOOP_UNTIL(fixture.loop, slow.was_cut);
        assert_true(slow.last_seq < oldest);
        log_set_level(LOG_LEVEL_INFO);
}

/* To a live one everything is sent: whether it reads too slowly is judged by the connection and its limit. */
static void test_live_events_are_sent_whatever_is_queued(void **state) {
        struct test_client *witness = client_new();
        struct slow slow;
        (void) state;
        slow_subscribe(&slow);
        LOOP_UNTIL(fixture.loop, slow.queued_bytes > 0);
        slow.queued_bytes = SUBSCRIPTION_QUEUE_BYTES + 1;
        start(witness, "c", "{\"ids\":[\"toy:d0\"]}");
        LOOP_UNTIL(fixture.loop, slow.n_sent >= 2); /* sent all the same: the connection decides */
        caller_gone(&slow.caller);
        client_free(witness);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_only_new_ones),
                TEST(test_backlog_in_slices_then_live),
                TEST(test_a_number_of_the_future),
                TEST(test_epoch),
                TEST(test_filters),
                TEST(test_second_subscribe_replaces),
                TEST(test_progress),
                TEST(test_backlog_waits_for_the_reader),
                TEST(test_cut_where_events_are_gone),
                TEST(test_live_events_are_sent_whatever_is_queued),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
