/* SPDX-License-Identifier: Apache-2.0 */
#include "base/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/str.h"

/* What is lost here is a start or a reload that systemd takes for one that hangs. */
#define READY_PATIENCE_S 2

/* NOTIFY_SOCKET is a path, or an abstract name behind '@'. */
static int notify_address(const char *name, struct sockaddr_un *ret_address, socklen_t *ret_size) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        size_t length = strlen(name);

        if (length < 2 || length >= sizeof address.sun_path || (name[0] != '/' && name[0] != '@'))
                return -EINVAL;
        memcpy(address.sun_path, name, length);
        if (name[0] == '@')
                address.sun_path[0] = '\0';
        *ret_address = address;
        *ret_size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length);
        return 0;
}

/* Not sd_notify(): that one waits, for as long as it takes, for a reader whose queue is full. */
static int send_state(const char *state, time_t patience_s) {
        const char *name = getenv("NOTIFY_SOCKET");
        struct timeval patience = { .tv_sec = patience_s };
        struct sockaddr_un address;
        socklen_t size;
        _cleanup_close_ int fd = -1;
        int r;

        if (!name)
                return 0;
        r = notify_address(name, &address, &size);
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
                return -errno;
        if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | (patience_s > 0 ? 0 : MSG_DONTWAIT), (struct sockaddr *) &address, size) < 0)
                return -errno;
        return 0;
}

int notify_ready(void) {
        return send_state("READY=1", READY_PATIENCE_S);
}

int notify_stopping(void) {
        return send_state("STOPPING=1", 0);
}

int notify_watchdog(void) {
        return send_state("WATCHDOG=1", 0);
}

int notify_reloading(void) {
        struct timespec now;
        char state[64];

        /* Type=notify-reload compares with CLOCK_MONOTONIC of the moment when it asked. */
        clock_gettime(CLOCK_MONOTONIC, &now);
        str_format(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000);
        return send_state(state, 0);
}

int notify_status(const char *format, ...) {
        char text[256], escaped[256], state[280];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        /* A newline would begin another assignment. */
        str_escape(escaped, sizeof(escaped), text, strlen(text));
        str_format(state, sizeof(state), "STATUS=%s", escaped);
        return send_state(state, 0);
}

int64_t notify_watchdog_interval_ms(void) {
        uint64_t interval_us;

        if (sd_watchdog_enabled(0, &interval_us) <= 0)
                return 0;
        return MAX((int64_t) (interval_us / 1000), (int64_t) 1);
}
