/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/kernel.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define DEBIAN "Debian "

struct version {
        unsigned major, minor, patch;
};

static const struct range {
        struct version first; /* of this series */
        unsigned last_patch;
} failing[] = {
        { { 6, 1, 191 }, 192 },
};

static bool read_version(const char *text, struct version *ret) {
        return sscanf(text, "%9u.%9u.%9u", &ret->major, &ret->minor, &ret->patch) == 3;
}

bool ble_kernel_fails(const char *release, const char *version) {
        const char *debian = strstr(version, DEBIAN);
        struct version found;
        if (!read_version(debian ? debian + strlen(DEBIAN) : release, &found))
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(failing); i++)
                if (found.major == failing[i].first.major && found.minor == failing[i].first.minor && found.patch >= failing[i].first.patch &&
                    found.patch <= failing[i].last_patch)
                        return true;
        return false;
}
