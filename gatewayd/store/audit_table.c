/* SPDX-License-Identifier: Apache-2.0 */
#include "store/audit_table.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "store/query.h"
#include "store/store_internal.h"

#define ENCODING_MAX 65536        /* bytes of one row's encoding */
#define ANCHOR_KEY "audit_anchor" /* "<seq> <digest>" of the last row that was cut */

#define COLUMNS                                                                                                                            \
        "seq, time_ms, credible, door, principal, command, document_digest, device, hash_before, version_before, hash_after,"              \
        " version_after, result, previous, digest"

static const char append_sql[] = "INSERT INTO audit (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char each_sql[] = "SELECT " COLUMNS " FROM audit WHERE seq >= ? ORDER BY seq LIMIT ?";
static const char newest_sql[] = "SELECT digest FROM audit ORDER BY seq DESC LIMIT 1";
static const char sequence_sql[] = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit'";
static const char cut_sql[] = "DELETE FROM audit WHERE seq <= ?";
/* The last row that may go, or one that went before: too old and all before it, too, or too many behind it. */
static const char cut_point_sql[] = "SELECT min(max(coalesce((SELECT min(seq) - 1 FROM audit WHERE time_ms >= ?1), ?2), ?2 - ?3), ?2 - 1,"
                                    " (SELECT min(seq) FROM audit) - 1 + ?4)";

void audit_row_clear(struct audit_row *row) {
        free(row->door);
        free(row->principal);
        free(row->command);
        free(row->device);
        free(row->hash_before);
        free(row->version_before);
        free(row->hash_after);
        free(row->version_after);
        free(row->result);
        *row = (struct audit_row){ 0 };
}

/* ---- the chain */

static void encode_number(struct strbuf *out, int64_t value) {
        uint64_t big = htobe64((uint64_t) value);

        strbuf_append_n(out, (const char *) &big, sizeof big);
}

/* NULL and "" differ; a length in front keeps neighbours apart. */
static void encode_text(struct strbuf *out, const char *text) {
        encode_number(out, text ? (int64_t) strlen(text) : -1);
        if (text)
                strbuf_append(out, text);
}

/* Part of the format of the chain: never changed, only replaced by another schema with another first line. */
static int chain_digest(struct store *store, const struct audit_row *row, uint8_t ret_digest[STORE_DIGEST_SIZE]) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(ENCODING_MAX);

        strbuf_append(&out, "gatewayd/audit/1\n");
        strbuf_append_n(&out, (const char *) row->previous, sizeof row->previous);
        encode_number(&out, row->seq);
        encode_number(&out, row->time_ms);
        encode_number(&out, row->credible);
        encode_text(&out, row->door);
        encode_text(&out, row->principal);
        encode_text(&out, row->command);
        encode_number(&out, row->has_document_digest);
        if (row->has_document_digest)
                strbuf_append_n(&out, (const char *) row->document_digest, sizeof row->document_digest);
        encode_text(&out, row->device);
        encode_text(&out, row->hash_before);
        encode_text(&out, row->version_before);
        encode_text(&out, row->hash_after);
        encode_text(&out, row->version_after);
        encode_text(&out, row->result);
        if (out.error < 0)
                return out.error == -E2BIG ? -EINVAL : out.error;
        store->sha256(out.text, out.size, ret_digest);
        return 0;
}

static int load_anchor(struct store *store, int64_t *ret_seq, uint8_t ret_digest[STORE_DIGEST_SIZE]) {
        _cleanup_free_ char *text = NULL;
        char *blank;
        int r;

        *ret_seq = 0;
        memset(ret_digest, 0, STORE_DIGEST_SIZE);
        r = store_meta_get(store, ANCHOR_KEY, &text);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        blank = strchr(text, ' ');
        if (!blank)
                return -EUCLEAN;
        *blank = '\0';
        r = str_parse_int64(text, 1, INT64_MAX, ret_seq);
        if (r >= 0)
                r = str_hex_decode(ret_digest, STORE_DIGEST_SIZE, blank + 1);
        return r < 0 ? -EUCLEAN : 0;
}

static int save_anchor(struct store *store, int64_t seq, const uint8_t digest[STORE_DIGEST_SIZE]) {
        char hex[2 * STORE_DIGEST_SIZE + 1], text[sizeof hex + 24];
        int r;

        r = str_hex_encode(hex, sizeof hex, digest, STORE_DIGEST_SIZE);
        if (r >= 0)
                r = str_format(text, sizeof text, "%" PRId64 " %s", seq, hex);
        return r < 0 ? r : store_meta_put(store, ANCHOR_KEY, text);
}

int audit_table_load(struct store *store) {
        _cleanup_query_ struct query sequence = { 0 }, newest = { 0 };
        int64_t anchor_seq;
        int r;

        query_begin(&sequence, store, sequence_sql);
        r = query_next(&sequence);
        if (r <= 0)
                return r < 0 ? r : -EUCLEAN;
        store->audit.newest = query_read_int(&sequence);
        query_begin(&newest, store, newest_sql);
        r = query_next(&newest);
        if (r < 0)
                return r;
        if (r == 0)
                return load_anchor(store, &anchor_seq, store->audit.digest);
        query_read_bytes(&newest, store->audit.digest, sizeof store->audit.digest);
        return query_end(&newest);
}

/* ---- rows */

static void read_row(struct query *query, struct audit_row *row) {
        *row = (struct audit_row){ .seq = query_read_int(query) };
        row->time_ms = query_read_int(query);
        row->credible = query_read_int(query);
        query_read_text(query, &row->door);
        query_read_text(query, &row->principal);
        query_read_text(query, &row->command);
        row->has_document_digest = query_read_bytes(query, row->document_digest, sizeof row->document_digest);
        query_read_text(query, &row->device);
        query_read_text(query, &row->hash_before);
        query_read_text(query, &row->version_before);
        query_read_text(query, &row->hash_after);
        query_read_text(query, &row->version_after);
        query_read_text(query, &row->result);
        query_read_bytes(query, row->previous, sizeof row->previous);
        query_read_bytes(query, row->digest, sizeof row->digest);
}

static void bind_row(struct query *query, const struct audit_row *row) {
        query_bind_int(query, row->seq);
        query_bind_int(query, row->time_ms);
        query_bind_int(query, row->credible);
        query_bind_text(query, row->door);
        query_bind_text(query, row->principal);
        query_bind_text(query, row->command);
        query_bind_blob(query, row->has_document_digest ? row->document_digest : NULL, sizeof row->document_digest);
        query_bind_text(query, row->device);
        query_bind_text(query, row->hash_before);
        query_bind_text(query, row->version_before);
        query_bind_text(query, row->hash_after);
        query_bind_text(query, row->version_after);
        query_bind_text(query, row->result);
        query_bind_blob(query, row->previous, sizeof row->previous);
        query_bind_blob(query, row->digest, sizeof row->digest);
}

int audit_table_append(struct store *store, struct audit_row *row) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        row->seq = store->audit.newest + 1;
        memcpy(row->previous, store->audit.digest, sizeof row->previous);
        r = chain_digest(store, row, row->digest);
        if (r < 0)
                return r;
        query_begin_write(&query, store, append_sql);
        bind_row(&query, row);
        r = query_run(&query);
        if (r < 0)
                return r;
        store->audit.newest = row->seq;
        memcpy(store->audit.digest, row->digest, sizeof row->digest);
        return 0;
}

int audit_table_each(struct store *store, int64_t from, uint32_t limit, int (*found)(void *ctx, struct audit_row *row), void *ctx) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, each_sql);
        query_bind_int(&query, from);
        query_bind_int(&query, limit);
        while ((r = query_next(&query)) > 0) {
                _cleanup_audit_row_ struct audit_row row = { 0 };

                read_row(&query, &row);
                r = query.error < 0 ? query.error : found(ctx, &row);
                if (r < 0)
                        return r;
        }
        return r;
}

int audit_table_newest(struct store *store, int64_t *ret_seq, uint8_t ret_digest[STORE_DIGEST_SIZE]) {
        if (store->audit.newest == 0)
                return -ENOENT;
        *ret_seq = store->audit.newest;
        memcpy(ret_digest, store->audit.digest, STORE_DIGEST_SIZE);
        return 0;
}

/* ---- verification */

__attribute__((format(printf, 3, 4))) static void found_bad(struct audit_verification *verification, int64_t seq, const char *format, ...) {
        va_list arguments;

        verification->finished = true;
        verification->bad_seq = seq;
        va_start(arguments, format);
        vsnprintf(verification->text, sizeof verification->text, format, arguments);
        va_end(arguments);
}

struct slice {
        struct store *store;
        struct audit_verification *verification;
        uint32_t n_rows;
};

/* A good row moves the verification on; a bad one finishes it. */
static int verify_row(void *ctx, struct audit_row *row) {
        struct slice *slice = ctx;
        struct audit_verification *verification = slice->verification;
        uint8_t digest[STORE_DIGEST_SIZE];
        int r;

        slice->n_rows++;
        if (verification->finished)
                return 0;
        if (row->seq != verification->next_seq) {
                found_bad(verification, verification->next_seq, "row %" PRId64 " is missing, the next one is %" PRId64,
                          verification->next_seq, row->seq);
                return 0;
        }
        r = chain_digest(slice->store, row, digest);
        if (r < 0)
                return r;
        if (memcmp(row->previous, verification->digest, sizeof digest) != 0) {
                found_bad(verification, row->seq, "row %" PRId64 " does not follow the row before it", row->seq);
        } else if (memcmp(row->digest, digest, sizeof digest) != 0) {
                found_bad(verification, row->seq, "row %" PRId64 " was changed", row->seq);
        } else {
                memcpy(verification->digest, digest, sizeof digest);
                verification->next_seq++;
                verification->n_rows++;
        }
        return 0;
}

int audit_table_verify(struct store *store, struct audit_verification *verification, uint32_t max_rows) {
        struct slice slice = { .store = store, .verification = verification };
        int64_t anchor;
        int r;

        if (!verification->started) {
                r = load_anchor(store, &anchor, verification->digest);
                if (r < 0)
                        return r;
                verification->started = true;
                verification->next_seq = anchor + 1;
        }
        if (verification->finished)
                return 0;
        r = audit_table_each(store, verification->next_seq, max_rows, verify_row, &slice);
        if (r < 0 || verification->finished || slice.n_rows == max_rows)
                return r;
        verification->finished = true;
        if (verification->next_seq <= store->audit.newest)
                found_bad(verification, verification->next_seq, "rows %" PRId64 " to %" PRId64 " at the end are missing",
                          verification->next_seq, store->audit.newest);
        return 0;
}

/* ---- cutting */

static int find_cut(struct store *store, int64_t max_rows, int64_t before_ms, uint32_t max_deleted, int64_t *ret_seq) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, cut_point_sql);
        query_bind_int(&query, before_ms);
        query_bind_int(&query, store->audit.newest);
        query_bind_int(&query, max_rows);
        query_bind_int(&query, max_deleted);
        r = query_next(&query);
        if (r <= 0)
                return r < 0 ? r : -EUCLEAN;
        *ret_seq = query_read_int(&query); /* NULL of an empty table reads as 0 */
        return 0;
}

struct anchor {
        int64_t seq;
        bool found;
        uint8_t digest[STORE_DIGEST_SIZE];
};

static int take_digest(void *ctx, struct audit_row *row) {
        struct anchor *anchor = ctx;

        anchor->found = row->seq == anchor->seq; /* else the next one is the first that is left */
        memcpy(anchor->digest, row->digest, sizeof anchor->digest);
        return 0;
}

static int delete_until(struct store *store, int64_t seq, uint32_t *ret_n_deleted) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin_write(&query, store, cut_sql);
        query_bind_int(&query, seq);
        r = query_run(&query);
        if (r >= 0 && ret_n_deleted)
                *ret_n_deleted = sqlite3_changes(store->db);
        return r;
}

int audit_table_cut(struct store *store, int64_t max_rows, int64_t before_ms, uint32_t max_deleted, uint32_t *ret_n_deleted) {
        struct anchor anchor = { 0 };
        int r;

        if (ret_n_deleted)
                *ret_n_deleted = 0;
        r = find_cut(store, max_rows, before_ms, max_deleted, &anchor.seq);
        if (r >= 0)
                r = audit_table_each(store, anchor.seq, 1, take_digest, &anchor);
        if (r < 0 || !anchor.found)
                return r;
        r = save_anchor(store, anchor.seq, anchor.digest);
        if (r >= 0)
                r = delete_until(store, anchor.seq, ret_n_deleted);
        return r;
}
