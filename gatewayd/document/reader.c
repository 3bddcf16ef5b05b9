/* SPDX-License-Identifier: Apache-2.0 */
#include "document/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

/* Integers above this are not exact in a double. */
#define EXACT_DOUBLE_MAX 9007199254740992.0

void reader_mistake(struct reader *reader, const char *path, const char *member, const char *format, ...) {
        char whole[JSON_PATH_MAX], text[JSON_ERROR_TEXT_MAX];
        va_list arguments;

        reader->n_mistakes++;
        if (member)
                json_path_member(whole, path, member);
        else
                str_copy(whole, sizeof(whole), path);
        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        json_errors_add(reader->errors, whole, "%s", text);
}

bool reader_members(struct reader *reader, struct place place, const char *const *allowed, size_t n_allowed) {
        bool good = json_members_check(place.json, allowed, n_allowed, place.path, reader->errors);

        if (!good)
                reader->n_mistakes++;
        return good;
}

bool reader_require(struct reader *reader, struct place place, const char *member) {
        if (json_has(place.json, member))
                return true;
        reader_mistake(reader, place.path, member, "is missing");
        return false;
}

/* What a wrong value looks like, short enough for a message. */
static void quote(char *dst, size_t size, const struct json *json) {
        const char *text = json_string_or_null(json);

        if (!text) {
                str_copy(dst, size, json_kind_name(json_kind(json)));
                return;
        }
        dst[0] = '"';
        if (str_escape(dst + 1, size - 5, text, strlen(text)) < 0)
                strcat(dst, "...");
        strcat(dst, "\"");
}

static bool text_fits(struct reader *reader, const struct json *json, const char *path, const struct text_rule *rule) {
        const char *text = json_string_or_null(json);
        char found[64];

        if (text && rule->is(text))
                return true;
        quote(found, sizeof(found), json);
        reader_mistake(reader, path, NULL, "expected %s, found %s", rule->expected, found);
        return false;
}

bool reader_text(struct reader *reader, struct place place, const char *member, const struct text_rule *rule, const char **ret) {
        char path[JSON_PATH_MAX];
        struct json *value;

        if (json_member(place.json, member, &value) < 0)
                return false;
        json_path_member(path, place.path, member);
        if (!text_fits(reader, value, path, rule))
                return false;
        *ret = json_string_or_null(value);
        return true;
}

bool reader_bool(struct reader *reader, struct place place, const char *member, bool *ret) {
        struct json *value;

        if (json_member(place.json, member, &value) < 0)
                return false;
        if (json_get_bool(value, ret) == 0)
                return true;
        reader_mistake(reader, place.path, member, "expected true or false, found %s", json_kind_name(json_kind(value)));
        return false;
}

/* JSON Schema takes a number with a zero fraction for an integer, so 5.0 and 5e0 are 5 here, too. */
int reader_get_integer(const struct json *value, int64_t *ret) {
        double number;

        if (json_get_int(value, INT64_MIN, INT64_MAX, ret) == 0)
                return 0;
        if (json_get_double(value, &number) < 0 || number < -EXACT_DOUBLE_MAX || number > EXACT_DOUBLE_MAX)
                return -EINVAL;
        if (number != (double) (int64_t) number)
                return -EINVAL;
        *ret = (int64_t) number;
        return 0;
}

bool reader_integer(struct reader *reader, struct place place, const char *member, struct integer_range range, int64_t *ret) {
        struct json *value;
        int64_t number;

        if (json_member(place.json, member, &value) < 0)
                return false;
        if (reader_get_integer(value, &number) == 0 && number >= range.min && number <= range.max) {
                *ret = number;
                return true;
        }
        reader_mistake(reader, place.path, member, "expected an integer from %lld to %lld", (long long) range.min, (long long) range.max);
        return false;
}

bool reader_object(struct reader *reader, struct place place, const char *member, const struct json **ret) {
        struct json *value;

        if (json_member(place.json, member, &value) < 0)
                return false;
        if (json_kind(value) == JSON_KIND_OBJECT) {
                *ret = value;
                return true;
        }
        reader_mistake(reader, place.path, member, "expected an object, found %s", json_kind_name(json_kind(value)));
        return false;
}

bool reader_array(struct reader *reader, struct place place, const char *member, size_t min, size_t max) {
        struct json *value;

        if (json_member(place.json, member, &value) < 0)
                return false;
        if (json_kind(value) != JSON_KIND_ARRAY) {
                reader_mistake(reader, place.path, member, "expected a list, found %s", json_kind_name(json_kind(value)));
                return false;
        }
        if (json_length(value) >= min && json_length(value) <= max)
                return true;
        reader_mistake(reader, place.path, member, "expected %zu to %zu entries, found %zu", min, max, json_length(value));
        return false;
}

static int compare_texts(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Sorted, equal ones are neighbours: 10,000 ids are checked in the time of a sort. */
static void report_repetitions(struct reader *reader, const char *path, const struct str_list *list) {
        _cleanup_free_ char **sorted = NULL;

        if (list->n_items < 2)
                return;
        sorted = reallocarray(NULL, list->n_items, sizeof(*sorted));
        if (!sorted) {
                reader->out_of_memory = true;
                return;
        }
        memcpy(sorted, list->items, list->n_items * sizeof(*sorted));
        qsort(sorted, list->n_items, sizeof(*sorted), compare_texts);
        for (size_t i = 1; i < list->n_items; i++)
                if (strcmp(sorted[i - 1], sorted[i]) == 0)
                        reader_mistake(reader, path, NULL, "\"%.64s\" is there twice", sorted[i]);
}

bool reader_texts(struct reader *reader, struct place place, const char *member, struct list_rule rule, struct str_list *ret) {
        size_t n_before = reader->n_mistakes;
        char path[JSON_PATH_MAX], item_path[JSON_PATH_MAX];
        const struct json *list;

        if (!reader_array(reader, place, member, rule.min, rule.max))
                return false;
        json_path_member(path, place.path, member);
        list = json_child(place.json, member);
        for (size_t i = 0; i < json_length(list); i++) {
                json_path_index(item_path, path, i);
                if (text_fits(reader, json_at(list, i), item_path, rule.text) &&
                    str_list_append(ret, json_string_or_null(json_at(list, i))) < 0)
                        reader->out_of_memory = true;
        }
        report_repetitions(reader, path, ret);
        return reader->n_mistakes == n_before;
}

void reader_keep(struct reader *reader, char **dst, const char *text) {
        *dst = strdup(text);
        if (!*dst)
                reader->out_of_memory = true;
}
