/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The devices themselves: making and freeing one, merging what it tells of itself, and its row in the store. Texts that a device
 * states are foreign: made harmless to show and cut to their limits before they are kept.
 */

#include "config/setting_values.h"
#include "fleet/device.h"
#include "store/device_table.h"

#define DEVICE_ATTRIBUTES_MAX 32

/* id is well-formed. NULL: no memory. */
struct gw_device *device_new(const char *id);
void device_free(struct gw_device *device);
DEFINE_CLEANUP(struct gw_device *, device_free);

enum device_change {
        DEVICE_CHANGE_FACTS = 1 << 0, /* name, model, address, version, images: selectors look at them */
        DEVICE_CHANGE_SMALL = 1 << 1, /* battery, attributes */
};

/* NULL, empty or unknown members of facts leave the old value; facts NULL: nothing. -ENOMEM: merged in part. */
int device_merge(struct gw_device *device, const struct gw_facts *facts, unsigned *ret_changes);

/* Replaces a text of the device; NULL or "": none. *changed becomes true where it differs and stays otherwise. -ENOMEM. */
int device_text_set(char **dst, const char *text, bool *changed);

/* Takes the texts of the row over. -EINVAL: the row is of no use (its id is none). */
int device_from_row(struct device_row *row, struct gw_device **ret_device);
/* Writes the whole row. */
int device_put(struct store *store, const struct gw_device *device);
