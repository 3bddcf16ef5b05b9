/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the image lists of a device mean. Pure functions over the state list read before a reset, the one read after it, the kind
 * of bootloader and the mode: nothing here talks to a device, so every row is a line of a table test.
 *
 * F7..F15 are the field failures listed in README.md, "Errors".
 */

#include <gatewayd/plugin.h>

#include "common/smp/probe.h"

/* What matters of the bootloader's mode (enum smp_boot_mode). */
enum verdict_family {
        VERDICT_FAMILY_SWAP,        /* two slots, swapped, goes back unless confirmed; also what is assumed when nothing is known */
        VERDICT_FAMILY_OVERWRITE,   /* two slots, copied over, no way back */
        VERDICT_FAMILY_XIP,         /* two slots, the higher version runs where it lies; no marks, no way back */
        VERDICT_FAMILY_XIP_REVERT,  /* two slots, runs where it lies, an unconfirmed image is erased */
        VERDICT_FAMILY_RECOVERY,    /* the bootloader's own serial recovery writes the one slot */
        VERDICT_FAMILY_UNSUPPORTED, /* firmware loader: needs a reboot into another program and another address */
};

/* `mode` as the device answered it (SMP_BOOT_UNKNOWN when it did not); an image list in which nothing is active comes
 * from a bootloader, since an application always finds itself running. */
enum verdict_family verdict_family(int mode, const struct gw_image *images, size_t n_images);

/* Short words for notes and texts: "swap using move". Never NULL. */
const char *verdict_bootloader_name(int mode);

/* Can the bootloader go back to the old image by itself? */
bool verdict_can_revert(enum verdict_family family);
/* Are images marked by a state write before the reset? */
bool verdict_marks(enum verdict_family family);

/* The step from which there is no return. */
enum verdict_no_return {
        VERDICT_NO_RETURN_NEVER,
        VERDICT_NO_RETURN_UPLOAD, /* before the first chunk */
        VERDICT_NO_RETURN_TEST,
        VERDICT_NO_RETURN_RESET,
        VERDICT_NO_RETURN_CONFIRM,
};

/* How an order is carried out on one kind of bootloader, and what its success proves. */
struct verdict_way {
        enum gw_mode mode; /* the one really used */
        enum verdict_no_return no_return;
        bool permanent; /* the mark before the reset is "confirm", not "test" */
        enum gw_result result;
        enum gw_proof proof;
        const char *text; /* what a person must know beforehand; "" = nothing */
};

/* 0; -EOPNOTSUPP with `mode-not-supported` or `smp-bootloader-unsupported`. `cannot_revert`: this device's images cannot be taken
 * back though the bootloader swaps (several images on an nRF5340). */
int verdict_way(enum gw_mode mode, enum verdict_family family, bool cannot_revert, struct verdict_way *ret_way, struct gw_error *err);

/* The image that runs. Old servers flag only their own core's image: with `assume_first` an image without any active flag is taken
 * to run from its slot 0, as long as another one is flagged. NULL when none. */
const struct gw_image *verdict_running(const struct gw_image *images, size_t n_images, uint8_t image, bool assume_first);
/* The entry of this image with this hash, in whatever slot; the running one first. NULL when none. */
const struct gw_image *verdict_find(const struct gw_image *images, size_t n_images, uint8_t image, const uint8_t *hash, size_t hash_size);
bool verdict_any_active(const struct gw_image *images, size_t n_images);
bool verdict_hash_is(const struct gw_image *entry, const uint8_t *hash, size_t hash_size);

enum verdict_outcome {
        VERDICT_CONFIRMED,        /* the new image runs and stays */
        VERDICT_ACTIVE,           /* the new image runs; nothing says whether it stays, and nothing could change it */
        VERDICT_ON_TRIAL,         /* F12: the new image runs, the next reset takes it back */
        VERDICT_UNREADABLE,       /* an image that the device can never list (another core's) was taken: no proof possible */
        VERDICT_SWAP_REFUSED,     /* F9 */
        VERDICT_REJECTED,         /* F10 */
        VERDICT_REVERTED,         /* F11, not seen running */
        VERDICT_RAN_AND_REVERTED, /* F11, seen running */
        VERDICT_NOT_CHOSEN,       /* direct-XIP: the bootloader prefers the old one */
        VERDICT_OTHER_RUNS,       /* neither the old nor the new one */
        VERDICT_IN_RECOVERY,      /* nothing runs: the bootloader itself answers */
};

/* One image's question after a reset. */
struct verdict_question {
        enum verdict_family family;
        uint8_t image;
        const uint8_t *hash;
        uint8_t hash_size;
        const struct gw_image *before; /* as read before the reset; may be empty when nobody noted it */
        size_t n_before;
        const struct gw_image *after;
        size_t n_after;
        bool seen_on_trial; /* the new image was seen running, unconfirmed */
        uint32_t n_resets;  /* resets since it was marked */
};

enum verdict_outcome verdict_after_reset(const struct verdict_question *question);
/* Everything but confirmed, active, on trial and unreadable. */
bool verdict_failed(enum verdict_outcome outcome);
/* Name and text of a failed outcome. */
void verdict_explain(enum verdict_outcome outcome, const struct verdict_question *question, struct gw_error *err);

/* F7, F8, F15: does the list that a state write answered (or that was read after an upload), `question->after`, show what was asked
 * for? 0, or -EPROTO with the name: F8 `smp-stored-image-missing` when the hash is in no slot, F15 `smp-test-ignored` when it is not
 * flagged. */
int verdict_stored(const struct verdict_question *question, struct gw_error *err);
int verdict_marked(const struct verdict_question *question, bool permanent, struct gw_error *err);

/* What silence means. */
enum verdict_silence_where {
        VERDICT_SILENCE_PROBE,        /* nothing was ever answered on this link */
        VERDICT_SILENCE_LONG_REQUEST, /* short requests are answered, the first long one is not (F20) */
        VERDICT_SILENCE_UPLOAD,       /* answers stopped in the middle */
        VERDICT_SILENCE_REQUEST,      /* a short request after others were answered */
        VERDICT_SILENCE_AFTER_RESET,  /* F13 */
};

struct verdict_silence {
        enum verdict_silence_where where;
        bool serial;
        uint64_t bytes_heard;  /* bytes of any kind since the link was opened */
        uint64_t frames_heard; /* whole SMP frames */
        bool reverts;          /* a power cycle takes the device back to its old image */
        bool shortened;        /* requests were already cut to the smallest size */
        bool gone;             /* after the long request not even short ones are answered */
        int64_t waited_ms;
};

/* The name and the text for a silence. */
void verdict_silence(const struct verdict_silence *silence, struct gw_error *err);
