/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For tests only: makes MCUboot images, keys and files in memory. Ends the process when it cannot, since a test without its
 * input says nothing. What is returned as a pointer the caller frees; descriptors the caller closes.
 */

#include <openssl/evp.h>

#include <gatewayd/plugin.h>

struct test_image {
        uint8_t major, minor;
        uint16_t revision;
        uint32_t build;
        uint16_t header_size; /* 0 = 32 */
        uint32_t body_size;   /* 0 = 1000 */
        uint32_t flags;
        uint32_t load_address;
        uint16_t hash_type;               /* 0 = SHA-256 */
        EVP_PKEY *key;                    /* signs; NULL = unsigned */
        bool pure;                        /* over the data */
        bool whole_key;                   /* the key itself in place of its hash */
        bool anonymous;                   /* neither */
        const uint8_t *protected_entries; /* for the protected area, without its header */
        size_t protected_size;
        const uint8_t *open_entries; /* in front of the hash in the open area */
        size_t open_size;
};

/* *ret_size bytes. */
uint8_t *test_image_make(const struct test_image *image, size_t *ret_size);

/* "ED25519", "P-256", "P-384", "RSA-2048", "RSA-3072". */
EVP_PKEY *test_key_make(const char *kind);
/* The public half, or the private one, as PEM. */
char *test_key_pem(EVP_PKEY *key, bool private_half);
/* A private key file of tests/data. */
EVP_PKEY *test_key_read(const char *path);
/* In the form that imgtool hashes; the result has room for 64 bytes. */
void test_key_hash(EVP_PKEY *key, const EVP_MD *digest, uint8_t hash[GW_HASH_MAX]);

/* A file that holds these bytes and has no name. */
int test_file_make(const void *bytes, size_t size);
/* All of a file of the repository; `path` relative to its root. */
uint8_t *test_file_load(const char *path, size_t *ret_size);
