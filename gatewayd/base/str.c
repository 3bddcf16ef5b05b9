/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>

int str_copy(char *dst, size_t size, const char *src) {
        return str_copy_n(dst, size, src, strlen(src));
}

int str_copy_n(char *dst, size_t size, const char *src, size_t n) {
        size_t length = strnlen(src, n);
        size_t copied = MIN(length, size - 1);

        memcpy(dst, src, copied);
        dst[copied] = '\0';
        return copied < length ? -ENOBUFS : 0;
}

int str_format(char *dst, size_t size, const char *format, ...) {
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(dst, size, format, args);
        va_end(args);
        return n < 0 || (size_t) n >= size ? -ENOBUFS : 0;
}

bool str_equal(const char *a, const char *b) {
        return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_starts_with(const char *text, const char *prefix) {
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends_with(const char *text, const char *suffix) {
        size_t length = strlen(text), suffix_length = strlen(suffix);

        return length >= suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

bool str_glob_match(const char *pattern, const char *text) {
        return fnmatch(pattern, text, 0) == 0;
}

char *str_trim(char *text) {
        size_t length;

        text += strspn(text, " \t\r\n");
        length = strlen(text);
        while (length > 0 && strchr(" \t\r\n", text[length - 1]))
                length--;
        text[length] = '\0';
        return text;
}

size_t str_distance(const char *a, const char *b) {
        enum { LONGEST = 64 };
        size_t row[LONGEST + 1];
        size_t length_a = strlen(a), length_b = strlen(b);

        if (length_a > LONGEST || length_b > LONGEST)
                return SIZE_MAX;
        for (size_t j = 0; j <= length_b; j++)
                row[j] = j;
        for (size_t i = 1; i <= length_a; i++) {
                size_t diagonal = row[0];

                row[0] = i;
                for (size_t j = 1; j <= length_b; j++) {
                        size_t changed = diagonal + (a[i - 1] != b[j - 1]);

                        diagonal = row[j];
                        row[j] = MIN(changed, MIN(row[j], row[j - 1]) + 1);
                }
        }
        return row[length_b];
}

/* --- numbers --- */

static int digit_value(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

int str_parse_uint64(const char *text, uint64_t min, uint64_t max, uint64_t *ret) {
        unsigned base = 10;
        uint64_t value = 0;
        bool overflow = false;

        if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
                base = 16;
                text += 2;
        }
        if (!*text)
                return -EINVAL;
        for (; *text; text++) {
                int digit = digit_value(*text);

                if (digit < 0 || (unsigned) digit >= base)
                        return -EINVAL;
                overflow =
                        overflow || __builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, (uint64_t) digit, &value);
        }
        if (overflow || value < min || value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

int str_parse_int64(const char *text, int64_t min, int64_t max, int64_t *ret) {
        bool negative = *text == '-';
        uint64_t magnitude;
        int64_t value;
        int r;

        r = str_parse_uint64(text + negative, 0, negative ? (uint64_t) INT64_MAX + 1 : (uint64_t) INT64_MAX, &magnitude);
        if (r < 0)
                return r;
        value = negative ? (int64_t) (0 - magnitude) : (int64_t) magnitude;
        if (value < min || value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

int str_parse_bool(const char *text, bool *ret) {
        static const char *const yes[] = {"true", "yes", "on", "1"};
        static const char *const no[] = {"false", "no", "off", "0"};

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
                        *ret = strcmp(text, yes[i]) == 0;
                        return 0;
                }
        }
        return -EINVAL;
}

/* --- quantities: a decimal number with at most six digits of fraction, then a unit --- */

struct unit {
        const char *name;
        uint64_t factor;
};

static const struct unit duration_units[] = {
        {"ms", 1}, {"s", 1000}, {"min", 60 * 1000}, {"h", 3600 * 1000}, {"d", 86400 * 1000}, {"w", 7 * 86400 * 1000ULL},
};

static const struct unit size_units[] = {
        {"B", 1},           {"K", 1ULL << 10},   {"KB", 1ULL << 10},  {"KiB", 1ULL << 10}, {"M", 1ULL << 20},
        {"MB", 1ULL << 20}, {"MiB", 1ULL << 20}, {"G", 1ULL << 30},   {"GB", 1ULL << 30},  {"GiB", 1ULL << 30},
        {"T", 1ULL << 40},  {"TB", 1ULL << 40},  {"TiB", 1ULL << 40},
};

static const struct unit *unit_find(const struct unit *units, size_t n_units, const char *text, size_t length) {
        for (size_t i = 0; i < n_units; i++)
                if (strlen(units[i].name) == length && strncmp(units[i].name, text, length) == 0)
                        return &units[i];
        return NULL;
}

static const char *skip_blanks(const char *text) {
        return text + strspn(text, " \t");
}

/* Reads "12" or "1.5" as value = whole + millionths / 10^6. */
static int quantity_number(const char **text, uint64_t *ret_whole, uint64_t *ret_millionths) {
        const char *at = *text;
        uint64_t whole = 0, millionths = 0, weight = 100000;

        if (!isdigit((unsigned char) *at))
                return -EINVAL;
        for (; isdigit((unsigned char) *at); at++)
                if (__builtin_mul_overflow(whole, 10u, &whole) || __builtin_add_overflow(whole, (unsigned) (*at - '0'), &whole))
                        return -ERANGE;
        if (*at == '.') {
                if (!isdigit((unsigned char) *++at))
                        return -EINVAL;
                for (; isdigit((unsigned char) *at) && weight > 0; at++, weight /= 10)
                        millionths += weight * (unsigned) (*at - '0');
        }
        *text = at;
        *ret_whole = whole;
        *ret_millionths = millionths;
        return 0;
}

/* One number with its unit; without one (only allowed alone: *ret_bare) the factor is 1. */
static int quantity_term(const char **text, const struct unit *units, size_t n_units, uint64_t *ret_value, bool *ret_bare) {
        const struct unit bare = {"", 1}, *unit = &bare;
        uint64_t whole, millionths, value, fraction;
        size_t length = 0;
        int r;

        r = quantity_number(text, &whole, &millionths);
        if (r < 0)
                return r;
        *text = skip_blanks(*text);
        while (isalpha((unsigned char) (*text)[length]))
                length++;
        if (length > 0)
                unit = unit_find(units, n_units, *text, length);
        if (!unit)
                return -EINVAL;
        if (__builtin_mul_overflow(whole, unit->factor, &value) || __builtin_mul_overflow(millionths, unit->factor, &fraction) ||
            __builtin_add_overflow(value, fraction / 1000000, &value))
                return -ERANGE;
        if (fraction % 1000000)
                return -EINVAL;
        *text = skip_blanks(*text + length);
        *ret_value = value;
        *ret_bare = length == 0;
        return 0;
}

/* single: one term only (sizes); otherwise their sum. */
static int quantity_parse(const char *text, const struct unit *units, size_t n_units, bool single, uint64_t *ret) {
        uint64_t sum = 0;

        text = skip_blanks(text);
        for (unsigned n_terms = 0; n_terms == 0 || *text; n_terms++) {
                uint64_t value;
                bool bare;
                int r;

                r = quantity_term(&text, units, n_units, &value, &bare);
                if (r < 0)
                        return r;
                if ((bare || single) && (n_terms > 0 || *text))
                        return -EINVAL;
                if (__builtin_add_overflow(sum, value, &sum))
                        return -ERANGE;
        }
        *ret = sum;
        return 0;
}

int str_parse_duration_ms(const char *text, int64_t *ret_ms) {
        uint64_t ms;
        int r;

        r = quantity_parse(text, duration_units, ARRAY_SIZE(duration_units), false, &ms);
        if (r < 0)
                return r;
        if (ms > INT64_MAX)
                return -ERANGE;
        *ret_ms = (int64_t) ms;
        return 0;
}

int str_parse_size(const char *text, uint64_t *ret_bytes) {
        return quantity_parse(text, size_units, ARRAY_SIZE(size_units), true, ret_bytes);
}

int str_format_duration_ms(char *dst, size_t size, int64_t ms) {
        static const char *const names[] = {"d", "h", "min", "s", "ms"};
        static const int64_t factors[] = {86400 * 1000, 3600 * 1000, 60 * 1000, 1000, 1};
        struct strbuf text = STRBUF_INIT(size - 1);
        int r;

        if (ms <= 0)
                return str_format(dst, size, "%s", ms == 0 ? "0 s" : "negative");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (ms >= factors[i])
                        strbuf_appendf(&text, "%s%lld %s", text.size ? " " : "", (long long) (ms / factors[i]), names[i]);
                ms %= factors[i];
        }
        r = text.error < 0 ? -ENOBUFS : 0;
        if (str_copy(dst, size, strbuf_text(&text)) < 0)
                r = -ENOBUFS;
        strbuf_deinit(&text);
        return r;
}

int str_format_size(char *dst, size_t size, uint64_t bytes) {
        static const char *const names[] = {"", " KiB", " MiB", " GiB", " TiB"};
        size_t i = 0;

        while (i + 1 < ARRAY_SIZE(names) && bytes >= 1024 && bytes % 1024 == 0) {
                bytes /= 1024;
                i++;
        }
        return str_format(dst, size, "%llu%s", (unsigned long long) bytes, names[i]);
}

/* --- hexadecimal --- */

int str_hex_encode(char *dst, size_t dst_size, const void *data, size_t size) {
        static const char digits[] = "0123456789abcdef";
        const uint8_t *bytes = data;

        if (dst_size == 0 || (dst_size - 1) / 2 < size)
                return -ENOBUFS;
        for (size_t i = 0; i < size; i++) {
                dst[2 * i] = digits[bytes[i] >> 4];
                dst[2 * i + 1] = digits[bytes[i] & 15];
        }
        dst[2 * size] = '\0';
        return 0;
}

int str_hex_decode(void *dst, size_t size, const char *text) {
        uint8_t *bytes = dst;

        if (strlen(text) != 2 * size || strspn(text, "0123456789abcdefABCDEF") != 2 * size)
                return -EINVAL;
        for (size_t i = 0; i < size; i++)
                bytes[i] = (uint8_t) (digit_value(text[2 * i]) << 4 | digit_value(text[2 * i + 1]));
        return 0;
}

/* --- UTF-8 --- */

size_t str_utf8_sequence(const uint8_t *data, size_t size) {
        uint8_t first_min = 0x80, first_max = 0xbf; /* of the byte behind the leading one */
        size_t length;

        if (size == 0)
                return 0;
        if (data[0] < 0x80)
                return 1;
        if (data[0] < 0xc2 || data[0] > 0xf4)
                return 0;
        length = data[0] < 0xe0 ? 2 : data[0] < 0xf0 ? 3 : 4;
        if (data[0] == 0xe0)
                first_min = 0xa0; /* overlong */
        else if (data[0] == 0xed)
                first_max = 0x9f; /* surrogates */
        else if (data[0] == 0xf0)
                first_min = 0x90; /* overlong */
        else if (data[0] == 0xf4)
                first_max = 0x8f; /* beyond U+10FFFF */
        if (size < length || data[1] < first_min || data[1] > first_max)
                return 0;
        for (size_t i = 2; i < length; i++)
                if ((data[i] & 0xc0) != 0x80)
                        return 0;
        return length;
}

bool str_is_utf8(const void *data, size_t size) {
        const uint8_t *at = data;

        while (size > 0) {
                size_t length = str_utf8_sequence(at, size);

                if (length == 0)
                        return false;
                at += length;
                size -= length;
        }
        return true;
}

/* --- identifiers --- */

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static bool is_made_of(const char *text, const char *allowed, size_t max) {
        size_t length = strlen(text);

        return length >= 1 && length <= max && strspn(text, allowed) == length;
}

bool str_is_id(const char *text) {
        return is_made_of(text, LOWER UPPER DIGITS "_.-", STR_ID_MAX) && strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

bool str_is_gateway_id(const char *text) {
        return is_made_of(text, LOWER DIGITS "-", STR_GATEWAY_ID_MAX);
}

bool str_is_driver_name(const char *text) {
        return is_made_of(text, LOWER DIGITS "-", STR_DRIVER_MAX);
}

bool str_is_device_id(const char *text) {
        char driver[STR_DRIVER_MAX + 1];
        const char *colon = strchr(text, ':');

        if (!colon || str_copy_n(driver, sizeof(driver), text, (size_t) (colon - text)) < 0)
                return false;
        return str_is_driver_name(driver) && str_is_id(colon + 1);
}

bool str_is_error_name(const char *text) {
        return is_made_of(text, LOWER DIGITS "-", 47) && *text >= 'a';
}

bool str_is_model(const char *text) {
        return is_made_of(text, LOWER UPPER DIGITS "_.,@/+-", 63);
}

int str_escape(char *dst, size_t size, const char *text, size_t text_size) {
        const uint8_t *at = (const uint8_t *) text;
        size_t used = 0;

        while (text_size > 0) {
                size_t length = str_utf8_sequence(at, text_size);
                /* C0, DEL, and C1 (which a terminal may obey in its two-byte form, too). */
                bool plain = length > 0 && *at >= 0x20 && *at != 0x7f && !(length == 2 && at[0] == 0xc2 && at[1] < 0xa0);
                size_t step = length > 0 ? length : 1;
                size_t need = plain ? step : 4 * step;

                if (used + need >= size) {
                        dst[used] = '\0';
                        return -ENOBUFS;
                }
                if (plain)
                        memcpy(dst + used, at, step);
                else
                        for (size_t i = 0; i < step; i++)
                                snprintf(dst + used + 4 * i, 5, "\\x%02x", at[i]);
                used += need;
                at += step;
                text_size -= step;
        }
        dst[used] = '\0';
        return 0;
}
