/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <strings.h>

#include "common/smp/ble.h"

#define NAME_MAX_BYTES 128

void identity_next_key(const char *key, char ret_key[GW_GATT_KEY_SIZE]) {
        unsigned last = (unsigned) strtoul(key + GW_GATT_KEY_SIZE - 3, NULL, 16);
        char next[GW_GATT_KEY_SIZE];

        snprintf(next, sizeof next, "%.*s%02X", GW_GATT_KEY_SIZE - 3, key, (last + 1) & 0xffu);
        memcpy(ret_key, next, sizeof next);
}

static bool offers_smp(const struct gw_gatt_peer *peer) {
        for (size_t i = 0; i < peer->n_services; i++)
                if (strcmp(peer->services[i], SMP_BLE_SERVICE) == 0)
                        return true;
        return false;
}

static bool has_name(const struct gw_gatt_peer *peer, const char *name) {
        return name && name[0] && peer->name && strcmp(peer->name, name) == 0;
}

bool identity_may_be(const struct identity_question *question) {
        const struct gw_gatt_peer *peer = question->peer;
        char next[GW_GATT_KEY_SIZE];

        bool since_is_known = question->away_since_ms > 0;

        if (peer->address_kind == GW_GATT_ADDRESS_PRIVATE || question->peer_is_known)
                return false;
        if (since_is_known && question->peer_first_heard_ms < question->away_since_ms)
                return false;
        if (!offers_smp(peer) && !has_name(peer, question->name))
                return false;
        identity_next_key(question->key, next);
        return strcmp(peer->key, next) == 0 || (since_is_known && question->alone && has_name(peer, question->name));
}

bool identity_tells_apart(const char *serial) {
        static const char *const common[] = { "Zephyr Serial", "1234567890", "0123456789", "123456789", "N/A", "none", "unknown", "default" };

        for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
                if (strcasecmp(serial, common[i]) == 0)
                        return false;
        return strspn(serial, (char[]){ serial[0], '\0' }) < strlen(serial);
}

static enum identity_serial_match match_kind(const char *known, const char *stated) {
        if (!known || !known[0] || !stated || !stated[0])
                return IDENTITY_SERIAL_UNKNOWN;
        if (strcmp(known, stated) != 0)
                return IDENTITY_SERIAL_OTHER;
        return identity_tells_apart(known) ? IDENTITY_SERIAL_SAME : IDENTITY_SERIAL_UNKNOWN;
}

enum identity_serial_match identity_serial_match(const struct identity_serial *known, const struct identity_serial *stated) {
        enum identity_serial_match first = match_kind(known->device_information, stated->device_information);
        enum identity_serial_match second = match_kind(known->memfault, stated->memfault);

        return first > second ? first : second; /* one number that differs outweighs one that is the same */
}

bool identity_is_smp(const struct gw_gatt_peer *peer, const char *globs) {
        char glob[NAME_MAX_BYTES];

        if (offers_smp(peer))
                return true;
        while (peer->name && globs && *globs) {
                size_t size = strcspn(globs, " ,\t");

                if (size > 0 && size < sizeof glob) {
                        snprintf(glob, sizeof glob, "%.*s", (int) size, globs);
                        if (fnmatch(glob, peer->name, 0) == 0)
                                return true;
                }
                globs += size;
                globs += strspn(globs, " ,\t");
        }
        return false;
}
