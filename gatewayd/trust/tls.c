/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/str.h"
#include "loop/timer.h"
#include "trust/tls_internal.h"

struct tls_context {
        SSL_CTX *ssl_ctx;
        struct tls_watch *watch;
};

/* ---- the object */

int tls_new(struct loop *loop, struct tls **ret_tls) {
        struct tls *tls = calloc(1, sizeof *tls);

        if (!tls)
                return -ENOMEM;
        atomic_init(&tls->n_references, 1);
        tls->loop = loop;
        tls->idle_ms = TLS_IDLE_MS;
        list_init(&tls->authorities);
        pthread_mutex_init(&tls->mutex, NULL);
        pthread_mutex_init(&tls->reading, NULL);
        *ret_tls = tls;
        return 0;
}

struct tls *tls_reference(struct tls *tls) {
        atomic_fetch_add(&tls->n_references, 1);
        return tls;
}

void tls_unreference(struct tls *tls) {
        if (atomic_fetch_sub(&tls->n_references, 1) > 1)
                return;
        pthread_mutex_destroy(&tls->reading);
        pthread_mutex_destroy(&tls->mutex);
        free(tls);
}

/* ---- authorities */

static bool is_same_file(const struct stat *a, const struct stat *b) {
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
               a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void authorities_free(struct tls_authorities *authorities) {
        struct tls *tls = authorities->tls;

        X509_STORE_free(authorities->store);
        free(authorities->path);
        free(authorities);
        tls_unreference(tls);
}

void tls_authorities_unreference(struct tls_authorities *authorities) {
        struct tls *tls = authorities->tls;
        bool is_last;

        pthread_mutex_lock(&tls->mutex);
        is_last = --authorities->n_references == 0;
        if (is_last)
                list_remove(&authorities->node);
        pthread_mutex_unlock(&tls->mutex);
        if (is_last)
                authorities_free(authorities);
}

int tls_authorities_peek(struct tls *tls, const char *ca_file, struct tls_authorities **ret_authorities) {
        const char *path = ca_file ? ca_file : TLS_SYSTEM_CA_FILE;
        struct tls_authorities *authorities;
        struct stat status;
        int r = -ENOENT;

        if (stat(path, &status) < 0)
                return -ENOENT;
        pthread_mutex_lock(&tls->mutex);
        LIST_FOREACH(authorities, &tls->authorities, node) {
                if (!str_equal(authorities->path, path) || !is_same_file(&authorities->status, &status))
                        continue;
                authorities->n_references++;
                *ret_authorities = authorities;
                r = 0;
                break;
        }
        pthread_mutex_unlock(&tls->mutex);
        return r;
}

static int set_openssl_error(struct gw_error *err, const char *name, const char *path) {
        unsigned long code = ERR_peek_last_error();
        const char *reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);

        gw_error_set(err, name, "%s: %s", path, reason ? reason : "nothing that can be used is in it");
        ERR_clear_error();
        return -EACCES;
}

/* Only where the file has lists: without one every certificate would be refused. */
static void check_revocation_if_possible(X509_STORE *store) {
        STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);

        for (int i = 0; i < sk_X509_OBJECT_num(objects); i++)
                if (X509_OBJECT_get_type(sk_X509_OBJECT_value(objects, i)) == X509_LU_CRL) {
                        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
                        return;
                }
}

static int read_store(const char *path, X509_STORE **ret_store, struct gw_error *err) {
        X509_STORE *store = X509_STORE_new();

        ERR_clear_error();
        if (!store || X509_STORE_load_file(store, path) != 1) {
                X509_STORE_free(store);
                return set_openssl_error(err, "ca-unreadable", path);
        }
        ERR_clear_error();
        /* An intermediate authority, or the server's own certificate, may be what is trusted. */
        X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
        check_revocation_if_possible(store);
        *ret_store = store;
        return 0;
}

static int authorities_new(struct tls *tls, const char *path, struct tls_authorities **ret_authorities, struct gw_error *err) {
        struct tls_authorities *authorities = calloc(1, sizeof *authorities);
        int r = 0;

        if (!authorities)
                return -ENOMEM;
        authorities->tls = tls_reference(tls);
        authorities->n_references = 1;
        authorities->path = strdup(path);
        list_init(&authorities->node);
        if (!authorities->path)
                r = -ENOMEM;
        /* Asked before it is read: a file that changes meanwhile is read again. */
        if (r == 0 && stat(path, &authorities->status) < 0) {
                gw_error_set(err, "ca-unreadable", "%s: %s", path, strerror(errno));
                r = -EACCES;
        }
        if (r == 0)
                r = read_store(path, &authorities->store, err);
        if (r < 0) {
                authorities_free(authorities);
                return r;
        }
        *ret_authorities = authorities;
        return 0;
}

int tls_authorities_read(struct tls *tls, const char *ca_file, struct tls_authorities **ret_authorities, struct gw_error *err) {
        int r;

        pthread_mutex_lock(&tls->reading);
        r = tls_authorities_peek(tls, ca_file, ret_authorities);
        if (r < 0) {
                r = authorities_new(tls, ca_file ? ca_file : TLS_SYSTEM_CA_FILE, ret_authorities, err);
                pthread_mutex_lock(&tls->mutex);
                if (r == 0)
                        list_prepend(&tls->authorities, &(*ret_authorities)->node);
                pthread_mutex_unlock(&tls->mutex);
        }
        pthread_mutex_unlock(&tls->reading);
        if (r == -ENOMEM)
                gw_error_set(err, "out-of-memory", "no memory");
        return r;
}

/* ---- kept for a while */

static struct tls_authorities *find_kept(struct tls *tls) {
        struct tls_authorities *authorities, *found = NULL;

        pthread_mutex_lock(&tls->mutex);
        LIST_FOREACH(authorities, &tls->authorities, node)
                if (authorities->kept)
                        found = authorities;
        if (found)
                found->kept = false;
        pthread_mutex_unlock(&tls->mutex);
        return found;
}

static void drop_kept(struct tls *tls) {
        struct tls_authorities *authorities;

        while ((authorities = find_kept(tls)))
                tls_authorities_unreference(authorities);
}

static void on_idle(void *ctx) {
        struct tls *tls = ctx;

        tls->idle = NULL;
        drop_kept(tls);
        /* A parsed bundle is thousands of small blocks: gone, but kept by the C library. */
        malloc_trim(0);
}

void tls_authorities_keep(struct tls_authorities *authorities) {
        struct tls *tls = authorities->tls;

        timer_cancel(TAKE_PTR(tls->idle));
        if (timer_start(tls->loop, tls->idle_ms, on_idle, tls, &tls->idle) < 0)
                return;
        pthread_mutex_lock(&tls->mutex);
        if (!authorities->kept)
                authorities->n_references++;
        authorities->kept = true;
        pthread_mutex_unlock(&tls->mutex);
}

void tls_free(struct tls *tls) {
        if (!tls)
                return;
        timer_cancel(TAKE_PTR(tls->idle));
        drop_kept(tls);
        tls_unreference(tls);
}

/* ---- contexts */

static int set_host(SSL_CTX *ssl_ctx, const char *host) {
        X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl_ctx);
        uint8_t address[sizeof(struct in6_addr)];

        if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
                return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1 ? 0 : -ENOMEM;
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 ? 0 : -ENOMEM;
}

static void note_ours(struct tls_context *context, const struct tls_options *options) {
        struct tls_certificate_row row = { .is_ours = true };

        (void) str_copy(row.use, sizeof row.use, context->watch->use);
        (void) str_format(row.peer, sizeof row.peer, "%s", options->client_certificate);
        row.not_after_ms = tls_time_ms(X509_get0_notAfter(SSL_CTX_get0_certificate(context->ssl_ctx)));
        tls_certificates_note(context->watch->authorities->tls, &row);
}

static int set_client(struct tls_context *context, const struct tls_options *options, struct gw_error *err) {
        const char *key = options->client_key ? options->client_key : options->client_certificate;

        if (!options->client_certificate)
                return 0;
        ERR_clear_error();
        if (SSL_CTX_use_certificate_chain_file(context->ssl_ctx, options->client_certificate) != 1)
                return set_openssl_error(err, "credentials-unreadable", options->client_certificate);
        if (SSL_CTX_use_PrivateKey_file(context->ssl_ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(context->ssl_ctx) != 1)
                return set_openssl_error(err, "credentials-unreadable", key);
        note_ours(context, options);
        return 0;
}

static int context_prepare(struct tls_context *context, struct tls *tls, const struct tls_options *options, struct gw_error *err) {
        _cleanup_tls_authorities_ struct tls_authorities *authorities = NULL;
        int r = tls_authorities_read(tls, options->ca_file, &authorities, err);

        if (r == 0)
                r = tls_watch_new(authorities, options->use, &context->watch);
        if (r < 0)
                return r;
        (void) str_format(context->watch->peer, sizeof context->watch->peer, strchr(options->host, ':') ? "[%s]:%u" : "%s:%u", options->host,
                          options->port);
        context->ssl_ctx = SSL_CTX_new(TLS_client_method());
        if (!context->ssl_ctx || SSL_CTX_set_min_proto_version(context->ssl_ctx, TLS1_2_VERSION) != 1)
                return -ENOMEM;
        SSL_CTX_set_session_cache_mode(context->ssl_ctx, SSL_SESS_CACHE_OFF);
        r = tls_watch_apply(context->watch, context->ssl_ctx);
        if (r == 0)
                r = set_host(context->ssl_ctx, options->host);
        return r < 0 ? r : set_client(context, options, err);
}

int tls_context_new(struct tls *tls, const struct tls_options *options, struct tls_context **ret_context, struct gw_error *err) {
        _cleanup_tls_context_ struct tls_context *context = calloc(1, sizeof *context);
        int r = context ? context_prepare(context, tls, options, err) : -ENOMEM;

        if (r == -ENOMEM)
                gw_error_set(err, "out-of-memory", "no memory");
        if (r < 0)
                return r;
        *ret_context = TAKE_PTR(context);
        return 0;
}

void tls_context_free(struct tls_context *context) {
        if (!context)
                return;
        SSL_CTX_free(context->ssl_ctx);
        if (context->watch)
                tls_watch_unreference(context->watch);
        free(context);
}

void *tls_context_ssl_ctx(struct tls_context *context) {
        return context->ssl_ctx;
}

bool tls_context_failure(const struct tls_context *context, struct gw_error *ret_error) {
        if (tls_watch_failure(context->watch, false, ret_error))
                return true;
        if (!context->watch->is_established) {
                gw_error_set(ret_error, "tls-handshake-failed", "the server broke off before TLS was there: is this a port with TLS?");
                return true;
        }
        if (!context->watch->lacks_certificate)
                return false;
        /* With TLS 1.3 the refusal comes behind the handshake, and is lost where the connection is reset. */
        gw_error_set(ret_error, "client-certificate-refused", "the server asked for a certificate of this client, which has none, and broke off");
        return true;
}
