/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What lies in a device's slots as JSON: one form for people, programs and the row of the store.
 */

#include <gatewayd/plugin.h>

#include "base/json.h"

/* Sets object[member] to [{image, slot, version, hash, flags, slot_size_bytes}]. -ENOMEM. */
int device_images_write(const struct gw_image *images, size_t n_images, struct json *object, const char *member);

/* Reads such a list; what is not understood is left out. At most GW_IMAGES_MAX. *ret_images may be NULL with *ret_n 0. -ENOMEM. */
int device_images_read(const struct json *list, struct gw_image **ret_images, size_t *ret_n);
