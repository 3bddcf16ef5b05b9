/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Looks actively for devices. smp-serial: asks every port that exists, known or not, a few harmless questions (buffers,
 * bootloader, board, Memfault, slots: what an inspection reads); this is the only time that anything is written to an unknown port.
 * smp-udp: asks the configured and adopted devices, there is no way to find others. Whoever answers is reported by device->seen. Devices
 * with a run are left alone.
 */

#include "driver.h"

#define SCAN_AT_ONCE 64 /* links open at the same time */
#define SCAN_TARGETS_MAX 4096

struct scan;

/* As gw_driver.scan: a second call while one runs shares it. */
int scan_start(struct driver *driver, int64_t duration_ms, void (*done)(void *ctx), void *ctx, struct gw_error *err);
/* A run of this device begins: the scan lets go of it. `scan` may be NULL. Not from inside a callback of the scan's clients. */
void scan_leave(struct scan *scan, const char *key);
/* Ends it without calling anybody. NULL is fine. */
void scan_free(struct scan *scan);
