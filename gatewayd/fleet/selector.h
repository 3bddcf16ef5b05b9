/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Is this device meant? The `devices` member of a campaign document against what is known of a device. Pure. A fact that is not
 * known yet makes neither yes nor no: the job waits, and the report says for which member. That a device is adopted is not asked
 * here.
 */

#include "document/campaign.h"
#include "fleet/device.h"

enum fleet_selected {
        FLEET_SELECTED_YES,
        FLEET_SELECTED_NO,
        FLEET_SELECTED_UNKNOWN, /* the version is not known, or none that can be compared */
};

/* ret_member (NULL allowed) gets the member that decided, "ids", "labels", "name", "driver" or "version"; NULL with yes. A member that
 * says no decides before one that is unknown. */
enum fleet_selected fleet_select(const struct campaign_selector *selector, const struct gw_device *device, const char **ret_member);
