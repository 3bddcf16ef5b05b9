/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An MQTT 5 client on the loop, over libmosquitto: for the daemon's door and for gatewayctl. Connects by itself, again and again with
 * back-off and full jitter, until it is freed. What is published at QoS 1 is delivered only when the broker acknowledged it with a
 * reason below 0x80 (an ACL refusal is acknowledged, too). Nothing is kept over a lost connection: whoever published has a row to
 * publish again. Subscriptions are made anew by the owner at every `connected`.
 *
 *     waiting --(back-off over)--> connecting (a thread of its own: names, TCP) --> handshake (TLS, CONNECT) --> connected
 *        ^                             |                                              |                            |
 *        +-----------------------------+------------- disconnected(why, retry_in_ms) -+----------------------------+
 *
 * Everything a broker controls is bounded: the size of a packet, messages in flight, the time until it answers. Certificates are
 * always verified; plain TCP is for loopback addresses (see mqtt_url_parse()).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "loop/loop.h"

#define MQTT_HOST_SIZE 256
#define MQTT_TOPIC_MAX 512                       /* of a message that comes in; longer ones are dropped */
#define MQTT_CORRELATION_MAX 128                 /* of a message that comes in; with a longer one it counts as having none */
#define MQTT_PACKET_MAX (1024u * 1024u + 4096u)  /* accepted from the broker, and sent to it */
#define MQTT_IN_FLIGHT_MAX 32                    /* QoS 1 messages without acknowledgement; fewer where the broker says so */
#define MQTT_IN_FLIGHT_BYTES_MAX (4u * 1024u * 1024u) /* of them together, unless it is one */
#define MQTT_RECEIVE_MAX 16                      /* QoS 1 messages that the broker may send ahead */
#define MQTT_SUBSCRIBING_MAX 64                  /* subscriptions without acknowledgement */
#define MQTT_KEEPALIVE_DEFAULT_S 60
#define MQTT_CONNECT_TIMEOUT_MS 30000            /* until CONNACK */
#define MQTT_BACKOFF_FIRST_MS 1000
#define MQTT_BACKOFF_MAX_MS (5 * 60 * 1000)
#define MQTT_TAKEN_OVER_BACKOFF_MS (10 * 60 * 1000) /* at least; at most twice as much */

/* Reasons of MQTT 5 (section 2.4) that this code or its owners look at. */
#define MQTT_REASON_SUCCESS 0x00
#define MQTT_REASON_NO_SUBSCRIBERS 0x10
#define MQTT_REASON_BAD_CREDENTIALS 0x86
#define MQTT_REASON_NOT_AUTHORIZED 0x87
#define MQTT_REASON_TAKEN_OVER 0x8E
#define MQTT_REASON_QUOTA_EXCEEDED 0x97
#define MQTT_REASON_PACKET_TOO_LARGE 0x95
#define MQTT_REASON_FAILURE 0x80 /* this and above: not done */

struct mqtt;

/*
 * TLS as trust/tls.h makes it; this floor sees no more of it. Both are called on the loop and never block. The SSL_CTX itself may be used by
 * a thread that connects, also one that was abandoned by mqtt_free(): what its callbacks need lives as long as it does.
 */
struct mqtt_tls {
        /* Asked before each attempt: an SSL_CTX that verifies exactly this broker; referenced for the attempt. NULL with err: the attempt
         * fails with it. -EAGAIN in *ret_wait: it is not ready yet; the owner calls mqtt_retry() when it is. */
        void *(*ssl_ctx)(void *ctx, bool *ret_wait, struct gw_error *err);
        /* The handshake failed: what verification said, as peer-certificate-...; leaves err alone where it had nothing against the peer. */
        void (*explain)(void *ctx, struct gw_error *err);
        void *ctx;
};

struct mqtt_will {
        const char *topic;
        const void *payload; /* retained, QoS 1 */
        size_t size;
};

/* Everything is copied but tls, which must outlive the client. 0 and NULL: the default, or none. */
struct mqtt_options {
        const char *host; /* name or address */
        uint16_t port;
        const char *client_id; /* NULL: a random one */
        const char *user;
        const char *password;
        const struct mqtt_tls *tls; /* NULL: plain TCP */
        struct mqtt_will will;      /* topic NULL: none */
        uint16_t keepalive_s;
        uint32_t session_expiry_s; /* the broker keeps subscriptions and QoS 1 messages so long; 0: a clean session each time */
        size_t packet_max;
        int64_t connect_timeout_ms;
        int64_t backoff_first_ms;
        int64_t backoff_max_ms;
        int64_t taken_over_backoff_ms;
};

struct mqtt_connection {
        bool session_present;
        uint16_t in_flight_max; /* the smaller one of ours and the broker's */
        size_t packet_max;      /* the same */
};

struct mqtt_message {
        const char *topic;
        const char *payload; /* a NUL follows */
        size_t size;
        bool retained;
        const char *response_topic;       /* NULL */
        const void *correlation;          /* NULL */
        size_t correlation_size;
};

/* Why there is no connection now. */
struct mqtt_failure {
        struct gw_error err;
        int reason; /* of MQTT 5 where the broker gave one, else 0 */
        bool was_connected;
        int64_t retry_in_ms; /* the next attempt */
};

/*
 * From the loop, never from inside a function of this header unless it says so, none after mqtt_free(). Each may be NULL. mqtt_free() inside is fine.
 * Errors of disconnected: host-unresolvable, connection-refused, network-unreachable, peer-certificate-..., client-certificate-refused,
 * tls-handshake-failed, broker-credentials-refused, broker-refused, broker-lost, broker-silent, broker-session-taken-over,
 * broker-protocol-error, out-of-memory, and those of tls->ssl_ctx().
 */
struct mqtt_handler {
        void (*connected)(void *ctx, const struct mqtt_connection *connection);
        void (*disconnected)(void *ctx, const struct mqtt_failure *failure);
        /* The broker has its acknowledgement already: what must not be lost is to be asked for again by its sender. */
        void (*message)(void *ctx, const struct mqtt_message *message);
        /* After mqtt_publish() gave -EAGAIN: there is room again. */
        void (*room)(void *ctx);
};

/* Begins to connect. -EINVAL (no host, no port), -ENOMEM. */
int mqtt_new(struct loop *loop, const struct mqtt_options *options, const struct mqtt_handler *handler, void *ctx, struct mqtt **ret_mqtt);
/*
 * Says goodbye, without waiting, where there is a connection; with_will: the broker publishes the will. `done` of what is in flight
 * does not come. A connect that has not ended is abandoned to its thread. NULL is fine.
 */
void mqtt_free(struct mqtt *mqtt, bool with_will);

bool mqtt_is_connected(const struct mqtt *mqtt);
/* Ends the wait for the next attempt: what failed is repaired, or TLS is ready. */
void mqtt_retry(struct mqtt *mqtt);
/* Ends what there is with a goodbye (no will, no `disconnected`; every `done` comes with -ENOTCONN, from inside) and connects again after the delay. */
void mqtt_stay_away(struct mqtt *mqtt, int64_t delay_ms);

struct mqtt_publication {
        const char *topic;
        const void *payload; /* size 0 and retain: clears what is retained */
        size_t size;
        bool retain;
        bool at_most_once; /* QoS 0: no acknowledgement, `done` must be NULL */
        const char *response_topic;
        const void *correlation;
        size_t correlation_size;
        uint32_t expiry_s; /* the broker drops it after so long; 0: never */
};

/* reason: of the broker (>= MQTT_REASON_FAILURE: refused), or -ENOTCONN: the connection ended first, it may or may not have arrived. */
typedef void (*mqtt_done)(void *ctx, int reason);

/*
 * Copies. 0: `done` (NULL is fine) comes once, later. -ENOTCONN; -EAGAIN: as much is in flight as may be, handler.room follows;
 * -EMSGSIZE: larger than the broker takes; -EINVAL: not a topic to publish to; -ENOMEM.
 */
int mqtt_publish(struct mqtt *mqtt, const struct mqtt_publication *publication, mqtt_done done, void *ctx);

/* One filter, QoS 1, without messages of our own. `done` as above; what is retained comes as messages, each time. -ENOTCONN; -EAGAIN: too
 * many at once; -EINVAL. */
int mqtt_subscribe(struct mqtt *mqtt, const char *filter, mqtt_done done, void *ctx);
/* The same, and what we publish ourselves comes, too. */
int mqtt_subscribe_with_own(struct mqtt *mqtt, const char *filter, mqtt_done done, void *ctx);
int mqtt_unsubscribe(struct mqtt *mqtt, const char *filter, mqtt_done done, void *ctx);

/* Does the filter (with + and #) fit the topic? */
bool mqtt_topic_matches(const char *filter, const char *topic);

/* A broker as people write it. */
struct mqtt_url {
        char host[MQTT_HOST_SIZE]; /* without brackets */
        uint16_t port;             /* 8883, 1883 where none is given */
        bool tls;
};
/* mqtts://host[:port], and mqtt://host[:port] for localhost and loopback addresses. Err: broker-url-invalid (-EINVAL). */
int mqtt_url_parse(const char *text, struct mqtt_url *ret_url, struct gw_error *err);

/* For refused publications and subscriptions: broker-acl-missing, broker-message-refused. what: "publish to", "subscribe to". */
void mqtt_reason_error(int reason, const char *what, const char *topic, struct gw_error *err);
const char *mqtt_reason_text(int reason);
