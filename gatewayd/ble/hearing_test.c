/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/ble.h"

#include <string.h>

#include "base/str.h"
#include "ble/test_support.h"

#define OTHER "C00000000002"
#define OTHER_ADDRESS "C0:00:00:00:00:02"

/* ---- watches */

static void test_watch(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device;

        watch_all(fixture);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        assert_false(fixture->fake.adapters[0].urgent);
        device = one_device(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_seen == 1);
        assert_string_equal(fixture->seen, KEY);
        ble_watch_end(fixture->watch);
        LOOP_UNTIL(fixture->loop, !fixture->fake.adapters[0].discovering);
        fake_advertise(device);
        settle(fixture);
        assert_int_equal(fixture->n_seen, 1);
}

/* A hundred advertisements that say nothing new are told once; a new name is told at once. */
static void test_repetitions_are_not_told(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device;

        fixture->options.hurry = 1;
        fixture_again(fixture);
        watch_all(fixture);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        device = one_device(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_seen == 1);
        for (int i = 0; i < 100; i++)
                fake_advertise(device);
        settle(fixture);
        assert_int_equal(fixture->n_seen, 1);
        fake_set_property(&fixture->fake, device->path, "org.bluez.Device1", "Name", "s", "kitchen");
        fake_advertise(device);
        LOOP_UNTIL(fixture->loop, fixture->n_seen == 2);
        ble_watch_end(fixture->watch);
}

static void test_filters(void **state) {
        static const char *const services[] = { "8D53DC1D-1DB7-4CD3-868B-8A527460AA84" }, *const others[] = { "fe59" }, *const names[] = { "kit*" };
        struct fixture *fixture = *state;
        const struct gw_gatt_watch_options by_service = { .size = sizeof by_service, .services = services, .n_services = 1 };
        const struct gw_gatt_watch_options by_other = { .size = sizeof by_other, .services = others, .n_services = 1 };
        const struct gw_gatt_watch_options by_name = { .size = sizeof by_name, .services = others, .n_services = 1, .names = names, .n_names = 1 };
        struct gw_gatt_watch *second, *third;
        struct fake_device *quiet, *named;

        assert_int_equal(ble_watch(fixture->ble, &by_service, on_seen, fixture, &fixture->watch), 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering && fixture->fake.adapters[0].n_uuids == 1);
        assert_int_equal(ble_watch(fixture->ble, &by_other, on_seen, fixture, &second), 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].n_uuids == 2); /* what all of them want together */
        assert_int_equal(ble_watch(fixture->ble, &by_name, on_seen, fixture, &third), 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].n_uuids == 0); /* names are no matter of the service's filter */
        quiet = fake_add(&fixture->fake, "C0:00:00:00:00:03");
        quiet->advertises_service = false;
        fake_advertise(quiet);
        settle(fixture);
        assert_int_equal(fixture->n_seen, 0);
        named = fake_add(&fixture->fake, OTHER_ADDRESS);
        named->advertises_service = false;
        named->name = "kitchen";
        fake_advertise(named);
        LOOP_UNTIL(fixture->loop, fixture->n_seen == 1);
        assert_string_equal(fixture->seen, OTHER);
        one_device(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_seen == 2);
        assert_string_equal(fixture->seen, KEY);
        ble_watch_end(third);
        ble_watch_end(second);
        ble_watch_end(fixture->watch);
}

static void note_peer(void *ctx, const struct gw_gatt_peer *peer) {
        struct strbuf *out = ctx;

        strbuf_appendf(out, "%s %s %d %s %d %d %zu %zu;", peer->key, peer->address, (int) peer->address_kind, peer->name ? peer->name : "-", peer->rssi_dbm,
                       peer->battery_percent, peer->n_services, peer->n_manufacturer);
}

static void test_what_is_told(void **state) {
        struct fixture *fixture = *state;
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(4096);
        struct fake_device *device = fake_add(&fixture->fake, "4E:06:3B:97:4C:D8");

        device->name = NULL;
        device->rssi = -71;
        fake_advertise(device);
        watch_all(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_seen);
        fake_set_property(&fixture->fake, device->path, "org.bluez.Battery1", "Percentage", "y", 87);
        settle(fixture);
        ble_peers(fixture->ble, note_peer, &out);
        /* 4E: resolvable, and nobody resolved it. */
        assert_string_equal(strbuf_text(&out), "4E063B974CD8 4E:06:3B:97:4C:D8 2 - -71 87 1 1;");
        device->rssi = 127; /* the controller cannot say */
        fake_advertise(device);
        settle(fixture);
        strbuf_reset(&out);
        ble_peers(fixture->ble, note_peer, &out);
        assert_string_equal(strbuf_text(&out), "4E063B974CD8 4E:06:3B:97:4C:D8 2 - -1000 87 1 1;");
        ble_watch_end(fixture->watch);
}

/* ---- waits: only what is sent after they began counts */

static void start_wait(struct fixture *fixture, const char *key, bool (*match)(void *ctx, const struct gw_gatt_peer *peer), int64_t timeout_ms) {
        const struct gw_gatt_wait_options options = { .size = sizeof options, .key = key, .match = match, .timeout_ms = timeout_ms };

        fixture->n_heard = 0;
        assert_int_equal(ble_wait(fixture->ble, &options, on_heard, fixture, &fixture->wait), 0);
}

static void test_wait_for_a_fresh_advertisement(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        watch_all(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_seen == 1);
        start_wait(fixture, KEY, NULL, 60000);
        /* Duplicates now matter: discovery begins anew and lets them through. */
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].urgent && fixture->fake.adapters[0].discovering);
        settle(fixture);
        assert_int_equal(fixture->n_heard, 0);
        fake_advertise(device);
        LOOP_UNTIL(fixture->loop, fixture->n_heard);
        assert_string_equal(fixture->heard, KEY);
        LOOP_UNTIL(fixture->loop, !fixture->fake.adapters[0].urgent);
        ble_watch_end(fixture->watch);
}

/* A service that runs longer than we do remembers what was advertised once: that is no advertisement of now. */
static void test_what_is_remembered_is_not_heard(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = fake_add(&fixture->fake, ADDRESS);

        device->rssi = 0;
        device->known = true;
        fixture_again(fixture);
        start_wait(fixture, KEY, NULL, 60000);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        settle(fixture);
        assert_int_equal(fixture->n_heard, 0);
        device->rssi = -60;
        fake_advertise(device);
        LOOP_UNTIL(fixture->loop, fixture->n_heard);
        assert_string_equal(fixture->heard, KEY);
}

static bool is_next_address(void *ctx, const struct gw_gatt_peer *peer) {
        (void) ctx;
        return strcmp(peer->key, "DE063B974CD9") == 0 && str_equal(peer->name, "sensor");
}

static void test_wait_for_another_address(void **state) {
        struct fixture *fixture = *state;

        start_wait(fixture, KEY, is_next_address, 60000);
        fake_advertise(fake_add(&fixture->fake, OTHER_ADDRESS));
        settle(fixture);
        assert_int_equal(fixture->n_heard, 0);
        fake_advertise(fake_add(&fixture->fake, "DE:06:3B:97:4C:D9"));
        LOOP_UNTIL(fixture->loop, fixture->n_heard);
        assert_string_equal(fixture->heard, "DE063B974CD9");
}

static void test_wait_ends(void **state) {
        struct fixture *fixture = *state;

        settle(fixture);
        start_wait(fixture, KEY, NULL, 20);
        LOOP_UNTIL(fixture->loop, fixture->n_heard);
        assert_string_equal(fixture->heard, "not-seen");
        fake_adapter_set(&fixture->fake, 0, true, false);
        start_wait(fixture, KEY, NULL, 50);
        LOOP_UNTIL(fixture->loop, fixture->n_heard);
        assert_string_equal(fixture->heard, "adapter-off");
        start_wait(fixture, KEY, NULL, 60000);
        ble_wait_cancel(fixture->wait);
        fake_adapter_set(&fixture->fake, 0, true, true);
        one_device(fixture);
        settle(fixture);
        assert_int_equal(fixture->n_heard, 0);
}

/* While it waits discovery begins anew now and then: a controller may take the device for a duplicate of what it was before its reset. */
static void test_discovery_begins_anew(void **state) {
        struct fixture *fixture = *state;

        start_wait(fixture, KEY, NULL, 60000);
        LOOP_UNTIL(fixture->loop, fake_count(&fixture->fake, "StartDiscovery") >= 3);
        ble_wait_cancel(fixture->wait);
        LOOP_UNTIL(fixture->loop, !fixture->fake.adapters[0].discovering);
}

static void again_from_inside(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why) {
        struct fixture *fixture = ctx;
        const struct gw_gatt_wait_options options = { .size = sizeof options, .key = KEY, .timeout_ms = 60000 };

        (void) why;
        assert_non_null(peer);
        fixture->n_heard++;
        assert_int_equal(ble_wait(fixture->ble, &options, again_from_inside, fixture, &fixture->wait), 0);
}

/* A wait that begins inside the callback of another one waits for the next advertisement. */
static void test_wait_begun_in_a_callback(void **state) {
        struct fixture *fixture = *state;
        const struct gw_gatt_wait_options options = { .size = sizeof options, .key = KEY, .timeout_ms = 60000 };
        struct fake_device *device;

        assert_int_equal(ble_wait(fixture->ble, &options, again_from_inside, fixture, &fixture->wait), 0);
        device = one_device(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_heard == 1);
        settle(fixture);
        assert_int_equal(fixture->n_heard, 1);
        fake_advertise(device);
        LOOP_UNTIL(fixture->loop, fixture->n_heard == 2);
        ble_wait_cancel(fixture->wait);
}

/* ---- scans and discovery */

static void test_scan(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(ble_scan(fixture->ble, 99, on_done, fixture, &fixture->task), -EINVAL);
        assert_int_equal(ble_scan(fixture->ble, 300, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        assert_true(fixture->fake.adapters[0].urgent);
        LOOP_UNTIL(fixture->loop, fixture->n_done);
        assert_string_equal(fixture->done, "");
        LOOP_UNTIL(fixture->loop, !fixture->fake.adapters[0].discovering);
        fake_stop(&fixture->fake);
        assert_int_equal(ble_scan(fixture->ble, 100, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done == 2);
        assert_string_equal(fixture->done, "bluetoothd-not-running");
}

static void test_discovery_is_tried_again(void **state) {
        struct fixture *fixture = *state;

        fake_fail(&fixture->fake.adapters[0].start_errors, "Failed:Software caused connection abort");
        fake_fail(&fixture->fake.adapters[0].start_errors, "InProgress:Operation already in progress");
        watch_all(fixture);
        LOOP_UNTIL(fixture->loop, fake_count(&fixture->fake, "StartDiscovery") == 2);
        one_device(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_seen);
        ble_watch_end(fixture->watch);
}

/* While a device is open the others are listened for in pulses only. */
static void test_pulses(void **state) {
        struct fixture *fixture = *state;

        one_device(fixture);
        watch_all(fixture);
        open_device(fixture, &fixture->one, KEY);
        settle(fixture);
        assert_false(fixture->fake.adapters[0].discovering);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        LOOP_UNTIL(fixture->loop, !fixture->fake.adapters[0].discovering);
        close_opening(&fixture->one);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        ble_watch_end(fixture->watch);
}

/* Stopping takes its time; Connect waits for the answer. */
static void test_connect_waits_for_discovery_to_end(void **state) {
        struct fixture *fixture = *state;

        one_device(fixture);
        watch_all(fixture);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering && fixture->n_seen);
        fixture->fake.adapters[0].hold_stop = true;
        start_opening(fixture, &fixture->one, KEY, 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.held);
        settle(fixture);
        assert_int_equal(fake_count(&fixture->fake, "Connect"), 0);
        fake_release(&fixture->fake, NULL);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened);
        close_opening(&fixture->one);
        ble_watch_end(fixture->watch);
}

/* More devices than are kept: the rest is dropped, and what is known keeps working. */
static void test_crowd(void **state) {
        struct fixture *fixture = *state;
        char address[18];

        watch_all(fixture);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        for (int i = 0; i < 500; i++) {
                str_format(address, sizeof address, "C0:00:00:00:%02X:%02X", i >> 8, i & 255);
                fake_advertise(fake_add(&fixture->fake, address));
        }
        LOOP_UNTIL(fixture->loop, fixture->n_seen == 500);
        for (size_t i = 0; i < 500; i++)
                fake_vanish(&fixture->fake.devices[i]);
        one_device(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_seen == 501);
        ble_watch_end(fixture->watch);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_watch),
                TEST(test_repetitions_are_not_told),
                TEST(test_filters),
                TEST(test_what_is_told),
                TEST(test_wait_for_a_fresh_advertisement),
                TEST(test_what_is_remembered_is_not_heard),
                TEST(test_wait_for_another_address),
                TEST(test_wait_ends),
                TEST(test_discovery_begins_anew),
                TEST(test_wait_begun_in_a_callback),
                TEST(test_scan),
                TEST(test_discovery_is_tried_again),
                TEST(test_pulses),
                TEST(test_connect_waits_for_discovery_to_end),
                TEST(test_crowd),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
