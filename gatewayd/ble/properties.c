/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Messages of the Bluetooth service into objects. A property-changed message of a device comes with every advertisement, hundreds a
 * second in a busy place: that path looks up, compares and stores, it allocates only when a text has really changed.
 */

#include "ble/objects.h"

#include <stdlib.h>

#include "base/str.h"
#include "ble/call.h"

/* One property: reads its value (the message stands inside the variant) and says what changed. < 0: not of the type it should be. */
struct property {
        const char *name;
        const char *type; /* of the variant */
        int (*read)(void *object, sd_bus_message *message);
};

/* At the array of a dictionary {sv}. Returns the changes of all properties together. */
static int read_dictionary(sd_bus_message *message, const struct property *table, void *object) {
        int changes = 0, r = sd_bus_message_enter_container(message, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                const struct property *property = table;
                const char *name = NULL;
                r = sd_bus_message_read_basic(message, 's', &name);
                while (r >= 0 && property->name && strcmp(property->name, name) != 0)
                        property++;
                if (r >= 0 && property->name && sd_bus_message_enter_container(message, 'v', property->type) > 0) {
                        r = property->read(object, message);
                        changes |= MAX(r, 0);
                        if (r >= 0)
                                r = sd_bus_message_exit_container(message);
                } else if (r >= 0) {
                        r = sd_bus_message_skip(message, "v");
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        return r < 0 ? r : changes;
}

static int read_flag(sd_bus_message *message, bool *value, int change) {
        int told = 0, r = sd_bus_message_read_basic(message, 'b', &told);
        bool changed = r >= 0 && *value != (bool) told;
        if (changed)
                *value = told;
        return r < 0 ? r : changed ? change : 0;
}

/* --- adapters --- */

static int read_adapter_address(void *object, sd_bus_message *message) {
        struct adapter *adapter = object;
        const char *address;
        int r = sd_bus_message_read_basic(message, 's', &address);
        if (r >= 0)
                (void) str_copy(adapter->address, sizeof adapter->address, address);
        return r < 0 ? r : 0;
}

static int read_powered(void *object, sd_bus_message *message) {
        return read_flag(message, &((struct adapter *) object)->powered, 1);
}

/* "usb:v1D6Bp0246d0542": the device number of the service's own modalias is its version, 5.66. */
static int read_version(void *object, sd_bus_message *message) {
        struct adapter *adapter = object;
        const char *modalias;
        unsigned major, minor;
        int r = sd_bus_message_read_basic(message, 's', &modalias);
        if (r > 0 && sscanf(modalias, "usb:v1D6Bp0246d%2x%2x", &major, &minor) == 2)
                (void) str_format(adapter->version, sizeof adapter->version, "%u.%u", major, minor);
        return r;
}

static const struct property adapter_table[] = {
        { "Address", "s", read_adapter_address },
        { "Powered", "b", read_powered },
        { "Modalias", "s", read_version },
        { 0 },
};

/* --- devices --- */

static void device_set_key(struct device *device, const char *address) {
        char key[GW_GATT_KEY_SIZE];
        if (ble_key_from_address(address, key) < 0)
                return;
        memcpy(device->key, key, sizeof key);
        ble_address_from_key(key, device->address);
        device->address_kind = ble_address_kind(key, device->address_type);
}

/* After pairing it becomes the identity address; the path stays. */
static int read_address(void *object, sd_bus_message *message) {
        const char *address;
        int r = sd_bus_message_read_basic(message, 's', &address);
        if (r < 0)
                return r;
        device_set_key(object, address);
        return DEVICE_SAID;
}

static int read_address_type(void *object, sd_bus_message *message) {
        struct device *device = object;
        const char *type;
        int r = sd_bus_message_read_basic(message, 's', &type);
        if (r < 0)
                return r;
        (void) str_copy(device->address_type, sizeof device->address_type, type);
        if (device->key[0])
                device->address_kind = ble_address_kind(device->key, device->address_type);
        return 0;
}

static int read_name(void *object, sd_bus_message *message) {
        struct device *device = object;
        const char *name;
        char *copy;
        int r = sd_bus_message_read_basic(message, 's', &name);
        if (r < 0 || str_equal(device->name, name))
                return r < 0 ? r : 0;
        copy = strndup(name, BLE_NAME_MAX - 1);
        if (!copy)
                return -ENOMEM;
        free(device->name);
        device->name = copy;
        return DEVICE_SAID;
}

#define RSSI_NOT_AVAILABLE 127 /* Core specification, volume 4, part E, 7.7.65.2 */

static int read_rssi(void *object, sd_bus_message *message) {
        int16_t rssi;
        int r = sd_bus_message_read_basic(message, 'n', &rssi);
        if (r < 0)
                return r;
        ((struct device *) object)->rssi_dbm = rssi == RSSI_NOT_AVAILABLE ? GW_RSSI_UNKNOWN : rssi;
        return DEVICE_HEARD;
}

/* Counts without storing: ServiceData and the flags say no more than that it was heard. */
static int read_heard(void *object, sd_bus_message *message) {
        (void) object;
        return sd_bus_message_skip(message, NULL) < 0 ? -EBADMSG : DEVICE_ADVERTISED;
}

static int read_connected(void *object, sd_bus_message *message) {
        struct device *device = object;
        int r = read_flag(message, &device->connected, DEVICE_STATE);
        if (r > 0 && !device->connected) {
                device->n_lost++;
                device->resolved = false;
        }
        return r;
}

static int read_resolved(void *object, sd_bus_message *message) {
        return read_flag(message, &((struct device *) object)->resolved, DEVICE_STATE);
}

static int read_paired(void *object, sd_bus_message *message) {
        return read_flag(message, &((struct device *) object)->paired, DEVICE_STATE);
}

static int read_bonded(void *object, sd_bus_message *message) {
        return read_flag(message, &((struct device *) object)->bonded, DEVICE_STATE);
}

static bool has_same_services(const struct device *device, char (*services)[GW_GATT_UUID_SIZE], size_t n_services) {
        return device->n_services == n_services && (n_services == 0 || memcmp(device->services, services, n_services * sizeof *services) == 0);
}

static int read_uuids(void *object, sd_bus_message *message) {
        char services[BLE_SERVICES_MAX][GW_GATT_UUID_SIZE] = { 0 };
        struct device *device = object;
        const char *uuid;
        size_t n_services = 0;
        void *copy;
        int r = sd_bus_message_enter_container(message, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(message, 's', &uuid)) > 0)
                if (n_services < BLE_SERVICES_MAX && ble_uuid_normalize(uuid, services[n_services]) >= 0)
                        n_services++;
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0 || has_same_services(device, services, n_services))
                return r < 0 ? r : 0;
        copy = malloc(MAX(n_services, (size_t) 1) * sizeof services[0]);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, services, n_services * sizeof services[0]);
        free(device->services);
        device->services = copy;
        device->n_services = n_services;
        return DEVICE_SAID;
}

static int manufacturer_add(struct device *device, uint16_t company, const void *data, size_t size, size_t *used) {
        struct gw_gatt_manufacturer *entry = &device->manufacturers[device->n_manufacturers];
        if (!device->manufacturer_bytes)
                device->manufacturer_bytes = malloc(BLE_MANUFACTURER_BYTES);
        if (!device->manufacturer_bytes)
                return -ENOMEM;
        if (device->n_manufacturers == BLE_MANUFACTURERS_MAX || *used + size > BLE_MANUFACTURER_BYTES)
                return 0;
        memcpy(device->manufacturer_bytes + *used, data, size);
        *entry = (struct gw_gatt_manufacturer){ .company = company, .data = device->manufacturer_bytes + *used, .size = size };
        *used += size;
        device->n_manufacturers++;
        return 0;
}

static int read_manufacturer(sd_bus_message *message, struct device *device, size_t *used) {
        uint16_t company;
        const void *data;
        size_t size;
        int r = sd_bus_message_read_basic(message, 'q', &company);
        if (r >= 0)
                r = sd_bus_message_enter_container(message, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_read_array(message, 'y', &data, &size);
        if (r >= 0)
                r = manufacturer_add(device, company, data, size, used);
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        return r;
}

static int read_manufacturers(void *object, sd_bus_message *message) {
        struct device *device = object;
        size_t used = 0;
        int r = sd_bus_message_enter_container(message, 'a', "{qv}");
        device->n_manufacturers = 0;
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "qv")) > 0) {
                r = read_manufacturer(message, device, &used);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        return r < 0 ? r : DEVICE_ADVERTISED;
}

static const struct property device_table[] = {
        { "RSSI", "n", read_rssi },
        { "ManufacturerData", "a{qv}", read_manufacturers },
        { "ServiceData", "a{sv}", read_heard },
        { "AdvertisingFlags", "ay", read_heard },
        { "Name", "s", read_name },
        { "UUIDs", "as", read_uuids },
        { "Connected", "b", read_connected },
        { "ServicesResolved", "b", read_resolved },
        { "Paired", "b", read_paired },
        { "Bonded", "b", read_bonded },
        { "Address", "s", read_address },
        { "AddressType", "s", read_address_type },
        { 0 },
};

static int read_percentage(void *object, sd_bus_message *message) {
        uint8_t percent;
        int r = sd_bus_message_read_basic(message, 'y', &percent);
        if (r < 0 || percent > 100)
                return r < 0 ? r : 0;
        ((struct device *) object)->battery_percent = percent;
        return DEVICE_SAID;
}

static const struct property battery_table[] = {
        { "Percentage", "y", read_percentage },
        { 0 },
};

/* --- services and characteristics --- */

static int read_attribute_uuid(void *object, sd_bus_message *message) {
        const char *uuid;
        int r = sd_bus_message_read_basic(message, 's', &uuid);
        if (r >= 0)
                (void) ble_uuid_normalize(uuid, ((struct attribute *) object)->uuid);
        return r < 0 ? r : 0;
}

static uint32_t property_of_flag(const char *flag) {
        static const struct {
                const char *flag;
                uint32_t property;
        } flags[] = {
                { "read", GW_GATT_READ },
                { "write-without-response", GW_GATT_WRITE_COMMAND },
                { "write", GW_GATT_WRITE },
                { "notify", GW_GATT_NOTIFY },
                { "indicate", GW_GATT_INDICATE },
        };
        for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
                if (strcmp(flags[i].flag, flag) == 0)
                        return flags[i].property;
        return str_starts_with(flag, "encrypt-") || str_starts_with(flag, "secure-") ? GW_GATT_ENCRYPTED : 0;
}

static int read_flags(void *object, sd_bus_message *message) {
        struct attribute *attribute = object;
        const char *flag;
        int r = sd_bus_message_enter_container(message, 'a', "s");
        attribute->properties = 0;
        while (r >= 0 && (r = sd_bus_message_read_basic(message, 's', &flag)) > 0)
                attribute->properties |= property_of_flag(flag);
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        return r < 0 ? r : 0;
}

static int read_mtu(void *object, sd_bus_message *message) {
        int r = sd_bus_message_read_basic(message, 'q', &((struct attribute *) object)->mtu);
        return r < 0 ? r : 0;
}

static const struct property attribute_table[] = {
        { "UUID", "s", read_attribute_uuid },
        { "Flags", "as", read_flags },
        { "MTU", "q", read_mtu },
        { 0 },
};

/* --- one interface of one object; the message stands at the interface's dictionary --- */

static int read_device(struct objects *objects, const char *path, const struct property *table, sd_bus_message *message) {
        struct device *device = objects_device(objects, path);
        int r = device ? 0 : objects_device_add(objects, path, &device);
        if (r < 0)
                return sd_bus_message_skip(message, "a{sv}"); /* too many, or of no adapter that is known */
        r = read_dictionary(message, table, device);
        if (r > 0 && (r & DEVICE_ADVERTISED) && !objects->reading_all)
                r |= DEVICE_HEARD;
        if (r > 0 && device->key[0])
                objects->hooks->device_changed(objects->ctx, device, (uint32_t) r);
        return r;
}

static int read_adapter(struct objects *objects, const char *path, sd_bus_message *message) {
        struct adapter *adapter;
        int r = objects_adapter_add(objects, path, &adapter);
        if (r < 0)
                return sd_bus_message_skip(message, "a{sv}");
        r = read_dictionary(message, adapter_table, adapter);
        if (r >= 0)
                objects->hooks->adapter_changed(objects->ctx, adapter);
        return r;
}

static int read_attribute(struct objects *objects, const char *path, bool is_service, sd_bus_message *message) {
        struct device *device = objects_device_above(objects, path);
        struct attribute *attribute;
        int r = device ? objects_attribute_add(device, path, is_service, &attribute) : -ENOENT;
        if (r < 0)
                return sd_bus_message_skip(message, "a{sv}");
        r = read_dictionary(message, attribute_table, attribute);
        if (r >= 0)
                objects->hooks->device_changed(objects->ctx, device, DEVICE_STATE);
        return r;
}

static int read_interface(struct objects *objects, const char *path, const char *interface, sd_bus_message *message) {
        if (strcmp(interface, BLUEZ_DEVICE) == 0)
                return read_device(objects, path, device_table, message);
        if (strcmp(interface, BLUEZ_BATTERY) == 0)
                return read_device(objects, path, battery_table, message);
        if (strcmp(interface, BLUEZ_ADAPTER) == 0)
                return read_adapter(objects, path, message);
        if (strcmp(interface, BLUEZ_SERVICE) == 0 || strcmp(interface, BLUEZ_CHARACTERISTIC) == 0)
                return read_attribute(objects, path, strcmp(interface, BLUEZ_SERVICE) == 0, message);
        return sd_bus_message_skip(message, "a{sv}");
}

/* At the array of {sa{sv}}. */
static int read_interfaces(struct objects *objects, const char *path, sd_bus_message *message) {
        const char *interface;
        int r = sd_bus_message_enter_container(message, 'a', "{sa{sv}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_read_basic(message, 's', &interface);
                if (r >= 0)
                        r = read_interface(objects, path, interface, message);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* An adapter's devices may stand before it, and a device's services before the device: three passes. */
static bool is_of_pass(const char *path, int pass) {
        const char *device = strstr(path, "/dev_");
        if (pass == 0)
                return !device;
        return device && (pass == 2) == (strchr(device + 1, '/') != NULL);
}

static int read_pass(struct objects *objects, sd_bus_message *reply, int pass) {
        const char *path;
        int r = sd_bus_message_rewind(reply, true);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}")) > 0) {
                r = sd_bus_message_read_basic(reply, 'o', &path);
                if (r >= 0)
                        r = is_of_pass(path, pass) ? read_interfaces(objects, path, reply) : sd_bus_message_skip(reply, "a{sa{sv}}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r < 0 ? r : 0;
}

int objects_read_all(struct objects *objects, sd_bus_message *reply) {
        int r = 0;
        objects->reading_all = true;
        for (int pass = 0; pass < 3 && r >= 0; pass++)
                r = read_pass(objects, reply, pass);
        objects->reading_all = false;
        return r;
}

int objects_read_added(struct objects *objects, sd_bus_message *signal) {
        const char *path;
        int r = sd_bus_message_read_basic(signal, 'o', &path);
        return r < 0 ? r : read_interfaces(objects, path, signal);
}

static void object_remove(struct objects *objects, const char *path, const char *interface) {
        struct device *device = objects_device(objects, path), *above = objects_device_above(objects, path);
        struct adapter *adapter = objects_adapter(objects, path);
        struct attribute *attribute = above ? device_attribute_find(above, path) : NULL;
        if (device && strcmp(interface, BLUEZ_DEVICE) == 0)
                objects_device_remove(objects, device);
        else if (adapter && strcmp(interface, BLUEZ_ADAPTER) == 0)
                objects_adapter_remove(objects, adapter);
        else if (attribute && (strcmp(interface, BLUEZ_SERVICE) == 0 || strcmp(interface, BLUEZ_CHARACTERISTIC) == 0))
                objects_attribute_remove(objects, above, attribute);
}

int objects_read_removed(struct objects *objects, sd_bus_message *signal) {
        const char *path, *interface;
        int r = sd_bus_message_read_basic(signal, 'o', &path);
        if (r >= 0)
                r = sd_bus_message_enter_container(signal, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(signal, 's', &interface)) > 0)
                object_remove(objects, path, interface);
        return r < 0 ? r : 0;
}

/* Of an object that is not known, a changed property alone says too little to make one. */
int objects_read_changed(struct objects *objects, sd_bus_message *signal) {
        const char *path = sd_bus_message_get_path(signal), *interface;
        int r = sd_bus_message_read_basic(signal, 's', &interface);
        if (r < 0)
                return r;
        if (!objects_device(objects, path) && !objects_adapter(objects, path))
                return 0;
        return read_interface(objects, path, interface, signal);
}
