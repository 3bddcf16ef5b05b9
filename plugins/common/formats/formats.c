/* SPDX-License-Identifier: Apache-2.0 */
#include "common/formats/formats.h"

#include "base/cleanup.h"
#include "common/formats/recognised.h"
#include "common/mcuboot/mcuboot_format.h"
#include "common/mcuboot/source.h"
#include "common/zip/ncs_format.h"

#define HEAD_SIZE 4096u

/* An archive that nothing above ncs_zip_format knows is its business: it says what is missing in it. */
static const struct gw_format *const all[] = {
        &mcuboot_format,  &modem_zip_format, &secure_dfu_format, &legacy_dfu_format, &mesh_dfu_format,   &bootloader_zip_format,
        &suit_zip_format, &ncs_zip_format,   &suit_format,       &intel_hex_format,  &elf_format,        &uf2_format,
        &srecord_format,  &mender_format,    &rauc_format,       &swupdate_format,   &compressed_format, &unsigned_binary_format,
};

const struct gw_format *const *formats_all(size_t *ret_n_formats) {
        *ret_n_formats = ARRAY_SIZE(all);
        return all;
}

int formats_find(int fd, uint64_t file_size, const struct gw_format **ret_format, struct gw_error *err) {
        struct source source = {fd, 0, file_size};
        uint8_t head[HEAD_SIZE];
        size_t head_size = file_size < sizeof head ? (size_t) file_size : sizeof head;
        int r = source_read(&source, 0, head, head_size);
        if (r < 0)
                return source_failed(err, r, "reading the file");
        *ret_format = NULL;
        for (size_t i = 0; i < ARRAY_SIZE(all) && !*ret_format; i++)
                if (all[i]->matches(head, head_size, fd, file_size))
                        *ret_format = all[i];
        return 0;
}

static int unknown(int fd, uint64_t file_size, struct gw_error *err) {
        struct source source = {fd, 0, file_size};
        uint8_t head[8];
        if (file_size == 0)
                return refuse(err, "format-unknown", "the file is empty");
        if (source_read(&source, 0, head, sizeof head) < 0)
                return refuse(err, "format-unknown", "a file of %llu bytes", (unsigned long long) file_size);
        return refuse(err, "format-unknown", "the file begins with %02x %02x %02x %02x %02x %02x %02x %02x, which is nothing that is known",
                      head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7]);
}

int formats_read(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package,
                 struct gw_error *err) {
        const struct gw_format *format = NULL;
        int r = formats_find(fd, file_size, &format, err);
        if (r < 0)
                return r;
        return format ? format->read(fd, file_size, options, ret_package, err) : unknown(fd, file_size, err);
}

void formats_release(struct gw_package *package, int fd) {
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                if (strcmp(all[i]->name, package->format) == 0)
                        all[i]->release(package, fd);
}
