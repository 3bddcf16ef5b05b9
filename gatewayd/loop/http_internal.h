/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of loop/http.h: http.c drives curl's multi handle, http_transfer.c leads one request through its hops, http_response.c
 * reads the head of an answer, http_error.c finds names for failures. Nothing here may be called from inside a callback of curl but
 * what says so: curl refuses most calls there.
 */

#include <curl/curl.h>

#include "loop/http.h"
#include "loop/loop_internal.h"
#include "loop/timer.h"

struct http {
        struct loop *loop;
        const struct http_tls *tls;
        void *tls_ctx;
        CURLM *multi; /* NULL while nobody needs it */
        struct timer *timeout;
        struct timer *idle;
        int64_t idle_ms;
        size_t n_transfers;
};

/* The head that is being received. Callable from curl's callbacks. */
struct http_head {
        size_t n_bytes;
        int status; /* 0 before the first status line */
        bool complete;
        char etag[HTTP_HEADER_VALUE_MAX];
        char last_modified[HTTP_HEADER_VALUE_MAX];
        char content_type[HTTP_HEADER_VALUE_MAX];
        char content_range[HTTP_HEADER_VALUE_MAX];
        char content_length[HTTP_HEADER_VALUE_MAX];
        char retry_after[HTTP_HEADER_VALUE_MAX];
        char date[HTTP_HEADER_VALUE_MAX];
        char location[HTTP_URL_MAX];
};

/* One header line as curl gives it. -E2BIG beyond HTTP_HEADERS_MAX. */
int http_head_line(struct http_head *head, const char *line, size_t size);
bool http_head_is_redirect(const struct http_head *head);
/* Texts point into head. */
void http_head_response(const struct http_head *head, const char *url, struct http_response *ret_response);

/* http.c: adds to the multi handle, which is made when there is none. */
int http_run(struct http *http, CURL *easy);
void http_unrun(struct http *http, CURL *easy);
void http_transfer_gone(struct http *http);

/* http_transfer.c */
int http_global_init(void);
void http_transfer_finished(struct http_transfer *transfer, CURLcode code);

/*
 * http_error.c: name, text and errno of what curl says, and of what TLS noticed (`refusal`, empty where nothing). `has_begun`: the
 * connection stood and the request went out.
 */
int http_error_of_curl(CURL *easy, CURLcode code, bool has_begun, const char *text, const struct gw_error *refusal,
                       struct gw_error *ret_error);
