/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/call.h"

#include <errno.h>
#include <stddef.h>

static int on_reply(sd_bus_message *reply, void *ctx, sd_bus_error *ret_error) {
        struct call *call = ctx;
        sd_bus_slot *slot = call->slot;

        (void) ret_error;
        call->slot = NULL; /* another call may begin in the callback, and `call` may be gone behind it */
        call->answered(call->ctx, reply, sd_bus_message_get_error(reply));
        sd_bus_slot_unref(slot);
        return 0;
}

int call_prepare(sd_bus *bus, const char *path, const char *interface, const char *member, sd_bus_message **ret_message) {
        return bus ? sd_bus_message_new_method_call(bus, ret_message, BLUEZ_NAME, path, interface, member) : -ENOTCONN;
}

int call_send(struct call *call, sd_bus_message *message, uint32_t timeout_ms, void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error),
              void *ctx) {
        int r;

        call->answered = answered;
        call->ctx = ctx;
        /* A service that does not run is not started by us: whoever stopped it meant it. */
        r = sd_bus_message_set_auto_start(message, false);
        if (r >= 0)
                r = sd_bus_call_async(sd_bus_message_get_bus(message), &call->slot, message, on_reply, call, (uint64_t) timeout_ms * 1000);
        sd_bus_message_unref(message);
        return r < 0 ? r : 0;
}

int call_start(struct call *call, sd_bus *bus, const char *path, const char *interface, const char *member, uint32_t timeout_ms,
               void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error), void *ctx) {
        sd_bus_message *message = NULL;
        int r = call_prepare(bus, path, interface, member, &message);

        return r < 0 ? r : call_send(call, message, timeout_ms, answered, ctx);
}

void call_forget(sd_bus *bus, const char *path, const char *interface, const char *member) {
        sd_bus_message *message = NULL;

        if (call_prepare(bus, path, interface, member, &message) < 0)
                return;
        if (sd_bus_message_set_expect_reply(message, false) >= 0 && sd_bus_message_set_auto_start(message, false) >= 0)
                (void) sd_bus_send(bus, message, NULL);
        sd_bus_message_unref(message);
}

bool call_is_out(const struct call *call) {
        return call->slot;
}

void call_cancel(struct call *call) {
        call->slot = sd_bus_slot_unref(call->slot);
}
