/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/test_image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define need(condition)                                                                                                                    \
        do {                                                                                                                               \
                if (!(condition)) {                                                                                                        \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                    \
                        abort();                                                                                                           \
                }                                                                                                                          \
        } while (0)

struct out {
        uint8_t *bytes;
        size_t size;
};

static void put(struct out *out, const void *bytes, size_t size) {
        out->bytes = realloc(out->bytes, out->size + size + 1);
        need(out->bytes);
        if (size > 0)
                memcpy(out->bytes + out->size, bytes, size);
        out->size += size;
}

static void put_number(struct out *out, uint32_t value, size_t size) {
        uint8_t bytes[4] = {(uint8_t) value, (uint8_t) (value >> 8), (uint8_t) (value >> 16), (uint8_t) (value >> 24)};
        put(out, bytes, size);
}

static void put_entry(struct out *out, uint16_t type, const void *value, size_t size) {
        put_number(out, type, 2);
        put_number(out, (uint32_t) size, 2);
        put(out, value, size);
}

static void put_header(struct out *out, const struct test_image *image, uint16_t header_size, uint32_t body_size) {
        static const uint8_t blank[4096];
        put_number(out, 0x96f3b83d, 4);
        put_number(out, image->load_address, 4);
        put_number(out, header_size, 2);
        put_number(out, image->protected_size ? (uint32_t) image->protected_size + 4 : 0, 2);
        put_number(out, body_size, 4);
        put_number(out, image->flags, 4);
        put_number(out, image->major, 1);
        put_number(out, image->minor, 1);
        put_number(out, image->revision, 2);
        put_number(out, image->build, 4);
        put_number(out, 0, 4);
        put(out, blank, header_size - 32u);
}

static void put_body(struct out *out, uint32_t size) {
        uint8_t *body = malloc(size);
        need(body);
        for (uint32_t i = 0; i < size; i++)
                body[i] = (uint8_t) (i * 7 + (i >> 8));
        put(out, body, size);
        free(body);
}

static size_t key_der(EVP_PKEY *key, unsigned char **der) {
        int size = EVP_PKEY_is_a(key, "RSA") ? i2d_PublicKey(key, der) : i2d_PUBKEY(key, der);
        need(size > 0);
        return (size_t) size;
}

void test_key_hash(EVP_PKEY *key, const EVP_MD *digest, uint8_t hash[GW_HASH_MAX]) {
        unsigned char *der = NULL;
        size_t size = key_der(key, &der);
        need(EVP_Digest(der, size, hash, NULL, digest, NULL));
        OPENSSL_free(der);
}

static size_t sign_message(EVP_PKEY *key, const uint8_t *message, size_t size, uint8_t signature[512]) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        size_t signature_size = 512;
        need(ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1);
        need(EVP_DigestSign(ctx, signature, &signature_size, message, size) == 1);
        EVP_MD_CTX_free(ctx);
        return signature_size;
}

static size_t sign_digest(EVP_PKEY *key, const uint8_t *digest, size_t size, uint8_t signature[512]) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
        size_t signature_size = 512;
        need(ctx && EVP_PKEY_sign_init(ctx) == 1);
        if (EVP_PKEY_is_a(key, "RSA")) {
                need(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0);
                need(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0);
                need(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, 32) > 0);
        }
        need(EVP_PKEY_sign(ctx, signature, &signature_size, digest, size) == 1);
        EVP_PKEY_CTX_free(ctx);
        return signature_size;
}

static uint16_t signature_type(EVP_PKEY *key) {
        if (EVP_PKEY_is_a(key, "ED25519"))
                return 0x24;
        if (EVP_PKEY_is_a(key, "EC"))
                return 0x22;
        return EVP_PKEY_get_bits(key) == 2048 ? 0x20 : 0x23;
}

static void put_key(struct out *entries, const struct test_image *image, const EVP_MD *digest) {
        unsigned char *der = NULL;
        uint8_t hash[GW_HASH_MAX];
        size_t size = key_der(image->key, &der);
        need(EVP_Digest(der, size, hash, NULL, digest, NULL));
        if (image->whole_key)
                put_entry(entries, 0x02, der, size);
        else if (!image->anonymous)
                put_entry(entries, 0x01, hash, (size_t) EVP_MD_get_size(digest));
        OPENSSL_free(der);
}

static void put_signature(struct out *entries, const struct test_image *image, const struct out *data, const uint8_t *hash,
                          const EVP_MD *digest) {
        uint8_t signature[512];
        size_t size, hash_size = (size_t) EVP_MD_get_size(digest);
        if (image->pure)
                put_entry(entries, 0x25, "\1", 1);
        put_key(entries, image, digest);
        if (image->pure)
                size = sign_message(image->key, data->bytes, data->size, signature);
        else if (EVP_PKEY_is_a(image->key, "ED25519"))
                size = sign_message(image->key, hash, hash_size, signature);
        else
                size = sign_digest(image->key, hash, hash_size, signature);
        put_entry(entries, signature_type(image->key), signature, size);
}

uint8_t *test_image_make(const struct test_image *image, size_t *ret_size) {
        const EVP_MD *digest = image->hash_type == 0x11 ? EVP_sha384() : image->hash_type == 0x12 ? EVP_sha512() : EVP_sha256();
        struct out out = {}, entries = {};
        uint8_t hash[GW_HASH_MAX];
        uint32_t body_size = image->body_size ? image->body_size : 1000;
        put_header(&out, image, image->header_size ? image->header_size : 32, body_size);
        put_body(&out, body_size);
        if (image->protected_size) {
                put_number(&out, 0x6908, 2);
                put_number(&out, (uint32_t) image->protected_size + 4, 2);
                put(&out, image->protected_entries, image->protected_size);
        }
        need(EVP_Digest(out.bytes, out.size, hash, NULL, digest, NULL));
        put(&entries, image->open_entries, image->open_size);
        put_entry(&entries, image->hash_type ? image->hash_type : 0x10, hash, (size_t) EVP_MD_get_size(digest));
        if (image->key)
                put_signature(&entries, image, &out, hash, digest);
        put_number(&out, 0x6907, 2);
        put_number(&out, (uint32_t) entries.size + 4, 2);
        put(&out, entries.bytes, entries.size);
        free(entries.bytes);
        *ret_size = out.size;
        return out.bytes;
}

EVP_PKEY *test_key_make(const char *kind) {
        EVP_PKEY *key = strcmp(kind, "ED25519") == 0    ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                        : strncmp(kind, "RSA-", 4) == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t) strtoul(kind + 4, NULL, 10))
                                                        : EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
        need(key);
        return key;
}

char *test_key_pem(EVP_PKEY *key, bool private_half) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *data, *text;
        long size;
        need(bio && (private_half ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) : PEM_write_bio_PUBKEY(bio, key)) == 1);
        size = BIO_get_mem_data(bio, &data);
        text = strndup(data, (size_t) size);
        need(text);
        BIO_free(bio);
        return text;
}

EVP_PKEY *test_key_read(const char *path) {
        size_t size;
        uint8_t *pem = test_file_load(path, &size);
        BIO *bio = BIO_new_mem_buf(pem, (int) size);
        EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        need(key);
        BIO_free(bio);
        free(pem);
        return key;
}

int test_file_make(const void *bytes, size_t size) {
        int fd = memfd_create("test", MFD_CLOEXEC);
        need(fd >= 0 && pwrite(fd, bytes, size, 0) == (ssize_t) size);
        return fd;
}

uint8_t *test_file_load(const char *path, size_t *ret_size) {
        char whole[1024];
        struct stat status;
        uint8_t *bytes;
        int fd;
        snprintf(whole, sizeof whole, "%s/%s", GW_SOURCE_DIR, path);
        fd = open(whole, O_RDONLY | O_CLOEXEC);
        need(fd >= 0 && fstat(fd, &status) == 0);
        bytes = malloc((size_t) status.st_size + 1);
        need(bytes && pread(fd, bytes, (size_t) status.st_size, 0) == status.st_size);
        close(fd);
        *ret_size = (size_t) status.st_size;
        return bytes;
}
