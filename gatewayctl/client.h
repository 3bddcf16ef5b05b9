/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The connection to the daemon: one request after the other, and notifications as they come. Runs the loop inside of each call, so
 * that a command reads from top to bottom; nothing else of gatewayctl waits anywhere.
 *
 * Errors are the daemon's own where it answered; else daemon-not-running (not reached, or the connection broke), permission-denied,
 * reply-timeout, interrupted, reply-invalid.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "failure.h"
#include "loop/loop.h"

#define CLIENT_SOCKET_DEFAULT "/run/gatewayd/control.sock"
#define CLIENT_REPLY_TIMEOUT_MS (60 * 1000)

struct client;

/* method "event" or "progress"; params are lent. */
typedef void (*client_notified)(void *ctx, const char *method, const struct json *params);

int client_new(struct loop *loop, const char *path, struct client **ret_client, struct failure *failure);
/* Closes the connection; the loop must still be alive. NULL is fine. */
void client_free(struct client *client);

/* Connects anew after the connection broke. Subscriptions are gone. */
int client_reconnect(struct client *client, struct failure *failure);
bool client_is_connected(const struct client *client);

struct client_request {
        const char *method;
        struct json *params; /* taken over, also on failure; NULL: none */
        bool with_fd;
        int fd;             /* goes with the request where with_fd; stays the caller's */
        int64_t timeout_ms; /* 0: CLIENT_REPLY_TIMEOUT_MS; < 0: none */
};

/* *ret_result is an object and the caller's. */
int client_call(struct client *client, const struct client_request *request, struct json **ret_result, struct failure *failure);

/* Notifications come from inside client_call() and client_wait(). NULL: they are dropped. */
void client_listen(struct client *client, client_notified notified, void *ctx);

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
