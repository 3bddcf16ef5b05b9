/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One method call to the Bluetooth service, embedded in whoever waits for its answer. The answer comes once, later, by `answered`;
 * after call_cancel() it never comes. An answer also comes when the service or the bus goes away: an error then.
 */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

struct call {
        sd_bus_slot *slot; /* NULL: none is out */
        /* `error` NULL: it went well, and `reply` is at its first value. */
        void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error);
        void *ctx;
};

#define BLUEZ_NAME "org.bluez"
#define BLUEZ_ADAPTER "org.bluez.Adapter1"
#define BLUEZ_DEVICE "org.bluez.Device1"
#define BLUEZ_BATTERY "org.bluez.Battery1"
#define BLUEZ_SERVICE "org.bluez.GattService1"
#define BLUEZ_CHARACTERISTIC "org.bluez.GattCharacteristic1"

/* A message to fill with arguments; the caller sends or unreferences it. */
int call_prepare(sd_bus *bus, const char *path, const char *interface, const char *member, sd_bus_message **ret_message);
/* Takes the message (also on failure). No other call may be out. */
int call_send(struct call *call, sd_bus_message *message, uint32_t timeout_ms, void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error),
              void *ctx);
/* A call without arguments. */
int call_start(struct call *call, sd_bus *bus, const char *path, const char *interface, const char *member, uint32_t timeout_ms,
               void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error), void *ctx);
/* Sends and does not care. */
void call_forget(sd_bus *bus, const char *path, const char *interface, const char *member);
bool call_is_out(const struct call *call);
void call_cancel(struct call *call);
