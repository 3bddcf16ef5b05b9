/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <json-c/json.h>
#include <math.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"

/* A struct json is a json_object under another name; json-c's readers take it without const. */
static struct json_object *inner(const struct json *json) {
        return (struct json_object *) (uintptr_t) json;
}

static struct json *outer(struct json_object *object) {
        return (struct json *) object;
}

/* json_check() judged the text, so json-c can only refuse it for want of memory (which 0.16 reports in no way of its own). */
static int build_tree(const char *text, size_t size, struct json **ret_json) {
        struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2);
        struct json_object *object;
        enum json_tokener_error error;

        if (!tokener)
                return -ENOMEM;
        object = json_tokener_parse_ex(tokener, text, (int) size);
        /* A number at the very end is only complete when something follows it. */
        if (json_tokener_get_error(tokener) == json_tokener_continue)
                object = json_tokener_parse_ex(tokener, "", 1);
        error = json_tokener_get_error(tokener);
        json_tokener_free(tokener);
        if (error != json_tokener_success) {
                json_object_put(object);
                return -ENOMEM;
        }
        *ret_json = outer(object);
        return 0;
}

int json_parse(const char *text, size_t size, size_t max_bytes, struct json **ret_json, struct json_check_error *ret_error) {
        int r = json_check(text, size, max_bytes, ret_error);

        if (r < 0)
                return r;
        if (size > INT32_MAX)
                return -E2BIG;
        return build_tree(text, size, ret_json);
}

struct json *json_ref(struct json *json) {
        return outer(json_object_get(inner(json)));
}

void json_free(struct json *json) {
        json_object_put(inner(json));
}

enum json_kind json_kind(const struct json *json) {
        switch (json_object_get_type(inner(json))) {
        case json_type_null:
                return JSON_KIND_NULL;
        case json_type_boolean:
                return JSON_KIND_BOOL;
        case json_type_int:
                return JSON_KIND_INT;
        case json_type_double:
                return JSON_KIND_DOUBLE;
        case json_type_string:
                return JSON_KIND_STRING;
        case json_type_array:
                return JSON_KIND_ARRAY;
        case json_type_object:
                return JSON_KIND_OBJECT;
        }
        return JSON_KIND_NULL;
}

const char *json_kind_name(enum json_kind kind) {
        switch (kind) {
        case JSON_KIND_NULL:
                return "null";
        case JSON_KIND_BOOL:
                return "true or false";
        case JSON_KIND_INT:
                return "an integer";
        case JSON_KIND_DOUBLE:
                return "a number";
        case JSON_KIND_STRING:
                return "a string";
        case JSON_KIND_ARRAY:
                return "an array";
        case JSON_KIND_OBJECT:
                return "an object";
        }
        return "null";
}

/* --- reading --- */

int json_get_bool(const struct json *json, bool *ret) {
        if (json_kind(json) != JSON_KIND_BOOL)
                return -EINVAL;
        *ret = json_object_get_boolean(inner(json));
        return 0;
}

int json_get_int(const struct json *json, int64_t min, int64_t max, int64_t *ret) {
        int64_t value;

        if (json_kind(json) != JSON_KIND_INT)
                return -EINVAL;
        value = json_object_get_int64(inner(json));
        if (value < min || value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

int json_get_double(const struct json *json, double *ret) {
        if (json_kind(json) != JSON_KIND_DOUBLE && json_kind(json) != JSON_KIND_INT)
                return -EINVAL;
        *ret = json_object_get_double(inner(json));
        return 0;
}

int json_get_string(const struct json *json, const char **ret) {
        if (json_kind(json) != JSON_KIND_STRING)
                return -EINVAL;
        *ret = json_object_get_string(inner(json));
        return 0;
}

const char *json_string_or_null(const struct json *json) {
        const char *text = NULL;

        json_get_string(json, &text);
        return text;
}

int json_member(const struct json *json, const char *key, struct json **ret_value) {
        struct json_object *value;

        if (json_kind(json) != JSON_KIND_OBJECT)
                return -EINVAL;
        if (!json_object_object_get_ex(inner(json), key, &value))
                return -ENOENT;
        *ret_value = outer(value);
        return 0;
}

struct json *json_child(const struct json *json, const char *key) {
        struct json *value = NULL;

        json_member(json, key, &value);
        return value;
}

bool json_has(const struct json *json, const char *key) {
        struct json *value;

        return json_member(json, key, &value) == 0;
}

int json_member_bool(const struct json *json, const char *key, bool *ret) {
        struct json *value;
        int r = json_member(json, key, &value);

        return r < 0 ? r : json_get_bool(value, ret);
}

int json_member_int(const struct json *json, const char *key, int64_t min, int64_t max, int64_t *ret) {
        struct json *value;
        int r = json_member(json, key, &value);

        return r < 0 ? r : json_get_int(value, min, max, ret);
}

int json_member_double(const struct json *json, const char *key, double *ret) {
        struct json *value;
        int r = json_member(json, key, &value);

        return r < 0 ? r : json_get_double(value, ret);
}

int json_member_string(const struct json *json, const char *key, const char **ret) {
        struct json *value;
        int r = json_member(json, key, &value);

        return r < 0 ? r : json_get_string(value, ret);
}

const char *json_member_text(const struct json *json, const char *key) {
        return json_string_or_null(json_child(json, key));
}

size_t json_length(const struct json *json) {
        if (json_kind(json) == JSON_KIND_ARRAY)
                return json_object_array_length(inner(json));
        if (json_kind(json) == JSON_KIND_OBJECT)
                return (size_t) json_object_object_length(inner(json));
        return 0;
}

struct json *json_at(const struct json *json, size_t index) {
        if (json_kind(json) != JSON_KIND_ARRAY)
                return NULL;
        return outer(json_object_array_get_idx(inner(json), index));
}

struct json_iterator json_iterator_begin(const struct json *json) {
        const struct lh_table *table;

        if (json_kind(json) != JSON_KIND_OBJECT)
                return (struct json_iterator){0};
        table = json_object_get_object(inner(json));
        return (struct json_iterator){.entry = table->head};
}

bool json_iterator_next(struct json_iterator *iterator) {
        const struct lh_entry *entry = iterator->entry;

        if (!entry)
                return false;
        iterator->key = lh_entry_k(entry);
        iterator->value = (struct json *) lh_entry_v(entry);
        iterator->entry = entry->next;
        return true;
}

/* The allowed word that is nearest to what was written, if one is near at all. */
static const char *nearest(const char *word, const char *const *allowed, size_t n_allowed) {
        size_t best = MAX(strlen(word) / 3, (size_t) 1) + 1;
        const char *found = NULL;

        for (size_t i = 0; i < n_allowed; i++) {
                size_t distance = str_distance(word, allowed[i]);

                if (distance < best) {
                        best = distance;
                        found = allowed[i];
                }
        }
        return found;
}

static bool is_one_of(const char *word, const char *const *allowed, size_t n_allowed) {
        for (size_t i = 0; i < n_allowed; i++)
                if (strcmp(word, allowed[i]) == 0)
                        return true;
        return false;
}

static void report_unknown(const char *key, const char *const *allowed, size_t n_allowed, const char *path, struct json_errors *errors) {
        char member[JSON_PATH_MAX], escaped[80];
        const char *meant = nearest(key, allowed, n_allowed);

        str_escape(escaped, sizeof(escaped), key, strlen(key));
        json_path_member(member, path, escaped);
        if (meant)
                json_errors_add(errors, member, "unknown member, did you mean \"%s\"?", meant);
        else
                json_errors_add(errors, member, "unknown member");
}

bool json_members_check(const struct json *json, const char *const *allowed, size_t n_allowed, const char *path,
                        struct json_errors *errors) {
        bool good = true;

        if (json_kind(json) != JSON_KIND_OBJECT) {
                json_errors_add(errors, path, "expected an object, found %s", json_kind_name(json_kind(json)));
                return false;
        }
        JSON_FOREACH_MEMBER(it, json) {
                if (is_one_of(it.key, allowed, n_allowed))
                        continue;
                report_unknown(it.key, allowed, n_allowed, path, errors);
                good = false;
        }
        return good;
}

/* --- building --- */

struct json *json_new_object(void) {
        return outer(json_object_new_object());
}

struct json *json_new_array(void) {
        return outer(json_object_new_array());
}

struct json *json_new_string(const char *text) {
        return json_new_string_n(text, strlen(text));
}

/* What we write must be JSON for everybody, whatever a device said its name is. */
struct json *json_new_string_n(const char *text, size_t size) {
        _cleanup_free_ char *escaped = NULL;

        if (size > INT32_MAX / 4)
                return NULL;
        if (str_is_utf8(text, size) && !memchr(text, '\0', size))
                return outer(json_object_new_string_len(text, (int) size));
        escaped = malloc(4 * size + 1);
        if (!escaped)
                return NULL;
        str_escape(escaped, 4 * size + 1, text, size);
        return outer(json_object_new_string(escaped));
}

struct json *json_new_int(int64_t value) {
        return outer(json_object_new_int64(value));
}

struct json *json_new_double(double value) {
        char text[40];

        if (!isfinite(value))
                return NULL;
        for (int digits = 15; digits <= 17; digits++) {
                str_format(text, sizeof(text), "%.*g", digits, value);
                if (strtod(text, NULL) == value)
                        break;
        }
        return outer(json_object_new_double_s(value, text));
}

struct json *json_new_bool(bool value) {
        return outer(json_object_new_boolean(value));
}

int json_set(struct json *object, const char *key, struct json *child) {
        _cleanup_json_ struct json *owned = child;

        if (json_kind(object) != JSON_KIND_OBJECT)
                return -EINVAL;
        if (json_object_object_add(inner(object), key, inner(owned)) < 0)
                return -ENOMEM;
        owned = NULL;
        return 0;
}

int json_append(struct json *array, struct json *child) {
        _cleanup_json_ struct json *owned = child;

        if (json_kind(array) != JSON_KIND_ARRAY)
                return -EINVAL;
        if (json_object_array_add(inner(array), inner(owned)) < 0)
                return -ENOMEM;
        owned = NULL;
        return 0;
}

int json_remove(struct json *object, const char *key) {
        if (json_kind(object) != JSON_KIND_OBJECT)
                return -EINVAL;
        if (!json_has(object, key))
                return -ENOENT;
        json_object_object_del(inner(object), key);
        return 0;
}

int json_set_string(struct json *object, const char *key, const char *text) {
        struct json *value;

        if (!text)
                return 0;
        value = json_new_string(text);
        return value ? json_set(object, key, value) : -ENOMEM;
}

int json_set_int(struct json *object, const char *key, int64_t value) {
        struct json *number = json_new_int(value);

        return number ? json_set(object, key, number) : -ENOMEM;
}

int json_set_double(struct json *object, const char *key, double value) {
        struct json *number = json_new_double(value);

        if (!number)
                return isfinite(value) ? -ENOMEM : -EINVAL;
        return json_set(object, key, number);
}

int json_set_bool(struct json *object, const char *key, bool value) {
        struct json *boolean = json_new_bool(value);

        return boolean ? json_set(object, key, boolean) : -ENOMEM;
}

int json_set_null(struct json *object, const char *key) {
        return json_set(object, key, NULL);
}

struct json *json_set_new_object(struct json *object, const char *key) {
        struct json *child = json_new_object();

        return child && json_set(object, key, child) == 0 ? child : NULL;
}

struct json *json_set_new_array(struct json *object, const char *key) {
        struct json *child = json_new_array();

        return child && json_set(object, key, child) == 0 ? child : NULL;
}

struct json *json_append_new_object(struct json *array) {
        struct json *child = json_new_object();

        return child && json_append(array, child) == 0 ? child : NULL;
}

int json_append_string(struct json *array, const char *text) {
        struct json *value = json_new_string(text);

        return value ? json_append(array, value) : -ENOMEM;
}

int json_append_int(struct json *array, int64_t value) {
        struct json *number = json_new_int(value);

        return number ? json_append(array, number) : -ENOMEM;
}

int json_copy(const struct json *json, struct json **ret_json) {
        struct json_object *copy = NULL;

        if (json && json_object_deep_copy(inner(json), &copy, NULL) < 0)
                return -ENOMEM;
        *ret_json = outer(copy);
        return 0;
}

bool json_equal(const struct json *a, const struct json *b) {
        return json_object_equal(inner(a), inner(b));
}

/* --- writing --- */

static int write_flags(const struct json *json, int flags, char **ret_text, size_t *ret_size) {
        size_t size;
        const char *text = json_object_to_json_string_length(inner(json), flags | JSON_C_TO_STRING_NOSLASHESCAPE, &size);
        char *copy;

        if (!text)
                return -ENOMEM;
        copy = strndup(text, size);
        if (!copy)
                return -ENOMEM;
        *ret_text = copy;
        if (ret_size)
                *ret_size = size;
        return 0;
}

int json_write(const struct json *json, char **ret_text, size_t *ret_size) {
        return write_flags(json, JSON_C_TO_STRING_PLAIN, ret_text, ret_size);
}

int json_write_pretty(const struct json *json, char **ret_text, size_t *ret_size) {
        return write_flags(json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED, ret_text, ret_size);
}
