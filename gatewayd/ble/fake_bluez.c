/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/fake_bluez.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "ble/call.h"
#include "loop/test_support.h"

#define CHECK(call) fake_check((call), #call)

static int fake_check(int r, const char *call) {
        if (r < 0) {
                fprintf(stderr, "fake bluetoothd: %s: %s\n", call, strerror(-r));
                abort();
        }
        return r;
}

/* ---- objects */

static void append_property(sd_bus_message *message, const char *name, const char *type, ...) {
        va_list arguments;

        CHECK(sd_bus_message_open_container(message, 'e', "sv"));
        CHECK(sd_bus_message_append_basic(message, 's', name));
        CHECK(sd_bus_message_open_container(message, 'v', type));
        va_start(arguments, type);
        CHECK(sd_bus_message_appendv(message, type, arguments));
        va_end(arguments);
        CHECK(sd_bus_message_close_container(message));
        CHECK(sd_bus_message_close_container(message));
}

static void interface_begin(sd_bus_message *message, const char *interface) {
        CHECK(sd_bus_message_open_container(message, 'e', "sa{sv}"));
        CHECK(sd_bus_message_append_basic(message, 's', interface));
        CHECK(sd_bus_message_open_container(message, 'a', "{sv}"));
}

static void interface_end(sd_bus_message *message) {
        CHECK(sd_bus_message_close_container(message));
        CHECK(sd_bus_message_close_container(message));
}

static void append_adapter(sd_bus_message *message, const struct fake_adapter *adapter, size_t number) {
        char address[18];

        str_format(address, sizeof address, "00:00:5E:00:53:%02zX", number);
        interface_begin(message, BLUEZ_ADAPTER);
        append_property(message, "Address", "s", address);
        append_property(message, "Modalias", "s", "usb:v1D6Bp0246d0542");
        append_property(message, "Powered", "b", adapter->powered);
        append_property(message, "Discovering", "b", adapter->discovering);
        interface_end(message);
}

static void append_device(sd_bus_message *message, const struct fake_device *device) {
        interface_begin(message, BLUEZ_DEVICE);
        append_property(message, "Address", "s", device->address);
        append_property(message, "AddressType", "s", device->type);
        if (device->name)
                append_property(message, "Name", "s", device->name);
        append_property(message, "Paired", "b", device->paired);
        append_property(message, "Bonded", "b", device->paired);
        append_property(message, "Connected", "b", device->connected);
        append_property(message, "ServicesResolved", "b", device->resolved);
        if (device->advertises_service)
                append_property(message, "UUIDs", "as", 1, FAKE_SERVICE);
        append_property(message, "ManufacturerData", "a{qv}", 1, 0x0059, "ay", 3, 1, 2, 3);
        if (device->rssi)
                append_property(message, "RSSI", "n", device->rssi);
        interface_end(message);
}

static void service_path(const struct fake_device *device, char *path) {
        str_format(path, BLE_PATH_MAX, "%s/service0010", device->path);
}

static void characteristic_path(const struct fake_device *device, size_t at, char *path) {
        str_format(path, BLE_PATH_MAX, "%s/service0010/char%04zx", device->path, 0x11 + 3 * at);
}

static void append_characteristic(sd_bus_message *message, const struct fake_characteristic *characteristic) {
        char flags[128], *rest = flags;

        str_copy(flags, sizeof flags, characteristic->flags);
        interface_begin(message, BLUEZ_CHARACTERISTIC);
        append_property(message, "UUID", "s", characteristic->uuid);
        CHECK(sd_bus_message_open_container(message, 'e', "sv"));
        CHECK(sd_bus_message_append_basic(message, 's', "Flags"));
        CHECK(sd_bus_message_open_container(message, 'v', "as"));
        CHECK(sd_bus_message_open_container(message, 'a', "s"));
        for (char *flag; (flag = strsep(&rest, " "));)
                CHECK(sd_bus_message_append_basic(message, 's', flag));
        for (int i = 0; i < 3; i++)
                CHECK(sd_bus_message_close_container(message));
        interface_end(message);
}

typedef void (*append_fn)(sd_bus_message *message, const void *object, size_t number);

static void append_any_adapter(sd_bus_message *message, const void *object, size_t number) {
        append_adapter(message, object, number);
}

static void append_any_device(sd_bus_message *message, const void *object, size_t number) {
        (void) number;
        append_device(message, object);
}

static void append_any_service(sd_bus_message *message, const void *object, size_t number) {
        (void) object;
        (void) number;
        interface_begin(message, BLUEZ_SERVICE);
        append_property(message, "UUID", "s", FAKE_SERVICE);
        append_property(message, "Primary", "b", 1);
        interface_end(message);
}

static void append_any_characteristic(sd_bus_message *message, const void *object, size_t number) {
        (void) number;
        append_characteristic(message, object);
}

/* Either one entry of GetManagedObjects, or the body of InterfacesAdded. */
static void append_object(sd_bus_message *message, const char *path, append_fn append, const void *object, size_t number) {
        CHECK(sd_bus_message_append_basic(message, 'o', path));
        CHECK(sd_bus_message_open_container(message, 'a', "{sa{sv}}"));
        append(message, object, number);
        CHECK(sd_bus_message_close_container(message));
}

static void append_entry(sd_bus_message *message, const char *path, append_fn append, const void *object, size_t number) {
        CHECK(sd_bus_message_open_container(message, 'e', "oa{sa{sv}}"));
        append_object(message, path, append, object, number);
        CHECK(sd_bus_message_close_container(message));
}

/* ---- signals */

static sd_bus_message *signal_new(struct fake_bluez *fake, const char *path, const char *interface, const char *member) {
        sd_bus_message *message = NULL;

        CHECK(sd_bus_message_new_signal(fake->connection, &message, path, interface, member));
        return message;
}

static void signal_send(struct fake_bluez *fake, sd_bus_message *message) {
        CHECK(sd_bus_send(fake->connection, message, NULL));
        sd_bus_message_unref(message);
}

static void added(struct fake_bluez *fake, const char *path, append_fn append, const void *object, size_t number) {
        sd_bus_message *message = signal_new(fake, "/", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded");

        append_object(message, path, append, object, number);
        signal_send(fake, message);
}

static void removed(struct fake_bluez *fake, const char *path, const char *interface) {
        sd_bus_message *message = signal_new(fake, "/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved");

        CHECK(sd_bus_message_append(message, "oas", path, 2, interface, "org.freedesktop.DBus.Properties"));
        signal_send(fake, message);
}

void fake_set_property(struct fake_bluez *fake, const char *path, const char *interface, const char *name, const char *type, ...) {
        sd_bus_message *message = signal_new(fake, path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
        va_list arguments;

        CHECK(sd_bus_message_append_basic(message, 's', interface));
        CHECK(sd_bus_message_open_container(message, 'a', "{sv}"));
        CHECK(sd_bus_message_open_container(message, 'e', "sv"));
        CHECK(sd_bus_message_append_basic(message, 's', name));
        CHECK(sd_bus_message_open_container(message, 'v', type));
        va_start(arguments, type);
        CHECK(sd_bus_message_appendv(message, type, arguments));
        va_end(arguments);
        for (int i = 0; i < 3; i++)
                CHECK(sd_bus_message_close_container(message));
        CHECK(sd_bus_message_append(message, "as", 0));
        signal_send(fake, message);
}

static void set_flag(struct fake_device *device, const char *name, bool value) {
        fake_set_property(device->fake, device->path, BLUEZ_DEVICE, name, "b", value);
}

/* ---- what happens to devices */

static void close_fd(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static void close_sockets(struct fake_device *device) {
        for (size_t i = 0; i < device->n_characteristics; i++) {
                close_fd(&device->characteristics[i].notify_fd);
                close_fd(&device->characteristics[i].write_fd);
                device->characteristics[i].notifying = false;
        }
}

void fake_show_table(struct fake_device *device) {
        char path[BLE_PATH_MAX];

        device->table_shown = true;
        service_path(device, path);
        added(device->fake, path, append_any_service, device, 0);
        for (size_t i = 0; i < device->n_characteristics; i++) {
                characteristic_path(device, i, path);
                added(device->fake, path, append_any_characteristic, &device->characteristics[i], i);
        }
}

void fake_hide_table(struct fake_device *device) {
        char path[BLE_PATH_MAX];

        close_sockets(device);
        if (!device->table_shown)
                return;
        device->table_shown = false;
        for (size_t i = 0; i < device->n_characteristics; i++) {
                characteristic_path(device, i, path);
                removed(device->fake, path, BLUEZ_CHARACTERISTIC);
        }
        service_path(device, path);
        removed(device->fake, path, BLUEZ_SERVICE);
}

void fake_resolve(struct fake_device *device) {
        device->resolved = true;
        set_flag(device, "ServicesResolved", true);
}

void fake_connect(struct fake_device *device) {
        device->connected = true;
        set_flag(device, "Connected", true);
        if (device->table == FAKE_TABLE_FIRST && !device->stale_until_removed)
                fake_show_table(device);
        if (device->table != FAKE_TABLE_NEVER)
                fake_resolve(device);
}

void fake_disconnect(struct fake_device *device, const char *reason) {
        char name[64];

        if (!device->connected)
                return;
        device->connected = device->resolved = false;
        fake_hide_table(device);
        if (reason) {
                sd_bus_message *message = signal_new(device->fake, device->path, BLUEZ_DEVICE, "Disconnected");

                str_format(name, sizeof name, "org.bluez.Reason.%s", reason);
                CHECK(sd_bus_message_append(message, "ss", name, "said the fake"));
                signal_send(device->fake, message);
        }
        set_flag(device, "ServicesResolved", false);
        set_flag(device, "Connected", false);
}

void fake_vanish(struct fake_device *device) {
        fake_hide_table(device);
        device->connected = device->resolved = device->known = false;
        removed(device->fake, device->path, BLUEZ_DEVICE);
}

void fake_advertise(struct fake_device *device) {
        if (device->known) {
                fake_set_property(device->fake, device->path, BLUEZ_DEVICE, "RSSI", "n", device->rssi);
                return;
        }
        device->known = true;
        added(device->fake, device->path, append_any_device, device, 0);
}

static void adapter_lose_devices(struct fake_bluez *fake, size_t number, bool vanish) {
        for (size_t i = 0; i < fake->n_devices; i++) {
                struct fake_device *device = &fake->devices[i];

                if (device->adapter != number || !device->known)
                        continue;
                if (vanish)
                        fake_vanish(device);
                else
                        fake_disconnect(device, NULL);
        }
}

void fake_adapter_set(struct fake_bluez *fake, size_t number, bool exists, bool powered) {
        struct fake_adapter *adapter = &fake->adapters[number];
        bool existed = adapter->exists, was_powered = adapter->powered;

        adapter->exists = exists;
        adapter->powered = powered;
        if (!powered || !exists)
                adapter->discovering = false;
        if (exists && !existed)
                added(fake, adapter->path, append_any_adapter, adapter, number);
        else if (existed && !exists)
                adapter_lose_devices(fake, number, true);
        else if (was_powered != powered)
                fake_set_property(fake, adapter->path, BLUEZ_ADAPTER, "Powered", "b", powered);
        if (existed && !exists)
                removed(fake, adapter->path, BLUEZ_ADAPTER);
        if (exists && was_powered && !powered)
                adapter_lose_devices(fake, number, false);
}

/* ---- calls */

static void answer_error(sd_bus_message *call, const char *error) {
        const char *text = strchr(error, ':');
        char name[128], whole[160];

        str_copy_n(name, sizeof name, error, text ? (size_t) (text - error) : strlen(error));
        str_format(whole, sizeof whole, "%s%s", strchr(name, '.') ? "" : "org.bluez.Error.", name);
        CHECK(sd_bus_reply_method_errorf(call, whole, "%s", text ? text + 1 : name));
}

static void answer_ok(sd_bus_message *call) {
        CHECK(sd_bus_reply_method_return(call, NULL));
}

void fake_fail(struct fake_errors *errors, const char *error) {
        if (errors->n_items == FAKE_ERRORS_MAX)
                abort();
        errors->items[errors->n_items++] = error;
}

/* true: this call fails and was answered. */
static bool fails(sd_bus_message *call, struct fake_errors *errors) {
        if (errors->at == errors->n_items)
                return false;
        answer_error(call, errors->items[errors->at++]);
        return true;
}

static void hold(struct fake_bluez *fake, sd_bus_message *call) {
        if (fake->held)
                abort();
        fake->held = sd_bus_message_ref(call);
}

static void get_objects(struct fake_bluez *fake, sd_bus_message *call) {
        sd_bus_message *reply = NULL;
        char path[BLE_PATH_MAX];

        CHECK(sd_bus_message_new_method_return(call, &reply));
        CHECK(sd_bus_message_open_container(reply, 'a', "{oa{sa{sv}}}"));
        for (size_t i = 0; i < fake->n_devices; i++) {
                const struct fake_device *device = &fake->devices[i];

                /* Children first, as no order is promised. */
                for (size_t j = 0; device->table_shown && j < device->n_characteristics; j++) {
                        characteristic_path(device, j, path);
                        append_entry(reply, path, append_any_characteristic, &device->characteristics[j], j);
                }
                service_path(device, path);
                if (device->table_shown)
                        append_entry(reply, path, append_any_service, device, 0);
                if (device->known)
                        append_entry(reply, device->path, append_any_device, device, 0);
        }
        for (size_t i = 0; i < FAKE_ADAPTERS_MAX; i++)
                if (fake->adapters[i].exists)
                        append_entry(reply, fake->adapters[i].path, append_any_adapter, &fake->adapters[i], i);
        CHECK(sd_bus_message_close_container(reply));
        CHECK(sd_bus_send(fake->connection, reply, NULL));
        sd_bus_message_unref(reply);
}

static void read_filter(struct fake_adapter *adapter, sd_bus_message *call) {
        const char *name, *uuid;
        int flag;

        adapter->n_uuids = 0;
        CHECK(sd_bus_message_enter_container(call, 'a', "{sv}"));
        while (CHECK(sd_bus_message_enter_container(call, 'e', "sv")) > 0) {
                CHECK(sd_bus_message_read_basic(call, 's', &name));
                if (strcmp(name, "DuplicateData") == 0) {
                        CHECK(sd_bus_message_read(call, "v", "b", &flag));
                        adapter->urgent = flag;
                } else if (strcmp(name, "UUIDs") == 0) {
                        CHECK(sd_bus_message_enter_container(call, 'v', "as"));
                        CHECK(sd_bus_message_enter_container(call, 'a', "s"));
                        while (CHECK(sd_bus_message_read_basic(call, 's', &uuid)) > 0)
                                adapter->n_uuids++;
                        CHECK(sd_bus_message_exit_container(call));
                        CHECK(sd_bus_message_exit_container(call));
                } else {
                        CHECK(sd_bus_message_skip(call, "v"));
                }
                CHECK(sd_bus_message_exit_container(call));
        }
}

static struct fake_device *device_at(struct fake_bluez *fake, const char *path) {
        for (size_t i = 0; i < fake->n_devices; i++)
                if (fake->devices[i].known && str_starts_with(path, fake->devices[i].path))
                        return &fake->devices[i];
        return NULL;
}

static void call_adapter(struct fake_bluez *fake, struct fake_adapter *adapter, const char *member, sd_bus_message *call) {
        const char *path = "";
        struct fake_device *device;

        if (strcmp(member, "RemoveDevice") == 0) {
                CHECK(sd_bus_message_read(call, "o", &path));
                device = device_at(fake, path);
                answer_ok(call); /* before the signal: as it may be */
                if (!device)
                        return;
                device->stale_until_removed = false;
                device->paired = false;
                fake_vanish(device);
        } else if (!adapter->powered) {
                answer_error(call, "NotReady:Resource Not Ready");
        } else if (strcmp(member, "SetDiscoveryFilter") == 0) {
                read_filter(adapter, call);
                answer_ok(call);
        } else if (strcmp(member, "StartDiscovery") == 0) {
                if (fails(call, &adapter->start_errors))
                        return;
                adapter->discovering = true;
                answer_ok(call);
        } else if (strcmp(member, "StopDiscovery") == 0) {
                adapter->discovering = false;
                if (adapter->hold_stop)
                        hold(fake, call);
                else
                        answer_ok(call);
        }
}

static int agent_answered(sd_bus_message *reply, void *ctx, sd_bus_error *ret_error) {
        struct fake_bluez *fake = ctx;
        struct fake_device *device = fake->pairing_device;
        const sd_bus_error *error = sd_bus_message_get_error(reply);

        (void) ret_error;
        if (!error && device->asks_passkey)
                CHECK(sd_bus_message_read(reply, "u", &device->passkey));
        if (error) {
                answer_error(fake->pairing, "AuthenticationCanceled:Authentication Canceled");
        } else if (!fails(fake->pairing, &device->pair_errors)) {
                device->paired = true;
                set_flag(device, "Paired", true);
                set_flag(device, "Bonded", true);
                answer_ok(fake->pairing);
        }
        fake->pairing = sd_bus_message_unref(fake->pairing);
        return 0;
}

static void pair(struct fake_bluez *fake, struct fake_device *device, sd_bus_message *call) {
        const char *question = device->asks_passkey ? "RequestPasskey" : "RequestAuthorization";

        if (device->paired) {
                answer_error(call, "AlreadyExists:Already Exists");
        } else if (device->asks_passkey || device->asks_authorization) {
                if (!fake->agent[0]) {
                        answer_error(call, "AuthenticationFailed:No agent available for request type 0");
                        return;
                }
                fake->pairing = sd_bus_message_ref(call);
                fake->pairing_device = device;
                CHECK(sd_bus_call_method_async(fake->connection, NULL, fake->agent, "/gatewayd/agent", "org.bluez.Agent1", question, agent_answered, fake, "o",
                                               device->path));
        } else if (!fails(call, &device->pair_errors)) {
                device->paired = true;
                set_flag(device, "Paired", true);
                answer_ok(call);
        }
}

static void call_device(struct fake_bluez *fake, struct fake_device *device, const char *member, sd_bus_message *call) {
        if (strcmp(member, "Connect") == 0) {
                if (fails(call, &device->connect_errors))
                        return;
                if (device->hold_connect) {
                        hold(fake, call);
                        return;
                }
                fake_connect(device);
                answer_ok(call);
        } else if (strcmp(member, "Disconnect") == 0) {
                if (fake->held) {
                        answer_error(fake->held, "Failed:le-connection-abort-by-local");
                        fake->held = sd_bus_message_unref(fake->held);
                }
                answer_ok(call); /* first, as bluetoothd does */
                if (!device->hold_lost)
                        fake_disconnect(device, NULL);
        } else if (strcmp(member, "Pair") == 0) {
                pair(fake, device, call);
        } else {
                answer_ok(call);
        }
}

static void hand_over_socket(sd_bus_message *call, struct fake_characteristic *characteristic, int *ours) {
        int ends[2];

        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends));
        close_fd(ours);
        *ours = ends[0];
        CHECK(sd_bus_reply_method_return(call, "hq", ends[1], characteristic->mtu));
        close(ends[1]);
}

static void call_characteristic(struct fake_characteristic *characteristic, const char *member, sd_bus_message *call) {
        const void *data;
        size_t size;

        if (str_starts_with(member, "Acquire") && characteristic->no_sockets) {
                answer_error(call, "NotSupported:Operation is not supported");
        } else if (strcmp(member, "AcquireNotify") == 0) {
                if (!fails(call, &characteristic->notify_errors))
                        hand_over_socket(call, characteristic, &characteristic->notify_fd);
        } else if (strcmp(member, "AcquireWrite") == 0) {
                if (!fails(call, &characteristic->write_errors))
                        hand_over_socket(call, characteristic, &characteristic->write_fd);
        } else if (strcmp(member, "StartNotify") == 0) {
                if (fails(call, &characteristic->start_errors))
                        return;
                characteristic->notifying = true;
                answer_ok(call);
        } else if (strcmp(member, "StopNotify") == 0) {
                characteristic->notifying = false;
                answer_ok(call);
        } else if (strcmp(member, "ReadValue") == 0) {
                sd_bus_message *reply = NULL;

                if (fails(call, &characteristic->value_errors))
                        return;
                CHECK(sd_bus_message_new_method_return(call, &reply));
                CHECK(sd_bus_message_append_array(reply, 'y', characteristic->value, characteristic->value_size));
                CHECK(sd_bus_send(NULL, reply, NULL));
                sd_bus_message_unref(reply);
        } else if (strcmp(member, "WriteValue") == 0) {
                characteristic->n_written++;
                if (fails(call, &characteristic->value_errors))
                        return;
                CHECK(sd_bus_message_read_array(call, 'y', &data, &size));
                memcpy(characteristic->value, data, size);
                characteristic->value_size = size;
                answer_ok(call);
        }
}

static void call_manager(struct fake_bluez *fake, const char *member, sd_bus_message *call) {
        const char *path, *capability;

        if (strcmp(member, "RegisterAgent") == 0) {
                CHECK(sd_bus_message_read(call, "os", &path, &capability));
                str_copy(fake->agent, sizeof fake->agent, sd_bus_message_get_sender(call));
                str_copy(fake->capability, sizeof fake->capability, capability);
        } else {
                fake->agent[0] = '\0';
        }
        answer_ok(call);
}

static void note_call(struct fake_bluez *fake, const char *member) {
        size_t used = strlen(fake->log);

        if (used + strlen(member) + 2 < sizeof fake->log)
                str_format(fake->log + used, sizeof fake->log - used, "%s ", member);
}

static struct fake_characteristic *characteristic_at(struct fake_device *device, const char *path) {
        char own[BLE_PATH_MAX];

        for (size_t i = 0; device && device->table_shown && i < device->n_characteristics; i++) {
                characteristic_path(device, i, own);
                if (strcmp(own, path) == 0)
                        return &device->characteristics[i];
        }
        return NULL;
}

static bool dispatch(struct fake_bluez *fake, sd_bus_message *call) {
        const char *path = sd_bus_message_get_path(call), *member = sd_bus_message_get_member(call);
        struct fake_device *device = device_at(fake, path);
        struct fake_characteristic *characteristic = characteristic_at(device, path);

        if (strcmp(path, "/org/bluez") == 0) {
                call_manager(fake, member, call);
                return true;
        }
        for (size_t i = 0; i < FAKE_ADAPTERS_MAX; i++) {
                if (fake->adapters[i].exists && strcmp(fake->adapters[i].path, path) == 0) {
                        call_adapter(fake, &fake->adapters[i], member, call);
                        return true;
                }
        }
        if (characteristic)
                call_characteristic(characteristic, member, call);
        else if (device && strcmp(device->path, path) == 0)
                call_device(fake, device, member, call);
        else
                return false;
        return true;
}

static int on_message(sd_bus_message *message, void *ctx, sd_bus_error *ret_error) {
        struct fake_bluez *fake = ctx;

        (void) ret_error;
        if (!sd_bus_message_is_method_call(message, NULL, NULL))
                return 0;
        note_call(fake, sd_bus_message_get_member(message));
        if (fake->deny)
                answer_error(message, "org.freedesktop.DBus.Error.AccessDenied:Rejected send message");
        else if (sd_bus_message_is_method_call(message, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"))
                get_objects(fake, message);
        else if (!dispatch(fake, message))
                answer_error(message, "org.freedesktop.DBus.Error.UnknownObject:Method does not exist");
        return 1;
}

void fake_release(struct fake_bluez *fake, const char *error) {
        const char *path = sd_bus_message_get_path(fake->held);

        if (error) {
                answer_error(fake->held, error);
        } else {
                if (strcmp(sd_bus_message_get_member(fake->held), "Connect") == 0)
                        fake_connect(device_at(fake, path));
                answer_ok(fake->held);
        }
        fake->held = sd_bus_message_unref(fake->held);
}

/* ---- sockets */

void fake_notify(struct fake_device *device, struct fake_characteristic *characteristic, const void *data, size_t size) {
        char path[BLE_PATH_MAX];
        sd_bus_message *message;

        if (characteristic->notify_fd >= 0) {
                CHECK(send(characteristic->notify_fd, data, size, MSG_NOSIGNAL) < 0 ? -errno : 0);
                return;
        }
        characteristic_path(device, (size_t) (characteristic - device->characteristics), path);
        message = signal_new(device->fake, path, "org.freedesktop.DBus.Properties", "PropertiesChanged");
        CHECK(sd_bus_message_append_basic(message, 's', BLUEZ_CHARACTERISTIC));
        CHECK(sd_bus_message_open_container(message, 'a', "{sv}"));
        CHECK(sd_bus_message_open_container(message, 'e', "sv"));
        CHECK(sd_bus_message_append_basic(message, 's', "Value"));
        CHECK(sd_bus_message_open_container(message, 'v', "ay"));
        CHECK(sd_bus_message_append_array(message, 'y', data, size));
        for (int i = 0; i < 3; i++)
                CHECK(sd_bus_message_close_container(message));
        CHECK(sd_bus_message_append(message, "as", 0));
        signal_send(device->fake, message);
}

ssize_t fake_take(struct fake_characteristic *characteristic, void *data, size_t size) {
        return recv(characteristic->write_fd, data, size, MSG_DONTWAIT);
}

unsigned fake_count(const struct fake_bluez *fake, const char *call) {
        unsigned n = 0;

        for (const char *at = fake->log; (at = strstr(at, call)); at += strlen(call))
                n += (at == fake->log || at[-1] == ' ') && at[strlen(call)] == ' ';
        return n;
}

/* ---- life */

static int name_owned(sd_bus_message *reply, void *ctx, sd_bus_error *ret_error) {
        struct fake_bluez *fake = ctx;

        (void) ret_error;
        CHECK(sd_bus_message_is_method_error(reply, NULL) ? -EBUSY : 0);
        fake->connection = sd_bus_message_get_bus(reply);
        return 0;
}

static void on_connected(void *ctx, sd_bus *bus) {
        struct fake_bluez *fake = ctx;

        CHECK(sd_bus_add_filter(bus, &fake->filter, on_message, fake));
        CHECK(sd_bus_request_name_async(bus, NULL, BLUEZ_NAME, 0, name_owned, fake));
}

static void on_disconnected(void *ctx, const struct gw_error *why) {
        (void) ctx;
        (void) why;
}

static const struct bus_handler handler = { on_connected, on_disconnected };

void fake_start(struct fake_bluez *fake) {
        CHECK(bus_new(fake->loop, fake->bus_address, &handler, fake, &fake->bus));
        LOOP_UNTIL(fake->loop, fake->connection);
}

void fake_stop(struct fake_bluez *fake) {
        fake->held = sd_bus_message_unref(fake->held);
        fake->pairing = sd_bus_message_unref(fake->pairing);
        fake->filter = sd_bus_slot_unref(fake->filter);
        fake->connection = NULL;
        fake->agent[0] = '\0';
        bus_free(fake->bus);
        fake->bus = NULL;
        for (size_t i = 0; i < fake->n_devices; i++) {
                close_sockets(&fake->devices[i]);
                fake->devices[i].known = fake->devices[i].connected = fake->devices[i].resolved = fake->devices[i].table_shown = false;
        }
        for (size_t i = 0; i < FAKE_ADAPTERS_MAX; i++)
                fake->adapters[i].discovering = false;
}

void fake_init(struct fake_bluez *fake, struct loop *loop, const char *bus_address) {
        *fake = (struct fake_bluez){ .loop = loop };
        str_copy(fake->bus_address, sizeof fake->bus_address, bus_address);
        fake->devices = calloc(FAKE_DEVICES_MAX, sizeof *fake->devices);
        for (size_t i = 0; i < FAKE_ADAPTERS_MAX; i++)
                str_format(fake->adapters[i].path, sizeof fake->adapters[i].path, "/org/bluez/hci%zu", i);
        fake->adapters[0].exists = fake->adapters[0].powered = true;
        fake_start(fake);
}

void fake_deinit(struct fake_bluez *fake) {
        fake_stop(fake);
        free(fake->devices);
}

struct fake_device *fake_add(struct fake_bluez *fake, const char *address) {
        struct fake_device *device = &fake->devices[fake->n_devices++];
        char *at;

        if (fake->n_devices > FAKE_DEVICES_MAX)
                abort();
        *device = (struct fake_device){ .fake = fake, .type = "random", .name = "sensor", .advertises_service = true, .rssi = -60 };
        str_copy(device->address, sizeof device->address, address);
        str_format(device->path, sizeof device->path, "/org/bluez/hci0/dev_%s", address);
        for (at = device->path; (at = strchr(at, ':'));)
                *at = '_';
        fake_add_characteristic(device, FAKE_CHARACTERISTIC, "write-without-response notify");
        return device;
}

struct fake_characteristic *fake_add_characteristic(struct fake_device *device, const char *uuid, const char *flags) {
        struct fake_characteristic *characteristic = &device->characteristics[device->n_characteristics++];

        if (device->n_characteristics > FAKE_CHARACTERISTICS_MAX)
                abort();
        *characteristic = (struct fake_characteristic){ .uuid = uuid, .flags = flags, .mtu = 247, .notify_fd = -1, .write_fd = -1 };
        return characteristic;
}
