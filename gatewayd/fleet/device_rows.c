/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/device_facts.h"

#include <errno.h>

#include "base/json.h"
#include "fleet/device_images.h"

/* --- from a row --- */

/* A column that this program wrote itself; NULL and what cannot be read count as absent. *ret_json is owned. */
static int parse_column(const char *text, struct json **ret_json) {
        int r = text ? json_parse(text, strlen(text), 0, ret_json, NULL) : -ENOENT;

        return r == -ENOMEM ? r : 0;
}

static int read_labels(const char *column, struct str_list *labels) {
        _cleanup_json_ struct json *json = NULL;
        int r = parse_column(column, &json);

        for (size_t i = 0; r == 0 && i < json_length(json); i++) {
                const char *label = json_string_or_null(json_at(json, i));

                if (label)
                        r = str_list_append(labels, label);
        }
        return r;
}

static int read_images(const char *column, struct gw_device *device) {
        _cleanup_json_ struct json *json = NULL;
        int r = parse_column(column, &json);

        device->images_known = json_kind(json) == JSON_KIND_ARRAY;
        return r < 0 ? r : device_images_read(json, &device->images, &device->n_images);
}

static int read_attributes(const char *column, struct gw_device *device) {
        struct gw_attribute attributes[DEVICE_ATTRIBUTES_MAX];
        struct gw_facts facts = GW_FACTS_INIT;
        _cleanup_json_ struct json *json = NULL;
        unsigned changes;
        int r = parse_column(column, &json);

        JSON_FOREACH_MEMBER(it, json) {
                if (facts.n_attributes < DEVICE_ATTRIBUTES_MAX && !str_equal(it.key, "name"))
                        attributes[facts.n_attributes++] = (struct gw_attribute){it.key, json_string_or_null(it.value)};
        }
        facts.attributes = attributes;
        facts.name = json_member_text(json, "name");
        return r < 0 ? r : device_merge(device, &facts, &changes);
}

static void take_texts(struct device_row *row, struct gw_device *device) {
        device->name_adopted = TAKE_PTR(row->name);
        device->model_adopted = TAKE_PTR(row->model_adopted);
        device->model_stated = TAKE_PTR(row->model_stated);
        device->address_adopted = TAKE_PTR(row->address_adopted);
        device->address_seen = TAKE_PTR(row->address_seen);
        device->version = TAKE_PTR(row->version);
        device->last_result = TAKE_PTR(row->last_result);
        device->last_error = TAKE_PTR(row->last_error);
}

static void take_numbers(const struct device_row *row, struct gw_device *device) {
        device->adoption_stated = device->adopted = row->adopted;
        device->rssi_dbm = (int) row->rssi_dbm;
        device->battery_percent = (int) row->battery_percent;
        device->first_seen_ms = row->first_seen_ms;
        device->last_seen_ms = row->last_seen_ms;
        device->last_job_id = row->last_job_id;
        device->last_result_ms = row->last_result_ms;
}

int device_from_row(struct device_row *row, struct gw_device **ret_device) {
        _cleanup_(device_freep) struct gw_device *device = NULL;
        int r;

        if (!row->id || !str_is_device_id(row->id))
                return -EINVAL;
        device = device_new(row->id);
        if (!device)
                return -ENOMEM;
        take_texts(row, device);
        take_numbers(row, device);
        r = read_labels(row->labels, &device->labels_adopted);
        if (r == 0)
                r = read_images(row->images, device);
        if (r == 0)
                r = read_attributes(row->attributes, device);
        if (r < 0)
                return r;
        *ret_device = TAKE_PTR(device);
        return 0;
}

/* --- to a row --- */

static int write_labels(const struct gw_device *device, char **ret_column) {
        _cleanup_json_ struct json *json = NULL;
        int r = 0;

        if (device->labels_adopted.n_items == 0)
                return 0;
        json = json_new_array();
        if (!json)
                return -ENOMEM;
        for (size_t i = 0; i < device->labels_adopted.n_items; i++)
                r |= json_append_string(json, device->labels_adopted.items[i]);
        return r < 0 ? -ENOMEM : json_write(json, ret_column, NULL);
}

static int write_images(const struct gw_device *device, char **ret_column) {
        _cleanup_json_ struct json *json = NULL;

        if (!device->images_known)
                return 0;
        json = json_new_object();
        if (!json || device_images_write(device->images, device->n_images, json, "images") < 0)
                return -ENOMEM;
        return json_write(json_child(json, "images"), ret_column, NULL);
}

static int write_attributes(const struct gw_device *device, char **ret_column) {
        _cleanup_json_ struct json *json = NULL;
        int r = 0;

        if (device->n_attributes == 0 && !device->name_stated)
                return 0;
        json = json_new_object();
        if (!json)
                return -ENOMEM;
        r |= json_set_string(json, "name", device->name_stated);
        for (size_t i = 0; i < device->n_attributes; i++)
                r |= json_set_string(json, device->attributes[i].name, device->attributes[i].value);
        return r < 0 ? -ENOMEM : json_write(json, ret_column, NULL);
}

int device_put(struct store *store, const struct gw_device *device) {
        _cleanup_free_ char *labels = NULL, *images = NULL, *attributes = NULL;

        if (write_labels(device, &labels) < 0 || write_images(device, &images) < 0 || write_attributes(device, &attributes) < 0)
                return -ENOMEM;
        /* The texts are lent. */
        const struct device_row row = {
                .id = (char *) device->id,
                .adopted = device->adoption_stated,
                .name = device->name_adopted,
                .model_adopted = device->model_adopted,
                .model_stated = device->model_stated,
                .labels = labels,
                .address_adopted = device->address_adopted,
                .address_seen = device->address_seen,
                .version = device->version,
                .images = images,
                .attributes = attributes,
                .rssi_dbm = device->rssi_dbm,
                .battery_percent = device->battery_percent,
                .first_seen_ms = device->first_seen_ms,
                .last_seen_ms = device->last_seen_ms,
                .last_job_id = device->last_job_id,
                .last_result = device->last_result,
                .last_error = device->last_error,
                .last_result_ms = device->last_result_ms,
        };
        return device_table_put(store, &row);
}
