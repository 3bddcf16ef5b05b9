/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Writes the parts of a struct gw_package that are for people. Both tables are short: what does not fit is left out.
 */

#include <gatewayd/plugin.h>

/* A fact "<name>", or with a label "<label> <name>". */
GW_PRINTF(4, 5) void package_fact(struct gw_package *package, const char *label, const char *name, const char *format, ...);
/* "<label>: <text>", or the text alone with an empty label. */
GW_PRINTF(3, 4) void package_warning(struct gw_package *package, const char *label, const char *format, ...);
/* Lower-case hexadecimal; cut where the text ends. */
void package_hex(char *text, size_t text_size, const uint8_t *bytes, size_t size);
