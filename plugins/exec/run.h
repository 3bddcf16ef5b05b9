/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One device led through one operation by its program. The daemon's steps are fixed (steps_update below); a program says with
 * `describe` which of them it has, the others are passed over. So each step of a program is a step of the host: journaled under its
 * own name, with the blob, before the program is called for it.
 *
 *     describe -> inspect -> prepare, upload, test, activate, reset, return, verify, trial, confirm, finish
 *
 * A call: check the file, ask for the point of no return where the step is said to pass it, start, listen, and when the process is
 * gone decide how the step ended.
 */

#include <gatewayd/plugin.h>

#include "limits.h"

#define STEPS_UPDATE_COUNT 12
#define STEPS_LOOK_COUNT 2

extern const struct gw_step steps_update[STEPS_UPDATE_COUNT];
extern const struct gw_step steps_inspect[STEPS_LOOK_COUNT];
extern const struct gw_step steps_diagnose[STEPS_LOOK_COUNT];

struct driver {
        const struct gw_host *host;
};

/* As in struct gw_driver. */
int run_new(void *driver, struct gw_run *handle, void **ret_run, struct gw_error *err);
void run_stop(void *run, enum gw_stop_reason reason);
void run_free(void *run);
