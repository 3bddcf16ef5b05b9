/* SPDX-License-Identifier: Apache-2.0 */

/* The plugin: three drivers over the same steps, and the readers of the files that they take. */

#include <gatewayd/plugin.h>

#include "common/formats/formats.h"
#include "driver.h"
#include "tuning.h"

static int load(const struct gw_host *host, void **ret_plugin, struct gw_error *err) {
        size_t n_formats;
        const struct gw_format *const *formats = formats_all(&n_formats);
        int r = 0;

        for (size_t i = 0; i < n_formats && r == 0; i++)
                r = host->registry->format(host, formats[i], err);
        if (r == 0)
                r = host->registry->driver(host, &driver_serial, err);
        if (r == 0)
                r = host->registry->driver(host, &driver_udp, err);
        if (r == 0)
                r = host->registry->driver(host, &driver_ble, err);
        if (r < 0)
                return r;
        *ret_plugin = NULL; /* everything belongs to the drivers */
        return 0;
}

static void unload(void *plugin) {
        (void) plugin;
}

GW_PLUGIN_EXPORT(smp_gw_plugin) = {
        .abi = GW_ABI,
        .size = sizeof(struct gw_plugin),
        .name = "smp",
        .version = GW_VERSION,
        .summary = "Updates Zephyr devices with MCUmgr and MCUboot over Bluetooth LE, serial ports and UDP",
        .settings = tuning_plugin_settings,
        .errors = NULL, /* all names stand in the catalogue */
        .load = load,
        .unload = unload,
};
