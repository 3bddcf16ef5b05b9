/* SPDX-License-Identifier: Apache-2.0 */
#include "transport.h"

#include <ctype.h>

/* "DE:06:3B:97:4C:D8" -> "DE063B974CD8"; false when it is no such address. */
static bool key_of_address(const char *address, char ret_key[GW_GATT_KEY_SIZE]) {
        char key[GW_GATT_KEY_SIZE];

        if (!address || strlen(address) != 17)
                return false;
        for (size_t i = 0, n = 0; i < 17; i++) {
                if (i % 3 == 2 ? address[i] != ':' : !isxdigit((unsigned char) address[i]))
                        return false;
                if (i % 3 != 2)
                        key[n++] = (char) toupper((unsigned char) address[i]);
        }
        key[GW_GATT_KEY_SIZE - 1] = '\0';
        memcpy(ret_key, key, sizeof key);
        return true;
}

void transport_ble_address(const char *key, char *ret_address, size_t size) {
        char address[18] = "";

        for (size_t i = 0; i < 6 && strlen(key) == GW_GATT_KEY_SIZE - 1; i++)
                snprintf(address + 3 * i, sizeof address - 3 * i, "%.2s%s", key + 2 * i, i < 5 ? ":" : "");
        snprintf(ret_address, size, "%s", address);
}

void transport_ble_key(const struct gw_host *host, const struct gw_device *device, char ret_key[GW_GATT_KEY_SIZE]) {
        if (!key_of_address(host->device->address(device), ret_key))
                snprintf(ret_key, GW_GATT_KEY_SIZE, "%s", host->device->key(device));
}

static int ble_open(const struct gw_host *host, const struct gw_device *device, struct transport_session *session, struct gw_error *err) {
        char key[GW_GATT_KEY_SIZE];
        struct smp_ble_options options = {
                .key = key,
                .priority = session->priority,
                .fresh_ms = session->fresh_ms,
                .match = session->match,
                .match_ctx = session->match_ctx,
        };
        struct gw_link *link;
        int r;

        transport_session_clear(session);
        transport_ble_key(host, device, key);
        transport_ble_address(key, session->where, sizeof session->where);
        r = smp_ble_open(host, &options, &smp_client_link_handler, session->client, &link);
        if (r < 0) {
                gw_error_set(err, r == -ENOTSUP ? "no-adapter" : "link-open-failed", "%s: %s", session->where,
                             r == -ENOTSUP ? "this gatewayd has no Bluetooth" : strerror(-r));
                return r;
        }
        session->ble = link;
        smp_client_attach(session->client, link, false);
        return 0;
}

void transport_look_at_peer(struct transport_session *session) {
        if (!session->ble)
                return;
        smp_ble_look(session->ble);
        session->peer = *smp_ble_peer(session->ble);
}

static void ble_opened(struct transport_session *session) {
        session->peer = *smp_ble_peer(session->ble);
        transport_ble_address(session->peer.key, session->where, sizeof session->where);
}

size_t transport_packet_max(const struct transport_session *session) {
        return session->ble ? smp_ble_peer(session->ble)->packet_max : SIZE_MAX;
}

const struct transport transport_ble = {
        .driver = "smp-ble",
        .kind = TRANSPORT_BLE,
        .scarce = true,
        .open = ble_open,
        .opened = ble_opened,
};
