/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One MCUboot image, read and checked whole: header, entries, hash recomputed, signatures held against the configured keys,
 * padding found. Used for a file by itself and for every image in a package.
 *
 * The order of the checks is the order in which a person wants to hear of them: no image at all, cut off, malformed, changed on
 * the way, signed by the wrong party.
 */

#include "common/mcuboot/keys.h"
#include "common/mcuboot/signature.h"
#include "common/mcuboot/tlv.h"

#define MCUBOOT_FILE_MAX (64ull << 20)

/* What follows the image in its file. */
enum mcuboot_padding {
        MCUBOOT_PADDING_NONE,
        MCUBOOT_PADDING_BLANK,   /* erased flash */
        MCUBOOT_PADDING_TRAILER, /* up to the size of a slot, with the mark that makes the image pending */
};

struct mcuboot_image {
        struct mcuboot_header header;
        struct mcuboot_tlvs tlvs;
        uint64_t size; /* bytes of the image itself, without padding */
        enum mcuboot_padding padding;
        uint64_t padding_size;
        uint8_t sha256[32];             /* of those `size` bytes */
        bool hash_checked;              /* false: the body is encrypted, the hash is of the plain one */
        uint32_t reset_vector;          /* where the code begins, by the vector table of a Cortex-M; 0 = there is none to be seen */
        struct mcuboot_verdict verdict; /* key_name lent from the options */
};

/*
 * Reads the image at the start of `source` with the policy of `options` (NULL: no keys). Names: not-mcuboot, image-truncated,
 * file-too-large, image-malformed, image-encrypted-key-missing, image-hash-missing, image-hash-mismatch, image-trailing-data,
 * image-signature-missing, image-signature-invalid, image-signature-not-checkable, image-key-unknown, image-key-invalid.
 */
int mcuboot_image_read(const struct source *source, const struct gw_format_options *options, struct mcuboot_image *ret_image,
                       struct gw_error *err);

/* Fills what the image itself tells of a part; image number, slot and name stay. fd and offset come from the source. */
void mcuboot_image_part(const struct mcuboot_image *image, const struct source *source, struct gw_part *part);

/* Facts and warnings for people; `label` is "", or "image 1" inside a package of several. What does not fit is left out. */
void mcuboot_image_describe(const struct mcuboot_image *image, const char *label, struct gw_package *package);

/* Adds the dependencies: "image `of_image` wants `image` to be at least `minimum`". image-malformed when they do not all fit. */
int mcuboot_image_dependencies(const struct mcuboot_image *image, uint8_t of_image, struct gw_package *package, struct gw_error *err);
