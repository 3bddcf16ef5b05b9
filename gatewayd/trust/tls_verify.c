/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/x509v3.h>
#include <string.h>

#include "base/str.h"
#include "base/time.h"
#include "trust/tls_internal.h"

/* ---- where an SSL_CTX keeps its watch */

static int watch_index = -1;
static pthread_once_t watch_index_once = PTHREAD_ONCE_INIT;

static void on_ssl_ctx_free(void *ssl_ctx, void *watch, CRYPTO_EX_DATA *data, int index, long argument, void *pointer) {
        (void) ssl_ctx;
        (void) data;
        (void) index;
        (void) argument;
        (void) pointer;
        if (watch)
                tls_watch_unreference(watch);
}

static void make_watch_index(void) {
        watch_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_ctx_free);
}

int tls_watch_new(struct tls_authorities *authorities, const char *use, struct tls_watch **ret_watch) {
        struct tls_watch *watch = calloc(1, sizeof *watch);

        pthread_once(&watch_index_once, make_watch_index);
        if (!watch || watch_index < 0) {
                free(watch);
                return -ENOMEM;
        }
        pthread_mutex_lock(&authorities->tls->mutex);
        authorities->n_references++;
        pthread_mutex_unlock(&authorities->tls->mutex);
        atomic_init(&watch->n_references, 1);
        watch->authorities = authorities;
        watch->verify_error = X509_V_OK;
        watch->alert = -1;
        (void) str_copy(watch->use, sizeof watch->use, use);
        *ret_watch = watch;
        return 0;
}

void tls_watch_unreference(struct tls_watch *watch) {
        if (atomic_fetch_sub(&watch->n_references, 1) > 1)
                return;
        tls_authorities_unreference(watch->authorities);
        free(watch);
}

/* ---- names */

static const char *name_of(long verify_error) {
        switch (verify_error) {
        case X509_V_OK:
                return NULL;
        case X509_V_ERR_CERT_HAS_EXPIRED:
                return "peer-certificate-expired";
        case X509_V_ERR_CERT_NOT_YET_VALID:
                return "peer-certificate-not-yet-valid";
        case X509_V_ERR_CERT_REVOKED:
                return "peer-certificate-revoked";
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
                return "peer-certificate-wrong-host";
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_CERT_UNTRUSTED:
                return "peer-certificate-untrusted";
        default:
                return "peer-certificate-invalid";
        }
}

/* ---- what a certificate says */

/* The subject in one line, and the names it is for; both for people, cut where they are too long. */
static void describe_subject(X509 *certificate, char *dst, size_t size) {
        char line[256] = "";

        X509_NAME_oneline(X509_get_subject_name(certificate), line, sizeof line);
        (void) str_escape(dst, size, line, strlen(line));
}

static void append_name(struct strbuf *names, const GENERAL_NAME *name) {
        char address[40];
        const ASN1_STRING *text;

        if (name->type == GEN_DNS) {
                text = name->d.dNSName;
                (void) strbuf_appendf(names, "%s%.*s", names->size > 0 ? ", " : "", ASN1_STRING_length(text),
                                      (const char *) ASN1_STRING_get0_data(text));
        } else if (name->type == GEN_IPADD && ASN1_STRING_length(name->d.iPAddress) == 4) {
                const uint8_t *bytes = ASN1_STRING_get0_data(name->d.iPAddress);

                (void) str_format(address, sizeof address, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
                (void) strbuf_appendf(names, "%s%s", names->size > 0 ? ", " : "", address);
        }
}

static void describe_names(X509 *certificate, char *dst, size_t size) {
        _cleanup_strbuf_ struct strbuf names = STRBUF_INIT(1024);
        GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

        for (int i = 0; i < sk_GENERAL_NAME_num(all); i++)
                append_name(&names, sk_GENERAL_NAME_value(all, i));
        GENERAL_NAMES_free(all);
        if (names.size > 0)
                (void) str_escape(dst, size, strbuf_text(&names), names.size);
        else
                describe_subject(certificate, dst, size);
}

/* ---- during a handshake */

static void keep_refusal(struct tls_watch *watch, X509_STORE_CTX *store_ctx) {
        X509 *refused = X509_STORE_CTX_get_current_cert(store_ctx), *leaf = X509_STORE_CTX_get0_cert(store_ctx);

        watch->verify_error = X509_STORE_CTX_get_error(store_ctx);
        watch->verify_depth = X509_STORE_CTX_get_error_depth(store_ctx);
        if (!refused)
                refused = leaf;
        describe_subject(refused, watch->subject, sizeof watch->subject);
        describe_names(leaf, watch->names, sizeof watch->names);
        watch->not_before_ms = tls_time_ms(X509_get0_notBefore(refused));
        watch->not_after_ms = tls_time_ms(X509_get0_notAfter(refused));
}

/* The certificate is worth a row also when it is refused: that is when somebody looks. */
void tls_watch_note(const struct tls_watch *watch, const char *error) {
        struct tls_certificate_row row = { .not_after_ms = watch->peer_not_after_ms, .error = error };

        (void) str_copy(row.use, sizeof row.use, watch->use);
        (void) str_copy(row.peer, sizeof row.peer, watch->peer);
        tls_certificates_note(watch->authorities->tls, &row);
}

static int on_verify(int is_fine, X509_STORE_CTX *store_ctx) {
        SSL *ssl = X509_STORE_CTX_get_ex_data(store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
        struct tls_watch *watch = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), watch_index);

        /* Authorities that publish no list stand beside those that do. */
        if (!is_fine && X509_STORE_CTX_get_error(store_ctx) == X509_V_ERR_UNABLE_TO_GET_CRL) {
                X509_STORE_CTX_set_error(store_ctx, X509_V_OK);
                return 1;
        }
        if (!is_fine && watch->verify_error == X509_V_OK)
                keep_refusal(watch, store_ctx);
        if (is_fine && X509_STORE_CTX_get_error_depth(store_ctx) == 0)
                describe_names(X509_STORE_CTX_get0_cert(store_ctx), watch->names, sizeof watch->names);
        watch->peer_not_after_ms = tls_time_ms(X509_get0_notAfter(X509_STORE_CTX_get0_cert(store_ctx)));
        if (!is_fine || X509_STORE_CTX_get_error_depth(store_ctx) == 0)
                tls_watch_note(watch, name_of(watch->verify_error));
        return is_fine;
}

static void on_info(const SSL *ssl, int where, int value) {
        struct tls_watch *watch = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), watch_index);

        if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && value >> 8 == SSL3_AL_FATAL)
                watch->alert = value & 0xff;
        if (where & SSL_CB_HANDSHAKE_DONE)
                watch->is_established = true;
}

/* Only called where no certificate is set. */
static int on_certificate_wanted(SSL *ssl, X509 **ret_certificate, EVP_PKEY **ret_key) {
        struct tls_watch *watch = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), watch_index);

        (void) ret_certificate;
        (void) ret_key;
        watch->lacks_certificate = true;
        return 0; /* goes on without */
}

int tls_watch_apply(struct tls_watch *watch, SSL_CTX *ssl_ctx) {
        if (SSL_CTX_set_ex_data(ssl_ctx, watch_index, watch) != 1)
                return -ENOMEM;
        atomic_fetch_add(&watch->n_references, 1);
        SSL_CTX_set1_cert_store(ssl_ctx, watch->authorities->store);
        SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_PEER, on_verify);
        SSL_CTX_set_info_callback(ssl_ctx, on_info);
        SSL_CTX_set_client_cert_cb(ssl_ctx, on_certificate_wanted);
        return 0;
}

/* ---- afterwards */

static void format_date(char *dst, size_t size, int64_t ms) {
        if (time_format_rfc3339(dst, size, ms) < 0)
                (void) str_copy(dst, size, "an unknown date");
}

static void describe_refusal(const struct tls_watch *watch, struct gw_error *ret_error) {
        char before[TIME_RFC3339_SIZE], after[TIME_RFC3339_SIZE];
        const char *name = name_of(watch->verify_error);

        format_date(before, sizeof before, watch->not_before_ms);
        format_date(after, sizeof after, watch->not_after_ms);
        switch (watch->verify_error) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
                gw_error_set(ret_error, name, "the certificate %s expired at %s", watch->subject, after);
                break;
        case X509_V_ERR_CERT_NOT_YET_VALID:
                gw_error_set(ret_error, name, "the certificate %s is valid from %s on", watch->subject, before);
                break;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
                gw_error_set(ret_error, name, "the certificate is for %s", watch->names);
                break;
        default:
                gw_error_set(ret_error, name, "%s (%s)", X509_verify_cert_error_string(watch->verify_error), watch->subject);
        }
}

/* RFC 8446, 6.2; also what servers of TLS 1.2 say about a client's certificate. */
static bool is_about_our_certificate(int alert) {
        switch (alert) {
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_EXPIRED:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_UNKNOWN_CA:
        case TLS13_AD_CERTIFICATE_REQUIRED:
                return true;
        default:
                return false;
        }
}

/* OpenSSL 3.0 has no text for the one that is met most. */
static const char *describe_alert(int alert) {
        return alert == TLS13_AD_CERTIFICATE_REQUIRED ? "certificate required" : SSL_alert_desc_string_long(alert);
}

bool tls_watch_failure(const struct tls_watch *watch, bool host_is_wrong, struct gw_error *ret_error) {
        if (watch->verify_error != X509_V_OK)
                describe_refusal(watch, ret_error);
        else if (host_is_wrong)
                gw_error_set(ret_error, "peer-certificate-wrong-host", "the certificate is for %s", watch->names);
        else if (watch->alert >= 0)
                gw_error_set(ret_error, is_about_our_certificate(watch->alert) ? "client-certificate-refused" : "tls-handshake-failed",
                             "the server says \"%s\"", describe_alert(watch->alert));
        else
                return false;
        return true;
}
