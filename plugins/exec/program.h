/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * May this file be run? Whoever can change the program of a device runs code as the daemon's user, so it is looked at before every
 * run: the file and all folders above it belong to root or to the daemon's user, and nobody else may write there (a folder with
 * the sticky bit, such as /tmp, is fine: what lies in it cannot be exchanged by others).
 */

#include <limits.h>

#include <gatewayd/plugin.h>

/* `program` absolute, symbolic links are followed. exec-not-found, exec-not-safe. */
int program_check(const char *program, char ret_resolved[PATH_MAX], struct gw_error *err);
