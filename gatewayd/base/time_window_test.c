/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time_window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/str.h"

static void test_start(void **state) {
        static const char *const bad[] = {"", "8:00", "24:00", "22:60", "22:00 ", "2200", "22.00", "-1:00", "+1:00", "22:0a"};
        char text[TIME_WINDOW_START_SIZE];
        uint16_t start = 7;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(time_window_parse_start(bad[i], &start), -EINVAL);
        assert_int_equal(start, 7);
        for (unsigned i = 0; i < 24 * 60; i++) {
                time_window_format_start(text, (uint16_t) i);
                assert_int_equal(time_window_parse_start(text, &start), 0);
                assert_int_equal(start, i);
        }
}

static void test_zone_names(void **state) {
        static const char *const good[] = {"UTC", "Europe/Oslo", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "Etc/GMT-14", "EST5EDT"};
        static const char *const bad[] = {"",  "/",   "/etc/passwd", "Europe/",       "Europe//Oslo", "../shadow",   "Europe/../../x",
                                          ".", "a.b", "Å/b",         "Europe/Oslo\n", "<+03>-3",      ":Europe/Oslo"};
        char longest[TIME_ZONE_NAME_MAX + 2];

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                assert_true(time_zone_is_name(good[i]));
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_false(time_zone_is_name(bad[i]));
        memset(longest, 'a', sizeof(longest));
        longest[TIME_ZONE_NAME_MAX + 1] = '\0';
        assert_false(time_zone_is_name(longest));
        longest[TIME_ZONE_NAME_MAX] = '\0';
        assert_true(time_zone_is_name(longest));
}

/* What a line says, in the words that it is written back with ("; " between windows). */
static const struct {
        const char *text, *again;
} good_lines[] = {
        {"", ""},
        {" ; ;", ""},
        {"22:00 7h Europe/Oslo", "22:00 7 h Europe/Oslo"},
        {"mon,tue 22:00 420min Europe/Oslo", "mon,tue 22:00 7 h Europe/Oslo"},
        {"mon-sun 22:00 7h UTC", "22:00 7 h UTC"},
        {"fri-mon 22:00 90 min UTC", "mon,fri-sun 22:00 1 h 30 min UTC"},
        {"sun-mon 00:00 1min UTC", "mon,sun 00:00 1 min UTC"},
        {"wed-wed,fri 23:59 1w UTC", "wed,fri 23:59 7 d UTC"},
        {"  tue,mon   22:00\t1 h 30 min   Etc/GMT+5 ;sat 08:00 10h UTC;", "mon,tue 22:00 1 h 30 min Etc/GMT+5; sat 08:00 10 h UTC"},
};

static void test_lines(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(good_lines); i++) {
                _cleanup_strbuf_ struct strbuf again = STRBUF_INIT(1024);
                struct time_window *windows = NULL;
                char why[128] = "", text[128];
                size_t n = 99;

                assert_int_equal(time_windows_parse(good_lines[i].text, &windows, &n, why, sizeof(why)), 0);
                for (size_t j = 0; j < n; j++) {
                        assert_int_equal(time_window_format(text, sizeof(text), &windows[j]), 0);
                        strbuf_appendf(&again, "%s%s", j > 0 ? "; " : "", text);
                }
                assert_string_equal(strbuf_text(&again), good_lines[i].again);
                time_windows_free(windows, n);
        }
}

static void test_mistakes(void **state) {
        static const struct {
                const char *text, *why;
        } table[] = {
                {"monday 22:00 7h UTC", "expected days"},
                {"mon, tue 22:00 7h UTC", "expected days"},
                {"mon 7h UTC", "expected a time such as"},
                {"22:00", "expected a time zone"},
                {"22:00 7h", "expected a time zone"},
                {"22:00 UTC", "expected a time zone"},
                {"22:00 7x UTC", "expected a duration"},
                {"22:00 30 UTC", "expected a duration"},
                {"22:00 90 s UTC", "expected a duration"},
                {"22:00 0 min UTC", "expected a duration"},
                {"22:00 8 d UTC", "expected a duration"},
                {"22:00 7h ../Oslo", "expected a time zone"},
                {"22:00 7h UTC; 25:00 1h UTC", "found \"25:00\""},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct time_window *windows = NULL;
                char why[128] = "";
                size_t n = 99;

                assert_int_equal(time_windows_parse(table[i].text, &windows, &n, why, sizeof(why)), -EINVAL);
                if (!strstr(why, table[i].why))
                        fail_msg("\"%s\": %s", table[i].text, why);
                assert_null(windows);
                assert_int_equal(n, 99);
        }
}

static void test_limits(void **state) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(8192);
        struct time_window *windows = NULL;
        char why[128];
        size_t n = 0;

        (void) state;
        for (int i = 0; i < TIME_WINDOWS_MAX; i++)
                strbuf_append(&text, "22:00 7h UTC;");
        assert_int_equal(time_windows_parse(strbuf_text(&text), &windows, &n, why, sizeof(why)), 0);
        assert_int_equal(n, TIME_WINDOWS_MAX);
        time_windows_free(windows, n);
        strbuf_append(&text, "23:00 1h UTC");
        assert_int_equal(time_windows_parse(strbuf_text(&text), &windows, &n, why, sizeof(why)), -EINVAL);
        assert_non_null(strstr(why, "at most 32 windows"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_start),    cmocka_unit_test(test_zone_names), cmocka_unit_test(test_lines),
                cmocka_unit_test(test_mistakes), cmocka_unit_test(test_limits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
