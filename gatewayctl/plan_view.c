/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error_catalogue.h"
#include "base/str_list.h"
#include "table.h"

enum {
        COLUMN_GATEWAY,
        COLUMN_WAVE,
        COLUMN_DEVICE,
        COLUMN_MODEL,
        COLUMN_NOW,
        COLUMN_NEW,
        COLUMN_WHAT,
        COLUMN_MODE,
        COLUMN_TIME,
        COLUMN_ROLLBACK
};

static const struct table_column plan_columns[] = {
        [COLUMN_GATEWAY] = { .title = "GATEWAY" },
        [COLUMN_WAVE] = { .title = "WAVE", .side = TABLE_RIGHT },
        [COLUMN_DEVICE] = { .title = "DEVICE" },
        [COLUMN_MODEL] = { .title = "MODEL", .may_cut = true },
        [COLUMN_NOW] = { .title = "NOW" },
        [COLUMN_NEW] = { .title = "NEW" },
        [COLUMN_WHAT] = { .title = "WHAT" },
        [COLUMN_MODE] = { .title = "MODE" },
        [COLUMN_TIME] = { .title = "TIME", .side = TABLE_RIGHT },
        [COLUMN_ROLLBACK] = { .title = "ROLLBACK" },
};

int64_t plan_count(const struct json *plan, const char *verdict) {
        int64_t n = 0;

        json_member_int(json_child(plan, "counts"), verdict, 0, INT64_MAX, &n);
        return n;
}

bool plan_needs_statement(const struct json *plan) {
        JSON_FOREACH_ITEM(i, entry, json_child(plan, "devices")) {
                bool needs = false;
                if (json_member_bool(entry, "needs_statement", &needs) == 0 && needs)
                        return true;
        }
        return false;
}

static bool verdict_is(const struct json *entry, const char *verdict) {
        return str_equal(json_member_text(entry, "verdict"), verdict);
}

static void describe_work(const struct json *entry, char *dst, size_t size) {
        const char *work = json_member_text(entry, "work");
        int64_t bytes = 0;
        char number[32];

        if (str_equal(work, "nothing")) {
                str_copy(dst, size, "nothing: it runs this already");
        } else if (str_equal(work, "activate")) {
                str_copy(dst, size, "activate: no upload needed");
        } else if (json_member_int(entry, "upload_bytes", 1, INT64_MAX, &bytes) == 0) {
                text_bytes(number, sizeof number, bytes);
                str_format(dst, size, "upload %s", number);
        } else {
                str_copy(dst, size, work ? work : "");
        }
}

/* Some devices cannot be updated in the mode that was asked for; only then the mode needs a column. */
static bool modes_differ(const struct json *plan) {
        JSON_FOREACH_ITEM(i, entry, json_child(plan, "devices"))
        if (json_has(entry, "mode") && !str_equal(json_member_text(entry, "mode"), json_member_text(plan, "mode")))
                return true;
        return false;
}

/* Where there is one wave only, it needs no column. */
static bool has_waves(const struct json *plan) {
        int64_t wave;

        JSON_FOREACH_ITEM(i, entry, json_child(plan, "devices"))
        if (json_member_int(entry, "wave", 2, INT64_MAX, &wave) == 0)
                return true;
        return false;
}

static void update_cells(struct table *table, const struct json *entry, bool with_mode) {
        bool rollback;
        int64_t duration_ms;
        char what[80], number[32];

        describe_work(entry, what, sizeof what);
        table_cell(table, COLUMN_WHAT, what);
        if (with_mode)
                table_cell(table, COLUMN_MODE, json_member_text(entry, "mode"));
        if (json_member_int(entry, "duration_ms", 1, INT64_MAX, &duration_ms) == 0) {
                text_duration(number, sizeof number, MAX(duration_ms / 1000 * 1000, (int64_t) 1000));
                str_format(what, sizeof what, "~%s", number);
                table_cell(table, COLUMN_TIME, what);
        }
        if (json_member_bool(entry, "rollback_possible", &rollback) == 0)
                table_toned_cell(table, COLUMN_ROLLBACK, rollback ? "possible" : "not possible", rollback ? TONE_PLAIN : TONE_CARE);
}

static void verdict_cells(struct table *table, const struct json *entry) {
        const char *reason = json_member_text(entry, "reason"), *member = json_member_text(entry, "member");
        char what[128];

        if (verdict_is(entry, "wait")) {
                str_format(what, sizeof what, "waits: %s", reason ? reason : "");
                table_toned_cell(table, COLUMN_WHAT, what, TONE_CARE);
        } else if (verdict_is(entry, "reject")) {
                str_format(what, sizeof what, "refused: %s", reason ? reason : "");
                table_toned_cell(table, COLUMN_WHAT, what, TONE_BAD);
        } else if (verdict_is(entry, "unknown")) {
                str_format(what, sizeof what, "waits: devices.%s unknown", member ? member : "?");
                table_toned_cell(table, COLUMN_WHAT, what, TONE_CARE);
        } else {
                str_format(what, sizeof what, "not selected: devices.%s", member ? member : "?");
                table_toned_cell(table, COLUMN_WHAT, what, TONE_FAINT);
        }
}

static void wave_cell(struct table *table, const struct json *entry) {
        int64_t wave;
        char text[32];

        if (json_member_int(entry, "wave", 1, INT64_MAX, &wave) < 0)
                return;
        str_format(text, sizeof text, "%" PRId64, wave);
        table_cell(table, COLUMN_WAVE, text);
}

static void add_entry(struct table *table, const struct json *entry, bool with_mode, bool with_wave) {
        const char *now = json_member_text(entry, "version_now");

        table_row(table);
        if (with_wave)
                wave_cell(table, entry);
        table_cell(table, COLUMN_GATEWAY, json_member_text(entry, "gateway"));
        table_cell(table, COLUMN_DEVICE, json_member_text(entry, "device"));
        table_cell(table, COLUMN_MODEL, json_member_text(entry, "model"));
        table_cell(table, COLUMN_NEW, json_member_text(entry, "version_new"));
        if (verdict_is(entry, "update")) {
                table_cell(table, COLUMN_NOW, now ? now : "unknown");
                update_cells(table, entry, with_mode);
        } else {
                table_cell(table, COLUMN_NOW, now);
                verdict_cells(table, entry);
        }
}

static int render_table(const struct plan_view *view, const struct style *style, struct strbuf *out) {
        bool with_mode = modes_differ(view->plan), with_wave = has_waves(view->plan);
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(plan_columns, ARRAY_SIZE(plan_columns), &table);

        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, entry, json_child(view->plan, "devices"))
        if (view->all || !verdict_is(entry, "not-selected"))
                add_entry(table, entry, with_mode, with_wave);
        return table_render(table, style, out);
}

static void labelled(struct strbuf *out, const char *label, const char *text, const struct style *style, enum tone tone) {
        _cleanup_free_ char *clean = text_clean(text);

        text_append_toned(out, label, tone, style);
        text_append_wrapped(out, clean ? clean : "", text_columns(label), style);
}

/* Every different text once, with the devices that it is about: the one, or how many. */
static void render_texts(const struct plan_view *view, const struct style *style, struct strbuf *out) {
        const struct json *devices = json_child(view->plan, "devices");

        JSON_FOREACH_ITEM(i, entry, devices) {
                const char *text = json_member_text(entry, "text");
                size_t n_same = 0, n_before = 0;
                char label[STR_DEVICE_ID_SIZE + 8];
                if (!text || verdict_is(entry, "not-selected"))
                        continue;
                JSON_FOREACH_ITEM(j, other, devices) {
                        bool same = str_equal(json_member_text(other, "text"), text);
                        n_same += same;
                        n_before += same && j < i;
                }
                if (n_before > 0)
                        continue;
                if (n_same == 1)
                        str_format(label, sizeof label, "  %s: ", json_member_text(entry, "device"));
                else
                        str_format(label, sizeof label, "  %zu devices: ", n_same);
                labelled(out, label, text, style, TONE_PLAIN);
        }
}

/* What leads on, once for each reason that keeps a device out. */
static void render_advice(const struct plan_view *view, const struct style *style, struct strbuf *out) {
        _cleanup_str_list_ struct str_list seen = STR_LIST_INIT;

        JSON_FOREACH_ITEM(i, entry, json_child(view->plan, "devices")) {
                const char *reason = json_member_text(entry, "reason");
                const struct gw_error_info *info = reason ? error_catalogue_find(reason) : NULL;
                char label[64];
                if (!info || verdict_is(entry, "update") || str_list_contains(&seen, reason) || str_list_append(&seen, reason) < 0)
                        continue;
                str_format(label, sizeof label, "  %s: ", reason);
                labelled(out, label, info->advice, style, TONE_CARE);
        }
}

static void render_title(const struct plan_view *view, struct strbuf *out) {
        const char *version = json_member_text(view->package, "version"), *format = json_member_text(view->package, "format");
        const char *mode = json_member_text(view->plan, "mode");
        const char *id = json_member_text(view->plan, "id"), *title = view->title ? view->title : id;
        _cleanup_free_ char *clean = title ? text_clean(title) : NULL;
        int64_t n_update = plan_count(view->plan, "update"), n_wait = plan_count(view->plan, "wait") + plan_count(view->plan, "unknown");
        int64_t n_reject = plan_count(view->plan, "reject");

        strbuf_appendf(out, "Plan: %s", clean ? clean : "");
        if (version)
                strbuf_appendf(out, ", version %s", version);
        if (format)
                strbuf_appendf(out, " (%s)", format);
        if (mode)
                strbuf_appendf(out, ", mode %s", mode);
        strbuf_appendf(out, "; %" PRId64 " device%s to update", n_update, n_update == 1 ? "" : "s");
        if (n_wait > 0)
                strbuf_appendf(out, ", %" PRId64 " waiting", n_wait);
        if (n_reject > 0)
                strbuf_appendf(out, ", %" PRId64 " refused", n_reject);
        strbuf_append(out, "\n\n");
}

/* When it begins and ends, as far as anybody can say. One device has its time in the table. */
static void render_times(const struct plan_view *view, struct strbuf *out) {
        const struct json *window = json_child(view->plan, "window");
        const char *ends = json_member_text(view->plan, "ends"), *opens = json_member_text(window, "opens");
        int64_t eta_ms = 0, n_unknown = 0;
        bool is_open = true;
        char text[64];

        json_member_bool(window, "open", &is_open);
        if (!is_open && opens) {
                text_time(text, sizeof text, opens);
                strbuf_appendf(out, "  The maintenance window opens at %s.\n", text);
        }
        json_member_int(view->plan, "unknown_durations", 0, INT64_MAX, &n_unknown);
        if (json_member_int(view->plan, "eta_ms", 1000, INT64_MAX, &eta_ms) < 0 || !ends || plan_count(view->plan, "update") < 2)
                return;
        text_duration(text, sizeof text, eta_ms / 1000 * 1000);
        strbuf_appendf(out, "  All together %s %s, ", n_unknown > 0 ? "at least" : "about", text);
        text_time(text, sizeof text, ends);
        strbuf_appendf(out, "done by %s.\n", text);
}

static void render_warnings(const struct json *warnings, const struct style *style, struct strbuf *out) {
        JSON_FOREACH_ITEM(i, warning, warnings) {
                const char *text = json_string_or_null(warning);
                if (text)
                        labelled(out, "  Warning: ", text, style, TONE_CARE);
        }
}

int plan_render(const struct plan_view *view, const struct style *style, struct strbuf *out) {
        bool cut = false;
        int r;

        render_title(view, out);
        r = render_table(view, style, out);
        if (r < 0)
                return r;
        if (json_member_bool(view->plan, "cut", &cut) == 0 && cut)
                strbuf_append(out, "... and more; the counts above hold for all.\n");
        strbuf_append_char(out, '\n');
        render_times(view, out);
        render_texts(view, style, out);
        render_advice(view, style, out);
        render_warnings(json_child(view->plan, "warnings"), style, out);
        return out->error;
}
