/* SPDX-License-Identifier: Apache-2.0 */
#include "config/setting_values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static const struct gw_setting table[] = {
        {.key = "name", .type = GW_SETTING_STRING},
        {.key = "path", .type = GW_SETTING_PATH, .value = "/tmp"},
        {.key = "flag", .type = GW_SETTING_BOOL, .value = "yes"},
        {.key = "baud", .type = GW_SETTING_INTEGER, .minimum = 1200, .maximum = 4000000, .value = "115200"},
        {.key = "free", .type = GW_SETTING_INTEGER},
        {.key = "wait", .type = GW_SETTING_DURATION, .minimum = 1000, .maximum = 60000, .value = "2 s"},
        {.key = "room", .type = GW_SETTING_SIZE, .minimum = 0, .maximum = 1 << 20, .value = "4K"},
        {.key = "mode", .type = GW_SETTING_ENUM, .choices = "auto|on|off", .value = "auto"},
        {.key = "words", .type = GW_SETTING_LIST, .value = "a, b"},
        {.key = NULL},
};

static const struct gw_setting shared[] = {{.key = "driver", .type = GW_SETTING_STRING}, {.key = NULL}};

static struct gw_settings *read_section(const char *text, const struct gw_setting *others, struct config_errors *errors) {
        _cleanup_ini_ struct ini *ini = NULL;
        struct gw_settings *settings = NULL;

        assert_int_equal(ini_parse("t.conf", text, strlen(text), errors, &ini), 0);
        assert_int_equal(setting_values_new("t.conf", ini->n_sections ? &ini->sections[0] : NULL, table, others, errors, &settings), 0);
        return settings;
}

static void test_defaults(void **state) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_(setting_values_freep) struct gw_settings *settings = read_section("", NULL, &errors);
        char why[256];

        (void) state;
        assert_int_equal(setting_table_check(table, why, sizeof(why)), 0);
        assert_null(setting_text(settings, "name"));
        assert_int_equal(setting_number(settings, "name"), 0);
        assert_string_equal(setting_values_ops.get(settings, "path"), "/tmp");
        assert_true(setting_bool(settings, "flag"));
        assert_int_equal(setting_values_ops.get_number(settings, "baud"), 115200);
        assert_int_equal(setting_number(settings, "wait"), 2000);
        assert_int_equal(setting_number(settings, "room"), 4096);
        assert_int_equal(setting_number(settings, "mode"), 0);
        assert_int_equal(setting_number(settings, "words"), 2);
        assert_false(setting_is_set(settings, "baud"));
        assert_int_equal(setting_line(settings, "baud"), 0);
}

static void test_values(void **state) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_(setting_values_freep) struct gw_settings *settings = read_section("[device x]\n"
                                                                                    "driver = smp-udp\n"
                                                                                    "name = some text\n"
                                                                                    "path = /dev/x\n"
                                                                                    "flag = off\n"
                                                                                    "baud = 9600\n"
                                                                                    "free = -7\n"
                                                                                    "wait = 1 min\n"
                                                                                    "room = 1M\n"
                                                                                    "mode = off\n"
                                                                                    "words =\n",
                                                                                    shared, &errors);

        (void) state;
        assert_false(config_errors_any(&errors));
        assert_string_equal(setting_text(settings, "name"), "some text");
        assert_string_equal(setting_text(settings, "path"), "/dev/x");
        assert_false(setting_bool(settings, "flag"));
        assert_int_equal(setting_number(settings, "baud"), 9600);
        assert_int_equal(setting_number(settings, "free"), -7);
        assert_int_equal(setting_number(settings, "wait"), 60000);
        assert_int_equal(setting_number(settings, "room"), 1 << 20);
        assert_int_equal(setting_number(settings, "mode"), 2);
        assert_int_equal(setting_number(settings, "words"), 0);
        assert_true(setting_is_set(settings, "baud"));
        assert_int_equal(setting_line(settings, "baud"), 6);
}

static void test_mistakes(void **state) {
        static const struct {
                const char *line;
                const char *text;
        } rows[] = {
                {"path = tmp", "expected an absolute path, found \"tmp\""},
                {"flag = maybe", "expected yes or no, found \"maybe\""},
                {"baud = fast", "expected a whole number from 1200 to 4000000, found \"fast\""},
                {"baud = 1199", "expected a whole number from 1200 to 4000000, found \"1199\""},
                {"free = 1.5", "expected a whole number, found \"1.5\""},
                {"wait = 999", "expected a duration such as \"90 s\" from 1 s to 1 min, found \"999\""},
                {"wait = 2 minutes", "expected a duration such as \"90 s\" from 1 s to 1 min, found \"2 minutes\""},
                {"room = 2M", "expected a size such as \"16M\" from 0 to 1 MiB, found \"2M\""},
                {"mode = of", "expected one of auto, on, off, found \"of\""},
                {"mode =", "expected one of auto, on, off, found \"\""},
                {"bauds = 1", "unknown key, did you mean \"baud\"?"},
                {"drver = x", "unknown key, did you mean \"driver\"?"},
                {"something_else = x", "unknown key"},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
                _cleanup_(setting_values_freep) struct gw_settings *settings = NULL;
                char text[128];

                str_format(text, sizeof(text), "[device x]\n%s\n", rows[i].line);
                settings = read_section(text, shared, &errors);
                assert_int_equal(errors.n_items, 1);
                assert_string_equal(errors.items[0].text, rows[i].text);
                assert_int_equal(errors.items[0].line, 2);
                /* A mistake leaves the default. */
                assert_int_equal(setting_number(settings, "baud"), 115200);
                assert_int_equal(setting_number(settings, "wait"), 2000);
        }
}

static void test_any_other_key(void **state) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_(setting_values_freep) struct gw_settings *settings =
                read_section("[device x]\nbaud = 1200\nwhatever = 1\n", setting_any_key, &errors);

        (void) state;
        assert_false(config_errors_any(&errors));
        assert_int_equal(setting_number(settings, "baud"), 1200);
}

static void test_foreign_tables(void **state) {
        static const struct gw_setting bad[][3] = {
                {{.key = "Baud"}},
                {{.key = ""}},
                {{.key = "a"}, {.key = "a"}},
                {{.key = "a", .type = (enum gw_setting_type) 99}},
                {{.key = "a", .type = GW_SETTING_ENUM}},
                {{.key = "a", .type = GW_SETTING_INTEGER, .minimum = 2, .maximum = 1}},
                {{.key = "a", .type = GW_SETTING_INTEGER, .minimum = 1, .maximum = 2, .value = "3"}},
                {{.key = "a", .type = GW_SETTING_BOOL, .value = "perhaps"}},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                char why[256] = "";

                assert_int_equal(setting_table_check(bad[i], why, sizeof(why)), -EINVAL);
                assert_true(*why);
        }
        assert_int_equal(setting_table_check(NULL, NULL, 0), 0);
}

static void test_list_split(void **state) {
        _cleanup_str_list_ struct str_list list = STR_LIST_INIT;

        (void) state;
        assert_int_equal(setting_list_split(" , a,,b\tc  ", &list), 0);
        assert_int_equal(list.n_items, 3);
        assert_string_equal(list.items[0], "a");
        assert_string_equal(list.items[2], "c");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),      cmocka_unit_test(test_values),         cmocka_unit_test(test_mistakes),
                cmocka_unit_test(test_any_other_key), cmocka_unit_test(test_foreign_tables), cmocka_unit_test(test_list_split),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
