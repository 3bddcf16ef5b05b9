/* SPDX-License-Identifier: Apache-2.0 */

/* A configuration of any bytes gives settings or mistakes, and settings without mistakes do not differ from themselves. */

#include <stdlib.h>

#include "config/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_settings_ struct settings *settings = NULL;

        if (settings_parse("fuzz.conf", (const char *) data, size, &errors, &settings) < 0)
                return 0;
        for (size_t i = 0; i < settings->n_devices; i++) {
                _cleanup_(setting_values_freep) struct gw_settings *values = NULL;

                if (settings_device_values(settings, &settings->devices[i], NULL, &errors, &values) < 0)
                        abort();
        }
        settings_source_find(settings, "https://fw.example/acme/a.bin");
        if (settings_diff(settings, settings, NULL, NULL) != 0)
                abort();
        return 0;
}
