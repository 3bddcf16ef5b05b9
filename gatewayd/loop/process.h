/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Child processes; the engine behind gw_process_api (options and handler: gatewayd/plugin.h). A child leads its own process group
 * and gets three standard descriptors (and keep_fd as 3), default signals, the limits asked for, no core file. When it ends, what is
 * left of its group is killed; when the daemon dies, so does the child. Reaped by pidfd: no SIGCHLD handler, nobody else's children.
 */

#include <gatewayd/plugin.h>

#include "loop/loop.h"

#define PROCESS_OUTPUT_DEFAULT (1024u * 1024u) /* output_max of 0 */
#define PROCESS_FILES_DEFAULT 64

struct process;

/*
 * Everything in options is copied; keep_fd stays the caller's. The handler's functions may be NULL but for `exited`; of standard
 * error, too, at most output_max bytes are delivered, the rest is dropped. The handle is invalid when `exited` begins.
 * -EINVAL (argv[0] not absolute), -ENOENT, -EACCES (err: exec-not-found) and what else fork() and execve() say (exec-start-failed).
 */
int process_start(struct loop *loop, const struct gw_process_options *options, const struct gw_process_handler *handler, void *ctx,
                  struct process **ret_process, struct gw_error *err);

/* SIGTERM to the group, SIGKILL after grace_ms (0: at once). `exited` still comes. Again: only a shorter grace counts. NULL is fine. */
void process_terminate(struct process *process, int64_t grace_ms);

/* Kills the group; no callback comes any more, the handle is invalid. For an owner that goes away. NULL is fine. */
void process_drop(struct process *process);
