/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The standard error of a program: lines for the log, the last of which goes into the text of an error. Long lines are cut. */

#include <stddef.h>
#include <stdint.h>

#include "limits.h"

struct diagnostics {
        char line[EXEC_DIAGNOSTIC_MAX]; /* that is not whole yet, as bytes */
        size_t size;
        char last[EXEC_DIAGNOSTIC_MAX]; /* the last whole one that was not blank, fit to be shown */
};

void diagnostics_init(struct diagnostics *diagnostics);
/* `shown` gets every whole line that is not blank. */
void diagnostics_feed(struct diagnostics *diagnostics, const uint8_t *data, size_t size, void (*shown)(void *ctx, const char *line),
                      void *ctx);
/* A last line without an end. */
void diagnostics_flush(struct diagnostics *diagnostics, void (*shown)(void *ctx, const char *line), void *ctx);
/* What stands between a text and `last`: ": ", or "" when there is no last line. */
const char *diagnostics_join(const struct diagnostics *diagnostics);
