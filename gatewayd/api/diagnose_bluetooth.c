/* SPDX-License-Identifier: Apache-2.0 */
#include "api/diagnose.h"

#include <sys/utsname.h>

#include "base/str.h"
#include "ble/ble.h"
#include "ble/kernel.h"

/* The probe was a real call over the bus, as the daemon's user: what a person can do elsewhere (bluetoothctl as root, outside of the
 * container) proves nothing about it. */

struct seen_adapters {
        struct diagnosis *diagnosis;
        size_t n;
};

static void adapter_found(void *ctx, const struct gw_gatt_adapter *adapter) {
        struct seen_adapters *seen = ctx;
        bool good = adapter->used && adapter->powered && !adapter->blocked;
        seen->n++;
        finding(seen->diagnosis, "bluetooth", good || !adapter->used ? FINDING_OK : FINDING_WARNING, "adapter %s, %s%s%s: %s, %zu devices connected, %zu waiting",
                adapter->name, adapter->address, adapter->service_version ? ", BlueZ " : "", adapter->service_version ? adapter->service_version : "",
                !adapter->used     ? "not to be used (`adapters` in [ble])"
                : adapter->blocked ? "blocked by rfkill"
                : adapter->powered ? "on"
                                   : "off",
                adapter->n_sessions, adapter->n_waiting);
}

static void check_pairing(struct diagnosis *diagnosis) {
        const char *pairing = ble_pairing_name(diagnosis->options->ble);
        finding(diagnosis, "bluetooth", FINDING_OK, "pairing: %s", pairing);
        if (str_equal(pairing, "passkey") && !diagnosis->options->settings->ble.passkey_file[0]) {
                finding(diagnosis, "bluetooth", FINDING_WARNING, "pairing is `passkey`, but no passkey_file is set");
                remedy_of(diagnosis, "passkey-missing");
        }
}

static void check_kernel(struct diagnosis *diagnosis) {
        struct utsname kernel;
        if (uname(&kernel) < 0 || !ble_kernel_fails(kernel.release, kernel.version))
                return;
        finding(diagnosis, "bluetooth", FINDING_WARNING, "this kernel (%s, %s) may fail when a Bluetooth connection ends (hci_chan_del)", kernel.release,
                kernel.version);
        remedy(diagnosis, "Start another kernel, such as an earlier one that is still installed (`dpkg -l 'linux-image-*'`). docs/BLUETOOTH.md says which are known to fail.");
}

static void note_bluetooth(void *ctx, struct gw_device *device) {
        bool *used = ctx;
        *used |= device->adopted && device_attribute(device, "address_type");
}

/* A gateway without Bluetooth devices needs no adapter. Who asks without a daemon is not told how many there are. */
static enum finding_level level_of_trouble(const struct diagnosis *diagnosis) {
        bool used = !diagnosis->options->fleet;
        if (diagnosis->options->fleet)
                (void) fleet_each(diagnosis->options->fleet, note_bluetooth, &used);
        return used ? diagnosis->options->fleet ? FINDING_ERROR : FINDING_WARNING : FINDING_OK;
}

void diagnose_bluetooth(struct diagnosis *diagnosis, const struct gw_error *why) {
        struct seen_adapters seen = { .diagnosis = diagnosis };
        if (!diagnosis->options->ble)
                return;
        if (why && gw_error_is_set(why)) {
                enum finding_level level = level_of_trouble(diagnosis);
                finding(diagnosis, "bluetooth", level, "Bluetooth cannot be used (%s)%s: %s", why->name,
                        level == FINDING_OK ? ", and no adopted device needs it" : "", why->text);
                if (level != FINDING_OK)
                        remedy_of(diagnosis, why->name);
        } else {
                finding(diagnosis, "bluetooth", FINDING_OK, "the Bluetooth service answers gatewayd");
        }
        ble_adapters(diagnosis->options->ble, adapter_found, &seen);
        check_pairing(diagnosis);
        check_kernel(diagnosis);
}
