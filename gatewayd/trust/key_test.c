/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "trust/base64url.h"
#include "trust/test_keys.h"

#define PUBLIC(body) "-----BEGIN PUBLIC KEY-----\n" body "-----END PUBLIC KEY-----\n"

static struct key *read_public(const char *pem) {
        struct key *key = NULL;
        struct gw_error err = { 0 };

        if (key_read_public(pem, strlen(pem), &key, &err) < 0)
                fail_msg("%s: %s", err.name, err.text);
        return key;
}

static struct key *read_private(const char *pem) {
        struct key *key = NULL;
        struct gw_error err = { 0 };

        if (key_read_private(pem, strlen(pem), &key, &err) < 0)
                fail_msg("%s: %s", err.name, err.text);
        return key;
}

static void test_examples_of_the_specifications(void **state) {
        static const struct {
                const char *what, *pem, *input, *signature;
        } rows[] = {
                { "RFC 8037 A.4", PUBLIC("MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"),
                  "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
                  "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg" },
                { "RFC 7515 A.3",
                  PUBLIC("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                         "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"),
                  "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
                  "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q" },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_key_ struct key *key = read_public(rows[i].pem);
                uint8_t signature[KEY_SIGNATURE_SIZE];

                assert_int_equal(base64url_decode(signature, rows[i].signature, strlen(rows[i].signature)), 0);
                if (!key_verify(key, rows[i].input, strlen(rows[i].input), signature))
                        fail_msg("%s", rows[i].what);
                assert_false(key_verify(key, rows[i].input, strlen(rows[i].input) - 1, signature));
                signature[KEY_SIGNATURE_SIZE - 1] ^= 1;
                assert_false(key_verify(key, rows[i].input, strlen(rows[i].input), signature));
        }
}

static void test_signing_and_verifying(void **state) {
        static const char *const pems[][2] = { { test_ed25519_private, test_ed25519_public }, { test_p256_private, test_p256_public } };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(pems); i++) {
                _cleanup_key_ struct key *private_key = read_private(pems[i][0]), *public_key = read_public(pems[i][1]);
                _cleanup_free_ char *pem = NULL;
                uint8_t signature[KEY_SIGNATURE_SIZE], a[DIGEST_SIZE], b[DIGEST_SIZE];

                assert_int_equal(key_kind(private_key), key_kind(public_key));
                assert_int_equal(key_write_public(private_key, &pem), 0);
                assert_string_equal(pem, pems[i][1]);
                key_fingerprint(private_key, a);
                key_fingerprint(public_key, b);
                assert_memory_equal(a, b, DIGEST_SIZE);
                /* Signatures of P-256 differ each time, and r or s are short now and then. */
                for (int n = 0; n < 300; n++) {
                        assert_int_equal(key_sign(private_key, &n, sizeof n, signature), 0);
                        assert_true(key_verify(public_key, &n, sizeof n, signature));
                }
        }
}

static void test_signatures_that_are_none(void **state) {
        _cleanup_key_ struct key *ed25519 = read_public(test_ed25519_public), *p256 = read_public(test_p256_public);
        uint8_t signature[KEY_SIGNATURE_SIZE] = { 0 };

        (void) state;
        /* r = s = 0: passes where nobody checks the range. */
        assert_false(key_verify(p256, "x", 1, signature));
        assert_false(key_verify(ed25519, "x", 1, signature));
        memset(signature, 0xff, sizeof signature);
        assert_false(key_verify(p256, "x", 1, signature));
        assert_false(key_verify(ed25519, "x", 1, signature));
}

static void test_generated_keys_are_written_and_read(void **state) {
        (void) state;
        for (int kind = 0; kind < KEY_KIND_COUNT_; kind++) {
                _cleanup_key_ struct key *key = NULL, *again = NULL;
                _cleanup_free_ char *pem = NULL;
                uint8_t signature[KEY_SIGNATURE_SIZE];
                enum key_kind parsed;

                assert_int_equal(key_generate((enum key_kind) kind, &key), 0);
                assert_int_equal(key_write_private(key, &pem), 0);
                assert_true(key_text_is_private(pem, strlen(pem)));
                again = read_private(pem);
                assert_int_equal(key_kind(again), kind);
                assert_int_equal(key_sign(again, "x", 1, signature), 0);
                assert_true(key_verify(key, "x", 1, signature));
                assert_int_equal(key_kind_parse(key_kind_name((enum key_kind) kind), &parsed), 0);
                assert_int_equal(parsed, kind);
        }
        assert_int_equal(key_kind_parse("rsa", &(enum key_kind){ 0 }), -EINVAL);
}

static void test_keys_that_do_not_load(void **state) {
        static const struct {
                const char *what, *name, *pem;
        } rows[] = {
                { "RSA", "key-type",
                  PUBLIC("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAucOjhcsNX7d6dopCm+y1\n"
                         "D2txzUr7MhNMMGX22WFOuCnxMGWn93kV430X0rjxAFLxkDsUsAC+Kyl9FCSBP3xF\n"
                         "IS3IH+Qk9MB2rH6wpokFQwguv3X/bHIUU0HZu2cd8Y6FzYjsxADb2l51IEOuFtmW\n"
                         "1yEoRpbUonDEOfpLX3hyWt9dIU6MWt6QVubKen1CfnQsEdIRSzOdAEjjvg8WrTCG\n"
                         "A22cDn3lgeuZaRmt+fymiMBtz8wkf1eLmR80ZVee/x2qjoT4gHfPQ95wcsA5S4jW\n"
                         "BL5IZie81sfpoLvXSX7r9KLcUwiVmXg4fjVtPOmIhm6lYWL6akzBTdwlhjk6HFXa\n"
                         "gwIDAQAB\n") },
                { "P-384", "key-type",
                  PUBLIC("MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEHdBlMt6N0kfP9X/Xm982Vkn56BxODspi\n"
                         "mqzTjiamji/nTtHwXdwUtKXNeZsgLWIlOQ27i8iieiW5sTaR+cAooTB5zr/9sLkS\n"
                         "lp/l3y1eCiAol+JbeY5G+Kb8uY9Xgjxt\n") },
                { "secp256k1", "key-type",
                  PUBLIC("MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAENkFoju+pr3kIsdejU45M1nveCUip5c6L\n"
                         "muFi4gp9PijIYDtfkAonpKBNi1saAmvn/lUE4d/loj4aJvYb9oJ1BQ==\n") },
                { "Ed448", "key-type",
                  PUBLIC("MEMwBQYDK2VxAzoA9zF2fGM8E9Up9cRkFD3VyL8FAMj5HqQRmcZfJYoDuTEpqpHM\n"
                         "JDuWXB0UQOt01hxm0bCsZaDpAhwA\n") },
                { "X25519", "key-type", PUBLIC("MCowBQYDK2VuAyEAqDr8HWQe8hkXHUoiKOnRpyw8e5Y21oV2MmS9bxLDjGg=\n") },
                { "a point beside the curve", "key-invalid",
                  PUBLIC("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEorAyQdGqUW6LiYmDCuJTZivAXSI0\n"
                         "g8oUrI/43eryUVv3nlusfW+g3YJurSfyda2gRPdZVd9+dkntEizCHePKzg==\n") },
                { "a private key", "key-private", test_ed25519_private },
                { "a private key behind a public one", "key-private",
                  "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEArK+VFCiy0Kr36xOSFzysjimAmrQz3olrvm3UWhmtPoU=\n-----END PUBLIC KEY-----\n"
                  "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n" },
                { "two keys", "key-invalid",
                  PUBLIC("MCowBQYDK2VwAyEArK+VFCiy0Kr36xOSFzysjimAmrQz3olrvm3UWhmtPoU=\n")
                          PUBLIC("MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n") },
                { "a certificate", "key-invalid", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" },
                { "cut", "key-invalid", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEArK+VFCiy0Kr36xOS\n" },
                { "a byte short", "key-invalid", PUBLIC("MCowBQYDK2VwAyEArK+VFCiy0Kr36xOSFzysjimAmrQz3olrvm3UWhmtPg==\n") },
                { "no PEM", "key-invalid", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 me\n" },
                { "empty", "key-invalid", "" },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct key *key = NULL;
                struct gw_error err = { 0 };

                if (key_read_public(rows[i].pem, strlen(rows[i].pem), &key, &err) != -EINVAL)
                        fail_msg("%s loads", rows[i].what);
                if (strcmp(err.name, rows[i].name) != 0 || !err.text[0])
                        fail_msg("%s: %s: %s", rows[i].what, err.name, err.text);
        }
}

static void test_private_keys_that_do_not_load(void **state) {
        static const struct {
                const char *what, *pem;
        } rows[] = {
                { "a public key", test_ed25519_public },
                { "an encrypted one",
                  "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                  "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjGEikcZbybkgICCAAw\n"
                  "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEDmTZ09DV3vuYSMbJTmYtK8EQFSs\n"
                  "XnCTCb/sCIuTYlvODLUExPHHG0LFIArlmDGSVt/rgDGq6Y3r+YW+BbPzWAmfLzmE\n"
                  "89FgaIrugthc0t8Of3I=\n"
                  "-----END ENCRYPTED PRIVATE KEY-----\n" },
                { "garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct key *key = NULL;
                struct gw_error err = { 0 };

                if (key_read_private(rows[i].pem, strlen(rows[i].pem), &key, &err) != -EINVAL)
                        fail_msg("%s loads", rows[i].what);
                assert_string_equal(err.name, "key-invalid");
        }
}

/* What signing programs hand out: OpenSSL writes DER, a PKCS#11 token r and s. */
static void test_signatures_of_other_programs(void **state) {
        /* r with a leading zero byte in DER, s short. */
        static const uint8_t der[] = { 0x30, 0x26, 0x02, 0x21, 0x00, 0x80, 1, 2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
                                       15,   16,   17,   18,   19,   20,   21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 0x02, 0x01, 0x07 };
        uint8_t raw[KEY_SIGNATURE_SIZE] = { 0 }, out[KEY_SIGNATURE_SIZE];

        (void) state;
        assert_int_equal(key_signature_from(KEY_P256, der, sizeof der, out), 0);
        assert_int_equal(out[0], 0x80);
        assert_int_equal(out[31], 31);
        assert_int_equal(out[32], 0);
        assert_int_equal(out[63], 7);
        assert_int_equal(key_signature_from(KEY_P256, raw, sizeof raw, out), 0);
        assert_memory_equal(raw, out, sizeof raw);
        assert_int_equal(key_signature_from(KEY_P256, der, sizeof der - 1, out), -EINVAL);
        assert_int_equal(key_signature_from(KEY_P256, (const uint8_t *) "", 0, out), -EINVAL);
        assert_int_equal(key_signature_from(KEY_ED25519, der, sizeof der, out), -EINVAL);
        assert_int_equal(key_signature_from(KEY_ED25519, raw, 63, out), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_examples_of_the_specifications),
                cmocka_unit_test(test_signing_and_verifying),
                cmocka_unit_test(test_signatures_that_are_none),
                cmocka_unit_test(test_generated_keys_are_written_and_read),
                cmocka_unit_test(test_keys_that_do_not_load),
                cmocka_unit_test(test_private_keys_that_do_not_load),
                cmocka_unit_test(test_signatures_of_other_programs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
