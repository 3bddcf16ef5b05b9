/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as a CBOR map: the table must be consistent, every walk over it must end, and a second parse must give the same. */

#include "common/cbor_map/cbor_map.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct cbor_map *map, const struct cbor_item *container) {
        size_t n = 1;

        for (const struct cbor_item *item = cbor_map_first(map, container); item; item = cbor_map_next(map, container, item)) {
                if (item->end <= item - map->items || item->end > container->end || item->depth != container->depth + 1)
                        abort();
                n += walk(map, item);
        }
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct cbor_map map;
        char text[32];
        int64_t number;

        if (cbor_map_parse(&map, data, size) < 0)
                return 0;
        if (map.size > size || walk(&map, cbor_map_root(&map)) != map.n_items)
                abort();
        cbor_map_get_int(&map, NULL, "rc", &number);
        cbor_map_get_text_cut(&map, cbor_map_find(&map, NULL, "err"), "rsn", text, sizeof text);
        return 0;
}
