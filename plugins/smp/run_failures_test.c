/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every field failure F1..F20 (README.md, "Errors") provoked in a whole run: each must end under its own name, or, where it is none,
 * not disturb the update. And what is refused before a byte goes out.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_fixture.h"

enum { R = SMP_OP_READ, W = SMP_OP_WRITE, ANY = -1, PLAIN = -1, OS = SMP_GROUP_OS, IMG = SMP_GROUP_IMAGE };

/* One job against a device that `prepare` has spoiled. `name` NULL: it must succeed all the same. */
static void job(void (*prepare)(struct fixture *fixture), const char *name) {
        struct fixture fixture;

        fixture_init(&fixture, &driver_udp);
        prepare(&fixture);
        if (name)
                fixture_expect_failure(&fixture, name);
        else
                fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        fixture_deinit(&fixture);
}

static void f1(struct fixture *fixture) {
        fixture->device.buf_count = 0;
        fixture->device.mode = -2;
        fixture->device.slot_size = 0;
        fixture->device.board = NULL;
}

static void f2(struct fixture *fixture) {
        for (uint8_t command = 0; command < 7; command++)
                fake_device_refuse(&fixture->device, (struct fake_refusal){ IMG, command, ANY, PLAIN, 8, 0, 0 });
}

static void f3(struct fixture *fixture) {
        fixture->device.mode = 4;
}

static void f4(struct fixture *fixture) {
        f2(fixture);
        for (uint8_t command = 0; command < 8; command++)
                fake_device_refuse(&fixture->device, (struct fake_refusal){ OS, command, ANY, PLAIN, 8, 0, 0 });
        fake_device_refuse(&fixture->device, (struct fake_refusal){ OS, SMP_OS_BOOTLOADER, ANY, PLAIN, 8, 0, 0 });
}

static void test_f1_to_f4(void **state) {
        struct fixture fixture;

        (void) state;
        job(f1, NULL);
        job(f2, "smp-no-image-management");
        job(f4, "smp-not-standard");
        /* F3: no mark, no error; and not a note about it in the report. */
        fixture_init(&fixture, &driver_udp);
        f3(&fixture);
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE, "connect inspect upload reset return verify");
        assert_null(scripted_run_note(&fixture.run, "refused"));
        fixture_deinit(&fixture);
}

/* F3 on a server that does not tell its bootloader's mode: only the refused mark shows it. */
static void test_f3_found_late(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture.device.mode = 4;
        fake_device_refuse(&fixture.device, (struct fake_refusal){ OS, SMP_OS_BOOTLOADER, ANY, PLAIN, 8, 0, 0 });
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE, "connect inspect upload test reset return verify");
        assert_string_equal(fixture.run.committed_in, "reset");
        fixture_deinit(&fixture);
}

/* F5: another update waits. Where the device allows it, it is erased; else reset away, at most twice; or waited for. */
static void test_f5(void **state) {
        enum { WAITS, ON_TRIAL };
        static const struct {
                int stand;
                bool erase_refused;
                unsigned n_resets, n_erases;
        } rows[] = {
                { WAITS, false, 1, 1 },
                { WAITS, true, 3, 0 }, /* started by the first reset, taken back by the second; the third is ours */
                { ON_TRIAL, false, 2, 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;
                bool on_trial = rows[i].stand == ON_TRIAL;

                fixture_init(&fixture, &driver_udp);
                fake_device_put(&fixture.device, 0, on_trial ? 0 : 1, OTHER, "1.0.5");
                if (on_trial)
                        fake_device_put(&fixture.device, 0, 1, OLD, "1.0.0");
                fixture.device.slots[0][0].confirmed = !on_trial;
                fixture.device.slots[0][1].confirmed = on_trial;
                fixture.device.slots[0][1].pending = !on_trial;
                if (rows[i].erase_refused)
                        fake_device_refuse(&fixture.device, (struct fake_refusal){ IMG, SMP_IMAGE_ERASE, ANY, 1, 9, 0, 0 });
                fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
                assert_int_equal(fixture.device.n_resets, rows[i].n_resets);
                assert_int_equal(fixture.device.n_erases, rows[i].n_erases);
                assert_int_equal(fixture.device.n_uploads_begun, 1);
                fixture_deinit(&fixture);
        }
}

static void f5_stays(struct fixture *fixture) {
        fake_device_refuse(&fixture->device, (struct fake_refusal){ IMG, SMP_IMAGE_UPLOAD, W, 1, 9, 0, 0 });
}

static void test_f5_stays(void **state) {
        struct fixture fixture;

        (void) state;
        job(f5_stays, "smp-other-update-pending");
        fixture_init(&fixture, &driver_udp);
        scripted_device_set(fixture.entry, "when_slot_taken", "wait");
        fake_device_put(&fixture.device, 0, 1, OTHER, "1.0.5");
        fixture.device.slots[0][1].pending = true;
        fixture.run.stop_at_wait = true;
        assert_int_equal(scripted_run_whole(&fixture.run, 600000), SCRIPTED_WAITING);
        assert_string_equal(fixture.run.reason, "device-busy");
        assert_int_equal(fixture.device.n_resets, 0);
        fixture.device.slots[0][1] = (struct fake_slot){ 0 }; /* somebody cleared it */
        scripted_run_continue(&fixture.run);
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        fixture_deinit(&fixture);
}

static void f6(struct fixture *fixture) {
        fake_device_refuse(&fixture->device, (struct fake_refusal){ IMG, SMP_IMAGE_UPLOAD, W, 1, 23, 0, 0 });
}

static void f7(struct fixture *fixture) {
        fake_device_refuse(&fixture->device, (struct fake_refusal){ IMG, SMP_IMAGE_STATE, W, 1, 23, 0, 0 });
}

static void f8(struct fixture *fixture) {
        fixture->device.lose_upload = true;
}

static void f9(struct fixture *fixture) {
        fixture->device.refuse_swap = true;
}

static void f10(struct fixture *fixture) {
        fixture->device.reject_image = true;
}

static void f11_unseen(struct fixture *fixture) {
        fixture->device.crash_at_boot = true;
}

static void f11_seen(struct fixture *fixture) {
        fixture->device.crash_after_ms = 20000;
}

static void f13(struct fixture *fixture) {
        fixture->device.never_returns = true;
}

static void f14(struct fixture *fixture) {
        fixture->device.drop_reset_answer = true;
}

static void f15(struct fixture *fixture) {
        fixture->device.ignore_test = true;
}

static void f16(struct fixture *fixture) {
        scripted_device_set(fixture->entry, "device_checks_version", "yes");
        fake_device_refuse(&fixture->device, (struct fake_refusal){ IMG, SMP_IMAGE_UPLOAD, W, 1, 27, 0, 0 });
}

static void f17(struct fixture *fixture) {
        fixture_want(fixture, 1, NET_NEW, "1.1.0", 2000);
}

static void f19(struct fixture *fixture) {
        fake_device_refuse(&fixture->device, (struct fake_refusal){ IMG, SMP_IMAGE_STATE, R, PLAIN, 2, 0, 0 });
}

static void test_f6_to_f19(void **state) {
        (void) state;
        job(f6, "smp-image-magic-refused");
        job(f7, "smp-swap-mark-not-written");
        job(f8, "smp-stored-image-missing");
        job(f9, "smp-swap-refused");
        job(f10, "smp-image-rejected");
        job(f11_unseen, "smp-image-reverted");
        job(f11_seen, "reset-during-trial");
        job(f13, "did-not-return");
        job(f14, NULL);
        job(f15, "smp-test-ignored");
        job(f16, "smp-version-not-newer");
        job(f17, "smp-single-image-device");
        job(f19, "smp-device-buffer-too-small");
}

/* F18: the device finds the messages too long; cut short, they go through. One that always does is named. */
static void f18(struct fixture *fixture) {
        fake_device_refuse(&fixture->device, (struct fake_refusal){ IMG, SMP_IMAGE_UPLOAD, W, PLAIN, 9, 0, 0 });
        fixture->device.refusals[0].times = 1;
}

static void f18_always(struct fixture *fixture) {
        fake_device_refuse(&fixture->device, (struct fake_refusal){ IMG, SMP_IMAGE_UPLOAD, W, PLAIN, 9, 0, 0 });
}

static void f20(struct fixture *fixture) {
        fixture->device.silent_above = 60;
}

static void f20_dead(struct fixture *fixture) {
        fixture->device.dead_above = 120;
}

/* A long message silences the device until somebody resets it: the next attempt keeps its messages short. */
static void test_f20_learns(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture.device.dead_above = 200;
        fixture.run.attempts_max = 2;
        fixture.run.stop_at_wait = true;
        assert_int_equal(scripted_run_whole(&fixture.run, 600000), SCRIPTED_WAITING);
        assert_string_equal(fixture.run.error.name, "smp-no-reassembly");
        fixture.device.dead = false;
        scripted_run_continue(&fixture.run);
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        fixture_deinit(&fixture);
}

static void test_f18_and_f20(void **state) {
        (void) state;
        job(f20_dead, "smp-no-reassembly");
        job(f18, NULL);
        job(f18_always, "smp-message-too-long");
        job(f20, "smp-no-reassembly");
}

/* F20 on a serial port: bytes come, but no frame; and a port that says nothing at all. */
static void test_serial_silence(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_serial);
        fixture.device.dead = true;
        fixture.device.noise = "*** Booting Zephyr OS ***\r\nuart:~$ \r\n";
        fixture_expect_failure(&fixture, "serial-garbage");
        fixture_deinit(&fixture);

        fixture_init(&fixture, &driver_serial);
        fixture.device.dead = true;
        fixture_expect_failure(&fixture, "smp-no-answer");
        fixture_deinit(&fixture);
}

/* The device stops answering in the middle of the upload: another attempt, which resumes and sends nothing twice. */
static void test_vanishes_in_upload(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture.run.attempts_max = 3;
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "upload", 60000));
        fixture.device.stop_answering_after = (int) fixture.device.n_requests + 4;
        while (fixture.run.attempt == 1 && fixture.run.end == SCRIPTED_RUNNING)
                assert_true(scripted_host_step(&fixture.host, INT64_MAX));
        assert_string_equal(fixture.run.error.name, "device-vanished");
        fixture.device.stop_answering_after = -1;
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture.device.n_bytes_written, FIXTURE_FILE_SIZE);
        assert_int_equal(fixture.device.n_uploads_begun, 1);
        assert_non_null(scripted_run_note(&fixture.run, "resumed at"));
        fixture_deinit(&fixture);
}

/* On trial: silent for a moment is forgiven, silent for good is named; a crash before the first check is seen in the slots. */
static void test_trial(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "trial", 600000));
        fixture.device.dead = true;
        scripted_host_advance(&fixture.host, 60000);
        fixture.device.dead = false;
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                           "connect inspect upload test reset return verify trial return verify trial confirm");
        fixture_deinit(&fixture);

        fixture_init(&fixture, &driver_udp);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "trial", 600000));
        fixture.device.dead = true;
        assert_int_equal(scripted_run_until_end(&fixture.run, 3600000), SCRIPTED_FAILED);
        assert_string_equal(fixture.run.error.name, "trial-no-answer");
        assert_int_equal(fixture.device.n_confirms, 0);
        fixture_deinit(&fixture);
}

/* The new firmware crashes at the very confirmation, and is taken back: a second one would make it boot for good. */
static void crash_at_confirmation(void *ctx, struct fake_device *device) {
        const struct fixture *fixture = ctx;

        if (fixture->run.is_committed && device->n_boots == 1)
                fake_device_power_cycle(device);
}

static void test_confirmed_once(void **state) {
        const struct gw_driver *drivers[] = { &driver_udp, &driver_serial };

        (void) state;
        for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, drivers[i]);
                fixture.run.attempts_max = 3;
                fixture.device.on_request = crash_at_confirmation;
                fixture.device.on_request_ctx = &fixture;
                fixture_expect_failure(&fixture, "reset-during-trial");
                assert_int_equal(fixture.device.n_boots, 2);
                assert_int_equal(fixture.device.n_confirms, 0);
                assert_int_equal(fixture.device.slots[0][0].hash[0], OLD);
                assert_false(fixture.device.slots[0][1].pending);
                fixture_deinit(&fixture);
        }
}

/* The link is lost when the confirmation is due: that is the end of no attempt, but the trial goes on, at most as often as a trial may. */
static void test_lost_before_confirmation(void **state) {
        struct fixture fixture;

        (void) state;
        for (int always = 0; always < 2; always++) {
                fixture_init(&fixture, &driver_udp);
                scripted_run_begin(&fixture.run);
                do {
                        assert_true(scripted_run_until_step(&fixture.run, "trial", 600000));
                        fixture.device.stop_answering_after = (int) (fixture.device.n_requests + fixture.order.trial_checks);
                        if (scripted_run_until_step(&fixture.run, "return", 600000))
                                fixture.device.stop_answering_after = -1;
                } while (always && fixture.run.end == SCRIPTED_RUNNING);
                if (!always) {
                        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                                           "connect inspect upload test reset return verify trial confirm return verify trial confirm");
                } else {
                        assert_int_equal(fixture.run.end, SCRIPTED_FAILED);
                        assert_string_equal(fixture.run.error.name, "trial-no-answer");
                        assert_int_equal(fixture.device.n_confirms, 0);
                        assert_non_null(scripted_run_note(&fixture.run, "may run the new image on trial"));
                }
                fixture_deinit(&fixture);
        }
}

/* The look before the confirmation is the last request that it answers: nobody knows whether the confirmation was heard. */
static void silent_after_look(void *ctx, struct fake_device *device) {
        const struct fixture *fixture = ctx;

        if (fixture->run.step && strcmp(fixture->run.step->name, "confirm") == 0)
                device->stop_answering_after = (int) device->n_requests;
}

static void refuses_confirmation(struct fixture *fixture) {
        fake_device_refuse(&fixture->device, (struct fake_refusal){ IMG, SMP_IMAGE_STATE, W, PLAIN, 1, 1, 0 });
}

static void falls_silent_at_confirmation(struct fixture *fixture) {
        fixture->device.on_request = silent_after_look;
        fixture->device.on_request_ctx = fixture;
}

static void never_back(struct fixture *fixture) {
        fixture->run.attempts_max = 3;
        falls_silent_at_confirmation(fixture);
}

static void kept_without_a_trial(struct fixture *fixture) {
        fixture->order.mode = GW_MODE_CONFIRM_ONLY;
        fixture->device.never_returns = true;
}

/* A job that fails tells when it may leave the device on trial, and only then. */
static void test_left_on_trial(void **state) {
        static const struct {
                void (*prepare)(struct fixture *fixture);
                const char *name;
                bool noted;
        } rows[] = {
                { falls_silent_at_confirmation, "smp-no-answer", true },
                { never_back, "trial-no-answer", true },
                { refuses_confirmation, "smp-confirm-refused", true },
                { kept_without_a_trial, "did-not-return", false },
                { f9, "smp-swap-refused", false },
                { f11_seen, "reset-during-trial", false },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_udp);
                rows[i].prepare(&fixture);
                fixture_expect_failure(&fixture, rows[i].name);
                if ((scripted_run_note(&fixture.run, "may run the new image on trial") != NULL) != rows[i].noted)
                        fail_msg("row %zu: %s", i, fixture_story(&fixture));
                fixture_deinit(&fixture);
        }
}

static void self_confirm(struct fixture *fixture) {
        scripted_run_begin(&fixture->run);
        assert_true(scripted_run_until_step(&fixture->run, "trial", 600000));
        fixture->device.slots[0][0].confirmed = true;
        fixture->device.slots[0][1].confirmed = false;
        fixture_expect_end(fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture->device.n_confirms, 0);
}

/* An application that confirms itself while it is on trial. */
static void test_self_confirm(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        self_confirm(&fixture);
        fixture_deinit(&fixture);
}

/* The answer to the reset comes long before the reset: the first answers after it are still the old firmware's. */
static void test_slow_reset(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture.device.reset_delay_ms = 3500;
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture.device.n_resets, 1);
        fixture_deinit(&fixture);

        fixture_init(&fixture, &driver_udp); /* neither heard nor answered: once more */
        fixture.device.ignore_reset_once = true;
        fixture.device.drop_reset_answer = true;
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture.device.n_resets, 2);
        fixture_deinit(&fixture);
}

/* A hook of the application answers "busy" to the first reset and wants to hear that it is meant. */
static void test_forced_reset(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fake_device_refuse(&fixture.device, (struct fake_refusal){ OS, SMP_OS_RESET, W, PLAIN, 10, 0, 0 });
        fixture.device.refusals[0].times = 1;
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        fixture_deinit(&fixture);
        fixture_init(&fixture, &driver_udp);
        fake_device_refuse(&fixture.device, (struct fake_refusal){ OS, SMP_OS_RESET, W, PLAIN, 8, 0, 0 });
        fixture_expect_failure(&fixture, "smp-reset-refused");
        fixture_deinit(&fixture);
}

static void too_large(struct fixture *fixture) {
        fixture->device.slot_size = FIXTURE_FILE_SIZE - 1;
}

static void older(struct fixture *fixture) {
        snprintf(fixture->device.slots[0][0].version, sizeof fixture->device.slots[0][0].version, "1.2.0");
}

static void older_but_allowed(struct fixture *fixture) {
        older(fixture);
        fixture->order.allow_downgrade = true;
}

static void older_and_refused_by_bootloader(struct fixture *fixture) {
        older_but_allowed(fixture);
        fixture->device.no_downgrade = true;
}

static void test_refused_before_a_byte(void **state) {
        static const struct {
                void (*prepare)(struct fixture *fixture);
                const char *name;
        } rows[] = { { too_large, "image-too-large" }, { older, "downgrade" }, { older_and_refused_by_bootloader, "downgrade" } };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_udp);
                rows[i].prepare(&fixture);
                fixture_expect_failure(&fixture, rows[i].name);
                assert_int_equal(fixture.device.n_uploads_begun, 0);
                fixture_deinit(&fixture);
        }
        job(older_but_allowed, NULL);
}

/* Not there: the job waits and goes on when the device is heard; an inspection says so at once. */
static void test_absent(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_serial);
        fixture.host.n_ports = 0;
        fixture.run.stop_at_wait = true;
        assert_int_equal(scripted_run_whole(&fixture.run, 600000), SCRIPTED_WAITING);
        assert_string_equal(fixture.run.reason, "not-seen");
        assert_true(fixture.run.seen_wakes);
        scripted_port_add(&fixture.host, "/dev/scripted1", "0001-if00");
        scripted_run_continue(&fixture.run);
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        fixture_deinit(&fixture);

        fixture_init(&fixture, &driver_udp);
        fixture.device.dead = true;
        fixture.run.stop_at_wait = true;
        assert_int_equal(scripted_run_whole(&fixture.run, 600000), SCRIPTED_WAITING);
        assert_string_equal(fixture.run.reason, "not-seen");
        scripted_run_deinit(&fixture.run);
        fixture_run(&fixture, GW_OPERATION_INSPECT);
        fixture_expect_failure(&fixture, "smp-no-answer");
        fixture_deinit(&fixture);
}

/* Every refusal that is no optional command stands in the report with its codes. */
static void test_refusals_are_noted(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        f7(&fixture);
        fixture_expect_failure(&fixture, "smp-swap-mark-not-written");
        assert_non_null(scripted_run_note(&fixture.run, "23"));
        fixture_deinit(&fixture);
}

/* The point of no return cannot be made durable: nothing is confirmed. */
static void test_commit_fails(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture.run.refuse_commit = true;
        fixture_expect_failure(&fixture, "store-failed");
        assert_int_equal(fixture.device.n_confirms, 0);
        fixture_deinit(&fixture);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_f1_to_f4),
                cmocka_unit_test(test_f3_found_late),
                cmocka_unit_test(test_f5),
                cmocka_unit_test(test_f5_stays),
                cmocka_unit_test(test_f6_to_f19),
                cmocka_unit_test(test_f18_and_f20),
                cmocka_unit_test(test_f20_learns),
                cmocka_unit_test(test_serial_silence),
                cmocka_unit_test(test_vanishes_in_upload),
                cmocka_unit_test(test_trial),
                cmocka_unit_test(test_confirmed_once),
                cmocka_unit_test(test_lost_before_confirmation),
                cmocka_unit_test(test_left_on_trial),
                cmocka_unit_test(test_self_confirm),
                cmocka_unit_test(test_slow_reset),
                cmocka_unit_test(test_forced_reset),
                cmocka_unit_test(test_refused_before_a_byte),
                cmocka_unit_test(test_absent),
                cmocka_unit_test(test_refusals_are_noted),
                cmocka_unit_test(test_commit_fails),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
