/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "client_internal.h"
#include "document/command.h"

/* --- who is asked --- */

static void answer_none(struct answer *answer, enum exit_code exit_code, const char *name, const char *text) {
        answer->state = ANSWER_NONE;
        failure_set(&answer->failure, exit_code, name, "%s: %s", answer->gateway, text);
}

static void answer_offline(struct answer *answer) {
        answer_none(answer, EXIT_CODE_NO_DAEMON, "gateway-offline", "it has no connection to the broker");
}

/* An answer for everybody who is meant; for those who are away it stands already. */
static int expect(struct client *client, const struct client_request *request, struct answers *answers, struct failure *failure) {
        const struct audience one = { .kind = AUDIENCE_GATEWAY, .name = request->gateway };
        const struct audience *audience = request->gateway ? &one : &client->audience;
        char text[96];

        for (size_t i = 0; i < client->gateways.n_items; i++) {
                const struct gateway *known = &client->gateways.items[i];
                struct answer *answer;
                if (!audience_has(audience, known->id, &known->groups) ||
                    (request->is_meant && !request->is_meant(request->meant_ctx, known->id, &known->groups)))
                        continue;
                answer = answers_add(answers, known->id);
                if (!answer)
                        return failure_errno(failure, -ENOMEM);
                if (!known->online)
                        answer_offline(answer);
        }
        if (answers->n_items > 0)
                return 0;
        if (!audience_is_many(audience))
                return answers_add(answers, audience->name ? audience->name : "") ? 0 : failure_errno(failure, -ENOMEM);
        audience_text(audience, text, sizeof text);
        return failure_set(failure, EXIT_CODE_NO_DAEMON, "gateway-unknown", "%s%s: %s knows no such gateway", text,
                           request->is_meant ? " for which it is" : "", client->transport->label);
}

/* --- a request and its answers --- */

struct exchange {
        struct client *client;
        const struct client_request *request;
        struct answers *answers;
        struct json *params; /* NULL: none */
        int64_t until_ms;    /* monotonic; -1: no limit */
        int64_t repeat_ms;
        struct failure *failure;
};

/* What may take its time is not sent again so soon. */
static int64_t repeat_interval_ms(const struct exchange *exchange) {
        return exchange->until_ms < 0 ? CLIENT_REPEAT_PATIENT_FACTOR * exchange->client->repeat_ms : exchange->client->repeat_ms;
}

static int send_failed(const struct exchange *exchange, size_t size, int error) {
        struct client *client = exchange->client;

        if (size > client->transport->text_max || error == -E2BIG)
                return failure_set(exchange->failure, EXIT_CODE_REFUSED, "document-too-large",
                                   "the request is larger than the %zu bytes that can be sent", client->transport->text_max);
        if (error == -EOPNOTSUPP)
                return failure_set(exchange->failure, EXIT_CODE_USAGE, "usage",
                                   "%s hands over a file, which works only on the gateway itself, over its control socket",
                                   exchange->request->method);
        if (error == -ENOMEM || error == -EBUSY)
                return failure_errno(exchange->failure, error);
        return client_is_remote(client) ? failure_set(exchange->failure, EXIT_CODE_NO_DAEMON, "broker-lost", "the connection to %s broke",
                                                      client->transport->label)
                                        : failure_set(exchange->failure, EXIT_CODE_NO_DAEMON, "daemon-not-running",
                                                      "the connection to the daemon broke: %s", strerror(-error));
}

static int send_to(struct exchange *exchange, const struct audience *audience) {
        struct client *client = exchange->client;
        int64_t left_ms = exchange->until_ms < 0 ? CLIENT_REPLY_TIMEOUT_MS : exchange->until_ms - time_now_monotonic_ms();
        _cleanup_json_ struct json *tree = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = command_request(++client->last_id, exchange->request->method, json_ref(exchange->params), &tree);

        if (r == 0)
                r = json_write(tree, &text, &size);
        if (r < 0)
                return failure_errno(exchange->failure, r);
        r = size > client->transport->text_max
                    ? -E2BIG
                    : client->transport->ops->send(client->transport, &(struct transport_request){
                                                                              .audience = audience,
                                                                              .id = client->last_id,
                                                                              .text = text,
                                                                              .size = size,
                                                                              .expires_ms = MAX(left_ms, (int64_t) 1),
                                                                              .fd = exchange->request->with_fd ? exchange->request->fd : -1,
                                                                      });
        return r < 0 ? send_failed(exchange, size, r) : 0;
}

static int send_first(struct exchange *exchange) {
        const struct audience one = { .kind = AUDIENCE_GATEWAY, .name = exchange->request->gateway };

        return send_to(exchange, exchange->request->gateway ? &one : &exchange->client->audience);
}

/* Again, to each that owes an answer by its own topic: the others need not do it twice. */
static int send_again(struct exchange *exchange) {
        const struct client_request *request = exchange->request;
        struct json *params;
        int r = 0;

        if (request->renew) {
                r = request->renew(request->renew_ctx, &params, exchange->failure);
                if (r < 0)
                        return r;
                json_free(exchange->params);
                exchange->params = params;
        }
        for (size_t i = 0; i < exchange->answers->n_items && r == 0; i++) {
                const struct answer *answer = &exchange->answers->items[i];
                const struct audience one = { .kind = AUDIENCE_GATEWAY, .name = answer->gateway };
                if (answer->state == ANSWER_AWAITED && answer->lost_ms == 0)
                        r = send_to(exchange, &one);
        }
        exchange->repeat_ms = time_now_monotonic_ms() + repeat_interval_ms(exchange);
        return r;
}

/* A gateway that went away while it owes an answer, and has not come back for a while, owes none. */
static void note_lost(struct exchange *exchange) {
        int64_t now_ms = time_now_monotonic_ms();

        for (size_t i = 0; i < exchange->answers->n_items; i++) {
                struct answer *answer = &exchange->answers->items[i];
                const struct gateway *gateway = gateways_find(&exchange->client->gateways, answer->gateway);
                if (answer->state != ANSWER_AWAITED)
                        continue;
                if (!gateway || gateway->online)
                        answer->lost_ms = 0;
                else if (answer->lost_ms == 0)
                        answer->lost_ms = now_ms;
                else if (now_ms - answer->lost_ms >= exchange->client->lost_ms)
                        answer_offline(answer);
        }
}

static void give_up(struct exchange *exchange) {
        bool remote = client_is_remote(exchange->client);
        char text[96];

        for (size_t i = 0; i < exchange->answers->n_items; i++) {
                struct answer *answer = &exchange->answers->items[i];
                if (answer->state != ANSWER_AWAITED)
                        continue;
                str_format(text, sizeof text, "no answer to %s in time", exchange->request->method);
                if (remote && !gateways_find(&exchange->client->gateways, answer->gateway))
                        answer_none(answer, EXIT_CODE_NO_DAEMON, "gateway-unknown",
                                    "no gateway of this id has a status at the broker, and none answers");
                else if (remote)
                        answer_none(answer, EXIT_CODE_UNFINISHED, "reply-timeout", text);
                else
                        failure_set(&answer->failure, EXIT_CODE_UNFINISHED, "reply-timeout", "%s", text);
                answer->state = ANSWER_NONE;
        }
}

/* How long the next turn may take: -1 no limit, 0 the time is over. */
static int64_t turn_ms(const struct exchange *exchange) {
        int64_t now_ms = time_now_monotonic_ms(), left_ms = exchange->until_ms < 0 ? -1 : MAX(exchange->until_ms - now_ms, (int64_t) 0);

        if (!client_is_remote(exchange->client) || left_ms == 0)
                return left_ms;
        return left_ms < 0 ? exchange->client->repeat_ms : MIN(left_ms, exchange->client->repeat_ms);
}

static int await(struct exchange *exchange) {
        struct client *client = exchange->client;
        int r = 0;

        while (answers_count(exchange->answers, ANSWER_AWAITED) > 0 && r == 0) {
                int64_t max_ms = turn_ms(exchange);
                if (client->interrupted)
                        return client_interrupted(exchange->failure, "an answer");
                if (!client_is_connected(client))
                        return client_broken(client, exchange->failure);
                if (gw_error_is_set(&client->refusal))
                        return client_refused(client, exchange->failure);
                if (max_ms == 0)
                        break;
                r = client_turn(client, max_ms);
                if (r < 0)
                        return failure_errno(exchange->failure, r);
                if (!client_is_remote(client))
                        continue;
                note_lost(exchange);
                if (!exchange->request->once && time_now_monotonic_ms() >= exchange->repeat_ms && client_is_connected(client))
                        r = send_again(exchange);
        }
        give_up(exchange);
        return r;
}

static int64_t timeout_of(const struct client *client, const struct client_request *request) {
        if (request->timeout_ms != 0)
                return request->timeout_ms;
        return client_is_remote(client) ? CLIENT_REMOTE_TIMEOUT_MS : CLIENT_REPLY_TIMEOUT_MS;
}

int client_gather(struct client *client, const struct client_request *request, struct answers *ret_answers, struct failure *failure) {
        int64_t timeout_ms = timeout_of(client, request);
        struct exchange exchange = {
                .client = client, .request = request, .answers = ret_answers, .params = request->params, .failure = failure
        };
        int r = expect(client, request, ret_answers, failure);

        exchange.until_ms = timeout_ms < 0 ? -1 : time_now_monotonic_ms() + timeout_ms;
        exchange.repeat_ms = time_now_monotonic_ms() + repeat_interval_ms(&exchange);
        client->answers = ret_answers;
        client->refusal = (struct gw_error){ 0 };
        client->first_id = client->last_id + 1;
        if (r == 0 && !client_is_connected(client))
                r = client_broken(client, failure);
        if (r == 0 && answers_count(ret_answers, ANSWER_AWAITED) > 0) {
                r = send_first(&exchange);
                if (r == 0)
                        r = await(&exchange);
        }
        client->answers = NULL;
        json_free(exchange.params);
        return r;
}

int client_call(struct client *client, const struct client_request *request, struct json **ret_result, struct failure *failure) {
        _cleanup_answers_ struct answers answers = { 0 };
        struct answer *answer;
        int r;

        if (!request->gateway && audience_is_many(&client->audience)) {
                json_free(request->params);
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "this is for one gateway: name it with --gateway ID");
        }
        r = client_gather(client, request, &answers, failure);
        if (r < 0)
                return r;
        answer = &answers.items[0];
        if (answer->state == ANSWER_RESULT) {
                *ret_result = TAKE_PTR(answer->result);
                return 0;
        }
        *failure = answer->failure;
        answer->failure.mistakes = NULL;
        return -EBADMSG;
}
