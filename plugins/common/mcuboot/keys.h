/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The public keys that images are held against. A set is made for one reading from the configured PEM texts and freed after it;
 * it owns the OpenSSL objects. A key is found by its hash as MCUboot's imgtool makes it: of the DER form that the bootloader has
 * built in, which is SubjectPublicKeyInfo for elliptic curves and PKCS#1 for RSA, with SHA-256, SHA-384 or SHA-512.
 */

#include <openssl/evp.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"

#define MCUBOOT_KEYS_MAX 32u
#define MCUBOOT_KEY_PEM_MAX 16384u /* bytes of one PEM text */

enum mcuboot_key_kind {
        MCUBOOT_KEY_ED25519,
        MCUBOOT_KEY_P256,
        MCUBOOT_KEY_P384,
        MCUBOOT_KEY_RSA2048,
        MCUBOOT_KEY_RSA3072,
};

struct mcuboot_key {
        const char *name; /* lent from the options */
        enum mcuboot_key_kind kind;
        EVP_PKEY *key;
        uint8_t *der; /* what is hashed */
        size_t der_size;
};

struct mcuboot_keys {
        struct mcuboot_key keys[MCUBOOT_KEYS_MAX];
        size_t n_keys;
};

/* image-key-invalid (with the name of the file) when one is no public key of a kind that MCUboot can use. */
int mcuboot_keys_init(struct mcuboot_keys *keys, const struct gw_public_key *public_keys, size_t n_public_keys, struct gw_error *err);
void mcuboot_keys_deinit(struct mcuboot_keys *keys);
#define _cleanup_mcuboot_keys_ _cleanup_(mcuboot_keys_deinit)

/* NULL when none has that hash. */
const struct mcuboot_key *mcuboot_keys_find(const struct mcuboot_keys *keys, const uint8_t *hash, size_t hash_size);

/* Hash of a key in that form; size 32, 48 or 64. False for other sizes. */
bool mcuboot_key_hash(const struct mcuboot_key *key, size_t hash_size, uint8_t hash[GW_HASH_MAX]);
