/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/ble.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "ble/test_support.h"

#define PASSKEY 314159
#define PASSKEY_TEXT "314159"

static char passkey_path[] = "/tmp/gatewayd-passkeys-XXXXXX";
static bool passkey_was_logged;

static void write_passkeys(const char *text, mode_t mode) {
        FILE *file = fopen(passkey_path, "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(passkey_path, mode), 0);
}

static void search_log(enum log_level level, const struct log_fields *fields, const char *text, void *context) {
        (void) level;
        (void) fields;
        (void) context;
        passkey_was_logged = passkey_was_logged || strstr(text, PASSKEY_TEXT);
}

static struct fixture *pairing_fixture(void **made, enum ble_pairing pairing) {
        struct fixture *fixture;

        assert_int_equal(fixture_setup(made), 0);
        fixture = *made;
        log_set_level(LOG_LEVEL_DEBUG);
        log_set_sink(search_log, NULL);
        fixture->options.pairing = pairing;
        fixture->options.passkey_file = passkey_path;
        fixture_again(fixture);
        return fixture;
}

static void pair_now(struct fixture *fixture) {
        fixture->n_done = 0;
        assert_int_equal(ble_pair(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done);
}

/* What the device asks for. */
enum wants { NOTHING, JUST_WORKS, PASSKEY_ENTRY };

static void test_pairing_table(void **state) {
        static const struct {
                enum ble_pairing pairing;
                enum wants wants;
                const char *file; /* NULL: none */
                mode_t mode;
                const char *pair_error;
                const char *ends; /* "" = bonded */
        } rows[] = {
                { BLE_PAIRING_NEVER, JUST_WORKS, NULL, 0, NULL, "pairing-not-allowed" },
                { BLE_PAIRING_NEVER, PASSKEY_ENTRY, KEY " " PASSKEY_TEXT "\n", 0600, NULL, "pairing-not-allowed" },
                { BLE_PAIRING_JUST_WORKS, JUST_WORKS, NULL, 0, NULL, "" },
                { BLE_PAIRING_JUST_WORKS, NOTHING, NULL, 0, NULL, "" },
                { BLE_PAIRING_JUST_WORKS, PASSKEY_ENTRY, KEY " " PASSKEY_TEXT "\n", 0600, NULL, "pairing-not-allowed" },
                { BLE_PAIRING_JUST_WORKS, JUST_WORKS, NULL, 0, "AuthenticationFailed:Authentication Failed", "pairing-failed" },
                { BLE_PAIRING_JUST_WORKS, JUST_WORKS, NULL, 0, "ConnectionAttemptFailed:Page Timeout", "pairing-failed" },
                { BLE_PAIRING_PASSKEY, PASSKEY_ENTRY, KEY " " PASSKEY_TEXT "\n", 0600, NULL, "" },
                { BLE_PAIRING_PASSKEY, PASSKEY_ENTRY, ADDRESS " " PASSKEY_TEXT "\n", 0600, NULL, "" },
                { BLE_PAIRING_PASSKEY, PASSKEY_ENTRY, KEY " " PASSKEY_TEXT "\n", 0600, "AuthenticationFailed:Authentication Failed", "passkey-wrong" },
                { BLE_PAIRING_PASSKEY, PASSKEY_ENTRY, "C00000000001 " PASSKEY_TEXT "\n", 0600, NULL, "passkey-missing" },
                { BLE_PAIRING_PASSKEY, PASSKEY_ENTRY, KEY " " PASSKEY_TEXT "\n", 0644, NULL, "passkey-file-unsafe" },
                { BLE_PAIRING_PASSKEY, JUST_WORKS, KEY " " PASSKEY_TEXT "\n", 0600, NULL, "pairing-not-allowed" },
                { BLE_PAIRING_PASSKEY, NOTHING, KEY " " PASSKEY_TEXT "\n", 0600, NULL, "pairing-not-allowed" },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                void *made;
                struct fixture *fixture = pairing_fixture(&made, rows[i].pairing);
                struct fake_device *device = one_device(fixture);

                device->asks_authorization = rows[i].wants == JUST_WORKS;
                device->asks_passkey = rows[i].wants == PASSKEY_ENTRY;
                write_passkeys(rows[i].file ? rows[i].file : "", rows[i].mode ? rows[i].mode : 0600);
                if (rows[i].pair_error)
                        fake_fail(&device->pair_errors, rows[i].pair_error);
                pair_now(fixture);
                if (strcmp(fixture->done, rows[i].ends) != 0)
                        fail_msg("row %zu ended with %s: %s", i, fixture->done, fixture->text);
                settle(fixture);
                assert_int_equal(device->paired, rows[i].ends[0] == '\0');
                assert_string_equal(fixture->fake.agent, ""); /* nobody is asked any more */
                assert_null(strstr(fixture->text, PASSKEY_TEXT));
                if (rows[i].wants == PASSKEY_ENTRY && device->paired)
                        assert_int_equal(device->passkey, PASSKEY);
                assert_int_equal(fixture_teardown(&made), 0);
        }
        assert_false(passkey_was_logged);
}

/* With `never` nothing at all is said to the device. */
static void test_never_touches_nothing(void **state) {
        void *made;
        struct fixture *fixture = pairing_fixture(&made, BLE_PAIRING_NEVER);

        (void) state;
        one_device(fixture);
        pair_now(fixture);
        settle(fixture);
        assert_int_equal(fake_count(&fixture->fake, "Connect"), 0);
        assert_int_equal(fake_count(&fixture->fake, "RegisterAgent"), 0);
        assert_int_equal(fixture_teardown(&made), 0);
}

static void test_capabilities(void **state) {
        static const struct {
                enum ble_pairing pairing;
                const char *capability;
        } rows[] = { { BLE_PAIRING_JUST_WORKS, "NoInputNoOutput" }, { BLE_PAIRING_PASSKEY, "KeyboardOnly" } };

        (void) state;
        write_passkeys(KEY " " PASSKEY_TEXT "\n", 0600);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                void *made;
                struct fixture *fixture = pairing_fixture(&made, rows[i].pairing);

                one_device(fixture);
                pair_now(fixture);
                assert_string_equal(fixture->fake.capability, rows[i].capability);
                assert_int_equal(fixture_teardown(&made), 0);
        }
}

static int refused(sd_bus_message *reply, void *ctx, sd_bus_error *ret_error) {
        struct fixture *fixture = ctx;

        (void) ret_error;
        fixture->n_heard++;
        (void) str_copy(fixture->heard, sizeof fixture->heard, sd_bus_message_is_method_error(reply, NULL) ? sd_bus_message_get_error(reply)->name : "");
        return 0;
}

/* A neighbour that wants to pair while our agent is there is refused. */
static void test_agent_answers_for_one_device_only(void **state) {
        void *made;
        struct fixture *fixture = pairing_fixture(&made, BLE_PAIRING_JUST_WORKS);
        struct fake_device *device = one_device(fixture);

        (void) state;
        device->hold_connect = false;
        fake_fail(&device->pair_errors, "hold");
        device->pair_errors.n_items = 0;
        device->asks_authorization = true;
        fixture->n_done = 0;
        assert_int_equal(ble_pair(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.agent[0]);
        assert_true(sd_bus_call_method_async(fixture->fake.connection, NULL, fixture->fake.agent, "/gatewayd/agent", "org.bluez.Agent1", "RequestAuthorization", refused,
                                             fixture, "o", "/org/bluez/hci0/dev_C0_00_00_00_00_01") >= 0);
        LOOP_UNTIL(fixture->loop, fixture->n_heard);
        assert_string_equal(fixture->heard, "org.bluez.Error.Rejected");
        LOOP_UNTIL(fixture->loop, fixture->n_done);
        assert_string_equal(fixture->done, "");
        assert_int_equal(fixture_teardown(&made), 0);
}

static void test_canceled(void **state) {
        void *made;
        struct fixture *fixture = pairing_fixture(&made, BLE_PAIRING_JUST_WORKS);
        struct fake_device *device = one_device(fixture);

        (void) state;
        device->hold_connect = true;
        assert_int_equal(ble_pair(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.held);
        ble_task_cancel(fixture->task);
        LOOP_UNTIL(fixture->loop, !fixture->fake.held);
        device->hold_connect = false;
        pair_now(fixture);
        assert_string_equal(fixture->done, "");
        assert_int_equal(fixture->n_done, 1);
        assert_int_equal(fixture_teardown(&made), 0);
}

/* Two at once: one after the other. */
static void test_one_at_a_time(void **state) {
        void *made;
        struct fixture *fixture = pairing_fixture(&made, BLE_PAIRING_JUST_WORKS);
        struct fake_device *first = one_device(fixture), *second = fake_add(&fixture->fake, "C0:00:00:00:00:02");
        struct gw_gatt_task *tasks[2];

        (void) state;
        fake_advertise(second);
        first->asks_authorization = second->asks_authorization = true;
        assert_int_equal(ble_pair(fixture->ble, KEY, on_done, fixture, &tasks[0]), 0);
        assert_int_equal(ble_pair(fixture->ble, "C00000000002", on_done, fixture, &tasks[1]), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done == 2);
        assert_true(first->paired && second->paired);
        assert_int_equal(fake_count(&fixture->fake, "RegisterAgent"), 2);
        assert_int_equal(fixture_teardown(&made), 0);
}

/* The service pairs with a device that wants encryption and asks nobody: nobody ordered that, whatever `pairing` is. */
static void test_bond_that_nobody_ordered(void **state) {
        static const enum ble_pairing rows[] = { BLE_PAIRING_NEVER, BLE_PAIRING_JUST_WORKS };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                void *made;
                struct fixture *fixture = pairing_fixture(&made, rows[i]);
                struct fake_device *device = one_device(fixture);

                open_device(fixture, &fixture->one, KEY);
                open_link(fixture, &fixture->one);
                device->paired = true;
                fake_set_property(&fixture->fake, device->path, "org.bluez.Device1", "Paired", "b", 1);
                LOOP_UNTIL(fixture->loop, fixture->one.n_closed);
                assert_string_equal(fixture->one.why.name, "encryption-required");
                assert_string_equal(fixture->one.link_why.name, "encryption-required");
                assert_int_equal(fake_count(&fixture->fake, "RemoveDevice"), 1);
                assert_false(device->paired);
                close_opening(&fixture->one);
                assert_int_equal(fixture_teardown(&made), 0);
        }
}

/* ---- bonds */

static void count_peer(void *ctx, const struct gw_gatt_peer *peer) {
        assert_true(peer->bonded);
        ++*(unsigned *) ctx;
}

static unsigned n_bonds(struct fixture *fixture) {
        unsigned n = 0;

        ble_bonds(fixture->ble, count_peer, &n);
        return n;
}

static void test_unpair_and_forget(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = fake_add(&fixture->fake, ADDRESS);

        device->paired = true;
        fake_advertise(device);
        settle(fixture);
        assert_int_equal(n_bonds(fixture), 1);
        assert_int_equal(ble_forget(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done == 1);
        assert_string_equal(fixture->done, "device-bonded");
        open_device(fixture, &fixture->one, KEY);
        assert_int_equal(ble_unpair(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done == 2);
        assert_string_equal(fixture->done, "device-busy");
        close_opening(&fixture->one);
        settle(fixture);
        assert_int_equal(ble_unpair(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done == 3);
        assert_string_equal(fixture->done, "");
        assert_false(device->paired);
        assert_int_equal(n_bonds(fixture), 0);
        /* Neither known nor bonded: nothing to do is fine. */
        assert_int_equal(ble_unpair(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        assert_int_equal(ble_forget(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done == 5);
        assert_string_equal(fixture->done, "");
        fake_advertise(device);
        settle(fixture);
        assert_int_equal(ble_forget(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done == 6);
        assert_string_equal(fixture->done, "");
        assert_int_equal(fake_count(&fixture->fake, "RemoveDevice"), 2);
}

/* The service pairs by itself while it connects, without a passkey: that is not what was ordered, and goes again. */
static void test_bond_by_itself_is_no_proof(void **state) {
        void *made;
        struct fixture *fixture = pairing_fixture(&made, BLE_PAIRING_PASSKEY);
        struct fake_device *device = fake_add(&fixture->fake, ADDRESS);

        (void) state;
        write_passkeys(KEY " " PASSKEY_TEXT "\n", 0600);
        fake_advertise(device);
        device->hold_connect = true;
        fixture->n_done = 0;
        assert_int_equal(ble_pair(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.held);
        device->hold_connect = false;
        device->paired = true;
        fake_set_property(&fixture->fake, device->path, "org.bluez.Device1", "Paired", "b", true);
        fake_release(&fixture->fake, NULL);
        LOOP_UNTIL(fixture->loop, fixture->n_done);
        assert_string_equal(fixture->done, "pairing-not-allowed");
        assert_int_equal(fake_count(&fixture->fake, "RemoveDevice"), 1);
        assert_false(device->paired);
        assert_int_equal(fixture_teardown(&made), 0);
}

/* An adapter that is not to be used is somebody else's, with its devices and bonds. */
static void test_forget_leaves_other_adapters_alone(void **state) {
        static const char *const used[] = { "hci0" };
        const struct str_list adapters = { (char **) used, 1 };
        struct fixture *fixture = *state;
        struct fake_device *device;

        fake_adapter_set(&fixture->fake, 1, true, true);
        device = fake_add(&fixture->fake, ADDRESS);
        str_format(device->path, sizeof device->path, "/org/bluez/hci1/dev_DE_06_3B_97_4C_D8");
        fake_advertise(device);
        fixture->options.adapters = &adapters;
        fixture_again(fixture);
        assert_int_equal(ble_forget(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done == 1);
        assert_string_equal(fixture->done, "");
        assert_int_equal(fake_count(&fixture->fake, "RemoveDevice"), 0);
        fixture->options.adapters = NULL;
        fixture_again(fixture);
}

/* A device that its owner has just closed is disconnected first; it counts as busy only for who still has it open. */
static void test_forget_waits_for_disconnect(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = fake_add(&fixture->fake, ADDRESS);

        fake_advertise(device);
        open_device(fixture, &fixture->one, KEY);
        assert_int_equal(ble_forget(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done == 1);
        assert_string_equal(fixture->done, "device-busy");
        device->hold_lost = true;
        close_opening(&fixture->one);
        assert_int_equal(ble_forget(fixture->ble, KEY, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fake_count(&fixture->fake, "Disconnect") == 1);
        settle(fixture);
        assert_int_equal(fixture->n_done, 1);
        assert_int_equal(fake_count(&fixture->fake, "RemoveDevice"), 0);
        fake_disconnect(device, NULL);
        LOOP_UNTIL(fixture->loop, fixture->n_done == 2);
        assert_string_equal(fixture->done, "");
        assert_int_equal(fake_count(&fixture->fake, "RemoveDevice"), 1);
}

static int make_file(void **state) {
        int fd = mkstemp(passkey_path);

        (void) state;
        return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
        (void) state;
        return unlink(passkey_path);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pairing_table),
                cmocka_unit_test(test_never_touches_nothing),
                cmocka_unit_test(test_capabilities),
                cmocka_unit_test(test_agent_answers_for_one_device_only),
                cmocka_unit_test(test_canceled),
                cmocka_unit_test(test_one_at_a_time),
                cmocka_unit_test(test_bond_that_nobody_ordered),
                cmocka_unit_test_setup_teardown(test_unpair_and_forget, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_forget_waits_for_disconnect, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_forget_leaves_other_adapters_alone, fixture_setup, fixture_teardown),
                cmocka_unit_test(test_bond_by_itself_is_no_proof),
        };

        return cmocka_run_group_tests(tests, make_file, remove_file);
}
