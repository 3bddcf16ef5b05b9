/* SPDX-License-Identifier: Apache-2.0 */
#include "store/key_table.h"

#include <string.h>

#include "store/query.h"

static const char fetch_sql[] = "SELECT fingerprint, newest_iat_s FROM signing_key WHERE kid = ?";
static const char put_sql[] = "INSERT OR REPLACE INTO signing_key (kid, fingerprint, newest_iat_s) VALUES (?, ?, ?)";

int key_table_fetch(struct store *store, const char *kid, struct key_row *ret_row) {
        _cleanup_query_ struct query query = { 0 };
        struct key_row row = { 0 };
        int r;

        query_begin(&query, store, fetch_sql);
        query_bind_text(&query, kid);
        r = query_next(&query);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        query_read_bytes(&query, row.fingerprint, sizeof row.fingerprint);
        row.newest_iat_s = query_read_int(&query);
        r = query_end(&query);
        if (r < 0)
                return r;
        *ret_row = row;
        return 0;
}

int key_table_note(struct store *store, const char *kid, const uint8_t fingerprint[STORE_DIGEST_SIZE], int64_t iat_s) {
        _cleanup_query_ struct query query = { 0 };
        struct key_row row;
        int r = key_table_fetch(store, kid, &row);

        if (r < 0 && r != -ENOENT)
                return r;
        if (r >= 0 && row.newest_iat_s >= iat_s && memcmp(row.fingerprint, fingerprint, sizeof row.fingerprint) == 0)
                return 0;
        query_begin_write(&query, store, put_sql);
        query_bind_text(&query, kid);
        query_bind_blob(&query, fingerprint, STORE_DIGEST_SIZE);
        query_bind_int(&query, r < 0 ? iat_s : MAX(row.newest_iat_s, iat_s));
        return query_run(&query);
}
