/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a job must still know after a crash of the daemon: which file was chosen, how far it came, what the slots held before the
 * reset. Versioned bytes of at most GW_BLOB_MAX; read back with every bound checked, since they come from a file on disk.
 * Numbers are big-endian.
 *
 *     'S' 'B' version phase flags family resets clears trials  chosen(2)  n_before  n_before x { image slot flags(2) hash_size hash }
 */

#include "verdict.h"

#define BLOB_VERSION 1u
#define BLOB_CLEARS_MAX 2u /* resets that may be spent to get rid of somebody else's update */
#define BLOB_RESETS_MAX 3u /* resets for one image: the swap, and a repetition when the first was not heard */
#define BLOB_TRIALS_MAX 4u /* times that a device may go away in its trial and come back unchanged */

enum blob_phase {
        BLOB_BEFORE,   /* nothing that changes what boots was asked yet */
        BLOB_CLEARING, /* a reset is due, or under way, that gets rid of another update */
        BLOB_READY,    /* stored and marked, as far as this bootloader has marks; a reset is due or under way */
        BLOB_RETURNED, /* the device was seen after that reset */
        BLOB_PHASE_COUNT_,
};

struct blob {
        enum blob_phase phase;
        bool seen_on_trial;
        bool unmarked;       /* the device takes no marks (F3) */
        bool short_messages; /* longer ones were refused or silenced it (F18, F20) */
        enum verdict_family family;
        uint8_t n_resets, n_clears, n_trials;
        uint16_t chosen;                       /* bits of order->wanted */
        struct gw_image before[GW_IMAGES_MAX]; /* image, slot, flags, hash only */
        size_t n_before;
};

#define BLOB_SIZE_MAX (12 + GW_IMAGES_MAX * (5 + GW_HASH_MAX))

/* Returns the bytes used; `bytes` has room for BLOB_SIZE_MAX. */
size_t blob_write(const struct blob *blob, uint8_t bytes[BLOB_SIZE_MAX]);
/* -EBADMSG malformed, -EPROTONOSUPPORT another version; `ret_blob` is then untouched. */
int blob_read(const void *bytes, size_t size, struct blob *ret_blob);
/* Keeps what `images` hold now as the state before the reset. */
void blob_keep_before(struct blob *blob, const struct gw_image *images, size_t n_images);
