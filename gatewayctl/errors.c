/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <string.h>

#include "base/error_catalogue.h"

/* Every name that an error may have, explained from the catalogue. */

static const struct table_column error_columns[] = { { .title = "NAME" }, { .title = "CLASS" }, { .title = "MEANING", .may_cut = true } };

static int add_json(struct json *array, const struct gw_error_info *info) {
        struct json *object = json_append_new_object(array);
        int r = object ? json_set_string(object, "name", info->name) : -ENOMEM;

        if (r == 0)
                r = json_set_string(object, "class", error_class_name(info->class_));
        if (r == 0)
                r = json_set_string(object, "meaning", info->meaning);
        if (r == 0)
                r = json_set_string(object, "advice", info->advice);
        return r;
}

static int print_json(struct session *session, const char *only, struct failure *failure) {
        _cleanup_json_ struct json *root = json_new_object();
        struct json *array = root ? json_set_new_array(root, "errors") : NULL;
        int r = array ? 0 : -ENOMEM;

        for (size_t i = 0; i < error_catalogue_count() && r == 0; i++)
                if (!only || strcmp(error_catalogue_at(i)->name, only) == 0)
                        r = add_json(array, error_catalogue_at(i));
        return r < 0 ? failure_errno(failure, r) : session_print_json(session, root, failure);
}

static int print_all(struct session *session, struct failure *failure) {
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(error_columns, ARRAY_SIZE(error_columns), &table);

        if (r < 0)
                return failure_errno(failure, r);
        for (size_t i = 0; i < error_catalogue_count(); i++) {
                const struct gw_error_info *info = error_catalogue_at(i);
                table_row(table);
                table_cell(table, 0, info->name);
                table_cell(table, 1, error_class_name(info->class_));
                table_cell(table, 2, info->meaning);
        }
        return session_print_table(session, table, failure);
}

static int print_one(struct session *session, const struct gw_error_info *info, struct failure *failure) {
        static const char *const classes[] = {
                [GW_ERROR_RETRY] = "is tried again by itself, with pauses that grow",
                [GW_ERROR_TERMINAL] = "would fail the same way again: it ends the job",
                [GW_ERROR_WAIT] = "is no failure: the job waits and goes on by itself",
        };
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        text_append_toned(&out, info->name, TONE_STRONG, &session->style);
        strbuf_append(&out, "\n  ");
        text_append_wrapped(&out, info->meaning, 2, &session->style);
        strbuf_appendf(&out, "  It %s.\n  What to do: ", classes[info->class_]);
        text_append_wrapped(&out, info->advice, 14, &session->style);
        return session_print(session, &out, failure);
}

int run_errors(struct session *session, struct failure *failure) {
        const char *name = arguments_at(session->arguments, 0), *nearest = NULL;
        const struct gw_error_info *info = name ? error_catalogue_find(name) : NULL;
        size_t best = 5;

        if (name && !info) {
                for (size_t i = 0; i < error_catalogue_count(); i++)
                        if (str_distance(name, error_catalogue_at(i)->name) < best) {
                                nearest = error_catalogue_at(i)->name;
                                best = str_distance(name, nearest);
                        }
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "there is no error %s%s%s%s", name, nearest ? "; did you mean " : "",
                                   nearest ? nearest : "", nearest ? "?" : "; it may be a plugin's own, then its README explains it");
        }
        if (session->json)
                return print_json(session, name, failure);
        return info ? print_one(session, info, failure) : print_all(session, failure);
}
