/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Commands that widen work are believed from far only when they are signed: params become {"jws"}, whose payload names method, params
 * and whom it is for (schemas/command-signed.schema.json). Such a document counts once, so another sending is signed anew.
 */

#include "client.h"
#include "document/command.h"

struct session;

struct signing {
        struct session *session;
        const struct command_method *method;
        struct json *params; /* as they were; owned */
};

/*
 * Signs the request where its method needs it from here: takes request->params and puts others in their place. Does nothing on the
 * control socket. signing_end() always. Err: signature-required, and those of sign.h.
 */
int signing_begin(struct signing *signing, struct session *session, const struct command_method *method, struct client_request *request,
                  struct failure *failure);
void signing_end(struct signing *signing);

/* Was a key named, by an option or the profile? */
bool signing_has_key(const struct session *session);
/* Signs a campaign; the caller frees. Err: signature-required where no key was named, and those of sign.h. */
int signing_campaign(struct session *session, const struct json *document, char **ret_jws, struct failure *failure);
