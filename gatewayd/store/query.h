/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One use of one prepared statement. Statements are kept by the store, keyed by the address of their text, which therefore has to
 * be static. Values are bound, and columns read, one after the other in their order; the first mistake sticks and comes back from
 * query_run(), query_next() or query_end(). Bound texts must live until the end.
 *
 *     _cleanup_query_ struct query query = { 0 };
 *     query_begin_write(&query, store, delete_sql);
 *     query_bind_text(&query, id);
 *     return query_run(&query);
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct sqlite3_stmt;
struct store;

struct query {
        struct store *store;
        struct sqlite3_stmt *statement;
        size_t slot; /* in the store's cache; SIZE_MAX = not kept */
        int n_bound;
        int n_read;
        int error;
        bool write;
};

void query_begin(struct query *query, struct store *store, const char *sql);
/* Begins the turn's transaction where none is open. */
void query_begin_write(struct query *query, struct store *store, const char *sql);

void query_bind_int(struct query *query, int64_t value);
void query_bind_text(struct query *query, const char *text);              /* NULL = NULL */
void query_bind_blob(struct query *query, const void *data, size_t size); /* NULL data = NULL */

/* A write without result: 0, or the errors of store.h. */
int query_run(struct query *query);
/* As query_run(), but -ENOENT when no row was changed. */
int query_run_one(struct query *query);
/* 1: there is a row; 0: the end; negative errno. */
int query_next(struct query *query);

int64_t query_read_int(struct query *query);
/* A copy; NULL stays NULL. The old text is not freed. */
void query_read_text(struct query *query, char **ret_text);
void query_read_blob(struct query *query, void **ret_data, size_t *ret_size);
/* Exactly size bytes; false for NULL. Another size is an error (-EUCLEAN). */
bool query_read_bytes(struct query *query, void *ret_data, size_t size);
/* Lent until the next step. */
const char *query_read_lent(struct query *query);

/* Also by the cleanup attribute, twice is fine. The sticky error. */
int query_end(struct query *query);

static inline void query_cleanup(struct query *query) {
        (void) query_end(query);
}
#define _cleanup_query_ _cleanup_(query_cleanup)
