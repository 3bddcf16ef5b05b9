/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/device.h"

#include <assert.h>
#include <errno.h>

#include "base/time.h"
#include "config/setting_values.h"
#include "fleet/device_images.h"

const char *device_key(const struct gw_device *device) {
        return device->key;
}

const char *device_address(const struct gw_device *device) {
        if (device->address_configured)
                return device->address_configured;
        return device->address_adopted ? device->address_adopted : device->address_seen;
}

const char *device_model_or_null(const struct gw_device *device) {
        return device_model(device, NULL);
}

const struct gw_image *device_images(const struct gw_device *device, size_t *ret_n) {
        *ret_n = device->n_images;
        return device->images;
}

const char *device_name(const struct gw_device *device) {
        if (device->name_adopted)
                return device->name_adopted;
        /* The key of a configured device is the name that a person gave to its section. */
        return device->name_stated && !device->configured ? device->name_stated : device->key;
}

bool device_has_label(const struct gw_device *device, const char *label) {
        return str_list_contains(&device->labels_configured, label) || str_list_contains(&device->labels_adopted, label);
}

/* What persons say; the configuration first. */
static const char *model_of_persons(const struct gw_device *device) {
        return device->model_configured ? device->model_configured : device->model_adopted;
}

const char *device_model(const struct gw_device *device, struct gw_error *err) {
        const char *said = model_of_persons(device);

        if (said && device->model_stated && !str_equal(said, device->model_stated)) {
                gw_error_set(err, "model-conflict", "the device states %s, its %s says %s", device->model_stated,
                             device->model_configured ? "configuration" : "adoption", said);
                return NULL;
        }
        if (said || device->model_stated)
                return device->model_stated ? device->model_stated : said;
        gw_error_set(err, "model-unknown", "neither the device nor its adoption states its hardware");
        return NULL;
}

/* --- attributes --- */

static const struct gw_setting *find_setting(const struct gw_device *device, const char *name) {
        for (const struct gw_setting *setting = device->driver_table; setting && setting->key; setting++)
                if (str_equal(setting->key, name))
                        return setting;
        return NULL;
}

static const char *find_attribute(const struct gw_device *device, const char *name) {
        for (size_t i = 0; i < device->n_attributes; i++)
                if (str_equal(device->attributes[i].name, name))
                        return device->attributes[i].value;
        return NULL;
}

static bool is_configured(const struct gw_device *device, const struct gw_setting *setting) {
        return setting && device->driver_values && setting_is_set(device->driver_values, setting->key);
}

const char *device_attribute(const struct gw_device *device, const char *name) {
        const struct gw_setting *setting = find_setting(device, name);
        const char *found;

        if (is_configured(device, setting))
                return setting_text(device->driver_values, name);
        found = find_attribute(device, name);
        return found || !setting ? found : setting->value;
}

int64_t device_attribute_number(const struct gw_device *device, const char *name) {
        const struct gw_setting *setting = find_setting(device, name);
        const char *text = device_attribute(device, name);
        int64_t number = 0;
        char why[128];

        if (is_configured(device, setting))
                return setting_number(device->driver_values, name);
        if (!setting || !text)
                return 0;
        if (setting_check(setting, text, &number, why, sizeof(why)) < 0 && setting->value)
                setting_check(setting, setting->value, &number, why, sizeof(why));
        return number;
}

/* --- description --- */

static int set_time(struct json *object, const char *member, int64_t wall_ms) {
        char text[TIME_RFC3339_SIZE];

        if (wall_ms <= 0 || time_format_rfc3339(text, sizeof(text), wall_ms) < 0)
                return 0;
        return json_set_string(object, member, text);
}

static const char *state_name(const struct gw_device *device) {
        if (device->configured)
                return "configured";
        return device->adopted ? "adopted" : "discovered";
}

static int describe_model(const struct gw_device *device, struct json *json) {
        struct json *model = json_set_new_object(json, "model");
        struct gw_error err = {.name = ""};
        int r = 0;

        if (!model)
                return -ENOMEM;
        r |= json_set_string(model, "effective", device_model(device, &err));
        r |= json_set_string(model, "stated", device->model_stated);
        r |= json_set_string(model, "adopted", model_of_persons(device));
        r |= json_set_bool(model, "conflict", str_equal(err.name, "model-conflict"));
        return r;
}

static int describe_labels(const struct gw_device *device, struct json *json) {
        struct json *labels = json_set_new_array(json, "labels");
        int r = 0;

        if (!labels)
                return -ENOMEM;
        for (size_t i = 0; i < device->labels_configured.n_items; i++)
                r |= json_append_string(labels, device->labels_configured.items[i]);
        for (size_t i = 0; i < device->labels_adopted.n_items; i++)
                if (!str_list_contains(&device->labels_configured, device->labels_adopted.items[i]))
                        r |= json_append_string(labels, device->labels_adopted.items[i]);
        return r;
}

static int describe_attributes(const struct gw_device *device, struct json *json) {
        struct json *attributes;
        int r = 0;

        if (device->n_attributes == 0)
                return 0;
        attributes = json_set_new_object(json, "attributes");
        if (!attributes)
                return -ENOMEM;
        for (size_t i = 0; i < device->n_attributes; i++)
                r |= json_set_string(attributes, device->attributes[i].name, device->attributes[i].value);
        return r;
}

static int describe_result(const struct gw_device *device, struct json *json) {
        struct json *result;
        int r = 0;

        if (device->last_result_ms == 0 || !device->last_result)
                return 0;
        result = json_set_new_object(json, "last_result");
        if (!result)
                return -ENOMEM;
        r |= json_set_string(result, "result", device->last_result);
        r |= json_set_string(result, "error", device->last_error);
        r |= set_time(result, "time", device->last_result_ms);
        r |= json_set_int(result, "job", device->last_job_id);
        return r;
}

static int describe_head(const struct gw_device *device, struct json *json) {
        int r = 0;

        r |= json_set_string(json, "id", device->id);
        r |= json_set_string(json, "driver", device->driver);
        r |= json_set_string(json, "key", device->key);
        r |= json_set_string(json, "name", device_name(device));
        r |= json_set_string(json, "state", state_name(device));
        r |= json_set_bool(json, "present", device->present);
        return r;
}

static int describe_facts(const struct gw_device *device, struct json *json) {
        int r = 0;

        r |= json_set_string(json, "address", device_address(device));
        r |= json_set_string(json, "address_seen", device->address_seen);
        r |= json_set_string(json, "version", device->version);
        if (device->images_known)
                r |= device_images_write(device->images, device->n_images, json, "images");
        r |= describe_attributes(device, json);
        if (device->rssi_dbm != GW_RSSI_UNKNOWN)
                r |= json_set_int(json, "rssi_dbm", device->rssi_dbm);
        if (device->battery_percent != GW_BATTERY_UNKNOWN)
                r |= json_set_int(json, "battery_percent", device->battery_percent);
        r |= set_time(json, "first_seen", device->first_seen_ms);
        r |= set_time(json, "last_seen", device->last_seen_ms);
        return r;
}

int device_describe(const struct gw_device *device, struct json **ret_json) {
        _cleanup_json_ struct json *json = json_new_object();

        if (!json || describe_head(device, json) < 0 || describe_model(device, json) < 0 || describe_labels(device, json) < 0 ||
            describe_facts(device, json) < 0 || describe_result(device, json) < 0)
                return -ENOMEM;
        *ret_json = TAKE_PTR(json);
        return 0;
}

bool device_is_private(const struct gw_device *device) {
        return str_equal(device_attribute(device, "address_type"), "private");
}
