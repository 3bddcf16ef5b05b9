/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: a request whose params are {"jws"}. What the JWS says takes the place of what the request says: after signature,
 * method, audience, times and scope are found good and the jti was taken down, the method is carried out with the params that were
 * signed, and the key is the principal.
 */

#include "api/call.h"

struct signed_command;

/* Is the call such a request? */
bool signed_command_is(const struct call *call);
/* Ends the call, or runs its method, later. */
void signed_command_begin(struct call *call);
/* The call ends. NULL is fine. */
void signed_command_free(struct signed_command *command);
