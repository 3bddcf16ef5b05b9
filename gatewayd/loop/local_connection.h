/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One end of a Unix stream socket, shared by loop/local_server.c and the client's half; everything that users need of it is in
 * loop/local_socket.h.
 */

#include "base/list.h"
#include "loop/local_socket.h"

/*
 * Takes fd over, also on failure. The handler is set by local_connection_start() before anything is read. `released` is told when the
 * connection ends in whatever way, just before its last callback; it may be NULL.
 */
int local_connection_new(struct loop *loop, int fd, const struct local_connection_limits *limits, loop_fn released, void *released_ctx,
                         struct local_connection **ret_connection);
void local_connection_start(struct local_connection *connection, const struct local_connection_handler *handler, void *ctx);
/* The one that `released` was meant for goes first. */
void local_connection_forget_released(struct local_connection *connection);
