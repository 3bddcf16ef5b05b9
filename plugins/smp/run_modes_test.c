/* SPDX-License-Identifier: Apache-2.0 */

/* Whole runs without a fault: every mode on every kind of bootloader, the short ways, several images, serial and UDP. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_fixture.h"

#define FULL "connect inspect upload test reset return verify trial confirm"

static void test_each_mode(void **state) {
        static const struct {
                enum gw_mode mode;
                int bootloader;
                enum gw_result result;
                enum gw_proof proof;
                const char *path, *committed_in;
        } rows[] = {
                { GW_MODE_TEST_AND_CONFIRM, 3, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL, "confirm" },
                { GW_MODE_TEST_AND_CONFIRM, 1, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL, "confirm" },
                { GW_MODE_TEST_AND_CONFIRM, 9, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL, "confirm" },
                { GW_MODE_TEST_AND_CONFIRM, -1, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL, "confirm" },
                { GW_MODE_TEST_AND_CONFIRM, -2, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL, "confirm" },
                { GW_MODE_CONFIRM_ONLY, 3, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                  "connect inspect upload test reset return verify", "test" },
                { GW_MODE_TEST_ONLY, 3, GW_RESULT_ON_TRIAL, GW_PROOF_HASH_ACTIVE, "connect inspect upload test reset return verify", "" },
                { GW_MODE_UPLOAD_ONLY, 3, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED, "connect inspect upload", "" },
                { GW_MODE_TEST_AND_CONFIRM, 2, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                  "connect inspect upload test reset return verify", "test" },
                { GW_MODE_CONFIRM_ONLY, 2, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                  "connect inspect upload test reset return verify", "test" },
                { GW_MODE_TEST_AND_CONFIRM, 4, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE, "connect inspect upload reset return verify",
                  "reset" },
                { GW_MODE_UPLOAD_ONLY, 4, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED, "connect inspect upload", "" },
                { GW_MODE_TEST_AND_CONFIRM, 5, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL, "confirm" },
                { GW_MODE_CONFIRM_ONLY, 5, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                  "connect inspect upload test reset return verify", "test" },
        };
        const struct gw_driver *drivers[] = { &driver_udp, &driver_serial };

        (void) state;
        for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
                size_t at = i / 2;
                struct fixture fixture;

                fixture_init(&fixture, drivers[i % 2]);
                fixture.order.mode = rows[at].mode;
                fixture.device.mode = rows[at].bootloader;
                fixture_expect(&fixture, rows[at].result, rows[at].proof, rows[at].path);
                assert_string_equal(fixture.run.committed_in, rows[at].committed_in);
                assert_int_equal(fixture.device.n_uploads_begun, 1);
                assert_int_equal(fixture.device.n_bytes_written, FIXTURE_FILE_SIZE);
                assert_int_equal(fixture.device.n_resets, rows[at].mode == GW_MODE_UPLOAD_ONLY ? 0 : 1);
                assert_int_equal(fixture.run.progress_done, FIXTURE_FILE_SIZE);
                assert_string_equal(fixture.entry->model, "acme_board");
                fixture_deinit(&fixture);
        }
}

/* What cannot be done is refused before anything is sent that changes the device. */
static void test_impossible_modes(void **state) {
        static const struct {
                enum gw_mode mode;
                int bootloader;
                const char *name;
        } rows[] = {
                { GW_MODE_TEST_ONLY, 2, "mode-not-supported" },
                { GW_MODE_TEST_ONLY, 4, "mode-not-supported" },
                { GW_MODE_TEST_ONLY, 0, "mode-not-supported" },
                { GW_MODE_TEST_AND_CONFIRM, 7, "smp-bootloader-unsupported" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_udp);
                fixture.order.mode = rows[i].mode;
                fixture.device.mode = rows[i].bootloader;
                fixture_expect_failure(&fixture, rows[i].name);
                assert_string_equal(fixture.run.path, "connect inspect");
                assert_int_equal(fixture.device.n_uploads_begun + fixture.device.n_resets + fixture.device.n_tests, 0);
                fixture_deinit(&fixture);
        }
}

/* The image lies there already, in every state that it can be in. */
static void test_short_ways(void **state) {
        enum { RUNS, TRIAL, STORED, MARKED };
        static const struct {
                int stand;
                enum gw_mode mode;
                enum gw_result result;
                enum gw_proof proof;
                const char *path;
        } rows[] = {
                { RUNS, GW_MODE_TEST_AND_CONFIRM, GW_RESULT_ALREADY, GW_PROOF_HASH_ACTIVE_CONFIRMED, "connect inspect" },
                { RUNS, GW_MODE_UPLOAD_ONLY, GW_RESULT_ALREADY, GW_PROOF_HASH_ACTIVE_CONFIRMED, "connect inspect" },
                { TRIAL, GW_MODE_TEST_AND_CONFIRM, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                  "connect inspect verify trial confirm" },
                { TRIAL, GW_MODE_CONFIRM_ONLY, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, "connect inspect verify confirm" },
                { TRIAL, GW_MODE_TEST_ONLY, GW_RESULT_ON_TRIAL, GW_PROOF_HASH_ACTIVE, "connect inspect verify" },
                { TRIAL, GW_MODE_UPLOAD_ONLY, GW_RESULT_ALREADY, GW_PROOF_HASH_ACTIVE, "connect inspect" },
                { STORED, GW_MODE_TEST_AND_CONFIRM, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                  "connect inspect test reset return verify trial confirm" },
                { STORED, GW_MODE_CONFIRM_ONLY, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                  "connect inspect test reset return verify" },
                { STORED, GW_MODE_UPLOAD_ONLY, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED, "connect inspect" },
                { MARKED, GW_MODE_TEST_AND_CONFIRM, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                  "connect inspect reset return verify trial confirm" },
                { MARKED, GW_MODE_UPLOAD_ONLY, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED, "connect inspect" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;
                bool runs = rows[i].stand == RUNS || rows[i].stand == TRIAL;

                fixture_init(&fixture, &driver_udp);
                fixture.order.mode = rows[i].mode;
                fake_device_put(&fixture.device, 0, runs ? 0 : 1, NEW, "1.1.0");
                if (runs)
                        fake_device_put(&fixture.device, 0, 1, OLD, "1.0.0");
                fixture.device.slots[0][0].confirmed = rows[i].stand != TRIAL;
                fixture.device.slots[0][1].confirmed = rows[i].stand == TRIAL;
                fixture.device.slots[0][1].pending = rows[i].stand == MARKED;
                fixture_expect(&fixture, rows[i].result, rows[i].proof, rows[i].path);
                assert_int_equal(fixture.device.n_uploads_begun, 0);
                fixture_deinit(&fixture);
        }
}

/* One file with two images: all are uploaded, then all marked, then one reset. */
static void test_two_images(void **state) {
        static const struct {
                const char *board;
                enum gw_proof proof;
                bool only_first;
                const char *path;
        } rows[] = {
                { "acme_board", GW_PROOF_HASH_ACTIVE_CONFIRMED, false, FULL },
                { "nrf5340dk_nrf5340_cpuapp", GW_PROOF_HASH_ACTIVE_CONFIRMED, false, "connect inspect upload test reset return verify" },
                { "nrf5340dk_nrf5340_cpuapp", GW_PROOF_HASH_ACTIVE_CONFIRMED, true, "connect inspect upload test reset return verify" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_udp);
                fixture.device.n_images = 2;
                fixture.device.board = rows[i].board;
                fixture.device.active_only_first = rows[i].only_first;
                fake_device_put(&fixture.device, 1, 0, NET_OLD, "1.0.0");
                fixture.device.slots[1][0].confirmed = true;
                fixture_want(&fixture, 1, NET_NEW, "1.1.0", 2000);
                fixture_expect(&fixture, GW_RESULT_UPDATED, rows[i].proof, rows[i].path);
                assert_int_equal(fixture.device.n_uploads_begun, 2);
                assert_int_equal(fixture.device.n_resets, 1);
                assert_int_equal(fixture.device.slots[1][0].hash[0], NET_NEW);
                assert_int_equal(fixture.run.n_targets, 2);
                assert_string_equal(fixture.run.targets[1].key, "image-1");
                assert_int_equal(fixture.run.targets[1].state, GW_TARGET_SUCCEEDED);
                assert_int_equal(fixture.run.progress_done, FIXTURE_FILE_SIZE + 2000);
                fixture_deinit(&fixture);
        }
}

/* Another core's image that the device can never list: it is brought, but nothing proves it, and the result says so. */
static void test_unreadable_second_image(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture.device.n_images = 2;
        fixture.device.board = "nrf5340dk";
        fixture_want(&fixture, 1, NET_NEW, "1.1.0", 2000);
        fixture.device.mode = 2; /* the secondary slot is empty afterwards */
        fixture.device.hides_network_core = true;
        fake_device_put(&fixture.device, 1, 0, NET_OLD, "1.0.0");
        fixture.device.slots[1][0].confirmed = true;
        fixture_expect(&fixture, GW_RESULT_SENT_UNPROVEN, GW_PROOF_NONE, "connect inspect upload test reset return verify");
        assert_int_equal(fixture.run.targets[0].proof, GW_PROOF_HASH_ACTIVE_CONFIRMED);
        assert_int_equal(fixture.run.targets[1].result, GW_RESULT_SENT_UNPROVEN);
        fixture_deinit(&fixture);
}

/* Single slot: the bootloader's serial recovery writes over the only image. */
static void test_recovery(void **state) {
        static const struct {
                bool no_hashes, silent;
                int mode;
                const char *software; /* NULL: the application has image management */
                enum gw_result result;
                enum gw_proof proof;
        } rows[] = {
                { false, false, 0, NULL, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED },
                { false, false, -2, NULL, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED },
                { true, false, 0, NULL, GW_RESULT_UPDATED, GW_PROOF_VERSION_READ },
                { false, true, -2, NULL, GW_RESULT_SENT_UNPROVEN, GW_PROOF_NONE },
                { false, false, 0, "1.1.0", GW_RESULT_UPDATED, GW_PROOF_VERSION_READ },
                { false, false, 0, "1.0.0", GW_RESULT_SENT_UNPROVEN, GW_PROOF_NONE },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_serial);
                fixture.device.recovery = true;
                fixture.device.mode = rows[i].mode;
                fixture.device.no_hashes = rows[i].no_hashes;
                fixture.device.app_silent = rows[i].silent;
                fixture.device.app_without_images = rows[i].software;
                fixture.device.hardware = "acme,meter";
                fixture.device.software = rows[i].software;
                fixture.device.buf_count = rows[i].mode == 0 ? 1 : 0;
                fixture_expect(&fixture, rows[i].result, rows[i].proof,
                               rows[i].silent ? "connect inspect upload reset return" : "connect inspect upload reset return verify");
                assert_string_equal(fixture.run.committed_in, "upload");
                fixture_deinit(&fixture);
        }
}

/* Back to the image in the other slot: not a byte is uploaded, and the lower version is no obstacle. */
static void test_rollback(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fake_device_put(&fixture.device, 0, 0, NEW, "1.1.0");
        fixture.device.slots[0][0].confirmed = true;
        fake_device_put(&fixture.device, 0, 1, OLD, "1.0.0");
        fixture.order.n_wanted = 0;
        fixture.order.rollback = true;
        fixture_want(&fixture, 0, OLD, "1.0.0", 0);
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED,
                       "connect inspect test reset return verify trial confirm");
        assert_int_equal(fixture.device.n_uploads_begun, 0);
        assert_int_equal(fixture.device.slots[0][0].hash[0], OLD);
        scripted_run_deinit(&fixture.run);

        fixture.device.slots[0][1].present = false;
        memset(fixture.order.wanted[0].hash, OTHER, 32);
        fixture_run(&fixture, GW_OPERATION_UPDATE);
        fixture_expect_failure(&fixture, "rollback-image-gone");
        fixture_deinit(&fixture);
}

/* A server of version 1 that lacks everything optional. */
static void test_old_server(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_serial);
        fixture.device.version_1 = true;
        fixture.device.mode = -2;
        fixture.device.buf_count = 0;
        fixture.device.slot_size = 0;
        fixture.device.board = NULL;
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL);
        fixture_deinit(&fixture);
}

/* The USB port goes away with the reset and comes back under another name. */
static void test_port_comes_back_elsewhere(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_serial);
        fixture.device.unplugs = true;
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "return", 600000));
        scripted_port_remove(&fixture.host, "/dev/scripted0");
        scripted_host_advance(&fixture.host, 5000);
        scripted_port_add(&fixture.host, "/dev/scripted9", "0001-if00");
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL);
        assert_string_equal(fixture.entry->address, "/dev/scripted0"); /* learned at connect */
        fixture_deinit(&fixture);
}

/* The budget of a job's journal: a step is written once. */
static void test_journal_budget(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL);
        assert_int_equal(fixture.run.n_journaled, 7);
        assert_int_equal(fixture.run.n_checkpoints, 0);
        fixture_deinit(&fixture);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_mode),
                cmocka_unit_test(test_impossible_modes),
                cmocka_unit_test(test_short_ways),
                cmocka_unit_test(test_two_images),
                cmocka_unit_test(test_unreadable_second_image),
                cmocka_unit_test(test_recovery),
                cmocka_unit_test(test_rollback),
                cmocka_unit_test(test_old_server),
                cmocka_unit_test(test_port_comes_back_elsewhere),
                cmocka_unit_test(test_journal_budget),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
