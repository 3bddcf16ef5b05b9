/* SPDX-License-Identifier: Apache-2.0 */
#include "client_internal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/time.h"
#include "document/command.h"

/* --- what comes in --- */

static void keep_gateway(struct client *client, const char *gateway) {
        if (!gateway || str_equal(gateway, client->gateway))
                return;
        free(client->gateway);
        client->gateway = strdup(gateway);
}

/* The daemon's advice counts: it knows the names of its plugins. */
static void take_refusal(const struct command_reply *reply, struct failure *failure) {
        failure_from(failure, &reply->error);
        if (reply->error_advice)
                str_copy(failure->advice, sizeof failure->advice, reply->error_advice);
        if (reply->errors) {
                json_free(failure->mistakes);
                failure->mistakes = NULL;
                json_copy(reply->errors, &failure->mistakes);
        }
}

/* The answer that this reply belongs to. A gateway whose status nobody saw may answer, too, where several are meant. */
static struct answer *answer_for(struct client *client, const struct command_reply *reply) {
        const char *gateway = reply->gateway ? reply->gateway : "";

        /* A refusal without an id is what a daemon says to a connection that it does not want. */
        if (!client->answers || ((reply->id < client->first_id || reply->id > client->last_id) && !(reply->id == -1 && !reply->result)))
                return NULL;
        if (client->audience.kind == AUDIENCE_LOCAL)
                return &client->answers->items[0];
        if (!str_is_gateway_id(gateway))
                return NULL;
        if (answers_find(client->answers, gateway) || !audience_is_many(&client->audience))
                return answers_find(client->answers, gateway);
        return client->answers->n_items < GATEWAYS_MAX ? answers_add(client->answers, gateway) : NULL;
}

static void take_reply(struct client *client, const struct command_reply *reply) {
        struct answer *answer = answer_for(client, reply);

        /* A request that was sent again may be answered again. */
        if (!answer || answer->state == ANSWER_RESULT || answer->state == ANSWER_ERROR)
                return;
        failure_deinit(&answer->failure);
        if (reply->gateway && client->audience.kind == AUDIENCE_LOCAL)
                str_copy(answer->gateway, sizeof answer->gateway, reply->gateway);
        if (reply->result) {
                /* The tree lends it; a reference keeps it alive beyond the tree. */
                answer->result = json_ref((struct json *) reply->result);
                answer->state = ANSWER_RESULT;
        } else {
                take_refusal(reply, &answer->failure);
                answer->state = ANSWER_ERROR;
        }
}

static void on_message(void *ctx, const char *text, size_t size) {
        _cleanup_command_reply_ struct command_reply reply = { 0 };
        struct client *client = ctx;

        if (command_reply_read(text, size, &reply, NULL) < 0) {
                /* Through a broker anybody can say anything; it is the answer that counts. */
                client->garbage = !client_is_remote(client);
                return;
        }
        keep_gateway(client, reply.gateway);
        if (!reply.method)
                take_reply(client, &reply);
        else if (client->notified)
                client->notified(client->notified_ctx, reply.method, reply.params);
}

/* Text of a document about this gateway, with its id in it. NULL: it is none. */
static struct json *read_news(const struct transport_document *document) {
        struct json *json = NULL;

        if (document->size == 0 || json_parse(document->text, document->size, 0, &json, NULL) < 0)
                return NULL;
        if (json_kind(json) == JSON_KIND_OBJECT && json_set_string(json, "gateway", document->of.name) == 0)
                return json;
        json_free(json);
        return NULL;
}

static void tell_event(struct client *client, const struct transport_document *document) {
        _cleanup_json_ struct json *event = read_news(document);

        if (event)
                client->notified(client->notified_ctx, "event", event);
}

/* The progress of its running jobs stands in a gateway's status. */
static void tell_progress(struct client *client, const struct transport_document *document) {
        _cleanup_json_ struct json *status = read_news(document);

        JSON_FOREACH_ITEM(i, job, json_child(status, "running"))
        if (json_kind(job) == JSON_KIND_OBJECT && json_set_string(job, "gateway", document->of.name) == 0)
                client->notified(client->notified_ctx, "progress", job);
}

static bool is_meant(const struct client *client, const char *id) {
        const struct gateway *gateway = gateways_find(&client->gateways, id);

        return audience_has(&client->audience, id, gateway ? &gateway->groups : &STR_LIST_INIT);
}

static bool is_online(const struct client *client, const char *id) {
        const struct gateway *gateway = gateways_find(&client->gateways, id);

        return gateway && gateway->online;
}

static void tell_gateway(struct client *client, const char *id, bool online) {
        _cleanup_json_ struct json *params = json_new_object();

        if (params && json_set_string(params, "gateway", id) == 0 && json_set_string(params, "state", online ? "online" : "offline") == 0)
                client->notified(client->notified_ctx, "gateway", params);
}

static void take_status(struct client *client, const struct transport_document *document) {
        bool was_online = is_online(client, document->of.name), online;

        gateways_take(&client->gateways, document->of.name, document->text, document->size);
        if (!client->notified || !is_meant(client, document->of.name))
                return;
        online = is_online(client, document->of.name);
        if (online != was_online)
                tell_gateway(client, document->of.name, online);
        tell_progress(client, document);
}

static void on_document(void *ctx, const struct transport_document *document) {
        struct client *client = ctx;

        switch (document->kind) {
        case TRANSPORT_STATUS:
                take_status(client, document);
                return;
        case TRANSPORT_EVENT:
                if (client->notified && is_meant(client, document->of.name))
                        tell_event(client, document);
                return;
        case TRANSPORT_CAMPAIGN:
        case TRANSPORT_DEVICE:
        case TRANSPORT_DESIRED:
                if (client->seen)
                        client->seen(client->seen_ctx, document);
                return;
        }
}

static void on_opened(void *ctx) {
        ((struct client *) ctx)->opening = false;
}

static void on_closed(void *ctx, const struct gw_error *err) {
        struct client *client = ctx;

        client->opening = false;
        client->closed = *err;
}

static void on_confirmed(void *ctx, const struct gw_error *err) {
        struct client *client = ctx;

        client->confirmed = true;
        if (err)
                client->refusal = *err;
}

static void on_refused(void *ctx, const struct gw_error *err) {
        ((struct client *) ctx)->refusal = *err;
}

static const struct transport_handler handler = {
        .opened = on_opened,
        .closed = on_closed,
        .message = on_message,
        .refused = on_refused,
        .document = on_document,
        .settled = on_confirmed,
        .published = on_confirmed,
};

static void on_timer(void *ctx) {
        struct client *client = ctx;

        client->timer = NULL;
        client->timed_out = true;
}

static void on_signal(void *ctx, int signum) {
        struct client *client = ctx;

        (void) signum;
        client->interrupted = true;
}

/* --- waiting --- */

static int start_timer(struct client *client, int64_t delay_ms) {
        timer_cancel(client->timer);
        client->timer = NULL;
        client->timed_out = false;
        return delay_ms < 0 ? 0 : timer_start(client->loop, delay_ms, on_timer, client, &client->timer);
}

static void stop_timer(struct client *client) {
        timer_cancel(client->timer);
        client->timer = NULL;
}

int client_turn(struct client *client, int64_t max_ms) {
        int r = start_timer(client, max_ms);

        if (r == 0)
                loop_run_once(client->loop);
        stop_timer(client);
        return r;
}

int client_wait(struct client *client, int64_t max_ms) {
        int r = client->interrupted ? -EINTR : !client_is_connected(client) ? -EPIPE : client_turn(client, max_ms);

        if (r < 0)
                return r;
        return client->interrupted ? -EINTR : !client_is_connected(client) ? -EPIPE : 0;
}

void client_pause(struct client *client, int64_t duration_ms) {
        if (start_timer(client, duration_ms) < 0)
                return;
        while (!client->timed_out && !client->interrupted)
                loop_run_once(client->loop);
        stop_timer(client);
}

int client_interrupted(struct failure *failure, const char *what) {
        return failure_set(failure, EXIT_CODE_UNFINISHED, "interrupted", "interrupted while waiting for %s", what);
}

int client_broken(const struct client *client, struct failure *failure) {
        if (!client->garbage) {
                failure_from(failure, &client->closed);
                /* Whatever the name, nobody was reached. */
                if (failure->exit_code == EXIT_CODE_REFUSED)
                        failure->exit_code = EXIT_CODE_NO_DAEMON;
                return -EBADMSG;
        }
        return failure_set(failure, EXIT_CODE_INTERNAL, "reply-invalid", "what answers on %s does not speak the language of gatewayd",
                           client->transport->label);
}

/* --- the connection --- */

static int open_transport(struct client *client, struct failure *failure) {
        struct gw_error err = { 0 };
        int r;

        client->transport->ops->close(client->transport);
        client->garbage = false;
        client->closed = (struct gw_error){ 0 };
        r = client->transport->ops->open(client->transport, &err);
        if (r < 0)
                client->closed = err;
        if (r < 0)
                return gw_error_is_set(&err) ? failure_from(failure, &err) : failure_errno(failure, r);
        client->opening = true;
        while (client->opening && !client->interrupted && r == 0)
                r = client_turn(client, -1);
        if (r < 0)
                return failure_errno(failure, r);
        if (client->interrupted)
                return client_interrupted(failure, "the connection");
        return !client_is_connected(client) ? client_broken(client, failure) : 0;
}

int client_reconnect(struct client *client, struct failure *failure) {
        const struct transport_interest status = { .kinds = TRANSPORT_STATUS, .audience = client->audience };
        int r = open_transport(client, failure);

        if (r == 0 && client_is_remote(client))
                r = client_documents(client, &status, failure);
        return r;
}

int client_new(struct loop *loop, const struct client_place *place, struct client **ret_client, struct failure *failure) {
        struct client *client = calloc(1, sizeof *client);
        uint32_t random = 0;
        int r;

        if (!client)
                return failure_errno(failure, -ENOMEM);
        client->loop = loop;
        client->audience = place->audience;
        /* Others may have their replies sent to the same topic; their numbers are different ones. */
        if (client_is_remote(client) && getrandom(&random, sizeof random, 0) == (ssize_t) sizeof random)
                client->last_id = (int64_t) random << 16;
        client->repeat_ms = place->repeat_ms ? place->repeat_ms : CLIENT_REPEAT_MS;
        client->lost_ms = place->lost_ms ? place->lost_ms : CLIENT_LOST_MS;
        r = place->make(place->ctx, loop, &handler, client, &client->transport);
        r = r < 0 ? failure_errno(failure, r) : client_reconnect(client, failure);
        if (r < 0) {
                client_free(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

void client_free(struct client *client) {
        if (!client)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(client->signals); i++)
                loop_signal_remove(client->signals[i]);
        timer_cancel(client->timer);
        if (client->transport)
                client->transport->ops->free(client->transport);
        gateways_deinit(&client->gateways);
        free(client->gateway);
        free(client);
}

bool client_is_connected(const struct client *client) {
        return !gw_error_is_set(&client->closed) && !client->garbage;
}

bool client_is_remote(const struct client *client) {
        return client->audience.kind != AUDIENCE_LOCAL;
}

bool client_is_incomplete(const struct client *client) {
        return client->transport->is_incomplete;
}

const struct audience *client_audience(const struct client *client) {
        return &client->audience;
}

const struct gateways *client_gateways(const struct client *client) {
        return &client->gateways;
}

void client_listen(struct client *client, client_notified notified, void *ctx) {
        client->notified = notified;
        client->notified_ctx = ctx;
}

void client_listen_documents(struct client *client, client_document_seen seen, void *ctx) {
        client->seen = seen;
        client->seen_ctx = ctx;
}

int client_catch_signals(struct client *client) {
        static const int signums[ARRAY_SIZE(client->signals)] = { SIGINT, SIGTERM };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(signums) && r == 0; i++)
                if (!client->signals[i])
                        r = loop_signal(client->loop, signums[i], on_signal, client, &client->signals[i]);
        return r;
}

bool client_is_interrupted(const struct client *client) {
        return client->interrupted;
}

const char *client_gateway(const struct client *client) {
        return client->gateway;
}

/* --- news, documents --- */

/* By the broker. A gateway that is only just going away is among those whose answer is awaited, and is not there to take it. */
int client_refused(const struct client *client, struct failure *failure) {
        failure_from(failure, &client->refusal);
        if (strcmp(client->refusal.name, "gateway-unknown") == 0)
                failure->exit_code = EXIT_CODE_NO_DAEMON;
        return -EBADMSG;
}

/* Until the transport has done what it was asked for. */
static int confirm(struct client *client, int r, const char *what, struct failure *failure) {
        int64_t until_ms = time_now_monotonic_ms() + CLIENT_REMOTE_TIMEOUT_MS;

        if (r < 0)
                return failure_errno(failure, r);
        client->refusal = (struct gw_error){ 0 };
        client->confirmed = false;
        while (!client->confirmed && !client->interrupted && client_is_connected(client) && time_now_monotonic_ms() < until_ms && r == 0)
                r = client_turn(client, until_ms - time_now_monotonic_ms());
        if (r < 0)
                return failure_errno(failure, r);
        if (gw_error_is_set(&client->refusal))
                return client_refused(client, failure);
        if (client->confirmed)
                return 0;
        if (client->interrupted)
                return client_interrupted(failure, what);
        if (!client_is_connected(client))
                return client_broken(client, failure);
        return failure_set(failure, EXIT_CODE_UNFINISHED, "reply-timeout", "%s does not answer: %s", client->transport->label, what);
}

int client_documents(struct client *client, const struct transport_interest *interest, struct failure *failure) {
        return confirm(client, client->transport->ops->documents(client->transport, interest), "what gateways keep at the broker", failure);
}

int client_publish(struct client *client, const struct audience *audience, const char *campaign, const char *text, size_t size,
                   struct failure *failure) {
        if (size > client->transport->text_max)
                return failure_set(failure, EXIT_CODE_REFUSED, "document-too-large", "%s is larger than the %zu bytes that can be sent",
                                   campaign, client->transport->text_max);
        return confirm(client, client->transport->ops->publish(client->transport, audience, campaign, text, size), "the publication",
                       failure);
}

int client_subscribe(struct client *client, struct json *params, int64_t timeout_ms, struct failure *failure) {
        const struct client_request request = { .method = "events.subscribe", .params = params, .timeout_ms = timeout_ms };
        _cleanup_json_ struct json *result = NULL;
        const struct transport_interest interest = { .kinds = TRANSPORT_STATUS | TRANSPORT_EVENT, .audience = client->audience };

        if (!client_is_remote(client))
                return client_call(client, &request, &result, failure);
        json_free(params);
        return client_documents(client, &interest, failure);
}
