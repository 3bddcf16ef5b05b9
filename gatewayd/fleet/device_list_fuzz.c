/* SPDX-License-Identifier: Apache-2.0 */

/* A list of devices of any bytes: every mistake has a place, and what was read is well-formed. */

#include "fleet/device_list.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_mistake(void *ctx, unsigned line, unsigned column, const char *text) {
        (void) column;
        if (line == 0 || !text[0])
                abort();
        (*(size_t *) ctx)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(device_list_freep) struct device_list *list = NULL;
        size_t n_mistakes = 0;

        if (device_list_parse((const char *) data, size, on_mistake, &n_mistakes, &list) < 0)
                abort();
        for (size_t i = 0; n_mistakes == 0 && i < list->n_entries; i++)
                if (!str_is_device_id(list->entries[i].id))
                        abort();
        return 0;
}
