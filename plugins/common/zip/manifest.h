/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * manifest.json of a package of the nRF Connect SDK: which file is for which image of the device, and for which board. The build
 * writes numbers now as numbers, now as strings, so both are read. Members that are not needed are skipped: the format is not ours.
 *
 * A manifest is a plain value.
 */

#include <gatewayd/plugin.h>

#include "base/json.h"

#define MANIFEST_NAME "manifest.json"
#define MANIFEST_SIZE_MAX (64u << 10)

enum manifest_purpose {
        MANIFEST_APPLICATION, /* images that MCUboot installs */
        MANIFEST_BOOTLOADER,  /* images of MCUboot itself */
        MANIFEST_SUIT,        /* SUIT envelopes and their caches */
};

struct manifest_file {
        char file[64];
        char board[GW_MODEL_MAX];     /* "" = not told */
        char version[GW_VERSION_MAX]; /* "" = not told; the header of the image decides */
        uint8_t image;
        int8_t slot; /* -1 any */
        bool has_size;
        uint64_t size;
        enum manifest_purpose purpose;
};

struct manifest {
        char name[64];
        struct manifest_file files[GW_PARTS_MAX];
        size_t n_files;
        enum manifest_purpose purpose; /* of the whole: application only when every file is one */
};

/* manifest-invalid, zip-path (a `file` that is no plain name), part-duplicate: -EBADMSG. */
int manifest_parse(const char *text, size_t size, struct manifest *ret_manifest, struct gw_error *err);
/* The same for a text that is parsed already. */
int manifest_read(const struct json *root, struct manifest *ret_manifest, struct gw_error *err);
