/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Follows the Bluetooth service: first the signals are asked for, then who owns its name, then its objects, so nothing can fall
 * between. When the owner changes everything known is forgotten and read again.
 */

#include "ble/internal.h"

static void ask_owner(void *ctx);
static void ask_objects(void *ctx);

static void set_state(struct ble *ble, enum bluez_state state) {
        ble->bluez.state = state;
        ble_work_schedule(ble);
}

static void service_gone(struct ble *ble, enum bluez_state state) {
        call_cancel(&ble->bluez.call);
        timer_cancel(TAKE_PTR(ble->bluez.retry));
        objects_clear(&ble->objects);
        set_state(ble, state);
}

static void ask_later(struct ble *ble, loop_fn ask) {
        (void) timer_start(ble->loop, ble_time(ble, BLE_OBJECTS_RETRY_MS), ask, ble, &ble->bluez.retry);
}

/* --- its objects --- */

static void objects_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct ble *ble = ctx;
        struct bluez *bluez = &ble->bluez;
        if (!error) {
                (void) objects_read_all(&ble->objects, reply);
                set_state(ble, BLUEZ_READY);
                return;
        }
        gw_error_set(&bluez->error, "dbus-refused", "org.bluez: %s", error->message ? error->message : error->name);
        set_state(ble, str_equal(error->name, SD_BUS_ERROR_ACCESS_DENIED) ? BLUEZ_REFUSED : BLUEZ_NOT_RUNNING);
        ask_later(ble, ask_objects);
}

static void ask_objects(void *ctx) {
        struct ble *ble = ctx;
        ble->bluez.retry = NULL;
        if (call_start(&ble->bluez.call, ble_bus(ble), "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", BLE_OBJECTS_TIMEOUT_MS, objects_answered, ble) < 0)
                ask_later(ble, ask_objects);
}

/* --- its name --- */

static void owner_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct ble *ble = ctx;
        (void) reply;
        if (error && str_equal(error->name, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
                set_state(ble, BLUEZ_NOT_RUNNING);
        } else if (error) {
                gw_error_set(&ble->bluez.error, "dbus-refused", "%s", error->message ? error->message : error->name);
                set_state(ble, BLUEZ_REFUSED);
                ask_later(ble, ask_owner);
        } else {
                ask_objects(ble);
        }
}

static void ask_owner(void *ctx) {
        struct ble *ble = ctx;
        sd_bus_message *message = NULL;
        int r = sd_bus_message_new_method_call(ble_bus(ble), &message, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner");
        ble->bluez.retry = NULL;
        if (r >= 0 && (r = sd_bus_message_append(message, "s", BLUEZ_NAME)) < 0)
                sd_bus_message_unref(message);
        else if (r >= 0)
                r = call_send(&ble->bluez.call, message, BLE_CALL_TIMEOUT_MS, owner_answered, ble);
        if (r < 0)
                ask_later(ble, ask_owner);
}

static int on_owner_changed(sd_bus_message *signal, void *ctx, sd_bus_error *ret_error) {
        struct ble *ble = ctx;
        const char *name, *before, *after;
        (void) ret_error;
        if (sd_bus_message_read(signal, "sss", &name, &before, &after) < 0)
                return 0;
        service_gone(ble, after[0] ? BLUEZ_ASKING : BLUEZ_NOT_RUNNING);
        if (after[0])
                ask_objects(ble);
        return 0;
}

/* --- its signals --- */

static int on_added(sd_bus_message *signal, void *ctx, sd_bus_error *ret_error) {
        (void) ret_error;
        (void) objects_read_added(&((struct ble *) ctx)->objects, signal);
        return 0;
}

static int on_removed(sd_bus_message *signal, void *ctx, sd_bus_error *ret_error) {
        (void) ret_error;
        (void) objects_read_removed(&((struct ble *) ctx)->objects, signal);
        return 0;
}

static int on_changed(sd_bus_message *signal, void *ctx, sd_bus_error *ret_error) {
        (void) ret_error;
        (void) objects_read_changed(&((struct ble *) ctx)->objects, signal);
        return 0;
}

/* Newer services say why a connection ended: "org.bluez.Reason.Remote". */
static int on_reason(sd_bus_message *signal, void *ctx, sd_bus_error *ret_error) {
        struct ble *ble = ctx;
        struct device *device = objects_device(&ble->objects, sd_bus_message_get_path(signal));
        const char *name, *text;
        (void) ret_error;
        if (!device || sd_bus_message_read(signal, "ss", &name, &text) < 0)
                return 0;
        (void) str_copy(device->reason, sizeof device->reason, name);
        return 0;
}

#define PROPERTIES "type='signal',sender='org.bluez',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',path_namespace='/org/bluez',arg0="
#define OBJECTS "type='signal',sender='org.bluez',path='/',interface='org.freedesktop.DBus.ObjectManager',member="

static int add_matches(struct ble *ble, sd_bus *bus) {
        static const struct {
                const char *rule;
                sd_bus_message_handler_t handler;
        } matches[] = {
                { "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.bluez'", on_owner_changed },
                { OBJECTS "'InterfacesAdded'", on_added },
                { OBJECTS "'InterfacesRemoved'", on_removed },
                { PROPERTIES "'org.bluez.Device1'", on_changed },
                { PROPERTIES "'org.bluez.Adapter1'", on_changed },
                { PROPERTIES "'org.bluez.Battery1'", on_changed },
                { "type='signal',sender='org.bluez',interface='org.bluez.Device1',member='Disconnected'", on_reason },
        };
        _Static_assert(ARRAY_SIZE(matches) <= ARRAY_SIZE(((struct bluez *) 0)->slots), "a slot for each match");
        struct bluez *bluez = &ble->bluez;
        int r = 0;
        for (size_t i = 0; i < ARRAY_SIZE(matches) && r >= 0; i++) {
                r = sd_bus_add_match_async(bus, &bluez->slots[bluez->n_slots], matches[i].rule, matches[i].handler, NULL, ble);
                if (r >= 0)
                        bluez->n_slots++;
        }
        return r;
}

static void drop_matches(struct bluez *bluez) {
        while (bluez->n_slots > 0)
                sd_bus_slot_unref(bluez->slots[--bluez->n_slots]);
}

/* --- the bus --- */

static void on_connected(void *ctx, sd_bus *bus) {
        struct ble *ble = ctx;
        set_state(ble, BLUEZ_ASKING);
        if (add_matches(ble, bus) < 0) {
                gw_error_set(&ble->bluez.error, "dbus-refused", "the bus takes no subscriptions");
                set_state(ble, BLUEZ_REFUSED);
                return;
        }
        ask_owner(ble);
}

static void on_disconnected(void *ctx, const struct gw_error *why) {
        struct ble *ble = ctx;
        drop_matches(&ble->bluez);
        ble->bluez.error = *why;
        service_gone(ble, BLUEZ_NO_BUS);
}

static const struct bus_handler bus_handler = { on_connected, on_disconnected };

int bluez_begin(struct ble *ble) {
        ble->bluez.state = BLUEZ_ASKING;
        return bus_new(ble->loop, ble->options.bus_address, &bus_handler, ble, &ble->bluez.bus);
}

void bluez_end(struct ble *ble) {
        ble_probe_cancel(ble);
        service_gone(ble, BLUEZ_NO_BUS);
        drop_matches(&ble->bluez);
        bus_free(TAKE_PTR(ble->bluez.bus));
}

/* --- a real call, for a diagnosis --- */

static void probe_end(struct ble *ble, const struct gw_error *why) {
        void (*probed)(void *ctx, const struct gw_error *why) = ble->bluez.probed;
        ble->bluez.probed = NULL;
        timer_cancel(TAKE_PTR(ble->bluez.probe_timer));
        probed(ble->bluez.probed_ctx, why);
}

static void probe_judge(struct ble *ble) {
        struct gw_error why = { 0 };
        int r = ble_state(ble, &why);
        probe_end(ble, r < 0 ? &why : NULL);
}

static void probe_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct ble *ble = ctx;
        struct gw_error why = { 0 };
        (void) reply;
        if (!error) {
                probe_judge(ble);
                return;
        }
        gw_error_set(&why, str_equal(error->name, SD_BUS_ERROR_ACCESS_DENIED) ? "dbus-refused" : "bluetoothd-not-running", "org.bluez does not answer: %s",
                     error->message ? error->message : error->name);
        probe_end(ble, &why);
}

/* The connection may only just have been begun: what it finds is waited for. */
static void probe_step(void *ctx) {
        struct ble *ble = ctx;
        struct bluez *bluez = &ble->bluez;
        bluez->probe_timer = NULL;
        if (bluez->state == BLUEZ_READY) {
                if (call_start(&bluez->probe, ble_bus(ble), "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", BLE_OBJECTS_TIMEOUT_MS, probe_answered, ble) < 0)
                        probe_judge(ble);
        } else if (bluez->state == BLUEZ_ASKING && loop_now_ms(ble->loop) < bluez->probe_until_ms) {
                (void) timer_start(ble->loop, BLE_PROBE_STEP_MS, probe_step, ble, &bluez->probe_timer);
        } else {
                probe_judge(ble);
        }
}

int ble_probe(struct ble *ble, void (*done)(void *ctx, const struct gw_error *why), void *ctx) {
        struct bluez *bluez = &ble->bluez;
        if (bluez->probed)
                return -EBUSY;
        ble_begin(ble);
        bluez->probed = done;
        bluez->probed_ctx = ctx;
        bluez->probe_until_ms = loop_now_ms(ble->loop) + BLE_PROBE_PATIENCE_MS;
        return timer_start(ble->loop, 0, probe_step, ble, &bluez->probe_timer);
}

void ble_probe_cancel(struct ble *ble) {
        ble->bluez.probed = NULL;
        call_cancel(&ble->bluez.probe);
        timer_cancel(TAKE_PTR(ble->bluez.probe_timer));
}
