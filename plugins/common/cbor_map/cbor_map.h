/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reads one CBOR map that a peer sent, into a flat table of fixed size: no allocation, no recursion, every number bounded.
 * Built on libcbor's callback decoder only (its tree builder allocates what a length field claims).
 *
 * The table lies in struct cbor_map, usually on the caller's stack (about 12 KiB, of which only what is used is touched). Texts and
 * byte strings point into the input, which must outlive the table; strings that came in pieces are joined in the table itself.
 * Also a small writer for definite maps in shortest form.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CBOR_MAP_INPUT_MAX 65536  /* bytes */
#define CBOR_MAP_ITEMS_MAX 512    /* keys and values, on all levels */
#define CBOR_MAP_DEPTH_MAX 8      /* levels, the outer map is the first */
#define CBOR_MAP_STRING_MAX 16384 /* bytes of one string */
#define CBOR_MAP_JOINED_MAX 1024  /* bytes of all strings that came in pieces */

enum cbor_kind {
        CBOR_KIND_UINT,
        CBOR_KIND_NEGATIVE, /* value is -1 - number */
        CBOR_KIND_BYTES,
        CBOR_KIND_TEXT, /* not checked for UTF-8 */
        CBOR_KIND_ARRAY,
        CBOR_KIND_MAP,
        CBOR_KIND_BOOL,
        CBOR_KIND_OTHER, /* null, undefined, floats */
};

struct cbor_item {
        uint8_t kind; /* enum cbor_kind */
        uint8_t depth;
        uint16_t end;  /* index of the first item behind this one and all that is inside */
        uint32_t size; /* bytes of a string */
        union {
                uint64_t number;      /* integers; bool as 0 or 1 */
                const uint8_t *bytes; /* strings; not terminated */
        };
};

struct cbor_map {
        size_t n_items;
        size_t n_joined;
        size_t size; /* bytes of the input that the map took; more may follow and is not looked at */
        struct cbor_item items[CBOR_MAP_ITEMS_MAX];
        uint8_t joined[CBOR_MAP_JOINED_MAX];
};

/* -EBADMSG: no map, cut off or malformed. -E2BIG: a limit. On failure the table holds nothing usable. Tags are skipped. */
int cbor_map_parse(struct cbor_map *map, const void *data, size_t size);
/* An empty map. */
void cbor_map_clear(struct cbor_map *map);

/* The outer map. */
const struct cbor_item *cbor_map_root(const struct cbor_map *map);
/* First and next item directly inside an array or map (in a map: key, value, key, …); NULL at the end. */
const struct cbor_item *cbor_map_first(const struct cbor_map *map, const struct cbor_item *container);
const struct cbor_item *cbor_map_next(const struct cbor_map *map, const struct cbor_item *container, const struct cbor_item *item);
/* Value of a text key; the first if there are several; NULL if absent or `parent` is no map. `parent` NULL = the outer map. */
const struct cbor_item *cbor_map_find(const struct cbor_map *map, const struct cbor_item *parent, const char *key);

/* -ENOENT absent, -EINVAL another kind, -ERANGE out of range or longer than the room. */
int cbor_map_get_uint(const struct cbor_map *map, const struct cbor_item *parent, const char *key, uint64_t max, uint64_t *ret);
int cbor_map_get_int(const struct cbor_map *map, const struct cbor_item *parent, const char *key, int64_t *ret);
int cbor_map_get_bool(const struct cbor_map *map, const struct cbor_item *parent, const char *key, bool *ret);
int cbor_map_get_bytes(const struct cbor_map *map, const struct cbor_item *parent, const char *key, const uint8_t **ret, size_t *ret_size);
/* Copies and terminates; what is not printable ASCII becomes '?' (a NUL, too). */
int cbor_map_get_text(const struct cbor_map *map, const struct cbor_item *parent, const char *key, char *ret, size_t room);
/* As get_text, but what does not fit is cut off. */
int cbor_map_get_text_cut(const struct cbor_map *map, const struct cbor_item *parent, const char *key, char *ret, size_t room);

/* Value of an integer item, saturated. -EINVAL when it is none. */
int cbor_item_int(const struct cbor_item *item, int64_t *ret);
bool cbor_item_is_text(const struct cbor_item *item, const char *text);

/* ---- writer: appends to memory of the caller; after an overflow nothing is written any more and `overflow` stays set. */

struct cbor_writer {
        uint8_t *data;
        size_t size, capacity;
        bool overflow;
};

#define CBOR_WRITER(memory, bytes) ((struct cbor_writer){ .data = (memory), .capacity = (bytes) })

void cbor_write_map(struct cbor_writer *writer, size_t n_pairs);
void cbor_write_array(struct cbor_writer *writer, size_t n_items);
void cbor_write_uint(struct cbor_writer *writer, uint64_t value);
void cbor_write_int(struct cbor_writer *writer, int64_t value);
void cbor_write_bool(struct cbor_writer *writer, bool value);
void cbor_write_text(struct cbor_writer *writer, const char *text);
void cbor_write_bytes(struct cbor_writer *writer, const void *data, size_t size);
/* Head of a byte string of `size` bytes and room for them: returns where to put them, NULL on overflow. */
uint8_t *cbor_write_bytes_room(struct cbor_writer *writer, size_t size);
/* Bytes that a head (of an integer, a string length) takes: 1, 2, 3, 5 or 9. */
size_t cbor_head_size(uint64_t value);
