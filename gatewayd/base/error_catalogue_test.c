/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error_catalogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"
#include "base/str.h"

static void test_every_entry(void **state) {
        (void) state;
        for (size_t i = 0; i < error_catalogue_count(); i++) {
                const struct gw_error_info *info = error_catalogue_at(i);

                if (!str_is_error_name(info->name) || strlen(info->name) >= sizeof(((struct gw_error *) 0)->name))
                        fail_msg("%s is no name", info->name);
                if (error_catalogue_find(info->name) != info)
                        fail_msg("%s stands twice", info->name);
                if (strlen(info->meaning) < 20 || strlen(info->advice) < 20 || info->meaning[strlen(info->meaning) - 1] != '.')
                        fail_msg("%s: meaning and advice are sentences", info->name);
        }
        assert_null(error_catalogue_find("no-such-name"));
        assert_null(error_catalogue_at(error_catalogue_count()));
}

static void test_classes(void **state) {
        static const struct {
                const char *name;
                enum gw_error_class class_;
        } rows[] = {
                {"not-seen", GW_ERROR_WAIT},
                {"disk-full", GW_ERROR_WAIT},
                {"clock-not-credible", GW_ERROR_WAIT},
                {"digest-mismatch", GW_ERROR_TERMINAL},
                {"artifact-not-found", GW_ERROR_TERMINAL},
                {"download-timeout", GW_ERROR_RETRY},
                {"link-lost", GW_ERROR_RETRY},
                {"incompatible", GW_ERROR_TERMINAL},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct gw_error_info *info = error_catalogue_find(rows[i].name);

                assert_non_null(info);
                assert_int_equal(info->class_, rows[i].class_);
        }
        assert_string_equal(error_class_name(GW_ERROR_RETRY), "retry");
}

/* docs/ERRORS.md, whole. */
static void write_manual(struct strbuf *text) {
        strbuf_append(text, "# Errors\n\n"
                            "Every error and every reason to wait has a name. It stands in reports, in the journal (field\n"
                            "`GATEWAYD_ERROR`) and in the answers of the control socket, and does not change between releases.\n"
                            "A plugin may bring names of its own; they are in its README.\n\n"
                            "| class | what gatewayd does |\n|---|---|\n"
                            "| retry | tries again with growing pauses; each time uses one of the job's attempts |\n"
                            "| terminal | ends the job: it would fail the same way again until a person changes something |\n"
                            "| wait | waits, without using an attempt, until the condition passes or the deadline comes |\n\n"
                            "(This file is made of `gatewayd/base/error_catalogue.def` by `error_catalogue_test --print`.)\n");
#define GW_ERROR_SECTION(title) strbuf_append(text, "\n## " title "\n\n| name | class | meaning | what to do |\n|---|---|---|---|\n");
#define GW_ERROR(name, class, meaning, advice)                                                                                             \
        strbuf_appendf(text, "| `%s` | %s | %s | %s |\n", name, error_class_name(GW_ERROR_##class), meaning, advice);
#include "base/error_catalogue.def"
#undef GW_ERROR
}

static void test_manual_is_current(void **state) {
        _cleanup_strbuf_ struct strbuf expected = STRBUF_INIT(1 << 20);
        _cleanup_fclose_ FILE *file = fopen(GW_SOURCE_DIR "/docs/ERRORS.md", "re");
        _cleanup_free_ char *found = calloc(1, 1 << 20);
        size_t same = 0;

        (void) state;
        assert_non_null(file);
        assert_non_null(found);
        assert_true(fread(found, 1, (1 << 20) - 1, file) > 0);
        write_manual(&expected);
        assert_int_equal(expected.error, 0);
        while (expected.text[same] && expected.text[same] == found[same])
                same++;
        if (expected.text[same] || found[same])
                fail_msg("docs/ERRORS.md differs from the catalogue; make it again with error_catalogue_test --print:\n%.200s",
                         expected.text + same);
}

/* The rows are a table: no entry may hold its separator. */
static void test_entries_fit_the_table(void **state) {
        (void) state;
        for (size_t i = 0; i < error_catalogue_count(); i++) {
                const struct gw_error_info *info = error_catalogue_at(i);

                assert_null(strpbrk(info->meaning, "|\n"));
                assert_null(strpbrk(info->advice, "|\n"));
        }
}

static int print_manual(void) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(1 << 20);

        write_manual(&text);
        return fputs(strbuf_text(&text), stdout) < 0;
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_entry),
                cmocka_unit_test(test_classes),
                cmocka_unit_test(test_manual_is_current),
                cmocka_unit_test(test_entries_fit_the_table),
        };

        if (argc == 2 && strcmp(argv[1], "--print") == 0)
                return print_manual();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
