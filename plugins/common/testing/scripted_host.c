/* SPDX-License-Identifier: Apache-2.0 */
#include "common/testing/scripted_host.h"

#include <stdlib.h>

#include "common/testing/scripted_run.h"

#define CLOCK_BEGIN_MS 1000000

GW_PRINTF(1, 2) static void breach(const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        fputs("breach of the plugin interface: ", stderr);
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
        va_end(arguments);
        abort();
}

static struct scripted_host *scripted_of(const struct gw_host *host) {
        return host->internal;
}

/* ---- clock */

struct gw_timer {
        struct gw_timer *next;
        struct scripted_host *scripted;
        int64_t due_ms;
        void (*fired)(void *ctx);
        void *ctx;
        bool of_test;
};

static int64_t now_ms(const struct gw_host *host) {
        return scripted_of(host)->now_ms;
}

static struct gw_timer *timer_start(struct scripted_host *scripted, int64_t delay_ms, void (*fired)(void *ctx), void *ctx) {
        struct gw_timer *timer = calloc(1, sizeof *timer), **at = &scripted->timers;

        if (!timer)
                abort();
        *timer = (struct gw_timer){
                .scripted = scripted, .due_ms = scripted->now_ms + (delay_ms > 0 ? delay_ms : 0), .fired = fired, .ctx = ctx
        };
        while (*at && (*at)->due_ms <= timer->due_ms)
                at = &(*at)->next;
        timer->next = *at;
        *at = timer;
        return timer;
}

static int host_timer_start(const struct gw_host *host, int64_t delay_ms, void (*fired)(void *ctx), void *ctx,
                            struct gw_timer **ret_timer) {
        *ret_timer = timer_start(scripted_of(host), delay_ms, fired, ctx);
        return 0;
}

static void timer_cancel(struct gw_timer *timer) {
        struct gw_timer **at;

        if (!timer)
                return;
        for (at = &timer->scripted->timers; *at && *at != timer; at = &(*at)->next)
                ;
        if (!*at)
                breach("a timer was canceled that is over");
        *at = timer->next;
        free(timer);
}

void scripted_host_after(struct scripted_host *scripted, int64_t delay_ms, void (*fired)(void *ctx), void *ctx) {
        timer_start(scripted, delay_ms, fired, ctx)->of_test = true;
}

bool scripted_host_step(struct scripted_host *scripted, int64_t until_ms) {
        struct gw_timer *timer = scripted->timers, copy;

        if (!timer || timer->due_ms > until_ms)
                return false;
        copy = *timer;
        scripted->timers = timer->next;
        free(timer);
        if (copy.due_ms > scripted->now_ms)
                scripted->now_ms = copy.due_ms;
        scripted->n_turns++;
        copy.fired(copy.ctx);
        return true;
}

void scripted_host_advance(struct scripted_host *scripted, int64_t delay_ms) {
        int64_t until_ms = scripted->now_ms + delay_ms;

        while (scripted_host_step(scripted, until_ms))
                ;
        scripted->now_ms = until_ms;
}

/* ---- settings */

static const struct gw_setting *setting_find(const struct gw_setting *table, const char *key) {
        for (; table && table->key; table++)
                if (strcmp(table->key, key) == 0)
                        return table;
        return NULL;
}

/* "90 s", "16M", "yes": the few notations that tests write. */
static int64_t number_of(const struct gw_setting *setting, const char *text) {
        static const struct {
                const char *unit;
                int64_t factor;
        } units[] = { { "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 }, { "K", 1024 }, { "M", 1048576 } };
        int64_t number;
        char *end;

        if (!text)
                return 0;
        if (setting->type == GW_SETTING_BOOL)
                return strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "on") == 0 || strcmp(text, "1") == 0;
        number = strtoll(text, &end, 10);
        while (*end == ' ')
                end++;
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
                if (strcmp(end, units[i].unit) == 0)
                        return number * units[i].factor;
        return number;
}

static const char *settings_get(const struct gw_settings *settings, const char *key) {
        const struct scripted_host *scripted = (const struct scripted_host *) (const void *) settings;
        const struct gw_setting *setting = setting_find(scripted->settings, key);

        if (!setting)
                breach("the setting \"%s\" is in no table", key);
        for (size_t i = 0; i < scripted->n_values; i++)
                if (strcmp(scripted->values[i].key, key) == 0)
                        return scripted->values[i].value;
        return setting->value;
}

static int64_t settings_get_number(const struct gw_settings *settings, const char *key) {
        const struct scripted_host *scripted = (const struct scripted_host *) (const void *) settings;
        const char *text = settings_get(settings, key);

        return number_of(setting_find(scripted->settings, key), text);
}

void scripted_host_set(struct scripted_host *scripted, const char *key, const char *value) {
        if (scripted->n_values == SCRIPTED_VALUES_MAX)
                abort();
        scripted->values[scripted->n_values].key = key;
        scripted->values[scripted->n_values++].value = value;
}

/* ---- devices */

struct gw_device *scripted_device_add(struct scripted_host *scripted, const char *driver, const char *key, const struct gw_setting *table) {
        struct gw_device *device = &scripted->devices[scripted->n_devices++];

        if (scripted->n_devices > SCRIPTED_DEVICES_MAX)
                abort();
        device->table = table;
        snprintf(device->driver, sizeof device->driver, "%s", driver);
        snprintf(device->key, sizeof device->key, "%s", key);
        return device;
}

void scripted_device_set(struct gw_device *device, const char *name, const char *value) {
        size_t at = 0;

        while (at < device->n_values && strcmp(device->values[at].name, name) != 0)
                at++;
        if (at == SCRIPTED_VALUES_MAX)
                abort();
        snprintf(device->values[at].name, sizeof device->values[at].name, "%s", name);
        snprintf(device->values[at].value, sizeof device->values[at].value, "%s", value);
        if (at == device->n_values)
                device->n_values++;
}

void scripted_device_learn(struct gw_device *device, const struct gw_facts *facts) {
        if (facts->address)
                snprintf(device->address, sizeof device->address, "%s", facts->address);
        if (facts->model)
                snprintf(device->model, sizeof device->model, "%s", facts->model);
        if (facts->version)
                snprintf(device->version, sizeof device->version, "%s", facts->version);
        if (facts->images) {
                device->n_images = facts->n_images;
                memcpy(device->images, facts->images, facts->n_images * sizeof device->images[0]);
        }
        for (size_t i = 0; i < facts->n_attributes; i++)
                scripted_device_set(device, facts->attributes[i].name, facts->attributes[i].value);
}

static const char *device_key(const struct gw_device *device) {
        return device->key;
}

static const char *device_address(const struct gw_device *device) {
        return device->address[0] ? device->address : NULL;
}

static const char *device_model(const struct gw_device *device) {
        return device->model[0] ? device->model : NULL;
}

static const char *device_attribute(const struct gw_device *device, const char *name) {
        const struct gw_setting *setting = setting_find(device->table, name);

        for (size_t i = 0; i < device->n_values; i++)
                if (strcmp(device->values[i].name, name) == 0)
                        return device->values[i].value;
        return setting ? setting->value : NULL;
}

static int64_t device_attribute_number(const struct gw_device *device, const char *name) {
        const struct gw_setting *setting = setting_find(device->table, name);

        if (!setting)
                breach("the device setting \"%s\" is in no table", name);
        return number_of(setting, device_attribute(device, name));
}

static const struct gw_image *device_images(const struct gw_device *device, size_t *ret_n) {
        *ret_n = device->n_images;
        return device->images;
}

static void device_each(const struct gw_host *host, const char *driver, void (*found)(void *ctx, const struct gw_device *device),
                        void *ctx) {
        struct scripted_host *scripted = scripted_of(host);

        for (size_t i = 0; i < scripted->n_devices; i++)
                if (strcmp(scripted->devices[i].driver, driver) == 0)
                        found(ctx, &scripted->devices[i]);
}

static void seen_add(struct scripted_host *scripted, const char *key, const struct gw_facts *facts, bool gone) {
        if (scripted->n_seen == SCRIPTED_SEEN_MAX) /* the newest stay */
                memmove(&scripted->seen[0], &scripted->seen[1], --scripted->n_seen * sizeof scripted->seen[0]);
        memset(&scripted->seen[scripted->n_seen], 0, sizeof scripted->seen[0]);
        snprintf(scripted->seen[scripted->n_seen].key, sizeof scripted->seen[0].key, "%s", key);
        if (facts && facts->model)
                snprintf(scripted->seen[scripted->n_seen].model, sizeof scripted->seen[0].model, "%s", facts->model);
        if (facts && facts->address)
                snprintf(scripted->seen[scripted->n_seen].address, sizeof scripted->seen[0].address, "%s", facts->address);
        if (facts && facts->name)
                snprintf(scripted->seen[scripted->n_seen].name, sizeof scripted->seen[0].name, "%s", facts->name);
        if (facts && facts->version)
                snprintf(scripted->seen[scripted->n_seen].version, sizeof scripted->seen[0].version, "%s", facts->version);
        scripted->seen[scripted->n_seen].n_images = facts ? facts->n_images : 0;
        scripted->seen[scripted->n_seen].n_attributes = facts ? facts->n_attributes : 0;
        scripted->seen[scripted->n_seen++].gone = gone;
}

static int device_seen(const struct gw_host *host, const char *driver, const char *key, const struct gw_facts *facts) {
        (void) driver;
        seen_add(scripted_of(host), key, facts, false);
        return 0;
}

static void device_gone(const struct gw_host *host, const char *driver, const char *key) {
        (void) driver;
        seen_add(scripted_of(host), key, NULL, true);
}

/* ---- links */

static struct scripted_link *link_of(struct gw_link *link) {
        return (struct scripted_link *) (void *) link;
}

static int link_send(struct gw_link *gw_link, const void *data, size_t size) {
        struct scripted_link *link = link_of(gw_link);

        if (!link->open)
                return -ENOTCONN;
        if (size > link->max_datagram)
                return -EMSGSIZE;
        if (link->room == 0)
                return -EAGAIN;
        if (link->room != SIZE_MAX)
                link->room--;
        if (link->host->peer.sent)
                link->host->peer.sent(link->host->peer.ctx, link, data, size);
        return 0;
}

static size_t link_max_datagram(struct gw_link *gw_link) {
        return link_of(gw_link)->serial ? SIZE_MAX : link_of(gw_link)->max_datagram;
}

static size_t link_queued_bytes(struct gw_link *gw_link) {
        (void) gw_link;
        return 0;
}

static bool link_exists(const struct scripted_host *scripted, const void *link) {
        for (const struct scripted_link *at = scripted->links; at; at = at->next)
                if (at == link)
                        return true;
        return false;
}

static void link_close(struct gw_link *gw_link) {
        struct scripted_link *link = link_of(gw_link), **at = &link->host->links;

        while (*at && *at != link)
                at = &(*at)->next;
        if (!*at)
                breach("a link was closed twice");
        *at = link->next;
        if (link->host->peer.closed)
                link->host->peer.closed(link->host->peer.ctx, link);
        free(link);
}

static const struct gw_link_ops link_ops = { link_send, link_max_datagram, link_queued_bytes, link_close };

/* What a delayed call refers to; the link may be gone by then. */
struct link_event {
        struct scripted_host *scripted;
        struct scripted_link *link;
};

static void link_opening(void *ctx) {
        struct link_event event = *(struct link_event *) ctx;
        struct scripted_peer *peer = &event.scripted->peer;
        struct gw_error why = { 0 };

        free(ctx);
        if (!link_exists(event.scripted, event.link))
                return;
        if (event.link->refusal) {
                scripted_link_lose(event.link, event.link->refusal);
                return;
        }
        if (peer->opening && peer->opening(peer->ctx, event.link, &why) < 0) {
                scripted_link_lose(event.link, why.name);
                return;
        }
        event.link->open = true;
        event.scripted->n_opened++;
        if (peer->opened)
                peer->opened(peer->ctx, event.link);
        if (event.link->link.handler->opened)
                event.link->link.handler->opened(event.link->link.handler_ctx);
}

struct scripted_link *scripted_link_new(struct scripted_host *scripted, const struct gw_link_handler *handler, void *ctx, const char *where) {
        struct scripted_link *link = calloc(1, sizeof *link);
        struct link_event *event = calloc(1, sizeof *event);

        if (!link || !event)
                abort();
        *link = (struct scripted_link){ .link = { &link_ops, handler, ctx }, .next = scripted->links, .host = scripted, .room = SIZE_MAX };
        snprintf(link->where, sizeof link->where, "%s", where);
        scripted->links = link;
        *event = (struct link_event){ scripted, link };
        scripted_host_after(scripted, 0, link_opening, event);
        return link;
}

static int udp_open(const struct gw_host *host, const struct gw_udp_options *options, const struct gw_link_handler *handler, void *ctx,
                    struct gw_link **ret_link) {
        struct scripted_link *link = scripted_link_new(scripted_of(host), handler, ctx, options->address);

        link->max_datagram = options->max_datagram ? options->max_datagram : 1472;
        *ret_link = &link->link;
        return 0;
}

static int serial_open(const struct gw_host *host, const struct gw_serial_options *options, const struct gw_link_handler *handler,
                       void *ctx, struct gw_link **ret_link) {
        struct scripted_link *link = scripted_link_new(scripted_of(host), handler, ctx, options->path);

        link->serial = true;
        link->max_datagram = SIZE_MAX;
        *ret_link = &link->link;
        return 0;
}

void scripted_link_receive(struct scripted_link *link, const void *data, size_t size) {
        if (link->open && link->link.handler->received)
                link->link.handler->received(link->link.handler_ctx, data, size);
}

void scripted_link_lose(struct scripted_link *link, const char *name) {
        struct gw_error why = { 0 };

        if (link->lost)
                return;
        link->open = false;
        link->lost = true;
        gw_error_set(&why, name && name[0] ? name : "link-lost", "%s: scripted", link->where);
        if (link->link.handler->closed)
                link->link.handler->closed(link->link.handler_ctx, &why);
}

struct scripted_link *scripted_link_open_one(struct scripted_host *scripted) {
        struct scripted_link *found = NULL;

        for (struct scripted_link *link = scripted->links; link; link = link->next) {
                if (link->open && found)
                        return NULL;
                if (link->open)
                        found = link;
        }
        return found;
}

/* ---- serial ports */

static void serial_list(const struct gw_host *host, void (*found)(void *ctx, const struct gw_serial_port *port), void *ctx) {
        struct scripted_host *scripted = scripted_of(host);

        for (size_t i = 0; i < scripted->n_ports; i++)
                found(ctx, &scripted->ports[i]);
}

static int serial_watch(const struct gw_host *host, void (*changed)(void *ctx), void *ctx) {
        struct scripted_host *scripted = scripted_of(host);

        scripted->ports_changed = changed;
        scripted->ports_changed_ctx = ctx;
        return 0;
}

static void tell_ports(void *ctx) {
        struct scripted_host *scripted = ctx;

        if (scripted->ports_changed)
                scripted->ports_changed(scripted->ports_changed_ctx);
}

void scripted_port_add(struct scripted_host *scripted, const char *path, const char *key) {
        if (scripted->n_ports == SCRIPTED_PORTS_MAX)
                abort();
        scripted->ports[scripted->n_ports++] =
                (struct gw_serial_port){ .path = path, .key = key, .product = "scripted", .usb_interface = -1 };
        scripted_host_after(scripted, 0, tell_ports, scripted);
}

void scripted_port_remove(struct scripted_host *scripted, const char *path) {
        size_t kept = 0;

        for (size_t i = 0; i < scripted->n_ports; i++)
                if (strcmp(scripted->ports[i].path, path) != 0)
                        scripted->ports[kept++] = scripted->ports[i];
        scripted->n_ports = kept;
        scripted_host_after(scripted, 0, tell_ports, scripted);
}

/* ---- worker: at the next turn, in the one thread that there is */

struct gw_work {
        struct scripted_host *scripted;
        void (*work)(void *ctx);
        void (*done)(void *ctx, int result);
        void *ctx;
        bool canceled;
};

static void work_run(void *ctx) {
        struct gw_work work = *(struct gw_work *) ctx;

        free(ctx);
        if (!work.canceled)
                work.work(work.ctx);
        work.done(work.ctx, work.canceled ? -ECANCELED : 0);
}

static int work_start(const struct gw_host *host, void (*work)(void *ctx), void (*done)(void *ctx, int result), void *ctx,
                      struct gw_work **ret_work) {
        struct gw_work *started = calloc(1, sizeof *started);

        if (!started)
                return -ENOMEM;
        *started = (struct gw_work){ scripted_of(host), work, done, ctx, false };
        scripted_host_after(scripted_of(host), 0, work_run, started);
        *ret_work = started;
        return 0;
}

static void work_cancel(struct gw_work *work) {
        work->canceled = true;
}

/* ---- registry and log */

static int register_driver(const struct gw_host *host, const struct gw_driver *driver, struct gw_error *err) {
        struct scripted_host *scripted = scripted_of(host);

        for (size_t i = 0; i < scripted->n_drivers; i++)
                if (strcmp(scripted->drivers[i]->name, driver->name) == 0) {
                        gw_error_set(err, "plugin-driver-duplicate", "%s", driver->name);
                        return -EEXIST;
                }
        if (scripted->n_drivers == SCRIPTED_REGISTERED_MAX)
                return -ENOSPC;
        scripted->drivers[scripted->n_drivers++] = driver;
        return 0;
}

static int register_format(const struct gw_host *host, const struct gw_format *format, struct gw_error *err) {
        struct scripted_host *scripted = scripted_of(host);

        (void) err;
        if (scripted->n_formats == SCRIPTED_REGISTERED_MAX)
                return -ENOSPC;
        scripted->formats[scripted->n_formats++] = format;
        return 0;
}

GW_PRINTF(4, 5)
static void log_write(const struct gw_host *host, const struct gw_run *run, enum gw_log_level level, const char *format, ...) {
        struct scripted_host *scripted = scripted_of(host);
        va_list arguments;

        (void) run;
        if (level <= GW_LOG_WARNING)
                scripted->n_warnings++;
        if (!scripted->verbose)
                return;
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
        va_end(arguments);
}

/* ---- life */

static const struct gw_settings_ops settings_ops = { sizeof settings_ops, settings_get, settings_get_number };
static const struct gw_register_api register_api = { sizeof register_api, register_driver, register_format };
static const struct gw_log_api log_api = { sizeof log_api, log_write };
static const struct gw_timer_api timer_api = { sizeof timer_api, now_ms, host_timer_start, timer_cancel };
static const struct gw_worker_api worker_api = { sizeof worker_api, work_start, work_cancel };
static const struct gw_link_api link_api = { sizeof link_api, udp_open, serial_open, serial_list, serial_watch };
static const struct gw_device_api device_api = {
        .size = sizeof device_api,
        .seen = device_seen,
        .gone = device_gone,
        .key = device_key,
        .address = device_address,
        .model = device_model,
        .attribute = device_attribute,
        .attribute_number = device_attribute_number,
        .images = device_images,
        .each = device_each,
};

void scripted_host_init(struct scripted_host *scripted, const struct gw_setting *settings) {
        *scripted = (struct scripted_host){
                .now_ms = CLOCK_BEGIN_MS,
                .settings = settings,
                .host = {
                        .size = sizeof(struct gw_host), .abi = GW_ABI, .settings_ops = &settings_ops, .registry = &register_api, .log = &log_api,
                        .timer = &timer_api, .worker = &worker_api, .link = &link_api, .device = &device_api, .run = &scripted_run_api,
                },
        };
        scripted->host.settings = (const struct gw_settings *) (const void *) scripted;
        scripted->host.internal = scripted;
}

void scripted_host_deinit(struct scripted_host *scripted) {
        if (scripted->links)
                breach("a link to %s was left open", scripted->links->where);
        while (scripted->timers) {
                struct gw_timer *timer = scripted->timers;

                if (!timer->of_test)
                        breach("a timer was left running");
                /* What the test still wanted to say: its own memory goes with it. */
                scripted->timers = timer->next;
                if (timer->fired == link_opening || timer->fired == work_run)
                        free(timer->ctx);
                free(timer);
        }
}
