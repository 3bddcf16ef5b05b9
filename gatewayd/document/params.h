/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of command.h: one member of a method's params as a line of a table, and the check of params against that table.
 */

#include "document/command.h"
#include "document/reader.h"

#define PARAMS_MAX 16 /* members of one method */

enum param_kind {
        PARAM_TEXT,
        PARAM_TEXTS,
        PARAM_INTEGER,
        PARAM_BOOL,
        PARAM_OBJECT,
};

struct command_param {
        const char *name; /* NULL ends the table */
        enum param_kind kind;
        bool required;
        bool nullable;
        const struct text_rule *rule;
        int64_t min, max; /* of an integer; entries of a list */
};

extern const struct text_rule rule_file_name; /* 1..255 characters, none of control ($defs/fileName) */

/* A text of at most COMMAND_ID_MAX characters, or an integer that every JSON reader can hold. */
bool params_is_request_id(const struct json *id);

/* params.json is an object, else that is the mistake. */
bool params_check(struct reader *reader, struct place params, const struct command_method *method);
/* As a request holds them: those, or {"jws"} where the method may be signed. */
bool params_check_outer(struct reader *reader, struct place params, const struct command_method *method);
/* What was written 5.0 reads as 5 from now on, so that nobody behind the check has to know. -ENOMEM. */
int params_settle(const struct command_method *method, struct json *params);
