/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/objects.h"

#include <stdlib.h>

#include "base/str.h"

void objects_init(struct objects *objects, const struct objects_hooks *hooks, void *ctx) {
        *objects = (struct objects){ .hooks = hooks, .ctx = ctx };
        list_init(&objects->adapters);
}

/* --- adapters --- */

struct adapter *objects_adapter(const struct objects *objects, const char *path) {
        struct adapter *adapter;
        LIST_FOREACH(adapter, &objects->adapters, node)
                if (strcmp(adapter->path, path) == 0)
                        return adapter;
        return NULL;
}

int objects_adapter_add(struct objects *objects, const char *path, struct adapter **ret_adapter) {
        const char *name = strrchr(path, '/');
        struct adapter *adapter = objects_adapter(objects, path);
        if (!adapter) {
                if (objects->n_adapters == BLE_ADAPTERS_MAX || !name)
                        return -ENOSPC;
                adapter = calloc(1, sizeof *adapter);
                if (!adapter)
                        return -ENOMEM;
                if (str_copy(adapter->path, sizeof adapter->path, path) < 0 || str_copy(adapter->name, sizeof adapter->name, name + 1) < 0) {
                        free(adapter);
                        return -ENAMETOOLONG;
                }
                list_append(&objects->adapters, &adapter->node);
                objects->n_adapters++;
        }
        *ret_adapter = adapter;
        return 0;
}

/* --- devices: by the hash of their path --- */

/* FNV-1a. */
static size_t bucket_of(const char *path, size_t length) {
        uint32_t hash = 2166136261u;
        for (size_t i = 0; i < length; i++)
                hash = (hash ^ (uint8_t) path[i]) * 16777619u;
        return hash % BLE_DEVICE_BUCKETS;
}

static struct device *device_find(const struct objects *objects, const char *path, size_t length) {
        struct device *device = objects->buckets ? objects->buckets[bucket_of(path, length)] : NULL;
        while (device && (strncmp(device->path, path, length) != 0 || device->path[length]))
                device = device->next;
        return device;
}

struct device *objects_device(const struct objects *objects, const char *path) {
        return device_find(objects, path, strlen(path));
}

struct device *objects_device_above(const struct objects *objects, const char *path) {
        const char *device = strstr(path, "/dev_"), *end = device ? strchr(device + 1, '/') : NULL;
        return end ? device_find(objects, path, (size_t) (end - path)) : NULL;
}

void objects_each_device(const struct objects *objects, void (*found)(void *ctx, struct device *device), void *ctx) {
        for (size_t i = 0; objects->buckets && i < BLE_DEVICE_BUCKETS; i++) {
                struct device *device = objects->buckets[i];
                while (device) {
                        struct device *next = device->next;
                        found(ctx, device);
                        device = next;
                }
        }
}

static struct adapter *adapter_above(const struct objects *objects, const char *path) {
        struct adapter *adapter;
        LIST_FOREACH(adapter, &objects->adapters, node)
                if (str_starts_with(path, adapter->path) && path[strlen(adapter->path)] == '/')
                        return adapter;
        return NULL;
}

static int device_new(struct adapter *adapter, const char *path, struct device **ret_device) {
        struct device *device = calloc(1, sizeof *device);
        if (!device)
                return -ENOMEM;
        if (str_copy(device->path, sizeof device->path, path) < 0) {
                free(device);
                return -ENAMETOOLONG;
        }
        device->adapter = adapter;
        device->rssi_dbm = GW_RSSI_UNKNOWN;
        device->battery_percent = GW_BATTERY_UNKNOWN;
        list_init(&device->attributes);
        list_init(&device->telling);
        *ret_device = device;
        return 0;
}

int objects_device_add(struct objects *objects, const char *path, struct device **ret_device) {
        struct adapter *adapter = adapter_above(objects, path);
        struct device *device = objects_device(objects, path);
        size_t bucket = bucket_of(path, strlen(path));
        int r;
        if (device) {
                *ret_device = device;
                return 0;
        }
        if (!adapter)
                return -ENOENT;
        if (objects->n_devices == BLE_DEVICES_MAX) {
                objects->n_dropped++;
                return -ENOSPC;
        }
        if (!objects->buckets)
                objects->buckets = calloc(BLE_DEVICE_BUCKETS, sizeof *objects->buckets);
        r = objects->buckets ? device_new(adapter, path, &device) : -ENOMEM;
        if (r < 0)
                return r;
        device->next = objects->buckets[bucket];
        objects->buckets[bucket] = device;
        objects->n_devices++;
        *ret_device = device;
        return 0;
}

static void attributes_free(struct device *device) {
        struct list *node;
        while ((node = list_pop(&device->attributes)))
                free(container_of(node, struct attribute, node));
        device->n_attributes = 0;
}

void objects_device_remove(struct objects *objects, struct device *device) {
        struct device **at = &objects->buckets[bucket_of(device->path, strlen(device->path))];
        while (*at != device)
                at = &(*at)->next;
        *at = device->next;
        objects->n_devices--;
        objects->hooks->device_gone(objects->ctx, device);
        list_remove(&device->telling);
        attributes_free(device);
        free(device->name);
        free(device->services);
        free(device->manufacturer_bytes);
        free(device);
}

/* --- adapters go with their devices --- */

struct removal {
        struct objects *objects;
        const struct adapter *adapter; /* NULL: all */
};

static void remove_if_below(void *ctx, struct device *device) {
        struct removal *removal = ctx;
        if (!removal->adapter || device->adapter == removal->adapter)
                objects_device_remove(removal->objects, device);
}

void objects_adapter_remove(struct objects *objects, struct adapter *adapter) {
        objects_each_device(objects, remove_if_below, &(struct removal){ objects, adapter });
        list_remove(&adapter->node);
        objects->n_adapters--;
        objects->hooks->adapter_gone(objects->ctx, adapter);
        free(adapter);
}

void objects_clear(struct objects *objects) {
        struct adapter *adapter;
        while ((adapter = LIST_FIRST(&objects->adapters, struct adapter, node)))
                objects_adapter_remove(objects, adapter);
        free(objects->buckets);
        objects->buckets = NULL;
}

/* --- services and characteristics --- */

struct attribute *device_attribute_find(const struct device *device, const char *path) {
        struct attribute *attribute;
        LIST_FOREACH(attribute, &device->attributes, node)
                if (strcmp(attribute->path, path) == 0)
                        return attribute;
        return NULL;
}

static struct attribute *first_of(const struct device *device, const char *uuid, bool is_service) {
        struct attribute *attribute;
        LIST_FOREACH(attribute, &device->attributes, node)
                if (attribute->is_service == is_service && strcmp(attribute->uuid, uuid) == 0)
                        return attribute;
        return NULL;
}

struct attribute *device_characteristic(const struct device *device, const char *uuid) {
        return first_of(device, uuid, false);
}

struct attribute *device_service(const struct device *device, const char *uuid) {
        return first_of(device, uuid, true);
}

struct attribute *device_service_of(const struct device *device, const struct attribute *characteristic) {
        struct attribute *attribute;
        LIST_FOREACH(attribute, &device->attributes, node)
                if (attribute->is_service && str_starts_with(characteristic->path, attribute->path))
                        return attribute;
        return NULL;
}

int objects_attribute_add(struct device *device, const char *path, bool is_service, struct attribute **ret_attribute) {
        struct attribute *attribute = device_attribute_find(device, path), *behind;
        if (!attribute) {
                if (device->n_attributes == BLE_ATTRIBUTES_MAX)
                        return -ENOSPC;
                attribute = calloc(1, sizeof *attribute);
                if (!attribute)
                        return -ENOMEM;
                if (str_copy(attribute->path, sizeof attribute->path, path) < 0) {
                        free(attribute);
                        return -ENAMETOOLONG;
                }
                LIST_FOREACH(behind, &device->attributes, node)
                        if (strcmp(behind->path, path) > 0)
                                break;
                list_append(&behind->node, &attribute->node); /* before it; the head where there is none */
                device->n_attributes++;
        }
        attribute->is_service = is_service;
        *ret_attribute = attribute;
        return 0;
}

void objects_attribute_remove(struct objects *objects, struct device *device, struct attribute *attribute) {
        list_remove(&attribute->node);
        device->n_attributes--;
        objects->hooks->attribute_gone(objects->ctx, device, attribute);
        free(attribute);
}
