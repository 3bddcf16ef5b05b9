/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A connection to a message bus on the loop: sd-bus asked again before every sleep for its descriptor, events and time limit, so
 * nothing is polled and no thread is needed. It connects in the background, and again after it was lost, until it is freed.
 *
 * Messages are handled in the callbacks of sd-bus itself, which come from the loop like all others. Calls must be the asynchronous
 * ones (sd_bus_call_async, sd_bus_call_method_async): those that wait would block the loop. When the connection is lost sd-bus
 * answers every pending call with an error first; then `disconnected` comes, and the sd_bus object must not be touched any more. Slots that
 * are still held may be unreferenced at any time.
 */

#include <systemd/sd-bus.h>

#include <gatewayd/plugin.h>

#include "loop/loop.h"

struct bus;

struct bus_handler {
        /* The bus has given us a name: calls can be sent. */
        void (*connected)(void *ctx, sd_bus *connection);
        /* Also when the first attempt fails; told again only when the reason changes. `why`: dbus-refused. */
        void (*disconnected)(void *ctx, const struct gw_error *why);
};

/* address NULL: the system bus (DBUS_SYSTEM_BUS_ADDRESS where it is set). -ENOMEM. Nothing is called from inside. */
int bus_new(struct loop *loop, const char *address, const struct bus_handler *handler, void *ctx, struct bus **ret_bus);
/* What was sent and fits into the socket still leaves. NULL is fine. No callback comes any more. */
void bus_free(struct bus *bus);
/* NULL while there is no connection. */
sd_bus *bus_connection(const struct bus *bus);
