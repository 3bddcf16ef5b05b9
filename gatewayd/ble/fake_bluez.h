/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tests only: an org.bluez on a private bus, in the test's own loop, that behaves as the test says. It answers what this floor
 * calls, sends the signals that belong to it, and can be made to do what the real one does only now and then: objects that vanish,
 * errors of each call, answers that are held back, properties before objects, sockets that are full or gone, no service at all.
 */

#include <systemd/sd-bus.h>

#include <gatewayd/plugin.h>

#include "ble/limits.h"
#include "loop/bus.h"

#define FAKE_ADAPTERS_MAX 3
#define FAKE_DEVICES_MAX 600
#define FAKE_CHARACTERISTICS_MAX 4
#define FAKE_ERRORS_MAX 8
#define FAKE_LOG_MAX 8192

#define FAKE_SERVICE "8d53dc1d-1db7-4cd3-868b-8a527460aa84"
#define FAKE_CHARACTERISTIC "da2e7828-fbce-4e01-ae9e-261174997c48"

/* What a call answers, call by call; behind the last one it succeeds again. "name" or "name:text" below org.bluez.Error or whole. */
struct fake_errors {
        const char *items[FAKE_ERRORS_MAX];
        size_t n_items, at;
};

struct fake_characteristic {
        const char *uuid;
        const char *flags; /* words with blanks between */
        uint16_t mtu;      /* of acquired sockets */
        bool no_sockets;   /* Acquire*: NotSupported */
        int notify_fd, write_fd; /* our ends; -1 */
        bool notifying;
        uint8_t value[GW_GATT_ATTRIBUTE_MAX];
        size_t value_size;
        size_t n_written;  /* WriteValue calls */
        struct fake_errors start_errors, notify_errors, write_errors, value_errors; /* of StartNotify, AcquireNotify, AcquireWrite, {Read,Write}Value */
};

enum fake_table {
        FAKE_TABLE_FIRST,   /* the objects, then ServicesResolved: as it should be */
        FAKE_TABLE_LATE,    /* ServicesResolved, and the objects only by fake_show_table() */
        FAKE_TABLE_NEVER,   /* no ServicesResolved */
        FAKE_TABLE_EMPTY,   /* ServicesResolved without the service */
};

struct fake_device {
        struct fake_bluez *fake;
        size_t adapter;
        char address[18];
        char path[BLE_PATH_MAX];
        const char *type; /* "random" */
        const char *name; /* NULL: none */
        bool advertises_service;
        bool known;       /* the object exists */
        bool connected, resolved, paired;
        int rssi;         /* 0: not told, as when it has not been heard of late */
        enum fake_table table;
        bool table_shown;
        struct fake_characteristic characteristics[FAKE_CHARACTERISTICS_MAX];
        size_t n_characteristics;
        struct fake_errors connect_errors, pair_errors;
        bool hold_connect;          /* no answer until fake_release() */
        bool hold_lost;             /* Disconnect is answered, but its signals do not come before fake_disconnect() */
        bool stale_until_removed;   /* its table is empty until RemoveDevice */
        bool asks_passkey, asks_authorization;
        uint32_t passkey;           /* that the agent gave */
};

struct fake_adapter {
        char path[32];
        bool exists, powered, discovering;
        struct fake_errors start_errors;
        bool urgent;       /* DuplicateData of the last filter */
        unsigned n_uuids;  /* in the last filter */
        bool hold_stop;    /* StopDiscovery is not answered until fake_release() */
};

struct fake_bluez {
        struct loop *loop;
        char bus_address[128];
        struct bus *bus;
        sd_bus *connection; /* NULL until it has the name */
        sd_bus_slot *filter;
        struct fake_adapter adapters[FAKE_ADAPTERS_MAX];
        struct fake_device *devices;
        size_t n_devices;
        sd_bus_message *held;
        bool deny;         /* AccessDenied to everything */
        char agent[128];   /* unique name of who registered one; "" = nobody */
        char capability[32];
        sd_bus_message *pairing; /* Pair that waits for the agent */
        struct fake_device *pairing_device;
        char log[FAKE_LOG_MAX]; /* calls in their order: "Connect StopDiscovery " */
};

/* With hci0, powered. Runs the loop until it owns the name. */
void fake_init(struct fake_bluez *fake, struct loop *loop, const char *bus_address);
void fake_deinit(struct fake_bluez *fake);
/* As a bluetoothd that is killed: its sockets and connections go; and a new one that knows the adapters only. */
void fake_stop(struct fake_bluez *fake);
void fake_start(struct fake_bluez *fake);

struct fake_device *fake_add(struct fake_bluez *fake, const char *address);
struct fake_characteristic *fake_add_characteristic(struct fake_device *device, const char *uuid, const char *flags);
void fake_fail(struct fake_errors *errors, const char *error);

/* An advertisement: makes the object, or changes its RSSI. */
void fake_advertise(struct fake_device *device);
void fake_connect(struct fake_device *device);       /* as by somebody else */
void fake_vanish(struct fake_device *device);        /* InterfacesRemoved, sockets closed */
void fake_disconnect(struct fake_device *device, const char *reason); /* by the device; "Remote", NULL = an older service that says nothing */
void fake_resolve(struct fake_device *device);
void fake_show_table(struct fake_device *device);
void fake_hide_table(struct fake_device *device);    /* the peripheral's application went; connected stays */
void fake_adapter_set(struct fake_bluez *fake, size_t adapter, bool exists, bool powered);
void fake_release(struct fake_bluez *fake, const char *error); /* answers what was held; NULL = success */
void fake_set_property(struct fake_bluez *fake, const char *path, const char *interface, const char *name, const char *type, ...);

/* Through an acquired socket, or the Value property where there is none. */
void fake_notify(struct fake_device *device, struct fake_characteristic *characteristic, const void *data, size_t size);
/* What was written into the socket; -1 with errno. */
ssize_t fake_take(struct fake_characteristic *characteristic, void *data, size_t size);
/* How often a word stands in the log. */
unsigned fake_count(const struct fake_bluez *fake, const char *call);
