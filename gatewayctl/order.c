/* SPDX-License-Identifier: Apache-2.0 */
#include "order.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "document/campaign.h"
#include "follow.h"
#include "jobs_view.h"
#include "plan_view.h"

#define PLAN_LIMIT 1000 /* devices shown */

int order_id(const char *prefix, int64_t now_wall_ms, char ret_id[static ORDER_ID_SIZE]) {
        time_t seconds = now_wall_ms / 1000;
        uint32_t number;
        char when[32];
        struct tm utc;

        if (getrandom(&number, sizeof number, 0) != (ssize_t) sizeof number)
                return -errno;
        if (!gmtime_r(&seconds, &utc) || strftime(when, sizeof when, "%Y%m%dT%H%M%S", &utc) == 0)
                return -ERANGE;
        return str_format(ret_id, ORDER_ID_SIZE, "%s-%s-%08" PRIx32, prefix, when, number);
}

/* --- the document --- */

static void add_policy(const struct arguments *arguments, struct members *document) {
        static const char *const members[][2] = { { "mode", "mode" },
                                                  { "concurrency", "concurrency" },
                                                  { "allow_downgrade", "allow-downgrade" } };
        _cleanup_members_ struct members policy = members_new(), trial = members_new();
        int64_t trial_ms;

        if (arguments_number(arguments, "trial", &trial_ms)) {
                members_number(&trial, "duration_s", (trial_ms + 999) / 1000);
                members_json(&policy, "trial", TAKE_PTR(trial.json));
        }
        for (size_t i = 0; i < ARRAY_SIZE(members); i++)
                if (option_find(arguments->verb, members[i][1]))
                        members_option(&policy, members[i][0], arguments, members[i][1]);
        if (policy.error == 0 && json_length(policy.json) > 0)
                members_json(document, "policy", TAKE_PTR(policy.json));
        if (document->error == 0)
                document->error = policy.error < 0 ? policy.error : trial.error;
}

/* A file name may hold what a comment may not. */
static void add_comment(struct members *document, const char *comment) {
        char clean[CAMPAIGN_COMMENT_MAX];

        if (!comment || !comment[0])
                return;
        str_escape(clean, sizeof clean, comment, strlen(comment));
        members_text(document, "comment", clean);
}

int order_document_begin(struct session *session, const char *comment, struct members *document, struct failure *failure) {
        char id[ORDER_ID_SIZE];
        int r = order_id("local", session->now_wall_ms, id);

        if (r < 0)
                return failure_errno(failure, r);
        members_text(document, "schema", CAMPAIGN_SCHEMA);
        members_text(document, "id", id);
        members_number(document, "revision", 1);
        add_comment(document, comment);
        if (option_find(session->arguments->verb, "mode"))
                add_policy(session->arguments, document);
        return document->error < 0 ? failure_errno(failure, document->error) : 0;
}

/* --- plan and question --- */

/* The document as a param: signed where it is. */
static void add_order(const struct order *order, struct members *params) {
        struct json *document = NULL;

        if (order->file && order->file->jws) {
                members_text(params, "jws", order->file->jws);
                return;
        }
        if (params->error == 0)
                params->error = json_copy(order->document, &document);
        members_json(params, "document", document);
}

static struct session_question question_about(const struct order *order, const char *method, struct members *params) {
        const struct session_question question = {
                .method = method, .params = params, .patient = true, .is_meant = order->file ? order_file_is_for : NULL, .ctx = order->file
        };

        return question;
}

static bool has_text(const struct json *texts, const char *text) {
        JSON_FOREACH_ITEM(i, one, texts)
        if (str_equal(json_string_or_null(one), text))
                return true;
        return false;
}

/* It ends when the last gateway ends; a closed window of any of them is worth a word. */
static int sum_up_times(struct json *plan) {
        int64_t eta_ms = 0, n_unknown = 0, number;
        const char *ends = "";
        struct json *window = NULL;
        int r;

        JSON_FOREACH_ITEM(i, entry, json_child(plan, "gateways")) {
                const struct json *one = json_child(entry, "result");
                const char *one_ends = json_member_text(one, "ends");
                bool is_open = true;
                if (json_member_int(one, "eta_ms", 0, INT64_MAX, &number) == 0)
                        eta_ms = MAX(eta_ms, number);
                if (json_member_int(one, "unknown_durations", 0, INT64_MAX, &number) == 0)
                        n_unknown += number;
                if (one_ends && strcmp(one_ends, ends) > 0) /* all of them are UTC */
                        ends = one_ends;
                if (!window && json_member_bool(json_child(one, "window"), "open", &is_open) == 0 && !is_open)
                        window = json_child(one, "window");
        }
        r = json_set_int(plan, "unknown_durations", n_unknown);
        if (r == 0 && eta_ms > 0)
                r = json_set_int(plan, "eta_ms", eta_ms);
        if (r == 0 && ends[0])
                r = json_set_string(plan, "ends", ends);
        return r == 0 && window ? json_set(plan, "window", json_ref(window)) : r;
}

/* What the gateways count, together; and the rest of what concerns the whole as the first one says it. */
static int sum_up(struct json *plan) {
        static const char *const verdicts[] = { "update", "wait", "reject", "unknown", "not-selected" };
        static const char *const same[] = { "id", "revision", "mode" };
        const struct json *gateways = json_child(plan, "gateways");
        struct json *counts = json_set_new_object(plan, "counts"), *warnings = json_set_new_array(plan, "warnings");
        bool cut = false;
        int r = counts && warnings ? 0 : -ENOMEM;

        for (size_t i = 0; i < ARRAY_SIZE(same) && r == 0; i++)
                r = json_set(plan, same[i], json_ref(json_child(json_child(json_at(gateways, 0), "result"), same[i])));
        for (size_t i = 0; i < ARRAY_SIZE(verdicts) && r == 0; i++) {
                int64_t sum = 0;
                JSON_FOREACH_ITEM(j, entry, gateways)
                sum += plan_count(json_child(entry, "result"), verdicts[i]);
                r = json_set_int(counts, verdicts[i], sum);
        }
        JSON_FOREACH_ITEM(i, entry, gateways) {
                bool one_cut = false;
                json_member_bool(json_child(entry, "result"), "cut", &one_cut);
                cut = cut || one_cut;
                JSON_FOREACH_ITEM(j, warning, json_child(json_child(entry, "result"), "warnings"))
                if (r == 0 && !has_text(warnings, json_string_or_null(warning)))
                        r = json_append(warnings, json_ref(warning));
        }
        if (r == 0)
                r = json_set_bool(plan, "cut", cut);
        return r < 0 ? r : sum_up_times(plan);
}

static int make_plan(struct session *session, const struct order *order, struct json **ret_plan, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        struct session_question question = question_about(order, "campaign.plan", &params);
        int r;

        question.list = "devices";
        add_order(order, &params);
        members_number(&params, "limit", PLAN_LIMIT);
        r = session_collect(session, &question, ret_plan, failure);
        if (r == 0 && session_is_many(session) && (r = sum_up(*ret_plan)) < 0)
                failure_errno(failure, r);
        return r;
}

static int show_plan(struct session *session, const struct order *order, const struct json *plan, struct failure *failure) {
        const struct plan_view view = { .plan = plan, .package = order->package, .title = order->title, .all = order->all };
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        int r;

        if (session->json)
                return 0;
        r = plan_render(&view, &session->style, &out);
        r = r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
        /* Before anybody says yes, he knows who is missing. */
        return r < 0 ? r : session_tell_missing(session, failure);
}

int order_plan(struct session *session, const struct order *order, struct failure *failure) {
        _cleanup_json_ struct json *plan = NULL;
        int r = make_plan(session, order, &plan, failure);

        if (r == 0)
                r = show_plan(session, order, plan, failure);
        if (r == 0 && session->json)
                r = session_print_json(session, plan, failure);
        return r;
}

/* The error of a plan after which nothing would ever be done. */
static int nothing_to_do(const struct json *plan, struct failure *failure) {
        int64_t n_reject = plan_count(plan, "reject");

        JSON_FOREACH_ITEM(i, entry, json_child(plan, "devices")) {
                const char *reason = json_member_text(entry, "reason"), *text = json_member_text(entry, "text");
                const char *device = json_member_text(entry, "device");
                if (!str_equal(json_member_text(entry, "verdict"), "reject") || !reason)
                        continue;
                if (n_reject == 1)
                        return failure_set(failure, EXIT_CODE_REFUSED, reason, "%s: %s", device, text ? text : reason);
                return failure_set(failure, EXIT_CODE_REFUSED, reason, "none of %" PRId64 " devices can be updated; the first, %s: %s",
                                   n_reject, device, text ? text : reason);
        }
        return failure_set(failure, EXIT_CODE_REFUSED, "no-device-matches", "no device is selected");
}

/*
 * A file that says for which hardware it is needs nobody's word, nor does one whose hardware was named on the command line. Otherwise
 * naming one device and saying yes to its plan is that word; --yes or a pattern are none.
 */
static int check_statement(struct session *session, const struct order *order, const struct json *plan, struct failure *failure) {
        if (!plan_needs_statement(plan))
                return 0;
        if (!order->stated_device)
                return failure_set(
                        failure, EXIT_CODE_REFUSED, "compatible-required",
                        "the file names no hardware, and several devices are meant: say which hardware it is for with --compatible MODEL");
        if (arguments_flag(session->arguments, "yes"))
                return failure_set(failure, EXIT_CODE_REFUSED, "compatible-required",
                                   "the file names no hardware, and with --yes nobody looks at the plan: say which hardware it is for with "
                                   "--compatible MODEL");
        return 0;
}

static bool is_yes(const char *line) {
        return strcasecmp(line, "y\n") == 0 || strcasecmp(line, "yes\n") == 0;
}

static int ask(struct session *session, const struct order *order, const struct json *plan, struct failure *failure) {
        char line[16] = "";

        if (arguments_flag(session->arguments, "yes"))
                return 0;
        if (session->json)
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "--json asks no question: --yes starts, --dry-run only plans");
        if (!isatty(STDIN_FILENO))
                return failure_set(failure, EXIT_CODE_USAGE, "usage",
                                   "there is no terminal to ask on: --yes starts without a question, --dry-run only plans");
        if (plan_needs_statement(plan))
                printf("The file names no hardware. By starting you state that it is made for %s.\n", order->stated_device);
        printf("Start? [y/N] ");
        fflush(stdout);
        if (!fgets(line, sizeof line, stdin))
                putchar('\n');
        if (is_yes(line))
                return 0;
        return failure_set(failure, EXIT_CODE_NOT_CONFIRMED, "not-confirmed", "not started, nothing was changed");
}

/* --- the work --- */

static int start(struct session *session, const struct order *order, struct failure *failure) {
        _cleanup_answers_ struct answers answers = { 0 };
        _cleanup_members_ struct members params = members_new();
        const struct session_question question = question_about(order, "campaign.start", &params);

        add_order(order, &params);
        return session_gather(session, &question, &answers, failure);
}

static int show_started(struct session *session, const struct json *result, struct strbuf *out) {
        const struct json *campaign = json_child(result, "campaign");
        const char *id = json_member_text(campaign, "id"), *state = json_member_text(campaign, "state"),
                   *reason = json_member_text(campaign, "reason");

        strbuf_appendf(out, "Started as %s", id);
        if (str_equal(state, "paused"))
                strbuf_appendf(out, ", paused (%s)", reason ? reason : "by a person");
        /* Of several gateways each has a line, and the rest is said once. */
        if (session_is_many(session))
                strbuf_append(out, ".\n");
        else
                strbuf_appendf(out, ". `gatewayctl watch %s` shows the progress, `gatewayctl cancel %s` ends it.\n", id, id);
        return EXIT_CODE_OK;
}

static int start_only(struct session *session, const struct order *order, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        const struct session_question question = question_about(order, "campaign.start", &params);
        const char *id = json_member_text(order->document, "id");
        int r;

        add_order(order, &params);
        r = session_each(session, &question, show_started, failure);
        if (r >= 0 && session_is_many(session) && !session->json &&
            session_say(session, failure, "`gatewayctl watch %s` shows the progress, `gatewayctl cancel %s` ends it.\n", id, id) < 0)
                return -EBADMSG;
        return r;
}

static int start_and_follow(struct session *session, const struct order *order, const struct json *plan, struct failure *failure) {
        _cleanup_json_ struct json *campaign = NULL;
        const char *id = json_member_text(order->document, "id");
        _cleanup_follow_ struct follow *follow = NULL;
        int r = follow_begin(session, id, &follow, failure);

        if (r == 0)
                r = start(session, order, failure);
        if (r == 0 && !session->json)
                r = session_say(session, failure, "Campaign %s\n", id);
        if (r == 0)
                r = follow_run(follow, &campaign, failure);
        if (r == 0 && session->json && (r = json_set(campaign, "plan", json_ref((struct json *) plan))) < 0)
                failure_errno(failure, r);
        return r < 0 ? r : follow_report(session, campaign, failure);
}

int order_run(struct session *session, const struct order *order, struct failure *failure) {
        _cleanup_json_ struct json *plan = NULL;
        int r = make_plan(session, order, &plan, failure);

        if (r == 0)
                r = show_plan(session, order, plan, failure);
        if (r == 0)
                r = check_statement(session, order, plan, failure);
        if (r == 0 && arguments_flag(session->arguments, "dry-run"))
                return session->json ? session_print_json(session, plan, failure) : 0;
        if (r == 0 && plan_count(plan, "update") + plan_count(plan, "wait") + plan_count(plan, "unknown") == 0)
                r = nothing_to_do(plan, failure);
        if (r == 0)
                r = ask(session, order, plan, failure);
        if (r < 0)
                return r;
        if (arguments_flag(session->arguments, "no-wait"))
                return start_only(session, order, failure);
        return start_and_follow(session, order, plan, failure);
}
