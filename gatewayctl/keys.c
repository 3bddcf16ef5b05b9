/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/str.h"
#include "base/time.h"
#include "commands.h"
#include "trust/keyring.h"

/* The keys in a directory as a gateway would read them, without a daemon. */

static void append_scope(struct strbuf *out, const char *name, const struct str_list *list) {
        if (list->n_items == 0)
                return;
        strbuf_appendf(out, "%s%s:", out->size ? "; " : "", name);
        for (size_t i = 0; i < list->n_items; i++)
                strbuf_appendf(out, " %s", list->items[i]);
}

static void describe_scope(const struct key_scope *scope, struct strbuf *out) {
        append_scope(out, "drivers", &scope->drivers);
        append_scope(out, "groups", &scope->groups);
        append_scope(out, "audience", &scope->audience);
        if (!scope->may_downgrade)
                strbuf_appendf(out, "%sno downgrade", out->size ? "; " : "");
}

static void describe_expiry(struct session *session, const struct key_scope *scope, char *dst, size_t size) {
        if (scope->expires_ms == 0 || time_format_rfc3339(dst, size, scope->expires_ms) < 0)
                (void) str_copy(dst, size, "");
        else if (scope->expires_ms <= session->now_wall_ms)
                (void) str_copy(dst, size, "expired");
}

static void add_row(struct session *session, struct table *table, const struct keyring_key *key) {
        _cleanup_strbuf_ struct strbuf scope = STRBUF_INIT(TEXT_LIMIT);
        char hex[DIGEST_HEX_SIZE], expires[TIME_RFC3339_SIZE];

        (void) str_hex_encode(hex, sizeof hex, key->fingerprint, sizeof key->fingerprint);
        describe_scope(&key->scope, &scope);
        describe_expiry(session, &key->scope, expires, sizeof expires);
        table_row(table);
        table_toned_cell(table, 0, key->kid, TONE_STRONG);
        table_cell(table, 1, key_kind_name(key_kind(key->key)));
        table_cell(table, 2, hex);
        table_toned_cell(table, 3, expires, strcmp(expires, "expired") == 0 ? TONE_BAD : TONE_PLAIN);
        table_cell(table, 4, strbuf_text(&scope));
}

static int print_text(struct session *session, const struct keyring *keyring, const char *directory, struct failure *failure) {
        static const struct table_column columns[] = {
                { .title = "KEY" }, { .title = "TYPE" }, { .title = "FINGERPRINT" }, { .title = "EXPIRES" }, { .title = "SCOPE", .may_cut = true },
        };
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(columns, ARRAY_SIZE(columns), &table);

        for (size_t i = 0; r >= 0 && i < keyring_count(keyring); i++)
                add_row(session, table, keyring_at(keyring, i));
        if (r >= 0)
                r = table_render(table, &session->style, &out);
        if (r < 0)
                return failure_errno(failure, r);
        if (keyring_count(keyring) == 0)
                strbuf_appendf(&out, "No key in %s: nothing that is signed is accepted.\n", directory);
        for (size_t i = 0; i < keyring_fault_count(keyring); i++) {
                const struct keyring_fault *fault = keyring_fault_at(keyring, i);

                text_append_toned(&out, "left out: ", TONE_BAD, &session->style);
                strbuf_appendf(&out, "%s: %s (%s)\n", fault->file, fault->error.text, fault->error.name);
        }
        return session_print(session, &out, failure);
}

/* --- JSON --- */

static struct json *key_json(const struct keyring_key *key) {
        _cleanup_members_ struct members members = members_new(), scope = members_new();
        char hex[DIGEST_HEX_SIZE], expires[TIME_RFC3339_SIZE];

        (void) str_hex_encode(hex, sizeof hex, key->fingerprint, sizeof key->fingerprint);
        members_text(&members, "kid", key->kid);
        members_text(&members, "type", key_kind_name(key_kind(key->key)));
        members_text(&members, "fingerprint", hex);
        members_texts(&scope, "drivers", &key->scope.drivers);
        members_texts(&scope, "groups", &key->scope.groups);
        members_texts(&scope, "audience", &key->scope.audience);
        members_bool(&scope, "may_downgrade", key->scope.may_downgrade);
        if (key->scope.expires_ms > 0 && time_format_rfc3339(expires, sizeof expires, key->scope.expires_ms) == 0)
                members_text(&scope, "expires", expires);
        members_json(&members, "scope", TAKE_PTR(scope.json));
        return members.error < 0 || scope.error < 0 ? NULL : TAKE_PTR(members.json);
}

static struct json *fault_json(const struct keyring_fault *fault) {
        _cleanup_members_ struct members members = members_new();

        members_text(&members, "file", fault->file);
        members_text(&members, "name", fault->error.name);
        members_text(&members, "text", fault->error.text);
        return members.error < 0 ? NULL : TAKE_PTR(members.json);
}

static int append(struct json *list, struct json *item) {
        return item ? json_append(list, item) : -ENOMEM;
}

static int print_json(struct session *session, const struct keyring *keyring, struct failure *failure) {
        _cleanup_json_ struct json *json = json_new_object();
        struct json *keys = json ? json_set_new_array(json, "keys") : NULL, *left_out = keys ? json_set_new_array(json, "left_out") : NULL;
        int r = left_out ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < keyring_count(keyring); i++)
                r = append(keys, key_json(keyring_at(keyring, i)));
        for (size_t i = 0; r >= 0 && i < keyring_fault_count(keyring); i++)
                r = append(left_out, fault_json(keyring_fault_at(keyring, i)));
        return r < 0 ? failure_errno(failure, r) : session_print_json(session, json, failure);
}

int run_keys_list(struct session *session, struct failure *failure) {
        const char *given = arguments_text(session->arguments, "dir"), *directory = given ? given : KEYRING_DEFAULT_DIR;
        _cleanup_keyring_ struct keyring *keyring = NULL;
        struct gw_error err = { 0 };
        int r = keyring_load(directory, &keyring, &err);

        if (r < 0)
                return gw_error_is_set(&err) ? failure_from(failure, &err) : failure_errno(failure, r);
        r = session->json ? print_json(session, keyring, failure) : print_text(session, keyring, directory, failure);
        return r < 0 ? r : keyring_fault_count(keyring) > 0 ? EXIT_CODE_FINDINGS : EXIT_CODE_OK;
}
