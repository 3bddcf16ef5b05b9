/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>

static struct json *parsed(const char *text) {
        struct json_check_error error;
        struct json *json = NULL;

        if (json_parse(text, strlen(text), 0, &json, &error) != 0)
                fail_msg("%s: %s", text, error.text);
        return json;
}

static void test_parse_and_get(void **state) {
        _cleanup_json_ struct json *json = parsed(
                "{\"i\":-5,\"big\":9223372036854775807,\"d\":1.5,\"s\":\"\\u00e5\",\"b\":true,\"n\":null,\"a\":[1,null,\"x\"],\"o\":{}}");
        struct json *value = json;
        const char *text;
        int64_t integer;
        double number;
        bool yes;

        (void) state;
        assert_int_equal(json_kind(json), JSON_KIND_OBJECT);
        assert_int_equal(json_length(json), 8);
        assert_int_equal(json_member_int(json, "i", -10, 10, &integer), 0);
        assert_int_equal(integer, -5);
        assert_int_equal(json_member_int(json, "i", 0, 10, &integer), -ERANGE);
        assert_int_equal(json_member_int(json, "big", 0, INT64_MAX, &integer), 0);
        assert_true(integer == INT64_MAX);
        assert_int_equal(json_member_int(json, "d", 0, 10, &integer), -EINVAL);
        assert_int_equal(json_member_int(json, "absent", 0, 10, &integer), -ENOENT);
        assert_int_equal(json_member_double(json, "d", &number), 0);
        assert_true(number == 1.5);
        assert_int_equal(json_member_double(json, "i", &number), 0);
        assert_int_equal(json_member_string(json, "s", &text), 0);
        assert_string_equal(text, "\xc3\xa5");
        assert_int_equal(json_member_string(json, "i", &text), -EINVAL);
        assert_int_equal(json_member_bool(json, "b", &yes), 0);
        assert_true(yes);
        assert_int_equal(json_member_bool(json, "i", &yes), -EINVAL);
        assert_int_equal(json_member(json, "n", &value), 0);
        assert_null(value);
        assert_true(json_has(json, "n"));
        assert_false(json_has(json, "absent"));
        assert_null(json_member_text(json, "i"));
        assert_int_equal(json_length(json_child(json, "a")), 3);
        assert_string_equal(json_string_or_null(json_at(json_child(json, "a"), 2)), "x");
        assert_null(json_at(json_child(json, "a"), 3));
        assert_int_equal(json_member(json_child(json, "i"), "x", &value), -EINVAL);
}

static void test_scalars(void **state) {
        _cleanup_json_ struct json *number = parsed("12"), *text = parsed("\"a\""), *null = parsed(" null ");

        (void) state;
        assert_int_equal(json_kind(number), JSON_KIND_INT);
        assert_int_equal(json_kind(text), JSON_KIND_STRING);
        assert_null(null);
        assert_int_equal(json_kind(null), JSON_KIND_NULL);
        assert_int_equal(json_length(number), 0);
}

static void test_parse_not_terminated(void **state) {
        _cleanup_json_ struct json *json = NULL;
        const char text[] = {'[', '1', ']', '9'};

        (void) state;
        assert_int_equal(json_parse(text, 3, 0, &json, NULL), 0);
        assert_int_equal(json_length(json), 1);
        assert_int_equal(json_parse(text, 4, 0, &json, NULL), -EBADMSG);
}

static void test_iterate(void **state) {
        _cleanup_json_ struct json *json = parsed("{\"z\":1,\"a\":null,\"m\":[4,null,6]}");
        char keys[8] = "";
        int n = 0, sum = 0;

        (void) state;
        JSON_FOREACH_MEMBER(it, json)
        strcat(keys, it.key);
        assert_string_equal(keys, "zam");
        JSON_FOREACH_ITEM(i, item, json_child(json, "m")) {
                int64_t value = 0;

                n++;
                if (item)
                        json_get_int(item, 0, 100, &value);
                sum += (int) (value * (int) i);
        }
        assert_int_equal(n, 3);
        assert_int_equal(sum, 12);
        JSON_FOREACH_ITEM(i, item, json_child(json, "m")) {
                if (!item)
                        continue;
                n++;
                if (i == 0)
                        break;
        }
        assert_int_equal(n, 4);
        JSON_FOREACH_MEMBER(it, json_child(json, "z"))
        fail_msg("%s", it.key);
}

static void test_members_check(void **state) {
        static const char *const allowed[] = {"mode", "trial", "deadline"};
        _cleanup_json_ struct json *json = parsed("{\"mode\":1,\"dedline\":2,\"x\\ny\":3}");
        struct json_errors errors;
        char text[512];

        (void) state;
        json_errors_init(&errors);
        assert_false(json_members_check(json, allowed, ARRAY_SIZE(allowed), "policy", &errors));
        json_errors_format(&errors, text, sizeof(text));
        assert_string_equal(text, "policy.dedline: unknown member, did you mean \"deadline\"?; policy.x\\x0ay: unknown member");
        json_errors_init(&errors);
        assert_false(json_members_check(NULL, allowed, ARRAY_SIZE(allowed), "policy", &errors));
        assert_string_equal(errors.items[0].text, "expected an object, found null");
        assert_int_equal(json_remove(json, "dedline"), 0);
        assert_int_equal(json_remove(json, "x\ny"), 0);
        assert_int_equal(json_remove(json, "x\ny"), -ENOENT);
        assert_true(json_members_check(json, allowed, ARRAY_SIZE(allowed), "policy", NULL));
}

static void test_build_and_write(void **state) {
        _cleanup_json_ struct json *json = json_new_object();
        _cleanup_free_ char *text = NULL, *pretty = NULL;
        struct json *list, *inner;
        size_t size = 0;

        (void) state;
        assert_int_equal(json_set_string(json, "s", "a/b\"\n\xc3\xa5"), 0);
        assert_int_equal(json_set_string(json, "absent", NULL), 0);
        assert_int_equal(json_set_int(json, "i", INT64_MIN), 0);
        assert_int_equal(json_set_double(json, "d", 0.1), 0);
        assert_int_equal(json_set_double(json, "nan", NAN), -EINVAL);
        assert_int_equal(json_set_bool(json, "b", false), 0);
        assert_int_equal(json_set_null(json, "n"), 0);
        list = json_set_new_array(json, "a");
        assert_int_equal(json_append_int(list, 1), 0);
        assert_int_equal(json_append_string(list, "x"), 0);
        inner = json_append_new_object(list);
        assert_int_equal(json_set_int(inner, "k", 1), 0);
        assert_non_null(json_set_new_object(json, "o"));
        assert_int_equal(json_write(json, &text, &size), 0);
        assert_string_equal(text, "{\"s\":\"a/b\\\"\\n\xc3\xa5\",\"i\":-9223372036854775808,\"d\":0.1,\"b\":false,\"n\":null,"
                                  "\"a\":[1,\"x\",{\"k\":1}],\"o\":{}}");
        assert_int_equal(size, strlen(text));
        assert_int_equal(json_check(text, size, 0, NULL), 0);
        assert_int_equal(json_write_pretty(json, &pretty, &size), 0);
        assert_int_equal(json_check(pretty, size, 0, NULL), 0);
        assert_non_null(strstr(pretty, "\n  \"i\": -9223372036854775808"));
}

/* The child is taken over also when it cannot be stored (the leak checker watches). */
static void test_ownership_on_failure(void **state) {
        _cleanup_json_ struct json *number = json_new_int(1);

        (void) state;
        assert_int_equal(json_set(number, "k", json_new_object()), -EINVAL);
        assert_int_equal(json_append(number, json_new_object()), -EINVAL);
        assert_null(json_set_new_object(number, "k"));
        assert_null(json_append_new_object(number));
        assert_int_equal(json_remove(number, "k"), -EINVAL);
}

/* What a device says about itself may be any bytes; what we send on is always JSON. */
static void test_foreign_text(void **state) {
        _cleanup_json_ struct json *json = json_new_array();
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        (void) state;
        assert_int_equal(json_append_string(json, "a\xff\xc3"), 0);
        assert_int_equal(json_append(json, json_new_string_n("x\0y", 3)), 0);
        assert_int_equal(json_write(json, &text, &size), 0);
        assert_string_equal(text, "[\"a\\\\xff\\\\xc3\",\"x\\\\x00y\"]");
        assert_int_equal(json_check(text, size, 0, NULL), 0);
}

static void test_doubles_read_back(void **state) {
        static const double rows[] = {0.1, 1.0 / 3.0, 1e300, 5e-324, -2.5, 123456789.123456789, 100.0};

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_json_ struct json *number = json_new_double(rows[i]), *again = NULL;
                _cleanup_free_ char *text = NULL;
                double value = 0;

                assert_int_equal(json_write(number, &text, NULL), 0);
                assert_int_equal(json_parse(text, strlen(text), 0, &again, NULL), 0);
                assert_int_equal(json_get_double(again, &value), 0);
                assert_true(value == rows[i]);
        }
}

static void test_copy_and_equal(void **state) {
        _cleanup_json_ struct json *json = parsed("{\"a\":[1,{\"b\":\"c\"}]}"), *copy = NULL, *null = json;

        (void) state;
        assert_int_equal(json_copy(json, &copy), 0);
        assert_true(json_equal(json, copy));
        assert_int_equal(json_set_int(copy, "z", 1), 0);
        assert_false(json_equal(json, copy));
        assert_int_equal(json_copy(NULL, &null), 0);
        assert_null(null);
}

static void test_references(void **state) {
        struct json *json = json_new_int(3), *second = json_ref(json);
        int64_t value = 0;

        (void) state;
        json_free(json);
        assert_int_equal(json_get_int(second, 0, 9, &value), 0);
        assert_int_equal(value, 3);
        json_free(second);
        json_free(NULL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_and_get),        cmocka_unit_test(test_scalars),
                cmocka_unit_test(test_parse_not_terminated), cmocka_unit_test(test_iterate),
                cmocka_unit_test(test_members_check),        cmocka_unit_test(test_build_and_write),
                cmocka_unit_test(test_ownership_on_failure), cmocka_unit_test(test_foreign_text),
                cmocka_unit_test(test_doubles_read_back),    cmocka_unit_test(test_copy_and_equal),
                cmocka_unit_test(test_references),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
