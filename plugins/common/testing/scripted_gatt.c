/* SPDX-License-Identifier: Apache-2.0 */
#include "common/testing/scripted_gatt.h"

#include <fnmatch.h>
#include <stdlib.h>

#define TELL_INTERVAL_MS 10000 /* as the daemon does */

#define OPEN_TIMEOUT_MS 60000
#define TASKS_MAX 16

GW_PRINTF(1, 2) static void breach(const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        fputs("breach of the Bluetooth interface: ", stderr);
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
        va_end(arguments);
        abort();
}

struct gw_gatt_watch {
        struct gw_gatt_watch *next;
        struct scripted_gatt *gatt;
        const char *services[SCRIPTED_BLE_SERVICES_MAX], *names[SCRIPTED_BLE_SERVICES_MAX];
        size_t n_services, n_names;
        void (*seen)(void *ctx, const struct gw_gatt_peer *peer);
        void *ctx;
};

struct gw_gatt_wait {
        struct gw_gatt_wait *next;
        struct scripted_gatt *gatt;
        char key[GW_GATT_KEY_SIZE];
        bool (*match)(void *ctx, const struct gw_gatt_peer *peer);
        void (*heard)(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why);
        void *ctx;
        struct gw_timer *timer;
};

struct gw_gatt {
        struct scripted_gatt *gatt;
        struct scripted_ble *ble; /* NULL: nobody knows it */
        char key[GW_GATT_KEY_SIZE], service[GW_GATT_UUID_SIZE];
        const struct gw_gatt_handler *handler;
        void *ctx;
        struct gw_timer *timer;
        int64_t until_ms;
        uint32_t priority;
        bool opened, ended;
};

enum task_kind { TASK_SCAN, TASK_READ, TASK_WRITE, TASK_FORGET, TASK_PAIR, TASK_UNPAIR };

struct gw_gatt_task {
        struct gw_gatt_task *next;
        struct scripted_gatt *gatt;
        struct gw_gatt *device; /* NULL: not of an open device */
        enum task_kind kind;
        char key[GW_GATT_KEY_SIZE], uuid[GW_GATT_UUID_SIZE];
        uint8_t data[GW_GATT_ATTRIBUTE_MAX];
        size_t size;
        gw_gatt_done done;
        void *ctx;
        struct gw_timer *timer;
};

static struct scripted_gatt *gatt_of(const struct gw_host *host) {
        return ((struct scripted_host *) host->internal)->gatt;
}

static struct gw_timer *after(struct scripted_gatt *gatt, int64_t delay_ms, void (*fired)(void *ctx), void *ctx) {
        const struct gw_host *host = &gatt->host->host;
        struct gw_timer *timer = NULL;

        host->timer->start(host, delay_ms, fired, ctx, &timer);
        return timer;
}

static void timer_end(struct scripted_gatt *gatt, struct gw_timer **timer) {
        gatt->host->host.timer->cancel(*timer);
        *timer = NULL;
}

static void *allocate(size_t size) {
        void *memory = calloc(1, size);

        if (!memory)
                abort();
        return memory;
}

static struct scripted_ble *ble_find(struct scripted_gatt *gatt, const char *key) {
        for (size_t i = 0; i < gatt->n_devices; i++)
                if (strcmp(gatt->devices[i].key, key) == 0)
                        return &gatt->devices[i];
        return NULL;
}

static bool is_key(const char *key) {
        return key && strlen(key) == GW_GATT_KEY_SIZE - 1 && strspn(key, "0123456789ABCDEF") == GW_GATT_KEY_SIZE - 1;
}

/* ---- what is told of a device */

struct peer_view {
        struct gw_gatt_peer peer;
        char address[18];
        const char *services[SCRIPTED_BLE_SERVICES_MAX];
        struct gw_gatt_manufacturer manufacturer;
};

static const struct gw_gatt_peer *view(struct scripted_ble *ble, struct peer_view *ret) {
        for (size_t i = 0; i < 6; i++)
                snprintf(ret->address + 3 * i, 4, i < 5 ? "%.2s:" : "%.2s", ble->key + 2 * i);
        for (size_t i = 0; i < ble->n_services; i++)
                ret->services[i] = ble->services[i];
        ret->manufacturer = (struct gw_gatt_manufacturer){ ble->company, ble->manufacturer, ble->manufacturer_size };
        ret->peer = (struct gw_gatt_peer){
                .size = sizeof ret->peer,
                .key = ble->key,
                .address = ret->address,
                .address_kind = ble->address_kind,
                .adapter = "hci0",
                .name = ble->name[0] ? ble->name : NULL,
                .rssi_dbm = ble->rssi_dbm,
                .battery_percent = ble->battery_percent,
                .bonded = ble->bonded,
                .connected = ble->open != NULL,
                .heard_ms = ble->heard_ms,
                .services = ret->services,
                .n_services = ble->n_services,
                .manufacturer = &ret->manufacturer,
                .n_manufacturer = ble->manufacturer_size ? 1 : 0,
        };
        return &ret->peer;
}

/* ---- watching and waiting */

static int api_watch(const struct gw_host *host, const struct gw_gatt_watch_options *options, void (*seen)(void *ctx, const struct gw_gatt_peer *peer), void *ctx,
                     struct gw_gatt_watch **ret_watch) {
        struct gw_gatt_watch *watch = allocate(sizeof *watch);

        if (options->n_services > SCRIPTED_BLE_SERVICES_MAX || options->n_names > SCRIPTED_BLE_SERVICES_MAX)
                abort();
        *watch = (struct gw_gatt_watch){ .next = gatt_of(host)->watches, .gatt = gatt_of(host), .seen = seen, .ctx = ctx };
        watch->n_services = options->n_services;
        watch->n_names = options->n_names;
        for (size_t i = 0; i < options->n_services; i++)
                watch->services[i] = options->services[i];
        for (size_t i = 0; i < options->n_names; i++)
                watch->names[i] = options->names[i];
        watch->gatt->watches = watch;
        *ret_watch = watch;
        return 0;
}

static void api_watch_end(struct gw_gatt_watch *watch) {
        struct gw_gatt_watch **at;

        if (!watch)
                return;
        for (at = &watch->gatt->watches; *at && *at != watch; at = &(*at)->next)
                ;
        if (!*at)
                breach("a watch was ended twice");
        *at = watch->next;
        free(watch);
}

static bool watch_wants(const struct gw_gatt_watch *watch, const struct scripted_ble *ble) {
        if (watch->n_services == 0)
                return true;
        for (size_t i = 0; i < watch->n_services; i++)
                for (size_t j = 0; j < ble->n_services; j++)
                        if (strcmp(watch->services[i], ble->services[j]) == 0)
                                return true;
        for (size_t i = 0; i < watch->n_names; i++)
                if (fnmatch(watch->names[i], ble->name, 0) == 0)
                        return true;
        return false;
}

static void wait_remove(struct gw_gatt_wait *wait) {
        struct gw_gatt_wait **at;

        for (at = &wait->gatt->waits; *at && *at != wait; at = &(*at)->next)
                ;
        if (!*at)
                breach("a wait was canceled that is over");
        *at = wait->next;
        timer_end(wait->gatt, &wait->timer);
}

static void wait_end(struct gw_gatt_wait *wait, const struct gw_gatt_peer *peer, const struct gw_error *why) {
        struct gw_gatt_wait copy = *wait;

        wait_remove(wait);
        free(wait);
        copy.heard(copy.ctx, peer, why);
}

static void wait_timeout(void *ctx) {
        struct gw_gatt_wait *wait = ctx;
        struct gw_error why = { 0 };

        wait->timer = NULL;
        gw_error_set(&why, wait->gatt->state ? wait->gatt->state : "not-seen", "scripted");
        wait_end(wait, NULL, &why);
}

static int api_wait(const struct gw_host *host, const struct gw_gatt_wait_options *options,
                    void (*heard)(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why), void *ctx, struct gw_gatt_wait **ret_wait) {
        struct gw_gatt_wait *wait;

        if ((options->key && !is_key(options->key)) || (!options->key && !options->match) || options->timeout_ms < 1)
                return -EINVAL;
        wait = allocate(sizeof *wait);
        *wait = (struct gw_gatt_wait){ .next = gatt_of(host)->waits, .gatt = gatt_of(host), .match = options->match, .heard = heard, .ctx = ctx };
        snprintf(wait->key, sizeof wait->key, "%s", options->key ? options->key : "");
        wait->timer = after(wait->gatt, options->timeout_ms, wait_timeout, wait);
        wait->gatt->waits = wait;
        *ret_wait = wait;
        return 0;
}

static void api_wait_cancel(struct gw_gatt_wait *wait) {
        if (!wait)
                return;
        wait_remove(wait);
        free(wait);
}

/* Each list may change under the callbacks, so it is begun again after every one that was called. */
static bool tell_one_wait(struct scripted_gatt *gatt, const struct gw_gatt_peer *peer) {
        for (struct gw_gatt_wait *wait = gatt->waits; wait; wait = wait->next) {
                if (strcmp(wait->key, peer->key) == 0 || (wait->match && wait->match(wait->ctx, peer))) {
                        wait_end(wait, peer, NULL);
                        return true;
                }
        }
        return false;
}

/* ---- opening and losing */

static bool has_service(const struct scripted_ble *ble, const char *uuid) {
        for (size_t i = 0; i < ble->n_characteristics; i++)
                if (strcmp(ble->characteristics[i].service, uuid) == 0)
                        return true;
        return !uuid[0];
}

static bool end_one_task(struct gw_gatt *device, const struct gw_error *why);

static void device_end(struct gw_gatt *device, const char *name) {
        struct scripted_ble *ble = device->ble;
        struct gw_error why = { 0 };

        if (device->ended)
                return;
        device->opened = false;
        device->ended = true;
        timer_end(device->gatt, &device->timer);
        gw_error_set(&why, name, "%s: scripted", device->key);
        for (size_t i = 0; ble && i < ble->n_characteristics && ble->open == device; i++)
                if (ble->characteristics[i].link)
                        scripted_link_lose((struct scripted_link *) (void *) ble->characteristics[i].link, name);
        while (ble && ble->open == device && end_one_task(device, &why))
                ;
        if (ble && ble->open != device)
                return;
        if (ble)
                ble->open = NULL;
        device->handler->closed(device->ctx, &why);
}

static const char *opening_fails(struct gw_gatt *device) {
        struct scripted_ble *ble = device->ble;

        if (ble && ble->open_fails)
                return ble->open_fails;
        if (ble && !has_service(ble, device->service))
                return "gatt-service-missing";
        return NULL;
}

static bool claim(struct gw_gatt *device, struct scripted_ble *ble) {
        if (ble && ble->open)
                return false;
        device->ble = ble;
        if (ble) {
                ble->open = device;
                ble->priority = device->priority;
        }
        return true;
}

static void device_try(void *ctx) {
        struct gw_gatt *device = ctx;
        struct scripted_gatt *gatt = device->gatt;
        const char *fails;

        device->timer = NULL;
        if (!device->ble)
                claim(device, ble_find(gatt, device->key));
        fails = opening_fails(device);
        if (fails) {
                device_end(device, fails);
                return;
        }
        if (gatt->state || !device->ble || device->ble->away) {
                if (gatt->host->now_ms >= device->until_ms)
                        device_end(device, gatt->state ? gatt->state : "not-seen");
                else
                        device->timer = after(gatt, 100, device_try, device);
                return;
        }
        device->opened = true;
        device->ble->n_opened++;
        if (device->handler->opened)
                device->handler->opened(device->ctx);
}

static void device_busy(void *ctx) {
        struct gw_gatt *device = ctx;

        device->timer = NULL;
        device_end(device, "device-busy");
}

static int api_open(const struct gw_host *host, const struct gw_gatt_open_options *options, const struct gw_gatt_handler *handler, void *ctx, struct gw_gatt **ret_gatt) {
        struct scripted_gatt *gatt = gatt_of(host);
        struct gw_gatt *device;

        if (!is_key(options->key))
                return -EINVAL;
        device = allocate(sizeof *device);
        *device = (struct gw_gatt){ .gatt = gatt, .handler = handler, .ctx = ctx, .priority = options->priority };
        device->until_ms = gatt->host->now_ms + (options->timeout_ms ? options->timeout_ms : OPEN_TIMEOUT_MS);
        snprintf(device->key, sizeof device->key, "%s", options->key);
        snprintf(device->service, sizeof device->service, "%s", options->service ? options->service : "");
        device->timer = after(gatt, 0, claim(device, ble_find(gatt, options->key)) ? device_try : device_busy, device);
        *ret_gatt = device;
        return 0;
}

static void tasks_drop(struct gw_gatt *device);

static void api_close(struct gw_gatt *device) {
        if (!device)
                return;
        for (size_t i = 0; device->ble && i < device->ble->n_characteristics; i++)
                if (device->ble->open == device && device->ble->characteristics[i].link)
                        breach("device %s was closed with its link %s open", device->key, device->ble->characteristics[i].uuid);
        tasks_drop(device);
        timer_end(device->gatt, &device->timer);
        if (device->ble && device->ble->open == device)
                device->ble->open = NULL;
        free(device);
}

static void api_set_priority(struct gw_gatt *device, uint32_t priority) {
        device->priority = priority;
        if (device->ble)
                device->ble->priority = priority;
}

static void api_characteristics(struct gw_gatt *device, void (*found)(void *ctx, const struct gw_gatt_characteristic *characteristic), void *ctx) {
        if (!device->opened)
                breach("characteristics of %s, which is not open", device->key);
        for (size_t i = 0; i < device->ble->n_characteristics; i++) {
                const struct scripted_ble_characteristic *at = &device->ble->characteristics[i];

                found(ctx, &(struct gw_gatt_characteristic){ sizeof(struct gw_gatt_characteristic), at->uuid, at->service, at->properties });
        }
}

static int api_peer(struct gw_gatt *device, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx) {
        struct peer_view peer;

        if (!device->ble)
                return -ENOENT;
        found(ctx, view(device->ble, &peer));
        return 0;
}

/* ---- characteristics as links */

static struct scripted_ble_characteristic *characteristic_find(struct scripted_ble *ble, const char *uuid) {
        for (size_t i = 0; ble && i < ble->n_characteristics; i++)
                if (strcmp(ble->characteristics[i].uuid, uuid) == 0)
                        return &ble->characteristics[i];
        return NULL;
}

/* A scripted link whose end is noted at the characteristic. */
struct gatt_link {
        const struct gw_link_ops *below;
        struct gw_link_ops ops;
        struct scripted_ble_characteristic *characteristic;
        struct scripted_link *link;
        enum gw_gatt_write write;
};

/* One characteristic has one link at most, so the links of all devices are few. */
static struct gatt_link gatt_links[SCRIPTED_BLE_MAX * SCRIPTED_BLE_CHARACTERISTICS_MAX];

static struct gatt_link *gatt_link_of(const struct gw_link *link) {
        for (size_t i = 0; i < sizeof gatt_links / sizeof gatt_links[0]; i++)
                if (gatt_links[i].link && &gatt_links[i].link->link == link)
                        return &gatt_links[i];
        return NULL;
}

static int gatt_link_send(struct gw_link *link, const void *data, size_t size) {
        struct gatt_link *mine = gatt_link_of(link);

        return mine->write == GW_GATT_SEND_NONE ? -EPERM : mine->below->send(link, data, size);
}

static void gatt_link_close(struct gw_link *link) {
        struct gatt_link *mine = gatt_link_of(link);
        const struct gw_link_ops *below = mine->below;

        if (mine->characteristic)
                mine->characteristic->link = NULL;
        mine->link = NULL;
        below->close(link);
}

static const char *link_refusal(const struct scripted_ble_characteristic *characteristic, const struct gw_gatt_link_options *options) {
        uint32_t properties = characteristic ? characteristic->properties : 0;

        if (!characteristic)
                return "gatt-characteristic-missing";
        if (characteristic->fails)
                return characteristic->fails;
        if (characteristic->link || (options->notify && !(properties & (GW_GATT_NOTIFY | GW_GATT_INDICATE))) ||
            (options->write == GW_GATT_SEND_COMMAND && !(properties & GW_GATT_WRITE_COMMAND)) ||
            (options->write == GW_GATT_SEND_REQUEST && !(properties & GW_GATT_WRITE)))
                return "gatt-not-permitted";
        return NULL;
}

static struct gatt_link *gatt_link_slot(void) {
        for (size_t i = 0; i < sizeof gatt_links / sizeof gatt_links[0]; i++)
                if (!gatt_links[i].link)
                        return &gatt_links[i];
        abort();
}

static int api_link_open(struct gw_gatt *device, const struct gw_gatt_link_options *options, const struct gw_link_handler *handler, void *ctx, struct gw_link **ret_link) {
        struct scripted_ble_characteristic *characteristic = characteristic_find(device->ble, options->uuid);
        const char *refusal = link_refusal(characteristic, options);
        struct gatt_link *mine = gatt_link_slot();
        char where[GW_GATT_KEY_SIZE + GW_GATT_UUID_SIZE];

        if (!device->opened)
                return -ENOTCONN;
        snprintf(where, sizeof where, "%s/%s", device->key, options->uuid);
        *mine = (struct gatt_link){ .link = scripted_link_new(device->gatt->host, handler, ctx, where), .write = options->write };
        mine->link->max_datagram = device->ble->max_datagram;
        mine->below = mine->link->link.ops;
        mine->ops = *mine->below;
        mine->ops.send = gatt_link_send;
        mine->ops.close = gatt_link_close;
        mine->link->link.ops = &mine->ops;
        mine->link->refusal = refusal;
        if (!refusal) {
                mine->characteristic = characteristic;
                characteristic->link = &mine->link->link;
        }
        *ret_link = &mine->link->link;
        return 0;
}

/* ---- tasks */

static void task_remove(struct gw_gatt_task *task) {
        struct gw_gatt_task **at;

        for (at = &task->gatt->tasks; *at && *at != task; at = &(*at)->next)
                ;
        if (!*at)
                breach("a task was canceled that is over");
        *at = task->next;
        timer_end(task->gatt, &task->timer);
}

static void task_end(struct gw_gatt_task *task, const struct gw_error *why, const uint8_t *data, size_t size) {
        gw_gatt_done done = task->done;
        void *ctx = task->ctx;

        task_remove(task);
        free(task);
        done(ctx, why, data, size);
}

static bool end_one_task(struct gw_gatt *device, const struct gw_error *why) {
        for (struct gw_gatt_task *task = device->gatt->tasks; task; task = task->next) {
                if (task->device == device) {
                        task_end(task, why, NULL, 0);
                        return true;
                }
        }
        return false;
}

static void tasks_drop(struct gw_gatt *device) {
        struct gw_gatt_task *task, *next;

        for (task = device->gatt->tasks; task; task = next) {
                next = task->next;
                if (task->device == device) {
                        task_remove(task);
                        free(task);
                }
        }
}

static const char *access_fails(const struct gw_gatt_task *task, struct scripted_ble_characteristic **ret_characteristic) {
        struct scripted_ble_characteristic *characteristic = characteristic_find(task->device->ble, task->uuid);
        uint32_t needed = task->kind == TASK_READ ? GW_GATT_READ : GW_GATT_WRITE | GW_GATT_WRITE_COMMAND;

        if (!characteristic)
                return "gatt-characteristic-missing";
        *ret_characteristic = characteristic;
        return characteristic->properties & needed ? characteristic->fails : "gatt-not-permitted";
}

static const char *access_do(struct gw_gatt_task *task, const uint8_t **ret_data, size_t *ret_size) {
        struct scripted_ble_characteristic *characteristic = NULL;
        const char *fails = access_fails(task, &characteristic);

        if (fails)
                return fails;
        if (task->kind == TASK_WRITE) {
                memcpy(characteristic->value, task->data, task->size);
                characteristic->value_size = task->size;
                return NULL;
        }
        *ret_data = characteristic->value;
        *ret_size = characteristic->value_size;
        return NULL;
}

static const char *pairing_do(struct gw_gatt_task *task, struct scripted_ble *ble) {
        if (!ble || ble->away)
                return "not-seen";
        if (ble->pair_fails)
                return ble->pair_fails;
        if (ble->open)
                return "device-busy";
        ble->bonded = task->kind == TASK_PAIR;
        ble->n_paired += task->kind == TASK_PAIR;
        ble->n_unpaired += task->kind == TASK_UNPAIR;
        return NULL;
}

static const char *forget_do(struct scripted_ble *ble) {
        if (ble && ble->open)
                return "device-busy";
        if (ble && ble->bonded)
                return "device-bonded";
        if (ble)
                ble->n_forgotten++;
        return NULL;
}

static void task_fired(void *ctx) {
        struct gw_gatt_task *task = ctx;
        struct scripted_ble *ble = ble_find(task->gatt, task->key);
        struct gw_error why = { 0 };
        const uint8_t *data = NULL;
        const char *fails = task->gatt->state;
        size_t size = 0;

        task->timer = NULL;
        if (!fails && (task->kind == TASK_READ || task->kind == TASK_WRITE))
                fails = access_do(task, &data, &size);
        else if (!fails && (task->kind == TASK_PAIR || task->kind == TASK_UNPAIR))
                fails = pairing_do(task, ble);
        else if (!fails && task->kind == TASK_FORGET)
                fails = forget_do(ble);
        if (fails)
                gw_error_set(&why, fails, "%s: scripted", task->key);
        task_end(task, fails ? &why : NULL, data, size);
}

static struct gw_gatt_task *task_new(struct scripted_gatt *gatt, enum task_kind kind, const char *key, int64_t delay_ms, gw_gatt_done done, void *ctx) {
        struct gw_gatt_task *task = allocate(sizeof *task);

        *task = (struct gw_gatt_task){ .next = gatt->tasks, .gatt = gatt, .kind = kind, .done = done, .ctx = ctx };
        snprintf(task->key, sizeof task->key, "%s", key);
        task->timer = after(gatt, delay_ms, task_fired, task);
        gatt->tasks = task;
        return task;
}

static int api_scan(const struct gw_host *host, int64_t duration_ms, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        if (duration_ms < 100 || duration_ms > 60000)
                return -EINVAL;
        gatt_of(host)->n_scans++;
        *ret_task = task_new(gatt_of(host), TASK_SCAN, "", duration_ms, done, ctx);
        return 0;
}

static int access_start(struct gw_gatt *device, enum task_kind kind, const char *uuid, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        size_t n_tasks = 0;

        if (!device->opened)
                return -ENOTCONN;
        for (const struct gw_gatt_task *task = device->gatt->tasks; task; task = task->next)
                n_tasks += task->device == device;
        if (n_tasks >= TASKS_MAX)
                return -EBUSY;
        *ret_task = task_new(device->gatt, kind, device->key, 0, done, ctx);
        (*ret_task)->device = device;
        snprintf((*ret_task)->uuid, sizeof(*ret_task)->uuid, "%s", uuid);
        return 0;
}

static int api_read(struct gw_gatt *device, const char *uuid, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return access_start(device, TASK_READ, uuid, done, ctx, ret_task);
}

static int api_write(struct gw_gatt *device, const char *uuid, const void *data, size_t size, enum gw_gatt_write kind, gw_gatt_done done, void *ctx,
                     struct gw_gatt_task **ret_task) {
        int r;

        if (size > GW_GATT_ATTRIBUTE_MAX || kind == GW_GATT_SEND_NONE)
                return -EINVAL;
        r = access_start(device, TASK_WRITE, uuid, done, ctx, ret_task);
        if (r < 0)
                return r;
        memcpy((*ret_task)->data, data, size);
        (*ret_task)->size = size;
        return 0;
}

static int keyed_start(const struct gw_host *host, enum task_kind kind, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        if (!is_key(key))
                return -EINVAL;
        *ret_task = task_new(gatt_of(host), kind, key, 0, done, ctx);
        return 0;
}

static int api_forget(const struct gw_host *host, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return keyed_start(host, TASK_FORGET, key, done, ctx, ret_task);
}

static int api_pair(const struct gw_host *host, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return keyed_start(host, TASK_PAIR, key, done, ctx, ret_task);
}

static int api_unpair(const struct gw_host *host, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return keyed_start(host, TASK_UNPAIR, key, done, ctx, ret_task);
}

static void api_task_cancel(struct gw_gatt_task *task) {
        if (!task)
                return;
        task_remove(task);
        free(task);
}

/* ---- lists and state */

static void each_peer(struct scripted_gatt *gatt, bool bonds_only, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx) {
        struct peer_view peer;

        for (size_t i = 0; i < gatt->n_devices; i++)
                if (bonds_only ? gatt->devices[i].bonded : gatt->devices[i].heard_ms > 0)
                        found(ctx, view(&gatt->devices[i], &peer));
}

static void api_peers(const struct gw_host *host, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx) {
        each_peer(gatt_of(host), false, found, ctx);
}

static void api_bonds(const struct gw_host *host, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx) {
        each_peer(gatt_of(host), true, found, ctx);
}

static int api_state(const struct gw_host *host, struct gw_error *err) {
        const char *state = gatt_of(host)->state;

        if (!state)
                return 0;
        gw_error_set(err, state, "scripted");
        return -ENODEV;
}

static void api_adapters(const struct gw_host *host, void (*found)(void *ctx, const struct gw_gatt_adapter *adapter), void *ctx) {
        const char *state = gatt_of(host)->state;

        found(ctx, &(struct gw_gatt_adapter){
                           .size = sizeof(struct gw_gatt_adapter), .name = "hci0", .address = "00:00:5E:00:53:01", .used = true, .powered = !state });
}

static const struct gw_gatt_api gatt_api = {
        .size = sizeof gatt_api,
        .state = api_state,
        .adapters = api_adapters,
        .watch = api_watch,
        .watch_end = api_watch_end,
        .peers = api_peers,
        .scan = api_scan,
        .wait = api_wait,
        .wait_cancel = api_wait_cancel,
        .open = api_open,
        .close = api_close,
        .set_priority = api_set_priority,
        .characteristics = api_characteristics,
        .peer = api_peer,
        .link_open = api_link_open,
        .read = api_read,
        .write = api_write,
        .forget = api_forget,
        .pair = api_pair,
        .unpair = api_unpair,
        .bonds = api_bonds,
        .task_cancel = api_task_cancel,
};

/* ---- what the test does */

void scripted_gatt_init(struct scripted_gatt *gatt, struct scripted_host *host) {
        *gatt = (struct scripted_gatt){ .host = host };
        host->gatt = gatt;
        host->host.gatt = &gatt_api;
}

void scripted_gatt_deinit(struct scripted_gatt *gatt) {
        for (size_t i = 0; i < gatt->n_devices; i++)
                if (gatt->devices[i].open)
                        breach("device %s was left open", gatt->devices[i].key);
        if (gatt->watches || gatt->waits || gatt->tasks)
                breach("a %s was left", gatt->watches ? "watch" : gatt->waits ? "wait" : "task");
        gatt->host->host.gatt = NULL;
        gatt->host->gatt = NULL;
}

void scripted_gatt_set_state(struct scripted_gatt *gatt, const char *state) {
        gatt->state = state;
        for (size_t i = 0; state && i < gatt->n_devices; i++)
                scripted_ble_lose(&gatt->devices[i], state);
}

struct scripted_ble *scripted_ble_add(struct scripted_gatt *gatt, const char *key, const char *name) {
        struct scripted_ble *ble = &gatt->devices[gatt->n_devices++];

        if (gatt->n_devices > SCRIPTED_BLE_MAX || !is_key(key))
                abort();
        *ble = (struct scripted_ble){
                .gatt = gatt, .address_kind = GW_GATT_ADDRESS_STATIC, .rssi_dbm = -60, .battery_percent = GW_BATTERY_UNKNOWN, .max_datagram = 244
        };
        snprintf(ble->key, sizeof ble->key, "%s", key);
        snprintf(ble->name, sizeof ble->name, "%s", name ? name : "");
        return ble;
}

struct scripted_ble_characteristic *scripted_ble_characteristic(struct scripted_ble *ble, const char *service, const char *uuid, uint32_t properties) {
        struct scripted_ble_characteristic *characteristic = &ble->characteristics[ble->n_characteristics++];

        if (ble->n_characteristics > SCRIPTED_BLE_CHARACTERISTICS_MAX)
                abort();
        *characteristic = (struct scripted_ble_characteristic){ .properties = properties };
        snprintf(characteristic->service, sizeof characteristic->service, "%s", service);
        snprintf(characteristic->uuid, sizeof characteristic->uuid, "%s", uuid);
        return characteristic;
}

void scripted_ble_advertise_service(struct scripted_ble *ble, const char *uuid) {
        if (ble->n_services == SCRIPTED_BLE_SERVICES_MAX)
                abort();
        snprintf(ble->services[ble->n_services++], GW_GATT_UUID_SIZE, "%s", uuid);
}

/* Who is only heard again is told now and then. */
static void tell_watches(struct scripted_ble *ble) {
        struct gw_gatt_watch *watch, *next;
        struct peer_view peer;
        int64_t now_ms = ble->gatt->host->now_ms;

        if (!ble->gatt->watches || (strcmp(ble->told_name, ble->name) == 0 && ble->told_ms > 0 && now_ms - ble->told_ms < TELL_INTERVAL_MS))
                return;
        ble->told_ms = now_ms;
        snprintf(ble->told_name, sizeof ble->told_name, "%s", ble->name);
        for (watch = ble->gatt->watches; watch; watch = next) {
                next = watch->next;
                if (watch_wants(watch, ble))
                        watch->seen(watch->ctx, view(ble, &peer));
        }
}

void scripted_ble_advertise(struct scripted_ble *ble) {
        struct peer_view peer;

        ble->heard_ms = ble->gatt->host->now_ms;
        ble->away = false;
        if (ble->gatt->state)
                return;
        tell_watches(ble);
        while (tell_one_wait(ble->gatt, view(ble, &peer)))
                ;
}

void scripted_ble_lose(struct scripted_ble *ble, const char *name) {
        if (ble->open && ble->open->opened)
                device_end(ble->open, name);
}

void scripted_ble_readdress(struct scripted_ble *ble, const char *key) {
        if (!is_key(key))
                abort();
        scripted_ble_lose(ble, "ble-disconnected");
        snprintf(ble->key, sizeof ble->key, "%s", key);
        ble->told_ms = 0;
}
