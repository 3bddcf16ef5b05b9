/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of the MQTT client.
 *
 *     mqtt.c          the states, the socket on the loop, keepalive, what libmosquitto calls back
 *     mqtt_attempt.c  one attempt to connect: a libmosquitto object and the thread that owns it until TCP is connected
 *     mqtt_send.c     publishing and subscribing: what waits for an acknowledgement
 *     mqtt_error.c    names for what went wrong
 *     mqtt_url.c      URLs and filters of topics
 *
 * libmosquitto 2.0.11, measured and read: mosquitto_connect_bind_v5() blocks (names, TCP); all else does not. A QoS 1 message is
 * acknowledged before the callback that tells of it. Its own queue would send again after a reconnect, so each connection gets an object of
 * its own: whoever published begins again by his own rows.
 */

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdatomic.h>

#include "loop/loop_internal.h"
#include "loop/mqtt.h"
#include "loop/timer.h"

enum mqtt_state {
        MQTT_WAITING,    /* for the next attempt */
        MQTT_CONNECTING, /* attempt: the thread has the object */
        MQTT_HANDSHAKE,  /* TLS, CONNECT was sent */
        MQTT_CONNECTED,
};

/* What mosquitto_connect_bind_v5() said. */
struct attempt_result {
        int code;   /* MOSQ_ERR_... */
        int number; /* errno of the thread */
};

struct attempt;
struct mqtt_socket;

struct in_flight {
        int mid; /* 0: free */
        mqtt_done done;
        void *ctx;
        size_t size;
        bool is_publication;
};

struct mqtt {
        struct loop *loop;
        const struct mqtt_handler *handler;
        void *ctx;
        struct mqtt_options options; /* its texts are ours */
        enum mqtt_state state;
        struct attempt *attempt;
        struct mosquitto *mosquitto; /* HANDSHAKE, CONNECTED */
        struct mqtt_socket *socket;
        struct timer *timer; /* WAITING: next attempt; CONNECTING, HANDSHAKE: deadline; CONNECTED: keepalive */
        struct loop_deferral broken; /* a send failed: told later */
        struct mqtt_failure failure; /* what is known of why the connection ends */
        bool ended;                  /* libmosquitto closed the socket */
        bool accepted;               /* CONNACK came; not told yet */
        unsigned n_failed;           /* attempts in a row */
        int64_t connected_ms;
        /* keepalive: monotonic */
        int64_t keepalive_ms;
        int64_t received_ms, sent_ms;
        int64_t asked_ms; /* a ping waits for any answer; 0 none */
        uint64_t bytes_at_packet; /* TCP bytes received when the last packet was complete */
        /* sending */
        struct in_flight in_flight[MQTT_IN_FLIGHT_MAX + MQTT_SUBSCRIBING_MAX];
        size_t n_publishing, n_publishing_bytes, n_subscribing;
        struct mqtt_connection connection;
        bool wants_room;
        size_t wanted_size;
        /* being called back: freed behind that */
        unsigned depth;
        bool freed, with_will;
        int64_t away_ms; /* the same for mqtt_stay_away(); -1: not asked for */
};

/* --- mqtt_attempt.c --- */
/* Makes the object and its thread. `ended` comes from the loop, once, unless attempt_free() came before. */
int attempt_start(struct mqtt *mqtt, void *ssl_ctx, void (*ended)(struct mqtt *mqtt), struct attempt **ret_attempt);
/* After `ended`: *ret_mosquitto is the caller's. Frees the attempt. */
struct attempt_result attempt_take(struct attempt *attempt, struct mosquitto **ret_mosquitto);
/* A thread that still connects keeps what it needs and frees it itself. NULL is fine. */
void attempt_abandon(struct attempt *attempt);
/* Threads that were abandoned and still run, in the whole process. */
unsigned attempts_abandoned(void);

/* --- mqtt_send.c --- */
/* An acknowledgement came. */
void mqtt_acknowledged(struct mqtt *mqtt, int mid, int reason);
/* The connection ended: every `done` that waits is called with -ENOTCONN. */
void mqtt_drop_in_flight(struct mqtt *mqtt);

/* --- mqtt.c --- */
/* Something was handed to libmosquitto. code: its answer. */
void mqtt_sent(struct mqtt *mqtt, int code);
/* Handlers are called between these two. leave(): false: the client was freed meanwhile and is gone. */
void mqtt_enter(struct mqtt *mqtt);
bool mqtt_leave(struct mqtt *mqtt);

/* --- mqtt_error.c --- */
void mqtt_connect_error(const struct mqtt_options *options, struct attempt_result result, struct gw_error *err);
/* Of CONNACK. */
void mqtt_refused_error(const struct mqtt_options *options, int reason, struct gw_error *err);
/* Of DISCONNECT, sent by the broker. */
void mqtt_ended_error(const struct mqtt_options *options, int reason, struct gw_error *err);
/* Of a code of libmosquitto for a connection that was there. */
void mqtt_lost_error(const struct mqtt_options *options, int code, struct gw_error *err);
