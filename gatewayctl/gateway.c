/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <inttypes.h>

static void fact(struct strbuf *out, const char *name, const char *value) {
        _cleanup_free_ char *clean = value ? text_clean(value) : NULL;

        if (clean && clean[0])
                strbuf_appendf(out, "%-14s%s\n", name, clean);
}

static void fact_number(struct strbuf *out, const struct json *object, const char *key, const char *name) {
        int64_t number;
        char text[32];

        if (json_member_int(object, key, INT64_MIN, INT64_MAX, &number) < 0)
                return;
        str_format(text, sizeof text, "%" PRId64, number);
        fact(out, name, text);
}

static void fact_bytes(struct strbuf *out, const struct json *object, const char *key, const char *name) {
        int64_t bytes;
        char text[32];

        if (json_member_int(object, key, 0, INT64_MAX, &bytes) < 0)
                return;
        text_bytes(text, sizeof text, bytes);
        fact(out, name, text);
}

static void fact_duration(struct strbuf *out, const struct json *object, const char *key, const char *name) {
        int64_t ms;
        char text[48];

        if (json_member_int(object, key, 0, INT64_MAX, &ms) < 0)
                return;
        text_duration(text, sizeof text, ms);
        fact(out, name, text);
}

/* --- info --- */

static void info_head(struct strbuf *out, const struct json *info) {
        const char *time = json_member_text(info, "time"), *credible = json_member_text(info, "time_credible");
        char text[128], at[48];

        fact(out, "gateway", json_member_text(info, "id"));
        fact(out, "version", json_member_text(info, "version"));
        fact_number(out, info, "abi", "plugin ABI");
        JSON_FOREACH_ITEM(i, group, json_child(info, "groups"))
        fact(out, "group", json_string_or_null(group));
        fact_number(out, info, "pid", "process");
        fact_duration(out, info, "uptime_ms", "running for");
        if (time) {
                text_time(at, sizeof at, time);
                str_format(text, sizeof text, "%s (%s)", at, credible ? credible : "unknown");
                fact(out, "clock", text);
        }
        fact(out, "configuration", json_member_text(info, "configuration"));
        fact(out, "state", json_member_text(info, "state_dir"));
        fact(out, "epoch", json_member_text(info, "epoch"));
        fact_bytes(out, info, "memory_bytes", "memory");
}

static const struct table_column plugin_columns[] = {
        { .title = "PLUGIN" }, { .title = "VERSION" }, { .title = "STATE" }, { .title = "SUMMARY", .may_cut = true }
};
static const struct table_column driver_columns[] = {
        { .title = "DRIVER" }, { .title = "PLUGIN" }, { .title = "STATE" }, { .title = "SUMMARY", .may_cut = true }
};

static const char *error_or(const struct json *object, const char *flag, const char *yes, const char *no, enum tone *ret_tone) {
        const char *name = json_member_text(json_child(object, "error"), "name");
        bool value = false;

        json_member_bool(object, flag, &value);
        *ret_tone = value ? TONE_GOOD : TONE_BAD;
        return value ? yes : name ? name : no;
}

static void add_plugin(struct table *table, const struct json *plugin) {
        enum tone tone;
        const char *state = error_or(plugin, "loaded", "loaded", "not loaded", &tone),
                   *text = json_member_text(json_child(plugin, "error"), "text");

        table_row(table);
        table_cell(table, 0, json_member_text(plugin, "name"));
        table_cell(table, 1, json_member_text(plugin, "version"));
        table_toned_cell(table, 2, state, tone);
        table_cell(table, 3, text ? text : json_member_text(plugin, "summary"));
}

static void add_driver(struct table *table, const struct json *driver) {
        enum tone tone;
        const char *state = error_or(driver, "started", "ready", "not started", &tone),
                   *text = json_member_text(json_child(driver, "error"), "text");

        table_row(table);
        table_cell(table, 0, json_member_text(driver, "name"));
        table_cell(table, 1, json_member_text(driver, "plugin"));
        table_toned_cell(table, 2, state, tone);
        table_cell(table, 3, text ? text : json_member_text(driver, "summary"));
}

static int add_table(struct strbuf *out, const struct json *rows, const struct table_column *columns,
                     void (*add)(struct table *, const struct json *), const struct style *style) {
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(columns, 4, &table);

        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, row, rows)
        add(table, row);
        if (table_n_rows(table) > 0)
                strbuf_append_char(out, '\n');
        return table_render(table, style, out);
}

static int show_info(struct session *session, const struct json *info, struct strbuf *out) {
        int r;

        info_head(out, info);
        r = add_table(out, json_child(info, "plugins"), plugin_columns, add_plugin, &session->style);
        return r < 0 ? r : add_table(out, json_child(info, "drivers"), driver_columns, add_driver, &session->style);
}

int run_gateway_info(struct session *session, struct failure *failure) {
        return session_each(session, &(struct session_question){ .method = "gateway.info" }, show_info, failure);
}

/* --- health --- */

/* {"queued": 3, "in_progress": 1} as "queued 3, in_progress 1". */
static void fact_counts(struct strbuf *out, const struct json *health, const char *key) {
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT(TEXT_LIMIT);

        JSON_FOREACH_MEMBER(it, json_child(health, key)) {
                int64_t number;
                if (json_get_int(it.value, INT64_MIN, INT64_MAX, &number) == 0)
                        strbuf_appendf(&line, "%s%s %" PRId64, line.size ? ", " : "", it.key, number);
        }
        fact(out, key, strbuf_text(&line));
}

/* Doors to other machines: "mqtt connected (broker.acme.example:8883)". */
static void health_doors(struct strbuf *out, const struct json *doors) {
        JSON_FOREACH_ITEM(i, door, doors) {
                const char *name = json_member_text(door, "door"), *state = json_member_text(door, "state"),
                           *peer = json_member_text(door, "peer");
                const char *part = json_member_text(door, "part");
                char text[320];
                str_format(text, sizeof text, "%s%s%s %s%s%s%s", name ? name : "", part ? " " : "", part ? part : "", state ? state : "", peer ? " (" : "", peer ? peer : "",
                           peer ? ")" : "");
                fact(out, "door", text);
        }
}

/* "broker.acme.example:8883 (mqtt): 29 days" */
static void health_certificates(struct strbuf *out, const struct json *certificates) {
        JSON_FOREACH_ITEM(i, certificate, certificates) {
                const char *peer = json_member_text(certificate, "peer"), *use = json_member_text(certificate, "use");
                char text[400];
                int64_t days;
                if (json_member_int(certificate, "days_left", INT64_MIN, INT64_MAX, &days) < 0)
                        continue;
                str_format(text, sizeof text, "%s (%s): %" PRId64 " days left", peer ? peer : "", use ? use : "", days);
                fact(out, "certificate", text);
        }
}

static void health_problems(struct strbuf *out, const struct json *problems, const struct style *style) {
        JSON_FOREACH_ITEM(i, problem, problems) {
                const char *name = json_member_text(problem, "name"), *text = json_member_text(problem, "text"),
                           *advice = json_member_text(problem, "advice");
                _cleanup_free_ char *clean = text_clean(text ? text : "");
                strbuf_append_char(out, '\n');
                text_append_toned(out, name ? name : "", TONE_BAD, style);
                strbuf_append(out, ": ");
                text_append_wrapped(out, clean ? clean : "", 2, style);
                if (advice) {
                        strbuf_append(out, "  ");
                        text_append_wrapped(out, advice, 2, style);
                }
        }
}

static int show_health(struct session *session, const struct json *health, struct strbuf *out) {
        static const char *const counts[] = { "devices", "jobs", "campaigns", "events" };

        fact(out, "status", json_member_text(health, "status"));
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
                fact_counts(out, health, counts[i]);
        fact_bytes(out, json_child(health, "store"), "size_bytes", "store");
        fact_bytes(out, json_child(health, "artifacts"), "used_bytes", "artifacts");
        fact_bytes(out, json_child(health, "artifacts"), "free_bytes", "disk free");
        health_doors(out, json_child(health, "doors"));
        health_certificates(out, json_child(health, "certificates"));
        health_problems(out, json_child(health, "problems"), &session->style);
        return str_equal(json_member_text(health, "status"), "ok") ? EXIT_CODE_OK : EXIT_CODE_FINDINGS;
}

int run_gateway_health(struct session *session, struct failure *failure) {
        return session_each(session, &(struct session_question){ .method = "gateway.health" }, show_health, failure);
}

/* --- reload --- */

static void print_keys(const struct json *keys, struct strbuf *out) {
        int64_t n_known = 0;

        if (!keys)
                return;
        json_member_int(keys, "known", 0, INT64_MAX, &n_known);
        strbuf_appendf(out, "Keys that may sign: %" PRId64 ".\n", n_known);
        JSON_FOREACH_ITEM(i, fault, json_child(keys, "left_out"))
        strbuf_appendf(out, "Left out: %s: %s (%s)\n", json_member_text(fault, "file"), json_member_text(fault, "text"),
                       json_member_text(fault, "name"));
}

int run_gateway_reload(struct session *session, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_json_ struct json *result = NULL;
        int64_t n_adopted = 0;
        int r = session_call_patient(session, "gateway.reload", NULL, &result, failure);

        if (r < 0)
                return r;
        if (session->json)
                return session_print_json(session, result, failure);
        JSON_FOREACH_ITEM(i, change, json_child(result, "changed")) {
                const char *section = json_member_text(change, "section"), *key = json_member_text(change, "key");
                bool needs_restart = false;
                json_member_bool(change, "needs_restart", &needs_restart);
                strbuf_appendf(&out, "[%s] %s%s\n", section ? section : "", key ? key : "", needs_restart ? ": only after a restart" : "");
        }
        json_member_int(result, "adopted", 0, INT64_MAX, &n_adopted);
        strbuf_appendf(&out, "Configuration read: %zu changed, %" PRId64 " devices newly adopted.\n",
                       json_length(json_child(result, "changed")), n_adopted);
        print_keys(json_child(result, "keys"), &out);
        return session_print(session, &out, failure);
}
