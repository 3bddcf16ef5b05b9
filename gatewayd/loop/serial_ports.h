/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which serial ports exist, and which device hangs on each. A port is known by the serial number and the interface of its USB
 * device ("000683-if02", read from sysfs), so it stays the same when it comes back under another tty name. Ports that share one
 * such key (cheap adapters that all claim "0001") get none: a wrong identity is worse than none.
 */

#include <gatewayd/plugin.h>

#include "loop/loop.h"

#define SERIAL_PORTS_MAX 256      /* ports in one enumeration */
#define SERIAL_SYSFS_TEXT_MAX 128 /* of a text that a USB device says about itself */
#define SERIAL_WATCH_DELAY_MS 250 /* a plug makes several events, and udev sets the permissions after the node exists */

/*
 * Calls `found` from inside for every port, sorted by path, each tty once. globs: as for glob(7), absolute. sysfs_root: NULL =
 * "/sys". The texts of the port are valid during the call; what is not known is "" (numbers: 0, usb_interface: -1).
 */
int serial_ports_list(const char *const *globs, size_t n_globs, const char *sysfs_root,
                      void (*found)(void *ctx, const struct gw_serial_port *port), void *ctx);

struct serial_ports_watch;

/*
 * `changed` comes when a node that matches appeared, vanished or got other permissions: once for a burst, SERIAL_WATCH_DELAY_MS
 * after it began. Folders need not exist yet. -ENOMEM, -EMFILE and what inotify_init1() says.
 */
int serial_ports_watch_new(struct loop *loop, const char *const *globs, size_t n_globs, loop_fn changed, void *ctx,
                           struct serial_ports_watch **ret_watch);
void serial_ports_watch_free(struct serial_ports_watch *watch); /* NULL is fine */
