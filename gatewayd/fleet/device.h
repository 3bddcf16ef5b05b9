/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One device of the registry: what is configured, what a person stated at its adoption, what it told itself, and what became of
 * its last job. The fleet (fleet/fleet.h) owns every device; others read the members and change nothing but through fleet_*().
 *
 * Three sources may state name, model, address and labels; the functions below say what counts: the configuration before the
 * adoption before what the device states. The model is different: there a contradiction is not resolved but named.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/json.h"
#include "base/list.h"
#include "base/str.h"
#include "base/str_list.h"

struct device_attribute {
        char *name;
        char *value;
};

struct gw_device {
        char id[STR_DEVICE_ID_SIZE]; /* <driver>:<key> */
        char driver[STR_DRIVER_MAX + 1];
        const char *key; /* within id */

        bool adopted;    /* may be written to: stated by a person, a list or auto_adopt, or configured */
        bool configured; /* has a [device NAME] section */
        bool present;    /* seen and not reported as gone since the daemon began */

        /* by the [device] section; NULL or empty where it says nothing */
        char *address_configured;
        char *model_configured;
        struct str_list labels_configured;
        struct gw_settings *driver_values;     /* keys of the driver's table; NULL unless configured */
        const struct gw_setting *driver_table; /* NULL: the driver is not registered, or has none */

        /* by a person at the adoption, device.set or the adoption list */
        bool adoption_stated;
        char *name_adopted;
        char *model_adopted;
        char *address_adopted;
        struct str_list labels_adopted;

        /* by the device */
        char *name_stated;
        char *model_stated;
        char *address_seen;
        char *version; /* of the running application */
        struct gw_image *images;
        size_t n_images;
        bool images_known; /* with n_images 0: it holds none */
        struct device_attribute *attributes;
        size_t n_attributes;
        int rssi_dbm;        /* GW_RSSI_UNKNOWN */
        int battery_percent; /* GW_BATTERY_UNKNOWN */

        int64_t first_seen_ms; /* wall clock; 0 never */
        int64_t last_seen_ms;

        /* of the last job; last_result_ms 0: there was none */
        int64_t last_job_id;
        char *last_result; /* result_name() or job_state_name() */
        char *last_error;  /* error name, NULL */
        int64_t last_result_ms;

        void *work; /* belongs to update/: its queue for this device; NULL when there is none */

        /* of the fleet */
        struct gw_device *hash_next;
        struct list order;          /* discovered ones: longest unheard first; others: by adoption; forgotten ones: to be freed */
        struct list unwritten;      /* linked: the row is older than the device */
        int64_t unwritten_since_ms; /* monotonic */
        bool row_stale;             /* more than last_seen_ms and rssi_dbm differs from the row */
        unsigned n_holds;
        bool forgotten;
};

/* --- what struct gw_device_api hands to plugins --- */

const char *device_key(const struct gw_device *device);
/* Configured, else adopted, else last seen; NULL. */
const char *device_address(const struct gw_device *device);
/* Effective model; NULL unknown or contradicted. */
const char *device_model_or_null(const struct gw_device *device);
/* What the [device] section says, then its facts, then the default of the driver's table; NULL. */
const char *device_attribute(const struct gw_device *device, const char *name);
/* The same as a number (a duration in ms, a size in bytes); keys of the driver's table only, else 0. */
int64_t device_attribute_number(const struct gw_device *device, const char *name);
const struct gw_image *device_images(const struct gw_device *device, size_t *ret_n);

/* --- what the daemon wants to know --- */

/* What a person calls it: adopted or configured name, else its own, else its key. Never NULL. */
const char *device_name(const struct gw_device *device);
/* It hides behind an address that changes by itself (attribute `address_type` = private): nobody would know it again, so it is never adopted. */
bool device_is_private(const struct gw_device *device);
/* Of the section and of the adoption together. */
bool device_has_label(const struct gw_device *device, const char *label);

/*
 * The effective model: what the device states, else what its section or adoption states. NULL with err `model-conflict` when both
 * are there and differ, with `model-unknown` when there is neither. err may be NULL.
 */
const char *device_model(const struct gw_device *device, struct gw_error *err);

/* {id, name, driver, state, model{...}, labels, address, version, images[...], ..., last_result{...}}: schemas/device.schema.json.
 * -ENOMEM. */
int device_describe(const struct gw_device *device, struct json **ret_json);
