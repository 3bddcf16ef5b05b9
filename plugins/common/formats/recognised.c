/* SPDX-License-Identifier: Apache-2.0 */
#include "common/formats/recognised.h"

#include "common/mcuboot/source.h"
#include "common/mcuboot/vector_table.h"
#include "common/zip/archive.h"
#include "common/zip/package_kind.h"

#define NO_DRIVER "format-recognised-no-driver"

static void nothing_release(struct gw_package *package, int fd) {
        (void) package, (void) fd;
}

/* ------------------------------------------------------------------ zip archives */

static bool kind_matches(const uint8_t *head, size_t head_size, int fd, uint64_t file_size, enum package_kind kind) {
        return archive_looks_like(head, head_size) && package_kind_of(fd, file_size) == kind;
}

#define ZIP_KIND(prefix, kind, format_name, format_summary)                                                                                \
        static bool prefix##_matches(const uint8_t *head, size_t head_size, int fd, uint64_t file_size) {                                  \
                return kind_matches(head, head_size, fd, file_size, kind);                                                                 \
        }                                                                                                                                  \
        static int prefix##_read(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package,      \
                                 struct gw_error *err) {                                                                                   \
                (void) fd, (void) file_size, (void) options, (void) ret_package;                                                           \
                return package_kind_refuse(kind, err);                                                                                     \
        }                                                                                                                                  \
        const struct gw_format prefix##_format = {format_name, format_summary, prefix##_matches, prefix##_read, nothing_release}

ZIP_KIND(modem_zip, PACKAGE_MODEM, "nrf91-modem", "modem firmware of an nRF91");
ZIP_KIND(secure_dfu, PACKAGE_SECURE_DFU, "nordic-secure-dfu", "Nordic Secure DFU package");
ZIP_KIND(legacy_dfu, PACKAGE_LEGACY_DFU, "nordic-legacy-dfu", "Nordic legacy DFU package");
ZIP_KIND(mesh_dfu, PACKAGE_MESH_DFU, "nordic-mesh-dfu", "package for the bootloader of the nRF5 SDK for Mesh");
ZIP_KIND(bootloader_zip, PACKAGE_BOOTLOADER, "ncs-bootloader-zip", "update of MCUboot itself (dfu_mcuboot.zip)");
ZIP_KIND(suit_zip, PACKAGE_SUIT, "ncs-suit-zip", "SUIT package of the nRF Connect SDK");

/* ------------------------------------------------------------------ first bytes */

/* A format that is known by what its head looks like: a test and the sentence for the person. */
#define KNOWN_HEAD(prefix, format_name, format_summary, error_name, sentence)                                                              \
        static bool prefix##_matches(const uint8_t *head, size_t head_size, int fd, uint64_t file_size) {                                  \
                (void) fd, (void) file_size;                                                                                               \
                return prefix##_head(head, head_size);                                                                                     \
        }                                                                                                                                  \
        static int prefix##_read(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package,      \
                                 struct gw_error *err) {                                                                                   \
                (void) fd, (void) file_size, (void) options, (void) ret_package;                                                           \
                return refuse(err, error_name, "%s", sentence);                                                                            \
        }                                                                                                                                  \
        const struct gw_format prefix##_format = {format_name, format_summary, prefix##_matches, prefix##_read, nothing_release}

static bool begins(const uint8_t *head, size_t head_size, const void *bytes, size_t size) {
        return head_size >= size && memcmp(head, bytes, size) == 0;
}

static int hex_digit(uint8_t c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Two hexadecimal digits, or -1. */
static int hex_byte(const uint8_t *digits) {
        int high = hex_digit(digits[0]), low = hex_digit(digits[1]);
        return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* The first record `:LLAAAATT..CC`, whose bytes add up to zero. */
static bool intel_hex_head(const uint8_t *head, size_t head_size) {
        int length = head_size >= 11 && head[0] == ':' ? hex_byte(head + 1) : -1;
        unsigned sum = 0;
        if (length < 0 || head_size < 11u + 2u * (size_t) length)
                return false;
        for (size_t i = 0; i < (size_t) length + 5; i++) {
                int byte = hex_byte(head + 1 + 2 * i);
                if (byte < 0)
                        return false;
                sum += (unsigned) byte;
        }
        return (sum & 0xff) == 0;
}
KNOWN_HEAD(intel_hex, "intel-hex", "Intel HEX file for a programmer", "not-mcuboot",
           "an Intel HEX file, for a debug probe; the build makes the binary for updates beside it (zephyr.signed.bin, app_update.bin)");

static bool elf_head(const uint8_t *head, size_t head_size) {
        return begins(head, head_size, "\177ELF", 4);
}
KNOWN_HEAD(elf, "elf", "ELF file for a debugger", "not-mcuboot",
           "an ELF file, for a debugger; the build makes the binary for updates beside it (zephyr.signed.bin, app_update.bin)");

static bool uf2_head(const uint8_t *head, size_t head_size) {
        return begins(head, head_size, "UF2\n\x57\x51\x5d\x9e", 8);
}
KNOWN_HEAD(uf2, "uf2", "UF2 file for a USB bootloader", NO_DRIVER, "a UF2 file, for bootloaders that show up as a USB drive");

static bool srecord_head(const uint8_t *head, size_t head_size) {
        return head_size >= 10 && head[0] == 'S' && head[1] == '0' && hex_byte(head + 2) >= 3 && hex_byte(head + 4) >= 0 &&
               hex_byte(head + 6) >= 0;
}
KNOWN_HEAD(srecord, "s-record", "Motorola S-record file for a programmer", "not-mcuboot",
           "a Motorola S-record file, for a programmer; the build makes the binary for updates beside it");

/* CBOR tag 107, then a map. */
static bool suit_head(const uint8_t *head, size_t head_size) {
        return head_size >= 3 && head[0] == 0xd8 && head[1] == 0x6b && head[2] >> 5 == 5;
}
KNOWN_HEAD(suit, "suit", "SUIT envelope", NO_DRIVER, "a SUIT envelope, for devices that boot by SUIT (nRF54H) instead of MCUboot");

/* A tar archive whose first member is the file `version`. */
static bool mender_head(const uint8_t *head, size_t head_size) {
        return head_size >= 512 && strncmp((const char *) head, "version", 8) == 0 && begins(head + 257, head_size - 257, "ustar", 5);
}
KNOWN_HEAD(mender, "mender", "Mender artifact", NO_DRIVER, "a Mender artifact, for devices that run the Mender client");

static bool rauc_head(const uint8_t *head, size_t head_size) {
        return begins(head, head_size, "hsqs", 4);
}
KNOWN_HEAD(rauc, "rauc", "RAUC bundle", NO_DRIVER, "a RAUC bundle (or another SquashFS image), for Linux devices that run RAUC");

/* A cpio archive whose first member is sw-description. */
static bool swupdate_head(const uint8_t *head, size_t head_size) {
        return head_size >= 125 && (begins(head, head_size, "070702", 6) || begins(head, head_size, "070701", 6)) &&
               memcmp(head + 110, "sw-description", 15) == 0;
}
KNOWN_HEAD(swupdate, "swupdate", "SWUpdate image", NO_DRIVER, "a SWUpdate image, for Linux devices that run SWUpdate");

static bool compressed_head(const uint8_t *head, size_t head_size) {
        static const uint8_t xz[] = {0xfd, '7', 'z', 'X', 'Z', 0};
        return begins(head, head_size, "\x1f\x8b\x08", 3) || begins(head, head_size, xz, sizeof xz) ||
               begins(head, head_size, "\x28\xb5\x2f\xfd", 4) || begins(head, head_size, "7z\xbc\xaf\x27\x1c", 6) ||
               begins(head, head_size, "BZh", 3);
}
KNOWN_HEAD(compressed, "compressed", "compressed file", NO_DRIVER, "a compressed file; unpack it and give the firmware file that is in it");

/* ------------------------------------------------------------------ a guess */

#define HEADER_ROOM_MAX 0x800u

/* Linked with room for the header (0x200 is usual), which only imgtool fills. */
static bool has_empty_room(const uint8_t *head, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (head[i] != 0x00 && head[i] != 0xff)
                        return false;
        return true;
}

static bool unsigned_binary_head(const uint8_t *head, size_t head_size) {
        for (size_t at = 0; at <= HEADER_ROOM_MAX && at + VECTOR_TABLE_SIZE <= head_size; at = at ? at * 2 : 0x20)
                if (vector_table_plausible(head + at))
                        return has_empty_room(head, at);
        return false;
}
KNOWN_HEAD(unsigned_binary, "unsigned-binary", "application binary without MCUboot header (a guess)", "not-mcuboot",
           "looks like an unsigned application binary (it begins with a vector table): sign it with imgtool, or take zephyr.signed.bin of "
           "the build");
