/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * HTTPS requests on the loop (curl multi). Certificates are always verified. Redirects of GET and HEAD are followed here and not by
 * curl: https only, at most HTTP_REDIRECTS_MAX. What may be a credential (user, bearer, client certificate, and of `headers` all but
 * Accept*, If-* and User-Agent) never goes to another origin. The address that is really connected is judged at every hop. No proxy
 * of the environment is used.
 *
 * Costs nothing until the first request; what curl took is given back HTTP_IDLE_MS after the last.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/cidr.h"
#include "loop/loop.h"

#define HTTP_REDIRECTS_MAX 3
#define HTTP_URL_MAX 2048
#define HTTP_HEADERS_MAX (16u * 1024u) /* bytes of all headers of one response */
#define HTTP_HEADER_VALUE_MAX 512      /* of each one that is kept; a longer one counts as absent */
#define HTTP_RETRY_AFTER_MAX_MS (24 * 60 * 60 * 1000)
#define HTTP_IDLE_MS 30000
#define HTTP_CONNECT_TIMEOUT_DEFAULT_MS 30000
#define HTTP_STALL_TIMEOUT_DEFAULT_MS 60000

struct http;
struct http_transfer;

/*
 * What this floor is lent of the one that knows certificates. One session belongs to one request; all calls come on the loop's
 * thread.
 */
struct http_tls_request {
        const char *use;     /* what the request is for, in lists of certificates; NULL = nothing special */
        const char *ca_file; /* NULL = the system's */
};

struct http_tls {
        /* `ready` comes once, later, unless the session is closed before: 0, or negative and err (ca-unreadable). */
        int (*open)(void *ctx, const struct http_tls_request *request, void (*ready)(void *ready_ctx, int result, const struct gw_error *err),
                    void *ready_ctx, void **ret_session);
        void (*close)(void *session);
        /* A connection to `peer` ("host:port") is set up with this SSL_CTX, which may outlive the session. Called by curl. */
        int (*apply)(void *session, const char *peer, void *ssl_ctx);
        /* Why the last connection failed; false where TLS has not noticed anything. */
        bool (*failure)(void *session, bool certificate_was_refused, struct gw_error *ret_error);
};

/* `tls` must outlive it. No request costs anything before http_start(). -ENOMEM. */
int http_new(struct loop *loop, const struct http_tls *tls, void *tls_ctx, struct http **ret_http);
/* All transfers must be done. NULL is fine. */
void http_free(struct http *http);

/* Everything is copied by http_start(). NULL and 0 mean "not used". */
struct http_request {
        const char *url;            /* https://..., at most HTTP_URL_MAX, no user information in it */
        const char *method;         /* NULL: GET, or POST with a body */
        const char *const *headers; /* "Name: value" */
        size_t n_headers;
        const void *body;
        size_t body_size;
        uint64_t range_from;            /* first byte wanted (If-Range: the caller's, in `headers`) */
        uint64_t rate_bytes_s;          /* 0 = no limit */
        int64_t connect_timeout_ms;     /* name, connection and TLS; 0 = default */
        int64_t stall_timeout_ms;       /* no byte for so long; 0 = default */
        int64_t total_timeout_ms;       /* 0 = none */
        const char *use;                /* what it is for, in lists of certificates: "artifacts", ... */
        const char *ca_file;            /* PEM; NULL = the system's */
        const char *client_certificate; /* PEM file */
        const char *client_key;         /* PEM file; NULL = in client_certificate */
        const char *user;
        const char *password;
        const char *bearer;
        bool allow_private;         /* private and loopback targets */
        bool private_at_home_only;  /* and of those only the origin of `url`, not where it redirects to */
        const struct cidr *allowed; /* of the non-public ones, these are allowed, too */
        size_t n_allowed;
};

/* The head of the final response (not of redirects that are followed). Texts are valid during the call, NULL where absent. */
struct http_response {
        int status;
        const char *url; /* that answered, after redirects */
        const char *etag;
        const char *last_modified;
        const char *content_type;
        int64_t content_length; /* of this body; -1 unknown */
        int64_t range_from;     /* Content-Range; -1 where absent or malformed */
        int64_t range_to;       /* inclusive */
        int64_t range_size;     /* of the whole; -1 unknown */
        int64_t retry_after_ms; /* 0..HTTP_RETRY_AFTER_MAX_MS, -1 absent */
};

struct http_handler {
        /* NULL or: once, before the first data. Negative ends the transfer with that result. */
        int (*response)(void *ctx, const struct http_response *response);
        /* The next bytes of the body. 0; -EAGAIN: nothing was taken, the same bytes come again after http_resume(); any other negative
         * ends the transfer with that result. NULL: the body is dropped. */
        int (*data)(void *ctx, const uint8_t *data, size_t size);
        /*
         * The last callback; the handle is invalid when it begins. result 0: a complete response of any status came. Otherwise err has
         * the name (empty where response() or data() ended it, or http_cancel(): -ECANCELED).
         */
        void (*done)(void *ctx, int result, const struct gw_error *err);
};

/*
 * Errors of done: url-invalid, redirect-refused, target-address-refused, host-unresolvable, connection-refused, network-unreachable
 * (also: no connection in time), download-timeout (stalled, or total_timeout_ms), download-interrupted, protocol-error,
 * peer-certificate-{expired,not-yet-valid,untrusted,wrong-host,revoked,invalid}, client-certificate-refused, tls-handshake-failed,
 * ca-unreadable, credentials-unreadable (the client's certificate), out-of-memory.
 *
 * -EINVAL (no or a too long URL, a line break in a header), -ENOMEM: nothing was started.
 */
int http_start(struct http *http, const struct http_request *request, const struct http_handler *handler, void *ctx,
               struct http_transfer **ret_transfer);

/* After data() returned -EAGAIN. Calls back later. */
void http_resume(struct http_transfer *transfer);

/* done comes with -ECANCELED, later, and nothing else before it. NULL is fine. */
void http_cancel(struct http_transfer *transfer);
