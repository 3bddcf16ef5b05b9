/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of this folder share. Nobody else includes it.
 *
 *     artifact.c   the cache: what is there, pins, open, list, remove      room.c      quota, disk reserve, eviction
 *     mend.c       files and rows at start                                 import.c    copies of files
 *     fetch.c      requests                                                download.c  one download for all requests of a digest:
 *     request.c    what is asked of the server, and what its answer means      its life and failures; download_steps.c its way
 *     part_file.c  files, on worker threads
 */

#include <stdbool.h>
#include <stdint.h>

#include "artifact/artifact.h"
#include "artifact/part_file.h"
#include "base/list.h"
#include "loop/http.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "loop/worker.h"
#include "store/artifact_table.h"

#define DOWNLOAD_BUFFER_SIZE (256u * 1024u) /* two of them a running download */
#define DOWNLOAD_WRITE_SIZE (64u * 1024u)   /* so much is handed to the worker, less only at the end */
#define DOWNLOAD_PROGRESS_MS 250
#define ARTIFACT_USED_MS (60 * 1000) /* last_used is written at most that often */

/* A digest that is known: a file, a part of one, or only pinned. */
struct artifact {
        struct list node; /* in artifacts.known */
        struct artifact_row row;
        bool stored; /* has a row in the store */
        uint32_t n_pins;
        struct download *download;
};

struct artifacts {
        struct loop *loop;
        struct http *http;
        struct store *store;
        const struct settings *settings;
        struct artifacts_options options;
        const struct clock *clock;
        char *directory;
        int directory_fd;

        struct list known;     /* struct artifact */
        struct list downloads; /* struct download */
        struct list imports;   /* struct artifact_import */
        struct list answers;   /* struct artifact_fetch whose end is only to be told yet */
        unsigned n_imports;    /* ever, for temporary names */
        uint64_t importing_bytes;

        bool stopping;
        void (*stopped)(void *ctx);
        void *stopped_ctx;
        struct loop_deferral *stopped_deferral, *wake_deferral;
        struct artifacts_statistics statistics;
};

enum download_state {
        DOWNLOAD_STATE_START,   /* may it run? */
        DOWNLOAD_STATE_QUEUED,  /* as many run as may */
        DOWNLOAD_STATE_WAITING, /* for a timer */
        DOWNLOAD_STATE_OPENING,
        DOWNLOAD_STATE_RUNNING,
        DOWNLOAD_STATE_FINISHING,
        DOWNLOAD_STATE_RESETTING, /* what is there cannot be gone on with: the part file is emptied */
};

enum download_operation { DOWNLOAD_OPERATION_OPEN, DOWNLOAD_OPERATION_RESET, DOWNLOAD_OPERATION_WRITE, DOWNLOAD_OPERATION_FINISH };

/*
 *     QUEUED --- START --- WAITING (clock, room, back-off)
 *                  | worker: open, hash what is there
 *               OPENING ------------ all there -------------.
 *                  | (RESETTING)                             \
 *                  | request, from the end of the file        \
 *               RUNNING: data -> buffer -> worker: write ---- FINISHING  worker: digest, sync, rename --> done
 *                  | failed                                      | other digest after a resumption, once
 *               WAITING                                        START
 *
 * One worker operation at a time. A download is freed only from its own steps, never from inside a call of the cache: who joins or
 * leaves only wakes it (download.c: on_wake). When nobody is left it stops: request and worker come to their ends, the part stays.
 */
struct download {
        struct list node; /* in artifacts.downloads */
        struct artifacts *artifacts;
        struct artifact *artifact;
        struct list fetches;
        char *url;
        uint64_t ordered_size; /* 0 = not told */
        uint64_t size;         /* 0 = not known yet */

        enum download_state state;
        bool stopping;
        bool joined; /* somebody new is to hear why it waits */
        struct timer *timer;
        struct http_transfer *transfer;
        bool canceling; /* the transfer */

        bool working;
        enum download_operation operation;
        int operation_result;
        struct part_file part; /* the worker's while it works */
        uint64_t received;     /* in the part file, as of the last operation */
        bool allocated;        /* likewise */

        uint8_t *filling, *writing; /* DOWNLOAD_BUFFER_SIZE each, while running */
        size_t n_filling, n_writing;
        bool sync;         /* the write in hand ends with fdatasync */
        bool paused;       /* the transfer waits for room in `filling`, or for a reset */
        bool reset_wanted; /* the answer is the whole file, though a part of it was there */

        bool scratch;   /* nothing that is in the part file counts */
        bool resumed;   /* it holds bytes of more than one answer */
        bool restarted; /* from zero, for a doubt about them; once */
        bool from_zero; /* the failure in `error` calls for that */
        struct gw_error error;
        int64_t retry_after_ms;  /* -1 = not told */
        unsigned n_failures;     /* since the last new byte */
        int64_t progress_at_ms;  /* time of the last new byte */
        int64_t told_at_ms;      /* time of the last progress callback */
        uint64_t synced;         /* received bytes at the last checkpoint */
        struct gw_error waiting; /* why; empty = does not wait */
};

struct artifact_fetch {
        struct list node; /* in download.fetches or artifacts.answers */
        struct artifacts *artifacts;
        struct download *download; /* NULL = its end is being told */
        const struct artifact_fetch_handler *handler;
        void *ctx;
        char *url;
        uint64_t size;
        struct loop_deferral *deferral;
        int result;
        struct gw_error error;
};

/* artifact.c */
struct artifact *artifacts_find(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE]);
struct artifact *artifacts_find_or_add(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE]);
void artifact_forget_if_empty(struct artifact *artifact);
/* Writes the row. What the store refuses shows there (store_on_failure()); the files stay the truth. */
void artifact_save(struct artifacts *artifacts, struct artifact *artifact);
/* The file is there under its digest. */
void artifact_completed(struct artifacts *artifacts, struct artifact *artifact, uint64_t size);
/* Deletes files and row. */
void artifact_drop_files(struct artifacts *artifacts, struct artifact *artifact);
int64_t artifacts_wall_ms(const struct artifacts *artifacts);
void artifacts_check_stopped(struct artifacts *artifacts);

/* mend.c */
int artifacts_mend(struct artifacts *artifacts);

/* room.c: makes room for so many more bytes, counted for `artifact` (NULL = an import). -ENOSPC with disk-full. */
int artifacts_make_room(struct artifacts *artifacts, const struct artifact *artifact, uint64_t need_bytes, struct gw_error *err);
uint64_t artifacts_used_bytes(const struct artifacts *artifacts);

/* request.c */
int download_request(struct download *download, const struct http_handler *handler, struct http_transfer **ret_transfer,
                     struct gw_error *err);
/* Judges the head of the answer. 0: its body is wanted; else download.error is set. */
int download_judge(struct download *download, const struct http_response *response);

/* download.c */
int download_join(struct artifacts *artifacts, struct artifact *artifact, struct artifact_fetch *fetch);
void download_leave(struct download *download);   /* a request was taken out */
void download_satisfy(struct download *download); /* the file came another way */
int download_take_order(struct download *download);
void download_set_waiting(struct download *download, const struct gw_error *why); /* NULL = it goes on */
void download_tell_progress(struct download *download, bool now);
/* The file is there. Frees the download. */
void download_succeed(struct download *download);
/* download.error says what failed: waits, tries again, or ends for those who named this URL. */
void download_failed(struct download *download);
/* What came has another digest. */
void download_mismatched(struct download *download);
void download_wait(struct download *download, int64_t delay_ms);
void download_free(struct download *download);
bool download_has_slot(const struct download *download);

/* download_steps.c */
void download_step(struct download *download);
void download_cancel_transfer(struct download *download); /* its end comes as that of any other */

/* fetch.c */
void fetch_answer(struct artifact_fetch *fetch, int result, const struct gw_error *err); /* now; frees it */
void fetch_cancel_all(struct artifacts *artifacts);

/* import.c */
void import_cancel_all(struct artifacts *artifacts);
