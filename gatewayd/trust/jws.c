/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/jws.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "trust/base64url.h"

/* A piece of the text, between the dots. */
struct part {
        const char *text;
        size_t size;
};

struct parts {
        struct part header, payload, signature;
        size_t signed_size; /* header "." payload */
};

static int refuse(struct gw_error *err, const char *name, const char *text) {
        gw_error_set(err, name, "%s", text);
        return -EBADMSG;
}

static int split(const char *text, size_t size, struct parts *parts, struct gw_error *err) {
        const char *first, *second;

        if (size > JWS_TEXT_MAX)
                return refuse(err, "jws-malformed", "it is larger than a signed document may be");
        first = memchr(text, '.', size);
        second = first ? memchr(first + 1, '.', (size_t) (text + size - first - 1)) : NULL;
        if (!second || memchr(second + 1, '.', (size_t) (text + size - second - 1)))
                return refuse(err, "jws-malformed", "it does not consist of three parts with dots between them");
        parts->header = (struct part){ text, (size_t) (first - text) };
        parts->payload = (struct part){ first + 1, (size_t) (second - first - 1) };
        parts->signature = (struct part){ second + 1, (size_t) (text + size - second - 1) };
        parts->signed_size = (size_t) (second - text);
        return 0;
}

/* Terminated; the caller frees. */
static int decode(struct part part, const char *what, char **ret_data, size_t *ret_size, struct gw_error *err) {
        _cleanup_free_ char *data = NULL;
        size_t size = 0;

        if (base64url_decoded_size(part.size, &size) >= 0) {
                data = malloc(size + 1);
                if (!data)
                        return -ENOMEM;
        }
        if (!data || base64url_decode(data, part.text, part.size) < 0) {
                gw_error_set(err, "jws-malformed", "its %s is not strict base64url (no padding, no other characters, no bits left over)", what);
                return -EBADMSG;
        }
        data[size] = '\0';
        *ret_data = TAKE_PTR(data);
        *ret_size = size;
        return 0;
}

/* --- the header --- */

struct header {
        struct json *tree;
        const char *alg, *kid, *typ; /* lent by it */
};

static int read_members(struct header *header, struct gw_error *err) {
        JSON_FOREACH_MEMBER(it, header->tree) {
                const char **text = strcmp(it.key, "alg") == 0   ? &header->alg
                                    : strcmp(it.key, "kid") == 0 ? &header->kid
                                    : strcmp(it.key, "typ") == 0 ? &header->typ
                                                                 : NULL;

                if (!text) {
                        char shown[64];

                        (void) str_escape(shown, sizeof shown, it.key, strlen(it.key));
                        gw_error_set(err, "jws-header", "its header holds %s; only alg, kid and typ are allowed", shown);
                        return -EBADMSG;
                }
                *text = json_string_or_null(it.value);
                if (!*text) {
                        gw_error_set(err, "jws-header", "%s in its header is not a text", it.key);
                        return -EBADMSG;
                }
        }
        if (!header->alg || !header->kid || !header->typ)
                return refuse(err, "jws-header", "its header lacks alg, kid or typ");
        return 0;
}

static int read_header(struct part part, struct header *header, struct gw_error *err) {
        struct json_check_error why = { .text = "too large" };
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        if (part.size > BASE64URL_SIZE(JWS_HEADER_MAX))
                return refuse(err, "jws-malformed", "its header is too large");
        r = decode(part, "header", &text, &size, err);
        if (r < 0)
                return r;
        r = json_parse(text, size, JWS_HEADER_MAX, &header->tree, &why);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                gw_error_set(err, "jws-header", "its header is no JSON: %s", why.text);
                return -EBADMSG;
        }
        if (json_kind(header->tree) != JSON_KIND_OBJECT)
                return refuse(err, "jws-header", "its header is no JSON object");
        return read_members(header, err);
}

static bool is_algorithm(const char *alg) {
        for (int i = 0; i < KEY_KIND_COUNT_; i++)
                if (strcmp(alg, key_kind_algorithm((enum key_kind) i)) == 0)
                        return true;
        return false;
}

static int judge_header(const struct header *header, const struct keyring *keyring, const char *type, const struct keyring_key **ret_key,
                        struct gw_error *err) {
        const struct keyring_key *key;
        char shown[96];

        if (strcmp(header->typ, type) != 0) {
                (void) str_escape(shown, sizeof shown, header->typ, strlen(header->typ));
                gw_error_set(err, "jws-type", "its typ is %s, wanted is %s", shown, type);
                return -EBADMSG;
        }
        (void) str_escape(shown, sizeof shown, header->alg, strlen(header->alg));
        if (!is_algorithm(header->alg)) {
                gw_error_set(err, "jws-algorithm", "its alg is %s; only EdDSA and ES256 are used", shown);
                return -EBADMSG;
        }
        key = str_is_id(header->kid) ? keyring_find(keyring, header->kid) : NULL;
        if (!key) {
                (void) str_escape(shown, sizeof shown, header->kid, strlen(header->kid));
                gw_error_set(err, "key-unknown", "it is signed with the key %s, which this gateway does not know", shown);
                return -EBADMSG;
        }
        if (strcmp(header->alg, key_kind_algorithm(key_kind(key->key))) != 0) {
                gw_error_set(err, "jws-algorithm", "its alg is %s, but the key %s signs with %s", shown, key->kid,
                             key_kind_algorithm(key_kind(key->key)));
                return -EBADMSG;
        }
        *ret_key = key;
        return 0;
}

/* --- the whole --- */

static int check_signature(const struct parts *parts, const struct keyring_key *key, struct gw_error *err) {
        _cleanup_free_ char *signature = NULL;
        size_t size;
        int r = decode(parts->signature, "signature", &signature, &size, err);

        if (r < 0)
                return r;
        if (size != KEY_SIGNATURE_SIZE)
                return refuse(err, "jws-signature", "its signature does not have 64 bytes");
        if (!key_verify(key->key, parts->header.text, parts->signed_size, (const uint8_t *) signature)) {
                gw_error_set(err, "jws-signature", "its signature is not one of the key %s over these bytes", key->kid);
                return -EBADMSG;
        }
        return 0;
}

int jws_verify(const struct keyring *keyring, const char *text, size_t size, const char *type, struct jws *ret_jws, char *ret_kid,
               struct gw_error *err) {
        struct header header = { 0 };
        _cleanup_jws_ struct jws jws = { 0 };
        struct parts parts;
        int r;

        if (ret_kid)
                ret_kid[0] = '\0';
        r = split(text, size, &parts, err);
        if (r >= 0)
                r = read_header(parts.header, &header, err);
        if (r >= 0 && ret_kid && str_is_id(header.kid))
                (void) str_copy(ret_kid, STR_ID_MAX + 1, header.kid);
        if (r >= 0)
                r = judge_header(&header, keyring, type, &jws.key, err);
        json_free(header.tree);
        if (r >= 0)
                r = check_signature(&parts, jws.key, err);
        if (r >= 0)
                r = decode(parts.payload, "payload", &jws.payload, &jws.payload_size, err);
        if (r < 0)
                return r;
        digest_sha256(text, parts.signed_size, jws.digest);
        *ret_jws = jws;
        jws.payload = NULL;
        return 0;
}

void jws_deinit(struct jws *jws) {
        free(jws->payload);
        *jws = (struct jws){ 0 };
}

/* --- the signing side --- */

int jws_signing_input(enum key_kind kind, const char *kid, const char *type, const void *payload, size_t size, char **ret_input) {
        _cleanup_free_ char *input = NULL;
        char header[JWS_HEADER_MAX];
        size_t header_size;

        if (!str_is_id(kid) || str_format(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"%s\"}", key_kind_algorithm(kind), kid, type) < 0)
                return -EINVAL;
        if (size > JWS_TEXT_MAX)
                return -E2BIG;
        header_size = BASE64URL_SIZE(strlen(header));
        if (header_size + BASE64URL_SIZE(size) + BASE64URL_SIZE(KEY_SIGNATURE_SIZE) + 2 > JWS_TEXT_MAX)
                return -E2BIG;
        input = malloc(header_size + 1 + BASE64URL_SIZE(size) + 1);
        if (!input)
                return -ENOMEM;
        base64url_encode(input, header, strlen(header));
        input[header_size] = '.';
        base64url_encode(input + header_size + 1, payload, size);
        *ret_input = TAKE_PTR(input);
        return 0;
}

int jws_join(const char *input, const uint8_t signature[KEY_SIGNATURE_SIZE], char **ret_jws) {
        char text[BASE64URL_SIZE(KEY_SIGNATURE_SIZE) + 1];

        base64url_encode(text, signature, KEY_SIGNATURE_SIZE);
        return asprintf(ret_jws, "%s.%s", input, text) < 0 ? -ENOMEM : 0;
}
