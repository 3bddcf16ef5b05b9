/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any bytes as a JWS; and, after an "S", any header and payload (separated by a line break) under a signature that is good, so that what
 * stands behind the signature is reached. Nothing passes that is not exactly what the profile says, and base64url has one form only.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/str.h"
#include "trust/base64url.h"
#include "trust/jws.h"
#include "trust/test_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct keyring *keyring;
static struct key *private_key;

static void demand(bool good) {
        if (!good)
                abort();
}

static void put(const char *directory, const char *name, const char *text) {
        _cleanup_free_ char *path = NULL;
        _cleanup_fclose_ FILE *file = NULL;

        demand(asprintf(&path, "%s/%s", directory, name) > 0);
        file = fopen(path, "w");
        demand(file && fputs(text, file) >= 0);
}

static void take_away(const char *directory, const char *name) {
        _cleanup_free_ char *path = NULL;

        demand(asprintf(&path, "%s/%s", directory, name) > 0 && unlink(path) == 0);
}

static void make_keyring(void) {
        char directory[] = "/tmp/jws_fuzz.XXXXXX";

        if (keyring)
                return;
        demand(mkdtemp(directory));
        put(directory, "anna.pub", test_ed25519_public);
        put(directory, "ci.pub", test_p256_public);
        demand(keyring_load(directory, &keyring, NULL) == 0 && keyring_count(keyring) == 2);
        demand(key_read_private(test_ed25519_private, strlen(test_ed25519_private), &private_key, NULL) == 0);
        take_away(directory, "anna.pub");
        take_away(directory, "ci.pub");
        demand(rmdir(directory) == 0);
}

static void check_base64url(const char *text, size_t size) {
        _cleanup_free_ char *decoded = NULL, *again = NULL;
        size_t decoded_size;

        if (base64url_decoded_size(size, &decoded_size) < 0)
                return;
        decoded = malloc(decoded_size + 1);
        again = malloc(BASE64URL_SIZE(decoded_size) + 1);
        demand(decoded && again);
        if (base64url_decode(decoded, text, size) < 0)
                return;
        base64url_encode(again, decoded, decoded_size);
        demand(strlen(again) == size && memcmp(again, text, size) == 0);
}

/* What was accepted, looked at apart from the code that accepted it. */
static void check_accepted(const char *text, size_t size, const struct jws *jws) {
        const char *first = memchr(text, '.', size), *second = first ? memchr(first + 1, '.', size - (size_t) (first + 1 - text)) : NULL;
        _cleanup_free_ char *payload = malloc(BASE64URL_SIZE(jws->payload_size) + 1), *header = calloc(1, size + 1);
        _cleanup_json_ struct json *tree = NULL;
        size_t header_size = 0;

        demand(second && payload && header);
        base64url_encode(payload, jws->payload, jws->payload_size);
        demand(strlen(payload) == (size_t) (second - first - 1) && memcmp(payload, first + 1, strlen(payload)) == 0);
        demand(base64url_decoded_size((size_t) (first - text), &header_size) == 0 && base64url_decode(header, text, (size_t) (first - text)) == 0);
        demand(json_parse(header, header_size, 0, &tree, NULL) == 0 && json_length(tree) == 3);
        demand(str_equal(json_member_text(tree, "alg"), key_kind_algorithm(key_kind(jws->key->key))));
        demand(str_equal(json_member_text(tree, "kid"), jws->key->kid) && str_equal(json_member_text(tree, "typ"), JWS_TYPE_CAMPAIGN));
}

static void check_text(const char *text, size_t size) {
        _cleanup_jws_ struct jws jws = { 0 };
        struct gw_error err = { 0 };
        char kid[STR_ID_MAX + 1];

        if (jws_verify(keyring, text, size, JWS_TYPE_CAMPAIGN, &jws, kid, &err) < 0)
                demand(gw_error_is_set(&err) && !jws.payload);
        else
                check_accepted(text, size, &jws);
}

static void check_signed(const char *data, size_t size) {
        const char *line_end = memchr(data, '\n', size);
        size_t header_size = line_end ? (size_t) (line_end - data) : size;
        const char *payload = line_end ? line_end + 1 : data + size;
        size_t payload_size = (size_t) (data + size - payload);
        _cleanup_free_ char *input = malloc(BASE64URL_SIZE(size) + 8), *text = NULL;
        uint8_t signature[KEY_SIGNATURE_SIZE];

        demand(input);
        base64url_encode(input, data, header_size);
        strcat(input, ".");
        base64url_encode(input + strlen(input), payload, payload_size);
        demand(key_sign(private_key, input, strlen(input), signature) == 0 && jws_join(input, signature, &text) == 0);
        check_text(text, strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text = (const char *) data;

        make_keyring();
        check_base64url(text, size);
        check_text(text, size);
        if (size > 0 && size < 4096 && text[0] == 'S')
                check_signed(text + 1, size - 1);
        return 0;
}
