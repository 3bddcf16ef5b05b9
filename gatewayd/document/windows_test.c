/* SPDX-License-Identifier: Apache-2.0 */
#include "document/windows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/str.h"
#include "base/time.h"
#include "base/time_zone_samples.h"

#define MINUTE_MS (60 * (int64_t) 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define NEVER NULL
#define ALWAYS NULL

/* --- a database of four zones, the same whatever the machine has --- */

static char directory[] = "/tmp/windows-test-XXXXXX";
static struct time_zones *zones;

static const struct {
        const char *area, *name, *rule;
} samples[] = {
        {"Europe", "Oslo", SAMPLE_OSLO},
        {"America", "New_York", SAMPLE_NEW_YORK},
        {"Australia", "Lord_Howe", SAMPLE_LORD_HOWE},
        {"Asia", "Kathmandu", SAMPLE_KATHMANDU},
};

static int make_zones(void **state) {
        (void) state;
        if (!mkdtemp(directory))
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                _cleanup_fclose_ FILE *file = NULL;
                uint8_t data[512];
                char path[128];

                snprintf(path, sizeof(path), "%s/%s", directory, samples[i].area);
                mkdir(path, 0700);
                snprintf(path, sizeof(path), "%s/%s/%s", directory, samples[i].area, samples[i].name);
                file = fopen(path, "w");
                if (!file || fwrite(data, time_zone_sample(data, samples[i].rule), 1, file) != 1)
                        return -1;
        }
        zones = time_zones_new(directory);
        return zones ? 0 : -1;
}

static int remove_zones(void **state) {
        char path[128];

        (void) state;
        time_zones_free(zones);
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                snprintf(path, sizeof(path), "%s/%s/%s", directory, samples[i].area, samples[i].name);
                unlink(path);
                snprintf(path, sizeof(path), "%s/%s", directory, samples[i].area);
                rmdir(path);
        }
        return rmdir(directory);
}

static int64_t at(const char *text) {
        int64_t ms = -1;

        if (time_parse_rfc3339(text, &ms) < 0)
                fail_msg("%s is no time", text);
        return ms;
}

static struct windows *windows_of(const char *text) {
        struct time_window *list = NULL;
        struct windows *windows = NULL;
        struct gw_error err = {.name = ""};
        char why[128] = "";
        size_t n = 0;

        if (time_windows_parse(text, &list, &n, why, sizeof(why)) < 0)
                fail_msg("%s: %s", text, why);
        if (windows_new(list, n, zones, &windows, &err) < 0)
                fail_msg("%s: %s", text, err.text);
        time_windows_free(list, n);
        return windows;
}

/* --- is it open, and until when --- */

static const struct {
        const char *campaign, *gateway;
        const char *now;
        bool open;
        const char *until;
} table[] = {
        {"", "", "2026-07-06T12:00:00Z", true, ALWAYS},
        /* 6 July 2026 is a Monday; over midnight, the day is the one of the start */
        {"mon,tue 22:00 7h Europe/Oslo", "", "2026-07-06T19:59:59Z", false, "2026-07-06T20:00:00Z"},
        {"mon,tue 22:00 7h Europe/Oslo", "", "2026-07-06T20:00:00Z", true, "2026-07-07T03:00:00Z"},
        {"mon,tue 22:00 7h Europe/Oslo", "", "2026-07-07T02:59:59Z", true, "2026-07-07T03:00:00Z"},
        {"mon,tue 22:00 7h Europe/Oslo", "", "2026-07-07T03:00:00Z", false, "2026-07-07T20:00:00Z"},
        {"mon,tue 22:00 7h Europe/Oslo", "", "2026-07-08T02:00:00Z", true, "2026-07-08T03:00:00Z"},
        {"mon,tue 22:00 7h Europe/Oslo", "", "2026-07-08T03:00:00Z", false, "2026-07-13T20:00:00Z"},
        /* winter */
        {"mon 22:00 7h Europe/Oslo", "", "2026-12-07T20:59:59Z", false, "2026-12-07T21:00:00Z"},
        {"mon 22:00 7h Europe/Oslo", "", "2026-12-07T21:00:00Z", true, "2026-12-08T04:00:00Z"},
        /* the local day is not that of Greenwich */
        {"tue 00:30 1h Asia/Kathmandu", "", "2026-07-06T12:00:00Z", false, "2026-07-06T18:45:00Z"},
        {"tue 00:30 1h Asia/Kathmandu", "", "2026-07-06T19:00:00Z", true, "2026-07-06T19:45:00Z"},
        {"sun 23:00 1h America/New_York", "", "2026-07-06T02:00:00Z", false, "2026-07-06T03:00:00Z"},
        /* over the change to summer: real duration, so it ends an hour later on the wall (06:00) */
        {"sat 22:00 7h Europe/Oslo", "", "2026-03-28T22:00:00Z", true, "2026-03-29T04:00:00Z"},
        /* and back: ends at 04:00 on the wall */
        {"sat 22:00 7h Europe/Oslo", "", "2026-10-24T21:00:00Z", true, "2026-10-25T03:00:00Z"},
        /* a start in the gap is the first instant behind it */
        {"02:30 1h Europe/Oslo", "", "2026-03-28T12:00:00Z", false, "2026-03-29T01:00:00Z"},
        {"02:30 1h Europe/Oslo", "", "2026-03-29T01:00:00Z", true, "2026-03-29T02:00:00Z"},
        {"02:30 1h Europe/Oslo", "", "2026-03-29T02:00:00Z", false, "2026-03-30T00:30:00Z"},
        /* a start that comes twice is the first, once */
        {"02:30 1h Europe/Oslo", "", "2026-10-24T12:00:00Z", false, "2026-10-25T00:30:00Z"},
        {"02:30 1h Europe/Oslo", "", "2026-10-25T00:30:00Z", true, "2026-10-25T01:30:00Z"},
        {"02:30 1h Europe/Oslo", "", "2026-10-25T01:30:00Z", false, "2026-10-26T01:30:00Z"},
        {"sun 02:30 30min America/New_York", "", "2026-03-08T00:00:00Z", false, "2026-03-08T07:00:00Z"},
        {"sun 01:30 30min America/New_York", "", "2026-11-01T00:00:00Z", false, "2026-11-01T05:30:00Z"},
        {"sun 01:30 30min America/New_York", "", "2026-11-01T06:30:00Z", false, "2026-11-08T06:30:00Z"},
        /* a change of half an hour */
        {"sun 02:15 45min Australia/Lord_Howe", "", "2026-10-03T12:00:00Z", false, "2026-10-03T15:30:00Z"},
        {"sun 02:15 45min Australia/Lord_Howe", "", "2026-10-03T15:30:00Z", true, "2026-10-03T16:15:00Z"},
        {"sun 01:45 1h Australia/Lord_Howe", "", "2026-04-04T12:00:00Z", false, "2026-04-04T14:45:00Z"},
        {"sun 01:45 1h Australia/Lord_Howe", "", "2026-04-04T15:20:00Z", true, "2026-04-04T15:45:00Z"},
        /* windows that touch or overlap are one */
        {"mon 22:00 2h UTC; tue 00:00 3h UTC; tue 02:00 2h UTC", "", "2026-07-06T22:30:00Z", true, "2026-07-07T04:00:00Z"},
        {"mon 22:00 2h UTC; tue 00:01 3h UTC", "", "2026-07-06T22:30:00Z", true, "2026-07-07T00:00:00Z"},
        {"mon 22:00 10h UTC; mon 23:00 1h UTC", "", "2026-07-06T23:30:00Z", true, "2026-07-07T08:00:00Z"},
        {"fri 18:00 2d UTC; sat 18:00 2d UTC; sun 18:00 1h UTC", "", "2026-07-10T18:00:00Z", true, "2026-07-13T18:00:00Z"},
        /* a whole week */
        {"wed 12:00 7d UTC", "", "2026-07-06T12:00:00Z", true, "2026-08-10T12:00:00Z"},
        {"wed 12:00 10079min UTC", "", "2026-07-08T11:58:59Z", true, "2026-07-08T11:59:00Z"},
        {"wed 12:00 10079min UTC", "", "2026-07-08T11:59:00Z", false, "2026-07-08T12:00:00Z"},
        {"00:00 24h UTC", "", "2026-07-06T12:00:00Z", true, "2026-08-10T12:00:00Z"},
        /* a day of 23 hours leaves no hole, one of 25 does */
        {"sat-sun 00:00 24h Europe/Oslo", "", "2026-03-28T12:00:00Z", true, "2026-03-29T23:00:00Z"},
        {"sat-mon 00:00 24h Europe/Oslo", "", "2026-10-25T12:00:00Z", true, "2026-10-25T22:00:00Z"},
        {"sat-mon 00:00 24h Europe/Oslo", "", "2026-10-25T22:30:00Z", false, "2026-10-25T23:00:00Z"},
        /* the gateway has something to say, too */
        {"", "mon 22:00 1h UTC", "2026-07-06T21:00:00Z", false, "2026-07-06T22:00:00Z"},
        {"", "mon 22:00 1h UTC", "2026-07-06T22:00:00Z", true, "2026-07-06T23:00:00Z"},
        {"22:00 4h UTC", "00:00 4h UTC", "2026-07-06T22:00:00Z", false, "2026-07-07T00:00:00Z"},
        {"22:00 4h UTC", "00:00 4h UTC", "2026-07-07T00:00:00Z", true, "2026-07-07T02:00:00Z"},
        {"22:00 4h UTC", "sun 00:00 4h UTC", "2026-07-06T12:00:00Z", false, "2026-07-12T00:00:00Z"},
        {"22:00 4h UTC", "02:00 1h UTC", "2026-07-06T12:00:00Z", false, NEVER},
        {"mon 22:00 1h UTC", "tue 22:00 1h UTC", "2026-07-06T22:30:00Z", false, NEVER},
        /* zones that drift: open in common only while America has summer and Europe has not */
        {"20:00 1h America/New_York", "01:00 1h Europe/Oslo", "2026-07-06T12:00:00Z", false, "2026-10-26T00:00:00Z"},
        {"20:00 1h America/New_York", "01:00 1h Europe/Oslo", "2026-10-26T00:30:00Z", true, "2026-10-26T01:00:00Z"},
        {"20:00 1h America/New_York", "01:00 1h Europe/Oslo", "2026-11-01T12:00:00Z", false, "2027-03-15T00:00:00Z"},
};

static void test_table(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_windows_ struct windows *campaign = windows_of(table[i].campaign), *gateway = windows_of(table[i].gateway);
                const struct windows_pair pair = {campaign, gateway}, turned = {gateway, campaign};
                struct windows_state found = windows_at(&pair, at(table[i].now)), other = windows_at(&turned, at(table[i].now));
                int64_t until_ms = table[i].until ? at(table[i].until) : INT64_MAX;
                char text[TIME_RFC3339_SIZE] = "never";

                if (found.until_ms != INT64_MAX)
                        time_format_rfc3339(text, sizeof(text), found.until_ms);
                if (found.open != table[i].open || found.until_ms != until_ms)
                        fail_msg("%s + %s at %s: %s until %s", table[i].campaign, table[i].gateway, table[i].now,
                                 found.open ? "open" : "closed", text);
                assert_true(other.open == found.open && other.until_ms == found.until_ms);
        }
}

static void test_no_windows_at_all(void **state) {
        const struct windows_pair pair = {NULL, NULL};

        (void) state;
        assert_true(windows_at(&pair, 5).open);
        assert_int_equal(windows_at(&pair, 5).until_ms, INT64_MAX);
        assert_int_equal(windows_longest_ms(&pair, 5, 105), 100);
}

/* Every minute of two years, counted by the definition: the minutes of each start, one by one. */
static void test_minute_by_minute(void **state) {
        static const char *const texts[] = {"02:30 1h Europe/Oslo", "sat-mon 00:00 24h Europe/Oslo", "sun 01:45 1h Australia/Lord_Howe",
                                            "mon,wed 23:15 30h America/New_York"};
        const int64_t from_ms = at("2026-01-05T00:00:00Z"), n_minutes = 2 * 365 * 24 * 60;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                _cleanup_windows_ struct windows *windows = windows_of(texts[i]);
                _cleanup_free_ bool *open = calloc((size_t) n_minutes, sizeof(*open));
                const struct windows_pair pair = {windows, NULL};
                struct time_window *list = NULL;
                const struct time_zone *zone = NULL;
                size_t n = 0;
                char why[128];

                assert_non_null(open);
                assert_int_equal(time_windows_parse(texts[i], &list, &n, why, sizeof(why)), 0);
                assert_int_equal(time_zones_get(zones, list->timezone, &zone), 0);
                /* 5 January 2026 is a Monday. */
                for (int64_t day = -9; day < 2 * 365 + 2; day++) {
                        int64_t local_s = from_ms / 1000 + day * 86400 + list->start_min * 60;
                        int64_t minute = (time_zone_from_local(zone, local_s) - from_ms / 1000) / 60;

                        for (int64_t m = minute; list->days & 1 << (day + 14) % 7 && m < minute + list->duration_min; m++)
                                if (m >= 0 && m < n_minutes)
                                        open[m] = true;
                }
                for (int64_t m = 0; m < n_minutes; m++) {
                        struct windows_state found = windows_at(&pair, from_ms + m * MINUTE_MS);
                        int64_t last = MIN((found.until_ms - from_ms) / MINUTE_MS, n_minutes);

                        /* What is said to last, lasts, and no longer: then comes the other. */
                        assert_true(last > m);
                        for (; m < last; m++)
                                if (open[m] != found.open)
                                        fail_msg("%s: minute %lld", texts[i], (long long) m);
                        m--;
                        if (last < n_minutes)
                                assert_int_equal(open[last], !found.open);
                }
                time_windows_free(list, n);
        }
}

static void test_longest(void **state) {
        static const struct {
                const char *campaign, *gateway, *from, *to;
                int64_t longest_ms;
        } rows[] = {
                {"mon 22:00 7h UTC; tue 22:00 3h UTC", "", "2026-07-05T00:00:00Z", "2026-07-20T00:00:00Z", 7 * HOUR_MS},
                {"mon 22:00 7h UTC; tue 22:00 3h UTC", "", "2026-07-07T12:00:00Z", "2026-07-13T00:00:00Z", 3 * HOUR_MS},
                /* what is left of the one that is open, and what comes before the end */
                {"mon 22:00 7h UTC", "", "2026-07-07T03:00:00Z", "2026-07-13T23:00:00Z", 2 * HOUR_MS},
                {"mon 22:00 7h UTC", "", "2026-07-07T04:30:00Z", "2026-07-13T22:15:00Z", HOUR_MS / 2},
                {"mon 22:00 7h UTC", "", "2026-07-07T05:00:00Z", "2026-07-13T22:00:00Z", 0},
                {"22:00 4h UTC", "00:00 4h UTC", "2026-07-05T00:00:00Z", "2026-07-20T00:00:00Z", 2 * HOUR_MS},
                {"22:00 4h UTC", "02:00 4h UTC", "2026-07-05T00:00:00Z", "2026-07-20T00:00:00Z", 0},
                {"mon 22:00 2h UTC; tue 00:00 2h UTC", "", "2026-07-05T00:00:00Z", "2026-07-20T00:00:00Z", 4 * HOUR_MS},
                {"sat 22:00 7h Europe/Oslo", "", "2026-03-22T00:00:00Z", "2026-03-30T00:00:00Z", 7 * HOUR_MS},
                {"", "mon 22:00 7h UTC", "2026-07-05T00:00:00Z", "2026-07-20T00:00:00Z", 7 * HOUR_MS},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_windows_ struct windows *campaign = windows_of(rows[i].campaign), *gateway = windows_of(rows[i].gateway);
                const struct windows_pair pair = {campaign, gateway};

                assert_int_equal(windows_longest_ms(&pair, at(rows[i].from), at(rows[i].to)), rows[i].longest_ms);
        }
}

static void test_unknown_zone(void **state) {
        struct time_window list[] = {{TIME_WINDOW_EVERY_DAY, 0, 60, (char[]){"UTC"}}, {1, 0, 60, (char[]){"Europe/Bergen"}}};
        struct windows *windows = NULL;
        struct gw_error err = {.name = ""};

        (void) state;
        assert_int_equal(windows_new(list, ARRAY_SIZE(list), zones, &windows, &err), -ENOENT);
        assert_null(windows);
        assert_string_equal(err.name, "timezone-unknown");
        assert_non_null(strstr(err.text, "Europe/Bergen"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),   cmocka_unit_test(test_no_windows_at_all), cmocka_unit_test(test_minute_by_minute),
                cmocka_unit_test(test_longest), cmocka_unit_test(test_unknown_zone),
        };
        return cmocka_run_group_tests(tests, make_zones, remove_zones);
}
