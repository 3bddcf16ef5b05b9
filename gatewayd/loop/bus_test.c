/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/bus.h"

#include <stdlib.h>
#include <string.h>

#include "loop/private_bus.h"
#include "loop/test_support.h"
#include "loop/timer.h"

struct fixture {
        struct loop *loop;
        struct private_bus daemon;
        struct bus *bus;
        unsigned n_connected, n_disconnected, n_replies;
        bool free_when_connected, failed;
        struct gw_error why;
};

static void on_connected(void *ctx, sd_bus *connection) {
        struct fixture *fixture = ctx;

        assert_non_null(connection);
        fixture->n_connected++;
        if (fixture->free_when_connected) {
                bus_free(fixture->bus);
                fixture->bus = NULL;
        }
}

static void on_disconnected(void *ctx, const struct gw_error *why) {
        struct fixture *fixture = ctx;

        fixture->n_disconnected++;
        fixture->why = *why;
        assert_null(bus_connection(fixture->bus));
}

static const struct bus_handler handler = { on_connected, on_disconnected };

static int on_reply(sd_bus_message *reply, void *ctx, sd_bus_error *ret_error) {
        struct fixture *fixture = ctx;

        (void) ret_error;
        fixture->n_replies++;
        fixture->failed = sd_bus_message_is_method_error(reply, NULL) > 0;
        return 0;
}

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        assert_int_equal(loop_new(&fixture->loop), 0);
        private_bus_init(&fixture->daemon);
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        bus_free(fixture->bus);
        loop_free(fixture->loop);
        private_bus_deinit(&fixture->daemon);
        free(fixture);
        return 0;
}

static void connect_bus(struct fixture *fixture) {
        assert_int_equal(bus_new(fixture->loop, fixture->daemon.address, &handler, fixture, &fixture->bus), 0);
        assert_null(bus_connection(fixture->bus));
        LOOP_UNTIL(fixture->loop, fixture->n_connected > 0);
}

static void test_call(void **state) {
        struct fixture *fixture = *state;

        connect_bus(fixture);
        assert_int_equal(sd_bus_call_method_async(bus_connection(fixture->bus), NULL, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                                  "org.freedesktop.DBus", "ListNames", on_reply, fixture, ""),
                         1);
        LOOP_UNTIL(fixture->loop, fixture->n_replies > 0);
        assert_false(fixture->failed);
}

static int keep_silent(sd_bus_message *message, void *ctx, sd_bus_error *ret_error) {
        (void) message;
        (void) ctx;
        (void) ret_error;
        return 1; /* handled, but nobody answers */
}

/* Only the time limit of sd-bus ends this call, and only the loop's timer can notice it. */
static void test_time_limit_of_a_call(void **state) {
        struct fixture *fixture = *state;
        sd_bus_message *message = NULL;
        const char *name;
        sd_bus *self;

        connect_bus(fixture);
        self = bus_connection(fixture->bus);
        assert_true(sd_bus_add_object(self, NULL, "/silent", keep_silent, fixture) >= 0);
        assert_true(sd_bus_get_unique_name(self, &name) >= 0);
        assert_true(sd_bus_message_new_method_call(self, &message, name, "/silent", "org.example", "Ask") >= 0);
        assert_true(sd_bus_call_async(self, NULL, message, on_reply, fixture, 20000) >= 0);
        sd_bus_message_unref(message);
        LOOP_UNTIL(fixture->loop, fixture->n_replies > 0);
        assert_true(fixture->failed);
}

static void test_lost_and_back(void **state) {
        struct fixture *fixture = *state;

        connect_bus(fixture);
        assert_true(sd_bus_call_method_async(bus_connection(fixture->bus), NULL, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                             "org.freedesktop.DBus", "GetId", on_reply, fixture, "") >= 0);
        private_bus_stop(&fixture->daemon);
        LOOP_UNTIL(fixture->loop, fixture->n_disconnected == 1);
        assert_int_equal(fixture->n_replies, 1); /* answered, by whomever */
        assert_string_equal(fixture->why.name, "dbus-refused");
        private_bus_start(&fixture->daemon);
        LOOP_UNTIL(fixture->loop, fixture->n_connected == 2);
        assert_non_null(bus_connection(fixture->bus));
}

static void test_nobody_there(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(bus_new(fixture->loop, "unix:path=/nonexistent/bus", &handler, fixture, &fixture->bus), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_disconnected == 1);
        assert_non_null(strstr(fixture->why.text, "No such file"));
        assert_int_equal(fixture->n_connected, 0);
}

static void test_freed_in_its_callback(void **state) {
        struct fixture *fixture = *state;

        fixture->free_when_connected = true;
        connect_bus(fixture);
        loop_turn(fixture->loop);
        assert_null(fixture->bus);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_call, setup, teardown),
                cmocka_unit_test_setup_teardown(test_time_limit_of_a_call, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lost_and_back, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
                cmocka_unit_test_setup_teardown(test_freed_in_its_callback, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
