/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of this folder share: the store itself. Nobody else includes it.
 *
 *     store.c        open, close, meta, statistics          turn.c     transaction of a turn, sync, checkpoint, failure
 *     query.c        prepared statements                    migrations.c
 */

#include <sqlite3.h>

#include "base/list.h"
#include "store/audit_table.h"
#include "store/event_table.h"
#include "store/store.h"

#define STORE_PAGE_SIZE 1024
#define STORE_FRAME_SIZE (STORE_PAGE_SIZE + 24) /* of the write-ahead log */
#define STORE_LOG_HEADER_SIZE 32
#define STORE_CHECKPOINT_FRAMES 2048     /* so much in the log starts a checkpoint */
#define STORE_CHECKPOINT_LAST_FRAMES 256 /* so many may be copied on the loop when the log is twice as long */
#define STORE_BUSY_TIMEOUT_MS 2000       /* only a foreign process (a person with sqlite3) can hold the write lock */
#define STORE_STATEMENTS_MAX 96
#define STORE_NOTE_TIME_MS (10 * 60 * 1000)

struct loop_hook;
struct loop_deferral;
struct loop;

struct store_statement {
        const char *sql; /* its address is the key */
        sqlite3_stmt *statement;
        bool used;
};

struct store_door {
        char *name;
        int64_t cursor;
        bool dirty; /* moved since it was written */
};

struct store_events {
        int64_t oldest, newest; /* 0, 0 = none */
        uint32_t kept;
        struct store_door doors[EVENT_DOORS_MAX];
        size_t n_doors;
};

struct store_audit {
        int64_t newest; /* seq, 0 = none */
        uint8_t digest[STORE_DIGEST_SIZE];
};

/* One fdatasync on a worker. Outlives the store where the store ends first. */
struct store_batch {
        struct store *store; /* NULL: gone */
        int log_fd;
        int result;
        uint64_t commit; /* covers commits up to this number */
        struct list waits;
};

struct store_checkpoint {
        struct store *store; /* NULL: gone */
        char *path;
        int result;   /* of SQLite */
        int n_copied; /* frames, in all */
        uint64_t written_bytes;
};

struct store {
        struct loop *loop;
        struct loop_hook *hook;
        sqlite3 *db;
        char *path;
        int lock_fd;
        int log_fd;
        void (*sha256)(const void *data, size_t size, uint8_t ret_digest[STORE_DIGEST_SIZE]);

        struct store_statement statements[STORE_STATEMENTS_MAX];
        size_t n_statements;

        bool in_transaction;
        uint64_t n_commits, n_synced;        /* commits so far, commits known to be on the disk */
        struct list waits;                   /* of this turn, or for the next batch */
        struct store_batch *batch;           /* running */
        struct store_checkpoint *checkpoint; /* running */
        int log_frames;
        int checkpointed_frames; /* of this generation of the log, already copied */

        int failure;
        struct gw_error failure_error;
        void (*failed)(void *ctx, const struct gw_error *why);
        void *failed_ctx;
        struct loop_deferral *failed_deferral;

        char epoch[STORE_EPOCH_SIZE];
        int64_t created_ms;
        int64_t newest_time_ms, written_time_ms;

        struct store_events events;
        struct store_audit audit;
        struct store_statistics statistics;
};

/* turn.c */
int store_begin(struct store *store);
int store_commit(struct store *store);
/* Maps what SQLite said to the errors of store.h; fails the store where it is not one that the caller can handle. */
int store_write_error(struct store *store, int code);
int store_error_number(int code);
void store_fail(struct store *store, int error, const char *what);
void store_turn_start(struct store *store); /* counts commits */
int store_turn_attach(struct store *store); /* from now on turns are committed; last step of opening */
void store_turn_stop(struct store *store);  /* commits, syncs, lets go of what runs */

/* event_table.c, audit_table.c: state in memory */
int event_table_load(struct store *store);
void event_table_unload(struct store *store);
int event_table_before_commit(struct store *store); /* cursors, and rows nobody needs */
bool event_table_is_dirty(const struct store *store);
int audit_table_load(struct store *store);

/* store.c */
int store_meta_put(struct store *store, const char *key, const char *value);
int store_meta_put_int(struct store *store, const char *key, int64_t value);
