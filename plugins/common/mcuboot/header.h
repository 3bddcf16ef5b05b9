/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The 32 bytes at the start of an MCUboot image, and its version number. Pure functions over bytes; nothing is owned.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#define MCUBOOT_HEADER_SIZE 32u
#define MCUBOOT_MAGIC 0x96f3b83du
#define MCUBOOT_MAGIC_2017 0x96f3b83cu /* the format before 2018; no bootloader of today takes it */

enum mcuboot_flag {
        MCUBOOT_ENCRYPTED_AES128 = 0x4,
        MCUBOOT_ENCRYPTED_AES256 = 0x8,
        MCUBOOT_NON_BOOTABLE = 0x10,
        MCUBOOT_RAM_LOAD = 0x20,
        MCUBOOT_ROM_FIXED = 0x100,
        MCUBOOT_LZMA1 = 0x200,
        MCUBOOT_LZMA2 = 0x400,
};

struct mcuboot_version {
        uint8_t major, minor;
        uint16_t revision;
        uint32_t build;
};

struct mcuboot_header {
        uint32_t load_address;   /* where it is to lie; only with MCUBOOT_RAM_LOAD or MCUBOOT_ROM_FIXED, else 0 */
        uint16_t header_size;    /* bytes up to the body */
        uint16_t protected_size; /* bytes of the protected TLV area with its own header, 0 = none */
        uint32_t body_size;
        uint32_t flags; /* enum mcuboot_flag and others */
        struct mcuboot_version version;
};

/* not-mcuboot, or image-malformed: -EBADMSG. `size` is what there is, at least 0. */
int mcuboot_header_parse(const uint8_t *bytes, size_t size, struct mcuboot_header *ret_header, struct gw_error *err);

static inline bool mcuboot_header_encrypted(const struct mcuboot_header *header) {
        return header->flags & (MCUBOOT_ENCRYPTED_AES128 | MCUBOOT_ENCRYPTED_AES256);
}

/* "1.2.3", or "1.2.3+4" when there is a build number. */
void mcuboot_version_text(const struct mcuboot_version *version, char text[GW_VERSION_MAX]);
/* "1.2.3" or "1.2.3+4"; also "1.2" and "1". -EINVAL. */
int mcuboot_version_from_text(const char *text, struct mcuboot_version *ret_version);
/* The eight bytes of a header or a dependency. */
struct mcuboot_version mcuboot_version_parse(const uint8_t bytes[8]);
/* <0, 0, >0; the build number counts last. */
int mcuboot_version_compare(const struct mcuboot_version *a, const struct mcuboot_version *b);
