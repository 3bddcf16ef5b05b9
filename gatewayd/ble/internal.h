/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the files of this floor share. */

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "ble/ble.h"
#include "ble/call.h"
#include "ble/later.h"
#include "ble/objects.h"
#include "loop/bus.h"
#include "loop/timer.h"

enum bluez_state {
        BLUEZ_NO_BUS,      /* why: ble.bluez.error */
        BLUEZ_ASKING,      /* who owns the name, which objects exist */
        BLUEZ_NOT_RUNNING,
        BLUEZ_REFUSED,     /* why: ble.bluez.error */
        BLUEZ_READY,
};

struct bluez {
        struct bus *bus;
        enum bluez_state state;
        struct gw_error error;
        sd_bus_slot *slots[8]; /* of the matches */
        size_t n_slots;
        struct call call;      /* GetNameOwner, then GetManagedObjects */
        struct timer *retry;
        struct call probe;
        struct timer *probe_timer;
        int64_t probe_until_ms;
        void (*probed)(void *ctx, const struct gw_error *why);
        void *probed_ctx;
};

struct ble {
        struct ble_options options;
        struct loop *loop;
        bool begun, freeing;
        struct bluez bluez;
        struct objects objects;
        struct later work;
        char told_state[48];   /* name of the state that was logged last */

        struct list watches, waits; /* hearing.c */
        struct list telling;        /* devices of which something is to be told */
        struct later tell;
        uint64_t n_watches_changed;
        size_t n_scans;
        bool pulse;                 /* listening although devices are open */
        struct timer *pulse_timer;

        struct timer *look_timer;   /* while sessions wait: what was heard grows old without any event */
        struct list sessions;
        uint64_t n_opened;          /* numbers them in the order of their calls */
        struct list tasks;          /* of no device that is open: scan, pair, unpair, forget */
        struct gw_gatt_task *pairing; /* the one that runs */
};

/* --- ble.c --- */
void ble_begin(struct ble *ble);          /* connects to the bus, once */
void ble_work_schedule(struct ble *ble);  /* something changed: sessions, queue and discovery look at it before the loop sleeps */
sd_bus *ble_bus(const struct ble *ble);   /* NULL while there is none */
/* A time of limits.h. */
static inline int64_t ble_time(const struct ble *ble, int64_t limit_ms) {
        return ble->options.hurry > 1 ? limit_ms / ble->options.hurry : limit_ms;
}

/* --- bluez.c --- */
int bluez_begin(struct ble *ble);
void bluez_end(struct ble *ble);

/* --- state.c --- */
bool adapter_is_usable(const struct adapter *adapter);
bool adapter_is_blocked(const struct ble *ble, const struct adapter *adapter);
/* Why this adapter cannot be used, or the whole; adapter NULL: the whole. */
void ble_state_error(const struct ble *ble, const struct adapter *adapter, struct gw_error *err);
void ble_state_note(struct ble *ble); /* logs what changed */

/* --- hearing.c --- */
struct peer_view {
        struct gw_gatt_peer peer;
        const char *services[BLE_SERVICES_MAX];
};
/* Valid as long as neither the device nor the view changes. */
const struct gw_gatt_peer *peer_view(const struct device *device, struct peer_view *ret_view);
void hearing_init(struct ble *ble);
void hearing_deinit(struct ble *ble);
void hearing_note(struct ble *ble, struct device *device, uint32_t changes);
/* Is discovery wanted whatever it costs the devices that are open? Is it wanted at all? Services that all agree on: n = 0 if they do not. */
bool hearing_is_urgent(const struct ble *ble);
bool hearing_is_wanted(const struct ble *ble);
size_t hearing_filter(const struct ble *ble, const char *ret_services[BLE_SERVICES_MAX]);
/* Heard lately, or connected: an attempt makes sense. */
bool device_is_near(const struct ble *ble, const struct device *device);

/* --- discovery.c --- */
int discovery_new(struct ble *ble, struct adapter *adapter);
void discovery_free(struct discovery *discovery);
void discovery_update(struct adapter *adapter);
void discovery_lost(struct adapter *adapter); /* switched off: nothing runs any more */
bool discovery_is_off(const struct adapter *adapter);
bool discovery_is_on(const struct adapter *adapter);

/* --- queue.c --- */
void queue_pump(struct ble *ble);
/* The device of that key on the adapter that hears it best; usable_only: of adapters that could connect to it now. NULL. */
struct device *queue_device(const struct ble *ble, const char *key, bool usable_only);
/* Does a session wait that could begin at once if its device were heard? */
bool queue_wants_hearing(const struct ble *ble);

/* --- session.c --- */
enum session_state {
        SESSION_WAIT,    /* for its turn */
        SESSION_QUIET,   /* its turn: discovery is being stopped */
        SESSION_CONNECT,
        SESSION_RESOLVE, /* connected; its services come */
        SESSION_OPEN,
        SESSION_LEAVE,   /* Disconnect is out; then `after_leave` */
        SESSION_FORGET,  /* RemoveDevice is out: its table of services is to be read anew */
        SESSION_ENDED,   /* told; the owner closes it */
};

struct gw_gatt {
        struct list node; /* of ble.sessions */
        struct ble *ble;
        char key[GW_GATT_KEY_SIZE];
        char service[GW_GATT_UUID_SIZE]; /* "" = any */
        uint32_t priority;
        uint64_t number;
        const struct gw_gatt_handler *handler;
        void *ctx;

        enum session_state state;
        enum session_state after_leave; /* WAIT or ENDED */
        struct adapter *adapter;        /* from its turn on */
        struct device *device;          /* as adapter, as long as the service knows it */
        unsigned n_lost;                /* of the device, when it connected */
        unsigned attempts;
        int64_t not_before_ms;
        bool read_anew;                 /* its table was forgotten once */
        bool has_begun, was_paired;     /* its turn came; when it did for the first time */
        bool bond_dropped;              /* with the device's object */
        bool pairs;      /* a person ordered a bond */
        bool ending;                    /* disconnected or removed, the reason may still come */
        bool after_resolved;            /* ServicesResolved came, objects may still follow */
        bool after_answer;              /* Disconnect was answered, the property may still follow */
        struct gw_error last;           /* of the last attempt, or why it ends */
        struct call call;
        struct timer *timer;            /* the time limit of opening, while it runs */
        int64_t left_ms, since_ms;
        struct timer *pause;            /* until the next attempt; a grace: of a table, of a property */

        struct list links;              /* link.c: of characteristics */
        struct list tasks;              /* access.c */
        size_t n_tasks;
        unsigned n_callbacks;           /* running; memory goes when they are back */
        bool released;                  /* closed by its owner */
};

void session_begin(struct gw_gatt *session, struct device *device); /* its turn */
void session_work(struct gw_gatt *session);
void session_device_gone(struct gw_gatt *session);
void session_adapter_gone(struct gw_gatt *session);
void session_clock(struct gw_gatt *session, bool runs);
void session_drop(struct gw_gatt *session); /* without any word to anybody */
bool session_has_turn(const struct gw_gatt *session);
/* Name and text for an error of the service; `device` may be NULL. */
void session_error(const struct device *device, const sd_bus_error *error, struct gw_error *err);

/* --- link.c --- */
void links_end(struct gw_gatt *session, const struct gw_error *why); /* told, then they are no more of this session */
void links_drop(struct gw_gatt *session);                            /* the same, untold */
void links_attribute_gone(struct gw_gatt *session, const struct attribute *attribute);
int value_write(struct call *call, sd_bus *bus, const char *path, const void *data, size_t size, enum gw_gatt_write kind,
                void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error), void *ctx);

/* --- access.c: tasks --- */
enum task_kind {
        TASK_SCAN,
        TASK_READ,
        TASK_WRITE,
        TASK_FORGET,
        TASK_UNPAIR,
        TASK_PAIR,
};

struct gw_gatt_task {
        struct list node; /* of ble.tasks, or of its session */
        struct ble *ble;
        struct gw_gatt *session; /* of a read or write, and of pairing: its own one */
        enum task_kind kind;
        char key[GW_GATT_KEY_SIZE];
        gw_gatt_done done;
        void *ctx;
        struct call call;
        struct timer *timer;     /* to begin, to try again; of a scan: to end */
        unsigned n_tries;        /* while the device is being disconnected */
        struct pairing *pairing; /* pairing.c */
        uint8_t *data;           /* what is written; the path of what is removed */
        size_t size;
        enum gw_gatt_write write;
        char uuid[GW_GATT_UUID_SIZE];
};

/* `begin` comes later, with the task. */
int task_new(struct ble *ble, enum task_kind kind, int64_t delay_ms, loop_fn begin, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task);
void task_end(struct gw_gatt_task *task, const struct gw_error *why, const uint8_t *data, size_t size);
void task_fail(struct gw_gatt_task *task, const char *name, const char *format, ...) GW_PRINTF(3, 4);
void task_drop(struct gw_gatt_task *task);
void tasks_end(struct gw_gatt *session, const struct gw_error *why);
void tasks_drop(struct gw_gatt *session);

/* --- pairing.c --- */
void pairing_next(struct ble *ble);
void pairing_drop(struct gw_gatt_task *task);
