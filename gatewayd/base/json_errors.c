/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

void json_errors_init(struct json_errors *errors) {
        errors->n_items = 0;
        errors->n_dropped = 0;
}

void json_errors_add(struct json_errors *errors, const char *path, const char *format, ...) {
        struct json_error *error;
        va_list args;

        if (!errors)
                return;
        if (errors->n_items == JSON_ERRORS_MAX) {
                errors->n_dropped++;
                return;
        }
        error = &errors->items[errors->n_items++];
        str_copy(error->path, sizeof(error->path), path);
        va_start(args, format);
        vsnprintf(error->text, sizeof(error->text), format, args);
        va_end(args);
}

bool json_errors_any(const struct json_errors *errors) {
        return errors->n_items > 0;
}

size_t json_errors_count(const struct json_errors *errors) {
        return errors->n_items + errors->n_dropped;
}

void json_errors_format(const struct json_errors *errors, char *dst, size_t size) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(JSON_ERRORS_MAX * sizeof(struct json_error) + 64);

        for (size_t i = 0; i < errors->n_items; i++) {
                const struct json_error *error = &errors->items[i];

                strbuf_appendf(&text, "%s%s%s%s", i ? "; " : "", error->path, *error->path ? ": " : "", error->text);
        }
        if (errors->n_dropped)
                strbuf_appendf(&text, " (and %zu more)", errors->n_dropped);
        str_copy(dst, size, strbuf_text(&text));
}

void json_path_member(char dst[JSON_PATH_MAX], const char *path, const char *member) {
        char whole[2 * JSON_PATH_MAX];

        str_format(whole, sizeof(whole), "%s%s%s", path, *path ? "." : "", member);
        str_copy(dst, JSON_PATH_MAX, whole);
}

void json_path_index(char dst[JSON_PATH_MAX], const char *path, size_t index) {
        char whole[2 * JSON_PATH_MAX];

        str_format(whole, sizeof(whole), "%s[%zu]", path, index);
        str_copy(dst, JSON_PATH_MAX, whole);
}
