/* SPDX-License-Identifier: Apache-2.0 */
#include "document_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "commands.h"
#include "trust/base64url.h"

void document_file_deinit(struct document_file *file) {
        campaign_document_free(file->campaign);
        file->campaign = NULL;
}

/* Three parts with dots between them, and nothing that JSON could be. */
bool document_is_jws(const char *text, size_t size) {
        size_t n_dots = 0;

        for (size_t i = 0; i < size; i++) {
                if (text[i] == '.')
                        n_dots++;
                else if (!isalnum((unsigned char) text[i]) && text[i] != '-' && text[i] != '_')
                        return false;
        }
        return n_dots == 2;
}

static int parse_document(struct document_file *file, const char *text, size_t size, enum campaign_origin origin) {
        const struct campaign_parse_options options = { .origin = origin };
        int r = campaign_document_parse(text, size, &options, &file->campaign, &file->errors);

        return r == -EBADMSG ? 0 : r;
}

/* --- signed ones --- */

/* What the header says, and whether the signature holds. Without keys every key is unknown: then all before that was right. */
static int check_signature(struct document_file *file, const struct keyring *keyring, const char *text, size_t size) {
        _cleanup_jws_ struct jws jws = { 0 };
        struct gw_error err = { 0 };
        int r = jws_verify(keyring, text, size, JWS_TYPE_CAMPAIGN, &jws, file->kid, &err);

        file->signature = DOCUMENT_SIGNED;
        if (r == -ENOMEM)
                return r;
        if (r == 0) {
                file->signature = DOCUMENT_SIGNED_VERIFIED;
                file->key = jws.key;
        } else if (keyring || !str_equal(err.name, "key-unknown")) {
                file->signature = DOCUMENT_SIGNED_BADLY;
                json_errors_add(&file->errors, "signature", "%s (%s)", err.text, err.name);
        }
        return 0;
}

int document_jws_payload(const char *text, char **ret_payload, size_t *ret_size) {
        const char *part = strchr(text, '.') + 1;
        size_t part_size = strcspn(part, "."), size;
        _cleanup_free_ char *payload = NULL;

        if (base64url_decoded_size(part_size, &size) < 0)
                size = 0;
        payload = malloc(size + 1);
        if (!payload)
                return -ENOMEM;
        if (size == 0 || base64url_decode(payload, part, part_size) < 0)
                return -EBADMSG;
        payload[size] = '\0';
        *ret_payload = TAKE_PTR(payload);
        *ret_size = size;
        return 0;
}

static int read_signed(struct document_file *file, const struct keyring *keyring, const char *text, size_t size) {
        _cleanup_free_ char *payload = NULL;
        size_t payload_size = 0;
        int r = check_signature(file, keyring, text, size);

        /* Whoever signed it: a person wants to see it, and its mistakes, in any case. */
        if (r == 0)
                r = document_jws_payload(text, &payload, &payload_size);
        if (r == -EBADMSG)
                json_errors_add(&file->errors, "", "the second part of the JWS is no base64url");
        if (r < 0)
                return r == -EBADMSG ? 0 : r;
        return parse_document(file, payload, payload_size, CAMPAIGN_ORIGIN_SIGNED);
}

int document_text(const char *path, char **ret_text, size_t *ret_size, struct failure *failure) {
        int r = file_read(path, MAX((size_t) JSON_SIZE_MAX, (size_t) JWS_TEXT_MAX) + 2, ret_text, ret_size, failure);

        if (r < 0)
                return r;
        /* An editor or a shell ends what it writes with a line's end. */
        while (*ret_size > 0 && ((*ret_text)[*ret_size - 1] == '\n' || (*ret_text)[*ret_size - 1] == '\r'))
                (*ret_text)[--*ret_size] = '\0';
        return 0;
}

int document_file_read(const char *path, const struct document_file_options *options, struct document_file *ret_file,
                       struct failure *failure) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = document_text(path, &text, &size, failure);

        if (r < 0)
                return r;
        *ret_file = (struct document_file){ .path = path };
        json_errors_init(&ret_file->errors);
        if (document_is_jws(text, size))
                r = read_signed(ret_file, options->keyring, text, size);
        else
                r = parse_document(ret_file, text, size, options->as_signed ? CAMPAIGN_ORIGIN_SIGNED : CAMPAIGN_ORIGIN_LOCAL);
        if (r == 0)
                return 0;
        document_file_deinit(ret_file);
        return failure_errno(failure, r);
}

int document_keys_load(struct session *session, struct keyring **ret_keyring, struct failure *failure) {
        const char *directory = arguments_text(session->arguments, "keys");
        struct gw_error err = { 0 };
        int r = directory ? keyring_load(directory, ret_keyring, &err) : 0;

        if (r == -ENOMEM)
                return failure_errno(failure, r);
        return r < 0 ? failure_from(failure, &err) : 0;
}

/* --- mistakes --- */

int mistakes_json(const struct json_errors *errors, struct json **ret_json) {
        _cleanup_json_ struct json *list = json_new_array();
        int r = list ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < errors->n_items; i++) {
                struct json *mistake = json_append_new_object(list);
                r = mistake ? json_set_string(mistake, "path", errors->items[i].path) : -ENOMEM;
                if (r == 0)
                        r = json_set_string(mistake, "text", errors->items[i].text);
        }
        if (r == 0)
                *ret_json = TAKE_PTR(list);
        return r;
}

int mistakes_failure(const char *path, const struct json_errors *errors, struct failure *failure) {
        size_t n = json_errors_count(errors);
        int r;

        failure_set(failure, EXIT_CODE_REFUSED, "document-invalid", "%s: %zu mistake%s", path, n, n == 1 ? "" : "s");
        r = mistakes_json(errors, &failure->mistakes);
        return r < 0 ? failure_errno(failure, r) : -EBADMSG;
}
