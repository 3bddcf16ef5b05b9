/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of trust/tls.h: tls.c shares authorities and makes contexts, tls_verify.c watches handshakes, tls_certificates.c keeps
 * how long certificates hold, tls_http.c serves loop/http.h.
 */

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "base/list.h"
#include "trust/tls.h"

struct timer;

/* One CA file, read. */
struct tls_authorities {
        struct list node; /* in tls.authorities */
        struct tls *tls;  /* a reference */
        unsigned n_references;
        bool kept; /* one of the references is the cache's */
        char *path;
        struct stat status; /* of the file when it was read */
        X509_STORE *store;
};

/* A row of the list of certificates. */
struct tls_certificate_row {
        char use[TLS_USE_SIZE];
        char peer[TLS_PEER_SIZE];
        bool is_ours;
        int64_t not_after_ms, seen_ms;
        const char *error; /* static text */
};

/*
 * Two locks: `mutex` for the lists, held for moments and on every thread; `reading` while a CA file is read, so that it is read once
 * for all who want it, and never taken on the loop's thread.
 */
struct tls {
        atomic_uint n_references;
        struct loop *loop;
        struct timer *idle;
        int64_t idle_ms;
        pthread_mutex_t mutex, reading;
        struct list authorities;
        struct tls_certificate_row rows[TLS_CERTIFICATES_MAX]; /* the last used one first */
        size_t n_rows;
};

struct tls *tls_reference(struct tls *tls);
void tls_unreference(struct tls *tls);

/* tls.c. ca_file NULL = the system's. `peek` does not read (loop's thread): -ENOENT when the file was not read yet. */
int tls_authorities_peek(struct tls *tls, const char *ca_file, struct tls_authorities **ret_authorities);
int tls_authorities_read(struct tls *tls, const char *ca_file, struct tls_authorities **ret_authorities, struct gw_error *err);
void tls_authorities_unreference(struct tls_authorities *authorities);
DEFINE_CLEANUP(struct tls_authorities *, tls_authorities_unreference);
#define _cleanup_tls_authorities_ _cleanup_(tls_authorities_unreferencep)
/* Whoever comes within TLS_IDLE_MS finds them read. Loop's thread. */
void tls_authorities_keep(struct tls_authorities *authorities);

/*
 * What happened in the handshakes of one SSL_CTX (tls_verify.c). Counted: the SSL_CTX holds one reference, who asks another. Written
 * by the thread that is in the handshake.
 */
struct tls_watch {
        atomic_uint n_references;
        struct tls_authorities *authorities; /* a reference: as long as a connection uses them, others find them */
        char use[TLS_USE_SIZE];
        char peer[TLS_PEER_SIZE];
        long verify_error; /* X509_V_OK = none */
        int verify_depth;
        int64_t not_before_ms, not_after_ms; /* of the certificate that was refused */
        char subject[128];                   /* likewise */
        char names[128];                     /* whom the server's certificate is for */
        int64_t peer_not_after_ms;           /* likewise */
        int alert;                           /* fatal, received; -1 = none */
        bool is_established;                 /* a handshake came to its end */
        bool lacks_certificate;              /* the server asked for one of ours, and there is none */
};

/* The references of the caller's `authorities` stay his. */
int tls_watch_new(struct tls_authorities *authorities, const char *use, struct tls_watch **ret_watch);
void tls_watch_unreference(struct tls_watch *watch);
/* The row of the list for what was seen of the server; `error` NULL: it was fine. */
void tls_watch_note(const struct tls_watch *watch, const char *error);
/* Gives an SSL_CTX the authorities and the eyes. */
int tls_watch_apply(struct tls_watch *watch, SSL_CTX *ssl_ctx);
/* The name of the host is compared by somebody else who failed at that: the default where nothing else was found. */
bool tls_watch_failure(const struct tls_watch *watch, bool host_is_wrong, struct gw_error *ret_error);

/* tls_certificates.c */
void tls_certificates_note(struct tls *tls, const struct tls_certificate_row *row);
int64_t tls_time_ms(const ASN1_TIME *time);
