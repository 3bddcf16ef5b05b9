/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/console.h"

#include <stdlib.h>

#include "common/smp/reserve.h"
/* Bytes given to the byte link at once: it takes all or nothing, and its queue may be smaller than a message. */
#define PIECE_MAX 1024

struct smp_console {
        struct gw_link link; /* the datagram link */
        struct gw_link *bytes;
        struct smp_console_decoder decoder;
        size_t message_max;
        bool is_open;
        bool writable_wanted; /* send() said -EAGAIN */
        bool released;        /* closed from inside a callback: freed when it returns */
        unsigned n_callbacks; /* of ours that are on the stack */

        uint8_t *lines; /* encoded message; what the byte link did not take yet is [sent, size) */
        size_t lines_capacity;
        size_t lines_sent, lines_size;
};

static void console_destroy(struct smp_console *console) {
        smp_console_decoder_deinit(&console->decoder);
        free(console->lines);
        free(console);
}

static void callback_enter(struct smp_console *console) {
        console->n_callbacks++;
}

static void callback_leave(struct smp_console *console) {
        console->n_callbacks--;
        if (console->released && console->n_callbacks == 0)
                console_destroy(console);
}

/* ---- towards the byte link */

/* 0 when all was taken, else what the byte link said. */
static int lines_flush(struct smp_console *console) {
        while (console->lines_sent < console->lines_size) {
                size_t size = console->lines_size - console->lines_sent;
                int r;

                if (size > PIECE_MAX)
                        size = PIECE_MAX;
                r = console->bytes->ops->send(console->bytes, console->lines + console->lines_sent, size);
                if (r < 0)
                        return r;
                console->lines_sent += size;
        }
        return 0;
}

static int console_send(struct gw_link *link, const void *data, size_t size) {
        struct smp_console *console = (struct smp_console *) link;
        int r;

        if (!console->is_open)
                return -ENOTCONN;
        if (size > console->message_max)
                return -EMSGSIZE;
        if (console->lines_sent < console->lines_size) {
                console->writable_wanted = true;
                return -EAGAIN;
        }
        r = smp_reserve(&console->lines, &console->lines_capacity, smp_console_encoded_size(size));
        if (r < 0)
                return r;
        console->lines_sent = console->lines_size = 0;
        r = smp_console_encode(data, size, console->lines, console->lines_capacity, &console->lines_size);
        if (r < 0)
                return r;
        r = lines_flush(console);
        /* A full byte queue is no failure: the message waits here and goes out with `writable`. */
        return r == -EAGAIN ? 0 : r;
}

static size_t console_max_datagram(struct gw_link *link) {
        return ((struct smp_console *) link)->message_max;
}

static size_t console_queued_bytes(struct gw_link *link) {
        struct smp_console *console = (struct smp_console *) link;
        size_t queued = console->bytes ? console->bytes->ops->queued_bytes(console->bytes) : 0;

        return queued + console->lines_size - console->lines_sent;
}

static void console_close(struct gw_link *link) {
        struct smp_console *console = (struct smp_console *) link;

        if (console->bytes)
                console->bytes->ops->close(console->bytes);
        console->bytes = NULL;
        console->is_open = false;
        console->link.handler = NULL;
        if (console->n_callbacks > 0)
                console->released = true;
        else
                console_destroy(console);
}

static const struct gw_link_ops console_ops = {
        .send = console_send,
        .max_datagram = console_max_datagram,
        .queued_bytes = console_queued_bytes,
        .close = console_close,
};

/* ---- from the byte link */

static void on_opened(void *ctx) {
        struct smp_console *console = ctx;

        console->is_open = true;
        callback_enter(console);
        if (console->link.handler && console->link.handler->opened)
                console->link.handler->opened(console->link.handler_ctx);
        callback_leave(console);
}

static void on_bytes(void *ctx, const uint8_t *data, size_t size) {
        struct smp_console *console = ctx;

        callback_enter(console);
        smp_console_decoder_feed(&console->decoder, data, size);
        callback_leave(console);
}

static void on_message(void *ctx, const uint8_t *data, size_t size) {
        struct smp_console *console = ctx;

        if (console->link.handler && console->link.handler->received)
                console->link.handler->received(console->link.handler_ctx, data, size);
}

static void on_writable(void *ctx) {
        struct smp_console *console = ctx;

        if (!console->is_open || lines_flush(console) < 0 || !console->writable_wanted)
                return;
        console->writable_wanted = false;
        callback_enter(console);
        if (console->link.handler && console->link.handler->writable)
                console->link.handler->writable(console->link.handler_ctx);
        callback_leave(console);
}

static void on_closed(void *ctx, const struct gw_error *why) {
        struct smp_console *console = ctx;

        console->is_open = false;
        console->lines_sent = console->lines_size = 0;
        callback_enter(console);
        if (console->link.handler && console->link.handler->closed)
                console->link.handler->closed(console->link.handler_ctx, why);
        callback_leave(console);
}

const struct gw_link_handler smp_console_link_handler = {
        .opened = on_opened,
        .received = on_bytes,
        .writable = on_writable,
        .closed = on_closed,
};

/* ---- life */

int smp_console_new(const struct smp_console_options *options, struct smp_console **ret_console) {
        struct smp_console *console = calloc(1, sizeof *console);

        if (!console)
                return -ENOMEM;
        console->link.ops = &console_ops;
        console->message_max = options && options->message_max > 0 ? options->message_max : SMP_MESSAGE_MAX;
        smp_console_decoder_init(&console->decoder, 0);
        console->decoder.message = on_message;
        console->decoder.ctx = console;
        if (options) {
                console->decoder.noise = options->noise;
                console->decoder.noise_ctx = options->noise_ctx;
        }
        *ret_console = console;
        return 0;
}

void smp_console_free(struct smp_console *console) {
        if (console)
                console_close(&console->link);
}

void smp_console_attach(struct smp_console *console, struct gw_link *bytes) {
        console->bytes = bytes;
        bytes->handler = &smp_console_link_handler;
        bytes->handler_ctx = console;
}

struct gw_link *smp_console_link(struct smp_console *console) {
        return &console->link;
}

const struct smp_console_statistics *smp_console_statistics(const struct smp_console *console) {
        return &console->decoder.statistics;
}
