/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/signature.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "common/mcuboot/sample_keys.h"

struct bytes {
        const uint8_t *data;
        size_t size;
};

const char *mcuboot_signature_kind_name(uint16_t type) {
        switch (type) {
        case MCUBOOT_TLV_RSA2048_PSS:
                return "rsa-2048";
        case MCUBOOT_TLV_RSA3072_PSS:
                return "rsa-3072";
        case MCUBOOT_TLV_ECDSA:
                return "ecdsa";
        case MCUBOOT_TLV_ECDSA224:
                return "ecdsa-p224 (retired)";
        case MCUBOOT_TLV_ED25519:
                return "ed25519";
        }
        return "unknown";
}

static bool kind_fits(const struct mcuboot_key *key, uint16_t type) {
        switch (key->kind) {
        case MCUBOOT_KEY_ED25519:
                return type == MCUBOOT_TLV_ED25519;
        case MCUBOOT_KEY_P256:
        case MCUBOOT_KEY_P384:
                return type == MCUBOOT_TLV_ECDSA;
        case MCUBOOT_KEY_RSA2048:
                return type == MCUBOOT_TLV_RSA2048_PSS;
        case MCUBOOT_KEY_RSA3072:
                return type == MCUBOOT_TLV_RSA3072_PSS;
        }
        return false;
}

static bool ed25519_verify(EVP_PKEY *key, struct bytes signature, struct bytes message) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        bool fits = ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                    EVP_DigestVerify(ctx, signature.data, signature.size, message.data, message.size) == 1;
        EVP_MD_CTX_free(ctx);
        ERR_clear_error();
        return fits;
}

/* PSS as MCUboot verifies it: SHA-256 for both, 32 bytes of salt. */
static bool pss_setup(EVP_PKEY_CTX *ctx) {
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0 && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) > 0 && EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32) > 0;
}

static bool digest_verify(EVP_PKEY *key, struct bytes signature, struct bytes digest) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
        bool fits = ctx && EVP_PKEY_verify_init(ctx) == 1 && (!EVP_PKEY_is_a(key, "RSA") || pss_setup(ctx)) &&
                    EVP_PKEY_verify(ctx, signature.data, signature.size, digest.data, digest.size) == 1;
        EVP_PKEY_CTX_free(ctx);
        ERR_clear_error();
        return fits;
}

/* Old imgtool padded ECDSA signatures with zeros to a fixed length: only what the DER sequence says counts. */
static struct bytes signature_bytes(const struct mcuboot_signature *signature) {
        struct bytes bytes = {signature->bytes, signature->size};
        if (signature->type == MCUBOOT_TLV_ECDSA && bytes.size > 2 && bytes.data[1] < 0x80 && bytes.data[1] + 2u < bytes.size)
                bytes.size = bytes.data[1] + 2u;
        return bytes;
}

static bool signature_fits(const struct mcuboot_key *key, const struct mcuboot_signature *signature, struct bytes message) {
        struct bytes bytes = signature_bytes(signature);
        if (!kind_fits(key, signature->type))
                return false;
        if (key->kind == MCUBOOT_KEY_ED25519)
                return ed25519_verify(key->key, bytes, message);
        return digest_verify(key->key, bytes, message);
}

static uint64_t signed_size(const struct mcuboot_header *header) {
        return (uint64_t) header->header_size + header->body_size + header->protected_size;
}

/* What is signed: the hash, or with a pure signature the bytes that the hash is made of; *ret_owned then is the caller's to free. */
static int message_get(const struct mcuboot_signed *image, struct bytes *ret_message, uint8_t **ret_owned, struct gw_error *err) {
        uint64_t size = signed_size(image->header);
        _cleanup_free_ uint8_t *data = NULL;
        int r;
        *ret_message = (struct bytes){image->tlvs->hash, image->tlvs->hash_size};
        if (!image->tlvs->pure)
                return 0;
        if (size > MCUBOOT_PURE_MAX)
                return refuse(err, "file-too-large", "an image with a pure signature may have %u bytes, this has %llu", MCUBOOT_PURE_MAX,
                              (unsigned long long) size);
        data = malloc((size_t) size);
        r = data ? source_read(image->source, 0, data, (size_t) size) : -ENOMEM;
        if (r < 0)
                return source_failed(err, r, "reading the signed bytes");
        *ret_message = (struct bytes){data, (size_t) size};
        *ret_owned = TAKE_PTR(data);
        return 0;
}

/* A signature that does not say by which key (some builds leave it out) may be by any of that kind. */
static const struct mcuboot_key *key_try_all(const struct mcuboot_keys *keys, const struct mcuboot_signature *signature,
                                             struct bytes message) {
        for (size_t i = 0; i < keys->n_keys; i++)
                if (signature_fits(&keys->keys[i], signature, message))
                        return &keys->keys[i];
        return NULL;
}

static void verdict_set(struct mcuboot_verdict *verdict, enum mcuboot_trust trust, const struct mcuboot_signature *signature,
                        const struct mcuboot_key *key) {
        verdict->trust = trust;
        verdict->type = signature->type;
        verdict->key_hash_size = signature->key_hash_size;
        memcpy(verdict->key_hash, signature->key_hash, sizeof signature->key_hash);
        verdict->key_name = key ? key->name : NULL;
}

static int signature_check(const struct mcuboot_signature *signature, const struct mcuboot_keys *keys, struct bytes message,
                           struct mcuboot_verdict *verdict, struct gw_error *err) {
        const struct mcuboot_key *key = NULL;
        if (signature->key_hash_size) {
                key = mcuboot_keys_find(keys, signature->key_hash, signature->key_hash_size);
                if (key && !signature_fits(key, signature, message))
                        return refuse(err, "image-signature-invalid", "the %s signature does not fit key %s",
                                      mcuboot_signature_kind_name(signature->type), key->name);
        } else {
                key = key_try_all(keys, signature, message);
        }
        if (key || verdict->trust == MCUBOOT_TRUST_UNSIGNED)
                verdict_set(verdict, key ? MCUBOOT_TRUST_VERIFIED : MCUBOOT_TRUST_KEY_UNKNOWN, signature, key);
        return 0;
}

static const char *sample_key_find(const struct mcuboot_tlvs *tlvs) {
        const char *name = NULL;
        for (size_t i = 0; i < tlvs->n_signatures && !name; i++)
                name = mcuboot_sample_key_name(tlvs->signatures[i].key_hash, tlvs->signatures[i].key_hash_size);
        return name;
}

static int signatures_check(const struct mcuboot_signed *image, const struct mcuboot_keys *keys, struct mcuboot_verdict *verdict,
                            struct gw_error *err) {
        struct bytes message = {};
        _cleanup_free_ uint8_t *whole = NULL;
        int r = keys->n_keys ? message_get(image, &message, &whole, err) : 0;
        for (size_t i = 0; i < image->tlvs->n_signatures && r == 0; i++)
                r = signature_check(&image->tlvs->signatures[i], keys, message, verdict, err);
        return r;
}

int mcuboot_signatures_check(const struct mcuboot_signed *image, const struct mcuboot_keys *keys, struct mcuboot_verdict *ret_verdict,
                             struct gw_error *err) {
        const struct mcuboot_tlvs *tlvs = image->tlvs;
        struct mcuboot_verdict verdict = {.n_keys = keys->n_keys, .sample_key = sample_key_find(tlvs)};
        int r = 0;
        if (tlvs->n_signatures && tlvs->pure && mcuboot_header_encrypted(image->header))
                verdict_set(&verdict, MCUBOOT_TRUST_UNCHECKABLE, &tlvs->signatures[0], NULL);
        else if (tlvs->n_signatures)
                r = signatures_check(image, keys, &verdict, err);
        if (r < 0)
                return r;
        *ret_verdict = verdict;
        return 0;
}
