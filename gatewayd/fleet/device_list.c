/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/device_list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "document/reader.h"

#define LINE_MAX_BYTES 4096
#define FIELDS_MAX 16

enum column { COLUMN_ID, COLUMN_NAME, COLUMN_MODEL, COLUMN_LABELS, COLUMN_ADDRESS, COLUMN_COUNT_ };

static const char *const column_names[COLUMN_COUNT_] = {"id", "name", "model", "labels", "address"};

struct field {
        char text[LINE_MAX_BYTES];
        unsigned column; /* where it begins, in characters from 1 */
};

struct parser {
        device_list_mistake mistake;
        void *ctx;
        unsigned line;
        size_t n_mistakes;
        bool out_of_memory;
        bool has_form; /* the first line was seen */
        bool is_plain; /* one id a line */
        size_t n_columns;
        enum column columns[FIELDS_MAX];
        struct field fields[FIELDS_MAX];
        struct device_list *list;
        size_t n_allocated;
};

__attribute__((format(printf, 3, 4))) static void report(struct parser *parser, unsigned column, const char *format, ...) {
        char text[JSON_ERROR_TEXT_MAX];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        parser->n_mistakes++;
        parser->mistake(parser->ctx, parser->line, column, text);
}

/* --- from a line to fields --- */

static unsigned column_at(const char *line, const char *at) {
        unsigned column = 1;

        for (; line < at; line++)
                column += ((unsigned char) *line & 0xc0) != 0x80;
        return column;
}

/* A field in quotes at *at, which moves behind the closing quote. False: it is not closed. */
static bool take_quoted(const char **at, char *dst) {
        for ((*at)++; **at; (*at)++) {
                if (**at == '"' && (*at)[1] != '"') {
                        (*at)++;
                        *dst = '\0';
                        return true;
                }
                if (**at == '"')
                        (*at)++;
                *dst++ = **at;
        }
        *dst = '\0';
        return false;
}

static void take_bare(const char **at, char *dst) {
        size_t size = strcspn(*at, ",");

        str_copy_n(dst, LINE_MAX_BYTES, *at, size);
        str_trim(dst);
        *at += size;
}

/* Fields of one line; 0 after a mistake that leaves their borders unclear. */
static size_t split(struct parser *parser, const char *line) {
        const char *at = line;
        size_t n = 0;

        for (;;) {
                struct field *field = &parser->fields[n];

                at += strspn(at, " \t");
                field->column = column_at(line, at);
                if (*at != '"') {
                        take_bare(&at, field->text);
                } else if (!take_quoted(&at, field->text)) {
                        report(parser, field->column, "the quote is not closed");
                        return 0;
                }
                at += strspn(at, " \t");
                n++;
                if (*at == '\0')
                        return n;
                if (*at != ',' || n == FIELDS_MAX) {
                        report(parser, column_at(line, at), n == FIELDS_MAX ? "too many fields" : "expected a comma behind the quote");
                        return 0;
                }
                at++;
        }
}

/* --- from fields to entries --- */

static bool names_column(const char *text, enum column *ret) {
        for (int i = 0; i < COLUMN_COUNT_; i++)
                if (str_equal(text, column_names[i])) {
                        *ret = (enum column) i;
                        return true;
                }
        return false;
}

static bool has_column(const struct parser *parser, enum column column) {
        for (size_t i = 0; i < parser->n_columns; i++)
                if (parser->columns[i] == column)
                        return true;
        return false;
}

static void read_header(struct parser *parser, size_t n_fields) {
        for (size_t i = 0; i < n_fields; i++) {
                const struct field *field = &parser->fields[i];
                enum column column = COLUMN_COUNT_;

                if (!names_column(field->text, &column)) {
                        report(parser, field->column, "unknown column \"%.40s\": expected id, name, model, labels, address", field->text);
                } else if (has_column(parser, column)) {
                        report(parser, field->column, "column %s is there twice", field->text);
                        column = COLUMN_COUNT_; /* read once only */
                }
                parser->columns[parser->n_columns++] = column;
        }
        if (n_fields > 0 && !has_column(parser, COLUMN_ID))
                report(parser, 0, "expected a device id, or a header line with the column id");
}

/* An empty field states nothing. */
static void keep(struct parser *parser, const struct field *field, const struct text_rule *rule, char **dst) {
        if (!field->text[0])
                return;
        if (!rule->is(field->text)) {
                report(parser, field->column, "expected %s", rule->expected);
                return;
        }
        *dst = strdup(field->text);
        if (!*dst)
                parser->out_of_memory = true;
}

static void keep_id(struct parser *parser, const struct field *field, struct device_list_entry *entry) {
        entry->id_column = field->column;
        if (!rule_device_id.is(field->text))
                report(parser, field->column, "expected %s", rule_device_id.expected);
        else
                str_copy(entry->id, sizeof(entry->id), field->text);
}

static void keep_label(struct parser *parser, const struct field *field, const char *label, struct str_list *labels) {
        if (!rule_id.is(label))
                report(parser, field->column, "a label: expected %s", rule_id.expected);
        else if (str_list_contains(labels, label))
                report(parser, field->column, "label %s is there twice", label);
        else if (labels->n_items == DEVICE_LABELS_MAX)
                report(parser, field->column, "more than %d labels", DEVICE_LABELS_MAX);
        else if (str_list_append(labels, label) < 0)
                parser->out_of_memory = true;
}

static void keep_labels(struct parser *parser, const struct field *field, struct device_list_entry *entry) {
        char text[LINE_MAX_BYTES], *rest = text;

        entry->labels_stated = field->text[0];
        str_copy(text, sizeof(text), field->text);
        for (char *label = strtok_r(text, " ", &rest); label; label = strtok_r(NULL, " ", &rest))
                keep_label(parser, field, label, &entry->labels);
}

static void keep_field(struct parser *parser, const struct field *field, enum column column, struct device_list_entry *entry) {
        switch (column) {
        case COLUMN_ID:
                keep_id(parser, field, entry);
                return;
        case COLUMN_NAME:
                keep(parser, field, &rule_name, &entry->name);
                return;
        case COLUMN_MODEL:
                keep(parser, field, &rule_model, &entry->model);
                return;
        case COLUMN_LABELS:
                keep_labels(parser, field, entry);
                return;
        case COLUMN_ADDRESS:
                keep(parser, field, &rule_address, &entry->address);
                return;
        case COLUMN_COUNT_:
                return;
        }
}

/* The next entry; NULL: no memory, or too many. */
static struct device_list_entry *entry_new(struct parser *parser) {
        struct device_list *list = parser->list;
        struct device_list_entry *entries;
        size_t n;

        if (list->n_entries == DEVICES_MAX) {
                report(parser, 0, "more than %d devices", DEVICES_MAX);
                return NULL;
        }
        if (list->n_entries == parser->n_allocated) {
                n = parser->n_allocated ? 2 * parser->n_allocated : 64;
                entries = reallocarray(list->entries, n, sizeof(*entries));
                if (!entries) {
                        parser->out_of_memory = true;
                        return NULL;
                }
                list->entries = entries;
                parser->n_allocated = n;
        }
        memset(&list->entries[list->n_entries], 0, sizeof(*list->entries));
        list->entries[list->n_entries].line = parser->line;
        return &list->entries[list->n_entries++];
}

static void read_entry(struct parser *parser, size_t n_fields) {
        struct device_list_entry *entry;

        if (parser->is_plain && n_fields != 1) {
                report(parser, parser->fields[1].column, "expected one id a line (more columns need a header line)");
                return;
        }
        if (n_fields != parser->n_columns) {
                report(parser, 0, "expected %zu fields as in the header, found %zu", parser->n_columns, n_fields);
                return;
        }
        entry = entry_new(parser);
        for (size_t i = 0; entry && i < n_fields; i++)
                keep_field(parser, &parser->fields[i], parser->columns[i], entry);
}

/* --- lines --- */

static bool is_clean(const char *line) {
        for (const char *at = line; *at; at++)
                if (((unsigned char) *at < 0x20 && *at != '\t') || *at == 0x7f)
                        return false;
        return str_is_utf8(line, strlen(line));
}

/* The first line decides about the form: a device id alone, or the names of columns. */
static void read_first(struct parser *parser, size_t n_fields) {
        parser->has_form = true;
        parser->is_plain = n_fields == 1 && strchr(parser->fields[0].text, ':');
        if (!parser->is_plain) {
                read_header(parser, n_fields);
                return;
        }
        parser->n_columns = 1;
        parser->columns[0] = COLUMN_ID;
        read_entry(parser, n_fields);
}

static void read_line(struct parser *parser, const char *line) {
        size_t n_fields;

        if (line[strspn(line, " \t")] == '\0' || line[0] == '#')
                return;
        if (!is_clean(line)) {
                report(parser, 0, "holds bytes that are no text");
                return;
        }
        n_fields = split(parser, line);
        if (!parser->has_form)
                read_first(parser, n_fields);
        else if (n_fields > 0)
                read_entry(parser, n_fields);
}

static void read_text(struct parser *parser, const char *text, size_t size) {
        char line[LINE_MAX_BYTES];

        if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* spreadsheets write a byte order mark */
                text += 3;
                size -= 3;
        }
        while (size > 0 && !parser->out_of_memory) {
                const char *end = memchr(text, '\n', size);
                size_t length = end ? (size_t) (end - text) : size;

                parser->line++;
                if (memchr(text, '\0', length) || length >= sizeof(line))
                        report(parser, 0, length >= sizeof(line) ? "is longer than 4095 bytes" : "holds bytes that are no text");
                else {
                        str_copy_n(line, sizeof(line), text, length - (length > 0 && text[length - 1] == '\r'));
                        read_line(parser, line);
                }
                text += length + (end != NULL);
                size -= length + (end != NULL);
                /* Without a header nothing below can be understood. */
                if (parser->has_form && !has_column(parser, COLUMN_ID))
                        return;
        }
}

static int compare_entries(const void *a, const void *b) {
        const struct device_list_entry *left = *(struct device_list_entry *const *) a, *right = *(struct device_list_entry *const *) b;
        int r = strcmp(left->id, right->id);

        return r ? r : (left->line > right->line) - (left->line < right->line);
}

static void report_repetitions(struct parser *parser) {
        size_t n = parser->list->n_entries;
        _cleanup_free_ struct device_list_entry **sorted = calloc(n + 1, sizeof(*sorted));

        if (!sorted) {
                parser->out_of_memory = true;
                return;
        }
        for (size_t i = 0; i < n; i++)
                sorted[i] = &parser->list->entries[i];
        qsort(sorted, n, sizeof(*sorted), compare_entries);
        for (size_t i = 1; i < n; i++) {
                if (!sorted[i]->id[0] || !str_equal(sorted[i - 1]->id, sorted[i]->id))
                        continue;
                parser->line = sorted[i]->line;
                report(parser, sorted[i]->id_column, "%s stands in line %u already", sorted[i]->id, sorted[i - 1]->line);
        }
}

int device_list_parse(const char *text, size_t size, device_list_mistake mistake, void *ctx, struct device_list **ret_list) {
        _cleanup_(device_list_freep) struct device_list *list = calloc(1, sizeof(*list));
        _cleanup_free_ struct parser *parser = calloc(1, sizeof(*parser));

        if (!list || !parser)
                return -ENOMEM;
        parser->mistake = mistake;
        parser->ctx = ctx;
        parser->list = list;
        read_text(parser, text, size);
        report_repetitions(parser);
        if (parser->out_of_memory)
                return -ENOMEM;
        *ret_list = TAKE_PTR(list);
        return 0;
}

void device_list_free(struct device_list *list) {
        if (!list)
                return;
        for (size_t i = 0; i < list->n_entries; i++) {
                free(list->entries[i].name);
                free(list->entries[i].model);
                free(list->entries[i].address);
                str_list_deinit(&list->entries[i].labels);
        }
        free(list->entries);
        free(list);
}
