/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The default gateway id (library gw_basesys): host name in lower case, other characters "-", then "-" and six hexadecimal
 * digits of the application-specific machine id (the machine id itself never leaves the machine).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define MACHINE_ID_GATEWAY_SIZE (STR_GATEWAY_ID_MAX + 1)

/* Pure: "Pi_Oslo.local" and 0x1a2b3c.. -> "pi-oslo-local-1a2b3c". Cuts the host name to fit; an empty one becomes "gateway". */
void machine_id_gateway_format(char dst[MACHINE_ID_GATEWAY_SIZE], const char *hostname, const uint8_t id[16]);

/* Reads host name and machine id. -ENOENT or -ENOMEDIUM without /etc/machine-id: then configure `id` in [gateway]. */
int machine_id_gateway_default(char dst[MACHINE_ID_GATEWAY_SIZE]);
