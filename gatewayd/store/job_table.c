/* SPDX-License-Identifier: Apache-2.0 */
#include "store/job_table.h"

#include "store/query.h"

#define COLUMNS                                                                                                                            \
        "job_id, campaign_id, device, artifact, state, reason, step, attempt, committed, stopped, blob, wanted, result, proof,"            \
        " error_name, error_text, notes, queued_ms, started_ms, finished_ms, not_before_ms, version_before, version_after,"                \
        " hash_before, hash_after, wave, undecided, images_before, history"

static const char insert_sql[] =
        "INSERT INTO job (artifact, state, reason, step, attempt, committed, stopped, blob, wanted, result, proof, error_name,"
        " error_text, notes, queued_ms, started_ms, finished_ms, not_before_ms, version_before, version_after, hash_before,"
        " hash_after, wave, undecided, images_before, history, campaign_id, device) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " RETURNING job_id";
static const char update_sql[] =
        "UPDATE job SET artifact = ?, state = ?, reason = ?, step = ?, attempt = ?, committed = ?, stopped = ?, blob = ?, wanted = ?,"
        " result = ?, proof = ?, error_name = ?, error_text = ?, notes = ?, queued_ms = ?, started_ms = ?, finished_ms = ?,"
        " not_before_ms = ?, version_before = ?, version_after = ?, hash_before = ?, hash_after = ?, wave = ?, undecided = ?,"
        " images_before = ?, history = ? WHERE job_id = ?";
static const char enter_step_sql[] =
        "UPDATE job SET state = 'in_progress', reason = NULL, step = ?1, attempt = ?2, stopped = 0, blob = ?3, not_before_ms = 0,"
        " started_ms = iif(started_ms = 0, ?4, started_ms) WHERE job_id = ?5";
static const char insert_step_sql[] = "INSERT INTO step (job_id, n, name, attempt, entered_ms)"
                                      " SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4 FROM step WHERE job_id = ?1 RETURNING n";
static const char trim_steps_sql[] = "DELETE FROM step WHERE job_id = ? AND n <= ?";
static const char set_blob_sql[] = "UPDATE job SET blob = ? WHERE job_id = ?";
static const char set_committed_sql[] = "UPDATE job SET committed = 1 WHERE job_id = ?";
static const char set_campaign_sql[] = "UPDATE job SET campaign_id = ? WHERE job_id = ?";
static const char set_wave_sql[] = "UPDATE job SET wave = ? WHERE job_id = ?";
static const char set_state_sql[] = "UPDATE job SET state = ?, reason = ?, not_before_ms = ? WHERE job_id = ?";
static const char finish_sql[] =
        "UPDATE job SET state = ?, reason = ?, result = ?, proof = ?, error_name = ?, error_text = ?, notes = ?,"
        " version_after = coalesce(?, version_after), hash_after = coalesce(?, hash_after), finished_ms = ?, blob = NULL,"
        " stopped = 0, not_before_ms = 0 WHERE job_id = ? AND finished_ms = 0";
static const char fetch_sql[] = "SELECT " COLUMNS " FROM job WHERE job_id = ?";
static const char find_sql[] = "SELECT " COLUMNS " FROM job WHERE device = ? AND campaign_id = ? ORDER BY job_id DESC LIMIT 1";
static const char each_unfinished_sql[] = "SELECT " COLUMNS " FROM job WHERE finished_ms = 0 ORDER BY job_id";
static const char each_of_campaign_sql[] = "SELECT " COLUMNS " FROM job WHERE campaign_id = ? ORDER BY job_id";
static const char each_of_revisions_sql[] =
        "SELECT " COLUMNS " FROM job WHERE campaign_id IN (SELECT campaign_id FROM campaign WHERE id = ?) ORDER BY job_id";
static const char find_updated_sql[] = "SELECT " COLUMNS " FROM job WHERE device = ? AND result = 'updated' AND campaign_id IN"
                                       " (SELECT campaign_id FROM campaign WHERE id = ?) ORDER BY job_id LIMIT 1";
static const char each_of_device_sql[] = "SELECT " COLUMNS " FROM job WHERE device = ? ORDER BY job_id DESC LIMIT ?";
static const char count_sql[] = "SELECT state, result, count(*) FROM job WHERE campaign_id = ? GROUP BY state, result";
static const char each_step_sql[] = "SELECT job_id, n, name, attempt, entered_ms FROM step WHERE job_id = ? ORDER BY n";
static const char put_target_sql[] =
        "INSERT INTO target (job_id, key, state, result, proof, error_name, error_text) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (job_id, key) DO UPDATE SET state = excluded.state, result = excluded.result, proof = excluded.proof,"
        " error_name = excluded.error_name, error_text = excluded.error_text";
static const char each_target_sql[] =
        "SELECT job_id, key, state, result, proof, error_name, error_text FROM target WHERE job_id = ? ORDER BY key";
static const char clear_targets_sql[] = "DELETE FROM target WHERE job_id = ?";

void job_row_clear(struct job_row *row) {
        char *const texts[] = { row->device,         row->state,         row->reason,      row->step,       row->wanted,
                                row->result,         row->proof,         row->error_name,  row->error_text, row->notes,
                                row->version_before, row->version_after, row->hash_before, row->hash_after,
                                row->images_before,  row->history };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                free(texts[i]);
        free(row->blob);
        *row = (struct job_row){ 0 };
}

static void read_row(struct query *query, struct job_row *row) {
        *row = (struct job_row){ .job_id = query_read_int(query) };
        row->campaign_id = query_read_int(query);
        query_read_text(query, &row->device);
        row->has_artifact = query_read_bytes(query, row->artifact, sizeof row->artifact);
        query_read_text(query, &row->state);
        query_read_text(query, &row->reason);
        query_read_text(query, &row->step);
        row->attempt = query_read_int(query);
        row->committed = query_read_int(query);
        row->stopped = query_read_int(query);
        query_read_blob(query, &row->blob, &row->blob_size);
        query_read_text(query, &row->wanted);
        query_read_text(query, &row->result);
        query_read_text(query, &row->proof);
        query_read_text(query, &row->error_name);
        query_read_text(query, &row->error_text);
        query_read_text(query, &row->notes);
        row->queued_ms = query_read_int(query);
        row->started_ms = query_read_int(query);
        row->finished_ms = query_read_int(query);
        row->not_before_ms = query_read_int(query);
        query_read_text(query, &row->version_before);
        query_read_text(query, &row->version_after);
        query_read_text(query, &row->hash_before);
        query_read_text(query, &row->hash_after);
        row->wave = query_read_int(query);
        row->undecided = query_read_int(query);
        query_read_text(query, &row->images_before);
        query_read_text(query, &row->history);
}

/* The columns that insert and update share, in their order. */
static void bind_row(struct query *query, const struct job_row *row) {
        query_bind_blob(query, row->has_artifact ? row->artifact : NULL, row->has_artifact ? sizeof row->artifact : 0);
        query_bind_text(query, row->state);
        query_bind_text(query, row->reason);
        query_bind_text(query, row->step);
        query_bind_int(query, row->attempt);
        query_bind_int(query, row->committed);
        query_bind_int(query, row->stopped);
        query_bind_blob(query, row->blob, row->blob_size);
        query_bind_text(query, row->wanted);
        query_bind_text(query, row->result);
        query_bind_text(query, row->proof);
        query_bind_text(query, row->error_name);
        query_bind_text(query, row->error_text);
        query_bind_text(query, row->notes);
        query_bind_int(query, row->queued_ms);
        query_bind_int(query, row->started_ms);
        query_bind_int(query, row->finished_ms);
        query_bind_int(query, row->not_before_ms);
        query_bind_text(query, row->version_before);
        query_bind_text(query, row->version_after);
        query_bind_text(query, row->hash_before);
        query_bind_text(query, row->hash_after);
        query_bind_int(query, row->wave);
        query_bind_int(query, row->undecided);
        query_bind_text(query, row->images_before);
        query_bind_text(query, row->history);
}

int job_table_insert(struct store *store, struct job_row *row) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        if (row->blob_size > GW_BLOB_MAX)
                return -EINVAL;
        query_begin_write(&query, store, insert_sql);
        bind_row(&query, row);
        query_bind_int(&query, row->campaign_id);
        query_bind_text(&query, row->device);
        r = query_next(&query);
        if (r < 0)
                return r;
        row->job_id = query_read_int(&query);
        return query_run(&query);
}

int job_table_update(struct store *store, const struct job_row *row) {
        _cleanup_query_ struct query query = { 0 };

        if (row->blob_size > GW_BLOB_MAX)
                return -EINVAL;
        query_begin_write(&query, store, update_sql);
        bind_row(&query, row);
        query_bind_int(&query, row->job_id);
        return query_run_one(&query);
}

static int insert_step(struct store *store, int64_t job_id, const char *step, int64_t attempt, int64_t now_ms, int64_t *ret_n) {
        _cleanup_query_ struct query query = { 0 };
        int64_t n;
        int r;

        query_begin_write(&query, store, insert_step_sql);
        query_bind_int(&query, job_id);
        query_bind_text(&query, step);
        query_bind_int(&query, attempt);
        query_bind_int(&query, now_ms);
        r = query_next(&query);
        if (r < 0)
                return r;
        n = query_read_int(&query);
        r = query_run(&query);
        if (r < 0)
                return r;
        *ret_n = n;
        return 0;
}

static int trim_steps(struct store *store, int64_t job_id, int64_t last) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, trim_steps_sql);
        query_bind_int(&query, job_id);
        query_bind_int(&query, last);
        return query_run(&query);
}

/* What can be refused is refused by the first statement; the others only fail together with the store. */
int job_table_enter_step(struct store *store, int64_t job_id, const char *step, int64_t attempt, const void *blob, size_t blob_size,
                         int64_t now_ms) {
        _cleanup_query_ struct query query = { 0 };
        int64_t n;
        int r;

        if (!step || blob_size > GW_BLOB_MAX)
                return -EINVAL;
        query_begin_write(&query, store, enter_step_sql);
        query_bind_text(&query, step);
        query_bind_int(&query, attempt);
        query_bind_blob(&query, blob, blob_size);
        query_bind_int(&query, now_ms);
        query_bind_int(&query, job_id);
        r = query_run_one(&query);
        if (r >= 0)
                r = insert_step(store, job_id, step, attempt, now_ms, &n);
        if (r >= 0 && n > JOB_TABLE_STEPS_KEPT)
                r = trim_steps(store, job_id, n - JOB_TABLE_STEPS_KEPT);
        return r;
}

int job_table_set_blob(struct store *store, int64_t job_id, const void *blob, size_t blob_size) {
        _cleanup_query_ struct query query = { 0 };

        if (blob_size > GW_BLOB_MAX)
                return -EINVAL;
        query_begin_write(&query, store, set_blob_sql);
        query_bind_blob(&query, blob, blob_size);
        query_bind_int(&query, job_id);
        return query_run_one(&query);
}

int job_table_set_committed(struct store *store, int64_t job_id) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, set_committed_sql);
        query_bind_int(&query, job_id);
        return query_run_one(&query);
}

int job_table_set_campaign(struct store *store, int64_t job_id, int64_t campaign_id) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, set_campaign_sql);
        query_bind_int(&query, campaign_id);
        query_bind_int(&query, job_id);
        return query_run_one(&query);
}

int job_table_set_wave(struct store *store, int64_t job_id, int64_t wave) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, set_wave_sql);
        query_bind_int(&query, wave);
        query_bind_int(&query, job_id);
        return query_run_one(&query);
}

int job_table_set_state(struct store *store, int64_t job_id, const char *state, const char *reason, int64_t not_before_ms) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, set_state_sql);
        query_bind_text(&query, state);
        query_bind_text(&query, reason);
        query_bind_int(&query, not_before_ms);
        query_bind_int(&query, job_id);
        return query_run_one(&query);
}

int job_table_finish(struct store *store, int64_t job_id, const struct job_finish *finish) {
        _cleanup_query_ struct query query = { 0 };

        if (finish->finished_ms == 0)
                return -EINVAL;
        query_begin_write(&query, store, finish_sql);
        query_bind_text(&query, finish->state);
        query_bind_text(&query, finish->reason);
        query_bind_text(&query, finish->result);
        query_bind_text(&query, finish->proof);
        query_bind_text(&query, finish->error_name);
        query_bind_text(&query, finish->error_text);
        query_bind_text(&query, finish->notes);
        query_bind_text(&query, finish->version_after);
        query_bind_text(&query, finish->hash_after);
        query_bind_int(&query, finish->finished_ms);
        query_bind_int(&query, job_id);
        return query_run_one(&query);
}

/* ---- reading */

static int fetch_one(struct query *query, struct job_row *ret_row) {
        _cleanup_job_row_ struct job_row row = { 0 };
        int r;

        r = query_next(query);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        read_row(query, &row);
        r = query_end(query);
        if (r < 0)
                return r;
        *ret_row = row;
        row = (struct job_row){ 0 };
        return 0;
}

int job_table_fetch(struct store *store, int64_t job_id, struct job_row *ret_row) {
        _cleanup_query_ struct query query = { 0 };

        query_begin(&query, store, fetch_sql);
        query_bind_int(&query, job_id);
        return fetch_one(&query, ret_row);
}

int job_table_find(struct store *store, int64_t campaign_id, const char *device, struct job_row *ret_row) {
        _cleanup_query_ struct query query = { 0 };

        query_begin(&query, store, find_sql);
        query_bind_text(&query, device);
        query_bind_int(&query, campaign_id);
        return fetch_one(&query, ret_row);
}

static int walk(struct query *query, int (*found)(void *ctx, struct job_row *row), void *ctx) {
        int r;

        while ((r = query_next(query)) > 0) {
                _cleanup_job_row_ struct job_row row = { 0 };

                read_row(query, &row);
                r = query->error < 0 ? query->error : found(ctx, &row);
                if (r < 0)
                        return r;
        }
        return r;
}

int job_table_each_unfinished(struct store *store, int (*found)(void *ctx, struct job_row *row), void *ctx) {
        _cleanup_query_ struct query query = { 0 };

        query_begin(&query, store, each_unfinished_sql);
        return walk(&query, found, ctx);
}

int job_table_each_of_campaign(struct store *store, int64_t campaign_id, int (*found)(void *ctx, struct job_row *row), void *ctx) {
        _cleanup_query_ struct query query = { 0 };

        query_begin(&query, store, each_of_campaign_sql);
        query_bind_int(&query, campaign_id);
        return walk(&query, found, ctx);
}

int job_table_each_of_revisions(struct store *store, const char *id, int (*found)(void *ctx, struct job_row *row), void *ctx) {
        _cleanup_query_ struct query query = { 0 };

        query_begin(&query, store, each_of_revisions_sql);
        query_bind_text(&query, id);
        return walk(&query, found, ctx);
}

int job_table_find_updated(struct store *store, const char *id, const char *device, struct job_row *ret_row) {
        _cleanup_query_ struct query query = { 0 };

        query_begin(&query, store, find_updated_sql);
        query_bind_text(&query, device);
        query_bind_text(&query, id);
        return fetch_one(&query, ret_row);
}

int job_table_each_of_device(struct store *store, const char *device, uint32_t limit, int (*found)(void *ctx, struct job_row *row),
                             void *ctx) {
        _cleanup_query_ struct query query = { 0 };

        query_begin(&query, store, each_of_device_sql);
        query_bind_text(&query, device);
        query_bind_int(&query, limit);
        return walk(&query, found, ctx);
}

int job_table_count(struct store *store, int64_t campaign_id,
                    int (*found)(void *ctx, const char *state, const char *result, int64_t n_jobs), void *ctx) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, count_sql);
        query_bind_int(&query, campaign_id);
        while ((r = query_next(&query)) > 0) {
                const char *state = query_read_lent(&query);
                const char *result = query_read_lent(&query);

                r = found(ctx, state, result, query_read_int(&query));
                if (r < 0)
                        return r;
        }
        return r;
}

void step_row_clear(struct step_row *row) {
        free(row->name);
        *row = (struct step_row){ 0 };
}

int job_table_each_step(struct store *store, int64_t job_id, int (*found)(void *ctx, struct step_row *row), void *ctx) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, each_step_sql);
        query_bind_int(&query, job_id);
        while ((r = query_next(&query)) > 0) {
                _cleanup_(step_row_clear) struct step_row row = { .job_id = query_read_int(&query) };

                row.n = query_read_int(&query);
                query_read_text(&query, &row.name);
                row.attempt = query_read_int(&query);
                row.entered_ms = query_read_int(&query);
                r = query.error < 0 ? query.error : found(ctx, &row);
                if (r < 0)
                        return r;
        }
        return r;
}

/* ---- targets */

void target_row_clear(struct target_row *row) {
        free(row->key);
        free(row->state);
        free(row->result);
        free(row->proof);
        free(row->error_name);
        free(row->error_text);
        *row = (struct target_row){ 0 };
}

int job_table_put_target(struct store *store, const struct target_row *row) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, put_target_sql);
        query_bind_int(&query, row->job_id);
        query_bind_text(&query, row->key);
        query_bind_text(&query, row->state);
        query_bind_text(&query, row->result);
        query_bind_text(&query, row->proof);
        query_bind_text(&query, row->error_name);
        query_bind_text(&query, row->error_text);
        return query_run(&query);
}

int job_table_each_target(struct store *store, int64_t job_id, int (*found)(void *ctx, struct target_row *row), void *ctx) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, each_target_sql);
        query_bind_int(&query, job_id);
        while ((r = query_next(&query)) > 0) {
                _cleanup_(target_row_clear) struct target_row row = { .job_id = query_read_int(&query) };

                query_read_text(&query, &row.key);
                query_read_text(&query, &row.state);
                query_read_text(&query, &row.result);
                query_read_text(&query, &row.proof);
                query_read_text(&query, &row.error_name);
                query_read_text(&query, &row.error_text);
                r = query.error < 0 ? query.error : found(ctx, &row);
                if (r < 0)
                        return r;
        }
        return r;
}

int job_table_clear_targets(struct store *store, int64_t job_id) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, clear_targets_sql);
        query_bind_int(&query, job_id);
        return query_run(&query);
}
