/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is being done to several devices, before somebody's eyes. On a terminal a line a device that is drawn again and again, with
 * the running ones first where they are more than fit; elsewhere a line for every change. Copies every text.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "text.h"

#define PROGRESS_REDRAW_MS 100
#define PROGRESS_NAME_COLUMNS_MAX 40

enum progress_phase {
        PROGRESS_QUEUED,
        PROGRESS_RUNNING,
        PROGRESS_SUCCEEDED,
        PROGRESS_FAILED, /* any other end */
};

/* How a device stands now. Texts may be NULL. */
struct progress_state {
        enum progress_phase phase;
        const char *step;
        const char *waiting;  /* name of the reason */
        const char *outcome;  /* of SUCCEEDED and FAILED: "updated, proof hash-active-confirmed" */
        int percent;          /* -1 unknown */
        int64_t rate_bytes_s; /* 0 unknown */
        int64_t eta_ms;       /* 0 unknown */
        int64_t attempt;      /* 0 unknown */
};

struct progress;

/* stream: where lines go; NULL: nothing is shown, only counted. live: it is a terminal whose lines can be drawn again. */
int progress_new(FILE *stream, bool live, const struct style *style, struct progress **ret_progress);
void progress_free(struct progress *progress);
DEFINE_CLEANUP(struct progress *, progress_free);
#define _cleanup_progress_ _cleanup_(progress_freep)

/* Not live: writes a line when anything but numbers has changed. Live: drawn by the next progress_draw(). -ENOMEM. */
int progress_set(struct progress *progress, const char *device, const struct progress_state *state);
/* The same of an answer that was asked for: news that came meanwhile may be newer, so it never takes a job back. */
int progress_look(struct progress *progress, const char *device, const struct progress_state *state);
bool progress_is_stale(const struct progress *progress); /* live, and changed since it was drawn */

/* The lines as they would be drawn, in a terminal of so many rows (0: no limit). */
int progress_render(const struct progress *progress, unsigned rows, struct strbuf *out);

/* Live only. */
void progress_draw(struct progress *progress);
void progress_erase(struct progress *progress);

size_t progress_count(const struct progress *progress, enum progress_phase phase);
