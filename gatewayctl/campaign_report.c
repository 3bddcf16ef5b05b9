/* SPDX-License-Identifier: Apache-2.0 */

/* What became of a campaign: for a person, for a ticket (Markdown), for a spreadsheet (CSV), for programs (JSON). */

#include "commands.h"

#include "document/limits.h"
#include "report_view.h"

static int ask(struct session *session, struct json **ret_reports, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_json_ struct json *reports = json_new_array();
        struct json *report = NULL;
        int r;

        members_text(&params, "id", arguments_at(session->arguments, 0));
        members_option(&params, "revision", session->arguments, "revision");
        r = session_call(session, "campaign.report", &params, &report, failure);
        if (r < 0)
                return r;
        r = reports ? json_append(reports, report) : -ENOMEM;
        if (r < 0)
                return failure_errno(failure, r);
        *ret_reports = TAKE_PTR(reports);
        return 0;
}

/* A line for each device: the report itself names only those that did not succeed. */
static int print_csv(struct session *session, const struct json *reports, struct failure *failure) {
        const char *id = arguments_at(session->arguments, 0), *gateway = json_member_text(json_at(reports, 0), "gateway");
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

int run_campaign_report(struct session *session, struct failure *failure) {
        const char *format = arguments_text(session->arguments, "format");
        _cleanup_json_ struct json *reports = NULL;
        int r = ask(session, &reports, failure);

        if (r < 0)
                return r;
        if (session->json || str_equal(format, "json"))
                return session_print_json(session, json_at(reports, 0), failure);
        if (str_equal(format, "csv"))
                return print_csv(session, reports, failure);
        if (str_equal(format, "markdown"))
                return print_markdown(session, reports, failure);
        return print_table(session, reports, failure);
}
