/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every name that an error or a waiting reason may have, with its class, what it means and what leads to the repair. The
 * names stand in error_catalogue.def, one line each; docs/ERRORS.md is checked against it. A name is stable once released.
 */

#include <stdbool.h>
#include <stddef.h>

#include <gatewayd/plugin.h>

/* NULL when there is no such name. */
const struct gw_error_info *error_catalogue_find(const char *name);

/* 0 .. error_catalogue_count() - 1, in the order of the file; NULL beyond. */
size_t error_catalogue_count(void);
const struct gw_error_info *error_catalogue_at(size_t index);

/* "retry", "terminal", "wait". */
const char *error_class_name(enum gw_error_class class_);
