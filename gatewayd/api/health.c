/* SPDX-License-Identifier: Apache-2.0 */
#include "api/health.h"

#include "api/door_mqtt.h"

#include <inttypes.h>
#include <sys/statvfs.h>

#include "api/certificates.h"
#include "api/door_https.h"
#include "base/str.h"
#include "document/names.h"
#include "store/campaign_table.h"
#include "store/event_table.h"
#include "trust/keyring.h"

#define OUTBOX_WARNING_PERCENT 80

struct health {
        const struct api_options *options;
        struct json *problems;
        bool failing;
};

GW_PRINTF(3, 4) static void problem(struct health *health, const char *name, const char *format, ...) {
        struct gw_error err;
        va_list arguments;
        va_start(arguments, format);
        gw_error_vset(&err, name, format, arguments);
        va_end(arguments);
        set_error(health->options, json_append_new_object(health->problems), err.name, err.text);
}

static void look_at_plugin(void *ctx, const struct plugin_info *info) {
        if (info->error)
                problem(ctx, info->error->name, "plugin %s: %s", info->name, info->error->text);
}

static void look_at_driver(void *ctx, const struct gw_driver *driver) {
        struct health *health = ctx;
        if (!driver_registry_is_started(health->options->registry, driver->name))
                problem(health, "plugin-start-failed", "driver %s is not running", driver->name);
}

static void look_at_keys(struct health *health) {
        const struct keyring *keyring = update_keyring(health->options->update);
        for (size_t i = 0; i < keyring_fault_count(keyring); i++) {
                const struct keyring_fault *fault = keyring_fault_at(keyring, i);
                problem(health, fault->error.name, "the key file %s is left out: %s", fault->file, fault->error.text);
        }
}

static void look_at_parts(struct health *health) {
        const struct api_options *options = health->options;
        int r = store_failure(options->store);
        if (r < 0) {
                problem(health, "store-failed", "the database cannot be written: %s", strerror(-r));
                health->failing = true;
        }
        if (strcmp(options->clock_state(options->ctx), "not-credible") == 0)
                problem(health, "clock-not-credible", "the clock of the gateway is not set");
        if (options->plugins)
                plugins_each(options->plugins, look_at_plugin, health);
        driver_registry_each(options->registry, look_at_driver, health);
        look_at_keys(health);
}

static void add_devices(struct health *health, struct json *result) {
        struct fleet_counts counts = fleet_count(health->options->fleet);
        struct json *json = json_set_new_object(result, "devices");
        json_set_int(json, "devices", (int64_t) counts.n_devices);
        json_set_int(json, "adopted", (int64_t) counts.n_adopted);
        json_set_int(json, "discovered", (int64_t) counts.n_discovered);
        json_set_int(json, "configured", (int64_t) counts.n_configured);
        if (counts.n_dropped > 0)
                problem(health, "devices-full", "%" PRIu64 " times a device was heard for which there was no room", counts.n_dropped);
}

static int count_campaign(void *ctx, struct campaign_row *row) {
        int64_t *counts = ctx;
        enum campaign_state state;
        if (campaign_state_parse(row->state, &state) >= 0)
                counts[state]++;
        return 0;
}

static int add_work(const struct api_options *options, struct json *result) {
        int64_t counts[CAMPAIGN_STATE_COUNT_] = { 0 };
        struct update_counts jobs = update_count(options->update);
        struct json *json = json_set_new_object(result, "jobs");
        int r = campaign_table_each(options->store, true, count_campaign, counts);
        if (r < 0)
                return r;
        json_set_int(json, "queued", (int64_t) (jobs.n_jobs - MIN(jobs.n_running, jobs.n_jobs)));
        json_set_int(json, "in_progress", (int64_t) jobs.n_running);
        json = json_set_new_object(result, "campaigns");
        json_set_int(json, "scheduled", counts[CAMPAIGN_STATE_SCHEDULED]);
        json_set_int(json, "in_progress", counts[CAMPAIGN_STATE_IN_PROGRESS]);
        json_set_int(json, "paused", counts[CAMPAIGN_STATE_PAUSED]);
        return 0;
}

static int add_store(const struct api_options *options, struct json *result) {
        struct json *json = json_set_new_object(result, "store");
        struct store_statistics statistics;
        uint64_t size_bytes = 0;
        int r = store_size(options->store, &size_bytes);
        if (r < 0)
                return r;
        store_statistics(options->store, &statistics);
        json_set_int(json, "size_bytes", (int64_t) size_bytes);
        json_set_int(json, "syncs", (int64_t) statistics.n_syncs);
        json_set_int(json, "written_bytes", (int64_t) (statistics.log_bytes + statistics.checkpoint_bytes));
        return 0;
}

static void add_artifacts(struct health *health, struct json *result) {
        const struct settings *settings = health->options->settings;
        struct json *json = json_set_new_object(result, "artifacts");
        struct artifacts_statistics statistics;
        struct statvfs disk = { 0 };
        uint64_t free_bytes = 0;
        artifacts_statistics(health->options->artifacts, &statistics);
        if (statvfs(settings->gateway.state_dir, &disk) == 0)
                free_bytes = (uint64_t) disk.f_bavail * disk.f_frsize;
        json_set_int(json, "used_bytes", (int64_t) statistics.used_bytes);
        json_set_int(json, "quota_bytes", (int64_t) settings->artifacts.quota_bytes);
        json_set_int(json, "free_bytes", (int64_t) free_bytes);
        if (free_bytes < settings->artifacts.reserve_bytes)
                problem(health, "disk-full", "%" PRIu64 " bytes are free below %s, the reserve is %" PRIu64, free_bytes,
                        settings->gateway.state_dir, settings->artifacts.reserve_bytes);
}

static void add_events(struct health *health, struct json *result) {
        struct store *store = health->options->store;
        struct json *json = json_set_new_object(result, "events");
        int64_t undelivered = event_table_undelivered(store), limit = health->options->settings->limits.outbox;
        json_set_int(json, "newest", event_table_newest(store));
        json_set_int(json, "undelivered", undelivered);
        if (undelivered * 100 >= limit * OUTBOX_WARNING_PERCENT)
                problem(health, "outbox-full", "%" PRId64 " events wait to be delivered; at %" PRId64 " no new campaign is accepted",
                        undelivered, limit);
}

struct adding {
        struct health *health;
        struct json *list; /* that is added to */
};

static void add_https(void *ctx, const struct door_https_state *state) {
        struct adding *adding = ctx;
        struct json *json = json_append_new_object(adding->list);
        json_set_string(json, "door", "https");
        json_set_string(json, "part", state->part);
        json_set_string(json, "peer", state->url);
        json_set_string(json, "state", !state->error && state->ok_ms > 0 ? "connected" : "disconnected");
        if (state->error)
                problem(adding->health, state->error->name, "https door, %s: %s", state->part, state->error->text);
}

static void add_doors(struct health *health, const struct api *api, struct json *result) {
        struct json *doors = json_set_new_array(result, "doors");
        struct gw_error why = { 0 };
        if (api->mqtt)
                door_mqtt_describe(api->mqtt, json_append_new_object(doors), &why);
        if (gw_error_is_set(&why))
                problem(health, why.name, "%s", why.text);
        door_https_each(api->https, add_https, &(struct adding){ .health = health, .list = doors });
}

static void add_certificate(void *ctx, const struct certificate_view *view) {
        struct adding *adding = ctx;
        certificate_describe(view, json_append_new_object(adding->list));
        if (gw_error_is_set(&view->error))
                problem(adding->health, view->error.name, "%s", view->error.text);
}

static void add_certificates(struct health *health, const struct api *api, struct json *result) {
        certificates_each(&api->options, add_certificate,
                          &(struct adding){ .health = health, .list = json_set_new_array(result, "certificates") });
}

int health_describe(const struct api *api, struct json **ret_json) {
        const struct api_options *options = &api->options;
        _cleanup_json_ struct json *result = json_new_object(), *problems = json_new_array();
        struct health health = { .options = options, .problems = problems };
        int r;
        if (!result || !problems)
                return -ENOMEM;
        look_at_parts(&health);
        add_devices(&health, result);
        r = add_work(options, result);
        if (r >= 0)
                r = add_store(options, result);
        if (r < 0)
                return r;
        add_artifacts(&health, result);
        add_events(&health, result);
        add_doors(&health, api, result);
        add_certificates(&health, api, result);
        json_set_string(result, "status", health.failing ? "failing" : json_length(problems) > 0 ? "degraded" : "ok");
        r = json_set(result, "problems", TAKE_PTR(problems));
        if (r >= 0)
                *ret_json = TAKE_PTR(result);
        return r;
}
