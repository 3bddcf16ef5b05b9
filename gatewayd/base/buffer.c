/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <errno.h>
#include <string.h>

void buffer_init(struct buffer *buffer, size_t limit_bytes) {
        *buffer = BUFFER_INIT(limit_bytes);
}

void buffer_deinit(struct buffer *buffer) {
        free(buffer->memory);
        *buffer = BUFFER_INIT(buffer->limit);
}

/* Makes room for size more bytes behind the last one: by moving what is there, or with more memory. */
static int buffer_grow(struct buffer *buffer, size_t size) {
        size_t needed = buffer->size + size, capacity;
        uint8_t *memory;

        if (size > buffer_room(buffer))
                return -E2BIG;
        if (buffer->start + needed <= buffer->capacity)
                return 0;
        if (needed <= buffer->capacity) {
                memmove(buffer->memory, buffer->memory + buffer->start, buffer->size);
                buffer->start = 0;
                return 0;
        }
        capacity = MIN(MAX(MAX(needed, buffer->capacity * 2), (size_t) 256), buffer->limit);
        memory = malloc(capacity);
        if (!memory)
                return -ENOMEM;
        if (buffer->size > 0)
                memcpy(memory, buffer->memory + buffer->start, buffer->size);
        free(buffer->memory);
        buffer->memory = memory;
        buffer->start = 0;
        buffer->capacity = capacity;
        return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t size) {
        int r = buffer_grow(buffer, size);

        if (r < 0)
                return r;
        if (size > 0)
                memcpy(buffer->memory + buffer->start + buffer->size, data, size);
        buffer->size += size;
        return 0;
}

int buffer_reserve(struct buffer *buffer, size_t min_bytes, uint8_t **ret_space, size_t *ret_space_bytes) {
        size_t wanted = MIN(min_bytes, buffer_room(buffer));
        int r;

        if (wanted == 0)
                return -E2BIG;
        r = buffer_grow(buffer, wanted);
        if (r < 0)
                return r;
        *ret_space = buffer->memory + buffer->start + buffer->size;
        *ret_space_bytes = buffer->capacity - buffer->start - buffer->size;
        return 0;
}

void buffer_commit(struct buffer *buffer, size_t size) {
        buffer->size += MIN(size, buffer->capacity - buffer->start - buffer->size);
}

void buffer_consume(struct buffer *buffer, size_t size) {
        size = MIN(size, buffer->size);
        buffer->start += size;
        buffer->size -= size;
        if (buffer->size == 0)
                buffer->start = 0;
}

void buffer_clear(struct buffer *buffer) {
        buffer_consume(buffer, buffer->size);
}

const uint8_t *buffer_data(const struct buffer *buffer) {
        return buffer->memory ? buffer->memory + buffer->start : (const uint8_t *) "";
}

size_t buffer_size(const struct buffer *buffer) {
        return buffer->size;
}

size_t buffer_room(const struct buffer *buffer) {
        return buffer->limit - buffer->size;
}

ssize_t buffer_find(const struct buffer *buffer, uint8_t byte) {
        const uint8_t *data = buffer_data(buffer);
        const uint8_t *found = buffer->size > 0 ? memchr(data, byte, buffer->size) : NULL;

        return found ? found - data : -1;
}
