/* SPDX-License-Identifier: Apache-2.0 */
#include "document/campaign_list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static int parse(const char *text, size_t size, struct campaign_list **ret_list, char *what, size_t what_size) {
        struct json_errors errors;
        int r;

        json_errors_init(&errors);
        r = campaign_list_parse(text, size, ret_list, &errors);
        json_errors_format(&errors, what, what_size);
        return r;
}

static void test_lists(void **state) {
        static const struct {
                const char *text;
                size_t n;
        } rows[] = { { "[]", 0 }, { " [ \"eyJh.eyJi.c2ln\" ]\n", 1 }, { "[\"a.b.c\",\"-_.A0.z\"]", 2 } };
        char what[256];

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_campaign_list_ struct campaign_list *list = NULL;

                assert_int_equal(parse(rows[i].text, strlen(rows[i].text), &list, what, sizeof what), 0);
                assert_int_equal(campaign_list_count(list), rows[i].n);
                if (i == 2)
                        assert_string_equal(campaign_list_at(list, 1), "-_.A0.z");
        }
}

static void test_what_is_no_list(void **state) {
        static const struct {
                const char *text, *what;
        } rows[] = {
                { "", "line 1" },
                { "<html>", "line 1, column 1" },
                { "{}", "found an object" },
                { "null", "found null" },
                { "\"a.b.c\"", "found a string" },
                { "[\"a.b.c\"", "line 1" },
                { "[\"a.b.c\", 1]", "[1]: expected a JWS" },
                { "[null]", "[0]: expected a JWS" },
                { "[\"\"]", "[0]" },
                { "[\"a.b.c\\n\"]", "[0]" },
                { "[\"a.b.c\", \"a b\"]", "[1]" },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct campaign_list *list = NULL;
                char what[512];

                assert_int_equal(parse(rows[i].text, strlen(rows[i].text), &list, what, sizeof what), -EBADMSG);
                assert_null(list);
                if (!strstr(what, rows[i].what))
                        fail_msg("%s: no \"%s\" in: %s", rows[i].text, rows[i].what, what);
        }
}

/* A list with n items, each of `length` characters. */
static char *make(size_t n, size_t length) {
        struct strbuf out = STRBUF_INIT(4u * LIMIT_MIB);
        char *text = NULL;

        strbuf_append(&out, "[");
        for (size_t i = 0; i < n; i++) {
                strbuf_append(&out, i > 0 ? ",\"a.b." : "\"a.b.");
                for (size_t j = 4; j < length; j++)
                        strbuf_append_char(&out, 'c');
                strbuf_append_char(&out, '"');
        }
        strbuf_append(&out, "]");
        assert_int_equal(strbuf_take(&out, &text, NULL), 0);
        return text;
}

static void test_limits(void **state) {
        static const struct {
                size_t n, length;
                int result;
        } rows[] = {
                { CAMPAIGN_LIST_MAX, 10, 0 },        { CAMPAIGN_LIST_MAX + 1, 10, -EBADMSG }, { 1, JWS_SIZE_MAX, 0 },
                { 1, JWS_SIZE_MAX + 1, -EBADMSG }, { 2, JWS_SIZE_MAX, -E2BIG },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = make(rows[i].n, rows[i].length);
                _cleanup_campaign_list_ struct campaign_list *list = NULL;
                char what[512];

                assert_int_equal(parse(text, strlen(text), &list, what, sizeof what), rows[i].result);
                assert_true((what[0] != '\0') == (rows[i].result < 0));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lists),
                cmocka_unit_test(test_what_is_no_list),
                cmocka_unit_test(test_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
