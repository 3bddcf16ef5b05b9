/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes in flight with a limit: appended at the end, consumed at the front. Used for every stream that a peer fills
 * (control socket, serial line, output of a program). Embedded by value; owns its memory.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"

struct buffer {
        uint8_t *memory;
        size_t start; /* first unconsumed byte */
        size_t size;  /* unconsumed bytes */
        size_t capacity;
        size_t limit;
};

#define BUFFER_INIT(limit_bytes) ((struct buffer){.limit = (limit_bytes)})

void buffer_init(struct buffer *buffer, size_t limit_bytes);
void buffer_deinit(struct buffer *buffer);

/* -E2BIG when the limit would be passed (nothing is appended), -ENOMEM. */
int buffer_append(struct buffer *buffer, const void *data, size_t size);

/*
 * Room for writing: at least min_bytes (at most what the limit leaves) are made available at *ret_space; what was written is
 * then counted with buffer_commit(). -E2BIG, -ENOMEM.
 */
int buffer_reserve(struct buffer *buffer, size_t min_bytes, uint8_t **ret_space, size_t *ret_space_bytes);
void buffer_commit(struct buffer *buffer, size_t size);

/* Drops bytes at the front (at most what is there). An empty buffer keeps its memory; buffer_clear() keeps it, too. */
void buffer_consume(struct buffer *buffer, size_t size);
void buffer_clear(struct buffer *buffer);

/* The unconsumed bytes; valid until the next append or reserve. Not NULL, even when empty. */
const uint8_t *buffer_data(const struct buffer *buffer);
size_t buffer_size(const struct buffer *buffer);
/* Bytes that can still be appended. */
size_t buffer_room(const struct buffer *buffer);
/* Offset of a byte, or -1. */
ssize_t buffer_find(const struct buffer *buffer, uint8_t byte);

#define _cleanup_buffer_ _cleanup_(buffer_deinit)
