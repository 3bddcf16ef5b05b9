/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zip/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mcuboot/test_image.h"
#include "common/zip/test_zip.h"

/* Opens and checks the archive; the name of the error, "" when it is fine. */
static const char *verdict(const uint8_t *bytes, size_t size, uint64_t unpacked_max) {
        static struct gw_error err;
        _cleanup_close_ int fd = test_file_make(bytes, size);
        struct source source = {fd, 0, size};
        _cleanup_archive_ struct archive *archive = NULL;
        int r;
        err = (struct gw_error){};
        r = archive_open(&source, &archive, &err);
        if (r == 0)
                r = archive_check(archive, unpacked_max, &err);
        assert_int_equal(r < 0, err.name[0] != '\0');
        return err.name;
}

static const char *verdict_of(const struct test_entry *entries, size_t n_entries) {
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_zip_make(entries, n_entries, &size);
        return verdict(bytes, size, 0);
}

struct collected {
        char text[64];
        size_t size;
};

static int collect(void *ctx, const uint8_t *data, size_t size) {
        struct collected *collected = ctx;
        assert_true(collected->size + size < sizeof collected->text);
        memcpy(collected->text + collected->size, data, size);
        collected->size += size;
        return 0;
}

static void stored_and_deflated_entries(void **state) {
        const struct test_entry entries[] = {{.name = "a.bin", .data = "stored bytes", .size = 12},
                                             {.name = "b.bin", .data = "other bytes", .size = 11, .deflated = true}};
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_zip_make(entries, 2, &size);
        _cleanup_close_ int fd = test_file_make(bytes, size);
        struct source source = {fd, 0, size};
        _cleanup_archive_ struct archive *archive = NULL;
        struct collected a = {}, b = {};
        (void) state;
        assert_int_equal(lseek(fd, 3, SEEK_SET), 3);
        assert_int_equal(archive_open(&source, &archive, NULL), 0);
        assert_int_equal(archive_check(archive, 0, NULL), 0);
        assert_int_equal(archive->n_entries, 2);
        assert_null(archive_find(archive, "a.bi"));
        assert_memory_equal(bytes + archive_find(archive, "a.bin")->data_offset, "stored bytes", 12);
        assert_int_equal(archive_entry_each(archive, archive_find(archive, "b.bin"), collect, &b, NULL), 0);
        assert_int_equal(archive_entry_each(archive, archive_find(archive, "a.bin"), collect, &a, NULL), 0);
        assert_string_equal(a.text, "stored bytes");
        assert_string_equal(b.text, "other bytes");
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 3); /* nobody moved the offset that others share */
}

/* An archive may lie inside a file. */
static void inside_a_range(void **state) {
        const struct test_entry entry = {.name = "a.bin", .data = "stored bytes", .size = 12};
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_zip_make(&entry, 1, &size);
        uint8_t whole[512] = {1, 2, 3};
        _cleanup_close_ int fd = -1;
        struct source source = {0, 100, size};
        _cleanup_archive_ struct archive *archive = NULL;
        _cleanup_free_ char *text = NULL;
        (void) state;
        memcpy(whole + 100, bytes, size);
        fd = source.fd = test_file_make(whole, sizeof whole);
        assert_int_equal(archive_open(&source, &archive, NULL), 0);
        assert_int_equal(archive_entry_load(archive, &archive->entries[0], 12, &text, NULL), 0);
        assert_string_equal(text, "stored bytes");
}

static void names_that_play_tricks(void **state) {
        static const struct {
                const char *name;
                size_t size;
        } names[] = {{"../a", 0}, {"a/../b", 0}, {"/etc/passwd", 0}, {"a/b", 0},  {"a/", 0},      {"..\\a", 0},    {"c:a", 0},
                     {"..", 0},   {".", 0},      {"a\0.bin", 6},     {"a\nb", 0}, {"\033[2J", 0}, {"\xff\xfe", 0}, {"a\x7f", 0}};
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct test_entry entry = {.name = names[i].name, .name_size = names[i].size, .data = "x", .size = 1};
                assert_string_equal(verdict_of(&entry, 1), "zip-path");
        }
        assert_string_equal(verdict_of(&(struct test_entry){.name = "..a..bin", .data = "x", .size = 1}, 1), "");
}

static void entries_that_are_refused(void **state) {
        const struct {
                struct test_entry entry;
                const char *name;
        } cases[] = {
                {{.name = "a", .data = "x", .size = 1, .flags = 1}, "zip-encrypted"},
                {{.name = "a", .data = "x", .size = 1, .flags = 0x40}, "zip-encrypted"},
                {{.name = "a", .data = "/etc/shadow", .size = 11, .mode = S_IFLNK | 0777}, "zip-entry-special"},
                {{.name = "a", .data = "", .size = 0, .mode = S_IFCHR | 0666}, "zip-entry-special"},
                {{.name = "a", .data = "", .size = 0, .mode = S_IFDIR | 0777}, "zip-entry-special"},
                {{.name = "a", .data = "x", .size = 1, .mode = S_IFREG | 0644}, ""},
                {{.name = "a", .data = "x", .size = 1, .method = 12}, "zip-invalid"},
                {{.name = "a", .data = "x", .size = 1, .local_name = "b"}, "zip-invalid"},
                {{.name = "a", .data = "x", .size = 1, .local_name = "ab"}, "zip-invalid"},
                {{.name = "a", .data = "x", .size = 1, .size_change = 1}, "zip-invalid"},
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(verdict_of(&cases[i].entry, 1), cases[i].name);
}

static void two_of_one_name(void **state) {
        const struct test_entry entries[] = {
                {.name = "a", .data = "x", .size = 1}, {.name = "b", .data = "y", .size = 1}, {.name = "a", .data = "z", .size = 1}};
        (void) state;
        assert_string_equal(verdict_of(entries, 3), "zip-entry-duplicate");
        assert_string_equal(verdict_of(entries, 2), "");
}

static void entries_on_the_same_bytes(void **state) {
        const struct test_entry entries[] = {{.name = "a", .data = "x", .size = 1},
                                             {.name = "a", .data = "x", .size = 1, .on_previous = true}};
        (void) state;
        assert_string_equal(verdict_of(entries, 2), "zip-bomb");
}

static void more_entries_than_the_limit(void **state) {
        struct test_entry entries[ARCHIVE_ENTRIES_MAX + 1];
        char names[ARCHIVE_ENTRIES_MAX + 1][8];
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
                snprintf(names[i], sizeof names[i], "f%zu", i);
                entries[i] = (struct test_entry){.name = names[i], .data = "x", .size = 1};
        }
        assert_string_equal(verdict_of(entries, ARCHIVE_ENTRIES_MAX + 1), "zip-too-many-entries");
        assert_string_equal(verdict_of(entries, ARCHIVE_ENTRIES_MAX), "");
}

static void names_up_to_the_limit(void **state) {
        char name[ARCHIVE_NAME_MAX + 2];
        struct test_entry entry = {.name = name, .data = "x", .size = 1};
        (void) state;
        memset(name, 'n', sizeof name);
        name[ARCHIVE_NAME_MAX + 1] = '\0';
        assert_string_equal(verdict_of(&entry, 1), "zip-path");
        name[ARCHIVE_NAME_MAX] = '\0';
        assert_string_equal(verdict_of(&entry, 1), "");
}

static void a_bomb(void **state) {
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_zip_bomb("manifest.json", 8u << 20, &size);
        (void) state;
        assert_true(size < 64u << 10);
        assert_string_equal(verdict(bytes, size, 0), "zip-bomb");
}

static void more_than_may_be_unpacked(void **state) {
        static const uint8_t data[3000];
        const struct test_entry entries[] = {{.name = "a", .data = data, .size = 3000},
                                             {.name = "b", .data = data, .size = 3000, .deflated = true}};
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_zip_make(entries, 2, &size);
        (void) state;
        assert_string_equal(verdict(bytes, size, 5999), "zip-bomb");
        assert_string_equal(verdict(bytes, size, 6000), "");
}

/* The unpacked size in the directory is a claim, too. */
static void an_entry_that_unpacks_to_more_or_less(void **state) {
        static const struct {
                uint32_t size_change, crc_change;
                const char *name;
        } cases[] = {{(uint32_t) -1, 0, "zip-bomb"}, {1, 0, "zip-invalid"}, {0, 1, "zip-invalid"}, {0, 0, ""}};
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct test_entry entry = {.name = "a",
                                                 .data = "0123456789",
                                                 .size = 10,
                                                 .deflated = true,
                                                 .size_change = cases[i].size_change,
                                                 .crc_change = cases[i].crc_change};
                size_t size;
                _cleanup_free_ uint8_t *bytes = test_zip_make(&entry, 1, &size);
                _cleanup_close_ int fd = test_file_make(bytes, size);
                struct source source = {fd, 0, size};
                _cleanup_archive_ struct archive *archive = NULL;
                struct collected collected = {};
                struct gw_error err = {};
                assert_int_equal(archive_open(&source, &archive, NULL), 0);
                archive_entry_each(archive, &archive->entries[0], collect, &collected, &err);
                assert_string_equal(err.name, cases[i].name);
        }
}

static void a_stored_entry_with_a_wrong_sum(void **state) {
        const struct test_entry entry = {.name = "a", .data = "0123456789", .size = 10, .crc_change = 7};
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_zip_make(&entry, 1, &size);
        _cleanup_close_ int fd = test_file_make(bytes, size);
        struct source source = {fd, 0, size};
        _cleanup_archive_ struct archive *archive = NULL;
        struct collected collected = {};
        struct gw_error err = {};
        (void) state;
        assert_int_equal(archive_open(&source, &archive, NULL), 0);
        assert_int_equal(archive_entry_each(archive, &archive->entries[0], collect, &collected, &err), -EBADMSG);
        assert_string_equal(err.name, "zip-invalid");
}

/* No cut and no flipped bit may be taken for a good archive with other content, or crash. */
static void cut_or_flipped_anywhere(void **state) {
        const struct test_entry entries[] = {{.name = "a.bin", .data = "stored bytes", .size = 12},
                                             {.name = "b.bin", .data = "other", .size = 5, .deflated = true}};
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_zip_make(entries, 2, &size);
        (void) state;
        for (size_t kept = 0; kept < size; kept++)
                assert_string_not_equal(verdict(bytes, kept, 0), "");
        for (size_t at = 0; at < size; at++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        bytes[at] ^= (uint8_t) (1 << bit);
                        verdict(bytes, size, 0);
                        bytes[at] ^= (uint8_t) (1 << bit);
                }
        assert_string_equal(verdict(bytes, size, 0), "");
}

static void something_before_or_behind(void **state) {
        const struct test_entry entry = {.name = "a", .data = "x", .size = 1};
        uint8_t whole[300] = {};
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_zip_make(&entry, 1, &size);
        (void) state;
        memcpy(whole, bytes, size);
        assert_string_equal(verdict(whole, size + 1, 0), "zip-invalid");
        memcpy(whole + 1, bytes, size);
        assert_string_equal(verdict(whole, size + 1, 0), "zip-invalid");
        memcpy(whole, bytes, size);
        whole[size - 2] = 5; /* a comment */
        assert_string_equal(verdict(whole, size + 5, 0), "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stored_and_deflated_entries),
                cmocka_unit_test(inside_a_range),
                cmocka_unit_test(names_that_play_tricks),
                cmocka_unit_test(entries_that_are_refused),
                cmocka_unit_test(two_of_one_name),
                cmocka_unit_test(entries_on_the_same_bytes),
                cmocka_unit_test(more_entries_than_the_limit),
                cmocka_unit_test(names_up_to_the_limit),
                cmocka_unit_test(a_bomb),
                cmocka_unit_test(more_than_may_be_unpacked),
                cmocka_unit_test(an_entry_that_unpacks_to_more_or_less),
                cmocka_unit_test(a_stored_entry_with_a_wrong_sum),
                cmocka_unit_test(cut_or_flipped_anywhere),
                cmocka_unit_test(something_before_or_behind),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
