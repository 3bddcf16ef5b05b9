/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "commands.h"

/* Reads the words behind "gatewayctl" against the real table. */
struct reading {
        struct arguments arguments;
        struct failure failure;
        int result;
};

static void read_words(struct reading *reading, const char *words) {
        static char text[512];
        static char *argv[32];
        char *rest;
        int argc = 0;

        memset(reading, 0, sizeof *reading);
        assert_int_equal(str_copy(text, sizeof text, words), 0);
        argv[argc++] = (char *) "gatewayctl";
        for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
                argv[argc++] = strcmp(word, "''") == 0 ? (char *) "" : word;
        reading->result = arguments_parse(verbs, argc, argv, &reading->arguments, &reading->failure);
}

static void assert_verb(const char *words, const char *verb) {
        struct reading reading;

        read_words(&reading, words);
        assert_int_equal(reading.result, 0);
        assert_non_null(reading.arguments.verb);
        assert_string_equal(reading.arguments.verb->words, verb);
        arguments_deinit(&reading.arguments);
}

static void assert_refused(const char *words, const char *text) {
        struct reading reading;

        read_words(&reading, words);
        assert_true(reading.result < 0);
        assert_int_equal(reading.failure.exit_code, EXIT_CODE_USAGE);
        assert_string_equal(reading.failure.err.text, text);
        arguments_deinit(&reading.arguments);
}

static void test_words_of_commands(void **state) {
        (void) state;
        assert_verb("jobs", "jobs");
        assert_verb("device list", "device list");
        assert_verb("--socket /tmp/x device list", "device list");
        assert_verb("--json --socket=/tmp/x audit verify", "audit verify");
        assert_verb("audit", "audit");
        assert_verb("audit --verify", "audit");
        assert_verb("update kitchen app.bin", "update");
        assert_verb("watch c1", "watch");
}

static void test_values(void **state) {
        struct reading reading;
        struct str_list texts = STR_LIST_INIT;
        int64_t number = 0;

        (void) state;
        read_words(&reading, "update kitchen --mode test-only --trial 30s --compatible=a --compatible b -y app.bin --concurrency 7");
        assert_int_equal(reading.result, 0);
        assert_string_equal(arguments_at(&reading.arguments, 0), "kitchen");
        assert_string_equal(arguments_at(&reading.arguments, 1), "app.bin");
        assert_null(arguments_at(&reading.arguments, 2));
        assert_string_equal(arguments_text(&reading.arguments, "mode"), "test-only");
        assert_true(arguments_number(&reading.arguments, "trial", &number));
        assert_int_equal(number, 30000);
        assert_true(arguments_number(&reading.arguments, "concurrency", &number));
        assert_int_equal(number, 7);
        assert_false(arguments_number(&reading.arguments, "timeout", &number));
        assert_true(arguments_flag(&reading.arguments, "yes"));
        assert_false(arguments_flag(&reading.arguments, "json"));
        assert_int_equal(arguments_texts(&reading.arguments, "compatible", &texts), 0);
        assert_int_equal(texts.n_items, 2);
        assert_string_equal(texts.items[1], "b");
        str_list_deinit(&texts);
        arguments_deinit(&reading.arguments);
}

static void test_behind_two_dashes_nothing_is_an_option(void **state) {
        struct reading reading;

        (void) state;
        read_words(&reading, "update -- --match -y");
        assert_int_equal(reading.result, 0);
        assert_string_equal(arguments_at(&reading.arguments, 0), "--match");
        assert_string_equal(arguments_at(&reading.arguments, 1), "-y");
        assert_false(arguments_flag(&reading.arguments, "yes"));
        arguments_deinit(&reading.arguments);
}

static void test_empty_values(void **state) {
        struct reading reading;

        (void) state;
        read_words(&reading, "device set kitchen --name '' --model=");
        assert_int_equal(reading.result, 0);
        assert_string_equal(arguments_text(&reading.arguments, "name"), "");
        assert_string_equal(arguments_text(&reading.arguments, "model"), "");
        assert_null(arguments_text(&reading.arguments, "address"));
        arguments_deinit(&reading.arguments);
}

static void test_mistakes(void **state) {
        (void) state;
        assert_refused("updte x y", "no command \"updte\"; did you mean \"update\"?");
        assert_refused("device lost", "no command \"device lost\"; did you mean \"device list\"?");
        assert_refused("xyzzyxyzzy", "no command \"xyzzyxyzzy\"; gatewayctl --help lists them");
        assert_refused("jobs --finishe", "jobs has no option --finishe; did you mean --finished?");
        assert_refused("jobs --frobnicate=1", "jobs has no option --frobnicate");
        assert_refused("--frobnicate jobs", "gatewayctl has no option --frobnicate");
        assert_refused("jobs -q", "no option -q");
        assert_refused("jobs -", "jobs: one word too many: -");
        assert_refused("pause", "pause: CAMPAIGN is missing");
        assert_refused("pause a b", "pause: one word too many: b");
        assert_refused("update a b --mode", "--mode needs a value: MODE");
        assert_refused("update a b --mode fast", "--mode fast: expected one of test-and-confirm|confirm-only|test-only|upload-only");
        assert_refused("update a b --mode test", "--mode test: expected one of test-and-confirm|confirm-only|test-only|upload-only");
        assert_refused("update a b --mode=", "--mode : expected one of test-and-confirm|confirm-only|test-only|upload-only");
        assert_refused("update a b --mode test-only --mode test-only", "--mode is given twice");
        assert_refused("update a b --concurrency 0", "--concurrency 0: expected a number from 1 to 1000");
        assert_refused("update a b --concurrency many", "--concurrency many: expected a number from 1 to 1000");
        assert_refused("update a b --trial 2d", "--trial 2d: expected a time from 0 s to 1 d");
        assert_refused("device scan --duration 10", "--duration 10: expected a time from 100 ms to 1 min");
        assert_refused("update a b --timeout soon", "--timeout soon: expected a time such as 500ms, 30s or \"5 min\"");
        assert_refused("update a b --yes=1", "--yes takes no value");
}

static void test_help(void **state) {
        struct reading reading;

        (void) state;
        read_words(&reading, "update --help");
        assert_int_equal(reading.result, 0);
        assert_true(reading.arguments.help);
        arguments_deinit(&reading.arguments);
        read_words(&reading, "device -h");
        assert_int_equal(reading.result, 0);
        assert_true(reading.arguments.help);
        assert_null(reading.arguments.verb);
        assert_string_equal(reading.arguments.group, "device");
        arguments_deinit(&reading.arguments);
        read_words(&reading, "--version");
        assert_int_equal(reading.result, 0);
        assert_true(reading.arguments.version);
        arguments_deinit(&reading.arguments);
        read_words(&reading, "");
        assert_int_equal(reading.result, 0);
        assert_null(reading.arguments.verb);
        assert_false(reading.arguments.help);
        arguments_deinit(&reading.arguments);
}

/* --- the table itself --- */

static void check_option(const struct verb *verb, const struct option_info *option) {
        assert_ptr_equal(option_find(verb, option->name), option);
        assert_non_null(option->text);
        assert_int_equal(option->kind == VALUE_NONE, option->value == NULL);
        assert_int_equal(option->kind == VALUE_CHOICE, option->choices != NULL);
        if (option->kind == VALUE_NUMBER || option->kind == VALUE_DURATION)
                assert_true(option->max > option->min);
}

static void test_every_command_can_explain_itself(void **state) {
        (void) state;
        for (const struct verb *verb = verbs; verb->words; verb++) {
                struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
                struct style style = { .utf8 = true, .columns = 100 };
                assert_ptr_equal(verb_find(verbs, verb->words), verb);
                assert_non_null(verb->run);
                assert_true(verb->min_arguments <= verb->max_arguments);
                assert_true(verb->many || verb->hidden || verb->max_arguments <= ARRAY_SIZE(verb->arguments));
                for (size_t i = 0; i < (verb->many ? 1 : verb->max_arguments) && !verb->hidden; i++)
                        assert_non_null(verb->arguments[i].name);
                for (const struct option_info *option = verb->options; option && option->name; option++)
                        check_option(verb, option);
                assert_int_equal(help_render(verb, "", &style, &out), 0);
                assert_non_null(strstr(strbuf_text(&out), verb->summary));
                strbuf_deinit(&out);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words_of_commands),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_behind_two_dashes_nothing_is_an_option),
                cmocka_unit_test(test_empty_values),
                cmocka_unit_test(test_mistakes),
                cmocka_unit_test(test_help),
                cmocka_unit_test(test_every_command_can_explain_itself),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
