/* SPDX-License-Identifier: Apache-2.0 */
#include "transport_broker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/limits.h"
#include "base/str.h"
#include "loop/mqtt.h"
#include "loop/timer.h"
#include "topics.h"
#include "trust/tls.h"

/*
 * Opening is: connect, subscribe to the topic of our replies. Asking for documents is: subscribe, then send a message to ourselves. A
 * broker hands over in order, so when that message comes everything retained has come. Where it does not come, a pause without any
 * message has to do: either somebody's access list forbids to write to our own topic, or the broker dropped it, as it drops what is more
 * than it queues for one client (mosquitto: max_queued_messages, 1000); then documents were dropped before it.
 */

#define MARK "gatewayctl-mark"
#define QUIET_MS 2000
#define CLIENT_NAME_SIZE 80

struct transport_broker {
        struct transport transport;
        struct loop *loop;
        struct broker_options options;
        char host[MQTT_HOST_SIZE];
        char client[CLIENT_NAME_SIZE];
        char reply_topic[TOPIC_SIZE];
        struct tls *tls;
        struct tls_context *tls_context; /* of the attempt, then of the connection */
        struct mqtt_tls mqtt_tls;
        struct mqtt *mqtt; /* NULL: closed */
        bool is_open;
        size_t n_subscribing; /* filters whose subscription nobody has confirmed yet */
        bool settling;
        struct gw_error refusal; /* of a subscription; name "": none */
        struct timer *quiet;     /* restarted by every message */
        bool mark_refused;
};

static struct transport_broker *broker_of(struct transport *transport) {
        return (struct transport_broker *) transport;
}

/* --- TLS --- */

static void *make_ssl_ctx(void *ctx, bool *ret_wait, struct gw_error *err) {
        struct transport_broker *broker = ctx;
        const struct tls_options options = {
                .use = "mqtt",
                .ca_file = broker->options.ca_file,
                .client_certificate = broker->options.certificate,
                .client_key = broker->options.key,
                .host = broker->options.host,
                .port = broker->options.port,
        };

        *ret_wait = false;
        tls_context_free(broker->tls_context);
        broker->tls_context = NULL;
        /* Reads files on the loop's thread, which nobody else needs in a command. */
        if (tls_context_new(broker->tls, &options, &broker->tls_context, err) < 0)
                return NULL;
        return tls_context_ssl_ctx(broker->tls_context);
}

static void explain_tls(void *ctx, struct gw_error *err) {
        struct transport_broker *broker = ctx;
        struct gw_error why;

        if (broker->tls_context && tls_context_failure(broker->tls_context, &why))
                *err = why;
}

/* --- documents --- */

static void settled(struct transport_broker *broker, const struct gw_error *err) {
        if (!broker->settling)
                return;
        broker->settling = false;
        timer_cancel(broker->quiet);
        broker->quiet = NULL;
        broker->transport.handler->settled(broker->transport.ctx, err);
}

static void on_quiet(void *ctx) {
        struct transport_broker *broker = ctx;

        broker->quiet = NULL;
        broker->transport.is_incomplete = !broker->mark_refused;
        settled(broker, NULL);
}

static void wait_quiet(struct transport_broker *broker) {
        timer_cancel(broker->quiet);
        broker->quiet = NULL;
        if (timer_start(broker->loop, QUIET_MS, on_quiet, broker, &broker->quiet) < 0)
                settled(broker, NULL);
}

static void on_mark_sent(void *ctx, int reason) {
        struct transport_broker *broker = ctx;

        broker->mark_refused = reason >= MQTT_REASON_FAILURE;
}

static void send_mark(struct transport_broker *broker) {
        const struct mqtt_publication publication = { .topic = broker->reply_topic, .payload = MARK, .size = strlen(MARK), .expiry_s = 60 };

        broker->mark_refused = mqtt_publish(broker->mqtt, &publication, on_mark_sent, broker) < 0;
        wait_quiet(broker);
}

static void on_subscribed(void *ctx, int reason) {
        struct transport_broker *broker = ctx;

        if (reason >= MQTT_REASON_FAILURE && !gw_error_is_set(&broker->refusal))
                mqtt_reason_error(reason, "subscribe to", "what gateways keep at the broker", &broker->refusal);
        if (--broker->n_subscribing > 0 || reason < 0)
                return;
        if (gw_error_is_set(&broker->refusal))
                settled(broker, &broker->refusal);
        else
                send_mark(broker);
}

static int broker_documents(struct transport *transport, const struct transport_interest *interest) {
        struct transport_broker *broker = broker_of(transport);
        char filter[TOPIC_SIZE];

        if (!broker->is_open)
                return -EPIPE;
        broker->refusal = (struct gw_error){ 0 };
        broker->settling = true;
        for (unsigned kind = TRANSPORT_STATUS; kind <= TRANSPORT_DESIRED; kind <<= 1) {
                int r = interest->kinds & kind ? topic_filter(broker->options.root, kind, interest, filter) : -ENOENT;
                if (r == -ENOENT)
                        continue;
                if (r == 0)
                        r = mqtt_subscribe(broker->mqtt, filter, on_subscribed, broker);
                if (r < 0)
                        return r;
                broker->n_subscribing++;
        }
        return 0;
}

static void take_document(struct transport_broker *broker, const struct mqtt_message *message) {
        struct transport_document document;
        char parts[TOPIC_SIZE];

        if (topic_read(broker->options.root, message->topic, parts, &document) < 0)
                return;
        document.text = message->payload;
        document.size = message->size;
        broker->transport.handler->document(broker->transport.ctx, &document);
}

static void on_message(void *ctx, const struct mqtt_message *message) {
        struct transport_broker *broker = ctx;

        if (broker->quiet)
                wait_quiet(broker);
        if (strcmp(message->topic, broker->reply_topic) != 0)
                take_document(broker, message);
        else if (message->size == strlen(MARK) && memcmp(message->payload, MARK, message->size) == 0)
                settled(broker, NULL);
        else if (!message->retained)
                broker->transport.handler->message(broker->transport.ctx, message->payload, message->size);
}

/* --- the connection --- */

static void broker_close(struct transport *transport) {
        struct transport_broker *broker = broker_of(transport);

        mqtt_free(broker->mqtt, false);
        broker->mqtt = NULL;
        broker->is_open = false;
        broker->settling = false;
        broker->n_subscribing = 0;
        timer_cancel(broker->quiet);
        broker->quiet = NULL;
}

static void ended(struct transport_broker *broker, const struct gw_error *err) {
        broker_close(&broker->transport);
        broker->transport.handler->closed(broker->transport.ctx, err);
}

static void on_reply_topic(void *ctx, int reason) {
        struct transport_broker *broker = ctx;
        struct gw_error err = { 0 };

        if (reason < 0)
                return; /* `disconnected` says more */
        if (reason < MQTT_REASON_FAILURE) {
                broker->is_open = true;
                broker->transport.handler->opened(broker->transport.ctx);
                return;
        }
        mqtt_reason_error(reason, "subscribe to", broker->reply_topic, &err);
        ended(broker, &err);
}

static void on_connected(void *ctx, const struct mqtt_connection *connection) {
        struct transport_broker *broker = ctx;
        struct gw_error err = { 0 };

        broker->transport.text_max = MIN(connection->packet_max, (size_t) JSON_SIZE_MAX);
        if (mqtt_subscribe_with_own(broker->mqtt, broker->reply_topic, on_reply_topic, broker) == 0)
                return;
        gw_error_set(&err, "out-of-memory", "no memory left");
        ended(broker, &err);
}

/* A command that cannot go on says so; connecting anew is what its owner decides. */
static void on_disconnected(void *ctx, const struct mqtt_failure *failure) {
        struct gw_error err = failure->err;

        ended(ctx, &err);
}

static int broker_open(struct transport *transport, struct gw_error *err) {
        static const struct mqtt_handler handler = { .connected = on_connected, .disconnected = on_disconnected, .message = on_message };
        struct transport_broker *broker = broker_of(transport);
        const struct mqtt_options options = {
                .host = broker->options.host,
                .port = broker->options.port,
                .user = broker->options.user,
                .password = broker->options.password,
                .tls = broker->options.tls ? &broker->mqtt_tls : NULL,
                .connect_timeout_ms = TRANSPORT_BROKER_CONNECT_MS,
        };

        (void) err;
        return mqtt_new(broker->loop, &options, &handler, broker, &broker->mqtt);
}

static bool broker_is_open(const struct transport *transport) {
        return ((const struct transport_broker *) transport)->is_open;
}

static void broker_free(struct transport *transport) {
        struct transport_broker *broker = broker_of(transport);

        broker_close(transport);
        tls_context_free(broker->tls_context);
        tls_free(broker->tls);
        free(broker);
}

/* --- requests, publications --- */

static void on_sent(void *ctx, int reason) {
        struct transport_broker *broker = ctx;
        struct gw_error err = { 0 };

        if (reason < 0)
                return; /* `disconnected` says more */
        if (reason == MQTT_REASON_NO_SUBSCRIBERS)
                gw_error_set(&err, "gateway-unknown", "no gateway listens to this command at %s", broker->transport.label);
        else if (reason >= MQTT_REASON_FAILURE)
                mqtt_reason_error(reason, "publish to", "the topic of commands", &err);
        if (gw_error_is_set(&err))
                broker->transport.handler->refused(broker->transport.ctx, &err);
}

static int broker_send(struct transport *transport, const struct transport_request *request) {
        struct transport_broker *broker = broker_of(transport);
        char topic[TOPIC_SIZE], correlation[32];
        const struct mqtt_publication publication = {
                .topic = topic,
                .payload = request->text,
                .size = request->size,
                .response_topic = broker->reply_topic,
                .correlation = correlation,
                .correlation_size = (size_t) snprintf(correlation, sizeof correlation, "%" PRId64, request->id),
                .expiry_s = request->expires_ms > 0 ? (uint32_t) MIN((request->expires_ms + 999) / 1000, (int64_t) 86400) : 0,
        };
        int r;

        if (!broker->is_open)
                return -EPIPE;
        if (request->fd >= 0)
                return -EOPNOTSUPP;
        if (topic_command(broker->options.root, request->audience, topic) < 0)
                return -E2BIG;
        r = mqtt_publish(broker->mqtt, &publication, on_sent, broker);
        /* As much as may be is on its way already: this one counts as lost, and lost ones are sent again. */
        return r == -EAGAIN ? 0 : r == -ENOTCONN ? -EPIPE : r == -EMSGSIZE ? -E2BIG : r;
}

static void on_published(void *ctx, int reason) {
        struct transport_broker *broker = ctx;
        struct gw_error err = { 0 };

        if (reason < 0)
                return;
        if (reason >= MQTT_REASON_FAILURE)
                mqtt_reason_error(reason, "publish to", "the topic of desired campaigns", &err);
        broker->transport.handler->published(broker->transport.ctx, gw_error_is_set(&err) ? &err : NULL);
}

static int broker_publish(struct transport *transport, const struct audience *audience, const char *campaign, const char *text,
                          size_t size) {
        struct transport_broker *broker = broker_of(transport);
        char topic[TOPIC_SIZE];
        const struct mqtt_publication publication = { .topic = topic, .payload = text, .size = size, .retain = true };
        int r = broker->is_open ? topic_desired(broker->options.root, audience, campaign, topic) : -EPIPE;

        return r < 0 ? r : mqtt_publish(broker->mqtt, &publication, on_published, broker);
}

/* --- making one --- */

static const struct transport_ops broker_ops = {
        .open = broker_open,
        .is_open = broker_is_open,
        .close = broker_close,
        .free = broker_free,
        .send = broker_send,
        .documents = broker_documents,
        .publish = broker_publish,
};

static int choose_client(struct transport_broker *broker) {
        const char *name = broker->options.client ? broker->options.client : broker->options.user;
        uint64_t random;

        if (name)
                return str_copy(broker->client, sizeof broker->client, name);
        if (getrandom(&random, sizeof random, 0) != (ssize_t) sizeof random)
                return -EIO;
        return str_format(broker->client, sizeof broker->client, "gatewayctl-%016" PRIx64, random);
}

static int prepare(struct transport_broker *broker) {
        const struct broker_options *options = &broker->options;
        bool is_address = strchr(options->host, ':');
        int r = choose_client(broker);

        if (r == 0)
                r = topic_reply(options->root, broker->client, broker->reply_topic);
        str_format(broker->transport.label, sizeof broker->transport.label, "%s://%s%s%s:%u", options->tls ? "mqtts" : "mqtt",
                   is_address ? "[" : "", options->host, is_address ? "]" : "", options->port);
        if (r == 0 && options->tls)
                r = tls_new(broker->loop, &broker->tls);
        broker->mqtt_tls = (struct mqtt_tls){ .ssl_ctx = make_ssl_ctx, .explain = explain_tls, .ctx = broker };
        return r;
}

int transport_broker_new(struct loop *loop, const struct broker_options *options, const struct transport_handler *handler, void *ctx,
                         struct transport **ret_transport) {
        struct transport_broker *broker = calloc(1, sizeof *broker);
        int r;

        if (!broker)
                return -ENOMEM;
        broker->transport = (struct transport){ .ops = &broker_ops, .handler = handler, .ctx = ctx, .text_max = JSON_SIZE_MAX };
        broker->loop = loop;
        broker->options = *options;
        str_copy(broker->host, sizeof broker->host, options->host);
        broker->options.host = broker->host;
        if (!broker->options.root)
                broker->options.root = TRANSPORT_BROKER_ROOT_DEFAULT;
        r = prepare(broker);
        if (r < 0) {
                broker_free(&broker->transport);
                return r;
        }
        *ret_transport = &broker->transport;
        return 0;
}
