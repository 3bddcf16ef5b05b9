/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/key_internal.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string.h>

#define P256_HALF 32 /* bytes of r and of s */

struct key {
        EVP_PKEY *pkey;
        enum key_kind kind;
};

static const struct {
        const char *name, *algorithm;
} kinds[KEY_KIND_COUNT_] = {
        [KEY_ED25519] = { "ed25519", "EdDSA" },
        [KEY_P256] = { "p256", "ES256" },
};

DEFINE_CLEANUP(BIO *, BIO_free_all);
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free);
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free);
DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free);

const char *key_kind_name(enum key_kind kind) {
        return kinds[kind].name;
}

const char *key_kind_algorithm(enum key_kind kind) {
        return kinds[kind].algorithm;
}

int key_kind_parse(const char *name, enum key_kind *ret_kind) {
        for (int i = 0; i < KEY_KIND_COUNT_; i++)
                if (strcmp(kinds[i].name, name) == 0) {
                        *ret_kind = (enum key_kind) i;
                        return 0;
                }
        return -EINVAL;
}

void key_free(struct key *key) {
        if (!key)
                return;
        EVP_PKEY_free(key->pkey);
        free(key);
}

/* --- which keys load --- */

static int refuse(struct gw_error *err, const char *name, const char *text) {
        ERR_clear_error();
        gw_error_set(err, name, "%s", text);
        return -EINVAL;
}

static int judge_curve(const EVP_PKEY *pkey, enum key_kind *ret_kind, struct gw_error *err) {
        char group[64] = "";
        size_t size = 0;

        (void) EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &size);
        if (strcmp(group, SN_X9_62_prime256v1) != 0) {
                gw_error_set(err, "key-type", "the key is on the curve %s; only Ed25519 and P-256 are used", group[0] ? group : "of its own parameters");
                return -EINVAL;
        }
        *ret_kind = KEY_P256;
        return 0;
}

static int judge_kind(const EVP_PKEY *pkey, enum key_kind *ret_kind, struct gw_error *err) {
        const char *name = EVP_PKEY_get0_type_name(pkey);

        if (EVP_PKEY_is_a(pkey, "ED25519")) {
                *ret_kind = KEY_ED25519;
                return 0;
        }
        if (EVP_PKEY_is_a(pkey, "EC"))
                return judge_curve(pkey, ret_kind, err);
        gw_error_set(err, "key-type", "it is a key of the type %s; only Ed25519 and P-256 are used", name ? name : "unknown");
        return -EINVAL;
}

/* Is the point on the curve, and not the one at infinity? */
static bool is_sound(EVP_PKEY *pkey) {
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
        bool sound = context && EVP_PKEY_public_check(context) == 1;

        EVP_PKEY_CTX_free(context);
        return sound;
}

int key_wrap(EVP_PKEY *pkey, bool token, struct key **ret_key, struct gw_error *err) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *owned = pkey;
        enum key_kind kind;
        struct key *key;
        int r = judge_kind(pkey, &kind, err);

        if (r < 0)
                return r;
        if (!token && !is_sound(pkey))
                return refuse(err, "key-invalid", "the key's point is not one of its curve");
        key = malloc(sizeof *key);
        if (!key)
                return -ENOMEM;
        *key = (struct key){ .pkey = TAKE_PTR(owned), .kind = kind };
        *ret_key = key;
        return 0;
}

/* Nobody is asked for a password. */
static int no_password(char *buffer, int size, int writing, void *ctx) {
        (void) buffer;
        (void) size;
        (void) writing;
        (void) ctx;
        return -1;
}

static size_t count_blocks(const char *pem, size_t size) {
        static const char begin[] = "-----BEGIN ";
        const char *at = pem, *end = pem + size;
        size_t n = 0;

        while ((at = memmem(at, (size_t) (end - at), begin, sizeof begin - 1))) {
                at += sizeof begin - 1;
                n++;
        }
        return n;
}

bool key_text_is_private(const char *pem, size_t size) {
        static const char words[] = "PRIVATE KEY-----";

        return memmem(pem, size, words, sizeof words - 1);
}

static int check_text(const char *pem, size_t size, struct gw_error *err) {
        if (size > KEY_FILE_SIZE_MAX)
                return refuse(err, "key-invalid", "the file is larger than any key");
        switch (count_blocks(pem, size)) {
        case 0:
                return refuse(err, "key-invalid", "there is no PEM block (-----BEGIN PUBLIC KEY-----)");
        case 1:
                return 0;
        }
        return refuse(err, "key-invalid", "there are several PEM blocks; one key belongs into one file");
}

int key_read_public(const char *pem, size_t size, struct key **ret_key, struct gw_error *err) {
        _cleanup_(BIO_free_allp) BIO *bio = NULL;
        EVP_PKEY *pkey;
        int r;

        if (key_text_is_private(pem, size))
                return refuse(err, "key-private", "it holds a private key; only the public half belongs here");
        r = check_text(pem, size, err);
        if (r < 0)
                return r;
        bio = BIO_new_mem_buf(pem, (int) size);
        if (!bio)
                return -ENOMEM;
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
        if (!pkey)
                return refuse(err, "key-invalid", "it holds no readable public key (-----BEGIN PUBLIC KEY-----)");
        return key_wrap(pkey, false, ret_key, err);
}

int key_read_private(const char *pem, size_t size, struct key **ret_key, struct gw_error *err) {
        _cleanup_(BIO_free_allp) BIO *bio = NULL;
        EVP_PKEY *pkey;

        if (size > KEY_FILE_SIZE_MAX)
                return refuse(err, "key-invalid", "the file is larger than any key");
        if (!key_text_is_private(pem, size))
                return refuse(err, "key-invalid", "it holds no private key (-----BEGIN PRIVATE KEY-----)");
        bio = BIO_new_mem_buf(pem, (int) size);
        if (!bio)
                return -ENOMEM;
        pkey = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
        if (!pkey)
                return refuse(err, "key-invalid", "the private key cannot be read; encrypted ones are not supported");
        return key_wrap(pkey, false, ret_key, err);
}

int key_generate(enum key_kind kind, struct key **ret_key) {
        EVP_PKEY *pkey = kind == KEY_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_PKEY_Q_keygen(NULL, NULL, "EC", SN_X9_62_prime256v1);

        return pkey ? key_wrap(pkey, false, ret_key, NULL) : -EIO;
}

enum key_kind key_kind(const struct key *key) {
        return key->kind;
}

/* --- writing --- */

void key_fingerprint(const struct key *key, uint8_t ret_fingerprint[DIGEST_SIZE]) {
        unsigned char *der = NULL;
        int size = i2d_PUBKEY(key->pkey, &der);

        if (size < 0)
                abort();
        digest_sha256(der, (size_t) size, ret_fingerprint);
        OPENSSL_free(der);
}

static int take_text(BIO *bio, char **ret_text) {
        char *data, *text;
        long size = BIO_get_mem_data(bio, &data);

        text = size > 0 ? strndup(data, (size_t) size) : NULL;
        if (!text)
                return -ENOMEM;
        *ret_text = text;
        return 0;
}

int key_write_public(const struct key *key, char **ret_pem) {
        _cleanup_(BIO_free_allp) BIO *bio = BIO_new(BIO_s_mem());

        return bio && PEM_write_bio_PUBKEY(bio, key->pkey) == 1 ? take_text(bio, ret_pem) : -ENOMEM;
}

int key_write_private(const struct key *key, char **ret_pem) {
        _cleanup_(BIO_free_allp) BIO *bio = BIO_new(BIO_s_secmem());

        if (!bio)
                return -ENOMEM;
        return PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, NULL, NULL, 0, NULL, NULL) == 1 ? take_text(bio, ret_pem) : -EINVAL;
}

/* --- signatures --- */

static int raw_to_der(const uint8_t raw[KEY_SIGNATURE_SIZE], unsigned char **ret_der) {
        _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *signature = ECDSA_SIG_new();
        BIGNUM *r = BN_bin2bn(raw, P256_HALF, NULL), *s = BN_bin2bn(raw + P256_HALF, P256_HALF, NULL);

        if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
                BN_free(r);
                BN_free(s);
                return -ENOMEM;
        }
        return i2d_ECDSA_SIG(signature, ret_der);
}

static int der_to_raw(const uint8_t *der, size_t size, uint8_t ret_raw[KEY_SIGNATURE_SIZE]) {
        const unsigned char *at = der;
        _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long) size);

        if (!signature || at != der + size || BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret_raw, P256_HALF) != P256_HALF ||
            BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret_raw + P256_HALF, P256_HALF) != P256_HALF) {
                ERR_clear_error();
                return -EINVAL;
        }
        return 0;
}

static const EVP_MD *hash_of(enum key_kind kind) {
        return kind == KEY_P256 ? EVP_sha256() : NULL;
}

static bool verify(const struct key *key, const void *data, size_t size, const uint8_t *signature, size_t signature_size) {
        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        bool good = context && EVP_DigestVerifyInit(context, NULL, hash_of(key->kind), NULL, key->pkey) == 1 &&
                    EVP_DigestVerify(context, signature, signature_size, data, size) == 1;

        ERR_clear_error();
        return good;
}

bool key_verify(const struct key *key, const void *data, size_t size, const uint8_t signature[KEY_SIGNATURE_SIZE]) {
        unsigned char *der = NULL;
        int der_size;
        bool good;

        if (key->kind == KEY_ED25519)
                return verify(key, data, size, signature, KEY_SIGNATURE_SIZE);
        der_size = raw_to_der(signature, &der);
        good = der_size > 0 && verify(key, data, size, der, (size_t) der_size);
        OPENSSL_free(der);
        return good;
}

int key_sign(const struct key *key, const void *data, size_t size, uint8_t ret_signature[KEY_SIGNATURE_SIZE]) {
        _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *context = EVP_MD_CTX_new();
        uint8_t signature[128];
        size_t signature_size = sizeof signature;

        if (!context)
                return -ENOMEM;
        if (EVP_DigestSignInit(context, NULL, hash_of(key->kind), NULL, key->pkey) != 1 ||
            EVP_DigestSign(context, signature, &signature_size, data, size) != 1) {
                ERR_clear_error();
                return -EIO;
        }
        if (key->kind == KEY_P256)
                return der_to_raw(signature, signature_size, ret_signature);
        memcpy(ret_signature, signature, KEY_SIGNATURE_SIZE);
        return 0;
}

int key_signature_from(enum key_kind kind, const uint8_t *data, size_t size, uint8_t ret_signature[KEY_SIGNATURE_SIZE]) {
        if (size == KEY_SIGNATURE_SIZE) {
                memcpy(ret_signature, data, size);
                return 0;
        }
        return kind == KEY_P256 ? der_to_raw(data, size, ret_signature) : -EINVAL;
}
