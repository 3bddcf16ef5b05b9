/* SPDX-License-Identifier: Apache-2.0 */

/* What became of a campaign: for a person, for a ticket (Markdown), for a spreadsheet (CSV), for programs (JSON). */

#include "commands.h"

#include "document/limits.h"
#include "report_view.h"

static int ask(struct session *session, struct json **ret_reports, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        const struct session_question question = { .method = "campaign.report", .params = &params };
        _cleanup_json_ struct json *reports = json_new_array();
        _cleanup_answers_ struct answers answers = { 0 };
        int r = reports ? 0 : failure_errno(failure, -ENOMEM);

        members_text(&params, "id", arguments_at(session->arguments, 0));
        members_option(&params, "revision", session->arguments, "revision");
        if (r == 0)
                r = session_gather(session, &question, &answers, failure);
        if (r < 0)
                return r;
        for (size_t i = 0; i < answers.n_items && r == 0; i++) {
                struct json *report = answers.items[i].result;
                if (session_is_many(session))
                        r = json_set_string(report, "gateway", answers.items[i].gateway);
                if (r == 0)
                        r = json_append(reports, json_ref(report));
        }
        if (r < 0)
                return failure_errno(failure, r);
        *ret_reports = TAKE_PTR(reports);
        return 0;
}

/* A line for each device: the report itself names only those that did not succeed. */
static int print_csv(struct session *session, struct failure *failure) {
        const char *id = arguments_at(session->arguments, 0), *gateway = client_gateway(session->client);
        _cleanup_members_ struct members params = members_new();
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_json_ struct json *result = NULL;
        int r;

        members_text(&params, "id", id);
        members_option(&params, "revision", session->arguments, "revision");
        members_number(&params, "limit", COMMAND_PAGE_MAX);
        r = session_call_pages(session, "campaign.get", &params, "jobs", &result, failure);
        if (r < 0)
                return r;
        r = report_csv(json_child(result, "jobs"), id, gateway, &out);
        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
}

static int print_markdown(struct session *session, const struct json *reports, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        int r = report_markdown(reports, &out);

        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
}

static int print_table(struct session *session, const struct json *reports, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        int r;

        if (json_length(reports) == 1)
                campaign_head(json_child(json_at(reports, 0), "campaign"), &out);
        r = report_text(reports, &session->style, &out);
        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
}

/* Of one gateway its report, of several {"reports": [...]}. */
static int print_reports(struct session *session, const struct json *reports, struct failure *failure) {
        _cleanup_members_ struct members root = members_new();

        if (!session_is_many(session))
                return session_print_json(session, json_at(reports, 0), failure);
        members_json(&root, "reports", json_ref((struct json *) reports));
        if (root.error == 0 && session->missing)
                members_json(&root, "gateways", json_ref(session->missing));
        return root.error < 0 ? failure_errno(failure, root.error) : session_print_json(session, root.json, failure);
}

int run_campaign_report(struct session *session, struct failure *failure) {
        const char *format = arguments_text(session->arguments, "format");
        _cleanup_json_ struct json *reports = NULL;
        int r = ask(session, &reports, failure);

        if (r < 0)
                return r;
        if (session->json || str_equal(format, "json"))
                return print_reports(session, reports, failure);
        if (str_equal(format, "csv"))
                return print_csv(session, failure);
        if (str_equal(format, "markdown"))
                return print_markdown(session, reports, failure);
        return print_table(session, reports, failure);
}
