/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Advertisements to those who listen. A device sends several a second, and there may be hundreds of devices: what is heard again
 * and says nothing new is noted in its object and costs no more; everything that is told is told from one deferred call a turn.
 */

#include "ble/internal.h"

struct gw_gatt_watch {
        struct list node;
        struct ble *ble;
        char services[BLE_WATCH_FILTERS_MAX][GW_GATT_UUID_SIZE];
        size_t n_services;
        char *names[BLE_WATCH_FILTERS_MAX];
        size_t n_names;
        void (*seen)(void *ctx, const struct gw_gatt_peer *peer);
        void *ctx;
};

struct gw_gatt_wait {
        struct list node;
        struct ble *ble;
        char key[GW_GATT_KEY_SIZE]; /* "" = match alone decides */
        bool (*match)(void *ctx, const struct gw_gatt_peer *peer);
        void (*heard)(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why);
        void *ctx;
        struct timer *timer;
};

/* --- what is told of a device --- */

const struct gw_gatt_peer *peer_view(const struct device *device, struct peer_view *ret_view) {
        for (size_t i = 0; i < device->n_services; i++)
                ret_view->services[i] = device->services[i];
        ret_view->peer = (struct gw_gatt_peer){
                .size = sizeof ret_view->peer,
                .key = device->key,
                .address = device->address,
                .address_kind = device->address_kind,
                .adapter = device->adapter->name,
                .name = device->name,
                .rssi_dbm = device->rssi_dbm,
                .battery_percent = device->battery_percent,
                .bonded = device->bonded || device->paired,
                .connected = device->connected,
                .heard_ms = device->heard_ms,
                .services = ret_view->services,
                .n_services = device->n_services,
                .manufacturer = device->manufacturers,
                .n_manufacturer = device->n_manufacturers,
        };
        return &ret_view->peer;
}

bool device_is_near(const struct ble *ble, const struct device *device) {
        return device->connected || (device->heard_ms > 0 && loop_now_ms(ble->loop) - device->heard_ms < BLE_FRESH_MS);
}

/* --- telling --- */

static bool watch_wants(const struct gw_gatt_watch *watch, const struct device *device) {
        if (watch->n_services == 0 && watch->n_names == 0)
                return true;
        for (size_t i = 0; i < watch->n_services; i++)
                for (size_t j = 0; j < device->n_services; j++)
                        if (strcmp(watch->services[i], device->services[j]) == 0)
                                return true;
        for (size_t i = 0; device->name && i < watch->n_names; i++)
                if (str_glob_match(watch->names[i], device->name))
                        return true;
        return false;
}

static void wait_end(struct gw_gatt_wait *wait, const struct gw_gatt_peer *peer, const struct gw_error *why) {
        void (*heard)(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why) = wait->heard;
        void *ctx = wait->ctx;
        ble_wait_cancel(wait);
        heard(ctx, peer, why);
}

/* Takes all out of a list; what its callbacks add to it later is not among them. */
static void take_all(struct list *from, struct list *to) {
        struct list *node;
        while ((node = list_pop(from)))
                list_append(to, node);
}

/* A callback may end any wait and begin others, which this advertisement is too old for. */
static void tell_waits(struct ble *ble, const struct gw_gatt_peer *peer) {
        struct list asking = LIST_INIT(asking), *node;
        take_all(&ble->waits, &asking);
        while ((node = list_pop(&asking))) {
                struct gw_gatt_wait *wait = container_of(node, struct gw_gatt_wait, node);
                list_append(&ble->waits, node);
                if (strcmp(wait->key, peer->key) == 0 || (wait->match && wait->match(wait->ctx, peer)))
                        wait_end(wait, peer, NULL);
        }
}

static void tell_watches(struct ble *ble, const struct device *device, const struct gw_gatt_peer *peer) {
        struct list asking = LIST_INIT(asking), *node;
        take_all(&ble->watches, &asking);
        while ((node = list_pop(&asking))) {
                struct gw_gatt_watch *watch = container_of(node, struct gw_gatt_watch, node);
                list_append(&ble->watches, node);
                if (watch_wants(watch, device))
                        watch->seen(watch->ctx, peer);
        }
}

static bool is_due(const struct ble *ble, const struct device *device) {
        return device->said || loop_now_ms(ble->loop) - device->told_ms >= ble_time(ble, BLE_TELL_INTERVAL_MS);
}

static void tell(void *ctx) {
        struct ble *ble = ctx;
        struct list *node;
        while ((node = list_pop(&ble->telling))) {
                struct device *device = container_of(node, struct device, telling);
                struct peer_view view;
                const struct gw_gatt_peer *peer = peer_view(device, &view);
                bool due = is_due(ble, device);
                if (due) {
                        device->said = false;
                        device->told_ms = loop_now_ms(ble->loop);
                        tell_watches(ble, device, peer);
                }
                /* Objects change by messages only, so the device is still there. */
                tell_waits(ble, peer);
        }
}

static bool is_waited_for(const struct ble *ble, const struct device *device) {
        const struct gw_gatt *session;
        LIST_FOREACH(session, &ble->sessions, node)
                if (session->state == SESSION_WAIT && memcmp(session->key, device->key, sizeof session->key) == 0)
                        return true;
        return false;
}

void hearing_note(struct ble *ble, struct device *device, uint32_t changes) {
        bool was_near = device_is_near(ble, device);
        if (changes & DEVICE_SAID)
                device->said = true;
        if (!(changes & DEVICE_HEARD))
                return;
        device->heard_ms = loop_now_ms(ble->loop);
        if (!was_near && is_waited_for(ble, device))
                ble_work_schedule(ble);
        if (list_is_linked(&device->telling) || (list_is_empty(&ble->waits) && (list_is_empty(&ble->watches) || !is_due(ble, device))))
                return;
        list_append(&ble->telling, &device->telling);
        (void) later_schedule(&ble->tell);
}

/* --- watches --- */

static bool copy_filters(struct gw_gatt_watch *watch, const struct gw_gatt_watch_options *options) {
        for (size_t i = 0; i < options->n_services; i++, watch->n_services++)
                if (ble_uuid_normalize(options->services[i], watch->services[i]) < 0)
                        return false;
        for (size_t i = 0; i < options->n_names; i++, watch->n_names++) {
                watch->names[i] = strdup(options->names[i]);
                if (!watch->names[i])
                        return false;
        }
        return true;
}

int ble_watch(struct ble *ble, const struct gw_gatt_watch_options *options, void (*seen)(void *ctx, const struct gw_gatt_peer *peer), void *ctx,
              struct gw_gatt_watch **ret_watch) {
        struct gw_gatt_watch *watch;
        if (options->n_services > BLE_WATCH_FILTERS_MAX || options->n_names > BLE_WATCH_FILTERS_MAX)
                return -E2BIG;
        watch = calloc(1, sizeof *watch);
        if (!watch)
                return -ENOMEM;
        *watch = (struct gw_gatt_watch){ .ble = ble, .seen = seen, .ctx = ctx };
        list_append(&ble->watches, &watch->node);
        if (!copy_filters(watch, options)) {
                ble_watch_end(watch);
                return -EINVAL;
        }
        ble->n_watches_changed++;
        ble_begin(ble);
        ble_work_schedule(ble);
        *ret_watch = watch;
        return 0;
}

void ble_watch_end(struct gw_gatt_watch *watch) {
        if (!watch)
                return;
        list_remove(&watch->node);
        watch->ble->n_watches_changed++;
        ble_work_schedule(watch->ble);
        for (size_t i = 0; i < watch->n_names; i++)
                free(watch->names[i]);
        free(watch);
}

/* --- waits --- */

static void wait_over(void *ctx) {
        struct gw_gatt_wait *wait = ctx;
        struct gw_error why = { 0 };
        wait->timer = NULL;
        if (ble_state(wait->ble, &why) == 0)
                gw_error_set(&why, "not-seen", "%s was not heard in that time", wait->key[0] ? wait->key : "the device");
        wait_end(wait, NULL, &why);
}

int ble_wait(struct ble *ble, const struct gw_gatt_wait_options *options,
             void (*heard)(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why), void *ctx, struct gw_gatt_wait **ret_wait) {
        struct gw_gatt_wait *wait;
        int r;
        if ((options->key && !ble_is_key(options->key)) || (!options->key && !options->match) || options->timeout_ms < 1)
                return -EINVAL;
        wait = calloc(1, sizeof *wait);
        if (!wait)
                return -ENOMEM;
        *wait = (struct gw_gatt_wait){ .ble = ble, .match = options->match, .heard = heard, .ctx = ctx };
        (void) str_copy(wait->key, sizeof wait->key, options->key ? options->key : "");
        r = timer_start(ble->loop, options->timeout_ms, wait_over, wait, &wait->timer);
        if (r < 0) {
                free(wait);
                return r;
        }
        list_append(&ble->waits, &wait->node);
        ble_begin(ble);
        ble_work_schedule(ble);
        *ret_wait = wait;
        return 0;
}

void ble_wait_cancel(struct gw_gatt_wait *wait) {
        if (!wait)
                return;
        list_remove(&wait->node);
        timer_cancel(wait->timer);
        ble_work_schedule(wait->ble);
        free(wait);
}

/* --- what discovery asks --- */

bool hearing_is_urgent(const struct ble *ble) {
        return !list_is_empty(&ble->waits) || ble->n_scans > 0 || queue_wants_hearing(ble);
}

bool hearing_is_wanted(const struct ble *ble) {
        return hearing_is_urgent(ble) || !list_is_empty(&ble->watches);
}

static size_t filter_add(const char **services, size_t n, const char *service) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(services[i], service) == 0)
                        return n;
        if (n < BLE_SERVICES_MAX)
                services[n] = service;
        return n + 1; /* beyond the maximum: too many to be a filter */
}

size_t hearing_filter(const struct ble *ble, const char *ret_services[BLE_SERVICES_MAX]) {
        const struct gw_gatt_watch *watch;
        size_t n = 0;
        if (hearing_is_urgent(ble))
                return 0;
        LIST_FOREACH(watch, &ble->watches, node) {
                if (watch->n_services == 0 || watch->n_names > 0)
                        return 0;
                for (size_t i = 0; i < watch->n_services && n <= BLE_SERVICES_MAX; i++)
                        n = filter_add(ret_services, n, watch->services[i]);
        }
        return n > BLE_SERVICES_MAX ? 0 : n;
}

/* --- lists --- */

struct listing {
        bool bonds;
        void (*found)(void *ctx, const struct gw_gatt_peer *peer);
        void *ctx;
        const struct ble *ble;
};

/* Known on several adapters it is told once: of the one that hears it best. Bonds of adapters that are not ours to use are others' affair. */
static void list_device(void *ctx, struct device *device) {
        struct listing *listing = ctx;
        struct peer_view view;
        if (!device->key[0] || (listing->bonds && ((!device->bonded && !device->paired) || !device->adapter->used)))
                return;
        if (!listing->bonds && queue_device(listing->ble, device->key, false) != device)
                return;
        listing->found(listing->ctx, peer_view(device, &view));
}

void ble_peers(struct ble *ble, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx) {
        objects_each_device(&ble->objects, list_device, &(struct listing){ .found = found, .ctx = ctx, .ble = ble });
}

void ble_bonds(struct ble *ble, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx) {
        objects_each_device(&ble->objects, list_device, &(struct listing){ .bonds = true, .found = found, .ctx = ctx, .ble = ble });
}

/* --- life --- */

void hearing_init(struct ble *ble) {
        list_init(&ble->watches);
        list_init(&ble->waits);
        list_init(&ble->telling);
        later_init(&ble->tell, ble->loop, tell, ble);
}

void hearing_deinit(struct ble *ble) {
        later_cancel(&ble->tell);
}
