/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/tlv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "common/mcuboot/test_image.h"

static int walk(const uint8_t *bytes, size_t size, struct mcuboot_tlvs *tlvs, struct gw_error *err) {
        _cleanup_close_ int fd = test_file_make(bytes, size);
        struct source source = {fd, 0, size};
        struct mcuboot_header header;
        assert_int_equal(mcuboot_header_parse(bytes, size, &header, err), 0);
        return mcuboot_tlvs_read(&source, &header, tlvs, err);
}

static int walk_image(const struct test_image *image, struct mcuboot_tlvs *tlvs, struct gw_error *err) {
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_image_make(image, &size);
        return walk(bytes, size, tlvs, err);
}

static const uint8_t good_entries[] = {
        0x40, 0, 12, 0, 3,  0,  0,  0,  1,  2,  3, 0, 4, 0, 0,  0,                                             /* image 3 must be 1.2.3+4 */
        0x50, 0, 4,  0, 7,  0,  0,  0,                                                                         /* security counter */
        0x74, 0, 16, 0, 0,  1,  2,  3,  4,  5,  6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xa0, 0x12, 3, 0, 9, 9, 9, /* a vendor's own */
        0x75, 0, 16, 0, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5,  4,  3,  2,  1,  0,
};

static void reads_the_protected_area(void **state) {
        struct test_image image = {.protected_entries = good_entries, .protected_size = sizeof good_entries};
        struct mcuboot_tlvs tlvs;
        (void) state;
        assert_int_equal(walk_image(&image, &tlvs, NULL), 0);
        assert_int_equal(tlvs.n_dependencies, 1);
        assert_int_equal(tlvs.dependencies[0].image, 3);
        assert_int_equal(tlvs.dependencies[0].minimum.build, 4);
        assert_true(tlvs.has_security_counter);
        assert_int_equal(tlvs.security_counter, 7);
        assert_true(tlvs.has_vendor_uuid && tlvs.has_class_uuid);
        assert_int_equal(tlvs.vendor_uuid[15], 15);
        assert_int_equal(tlvs.class_uuid[0], 15);
        assert_int_equal(tlvs.size, sizeof good_entries + 4 + 4 + 4 + 32);
}

/* Only what the hash covers may say such things. */
static void the_same_in_the_open_area_says_nothing(void **state) {
        struct test_image image = {.open_entries = good_entries, .open_size = sizeof good_entries};
        struct mcuboot_tlvs tlvs;
        (void) state;
        assert_int_equal(walk_image(&image, &tlvs, NULL), 0);
        assert_int_equal(tlvs.n_dependencies, 0);
        assert_false(tlvs.has_security_counter || tlvs.has_vendor_uuid || tlvs.has_class_uuid);
}

static void two_hashes(uint8_t type, size_t size) {
        uint8_t entry[4 + 64] = {type, 0, (uint8_t) size, 0};
        struct test_image open = {.open_entries = entry, .open_size = 4 + size};
        struct test_image covered = {.protected_entries = entry, .protected_size = 4 + size};
        struct mcuboot_tlvs tlvs;
        struct gw_error err = {};
        assert_int_equal(walk_image(&open, &tlvs, &err), -EBADMSG);
        assert_string_equal(err.name, "image-malformed");
        assert_int_equal(walk_image(&covered, &tlvs, &err), -EBADMSG);
        assert_string_equal(err.name, "image-malformed");
}

static void exactly_one_hash(void **state) {
        (void) state;
        two_hashes(0x10, 32);
        two_hashes(0x11, 48);
        two_hashes(0x12, 64);
}

static void entries_of_a_wrong_size(void **state) {
        static const struct {
                uint8_t type, size;
        } cases[] = {{0x01, 31}, {0x01, 0},  {0x02, 0}, {0x20, 0}, {0x25, 0},  {0x25, 2},
                     {0x40, 11}, {0x40, 13}, {0x50, 3}, {0x50, 8}, {0x74, 15}, {0x75, 17}};
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint8_t entry[4 + 64] = {cases[i].type, 0, cases[i].size, 0};
                struct test_image image = {.protected_entries = entry, .protected_size = 4u + cases[i].size};
                struct mcuboot_tlvs tlvs;
                struct gw_error err = {};
                assert_int_equal(walk_image(&image, &tlvs, &err), -EBADMSG);
                assert_string_equal(err.name, "image-malformed");
        }
}

static int walk_many(const uint8_t *entry, size_t size, size_t n, bool is_protected) {
        uint8_t *entries = calloc(n, size);
        struct test_image image = {.protected_entries = entries,
                                   .protected_size = is_protected ? n * size : 0,
                                   .open_entries = entries,
                                   .open_size = is_protected ? 0 : n * size};
        struct mcuboot_tlvs tlvs;
        int r;
        assert_non_null(entries);
        for (size_t i = 0; i < n; i++)
                memcpy(entries + i * size, entry, size);
        r = walk_image(&image, &tlvs, NULL);
        free(entries);
        return r;
}

static void limits_hold(void **state) {
        static const uint8_t vendor[] = {0xa0, 1, 0, 0}, dependency[16] = {0x40, 0, 12, 0}, signature[] = {0x24, 0, 1, 0, 1};
        (void) state;
        assert_int_equal(walk_many(vendor, sizeof vendor, MCUBOOT_TLVS_MAX - 1, false), 0); /* and the hash */
        assert_int_equal(walk_many(vendor, sizeof vendor, MCUBOOT_TLVS_MAX, false), -EBADMSG);
        assert_int_equal(walk_many(dependency, sizeof dependency, MCUBOOT_DEPENDENCIES_MAX, true), 0);
        assert_int_equal(walk_many(dependency, sizeof dependency, MCUBOOT_DEPENDENCIES_MAX + 1, true), -EBADMSG);
        assert_int_equal(walk_many(signature, sizeof signature, MCUBOOT_SIGNATURES_MAX, false), 0);
        assert_int_equal(walk_many(signature, sizeof signature, MCUBOOT_SIGNATURES_MAX + 1, false), -EBADMSG);
}

/* A small image without protected area: header 32, body 8, area at 40: magic, total, entry type, entry size, hash. */
static void lies_about_sizes(void **state) {
        static const struct {
                size_t at;
                uint8_t value;
                const char *name;
        } cases[] = {
                {10, 4, "image-malformed"},    /* header tells a protected area */
                {12, 9, "image-malformed"},    /* body one byte longer: no magic there */
                {13, 9, "image-truncated"},    /* body far longer */
                {40, 8, "image-malformed"},    /* the area calls itself protected */
                {41, 0, "image-malformed"},    /* no magic */
                {42, 3, "image-malformed"},    /* total shorter than its own header */
                {42, 4, "image-hash-missing"}, /* an empty area */
                {42, 6, "image-malformed"},    /* ends within an entry header */
                {42, 41, "image-truncated"},   /* one byte more than there is */
                {44, 0x99, "image-hash-missing"}, {45, 0x10, "image-hash-missing"},
                {46, 33, "image-malformed"}, /* value reaches beyond the area */
                {46, 31, "image-malformed"},
        };
        struct test_image image = {.body_size = 8};
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_image_make(&image, &size);
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint8_t kept = bytes[cases[i].at];
                struct mcuboot_tlvs tlvs = {.size = 5};
                struct gw_error err = {};
                bytes[cases[i].at] = cases[i].value;
                assert_int_equal(walk(bytes, size, &tlvs, &err), -EBADMSG);
                assert_string_equal(err.name, cases[i].name);
                assert_int_equal(tlvs.size, 5);
                bytes[cases[i].at] = kept;
        }
        assert_int_equal(walk(bytes, size, &(struct mcuboot_tlvs){}, NULL), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_the_protected_area),
                cmocka_unit_test(the_same_in_the_open_area_says_nothing),
                cmocka_unit_test(exactly_one_hash),
                cmocka_unit_test(entries_of_a_wrong_size),
                cmocka_unit_test(limits_hold),
                cmocka_unit_test(lies_about_sizes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
