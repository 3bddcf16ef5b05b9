/* SPDX-License-Identifier: Apache-2.0 */
#include "api/test_support.h"

#include <sys/stat.h>

#include "ble/ble.h"
#include "ble/fake_bluez.h"
#include "loop/private_bus.h"

#define KEY "DE063B974CD8"
#define ADDRESS "DE:06:3B:97:4C:D8"
#define ID "toy:" KEY
#define PARAMS "{\"id\":\"" ID "\"}"
#define HURRY 50 /* every time of Bluetooth is divided by it */

/* Methods and findings of Bluetooth, with a Bluetooth service that does as it is told. */

static struct private_bus bus;
static struct fake_bluez fake;
static struct ble_options options; /* of the next set_up() */

static void open_bluetooth(void) {
        private_bus_init(&bus);
        fake_init(&fake, fixture.loop, bus.address);
        options.loop = fixture.loop;
        options.bus_address = bus.address;
        options.sessions = 3;
        options.attempts = 2;
        options.hurry = HURRY;
        if (!options.sysfs_root)
                options.sysfs_root = "/nonexistent";
        assert_int_equal(ble_new(&options, &fixture.ble), 0);
}

static void close_bluetooth(void) {
        ble_free(fixture.ble);
        fake_deinit(&fake);
        private_bus_deinit(&bus);
        options = (struct ble_options){ 0 };
}

static const struct test_parts bluetooth = { open_bluetooth, close_bluetooth };

static int set_up_never(void **state) {
        test_parts = &bluetooth;
        return set_up(state);
}

static int set_up_just_works(void **state) {
        options.pairing = BLE_PAIRING_JUST_WORKS;
        return set_up_never(state);
}

static int set_up_passkey(void **state) {
        options.pairing = BLE_PAIRING_PASSKEY;
        return set_up_never(state);
}

static int set_up_without(void **state) {
        test_parts = NULL;
        return set_up(state);
}

static void heard_as(const char *key, const char *address, const char *type) {
        const struct gw_attribute attribute = { "address_type", type };
        struct gw_facts facts = GW_FACTS_INIT;
        facts.address = address;
        facts.attributes = &attribute;
        facts.n_attributes = 1;
        assert_int_equal(fleet_seen(fixture.fleet, "toy", key, &facts), 0);
}

/* An adopted device that advertises, and asks before it pairs. */
static struct fake_device *one_device(struct test_client *client) {
        struct fake_device *device = fake_add(&fake, ADDRESS);
        device->asks_authorization = true;
        fake_advertise(device);
        heard_as(KEY, ADDRESS, "random");
        (void) client_result(client, "device.adopt", PARAMS);
        return device;
}

static size_t n_audit(struct test_client *client, const char *command, const char *result) {
        struct json *rows = json_child(client_result(client, "audit.query", NULL), "rows");
        size_t n = 0;
        JSON_FOREACH_ITEM(i, row, rows)
        n += str_equal(json_member_text(row, "command"), command) && str_equal(json_member_text(row, "device"), ID) &&
             str_equal(json_member_text(row, "result"), result);
        return n;
}

/* --- bonds: made, listed, removed --- */

static void test_pair_and_unpair(void **state) {
        struct test_client *client = client_new();
        struct fake_device *device = one_device(client);
        struct json *result = client_result(client, "device.pair", PARAMS), *bond;
        bool bonded = false;
        (void) state;
        assert_string_equal(text_of(result, "device"), ID);
        assert_int_equal(json_member_bool(result, "bonded", &bonded), 0);
        assert_true(bonded && device->paired);
        assert_string_equal(device_attribute(fleet_find(fixture.fleet, ID), "bonded"), "yes");
        assert_int_equal(n_audit(client, "device.pair", "paired"), 1);

        result = json_child(client_result(client, "device.bonds", NULL), "bonds");
        assert_int_equal(json_length(result), 1);
        bond = json_at(result, 0);
        assert_string_equal(text_of(bond, "address"), ADDRESS);
        assert_string_equal(text_of(bond, "adapter"), "hci0");
        assert_string_equal(text_of(bond, "device"), ID);

        /* Once more is fine: the bond is there. */
        (void) client_result(client, "device.pair", PARAMS);
        result = client_result(client, "device.unpair", PARAMS);
        assert_int_equal(json_member_bool(result, "bonded", &bonded), 0);
        assert_false(bonded || device->paired);
        assert_string_equal(device_attribute(fleet_find(fixture.fleet, ID), "bonded"), "no");
        assert_int_equal(n_audit(client, "device.unpair", "unpaired"), 1);
        assert_int_equal(json_length(json_child(client_result(client, "device.bonds", NULL), "bonds")), 0);
        client_free(client);
}

/* It came back under another address, and that one is paired; its id stays. */
static void test_pair_under_a_new_address(void **state) {
        struct test_client *client = client_new();
        struct fake_device *device = one_device(client), *moved = fake_add(&fake, "DE:06:3B:97:4C:D9");
        struct json *bonds;
        (void) state;
        fake_advertise(moved);
        heard_as(KEY, "DE:06:3B:97:4C:D9", "random");
        (void) client_result(client, "device.pair", PARAMS);
        assert_true(moved->paired && !device->paired);
        bonds = json_child(client_result(client, "device.bonds", NULL), "bonds");
        assert_string_equal(text_of(json_at(bonds, 0), "device"), ID);
        client_free(client);
}

/* A bond that somebody else made with what is no device of ours is listed, too. */
static void test_bond_of_a_stranger(void **state) {
        struct test_client *client = client_new();
        struct fake_device *device = fake_add(&fake, "C0:00:00:00:00:01");
        struct json *bonds;
        (void) state;
        device->paired = true;
        fake_advertise(device);
        bonds = json_child(client_result(client, "device.bonds", NULL), "bonds");
        assert_int_equal(json_length(bonds), 1);
        assert_false(json_has(json_at(bonds, 0), "device"));
        client_free(client);
}

/* --- refused --- */

static void test_pairing_is_not_allowed(void **state) {
        struct test_client *client = client_new();
        struct fake_device *device = one_device(client);
        (void) state;
        assert_string_equal(client_error(client, "device.pair", PARAMS), "pairing-not-allowed");
        assert_false(device->paired);
        assert_int_equal(n_audit(client, "device.pair", "pairing-not-allowed"), 1);
        assert_int_equal(fake_count(&fake, "Connect"), 0);
        client_free(client);
}

static void test_which_devices_pair(void **state) {
        struct test_client *client = client_new();
        (void) state;
        heard_as("C00000000001", "C0:00:00:00:00:01", "random");
        assert_string_equal(client_error(client, "device.pair", "{\"id\":\"toy:C00000000001\"}"), "not-adopted");
        assert_string_equal(client_error(client, "device.unpair", "{\"id\":\"toy:C00000000001\"}"), "not-adopted");
        assert_string_equal(client_error(client, "device.pair", "{\"id\":\"toy:d0\"}"), "not-supported"); /* no Bluetooth device */
        assert_string_equal(client_error(client, "device.pair", "{\"id\":\"nobody\"}"), "device-unknown");
        assert_int_equal(fake_count(&fake, "Connect"), 0);
        client_free(client);
}

static void test_no_adapter(void **state) {
        struct test_client *client = client_new();
        (void) state;
        (void) one_device(client);
        fake_adapter_set(&fake, 0, false, false);
        assert_string_equal(client_error(client, "device.pair", PARAMS), "no-adapter");
        assert_string_equal(client_error(client, "device.bonds", NULL), "no-adapter");
        fake_stop(&fake);
        assert_string_equal(client_error(client, "device.bonds", NULL), "bluetoothd-not-running");
        assert_string_equal(client_error(client, "device.unpair", PARAMS), "bluetoothd-not-running");
        client_free(client);
}

/* gatewayd without Bluetooth. */
static void test_without(void **state) {
        struct test_client *client = client_new();
        (void) state;
        heard_as(KEY, ADDRESS, "random");
        assert_string_equal(client_error(client, "device.pair", PARAMS), "no-adapter");
        assert_string_equal(client_error(client, "device.unpair", PARAMS), "no-adapter");
        assert_string_equal(client_error(client, "device.bonds", NULL), "no-adapter");
        client_free(client);
}

/* Who asked goes away; the next one is served. */
static void test_dropped(void **state) {
        struct test_client *client = client_new(), *other = client_new();
        struct fake_device *device = one_device(other);
        (void) state;
        device->hold_connect = true;
        (void) client_ask(client, "device.pair", PARAMS, -1);
        LOOP_UNTIL(fixture.loop, fake.held);
        client_free(client);
        LOOP_UNTIL(fixture.loop, !fake.held);
        device->hold_connect = false;
        (void) client_result(other, "device.pair", PARAMS);
        client = client_new();
        (void) client_ask(client, "gateway.diagnose", NULL, -1);
        (void) client_ask(client, "device.bonds", NULL, -1);
        loop_turn(fixture.loop);
        client_free(client);
        (void) client_result(other, "device.bonds", NULL);
        client_free(other);
}

/* --- addresses that change by themselves --- */

static void test_private_address(void **state) {
        struct test_client *client = client_new();
        struct fake_device *device = fake_add(&fake, "4A:00:00:00:00:01");
        (void) state;
        device->asks_authorization = true;
        fake_advertise(device);
        heard_as("4A0000000001", "4A:00:00:00:00:01", "private");
        assert_string_equal(client_error(client, "device.adopt", "{\"id\":\"toy:4A0000000001\"}"), "private-address");
        assert_false(fleet_find(fixture.fleet, "toy:4A0000000001")->adopted);
        /* A bond is what tells who it is. */
        (void) client_result(client, "device.pair", "{\"id\":\"toy:4A0000000001\"}");
        assert_true(device->paired);
        client_free(client);
}

/* --- diagnosis --- */

static struct json *find_finding(struct json *findings, const char *part) {
        JSON_FOREACH_ITEM(i, finding, findings)
        if (str_equal(json_member_text(finding, "check"), "bluetooth") && strstr(text_of(finding, "text"), part))
                return finding;
        return NULL;
}

static void expect(struct json *result, const char *part, const char *level) {
        struct json *finding = find_finding(json_child(result, "findings"), part);
        if (!finding)
                fail_msg("nothing is said of \"%s\"", part);
        assert_string_equal(text_of(finding, "level"), level);
        assert_int_equal(json_has(finding, "remedy"), !str_equal(level, "ok") && !strstr(part, "adapter hci"));
}

static bool is_said(struct json *result, const char *part) {
        return find_finding(json_child(result, "findings"), part);
}

static void block(bool soft) {
        char path[160];
        FILE *file;
        (void) str_format(path, sizeof path, "%s/class/rfkill/rfkill0/soft", options.sysfs_root);
        file = fopen(path, "we");
        assert_non_null(file);
        fprintf(file, "%d\n", soft);
        fclose(file);
}

static void make_rfkill(const char *root) {
        static const char *const folders[] = { "class", "class/rfkill", "class/rfkill/rfkill0" };
        char path[160];
        FILE *file;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                (void) str_format(path, sizeof path, "%s/%s", root, folders[i]);
                assert_int_equal(mkdir(path, 0700), 0);
        }
        (void) str_format(path, sizeof path, "%s/class/rfkill/rfkill0/name", root);
        file = fopen(path, "we");
        assert_non_null(file);
        fprintf(file, "hci0\n");
        fclose(file);
}

static int set_up_rfkill(void **state) {
        static char root[32];
        strcpy(root, "/tmp/gatewayd-rfkill-XXXXXX");
        assert_non_null(mkdtemp(root));
        make_rfkill(root);
        options.sysfs_root = root;
        return set_up_never(state);
}

static int tear_down_rfkill(void **state) {
        char command[160];
        (void) str_format(command, sizeof command, "rm -r %s", options.sysfs_root);
        return tear_down(state) || system(command) != 0;
}

/* Each cause has its name, its level by whether a device needs Bluetooth, and a remedy. */
static void test_diagnosis(void **state) {
        struct test_client *client = client_new();
        struct json *result = client_result(client, "gateway.diagnose", NULL);
        (void) state;
        block(false);
        expect(result, "the Bluetooth service answers gatewayd", "ok");
        expect(result, "adapter hci0, 00:00:5E:00:53:00, BlueZ 5.66: on, 0 devices connected", "ok");
        expect(result, "pairing: never", "ok");
        fake_adapter_set(&fake, 0, true, false);
        expect(client_result(client, "gateway.diagnose", NULL), "(adapter-off), and no adopted device needs it", "ok");
        (void) one_device(client);
        result = client_result(client, "gateway.diagnose", NULL);
        expect(result, "(adapter-off): ", "error");
        expect(result, "adapter hci0, 00:00:5E:00:53:00, BlueZ 5.66: off", "warning");
        block(true);
        result = client_result(client, "gateway.diagnose", NULL);
        expect(result, "(adapter-blocked): ", "error");
        expect(result, "adapter hci0, 00:00:5E:00:53:00, BlueZ 5.66: blocked by rfkill", "warning");
        fake_adapter_set(&fake, 0, false, false);
        expect(client_result(client, "gateway.diagnose", NULL), "(no-adapter): ", "error");
        fake_adapter_set(&fake, 0, true, true);
        fake.deny = true;
        expect(client_result(client, "gateway.diagnose", NULL), "(dbus-refused): ", "error");
        fake.deny = false;
        fake_stop(&fake);
        while (!is_said(client_result(client, "gateway.diagnose", NULL), "(bluetoothd-not-running): "))
                ;
        private_bus_stop(&bus);
        while (!is_said(client_result(client, "gateway.diagnose", NULL), "(dbus-refused): ")) /* as soon as it is noticed */
                ;
        private_bus_start(&bus);
        fake_start(&fake);
        client_free(client);
}

/* Whoever comes while the service is being asked for another one is told what is known. */
static void test_two_diagnoses(void **state) {
        struct test_client *client = client_new();
        int64_t first = client_ask(client, "gateway.diagnose", NULL, -1), second = client_ask(client, "gateway.diagnose", NULL, -1);
        (void) state;
        expect(json_child(client_reply(client, first), "result"), "pairing: passkey", "ok");
        expect(json_child(client_reply(client, second), "result"), "pairing: passkey", "ok");
        expect(json_child(client_reply(client, second), "result"), "no passkey_file is set", "warning");
        client_free(client);
}

static void test_diagnosis_without(void **state) {
        struct test_client *client = client_new();
        (void) state;
        assert_null(find_finding(json_child(client_result(client, "gateway.diagnose", NULL), "findings"), ""));
        client_free(client);
}

int main(void) {
#define BLUETOOTH_TEST(name, how) cmocka_unit_test_setup_teardown(name, how, tear_down)
        const struct CMUnitTest tests[] = {
                BLUETOOTH_TEST(test_pair_and_unpair, set_up_just_works),
                BLUETOOTH_TEST(test_pair_under_a_new_address, set_up_just_works),
                BLUETOOTH_TEST(test_bond_of_a_stranger, set_up_never),
                BLUETOOTH_TEST(test_pairing_is_not_allowed, set_up_never),
                BLUETOOTH_TEST(test_which_devices_pair, set_up_just_works),
                BLUETOOTH_TEST(test_no_adapter, set_up_just_works),
                BLUETOOTH_TEST(test_without, set_up_without),
                BLUETOOTH_TEST(test_dropped, set_up_just_works),
                BLUETOOTH_TEST(test_private_address, set_up_just_works),
                cmocka_unit_test_setup_teardown(test_diagnosis, set_up_rfkill, tear_down_rfkill),
                BLUETOOTH_TEST(test_two_diagnoses, set_up_passkey),
                BLUETOOTH_TEST(test_diagnosis_without, set_up_without),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
