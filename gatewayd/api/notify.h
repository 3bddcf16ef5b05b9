/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: [notify], telling people what needs them. For each event that is chosen by `on` a JSON document
 * (schemas/notice.schema.json, at most NOTICE_SIZE_MAX bytes) is given to a program on its standard input, posted to a webhook, or both;
 * one notice after the other. A notice that cannot be given is tried a few times, then logged by name and left: nothing waits for it,
 * no campaign and no door.
 *
 * Its place among the events is kept in the store, so that a notice outlives a restart; it is given twice when the daemon dies in
 * between.
 */

#include "api/call.h"

#define NOTICE_SIZE_MAX (64u * 1024u)
#define NOTICE_FAILURES_MAX 10 /* names of errors in one, the most frequent ones */
#define NOTIFY_ATTEMPTS 4      /* of a notice; 1 while notices before it failed */
#define NOTIFY_RETRY_FIRST_MS 2000
#define NOTIFY_RETRY_MAX_MS 60000
#define NOTIFY_GRACE_MS 5000 /* from SIGTERM to SIGKILL */

struct notify;

/* Does [notify] name anybody? */
bool notify_is_configured(const struct settings *settings);
/* *ret_notify NULL where it names nobody. Needs its outbox: event_table_configure_doors() with OUTBOX_DOOR_NOTIFY. */
int notify_new(struct api *api, struct notify **ret_notify);
void notify_stop(struct notify *notify); /* NULL is fine for both */
void notify_free(struct notify *notify);

/* notice.c: which notice an event is ("paused", ..., "job-failed"), NULL when none. */
const char *notice_of(const struct event_row *row);
/* The document of one, for the given event. The caller frees. */
int notice_write(const struct api *api, const struct event_row *row, const char *notice, char **ret_text, size_t *ret_size);
