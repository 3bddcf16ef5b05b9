/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What client.c (the connection, what comes in) and client_gather.c (a request and its answers) share. */

#include "client.h"
#include "loop/timer.h"

struct client {
        struct loop *loop;
        struct transport *transport;
        struct audience audience;
        int64_t repeat_ms, lost_ms;
        struct gateways gateways;
        char *gateway; /* the last one that answered */
        struct timer *timer;
        struct loop_signal *signals[2];
        client_notified notified;
        void *notified_ctx;
        client_document_seen seen;
        void *seen_ctx;
        int64_t last_id;
        struct answers *answers; /* of the requests first_id..last_id; NULL: none is awaited */
        int64_t first_id;
        bool opening;
        bool confirmed; /* the transport has done what it was asked for last; or refused it: refusal */
        bool timed_out;
        bool interrupted;
        bool garbage;            /* a message that is neither a reply nor a notification */
        struct gw_error refusal; /* name "": none */
        struct gw_error closed;  /* why there is no connection; name "": there is one */
};

/* One turn of the loop, at the latest after max_ms (< 0: no limit). */
int client_turn(struct client *client, int64_t max_ms);
/* The failure `interrupted` while waiting for what; returns -EBADMSG. */
int client_interrupted(struct failure *failure, const char *what);
/* What the broker did not take: client->refusal. Returns -EBADMSG. */
int client_refused(const struct client *client, struct failure *failure);
