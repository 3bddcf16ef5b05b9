/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "loop/http_internal.h"

/* Results of X509_verify_cert(), openssl-verification-options(1) and x509_vfy.h: part of OpenSSL's ABI. */
enum verify_result {
        VERIFY_OK = 0,
        VERIFY_UNSPECIFIED = 1, /* also what curl begins with */
        VERIFY_UNABLE_TO_GET_ISSUER = 2,
        VERIFY_NOT_YET_VALID = 9,
        VERIFY_EXPIRED = 10,
        VERIFY_SELF_SIGNED = 18,
        VERIFY_SELF_SIGNED_IN_CHAIN = 19,
        VERIFY_UNABLE_TO_GET_ISSUER_LOCALLY = 20,
        VERIFY_UNABLE_TO_VERIFY_LEAF = 21,
        VERIFY_REVOKED = 23,
        VERIFY_UNTRUSTED = 27,
        VERIFY_HOSTNAME_MISMATCH = 62,
        VERIFY_IP_MISMATCH = 64,
};

struct error_name {
        long code;
        const char *name;
        int error;
};

static const struct error_name verify_names[] = {
        /* The chain was not complained about, so it is curl's own comparison of the name that failed. */
        { VERIFY_OK, "peer-certificate-wrong-host", EACCES },
        { VERIFY_UNSPECIFIED, "peer-certificate-wrong-host", EACCES },
        { VERIFY_HOSTNAME_MISMATCH, "peer-certificate-wrong-host", EACCES },
        { VERIFY_IP_MISMATCH, "peer-certificate-wrong-host", EACCES },
        { VERIFY_EXPIRED, "peer-certificate-expired", EACCES },
        { VERIFY_NOT_YET_VALID, "peer-certificate-not-yet-valid", EACCES },
        { VERIFY_REVOKED, "peer-certificate-revoked", EACCES },
        { VERIFY_UNABLE_TO_GET_ISSUER, "peer-certificate-untrusted", EACCES },
        { VERIFY_SELF_SIGNED, "peer-certificate-untrusted", EACCES },
        { VERIFY_SELF_SIGNED_IN_CHAIN, "peer-certificate-untrusted", EACCES },
        { VERIFY_UNABLE_TO_GET_ISSUER_LOCALLY, "peer-certificate-untrusted", EACCES },
        { VERIFY_UNABLE_TO_VERIFY_LEAF, "peer-certificate-untrusted", EACCES },
        { VERIFY_UNTRUSTED, "peer-certificate-untrusted", EACCES },
};

static const struct error_name curl_names[] = {
        { CURLE_URL_MALFORMAT, "url-invalid", EINVAL },
        { CURLE_UNSUPPORTED_PROTOCOL, "protocol-error", EPROTO }, /* HTTP/0.9: the URL itself was checked before */
        { CURLE_COULDNT_RESOLVE_HOST, "host-unresolvable", EHOSTUNREACH },
        { CURLE_COULDNT_CONNECT, "network-unreachable", ENETUNREACH },
        { CURLE_OPERATION_TIMEDOUT, "download-timeout", ETIMEDOUT },
        { CURLE_PARTIAL_FILE, "download-interrupted", ECONNRESET },
        { CURLE_RECV_ERROR, "download-interrupted", ECONNRESET },
        { CURLE_SEND_ERROR, "download-interrupted", ECONNRESET },
        { CURLE_GOT_NOTHING, "download-interrupted", ECONNRESET },
        { CURLE_WEIRD_SERVER_REPLY, "protocol-error", EPROTO },
        { CURLE_HTTP_RETURNED_ERROR, "protocol-error", EPROTO },
        { CURLE_SSL_CONNECT_ERROR, "tls-handshake-failed", EPROTO },
        { CURLE_SSL_CIPHER, "tls-handshake-failed", EPROTO },
        { CURLE_SSL_CERTPROBLEM, "credentials-unreadable", EACCES },
        { CURLE_SSL_CACERT_BADFILE, "ca-unreadable", EACCES },
        { CURLE_OUT_OF_MEMORY, "out-of-memory", ENOMEM },
};

static const struct error_name fallback = { CURLE_OK, "download-interrupted", ECONNRESET };
static const struct error_name certificate_invalid = { -1, "peer-certificate-invalid", EACCES };

static const struct error_name *find(const struct error_name *names, size_t n_names, long code, const struct error_name *otherwise) {
        for (size_t i = 0; i < n_names; i++)
                if (names[i].code == code)
                        return &names[i];
        return otherwise;
}

/* With TLS 1.3 the server looks at our certificate after the handshake: its refusal comes with the first read. RFC 8446, 6.2. */
static bool is_refusal_of_our_certificate(CURLcode code, const char *text) {
        static const char *const alerts[] = { "alert certificate required", "alert bad certificate", "alert unknown ca",
                                              "alert certificate expired", "alert certificate unknown" };

        if (code != CURLE_SSL_CONNECT_ERROR && code != CURLE_RECV_ERROR && code != CURLE_SEND_ERROR)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(alerts); i++)
                if (strstr(text, alerts[i]))
                        return true;
        return false;
}

static const struct error_name *name_error(CURL *easy, CURLcode code, bool has_begun, const char *text) {
        static const struct error_name refused = { 0, "connection-refused", ECONNREFUSED },
                                       unreachable = { 0, "network-unreachable", ETIMEDOUT },
                                       our_certificate = { 0, "client-certificate-refused", EACCES };
        long detail = 0;

        if (code == CURLE_PEER_FAILED_VERIFICATION) {
                curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &detail);
                return find(verify_names, ARRAY_SIZE(verify_names), detail, &certificate_invalid);
        }
        if (is_refusal_of_our_certificate(code, text))
                return &our_certificate;
        if (code == CURLE_COULDNT_CONNECT) {
                curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &detail);
                if (detail == ECONNREFUSED)
                        return &refused;
        }
        if (code == CURLE_OPERATION_TIMEDOUT && !has_begun)
                return &unreachable;
        return find(curl_names, ARRAY_SIZE(curl_names), (long) code, &fallback);
}

int http_error_of_curl(CURL *easy, CURLcode code, bool has_begun, const char *text, struct gw_error *ret_error) {
        const struct error_name *found = name_error(easy, code, has_begun, text);

        gw_error_set(ret_error, found->name, "%s", text[0] ? text : curl_easy_strerror(code));
        return -found->error;
}
