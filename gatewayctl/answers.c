/* SPDX-License-Identifier: Apache-2.0 */
#include "answers.h"

#include <stdlib.h>
#include <string.h>

void answers_deinit(struct answers *answers) {
        for (size_t i = 0; i < answers->n_items; i++) {
                json_free(answers->items[i].result);
                failure_deinit(&answers->items[i].failure);
        }
        free(answers->items);
        *answers = (struct answers){ 0 };
}

struct answer *answers_find(const struct answers *answers, const char *gateway) {
        for (size_t i = 0; i < answers->n_items; i++)
                if (strcmp(answers->items[i].gateway, gateway) == 0)
                        return &answers->items[i];
        return NULL;
}

struct answer *answers_add(struct answers *answers, const char *gateway) {
        struct answer *items = reallocarray(answers->items, answers->n_items + 1, sizeof *items), *added;
        size_t at = 0;

        if (!items)
                return NULL;
        answers->items = items;
        while (at < answers->n_items && strcmp(items[at].gateway, gateway) < 0)
                at++;
        added = &items[at];
        memmove(added + 1, added, (answers->n_items - at) * sizeof *items);
        answers->n_items++;
        memset(added, 0, sizeof *added);
        str_copy(added->gateway, sizeof added->gateway, gateway);
        return added;
}

size_t answers_count(const struct answers *answers, enum answer_state state) {
        size_t n = 0;

        for (size_t i = 0; i < answers->n_items; i++)
                n += answers->items[i].state == state;
        return n;
}
