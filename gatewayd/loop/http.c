/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/http.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "loop/http_internal.h"

#define HTTP_CONNECTIONS_KEPT 4

/* A socket of curl's that it wants to be polled. */
struct http_socket {
        uv_poll_t poll;
        struct http *http;
        curl_socket_t fd;
};

/* All that have finished, after every call that moves curl on: it reports each only once. */
static void collect_finished(struct http *http) {
        struct CURLMsg *message;
        int n_left;

        while ((message = curl_multi_info_read(http->multi, &n_left))) {
                CURL *easy = message->easy_handle;
                CURLcode code = message->data.result;
                struct http_transfer *transfer = NULL;

                if (message->msg != CURLMSG_DONE)
                        continue;
                curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &transfer);
                curl_multi_remove_handle(http->multi, easy);
                http_transfer_finished(transfer, code);
        }
}

static void move_on(struct http *http, curl_socket_t fd, int action) {
        int n_running;

        curl_multi_socket_action(http->multi, fd, action, &n_running);
        collect_finished(http);
}

/* ---- what curl waits for: sockets and one timer */

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct http_socket *watched = poll->data;
        int action = 0;

        if (status < 0)
                action |= CURL_CSELECT_ERR;
        if (events & UV_READABLE)
                action |= CURL_CSELECT_IN;
        if (events & UV_WRITABLE)
                action |= CURL_CSELECT_OUT;
        move_on(watched->http, watched->fd, action);
}

static void on_poll_closed(uv_handle_t *handle) {
        free(handle->data);
}

static struct http_socket *socket_new(struct http *http, curl_socket_t fd) {
        struct http_socket *watched = calloc(1, sizeof *watched);

        if (!watched)
                return NULL;
        watched->http = http;
        watched->fd = fd;
        if (uv_poll_init_socket(&http->loop->uv, &watched->poll, fd) < 0) {
                free(watched);
                return NULL;
        }
        watched->poll.data = watched;
        return watched;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx) {
        struct http_socket *watched = socket_ctx;
        struct http *http = ctx;
        int events = 0;
        (void) easy;

        if (what == CURL_POLL_REMOVE) {
                if (watched)
                        uv_close((uv_handle_t *) &watched->poll, on_poll_closed);
                curl_multi_assign(http->multi, fd, NULL);
                return 0;
        }
        if (!watched)
                watched = socket_new(http, fd);
        if (!watched)
                return -1;
        curl_multi_assign(http->multi, fd, watched);
        if (what & CURL_POLL_IN)
                events |= UV_READABLE;
        if (what & CURL_POLL_OUT)
                events |= UV_WRITABLE;
        return uv_poll_start(&watched->poll, events, on_poll) < 0 ? -1 : 0;
}

static void on_timeout(void *ctx) {
        struct http *http = ctx;

        http->timeout = NULL;
        move_on(http, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *ctx) {
        struct http *http = ctx;
        (void) multi;

        timer_cancel(TAKE_PTR(http->timeout));
        if (timeout_ms < 0)
                return 0;
        return timer_start(http->loop, timeout_ms, on_timeout, http, &http->timeout) < 0 ? -1 : 0;
}

/* ---- the multi handle: as long as somebody needs it, and a little longer */

static int multi_new(struct http *http) {
        int r = http_global_init();

        if (r < 0)
                return r;
        http->multi = curl_multi_init();
        if (!http->multi)
                return -ENOMEM;
        curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
        curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
        curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
        curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
        curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long) HTTP_CONNECTIONS_KEPT);
        curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING);
        return 0;
}

static void multi_free(struct http *http) {
        if (!http->multi)
                return;
        curl_multi_cleanup(TAKE_PTR(http->multi));
        timer_cancel(TAKE_PTR(http->timeout));
        /* Many small blocks: gone, but kept by the C library. */
        malloc_trim(0);
}

static void on_idle(void *ctx) {
        struct http *http = ctx;

        http->idle = NULL;
        multi_free(http);
}

int http_run(struct http *http, CURL *easy) {
        int r = 0;

        if (!http->multi)
                r = multi_new(http);
        if (r == 0 && curl_multi_add_handle(http->multi, easy) != CURLM_OK)
                r = -ENOMEM;
        return r;
}

void http_unrun(struct http *http, CURL *easy) {
        if (http->multi)
                curl_multi_remove_handle(http->multi, easy);
}

void http_transfer_gone(struct http *http) {
        if (--http->n_transfers > 0 || !http->multi)
                return;
        if (timer_start(http->loop, http->idle_ms, on_idle, http, &http->idle) < 0)
                multi_free(http);
}

int http_new(struct loop *loop, const struct http_tls *tls, void *tls_ctx, struct http **ret_http) {
        struct http *http = calloc(1, sizeof *http);

        if (!http)
                return -ENOMEM;
        http->loop = loop;
        http->tls = tls;
        http->tls_ctx = tls_ctx;
        http->idle_ms = HTTP_IDLE_MS;
        *ret_http = http;
        return 0;
}

void http_free(struct http *http) {
        if (!http)
                return;
        if (http->n_transfers > 0) {
                fprintf(stderr, "http: %zu transfers were left\n", http->n_transfers);
                abort();
        }
        timer_cancel(http->idle);
        multi_free(http);
        free(http);
}
