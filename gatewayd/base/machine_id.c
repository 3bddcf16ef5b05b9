/* SPDX-License-Identifier: Apache-2.0 */
#include "base/machine_id.h"

#include <string.h>
#include <systemd/sd-id128.h>
#include <unistd.h>

/* Says which application the derived id is for; any random constant, never changed again. */
#define GATEWAYD_APPLICATION_ID SD_ID128_MAKE(8d, 3f, 0b, 91, 5e, 27, 4a, c6, b1, 60, 7c, 42, e9, 15, d8, 3a)

void machine_id_gateway_format(char dst[MACHINE_ID_GATEWAY_SIZE], const char *hostname, const uint8_t id[16]) {
        enum { SUFFIX = 7 }; /* "-" and six digits */
        size_t n = 0;

        for (; *hostname && n < STR_GATEWAY_ID_MAX - SUFFIX; hostname++) {
                char c = *hostname;

                if (c >= 'A' && c <= 'Z')
                        c = (char) (c - 'A' + 'a');
                dst[n++] = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
        }
        dst[n] = '\0';
        if (n == 0) {
                str_copy(dst, MACHINE_ID_GATEWAY_SIZE, "gateway");
                n = strlen(dst);
        }
        str_format(dst + n, MACHINE_ID_GATEWAY_SIZE - n, "-%02x%02x%02x", id[0], id[1], id[2]);
}

int machine_id_gateway_default(char dst[MACHINE_ID_GATEWAY_SIZE]) {
        char hostname[256] = "";
        sd_id128_t id;
        int r;

        r = sd_id128_get_machine_app_specific(GATEWAYD_APPLICATION_ID, &id);
        if (r < 0)
                return r;
        if (gethostname(hostname, sizeof(hostname) - 1) < 0)
                return -errno;
        machine_id_gateway_format(dst, hostname, id.bytes);
        return 0;
}
