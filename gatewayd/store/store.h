/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The SQLite file that holds everything the daemon must not forget. One connection, used on the loop thread only; the tables have
 * a header each (campaign_table.h, job_table.h, device_table.h, artifact_table.h, event_table.h, audit_table.h, key_table.h,
 * jti_table.h).
 *
 * Writes of one loop turn share one transaction: the first write begins it, the end of the turn commits it. Reads see it at once.
 *
 * Durability without blocking the loop. The connection runs with synchronous=NORMAL: COMMIT appends frames to the write-ahead log
 * and does not wait for the disk. store_sync() then runs fdatasync on that log on a worker thread and reports back. This is what
 * synchronous=FULL does inside COMMIT, only later and for all commits so far at once: every frame of the log carries a checksum
 * chained over the frames before it, so after a power cut recovery keeps exactly the commits up to the last whole frame, never half
 * of one, and what was reported durable is among them. Checkpoints sync the log before they write pages and the database before
 * the log is used again, whatever the level. They run on a worker, too, over a connection of their own. What stays on the loop,
 * once for some MiB written: the sync of the log's header when it starts over (its order is what protects the database), and under
 * constant writing the last frames of a checkpoint.
 *
 * Nothing may be told to the outside (a reply, an event, a byte to a device) before the sync that covers it was reported.
 *
 * Errors of the table functions: -EEXIST and -ENOENT (a row is there, is not there), -EINVAL (a value out of bounds, a missing
 * text, a parent that does not exist): nothing was written. Every other failure (disk full, I/O, memory) of a write
 * takes the whole turn back and fails the store for good, as memory and file no longer agree: see store_on_failure().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"

struct loop;
struct store;
struct store_wait;

#define STORE_FILE "gatewayd.db" /* in the state directory */
#define STORE_DIGEST_SIZE 32     /* SHA-256 */
#define STORE_EPOCH_SIZE 17      /* 16 hexadecimal digits and NUL */

struct store_options {
        const char *path; /* of the database; beside it come -wal, -shm and .lock */
        int64_t now_wall_ms;
        uint32_t events_kept; /* newest event rows that stay though every door has them; 0 = EVENTS_KEPT_MAX */
        /* SHA-256 for the audit chain (digest_sha256() of trust/, a floor above this one). */
        void (*sha256)(const void *data, size_t size, uint8_t ret_digest[STORE_DIGEST_SIZE]);
};

/*
 * Opens or creates (mode 0600), migrates, checks. Blocks: before the loop runs. loop NULL: nothing is committed but by store_flush()
 * (tools, tests). Error names: store-locked (another process has it), store-newer, store-corrupt, store-failed.
 */
int store_open(struct loop *loop, const struct store_options *options, struct store **ret_store, struct gw_error *err);
/* Commits and syncs (blocking), closes. Waits still pending are dropped without a callback: their owners ended before. */
void store_free(struct store *store);
DEFINE_CLEANUP(struct store *, store_free);
#define _cleanup_store_ _cleanup_(store_freep)

/*
 * `done` comes once, later, from the loop, with 0 when everything written up to the end of this turn is on the disk, or with the
 * negative errno of the failed commit or sync. Calls of one turn share one sync; calls while a sync runs share the next; in order.
 * When nothing was written since the last sync none is made. ret_wait may be NULL.
 */
int store_sync(struct store *store, void (*done)(void *ctx, int result), void *ctx, struct store_wait **ret_wait);
/* The callback will not come. NULL is fine; not after it came. */
void store_sync_cancel(struct store_wait *wait);
/* Commits and syncs now, blocking: at start and exit, in tools. */
int store_flush(struct store *store);

/*
 * Called once, from the loop, when a write, commit or sync failed for good. From then on every write gives that error, reads go on.
 * What is on the disk is whole; the daemon is to end and to start anew from it.
 */
void store_on_failure(struct store *store, void (*failed)(void *ctx, const struct gw_error *why), void *ctx);
/* 0, or the negative errno the store failed with. */
int store_failure(const struct store *store);

/* Random, made with the store; identity of an event is (gateway, epoch, seq). */
const char *store_epoch(const struct store *store);
int64_t store_created_ms(const struct store *store);

/* The newest credible wall time ever seen; note_time is cheap, it reaches the disk with the next write at most every 10 min. */
int64_t store_newest_time_ms(const struct store *store);
void store_note_time(struct store *store, int64_t wall_ms);

/* Texts of the daemon's own that fit no table. Keys of the store itself are refused (-EINVAL). The caller frees. NULL deletes. */
int store_meta_get(struct store *store, const char *key, char **ret_value);
int store_meta_set(struct store *store, const char *key, const char *value);

struct store_statistics {
        uint64_t n_commits;
        uint64_t n_syncs; /* fdatasync of the log by store_sync() and store_flush() */
        uint64_t n_checkpoints;
        uint64_t log_bytes;        /* appended to the write-ahead log */
        uint64_t checkpoint_bytes; /* copied from it into the database */
        uint64_t n_log_restarts;   /* header syncs on the loop thread */
        uint64_t log_size_bytes;   /* frames in the log now */
};

void store_statistics(const struct store *store, struct store_statistics *ret_statistics);
/* Bytes the state takes: database and log. */
int store_size(const struct store *store, uint64_t *ret_bytes);
