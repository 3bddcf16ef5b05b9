/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bluetooth addresses, keys and UUIDs as text. Pure.
 */

#include <gatewayd/plugin.h>

#define BLE_ADDRESS_SIZE 18 /* "DE:06:3B:97:4C:D8" with its NUL */

/* "DE:06:3B:97:4C:D8" -> "DE063B974CD8". -EINVAL: no address. */
int ble_key_from_address(const char *address, char ret_key[GW_GATT_KEY_SIZE]);
void ble_address_from_key(const char *key, char ret_address[BLE_ADDRESS_SIZE]);
/* Twelve hexadecimal digits in upper case? */
bool ble_is_key(const char *text);
/*
 * What the two highest bits of a random address say (Core specification, volume 6, part B, 1.3.2): 11 static, 01 resolvable and 00
 * non-resolvable private. `type` as the Bluetooth service tells it: "public" or "random".
 */
enum gw_gatt_address_kind ble_address_kind(const char *key, const char *type);
/* "8D53DC1D-..." or "2a19" or "0x2A19" -> 36 characters in lower case. -EINVAL. */
int ble_uuid_normalize(const char *text, char ret_uuid[GW_GATT_UUID_SIZE]);
