/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who did what to which device, append-only. Each row carries the SHA-256 over the digest of the row before and its own canonical
 * encoding, so a row that is changed, taken out or put in later is found. When old rows are cut the digest of the last one cut
 * stays as the anchor. (Whoever may write the file can make a new, consistent chain: hold the newest digest elsewhere.)
 */

#include "store/store.h"

struct audit_row {
        int64_t seq; /* given by append, 1.., without gaps */
        int64_t time_ms;
        bool credible; /* was the clock? */
        char *door;
        char *principal;
        char *command;
        bool has_document_digest;
        uint8_t document_digest[STORE_DIGEST_SIZE];
        char *device;
        char *hash_before;
        char *version_before;
        char *hash_after;
        char *version_after;
        char *result;
        uint8_t previous[STORE_DIGEST_SIZE]; /* given by append */
        uint8_t digest[STORE_DIGEST_SIZE];   /* given by append */
};

void audit_row_clear(struct audit_row *row);
#define _cleanup_audit_row_ _cleanup_(audit_row_clear)

/* Sets seq, previous and digest. */
int audit_table_append(struct store *store, struct audit_row *row);
/* Rows with seq >= from, oldest first, at most `limit`. `found` may take texts; must not append. */
int audit_table_each(struct store *store, int64_t from, uint32_t limit, int (*found)(void *ctx, struct audit_row *row), void *ctx);
/* seq and digest of the newest row; -ENOENT when there never was one. */
int audit_table_newest(struct store *store, int64_t *ret_seq, uint8_t ret_digest[STORE_DIGEST_SIZE]);

/* Verification goes in slices, so that a long chain does not hold up the loop: zero it, call until `finished`. */
struct audit_verification {
        bool started;
        bool finished;
        int64_t next_seq;
        uint8_t digest[STORE_DIGEST_SIZE];
        int64_t n_rows;  /* good ones */
        int64_t bad_seq; /* first row that is changed or missing; 0 = none. Then `finished` and text are set, too */
        char text[160];  /* what is wrong there */
};

int audit_table_verify(struct store *store, struct audit_verification *verification, uint32_t max_rows);

/* Deletes what is older than before_ms and what is more than max_rows, at most max_deleted now; the newest row always stays. */
int audit_table_cut(struct store *store, int64_t max_rows, int64_t before_ms, uint32_t max_deleted, uint32_t *ret_n_deleted);
