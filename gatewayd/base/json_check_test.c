/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/str.h"

static void test_accepts(void **state) {
        static const char *const rows[] = {
                "0",
                "-0",
                "-1.5e+10",
                "1E5",
                "1e-400",
                "0.0",
                "123456789012345678",
                "9223372036854775807",
                "-9223372036854775808",
                "true",
                "false",
                "null",
                "\"\"",
                " \t\r\n{} \n",
                "[]",
                "[ ]",
                "{ }",
                "[1,2]",
                "[1 , [2] ]",
                "{\"a\":1,\"b\":{\"a\":2}}",
                "{\"\":1}",
                "{\"a\":{\"x\":1},\"b\":{\"x\":1}}",
                "[{\"a\":1},{\"a\":2}]",
                "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                "\"\\u00e5\\ud83d\\ude00\"",
                "\"\xc3\xa5\xf0\x9f\x98\x80\"",
                "\"\x7f\"",
                "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
                "{\"a\":1,\"A\":2}",
                "{\"ab\":1,\"a\":2}",
                "\"\\uD83D\\uDE00\"",
                "{\"\\u0061\":1,\"b\":2}",
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct json_check_error error = {0};

                if (json_check(rows[i], strlen(rows[i]), 0, &error) != 0)
                        fail_msg("%s: %s at %zu", rows[i], error.text, error.offset);
        }
}

/* With the offset where the mistake is. */
static void test_refuses(void **state) {
        static const struct {
                const char *json;
                size_t offset;
        } rows[] = {
                {"", 0},
                {"  ", 2},
                {"\xef\xbb\xbf{}", 0},
                {"nul", 0},
                {"True", 0},
                {"nullx", 4},
                {"1 2", 2},
                {"{} {}", 3},
                {"NaN", 0},
                {"Infinity", 0},
                {"-Infinity", 1},
                {"+1", 0},
                {"01", 0},
                {"-01", 0},
                {"00", 0},
                {"-", 1},
                {"1.", 2},
                {".5", 0},
                {"1e", 2},
                {"1e+", 3},
                {"0x10", 1},
                {"1_000", 1},
                {"9223372036854775808", 0},
                {"-9223372036854775809", 0},
                {"1e400", 0},
                {"-1e999", 0},
                {"[1,]", 3},
                {"[,1]", 1},
                {"[1 2]", 3},
                {"[1", 2},
                {"]", 0},
                {"[1}", 2},
                {"{", 1},
                {"{\"a\"}", 4},
                {"{\"a\":}", 5},
                {"{\"a\":1,}", 7},
                {"{a:1}", 1},
                {"{'a':1}", 1},
                {"{1:1}", 1},
                {"{\"a\" 1}", 5},
                {"{\"a\":1 \"b\":2}", 7},
                {"'a'", 0},
                {"\"a", 0},
                {"\"a\\\"", 0},
                {"\"\\x41\"", 2},
                {"\"\\", 2},
                {"\"\\u00g0\"", 5},
                {"\"\\u12\"", 5},
                {"\"\\u0000\"", 1},
                {"{\"a\\u0000b\":1}", 3},
                {"\"\\ud83d\"", 1},
                {"\"\\ud83dx\"", 1},
                {"\"\\ud83d\\u0041\"", 1},
                {"\"\\ude00\"", 1},
                {"\"\\ud83d\\ud83d\"", 1},
                {"\"a\tb\"", 2},
                {"\"a\nb\"", 2},
                {"\"\xc3\"", 1},
                {"\"\xc0\x80\"", 1},
                {"\"\xed\xa0\x80\"", 1},
                {"\"\xff\"", 1},
                {"/* c */1", 0},
                {"// c\n1", 0},
                {"{\"a\":1,\"a\":1}", 7},
                {"{\"a\":1,\"\\u0061\":2}", 7},
                {"{\"x\":{\"b\":1,\"b\":2}}", 12},
                {"{\"\xc3\xa5\":1,\"\\u00e5\":2}", 8},
                {"{\"a\":1,\"b\":2,\"c\":3,\"b\":4,\"a\":5}", 19},
                {"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", 16},
                {"\f1", 0},
                {"\xc2\xa0"
                 "1",
                 0},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct json_check_error error = {.offset = SIZE_MAX};
                int r = json_check(rows[i].json, strlen(rows[i].json), 0, &error);

                if (r != -EBADMSG || error.offset != rows[i].offset || !*error.text)
                        fail_msg("%s: %d at %zu, expected at %zu: %s", rows[i].json, r, error.offset, rows[i].offset, error.text);
                assert_int_equal(json_check(rows[i].json, strlen(rows[i].json), 0, NULL), -EBADMSG);
        }
}

static void test_position_and_text(void **state) {
        const char *json = "{\n  \"a\": 1,\n  \"a\": 2\n}";
        struct json_check_error error;

        (void) state;
        assert_int_equal(json_check(json, strlen(json), 0, &error), -EBADMSG);
        assert_int_equal(error.line, 3);
        assert_int_equal(error.column, 3);
        assert_string_equal(error.text, "member \"a\" stands twice in this object");
        assert_int_equal(json_check("[1;2]", 5, 0, &error), -EBADMSG);
        assert_string_equal(error.text, "found ';' where ',' or ']' was expected");
        assert_int_equal(json_check("[1", 2, 0, &error), -EBADMSG);
        assert_string_equal(error.text, "the text ends where ',' or ']' was expected");
}

static void test_embedded_nul(void **state) {
        struct json_check_error error;

        (void) state;
        assert_int_equal(json_check("1\0", 2, 0, &error), -EBADMSG);
        assert_int_equal(error.offset, 1);
        assert_int_equal(json_check("\"a\0b\"", 5, 0, &error), -EBADMSG);
        assert_int_equal(error.offset, 2);
}

static void test_size_limit(void **state) {
        struct json_check_error error;
        _cleanup_free_ char *big = malloc(JSON_SIZE_MAX + 1);

        (void) state;
        assert_int_equal(json_check("[1]", 3, 2, &error), -E2BIG);
        assert_int_equal(json_check("[1]", 3, 3, &error), 0);
        assert_non_null(big);
        memset(big, ' ', JSON_SIZE_MAX + 1);
        big[0] = '1';
        assert_int_equal(json_check(big, JSON_SIZE_MAX, 0, &error), 0);
        assert_int_equal(json_check(big, JSON_SIZE_MAX + 1, 0, &error), -E2BIG);
}

/* Many members must not cost their square: 100,000 of them, the last one a duplicate of the first. */
static void test_many_members(void **state) {
        _cleanup_strbuf_ struct strbuf json = STRBUF_INIT(4 * LIMIT_MIB);
        struct json_check_error error;

        (void) state;
        strbuf_append_char(&json, '{');
        for (int i = 0; i < 100000; i++)
                strbuf_appendf(&json, "%s\"k%d\":0", i ? "," : "", i);
        strbuf_append(&json, ",\"k0\":0}");
        assert_int_equal(json.error, 0);
        assert_int_equal(json_check(json.text, json.size, json.size, &error), -EBADMSG);
        assert_int_equal(error.offset, json.size - 7);
}

static void test_long_number(void **state) {
        struct json_check_error error;
        char digits[600];

        (void) state;
        memset(digits, '1', sizeof(digits));
        digits[1] = '.';
        assert_int_equal(json_check(digits, 500, 0, &error), 0);
        assert_int_equal(json_check(digits, sizeof(digits), 0, &error), -EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepts),     cmocka_unit_test(test_refuses),      cmocka_unit_test(test_position_and_text),
                cmocka_unit_test(test_size_limit),  cmocka_unit_test(test_many_members), cmocka_unit_test(test_embedded_nul),
                cmocka_unit_test(test_long_number),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
