/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A firmware file on this machine: its bytes, and what the readers of formats say of it. Without a daemon.
 */

#include "failure.h"
#include "trust/digest.h"

struct firmware {
        const char *path; /* lent */
        uint64_t size;
        uint8_t sha256[DIGEST_SIZE];
        bool known; /* some reader here knows the format; else a plugin on the gateway may */
        char format[32];
        char version[GW_VERSION_MAX];
        char compatible[8][GW_MODEL_MAX];
        size_t n_compatible;
        size_t n_images;
};

/* Err: file-unreadable, and those of a format that was recognised and could not be read. */
int firmware_read(const char *path, struct firmware *ret_firmware, struct failure *failure);
