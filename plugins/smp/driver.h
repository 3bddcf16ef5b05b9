/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What all runs of one driver share: its transport, the list of running runs (a scan leaves their devices alone), the scan that
 * runs, and for serial ports which devices are plugged in, for Bluetooth who advertises. One for each driver;
 * the host owns none of it.
 */

#include <gatewayd/plugin.h>

#include "transport.h"

struct smp_run;
struct scan;
struct ports;
struct radio;

struct driver {
        const struct gw_host *host;
        const struct transport *transport;
        struct smp_run *runs;
        struct scan *scan;   /* NULL = none runs */
        struct ports *ports; /* serial only */
        struct radio *radio; /* Bluetooth only */
};

extern const struct gw_driver driver_serial;
extern const struct gw_driver driver_udp;
extern const struct gw_driver driver_ble;

/* A run of this device exists now. */
bool driver_has_run(const struct driver *driver, const char *key);

/* Pure: what an order would mean for a device, from what the registry knows of it. */
int driver_plan(const struct driver *driver, const struct gw_plan_request *request, struct gw_plan *ret_plan, struct gw_error *err);
