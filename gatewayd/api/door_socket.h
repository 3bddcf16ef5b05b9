/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: the control socket as a door. One caller a connection; root, the daemon's own user and members of control_group
 * may do everything, whoever else may connect only reads. Who that is was fixed by the kernel when the peer connected.
 */

#include "api/call.h"

int door_socket_new(struct api *api, struct door_socket **ret_socket, struct gw_error *err);
/* Lets nobody in any more; connections stay. */
void door_socket_stop(struct door_socket *socket);
/* Ends every connection. NULL is fine. */
void door_socket_free(struct door_socket *socket);
/* control_group may be another one; counts for connections from now on. */
void door_socket_set_group(struct door_socket *socket, const char *group);
