/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: the HTTPS door, [https] of the configuration. Its two halves work apart, each where its URL is set: campaigns come from
 * lists on a web server, events are posted in batches. docs/HTTPS.md says what a server has to hold and to answer.
 *
 * It brings campaigns and nothing else: no command is taken, and every campaign must be signed.
 */

#include "api/call.h"

struct door_https;

/* *ret_door NULL where [https] sets no URL. The events half needs its outbox: event_table_configure_doors() with OUTBOX_DOOR_HTTPS. */
int door_https_new(struct api *api, struct door_https **ret_door);
/* Requests are cancelled; what they end with comes before the loop ends. NULL is fine for all of them. */
void door_https_stop(struct door_https *door);
void door_https_free(struct door_https *door);
/* The groups of the gateway, its keys or its clock may have changed: the lists are read anew, now. */
void door_https_renew(struct door_https *door);

/* What health tells of a half that is configured. */
struct door_https_state {
        const char *part; /* "lists", "events" */
        const char *url;
        const struct gw_error *error; /* NULL: the last attempt was fine, or there was none yet */
        int64_t ok_ms;                /* wall clock of the last success, 0 = none */
};
void door_https_each(const struct door_https *door, void (*each)(void *ctx, const struct door_https_state *state), void *ctx);
