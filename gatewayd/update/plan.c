/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/str.h"
#include "fleet/selector.h"
#include "update/eta.h"
#include "update/offer.h"
#include "update/start_rule.h"
#include "update/waves.h"

#define PLAN_ENTRIES_MAX 1000 /* COMMAND_PAGE_MAX */

/* One of the population: it will be in a wave. */
struct planned {
        struct json *row; /* lent; NULL: it is not shown */
        int64_t duration_ms;
        bool is_worked;
};

/* The dry run: what an order means for every device, from what is known of it. Touches nothing. */
struct planner {
        struct offer *offer;
        struct json *selected, *others; /* arrays */
        struct planned *population;
        size_t n_population, n_unknown_durations;
        bool out_of_memory;
        size_t n_update, n_wait, n_reject, n_unknown, n_not_selected;
};

static void join(struct planner *planner, struct json *row, int64_t duration_ms, bool is_worked) {
        struct planned *population = reallocarray(planner->population, planner->n_population + 1, sizeof *population);
        if (!population) {
                planner->out_of_memory = true;
                return;
        }
        planner->population = population;
        population[planner->n_population++] = (struct planned){ .row = row, .duration_ms = duration_ms, .is_worked = is_worked };
        planner->n_unknown_durations += is_worked && duration_ms == 0;
}

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
        if (device->adopted)
                join(planner, row, 0, waits);
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

/* As far as they are known: what starts a job later may know better. */
static int judge_facts(const struct campaign *campaign, const struct gw_device *device, struct gw_error *err) {
        int battery_min = campaign->document->policy.battery_min_percent, rssi_min = campaign->document->devices.rssi_min_dbm;
        if (!signal_is_enough(device->rssi_dbm, rssi_min)) {
                gw_error_set(err, "weak-signal", "it is heard with %d dBm, the campaign wants %d dBm", device->rssi_dbm, rssi_min);
                return -EAGAIN;
        }
        if (battery_is_enough(device->battery_percent, battery_min))
                return 0;
        gw_error_set(err, "low-battery", "its battery had %d %%, the campaign wants %d %%", device->battery_percent, battery_min);
        return -EAGAIN;
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
                r = judge_facts(campaign, device, &err);
        if (r >= 0)
                r = hold_judge_plan(planner->offer->campaign, device, plan.duration_ms, &err);
        if (r < 0) {
                add_refusal(planner, device, r, &err);
                return;
        }
        planner->n_update++;
        row = entry_of(planner->selected, device, "update");
        join(planner, row, plan.duration_ms, plan.work != GW_PLAN_NOTHING);
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
                join(planner, row, 0, true);
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

/* --- waves and time --- */

static void set_time(struct json *json, const char *member, int64_t wall_ms) {
        char text[TIME_RFC3339_SIZE];
        if (wall_ms != INT64_MAX && time_format_rfc3339(text, sizeof text, wall_ms / 1000 * 1000) >= 0)
                json_set_string(json, member, text);
}

static void fill_waves(const struct planner *planner, struct eta_load *loads, size_t *sizes) {
        const struct campaign_policy *policy = &planner->offer->campaign->document->policy;
        for (size_t i = 0; i < planner->n_population; i++) {
                const struct planned *planned = &planner->population[i];
                size_t wave = wave_of(policy, i, planner->n_population);
                sizes[wave]++;
                if (planned->row)
                        json_set_int(planned->row, "wave", (int64_t) wave + 1);
                if (planned->is_worked)
                        eta_add(&loads[wave], planned->duration_ms);
        }
}

static void add_waves(const struct campaign *campaign, const size_t *sizes, struct json *result) {
        struct json *waves = json_set_new_array(result, "waves");
        for (size_t i = 0; i < rollout_n_waves(campaign); i++) {
                struct json *wave = json_append_new_object(waves);
                json_set_int(wave, "wave", (int64_t) i + 1);
                json_set_int(wave, "devices", (int64_t) sizes[i]);
        }
}

static void add_window(const struct campaign *campaign, int64_t now_ms, struct json *result) {
        struct windows_state state;
        struct json *window;
        if (!hold_has_windows(campaign))
                return;
        state = hold_windows_at(campaign, now_ms);
        window = json_set_new_object(result, "window");
        json_set_bool(window, "open", state.open);
        set_time(window, state.open ? "closes" : "opens", state.until_ms);
}

/* When it begins and when it would be done; from the driver's estimates, as far as there are any. */
static void add_time(const struct planner *planner, struct json *result) {
        struct eta_load loads[CAMPAIGN_WAVES_MAX + 1] = { 0 };
        size_t sizes[CAMPAIGN_WAVES_MAX + 1] = { 0 };
        const struct campaign *campaign = planner->offer->campaign;
        const struct campaign_policy *policy = &campaign->document->policy;
        struct eta_rollout rollout = { .waves = loads,
                                       .n_waves = rollout_n_waves(campaign),
                                       .concurrency = policy->concurrency,
                                       .soak_ms = policy->soak_ms,
                                       .windows = hold_windows(campaign) };
        int64_t now_ms = update_wall_ms(campaign->update), starts_ms, ends_ms;
        fill_waves(planner, loads, sizes);
        add_waves(campaign, sizes, result);
        add_window(campaign, now_ms, result);
        starts_ms = eta_in_windows(&rollout.windows, now_ms + hold_jitter_ms(campaign), 0);
        set_time(result, "starts", starts_ms);
        json_set_int(result, "unknown_durations", (int64_t) planner->n_unknown_durations);
        ends_ms = starts_ms == INT64_MAX ? INT64_MAX : eta_of_rollout(&rollout, starts_ms);
        if (ends_ms == INT64_MAX)
                return;
        set_time(result, "ends", ends_ms);
        json_set_int(result, "eta_ms", ends_ms - now_ms);
}

static void add_warnings(const struct offer *offer, struct json *result) {
        const struct campaign *campaign = offer->campaign;
        struct json *warnings = json_set_new_array(result, "warnings");
        if (offer->held)
                json_append_string(warnings, "it is older than what this gateway has heard from its key: it would be held until `campaign continue` (needs-approval)");
        for (size_t i = 0; i < campaign->n_files; i++) {
                const struct package *package = campaign->files[i].user.package;
                const struct gw_package *content = package_is_ready(package) && !campaign->files[i].is_candidate ? package_content(package) : NULL;
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
        if (r < 0 || planner.out_of_memory) {
                free(planner.population);
                return r < 0 ? r : -ENOMEM;
        }
        json_set_string(result, "id", campaign->row.id);
        json_set_int(result, "revision", campaign->row.revision);
        json_set_string(result, "mode", mode_name(campaign->document->policy.mode));
        add_time(&planner, result);
        free(planner.population);
        add_counts(&planner, result);
        add_devices(&planner, result);
        add_warnings(offer, result);
        return reply_after_sync(offer->update, TAKE_PTR(result), offer->reply, offer->ctx);
}
