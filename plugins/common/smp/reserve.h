/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Room for the bytes of one message, kept from message to message and only ever grown.
 */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* -ENOMEM: what was there stays. */
static inline int smp_reserve(uint8_t **bytes, size_t *capacity, size_t size) {
        uint8_t *grown;

        if (size <= *capacity)
                return 0;
        grown = realloc(*bytes, size);
        if (!grown)
                return -ENOMEM;
        *bytes = grown;
        *capacity = size;
        return 0;
}
