/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/str.h"
#include "fleet/selector.h"
#include "update/offer.h"

#define PLAN_ENTRIES_MAX 1000 /* COMMAND_PAGE_MAX */

/* The dry run: what an order means for every device, from what is known of it. Touches nothing. */
struct planner {
        struct offer *offer;
        struct json *selected, *others; /* arrays */
        size_t n_update, n_wait, n_reject, n_unknown, n_not_selected;
};

static struct json *entry_of(struct json *list, const struct gw_device *device, const char *verdict) {
        struct json *row = json_length(list) < PLAN_ENTRIES_MAX ? json_append_new_object(list) : NULL;
        if (!row)
                return NULL;
        json_set_string(row, "device", device->id);
        json_set_string(row, "name", device_name(device));
        json_set_string(row, "verdict", verdict);
        json_set_string(row, "model", device_model(device, NULL));
        return row;
}

static void describe_work(struct json *row, const struct gw_plan *plan) {
        static const char *const works[] = { [GW_PLAN_NOTHING] = "nothing", [GW_PLAN_ACTIVATE] = "activate", [GW_PLAN_UPLOAD] = "upload" };
        json_set_string(row, "work", works[plan->work]);
        json_set_string(row, "mode", mode_name(plan->mode));
        json_set_int(row, "upload_bytes", (int64_t) plan->upload_bytes);
        if (plan->duration_ms > 0)
                json_set_int(row, "duration_ms", plan->duration_ms);
        json_set_bool(row, "rollback_possible", plan->rollback_possible);
        if (plan->text[0])
                json_set_string(row, "text", plan->text);
}

static void describe_order(struct json *row, const struct gw_device *device, const struct gw_order *order, const struct campaign_file *file) {
        char hex[2 * GW_HASH_MAX + 1];
        const struct gw_image *active = device_active_image(device, 0);
        if (active && active->version[0])
                json_set_string(row, "version_now", active->version);
        if (order->n_wanted > 0) {
                json_set_string(row, "version_new", order->wanted[0].version);
                str_hex_encode(hex, sizeof hex, order->wanted[0].hash, order->wanted[0].hash_size);
                json_set_string(row, "hash_new", hex);
        }
        if (!file)
                return;
        str_hex_encode(hex, sizeof hex, file->artifact->sha256, DIGEST_SIZE);
        json_set_string(row, "artifact", hex);
        if (file->artifact->compatible.n_items == 0 && package_is_ready(file->user.package) && package_content(file->user.package)->n_compatible == 0)
                json_set_bool(row, "needs_statement", true);
}

static void add_refusal(struct planner *planner, const struct gw_device *device, int r, const struct gw_error *err) {
        const struct driver_registry *registry = planner->offer->update->options.registry;
        bool waits = r == -EAGAIN || driver_registry_error_class(registry, err->name) == GW_ERROR_WAIT;
        struct json *row = entry_of(planner->selected, device, waits ? "wait" : "reject");
        *(waits ? &planner->n_wait : &planner->n_reject) += 1;
        if (!row)
                return;
        json_set_string(row, "reason", err->name);
        json_set_string(row, "text", err->text);
}

int plan_ask_driver(const struct update *update, const struct gw_device *device, const struct gw_order *order, struct gw_plan *ret_plan,
                    struct gw_error *err) {
        const struct driver_registry *registry = update->options.registry;
        const struct gw_driver *driver = driver_registry_find(registry, device->driver);
        struct gw_plan_request request = { .size = sizeof request, .device = device, .order = order };
        *ret_plan = (struct gw_plan){ .size = sizeof *ret_plan, .mode = order->mode, .work = GW_PLAN_UPLOAD };
        if (!driver || !driver_registry_is_started(registry, device->driver)) {
                gw_error_set(err, "driver-unavailable", "no driver %s is running", device->driver);
                return -ENOENT;
        }
        return driver->plan ? driver->plan(driver_registry_instance(registry, device->driver), &request, ret_plan, err) : 0;
}

static void plan_selected(struct planner *planner, const struct gw_device *device) {
        const struct campaign *campaign = planner->offer->campaign;
        _cleanup_free_ struct gw_order *order = NULL;
        struct campaign_file *file = NULL;
        struct gw_error err = { 0 };
        struct gw_plan plan;
        struct json *row;
        _cleanup_free_ char *wanted = NULL;
        int r = order_choose(campaign, device, &file, &err);
        if (r >= 0 && campaign->document->rollback_of)
                r = rollback_wanted(campaign, device, &wanted, &err);
        if (r >= 0)
                r = order_make(campaign, device, file, wanted, &order, &err);
        if (r >= 0 && campaign->document->rollback_of)
                r = rollback_find_images(campaign, device, order, &err);
        if (r >= 0)
                r = order_check(campaign, device, order, file, &err);
        if (r >= 0)
                r = plan_ask_driver(campaign->update, device, order, &plan, &err);
        if (r >= 0)
                r = hold_judge_plan(planner->offer->campaign, device, plan.duration_ms, &err);
        if (r < 0) {
                add_refusal(planner, device, r, &err);
                return;
        }
        planner->n_update++;
        row = entry_of(planner->selected, device, "update");
        if (!row)
                return;
        describe_order(row, device, order, file);
        describe_work(row, &plan);
}

static void plan_device(void *ctx, struct gw_device *device) {
        struct planner *planner = ctx;
        const struct campaign_selector *selector = &planner->offer->campaign->document->devices;
        const char *member = NULL;
        enum fleet_selected selected = campaign_select(planner->offer->campaign, device, &member);
        struct gw_error err;
        struct json *row = NULL;
        if (!device->adopted && (selected != FLEET_SELECTED_YES || selector->ids.n_items == 0))
                return; /* only heard: nobody meant it */
        switch (selected) {
        case FLEET_SELECTED_YES:
                if (device->adopted) {
                        plan_selected(planner, device);
                        return;
                }
                gw_error_set(&err, "not-adopted", "%s was heard, but is not adopted", device->id);
                add_refusal(planner, device, -EPERM, &err);
                return;
        case FLEET_SELECTED_NO:
                planner->n_not_selected++;
                row = entry_of(planner->others, device, "not-selected");
                break;
        case FLEET_SELECTED_UNKNOWN:
                planner->n_unknown++;
                row = entry_of(planner->others, device, "unknown");
                break;
        }
        if (row)
                json_set_string(row, "member", member);
}

/* Devices that are named and that nobody has heard of. */
static void plan_missing(struct planner *planner) {
        const struct str_list *ids = &planner->offer->campaign->document->devices.ids;
        for (size_t i = 0; i < ids->n_items; i++) {
                struct json *row;
                if (fleet_find(planner->offer->update->options.fleet, ids->items[i]))
                        continue;
                planner->n_reject++;
                row = json_length(planner->selected) < PLAN_ENTRIES_MAX ? json_append_new_object(planner->selected) : NULL;
                if (!row)
                        continue;
                json_set_string(row, "device", ids->items[i]);
                json_set_string(row, "name", ids->items[i]);
                json_set_string(row, "verdict", "reject");
                json_set_string(row, "reason", "device-unknown");
                json_set_string(row, "text", "no such device was heard or adopted");
        }
}

static void add_counts(const struct planner *planner, struct json *result) {
        struct json *counts = json_set_new_object(result, "counts");
        json_set_int(counts, "update", (int64_t) planner->n_update);
        json_set_int(counts, "wait", (int64_t) planner->n_wait);
        json_set_int(counts, "reject", (int64_t) planner->n_reject);
        json_set_int(counts, "unknown", (int64_t) planner->n_unknown);
        json_set_int(counts, "not-selected", (int64_t) planner->n_not_selected);
}

static void add_devices(struct planner *planner, struct json *result) {
        size_t n_all = planner->n_update + planner->n_wait + planner->n_reject + planner->n_unknown + planner->n_not_selected;
        size_t n_others = json_length(planner->others);
        for (size_t i = 0; i < n_others && json_length(planner->selected) < PLAN_ENTRIES_MAX; i++)
                json_append(planner->selected, json_ref(json_at(planner->others, i)));
        json_set_bool(result, "cut", json_length(planner->selected) < n_all);
        json_set(result, "devices", json_ref(planner->selected));
}

static void add_warnings(const struct campaign *campaign, struct json *result) {
        struct json *warnings = json_set_new_array(result, "warnings");
        for (size_t i = 0; i < campaign->n_files; i++) {
                const struct package *package = campaign->files[i].user.package;
                const struct gw_package *content = package_is_ready(package) ? package_content(package) : NULL;
                for (size_t j = 0; content && j < content->n_warnings; j++)
                        json_append_string(warnings, content->warnings[j]);
        }
}

int offer_plan(struct offer *offer) {
        const struct campaign *campaign = offer->campaign;
        _cleanup_json_ struct json *selected = json_new_array(), *others = json_new_array(), *result = json_new_object();
        struct planner planner = { .offer = offer, .selected = selected, .others = others };
        int r;
        if (!selected || !others || !result)
                return -ENOMEM;
        plan_missing(&planner);
        r = fleet_each(offer->update->options.fleet, plan_device, &planner);
        if (r < 0)
                return r;
        json_set_string(result, "id", campaign->row.id);
        json_set_int(result, "revision", campaign->row.revision);
        json_set_string(result, "mode", mode_name(campaign->document->policy.mode));
        add_counts(&planner, result);
        add_devices(&planner, result);
        add_warnings(campaign, result);
        return reply_after_sync(offer->update, TAKE_PTR(result), offer->reply, offer->ctx);
}
