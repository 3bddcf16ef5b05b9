/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The scan of one adapter.
 *
 *      OFF --filter, start--> STARTING --> ON --stop--> STOPPING --> OFF
 *
 * It is on while somebody listens, and off while a device is being connected to. While devices are open it costs them up to half of
 * the radio: then it is on only for what cannot wait, else in short pulses. A switched-off adapter or a service that went away has
 * nothing to stop: discovery_lost().
 */

#include "ble/internal.h"

struct discovery {
        struct ble *ble;
        struct adapter *adapter;
        enum discovery_state state;
        bool urgent;               /* the filter that was set lets duplicates through */
        uint64_t n_watches_changed; /* when the filter was set */
        struct call filter, call;  /* SetDiscoveryFilter; StartDiscovery or StopDiscovery */
        int64_t since_ms;          /* when it went on; not before this after a failure */
        struct timer *timer;       /* to look again */
        struct log_limit failures;
};

static void look_again(void *ctx) {
        struct discovery *discovery = ctx;
        discovery->timer = NULL;
        discovery_update(discovery->adapter);
}

static void look_again_in(struct discovery *discovery, int64_t delay_ms) {
        if (!discovery->timer)
                (void) timer_start(discovery->ble->loop, ble_time(discovery->ble, delay_ms), look_again, discovery, &discovery->timer);
}

/* --- the calls --- */

static int append_filter(sd_bus_message *message, const struct discovery *discovery) {
        const char *services[BLE_SERVICES_MAX];
        size_t n_services = hearing_filter(discovery->ble, services);
        int r = sd_bus_message_open_container(message, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(message, "{sv}{sv}", "Transport", "s", "le", "DuplicateData", "b", discovery->urgent);
        if (r < 0 || n_services == 0)
                return r < 0 ? r : sd_bus_message_close_container(message);
        r = sd_bus_message_open_container(message, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(message, 's', "UUIDs");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(message, 'a', "s");
        for (size_t i = 0; i < n_services && r >= 0; i++)
                r = sd_bus_message_append_basic(message, 's', services[i]);
        for (int i = 0; i < 4 && r >= 0; i++)
                r = sd_bus_message_close_container(message);
        return r;
}

/* A filter that is refused only costs more messages. */
static void filter_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct discovery *discovery = ctx;
        (void) reply;
        if (error && log_limit_pass(&discovery->failures, loop_now_ms(discovery->ble->loop), NULL))
                log_warning(NULL, "%s does not take the filter for discovery: %s", discovery->adapter->name, error->message ? error->message : error->name);
}

static void set_filter(struct discovery *discovery) {
        sd_bus_message *message = NULL;
        int r;
        discovery->urgent = hearing_is_urgent(discovery->ble);
        discovery->n_watches_changed = discovery->ble->n_watches_changed;
        call_cancel(&discovery->filter);
        r = call_prepare(ble_bus(discovery->ble), discovery->adapter->path, BLUEZ_ADAPTER, "SetDiscoveryFilter", &message);
        if (r < 0)
                return;
        if (append_filter(message, discovery) < 0)
                sd_bus_message_unref(message);
        else
                (void) call_send(&discovery->filter, message, BLE_CALL_TIMEOUT_MS, filter_answered, discovery);
}

static bool filter_is_right(const struct discovery *discovery) {
        return discovery->urgent == hearing_is_urgent(discovery->ble) && discovery->n_watches_changed == discovery->ble->n_watches_changed;
}

static void failed(struct discovery *discovery, const char *what, const sd_bus_error *error) {
        discovery->state = DISCOVERY_OFF;
        discovery->since_ms = loop_now_ms(discovery->ble->loop) + ble_time(discovery->ble, BLE_DISCOVERY_RETRY_MS);
        if (log_limit_pass(&discovery->failures, loop_now_ms(discovery->ble->loop), NULL))
                log_warning(NULL, "%s does not %s: %s", discovery->adapter->name, what, error && error->message ? error->message : error ? error->name : "no memory");
}

static void start_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct discovery *discovery = ctx;
        (void) reply;
        if (error && !str_equal(error->name, "org.bluez.Error.InProgress")) {
                failed(discovery, "begin discovery", error);
        } else {
                discovery->state = DISCOVERY_ON;
                discovery->since_ms = loop_now_ms(discovery->ble->loop);
        }
        ble_work_schedule(discovery->ble);
}

static void start(struct discovery *discovery) {
        set_filter(discovery);
        discovery->state = DISCOVERY_STARTING;
        if (call_start(&discovery->call, ble_bus(discovery->ble), discovery->adapter->path, BLUEZ_ADAPTER, "StartDiscovery", BLE_CALL_TIMEOUT_MS, start_answered, discovery) < 0)
                failed(discovery, "begin discovery", NULL);
}

/* Whatever it answers, there is nothing more that could be done. */
static void stop_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct discovery *discovery = ctx;
        (void) reply;
        (void) error;
        discovery->state = DISCOVERY_OFF;
        discovery->since_ms = 0;
        ble_work_schedule(discovery->ble);
}

static void stop(struct discovery *discovery) {
        discovery->state = DISCOVERY_STOPPING;
        if (call_start(&discovery->call, ble_bus(discovery->ble), discovery->adapter->path, BLUEZ_ADAPTER, "StopDiscovery", BLE_CALL_TIMEOUT_MS, stop_answered, discovery) < 0)
                failed(discovery, "end discovery", NULL);
}

/* --- what is right now --- */

static bool is_right_now(const struct discovery *discovery) {
        const struct adapter *adapter = discovery->adapter;
        if (!adapter_is_usable(adapter) || adapter->turn)
                return false;
        if (hearing_is_urgent(discovery->ble))
                return true;
        return hearing_is_wanted(discovery->ble) && (adapter->n_sessions == 0 || discovery->ble->pulse);
}

/* Something is waited for: what controllers dropped as a duplicate until now counts again after a new beginning. */
static bool is_stale(const struct discovery *discovery) {
        if (!hearing_is_urgent(discovery->ble))
                return false;
        return !discovery->urgent || loop_now_ms(discovery->ble->loop) - discovery->since_ms >= ble_time(discovery->ble, BLE_RESTART_MS);
}

void discovery_update(struct adapter *adapter) {
        struct discovery *discovery = adapter->discovery;
        bool wanted = is_right_now(discovery);
        switch (discovery->state) {
        case DISCOVERY_OFF:
                if (wanted && loop_now_ms(discovery->ble->loop) >= discovery->since_ms)
                        start(discovery);
                else if (wanted)
                        look_again_in(discovery, BLE_DISCOVERY_RETRY_MS);
                break;
        case DISCOVERY_ON:
                if (!wanted || is_stale(discovery))
                        stop(discovery);
                else if (!filter_is_right(discovery))
                        set_filter(discovery);
                if (discovery->urgent && discovery->state == DISCOVERY_ON)
                        look_again_in(discovery, BLE_RESTART_MS);
                break;
        case DISCOVERY_STARTING:
        case DISCOVERY_STOPPING:
                break; /* the answer comes back here */
        }
}

bool discovery_is_off(const struct adapter *adapter) {
        return adapter->discovery->state == DISCOVERY_OFF;
}

bool discovery_is_on(const struct adapter *adapter) {
        return adapter->discovery && adapter->discovery->state == DISCOVERY_ON;
}

void discovery_lost(struct adapter *adapter) {
        struct discovery *discovery = adapter->discovery;
        call_cancel(&discovery->filter);
        call_cancel(&discovery->call);
        timer_cancel(TAKE_PTR(discovery->timer));
        discovery->state = DISCOVERY_OFF;
        discovery->since_ms = 0;
}

int discovery_new(struct ble *ble, struct adapter *adapter) {
        adapter->discovery = calloc(1, sizeof *adapter->discovery);
        if (!adapter->discovery)
                return -ENOMEM;
        adapter->discovery->ble = ble;
        adapter->discovery->adapter = adapter;
        return 0;
}

void discovery_free(struct discovery *discovery) {
        if (!discovery)
                return;
        call_cancel(&discovery->filter);
        call_cancel(&discovery->call);
        timer_cancel(discovery->timer);
        free(discovery);
}
