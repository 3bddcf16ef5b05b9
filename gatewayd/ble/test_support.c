/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/test_support.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

static void swallow(enum log_level level, const struct log_fields *fields, const char *text, void *context) {
        (void) level;
        (void) fields;
        (void) text;
        (void) context;
}

void fixture_again(struct fixture *fixture) {
        ble_free(fixture->ble);
        assert_int_equal(ble_new(&fixture->options, &fixture->ble), 0);
}

int fixture_setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        if (!getenv("GW_TEST_LOG"))
                log_set_sink(swallow, NULL);
        assert_int_equal(loop_new(&fixture->loop), 0);
        private_bus_init(&fixture->bus);
        fake_init(&fixture->fake, fixture->loop, fixture->bus.address);
        fixture->options = (struct ble_options){
                .loop = fixture->loop, .bus_address = fixture->bus.address, .sessions = 3, .attempts = 5, .sysfs_root = "/nonexistent", .hurry = TEST_HURRY
        };
        fixture_again(fixture);
        *state = fixture;
        return 0;
}

int fixture_teardown(void **state) {
        struct fixture *fixture = *state;

        ble_free(fixture->ble);
        fake_deinit(&fixture->fake);
        loop_free(fixture->loop);
        private_bus_deinit(&fixture->bus);
        free(fixture);
        return 0;
}

static void probed(void *ctx, const struct gw_error *why) {
        (void) why;
        *(bool *) ctx = true;
}

void settle(struct fixture *fixture) {
        /* Twice: what arrived may have caused calls that were answered behind the first one. */
        for (int i = 0; i < 2; i++) {
                bool answered = false;

                assert_int_equal(ble_probe(fixture->ble, probed, &answered), 0);
                LOOP_UNTIL(fixture->loop, answered);
                loop_turn(fixture->loop);
                loop_turn(fixture->loop);
        }
}

struct fake_device *one_device(struct fixture *fixture) {
        struct fake_device *device = fake_add(&fixture->fake, ADDRESS);

        fake_advertise(device);
        return device;
}

/* ---- devices */

static void note(struct opening *opening, char what) {
        size_t used = strlen(opening->order);

        if (used + 1 < sizeof opening->order)
                opening->order[used] = what;
}

static void on_opened(void *ctx) {
        struct opening *opening = ctx;

        opening->n_opened++;
        note(opening, 'D');
        if (opening->close_when_opened)
                close_opening(opening);
}

static void on_closed(void *ctx, const struct gw_error *why) {
        struct opening *opening = ctx;

        opening->n_closed++;
        opening->why = *why;
        note(opening, 'd');
        if (opening->close_when_closed)
                close_opening(opening);
}

static const struct gw_gatt_handler device_handler = { on_opened, on_closed };

void start_opening(struct fixture *fixture, struct opening *opening, const char *key, uint32_t priority) {
        const struct gw_gatt_open_options options = { .size = sizeof options, .key = key, .priority = priority, .timeout_ms = 2500, .service = FAKE_SERVICE };

        *opening = (struct opening){ .close_when_opened = opening->close_when_opened, .close_when_closed = opening->close_when_closed };
        assert_int_equal(ble_open(fixture->ble, &options, &device_handler, opening, &opening->gatt), 0);
        assert_int_equal(opening->n_opened + opening->n_closed, 0);
}

void open_device(struct fixture *fixture, struct opening *opening, const char *key) {
        start_opening(fixture, opening, key, 0);
        LOOP_UNTIL(fixture->loop, opening->n_opened + opening->n_closed > 0);
        if (opening->n_closed)
                fail_msg("%s: %s: %s", key, opening->why.name, opening->why.text);
}

/* ---- links */

static void on_link_opened(void *ctx) {
        struct opening *opening = ctx;

        opening->n_link_opened++;
        note(opening, 'L');
}

static void on_received(void *ctx, const uint8_t *data, size_t size) {
        struct opening *opening = ctx;

        opening->n_received++;
        memcpy(opening->last, data, size);
        opening->last_size = size;
}

static void on_writable(void *ctx) {
        ((struct opening *) ctx)->n_writable++;
}

static void on_link_closed(void *ctx, const struct gw_error *why) {
        struct opening *opening = ctx;

        opening->n_link_closed++;
        opening->link_why = *why;
        note(opening, 'l');
}

static const struct gw_link_handler link_handler = { on_link_opened, on_received, on_writable, on_link_closed };

void start_link(struct fixture *fixture, struct opening *opening, const char *uuid, bool notify, enum gw_gatt_write write) {
        const struct gw_gatt_link_options options = { .size = sizeof options, .uuid = uuid, .notify = notify, .write = write };

        (void) fixture;
        opening->n_link_opened = opening->n_link_closed = 0;
        assert_int_equal(ble_link_open(opening->gatt, &options, &link_handler, opening, &opening->link), 0);
}

void open_link(struct fixture *fixture, struct opening *opening) {
        start_link(fixture, opening, FAKE_CHARACTERISTIC, true, GW_GATT_SEND_COMMAND);
        LOOP_UNTIL(fixture->loop, opening->n_link_opened + opening->n_link_closed > 0);
        if (opening->n_link_closed)
                fail_msg("%s: %s", opening->link_why.name, opening->link_why.text);
}

void close_opening(struct opening *opening) {
        if (opening->link)
                opening->link->ops->close(opening->link);
        ble_close(opening->gatt);
        opening->link = NULL;
        opening->gatt = NULL;
}

/* ---- hearing and tasks */

void on_seen(void *ctx, const struct gw_gatt_peer *peer) {
        struct fixture *fixture = ctx;

        fixture->n_seen++;
        (void) str_copy(fixture->seen, sizeof fixture->seen, peer->key);
}

void on_heard(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why) {
        struct fixture *fixture = ctx;

        fixture->n_heard++;
        fixture->wait = NULL;
        (void) str_copy(fixture->heard, sizeof fixture->heard, peer ? peer->key : why->name);
}

void on_done(void *ctx, const struct gw_error *why, const uint8_t *data, size_t size) {
        struct fixture *fixture = ctx;

        fixture->n_done++;
        (void) str_copy(fixture->done, sizeof fixture->done, why ? why->name : "");
        (void) str_copy(fixture->text, sizeof fixture->text, why ? why->text : "");
        fixture->data_size = size;
        if (size > 0)
                memcpy(fixture->data, data, size);
}

void watch_all(struct fixture *fixture) {
        const struct gw_gatt_watch_options options = { .size = sizeof options };

        assert_int_equal(ble_watch(fixture->ble, &options, on_seen, fixture, &fixture->watch), 0);
}
