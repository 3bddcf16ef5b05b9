/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One device that somebody opens.
 *
 *      WAIT --its turn--> QUIET --discovery is off--> CONNECT --> RESOLVE --> OPEN
 *        ^                  |                            |           |         |
 *        |                  | nothing to connect with    | failed    |         | lost, or closed
 *        +---- pause -------+-------- LEAVE <------------+-----------+         v
 *                                       |   FORGET: its table, once          LEAVE --> ENDED
 *                                       +-- attempts or time used up ------------------> ^
 *
 * The session has the adapter's turn from QUIET to the end of RESOLVE (or of the LEAVE that follows), and one of its places until LEAVE
 * is over: the next device gets it only when this one is really disconnected. Nothing is kept of the device's object over a
 * disconnect but its key: the object is looked up again at every attempt.
 */

#include "ble/internal.h"

#include <sys/random.h>

/* --- errors of the service by their names and, where there is no name, by words in their texts --- */

static bool says(const sd_bus_error *error, const char *words) {
        return error->message && strstr(error->message, words);
}

static bool is_named(const sd_bus_error *error, const char *name) {
        return str_equal(error->name, name);
}

static bool is_security(const sd_bus_error *error) {
        return says(error, "Not paired") || is_named(error, "org.bluez.Error.NotAuthorized") || says(error, "ATT error: 0x05") || says(error, "ATT error: 0x08") ||
               says(error, "ATT error: 0x0c") || says(error, "ATT error: 0x0f");
}

static bool is_bond_lost(const sd_bus_error *error) {
        return says(error, "key-missing") || is_named(error, "org.bluez.Error.AuthenticationFailed");
}

static bool is_object_gone(const sd_bus_error *error) {
        return is_named(error, SD_BUS_ERROR_UNKNOWN_OBJECT) || is_named(error, SD_BUS_ERROR_UNKNOWN_METHOD) || is_named(error, SD_BUS_ERROR_UNKNOWN_INTERFACE) ||
               is_named(error, "org.bluez.Error.DoesNotExist");
}

static bool is_service_gone(const sd_bus_error *error) {
        return is_named(error, SD_BUS_ERROR_SERVICE_UNKNOWN) || is_named(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) || is_named(error, SD_BUS_ERROR_DISCONNECTED);
}

void session_error(const struct device *device, const sd_bus_error *error, struct gw_error *err) {
        const char *text = error->message && error->message[0] ? error->message : error->name;
        bool bonded = device && (device->bonded || device->paired);
        if (is_named(error, SD_BUS_ERROR_ACCESS_DENIED))
                gw_error_set(err, "dbus-refused", "org.bluez: %s", text);
        else if (is_service_gone(error))
                gw_error_set(err, "bluetoothd-not-running", "%s", text);
        else if (is_security(error) && bonded)
                gw_error_set(err, "pairing-required", "%s, although there is a bond: the device wants an authenticated one, or has lost it", text);
        else if (is_security(error))
                gw_error_set(err, "encryption-required", "%s", text);
        else if (is_bond_lost(error) && bonded)
                gw_error_set(err, "bond-lost", "%s", text);
        else if (is_object_gone(error))
                gw_error_set(err, "ble-device-vanished", "%s", text);
        else if (says(error, "Not connected") || says(error, "not connected"))
                gw_error_set(err, "ble-disconnected", "%s", text);
        else if (is_named(error, "org.bluez.Error.NotPermitted") || is_named(error, "org.bluez.Error.NotSupported"))
                gw_error_set(err, "gatt-not-permitted", "%s", text);
        else
                gw_error_set(err, "gatt-failed", "%s (%s)", text, error->name);
}

/* --- time limits --- */

static void time_is_over(void *ctx);

/* The limit of opening stands still while the session only waits behind others. */
void session_clock(struct gw_gatt *session, bool runs) {
        int64_t now_ms = loop_now_ms(session->ble->loop);
        if (runs && !session->timer) {
                session->since_ms = now_ms;
                (void) timer_start(session->ble->loop, session->left_ms, time_is_over, session, &session->timer);
        } else if (!runs && session->timer) {
                timer_cancel(TAKE_PTR(session->timer));
                session->left_ms = MAX(session->left_ms - (now_ms - session->since_ms), (int64_t) 1);
        }
}

static void pause_is_over(void *ctx) {
        struct gw_gatt *session = ctx;
        session->pause = NULL;
        ble_work_schedule(session->ble);
}

static void pause_for(struct gw_gatt *session, int64_t delay_ms) {
        timer_cancel(TAKE_PTR(session->pause));
        (void) timer_start(session->ble->loop, ble_time(session->ble, delay_ms), pause_is_over, session, &session->pause);
}

/* Between half and the whole of what doubles with each attempt, so that two gateways do not keep meeting. */
static int64_t retry_pause_ms(unsigned attempts) {
        int64_t limit_ms = MIN((int64_t) BLE_RETRY_PAUSE_MS << MIN(attempts, 10u), (int64_t) BLE_RETRY_PAUSE_MAX_MS);
        uint32_t random = 0;
        if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t) sizeof random)
                random = (uint32_t) (uintptr_t) &random;
        return limit_ms / 2 + (int64_t) (random % (uint32_t) (limit_ms / 2));
}

/* --- turn and place --- */

bool session_has_turn(const struct gw_gatt *session) {
        return session->adapter && session->adapter->turn == session;
}

static void give_turn(struct gw_gatt *session) {
        if (session_has_turn(session))
                session->adapter->turn = NULL;
        ble_work_schedule(session->ble);
}

/* Neither device nor adapter belong to the session any more. */
static void give_place(struct gw_gatt *session) {
        give_turn(session);
        if (session->device)
                session->device->session = NULL;
        session->device = NULL;
        if (session->adapter)
                session->adapter->n_sessions--;
        session->adapter = NULL;
}

/* --- the end of the memory: when no callback of it runs any more --- */

static void session_free(struct gw_gatt *session) {
        call_cancel(&session->call);
        timer_cancel(session->timer);
        timer_cancel(session->pause);
        give_place(session);
        list_remove(&session->node);
        free(session);
}

static void session_free_if_over(struct gw_gatt *session) {
        if (session->released && session->state == SESSION_ENDED && session->n_callbacks == 0)
                session_free(session);
}

/* Tells everybody; they may close anything meanwhile. */
static void session_tell_end(struct gw_gatt *session) {
        struct gw_error why = session->last;
        session->n_callbacks++;
        links_end(session, &why);
        tasks_end(session, &why);
        if (!session->released)
                session->handler->closed(session->ctx, &why);
        session->n_callbacks--;
        session_free_if_over(session);
}

/* Nothing is left to undo at the device. */
static void session_end(struct gw_gatt *session) {
        call_cancel(&session->call);
        session_clock(session, false);
        timer_cancel(TAKE_PTR(session->pause));
        give_place(session);
        session->state = SESSION_ENDED;
        session_tell_end(session);
}

/* --- leaving: Disconnect, which also ends a Connect that still is out --- */

static void session_wait_again(struct gw_gatt *session) {
        int64_t pause_ms = session->attempts > 0 ? retry_pause_ms(session->attempts - 1) : 0;
        give_place(session);
        session->state = SESSION_WAIT;
        session->not_before_ms = loop_now_ms(session->ble->loop) + ble_time(session->ble, pause_ms);
        if (pause_ms > 0)
                pause_for(session, pause_ms);
}

static bool session_forget(struct gw_gatt *session, enum session_state after);

/*
 * Where a device wants encryption the service pairs with it by itself, if no passkey is needed, and asks nobody. Bonds are made by `device pair`
 * alone, so this one goes again.
 */
static bool has_own_bond(const struct gw_gatt *session) {
        return session->device && session->device->paired && !session->was_paired && !session->pairs;
}

static void left(struct gw_gatt *session) {
        timer_cancel(TAKE_PTR(session->pause));
        /* It may have come while the device was being disconnected. */
        if (has_own_bond(session) && !session->bond_dropped && session_forget(session, session->after_leave))
                return;
        if (session->after_leave == SESSION_WAIT && !session->released) {
                session_wait_again(session);
                return;
        }
        session_end(session);
}

/* bluetoothd answers before it says that the device is not connected any more. Who connects in between would take that for its own end. */
static void leave_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct gw_gatt *session = ctx;
        (void) reply;
        (void) error;
        session->after_answer = true;
        pause_for(session, BLE_LEAVE_GRACE_MS);
        ble_work_schedule(session->ble);
}

/* OPEN sessions are told first: what their owner sends from now on goes nowhere. */
static void session_leave(struct gw_gatt *session, enum session_state after) {
        call_cancel(&session->call);
        timer_cancel(TAKE_PTR(session->pause));
        session->state = SESSION_LEAVE;
        session->after_leave = after;
        session->after_answer = false;
        if (!session->device || call_start(&session->call, ble_bus(session->ble), session->device->path, BLUEZ_DEVICE, "Disconnect", BLE_CALL_TIMEOUT_MS, leave_answered,
                                           session) < 0)
                left(session);
}

/* --- one attempt --- */

/* The attempt is over; `connected`: or perhaps about to be, so that it must be left. */
static void attempt_failed(struct gw_gatt *session, bool connected) {
        bool again = ++session->attempts < session->ble->options.attempts;
        log_debug(&(struct log_fields){ .error = session->last.name }, "%s on %s: %s", session->key, session->adapter->name, session->last.text);
        if (connected)
                session_leave(session, again ? SESSION_WAIT : SESSION_ENDED);
        else if (again)
                session_wait_again(session);
        else
                session_end(session);
}

/* There is nothing to connect with at the moment. That is no attempt; the time limit says how long it may last. */
static void ground_lost(struct gw_gatt *session, const struct gw_error *why) {
        session->last = *why;
        call_cancel(&session->call);
        session_wait_again(session);
}

/* Which of the two went under it, or what else is wrong. */
static void nothing_error(const struct gw_gatt *session, struct gw_error *err) {
        ble_state_error(session->ble, session->adapter, err);
        if (gw_error_is_set(err))
                return;
        if (session->adapter)
                gw_error_set(err, "ble-device-vanished", "the Bluetooth service dropped it");
        else
                gw_error_set(err, "no-adapter", "its adapter went away");
}

/* What ends a device is told after its end: devices of an adapter that is switched off or removed are disconnected and removed before. */
static bool waits_for_reason(struct gw_gatt *session) {
        if (!session->ending) {
                session->ending = true;
                timer_cancel(TAKE_PTR(session->pause));
                (void) timer_start(session->ble->loop, BLE_REASON_GRACE_MS, pause_is_over, session, &session->pause);
        }
        return session->pause;
}

static void session_on_nothing(struct gw_gatt *session) {
        struct gw_error why = { 0 };
        nothing_error(session, &why);
        switch (session->state) {
        case SESSION_QUIET:
        case SESSION_CONNECT:
        case SESSION_RESOLVE:
                ground_lost(session, &why);
                break;
        case SESSION_OPEN:
                if (str_equal(why.name, "ble-device-vanished") && waits_for_reason(session))
                        break;
                session->last = why;
                gw_error_prefix(&session->last, "%s", session->key);
                session_end(session);
                break;
        case SESSION_LEAVE:
                call_cancel(&session->call);
                left(session);
                break;
        case SESSION_FORGET:
                break; /* as it should be; the answer comes */
        case SESSION_WAIT:
        case SESSION_ENDED:
                break;
        }
}

static void connect_failed(struct gw_gatt *session, const sd_bus_error *error) {
        const char *text = error->message && error->message[0] ? error->message : error->name;
        bool bonded = session->device->bonded || session->device->paired;
        if (is_named(error, SD_BUS_ERROR_ACCESS_DENIED) || (is_bond_lost(error) && bonded)) {
                session_error(session->device, error, &session->last);
                session_leave(session, SESSION_ENDED);
                return;
        }
        gw_error_set(&session->last, "ble-connect-failed", "attempt %u: %s", session->attempts + 1, text);
        /* InProgress and no answer: an older Connect still is out, perhaps of a program that is gone. Disconnect ends it. */
        attempt_failed(session, !is_object_gone(error) && !is_service_gone(error));
}

static void connect_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct gw_gatt *session = ctx;
        (void) reply;
        if (!session->device) {
                session_on_nothing(session);
        } else if (error && (is_named(error, "org.bluez.Error.NotReady") || says(error, "adapter-not-powered"))) {
                ground_lost(session, &(struct gw_error){ .name = "adapter-off", .text = "the adapter was switched off" });
        } else if (error && !is_named(error, "org.bluez.Error.AlreadyConnected") && !says(error, "already-connected")) {
                connect_failed(session, error);
        } else {
                session->state = SESSION_RESOLVE;
                session->after_resolved = false;
                pause_for(session, BLE_RESOLVE_TIMEOUT_MS);
                ble_work_schedule(session->ble);
        }
}

static void session_connect(struct gw_gatt *session) {
        char signal[16] = "";
        session->state = SESSION_CONNECT;
        session->device->reason[0] = '\0';
        session->n_lost = session->device->n_lost;
        if (session->device->rssi_dbm != GW_RSSI_UNKNOWN)
                (void) str_format(signal, sizeof signal, ", %d dBm", session->device->rssi_dbm);
        log_debug(NULL, "%s on %s: connecting, attempt %u%s", session->key, session->adapter->name, session->attempts + 1, signal);
        if (call_start(&session->call, ble_bus(session->ble), session->device->path, BLUEZ_DEVICE, "Connect", (uint32_t) ble_time(session->ble, BLE_CONNECT_TIMEOUT_MS), connect_answered, session) < 0)
                ground_lost(session, &(struct gw_error){ .name = "bluetoothd-not-running", .text = "Connect could not be sent" });
}

void session_begin(struct gw_gatt *session, struct device *device) {
        session->state = SESSION_QUIET;
        session->device = device;
        session->adapter = device->adapter;
        if (!session->has_begun)
                session->was_paired = device->paired || device->bonded;
        session->has_begun = true;
        device->session = session;
        device->adapter->turn = session;
        device->adapter->n_sessions++;
        timer_cancel(TAKE_PTR(session->pause));
        session_clock(session, true);
        ble_work_schedule(session->ble);
}

/* --- its services --- */

static bool has_table(const struct gw_gatt *session) {
        const struct device *device = session->device;
        const struct attribute *service = device_service(device, session->service), *attribute;
        if (!device->resolved || !session->service[0])
                return device->resolved && device->n_attributes > 0;
        LIST_FOREACH(attribute, &device->attributes, node)
                if (service && !attribute->is_service && device_service_of(device, attribute) == service)
                        return true;
        return false;
}

/* The signal that says so may come behind the answer; until then the old object must not be taken for a new one. */
static void forget_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct gw_gatt *session = ctx;
        (void) reply;
        if (!error && session->device)
                objects_device_remove(&session->ble->objects, session->device);
        left(session);
}

/* RemoveDevice, which also disconnects and drops a bond; then `after`. */
static bool session_forget(struct gw_gatt *session, enum session_state after) {
        sd_bus_message *message = NULL;
        if (call_prepare(ble_bus(session->ble), session->adapter->path, BLUEZ_ADAPTER, "RemoveDevice", &message) < 0)
                return false;
        if (sd_bus_message_append(message, "o", session->device->path) < 0) {
                sd_bus_message_unref(message);
                return false;
        }
        timer_cancel(TAKE_PTR(session->pause));
        call_cancel(&session->call);
        session->state = SESSION_FORGET;
        session->bond_dropped = true;
        session->after_leave = after;
        return call_send(&session->call, message, BLE_CALL_TIMEOUT_MS, forget_answered, session) >= 0;
}

/* A service that is missing may only be missing in what the gateway remembers of an older firmware. */
static bool session_read_anew(struct gw_gatt *session) {
        if (session->read_anew || session->device->bonded || session->device->paired)
                return false;
        session->read_anew = true;
        return session_forget(session, SESSION_WAIT);
}

static void session_refuse_bond(struct gw_gatt *session) {
        struct gw_error why = { 0 };
        gw_error_set(&why, "encryption-required", "%s wants a bond, and nobody ordered one", session->key);
        session->last = why;
        session->n_callbacks++; /* the service takes two seconds to disconnect, and nothing is sent meanwhile */
        if (!session_forget(session, SESSION_ENDED))
                session_leave(session, SESSION_ENDED);
        links_end(session, &why);
        tasks_end(session, &why);
        session->n_callbacks--;
        session_free_if_over(session);
}

static void table_missing(struct gw_gatt *session) {
        if (!session->device->resolved) {
                gw_error_set(&session->last, "ble-services-unresolved", "the services of %s did not come within %d s", session->key, BLE_RESOLVE_TIMEOUT_MS / 1000);
                attempt_failed(session, true);
                return;
        }
        if (session_read_anew(session))
                return;
        if (session->service[0])
                gw_error_set(&session->last, "gatt-service-missing", "%s has no service %s", session->key, session->service);
        else
                gw_error_set(&session->last, "ble-services-unresolved", "%s has an empty table of services", session->key);
        session_leave(session, SESSION_ENDED);
}

static void session_opened(struct gw_gatt *session) {
        timer_cancel(TAKE_PTR(session->pause));
        session_clock(session, false);
        session->state = SESSION_OPEN;
        give_turn(session);
        if (session->released)
                return;
        session->n_callbacks++;
        session->handler->opened(session->ctx);
        session->n_callbacks--;
        session_free_if_over(session);
}

static void disconnected(struct gw_gatt *session, struct gw_error *err) {
        const char *reason = session->device->reason;
        gw_error_set(err, "ble-disconnected", "the connection to %s ended%s%s", session->key, reason[0] ? ": " : "", reason);
}

static bool is_bond_refused(const struct device *device) {
        return (device->bonded || device->paired) && str_ends_with(device->reason, "Authentication");
}

/* Since Connect was called; the property that says so may come behind its answer. */
static bool is_connected(const struct gw_gatt *session) {
        return session->device->n_lost == session->n_lost;
}

static void session_resolve(struct gw_gatt *session) {
        if (!is_connected(session) && is_bond_refused(session->device)) {
                gw_error_set(&session->last, "bond-lost", "%s ended the connection: %s", session->key, session->device->reason);
                session_leave(session, SESSION_ENDED);
        } else if (!is_connected(session)) {
                disconnected(session, &session->last);
                attempt_failed(session, session->device->connected);
        } else if (has_table(session)) {
                session_opened(session);
        } else if (!session->pause) {
                table_missing(session);
        } else if (session->device->resolved && !session->after_resolved) {
                session->after_resolved = true;
                pause_for(session, BLE_TABLE_GRACE_MS); /* objects that come right behind the property */
        }
}

/* --- what the objects say now --- */

void session_work(struct gw_gatt *session) {
        bool usable = session->device && session->adapter && adapter_is_usable(session->adapter);
        if (session->state == SESSION_WAIT || session->state == SESSION_ENDED)
                return;
        if (!usable) {
                session_on_nothing(session);
                return;
        }
        if ((session->state == SESSION_RESOLVE || session->state == SESSION_OPEN) && has_own_bond(session)) {
                session_refuse_bond(session);
        } else if (session->state == SESSION_QUIET && discovery_is_off(session->adapter)) {
                session_connect(session);
        } else if (session->state == SESSION_RESOLVE) {
                session_resolve(session);
        } else if (session->state == SESSION_LEAVE && session->after_answer && (!session->device->connected || !session->pause)) {
                left(session);
        } else if (session->state == SESSION_OPEN && !is_connected(session) && !waits_for_reason(session)) {
                disconnected(session, &session->last);
                session_end(session);
        }
}

void session_device_gone(struct gw_gatt *session) {
        session->device = NULL;
        ble_work_schedule(session->ble);
}

void session_adapter_gone(struct gw_gatt *session) {
        session->adapter = NULL;
        ble_work_schedule(session->ble);
}

static void time_is_over(void *ctx) {
        struct gw_gatt *session = ctx;
        struct gw_error why = { 0 };
        session->timer = NULL;
        session->left_ms = 1;
        switch (session->state) {
        case SESSION_WAIT:
        case SESSION_QUIET:
                if (ble_state(session->ble, &why) < 0)
                        session->last = why;
                else if (session->attempts == 0)
                        gw_error_set(&session->last, "not-seen", "%s was not heard", session->key);
                session_end(session);
                break;
        case SESSION_CONNECT:
                gw_error_set(&session->last, "ble-connect-failed", "no connection to %s within the time", session->key);
                session_leave(session, SESSION_ENDED);
                break;
        case SESSION_RESOLVE:
                gw_error_set(&session->last, "ble-services-unresolved", "the services of %s did not come within the time", session->key);
                session_leave(session, SESSION_ENDED);
                break;
        case SESSION_LEAVE:
        case SESSION_FORGET:
                session->after_leave = SESSION_ENDED;
                break;
        case SESSION_OPEN:
        case SESSION_ENDED:
                break;
        }
}

/* --- the owner --- */

static bool is_open_already(const struct ble *ble, const char *key) {
        const struct gw_gatt *other;
        LIST_FOREACH(other, &ble->sessions, node)
                if (!other->released && other->state != SESSION_ENDED && strcmp(other->key, key) == 0)
                        return true;
        return false;
}

static void refuse_busy(void *ctx) {
        struct gw_gatt *session = ctx;
        session->pause = NULL;
        gw_error_set(&session->last, "device-busy", "%s is open already", session->key);
        session_end(session);
}

int ble_open(struct ble *ble, const struct gw_gatt_open_options *options, const struct gw_gatt_handler *handler, void *ctx, struct gw_gatt **ret_gatt) {
        bool busy = is_open_already(ble, options->key ? options->key : "");
        struct gw_gatt *session;
        if (!ble_is_key(options->key))
                return -EINVAL;
        session = calloc(1, sizeof *session);
        if (!session)
                return -ENOMEM;
        *session = (struct gw_gatt){ .ble = ble, .handler = handler, .ctx = ctx, .priority = options->priority, .number = ++ble->n_opened };
        session->left_ms = options->timeout_ms > 0 ? options->timeout_ms : BLE_OPEN_TIMEOUT_MS;
        list_init(&session->links);
        list_init(&session->tasks);
        (void) str_copy(session->key, sizeof session->key, options->key);
        if (options->service && ble_uuid_normalize(options->service, session->service) < 0) {
                free(session);
                return -EINVAL;
        }
        session->state = SESSION_WAIT;
        list_append(&ble->sessions, &session->node);
        if (busy) {
                session->not_before_ms = INT64_MAX;
                (void) timer_start(ble->loop, 0, refuse_busy, session, &session->pause);
        }
        ble_begin(ble);
        ble_work_schedule(ble);
        *ret_gatt = session;
        return 0;
}

void ble_close(struct gw_gatt *session) {
        if (!session)
                return;
        session->released = true;
        links_drop(session);
        tasks_drop(session);
        switch (session->state) {
        case SESSION_WAIT:
        case SESSION_QUIET:
                session->state = SESSION_ENDED;
                session_free_if_over(session);
                break;
        case SESSION_CONNECT:
        case SESSION_RESOLVE:
        case SESSION_OPEN:
                session_leave(session, SESSION_ENDED);
                break;
        case SESSION_LEAVE:
        case SESSION_FORGET:
                session->after_leave = SESSION_ENDED;
                break;
        case SESSION_ENDED:
                session_free_if_over(session);
                break;
        }
}

void session_drop(struct gw_gatt *session) {
        session->released = true;
        links_drop(session);
        tasks_drop(session);
        if (session->state == SESSION_CONNECT || session->state == SESSION_RESOLVE || session->state == SESSION_OPEN)
                call_forget(ble_bus(session->ble), session->device ? session->device->path : "/", BLUEZ_DEVICE, "Disconnect");
        session_free(session);
}

void ble_set_priority(struct gw_gatt *session, uint32_t priority) {
        session->priority = priority;
        ble_work_schedule(session->ble);
}

void ble_characteristics(struct gw_gatt *session, void (*found)(void *ctx, const struct gw_gatt_characteristic *characteristic), void *ctx) {
        const struct attribute *attribute;
        if (session->state != SESSION_OPEN || !session->device)
                return;
        LIST_FOREACH(attribute, &session->device->attributes, node) {
                const struct attribute *service = attribute->is_service ? NULL : device_service_of(session->device, attribute);
                if (service)
                        found(ctx, &(struct gw_gatt_characteristic){
                                           .size = sizeof(struct gw_gatt_characteristic), .uuid = attribute->uuid, .service = service->uuid, .properties = attribute->properties });
        }
}

int ble_peer(struct gw_gatt *session, void (*found)(void *ctx, const struct gw_gatt_peer *peer), void *ctx) {
        const struct device *device = session->device ? session->device : queue_device(session->ble, session->key, false);
        struct peer_view view;
        if (!device)
                return -ENOENT;
        found(ctx, peer_view(device, &view));
        return 0;
}
