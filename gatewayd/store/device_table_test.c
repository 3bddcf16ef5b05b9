/* SPDX-License-Identifier: Apache-2.0 */
#include "store/device_table.h"

#include "store/test_support.h"

static const struct device_row full = {
        .id = "udp:one",
        .adopted = true,
        .name = "a",
        .model_adopted = "b",
        .model_stated = "c",
        .labels = "[\"d\"]",
        .address_adopted = "e",
        .address_seen = "f",
        .version = "g",
        .images = "[]",
        .attributes = "{}",
        .rssi_dbm = -70,
        .battery_percent = 55,
        .first_seen_ms = 1,
        .last_seen_ms = 2,
        .last_job_id = 3,
        .last_result = "h",
        .last_error = "i",
        .last_result_ms = 4,
};

static void test_every_column_comes_back(void **state) {
        struct fixture *fixture = *state;
        _cleanup_device_row_ struct device_row row = { 0 };

        assert_int_equal(device_table_put(fixture->store, &(struct device_row){ .id = "udp:one" }), 0);
        assert_int_equal(device_table_put(fixture->store, &full), 0);
        fixture_reopen(fixture);
        assert_int_equal(device_table_fetch(fixture->store, "udp:one", &row), 0);
        assert_string_equal(row.id, full.id);
        assert_true(row.adopted);
        assert_string_equal(row.name, full.name);
        assert_string_equal(row.model_adopted, full.model_adopted);
        assert_string_equal(row.model_stated, full.model_stated);
        assert_string_equal(row.labels, full.labels);
        assert_string_equal(row.address_adopted, full.address_adopted);
        assert_string_equal(row.address_seen, full.address_seen);
        assert_string_equal(row.version, full.version);
        assert_string_equal(row.images, full.images);
        assert_string_equal(row.attributes, full.attributes);
        assert_int_equal(row.rssi_dbm, full.rssi_dbm);
        assert_int_equal(row.battery_percent, full.battery_percent);
        assert_int_equal(row.first_seen_ms, full.first_seen_ms);
        assert_int_equal(row.last_seen_ms, full.last_seen_ms);
        assert_int_equal(row.last_job_id, full.last_job_id);
        assert_string_equal(row.last_result, full.last_result);
        assert_string_equal(row.last_error, full.last_error);
        assert_int_equal(row.last_result_ms, full.last_result_ms);
}

static int append_id(void *ctx, struct device_row *row) {
        char *text = ctx;

        strncat(text, row->id, 64 - strlen(text) - 1);
        strncat(text, " ", 64 - strlen(text) - 1);
        return 0;
}

static void test_put_replaces_delete_removes(void **state) {
        struct fixture *fixture = *state;
        struct device_row row = { .id = "udp:b" };
        char text[64] = "";

        assert_int_equal(device_table_put(fixture->store, &row), 0);
        row.id = "udp:a";
        assert_int_equal(device_table_put(fixture->store, &row), 0);
        assert_int_equal(device_table_put(fixture->store, &row), 0);
        assert_int_equal(device_table_each(fixture->store, append_id, text), 0);
        assert_string_equal(text, "udp:a udp:b ");
        assert_int_equal(device_table_delete(fixture->store, "udp:a"), 0);
        assert_int_equal(device_table_delete(fixture->store, "udp:a"), -ENOENT);
        assert_int_equal(device_table_fetch(fixture->store, "udp:a", &row), -ENOENT);
}

static void test_last_seen(void **state) {
        struct fixture *fixture = *state;
        _cleanup_device_row_ struct device_row row = { 0 };

        assert_int_equal(device_table_put(fixture->store, &full), 0);
        assert_int_equal(device_table_set_last_seen(fixture->store, "udp:one", 99, -40), 0);
        assert_int_equal(device_table_set_last_seen(fixture->store, "udp:two", 99, -40), -ENOENT);
        assert_int_equal(device_table_fetch(fixture->store, "udp:one", &row), 0);
        assert_int_equal(row.last_seen_ms, 99);
        assert_int_equal(row.rssi_dbm, -40);
        assert_string_equal(row.name, "a");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup_open, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_every_column_comes_back),
                TEST(test_put_replaces_delete_removes),
                TEST(test_last_seen),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
