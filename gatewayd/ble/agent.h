/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Our org.bluez.Agent1: the object that the Bluetooth service asks while it pairs. It exists only while one device is being paired
 * with because a person said so, answers for that device only, and refuses everything else.
 */

#include <systemd/sd-bus.h>

#include <gatewayd/plugin.h>

#include "ble/ble.h"

#define AGENT_PATH "/gatewayd/agent"

struct agent {
        sd_bus_slot *slot;
        enum ble_pairing pairing;
        const char *passkey_file;
        char device[160]; /* path of the one device */
        char key[GW_GATT_KEY_SIZE];
        bool passkey_given;
        struct gw_error refused; /* why it refused */
};

int agent_export(struct agent *agent, sd_bus *bus);
void agent_remove(struct agent *agent);
/* What it tells the service that it can do. */
const char *agent_capability(const struct agent *agent);
