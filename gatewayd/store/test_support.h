/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For the tests of this folder: a directory of its own, a store in it, SQL past the store. Everything asserts.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "loop/loop.h"
#include "store/store.h"
#include "trust/digest.h"

#define TEST_NOW_MS INT64_C(1795219200000)

struct fixture {
        char directory[64];
        char path[96];
        struct loop *loop;
        struct store *store;
};

static inline int fixture_setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        assert_non_null(fixture);
        snprintf(fixture->directory, sizeof fixture->directory, "/tmp/gatewayd-store.XXXXXX");
        assert_non_null(mkdtemp(fixture->directory));
        snprintf(fixture->path, sizeof fixture->path, "%s/" STORE_FILE, fixture->directory);
        *state = fixture;
        return 0;
}

static inline int fixture_open(struct fixture *fixture, uint32_t events_kept, struct gw_error *err) {
        const struct store_options options = {
                .path = fixture->path,
                .now_wall_ms = TEST_NOW_MS,
                .events_kept = events_kept,
                .sha256 = digest_sha256,
        };

        return store_open(fixture->loop, &options, &fixture->store, err);
}

static inline void fixture_close(struct fixture *fixture) {
        store_free(fixture->store);
        fixture->store = NULL;
}

static inline void fixture_reopen(struct fixture *fixture) {
        fixture_close(fixture);
        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
}

/* A store that commits only when flushed. */
static inline int fixture_setup_open(void **state) {
        fixture_setup(state);
        assert_int_equal(fixture_open(*state, 0, NULL), 0);
        return 0;
}

/* A store on a loop. */
static inline int fixture_setup_loop(void **state) {
        struct fixture *fixture;

        fixture_setup(state);
        fixture = *state;
        assert_int_equal(loop_new(&fixture->loop), 0);
        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        return 0;
}

static inline void fixture_remove_files(struct fixture *fixture) {
        static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
        char path[128];

        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
                snprintf(path, sizeof path, "%s%s", fixture->path, suffixes[i]);
                unlink(path);
        }
}

static inline int fixture_teardown(void **state) {
        struct fixture *fixture = *state;

        fixture_close(fixture);
        if (fixture->loop)
                loop_free(fixture->loop);
        fixture_remove_files(fixture);
        assert_int_equal(rmdir(fixture->directory), 0);
        free(fixture);
        return 0;
}

/* Past the store, over a connection of its own. */
static inline void fixture_sql(const struct fixture *fixture, const char *sql) {
        sqlite3 *db;
        char *message = NULL;

        assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
        if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
                fail_msg("%s: %s", sql, message);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The first value of the first row; what is committed only. */
static inline int64_t fixture_ask(const struct fixture *fixture, const char *sql) {
        sqlite3 *db;
        sqlite3_stmt *statement;
        int64_t value;

        assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        value = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        return value;
}
