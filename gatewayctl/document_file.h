/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A campaign in a file, looked at without a daemon: a document in JSON, or a signed one (JWS in compact form). Everything that is wrong
 * with it is collected; only a file that cannot be read at all is a failure.
 */

#include "base/json_errors.h"
#include "document/campaign.h"
#include "failure.h"
#include "trust/jws.h"

enum document_signature {
        DOCUMENT_UNSIGNED,
        DOCUMENT_SIGNED,          /* by whom was not checked: no keys were given */
        DOCUMENT_SIGNED_VERIFIED, /* by a key of the keyring */
        DOCUMENT_SIGNED_BADLY,    /* its mistake has the path "signature" */
};

struct document_file {
        const char *path; /* "-": standard input. Lent */
        enum document_signature signature;
        char kid[STR_ID_MAX + 1];           /* what the header says; "" where it says nothing that could be read */
        const struct keyring_key *key;      /* VERIFIED; lent by the keyring */
        struct campaign_document *campaign; /* NULL: it has mistakes */
        struct json_errors errors;
};

/*
 * keyring NULL: signatures are not checked. as_signed: a document that is not signed yet has to have everything that a signed one needs.
 * document_file_deinit() always, except after a failure.
 */
struct document_file_options {
        const struct keyring *keyring;
        bool as_signed;
};
int document_file_read(const char *path, const struct document_file_options *options, struct document_file *ret_file,
                       struct failure *failure);
void document_file_deinit(struct document_file *file);
#define _cleanup_document_file_ _cleanup_(document_file_deinit)

struct session;
/* The keys of the option --keys; NULL where it was not given. Err: keys-unreadable. */
int document_keys_load(struct session *session, struct keyring **ret_keyring, struct failure *failure);

/* The text of such a file; the caller frees. Err: file-unreadable, file-too-large. */
int document_text(const char *path, char **ret_text, size_t *ret_size, struct failure *failure);
/* Is it a JWS, rather than JSON? */
bool document_is_jws(const char *text, size_t size);
/* What a JWS holds, whoever signed it: the caller frees *ret_payload, which is terminated. -EBADMSG, -ENOMEM. */
int document_jws_payload(const char *text, char **ret_payload, size_t *ret_size);

/* Mistakes as failures show them: an array of {path, text}. -ENOMEM. */
int mistakes_json(const struct json_errors *errors, struct json **ret_json);
/* The failure document-invalid with all of them. Returns -EBADMSG. */
int mistakes_failure(const char *path, const struct json_errors *errors, struct failure *failure);
