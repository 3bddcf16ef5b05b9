/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/str.h"
#include "loop/http.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "trust/tls_internal.h"

/* TLS of one request: its authorities, and the watch of its newest connection. */
struct session {
        struct tls *tls; /* a reference */
        char *ca_file;   /* NULL = the system's */
        char use[TLS_USE_SIZE];
        struct tls_authorities *authorities;
        struct tls_watch *watch; /* NULL before the first connection */
        struct loop_deferral *found;
        bool reading;   /* on a worker, which has `authorities` and `error` until it is done */
        bool is_closed; /* while reading: freed at its end */
        void (*ready)(void *ctx, int result, const struct gw_error *err);
        void *ctx;
        int result;
        struct gw_error error;
};

static void session_free(struct session *session) {
        loop_defer_cancel(session->found);
        if (session->watch)
                tls_watch_unreference(session->watch);
        if (session->authorities)
                tls_authorities_unreference(session->authorities);
        tls_unreference(session->tls);
        free(session->ca_file);
        free(session);
}

static void on_worker(void *ctx) {
        struct session *session = ctx;

        session->result = tls_authorities_read(session->tls, session->ca_file, &session->authorities, &session->error);
}

static void on_read(void *ctx, int result) {
        struct session *session = ctx;

        session->reading = false;
        if (session->is_closed) {
                session_free(session);
                return;
        }
        if (result < 0)
                session->result = result;
        if (session->result == 0)
                tls_authorities_keep(session->authorities);
        session->ready(session->ctx, session->result, &session->error);
}

static void on_found(void *ctx) {
        struct session *session = ctx;

        session->found = NULL;
        session->ready(session->ctx, 0, &session->error);
}

static int session_begin(struct session *session) {
        int r = tls_authorities_peek(session->tls, session->ca_file, &session->authorities);

        if (r == 0) {
                tls_authorities_keep(session->authorities);
                return loop_defer(session->tls->loop, on_found, session, &session->found);
        }
        session->reading = true;
        return worker_start(session->tls->loop, on_worker, on_read, session, NULL);
}

static int session_open(void *ctx, const struct http_tls_request *request,
                        void (*ready)(void *ready_ctx, int result, const struct gw_error *err), void *ready_ctx, void **ret_session) {
        struct session *session = calloc(1, sizeof *session);
        int r = 0;

        if (!session)
                return -ENOMEM;
        session->tls = tls_reference(ctx);
        session->ready = ready;
        session->ctx = ready_ctx;
        (void) str_copy(session->use, sizeof session->use, request->use ? request->use : "http");
        if (request->ca_file) {
                session->ca_file = strdup(request->ca_file);
                r = session->ca_file ? 0 : -ENOMEM;
        }
        if (r == 0)
                r = session_begin(session);
        if (r < 0) {
                session_free(session);
                return r;
        }
        *ret_session = session;
        return 0;
}

static void session_close(void *ctx) {
        struct session *session = ctx;

        session->is_closed = true;
        if (!session->reading)
                session_free(session);
}

static int session_apply(void *ctx, const char *peer, void *ssl_ctx) {
        struct session *session = ctx;
        struct tls_watch *watch;
        int r = tls_watch_new(session->authorities, session->use, &watch);

        if (r < 0)
                return r;
        (void) str_copy(watch->peer, sizeof watch->peer, peer);
        if (session->watch)
                tls_watch_unreference(session->watch);
        session->watch = watch;
        return tls_watch_apply(watch, ssl_ctx);
}

static bool session_failure(void *ctx, bool certificate_was_refused, struct gw_error *ret_error) {
        struct session *session = ctx;

        if (!session->watch)
                return false;
        /* It is curl that compares the host's name, after the chain was found good. */
        if (certificate_was_refused && session->watch->verify_error == X509_V_OK)
                tls_watch_note(session->watch, "peer-certificate-wrong-host");
        return tls_watch_failure(session->watch, certificate_was_refused, ret_error);
}

const struct http_tls *tls_http(void) {
        static const struct http_tls hooks = {
                .open = session_open,
                .close = session_close,
                .apply = session_apply,
                .failure = session_failure,
        };

        return &hooks;
}
