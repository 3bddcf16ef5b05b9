/* SPDX-License-Identifier: Apache-2.0 */
#include "store/query.h"

#include <assert.h>
#include <string.h>

#include "store/store_internal.h"

static int prepare(struct store *store, const char *sql, unsigned flags, sqlite3_stmt **ret_statement) {
        int code = sqlite3_prepare_v3(store->db, sql, -1, flags, ret_statement, NULL);

        return code == SQLITE_OK ? 0 : store_error_number(code);
}

/* Takes the kept statement; a second one for the time that the kept one is in use by an outer walk. */
static int take_statement(struct query *query, const char *sql) {
        struct store *store = query->store;
        size_t slot;
        int r;

        for (slot = 0; slot < store->n_statements; slot++)
                if (store->statements[slot].sql == sql)
                        break;
        if (slot == store->n_statements && slot < STORE_STATEMENTS_MAX) {
                sqlite3_stmt *statement;

                r = prepare(store, sql, SQLITE_PREPARE_PERSISTENT, &statement);
                if (r < 0)
                        return r;
                store->statements[slot] = (struct store_statement){ .sql = sql, .statement = statement };
                store->n_statements++;
        }
        if (slot == STORE_STATEMENTS_MAX || store->statements[slot].used) {
                query->slot = SIZE_MAX;
                return prepare(store, sql, 0, &query->statement);
        }
        store->statements[slot].used = true;
        query->slot = slot;
        query->statement = store->statements[slot].statement;
        return 0;
}

void query_begin(struct query *query, struct store *store, const char *sql) {
        *query = (struct query){ .store = store, .slot = SIZE_MAX };
        query->error = take_statement(query, sql);
}

void query_begin_write(struct query *query, struct store *store, const char *sql) {
        int r;

        *query = (struct query){ .store = store, .slot = SIZE_MAX, .write = true };
        r = store_begin(store);
        if (r >= 0)
                r = take_statement(query, sql);
        query->error = r;
}

static void bound(struct query *query, int code) {
        if (code != SQLITE_OK && query->error >= 0)
                query->error = code == SQLITE_TOOBIG ? -EINVAL : store_error_number(code);
}

void query_bind_int(struct query *query, int64_t value) {
        if (query->error >= 0)
                bound(query, sqlite3_bind_int64(query->statement, ++query->n_bound, value));
}

void query_bind_text(struct query *query, const char *text) {
        if (query->error >= 0)
                bound(query, sqlite3_bind_text(query->statement, ++query->n_bound, text, -1, SQLITE_STATIC));
}

void query_bind_blob(struct query *query, const void *data, size_t size) {
        if (query->error >= 0)
                bound(query, sqlite3_bind_blob64(query->statement, ++query->n_bound, data, size, SQLITE_STATIC));
}

int query_next(struct query *query) {
        int code;

        if (query->error < 0)
                return query->error;
        query->n_read = 0;
        code = sqlite3_step(query->statement);
        if (code == SQLITE_ROW)
                return 1;
        if (code == SQLITE_DONE)
                return 0;
        query->error = query->write ? store_write_error(query->store, code) : store_error_number(code);
        return query->error;
}

int query_run(struct query *query) {
        int r;

        while ((r = query_next(query)) > 0)
                ;
        return r;
}

int query_run_one(struct query *query) {
        int r = query_run(query);

        if (r < 0)
                return r;
        return sqlite3_changes(query->store->db) > 0 ? 0 : -ENOENT;
}

int64_t query_read_int(struct query *query) {
        return sqlite3_column_int64(query->statement, query->n_read++);
}

void query_read_text(struct query *query, char **ret_text) {
        int column = query->n_read++;
        const char *text;

        *ret_text = NULL;
        if (sqlite3_column_type(query->statement, column) == SQLITE_NULL)
                return;
        text = (const char *) sqlite3_column_text(query->statement, column);
        if (text)
                *ret_text = strdup(text);
        if (!*ret_text && query->error >= 0)
                query->error = -ENOMEM;
}

const char *query_read_lent(struct query *query) {
        return (const char *) sqlite3_column_text(query->statement, query->n_read++);
}

void query_read_blob(struct query *query, void **ret_data, size_t *ret_size) {
        int column = query->n_read++;
        const void *data = sqlite3_column_blob(query->statement, column);
        size_t size = sqlite3_column_bytes(query->statement, column);

        *ret_data = NULL;
        *ret_size = 0;
        if (size == 0)
                return;
        *ret_data = data ? malloc(size) : NULL;
        if (!*ret_data) {
                query->error = -ENOMEM;
                return;
        }
        memcpy(*ret_data, data, size);
        *ret_size = size;
}

bool query_read_bytes(struct query *query, void *ret_data, size_t size) {
        int column = query->n_read++;
        const void *data;

        if (sqlite3_column_type(query->statement, column) == SQLITE_NULL)
                return false;
        data = sqlite3_column_blob(query->statement, column);
        if (!data || (size_t) sqlite3_column_bytes(query->statement, column) != size) {
                if (query->error >= 0)
                        query->error = -EUCLEAN;
                return false;
        }
        memcpy(ret_data, data, size);
        return true;
}

int query_end(struct query *query) {
        if (!query->statement)
                return query->error;
        if (query->slot == SIZE_MAX) {
                sqlite3_finalize(query->statement);
        } else {
                sqlite3_reset(query->statement);
                sqlite3_clear_bindings(query->statement);
                query->store->statements[query->slot].used = false;
        }
        query->statement = NULL;
        return query->error;
}
