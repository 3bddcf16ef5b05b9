/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Text: bounded copies, parsing of what people write (numbers, durations, sizes), hexadecimal, UTF-8, the checks of every
 * identifier of the design, and a growing text builder with a limit. No locale, no daemon state.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define STR_ID_MAX 64         /* key of a device, label, campaign id */
#define STR_GATEWAY_ID_MAX 63 /* gateway id, group name */
#define STR_DRIVER_MAX 32     /* name of a driver, plugin or format */
#define STR_DEVICE_ID_MAX (STR_DRIVER_MAX + 1 + STR_ID_MAX)
#define STR_DEVICE_ID_SIZE (STR_DEVICE_ID_MAX + 1)

/* Copies with terminator. 0, or -ENOBUFS when src was cut (dst then holds the beginning, terminated). size >= 1. */
int str_copy(char *dst, size_t size, const char *src);

/* Copies at most n bytes of src, otherwise like str_copy(). */
int str_copy_n(char *dst, size_t size, const char *src, size_t n);

/* Formats like snprintf. 0, or -ENOBUFS when cut. */
int str_format(char *dst, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* NULL is equal to NULL only. */
bool str_equal(const char *a, const char *b);
bool str_starts_with(const char *text, const char *prefix);
bool str_ends_with(const char *text, const char *suffix);

/* fnmatch(3) without flags: * ? [...] ; the whole text must match. */
bool str_glob_match(const char *pattern, const char *text);

/* Cuts white space at both ends in place; returns the first character that stays. */
char *str_trim(char *text);

/* Distance of Levenshtein, for "did you mean"; texts over 64 bytes count as far away (SIZE_MAX). */
size_t str_distance(const char *a, const char *b);

/* Decimal (or 0x...) without sign, blanks or anything behind. -EINVAL not a number, -ERANGE outside min..max. */
int str_parse_uint64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
int str_parse_int64(const char *text, int64_t min, int64_t max, int64_t *ret);
/* true/yes/on/1 and false/no/off/0, exactly in lower case. -EINVAL otherwise. */
int str_parse_bool(const char *text, bool *ret);
/*
 * Sum of numbers with units, blanks allowed: "90 s", "1h 30min", "1.5 s". Units ms s min h d w; a number without unit is
 * milliseconds. -EINVAL, or -ERANGE beyond int64.
 */
int str_parse_duration_ms(const char *text, int64_t *ret_ms);
/* "16M", "16 MiB", "4096"; K M G T are powers of 1024 with or without "iB" or "B"; a number without unit is bytes. */
int str_parse_size(const char *text, uint64_t *ret_bytes);

/* The shortest exact form that the parser above reads back ("90 s", "1 h 30 min"; "16 MiB", "1000"). */
int str_format_duration_ms(char *dst, size_t size, int64_t ms);
int str_format_size(char *dst, size_t size, uint64_t bytes);

/* Lower-case hexadecimal; dst_size must be at least 2 * size + 1, else -ENOBUFS. */
int str_hex_encode(char *dst, size_t dst_size, const void *data, size_t size);
/* Both cases; the text must be exactly 2 * size digits. -EINVAL. */
int str_hex_decode(void *dst, size_t size, const char *text);

/* Well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, at most U+10FFFF). */
bool str_is_utf8(const void *data, size_t size);
/* Length of the well-formed sequence at data (1..4), or 0. */
size_t str_utf8_sequence(const uint8_t *data, size_t size);

/* [A-Za-z0-9_.-]{1,64}, but neither "." nor "..": key of a device, label, campaign id. */
bool str_is_id(const char *text);
/* [a-z0-9-]{1,63}: gateway id, group. */
bool str_is_gateway_id(const char *text);
/* [a-z0-9-]{1,32}: driver, plugin, format. */
bool str_is_driver_name(const char *text);
/* <driver>:<key> */
bool str_is_device_id(const char *text);
/* 1..47 of [a-z0-9-], beginning with a letter: name of an error. */
bool str_is_error_name(const char *text);
/* [A-Za-z0-9_.,@/+-]{1,63}: hardware name such as acme,sensor-r2 or nrf52840dk/nrf52840. */
bool str_is_model(const char *text);

/*
 * Copies text for a person or a log line: control characters and bytes that are not UTF-8 become \xHH, backslash stays.
 * 0, or -ENOBUFS when cut (never within an escape or a sequence).
 */
int str_escape(char *dst, size_t size, const char *text, size_t text_size);

/*
 * Growing text with a limit. The first failure sticks (-ENOMEM, or -E2BIG beyond the limit), later calls do nothing, so a
 * writer checks once at the end. Embedded by value: struct strbuf out = STRBUF_INIT(LIMIT);
 */
struct strbuf {
        char *text; /* NULL until the first byte; always terminated otherwise */
        size_t size;
        size_t capacity;
        size_t limit; /* bytes without terminator */
        int error;
};

#define STRBUF_INIT(limit_bytes) ((struct strbuf){.limit = (limit_bytes)})

void strbuf_deinit(struct strbuf *buf);
void strbuf_reset(struct strbuf *buf); /* empty again, error forgotten, memory kept */
int strbuf_append(struct strbuf *buf, const char *text);
int strbuf_append_n(struct strbuf *buf, const char *data, size_t size);
int strbuf_append_char(struct strbuf *buf, char c);
int strbuf_appendf(struct strbuf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
int strbuf_vappendf(struct strbuf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* The text so far, "" when empty; valid until the next call. */
const char *strbuf_text(const struct strbuf *buf);
/* Hands the text over (free() it) and leaves buf empty; the sticky error instead of a text. Never hands over NULL. */
int strbuf_take(struct strbuf *buf, char **ret_text, size_t *ret_size);

#define _cleanup_strbuf_ _cleanup_(strbuf_deinit)
