/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The transaction of a turn, and how it gets to the disk.
 *
 *     first write of a turn          BEGIN IMMEDIATE
 *     end of the turn (hook)         riders (cursors, newest time), COMMIT: frames appended to the log
 *       someone waits, none runs     -> worker: fdatasync(log)  -> done of all who waited; those who came meanwhile: next batch
 *       log is long, none runs       -> worker: checkpoint over a connection of its own; its last frames here
 */
#include "store/store_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "loop/loop.h"
#include "loop/worker.h"

struct store_wait {
        struct list node; /* in store.waits or in a batch */
        void (*done)(void *ctx, int result);
        void *ctx;
};

/* ---- errors and failure */

int store_error_number(int code) {
        switch (code & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return 0;
        case SQLITE_NOMEM:
                return -ENOMEM;
        case SQLITE_FULL:
                return -ENOSPC;
        case SQLITE_READONLY:
                return -EROFS;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return -EBUSY;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return -EUCLEAN;
        case SQLITE_PERM:
        case SQLITE_AUTH:
        case SQLITE_CANTOPEN:
                return -EACCES;
        case SQLITE_TOOBIG:
        case SQLITE_CONSTRAINT:
        case SQLITE_MISMATCH:
        case SQLITE_RANGE:
                return -EINVAL;
        default:
                return -EIO;
        }
}

static void tell_failure(void *ctx) {
        struct store *store = ctx;

        store->failed_deferral = NULL;
        if (store->failed)
                store->failed(store->failed_ctx, &store->failure_error);
}

void store_fail(struct store *store, int error, const char *what) {
        if (store->failure < 0)
                return;
        store->failure = error;
        gw_error_set(&store->failure_error, "store-failed", "%s: %s (%s)", store->path, what, strerror(-error));
        if (!sqlite3_get_autocommit(store->db))
                sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        store->in_transaction = false;
        if (store->loop)
                (void) loop_defer(store->loop, tell_failure, store, &store->failed_deferral);
}

int store_write_error(struct store *store, int code) {
        int error = store_error_number(code);

        if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY)
                return -EEXIST;
        if (error == -EINVAL)
                return error;
        store_fail(store, error, sqlite3_errmsg(store->db));
        return error;
}

void store_on_failure(struct store *store, void (*failed)(void *ctx, const struct gw_error *why), void *ctx) {
        store->failed = failed;
        store->failed_ctx = ctx;
}

int store_failure(const struct store *store) {
        return store->failure;
}

/* ---- transaction */

static int execute(struct store *store, const char *sql) {
        int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

        if (code == SQLITE_OK)
                return 0;
        store_fail(store, store_error_number(code), sqlite3_errmsg(store->db));
        return store->failure;
}

int store_begin(struct store *store) {
        int r;

        if (store->failure < 0)
                return store->failure;
        if (store->in_transaction)
                return 0;
        r = execute(store, "BEGIN IMMEDIATE");
        if (r < 0)
                return r;
        store->in_transaction = true;
        return 0;
}

/* What goes along with a transaction that is written anyway. */
static int write_riders(struct store *store) {
        int r;

        r = event_table_before_commit(store);
        if (r < 0)
                return r;
        if (store->newest_time_ms - store->written_time_ms < STORE_NOTE_TIME_MS)
                return 0;
        r = store_meta_put_int(store, "newest_time_ms", store->newest_time_ms);
        if (r < 0)
                return r;
        store->written_time_ms = store->newest_time_ms;
        return 0;
}

int store_commit(struct store *store) {
        int r;

        if (!store->in_transaction)
                return store->failure;
        r = write_riders(store);
        if (r < 0) {
                store_fail(store, r, "writing the end of a transaction");
                return r;
        }
        r = execute(store, "COMMIT");
        if (r < 0)
                return r;
        store->in_transaction = false;
        store->n_commits++;
        store->statistics.n_commits++;
        return 0;
}

/* SQLite tells the length of the log after each commit: shorter than before means that it started over. */
static int on_commit(void *ctx, sqlite3 *db, const char *name, int n_frames) {
        struct store *store = ctx;
        uint64_t n_new;

        (void) db;
        (void) name;
        if (n_frames < store->log_frames || store->log_frames == 0) {
                n_new = n_frames;
                store->statistics.log_bytes += STORE_LOG_HEADER_SIZE;
                store->statistics.n_log_restarts++;
                store->checkpointed_frames = 0;
        } else {
                n_new = n_frames - store->log_frames;
        }
        store->log_frames = n_frames;
        store->statistics.log_bytes += n_new * STORE_FRAME_SIZE;
        return SQLITE_OK;
}

/* ---- sync */

static void free_waits(struct list *waits) {
        struct list *node;

        while ((node = list_pop(waits)))
                free(LIST_ENTRY(node, struct store_wait, node));
}

/* Callbacks may cancel each other and ask for the next sync. */
static void finish_waits(struct list *waits, int result) {
        struct list *node;

        while ((node = list_pop(waits))) {
                struct store_wait wait = *LIST_ENTRY(node, struct store_wait, node);

                free(LIST_ENTRY(node, struct store_wait, node));
                wait.done(wait.ctx, result);
        }
}

static void free_batch(struct store_batch *batch) {
        free_waits(&batch->waits);
        if (batch->log_fd >= 0)
                close(batch->log_fd);
        free(batch);
}

static void batch_done(void *ctx, int result) {
        struct store_batch *batch = ctx;
        struct store *store = batch->store;

        if (store) {
                store->batch = NULL;
                if (result >= 0)
                        result = batch->result;
                if (result < 0)
                        store_fail(store, result, "sync of the log");
                else
                        store->n_synced = MAX(store->n_synced, batch->commit);
        } /* those who came meanwhile go with the next batch, which the end of this turn starts */
        finish_waits(&batch->waits, result);
        free_batch(batch);
}

static void batch_work(void *ctx) {
        struct store_batch *batch = ctx;

        batch->result = batch->log_fd >= 0 && fdatasync(batch->log_fd) < 0 ? -errno : 0;
}

/* Nothing to sync, or no way to: the answer still comes from the loop. */
static void batch_answer(void *ctx) {
        batch_done(ctx, 0);
}

static void start_batch(struct store *store) {
        struct store_batch *batch;
        int r;

        if (store->batch || list_is_empty(&store->waits))
                return;
        batch = calloc(1, sizeof *batch);
        if (!batch)
                return; /* the next turn tries again */
        *batch = (struct store_batch){ .store = store, .log_fd = -1, .commit = store->n_commits, .result = store->failure };
        list_init(&batch->waits);
        if (store->failure < 0 || store->n_synced == store->n_commits) {
                r = loop_defer(store->loop, batch_answer, batch, NULL);
        } else {
                batch->log_fd = fcntl(store->log_fd, F_DUPFD_CLOEXEC, 3);
                r = batch->log_fd < 0 ? -errno : worker_start(store->loop, batch_work, batch_done, batch, NULL);
                if (r >= 0)
                        store->statistics.n_syncs++;
        }
        if (r < 0) {
                free_batch(batch);
                return;
        }
        for (struct list *node; (node = list_pop(&store->waits));)
                list_append(&batch->waits, node);
        store->batch = batch;
}

/* Only that a turn comes, and ends with the hook, where nothing else would keep the loop running. */
static void make_turn(void *ctx) {
        (void) ctx;
}

int store_sync(struct store *store, void (*done)(void *ctx, int result), void *ctx, struct store_wait **ret_wait) {
        struct store_wait *wait;

        assert(store->loop);
        wait = calloc(1, sizeof *wait);
        if (!wait)
                return -ENOMEM;
        if (list_is_empty(&store->waits) && loop_defer(store->loop, make_turn, NULL, NULL) < 0) {
                free(wait);
                return -ENOMEM;
        }
        *wait = (struct store_wait){ .done = done, .ctx = ctx };
        list_append(&store->waits, &wait->node);
        if (ret_wait)
                *ret_wait = wait;
        return 0;
}

void store_sync_cancel(struct store_wait *wait) {
        if (!wait)
                return;
        list_remove(&wait->node);
        free(wait);
}

int store_flush(struct store *store) {
        int r;

        r = store_commit(store);
        if (r < 0)
                return r;
        if (store->n_synced == store->n_commits)
                return 0;
        store->statistics.n_syncs++;
        if (fdatasync(store->log_fd) < 0) {
                store_fail(store, -errno, "sync of the log");
                return store->failure;
        }
        store->n_synced = store->n_commits;
        return 0;
}

/* ---- checkpoint */

/* Bytes this thread has written so far, 0 = the kernel does not tell. SQLite only tells frames; it writes a page once however many
 * frames of it there are. */
static uint64_t written_by_thread(void) {
        _cleanup_fclose_ FILE *file = fopen("/proc/thread-self/io", "re");
        uint64_t written;

        return file && fscanf(file, "%*[^\n] wchar: %" SCNu64, &written) == 1 ? written : 0;
}

/* Passive: beside readers and the writer, none waits for the other. */
static int copy_log(sqlite3 *db, int *ret_n_copied, uint64_t *ret_written_bytes) {
        uint64_t before = written_by_thread(), after;
        int code, n_log;

        code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &n_log, ret_n_copied);
        after = written_by_thread();
        *ret_written_bytes = before > 0 && after > before ? after - before : (uint64_t) MAX(*ret_n_copied, 0) * STORE_PAGE_SIZE;
        return code;
}

static void free_checkpoint(struct store_checkpoint *checkpoint) {
        free(checkpoint->path);
        free(checkpoint);
}

/* Over a connection of its own. */
static void checkpoint_work(void *ctx) {
        struct store_checkpoint *checkpoint = ctx;
        sqlite3 *db = NULL;
        int code;

        code = sqlite3_open_v2(checkpoint->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        if (code == SQLITE_OK) /* until its first read a connection does not know that there is a log, and copies nothing */
                code = sqlite3_exec(db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
        if (code == SQLITE_OK)
                code = copy_log(db, &checkpoint->n_copied, &checkpoint->written_bytes);
        checkpoint->result = code;
        sqlite3_close(db);
}

static void count_checkpoint(struct store *store, int n_copied, uint64_t written_bytes) {
        if (n_copied <= store->checkpointed_frames)
                return;
        store->statistics.n_checkpoints++;
        store->statistics.checkpoint_bytes += written_bytes;
        store->checkpointed_frames = n_copied;
}

static void checkpoint_done(void *ctx, int result) {
        struct store_checkpoint *checkpoint = ctx;
        struct store *store = checkpoint->store;

        if (store) {
                store->checkpoint = NULL;
                if (result >= 0 && checkpoint->result == SQLITE_OK)
                        count_checkpoint(store, checkpoint->n_copied, checkpoint->written_bytes);
        }
        free_checkpoint(checkpoint);
}

/*
 * The log starts over only when all of it was copied before a turn begins to write. Under constant writing the worker never gets
 * there: what it did not see in its last run, few frames, is then copied here. Blocks for two syncs, once for some MiB of log.
 */
static bool finish_checkpoint(struct store *store) {
        int n_left = store->log_frames - store->checkpointed_frames, n_copied;
        uint64_t written_bytes;

        if (store->checkpoint || store->log_frames < 2 * STORE_CHECKPOINT_FRAMES || n_left == 0)
                return false;
        if (n_left > STORE_CHECKPOINT_LAST_FRAMES && store->log_frames < 4 * STORE_CHECKPOINT_FRAMES)
                return false;
        if (copy_log(store->db, &n_copied, &written_bytes) != SQLITE_OK)
                return false;
        count_checkpoint(store, n_copied, written_bytes);
        return true;
}

/* Failing is no harm: the log grows, the next commit tries again, and what is wrong with the disk shows in the next sync. */
static void start_checkpoint(struct store *store) {
        struct store_checkpoint *checkpoint;

        if (store->checkpoint || store->log_frames - store->checkpointed_frames < STORE_CHECKPOINT_FRAMES)
                return;
        checkpoint = calloc(1, sizeof *checkpoint);
        if (!checkpoint)
                return;
        checkpoint->store = store;
        checkpoint->path = strdup(store->path);
        if (!checkpoint->path || worker_start(store->loop, checkpoint_work, checkpoint_done, checkpoint, NULL) < 0) {
                free_checkpoint(checkpoint);
                return;
        }
        store->checkpoint = checkpoint;
}

/* ---- the turn */

static void on_turn(void *ctx) {
        struct store *store = ctx;
        uint64_t n_before = store->n_commits;

        (void) store_commit(store); /* its failure is told to those who wait and to the daemon */
        start_batch(store);
        if (store->n_commits != n_before && !finish_checkpoint(store))
                start_checkpoint(store);
}

void store_turn_start(struct store *store) {
        sqlite3_wal_hook(store->db, on_commit, store);
        list_init(&store->waits);
}

void store_turn_stop(struct store *store) {
        if (event_table_is_dirty(store))
                (void) store_begin(store);
        (void) store_flush(store);
        if (store->batch)
                store->batch->store = NULL;
        if (store->batch)
                free_waits(&store->batch->waits);
        if (store->checkpoint)
                store->checkpoint->store = NULL;
        free_waits(&store->waits);
        loop_hook_remove(store->hook);
        loop_defer_cancel(store->failed_deferral);
}

int store_turn_attach(struct store *store) {
        return store->loop ? loop_turn_hook(store->loop, on_turn, store, &store->hook) : 0;
}
