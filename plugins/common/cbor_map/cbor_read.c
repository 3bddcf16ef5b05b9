/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cbor_map/cbor_map.h"

#include <errno.h>
#include <string.h>

const struct cbor_item *cbor_map_root(const struct cbor_map *map) {
        return &map->items[0];
}

static const struct cbor_item *item_at(const struct cbor_map *map, const struct cbor_item *container, size_t index) {
        return index < container->end ? &map->items[index] : NULL;
}

const struct cbor_item *cbor_map_first(const struct cbor_map *map, const struct cbor_item *container) {
        if (container->kind != CBOR_KIND_MAP && container->kind != CBOR_KIND_ARRAY)
                return NULL;
        return item_at(map, container, (size_t) (container - map->items) + 1);
}

const struct cbor_item *cbor_map_next(const struct cbor_map *map, const struct cbor_item *container, const struct cbor_item *item) {
        return item_at(map, container, item->end);
}

bool cbor_item_is_text(const struct cbor_item *item, const char *text) {
        size_t size = strlen(text);

        return item->kind == CBOR_KIND_TEXT && item->size == size && memcmp(item->bytes, text, size) == 0;
}

const struct cbor_item *cbor_map_find(const struct cbor_map *map, const struct cbor_item *parent, const char *key) {
        const struct cbor_item *item;

        if (!parent)
                parent = cbor_map_root(map);
        if (parent->kind != CBOR_KIND_MAP)
                return NULL;
        item = cbor_map_first(map, parent);
        while (item) {
                const struct cbor_item *value = cbor_map_next(map, parent, item);

                if (!value || cbor_item_is_text(item, key))
                        return value;
                item = cbor_map_next(map, parent, value);
        }
        return NULL;
}

int cbor_item_int(const struct cbor_item *item, int64_t *ret) {
        uint64_t number = item->number > INT64_MAX ? INT64_MAX : item->number;

        if (item->kind == CBOR_KIND_UINT)
                *ret = (int64_t) number;
        else if (item->kind == CBOR_KIND_NEGATIVE)
                *ret = -1 - (int64_t) number;
        else
                return -EINVAL;
        return 0;
}

int cbor_map_get_uint(const struct cbor_map *map, const struct cbor_item *parent, const char *key, uint64_t max, uint64_t *ret) {
        const struct cbor_item *item = cbor_map_find(map, parent, key);

        if (!item)
                return -ENOENT;
        if (item->kind == CBOR_KIND_NEGATIVE)
                return -ERANGE;
        if (item->kind != CBOR_KIND_UINT)
                return -EINVAL;
        if (item->number > max)
                return -ERANGE;
        *ret = item->number;
        return 0;
}

int cbor_map_get_int(const struct cbor_map *map, const struct cbor_item *parent, const char *key, int64_t *ret) {
        const struct cbor_item *item = cbor_map_find(map, parent, key);

        return item ? cbor_item_int(item, ret) : -ENOENT;
}

int cbor_map_get_bool(const struct cbor_map *map, const struct cbor_item *parent, const char *key, bool *ret) {
        const struct cbor_item *item = cbor_map_find(map, parent, key);

        if (!item)
                return -ENOENT;
        if (item->kind != CBOR_KIND_BOOL)
                return -EINVAL;
        *ret = item->number != 0;
        return 0;
}

int cbor_map_get_bytes(const struct cbor_map *map, const struct cbor_item *parent, const char *key, const uint8_t **ret, size_t *ret_size) {
        const struct cbor_item *item = cbor_map_find(map, parent, key);

        if (!item)
                return -ENOENT;
        if (item->kind != CBOR_KIND_BYTES)
                return -EINVAL;
        *ret = item->bytes;
        *ret_size = item->size;
        return 0;
}

static void copy_printable(char *ret, const uint8_t *bytes, size_t size) {
        for (size_t i = 0; i < size; i++)
                ret[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char) bytes[i] : '?';
        ret[size] = '\0';
}

static int copy_text(const struct cbor_item *item, char *ret, size_t room, bool cut) {
        size_t size;

        if (!item)
                return -ENOENT;
        if (item->kind != CBOR_KIND_TEXT)
                return -EINVAL;
        size = item->size;
        if (size >= room) {
                if (!cut)
                        return -ERANGE;
                size = room - 1;
        }
        copy_printable(ret, item->bytes, size);
        return 0;
}

int cbor_map_get_text(const struct cbor_map *map, const struct cbor_item *parent, const char *key, char *ret, size_t room) {
        return copy_text(cbor_map_find(map, parent, key), ret, room, false);
}

int cbor_map_get_text_cut(const struct cbor_map *map, const struct cbor_item *parent, const char *key, char *ret, size_t room) {
        return copy_text(cbor_map_find(map, parent, key), ret, room, true);
}
