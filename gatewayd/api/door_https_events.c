/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "api/door_https_internal.h"
#include "api/events.h"
#include "api/outbox.h"
#include "base/str.h"

/*
 *     idle --(an event)--> lingering --> posting --(2xx)--> the cursor moves; posting, or idle
 *                              ^             |
 *                              '-- waiting <-'  anything else: the same events again, after a while
 *
 * One batch at a time, so they arrive in order. No answer ever loses an event: what a server refuses stays, and health says so.
 */
struct https_events {
        struct https_side side;
        struct outbox *outbox;
        struct timer *timer; /* lingering or waiting */
        struct http_transfer *transfer;
        struct strbuf body;
        uint32_t rows_max; /* less after a server found a batch too large */
        uint32_t n_rows;   /* of the batch */
        int64_t last_seq;  /* likewise */
};

static void post(void *ctx);

static void post_later(struct https_events *events, int64_t delay_ms) {
        timer_cancel(TAKE_PTR(events->timer));
        if (!events->side.door->stopping)
                (void) timer_start(events->side.door->api->options.loop, delay_ms, post, events, &events->timer);
}

static void more(void *ctx) {
        struct https_events *events = ctx;
        if (!events->timer && !events->transfer)
                post_later(events, HTTPS_EVENTS_LINGER_MS);
}

static const struct outbox_handler outbox_handler = { .more = more };

/* --- a batch --- */

static int add_row(void *ctx, struct event_row *row) {
        struct https_events *events = ctx;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r = event_write(events->side.door->api, row, &text, &size);
        if (r < 0)
                return r;
        if (events->n_rows > 0 && events->body.size + size > HTTPS_EVENTS_BYTES)
                return 1;
        (void) strbuf_append(&events->body, events->n_rows > 0 ? "," : "");
        r = strbuf_append_n(&events->body, text, size);
        if (r < 0)
                return r;
        events->n_rows++;
        events->last_seq = row->seq;
        return 0;
}

/* 0 with n_rows: so many events are in the body. */
static int make_body(struct https_events *events) {
        const struct api_options *options = &events->side.door->api->options;
        int r;
        strbuf_reset(&events->body);
        events->n_rows = 0;
        (void) strbuf_appendf(&events->body, "{\"schema\":\"gatewayd/events/1\",\"gateway\":\"%s\",\"epoch\":\"%s\",\"events\":[", options->gateway_id,
                              store_epoch(options->store));
        r = outbox_next(events->outbox, events->rows_max, add_row, events);
        if (r < 0)
                return r;
        return strbuf_append(&events->body, "]}");
}

/* --- its answer --- */

static void give_up(struct https_events *events, const struct gw_error *err) {
        https_failed(&events->side, err);
        outbox_rewind(events->outbox);
        post_later(events, https_retry_ms(&events->side));
}

/* The same events in smaller portions, at once. */
static bool divide(struct https_events *events) {
        if (events->side.status != 413 || events->n_rows < 2)
                return false;
        events->rows_max = events->n_rows / 2;
        outbox_rewind(events->outbox);
        post_later(events, 0);
        return true;
}

static int on_response(void *ctx, const struct http_response *response) {
        struct https_events *events = ctx;
        https_note_response(&events->side, response);
        return 0;
}

static void on_done(void *ctx, int result, const struct gw_error *err) {
        struct https_events *events = ctx;
        struct gw_error refusal = { 0 };
        events->transfer = NULL;
        if (events->side.door->stopping)
                return;
        if (result < 0) {
                give_up(events, err);
        } else if (https_judge(&events->side, 0, &refusal) >= 0) {
                https_worked(&events->side);
                outbox_delivered(events->outbox, events->last_seq);
                if (outbox_has_more(events->outbox))
                        post_later(events, 0);
        } else if (!divide(events)) {
                give_up(events, &refusal);
        }
}

static const struct http_handler http_handler = { .response = on_response, .done = on_done };

static int start(struct https_events *events, struct gw_error *err) {
        static const char *const headers[] = { "Content-Type: application/json", "Accept: */*" };
        struct http_request request = { .url = events->side.url,
                                        .method = "POST",
                                        .headers = headers,
                                        .n_headers = ARRAY_SIZE(headers),
                                        .body = strbuf_text(&events->body),
                                        .body_size = events->body.size };
        return https_start(&events->side, &request, &http_handler, events, &events->transfer, err);
}

static void post(void *ctx) {
        struct https_events *events = ctx;
        struct gw_error err = { 0 };
        int r;
        events->timer = NULL;
        if (!https_clock_is_credible(&events->side)) {
                gw_error_set(&err, "clock-not-credible", "certificates cannot be judged before the gateway's clock is set");
                https_failed(&events->side, &err);
                post_later(events, HTTPS_CLOCK_RETRY_MS);
                return;
        }
        r = make_body(events);
        if (r >= 0 && events->n_rows == 0)
                return;
        if (r >= 0)
                r = start(events, &err);
        if (r >= 0)
                return;
        if (!gw_error_is_set(&err))
                gw_error_set(&err, "out-of-memory", "the batch could not be made: %s", strerror(-r));
        give_up(events, &err);
}

/* --- life --- */

int https_events_new(struct door_https *door, struct https_events **ret_events) {
        struct https_events *events = calloc(1, sizeof *events);
        int r;
        if (!events)
                return -ENOMEM;
        events->side = (struct https_side){ .door = door, .part = "events", .url = door->settings->https.events_url };
        events->body = STRBUF_INIT(HTTPS_EVENTS_BYTES + JSON_SIZE_MAX);
        events->rows_max = HTTPS_EVENTS_MAX;
        r = outbox_new(door->api, OUTBOX_DOOR_HTTPS, &outbox_handler, events, &events->outbox);
        if (r < 0) {
                https_events_free(events);
                return r;
        }
        *ret_events = events;
        return 0;
}

void https_events_stop(struct https_events *events) {
        if (!events)
                return;
        timer_cancel(TAKE_PTR(events->timer));
        http_cancel(events->transfer);
}

void https_events_free(struct https_events *events) {
        if (!events)
                return;
        timer_cancel(events->timer);
        outbox_free(events->outbox);
        strbuf_deinit(&events->body);
        free(events);
}

const struct https_side *https_events_side(const struct https_events *events) {
        return &events->side;
}
