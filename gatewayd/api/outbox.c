/* SPDX-License-Identifier: Apache-2.0 */
#include "api/outbox.h"

#include <stdlib.h>

#include "base/str.h"

struct outbox {
        struct api *api;
        char door[16];
        const struct outbox_handler *handler;
        void *ctx;
        int64_t delivered_seq;
        int64_t taken_seq;
        int64_t durable_seq;
        int64_t starting_seq; /* the newest row when this outbox was made */
        struct store_wait *starting;
        struct loop_deferral *deferral;
        bool listening;
};

bool outbox_has_more(const struct outbox *outbox) {
        return outbox->durable_seq > outbox->taken_seq;
}

int64_t outbox_delivered_seq(const struct outbox *outbox) {
        return outbox->delivered_seq;
}

static void tell(void *ctx) {
        struct outbox *outbox = ctx;
        outbox->deferral = NULL;
        if (outbox_has_more(outbox))
                outbox->handler->more(outbox->ctx);
}

static void tell_later(struct outbox *outbox) {
        if (!outbox->deferral)
                (void) loop_defer(outbox->api->options.loop, tell, outbox, &outbox->deferral);
}

/* --- what is durable --- */

static void rows_are_durable(struct outbox *outbox, int64_t seq) {
        bool was_done = !outbox_has_more(outbox);
        outbox->durable_seq = MAX(outbox->durable_seq, seq);
        if (was_done && outbox_has_more(outbox))
                tell_later(outbox);
}

static void event_came(void *ctx, const struct event_row *event) {
        rows_are_durable(ctx, event->seq);
}

static const struct update_listener listener = { .event = event_came };

static void start_is_durable(void *ctx, int result) {
        struct outbox *outbox = ctx;
        outbox->starting = NULL;
        if (result >= 0)
                rows_are_durable(outbox, outbox->starting_seq);
}

/* --- handing out --- */

struct taking {
        struct outbox *outbox;
        int (*each)(void *ctx, struct event_row *row);
        void *ctx;
        uint32_t n_taken;
        bool full;
};

static int take_row(void *ctx, struct event_row *row) {
        struct taking *taking = ctx;
        int64_t seq = row->seq;
        if (taking->full || seq > taking->outbox->durable_seq)
                return 0;
        if (taking->each(taking->ctx, row) != 0) {
                taking->full = true;
                return 0;
        }
        taking->outbox->taken_seq = seq;
        taking->n_taken++;
        return 0;
}

int outbox_next(struct outbox *outbox, uint32_t max_rows, int (*each)(void *ctx, struct event_row *row), void *ctx) {
        struct taking taking = { .outbox = outbox, .each = each, .ctx = ctx };
        int r = 0;
        if (max_rows > 0 && outbox_has_more(outbox))
                r = event_table_each(outbox->api->options.store, outbox->taken_seq + 1, max_rows, take_row, &taking);
        return r < 0 ? r : (int) taking.n_taken;
}

void outbox_delivered(struct outbox *outbox, int64_t seq) {
        seq = MIN(seq, outbox->taken_seq);
        if (seq <= outbox->delivered_seq)
                return;
        /* A store that cannot be written ends the daemon; the rows are delivered again after the next start. */
        if (event_table_advance(outbox->api->options.store, outbox->door, seq) >= 0)
                outbox->delivered_seq = seq;
}

void outbox_rewind(struct outbox *outbox) {
        outbox->taken_seq = outbox->delivered_seq;
        if (outbox_has_more(outbox))
                tell_later(outbox);
}

/* --- life --- */

int outbox_new(struct api *api, const char *door, const struct outbox_handler *handler, void *ctx, struct outbox **ret_outbox) {
        struct store *store = api->options.store;
        struct outbox *outbox = calloc(1, sizeof *outbox);
        int r;
        if (!outbox)
                return -ENOMEM;
        *outbox = (struct outbox){ .api = api, .handler = handler, .ctx = ctx, .starting_seq = event_table_newest(store) };
        r = str_copy(outbox->door, sizeof outbox->door, door);
        if (r >= 0)
                r = event_table_cursor(store, door, &outbox->delivered_seq);
        outbox->taken_seq = outbox->delivered_seq;
        if (r >= 0)
                r = update_listen(api->options.update, &listener, outbox);
        outbox->listening = r >= 0;
        if (r >= 0)
                r = store_sync(store, start_is_durable, outbox, &outbox->starting);
        if (r < 0) {
                outbox_free(outbox);
                return r;
        }
        *ret_outbox = outbox;
        return 0;
}

void outbox_free(struct outbox *outbox) {
        if (!outbox)
                return;
        if (outbox->listening)
                update_unlisten(outbox->api->options.update, &listener, outbox);
        store_sync_cancel(outbox->starting);
        loop_defer_cancel(outbox->deferral);
        free(outbox);
}
