/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_errors.h"

#include <stdarg.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"

static void config_error_deinit(struct config_error *error) {
        free(error->file);
        free(error->where);
        free(error->text);
}

void config_errors_deinit(struct config_errors *errors) {
        for (size_t i = 0; i < errors->n_items; i++)
                config_error_deinit(&errors->items[i]);
        free(errors->items);
        *errors = CONFIG_ERRORS_INIT;
}

/* "[gateway] id" of the section "[gateway]" and the key "id". */
static char *join_where(const char *section, const char *key) {
        _cleanup_strbuf_ struct strbuf where = STRBUF_INIT(CONFIG_LINE_MAX);
        char *text = NULL;

        strbuf_appendf(&where, "%s%s%s", section ? section : "", section && key ? " " : "", key ? key : "");
        strbuf_take(&where, &text, NULL);
        return text;
}

void config_errors_add(struct config_errors *errors, const char *file, unsigned line, const char *section, const char *key,
                       const char *format, ...) {
        struct config_error error = {.line = line}, *items;
        va_list args;

        if (errors->n_items == CONFIG_ERRORS_MAX) {
                errors->n_dropped++;
                return;
        }
        va_start(args, format);
        if (vasprintf(&error.text, format, args) < 0)
                error.text = NULL;
        va_end(args);
        error.file = strdup(file);
        error.where = join_where(section, key);
        items = reallocarray(errors->items, errors->n_items + 1, sizeof(*items));
        if (items)
                errors->items = items;
        if (!items || !error.file || !error.where || !error.text) {
                config_error_deinit(&error);
                errors->n_dropped++;
                return;
        }
        items[errors->n_items++] = error;
}

bool config_errors_any(const struct config_errors *errors) {
        return errors->n_items > 0 || errors->n_dropped > 0;
}

int config_error_format(const struct config_error *error, char *dst, size_t size) {
        char line[16] = "";

        if (error->line > 0)
                str_format(line, sizeof(line), ":%u", error->line);
        return str_format(dst, size, "%s%s: %s%s%s", error->file, line, error->where, *error->where ? ": " : "", error->text);
}

void config_errors_print(const struct config_errors *errors, FILE *stream) {
        char line[CONFIG_LINE_MAX];

        for (size_t i = 0; i < errors->n_items; i++) {
                config_error_format(&errors->items[i], line, sizeof(line));
                fprintf(stream, "%s\n", line);
        }
        if (errors->n_dropped)
                fprintf(stream, "and %zu more\n", errors->n_dropped);
}
