/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bluetooth LE through BlueZ: the engine behind struct gw_gatt_api (plugin.h), whose contracts hold here word for word. Nothing is
 * connected to and nobody listens before the first of its functions is called: a gateway without Bluetooth devices pays nothing.
 *
 *     bluez.c      follows the service over the bus: who owns its name, which objects exist    -> objects.h
 *     discovery.c  an adapter's scan: on while somebody wants it, off while one connects
 *     hearing.c    advertisements to watches, waits and scans
 *     queue.c      whose turn it is on which adapter
 *     session.c    one device: connect, retry, services, end
 *     link.c       a characteristic as datagram link;  access.c: single reads and writes
 *     pairing.c    pair, unpair, forget, with agent.c and passkeys.c
 *     state.c      what is wrong, in one word
 *
 * Whatever a message says is stored at once and acted upon in the same turn of the loop, but by ble_work(), never from inside the
 * message's callback: so everything may be closed from every callback.
 */

#include <gatewayd/plugin.h>

#include "base/str_list.h"
#include "loop/loop.h"

enum ble_pairing {
        BLE_PAIRING_NEVER,
        BLE_PAIRING_JUST_WORKS,
        BLE_PAIRING_PASSKEY,
};

struct ble_options {
        struct loop *loop;
        const char *bus_address;      /* NULL: the system bus */
        const struct str_list *adapters; /* names or addresses; NULL or empty: all. Must outlive ble, as the texts below */
        size_t sessions;              /* devices open at once on one adapter */
        unsigned attempts;            /* to connect */
        bool power;                   /* switch an adapter on when it appears */
        enum ble_pairing pairing;
        const char *passkey_file;     /* NULL or "": none */
        const char *sysfs_root;       /* NULL: "/sys" */
        unsigned hurry;               /* tests: the times of limits.h are divided by it; 0 = 1 */
};

struct ble;

int ble_new(const struct ble_options *options, struct ble **ret_ble);
/* Everything that was handed out is closed. Devices that still are being disconnected are left to the service. NULL is fine. */
void ble_free(struct ble *ble);

/*
 * For a diagnosis: asks the service anew, with a real call, and answers within 10 s. `why` NULL: Bluetooth can be used; else one of the
 * states. Nothing is handed out; a second probe while one runs is -EBUSY.
 */
int ble_probe(struct ble *ble, void (*done)(void *ctx, const struct gw_error *why), void *ctx);
void ble_probe_cancel(struct ble *ble);
/* "never", "just-works", "passkey". */
const char *ble_pairing_name(const struct ble *ble);
int ble_pairing_parse(const char *text, enum ble_pairing *ret_pairing);

int ble_state(struct ble *ble, struct gw_error *err);
void ble_adapters(struct ble *ble, void (*found)(void *ctx, const struct gw_gatt_adapter *adapter), void *ctx);

int ble_watch(struct ble *ble, const struct gw_gatt_watch_options *options, void (*seen)(void *ctx, const struct gw_gatt_peer *peer), void *ctx,
              struct gw_gatt_watch **ret_watch);
void ble_watch_end(struct gw_gatt_watch *watch);
void ble_peers(struct ble *ble, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx);
int ble_scan(struct ble *ble, int64_t duration_ms, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
int ble_wait(struct ble *ble, const struct gw_gatt_wait_options *options,
             void (*heard)(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why), void *ctx, struct gw_gatt_wait **ret_wait);
void ble_wait_cancel(struct gw_gatt_wait *wait);

int ble_open(struct ble *ble, const struct gw_gatt_open_options *options, const struct gw_gatt_handler *handler, void *ctx, struct gw_gatt **ret_gatt);
void ble_close(struct gw_gatt *gatt);
void ble_set_priority(struct gw_gatt *gatt, uint32_t priority);
void ble_characteristics(struct gw_gatt *gatt, void (*found)(void *ctx, const struct gw_gatt_characteristic *characteristic), void *ctx);
int ble_peer(struct gw_gatt *gatt, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx);
int ble_link_open(struct gw_gatt *gatt, const struct gw_gatt_link_options *options, const struct gw_link_handler *handler, void *ctx, struct gw_link **ret_link);
int ble_read(struct gw_gatt *gatt, const char *uuid, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
int ble_write(struct gw_gatt *gatt, const char *uuid, const void *data, size_t size, enum gw_gatt_write kind, gw_gatt_done done, void *ctx,
              struct gw_gatt_task **ret_task);

int ble_forget(struct ble *ble, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
int ble_pair(struct ble *ble, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
int ble_unpair(struct ble *ble, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
void ble_bonds(struct ble *ble, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx);
void ble_task_cancel(struct gw_gatt_task *task);
