/* SPDX-License-Identifier: Apache-2.0 */
#include "sign.h"

#include <string.h>

#include "commands.h"
#include "document_file.h"
#include "document/command_signed.h"

/* A campaign or a command in JSON becomes a JWS that a gateway accepts; every mistake is told before it is signed. */

#define CAMPAIGN_VALID_S (14 * 24 * 3600)
#define COMMAND_VALID_S 300

struct document_kind {
        const char *schema, *type;
        int64_t valid_s, valid_max_s;
        bool is_command;
        int (*check)(const struct json *payload, struct json_errors *mistakes);
};

static int check_campaign(const struct json *payload, struct json_errors *mistakes) {
        const struct campaign_parse_options options = { .origin = CAMPAIGN_ORIGIN_SIGNED };
        _cleanup_campaign_document_ struct campaign_document *document = NULL;

        return campaign_document_read(payload, "", &options, &document, mistakes);
}

static int check_command(const struct json *payload, struct json_errors *mistakes) {
        _cleanup_command_signed_ struct command_signed command = { 0 };

        return command_signed_read(payload, &command, mistakes);
}

static const struct document_kind kinds[] = {
        { CAMPAIGN_SCHEMA, JWS_TYPE_CAMPAIGN, CAMPAIGN_VALID_S, CAMPAIGN_EXP_MAX_S, false, check_campaign },
        { COMMAND_SIGNED_SCHEMA, JWS_TYPE_COMMAND, COMMAND_VALID_S, COMMAND_SIGNED_MAX_S, true, check_command },
};

static const struct document_kind *find_kind(const struct json *payload, const char *path, struct failure *failure) {
        const char *schema = json_member_text(payload, "schema");

        for (size_t i = 0; schema && i < ARRAY_SIZE(kinds); i++)
                if (strcmp(kinds[i].schema, schema) == 0)
                        return &kinds[i];
        failure_set(failure, EXIT_CODE_REFUSED, "document-invalid", "%s: its schema is neither " CAMPAIGN_SCHEMA " nor " COMMAND_SIGNED_SCHEMA, path);
        return NULL;
}

static int read_document(const char *path, struct json **ret_payload, struct failure *failure) {
        struct json_check_error why = { .text = "too large" };
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = file_read(path, JSON_SIZE_MAX, &text, &size, failure);

        if (r < 0)
                return r;
        r = json_parse(text, size, 0, ret_payload, &why);
        if (r == -ENOMEM)
                return failure_errno(failure, r);
        if (r < 0)
                return failure_set(failure, EXIT_CODE_REFUSED, "document-invalid", "%s is no JSON: line %u, column %u: %s", path, why.line, why.column,
                                   why.text);
        if (json_kind(*ret_payload) != JSON_KIND_OBJECT)
                return failure_set(failure, EXIT_CODE_REFUSED, "document-invalid", "%s: expected a JSON object", path);
        return 0;
}

/* What the command line adds. */
static int complete_document(struct session *session, struct json *payload, const struct document_kind *kind, struct failure *failure) {
        struct sign_claims claims = { .now_s = session->now_wall_ms / 1000, .valid_s = kind->valid_s, .with_jti = kind->is_command };
        _cleanup_str_list_ struct str_list audience = STR_LIST_INIT;
        struct json *aud = NULL;
        int64_t valid_ms;
        int r = arguments_texts(session->arguments, "audience", &audience);

        if (arguments_number(session->arguments, "valid", &valid_ms))
                claims.valid_s = valid_ms / 1000;
        if (claims.valid_s > kind->valid_max_s)
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "--valid: at most %lld s for such a document", (long long) kind->valid_max_s);
        if (r >= 0 && audience.n_items > 0)
                r = (aud = json_set_new_array(payload, "aud")) ? 0 : -ENOMEM;
        for (size_t i = 0; i < audience.n_items && r >= 0; i++)
                r = json_append_string(aud, audience.items[i]);
        if (r >= 0)
                r = sign_fill_claims(payload, &claims);
        return r < 0 ? failure_errno(failure, r) : 0;
}

static int check_document(const struct json *payload, const struct document_kind *kind, const char *path, struct failure *failure) {
        struct json_errors mistakes;
        int r;

        json_errors_init(&mistakes);
        r = kind->check(payload, &mistakes);
        if (r == -ENOMEM)
                return failure_errno(failure, r);
        if (r >= 0)
                return 0;
        return mistakes_failure(path, &mistakes, failure);
}

static int print_jws(struct session *session, const char *jws, const struct signer *signer, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_json_ struct json *json = NULL;

        if (!session->json) {
                strbuf_appendf(&out, "%s\n", jws);
                return session_print(session, &out, failure);
        }
        json = json_new_object();
        if (!json || json_set_string(json, "jws", jws) < 0 || json_set_string(json, "kid", signer_kid(signer)) < 0)
                return failure_errno(failure, -ENOMEM);
        return session_print_json(session, json, failure);
}

int run_sign(struct session *session, struct failure *failure) {
        const struct arguments *arguments = session->arguments;
        const char *path = arguments_at(arguments, 0);
        const struct signer_options options = { .key = arguments_text(arguments, "key"),
                                                .external = arguments_text(arguments, "external"),
                                                .pub = arguments_text(arguments, "pub"),
                                                .kid = arguments_text(arguments, "kid") };
        _cleanup_signer_ struct signer *signer = NULL;
        _cleanup_json_ struct json *payload = NULL;
        const struct document_kind *kind = NULL;
        _cleanup_free_ char *jws = NULL;
        int r = read_document(path, &payload, failure);

        if (r >= 0)
                r = (kind = find_kind(payload, path, failure)) ? 0 : -EBADMSG;
        if (r >= 0)
                r = complete_document(session, payload, kind, failure);
        if (r >= 0)
                r = check_document(payload, kind, path, failure);
        if (r >= 0)
                r = signer_new(&options, &signer, failure);
        if (r >= 0)
                r = signer_sign_json(signer, kind->type, payload, &jws, failure);
        return r < 0 ? r : print_jws(session, jws, signer, failure);
}
