/* SPDX-License-Identifier: Apache-2.0 */

/* What a campaign document says, in words; without a daemon. */

#include "commands.h"

#include "campaign_words.h"
#include "document_file.h"

static void signature_text(const struct document_file *file, char *dst, size_t size) {
        char fingerprint[DIGEST_HEX_SIZE];

        switch (file->signature) {
        case DOCUMENT_UNSIGNED:
                str_copy(dst, size, "by nobody");
                return;
        case DOCUMENT_SIGNED:
        case DOCUMENT_SIGNED_BADLY:
                str_format(dst, size, "by key %s, if it is true: --keys DIR verifies it", file->kid);
                return;
        case DOCUMENT_SIGNED_VERIFIED:
                str_hex_encode(fingerprint, sizeof fingerprint, file->key->fingerprint, sizeof file->key->fingerprint);
                str_format(dst, size, "by key %s, verified (%s, fingerprint %.16s...)", file->kid, key_kind_name(key_kind(file->key->key)),
                           fingerprint);
                return;
        }
}

static int show_words(struct session *session, const struct document_file *file, struct failure *failure) {
        _cleanup_time_zones_ struct time_zones *zones = NULL;
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        char signature[256];
        int r;

        if (access(TIME_ZONE_DIRECTORY, R_OK | X_OK) == 0 && !(zones = time_zones_new(TIME_ZONE_DIRECTORY)))
                return failure_errno(failure, -ENOMEM);
        signature_text(file, signature, sizeof signature);
        r = campaign_words(
                &(struct campaign_words){
                        .campaign = file->campaign, .signature = signature, .now_ms = session->now_wall_ms, .zones = zones },
                &session->style, &out);
        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
}

/* The document with every default written out, and who signed it. */
static int show_json(struct session *session, const struct document_file *file, struct failure *failure) {
        _cleanup_members_ struct members root = members_new(), signature = members_new();
        struct json *document = NULL;
        int r = campaign_document_write(file->campaign, &document);

        if (r < 0)
                return failure_errno(failure, r);
        members_json(&root, "campaign", document);
        members_bool(&signature, "signed", file->signature != DOCUMENT_UNSIGNED);
        members_text(&signature, "kid", file->kid[0] ? file->kid : NULL);
        members_bool(&signature, "verified", file->signature == DOCUMENT_SIGNED_VERIFIED);
        if (signature.error == 0)
                members_json(&root, "signature", TAKE_PTR(signature.json));
        if (root.error < 0 || signature.error < 0)
                return failure_errno(failure, -ENOMEM);
        return session_print_json(session, root.json, failure);
}

int run_campaign_show(struct session *session, struct failure *failure) {
        const char *path = arguments_at(session->arguments, 0);
        _cleanup_document_file_ struct document_file file = { 0 };
        _cleanup_keyring_ struct keyring *keyring = NULL;
        int r = document_keys_load(session, &keyring, failure);

        if (r == 0)
                r = document_file_read(path, &(struct document_file_options){ .keyring = keyring }, &file, failure);
        if (r < 0)
                return r;
        if (json_errors_any(&file.errors))
                return mistakes_failure(path, &file.errors, failure);
        return session->json ? show_json(session, &file, failure) : show_words(session, &file, failure);
}
