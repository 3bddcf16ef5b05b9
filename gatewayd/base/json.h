/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JSON values, the only place that knows json-c. A struct json is a json-c object seen through a keyhole.
 *
 * Ownership: json_parse() and json_new_*() give a value that the caller frees with json_free() (drops one reference).
 * Values inside another belong to it: json_member(), json_at() and the iteration lend. json_set() and json_append() take
 * their child over, also on failure. JSON null is NULL here, as in json-c: json_member() tells "absent" and "null" apart by
 * its return value, json_kind(NULL) is JSON_KIND_NULL.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/json_check.h"
#include "base/json_errors.h"

struct json;

enum json_kind {
        JSON_KIND_NULL,
        JSON_KIND_BOOL,
        JSON_KIND_INT,
        JSON_KIND_DOUBLE,
        JSON_KIND_STRING,
        JSON_KIND_ARRAY,
        JSON_KIND_OBJECT,
};

/* json_check() first, then the tree. Errors of json_check(). max_bytes 0: JSON_SIZE_MAX. A bare null gives *ret_json NULL. */
int json_parse(const char *text, size_t size, size_t max_bytes, struct json **ret_json, struct json_check_error *ret_error);

struct json *json_ref(struct json *json);
void json_free(struct json *json);
DEFINE_CLEANUP(struct json *, json_free);
#define _cleanup_json_ _cleanup_(json_freep)

enum json_kind json_kind(const struct json *json);
const char *json_kind_name(enum json_kind kind); /* "string", "integer", "number", ... for messages */

/* --- reading. A value of another kind: -EINVAL; absent member: -ENOENT; out of range: -ERANGE. --- */

int json_get_bool(const struct json *json, bool *ret);
int json_get_int(const struct json *json, int64_t min, int64_t max, int64_t *ret);
int json_get_double(const struct json *json, double *ret); /* integers, too */
/* Lends the text (terminated, holds no NUL). */
int json_get_string(const struct json *json, const char **ret);
const char *json_string_or_null(const struct json *json);

/* *ret_value is lent and may be NULL (JSON null). -ENOENT, -EINVAL when json is no object. */
int json_member(const struct json *json, const char *key, struct json **ret_value);
/* The member, or NULL when absent, null or json is no object. */
struct json *json_child(const struct json *json, const char *key);
bool json_has(const struct json *json, const char *key);

int json_member_bool(const struct json *json, const char *key, bool *ret);
int json_member_int(const struct json *json, const char *key, int64_t min, int64_t max, int64_t *ret);
int json_member_double(const struct json *json, const char *key, double *ret);
int json_member_string(const struct json *json, const char *key, const char **ret);
/* Lends the text of a string member, NULL when absent or of another kind. */
const char *json_member_text(const struct json *json, const char *key);

size_t json_length(const struct json *json);                 /* of an array or object, else 0 */
struct json *json_at(const struct json *json, size_t index); /* NULL beyond the end, or null */

/* Members in the order of the text. The object may not be changed within. */
struct json_iterator {
        const char *key;
        struct json *value;
        const void *entry; /* private */
};

struct json_iterator json_iterator_begin(const struct json *json);
bool json_iterator_next(struct json_iterator *iterator);

#define JSON_FOREACH_MEMBER(it, object_) for (struct json_iterator it = json_iterator_begin(object_); json_iterator_next(&it);)

/* Every item of an array; item is NULL where null stands. break and continue work as in any loop. */
#define JSON_FOREACH_ITEM(index, item, array_)                                                                                             \
        for (size_t index = 0, index##_open_ = 1; index##_open_ && index < json_length(array_); index++)                                   \
                for (struct json *item = (index##_open_ = 0, json_at(array_, index)); !index##_open_; index##_open_ = 1)

/*
 * Reports every member of an object that is not in allowed ("unknown member, did you mean ..."). json must be an object, else
 * that is the error. Returns true when there was nothing to report.
 */
bool json_members_check(const struct json *json, const char *const *allowed, size_t n_allowed, const char *path,
                        struct json_errors *errors);

/* --- building. Constructors return NULL only when out of memory; setters -ENOMEM, -EINVAL on the wrong container. --- */

struct json *json_new_object(void);
struct json *json_new_array(void);
/* Text that is not UTF-8 or holds a NUL is stored as str_escape() shows it, so that every text can be written. */
struct json *json_new_string(const char *text);
struct json *json_new_string_n(const char *text, size_t size);
struct json *json_new_int(int64_t value);
struct json *json_new_double(double value); /* shortest text that reads back; not finite: NULL */
struct json *json_new_bool(bool value);

/* Takes child over, also on failure; a NULL child is null. Replaces an old member. */
int json_set(struct json *object, const char *key, struct json *child);
int json_append(struct json *array, struct json *child);
int json_remove(struct json *object, const char *key);

int json_set_string(struct json *object, const char *key, const char *text); /* NULL text: nothing is set, 0 */
int json_set_int(struct json *object, const char *key, int64_t value);
int json_set_double(struct json *object, const char *key, double value);
int json_set_bool(struct json *object, const char *key, bool value);
int json_set_null(struct json *object, const char *key);
/* A new, empty container in object; lent, NULL when out of memory. */
struct json *json_set_new_object(struct json *object, const char *key);
struct json *json_set_new_array(struct json *object, const char *key);
struct json *json_append_new_object(struct json *array);
int json_append_string(struct json *array, const char *text);
int json_append_int(struct json *array, int64_t value);

/* Deep copy. */
int json_copy(const struct json *json, struct json **ret_json);
bool json_equal(const struct json *a, const struct json *b);

/* --- writing --- */

/* One line, members in order of insertion, slashes unescaped. The caller frees *ret_text. ret_size may be NULL. */
int json_write(const struct json *json, char **ret_text, size_t *ret_size);
/* Two blanks a level, for people. */
int json_write_pretty(const struct json *json, char **ret_text, size_t *ret_size);
