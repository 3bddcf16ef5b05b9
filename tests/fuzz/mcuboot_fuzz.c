/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as an MCUboot image, with a configured key so that the signature code is reached. */

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mcuboot/mcuboot_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char pem[] =
                "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n-----END PUBLIC KEY-----\n";
        const struct gw_public_key key = {"key", pem, sizeof pem - 1};
        const struct gw_format_options options = {.size = sizeof options, .public_keys = &key, .n_public_keys = 1};
        struct gw_package package;
        struct gw_error err = {};
        int fd = memfd_create("fuzz", MFD_CLOEXEC);
        if (fd < 0 || write(fd, data, size) != (ssize_t) size)
                abort();
        mcuboot_format.matches(data, size < 4096 ? size : 4096, fd, size);
        if (mcuboot_format.read(fd, size, &options, &package, &err) == 0) {
                if (package.parts[0].size > size)
                        abort();
                mcuboot_format.release(&package, fd);
        } else if (!err.name[0]) {
                abort();
        }
        close(fd);
        return 0;
}
