/* SPDX-License-Identifier: Apache-2.0 */
#include "base/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/str.h"

/* sd_notify answers > 0 when sent and 0 without NOTIFY_SOCKET: both are fine. */
static int send_state(const char *state) {
        int r = sd_notify(0, state);

        return r < 0 ? r : 0;
}

int notify_ready(void) {
        return send_state("READY=1");
}

int notify_stopping(void) {
        return send_state("STOPPING=1");
}

int notify_watchdog(void) {
        return send_state("WATCHDOG=1");
}

int notify_reloading(void) {
        struct timespec now;
        char state[64];

        /* Type=notify-reload compares with CLOCK_MONOTONIC of the moment when it asked. */
        clock_gettime(CLOCK_MONOTONIC, &now);
        str_format(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000);
        return send_state(state);
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
        return send_state(state);
}

int64_t notify_watchdog_interval_ms(void) {
        uint64_t interval_us;

        if (sd_watchdog_enabled(0, &interval_us) <= 0)
                return 0;
        return MAX((int64_t) (interval_us / 1000), (int64_t) 1);
}
