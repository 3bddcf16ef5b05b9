/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Uploads one image, with a window of requests under way. Trusts only `off` of the answers, which is cumulative.
 *
 *     first packet (alone: the device may erase for a minute, or say where an earlier upload of the same file stopped)
 *        -> stream: as many chunks as the window allows; the data comes from the caller's `read`, nothing is kept
 *             off beyond a chunk            confirms it and all before it
 *             off before a chunk, or rc 2   go back to off, once for each loss; rc 2 narrows the window for the rest of this upload
 *             silence                       the first unconfirmed chunk alone, with doubling times up to 2.5 s; a late answer to the
 *                                           first sending undoes that
 *             off 0                         the device lost its state: again from the first packet
 *        -> last answer: off = size, `match` if the device checks
 *
 * Resuming needs no state here: the same file with the same sha is continued by the device, however the upload ended.
 * Memory: one message, a table of the window.
 */

#include "common/smp/client.h"
#include "common/smp/probe.h"

struct smp_upload;

struct smp_upload_options {
        uint64_t size;            /* of the image, 1..UINT32_MAX */
        uint32_t image;           /* number for the device; 0 is not sent */
        const uint8_t *sha;       /* 32 bytes, SHA-256 of the whole file; NULL = none, and then no resuming. Copied */
        bool upgrade;             /* the device is to refuse a version that is not higher */
        struct smp_limits limits; /* smp_limits_compute() */
        /* A device without buffers for a second request and without resume (MCUboot's serial recovery): window 1, no sha. */
        bool recovery;
        uint32_t progress_interval_ms; /* 0 = 250 */
        /* Fills `buffer` with exactly `size` bytes of the image. 0 or negative errno. */
        int (*read)(void *ctx, uint64_t offset, void *buffer, size_t size);
        void (*progress)(void *ctx, uint64_t confirmed, uint64_t total); /* NULL; a few times a second at most, and at the end */
        void *ctx;
};

struct smp_upload_report {
        uint64_t confirmed;  /* bytes that the device has, as it said last */
        uint64_t resumed_at; /* offset at which the device went on after the first packet; 0 = from the start */
        bool already;        /* the device had the whole image: no data was sent beyond the first packet */
        bool matched;        /* the device compared the SHA-256 of what it stored */
        /* The answer to the last chunk was lost; the device says off 0, as after a finished upload (or after a reset): read the
         * state and look for the hash. */
        bool unproven;
        struct smp_status status; /* of the refusal that ended it */
        uint64_t chunks;          /* sent, first sendings and repeated ones */
        uint64_t repeats;         /* chunks sent again */
        uint32_t window;          /* at the end */
        uint32_t message_size;    /* at the end */
        uint32_t round_trip_ms;   /* smoothed */
        int64_t duration_ms;
        struct gw_error error; /* named, unless the result is 0 or -ECANCELED */
};

/*
 * result 0: the device has all (see `unproven`). -EREMOTEIO refused (report->status); -EBADMSG the device compared and it differs
 * (smp-upload-mismatch); -EPROTO an impossible offset; -ESTALE the device answers but does not get on; -ETIMEDOUT silence; -ENOTCONN link;
 * -ECANCELED stopped; others: `read` failed.
 */
typedef void (*smp_upload_done)(void *ctx, int result, const struct smp_upload_report *report);

/* One upload a client at a time; other requests may go beside it. */
int smp_upload_start(struct smp_client *client, const struct smp_upload_options *options, smp_upload_done done, void *done_ctx,
                     struct smp_upload **ret_upload, struct gw_error *err);
/* Sends no further chunk, waits for answers under way (at most SMP_STOP_GRACE_MS), then `done` with -ECANCELED. */
void smp_upload_stop(struct smp_upload *upload);
/* After `done`, or to end it without. Before smp_client_free(). Not from inside its callbacks but `done`. NULL is fine. */
void smp_upload_free(struct smp_upload *upload);

uint64_t smp_upload_confirmed(const struct smp_upload *upload);

/* A `read` for a part of an artifact: ctx = const struct gw_part *. */
int smp_upload_read_part(void *ctx, uint64_t offset, void *buffer, size_t size);

/* Largest number of data bytes in a packet of at most `budget` bytes; 0 when none fits. `first` = with len, sha, image, upgrade. */
struct smp_chunk_keys {
        uint64_t off;
        bool first;
        uint64_t len;
        size_t sha_size;
        uint32_t image; /* sent when not 0 */
        bool upgrade;
};
size_t smp_upload_chunk_size(size_t budget, const struct smp_chunk_keys *keys);
