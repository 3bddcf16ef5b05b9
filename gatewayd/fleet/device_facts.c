/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/device_facts.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "document/limits.h"

struct gw_device *device_new(const char *id) {
        struct gw_device *device = calloc(1, sizeof(*device));
        const char *colon = strchr(id, ':');

        if (!device)
                return NULL;
        str_copy(device->id, sizeof(device->id), id);
        str_copy_n(device->driver, sizeof(device->driver), id, (size_t) (colon - id));
        device->key = device->id + (colon - id) + 1;
        device->rssi_dbm = GW_RSSI_UNKNOWN;
        device->battery_percent = GW_BATTERY_UNKNOWN;
        list_init(&device->order);
        list_init(&device->unwritten);
        return device;
}

static void attributes_free(struct device_attribute *attributes, size_t n_attributes) {
        for (size_t i = 0; i < n_attributes; i++) {
                free(attributes[i].name);
                free(attributes[i].value);
        }
        free(attributes);
}

void device_free(struct gw_device *device) {
        char **const texts[] = {&device->address_configured, &device->model_configured, &device->name_adopted,
                                &device->model_adopted,      &device->address_adopted,  &device->name_stated,
                                &device->model_stated,       &device->address_seen,     &device->version,
                                &device->last_result,        &device->last_error};

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                free(*texts[i]);
        str_list_deinit(&device->labels_configured);
        str_list_deinit(&device->labels_adopted);
        setting_values_free(device->driver_values);
        attributes_free(device->attributes, device->n_attributes);
        free(device->images);
        free(device);
}

int device_text_set(char **dst, const char *text, bool *changed) {
        char *copy = NULL;

        if (text && !*text)
                text = NULL;
        if (str_equal(*dst, text))
                return 0;
        if (text) {
                copy = strdup(text);
                if (!copy)
                        return -ENOMEM;
        }
        free(*dst);
        *dst = copy;
        *changed = true;
        return 0;
}

/* --- what a device states --- */

/* Absent and empty ones leave what is there. max_bytes without terminator. */
static int take_text(char **dst, const char *text, size_t max_bytes, bool *changed) {
        char shown[DEVICE_ATTRIBUTE_MAX + 1];

        if (!text || !*text)
                return 0;
        str_escape(shown, MIN(sizeof(shown), max_bytes + 1), text, strnlen(text, DEVICE_ATTRIBUTE_MAX));
        return device_text_set(dst, shown, changed);
}

/*
 * Whatever a device calls its hardware becomes a well-formed model. It is not dropped when it is odd: then only the adoption would
 * count, while the device states something else.
 */
static int take_model(char **dst, const char *text, bool *changed) {
        char model[GW_MODEL_MAX];

        if (!text || !*text)
                return 0;
        str_copy(model, sizeof(model), text);
        for (char *at = model; *at; at++)
                if (!isalnum((unsigned char) *at) && !strchr("_.,@/+-", *at))
                        *at = '_';
        return device_text_set(dst, model, changed);
}

static bool image_equal(const struct gw_image *a, const struct gw_image *b) {
        return a->image == b->image && a->slot == b->slot && a->flags == b->flags && a->slot_size == b->slot_size &&
               a->hash_size == b->hash_size && memcmp(a->hash, b->hash, MIN(a->hash_size, (uint8_t) GW_HASH_MAX)) == 0 &&
               str_equal(a->version, b->version);
}

static bool images_equal(const struct gw_device *device, const struct gw_image *images, size_t n_images) {
        if (!device->images_known || device->n_images != n_images)
                return false;
        for (size_t i = 0; i < n_images; i++)
                if (!image_equal(&device->images[i], &images[i]))
                        return false;
        return true;
}

static int take_images(struct gw_device *device, const struct gw_image *images, size_t n_images, bool *changed) {
        struct gw_image *copies = NULL;

        n_images = MIN(n_images, (size_t) GW_IMAGES_MAX);
        if (!images || images_equal(device, images, n_images))
                return 0;
        if (n_images > 0) {
                copies = calloc(n_images, sizeof(*copies));
                if (!copies)
                        return -ENOMEM;
        }
        for (size_t i = 0; i < n_images; i++) {
                copies[i] = images[i];
                copies[i].hash_size = MIN(images[i].hash_size, (uint8_t) GW_HASH_MAX);
                str_escape(copies[i].version, sizeof(copies[i].version), images[i].version, strnlen(images[i].version, GW_VERSION_MAX));
        }
        free(device->images);
        device->images = copies;
        device->n_images = n_images;
        device->images_known = true;
        *changed = true;
        return 0;
}

static struct device_attribute *attribute_find(struct gw_device *device, const char *name) {
        for (size_t i = 0; i < device->n_attributes; i++)
                if (str_equal(device->attributes[i].name, name))
                        return &device->attributes[i];
        return NULL;
}

static struct device_attribute *attribute_new(struct gw_device *device, const char *name) {
        struct device_attribute *attributes = reallocarray(device->attributes, device->n_attributes + 1, sizeof(*attributes));
        struct device_attribute *attribute;

        if (!attributes)
                return NULL;
        device->attributes = attributes;
        attribute = &attributes[device->n_attributes];
        *attribute = (struct device_attribute){.name = strdup(name)};
        if (!attribute->name)
                return NULL;
        device->n_attributes++;
        return attribute;
}

/* The name "name" belongs to the row (device_put), where it holds name_stated. */
static int take_attribute(struct gw_device *device, const char *name, const char *value, bool *changed) {
        struct device_attribute *attribute;

        if (!name || !str_is_id(name) || str_equal(name, "name") || !value || !*value)
                return 0;
        attribute = attribute_find(device, name);
        if (!attribute && device->n_attributes == DEVICE_ATTRIBUTES_MAX)
                return 0;
        if (!attribute)
                attribute = attribute_new(device, name);
        return attribute ? take_text(&attribute->value, value, DEVICE_ATTRIBUTE_MAX, changed) : -ENOMEM;
}

static int take_attributes(struct gw_device *device, const struct gw_facts *facts, bool *changed) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < facts->n_attributes; i++)
                r = take_attribute(device, facts->attributes[i].name, facts->attributes[i].value, changed);
        return r;
}

static int take_texts(struct gw_device *device, const struct gw_facts *facts, bool *changed) {
        int r = take_text(&device->name_stated, facts->name, DEVICE_NAME_MAX, changed);

        if (r == 0)
                r = take_text(&device->address_seen, facts->address, DEVICE_ADDRESS_MAX, changed);
        if (r == 0)
                r = take_text(&device->version, facts->version, GW_VERSION_MAX - 1, changed);
        if (r == 0)
                r = take_model(&device->model_stated, facts->model, changed);
        return r;
}

int device_merge(struct gw_device *device, const struct gw_facts *facts, unsigned *ret_changes) {
        struct gw_facts known = GW_FACTS_INIT;
        bool changed = false, changed_small = false;
        int r;

        *ret_changes = 0;
        if (!facts)
                return 0;
        /* A plugin built against an older header knows fewer members. */
        memcpy(&known, facts, MIN(facts->size, sizeof(known)));
        r = take_texts(device, &known, &changed);
        if (r == 0)
                r = take_images(device, known.images, known.n_images, &changed);
        if (r == 0)
                r = take_attributes(device, &known, &changed_small);
        if (known.rssi_dbm >= -200 && known.rssi_dbm <= 100)
                device->rssi_dbm = known.rssi_dbm;
        if (known.battery_percent >= 0 && known.battery_percent <= 100 && known.battery_percent != device->battery_percent) {
                device->battery_percent = known.battery_percent;
                changed_small = true;
        }
        *ret_changes = (changed ? DEVICE_CHANGE_FACTS : 0) | (changed_small ? DEVICE_CHANGE_SMALL : 0);
        return r;
}
