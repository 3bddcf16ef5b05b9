/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <inttypes.h>

#include "document/limits.h"

enum { AUDIT_SEQ, AUDIT_TIME, AUDIT_DOOR, AUDIT_PRINCIPAL, AUDIT_COMMAND, AUDIT_DEVICE, AUDIT_VERSION, AUDIT_RESULT };

static const struct table_column audit_columns[] = {
        [AUDIT_SEQ] = { .title = "SEQ", .side = TABLE_RIGHT },
        [AUDIT_TIME] = { .title = "TIME" },
        [AUDIT_DOOR] = { .title = "DOOR" },
        [AUDIT_PRINCIPAL] = { .title = "BY" },
        [AUDIT_COMMAND] = { .title = "COMMAND" },
        [AUDIT_DEVICE] = { .title = "DEVICE" },
        [AUDIT_VERSION] = { .title = "VERSION" },
        [AUDIT_RESULT] = { .title = "RESULT", .may_cut = true },
};

static void add_row(struct table *table, const struct json *row, const struct style *style) {
        const char *before = json_member_text(row, "version_before"), *after = json_member_text(row, "version_after"),
                   *time = json_member_text(row, "time");
        bool credible = true;
        int64_t seq = 0;
        char text[160], at[48] = "";

        table_row(table);
        json_member_int(row, "seq", 0, INT64_MAX, &seq);
        str_format(text, sizeof text, "%" PRId64, seq);
        table_cell(table, AUDIT_SEQ, text);
        if (time)
                text_time(at, sizeof at, time);
        json_member_bool(row, "time_credible", &credible);
        str_format(text, sizeof text, "%s%s", at, credible ? "" : " ?");
        table_cell(table, AUDIT_TIME, text);
        table_cell(table, AUDIT_DOOR, json_member_text(row, "door"));
        table_cell(table, AUDIT_PRINCIPAL, json_member_text(row, "principal"));
        table_cell(table, AUDIT_COMMAND, json_member_text(row, "command"));
        table_cell(table, AUDIT_DEVICE, json_member_text(row, "device"));
        if (before && after && !str_equal(before, after))
                str_format(text, sizeof text, "%s %s %s", before, style->utf8 ? "→" : "->", after);
        else
                str_format(text, sizeof text, "%s", after ? after : before ? before : "");
        table_cell(table, AUDIT_VERSION, text);
        table_cell(table, AUDIT_RESULT, json_member_text(row, "result"));
}

/* Drops the oldest of the rows beyond the last n. */
static int keep_last(struct json **rows, int64_t n_last) {
        struct json *kept;
        int r = 0;

        if (n_last <= 0 || json_length(*rows) <= (size_t) n_last)
                return 0;
        kept = json_new_array();
        if (!kept)
                return -ENOMEM;
        for (size_t i = json_length(*rows) - (size_t) n_last; i < json_length(*rows) && r == 0; i++)
                r = json_append(kept, json_ref(json_at(*rows, i)));
        json_free(*rows);
        *rows = kept;
        return r;
}

/* Pages come with a number as `next`, and the next one begins there. */
static int query(struct session *session, int64_t from, struct json *rows, int64_t *ret_next, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_json_ struct json *result = NULL;
        int r;

        if (from > 0)
                members_number(&params, "from", from);
        members_number(&params, "limit", COMMAND_PAGE_MAX);
        r = session_call(session, "audit.query", &params, &result, failure);
        if (r < 0)
                return r;
        *ret_next = 0;
        json_member_int(result, "next", from + 1, INT64_MAX, ret_next);
        JSON_FOREACH_ITEM(i, row, json_child(result, "rows")) {
                r = json_append(rows, json_ref(row));
                if (r < 0)
                        return failure_errno(failure, r);
        }
        return 0;
}

static int collect(struct session *session, struct json **rows, struct failure *failure) {
        int64_t from = 0, n_last = 0;
        int r;

        arguments_number(session->arguments, "from", &from);
        arguments_number(session->arguments, "last", &n_last);
        do {
                r = query(session, from, *rows, &from, failure);
                if (r == 0 && (r = keep_last(rows, n_last)) < 0)
                        failure_errno(failure, r);
        } while (r == 0 && from > 0);
        return r;
}

static int print_rows(struct session *session, const struct json *rows, struct failure *failure) {
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(audit_columns, ARRAY_SIZE(audit_columns), &table);

        if (r < 0)
                return failure_errno(failure, r);
        JSON_FOREACH_ITEM(i, row, rows)
        add_row(table, row, &session->style);
        return session_print_table(session, table, failure);
}

static bool is_valid(const struct json *verdict) {
        bool valid = false;

        return json_member_bool(verdict, "valid", &valid) == 0 && valid;
}

static int print_verdict(struct session *session, const struct json *verdict, struct failure *failure) {
        const char *text = json_member_text(verdict, "text"), *digest = json_member_text(json_child(verdict, "newest"), "digest");
        int64_t n_rows = 0, first_bad = 0, newest = 0;

        json_member_int(verdict, "rows", 0, INT64_MAX, &n_rows);
        json_member_int(verdict, "first_bad", 0, INT64_MAX, &first_bad);
        json_member_int(json_child(verdict, "newest"), "seq", 0, INT64_MAX, &newest);
        if (!is_valid(verdict))
                return session_say(session, failure, "The chain is broken at row %" PRId64 ": %s\n%s\n", first_bad,
                                   text ? text : "its digest does not fit", "Treat the machine as tampered with until this is explained.");
        if (!digest)
                return session_say(session, failure, "The chain holds; it has no row yet.\n");
        return session_say(session, failure, "The chain holds: %" PRId64 " rows, the newest is %" PRId64 " with digest %s.\n", n_rows,
                           newest, digest);
}

int run_audit_verify(struct session *session, struct failure *failure) {
        _cleanup_json_ struct json *verdict = NULL;
        int r = session_call_patient(session, "audit.verify", NULL, &verdict, failure);

        if (r == 0)
                r = session->json ? session_print_json(session, verdict, failure) : print_verdict(session, verdict, failure);
        return r < 0 ? r : is_valid(verdict) ? EXIT_CODE_OK : EXIT_CODE_FINDINGS;
}

int run_audit(struct session *session, struct failure *failure) {
        _cleanup_json_ struct json *rows = json_new_array(), *verdict = NULL, *root = json_new_object();
        bool verify = arguments_flag(session->arguments, "verify");
        int r = rows && root ? collect(session, &rows, failure) : failure_errno(failure, -ENOMEM);

        if (r == 0 && verify)
                r = session_call_patient(session, "audit.verify", NULL, &verdict, failure);
        if (r < 0)
                return r;
        if (session->json) {
                r = json_set(root, "rows", json_ref(rows));
                if (r == 0 && verdict)
                        r = json_set(root, "verify", json_ref(verdict));
                r = r < 0 ? failure_errno(failure, r) : session_print_json(session, root, failure);
        } else {
                r = print_rows(session, rows, failure);
                if (r == 0 && verdict)
                        r = session_say(session, failure, "\n");
                if (r == 0 && verdict)
                        r = print_verdict(session, verdict, failure);
        }
        return r < 0 ? r : !verdict || is_valid(verdict) ? EXIT_CODE_OK : EXIT_CODE_FINDINGS;
}
