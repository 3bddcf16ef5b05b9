/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: the events that one door delivers, in order and without a gap. The rows lie in the store until every configured door
 * has them; a door has a cursor there (store/event_table.h). The outbox hands out durable rows behind those handed out before, takes
 * the acknowledgements and begins again behind the cursor after a lost connection.
 *
 *     cursor (delivered) ... taken (handed out, not acknowledged) ... newest durable row
 *
 * Moving the cursor costs no write of its own, so a crash repeats deliveries; receivers tell by (gateway, epoch, seq).
 */

#include "api/call.h"
#include "store/event_table.h"

#define OUTBOX_DOOR_MQTT "mqtt"
#define OUTBOX_DOOR_HTTPS "https"
#define OUTBOX_DOOR_NOTIFY "notify"

struct outbox;

struct outbox_handler {
        /* From the loop: there is something to take. Once after outbox_new() and outbox_rewind() where there is, then whenever a row
         * becomes durable while everything before it was taken. */
        void (*more)(void *ctx);
};

/* door: a name that event_table_configure_doors() was given. -ENOENT: it was not. */
int outbox_new(struct api *api, const char *door, const struct outbox_handler *handler, void *ctx, struct outbox **ret_outbox);
void outbox_free(struct outbox *outbox); /* NULL is fine */

/*
 * Hands out at most max_rows further rows, oldest first, and gives their number, or a negative errno of the store. `each` returns 0 and has
 * taken the row (event_write() makes its JSON), or anything else: it has not, and this ends the turn (not an error).
 */
int outbox_next(struct outbox *outbox, uint32_t max_rows, int (*each)(void *ctx, struct event_row *row), void *ctx);
/* Everything up to and including seq was delivered. Only what was taken; lower numbers than before are ignored. */
void outbox_delivered(struct outbox *outbox, int64_t seq);
/* What was taken and not delivered is to be taken again. */
void outbox_rewind(struct outbox *outbox);
/* Is there a durable row that was not taken? */
bool outbox_has_more(const struct outbox *outbox);
int64_t outbox_delivered_seq(const struct outbox *outbox);
