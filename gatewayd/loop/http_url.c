/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/http_url.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "loop/http.h"

DEFINE_CLEANUP(CURLU *, curl_url_cleanup);

static char *part_of(CURLU *parsed, CURLUPart part, unsigned flags) {
        char *text = NULL;

        return curl_url_get(parsed, part, &text, flags) == CURLUE_OK ? text : NULL;
}

static CURLU *parse(const char *url) {
        CURLU *parsed = curl_url();

        if (parsed && strlen(url) <= HTTP_URL_MAX && curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
                return parsed;
        curl_url_cleanup(parsed);
        return NULL;
}

static bool is_valid(CURLU *parsed) {
        char *scheme = part_of(parsed, CURLUPART_SCHEME, 0), *host = part_of(parsed, CURLUPART_HOST, 0);
        char *user = part_of(parsed, CURLUPART_USER, 0), *password = part_of(parsed, CURLUPART_PASSWORD, 0);
        bool valid = scheme && strcasecmp(scheme, "https") == 0 && host && host[0] && !user && !password;

        curl_free(scheme);
        curl_free(host);
        curl_free(user);
        curl_free(password);
        return valid;
}

bool http_url_is_valid(const char *url) {
        _cleanup_(curl_url_cleanupp) CURLU *parsed = parse(url);

        return parsed && is_valid(parsed);
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part) {
        char *a_text = part_of(a, part, CURLU_DEFAULT_PORT), *b_text = part_of(b, part, CURLU_DEFAULT_PORT);
        bool same = a_text && b_text && strcasecmp(a_text, b_text) == 0;

        curl_free(a_text);
        curl_free(b_text);
        return same;
}

bool http_url_same_origin(const char *a, const char *b) {
        _cleanup_(curl_url_cleanupp) CURLU *a_parsed = parse(a), *b_parsed = parse(b);

        return a_parsed && b_parsed && same_part(a_parsed, b_parsed, CURLUPART_SCHEME) && same_part(a_parsed, b_parsed, CURLUPART_HOST) &&
               same_part(a_parsed, b_parsed, CURLUPART_PORT);
}

void http_url_peer(const char *url, char ret_peer[HTTP_PEER_SIZE]) {
        _cleanup_(curl_url_cleanupp) CURLU *parsed = parse(url);
        char *host = parsed ? part_of(parsed, CURLUPART_HOST, 0) : NULL;
        char *port = parsed ? part_of(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT) : NULL;

        (void) str_format(ret_peer, HTTP_PEER_SIZE, "%s:%s", host ? host : "", port ? port : "");
        curl_free(host);
        curl_free(port);
}

int http_url_resolve(const char *url, const char *location, char **ret_url) {
        _cleanup_(curl_url_cleanupp) CURLU *parsed = parse(url);
        char *text, *copy;

        if (!parsed || curl_url_set(parsed, CURLUPART_URL, location, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK || !is_valid(parsed))
                return -EINVAL;
        curl_url_set(parsed, CURLUPART_FRAGMENT, NULL, 0);
        text = part_of(parsed, CURLUPART_URL, 0);
        if (!text || strlen(text) > HTTP_URL_MAX) {
                curl_free(text);
                return -EINVAL;
        }
        copy = strdup(text);
        curl_free(text);
        if (!copy)
                return -ENOMEM;
        *ret_url = copy;
        return 0;
}
