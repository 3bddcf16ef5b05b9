/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "artifact/artifact.h"
#include "base/clock_credible.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/log_journal.h"
#include "base/machine_id.h"
#include "base/notify.h"
#include "base/str.h"
#include "ble/ble.h"
#include "driver/registry.h"
#include "fleet/fleet.h"
#include "loop/http.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "plugin/plugins.h"
#include "store/store.h"
#include "trust/digest.h"
#include "trust/keyring.h"
#include "trust/tls.h"
#include "update/update.h"

#define STATUS_INTERVAL_MS 5000
#define STOP_PATIENCE_MS 10000 /* below TimeoutStopSec= of the unit */
#define HOUR_MS (60 * 60 * 1000)

/*
 *   settings -> loop -> store -> tls -> http -> ble -> registry + plugins -> fleet -> artifacts -> update -> api
 *
 * Started from left to right, stopped from right to left. A stop goes in three phases, since runs and downloads end later:
 * api_stop, update_stop, artifacts_stop; when all are done the loop ends and everything is freed.
 */
struct daemon {
        const char *config_file;
        struct settings *settings;      /* the plugins were loaded with these */
        struct settings *live_settings; /* after a reload; else the same */
        struct settings *old_settings;  /* replaced by a reload, freed with the next */
        char gateway_id[MACHINE_ID_GATEWAY_SIZE];

        struct loop *loop;
        struct store *store;
        struct tls *tls;
        struct http *http;
        struct ble *ble; /* does nothing until a driver wants it */
        struct driver_registry *registry;
        struct plugins *plugins;
        struct fleet *fleet;
        struct artifacts *artifacts;
        struct update *update;
        struct api *api;

        struct loop_signal *signals[3];
        struct timer *stop_timer, *watchdog_timer, *status_timer, *hour_timer;
        char status[160];
        bool stopping, drivers_started;
        int exit;
};

/* --- time --- */

static enum clock_credible clock_now(struct daemon *daemon) {
        return clock_credible_check(time_now_wall_ms(), store_newest_time_ms(daemon->store), NULL);
}

static bool clock_is_credible(void *ctx) {
        return clock_now(ctx) != CLOCK_CREDIBLE_NOT;
}

static const char *clock_state(void *ctx) {
        return clock_credible_name(clock_now(ctx));
}

static void every_hour(void *ctx) {
        struct daemon *daemon = ctx;
        daemon->hour_timer = NULL;
        if (clock_is_credible(daemon))
                store_note_time(daemon->store, time_now_wall_ms());
        api_upkeep(daemon->api);
        update_upkeep(daemon->update);
        (void) timer_start(daemon->loop, HOUR_MS, every_hour, daemon, &daemon->hour_timer);
}

/* --- configuration --- */

/* Who asks on the command line reads plain lines. */
static void print_mistakes(const struct config_errors *mistakes) {
        config_errors_print(mistakes, stderr);
}

/* A running daemon has them where its other entries are, with their level and name. */
static void log_mistakes(const struct config_errors *mistakes, const char *error) {
        const struct log_fields fields = { .error = error };
        char line[LOG_TEXT_MAX];
        for (size_t i = 0; i < mistakes->n_items; i++) {
                (void) config_error_format(&mistakes->items[i], line, sizeof line);
                log_error(&fields, "%s", line);
        }
        if (mistakes->n_dropped > 0)
                log_error(&fields, "and %zu more mistakes", mistakes->n_dropped);
}

static void log_config_mistakes(const struct config_errors *mistakes) {
        log_mistakes(mistakes, "config-invalid");
}

static int load_settings(const char *file, void (*tell)(const struct config_errors *), struct settings **ret_settings) {
        struct config_errors mistakes = CONFIG_ERRORS_INIT;
        struct settings *settings = NULL;
        int r = settings_load(file, &mistakes, &settings);
        if (r >= 0 && config_errors_any(&mistakes)) {
                tell(&mistakes);
                settings_free(settings);
                r = -EINVAL;
        } else if (r >= 0) {
                *ret_settings = settings;
        }
        config_errors_deinit(&mistakes);
        return r;
}

struct names {
        const struct driver_registry *registry;
        const struct plugins *plugins;
};

static bool knows_driver(void *ctx, const char *name) {
        return driver_registry_find(((struct names *) ctx)->registry, name);
}

static bool knows_plugin(void *ctx, const char *name) {
        return plugins_has(((struct names *) ctx)->plugins, name);
}

/* The keys of a [device] section are its driver's; they can be checked only now that the plugins are loaded. */
static int check_devices(const struct settings *settings, const struct driver_registry *registry, struct config_errors *mistakes) {
        for (size_t i = 0; i < settings->n_devices; i++) {
                const struct gw_driver *driver = driver_registry_find(registry, settings->devices[i].driver);
                struct gw_settings *values = NULL;
                int r = driver ? settings_device_values(settings, &settings->devices[i], driver->device_settings, mistakes, &values) : 0;
                setting_values_free(values);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int make_ble(struct loop *loop, const struct settings *settings, struct ble **ret_ble) {
        struct ble_options options = { .loop = loop,
                                       .adapters = &settings->ble.adapters,
                                       .sessions = (size_t) settings->ble.sessions,
                                       .attempts = (unsigned) settings->ble.attempts,
                                       .power = settings->ble.power,
                                       .passkey_file = settings->ble.passkey_file,
                                       .sysfs_root = settings->serial.sysfs_root };
        int r = ble_pairing_parse(settings->ble.pairing, &options.pairing);
        return r < 0 ? r : ble_new(&options, ret_ble);
}

/* `wanted` lacks the registry only. */
static int load_plugins(const struct plugins_options *wanted, void (*tell)(const struct config_errors *), struct driver_registry **ret_registry,
                        struct plugins **ret_plugins) {
        struct config_errors mistakes = CONFIG_ERRORS_INIT;
        const struct settings *settings = wanted->settings;
        struct plugins_options options = *wanted;
        struct names names;
        int r = driver_registry_new(ret_registry);
        options.registry = *ret_registry;
        if (r >= 0)
                r = plugins_load(&options, &mistakes, ret_plugins);
        if (r < 0)
                return r;
        names = (struct names){ .registry = *ret_registry, .plugins = *ret_plugins };
        settings_check_names(settings, knows_driver, knows_plugin, &names, &mistakes);
        r = check_devices(settings, *ret_registry, &mistakes);
        if (r >= 0 && config_errors_any(&mistakes)) {
                tell(&mistakes);
                r = -EINVAL;
        }
        config_errors_deinit(&mistakes);
        return r;
}

int daemon_check_config(const char *config_file) {
        _cleanup_settings_ struct settings *settings = NULL;
        struct driver_registry *registry = NULL;
        struct plugins *plugins = NULL;
        struct loop *loop = NULL;
        struct ble *ble = NULL;
        int r = load_settings(config_file, print_mistakes, &settings);
        if (r >= 0)
                r = loop_new(&loop);
        if (r >= 0)
                r = make_ble(loop, settings, &ble);
        if (r >= 0)
                r = load_plugins(&(struct plugins_options){ .loop = loop, .settings = settings, .ble = ble }, print_mistakes, &registry, &plugins);
        plugins_free(plugins);
        driver_registry_free(registry);
        ble_free(ble);
        loop_free(loop);
        if (r >= 0)
                printf("%s: no mistakes\n", config_file ? config_file : SETTINGS_DEFAULT_FILE);
        return r < 0 ? DAEMON_EXIT_CONFIG : DAEMON_EXIT_OK;
}

/* --- keys --- */

/* A key that cannot be used must not keep the others from theirs; it is told each time. */
static void log_faults(const struct keyring *keyring) {
        for (size_t i = 0; i < keyring_fault_count(keyring); i++) {
                const struct keyring_fault *fault = keyring_fault_at(keyring, i);
                log_error(&(struct log_fields){ .error = fault->error.name }, "the key file %s is left out: %s", fault->file, fault->error.text);
        }
}

static int start_keys(struct daemon *daemon, struct gw_error *err) {
        _cleanup_keyring_ struct keyring *keyring = NULL;
        int r = keyring_load(daemon->settings->trust.keys_dir, &keyring, err);
        if (r == -ENOMEM)
                return r;
        /* Without keys the gateway still does all that it is told on the spot, and goes on with what it accepted. */
        if (r < 0) {
                log_error(&(struct log_fields){ .error = err->name }, "no signed order is accepted: %s", err->text);
                *err = (struct gw_error){ 0 };
                return 0;
        }
        log_faults(keyring);
        update_set_keyring(daemon->update, keyring);
        return 0;
}

static int describe_keys(const struct keyring *keyring, struct json *result) {
        struct json *json = json_set_new_object(result, "keys"), *left_out = json ? json_set_new_array(json, "left_out") : NULL;
        int r = left_out ? json_set_int(json, "known", (int64_t) keyring_count(keyring)) : -ENOMEM;
        for (size_t i = 0; i < keyring_fault_count(keyring) && r >= 0; i++) {
                const struct keyring_fault *fault = keyring_fault_at(keyring, i);
                struct json *row = json_append_new_object(left_out);
                r = json_set_string(row, "file", fault->file);
                r |= json_set_string(row, "name", fault->error.name);
                r |= json_set_string(row, "text", fault->error.text);
        }
        return r;
}

/* --- reload --- */

static void note_change(void *ctx, const char *section, const char *key, bool needs_restart) {
        struct json *row = json_append_new_object(ctx);
        char name[STR_ID_MAX + 32];
        (void) str_format(name, sizeof name, "%.*s", (int) strlen(section) - 2, section + 1); /* without its brackets */
        json_set_string(row, "section", name);
        json_set_string(row, "key", key);
        json_set_bool(row, "needs_restart", needs_restart);
        if (needs_restart)
                log_warning(NULL, "%s %s changed; it counts after a restart", section, key);
}

static int take_settings(struct daemon *daemon, struct settings *settings, struct json *result, struct config_errors *mistakes, struct gw_error *err) {
        struct json *changed = json_set_new_array(result, "changed");
        int r = changed ? check_devices(settings, daemon->registry, mistakes) : -ENOMEM;
        if (r >= 0 && config_errors_any(mistakes))
                r = -EINVAL;
        if (r >= 0)
                r = fleet_reload(daemon->fleet, settings, err);
        if (r < 0)
                return r;
        (void) settings_diff(daemon->live_settings, settings, note_change, changed);
        log_set_level(settings->log.level);
        artifacts_set_settings(daemon->artifacts, settings);
        update_set_settings(daemon->update, settings);
        if (daemon->api)
                api_set_settings(daemon->api, settings);
        settings_free(daemon->old_settings);
        daemon->old_settings = daemon->live_settings == daemon->settings ? NULL : daemon->live_settings;
        daemon->live_settings = settings;
        return 0;
}

static int reload(void *ctx, struct json **ret_result, struct config_errors *mistakes, struct gw_error *err) {
        struct daemon *daemon = ctx;
        _cleanup_json_ struct json *result = json_new_object();
        _cleanup_keyring_ struct keyring *keyring = NULL;
        struct settings *settings = NULL;
        size_t n_before = fleet_count(daemon->fleet).n_adopted;
        int r = settings_load(daemon->config_file, mistakes, &settings);
        if (r >= 0 && config_errors_any(mistakes))
                r = -EINVAL;
        if (r >= 0 && keyring_load(settings->trust.keys_dir, &keyring, err) < 0) {
                settings_free(settings);
                return -EINVAL;
        }
        if (r >= 0)
                r = take_settings(daemon, settings, result, mistakes, err);
        if (r < 0) {
                settings_free(settings);
                gw_error_set(err, "config-invalid", "the configuration has mistakes; the old one stays in force");
                return r;
        }
        log_faults(keyring);
        update_set_keyring(daemon->update, keyring);
        r = describe_keys(keyring, result);
        if (r < 0)
                return r;
        r = fleet_read_adoption_list(daemon->fleet, mistakes);
        if (r < 0) {
                gw_error_set(err, "adoption-list-unreadable", "the adoption list has mistakes; nothing of it was taken over");
                return r;
        }
        json_set_int(result, "adopted", (int64_t) (fleet_count(daemon->fleet).n_adopted - n_before));
        *ret_result = TAKE_PTR(result);
        return 0;
}

static void reload_by_signal(struct daemon *daemon) {
        _cleanup_config_errors_ struct config_errors mistakes = CONFIG_ERRORS_INIT;
        _cleanup_json_ struct json *result = NULL;
        struct gw_error err = { 0 };
        (void) notify_reloading();
        if (reload(daemon, &result, &mistakes, &err) < 0) {
                log_error(&(struct log_fields){ .error = err.name }, "%s", err.text);
                log_mistakes(&mistakes, err.name);
        } else {
                log_info(NULL, "the configuration was read again");
        }
        (void) notify_ready();
}

/* --- stopping --- */

static void artifacts_are_stopped(void *ctx) {
        struct daemon *daemon = ctx;
        loop_stop(daemon->loop);
}

static void update_is_stopped(void *ctx) {
        struct daemon *daemon = ctx;
        artifacts_stop(daemon->artifacts, artifacts_are_stopped, daemon);
}

/* Something does not end. All that counts is in the journal of the store, as after a crash; waiting for SIGKILL would add nothing. */
static void stop_hangs(void *ctx) {
        struct daemon *daemon = ctx;
        struct update_counts counts = update_count(daemon->update);
        log_error(NULL, "not everything ended within %d s (%zu runs left); gatewayd leaves it to the next start", STOP_PATIENCE_MS / 1000, counts.n_running);
        (void) store_flush(daemon->store);
        _exit(DAEMON_EXIT_FAILED);
}

static void stop(struct daemon *daemon) {
        if (daemon->stopping)
                return;
        daemon->stopping = true;
        (void) notify_stopping();
        log_info(NULL, "stopping: running jobs are brought to a point from which they go on after the next start");
        (void) timer_start(daemon->loop, STOP_PATIENCE_MS, stop_hangs, daemon, &daemon->stop_timer);
        api_stop(daemon->api);
        update_stop(daemon->update, update_is_stopped, daemon);
}

static void signal_came(void *ctx, int signum) {
        if (signum == SIGHUP)
                reload_by_signal(ctx);
        else
                stop(ctx);
}

static void store_failed(void *ctx, const struct gw_error *why) {
        struct daemon *daemon = ctx;
        log_error(&(struct log_fields){ .error = why->name }, "%s; gatewayd ends and goes on from what is on the disk after the next start", why->text);
        daemon->exit = DAEMON_EXIT_FAILED;
        stop(daemon);
}

/* --- what systemd sees --- */

static void ping_watchdog(void *ctx) {
        struct daemon *daemon = ctx;
        daemon->watchdog_timer = NULL;
        (void) notify_watchdog();
        (void) timer_start(daemon->loop, notify_watchdog_interval_ms() / 2, ping_watchdog, daemon, &daemon->watchdog_timer);
}

/* Only a line that changed is sent, and only while there is work is it looked at again: an idle gateway does not wake up. */
static void send_status(void *ctx) {
        struct daemon *daemon = ctx;
        struct update_counts counts = update_count(daemon->update);
        struct fleet_counts devices = fleet_count(daemon->fleet);
        char status[sizeof daemon->status];
        int r = 0;
        daemon->status_timer = NULL;
        (void) str_format(status, sizeof status, "%zu devices adopted; %zu campaigns, %zu jobs open, %zu running", devices.n_adopted, counts.n_campaigns, counts.n_jobs,
                          counts.n_running);
        if (strcmp(status, daemon->status) != 0)
                r = notify_status("%s", status);
        if (r != -EAGAIN)
                memcpy(daemon->status, status, sizeof status);
        if (counts.n_jobs > 0 || r == -EAGAIN)
                (void) timer_start(daemon->loop, STATUS_INTERVAL_MS, send_status, daemon, &daemon->status_timer);
}

static void work_changed(void *ctx, const struct event_row *event) {
        struct daemon *daemon = ctx;
        (void) event;
        if (!daemon->status_timer && !daemon->stopping)
                (void) timer_start(daemon->loop, 100, send_status, daemon, &daemon->status_timer);
}

static const struct update_listener status_listener = { .event = work_changed };

/* --- starting --- */

static void driver_failed(void *ctx, const struct gw_driver *driver, const struct gw_error *err) {
        struct log_fields fields = { .error = err->name };
        (void) ctx;
        log_error(&fields, "driver %s is left out: %s", driver->name, err->text);
}

static int make_state_dir(const char *path, struct gw_error *err) {
        if (mkdir(path, 0700) == 0 || errno == EEXIST)
                return 0;
        gw_error_set(err, "state-dir-unusable", "the state directory %s cannot be made: %s", path, strerror(errno));
        return -errno;
}

static int start_store(struct daemon *daemon, struct gw_error *err) {
        struct store_options options = { .now_wall_ms = time_now_wall_ms(), .events_kept = (uint32_t) daemon->settings->limits.events, .sha256 = digest_sha256 };
        char path[4096];
        int r = make_state_dir(daemon->settings->gateway.state_dir, err);
        if (r < 0)
                return r;
        (void) str_format(path, sizeof path, "%s/%s", daemon->settings->gateway.state_dir, STORE_FILE);
        options.path = path;
        r = store_open(daemon->loop, &options, &daemon->store, err);
        if (r >= 0)
                store_on_failure(daemon->store, store_failed, daemon);
        return r;
}

static int start_fleet(struct daemon *daemon, struct gw_error *err) {
        struct fleet_options options = { .loop = daemon->loop, .store = daemon->store, .settings = daemon->settings, .registry = daemon->registry };
        _cleanup_config_errors_ struct config_errors mistakes = CONFIG_ERRORS_INIT;
        int r = fleet_new(&options, &daemon->fleet, err);
        if (r < 0)
                return r;
        plugins_set_fleet(daemon->plugins, daemon->fleet);
        /* A list with mistakes must not keep the gateway from its work: what was adopted stays adopted. */
        if (fleet_read_adoption_list(daemon->fleet, &mistakes) < 0) {
                log_error(&(struct log_fields){ .error = "adoption-list-unreadable" }, "the adoption list was not taken over");
                log_mistakes(&mistakes, "adoption-list-unreadable");
        }
        return 0;
}

static int start_artifacts(struct daemon *daemon, struct gw_error *err) {
        struct artifacts_options options = { .settings = daemon->settings, .clock_is_credible = clock_is_credible, .ctx = daemon };
        int r = tls_new(daemon->loop, &daemon->tls);
        if (r >= 0)
                r = http_new(daemon->loop, tls_http(), daemon->tls, &daemon->http);
        return r < 0 ? r : artifacts_new(daemon->loop, daemon->http, daemon->store, &options, &daemon->artifacts, err);
}

static int start_update(struct daemon *daemon, struct gw_error *err) {
        struct update_options options = { .loop = daemon->loop,
                                          .store = daemon->store,
                                          .fleet = daemon->fleet,
                                          .artifacts = daemon->artifacts,
                                          .registry = daemon->registry,
                                          .settings = daemon->settings,
                                          .gateway_id = daemon->gateway_id,
                                          .clock_is_credible = clock_is_credible,
                                          .clock_ctx = daemon };
        int r = update_new(&options, &daemon->update, err);
        return r < 0 ? r : update_listen(daemon->update, &status_listener, daemon);
}

static int start_api(struct daemon *daemon, struct gw_error *err) {
        struct api_options options = { .loop = daemon->loop,
                                       .store = daemon->store,
                                       .fleet = daemon->fleet,
                                       .update = daemon->update,
                                       .artifacts = daemon->artifacts,
                                       .http = daemon->http,
                                       .tls = daemon->tls,
                                       .registry = daemon->registry,
                                       .plugins = daemon->plugins,
                                       .settings = daemon->settings,
                                       .gateway_id = daemon->gateway_id,
                                       .ble = daemon->ble,
                                       .clock_state = clock_state,
                                       .reload = reload,
                                       .ctx = daemon };
        return api_new(&options, &daemon->api, err);
}

static int name_gateway(struct daemon *daemon, struct gw_error *err) {
        int r;
        if (daemon->settings->gateway.id[0])
                return str_copy(daemon->gateway_id, sizeof daemon->gateway_id, daemon->settings->gateway.id);
        r = machine_id_gateway_default(daemon->gateway_id);
        if (r < 0)
                gw_error_set(err, "machine-id-missing", "there is no machine id to make a gateway id of: set `id` in [gateway]");
        return r;
}

static int watch_signals(struct daemon *daemon) {
        static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
        int r = 0;
        for (size_t i = 0; i < ARRAY_SIZE(numbers) && r >= 0; i++)
                r = loop_signal(daemon->loop, numbers[i], signal_came, daemon, &daemon->signals[i]);
        return r;
}

static int start(struct daemon *daemon, struct gw_error *err) {
        int r = name_gateway(daemon, err);
        if (r >= 0)
                r = watch_signals(daemon);
        if (r >= 0)
                r = start_store(daemon, err);
        if (r >= 0)
                r = start_fleet(daemon, err);
        if (r >= 0)
                r = start_artifacts(daemon, err);
        if (r >= 0)
                r = start_update(daemon, err);
        if (r >= 0)
                r = start_keys(daemon, err);
        if (r >= 0)
                r = start_api(daemon, err);
        if (r < 0)
                return r;
        driver_registry_start(daemon->registry, driver_failed, daemon);
        daemon->drivers_started = true;
        update_begin(daemon->update);
        every_hour(daemon);
        return 0;
}

static void run(struct daemon *daemon) {
        log_info(NULL, "gatewayd %s is %s; state in %s, commands at %s", GW_VERSION, daemon->gateway_id, daemon->settings->gateway.state_dir,
                 daemon->settings->gateway.control_socket);
        if (notify_watchdog_interval_ms() > 0)
                ping_watchdog(daemon);
        send_status(daemon);
        (void) notify_ready();
        loop_run(daemon->loop);
}

static void end(struct daemon *daemon) {
        timer_cancel(daemon->watchdog_timer);
        timer_cancel(daemon->status_timer);
        timer_cancel(daemon->stop_timer);
        timer_cancel(daemon->hour_timer);
        api_free(daemon->api);
        if (daemon->update)
                update_unlisten(daemon->update, &status_listener, daemon);
        update_free(daemon->update);
        artifacts_free(daemon->artifacts);
        http_free(daemon->http);
        tls_free(daemon->tls);
        if (daemon->drivers_started)
                driver_registry_stop(daemon->registry);
        if (daemon->plugins)
                plugins_set_fleet(daemon->plugins, NULL);
        fleet_free(daemon->fleet);
        plugins_free(daemon->plugins);
        driver_registry_free(daemon->registry);
        ble_free(daemon->ble);
        store_free(daemon->store);
        for (size_t i = 0; i < ARRAY_SIZE(daemon->signals); i++)
                loop_signal_remove(daemon->signals[i]);
        loop_free(daemon->loop);
        settings_free(daemon->old_settings);
        if (daemon->live_settings != daemon->settings)
                settings_free(daemon->live_settings);
        settings_free(daemon->settings);
}

static int exit_code_of(const struct gw_error *err) {
        static const struct {
                const char *error;
                int code;
        } codes[] = {
                { "config-invalid", DAEMON_EXIT_CONFIG },
                { "store-newer", DAEMON_EXIT_DATA },
                { "store-corrupt", DAEMON_EXIT_DATA },
                { "store-locked", DAEMON_EXIT_UNAVAILABLE },
        };
        for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
                if (strcmp(err->name, codes[i].error) == 0)
                        return codes[i].code;
        return DAEMON_EXIT_FAILED;
}

static int load_and_run(const char *config_file) {
        struct daemon daemon = { .config_file = config_file };
        struct gw_error err = { 0 };
        int r;
        /* One arena: the few threads do not allocate enough to be worth their own memory. */
        (void) mallopt(M_ARENA_MAX, 1);
        if (load_settings(config_file, log_config_mistakes, &daemon.settings) < 0)
                return DAEMON_EXIT_CONFIG;
        daemon.live_settings = daemon.settings;
        log_set_level(daemon.settings->log.level);
        r = loop_new(&daemon.loop);
        if (r >= 0)
                r = make_ble(daemon.loop, daemon.settings, &daemon.ble);
        if (r >= 0 && load_plugins(&(struct plugins_options){ .loop = daemon.loop, .settings = daemon.settings, .ble = daemon.ble }, log_config_mistakes,
                                   &daemon.registry, &daemon.plugins) < 0) {
                end(&daemon);
                return DAEMON_EXIT_CONFIG;
        }
        if (r >= 0)
                r = start(&daemon, &err);
        if (r >= 0) {
                run(&daemon);
        } else {
                log_error(&(struct log_fields){ .error = err.name }, "gatewayd cannot start: %s", gw_error_is_set(&err) ? err.text : strerror(-r));
                daemon.exit = exit_code_of(&err);
        }
        end(&daemon);
        return daemon.exit;
}

int daemon_run(const char *config_file) {
        int code;
        (void) log_journal_attach();
        code = load_and_run(config_file);
        if (code != DAEMON_EXIT_OK)
                log_journal_drain();
        return code;
}

/* --- without a daemon --- */

struct diagnosis_result {
        struct json *json;
        int result;
};

static void diagnosed(void *ctx, int result, struct json *findings) {
        struct diagnosis_result *found = ctx;
        *found = (struct diagnosis_result){ findings, result };
}

/* The loop turns until the Bluetooth service has answered, or was given up. */
static int diagnose(const struct api_options *options, struct json **ret_json) {
        struct diagnosis_result found = { .result = -EINPROGRESS };
        struct api_diagnosis *diagnosis;
        int r = api_diagnose(options, diagnosed, &found, &diagnosis);
        while (r >= 0 && found.result == -EINPROGRESS && loop_run_once(options->loop))
                ;
        *ret_json = found.json;
        return r < 0 ? r : found.result;
}

int daemon_diagnose(const char *config_file) {
        _cleanup_settings_ struct settings *settings = NULL;
        _cleanup_json_ struct json *json = NULL;
        _cleanup_free_ char *text = NULL;
        struct driver_registry *registry = NULL;
        struct plugins *plugins = NULL;
        struct loop *loop = NULL;
        struct ble *ble = NULL;
        struct api_options options = { 0 };
        int r = load_settings(config_file, print_mistakes, &settings);
        if (r < 0)
                return DAEMON_EXIT_CONFIG;
        r = loop_new(&loop);
        if (r >= 0)
                r = make_ble(loop, settings, &ble);
        if (r >= 0)
                r = load_plugins(&(struct plugins_options){ .loop = loop, .settings = settings, .ble = ble }, print_mistakes, &registry, &plugins);
        options = (struct api_options){ .loop = loop, .settings = settings, .registry = registry, .plugins = plugins, .ble = ble };
        if (r >= 0)
                r = diagnose(&options, &json);
        if (r >= 0)
                r = json_write_pretty(json, &text, NULL);
        if (r >= 0)
                puts(text);
        plugins_free(plugins);
        driver_registry_free(registry);
        ble_free(ble);
        loop_free(loop);
        return r < 0 ? DAEMON_EXIT_FAILED : DAEMON_EXIT_OK;
}
