/* SPDX-License-Identifier: Apache-2.0 */

/* Whole jobs over Bluetooth: what is different there from a cable. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "radio.h"
#include "run_fixture.h"
#include "tuning.h"

#define FULL "connect inspect upload test reset return verify trial confirm"
#define OTHER_KEY "C00000000001"

static void test_update(void **state) {
        static const struct {
                const char *what;
                size_t packet; /* bytes */
                uint32_t buf_size, buf_count;
                int64_t swap_ms;
                bool drops_at_reset;
        } rows[] = {
                { "as usual", 244, 2475, 4, 2000, false },   { "MTU 23", 20, 512, 4, 2000, false },
                { "one buffer", 244, 384, 1, 2000, false },   { "no parameters", 244, 0, 0, 2000, false },
                { "a long swap", 244, 2475, 4, 50000, false }, { "the link drops at the reset", 244, 2475, 4, 2000, true },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_ble);
                fixture.device.ble->max_datagram = rows[i].packet;
                fixture.device.buf_size = rows[i].buf_size;
                fixture.device.buf_count = rows[i].buf_count;
                fixture.device.swap_ms = rows[i].swap_ms;
                fixture.device.drops_at_reset = rows[i].drops_at_reset;
                fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL);
                assert_int_equal(fixture.device.n_resets, 1);
                assert_true(fixture.device.ble->n_forgotten >= 1); /* its table may have changed */
                assert_string_equal(fixture.entry->address, "DE:06:3B:97:4C:D8");
                fixture_deinit(&fixture);
        }
}

/* It is back, but the new firmware has lost its bond: that is what a person must hear, not that it did not return. */
static void test_bond_lost_at_reset(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_ble);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "return", 600000));
        fixture.device.ble->open_fails = "bond-lost";
        assert_int_equal(scripted_run_until_end(&fixture.run, 3600000), SCRIPTED_FAILED);
        assert_string_equal(fixture.run.error.name, "bond-lost");
        fixture.device.ble->open_fails = NULL;
        fixture_deinit(&fixture);
}

/* While a device is on trial for a minute, others may use the radio. */
static void test_trial_gives_the_radio_back(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_ble);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "trial", 600000));
        scripted_host_advance(&fixture.host, 1000);
        assert_null(fixture.device.ble->open);
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL);
        assert_true(fixture.device.ble->n_opened >= 3);
        fixture_deinit(&fixture);
}

/* Canceled while nobody is connected: the device is reached at once and goes back. */
static void test_cancel_in_trial(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_ble);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "trial", 600000));
        scripted_host_advance(&fixture.host, 1000);
        scripted_run_stop(&fixture.run, GW_STOP_CANCEL);
        assert_int_equal(scripted_run_until_end(&fixture.run, 10000), SCRIPTED_STOPPED);
        assert_int_equal(fixture.device.n_resets, 2);
        fixture_deinit(&fixture);
}

static void state_number(struct fake_device *device, const char *serial) {
        struct scripted_ble_characteristic *number =
                scripted_ble_characteristic(device->ble, "0000180a-0000-1000-8000-00805f9b34fb", "00002a25-0000-1000-8000-00805f9b34fb", GW_GATT_READ);

        number->value_size = strlen(serial);
        memcpy(number->value, serial, number->value_size);
}

static void in_device_information(struct fake_device *device) {
        state_number(device, "SN42");
}

static void in_memfault(struct fake_device *device) {
        device->hardware = "acme,sensor-r2";
        device->software = "1.0.0";
        device->memfault_serial = "SN42";
}

static void other_in_device_information(struct fake_device *device) {
        memcpy(device->ble->characteristics[device->ble->n_characteristics - 1].value, "SN43", 4);
}

static void other_in_memfault(struct fake_device *device) {
        device->memfault_serial = "SN43";
}

static void loses_old_image(struct fake_device *device) {
        device->slots[0][1].present = false;
}

static void test_another_address(void **state) {
        static const struct {
                const char *what, *next_key, *next_name;
                bool updated;
                const char *address;
        } rows[] = {
                { "the next one", "DE063B974CD9", "boot", true, "DE:06:3B:97:4C:D9" },
                { "any, with its name", OTHER_KEY, "sensor", true, "C0:00:00:00:00:01" },
                { "any, another name", OTHER_KEY, "lamp", false, "DE:06:3B:97:4C:D8" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_ble);
                scripted_host_advance(&fixture.host, 1000); /* heard before */
                scripted_run_begin(&fixture.run);
                assert_true(scripted_run_until_step(&fixture.run, "return", 600000));
                fixture.device.next_key = rows[i].next_key;
                snprintf(fixture.device.ble->name, sizeof fixture.device.ble->name, "%s", rows[i].next_name);
                if (rows[i].updated)
                        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL);
                else if (scripted_run_until_end(&fixture.run, 3600000) != SCRIPTED_FAILED || strcmp(fixture.run.error.name, "did-not-return") != 0)
                        fail_msg("%s: %s", rows[i].what, fixture_story(&fixture));
                assert_string_equal(fixture.entry->address, rows[i].address);
                fixture_deinit(&fixture);
        }
}

/* Who comes up at the next address runs the new image, too. A serial number tells the neighbour from the device, and where the daemon was
 * restarted meanwhile, one of these must prove that it is the device: the number, or the old image beside the new one. */
static void test_who_answers(void **state) {
        static const struct {
                const char *what;
                void (*number)(struct fake_device *device);
                void (*then)(struct fake_device *device); /* what is different of whoever answers */
                bool restarted, taken;
        } rows[] = {
                { "the number of Device Information", in_device_information, NULL, false, true },
                { "Memfault's number", in_memfault, NULL, false, true },
                { "another number of Device Information", in_device_information, other_in_device_information, false, false },
                { "another number of Memfault's", in_memfault, other_in_memfault, false, false },
                { "restarted, no number, both images", NULL, NULL, true, true },
                { "restarted, no number, the old image is not there", NULL, loses_old_image, true, false },
                { "restarted, its number, the old image is not there", in_memfault, loses_old_image, true, true },
                { "restarted, another number, both images", in_memfault, other_in_memfault, true, false },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;
                unsigned n_opened;

                fixture_init(&fixture, &driver_ble);
                scripted_host_advance(&fixture.host, 1000);
                if (rows[i].number)
                        rows[i].number(&fixture.device);
                scripted_run_begin(&fixture.run);
                assert_true(scripted_run_until_step(&fixture.run, "return", 600000));
                fixture.device.next_key = "DE063B974CD9";
                while (fixture.device.n_boots == 0)
                        assert_true(scripted_host_step(&fixture.host, INT64_MAX));
                if (rows[i].then)
                        rows[i].then(&fixture.device);
                if (rows[i].restarted) {
                        scripted_run_crash(&fixture.run);
                        assert_true(scripted_run_until_step(&fixture.run, "return", 600000));
                }
                if (!rows[i].taken) {
                        n_opened = fixture.device.ble->n_opened;
                        scripted_host_advance(&fixture.host, 50000);
                        if (fixture.run.end != SCRIPTED_RUNNING || strcmp(fixture.run.step->name, "return") != 0)
                                fail_msg("%s: %s", rows[i].what, fixture_story(&fixture));
                        assert_int_equal(fixture.device.ble->n_opened, n_opened + 1); /* asked who it is, once */
                        assert_non_null(scripted_run_note(&fixture.run, "DE:06:3B:97:4C:D9 answers"));
                        scripted_ble_readdress(fixture.device.ble, FIXTURE_KEY); /* now it is the device itself */
                }
                fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
                assert_string_equal(fixture.entry->address, rows[i].taken ? "DE:06:3B:97:4C:D9" : "DE:06:3B:97:4C:D8");
                fixture_deinit(&fixture);
        }
}

/* The neighbour has the same name and was heard before: it is not taken for the device that is away. */
static void test_neighbour(void **state) {
        struct fixture fixture;
        struct scripted_ble *neighbour;

        (void) state;
        fixture_init(&fixture, &driver_ble);
        neighbour = scripted_ble_add(&fixture.gatt, OTHER_KEY, "sensor");
        scripted_ble_advertise_service(neighbour, SMP_BLE_SERVICE);
        scripted_ble_characteristic(neighbour, SMP_BLE_SERVICE, SMP_BLE_CHARACTERISTIC, GW_GATT_WRITE_COMMAND | GW_GATT_NOTIFY);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "upload", 600000));
        scripted_ble_advertise(neighbour);
        assert_true(scripted_run_until_step(&fixture.run, "return", 600000));
        fixture.device.never_returns = true;
        for (int i = 0; i < 100; i++) {
                scripted_host_advance(&fixture.host, 500);
                scripted_ble_advertise(neighbour);
        }
        assert_int_equal(neighbour->n_opened, 0);
        assert_int_equal(scripted_run_until_end(&fixture.run, 3600000), SCRIPTED_FAILED);
        assert_string_equal(fixture.run.error.name, "did-not-return");
        fixture_deinit(&fixture);
}

/* Somebody whose address would fit comes up while the device clears another update. Nothing could prove who that is, and the upload would
 * follow. */
static void test_stranger_after_clearing(void **state) {
        struct fixture fixture;
        struct scripted_ble *stranger;

        (void) state;
        fixture_init(&fixture, &driver_ble);
        fake_device_put(&fixture.device, 0, 0, OTHER, "1.0.5"); /* somebody else's image on trial */
        fake_device_put(&fixture.device, 0, 1, OLD, "1.0.0");
        fixture.device.slots[0][1].confirmed = true;
        fixture.device.swap_ms = 10000;
        stranger = scripted_ble_add(&fixture.gatt, "DE063B974CD9", "sensor");
        scripted_ble_advertise_service(stranger, SMP_BLE_SERVICE);
        scripted_ble_characteristic(stranger, SMP_BLE_SERVICE, SMP_BLE_CHARACTERISTIC, GW_GATT_WRITE_COMMAND | GW_GATT_NOTIFY);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "return", 600000));
        for (int i = 0; i < 10; i++) {
                scripted_host_advance(&fixture.host, 500);
                scripted_ble_advertise(stranger);
        }
        assert_int_equal(stranger->n_opened, 0);
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture.device.n_resets, 2);
        fixture_deinit(&fixture);
}

/* The adapter is off while the device is away: that time is not the device's. */
static void test_radio_gone_in_return(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_ble);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "return", 600000));
        scripted_gatt_set_state(&fixture.gatt, "bluetoothd-not-running");
        scripted_host_advance(&fixture.host, 1800000);
        assert_null(fixture.run.end == SCRIPTED_FAILED ? fixture_story(&fixture) : NULL);
        scripted_gatt_set_state(&fixture.gatt, NULL);
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL);
        fixture_deinit(&fixture);
}

/* Every state of Bluetooth makes the job wait under its own name, and costs no attempt. */
static void test_states(void **state) {
        static const char *const states[] = { "adapter-off", "adapter-blocked", "no-adapter", "bluetoothd-not-running", "dbus-refused" };

        (void) state;
        for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_ble);
                scripted_gatt_set_state(&fixture.gatt, states[i]);
                fixture.run.stop_at_wait = true;
                assert_int_equal(scripted_run_whole(&fixture.run, 600000), SCRIPTED_WAITING);
                assert_string_equal(fixture.run.reason, states[i]);
                assert_int_equal(fixture.run.attempt, 1);
                scripted_gatt_set_state(&fixture.gatt, NULL);
                scripted_run_continue(&fixture.run);
                fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
                fixture_deinit(&fixture);
        }
}

static void test_not_seen(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_ble);
        fixture.device.ble->away = true;
        fixture.run.stop_at_wait = true;
        assert_int_equal(scripted_run_whole(&fixture.run, 600000), SCRIPTED_WAITING);
        assert_string_equal(fixture.run.reason, "not-seen");
        fixture_deinit(&fixture);
}

/* It wants a bond: final, and shown as its property. */
static void test_pairing_required(void **state) {
        static const char *const names[] = { "pairing-required", "encryption-required", "bond-lost" };

        (void) state;
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                struct fixture fixture;
                bool found = false;

                fixture_init(&fixture, &driver_ble);
                fixture.device.ble->characteristics[0].fails = names[i];
                fixture_expect_failure(&fixture, names[i]);
                for (size_t j = 0; j < fixture.entry->n_values; j++)
                        found |= strcmp(fixture.entry->values[j].name, "smp_access") == 0 && strcmp(fixture.entry->values[j].value, names[i]) == 0;
                assert_true(found);
                fixture_deinit(&fixture);
        }
}

/* The link goes in the middle of the upload, a notification is lost: the upload goes on where it was. */
static void test_upload_interrupted(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_ble);
        fixture.run.attempts_max = 2;
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "upload", 600000));
        scripted_host_advance(&fixture.host, 12);
        scripted_ble_lose(fixture.device.ble, "ble-disconnected");
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture.device.n_bytes_written, FIXTURE_FILE_SIZE);
        fixture_deinit(&fixture);
        for (size_t lost = 1; lost < 30; lost++) {
                fixture_init(&fixture, &driver_ble);
                fixture.device.ble->max_datagram = 100;
                fixture.device.lose_packet = lost;
                fixture_expect(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, FULL);
                fixture_deinit(&fixture);
        }
}

/* A link that ends while something is asked for: its own reason, not that of any closed link. */
static void test_reason_of_a_lost_link(void **state) {
        static const struct {
                const char *step, *name;
                int64_t after_ms;
                uint32_t attempts;
        } rows[] = {
                { "inspect", "ble-disconnected", 0, 2 },
                { "upload", "ble-disconnected", 4, 2 },
                { "upload", "adapter-off", 4, 2 },
                { "upload", "encryption-required", 4, 1 }, /* no later attempt finds it otherwise */
                { "inspect", "encryption-required", 0, 1 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_ble);
                fixture.run.attempts_max = 2;
                scripted_run_begin(&fixture.run);
                while (fixture.run.end == SCRIPTED_RUNNING && scripted_run_until_step(&fixture.run, rows[i].step, 600000)) {
                        scripted_host_advance(&fixture.host, rows[i].after_ms);
                        assert_string_equal(fixture.run.step->name, rows[i].step);
                        scripted_ble_lose(fixture.device.ble, rows[i].name);
                        scripted_host_advance(&fixture.host, 1);
                }
                if (fixture.run.end != SCRIPTED_FAILED || strcmp(fixture.run.error.name, rows[i].name) != 0 || fixture.run.attempt != rows[i].attempts)
                        fail_msg("row %zu: %u attempts: %s", i, (unsigned) fixture.run.attempt, fixture_story(&fixture));
                fixture_deinit(&fixture);
        }
}

/* The time until it is a device's turn on the radio is not that of its first step. */
static void test_queue_is_not_counted(void **state) {
        static const enum gw_operation_kind kinds[] = { GW_OPERATION_UPDATE, GW_OPERATION_DIAGNOSE };

        (void) state;
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture, &driver_ble);
                fixture.run.operation = kinds[i];
                scripted_run_begin(&fixture.run);
                assert_true(scripted_run_until_step(&fixture.run, kinds[i] == GW_OPERATION_UPDATE ? "connect" : "ask", 1000));
                assert_true(fixture.run.extended_ms >= 3600 * 1000);
                assert_true(scripted_run_until_step(&fixture.run, kinds[i] == GW_OPERATION_UPDATE ? "inspect" : "slots", 600000));
                assert_int_equal(fixture.run.extended_ms, 120000);
                fixture_deinit(&fixture);
        }
}

/* Back from the reset the device connects and says nothing: the link is made anew, not only asked again. */
static void test_silent_link_is_made_anew(void **state) {
        struct fixture fixture;
        unsigned n_opened;

        (void) state;
        fixture_init(&fixture, &driver_ble);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "return", 600000));
        n_opened = fixture.device.ble->n_opened;
        for (unsigned more = 1; more <= 2; more++) {
                for (int i = 0; i < 50000 && fixture.device.ble->n_opened < n_opened + more; i++) {
                        scripted_host_advance(&fixture.host, 1);
                        if (more == 2 && !fixture.device.ble->open)
                                scripted_ble_advertise(fixture.device.ble);
                }
                assert_int_equal(fixture.device.ble->n_opened, n_opened + more);
                fixture.device.dead = more == 1;
        }
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        assert_int_equal(fixture.device.n_resets, 1);
        fixture_deinit(&fixture);
}

/* ---- discovery */

static unsigned n_done;

static void scan_done(void *ctx) {
        (void) ctx;
        n_done++;
}

static void test_scan(void **state) {
        struct scripted_host host;
        struct scripted_gatt gatt;
        struct scripted_ble *smp, *other, *named;
        void *driver;

        (void) state;
        n_done = 0;
        scripted_host_init(&host, tuning_plugin_settings);
        scripted_host_set(&host, "ble_names", "lamp-*");
        scripted_gatt_init(&gatt, &host);
        smp = scripted_ble_add(&gatt, FIXTURE_KEY, "sensor");
        scripted_ble_advertise_service(smp, SMP_BLE_SERVICE);
        other = scripted_ble_add(&gatt, "C00000000002", "headset");
        named = scripted_ble_add(&gatt, "C00000000003", "lamp-7");
        assert_int_equal(driver_ble.start(&host.host, &driver, NULL), 0);
        scripted_ble_advertise(smp);
        assert_int_equal(host.n_seen, 0); /* nothing adopted: nobody listens */
        assert_int_equal(driver_ble.scan(driver, 2000, scan_done, NULL, NULL), 0);
        assert_int_equal(driver_ble.scan(driver, 2000, scan_done, NULL, NULL), 0);
        scripted_ble_advertise(smp);
        scripted_ble_advertise(other);
        scripted_ble_advertise(named);
        scripted_host_advance(&host, 3000);
        assert_int_equal(n_done, 2);
        assert_int_equal(gatt.n_scans, 1);
        assert_int_equal(host.n_seen, 4); /* when it was heard, and at the end */
        assert_string_equal(host.seen[0].key, FIXTURE_KEY);
        assert_string_equal(host.seen[0].name, "sensor");
        assert_string_equal(host.seen[0].address, "DE:06:3B:97:4C:D8");
        assert_string_equal(host.seen[1].name, "lamp-7");
        driver_ble.stop(driver);
        scripted_gatt_deinit(&gatt);
        scripted_host_deinit(&host);
}

/* Who was told of a moment ago is found all the same, who is silent meanwhile is not. */
static void test_scan_while_listening(void **state) {
        struct scripted_host host;
        struct scripted_gatt gatt;
        struct scripted_ble *near, *gone;
        void *driver;

        (void) state;
        n_done = 0;
        scripted_host_init(&host, tuning_plugin_settings);
        scripted_host_set(&host, "ble_listen", "always");
        scripted_gatt_init(&gatt, &host);
        near = scripted_ble_add(&gatt, FIXTURE_KEY, "sensor");
        gone = scripted_ble_add(&gatt, "C00000000002", "sensor");
        scripted_ble_advertise_service(near, SMP_BLE_SERVICE);
        scripted_ble_advertise_service(gone, SMP_BLE_SERVICE);
        assert_int_equal(driver_ble.start(&host.host, &driver, NULL), 0);
        scripted_ble_advertise(near);
        scripted_ble_advertise(gone);
        assert_int_equal(host.n_seen, 2);
        scripted_host_advance(&host, 1000);
        assert_int_equal(driver_ble.scan(driver, 2000, scan_done, NULL, NULL), 0);
        scripted_ble_advertise(near);
        assert_int_equal(host.n_seen, 2);
        scripted_host_advance(&host, 3000);
        assert_int_equal(n_done, 1);
        assert_int_equal(host.n_seen, 3);
        assert_string_equal(host.seen[2].key, FIXTURE_KEY);
        driver_ble.stop(driver);
        scripted_gatt_deinit(&gatt);
        scripted_host_deinit(&host);
}

static void test_scan_without_bluetooth(void **state) {
        struct scripted_host host;
        struct scripted_gatt gatt;
        struct gw_error err = { 0 };
        void *driver;

        (void) state;
        scripted_host_init(&host, tuning_plugin_settings);
        assert_int_equal(driver_ble.start(&host.host, &driver, NULL), 0);
        assert_true(driver_ble.scan(driver, 2000, scan_done, NULL, &err) < 0);
        assert_string_equal(err.name, "no-adapter");
        driver_ble.stop(driver);
        scripted_gatt_init(&gatt, &host);
        scripted_gatt_set_state(&gatt, "adapter-blocked");
        assert_int_equal(driver_ble.start(&host.host, &driver, NULL), 0);
        assert_true(driver_ble.scan(driver, 2000, scan_done, NULL, &err) < 0);
        assert_string_equal(err.name, "adapter-blocked");
        driver_ble.stop(driver);
        scripted_gatt_deinit(&gatt);
        scripted_host_deinit(&host);
}

/* An adopted device is seen under its own id, wherever its address is now and whatever it advertises. */
static void test_adopted_is_heard(void **state) {
        struct scripted_host host;
        struct scripted_gatt gatt;
        struct scripted_ble *moved, *plain;
        struct gw_device *entry;
        void *driver;

        (void) state;
        scripted_host_init(&host, tuning_plugin_settings);
        scripted_gatt_init(&gatt, &host);
        entry = scripted_device_add(&host, "smp-ble", FIXTURE_KEY, driver_ble.device_settings);
        snprintf(entry->address, sizeof entry->address, "C0:00:00:00:00:01");
        moved = scripted_ble_add(&gatt, OTHER_KEY, NULL);
        plain = scripted_ble_add(&gatt, FIXTURE_KEY, NULL);
        assert_int_equal(driver_ble.start(&host.host, &driver, NULL), 0);
        scripted_ble_advertise(moved);
        assert_int_equal(host.n_seen, 1);
        assert_string_equal(host.seen[0].key, FIXTURE_KEY);
        scripted_ble_advertise(plain); /* back at its own */
        assert_int_equal(host.n_seen, 2);
        assert_string_equal(host.seen[1].key, FIXTURE_KEY);
        assert_string_equal(host.seen[1].address, "DE:06:3B:97:4C:D8");
        driver_ble.stop(driver);
        scripted_gatt_deinit(&gatt);
        scripted_host_deinit(&host);
}

/* The serial number of an adopted device under an address that nobody adopted: the adopted one is at that address now. */
struct recognition {
        struct fixture fixture;
        struct gw_device *adopted;
        struct gw_device discovered;
};

static void recognition_init(struct recognition *recognition, const char *attribute, const char *serial) {
        struct fixture *fixture = &recognition->fixture;

        fixture_init(fixture, &driver_ble);
        recognition->adopted = fixture->entry;
        snprintf(recognition->adopted->key, sizeof recognition->adopted->key, OTHER_KEY);
        scripted_device_set(recognition->adopted, attribute, serial);
        fixture->device.hardware = "acme,sensor-r2";
        recognition->discovered = (struct gw_device){ .driver = "smp-ble", .key = FIXTURE_KEY, .table = driver_ble.device_settings };
        fixture->entry = &recognition->discovered;
}

static void expect_recognition(struct recognition *recognition, bool recognised) {
        struct fixture *fixture = &recognition->fixture;
        bool moved = false;

        fixture_run(fixture, GW_OPERATION_INSPECT);
        fixture_expect(fixture, GW_RESULT_REPORTED, GW_PROOF_NONE, "connect inspect");
        for (size_t i = 0; i < fixture->host.n_seen; i++)
                moved |= strcmp(fixture->host.seen[i].key, OTHER_KEY) == 0 && strcmp(fixture->host.seen[i].address, "DE:06:3B:97:4C:D8") == 0;
        assert_int_equal(moved, recognised);
        assert_int_equal(scripted_run_note(&fixture->run, "this is smp-ble:" OTHER_KEY) != NULL, recognised);
        fixture_deinit(fixture);
}

static void test_serial_number(void **state) {
        struct recognition recognition;

        (void) state;
        recognition_init(&recognition, "serial_number", "SN42");
        state_number(&recognition.fixture.device, "SN42");
        expect_recognition(&recognition, true);
        recognition_init(&recognition, "memfault_serial", "SN42");
        in_memfault(&recognition.fixture.device);
        expect_recognition(&recognition, true);
}

/* A number that may be that of several devices moves none of them: else a device that nobody adopted would be updated in its place. */
static void test_serial_number_of_several(void **state) {
        static const char *const common[] = { "00000000", "Zephyr Serial", "1234567890" };
        struct recognition recognition;
        struct gw_device *other;

        (void) state;
        for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
                recognition_init(&recognition, "serial_number", common[i]);
                state_number(&recognition.fixture.device, common[i]);
                expect_recognition(&recognition, false);
        }
        recognition_init(&recognition, "serial_number", "SN42"); /* two adopted ones have it */
        state_number(&recognition.fixture.device, "SN42");
        other = scripted_device_add(&recognition.fixture.host, "smp-ble", "C00000000009", driver_ble.device_settings);
        scripted_device_set(other, "serial_number", "SN42");
        expect_recognition(&recognition, false);
        recognition_init(&recognition, "serial_number", "SN42"); /* other hardware */
        state_number(&recognition.fixture.device, "SN42");
        snprintf(recognition.adopted->model, sizeof recognition.adopted->model, "acme,lamp");
        expect_recognition(&recognition, false);
        recognition_init(&recognition, "serial_number", "SN42"); /* both are on the air */
        state_number(&recognition.fixture.device, "SN42");
        scripted_ble_advertise(recognition.fixture.device.ble);
        scripted_ble_advertise(scripted_ble_add(&recognition.fixture.gatt, OTHER_KEY, "sensor"));
        expect_recognition(&recognition, false);
}

static void test_diagnose(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_ble);
        scripted_run_deinit(&fixture.run);
        fixture.device.ble->battery_percent = 87;
        fixture_run(&fixture, GW_OPERATION_DIAGNOSE);
        fixture_expect(&fixture, GW_RESULT_REPORTED, GW_PROOF_NONE, "ask slots");
        assert_non_null(scripted_run_note(&fixture.run, "244 bytes a packet, not bonded"));
        assert_non_null(scripted_run_note(&fixture.run, "battery: 87 %"));
        fixture_deinit(&fixture);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_update),
                cmocka_unit_test(test_reason_of_a_lost_link),
                cmocka_unit_test(test_queue_is_not_counted),
                cmocka_unit_test(test_silent_link_is_made_anew),
                cmocka_unit_test(test_bond_lost_at_reset),
                cmocka_unit_test(test_trial_gives_the_radio_back),
                cmocka_unit_test(test_cancel_in_trial),
                cmocka_unit_test(test_another_address),
                cmocka_unit_test(test_who_answers),
                cmocka_unit_test(test_neighbour),
                cmocka_unit_test(test_stranger_after_clearing),
                cmocka_unit_test(test_radio_gone_in_return),
                cmocka_unit_test(test_states),
                cmocka_unit_test(test_not_seen),
                cmocka_unit_test(test_pairing_required),
                cmocka_unit_test(test_upload_interrupted),
                cmocka_unit_test(test_scan),
                cmocka_unit_test(test_scan_while_listening),
                cmocka_unit_test(test_scan_without_bluetooth),
                cmocka_unit_test(test_adopted_is_heard),
                cmocka_unit_test(test_serial_number),
                cmocka_unit_test(test_serial_number_of_several),
                cmocka_unit_test(test_diagnose),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
