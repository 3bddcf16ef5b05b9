/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Whole runs in which the daemon dies or is asked to stop, at every step and at every single request: the job goes on, nothing is
 * flashed twice, a device that was on trial is not reset by mistake, and after a cancel it is not left on trial.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "run_fixture.h"

static const struct way {
        enum gw_mode mode;
        int bootloader;
        bool recovery, clear;
        enum gw_result result;
        enum gw_proof proof;
        unsigned n_resets;
        const char *software; /* what starts after a recovery has no image management and states this version */
} ways[] = {
        { GW_MODE_TEST_AND_CONFIRM, 3, false, false, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, 1, NULL },
        { GW_MODE_TEST_AND_CONFIRM, -2, false, false, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, 1, NULL },
        { GW_MODE_CONFIRM_ONLY, 3, false, false, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, 1, NULL },
        { GW_MODE_TEST_ONLY, 3, false, false, GW_RESULT_ON_TRIAL, GW_PROOF_HASH_ACTIVE, 1, NULL },
        { GW_MODE_UPLOAD_ONLY, 3, false, false, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED, 0, NULL },
        { GW_MODE_TEST_AND_CONFIRM, 2, false, false, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, 1, NULL },
        { GW_MODE_TEST_AND_CONFIRM, 4, false, false, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE, 1, NULL },
        { GW_MODE_TEST_AND_CONFIRM, 5, false, false, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, 1, NULL },
        { GW_MODE_TEST_AND_CONFIRM, 0, true, false, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, 1, NULL },
        { GW_MODE_TEST_AND_CONFIRM, 3, false, true, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, 2, NULL },
        { GW_MODE_TEST_AND_CONFIRM, 0, true, false, GW_RESULT_UPDATED, GW_PROOF_VERSION_READ, 1, "1.1.0" },
};

#define N_WAYS (sizeof ways / sizeof ways[0])
#define MOST_MS 3600000

static void prepare(struct fixture *fixture, const struct way *way) {
        fixture_init(fixture, &driver_udp);
        fixture->order.mode = way->mode;
        fixture->device.mode = way->bootloader;
        fixture->device.recovery = way->recovery;
        fixture->run.attempts_max = 3;
        fixture->device.hardware = way->software ? "acme,meter" : NULL;
        fixture->device.software = way->software;
        fixture->device.app_without_images = way->software;
        if (!way->clear)
                return;
        fake_device_put(&fixture->device, 0, 0, OTHER, "1.0.5"); /* somebody else's image on trial */
        fake_device_put(&fixture->device, 0, 1, OLD, "1.0.0");
        fixture->device.slots[0][0].confirmed = false;
        fixture->device.slots[0][1].confirmed = true;
}

/* The device got the file once, was reset as often as planned, and confirmed at most once. */
static void check_device(const struct fixture *fixture, const struct way *way) {
        const struct fake_device *device = &fixture->device;
        bool restarts = way->recovery; /* it cannot resume */

        if ((!restarts && (device->n_uploads_begun != 1 || device->n_bytes_written != FIXTURE_FILE_SIZE)) ||
            device->n_resets != way->n_resets || device->n_uploads_ended != 1)
                fail_msg("%u uploads begun, %u ended, %llu bytes, %u resets: %s", device->n_uploads_begun, device->n_uploads_ended,
                         (unsigned long long) device->n_bytes_written, device->n_resets, fixture_story(fixture));
}

static void test_crash_at_every_step(void **state) {
        static const char *const steps[] = { "upload", "test", "reset", "return", "verify", "trial", "confirm" };

        (void) state;
        for (size_t i = 0; i < N_WAYS; i++)
                for (size_t step = 0; step < sizeof steps / sizeof steps[0]; step++) {
                        struct fixture fixture;

                        prepare(&fixture, &ways[i]);
                        fixture.run.crash_at = steps[step];
                        fixture_expect(&fixture, ways[i].result, ways[i].proof, NULL);
                        check_device(&fixture, &ways[i]);
                        fixture_deinit(&fixture);
                }
}

/* ---- at every request: the device has it, its answer finds nobody */

struct crash_plan {
        struct fixture *fixture;
        unsigned at_request;
        bool stop; /* ask to stop instead of crashing */
        enum gw_stop_reason reason;
        bool done;
};

static void crash_now(void *ctx) {
        struct crash_plan *plan = ctx;

        if (plan->fixture->run.end != SCRIPTED_RUNNING)
                return;
        if (plan->stop)
                scripted_run_stop(&plan->fixture->run, plan->reason);
        else
                scripted_run_crash(&plan->fixture->run);
}

static void on_request(void *ctx, struct fake_device *device) {
        struct crash_plan *plan = ctx;

        if (device->n_requests != plan->at_request || plan->done)
                return;
        plan->done = true;
        scripted_host_after(&plan->fixture->host, 0, crash_now, plan);
}

/* Requests of an undisturbed run. */
static unsigned count_requests(const struct way *way) {
        struct fixture fixture;
        unsigned n;

        prepare(&fixture, way);
        fixture_expect(&fixture, way->result, way->proof, NULL);
        n = fixture.device.n_requests;
        fixture_deinit(&fixture);
        return n;
}

static void test_crash_at_every_request(void **state) {
        (void) state;
        for (size_t i = 0; i < N_WAYS; i++) {
                unsigned n = count_requests(&ways[i]);

                assert_true(n > 8);
                for (unsigned at = 1; at <= n; at++) {
                        struct fixture fixture;
                        struct crash_plan plan = { .fixture = &fixture, .at_request = at };

                        prepare(&fixture, &ways[i]);
                        fixture.device.on_request = on_request;
                        fixture.device.on_request_ctx = &plan;
                        fixture_expect(&fixture, ways[i].result, ways[i].proof, NULL);
                        if (fixture.run.n_crashes != 1)
                                fail_msg("way %zu, request %u: no crash", i, at);
                        check_device(&fixture, &ways[i]);
                        fixture_deinit(&fixture);
                }
        }
}

/* ---- asked to stop */

/* Stops at request `at`; returns how long the step took to end. */
static int64_t stop_at(struct fixture *fixture, struct crash_plan *plan) {
        int64_t asked_ms = 0;

        fixture->device.on_request = on_request;
        fixture->device.on_request_ctx = plan;
        scripted_run_begin(&fixture->run);
        while (fixture->run.end == SCRIPTED_RUNNING && scripted_host_step(&fixture->host, INT64_MAX))
                if (plan->done && !asked_ms)
                        asked_ms = fixture->host.now_ms;
        return fixture->host.now_ms - asked_ms;
}

/* SIGTERM: every step ends within seconds, and the next run finishes the job without doing anything twice. */
static void test_shutdown_at_every_request(void **state) {
        (void) state;
        for (size_t i = 0; i < N_WAYS; i++) {
                unsigned n = count_requests(&ways[i]);

                for (unsigned at = 1; at <= n; at++) {
                        struct fixture fixture;
                        struct crash_plan plan = { .fixture = &fixture, .at_request = at, .stop = true, .reason = GW_STOP_SHUTDOWN };
                        int64_t took_ms;

                        prepare(&fixture, &ways[i]);
                        took_ms = stop_at(&fixture, &plan);
                        if (fixture.run.end == SCRIPTED_STOPPED) {
                                if (took_ms > 5000)
                                        fail_msg("way %zu, request %u: stopping took %lld ms: %s", i, at, (long long) took_ms,
                                                 fixture_story(&fixture));
                                scripted_run_continue(&fixture.run);
                        }
                        fixture_expect_end(&fixture, ways[i].result, ways[i].proof, NULL);
                        check_device(&fixture, &ways[i]);
                        fixture_deinit(&fixture);
                }
        }
}

static bool is_on_trial(const struct fake_device *device) {
        unsigned running = device->active[0];

        return device->slots[0][running].present && !device->slots[0][running].confirmed;
}

/* A cancel before the point of no return ends in "stopped"; a device that was reset into its trial is reset once more. */
static void test_cancel_at_every_request(void **state) {
        (void) state;
        for (size_t i = 0; i < N_WAYS; i++) {
                unsigned n = count_requests(&ways[i]);

                for (unsigned at = 1; at <= n && !ways[i].clear; at++) {
                        struct fixture fixture;
                        struct crash_plan plan = { .fixture = &fixture, .at_request = at, .stop = true, .reason = GW_STOP_CANCEL };

                        prepare(&fixture, &ways[i]);
                        stop_at(&fixture, &plan);
                        if (fixture.run.end != SCRIPTED_STOPPED && fixture.run.end != SCRIPTED_DONE)
                                fail_msg("way %zu, request %u: %s", i, at, fixture_story(&fixture));
                        scripted_host_advance(&fixture.host, 60000);
                        if (fixture.run.end == SCRIPTED_STOPPED && !fixture.run.is_committed && is_on_trial(&fixture.device))
                                fail_msg("way %zu, request %u: left on trial: %s", i, at, fixture_story(&fixture));
                        fixture_deinit(&fixture);
                }
        }
}

/* The device is on trial: pausing does not end it, canceling does, by one reset that takes it back. */
static void test_stop_on_trial(void **state) {
        static const char *const steps[] = { "return", "verify", "trial" };
        struct fixture fixture;

        (void) state;
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
                fixture_init(&fixture, &driver_udp);
                scripted_run_begin(&fixture.run);
                if (!scripted_run_until_step(&fixture.run, steps[i], MOST_MS)) { /* verify ends inside its enter */
                        fixture_deinit(&fixture);
                        continue;
                }
                scripted_run_stop(&fixture.run, GW_STOP_CANCEL);
                assert_int_equal(scripted_run_until_end(&fixture.run, MOST_MS), SCRIPTED_STOPPED);
                scripted_host_advance(&fixture.host, 60000);
                assert_int_equal(fixture.device.n_resets, 2);
                assert_int_equal(fixture.device.slots[0][0].hash[0], OLD);
                assert_true(fixture.device.slots[0][0].confirmed);
                assert_non_null(scripted_run_note(&fixture.run, "canceled"));
                fixture_deinit(&fixture);
        }
        fixture_init(&fixture, &driver_udp);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "trial", MOST_MS));
        scripted_run_stop(&fixture.run, GW_STOP_PAUSE);
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        fixture_deinit(&fixture);
}

/* The device has heard the reset; then the daemon died, or not, and entered the step again. */
static void reset_is_asked_for(struct fixture *fixture, bool crash) {
        scripted_run_begin(&fixture->run);
        assert_true(scripted_run_until_step(&fixture->run, "reset", MOST_MS));
        while (fixture->device.n_resets == 0)
                assert_true(scripted_host_step(&fixture->host, INT64_MAX));
        if (!crash)
                return;
        scripted_run_crash(&fixture->run);
        assert_true(scripted_run_until_step(&fixture->run, "reset", MOST_MS));
}

/* The reset was asked for, then the daemon died, or not; then the cancel comes before anybody knows whether the device went down. */
static void test_cancel_around_reset(void **state) {
        (void) state;
        for (int crash = 0; crash < 2; crash++)
                for (int64_t delay_ms = 0; delay_ms < 4500; delay_ms += 150) {
                        struct fixture fixture;

                        fixture_init(&fixture, &driver_udp);
                        reset_is_asked_for(&fixture, crash);
                        scripted_host_advance(&fixture.host, delay_ms);
                        scripted_run_stop(&fixture.run, GW_STOP_CANCEL);
                        assert_int_equal(scripted_run_until_end(&fixture.run, MOST_MS), SCRIPTED_STOPPED);
                        scripted_host_advance(&fixture.host, 60000);
                        if (is_on_trial(&fixture.device))
                                fail_msg("crash %d, after %lld ms: left on trial: %s", crash, (long long) delay_ms,
                                         fixture_story(&fixture));
                        fixture_deinit(&fixture);
                }
}

/* A mark cannot be taken away again: whenever a cancel leaves one on the device, and only then, a note says so. */
static void test_cancel_tells_of_mark(void **state) {
        (void) state;
        for (size_t i = 0; i < N_WAYS; i++) {
                unsigned n = ways[i].clear ? 0 : count_requests(&ways[i]), n_told = 0;
                bool marks = ways[i].mode != GW_MODE_UPLOAD_ONLY && ways[i].mode != GW_MODE_CONFIRM_ONLY && ways[i].bootloader != 2 &&
                             ways[i].bootloader != 4 && !ways[i].recovery;

                for (unsigned at = 1; at <= n; at++) {
                        struct fixture fixture;
                        struct crash_plan plan = { .fixture = &fixture, .at_request = at, .stop = true, .reason = GW_STOP_CANCEL };
                        bool told, marked;

                        prepare(&fixture, &ways[i]);
                        stop_at(&fixture, &plan);
                        told = scripted_run_note(&fixture.run, "is marked");
                        marked = fixture.run.end == SCRIPTED_STOPPED && fixture.device.slots[0][1 - fixture.device.active[0]].pending;
                        n_told += told;
                        if (told != (marked && marks))
                                fail_msg("way %zu, request %u: marked %d, told %d: %s", i, at, marked, told, fixture_story(&fixture));
                        fixture_deinit(&fixture);
                }
                assert_true((n_told > 0) == (marks && !ways[i].clear));
        }
}

/* The daemon died before it sent the reset; the cancel comes when it has begun the step again. */
static void test_cancel_tells_of_mark_after_crash(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture.run.crash_at = "reset";
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "reset", MOST_MS));
        assert_int_equal(fixture.run.n_crashes, 1);
        scripted_run_stop(&fixture.run, GW_STOP_CANCEL);
        assert_int_equal(scripted_run_until_end(&fixture.run, MOST_MS), SCRIPTED_STOPPED);
        assert_int_equal(fixture.device.n_resets, 0);
        assert_non_null(scripted_run_note(&fixture.run, "is marked"));
        fixture_deinit(&fixture);
}

/* Canceled around a reset after which the device is away for minutes: the step that waits for it is not cut off before. */
static void test_cancel_before_long_swap(void **state) {
        (void) state;
        for (int crash = 0; crash < 2; crash++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_udp);
                fixture.device.slot_size = 0x400000;
                fixture.device.swap_ms = 300000;
                reset_is_asked_for(&fixture, crash);
                scripted_run_stop(&fixture.run, GW_STOP_CANCEL);
                while (fixture.run.end == SCRIPTED_RUNNING && scripted_host_step(&fixture.host, INT64_MAX))
                        if (fixture.run.step && fixture.host.now_ms > fixture.run.step_until_ms)
                                fail_msg("crash %d, at %lld ms: cut off: %s", crash, (long long) fixture.host.now_ms,
                                         fixture_story(&fixture));
                assert_int_equal(fixture.run.end, SCRIPTED_STOPPED);
                assert_int_equal(fixture.device.n_resets, 2);
                scripted_host_advance(&fixture.host, MOST_MS);
                assert_false(is_on_trial(&fixture.device));
                fixture_deinit(&fixture);
        }
}

/* The daemon dies in the middle of a long exchange: the device is granted the time for it all the same. */
static void test_crash_in_long_swap(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        close(fixture.parts[0].fd);
        fixture.order.n_wanted = 0;
        fixture_want(&fixture, 0, NEW, "1.1.0", FAKE_FILE_MAX);
        scripted_device_set(fixture.entry, "return_factor_percent", "10000"); /* 25 s for each 4 KiB */
        fixture.device.swap_ms = 110000;
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "return", MOST_MS));
        scripted_host_advance(&fixture.host, 1000); /* it is down */
        scripted_run_crash(&fixture.run);
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        fixture_deinit(&fixture);
}

/* It never comes back. Whether its power should be cycled is known after a crash, too. */
static void test_crash_and_never_returns(void **state) {
        static const enum gw_mode modes[] = { GW_MODE_TEST_AND_CONFIRM, GW_MODE_CONFIRM_ONLY };

        (void) state;
        for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
                struct fixture fixture;
                bool told;

                fixture_init(&fixture, &driver_udp);
                fixture.order.mode = modes[i];
                fixture.device.never_returns = true;
                scripted_run_begin(&fixture.run);
                assert_true(scripted_run_until_step(&fixture.run, "return", MOST_MS));
                scripted_host_advance(&fixture.host, 1000);
                scripted_run_crash(&fixture.run);
                assert_int_equal(scripted_run_until_end(&fixture.run, MOST_MS), SCRIPTED_FAILED);
                assert_string_equal(fixture.run.error.name, "did-not-return");
                told = strstr(fixture.run.error.text, "power cycle");
                if (told != (modes[i] == GW_MODE_TEST_AND_CONFIRM))
                        fail_msg("%s", fixture_story(&fixture));
                fixture_deinit(&fixture);
        }
}

/* Canceled while it is away, and it never comes back. */
static void test_cancel_never_returns(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture.device.never_returns = true;
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "return", MOST_MS));
        scripted_run_stop(&fixture.run, GW_STOP_CANCEL);
        assert_int_equal(scripted_run_until_end(&fixture.run, MOST_MS), SCRIPTED_STOPPED);
        assert_non_null(scripted_run_note(&fixture.run, "did not return"));
        fixture_deinit(&fixture);
}

/* Notes of a newer version, or garbage: the device is looked at anew. */
static void test_foreign_notes(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        snprintf(fixture.run.journaled, sizeof fixture.run.journaled, "upload");
        memcpy(fixture.run.durable_blob, "SB\377 not ours", 13);
        fixture.run.durable_size = 13;
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_non_null(scripted_run_note(&fixture.run, "looked at anew"));
        fixture_deinit(&fixture);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_crash_at_every_step),
                cmocka_unit_test(test_crash_at_every_request),
                cmocka_unit_test(test_shutdown_at_every_request),
                cmocka_unit_test(test_cancel_at_every_request),
                cmocka_unit_test(test_stop_on_trial),
                cmocka_unit_test(test_cancel_tells_of_mark),
                cmocka_unit_test(test_cancel_tells_of_mark_after_crash),
                cmocka_unit_test(test_cancel_before_long_swap),
                cmocka_unit_test(test_crash_in_long_swap),
                cmocka_unit_test(test_crash_and_never_returns),
                cmocka_unit_test(test_cancel_never_returns),
                cmocka_unit_test(test_cancel_around_reset),
                cmocka_unit_test(test_foreign_notes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
