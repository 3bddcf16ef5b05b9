/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json_line/json_line.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LINE_MAX_BYTES 8

struct heard {
        char text[128];
        int refuse_at; /* which line is refused, from 1; 0 none */
        int n_lines;
};

static int hear(void *ctx, const char *text, size_t size) {
        struct heard *heard = ctx;
        size_t used = strlen(heard->text);

        heard->n_lines++;
        snprintf(heard->text + used, sizeof heard->text - used, "%.*s|", (int) size, text);
        return heard->n_lines == heard->refuse_at ? -EBADMSG : 0;
}

static void test_lines_in_pieces_of_any_size(void **state) {
        static const char text[] = "one\n\n  \t\r\ntwo\r\n12345678\nrest";

        (void) state;
        for (size_t piece = 1; piece <= strlen(text); piece++) {
                struct heard heard = { 0 };
                struct json_line lines;

                json_line_init(&lines, LINE_MAX_BYTES);
                for (size_t at = 0; at < strlen(text); at += piece)
                        assert_int_equal(json_line_feed(&lines, text + at, MIN(piece, strlen(text) - at), hear, &heard), 0);
                assert_string_equal(heard.text, "one|two\r|12345678|");
                assert_int_equal(json_line_flush(&lines, hear, &heard), 0);
                assert_int_equal(json_line_flush(&lines, hear, &heard), 0);
                assert_string_equal(heard.text, "one|two\r|12345678|rest|");
                json_line_deinit(&lines);
        }
}

static void test_a_line_that_is_too_long(void **state) {
        struct heard heard = { 0 };
        struct json_line lines;

        (void) state;
        json_line_init(&lines, LINE_MAX_BYTES);
        assert_int_equal(json_line_feed(&lines, "ok\n1234", 7, hear, &heard), 0);
        assert_int_equal(json_line_feed(&lines, "56789\n", 6, hear, &heard), -E2BIG);
        assert_string_equal(heard.text, "ok|");
        json_line_deinit(&lines);
}

static void test_who_listens_may_stop_it(void **state) {
        struct heard heard = { .refuse_at = 2 };
        struct json_line lines;

        (void) state;
        json_line_init(&lines, LINE_MAX_BYTES);
        assert_int_equal(json_line_feed(&lines, "a\nb\nc\n", 6, hear, &heard), -EBADMSG);
        assert_string_equal(heard.text, "a|b|");
        json_line_deinit(&lines);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines_in_pieces_of_any_size),
                cmocka_unit_test(test_a_line_that_is_too_long),
                cmocka_unit_test(test_who_listens_may_stop_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
