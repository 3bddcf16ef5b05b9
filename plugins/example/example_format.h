/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files that this driver takes: one line of text, then anything.
 *
 *     gatewayd-example 1.2.0 acme,folder\n
 *
 * i.e. version and hardware. The hash of a file is the SHA-256 of all of it. A format is only needed for files that no other
 * plugin reads.
 */

#include <gatewayd/plugin.h>

extern const struct gw_format example_format;

struct example_file {
        uint64_t size; /* bytes */
        uint8_t sha256[32];
        char version[GW_VERSION_MAX]; /* this and the next are empty in a file without that line */
        char model[GW_MODEL_MAX];
};

/* Reads and hashes the file from its beginning; blocks, so only on a worker. Negative errno of pread(). */
int example_file_read(int fd, struct example_file *ret_file);
