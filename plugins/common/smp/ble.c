/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/ble.h"

#include <ctype.h>
#include <stdlib.h>

#include "common/smp/reserve.h"
#define SERIAL_NUMBER "00002a25-0000-1000-8000-00805f9b34fb" /* Device Information service, Bluetooth assigned numbers */

/*
 * Everything below may end the link from inside a callback to its owner, so the object lasts until the last callback returned
 * (n_callbacks, released), as in console.c.
 */
struct smp_ble {
        struct gw_link link; /* the datagram link */
        const struct gw_host *host;
        struct smp_ble_peer peer;
        uint32_t priority;
        int64_t fresh_ms;
        bool (*match)(void *ctx, const struct gw_gatt_peer *peer);
        void *match_ctx;

        struct gw_gatt_task *task; /* forget, or reading the serial number */
        struct gw_gatt_wait *wait;
        struct gw_gatt *gatt;
        struct gw_link *packets; /* the characteristic */
        bool is_open, ended;
        bool writable_wanted; /* send() said -EAGAIN */
        bool released;
        unsigned n_callbacks;

        uint8_t *message; /* what of it did not leave yet is [sent, size) */
        size_t message_capacity, message_size, message_sent;
        struct smp_ble_assembly assembly;
};

static struct smp_ble *ble_of(const struct gw_link *link) {
        return (struct smp_ble *) link;
}

static void destroy(struct smp_ble *ble) {
        smp_ble_assembly_deinit(&ble->assembly);
        free(ble->message);
        free(ble);
}

static void callback_enter(struct smp_ble *ble) {
        ble->n_callbacks++;
}

static void callback_leave(struct smp_ble *ble) {
        ble->n_callbacks--;
        if (ble->released && ble->n_callbacks == 0)
                destroy(ble);
}

/* Nothing comes from below any more. */
static void let_go(struct smp_ble *ble) {
        const struct gw_gatt_api *gatt = ble->host->gatt;

        gatt->task_cancel(ble->task);
        gatt->wait_cancel(ble->wait);
        if (ble->packets)
                ble->packets->ops->close(ble->packets);
        gatt->close(ble->gatt);
        ble->task = NULL;
        ble->wait = NULL;
        ble->packets = NULL;
        ble->gatt = NULL;
        ble->is_open = false;
}

/* The end that comes from below. What is below is closed first, so that the owner hears of it once. */
static void end(struct smp_ble *ble, const struct gw_error *why) {
        struct gw_error copy = *why;

        if (ble->ended || ble->released)
                return;
        ble->ended = true;
        let_go(ble);
        ble->link.handler->closed(ble->link.handler_ctx, &copy);
}

static void end_errno(struct smp_ble *ble, const char *what, int r) {
        struct gw_error err = { 0 };

        gw_error_set(&err, r == -ENOMEM ? "out-of-memory" : "link-lost", "%s: %s", what, strerror(-r));
        end(ble, &err);
}

/* ---- towards the characteristic */

static int flush(struct smp_ble *ble) {
        size_t packet_max = ble->packets->ops->max_datagram(ble->packets);

        while (ble->message_sent < ble->message_size) {
                size_t size = ble->message_size - ble->message_sent;
                int r;

                if (size > packet_max)
                        size = packet_max;
                r = ble->packets->ops->send(ble->packets, ble->message + ble->message_sent, size);
                if (r < 0)
                        return r;
                ble->message_sent += size;
        }
        return 0;
}

static int ble_send(struct gw_link *link, const void *data, size_t size) {
        struct smp_ble *ble = ble_of(link);
        int r;

        if (!ble->is_open)
                return -ENOTCONN;
        if (size > SMP_MESSAGE_MAX)
                return -EMSGSIZE;
        if (ble->message_sent < ble->message_size) {
                ble->writable_wanted = true;
                return -EAGAIN;
        }
        r = smp_reserve(&ble->message, &ble->message_capacity, size);
        if (r < 0)
                return r;
        memcpy(ble->message, data, size);
        ble->message_size = size;
        ble->message_sent = 0;
        r = flush(ble);
        if (r == -EAGAIN)
                return 0; /* the rest goes out with `writable` */
        if (r < 0)
                ble->message_size = ble->message_sent = 0;
        return r;
}

static size_t ble_max_datagram(struct gw_link *link) {
        (void) link;
        return SMP_MESSAGE_MAX;
}

static size_t ble_queued_bytes(struct gw_link *link) {
        struct smp_ble *ble = ble_of(link);
        size_t queued = ble->packets ? ble->packets->ops->queued_bytes(ble->packets) : 0;

        return queued + ble->message_size - ble->message_sent;
}

static void ble_close(struct gw_link *link) {
        struct smp_ble *ble = ble_of(link);

        let_go(ble);
        if (ble->n_callbacks > 0)
                ble->released = true;
        else
                destroy(ble);
}

static const struct gw_link_ops ble_ops = {
        .send = ble_send,
        .max_datagram = ble_max_datagram,
        .queued_bytes = ble_queued_bytes,
        .close = ble_close,
};

/* ---- from the characteristic */

static void packets_opened(void *ctx) {
        struct smp_ble *ble = ctx;

        callback_enter(ble);
        ble->is_open = true;
        ble->peer.packet_max = ble->packets->ops->max_datagram(ble->packets);
        ble->link.handler->opened(ble->link.handler_ctx);
        callback_leave(ble);
}

static void message_whole(void *ctx, const uint8_t *data, size_t size) {
        struct smp_ble *ble = ctx;

        ble->link.handler->received(ble->link.handler_ctx, data, size);
}

static void packets_received(void *ctx, const uint8_t *data, size_t size) {
        struct smp_ble *ble = ctx;

        callback_enter(ble);
        /* Without memory the answer is lost, and asked for again. */
        (void) smp_ble_assembly_feed(&ble->assembly, ble->host->timer->now_ms(ble->host), data, size, message_whole, ble);
        callback_leave(ble);
}

static void packets_writable(void *ctx) {
        struct smp_ble *ble = ctx;
        int r = flush(ble);

        callback_enter(ble);
        if (r < 0 && r != -EAGAIN) {
                end_errno(ble, "sending", r);
        } else if (r == 0 && ble->writable_wanted) {
                ble->writable_wanted = false;
                if (ble->link.handler->writable)
                        ble->link.handler->writable(ble->link.handler_ctx);
        }
        callback_leave(ble);
}

static void below_closed(void *ctx, const struct gw_error *why) {
        struct smp_ble *ble = ctx;

        callback_enter(ble);
        end(ble, why);
        callback_leave(ble);
}

static const struct gw_link_handler packets_handler = {
        .opened = packets_opened,
        .received = packets_received,
        .writable = packets_writable,
        .closed = below_closed,
};

/* ---- opening */

/* why: of what was tried before; where the device has ended, that is the reason. */
static void open_packets(struct smp_ble *ble, const struct gw_error *why) {
        const struct gw_gatt_link_options options = {
                .size = sizeof options,
                .uuid = SMP_BLE_CHARACTERISTIC,
                .notify = true,
                .write = GW_GATT_SEND_COMMAND,
        };
        int r = ble->host->gatt->link_open(ble->gatt, &options, &packets_handler, ble, &ble->packets);

        if (r == -ENOTCONN && why)
                end(ble, why);
        else if (r < 0)
                end_errno(ble, "opening the SMP characteristic", r);
}

static void serial_read(void *ctx, const struct gw_error *why, const uint8_t *data, size_t size) {
        struct smp_ble *ble = ctx;
        size_t used = 0;

        ble->task = NULL;
        for (size_t i = 0; !why && i < size && used < sizeof ble->peer.serial - 1; i++)
                if (isgraph(data[i]))
                        ble->peer.serial[used++] = (char) data[i];
        callback_enter(ble);
        if (!ble->ended)
                open_packets(ble, why);
        callback_leave(ble);
}

static void find_serial(void *ctx, const struct gw_gatt_characteristic *characteristic) {
        bool *found = ctx;

        if (strcmp(characteristic->uuid, SERIAL_NUMBER) == 0 && (characteristic->properties & GW_GATT_READ))
                *found = true;
}

static void keep_peer(void *ctx, const struct gw_gatt_peer *peer) {
        struct smp_ble *ble = ctx;

        snprintf(ble->peer.address, sizeof ble->peer.address, "%s", peer->address);
        ble->peer.bonded = peer->bonded;
        ble->peer.battery_percent = peer->battery_percent;
}

static void gatt_opened(void *ctx) {
        struct smp_ble *ble = ctx;
        const struct gw_gatt_api *gatt = ble->host->gatt;
        bool has_serial = false;

        callback_enter(ble);
        (void) gatt->peer(ble->gatt, keep_peer, ble);
        gatt->characteristics(ble->gatt, find_serial, &has_serial);
        if (!has_serial || gatt->read(ble->gatt, SERIAL_NUMBER, serial_read, ble, &ble->task) < 0)
                open_packets(ble, NULL);
        callback_leave(ble);
}

static const struct gw_gatt_handler gatt_handler = { .opened = gatt_opened, .closed = below_closed };

static int open_device(struct smp_ble *ble) {
        const struct gw_gatt_open_options options = {
                .size = sizeof options,
                .key = ble->peer.key,
                .priority = ble->priority,
                .service = SMP_BLE_SERVICE,
        };

        return ble->host->gatt->open(ble->host, &options, &gatt_handler, ble, &ble->gatt);
}

static void heard(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why) {
        struct smp_ble *ble = ctx;
        int r;

        ble->wait = NULL;
        callback_enter(ble);
        if (why) {
                end(ble, why);
        } else {
                snprintf(ble->peer.key, sizeof ble->peer.key, "%s", peer->key);
                r = open_device(ble);
                if (r < 0)
                        end_errno(ble, "opening the device", r);
        }
        callback_leave(ble);
}

static bool is_match(void *ctx, const struct gw_gatt_peer *peer) {
        struct smp_ble *ble = ctx;

        return ble->match(ble->match_ctx, peer);
}

static int await_advertisement(struct smp_ble *ble) {
        const struct gw_gatt_wait_options options = {
                .size = sizeof options,
                .key = ble->peer.key,
                .match = ble->match ? is_match : NULL,
                .timeout_ms = ble->fresh_ms,
        };

        return ble->host->gatt->wait(ble->host, &options, heard, ble, &ble->wait);
}

/* A peer that cannot be forgotten, for it is bonded, tells by itself that its table changed. */
static void forgotten(void *ctx, const struct gw_error *why, const uint8_t *data, size_t size) {
        struct smp_ble *ble = ctx;
        int r;

        (void) why;
        (void) data;
        (void) size;
        ble->task = NULL;
        callback_enter(ble);
        r = await_advertisement(ble);
        if (r < 0)
                end_errno(ble, "waiting for the device", r);
        callback_leave(ble);
}

int smp_ble_open(const struct gw_host *host, const struct smp_ble_options *options, const struct gw_link_handler *handler, void *ctx,
                 struct gw_link **ret_link) {
        struct smp_ble *ble;
        int r;

        if (!host->gatt)
                return -ENOTSUP;
        if (!options->key || strlen(options->key) >= sizeof ble->peer.key)
                return -EINVAL;
        ble = calloc(1, sizeof *ble);
        if (!ble)
                return -ENOMEM;
        ble->link = (struct gw_link){ .ops = &ble_ops, .handler = handler, .handler_ctx = ctx };
        ble->host = host;
        ble->peer.battery_percent = GW_BATTERY_UNKNOWN;
        ble->priority = options->priority;
        ble->fresh_ms = options->fresh_ms;
        ble->match = options->match;
        ble->match_ctx = options->match_ctx;
        snprintf(ble->peer.key, sizeof ble->peer.key, "%s", options->key);
        r = options->fresh_ms > 0 ? host->gatt->forget(host, ble->peer.key, forgotten, ble, &ble->task) : open_device(ble);
        if (r < 0) {
                free(ble);
                return r;
        }
        *ret_link = &ble->link;
        return 0;
}

/* The service reads it by itself when the device is connected, at its leisure. */
static void keep_battery(void *ctx, const struct gw_gatt_peer *peer) {
        struct smp_ble *ble = ctx;

        if (peer->battery_percent != GW_BATTERY_UNKNOWN)
                ble->peer.battery_percent = peer->battery_percent;
}

void smp_ble_look(struct gw_link *link) {
        struct smp_ble *ble = ble_of(link);

        if (ble->gatt && !ble->ended)
                (void) ble->host->gatt->peer(ble->gatt, keep_battery, ble);
}

const struct smp_ble_peer *smp_ble_peer(const struct gw_link *link) {
        return &ble_of(link)->peer;
}
