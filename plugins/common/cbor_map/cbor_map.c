/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cbor_map/cbor_map.h"

#include <cbor.h>
#include <errno.h>
#include <string.h>

/*
 * libcbor calls back for each head or whole string. An item is appended to the table; a container stays open on a small stack until its
 * count is used up or its break comes. A string in pieces is open in the same way while its pieces are joined.
 */

struct open_item {
        uint16_t index;
        bool indefinite;
        uint32_t n_wanted; /* direct children still to come (definite) */
        uint32_t n_got;
};

struct parse {
        struct cbor_map *map;
        struct open_item open[CBOR_MAP_DEPTH_MAX + 1]; /* one more for a string in pieces on the deepest level */
        size_t n_open;
        bool in_pieces; /* the innermost open item is a string */
        bool complete;
        int error;
};

static void fail(struct parse *parse, int error) {
        if (!parse->error)
                parse->error = error;
}

/* An item is whole: its container has one more, which may make that one whole, too. */
static void child_done(struct parse *parse) {
        while (parse->n_open > 0) {
                struct open_item *parent = &parse->open[parse->n_open - 1];

                parent->n_got++;
                if (parent->indefinite || --parent->n_wanted > 0)
                        return;
                parse->map->items[parent->index].end = (uint16_t) parse->map->n_items;
                parse->n_open--;
        }
        parse->complete = true;
}

static struct cbor_item *append(struct parse *parse, enum cbor_kind kind) {
        struct cbor_map *map = parse->map;
        struct cbor_item *item;

        if (parse->error)
                return NULL;
        if (parse->in_pieces || (parse->n_open == 0 && kind != CBOR_KIND_MAP)) {
                fail(parse, -EBADMSG);
                return NULL;
        }
        if (map->n_items >= CBOR_MAP_ITEMS_MAX) {
                fail(parse, -E2BIG);
                return NULL;
        }
        item = &map->items[map->n_items++];
        *item = (struct cbor_item){ .kind = (uint8_t) kind, .depth = (uint8_t) parse->n_open, .end = (uint16_t) map->n_items };
        return item;
}

static void append_number(struct parse *parse, enum cbor_kind kind, uint64_t number) {
        struct cbor_item *item = append(parse, kind);

        if (!item)
                return;
        item->number = number;
        child_done(parse);
}

static void open_push(struct parse *parse, struct cbor_item *item, bool indefinite, uint32_t n_wanted) {
        parse->open[parse->n_open++] = (struct open_item){
                .index = (uint16_t) (item - parse->map->items),
                .indefinite = indefinite,
                .n_wanted = n_wanted,
        };
}

static void open_container(struct parse *parse, enum cbor_kind kind, bool indefinite, size_t n_children) {
        struct cbor_item *item;

        if (!parse->error && (parse->n_open >= CBOR_MAP_DEPTH_MAX || n_children > CBOR_MAP_ITEMS_MAX))
                fail(parse, -E2BIG);
        item = append(parse, kind);
        if (!item)
                return;
        if (!indefinite && n_children == 0)
                child_done(parse);
        else
                open_push(parse, item, indefinite, (uint32_t) n_children);
}

static void on_uint8(void *ctx, uint8_t value) {
        append_number(ctx, CBOR_KIND_UINT, value);
}

static void on_uint16(void *ctx, uint16_t value) {
        append_number(ctx, CBOR_KIND_UINT, value);
}

static void on_uint32(void *ctx, uint32_t value) {
        append_number(ctx, CBOR_KIND_UINT, value);
}

static void on_uint64(void *ctx, uint64_t value) {
        append_number(ctx, CBOR_KIND_UINT, value);
}

static void on_negative8(void *ctx, uint8_t value) {
        append_number(ctx, CBOR_KIND_NEGATIVE, value);
}

static void on_negative16(void *ctx, uint16_t value) {
        append_number(ctx, CBOR_KIND_NEGATIVE, value);
}

static void on_negative32(void *ctx, uint32_t value) {
        append_number(ctx, CBOR_KIND_NEGATIVE, value);
}

static void on_negative64(void *ctx, uint64_t value) {
        append_number(ctx, CBOR_KIND_NEGATIVE, value);
}

static void on_bool(void *ctx, bool value) {
        append_number(ctx, CBOR_KIND_BOOL, value);
}

static void on_other(void *ctx) {
        append_number(ctx, CBOR_KIND_OTHER, 0);
}

static void on_float(void *ctx, float value) {
        (void) value;
        on_other(ctx);
}

static void on_double(void *ctx, double value) {
        (void) value;
        on_other(ctx);
}

static void on_tag(void *ctx, uint64_t value) {
        struct parse *parse = ctx;

        /* The tagged item follows and counts itself. A tag alone must not open the outer map or stand between pieces. */
        (void) value;
        if (parse->in_pieces)
                fail(parse, -EBADMSG);
}

/* One more piece of the open string. */
static void join(struct parse *parse, enum cbor_kind kind, const uint8_t *data, size_t size) {
        struct cbor_map *map = parse->map;
        struct cbor_item *item = &map->items[parse->open[parse->n_open - 1].index];

        if (item->kind != kind) {
                fail(parse, -EBADMSG);
                return;
        }
        if (size > sizeof map->joined - map->n_joined) {
                fail(parse, -E2BIG);
                return;
        }
        if (size > 0)
                memcpy(map->joined + map->n_joined, data, size);
        map->n_joined += size;
        item->size += (uint32_t) size;
}

static void whole_string(struct parse *parse, enum cbor_kind kind, const uint8_t *data, size_t size) {
        struct cbor_item *item;

        if (parse->error)
                return;
        if (parse->in_pieces) {
                join(parse, kind, data, size);
                return;
        }
        if (size > CBOR_MAP_STRING_MAX) {
                fail(parse, -E2BIG);
                return;
        }
        item = append(parse, kind);
        if (!item)
                return;
        item->bytes = data;
        item->size = (uint32_t) size;
        child_done(parse);
}

static void string_in_pieces(struct parse *parse, enum cbor_kind kind) {
        struct cbor_item *item = append(parse, kind);

        if (!item)
                return;
        item->bytes = parse->map->joined + parse->map->n_joined;
        open_push(parse, item, true, 0);
        parse->in_pieces = true;
}

static void on_bytes(void *ctx, cbor_data data, size_t size) {
        whole_string(ctx, CBOR_KIND_BYTES, data, size);
}

static void on_text(void *ctx, cbor_data data, size_t size) {
        whole_string(ctx, CBOR_KIND_TEXT, data, size);
}

static void on_bytes_start(void *ctx) {
        string_in_pieces(ctx, CBOR_KIND_BYTES);
}

static void on_text_start(void *ctx) {
        string_in_pieces(ctx, CBOR_KIND_TEXT);
}

static void on_array_start(void *ctx, size_t n_items) {
        open_container(ctx, CBOR_KIND_ARRAY, false, n_items);
}

static void on_array_indefinite(void *ctx) {
        open_container(ctx, CBOR_KIND_ARRAY, true, 0);
}

static void on_map_start(void *ctx, size_t n_pairs) {
        open_container(ctx, CBOR_KIND_MAP, false, n_pairs > CBOR_MAP_ITEMS_MAX ? n_pairs : 2 * n_pairs);
}

static void on_map_indefinite(void *ctx) {
        open_container(ctx, CBOR_KIND_MAP, true, 0);
}

static void on_break(void *ctx) {
        struct parse *parse = ctx;
        struct open_item *inner = parse->n_open > 0 ? &parse->open[parse->n_open - 1] : NULL;
        struct cbor_item *item;

        if (parse->error)
                return;
        if (!inner || !inner->indefinite) {
                fail(parse, -EBADMSG);
                return;
        }
        item = &parse->map->items[inner->index];
        if (item->kind == CBOR_KIND_MAP && inner->n_got % 2 != 0) {
                fail(parse, -EBADMSG);
                return;
        }
        item->end = (uint16_t) parse->map->n_items;
        parse->in_pieces = false;
        parse->n_open--;
        child_done(parse);
}

static const struct cbor_callbacks callbacks = {
        .uint8 = on_uint8,
        .uint16 = on_uint16,
        .uint32 = on_uint32,
        .uint64 = on_uint64,
        .negint8 = on_negative8,
        .negint16 = on_negative16,
        .negint32 = on_negative32,
        .negint64 = on_negative64,
        .byte_string_start = on_bytes_start,
        .byte_string = on_bytes,
        .string = on_text,
        .string_start = on_text_start,
        .indef_array_start = on_array_indefinite,
        .array_start = on_array_start,
        .indef_map_start = on_map_indefinite,
        .map_start = on_map_start,
        .tag = on_tag,
        .float2 = on_float,
        .float4 = on_float,
        .float8 = on_double,
        .undefined = on_other,
        .null = on_other,
        .boolean = on_bool,
        .indef_break = on_break,
};

int cbor_map_parse(struct cbor_map *map, const void *data, size_t size) {
        struct parse parse = { .map = map };

        map->n_items = 0;
        map->n_joined = 0;
        map->size = 0;
        if (size > CBOR_MAP_INPUT_MAX)
                return -E2BIG;
        while (!parse.complete && !parse.error) {
                struct cbor_decoder_result result =
                        cbor_stream_decode((const uint8_t *) data + map->size, size - map->size, &callbacks, &parse);

                if (result.status != CBOR_DECODER_FINISHED)
                        return -EBADMSG;
                map->size += result.read;
        }
        return parse.error;
}

void cbor_map_clear(struct cbor_map *map) {
        map->n_items = 1;
        map->n_joined = 0;
        map->size = 0;
        map->items[0] = (struct cbor_item){ .kind = CBOR_KIND_MAP, .end = 1 };
}
