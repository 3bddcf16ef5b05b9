/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

/* Bonds with Bluetooth devices. */

static int show_bond(struct session *session, const struct json *result, struct strbuf *out) {
        const char *device = json_member_text(result, "device");
        bool bonded = false;

        (void) session;
        (void) json_member_bool(result, "bonded", &bonded);
        strbuf_appendf(out, bonded ? "%s is paired.\n" : "There is no bond with %s any more; the device may still hold its half.\n", device ? device : "");
        return EXIT_CODE_OK;
}

static int ask(struct session *session, const char *method, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();

        members_text(&params, "id", arguments_at(session->arguments, 0));
        return session_each(session, &(struct session_question){ .method = method, .params = &params, .patient = true }, show_bond, failure);
}

int run_device_pair(struct session *session, struct failure *failure) {
        return ask(session, "device.pair", failure);
}

int run_device_unpair(struct session *session, struct failure *failure) {
        return ask(session, "device.unpair", failure);
}

static int show_bonds(struct session *session, const struct json *result, struct strbuf *out) {
        static const struct table_column columns[] = { { .title = "ADDRESS" }, { .title = "ADAPTER" }, { .title = "NAME", .may_cut = true }, { .title = "DEVICE" } };
        static const char *const members[] = { "address", "adapter", "name", "device" };
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(columns, ARRAY_SIZE(columns), &table);

        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, bond, json_child(result, "bonds")) {
                table_row(table);
                for (size_t column = 0; column < ARRAY_SIZE(members); column++)
                        table_cell(table, column, json_member_text(bond, members[column]));
        }
        if (table_n_rows(table) == 0)
                strbuf_append(out, "No bonds.\n");
        return table_render(table, &session->style, out);
}

int run_device_bonds(struct session *session, struct failure *failure) {
        return session_each(session, &(struct session_question){ .method = "device.bonds" }, show_bonds, failure);
}
