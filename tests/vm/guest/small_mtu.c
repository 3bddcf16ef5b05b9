/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Preloaded into bluetoothd for `[GATT] ExchangeMTU` below 48: it asks for that MTU not only on its LE socket, but also on the one for
 * classic Bluetooth, where the kernel refuses it (48 is the least there), and then it gives the whole adapter up. Here that one socket,
 * which nobody uses, gets 48.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum { LEVEL_L2CAP = 6, OPTION_L2CAP_OPTIONS = 1, CLASSIC_MIN_MTU = 48, OPTIONS_SIZE_MAX = 32 };

int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
        static int (*real)(int, int, int, const void *, socklen_t);
        unsigned char options[OPTIONS_SIZE_MAX]; /* begins with the outgoing, then the incoming MTU */
        const uint16_t mtu = CLASSIC_MIN_MTU;
        int r;

        if (!real)
                *(void **) &real = dlsym(RTLD_NEXT, "setsockopt");
        r = real(fd, level, name, value, size);
        if (r == 0 || errno != EINVAL || level != LEVEL_L2CAP || name != OPTION_L2CAP_OPTIONS || size < 4 || size > sizeof options)
                return r;
        memcpy(options, value, size);
        memcpy(options + 2, &mtu, sizeof mtu);
        return real(fd, level, name, options, size);
}
