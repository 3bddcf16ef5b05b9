/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "document/limits.h"
#include "jobs_view.h"
#include "order.h"

/* --- jobs --- */

static int get_campaign(struct session *session, struct members *params, struct json **ret_result, struct failure *failure) {
        members_number(params, "limit", COMMAND_PAGE_MAX);
        return session_call_pages(session, "campaign.get", params, "jobs", ret_result, failure);
}

/* Words of a list as one array of texts. */
static struct json *texts_new(const char *const *texts, size_t n_texts) {
        struct json *array = json_new_array();

        for (size_t i = 0; array && i < n_texts; i++)
                if (json_append_string(array, texts[i]) < 0) {
                        json_free(array);
                        return NULL;
                }
        return array;
}

/* Appends the jobs of one campaign, each with the campaign's id. */
static int add_jobs(struct session *session, const char *campaign, const char *device, bool all, struct json *jobs,
                    struct failure *failure) {
        static const char *const unfinished[] = { "queued", "in_progress" };
        _cleanup_members_ struct members params = members_new();
        _cleanup_json_ struct json *result = NULL;
        int r;

        members_text(&params, "id", campaign);
        if (!all)
                members_json(&params, "state", texts_new(unfinished, ARRAY_SIZE(unfinished)));
        if (device)
                members_json(&params, "devices", texts_new(&device, 1));
        r = get_campaign(session, &params, &result, failure);
        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, job, json_child(result, "jobs")) {
                r = json_set_string(job, "campaign", campaign);
                if (r == 0)
                        r = json_append(jobs, json_ref(job));
                if (r < 0)
                        return failure_errno(failure, r);
        }
        return 0;
}

static int list_campaigns(struct session *session, bool all, struct json **ret_result, struct failure *failure) {
        static const char *const unfinished[] = { "scheduled", "in_progress", "paused" };
        _cleanup_members_ struct members params = members_new();

        if (!all)
                members_json(&params, "state", texts_new(unfinished, ARRAY_SIZE(unfinished)));
        members_number(&params, "limit", COMMAND_PAGE_MAX);
        return session_call_pages(session, "campaign.list", &params, "campaigns", ret_result, failure);
}

static int collect_jobs(struct session *session, const char *device, struct json *jobs, struct failure *failure) {
        bool all = arguments_flag(session->arguments, "all");
        const char *campaign = arguments_text(session->arguments, "campaign");
        _cleanup_json_ struct json *list = NULL;
        int r;

        if (campaign)
                return add_jobs(session, campaign, device, true, jobs, failure);
        r = list_campaigns(session, all, &list, failure);
        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, row, json_child(list, "campaigns")) {
                const char *id = json_member_text(row, "id");
                r = id ? add_jobs(session, id, device, all, jobs, failure) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

int run_jobs(struct session *session, struct failure *failure) {
        const char *words = arguments_text(session->arguments, "device");
        _cleanup_json_ struct json *root = json_new_object();
        struct json *jobs = root ? json_set_new_array(root, "jobs") : NULL;
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        char device[STR_DEVICE_ID_SIZE];
        int r = jobs ? 0 : failure_errno(failure, -ENOMEM);

        /* A whole id may name a device that was forgotten while its jobs are still known. */
        if (r == 0 && words && (!str_is_device_id(words) || str_copy(device, sizeof device, words) < 0))
                r = session_device_id(session, words, device, failure);
        if (r == 0)
                r = collect_jobs(session, words ? device : NULL, jobs, failure);
        if (r < 0)
                return r;
        if (session->json)
                return session_print_json(session, root, failure);
        if (json_length(jobs) == 0)
                return session_say(session, failure, "No job%s.\n",
                                   arguments_flag(session->arguments, "all") ? "" : " waits or runs; --all shows finished ones, too");
        r = jobs_render(jobs, &session->style, &out);
        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
}

/* --- campaign list --- */

enum { CAMPAIGN_ID, CAMPAIGN_STATE, CAMPAIGN_DEVICES, CAMPAIGN_DONE, CAMPAIGN_FAILED, CAMPAIGN_ACCEPTED, CAMPAIGN_COMMENT };

static const struct table_column campaign_columns[] = {
        [CAMPAIGN_ID] = { .title = "CAMPAIGN" },
        [CAMPAIGN_STATE] = { .title = "STATE" },
        [CAMPAIGN_DEVICES] = { .title = "DEVICES", .side = TABLE_RIGHT },
        [CAMPAIGN_DONE] = { .title = "SUCCEEDED", .side = TABLE_RIGHT },
        [CAMPAIGN_FAILED] = { .title = "WITHOUT SUCCESS", .side = TABLE_RIGHT },
        [CAMPAIGN_ACCEPTED] = { .title = "ACCEPTED" },
        [CAMPAIGN_COMMENT] = { .title = "COMMENT", .may_cut = true },
};

static int64_t count_of(const struct json *campaign, const char *name) {
        int64_t n = 0;

        json_member_int(json_child(campaign, "counts"), name, 0, INT64_MAX, &n);
        return n;
}

static int64_t count_without_success(const struct json *campaign) {
        return count_of(campaign, "failed") + count_of(campaign, "timed_out") + count_of(campaign, "rejected") +
               count_of(campaign, "canceled") + count_of(campaign, "superseded");
}

static void number_cell(struct table *table, size_t column, int64_t number) {
        char text[32];

        str_format(text, sizeof text, "%" PRId64, number);
        table_cell(table, column, text);
}

static void campaign_state_text(const struct json *campaign, char *dst, size_t size) {
        const char *state = json_member_text(campaign, "state"), *reason = json_member_text(campaign, "reason");

        if (reason)
                str_format(dst, size, "%s (%s)", state ? state : "", reason);
        else
                str_copy(dst, size, state ? state : "");
}

static void add_campaign(struct table *table, const struct json *campaign) {
        const char *accepted = json_member_text(campaign, "accepted");
        int64_t revision = 1;
        char text[256];

        json_member_int(campaign, "revision", 1, INT64_MAX, &revision);
        str_format(text, sizeof text, "%s", json_member_text(campaign, "id"));
        if (revision > 1)
                str_format(text, sizeof text, "%s, revision %" PRId64, json_member_text(campaign, "id"), revision);
        table_row(table);
        table_cell(table, CAMPAIGN_ID, text);
        campaign_state_text(campaign, text, sizeof text);
        table_cell(table, CAMPAIGN_STATE, text);
        number_cell(table, CAMPAIGN_DEVICES, count_of(campaign, "total"));
        number_cell(table, CAMPAIGN_DONE, count_of(campaign, "succeeded"));
        number_cell(table, CAMPAIGN_FAILED, count_without_success(campaign));
        if (accepted) {
                text_time(text, sizeof text, accepted);
                table_cell(table, CAMPAIGN_ACCEPTED, text);
        }
        table_cell(table, CAMPAIGN_COMMENT, json_member_text(campaign, "comment"));
}

int run_campaign_list(struct session *session, struct failure *failure) {
        _cleanup_json_ struct json *result = NULL;
        _cleanup_table_ struct table *table = NULL;
        int r = list_campaigns(session, !arguments_flag(session->arguments, "unfinished"), &result, failure);

        if (r < 0)
                return r;
        if (session->json)
                return session_print_json(session, result, failure);
        if (json_length(json_child(result, "campaigns")) == 0)
                return session_say(session, failure, "No campaign.\n");
        r = table_new(campaign_columns, ARRAY_SIZE(campaign_columns), &table);
        if (r < 0)
                return failure_errno(failure, r);
        JSON_FOREACH_ITEM(i, campaign, json_child(result, "campaigns"))
        add_campaign(table, campaign);
        return session_print_table(session, table, failure);
}

/* --- campaign get --- */

static void head_line(struct strbuf *out, const char *name, const char *value) {
        _cleanup_free_ char *clean = value ? text_clean(value) : NULL;

        if (clean && clean[0])
                strbuf_appendf(out, "%-12s%s\n", name, clean);
}

static void head_time(struct strbuf *out, const char *name, const char *value) {
        char text[48];

        if (!value)
                return;
        text_time(text, sizeof text, value);
        head_line(out, name, text);
}

void campaign_head(const struct json *campaign, struct strbuf *out) {
        char text[256];

        head_line(out, "campaign", json_member_text(campaign, "id"));
        campaign_state_text(campaign, text, sizeof text);
        head_line(out, "state", text);
        head_line(out, "comment", json_member_text(campaign, "comment"));
        head_line(out, "source", json_member_text(campaign, "source"));
        head_line(out, "by", json_member_text(campaign, "principal"));
        head_line(out, "rollback", json_member_text(campaign, "rollback"));
        head_time(out, "accepted", json_member_text(campaign, "accepted"));
        head_time(out, "deadline", json_member_text(campaign, "deadline"));
        head_time(out, "finished", json_member_text(campaign, "finished"));
        str_format(text, sizeof text,
                   "%" PRId64 ": %" PRId64 " succeeded, %" PRId64 " without success, %" PRId64 " running, %" PRId64 " waiting",
                   count_of(campaign, "total"), count_of(campaign, "succeeded"), count_without_success(campaign),
                   count_of(campaign, "in_progress"), count_of(campaign, "queued"));
        head_line(out, "devices", text);
}

static void job_steps(const struct json *job, struct strbuf *out) {
        if (!json_has(job, "steps"))
                return;
        strbuf_appendf(out, "\n%s\n", json_member_text(job, "device"));
        JSON_FOREACH_ITEM(i, step, json_child(job, "steps")) {
                const char *name = json_member_text(step, "name"), *entered = json_member_text(step, "entered");
                int64_t attempt = 1;
                char at[48] = "";
                json_member_int(step, "attempt", 0, INT64_MAX, &attempt);
                if (entered)
                        text_time(at, sizeof at, entered);
                strbuf_appendf(out, "  %s  %s", at, name ? name : "");
                if (attempt > 1)
                        strbuf_appendf(out, " (attempt %" PRId64 ")", attempt);
                strbuf_append_char(out, '\n');
        }
}

static const char *job_error(const struct json *job) {
        return json_member_text(json_child(job, "error"), "text");
}

static void job_errors(const struct json *jobs, const struct style *style, struct strbuf *out) {
        JSON_FOREACH_ITEM(i, job, jobs)
        if (job_error(job)) {
                _cleanup_free_ char *clean = text_clean(job_error(job));
                char label[STR_DEVICE_ID_SIZE + 4];
                str_format(label, sizeof label, "\n%s: ", json_member_text(job, "device"));
                strbuf_append(out, label);
                text_append_wrapped(out, clean ? clean : "", 2, style);
        }
}

int run_campaign_get(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_json_ struct json *result = NULL;
        int r;

        members_text(&params, "id", arguments_at(session->arguments, 0));
        members_option(&params, "revision", session->arguments, "revision");
        members_option(&params, "steps", session->arguments, "steps");
        r = get_campaign(session, &params, &result, failure);
        if (r < 0)
                return r;
        if (session->json)
                return session_print_json(session, result, failure);
        campaign_head(json_child(result, "campaign"), &out);
        strbuf_append_char(&out, '\n');
        r = jobs_render(json_child(result, "jobs"), &session->style, &out);
        if (r < 0)
                return failure_errno(failure, r);
        job_errors(json_child(result, "jobs"), &session->style, &out);
        JSON_FOREACH_ITEM(i, job, json_child(result, "jobs"))
        job_steps(job, &out);
        return session_print(session, &out, failure);
}

/* --- documents from a file --- */

static int read_document(const char *path, struct json **ret_document, struct failure *failure) {
        struct json_check_error why = { .text = "not a JSON document" };
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = file_read(path, JSON_SIZE_MAX, &text, &size, failure);

        if (r < 0)
                return r;
        r = json_parse(text, size, 0, ret_document, &why);
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

int run_campaign_start(struct session *session, struct failure *failure) {
        _cleanup_json_ struct json *document = NULL;
        int r = read_document(arguments_at(session->arguments, 0), &document, failure);

        return r < 0 ? r : order_run(session, &(struct order){ .document = document }, failure);
}

int run_campaign_plan(struct session *session, struct failure *failure) {
        _cleanup_json_ struct json *document = NULL;
        int r = read_document(arguments_at(session->arguments, 0), &document, failure);

        return r < 0 ? r
                     : order_plan(session, &(struct order){ .document = document, .all = arguments_flag(session->arguments, "all") },
                                  failure);
}

/* --- pause, resume, cancel, retry --- */

static int call_for_campaign(struct session *session, const char *method, struct members *params, struct json **ret_result,
                             struct failure *failure) {
        members_text(params, "id", arguments_at(session->arguments, 0));
        return session_call_patient(session, method, params, ret_result, failure);
}

static int change(struct session *session, const char *method, struct members *params, struct failure *failure) {
        _cleanup_json_ struct json *result = NULL;
        char state[256];
        int r = call_for_campaign(session, method, params, &result, failure);

        if (r < 0)
                return r;
        if (session->json)
                return session_print_json(session, result, failure);
        campaign_state_text(json_child(result, "campaign"), state, sizeof state);
        return session_say(session, failure, "%s is %s.\n", arguments_at(session->arguments, 0), state);
}

int run_pause(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();

        members_option(&params, "reason", session->arguments, "reason");
        return change(session, "campaign.pause", &params, failure);
}

int run_resume(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();

        return change(session, "campaign.resume", &params, failure);
}

static int print_canceled(struct session *session, const struct json *result, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        const struct json *going_on = json_child(result, "not_stopped");
        int r;

        strbuf_appendf(&out, "%s is canceled; %zu stopped.\n", arguments_at(session->arguments, 0),
                       json_length(json_child(result, "stopped")));
        JSON_FOREACH_ITEM(i, job, going_on) {
                const char *device = json_member_text(job, "device"), *step = json_member_text(job, "step"),
                           *reason = json_member_text(job, "reason");
                strbuf_appendf(&out, "%s goes on (%s): %s\n", device ? device : "", step ? step : "",
                               reason ? reason : "it is behind its point of no return");
        }
        r = session_print(session, &out, failure);
        return r < 0 ? r : json_length(going_on) > 0 ? EXIT_CODE_FINDINGS : EXIT_CODE_OK;
}

int run_cancel(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_json_ struct json *result = NULL;
        int r = call_for_campaign(session, "campaign.cancel", &params, &result, failure);

        if (r < 0)
                return r;
        if (!session->json)
                return print_canceled(session, result, failure);
        r = session_print_json(session, result, failure);
        return r < 0 ? r : json_length(json_child(result, "not_stopped")) > 0 ? EXIT_CODE_FINDINGS : EXIT_CODE_OK;
}

/* Devices that --device names, as ids. */
static int add_retry_devices(struct session *session, struct members *params, struct failure *failure) {
        _cleanup_str_list_ struct str_list words = STR_LIST_INIT, ids = STR_LIST_INIT;
        int r = arguments_texts(session->arguments, "device", &words);

        if (r < 0)
                return failure_errno(failure, r);
        for (size_t i = 0; i < words.n_items; i++) {
                char id[STR_DEVICE_ID_SIZE];
                if (!str_is_device_id(words.items[i]) || str_copy(id, sizeof id, words.items[i]) < 0)
                        r = session_device_id(session, words.items[i], id, failure);
                if (r < 0)
                        return r;
                r = str_list_append(&ids, id);
                if (r < 0)
                        return failure_errno(failure, r);
        }
        members_texts(params, "devices", &ids);
        return 0;
}

int run_retry(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_json_ struct json *result = NULL;
        int r = add_retry_devices(session, &params, failure);

        if (r < 0)
                return r;
        members_options(&params, "errors", session->arguments, "error");
        r = call_for_campaign(session, "campaign.retry", &params, &result, failure);
        if (r < 0)
                return r;
        if (session->json)
                return session_print_json(session, result, failure);
        return session_say(session, failure, "%zu queued again. `gatewayctl watch %s` shows the progress.\n",
                           json_length(json_child(result, "retried")), arguments_at(session->arguments, 0));
}
