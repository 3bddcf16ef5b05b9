/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <fcntl.h>

#include "store/device_table.h"
#include "store/event_table.h"
#include "store/job_table.h"
#include "store/migrations.h"
#include "store/test_support.h"

static void test_new_store(void **state) {
        struct fixture *fixture = *state;
        char epoch[STORE_EPOCH_SIZE];
        struct stat status;
        char wal[128];

        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        assert_int_equal(stat(fixture->path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        snprintf(wal, sizeof wal, "%s-wal", fixture->path);
        assert_int_equal(stat(wal, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);

        assert_int_equal(strlen(store_epoch(fixture->store)), 16);
        assert_int_equal(store_created_ms(fixture->store), TEST_NOW_MS);
        snprintf(epoch, sizeof epoch, "%s", store_epoch(fixture->store));
        fixture_reopen(fixture);
        assert_string_equal(store_epoch(fixture->store), epoch);
        fixture_close(fixture);

        assert_int_equal(fixture_ask(fixture, "PRAGMA user_version"), n_store_migrations);
        assert_int_equal(fixture_ask(fixture, "PRAGMA page_size"), 1024);
        assert_int_equal(fixture_ask(fixture, "PRAGMA application_id"), STORE_APPLICATION_ID);
}

static void test_two_stores_have_two_epochs(void **state) {
        struct fixture *fixture = *state;
        char epoch[STORE_EPOCH_SIZE];

        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        snprintf(epoch, sizeof epoch, "%s", store_epoch(fixture->store));
        fixture_close(fixture);
        fixture_remove_files(fixture);
        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        assert_string_not_equal(store_epoch(fixture->store), epoch);
}

static void test_second_process_is_kept_out(void **state) {
        struct fixture *fixture = *state, other = { 0 };
        struct gw_error err = { 0 };

        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        memcpy(&other.path, &fixture->path, sizeof other.path);
        assert_int_equal(fixture_open(&other, 0, &err), -EWOULDBLOCK);
        assert_string_equal(err.name, "store-locked");
        fixture_close(fixture);
        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
}

static void test_newer_is_refused_and_untouched(void **state) {
        struct fixture *fixture = *state;
        struct gw_error err = { 0 };

        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        fixture_close(fixture);
        fixture_sql(fixture, "PRAGMA user_version = 99");
        assert_int_equal(fixture_open(fixture, 0, &err), -EPROTONOSUPPORT);
        assert_string_equal(err.name, "store-newer");
        assert_non_null(strstr(err.text, "schema 99"));
        assert_int_equal(fixture_ask(fixture, "PRAGMA user_version"), 99);
}

static void test_foreign_database_is_refused(void **state) {
        struct fixture *fixture = *state;
        struct gw_error err = { 0 };

        fixture_sql(fixture, "CREATE TABLE recipe (name TEXT); INSERT INTO recipe VALUES ('soup')");
        assert_int_equal(fixture_open(fixture, 0, &err), -EUCLEAN);
        assert_string_equal(err.name, "store-corrupt");
        assert_int_equal(fixture_ask(fixture, "SELECT count(*) FROM recipe"), 1);
        assert_int_equal(fixture_ask(fixture, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"), 0);
}

static void overwrite(const char *path, off_t offset, int byte, size_t size) {
        _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT, 0600);
        char bytes[4096];

        memset(bytes, byte, sizeof bytes);
        assert_true(size <= sizeof bytes);
        assert_int_equal(pwrite(fd, bytes, size, offset), size);
}

static void test_no_database_at_all(void **state) {
        struct fixture *fixture = *state;
        struct gw_error err = { 0 };

        overwrite(fixture->path, 0, 'x', 4096);
        assert_int_equal(fixture_open(fixture, 0, &err), -EUCLEAN);
        assert_string_equal(err.name, "store-corrupt");
        assert_non_null(strstr(err.text, "move it away"));
}

static void put_devices(struct store *store, int n) {
        char id[32];

        for (int i = 0; i < n; i++) {
                snprintf(id, sizeof id, "udp:device-%d", i);
                assert_int_equal(device_table_put(store, &(struct device_row){ .id = id, .adopted = true }), 0);
        }
}

/* Zeros in mid-file, as a power cut leaves them where files are written in place. Looked for after an end that was none. */
static void test_damaged_pages_are_found_after_a_bad_end(void **state) {
        struct fixture *fixture = *state;
        struct gw_error err = { 0 };
        char wal[128];

        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        put_devices(fixture->store, 200);
        fixture_close(fixture);
        overwrite(fixture->path, INT64_C(1024) * 20, 0, 4096);
        snprintf(wal, sizeof wal, "%s-wal", fixture->path);
        overwrite(wal, 0, 0, 32);
        assert_int_equal(fixture_open(fixture, 0, &err), -EUCLEAN);
        assert_string_equal(err.name, "store-corrupt");
}

static void test_folder_that_is_not_there(void **state) {
        struct fixture *fixture = *state, other = { 0 };
        struct gw_error err = { 0 };

        snprintf(other.path, sizeof other.path, "%s/absent/x.db", fixture->directory);
        assert_int_equal(fixture_open(&other, 0, &err), -ENOENT);
        assert_string_equal(err.name, "store-failed");
}

/* ---- migration */

static char *read_file(const char *path) {
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        char *text = NULL;
        size_t size = 0;

        assert_non_null(file);
        assert_true(getdelim(&text, &size, '\0', file) > 0);
        return text;
}

static void test_migration_from_version_1(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *sql = read_file(GW_SOURCE_DIR "/tests/data/store/version-1.sql");
        _cleanup_device_row_ struct device_row device = { 0 };
        _cleanup_job_row_ struct job_row job = { 0 };

        fixture_sql(fixture, sql);
        assert_int_equal(fixture_ask(fixture, "PRAGMA user_version"), 1);
        assert_int_equal(fixture_open(fixture, 0, NULL), 0);

        assert_string_equal(store_epoch(fixture->store), "00112233445566ff");
        assert_int_equal(store_created_ms(fixture->store), INT64_C(1790000000000));
        assert_int_equal(event_table_newest(fixture->store), 2);
        assert_int_equal(device_table_fetch(fixture->store, "smp-udp:one", &device), 0);
        assert_string_equal(device.last_result, "updated");
        assert_int_equal(device.last_result_ms, INT64_C(1790000009000)); /* from its job */
        assert_int_equal(job_table_find(fixture->store, 1, "smp-udp:two", &job), 0);
        assert_string_equal(job.step, "upload");
        assert_int_equal(job.blob_size, 3);
        fixture_close(fixture);

        assert_int_equal(fixture_ask(fixture, "PRAGMA user_version"), n_store_migrations);
        assert_int_equal(fixture_ask(fixture, "SELECT count(*) FROM sqlite_master WHERE name = 'job_of_device'"), 1);
        assert_int_equal(fixture_ask(fixture, "SELECT count(*) FROM job"), 2);
}

/* A migration that fails half-way leaves the old version as it was. */
static void test_migration_that_fails_changes_nothing(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *sql = read_file(GW_SOURCE_DIR "/tests/data/store/version-1.sql");
        struct gw_error err = { 0 };

        fixture_sql(fixture, sql);
        fixture_sql(fixture, "CREATE INDEX job_unfinished ON job (state)"); /* in the way of the last statement of version 2 */
        assert_true(fixture_open(fixture, 0, &err) < 0);
        assert_non_null(strstr(err.text, "migration to schema 2"));
        assert_int_equal(fixture_ask(fixture, "PRAGMA user_version"), 1);
        assert_int_equal(fixture_ask(fixture, "SELECT count(*) FROM pragma_table_info('device') WHERE name = 'last_result_ms'"), 0);
        fixture_sql(fixture, "DROP INDEX job_unfinished");
        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
}

/* ---- meta */

static void test_meta(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *value = NULL;

        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        assert_int_equal(store_meta_get(fixture->store, "gateway", &value), -ENOENT);
        assert_int_equal(store_meta_set(fixture->store, "gateway", "pi-oslo-1"), 0);
        assert_int_equal(store_meta_set(fixture->store, "gateway", "pi-oslo-2"), 0);
        fixture_reopen(fixture);
        assert_int_equal(store_meta_get(fixture->store, "gateway", &value), 0);
        assert_string_equal(value, "pi-oslo-2");
        assert_int_equal(store_meta_set(fixture->store, "gateway", NULL), 0);
        assert_int_equal(store_meta_get(fixture->store, "gateway", &(char *){ NULL }), -ENOENT);
        assert_int_equal(store_meta_set(fixture->store, "epoch", "0"), -EINVAL);
        assert_int_equal(store_meta_set(fixture->store, "audit_anchor", "0"), -EINVAL);
}

/* The newest time goes along with other writes, at most every ten minutes. */
static void test_newest_time(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        assert_int_equal(store_newest_time_ms(fixture->store), 0);
        store_note_time(fixture->store, TEST_NOW_MS);
        store_note_time(fixture->store, TEST_NOW_MS - 5);
        assert_int_equal(store_newest_time_ms(fixture->store), TEST_NOW_MS);
        assert_int_equal(store_flush(fixture->store), 0);
        assert_int_equal(fixture_ask(fixture, "SELECT value FROM meta WHERE key = 'newest_time_ms'"), 0); /* no write of its own */
        put_devices(fixture->store, 1);
        assert_int_equal(store_flush(fixture->store), 0);
        assert_int_equal(fixture_ask(fixture, "SELECT value FROM meta WHERE key = 'newest_time_ms'"), TEST_NOW_MS);
        store_note_time(fixture->store, TEST_NOW_MS + 1000);
        put_devices(fixture->store, 1);
        assert_int_equal(store_flush(fixture->store), 0);
        assert_int_equal(fixture_ask(fixture, "SELECT value FROM meta WHERE key = 'newest_time_ms'"), TEST_NOW_MS);
        fixture_reopen(fixture);
        assert_int_equal(store_newest_time_ms(fixture->store), TEST_NOW_MS);
}

static void test_size(void **state) {
        struct fixture *fixture = *state;
        uint64_t before, after;

        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        assert_int_equal(store_size(fixture->store, &before), 0);
        put_devices(fixture->store, 1000);
        assert_int_equal(store_flush(fixture->store), 0);
        assert_int_equal(store_size(fixture->store, &after), 0);
        assert_true(before > 1024 && after > before + 50000);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_new_store),
                TEST(test_two_stores_have_two_epochs),
                TEST(test_second_process_is_kept_out),
                TEST(test_newer_is_refused_and_untouched),
                TEST(test_foreign_database_is_refused),
                TEST(test_no_database_at_all),
                TEST(test_damaged_pages_are_found_after_a_bad_end),
                TEST(test_folder_that_is_not_there),
                TEST(test_migration_from_version_1),
                TEST(test_migration_that_fails_changes_nothing),
                TEST(test_meta),
                TEST(test_newest_time),
                TEST(test_size),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
