/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SHA-256 (FIPS 180-4), here only so that this folder needs nothing but plugin.h. A plugin of the tree takes an engine of
 * plugins/common, one outside a library of its choice. No allocation, no state beside the struct.
 */

#include <stddef.h>
#include <stdint.h>

struct sha256 {
        uint32_t state[8];
        uint8_t block[64];
        uint64_t size_bytes;
};

void sha256_init(struct sha256 *sha);
void sha256_update(struct sha256 *sha, const void *data, size_t size);
void sha256_final(struct sha256 *sha, uint8_t ret_digest[32]);
