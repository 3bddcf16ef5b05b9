/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/mcuboot/sample_keys.h"
#include "common/mcuboot/test_image.h"

#define VECTOR_PEM "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n-----END PUBLIC KEY-----\n"

/* The public half of the RSA sample key that MCUboot publishes (root-rsa-2048). */
#define SAMPLE_PEM                                                                                                                         \
        "-----BEGIN PUBLIC KEY-----\n"                                                                                                     \
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0QYIGhhELBjo+/33DaNP\n"                                                               \
        "H7vuXvmq0ksY01rpbRiAGfnwnDQby/O8dNtC54x/EFN+Q14NVyxE0WcIDw27XO7s\n"                                                               \
        "s5nf4E2EC6p3QWDtFShJpwG0PBDmaYwvX6xBTZ5cFN/y+M89Hm/nW7q0qciIfkc8\n"                                                               \
        "lMN3Z1RLqo04NcpiYX634RXbd3PUvntyIYlpJPv4ZW5kPsgO14XVXErkUw0v/7f9\n"                                                               \
        "8xM5gz+jrtIPp2qd+f64zvoqvq+44PqCN1T0PuEr0NMIWBj2XkzIiIExrV+wghfy\n"                                                               \
        "imknI/Orhz6TGh3+6PgaJGZZ+Byr3M5oG2ZkNez6DRGdr1w6p9FnxkfvsUssYuHR\n"                                                               \
        "yQIDAQAB\n"                                                                                                                       \
        "-----END PUBLIC KEY-----\n"

static void hash_of_a_key_is_that_of_imgtool(void **state) {
        static const uint8_t hash[GW_HASH_MAX] = {0xa0, 0x50, 0x83, 0x7d, 0x85, 0x07, 0x05, 0x82, 0xcc, 0xf7, 0x39,
                                                  0x4b, 0x09, 0x88, 0x84, 0x7c, 0xc3, 0x12, 0xcb, 0x88, 0x25, 0x9b,
                                                  0x89, 0x48, 0x99, 0xf6, 0xf2, 0x39, 0xcf, 0x17, 0x91, 0xa5};
        struct gw_public_key pem = {"vector", VECTOR_PEM, strlen(VECTOR_PEM)};
        _cleanup_mcuboot_keys_ struct mcuboot_keys keys;
        (void) state;
        assert_int_equal(mcuboot_keys_init(&keys, &pem, 1, NULL), 0);
        assert_ptr_equal(mcuboot_keys_find(&keys, hash, 32), &keys.keys[0]);
        assert_null(mcuboot_keys_find(&keys, hash, 31));
        assert_null(mcuboot_keys_find(&keys, hash, 48));
}

static void rsa_keys_are_hashed_as_pkcs1(void **state) {
        struct gw_public_key pem = {"sample", SAMPLE_PEM, strlen(SAMPLE_PEM)};
        _cleanup_mcuboot_keys_ struct mcuboot_keys keys;
        uint8_t hash[GW_HASH_MAX];
        (void) state;
        assert_int_equal(mcuboot_keys_init(&keys, &pem, 1, NULL), 0);
        assert_int_equal(keys.keys[0].kind, MCUBOOT_KEY_RSA2048);
        assert_true(mcuboot_key_hash(&keys.keys[0], 32, hash));
        assert_string_equal(mcuboot_sample_key_name(hash, 32), "root-rsa-2048");
        hash[31] ^= 1;
        assert_null(mcuboot_sample_key_name(hash, 32));
        assert_null(mcuboot_sample_key_name(hash, 0));
        assert_null(mcuboot_sample_key_name(hash, 31));
}

static void every_kind_is_told(void **state) {
        static const struct {
                const char *name;
                enum mcuboot_key_kind kind;
        } cases[] = {
                {"ED25519", MCUBOOT_KEY_ED25519},  {"P-256", MCUBOOT_KEY_P256},       {"P-384", MCUBOOT_KEY_P384},
                {"RSA-2048", MCUBOOT_KEY_RSA2048}, {"RSA-3072", MCUBOOT_KEY_RSA3072},
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                EVP_PKEY *key = test_key_make(cases[i].name);
                _cleanup_free_ char *text = test_key_pem(key, false);
                struct gw_public_key pem = {"key", text, strlen(text)};
                _cleanup_mcuboot_keys_ struct mcuboot_keys keys;
                uint8_t hash[GW_HASH_MAX];
                assert_int_equal(mcuboot_keys_init(&keys, &pem, 1, NULL), 0);
                assert_int_equal(keys.keys[0].kind, cases[i].kind);
                test_key_hash(key, EVP_sha384(), hash);
                assert_non_null(mcuboot_keys_find(&keys, hash, 48));
                EVP_PKEY_free(key);
        }
}

static void refused(const char *text, const char *words) {
        struct gw_public_key pem[] = {{"vector", VECTOR_PEM, strlen(VECTOR_PEM)}, {"bad.pem", text, strlen(text)}};
        _cleanup_mcuboot_keys_ struct mcuboot_keys keys;
        struct gw_error err = {};
        assert_int_equal(mcuboot_keys_init(&keys, pem, 2, &err), -EBADMSG);
        assert_string_equal(err.name, "image-key-invalid");
        assert_non_null(strstr(err.text, "bad.pem"));
        assert_non_null(strstr(err.text, words));
}

static void other_things_are_no_keys(void **state) {
        EVP_PKEY *private_key = test_key_make("ED25519"), *small = test_key_make("RSA-1024"), *other = test_key_make("P-521");
        _cleanup_free_ char *private_pem = test_key_pem(private_key, true), *small_pem = test_key_pem(small, false),
                            *other_pem = test_key_pem(other, false);
        (void) state;
        refused("", "no public key");
        refused("hello", "no public key");
        refused(private_pem, "private key");
        refused("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "private key");
        refused(small_pem, "no key that MCUboot can use");
        refused(other_pem, "no key that MCUboot can use");
        EVP_PKEY_free(private_key);
        EVP_PKEY_free(small);
        EVP_PKEY_free(other);
}

static void more_keys_than_the_limit(void **state) {
        struct gw_public_key pem[MCUBOOT_KEYS_MAX + 1];
        _cleanup_mcuboot_keys_ struct mcuboot_keys keys;
        struct gw_error err = {};
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(pem); i++)
                pem[i] = (struct gw_public_key){"vector", VECTOR_PEM, strlen(VECTOR_PEM)};
        assert_int_equal(mcuboot_keys_init(&keys, pem, ARRAY_SIZE(pem), &err), -EBADMSG);
        assert_string_equal(err.name, "image-key-invalid");
        assert_int_equal(mcuboot_keys_init(&keys, pem, MCUBOOT_KEYS_MAX, &err), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hash_of_a_key_is_that_of_imgtool),
                cmocka_unit_test(rsa_keys_are_hashed_as_pkcs1),
                cmocka_unit_test(every_kind_is_told),
                cmocka_unit_test(other_things_are_no_keys),
                cmocka_unit_test(more_keys_than_the_limit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
