/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every limit on what the air, the devices and the Bluetooth service control, and every time of this floor.
 */

#define BLE_ADAPTERS_MAX 16
#define BLE_DEVICES_MAX 4096        /* known at once; what is heard beyond is not kept */
#define BLE_DEVICE_BUCKETS 1024
#define BLE_NAME_MAX 249            /* bytes of an advertised name with its NUL */
#define BLE_SERVICES_MAX 16         /* UUIDs kept of one device */
#define BLE_MANUFACTURERS_MAX 4     /* entries kept of one device */
#define BLE_MANUFACTURER_BYTES 256  /* of all of them together */
#define BLE_ATTRIBUTES_MAX 512      /* services and characteristics of one connected device */
#define BLE_PATH_MAX 160            /* of an object, with its NUL */
#define BLE_TASKS_MAX 16            /* reads and writes of one device at once */
#define BLE_LINK_WRITES_MAX 4       /* WriteValue calls of one link at once, where it has no socket */
#define BLE_PASSKEY_FILE_MAX 65536
#define BLE_WATCH_FILTERS_MAX 16    /* services, and names, of one watch */

/* --- hearing --- */
#define BLE_TELL_INTERVAL_MS 10000  /* a device that only is heard again is told so often */
#define BLE_FRESH_MS 30000          /* heard so recently, a device can be connected to at once */
#define BLE_RESTART_MS 8000         /* discovery begins anew so often while something is waited for: controllers drop what they take for duplicates */
#define BLE_PULSE_ON_MS 6000        /* while devices are open nobody listens all the time, it costs them half of the radio */
#define BLE_PULSE_OFF_MS 54000
#define BLE_DISCOVERY_RETRY_MS 2000

/* --- calls --- */
#define BLE_OBJECTS_TIMEOUT_MS 10000
#define BLE_OBJECTS_RETRY_MS 3000
#define BLE_CALL_TIMEOUT_MS 10000
#define BLE_CONNECT_TIMEOUT_MS 35000 /* the kernel gives up after 20 to 30 s */
#define BLE_ACQUIRE_TIMEOUT_MS 30000 /* writes the subscription on the air */
#define BLE_ACCESS_TIMEOUT_MS 35000  /* an ATT transaction has 30 s */
#define BLE_PAIR_TIMEOUT_MS 70000

#define BLE_PROBE_STEP_MS 50
#define BLE_PROBE_PATIENCE_MS 3000

/* --- opening --- */
#define BLE_LOOK_MS 5000            /* while sessions wait */
#define BLE_OPEN_TIMEOUT_MS 60000
#define BLE_RESOLVE_TIMEOUT_MS 25000
#define BLE_TABLE_GRACE_MS 2000     /* from ServicesResolved until a service that is not there counts as missing */
#define BLE_LEAVE_GRACE_MS 3000     /* from the answer to Disconnect until the device counts as disconnected, whatever its property says */
#define BLE_RETRY_PAUSE_MS 300      /* doubled with each attempt */
#define BLE_RETRY_PAUSE_MAX_MS 5000
#define BLE_FORGET_TRIES_MAX 75     /* while the device is still being disconnected: its Disconnect has 10 s, its property 3 s more */
#define BLE_FORGET_RETRY_MS 200
#define BLE_LINK_TRIES_MAX 10       /* while somebody else's access is InProgress */
#define BLE_LINK_RETRY_MS 100
/* Two that tests do not hurry: what they wait for comes from other processes. */
#define BLE_REASON_GRACE_MS 200     /* a device's end may be followed by its reason: the adapter's */
#define BLE_HANG_UP_GRACE_MS 1000   /* a socket's end usually is: by the device's, which gives its links a better one */
