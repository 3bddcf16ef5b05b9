/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/header.h"

#include <stdlib.h>

#include "common/mcuboot/source.h"

struct mcuboot_version mcuboot_version_parse(const uint8_t bytes[8]) {
        return (struct mcuboot_version){
                .major = bytes[0], .minor = bytes[1], .revision = source_get16(bytes + 2), .build = source_get32(bytes + 4)};
}

void mcuboot_version_text(const struct mcuboot_version *version, char text[GW_VERSION_MAX]) {
        int used = snprintf(text, GW_VERSION_MAX, "%u.%u.%u", version->major, version->minor, version->revision);
        if (version->build)
                snprintf(text + used, GW_VERSION_MAX - (size_t) used, "+%u", version->build);
}

/* Reads one number of at most `max` at *text and goes past it. */
static int number_take(const char **text, unsigned long max, unsigned long *ret) {
        char *end;
        unsigned long number;
        if (**text < '0' || **text > '9')
                return -EINVAL;
        errno = 0;
        number = strtoul(*text, &end, 10);
        if (errno || number > max)
                return -EINVAL;
        *text = end;
        *ret = number;
        return 0;
}

int mcuboot_version_from_text(const char *text, struct mcuboot_version *ret_version) {
        static const unsigned long limits[] = {UINT8_MAX, UINT8_MAX, UINT16_MAX};
        unsigned long numbers[3] = {}, build = 0;
        for (size_t i = 0; i < 3; i++) {
                if (number_take(&text, limits[i], &numbers[i]) < 0)
                        return -EINVAL;
                if (*text != '.' || i == 2)
                        break;
                text++;
        }
        if (*text == '+' && (text++, number_take(&text, UINT32_MAX, &build)) < 0)
                return -EINVAL;
        if (*text)
                return -EINVAL;
        *ret_version = (struct mcuboot_version){(uint8_t) numbers[0], (uint8_t) numbers[1], (uint16_t) numbers[2], (uint32_t) build};
        return 0;
}

static uint64_t version_number(const struct mcuboot_version *version) {
        return (uint64_t) version->major << 56 | (uint64_t) version->minor << 48 | (uint64_t) version->revision << 32 | version->build;
}

int mcuboot_version_compare(const struct mcuboot_version *a, const struct mcuboot_version *b) {
        uint64_t left = version_number(a), right = version_number(b);
        return (left > right) - (left < right);
}

static int magic_check(const uint8_t *bytes, size_t size, struct gw_error *err) {
        uint32_t magic = size >= 4 ? source_get32(bytes) : 0;
        if (magic == MCUBOOT_MAGIC)
                return 0;
        if (magic == MCUBOOT_MAGIC_2017)
                return refuse(err, "not-mcuboot", "an image in the MCUboot format of 2017, which no bootloader of today takes");
        if (magic == __builtin_bswap32(MCUBOOT_MAGIC))
                return refuse(err, "not-mcuboot", "an MCUboot image for a big-endian device, which is not supported");
        return refuse(err, "not-mcuboot", "no MCUboot image: it begins with %08x where 3db8f396 is expected", __builtin_bswap32(magic));
}

int mcuboot_header_parse(const uint8_t *bytes, size_t size, struct mcuboot_header *ret_header, struct gw_error *err) {
        struct mcuboot_header header;
        int r = magic_check(bytes, size, err);
        if (r < 0)
                return r;
        if (size < MCUBOOT_HEADER_SIZE)
                return refuse(err, "image-truncated", "the file ends within the image header, after %zu bytes", size);
        header = (struct mcuboot_header){
                .header_size = source_get16(bytes + 8),
                .protected_size = source_get16(bytes + 10),
                .body_size = source_get32(bytes + 12),
                .flags = source_get32(bytes + 16),
                .version = mcuboot_version_parse(bytes + 20),
        };
        if (header.flags & (MCUBOOT_RAM_LOAD | MCUBOOT_ROM_FIXED))
                header.load_address = source_get32(bytes + 4);
        if (header.header_size < MCUBOOT_HEADER_SIZE)
                return refuse(err, "image-malformed", "header size %u, at least %u is expected", header.header_size, MCUBOOT_HEADER_SIZE);
        if (header.body_size == 0)
                return refuse(err, "image-malformed", "an image without a body");
        *ret_header = header;
        return 0;
}
