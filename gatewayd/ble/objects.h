/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the Bluetooth service has told: adapters, devices, and of connected devices their services and characteristics. Filled
 * from messages (properties.c), looked at by everybody of this floor, changed by nobody else. An object lives until the service
 * removes it or goes away; so nobody keeps a pointer to one but where objects_hooks takes it back.
 */

#include <systemd/sd-bus.h>

#include <gatewayd/plugin.h>

#include "base/list.h"
#include "ble/address.h"
#include "ble/limits.h"

struct gw_gatt;

enum discovery_state {
        DISCOVERY_OFF,
        DISCOVERY_STARTING,
        DISCOVERY_ON,
        DISCOVERY_STOPPING,
};

struct adapter {
        struct list node;
        char path[BLE_PATH_MAX];
        char name[32]; /* "hci0" */
        char address[BLE_ADDRESS_SIZE];
        char version[12]; /* of the Bluetooth service, "5.66"; "" not told */
        bool powered;
        bool used;     /* the configuration allows it */
        bool power_asked;
        struct gw_gatt *turn; /* the one device that is being connected to */
        size_t n_sessions;    /* devices that are connected or being connected to, `turn` included */
        struct discovery *discovery;
};

/* A service or a characteristic. */
struct attribute {
        struct list node; /* sorted by path, which holds the handle */
        char path[BLE_PATH_MAX];
        char uuid[GW_GATT_UUID_SIZE];
        bool is_service;
        uint32_t properties; /* enum gw_gatt_property */
        uint16_t mtu;        /* 0 = not told */
};

struct device {
        struct device *next; /* in its bucket */
        struct adapter *adapter;
        char path[BLE_PATH_MAX];
        char key[GW_GATT_KEY_SIZE];
        char address[BLE_ADDRESS_SIZE];
        char address_type[8];
        enum gw_gatt_address_kind address_kind;
        char *name;
        int rssi_dbm, battery_percent;
        bool connected, resolved, paired, bonded;
        unsigned n_lost;             /* how often `connected` ended */
        char reason[48];             /* of the last end, where it was told */
        char (*services)[GW_GATT_UUID_SIZE];
        size_t n_services;
        struct gw_gatt_manufacturer manufacturers[BLE_MANUFACTURERS_MAX];
        uint8_t *manufacturer_bytes; /* BLE_MANUFACTURER_BYTES, NULL until one is told */
        size_t n_manufacturers;
        struct list attributes;
        size_t n_attributes;
        struct gw_gatt *session;     /* that has it */
        /* hearing.c */
        int64_t heard_ms, told_ms;
        struct list telling;
        bool said;                   /* something new about itself that was not told yet */
};

enum device_change {
        DEVICE_HEARD = 1 << 0, /* an advertisement */
        DEVICE_SAID = 1 << 1,  /* its name or its services changed */
        DEVICE_STATE = 1 << 2, /* connected, resolved, paired, bonded, its services on the bus */
        DEVICE_ADVERTISED = 1 << 3, /* as HEARD, unless in a list of all objects: the service keeps what was advertised once */
};

struct objects_hooks {
        void (*adapter_changed)(void *ctx, struct adapter *adapter);
        void (*adapter_gone)(void *ctx, struct adapter *adapter); /* its devices went before it */
        void (*device_changed)(void *ctx, struct device *device, uint32_t changes);
        void (*device_gone)(void *ctx, struct device *device);
        void (*attribute_gone)(void *ctx, struct device *device, const struct attribute *attribute);
};

struct objects {
        const struct objects_hooks *hooks;
        void *ctx;
        struct list adapters;
        size_t n_adapters;
        struct device **buckets; /* BLE_DEVICE_BUCKETS, NULL until the first device */
        size_t n_devices;
        uint64_t n_dropped; /* devices beyond BLE_DEVICES_MAX */
        bool reading_all;   /* a list of all objects is being read */
};

void objects_init(struct objects *objects, const struct objects_hooks *hooks, void *ctx);
/* Everything goes, each with its hook. */
void objects_clear(struct objects *objects);

struct adapter *objects_adapter(const struct objects *objects, const char *path);
struct device *objects_device(const struct objects *objects, const char *path);
/* The device behind the path of one of its services or characteristics. */
struct device *objects_device_above(const struct objects *objects, const char *path);
/* Calls back for each; it may remove the one it is called for. */
void objects_each_device(const struct objects *objects, void (*found)(void *ctx, struct device *device), void *ctx);
struct attribute *device_attribute_find(const struct device *device, const char *path);
/* The first characteristic of that UUID; the first service. NULL. */
struct attribute *device_characteristic(const struct device *device, const char *uuid);
struct attribute *device_service(const struct device *device, const char *uuid);
/* The service that a characteristic belongs to. NULL. */
struct attribute *device_service_of(const struct device *device, const struct attribute *characteristic);

/* For properties.c and for whoever removed an object by a call of their own. */
int objects_adapter_add(struct objects *objects, const char *path, struct adapter **ret_adapter);
int objects_device_add(struct objects *objects, const char *path, struct device **ret_device);
int objects_attribute_add(struct device *device, const char *path, bool is_service, struct attribute **ret_attribute);
void objects_adapter_remove(struct objects *objects, struct adapter *adapter);
void objects_device_remove(struct objects *objects, struct device *device);
void objects_attribute_remove(struct objects *objects, struct device *device, struct attribute *attribute);

/* --- properties.c: messages into objects --- */

/* The answer of GetManagedObjects. */
int objects_read_all(struct objects *objects, sd_bus_message *reply);
int objects_read_added(struct objects *objects, sd_bus_message *signal);
int objects_read_removed(struct objects *objects, sd_bus_message *signal);
int objects_read_changed(struct objects *objects, sd_bus_message *signal);
