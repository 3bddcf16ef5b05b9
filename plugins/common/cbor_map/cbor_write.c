/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cbor_map/cbor_map.h"

#include <string.h>

enum major { MAJOR_UINT = 0, MAJOR_NEGATIVE = 1, MAJOR_BYTES = 2, MAJOR_TEXT = 3, MAJOR_ARRAY = 4, MAJOR_MAP = 5, MAJOR_SIMPLE = 7 };

size_t cbor_head_size(uint64_t value) {
        if (value < 24)
                return 1;
        if (value <= UINT8_MAX)
                return 2;
        if (value <= UINT16_MAX)
                return 3;
        return value <= UINT32_MAX ? 5 : 9;
}

static uint8_t *room(struct cbor_writer *writer, size_t size) {
        uint8_t *at;

        if (writer->overflow || size > writer->capacity - writer->size) {
                writer->overflow = true;
                return NULL;
        }
        at = writer->data + writer->size;
        writer->size += size;
        return at;
}

static void write_head(struct cbor_writer *writer, enum major major, uint64_t value) {
        static const uint8_t extra[] = { [2] = 24, [3] = 25, [5] = 26, [9] = 27 };
        size_t size = cbor_head_size(value);
        uint8_t *at = room(writer, size);

        if (!at)
                return;
        at[0] = (uint8_t) (major << 5 | (size == 1 ? (uint8_t) value : extra[size]));
        for (size_t i = size - 1; i > 0; i--, value >>= 8)
                at[i] = (uint8_t) value;
}

static void write_string(struct cbor_writer *writer, enum major major, const void *data, size_t size) {
        uint8_t *at;

        write_head(writer, major, size);
        at = room(writer, size);
        if (at && size > 0)
                memcpy(at, data, size);
}

void cbor_write_map(struct cbor_writer *writer, size_t n_pairs) {
        write_head(writer, MAJOR_MAP, n_pairs);
}

void cbor_write_array(struct cbor_writer *writer, size_t n_items) {
        write_head(writer, MAJOR_ARRAY, n_items);
}

void cbor_write_uint(struct cbor_writer *writer, uint64_t value) {
        write_head(writer, MAJOR_UINT, value);
}

void cbor_write_int(struct cbor_writer *writer, int64_t value) {
        if (value >= 0)
                write_head(writer, MAJOR_UINT, (uint64_t) value);
        else
                write_head(writer, MAJOR_NEGATIVE, (uint64_t) (-1 - value));
}

void cbor_write_bool(struct cbor_writer *writer, bool value) {
        write_head(writer, MAJOR_SIMPLE, value ? 21 : 20);
}

void cbor_write_text(struct cbor_writer *writer, const char *text) {
        write_string(writer, MAJOR_TEXT, text, strlen(text));
}

void cbor_write_bytes(struct cbor_writer *writer, const void *data, size_t size) {
        write_string(writer, MAJOR_BYTES, data, size);
}

uint8_t *cbor_write_bytes_room(struct cbor_writer *writer, size_t size) {
        write_head(writer, MAJOR_BYTES, size);
        return room(writer, size);
}
