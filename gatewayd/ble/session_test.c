/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/ble.h"

#include <string.h>

#include "base/cleanup.h"
#include "ble/test_support.h"

static void expect_end(struct fixture *fixture, const char *key, const char *name) {
        start_opening(fixture, &fixture->one, key, 0);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened + fixture->one.n_closed > 0);
        if (strcmp(fixture->one.why.name, name) != 0)
                fail_msg("ended with %s: %s", fixture->one.why.name, fixture->one.why.text);
        close_opening(&fixture->one);
}

/* ---- the way it should be */

static void test_open_and_close(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        open_device(fixture, &fixture->one, KEY);
        assert_true(device->connected);
        assert_false(fixture->fake.adapters[0].discovering);
        close_opening(&fixture->one);
        LOOP_UNTIL(fixture->loop, !device->connected);
        assert_int_equal(fixture->one.n_closed, 0);
}

/* Not heard yet: discovery runs until it is, and is off when Connect comes. */
static void test_heard_first(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = fake_add(&fixture->fake, ADDRESS);

        start_opening(fixture, &fixture->one, KEY, 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        fake_advertise(device);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened);
        assert_non_null(strstr(fixture->fake.log, "StopDiscovery Connect "));
        close_opening(&fixture->one);
}

static void test_never_heard(void **state) {
        struct fixture *fixture = *state;
        expect_end(fixture, "C00000000001", "not-seen");
}

/* ---- Connect: what it answers, how it ends, how often it was called */

static void test_connect_table(void **state) {
        static const struct {
                const char *errors[FAKE_ERRORS_MAX];
                const char *ends; /* "" = opens */
                unsigned n_connects;
        } rows[] = {
                { { "Failed:le-connection-abort-by-local" }, "", 2 },
                { { "Failed:Software caused connection abort" }, "", 2 },
                { { "Failed:le-connection-abort-by-remote", "Failed:le-connection-timeout", "Failed:le-connection-unknown" }, "", 4 },
                { { "InProgress:In Progress", "InProgress:In Progress" }, "", 3 },
                { { "Failed:le-connection-abort-by-local", "Failed:le-connection-abort-by-local", "Failed:le-connection-abort-by-local",
                    "Failed:le-connection-abort-by-local", "Failed:le-connection-abort-by-local" },
                  "ble-connect-failed",
                  5 },
                { { "org.freedesktop.DBus.Error.NoReply:timeout" }, "", 2 },
                { { "org.freedesktop.DBus.Error.AccessDenied:Rejected" }, "dbus-refused", 1 },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                void *made;
                struct fixture *fixture;
                struct fake_device *device;

                assert_int_equal(fixture_setup(&made), 0);
                fixture = made;
                device = one_device(fixture);
                for (size_t j = 0; j < FAKE_ERRORS_MAX && rows[i].errors[j]; j++)
                        fake_fail(&device->connect_errors, rows[i].errors[j]);
                expect_end(fixture, KEY, rows[i].ends);
                assert_int_equal(fake_count(&fixture->fake, "Connect"), rows[i].n_connects);
                assert_int_equal(fixture_teardown(&made), 0);
        }
}

/* By somebody else, or by the service itself because there is a bond. */
static void test_connected_already(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        fake_connect(device);
        fake_fail(&device->connect_errors, "Failed:le-connection-already-connected");
        open_device(fixture, &fixture->one, KEY);
        assert_int_equal(fake_count(&fixture->fake, "Connect"), 1);
        close_opening(&fixture->one);
}

/* InProgress may be the Connect of a program that is gone: Disconnect takes it back before the next one. */
static void test_in_progress_is_taken_back(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        fake_fail(&device->connect_errors, "InProgress:In Progress");
        open_device(fixture, &fixture->one, KEY);
        assert_non_null(strstr(fixture->fake.log, "Connect Disconnect "));
        close_opening(&fixture->one);
}

/* The object goes while Connect is out: it is heard again, and the new object is used. */
static void test_object_vanishes_while_connecting(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        device->hold_connect = true;
        start_opening(fixture, &fixture->one, KEY, 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.held);
        device->hold_connect = false;
        fake_vanish(device);
        fixture->fake.held = sd_bus_message_unref(fixture->fake.held);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        fake_advertise(device);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened);
        close_opening(&fixture->one);
}

static void test_unknown_object(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        fake_fail(&device->connect_errors, "org.freedesktop.DBus.Error.UnknownObject:Method \"Connect\" doesn't exist");
        open_device(fixture, &fixture->one, KEY);
        assert_int_equal(fake_count(&fixture->fake, "Connect"), 2);
        close_opening(&fixture->one);
}

static void test_hanging_connect_is_ended(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        device->hold_connect = true;
        start_opening(fixture, &fixture->one, KEY, 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.held);
        LOOP_UNTIL(fixture->loop, fake_count(&fixture->fake, "Disconnect") == 1);
        device->hold_connect = false;
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened);
        close_opening(&fixture->one);
}

/* ---- its table of services */

static void test_resolved_before_its_objects(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        device->table = FAKE_TABLE_LATE;
        start_opening(fixture, &fixture->one, KEY, 0);
        LOOP_UNTIL(fixture->loop, device->connected);
        settle(fixture);
        assert_int_equal(fixture->one.n_opened, 0);
        fake_show_table(device);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened);
        assert_int_equal(fake_count(&fixture->fake, "Connect"), 1);
        close_opening(&fixture->one);
}

static void test_never_resolved(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device;

        fixture->options.attempts = 2;
        fixture_again(fixture);
        device = one_device(fixture);
        device->table = FAKE_TABLE_NEVER;
        expect_end(fixture, KEY, "ble-services-unresolved");
        assert_int_equal(fake_count(&fixture->fake, "Connect"), 2);
        assert_false(device->connected);
}

static void forgotten_once(struct fixture *fixture, struct fake_device *device) {
        LOOP_UNTIL(fixture->loop, fake_count(&fixture->fake, "RemoveDevice") == 1);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        fake_advertise(device);
}

/* What the gateway remembers of an older firmware lacks the service: the device is forgotten once and read anew. */
static void test_stale_table(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        device->stale_until_removed = true;
        start_opening(fixture, &fixture->one, KEY, 0);
        forgotten_once(fixture, device);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened);
        close_opening(&fixture->one);
}

static void test_service_is_really_missing(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        device->table = FAKE_TABLE_EMPTY;
        start_opening(fixture, &fixture->one, KEY, 0);
        forgotten_once(fixture, device);
        LOOP_UNTIL(fixture->loop, fixture->one.n_closed);
        assert_string_equal(fixture->one.why.name, "gatt-service-missing");
        close_opening(&fixture->one);
}

/* A bond is never thrown away for it. */
static void test_bonded_device_is_not_forgotten(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = fake_add(&fixture->fake, ADDRESS);

        device->paired = true;
        device->table = FAKE_TABLE_EMPTY;
        fake_advertise(device);
        expect_end(fixture, KEY, "gatt-service-missing");
        assert_int_equal(fake_count(&fixture->fake, "RemoveDevice"), 0);
}

static void test_bond_lost(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = fake_add(&fixture->fake, ADDRESS);

        device->paired = true;
        fake_fail(&device->connect_errors, "Failed:le-connection-key-missing");
        fake_advertise(device);
        expect_end(fixture, KEY, "bond-lost");
}

/* ---- how an open device ends */

static void end_disconnected(struct fixture *fixture, struct fake_device *device) {
        (void) fixture;
        fake_disconnect(device, "Remote");
}

static void end_disconnected_silently(struct fixture *fixture, struct fake_device *device) {
        (void) fixture;
        fake_disconnect(device, NULL);
}

static void end_vanished(struct fixture *fixture, struct fake_device *device) {
        (void) fixture;
        fake_vanish(device);
}

static void end_switched_off(struct fixture *fixture, struct fake_device *device) {
        (void) device;
        fake_adapter_set(&fixture->fake, 0, true, false);
}

static void end_adapter_removed(struct fixture *fixture, struct fake_device *device) {
        (void) device;
        fake_adapter_set(&fixture->fake, 0, false, false);
}

static void end_service_killed(struct fixture *fixture, struct fake_device *device) {
        (void) device;
        fake_stop(&fixture->fake);
}

static void end_bus_killed(struct fixture *fixture, struct fake_device *device) {
        (void) device;
        fake_stop(&fixture->fake);
        private_bus_stop(&fixture->bus);
}

static void test_ends_table(void **state) {
        static const struct {
                void (*end)(struct fixture *fixture, struct fake_device *device);
                const char *name, *text;
        } rows[] = {
                { end_disconnected, "ble-disconnected", "Reason.Remote" },
                { end_disconnected_silently, "ble-disconnected", "ended" },
                { end_vanished, "ble-device-vanished", "dropped" },
                { end_switched_off, "adapter-off", "hci0" },
                { end_adapter_removed, "no-adapter", "" },
                { end_service_killed, "bluetoothd-not-running", "" },
                { end_bus_killed, "", "" },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                void *made;
                struct fixture *fixture;
                struct fake_device *device;

                assert_int_equal(fixture_setup(&made), 0);
                fixture = made;
                device = one_device(fixture);
                open_device(fixture, &fixture->one, KEY);
                open_link(fixture, &fixture->one);
                rows[i].end(fixture, device);
                LOOP_UNTIL(fixture->loop, fixture->one.n_closed);
                /* The link first, both with one reason, each once. */
                assert_string_equal(fixture->one.order, "DLld");
                if (rows[i].name[0])
                        assert_string_equal(fixture->one.why.name, rows[i].name);
                if (!strstr(fixture->one.why.text, rows[i].text))
                        fail_msg("row %zu: %s", i, fixture->one.why.text);
                assert_string_equal(fixture->one.link_why.name, fixture->one.why.name);
                assert_int_equal(fixture->one.link->ops->send(fixture->one.link, "x", 1), -ENOTCONN);
                close_opening(&fixture->one);
                assert_int_equal(fixture_teardown(&made), 0);
        }
}

/* A bluetoothd that comes back: everything is read anew, and the device can be opened again. */
static void test_service_restarts(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        open_device(fixture, &fixture->one, KEY);
        fake_stop(&fixture->fake);
        LOOP_UNTIL(fixture->loop, fixture->one.n_closed);
        close_opening(&fixture->one);
        start_opening(fixture, &fixture->one, KEY, 50);
        settle(fixture);
        fake_start(&fixture->fake);
        LOOP_UNTIL(fixture->loop, fixture->fake.adapters[0].discovering);
        fake_advertise(device);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened);
        close_opening(&fixture->one);
}

static void test_bus_restarts(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        open_device(fixture, &fixture->one, KEY);
        fake_stop(&fixture->fake);
        private_bus_stop(&fixture->bus);
        LOOP_UNTIL(fixture->loop, fixture->one.n_closed);
        close_opening(&fixture->one);
        private_bus_start(&fixture->bus);
        fake_start(&fixture->fake);
        fake_advertise(device);
        open_device(fixture, &fixture->one, KEY);
        close_opening(&fixture->one);
}

static void test_adapter_off_and_on(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        start_opening(fixture, &fixture->one, KEY, 0);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened);
        fake_adapter_set(&fixture->fake, 0, true, false);
        LOOP_UNTIL(fixture->loop, fixture->one.n_closed);
        close_opening(&fixture->one);
        start_opening(fixture, &fixture->one, KEY, 0);
        settle(fixture);
        assert_int_equal(fixture->one.n_opened + fixture->one.n_closed, 0);
        fake_adapter_set(&fixture->fake, 0, true, true);
        fake_advertise(device);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened);
        close_opening(&fixture->one);
}

/* ---- the owner closes whenever it likes */

static void test_closed_in_its_callbacks(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        fixture->one.close_when_opened = true;
        start_opening(fixture, &fixture->one, KEY, 0);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened && !device->connected);
        fixture->two.close_when_closed = true;
        open_device(fixture, &fixture->two, KEY);
        open_link(fixture, &fixture->two);
        fake_disconnect(device, "Timeout");
        LOOP_UNTIL(fixture->loop, fixture->two.n_closed);
        settle(fixture);
        assert_null(fixture->two.gatt);
}

static void test_closed_while_connecting(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        device->hold_connect = true;
        start_opening(fixture, &fixture->one, KEY, 0);
        LOOP_UNTIL(fixture->loop, fixture->fake.held);
        close_opening(&fixture->one);
        LOOP_UNTIL(fixture->loop, !fixture->fake.held); /* Disconnect ended it */
        device->hold_connect = false;
        open_device(fixture, &fixture->one, KEY);
        close_opening(&fixture->one);
}

/* The service answers Disconnect before it says so with the property: the next Connect must not take that for its own end. */
static void test_next_waits_for_the_property(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        open_device(fixture, &fixture->one, KEY);
        device->hold_lost = true;
        close_opening(&fixture->one);
        start_opening(fixture, &fixture->two, KEY, 0);
        LOOP_UNTIL(fixture->loop, fake_count(&fixture->fake, "Disconnect") == 1);
        settle(fixture);
        assert_int_equal(fake_count(&fixture->fake, "Connect"), 1);
        fake_disconnect(device, NULL);
        LOOP_UNTIL(fixture->loop, fixture->two.n_opened);
        assert_int_equal(fake_count(&fixture->fake, "Connect"), 2);
        close_opening(&fixture->two);
        start_opening(fixture, &fixture->three, KEY, 0);
        LOOP_UNTIL(fixture->loop, fake_count(&fixture->fake, "Connect") == 3); /* the property never comes */
        close_opening(&fixture->three);
}

static void test_open_twice(void **state) {
        struct fixture *fixture = *state;

        one_device(fixture);
        open_device(fixture, &fixture->one, KEY);
        start_opening(fixture, &fixture->two, KEY, 0);
        LOOP_UNTIL(fixture->loop, fixture->two.n_closed);
        assert_string_equal(fixture->two.why.name, "device-busy");
        close_opening(&fixture->two);
        close_opening(&fixture->one);
        /* The old one is only being disconnected: this waits for it. */
        open_device(fixture, &fixture->two, KEY);
        close_opening(&fixture->two);
}

/* ---- the queue of an adapter */

static void test_one_connects_at_a_time_and_priority(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *devices[3];
        static const char *const addresses[] = { "C0:00:00:00:00:01", "C0:00:00:00:00:02", "C0:00:00:00:00:03" };

        for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
                devices[i] = fake_add(&fixture->fake, addresses[i]);
                devices[i]->hold_connect = true;
                fake_advertise(devices[i]);
        }
        start_opening(fixture, &fixture->one, "C00000000001", 10);
        LOOP_UNTIL(fixture->loop, fixture->fake.held);
        start_opening(fixture, &fixture->two, "C00000000002", 10);
        start_opening(fixture, &fixture->three, "C00000000003", 90);
        settle(fixture);
        assert_int_equal(fake_count(&fixture->fake, "Connect"), 1);
        fake_release(&fixture->fake, NULL);
        LOOP_UNTIL(fixture->loop, fixture->fake.held);
        assert_int_equal(fixture->one.n_opened, 1);
        fake_release(&fixture->fake, NULL);
        LOOP_UNTIL(fixture->loop, fixture->fake.held);
        assert_int_equal(fixture->three.n_opened, 1); /* nearer its end */
        assert_int_equal(fixture->two.n_opened, 0);
        fake_release(&fixture->fake, NULL);
        LOOP_UNTIL(fixture->loop, fixture->two.n_opened);
        close_opening(&fixture->one);
        close_opening(&fixture->two);
        close_opening(&fixture->three);
}

static void test_sessions_at_once(void **state) {
        struct fixture *fixture = *state;
        static const char *const addresses[] = { "C0:00:00:00:00:01", "C0:00:00:00:00:02" };

        fixture->options.sessions = 1;
        fixture_again(fixture);
        for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
                fake_advertise(fake_add(&fixture->fake, addresses[i]));
        open_device(fixture, &fixture->one, "C00000000001");
        start_opening(fixture, &fixture->two, "C00000000002", 0);
        settle(fixture);
        assert_int_equal(fixture->two.n_opened, 0);
        close_opening(&fixture->one);
        LOOP_UNTIL(fixture->loop, fixture->two.n_opened);
        close_opening(&fixture->two);
}

/* The next turn goes to others while one pauses between its attempts. */
static void test_failing_device_does_not_hold_the_queue(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *bad = one_device(fixture);

        for (int i = 0; i < 4; i++)
                fake_fail(&bad->connect_errors, "Failed:le-connection-abort-by-local");
        fake_advertise(fake_add(&fixture->fake, "C0:00:00:00:00:02"));
        start_opening(fixture, &fixture->one, KEY, 0);
        start_opening(fixture, &fixture->two, "C00000000002", 0);
        LOOP_UNTIL(fixture->loop, fixture->two.n_opened);
        LOOP_UNTIL(fixture->loop, fixture->one.n_opened);
        close_opening(&fixture->one);
        close_opening(&fixture->two);
}

static void test_two_adapters(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *far = one_device(fixture), *near;

        fake_adapter_set(&fixture->fake, 1, true, true);
        far->rssi = -90;
        fake_advertise(far);
        near = fake_add(&fixture->fake, ADDRESS);
        near->adapter = 1;
        near->path[strlen("/org/bluez/hci")] = '1';
        near->rssi = -40;
        fake_advertise(near);
        watch_all(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_seen > 0);
        settle(fixture);
        open_device(fixture, &fixture->one, KEY);
        assert_true(near->connected);
        assert_false(far->connected);
        fake_adapter_set(&fixture->fake, 1, false, false);
        LOOP_UNTIL(fixture->loop, fixture->one.n_closed);
        assert_string_equal(fixture->one.why.name, "no-adapter");
        close_opening(&fixture->one);
        open_device(fixture, &fixture->one, KEY);
        assert_true(far->connected);
        close_opening(&fixture->one);
        ble_watch_end(fixture->watch);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_open_and_close),
                TEST(test_heard_first),
                TEST(test_never_heard),
                cmocka_unit_test(test_connect_table),
                TEST(test_connected_already),
                TEST(test_in_progress_is_taken_back),
                TEST(test_object_vanishes_while_connecting),
                TEST(test_unknown_object),
                TEST(test_hanging_connect_is_ended),
                TEST(test_resolved_before_its_objects),
                TEST(test_never_resolved),
                TEST(test_stale_table),
                TEST(test_service_is_really_missing),
                TEST(test_bonded_device_is_not_forgotten),
                TEST(test_bond_lost),
                cmocka_unit_test(test_ends_table),
                TEST(test_service_restarts),
                TEST(test_bus_restarts),
                TEST(test_adapter_off_and_on),
                TEST(test_closed_in_its_callbacks),
                TEST(test_closed_while_connecting),
                TEST(test_next_waits_for_the_property),
                TEST(test_open_twice),
                TEST(test_one_connects_at_a_time_and_priority),
                TEST(test_sessions_at_once),
                TEST(test_failing_device_does_not_hold_the_queue),
                TEST(test_two_adapters),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
