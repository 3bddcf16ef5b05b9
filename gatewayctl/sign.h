/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whoever signs campaigns and commands here: a private key in a file, a key in a token (PKCS#11), or a program. Without a daemon.
 * Every signature is checked before it is handed out.
 */

#include "base/json.h"
#include "failure.h"
#include "trust/jws.h"

struct signer;

/* Exactly one of key and external. */
struct signer_options {
        const char *key;      /* a PEM file ("ci.key"), or a URI "pkcs11:..." */
        const char *external; /* a command for the shell: gets what is to be signed on standard input, writes the raw or DER signature */
        const char *pub;      /* a public key file ("ci.pub"); needed with external, else NULL: the key knows its own */
        const char *kid;      /* NULL: the name of the pub file, else of the key file, without its ending */
};

/* Err: signature-required (no signer named), usage, file-unreadable, key-..., signer-failed, signer-mismatch. */
int signer_new(const struct signer_options *options, struct signer **ret_signer, struct failure *failure);
void signer_free(struct signer *signer); /* NULL is fine */
DEFINE_CLEANUP(struct signer *, signer_free);
#define _cleanup_signer_ _cleanup_(signer_freep)

const char *signer_kid(const struct signer *signer);

/* type: JWS_TYPE_...; the caller frees *ret_jws. Err: signer-failed, signer-mismatch, document-too-large. */
int signer_sign(struct signer *signer, const char *type, const void *payload, size_t size, char **ret_jws, struct failure *failure);
/* The same for JSON, written in one line. */
int signer_sign_json(struct signer *signer, const char *type, const struct json *payload, char **ret_jws, struct failure *failure);

/*
 * What only the moment of signing can know, where a document leaves it out: iat (now), exp (iat + valid_s), jti (random, with_jti).
 * -ENOMEM.
 */
struct sign_claims {
        int64_t now_s, valid_s;
        bool with_jti;
};
int sign_fill_claims(struct json *payload, const struct sign_claims *claims);
