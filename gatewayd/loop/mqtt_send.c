/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/mqtt_internal.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define HEADER_MAX 64 /* of a PUBLISH without its texts */

/* --- what waits for an acknowledgement --- */

static struct in_flight *find(struct mqtt *mqtt, int mid) {
        for (size_t i = 0; i < ARRAY_SIZE(mqtt->in_flight); i++)
                if (mqtt->in_flight[i].mid == mid)
                        return &mqtt->in_flight[i];
        return NULL;
}

static void note(struct mqtt *mqtt, const struct in_flight *entry) {
        *find(mqtt, 0) = *entry; /* as many places as both limits together */
        if (entry->is_publication) {
                mqtt->n_publishing++;
                mqtt->n_publishing_bytes += entry->size;
        } else {
                mqtt->n_subscribing++;
        }
}

static void forget(struct mqtt *mqtt, struct in_flight *place) {
        if (place->is_publication) {
                mqtt->n_publishing--;
                mqtt->n_publishing_bytes -= place->size;
        } else {
                mqtt->n_subscribing--;
        }
        *place = (struct in_flight){ 0 };
}

static void tell(struct mqtt *mqtt, struct in_flight *place, int reason) {
        struct in_flight entry = *place;
        forget(mqtt, place);
        if (entry.done && !mqtt->freed)
                entry.done(entry.ctx, reason);
}

static bool has_room(const struct mqtt *mqtt, size_t size) {
        if (mqtt->n_publishing == 0)
                return true;
        return mqtt->n_publishing < mqtt->connection.in_flight_max && mqtt->n_publishing_bytes + size <= MQTT_IN_FLIGHT_BYTES_MAX;
}

void mqtt_acknowledged(struct mqtt *mqtt, int mid, int reason) {
        struct in_flight *place = mid ? find(mqtt, mid) : NULL;
        if (!place)
                return;
        tell(mqtt, place, reason);
        if (mqtt->freed || !mqtt->wants_room || !has_room(mqtt, mqtt->wanted_size))
                return;
        mqtt->wants_room = false;
        if (mqtt->handler->room)
                mqtt->handler->room(mqtt->ctx);
}

void mqtt_drop_in_flight(struct mqtt *mqtt) {
        for (size_t i = 0; i < ARRAY_SIZE(mqtt->in_flight); i++)
                if (mqtt->in_flight[i].mid)
                        tell(mqtt, &mqtt->in_flight[i], -ENOTCONN);
        mqtt->wants_room = false;
}

/* --- sending --- */

static int error_of(int code) {
        switch (code) {
        case MOSQ_ERR_SUCCESS:
                return 0;
        case MOSQ_ERR_NOMEM:
                return -ENOMEM;
        case MOSQ_ERR_OVERSIZE_PACKET:
        case MOSQ_ERR_PAYLOAD_SIZE:
                return -EMSGSIZE;
        case MOSQ_ERR_INVAL:
        case MOSQ_ERR_MALFORMED_UTF8:
        case MOSQ_ERR_QOS_NOT_SUPPORTED:
                return -EINVAL;
        default: /* not an enum of ours */
                return -ENOTCONN;
        }
}

static int properties_of(const struct mqtt_publication *publication, mosquitto_property **ret_properties) {
        mosquitto_property *list = NULL;
        int r = MOSQ_ERR_SUCCESS;
        if (publication->response_topic)
                r = mosquitto_property_add_string(&list, MQTT_PROP_RESPONSE_TOPIC, publication->response_topic);
        if (r == MOSQ_ERR_SUCCESS && publication->correlation)
                r = mosquitto_property_add_binary(&list, MQTT_PROP_CORRELATION_DATA, publication->correlation, (uint16_t) publication->correlation_size);
        if (r == MOSQ_ERR_SUCCESS && publication->expiry_s > 0)
                r = mosquitto_property_add_int32(&list, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, publication->expiry_s);
        if (r != MOSQ_ERR_SUCCESS) {
                mosquitto_property_free_all(&list);
                return error_of(r);
        }
        *ret_properties = list;
        return 0;
}

static int hand_over(struct mqtt *mqtt, const struct mqtt_publication *publication, int *ret_mid) {
        mosquitto_property *properties = NULL;
        int code, r = properties_of(publication, &properties);
        if (r < 0)
                return r;
        code = mosquitto_publish_v5(mqtt->mosquitto, ret_mid, publication->topic, (int) publication->size, publication->payload,
                                    publication->at_most_once ? 0 : 1, publication->retain, properties);
        mosquitto_property_free_all(&properties);
        r = error_of(code);
        mqtt_sent(mqtt, r == -ENOTCONN ? code : MOSQ_ERR_SUCCESS);
        return r;
}

static size_t packet_size(const struct mqtt_publication *publication) {
        size_t size = publication->size + strlen(publication->topic) + publication->correlation_size + HEADER_MAX;
        return publication->response_topic ? size + strlen(publication->response_topic) : size;
}

static int may_send(struct mqtt *mqtt, const struct mqtt_publication *publication, size_t size) {
        if (mqtt->state != MQTT_CONNECTED || mqtt->freed)
                return -ENOTCONN;
        if (size > mqtt->connection.packet_max || publication->correlation_size > UINT16_MAX)
                return -EMSGSIZE;
        /* Nothing acknowledges these, so only what the kernel takes at once bounds them. */
        if (publication->at_most_once)
                return mosquitto_want_write(mqtt->mosquitto) ? -EAGAIN : 0;
        if (has_room(mqtt, size))
                return 0;
        mqtt->wants_room = true;
        mqtt->wanted_size = size;
        return -EAGAIN;
}

int mqtt_publish(struct mqtt *mqtt, const struct mqtt_publication *publication, mqtt_done done, void *ctx) {
        struct in_flight entry = { .done = done, .ctx = ctx, .size = packet_size(publication), .is_publication = true };
        int r = may_send(mqtt, publication, entry.size);
        if (r >= 0)
                r = hand_over(mqtt, publication, &entry.mid);
        if (r >= 0 && !publication->at_most_once)
                note(mqtt, &entry);
        return r;
}

/* options: of MQTT 5 (section 3.8.3.1); -1: unsubscribe. */
static int change_subscription(struct mqtt *mqtt, const char *filter, int options, mqtt_done done, void *ctx) {
        struct in_flight entry = { .done = done, .ctx = ctx };
        int code, r;
        if (mqtt->state != MQTT_CONNECTED || mqtt->freed)
                return -ENOTCONN;
        if (mqtt->n_subscribing == MQTT_SUBSCRIBING_MAX)
                return -EAGAIN;
        code = options >= 0 ? mosquitto_subscribe_v5(mqtt->mosquitto, &entry.mid, filter, 1, options, NULL)
                            : mosquitto_unsubscribe_v5(mqtt->mosquitto, &entry.mid, filter, NULL);
        r = error_of(code);
        if (r >= 0)
                note(mqtt, &entry);
        mqtt_sent(mqtt, r == -ENOTCONN ? code : MOSQ_ERR_SUCCESS);
        return r;
}

int mqtt_subscribe(struct mqtt *mqtt, const char *filter, mqtt_done done, void *ctx) {
        return change_subscription(mqtt, filter, MQTT_SUB_OPT_NO_LOCAL | MQTT_SUB_OPT_RETAIN_AS_PUBLISHED, done, ctx);
}

int mqtt_subscribe_with_own(struct mqtt *mqtt, const char *filter, mqtt_done done, void *ctx) {
        return change_subscription(mqtt, filter, MQTT_SUB_OPT_RETAIN_AS_PUBLISHED, done, ctx);
}


int mqtt_unsubscribe(struct mqtt *mqtt, const char *filter, mqtt_done done, void *ctx) {
        return change_subscription(mqtt, filter, -1, done, ctx);
}
