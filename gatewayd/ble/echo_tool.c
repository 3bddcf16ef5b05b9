/* SPDX-License-Identifier: Apache-2.0 */

/*
 * This floor against the machine's real Bluetooth service, without the rest of the daemon: finds a device by its name, opens its SMP
 * characteristic, sends datagrams that come back, and says how it ended. For the scenarios of tests/vm.
 *
 *     ble_echo NAME COUNT SIZE [stay | pair]
 *
 * stay: does not close, waits for the end of the connection. pair: pairs first, just-works. Prints a line for each thing that happens:
 * "state NAME", "heard KEY", "opened", "link MAX", "echoed COUNT BYTES", "link-closed NAME", "closed NAME", "failed NAME: TEXT".
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ble/ble.h"
#include "loop/timer.h"

#define SERVICE "8d53dc1d-1db7-4cd3-868b-8a527460aa84"
#define CHARACTERISTIC "da2e7828-fbce-4e01-ae9e-261174997c48"
#define WINDOW 8
#define PATIENCE_MS 120000
#define LEAVE_MS 3500
#define FIRST_MS 500

struct tool {
        struct loop *loop;
        struct ble *ble;
        const char *name;
        size_t count, size, n_sent, n_received, n_bytes;
        bool stay, pair;
        struct gw_gatt_wait *wait;
        struct gw_gatt_task *task;
        struct gw_gatt *gatt;
        struct gw_link *link;
        struct timer *patience, *first;
        char key[GW_GATT_KEY_SIZE];
        int exit;
};

static void stop(void *ctx) {
        struct tool *tool = ctx;

        tool->patience = NULL;
        loop_stop(tool->loop);
}

static void end(struct tool *tool, int code) {
        tool->exit = code;
        timer_cancel(tool->first);
        tool->first = NULL;
        if (tool->link)
                tool->link->ops->close(tool->link);
        ble_close(tool->gatt);
        tool->link = NULL;
        tool->gatt = NULL;
        /* Disconnecting takes its time, and is what the next one waits for. */
        timer_cancel(tool->patience);
        (void) timer_start(tool->loop, LEAVE_MS, stop, tool, &tool->patience);
}

static void fail(struct tool *tool, const struct gw_error *why) {
        printf("failed %s: %s\n", why->name, why->text);
        end(tool, 1);
}

/* A peripheral that is a BlueZ of its own loses what it says before it has its own socket: the first one is sent until it comes back. */
static void send_first(void *ctx) {
        struct tool *tool = ctx;
        uint8_t data[GW_GATT_ATTRIBUTE_MAX] = { 0 };

        tool->n_sent = 1;
        (void) tool->link->ops->send(tool->link, data, tool->size);
        (void) timer_start(tool->loop, FIRST_MS, send_first, tool, &tool->first);
}

static void send_more(struct tool *tool) {
        uint8_t data[GW_GATT_ATTRIBUTE_MAX] = { 0 };

        while (tool->n_sent < tool->count && tool->n_sent - tool->n_received < WINDOW) {
                memset(data, (int) tool->n_sent, tool->size);
                if (tool->link->ops->send(tool->link, data, tool->size) < 0)
                        return;
                tool->n_sent++;
        }
}

static void on_link_opened(void *ctx) {
        struct tool *tool = ctx;

        printf("link %zu\n", tool->link->ops->max_datagram(tool->link));
        send_first(tool);
}

static void on_received(void *ctx, const uint8_t *data, size_t size) {
        struct tool *tool = ctx;

        timer_cancel(tool->first);
        tool->first = NULL;
        if (size != tool->size || data[0] != (uint8_t) tool->n_received) {
                printf("failed wrong-echo: %zu bytes, number %u in place of %u\n", size, data[0], (unsigned) (uint8_t) tool->n_received);
                end(tool, 1);
                return;
        }
        tool->n_received++;
        tool->n_bytes += size;
        if (tool->n_received < tool->count) {
                send_more(tool);
                return;
        }
        printf("echoed %zu %zu\n", tool->n_received, tool->n_bytes);
        if (!tool->stay)
                end(tool, 0);
}

static void on_writable(void *ctx) {
        send_more(ctx);
}

static void on_link_closed(void *ctx, const struct gw_error *why) {
        struct tool *tool = ctx;

        timer_cancel(tool->first);
        tool->first = NULL;
        printf("link-closed %s: %s\n", why->name, why->text);
}

static const struct gw_link_handler link_handler = { on_link_opened, on_received, on_writable, on_link_closed };

static void on_opened(void *ctx) {
        const struct gw_gatt_link_options options = { .size = sizeof options, .uuid = CHARACTERISTIC, .notify = true, .write = GW_GATT_SEND_COMMAND };
        struct tool *tool = ctx;

        printf("opened\n");
        if (ble_link_open(tool->gatt, &options, &link_handler, tool, &tool->link) < 0)
                end(tool, 1);
}

static void on_closed(void *ctx, const struct gw_error *why) {
        struct tool *tool = ctx;

        printf("closed %s: %s\n", why->name, why->text);
        end(tool, tool->stay ? 0 : 1);
}

static const struct gw_gatt_handler device_handler = { on_opened, on_closed };

static void open_device(struct tool *tool) {
        const struct gw_gatt_open_options options = { .size = sizeof options, .key = tool->key, .service = SERVICE };

        if (ble_open(tool->ble, &options, &device_handler, tool, &tool->gatt) < 0)
                end(tool, 1);
}

static void on_paired(void *ctx, const struct gw_error *why, const uint8_t *data, size_t size) {
        struct tool *tool = ctx;

        (void) data;
        (void) size;
        if (why) {
                fail(tool, why);
                return;
        }
        printf("paired\n");
        open_device(tool);
}

static bool has_name(void *ctx, const struct gw_gatt_peer *peer) {
        return str_equal(peer->name, ((struct tool *) ctx)->name);
}

static void on_heard(void *ctx, const struct gw_gatt_peer *peer, const struct gw_error *why) {
        struct tool *tool = ctx;

        if (why) {
                fail(tool, why);
                return;
        }
        printf("heard %s\n", peer->key);
        (void) str_copy(tool->key, sizeof tool->key, peer->key);
        if (!tool->pair)
                open_device(tool);
        else if (ble_pair(tool->ble, tool->key, on_paired, tool, &tool->task) < 0)
                end(tool, 1);
}

static void out_of_patience(void *ctx) {
        struct tool *tool = ctx;

        tool->patience = NULL;
        printf("failed patience: %zu of %zu came back\n", tool->n_received, tool->count);
        end(tool, 1);
}

int main(int argc, char **argv) {
        const struct gw_gatt_wait_options wait = { .size = sizeof wait, .match = has_name, .timeout_ms = 60000 };
        struct tool tool = { .name = argc > 1 ? argv[1] : "" };
        struct ble_options options = { .sessions = 3, .attempts = 5 };

        if (argc < 4 || atoi(argv[3]) < 1 || atoi(argv[3]) > GW_GATT_ATTRIBUTE_MAX || loop_new(&tool.loop) < 0)
                return 64;
        setlinebuf(stdout);
        tool.count = (size_t) atoi(argv[2]);
        tool.size = (size_t) atoi(argv[3]);
        tool.stay = argc > 4 && strcmp(argv[4], "stay") == 0;
        tool.pair = argc > 4 && strcmp(argv[4], "pair") == 0;
        options.loop = tool.loop;
        options.pairing = tool.pair ? BLE_PAIRING_JUST_WORKS : BLE_PAIRING_NEVER;
        if (ble_new(&options, &tool.ble) < 0 || ble_wait(tool.ble, &wait, on_heard, &tool, &tool.wait) < 0 ||
            timer_start(tool.loop, PATIENCE_MS, out_of_patience, &tool, &tool.patience) < 0)
                return 1;
        loop_run(tool.loop);
        ble_free(tool.ble);
        loop_free(tool.loop);
        return tool.exit;
}
