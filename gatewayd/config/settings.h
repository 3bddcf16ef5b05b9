/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The settings of the daemon: /etc/gatewayd/gatewayd.conf, read once, all typed. Immutable after settings_load(); a reload makes
 * a second object and compares. Texts belong to the object; "" and empty lists mean "not set" where no default exists.
 * What each key means stands in the tables of settings_tables.c, docs/CONFIGURATION.md and etc/gatewayd.conf are held against them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <gatewayd/plugin.h>

#include "base/cidr.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str_list.h"
#include "base/time_window.h"
#include "config/config_errors.h"
#include "config/ini.h"
#include "config/setting_values.h"

#define SETTINGS_DEFAULT_FILE "/etc/gatewayd/gatewayd.conf"

/* What a server is shown, and by whom it is checked. Any may be "". */
struct settings_credentials {
        const char *user;
        const char *password_file;
        const char *bearer_file;
        const char *client_cert;
        const char *client_key;
        const char *ca_file;
};

/* Credentials for one server: used for URLs below prefix and nowhere else. Paths may be "". */
struct settings_source {
        const char *name;
        const char *prefix; /* https://host[:port]/path/, ends with "/" */
        struct settings_credentials credentials;
};

/* A device that a person named. driver_values comes later, by settings_device_values(). */
struct settings_device {
        const char *name; /* of the section: the key where the driver has no better one */
        const char *driver;
        const char *address;
        const char *model;
        struct str_list labels;
        const struct ini_section *section;
};

struct settings_plugin {
        const char *name;
        bool enabled;
        const struct ini_section *section;
};

struct settings {
        const char *file;

        struct {
                const char *id; /* "" = machine_id_gateway_default() */
                struct str_list groups;
                const char *state_dir;
                const char *control_socket;
                const char *control_group;
                const char *adoption_list;
                struct str_list auto_adopt; /* ask settings_auto_adopt() */
                const char *plugin_dir;
        } gateway;

        struct {
                enum log_level level;
        } log;

        struct {
                uint64_t quota_bytes;
                uint64_t reserve_bytes; /* of the file system, stays free */
                uint64_t max_size_bytes;
                uint64_t rate_limit_bytes; /* per second, 0 = none */
                int64_t connect_timeout_ms;
                int64_t stall_timeout_ms; /* without a byte */
                bool allow_loopback;      /* ask settings_address_allowed() */
                bool allow_private;
                struct cidr *allow_ranges;
                size_t n_allow_ranges;
        } artifacts;

        struct {
                const char *keys_dir;
                const char *ca_file; /* "" = the system's */
                int64_t certificate_warning_ms; /* 0 = never */
        } trust;

        struct {
                const char *url;        /* without a slash at the end; "" = no lists */
                const char *events_url; /* "" = none */
                int64_t poll_interval_ms;
                struct settings_credentials credentials;
        } https; /* the door: both URLs "" = none */

        struct {
                struct str_list on;
                const char *command; /* "" = none */
                const char *webhook; /* "" = none */
                struct settings_credentials credentials;
                int64_t timeout_ms;
        } notify;

        struct {
                const char *url;  /* mqtts://host[:port]; "" = no door */
                const char *root; /* of all topics */
                int64_t keepalive_ms;
                int64_t session_expiry_ms;
                int64_t progress_interval_ms; /* between two publications of one document while work goes on */
                struct settings_credentials credentials; /* without bearer_file */
                bool unsigned_stop; /* pause and cancel without a signature */
        } mqtt;

        struct {
                const char *mode; /* "test-and-confirm", ... */
                int64_t concurrency;
                int64_t attempts;
                int64_t deadline_ms;
                int64_t trial_ms;
                int64_t trial_checks;
                struct time_window *maintenance_windows; /* none: always */
                size_t n_maintenance_windows;
        } policy;

        struct {
                int64_t jobs;    /* running at once, all campaigns */
                int64_t devices; /* known at once */
                int64_t events;  /* rows kept for events.subscribe */
                int64_t outbox;  /* rows not yet delivered, then outbox-full */
                int64_t audit_rows;
                int64_t audit_age_ms;
        } limits;

        struct {
                struct str_list ports; /* globs */
                const char *sysfs_root;
        } serial;

        struct {
                struct str_list adapters; /* names or addresses; "all" */
                int64_t sessions;
                int64_t attempts;
                bool power;
                const char *pairing; /* "never", "just-works", "passkey" */
                const char *passkey_file;
        } ble;

        struct {
                struct str_list public_keys; /* paths of PEM files */
                bool require_signature;
        } mcuboot;

        struct settings_source *sources;
        size_t n_sources;
        struct settings_device *devices;
        size_t n_devices;
        struct settings_plugin *plugins;
        size_t n_plugins;

        struct ini *ini;             /* owns the sections above */
        struct gw_settings **values; /* owns the texts above, one a section */
        size_t n_values;
};

/*
 * Reads and checks. path NULL: SETTINGS_DEFAULT_FILE, and that it is absent means all defaults; a path that was asked for must
 * exist. Returns 0 with *ret_settings even when there are mistakes: ask config_errors_any(); then do not start (exit 78).
 * Negative errno only when out of memory. Keys of plugins and of drivers' devices are checked later, by the two functions below.
 */
int settings_load(const char *path, struct config_errors *errors, struct settings **ret_settings);
/* From memory; file is for messages. */
int settings_parse(const char *file, const char *text, size_t size, struct config_errors *errors, struct settings **ret_settings);
void settings_free(struct settings *settings);
DEFINE_CLEANUP(struct settings *, settings_free);
#define _cleanup_settings_ _cleanup_(settings_freep)

/* NULL when the file has no such section. */
const struct settings_device *settings_device_find(const struct settings *settings, const char *name);
const struct settings_plugin *settings_plugin_find(const struct settings *settings, const char *name);
/* Plugins without a section are enabled. */
bool settings_plugin_enabled(const struct settings *settings, const char *name);

/* Values of [plugin NAME] under the plugin's own table (defaults without a section). The caller frees; settings must outlive it. */
int settings_plugin_values(const struct settings *settings, const char *plugin, const struct gw_setting *table,
                           struct config_errors *errors, struct gw_settings **ret_values);
/* Values of a [device NAME] under its driver's table. device NULL: all defaults. */
int settings_device_values(const struct settings *settings, const struct settings_device *device, const struct gw_setting *table,
                           struct config_errors *errors, struct gw_settings **ret_values);
/* Sections [device ...] and [plugin ...] that name a driver or plugin which known() does not know are mistakes. */
void settings_check_names(const struct settings *settings, bool (*known_driver)(void *context, const char *name),
                          bool (*known_plugin)(void *context, const char *name), void *context, struct config_errors *errors);

/* The source whose prefix is the longest above url; NULL when none is. */
const struct settings_source *settings_source_find(const struct settings *settings, const char *url);
/* May an artifact be fetched from this address? Public ones always, others only as allow_private says. */
bool settings_address_allowed(const struct settings *settings, const struct sockaddr *address);
/* Is a newly discovered device of this driver adopted at once? driver_default is the driver's own wish. */
bool settings_auto_adopt(const struct settings *settings, const char *driver, bool driver_default);

/*
 * Compares for a reload. changed() is called for every section and key whose value differs (key "" for a section that came or
 * went), with needs_restart telling whether the running daemon can take it over. Returns the number that need a restart.
 */
size_t settings_diff(const struct settings *before, const struct settings *after,
                     void (*changed)(void *context, const char *section, const char *key, bool needs_restart), void *context);

/* --- the tables, for the manual, --check-config and tests --- */

struct settings_section_info {
        const char *kind; /* "gateway", "device", ... */
        bool named;       /* [kind NAME] */
        const struct gw_setting *table;
        const char *text; /* one sentence */
};

extern const struct settings_section_info settings_sections[];
extern const size_t n_settings_sections;
/* May a change of this key be taken over without a restart? */
bool settings_is_live(const char *kind, const char *key);
