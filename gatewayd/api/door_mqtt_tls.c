/* SPDX-License-Identifier: Apache-2.0 */
#include "api/door_mqtt_internal.h"

#include <stdlib.h>

#include "loop/worker.h"

/* A context for each attempt, so that renewed files count; reading them would block the loop, so a worker makes it. */
struct tls_making {
        struct door_tls *owner; /* NULL: it is gone */
        struct tls *tls;
        struct tls_options options;
        struct tls_context *context;
        struct gw_error error;
};

static void make(void *ctx) {
        struct tls_making *making = ctx;
        (void) tls_context_new(making->tls, &making->options, &making->context, &making->error);
}

static void is_made(void *ctx, int result) {
        struct tls_making *making = ctx;
        struct door_tls *owner = making->owner;
        (void) result;
        if (owner) {
                owner->making = NULL;
                owner->context = TAKE_PTR(making->context);
                owner->error = making->error;
                owner->is_fresh = true;
                owner->ready(owner->ctx);
        }
        tls_context_free(making->context);
        free(making);
}

static int begin_making(struct door_tls *door_tls) {
        struct tls_making *making = calloc(1, sizeof *making);
        int r;
        if (!making)
                return -ENOMEM;
        *making = (struct tls_making){ .owner = door_tls, .tls = door_tls->tls, .options = door_tls->options };
        r = worker_start(door_tls->loop, make, is_made, making, NULL);
        if (r < 0)
                free(making);
        else
                door_tls->making = making;
        return r;
}

static void *ssl_ctx(void *ctx, bool *ret_wait, struct gw_error *err) {
        struct door_tls *door_tls = ctx;
        if (door_tls->is_fresh) {
                door_tls->is_fresh = false;
                if (!door_tls->context)
                        *err = door_tls->error;
                return door_tls->context ? tls_context_ssl_ctx(door_tls->context) : NULL;
        }
        tls_context_free(TAKE_PTR(door_tls->context));
        *ret_wait = door_tls->making || begin_making(door_tls) >= 0;
        if (!*ret_wait)
                gw_error_set(err, "out-of-memory", "no memory for TLS to %s", door_tls->options.host);
        return NULL;
}

static void explain(void *ctx, struct gw_error *err) {
        struct door_tls *door_tls = ctx;
        struct gw_error why;
        if (door_tls->context && tls_context_failure(door_tls->context, &why))
                *err = why;
}

void door_tls_init(struct door_tls *door_tls, struct loop *loop, struct tls *tls, const struct tls_options *options, void (*ready)(void *ctx), void *ctx) {
        *door_tls = (struct door_tls){ .tls = tls, .options = *options, .loop = loop, .ready = ready, .ctx = ctx };
        door_tls->callbacks = (struct mqtt_tls){ .ssl_ctx = ssl_ctx, .explain = explain, .ctx = door_tls };
}

void door_tls_deinit(struct door_tls *door_tls) {
        if (door_tls->making)
                door_tls->making->owner = NULL;
        door_tls->making = NULL;
        tls_context_free(TAKE_PTR(door_tls->context));
}
