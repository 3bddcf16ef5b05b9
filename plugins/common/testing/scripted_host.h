/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A host for the tests of plugins, in the tree or outside: a clock that only the test moves, timers, settings with their defaults,
 * devices, serial ports and links whose other end is the test. Nothing sleeps, nothing is random, no thread: work that a plugin
 * gives to the worker runs at the next turn of the clock. Runs (jobs) are in scripted_run.h, Bluetooth in scripted_gatt.h.
 *
 *     struct scripted_host host;
 *     scripted_host_init(&host, my_plugin_settings);
 *     host.peer = (struct scripted_peer){ .sent = device_got, .ctx = &device };
 *     ... my_driver.start(&host.host, &driver_ctx, &err); scripted_host_advance(&host, 1000); ...
 *     scripted_host_deinit(&host);             // asserts that nothing was left: timers, links, work
 *
 * Breaches of the interface (a use after the end, a setting that is in no table) abort with a message. Processes are not offered.
 */

#include <gatewayd/plugin.h>

#define SCRIPTED_VALUES_MAX 32
#define SCRIPTED_DEVICES_MAX 8
#define SCRIPTED_PORTS_MAX 8
#define SCRIPTED_SEEN_MAX 64
#define SCRIPTED_REGISTERED_MAX 32

struct scripted_host;

/* One end of a link; `link` is what the plugin has. The test answers by the functions below. */
struct scripted_link {
        struct gw_link link;
        struct scripted_link *next;
        struct scripted_host *host;
        char where[256]; /* path or address */
        bool serial;
        bool open, lost;
        size_t max_datagram;
        size_t room; /* sends that are taken before -EAGAIN; SIZE_MAX = all */
        const char *refusal; /* name of the error it will end with in place of opening; NULL */
};

struct scripted_peer {
        /* May a link be opened? < 0 and `why`: `closed` comes instead of `opened`. NULL: always. */
        int (*opening)(void *ctx, const struct scripted_link *link, struct gw_error *why);
        void (*opened)(void *ctx, struct scripted_link *link);
        void (*sent)(void *ctx, struct scripted_link *link, const uint8_t *data, size_t size);
        void (*closed)(void *ctx, struct scripted_link *link); /* by the plugin; then the link is gone */
        void *ctx;
};

/* A device of the registry. The tables are those of its driver. */
struct gw_device {
        char driver[33];
        char key[GW_KEY_MAX + 1];
        char address[256]; /* "" = none */
        char model[GW_MODEL_MAX];
        const struct gw_setting *table;
        struct {
                char name[48];
                char value[256];
        } values[SCRIPTED_VALUES_MAX]; /* of its section, then learned attributes */
        size_t n_values;
        struct gw_image images[GW_IMAGES_MAX];
        size_t n_images;
        char version[GW_VERSION_MAX];
};

struct scripted_host {
        struct gw_host host; /* give this to the plugin */
        int64_t now_ms;
        struct gw_timer *timers; /* sorted by time, then by start */
        size_t n_turns;

        const struct gw_setting *settings;
        struct {
                const char *key;
                const char *value;
        } values[SCRIPTED_VALUES_MAX];
        size_t n_values;

        struct scripted_peer peer;
        struct scripted_link *links;
        size_t n_opened; /* links ever opened */

        struct gw_serial_port ports[SCRIPTED_PORTS_MAX];
        size_t n_ports;
        void (*ports_changed)(void *ctx);
        void *ports_changed_ctx;

        struct gw_device devices[SCRIPTED_DEVICES_MAX];
        size_t n_devices;
        struct {
                char key[GW_KEY_MAX + 1];
                char model[GW_MODEL_MAX];
                char address[256];
                char name[64], version[GW_VERSION_MAX];
                size_t n_images, n_attributes;
                bool gone;
        } seen[SCRIPTED_SEEN_MAX];
        size_t n_seen;

        const struct gw_driver *drivers[SCRIPTED_REGISTERED_MAX];
        size_t n_drivers;
        const struct gw_format *formats[SCRIPTED_REGISTERED_MAX];
        size_t n_formats;
        struct scripted_gatt *gatt; /* scripted_gatt.h; NULL where the plugin gets no Bluetooth */
        unsigned n_warnings; /* log lines of level warning or error */
        bool verbose;        /* log lines go to stderr */
};

/* `settings`: the plugin's table, may be NULL. The clock begins at 1,000,000 ms. */
void scripted_host_init(struct scripted_host *scripted, const struct gw_setting *settings);
/* Aborts when the plugin left a timer or a link behind. */
void scripted_host_deinit(struct scripted_host *scripted);
/* A key of `[plugin …]`. `value` must live on. */
void scripted_host_set(struct scripted_host *scripted, const char *key, const char *value);

/* Fires all timers that are due within this time, in order. 0: what is due now. */
void scripted_host_advance(struct scripted_host *scripted, int64_t delay_ms);
/* Goes to the next timer, at most to `until_ms`, and fires it; false when there is none until then. */
bool scripted_host_step(struct scripted_host *scripted, int64_t until_ms);
/* A timer of the test itself. */
void scripted_host_after(struct scripted_host *scripted, int64_t delay_ms, void (*fired)(void *ctx), void *ctx);

/* A device of the registry; `table` = gw_driver.device_settings. The result lives as long as the host. */
struct gw_device *scripted_device_add(struct scripted_host *scripted, const char *driver, const char *key, const struct gw_setting *table);
/* A key of its section, or an attribute. */
void scripted_device_set(struct gw_device *device, const char *name, const char *value);
/* As if a run had learned it: address, model, version, images, attributes. */
void scripted_device_learn(struct gw_device *device, const struct gw_facts *facts);

/* The strings must live on. Watchers hear of it at the next turn. */
void scripted_port_add(struct scripted_host *scripted, const char *path, const char *key);
void scripted_port_remove(struct scripted_host *scripted, const char *path);

/* A link of the scripted host itself, for other parts of it: `opened` comes at the next turn, unless peer.opening refuses. */
struct scripted_link *scripted_link_new(struct scripted_host *scripted, const struct gw_link_handler *handler, void *ctx, const char *where);
void scripted_link_receive(struct scripted_link *link, const void *data, size_t size);
/* The other end goes away. `name` of the error, e.g. "link-lost". */
void scripted_link_lose(struct scripted_link *link, const char *name);
/* The only link that is open now; NULL when there is none or several. */
struct scripted_link *scripted_link_open_one(struct scripted_host *scripted);
