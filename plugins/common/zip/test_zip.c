/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zip/test_zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zip.h>

#define BLOCK_MAX 65535u

struct out {
        uint8_t *bytes;
        size_t size;
};

static void put(struct out *out, const void *bytes, size_t size) {
        out->bytes = realloc(out->bytes, out->size + size + 1);
        if (!out->bytes)
                abort();
        if (size > 0)
                memcpy(out->bytes + out->size, bytes, size);
        out->size += size;
}

static void put_number(struct out *out, uint64_t value, size_t size) {
        for (size_t i = 0; i < size; i++)
                put(out, &(uint8_t){(uint8_t) (value >> (8 * i))}, 1);
}

static uint32_t crc32_of(const uint8_t *data, size_t size) {
        uint32_t crc = 0xffffffff;
        for (size_t i = 0; i < size; i++) {
                crc ^= data[i];
                for (unsigned bit = 0; bit < 8; bit++)
                        crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
        }
        return ~crc;
}

static void put_blocks(struct out *out, const uint8_t *data, size_t size) {
        do {
                size_t n = size < BLOCK_MAX ? size : BLOCK_MAX;
                put_number(out, n == size, 1);
                put_number(out, n, 2);
                put_number(out, ~n, 2);
                put(out, data, n);
                data += n;
                size -= n;
        } while (size > 0);
}

struct place {
        size_t header, packed_size;
};

/* What both headers have alike, from the flags to the sizes. */
static void put_common(struct out *out, const struct test_entry *entry, size_t packed_size) {
        put_number(out, 20, 2);
        put_number(out, entry->flags, 2);
        put_number(out, entry->method ? entry->method : entry->deflated ? 8 : 0, 2);
        put_number(out, 0, 4);
        put_number(out, crc32_of(entry->data, entry->size) + entry->crc_change, 4);
        put_number(out, packed_size, 4);
        put_number(out, entry->size + entry->size_change, 4);
}

static size_t name_size(const struct test_entry *entry) {
        return entry->name_size ? entry->name_size : strlen(entry->name);
}

static struct place put_local(struct out *out, const struct test_entry *entry) {
        struct place place = {.header = out->size};
        struct out packed = {};
        if (entry->deflated)
                put_blocks(&packed, entry->data, entry->size);
        else
                put(&packed, entry->data, entry->size);
        place.packed_size = packed.size;
        put(out, "PK\3\4", 4);
        put_common(out, entry, packed.size);
        put_number(out, entry->local_name ? strlen(entry->local_name) : name_size(entry), 2);
        put_number(out, 0, 2);
        put(out, entry->local_name ? entry->local_name : entry->name, entry->local_name ? strlen(entry->local_name) : name_size(entry));
        put(out, packed.bytes, packed.size);
        free(packed.bytes);
        return place;
}

static void put_central(struct out *out, const struct test_entry *entry, const struct place *place) {
        put(out, "PK\1\2", 4);
        put_number(out, 0x0314, 2);
        put_common(out, entry, place->packed_size);
        put_number(out, name_size(entry), 2);
        put_number(out, 0, 2 + 2 + 2 + 2);
        put_number(out, (uint32_t) entry->mode << 16, 4);
        put_number(out, place->header, 4);
        put(out, entry->name, name_size(entry));
}

uint8_t *test_zip_make(const struct test_entry *entries, size_t n_entries, size_t *ret_size) {
        struct place *places = calloc(n_entries + 1, sizeof *places);
        struct out out = {};
        size_t start, end;
        if (!places)
                abort();
        for (size_t i = 0; i < n_entries; i++)
                places[i] = entries[i].on_previous ? places[i - 1] : put_local(&out, &entries[i]);
        start = out.size;
        for (size_t i = 0; i < n_entries; i++)
                put_central(&out, &entries[i], &places[i]);
        end = out.size;
        put(&out, "PK\5\6", 4);
        put_number(&out, 0, 4);
        put_number(&out, n_entries, 2);
        put_number(&out, n_entries, 2);
        put_number(&out, end - start, 4);
        put_number(&out, start, 4);
        put_number(&out, 0, 2);
        free(places);
        *ret_size = out.size;
        return out.bytes;
}

/* Takes what libzip wrote into the buffer behind `source`. */
static uint8_t *source_take(zip_source_t *source, size_t *ret_size) {
        zip_stat_t status;
        uint8_t *bytes;
        if (zip_source_stat(source, &status) < 0 || zip_source_open(source) < 0 || !(bytes = malloc(status.size)))
                abort();
        if (zip_source_read(source, bytes, status.size) != (zip_int64_t) status.size)
                abort();
        zip_source_close(source);
        *ret_size = status.size;
        return bytes;
}

uint8_t *test_zip_bomb(const char *name, size_t size, size_t *ret_size) {
        zip_source_t *target = zip_source_buffer_create(NULL, 0, 0, NULL), *zeros;
        void *data = calloc(1, size);
        uint8_t *bytes;
        zip_t *zip;
        if (!target || !data)
                abort();
        zip_source_keep(target);
        zip = zip_open_from_source(target, ZIP_CREATE | ZIP_TRUNCATE, NULL);
        if (!zip || !(zeros = zip_source_buffer(zip, data, size, 0)) || zip_file_add(zip, name, zeros, 0) < 0 || zip_close(zip) < 0)
                abort();
        bytes = source_take(target, ret_size);
        zip_source_free(target);
        free(data);
        return bytes;
}
