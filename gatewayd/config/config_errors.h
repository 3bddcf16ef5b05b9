/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every mistake of a configuration at once: file, line, section and key, what is wrong and what would be right. Bounded by
 * CONFIG_ERRORS_MAX, the rest is counted. Owns its texts.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"

struct config_error {
        char *file;
        unsigned line; /* 0: the file as a whole */
        char *where;   /* "[gateway] id", "[serial]", or "" */
        char *text;
};

struct config_errors {
        struct config_error *items;
        size_t n_items;
        size_t n_dropped; /* beyond the limit, or without memory */
};

#define CONFIG_ERRORS_INIT ((struct config_errors){0})

void config_errors_deinit(struct config_errors *errors);

/* section and key may be NULL. */
void config_errors_add(struct config_errors *errors, const char *file, unsigned line, const char *section, const char *key,
                       const char *format, ...) __attribute__((format(printf, 6, 7)));
bool config_errors_any(const struct config_errors *errors);

/* "gatewayd.conf:12: [gateway] id: expected ...", one a line. */
void config_errors_print(const struct config_errors *errors, FILE *stream);
int config_error_format(const struct config_error *error, char *dst, size_t size);

#define _cleanup_config_errors_ _cleanup_(config_errors_deinit)
