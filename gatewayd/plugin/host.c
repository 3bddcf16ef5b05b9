/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/log.h"
#include "driver/run.h"
#include "loop/process.h"
#include "loop/serial.h"
#include "loop/serial_ports.h"
#include "loop/timer.h"
#include "loop/udp.h"
#include "loop/worker.h"
#include "plugin/internal.h"

/* The host table: every function finds its plugin and passes on to the floor that does the work. */

static struct plugin *plugin_of(const struct gw_host *host) {
        return host->internal;
}

static struct loop *loop_of(const struct gw_host *host) {
        return plugin_of(host)->plugins->options.loop;
}

/* --- registering --- */

static int register_driver(const struct gw_host *host, const struct gw_driver *driver, struct gw_error *err) {
        char why[200];
        if (!plugin_of(host)->loading) {
                gw_error_set(err, "plugin-misbehaved", "drivers are registered inside load only");
                return -EPERM;
        }
        if (setting_table_check(driver->device_settings, why, sizeof why) < 0) {
                gw_error_set(err, "plugin-configuration", "driver %s: its table of settings: %s", driver->name ? driver->name : "?", why);
                return -EINVAL;
        }
        return driver_registry_add(plugin_of(host)->plugins->options.registry, driver, host, err);
}

static int register_format(const struct gw_host *host, const struct gw_format *format, struct gw_error *err) {
        if (!plugin_of(host)->loading) {
                gw_error_set(err, "plugin-misbehaved", "formats are registered inside load only");
                return -EPERM;
        }
        return driver_registry_add_format(plugin_of(host)->plugins->options.registry, format, err);
}

static const struct gw_register_api register_api = { .size = sizeof register_api, .driver = register_driver, .format = register_format };

/* --- log --- */

static void GW_PRINTF(4, 5) log_from_plugin(const struct gw_host *host, const struct gw_run *run, enum gw_log_level level, const char *format, ...) {
        static const enum log_level levels[] = { [GW_LOG_ERROR] = LOG_LEVEL_ERROR,
                                                 [GW_LOG_WARNING] = LOG_LEVEL_WARNING,
                                                 [GW_LOG_INFO] = LOG_LEVEL_INFO,
                                                 [GW_LOG_DEBUG] = LOG_LEVEL_DEBUG };
        struct log_fields fields = { 0 };
        char text[LOG_TEXT_MAX - 64];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        if (run)
                fields = (struct log_fields){ .campaign = run_campaign(run), .device = run_device_id(run), .step = run_step_name(run) };
        log_write(levels[level], &fields, "%s: %s", plugin_of(host)->name, text);
}

static const struct gw_log_api log_api = { .size = sizeof log_api, .write = log_from_plugin };

/* --- timers and workers: the loop's own objects behind the plugin's opaque names --- */

static int64_t now_ms(const struct gw_host *host) {
        return loop_now_ms(loop_of(host));
}

static int start_timer(const struct gw_host *host, int64_t delay_ms, void (*fired)(void *ctx), void *ctx, struct gw_timer **ret_timer) {
        return timer_start(loop_of(host), delay_ms, fired, ctx, (struct timer **) ret_timer);
}

static void cancel_timer(struct gw_timer *timer) {
        timer_cancel((struct timer *) timer);
}

static const struct gw_timer_api timer_api = { .size = sizeof timer_api, .now_ms = now_ms, .start = start_timer, .cancel = cancel_timer };

static int start_work(const struct gw_host *host, void (*work)(void *ctx), void (*done)(void *ctx, int result), void *ctx, struct gw_work **ret_work) {
        return worker_start(loop_of(host), work, done, ctx, (struct work **) ret_work);
}

static void cancel_work(struct gw_work *work) {
        worker_cancel((struct work *) work);
}

static const struct gw_worker_api worker_api = { .size = sizeof worker_api, .start = start_work, .cancel = cancel_work };

/* --- processes --- */

static int start_process(const struct gw_host *host, const struct gw_process_options *options, const struct gw_process_handler *handler, void *ctx,
                         struct gw_process **ret_process, struct gw_error *err) {
        return process_start(loop_of(host), options, handler, ctx, (struct process **) ret_process, err);
}

static void terminate_process(struct gw_process *process, int64_t grace_ms) {
        process_terminate((struct process *) process, grace_ms);
}

static void drop_process(struct gw_process *process) {
        process_drop((struct process *) process);
}

static const struct gw_process_api process_api = { .size = sizeof process_api, .start = start_process, .terminate = terminate_process, .drop = drop_process };

/* --- links --- */

static int open_udp(const struct gw_host *host, const struct gw_udp_options *options, const struct gw_link_handler *handler, void *ctx, struct gw_link **ret_link) {
        return udp_link_open(loop_of(host), options, handler, ctx, ret_link);
}

static int open_serial(const struct gw_host *host, const struct gw_serial_options *options, const struct gw_link_handler *handler, void *ctx,
                       struct gw_link **ret_link) {
        return serial_link_open(loop_of(host), options, handler, ctx, ret_link);
}

static void list_serial(const struct gw_host *host, void (*found)(void *ctx, const struct gw_serial_port *port), void *ctx) {
        const struct settings *settings = plugin_of(host)->plugins->options.settings;
        (void) serial_ports_list((const char *const *) settings->serial.ports.items, settings->serial.ports.n_items, settings->serial.sysfs_root, found, ctx);
}

static int watch_serial(const struct gw_host *host, void (*changed)(void *ctx), void *ctx) {
        struct plugin *plugin = plugin_of(host);
        const struct settings *settings = plugin->plugins->options.settings;
        serial_ports_watch_free(TAKE_PTR(plugin->watch));
        if (!changed)
                return 0;
        return serial_ports_watch_new(loop_of(host), (const char *const *) settings->serial.ports.items, settings->serial.ports.n_items, changed, ctx,
                                      &plugin->watch);
}

static const struct gw_link_api link_api = { .size = sizeof link_api, .udp_open = open_udp, .serial_open = open_serial, .serial_list = list_serial, .serial_watch = watch_serial };

/* --- devices --- */

static int device_seen(const struct gw_host *host, const char *driver, const char *key, const struct gw_facts *facts) {
        struct fleet *fleet = plugin_of(host)->plugins->fleet;
        return fleet ? fleet_seen(fleet, driver, key, facts) : -ENOTCONN;
}

static void device_gone(const struct gw_host *host, const char *driver, const char *key) {
        struct fleet *fleet = plugin_of(host)->plugins->fleet;
        if (fleet)
                fleet_gone(fleet, driver, key);
}

static void each_device(const struct gw_host *host, const char *driver, void (*found)(void *ctx, const struct gw_device *device), void *ctx) {
        struct fleet *fleet = plugin_of(host)->plugins->fleet;
        if (fleet)
                fleet_each_of_driver(fleet, driver, found, ctx);
}

static const struct gw_device_api device_api = {
        .size = sizeof device_api,
        .seen = device_seen,
        .gone = device_gone,
        .key = device_key,
        .address = device_address,
        .model = device_model_or_null,
        .attribute = device_attribute,
        .attribute_number = device_attribute_number,
        .images = device_images,
        .each = each_device,
};

/* --- Bluetooth --- */

static struct ble *ble_of(const struct gw_host *host) {
        return plugin_of(host)->plugins->options.ble;
}

static int gatt_state(const struct gw_host *host, struct gw_error *err) {
        return ble_state(ble_of(host), err);
}

static void gatt_adapters(const struct gw_host *host, void (*found)(void *ctx, const struct gw_gatt_adapter *adapter), void *ctx) {
        ble_adapters(ble_of(host), found, ctx);
}

static int gatt_watch(const struct gw_host *host, const struct gw_gatt_watch_options *options, void (*seen)(void *ctx, const struct gw_gatt_peer *peer), void *ctx,
                      struct gw_gatt_watch **ret_watch) {
        return ble_watch(ble_of(host), options, seen, ctx, ret_watch);
}

static void gatt_peers(const struct gw_host *host, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx) {
        ble_peers(ble_of(host), found, ctx);
}

static int gatt_scan(const struct gw_host *host, int64_t duration_ms, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return ble_scan(ble_of(host), duration_ms, done, ctx, ret_task);
}

static int gatt_wait(const struct gw_host *host, const struct gw_gatt_wait_options *options,
                     void (*heard)(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why), void *ctx, struct gw_gatt_wait **ret_wait) {
        return ble_wait(ble_of(host), options, heard, ctx, ret_wait);
}

static int gatt_open(const struct gw_host *host, const struct gw_gatt_open_options *options, const struct gw_gatt_handler *handler, void *ctx,
                     struct gw_gatt **ret_gatt) {
        return ble_open(ble_of(host), options, handler, ctx, ret_gatt);
}

static int gatt_forget(const struct gw_host *host, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return ble_forget(ble_of(host), key, done, ctx, ret_task);
}

static int gatt_pair(const struct gw_host *host, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return ble_pair(ble_of(host), key, done, ctx, ret_task);
}

static int gatt_unpair(const struct gw_host *host, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return ble_unpair(ble_of(host), key, done, ctx, ret_task);
}

static void gatt_bonds(const struct gw_host *host, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx) {
        ble_bonds(ble_of(host), found, ctx);
}

static const struct gw_gatt_api gatt_api = {
        .size = sizeof gatt_api,
        .state = gatt_state,
        .adapters = gatt_adapters,
        .watch = gatt_watch,
        .watch_end = ble_watch_end,
        .peers = gatt_peers,
        .scan = gatt_scan,
        .wait = gatt_wait,
        .wait_cancel = ble_wait_cancel,
        .open = gatt_open,
        .close = ble_close,
        .set_priority = ble_set_priority,
        .characteristics = ble_characteristics,
        .peer = ble_peer,
        .link_open = ble_link_open,
        .read = ble_read,
        .write = ble_write,
        .forget = gatt_forget,
        .pair = gatt_pair,
        .unpair = gatt_unpair,
        .bonds = gatt_bonds,
        .task_cancel = ble_task_cancel,
};

void host_init(struct plugin *plugin) {
        plugin->host = (struct gw_host){
                .size = sizeof plugin->host,
                .abi = GW_ABI,
                .settings = plugin->values,
                .settings_ops = &setting_values_ops,
                .registry = &register_api,
                .log = &log_api,
                .timer = &timer_api,
                .worker = &worker_api,
                .process = &process_api,
                .link = &link_api,
                .device = &device_api,
                .run = run_api(),
                .internal = plugin,
                .gatt = plugin->plugins->options.ble ? &gatt_api : NULL,
        };
}
