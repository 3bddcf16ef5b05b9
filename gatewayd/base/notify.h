/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Telling systemd how we are (library gw_basesys). Without NOTIFY_SOCKET every call does nothing and returns 0. None waits for a reader
 * whose queue is full (-EAGAIN, nothing was told), only notify_ready() does, for two seconds at most.
 */

#include <stdint.h>

int notify_ready(void);
int notify_stopping(void);
int notify_reloading(void); /* with MONOTONIC_USEC; follow with notify_ready() */
int notify_watchdog(void);
/* One line for `systemctl status`. */
int notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* WatchdogSec= in ms, 0 when there is none. Ping at half of it. */
int64_t notify_watchdog_interval_ms(void);
