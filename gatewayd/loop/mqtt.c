/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/mqtt_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "loop/tcp_bytes.h"

#define SECOND_MS 1000
#define STABLE_MS (30 * SECOND_MS)      /* a connection that held so long begins the back-off anew */
#define ANSWER_MAX_MS (20 * SECOND_MS)  /* for a ping */
#define ABANDONED_MAX 4                 /* threads that hang in connect() at once */
#define TLS_OVERHEAD(size) ((size) / 8 + 65536u)
#define PING_BYTES 64                   /* a PINGRESP with what TLS adds */

struct mqtt_socket {
        uv_poll_t poll;
        struct mqtt *mqtt;
        int events;
};

static void attempt_now(void *ctx);
static void fail(struct mqtt *mqtt);

static void arm(struct mqtt *mqtt, int64_t delay_ms, loop_fn fired) {
        timer_cancel(TAKE_PTR(mqtt->timer));
        (void) timer_start(mqtt->loop, MAX(delay_ms, 0), fired, mqtt, &mqtt->timer);
}

/* --- the socket --- */

static void socket_is_closed(uv_handle_t *handle) {
        free(container_of((uv_poll_t *) handle, struct mqtt_socket, poll));
}

/* Before anybody opens a descriptor: libmosquitto may have closed this one already, and its number is taken again at once. */
static void socket_close(struct mqtt *mqtt) {
        struct mqtt_socket *socket = TAKE_PTR(mqtt->socket);
        if (!socket)
                return;
        (void) uv_poll_stop(&socket->poll);
        socket->mqtt = NULL;
        uv_close((uv_handle_t *) &socket->poll, socket_is_closed);
}

static void something_came(uv_poll_t *poll, int status, int events);

static void choose_events(struct mqtt *mqtt) {
        struct mqtt_socket *socket = mqtt->socket;
        int events = UV_READABLE;
        if (!socket || mqtt->ended)
                return;
        if (mosquitto_want_write(mqtt->mosquitto))
                events |= UV_WRITABLE;
        if (events != socket->events && uv_poll_start(&socket->poll, events, something_came) == 0)
                socket->events = events;
}

static int socket_open(struct mqtt *mqtt) {
        int fd = mosquitto_socket(mqtt->mosquitto);
        struct mqtt_socket *socket = calloc(1, sizeof *socket);
        if (!socket)
                return -ENOMEM;
        (void) fcntl(fd, F_SETFD, FD_CLOEXEC);
        if (uv_poll_init(&mqtt->loop->uv, &socket->poll, fd) < 0) {
                free(socket);
                return -EIO;
        }
        socket->mqtt = mqtt;
        mqtt->socket = socket;
        choose_events(mqtt);
        return 0;
}

static uint64_t bytes_received(const struct mqtt *mqtt) {
        return tcp_bytes_received(mosquitto_socket(mqtt->mosquitto));
}

/* libmosquitto keeps a packet of any size that the broker announces; the kernel's count says how far it has come. */
static bool is_packet_too_large(const struct mqtt *mqtt) {
        uint64_t received = bytes_received(mqtt);
        return received > mqtt->bytes_at_packet &&
               received - mqtt->bytes_at_packet > mqtt->options.packet_max + TLS_OVERHEAD(mqtt->options.packet_max);
}

/* --- ends of an attempt or a connection --- */

static void drop_connection(struct mqtt *mqtt) {
        timer_cancel(TAKE_PTR(mqtt->timer));
        loop_deferral_cancel(&mqtt->broken);
        attempt_abandon(TAKE_PTR(mqtt->attempt));
        socket_close(mqtt);
        mosquitto_destroy(TAKE_PTR(mqtt->mosquitto));
}

static int64_t next_delay_ms(struct mqtt *mqtt) {
        const struct mqtt_options *options = &mqtt->options;
        bool taken_over = mqtt->failure.reason == MQTT_REASON_TAKEN_OVER;
        if (mqtt->failure.was_connected && loop_now_ms(mqtt->loop) - mqtt->connected_ms >= STABLE_MS)
                mqtt->n_failed = 0;
        mqtt->n_failed++;
        if (taken_over)
                return options->taken_over_backoff_ms + backoff_ms(1, options->taken_over_backoff_ms, options->taken_over_backoff_ms, backoff_random());
        return backoff_ms(mqtt->n_failed, options->backoff_first_ms, options->backoff_max_ms, backoff_random());
}

/* What failed stands in mqtt->failure. */
static void fail(struct mqtt *mqtt) {
        struct mqtt_failure failure;
        mqtt->failure.was_connected = mqtt->state == MQTT_CONNECTED;
        mqtt->failure.retry_in_ms = next_delay_ms(mqtt);
        failure = mqtt->failure;
        drop_connection(mqtt);
        mqtt->state = MQTT_WAITING;
        arm(mqtt, failure.retry_in_ms, attempt_now);
        mqtt_drop_in_flight(mqtt);
        if (!mqtt->freed && mqtt->handler->disconnected)
                mqtt->handler->disconnected(mqtt->ctx, &failure);
}

/* The first thing that was found stays. */
static void explain_tls(struct mqtt *mqtt) {
        const struct mqtt_tls *tls = mqtt->options.tls;
        if (tls && tls->explain && !gw_error_is_set(&mqtt->failure.err))
                tls->explain(tls->ctx, &mqtt->failure.err);
}

static void lost(struct mqtt *mqtt, int code) {
        if (mqtt->state == MQTT_HANDSHAKE)
                explain_tls(mqtt);
        if (!gw_error_is_set(&mqtt->failure.err))
                mqtt_lost_error(&mqtt->options, code, &mqtt->failure.err);
        fail(mqtt);
}

static void no_answer_in_time(void *ctx) {
        struct mqtt *mqtt = ctx;
        mqtt->timer = NULL;
        /* What hangs in connect() ends by itself after two minutes; so many threads do not pile up. */
        if (mqtt->state == MQTT_CONNECTING && attempts_abandoned() >= ABANDONED_MAX) {
                arm(mqtt, mqtt->options.connect_timeout_ms, no_answer_in_time);
                return;
        }
        mqtt_enter(mqtt);
        gw_error_set(&mqtt->failure.err, mqtt->state == MQTT_CONNECTING ? "network-unreachable" : "broker-silent",
                     "no answer of %s port %u within %d s", mqtt->options.host, mqtt->options.port, (int) (mqtt->options.connect_timeout_ms / SECOND_MS));
        fail(mqtt);
        (void) mqtt_leave(mqtt);
}

/* --- keepalive: libmosquitto counts in whole seconds, so it is asked one later --- */

static void look_at_keepalive(void *ctx);

static int64_t keepalive_due_ms(const struct mqtt *mqtt) {
        if (mqtt->asked_ms)
                return mqtt->asked_ms + MIN(mqtt->keepalive_ms, ANSWER_MAX_MS);
        return MIN(mqtt->received_ms, mqtt->sent_ms) + mqtt->keepalive_ms + SECOND_MS;
}

static void arm_keepalive(struct mqtt *mqtt) {
        arm(mqtt, keepalive_due_ms(mqtt) - loop_now_ms(mqtt->loop), look_at_keepalive);
}

static void look_at_keepalive(void *ctx) {
        struct mqtt *mqtt = ctx;
        int64_t now_ms = loop_now_ms(mqtt->loop);
        int code = MOSQ_ERR_SUCCESS;
        mqtt->timer = NULL;
        mqtt_enter(mqtt);
        if (mqtt->asked_ms && now_ms >= keepalive_due_ms(mqtt)) {
                code = MOSQ_ERR_KEEPALIVE;
        } else if (now_ms >= keepalive_due_ms(mqtt)) {
                code = mosquitto_loop_misc(mqtt->mosquitto);
                mqtt->received_ms = mqtt->sent_ms = mqtt->asked_ms = now_ms;
        }
        if (code == MOSQ_ERR_SUCCESS && !mqtt->ended) {
                arm_keepalive(mqtt);
                choose_events(mqtt);
        } else {
                lost(mqtt, code);
        }
        (void) mqtt_leave(mqtt);
}

/* --- what libmosquitto calls, from inside of its reading; errno is its own to look at afterwards --- */

static void packet_is_complete(struct mqtt *mqtt) {
        mqtt->bytes_at_packet = bytes_received(mqtt);
        errno = 0;
}

static void take_connection(struct mqtt *mqtt, int flags, const mosquitto_property *properties) {
        uint16_t receive_max = UINT16_MAX, keepalive_s = mqtt->options.keepalive_s;
        uint32_t packet_max = UINT32_MAX;
        (void) mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &receive_max, false);
        (void) mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, &packet_max, false);
        (void) mosquitto_property_read_int16(properties, MQTT_PROP_SERVER_KEEP_ALIVE, &keepalive_s, false);
        mqtt->keepalive_ms = (int64_t) MAX(keepalive_s, 1) * SECOND_MS;
        mqtt->connection = (struct mqtt_connection){ .session_present = flags & 1,
                                                     .in_flight_max = (uint16_t) MIN(MAX(receive_max, 1), MQTT_IN_FLIGHT_MAX),
                                                     .packet_max = MIN((size_t) packet_max, mqtt->options.packet_max) };
}

static void on_connect(struct mosquitto *mosquitto, void *ctx, int reason, int flags, const mosquitto_property *properties) {
        struct mqtt *mqtt = ctx;
        (void) mosquitto;
        packet_is_complete(mqtt);
        if (reason != MQTT_REASON_SUCCESS) {
                mqtt->failure.reason = reason;
                mqtt_refused_error(&mqtt->options, reason, &mqtt->failure.err);
                return;
        }
        take_connection(mqtt, flags, properties);
        mqtt->accepted = true; /* told outside: what is published in here would be sent twice */
}

/* reason: of the broker, or a small number of libmosquitto's own. */
static void on_disconnect(struct mosquitto *mosquitto, void *ctx, int reason, const mosquitto_property *properties) {
        struct mqtt *mqtt = ctx;
        (void) mosquitto;
        (void) properties;
        mqtt->ended = true;
        if (reason < MQTT_REASON_FAILURE || gw_error_is_set(&mqtt->failure.err))
                return;
        mqtt->failure.reason = reason;
        mqtt_ended_error(&mqtt->options, reason, &mqtt->failure.err);
}

static void read_properties(const mosquitto_property *properties, struct mqtt_message *message, char **response_topic, void **correlation) {
        uint16_t size = 0;
        if (mosquitto_property_read_string(properties, MQTT_PROP_RESPONSE_TOPIC, response_topic, false) && strlen(*response_topic) <= MQTT_TOPIC_MAX)
                message->response_topic = *response_topic;
        if (mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, correlation, &size, false) && size <= MQTT_CORRELATION_MAX) {
                message->correlation = *correlation;
                message->correlation_size = size;
        }
}

static void on_message(struct mosquitto *mosquitto, void *ctx, const struct mosquitto_message *raw, const mosquitto_property *properties) {
        struct mqtt *mqtt = ctx;
        struct mqtt_message message = {
                .topic = raw->topic, .payload = raw->payload ? raw->payload : "", .size = (size_t) raw->payloadlen, .retained = raw->retain
        };
        _cleanup_free_ char *response_topic = NULL;
        _cleanup_free_ void *correlation = NULL;
        (void) mosquitto;
        if (raw->qos > 0)
                mqtt->sent_ms = loop_now_ms(mqtt->loop); /* its acknowledgement */
        if (mqtt->handler->message && !mqtt->freed && strlen(raw->topic) <= MQTT_TOPIC_MAX) {
                read_properties(properties, &message, &response_topic, &correlation);
                mqtt->handler->message(mqtt->ctx, &message);
        }
        packet_is_complete(mqtt);
}

static void on_publish(struct mosquitto *mosquitto, void *ctx, int mid, int reason, const mosquitto_property *properties) {
        (void) mosquitto;
        (void) properties;
        mqtt_acknowledged(ctx, mid, reason);
        packet_is_complete(ctx);
}

static void on_subscribe(struct mosquitto *mosquitto, void *ctx, int mid, int n_reasons, const int *reasons, const mosquitto_property *properties) {
        (void) mosquitto;
        (void) properties;
        mqtt_acknowledged(ctx, mid, n_reasons > 0 ? reasons[0] : MQTT_REASON_FAILURE);
        packet_is_complete(ctx);
}

static void on_unsubscribe(struct mosquitto *mosquitto, void *ctx, int mid, const mosquitto_property *properties) {
        (void) mosquitto;
        (void) properties;
        mqtt_acknowledged(ctx, mid, MQTT_REASON_SUCCESS);
        packet_is_complete(ctx);
}

/* The only way to hear that the broker did not like our certificate: TLS 1.3 says so behind the handshake. */
static void on_log(struct mosquitto *mosquitto, void *ctx, int level, const char *text) {
        struct mqtt *mqtt = ctx;
        (void) mosquitto;
        if (level == MOSQ_LOG_ERR && mqtt->options.tls && strstr(text, "alert") && !gw_error_is_set(&mqtt->failure.err))
                gw_error_set(&mqtt->failure.err, "client-certificate-refused", "%s refuses the certificate of this client: %s", mqtt->options.host, text);
}

static void set_callbacks(struct mqtt *mqtt) {
        struct mosquitto *mosquitto = mqtt->mosquitto;
        mosquitto_user_data_set(mosquitto, mqtt);
        mosquitto_connect_v5_callback_set(mosquitto, on_connect);
        mosquitto_disconnect_v5_callback_set(mosquitto, on_disconnect);
        mosquitto_message_v5_callback_set(mosquitto, on_message);
        mosquitto_publish_v5_callback_set(mosquitto, on_publish);
        mosquitto_subscribe_v5_callback_set(mosquitto, on_subscribe);
        mosquitto_unsubscribe_v5_callback_set(mosquitto, on_unsubscribe);
        mosquitto_log_callback_set(mosquitto, on_log);
}

/* --- reading and writing --- */

static void begin_connected(struct mqtt *mqtt) {
        mqtt->accepted = false;
        mqtt->state = MQTT_CONNECTED;
        mqtt->connected_ms = mqtt->received_ms = mqtt->sent_ms = loop_now_ms(mqtt->loop);
        mqtt->asked_ms = 0;
        arm_keepalive(mqtt);
        if (mqtt->handler->connected)
                mqtt->handler->connected(mqtt->ctx, &mqtt->connection);
}

static void note_received(struct mqtt *mqtt) {
        mqtt->received_ms = loop_now_ms(mqtt->loop);
        if (mqtt->asked_ms) {
                mqtt->asked_ms = 0;
                mqtt->bytes_at_packet += PING_BYTES; /* no callback tells of the answer */
                arm_keepalive(mqtt);
        }
}

/* A peer that ended in mid-handshake: libmosquitto goes on asking OpenSSL for ever. */
static bool is_peer_gone(const struct mqtt *mqtt) {
        char byte;
        return mqtt->state == MQTT_HANDSHAKE && recv(mosquitto_socket(mqtt->mosquitto), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static int move(struct mqtt *mqtt, int events) {
        uint64_t before = mqtt->bytes_at_packet;
        /* Always, and first: TLS may hold what the socket no longer does, and a peer that has ended may have said why. */
        int code = mosquitto_loop_read(mqtt->mosquitto, 1);
        if (code == MOSQ_ERR_SUCCESS && !mqtt->ended && (events & UV_WRITABLE)) {
                mqtt->sent_ms = loop_now_ms(mqtt->loop);
                code = mosquitto_loop_write(mqtt->mosquitto, 1);
        }
        if (code != MOSQ_ERR_SUCCESS || mqtt->ended)
                return code;
        if (mqtt->state == MQTT_CONNECTED && (events & UV_READABLE))
                note_received(mqtt);
        if (is_peer_gone(mqtt))
                return MOSQ_ERR_CONN_LOST;
        if (mqtt->bytes_at_packet == before && is_packet_too_large(mqtt)) {
                gw_error_set(&mqtt->failure.err, "broker-protocol-error", "%s sends a packet above %zu bytes, which it was told not to",
                             mqtt->options.host, mqtt->options.packet_max);
                return MOSQ_ERR_PROTOCOL;
        }
        return MOSQ_ERR_SUCCESS;
}

static void something_came(uv_poll_t *poll, int status, int events) {
        struct mqtt *mqtt = container_of(poll, struct mqtt_socket, poll)->mqtt;
        int code;
        mqtt_enter(mqtt);
        code = move(mqtt, events);
        if (code == MOSQ_ERR_SUCCESS && status < 0)
                code = MOSQ_ERR_CONN_LOST; /* a reset; libuv polls no more */
        if (!mqtt->freed) {
                if (code != MOSQ_ERR_SUCCESS || mqtt->ended)
                        lost(mqtt, code);
                else if (mqtt->accepted)
                        begin_connected(mqtt);
        }
        if (mqtt_leave(mqtt))
                choose_events(mqtt);
}

static void send_failed(void *ctx) {
        struct mqtt *mqtt = ctx;
        mqtt_enter(mqtt);
        lost(mqtt, MOSQ_ERR_CONN_LOST);
        (void) mqtt_leave(mqtt);
}

void mqtt_sent(struct mqtt *mqtt, int code) {
        mqtt->sent_ms = loop_now_ms(mqtt->loop);
        if (code != MOSQ_ERR_SUCCESS || mqtt->ended)
                loop_deferral_schedule(&mqtt->broken);
        else
                choose_events(mqtt);
}

/* --- attempts --- */

static void begin_handshake(struct mqtt *mqtt) {
        mqtt->ended = mqtt->accepted = false;
        mqtt->bytes_at_packet = 0;
        set_callbacks(mqtt);
        mqtt->state = MQTT_HANDSHAKE;
        if (socket_open(mqtt) < 0) {
                gw_error_set(&mqtt->failure.err, "out-of-memory", "no memory to talk to %s", mqtt->options.host);
                fail(mqtt);
        }
}

static void attempt_ended(struct mqtt *mqtt) {
        struct attempt_result result = attempt_take(TAKE_PTR(mqtt->attempt), &mqtt->mosquitto);
        mqtt_enter(mqtt);
        if (result.code == MOSQ_ERR_SUCCESS) {
                begin_handshake(mqtt); /* the deadline goes on */
        } else {
                if (result.code == MOSQ_ERR_TLS || result.number == EPROTO)
                        explain_tls(mqtt);
                if (!gw_error_is_set(&mqtt->failure.err))
                        mqtt_connect_error(&mqtt->options, result, &mqtt->failure.err);
                fail(mqtt);
        }
        (void) mqtt_leave(mqtt);
}

/* false: not yet, or failed and told. */
static bool get_tls(struct mqtt *mqtt, void **ret_ssl_ctx) {
        const struct mqtt_tls *tls = mqtt->options.tls;
        bool wait = false;
        *ret_ssl_ctx = NULL;
        if (!tls)
                return true;
        *ret_ssl_ctx = tls->ssl_ctx(tls->ctx, &wait, &mqtt->failure.err);
        if (*ret_ssl_ctx)
                return true;
        if (wait)
                return false; /* the owner calls mqtt_retry() */
        if (!gw_error_is_set(&mqtt->failure.err))
                gw_error_set(&mqtt->failure.err, "tls-handshake-failed", "TLS for %s could not be prepared", mqtt->options.host);
        fail(mqtt);
        return false;
}

static void attempt_now(void *ctx) {
        struct mqtt *mqtt = ctx;
        void *ssl_ctx;
        int r;
        mqtt->timer = NULL;
        mqtt->failure = (struct mqtt_failure){ 0 };
        mqtt_enter(mqtt);
        if (get_tls(mqtt, &ssl_ctx)) {
                r = attempt_start(mqtt, ssl_ctx, attempt_ended, &mqtt->attempt);
                if (r >= 0) {
                        mqtt->state = MQTT_CONNECTING;
                        arm(mqtt, mqtt->options.connect_timeout_ms, no_answer_in_time);
                } else {
                        gw_error_set(&mqtt->failure.err, r == -ENOMEM ? "out-of-memory" : "internal-error", "no attempt to connect to %s could be made: %s",
                                     mqtt->options.host, strerror(-r));
                        fail(mqtt);
                }
        }
        (void) mqtt_leave(mqtt);
}

void mqtt_retry(struct mqtt *mqtt) {
        if (mqtt->state == MQTT_WAITING && !mqtt->freed)
                arm(mqtt, 0, attempt_now);
}

bool mqtt_is_connected(const struct mqtt *mqtt) {
        return mqtt->state == MQTT_CONNECTED && !mqtt->freed && mqtt->away_ms < 0;
}

/* --- life --- */

static void free_options(struct mqtt_options *options) {
        free((char *) options->host);
        free((char *) options->client_id);
        free((char *) options->user);
        free((char *) options->password);
        free((char *) options->will.topic);
        free((void *) options->will.payload);
}

static int copy_text(const char *from, const char **ret_to) {
        *ret_to = from ? strdup(from) : NULL;
        return from && !*ret_to ? -ENOMEM : 0;
}

static int copy_will(const struct mqtt_will *from, struct mqtt_will *to) {
        void *payload = malloc(from->size ? from->size : 1);
        *to = (struct mqtt_will){ .payload = payload, .size = from->size };
        if (!payload)
                return -ENOMEM;
        memcpy(payload, from->payload, from->size);
        return copy_text(from->topic, &to->topic);
}

static int copy_options(const struct mqtt_options *from, struct mqtt_options *to) {
        int r = 0;
        *to = *from;
        to->will = (struct mqtt_will){ 0 };
        r |= copy_text(from->host, &to->host);
        r |= copy_text(from->client_id, &to->client_id);
        r |= copy_text(from->user, &to->user);
        r |= copy_text(from->password, &to->password);
        if (from->will.topic)
                r |= copy_will(&from->will, &to->will);
        to->keepalive_s = from->keepalive_s ? from->keepalive_s : MQTT_KEEPALIVE_DEFAULT_S;
        to->packet_max = from->packet_max ? from->packet_max : MQTT_PACKET_MAX;
        to->connect_timeout_ms = from->connect_timeout_ms ? from->connect_timeout_ms : MQTT_CONNECT_TIMEOUT_MS;
        to->backoff_first_ms = from->backoff_first_ms ? from->backoff_first_ms : MQTT_BACKOFF_FIRST_MS;
        to->backoff_max_ms = from->backoff_max_ms ? from->backoff_max_ms : MQTT_BACKOFF_MAX_MS;
        to->taken_over_backoff_ms = from->taken_over_backoff_ms ? from->taken_over_backoff_ms : MQTT_TAKEN_OVER_BACKOFF_MS;
        return r < 0 ? -ENOMEM : 0;
}

int mqtt_new(struct loop *loop, const struct mqtt_options *options, const struct mqtt_handler *handler, void *ctx, struct mqtt **ret_mqtt) {
        struct mqtt *mqtt;
        int r;
        if (!options->host || !options->host[0] || strlen(options->host) >= MQTT_HOST_SIZE || options->port == 0)
                return -EINVAL;
        mqtt = calloc(1, sizeof *mqtt);
        if (!mqtt)
                return -ENOMEM;
        mqtt->loop = loop;
        mqtt->handler = handler;
        mqtt->ctx = ctx;
        mqtt->away_ms = -1;
        loop_deferral_init(&mqtt->broken, loop, send_failed, mqtt);
        (void) mosquitto_lib_init(); /* counts; never undone, as an abandoned thread may outlive us */
        r = copy_options(options, &mqtt->options);
        if (r >= 0)
                r = timer_start(loop, 0, attempt_now, mqtt, &mqtt->timer);
        if (r < 0) {
                free_options(&mqtt->options);
                free(mqtt);
                return r;
        }
        *ret_mqtt = mqtt;
        return 0;
}

static void say_goodbye(struct mqtt *mqtt) {
        int reason = mqtt->with_will ? MQTT_RC_DISCONNECT_WITH_WILL_MSG : MQTT_RC_NORMAL_DISCONNECTION;
        if (mqtt->state == MQTT_CONNECTED && !mqtt->ended)
                (void) mosquitto_disconnect_v5(mqtt->mosquitto, reason, NULL);
}

static void stay_away(struct mqtt *mqtt) {
        int64_t delay_ms = mqtt->away_ms;
        mqtt->away_ms = -1;
        say_goodbye(mqtt);
        drop_connection(mqtt);
        mqtt->state = MQTT_WAITING;
        arm(mqtt, delay_ms, attempt_now);
        mqtt_drop_in_flight(mqtt);
}

void mqtt_stay_away(struct mqtt *mqtt, int64_t delay_ms) {
        mqtt_enter(mqtt);
        mqtt->away_ms = MAX(delay_ms, 0);
        (void) mqtt_leave(mqtt);
}

static void really_free(struct mqtt *mqtt) {
        say_goodbye(mqtt);
        drop_connection(mqtt);
        free_options(&mqtt->options);
        free(mqtt);
}

void mqtt_enter(struct mqtt *mqtt) {
        mqtt->depth++;
}

bool mqtt_leave(struct mqtt *mqtt) {
        if (mqtt->depth == 1 && mqtt->away_ms >= 0 && !mqtt->freed)
                stay_away(mqtt);
        if (--mqtt->depth > 0 || !mqtt->freed)
                return true;
        really_free(mqtt);
        return false;
}

void mqtt_free(struct mqtt *mqtt, bool with_will) {
        if (!mqtt)
                return;
        mqtt->with_will = with_will;
        mqtt->freed = true;
        if (mqtt->depth == 0)
                really_free(mqtt);
}
