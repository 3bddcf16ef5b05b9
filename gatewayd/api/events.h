/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: events.subscribe. A subscription belongs to its caller, one at a time. What it is told comes from the table of
 * events as long as it lags behind (in slices, as fast as the peer reads), then as it happens. Only durable events are told.
 */

#include "api/call.h"
#include "store/event_table.h"

/* Begins to hear update/. */
int events_start(struct api *api);
void events_stop(struct api *api);

/* One event as every door tells it: {gateway, epoch, seq, time, type, ...}. */
int event_describe(const struct api *api, const struct event_row *row, struct json **ret_json);
int event_write(const struct api *api, const struct event_row *row, char **ret_text, size_t *ret_size);

void subscription_free(struct subscription *subscription); /* NULL is fine */
void subscription_drained(struct subscription *subscription);
