/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One upload packet in bytes: keys, then data. Used by upload.c only. */

#include "common/smp/upload.h"

struct upload_packet {
        struct smp_chunk_keys keys;
        const uint8_t *sha; /* keys.sha_size bytes */
        size_t data_size;
};

/*
 * Writes the map into `payload` up to the data and returns where the data belongs, or NULL when it does not fit. `ret_size` gets the
 * bytes of the whole map, data included.
 */
uint8_t *upload_packet_write(const struct upload_packet *packet, uint8_t *payload, size_t capacity, size_t *ret_size);
