/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The one header a plugin may include.
 *
 * A plugin is a shared object that exports a single constant, `gw_plugin`. When it is loaded it registers drivers (code for one
 * kind of device) and formats (readers of artifact files) and from then on is called by the host and calls the host back, always
 * on the one loop thread unless a function says otherwise. Nothing called on the loop thread may block longer than a few
 * milliseconds.
 *
 * Ownership: every pointer that is handed to a callback is valid only during that call, unless the text says otherwise. What a
 * plugin opens it closes. After `unload` returns no callback into the plugin comes any more.
 *
 * Errors: 0 or a negative errno. Where a person must be told, the last parameter is `struct gw_error *` (NULL allowed): a stable
 * kebab-case name and a text. Output parameters are untouched on failure.
 *
 * Units: every number carries its unit in its name. Times of `now_ms` are monotonic.
 *
 * Growth: structs that the host hands out start with `size`; new members are only ever appended within one ABI number, so a
 * plugin built against an older header runs on a newer host. A sub-table pointer of `struct gw_host` that a host does not offer
 * is NULL.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GW_ABI 1u

#define GW_KEY_MAX 64           /* key of a device, without the driver: [A-Za-z0-9_.-]{1,64} */
#define GW_ID_MAX 128           /* `<driver>:<key>` */
#define GW_BLOB_MAX 4096        /* bytes of a job's blob */
#define GW_IMAGES_MAX 16        /* images a device or an artifact may have, slots counted one by one */
#define GW_PARTS_MAX 16         /* parts of an artifact */
#define GW_TARGETS_MAX 4096     /* targets of one job */
#define GW_HASH_MAX 64          /* bytes of an image hash: 32, 48 or 64 */
#define GW_VERSION_MAX 48       /* text of a version with its NUL */
#define GW_MODEL_MAX 64         /* text of a model with its NUL */
#define GW_DRIVERS_MAX 32       /* drivers in one daemon */
#define GW_STEPS_MAX 24         /* steps of one operation */

struct gw_host;

#define GW_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))

/* ------------------------------------------------------------------------------------------------ errors */

/* A named failure. `name` is a name of the catalogue (docs/ERRORS.md) or of the plugin's own table; empty = no error. */
struct gw_error {
        char name[48];
        char text[464];
};

/* Sets name and text. A NULL `err` is fine. */
GW_PRINTF(3, 0) static inline void gw_error_vset(struct gw_error *err, const char *name, const char *format, va_list arguments) {
        if (!err)
                return;
        snprintf(err->name, sizeof err->name, "%s", name);
        vsnprintf(err->text, sizeof err->text, format, arguments);
}

GW_PRINTF(3, 4) static inline void gw_error_set(struct gw_error *err, const char *name, const char *format, ...) {
        va_list arguments;
        va_start(arguments, format);
        gw_error_vset(err, name, format, arguments);
        va_end(arguments);
}

/* Puts words in front of the text on the way up: "<words>: <text>". Keeps the name. */
GW_PRINTF(2, 3) static inline void gw_error_prefix(struct gw_error *err, const char *format, ...) {
        char words[160], old[sizeof err->text];
        va_list arguments;
        size_t used, kept;
        if (!err)
                return;
        va_start(arguments, format);
        vsnprintf(words, sizeof words, format, arguments);
        va_end(arguments);
        memcpy(old, err->text, sizeof old);
        snprintf(err->text, sizeof err->text, "%s: ", words);
        used = strlen(err->text);
        kept = strnlen(old, sizeof err->text - 1 - used);
        memcpy(err->text + used, old, kept);
        err->text[used + kept] = '\0';
}

static inline bool gw_error_is_set(const struct gw_error *err) {
        return err && err->name[0];
}

/* What the host does with a failure of this name when a step ends with `again` or `fail`. */
enum gw_error_class {
        GW_ERROR_RETRY,    /* worth another attempt with back-off */
        GW_ERROR_TERMINAL, /* will fail the same way again */
        GW_ERROR_WAIT,     /* not a failure: a condition that passes by itself or by a person */
};

/* One line of a plugin's own error table; the same four things that every name of the catalogue has. */
struct gw_error_info {
        const char *name;
        enum gw_error_class class_;
        const char *meaning;
        const char *advice;
};

/* ------------------------------------------------------------------------------------------------ settings */

enum gw_setting_type {
        GW_SETTING_STRING,
        GW_SETTING_PATH,     /* absolute */
        GW_SETTING_BOOL,     /* yes/no, true/false, on/off, 1/0 */
        GW_SETTING_INTEGER,  /* minimum..maximum */
        GW_SETTING_DURATION, /* "90 s", "5 min", plain number = ms; minimum..maximum in ms */
        GW_SETTING_SIZE,     /* "16M", plain number = bytes; minimum..maximum in bytes */
        GW_SETTING_ENUM,     /* one of `choices`, separated by '|' */
        GW_SETTING_LIST,     /* words separated by blanks or commas */
};

/* One key that a plugin understands in `[plugin NAME]`, or a driver in `[device NAME]`. Tables end with `key == NULL`. */
struct gw_setting {
        const char *key;
        enum gw_setting_type type;
        int64_t minimum, maximum; /* both 0: not bounded */
        const char *choices;      /* GW_SETTING_ENUM only */
        const char *value;        /* default in the file's notation, NULL = none */
        const char *text;         /* one sentence for the manual */
};

/* Read access to checked settings. `get` gives the text (the default where the file says nothing, NULL where there is none);
 * `get_number` a bool as 0/1, a duration in ms, a size in bytes. Asking for a key that is not in the table is a bug (asserted). */
struct gw_settings;
struct gw_settings_ops {
        size_t size;
        const char *(*get)(const struct gw_settings *settings, const char *key);
        int64_t (*get_number)(const struct gw_settings *settings, const char *key);
};

/* ------------------------------------------------------------------------------------------------ links */

/*
 * A datagram or byte channel to a device. The host makes links (UDP, serial port); a plugin may make its own on top of one
 * (framing), and tests make scripted ones. All are used alike.
 *
 * Life: opening -> open -> closed. The maker returns at once; then exactly one of `opened` and `closed` comes, later. `closed`
 * may also come at any time after `opened`, with the reason, and is then the last callback. The owner ends a link at any time with
 * ops->close(), also after `closed` came; from that moment the pointer is invalid and no callback comes.
 */
struct gw_link;

struct gw_link_handler {
        void (*opened)(void *ctx);
        /* A datagram link: one whole datagram. A byte link: the next bytes, in pieces of any size. */
        void (*received)(void *ctx, const uint8_t *data, size_t size);
        /* Only after send() returned -EAGAIN: there is room again. */
        void (*writable)(void *ctx);
        void (*closed)(void *ctx, const struct gw_error *why);
};

struct gw_link_ops {
        /* Sends one datagram (or bytes, all or nothing). Copies. 0; -EAGAIN when the queue is full (nothing was taken, `writable`
         * follows); -EMSGSIZE above max_datagram; -ENOTCONN before `opened` and after `closed`. Never calls back from inside. */
        int (*send)(struct gw_link *link, const void *data, size_t size);
        /* Largest datagram in bytes; valid from `opened` on. Byte links: SIZE_MAX. */
        size_t (*max_datagram)(struct gw_link *link);
        /* Bytes taken by send() that have not left yet, as far as can be known. */
        size_t (*queued_bytes)(struct gw_link *link);
        void (*close)(struct gw_link *link);
};

struct gw_link {
        const struct gw_link_ops *ops;
        const struct gw_link_handler *handler;
        void *handler_ctx;
};

struct gw_udp_options {
        size_t size;
        const char *address;    /* "192.0.2.7:1337", "[2001:db8::7]:1337", "name.example:1337" */
        size_t max_datagram;    /* 0 = 1472 */
        size_t receive_buffer;  /* SO_RCVBUF in bytes, 0 = the system's */
};

struct gw_serial_options {
        size_t size;
        const char *path;       /* of the tty */
        uint32_t baud;          /* 1200..4000000 */
        bool hardware_flow;     /* RTS/CTS */
        size_t queue_max;       /* bytes that send() may queue, 0 = 8192 */
};

/* A serial port that exists now. `key` is what makes a device id of it: USB serial number and interface ("000683-if02"), stable
 * over renumbering; empty for ports without one. */
struct gw_serial_port {
        const char *path;
        const char *key;
        const char *usb_serial;
        const char *manufacturer;
        const char *product;
        uint16_t usb_vendor_id, usb_product_id;
        int usb_interface;      /* -1 unknown */
};

struct gw_link_api {
        size_t size;
        int (*udp_open)(const struct gw_host *host, const struct gw_udp_options *options, const struct gw_link_handler *handler, void *ctx,
                        struct gw_link **ret_link);
        /* Exclusive (TIOCEXCL and a lock). Errors come by `closed`: port-absent, port-busy, port-permission, port-not-a-tty. */
        int (*serial_open)(const struct gw_host *host, const struct gw_serial_options *options, const struct gw_link_handler *handler, void *ctx,
                           struct gw_link **ret_link);
        /* Calls `found` for every port that matches the globs of `[serial] ports`, from inside. */
        void (*serial_list)(const struct gw_host *host, void (*found)(void *ctx, const struct gw_serial_port *port), void *ctx);
        /* One watcher a plugin: `changed` comes when a port appeared or vanished. NULL ends it. */
        int (*serial_watch)(const struct gw_host *host, void (*changed)(void *ctx), void *ctx);
};

/* ------------------------------------------------------------------------------------------------ devices */

enum gw_image_flag {
        GW_IMAGE_ACTIVE = 1 << 0,    /* running */
        GW_IMAGE_CONFIRMED = 1 << 1,
        GW_IMAGE_PENDING = 1 << 2,   /* boots next */
        GW_IMAGE_PERMANENT = 1 << 3, /* pending and not to be reverted */
        GW_IMAGE_BOOTABLE = 1 << 4,
};

/* What lies in one slot of one image. */
struct gw_image {
        uint8_t image;                  /* image number */
        uint8_t slot;                   /* 0 or 1 within that image */
        uint8_t hash_size;              /* bytes in `hash`, 0 = not told */
        uint8_t hash[GW_HASH_MAX];
        uint32_t flags;                 /* enum gw_image_flag */
        uint32_t slot_size;             /* bytes, 0 = not known */
        char version[GW_VERSION_MAX];
};

/* A name of its own has `address_type`: "private" says that the key is of this moment only, and such a device is never adopted. */
struct gw_attribute {
        const char *name;
        const char *value;
};

#define GW_RSSI_UNKNOWN (-1000)
#define GW_BATTERY_UNKNOWN (-1)

/* What a driver learned of a device. Merged into the registry: NULL, empty or unknown members leave the old value. */
struct gw_facts {
        size_t size;
        const char *name;       /* what a person calls it */
        const char *address;    /* where it is now: port, address */
        const char *model;      /* "acme,sensor-r2" as the device itself states it */
        const char *version;    /* of the running application */
        int rssi_dbm;           /* GW_RSSI_UNKNOWN */
        int battery_percent;    /* 0..100, GW_BATTERY_UNKNOWN */
        const struct gw_image *images;
        size_t n_images;        /* 0 with images != NULL: the device holds none */
        const struct gw_attribute *attributes;
        size_t n_attributes;
};

#define GW_FACTS_INIT { .size = sizeof(struct gw_facts), .rssi_dbm = GW_RSSI_UNKNOWN, .battery_percent = GW_BATTERY_UNKNOWN }

/* A device of the registry. Valid during the call that handed it out, or as long as the run it belongs to. */
struct gw_device;

struct gw_device_api {
        size_t size;
        /* The device was heard or answered now. Makes it `discovered` where it was not known. `key` without the driver's name. */
        int (*seen)(const struct gw_host *host, const char *driver, const char *key, const struct gw_facts *facts);
        /* It was there and went (port unplugged). Not called for devices that merely are silent. */
        void (*gone)(const struct gw_host *host, const char *driver, const char *key);
        const char *(*key)(const struct gw_device *device);
        const char *(*address)(const struct gw_device *device); /* as configured or last seen; NULL if neither */
        const char *(*model)(const struct gw_device *device);   /* effective model; NULL unknown */
        /* An attribute by name: as its `[device NAME]` section says, else of its facts, else the default of the driver's table. NULL. */
        const char *(*attribute)(const struct gw_device *device, const char *name);
        int64_t (*attribute_number)(const struct gw_device *device, const char *name); /* keys of the driver's table only */
        const struct gw_image *(*images)(const struct gw_device *device, size_t *ret_n); /* last known */
        /* Every device of this driver that is adopted or configured. */
        void (*each)(const struct gw_host *host, const char *driver, void (*found)(void *ctx, const struct gw_device *device), void *ctx);
};

/* ------------------------------------------------------------------------------------------------ artifacts and formats */

/* One image inside an artifact: a range of a file that stays open as long as the artifact is in use. */
struct gw_part {
        uint8_t image;                  /* image number of the device */
        int8_t slot;                    /* slot it was linked for (direct-XIP); -1 any */
        bool encrypted;
        uint8_t hash_size;
        uint8_t hash[GW_HASH_MAX];      /* image hash as the device will state it */
        uint8_t sha256[32];             /* of the bytes of this part */
        int fd;                         /* owned by the artifact */
        uint64_t offset;                /* first byte in fd */
        uint64_t size;                  /* bytes */
        uint32_t load_address;          /* ROM_FIXED / RAM_LOAD address, 0 none */
        char version[GW_VERSION_MAX];
        char name[64];                  /* file name inside a zip, empty else; for people only */
};

/* A reader's view of a whole file. All functions may be called from a worker thread. */
struct gw_package {
        char format[32];
        char version[GW_VERSION_MAX];
        char compatible[8][GW_MODEL_MAX];
        size_t n_compatible;
        struct gw_part parts[GW_PARTS_MAX];
        size_t n_parts;
        char warnings[8][200];          /* e.g. signed with a published sample key */
        size_t n_warnings;
        /* What `package inspect` shows beside the above: "signature" = "ed25519, key acme-2026 (verified)". */
        struct { char name[32]; char value[160]; } facts[32];
        size_t n_facts;
        struct { uint8_t image; uint8_t of_image; char minimum[GW_VERSION_MAX]; } dependencies[8];
        size_t n_dependencies;
};

struct gw_public_key {
        const char *name;               /* file name, for people */
        const char *pem;                /* NUL-terminated */
        size_t pem_size;                /* bytes without the NUL */
};

struct gw_format_options {
        size_t size;
        const struct gw_public_key *public_keys;
        size_t n_public_keys;
        bool require_signature;         /* an unsigned image or one by an unknown key is refused */
        /* Gives a new, empty, already unlinked file for parts that must be unpacked; >= 0 or negative errno. */
        int (*scratch_open)(void *ctx);
        void *scratch_ctx;
        uint64_t unpacked_max;          /* bytes over all parts of a package */
};

/* A registered reader. Both functions are pure but for reading `fd`, may block, and run on a worker thread. */
struct gw_format {
        const char *name;               /* "mcuboot" */
        const char *summary;
        /* Does the file look like this format? `head` is up to 4096 first bytes. */
        bool (*matches)(const uint8_t *head, size_t head_size, int fd, uint64_t file_size);
        /* Reads and checks all of it. On success parts refer to `fd` or to scratch files (then closed by `release`). */
        int (*read)(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package, struct gw_error *err);
        void (*release)(struct gw_package *package, int fd);
};

/* ------------------------------------------------------------------------------------------------ runs: jobs and their steps */

enum gw_mode {
        GW_MODE_TEST_AND_CONFIRM,
        GW_MODE_CONFIRM_ONLY,
        GW_MODE_TEST_ONLY,
        GW_MODE_UPLOAD_ONLY,
};

enum gw_result {
        GW_RESULT_UPDATED,
        GW_RESULT_ALREADY,
        GW_RESULT_ON_TRIAL,
        GW_RESULT_UPLOADED,
        GW_RESULT_SENT_UNPROVEN,
        GW_RESULT_REPORTED,             /* an inspection or a report: nothing was to be changed */
};

enum gw_proof {
        GW_PROOF_HASH_ACTIVE_CONFIRMED,
        GW_PROOF_HASH_ACTIVE,
        GW_PROOF_HASH_STORED,
        GW_PROOF_VERSION_READ,
        GW_PROOF_BEACON,
        GW_PROOF_NONE,
};

/* What an update job wants of its device. Constant for the life of a job. */
struct gw_order {
        size_t size;
        enum gw_mode mode;
        int64_t trial_ms;
        uint32_t trial_checks;
        bool allow_downgrade;
        /* The images to reach. In a rollback `part` may be NULL: the hash must already lie on the device. */
        struct gw_wanted {
                uint8_t image;
                uint8_t hash_size;
                uint8_t hash[GW_HASH_MAX];
                const struct gw_part *part;
                char version[GW_VERSION_MAX];
        } wanted[GW_PARTS_MAX];
        size_t n_wanted;
        bool rollback;
};

/* One activity on one device: a job, an inspection, a diagnosis. */
struct gw_run;

/*
 * A step. `enter` is called on the loop thread with the context of `run_new`. It starts the work and returns 0, or returns < 0 with
 * `err` set (same as ending with `fail`). From then on the run ends the step exactly once through struct gw_run_api; ending from
 * inside enter is fine. A step must be re-enterable: it looks at the device before it acts, since after a crash of the daemon it is
 * entered again.
 */
enum gw_step_flag {
        /* Makes the run ready (connect, look) and changes nothing on the device. Not journaled. Runs first, in table order, whenever
         * a run begins or begins again; the host then goes on at the journaled step unless the last of them jumped elsewhere. */
        GW_STEP_PREPARE = 1 << 0,
        /* A job that was asked to stop (pause, window end, SIGTERM) may stop before entering this step. */
        GW_STEP_RESUMABLE = 1 << 1,
};

struct gw_step {
        const char *name;
        int (*enter)(void *run_ctx, struct gw_error *err);
        uint32_t timeout_ms;            /* 0 = none but the job's deadline; `extend` moves it */
        uint32_t flags;
};

enum gw_operation_kind {
        GW_OPERATION_UPDATE,
        GW_OPERATION_INSPECT,           /* read what the device runs; changes nothing */
        GW_OPERATION_DIAGNOSE,          /* as inspect, with a note for each finding */
        GW_OPERATION_COUNT_,
};

struct gw_operation {
        const struct gw_step *steps;
        size_t n_steps;                 /* 0 = the driver does not offer it */
};

/* Why a run is asked to stop. */
enum gw_stop_reason {
        GW_STOP_CANCEL,                 /* a device on trial is to be reset once, so that it reverts */
        GW_STOP_PAUSE,
        GW_STOP_SHUTDOWN,               /* at most 5 s */
        GW_STOP_TIMEOUT,                /* the step's timeout */
};

/* When a waiting run is entered again, whichever comes first. */
enum gw_wake {
        GW_WAKE_TIMER = 1 << 0,
        GW_WAKE_SEEN = 1 << 1,          /* the device is heard (struct gw_device_api.seen) */
};

enum gw_target_state {
        GW_TARGET_QUEUED,
        GW_TARGET_IN_PROGRESS,
        GW_TARGET_SUCCEEDED,
        GW_TARGET_FAILED,
};

/* One part of a job that has a result of its own: a mesh node, an image. */
struct gw_target {
        size_t size;
        const char *key;                /* [A-Za-z0-9_.-]{1,64}, unique in the job */
        enum gw_target_state state;
        enum gw_result result;          /* when succeeded */
        enum gw_proof proof;
        const struct gw_error *error;   /* when failed */
        int percent;                    /* -1 unknown */
};

struct gw_run_api {
        size_t size;
        enum gw_operation_kind (*operation)(const struct gw_run *run);
        const struct gw_device *(*device)(const struct gw_run *run);
        const struct gw_order *(*order)(const struct gw_run *run); /* NULL unless GW_OPERATION_UPDATE */
        /* Name of the step that was journaled last before a crash, a stop or an `again`; NULL in a run that never entered one. */
        const char *(*resume_step)(const struct gw_run *run);
        uint32_t (*attempt)(const struct gw_run *run); /* 1.. */

        /* The driver's own notes that survive a crash. `blob_set` copies; it becomes durable together with the next journaled step,
         * or by `checkpoint`, which the host carries out at most once a minute. */
        const void *(*blob)(const struct gw_run *run, size_t *ret_size);
        int (*blob_set)(struct gw_run *run, const void *data, size_t size);
        void (*checkpoint)(struct gw_run *run);

        /* The point of no return is about to be passed: made durable, then `done` is called (from the loop, later). From now on the
         * job ends succeeded or failed, never canceled. Calling it again answers at once. */
        int (*committed)(struct gw_run *run, void (*done)(void *run_ctx));
        bool (*is_committed)(const struct gw_run *run);

        /* What a person sees. Never stored. */
        void (*progress)(struct gw_run *run, uint64_t done, uint64_t total);
        /* A finding that belongs into the job's report (a refused request with its codes) or a diagnosis. Bounded. */
        void (*note)(struct gw_run *run, const char *format, ...) GW_PRINTF(2, 3);
        void (*target)(struct gw_run *run, const struct gw_target *target);
        /* Facts learned from this run's device. */
        void (*learned)(struct gw_run *run, const struct gw_facts *facts);
        /* The running step may take that long from now. */
        void (*extend)(struct gw_run *run, uint32_t timeout_ms);

        /* The ends of a step: exactly one of them, exactly once. */
        void (*next)(struct gw_run *run);
        void (*jump)(struct gw_run *run, const char *step);
        void (*done)(struct gw_run *run, enum gw_result result, enum gw_proof proof);
        /* Not now: `reason` is a name of class WAIT. Uses no attempt; the run begins again with its preparing steps. */
        void (*wait)(struct gw_run *run, const char *reason, uint32_t wakes, int64_t delay_ms);
        /* This attempt failed in a way that passes: back-off by the host, then the run begins again. Uses one attempt; when none is
         * left the job fails with `err`. */
        void (*again)(struct gw_run *run, const struct gw_error *err);
        void (*fail)(struct gw_run *run, const struct gw_error *err);
        /* The answer to `run_stop`: stopped at a point from which a later run can go on. */
        void (*stopped)(struct gw_run *run);
};

/* ------------------------------------------------------------------------------------------------ drivers */

struct gw_plan_request {
        size_t size;
        const struct gw_device *device;
        const struct gw_order *order;
};

/* What would be done to one device. Made without touching it. */
struct gw_plan {
        size_t size;
        enum gw_mode mode;              /* the mode that would really be used */
        enum { GW_PLAN_NOTHING, GW_PLAN_ACTIVATE, GW_PLAN_UPLOAD } work; /* runs it already; lies in the other slot; upload */
        uint64_t upload_bytes;
        int64_t duration_ms;            /* estimate, 0 = unknown */
        bool rollback_possible;
        char text[240];                 /* what a person must know: "no rollback on this device: overwrite-only bootloader" */
};

/*
 * One kind of device. All functions run on the loop thread.
 */
struct gw_driver {
        const char *name;               /* [a-z0-9-]{1,32}, the first half of the device id */
        const char *summary;            /* one line for people */
        const struct gw_setting *device_settings; /* keys of `[device NAME]` beside driver, address, model, labels; NULL = none */
        struct gw_operation operations[GW_OPERATION_COUNT_];
        bool auto_adopt;                /* what is discovered is adopted unless the configuration says otherwise (serial ports) */

        /* Begins to listen for devices. Called once after the settings are checked. On failure the driver is left out and reported. */
        int (*start)(const struct gw_host *host, void **ret_driver, struct gw_error *err);
        /* No run exists any more. Frees everything. */
        void (*stop)(void *driver);
        /* Looks actively for devices; reports each by device->seen and calls `done` once, later. `duration_ms` 100..60000. May be
         * NULL: only configured devices exist. A second scan while one runs shares it. */
        int (*scan)(void *driver, int64_t duration_ms, void (*done)(void *ctx), void *ctx, struct gw_error *err);
        /* Pure: from what is known of the device, what would the order mean? May refuse (incompatible, too large). May be NULL. */
        int (*plan)(void *driver, const struct gw_plan_request *request, struct gw_plan *ret_plan, struct gw_error *err);
        /* A context for one run; lives until run_free. Nothing is done yet. */
        int (*run_new)(void *driver, struct gw_run *run, void **ret_run_ctx, struct gw_error *err);
        /* End the running step soon, at a point from which it can be resumed; called once a step, never before enter, and
         * again only with a graver reason (pause, cancel, timeout, shutdown). A step that ends otherwise is followed by the next one, which
         * is told again unless it is RESUMABLE: then it is not entered. The step ends with `stopped`, or with any other end if that comes first. Behind the point of no return only
         * GW_STOP_SHUTDOWN and GW_STOP_TIMEOUT come; those two must be answered within 4 s. After a cancel a device on trial may take
         * the time that its reset needs. */
        void (*run_stop)(void *run_ctx, enum gw_stop_reason reason);
        /* The run is over (or pauses: waiting, retry): closes links, cancels timers, frees. No step is running, but for one that did
         * not end within 4 s after run_stop: it is given up here. */
        void (*run_free)(void *run_ctx);
        /* Names of the formats whose files it takes, ends with NULL; NULL = any. Others are refused before a run: format-not-for-driver. */
        const char *const *formats;
};

/* ------------------------------------------------------------------------------------------------ the host */

enum gw_log_level { GW_LOG_ERROR, GW_LOG_WARNING, GW_LOG_INFO, GW_LOG_DEBUG };

struct gw_log_api {
        size_t size;
        /* `run` may be NULL; with it the campaign, device and step are attached. */
        void (*write)(const struct gw_host *host, const struct gw_run *run, enum gw_log_level level, const char *format, ...) GW_PRINTF(4, 5);
};

struct gw_timer;
struct gw_timer_api {
        size_t size;
        int64_t (*now_ms)(const struct gw_host *host);
        /* One shot. `fired` comes once, later; the handle is invalid from then on, or from cancel(). */
        int (*start)(const struct gw_host *host, int64_t delay_ms, void (*fired)(void *ctx), void *ctx, struct gw_timer **ret_timer);
        void (*cancel)(struct gw_timer *timer); /* NULL is fine */
};

struct gw_work;
struct gw_worker_api {
        size_t size;
        /* `work` on a pool thread, then `done` on the loop. cancel(): if it has not begun it never will; `done` comes with -ECANCELED
         * either way. */
        int (*start)(const struct gw_host *host, void (*work)(void *ctx), void (*done)(void *ctx, int result), void *ctx, struct gw_work **ret_work);
        void (*cancel)(struct gw_work *work);
};

/* A child process in a process group of its own, without any inherited descriptor but the three standard ones. */
struct gw_process;
struct gw_process_options {
        size_t size;
        const char *const *argv;        /* argv[0] absolute, NULL at the end */
        const char *const *environment; /* whole, NULL at the end */
        const char *directory;
        const void *input;              /* written to its standard input, then closed */
        size_t input_size;
        uint64_t memory_max;            /* bytes of address space, 0 = not limited */
        uint32_t cpu_s_max;             /* 0 = not limited */
        uint32_t files_max;             /* open files, 0 = 64 */
        uint32_t file_size_max;         /* bytes a file it writes may have, 0 = not limited */
        size_t output_max;              /* bytes of standard output after which it is killed */
        int keep_fd;                    /* a descriptor it gets as fd 3, or -1 */
};
struct gw_process_handler {
        void (*output)(void *ctx, const uint8_t *data, size_t size);       /* standard output */
        void (*diagnostics)(void *ctx, const uint8_t *data, size_t size);  /* standard error */
        /* Last callback: all output was delivered. `status` exit code or -1, `term_signal` 0 or the signal, `overflow` output_max met. */
        void (*exited)(void *ctx, int status, int term_signal, bool overflow);
};
struct gw_process_api {
        size_t size;
        int (*start)(const struct gw_host *host, const struct gw_process_options *options, const struct gw_process_handler *handler, void *ctx,
                     struct gw_process **ret_process, struct gw_error *err);
        /* SIGTERM to the group, SIGKILL after `grace_ms`. `exited` still comes. */
        void (*terminate)(struct gw_process *process, int64_t grace_ms);
        /* Kills the group now; no callback comes any more. For run_free. NULL is fine. */
        void (*drop)(struct gw_process *process);
};

struct gw_register_api {
        size_t size;
        /* Only inside `load`. The constants must live until unload. A second driver of one name: -EEXIST; a second format of one
         * name is ignored, so several plugins may bring the same common reader. */
        int (*driver)(const struct gw_host *host, const struct gw_driver *driver, struct gw_error *err);
        int (*format)(const struct gw_host *host, const struct gw_format *format, struct gw_error *err);
};

/* ------------------------------------------------------------------------------------------------ Bluetooth LE */

/*
 * Devices with Bluetooth Low Energy, through the system's Bluetooth service. A device is known by its key: the identity address as
 * twelve hexadecimal digits in upper case without colons ("DE063B974CD8"). UUIDs are text of 36 characters in lower case.
 *
 * Everything here begins at once and ends later, by a callback from the loop. What a function hands out (a watch, a wait, a device, a
 * task) is ended by its cancel or close function at any moment, also from inside its own callbacks; from then on the pointer is
 * invalid and no callback comes. The last callback of a wait or a task invalidates it by itself.
 *
 * Where the machine has no usable Bluetooth all of this may be called nevertheless: what is open ends, and what is begun ends when
 * its time is over, with the name of the state: no-adapter, adapter-off, adapter-blocked, bluetoothd-not-running, dbus-refused. All of
 * them are of class WAIT and pass by themselves when the adapter is back.
 */

#define GW_GATT_KEY_SIZE 13     /* text of a key with its NUL */
#define GW_GATT_UUID_SIZE 37    /* text of a UUID with its NUL */
#define GW_GATT_ATTRIBUTE_MAX 512 /* bytes of a value, and of a datagram */

enum gw_gatt_address_kind {
        GW_GATT_ADDRESS_PUBLIC,
        GW_GATT_ADDRESS_STATIC,  /* random, stable until the device is erased or changes its mode */
        GW_GATT_ADDRESS_PRIVATE, /* changes by itself and nobody can resolve it: the key is of this moment only. Never to be adopted: private-address */
};

struct gw_gatt_manufacturer {
        uint16_t company;
        const uint8_t *data;
        size_t size;
};

/* What is known of a device by its advertisements and by the Bluetooth service. */
struct gw_gatt_peer {
        size_t size;
        const char *key;
        const char *address;            /* "DE:06:3B:97:4C:D8" */
        enum gw_gatt_address_kind address_kind;
        const char *adapter;            /* that hears it best: "hci0" */
        const char *name;               /* NULL: tells none */
        int rssi_dbm;                   /* GW_RSSI_UNKNOWN */
        int battery_percent;            /* GW_BATTERY_UNKNOWN; only devices with a battery service, after a connection */
        bool bonded;
        bool connected;                 /* by whomever */
        int64_t heard_ms;               /* now_ms of its last advertisement; 0: not since the daemon started */
        const char *const *services;    /* UUIDs that it advertises or was found to have */
        size_t n_services;
        const struct gw_gatt_manufacturer *manufacturer;
        size_t n_manufacturer;
};

/* --- hearing --- */

struct gw_gatt_watch;
struct gw_gatt_watch_options {
        size_t size;
        const char *const *services;    /* UUIDs: only devices that have one of them; NULL = all */
        size_t n_services;
        const char *const *names;       /* globs: also devices whose name matches one; NULL = none more */
        size_t n_names;
};

/* A wait for an advertisement that is sent after the wait began. */
struct gw_gatt_wait;
struct gw_gatt_wait_options {
        size_t size;
        const char *key;                /* of the device; or NULL, then `match` decides alone */
        /* Is it this one? Asked for each advertisement, with `ctx` of the wait, whose device has not `key`. May be NULL. For devices that come back under
         * another address. */
        bool (*match)(void *ctx, const struct gw_gatt_peer *peer);
        int64_t timeout_ms;             /* 1..; restarts never */
};

/* --- one device --- */

/* A device that is opened: connected, its services known. Several plugins may open several devices, one device is opened once. */
struct gw_gatt;

struct gw_gatt_open_options {
        size_t size;
        const char *key;
        /* How near its end the work on this device is, 0..100: of those that wait for the radio the highest goes first, equal ones in the
         * order of their calls. */
        uint32_t priority;
        /* From the moment that it is the device's turn until `opened`; 0 = 60 s. Waiting for a free session does not count, being not heard does. */
        int64_t timeout_ms;
        /* UUID of a service that it must have; an incomplete table is waited for. NULL = any table will do. */
        const char *service;
};

struct gw_gatt_handler {
        void (*opened)(void *ctx);
        /*
         * Last callback: could not be opened, or ended. Links of it were told before, with the same error. Names beside the states
         * above: not-seen (WAIT), device-busy (WAIT; somebody else of this daemon has it open), ble-connect-failed, ble-services-unresolved,
         * ble-disconnected, ble-device-vanished (all RETRY), gatt-service-missing, bond-lost, pairing-required (TERMINAL).
         */
        void (*closed)(void *ctx, const struct gw_error *why);
};

enum gw_gatt_property {
        GW_GATT_READ = 1 << 0,
        GW_GATT_WRITE_COMMAND = 1 << 1, /* without response */
        GW_GATT_WRITE = 1 << 2,
        GW_GATT_NOTIFY = 1 << 3,
        GW_GATT_INDICATE = 1 << 4,
        GW_GATT_ENCRYPTED = 1 << 5,     /* the service says that it wants encryption, as far as it tells */
};

struct gw_gatt_characteristic {
        size_t size;
        const char *uuid;
        const char *service;            /* UUID */
        uint32_t properties;            /* enum gw_gatt_property */
};

enum gw_gatt_write {
        GW_GATT_SEND_NONE,              /* only listens: a subscription */
        GW_GATT_SEND_COMMAND,           /* without response: fast, back-pressure by -EAGAIN */
        GW_GATT_SEND_REQUEST,           /* with response: one at a time, -EAGAIN until the answer came */
};

struct gw_gatt_link_options {
        size_t size;
        const char *uuid;               /* of the characteristic; the first one where several have it */
        bool notify;                    /* `received` gets what it notifies or indicates */
        enum gw_gatt_write write;
};

/* --- tasks: read, write, pair, unpair, forget --- */

struct gw_gatt_task;

/* Exactly once. `why` NULL on success; `data` only after a read. */
typedef void (*gw_gatt_done)(void *ctx, const struct gw_error *why, const uint8_t *data, size_t size);

struct gw_gatt_adapter {
        size_t size;
        const char *name;               /* "hci0" */
        const char *address;
        bool used;                      /* `adapters` of [ble] allows it */
        bool powered, blocked, discovering;
        size_t n_sessions, n_waiting;   /* devices open; devices that wait for their turn */
        const char *service_version;    /* of the Bluetooth service: "5.66"; NULL not told */
};

struct gw_gatt_api {
        size_t size;

        /* 0, or -ENODEV with `err` naming why Bluetooth cannot be used now. Before the service has been asked nothing is known: 0. */
        int (*state)(const struct gw_host *host, struct gw_error *err);
        void (*adapters)(const struct gw_host *host, void (*found)(void *ctx, const struct gw_gatt_adapter *adapter), void *ctx);

        /* `seen` comes when a device is heard that was not, when its name or its services change, else at most once in 10 s for each.
         * Discovery is on as long as anybody watches, waits, or opens a device that was not heard; while devices are open those that are only
         * watched for are listened to for some seconds a minute. */
        int (*watch)(const struct gw_host *host, const struct gw_gatt_watch_options *options, void (*seen)(void *ctx, const struct gw_gatt_peer *peer), void *ctx,
                     struct gw_gatt_watch **ret_watch);
        void (*watch_end)(struct gw_gatt_watch *watch); /* NULL is fine */
        /* Calls `found` for every device that is known now, from inside. */
        void (*peers)(const struct gw_host *host, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx);
        /* Looks with all the radio can for that long, 100..60000 ms; what is heard goes to the watches. */
        int (*scan)(const struct gw_host *host, int64_t duration_ms, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
        /* `heard` comes once: with the peer, or with `why`: not-seen when the time is over, or the state of Bluetooth then. */
        int (*wait)(const struct gw_host *host, const struct gw_gatt_wait_options *options,
                    void (*heard)(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why), void *ctx, struct gw_gatt_wait **ret_wait);
        void (*wait_cancel)(struct gw_gatt_wait *wait); /* NULL is fine */

        /* Queued on its adapter: one connects at a time, `sessions` of [ble] are open at once. Connecting is repeated where the failure
         * is one of the radio's. -EINVAL: no key. */
        int (*open)(const struct gw_host *host, const struct gw_gatt_open_options *options, const struct gw_gatt_handler *handler, void *ctx, struct gw_gatt **ret_gatt);
        /* Disconnects. Its links must be closed before; pending tasks of it are canceled. NULL is fine. */
        void (*close)(struct gw_gatt *gatt);
        void (*set_priority)(struct gw_gatt *gatt, uint32_t priority);
        /* From inside; after `opened` only. */
        void (*characteristics)(struct gw_gatt *gatt, void (*found)(void *ctx, const struct gw_gatt_characteristic *characteristic), void *ctx);
        int (*peer)(struct gw_gatt *gatt, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx); /* -ENOENT: not known any more */

        /*
         * One characteristic as a datagram link. max_datagram is what one packet carries (ATT MTU - 3), known from `opened` on. Several
         * may be open at once, each characteristic once. The link ends with the device, and by itself where the characteristic goes.
         * Errors of `closed`, beside those of the device: gatt-characteristic-missing, gatt-not-permitted (the characteristic does not offer
         * this, or another program holds it), gatt-failed and link-lost (RETRY; the characteristic went while the device stayed),
         * encryption-required, pairing-required.
         */
        int (*link_open)(struct gw_gatt *gatt, const struct gw_gatt_link_options *options, const struct gw_link_handler *handler, void *ctx, struct gw_link **ret_link);
        /* At most 16 tasks of one device at once: -EBUSY. Errors as of link_open. When the device ends they end before it, with its error. */
        int (*read)(struct gw_gatt *gatt, const char *uuid, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
        int (*write)(struct gw_gatt *gatt, const char *uuid, const void *data, size_t size, enum gw_gatt_write kind, gw_gatt_done done, void *ctx,
                     struct gw_gatt_task **ret_task);

        /* Has the Bluetooth service forget the device with its cached table of services; it must be heard again. Refused with device-busy while it is open,
         * with device-bonded while a bond exists. Not known is fine. */
        int (*forget)(const struct gw_host *host, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
        /* Connects, pairs as `pairing` of [ble] allows, disconnects. Errors: pairing-not-allowed, passkey-missing, passkey-wrong, passkey-file-unsafe,
         * pairing-failed, and those of open. Already bonded is fine. */
        int (*pair)(const struct gw_host *host, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
        /* Removes the bond on this side. No bond is fine. */
        int (*unpair)(const struct gw_host *host, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
        void (*bonds)(const struct gw_host *host, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx);
        void (*task_cancel)(struct gw_gatt_task *task); /* NULL is fine */
};

/* --- the table itself --- */

/* One per plugin. Sub-tables for HTTP and secrets are appended when the parts behind them exist. */
struct gw_host {
        size_t size;
        uint32_t abi;
        const struct gw_settings *settings;     /* of `[plugin NAME]` */
        const struct gw_settings_ops *settings_ops;
        const struct gw_register_api *registry;
        const struct gw_log_api *log;
        const struct gw_timer_api *timer;
        const struct gw_worker_api *worker;
        const struct gw_process_api *process;
        const struct gw_link_api *link;
        const struct gw_device_api *device;
        const struct gw_run_api *run;
        void *internal;                         /* the daemon's */
        const struct gw_gatt_api *gatt;         /* NULL: a daemon without Bluetooth */
};

/* The one exported constant: `const struct gw_plugin gw_plugin = { … };` */
struct gw_plugin {
        uint32_t abi;                           /* GW_ABI */
        size_t size;                            /* sizeof(struct gw_plugin) */
        const char *name;                       /* [a-z0-9-]{1,32}, also the file's: <name>.so */
        const char *version;
        const char *summary;
        const struct gw_setting *settings;      /* of `[plugin NAME]`; NULL = none */
        const struct gw_error_info *errors;     /* names beside the catalogue's, ends with name == NULL; NULL = none */
        /* Registers drivers and formats. `host` lives until unload returns. */
        int (*load)(const struct gw_host *host, void **ret_plugin, struct gw_error *err);
        void (*unload)(void *plugin);
};

#ifdef GW_PLUGIN_STATIC
#define GW_PLUGIN_EXPORT(symbol) __attribute__((visibility("hidden"))) const struct gw_plugin symbol
#else
#define GW_PLUGIN_EXPORT(symbol) __attribute__((visibility("default"))) const struct gw_plugin gw_plugin
#endif

#ifdef __cplusplus
}
#endif
