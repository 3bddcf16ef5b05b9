/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/tty_raw.h"

#include <asm/termbits.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define BAUD_TOLERANCE_PERCENT 3 /* what a UART's receiver stands within a frame of ten bits */

/* Majors of Unix98 slaves: Documentation/admin-guide/devices.txt. */
#define PSEUDO_MAJOR_FIRST 136
#define PSEUDO_MAJOR_LAST 143

static void make_raw(struct termios2 *settings, uint32_t baud, bool hardware_flow) {
        settings->c_iflag = 0;
        settings->c_oflag = 0;
        settings->c_lflag = 0;
        settings->c_cflag = CS8 | CREAD | CLOCAL | BOTHER | (BOTHER << IBSHIFT) | (hardware_flow ? CRTSCTS : 0);
        settings->c_ispeed = baud;
        settings->c_ospeed = baud;
        /* With VMIN 0 an empty line would look like the end of it. */
        settings->c_cc[VMIN] = 1;
        settings->c_cc[VTIME] = 0;
}

static bool is_rate(uint32_t found, uint32_t wanted) {
        uint32_t difference = found > wanted ? found - wanted : wanted - found;

        return (uint64_t) difference * 100 <= (uint64_t) wanted * BAUD_TOLERANCE_PERCENT;
}

int tty_raw_set(int fd, uint32_t baud, bool hardware_flow) {
        struct termios2 settings, found;

        if (ioctl(fd, TCGETS2, &settings) < 0)
                return -errno;
        make_raw(&settings, baud, hardware_flow);
        if (ioctl(fd, TCSETS2, &settings) < 0)
                return errno == EINVAL ? -ENOTSUP : -errno;
        /* The call succeeds when any of it could be set. */
        if (ioctl(fd, TCGETS2, &found) < 0)
                return -errno;
        if (!is_rate(found.c_ospeed, baud) || (hardware_flow && !(found.c_cflag & CRTSCTS)))
                return -ENOTSUP;
        return 0;
}

bool tty_is_pseudo(int fd) {
        struct stat status;
        unsigned number;

        if (fstat(fd, &status) < 0 || !S_ISCHR(status.st_mode))
                return false;
        number = major(status.st_rdev);
        return number >= PSEUDO_MAJOR_FIRST && number <= PSEUDO_MAJOR_LAST;
}
