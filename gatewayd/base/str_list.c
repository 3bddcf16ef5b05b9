/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str_list.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"

void str_list_deinit(struct str_list *list) {
        for (size_t i = 0; i < list->n_items; i++)
                free(list->items[i]);
        free(list->items);
        *list = STR_LIST_INIT;
}

int str_list_append(struct str_list *list, const char *text) {
        return str_list_append_n(list, text, strlen(text));
}

int str_list_append_n(struct str_list *list, const char *text, size_t size) {
        _cleanup_free_ char *copy = strndup(text, size);
        char **items;

        if (!copy)
                return -ENOMEM;
        items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->n_items++] = TAKE_PTR(copy);
        return 0;
}

int str_list_copy(struct str_list *dst, const struct str_list *src) {
        _cleanup_str_list_ struct str_list copy = STR_LIST_INIT;

        for (size_t i = 0; i < src->n_items; i++)
                if (str_list_append(&copy, src->items[i]) < 0)
                        return -ENOMEM;
        *dst = copy;
        copy = STR_LIST_INIT;
        return 0;
}

bool str_list_contains(const struct str_list *list, const char *text) {
        for (size_t i = 0; i < list->n_items; i++)
                if (strcmp(list->items[i], text) == 0)
                        return true;
        return false;
}

bool str_list_glob_match(const struct str_list *globs, const char *text) {
        for (size_t i = 0; i < globs->n_items; i++)
                if (str_glob_match(globs->items[i], text))
                        return true;
        return false;
}

bool str_list_equal(const struct str_list *a, const struct str_list *b) {
        if (a->n_items != b->n_items)
                return false;
        for (size_t i = 0; i < a->n_items; i++)
                if (strcmp(a->items[i], b->items[i]) != 0)
                        return false;
        return true;
}
