/* SPDX-License-Identifier: Apache-2.0 */
#include "artifact/http_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define CHUNK_SIZE 16384u

struct http {
        struct loop *loop;
};

struct http_transfer {
        struct http *http;
        struct http_script_file *file;
        const struct http_handler *handler;
        void *ctx;
        size_t at, end;
        int status;
        bool cut, part, told, waiting, canceled;
        struct loop_deferral *deferral;
};

struct http_script_file http_script_files[HTTP_SCRIPT_FILES];
size_t http_script_running, http_script_most_running;

/* Tests are built without must(). */
static void must(bool holds) {
        if (!holds)
                abort();
}

void http_script_clear(void) {
        memset(http_script_files, 0, sizeof http_script_files);
        http_script_running = http_script_most_running = 0;
}

struct http_script_file *http_script_find(const char *url) {
        for (size_t i = 0; i < HTTP_SCRIPT_FILES; i++)
                if (http_script_files[i].url && strcmp(http_script_files[i].url, url) == 0)
                        return &http_script_files[i];
        return NULL;
}

int http_new(struct loop *loop, const struct http_tls *tls, void *tls_ctx, struct http **ret_http) {
        (void) tls;
        (void) tls_ctx;
        *ret_http = calloc(1, sizeof **ret_http);
        (*ret_http)->loop = loop;
        return 0;
}

void http_free(struct http *http) {
        must(http_script_running == 0);
        free(http);
}

static void go_on(void *ctx);

static void again(struct http_transfer *transfer) {
        if (!transfer->deferral)
                must(loop_defer(transfer->http->loop, go_on, transfer, &transfer->deferral) == 0);
}

static void finish(struct http_transfer *transfer, int result, const char *name) {
        struct http_transfer last = *transfer;
        struct gw_error err = { 0 };

        if (name)
                gw_error_set(&err, name, "scripted");
        loop_defer_cancel(transfer->deferral);
        free(transfer);
        http_script_running--;
        last.handler->done(last.ctx, result, &err);
}

static int tell_response(struct http_transfer *transfer) {
        const struct http_script_file *file = transfer->file;
        struct http_response response = {
                .status = transfer->status,
                .url = file->url,
                .etag = file->etag,
                .content_length = file->without_length ? -1 : (int64_t) (file->size - transfer->at),
                .range_from = -1,
                .range_to = -1,
                .range_size = -1,
                .retry_after_ms = file->retry_after_ms ? file->retry_after_ms : -1,
        };

        if (transfer->part) {
                response.range_from = (int64_t) transfer->at + (file->wrong_range ? 1 : 0);
                response.range_to = (int64_t) file->size - 1;
                response.range_size = (int64_t) file->size;
        }
        transfer->told = true;
        return transfer->handler->response(transfer->ctx, &response);
}

/* One piece a turn. */
static void go_on(void *ctx) {
        struct http_transfer *transfer = ctx;
        uint8_t piece[CHUNK_SIZE];
        size_t n;
        int r;

        transfer->deferral = NULL;
        if (transfer->canceled) {
                finish(transfer, -ECANCELED, NULL);
                return;
        }
        if (transfer->file->hangs)
                return;
        r = transfer->told ? 0 : tell_response(transfer);
        if (r < 0 || transfer->status / 100 != 2) {
                finish(transfer, r, NULL);
                return;
        }
        n = MIN(CHUNK_SIZE, transfer->end - transfer->at);
        if (n == 0) {
                finish(transfer, transfer->cut ? -ECONNRESET : 0, transfer->cut ? "download-interrupted" : NULL);
                return;
        }
        memcpy(piece, transfer->file->body + transfer->at, n);
        if (transfer->file->corrupt || (transfer->file->corrupt_parts && transfer->part))
                piece[0] ^= 1;
        r = transfer->handler->data(transfer->ctx, piece, n);
        if (r == -EAGAIN) {
                transfer->waiting = true;
                return;
        }
        if (r < 0) {
                finish(transfer, r, NULL);
                return;
        }
        transfer->at += n;
        transfer->file->n_sent += n;
        again(transfer);
}

static void remember(struct http_script_file *file, const struct http_request *request, const char *if_range) {
        file->last_from = request->range_from;
        snprintf(file->last_if_range, sizeof file->last_if_range, "%s", if_range ? if_range : "");
        snprintf(file->last_user, sizeof file->last_user, "%s", request->user ? request->user : "");
        snprintf(file->last_password, sizeof file->last_password, "%s", request->password ? request->password : "");
        snprintf(file->last_bearer, sizeof file->last_bearer, "%s", request->bearer ? request->bearer : "");
        file->last_allow_private = request->allow_private;
        file->last_n_allowed = request->n_allowed;
        file->last_rate = request->rate_bytes_s;
}

/* What a good server would answer; the mistakes are put on top. */
static void decide(struct http_transfer *transfer, const struct http_request *request, const char *if_range) {
        struct http_script_file *file = transfer->file;
        bool same = !if_range || file->ignores_if_range || (file->etag && strcmp(if_range, file->etag) == 0);
        size_t n = file->n_requests++;
        size_t cut = n < ARRAY_SIZE(file->cut_after) ? file->cut_after[n] : 0;

        transfer->status = n < ARRAY_SIZE(file->statuses) ? file->statuses[n] : 0;
        if (transfer->status == 0 && request->range_from >= file->size && request->range_from > 0 && same)
                transfer->status = 416;
        transfer->part = request->range_from > 0 && same && !file->without_ranges;
        if (transfer->status == 0)
                transfer->status = transfer->part ? 206 : 200;
        transfer->at = transfer->part ? MIN((size_t) request->range_from, file->size) : 0;
        transfer->cut = cut > 0 && transfer->at + cut < file->size;
        transfer->end = transfer->cut ? transfer->at + cut : file->size;
}

int http_start(struct http *http, const struct http_request *request, const struct http_handler *handler, void *ctx,
               struct http_transfer **ret_transfer) {
        struct http_script_file *file = http_script_find(request->url);
        const char *if_range = NULL;
        struct http_transfer *transfer;

        if (!file)
                return -EINVAL;
        for (size_t i = 0; i < request->n_headers; i++)
                if (strncmp(request->headers[i], "If-Range: ", 10) == 0)
                        if_range = request->headers[i] + 10;
        remember(file, request, if_range);
        transfer = calloc(1, sizeof *transfer);
        must(transfer);
        *transfer = (struct http_transfer){ .http = http, .file = file, .handler = handler, .ctx = ctx };
        decide(transfer, request, if_range);
        http_script_running++;
        http_script_most_running = MAX(http_script_most_running, http_script_running);
        *ret_transfer = transfer;
        again(transfer);
        return 0;
}

void http_resume(struct http_transfer *transfer) {
        must(transfer->waiting);
        transfer->waiting = false;
        again(transfer);
}

void http_cancel(struct http_transfer *transfer) {
        if (!transfer)
                return;
        must(!transfer->canceled);
        transfer->canceled = true;
        again(transfer);
}
