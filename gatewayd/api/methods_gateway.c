/* SPDX-License-Identifier: Apache-2.0 */
#include "api/methods.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "api/health.h"
#include "base/str.h"

/* --- info --- */

struct description {
        const struct api_options *options;
        struct json *list;
};

static void describe_plugin(void *ctx, const struct plugin_info *info) {
        const struct description *description = ctx;
        struct json *json = json_append_new_object(description->list);
        json_set_string(json, "name", info->name);
        json_set_string(json, "version", info->version && info->version[0] ? info->version : NULL);
        json_set_string(json, "summary", info->summary && info->summary[0] ? info->summary : NULL);
        json_set_bool(json, "loaded", info->loaded);
        if (info->error)
                set_error(description->options, json_set_new_object(json, "error"), info->error->name, info->error->text);
}

static void describe_driver(void *ctx, const struct gw_driver *driver) {
        const struct description *description = ctx;
        const struct api_options *options = description->options;
        const struct gw_error *error = driver_registry_start_error(options->registry, driver->name);
        struct json *json = json_append_new_object(description->list);
        json_set_string(json, "name", driver->name);
        json_set_string(json, "plugin", options->plugins ? plugins_of_driver(options->plugins, driver->name) : NULL);
        json_set_string(json, "summary", driver->summary);
        json_set_bool(json, "auto_adopt", settings_auto_adopt(options->settings, driver->name, driver->auto_adopt));
        json_set_bool(json, "can_scan", driver->scan != NULL);
        json_set_bool(json, "started", driver_registry_is_started(options->registry, driver->name));
        if (error) {
                struct json *row = json_set_new_object(json, "error");
                json_set_string(row, "name", error->name);
                json_set_string(row, "text", error->text);
        }
}

static void describe_parts(const struct api_options *options, struct json *result) {
        struct description description = { .options = options, .list = json_set_new_array(result, "plugins") };
        const struct gw_format *const *formats;
        size_t n_formats;
        if (options->plugins)
                plugins_each(options->plugins, describe_plugin, &description);
        description.list = json_set_new_array(result, "drivers");
        driver_registry_each(options->registry, describe_driver, &description);
        description.list = json_set_new_array(result, "formats");
        formats = driver_registry_formats(options->registry, &n_formats);
        for (size_t i = 0; i < n_formats; i++) {
                struct json *json = json_append_new_object(description.list);
                json_set_string(json, "name", formats[i]->name);
                json_set_string(json, "summary", formats[i]->summary);
        }
}

/* Resident bytes; 0 where /proc does not tell. */
static int64_t memory_bytes(void) {
        _cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
        long pages = 0;
        if (!file || fscanf(file, "%*d %ld", &pages) != 1)
                return 0;
        return (int64_t) pages * sysconf(_SC_PAGESIZE);
}

void method_gateway_info(struct call *call) {
        const struct api_options *options = &call->api->options;
        struct json *result = json_new_object(), *groups;
        int64_t memory = memory_bytes();
        if (!result) {
                call_fail_errno(call, -ENOMEM, NULL);
                return;
        }
        json_set_string(result, "id", options->gateway_id);
        json_set_string(result, "version", GW_VERSION);
        json_set_int(result, "abi", GW_ABI);
        json_set_string(result, "epoch", store_epoch(options->store));
        groups = json_set_new_array(result, "groups");
        for (size_t i = 0; i < options->settings->gateway.groups.n_items; i++)
                json_append_string(groups, options->settings->gateway.groups.items[i]);
        json_set_int(result, "pid", getpid());
        json_set_int(result, "uptime_ms", loop_now_ms(options->loop) - call->api->started_ms);
        set_time(result, "time", api_wall_ms(call->api));
        json_set_string(result, "time_credible", options->clock_state(options->ctx));
        json_set_string(result, "configuration", options->settings->file);
        json_set_string(result, "state_dir", options->settings->gateway.state_dir);
        describe_parts(options, result);
        if (memory > 0)
                json_set_int(result, "memory_bytes", memory);
        call_answer(call, result);
}

/* --- health, diagnose --- */

void method_gateway_health(struct call *call) {
        struct json *result = NULL;
        int r = health_describe(call->api, &result);
        if (r < 0)
                call_fail_errno(call, r, NULL);
        else
                call_answer(call, result);
}

static void drop_diagnosis(struct call *call) {
        api_diagnose_cancel(call->work);
}

static void diagnosed(void *ctx, int result, struct json *findings) {
        struct call *call = ctx;
        call->drop = NULL;
        if (result < 0)
                call_fail_errno(call, result, NULL);
        else
                call_answer(call, findings);
}

void method_gateway_diagnose(struct call *call) {
        struct api_diagnosis *diagnosis = NULL;
        int r = api_diagnose(&call->api->options, diagnosed, call, &diagnosis);
        if (r < 0) {
                call_fail_errno(call, r, NULL);
                return;
        }
        call->work = diagnosis;
        call->drop = drop_diagnosis;
}

/* --- reload --- */

static void add_mistakes(const struct config_errors *mistakes, struct json_errors *errors) {
        for (size_t i = 0; i < mistakes->n_items; i++) {
                const struct config_error *item = &mistakes->items[i];
                char path[JSON_PATH_MAX];
                if (item->line > 0)
                        (void) str_format(path, sizeof path, "%s:%u", item->file, item->line);
                else
                        (void) str_copy(path, sizeof path, item->file);
                json_errors_add(errors, path, "%s%s%s", item->where, item->where[0] ? ": " : "", item->text);
        }
        errors->n_dropped += mistakes->n_dropped;
}

void method_gateway_reload(struct call *call) {
        const struct api_options *options = &call->api->options;
        _cleanup_config_errors_ struct config_errors mistakes = CONFIG_ERRORS_INIT;
        struct json_errors errors;
        struct json *result = NULL;
        struct gw_error err = { 0 };
        int r = options->reload(options->ctx, &result, &mistakes, &err);
        if (r >= 0) {
                call_audit(call, NULL, "reloaded");
                call_answer_durable(call, result);
                return;
        }
        if (!gw_error_is_set(&err)) {
                call_fail_errno(call, r, NULL);
                return;
        }
        call_audit(call, NULL, err.name);
        json_errors_init(&errors);
        add_mistakes(&mistakes, &errors);
        call_fail(call, &err, &errors);
}
