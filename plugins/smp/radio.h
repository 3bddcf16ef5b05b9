/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * smp-ble's ear: which devices advertise. Devices that offer SMP, or have a name of `ble_names`, are reported seen with what they tell of
 * themselves; adopted ones whatever they advertise, under their own id wherever their address is now. Nothing is connected to. Costs nothing
 * until a device is adopted or somebody looks (`ble_listen`).
 */

#include "driver.h"

#define RADIO_HEARD_MAX 1024 /* devices whose first advertisement is remembered */

struct radio;

int radio_new(struct driver *driver, struct radio **ret_radio);
/* Ends everything without calling anybody. NULL is fine. */
void radio_free(struct radio *radio);
/* A device of this driver is in use: listen from now on. */
void radio_listen(struct radio *radio);
/* As gw_driver.scan. */
int radio_scan(struct radio *radio, int64_t duration_ms, void (*done)(void *ctx), void *ctx, struct gw_error *err);

/* When this device was heard first since the driver began; now_ms where it never was, or too long ago among too many. */
int64_t radio_first_heard_ms(const struct radio *radio, const char *key);
/* The name that it advertised last; NULL. */
const char *radio_name(const struct radio *radio, const char *key);
/* The device of the registry that is at this address now, or has this key; NULL. `except` is not looked at. */
const struct gw_device *radio_device_at(const struct radio *radio, const char *key, const struct gw_device *except);

/*
 * A device that nobody adopted said that its serial number is this one. Where exactly one adopted device has said the same, is no other model
 * and was not heard at its own address since this one is there, that is the one: it is reported seen at `address`. Texts that tell nothing
 * apart (an example's, all zeros) are never looked for. Returns its id's key, NULL.
 */
const char *radio_serial_heard(struct radio *radio, const struct gw_device *device, const char *serial, const char *address);
