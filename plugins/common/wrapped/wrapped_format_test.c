/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wrapped/wrapped_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER "gatewayd-file/1\nversion: 1.4.0-rc.1\ncompatible: acme,meter-2\ncompatible: acme,meter-3\n\n"

static int read_text(const char *text, size_t size, bool require_signature, struct gw_package *package, struct gw_error *err) {
        struct gw_format_options options = { .size = sizeof options, .require_signature = require_signature };
        int r, fd = memfd_create("file", MFD_CLOEXEC);

        assert_int_equal(write(fd, text, size), size);
        r = wrapped_format.read(fd, size, &options, package, err);
        if (r == 0)
                wrapped_format.release(package, fd);
        close(fd);
        return r;
}

static void test_a_whole_file(void **state) {
        static const uint8_t sha256_of_abc[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };
        struct gw_package package = { 0 };

        (void) state;
        assert_true(wrapped_format.matches((const uint8_t *) HEADER, strlen(HEADER), -1, 0));
        assert_int_equal(read_text(HEADER "abc", strlen(HEADER) + 3, false, &package, NULL), 0);
        assert_string_equal(package.format, "wrapped");
        assert_string_equal(package.version, "1.4.0-rc.1");
        assert_int_equal(package.n_compatible, 2);
        assert_string_equal(package.compatible[1], "acme,meter-3");
        assert_int_equal(package.n_parts, 1);
        assert_int_equal(package.parts[0].offset, strlen(HEADER));
        assert_int_equal(package.parts[0].size, 3);
        assert_int_equal(package.parts[0].slot, -1);
        assert_int_equal(package.parts[0].hash_size, 32);
        assert_memory_equal(package.parts[0].hash, sha256_of_abc, sizeof sha256_of_abc);
        assert_memory_equal(package.parts[0].sha256, sha256_of_abc, sizeof sha256_of_abc);
        assert_string_equal(package.parts[0].version, "1.4.0-rc.1");
}

static void test_what_is_refused(void **state) {
        static const char *const texts[] = {
                "gatewayd-file/1\n",
                "gatewayd-file/1\nversion: 1\ncompatible: acme,m",
                "gatewayd-file/1\nversion: 1\n\nimage",
                "gatewayd-file/1\ncompatible: acme,m\n\nimage",
                "gatewayd-file/1\nversion: 1\nversion: 2\ncompatible: acme,m\n\nimage",
                "gatewayd-file/1\nversion: \ncompatible: acme,m\n\nimage",
                "gatewayd-file/1\nversion: 1 2\ncompatible: acme,m\n\nimage",
                "gatewayd-file/1\nversion: 1\ncompatible: two words\n\nimage",
                "gatewayd-file/1\nversion: 1\ncompatible: acme,m\nmaker: acme\n\nimage",
                "gatewayd-file/1\nversion: 1\ncompatible: acme,m\n\n",
                "gatewayd-file/1\r\nversion: 1\r\ncompatible: acme,m\r\n\r\nimage",
                "gatewayd-file/1\nversion: 12345678901234567890123456789012345678901234567890\ncompatible: acme,m\n\nimage",
        };

        (void) state;
        assert_false(wrapped_format.matches((const uint8_t *) "gatewayd-file/2\n", 16, -1, 16));
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                struct gw_package package;
                struct gw_error err = { 0 };

                assert_true(read_text(texts[i], strlen(texts[i]), false, &package, &err) < 0);
                assert_string_equal(err.name, "format-unreadable");
        }
}

static void test_a_header_beyond_the_limit(void **state) {
        char text[WRAPPED_HEADER_MAX + 64] = "gatewayd-file/1\nversion: 1\ncompatible: acme,m\n";
        struct gw_package package;
        struct gw_error err = { 0 };

        (void) state;
        memset(text + strlen(text), 'x', sizeof text - strlen(text) - 1);
        assert_true(read_text(text, sizeof text, false, &package, &err) < 0);
        assert_string_equal(err.name, "format-unreadable");
}

static void test_where_signatures_are_required(void **state) {
        struct gw_package package;
        struct gw_error err = { 0 };

        (void) state;
        assert_true(read_text(HEADER "abc", strlen(HEADER) + 3, true, &package, &err) < 0);
        assert_string_equal(err.name, "image-signature-missing");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_whole_file),
                cmocka_unit_test(test_what_is_refused),
                cmocka_unit_test(test_a_header_beyond_the_limit),
                cmocka_unit_test(test_where_signatures_are_required),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
