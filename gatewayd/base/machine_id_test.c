/* SPDX-License-Identifier: Apache-2.0 */
#include "base/machine_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_format(void **state) {
        static const uint8_t id[16] = {0x1a, 0x2b, 0x3c, 0xff};
        static const char *const rows[][2] = {
                {"pi-oslo", "pi-oslo-1a2b3c"},
                {"Pi_Oslo.local", "pi-oslo-local-1a2b3c"},
                {"", "gateway-1a2b3c"},
                {"\xc3\xa5", "---1a2b3c"},
        };
        char text[MACHINE_ID_GATEWAY_SIZE], longest[256];

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                machine_id_gateway_format(text, rows[i][0], id);
                assert_string_equal(text, rows[i][1]);
                assert_true(str_is_gateway_id(text));
        }
        memset(longest, 'A', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        machine_id_gateway_format(text, longest, id);
        assert_int_equal(strlen(text), STR_GATEWAY_ID_MAX);
        assert_true(str_is_gateway_id(text));
        assert_true(str_ends_with(text, "a-1a2b3c"));
}

static void test_default(void **state) {
        char first[MACHINE_ID_GATEWAY_SIZE], second[MACHINE_ID_GATEWAY_SIZE];
        int r = machine_id_gateway_default(first);

        (void) state;
        if (access("/etc/machine-id", R_OK) < 0) {
                assert_true(r < 0);
                return;
        }
        if (r < 0)
                skip(); /* an uninitialised or empty file: an image that was never booted */
        assert_true(str_is_gateway_id(first));
        assert_int_equal(machine_id_gateway_default(second), 0);
        assert_string_equal(first, second);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_format), cmocka_unit_test(test_default)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
