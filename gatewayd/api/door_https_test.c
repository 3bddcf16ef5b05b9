/* SPDX-License-Identifier: Apache-2.0 */
#include "api/test_support.h"

#include <inttypes.h>

#include "api/door_https_internal.h"
#include "api/outbox.h"
#include "loop/timer.h"

/*
 * The door between a scripted server and a scripted engine: requests and offers are caught at the link (--wrap), and answered by the
 * test. The door's timers are due at once; how long they would have been is written down.
 */

#define REQUESTS_MAX 16
#define OFFERS_MAX 16

struct request {
        char url[256], method[8], headers[512];
        char *body;
        const struct http_handler *handler;
        void *ctx;
        bool is_open, is_canceled;
};

static struct world {
        struct request requests[REQUESTS_MAX];
        size_t n_requests;
        struct {
                char jws[64];
                update_reply reply;
                void *ctx;
        } offers[OFFERS_MAX];
        size_t n_offers;
        int64_t delay_ms; /* of the last timer of the door */
        int start_result; /* of the next request */
} world;

int __wrap_http_start(struct http *http, const struct http_request *request, const struct http_handler *handler, void *ctx,
                      struct http_transfer **ret_transfer);
void __wrap_http_cancel(struct http_transfer *transfer);
int __wrap_update_campaign_start_signed(struct update *update, const struct update_actor *actor, const char *jws, size_t size,
                                        update_reply reply, void *ctx);
int __wrap_timer_start(struct loop *loop, int64_t delay_ms, loop_fn fired, void *ctx, struct timer **ret_timer);
int __real_timer_start(struct loop *loop, int64_t delay_ms, loop_fn fired, void *ctx, struct timer **ret_timer);

int __wrap_http_start(struct http *http, const struct http_request *request, const struct http_handler *handler, void *ctx,
                      struct http_transfer **ret_transfer) {
        struct request *made = &world.requests[world.n_requests % REQUESTS_MAX];
        (void) http;
        if (world.start_result < 0)
                return world.start_result;
        free(made->body);
        *made = (struct request){ .handler = handler, .ctx = ctx, .is_open = true };
        (void) str_copy(made->url, sizeof made->url, request->url);
        (void) str_copy(made->method, sizeof made->method, request->method ? request->method : "GET");
        for (size_t i = 0; i < request->n_headers; i++) {
                strcat(made->headers, request->headers[i]);
                strcat(made->headers, "\n");
        }
        made->body = strndup(request->body ? request->body : "", request->body_size);
        assert_string_equal(request->use, "https");
        assert_true(request->private_at_home_only);
        world.n_requests++;
        /* A turn that began with a timer looks at once whether it was this that the test waits for. */
        assert_int_equal(loop_defer(fixture.loop, test_nothing, NULL, NULL), 0);
        *ret_transfer = (struct http_transfer *) made;
        return 0;
}

void __wrap_http_cancel(struct http_transfer *transfer) {
        struct request *request = (struct request *) transfer;
        if (request)
                request->is_canceled = true;
}

int __wrap_update_campaign_start_signed(struct update *update, const struct update_actor *actor, const char *jws, size_t size,
                                        update_reply reply, void *ctx) {
        assert_ptr_equal(update, fixture.update);
        assert_string_equal(actor->door, "https");
        assert_int_equal(size, strlen(jws));
        assert_true(world.n_offers < OFFERS_MAX);
        (void) str_copy(world.offers[world.n_offers].jws, sizeof world.offers[0].jws, jws);
        world.offers[world.n_offers].reply = reply;
        world.offers[world.n_offers++].ctx = ctx;
        return 0;
}

int __wrap_timer_start(struct loop *loop, int64_t delay_ms, loop_fn fired, void *ctx, struct timer **ret_timer) {
        struct door_https *door = fixture.api ? fixture.api->https : NULL;
        if (door && (ctx == door->lists || ctx == door->events)) {
                world.delay_ms = delay_ms;
                delay_ms = 0;
        }
        return __real_timer_start(loop, delay_ms, fired, ctx, ret_timer);
}

/* --- the server --- */

static struct request *request_at(size_t index) {
        LOOP_UNTIL(fixture.loop, world.n_requests > index);
        return &world.requests[index % REQUESTS_MAX];
}

struct answer {
        int status;
        const char *etag, *body;
        int64_t retry_after_ms;
};

static void answer(struct request *request, struct answer with) {
        struct http_response response = { .status = with.status,
                                          .url = request->url,
                                          .etag = with.etag,
                                          .content_length = -1,
                                          .retry_after_ms = with.retry_after_ms > 0 ? with.retry_after_ms : -1 };
        const struct gw_error none = { 0 };
        int r;
        assert_true(request->is_open);
        request->is_open = false;
        r = request->handler->response(request->ctx, &response);
        if (r >= 0 && with.body && request->handler->data)
                r = request->handler->data(request->ctx, (const uint8_t *) with.body, strlen(with.body));
        request->handler->done(request->ctx, r, &none);
}

static void break_off(struct request *request, const char *name) {
        struct gw_error err = { 0 };
        gw_error_set(&err, name, "it broke");
        assert_true(request->is_open);
        request->is_open = false;
        request->handler->done(request->ctx, -ECONNRESET, &err);
}

/* Each list of the next round, from request `index` on, is not there. Gives the index behind them. */
static size_t answer_rest(size_t index, size_t n) {
        for (size_t i = 0; i < n; i++)
                answer(request_at(index + i), (struct answer){ .status = 404 });
        return index + n;
}

static void reply_to(size_t offer, const char *error) {
        struct gw_error err = { 0 };
        LOOP_UNTIL(fixture.loop, world.n_offers > offer);
        if (error)
                gw_error_set(&err, error, "no");
        world.offers[offer].reply(world.offers[offer].ctx, NULL, error ? &err : NULL, NULL);
}

/* --- fixture --- */

static int set_up_door(void **state) {
        memset(&world, 0, sizeof world);
        test_settings = "[https]\nurl = https://fleet.example/lists/\nevents_url = https://fleet.example/events\npoll_interval = 100 s\n";
        if (set_up(state) < 0)
                return -1;
        door_https_renew(fixture.api->https);
        return 0;
}

static int tear_down_door(void **state) {
        int r;
        /* As the loop would: what was cancelled comes to its end before the door is freed. */
        api_stop(fixture.api);
        for (size_t i = 0; i < REQUESTS_MAX; i++)
                if (world.requests[i].is_open && world.requests[i].is_canceled)
                        break_off(&world.requests[i], "");
        r = tear_down(state);
        for (size_t i = 0; i < REQUESTS_MAX; i++) {
                assert_false(world.requests[i].is_open);
                free(world.requests[i].body);
        }
        return r;
}

struct seen {
        char lists[48], events[48]; /* error names */
        int64_t lists_ok_ms, events_ok_ms;
};

static void on_state(void *ctx, const struct door_https_state *state) {
        struct seen *seen = ctx;
        bool is_lists = str_equal(state->part, "lists");
        (void) str_copy(is_lists ? seen->lists : seen->events, sizeof seen->lists, state->error ? state->error->name : "");
        *(is_lists ? &seen->lists_ok_ms : &seen->events_ok_ms) = state->ok_ms;
}

static struct seen state_now(void) {
        struct seen seen = { .lists = "absent", .events = "absent" };
        door_https_each(fixture.api->https, on_state, &seen);
        return seen;
}

static void assert_lists(const char *error) {
        assert_string_equal(state_now().lists, error);
}

/* --- lists --- */

static void test_each_list_is_read_in_turn(void **state) {
        (void) state;
        assert_string_equal(request_at(0)->url, "https://fleet.example/lists/gw/test.json");
        assert_string_equal(request_at(0)->method, "GET");
        assert_null(strstr(request_at(0)->headers, "If-None-Match"));
        answer(request_at(0), (struct answer){ .status = 404 });
        assert_string_equal(request_at(1)->url, "https://fleet.example/lists/all.json");
        assert_int_equal(world.n_requests, 2); /* one at a time */
        answer(request_at(1), (struct answer){ .status = 404 });
        assert_in_range(world.delay_ms, 80000, 120000);
        assert_lists("");
        assert_int_equal(state_now().lists_ok_ms, TEST_NOW_MS);
        assert_string_equal(request_at(2)->url, "https://fleet.example/lists/gw/test.json");
}

static void test_campaigns_are_offered_one_by_one_and_once(void **state) {
        (void) state;
        answer(request_at(0), (struct answer){ .status = 200, .etag = "\"v1\"", .body = "[\"a.b.c\", \"d.e.f\"]" });
        LOOP_UNTIL(fixture.loop, world.n_offers == 1);
        assert_string_equal(world.offers[0].jws, "a.b.c");
        assert_int_equal(world.n_requests, 1);
        reply_to(0, NULL);
        LOOP_UNTIL(fixture.loop, world.n_offers == 2);
        assert_string_equal(world.offers[1].jws, "d.e.f");
        reply_to(1, "jws-signature");
        answer_rest(1, 1);
        assert_lists("");
        /* The next round asks for something newer only. */
        assert_non_null(strstr(request_at(2)->headers, "If-None-Match: \"v1\"\n"));
        answer(request_at(2), (struct answer){ .status = 304 });
        answer_rest(3, 1);
        /* One is new, the others were answered for good: also where the server knows no ETag. */
        answer(request_at(4), (struct answer){ .status = 200, .body = "[\"d.e.f\", \"g.h.i\", \"a.b.c\"]" });
        LOOP_UNTIL(fixture.loop, world.n_offers == 3);
        assert_string_equal(world.offers[2].jws, "g.h.i");
        reply_to(2, NULL);
        answer_rest(5, 1);
        assert_null(strstr(request_at(6)->headers, "If-None-Match"));
        answer(request_at(6), (struct answer){ .status = 200, .body = "[\"d.e.f\", \"g.h.i\", \"a.b.c\"]" });
        request_at(7);
        assert_int_equal(world.n_offers, 3);
}

static void test_what_may_pass_is_offered_again(void **state) {
        static const char *const passing[] = { "document-not-yet-valid", "outbox-full", "clock-not-credible", "out-of-memory" };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(passing); i++) {
                answer(request_at(2 * i), (struct answer){ .status = 200, .etag = "\"v1\"", .body = "[\"a.b.c\", \"d.e.f\"]" });
                if (i == 0)
                        reply_to(0, NULL);
                reply_to(i + 1, passing[i]);
                assert_string_equal(world.offers[i + 1].jws, "d.e.f");
                answer_rest(2 * i + 1, 1);
                assert_null(strstr(request_at(2 * i + 2)->headers, "If-None-Match"));
        }
}

static void test_a_campaign_that_comes_back_is_offered_again(void **state) {
        (void) state;
        answer(request_at(0), (struct answer){ .status = 200, .body = "[\"a.b.c\"]" });
        reply_to(0, NULL);
        answer_rest(1, 1);
        answer(request_at(2), (struct answer){ .status = 404 });
        answer_rest(3, 1);
        answer(request_at(4), (struct answer){ .status = 200, .body = "[\"a.b.c\"]" });
        reply_to(1, NULL);
        assert_string_equal(world.offers[1].jws, "a.b.c");
}

static void test_a_list_that_is_none_hides_no_other(void **state) {
        static const struct {
                struct answer answer;
                const char *error;
        } rows[] = {
                { { .status = 200, .body = "<html>" }, "campaign-list-invalid" },
                { { .status = 200, .body = "[\"a.b.c\", 7]" }, "campaign-list-invalid" },
                { { .status = 403 }, "door-forbidden" },
                { { .status = 401 }, "door-forbidden" },
                { { .status = 400 }, "door-refused" },
                { { .status = 302 }, "door-refused" },
        };
        size_t index = 0;
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                answer(request_at(index++), rows[i].answer);
                answer(request_at(index++), (struct answer){ .status = 200, .body = "[]" });
                assert_lists(rows[i].error);
                assert_in_range(world.delay_ms, 80000, 120000);
        }
        assert_int_equal(world.n_offers, 0);
        answer_rest(index, 2);
        assert_lists("");
}

static void test_a_list_that_is_too_long(void **state) {
        char *body = malloc(JSON_SIZE_MAX + 2);
        (void) state;
        memset(body, ' ', JSON_SIZE_MAX + 1);
        body[JSON_SIZE_MAX + 1] = '\0';
        answer(request_at(0), (struct answer){ .status = 200, .body = body });
        free(body);
        answer_rest(1, 1);
        assert_lists("campaign-list-invalid");
}

static void test_a_server_in_trouble_ends_the_round(void **state) {
        static const struct {
                struct answer answer;
                const char *error;
                int64_t from_ms, to_ms;
        } rows[] = {
                { { .status = 500 }, "server-error", 1, 5000 },
                { { .status = 503, .retry_after_ms = 7000 }, "server-busy", 7000, 7000 + 7000 / 4 },
                { { .status = 429, .retry_after_ms = 100000 }, "server-busy", 100000, 125000 },
                { { .status = 503, .retry_after_ms = 86400000 }, "server-busy", 3600000, 4500000 },
                { { .status = 408 }, "server-busy", 1, 80000 },
                { { .status = 100 }, "protocol-error", 1, 160000 },
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                answer(request_at(i), rows[i].answer);
                assert_string_equal(request_at(i)->url, "https://fleet.example/lists/gw/test.json");
                assert_lists(rows[i].error);
                assert_in_range(world.delay_ms, rows[i].from_ms, rows[i].to_ms);
        }
        break_off(request_at(6), "peer-certificate-expired");
        assert_lists("peer-certificate-expired");
        answer_rest(7, 2);
        assert_lists("");
}

static void test_no_request_before_the_clock_is_set(void **state) {
        (void) state;
        fixture.clock_state = "not-credible";
        LOOP_UNTIL(fixture.loop, world.delay_ms == HTTPS_CLOCK_RETRY_MS);
        assert_int_equal(world.n_requests, 0);
        assert_lists("clock-not-credible");
        fixture.clock_state = "timesync";
        answer_rest(0, 2);
        assert_lists("");
}

static void test_groups_of_a_reload(void **state) {
        _cleanup_config_errors_ struct config_errors mistakes = CONFIG_ERRORS_INIT;
        _cleanup_settings_ struct settings *settings = NULL;
        static const char text[] = "[gateway]\ngroups = oslo north\n";
        (void) state;
        request_at(0);
        assert_int_equal(settings_parse("test.conf", text, strlen(text), &mistakes, &settings), 0);
        api_set_settings(fixture.api, settings); /* in the middle of a round: it is carried to its end */
        answer(request_at(0), (struct answer){ .status = 404 });
        answer(request_at(1), (struct answer){ .status = 404 });
        assert_int_equal(world.delay_ms, 0);
        answer(request_at(2), (struct answer){ .status = 404 });
        assert_string_equal(request_at(3)->url, "https://fleet.example/lists/group/oslo.json");
        answer(request_at(3), (struct answer){ .status = 404 });
        assert_string_equal(request_at(4)->url, "https://fleet.example/lists/group/north.json");
        answer(request_at(4), (struct answer){ .status = 404 });
        assert_string_equal(request_at(5)->url, "https://fleet.example/lists/all.json");
        api_set_settings(fixture.api, fixture.settings);
}

static void test_stopped_in_the_middle_of_an_offer(void **state) {
        (void) state;
        answer(request_at(0), (struct answer){ .status = 200, .body = "[\"a.b.c\", \"d.e.f\"]" });
        LOOP_UNTIL(fixture.loop, world.n_offers == 1);
        api_stop(fixture.api);
        reply_to(0, NULL);
        loop_turn(fixture.loop);
        assert_int_equal(world.n_offers, 1);
}

/* --- events --- */

static void add_rows(size_t n, size_t body_size) {
        char *body = calloc(1, body_size + 32);
        int at = sprintf(body, "{\"x\":\"");
        memset(body + at, 'x', body_size);
        strcat(body, "\"}");
        for (size_t i = 0; i < n; i++) {
                struct event_row row = { .time_ms = TEST_NOW_MS, .credible = true, .type = (char *) "test", .body = body };
                assert_int_equal(event_table_append(fixture.store, &row), 0);
        }
        free(body);
}

/* The lists are not there, so only posts are left to come. */
static int set_up_events(void **state) {
        memset(&world, 0, sizeof world);
        test_settings = "[https]\nevents_url = https://fleet.example/events?site=7\n";
        return set_up(state);
}

static int64_t cursor(void) {
        int64_t seq = -1;
        assert_int_equal(event_table_cursor(fixture.store, OUTBOX_DOOR_HTTPS, &seq), 0);
        return seq;
}

/* The post at this index holds exactly the events first..last. */
static struct request *assert_post(size_t index, int64_t first, int64_t last) {
        struct request *request = request_at(index);
        _cleanup_json_ struct json *body = NULL;
        const struct json *events;
        assert_string_equal(request->method, "POST");
        assert_string_equal(request->url, "https://fleet.example/events?site=7");
        assert_non_null(strstr(request->headers, "Content-Type: application/json\n"));
        assert_int_equal(json_parse(request->body, strlen(request->body), 8 << 20, &body, NULL), 0);
        assert_string_equal(text_of(body, "schema"), "gatewayd/events/1");
        assert_string_equal(text_of(body, "gateway"), "test");
        assert_string_equal(text_of(body, "epoch"), store_epoch(fixture.store));
        events = json_child(body, "events");
        assert_int_equal(json_length(events), last - first + 1);
        JSON_FOREACH_ITEM(i, event, events) {
                assert_int_equal(number_of(event, "seq"), first + (int64_t) i);
                assert_string_equal(text_of(event, "epoch"), store_epoch(fixture.store));
                assert_string_equal(text_of(event, "gateway"), "test");
        }
        return request;
}

/* Rows that are there before the door opens are durable by its own sync. */
static void open_with(size_t n_rows, size_t body_size) {
        add_rows(n_rows, body_size);
        api_restart();
}

static void test_events_in_order_and_in_batches(void **state) {
        (void) state;
        open_with(HTTPS_EVENTS_MAX + 10, 1);
        answer(assert_post(0, 1, HTTPS_EVENTS_MAX), (struct answer){ .status = 200 });
        assert_int_equal(cursor(), HTTPS_EVENTS_MAX);
        answer(assert_post(1, HTTPS_EVENTS_MAX + 1, HTTPS_EVENTS_MAX + 10), (struct answer){ .status = 204 });
        assert_int_equal(cursor(), HTTPS_EVENTS_MAX + 10);
        assert_string_equal(state_now().events, "");
        assert_string_equal(state_now().lists, "absent");
        assert_int_equal(state_now().events_ok_ms, TEST_NOW_MS);
}

static void test_a_batch_has_a_size(void **state) {
        (void) state;
        open_with(3, HTTPS_EVENTS_BYTES / 2 - 100);
        answer(assert_post(0, 1, 1), (struct answer){ .status = 200 });
        answer(assert_post(1, 2, 2), (struct answer){ .status = 200 });
        answer(assert_post(2, 3, 3), (struct answer){ .status = 200 });
}

static void test_no_answer_loses_an_event(void **state) {
        static const struct {
                struct answer answer;
                const char *error;
        } rows[] = {
                { { .status = 500 }, "server-error" },
                { { .status = 503, .retry_after_ms = 7000 }, "server-busy" },
                { { .status = 400 }, "door-refused" },
                { { .status = 401 }, "door-forbidden" },
                { { .status = 404 }, "door-refused" },
                { { .status = 307 }, "door-refused" },
                { { .status = 100 }, "protocol-error" },
        };
        (void) state;
        open_with(5, 1);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                answer(assert_post(i, 1, 5), rows[i].answer);
                assert_string_equal(state_now().events, rows[i].error);
                if (rows[i].answer.retry_after_ms > 0)
                        assert_in_range(world.delay_ms, 7000, 8750);
                else
                        assert_in_range(world.delay_ms, 1, HTTPS_RETRY_MAX_MS);
                assert_int_equal(cursor(), 0);
        }
        break_off(assert_post(ARRAY_SIZE(rows), 1, 5), "connection-refused");
        assert_string_equal(state_now().events, "connection-refused");
        answer(assert_post(ARRAY_SIZE(rows) + 1, 1, 5), (struct answer){ .status = 200 });
        assert_int_equal(cursor(), 5);
        assert_string_equal(state_now().events, "");
}

static void test_a_batch_that_is_too_large_is_divided(void **state) {
        (void) state;
        open_with(5, 1);
        answer(assert_post(0, 1, 5), (struct answer){ .status = 413 });
        answer(assert_post(1, 1, 2), (struct answer){ .status = 413 });
        answer(assert_post(2, 1, 1), (struct answer){ .status = 200 });
        answer(assert_post(3, 2, 2), (struct answer){ .status = 413 });
        assert_string_equal(state_now().events, "door-refused"); /* one alone: then it is the server's business */
        assert_int_equal(cursor(), 1);
        answer(assert_post(4, 2, 2), (struct answer){ .status = 200 });
        answer(assert_post(5, 3, 3), (struct answer){ .status = 200 });
}

static void test_what_cannot_be_started_is_tried_again(void **state) {
        (void) state;
        world.start_result = -ENOMEM;
        open_with(2, 1);
        LOOP_UNTIL(fixture.loop, str_equal(state_now().events, "out-of-memory"));
        world.start_result = 0;
        answer(assert_post(0, 1, 2), (struct answer){ .status = 200 });
}

static void test_events_wait_for_the_clock(void **state) {
        (void) state;
        fixture.clock_state = "not-credible";
        open_with(2, 1);
        LOOP_UNTIL(fixture.loop, str_equal(state_now().events, "clock-not-credible"));
        assert_int_equal(world.n_requests, 0);
        fixture.clock_state = "timesync";
        answer(assert_post(0, 1, 2), (struct answer){ .status = 200 });
}

static void test_events_as_they_happen(void **state) {
        struct test_client *client = client_new();
        char hex[DIGEST_HEX_SIZE], params[1024];
        int64_t n;
        (void) state;
        import_file(client, "v2.0.0", hex);
        start_params(params, sizeof params, "c1", hex, 6, "{\"ids\":[\"toy:d0\"]}");
        client_result(client, "campaign.start", params);
        for (size_t i = 0;; i++) {
                struct request *request = request_at(i);
                answer(request, (struct answer){ .status = 200 });
                if (strstr(request->body, "\"completed\""))
                        break;
        }
        n = event_table_newest(fixture.store);
        assert_int_equal(cursor(), n);
        client_free(client);
}

static void test_stopped_in_the_middle_of_a_post(void **state) {
        (void) state;
        open_with(2, 1);
        assert_post(0, 1, 2);
        api_stop(fixture.api);
        assert_true(world.requests[0].is_canceled);
}

static void test_not_configured(void **state) {
        (void) state;
        assert_null(fixture.api->https);
        door_https_renew(NULL);
        assert_string_equal(state_now().lists, "absent");
}

static int set_up_nothing(void **state) {
        memset(&world, 0, sizeof world);
        test_settings = NULL;
        return set_up(state);
}

#define LISTS(name) cmocka_unit_test_setup_teardown(name, set_up_door, tear_down_door)
#define EVENTS(name) cmocka_unit_test_setup_teardown(name, set_up_events, tear_down_door)

int main(void) {
        const struct CMUnitTest tests[] = {
                LISTS(test_each_list_is_read_in_turn),
                LISTS(test_campaigns_are_offered_one_by_one_and_once),
                LISTS(test_what_may_pass_is_offered_again),
                LISTS(test_a_campaign_that_comes_back_is_offered_again),
                LISTS(test_a_list_that_is_none_hides_no_other),
                LISTS(test_a_list_that_is_too_long),
                LISTS(test_a_server_in_trouble_ends_the_round),
                LISTS(test_no_request_before_the_clock_is_set),
                LISTS(test_groups_of_a_reload),
                LISTS(test_stopped_in_the_middle_of_an_offer),
                EVENTS(test_events_in_order_and_in_batches),
                EVENTS(test_a_batch_has_a_size),
                EVENTS(test_no_answer_loses_an_event),
                EVENTS(test_a_batch_that_is_too_large_is_divided),
                EVENTS(test_what_cannot_be_started_is_tried_again),
                EVENTS(test_events_wait_for_the_clock),
                EVENTS(test_events_as_they_happen),
                EVENTS(test_stopped_in_the_middle_of_a_post),
                cmocka_unit_test_setup_teardown(test_not_configured, set_up_nothing, tear_down_door),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
