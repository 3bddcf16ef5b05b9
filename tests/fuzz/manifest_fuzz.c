/* SPDX-License-Identifier: Apache-2.0 */

/* Any text as manifest.json of a package. */

#include <stdlib.h>

#include "common/zip/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct manifest manifest;
        struct gw_error err = {};
        int r = manifest_parse((const char *) data, size, &manifest, &err);
        if ((r < 0) != (err.name[0] != '\0'))
                abort();
        if (r == 0 && (manifest.n_files == 0 || manifest.n_files > GW_PARTS_MAX))
                abort();
        return 0;
}
