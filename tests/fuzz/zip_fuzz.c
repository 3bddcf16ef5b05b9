/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as a zip archive with firmware: told apart, opened, checked, unpacked. */

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/zip/ncs_format.h"
#include "common/zip/package_kind.h"

#define UNPACKED_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int scratch_open(void *ctx) {
        (void) ctx;
        return memfd_create("scratch", MFD_CLOEXEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const struct gw_format_options options = {.size = sizeof options, .scratch_open = scratch_open, .unpacked_max = UNPACKED_MAX};
        struct gw_package package;
        struct gw_error err = {};
        int fd = memfd_create("fuzz", MFD_CLOEXEC);
        if (fd < 0 || write(fd, data, size) != (ssize_t) size)
                abort();
        package_kind_of(fd, size);
        if (ncs_zip_format.read(fd, size, &options, &package, &err) == 0) {
                for (size_t i = 0; i < package.n_parts; i++)
                        if (package.parts[i].fd == fd && package.parts[i].offset + package.parts[i].size > size)
                                abort();
                ncs_zip_format.release(&package, fd);
        } else if (!err.name[0]) {
                abort();
        }
        close(fd);
        return 0;
}
