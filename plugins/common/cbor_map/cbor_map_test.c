/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cbor_map/cbor_map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint8_t bytes[70000];

static size_t from_hex(const char *hex) {
        size_t n = 0;
        unsigned byte;

        for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
                bytes[n++] = (uint8_t) byte;
        return n;
}

static int parse_hex(struct cbor_map *map, const char *hex) {
        return cbor_map_parse(map, bytes, from_hex(hex));
}

/* The same content in definite, indefinite and wasteful forms. */
static void same_content_in_every_form(void **state) {
        static const char *const forms[] = {
                "a2636f6666183f656d61746368f5",
                "bf636f6666183f656d61746368f5ff",
                "bf636f666619003f656d61746368f5ff",
                "bf636f66661a0000003f656d61746368f5ff",
                "bf636f66661b000000000000003f656d61746368f5ff",
                "b80278036f6666183f78056d61746368f5",
                "bf7f616f626666ff183f7f656d61746368fff5ff",
                "d9d9f7a2636f6666c1183f656d61746368f5",
        };

        (void) state;
        for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
                struct cbor_map map;
                uint64_t off = 0;
                bool match = false;

                assert_int_equal(parse_hex(&map, forms[i]), 0);
                assert_int_equal(map.size, strlen(forms[i]) / 2);
                assert_int_equal(cbor_map_get_uint(&map, NULL, "off", UINT32_MAX, &off), 0);
                assert_int_equal(off, 63);
                assert_int_equal(cbor_map_get_bool(&map, NULL, "match", &match), 0);
                assert_true(match);
                assert_null(cbor_map_find(&map, NULL, "rc"));
        }
}

static void malformed_and_hostile(void **state) {
        static const struct {
                const char *hex;
                int result;
        } cases[] = {
                { "", -EBADMSG },
                { "00", -EBADMSG }, /* no map */
                { "80", -EBADMSG },
                { "f6", -EBADMSG },
                { "ff", -EBADMSG },
                { "a1", -EBADMSG }, /* cut off */
                { "a16161", -EBADMSG },
                { "a1636f66", -EBADMSG },
                { "bf", -EBADMSG },
                { "bf6161ff", -EBADMSG }, /* key without a value */
                { "a161616162ff", 0 },    /* bytes behind the map are not ours */
                { "a1ff", -EBADMSG },     /* break in a definite map */
                { "bf6161a1ff", -EBADMSG },
                { "a161611c", -EBADMSG },         /* reserved head */
                { "bbffffffffffffffff", -E2BIG }, /* counts that nobody could send */
                { "ba7fffffff", -E2BIG },
                { "a161619b7fffffffffffffff", -E2BIG },
                { "a161615b7fffffffffffffff", -EBADMSG }, /* a string of 2^63 bytes: cut off */
                { "a161617f4161ff", -EBADMSG },           /* bytes inside a text */
                { "a161615f5f41ffffff", -EBADMSG },       /* pieces of pieces */
                { "a161617f01ff", -EBADMSG },
                { "a161617fc16161ff", -EBADMSG }, /* a tag between pieces */
                { "a16161a16161a16161a16161a16161a16161a16161a0", 0 },
                { "a16161a16161a16161a16161a16161a16161a16161a16161a0", -E2BIG },
                { "a16161a16161a16161a16161a16161a16161a16161a161617f6161ff", 0 }, /* pieces on the deepest level */
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct cbor_map map;
                int result = parse_hex(&map, cases[i].hex);

                if (result != cases[i].result)
                        print_error("case %zu %s: %d\n", i, cases[i].hex, result);
                assert_int_equal(result, cases[i].result);
        }
}

static void every_truncation_is_refused(void **state) {
        size_t size = from_hex("bf66696d616765739fbf64736c6f7400677665727369"
                               "6f6e65312e302e30647061636b5f41014102ff63616263f4ffff6b73706c697453746174757300ff");
        struct cbor_map map;

        (void) state;
        assert_int_equal(cbor_map_parse(&map, bytes, size), 0);
        for (size_t cut = 0; cut < size; cut++) {
                uint8_t *copy = malloc(cut + 1); /* so that a sanitizer sees every byte too far */

                assert_non_null(copy);
                memcpy(copy, bytes, cut);
                assert_int_equal(cbor_map_parse(&map, copy, cut), -EBADMSG);
                free(copy);
        }
}

static void limits_of_the_table(void **state) {
        struct cbor_map map;
        size_t n = 0;

        (void) state;
        /* {_ "a": [_ 0, 0, …]}: the map, the key, the array and 509 numbers fill the table. */
        n = from_hex("bf61619f");
        memset(bytes + n, 0, CBOR_MAP_ITEMS_MAX - 3);
        bytes[n + CBOR_MAP_ITEMS_MAX - 3] = 0xff;
        bytes[n + CBOR_MAP_ITEMS_MAX - 2] = 0xff;
        assert_int_equal(cbor_map_parse(&map, bytes, n + CBOR_MAP_ITEMS_MAX - 1), 0);
        memset(bytes + n, 0, CBOR_MAP_ITEMS_MAX - 2);
        bytes[n + CBOR_MAP_ITEMS_MAX - 2] = 0xff;
        bytes[n + CBOR_MAP_ITEMS_MAX - 1] = 0xff;
        assert_int_equal(cbor_map_parse(&map, bytes, n + CBOR_MAP_ITEMS_MAX), -E2BIG);

        /* One long string. */
        n = from_hex("a16161594000");
        assert_int_equal(cbor_map_parse(&map, bytes, n + 0x4000), 0);
        n = from_hex("a16161594001");
        assert_int_equal(cbor_map_parse(&map, bytes, n + 0x4001), -E2BIG);
        assert_int_equal(cbor_map_parse(&map, bytes, CBOR_MAP_INPUT_MAX + 1), -E2BIG);

        /* A string in pieces is copied, so it has a smaller limit. */
        n = from_hex("a161615f590400");
        bytes[n + 1024] = 0xff;
        assert_int_equal(cbor_map_parse(&map, bytes, n + 1025), 0);
        n = from_hex("a161615f590401");
        bytes[n + 1025] = 0xff;
        assert_int_equal(cbor_map_parse(&map, bytes, n + 1026), -E2BIG);
}

static void nested_walk_skips_what_is_unknown(void **state) {
        const struct cbor_item *images, *image;
        struct cbor_map map;
        uint64_t slot = 9;
        char version[16];
        unsigned n = 0;

        (void) state;
        /* {"x": {"y": [1, {2: 3}]}, 7: 8, "images": [{"slot": 0, "version": "1.0"}, 5, {"slot": 1}], "z": 1.5} */
        assert_int_equal(parse_hex(&map, "a46178a161798201a10203070866696d6167657383a264736c6f74006776657273696f6e63312e3005a164736c6f74016"
                                         "17afb3ff8000000000000"),
                         0);
        images = cbor_map_find(&map, NULL, "images");
        assert_non_null(images);
        for (image = cbor_map_first(&map, images); image; image = cbor_map_next(&map, images, image))
                n++;
        assert_int_equal(n, 3);
        image = cbor_map_first(&map, images);
        assert_int_equal(cbor_map_get_text(&map, image, "version", version, sizeof version), 0);
        assert_string_equal(version, "1.0");
        image = cbor_map_next(&map, images, image);
        assert_null(cbor_map_find(&map, image, "slot"));
        assert_null(cbor_map_first(&map, image));
        image = cbor_map_next(&map, images, image);
        assert_int_equal(cbor_map_get_uint(&map, image, "slot", 1, &slot), 0);
        assert_int_equal(slot, 1);
        assert_non_null(cbor_map_find(&map, NULL, "z"));
        assert_null(cbor_map_find(&map, NULL, "y"));
}

static void values_of_the_wrong_kind(void **state) {
        struct cbor_map map;
        uint64_t number = 77;
        int64_t signed_number = 77;
        bool truth = true;
        const uint8_t *data = NULL;
        size_t size = 0;
        char text[4];

        (void) state;
        /* {"n": -1, "b": h'00ff', "t": "ab\x00\xff", "m": -18446744073709551616, "u": 18446744073709551615} */
        assert_int_equal(parse_hex(&map, "a5616e2061624200ff617464616200ff616d3bffffffffffffffff61751bffffffffffffffff"), 0);
        assert_int_equal(cbor_map_get_uint(&map, NULL, "n", 5, &number), -ERANGE);
        assert_int_equal(cbor_map_get_uint(&map, NULL, "u", 5, &number), -ERANGE);
        assert_int_equal(cbor_map_get_uint(&map, NULL, "b", 5, &number), -EINVAL);
        assert_int_equal(cbor_map_get_uint(&map, NULL, "no", 5, &number), -ENOENT);
        assert_int_equal(number, 77);
        assert_int_equal(cbor_map_get_int(&map, NULL, "t", &signed_number), -EINVAL);
        assert_int_equal(signed_number, 77);
        assert_int_equal(cbor_map_get_int(&map, NULL, "n", &signed_number), 0);
        assert_int_equal(signed_number, -1);
        assert_int_equal(cbor_map_get_int(&map, NULL, "m", &signed_number), 0);
        assert_true(signed_number == INT64_MIN);
        assert_int_equal(cbor_map_get_int(&map, NULL, "u", &signed_number), 0);
        assert_true(signed_number == INT64_MAX);
        assert_int_equal(cbor_map_get_bool(&map, NULL, "n", &truth), -EINVAL);
        assert_int_equal(cbor_map_get_bytes(&map, NULL, "b", &data, &size), 0);
        assert_int_equal(size, 2);
        assert_memory_equal(data, "\x00\xff", 2);
        assert_int_equal(cbor_map_get_bytes(&map, NULL, "t", &data, &size), -EINVAL);
        assert_int_equal(cbor_map_get_text(&map, NULL, "t", text, sizeof text), -ERANGE);
        assert_int_equal(cbor_map_get_text_cut(&map, NULL, "t", text, sizeof text), 0);
        assert_string_equal(text, "ab?");
}

static void writer_writes_the_shortest_form(void **state) {
        uint8_t memory[64];
        struct cbor_writer writer = CBOR_WRITER(memory, sizeof memory);
        size_t size = from_hex("a3636f6666183f656d61746368f46161831affffffff3903e71b0000000100000000");

        (void) state;
        cbor_write_map(&writer, 3);
        cbor_write_text(&writer, "off");
        cbor_write_uint(&writer, 63);
        cbor_write_text(&writer, "match");
        cbor_write_bool(&writer, false);
        cbor_write_text(&writer, "a");
        cbor_write_array(&writer, 3);
        cbor_write_uint(&writer, UINT32_MAX);
        cbor_write_int(&writer, -1000);
        cbor_write_int(&writer, 0x100000000);
        assert_false(writer.overflow);
        assert_int_equal(writer.size, size);
        assert_memory_equal(memory, bytes, size);
}

static void writer_stops_at_its_end(void **state) {
        uint8_t memory[8];
        struct cbor_writer writer = CBOR_WRITER(memory, sizeof memory);

        (void) state;
        cbor_write_map(&writer, 1);
        cbor_write_text(&writer, "data");
        assert_null(cbor_write_bytes_room(&writer, 200));
        assert_true(writer.overflow);
        cbor_write_uint(&writer, 1);
        assert_true(writer.size <= sizeof memory);
        assert_true(writer.overflow);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(same_content_in_every_form),        cmocka_unit_test(malformed_and_hostile),
                cmocka_unit_test(every_truncation_is_refused),       cmocka_unit_test(limits_of_the_table),
                cmocka_unit_test(nested_walk_skips_what_is_unknown), cmocka_unit_test(values_of_the_wrong_kind),
                cmocka_unit_test(writer_writes_the_shortest_form),   cmocka_unit_test(writer_stops_at_its_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
