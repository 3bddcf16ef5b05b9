/* SPDX-License-Identifier: Apache-2.0 */

/* Tasks: what begins now and ends once, later. Scans, reads and writes are here, what concerns bonds is in pairing.c. */

#include "ble/internal.h"

/* --- life of a task --- */

int task_new(struct ble *ble, enum task_kind kind, int64_t delay_ms, loop_fn begin, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        struct gw_gatt_task *task = calloc(1, sizeof *task);
        int r;
        if (!task)
                return -ENOMEM;
        *task = (struct gw_gatt_task){ .ble = ble, .kind = kind, .done = done, .ctx = ctx };
        r = timer_start(ble->loop, delay_ms, begin, task, &task->timer);
        if (r < 0) {
                free(task);
                return r;
        }
        list_append(&ble->tasks, &task->node);
        *ret_task = task;
        return 0;
}

void task_drop(struct gw_gatt_task *task) {
        call_cancel(&task->call);
        timer_cancel(task->timer);
        list_remove(&task->node);
        if (task->kind == TASK_SCAN) {
                task->ble->n_scans--;
                ble_work_schedule(task->ble);
        }
        if (task->kind == TASK_PAIR)
                pairing_drop(task);
        if (task->session)
                task->session->n_tasks--;
        free(task->data);
        free(task);
}

void task_end(struct gw_gatt_task *task, const struct gw_error *why, const uint8_t *data, size_t size) {
        gw_gatt_done done = task->done;
        void *ctx = task->ctx;
        task_drop(task);
        done(ctx, why, data, size);
}

void task_fail(struct gw_gatt_task *task, const char *name, const char *format, ...) {
        struct gw_error why = { 0 };
        va_list arguments;
        va_start(arguments, format);
        gw_error_vset(&why, name, format, arguments);
        va_end(arguments);
        task_end(task, &why, NULL, 0);
}

void tasks_end(struct gw_gatt *session, const struct gw_error *why) {
        struct gw_gatt_task *task;
        while ((task = LIST_FIRST(&session->tasks, struct gw_gatt_task, node)))
                task_end(task, why, NULL, 0);
}

void tasks_drop(struct gw_gatt *session) {
        struct gw_gatt_task *task;
        while ((task = LIST_FIRST(&session->tasks, struct gw_gatt_task, node)))
                task_drop(task);
}

void ble_task_cancel(struct gw_gatt_task *task) {
        if (task)
                task_drop(task);
}

/* --- scans --- */

static void scan_is_over(void *ctx) {
        struct gw_gatt_task *task = ctx;
        struct gw_error why = { 0 };
        task->timer = NULL;
        task_end(task, ble_state(task->ble, &why) < 0 ? &why : NULL, NULL, 0);
}

int ble_scan(struct ble *ble, int64_t duration_ms, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        int r;
        if (duration_ms < 100 || duration_ms > 60000)
                return -EINVAL;
        r = task_new(ble, TASK_SCAN, duration_ms, scan_is_over, done, ctx, ret_task);
        if (r < 0)
                return r;
        ble->n_scans++;
        ble_begin(ble);
        ble_work_schedule(ble);
        return 0;
}

/* --- reads and writes --- */

static void access_failed(struct gw_gatt_task *task, const sd_bus_error *error) {
        struct gw_error why = { 0 };
        session_error(task->session->device, error, &why);
        gw_error_prefix(&why, "%s", task->uuid);
        task_end(task, &why, NULL, 0);
}

static void read_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct gw_gatt_task *task = ctx;
        const void *data = NULL;
        size_t size = 0;
        if (error)
                access_failed(task, error);
        else if (sd_bus_message_read_array(reply, 'y', &data, &size) < 0)
                task_fail(task, "gatt-failed", "%s: the Bluetooth service answered something else than a value", task->uuid);
        else
                task_end(task, NULL, data, MIN(size, (size_t) GW_GATT_ATTRIBUTE_MAX));
}

static void write_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct gw_gatt_task *task = ctx;
        (void) reply;
        if (error)
                access_failed(task, error);
        else
                task_end(task, NULL, NULL, 0);
}

static int read_value(struct gw_gatt_task *task, const char *path) {
        sd_bus_message *message = NULL;
        int r = call_prepare(ble_bus(task->ble), path, BLUEZ_CHARACTERISTIC, "ReadValue", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append(message, "a{sv}", 0);
        if (r < 0) {
                sd_bus_message_unref(message);
                return r;
        }
        return call_send(&task->call, message, BLE_ACCESS_TIMEOUT_MS, read_answered, task);
}

static uint32_t property_needed(const struct gw_gatt_task *task) {
        if (task->kind == TASK_READ)
                return GW_GATT_READ;
        return task->write == GW_GATT_SEND_COMMAND ? GW_GATT_WRITE_COMMAND : GW_GATT_WRITE;
}

static void access_begin(void *ctx) {
        struct gw_gatt_task *task = ctx;
        const struct device *device = task->session->device;
        const struct attribute *attribute = device ? device_characteristic(device, task->uuid) : NULL;
        int r;
        task->timer = NULL;
        if (!attribute) {
                task_fail(task, "gatt-characteristic-missing", "%s has no characteristic %s", task->session->key, task->uuid);
                return;
        }
        if (!(attribute->properties & property_needed(task))) {
                task_fail(task, "gatt-not-permitted", "%s does not offer it", task->uuid);
                return;
        }
        if (task->kind == TASK_READ)
                r = read_value(task, attribute->path);
        else
                r = value_write(&task->call, ble_bus(task->ble), attribute->path, task->data, task->size, task->write, write_answered, task);
        if (r < 0)
                task_fail(task, "gatt-failed", "%s: %s", task->uuid, strerror(-r));
}

static int access_new(struct gw_gatt *session, enum task_kind kind, const char *uuid, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        char normal[GW_GATT_UUID_SIZE];
        struct gw_gatt_task *task;
        int r = ble_uuid_normalize(uuid, normal);
        if (r >= 0 && (session->state != SESSION_OPEN || !session->device))
                r = -ENOTCONN;
        if (r >= 0 && session->n_tasks == BLE_TASKS_MAX)
                r = -EBUSY;
        if (r >= 0)
                r = task_new(session->ble, kind, 0, access_begin, done, ctx, &task);
        if (r < 0)
                return r;
        memcpy(task->uuid, normal, sizeof normal);
        task->session = session;
        session->n_tasks++;
        list_remove(&task->node);
        list_append(&session->tasks, &task->node);
        *ret_task = task;
        return 0;
}

int ble_read(struct gw_gatt *session, const char *uuid, gw_gatt_done done, void *ctx, struct gw_gatt_task **ret_task) {
        return access_new(session, TASK_READ, uuid, done, ctx, ret_task);
}

int ble_write(struct gw_gatt *session, const char *uuid, const void *data, size_t size, enum gw_gatt_write kind, gw_gatt_done done, void *ctx,
              struct gw_gatt_task **ret_task) {
        struct gw_gatt_task *task;
        uint8_t *copy;
        int r;
        if (size > GW_GATT_ATTRIBUTE_MAX || kind == GW_GATT_SEND_NONE)
                return -EINVAL;
        copy = malloc(MAX(size, (size_t) 1));
        if (!copy)
                return -ENOMEM;
        memcpy(copy, data, size);
        r = access_new(session, TASK_WRITE, uuid, done, ctx, &task);
        if (r < 0) {
                free(copy);
                return r;
        }
        task->data = copy;
        task->size = size;
        task->write = kind;
        *ret_task = task;
        return 0;
}
