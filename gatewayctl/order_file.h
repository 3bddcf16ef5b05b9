/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A campaign as it lies in a file: a document in JSON, or one that somebody signed (JWS in compact form). What is signed is checked
 * here, all mistakes at once, before anything is sent; a document for the daemon on this machine is checked by that daemon.
 */

#include "base/json.h"
#include "document/campaign.h"
#include "failure.h"

struct session;

struct order_file {
        struct json *document;              /* the campaign; of a signed one its payload, whose signature the gateways check */
        char *jws;                          /* NULL: not signed */
        struct campaign_document *campaign; /* NULL: not signed, so not read yet */
};

void order_file_deinit(struct order_file *file);
#define _cleanup_order_file_ _cleanup_(order_file_deinit)

/* path "-": standard input. Err: file-unreadable, file-too-large, document-invalid, jws-malformed. */
int order_file_read(const char *path, struct order_file *ret_file, struct failure *failure);
/* The same from a document that was made here; taken, also on failure. */
int order_file_from(struct json *document, struct order_file *ret_file, struct failure *failure);

/*
 * Makes it ready for whom the session is for: signs it where that is needed or a key was named, with iat, exp and aud where the
 * document does not say them; and where nobody named an audience, the document's own one is it. Err: signature-required,
 * document-invalid, and those of signing.
 */
int order_file_prepare(struct session *session, struct order_file *file, struct failure *failure);

/* Is this gateway among those that the document is for? ctx is a struct order_file. */
bool order_file_is_for(void *ctx, const char *gateway, const struct str_list *groups);
