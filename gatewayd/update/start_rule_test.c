/* SPDX-License-Identifier: Apache-2.0 */
#include "update/start_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/time.h"

#define MIN_MS (60 * 1000ll)
#define HOUR_MS (60 * MIN_MS)

/* --- jitter --- */

static void test_jitter_is_the_same_for_ever(void **state) {
        (void) state;
        assert_int_equal(start_jitter_ms("pi-oslo-1", "c", 300000), start_jitter_ms("pi-oslo-1", "c", 300000));
        assert_int_equal(start_jitter_ms("pi-oslo-1", "c", 0), 0);
        assert_true(start_jitter_ms("pi-oslo-1", "c", 300000) != start_jitter_ms("pi-oslo-2", "c", 300000));
        assert_true(start_jitter_ms("pi-oslo-1", "c", 300000) != start_jitter_ms("pi-oslo-1", "d", 300000));
}

/* A thousand gateways: every tenth of the time gets about a tenth of them. */
static void test_jitter_is_spread(void **state) {
        int tenths[10] = { 0 };
        (void) state;
        for (int i = 0; i < 1000; i++) {
                char gateway[24];
                int64_t jitter_ms;
                snprintf(gateway, sizeof gateway, "pi-%d", i);
                jitter_ms = start_jitter_ms(gateway, "c", 300000);
                assert_in_range(jitter_ms, 0, 299999);
                tenths[jitter_ms / 30000]++;
        }
        for (int i = 0; i < 10; i++)
                assert_in_range(tenths[i], 60, 140);
}

/* --- does it fit? --- */

static const struct {
        const char *label;
        struct window_job job;
        enum window_fit fit;
} fits[] = {
        { "much room", { 10 * MIN_MS, 6 * HOUR_MS, 7 * HOUR_MS, true }, WINDOW_FITS },
        { "just the rest", { 30 * MIN_MS, 30 * MIN_MS, 7 * HOUR_MS, false }, WINDOW_FITS },
        { "more than the rest", { 31 * MIN_MS, 30 * MIN_MS, 7 * HOUR_MS, true }, WINDOW_FITS_LATER },
        { "more than any window, in parts", { 9 * HOUR_MS, 6 * HOUR_MS, 7 * HOUR_MS, true }, WINDOW_FITS },
        { "more than any window, at once", { 9 * HOUR_MS, 6 * HOUR_MS, 7 * HOUR_MS, false }, WINDOW_FITS_NEVER },
        { "in parts, but this one is nearly over", { 9 * HOUR_MS, 4 * MIN_MS, 7 * HOUR_MS, true }, WINDOW_FITS_LATER },
        { "how long is not known", { 0, HOUR_MS, 7 * HOUR_MS, false }, WINDOW_FITS },
        { "not known, in the last minutes", { 0, 4 * MIN_MS, 7 * HOUR_MS, false }, WINDOW_FITS_LATER },
        { "short, in the last minutes", { 1000, 4 * MIN_MS, 7 * HOUR_MS, true }, WINDOW_FITS_LATER },
        { "no window of use at all", { 1000, 2 * MIN_MS, 3 * MIN_MS, false }, WINDOW_FITS_NEVER },
};

static void test_fit(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(fits); i++)
                if (window_fit(&fits[i].job) != fits[i].fit)
                        fail_msg("%s", fits[i].label);
}

/* --- when did it open? --- */

static int64_t at(const char *text) {
        int64_t wall_ms;
        assert_int_equal(time_parse_rfc3339(text, &wall_ms), 0);
        return wall_ms;
}

static const struct {
        const char *windows, *now, *opened;
        int64_t back_ms;
} openings[] = {
        { "22:00 7h UTC", "2027-01-15T22:03:00Z", "2027-01-15T22:00:00Z", 5 * MIN_MS },
        { "22:00 7h UTC", "2027-01-15T22:00:00Z", "2027-01-15T22:00:00Z", 5 * MIN_MS },
        { "22:00 7h UTC", "2027-01-16T01:00:00Z", "2027-01-16T00:55:00Z", 5 * MIN_MS }, /* long enough ago */
        { "22:00 1h UTC; 23:00 1h UTC", "2027-01-15T23:01:00Z", "2027-01-15T22:56:00Z", 5 * MIN_MS }, /* one stretch */
        { "22:00 1h UTC; 23:02 1h UTC", "2027-01-15T23:03:00Z", "2027-01-15T23:02:00Z", 5 * MIN_MS },
        { "", "2027-01-15T23:03:00Z", "2027-01-15T22:58:00Z", 5 * MIN_MS },
};

static void test_opened(void **state) {
        _cleanup_time_zones_ struct time_zones *zones = time_zones_new(TIME_ZONE_DIRECTORY);
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(openings); i++) {
                _cleanup_windows_ struct windows *windows = NULL;
                struct time_window *list = NULL;
                struct windows_pair pair = { 0 };
                size_t n = 0;
                char why[128];
                assert_int_equal(time_windows_parse(openings[i].windows, &list, &n, why, sizeof why), 0);
                if (n > 0)
                        assert_int_equal(windows_new(list, n, zones, &windows, NULL), 0);
                pair.gateway = windows;
                assert_int_equal(windows_opened_ms(&pair, at(openings[i].now), openings[i].back_ms), at(openings[i].opened));
                time_windows_free(list, n);
        }
}

/* --- facts of the device --- */

static void test_facts(void **state) {
        (void) state;
        assert_true(battery_is_enough(30, 30));
        assert_false(battery_is_enough(29, 30));
        assert_true(battery_is_enough(0, -1));
        assert_true(battery_is_enough(GW_BATTERY_UNKNOWN, 30)); /* it has none, or does not tell it */
        assert_true(signal_is_enough(-85, -85));
        assert_false(signal_is_enough(-86, -85));
        assert_true(signal_is_enough(-120, GW_RSSI_UNKNOWN));
        assert_true(signal_is_enough(GW_RSSI_UNKNOWN, -85)); /* on a wire */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_jitter_is_the_same_for_ever), cmocka_unit_test(test_jitter_is_spread), cmocka_unit_test(test_fit),
                cmocka_unit_test(test_opened),                      cmocka_unit_test(test_facts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
