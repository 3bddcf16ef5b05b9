/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The only judge of foreign JSON: one strict pass over the bytes (RFC 8259) before any parser builds a tree. Refuses what a
 * lenient parser would let through: bad UTF-8, a byte order mark, duplicate members (compared after decoding the escapes),
 * \u0000, lone surrogates, integers beyond int64, numbers beyond double, nesting beyond JSON_DEPTH_MAX, anything behind
 * the value. Recursion is bounded by the depth limit; memory by the size of the text.
 */

#include <stddef.h>

struct json_check_error {
        size_t offset;   /* byte, from 0 */
        unsigned line;   /* from 1 */
        unsigned column; /* in bytes, from 1 */
        char text[128];  /* what is wrong, without position */
};

/*
 * 0: json is one value and nothing but white space around it. -EBADMSG: it is not; *ret_error says where and why (NULL
 * allowed). -E2BIG: over max_bytes (0: JSON_SIZE_MAX of limits.h). -ENOMEM.
 */
int json_check(const char *json, size_t size, size_t max_bytes, struct json_check_error *ret_error);
