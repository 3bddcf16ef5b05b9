/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command line: what commands there are (struct verb, one table in verbs.c), what options and arguments each takes, and the
 * reading of argv against it. Help and completion are made of the same table. Values are lent by argv.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str_list.h"
#include "failure.h"

#define ARGUMENTS_MAX 64 /* positional ones */

enum value_kind {
        VALUE_NONE, /* a flag */
        VALUE_TEXT,
        VALUE_NUMBER,
        VALUE_DURATION,
        VALUE_CHOICE,
        VALUE_FILE,
        VALUE_DEVICE,
        VALUE_CAMPAIGN,
        VALUE_VERB, /* words of a command, for help */
        VALUE_ERROR_NAME,
};

struct option_info {
        const char *name; /* without "--"; NULL ends a table */
        char letter;      /* 0: none */
        enum value_kind kind;
        const char *value;   /* what help calls it: "MODEL" */
        const char *text;    /* one sentence */
        const char *choices; /* VALUE_CHOICE: separated by '|' */
        int64_t min, max;    /* VALUE_NUMBER; VALUE_DURATION in ms */
        bool repeated;       /* may be given several times */
};

struct argument_info {
        const char *name; /* "DEVICE"; NULL ends a table */
        enum value_kind kind;
        const char *choices;
};

struct session;

struct verb {
        const char *words;                 /* "device adopt" */
        const char *synopsis;              /* what follows: "DEVICE | --match GLOB" */
        const char *summary;               /* one line */
        const char *details;               /* paragraphs and examples; may be NULL */
        const struct option_info *options; /* NULL: only the common ones */
        struct argument_info arguments[4];
        size_t min_arguments, max_arguments;
        bool many; /* the last one of `arguments` may come again, up to max_arguments */
        bool hidden;
        /* The exit code, or negative with failure. */
        int (*run)(struct session *session, struct failure *failure);
};

/* Options that every command takes. */
extern const struct option_info common_options[];
extern const struct option_info broker_common_options[]; /* those that say which broker, and whom it is for */

/* The value of one option that was given. */
struct given {
        const struct option_info *option;
        const char *text;
        int64_t number; /* VALUE_NUMBER, VALUE_DURATION */
};

struct arguments {
        const struct verb *verb;
        const char *positional[ARGUMENTS_MAX];
        size_t n_positional;
        struct given *given;
        size_t n_given;
        bool help;
        bool version;
        const char *group; /* the words name only a group of commands ("device"), or nothing: ""; verb is NULL then */
};

/* verbs ends with words == NULL. Usage mistakes: EXIT_CODE_USAGE. arguments_deinit() always. */
int arguments_parse(const struct verb *verbs, int argc, char **argv, struct arguments *ret_arguments, struct failure *failure);
void arguments_deinit(struct arguments *arguments);
#define _cleanup_arguments_ _cleanup_(arguments_deinit)

/* Option names that the verb does not have are programming errors. */
bool arguments_flag(const struct arguments *arguments, const char *name);
const char *arguments_text(const struct arguments *arguments, const char *name);                      /* the last one; NULL: not given */
bool arguments_number(const struct arguments *arguments, const char *name, int64_t *ret_number);      /* false: not given */
int arguments_texts(const struct arguments *arguments, const char *name, struct str_list *ret_texts); /* all; -ENOMEM */
const char *arguments_at(const struct arguments *arguments, size_t index);                            /* NULL: not given */

/* Of the verb or common; NULL. */
const struct option_info *option_find(const struct verb *verb, const char *name);
/* Is `word` the first word of a command of two? */
bool verbs_have_group(const struct verb *verbs, const char *word);
const struct verb *verb_find(const struct verb *verbs, const char *words);
