/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/ble.h"

#include <string.h>

#include "base/cleanup.h"
#include "ble/test_support.h"

#define CONTROL "8ec90001-f315-4f60-9fb8-838830daea50"
#define PACKET "8ec90002-f315-4f60-9fb8-838830daea50"

static struct fake_characteristic *smp(struct fake_device *device) {
        return &device->characteristics[0];
}

static int send_link(struct opening *opening, const void *data, size_t size) {
        return opening->link->ops->send(opening->link, data, size);
}

static size_t max_datagram(struct opening *opening) {
        return opening->link->ops->max_datagram(opening->link);
}

/* A device that is open, with its link in that state. */
static struct fake_device *opened(struct fixture *fixture) {
        struct fake_device *device = one_device(fixture);

        open_device(fixture, &fixture->one, KEY);
        open_link(fixture, &fixture->one);
        return device;
}

static void test_both_directions(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = opened(fixture);
        char got[512];

        assert_non_null(strstr(fixture->fake.log, "StartNotify StopNotify AcquireNotify AcquireWrite "));
        assert_int_equal(max_datagram(&fixture->one), 244);
        assert_int_equal(send_link(&fixture->one, "hello", 5), 0);
        assert_int_equal(fake_take(smp(device), got, sizeof got), 5);
        assert_int_equal(send_link(&fixture->one, got, 245), -EMSGSIZE);
        fake_notify(device, smp(device), "good day", 8);
        LOOP_UNTIL(fixture->loop, fixture->one.n_received);
        assert_memory_equal(fixture->one.last, "good day", 8);
        close_opening(&fixture->one);
        LOOP_UNTIL(fixture->loop, fake_take(smp(device), got, sizeof got) == 0); /* its end is closed */
}

static void test_mtu_table(void **state) {
        static const struct {
                uint16_t mtu;
                size_t max_datagram;
        } rows[] = { { 23, 20 }, { 0, 20 }, { 185, 182 }, { 498, 495 }, { 515, 512 }, { 517, 512 } };
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                smp(device)->mtu = rows[i].mtu;
                open_device(fixture, &fixture->one, KEY);
                open_link(fixture, &fixture->one);
                assert_int_equal(max_datagram(&fixture->one), rows[i].max_datagram);
                close_opening(&fixture->one);
        }
}

/* What the device says between AcquireNotify and AcquireWrite waits for `opened`. */
static void test_nothing_is_lost_while_opening(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        open_device(fixture, &fixture->one, KEY);
        start_link(fixture, &fixture->one, FAKE_CHARACTERISTIC, true, GW_GATT_SEND_COMMAND);
        assert_int_equal(send_link(&fixture->one, "x", 1), -ENOTCONN);
        LOOP_UNTIL(fixture->loop, smp(device)->notify_fd >= 0);
        fake_notify(device, smp(device), "early", 5);
        LOOP_UNTIL(fixture->loop, fixture->one.n_received);
        assert_int_equal(fixture->one.n_link_opened, 1);
        close_opening(&fixture->one);
}

static void test_full_socket(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = opened(fixture);
        char block[244] = "x";
        size_t n_sent = 0, n_taken = 0;
        int r;

        while ((r = send_link(&fixture->one, block, sizeof block)) == 0)
                n_sent++;
        assert_int_equal(r, -EAGAIN);
        assert_true(fixture->one.link->ops->queued_bytes(fixture->one.link) > 0);
        settle(fixture);
        assert_int_equal(fixture->one.n_writable, 0);
        while (fake_take(smp(device), block, sizeof block) > 0)
                n_taken++;
        assert_int_equal(n_taken, n_sent);
        LOOP_UNTIL(fixture->loop, fixture->one.n_writable == 1);
        assert_int_equal(send_link(&fixture->one, block, sizeof block), 0);
        close_opening(&fixture->one);
}

/* ---- without sockets */

static void test_without_sockets(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        smp(device)->no_sockets = true;
        open_device(fixture, &fixture->one, KEY);
        open_link(fixture, &fixture->one);
        assert_true(smp(device)->notifying);
        assert_int_equal(max_datagram(&fixture->one), 20);
        for (int i = 0; i < BLE_LINK_WRITES_MAX; i++)
                assert_int_equal(send_link(&fixture->one, "abc", 3), 0);
        assert_int_equal(fixture->one.link->ops->queued_bytes(fixture->one.link), 3 * BLE_LINK_WRITES_MAX);
        assert_int_equal(send_link(&fixture->one, "abc", 3), -EAGAIN);
        LOOP_UNTIL(fixture->loop, fixture->one.n_writable == 1);
        LOOP_UNTIL(fixture->loop, smp(device)->n_written == BLE_LINK_WRITES_MAX);
        fake_notify(device, smp(device), "by signal", 9);
        LOOP_UNTIL(fixture->loop, fixture->one.n_received);
        assert_memory_equal(fixture->one.last, "by signal", 9);
        close_opening(&fixture->one);
        LOOP_UNTIL(fixture->loop, !smp(device)->notifying);
}

/* ---- refusals: at StartNotify (s: the probe), AcquireNotify (n), AcquireWrite (w) */

static struct fake_errors *errors_at(struct fake_characteristic *characteristic, char at) {
        return at == 's' ? &characteristic->start_errors : at == 'n' ? &characteristic->notify_errors : &characteristic->write_errors;
}

static void test_refusals_table(void **state) {
        static const struct {
                char at;
                const char *errors[3];
                bool paired;
                const char *ends; /* "" = opens */
        } rows[] = {
                { 's', { "NotPermitted:Not paired" }, false, "encryption-required" },
                { 's', { "Failed:Operation failed with ATT error: 0x0f" }, false, "encryption-required" },
                { 's', { "Failed:Operation failed with ATT error: 0x0e" }, false, "encryption-required" },
                { 's', { "NotAuthorized:Operation Not Authorized" }, false, "encryption-required" },
                { 's', { "Failed:Not connected" }, false, "ble-disconnected" },
                { 's', { "NotSupported:no" }, false, "" },
                { 's', { "InProgress:In Progress", "InProgress:In Progress" }, false, "" },
                { 's', { "NotPermitted:Not paired" }, true, "pairing-required" },
                { 's', { "NotPermitted:Notify acquired" }, false, "gatt-not-permitted" },
                { 'n', { "NotPermitted:Notify acquired" }, false, "gatt-not-permitted" },
                { 'w', { "NotPermitted:Write acquired" }, false, "gatt-not-permitted" },
                { 'n', { "NotPermitted:Not paired" }, false, "encryption-required" },
                { 'n', { "NotPermitted:Not paired" }, true, "pairing-required" },
                { 'n', { "Failed:Operation failed with ATT error: 0x0f" }, false, "encryption-required" },
                { 'n', { "NotAuthorized:Operation Not Authorized" }, false, "encryption-required" },
                { 'n', { "Failed:Operation failed with ATT error: 0x0e" }, false, "gatt-failed" },
                { 'w', { "Failed:Not connected" }, false, "ble-disconnected" },
                { 'w', { "org.freedesktop.DBus.Error.UnknownObject:gone" }, false, "ble-device-vanished" },
                { 'n', { "InProgress:In Progress", "InProgress:In Progress" }, false, "" },
                { 'w', { "InProgress:In Progress" }, false, "" },
                { 'n', { "NotSupported:no" }, true, "" },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                void *made;
                struct fixture *fixture;
                struct fake_device *device;

                assert_int_equal(fixture_setup(&made), 0);
                fixture = made;
                device = fake_add(&fixture->fake, ADDRESS);
                device->paired = rows[i].paired;
                fake_advertise(device);
                for (size_t j = 0; j < ARRAY_SIZE(rows[i].errors) && rows[i].errors[j]; j++)
                        fake_fail(errors_at(smp(device), rows[i].at), rows[i].errors[j]);
                open_device(fixture, &fixture->one, KEY);
                start_link(fixture, &fixture->one, FAKE_CHARACTERISTIC, true, GW_GATT_SEND_COMMAND);
                LOOP_UNTIL(fixture->loop, fixture->one.n_link_opened + fixture->one.n_link_closed > 0);
                if (strcmp(fixture->one.link_why.name, rows[i].ends) != 0)
                        fail_msg("row %zu (%s) ended with %s: %s", i, rows[i].errors[0], fixture->one.link_why.name, fixture->one.link_why.text);
                assert_int_equal(fixture->one.n_closed, 0); /* the device itself stays open */
                settle(fixture);
                if (rows[i].ends[0]) /* only what was started is stopped: a probe that was not refused */
                        assert_int_equal(fake_count(&fixture->fake, "StopNotify"), rows[i].at != 's');
                close_opening(&fixture->one);
                assert_int_equal(fixture_teardown(&made), 0);
        }
}

static void test_refused_without_a_question(void **state) {
        static const struct {
                const char *uuid;
                bool notify;
                enum gw_gatt_write write;
                const char *ends;
        } rows[] = {
                { "00002a19-0000-1000-8000-00805f9b34fb", true, GW_GATT_SEND_NONE, "gatt-characteristic-missing" },
                { FAKE_CHARACTERISTIC, true, GW_GATT_SEND_REQUEST, "gatt-not-permitted" },
                { FAKE_CHARACTERISTIC, true, GW_GATT_SEND_COMMAND, "gatt-not-permitted" }, /* open already, below */
                { PACKET, true, GW_GATT_SEND_COMMAND, "gatt-not-permitted" },
        };
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        fake_add_characteristic(device, PACKET, "write-without-response");
        open_device(fixture, &fixture->one, KEY);
        open_link(fixture, &fixture->one);
        fixture->two.gatt = fixture->one.gatt;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                start_link(fixture, &fixture->two, rows[i].uuid, rows[i].notify, rows[i].write);
                LOOP_UNTIL(fixture->loop, fixture->two.n_link_closed);
                assert_string_equal(fixture->two.link_why.name, rows[i].ends);
                fixture->two.link->ops->close(fixture->two.link);
        }
        assert_int_equal(fake_count(&fixture->fake, "AcquireNotify"), 1);
        close_opening(&fixture->one);
}

/* ---- the end of a link while the device stays */

static void test_hang_up(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = opened(fixture);

        fake_hide_table(device);
        LOOP_UNTIL(fixture->loop, fixture->one.n_link_closed);
        assert_string_equal(fixture->one.link_why.name, "link-lost");
        assert_int_equal(fixture->one.n_closed, 0);
        assert_int_equal(send_link(&fixture->one, "x", 1), -ENOTCONN);
        close_opening(&fixture->one);
}

/* In mid transfer: what is sent then fails at once, the reason comes with the device's end. */
static void test_hang_up_in_mid_transfer(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = opened(fixture);
        char block[244] = "x";

        while (send_link(&fixture->one, block, sizeof block) == 0)
                ;
        fake_disconnect(device, "Timeout");
        LOOP_UNTIL(fixture->loop, fixture->one.n_closed);
        assert_string_equal(fixture->one.order, "DLld");
        assert_string_equal(fixture->one.link_why.name, "ble-disconnected");
        assert_non_null(strstr(fixture->one.link_why.text, "Timeout"));
        close_opening(&fixture->one);
}

static void test_closed_while_acquiring(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        open_device(fixture, &fixture->one, KEY);
        start_link(fixture, &fixture->one, FAKE_CHARACTERISTIC, true, GW_GATT_SEND_COMMAND);
        LOOP_UNTIL(fixture->loop, smp(device)->notify_fd >= 0);
        fixture->one.link->ops->close(fixture->one.link);
        open_link(fixture, &fixture->one); /* the service hands over new sockets */
        assert_int_equal(send_link(&fixture->one, "x", 1), 0);
        close_opening(&fixture->one);
}

/* ---- several characteristics of one device, as Secure DFU needs them */

static void test_control_point_and_packets(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);
        struct fake_characteristic *control = fake_add_characteristic(device, CONTROL, "write notify");
        struct fake_characteristic *packet = fake_add_characteristic(device, PACKET, "write-without-response");
        char got[32];

        open_device(fixture, &fixture->one, KEY);
        start_link(fixture, &fixture->one, CONTROL, true, GW_GATT_SEND_REQUEST);
        fixture->two.gatt = fixture->one.gatt;
        start_link(fixture, &fixture->two, PACKET, false, GW_GATT_SEND_COMMAND);
        LOOP_UNTIL(fixture->loop, fixture->one.n_link_opened && fixture->two.n_link_opened);
        assert_int_equal(send_link(&fixture->one, "\6\1", 2), 0);
        assert_int_equal(send_link(&fixture->one, "\6\2", 2), -EAGAIN); /* one request at a time */
        assert_int_equal(send_link(&fixture->two, "packet", 6), 0);
        LOOP_UNTIL(fixture->loop, fixture->one.n_writable == 1);
        assert_memory_equal(control->value, "\6\1", 2);
        assert_int_equal(fake_take(packet, got, sizeof got), 6);
        fake_notify(device, control, "\x60\6\1", 3);
        LOOP_UNTIL(fixture->loop, fixture->one.n_received);
        assert_int_equal(fixture->two.n_received, 0);
        fixture->two.link->ops->close(fixture->two.link);
        close_opening(&fixture->one);
}

static void test_subscription_sends_nothing(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);

        open_device(fixture, &fixture->one, KEY);
        start_link(fixture, &fixture->one, FAKE_CHARACTERISTIC, true, GW_GATT_SEND_NONE);
        LOOP_UNTIL(fixture->loop, fixture->one.n_link_opened);
        assert_int_equal(send_link(&fixture->one, "x", 1), -EPERM);
        assert_int_equal(smp(device)->write_fd, -1);
        close_opening(&fixture->one);
}

/* ---- single reads and writes */

static void read_it(struct fixture *fixture, const char *uuid) {
        fixture->n_done = 0;
        assert_int_equal(ble_read(fixture->one.gatt, uuid, on_done, fixture, &fixture->task), 0);
}

static void test_read_and_write(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);
        struct fake_characteristic *control = fake_add_characteristic(device, CONTROL, "read write");

        open_device(fixture, &fixture->one, KEY);
        assert_int_equal(ble_write(fixture->one.gatt, CONTROL, "value", 5, GW_GATT_SEND_REQUEST, on_done, fixture, &fixture->task), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_done);
        assert_string_equal(fixture->done, "");
        read_it(fixture, CONTROL);
        LOOP_UNTIL(fixture->loop, fixture->n_done);
        assert_int_equal(fixture->data_size, 5);
        assert_memory_equal(fixture->data, "value", 5);
        fake_fail(&control->value_errors, "NotPermitted:Not paired");
        read_it(fixture, CONTROL);
        LOOP_UNTIL(fixture->loop, fixture->n_done);
        assert_string_equal(fixture->done, "encryption-required");
        read_it(fixture, FAKE_CHARACTERISTIC);
        LOOP_UNTIL(fixture->loop, fixture->n_done);
        assert_string_equal(fixture->done, "gatt-not-permitted");
        read_it(fixture, PACKET);
        LOOP_UNTIL(fixture->loop, fixture->n_done);
        assert_string_equal(fixture->done, "gatt-characteristic-missing");
        close_opening(&fixture->one);
        settle(fixture);
}

static void test_tasks_end_with_the_device(void **state) {
        struct fixture *fixture = *state;
        struct fake_device *device = one_device(fixture);
        struct gw_gatt_task *task;

        fake_add_characteristic(device, CONTROL, "read write");
        open_device(fixture, &fixture->one, KEY);
        for (int i = 0; i < BLE_TASKS_MAX; i++)
                read_it(fixture, CONTROL);
        assert_int_equal(ble_read(fixture->one.gatt, CONTROL, on_done, fixture, &task), -EBUSY);
        ble_task_cancel(fixture->task);
        fake_stop(&fixture->fake);
        LOOP_UNTIL(fixture->loop, fixture->one.n_closed);
        assert_int_equal(fixture->n_done, BLE_TASKS_MAX - 1);
        assert_string_equal(fixture->done, "bluetoothd-not-running");
        assert_int_equal(ble_read(fixture->one.gatt, CONTROL, on_done, fixture, &task), -ENOTCONN);
        close_opening(&fixture->one);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_both_directions),
                TEST(test_mtu_table),
                TEST(test_nothing_is_lost_while_opening),
                TEST(test_full_socket),
                TEST(test_without_sockets),
                cmocka_unit_test(test_refusals_table),
                TEST(test_refused_without_a_question),
                TEST(test_hang_up),
                TEST(test_hang_up_in_mid_transfer),
                TEST(test_closed_while_acquiring),
                TEST(test_control_point_and_packets),
                TEST(test_subscription_sends_nothing),
                TEST(test_read_and_write),
                TEST(test_tasks_end_with_the_device),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
