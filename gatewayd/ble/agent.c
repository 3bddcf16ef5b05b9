/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/agent.h"

#include "base/log.h"
#include "base/str.h"
#include "ble/passkeys.h"

#define REJECTED "org.bluez.Error.Rejected"

static int reject(struct agent *agent, sd_bus_error *ret_error, const char *name, const char *text) {
        if (!gw_error_is_set(&agent->refused))
                gw_error_set(&agent->refused, name, "%s", text);
        return sd_bus_error_set(ret_error, REJECTED, "refused");
}

/* Every question begins with the device. */
static bool is_ours(struct agent *agent, sd_bus_message *message) {
        const char *device;
        if (sd_bus_message_read_basic(message, 'o', &device) >= 0 && strcmp(device, agent->device) == 0)
                return true;
        log_warning(NULL, "a pairing that nobody asked for was refused");
        return false;
}

static int not_ours(sd_bus_error *ret_error) {
        return sd_bus_error_set(ret_error, REJECTED, "nobody asked for this pairing");
}

/* We are the side that types what the device shows or has on its label. */
static int request_passkey(sd_bus_message *message, void *ctx, sd_bus_error *ret_error) {
        struct agent *agent = ctx;
        struct gw_error why = { 0 };
        uint32_t passkey;
        int r;
        if (!is_ours(agent, message))
                return not_ours(ret_error);
        if (agent->pairing != BLE_PAIRING_PASSKEY)
                return reject(agent, ret_error, "pairing-not-allowed", "the device wants a passkey, and `pairing` in [ble] does not say `passkey`");
        r = passkeys_find(agent->passkey_file, agent->key, &passkey, &why);
        if (r < 0)
                return reject(agent, ret_error, why.name[0] ? why.name : "passkey-missing", why.text);
        agent->passkey_given = true;
        r = sd_bus_reply_method_return(message, "u", passkey);
        explicit_bzero(&passkey, sizeof passkey);
        return r;
}

/* Just works: only who is there at that moment can have been between us. */
static int request_authorization(sd_bus_message *message, void *ctx, sd_bus_error *ret_error) {
        struct agent *agent = ctx;
        if (!is_ours(agent, message))
                return not_ours(ret_error);
        if (agent->pairing != BLE_PAIRING_JUST_WORKS)
                return reject(agent, ret_error, "pairing-not-allowed", "the device offers pairing without a passkey only, and `pairing` in [ble] demands one");
        return sd_bus_reply_method_return(message, NULL);
}

/* Numbers that a person would have to compare, or type on the device: nobody is here. */
static int needs_person(sd_bus_message *message, void *ctx, sd_bus_error *ret_error) {
        struct agent *agent = ctx;
        if (!is_ours(agent, message))
                return not_ours(ret_error);
        return reject(agent, ret_error, "pairing-failed", "the device wants a person at the gateway to compare or read numbers");
}

static int take_notice(sd_bus_message *message, void *ctx, sd_bus_error *ret_error) {
        (void) ctx;
        (void) ret_error;
        return sd_bus_reply_method_return(message, NULL);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Release", NULL, NULL, take_notice, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RequestPinCode", "o", "s", needs_person, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("DisplayPinCode", "os", NULL, needs_person, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RequestPasskey", "o", "u", request_passkey, SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD("DisplayPasskey", "ouq", NULL, needs_person, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RequestConfirmation", "ou", NULL, needs_person, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("RequestAuthorization", "o", NULL, request_authorization, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("AuthorizeService", "os", NULL, needs_person, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Cancel", NULL, NULL, take_notice, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int agent_export(struct agent *agent, sd_bus *bus) {
        return bus ? sd_bus_add_object_vtable(bus, &agent->slot, AGENT_PATH, "org.bluez.Agent1", vtable, agent) : -ENOTCONN;
}

void agent_remove(struct agent *agent) {
        agent->slot = sd_bus_slot_unref(agent->slot);
}

const char *agent_capability(const struct agent *agent) {
        return agent->pairing == BLE_PAIRING_PASSKEY ? "KeyboardOnly" : "NoInputNoOutput";
}
