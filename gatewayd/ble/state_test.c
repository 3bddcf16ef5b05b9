/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/ble.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "ble/test_support.h"

static const char *state_name(struct fixture *fixture) {
        static struct gw_error err;

        err = (struct gw_error){ 0 };
        if (ble_state(fixture->ble, &err) == 0)
                return "";
        return err.name;
}

static void probed(void *ctx, const struct gw_error *why) {
        struct fixture *fixture = ctx;

        fixture->n_done++;
        (void) str_copy(fixture->done, sizeof fixture->done, why ? why->name : "");
}

static const char *probe(struct fixture *fixture) {
        fixture->n_done = 0;
        assert_int_equal(ble_probe(fixture->ble, probed, fixture), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done);
        return fixture->done;
}

/* ---- one name each */

static void test_states(void **state) {
        struct fixture *fixture = *state;

        assert_string_equal(probe(fixture), "");
        assert_string_equal(state_name(fixture), "");
        fake_adapter_set(&fixture->fake, 0, true, false);
        settle(fixture);
        assert_string_equal(state_name(fixture), "adapter-off");
        fake_adapter_set(&fixture->fake, 0, false, false);
        settle(fixture);
        assert_string_equal(state_name(fixture), "no-adapter");
        assert_string_equal(probe(fixture), "no-adapter");
        fake_stop(&fixture->fake);
        LOOP_UNTIL(fixture->loop, strcmp(state_name(fixture), "bluetoothd-not-running") == 0);
        assert_string_equal(probe(fixture), "bluetoothd-not-running");
        private_bus_stop(&fixture->bus);
        LOOP_UNTIL(fixture->loop, strcmp(state_name(fixture), "dbus-refused") == 0);
        assert_string_equal(probe(fixture), "dbus-refused");
        /* And all the way back. */
        private_bus_start(&fixture->bus);
        fake_start(&fixture->fake);
        fake_adapter_set(&fixture->fake, 0, true, true);
        LOOP_UNTIL(fixture->loop, strcmp(state_name(fixture), "") == 0);
}

static void test_access_denied(void **state) {
        struct fixture *fixture = *state;

        fixture->fake.deny = true;
        assert_string_equal(probe(fixture), "dbus-refused");
        fixture->fake.deny = false;
        LOOP_UNTIL(fixture->loop, strcmp(state_name(fixture), "") == 0); /* asked again by itself */
        fixture->fake.deny = true;
        assert_string_equal(probe(fixture), "dbus-refused");
}

/* Who never asks for Bluetooth is never connected to the bus. */
static void test_nothing_before_it_is_wanted(void **state) {
        struct fixture *fixture = *state;

        loop_turn(fixture->loop);
        loop_turn(fixture->loop);
        assert_string_equal(fixture->fake.log, "");
        assert_string_equal(state_name(fixture), ""); /* nothing is known against it */
        assert_string_equal(fixture->fake.log, "");
        assert_string_equal(probe(fixture), "");
}

/* ---- rfkill */

static void write_rfkill(const char *root, const char *file, const char *text) {
        char path[256];
        FILE *out;

        str_format(path, sizeof path, "%s/class/rfkill/rfkill3/%s", root, file);
        out = fopen(path, "we");
        assert_non_null(out);
        assert_true(fputs(text, out) >= 0);
        fclose(out);
}

static void test_blocked(void **state) {
        struct fixture *fixture = *state;
        char root[] = "/tmp/gatewayd-rfkill-XXXXXX", path[256];

        assert_non_null(mkdtemp(root));
        for (const char *const *part = (const char *const[]){ "class", "class/rfkill", "class/rfkill/rfkill3", NULL }; *part; part++) {
                str_format(path, sizeof path, "%s/%s", root, *part);
                assert_int_equal(mkdir(path, 0700), 0);
        }
        write_rfkill(root, "name", "hci0\n");
        write_rfkill(root, "soft", "0\n");
        write_rfkill(root, "hard", "0\n");
        fixture->options.sysfs_root = root;
        fixture_again(fixture);
        fake_adapter_set(&fixture->fake, 0, true, false);
        settle(fixture);
        assert_string_equal(state_name(fixture), "adapter-off");
        write_rfkill(root, "soft", "1\n");
        assert_string_equal(state_name(fixture), "adapter-blocked");
        write_rfkill(root, "soft", "0\n");
        write_rfkill(root, "hard", "1\n");
        assert_string_equal(state_name(fixture), "adapter-blocked");
        write_rfkill(root, "name", "hci1\n");
        assert_string_equal(state_name(fixture), "adapter-off");
        str_format(path, sizeof path, "rm -r %s", root);
        assert_int_equal(system(path), 0);
}

/* ---- which adapters */

static void note_adapter(void *ctx, const struct gw_gatt_adapter *adapter) {
        strbuf_appendf(ctx, "%s %s %s%s%s;", adapter->name, adapter->address, adapter->used ? "used" : "-", adapter->powered ? " on" : "",
                       adapter->discovering ? " discovering" : "");
}

static void test_chosen_adapters(void **state) {
        struct fixture *fixture = *state;
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(1024);
        char *names[] = { (char *) "00:00:5e:00:53:01" };
        const struct str_list chosen = { .items = names, .n_items = 1 };

        fixture->options.adapters = &chosen;
        fixture_again(fixture);
        settle(fixture);
        assert_string_equal(state_name(fixture), "no-adapter");
        fake_adapter_set(&fixture->fake, 1, true, true);
        watch_all(fixture);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[1].discovering);
        settle(fixture);
        assert_false(fixture->fake.adapters[0].discovering);
        ble_adapters(fixture->ble, note_adapter, &out);
        assert_string_equal(strbuf_text(&out), "hci0 00:00:5E:00:53:00 - on;hci1 00:00:5E:00:53:01 used on discovering;");
        ble_watch_end(fixture->watch);
}

/* Once, when it appears; who switches it off afterwards means it. */
static void test_power(void **state) {
        struct fixture *fixture = *state;

        fake_adapter_set(&fixture->fake, 0, true, false);
        fixture->options.power = true;
        fixture_again(fixture);
        settle(fixture);
        assert_int_equal(fake_count(&fixture->fake, "Set"), 1);
        fake_adapter_set(&fixture->fake, 0, true, true);
        settle(fixture);
        fake_adapter_set(&fixture->fake, 0, true, false);
        settle(fixture);
        assert_int_equal(fake_count(&fixture->fake, "Set"), 1);
        fake_adapter_set(&fixture->fake, 0, false, false);
        fake_adapter_set(&fixture->fake, 0, true, false);
        settle(fixture);
        assert_int_equal(fake_count(&fixture->fake, "Set"), 2);
}

static void test_words(void **state) {
        struct fixture *fixture = *state;
        enum ble_pairing pairing;

        assert_string_equal(ble_pairing_name(fixture->ble), "never");
        assert_int_equal(ble_pairing_parse("passkey", &pairing), 0);
        assert_int_equal(pairing, BLE_PAIRING_PASSKEY);
        assert_int_equal(ble_pairing_parse("always", &pairing), -EINVAL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_states), TEST(test_access_denied), TEST(test_nothing_before_it_is_wanted), TEST(test_blocked),
                TEST(test_chosen_adapters), TEST(test_power), TEST(test_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
