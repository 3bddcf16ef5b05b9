/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Why a command did not do what it was asked for: the error with its name, what leads to the repair, every mistake with its place,
 * and the exit code. One is made in main() and handed down as the last parameter; main() prints it.
 */

#include <stdio.h>

#include <gatewayd/plugin.h>

#include "base/json.h"
#include "text.h"

/* docs/GATEWAYCTL.md and `gatewayctl --help` list them. */
enum exit_code {
        EXIT_CODE_OK = 0,
        EXIT_CODE_FINDINGS = 1,  /* it was done, but devices failed, or something was found */
        EXIT_CODE_USAGE = 2,     /* the command line is wrong */
        EXIT_CODE_REFUSED = 3,   /* the daemon, or the check of a file, says no */
        EXIT_CODE_NO_DAEMON = 4, /* no connection, or it broke for good */
        EXIT_CODE_NOT_PERMITTED = 5,
        EXIT_CODE_UNFINISHED = 6,    /* interrupted, or --timeout passed: the work itself goes on */
        EXIT_CODE_NOT_CONFIRMED = 7, /* the question was not answered with yes: nothing was done */
        EXIT_CODE_INTERNAL = 8,      /* out of memory, or an answer that makes no sense */
        /* campaign wait: how it stands, where not all devices succeeded and it did not simply come to its end */
        EXIT_CODE_PAUSED = 10,
        EXIT_CODE_CANCELED = 11,
        EXIT_CODE_EXPIRED = 12,
        EXIT_CODE_SUPERSEDED = 13,
};

#define FAILURE_ADVICE_MAX 1024

struct failure {
        enum exit_code exit_code;
        struct gw_error err;
        char advice[FAILURE_ADVICE_MAX]; /* "": none */
        struct json *mistakes;           /* array of {path, text}; NULL: none. Owned */
};

void failure_deinit(struct failure *failure);

/* Returns -EBADMSG, so that callers write `return failure_set(...)`. The advice is the catalogue's where it knows the name. */
int failure_set(struct failure *failure, enum exit_code exit_code, const char *name, const char *format, ...) GW_PRINTF(4, 5);
/* A negative errno that nobody has put into words: out of memory, or what is wrong with the terminal. Returns it. */
int failure_errno(struct failure *failure, int error);
/* What command_reply_read() or the loop said, with the exit code that belongs to its name. Returns -EBADMSG. */
int failure_from(struct failure *failure, const struct gw_error *err);

/* "gatewayctl: text (name)", the mistakes, the advice. */
int failure_render(const struct failure *failure, const struct style *style, struct strbuf *out);
/* {"error": {"name", "text", "advice"?, "errors"?}, "exit_code"}. */
int failure_json(const struct failure *failure, struct json **ret_json);
