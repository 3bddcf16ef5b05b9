/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is remembered of each key that signed something which was good: which key it was, so that another one under the same id is
 * noticed, and the newest time of issue seen of it, so that an old document is noticed that comes late. See store.h for transactions,
 * durability and errors.
 */

#include "store/store.h"

struct key_row {
        uint8_t fingerprint[STORE_DIGEST_SIZE];
        int64_t newest_iat_s; /* NumericDate */
};

/* -ENOENT: never seen. */
int key_table_fetch(struct store *store, const char *kid, struct key_row *ret_row);
/* A document of the key was seen. The newest time only grows. Nothing is written where nothing changes. */
int key_table_note(struct store *store, const char *kid, const uint8_t fingerprint[STORE_DIGEST_SIZE], int64_t iat_s);
