/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JSON, one object a line, as programs write it to their standard output; and with it the JSON reader and writer of the house for
 * plugins, which may not include base/ themselves. A json_line collects bytes that come in pieces of any size and hands out whole lines.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/str.h"

struct json_line {
        struct buffer buffer;
};

/* `line_max`: bytes of a line without its end. */
void json_line_init(struct json_line *lines, size_t line_max);
void json_line_deinit(struct json_line *lines);

/* `line` gets every whole line without its end, blank ones left out; what it returns < 0 ends the feeding and is the result. -E2BIG: a
 * line is longer than allowed. */
int json_line_feed(struct json_line *lines, const void *data, size_t size, int (*line)(void *ctx, const char *text, size_t size),
                   void *ctx);

/* A last line without an end, if there is one. */
int json_line_flush(struct json_line *lines, int (*line)(void *ctx, const char *text, size_t size), void *ctx);
