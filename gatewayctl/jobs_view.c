/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs_view.h"

#include <inttypes.h>
#include <string.h>

#include "base/str_list.h"
#include "base/time.h"
#include "document/names.h"
#include "table.h"

static bool job_state(const struct json *job, enum job_state *ret_state) {
        const char *text = json_member_text(job, "state");

        return text && job_state_parse(text, ret_state) == 0;
}

static bool has_succeeded(const struct json *job) {
        enum job_state state;

        return job_state(job, &state) && state == JOB_STATE_SUCCEEDED;
}

static bool is_final(const struct json *job) {
        enum job_state state;

        return job_state(job, &state) && job_state_is_final(state);
}

size_t jobs_without_success(const struct json *jobs) {
        size_t n = 0;

        JSON_FOREACH_ITEM(i, job, jobs)
        n += !has_succeeded(job);
        return n;
}

static const char *error_name(const struct json *job) {
        return json_member_text(json_child(job, "error"), "name");
}

void job_outcome(const struct json *job, char outcome[static OUTCOME_SIZE]) {
        const char *state = json_member_text(job, "state"), *result = json_member_text(job, "result"),
                   *proof = json_member_text(job, "proof");
        const char *error = error_name(job);

        if (result && proof && strcmp(proof, "none") != 0)
                str_format(outcome, OUTCOME_SIZE, "%s, proof %s", result, proof);
        else if (result)
                str_format(outcome, OUTCOME_SIZE, "%s, without proof", result);
        else if (error && !str_equal(error, state))
                str_format(outcome, OUTCOME_SIZE, "%s: %s", state ? state : "failed", error);
        else
                str_copy(outcome, OUTCOME_SIZE, state ? state : "");
}

void job_progress(const struct json *message, struct progress_state *state, char outcome[static OUTCOME_SIZE]) {
        const char *waiting = json_member_text(message, "waiting"), *reason = json_member_text(message, "reason");
        int64_t percent = -1;
        enum job_state job;

        *state = (struct progress_state){ .phase = PROGRESS_RUNNING, .step = json_member_text(message, "step") };
        outcome[0] = '\0';
        if (job_state(message, &job)) {
                if (job_state_is_final(job)) {
                        job_outcome(message, outcome);
                        *state = (struct progress_state){ .phase = job == JOB_STATE_SUCCEEDED ? PROGRESS_SUCCEEDED : PROGRESS_FAILED,
                                                          .outcome = outcome };
                } else if (job == JOB_STATE_QUEUED) {
                        state->phase = PROGRESS_QUEUED;
                }
        }
        state->waiting = waiting ? waiting : is_final(message) ? NULL : reason;
        json_member_int(message, "percent", 0, 100, &percent);
        state->percent = (int) percent;
        json_member_int(message, "rate_bytes_s", 0, INT64_MAX, &state->rate_bytes_s);
        json_member_int(message, "eta_ms", 0, INT64_MAX, &state->eta_ms);
        json_member_int(message, "attempt", 0, INT64_MAX, &state->attempt);
}

/* --- tables --- */

static void version_change(const struct json *job, const struct style *style, char *dst, size_t size) {
        const char *before = json_member_text(job, "version_before"), *after = json_member_text(job, "version_after");

        if (before && after && strcmp(before, after) != 0)
                str_format(dst, size, "%s %s %s", before, style->utf8 ? "→" : "->", after);
        else
                str_copy(dst, size, after ? after : before ? before : "");
}

static void duration_of(const struct json *job, char *dst, size_t size) {
        const char *started = json_member_text(job, "started"), *finished = json_member_text(job, "finished");
        int64_t started_ms, finished_ms;

        dst[0] = '\0';
        if (started && finished && time_parse_rfc3339(started, &started_ms) == 0 && time_parse_rfc3339(finished, &finished_ms) == 0 &&
            finished_ms >= started_ms)
                text_duration(dst, size, finished_ms - started_ms);
}

static enum tone tone_of(const struct json *job) {
        if (!is_final(job))
                return TONE_PLAIN;
        return has_succeeded(job) ? TONE_GOOD : TONE_BAD;
}

enum { JOB_GATEWAY, JOB_CAMPAIGN, JOB_DEVICE, JOB_STATE, JOB_STEP, JOB_PERCENT, JOB_LEFT, JOB_ATTEMPT, JOB_RESULT, JOB_VERSION, JOB_TOOK };

static const struct table_column job_columns[] = {
        [JOB_GATEWAY] = { .title = "GATEWAY" },
        [JOB_CAMPAIGN] = { .title = "CAMPAIGN", .may_cut = true },
        [JOB_DEVICE] = { .title = "DEVICE" },
        [JOB_STATE] = { .title = "STATE" },
        [JOB_STEP] = { .title = "STEP" },
        [JOB_PERCENT] = { .title = "DONE", .side = TABLE_RIGHT },
        [JOB_LEFT] = { .title = "LEFT", .side = TABLE_RIGHT },
        [JOB_ATTEMPT] = { .title = "ATTEMPT", .side = TABLE_RIGHT },
        [JOB_RESULT] = { .title = "RESULT OR REASON", .may_cut = true },
        [JOB_VERSION] = { .title = "VERSION" },
        [JOB_TOOK] = { .title = "TOOK", .side = TABLE_RIGHT },
};

static void add_numbers(struct table *table, const struct json *job) {
        int64_t number;
        char text[32];

        if (json_member_int(job, "percent", 0, 100, &number) == 0) {
                str_format(text, sizeof text, "%" PRId64 " %%", number);
                table_cell(table, JOB_PERCENT, text);
        }
        if (json_member_int(job, "eta_ms", 1, INT64_MAX, &number) == 0) {
                text_duration(text, sizeof text, MAX(number / 1000 * 1000, (int64_t) 1000));
                table_cell(table, JOB_LEFT, text);
        }
}

static void add_job(struct table *table, const struct json *job, const struct style *style) {
        const char *reason = json_member_text(job, "reason");
        char text[OUTCOME_SIZE];
        int64_t attempt = 0, attempts = 0;

        table_row(table);
        table_cell(table, JOB_GATEWAY, json_member_text(job, "gateway"));
        table_cell(table, JOB_CAMPAIGN, json_member_text(job, "campaign"));
        table_cell(table, JOB_DEVICE, json_member_text(job, "device"));
        table_toned_cell(table, JOB_STATE, json_member_text(job, "state"), tone_of(job));
        if (!is_final(job)) {
                table_cell(table, JOB_STEP, json_member_text(job, "step"));
                add_numbers(table, job);
                table_toned_cell(table, JOB_RESULT, reason, TONE_CARE);
        } else {
                const char *result = json_member_text(job, "result"), *proof = json_member_text(job, "proof"), *error = error_name(job);
                str_format(text, sizeof text, "%s%s%s",
                           result  ? result
                           : error ? error
                                   : "",
                           result && proof ? ", " : "", result && proof ? proof : "");
                table_cell(table, JOB_RESULT, text);
        }
        if (json_member_int(job, "attempt", 2, INT64_MAX, &attempt) == 0 &&
            json_member_int(job, "attempts", 0, INT64_MAX, &attempts) == 0) {
                str_format(text, sizeof text, "%" PRId64 "/%" PRId64, attempt, attempts);
                table_cell(table, JOB_ATTEMPT, text);
        }
        version_change(job, style, text, sizeof text);
        table_cell(table, JOB_VERSION, text);
        duration_of(job, text, sizeof text);
        table_cell(table, JOB_TOOK, text);
}

int jobs_render(const struct json *jobs, const struct style *style, struct strbuf *out) {
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(job_columns, ARRAY_SIZE(job_columns), &table);

        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, job, jobs)
        add_job(table, job, style);
        return table_render(table, style, out);
}

/* --- results --- */

enum { RESULT_GATEWAY, RESULT_DEVICE, RESULT_RESULT, RESULT_PROOF, RESULT_VERSION, RESULT_TOOK };

static const struct table_column result_columns[] = {
        [RESULT_GATEWAY] = { .title = "GATEWAY" }, [RESULT_DEVICE] = { .title = "DEVICE" },
        [RESULT_RESULT] = { .title = "RESULT" },   [RESULT_PROOF] = { .title = "PROOF OR ERROR" },
        [RESULT_VERSION] = { .title = "VERSION" }, [RESULT_TOOK] = { .title = "TOOK", .side = TABLE_RIGHT },
};

static void add_result(struct table *table, const struct json *job, const struct style *style) {
        const char *result = json_member_text(job, "result"), *state = json_member_text(job, "state");
        const char *proof = json_member_text(job, "proof"), *reason = json_member_text(job, "reason");
        char text[OUTCOME_SIZE];

        table_row(table);
        table_cell(table, RESULT_GATEWAY, json_member_text(job, "gateway"));
        table_cell(table, RESULT_DEVICE, json_member_text(job, "device"));
        table_toned_cell(table, RESULT_RESULT, has_succeeded(job) && result ? result : state, tone_of(job));
        table_cell(table, RESULT_PROOF, has_succeeded(job) ? proof : error_name(job) ? error_name(job) : reason);
        version_change(job, style, text, sizeof text);
        table_cell(table, RESULT_VERSION, text);
        duration_of(job, text, sizeof text);
        table_cell(table, RESULT_TOOK, text);
}

static void labelled(struct strbuf *out, const char *label, const char *text, const struct style *style) {
        _cleanup_free_ char *clean = text_clean(text);

        strbuf_append(out, label);
        text_append_wrapped(out, clean ? clean : "", text_columns(label), style);
}

static void render_notes(const struct json *job, const struct style *style, struct strbuf *out) {
        JSON_FOREACH_ITEM(i, note, json_child(job, "notes"))
        if (json_string_or_null(note))
                labelled(out, "    noted: ", json_string_or_null(note), style);
}

/* All devices that met this error, then what leads to the repair. */
static void render_error(const struct json *jobs, const char *name, const struct style *style, struct strbuf *out) {
        const char *advice = NULL;

        strbuf_append_char(out, '\n');
        text_append_toned(out, name, TONE_BAD, style);
        strbuf_append_char(out, '\n');
        JSON_FOREACH_ITEM(i, job, jobs) {
                const char *text = json_member_text(json_child(job, "error"), "text"), *device = json_member_text(job, "device"),
                           *gateway = json_member_text(job, "gateway");
                char label[STR_GATEWAY_ID_MAX + STR_DEVICE_ID_SIZE + 8];
                if (!str_equal(error_name(job), name))
                        continue;
                str_format(label, sizeof label, "  %s%s%s: ", gateway ? gateway : "", gateway ? " " : "", device ? device : "");
                labelled(out, label, text ? text : "", style);
                render_notes(job, style, out);
                if (!advice)
                        advice = json_member_text(json_child(job, "error"), "advice");
        }
        if (advice)
                labelled(out, "  What to do: ", advice, style);
}

static void render_errors(const struct json *jobs, const struct style *style, struct strbuf *out) {
        _cleanup_str_list_ struct str_list seen = STR_LIST_INIT;

        JSON_FOREACH_ITEM(i, job, jobs) {
                const char *name = is_final(job) ? error_name(job) : NULL;
                if (!name || str_list_contains(&seen, name))
                        continue;
                if (str_list_append(&seen, name) < 0) {
                        out->error = -ENOMEM;
                        return;
                }
                render_error(jobs, name, style, out);
        }
}

static void render_sum(const struct json *jobs, struct strbuf *out) {
        size_t n_all = json_length(jobs), n_bad = jobs_without_success(jobs), n_open = 0;

        JSON_FOREACH_ITEM(i, job, jobs)
        n_open += !is_final(job);
        strbuf_appendf(out, "\n%zu of %zu device%s succeeded", n_all - n_bad, n_all, n_all == 1 ? "" : "s");
        if (n_bad > n_open)
                strbuf_appendf(out, ", %zu did not", n_bad - n_open);
        if (n_open > 0)
                strbuf_appendf(out, ", %zu %s not over", n_open, n_open == 1 ? "is" : "are");
        strbuf_append(out, ".\n");
}

int results_render(const struct json *jobs, const struct style *style, struct strbuf *out) {
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(result_columns, ARRAY_SIZE(result_columns), &table);

        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, job, jobs)
        add_result(table, job, style);
        r = table_render(table, style, out);
        if (r < 0)
                return r;
        render_errors(jobs, style, out);
        if (json_length(jobs) > 1)
                render_sum(jobs, out);
        return out->error;
}
