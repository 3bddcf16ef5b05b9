/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <inttypes.h>

enum { ARTIFACT_SHA256, ARTIFACT_SIZE, ARTIFACT_STATE, ARTIFACT_FORMAT, ARTIFACT_VERSION, ARTIFACT_USED, ARTIFACT_URL };

static const struct table_column artifact_columns[] = {
        [ARTIFACT_SHA256] = { .title = "SHA-256" },
        [ARTIFACT_SIZE] = { .title = "SIZE", .side = TABLE_RIGHT },
        [ARTIFACT_STATE] = { .title = "STATE" },
        [ARTIFACT_FORMAT] = { .title = "FORMAT" },
        [ARTIFACT_VERSION] = { .title = "VERSION" },
        [ARTIFACT_USED] = { .title = "USED" },
        [ARTIFACT_URL] = { .title = "URL", .may_cut = true },
};

static void state_of(const struct json *artifact, char *dst, size_t size) {
        bool complete = false, pinned = false;
        int64_t size_bytes = 0, received_bytes = 0;

        json_member_bool(artifact, "complete", &complete);
        json_member_bool(artifact, "pinned", &pinned);
        json_member_int(artifact, "size_bytes", 0, INT64_MAX, &size_bytes);
        json_member_int(artifact, "received_bytes", 0, INT64_MAX, &received_bytes);
        if (!complete && size_bytes > 0)
                str_format(dst, size, "%d %% received", (int) ((double) received_bytes * 100 / (double) size_bytes));
        else
                str_copy(dst, size, !complete ? "incomplete" : pinned ? "in use" : "");
}

static void add_artifact(struct table *table, const struct json *artifact, int64_t now_wall_ms) {
        const char *used = json_member_text(artifact, "last_used");
        int64_t size_bytes = 0;
        char text[64];

        table_row(table);
        table_cell(table, ARTIFACT_SHA256, json_member_text(artifact, "sha256"));
        json_member_int(artifact, "size_bytes", 0, INT64_MAX, &size_bytes);
        text_bytes(text, sizeof text, size_bytes);
        table_cell(table, ARTIFACT_SIZE, text);
        state_of(artifact, text, sizeof text);
        table_cell(table, ARTIFACT_STATE, text);
        table_cell(table, ARTIFACT_FORMAT, json_member_text(artifact, "format"));
        table_cell(table, ARTIFACT_VERSION, json_member_text(artifact, "version"));
        if (used) {
                text_ago(text, sizeof text, used, now_wall_ms);
                table_cell(table, ARTIFACT_USED, text);
        }
        table_cell(table, ARTIFACT_URL, json_member_text(artifact, "url"));
}

static int show_artifacts(struct session *session, const struct json *result, struct strbuf *out) {
        _cleanup_table_ struct table *table = NULL;
        int64_t used_bytes = 0, quota_bytes = 0;
        char used[32], quota[32];
        int r = table_new(artifact_columns, ARRAY_SIZE(artifact_columns), &table);

        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, artifact, json_child(result, "artifacts"))
        add_artifact(table, artifact, session->now_wall_ms);
        r = table_render(table, &session->style, out);
        if (r < 0)
                return r;
        json_member_int(result, "used_bytes", 0, INT64_MAX, &used_bytes);
        json_member_int(result, "quota_bytes", 0, INT64_MAX, &quota_bytes);
        text_bytes(used, sizeof used, used_bytes);
        text_bytes(quota, sizeof quota, quota_bytes);
        strbuf_appendf(out, "%s%s of %s used.\n", table_n_rows(table) > 0 ? "\n" : "", used, quota);
        return EXIT_CODE_OK;
}

int run_artifact_list(struct session *session, struct failure *failure) {
        return session_each(session, &(struct session_question){ .method = "artifact.list" }, show_artifacts, failure);
}

/* --- import --- */

static void add_part(struct strbuf *out, const struct json *part) {
        const char *version = json_member_text(part, "version"), *hash = json_member_text(part, "hash");
        int64_t image = 0, slot = -1, size_bytes = 0;
        char size[32];

        json_member_int(part, "image", 0, 255, &image);
        json_member_int(part, "slot", 0, 255, &slot);
        json_member_int(part, "size_bytes", 0, INT64_MAX, &size_bytes);
        text_bytes(size, sizeof size, size_bytes);
        strbuf_appendf(out, "image %" PRId64, image);
        if (slot >= 0)
                strbuf_appendf(out, " slot %" PRId64, slot);
        strbuf_appendf(out, "     %s, %s, hash %s\n", version ? version : "?", size, hash ? hash : "?");
}

static int print_import(struct session *session, const struct json *result, struct failure *failure) {
        const struct json *artifact = json_child(result, "artifact"), *package = json_child(result, "package");
        const char *sha256 = json_member_text(artifact, "sha256"), *format = json_member_text(package, "format"),
                   *version = json_member_text(package, "version");
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        bool known = false;

        json_member_bool(result, "known", &known);
        strbuf_appendf(&out, "sha256      %s%s\n", sha256 ? sha256 : "", known ? " (was there already)" : "");
        if (format)
                strbuf_appendf(&out, "format      %s\n", format);
        if (version)
                strbuf_appendf(&out, "version     %s\n", version);
        JSON_FOREACH_ITEM(i, model, json_child(package, "compatible"))
        strbuf_appendf(&out, "compatible  %s\n", json_string_or_null(model));
        JSON_FOREACH_ITEM(i, part, json_child(package, "parts"))
        add_part(&out, part);
        JSON_FOREACH_ITEM(i, warning, json_child(package, "warnings")) {
                text_append_toned(&out, "warning     ", TONE_CARE, &session->style);
                text_append_wrapped(&out, json_string_or_null(warning) ? json_string_or_null(warning) : "", 12, &session->style);
        }
        return session_print(session, &out, failure);
}

int run_artifact_import(struct session *session, struct failure *failure) {
        _cleanup_json_ struct json *result = NULL;
        int r = artifact_import(session, arguments_at(session->arguments, 0), &result, failure);

        if (r < 0)
                return r;
        return session->json ? session_print_json(session, result, failure) : print_import(session, result, failure);
}

int run_artifact_remove(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_json_ struct json *result = NULL;
        int64_t removed_bytes = 0;
        char size[32];
        int r;

        members_text(&params, "sha256", arguments_at(session->arguments, 0));
        r = session_call(session, "artifact.remove", &params, &result, failure);
        if (r < 0)
                return r;
        if (session->json)
                return session_print_json(session, result, failure);
        json_member_int(result, "removed_bytes", 0, INT64_MAX, &removed_bytes);
        text_bytes(size, sizeof size, removed_bytes);
        return session_say(session, failure, "Removed, %s are free again.\n", size);
}
