/* SPDX-License-Identifier: Apache-2.0 */
#include "api/documents.h"

#include "api/health.h"

/* --- status --- */

static void add_running(void *ctx, struct json *progress) {
        (void) json_append(ctx, json_ref(progress));
}

static void copy_members(const struct json *from, struct json *to) {
        static const char *const members[] = { "devices", "jobs", "campaigns", "events" };
        for (size_t i = 0; i < ARRAY_SIZE(members); i++)
                (void) json_set(to, members[i], json_ref(json_child(from, members[i])));
}

static void copy_problems(const struct json *from, struct json *to) {
        struct json *problems = json_set_new_array(to, "problems");
        JSON_FOREACH_ITEM(i, problem, json_child(from, "problems")) {
                struct json *row = json_append_new_object(problems);
                json_set_string(row, "name", json_member_text(problem, "name"));
                json_set_string(row, "text", json_member_text(problem, "text"));
        }
}

static void begin_status(const struct api *api, const char *instance, const char *state, struct json *json) {
        struct json *groups;
        json_set_string(json, "schema", "gatewayd/status/1");
        json_set_string(json, "gateway", api->options.gateway_id);
        json_set_string(json, "state", state);
        json_set_string(json, "instance", instance);
        json_set_string(json, "epoch", store_epoch(api->options.store));
        json_set_string(json, "version", GW_VERSION);
        groups = json_set_new_array(json, "groups");
        for (size_t i = 0; i < api->options.settings->gateway.groups.n_items; i++)
                (void) json_append_string(groups, api->options.settings->gateway.groups.items[i]);
}

int documents_status(struct api *api, const struct documents_status *status, char **ret_text, size_t *ret_size) {
        _cleanup_json_ struct json *json = json_new_object(), *health = NULL;
        struct json *running;
        size_t n_running;
        int r = json ? health_describe(api, &health) : -ENOMEM;
        if (r < 0)
                return r;
        begin_status(api, status->instance, status->stopping ? "stopping" : "online", json);
        set_time(json, "time", api_wall_ms(api));
        json_set_string(json, "clock", api->options.clock_state(api->options.ctx));
        json_set_string(json, "health", json_member_text(health, "status"));
        copy_members(health, json);
        copy_problems(health, json);
        running = json_set_new_array(json, "running");
        n_running = update_each_running(api->options.update, DOCUMENTS_RUNNING_MAX, add_running, running);
        json_set_bool(json, "running_cut", n_running > DOCUMENTS_RUNNING_MAX);
        return json_write(json, ret_text, ret_size);
}

int documents_offline(const struct api *api, const char *instance, char **ret_text, size_t *ret_size) {
        _cleanup_json_ struct json *json = json_new_object();
        if (!json)
                return -ENOMEM;
        begin_status(api, instance, "offline", json);
        return json_write(json, ret_text, ret_size);
}

/* --- one campaign --- */

int documents_campaign(struct api *api, const char *id, char **ret_text, size_t *ret_size) {
        _cleanup_json_ struct json *report = NULL;
        struct gw_error err = { 0 };
        int r = update_campaign_report(api->options.update, id, -1, &report, &err);
        if (r < 0)
                return strcmp(err.name, "campaign-unknown") == 0 ? -ENOENT : r;
        json_set_string(report, "gateway", api->options.gateway_id);
        return json_write(report, ret_text, ret_size);
}

/* --- one device --- */

int documents_device(struct api *api, const char *id, char **ret_text, size_t *ret_size) {
        _cleanup_json_ struct json *json = json_new_object();
        const struct gw_device *device = fleet_find(api->options.fleet, id);
        struct json *described = NULL;
        int r = device && device->adopted ? device_describe(device, &described) : -ENOENT;
        if (r < 0)
                return r;
        json_set_string(json, "schema", "gatewayd/device/1");
        json_set_string(json, "gateway", api->options.gateway_id);
        json_set_string(json, "epoch", store_epoch(api->options.store));
        set_time(json, "time", api_wall_ms(api));
        r = json_set(json, "device", described);
        if (r >= 0)
                r = set_job(api, id, json);
        return r < 0 ? r : json_write(json, ret_text, ret_size);
}
