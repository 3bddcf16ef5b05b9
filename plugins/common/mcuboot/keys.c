/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/keys.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/mcuboot/source.h"

static int no_passphrase(char *buffer, int size, int writing, void *ctx) {
        (void) buffer, (void) size, (void) writing, (void) ctx;
        return -1;
}

static EVP_PKEY *pem_read(const struct gw_public_key *pem, EVP_PKEY *(*reader)(BIO *, EVP_PKEY **, pem_password_cb *, void *) ) {
        BIO *bio = BIO_new_mem_buf(pem->pem, (int) pem->pem_size);
        EVP_PKEY *key = bio ? reader(bio, NULL, no_passphrase, NULL) : NULL;
        BIO_free(bio);
        ERR_clear_error();
        return key;
}

static bool ec_kind(EVP_PKEY *key, enum mcuboot_key_kind *ret_kind) {
        char group[32];
        if (!EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL))
                return false;
        *ret_kind = strcmp(group, "secp384r1") == 0 ? MCUBOOT_KEY_P384 : MCUBOOT_KEY_P256;
        return *ret_kind == MCUBOOT_KEY_P384 || strcmp(group, "prime256v1") == 0;
}

static bool key_kind(EVP_PKEY *key, enum mcuboot_key_kind *ret_kind) {
        if (EVP_PKEY_is_a(key, "EC"))
                return ec_kind(key, ret_kind);
        if (EVP_PKEY_is_a(key, "RSA")) {
                *ret_kind = EVP_PKEY_get_bits(key) == 3072 ? MCUBOOT_KEY_RSA3072 : MCUBOOT_KEY_RSA2048;
                return EVP_PKEY_get_bits(key) == 2048 || EVP_PKEY_get_bits(key) == 3072;
        }
        *ret_kind = MCUBOOT_KEY_ED25519;
        return EVP_PKEY_is_a(key, "ED25519");
}

static int key_encode(struct mcuboot_key *key) {
        const char *form = EVP_PKEY_is_a(key->key, "RSA") ? "pkcs1" : "SubjectPublicKeyInfo";
        OSSL_ENCODER_CTX *encoder = OSSL_ENCODER_CTX_new_for_pkey(key->key, EVP_PKEY_PUBLIC_KEY, "DER", form, NULL);
        int done = encoder && OSSL_ENCODER_to_data(encoder, &key->der, &key->der_size);
        OSSL_ENCODER_CTX_free(encoder);
        ERR_clear_error();
        return done ? 0 : -ENOMEM;
}

static int no_public_key(const struct gw_public_key *pem, struct gw_error *err) {
        EVP_PKEY *private_key = pem_read(pem, PEM_read_bio_PrivateKey);
        bool is_private = private_key || strstr(pem->pem, "PRIVATE KEY");
        EVP_PKEY_free(private_key);
        if (is_private)
                return refuse(err, "image-key-invalid", "%s holds a private key; a gateway needs (and should have) only the public half",
                              pem->name);
        return refuse(err, "image-key-invalid", "%s holds no public key in PEM form", pem->name);
}

static int key_init(struct mcuboot_key *key, const struct gw_public_key *pem, struct gw_error *err) {
        key->name = pem->name;
        if (pem->pem_size > MCUBOOT_KEY_PEM_MAX)
                return refuse(err, "image-key-invalid", "%s is too large for a public key", pem->name);
        key->key = pem_read(pem, PEM_read_bio_PUBKEY);
        if (!key->key)
                return no_public_key(pem, err);
        if (!key_kind(key->key, &key->kind))
                return refuse(err, "image-key-invalid",
                              "%s is no key that MCUboot can use: Ed25519, ECDSA P-256 or P-384, RSA 2048 or 3072", pem->name);
        if (key_encode(key) < 0)
                return source_failed(err, -ENOMEM, pem->name);
        return 0;
}

int mcuboot_keys_init(struct mcuboot_keys *keys, const struct gw_public_key *public_keys, size_t n_public_keys, struct gw_error *err) {
        *keys = (struct mcuboot_keys){};
        if (n_public_keys > MCUBOOT_KEYS_MAX)
                return refuse(err, "image-key-invalid", "%zu public keys are configured, at most %u can be", n_public_keys,
                              MCUBOOT_KEYS_MAX);
        for (size_t i = 0; i < n_public_keys; i++) {
                int r = key_init(&keys->keys[keys->n_keys++], &public_keys[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

void mcuboot_keys_deinit(struct mcuboot_keys *keys) {
        for (size_t i = 0; i < keys->n_keys; i++) {
                EVP_PKEY_free(keys->keys[i].key);
                OPENSSL_free(keys->keys[i].der);
        }
        keys->n_keys = 0;
}

bool mcuboot_key_hash(const struct mcuboot_key *key, size_t hash_size, uint8_t hash[GW_HASH_MAX]) {
        const EVP_MD *digest = hash_size == 32 ? EVP_sha256() : hash_size == 48 ? EVP_sha384() : hash_size == 64 ? EVP_sha512() : NULL;
        return digest && EVP_Digest(key->der, key->der_size, hash, NULL, digest, NULL);
}

const struct mcuboot_key *mcuboot_keys_find(const struct mcuboot_keys *keys, const uint8_t *hash, size_t hash_size) {
        uint8_t own[GW_HASH_MAX];
        for (size_t i = 0; i < keys->n_keys; i++)
                if (mcuboot_key_hash(&keys->keys[i], hash_size, own) && memcmp(own, hash, hash_size) == 0)
                        return &keys->keys[i];
        return NULL;
}
