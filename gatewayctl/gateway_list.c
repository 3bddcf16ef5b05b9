/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <inttypes.h>

/* What gateways left at the broker; nobody is asked. */

enum { LIST_GATEWAY, LIST_STATE, LIST_SEEN, LIST_VERSION, LIST_GROUPS, LIST_DEVICES, LIST_JOBS, LIST_CAMPAIGNS };

static const struct table_column list_columns[] = {
        [LIST_GATEWAY] = { .title = "GATEWAY" },
        [LIST_STATE] = { .title = "STATE" },
        [LIST_SEEN] = { .title = "SEEN" },
        [LIST_VERSION] = { .title = "VERSION" },
        [LIST_GROUPS] = { .title = "GROUPS", .may_cut = true },
        [LIST_DEVICES] = { .title = "DEVICES", .may_cut = true },
        [LIST_JOBS] = { .title = "JOBS", .may_cut = true },
        [LIST_CAMPAIGNS] = { .title = "CAMPAIGNS", .may_cut = true },
};

/* {"queued": 3, "in_progress": 1} as "queued 3, in_progress 1"; without a sum of all. */
static void counts_text(const struct json *counts, char *dst, size_t size) {
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT(TEXT_LIMIT);

        JSON_FOREACH_MEMBER(it, counts) {
                int64_t number;
                if (json_get_int(it.value, 1, INT64_MAX, &number) == 0 && !str_equal(it.key, "devices"))
                        strbuf_appendf(&line, "%s%s %" PRId64, line.size ? ", " : "", it.key, number);
        }
        str_copy(dst, size, strbuf_text(&line));
}

static void add_gateway(struct table *table, const struct gateway *gateway, int64_t now_wall_ms) {
        const char *seen = json_member_text(gateway->status, "time");
        _cleanup_strbuf_ struct strbuf groups = STRBUF_INIT(TEXT_LIMIT);
        char text[256];

        table_row(table);
        table_cell(table, LIST_GATEWAY, gateway->id);
        table_toned_cell(table, LIST_STATE, json_member_text(gateway->status, "state"), gateway->online ? TONE_GOOD : TONE_BAD);
        if (seen) {
                text_ago(text, sizeof text, seen, now_wall_ms);
                table_cell(table, LIST_SEEN, text);
        }
        table_cell(table, LIST_VERSION, json_member_text(gateway->status, "version"));
        for (size_t i = 0; i < gateway->groups.n_items; i++)
                strbuf_appendf(&groups, "%s%s", i ? " " : "", gateway->groups.items[i]);
        table_cell(table, LIST_GROUPS, strbuf_text(&groups));
        counts_text(json_child(gateway->status, "devices"), text, sizeof text);
        table_cell(table, LIST_DEVICES, text);
        counts_text(json_child(gateway->status, "jobs"), text, sizeof text);
        table_cell(table, LIST_JOBS, text);
        counts_text(json_child(gateway->status, "campaigns"), text, sizeof text);
        table_cell(table, LIST_CAMPAIGNS, text);
}

static int print_list_json(struct session *session, const struct gateways *gateways, struct failure *failure) {
        _cleanup_json_ struct json *root = json_new_object();
        struct json *array = root ? json_set_new_array(root, "gateways") : NULL;
        int r = array ? 0 : -ENOMEM;

        for (size_t i = 0; i < gateways->n_items && r == 0; i++) {
                const struct gateway *gateway = &gateways->items[i];
                if (!audience_has(&session->audience, gateway->id, &gateway->groups))
                        continue;
                r = json_set_string(gateway->status, "gateway", gateway->id);
                if (r == 0)
                        r = json_append(array, json_ref(gateway->status));
        }
        return r < 0 ? failure_errno(failure, r) : session_print_json(session, root, failure);
}

int gateways_print(struct session *session, struct failure *failure) {
        const struct gateways *gateways = client_gateways(session->client);
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(list_columns, ARRAY_SIZE(list_columns), &table);

        if (r < 0)
                return failure_errno(failure, r);
        for (size_t i = 0; i < gateways->n_items; i++)
                if (audience_has(&session->audience, gateways->items[i].id, &gateways->items[i].groups))
                        add_gateway(table, &gateways->items[i], session->now_wall_ms);
        return session_print_table(session, table, failure);
}

int run_gateways(struct session *session, struct failure *failure) {
        const struct gateways *gateways;
        int r = session_settle(session, failure);

        if (r == 0 && !session_is_remote(session))
                r = failure_set(failure, EXIT_CODE_USAGE, "usage", "gateways needs --broker URL, or a profile with one");
        if (r == 0)
                r = session_connect(session, failure);
        if (r < 0)
                return r;
        gateways = client_gateways(session->client);
        if (session->json)
                return print_list_json(session, gateways, failure);
        if (gateways_count(gateways, &session->audience) == 0)
                return session_say(session, failure, "No gateway has left a status at the broker.\n");
        return gateways_print(session, failure);
}
