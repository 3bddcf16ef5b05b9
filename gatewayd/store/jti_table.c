/* SPDX-License-Identifier: Apache-2.0 */
#include "store/jti_table.h"

#include "store/query.h"

static const char find_sql[] = "SELECT 1 FROM jti WHERE kid = ? AND jti = ?";
static const char count_sql[] = "SELECT count(*) FROM jti";
static const char insert_sql[] = "INSERT INTO jti (kid, jti, forget_ms) VALUES (?, ?, ?)";
static const char delete_sql[] = "DELETE FROM jti WHERE forget_ms <= ?";

static int is_known(struct store *store, const char *kid, const char *jti) {
        _cleanup_query_ struct query query = { 0 };

        query_begin(&query, store, find_sql);
        query_bind_text(&query, kid);
        query_bind_text(&query, jti);
        return query_next(&query);
}

static int count(struct store *store, int64_t *ret_n) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, count_sql);
        r = query_next(&query);
        if (r > 0)
                *ret_n = query_read_int(&query);
        return r < 0 ? r : query_end(&query);
}

int jti_table_take(struct store *store, const char *kid, const char *jti, int64_t forget_ms) {
        _cleanup_query_ struct query query = { 0 };
        int64_t n = 0;
        int r = is_known(store, kid, jti);

        if (r != 0)
                return r < 0 ? r : -EEXIST;
        r = count(store, &n);
        if (r < 0)
                return r;
        if (n >= JTI_ROWS_MAX)
                return -ENOSPC;
        query_begin_write(&query, store, insert_sql);
        query_bind_text(&query, kid);
        query_bind_text(&query, jti);
        query_bind_int(&query, forget_ms);
        return query_run(&query);
}

int jti_table_forget(struct store *store, int64_t now_ms) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, delete_sql);
        query_bind_int(&query, now_ms);
        return query_run(&query);
}
