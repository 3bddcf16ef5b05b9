/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A characteristic as a datagram link.
 *
 *      PROBE --StartNotify, StopNotify--> NOTIFY --AcquireNotify--> WRITE --AcquireWrite--> OPEN --> CLOSED
 *
 * The probe is for refusals: before 5.84 bluetoothd does not answer when a device refuses AcquireNotify for want of a bond, keeps a pointer to what
 * it freed, and crashes at the next StopNotify or RemoveDevice. It answers StartNotify properly. The same pointer stays when the link is lost in the
 * middle of AcquireNotify; so StopNotify is never sent but for a StartNotify of ours.
 *
 * First the one, then the other, so that no answer can be missed. Both hand over a socket: one datagram is one packet on the air, and what
 * the radio cannot take yet makes the socket full. The MTU stands in the answers; it is known only after it was negotiated. A service or a
 * characteristic that does not offer sockets is used by StartNotify and WriteValue instead, a few calls at a time.
 */

#include "ble/internal.h"

#include <fcntl.h>

#include "loop/datagram.h"

#define ATT_HEADER 3
#define ATT_MTU_MIN 23

enum link_state {
        LINK_PROBE,
        LINK_NOTIFY,
        LINK_WRITE,
        LINK_OPEN,
        LINK_CLOSED,
};

struct write_slot {
        struct call call;
        struct link *link;
        size_t size;
};

struct link {
        struct gw_link link;
        struct list node;        /* of its session */
        struct gw_gatt *session; /* NULL: ended, or its session did */
        struct ble *ble;
        enum link_state state;
        bool notify;
        enum gw_gatt_write write;
        char uuid[GW_GATT_UUID_SIZE];
        char path[BLE_PATH_MAX]; /* of the characteristic, as long as the device is connected */
        uint32_t properties;
        uint16_t mtu;
        struct call call;
        int notify_fd, write_fd; /* until OPEN */
        struct datagram *reader, *writer;
        sd_bus_slot *values;     /* the match of a subscription without a socket */
        bool started;            /* StartNotify was sent, and not refused or taken back */
        bool by_call;            /* writes by WriteValue */
        struct write_slot writes[BLE_LINK_WRITES_MAX];
        bool want_writable;
        unsigned n_tries;        /* InProgress */
        struct timer *timer;     /* a try again; the grace after a hang-up */
        struct gw_error error;   /* told later */
};

static struct link *link_of(struct gw_link *link) {
        return container_of(link, struct link, link);
}

static sd_bus *bus_of(const struct link *link) {
        return ble_bus(link->ble);
}

/* --- the end --- */

static void close_fd(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

/* Everything but the memory. */
static void release(struct link *link) {
        call_cancel(&link->call);
        for (size_t i = 0; i < ARRAY_SIZE(link->writes); i++)
                call_cancel(&link->writes[i].call);
        timer_cancel(TAKE_PTR(link->timer));
        datagram_close(TAKE_PTR(link->reader));
        datagram_close(TAKE_PTR(link->writer));
        close_fd(&link->notify_fd);
        close_fd(&link->write_fd);
        if (link->started && link->session && link->session->state == SESSION_OPEN)
                call_forget(bus_of(link), link->path, BLUEZ_CHARACTERISTIC, "StopNotify");
        link->values = sd_bus_slot_unref(link->values);
        list_remove(&link->node);
        link->session = NULL;
        link->state = LINK_CLOSED;
}

static void link_end(struct link *link, const struct gw_error *why) {
        release(link);
        link->link.handler->closed(link->link.handler_ctx, why);
}

static void link_close(struct gw_link *gw_link) {
        struct link *link = link_of(gw_link);
        if (link->state != LINK_CLOSED)
                release(link);
        timer_cancel(link->timer);
        free(link);
}

void links_end(struct gw_gatt *session, const struct gw_error *why) {
        struct link *link;
        while ((link = LIST_FIRST(&session->links, struct link, node)))
                link_end(link, why);
}

void links_drop(struct gw_gatt *session) {
        struct link *link;
        while ((link = LIST_FIRST(&session->links, struct link, node)))
                release(link);
}

static void grace_is_over(void *ctx) {
        struct link *link = ctx;
        struct gw_error why = { 0 };
        link->timer = NULL;
        if (link->session->ending)
                return; /* the session is about to say why */
        gw_error_set(&why, "link-lost", "%s: the characteristic went away while the device stayed connected", link->uuid);
        link_end(link, &why);
}

/* The device's own end, which comes next as a rule, says why. */
static void link_hang_up(struct link *link) {
        if (link->timer)
                return;
        if (timer_start(link->ble->loop, BLE_HANG_UP_GRACE_MS, grace_is_over, link, &link->timer) < 0)
                grace_is_over(link);
}

void links_attribute_gone(struct gw_gatt *session, const struct attribute *attribute) {
        struct link *link, *next;
        LIST_FOREACH_SAFE(link, next, &session->links, node) {
                if (strcmp(link->path, attribute->path) != 0)
                        continue;
                link_hang_up(link);
        }
}

/* --- receiving --- */

static void on_received(void *ctx, const uint8_t *data, size_t size) {
        struct link *link = ctx;
        link->link.handler->received(link->link.handler_ctx, data, size);
}

static void on_writable(void *ctx) {
        struct link *link = ctx;
        if (link->link.handler->writable)
                link->link.handler->writable(link->link.handler_ctx);
}

static void on_ended(void *ctx) {
        link_hang_up(ctx);
}

static const struct datagram_handler datagram_handler = { on_received, on_writable, on_ended };

/* "sa{sv}as": a value that was notified. */
static int read_value(sd_bus_message *signal, const void **ret_data, size_t *ret_size) {
        const char *interface, *name;
        int r = sd_bus_message_read_basic(signal, 's', &interface);
        if (r >= 0)
                r = sd_bus_message_enter_container(signal, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(signal, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(signal, 's', &name);
                if (r >= 0 && strcmp(name, "Value") == 0) {
                        r = sd_bus_message_enter_container(signal, 'v', "ay");
                        return r < 0 ? r : sd_bus_message_read_array(signal, 'y', ret_data, ret_size);
                }
                if (r >= 0)
                        r = sd_bus_message_skip(signal, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(signal);
        }
        return r < 0 ? r : 0;
}

static int on_value(sd_bus_message *signal, void *ctx, sd_bus_error *ret_error) {
        struct link *link = ctx;
        const void *data = NULL;
        size_t size = 0;
        (void) ret_error;
        if (link->state == LINK_OPEN && read_value(signal, &data, &size) > 0)
                link->link.handler->received(link->link.handler_ctx, data, size);
        return 0;
}

/* --- opening, one answer after the other --- */

static void link_step(struct link *link);

static void link_fail(struct link *link, const char *name, const char *text) {
        struct gw_error why = { 0 };
        gw_error_set(&why, name, "%s: %s", link->uuid, text);
        link_end(link, &why);
}

static bool is_not_offered(const sd_bus_error *error) {
        return str_equal(error->name, "org.bluez.Error.NotSupported") || str_equal(error->name, SD_BUS_ERROR_UNKNOWN_METHOD);
}

static void try_again(void *ctx) {
        struct link *link = ctx;
        link->timer = NULL;
        link_step(link);
}

static void link_refused(struct link *link, const sd_bus_error *error) {
        struct gw_error why = { 0 };
        if (link->state != LINK_OPEN && str_equal(error->name, "org.bluez.Error.InProgress") && link->n_tries++ < BLE_LINK_TRIES_MAX &&
            timer_start(link->ble->loop, ble_time(link->ble, BLE_LINK_RETRY_MS), try_again, link, &link->timer) >= 0)
                return;
        session_error(link->session->device, error, &why);
        gw_error_prefix(&why, "%s", link->uuid);
        link_end(link, &why);
}

/* The descriptor belongs to the message. */
static int read_socket(sd_bus_message *reply, int *ret_fd, uint16_t *ret_mtu) {
        uint16_t mtu;
        int fd, r = sd_bus_message_read(reply, "hq", &fd, &mtu);
        if (r < 0)
                return r;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        (void) fcntl(fd, F_SETFL, O_NONBLOCK);
        *ret_fd = fd;
        *ret_mtu = mtu;
        return 0;
}

static void next_state(struct link *link) {
        link->state++;
        link_step(link);
}

static void acquired(struct link *link, sd_bus_message *reply, int *fd) {
        if (read_socket(reply, fd, &link->mtu) < 0) {
                link_fail(link, "gatt-failed", "the Bluetooth service handed over no socket");
                return;
        }
        next_state(link);
}

static void call_link(struct link *link, const char *member, void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error)) {
        sd_bus_message *message = NULL;
        int r = call_prepare(bus_of(link), link->path, BLUEZ_CHARACTERISTIC, member, &message);
        bool acquires = str_starts_with(member, "Acquire");
        if (r >= 0 && acquires && (r = sd_bus_message_append(message, "a{sv}", 0)) < 0)
                sd_bus_message_unref(message);
        else if (r >= 0)
                r = call_send(&link->call, message, BLE_ACQUIRE_TIMEOUT_MS, answered, link);
        if (r < 0)
                link_fail(link, "gatt-failed", strerror(-r));
}

static void start_notify(struct link *link, void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error)) {
        link->started = true;
        call_link(link, "StartNotify", answered);
}

static void start_notify_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct link *link = ctx;
        (void) reply;
        link->started = !error;
        if (error) {
                link_refused(link, error);
                return;
        }
        link->state = LINK_WRITE;
        link_step(link);
}

/* Without a socket: signals of this one object. */
static void subscribe(struct link *link) {
        char rule[512];
        (void) str_format(rule, sizeof rule,
                          "type='signal',sender='org.bluez',path='%s',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
                          "arg0='org.bluez.GattCharacteristic1'",
                          link->path);
        link->values = sd_bus_slot_unref(link->values); /* of an earlier try */
        if (sd_bus_add_match_async(bus_of(link), &link->values, rule, on_value, NULL, link) < 0)
                link_fail(link, "gatt-failed", "the bus takes no subscription");
        else
                start_notify(link, start_notify_answered);
}

static void notify_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct link *link = ctx;
        if (error && is_not_offered(error))
                subscribe(link);
        else if (error)
                link_refused(link, error);
        else
                acquired(link, reply, &link->notify_fd);
}

static void write_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct link *link = ctx;
        if (error && is_not_offered(error)) {
                link->by_call = true;
                link->state = LINK_OPEN;
                link_step(link);
        } else if (error) {
                link_refused(link, error);
        } else {
                acquired(link, reply, &link->write_fd);
        }
}

static void probe_stopped(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        (void) reply;
        (void) error; /* AcquireNotify will say it */
        next_state(ctx);
}

static void probe_answered(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct link *link = ctx;
        (void) reply;
        link->started = false;
        if (!error)
                call_link(link, "StopNotify", probe_stopped);
        else if (is_not_offered(error))
                next_state(link);
        else if (error->message && strstr(error->message, "ATT error: 0x0e"))
                /* bluetoothd began to encrypt by itself, for the device had asked for it, and nobody agreed to a bond. */
                link_fail(link, "encryption-required", error->message);
        else
                link_refused(link, error);
}

static int open_sockets(struct link *link) {
        int r = 0;
        if (link->notify_fd >= 0)
                r = datagram_open(link->ble->loop, TAKE_FD(link->notify_fd), &datagram_handler, link, &link->reader);
        if (r >= 0 && link->write_fd >= 0)
                r = datagram_open(link->ble->loop, TAKE_FD(link->write_fd), &datagram_handler, link, &link->writer);
        return r;
}

static void link_opened(struct link *link) {
        if (open_sockets(link) < 0)
                link_fail(link, "gatt-failed", "no memory for its sockets");
        else if (link->link.handler->opened)
                link->link.handler->opened(link->link.handler_ctx);
}

static void link_step(struct link *link) {
        if (link->state <= LINK_NOTIFY && !link->notify)
                link->state = LINK_WRITE;
        if (link->state == LINK_WRITE && link->write != GW_GATT_SEND_COMMAND) {
                link->by_call = link->write == GW_GATT_SEND_REQUEST;
                link->state = LINK_OPEN;
        }
        switch (link->state) {
        case LINK_PROBE:
                start_notify(link, probe_answered);
                break;
        case LINK_NOTIFY:
                call_link(link, "AcquireNotify", notify_answered);
                break;
        case LINK_WRITE:
                call_link(link, "AcquireWrite", write_answered);
                break;
        case LINK_OPEN:
                link_opened(link);
                break;
        case LINK_CLOSED:
                break;
        }
}

/* --- writing without a socket --- */

static size_t room(const struct link *link) {
        size_t n_free = 0, limit = link->write == GW_GATT_SEND_REQUEST ? 1 : ARRAY_SIZE(link->writes);
        for (size_t i = 0; i < limit; i++)
                n_free += !call_is_out(&link->writes[i].call);
        return n_free;
}

static void value_written(void *ctx, sd_bus_message *reply, const sd_bus_error *error) {
        struct write_slot *slot = ctx;
        struct link *link = slot->link;
        (void) reply;
        if (error) {
                link_refused(link, error);
                return;
        }
        if (!link->want_writable)
                return;
        link->want_writable = false;
        on_writable(link);
}

int value_write(struct call *call, sd_bus *bus, const char *path, const void *data, size_t size, enum gw_gatt_write kind,
                void (*answered)(void *ctx, sd_bus_message *reply, const sd_bus_error *error), void *ctx) {
        sd_bus_message *message = NULL;
        int r = call_prepare(bus, path, BLUEZ_CHARACTERISTIC, "WriteValue", &message);
        if (r < 0)
                return r;
        r = sd_bus_message_append_array(message, 'y', data, size);
        if (r >= 0)
                r = sd_bus_message_append(message, "a{sv}", 1, "type", "s", kind == GW_GATT_SEND_COMMAND ? "command" : "request");
        if (r < 0) {
                sd_bus_message_unref(message);
                return r;
        }
        return call_send(call, message, BLE_ACCESS_TIMEOUT_MS, answered, ctx);
}

static int send_by_call(struct link *link, const void *data, size_t size) {
        struct write_slot *slot = link->writes;
        if (room(link) == 0) {
                link->want_writable = true;
                return -EAGAIN;
        }
        while (call_is_out(&slot->call))
                slot++;
        slot->link = link;
        slot->size = size;
        return value_write(&slot->call, bus_of(link), link->path, data, size, link->write, value_written, slot);
}

/* --- the operations --- */

static size_t max_datagram(const struct link *link) {
        return MIN((size_t) MAX(link->mtu, (uint16_t) ATT_MTU_MIN) - ATT_HEADER, (size_t) GW_GATT_ATTRIBUTE_MAX);
}

static int link_send(struct gw_link *gw_link, const void *data, size_t size) {
        struct link *link = link_of(gw_link);
        int r;
        if (link->state != LINK_OPEN || link->timer)
                return -ENOTCONN;
        if (link->write == GW_GATT_SEND_NONE)
                return -EPERM;
        if (size > max_datagram(link))
                return -EMSGSIZE;
        r = link->writer ? datagram_send(link->writer, data, size) : send_by_call(link, data, size);
        if (r == -EPIPE)
                link_hang_up(link);
        return r == -EPIPE ? -ENOTCONN : r;
}

static size_t link_max_datagram(struct gw_link *gw_link) {
        return max_datagram(link_of(gw_link));
}

static size_t link_queued_bytes(struct gw_link *gw_link) {
        const struct link *link = link_of(gw_link);
        size_t n_bytes = link->writer ? datagram_queued_bytes(link->writer) : 0;
        for (size_t i = 0; i < ARRAY_SIZE(link->writes); i++)
                n_bytes += call_is_out(&link->writes[i].call) ? link->writes[i].size : 0;
        return n_bytes;
}

static const struct gw_link_ops link_ops = {
        .send = link_send,
        .max_datagram = link_max_datagram,
        .queued_bytes = link_queued_bytes,
        .close = link_close,
};

/* --- what can be refused without a question --- */

static void refuse(void *ctx) {
        struct link *link = ctx;
        struct gw_error why = link->error;
        link->timer = NULL;
        link_end(link, &why);
}

static bool is_linked(const struct gw_gatt *session, const char *path) {
        const struct link *link;
        LIST_FOREACH(link, &session->links, node)
                if (strcmp(link->path, path) == 0)
                        return true;
        return false;
}

static bool lacks(const struct attribute *attribute, const struct gw_gatt_link_options *options) {
        return (options->notify && !(attribute->properties & (GW_GATT_NOTIFY | GW_GATT_INDICATE))) ||
               (options->write == GW_GATT_SEND_COMMAND && !(attribute->properties & GW_GATT_WRITE_COMMAND)) ||
               (options->write == GW_GATT_SEND_REQUEST && !(attribute->properties & GW_GATT_WRITE));
}

static void link_check(struct link *link, const struct attribute *attribute, const struct gw_gatt_link_options *options) {
        if (!attribute)
                gw_error_set(&link->error, "gatt-characteristic-missing", "%s has no characteristic %s", link->session->key, link->uuid);
        else if (is_linked(link->session, attribute->path))
                gw_error_set(&link->error, "gatt-not-permitted", "%s is open already", link->uuid);
        else if (lacks(attribute, options))
                gw_error_set(&link->error, "gatt-not-permitted", "%s does not offer it", link->uuid);
        if (attribute && !gw_error_is_set(&link->error))
                (void) str_copy(link->path, sizeof link->path, attribute->path);
}

static void begin(void *ctx) {
        struct link *link = ctx;
        link->timer = NULL;
        link_step(link);
}

int ble_link_open(struct gw_gatt *session, const struct gw_gatt_link_options *options, const struct gw_link_handler *handler, void *ctx, struct gw_link **ret_link) {
        const struct attribute *attribute;
        struct link *link;
        int r;
        if (session->state != SESSION_OPEN || !session->device)
                return -ENOTCONN;
        link = calloc(1, sizeof *link);
        if (!link)
                return -ENOMEM;
        *link = (struct link){ .link = { &link_ops, handler, ctx },
                               .session = session,
                               .ble = session->ble,
                               .notify = options->notify,
                               .write = options->write,
                               .notify_fd = -1,
                               .write_fd = -1 };
        if (ble_uuid_normalize(options->uuid, link->uuid) < 0) {
                free(link);
                return -EINVAL;
        }
        attribute = device_characteristic(session->device, link->uuid);
        link->mtu = attribute ? attribute->mtu : 0;
        link_check(link, attribute, options);
        r = timer_start(session->ble->loop, 0, gw_error_is_set(&link->error) ? refuse : begin, link, &link->timer);
        if (r < 0) {
                free(link);
                return r;
        }
        list_append(&session->links, &link->node);
        *ret_link = &link->link;
        return 0;
}
