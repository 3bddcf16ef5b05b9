/* SPDX-License-Identifier: Apache-2.0 */
#include "api/methods.h"

#include "base/str.h"
#include "ble/address.h"
#include "ble/ble.h"

/* device.pair, .unpair, .bonds: what a person decides about bonds, whatever driver works the device. */

static void drop_task(struct call *call) {
        ble_task_cancel(call->work);
}

/* The bond is with the address that the device has now. false: it is no Bluetooth device. */
static bool key_of(const struct gw_device *device, char ret_key[GW_GATT_KEY_SIZE]) {
        const char *address = device_address(device), *key = device_key(device);
        if (address && ble_key_from_address(address, ret_key) >= 0)
                return true;
        return ble_is_key(key) && str_copy(ret_key, GW_GATT_KEY_SIZE, key) >= 0;
}

/*
 * *ret_key is the address as the radio knows it. NULL: the call was answered. A device behind a private address cannot be adopted before
 * a bond tells its identity, so that it is named by a person is enough.
 */
static struct gw_device *find_bluetooth(struct call *call, char ret_key[GW_GATT_KEY_SIZE]) {
        struct gw_error err = { 0 };
        struct gw_device *device = fleet_find_by_words(call->api->options.fleet, call_text(call, "id"), &err);
        if (device && !call->api->options.ble)
                gw_error_set(&err, "no-adapter", "this gatewayd has no Bluetooth");
        else if (device && !key_of(device, ret_key))
                gw_error_set(&err, "not-supported", "%s is no Bluetooth device", device->id);
        else if (device && !device->adopted && !device_is_private(device))
                gw_error_set(&err, "not-adopted", "%s is not adopted", device->id);
        if (gw_error_is_set(&err)) {
                call_fail(call, &err, NULL);
                return NULL;
        }
        return device;
}

static void task_ended(struct call *call, const struct gw_error *why, bool bonded) {
        struct gw_error err = { 0 };
        struct gw_device *device = fleet_find_by_words(call->api->options.fleet, call_text(call, "id"), &err);
        const struct gw_attribute attribute = { "bonded", bonded ? "yes" : "no" };
        struct gw_facts facts = GW_FACTS_INIT;
        struct json *result;
        call->work = NULL;
        if (why || !device) {
                if (device)
                        call_audit(call, device->id, why->name);
                call_fail_durable(call, why ? why : &err, NULL);
                return;
        }
        facts.attributes = &attribute;
        facts.n_attributes = 1;
        (void) fleet_learned(call->api->options.fleet, device, &facts);
        call_audit(call, device->id, bonded ? "paired" : "unpaired");
        result = json_new_object();
        json_set_string(result, "device", device->id);
        json_set_bool(result, "bonded", bonded);
        call_answer_durable(call, result);
}

static void paired(void *ctx, const struct gw_error *why, const uint8_t *data, size_t size) {
        (void) data;
        (void) size;
        task_ended(ctx, why, true);
}

static void unpaired(void *ctx, const struct gw_error *why, const uint8_t *data, size_t size) {
        (void) data;
        (void) size;
        task_ended(ctx, why, false);
}

static void begin_task(struct call *call) {
        struct ble *ble = call->api->options.ble;
        char key[GW_GATT_KEY_SIZE];
        struct gw_gatt_task *task = NULL;
        int r;
        if (!find_bluetooth(call, key))
                return;
        r = call->command.method->id == COMMAND_DEVICE_PAIR ? ble_pair(ble, key, paired, call, &task) : ble_unpair(ble, key, unpaired, call, &task);
        if (r < 0) {
                call_fail_errno(call, r, NULL);
                return;
        }
        call->work = task;
        call->drop = drop_task;
}

static void drop_probe(struct call *call) {
        ble_probe_cancel(call->work);
}

/* Whoever stands before the screen is told at once what is wrong with Bluetooth; only a campaign waits until it is mended. */
static void ready(void *ctx, const struct gw_error *why) {
        struct call *call = ctx;
        call->drop = NULL;
        if (why)
                call_fail(call, why, NULL);
        else
                begin_task(call);
}

static void begin(struct call *call) {
        char key[GW_GATT_KEY_SIZE];
        int r;
        if (!find_bluetooth(call, key))
                return;
        r = ble_probe(call->api->options.ble, ready, call);
        if (r >= 0) {
                call->work = call->api->options.ble;
                call->drop = drop_probe;
        } else if (r == -EBUSY) {
                begin_task(call); /* it is being asked for somebody else */
        } else {
                call_fail_errno(call, r, NULL);
        }
}

void method_device_pair(struct call *call) {
        begin(call);
}

void method_device_unpair(struct call *call) {
        begin(call);
}

/* --- bonds --- */

struct bonds {
        struct json *list;
        struct fleet *fleet;
};

struct owner {
        const struct gw_gatt_peer *peer;
        const struct gw_device *device;
};

static void match_owner(void *ctx, struct gw_device *device) {
        struct owner *owner = ctx;
        if (str_equal(device->key, owner->peer->key) || str_equal(device_address(device), owner->peer->address))
                owner->device = device;
}

static void add_bond(void *ctx, const struct gw_gatt_peer *peer) {
        struct bonds *bonds = ctx;
        struct owner owner = { .peer = peer };
        struct json *json = json_append_new_object(bonds->list);
        (void) fleet_each(bonds->fleet, match_owner, &owner);
        json_set_string(json, "address", peer->address);
        json_set_string(json, "adapter", peer->adapter);
        json_set_string(json, "name", peer->name);
        json_set_string(json, "device", owner.device ? owner.device->id : NULL);
}

static void probed(void *ctx, const struct gw_error *why) {
        struct call *call = ctx;
        struct json *result;
        struct bonds bonds = { .fleet = call->api->options.fleet };
        call->drop = NULL;
        if (why) {
                call_fail(call, why, NULL);
                return;
        }
        result = json_new_object();
        bonds.list = json_set_new_array(result, "bonds");
        if (bonds.list)
                ble_bonds(call->api->options.ble, add_bond, &bonds);
        call_answer(call, result);
}

void method_device_bonds(struct call *call) {
        struct ble *ble = call->api->options.ble;
        struct gw_error err = { 0 };
        int r = ble ? ble_probe(ble, probed, call) : -ENODEV;
        if (r == -EBUSY)
                gw_error_set(&err, "busy", "the Bluetooth service is being asked for somebody else; ask again in a moment");
        else if (!ble)
                gw_error_set(&err, "no-adapter", "this gatewayd has no Bluetooth");
        if (r < 0) {
                call_fail_errno(call, r, &err);
                return;
        }
        call->work = ble;
        call->drop = drop_probe;
}
