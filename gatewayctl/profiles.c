/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <limits.h>
#include <string.h>

#include "profile.h"

/* --- profile list --- */

enum { PROFILE_NAME, PROFILE_WHERE, PROFILE_WHOM, PROFILE_SIGNS };

static const struct table_column profile_columns[] = {
        [PROFILE_NAME] = { .title = "PROFILE" },
        [PROFILE_WHERE] = { .title = "BROKER OR SOCKET", .may_cut = true },
        [PROFILE_WHOM] = { .title = "FOR" },
        [PROFILE_SIGNS] = { .title = "SIGNS WITH", .may_cut = true },
};

static const char *value_of(const struct ini_section *section, const char *key) {
        const struct ini_entry *entry = ini_entry_find(section, key);

        return entry ? entry->value : NULL;
}

static void add_profile(struct table *table, const struct ini_section *section) {
        static const char *const signers[] = { "key", "external" };
        const char *where = value_of(section, "broker") ? value_of(section, "broker") : value_of(section, "socket");
        struct audience audience = { .kind = AUDIENCE_ALL };
        char text[96];

        if (value_of(section, "gateway"))
                audience = (struct audience){ .kind = AUDIENCE_GATEWAY, .name = value_of(section, "gateway") };
        else if (value_of(section, "group"))
                audience = (struct audience){ .kind = AUDIENCE_GROUP, .name = value_of(section, "group") };
        table_row(table);
        table_cell(table, PROFILE_NAME, section->name);
        table_cell(table, PROFILE_WHERE, where);
        if (value_of(section, "broker")) {
                audience_text(&audience, text, sizeof text);
                table_cell(table, PROFILE_WHOM, text);
        }
        for (size_t i = 0; i < ARRAY_SIZE(signers); i++)
                if (value_of(section, signers[i]))
                        table_cell(table, PROFILE_SIGNS, value_of(section, signers[i]));
}

/* A profile as JSON: {"name", key: value, ...}. */
static int add_json(struct json *array, const struct ini_section *section) {
        struct json *object = array ? json_append_new_object(array) : NULL;
        int r = object ? json_set_string(object, "name", section->name) : -ENOMEM;

        for (size_t i = 0; i < section->n_entries && r == 0; i++)
                r = json_set_string(object, section->entries[i].key, section->entries[i].value);
        return r;
}

static int print_json(struct session *session, const struct ini *ini, const char *name, struct failure *failure) {
        _cleanup_json_ struct json *root = json_new_object();
        struct json *profiles = root ? json_set_new_array(root, "profiles") : NULL;
        int r = profiles ? 0 : -ENOMEM;

        for (size_t i = 0; ini && i < ini->n_sections && r == 0; i++)
                if (!name || strcmp(ini->sections[i].name, name) == 0)
                        r = add_json(profiles, &ini->sections[i]);
        if (r < 0)
                return failure_errno(failure, r);
        return session_print_json(session, name ? json_at(profiles, 0) : root, failure);
}

int run_profile_list(struct session *session, struct failure *failure) {
        _cleanup_table_ struct table *table = NULL;
        _cleanup_ini_ struct ini *ini = NULL;
        char path[PATH_MAX];
        int r = profiles_read(&ini, failure);

        if (r < 0)
                return r;
        if (session->json)
                return print_json(session, ini, NULL, failure);
        profiles_path(path, sizeof path);
        if (!ini || ini->n_sections == 0)
                return session_say(session, failure, "No profile. They stand in %s; `gatewayctl profile --help` shows one.\n", path);
        r = table_new(profile_columns, ARRAY_SIZE(profile_columns), &table);
        if (r < 0)
                return failure_errno(failure, r);
        for (size_t i = 0; i < ini->n_sections; i++)
                add_profile(table, &ini->sections[i]);
        return session_print_table(session, table, failure);
}

/* --- profile show --- */

int run_profile_show(struct session *session, struct failure *failure) {
        const char *name = arguments_at(session->arguments, 0);
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_profile_ struct profile *profile = NULL;
        const struct ini_section *section;
        _cleanup_ini_ struct ini *ini = NULL;
        int r = profile_new(name, &profile, failure); /* also says what is wrong with it */

        if (r == 0)
                r = profiles_read(&ini, failure);
        if (r < 0)
                return r;
        section = ini ? ini_section_find(ini, "profile", name) : NULL;
        if (session->json)
                return print_json(session, ini, name, failure);
        for (size_t i = 0; section && i < section->n_entries; i++) {
                const struct ini_entry *entry = &section->entries[i];
                const char *value = profile_value(profile, entry->key);
                strbuf_appendf(&out, "%-14s %s\n", entry->key, value && value[0] ? value : entry->value);
        }
        return session_print(session, &out, failure);
}
