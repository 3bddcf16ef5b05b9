/* SPDX-License-Identifier: Apache-2.0 */
#include "api/door_mqtt_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/events.h"
#include "base/backoff.h"

/*
 *     outbox --(publish)--> in flight --(reason < 0x80)--> delivered: the cursor moves up to the first that is not
 *        ^                     |
 *        +---- rewind ---------+ connection lost; refused (an ACL, a quota): after a pause, then one alone until the broker takes it
 */

static struct mqtt_event_flight *flight_at(struct mqtt_events *events, size_t i) {
        return &events->flights[(events->first + i) % MQTT_EVENTS_IN_FLIGHT_MAX];
}

static void forget_flights(struct mqtt_events *events) {
        events->first = events->n_flights = 0;
}

static void advance(struct mqtt_events *events) {
        int64_t seq = 0;
        while (events->n_flights > 0 && flight_at(events, 0)->is_delivered) {
                seq = flight_at(events, 0)->seq;
                events->first = (events->first + 1) % MQTT_EVENTS_IN_FLIGHT_MAX;
                events->n_flights--;
        }
        if (seq > 0)
                outbox_delivered(events->outbox, seq);
}

/* --- refused --- */

static void try_again(void *ctx) {
        struct door_mqtt *door = ctx;
        struct mqtt_events *events = &door->events;
        events->timer = NULL;
        events->is_refused = false;
        forget_flights(events);
        outbox_rewind(events->outbox);
}

static void refused(struct door_mqtt *door, int reason, int64_t seq) {
        struct mqtt_events *events = &door->events;
        char topic[MQTT_TOPIC_MAX + 1];
        uint64_t n_before = 0;
        door_mqtt_topic(door, "event", topic);
        mqtt_reason_error(reason, "publish to", topic, &events->error);
        if (log_limit_pass(&events->refusals, loop_now_ms(door->api->options.loop), &n_before))
                log_warning(&(struct log_fields){ .error = events->error.name },
                            "event %" PRId64 " stays here until the broker takes it: %s (%" PRIu64 " more refusals since the last report)", seq,
                            events->error.text, n_before);
        if (events->is_refused)
                return;
        events->is_refused = true;
        events->n_refused++;
        (void) timer_start(door->api->options.loop, 1 + backoff_ms(events->n_refused, MQTT_REFUSED_FIRST_MS, MQTT_REFUSED_MAX_MS, backoff_random()), try_again,
                           door, &events->timer);
}

/* --- on the way --- */

static void acknowledged(void *ctx, int reason) {
        struct mqtt_event_flight *flight = ctx;
        struct door_mqtt *door = flight->door;
        struct mqtt_events *events = &door->events;
        if (reason < 0)
                return; /* mqtt_events_disconnected() follows */
        if (reason >= MQTT_REASON_FAILURE) {
                refused(door, reason, flight->seq);
                return;
        }
        flight->is_delivered = true;
        if (!events->is_refused) {
                events->n_refused = 0;
                events->error = (struct gw_error){ 0 };
        }
        advance(events);
        door_mqtt_pump(door);
}

static int publish_row(void *ctx, struct event_row *row) {
        struct door_mqtt *door = ctx;
        struct mqtt_events *events = &door->events;
        _cleanup_free_ char *text = NULL;
        char topic[MQTT_TOPIC_MAX + 1];
        struct mqtt_publication publication = { .topic = topic };
        struct mqtt_event_flight *flight = flight_at(events, events->n_flights);
        int r = event_write(door->api, row, &text, &publication.size);
        if (r < 0)
                return r;
        door_mqtt_topic(door, "event", topic);
        publication.payload = text;
        *flight = (struct mqtt_event_flight){ .door = door, .seq = row->seq };
        r = mqtt_publish(door->mqtt, &publication, acknowledged, flight);
        if (r >= 0)
                events->n_flights++;
        else if (r == -EMSGSIZE)
                refused(door, MQTT_REASON_PACKET_TOO_LARGE, row->seq);
        return r;
}

bool mqtt_events_pump(struct door_mqtt *door) {
        struct mqtt_events *events = &door->events;
        size_t limit = events->n_refused > 0 ? 1 : MQTT_EVENTS_IN_FLIGHT_MAX;
        if (events->is_refused || events->n_flights >= limit || !outbox_has_more(events->outbox))
                return true;
        (void) outbox_next(events->outbox, (uint32_t) (limit - events->n_flights), publish_row, door);
        return events->n_flights >= limit || events->is_refused || !outbox_has_more(events->outbox);
}

/* --- life --- */

static void more(void *ctx) {
        door_mqtt_pump(ctx);
}

static const struct outbox_handler outbox_handler = { .more = more };

int mqtt_events_init(struct door_mqtt *door) {
        return outbox_new(door->api, OUTBOX_DOOR_MQTT, &outbox_handler, door, &door->events.outbox);
}

void mqtt_events_deinit(struct door_mqtt *door) {
        timer_cancel(TAKE_PTR(door->events.timer));
        outbox_free(TAKE_PTR(door->events.outbox));
}

void mqtt_events_disconnected(struct door_mqtt *door) {
        struct mqtt_events *events = &door->events;
        timer_cancel(TAKE_PTR(events->timer));
        events->is_refused = false;
        forget_flights(events);
        outbox_rewind(events->outbox);
}
