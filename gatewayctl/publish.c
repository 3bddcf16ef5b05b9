/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "document/campaign.h"
#include "document_file.h"
#include "order_file.h"

/*
 * A desired campaign: signed, kept by the broker, and read by each gateway of the audience whenever it connects. So it also reaches
 * those that are away now, and one whose disk was replaced.
 */

#define DAY_MS (24 * 3600 * 1000ll)

/* --- what is published already --- */

struct desired {
        const char *campaign;
        bool found;
        int64_t revision; /* 0: it cannot be read */
};

static int64_t revision_of(const char *jws, size_t size) {
        _cleanup_json_ struct json *document = NULL;
        _cleanup_free_ char *payload = NULL;
        int64_t revision = 0;
        size_t payload_size;

        if (!document_is_jws(jws, size) || document_jws_payload(jws, &payload, &payload_size) < 0 ||
            json_parse(payload, payload_size, 0, &document, NULL) < 0)
                return 0;
        json_member_int(document, "revision", 1, CAMPAIGN_REVISION_MAX, &revision);
        return revision;
}

static void on_document(void *ctx, const struct transport_document *document) {
        struct desired *desired = ctx;

        if (document->kind != TRANSPORT_DESIRED || !str_equal(document->id, desired->campaign))
                return;
        desired->found = document->size > 0;
        desired->revision = document->size > 0 ? revision_of(document->text, document->size) : 0;
}

static int look(struct session *session, const char *campaign, struct desired *ret_desired, struct failure *failure) {
        const struct transport_interest interest = { .kinds = TRANSPORT_DESIRED, .audience = session->audience, .campaign = campaign };
        int r;

        *ret_desired = (struct desired){ .campaign = campaign };
        client_listen_documents(session->client, on_document, ret_desired);
        r = client_documents(session->client, &interest, failure);
        client_listen_documents(session->client, NULL, NULL);
        return r;
}

static int need_broker(struct session *session, bool need_audience, struct failure *failure) {
        if (!session_is_remote(session))
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "%s needs --broker URL, or a profile with one",
                                   session->arguments->verb->words);
        if (need_audience && session->audience_is_default)
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "for whom is it? --gateway ID, --group NAME or --all");
        return 0;
}

/* --- warnings --- */

static int warn(struct json *warnings, const char *format, ...) GW_PRINTF(2, 3);
static int warn(struct json *warnings, const char *format, ...) {
        char text[512];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        return json_append_string(warnings, text);
}

static void when(int64_t wall_ms, char *dst, size_t size) {
        char text[TIME_RFC3339_SIZE];

        dst[0] = '\0';
        if (time_format_rfc3339(text, sizeof text, wall_ms) == 0)
                text_time(dst, size, text);
}

static int find_warnings(struct session *session, const struct campaign_document *campaign, struct json *warnings) {
        /* Without a deadline of its own it ends so long after each gateway accepted it; a day more or less is no matter then. */
        int64_t now_ms = session->now_wall_ms, exp_ms = campaign->exp_s * 1000,
                deadline_ms = now_ms + CAMPAIGN_DEADLINE_DEFAULT_MS - DAY_MS;
        char exp[48], deadline[48], claim[STR_GATEWAY_ID_MAX + sizeof "group:"];
        int r = 0;

        if (campaign->policy.deadline_ms > 0)
                deadline_ms = campaign->policy.deadline_ms;
        when(exp_ms, exp, sizeof exp);
        when(deadline_ms, deadline, sizeof deadline);
        if (exp_ms <= now_ms)
                r = warn(warnings, "it expired on %s: no gateway accepts it any more", exp);
        else if (exp_ms < deadline_ms)
                r = warn(warnings,
                         "it is accepted until %s (exp), but the work may go on until %s (deadline): a gateway that comes later, or anew "
                         "with an empty disk, will not take part",
                         exp, deadline);
        audience_claim(&session->audience, claim, sizeof claim);
        if (r == 0 && session->audience.kind == AUDIENCE_GATEWAY && campaign->aud.n_items == 1 &&
            !str_glob_match(campaign->aud.items[0], session->audience.name) && !str_starts_with(campaign->aud.items[0], "group:"))
                r = warn(warnings, "its aud is %s, so %s will not accept it", campaign->aud.items[0], session->audience.name);
        return r;
}

/* --- publish --- */

static int print_published(struct session *session, const struct order_file *file, struct json *warnings, bool replaced,
                           struct failure *failure) {
        _cleanup_members_ struct members result = members_new();
        char audience[96];

        audience_text(&session->audience, audience, sizeof audience);
        if (session->json) {
                members_text(&result, "campaign", file->campaign->id);
                members_number(&result, "revision", file->campaign->revision);
                members_text(&result, "audience", audience);
                members_bool(&result, "replaced", replaced);
                members_json(&result, "warnings", json_ref(warnings));
                return result.error < 0 ? failure_errno(failure, result.error) : session_print_json(session, result.json, failure);
        }
        JSON_FOREACH_ITEM(i, warning, warnings) {
                _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
                text_append_toned(&out, "Warning: ", TONE_CARE, &session->style);
                text_append_wrapped(&out, json_string_or_null(warning), 9, &session->style);
                if (session_print(session, &out, failure) < 0)
                        return -EBADMSG;
        }
        return session_say(session, failure,
                           "%s, revision %u, is published for %s%s. `gatewayctl watch %s` shows what becomes of it, `gatewayctl unpublish "
                           "%s` takes it away.\n",
                           file->campaign->id, file->campaign->revision, audience, replaced ? " in place of another one" : "",
                           file->campaign->id, file->campaign->id);
}

static int check_revision(const struct order_file *file, const struct desired *desired, struct failure *failure) {
        if (desired->revision <= (int64_t) file->campaign->revision)
                return 0;
        return failure_set(failure, EXIT_CODE_REFUSED, "revision-lower", "revision %" PRId64 " of %s is published, this one is %u",
                           desired->revision, file->campaign->id, file->campaign->revision);
}

int run_publish(struct session *session, struct failure *failure) {
        _cleanup_json_ struct json *warnings = json_new_array();
        _cleanup_order_file_ struct order_file file = { 0 };
        struct desired desired = { 0 };
        int r = warnings ? order_file_read(arguments_at(session->arguments, 0), &file, failure) : failure_errno(failure, -ENOMEM);

        if (r == 0)
                r = session_settle(session, failure);
        if (r == 0)
                r = need_broker(session, false, failure);
        if (r == 0)
                r = order_file_prepare(session, &file, failure);
        if (r == 0 && (r = find_warnings(session, file.campaign, warnings)) < 0)
                failure_errno(failure, r);
        if (r == 0)
                r = session_connect(session, failure);
        if (r == 0)
                r = look(session, file.campaign->id, &desired, failure);
        if (r == 0)
                r = check_revision(&file, &desired, failure);
        if (r == 0)
                r = client_publish(session->client, &session->audience, file.campaign->id, file.jws, strlen(file.jws), failure);
        return r < 0 ? r : print_published(session, &file, warnings, desired.found, failure);
}

/* --- unpublish --- */

int run_unpublish(struct session *session, struct failure *failure) {
        const char *campaign = arguments_at(session->arguments, 0);
        _cleanup_members_ struct members result = members_new();
        struct desired desired;
        char audience[96];
        int r = str_is_id(campaign)
                        ? session_settle(session, failure)
                        : failure_set(failure, EXIT_CODE_USAGE, "usage", "unpublish %s: expected the id of a campaign", campaign);

        if (r == 0)
                r = need_broker(session, true, failure);
        if (r == 0)
                r = session_connect(session, failure);
        if (r == 0)
                r = look(session, campaign, &desired, failure);
        if (r < 0)
                return r;
        audience_text(&session->audience, audience, sizeof audience);
        if (!desired.found)
                return failure_set(failure, EXIT_CODE_REFUSED, "not-published", "%s is not published for %s", campaign, audience);
        r = client_publish(session->client, &session->audience, campaign, NULL, 0, failure);
        if (r < 0)
                return r;
        members_text(&result, "campaign", campaign);
        members_text(&result, "audience", audience);
        if (result.error < 0)
                return failure_errno(failure, result.error);
        if (session->json)
                return session_print_json(session, result.json, failure);
        return session_say(session, failure,
                           "%s is not published for %s any more. Gateways that have it go on; `gatewayctl cancel %s` ends it.\n", campaign,
                           audience, campaign);
}
