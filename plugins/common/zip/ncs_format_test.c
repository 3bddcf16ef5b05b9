/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zip/ncs_format.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "common/mcuboot/test_image.h"
#include "common/zip/test_zip.h"

#define FILES "{\"format-version\":1,\"files\":["

/* Counts the scratch files that are handed out, and keeps the last. */
struct scratch {
        unsigned n_opened;
        int last_fd;
        int result; /* < 0: fails so */
};

static int scratch_open(void *ctx) {
        struct scratch *scratch = ctx;
        scratch->n_opened++;
        if (scratch->result < 0)
                return scratch->result;
        scratch->last_fd = memfd_create("scratch", MFD_CLOEXEC);
        return scratch->last_fd;
}

static struct gw_format_options options_of(struct scratch *scratch) {
        return (struct gw_format_options){.size = sizeof(struct gw_format_options), .scratch_open = scratch_open, .scratch_ctx = scratch};
}

struct fixture {
        uint8_t *application, *network;
        size_t application_size, network_size;
};

static void fixture_init(struct fixture *fixture, const uint8_t *dependency, size_t dependency_size) {
        struct test_image application = {
                .major = 1, .minor = 4, .body_size = 70000, .protected_entries = dependency, .protected_size = dependency_size};
        struct test_image network = {.major = 2, .minor = 1, .build = 9};
        fixture->application = test_image_make(&application, &fixture->application_size);
        fixture->network = test_image_make(&network, &fixture->network_size);
}

static void fixture_clear(struct fixture *fixture) {
        free(fixture->application);
        free(fixture->network);
}

static int read_zip(const struct test_entry *entries, size_t n, const struct gw_format_options *options, int *ret_fd,
                    struct gw_package *package, struct gw_error *err) {
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_zip_make(entries, n, &size);
        int fd = test_file_make(bytes, size), r;
        assert_true(ncs_zip_format.matches(bytes, size, fd, size));
        r = ncs_zip_format.read(fd, size, options, package, err);
        if (r < 0)
                close(fd);
        else
                *ret_fd = fd;
        return r;
}

static void refused(const struct test_entry *entries, size_t n, const char *name) {
        struct scratch scratch = {.last_fd = -1};
        struct gw_format_options options = options_of(&scratch);
        struct gw_package package = {.n_parts = 77};
        struct gw_error err = {};
        int fd = -1;
        assert_int_equal(read_zip(entries, n, &options, &fd, &package, &err), -EBADMSG);
        if (strcmp(err.name, name) != 0)
                fail_msg("%s expected, got %s: %s", name, err.name, err.text);
        assert_int_equal(package.n_parts, 77);
        /* What was unpacked before the refusal is closed again. */
        assert_true(scratch.last_fd < 0 || fcntl(scratch.last_fd, F_GETFD) < 0);
}

static struct test_entry text_entry(const char *name, const char *text) {
        return (struct test_entry){.name = name, .data = text, .size = strlen(text)};
}

static void part_equals(const struct gw_part *part, const uint8_t *bytes, size_t size) {
        _cleanup_free_ uint8_t *read = malloc(size);
        assert_int_equal(part->size, size);
        assert_int_equal(pread(part->fd, read, size, (off_t) part->offset), size);
        assert_memory_equal(read, bytes, size);
}

static const char two_images[] =
        FILES "{\"type\":\"application\",\"board\":\"acme,sensor-r2\",\"image_index\":\"0\",\"version_MCUBOOT\":\"1.4.0+0\",\"file\":\"app."
              "bin\"},"
              "{\"type\":\"application\",\"board\":\"acme,sensor-net\",\"image_index\":1,\"version\":\"2.1.0\",\"file\":\"net.bin\"}]}";

static void two_images_stored_and_packed(void **state) {
        struct scratch scratch = {.last_fd = -1};
        struct gw_format_options options = options_of(&scratch);
        struct fixture fixture;
        struct gw_package package;
        int fd = -1;
        (void) state;
        fixture_init(&fixture, NULL, 0);
        const struct test_entry entries[] = {text_entry("manifest.json", two_images),
                                             {.name = "app.bin", .data = fixture.application, .size = fixture.application_size},
                                             {.name = "net.bin", .data = fixture.network, .size = fixture.network_size, .deflated = true}};
        assert_int_equal(read_zip(entries, 3, &options, &fd, &package, NULL), 0);
        assert_string_equal(package.format, "ncs-zip");
        assert_string_equal(package.version, "1.4.0");
        assert_int_equal(package.n_compatible, 2);
        assert_string_equal(package.compatible[0], "acme,sensor-r2");
        assert_string_equal(package.compatible[1], "acme,sensor-net");
        assert_int_equal(package.n_parts, 2);
        assert_int_equal(package.parts[0].fd, fd);
        assert_int_equal(package.parts[1].fd, scratch.last_fd);
        assert_int_equal(scratch.n_opened, 1);
        assert_int_equal(package.parts[1].image, 1);
        assert_int_equal(package.parts[1].slot, -1);
        assert_string_equal(package.parts[1].version, "2.1.0+9");
        assert_string_equal(package.parts[1].name, "net.bin");
        assert_int_equal(package.n_warnings, 0);
        part_equals(&package.parts[0], fixture.application, fixture.application_size);
        part_equals(&package.parts[1], fixture.network, fixture.network_size);
        ncs_zip_format.release(&package, fd);
        assert_true(fcntl(scratch.last_fd, F_GETFD) < 0);
        assert_int_equal(close(fd), 0);
        fixture_clear(&fixture);
}

static void direct_xip_has_one_part_for_each_slot(void **state) {
        static const char manifest[] =
                FILES "{\"image_index\":\"0\",\"slot\":\"0\",\"version_MCUBOOT+XIP\":\"1.4.0\",\"file\":\"s0.bin\"},"
                      "{\"image_index\":\"0\",\"slot\":\"1\",\"version_MCUBOOT+XIP\":\"9.9.9\",\"file\":\"s1.bin\"}]}";
        struct fixture fixture;
        struct gw_package package;
        int fd = -1;
        (void) state;
        fixture_init(&fixture, NULL, 0);
        const struct test_entry entries[] = {text_entry("manifest.json", manifest),
                                             {.name = "s0.bin", .data = fixture.application, .size = fixture.application_size},
                                             {.name = "s1.bin", .data = fixture.network, .size = fixture.network_size}};
        assert_int_equal(read_zip(entries, 3, NULL, &fd, &package, NULL), 0);
        assert_int_equal(package.n_parts, 2);
        assert_int_equal(package.parts[0].slot, 0);
        assert_int_equal(package.parts[1].slot, 1);
        assert_int_equal(package.parts[1].image, 0);
        assert_int_equal(package.n_compatible, 0);
        assert_int_equal(package.n_warnings, 1); /* the manifest's 9.9.9 is not what the image says */
        assert_non_null(strstr(package.warnings[0], "9.9.9"));
        ncs_zip_format.release(&package, fd);
        close(fd);
        fixture_clear(&fixture);
}

static void packages_that_do_not_fit_themselves(void **state) {
        struct fixture fixture;
        (void) state;
        fixture_init(&fixture, NULL, 0);
        const struct test_entry application = {.name = "app.bin", .data = fixture.application, .size = fixture.application_size};
        const struct test_entry network = {.name = "net.bin", .data = fixture.network, .size = fixture.network_size, .deflated = true};
        const struct test_entry cut = {.name = "app.bin", .data = fixture.application, .size = fixture.application_size - 1};
        const struct test_entry other = {.name = "app.bin", .data = "no image at all", .size = 15};
        refused((struct test_entry[]){application}, 1, "manifest-missing");
        refused((struct test_entry[]){text_entry("manifest.json", two_images), application}, 2, "zip-entry-missing");
        refused((struct test_entry[]){text_entry("manifest.json", two_images), network}, 2, "zip-entry-missing");
        refused((struct test_entry[]){text_entry("manifest.json", "{"), application}, 2, "manifest-invalid");
        refused((struct test_entry[]){text_entry("manifest.json", two_images), network, cut}, 3, "image-truncated");
        refused((struct test_entry[]){text_entry("manifest.json", two_images), network, other}, 3, "not-mcuboot");
        refused((struct test_entry[]){text_entry("manifest.json", FILES "{\"file\":\"app.bin\",\"size\":12}]}"), application}, 2,
                "part-size-mismatch");
        refused((struct test_entry[]){text_entry("manifest.json", two_images), application, network, text_entry("../evil", "x")}, 4,
                "zip-path");
        refused((struct test_entry[]){text_entry("manifest.json", two_images), application, network, application}, 4,
                "zip-entry-duplicate");
        fixture.application[5000] ^= 1;
        refused((struct test_entry[]){text_entry("manifest.json", two_images), network, application}, 3, "image-hash-mismatch");
        fixture_clear(&fixture);
}

static void dependencies_within_a_package(void **state) {
        static const struct {
                uint8_t dependency[16];
                const char *name;
        } cases[] = {
                {{0x40, 0, 12, 0, 1, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0}, "image-dependency-unmet"},
                {{0x40, 0, 12, 0, 1, 0, 0, 0, 2, 1, 0, 0, 10, 0, 0, 0}, "image-dependency-unmet"},
                {{0x40, 0, 12, 0, 1, 0, 0, 0, 2, 1, 0, 0, 9, 0, 0, 0}, NULL},
                {{0x40, 0, 12, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0}, NULL}, /* an image that lies on the device */
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fixture fixture;
                struct gw_package package;
                int fd = -1;
                fixture_init(&fixture, cases[i].dependency, 16);
                const struct test_entry entries[] = {text_entry("manifest.json", two_images),
                                                     {.name = "app.bin", .data = fixture.application, .size = fixture.application_size},
                                                     {.name = "net.bin", .data = fixture.network, .size = fixture.network_size}};
                if (cases[i].name) {
                        refused(entries, 3, cases[i].name);
                } else {
                        assert_int_equal(read_zip(entries, 3, NULL, &fd, &package, NULL), 0);
                        assert_int_equal(package.n_dependencies, 1);
                        ncs_zip_format.release(&package, fd);
                        close(fd);
                }
                fixture_clear(&fixture);
        }
}

static void no_room_to_unpack(void **state) {
        static const struct {
                int result;
                const char *name;
        } cases[] = {{-ENOSPC, "disk-full"}, {-EIO, "disk-error"}};
        struct fixture fixture;
        (void) state;
        fixture_init(&fixture, NULL, 0);
        const struct test_entry entries[] = {text_entry("manifest.json", FILES "{\"file\":\"net.bin\"}]}"),
                                             {.name = "net.bin", .data = fixture.network, .size = fixture.network_size, .deflated = true}};
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct scratch scratch = {.last_fd = -1, .result = cases[i].result};
                struct gw_format_options options = options_of(&scratch);
                struct gw_package package;
                struct gw_error err = {};
                int fd = -1;
                assert_int_equal(read_zip(entries, 2, &options, &fd, &package, &err), cases[i].result);
                assert_string_equal(err.name, cases[i].name);
        }
        fixture_clear(&fixture);
}

static void the_callers_limit_counts(void **state) {
        struct scratch scratch = {.last_fd = -1};
        struct gw_format_options options = options_of(&scratch);
        struct fixture fixture;
        struct gw_package package;
        struct gw_error err = {};
        int fd = -1;
        (void) state;
        fixture_init(&fixture, NULL, 0);
        const struct test_entry entries[] = {text_entry("manifest.json", FILES "{\"file\":\"net.bin\"}]}"),
                                             {.name = "net.bin", .data = fixture.network, .size = fixture.network_size, .deflated = true}};
        options.unpacked_max = 500;
        assert_int_equal(read_zip(entries, 2, &options, &fd, &package, &err), -EBADMSG);
        assert_string_equal(err.name, "zip-bomb");
        assert_int_equal(scratch.n_opened, 0);
        fixture_clear(&fixture);
}

static void a_bomb_is_not_unpacked(void **state) {
        struct scratch scratch = {.last_fd = -1};
        struct gw_format_options options = options_of(&scratch);
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_zip_bomb("manifest.json", 16u << 20, &size);
        _cleanup_close_ int fd = test_file_make(bytes, size);
        struct gw_package package;
        struct gw_error err = {};
        (void) state;
        assert_int_equal(ncs_zip_format.read(fd, size, &options, &package, &err), -EBADMSG);
        assert_string_equal(err.name, "zip-bomb");
}

static void signatures_are_required_of_every_part(void **state) {
        EVP_PKEY *key = test_key_make("ED25519");
        _cleanup_free_ char *text = test_key_pem(key, false);
        struct gw_public_key public_key = {"acme", text, strlen(text)};
        struct gw_format_options options = {
                .size = sizeof options, .public_keys = &public_key, .n_public_keys = 1, .require_signature = true};
        struct test_image signed_image = {.major = 1, .key = key}, unsigned_image = {.major = 1};
        size_t signed_size, unsigned_size;
        _cleanup_free_ uint8_t *signed_bytes = test_image_make(&signed_image, &signed_size),
                               *unsigned_bytes = test_image_make(&unsigned_image, &unsigned_size);
        const struct test_entry entries[] = {text_entry("manifest.json", two_images),
                                             {.name = "app.bin", .data = signed_bytes, .size = signed_size},
                                             {.name = "net.bin", .data = unsigned_bytes, .size = unsigned_size}};
        struct gw_package package;
        struct gw_error err = {};
        int fd = -1;
        (void) state;
        assert_int_equal(read_zip(entries, 3, &options, &fd, &package, &err), -EBADMSG);
        assert_string_equal(err.name, "image-signature-missing");
        assert_non_null(strstr(err.text, "net.bin: "));
        EVP_PKEY_free(key);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(two_images_stored_and_packed),
                cmocka_unit_test(direct_xip_has_one_part_for_each_slot),
                cmocka_unit_test(packages_that_do_not_fit_themselves),
                cmocka_unit_test(dependencies_within_a_package),
                cmocka_unit_test(no_room_to_unpack),
                cmocka_unit_test(the_callers_limit_counts),
                cmocka_unit_test(a_bomb_is_not_unpacked),
                cmocka_unit_test(signatures_are_required_of_every_part),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
