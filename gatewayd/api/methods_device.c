/* SPDX-License-Identifier: Apache-2.0 */
#include "api/methods.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"
#include "store/campaign_table.h"
#include "store/job_table.h"


/* --- list --- */

struct listing {
        const struct json *params;
        struct page page;
        int r;
};

static const char *state_of(const struct gw_device *device) {
        return device->configured ? "configured" : device->adopted ? "adopted" : "discovered";
}

static bool is_listed(const struct json *params, const struct gw_device *device) {
        const char *state = json_member_text(params, "state"), *driver = json_member_text(params, "driver");
        const char *after = json_member_text(params, "after");
        if (after && strcmp(device->id, after) <= 0)
                return false;
        if ((state && strcmp(state_of(device), state) != 0) || (driver && strcmp(device->driver, driver) != 0))
                return false;
        JSON_FOREACH_ITEM(i, label, json_child(params, "labels"))
        if (!device_has_label(device, json_string_or_null(label)))
                return false;
        return true;
}

static void list_device(void *ctx, struct gw_device *device) {
        struct listing *listing = ctx;
        struct json *json = NULL;
        if (listing->r < 0 || !is_listed(listing->params, device) || !page_wants(&listing->page))
                return;
        listing->r = device_describe(device, &json);
        if (listing->r >= 0)
                listing->r = page_add(&listing->page, json, device->id);
}

static void add_counts(const struct api *api, struct json *result) {
        struct fleet_counts counts = fleet_count(api->options.fleet);
        struct json *json = json_set_new_object(result, "counts");
        json_set_int(json, "devices", (int64_t) counts.n_devices);
        json_set_int(json, "adopted", (int64_t) counts.n_adopted);
        json_set_int(json, "discovered", (int64_t) counts.n_discovered);
        json_set_int(json, "configured", (int64_t) counts.n_configured);
}

void method_device_list(struct call *call) {
        struct fleet *fleet = call->api->options.fleet;
        _cleanup_json_ struct json *result = json_new_object();
        struct listing listing = { .params = call->params };
        const char *match = call_text(call, "match");
        int r = result ? page_begin(&listing.page, call->params, result, "devices") : -ENOMEM;
        if (r >= 0)
                r = match ? fleet_match(fleet, match, list_device, &listing) : fleet_each(fleet, list_device, &listing);
        if (r >= 0)
                r = listing.r < 0 ? listing.r : page_finish(&listing.page, result);
        if (r < 0) {
                call_fail_errno(call, r, NULL);
                return;
        }
        add_counts(call->api, result);
        call_answer(call, TAKE_PTR(result));
}

/* --- get --- */

/* {device: ...}; the answer to device.set, too. */
static int describe(const struct gw_device *device, struct json **ret_result) {
        _cleanup_json_ struct json *result = json_new_object();
        struct json *json = NULL;
        int r = result ? device_describe(device, &json) : -ENOMEM;
        if (r >= 0)
                r = json_set(result, "device", json);
        if (r >= 0)
                *ret_result = TAKE_PTR(result);
        return r;
}

/* Ends the call where there is none. */
static struct gw_device *find(struct call *call) {
        struct gw_error err = { 0 };
        struct gw_device *device = fleet_find_by_words(call->api->options.fleet, call_text(call, "id"), &err);
        if (!device)
                call_fail_errno(call, -ENOENT, &err);
        return device;
}

void method_device_get(struct call *call) {
        _cleanup_json_ struct json *result = NULL;
        struct gw_device *device = find(call);
        int r;
        if (!device)
                return;
        r = describe(device, &result);
        if (r >= 0)
                r = set_job(call->api, device->id, result);
        if (r < 0)
                call_fail_errno(call, r, NULL);
        else
                call_answer(call, TAKE_PTR(result));
}

/* --- adopt --- */

static int read_labels(const struct json *texts, struct str_list *labels) {
        JSON_FOREACH_ITEM(i, item, texts) {
                const char *text = json_string_or_null(item);
                int r = str_list_contains(labels, text) ? 0 : str_list_append(labels, text);
                if (r < 0)
                        return r;
        }
        return 0;
}

struct adoption {
        struct call *call;
        struct fleet_statement statement;
        struct str_list labels;
        struct str_list found; /* ids to adopt */
        struct json *adopted, *unchanged;
        int r;
};

/* As much of a device as a statement can change. */
static struct json *snapshot(const struct gw_device *device) {
        struct json *json = NULL;
        if (!device || device_describe(device, &json) < 0)
                return NULL;
        (void) json_remove(json, "last_seen");
        return json;
}

static int adopt_one(struct adoption *adoption, const char *id, struct gw_error *err) {
        struct fleet *fleet = adoption->call->api->options.fleet;
        struct gw_device *device = fleet_find(fleet, id);
        bool was_adopted = device && device->adopted;
        _cleanup_json_ struct json *before = was_adopted ? snapshot(device) : NULL, *after = NULL;
        int r = fleet_adopt(fleet, id, &adoption->statement, &device, err);
        if (r < 0)
                return r;
        after = was_adopted ? snapshot(device) : NULL;
        if (was_adopted && json_equal(before, after))
                return json_append_string(adoption->unchanged, id);
        call_audit(adoption->call, id, was_adopted ? "changed" : "adopted");
        return json_append_string(adoption->adopted, id);
}

static void sort_match(void *ctx, struct gw_device *device) {
        struct adoption *adoption = ctx;
        if (adoption->r < 0)
                return;
        adoption->r = device->adopted ? json_append_string(adoption->unchanged, device->id) : str_list_append(&adoption->found, device->id);
}

/* What is adopted already keeps what was stated of it: the glob means what was discovered. */
static int adopt_matches(struct adoption *adoption, const char *glob, struct gw_error *err) {
        int r = fleet_match(adoption->call->api->options.fleet, glob, sort_match, adoption);
        if (r >= 0)
                r = adoption->r;
        if (r >= 0 && adoption->found.n_items + json_length(adoption->unchanged) == 0) {
                gw_error_set(err, "no-device-matches", "no device that is known matches %s", glob);
                r = -ENOENT;
        }
        for (size_t i = 0; i < adoption->found.n_items && r >= 0; i++)
                r = adopt_one(adoption, adoption->found.items[i], err);
        return r;
}

static int adopt(struct adoption *adoption, struct json *result, struct gw_error *err) {
        const struct call *call = adoption->call;
        const struct json *labels = json_child(call->params, "labels");
        int r;
        adoption->adopted = json_set_new_array(result, "adopted");
        adoption->unchanged = json_set_new_array(result, "unchanged");
        if (!adoption->adopted || !adoption->unchanged)
                return -ENOMEM;
        adoption->statement = (struct fleet_statement){ .name = call_text(call, "name"),
                                                        .model = call_text(call, "model"),
                                                        .address = call_text(call, "address") };
        r = read_labels(labels, &adoption->labels);
        if (labels)
                adoption->statement.labels = &adoption->labels;
        if (r < 0)
                return r;
        return call_text(call, "id") ? adopt_one(adoption, call_text(call, "id"), err)
                                     : adopt_matches(adoption, call_text(call, "match"), err);
}

void method_device_adopt(struct call *call) {
        _cleanup_json_ struct json *result = json_new_object();
        struct adoption adoption = { .call = call };
        struct gw_error err = { 0 };
        int r = result ? adopt(&adoption, result, &err) : -ENOMEM;
        str_list_deinit(&adoption.labels);
        str_list_deinit(&adoption.found);
        if (r < 0)
                call_fail_errno(call, r, &err);
        else
                call_answer_durable(call, TAKE_PTR(result));
}

/* --- set, forget --- */

/* The text to state: NULL leaves what is there, "" (from null) takes it away. */
static const char *stated(const struct json *params, const char *member) {
        return json_has(params, member) && !json_child(params, member) ? "" : json_member_text(params, member);
}

/* The labels after the call. */
static int new_labels(const struct json *params, const struct gw_device *device, struct str_list *labels) {
        const struct json *removed = json_child(params, "remove_labels");
        int r = 0;
        if (json_has(params, "labels"))
                return read_labels(json_child(params, "labels"), labels);
        for (size_t i = 0; i < device->labels_adopted.n_items && r >= 0; i++)
                if (!texts_contain(removed, device->labels_adopted.items[i]))
                        r = str_list_append(labels, device->labels_adopted.items[i]);
        return r < 0 ? r : read_labels(json_child(params, "add_labels"), labels);
}

static int set(struct call *call, struct gw_device *device, struct gw_error *err) {
        const struct json *params = call->params;
        _cleanup_str_list_ struct str_list labels = STR_LIST_INIT;
        struct fleet_statement statement = { .name = stated(params, "name"),
                                             .model = stated(params, "model"),
                                             .address = stated(params, "address") };
        int r = new_labels(params, device, &labels);
        if (r < 0)
                return r;
        if (json_has(params, "labels") || json_has(params, "add_labels") || json_has(params, "remove_labels"))
                statement.labels = &labels;
        if (labels.n_items > CAMPAIGN_LABELS_MAX) {
                gw_error_set(err, "params-invalid", "a device may have %d labels, these would be %zu", CAMPAIGN_LABELS_MAX, labels.n_items);
                return -EINVAL;
        }
        return fleet_set(call->api->options.fleet, device->id, &statement, err);
}

void method_device_set(struct call *call) {
        struct gw_device *device = find(call);
        struct json *result = NULL;
        struct gw_error err = { 0 };
        int r;
        if (!device)
                return;
        r = set(call, device, &err);
        if (r >= 0)
                r = describe(device, &result);
        if (r < 0) {
                call_fail_errno(call, r, &err);
                return;
        }
        call_audit(call, device->id, "changed");
        call_answer_durable(call, result);
}

void method_device_forget(struct call *call) {
        struct gw_device *device = find(call);
        struct gw_error err = { 0 };
        char id[STR_DEVICE_ID_SIZE];
        int r;
        if (!device)
                return;
        (void) str_copy(id, sizeof id, device->id);
        r = fleet_forget(call->api->options.fleet, id, &err);
        if (r < 0) {
                call_fail_errno(call, r, &err);
                return;
        }
        call_audit(call, id, "forgotten");
        call_answer_durable(call, NULL);
}

/* --- diagnose, import --- */

void method_device_diagnose(struct call *call) {
        call_started(call, update_device_visit(call->api->options.update, call_text(call, "id"), GW_OPERATION_DIAGNOSE, call_reply, call));
}

static void answer_import(struct call *call, const struct fleet_import *import) {
        struct json *result = json_new_object();
        json_set_int(result, "adopted", (int64_t) import->n_adopted);
        json_set_int(result, "changed", (int64_t) import->n_changed);
        json_set_int(result, "unchanged", (int64_t) import->n_unchanged);
        if (result)
                call_answer_durable(call, result);
        else
                call_fail_errno(call, -ENOMEM, NULL);
}

void method_device_import(struct call *call) {
        struct fleet_import_source source = { .text = call_text(call, "csv"), .size = strlen(call_text(call, "csv")) };
        struct fleet_import import = { 0 };
        struct json_errors mistakes;
        struct gw_error err = { 0 };
        char text[96];
        int r;
        json_errors_init(&mistakes);
        (void) json_member_bool(call->params, "dry_run", &source.dry_run);
        r = fleet_import(call->api->options.fleet, &source, &import, &mistakes);
        if (r < 0 && json_errors_any(&mistakes)) {
                gw_error_set(&err, "params-invalid", "the list has mistakes (%zu); nothing was taken over", json_errors_count(&mistakes));
                call_fail(call, &err, &mistakes);
                return;
        }
        if (r < 0) {
                call_fail_errno(call, r, NULL);
                return;
        }
        (void) str_format(text, sizeof text, "%zu adopted, %zu changed, %zu unchanged", import.n_adopted, import.n_changed,
                          import.n_unchanged);
        if (!source.dry_run)
                call_audit(call, NULL, text);
        answer_import(call, &import);
}
