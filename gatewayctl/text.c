/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/time.h"

#define SECOND_MS 1000
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * (int64_t) HOUR_MS)

bool text_init(void) {
        bool utf8 = setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;

        if (!utf8)
                setlocale(LC_CTYPE, "C.UTF-8");
        return utf8;
}

static wchar_t decode(const uint8_t *bytes, size_t size) {
        static const uint8_t lead_masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
        uint32_t point = bytes[0] & lead_masks[size];

        for (size_t i = 1; i < size; i++)
                point = point << 6 | (bytes[i] & 0x3f);
        return (wchar_t) point;
}

/* Bytes and columns of the character at text, which is not its end. */
static size_t character(const char *text, size_t left, size_t *ret_columns) {
        size_t size = str_utf8_sequence((const uint8_t *) text, left);
        int width;

        *ret_columns = 1;
        if (size == 0)
                return 1;
        width = wcwidth(decode((const uint8_t *) text, size));
        if (width >= 0)
                *ret_columns = (size_t) width;
        return size;
}

static size_t columns_of(const char *text, size_t size) {
        size_t columns = 0, left = size;

        while (left > 0) {
                size_t width, used = character(text, left, &width);
                columns += width;
                text += used;
                left -= used;
        }
        return columns;
}

size_t text_columns(const char *text) {
        return columns_of(text, strlen(text));
}

/* Bytes of text that fit into max_columns. */
static size_t fitting(const char *text, size_t max_columns) {
        size_t used = 0, columns = 0, left = strlen(text);

        while (left > 0) {
                size_t width, size = character(text + used, left, &width);
                if (columns + width > max_columns)
                        break;
                columns += width;
                used += size;
                left -= size;
        }
        return used;
}

int text_append_cut(struct strbuf *out, const char *text, size_t max_columns, const struct style *style) {
        if (max_columns == 0)
                return out->error;
        if (text_columns(text) <= max_columns)
                return strbuf_append(out, text);
        strbuf_append_n(out, text, fitting(text, max_columns - 1));
        return strbuf_append(out, style->utf8 ? "…" : "~");
}

int text_append_blanks(struct strbuf *out, size_t n_columns) {
        return strbuf_appendf(out, "%*s", (int) n_columns, "");
}

int text_append_toned(struct strbuf *out, const char *text, enum tone tone, const struct style *style) {
        static const char *const codes[] = {
                [TONE_PLAIN] = "",       [TONE_STRONG] = "\033[1m", [TONE_GOOD] = "\033[32m",
                [TONE_BAD] = "\033[31m", [TONE_CARE] = "\033[33m",  [TONE_FAINT] = "\033[2m",
        };

        if (!style->colour || tone == TONE_PLAIN || !text[0])
                return strbuf_append(out, text);
        strbuf_append(out, codes[tone]);
        strbuf_append(out, text);
        return strbuf_append(out, "\033[0m");
}

/* Below this a wrapped text is harder to read than one the terminal breaks itself. */
#define WRAP_MIN_COLUMNS 20

int text_append_wrapped(struct strbuf *out, const char *text, size_t indent, const struct style *style) {
        size_t room = style->columns > indent + WRAP_MIN_COLUMNS ? style->columns - indent : SIZE_MAX, used = 0;

        while (*text) {
                size_t bytes = strcspn(text, " "), columns = columns_of(text, bytes);
                if (used > 0 && used + 1 + columns > room) {
                        strbuf_append_char(out, '\n');
                        text_append_blanks(out, indent);
                        used = 0;
                } else if (used > 0) {
                        strbuf_append_char(out, ' ');
                        used++;
                }
                strbuf_append_n(out, text, bytes);
                used += columns;
                text += bytes + strspn(text + bytes, " ");
        }
        return strbuf_append_char(out, '\n');
}

char *text_clean(const char *text) {
        size_t size = strlen(text), room = 4 * size + 1;
        char *clean = malloc(room);

        if (clean)
                str_escape(clean, room, text, size);
        return clean;
}

void text_bytes(char *dst, size_t size, int64_t bytes) {
        static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
        double value = (double) bytes;
        size_t unit = 0;

        while (value >= 999.5 && unit + 1 < ARRAY_SIZE(units)) {
                value /= 1024;
                unit++;
        }
        str_format(dst, size, "%.*f %s", unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2, value, units[unit]);
}

static void two_units(char *dst, size_t size, int64_t large, const char *large_unit, int64_t small, const char *small_unit) {
        if (small == 0)
                str_format(dst, size, "%" PRId64 " %s", large, large_unit);
        else
                str_format(dst, size, "%" PRId64 " %s %" PRId64 " %s", large, large_unit, small, small_unit);
}

void text_duration(char *dst, size_t size, int64_t ms) {
        if (ms < SECOND_MS)
                str_format(dst, size, "%" PRId64 " ms", ms);
        else if (ms < 10 * SECOND_MS && ms % SECOND_MS >= 50)
                str_format(dst, size, "%.1f s", (double) ms / SECOND_MS);
        else if (ms < MINUTE_MS)
                str_format(dst, size, "%" PRId64 " s", ms / SECOND_MS);
        else if (ms < HOUR_MS)
                two_units(dst, size, ms / MINUTE_MS, "min", ms % MINUTE_MS / SECOND_MS, "s");
        else if (ms < DAY_MS)
                two_units(dst, size, ms / HOUR_MS, "h", ms % HOUR_MS / MINUTE_MS, "min");
        else
                two_units(dst, size, ms / DAY_MS, "d", ms % DAY_MS / HOUR_MS, "h");
}

void text_ago(char *dst, size_t size, const char *rfc3339, int64_t now_wall_ms) {
        int64_t then_ms;
        char span[32];

        if (time_parse_rfc3339(rfc3339, &then_ms) < 0 || then_ms > now_wall_ms) {
                str_copy(dst, size, rfc3339);
                return;
        }
        /* "4.2 s ago" would be precision that nobody asked for. */
        text_duration(span, sizeof span, now_wall_ms - then_ms < SECOND_MS ? 0 : (now_wall_ms - then_ms) / SECOND_MS * SECOND_MS);
        if (now_wall_ms - then_ms < SECOND_MS)
                str_copy(dst, size, "now");
        else
                str_format(dst, size, "%s ago", span);
}

void text_time(char *dst, size_t size, const char *rfc3339) {
        int64_t wall_ms;
        struct tm local;
        time_t seconds;

        if (time_parse_rfc3339(rfc3339, &wall_ms) < 0) {
                str_copy(dst, size, rfc3339);
                return;
        }
        seconds = wall_ms / SECOND_MS;
        if (!localtime_r(&seconds, &local) || strftime(dst, size, "%Y-%m-%d %H:%M:%S", &local) == 0)
                str_copy(dst, size, rfc3339);
}
