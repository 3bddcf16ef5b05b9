/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A serial port as a gw_link of bytes (contract: gatewayd/plugin.h): raw, 8N1, any rate the driver can make, exclusively ours by a
 * lock on the node and TIOCEXCL. Opening and closing leave DTR alone as far as the driver lets us, so that a board is not reset.
 *
 * send() writes at once what the driver takes and queues the rest; `writable` comes as soon as what was refused would fit, while
 * the queue still holds enough to keep the line busy. Closing drops what has not left: nothing here ever waits for a line.
 */

#include <gatewayd/plugin.h>

#include "loop/loop.h"

#define SERIAL_QUEUE_DEFAULT 8192
#define SERIAL_BAUD_MIN 1200
#define SERIAL_BAUD_MAX 4000000

/*
 * -EINVAL: no path, or a rate outside SERIAL_BAUD_MIN..MAX. -ENOMEM. All else comes by `closed`: port-absent, port-busy,
 * port-permission, port-not-a-tty, port-setting-refused (rate or flow control that the driver cannot make), link-open-failed; after
 * `opened` link-lost (unplugged). send() refuses with -EMSGSIZE what is longer than the whole queue.
 */
int serial_link_open(struct loop *loop, const struct gw_serial_options *options, const struct gw_link_handler *handler, void *ctx,
                     struct gw_link **ret_link);
