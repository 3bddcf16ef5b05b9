/* SPDX-License-Identifier: Apache-2.0 */
#include "common/testing/scripted_gatt.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEY "DE063B974CD8"
#define SERVICE "8d53dc1d-1db7-4cd3-868b-8a527460aa84"
#define CHARACTERISTIC "da2e7828-fbce-4e01-ae9e-261174997c48"

/* What the callbacks left behind. */
struct heard {
        unsigned n_seen, n_opened, n_link_opened, n_received, n_done;
        char closed[48], link_closed[48], done[48], waited[48], peer[GW_GATT_KEY_SIZE];
};

struct fixture {
        struct scripted_host host;
        struct scripted_gatt gatt;
        struct scripted_ble *sensor;
        struct heard heard;
        struct gw_gatt *device;
        struct gw_link *link;
};

static void on_seen(void *ctx, const struct gw_gatt_peer *peer) {
        struct heard *heard = ctx;
        heard->n_seen++;
        snprintf(heard->peer, sizeof heard->peer, "%s", peer->key);
}

static void on_opened(void *ctx) {
        ((struct heard *) ctx)->n_opened++;
}

static void on_closed(void *ctx, const struct gw_error *why) {
        struct heard *heard = ctx;
        snprintf(heard->closed, sizeof heard->closed, "%s", why->name);
}

static void on_link_opened(void *ctx) {
        ((struct heard *) ctx)->n_link_opened++;
}

static void on_link_received(void *ctx, const uint8_t *data, size_t size) {
        (void) data;
        ((struct heard *) ctx)->n_received += (unsigned) size;
}

static void on_link_closed(void *ctx, const struct gw_error *why) {
        struct heard *heard = ctx;
        snprintf(heard->link_closed, sizeof heard->link_closed, "%s", why->name);
}

static void on_done(void *ctx, const struct gw_error *why, const uint8_t *data, size_t size) {
        struct heard *heard = ctx;
        (void) data;
        (void) size;
        heard->n_done++;
        snprintf(heard->done, sizeof heard->done, "%s", why ? why->name : "");
}

static void on_heard(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why) {
        struct heard *heard = ctx;
        snprintf(heard->waited, sizeof heard->waited, "%s", peer ? peer->key : why->name);
}

static const struct gw_gatt_handler device_handler = { on_opened, on_closed };
static const struct gw_link_handler link_handler = { .opened = on_link_opened, .received = on_link_received, .closed = on_link_closed };

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);
        scripted_host_init(&fixture->host, NULL);
        scripted_gatt_init(&fixture->gatt, &fixture->host);
        fixture->sensor = scripted_ble_add(&fixture->gatt, KEY, "sensor");
        scripted_ble_characteristic(fixture->sensor, SERVICE, CHARACTERISTIC, GW_GATT_WRITE_COMMAND | GW_GATT_NOTIFY);
        scripted_ble_advertise_service(fixture->sensor, SERVICE);
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        struct fixture *fixture = *state;
        scripted_gatt_deinit(&fixture->gatt);
        scripted_host_deinit(&fixture->host);
        free(fixture);
        return 0;
}

static void open_device(struct fixture *fixture) {
        const struct gw_gatt_open_options options = { .size = sizeof options, .key = KEY, .service = SERVICE };
        assert_int_equal(fixture->host.host.gatt->open(&fixture->host.host, &options, &device_handler, &fixture->heard, &fixture->device), 0);
        scripted_host_advance(&fixture->host, 0);
}

static void open_link(struct fixture *fixture, enum gw_gatt_write write) {
        const struct gw_gatt_link_options options = { .size = sizeof options, .uuid = CHARACTERISTIC, .notify = true, .write = write };
        assert_int_equal(fixture->host.host.gatt->link_open(fixture->device, &options, &link_handler, &fixture->heard, &fixture->link), 0);
        scripted_host_advance(&fixture->host, 0);
}

static void test_link_of_a_device_and_its_loss(void **state) {
        struct fixture *fixture = *state;
        const struct gw_gatt_api *api = fixture->host.host.gatt;
        open_device(fixture);
        assert_int_equal(fixture->heard.n_opened, 1);
        open_link(fixture, GW_GATT_SEND_COMMAND);
        assert_int_equal(fixture->heard.n_link_opened, 1);
        assert_int_equal(fixture->link->ops->max_datagram(fixture->link), 244);
        assert_int_equal(fixture->link->ops->send(fixture->link, "hello", 5), 0);
        scripted_link_receive(scripted_link_open_one(&fixture->host), "four", 4);
        assert_int_equal(fixture->heard.n_received, 4);
        scripted_ble_lose(fixture->sensor, "ble-disconnected");
        assert_string_equal(fixture->heard.link_closed, "ble-disconnected");
        assert_string_equal(fixture->heard.closed, "ble-disconnected");
        fixture->link->ops->close(fixture->link);
        api->close(fixture->device);
}

static void test_refusals(void **state) {
        struct fixture *fixture = *state;
        const struct gw_gatt_api *api = fixture->host.host.gatt;
        open_device(fixture);
        open_link(fixture, GW_GATT_SEND_REQUEST);
        assert_string_equal(fixture->heard.link_closed, "gatt-not-permitted");
        assert_int_equal(fixture->heard.n_link_opened, 0);
        fixture->link->ops->close(fixture->link);
        fixture->sensor->characteristics[0].fails = "encryption-required";
        open_link(fixture, GW_GATT_SEND_COMMAND);
        assert_string_equal(fixture->heard.link_closed, "encryption-required");
        fixture->link->ops->close(fixture->link);
        api->close(fixture->device);
        fixture->sensor->away = true;
        open_device(fixture);
        scripted_host_advance(&fixture->host, 60100);
        assert_string_equal(fixture->heard.closed, "not-seen");
        api->close(fixture->device);
}

static bool is_other(void *ctx, const struct gw_gatt_peer *peer) {
        (void) ctx;
        return strcmp(peer->name, "sensor") == 0;
}

static void test_watch_and_waits(void **state) {
        struct fixture *fixture = *state;
        const struct gw_gatt_api *api = fixture->host.host.gatt;
        const char *const services[] = { SERVICE };
        const struct gw_gatt_watch_options watched = { .size = sizeof watched, .services = services, .n_services = 1 };
        const struct gw_gatt_wait_options waited = { .size = sizeof waited, .key = KEY, .match = is_other, .timeout_ms = 1000 };
        struct gw_gatt_watch *watch;
        struct gw_gatt_wait *wait;
        assert_int_equal(api->watch(&fixture->host.host, &watched, on_seen, &fixture->heard, &watch), 0);
        scripted_ble_advertise(fixture->sensor);
        assert_int_equal(fixture->heard.n_seen, 1);
        assert_int_equal(api->wait(&fixture->host.host, &waited, on_heard, &fixture->heard, &wait), 0);
        scripted_ble_readdress(fixture->sensor, "DE063B974CD9");
        scripted_ble_advertise(fixture->sensor);
        assert_string_equal(fixture->heard.waited, "DE063B974CD9");
        assert_int_equal(api->wait(&fixture->host.host, &waited, on_heard, &fixture->heard, &wait), 0);
        scripted_host_advance(&fixture->host, 1000);
        assert_string_equal(fixture->heard.waited, "not-seen");
        api->watch_end(watch);
}

static void test_tasks(void **state) {
        struct fixture *fixture = *state;
        const struct gw_gatt_api *api = fixture->host.host.gatt;
        struct gw_gatt_task *task;
        assert_int_equal(api->pair(&fixture->host.host, KEY, on_done, &fixture->heard, &task), 0);
        scripted_host_advance(&fixture->host, 0);
        assert_true(fixture->sensor->bonded);
        assert_int_equal(api->forget(&fixture->host.host, KEY, on_done, &fixture->heard, &task), 0);
        scripted_host_advance(&fixture->host, 0);
        assert_string_equal(fixture->heard.done, "device-bonded");
        assert_int_equal(api->unpair(&fixture->host.host, KEY, on_done, &fixture->heard, &task), 0);
        api->task_cancel(task);
        scripted_host_advance(&fixture->host, 0);
        assert_true(fixture->sensor->bonded);
        assert_int_equal(fixture->heard.n_done, 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_link_of_a_device_and_its_loss, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
                cmocka_unit_test_setup_teardown(test_watch_and_waits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_tasks, setup, teardown),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
