/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: events.subscribe. A subscription belongs to its caller, one at a time. What it is told comes from the table of
 * events as long as it lags behind (in slices, as fast as the peer reads), then as it happens. Only durable events are told.
 */

#include "api/call.h"

/* Begins to hear update/. */
int events_start(struct api *api);
void events_stop(struct api *api);

void subscription_free(struct subscription *subscription); /* NULL is fine */
void subscription_drained(struct subscription *subscription);
