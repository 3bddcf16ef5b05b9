/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/internal.h"

#include <dirent.h>
#include <fcntl.h>

/* --- rfkill: as the kernel shows it in class/rfkill --- */

static bool read_word(int folder, const char *name, const char *file, char *ret_word, size_t size) {
        char path[64];
        _cleanup_close_ int fd = -1;
        ssize_t n_read;
        if (str_format(path, sizeof path, "%s/%s", name, file) < 0)
                return false;
        fd = openat(folder, path, O_RDONLY | O_CLOEXEC);
        n_read = fd < 0 ? -1 : read(fd, ret_word, size - 1);
        if (n_read <= 0)
                return false;
        ret_word[n_read] = '\0';
        (void) str_trim(ret_word);
        return true;
}

static bool is_blocking(int folder, const char *entry, const char *adapter) {
        char name[32], soft[8], hard[8];
        if (!read_word(folder, entry, "name", name, sizeof name) || strcmp(name, adapter) != 0)
                return false;
        return (read_word(folder, entry, "soft", soft, sizeof soft) && soft[0] == '1') || (read_word(folder, entry, "hard", hard, sizeof hard) && hard[0] == '1');
}

bool adapter_is_blocked(const struct ble *ble, const struct adapter *adapter) {
        _cleanup_closedir_ DIR *folder = NULL;
        const struct dirent *entry;
        char path[512];
        if (adapter->powered || str_format(path, sizeof path, "%s/class/rfkill", ble->options.sysfs_root ? ble->options.sysfs_root : "/sys") < 0)
                return false;
        folder = opendir(path);
        while (folder && (entry = readdir(folder)))
                if (is_blocking(dirfd(folder), entry->d_name, adapter->name))
                        return true;
        return false;
}

/* --- which name --- */

bool adapter_is_usable(const struct adapter *adapter) {
        return adapter->used && adapter->powered;
}

/* The best one that may be used: one that works before one that is only off. */
static const struct adapter *best_adapter(const struct ble *ble) {
        const struct adapter *adapter, *best = NULL;
        LIST_FOREACH(adapter, &ble->objects.adapters, node)
                if (adapter->used && (!best || (adapter->powered && !best->powered)))
                        best = adapter;
        return best;
}

static void no_adapter(const struct ble *ble, struct gw_error *err) {
        if (ble->objects.n_adapters == 0)
                gw_error_set(err, "no-adapter", "the Bluetooth service knows no adapter");
        else
                gw_error_set(err, "no-adapter", "none of the %zu adapters is one of `adapters` in [ble]", ble->objects.n_adapters);
}

static void service_error(const struct ble *ble, struct gw_error *err) {
        switch (ble->bluez.state) {
        case BLUEZ_NO_BUS:
        case BLUEZ_REFUSED:
                *err = ble->bluez.error;
                break;
        case BLUEZ_ASKING:
                gw_error_set(err, "bluetoothd-not-running", "the Bluetooth service has been asked and has not answered yet");
                break;
        case BLUEZ_NOT_RUNNING:
                gw_error_set(err, "bluetoothd-not-running", "nobody owns the name org.bluez on the bus, or its owner does not answer");
                break;
        case BLUEZ_READY:
                break;
        }
}

void ble_state_error(const struct ble *ble, const struct adapter *adapter, struct gw_error *err) {
        if (!ble->begun)
                gw_error_set(err, "bluetoothd-not-running", "Bluetooth has not been asked for yet");
        else if (ble->bluez.state != BLUEZ_READY)
                service_error(ble, err);
        else if (!adapter && !(adapter = best_adapter(ble)))
                no_adapter(ble, err);
        else if (adapter_is_blocked(ble, adapter))
                gw_error_set(err, "adapter-blocked", "rfkill blocks %s", adapter->name);
        else if (!adapter->powered)
                gw_error_set(err, "adapter-off", "%s is switched off", adapter->name);
}

/* Nothing is known against a service that was not asked yet, or has not answered yet. */
int ble_state(struct ble *ble, struct gw_error *err) {
        struct gw_error why = { 0 };
        if (!ble->begun || ble->bluez.state == BLUEZ_ASKING)
                return 0;
        ble_state_error(ble, NULL, &why);
        if (!gw_error_is_set(&why))
                return 0;
        if (err)
                *err = why;
        return -ENODEV;
}

void ble_state_note(struct ble *ble) {
        struct gw_error why = { 0 };
        if (ble->bluez.state == BLUEZ_ASKING)
                return;
        ble_state_error(ble, NULL, &why);
        if (str_equal(why.name, ble->told_state))
                return;
        (void) str_copy(ble->told_state, sizeof ble->told_state, why.name);
        if (gw_error_is_set(&why))
                log_warning(&(struct log_fields){ .error = why.name }, "Bluetooth cannot be used: %s", why.text);
        else
                log_info(NULL, "Bluetooth can be used: adapter %s", best_adapter(ble)->name);
}

void ble_adapters(struct ble *ble, void (*found)(void *ctx, const struct gw_gatt_adapter *adapter), void *ctx) {
        const struct adapter *adapter, *next;
        LIST_FOREACH_SAFE(adapter, next, &ble->objects.adapters, node) {
                const struct gw_gatt *session;
                size_t n_waiting = 0;
                LIST_FOREACH(session, &ble->sessions, node)
                        n_waiting += session->state == SESSION_WAIT;
                found(ctx, &(struct gw_gatt_adapter){ .size = sizeof(struct gw_gatt_adapter),
                                                      .name = adapter->name,
                                                      .address = adapter->address,
                                                      .used = adapter->used,
                                                      .powered = adapter->powered,
                                                      .blocked = adapter_is_blocked(ble, adapter),
                                                      .discovering = discovery_is_on(adapter),
                                                      .n_sessions = adapter->n_sessions,
                                                      .n_waiting = n_waiting,
                                                      .service_version = adapter->version[0] ? adapter->version : NULL });
        }
}

/* --- words of the configuration --- */

static const char *const pairing_names[] = { [BLE_PAIRING_NEVER] = "never", [BLE_PAIRING_JUST_WORKS] = "just-works", [BLE_PAIRING_PASSKEY] = "passkey" };

const char *ble_pairing_name(const struct ble *ble) {
        return pairing_names[ble->options.pairing];
}

int ble_pairing_parse(const char *text, enum ble_pairing *ret_pairing) {
        for (size_t i = 0; i < ARRAY_SIZE(pairing_names); i++) {
                if (str_equal(text, pairing_names[i])) {
                        *ret_pairing = (enum ble_pairing) i;
                        return 0;
                }
        }
        return -EINVAL;
}
