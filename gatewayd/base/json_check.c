/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_check.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/str.h"

/*
 * Recursive descent. Every function leaves `at` behind what it read and returns 0, or sets the error and returns -EBADMSG
 * (-ENOMEM). The decoded names of all open objects lie in one arena, with one `member` each; when an object ends, its members
 * are sorted and neighbours compared, so a hostile document costs n log n, whatever its names hash to.
 */
struct member {
        size_t name;   /* offset in names */
        size_t length; /* decoded, may be compared bytewise */
        size_t offset; /* of the opening quote, for the message */
};

struct checker {
        const uint8_t *start;
        const uint8_t *at;
        const uint8_t *end;
        struct strbuf names;
        struct member *members;
        size_t n_members;
        size_t members_capacity;
        unsigned depth;
        struct json_check_error *error;
};

static int check_value(struct checker *checker);

/* Position of a byte for a person; only computed once, for the error. */
static void error_position(const struct checker *checker, size_t offset, struct json_check_error *error) {
        error->offset = offset;
        error->line = 1;
        error->column = 1;
        for (size_t i = 0; i < offset; i++) {
                error->column++;
                if (checker->start[i] == '\n') {
                        error->line++;
                        error->column = 1;
                }
        }
}

__attribute__((format(printf, 3, 4))) static int fail_at(struct checker *checker, const uint8_t *where, const char *format, ...) {
        va_list args;

        if (!checker->error)
                return -EBADMSG;
        error_position(checker, (size_t) (where - checker->start), checker->error);
        va_start(args, format);
        vsnprintf(checker->error->text, sizeof(checker->error->text), format, args);
        va_end(args);
        return -EBADMSG;
}

/* "found x where ... was expected". */
static int fail_expected(struct checker *checker, const char *expected) {
        if (checker->at >= checker->end)
                return fail_at(checker, checker->at, "the text ends where %s was expected", expected);
        if (*checker->at >= 0x20 && *checker->at < 0x7f)
                return fail_at(checker, checker->at, "found '%c' where %s was expected", *checker->at, expected);
        return fail_at(checker, checker->at, "found byte 0x%02x where %s was expected", *checker->at, expected);
}

static void skip_space(struct checker *checker) {
        while (checker->at < checker->end && memchr(" \t\r\n", *checker->at, 4))
                checker->at++;
}

static bool at_char(const struct checker *checker, char c) {
        return checker->at < checker->end && *checker->at == (uint8_t) c;
}

/* --- strings --- */

static int hex_unit(struct checker *checker, unsigned *ret_unit) {
        unsigned unit = 0;

        for (int i = 0; i < 4; i++, checker->at++) {
                static const char digits[] = "0123456789abcdef";
                const char *digit;

                if (checker->at >= checker->end)
                        return fail_expected(checker, "a hexadecimal digit of \\uXXXX");
                digit = memchr(digits, *checker->at >= 'A' && *checker->at <= 'F' ? *checker->at + 32 : *checker->at, 16);
                if (!digit)
                        return fail_expected(checker, "a hexadecimal digit of \\uXXXX");
                unit = unit << 4 | (unsigned) (digit - digits);
        }
        *ret_unit = unit;
        return 0;
}

static size_t utf8_encode(unsigned code, char dst[4]) {
        if (code < 0x80) {
                dst[0] = (char) code;
                return 1;
        }
        if (code < 0x800) {
                dst[0] = (char) (0xc0 | code >> 6);
                dst[1] = (char) (0x80 | (code & 0x3f));
                return 2;
        }
        if (code < 0x10000) {
                dst[0] = (char) (0xe0 | code >> 12);
                dst[1] = (char) (0x80 | (code >> 6 & 0x3f));
                dst[2] = (char) (0x80 | (code & 0x3f));
                return 3;
        }
        dst[0] = (char) (0xf0 | code >> 18);
        dst[1] = (char) (0x80 | (code >> 12 & 0x3f));
        dst[2] = (char) (0x80 | (code >> 6 & 0x3f));
        dst[3] = (char) (0x80 | (code & 0x3f));
        return 4;
}

/* Behind "\u": one unit, or a pair of surrogates. */
static int unicode_escape(struct checker *checker, unsigned *ret_code) {
        const uint8_t *escape = checker->at - 2;
        unsigned high = 0, low = 0; /* gcc does not see, at -O3, that they are set unless hex_unit() fails */
        int r = hex_unit(checker, &high);

        if (r < 0)
                return r;
        if (high == 0)
                return fail_at(checker, escape, "\\u0000 is not allowed in a string");
        *ret_code = high;
        if (high < 0xd800 || high > 0xdfff)
                return 0;
        if (high > 0xdbff || checker->end - checker->at < 2 || checker->at[0] != '\\' || checker->at[1] != 'u')
                return fail_at(checker, escape, "\\u%04x is half of a surrogate pair", high);
        checker->at += 2;
        r = hex_unit(checker, &low);
        if (r < 0)
                return r;
        if (low < 0xdc00 || low > 0xdfff)
                return fail_at(checker, escape, "\\u%04x is half of a surrogate pair", high);
        *ret_code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return 0;
}

/* Behind a backslash. */
static int check_escape(struct checker *checker, bool keep) {
        static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
        const char *escape;
        char decoded[4];
        size_t n = 1;

        if (at_char(checker, 'u')) {
                unsigned code = 0;
                int r;

                checker->at++;
                r = unicode_escape(checker, &code);
                if (r < 0)
                        return r;
                n = utf8_encode(code, decoded);
        } else {
                escape = checker->at < checker->end ? memchr(escapes, *checker->at, strlen(escapes)) : NULL;
                if (!escape)
                        return fail_expected(checker, "one of \" \\ / b f n r t u behind a backslash");
                decoded[0] = meanings[escape - escapes];
                checker->at++;
        }
        return keep ? strbuf_append_n(&checker->names, decoded, n) : 0;
}

/* Bytes that need no escape, up to the next quote, backslash or mistake. */
static int check_plain_run(struct checker *checker, bool keep) {
        const uint8_t *run = checker->at;

        while (checker->at < checker->end && *checker->at != '"' && *checker->at != '\\' && *checker->at >= 0x20) {
                size_t length = str_utf8_sequence(checker->at, (size_t) (checker->end - checker->at));

                if (length == 0)
                        return fail_at(checker, checker->at, "byte 0x%02x is not valid UTF-8 here", *checker->at);
                checker->at += length;
        }
        return keep ? strbuf_append_n(&checker->names, (const char *) run, (size_t) (checker->at - run)) : 0;
}

/* keep: append the decoded text to names. */
static int check_string(struct checker *checker, bool keep) {
        const uint8_t *quote = checker->at++;

        for (;;) {
                int r = check_plain_run(checker, keep);

                if (r < 0)
                        return r;
                if (checker->at >= checker->end)
                        return fail_at(checker, quote, "this string does not end");
                if (*checker->at == '"') {
                        checker->at++;
                        return 0;
                }
                if (*checker->at != '\\')
                        return fail_at(checker, checker->at, "control character 0x%02x in a string", *checker->at);
                checker->at++;
                r = check_escape(checker, keep);
                if (r < 0)
                        return r;
        }
}

/* --- numbers --- */

static int check_digits(struct checker *checker, const char *where) {
        const uint8_t *first = checker->at;

        while (checker->at < checker->end && *checker->at >= '0' && *checker->at <= '9')
                checker->at++;
        return checker->at > first ? 0 : fail_expected(checker, where);
}

/* The grammar is satisfied; does the value fit? Longer than any sensible number: refused rather than copied. */
static int check_number_range(struct checker *checker, const uint8_t *first, bool is_integer) {
        char text[512];
        size_t length = (size_t) (checker->at - first);
        int64_t integer;

        if (length >= sizeof(text))
                return fail_at(checker, first, "a number of %zu digits is too long", length);
        memcpy(text, first, length);
        text[length] = '\0';
        if (is_integer && str_parse_int64(text, INT64_MIN, INT64_MAX, &integer) < 0)
                return fail_at(checker, first, "this integer does not fit into 64 bits with sign");
        if (!is_integer && !isfinite(strtod(text, NULL)))
                return fail_at(checker, first, "this number is beyond the range of a double");
        return 0;
}

static int check_number(struct checker *checker) {
        const uint8_t *first = checker->at;
        bool is_integer = true;
        int r;

        if (*checker->at == '-')
                checker->at++;
        if (at_char(checker, '0')) {
                checker->at++;
                if (checker->at < checker->end && *checker->at >= '0' && *checker->at <= '9')
                        return fail_at(checker, first, "a number may not begin with 0");
        } else {
                r = check_digits(checker, "a digit");
                if (r < 0)
                        return r;
        }
        if (at_char(checker, '.')) {
                is_integer = false;
                checker->at++;
                r = check_digits(checker, "a digit behind the decimal point");
                if (r < 0)
                        return r;
        }
        if (at_char(checker, 'e') || at_char(checker, 'E')) {
                is_integer = false;
                checker->at++;
                if (at_char(checker, '+') || at_char(checker, '-'))
                        checker->at++;
                r = check_digits(checker, "a digit of the exponent");
                if (r < 0)
                        return r;
        }
        return check_number_range(checker, first, is_integer);
}

/* --- containers --- */

static int member_add(struct checker *checker, size_t name, size_t offset) {
        if (checker->n_members == checker->members_capacity) {
                size_t capacity = MAX(checker->members_capacity * 2, (size_t) 32);
                struct member *members = reallocarray(checker->members, capacity, sizeof(*members));

                if (!members)
                        return -ENOMEM;
                checker->members = members;
                checker->members_capacity = capacity;
        }
        checker->members[checker->n_members++] = (struct member){.name = name, .length = checker->names.size - name, .offset = offset};
        return 0;
}

/* By name, then by position. */
static int member_compare(const void *a, const void *b, void *context) {
        const struct member *left = a, *right = b;
        const char *names = context;
        int r = memcmp(names + left->name, names + right->name, MIN(left->length, right->length));

        if (r != 0)
                return r;
        if (left->length != right->length)
                return left->length < right->length ? -1 : 1;
        return left->offset < right->offset ? -1 : 1;
}

static bool member_same_name(const struct checker *checker, const struct member *a, const struct member *b) {
        const char *names = strbuf_text(&checker->names);

        return a->length == b->length && memcmp(names + a->name, names + b->name, a->length) == 0;
}

/* The members from first on are one whole object: looks for duplicates and forgets them. */
static int members_finish(struct checker *checker, size_t first, size_t names_before) {
        const struct member *duplicate = NULL;
        size_t n = checker->n_members - first;
        struct member *members;

        if (n == 0)
                return 0;
        members = checker->members + first;
        if (n > 1)
                qsort_r(members, n, sizeof(*members), member_compare, checker->names.text);
        for (size_t i = 1; i < n; i++)
                if (member_same_name(checker, &members[i - 1], &members[i]) && (!duplicate || members[i].offset < duplicate->offset))
                        duplicate = &members[i];
        if (duplicate) {
                char name[80];

                str_escape(name, sizeof(name), checker->names.text + duplicate->name, duplicate->length);
                return fail_at(checker, checker->start + duplicate->offset, "member \"%s\" stands twice in this object", name);
        }
        checker->n_members = first;
        checker->names.size = names_before;
        return 0;
}

static int check_member(struct checker *checker) {
        size_t name = checker->names.size, offset = (size_t) (checker->at - checker->start);
        int r;

        if (!at_char(checker, '"'))
                return fail_expected(checker, "the name of a member in double quotes");
        r = check_string(checker, true);
        if (r < 0)
                return r;
        r = member_add(checker, name, offset);
        if (r < 0)
                return r;
        skip_space(checker);
        if (!at_char(checker, ':'))
                return fail_expected(checker, "':'");
        checker->at++;
        return check_value(checker);
}

/* Items between open and close, which stand at `at`. */
static int check_items(struct checker *checker, char close, int (*check_item)(struct checker *)) {
        const uint8_t *open = checker->at++;
        int r;

        if (++checker->depth > JSON_DEPTH_MAX)
                return fail_at(checker, open, "nested deeper than %d levels", JSON_DEPTH_MAX);
        skip_space(checker);
        if (!at_char(checker, close)) {
                for (;;) {
                        r = check_item(checker);
                        if (r < 0)
                                return r;
                        if (!at_char(checker, ','))
                                break;
                        checker->at++;
                        skip_space(checker);
                }
                if (!at_char(checker, close))
                        return fail_expected(checker, close == '}' ? "',' or '}'" : "',' or ']'");
        }
        checker->at++;
        checker->depth--;
        return 0;
}

static int check_object(struct checker *checker) {
        size_t first = checker->n_members, names_before = checker->names.size;
        int r = check_items(checker, '}', check_member);

        return r < 0 ? r : members_finish(checker, first, names_before);
}

static int check_word(struct checker *checker, const char *word) {
        size_t length = strlen(word);

        if ((size_t) (checker->end - checker->at) < length || memcmp(checker->at, word, length) != 0)
                return fail_expected(checker, "a value");
        checker->at += length;
        return 0;
}

/* A value and the white space on both sides. */
static int check_value(struct checker *checker) {
        int r;

        skip_space(checker);
        if (checker->at >= checker->end)
                return fail_expected(checker, "a value");
        switch (*checker->at) {
        case '{':
                r = check_object(checker);
                break;
        case '[':
                r = check_items(checker, ']', check_value);
                break;
        case '"':
                r = check_string(checker, false);
                break;
        case 't':
                r = check_word(checker, "true");
                break;
        case 'f':
                r = check_word(checker, "false");
                break;
        case 'n':
                r = check_word(checker, "null");
                break;
        default:
                r = *checker->at == '-' || (*checker->at >= '0' && *checker->at <= '9') ? check_number(checker)
                                                                                        : fail_expected(checker, "a value");
        }
        skip_space(checker);
        return r;
}

static int check_text(struct checker *checker) {
        int r;

        if (checker->end - checker->at >= 3 && memcmp(checker->at, "\xef\xbb\xbf", 3) == 0)
                return fail_at(checker, checker->at, "the text begins with a byte order mark");
        r = check_value(checker);
        if (r < 0)
                return r;
        return checker->at == checker->end ? 0 : fail_expected(checker, "the end of the text");
}

int json_check(const char *json, size_t size, size_t max_bytes, struct json_check_error *ret_error) {
        size_t limit = max_bytes ? max_bytes : JSON_SIZE_MAX;
        struct checker checker = {
                .start = (const uint8_t *) json,
                .at = (const uint8_t *) json,
                .end = (const uint8_t *) json + size,
                .names = STRBUF_INIT(size),
                .error = ret_error,
        };
        int r;

        if (size > limit) {
                fail_at(&checker, checker.start, "%zu bytes, at most %zu are allowed", size, limit);
                return -E2BIG;
        }
        r = check_text(&checker);
        strbuf_deinit(&checker.names);
        free(checker.members);
        return r;
}
