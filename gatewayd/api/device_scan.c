/* SPDX-License-Identifier: Apache-2.0 */
#include "api/methods.h"

#include <stdlib.h>

#include "base/str.h"

#define SCAN_DURATION_DEFAULT_MS 5000

/*
 * device.scan: every driver that can is asked to look, whoever is heard until the last of them is done is the answer. The drivers
 * say when they are done and cannot be told to end earlier, so a scan outlives its call where that is dropped. With `inspect` each device that was
 * heard is then connected to and read.
 */
struct scan {
        struct list link;   /* api.scans, as long as there is a call */
        struct call *call;  /* NULL: nobody waits any more */
        struct json *heard; /* object: the members are the ids */
        struct json *drivers;
        struct json *unread; /* [{id, error}]: could not be read */
        size_t n_running;    /* drivers that look, then devices that are read */
        bool inspect, inspecting;
        int64_t duration_ms;
};

static void scan_release(struct scan *scan) {
        if (scan->call || scan->n_running > 0)
                return;
        json_free(scan->heard);
        json_free(scan->drivers);
        json_free(scan->unread);
        free(scan);
}

/* One listener for all scans: the fleet has few places for them. */
static void heard(void *ctx, struct gw_device *device, enum fleet_event event) {
        struct api *api = ctx;
        struct scan *scan;
        if (event != FLEET_EVENT_SEEN)
                return;
        LIST_FOREACH(scan, &api->scans, link)
        if (!scan->inspecting)
                (void) json_set_bool(scan->heard, device->id, true);
}

static void drop_scan(struct call *call) {
        struct scan *scan = call->work;
        list_remove(&scan->link);
        if (list_is_empty(&call->api->scans))
                fleet_unlisten(call->api->options.fleet, heard, call->api);
        scan->call = NULL;
        scan_release(scan);
}

/* As many as one reply holds; device.list has them all. */
static int add_devices(const struct scan *scan, struct json *result) {
        struct page page;
        int r = page_begin(&page, NULL, result, "devices");
        page.limit = COMMAND_PAGE_MAX;
        JSON_FOREACH_MEMBER(member, scan->heard) {
                const struct gw_device *device = fleet_find(scan->call->api->options.fleet, member.key);
                struct json *json = NULL;
                if (r < 0 || !page_wants(&page))
                        break;
                if (!device)
                        continue;
                r = device_describe(device, &json);
                if (r >= 0)
                        r = page_add(&page, json, device->id);
        }
        return r;
}

static void answer(struct scan *scan) {
        _cleanup_json_ struct json *result = json_new_object();
        struct call *call = scan->call;
        int r = result ? json_set(result, "drivers", json_ref(scan->drivers)) : -ENOMEM;
        if (r >= 0)
                r = add_devices(scan, result);
        if (r >= 0 && scan->inspect)
                r = json_set(result, "unread", json_ref(scan->unread));
        if (r < 0)
                call_fail_errno(call, r, NULL);
        else
                call_answer_durable(call, TAKE_PTR(result));
}

/* --- reading what was found --- */

static void begin_inspections(struct scan *scan);

static void one_is_done(void *ctx) {
        struct scan *scan = ctx;
        scan->n_running--;
        if (scan->n_running > 0)
                return;
        if (scan->call && scan->inspect && !scan->inspecting)
                begin_inspections(scan);
        else if (scan->call)
                answer(scan);
        else
                scan_release(scan);
}

/* One device that is read; knows its scan, which outlives its call. */
struct inspection {
        struct scan *scan;
        char device[STR_DEVICE_ID_SIZE];
};

static void inspected(void *ctx, struct json *result, const struct gw_error *err, const struct json_errors *mistakes) {
        struct inspection *inspection = ctx;
        struct scan *scan = inspection->scan;
        const struct json *failure = err ? NULL : json_child(result, "error");
        (void) mistakes;
        if (scan->call && (err || failure)) {
                struct json *row = json_append_new_object(scan->unread);
                json_set_string(row, "id", inspection->device);
                set_error(&scan->call->api->options, json_set_new_object(row, "error"), err ? err->name : json_member_text(failure, "name"),
                          err ? err->text : json_member_text(failure, "text"));
        }
        free(inspection);
        one_is_done(scan);
}

/* Drivers queue what cannot be done at once. */
static void inspect(struct scan *scan, const char *id) {
        struct inspection *inspection = calloc(1, sizeof *inspection);
        if (!inspection)
                return;
        inspection->scan = scan;
        (void) str_copy(inspection->device, sizeof inspection->device, id);
        if (update_device_visit(scan->call->api->options.update, id, GW_OPERATION_INSPECT, inspected, inspection) < 0)
                free(inspection);
        else
                scan->n_running++;
}

static void begin_inspections(struct scan *scan) {
        size_t n_begun = 0;
        scan->inspecting = true;
        scan->n_running++; /* not done before all have begun */
        JSON_FOREACH_MEMBER(member, scan->heard)
        if (n_begun++ < COMMAND_PAGE_MAX)
                inspect(scan, member.key);
        one_is_done(scan);
}

static void start_driver(void *ctx, const struct gw_driver *driver) {
        struct scan *scan = ctx;
        const struct api_options *options = &scan->call->api->options;
        const char *wanted = call_text(scan->call, "driver");
        struct gw_error err = { 0 };
        struct json *row;
        int r = 0;
        if (wanted ? strcmp(wanted, driver->name) != 0 : !driver->scan)
                return;
        if (!driver->scan)
                gw_error_set(&err, "not-supported", "driver %s cannot look for devices; it knows those with a [device] section",
                             driver->name);
        else if (!driver_registry_is_started(options->registry, driver->name))
                gw_error_set(&err, "driver-unavailable", "driver %s is not running", driver->name);
        else
                r = driver->scan(driver_registry_instance(options->registry, driver->name), scan->duration_ms, one_is_done, scan, &err);
        if (r < 0 && !gw_error_is_set(&err))
                gw_error_set(&err, "internal-error", "driver %s cannot look: %s", driver->name, strerror(-r));
        row = json_append_new_object(scan->drivers);
        json_set_string(row, "name", driver->name);
        json_set_bool(row, "scanned", !gw_error_is_set(&err));
        if (gw_error_is_set(&err))
                set_error(options, json_set_new_object(row, "error"), err.name, err.text);
        else
                scan->n_running++;
}

static int scan_new(struct call *call, struct scan **ret_scan) {
        struct api *api = call->api;
        struct scan *scan = calloc(1, sizeof *scan);
        int r;
        if (!scan)
                return -ENOMEM;
        scan->heard = json_new_object();
        scan->drivers = json_new_array();
        scan->unread = json_new_array();
        (void) json_member_bool(call->params, "inspect", &scan->inspect);
        scan->duration_ms = SCAN_DURATION_DEFAULT_MS;
        (void) json_member_int(call->params, "duration_ms", 100, 60000, &scan->duration_ms);
        r = scan->heard && scan->drivers && scan->unread ? 0 : -ENOMEM;
        if (r >= 0 && list_is_empty(&api->scans))
                r = fleet_listen(api->options.fleet, heard, api);
        if (r < 0) {
                scan_release(scan);
                return r;
        }
        list_append(&api->scans, &scan->link);
        scan->call = call;
        call->work = scan;
        call->drop = drop_scan;
        *ret_scan = scan;
        return 0;
}

void method_device_scan(struct call *call) {
        const struct driver_registry *registry = call->api->options.registry;
        const char *wanted = call_text(call, "driver");
        struct gw_error err = { 0 };
        struct scan *scan;
        int r;
        if (wanted && !driver_registry_find(registry, wanted)) {
                gw_error_set(&err, "driver-unavailable", "no plugin brought a driver %s", wanted);
                call_fail(call, &err, NULL);
                return;
        }
        r = scan_new(call, &scan);
        if (r < 0) {
                call_fail_errno(call, r, NULL);
                return;
        }
        scan->n_running++; /* not done before all have begun */
        driver_registry_each(registry, start_driver, scan);
        one_is_done(scan);
}
