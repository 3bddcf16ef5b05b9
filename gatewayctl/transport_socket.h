/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The control socket of the daemon on this machine as a transport: one gateway, no documents, and files may go with a request. */

#include "loop/loop.h"
#include "transport.h"

#define TRANSPORT_SOCKET_DEFAULT "/run/gatewayd/control.sock"

/*
 * Closed at first. Errors of open(): daemon-not-running, permission-denied; of closed(): daemon-not-running, reply-invalid.
 * -ENOMEM.
 */
int transport_socket_new(struct loop *loop, const char *path, const struct transport_handler *handler, void *ctx,
                         struct transport **ret_transport);
