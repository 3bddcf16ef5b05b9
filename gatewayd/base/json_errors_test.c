/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_collects(void **state) {
        struct json_errors errors;
        char text[256];

        (void) state;
        json_errors_init(&errors);
        assert_false(json_errors_any(&errors));
        json_errors_format(&errors, text, sizeof(text));
        assert_string_equal(text, "");
        json_errors_add(NULL, "x", "nobody asked");
        json_errors_add(&errors, "policy.mode", "expected %s", "a string");
        json_errors_add(&errors, "", "whole");
        json_errors_format(&errors, text, sizeof(text));
        assert_string_equal(text, "policy.mode: expected a string; whole");
}

static void test_bounded(void **state) {
        struct json_errors errors;
        char text[JSON_ERRORS_MAX * sizeof(struct json_error) + 64], small[10];

        (void) state;
        json_errors_init(&errors);
        for (int i = 0; i < JSON_ERRORS_MAX + 5; i++)
                json_errors_add(&errors, "a", "b");
        assert_int_equal(errors.n_items, JSON_ERRORS_MAX);
        assert_int_equal(json_errors_count(&errors), JSON_ERRORS_MAX + 5);
        json_errors_format(&errors, text, sizeof(text));
        assert_non_null(strstr(text, " (and 5 more)"));
        json_errors_format(&errors, small, sizeof(small));
        assert_int_equal(strlen(small), 9);
}

static void test_paths(void **state) {
        char path[JSON_PATH_MAX], deeper[JSON_PATH_MAX], name[300];

        (void) state;
        json_path_member(path, "", "policy");
        assert_string_equal(path, "policy");
        json_path_member(deeper, path, "waves");
        json_path_index(path, deeper, 1);
        assert_string_equal(path, "policy.waves[1]");
        json_path_member(path, path, "count");
        assert_string_equal(path, "policy.waves[1].count");
        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        json_path_member(path, "a", name);
        assert_int_equal(strlen(path), JSON_PATH_MAX - 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_collects),
                cmocka_unit_test(test_bounded),
                cmocka_unit_test(test_paths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
