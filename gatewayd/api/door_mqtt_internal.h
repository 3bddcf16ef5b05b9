/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of the MQTT door share:
 *
 *     door_mqtt.c            life, connection, subscriptions, where a message goes
 *     door_mqtt_tls.c        TLS contexts, made on a worker
 *     door_mqtt_requests.c   requests and their replies
 *     door_mqtt_events.c     the events on their way
 *     door_mqtt_documents.c  retained documents: which have to be published, when, and which to be cleared
 *     documents.c            what stands in them
 *
 * Everything that goes out goes through door_mqtt_pump(): replies, then events, then documents, until as much is in flight as may be.
 */

#include "api/door_mqtt.h"
#include "api/outbox.h"
#include "loop/mqtt.h"
#include "loop/timer.h"
#include "trust/secrets.h"
#include "trust/tls.h"

#define MQTT_REQUESTS_MAX 64             /* that run or wait for their reply to be sent */
#define MQTT_DESIRED_BYTES_MAX (8u * 1024u * 1024u) /* of desired documents that are not judged yet */
#define MQTT_REPLY_EXPIRY_S 600          /* the broker drops a reply that nobody fetches */
#define MQTT_EVENTS_IN_FLIGHT_MAX 16
#define MQTT_REFUSED_FIRST_MS (5 * 1000) /* until a refused event is sent again */
#define MQTT_REFUSED_MAX_MS (10 * 60 * 1000)
#define MQTT_DOCUMENT_INTERVAL_MS 2000   /* between two publications of one device's document */
#define MQTT_START_RETRY_MS (60 * 1000)  /* after credentials could not be read */
#define MQTT_AGAIN_FIRST_MS (5 * 1000)   /* until desired campaigns are read again that may be accepted later; doubled each time */
#define MQTT_AGAIN_MAX_MS (10 * 60 * 1000)
#define MQTT_CLOCK_LOOK_MS 2000          /* between two looks at a clock that desired campaigns wait for */
#define MQTT_DUPLICATE_TOLD_MS (30 * 60 * 1000)
#define MQTT_INSTANCE_SIZE 17

struct door_mqtt;
struct mqtt_document;

/* --- door_mqtt_tls.c --- */

struct door_tls {
        struct tls *tls;
        struct tls_options options;
        struct mqtt_tls callbacks;
        struct loop *loop;
        void (*ready)(void *ctx);
        void *ctx;
        struct tls_making *making; /* on a worker */
        struct tls_context *context;
        bool is_fresh; /* not used for an attempt yet */
        struct gw_error error; /* context NULL: why it could not be made */
};

/* ready: after ssl_ctx() said to wait. The options' texts must outlive it. */
void door_tls_init(struct door_tls *door_tls, struct loop *loop, struct tls *tls, const struct tls_options *options, void (*ready)(void *ctx), void *ctx);
void door_tls_deinit(struct door_tls *door_tls);

/* --- door_mqtt_events.c --- */

struct mqtt_events {
        struct outbox *outbox;
        /* What is in flight, oldest first: a ring. */
        struct mqtt_event_flight {
                struct door_mqtt *door;
                int64_t seq;
                bool is_delivered;
        } flights[MQTT_EVENTS_IN_FLIGHT_MAX];
        size_t first, n_flights;
        bool is_refused; /* nothing new goes out before `timer` */
        unsigned n_refused;
        struct timer *timer;
        struct log_limit refusals;
        struct gw_error error; /* of the newest refusal; empty: none */
};

int mqtt_events_init(struct door_mqtt *door);
void mqtt_events_deinit(struct door_mqtt *door);
void mqtt_events_disconnected(struct door_mqtt *door);
/* false: as much is in flight as may be. */
bool mqtt_events_pump(struct door_mqtt *door);

/* --- door_mqtt_requests.c --- */

struct mqtt_requests {
        struct list list; /* in order of arrival */
        size_t n_requests;
        struct log_limit dropped;
};

void mqtt_requests_init(struct door_mqtt *door);
void mqtt_requests_deinit(struct door_mqtt *door);
void mqtt_requests_disconnected(struct door_mqtt *door);
/* is_shared: others got it, too; who is not addressed says nothing. */
void mqtt_request_came(struct door_mqtt *door, const struct mqtt_message *message, bool is_shared);
bool mqtt_requests_pump(struct door_mqtt *door);

/* --- door_mqtt_documents.c --- */

struct mqtt_documents {
        struct mqtt_document **all; /* sorted by name */
        size_t n_all, capacity;
        struct list dirty; /* wait to be published */
        struct timer *timer;
        int64_t due_ms; /* of the timer; INT64_MAX: none */
        bool listening_update, listening_fleet;
        bool was_connected;    /* once: from then on every change is noted */
        bool status_delivered; /* since this process began */
        struct log_limit refusals;
};

int mqtt_documents_init(struct door_mqtt *door);
void mqtt_documents_deinit(struct door_mqtt *door);
/* What changed meanwhile is published; where the broker begins anew, everything. */
void mqtt_documents_connected(struct door_mqtt *door, bool has_kept_session);
void mqtt_documents_disconnected(struct door_mqtt *door);
/* A retained document of this gateway as the broker has it. name: behind gw/<gateway>/. */
void mqtt_document_came(struct door_mqtt *door, const char *name, const struct mqtt_message *message);
void mqtt_documents_status_changed(struct door_mqtt *door);
void mqtt_documents_upkeep(struct door_mqtt *door);
bool mqtt_documents_pump(struct door_mqtt *door);

/* --- door_mqtt.c --- */

struct door_mqtt {
        struct api *api;
        struct mqtt *mqtt;
        struct mqtt_url url;
        struct door_tls tls;
        char instance[MQTT_INSTANCE_SIZE]; /* random, of this process: tells two gateways of one id apart */
        char own[MQTT_TOPIC_MAX];          /* <root>/v1/gw/<gateway>/ */
        char client_id[STR_GATEWAY_ID_MAX + 1];
        struct timer *start_timer;
        bool stopping;
        uint64_t n_connected;

        struct str_list filters; /* to subscribe to */
        size_t n_subscribed;     /* of filters, sent since the connection began */

        int64_t connected_ms; /* 0: not */
        int64_t retry_ms;     /* monotonic */
        struct gw_error error; /* why it is not connected; the last thing that was logged */
        struct gw_error duplicate; /* another gateway with this id was seen */
        int64_t duplicate_until_ms; /* health tells of it so long */
        struct log_limit failures, retained, refused_filters, desired, duplicates;

        struct list desires; /* campaigns on their way in */
        struct timer *again_timer; /* one of them may be accepted later */
        int64_t again_ms;
        struct timer *clock_timer; /* one of them could not be judged without the time */
        size_t n_desired_bytes;

        struct mqtt_requests requests;
        struct mqtt_events events;
        struct mqtt_documents documents;
};

void door_mqtt_pump(struct door_mqtt *door);
/* <own><name> */
void door_mqtt_topic(const struct door_mqtt *door, const char *name, char topic[MQTT_TOPIC_MAX + 1]);
/* Another gateway with this id is connected. */
void door_mqtt_is_duplicate(struct door_mqtt *door, const char *instance);
