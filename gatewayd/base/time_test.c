/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/cleanup.h"

static void test_parse(void **state) {
        static const struct {
                const char *text;
                int64_t ms;
        } rows[] = {
                {"1970-01-01T00:00:00Z", 0},
                {"2026-11-21T03:33:00Z", 1795231980000},
                {"2026-11-21T03:33:00.5Z", 1795231980500},
                {"2026-11-21T03:33:00.123999Z", 1795231980123},
                {"2026-11-21t05:33:00+02:00", 1795231980000},
                {"2026-11-20T22:03:00-05:30", 1795231980000},
                {"2024-02-29T00:00:00Z", 1709164800000},
                {"2000-03-01T00:00:00Z", 951868800000},
                {"2016-12-31T23:59:60Z", 1483228800000},
                {"9999-12-31T23:59:59Z", 253402300799000},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int64_t ms = -1;

                assert_int_equal(time_parse_rfc3339(rows[i].text, &ms), 0);
                assert_int_equal(ms, rows[i].ms);
        }
}

static void test_parse_refuses(void **state) {
        static const char *const rows[] = {
                "",
                "2026-11-21",
                "2026-11-21T03:33:00",
                "2026-11-21 03:33:00Z",
                "2026-11-21T03:33Z",
                "2026-02-29T00:00:00Z",
                "2100-02-29T00:00:00Z",
                "2026-13-01T00:00:00Z",
                "2026-00-01T00:00:00Z",
                "2026-01-32T00:00:00Z",
                "2026-01-01T24:00:00Z",
                "2026-01-01T00:60:00Z",
                "2026-01-01T00:00:61Z",
                "2026-01-01T00:00:00.Z",
                "2026-01-01T00:00:00Zx",
                "2026-01-01T00:00:00+0200",
                "2026-01-01T00:00:00+24:00",
                "1969-12-31T23:59:59Z",
                "26-01-01T00:00:00Z",
                " 2026-01-01T00:00:00Z",
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int64_t ms = -1;

                assert_int_equal(time_parse_rfc3339(rows[i], &ms), -EINVAL);
                assert_int_equal(ms, -1);
        }
}

static void test_format(void **state) {
        char text[TIME_RFC3339_SIZE];

        (void) state;
        assert_int_equal(time_format_rfc3339(text, sizeof(text), 1795231980000), 0);
        assert_string_equal(text, "2026-11-21T03:33:00Z");
        assert_int_equal(time_format_rfc3339(text, sizeof(text), 1795231980007), 0);
        assert_string_equal(text, "2026-11-21T03:33:00.007Z");
        assert_int_equal(time_format_rfc3339(text, sizeof(text), 253402300799999), 0);
        assert_int_equal(time_format_rfc3339(text, sizeof(text), 253402300800000), -ERANGE);
        assert_int_equal(time_format_rfc3339(text, sizeof(text), -1), -ERANGE);
        assert_int_equal(time_format_rfc3339(text, 20, 0), -ENOBUFS);
        assert_int_equal(time_format_rfc3339(text, 24, 1), -ENOBUFS);
}

static void test_round_trip_every_day(void **state) {
        (void) state;
        for (int64_t day = 0; day < 366 * 200; day++) {
                char text[TIME_RFC3339_SIZE];
                int64_t ms = -1;

                assert_int_equal(time_format_rfc3339(text, sizeof(text), day * 86400000), 0);
                assert_int_equal(time_parse_rfc3339(text, &ms), 0);
                assert_int_equal(ms, day * 86400000);
        }
}

static void test_clocks(void **state) {
        struct clock_fake fake;
        int64_t before;

        (void) state;
        clock_fake_init(&fake, 5, 1000);
        clock_fake_advance(&fake, 20);
        assert_int_equal(clock_monotonic_ms(&fake.clock), 25);
        assert_int_equal(clock_wall_ms(&fake.clock), 1020);
        before = clock_monotonic_ms(clock_real());
        assert_true(clock_monotonic_ms(clock_real()) >= before);
        assert_true(clock_wall_ms(clock_real()) > 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),  cmocka_unit_test(test_parse_refuses),        cmocka_unit_test(test_format),
                cmocka_unit_test(test_clocks), cmocka_unit_test(test_round_trip_every_day),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
