/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "api/events.h"
#include "api/notify.h"
#include "base/str.h"

static struct json *data_of(const struct event_row *row) {
        struct json *data = NULL;
        return row->body && json_parse(row->body, strlen(row->body), 0, &data, NULL) >= 0 ? data : NULL;
}

const char *notice_of(const struct event_row *row) {
        static const struct {
                const char *type, *state, *notice;
        } rows[] = {
                { "campaign-state", "paused", "paused" },         { "campaign-state", "completed", "completed" },
                { "campaign-state", "canceled", "canceled" },     { "campaign-state", "superseded", "superseded" },
                { "campaign-state", "expired", "expired" },       { "job-result", "failed", "job-failed" },
                { "job-result", "timed_out", "job-failed" },      { "job-result", "rejected", "job-failed" },
        };
        _cleanup_json_ struct json *data = data_of(row);
        const char *state = json_member_text(data, "state");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (str_equal(rows[i].type, row->type) && str_equal(rows[i].state, state))
                        return rows[i].notice;
        return NULL;
}

/* --- the sentence --- */

static void add_count(struct strbuf *text, const struct json *counts, const char *member, const char *word) {
        int64_t n = 0;
        if (json_member_int(counts, member, 1, INT64_MAX, &n) >= 0)
                (void) strbuf_appendf(text, ", %" PRId64 " %s", n, word);
}

static void write_campaign(struct strbuf *text, const struct json *report, const char *notice) {
        const struct json *campaign = json_child(report, "campaign"), *counts = json_child(campaign, "counts");
        const char *reason = json_member_text(campaign, "reason");
        int64_t total = 0;
        (void) json_member_int(counts, "total", 0, INT64_MAX, &total);
        (void) strbuf_appendf(text, " is %s%s%s%s: %" PRId64 " devices", notice, reason ? " (" : "", reason ? reason : "", reason ? ")" : "", total);
        add_count(text, counts, "succeeded", "succeeded");
        add_count(text, counts, "failed", "failed");
        add_count(text, counts, "timed_out", "timed out");
        add_count(text, counts, "rejected", "rejected");
        add_count(text, counts, "in_progress", "in progress");
        add_count(text, counts, "queued", "queued");
}

static void write_job(struct strbuf *text, const struct event_row *row, const struct json *data) {
        const struct json *error = json_child(data, "error");
        const char *name = json_member_text(error, "name"), *what = json_member_text(error, "text");
        (void) strbuf_appendf(text, ": %s is %s", row->device, json_member_text(data, "state"));
        if (name)
                (void) strbuf_appendf(text, " with %s%s%s", name, what ? ": " : "", what ? what : "");
}

static int set_sentence(struct json *json, const struct api *api, const struct event_row *row, const char *notice, const struct json *report) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(4096);
        _cleanup_json_ struct json *data = data_of(row);
        (void) strbuf_appendf(&text, "%s: campaign %s", api->options.gateway_id, row->campaign ? row->campaign : "");
        if (row->device)
                write_job(&text, row, data);
        else
                write_campaign(&text, report, notice);
        return json_set_string(json, "text", strbuf_text(&text));
}

/* --- the document --- */

/* Of the failures the first, and without the devices: those are in campaign.report. */
static int set_failures(struct json *json, const struct json *report) {
        static const char *const kept[] = { "name", "class", "meaning", "advice", "count" };
        struct json *failures = json_set_new_array(json, "failures");
        if (!failures)
                return -ENOMEM;
        JSON_FOREACH_ITEM(i, failure, json_child(report, "failures")) {
                struct json *row = i < NOTICE_FAILURES_MAX ? json_append_new_object(failures) : NULL;
                for (size_t k = 0; row && k < ARRAY_SIZE(kept); k++) {
                        struct json *value = json_child(failure, kept[k]);
                        if (value && json_set(row, kept[k], json_ref(value)) < 0)
                                return -ENOMEM;
                }
        }
        return 0;
}

static int set_campaign(struct json *json, const struct json *report) {
        struct json *campaign = json_child(report, "campaign");
        return campaign ? json_set(json, "campaign", json_ref(campaign)) : 0;
}

int notice_write(const struct api *api, const struct event_row *row, const char *notice, char **ret_text, size_t *ret_size) {
        _cleanup_json_ struct json *json = json_new_object(), *report = NULL;
        _cleanup_free_ char *text = NULL;
        struct json *event = NULL;
        size_t size = 0;
        int r = json ? event_describe(api, row, &event) : -ENOMEM;
        if (r < 0)
                return r;
        /* The campaign as it is now, which may be later than the event; it may be deleted, too. */
        if (row->campaign)
                (void) update_campaign_report(api->options.update, row->campaign, row->revision, &report, NULL);
        json_set_string(json, "schema", "gatewayd/notice/1");
        json_set_string(json, "gateway", api->options.gateway_id);
        json_set_string(json, "notice", notice);
        r = set_sentence(json, api, row, notice, report);
        if (r >= 0)
                r = json_set(json, "event", event);
        else
                json_free(event);
        if (r >= 0)
                r = set_campaign(json, report);
        if (r >= 0 && !row->device)
                r = set_failures(json, report);
        if (r >= 0)
                r = json_write(json, &text, &size);
        if (r >= 0 && size > NOTICE_SIZE_MAX)
                r = -E2BIG;
        if (r < 0)
                return r;
        *ret_text = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}
