/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/address.h"

#include <ctype.h>

#include "base/str.h"

int ble_key_from_address(const char *address, char ret_key[GW_GATT_KEY_SIZE]) {
        char key[GW_GATT_KEY_SIZE];

        if (strlen(address) != BLE_ADDRESS_SIZE - 1)
                return -EINVAL;
        for (size_t i = 0; i < 6; i++) {
                const char *byte = address + 3 * i;

                if (!isxdigit((unsigned char) byte[0]) || !isxdigit((unsigned char) byte[1]) || (i < 5 && byte[2] != ':'))
                        return -EINVAL;
                key[2 * i] = (char) toupper((unsigned char) byte[0]);
                key[2 * i + 1] = (char) toupper((unsigned char) byte[1]);
        }
        key[GW_GATT_KEY_SIZE - 1] = '\0';
        memcpy(ret_key, key, sizeof key);
        return 0;
}

void ble_address_from_key(const char *key, char ret_address[BLE_ADDRESS_SIZE]) {
        for (size_t i = 0; i < 6; i++)
                (void) str_format(ret_address + 3 * i, 4, i < 5 ? "%.2s:" : "%.2s", key + 2 * i);
}

bool ble_is_key(const char *text) {
        return text && strlen(text) == GW_GATT_KEY_SIZE - 1 && strspn(text, "0123456789ABCDEF") == GW_GATT_KEY_SIZE - 1;
}

enum gw_gatt_address_kind ble_address_kind(const char *key, const char *type) {
        if (!str_equal(type, "random"))
                return GW_GATT_ADDRESS_PUBLIC;
        return strchr("CDEF", key[0]) ? GW_GATT_ADDRESS_STATIC : GW_GATT_ADDRESS_PRIVATE;
}

static bool is_long_uuid(const char *text) {
        if (strlen(text) != GW_GATT_UUID_SIZE - 1)
                return false;
        for (size_t i = 0; text[i]; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;

                if (dash ? text[i] != '-' : !isxdigit((unsigned char) text[i]))
                        return false;
        }
        return true;
}

int ble_uuid_normalize(const char *text, char ret_uuid[GW_GATT_UUID_SIZE]) {
        char expanded[GW_GATT_UUID_SIZE];
        size_t length;

        if (str_starts_with(text, "0x"))
                text += 2;
        length = strlen(text);
        if (length == 4 || length == 8)
                (void) str_format(expanded, sizeof expanded, "%s%s-0000-1000-8000-00805f9b34fb", length == 4 ? "0000" : "", text);
        else if (str_copy(expanded, sizeof expanded, text) < 0)
                return -EINVAL;
        if (!is_long_uuid(expanded))
                return -EINVAL;
        for (size_t i = 0; i < sizeof expanded; i++)
                ret_uuid[i] = (char) tolower((unsigned char) expanded[i]);
        return 0;
}
