/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What loop/http_transfer.c has to know of URLs; parsing is curl's, so that both mean the same.
 */

#include <stdbool.h>

/* https, with a host, without user information, at most HTTP_URL_MAX. */
bool http_url_is_valid(const char *url);

/* Scheme, host and port are the same. Both are valid. */
bool http_url_same_origin(const char *a, const char *b);

/* `location` as seen from `url`, without a fragment. -EINVAL: malformed, or not valid in the sense above; -ENOMEM. free() it. */
int http_url_resolve(const char *url, const char *location, char **ret_url);

/* "host:port" of a valid URL, for people; a long host is cut. */
#define HTTP_PEER_SIZE 272
void http_url_peer(const char *url, char ret_peer[HTTP_PEER_SIZE]);
