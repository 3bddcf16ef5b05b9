/* SPDX-License-Identifier: Apache-2.0 */
#include "config/ini.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"

static struct ini *parsed(const char *text, struct config_errors *errors) {
        struct ini *ini = NULL;

        assert_int_equal(ini_parse("t.conf", text, strlen(text), errors, &ini), 0);
        return ini;
}

static const char *value(const struct ini *ini, const char *kind, const char *name, const char *key) {
        const struct ini_section *section = ini_section_find(ini, kind, name);
        const struct ini_entry *entry = section ? ini_entry_find(section, key) : NULL;

        return entry ? entry->value : NULL;
}

static void test_reads(void **state) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_ini_ struct ini *ini = parsed("# comment\n"
                                               "  ; indented comment\n"
                                               "[gateway]\r\n"
                                               "id=pi\n"
                                               "  \n"
                                               "control_group =  a # b ; c = d  \n"
                                               "empty =\n"
                                               "quoted = \"  a # \\\" \\\\ b \"\n"
                                               "[ device   kitchen ]  \n"
                                               "labels = a,\n"
                                               "\tb\n"
                                               "    # comment between\n"
                                               "\n"
                                               "    \"c d\"\n"
                                               "[device cellar]\n"
                                               "labels =\n"
                                               "  x\n"
                                               "last = without newline",
                                               &errors);

        (void) state;
        if (config_errors_any(&errors))
                fail_msg("%s", errors.items[0].text);
        assert_int_equal(ini->n_sections, 3);
        assert_string_equal(value(ini, "gateway", NULL, "id"), "pi");
        assert_string_equal(value(ini, "gateway", NULL, "control_group"), "a # b ; c = d");
        assert_string_equal(value(ini, "gateway", NULL, "empty"), "");
        assert_string_equal(value(ini, "gateway", NULL, "quoted"), "  a # \" \\ b ");
        assert_string_equal(value(ini, "device", "kitchen", "labels"), "a, b c d");
        assert_string_equal(value(ini, "device", "cellar", "labels"), "x");
        assert_string_equal(value(ini, "device", "cellar", "last"), "without newline");
        assert_null(value(ini, "device", NULL, "labels"));
        assert_string_equal(ini_section_find(ini, "device", "kitchen")->title, "[device kitchen]");
        assert_int_equal(ini_entry_find(ini_section_find(ini, "device", "kitchen"), "labels")->line, 10);
}

static void test_every_mistake_at_once(void **state) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_ini_ struct ini *ini = parsed("early = 1\n"           /* 1 */
                                               "  continues nothing\n" /* 2: belongs to the mistake above */
                                               "[gateway\n"            /* 3 */
                                               "unreported = 1\n"      /* 4: its section was reported */
                                               "[gateway] x\n"         /* 5 */
                                               "[gate way oslo]\n"     /* 6 */
                                               "[Gateway]\n"           /* 7 */
                                               "[]\n"                  /* 8 */
                                               "[device ../x y]\n"     /* 9 */
                                               "[log]\n"               /* 10 */
                                               "  nothing above\n"     /* 11 */
                                               "level info\n"          /* 12 */
                                               "Level = info\n"        /* 13 */
                                               " = x\n"                /* 14: a continuation of a broken entry */
                                               "= x\n"                 /* 15 */
                                               "level = \"info\n"      /* 16 */
                                               "level = \"in\\fo\"\n"  /* 17 */
                                               "level = info\n"        /* 18 */
                                               "level = debug\n"       /* 19 */
                                               "bad = \x01\n"          /* 20 */
                                               "bad = \xff\n"          /* 21 */
                                               "[log]\n"               /* 22 */
                                               "dropped = 1\n",        /* 23 */
                                               &errors);
        const unsigned lines[] = {1, 3, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 19, 20, 21, 22};

        (void) state;
        assert_int_equal(errors.n_items, ARRAY_SIZE(lines));
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
                assert_int_equal(errors.items[i].line, lines[i]);
        assert_string_equal(errors.items[0].text, "stands before the first [section]");
        assert_string_equal(errors.items[13].where, "[log] level");
        assert_string_equal(errors.items[13].text, "was already set in line 18");
        assert_string_equal(errors.items[16].text, "section [log] was already begun in line 10");
        assert_int_equal(ini->n_sections, 1);
        assert_string_equal(value(ini, "log", NULL, "level"), "info");
}

static void test_limits(void **state) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(CONFIG_FILE_MAX);
        _cleanup_ini_ struct ini *ini = NULL;

        (void) state;
        for (int i = 0; i <= CONFIG_SECTIONS_MAX; i++)
                strbuf_appendf(&text, "[device d%d]\n", i);
        strbuf_append(&text, "dropped = 1\n[log]\nlevel = ");
        for (int i = 0; i < CONFIG_LINE_MAX; i++)
                strbuf_append_char(&text, 'x');
        ini = parsed(strbuf_text(&text), &errors);
        assert_int_equal(ini->n_sections, CONFIG_SECTIONS_MAX);
        assert_int_equal(errors.n_items, 3); /* one section too many, [log] beyond them, the long line */
}

static void test_files(void **state) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_ini_ struct ini *ini = NULL;
        char path[] = "/tmp/gatewayd-ini-XXXXXX";
        int fd = mkstemp(path);

        (void) state;
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "[log]\nlevel = info\n", 19), 19);
        assert_int_equal(ini_read(path, &errors, &ini), 0);
        assert_string_equal(value(ini, "log", NULL, "level"), "info");
        assert_string_equal(ini->file, path);
        ini_free(TAKE_PTR(ini));
        assert_int_equal(ftruncate(fd, CONFIG_FILE_MAX + 1), 0);
        assert_int_equal(ini_read(path, &errors, &ini), -EFBIG);
        close(fd);
        unlink(path);
        assert_int_equal(ini_read(path, &errors, &ini), -ENOENT);
        assert_int_equal(ini_read("/tmp", &errors, &ini), -EISDIR);
        assert_false(config_errors_any(&errors));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reads),
                cmocka_unit_test(test_every_mistake_at_once),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
