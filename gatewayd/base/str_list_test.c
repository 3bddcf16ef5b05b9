/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_list(void **state) {
        _cleanup_str_list_ struct str_list list = STR_LIST_INIT, copy = STR_LIST_INIT;

        (void) state;
        assert_int_equal(str_list_append(&list, "smp-*"), 0);
        assert_int_equal(str_list_append_n(&list, "kitchen and more", 7), 0);
        assert_true(str_list_contains(&list, "kitchen"));
        assert_false(str_list_contains(&list, "smp-udp"));
        assert_true(str_list_glob_match(&list, "smp-udp"));
        assert_int_equal(str_list_copy(&copy, &list), 0);
        assert_true(str_list_equal(&copy, &list));
        assert_int_equal(str_list_append(&copy, "x"), 0);
        assert_false(str_list_equal(&copy, &list));
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_list)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
