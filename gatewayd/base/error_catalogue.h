/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every name that an error or a waiting reason may have, with its class, what it means and what leads to the repair. The
 * names stand in error_catalogue.def, one line each; docs/ERRORS.md is checked against it. A name is stable once released.
 */

#include <stdbool.h>
#include <stddef.h>

enum error_class {
        ERROR_CLASS_RETRY,    /* may pass by itself: tried again with back-off, uses an attempt */
        ERROR_CLASS_TERMINAL, /* will not pass by itself: a person has to change something */
        ERROR_CLASS_WAIT,     /* nothing is wrong: waits for time, room or the device, uses no attempt */
};

struct error_info {
        const char *name; /* kebab-case, at most 47 characters */
        enum error_class class;
        const char *meaning; /* for a person: what happened */
        const char *advice;  /* what to look at or do */
};

/* NULL when there is no such name. */
const struct error_info *error_catalogue_find(const char *name);

/* 0 .. error_catalogue_count() - 1, in the order of the file; NULL beyond. */
size_t error_catalogue_count(void);
const struct error_info *error_catalogue_at(size_t index);

/* "retry", "terminal", "wait". */
const char *error_class_name(enum error_class class);
