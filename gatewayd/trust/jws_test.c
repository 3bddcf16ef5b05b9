/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/jws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/str.h"
#include "trust/base64url.h"
#include "trust/test_keys.h"

#define GOOD_HEADER "{\"alg\":\"EdDSA\",\"kid\":\"anna\",\"typ\":\"" JWS_TYPE_CAMPAIGN "\"}"
#define PAYLOAD "{\"id\":\"x\"}"

/* anna has an Ed25519 key, ci one on P-256. */
struct fixture {
        char directory[64];
        struct keyring *keyring;
        struct key *anna, *ci;
};

static void put(struct fixture *fixture, const char *name, const char *text) {
        char path[160];
        _cleanup_fclose_ FILE *file = NULL;

        assert_int_equal(str_format(path, sizeof path, "%s/%s", fixture->directory, name), 0);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
}

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        strcpy(fixture->directory, "/tmp/jws_test.XXXXXX");
        assert_non_null(mkdtemp(fixture->directory));
        put(fixture, "anna.pub", test_ed25519_public);
        put(fixture, "ci.pub", test_p256_public);
        assert_int_equal(keyring_load(fixture->directory, &fixture->keyring, NULL), 0);
        assert_int_equal(key_read_private(test_ed25519_private, strlen(test_ed25519_private), &fixture->anna, NULL), 0);
        assert_int_equal(key_read_private(test_p256_private, strlen(test_p256_private), &fixture->ci, NULL), 0);
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        struct fixture *fixture = *state;
        char path[160];

        keyring_unref(fixture->keyring);
        key_free(fixture->anna);
        key_free(fixture->ci);
        (void) str_format(path, sizeof path, "%s/anna.pub", fixture->directory);
        unlink(path);
        (void) str_format(path, sizeof path, "%s/ci.pub", fixture->directory);
        unlink(path);
        rmdir(fixture->directory);
        free(fixture);
        return 0;
}

/* Any header, signed by the key whatever the header says. */
static char *forge(const char *header, const char *payload, const struct key *key) {
        char *input = malloc(BASE64URL_SIZE(strlen(header)) + BASE64URL_SIZE(strlen(payload)) + 3), *jws = NULL;
        uint8_t signature[KEY_SIGNATURE_SIZE];

        assert_non_null(input);
        base64url_encode(input, header, strlen(header));
        strcat(input, ".");
        base64url_encode(input + strlen(input), payload, strlen(payload));
        assert_int_equal(key_sign(key, input, strlen(input), signature), 0);
        assert_int_equal(jws_join(input, signature, &jws), 0);
        free(input);
        return jws;
}

static void assert_refused(struct fixture *fixture, const char *text, size_t size, const char *name, const char *what) {
        struct jws jws = { 0 };
        struct gw_error err = { 0 };

        if (jws_verify(fixture->keyring, text, size, JWS_TYPE_CAMPAIGN, &jws, NULL, &err) != -EBADMSG)
                fail_msg("accepted: %s", what);
        if (strcmp(err.name, name) != 0 || !err.text[0])
                fail_msg("%s: %s: %s", what, err.name, err.text);
        assert_null(jws.payload);
}

static void test_both_kinds_of_keys(void **state) {
        struct fixture *fixture = *state;
        const struct {
                const char *kid;
                struct key *key;
        } rows[] = { { "anna", fixture->anna }, { "ci", fixture->ci } };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *input = NULL, *text = NULL;
                _cleanup_jws_ struct jws jws = { 0 };
                uint8_t signature[KEY_SIGNATURE_SIZE], digest[DIGEST_SIZE];
                char kid[STR_ID_MAX + 1];

                assert_int_equal(jws_signing_input(key_kind(rows[i].key), rows[i].kid, JWS_TYPE_CAMPAIGN, PAYLOAD, strlen(PAYLOAD), &input), 0);
                assert_int_equal(key_sign(rows[i].key, input, strlen(input), signature), 0);
                assert_int_equal(jws_join(input, signature, &text), 0);
                assert_int_equal(jws_verify(fixture->keyring, text, strlen(text), JWS_TYPE_CAMPAIGN, &jws, kid, NULL), 0);
                assert_string_equal(jws.key->kid, rows[i].kid);
                assert_string_equal(kid, rows[i].kid);
                assert_string_equal(jws.payload, PAYLOAD);
                assert_int_equal(jws.payload_size, strlen(PAYLOAD));
                digest_sha256(input, strlen(input), digest);
                assert_memory_equal(digest, jws.digest, DIGEST_SIZE);
        }
}

/* Members may stand in any order, with white space: the header is JSON. */
static void test_a_header_written_otherwise(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *text =
                forge("{ \"typ\": \"" JWS_TYPE_CAMPAIGN "\", \"kid\": \"anna\",\n\"alg\": \"EdDSA\" }", PAYLOAD, fixture->anna);
        _cleanup_jws_ struct jws jws = { 0 };

        assert_int_equal(jws_verify(fixture->keyring, text, strlen(text), JWS_TYPE_CAMPAIGN, &jws, NULL, NULL), 0);
}

static void test_headers_that_are_refused(void **state) {
        struct fixture *fixture = *state;
#define TYP "\"typ\":\"" JWS_TYPE_CAMPAIGN "\""
        static const struct {
                const char *what, *name, *header;
        } rows[] = {
                { "alg none", "jws-algorithm", "{\"alg\":\"none\",\"kid\":\"anna\"," TYP "}" },
                { "alg None", "jws-algorithm", "{\"alg\":\"None\",\"kid\":\"anna\"," TYP "}" },
                { "alg empty", "jws-algorithm", "{\"alg\":\"\",\"kid\":\"anna\"," TYP "}" },
                { "alg HS256", "jws-algorithm", "{\"alg\":\"HS256\",\"kid\":\"anna\"," TYP "}" },
                { "alg RS256", "jws-algorithm", "{\"alg\":\"RS256\",\"kid\":\"anna\"," TYP "}" },
                { "alg in lower case", "jws-algorithm", "{\"alg\":\"eddsa\",\"kid\":\"anna\"," TYP "}" },
                { "the algorithm of another key", "jws-algorithm", "{\"alg\":\"ES256\",\"kid\":\"anna\"," TYP "}" },
                { "another key of that algorithm's", "jws-algorithm", "{\"alg\":\"EdDSA\",\"kid\":\"ci\"," TYP "}" },
                { "alg no text", "jws-header", "{\"alg\":null,\"kid\":\"anna\"," TYP "}" },
                { "no alg", "jws-header", "{\"kid\":\"anna\"," TYP "}" },
                { "no kid", "jws-header", "{\"alg\":\"EdDSA\"," TYP "}" },
                { "no typ", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":\"anna\"}" },
                { "kid a number", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":1," TYP "}" },
                { "kid a list", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":[\"anna\"]," TYP "}" },
                { "crit", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":\"anna\"," TYP ",\"crit\":[\"b64\"]}" },
                { "b64", "jws-header", "{\"alg\":\"EdDSA\",\"b64\":false,\"kid\":\"anna\"," TYP "}" },
                { "jku", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":\"anna\"," TYP ",\"jku\":\"https://evil.example/keys\"}" },
                { "jwk", "jws-header",
                  "{\"alg\":\"EdDSA\",\"kid\":\"anna\"," TYP
                  ",\"jwk\":{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}}" },
                { "x5c", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":\"anna\"," TYP ",\"x5c\":[\"MIIB\"]}" },
                { "x5u", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":\"anna\"," TYP ",\"x5u\":\"https://evil.example/\"}" },
                { "cty", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":\"anna\"," TYP ",\"cty\":\"json\"}" },
                { "a member of an empty name", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":\"anna\"," TYP ",\"\":\"\"}" },
                { "alg twice", "jws-header", "{\"alg\":\"none\",\"alg\":\"EdDSA\",\"kid\":\"anna\"," TYP "}" },
                { "kid twice, once escaped", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":\"ci\",\"k\\u0069d\":\"anna\"," TYP "}" },
                { "typ twice", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":\"anna\",\"typ\":\"JWT\"," TYP "}" },
                { "a NUL behind the kid", "jws-header", "{\"alg\":\"EdDSA\",\"kid\":\"anna\\u0000x\"," TYP "}" },
                { "typ JWT", "jws-type", "{\"alg\":\"EdDSA\",\"kid\":\"anna\",\"typ\":\"JWT\"}" },
                { "the typ of commands", "jws-type", "{\"alg\":\"EdDSA\",\"kid\":\"anna\",\"typ\":\"" JWS_TYPE_COMMAND "\"}" },
                { "typ as a media type", "jws-type", "{\"alg\":\"EdDSA\",\"kid\":\"anna\",\"typ\":\"application/" JWS_TYPE_CAMPAIGN "\"}" },
                { "typ in upper case", "jws-type", "{\"alg\":\"EdDSA\",\"kid\":\"anna\",\"typ\":\"GATEWAYD-CAMPAIGN+JWS\"}" },
                { "an unknown key", "key-unknown", "{\"alg\":\"EdDSA\",\"kid\":\"bert\"," TYP "}" },
                { "a path", "key-unknown", "{\"alg\":\"EdDSA\",\"kid\":\"../keys/anna\"," TYP "}" },
                { "a file name", "key-unknown", "{\"alg\":\"EdDSA\",\"kid\":\"anna.pub\"," TYP "}" },
                { "an empty kid", "key-unknown", "{\"alg\":\"EdDSA\",\"kid\":\"\"," TYP "}" },
                { "SQL", "key-unknown", "{\"alg\":\"EdDSA\",\"kid\":\"a' OR '1'='1\"," TYP "}" },
                { "a list", "jws-header", "[\"EdDSA\"]" },
                { "a text", "jws-header", "\"EdDSA\"" },
                { "null", "jws-header", "null" },
                { "nothing", "jws-header", "" },
                { "no JSON", "jws-header", "{alg:EdDSA}" },
                { "something behind it", "jws-header", GOOD_HEADER "x" },
                { "not UTF-8", "jws-header", "{\"alg\":\"EdDSA\xff\",\"kid\":\"anna\"," TYP "}" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = forge(rows[i].header, PAYLOAD, fixture->anna);

                assert_refused(fixture, text, strlen(text), rows[i].name, rows[i].what);
        }
}

/* The classic: the public key, which everybody knows, as the secret of an HMAC. */
static void test_a_public_key_as_secret(void **state) {
        struct fixture *fixture = *state;
        static const char *const secrets[] = { test_ed25519_public, test_p256_public };

        for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
                _cleanup_free_ char *input = forge("{\"alg\":\"HS256\",\"kid\":\"anna\",\"typ\":\"" JWS_TYPE_CAMPAIGN "\"}", PAYLOAD, fixture->anna);
                uint8_t mac[EVP_MAX_MD_SIZE];
                char text[1024], encoded[64];
                unsigned size = 0;

                *strrchr(input, '.') = '\0';
                assert_non_null(HMAC(EVP_sha256(), secrets[i], (int) strlen(secrets[i]), (const uint8_t *) input, strlen(input), mac, &size));
                base64url_encode(encoded, mac, size);
                assert_int_equal(str_format(text, sizeof text, "%s.%s", input, encoded), 0);
                assert_refused(fixture, text, strlen(text), "jws-algorithm", "HMAC with a public key");
        }
}

static void test_texts_that_are_no_jws(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *good = forge(GOOD_HEADER, PAYLOAD, fixture->anna);
        static const struct {
                const char *what, *format;
        } rows[] = {
                { "padding", "%s=" },
                { "a line break behind it", "%s\n" },
                { "a blank before it", " %s" },
                { "a fourth part", "%s." },
                { "a fourth part with content", "%s.AA" },
                { "JSON around it", "{\"payload\":\"%s\"}" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char text[2048];
                int size;

                _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"")
                size = snprintf(text, sizeof text, rows[i].format, good);
                _Pragma("GCC diagnostic pop")
                assert_refused(fixture, text, (size_t) size, "jws-malformed", rows[i].what);
        }
        assert_refused(fixture, "", 0, "jws-malformed", "nothing");
        assert_refused(fixture, "..", 2, "jws-header", "dots only");
        assert_refused(fixture, good, (size_t) (strrchr(good, '.') - good), "jws-malformed", "two parts");
        assert_refused(fixture, good, strlen(good) - 1, "jws-malformed", "cut by one character");
        assert_refused(fixture, good, strlen(good) - 2, "jws-signature", "a signature of 63 bytes");
        assert_refused(fixture, good, (size_t) (strrchr(good, '.') - good) + 1, "jws-signature", "no signature");
}

/* Not one character can be another: neither in what is signed, nor in the signature and its last, half-used one. */
static void test_every_character_counts(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *good = forge(GOOD_HEADER, PAYLOAD, fixture->anna);
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

        for (size_t at = 0; good[at]; at++) {
                char before = good[at];

                for (const char *c = alphabet; *c; c++) {
                        struct jws jws = { 0 };

                        if (*c == before)
                                continue;
                        good[at] = *c;
                        if (jws_verify(fixture->keyring, good, strlen(good), JWS_TYPE_CAMPAIGN, &jws, NULL, NULL) != -EBADMSG)
                                fail_msg("%s is accepted, too", good);
                }
                good[at] = before;
        }
}

static void test_sizes(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *huge = malloc(JWS_TEXT_MAX + 1), *input = NULL, *payload = calloc(1, 740000), *text = NULL;
        char header[JWS_HEADER_MAX + 64];
        uint8_t signature[KEY_SIGNATURE_SIZE];
        _cleanup_jws_ struct jws jws = { 0 };

        memset(huge, 'A', JWS_TEXT_MAX + 1);
        assert_refused(fixture, huge, JWS_TEXT_MAX + 1, "jws-malformed", "too large");
        assert_int_equal(jws_signing_input(KEY_ED25519, "anna", JWS_TYPE_CAMPAIGN, huge, JWS_TEXT_MAX, &input), -E2BIG);
        assert_int_equal(jws_signing_input(KEY_ED25519, "anna", JWS_TYPE_CAMPAIGN, payload, 740000, &input), 0);
        assert_int_equal(key_sign(fixture->anna, input, strlen(input), signature), 0);
        assert_int_equal(jws_join(input, signature, &text), 0);
        assert_int_equal(jws_verify(fixture->keyring, text, strlen(text), JWS_TYPE_CAMPAIGN, &jws, NULL, NULL), 0);
        assert_int_equal(jws.payload_size, 740000);
        free(TAKE_PTR(text));
        (void) str_format(header, sizeof header, "{\"alg\":\"EdDSA\",\"kid\":\"%0*d\",\"typ\":\"x\"}", JWS_HEADER_MAX, 0);
        text = forge(header, PAYLOAD, fixture->anna);
        assert_refused(fixture, text, strlen(text), "jws-malformed", "a large header");
        assert_int_equal(jws_signing_input(KEY_ED25519, "no/path", JWS_TYPE_CAMPAIGN, "", 0, &text), -EINVAL);
}

static void test_what_the_header_claims_is_told_on_failure(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *text = forge(GOOD_HEADER, PAYLOAD, fixture->ci);
        struct jws jws = { 0 };
        struct gw_error err = { 0 };
        char kid[STR_ID_MAX + 1] = "before";

        assert_int_equal(jws_verify(fixture->keyring, text, strlen(text), JWS_TYPE_CAMPAIGN, &jws, kid, &err), -EBADMSG);
        assert_string_equal(err.name, "jws-signature");
        assert_string_equal(kid, "anna");
        assert_int_equal(jws_verify(fixture->keyring, "x", 1, JWS_TYPE_CAMPAIGN, &jws, kid, NULL), -EBADMSG);
        assert_string_equal(kid, "");
        assert_int_equal(jws_verify(NULL, text, strlen(text), JWS_TYPE_CAMPAIGN, &jws, kid, &err), -EBADMSG);
        assert_string_equal(err.name, "key-unknown");
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_both_kinds_of_keys),
                TEST(test_a_header_written_otherwise),
                TEST(test_headers_that_are_refused),
                TEST(test_a_public_key_as_secret),
                TEST(test_texts_that_are_no_jws),
                TEST(test_every_character_counts),
                TEST(test_sizes),
                TEST(test_what_the_header_claims_is_told_on_failure),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
