/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The making of a child for loop/process.c: fork, limits, descriptors, exec. Returns when the child runs its program, or says
 * which step failed.
 */

#include <sys/types.h>

#include <gatewayd/plugin.h>

struct process_spawned {
        pid_t pid;
        int pidfd;
        int input; /* our ends, not blocking */
        int output;
        int diagnostics;
};

/* Negative errno: no child is left. */
int process_spawn(const struct gw_process_options *options, struct process_spawned *ret_spawned);

/* Closes the descriptors that are not -1. */
void process_spawned_deinit(struct process_spawned *spawned);
