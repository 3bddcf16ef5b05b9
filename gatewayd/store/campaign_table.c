/* SPDX-License-Identifier: Apache-2.0 */
#include "store/campaign_table.h"

#include "store/query.h"

#define COLUMNS                                                                                                                            \
        "campaign_id, id, revision, digest, document, source, principal, kid, state, reason, accepted_ms, deadline_ms, finished_ms,"       \
        " wave, wave_ended_ms, gates_passed, forgiven_failed, forgiven_finished"

static const char insert_sql[] = "INSERT INTO campaign (id, revision, digest, document, source, principal, kid, state, reason, accepted_ms,"
                                 " deadline_ms, finished_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING campaign_id";
static const char set_state_sql[] = "UPDATE campaign SET state = ?, reason = ?, finished_ms = ? WHERE campaign_id = ?";
static const char set_rollout_sql[] = "UPDATE campaign SET wave = ?, wave_ended_ms = ?, gates_passed = ?, forgiven_failed = ?,"
                                      " forgiven_finished = ? WHERE campaign_id = ?";
static const char set_kid_sql[] = "UPDATE campaign SET kid = ? WHERE campaign_id = ?";
static const char set_deadline_sql[] = "UPDATE campaign SET deadline_ms = ? WHERE campaign_id = ?";
static const char delete_sql[] = "DELETE FROM campaign WHERE campaign_id = ?";
static const char fetch_sql[] = "SELECT " COLUMNS " FROM campaign WHERE campaign_id = ?";
static const char find_sql[] = "SELECT " COLUMNS " FROM campaign WHERE id = ? AND revision = ?";
static const char find_newest_sql[] = "SELECT " COLUMNS " FROM campaign WHERE id = ? ORDER BY revision DESC LIMIT 1";
static const char each_sql[] = "SELECT " COLUMNS " FROM campaign ORDER BY campaign_id";
static const char each_unfinished_sql[] = "SELECT " COLUMNS " FROM campaign WHERE finished_ms = 0 ORDER BY campaign_id";
static const char prune_sql[] =
        "DELETE FROM campaign WHERE campaign_id IN (SELECT campaign_id FROM campaign WHERE finished_ms <> 0"
        " AND NOT EXISTS (SELECT 1 FROM job WHERE job.campaign_id = campaign.campaign_id AND job.finished_ms = 0) AND (finished_ms < ?1 OR"
        " campaign_id NOT IN (SELECT campaign_id FROM campaign WHERE finished_ms <> 0 ORDER BY finished_ms DESC, campaign_id DESC LIMIT"
        " ?2)) ORDER BY finished_ms LIMIT ?3) RETURNING campaign_id";

void campaign_row_clear(struct campaign_row *row) {
        free(row->id);
        free(row->document);
        free(row->source);
        free(row->principal);
        free(row->kid);
        free(row->state);
        free(row->reason);
        *row = (struct campaign_row){ 0 };
}

static void read_row(struct query *query, struct campaign_row *row) {
        *row = (struct campaign_row){ .campaign_id = query_read_int(query) };
        query_read_text(query, &row->id);
        row->revision = query_read_int(query);
        query_read_bytes(query, row->digest, sizeof row->digest);
        query_read_text(query, &row->document);
        query_read_text(query, &row->source);
        query_read_text(query, &row->principal);
        query_read_text(query, &row->kid);
        query_read_text(query, &row->state);
        query_read_text(query, &row->reason);
        row->accepted_ms = query_read_int(query);
        row->deadline_ms = query_read_int(query);
        row->finished_ms = query_read_int(query);
        row->wave = query_read_int(query);
        row->wave_ended_ms = query_read_int(query);
        row->gates_passed = query_read_int(query);
        row->forgiven_failed = query_read_int(query);
        row->forgiven_finished = query_read_int(query);
}

int campaign_table_insert(struct store *store, struct campaign_row *row) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin_write(&query, store, insert_sql);
        query_bind_text(&query, row->id);
        query_bind_int(&query, row->revision);
        query_bind_blob(&query, row->digest, sizeof row->digest);
        query_bind_text(&query, row->document);
        query_bind_text(&query, row->source);
        query_bind_text(&query, row->principal);
        query_bind_text(&query, row->kid);
        query_bind_text(&query, row->state);
        query_bind_text(&query, row->reason);
        query_bind_int(&query, row->accepted_ms);
        query_bind_int(&query, row->deadline_ms);
        query_bind_int(&query, row->finished_ms);
        r = query_next(&query);
        if (r < 0)
                return r;
        row->campaign_id = query_read_int(&query);
        return query_run(&query);
}

int campaign_table_set_state(struct store *store, int64_t campaign_id, const char *state, const char *reason, int64_t finished_ms) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, set_state_sql);
        query_bind_text(&query, state);
        query_bind_text(&query, reason);
        query_bind_int(&query, finished_ms);
        query_bind_int(&query, campaign_id);
        return query_run_one(&query);
}

int campaign_table_set_rollout(struct store *store, const struct campaign_row *row) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, set_rollout_sql);
        query_bind_int(&query, row->wave);
        query_bind_int(&query, row->wave_ended_ms);
        query_bind_int(&query, row->gates_passed);
        query_bind_int(&query, row->forgiven_failed);
        query_bind_int(&query, row->forgiven_finished);
        query_bind_int(&query, row->campaign_id);
        return query_run_one(&query);
}

int campaign_table_set_kid(struct store *store, int64_t campaign_id, const char *kid) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, set_kid_sql);
        query_bind_text(&query, kid);
        query_bind_int(&query, campaign_id);
        return query_run_one(&query);
}

int campaign_table_set_deadline(struct store *store, int64_t campaign_id, int64_t deadline_ms) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, set_deadline_sql);
        query_bind_int(&query, deadline_ms);
        query_bind_int(&query, campaign_id);
        return query_run_one(&query);
}

int campaign_table_delete(struct store *store, int64_t campaign_id) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, delete_sql);
        query_bind_int(&query, campaign_id);
        return query_run_one(&query);
}

/* The one row of a query whose values are bound. */
static int fetch_one(struct query *query, struct campaign_row *ret_row) {
        _cleanup_campaign_row_ struct campaign_row row = { 0 };
        int r;

        r = query_next(query);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        read_row(query, &row);
        r = query_end(query);
        if (r < 0)
                return r;
        *ret_row = row;
        row = (struct campaign_row){ 0 };
        return 0;
}

int campaign_table_fetch(struct store *store, int64_t campaign_id, struct campaign_row *ret_row) {
        _cleanup_query_ struct query query = { 0 };

        query_begin(&query, store, fetch_sql);
        query_bind_int(&query, campaign_id);
        return fetch_one(&query, ret_row);
}

int campaign_table_find(struct store *store, const char *id, int64_t revision, struct campaign_row *ret_row) {
        _cleanup_query_ struct query query = { 0 };

        query_begin(&query, store, revision < 0 ? find_newest_sql : find_sql);
        query_bind_text(&query, id);
        if (revision >= 0)
                query_bind_int(&query, revision);
        return fetch_one(&query, ret_row);
}

int campaign_table_each(struct store *store, bool only_unfinished, int (*found)(void *ctx, struct campaign_row *row), void *ctx) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, only_unfinished ? each_unfinished_sql : each_sql);
        while ((r = query_next(&query)) > 0) {
                _cleanup_campaign_row_ struct campaign_row row = { 0 };

                read_row(&query, &row);
                r = query.error < 0 ? query.error : found(ctx, &row);
                if (r < 0)
                        return r;
        }
        return r;
}

int campaign_table_prune(struct store *store, uint32_t keep, int64_t before_ms, uint32_t max_deleted, uint32_t *ret_n_deleted) {
        _cleanup_query_ struct query query = { 0 };
        uint32_t n = 0;
        int r;

        query_begin_write(&query, store, prune_sql);
        query_bind_int(&query, before_ms);
        query_bind_int(&query, keep);
        query_bind_int(&query, max_deleted);
        while ((r = query_next(&query)) > 0)
                n++;
        if (r < 0)
                return r;
        if (ret_n_deleted)
                *ret_n_deleted = n;
        return 0;
}
