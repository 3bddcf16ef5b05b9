/* SPDX-License-Identifier: Apache-2.0 */
#include "store/artifact_table.h"

#include "store/query.h"

#define COLUMNS "sha256, size, received, complete, url, etag, format, version, created_ms, last_used_ms"

static const char put_sql[] = "INSERT OR REPLACE INTO artifact (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char set_received_sql[] = "UPDATE artifact SET received = ? WHERE sha256 = ?";
static const char set_last_used_sql[] = "UPDATE artifact SET last_used_ms = ? WHERE sha256 = ?";
static const char set_format_sql[] = "UPDATE artifact SET format = ?, version = ? WHERE sha256 = ?";
static const char delete_sql[] = "DELETE FROM artifact WHERE sha256 = ?";
static const char fetch_sql[] = "SELECT " COLUMNS " FROM artifact WHERE sha256 = ?";
static const char each_sql[] = "SELECT " COLUMNS " FROM artifact ORDER BY last_used_ms, sha256";

void artifact_row_clear(struct artifact_row *row) {
        free(row->url);
        free(row->etag);
        free(row->format);
        free(row->version);
        *row = (struct artifact_row){ 0 };
}

static void read_row(struct query *query, struct artifact_row *row) {
        *row = (struct artifact_row){ 0 };
        query_read_bytes(query, row->sha256, sizeof row->sha256);
        row->size = query_read_int(query);
        row->received = query_read_int(query);
        row->complete = query_read_int(query);
        query_read_text(query, &row->url);
        query_read_text(query, &row->etag);
        query_read_text(query, &row->format);
        query_read_text(query, &row->version);
        row->created_ms = query_read_int(query);
        row->last_used_ms = query_read_int(query);
}

int artifact_table_put(struct store *store, const struct artifact_row *row) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, put_sql);
        query_bind_blob(&query, row->sha256, sizeof row->sha256);
        query_bind_int(&query, row->size);
        query_bind_int(&query, row->received);
        query_bind_int(&query, row->complete);
        query_bind_text(&query, row->url);
        query_bind_text(&query, row->etag);
        query_bind_text(&query, row->format);
        query_bind_text(&query, row->version);
        query_bind_int(&query, row->created_ms);
        query_bind_int(&query, row->last_used_ms);
        return query_run(&query);
}

static int set_number(struct store *store, const char *sql, const uint8_t *sha256, int64_t value) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, sql);
        query_bind_int(&query, value);
        query_bind_blob(&query, sha256, STORE_DIGEST_SIZE);
        return query_run_one(&query);
}

int artifact_table_set_received(struct store *store, const uint8_t sha256[STORE_DIGEST_SIZE], int64_t received) {
        return set_number(store, set_received_sql, sha256, received);
}

int artifact_table_set_last_used(struct store *store, const uint8_t sha256[STORE_DIGEST_SIZE], int64_t last_used_ms) {
        return set_number(store, set_last_used_sql, sha256, last_used_ms);
}

int artifact_table_set_format(struct store *store, const uint8_t sha256[STORE_DIGEST_SIZE], const char *format, const char *version) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, set_format_sql);
        query_bind_text(&query, format);
        query_bind_text(&query, version);
        query_bind_blob(&query, sha256, STORE_DIGEST_SIZE);
        return query_run_one(&query);
}

int artifact_table_delete(struct store *store, const uint8_t sha256[STORE_DIGEST_SIZE]) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, delete_sql);
        query_bind_blob(&query, sha256, STORE_DIGEST_SIZE);
        return query_run_one(&query);
}

int artifact_table_fetch(struct store *store, const uint8_t sha256[STORE_DIGEST_SIZE], struct artifact_row *ret_row) {
        _cleanup_(artifact_row_clear) struct artifact_row row = { 0 };
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, fetch_sql);
        query_bind_blob(&query, sha256, STORE_DIGEST_SIZE);
        r = query_next(&query);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        read_row(&query, &row);
        r = query_end(&query);
        if (r < 0)
                return r;
        *ret_row = row;
        row = (struct artifact_row){ 0 };
        return 0;
}

int artifact_table_each(struct store *store, int (*found)(void *ctx, struct artifact_row *row), void *ctx) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, each_sql);
        while ((r = query_next(&query)) > 0) {
                _cleanup_(artifact_row_clear) struct artifact_row row = { 0 };

                read_row(&query, &row);
                r = query.error < 0 ? query.error : found(ctx, &row);
                if (r < 0)
                        return r;
        }
        return r;
}
