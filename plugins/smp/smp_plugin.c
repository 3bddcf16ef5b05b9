/* SPDX-License-Identifier: Apache-2.0 */

/* The plugin: two drivers over the same steps, and the readers of the files that they take. */

#include <gatewayd/plugin.h>

#include "common/formats/formats.h"
#include "driver.h"
#include "tuning.h"

/* Names that only this plugin uses; all others stand in the catalogue. */
static const struct gw_error_info errors[] = {
        { "smp-bootloader-unsupported", GW_ERROR_TERMINAL, "The device updates through a firmware loader in its other slot, which no driver supports.",
          "Update it with the maker's tool, or build it with a bootloader mode that swaps." },
        { "smp-image-not-chosen", GW_ERROR_TERMINAL, "The new image lies in its slot, but the direct-XIP bootloader runs the old one.",
          "Its version must be higher, and it must be linked for the slot that was free: compare both in `gatewayctl package inspect`." },
        { "smp-stuck-in-bootloader", GW_ERROR_TERMINAL, "After the reset the bootloader's serial recovery answers and no image runs.",
          "Look at the bootloader's console: no valid image in the slot, or its recovery pin is set. Upload again; if requests right after the reset "
          "keep it there, raise quiet_after_reset." },
        { "upload-mismatch", GW_ERROR_RETRY, "The device compared what it stored with the file's SHA-256, and they differ.",
          "Bytes were changed on the way or by its flash; if it happens again, look at the flash and the link." },
        { "smp-message-too-small", GW_ERROR_TERMINAL, "The device's messages are too small for an upload: the first one must hold 32 bytes of the image.",
          "Raise its buffer (CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE) or message_max in the configuration." },
        { .name = NULL },
};

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
        .summary = "Updates Zephyr devices with MCUmgr and MCUboot over serial ports and UDP",
        .settings = tuning_plugin_settings,
        .errors = errors,
        .load = load,
        .unload = unload,
};
