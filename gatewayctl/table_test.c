/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct table_column columns[] = {
        { .title = "DEVICE", .may_cut = true },
        { .title = "SIZE", .side = TABLE_RIGHT },
        { .title = "EMPTY" },
        { .title = "RESULT", .may_cut = true },
};

static struct table *make(void) {
        struct table *table;

        assert_int_equal(table_new(columns, ARRAY_SIZE(columns), &table), 0);
        return table;
}

static void add(struct table *table, const char *device, const char *size, const char *result) {
        table_row(table);
        table_cell(table, 0, device);
        table_cell(table, 1, size);
        table_cell(table, 3, result);
}

static void assert_table(struct table *table, struct style style, const char *expected) {
        struct strbuf out = STRBUF_INIT(100000);

        assert_int_equal(table_render(table, &style, &out), 0);
        assert_string_equal(strbuf_text(&out), expected);
        strbuf_deinit(&out);
        table_free(table);
}

static void test_aligned_by_what_is_seen(void **state) {
        struct table *table = make();

        (void) state;
        add(table, "smp-udp:kitchen", "200 KiB", "updated");
        add(table, "Küche", "1 B", NULL);
        add(table, "厨房", "12 MiB", "failed");
        assert_table(table, (struct style){ .utf8 = true },
                     "DEVICE              SIZE  RESULT\n"
                     "smp-udp:kitchen  200 KiB  updated\n"
                     "Küche                1 B\n"
                     "厨房              12 MiB  failed\n");
}

static void test_nothing_without_rows(void **state) {
        (void) state;
        assert_table(make(), (struct style){ 0 }, "");
}

static void test_a_row_of_empty_cells(void **state) {
        struct table *table = make();

        (void) state;
        add(table, "a", NULL, NULL);
        add(table, "", "", "");
        assert_table(table, (struct style){ 0 }, "DEVICE\na\n\n");
}

static void test_narrow_terminal_cuts_the_widest_first(void **state) {
        struct table *table = make();

        (void) state;
        add(table, "smp-serial:a-very-long-serial-number-if02", "200 KiB", "hash-active-confirmed");
        assert_table(table, (struct style){ .utf8 = true, .columns = 50 },
                     "DEVICE                  SIZE  RESULT\n"
                     "smp-serial:a-very-…  200 KiB  hash-active-confirm…\n");
}

static void test_a_column_is_never_cut_to_nothing(void **state) {
        struct table *table = make();

        (void) state;
        add(table, "smp-serial:0123456789", "200 KiB", "hash-active-confirmed");
        assert_table(table, (struct style){ .columns = 10 },
                     "DEVICE           SIZE  RESULT\n"
                     "smp-serial:~  200 KiB  hash-active~\n");
}

static void test_tones_do_not_disturb_the_columns(void **state) {
        struct table *table = make();

        (void) state;
        add(table, "a", "1 B", NULL);
        table_toned_cell(table, 3, "failed", TONE_BAD);
        table_row(table);
        table_toned_cell(table, 0, "b", TONE_GOOD);
        assert_table(table, (struct style){ .colour = true },
                     "\033[1mDEVICE\033[0m  \033[1mSIZE\033[0m  \033[1mRESULT\033[0m\n"
                     "a        1 B  \033[31mfailed\033[0m\n"
                     "\033[32mb\033[0m\n");
}

static void test_control_characters_are_shown_not_sent(void **state) {
        struct table *table = make();

        (void) state;
        add(table, "a\033[2J", NULL, "x\ny");
        assert_table(table, (struct style){ 0 },
                     "DEVICE    RESULT\n"
                     "a\\x1b[2J  x\\x0ay\n");
}

static void test_many_rows(void **state) {
        struct table *table = make();

        (void) state;
        for (int i = 0; i < 1000; i++) {
                char text[16];
                snprintf(text, sizeof text, "%d", i);
                add(table, text, text, text);
        }
        assert_int_equal(table_n_rows(table), 1000);
        table_free(table);
        table_free(NULL);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_aligned_by_what_is_seen),
                cmocka_unit_test(test_nothing_without_rows),
                cmocka_unit_test(test_a_row_of_empty_cells),
                cmocka_unit_test(test_narrow_terminal_cuts_the_widest_first),
                cmocka_unit_test(test_a_column_is_never_cut_to_nothing),
                cmocka_unit_test(test_tones_do_not_disturb_the_columns),
                cmocka_unit_test(test_control_characters_are_shown_not_sent),
                cmocka_unit_test(test_many_rows),
        };

        text_init();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
