/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Requests and their answers: to the daemon behind the control socket, or through a broker to one gateway, a group or all of them; and
 * notifications and documents as they come. Runs the loop inside of each call, so that a command reads from top to bottom; nothing
 * else of gatewayctl waits anywhere.
 *
 * A broker tells nobody whether a request was lost, so one without an answer is sent again while there is time (the methods are
 * idempotent). Whom to wait for is known from the status documents that gateways leave at the broker.
 *
 * Errors are the gateway's own where it answered; else daemon-not-running, permission-denied, those of loop/mqtt.h, gateway-offline,
 * gateway-unknown, reply-timeout, interrupted, reply-invalid.
 */

#include <stdbool.h>
#include <stdint.h>

#include "answers.h"
#include "base/json.h"
#include "failure.h"
#include "gateways.h"
#include "loop/loop.h"
#include "transport.h"

#define CLIENT_REPLY_TIMEOUT_MS (60 * 1000)
#define CLIENT_REMOTE_TIMEOUT_MS (20 * 1000) /* through a broker: nobody says that the other end is gone */
#define CLIENT_REPEAT_MS (5 * 1000)
#define CLIENT_REPEAT_PATIENT_FACTOR 4
#define CLIENT_LOST_MS (30 * 1000) /* a gateway that goes away while it owes an answer may come back for so long */

struct client;

/*
 * method "event" or "progress"; through a broker also "gateway" (params: gateway, state online or offline) when one comes or goes. params
 * are lent, and name the gateway.
 */
typedef void (*client_notified)(void *ctx, const char *method, const struct json *params);
typedef void (*client_document_seen)(void *ctx, const struct transport_document *document);

struct client_place {
        /* transport_socket_new(), transport_broker_new() with what they need in ctx. */
        int (*make)(void *ctx, struct loop *loop, const struct transport_handler *handler, void *handler_ctx,
                    struct transport **ret_transport);
        void *ctx;
        struct audience audience; /* LOCAL for a socket; its name must outlive the client */
        int64_t repeat_ms;        /* 0: CLIENT_REPEAT_MS; for tests, as is the next one */
        int64_t lost_ms;          /* 0: CLIENT_LOST_MS */
};

/* Connected when it returns; the gateways of the audience are known then. */
int client_new(struct loop *loop, const struct client_place *place, struct client **ret_client, struct failure *failure);
/* Closes the connection; the loop must still be alive. NULL is fine. */
void client_free(struct client *client);

/* Connects anew after the connection broke. Subscriptions are gone. */
int client_reconnect(struct client *client, struct failure *failure);
bool client_is_connected(const struct client *client);
/* Why it is not. Returns -EBADMSG. */
int client_broken(const struct client *client, struct failure *failure);

bool client_is_remote(const struct client *client); /* through a broker */
const struct audience *client_audience(const struct client *client);
/* The broker dropped some of what gateways left there. */
bool client_is_incomplete(const struct client *client);
/* Those whose status is known, whoever the audience is; only where remote. */
const struct gateways *client_gateways(const struct client *client);

struct client_request {
        const char *method;
        struct json *params; /* taken over, also on failure; NULL: none */
        const char *gateway; /* this one of the audience; NULL: all of the audience */
        bool with_fd;
        int fd;             /* goes with the request where with_fd; stays the caller's */
        int64_t timeout_ms; /* 0: the one for this way; < 0: none */
        bool once;          /* never sent again by itself */
        /* Who is expected to answer; NULL: everybody of the audience. */
        bool (*is_meant)(void *ctx, const char *gateway, const struct str_list *groups);
        void *meant_ctx;
        /* Gives the params for another sending where the same ones cannot be sent twice (they carry a number that is used once). NULL:
         * they can. */
        int (*renew)(void *ctx, struct json **ret_params, struct failure *failure);
        void *renew_ctx;
};

/* For one gateway. *ret_result is an object and the caller's. */
int client_call(struct client *client, const struct client_request *request, struct json **ret_result, struct failure *failure);

/*
 * For everybody who is meant. 0: each of *ret_answers is RESULT, ERROR or NONE, at least one is there. Negative: nobody could be asked,
 * or somebody interrupted it. ret_answers is empty before; the caller's, also on failure.
 */
int client_gather(struct client *client, const struct client_request *request, struct answers *ret_answers, struct failure *failure);

/* Notifications come from inside of whatever waits. NULL: they are dropped. */
void client_listen(struct client *client, client_notified notified, void *ctx);
/* The same for documents other than status and events. */
void client_listen_documents(struct client *client, client_document_seen seen, void *ctx);

/* Has notifications come: params as for events.subscribe (taken, also on failure). Through a broker there are no old ones: without
 * `from`, and the rest of the params is up to the listener. */
int client_subscribe(struct client *client, struct json *params, int64_t timeout_ms, struct failure *failure);
/* Has documents come; those that are kept have come when it returns. Only where remote. */
int client_documents(struct client *client, const struct transport_interest *interest, struct failure *failure);
/* Has the broker keep the text as the desired campaign of the audience; size 0: forget it. Only where remote. */
int client_publish(struct client *client, const struct audience *audience, const char *campaign, const char *text, size_t size,
                   struct failure *failure);

/* One turn of waiting: returns after something happened, at the latest after max_ms (< 0: no limit). 0, also when the time is over;
 * -EPIPE once the connection is broken; -EINTR once interrupted. */
int client_wait(struct client *client, int64_t max_ms);

/* Lets the time pass, also without a connection; Ctrl-C ends it early. */
void client_pause(struct client *client, int64_t duration_ms);

/* Ctrl-C and SIGTERM end client_wait() and client_call() from now on instead of the process. */
int client_catch_signals(struct client *client);
bool client_is_interrupted(const struct client *client);

/* Id of the gateway, as its last reply said. NULL before. */
const char *client_gateway(const struct client *client);
