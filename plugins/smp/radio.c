/* SPDX-License-Identifier: Apache-2.0 */
#include "radio.h"

#include <stdlib.h>

#include "identity.h"
#include "waiters.h"

struct heard {
        char key[GW_GATT_KEY_SIZE];
        char name[64];
        int64_t first_ms, last_ms;
};

struct radio {
        struct driver *driver;
        struct gw_gatt_watch *watch;
        struct gw_gatt_task *scan;
        int64_t scan_since_ms;
        struct waiter *waiters;
        struct heard heard[RADIO_HEARD_MAX]; /* a ring: the oldest goes first */
        size_t n_heard, next_heard;
};

/* ---- who was heard when */

static const struct heard *heard_find(const struct radio *radio, const char *key) {
        for (size_t i = 0; i < radio->n_heard; i++)
                if (strcmp(radio->heard[i].key, key) == 0)
                        return &radio->heard[i];
        return NULL;
}

/* Private addresses are those of phones, mostly, and change all the time: they would push out all others. */
static void heard_keep(struct radio *radio, const struct gw_gatt_peer *peer) {
        const struct gw_host *host = radio->driver->host;
        struct heard *heard = (struct heard *) heard_find(radio, peer->key);

        if (peer->address_kind == GW_GATT_ADDRESS_PRIVATE)
                return;
        if (!heard) {
                heard = &radio->heard[radio->next_heard];
                radio->next_heard = (radio->next_heard + 1) % RADIO_HEARD_MAX;
                if (radio->n_heard < RADIO_HEARD_MAX)
                        radio->n_heard++;
                *heard = (struct heard){ .first_ms = host->timer->now_ms(host) };
                snprintf(heard->key, sizeof heard->key, "%s", peer->key);
        }
        heard->last_ms = host->timer->now_ms(host);
        if (peer->name)
                snprintf(heard->name, sizeof heard->name, "%s", peer->name);
}

int64_t radio_first_heard_ms(const struct radio *radio, const char *key) {
        const struct heard *heard = heard_find(radio, key);

        return heard ? heard->first_ms : radio->driver->host->timer->now_ms(radio->driver->host);
}

const char *radio_name(const struct radio *radio, const char *key) {
        const struct heard *heard = heard_find(radio, key);

        return heard && heard->name[0] ? heard->name : NULL;
}

/* ---- devices of the registry */

struct search {
        const struct gw_host *host;
        const char *key, *serial;
        const struct gw_device *except, *found;
        size_t n_found;
};

static void match_place(void *ctx, const struct gw_device *device) {
        struct search *search = ctx;
        char key[GW_GATT_KEY_SIZE];

        transport_ble_key(search->host, device, key);
        if (device != search->except && (strcmp(key, search->key) == 0 || strcmp(search->host->device->key(device), search->key) == 0))
                search->found = device;
}

const struct gw_device *radio_device_at(const struct radio *radio, const char *key, const struct gw_device *except) {
        const struct gw_host *host = radio->driver->host;
        struct search search = { .host = host, .key = key, .except = except };

        host->device->each(host, transport_ble.driver, match_place, &search);
        return search.found;
}

static void match_serial(void *ctx, const struct gw_device *device) {
        struct search *search = ctx;
        const char *serial = search->host->device->attribute(device, "serial_number");

        if (!serial)
                serial = search->host->device->attribute(device, "memfault_serial");
        if (device == search->except || !serial || strcmp(serial, search->serial) != 0)
                return;
        search->found = device;
        search->n_found++;
}

/* Heard at its own address since the other one is there: two devices. */
static bool is_still_there(const struct radio *radio, const struct gw_device *known, const char *key) {
        const struct heard *there, *here = heard_find(radio, key);
        char place[GW_GATT_KEY_SIZE];

        transport_ble_key(radio->driver->host, known, place);
        there = heard_find(radio, place);
        return there && here && there->last_ms >= here->first_ms;
}

static bool is_other_hardware(const struct gw_host *host, const struct gw_device *one, const struct gw_device *other) {
        const char *model = host->device->model(one), *other_model = host->device->model(other);

        return model && other_model && strcmp(model, other_model) != 0;
}

const char *radio_serial_heard(struct radio *radio, const struct gw_device *device, const char *serial, const char *address) {
        const struct gw_host *host = radio->driver->host;
        struct search search = { .host = host, .serial = serial, .except = device };
        struct gw_facts facts = GW_FACTS_INIT;
        const char *key;

        if (!identity_tells_apart(serial))
                return NULL;
        host->device->each(host, transport_ble.driver, match_serial, &search);
        if (search.n_found != 1 || is_other_hardware(host, device, search.found) || is_still_there(radio, search.found, host->device->key(device)))
                return NULL;
        key = host->device->key(search.found);
        facts.address = address;
        host->device->seen(host, transport_ble.driver, key, &facts);
        return key;
}

/* ---- advertisements */

static const char *kind_name(enum gw_gatt_address_kind kind) {
        switch (kind) {
        case GW_GATT_ADDRESS_PUBLIC:
                return "public";
        case GW_GATT_ADDRESS_STATIC:
                return "static";
        case GW_GATT_ADDRESS_PRIVATE:
                break;
        }
        return "private";
}

static void report(struct radio *radio, const char *key, const struct gw_gatt_peer *peer) {
        const struct gw_host *host = radio->driver->host;
        const struct gw_attribute attributes[] = {
                { "address_type", kind_name(peer->address_kind) },
                { "adapter", peer->adapter },
                { "bonded", peer->bonded ? "yes" : "no" },
        };
        struct gw_facts facts = GW_FACTS_INIT;

        facts.name = peer->name;
        facts.address = peer->address;
        facts.rssi_dbm = peer->rssi_dbm;
        facts.battery_percent = peer->battery_percent;
        facts.attributes = attributes;
        facts.n_attributes = sizeof attributes / sizeof attributes[0];
        host->device->seen(host, transport_ble.driver, key, &facts);
}

static void seen(void *ctx, const struct gw_gatt_peer *peer) {
        struct radio *radio = ctx;
        const struct gw_host *host = radio->driver->host;
        const struct gw_device *device = radio_device_at(radio, peer->key, NULL);

        heard_keep(radio, peer);
        if (device)
                report(radio, host->device->key(device), peer);
        else if (identity_is_smp(peer, host->settings_ops->get(host->settings, "ble_names")))
                report(radio, peer->key, peer);
}

void radio_listen(struct radio *radio) {
        const struct gw_host *host = radio->driver->host;
        const struct gw_gatt_watch_options options = { .size = sizeof options }; /* all: adopted devices may advertise anything */

        if (!radio->watch && host->gatt && host->gatt->watch(host, &options, seen, radio, &radio->watch) < 0)
                host->log->write(host, NULL, GW_LOG_WARNING, "smp-ble: no memory to listen");
}

/* ---- scan */

/* Whoever was known before is not told again at once. */
static void heard_in_scan(void *ctx, const struct gw_gatt_peer *peer) {
        struct radio *radio = ctx;

        if (peer->heard_ms >= radio->scan_since_ms && peer->heard_ms > 0)
                seen(radio, peer);
}

static void scanned(void *ctx, const struct gw_error *why, const uint8_t *data, size_t size) {
        struct radio *radio = ctx;
        const struct gw_host *host = radio->driver->host;
        struct waiter *waiters;

        (void) data;
        (void) size;
        radio->scan = NULL;
        if (why)
                host->log->write(host, NULL, GW_LOG_WARNING, "smp-ble: looking for devices: %s", why->text);
        else
                host->gatt->peers(host, heard_in_scan, radio);
        waiters = radio->waiters;
        radio->waiters = NULL;
        waiters_tell(waiters);
}

int radio_scan(struct radio *radio, int64_t duration_ms, void (*done)(void *ctx), void *ctx, struct gw_error *err) {
        const struct gw_host *host = radio->driver->host;
        int r = host->gatt ? host->gatt->state(host, err) : -ENOTSUP;

        if (r == -ENOTSUP)
                gw_error_set(err, "no-adapter", "this gatewayd has no Bluetooth");
        if (r < 0)
                return r;
        radio_listen(radio);
        if (!radio->scan) {
                radio->scan_since_ms = host->timer->now_ms(host);
                r = host->gatt->scan(host, duration_ms, scanned, radio, &radio->scan);
        }
        if (r == 0)
                r = waiters_add(&radio->waiters, done, ctx);
        if (r < 0)
                gw_error_set(err, "out-of-memory", "no memory for a scan");
        return r;
}

/* ---- life */

static void note_any(void *ctx, const struct gw_device *device) {
        bool *any = ctx;

        (void) device;
        *any = true;
}

int radio_new(struct driver *driver, struct radio **ret_radio) {
        const struct gw_host *host = driver->host;
        struct radio *radio = calloc(1, sizeof *radio);
        bool any = strcmp(host->settings_ops->get(host->settings, "ble_listen"), "always") == 0;

        if (!radio)
                return -ENOMEM;
        radio->driver = driver;
        host->device->each(host, transport_ble.driver, note_any, &any);
        if (any)
                radio_listen(radio);
        *ret_radio = radio;
        return 0;
}

void radio_free(struct radio *radio) {
        const struct gw_host *host;

        if (!radio)
                return;
        host = radio->driver->host;
        if (host->gatt) {
                host->gatt->watch_end(radio->watch);
                host->gatt->task_cancel(radio->scan);
        }
        waiters_free(radio->waiters);
        free(radio);
}
