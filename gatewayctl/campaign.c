/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "document/campaign.h"
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

/* Several gateways have the same campaign, and one question for it is for all of them. */
static bool is_listed_before(const struct json *campaigns, size_t index, const char *id) {
        for (size_t i = 0; i < index; i++)
                if (str_equal(json_member_text(json_at(campaigns, i), "id"), id))
                        return true;
        return false;
}

static int collect_jobs(struct session *session, const char *device, struct json *jobs, struct failure *failure) {
        bool all = arguments_flag(session->arguments, "finished");
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
                r = id && !is_listed_before(json_child(list, "campaigns"), i, id) ? add_jobs(session, id, device, all, jobs, failure) : 0;
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
                                   arguments_flag(session->arguments, "finished") ? ""
                                                                                  : " waits or runs; --finished shows the others, too");
        r = jobs_render(jobs, &session->style, &out);
        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
}

/* --- campaign list --- */

enum {
        CAMPAIGN_GATEWAY,
        CAMPAIGN_ID,
        CAMPAIGN_STATE,
        CAMPAIGN_DEVICES,
        CAMPAIGN_DONE,
        CAMPAIGN_FAILED,
        CAMPAIGN_ACCEPTED,
        CAMPAIGN_COMMENT
};

static const struct table_column campaign_columns[] = {
        [CAMPAIGN_GATEWAY] = { .title = "GATEWAY" },
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
        table_cell(table, CAMPAIGN_GATEWAY, json_member_text(campaign, "gateway"));
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

static int render_campaigns(const struct json *campaigns, const struct style *style, struct strbuf *out) {
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(campaign_columns, ARRAY_SIZE(campaign_columns), &table);

        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, campaign, campaigns)
        add_campaign(table, campaign);
        return table_render(table, style, out);
}

int run_campaign_list(struct session *session, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_json_ struct json *result = NULL;
        int r = list_campaigns(session, !arguments_flag(session->arguments, "unfinished"), &result, failure);

        if (r < 0)
                return r;
        if (session->json)
                return session_print_json(session, result, failure);
        if (json_length(json_child(result, "campaigns")) == 0)
                return session_say(session, failure, "No campaign.\n");
        r = render_campaigns(json_child(result, "campaigns"), &session->style, &out);
        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
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
                const char *gateway = json_member_text(job, "gateway");
                char label[STR_GATEWAY_ID_MAX + STR_DEVICE_ID_SIZE + 8];
                str_format(label, sizeof label, "\n%s%s%s: ", gateway ? gateway : "", gateway ? " " : "", json_member_text(job, "device"));
                strbuf_append(out, label);
                text_append_wrapped(out, clean ? clean : "", 2, style);
        }
}

/* How it stands on each of several gateways. */
static int render_heads(const struct json *gateways, const struct style *style, struct strbuf *out) {
        _cleanup_json_ struct json *campaigns = json_new_array();
        int r = campaigns ? 0 : -ENOMEM;

        JSON_FOREACH_ITEM(i, entry, gateways) {
                struct json *campaign = json_child(json_child(entry, "result"), "campaign");
                if (campaign && r == 0)
                        r = json_set_string(campaign, "gateway", json_member_text(entry, "gateway"));
                if (campaign && r == 0)
                        r = json_append(campaigns, json_ref(campaign));
        }
        return r < 0 ? r : render_campaigns(campaigns, style, out);
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
        if (session_is_many(session))
                r = render_heads(json_child(result, "gateways"), &session->style, &out);
        else
                campaign_head(json_child(result, "campaign"), &out);
        if (r < 0)
                return failure_errno(failure, r);
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

int run_campaign_start(struct session *session, struct failure *failure) {
        _cleanup_order_file_ struct order_file file = { 0 };
        int r = order_file_read(arguments_at(session->arguments, 0), &file, failure);

        if (r == 0)
                r = order_file_prepare(session, &file, failure);
        return r < 0 ? r : order_run(session, &(struct order){ .document = file.document, .file = &file }, failure);
}

int run_campaign_plan(struct session *session, struct failure *failure) {
        _cleanup_order_file_ struct order_file file = { 0 };
        bool all = arguments_flag(session->arguments, "unselected");
        int r = order_file_read(arguments_at(session->arguments, 0), &file, failure);

        if (r == 0)
                r = order_file_prepare(session, &file, failure);
        return r < 0 ? r : order_plan(session, &(struct order){ .document = file.document, .file = &file, .all = all }, failure);
}

/* Every device that the campaign updated goes back to what it ran before: now, as there is nothing to download in the usual case. */
static int rollback_document(struct session *session, const char *campaign, struct json **ret_document, struct failure *failure) {
        _cleanup_members_ struct members document = members_new(), devices = members_new(), policy = members_new();
        char id[ORDER_ID_SIZE], comment[STR_ID_MAX + 32];
        int r = order_id("rollback", session->now_wall_ms, id);

        if (r < 0)
                return failure_errno(failure, r);
        str_format(comment, sizeof comment, "takes %s back", campaign);
        members_text(&document, "schema", CAMPAIGN_SCHEMA);
        members_text(&document, "id", id);
        members_number(&document, "revision", 1);
        members_text(&document, "comment", comment);
        members_text(&document, "rollback_of", campaign);
        members_bool(&devices, "all", true);
        members_number(&policy, "start_jitter_s", 0);
        r = devices.error < 0 ? devices.error : policy.error;
        if (r == 0) {
                members_json(&document, "devices", TAKE_PTR(devices.json));
                members_json(&document, "policy", TAKE_PTR(policy.json));
                r = document.error;
        }
        if (r < 0)
                return failure_errno(failure, r);
        *ret_document = TAKE_PTR(document.json);
        return 0;
}

/* To a file, in place of being started. */
static int write_order(const char *path, const struct order_file *file, struct failure *failure) {
        _cleanup_free_ char *text = NULL;
        bool standard_output = strcmp(path, "-") == 0;
        FILE *stream;
        int r = file->jws ? 0 : json_write_pretty(file->document, &text, NULL);

        if (r < 0)
                return failure_errno(failure, r);
        stream = standard_output ? stdout : fopen(path, "we");
        r = stream && fprintf(stream, "%s\n", file->jws ? file->jws : text) >= 0 && fflush(stream) == 0 ? 0 : -errno;
        if (stream && !standard_output && fclose(stream) != 0 && r == 0)
                r = -errno;
        return r < 0 ? failure_set(failure, EXIT_CODE_INTERNAL, "output-failed", "%s: %s", path, strerror(-r)) : 0;
}

int run_campaign_rollback(struct session *session, struct failure *failure) {
        const char *campaign = arguments_at(session->arguments, 0), *path = arguments_text(session->arguments, "output");
        _cleanup_order_file_ struct order_file file = { 0 };
        struct json *document = NULL;
        char title[STR_ID_MAX + 32];
        int r;

        if (!str_is_id(campaign))
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "campaign rollback %s: expected the id of a campaign", campaign);
        r = rollback_document(session, campaign, &document, failure);
        if (r == 0)
                r = order_file_from(document, &file, failure);
        if (r == 0)
                r = order_file_prepare(session, &file, failure);
        if (r < 0 || path)
                return r < 0 ? r : write_order(path, &file, failure);
        str_format(title, sizeof title, "takes %s back", campaign);
        return order_run(session, &(struct order){ .document = file.document, .file = &file, .title = title }, failure);
}

/* --- pause, resume, continue, cancel, retry --- */

static int change(struct session *session, const char *method, struct members *params, session_show show, struct failure *failure) {
        members_text(params, "id", arguments_at(session->arguments, 0));
        return session_each(session, &(struct session_question){ .method = method, .params = params, .patient = true }, show, failure);
}

static int show_state(struct session *session, const struct json *result, struct strbuf *out) {
        char state[256];

        campaign_state_text(json_child(result, "campaign"), state, sizeof state);
        strbuf_appendf(out, "%s is %s.\n", arguments_at(session->arguments, 0), state);
        return EXIT_CODE_OK;
}

int run_pause(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();

        members_option(&params, "reason", session->arguments, "reason");
        return change(session, "campaign.pause", &params, show_state, failure);
}

int run_resume(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();

        return change(session, "campaign.resume", &params, show_state, failure);
}

int run_continue(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();

        return change(session, "campaign.continue", &params, show_state, failure);
}

static int show_canceled(struct session *session, const struct json *result, struct strbuf *out) {
        const struct json *going_on = json_child(result, "not_stopped");

        strbuf_appendf(out, "%s is canceled; %zu stopped.\n", arguments_at(session->arguments, 0),
                       json_length(json_child(result, "stopped")));
        JSON_FOREACH_ITEM(i, job, going_on) {
                const char *device = json_member_text(job, "device"), *step = json_member_text(job, "step"),
                           *reason = json_member_text(job, "reason");
                strbuf_appendf(out, "%s goes on (%s): %s\n", device ? device : "", step ? step : "",
                               reason ? reason : "it is behind its point of no return");
        }
        return json_length(going_on) > 0 ? EXIT_CODE_FINDINGS : EXIT_CODE_OK;
}

int run_cancel(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();

        return change(session, "campaign.cancel", &params, show_canceled, failure);
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

static int show_retried(struct session *session, const struct json *result, struct strbuf *out) {
        strbuf_appendf(out, "%zu queued again. `gatewayctl watch %s` shows the progress.\n", json_length(json_child(result, "retried")),
                       arguments_at(session->arguments, 0));
        return EXIT_CODE_OK;
}

int run_retry(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        int r = add_retry_devices(session, &params, failure);

        if (r < 0)
                return r;
        members_options(&params, "errors", session->arguments, "error");
        return change(session, "campaign.retry", &params, show_retried, failure);
}
