/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/header.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The header of the published test vector: 1.2.3+4, 12 bytes of protected entries, 64 bytes of body. */
static const uint8_t vector[MCUBOOT_HEADER_SIZE] = {0x3d, 0xb8, 0xf3, 0x96, 0, 0, 0, 0, 0x20, 0, 0x0c, 0, 0x40, 0, 0, 0,
                                                    0,    0,    0,    0,    1, 2, 3, 0, 4,    0, 0,    0, 0,    0, 0, 0};

static void reads_every_field(void **state) {
        struct mcuboot_header header;
        char text[GW_VERSION_MAX];
        (void) state;
        assert_int_equal(mcuboot_header_parse(vector, sizeof vector, &header, NULL), 0);
        assert_int_equal(header.header_size, 32);
        assert_int_equal(header.protected_size, 12);
        assert_int_equal(header.body_size, 64);
        assert_int_equal(header.load_address, 0);
        assert_false(mcuboot_header_encrypted(&header));
        mcuboot_version_text(&header.version, text);
        assert_string_equal(text, "1.2.3+4");
}

static void load_address_counts_only_with_its_flag(void **state) {
        uint8_t bytes[sizeof vector];
        struct mcuboot_header header;
        (void) state;
        memcpy(bytes, vector, sizeof bytes);
        bytes[5] = 0x10;
        assert_int_equal(mcuboot_header_parse(bytes, sizeof bytes, &header, NULL), 0);
        assert_int_equal(header.load_address, 0);
        bytes[17] = 0x01;
        assert_int_equal(mcuboot_header_parse(bytes, sizeof bytes, &header, NULL), 0);
        assert_int_equal(header.load_address, 0x1000);
}

static void refuses_by_name(void **state) {
        static const struct {
                size_t at;
                uint8_t value;
                size_t size;
                const char *name;
        } cases[] = {
                {0, 0x3d, 0, "not-mcuboot"},      {0, 0x3d, 3, "not-mcuboot"},      {0, 0x3d, 4, "image-truncated"},
                {0, 0x3d, 31, "image-truncated"}, {0, 0x3c, 32, "not-mcuboot"},     {0, 0x00, 32, "not-mcuboot"},
                {3, 0x97, 32, "not-mcuboot"},     {8, 0x1f, 32, "image-malformed"}, {12, 0x00, 32, "image-malformed"},
        };
        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                uint8_t bytes[sizeof vector];
                struct mcuboot_header header = {.flags = 77};
                struct gw_error err = {};
                memcpy(bytes, vector, sizeof bytes);
                bytes[cases[i].at] = cases[i].value;
                assert_int_equal(mcuboot_header_parse(bytes, cases[i].size, &header, &err), -EBADMSG);
                assert_string_equal(err.name, cases[i].name);
                assert_int_equal(header.flags, 77);
        }
}

static void versions_compare_number_by_number(void **state) {
        static const struct {
                const char *a, *b;
                int result;
        } cases[] = {
                {"1.2.3", "1.2.3", 0},
                {"1.2.3", "1.2.3+1", -1},
                {"1.10.0", "1.9.9", 1},
                {"2", "1.255.65535+9", 1},
                {"0.0.256", "0.0.3", 1},
                {"1.2", "1.2.0+0", 0},
                {"1.0.0+4294967295", "1.0.1", -1},
        };
        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct mcuboot_version a, b;
                assert_int_equal(mcuboot_version_from_text(cases[i].a, &a), 0);
                assert_int_equal(mcuboot_version_from_text(cases[i].b, &b), 0);
                assert_int_equal(mcuboot_version_compare(&a, &b), cases[i].result);
                assert_int_equal(mcuboot_version_compare(&b, &a), -cases[i].result);
        }
}

static void versions_that_are_none(void **state) {
        static const char *const texts[] = {
                "", "a", "1.", "1.2.", "1.2.3.", "1.2.3.4", "256.0.0", "0.0.65536", "1.2.3+", "1.2.3+4294967296", "1.2.3-rc1", " 1", "-1"};
        struct mcuboot_version version;
        (void) state;
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
                assert_int_equal(mcuboot_version_from_text(texts[i], &version), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_every_field),      cmocka_unit_test(load_address_counts_only_with_its_flag),
                cmocka_unit_test(refuses_by_name),        cmocka_unit_test(versions_compare_number_by_number),
                cmocka_unit_test(versions_that_are_none),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
