/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Events: transitions and results, numbered without gaps, written in the same transaction as what they tell. Each configured door
 * has a cursor; a row goes when every door has it and it is not among the newest that are kept for events.subscribe (the newest row
 * always stays, so a number is never used twice). Moving a cursor costs no write of its own: it reaches the file together with the
 * next write; a crash before that repeats deliveries, which the receiver tells by (gateway, epoch, seq).
 */

#include "store/store.h"

#define EVENT_DOORS_MAX 8

struct event_row {
        int64_t seq; /* given by append, 1.. */
        int64_t time_ms;
        bool credible; /* was the clock? */
        char *type;
        char *campaign;
        int64_t revision;
        char *device;
        char *body; /* JSON object */
};

void event_row_clear(struct event_row *row);
#define _cleanup_event_row_ _cleanup_(event_row_clear)

/* Sets row->seq. */
int event_table_append(struct store *store, struct event_row *row);
/* Rows with seq >= from, oldest first, at most `limit`. `found` may take texts; must not append. */
int event_table_each(struct store *store, int64_t from, uint32_t limit, int (*found)(void *ctx, struct event_row *row), void *ctx);
int64_t event_table_oldest(struct store *store); /* seq, 0 = no row */
int64_t event_table_newest(struct store *store); /* seq, 0 = no row yet */

/* Doors that are not named lose their cursor; new ones start at the oldest row kept. -EINVAL: more than EVENT_DOORS_MAX. */
int event_table_configure_doors(struct store *store, const char *const *names, size_t n_names);
/* Everything up to and including `seq` was delivered. Never goes back. -ENOENT: no such door. */
int event_table_advance(struct store *store, const char *door, int64_t seq);
int event_table_cursor(struct store *store, const char *door, int64_t *ret_seq);
/* Rows that the slowest door does not have yet; 0 without doors. At limits.outbox new campaigns are refused. */
int64_t event_table_undelivered(struct store *store);
