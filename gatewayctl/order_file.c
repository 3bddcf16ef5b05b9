/* SPDX-License-Identifier: Apache-2.0 */
#include "order_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "document_file.h"
#include "session.h"
#include "signing.h"

#define VALID_S (14 * 24 * 3600) /* exp behind iat where a document says nothing */

void order_file_deinit(struct order_file *file) {
        json_free(file->document);
        free(file->jws);
        campaign_document_free(file->campaign);
        *file = (struct order_file){ 0 };
}

/* --- reading --- */

static int parse_json(const char *path, const char *text, size_t size, struct json **ret_document, struct failure *failure) {
        struct json_check_error why = { .text = "not a JSON document" };
        int r = json_parse(text, size, 0, ret_document, &why);

        if (r == -ENOMEM)
                return failure_errno(failure, r);
        if (r < 0)
                return failure_set(failure, EXIT_CODE_REFUSED, "document-invalid", "%s: line %u, column %u: %s", path, why.line, why.column,
                                   why.text);
        if (json_kind(*ret_document) == JSON_KIND_OBJECT)
                return 0;
        json_free(*ret_document);
        *ret_document = NULL;
        return failure_set(failure, EXIT_CODE_REFUSED, "document-invalid", "%s: a campaign document is a JSON object", path);
}

/* All that gateways will check of the content. */
static int read_campaign(const char *path, struct order_file *file, struct failure *failure) {
        const struct campaign_parse_options options = { .origin = CAMPAIGN_ORIGIN_SIGNED };
        struct json_errors errors;
        int r;

        json_errors_init(&errors);
        r = campaign_document_read(file->document, "", &options, &file->campaign, &errors);
        return r == -EBADMSG ? mistakes_failure(path, &errors, failure) : r < 0 ? failure_errno(failure, r) : 0;
}

static int read_jws(const char *path, const char *text, struct order_file *file, struct failure *failure) {
        _cleanup_free_ char *payload = NULL;
        size_t size;
        int r = document_jws_payload(text, &payload, &size);

        if (r == -EBADMSG)
                return failure_set(failure, EXIT_CODE_REFUSED, "jws-malformed", "%s: its second part is no base64url", path);
        if (r == 0 && !(file->jws = strdup(text)))
                r = -ENOMEM;
        if (r < 0)
                return failure_errno(failure, r);
        r = parse_json(path, payload, size, &file->document, failure);
        return r < 0 ? r : read_campaign(path, file, failure);
}

int order_file_read(const char *path, struct order_file *ret_file, struct failure *failure) {
        struct order_file file = { 0 };
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = document_text(path, &text, &size, failure);

        if (r < 0)
                return r;
        r = document_is_jws(text, size) ? read_jws(path, text, &file, failure) : parse_json(path, text, size, &file.document, failure);
        if (r < 0)
                order_file_deinit(&file);
        else
                *ret_file = file;
        return r;
}

int order_file_from(struct json *document, struct order_file *ret_file, struct failure *failure) {
        if (!document)
                return failure_errno(failure, -ENOMEM);
        *ret_file = (struct order_file){ .document = document };
        return 0;
}

/* --- for whom --- */

static bool is_plain(const char *entry) {
        return !strpbrk(entry, "*?[");
}

/* The document's own audience, where it names one gateway or one group. Otherwise it goes to all, and they see for themselves. */
static int take_audience(struct session *session, const struct campaign_document *campaign, struct failure *failure) {
        const char *only = campaign->aud.n_items == 1 && is_plain(campaign->aud.items[0]) ? campaign->aud.items[0] : NULL;

        if (!session->audience_is_default)
                return 0;
        if (only && str_starts_with(only, "group:"))
                return session_choose(session, AUDIENCE_GROUP, only + strlen("group:"), failure);
        return session_choose(session, only ? AUDIENCE_GATEWAY : AUDIENCE_ALL, only, failure);
}

bool order_file_is_for(void *ctx, const char *gateway, const struct str_list *groups) {
        const struct order_file *file = ctx;

        return !file->campaign || campaign_audience_match(file->campaign, gateway, groups);
}

/* --- signing --- */

static int add_audience(struct session *session, struct json *document, struct failure *failure) {
        char claim[STR_GATEWAY_ID_MAX + sizeof "group:"];
        struct json *aud;

        if (session->audience_is_default)
                return failure_set(failure, EXIT_CODE_USAGE, "usage",
                                   "the document has no `aud`: for whom is it? --gateway ID, --group NAME or --all");
        audience_claim(&session->audience, claim, sizeof claim);
        aud = json_set_new_array(document, "aud");
        return aud && json_append_string(aud, claim) == 0 ? 0 : failure_errno(failure, -ENOMEM);
}

static int add_claims(struct session *session, struct json *document, struct failure *failure) {
        int64_t iat_s = session->now_wall_ms / 1000;
        int r = json_has(document, "aud") ? 0 : add_audience(session, document, failure);

        if (r < 0)
                return r;
        if (!json_has(document, "iat"))
                r = json_set_int(document, "iat", iat_s);
        else
                json_member_int(document, "iat", 0, CAMPAIGN_TIME_MAX_S, &iat_s);
        if (r == 0 && !json_has(document, "exp"))
                r = json_set_int(document, "exp", iat_s + VALID_S);
        return r < 0 ? failure_errno(failure, r) : 0;
}

int order_file_prepare(struct session *session, struct order_file *file, struct failure *failure) {
        int r = session_settle(session, failure);

        if (r == 0 && !file->jws && (session_is_remote(session) || signing_has_key(session))) {
                r = add_claims(session, file->document, failure);
                if (r == 0)
                        r = read_campaign("the document", file, failure);
                if (r == 0)
                        r = signing_campaign(session, file->document, &file->jws, failure);
        }
        return r == 0 && file->campaign && session_is_remote(session) ? take_audience(session, file->campaign, failure) : r;
}
