/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The cache of firmware files: <state_dir>/artifacts/<sha256 in hexadecimal>, and <...>.part while it is being fetched. Knows bytes
 * and digests, not formats. A file gets its name only after its digest was checked and its bytes are on the disk (write, fdatasync,
 * rename, fsync of the folder, all on worker threads), so the name is the proof and the rows of the store follow the files.
 *
 * One object a daemon, on the loop thread. Requests follow the async contract: a start returns < 0 and `done` never comes, or 0 and
 * `done` comes exactly once, later; cancel makes it come with -ECANCELED.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/time.h"
#include "trust/digest.h"

struct artifacts;
struct artifact_fetch;
struct artifact_import;
struct http;
struct loop;
struct settings;
struct store;

#define ARTIFACT_DOWNLOADS_MAX 4             /* transfers at once; more requests wait their turn */
#define ARTIFACT_CHECKPOINT_BYTES (4u << 20) /* received bytes between two syncs of a part file */
#define ARTIFACT_RETRY_FIRST_MS 1000
#define ARTIFACT_RETRY_MAX_MS (10 * 60 * 1000)
#define ARTIFACT_RETRY_AFTER_MAX_MS (60 * 60 * 1000)
#define ARTIFACT_RETRY_BUDGET_MS (6 * 60 * 60 * 1000) /* without one new byte; then the last error ends the fetch */
#define ARTIFACT_DISK_RETRY_MS (30 * 1000)            /* disk-full is asked again this often */
#define ARTIFACT_CLOCK_RETRY_MS (10 * 1000)
#define ARTIFACT_URL_MAX 2048

struct artifacts_options {
        const struct settings *settings; /* [artifacts], [source ...], state_dir; see artifacts_set_settings() */
        const struct clock *clock;       /* NULL = clock_real() */
        /* May TLS be tried? NULL = always. While false fetches wait with clock-not-credible. */
        bool (*clock_is_credible)(void *ctx);
        /* Bytes that may still be written to the file system of `directory`; NULL = statvfs. */
        int (*free_bytes)(void *ctx, const char *directory, uint64_t *ret_bytes);
        void *ctx;
        int64_t retry_first_ms; /* 0 = ARTIFACT_RETRY_FIRST_MS; the others likewise: tests do not wait */
        int64_t disk_retry_ms;
        int64_t clock_retry_ms;
};

/* Makes the folder (0700), removes leftovers, brings the store's rows in line with the files. Blocks: before the loop runs. */
int artifacts_new(struct loop *loop, struct http *http, struct store *store, const struct artifacts_options *options,
                  struct artifacts **ret_artifacts, struct gw_error *err);
/*
 * Everything stops; part files stay for the next start. `stopped` comes once, later, when no worker uses a file any more; every
 * request still running ends before it with -ECANCELED. Then artifacts_free().
 */
void artifacts_stop(struct artifacts *artifacts, void (*stopped)(void *ctx), void *ctx);
void artifacts_free(struct artifacts *artifacts);
/* After a reload. The old settings may be freed afterwards; running transfers keep what they began with. */
void artifacts_set_settings(struct artifacts *artifacts, const struct settings *settings);

struct artifact_request {
        const char *url; /* https; NULL: only what is there already */
        uint64_t size;   /* bytes; 0 = not told: then [artifacts] max_size limits */
        uint8_t sha256[DIGEST_SIZE];
};

struct artifact_fetch_handler {
        /* At most a few times a second. May be NULL. */
        void (*progress)(void *ctx, uint64_t received_bytes, uint64_t size_bytes);
        /*
         * It waits: disk-full (also: no room in the quota), clock-not-credible, concurrency, or the name of an error after which it is
         * tried again. NULL: it goes on. May be NULL.
         */
        void (*waiting)(void *ctx, const struct gw_error *why);
        /* 0: the file is in the cache. Pin it here, before the loop goes on. Otherwise -ECANCELED or another negative errno with err. */
        void (*done)(void *ctx, int result, const struct gw_error *err);
};

/*
 * Brings the file into the cache. Requests for one digest share one download (the first one's URL; the next one's when that is
 * terminal). Already there: `done` comes at once, that is, later in this turn or the next. Error names: artifact-unknown
 * (no URL), url-invalid, size-mismatch, digest-mismatch, artifact-too-large, artifact-not-found, artifact-forbidden,
 * artifact-refused, credentials-unreadable, disk-error, those of loop/http.h; after ARTIFACT_RETRY_BUDGET_MS also the retried ones.
 */
int artifact_fetch(struct artifacts *artifacts, const struct artifact_request *request, const struct artifact_fetch_handler *handler,
                   void *ctx, struct artifact_fetch **ret_fetch);
/* NULL is fine. The part file stays, so that a later fetch goes on. */
void artifact_fetch_cancel(struct artifact_fetch *fetch);

/*
 * Copies a file that the caller has open (a descriptor passed over the control socket; duplicated here) into the cache. It must be a
 * regular file; read from its beginning to its size now. Error names: file-unreadable (also: not a regular file, empty),
 * artifact-too-large, disk-full (at once: a person is waiting), disk-error.
 */
int artifact_import(struct artifacts *artifacts, int fd,
                    void (*done)(void *ctx, int result, const uint8_t sha256[DIGEST_SIZE], uint64_t size, const struct gw_error *err),
                    void *ctx, struct artifact_import **ret_import);
void artifact_import_cancel(struct artifact_import *import); /* NULL is fine */

/* What live work needs is pinned, counted; the quota never takes it. A digest that is not there may be pinned. */
int artifact_pin(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE]);
void artifact_unpin(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE]);

bool artifact_has(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE]);
/* Read-only, close-on-exec; the caller closes it. Stays readable whatever happens to the cache. Counts as use. -ENOENT. */
int artifact_open(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE], int *ret_fd);
/* What a reader of formats found, for lists. -ENOENT. */
int artifact_set_format(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE], const char *format, const char *version);

struct artifact_info {
        uint8_t sha256[DIGEST_SIZE];
        uint64_t size, received; /* bytes */
        bool complete;
        bool fetching;
        uint32_t n_pins;
        const char *url, *format, *version; /* lent, NULL = none */
        int64_t created_ms, last_used_ms;
};

/* Least recently used first. `found` must not change the cache. */
void artifact_each(struct artifacts *artifacts, void (*found)(void *ctx, const struct artifact_info *info), void *ctx);
/* Error names: artifact-unknown, artifact-in-use (pinned, or being fetched). */
int artifact_remove(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE], struct gw_error *err);

struct artifacts_statistics {
        uint64_t used_bytes; /* of the quota */
        uint64_t n_files;
        uint64_t n_downloads, n_resumed, n_restarted, n_evicted;
        uint64_t received_bytes;
};

void artifacts_statistics(const struct artifacts *artifacts, struct artifacts_statistics *ret_statistics);
