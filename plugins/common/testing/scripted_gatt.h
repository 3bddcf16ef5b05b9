/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bluetooth for the tests of plugins: devices that advertise when the test says so, and are opened, read, written, paired with and
 * lost as it says. Characteristics as links are scripted links (scripted_host.h): `where` is "<key>/<uuid>", the test is their
 * other end.
 *
 *     struct scripted_gatt gatt;
 *     scripted_gatt_init(&gatt, &host);
 *     struct scripted_ble *sensor = scripted_ble_add(&gatt, "DE063B974CD8", "sensor");
 *     scripted_ble_characteristic(sensor, SMP_SERVICE, SMP_CHARACTERISTIC, GW_GATT_WRITE_COMMAND | GW_GATT_NOTIFY);
 *     scripted_ble_advertise(sensor);
 *     ...
 *     scripted_gatt_deinit(&gatt);             // before the host; asserts that nothing was left: devices, watches, waits, tasks
 */

#include "common/testing/scripted_host.h"

#define SCRIPTED_BLE_MAX 8
#define SCRIPTED_BLE_SERVICES_MAX 4
#define SCRIPTED_BLE_CHARACTERISTICS_MAX 8
#define SCRIPTED_BLE_MANUFACTURER_MAX 32

struct scripted_ble_characteristic {
        char service[GW_GATT_UUID_SIZE], uuid[GW_GATT_UUID_SIZE];
        uint32_t properties;
        uint8_t value[GW_GATT_ATTRIBUTE_MAX]; /* what a read gives, what a write left */
        size_t value_size;
        const char *fails; /* name of the error that every access to it ends with; NULL = works */
        struct gw_link *link;
};

/* One device. The members above the line may be changed by the test at any time. */
struct scripted_ble {
        char key[GW_GATT_KEY_SIZE];
        char name[32];
        enum gw_gatt_address_kind address_kind;
        int rssi_dbm, battery_percent;
        bool bonded;
        size_t max_datagram;      /* of its links; 244 */
        bool away;                /* opening it waits and ends with not-seen */
        const char *open_fails;   /* name of the error that opening it ends with; NULL = works */
        const char *pair_fails;
        char services[SCRIPTED_BLE_SERVICES_MAX][GW_GATT_UUID_SIZE]; /* that it advertises */
        size_t n_services;
        uint16_t company;
        uint8_t manufacturer[SCRIPTED_BLE_MANUFACTURER_MAX];
        size_t manufacturer_size; /* 0 = none */
        struct scripted_ble_characteristic characteristics[SCRIPTED_BLE_CHARACTERISTICS_MAX];
        size_t n_characteristics;
        /* ---- */
        struct scripted_gatt *gatt;
        struct gw_gatt *open;
        int64_t heard_ms, told_ms;
        char told_name[32];
        unsigned n_opened, n_forgotten, n_paired, n_unpaired;
        uint32_t priority; /* of the last opening */
};

struct scripted_gatt {
        struct scripted_host *host;
        const char *state; /* "adapter-off", ...; NULL = usable. Set it by scripted_gatt_set_state */
        struct scripted_ble devices[SCRIPTED_BLE_MAX];
        size_t n_devices;
        struct gw_gatt_watch *watches;
        struct gw_gatt_wait *waits;
        struct gw_gatt_task *tasks;
        unsigned n_scans;
};

/* The host offers Bluetooth from now on. */
void scripted_gatt_init(struct scripted_gatt *gatt, struct scripted_host *host);
/* Aborts when the plugin left something open. */
void scripted_gatt_deinit(struct scripted_gatt *gatt);
/* NULL: usable again. Else what is open ends with that name. */
void scripted_gatt_set_state(struct scripted_gatt *gatt, const char *state);

/* A device with a static address that is not heard until it advertises. `name` NULL: none. */
struct scripted_ble *scripted_ble_add(struct scripted_gatt *gatt, const char *key, const char *name);
struct scripted_ble_characteristic *scripted_ble_characteristic(struct scripted_ble *ble, const char *service, const char *uuid, uint32_t properties);
void scripted_ble_advertise_service(struct scripted_ble *ble, const char *uuid);
/* One advertisement: watches (at most once in 10 s, unless its name is another one) and waits hear it, from inside. */
void scripted_ble_advertise(struct scripted_ble *ble);
/* The connection goes away: links and tasks end, then the device, all with this name ("ble-disconnected"). Nothing when it is not open. */
void scripted_ble_lose(struct scripted_ble *ble, const char *name);
/* It lives on under another address (what firmware does that forgets its settings, or a bootloader). */
void scripted_ble_readdress(struct scripted_ble *ble, const char *key);
