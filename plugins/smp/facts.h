/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the answers of a device mean for the registry: a run tells it by run->learned, a scan by device->seen. Texts and arrays of
 * the facts lie in the answers and in the caller's struct facts_room, and live as long as those.
 */

#include <gatewayd/plugin.h>

#include "common/smp/ble.h"
#include "common/smp/probe.h"

#define FACTS_ATTRIBUTES_MAX 12

struct facts_room {
        char mode[16], buffers[32];
        struct gw_attribute attributes[FACTS_ATTRIBUTES_MAX];
        struct gw_image images[GW_IMAGES_MAX];
};

/* The model as the device states it: Memfault's hardware version, else its board; NULL. */
const char *facts_model(const struct smp_probe_result *probed);
/* Of the device itself. */
void facts_add_device(struct gw_facts *facts, const struct smp_probe_result *probed, struct facts_room *room);
/* Of its Bluetooth side, as a connection showed it. */
void facts_add_peer(struct gw_facts *facts, const struct smp_ble_peer *peer, struct facts_room *room);
/* Of its slots, with the sizes that it told elsewhere, and the version that runs. */
void facts_add_images(struct gw_facts *facts, const struct smp_image_state *state, const struct smp_slot_info *info,
                      struct facts_room *room);
