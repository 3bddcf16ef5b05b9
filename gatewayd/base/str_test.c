/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_copy(void **state) {
        char dst[6];

        (void) state;
        assert_int_equal(str_copy(dst, sizeof(dst), "12345"), 0);
        assert_string_equal(dst, "12345");
        assert_int_equal(str_copy(dst, sizeof(dst), "123456"), -ENOBUFS);
        assert_string_equal(dst, "12345");
        assert_int_equal(str_copy_n(dst, sizeof(dst), "abcdefgh", 3), 0);
        assert_string_equal(dst, "abc");
        assert_int_equal(str_format(dst, sizeof(dst), "%d", 123456), -ENOBUFS);
        assert_string_equal(dst, "12345");
        assert_int_equal(str_copy(dst, 1, ""), 0);
}

static void test_small_helpers(void **state) {
        char text[] = " \t a b \r\n";

        (void) state;
        assert_true(str_equal(NULL, NULL));
        assert_false(str_equal("a", NULL));
        assert_true(str_starts_with("abc", "ab"));
        assert_false(str_starts_with("a", "ab"));
        assert_true(str_ends_with("abc", "bc"));
        assert_false(str_ends_with("c", "bc"));
        assert_true(str_glob_match("sensor-*", "sensor-1"));
        assert_false(str_glob_match("sensor-?", "sensor-12"));
        assert_string_equal(str_trim(text), "a b");
        assert_int_equal(str_distance("polcy", "policy"), 1);
        assert_int_equal(str_distance("", "abc"), 3);
        assert_int_equal(str_distance("kitten", "sitting"), 3);
}

static void test_integers(void **state) {
        static const struct {
                const char *text;
                int result;
                int64_t value;
        } rows[] = {
                {"0", 0, 0},
                {"-0", 0, 0},
                {"42", 0, 42},
                {"0x1F", 0, 31},
                {"-17", 0, -17},
                {"9223372036854775807", 0, INT64_MAX},
                {"-9223372036854775808", 0, INT64_MIN},
                {"9223372036854775808", -ERANGE, 0},
                {"-9223372036854775809", -ERANGE, 0},
                {"99999999999999999999999", -ERANGE, 0},
                {"", -EINVAL, 0},
                {"-", -EINVAL, 0},
                {"0x", -EINVAL, 0},
                {"12 ", -EINVAL, 0},
                {" 12", -EINVAL, 0},
                {"+12", -EINVAL, 0},
                {"--1", -EINVAL, 0},
                {"12a", -EINVAL, 0},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int64_t value = 0;

                assert_int_equal(str_parse_int64(rows[i].text, INT64_MIN, INT64_MAX, &value), rows[i].result);
                assert_int_equal(value, rows[i].value);
        }
}

static void test_integer_range(void **state) {
        uint64_t value = 7;

        (void) state;
        assert_int_equal(str_parse_uint64("18446744073709551615", 0, UINT64_MAX, &value), 0);
        assert_true(value == UINT64_MAX);
        value = 7;
        assert_int_equal(str_parse_uint64("18446744073709551616", 0, UINT64_MAX, &value), -ERANGE);
        assert_int_equal(str_parse_uint64("9", 10, 20, &value), -ERANGE);
        assert_int_equal(str_parse_uint64("21", 10, 20, &value), -ERANGE);
        assert_int_equal(value, 7);
}

static void test_bool(void **state) {
        bool value = false;

        (void) state;
        assert_int_equal(str_parse_bool("yes", &value), 0);
        assert_true(value);
        assert_int_equal(str_parse_bool("off", &value), 0);
        assert_false(value);
        assert_int_equal(str_parse_bool("Yes", &value), -EINVAL);
        assert_int_equal(str_parse_bool("", &value), -EINVAL);
}

static void test_durations(void **state) {
        static const struct {
                const char *text;
                int result;
                int64_t ms;
                const char *shown;
        } rows[] = {
                {"0", 0, 0, "0 s"},
                {"250", 0, 250, "250 ms"},
                {"250ms", 0, 250, "250 ms"},
                {"90 s", 0, 90000, "1 min 30 s"},
                {"5min", 0, 300000, "5 min"},
                {"1h 30min", 0, 5400000, "1 h 30 min"},
                {" 1.5 s ", 0, 1500, "1 s 500 ms"},
                {"14 d", 0, 1209600000, "14 d"},
                {"2w", 0, 1209600000, "14 d"},
                {"0.0005 s", -EINVAL, 0, NULL},
                {"1.s", -EINVAL, 0, NULL},
                {"90 seconds", -EINVAL, 0, NULL},
                {"1h 30", -EINVAL, 0, NULL},
                {"30 1h", -EINVAL, 0, NULL},
                {"-5 s", -EINVAL, 0, NULL},
                {"", -EINVAL, 0, NULL},
                {"s", -EINVAL, 0, NULL},
                {"99999999999999999999 s", -ERANGE, 0, NULL},
                {"9223372036854775807 d", -ERANGE, 0, NULL},
                {"10000000000000000000", -ERANGE, 0, NULL},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char shown[64];
                int64_t ms = 0, again = -1;

                assert_int_equal(str_parse_duration_ms(rows[i].text, &ms), rows[i].result);
                assert_int_equal(ms, rows[i].ms);
                if (rows[i].result < 0)
                        continue;
                assert_int_equal(str_format_duration_ms(shown, sizeof(shown), ms), 0);
                assert_string_equal(shown, rows[i].shown);
                assert_int_equal(str_parse_duration_ms(shown, &again), 0);
                assert_int_equal(again, ms);
        }
}

static void test_sizes(void **state) {
        static const struct {
                const char *text;
                int result;
                uint64_t bytes;
                const char *shown;
        } rows[] = {
                {"0", 0, 0, "0"},
                {"1000", 0, 1000, "1000"},
                {"4096 B", 0, 4096, "4 KiB"},
                {"16M", 0, 16u << 20, "16 MiB"},
                {"16 MiB", 0, 16u << 20, "16 MiB"},
                {"0.5 KiB", 0, 512, "512"},
                {"1T", 0, 1ULL << 40, "1 TiB"},
                {"1M 1K", -EINVAL, 0, NULL},
                {"16 m", -EINVAL, 0, NULL},
                {"-1", -EINVAL, 0, NULL},
                {"99999999T", -ERANGE, 0, NULL},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char shown[64];
                uint64_t bytes = 0;

                assert_int_equal(str_parse_size(rows[i].text, &bytes), rows[i].result);
                assert_true(bytes == rows[i].bytes);
                if (rows[i].result < 0)
                        continue;
                assert_int_equal(str_format_size(shown, sizeof(shown), bytes), 0);
                assert_string_equal(shown, rows[i].shown);
        }
}

static void test_hex(void **state) {
        const uint8_t bytes[] = {0x00, 0x1f, 0xff};
        uint8_t decoded[3] = {0};
        char text[7];

        (void) state;
        assert_int_equal(str_hex_encode(text, sizeof(text), bytes, 3), 0);
        assert_string_equal(text, "001fff");
        assert_int_equal(str_hex_encode(text, 6, bytes, 3), -ENOBUFS);
        assert_int_equal(str_hex_decode(decoded, 3, "001FfF"), 0);
        assert_memory_equal(decoded, bytes, 3);
        assert_int_equal(str_hex_decode(decoded, 3, "001ff"), -EINVAL);
        assert_int_equal(str_hex_decode(decoded, 3, "001ffg"), -EINVAL);
        assert_int_equal(str_hex_decode(decoded, 2, "001fff"), -EINVAL);
}

static void test_utf8(void **state) {
        static const struct {
                const char *bytes;
                bool good;
        } rows[] = {
                {"plain", true},
                {"\xc3\xa5\xe2\x82\xac\xf0\x9f\x98\x80", true},
                {"\xf4\x8f\xbf\xbf", true},
                {"\xed\x9f\xbf\xee\x80\x80", true},
                {"\xc0\x80", false},         /* overlong NUL */
                {"\xc1\xbf", false},         /* overlong */
                {"\xe0\x9f\xbf", false},     /* overlong */
                {"\xf0\x8f\xbf\xbf", false}, /* overlong */
                {"\xed\xa0\x80", false},     /* surrogate */
                {"\xf4\x90\x80\x80", false}, /* beyond U+10FFFF */
                {"\xf5\x80\x80\x80", false},
                {"\x80", false},
                {"\xc3", false},
                {"\xe2\x82", false},
                {"\xe2\x82g", false},
                {"\xff", false},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(str_is_utf8(rows[i].bytes, strlen(rows[i].bytes)), rows[i].good);
}

static void test_identifiers(void **state) {
        char longest[66];

        (void) state;
        memset(longest, 'a', 65);
        longest[65] = '\0';
        assert_false(str_is_id(longest));
        longest[64] = '\0';
        assert_true(str_is_id(longest));
        assert_false(str_is_gateway_id(longest));
        longest[63] = '\0';
        assert_true(str_is_gateway_id(longest));
        assert_true(str_is_id("DE063B974CD8_.-"));
        assert_false(str_is_id(""));
        assert_false(str_is_id(".."));
        assert_false(str_is_id("a/b"));
        assert_false(str_is_id("a b"));
        assert_false(str_is_gateway_id("Pi"));
        assert_true(str_is_device_id("smp-ble:DE063B974CD8"));
        assert_false(str_is_device_id("smp-ble"));
        assert_false(str_is_device_id(":x"));
        assert_false(str_is_device_id("smp-ble:"));
        assert_false(str_is_device_id("smp-ble:a:b"));
        assert_false(str_is_device_id("SMP:a"));
        assert_true(str_is_error_name("did-not-return"));
        assert_false(str_is_error_name("-x"));
        assert_false(str_is_error_name("Bad"));
        assert_true(str_is_model("nrf52840dk/nrf52840"));
        assert_true(str_is_model("acme,sensor-r2"));
        assert_false(str_is_model("a b"));
}

static void test_escape(void **state) {
        char dst[64], small[6];

        (void) state;
        assert_int_equal(str_escape(dst, sizeof(dst), "a\n\x1b[2J\x7f\xff\xc3\xa5", 10), 0);
        assert_string_equal(dst, "a\\x0a\\x1b[2J\\x7f\\xff\xc3\xa5");
        assert_int_equal(str_escape(dst, sizeof(dst), "\xc2\x9b", 2), 0); /* CSI in one character */
        assert_string_equal(dst, "\\xc2\\x9b");
        assert_int_equal(str_escape(small, sizeof(small), "abcd\xc3\xa5", 6), -ENOBUFS);
        assert_string_equal(small, "abcd");
        assert_int_equal(str_escape(small, sizeof(small), "abc\n", 4), -ENOBUFS);
        assert_string_equal(small, "abc");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_copy),          cmocka_unit_test(test_small_helpers), cmocka_unit_test(test_integers),
                cmocka_unit_test(test_integer_range), cmocka_unit_test(test_bool),          cmocka_unit_test(test_durations),
                cmocka_unit_test(test_sizes),         cmocka_unit_test(test_hex),           cmocka_unit_test(test_utf8),
                cmocka_unit_test(test_identifiers),   cmocka_unit_test(test_escape),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
