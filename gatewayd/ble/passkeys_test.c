/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/passkeys.h"

#include <setjmp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define KEY "DE063B974CD8"

static char path[] = "/tmp/gatewayd-passkeys-XXXXXX";

static void write_file(const char *text, mode_t mode) {
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(path, mode), 0);
}

static int setup(void **state) {
        int fd = mkstemp(path);

        (void) state;
        return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state) {
        (void) state;
        return unlink(path);
}

static void test_rows(void **state) {
        static const struct {
                const char *text;
                mode_t mode;
                const char *error; /* "" = found */
                uint32_t passkey;
        } rows[] = {
                { KEY " 004711\n", 0600, "", 4711 },
                { "DE:06:3B:97:4C:D8\t999999", 0400, "", 999999 },
                { "# ours\n\n  de:06:3b:97:4c:d8   000000  # on its label\r\n", 0600, "", 0 },
                { "de063b974cd8 123456\n", 0600, "", 123456 },
                { "DE063B974CD9 123456\n" KEY " 654321\n", 0600, "", 654321 },
                { KEY " 111111\n" KEY " 222222\n", 0600, "", 222222 },
                { "", 0600, "passkey-missing", 0 },
                { "DE063B974CD9 123456\n", 0600, "passkey-missing", 0 },
                { KEY " 12345\n", 0600, "passkey-file-unsafe", 0 },
                { KEY " 1234567\n", 0600, "passkey-file-unsafe", 0 },
                { KEY " 12345a\n", 0600, "passkey-file-unsafe", 0 },
                { KEY "\n", 0600, "passkey-file-unsafe", 0 },
                { KEY " 123456 7\n", 0600, "passkey-file-unsafe", 0 },
                { KEY " 123456\nkitchen 123456\n", 0600, "passkey-file-unsafe", 0 },
                { KEY " 123456\n", 0640, "passkey-file-unsafe", 0 },
                { KEY " 123456\n", 0604, "passkey-file-unsafe", 0 },
                { KEY " 123456\n", 0622, "passkey-file-unsafe", 0 },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct gw_error err = { 0 };
                uint32_t passkey = 77;
                int r;

                write_file(rows[i].text, rows[i].mode);
                r = passkeys_find(path, KEY, &passkey, &err);
                assert_string_equal(err.name, rows[i].error);
                assert_int_equal(r == 0, rows[i].error[0] == '\0');
                assert_int_equal(passkey, rows[i].error[0] ? 77 : rows[i].passkey);
        }
}

/* What stands in the file stays in the file. */
static void test_no_passkey_in_errors(void **state) {
        struct gw_error err = { 0 };
        uint32_t passkey;

        (void) state;
        write_file("DE063B974CD9 271828\nkitchen 314159\n", 0600);
        assert_true(passkeys_find(path, KEY, &passkey, &err) < 0);
        assert_null(strstr(err.text, "271828"));
        assert_null(strstr(err.text, "314159"));
        assert_non_null(strstr(err.text, "line 2"));
}

static void test_no_file(void **state) {
        struct gw_error err = { 0 };
        uint32_t passkey;

        (void) state;
        assert_true(passkeys_find("/nonexistent/passkeys", KEY, &passkey, &err) < 0);
        assert_string_equal(err.name, "passkey-file-unsafe");
        assert_true(passkeys_find("", KEY, &passkey, &err) < 0);
        assert_non_null(strstr(err.text, "not set"));
        assert_true(passkeys_find("/tmp", KEY, &passkey, &err) < 0);
        assert_non_null(strstr(err.text, "no ordinary file"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rows),
                cmocka_unit_test(test_no_passkey_in_errors),
                cmocka_unit_test(test_no_file),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
