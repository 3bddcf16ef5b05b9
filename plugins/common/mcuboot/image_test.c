/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mcuboot/mcuboot_format.h"
#include "common/mcuboot/test_image.h"

#define DATA "tests/data/mcuboot/"

/* Up to two configured keys, made from key pairs. */
struct trust {
        struct gw_public_key keys[2];
        char *pems[2];
        struct gw_format_options options;
};

static void trust_add(struct trust *trust, EVP_PKEY *key, const char *name) {
        size_t n = trust->options.n_public_keys++;
        trust->pems[n] = test_key_pem(key, false);
        trust->keys[n] = (struct gw_public_key){name, trust->pems[n], strlen(trust->pems[n])};
        trust->options.size = sizeof trust->options;
        trust->options.public_keys = trust->keys;
}

static void trust_clear(struct trust *trust) {
        free(trust->pems[0]);
        free(trust->pems[1]);
        *trust = (struct trust){};
}

/* Reads the bytes as a file by itself. */
static int read_bytes(const void *bytes, size_t size, const struct gw_format_options *options, struct gw_package *package,
                      struct gw_error *err) {
        int fd = test_file_make(bytes, size);
        int r = mcuboot_format.read(fd, size, options, package, err);
        if (r == 0) {
                assert_int_equal(package->parts[0].fd, fd);
                mcuboot_format.release(package, fd);
                package->n_parts = 1;
        }
        assert_int_equal(close(fd), 0);
        return r;
}

static void expect_name(const void *bytes, size_t size, const struct gw_format_options *options, const char *name) {
        struct gw_package package = {.n_parts = 99};
        struct gw_error err = {};
        assert_int_equal(read_bytes(bytes, size, options, &package, &err), -EBADMSG);
        assert_string_equal(err.name, name);
        assert_true(strlen(err.text) > 10);
        assert_int_equal(package.n_parts, 99);
}

static const char *fact(const struct gw_package *package, const char *name) {
        for (size_t i = 0; i < package->n_facts; i++)
                if (strcmp(package->facts[i].name, name) == 0)
                        return package->facts[i].value;
        return "(absent)";
}

static bool warns(const struct gw_package *package, const char *words) {
        for (size_t i = 0; i < package->n_warnings; i++)
                if (strstr(package->warnings[i], words))
                        return true;
        return false;
}

static void hex_equal(const uint8_t *bytes, size_t size, const char *expected) {
        char text[129] = "";
        for (size_t i = 0; i < size; i++)
                snprintf(text + 2 * i, 3, "%02x", bytes[i]);
        assert_string_equal(text, expected);
}

/* ---------------------------------------------------------------- images of the real tool */

static void the_published_vector(void **state) {
        EVP_PKEY *key;
        struct trust trust = {};
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_file_load(DATA "vector-ed25519.bin", &size);
        static const uint8_t seed[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                         16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
        struct gw_package package;
        (void) state;
        key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
        trust_add(&trust, key, "vector.pem");
        trust.options.require_signature = true;
        assert_int_equal(read_bytes(bytes, size, &trust.options, &package, NULL), 0);
        assert_string_equal(package.format, "mcuboot");
        assert_string_equal(package.version, "1.2.3+4");
        assert_int_equal(package.parts[0].size, 252);
        assert_int_equal(package.parts[0].slot, -1);
        hex_equal(package.parts[0].hash, package.parts[0].hash_size, "a3e23335aa1c7923929b6ae6cf974b9121001e88e37c022743a6815fa05afee9");
        hex_equal(package.parts[0].sha256, 32, "4ccc1fabea4de9f950f25c471343c240b482288728573b0db1a27d6145f88f12");
        assert_string_equal(fact(&package, "signature"), "ed25519, key vector.pem (verified)");
        assert_string_equal(fact(&package, "security-counter"), "7");
        assert_int_equal(package.n_warnings, 0);
        EVP_PKEY_free(key);
        trust_clear(&trust);
}

static void verified_by_its_own_key_only(const char *image_path, const char *key_path, const char *other_path, const char *expected) {
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_file_load(image_path, &size);
        EVP_PKEY *key = test_key_read(key_path), *other = test_key_read(other_path);
        struct trust both = {}, only_other = {};
        struct gw_package package;
        trust_add(&both, other, "other");
        trust_add(&both, key, "own");
        trust_add(&only_other, other, "other");
        both.options.require_signature = true;
        assert_int_equal(read_bytes(bytes, size, &both.options, &package, NULL), 0);
        assert_string_equal(package.version, "1.1.0");
        assert_string_equal(fact(&package, "signature"), expected);
        assert_int_equal(read_bytes(bytes, size, &only_other.options, &package, NULL), 0);
        assert_non_null(strstr(fact(&package, "signature"), "not checked"));
        assert_true(warns(&package, "none of the configured keys"));
        only_other.options.require_signature = true;
        expect_name(bytes, size, &only_other.options, "image-key-unknown");
        EVP_PKEY_free(key);
        EVP_PKEY_free(other);
        trust_clear(&both);
        trust_clear(&only_other);
}

static void real_images(void **state) {
        (void) state;
        verified_by_its_own_key_only(DATA "app-1.1.0-ed25519.signed.bin", DATA "ed25519.pem", DATA "p256.pem",
                                     "ed25519, key own (verified)");
        verified_by_its_own_key_only(DATA "app-1.1.0-p256.signed.bin", DATA "p256.pem", DATA "ed25519.pem", "ecdsa, key own (verified)");
}

static void an_unsigned_image(void **state) {
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_file_load(DATA "app-1.0.0-sha256.bin", &size);
        EVP_PKEY *key = test_key_read(DATA "p256.pem");
        struct trust trust = {};
        struct gw_package package;
        (void) state;
        assert_int_equal(read_bytes(bytes, size, NULL, &package, NULL), 0);
        assert_string_equal(package.version, "1.0.0");
        assert_string_equal(fact(&package, "signature"), "none");
        assert_int_equal(package.n_warnings, 0);
        trust_add(&trust, key, "own");
        assert_int_equal(read_bytes(bytes, size, &trust.options, &package, NULL), 0);
        assert_true(warns(&package, "not signed"));
        trust.options.require_signature = true;
        expect_name(bytes, size, &trust.options, "image-signature-missing");
        EVP_PKEY_free(key);
        trust_clear(&trust);
}

/* ---------------------------------------------------------------- every algorithm */

static const struct algorithm {
        const char *key;
        uint16_t hash_type;
        bool pure, whole_key, anonymous;
        const char *expected;
} algorithms[] = {
        {"ED25519", 0x10, false, false, false, "ed25519, key own (verified)"},
        {"ED25519", 0x12, false, false, false, "ed25519, key own (verified)"},
        {"ED25519", 0x12, true, false, false, "ed25519, key own (verified)"},
        {"ED25519", 0x10, false, true, false, "ed25519, key own (verified)"},
        {"ED25519", 0x12, true, false, true, "ed25519, key own (verified)"},
        {"P-256", 0x10, false, false, false, "ecdsa, key own (verified)"},
        {"P-256", 0x10, false, true, false, "ecdsa, key own (verified)"},
        {"P-256", 0x10, false, false, true, "ecdsa, key own (verified)"},
        {"P-384", 0x11, false, false, false, "ecdsa, key own (verified)"},
        {"RSA-2048", 0x10, false, false, false, "rsa-2048, key own (verified)"},
        {"RSA-2048", 0x10, false, true, false, "rsa-2048, key own (verified)"},
        {"RSA-3072", 0x10, false, false, false, "rsa-3072, key own (verified)"},
};

static void algorithm_check(const struct algorithm *algorithm) {
        EVP_PKEY *key = test_key_make(algorithm->key), *other = test_key_make(algorithm->key);
        struct test_image image = {.major = 1,
                                   .key = key,
                                   .hash_type = algorithm->hash_type,
                                   .pure = algorithm->pure,
                                   .whole_key = algorithm->whole_key,
                                   .anonymous = algorithm->anonymous};
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_image_make(&image, &size);
        struct trust trust = {};
        struct gw_package package;
        trust_add(&trust, other, "other");
        trust.options.require_signature = true;
        expect_name(bytes, size, &trust.options, "image-key-unknown");
        trust_add(&trust, key, "own");
        assert_int_equal(read_bytes(bytes, size, &trust.options, &package, NULL), 0);
        assert_string_equal(fact(&package, "signature"), algorithm->expected);
        bytes[size - 1] ^= 1; /* the last byte of the signature */
        expect_name(bytes, size, &trust.options, algorithm->anonymous ? "image-key-unknown" : "image-signature-invalid");
        trust_clear(&trust);
        EVP_PKEY_free(key);
        EVP_PKEY_free(other);
}

static void every_algorithm(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++)
                algorithm_check(&algorithms[i]);
}

/* A signature that fits another key, under the hash of a configured one, is refused even where signatures are not required. */
static void a_borrowed_key_hash(void **state) {
        EVP_PKEY *own = test_key_make("ED25519"), *thief = test_key_make("ED25519");
        struct test_image image = {.major = 1, .key = thief};
        uint8_t real[GW_HASH_MAX], hash[GW_HASH_MAX];
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_image_make(&image, &size);
        struct trust trust = {};
        uint8_t *found;
        (void) state;
        test_key_hash(own, EVP_sha256(), real);
        test_key_hash(thief, EVP_sha256(), hash);
        found = memmem(bytes, size, hash, 32);
        assert_non_null(found);
        memcpy(found, real, 32);
        trust_add(&trust, own, "own");
        expect_name(bytes, size, &trust.options, "image-signature-invalid");
        trust_clear(&trust);
        EVP_PKEY_free(own);
        EVP_PKEY_free(thief);
}

static void ecdsa_padded_by_old_tools(void **state) {
        EVP_PKEY *key = test_key_make("P-256");
        struct test_image image = {.major = 1, .key = key};
        struct trust trust = {};
        struct gw_package package;
        size_t size;
        uint8_t *bytes = test_image_make(&image, &size);
        /* Header, body, area header, hash entry, key hash entry: then the signature entry. */
        size_t entry = 32 + 1000 + 4 + 36 + 36;
        uint8_t signature_size = bytes[entry + 2];
        (void) state;
        bytes = realloc(bytes, size + 2);
        assert_non_null(bytes);
        memset(bytes + size, 0, 2);
        bytes[entry + 2] = (uint8_t) (signature_size + 2);
        bytes[1032 + 2] = (uint8_t) (bytes[1032 + 2] + 2);
        trust_add(&trust, key, "own");
        trust.options.require_signature = true;
        assert_int_equal(read_bytes(bytes, size + 2, &trust.options, &package, NULL), 0);
        free(bytes);
        trust_clear(&trust);
        EVP_PKEY_free(key);
}

static void the_sample_key_is_warned_about(void **state) {
        /* An entry with the hash of the published key root-rsa-2048 and some signature behind it. */
        uint8_t entries[4 + 32 + 4 + 256] = {0x01, 0,    32,   0,    0xfc, 0x57, 0x01, 0xdc, 0x61, 0x35, 0xe1, 0x32, 0x38, 0x47,
                                             0xbd, 0xc4, 0x0f, 0x04, 0xd2, 0xe5, 0xbe, 0xe5, 0x83, 0x3b, 0x23, 0xc2, 0x9f, 0x93,
                                             0x59, 0x3d, 0x00, 0x01, 0x8c, 0xfa, 0x99, 0x94, 0x20, 0,    0,    1};
        struct test_image image = {.major = 1, .open_entries = entries, .open_size = sizeof entries};
        struct gw_package package;
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_image_make(&image, &size);
        (void) state;
        assert_int_equal(read_bytes(bytes, size, NULL, &package, NULL), 0);
        assert_true(warns(&package, "sample key root-rsa-2048"));
}

/* ---------------------------------------------------------------- tampering */

/* Every byte of the vector is flipped, one at a time; the region that it lies in decides the name. */
static void every_flipped_byte_is_named(void **state) {
        static const struct {
                size_t from, to;
                const char *names; /* any of them */
        } regions[] = {
                {0, 4, "not-mcuboot"},
                {4, 8, "image-hash-mismatch"},                                     /* load address */
                {8, 10, "image-malformed image-truncated"},                        /* header size */
                {10, 12, "image-malformed"},                                       /* protected size */
                {12, 16, "image-malformed image-truncated"},                       /* body size */
                {16, 20, "image-hash-mismatch image-encrypted-key-missing"},       /* flags */
                {20, 96, "image-hash-mismatch"},                                   /* version, body */
                {96, 100, "image-malformed image-truncated"},                      /* protected area's header */
                {100, 104, "image-malformed image-hash-mismatch"},                 /* entry of the counter */
                {104, 108, "image-hash-mismatch"},                                 /* its value */
                {108, 112, "image-malformed image-truncated image-trailing-data"}, /* area's header */
                {112, 116, "image-hash-missing image-malformed"},                  /* entry of the hash */
                {116, 148, "image-hash-mismatch"},
                /* Entry of the key hash: without one the signature is tried with every key, and it does fit. */
                {148, 152, "accepted image-malformed"},
                {152, 184, "image-key-unknown"},
                {184, 188, "image-signature-missing image-signature-invalid image-malformed"}, /* entry of the signature */
                {188, 252, "image-signature-invalid"},
        };
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_file_load(DATA "vector-ed25519.bin", &size);
        static const char pem[] =
                "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n-----END PUBLIC KEY-----\n";
        struct gw_public_key key = {"vector", pem, sizeof pem - 1};
        struct gw_format_options options = {.size = sizeof options, .public_keys = &key, .n_public_keys = 1, .require_signature = true};
        (void) state;
        for (size_t region = 0; region < ARRAY_SIZE(regions); region++)
                for (size_t at = regions[region].from; at < regions[region].to; at++)
                        for (unsigned bit = 0; bit < 8; bit++) {
                                struct gw_package package;
                                struct gw_error err = {};
                                bytes[at] ^= (uint8_t) (1 << bit);
                                if (read_bytes(bytes, size, &options, &package, &err) == 0)
                                        gw_error_set(&err, "accepted", "accepted");
                                if (!strstr(regions[region].names, err.name))
                                        fail_msg("byte %zu bit %u: %s (%s)", at, bit, err.name, err.text);
                                bytes[at] ^= (uint8_t) (1 << bit);
                        }
}

static void cut_at_every_byte(void **state) {
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_file_load(DATA "vector-ed25519.bin", &size);
        (void) state;
        for (size_t kept = 0; kept < size; kept++)
                expect_name(bytes, kept, NULL, kept < 4 ? "not-mcuboot" : "image-truncated");
}

static void a_file_that_shrinks_while_it_is_read(void **state) {
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_file_load(DATA "app-1.0.0-sha256.bin", &size);
        _cleanup_close_ int fd = test_file_make(bytes, size);
        struct gw_package package;
        struct gw_error err = {};
        (void) state;
        assert_int_equal(ftruncate(fd, 100), 0);
        assert_true(mcuboot_format.read(fd, size, NULL, &package, &err) < 0);
        assert_true(strcmp(err.name, "file-unreadable") == 0 || strcmp(err.name, "image-truncated") == 0);
}

/* ---------------------------------------------------------------- padding, encryption, what else a header says */

static void padded(const uint8_t *bytes, size_t size, const uint8_t *tail, size_t tail_size, const char *name) {
        uint8_t *file = malloc(size + 5000);
        struct gw_package package;
        assert_non_null(file);
        memcpy(file, bytes, size);
        memset(file + size, 0xff, 5000);
        memcpy(file + size + 5000 - tail_size, tail, tail_size);
        if (name) {
                expect_name(file, size + 5000, NULL, name);
        } else {
                assert_int_equal(read_bytes(file, size + 5000, NULL, &package, NULL), 0);
                assert_int_equal(package.parts[0].size, size);
                assert_true(warns(&package, "image-padded") == (tail_size > 0));
                hex_equal(package.parts[0].sha256, 32, "4ccc1fabea4de9f950f25c471343c240b482288728573b0db1a27d6145f88f12");
        }
        free(file);
}

static void padding_is_not_uploaded(void **state) {
        static const uint8_t by_8[] = {0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f, 0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80};
        static const uint8_t by_16[] = {0x10, 0x00, 0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d, 0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a};
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_file_load(DATA "vector-ed25519.bin", &size);
        (void) state;
        padded(bytes, size, by_8, sizeof by_8, NULL);
        padded(bytes, size, by_16, sizeof by_16, NULL);
        padded(bytes, size, by_8, 0, NULL);
        padded(bytes, size, by_8, 3, "image-trailing-data");
        padded(bytes, size, bytes, size, "image-trailing-data");
}

static void encrypted_images(void **state) {
        static const uint8_t wrapped[4 + 10] = {0x33, 0, 10, 0};
        struct test_image image = {.major = 1, .flags = MCUBOOT_ENCRYPTED_AES128, .open_entries = wrapped, .open_size = sizeof wrapped};
        struct gw_package package;
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_image_make(&image, &size);
        (void) state;
        bytes[100] ^= 1; /* the body is not the one that the hash is of */
        assert_int_equal(read_bytes(bytes, size, NULL, &package, NULL), 0);
        assert_true(package.parts[0].encrypted);
        assert_string_equal(fact(&package, "encrypted"), "aes-128");
        assert_non_null(strstr(fact(&package, "hash"), "not checked"));
        image.open_size = 0;
        free(bytes);
        bytes = test_image_make(&image, &size);
        expect_name(bytes, size, NULL, "image-encrypted-key-missing");
}

/* A pure signature of an encrypted image is over bytes that nobody but the device sees. */
static void encrypted_with_a_pure_signature(void **state) {
        static const uint8_t wrapped[4 + 10] = {0x34, 0, 10, 0};
        EVP_PKEY *key = test_key_make("ED25519");
        struct test_image image = {.major = 1,
                                   .flags = MCUBOOT_ENCRYPTED_AES256,
                                   .open_entries = wrapped,
                                   .open_size = sizeof wrapped,
                                   .key = key,
                                   .hash_type = 0x12,
                                   .pure = true};
        struct trust trust = {};
        struct gw_package package;
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_image_make(&image, &size);
        (void) state;
        bytes[100] ^= 1;
        trust_add(&trust, key, "own");
        assert_int_equal(read_bytes(bytes, size, &trust.options, &package, NULL), 0);
        assert_non_null(strstr(fact(&package, "signature"), "not checked"));
        trust.options.require_signature = true;
        expect_name(bytes, size, &trust.options, "image-signature-not-checkable");
        trust_clear(&trust);
        EVP_PKEY_free(key);
}

static void what_a_header_says(void **state) {
        static const uint8_t entries[] = {0x40, 0, 12, 0, 1, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0};
        struct test_image image = {.flags = MCUBOOT_ROM_FIXED | MCUBOOT_NON_BOOTABLE,
                                   .load_address = 0x1c200,
                                   .protected_entries = entries,
                                   .protected_size = sizeof entries,
                                   .header_size = 0x200};
        struct gw_package package;
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_image_make(&image, &size);
        (void) state;
        assert_int_equal(read_bytes(bytes, size, NULL, &package, NULL), 0);
        assert_int_equal(package.parts[0].load_address, 0x1c200);
        assert_string_equal(fact(&package, "load-address"), "0x0001c200 (fixed)");
        assert_string_equal(fact(&package, "header"), "512 bytes");
        assert_true(warns(&package, "not bootable"));
        assert_true(warns(&package, "version 0.0.0"));
        assert_int_equal(package.n_dependencies, 1);
        assert_int_equal(package.dependencies[0].of_image, 0);
        assert_int_equal(package.dependencies[0].image, 1);
        assert_string_equal(package.dependencies[0].minimum, "2.1.0");
}

static void too_large_for_a_pure_signature(void **state) {
        EVP_PKEY *key = test_key_make("ED25519");
        struct test_image image = {.major = 1, .key = key, .hash_type = 0x12, .pure = true, .body_size = MCUBOOT_PURE_MAX};
        struct trust trust = {};
        struct gw_package package;
        size_t size;
        _cleanup_free_ uint8_t *bytes = test_image_make(&image, &size);
        (void) state;
        assert_int_equal(read_bytes(bytes, size, NULL, &package, NULL), 0);
        trust_add(&trust, key, "own");
        expect_name(bytes, size, &trust.options, "file-too-large");
        trust_clear(&trust);
        EVP_PKEY_free(key);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_published_vector),
                cmocka_unit_test(real_images),
                cmocka_unit_test(an_unsigned_image),
                cmocka_unit_test(every_algorithm),
                cmocka_unit_test(a_borrowed_key_hash),
                cmocka_unit_test(ecdsa_padded_by_old_tools),
                cmocka_unit_test(the_sample_key_is_warned_about),
                cmocka_unit_test(every_flipped_byte_is_named),
                cmocka_unit_test(cut_at_every_byte),
                cmocka_unit_test(a_file_that_shrinks_while_it_is_read),
                cmocka_unit_test(padding_is_not_uploaded),
                cmocka_unit_test(encrypted_images),
                cmocka_unit_test(encrypted_with_a_pure_signature),
                cmocka_unit_test(what_a_header_says),
                cmocka_unit_test(too_large_for_a_pure_signature),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
