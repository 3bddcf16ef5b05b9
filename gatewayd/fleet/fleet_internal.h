/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of fleet.h, shared by its files: the table of devices (fleet.c), what persons state (fleet_statements.c), the configuration
 * (fleet_configuration.c) and the portions in which rows are written (fleet_rows.c).
 *
 * A device that leaves while a walk goes on or somebody holds it is taken out of the table at once and freed later (`leaving`).
 */

#include "fleet/device_facts.h"
#include "fleet/fleet.h"
#include "loop/timer.h"

#define FLEET_LISTENERS_MAX 16
#define FLEET_WRITE_DELAY_MS 60000 /* mere "heard again" waits that long for its row */
#define FLEET_WRITE_PORTION 200    /* rows of one turn */
#define FLEET_WRITE_PAUSE_MS 50    /* between two portions */

struct fleet {
        struct loop *loop;
        struct store *store;
        const struct settings *settings;
        const struct driver_registry *registry;
        const struct clock *clock;

        struct gw_device **buckets;
        size_t n_buckets; /* a power of two */
        uint64_t hash_seed;
        size_t n_devices;
        size_t n_adopted;
        uint64_t n_dropped;

        struct list discovered; /* longest unheard first */
        struct list adopted;
        struct list leaving;
        struct list unwritten; /* longest waiting first */
        struct timer *write_timer;
        unsigned n_walks;

        struct {
                fleet_listener listener;
                void *ctx;
        } listeners[FLEET_LISTENERS_MAX];
        size_t n_listeners;
};

/* A new device in the table. devices-full when there is no room and nobody may go. */
int fleet_make(struct fleet *fleet, const char *id, struct gw_device **ret_device, struct gw_error *err);
/* Takes it out of table and store. */
void fleet_drop(struct fleet *fleet, struct gw_device *device);
/* Sets device->adopted from its reasons and moves it to the right list. */
void fleet_settle_adoption(struct fleet *fleet, struct gw_device *device);
void fleet_tell(struct fleet *fleet, struct gw_device *device, enum fleet_event event);

/* All devices sorted by id, during a walk: devices that leave stay readable (`forgotten`) until fleet_walk_end(). */
int fleet_walk_begin(struct fleet *fleet, struct gw_device ***ret_devices, size_t *ret_n);
void fleet_walk_end(struct fleet *fleet, struct gw_device **devices);

/* The row now; or some time soon (stale: the whole row, else last_seen and rssi only). */
int fleet_write_now(struct fleet *fleet, struct gw_device *device);
void fleet_write_soon(struct fleet *fleet, struct gw_device *device, bool stale);
/* Writes rows that have waited long enough, at most n_max. Called by the timer. */
void fleet_write_due(struct fleet *fleet, size_t n_max);
void fleet_write_all(struct fleet *fleet);

/* Takes over what the [device] sections of the settings say. -EINVAL: nothing was changed. */
int fleet_configure(struct fleet *fleet, const struct settings *settings, struct gw_error *err);
