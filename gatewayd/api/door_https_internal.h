/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of api/door_https.h: door_https.c what both halves share, door_https_lists.c the one, door_https_events.c the other.
 */

#include "api/door_https.h"
#include "loop/http.h"
#include "loop/timer.h"

#define HTTPS_ANSWER_TIMEOUT_MS (2 * 60 * 1000) /* a request as a whole */
#define HTTPS_RETRY_FIRST_MS 5000
#define HTTPS_RETRY_MAX_MS (10 * 60 * 1000)
#define HTTPS_RETRY_AFTER_MAX_MS (60 * 60 * 1000)
#define HTTPS_CLOCK_RETRY_MS 10000 /* no TLS before the clock is set */
#define HTTPS_URL_SIZE (HTTP_URL_MAX + 1)

#define HTTPS_EVENTS_MAX 200                 /* in one batch */
#define HTTPS_EVENTS_BYTES (256u * 1024u)    /* of their JSON; one event may be larger */
#define HTTPS_EVENTS_LINGER_MS 300           /* after the first event: what comes with it goes with it */

/* How one half gets on with its server. */
struct https_side {
        struct door_https *door;
        const char *part;
        const char *url;
        unsigned n_failures;   /* in a row */
        struct gw_error error; /* of the last attempt; empty = it was fine */
        int64_t ok_ms;
        /* of the request that runs, or ran last */
        const char *asked; /* its URL, lent by the half */
        int status;
        int64_t retry_after_ms;
};

bool https_clock_is_credible(const struct https_side *side);
/* Fills in what is the same for every request of the door. -EACCES with err: credentials-unreadable. */
int https_start(struct https_side *side, struct http_request *request, const struct http_handler *handler, void *ctx,
                struct http_transfer **ret_transfer, struct gw_error *err);
/* To be called first by the `response` of a handler. */
void https_note_response(struct https_side *side, const struct http_response *response);
/* 0: a status of 200 to 299 came, or `also`; else -EREMOTEIO with err: door-forbidden, door-refused, server-busy, server-error,
 * protocol-error. */
int https_judge(const struct https_side *side, int also, struct gw_error *err);

/* Logged when it is another failure than the last one. */
void https_failed(struct https_side *side, const struct gw_error *err);
void https_worked(struct https_side *side);
/* Until the next attempt: back-off with jitter, or what the server asked for. */
int64_t https_retry_ms(const struct https_side *side);

struct https_lists;
int https_lists_new(struct door_https *door, struct https_lists **ret_lists);
void https_lists_stop(struct https_lists *lists); /* NULL is fine, as for all of them */
void https_lists_free(struct https_lists *lists);
void https_lists_renew(struct https_lists *lists);
const struct https_side *https_lists_side(const struct https_lists *lists);

struct https_events;
int https_events_new(struct door_https *door, struct https_events **ret_events);
void https_events_stop(struct https_events *events);
void https_events_free(struct https_events *events);
const struct https_side *https_events_side(const struct https_events *events);

struct door_https {
        struct api *api;
        const struct settings *settings; /* those of the start; [https] is not taken over by a reload */
        struct https_lists *lists;
        struct https_events *events;
        bool stopping;
};
