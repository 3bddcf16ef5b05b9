/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/smp_testing.h"

#include <stdlib.h>

/* ---- host */

struct gw_timer {
        struct gw_timer *next;
        struct testing_host *testing;
        int64_t due_ms;
        void (*fired)(void *ctx);
        void *ctx;
};

static int64_t host_now_ms(const struct gw_host *host) {
        return ((const struct testing_host *) host)->now_ms;
}

static int host_timer_start(const struct gw_host *host, int64_t delay_ms, void (*fired)(void *ctx), void *ctx,
                            struct gw_timer **ret_timer) {
        struct testing_host *testing = host->internal;
        struct gw_timer *timer = calloc(1, sizeof *timer), **at = &testing->timers;

        if (!timer)
                return -ENOMEM;
        *timer = (struct gw_timer){ .testing = testing, .due_ms = testing->now_ms + delay_ms, .fired = fired, .ctx = ctx };
        while (*at && (*at)->due_ms <= timer->due_ms)
                at = &(*at)->next;
        timer->next = *at;
        *at = timer;
        testing->n_started++;
        *ret_timer = timer;
        return 0;
}

static void host_timer_cancel(struct gw_timer *timer) {
        struct gw_timer **at;

        if (!timer)
                return;
        for (at = &timer->testing->timers; *at; at = &(*at)->next) {
                if (*at != timer)
                        continue;
                *at = timer->next;
                free(timer);
                return;
        }
        abort(); /* a timer that was not running */
}

static const struct gw_timer_api timer_api = {
        .size = sizeof(struct gw_timer_api),
        .now_ms = host_now_ms,
        .start = host_timer_start,
        .cancel = host_timer_cancel,
};

void testing_host_init(struct testing_host *testing) {
        *testing = (struct testing_host){ .now_ms = 1000000 };
        testing->host = (struct gw_host){ .size = sizeof testing->host, .abi = GW_ABI, .timer = &timer_api, .internal = testing };
}

void testing_host_deinit(struct testing_host *testing) {
        while (testing->timers)
                host_timer_cancel(testing->timers);
}

bool testing_host_step(struct testing_host *testing) {
        struct gw_timer *timer = testing->timers;
        void (*fired)(void *ctx);
        void *ctx;

        if (!timer)
                return false;
        testing->timers = timer->next;
        if (timer->due_ms > testing->now_ms)
                testing->now_ms = timer->due_ms;
        fired = timer->fired;
        ctx = timer->ctx;
        free(timer);
        testing->n_fired++;
        fired(ctx);
        return true;
}

void testing_host_advance(struct testing_host *testing, int64_t delay_ms) {
        int64_t until_ms = testing->now_ms + delay_ms;

        while (testing->timers && testing->timers->due_ms <= until_ms)
                testing_host_step(testing);
        testing->now_ms = until_ms;
}

/* ---- link */

static int link_send(struct gw_link *link, const void *data, size_t size) {
        struct testing_link *testing = (struct testing_link *) link;

        if (testing->send_result < 0)
                return testing->send_result;
        if (size > testing->max_datagram)
                return -EMSGSIZE;
        if (testing->n_room == 0)
                return -EAGAIN;
        if (testing->n_room != SIZE_MAX)
                testing->n_room--;
        if (testing->on_send)
                return testing->on_send(testing->on_send_ctx, data, size);
        if (testing->n_sent >= TESTING_SENT_MAX)
                abort();
        testing->sent[testing->n_sent].data = malloc(size > 0 ? size : 1);
        if (!testing->sent[testing->n_sent].data)
                abort();
        memcpy(testing->sent[testing->n_sent].data, data, size);
        testing->sent[testing->n_sent++].size = size;
        return 0;
}

static size_t link_max_datagram(struct gw_link *link) {
        return ((struct testing_link *) link)->max_datagram;
}

static size_t link_queued_bytes(struct gw_link *link) {
        return ((struct testing_link *) link)->queued_bytes;
}

static void link_close(struct gw_link *link) {
        ((struct testing_link *) link)->closed = true;
        link->handler = NULL;
}

static const struct gw_link_ops link_ops = {
        .send = link_send,
        .max_datagram = link_max_datagram,
        .queued_bytes = link_queued_bytes,
        .close = link_close,
};

void testing_link_init(struct testing_link *testing) {
        *testing = (struct testing_link){ .link.ops = &link_ops, .max_datagram = 1472, .n_room = SIZE_MAX };
}

void testing_link_deinit(struct testing_link *testing) {
        for (size_t i = 0; i < testing->n_sent; i++)
                free(testing->sent[i].data);
        testing->n_sent = 0;
}

void testing_link_open(struct testing_link *testing) {
        if (testing->link.handler)
                testing->link.handler->opened(testing->link.handler_ctx);
}

void testing_link_receive(struct testing_link *testing, const void *data, size_t size) {
        uint8_t *copy = malloc(size > 0 ? size : 1); /* so that a sanitizer sees every byte too far */

        if (!copy)
                abort();
        memcpy(copy, data, size);
        if (testing->link.handler)
                testing->link.handler->received(testing->link.handler_ctx, copy, size);
        free(copy);
}

void testing_link_receive_hex(struct testing_link *testing, const char *hex) {
        uint8_t bytes[4096];
        int size = testing_hex(hex, bytes, sizeof bytes);

        if (size < 0)
                abort();
        testing_link_receive(testing, bytes, (size_t) size);
}

void testing_link_writable(struct testing_link *testing) {
        if (testing->link.handler)
                testing->link.handler->writable(testing->link.handler_ctx);
}

void testing_link_lose(struct testing_link *testing) {
        struct gw_error why = { 0 };

        gw_error_set(&why, "link-lost", "unplugged");
        testing->send_result = -ENOTCONN;
        if (testing->link.handler)
                testing->link.handler->closed(testing->link.handler_ctx, &why);
}

static void print_hex(const char *what, const uint8_t *data, size_t size) {
        fprintf(stderr, "%s ", what);
        for (size_t i = 0; i < size; i++)
                fprintf(stderr, "%02x", data[i]);
        fprintf(stderr, "\n");
}

bool testing_link_sent_is(const struct testing_link *testing, size_t index, const char *hex) {
        uint8_t bytes[4096];
        int size = testing_hex(hex, bytes, sizeof bytes);

        if (size >= 0 && index < testing->n_sent && testing->sent[index].size == (size_t) size &&
            memcmp(testing->sent[index].data, bytes, (size_t) size) == 0)
                return true;
        fprintf(stderr, "datagram %zu of %zu, expected %s\n", index, testing->n_sent, hex);
        if (index < testing->n_sent)
                print_hex("  sent", testing->sent[index].data, testing->sent[index].size);
        return false;
}

static int hex_digit(char character) {
        if (character >= '0' && character <= '9')
                return character - '0';
        if (character >= 'a' && character <= 'f')
                return character - 'a' + 10;
        if (character >= 'A' && character <= 'F')
                return character - 'A' + 10;
        return -1;
}

int testing_hex(const char *hex, uint8_t *ret_bytes, size_t room) {
        size_t n = 0;

        for (; hex[0] && hex[1]; hex += 2) {
                int high = hex_digit(hex[0]), low = hex_digit(hex[1]);

                if (high < 0 || low < 0 || n >= room)
                        return -1;
                ret_bytes[n++] = (uint8_t) (high << 4 | low);
        }
        return hex[0] ? -1 : (int) n;
}
