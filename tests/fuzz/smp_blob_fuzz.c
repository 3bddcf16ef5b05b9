/* SPDX-License-Identifier: Apache-2.0 */

/* A job's notes as they come back from the store. What is read is written again: the same bytes must come out. */

#include <stdlib.h>

#include "smp/blob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t again[BLOB_SIZE_MAX];
        struct blob blob;

        if (blob_read(data, size, &blob) < 0)
                return 0;
        if (blob_write(&blob, again) != size || memcmp(again, data, size) != 0)
                abort();
        return 0;
}
