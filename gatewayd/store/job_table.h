/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Jobs, their journaled steps and their targets. A job is unfinished while finished_ms is 0. States, results, proofs and reasons
 * are the words of document/names.h as text. A row owns its texts and its blob; NULL = none. See store.h for transactions.
 */

#include "store/store.h"

#define JOB_TABLE_STEPS_KEPT 128 /* newest step rows of a job; older ones go */

struct job_row {
        int64_t job_id; /* given by insert */
        int64_t campaign_id;
        char *device;
        bool has_artifact;
        uint8_t artifact[STORE_DIGEST_SIZE]; /* SHA-256 of the file */
        char *state;
        char *reason;
        char *step; /* journaled last */
        int64_t attempt;
        bool committed; /* behind the point of no return */
        bool stopped;   /* asked to stop; resumable */
        void *blob;     /* the driver's, at most GW_BLOB_MAX bytes */
        size_t blob_size;
        char *wanted; /* JSON */
        char *result;
        char *proof;
        char *error_name;
        char *error_text;
        char *notes; /* JSON array */
        int64_t queued_ms;
        int64_t started_ms;
        int64_t finished_ms;
        int64_t not_before_ms;
        char *version_before;
        char *version_after;
        char *hash_before; /* hexadecimal */
        char *hash_after;
        int64_t wave;   /* index of its campaign's wave; job_table_set_wave() */
        bool undecided; /* whether its campaign means it depends on a fact that is not known yet */
        char *images_before; /* JSON: all that ran before the first step, as `wanted` */
        char *history;       /* JSON array: how it ended before each retry */
};

void job_row_clear(struct job_row *row);
#define _cleanup_job_row_ _cleanup_(job_row_clear)

/* Sets row->job_id. -EINVAL: no such campaign, blob too large. */
int job_table_insert(struct store *store, struct job_row *row);
/* Everything but job_id, campaign_id and device. Costs what a smaller update would cost: SQLite writes whole rows. -ENOENT. */
int job_table_update(struct store *store, const struct job_row *row);

/*
 * The journal: step, attempt and blob in one transaction with a row of `step`. State becomes "in_progress" without reason, stopped
 * is cleared, started_ms is set by the first one. The blob is copied; NULL and 0: none.
 */
int job_table_enter_step(struct store *store, int64_t job_id, const char *step, int64_t attempt, const void *blob, size_t blob_size,
                         int64_t now_ms);
int job_table_set_blob(struct store *store, int64_t job_id, const void *blob, size_t blob_size);
int job_table_set_committed(struct store *store, int64_t job_id);
/* The job goes on in another campaign row: the next revision. -EINVAL: no such campaign. */
int job_table_set_campaign(struct store *store, int64_t job_id, int64_t campaign_id);
int job_table_set_wave(struct store *store, int64_t job_id, int64_t wave);
int job_table_set_state(struct store *store, int64_t job_id, const char *state, const char *reason, int64_t not_before_ms);

/* How a job ended. Texts are borrowed. NULL for version_after and hash_after leaves what is there. */
struct job_finish {
        const char *state;
        const char *reason;
        const char *result;
        const char *proof;
        const char *error_name;
        const char *error_text;
        const char *notes;
        const char *version_after;
        const char *hash_after;
        int64_t finished_ms; /* not 0 */
};

/* The blob goes; the rest stays for the report. -ENOENT: no such job, or it was finished before. */
int job_table_finish(struct store *store, int64_t job_id, const struct job_finish *finish);

int job_table_fetch(struct store *store, int64_t job_id, struct job_row *ret_row);
/* The newest job of this device in this campaign. */
int job_table_find(struct store *store, int64_t campaign_id, const char *device, struct job_row *ret_row);

/* As campaign_table_each(): in order of job_id; `found` must not write to this table. */
int job_table_each_unfinished(struct store *store, int (*found)(void *ctx, struct job_row *row), void *ctx);
int job_table_each_of_campaign(struct store *store, int64_t campaign_id, int (*found)(void *ctx, struct job_row *row), void *ctx);
/* Of every revision of the campaign `id`. */
int job_table_each_of_revisions(struct store *store, const char *id, int (*found)(void *ctx, struct job_row *row), void *ctx);
/* The oldest job of this device, in any revision of the campaign `id`, that ended with the result "updated". -ENOENT. */
int job_table_find_updated(struct store *store, const char *id, const char *device, struct job_row *ret_row);
/* Newest first, at most `limit`. */
int job_table_each_of_device(struct store *store, const char *device, uint32_t limit, int (*found)(void *ctx, struct job_row *row),
                             void *ctx);

/* How many jobs of a campaign are in each state (and result). The texts are lent during the call; result NULL = none. */
int job_table_count(struct store *store, int64_t campaign_id,
                    int (*found)(void *ctx, const char *state, const char *result, int64_t n_jobs), void *ctx);

struct step_row {
        int64_t job_id;
        int64_t n; /* 1.. in order of entry */
        char *name;
        int64_t attempt;
        int64_t entered_ms;
};

void step_row_clear(struct step_row *row);
int job_table_each_step(struct store *store, int64_t job_id, int (*found)(void *ctx, struct step_row *row), void *ctx);

struct target_row {
        int64_t job_id;
        char *key;
        char *state;
        char *result;
        char *proof;
        char *error_name;
        char *error_text;
};

void target_row_clear(struct target_row *row);
/* Inserts or replaces. -EINVAL: no such job. */
int job_table_put_target(struct store *store, const struct target_row *row);
int job_table_each_target(struct store *store, int64_t job_id, int (*found)(void *ctx, struct target_row *row), void *ctx);
/* For a job that is queued again. */
int job_table_clear_targets(struct store *store, int64_t job_id);
