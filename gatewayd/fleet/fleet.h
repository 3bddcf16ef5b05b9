/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The registry of devices: discovered, adopted, configured; their facts, and who is told when one is heard. It owns the devices and
 * their rows in the store: a change is written in the turn it happens, mere "heard again" (last seen, RSSI) at most once a
 * minute and in small portions. Only adopted devices may ever be written to; the fleet tells which are, update/ keeps to it.
 *
 * A pointer to a device is valid during the call that handed it out; whoever keeps one calls fleet_hold() and fleet_release().
 * Ten thousand devices are the measure: lookup by hash, nothing that walks them all per event.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"
#include "base/json_errors.h"
#include "base/time.h"
#include "config/settings.h"
#include "driver/registry.h"
#include "fleet/device.h"
#include "loop/loop.h"

struct fleet;
struct store;

struct fleet_options {
        struct loop *loop;
        struct store *store;
        const struct settings *settings; /* must outlive the fleet, or the next fleet_reload() */
        const struct driver_registry *registry;
        const struct clock *clock; /* NULL: clock_real() */
};

/* Loads the rows of the store and the [device NAME] sections (plugins are registered before). Mistakes in sections are those of
 * settings_device_values() and make it fail: -EINVAL with err `config-invalid`. */
int fleet_new(const struct fleet_options *options, struct fleet **ret_fleet, struct gw_error *err);
/* Writes what is unwritten. Every hold must have been released. */
void fleet_free(struct fleet *fleet);

/* Other settings: sections that came are added, changed ones taken over; where one vanished the device stays adopted only if that was
 * stated otherwise, too. The adoption list is read again by its own function. -EINVAL changes nothing. */
int fleet_reload(struct fleet *fleet, const struct settings *settings, struct gw_error *err);

/*
 * Reads the file `adoption_list` of the settings ("" : nothing) and adopts what it names: CSV with a header line or one id a line
 * (fleet/device_list.h). All mistakes go to errors with file, line and column; then nothing of the file is taken over: -EINVAL.
 */
int fleet_read_adoption_list(struct fleet *fleet, struct config_errors *errors);

/* --- facts; the functions behind struct gw_device_api.seen, .gone, .each and struct gw_run_api.learned --- */

/* -EINVAL for a driver or key that may not be, -ENOSPC when the registry is full of devices that may not be forgotten, -ENOMEM. */
int fleet_seen(struct fleet *fleet, const char *driver, const char *key, const struct gw_facts *facts);
void fleet_gone(struct fleet *fleet, const char *driver, const char *key);
/* It answered: counts as heard, too. */
int fleet_learned(struct fleet *fleet, const struct gw_device *device, const struct gw_facts *facts);
/* Every device of this driver that is adopted or configured. found() may adopt and forget. */
void fleet_each_of_driver(struct fleet *fleet, const char *driver, void (*found)(void *ctx, const struct gw_device *device), void *ctx);

/* --- looking --- */

struct gw_device *fleet_find(struct fleet *fleet, const char *id); /* NULL */
/* What a person typed: an id, else a name or key that exactly one device has. NULL with err device-unknown or device-ambiguous. */
struct gw_device *fleet_find_by_words(struct fleet *fleet, const char *words, struct gw_error *err);

/* All devices in the order of their ids; found() may adopt and forget. Sorts: for commands, not for every event. */
int fleet_each(struct fleet *fleet, void (*found)(void *ctx, struct gw_device *device), void *ctx);
/* Those whose id, key or name matches the glob. */
int fleet_match(struct fleet *fleet, const char *glob, void (*found)(void *ctx, struct gw_device *device), void *ctx);

struct fleet_counts {
        size_t n_devices;
        size_t n_adopted; /* configured ones included */
        size_t n_discovered;
        size_t n_configured;
        uint64_t n_dropped; /* heard but not taken in because the registry was full */
};
struct fleet_counts fleet_count(const struct fleet *fleet);

/* While held it is not freed: by the eviction of old ones, never; by fleet_forget(): refused. */
void fleet_hold(struct gw_device *device);
void fleet_release(struct fleet *fleet, struct gw_device *device);

/* --- changing, by persons. Names of errors: device-unknown, device-in-use (held), device-configured, params-invalid. --- */

/* NULL members leave what is there; "" takes it away. labels NULL: unchanged, an empty list: none. */
struct fleet_statement {
        const char *name;
        const char *model;
        const char *address;
        const struct str_list *labels;
};

/* Adopts; a device that was never heard is made (its driver must be registered: driver-unavailable). Adopting again changes the statement
 * only. *ret_device may be NULL. */
int fleet_adopt(struct fleet *fleet, const char *id, const struct fleet_statement *statement, struct gw_device **ret_device,
                struct gw_error *err);
int fleet_set(struct fleet *fleet, const char *id, const struct fleet_statement *statement, struct gw_error *err);
/* Removes device and row; what is heard again begins anew as discovered. */
int fleet_forget(struct fleet *fleet, const char *id, struct gw_error *err);

struct fleet_import {
        size_t n_adopted; /* were not before */
        size_t n_changed; /* were, and the statement differs */
        size_t n_unchanged;
};
struct fleet_import_source {
        const char *text;
        size_t size;
        bool dry_run; /* counts only */
};
/* A list as for the adoption list. -EINVAL with every mistake in errors (path "line 3, column 2") and nothing done. */
int fleet_import(struct fleet *fleet, const struct fleet_import_source *source, struct fleet_import *ret_import,
                 struct json_errors *errors);

/* --- results --- */

struct fleet_job_result {
        int64_t job_id;
        const char *result; /* result_name() or job_state_name() */
        const char *error;  /* NULL */
        int64_t time_ms;    /* wall clock */
};
int fleet_result(struct fleet *fleet, struct gw_device *device, const struct fleet_job_result *result);

/* --- listening --- */

enum fleet_event {
        FLEET_EVENT_SEEN,    /* heard or answered; after the facts were merged. Comes with CHANGED before it where something changed */
        FLEET_EVENT_CHANGED, /* adoption, labels, model, version, images, address: a selector may judge otherwise now */
        FLEET_EVENT_ADOPTED, /* was not before; its other facts may still change in this turn */
        FLEET_EVENT_GONE,
        FLEET_EVENT_FORGOTTEN, /* last chance to look at it */
};

/* Called from inside, also of what the listener itself does; any number. -ENOMEM. */
typedef void (*fleet_listener)(void *ctx, struct gw_device *device, enum fleet_event event);
int fleet_listen(struct fleet *fleet, fleet_listener listener, void *ctx);
void fleet_unlisten(struct fleet *fleet, fleet_listener listener, void *ctx);

DEFINE_CLEANUP(struct fleet *, fleet_free);
