/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is known of the files in the artifact cache. The files are the truth: artifact/ mends the rows at start. A row owns its
 * texts; NULL = none. See store.h for transactions and errors.
 */

#include "store/store.h"

struct artifact_row {
        uint8_t sha256[STORE_DIGEST_SIZE];
        int64_t size;     /* bytes of the whole file */
        int64_t received; /* bytes known to be on the disk */
        bool complete;    /* whole and its digest checked */
        char *url;
        char *etag; /* strong, of the answer the received bytes come from */
        char *format;
        char *version;
        int64_t created_ms;
        int64_t last_used_ms;
};

void artifact_row_clear(struct artifact_row *row);
#define _cleanup_artifact_row_ _cleanup_(artifact_row_clear)

/* Inserts or replaces. */
int artifact_table_put(struct store *store, const struct artifact_row *row);
int artifact_table_set_received(struct store *store, const uint8_t sha256[STORE_DIGEST_SIZE], int64_t received);
int artifact_table_set_last_used(struct store *store, const uint8_t sha256[STORE_DIGEST_SIZE], int64_t last_used_ms);
int artifact_table_set_format(struct store *store, const uint8_t sha256[STORE_DIGEST_SIZE], const char *format, const char *version);
int artifact_table_delete(struct store *store, const uint8_t sha256[STORE_DIGEST_SIZE]); /* -ENOENT */
int artifact_table_fetch(struct store *store, const uint8_t sha256[STORE_DIGEST_SIZE], struct artifact_row *ret_row);
/* Least recently used first. `found` may take texts (TAKE_PTR); must not write to this table. */
int artifact_table_each(struct store *store, int (*found)(void *ctx, struct artifact_row *row), void *ctx);
