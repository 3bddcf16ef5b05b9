/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Whole runs in which something looks like a result and is none: a reset that was never sent, a bootloader that lists the new image
 * and does not start it, an upload whose end nobody saw, a file that fitted before another update went away.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_fixture.h"

#define MOST_MS 3600000

/* Direct-XIP: the free slot changes when somebody else's trial is ended by a reset, and with it the file that fits. */
static void test_free_slot_changes(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture.device.mode = 5;
        fake_device_put(&fixture.device, 0, 0, OLD, "1.0.0");
        fake_device_put(&fixture.device, 0, 1, OTHER, "1.0.5"); /* on trial */
        fixture.device.slots[0][0].confirmed = true;
        fixture.device.active[0] = 1;
        fixture_want(&fixture, 0, NET_NEW, "1.1.0", FIXTURE_FILE_SIZE);
        fixture.parts[0].slot = 0;
        fixture.parts[1].slot = 1;
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture.device.slots[0][1].hash[0], NET_NEW);
        assert_int_equal(fixture.device.n_uploads_ended, 1);
        fixture_deinit(&fixture);
}

/* The daemon dies before it sends the reset, and the device is away when it comes back: it was never reset, so nothing was refused. */
static void test_reset_never_sent(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "reset", MOST_MS));
        assert_int_equal(fixture.device.n_resets, 0);
        fixture.device.dead = true;
        scripted_run_crash(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "return", MOST_MS));
        scripted_host_advance(&fixture.host, 5000);
        fixture.device.dead = false;
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture.device.n_resets, 1);
        fixture_deinit(&fixture);
}

/* The bootloader lists what it was given and stays: nothing runs, so nothing is proved. */
static void test_bootloader_stays(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_serial);
        fixture.device.recovery = true;
        fixture.device.stays_in_recovery = 99;
        fixture.device.mode = 0;
        fixture_expect_failure(&fixture, "smp-stuck-in-bootloader");
        assert_int_equal(fixture.device.n_uploads_ended, 1);
        fixture_deinit(&fixture);

        fixture_init(&fixture, &driver_serial); /* it was only caught by a question that came too early */
        fixture.device.recovery = true;
        fixture.device.stays_in_recovery = 1;
        fixture.device.mode = 0;
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture.device.n_resets, 2);
        fixture_deinit(&fixture);
}

/* The new image lies in the second slot of a device whose bootloader answers: that is neither where it is started nor a proof. */
static void test_recovery_and_second_slot(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_serial);
        fixture.device.recovery = true;
        fixture.device.mode = -2;
        fake_device_put(&fixture.device, 0, 1, NEW, "1.1.0");
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture.device.n_uploads_ended, 1);
        assert_int_equal(fixture.device.slots[0][0].hash[0], NEW);
        fixture_deinit(&fixture);
}

/* A lower version is refused by a bootloader's list as well as by an application's. */
static void test_downgrade_in_recovery(void **state) {
        struct fixture fixture;

        (void) state;
        for (int allowed = 0; allowed < 2; allowed++) {
                fixture_init(&fixture, &driver_serial);
                fixture.device.recovery = true;
                fake_device_put(&fixture.device, 0, 0, OLD, "2.0.0");
                fixture.order.allow_downgrade = allowed;
                if (allowed)
                        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
                else
                        fixture_expect_failure(&fixture, "downgrade");
                assert_int_equal(fixture.device.n_uploads_begun, allowed);
                fixture_deinit(&fixture);
        }
}

/* The device loses its power with the last chunk: it asks for offset 0, as after an upload that ended well. */
static void power_goes(void *ctx, struct fake_device *device) {
        bool *done = ctx;

        if (*done || !device->upload_session || device->file_size - device->file_off > 400)
                return;
        *done = true;
        fake_device_power_cycle(device);
}

static void test_reset_at_the_last_chunk(void **state) {
        struct fixture fixture;
        bool done = false;

        (void) state;
        for (int recovery = 0; recovery < 2; recovery++) {
                fixture_init(&fixture, &driver_udp);
                done = false;
                fixture.run.attempts_max = 3;
                fixture.device.on_request = power_goes;
                fixture.device.on_request_ctx = &done;
                fixture.device.stays_in_recovery = recovery;
                fixture.device.recovery = recovery;
                fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
                assert_true(done);
                assert_int_equal(fixture.device.n_uploads_ended, 1);
                assert_int_equal(fixture.device.slots[0][0].hash[0], NEW);
                fixture_deinit(&fixture);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_free_slot_changes),        cmocka_unit_test(test_reset_never_sent),
                cmocka_unit_test(test_bootloader_stays),         cmocka_unit_test(test_downgrade_in_recovery),
                cmocka_unit_test(test_recovery_and_second_slot), cmocka_unit_test(test_reset_at_the_last_chunk),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
