/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is to be done next: a pure function of the order, the slots as they are now and the kind of bootloader. Used before the
 * first byte (plan, inspect) and whenever a step is entered again, so that nothing is flashed twice.
 *
 * An order may hold several files for one image (direct-XIP: one linked for each slot); the choice keeps the one that fits.
 */

#include "verdict.h"

/* Where the wanted image of one image number stands. */
enum choice_stand {
        CHOICE_ABSENT,    /* in no slot */
        CHOICE_STORED,    /* in the slot that does not run, unmarked */
        CHOICE_MARKED,    /* there, and the next reset starts it */
        CHOICE_RUNNING,   /* runs, not confirmed */
        CHOICE_CONFIRMED, /* runs and stays */
};

struct choice_image {
        uint8_t image;
        uint8_t wanted; /* index into order->wanted */
        enum choice_stand stand;
        bool busy; /* its second slot is taken: another image waits or is on trial */
};

enum choice_next {
        CHOICE_NEXT_NOTHING, /* runs already, as wanted */
        CHOICE_NEXT_VERIFY,  /* runs already, to be confirmed */
        CHOICE_NEXT_RESET,   /* marked already */
        CHOICE_NEXT_TEST,    /* stored already */
        CHOICE_NEXT_UPLOAD,
        CHOICE_NEXT_CLEAR, /* to be uploaded, but another update stands in the way */
};

struct choice {
        enum choice_next next;
        struct choice_image images[GW_PARTS_MAX]; /* one an image number, in order of the numbers */
        size_t n_images;
};

/* What a choice is made from. */
struct choice_question {
        const struct gw_order *order;
        enum verdict_family family;
        const struct gw_image *images; /* as the device lists them now */
        size_t n_images;
        const struct smp_slot_info *slots; /* NULL = not known */
        bool no_downgrade;                 /* the bootloader refuses lower versions */
        uint16_t chosen;                   /* bits of order->wanted chosen earlier in this job, 0 = none yet */
};

/* 0, or -EINVAL with `smp-image-address`: no file is linked for the slot that is free; `internal-error`: nothing is wanted. */
int choice_make(const struct choice_question *question, struct choice *ret_choice, struct gw_error *err);

/* May this be done? Before a byte goes out: `downgrade`, `image-too-large`, `rollback-image-gone`, `rollback-not-possible`, by
 * -EPERM, -EFBIG, -ENOENT. Does not ask whether the mode is possible (verdict_way). */
int choice_check(const struct choice_question *question, const struct choice *choice, struct gw_error *err);

/* Bits of order->wanted that the choice uses. */
uint16_t choice_mask(const struct choice *choice);
/* Bytes that would go out. */
uint64_t choice_upload_bytes(const struct choice *choice, const struct gw_order *order);

/* Several images of an nRF5340: its network core cannot be taken back. `board` may be NULL. */
bool choice_cannot_revert(const struct choice *choice, const char *board);

/* Size of the slot that an upload of this image fills, 0 = not known. */
uint32_t choice_slot_bytes(const struct choice_question *question, uint8_t image);

/* <0, 0, >0 for "1.2.3", "1.2.3+4", "1.2.3.4"; 0 and `*ret_known` false when one of them is no version. */
int choice_version_compare(const char *a, const char *b, bool *ret_known);

/* How long a device may be away after a reset that exchanges this many bytes. `factor_percent` 100 = as estimated for internal
 * flash: 250 ms for each 4 KiB. */
int64_t choice_return_ms(uint64_t bytes, int64_t base_ms, int64_t factor_percent);
