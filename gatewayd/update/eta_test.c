/* SPDX-License-Identifier: Apache-2.0 */
#include "update/eta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/time.h"

#define MIN_MS (60 * 1000ll)
#define HOUR_MS (60 * MIN_MS)

static struct eta_load load_of(size_t n_jobs, int64_t each_ms) {
        struct eta_load load = { 0 };
        for (size_t i = 0; i < n_jobs; i++)
                eta_add(&load, each_ms);
        return load;
}

static void test_one_wave(void **state) {
        struct eta_load load = load_of(10, MIN_MS), none = { 0 };
        (void) state;
        assert_int_equal(eta_of_wave(&load, 1), 10 * MIN_MS);
        assert_int_equal(eta_of_wave(&load, 5), 2 * MIN_MS);
        assert_int_equal(eta_of_wave(&load, 1000), MIN_MS);
        eta_add(&load, HOUR_MS);
        assert_int_equal(eta_of_wave(&load, 5), HOUR_MS); /* the slowest one */
        assert_int_equal(eta_of_wave(&none, 3), 0);
}

static int64_t at(const char *text) {
        int64_t wall_ms;
        assert_int_equal(time_parse_rfc3339(text, &wall_ms), 0);
        return wall_ms;
}

static struct windows *windows_of(const char *text, struct time_zones *zones) {
        struct windows *windows = NULL;
        struct time_window *list = NULL;
        size_t n = 0;
        char why[128];
        assert_int_equal(time_windows_parse(text, &list, &n, why, sizeof why), 0);
        assert_int_equal(windows_new(list, n, zones, &windows, NULL), 0);
        time_windows_free(list, n);
        return windows;
}

static void test_over_nights(void **state) {
        _cleanup_time_zones_ struct time_zones *zones = time_zones_new(TIME_ZONE_DIRECTORY);
        _cleanup_windows_ struct windows *windows = windows_of("22:00 2h UTC", zones);
        struct windows_pair pair = { .campaign = windows }, always = { 0 };
        (void) state;
        assert_int_equal(eta_in_windows(&always, at("2027-01-15T08:00:00Z"), HOUR_MS), at("2027-01-15T09:00:00Z"));
        assert_int_equal(eta_in_windows(&pair, at("2027-01-15T08:00:00Z"), HOUR_MS), at("2027-01-15T23:00:00Z"));
        assert_int_equal(eta_in_windows(&pair, at("2027-01-15T23:30:00Z"), HOUR_MS), at("2027-01-16T22:30:00Z"));
        assert_int_equal(eta_in_windows(&pair, at("2027-01-15T08:00:00Z"), 5 * HOUR_MS), at("2027-01-17T23:00:00Z"));
}

static void test_waves_with_soak(void **state) {
        struct eta_load waves[] = { load_of(2, MIN_MS), { 0 }, load_of(30, MIN_MS) };
        struct eta_rollout rollout = { .waves = waves, .n_waves = 3, .concurrency = 3, .soak_ms = HOUR_MS };
        (void) state;
        assert_int_equal(eta_of_rollout(&rollout, 1000), 1000 + MIN_MS + HOUR_MS + 10 * MIN_MS);
}

static void test_never(void **state) {
        _cleanup_time_zones_ struct time_zones *zones = time_zones_new(TIME_ZONE_DIRECTORY);
        _cleanup_windows_ struct windows *night = windows_of("22:00 2h UTC", zones), *noon = windows_of("12:00 1h UTC", zones);
        struct windows_pair pair = { .campaign = night, .gateway = noon };
        (void) state;
        assert_int_equal(eta_in_windows(&pair, at("2027-01-15T08:00:00Z"), 1), INT64_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_wave),
                cmocka_unit_test(test_over_nights),
                cmocka_unit_test(test_waves_with_soak),
                cmocka_unit_test(test_never),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
