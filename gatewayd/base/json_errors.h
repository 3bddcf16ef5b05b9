/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * All mistakes of one document at once: where (a path such as policy.waves[1].count) and what. Bounded: the first
 * JSON_ERRORS_MAX are kept, the rest is counted. Embedded by value (about 12 KiB: not deep in a recursion).
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/limits.h"

struct json_error {
        char path[JSON_PATH_MAX];
        char text[JSON_ERROR_TEXT_MAX];
};

struct json_errors {
        struct json_error items[JSON_ERRORS_MAX];
        size_t n_items;   /* kept */
        size_t n_dropped; /* only counted */
};

void json_errors_init(struct json_errors *errors);
/* NULL errors: nothing. path "" is the document itself. */
void json_errors_add(struct json_errors *errors, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool json_errors_any(const struct json_errors *errors);
size_t json_errors_count(const struct json_errors *errors); /* kept and dropped */

/* "policy.mode: expected ...; devices: ... (and 3 more)"; cut at size. */
void json_errors_format(const struct json_errors *errors, char *dst, size_t size);

/* Child paths: "a" + "b" = "a.b", "" + "b" = "b"; json_path_index("a", 3) = "a[3]". Cut at JSON_PATH_MAX. */
void json_path_member(char dst[JSON_PATH_MAX], const char *path, const char *member);
void json_path_index(char dst[JSON_PATH_MAX], const char *path, size_t index);
