/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The two kinds of keys that sign campaigns and commands: Ed25519 (JWS algorithm EdDSA, RFC 8037) and ECDSA over P-256 with
 * SHA-256 (ES256, RFC 7518 section 3.4). Nothing else loads. The key decides the algorithm, never a message. Signatures are the 64
 * bytes of the JWS forms: Ed25519's own, or r and s of 32 bytes each. (Keys of MCUboot images are another matter: plugins/common.)
 *
 * A key is immutable; verifying and signing may run on any thread, also at once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"
#include "trust/digest.h"

#define KEY_SIGNATURE_SIZE 64
#define KEY_FILE_SIZE_MAX 16384 /* bytes of a PEM file with its scope */

enum key_kind {
        KEY_ED25519,
        KEY_P256,
        KEY_KIND_COUNT_,
};

const char *key_kind_name(enum key_kind kind);      /* "ed25519", "p256" */
const char *key_kind_algorithm(enum key_kind kind); /* "EdDSA", "ES256" */
int key_kind_parse(const char *name, enum key_kind *ret_kind); /* of key_kind_name(); -EINVAL */

struct key;

/*
 * The one PEM block of `pem` ("BEGIN PUBLIC KEY"). -EINVAL with err: key-private (a private key where a public one belongs),
 * key-type (RSA, another curve, ...), key-invalid (no PEM, several blocks, a point that is not on the curve). -ENOMEM.
 */
int key_read_public(const char *pem, size_t size, struct key **ret_key, struct gw_error *err);
/* "BEGIN PRIVATE KEY" or "BEGIN EC PRIVATE KEY", not encrypted. */
int key_read_private(const char *pem, size_t size, struct key **ret_key, struct gw_error *err);
/* Does this text hold a private key, of whatever kind? */
bool key_text_is_private(const char *pem, size_t size);
/*
 * A private key that stays in a token: a PKCS#11 URI (RFC 7512), the module in the environment's PKCS11_MODULE_PATH. May ask for the PIN
 * at the terminal; blocks. signer-failed, key-type.
 */
int key_open_token(const char *uri, struct key **ret_key, struct gw_error *err);
int key_generate(enum key_kind kind, struct key **ret_key);
void key_free(struct key *key);
DEFINE_CLEANUP(struct key *, key_free);
#define _cleanup_key_ _cleanup_(key_freep)

enum key_kind key_kind(const struct key *key);
/* SHA-256 of the SubjectPublicKeyInfo (DER): `openssl pkey -pubin -outform DER | sha256sum` gives the same. */
void key_fingerprint(const struct key *key, uint8_t ret_fingerprint[DIGEST_SIZE]);
/* The caller frees. */
int key_write_public(const struct key *key, char **ret_pem);
int key_write_private(const struct key *key, char **ret_pem);

bool key_verify(const struct key *key, const void *data, size_t size, const uint8_t signature[KEY_SIGNATURE_SIZE]);
/* The key is a private one. */
int key_sign(const struct key *key, const void *data, size_t size, uint8_t ret_signature[KEY_SIGNATURE_SIZE]);
/*
 * The JWS form of a signature that another program made: 64 bytes as they are, or for P-256 the DER form (ECDSA-Sig-Value, RFC 3279).
 * -EINVAL.
 */
int key_signature_from(enum key_kind kind, const uint8_t *data, size_t size, uint8_t ret_signature[KEY_SIGNATURE_SIZE]);
