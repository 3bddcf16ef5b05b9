/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "loop/http_internal.h"

struct error_name {
        long code;
        const char *name;
        int error;
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
        { CURLE_PEER_FAILED_VERIFICATION, "peer-certificate-invalid", EACCES },
        { CURLE_SSL_CONNECT_ERROR, "tls-handshake-failed", EPROTO },
        { CURLE_SSL_CIPHER, "tls-handshake-failed", EPROTO },
        { CURLE_SSL_CERTPROBLEM, "credentials-unreadable", EACCES },
        { CURLE_OUT_OF_MEMORY, "out-of-memory", ENOMEM },
};

static const struct error_name fallback = { CURLE_OK, "download-interrupted", ECONNRESET };

static const struct error_name *find(CURLcode code) {
        for (size_t i = 0; i < ARRAY_SIZE(curl_names); i++)
                if (curl_names[i].code == (long) code)
                        return &curl_names[i];
        return &fallback;
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

        if (is_refusal_of_our_certificate(code, text))
                return &our_certificate;
        if (code == CURLE_COULDNT_CONNECT) {
                curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &detail);
                if (detail == ECONNREFUSED)
                        return &refused;
        }
        if (code == CURLE_OPERATION_TIMEDOUT && !has_begun)
                return &unreachable;
        return find(code);
}

int http_error_of_curl(CURL *easy, CURLcode code, bool has_begun, const char *text, const struct gw_error *refusal,
                       struct gw_error *ret_error) {
        const struct error_name *found = name_error(easy, code, has_begun, text);

        if (code == CURLE_PEER_FAILED_VERIFICATION && gw_error_is_set(refusal)) {
                *ret_error = *refusal;
                return -EACCES;
        }
        gw_error_set(ret_error, found->name, "%s", text[0] ? text : curl_easy_strerror(code));
        return -found->error;
}
