/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/mcuboot_format.h"

#include "common/mcuboot/image.h"

/* Also the forms that no device of today takes, so that read() says what they are. */
static bool mcuboot_matches(const uint8_t *head, size_t head_size, int fd, uint64_t file_size) {
        uint32_t magic = head_size >= 4 ? source_get32(head) : 0;
        (void) fd, (void) file_size;
        return magic == MCUBOOT_MAGIC || magic == MCUBOOT_MAGIC_2017 || magic == __builtin_bswap32(MCUBOOT_MAGIC);
}

static int mcuboot_read(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package,
                        struct gw_error *err) {
        struct source source = {fd, 0, file_size};
        struct gw_package package = {.format = "mcuboot", .n_parts = 1};
        struct mcuboot_image image;
        int r = mcuboot_image_read(&source, options, &image, err);
        if (r < 0)
                return r;
        package.parts[0].slot = -1;
        mcuboot_image_part(&image, &source, &package.parts[0]);
        mcuboot_version_text(&image.header.version, package.version);
        mcuboot_image_describe(&image, "", &package);
        r = mcuboot_image_dependencies(&image, 0, &package, err);
        if (r < 0)
                return r;
        *ret_package = package;
        return 0;
}

static void mcuboot_release(struct gw_package *package, int fd) {
        (void) fd;
        package->n_parts = 0;
}

const struct gw_format mcuboot_format = {
        .name = "mcuboot",
        .summary = "MCUboot image, as imgtool makes it",
        .matches = mcuboot_matches,
        .read = mcuboot_read,
        .release = mcuboot_release,
};
