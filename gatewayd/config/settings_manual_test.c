/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

/*
 * Holds docs/CONFIGURATION.md and etc/gatewayd.conf against the tables. After a change of a table:
 *
 *     settings_manual_test --print        the second half of docs/CONFIGURATION.md, from the marker on
 */

#define MARKER "<!-- from here on made by settings_manual_test --print -->\n"
#define MANUAL GW_SOURCE_DIR "/docs/CONFIGURATION.md"
#define CONFIGURATION GW_SOURCE_DIR "/etc/gatewayd.conf"

static char *read_text(const char *path) {
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        char *text = calloc(1, 1 << 20);

        if (!file)
                fail_msg("%s is missing", path);
        assert_non_null(text);
        assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
        return text;
}

/* A cell of a table. */
static void append_cell(struct strbuf *out, const char *text) {
        for (; *text; text++) {
                if (*text == '|')
                        strbuf_append_char(out, '\\');
                strbuf_append_char(out, *text);
        }
}

static void append_key(struct strbuf *out, const struct settings_section_info *info, const struct gw_setting *setting) {
        char form[512];

        setting_describe(setting, form, sizeof(form));
        strbuf_appendf(out, "| `%s` | ", setting->key);
        append_cell(out, form);
        if (setting->value)
                strbuf_appendf(out, " | `%s` | ", setting->value);
        else
                strbuf_append(out, " | | ");
        append_cell(out, setting->text);
        strbuf_appendf(out, " | %s |\n", settings_is_live(info->kind, setting->key) ? "reload" : "restart");
}

static void write_reference(struct strbuf *out) {
        strbuf_append(out, MARKER);
        for (size_t i = 0; i < n_settings_sections; i++) {
                const struct settings_section_info *info = &settings_sections[i];

                strbuf_appendf(out, "\n## [%s%s]\n\n%s\n\n| key | form | default | meaning | a change needs |\n|---|---|---|---|---|\n",
                               info->kind, info->named ? " NAME" : "", info->text);
                for (const struct gw_setting *setting = info->table; setting->key; setting++)
                        append_key(out, info, setting);
        }
}

static void test_manual_is_current(void **state) {
        _cleanup_strbuf_ struct strbuf expected = STRBUF_INIT(1 << 20);
        _cleanup_free_ char *manual = read_text(MANUAL);
        const char *found = strstr(manual, MARKER);
        size_t same = 0;

        (void) state;
        assert_non_null(found);
        write_reference(&expected);
        assert_int_equal(expected.error, 0);
        while (expected.text[same] && expected.text[same] == found[same])
                same++;
        if (expected.text[same] || found[same])
                fail_msg("docs/CONFIGURATION.md differs from the tables:\n%.200s", expected.text + same);
}

/* Every line that is commented out as "#key = value" or "#[section]" comes to life. */
static char *uncommented(const char *text) {
        char *out = calloc(1, strlen(text) + 1);
        size_t n = 0;
        bool line_begins = true;

        assert_non_null(out);
        for (; *text; text++) {
                if (!line_begins || *text != '#' || text[1] == ' ' || text[1] == '\n' || text[1] == '#')
                        out[n++] = *text;
                line_begins = *text == '\n';
        }
        return out;
}

static struct settings *parsed(const char *text) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        struct settings *settings = NULL;

        assert_int_equal(settings_parse("gatewayd.conf", text, strlen(text), &errors, &settings), 0);
        if (config_errors_any(&errors))
                fail_msg("line %u: %s: %s", errors.items[0].line, errors.items[0].where, errors.items[0].text);
        return settings;
}

static void fail_on_change(void *context, const char *section, const char *key, bool needs_restart) {
        (void) context;
        (void) needs_restart;
        fail_msg("etc/gatewayd.conf changes %s %s", section, key);
}

static void test_default_file_says_nothing(void **state) {
        _cleanup_free_ char *text = read_text(CONFIGURATION);
        _cleanup_settings_ struct settings *file = parsed(text), *defaults = parsed("");

        (void) state;
        settings_diff(defaults, file, fail_on_change, NULL);
}

/* Does any section of this kind name the key? With a default of the table: with that very value? */
static bool shows_key(const struct ini *ini, const char *kind, const struct gw_setting *setting) {
        for (size_t i = 0; i < ini->n_sections; i++) {
                const struct ini_section *section = &ini->sections[i];
                const struct ini_entry *entry = strcmp(section->kind, kind) == 0 ? ini_entry_find(section, setting->key) : NULL;

                if (entry)
                        return section->name || !setting->value || strcmp(entry->value, setting->value) == 0;
        }
        return false;
}

static void test_default_file_shows_every_key(void **state) {
        _cleanup_free_ char *text = read_text(CONFIGURATION), *alive = uncommented(text);
        _cleanup_settings_ struct settings *settings = parsed(alive);

        (void) state;
        for (size_t i = 0; i < n_settings_sections; i++)
                for (const struct gw_setting *setting = settings_sections[i].table; setting->key; setting++)
                        if (!shows_key(settings->ini, settings_sections[i].kind, setting))
                                fail_msg("etc/gatewayd.conf lacks [%s] %s, or shows another default", settings_sections[i].kind,
                                         setting->key);
}

static void test_own_tables_are_sound(void **state) {
        (void) state;
        for (size_t i = 0; i < n_settings_sections; i++) {
                char why[512] = "";

                if (setting_table_check(settings_sections[i].table, why, sizeof(why)) < 0)
                        fail_msg("[%s] %s", settings_sections[i].kind, why);
        }
}

static int print_reference(void) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(1 << 20);

        write_reference(&out);
        return fputs(strbuf_text(&out), stdout) < 0;
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_own_tables_are_sound),
                cmocka_unit_test(test_manual_is_current),
                cmocka_unit_test(test_default_file_says_nothing),
                cmocka_unit_test(test_default_file_shows_every_key),
        };

        if (argc == 2 && strcmp(argv[1], "--print") == 0)
                return print_reference();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
