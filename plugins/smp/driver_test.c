/* SPDX-License-Identifier: Apache-2.0 */

/* What is not a run: loading, settings, discovery, finding ports, plans; inspection and diagnosis. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_fixture.h"
#include "transport.h"

extern const struct gw_plugin smp_gw_plugin;

static void test_load(void **state) {
        struct scripted_host host;
        struct gw_error err = { 0 };
        void *plugin = NULL;

        (void) state;
        scripted_host_init(&host, smp_gw_plugin.settings);
        assert_int_equal(smp_gw_plugin.abi, GW_ABI);
        assert_int_equal(smp_gw_plugin.load(&host.host, &plugin, &err), 0);
        assert_int_equal(host.n_drivers, 3);
        assert_string_equal(host.drivers[0]->name, "smp-serial");
        assert_true(host.drivers[0]->auto_adopt);
        assert_string_equal(host.drivers[1]->name, "smp-udp");
        assert_false(host.drivers[1]->auto_adopt);
        assert_true(host.n_formats >= 2);
        smp_gw_plugin.unload(plugin);
        scripted_host_deinit(&host);
}

/* Every key of a device's section that has a value for all devices stands in the plugin's section, too; texts are whole sentences. */
static void test_settings(void **state) {
        const struct gw_setting *tables[] = { tuning_plugin_settings, tuning_serial_settings, tuning_udp_settings };
        struct scripted_host host;
        struct gw_device *device;
        struct tuning tuning;

        (void) state;
        for (size_t i = 0; i < 3; i++)
                for (const struct gw_setting *setting = tables[i]; setting->key; setting++) {
                        assert_non_null(setting->text);
                        assert_int_equal(setting->text[strlen(setting->text) - 1], '.');
                        assert_int_equal(setting->type == GW_SETTING_ENUM, setting->choices != NULL);
                }
        scripted_host_init(&host, tuning_plugin_settings);
        device = scripted_device_add(&host, "smp-serial", "0001-if00", tuning_serial_settings);
        tuning_read(&host.host, device, TRANSPORT_SERIAL, &tuning);
        assert_int_equal(tuning.timeout_ms, 2500);
        assert_int_equal(tuning.baud, 115200);
        assert_int_equal(tuning.quiet_after_reset_ms, 1500);
        assert_false(tuning.wait_when_slot_taken);
        scripted_host_set(&host, "baud", "1000000");
        scripted_host_set(&host, "timeout", "4 s");
        scripted_device_set(device, "timeout", "300 ms");
        scripted_device_set(device, "flow_control", "yes");
        tuning_read(&host.host, device, TRANSPORT_SERIAL, &tuning);
        assert_int_equal(tuning.timeout_ms, 300); /* the device's own before the plugin's */
        assert_int_equal(tuning.baud, 1000000);
        assert_true(tuning.hardware_flow);
        tuning_read(&host.host, NULL, TRANSPORT_SERIAL, &tuning);
        assert_int_equal(tuning.timeout_ms, 4000);
        scripted_host_deinit(&host);
}

static void test_udp_address(void **state) {
        static const struct {
                const char *address, *text;
        } rows[] = {
                { "192.0.2.7", "192.0.2.7:1337" },
                { "192.0.2.7:99", "192.0.2.7:99" },
                { "sensor.example", "sensor.example:1337" },
                { "sensor.example:5", "sensor.example:5" },
                { "2001:db8::7", "[2001:db8::7]:1337" },
                { "[2001:db8::7]", "[2001:db8::7]:1337" },
                { "[2001:db8::7]:5", "[2001:db8::7]:5" },
                { "", NULL },
                { NULL, NULL },
        };
        char text[TRANSPORT_PORT_MAX], too_long[TRANSPORT_PORT_MAX + 1];

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                assert_int_equal(transport_udp_address(rows[i].address, text), rows[i].text ? 0 : -EINVAL);
                if (rows[i].text)
                        assert_string_equal(text, rows[i].text);
        }
        memset(too_long, 'a', sizeof too_long);
        too_long[sizeof too_long - 1] = '\0';
        assert_int_equal(transport_udp_address(too_long, text), -EINVAL);
}

/* Which port is a device's: by key wherever it is now; a keyed device is never looked for at an old path. */
static void test_find_port(void **state) {
        static const struct {
                const char *key, *port, *address, *path;
        } rows[] = {
                { "0001-if00", NULL, NULL, "/dev/a" },
                { "0001-if00", NULL, "/dev/old", "/dev/a" },
                { "0002-if02", NULL, "/dev/a", NULL }, /* absent; /dev/a is another's */
                { "0002-if02", "0001-if00", NULL, "/dev/a" },
                { "kitchen", NULL, "/dev/pts/7", "/dev/pts/7" },
                { "kitchen", "/dev/serial/by-id/x", "/dev/pts/7", "/dev/serial/by-id/x" },
                { "kitchen", "0003-if00", "/dev/pts/7", NULL }, /* what the section names counts, present or not */
                { "kitchen", NULL, NULL, NULL },
                { "kitchen-if", NULL, "/dev/pts/7", "/dev/pts/7" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct scripted_host host;
                struct gw_device *device;
                struct gw_error err = { 0 };
                char path[TRANSPORT_PORT_MAX] = "";

                scripted_host_init(&host, tuning_plugin_settings);
                scripted_port_add(&host, "/dev/a", "0001-if00");
                scripted_port_add(&host, "/dev/b", "");
                device = scripted_device_add(&host, "smp-serial", rows[i].key, tuning_serial_settings);
                if (rows[i].port)
                        scripted_device_set(device, "port", rows[i].port);
                if (rows[i].address)
                        snprintf(device->address, sizeof device->address, "%s", rows[i].address);
                assert_int_equal(transport_serial_find(&host.host, device, path, &err), rows[i].path ? 0 : -ENODEV);
                assert_string_equal(path, rows[i].path ? rows[i].path : "");
                assert_string_equal(err.name, rows[i].path ? "" : "port-absent");
                scripted_host_deinit(&host);
        }
}

static unsigned n_done;

static void scan_done(void *ctx) {
        (void) ctx;
        n_done++;
}

/* An unknown port is asked and reported with what it says; two scans at once are one. */
static void test_scan_serial(void **state) {
        struct fixture fixture;

        (void) state;
        n_done = 0;
        fixture_init(&fixture, &driver_serial);
        fixture.host.n_devices = 0;
        fixture.device.hardware = "acme,sensor-r2";
        assert_int_equal(driver_serial.scan(fixture.driver_ctx, 5000, scan_done, NULL, NULL), 0);
        assert_int_equal(driver_serial.scan(fixture.driver_ctx, 5000, scan_done, NULL, NULL), 0);
        assert_int_equal(n_done, 0);
        scripted_host_advance(&fixture.host, 6000);
        assert_int_equal(n_done, 2);
        assert_int_equal(fixture.host.n_seen, 1);
        assert_string_equal(fixture.host.seen[0].key, "0001-if00");
        assert_string_equal(fixture.host.seen[0].model, "acme,sensor-r2");
        assert_string_equal(fixture.host.seen[0].address, "/dev/scripted0");
        assert_string_equal(fixture.host.seen[0].name, "scripted");
        assert_string_equal(fixture.host.seen[0].version, "1.0.0");
        assert_int_equal(fixture.host.seen[0].n_images, 1);
        assert_true(fixture.host.seen[0].n_attributes >= 4);
        assert_int_equal(fixture.device.n_uploads_begun + fixture.device.n_resets + fixture.device.n_tests, 0);
        /* A product string that only repeats the model is no name. */
        fixture.device.hardware = "scripted";
        assert_int_equal(driver_serial.scan(fixture.driver_ctx, 5000, scan_done, NULL, NULL), 0);
        scripted_host_advance(&fixture.host, 6000);
        assert_int_equal(fixture.host.n_seen, 2);
        assert_string_equal(fixture.host.seen[1].name, "");
        fixture.host.n_devices = 1;
        fixture_deinit(&fixture);
}

/* A silent port is no device; the scan is over in time all the same, and one that is stopped leaves nothing behind. */
static void test_scan_silent(void **state) {
        struct fixture fixture;

        (void) state;
        n_done = 0;
        fixture_init(&fixture, &driver_serial);
        fixture.host.n_devices = 0;
        fixture.device.dead = true;
        assert_int_equal(driver_serial.scan(fixture.driver_ctx, 500, scan_done, NULL, NULL), 0);
        scripted_host_advance(&fixture.host, 501);
        assert_int_equal(n_done, 1);
        assert_int_equal(fixture.host.n_seen, 0);
        assert_null(fixture.host.links);
        assert_int_equal(driver_serial.scan(fixture.driver_ctx, 5000, scan_done, NULL, NULL), 0);
        scripted_host_advance(&fixture.host, 10);
        assert_non_null(fixture.host.links);
        fixture_deinit(&fixture); /* stops the driver in the middle of a scan */
        assert_int_equal(n_done, 1);
}

/* A device that answers some questions and not all of them in time is reported with what it said. */
static void test_scan_too_short(void **state) {
        struct fixture fixture;

        (void) state;
        n_done = 0;
        fixture_init(&fixture, &driver_serial);
        fixture.host.n_devices = 0;
        fixture.device.stop_answering_after = 2;
        assert_int_equal(driver_serial.scan(fixture.driver_ctx, 500, scan_done, NULL, NULL), 0);
        scripted_host_advance(&fixture.host, 501);
        assert_int_equal(n_done, 1);
        assert_int_equal(fixture.host.n_seen, 1);
        assert_int_equal(fixture.host.seen[0].n_images, 0);
        fixture.host.n_devices = 1;
        fixture_deinit(&fixture);
}

/* A job that begins while the scan holds the port gets the port. */
static void test_scan_makes_room(void **state) {
        struct fixture fixture;

        (void) state;
        n_done = 0;
        fixture_init(&fixture, &driver_serial);
        assert_int_equal(driver_serial.scan(fixture.driver_ctx, 5000, scan_done, NULL, NULL), 0);
        scripted_host_advance(&fixture.host, 8);
        assert_int_equal(fixture.host.n_opened, 1);
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "upload", 600000));
        assert_int_equal(fixture.host.n_seen, 0);
        assert_int_equal(n_done, 1);
        fixture_expect_end(&fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, NULL);
        fixture_deinit(&fixture);
}

/* Over UDP only what is configured or adopted is asked, and nobody with a run. */
static void test_scan_udp(void **state) {
        struct fixture fixture;

        (void) state;
        n_done = 0;
        fixture_init(&fixture, &driver_udp);
        assert_int_equal(driver_udp.scan(fixture.driver_ctx, 5000, scan_done, NULL, NULL), 0);
        scripted_host_advance(&fixture.host, 6000);
        assert_int_equal(n_done, 1);
        assert_int_equal(fixture.host.n_seen, 1);
        assert_string_equal(fixture.host.seen[0].key, "kitchen");
        scripted_run_begin(&fixture.run);
        assert_true(scripted_run_until_step(&fixture.run, "trial", 600000));
        assert_int_equal(driver_udp.scan(fixture.driver_ctx, 5000, scan_done, NULL, NULL), 0);
        scripted_host_advance(&fixture.host, 6000);
        assert_int_equal(n_done, 2);
        assert_int_equal(fixture.host.n_seen, 1);
        fixture_deinit(&fixture);
}

/* A known device's port comes and goes: seen and gone, and nothing is written to it. */
static void test_ports_come_and_go(void **state) {
        struct scripted_host host;
        void *driver;

        (void) state;
        scripted_host_init(&host, tuning_plugin_settings);
        scripted_device_add(&host, "smp-serial", "0001-if00", tuning_serial_settings);
        assert_int_equal(driver_serial.start(&host.host, &driver, NULL), 0);
        scripted_host_advance(&host, 100);
        assert_int_equal(host.n_seen, 0);
        scripted_port_add(&host, "/dev/null", "0001-if00");
        scripted_port_add(&host, "/dev/zero", "7777-if00"); /* not known: not reported without a scan */
        scripted_host_advance(&host, 100);
        assert_int_equal(host.n_seen, 1);
        assert_string_equal(host.seen[0].address, "/dev/null");
        scripted_port_remove(&host, "/dev/null");
        scripted_host_advance(&host, 100);
        assert_int_equal(host.n_seen, 2);
        assert_true(host.seen[1].gone);
        assert_int_equal(host.n_opened, 0);
        driver_serial.stop(driver);
        assert_null(host.ports_changed);
        scripted_host_deinit(&host);
}

static void learn(struct gw_device *device, const char *mode, uint8_t running, uint8_t other) {
        struct gw_image images[2] = { { .slot = 0, .hash_size = 32, .flags = GW_IMAGE_ACTIVE | GW_IMAGE_CONFIRMED, .version = "1.0.0" },
                                      { .slot = 1, .hash_size = 32, .version = "1.1.0", .slot_size = 0x20000 } };
        struct gw_facts facts = GW_FACTS_INIT;

        memset(images[0].hash, running, 32);
        memset(images[1].hash, other, 32);
        facts.images = images;
        facts.n_images = other ? 2 : 1;
        scripted_device_learn(device, &facts);
        if (mode)
                scripted_device_set(device, "bootloader_mode", mode);
}

static void test_plan(void **state) {
        static const struct {
                const char *mode;
                uint8_t running, other;
                enum gw_mode wanted;
                int result;
                enum gw_mode used;
                int work;
                bool rollback;
                const char *words;
        } rows[] = {
                { "3", OLD, 0, GW_MODE_TEST_AND_CONFIRM, 0, GW_MODE_TEST_AND_CONFIRM, GW_PLAN_UPLOAD, true, "" },
                { "3", NEW, OLD, GW_MODE_TEST_AND_CONFIRM, 0, GW_MODE_TEST_AND_CONFIRM, GW_PLAN_NOTHING, true, "" },
                { "3", OLD, NEW, GW_MODE_TEST_AND_CONFIRM, 0, GW_MODE_TEST_AND_CONFIRM, GW_PLAN_ACTIVATE, true, "" },
                { "2", OLD, 0, GW_MODE_TEST_AND_CONFIRM, 0, GW_MODE_CONFIRM_ONLY, GW_PLAN_UPLOAD, false, "no rollback on this device" },
                { "2", OLD, 0, GW_MODE_TEST_ONLY, -EOPNOTSUPP, 0, 0, false, "mode-not-supported" },
                { "7", OLD, 0, GW_MODE_CONFIRM_ONLY, -EOPNOTSUPP, 0, 0, false, "smp-bootloader-unsupported" },
                { NULL, 0, 0, GW_MODE_TEST_AND_CONFIRM, 0, GW_MODE_TEST_AND_CONFIRM, GW_PLAN_UPLOAD, true, "not read yet" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;
                struct gw_plan plan = { 0 };
                struct gw_error err = { 0 };
                struct gw_plan_request request = { .size = sizeof request };

                fixture_init(&fixture, &driver_udp);
                if (rows[i].running)
                        learn(fixture.entry, rows[i].mode, rows[i].running, rows[i].other);
                fixture.order.mode = rows[i].wanted;
                request.device = fixture.entry;
                request.order = &fixture.order;
                assert_int_equal(driver_udp.plan(fixture.driver_ctx, &request, &plan, &err), rows[i].result);
                if (rows[i].result < 0) {
                        assert_string_equal(err.name, rows[i].words);
                        assert_int_equal(plan.size, 0);
                } else {
                        assert_int_equal(plan.mode, rows[i].used);
                        assert_int_equal(plan.work, rows[i].work);
                        assert_int_equal(plan.rollback_possible, rows[i].rollback);
                        assert_int_equal(plan.upload_bytes, rows[i].work == GW_PLAN_UPLOAD ? FIXTURE_FILE_SIZE : 0);
                        assert_int_equal(plan.duration_ms > 0, rows[i].work != GW_PLAN_NOTHING);
                        assert_non_null(strstr(plan.text, rows[i].words));
                }
                assert_int_equal(fixture.device.n_requests, 0);
                fixture_deinit(&fixture);
        }
}

static void again_as(struct fixture *fixture, enum gw_operation_kind operation) {
        scripted_run_deinit(&fixture->run);
        fixture_run(fixture, operation);
}

static void test_inspect(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_udp);
        fixture.device.hardware = "acme,sensor-r2";
        again_as(&fixture, GW_OPERATION_INSPECT);
        fixture_expect(&fixture, GW_RESULT_REPORTED, GW_PROOF_NONE, "connect inspect");
        assert_string_equal(fixture.entry->model, "acme,sensor-r2"); /* Memfault's word goes before the board */
        assert_string_equal(fixture.entry->version, "1.0.0");
        assert_int_equal(fixture.entry->n_images, 1);
        assert_int_equal(fixture.entry->images[0].slot_size, 0x20000);
        assert_int_equal(fixture.device.n_uploads_begun + fixture.device.n_resets + fixture.device.n_tests, 0);
        fixture_deinit(&fixture);
}

static void test_diagnose(void **state) {
        struct fixture fixture;

        (void) state;
        fixture_init(&fixture, &driver_serial);
        again_as(&fixture, GW_OPERATION_DIAGNOSE);
        fixture.device.noise = "uart:~$ login\r\n";
        fake_device_put(&fixture.device, 0, 1, NEW, "1.1.0");
        fixture.device.slots[0][1].pending = true;
        fixture_expect(&fixture, GW_RESULT_REPORTED, GW_PROOF_NONE, "ask slots");
        assert_non_null(scripted_run_note(&fixture.run, "swap using move"));
        assert_non_null(scripted_run_note(&fixture.run, "512 bytes x 4"));
        assert_non_null(scripted_run_note(&fixture.run, "Memfault: not offered"));
        assert_non_null(scripted_run_note(&fixture.run, "uart:~$ login"));
        assert_non_null(scripted_run_note(&fixture.run, "slot 1: 1.1.0"));
        assert_non_null(scripted_run_note(&fixture.run, "waits for the next reset"));
        fixture_deinit(&fixture);

        fixture_init(&fixture, &driver_serial);
        again_as(&fixture, GW_OPERATION_DIAGNOSE);
        fixture.device.dead = true;
        fixture.device.noise = "garbage \001\002\r\n";
        fixture_expect_failure(&fixture, "serial-garbage");
        assert_non_null(scripted_run_note(&fixture.run, "garbage .."));
        fixture_deinit(&fixture);

        fixture_init(&fixture, &driver_serial);
        again_as(&fixture, GW_OPERATION_DIAGNOSE);
        fixture.host.n_ports = 0;
        fixture_expect_failure(&fixture, "port-absent");
        fixture_deinit(&fixture);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_load),           cmocka_unit_test(test_settings),
                cmocka_unit_test(test_udp_address),    cmocka_unit_test(test_find_port),
                cmocka_unit_test(test_scan_serial),    cmocka_unit_test(test_scan_silent),
                cmocka_unit_test(test_scan_too_short), cmocka_unit_test(test_scan_makes_room),
                cmocka_unit_test(test_scan_udp),       cmocka_unit_test(test_ports_come_and_go),
                cmocka_unit_test(test_plan),           cmocka_unit_test(test_inspect),
                cmocka_unit_test(test_diagnose),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
