/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signed documents: JWS (RFC 7515) in compact form, in one narrow profile.
 *
 *     base64url(header) "." base64url(payload) "." base64url(signature)
 *
 * The header holds exactly alg, kid and typ. kid names a key of the keyring, and that key decides the algorithm: alg must be what it
 * signs with, so neither "none" nor an HMAC over a public key can pass. Nothing in the header is ever fetched or opened.
 * base64url is read strictly (trust/base64url.h), so a document has one form only.
 *
 * Pure and synchronous; a campaign for 10,000 devices takes a millisecond: on a worker, with a reference on the keyring.
 */

#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "trust/keyring.h"

#define JWS_HEADER_MAX 512 /* bytes of the header's JSON */
#define JWS_TEXT_MAX 1000000 /* characters of the whole; JWS_SIZE_MAX of document/limits.h */

#define JWS_TYPE_CAMPAIGN "gatewayd-campaign+jws"
#define JWS_TYPE_COMMAND "gatewayd-command+jws"

/* What was signed, and by whom. */
struct jws {
        const struct keyring_key *key; /* lent by the keyring */
        char *payload;                 /* terminated; any bytes */
        size_t payload_size;
        /* SHA-256 of header "." payload as they came: what was signed. (A key may sign the same twice with different signatures.) */
        uint8_t digest[DIGEST_SIZE];
};

/*
 * Checks in this order, each with a name of its own: jws-malformed (three parts, sizes, base64url), jws-header (JSON, members),
 * jws-type (typ is not `type`), jws-algorithm (not known, or not the key's), key-unknown, jws-signature. -EBADMSG; -ENOMEM. On failure
 * ret_kid (STR_ID_MAX + 1 bytes, may be NULL) holds what the header claims, "" where it could not be read; it proves nothing.
 */
int jws_verify(const struct keyring *keyring, const char *text, size_t size, const char *type, struct jws *ret_jws, char *ret_kid,
               struct gw_error *err);
void jws_deinit(struct jws *jws);
#define _cleanup_jws_ _cleanup_(jws_deinit)

/* --- the signing side --- */

/* header "." payload, to be signed. The caller frees. -E2BIG when the whole would pass JWS_TEXT_MAX. */
int jws_signing_input(enum key_kind kind, const char *kid, const char *type, const void *payload, size_t size, char **ret_input);
/* The whole JWS. */
int jws_join(const char *input, const uint8_t signature[KEY_SIGNATURE_SIZE], char **ret_jws);
