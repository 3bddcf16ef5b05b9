/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware.h"

#include <string.h>

#include "commands.h"
#include "common/formats/formats.h"

static int read_content(struct firmware *firmware, int fd, struct failure *failure) {
        const struct package_file file = { .path = firmware->path, .fd = fd, .size = firmware->size };
        struct gw_package package = { 0 };
        int r = package_read(&file, &package, failure);

        if (r < 0)
                return r;
        firmware->known = true;
        str_copy(firmware->format, sizeof firmware->format, package.format);
        str_copy(firmware->version, sizeof firmware->version, package.version);
        for (size_t i = 0; i < package.n_compatible; i++)
                str_copy(firmware->compatible[i], sizeof firmware->compatible[i], package.compatible[i]);
        firmware->n_compatible = package.n_compatible;
        firmware->n_images = package.n_parts;
        formats_release(&package, fd);
        return 0;
}

int firmware_read(const char *path, struct firmware *ret_firmware, struct failure *failure) {
        struct firmware firmware = { .path = path };
        _cleanup_close_ int fd = -1;
        int r = file_open(path, &fd, &firmware.size, failure);

        if (r < 0)
                return r;
        r = digest_file(fd, 0, firmware.size, firmware.sha256);
        if (r < 0)
                return failure_set(failure, EXIT_CODE_REFUSED, "file-unreadable", "%s: %s", path, strerror(-r));
        r = read_content(&firmware, fd, failure);
        if (r < 0 && !str_equal(failure->err.name, "format-unknown"))
                return r;
        if (r < 0)
                *failure = (struct failure){ 0 };
        *ret_firmware = firmware;
        return 0;
}
