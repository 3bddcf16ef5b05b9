/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Text as a terminal shows it: how many columns it takes, cutting and filling by columns, wrapping; and numbers as people read
 * them. Knows nothing of the daemon. Widths come from the C library's tables: text_init() chooses a UTF-8 character set whatever
 * the environment says, without it every character counts as one column.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define TEXT_LIMIT (64u * 1024 * 1024) /* bytes of one output that is built before it is printed */

/* Colours and signs a terminal can show. */
struct style {
        bool colour;
        bool utf8;
        unsigned columns; /* of the terminal; 0: unknown, or no terminal: nothing is cut or wrapped */
};

enum tone {
        TONE_PLAIN,
        TONE_STRONG,
        TONE_GOOD,
        TONE_BAD,
        TONE_CARE,
        TONE_FAINT,
};

/* Once, at the start of the process. Returns whether the environment's own character set is UTF-8. */
bool text_init(void);

/* Columns of well-formed UTF-8; what is not well-formed counts a column a byte. */
size_t text_columns(const char *text);

/* Appends at most max_columns columns, the last one an ellipsis where something was cut. */
int text_append_cut(struct strbuf *out, const char *text, size_t max_columns, const struct style *style);
int text_append_blanks(struct strbuf *out, size_t n_columns);
/* Appends text in a tone, plain where the style has no colour. */
int text_append_toned(struct strbuf *out, const char *text, enum tone tone, const struct style *style);

/* Words wrapped at style->columns; every line but the first begins with `indent` blanks (the first is the caller's). Ends with '\n'. */
int text_append_wrapped(struct strbuf *out, const char *text, size_t indent, const struct style *style);

/* What a peer wrote, with control characters escaped. The caller frees; NULL only when out of memory. */
char *text_clean(const char *text);

/* Three digits that matter: "512 B", "34.2 KiB", "201 KiB", "1.50 MiB". */
void text_bytes(char *dst, size_t size, int64_t bytes);
/* "340 ms", "12 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
void text_duration(char *dst, size_t size, int64_t ms);
/* "12 s ago", "3 d 4 h ago"; in the future or not a time: the text itself. */
void text_ago(char *dst, size_t size, const char *rfc3339, int64_t now_wall_ms);
/* Local time, "2026-12-05 14:03:07"; not a time: the text itself. */
void text_time(char *dst, size_t size, const char *rfc3339);
