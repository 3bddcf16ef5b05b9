/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * TLS for everybody who connects: whom to trust, what a refused certificate is called, how long certificates still hold.
 *
 * The authorities of one CA file are one X509_STORE, shared by all connections that use the file. It is read on a worker, or on the
 * thread that a client of MQTT connects on, never on the loop (the system's bundle takes 17 ms to parse); read anew when the file
 * has changed, given back TLS_IDLE_MS after the last use when no connection holds it. A CA file may hold revocation lists beside the
 * certificates: then servers whose issuer has one are held against it.
 *
 * Verification is never switched off. Nothing of OpenSSL leaves this folder: other floors pass its contexts as `void *`.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"

#define TLS_SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"
#define TLS_IDLE_MS 30000
#define TLS_USE_SIZE 16
#define TLS_PEER_SIZE 272 /* host:port, or a path that is cut on the left */

struct http_tls;
struct loop;
struct tls;
struct tls_context;

/* One a program. -ENOMEM. */
int tls_new(struct loop *loop, struct tls **ret_tls);
/* Contexts may outlive it. NULL is fine. */
void tls_free(struct tls *tls);

/* ---- for loop/http.h: http_new(loop, tls_http(), tls, ...) */

const struct http_tls *tls_http(void);

/* ---- for a client that sets a context up itself (libmosquitto: MOSQ_OPT_SSL_CTX, with MOSQ_OPT_SSL_CTX_WITH_DEFAULTS off) */

struct tls_options {
        const char *use;                /* "mqtt", ...: what the connection is for, in lists of certificates */
        const char *ca_file;            /* NULL = the system's */
        const char *client_certificate; /* PEM, may hold the whole chain; NULL = none */
        const char *client_key;         /* NULL = in client_certificate */
        const char *host;               /* name or address that the server's certificate must be for */
        uint16_t port;
};

/*
 * A context that verifies chain and host name, for the attempts to reach one server. Reads files: on any thread but the loop's. The
 * files are read as they are now, so one context an attempt lets renewed ones in. Errors: ca-unreadable, credentials-unreadable,
 * out-of-memory.
 */
int tls_context_new(struct tls *tls, const struct tls_options *options, struct tls_context **ret_context, struct gw_error *err);
/* What still uses the SSL_CTX has a reference of its own. NULL is fine. */
void tls_context_free(struct tls_context *context);
DEFINE_CLEANUP(struct tls_context *, tls_context_free);
#define _cleanup_tls_context_ _cleanup_(tls_context_freep)

/* SSL_CTX *, lent; no reference is taken. */
void *tls_context_ssl_ctx(struct tls_context *context);

/*
 * Why TLS did not come about, or was ended by the server: peer-certificate-{expired,not-yet-valid,untrusted,wrong-host,revoked,
 * invalid}, client-certificate-refused, tls-handshake-failed, with a text that names certificate and date. false: TLS is not the
 * reason. Ask when the attempt has failed before the peer said anything of its own protocol, on the thread that made it or on which it was joined.
 */
bool tls_context_failure(const struct tls_context *context, struct gw_error *ret_error);

/* ---- how long certificates hold */

/* One that a server showed, or one of ours. Texts are lent during the call. */
struct tls_certificate {
        const char *use;
        const char *peer; /* host:port; of ours the path */
        bool is_ours;
        int64_t not_after_ms; /* wall clock; 0 = not known */
        int64_t seen_ms;      /* wall clock, when it was shown or read last */
        const char *error;    /* name of the last refusal; NULL = it was fine */
};

/*
 * Of every server that was connected to since the start, the newest certificate; the TLS_CERTIFICATES_MAX last used ones. Then ours.
 * Nothing is read for it. From the loop's thread.
 */
#define TLS_CERTIFICATES_MAX 32
void tls_certificates_each(struct tls *tls, void (*each)(void *ctx, const struct tls_certificate *certificate), void *ctx);

/* A certificate of our own that lies in a file. */
struct tls_own_file {
        const char *use;
        const char *path; /* PEM */
};

/*
 * Reads the certificates of our own on a worker; those of the list are what is in it from then on. One that cannot be read stands there with
 * credentials-unreadable. Everything is copied. -ENOMEM.
 */
int tls_read_own(struct tls *tls, const struct tls_own_file *files, size_t n_files);

/* Whole days until not_after, rounded down: negative when it is past. */
int64_t tls_days_left(int64_t not_after_ms, int64_t now_wall_ms);
