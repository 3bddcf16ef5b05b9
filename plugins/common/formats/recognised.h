/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Formats that gatewayd knows by sight and cannot bring to a device: read() names what the file is and what it is for. The names
 * of the errors are format-recognised-no-driver; where the person can act at once, a better one (not-mcuboot for a binary that
 * only lacks its signature, modem-firmware-file).
 */

#include <gatewayd/plugin.h>

/* Zip archives, told apart by their manifests. */
extern const struct gw_format modem_zip_format;
extern const struct gw_format secure_dfu_format;
extern const struct gw_format legacy_dfu_format;
extern const struct gw_format mesh_dfu_format;
extern const struct gw_format bootloader_zip_format;
extern const struct gw_format suit_zip_format;

/* Told apart by their first bytes. */
extern const struct gw_format suit_format;
extern const struct gw_format intel_hex_format;
extern const struct gw_format elf_format;
extern const struct gw_format uf2_format;
extern const struct gw_format srecord_format;
extern const struct gw_format mender_format;
extern const struct gw_format rauc_format;
extern const struct gw_format swupdate_format;
extern const struct gw_format compressed_format;

/* A guess by the vector table at the start, or behind the room that is kept for the header. */
extern const struct gw_format unsigned_binary_format;
