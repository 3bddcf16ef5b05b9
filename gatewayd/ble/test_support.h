/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For the tests of this floor: ble and a fake Bluetooth service on a private bus in one loop, and what the callbacks left behind.
 */

#include "ble/ble.h"
#include "ble/fake_bluez.h"
#include "loop/private_bus.h"
#include "loop/test_support.h"

#define KEY "DE063B974CD8"
#define ADDRESS "DE:06:3B:97:4C:D8"
#define TEST_HURRY 50 /* 25 s become half a second */

/* One device that is opened, with one link. */
struct opening {
        struct gw_gatt *gatt;
        struct gw_link *link;
        unsigned n_opened, n_closed, n_link_opened, n_link_closed, n_received, n_writable;
        struct gw_error why, link_why;
        uint8_t last[GW_GATT_ATTRIBUTE_MAX];
        size_t last_size;
        bool close_when_opened, close_when_closed;
        char order[64]; /* "Ll" link opened, closed; "Dd" device opened, closed */
};

struct fixture {
        struct loop *loop;
        struct private_bus bus;
        struct fake_bluez fake;
        struct ble *ble;
        struct ble_options options;
        struct opening one, two, three, four;
        /* watches, waits, tasks */
        unsigned n_seen, n_heard, n_done;
        char seen[GW_GATT_KEY_SIZE], heard[48], done[48], text[464];
        uint8_t data[GW_GATT_ATTRIBUTE_MAX];
        size_t data_size;
        struct gw_gatt_watch *watch;
        struct gw_gatt_wait *wait;
        struct gw_gatt_task *task;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* ble anew with the options of the fixture. */
void fixture_again(struct fixture *fixture);
/* Everything that was sent until now has arrived and was acted upon. */
void settle(struct fixture *fixture);

/* An advertising device with one SMP characteristic. */
struct fake_device *one_device(struct fixture *fixture);
void watch_all(struct fixture *fixture);
void start_opening(struct fixture *fixture, struct opening *opening, const char *key, uint32_t priority);
void open_device(struct fixture *fixture, struct opening *opening, const char *key); /* until it is open */
void start_link(struct fixture *fixture, struct opening *opening, const char *uuid, bool notify, enum gw_gatt_write write);
void open_link(struct fixture *fixture, struct opening *opening);
void close_opening(struct opening *opening);

void on_seen(void *ctx, const struct gw_gatt_peer *peer);
void on_heard(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why);
void on_done(void *ctx, const struct gw_error *why, const uint8_t *data, size_t size);
