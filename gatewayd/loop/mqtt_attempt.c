/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/mqtt_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"

/*
 *     RUNNING --(the thread is through)--> DONE: the loop joins it and takes the object
 *        |
 *        +------(the loop gives it up)---> ABANDONED: the thread frees everything when it is through
 *
 * Whoever changes RUNNING first decides who frees.
 */
enum attempt_state {
        ATTEMPT_RUNNING,
        ATTEMPT_DONE,
        ATTEMPT_ABANDONED,
};

struct attempt {
        _Atomic int state;
        pthread_t thread;
        uv_async_t *wake; /* of the loop; only before ABANDONED */
        struct mqtt *mqtt;
        void (*ended)(struct mqtt *mqtt);
        /* the thread's until DONE */
        struct mosquitto *mosquitto;
        mosquitto_property *properties;
        char host[MQTT_HOST_SIZE];
        int port, keepalive_s;
        struct attempt_result result;
};

static atomic_uint n_abandoned;

unsigned attempts_abandoned(void) {
        return atomic_load(&n_abandoned);
}

static void attempt_free(struct attempt *attempt) {
        mosquitto_destroy(attempt->mosquitto);
        mosquitto_property_free_all(&attempt->properties);
        free(attempt);
}

/* --- the thread --- */

static void *connect_blocking(void *ctx) {
        struct attempt *attempt = ctx;
        int expected = ATTEMPT_RUNNING;
        errno = 0;
        attempt->result.code =
                mosquitto_connect_bind_v5(attempt->mosquitto, attempt->host, attempt->port, attempt->keepalive_s, NULL, attempt->properties);
        attempt->result.number = errno;
        if (atomic_compare_exchange_strong(&attempt->state, &expected, ATTEMPT_DONE)) {
                (void) uv_async_send(attempt->wake); /* is there until the loop has joined this thread */
                return NULL;
        }
        attempt_free(attempt);
        atomic_fetch_sub(&n_abandoned, 1);
        return NULL;
}

/* Signals are the loop's. */
static int start_thread(struct attempt *attempt) {
        sigset_t all, before;
        int r;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&attempt->thread, NULL, connect_blocking, attempt);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return -r;
}

/* --- the object --- */

static int set_properties(struct attempt *attempt, const struct mqtt_options *options) {
        mosquitto_property **list = &attempt->properties;
        int r = mosquitto_property_add_int16(list, MQTT_PROP_RECEIVE_MAXIMUM, MQTT_RECEIVE_MAX);
        if (r == MOSQ_ERR_SUCCESS)
                r = mosquitto_property_add_int32(list, MQTT_PROP_MAXIMUM_PACKET_SIZE, (uint32_t) options->packet_max);
        /* Without it a session that is not clean ends with the connection all the same. */
        if (r == MOSQ_ERR_SUCCESS && options->session_expiry_s > 0)
                r = mosquitto_property_add_int32(list, MQTT_PROP_SESSION_EXPIRY_INTERVAL, options->session_expiry_s);
        return r;
}

static int set_options(struct mosquitto *mosquitto, const struct mqtt_options *options, void *ssl_ctx) {
        const struct mqtt_will *will = &options->will;
        int r = mosquitto_int_option(mosquitto, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
        if (r == MOSQ_ERR_SUCCESS)
                r = mosquitto_int_option(mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
        if (r == MOSQ_ERR_SUCCESS)
                r = mosquitto_int_option(mosquitto, MOSQ_OPT_SEND_MAXIMUM, MQTT_IN_FLIGHT_MAX);
        if (r == MOSQ_ERR_SUCCESS && options->user)
                r = mosquitto_username_pw_set(mosquitto, options->user, options->password);
        if (r == MOSQ_ERR_SUCCESS && will->topic)
                r = mosquitto_will_set_v5(mosquitto, will->topic, (int) will->size, will->payload, 1, true, NULL);
        if (r == MOSQ_ERR_SUCCESS && ssl_ctx) {
                /* The context verifies by itself; libmosquitto's defaults would put its own callback in place of that. */
                r = mosquitto_int_option(mosquitto, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
                if (r == MOSQ_ERR_SUCCESS)
                        r = mosquitto_void_option(mosquitto, MOSQ_OPT_SSL_CTX, ssl_ctx);
        }
        return r;
}

static int make_object(struct attempt *attempt, const struct mqtt_options *options, void *ssl_ctx) {
        int r;
        attempt->mosquitto = mosquitto_new(options->client_id, options->session_expiry_s == 0 || !options->client_id, NULL);
        if (!attempt->mosquitto)
                return errno == EINVAL ? -EINVAL : -ENOMEM;
        r = set_options(attempt->mosquitto, options, ssl_ctx);
        if (r == MOSQ_ERR_SUCCESS)
                r = set_properties(attempt, options);
        if (r == MOSQ_ERR_SUCCESS)
                return 0;
        return r == MOSQ_ERR_NOMEM ? -ENOMEM : -EINVAL;
}

/* --- the loop's side --- */

static void wake_is_closed(uv_handle_t *handle) {
        free(handle);
}

static void thread_ended(uv_async_t *wake) {
        struct attempt *attempt = wake->data;
        attempt->ended(attempt->mqtt);
}

static uv_async_t *wake_new(struct attempt *attempt) {
        uv_async_t *wake = calloc(1, sizeof *wake);
        if (!wake)
                return NULL;
        wake->data = attempt;
        if (uv_async_init(&attempt->mqtt->loop->uv, wake, thread_ended) < 0) {
                free(wake);
                return NULL;
        }
        return wake;
}

int attempt_start(struct mqtt *mqtt, void *ssl_ctx, void (*ended)(struct mqtt *mqtt), struct attempt **ret_attempt) {
        const struct mqtt_options *options = &mqtt->options;
        struct attempt *attempt = calloc(1, sizeof *attempt);
        int r;
        if (!attempt)
                return -ENOMEM;
        attempt->mqtt = mqtt;
        attempt->ended = ended;
        attempt->port = options->port;
        attempt->keepalive_s = options->keepalive_s;
        r = str_copy(attempt->host, sizeof attempt->host, options->host);
        if (r >= 0)
                r = make_object(attempt, options, ssl_ctx);
        if (r >= 0)
                r = (attempt->wake = wake_new(attempt)) ? 0 : -ENOMEM;
        if (r >= 0)
                r = start_thread(attempt);
        if (r < 0) {
                if (attempt->wake)
                        uv_close((uv_handle_t *) attempt->wake, wake_is_closed);
                attempt_free(attempt);
                return r;
        }
        *ret_attempt = attempt;
        return 0;
}

static void close_wake(struct attempt *attempt) {
        uv_close((uv_handle_t *) TAKE_PTR(attempt->wake), wake_is_closed);
}

struct attempt_result attempt_take(struct attempt *attempt, struct mosquitto **ret_mosquitto) {
        struct attempt_result result;
        pthread_join(attempt->thread, NULL);
        close_wake(attempt);
        result = attempt->result;
        *ret_mosquitto = TAKE_PTR(attempt->mosquitto);
        attempt_free(attempt);
        return result;
}

void attempt_abandon(struct attempt *attempt) {
        int expected = ATTEMPT_RUNNING;
        pthread_t thread;
        uv_async_t *wake;
        if (!attempt)
                return;
        thread = attempt->thread;
        wake = attempt->wake;
        atomic_fetch_add(&n_abandoned, 1);
        if (atomic_compare_exchange_strong(&attempt->state, &expected, ATTEMPT_ABANDONED)) {
                pthread_detach(thread); /* the attempt is the thread's from here on */
        } else {
                atomic_fetch_sub(&n_abandoned, 1);
                pthread_join(thread, NULL);
                attempt_free(attempt);
        }
        uv_close((uv_handle_t *) wake, wake_is_closed);
}
