/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as the text before a wrapped image. */

#include <stdlib.h>

#include "common/wrapped/wrapped_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct gw_package package;
        struct gw_error err = { 0 };
        size_t header_size = 0;
        int r = wrapped_header_parse((const char *) data, size, &package, &header_size, &err);

        if ((r < 0) != gw_error_is_set(&err))
                abort();
        if (r == 0 && (header_size > size || package.n_compatible == 0 || !package.version[0]))
                abort();
        return 0;
}
