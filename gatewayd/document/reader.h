/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How documents and commands are read: member by member, each against a rule, every mistake collected with its path, reading on
 * behind it. A rule has a twin in schemas/ (named beside it) and must give the same verdict: lengths count characters, 5.0 is
 * an integer, null is never a value.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/json_errors.h"
#include "base/str_list.h"

struct reader {
        struct json_errors *errors; /* NULL: only counted */
        size_t n_mistakes;
        bool out_of_memory;
};

/* An object and where it stands. */
struct place {
        const struct json *json;
        const char *path;
};

/* Judges a text; `expected` completes "expected ..." for people. */
struct text_rule {
        bool (*is)(const char *text);
        const char *expected;
};

extern const struct text_rule rule_id;           /* campaign id, label ($defs/id) */
extern const struct text_rule rule_device_id;    /* $defs/deviceId */
extern const struct text_rule rule_device_words; /* what a person calls a device: id, name or key ($defs/deviceWords) */
extern const struct text_rule rule_driver;       /* $defs/driver; formats, too */
extern const struct text_rule rule_model;        /* $defs/model */
extern const struct text_rule rule_audience;     /* gateway glob or group:<name> ($defs/audience) */
extern const struct text_rule rule_sha256;       /* $defs/sha256 */
extern const struct text_rule rule_url;          /* $defs/url */
extern const struct text_rule rule_version;      /* of an artifact ($defs/version) */
extern const struct text_rule rule_version_rule; /* $defs/versionRule */
extern const struct text_rule rule_time;         /* $defs/time */
extern const struct text_rule rule_mode;         /* $defs/mode */
extern const struct text_rule rule_gate;
extern const struct text_rule rule_abort_action;
extern const struct text_rule rule_window_end;
extern const struct text_rule rule_day;          /* of the week */
extern const struct text_rule rule_start;        /* of a maintenance window, local time */
extern const struct text_rule rule_time_zone;    /* $defs/timeZone; whether it exists is not asked */
extern const struct text_rule rule_glob;         /* 1..128 characters, none of control ($defs/glob) */
extern const struct text_rule rule_name;         /* likewise ($defs/name) */
extern const struct text_rule rule_comment;      /* 0..512 ($defs/comment) */
extern const struct text_rule rule_address;      /* $defs/address */
extern const struct text_rule rule_error_name;   /* $defs/errorName */
extern const struct text_rule rule_campaign_state;
extern const struct text_rule rule_job_state;
extern const struct text_rule rule_device_state;
extern const struct text_rule rule_epoch; /* 16 hexadecimal digits */
extern const struct text_rule rule_csv;   /* 1..COMMAND_CSV_MAX, with line breaks */
extern const struct text_rule rule_jws;   /* 1..JWS_SIZE_MAX printable ASCII ($defs/jws); trust/jws.h says what is wrong with it */

/* An integer in JSON Schema's sense: 5, 5.0, 5e0. -EINVAL. */
int reader_get_integer(const struct json *value, int64_t *ret);

/* Characters of well-formed UTF-8. */
size_t text_length(const char *text);

/* One mistake at path.member; member NULL: at path itself. */
void reader_mistake(struct reader *reader, const char *path, const char *member, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* Is `place` an object with no members but these? */
bool reader_members(struct reader *reader, struct place place, const char *const *allowed, size_t n_allowed);

/*
 * The readers of one member. False: it is absent or wrong (then it was reported), *ret is untouched. A member that must be there
 * is asked for by reader_require() first. Texts are lent.
 */
bool reader_require(struct reader *reader, struct place place, const char *member);
bool reader_text(struct reader *reader, struct place place, const char *member, const struct text_rule *rule, const char **ret);
bool reader_bool(struct reader *reader, struct place place, const char *member, bool *ret);

struct integer_range {
        int64_t min, max;
};
bool reader_integer(struct reader *reader, struct place place, const char *member, struct integer_range range, int64_t *ret);

/* Texts of one rule, without repetitions. */
struct list_rule {
        const struct text_rule *text;
        size_t min, max;
};
/* The list is empty before; filled in the order of the text (what is wrong is left out). */
bool reader_texts(struct reader *reader, struct place place, const char *member, struct list_rule rule, struct str_list *ret);
/* An object or array. *ret is lent. */
bool reader_object(struct reader *reader, struct place place, const char *member, const struct json **ret);
bool reader_array(struct reader *reader, struct place place, const char *member, size_t min, size_t max);

/* Keeps a copy; counts a lack of memory. Before it *dst is NULL. */
void reader_keep(struct reader *reader, char **dst, const char *text);
