/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/internal.h"

#include <stdlib.h>

/* --- what the objects tell --- */

static bool is_used(const struct ble *ble, const struct adapter *adapter) {
        const struct str_list *adapters = ble->options.adapters;
        if (!adapters || adapters->n_items == 0)
                return true;
        for (size_t i = 0; i < adapters->n_items; i++)
                if (strcmp(adapters->items[i], "all") == 0 || strcmp(adapters->items[i], adapter->name) == 0 || strcasecmp(adapters->items[i], adapter->address) == 0)
                        return true;
        return false;
}

static void power_on(const struct ble *ble, const struct adapter *adapter) {
        sd_bus_message *message = NULL;
        if (call_prepare(ble_bus(ble), adapter->path, "org.freedesktop.DBus.Properties", "Set", &message) < 0)
                return;
        if (sd_bus_message_append(message, "ssv", BLUEZ_ADAPTER, "Powered", "b", 1) >= 0 && sd_bus_message_set_expect_reply(message, false) >= 0)
                (void) sd_bus_send(ble_bus(ble), message, NULL);
        sd_bus_message_unref(message);
}

static void adapter_changed(void *ctx, struct adapter *adapter) {
        struct ble *ble = ctx;
        adapter->used = is_used(ble, adapter);
        if (!adapter->discovery && discovery_new(ble, adapter) < 0)
                adapter->used = false;
        /* Once, when it appears: who switches it off later means it. */
        if (adapter->used && ble->options.power && !adapter->power_asked && !adapter->powered)
                power_on(ble, adapter);
        adapter->power_asked = true;
        if (adapter->discovery && !adapter->powered)
                discovery_lost(adapter);
        ble_work_schedule(ble);
}

static void adapter_gone(void *ctx, struct adapter *adapter) {
        struct ble *ble = ctx;
        struct gw_gatt *session;
        LIST_FOREACH(session, &ble->sessions, node)
                if (session->adapter == adapter)
                        session_adapter_gone(session);
        discovery_free(TAKE_PTR(adapter->discovery));
        ble_work_schedule(ble);
}

static void device_changed(void *ctx, struct device *device, uint32_t changes) {
        struct ble *ble = ctx;
        hearing_note(ble, device, changes);
        if ((changes & DEVICE_STATE) && device->session)
                ble_work_schedule(ble);
}

static void device_gone(void *ctx, struct device *device) {
        (void) ctx;
        if (device->session)
                session_device_gone(device->session);
}

static void attribute_gone(void *ctx, struct device *device, const struct attribute *attribute) {
        (void) ctx;
        if (device->session)
                links_attribute_gone(device->session, attribute);
}

static const struct objects_hooks hooks = { adapter_changed, adapter_gone, device_changed, device_gone, attribute_gone };

/* --- acting upon it --- */

void ble_work_schedule(struct ble *ble) {
        if (ble->begun && !ble->freeing)
                (void) later_schedule(&ble->work);
}

static void look_again(void *ctx) {
        struct ble *ble = ctx;
        ble->look_timer = NULL;
        ble_work_schedule(ble);
}

static bool any_session(const struct ble *ble, bool waiting) {
        const struct gw_gatt *session;
        LIST_FOREACH(session, &ble->sessions, node)
                if ((session->state == SESSION_WAIT) == waiting)
                        return true;
        return false;
}

/* Each goes to the end before it is looked at: sessions may go, and others come, from inside the callbacks. */
static void work_sessions(struct ble *ble) {
        for (size_t n = list_count(&ble->sessions); n > 0 && !list_is_empty(&ble->sessions); n--) {
                struct list *node = list_pop(&ble->sessions);
                list_append(&ble->sessions, node);
                session_work(container_of(node, struct gw_gatt, node));
        }
}

/* While devices are open and others are only watched for, listening comes in pulses. */
static void pulse(void *ctx) {
        struct ble *ble = ctx;
        ble->pulse_timer = NULL;
        ble->pulse = !ble->pulse;
        ble_work_schedule(ble);
}

static void run_pulse(struct ble *ble) {
        bool needed = !list_is_empty(&ble->watches) && any_session(ble, false);
        if (needed && !ble->pulse_timer)
                (void) timer_start(ble->loop, ble_time(ble, ble->pulse ? BLE_PULSE_ON_MS : BLE_PULSE_OFF_MS), pulse, ble, &ble->pulse_timer);
        if (needed)
                return;
        timer_cancel(TAKE_PTR(ble->pulse_timer));
        ble->pulse = false;
}

static void work(void *ctx) {
        struct ble *ble = ctx;
        struct adapter *adapter;
        ble_state_note(ble);
        work_sessions(ble);
        queue_pump(ble);
        run_pulse(ble);
        LIST_FOREACH(adapter, &ble->objects.adapters, node)
                if (adapter->discovery)
                        discovery_update(adapter);
        if (!ble->look_timer && any_session(ble, true))
                (void) timer_start(ble->loop, ble_time(ble, BLE_LOOK_MS), look_again, ble, &ble->look_timer);
}

/* --- life --- */

sd_bus *ble_bus(const struct ble *ble) {
        return ble->bluez.bus ? bus_connection(ble->bluez.bus) : NULL;
}

void ble_begin(struct ble *ble) {
        if (ble->begun)
                return;
        ble->begun = bluez_begin(ble) >= 0;
}

int ble_new(const struct ble_options *options, struct ble **ret_ble) {
        struct ble *ble = calloc(1, sizeof *ble);
        if (!ble)
                return -ENOMEM;
        ble->options = *options;
        ble->loop = options->loop;
        objects_init(&ble->objects, &hooks, ble);
        list_init(&ble->sessions);
        list_init(&ble->tasks);
        later_init(&ble->work, ble->loop, work, ble);
        hearing_init(ble);
        *ret_ble = ble;
        return 0;
}

void ble_free(struct ble *ble) {
        struct gw_gatt_task *task;
        struct gw_gatt *session;
        if (!ble)
                return;
        ble->freeing = true;
        while ((task = LIST_FIRST(&ble->tasks, struct gw_gatt_task, node)))
                task_drop(task);
        while ((session = LIST_FIRST(&ble->sessions, struct gw_gatt, node)))
                session_drop(session);
        bluez_end(ble);
        later_cancel(&ble->work);
        hearing_deinit(ble);
        timer_cancel(ble->look_timer);
        timer_cancel(ble->pulse_timer);
        free(ble);
}
