/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_GAP 2      /* blanks between two columns */
#define TABLE_CUT_MIN 12 /* what is left of a column that was cut */

struct cell {
        char *text; /* NULL: empty */
        enum tone tone;
};

struct table {
        const struct table_column *columns;
        size_t n_columns;
        struct cell *cells; /* row after row */
        size_t n_rows, capacity_rows;
        int error;
};

int table_new(const struct table_column *columns, size_t n_columns, struct table **ret_table) {
        struct table *table = calloc(1, sizeof *table);

        assert(n_columns <= TABLE_COLUMNS_MAX);
        if (!table)
                return -ENOMEM;
        table->columns = columns;
        table->n_columns = n_columns;
        *ret_table = table;
        return 0;
}

void table_free(struct table *table) {
        if (!table)
                return;
        for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
                free(table->cells[i].text);
        free(table->cells);
        free(table);
}

size_t table_n_rows(const struct table *table) {
        return table->n_rows;
}

static struct cell *row_of(const struct table *table, size_t row) {
        return table->cells + row * table->n_columns;
}

void table_row(struct table *table) {
        if (table->error == 0 && table->n_rows == table->capacity_rows) {
                size_t capacity = table->capacity_rows ? 2 * table->capacity_rows : 16;
                struct cell *cells = reallocarray(table->cells, capacity * table->n_columns, sizeof *cells);
                if (cells) {
                        table->cells = cells;
                        table->capacity_rows = capacity;
                } else {
                        table->error = -ENOMEM;
                }
        }
        if (table->error < 0)
                return;
        memset(row_of(table, table->n_rows), 0, table->n_columns * sizeof(struct cell));
        table->n_rows++;
}

void table_toned_cell(struct table *table, size_t column, const char *text, enum tone tone) {
        struct cell *cell;

        if (table->error < 0 || !text || !text[0])
                return;
        assert(table->n_rows > 0 && column < table->n_columns);
        cell = row_of(table, table->n_rows - 1) + column;
        free(cell->text);
        cell->text = text_clean(text);
        cell->tone = tone;
        if (!cell->text)
                table->error = -ENOMEM;
}

void table_cell(struct table *table, size_t column, const char *text) {
        table_toned_cell(table, column, text, TONE_PLAIN);
}

/* Columns of each; 0: nothing in it. */
static void measure(const struct table *table, size_t widths[TABLE_COLUMNS_MAX]) {
        for (size_t c = 0; c < table->n_columns; c++) {
                widths[c] = 0;
                for (size_t r = 0; r < table->n_rows; r++) {
                        const char *text = row_of(table, r)[c].text;
                        size_t width = text ? text_columns(text) : 0;
                        widths[c] = MAX(widths[c], width);
                }
                if (widths[c] > 0)
                        widths[c] = MAX(widths[c], text_columns(table->columns[c].title));
        }
}

static size_t total(const struct table *table, const size_t widths[TABLE_COLUMNS_MAX]) {
        size_t sum = 0;

        for (size_t c = 0; c < table->n_columns; c++)
                sum += widths[c] ? widths[c] + TABLE_GAP : 0;
        return sum >= TABLE_GAP ? sum - TABLE_GAP : 0;
}

/* Takes columns from the widest that may be cut until all fit, or none can give more. */
static void squeeze(const struct table *table, size_t widths[TABLE_COLUMNS_MAX], size_t room) {
        while (total(table, widths) > room) {
                size_t widest = table->n_columns;
                for (size_t c = 0; c < table->n_columns; c++)
                        if (table->columns[c].may_cut && widths[c] > TABLE_CUT_MIN &&
                            (widest == table->n_columns || widths[c] > widths[widest]))
                                widest = c;
                if (widest == table->n_columns)
                        return;
                widths[widest]--;
        }
}

struct line {
        const struct table *table;
        const size_t *widths;
        const struct style *style;
        struct strbuf *out;
        size_t pending; /* blanks that are written only when something follows */
};

static void line_cell(struct line *line, size_t column, const char *text, enum tone tone) {
        struct strbuf shown = STRBUF_INIT(TEXT_LIMIT);
        size_t width = line->widths[column], columns;
        bool right = line->table->columns[column].side == TABLE_RIGHT;

        if (width == 0)
                return;
        text_append_cut(&shown, text, width, line->style);
        columns = text_columns(strbuf_text(&shown));
        if (right)
                line->pending += width - columns;
        if (columns > 0) {
                text_append_blanks(line->out, line->pending);
                line->pending = 0;
        }
        text_append_toned(line->out, strbuf_text(&shown), tone, line->style);
        line->pending += (right ? 0 : width - columns) + TABLE_GAP;
        if (shown.error < 0)
                line->out->error = shown.error;
        strbuf_deinit(&shown);
}

int table_render(const struct table *table, const struct style *style, struct strbuf *out) {
        size_t widths[TABLE_COLUMNS_MAX];
        struct line line = { .table = table, .widths = widths, .style = style, .out = out };

        if (table->error < 0 || table->n_rows == 0)
                return table->error;
        measure(table, widths);
        if (style->columns > 0)
                squeeze(table, widths, style->columns);
        for (size_t c = 0; c < table->n_columns; c++)
                line_cell(&line, c, table->columns[c].title, TONE_STRONG);
        strbuf_append_char(out, '\n');
        for (size_t r = 0; r < table->n_rows; r++) {
                line.pending = 0;
                for (size_t c = 0; c < table->n_columns; c++) {
                        const struct cell *cell = row_of(table, r) + c;
                        line_cell(&line, c, cell->text ? cell->text : "", cell->tone);
                }
                strbuf_append_char(out, '\n');
        }
        return out->error;
}
