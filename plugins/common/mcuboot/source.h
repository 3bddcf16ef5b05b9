/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A range of an open file as the thing that is read: a file by itself, or a stored entry inside a zip. Every access is a
 * bounded pread(): the file offset, which other holders of the descriptor share, is never moved. The source lends the
 * descriptor and owns nothing.
 *
 * Also the two ways in which a reader of files says no: refuse() for what the bytes say, source_failed() for the machine.
 */

#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#define SOURCE_PIECE 16384u /* bytes read at a time */

struct source {
        int fd;
        uint64_t offset; /* first byte in fd */
        uint64_t size;   /* bytes */
};

/* Exactly `size` bytes at `at`. -ENODATA beyond the end of the source, or when the file became shorter; negative errno of pread(). */
int source_read(const struct source *source, uint64_t at, void *buffer, size_t size);

/* Calls `piece` for [from, to) in order, until it returns < 0, which is then the result. */
int source_each(const struct source *source, uint64_t from, uint64_t to, int (*piece)(void *ctx, const uint8_t *data, size_t size),
                void *ctx);

/* Little-endian numbers, as they stand in both formats. */
static inline uint16_t source_get16(const uint8_t *bytes) {
        return (uint16_t) (bytes[0] | bytes[1] << 8);
}

static inline uint32_t source_get32(const uint8_t *bytes) {
        return (uint32_t) source_get16(bytes) | (uint32_t) source_get16(bytes + 2) << 16;
}

/* Names what is wrong with the file; always -EBADMSG, so that a check ends with `return refuse(...)`. */
GW_PRINTF(3, 4) int refuse(struct gw_error *err, const char *name, const char *format, ...);

/* Names a failure that the file is not guilty of (reading, memory, scratch space) and gives back `result`. */
int source_failed(struct gw_error *err, int result, const char *doing);
