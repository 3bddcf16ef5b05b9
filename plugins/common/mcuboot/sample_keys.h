/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Keys whose private half is published in the MCUboot repository as a sample. An image signed with one proves nothing: anybody
 * can make such a signature, and a bootloader that takes it takes everybody's firmware.
 */

#include <stddef.h>
#include <stdint.h>

/* The name of the sample key with that hash (in imgtool's form, 32, 48 or 64 bytes), or NULL. Lives for ever. */
const char *mcuboot_sample_key_name(const uint8_t *hash, size_t hash_size);
