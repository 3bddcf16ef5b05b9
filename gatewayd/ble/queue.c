/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Whose turn it is. An adapter connects to one device at a time and has so many open as `sessions` of [ble] says; of the sessions
 * that wait, that of the highest priority whose device has been heard goes first.
 */

#include "ble/internal.h"

static bool has_place(const struct ble *ble, const struct adapter *adapter) {
        return adapter_is_usable(adapter) && adapter->n_sessions < ble->options.sessions;
}

struct search {
        const struct ble *ble;
        const char *key;
        bool usable_only;  /* what can be connected to now */
        bool hearing_only; /* over an adapter that may be used */
        struct device *best;
};

static bool is_better(const struct ble *ble, const struct device *device, const struct device *best) {
        bool near = device_is_near(ble, device), best_near = best && device_is_near(ble, best);
        if (!best || near != best_near)
                return !best || near;
        return device->rssi_dbm > best->rssi_dbm;
}

static void consider(void *ctx, struct device *device) {
        struct search *search = ctx;
        const struct adapter *adapter = device->adapter;
        if (memcmp(device->key, search->key, GW_GATT_KEY_SIZE) != 0)
                return;
        if (search->usable_only && (!has_place(search->ble, adapter) || adapter->turn || device->session || !device_is_near(search->ble, device)))
                return;
        if (search->hearing_only && !adapter_is_usable(adapter))
                return;
        if (is_better(search->ble, device, search->best))
                search->best = device;
}

struct device *queue_device(const struct ble *ble, const char *key, bool usable_only) {
        struct search search = { .ble = ble, .key = key, .usable_only = usable_only };
        objects_each_device(&ble->objects, consider, &search);
        return search.best;
}

/* --- what waits --- */

static bool any_adapter(const struct ble *ble, bool (*is)(const struct ble *ble, const struct adapter *adapter)) {
        const struct adapter *adapter;
        LIST_FOREACH(adapter, &ble->objects.adapters, node)
                if (is(ble, adapter))
                        return true;
        return false;
}

static bool is_usable(const struct ble *ble, const struct adapter *adapter) {
        (void) ble;
        return adapter_is_usable(adapter);
}

static bool is_near(const struct ble *ble, const char *key) {
        struct search search = { .ble = ble, .key = key, .hearing_only = true };
        objects_each_device(&ble->objects, consider, &search);
        return search.best && device_is_near(ble, search.best);
}

bool queue_wants_hearing(const struct ble *ble) {
        const struct gw_gatt *session;
        if (!any_adapter(ble, has_place))
                return false;
        LIST_FOREACH(session, &ble->sessions, node)
                if (session->state == SESSION_WAIT && !is_near(ble, session->key))
                        return true;
        return false;
}

/* The time limit of opening runs while the device is not heard, or there is nothing to hear it with; not while only others stand before it. */
static void run_clocks(struct ble *ble) {
        bool usable = any_adapter(ble, is_usable), place = any_adapter(ble, has_place);
        int64_t now_ms = loop_now_ms(ble->loop);
        struct gw_gatt *session;
        LIST_FOREACH(session, &ble->sessions, node)
                if (session->state == SESSION_WAIT)
                        session_clock(session, !usable || now_ms < session->not_before_ms || (place && !is_near(ble, session->key)));
}

static bool is_before(const struct gw_gatt *session, const struct gw_gatt *other) {
        return session->priority != other->priority ? session->priority > other->priority : session->number < other->number;
}

static struct gw_gatt *next_session(struct ble *ble, struct device **ret_device) {
        int64_t now_ms = loop_now_ms(ble->loop);
        struct gw_gatt *session, *best = NULL;
        LIST_FOREACH(session, &ble->sessions, node) {
                struct device *device;
                if (session->state != SESSION_WAIT || now_ms < session->not_before_ms || (best && !is_before(session, best)))
                        continue;
                device = queue_device(ble, session->key, true);
                if (device) {
                        best = session;
                        *ret_device = device;
                }
        }
        return best;
}

void queue_pump(struct ble *ble) {
        struct device *device = NULL;
        struct gw_gatt *session;
        while (any_adapter(ble, has_place) && (session = next_session(ble, &device)))
                session_begin(session, device);
        run_clocks(ble);
}
