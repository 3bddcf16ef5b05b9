/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Campaigns as accepted, one row a (id, revision). States and reasons are the words of document/names.h, kept as text. A row owns
 * its texts; NULL = none. See store.h for transactions, durability and errors.
 */

#include "store/store.h"

struct campaign_row {
        int64_t campaign_id; /* given by insert */
        char *id;
        int64_t revision;
        uint8_t digest[STORE_DIGEST_SIZE]; /* SHA-256 of the document's bytes */
        char *document;
        char *source;    /* door */
        char *principal; /* who: uid or key */
        char *kid;       /* of the key that answers for it; NULL: ordered or taken over at this gateway */
        char *state;
        char *reason;
        int64_t accepted_ms;
        int64_t deadline_ms; /* 0 = none */
        int64_t finished_ms; /* 0 = not finished */

        /* how far its waves are: campaign_table_set_rollout() */
        int64_t wave;          /* index of the one that is open */
        int64_t wave_ended_ms; /* when that one ended: its soak time begins; 0 = it has not */
        int64_t gates_passed;  /* gates behind the first waves that somebody let it pass */
        int64_t forgiven_failed; /* results before its last resume, which its thresholds do not count any more */
        int64_t forgiven_finished;
};

void campaign_row_clear(struct campaign_row *row);
#define _cleanup_campaign_row_ _cleanup_(campaign_row_clear)

/* Sets row->campaign_id. -EEXIST: (id, revision) is there. */
int campaign_table_insert(struct store *store, struct campaign_row *row);
/* finished_ms 0 while it is not finished. -ENOENT. */
int campaign_table_set_state(struct store *store, int64_t campaign_id, const char *state, const char *reason, int64_t finished_ms);
/* wave, wave_ended_ms, gates_passed, forgiven_*. -ENOENT. */
int campaign_table_set_rollout(struct store *store, const struct campaign_row *row);
/* Somebody else answers for it from now on. kid NULL: nobody far away. -ENOENT. */
int campaign_table_set_kid(struct store *store, int64_t campaign_id, const char *kid);
int campaign_table_set_deadline(struct store *store, int64_t campaign_id, int64_t deadline_ms);
/* With its jobs, their steps and targets. */
int campaign_table_delete(struct store *store, int64_t campaign_id);

int campaign_table_fetch(struct store *store, int64_t campaign_id, struct campaign_row *ret_row);
/* revision < 0: the highest there is. */
int campaign_table_find(struct store *store, const char *id, int64_t revision, struct campaign_row *ret_row);

/*
 * In order of acceptance. `found` may keep texts of the row by taking them (TAKE_PTR); the rest is cleared behind it. It must not
 * write to this table. A negative result of it ends the walk and is handed back.
 */
int campaign_table_each(struct store *store, bool only_unfinished, int (*found)(void *ctx, struct campaign_row *row), void *ctx);
/* Finished campaigns beyond the newest `keep`, and those that finished before `before_ms`, are deleted, at most `max_deleted` now; none
 * with a job that is not over. */
int campaign_table_prune(struct store *store, uint32_t keep, int64_t before_ms, uint32_t max_deleted, uint32_t *ret_n_deleted);
