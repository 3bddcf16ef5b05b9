/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One device led through one operation: the steps, in the order in which they stand in update_steps.
 *
 *     connect -> inspect -> write -> activate -> verify
 *
 * Each looks at the folder before it acts, because after a crash of the daemon it is entered again.
 */

#include <gatewayd/plugin.h>

#define UPDATE_STEPS 5
#define INSPECT_STEPS 1

struct driver {
        const struct gw_host *host;
        struct scan *scans; /* under way */
};

extern const struct gw_step update_steps[UPDATE_STEPS];
extern const struct gw_step inspect_steps[INSPECT_STEPS];

/* As in struct gw_driver. */
int run_new(void *driver, struct gw_run *handle, void **ret_run, struct gw_error *err);
void run_stop(void *run, enum gw_stop_reason reason);
void run_free(void *run);

/* The folder of a device: `path` of its section, else its address, which is all that a device has that a scan found. */
const char *folder_of(const struct gw_host *host, const struct gw_device *device);
