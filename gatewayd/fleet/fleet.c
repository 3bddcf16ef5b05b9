/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fleet_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS_MIN 64

/* --- the table --- */

/* FNV-1a from a random start: whoever chooses ids cannot choose collisions. */
static size_t bucket_of(const struct fleet *fleet, const char *id) {
        uint64_t hash = 0xcbf29ce484222325u ^ fleet->hash_seed;

        for (; *id; id++)
                hash = (hash ^ (unsigned char) *id) * 0x100000001b3u;
        return (size_t) (hash ^ hash >> 32) & (fleet->n_buckets - 1);
}

static void bucket_add(struct fleet *fleet, struct gw_device *device) {
        struct gw_device **bucket = &fleet->buckets[bucket_of(fleet, device->id)];

        device->hash_next = *bucket;
        *bucket = device;
}

static void bucket_remove(struct fleet *fleet, struct gw_device *device) {
        struct gw_device **link = &fleet->buckets[bucket_of(fleet, device->id)];

        while (*link != device)
                link = &(*link)->hash_next;
        *link = device->hash_next;
}

static int buckets_resize(struct fleet *fleet, size_t n_buckets) {
        struct gw_device **old = fleet->buckets, **buckets = calloc(n_buckets, sizeof(*buckets));
        size_t n_old = fleet->n_buckets;

        if (!buckets)
                return -ENOMEM;
        fleet->buckets = buckets;
        fleet->n_buckets = n_buckets;
        for (size_t i = 0; i < n_old; i++)
                for (struct gw_device *device = old[i], *next; device; device = next) {
                        next = device->hash_next;
                        bucket_add(fleet, device);
                }
        free(old);
        return 0;
}

struct gw_device *fleet_find(struct fleet *fleet, const char *id) {
        struct gw_device *device = fleet->buckets[bucket_of(fleet, id)];

        while (device && strcmp(device->id, id) != 0)
                device = device->hash_next;
        return device;
}

static int table_add(struct fleet *fleet, struct gw_device *device) {
        const struct gw_driver *driver = driver_registry_find(fleet->registry, device->driver);

        if (fleet->n_devices >= fleet->n_buckets && buckets_resize(fleet, 2 * fleet->n_buckets) < 0)
                return -ENOMEM;
        device->driver_table = driver ? driver->device_settings : NULL;
        bucket_add(fleet, device);
        fleet->n_devices++;
        fleet->n_adopted += device->adopted;
        list_append(device->adopted ? &fleet->adopted : &fleet->discovered, &device->order);
        return 0;
}

/* Frees those that nobody can hold a pointer to any more. */
static void bury(struct fleet *fleet) {
        struct gw_device *device, *spare;

        if (fleet->n_walks > 0)
                return;
        LIST_FOREACH_SAFE(device, spare, &fleet->leaving, order) {
                if (device->n_holds > 0)
                        continue;
                list_remove(&device->order);
                device_free(device);
        }
}

void fleet_drop(struct fleet *fleet, struct gw_device *device) {
        fleet_tell(fleet, device, FLEET_EVENT_FORGOTTEN);
        device_table_delete(fleet->store, device->id); /* -ENOENT: it never had a row */
        bucket_remove(fleet, device);
        fleet->n_devices--;
        fleet->n_adopted -= device->adopted;
        device->forgotten = true;
        list_remove(&device->unwritten);
        list_remove(&device->order);
        list_append(&fleet->leaving, &device->order);
        bury(fleet);
}

/* The discovered device that was heard longest ago and is in nobody's hands. */
static bool evict_one(struct fleet *fleet) {
        struct gw_device *device;

        LIST_FOREACH(device, &fleet->discovered, order) {
                if (device->n_holds > 0 || device->work)
                        continue;
                fleet_drop(fleet, device);
                return true;
        }
        return false;
}

int fleet_make(struct fleet *fleet, const char *id, struct gw_device **ret_device, struct gw_error *err) {
        _cleanup_(device_freep) struct gw_device *device = NULL;

        if (fleet->n_devices >= (size_t) fleet->settings->limits.devices && !evict_one(fleet)) {
                fleet->n_dropped++;
                gw_error_set(err, "devices-full", "%zu devices are known and none of them may go", fleet->n_devices);
                return -ENOSPC;
        }
        device = device_new(id);
        if (!device || table_add(fleet, device) < 0) {
                gw_error_set(err, "out-of-memory", "no memory for device %s", id);
                return -ENOMEM;
        }
        *ret_device = TAKE_PTR(device);
        return 0;
}

void fleet_settle_adoption(struct fleet *fleet, struct gw_device *device) {
        bool adopted = device->adoption_stated || device->configured;

        if (adopted == device->adopted)
                return;
        device->adopted = adopted;
        fleet->n_adopted += adopted ? 1 : (size_t) -1;
        list_remove(&device->order);
        list_append(adopted ? &fleet->adopted : &fleet->discovered, &device->order);
        if (adopted)
                fleet_tell(fleet, device, FLEET_EVENT_ADOPTED);
}

/* --- life --- */

static bool is_adopted_at_once(const struct fleet *fleet, const struct gw_device *device) {
        const struct gw_driver *driver = driver_registry_find(fleet->registry, device->driver);

        return driver && settings_auto_adopt(fleet->settings, device->driver, driver->auto_adopt);
}

/* Rows that cannot be read are left alone: their devices come back when they are heard. */
static int load_row(void *ctx, struct device_row *row) {
        _cleanup_(device_freep) struct gw_device *device = NULL;
        struct fleet *fleet = ctx;
        int r = device_from_row(row, &device);

        if (r == -EINVAL)
                return 0;
        if (r < 0)
                return r;
        r = table_add(fleet, device);
        if (r == 0)
                TAKE_PTR(device);
        return r;
}

/* `auto_adopt` may have been switched on since they were discovered. */
static void adopt_at_once(struct fleet *fleet) {
        struct gw_device *device, *spare;

        LIST_FOREACH_SAFE(device, spare, &fleet->discovered, order) {
                if (device_is_private(device) || !is_adopted_at_once(fleet, device))
                        continue;
                device->adoption_stated = true;
                fleet_settle_adoption(fleet, device);
                fleet_write_now(fleet, device);
                fleet_tell(fleet, device, FLEET_EVENT_CHANGED);
        }
}

static int load(struct fleet *fleet, struct gw_error *err) {
        int r = device_table_each(fleet->store, load_row, fleet);

        if (r < 0) {
                gw_error_set(err, "store-failed", "the devices cannot be read: %s", strerror(-r));
                return r;
        }
        r = fleet_configure(fleet, fleet->settings, err);
        if (r == 0)
                adopt_at_once(fleet);
        return r;
}

int fleet_new(const struct fleet_options *options, struct fleet **ret_fleet, struct gw_error *err) {
        struct fleet *fleet = calloc(1, sizeof(*fleet));
        int r;

        if (!fleet) {
                gw_error_set(err, "out-of-memory", "no memory for the devices");
                return -ENOMEM;
        }
        fleet->loop = options->loop;
        fleet->store = options->store;
        fleet->settings = options->settings;
        fleet->registry = options->registry;
        fleet->clock = options->clock ? options->clock : clock_real();
        list_init(&fleet->discovered);
        list_init(&fleet->adopted);
        list_init(&fleet->leaving);
        list_init(&fleet->unwritten);
        if (getrandom(&fleet->hash_seed, sizeof(fleet->hash_seed), GRND_NONBLOCK) < 0)
                fleet->hash_seed = (uint64_t) clock_monotonic_ms(fleet->clock);
        r = buckets_resize(fleet, BUCKETS_MIN);
        r = r < 0 ? r : load(fleet, err);
        if (r < 0) {
                fleet_free(fleet);
                return r;
        }
        *ret_fleet = fleet;
        return 0;
}

static void free_list(struct list *devices) {
        struct gw_device *device, *spare;

        LIST_FOREACH_SAFE(device, spare, devices, order) {
                assert(device->n_holds == 0);
                device_free(device);
        }
}

void fleet_free(struct fleet *fleet) {
        if (!fleet)
                return;
        fleet_write_all(fleet);
        timer_cancel(fleet->write_timer);
        free_list(&fleet->adopted);
        free_list(&fleet->discovered);
        free_list(&fleet->leaving);
        free(fleet->buckets);
        free(fleet);
}

int fleet_reload(struct fleet *fleet, const struct settings *settings, struct gw_error *err) {
        int r = fleet_configure(fleet, settings, err);

        if (r < 0)
                return r;
        fleet->settings = settings;
        adopt_at_once(fleet);
        return 0;
}

/* --- facts --- */

static int heard(struct fleet *fleet, struct gw_device *device, const struct gw_facts *facts) {
        bool is_new = device->first_seen_ms == 0;
        unsigned changes;
        int r = device_merge(device, facts, &changes);

        device->present = true;
        device->last_seen_ms = clock_wall_ms(fleet->clock);
        if (is_new)
                device->first_seen_ms = device->last_seen_ms;
        if (!device->adopted) {
                list_remove(&device->order);
                list_append(&fleet->discovered, &device->order);
        }
        if (is_new || (changes & DEVICE_CHANGE_FACTS))
                r = MIN(r, fleet_write_now(fleet, device));
        else
                fleet_write_soon(fleet, device, changes & DEVICE_CHANGE_SMALL);
        fleet_hold(device); /* a listener may forget it */
        if (is_new || (changes & DEVICE_CHANGE_FACTS))
                fleet_tell(fleet, device, FLEET_EVENT_CHANGED);
        if (!device->forgotten)
                fleet_tell(fleet, device, FLEET_EVENT_SEEN);
        fleet_release(fleet, device);
        return r;
}

/* As device_is_private(), of a device that is not made yet. */
static bool are_private(const struct gw_facts *facts) {
        for (size_t i = 0; facts && i < facts->n_attributes; i++)
                if (str_equal(facts->attributes[i].name, "address_type"))
                        return str_equal(facts->attributes[i].value, "private");
        return false;
}

int fleet_seen(struct fleet *fleet, const char *driver, const char *key, const struct gw_facts *facts) {
        struct gw_device *device;
        char id[STR_DEVICE_ID_SIZE];
        int r;

        if (!driver_registry_find(fleet->registry, driver) || !str_is_id(key))
                return -EINVAL;
        str_format(id, sizeof(id), "%s:%s", driver, key);
        device = fleet_find(fleet, id);
        if (!device) {
                r = fleet_make(fleet, id, &device, NULL);
                if (r < 0)
                        return r;
                device->adoption_stated = !are_private(facts) && is_adopted_at_once(fleet, device);
                fleet_settle_adoption(fleet, device);
        }
        return heard(fleet, device, facts);
}

void fleet_gone(struct fleet *fleet, const char *driver, const char *key) {
        struct gw_device *device;
        char id[STR_DEVICE_ID_SIZE];

        if (str_format(id, sizeof(id), "%s:%s", driver, key) < 0)
                return;
        device = fleet_find(fleet, id);
        if (!device || !device->present)
                return;
        device->present = false;
        fleet_tell(fleet, device, FLEET_EVENT_GONE);
}

int fleet_learned(struct fleet *fleet, const struct gw_device *device, const struct gw_facts *facts) {
        struct gw_device *known = fleet_find(fleet, device->id);

        return known == device ? heard(fleet, known, facts) : -ENOENT;
}

/* --- looking --- */

static int compare_devices(const void *a, const void *b) {
        const struct gw_device *left = *(struct gw_device *const *) a, *right = *(struct gw_device *const *) b;

        return strcmp(left->id, right->id);
}

int fleet_walk_begin(struct fleet *fleet, struct gw_device ***ret_devices, size_t *ret_n) {
        struct gw_device **devices = reallocarray(NULL, fleet->n_devices + 1, sizeof(struct gw_device *));
        size_t n = 0;

        if (!devices)
                return -ENOMEM;
        for (size_t i = 0; i < fleet->n_buckets; i++)
                for (struct gw_device *device = fleet->buckets[i]; device; device = device->hash_next)
                        devices[n++] = device;
        qsort(devices, n, sizeof(struct gw_device *), compare_devices);
        fleet->n_walks++;
        *ret_devices = devices;
        *ret_n = n;
        return 0;
}

void fleet_walk_end(struct fleet *fleet, struct gw_device **devices) {
        fleet->n_walks--;
        free(devices);
        bury(fleet);
}

int fleet_each(struct fleet *fleet, void (*found)(void *ctx, struct gw_device *device), void *ctx) {
        return fleet_match(fleet, "*", found, ctx);
}

static bool matches(const struct gw_device *device, const char *glob) {
        return str_glob_match(glob, device->id) || str_glob_match(glob, device->key) || str_glob_match(glob, device_name(device));
}

int fleet_match(struct fleet *fleet, const char *glob, void (*found)(void *ctx, struct gw_device *device), void *ctx) {
        struct gw_device **devices;
        size_t n_devices;
        int r = fleet_walk_begin(fleet, &devices, &n_devices);

        if (r < 0)
                return r;
        for (size_t i = 0; i < n_devices; i++)
                if (!devices[i]->forgotten && matches(devices[i], glob))
                        found(ctx, devices[i]);
        fleet_walk_end(fleet, devices);
        return 0;
}

void fleet_each_of_driver(struct fleet *fleet, const char *driver, void (*found)(void *ctx, const struct gw_device *device), void *ctx) {
        struct gw_device **devices;
        size_t n_devices;

        if (fleet_walk_begin(fleet, &devices, &n_devices) < 0)
                return;
        for (size_t i = 0; i < n_devices; i++)
                if (!devices[i]->forgotten && devices[i]->adopted && str_equal(devices[i]->driver, driver))
                        found(ctx, devices[i]);
        fleet_walk_end(fleet, devices);
}

struct gw_device *fleet_find_by_words(struct fleet *fleet, const char *words, struct gw_error *err) {
        struct gw_device *device = fleet_find(fleet, words), *found = NULL;

        if (device)
                return device;
        for (size_t i = 0; i < fleet->n_buckets; i++)
                for (device = fleet->buckets[i]; device; device = device->hash_next) {
                        if (!str_equal(device_name(device), words) && !str_equal(device->key, words))
                                continue;
                        if (found) {
                                gw_error_set(err, "device-ambiguous", "%s and %s are both called \"%s\"", found->id, device->id, words);
                                return NULL;
                        }
                        found = device;
                }
        if (!found)
                gw_error_set(err, "device-unknown", "no device has the id, name or key \"%s\"", words);
        return found;
}

struct fleet_counts fleet_count(const struct fleet *fleet) {
        struct fleet_counts counts = {
                .n_devices = fleet->n_devices,
                .n_adopted = fleet->n_adopted,
                .n_discovered = fleet->n_devices - fleet->n_adopted,
                .n_dropped = fleet->n_dropped,
        };
        const struct gw_device *device;

        LIST_FOREACH(device, &fleet->adopted, order)
        counts.n_configured += device->configured;
        return counts;
}

void fleet_hold(struct gw_device *device) {
        device->n_holds++;
}

void fleet_release(struct fleet *fleet, struct gw_device *device) {
        assert(device->n_holds > 0);
        device->n_holds--;
        if (device->forgotten)
                bury(fleet);
}

/* --- listening --- */

int fleet_listen(struct fleet *fleet, fleet_listener listener, void *ctx) {
        if (fleet->n_listeners == FLEET_LISTENERS_MAX)
                return -ENOMEM;
        fleet->listeners[fleet->n_listeners].listener = listener;
        fleet->listeners[fleet->n_listeners++].ctx = ctx;
        return 0;
}

void fleet_unlisten(struct fleet *fleet, fleet_listener listener, void *ctx) {
        for (size_t i = 0; i < fleet->n_listeners; i++) {
                if (fleet->listeners[i].listener != listener || fleet->listeners[i].ctx != ctx)
                        continue;
                fleet->n_listeners--;
                memmove(&fleet->listeners[i], &fleet->listeners[i + 1], (fleet->n_listeners - i) * sizeof(fleet->listeners[0]));
                return;
        }
}

void fleet_tell(struct fleet *fleet, struct gw_device *device, enum fleet_event event) {
        for (size_t i = 0; i < fleet->n_listeners; i++)
                fleet->listeners[i].listener(fleet->listeners[i].ctx, device, event);
}

/* --- results --- */

int fleet_result(struct fleet *fleet, struct gw_device *device, const struct fleet_job_result *result) {
        bool changed = false;

        if (device_text_set(&device->last_result, result->result, &changed) < 0 ||
            device_text_set(&device->last_error, result->error, &changed) < 0)
                return -ENOMEM;
        device->last_job_id = result->job_id;
        device->last_result_ms = result->time_ms;
        return fleet_write_now(fleet, device);
}
