/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SMP over Bluetooth LE: one GATT characteristic that takes write commands and notifies (Zephyr's smp_transport.rst, "Bluetooth").
 * There is no framing: a message goes out in pieces of what one packet carries, the length in its header says when it is whole.
 *
 *     [forget -> await a fresh advertisement ->] open the device -> [read its serial number ->] open the characteristic -> open
 *
 * The result is a datagram link; closing it closes the device, in whatever state it is. It uses the host's gatt and timer tables.
 * Errors of `closed` are those of struct gw_gatt_api.
 */

#include <gatewayd/plugin.h>

#include "common/smp/limits.h"

#define SMP_BLE_SERVICE "8d53dc1d-1db7-4cd3-868b-8a527460aa84"
#define SMP_BLE_CHARACTERISTIC "da2e7828-fbce-4e01-ae9e-261174997c48"
#define SMP_BLE_SERIAL_MAX 64 /* text of a serial number with its NUL */

struct smp_ble_options {
        const char *key;   /* of the device */
        uint32_t priority; /* 0..100, see struct gw_gatt_open_options */
        /*
         * > 0: the device was reset. What the Bluetooth service remembers of its table of services is dropped, and it is opened only after an
         * advertisement that was sent from now on; `not-seen` after so many ms. `match` may accept it under another address: gw_gatt_wait_options.
         */
        int64_t fresh_ms;
        bool (*match)(void *ctx, const struct gw_gatt_peer *peer);
        void *match_ctx;
};

/* -ENOTSUP: the host offers no Bluetooth; -EINVAL: no key; -ENOMEM. */
int smp_ble_open(const struct gw_host *host, const struct smp_ble_options *options, const struct gw_link_handler *handler, void *ctx,
                 struct gw_link **ret_link);

/* What is known of the device that was opened. */
struct smp_ble_peer {
        char key[GW_GATT_KEY_SIZE]; /* another one than asked for where `match` accepted it */
        char address[18];
        char serial[SMP_BLE_SERIAL_MAX]; /* number of its Device Information service; "" where it has none */
        bool bonded;
        int battery_percent; /* GW_BATTERY_UNKNOWN */
        size_t packet_max;   /* bytes: a message of at most that size needs no reassembly in the device */
};

/* Valid from `opened` on, as long as the link is. */
const struct smp_ble_peer *smp_ble_peer(const struct gw_link *link);
/* The battery may become known some messages later: brings the peer up to date. */
void smp_ble_look(struct gw_link *link);

/* ---- putting answers together; also what the fuzzer feeds */

struct smp_ble_assembly {
        uint8_t *bytes;
        size_t size, capacity;
        size_t wanted; /* 0 = no message is being received */
        int64_t heard_ms; /* its last packet */
        uint64_t n_broken; /* messages begun and never finished, packets without a beginning */
};

/*
 * The next packet. `message` gets what became whole, from inside, and must not deinit the assembly. Answers never share a packet. A packet
 * that cannot belong to the message under way begins a new one: notifications can be lost. 0 or -ENOMEM.
 */
int smp_ble_assembly_feed(struct smp_ble_assembly *assembly, int64_t now_ms, const uint8_t *data, size_t size,
                          void (*message)(void *ctx, const uint8_t *data, size_t size), void *ctx);
void smp_ble_assembly_deinit(struct smp_ble_assembly *assembly);
