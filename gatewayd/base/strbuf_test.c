/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_growth(void **state) {
        _cleanup_strbuf_ struct strbuf buf = STRBUF_INIT(10000);
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        (void) state;
        assert_string_equal(strbuf_text(&buf), "");
        for (int i = 0; i < 1000; i++)
                assert_int_equal(strbuf_appendf(&buf, "%d,", i % 10), 0);
        assert_int_equal(buf.size, 2000);
        assert_int_equal(strbuf_append_char(&buf, '!'), 0);
        assert_int_equal(strbuf_take(&buf, &text, &size), 0);
        assert_int_equal(size, 2001);
        assert_int_equal(strlen(text), 2001);
        assert_string_equal(strbuf_text(&buf), "");
}

static void test_limit_sticks(void **state) {
        _cleanup_strbuf_ struct strbuf buf = STRBUF_INIT(5);
        char *text = NULL;

        (void) state;
        assert_int_equal(strbuf_append(&buf, "12345"), 0);
        assert_int_equal(strbuf_append(&buf, "6"), -E2BIG);
        assert_string_equal(strbuf_text(&buf), "12345");
        assert_int_equal(strbuf_append(&buf, ""), -E2BIG);
        assert_int_equal(strbuf_appendf(&buf, "%s", ""), -E2BIG);
        assert_int_equal(strbuf_take(&buf, &text, NULL), -E2BIG);
        assert_null(text);
        strbuf_reset(&buf);
        assert_int_equal(strbuf_append(&buf, "ok"), 0);
        assert_string_equal(strbuf_text(&buf), "ok");
}

static void test_empty_take(void **state) {
        _cleanup_strbuf_ struct strbuf buf = STRBUF_INIT(5);
        _cleanup_free_ char *text = NULL;

        (void) state;
        assert_int_equal(strbuf_take(&buf, &text, NULL), 0);
        assert_string_equal(text, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_growth),
                cmocka_unit_test(test_limit_sticks),
                cmocka_unit_test(test_empty_take),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
