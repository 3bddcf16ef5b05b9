/* SPDX-License-Identifier: Apache-2.0 */
#include "store/artifact_table.h"

#include "store/test_support.h"

static const struct artifact_row full = {
        .sha256 = { 1, 2, 3 },
        .size = 100,
        .received = 40,
        .complete = true,
        .url = "https://fw.example/a",
        .etag = "\"x\"",
        .format = "mcuboot",
        .version = "1.4.0",
        .created_ms = 5,
        .last_used_ms = 6,
};

static void test_every_column_comes_back(void **state) {
        struct fixture *fixture = *state;
        struct artifact_row row = { 0 };

        assert_int_equal(artifact_table_put(fixture->store, &(struct artifact_row){ .sha256 = { 1, 2, 3 } }), 0);
        assert_int_equal(artifact_table_put(fixture->store, &full), 0);
        fixture_reopen(fixture);
        assert_int_equal(artifact_table_fetch(fixture->store, full.sha256, &row), 0);
        assert_memory_equal(row.sha256, full.sha256, sizeof full.sha256);
        assert_int_equal(row.size, full.size);
        assert_int_equal(row.received, full.received);
        assert_true(row.complete);
        assert_string_equal(row.url, full.url);
        assert_string_equal(row.etag, full.etag);
        assert_string_equal(row.format, full.format);
        assert_string_equal(row.version, full.version);
        assert_int_equal(row.created_ms, full.created_ms);
        assert_int_equal(row.last_used_ms, full.last_used_ms);
        artifact_row_clear(&row);
}

static int append_first_byte(void *ctx, struct artifact_row *row) {
        char *text = ctx;
        size_t n = strlen(text);

        snprintf(text + n, 32 - n, "%d:%d:%s ", row->sha256[0], (int) row->received, row->format ? row->format : "-");
        return 0;
}

static void test_order_of_use_and_single_columns(void **state) {
        struct fixture *fixture = *state;
        struct artifact_row row = { .sha256 = { 1 }, .last_used_ms = 10 };
        char text[32] = "";

        assert_int_equal(artifact_table_put(fixture->store, &row), 0);
        row = (struct artifact_row){ .sha256 = { 2 }, .last_used_ms = 20 };
        assert_int_equal(artifact_table_put(fixture->store, &row), 0);
        assert_int_equal(artifact_table_set_last_used(fixture->store, (uint8_t[32]){ 1 }, 30), 0);
        assert_int_equal(artifact_table_set_received(fixture->store, (uint8_t[32]){ 2 }, 7), 0);
        assert_int_equal(artifact_table_set_format(fixture->store, (uint8_t[32]){ 1 }, "zip", "1"), 0);
        assert_int_equal(artifact_table_each(fixture->store, append_first_byte, text), 0);
        assert_string_equal(text, "2:7:- 1:0:zip ");
        assert_int_equal(artifact_table_set_received(fixture->store, (uint8_t[32]){ 3 }, 7), -ENOENT);
        assert_int_equal(artifact_table_delete(fixture->store, (uint8_t[32]){ 2 }), 0);
        assert_int_equal(artifact_table_delete(fixture->store, (uint8_t[32]){ 2 }), -ENOENT);
        assert_int_equal(artifact_table_fetch(fixture->store, (uint8_t[32]){ 2 }, &row), -ENOENT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup_open, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_every_column_comes_back),
                TEST(test_order_of_use_and_single_columns),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
