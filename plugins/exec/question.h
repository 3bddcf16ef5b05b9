/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a program is told when it is called: a JSON object on its standard input, and the same in short as environment variables, so that a
 * shell script needs no JSON reader. Made anew for every call; holds copies only.
 */

#include <gatewayd/plugin.h>

#define QUESTION_VARIABLES_MAX 24

struct question {
        char *text; /* one line of JSON with its end */
        size_t size;
        const char *environment[QUESTION_VARIABLES_MAX + 1]; /* NULL at the end */
        size_t n_variables;
};

/* `step` as the program is called with it. -ENOMEM. */
int question_make(const struct gw_host *host, const struct gw_run *run, const char *step, struct question *ret_question);
void question_deinit(struct question *question);
