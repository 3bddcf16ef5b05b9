/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct style plain = { .utf8 = true };

static void test_columns(void **state) {
        (void) state;
        assert_int_equal(text_columns(""), 0);
        assert_int_equal(text_columns("kitchen"), 7);
        assert_int_equal(text_columns("Küche"), 5);
        assert_int_equal(text_columns("厨房"), 4);
        assert_int_equal(text_columns("e\xcc\x81"), 1);
        assert_int_equal(text_columns("\xff\xfe"), 2);
}

static void assert_cut(const char *text, size_t columns, const struct style *style, const char *expected) {
        struct strbuf out = STRBUF_INIT(1000);

        assert_int_equal(text_append_cut(&out, text, columns, style), 0);
        assert_string_equal(strbuf_text(&out), expected);
        assert_true(text_columns(strbuf_text(&out)) <= columns);
        strbuf_deinit(&out);
}

static void test_cut(void **state) {
        static const struct style ascii = { 0 };

        (void) state;
        assert_cut("kitchen", 7, &plain, "kitchen");
        assert_cut("kitchen", 6, &plain, "kitch…");
        assert_cut("kitchen", 6, &ascii, "kitch~");
        assert_cut("厨房厨房", 5, &plain, "厨房…");
        assert_cut("厨房厨房", 4, &plain, "厨…");
        assert_cut("kitchen", 0, &plain, "");
}

static void assert_wrapped(const char *text, size_t indent, unsigned columns, const char *expected) {
        struct style style = { .utf8 = true, .columns = columns };
        struct strbuf out = STRBUF_INIT(1000);

        assert_int_equal(text_append_wrapped(&out, text, indent, &style), 0);
        assert_string_equal(strbuf_text(&out), expected);
        strbuf_deinit(&out);
}

static void test_wrapped(void **state) {
        (void) state;
        assert_wrapped("the quick brown fox jumps", 0, 0, "the quick brown fox jumps\n");
        assert_wrapped("the quick brown fox jumps over", 4, 26, "the quick brown fox\n    jumps over\n");
        assert_wrapped("über über über über über", 2, 24, "über über über über\n  über\n");
        assert_wrapped("", 2, 30, "\n");
        assert_wrapped("averyveryverylongwordthatdoesnotfit at all", 2, 23, "averyveryverylongwordthatdoesnotfit\n  at all\n");
}

static void assert_bytes(int64_t bytes, const char *expected) {
        char text[32];

        text_bytes(text, sizeof text, bytes);
        assert_string_equal(text, expected);
}

static void test_bytes(void **state) {
        (void) state;
        assert_bytes(0, "0 B");
        assert_bytes(999, "999 B");
        assert_bytes(1000, "0.98 KiB");
        assert_bytes(1024, "1.00 KiB");
        assert_bytes(35021, "34.2 KiB");
        assert_bytes(204800, "200 KiB");
        assert_bytes(1572864, "1.50 MiB");
        assert_bytes(INT64_MAX, "8388608 TiB");
}

static void assert_duration(int64_t ms, const char *expected) {
        char text[48];

        text_duration(text, sizeof text, ms);
        assert_string_equal(text, expected);
}

static void test_duration(void **state) {
        (void) state;
        assert_duration(0, "0 ms");
        assert_duration(340, "340 ms");
        assert_duration(1000, "1 s");
        assert_duration(3720, "3.7 s");
        assert_duration(12999, "12 s");
        assert_duration(60000, "1 min");
        assert_duration(200000, "3 min 20 s");
        assert_duration(2 * 3600000 + 5 * 60000, "2 h 5 min");
        assert_duration(100 * 3600000ll, "4 d 4 h");
}

static void assert_ago(const char *then, const char *expected) {
        char text[48];

        text_ago(text, sizeof text, then, 1795219200000);
        assert_string_equal(text, expected);
}

static void test_ago(void **state) {
        (void) state;
        assert_ago("2026-11-21T00:00:00Z", "now");
        assert_ago("2026-11-20T23:59:59.5Z", "now");
        assert_ago("2026-11-20T23:59:55.5Z", "4 s ago");
        assert_ago("2026-11-19T23:00:00Z", "1 d 1 h ago");
        assert_ago("2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z");
        assert_ago("soon", "soon");
}

static void test_time_is_local(void **state) {
        char text[48];

        (void) state;
        setenv("TZ", "UTC-2", true);
        text_time(text, sizeof text, "2026-11-21T23:10:05Z");
        assert_string_equal(text, "2026-11-22 01:10:05");
        text_time(text, sizeof text, "never");
        assert_string_equal(text, "never");
}

static void test_tones(void **state) {
        struct style colour = { .colour = true };
        struct strbuf out = STRBUF_INIT(1000);

        (void) state;
        text_append_toned(&out, "bad", TONE_BAD, &colour);
        text_append_toned(&out, " plain", TONE_PLAIN, &colour);
        text_append_toned(&out, " bad", TONE_BAD, &plain);
        assert_string_equal(strbuf_text(&out), "\033[31mbad\033[0m plain bad");
        strbuf_deinit(&out);
}

static void test_what_a_peer_wrote_cannot_move_the_cursor(void **state) {
        char *clean = text_clean("a\033[2Jb\nc");

        (void) state;
        assert_non_null(clean);
        assert_string_equal(clean, "a\\x1b[2Jb\\x0ac");
        free(clean);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_columns),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_wrapped),
                cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_duration),
                cmocka_unit_test(test_ago),
                cmocka_unit_test(test_time_is_local),
                cmocka_unit_test(test_tones),
                cmocka_unit_test(test_what_a_peer_wrote_cannot_move_the_cursor),
        };

        text_init();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
