/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bonds: made, removed, and devices forgotten. Pairing happens only when a person orders it and the configuration allows it:
 *
 *      open the device -> our agent exists and is registered -> Pair -> trusted -> the agent is gone, the device is left
 *
 * One at a time, since the service asks one agent.
 */

#include "ble/agent.h"
#include "ble/internal.h"
#include "ble/passkeys.h"

struct pairing {
        struct agent agent;
        struct gw_gatt *session;
        bool registers, asked; /* RegisterAgent was sent; Pair is out */
};

/* --- leaving no trace --- */

static void unregister(struct gw_gatt_task *task) {
        sd_bus_message *message = NULL;
        sd_bus *bus = ble_bus(task->ble);
        if (!task->pairing->registers || call_prepare(bus, "/org/bluez", "org.bluez.AgentManager1", "UnregisterAgent", &message) < 0)
                return;
        if (sd_bus_message_append(message, "o", AGENT_PATH) >= 0 && sd_bus_message_set_expect_reply(message, false) >= 0)
                (void) sd_bus_send(bus, message, NULL);
        sd_bus_message_unref(message);
}

void pairing_drop(struct gw_gatt_task *task) {
        struct pairing *pairing = TAKE_PTR(task->pairing);
        if (!pairing)
                return;
        task->pairing = pairing;
        if (pairing->asked && pairing->session)
                call_forget(ble_bus(task->ble), pairing->agent.device, BLUEZ_DEVICE, "CancelPairing");
        unregister(task);
        agent_remove(&pairing->agent);
        ble_close(pairing->session);
        task->pairing = NULL;
        free(pairing);
        if (task->ble->pairing == task)
                task->ble->pairing = NULL;
        pairing_next(task->ble);
}

/* --- pairing, one answer after the other --- */

static void refused_or(struct gw_gatt_task *task, const char *name, const char *text) {
        const struct gw_error *refused = &task->pairing->agent.refused;
        if (gw_error_is_set(refused)) {
                struct gw_error why = *refused;
                task_end(task, &why, NULL, 0);
        } else {
                task_fail(task, name, "%s: %s", task->key, text);
        }
}

static void trust(const struct gw_gatt_task *task) {
        sd_bus_message *message = NULL;
        sd_bus *bus = ble_bus(task->ble);
        if (call_prepare(bus, task->pairing->agent.device, "org.freedesktop.DBus.Properties", "Set", &message) < 0)
                return;
        if (sd_bus_message_append(message, "ssv", BLUEZ_DEVICE, "Trusted", "b", 1) >= 0 && sd_bus_message_set_expect_reply(message, false) >= 0)
                (void) sd_bus_send(bus, message, NULL);
        sd_bus_message_unref(message);
}

static int remove_device(struct gw_gatt_task *task, const struct device *device, void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error));

static void untrusted_removed(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        (void) reply;
        (void) error;
        task_fail(ctx, "pairing-not-allowed", "the device paired without a passkey, which `pairing` in [ble] demands; the bond was removed again");
}

static void refuse_untrusted(struct gw_gatt_task *task) {
        const struct device *device = task->pairing->session->device;
        if (!device || remove_device(task, device, untrusted_removed) < 0)
                untrusted_removed(task, NULL, NULL);
}

static void pair_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct gw_gatt_task *task = ctx;
        struct pairing *pairing = task->pairing;
        const char *text = error && error->message && error->message[0] ? error->message : error ? error->name : "";
        (void) reply;
        pairing->asked = false;
        if (error && str_equal(error->name, "org.bluez.Error.AuthenticationFailed") && pairing->agent.passkey_given) {
                refused_or(task, "passkey-wrong", text);
        } else if (error && !str_equal(error->name, "org.bluez.Error.AlreadyExists")) {
                refused_or(task, "pairing-failed", text);
        } else if (pairing->agent.pairing == BLE_PAIRING_PASSKEY && !pairing->agent.passkey_given) {
                refuse_untrusted(task);
        } else {
                trust(task);
                task_end(task, NULL, NULL, 0);
        }
}

static void agent_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct gw_gatt_task *task = ctx;
        struct pairing *pairing = task->pairing;
        (void) reply;
        if (error && !str_equal(error->name, "org.bluez.Error.AlreadyExists")) {
                task_fail(task, "pairing-failed", "the Bluetooth service takes no agent: %s", error->message ? error->message : error->name);
                return;
        }
        pairing->asked = true;
        if (call_start(&task->call, ble_bus(task->ble), pairing->agent.device, BLUEZ_DEVICE, "Pair", BLE_PAIR_TIMEOUT_MS, pair_answered, task) < 0)
                task_fail(task, "pairing-failed", "%s: Pair could not be sent", task->key);
}

static int register_agent(struct gw_gatt_task *task) {
        sd_bus_message *message = NULL;
        int r = agent_export(&task->pairing->agent, ble_bus(task->ble));
        if (r >= 0)
                r = call_prepare(ble_bus(task->ble), "/org/bluez", "org.bluez.AgentManager1", "RegisterAgent", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "os", AGENT_PATH, agent_capability(&task->pairing->agent));
        if (r < 0) {
                sd_bus_message_unref(message);
                return r;
        }
        task->pairing->registers = true; /* whatever becomes of the answer */
        return call_send(&task->call, message, BLE_CALL_TIMEOUT_MS, agent_answered, task);
}

/* One that the service made by itself while it connected proves nobody: it had no passkey. */
static void bond_found(struct gw_gatt_task *task) {
        if (task->pairing->session->was_paired || task->pairing->agent.pairing != BLE_PAIRING_PASSKEY)
                task_end(task, NULL, NULL, 0);
        else
                refuse_untrusted(task);
}

static void on_opened(void *ctx) {
        struct gw_gatt_task *task = ctx;
        struct pairing *pairing = task->pairing;
        const struct device *device = pairing->session->device;
        if (device->bonded || device->paired) {
                bond_found(task);
                return;
        }
        (void) str_copy(pairing->agent.device, sizeof pairing->agent.device, device->path);
        if (register_agent(task) < 0)
                task_fail(task, "pairing-failed", "%s: no agent could be made", task->key);
}

static void on_closed(void *ctx, const struct gw_error *why) {
        struct gw_gatt_task *task = ctx;
        refused_or(task, why->name, why->text);
}

static const struct gw_gatt_handler handler = { on_opened, on_closed };

/* Nothing goes on air that the configuration forbids, or for which the passkey is missing. */
static int check_allowed(const struct ble *ble, const char *key, struct gw_error *err) {
        uint32_t passkey;
        int r;
        switch (ble->options.pairing) {
        case BLE_PAIRING_NEVER:
                gw_error_set(err, "pairing-not-allowed", "`pairing` in [ble] is never");
                return -EPERM;
        case BLE_PAIRING_JUST_WORKS:
                return 0;
        case BLE_PAIRING_PASSKEY:
                r = passkeys_find(ble->options.passkey_file, key, &passkey, err);
                explicit_bzero(&passkey, sizeof passkey);
                return r;
        }
        return -EINVAL;
}

static void pairing_begin(struct gw_gatt_task *task) {
        const struct gw_gatt_open_options options = { .size = sizeof options, .key = task->key, .priority = 100 };
        struct pairing *pairing = task->pairing;
        task->ble->pairing = task;
        pairing->agent.pairing = task->ble->options.pairing;
        pairing->agent.passkey_file = task->ble->options.passkey_file;
        memcpy(pairing->agent.key, task->key, sizeof task->key);
        if (ble_open(task->ble, &options, &handler, task, &pairing->session) < 0)
                task_fail(task, "out-of-memory", "%s", task->key);
        else
                pairing->session->pairs = true;
}

void pairing_next(struct ble *ble) {
        struct gw_gatt_task *task;
        LIST_FOREACH(task, &ble->tasks, node) {
                if (ble->pairing || ble->freeing)
                        return;
                if (task->kind == TASK_PAIR && task->pairing && !task->pairing->session) {
                        pairing_begin(task);
                        return;
                }
        }
}

static void pair_first(void *ctx) {
        struct gw_gatt_task *task = ctx;
        struct gw_error why = { 0 };
        task->timer = NULL;
        if (check_allowed(task->ble, task->key, &why) < 0) {
                if (!gw_error_is_set(&why))
                        gw_error_set(&why, "out-of-memory", "%s", task->key);
                task_end(task, &why, NULL, 0);
                return;
        }
        task->pairing = calloc(1, sizeof *task->pairing);
        if (!task->pairing)
                task_fail(task, "out-of-memory", "%s", task->key);
        else
                pairing_next(task->ble);
}

/* --- removing: the device's objects of all adapters, one after the other --- */

struct choice {
        const struct gw_gatt_task *task;
        struct device *device;
        const char *error;
        bool leaving; /* closed by its owner and about to be disconnected */
};

static void choose(void *ctx, struct device *device) {
        struct choice *choice = ctx;
        bool bonded = device->bonded || device->paired;
        if (strcmp(device->key, choice->task->key) != 0 || !device->adapter->used)
                return;
        if (choice->task->kind == TASK_FORGET && !adapter_is_usable(device->adapter))
                return; /* it takes no order, and nothing will be read over it before it is on again */
        if (device->session && device->session->released)
                choice->leaving = true;
        else if (device->session)
                choice->error = "device-busy";
        else if (bonded && choice->task->kind == TASK_FORGET)
                choice->error = "device-bonded";
        else if (bonded || choice->task->kind == TASK_FORGET)
                choice->device = device;
}

static int remove_device(struct gw_gatt_task *task, const struct device *device, void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error)) {
        sd_bus_message *message = NULL;
        int r = call_prepare(ble_bus(task->ble), device->adapter->path, BLUEZ_ADAPTER, "RemoveDevice", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "o", device->path);
        if (r < 0) {
                sd_bus_message_unref(message);
                return r;
        }
        return call_send(&task->call, message, BLE_CALL_TIMEOUT_MS, answered, task);
}

static void remove_next(struct gw_gatt_task *task);
static void remove_first(void *ctx);

static bool remove_later(struct gw_gatt_task *task) {
        return task->n_tries++ < BLE_FORGET_TRIES_MAX &&
               timer_start(task->ble->loop, ble_time(task->ble, BLE_FORGET_RETRY_MS), remove_first, task, &task->timer) >= 0;
}

static void removed(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct gw_gatt_task *task = ctx;
        struct device *device = objects_device(&task->ble->objects, (const char *) task->data);
        (void) reply;
        if (error && !str_equal(error->name, "org.bluez.Error.DoesNotExist")) {
                struct gw_error why = { 0 };
                session_error(NULL, error, &why);
                task_end(task, &why, NULL, 0);
                return;
        }
        /* The signal may come behind the answer. */
        if (device)
                objects_device_remove(&task->ble->objects, device);
        remove_next(task);
}

/* Its path is kept in the task: which object was meant when the answer comes. */
static void remove_next(struct gw_gatt_task *task) {
        struct choice choice = { .task = task };
        objects_each_device(&task->ble->objects, choose, &choice);
        free(TAKE_PTR(task->data));
        if (choice.device)
                task->data = (uint8_t *) strdup(choice.device->path);
        if (choice.error)
                task_fail(task, choice.error, "%s", task->key);
        else if (choice.leaving && remove_later(task))
                return;
        else if (choice.leaving)
                task_fail(task, "device-busy", "%s is being disconnected", task->key);
        else if (!choice.device)
                task_end(task, NULL, NULL, 0);
        else if (!task->data || remove_device(task, choice.device, removed) < 0)
                task_fail(task, "bluetoothd-not-running", "RemoveDevice could not be sent");
}

static void remove_first(void *ctx) {
        struct gw_gatt_task *task = ctx;
        struct gw_error why = { 0 };
        task->timer = NULL;
        if (task->ble->bluez.state == BLUEZ_READY) {
                remove_next(task);
        } else if (task->ble->bluez.state == BLUEZ_ASKING && remove_later(task)) {
                return;
        } else {
                ble_state_error(task->ble, NULL, &why);
                task_end(task, &why, NULL, 0);
        }
}

/* --- the entry points --- */

static int keyed(struct ble *ble, enum task_kind kind, const char *key, loop_fn begin, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        int r = ble_is_key(key) ? task_new(ble, kind, 0, begin, done, ctx, ret_task) : -EINVAL;
        if (r < 0)
                return r;
        (void) str_copy((*ret_task)->key, sizeof(*ret_task)->key, key);
        ble_begin(ble);
        return 0;
}

int ble_pair(struct ble *ble, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return keyed(ble, TASK_PAIR, key, pair_first, done, ctx, ret_task);
}

int ble_unpair(struct ble *ble, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return keyed(ble, TASK_UNPAIR, key, remove_first, done, ctx, ret_task);
}

int ble_forget(struct ble *ble, const char *key, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return keyed(ble, TASK_FORGET, key, remove_first, done, ctx, ret_task);
}
