/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small list of texts (groups, labels, globs). Embedded by value; owns its texts.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct str_list {
        char **items;
        size_t n_items;
};

#define STR_LIST_INIT ((struct str_list){0})

void str_list_deinit(struct str_list *list);
int str_list_append(struct str_list *list, const char *text); /* copies; -ENOMEM */
int str_list_append_n(struct str_list *list, const char *text, size_t size);
int str_list_copy(struct str_list *dst, const struct str_list *src); /* dst is empty before; on failure it stays empty */
bool str_list_contains(const struct str_list *list, const char *text);
/* Does any of the list's globs match? */
bool str_list_glob_match(const struct str_list *globs, const char *text);
bool str_list_equal(const struct str_list *a, const struct str_list *b); /* same texts in the same order */

#define _cleanup_str_list_ _cleanup_(str_list_deinit)
