/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tables for people: columns aligned by what a terminal shows, a header, nothing drawn around it. Columns that are empty in every
 * row are left out. On a terminal too narrow for it, the columns that may be cut give way first. Copies every text.
 */

#include <stddef.h>

#include "base/cleanup.h"
#include "text.h"

#define TABLE_COLUMNS_MAX 12

struct table_column {
        const char *title;
        enum {
                TABLE_LEFT,
                TABLE_RIGHT,
        } side;
        bool may_cut; /* on a narrow terminal, down to TABLE_CUT_MIN columns */
};

struct table;

/* columns must outlive the table. -ENOMEM. */
int table_new(const struct table_column *columns, size_t n_columns, struct table **ret_table);
void table_free(struct table *table);
DEFINE_CLEANUP(struct table *, table_free);
#define _cleanup_table_ _cleanup_(table_freep)

/* Out of memory sticks until table_render(). */
void table_row(struct table *table);                                   /* begins a row of empty cells */
void table_cell(struct table *table, size_t column, const char *text); /* of the last row; NULL: stays empty */
void table_toned_cell(struct table *table, size_t column, const char *text, enum tone tone);
size_t table_n_rows(const struct table *table);

/* Header and rows; nothing for a table without rows. */
int table_render(const struct table *table, const struct style *style, struct strbuf *out);
