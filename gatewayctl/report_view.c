/* SPDX-License-Identifier: Apache-2.0 */
#include "report_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

/* --- many reports as one --- */

struct label {
        char *text; /* "smp-udp:kitchen", of many gateways "pi-oslo-1 smp-udp:kitchen" */
        const char *last_seen;
};

/* Devices of one error, or those that were not seen. Texts but the labels are lent by the reports. */
struct group {
        const char *name, *meaning, *advice;
        int64_t count;
        bool cut; /* labels are not all */
        struct label *labels;
        size_t n_labels;
};

struct summary {
        struct group *failures;
        size_t n_failures;
        struct group not_seen;
};

static void group_clear(struct group *group) {
        for (size_t i = 0; i < group->n_labels; i++)
                free(group->labels[i].text);
        free(group->labels);
}

static void summary_deinit(struct summary *summary) {
        for (size_t i = 0; i < summary->n_failures; i++)
                group_clear(&summary->failures[i]);
        free(summary->failures);
        group_clear(&summary->not_seen);
}

/* devices: ids, or objects with "device" and "last_seen". */
static int add_labels(struct group *group, const char *gateway, const struct json *devices) {
        struct label *labels = reallocarray(group->labels, group->n_labels + json_length(devices) + 1, sizeof *labels);

        if (!labels)
                return -ENOMEM;
        group->labels = labels;
        JSON_FOREACH_ITEM(i, device, devices) {
                const char *id = json_string_or_null(device) ? json_string_or_null(device) : json_member_text(device, "device");
                char *text = NULL;
                if (asprintf(&text, "%s%s%s", gateway ? gateway : "", gateway ? " " : "", id ? id : "") < 0)
                        return -ENOMEM;
                labels[group->n_labels++] = (struct label){ text, json_member_text(device, "last_seen") };
        }
        return 0;
}

static int add_group(struct group *group, const char *gateway, const struct json *json) {
        int64_t count = 0;
        bool cut = false;

        json_member_int(json, "count", 0, INT32_MAX, &count);
        json_member_bool(json, "cut", &cut);
        group->count += count;
        group->cut = group->cut || cut;
        return add_labels(group, gateway, json_child(json, "devices"));
}

static struct group *group_of(struct summary *summary, const struct json *json) {
        const char *name = json_member_text(json, "name");
        struct group *failures;

        for (size_t i = 0; i < summary->n_failures; i++)
                if (str_equal(summary->failures[i].name, name))
                        return &summary->failures[i];
        failures = reallocarray(summary->failures, summary->n_failures + 1, sizeof *failures);
        if (!failures)
                return NULL;
        summary->failures = failures;
        failures[summary->n_failures] =
                (struct group){ .name = name, .meaning = json_member_text(json, "meaning"), .advice = json_member_text(json, "advice") };
        return &failures[summary->n_failures++];
}

static int most_frequent_first(const void *a, const void *b) {
        const struct group *left = a, *right = b;

        if (left->count != right->count)
                return left->count > right->count ? -1 : 1;
        return strcmp(left->name ? left->name : "", right->name ? right->name : "");
}

static int summarise(const struct json *reports, struct summary *summary) {
        bool many = json_length(reports) > 1;
        int r = 0;

        JSON_FOREACH_ITEM(i, report, reports) {
                const char *gateway = many ? json_member_text(report, "gateway") : NULL;
                JSON_FOREACH_ITEM(j, failure, json_child(report, "failures")) {
                        struct group *group = r == 0 ? group_of(summary, failure) : NULL;
                        r = group ? add_group(group, gateway, failure) : -ENOMEM;
                }
                if (r == 0)
                        r = add_group(&summary->not_seen, gateway, json_child(report, "not_seen"));
        }
        if (summary->n_failures > 1)
                qsort(summary->failures, summary->n_failures, sizeof *summary->failures, most_frequent_first);
        return r;
}

/* --- counts --- */

static int64_t count_of(const struct json *report, const char *name) {
        int64_t n = 0;

        json_member_int(json_child(json_child(report, "campaign"), "counts"), name, 0, INT64_MAX, &n);
        return n;
}

static const char *const count_names[] = {
        "total", "succeeded", "failed", "timed_out", "rejected", "canceled", "superseded", "in_progress", "queued",
};
static const char *const count_titles[] = {
        "DEVICES", "SUCCEEDED", "FAILED", "TIMED OUT", "REJECTED", "CANCELED", "SUPERSEDED", "RUNNING", "WAITING",
};

static void state_of(const struct json *report, char *dst, size_t size) {
        const struct json *campaign = json_child(report, "campaign");
        const char *state = json_member_text(campaign, "state"), *reason = json_member_text(campaign, "reason");

        str_format(dst, size, reason ? "%s (%s)" : "%s", state ? state : "", reason);
}

/* --- text --- */

static int text_gateways(const struct json *reports, const struct style *style, struct strbuf *out) {
        struct table_column columns[2 + ARRAY_SIZE(count_names)] = { { .title = "GATEWAY" }, { .title = "STATE" } };
        _cleanup_table_ struct table *table = NULL;
        char text[256];
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(count_names); i++)
                columns[2 + i] = (struct table_column){ .title = count_titles[i], .side = TABLE_RIGHT };
        r = table_new(columns, ARRAY_SIZE(columns), &table);
        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, report, reports) {
                table_row(table);
                table_cell(table, 0, json_member_text(report, "gateway"));
                state_of(report, text, sizeof text);
                table_cell(table, 1, text);
                for (size_t j = 0; j < ARRAY_SIZE(count_names); j++) {
                        int64_t n = count_of(report, count_names[j]);
                        str_format(text, sizeof text, "%" PRId64, n);
                        table_cell(table, 2 + j, n > 0 || j == 0 ? text : NULL);
                }
        }
        return table_render(table, style, out);
}

static void text_line(struct strbuf *out, const char *label, const char *text, const struct style *style) {
        _cleanup_free_ char *clean = text ? text_clean(text) : NULL;

        if (!clean)
                return;
        strbuf_append(out, label);
        text_append_wrapped(out, clean, text_columns(label), style);
}

static void text_group(struct strbuf *out, const char *title, const struct group *group, const struct style *style) {
        _cleanup_strbuf_ struct strbuf devices = STRBUF_INIT(TEXT_LIMIT);
        const char *between = group->n_labels > 0 && strchr(group->labels[0].text, ' ') ? ", " : " ";
        char seen[48];

        if (group->count == 0)
                return;
        strbuf_appendf(out, "\n%s: %" PRId64 " device%s\n", title, group->count, group->count == 1 ? "" : "s");
        text_line(out, "  meaning: ", group->meaning, style);
        for (size_t i = 0; i < group->n_labels; i++) {
                strbuf_appendf(&devices, "%s%s", i ? between : "", group->labels[i].text);
                if (!group->labels[i].last_seen)
                        continue;
                text_time(seen, sizeof seen, group->labels[i].last_seen);
                strbuf_appendf(&devices, " (%s)", seen);
        }
        strbuf_append(&devices, group->cut ? " ..." : "");
        text_line(out, "  devices: ", strbuf_text(&devices), style);
        text_line(out, "  advice:  ", group->advice, style);
}

int report_text(const struct json *reports, const struct style *style, struct strbuf *out) {
        _cleanup_(summary_deinit) struct summary summary = { 0 };
        int r = summarise(reports, &summary);

        if (r == 0 && json_length(reports) > 1)
                r = text_gateways(reports, style, out);
        if (r < 0)
                return r;
        for (size_t i = 0; i < summary.n_failures; i++)
                text_group(out, summary.failures[i].name ? summary.failures[i].name : "", &summary.failures[i], style);
        text_group(out, "not seen since", &summary.not_seen, style);
        return out->error;
}

/* --- Markdown --- */

/* Text of others stays text: nothing in it becomes a heading, a link, a cell or HTML. */
static void markdown(struct strbuf *out, const char *text) {
        _cleanup_free_ char *clean = text ? text_clean(text) : NULL;

        for (const char *at = clean; at && *at; at++) {
                if (strchr("\\`*_[]<>|#!~&", *at))
                        strbuf_append_char(out, '\\');
                strbuf_append_char(out, *at);
        }
}

static void markdown_heading(const struct json *reports, struct strbuf *out) {
        const struct json *campaign = json_child(json_at(reports, 0), "campaign");
        const char *comment = json_member_text(campaign, "comment");
        int64_t revision = 1;

        json_member_int(campaign, "revision", 1, INT64_MAX, &revision);
        strbuf_append(out, "## Campaign ");
        markdown(out, json_member_text(campaign, "id"));
        strbuf_appendf(out, ", revision %" PRId64 "\n\n", revision);
        if (!comment)
                return;
        markdown(out, comment);
        strbuf_append(out, "\n\n");
}

static void markdown_row(const struct json *report, struct strbuf *out) {
        char state[256];

        strbuf_append(out, "| ");
        markdown(out, json_member_text(report, "gateway"));
        state_of(report, state, sizeof state);
        strbuf_append(out, " | ");
        markdown(out, state);
        for (size_t i = 0; i < ARRAY_SIZE(count_names); i++)
                strbuf_appendf(out, " | %" PRId64, count_of(report, count_names[i]));
        strbuf_append(out, " |\n");
}

static void markdown_table(const struct json *reports, struct strbuf *out) {
        strbuf_append(
                out,
                "| gateway | state | devices | succeeded | failed | timed out | rejected | canceled | superseded | running | waiting |\n"
                "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
        JSON_FOREACH_ITEM(i, report, reports)
        markdown_row(report, out);
}

static void markdown_group(struct strbuf *out, const char *title, const struct group *group) {
        if (group->count == 0)
                return;
        strbuf_append(out, "\n### ");
        markdown(out, title);
        strbuf_appendf(out, ": %" PRId64 " device%s\n\n", group->count, group->count == 1 ? "" : "s");
        if (group->meaning) {
                markdown(out, group->meaning);
                strbuf_append(out, "\n\n");
        }
        if (group->advice) {
                strbuf_append(out, "**What to do:** ");
                markdown(out, group->advice);
                strbuf_append(out, "\n\n");
        }
        for (size_t i = 0; i < group->n_labels; i++) {
                strbuf_append(out, "- ");
                markdown(out, group->labels[i].text);
                if (group->labels[i].last_seen)
                        strbuf_appendf(out, ", last seen %s", group->labels[i].last_seen);
                strbuf_append_char(out, '\n');
        }
        strbuf_append(out, group->cut ? "- ...\n" : "");
}

int report_markdown(const struct json *reports, struct strbuf *out) {
        _cleanup_(summary_deinit) struct summary summary = { 0 };
        int r = summarise(reports, &summary);

        if (r < 0)
                return r;
        markdown_heading(reports, out);
        markdown_table(reports, out);
        for (size_t i = 0; i < summary.n_failures; i++)
                markdown_group(out, summary.failures[i].name, &summary.failures[i]);
        markdown_group(out, "Not seen", &summary.not_seen);
        return out->error;
}

/* --- CSV --- */

/* Quoted where it must be. A text that a spreadsheet would take for a formula gets an apostrophe before it. */
static void csv_cell(struct strbuf *out, const char *text, bool first) {
        _cleanup_free_ char *clean = text ? text_clean(text) : NULL;
        bool formula, quoted;

        if (!first)
                strbuf_append_char(out, ',');
        if (!clean || !clean[0])
                return;
        formula = strchr("=+-@", clean[0]);
        quoted = formula || strpbrk(clean, ",\"\r\n ");
        if (!quoted) {
                strbuf_append(out, clean);
                return;
        }
        strbuf_append(out, formula ? "\"'" : "\"");
        for (const char *at = clean; *at; at++)
                strbuf_append(out, *at == '"' ? "\"\"" : (char[]){ *at, '\0' });
        strbuf_append_char(out, '"');
}

int report_csv(const struct json *jobs, const char *campaign, const char *gateway, struct strbuf *out) {
        static const char *const members[] = { "state",         "result", "proof",   "reason",  "version_before",
                                               "version_after", "queued", "started", "finished" };

        strbuf_append(
                out,
                "gateway,campaign,device,name,state,result,proof,reason,version_before,version_after,queued,started,finished,attempt,error,"
                "error_text\r\n");
        JSON_FOREACH_ITEM(i, job, jobs) {
                const struct json *error = json_child(job, "error");
                const char *own = json_member_text(job, "gateway");
                int64_t attempt = 0;
                json_member_int(job, "attempt", 0, INT64_MAX, &attempt);
                csv_cell(out, own ? own : gateway, true);
                csv_cell(out, campaign, false);
                csv_cell(out, json_member_text(job, "device"), false);
                csv_cell(out, json_member_text(job, "name"), false);
                for (size_t j = 0; j < ARRAY_SIZE(members); j++)
                        csv_cell(out, json_member_text(job, members[j]), false);
                strbuf_appendf(out, ",%" PRId64, attempt);
                csv_cell(out, json_member_text(error, "name"), false);
                csv_cell(out, json_member_text(error, "text"), false);
                strbuf_append(out, "\r\n");
        }
        return out->error;
}
