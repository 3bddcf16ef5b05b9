/* SPDX-License-Identifier: Apache-2.0 */
#include "store/audit_table.h"

#include "store/test_support.h"

static void append(struct store *store, int n) {
        for (int i = 0; i < n; i++) {
                struct audit_row row = {
                        .time_ms = 1000 * (1 + i),
                        .credible = true,
                        .door = "local",
                        .principal = "uid:0",
                        .command = "campaign.start",
                        .has_document_digest = i % 2,
                        .document_digest = { 5 },
                        .device = "udp:one",
                        .hash_before = "aa",
                        .version_before = "1.3.0",
                        .hash_after = "bb",
                        .version_after = "1.4.0",
                        .result = "updated",
                };

                assert_int_equal(audit_table_append(store, &row), 0);
        }
        assert_int_equal(store_flush(store), 0);
}

/* In slices of three rows; the first bad row or 0. */
static int64_t verify(struct fixture *fixture, int64_t *ret_n_rows) {
        struct audit_verification verification = { 0 };

        for (int i = 0; !verification.finished; i++) {
                assert_int_equal(audit_table_verify(fixture->store, &verification, 3), 0);
                assert_true(i < 100);
        }
        if (ret_n_rows)
                *ret_n_rows = verification.n_rows;
        assert_int_equal(verification.bad_seq != 0, verification.text[0] != '\0');
        return verification.bad_seq;
}

static void test_an_untouched_chain_is_good(void **state) {
        struct fixture *fixture = *state;
        uint8_t digest[STORE_DIGEST_SIZE];
        int64_t n_rows, seq;

        assert_int_equal(verify(fixture, &n_rows), 0);
        assert_int_equal(n_rows, 0);
        assert_int_equal(audit_table_newest(fixture->store, &seq, digest), -ENOENT);
        append(fixture->store, 9);
        assert_int_equal(verify(fixture, &n_rows), 0);
        assert_int_equal(n_rows, 9);
        fixture_reopen(fixture);
        append(fixture->store, 1);
        assert_int_equal(verify(fixture, &n_rows), 0);
        assert_int_equal(n_rows, 10);
        assert_int_equal(audit_table_newest(fixture->store, &seq, digest), 0);
        assert_int_equal(seq, 10);
}

/* What somebody may do to the file behind our back, and the row that must be named. */
static const struct {
        const char *sql;
        int64_t bad_seq;
} tamperings[] = {
        { "UPDATE audit SET time_ms = time_ms + 1 WHERE seq = 4", 4 },
        { "UPDATE audit SET credible = 0 WHERE seq = 1", 1 },
        { "UPDATE audit SET door = 'mqtt' WHERE seq = 5", 5 },
        { "UPDATE audit SET principal = 'uid:1000' WHERE seq = 5", 5 },
        { "UPDATE audit SET command = 'campaign.stop' WHERE seq = 5", 5 },
        { "UPDATE audit SET document_digest = NULL WHERE seq = 6", 6 },
        { "UPDATE audit SET document_digest = zeroblob(32) WHERE seq = 6", 6 },
        { "UPDATE audit SET device = NULL WHERE seq = 7", 7 },
        { "UPDATE audit SET device = '' WHERE seq = 7", 7 },
        { "UPDATE audit SET hash_before = 'aa1', version_before = '.3.0' WHERE seq = 7", 7 },
        { "UPDATE audit SET hash_before = hash_after, hash_after = hash_before WHERE seq = 7", 7 },
        { "UPDATE audit SET version_after = NULL WHERE seq = 7", 7 },
        { "UPDATE audit SET result = 'failed' WHERE seq = 10", 10 },
        { "UPDATE audit SET digest = zeroblob(32) WHERE seq = 8", 8 },
        { "UPDATE audit SET previous = zeroblob(32) WHERE seq = 8", 8 },
        { "DELETE FROM audit WHERE seq = 3", 3 },
        { "DELETE FROM audit WHERE seq = 1", 1 },
        { "DELETE FROM audit WHERE seq > 8", 9 },
        { "DELETE FROM audit", 1 },
        { "UPDATE audit SET seq = 1000 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 1000",
          3 },
        { "INSERT INTO audit SELECT 11, time_ms, credible, door, principal, command, document_digest, device, hash_before,"
          " version_before, hash_after, version_after, result, previous, digest FROM audit WHERE seq = 10",
          11 },
};

static void test_tampering_is_found(void **state) {
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(tamperings); i++) {
                append(fixture->store, 10);
                fixture_close(fixture);
                fixture_sql(fixture, tamperings[i].sql);
                assert_int_equal(fixture_open(fixture, 0, NULL), 0);
                if (verify(fixture, NULL) != tamperings[i].bad_seq)
                        fail_msg("not found where it was: %s", tamperings[i].sql);
                append(fixture->store, 3); /* a longer chain does not heal it */
                assert_int_equal(verify(fixture, NULL), tamperings[i].bad_seq);
                fixture_close(fixture);
                fixture_remove_files(fixture);
                assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        }
}

static void test_cut_by_age_keeps_the_anchor(void **state) {
        struct fixture *fixture = *state;
        uint32_t n_deleted = 99;
        int64_t n_rows;

        assert_int_equal(audit_table_cut(fixture->store, 10, 1, 100, &n_deleted), 0); /* empty */
        assert_int_equal(n_deleted, 0);
        append(fixture->store, 10);
        assert_int_equal(audit_table_cut(fixture->store, 1000, 4000, 100, &n_deleted), 0); /* rows 1-3: 1000-3000 ms */
        assert_int_equal(n_deleted, 3);
        assert_int_equal(verify(fixture, &n_rows), 0);
        assert_int_equal(n_rows, 7);
        fixture_reopen(fixture);
        append(fixture->store, 1);
        assert_int_equal(verify(fixture, &n_rows), 0);
        assert_int_equal(n_rows, 8);
        fixture_close(fixture);
        fixture_sql(fixture, "DELETE FROM audit WHERE seq = 4"); /* one more than we cut */
        assert_int_equal(fixture_open(fixture, 0, NULL), 0);
        assert_int_equal(verify(fixture, NULL), 4);
}

static void test_cut_by_number_in_slices(void **state) {
        struct fixture *fixture = *state;
        uint32_t n_deleted;
        int64_t n_rows, seq;
        uint8_t digest[STORE_DIGEST_SIZE];

        append(fixture->store, 10);
        assert_int_equal(audit_table_cut(fixture->store, 4, 0, 5, &n_deleted), 0);
        assert_int_equal(n_deleted, 5);
        assert_int_equal(audit_table_cut(fixture->store, 4, 0, 5, &n_deleted), 0);
        assert_int_equal(n_deleted, 1);
        assert_int_equal(audit_table_cut(fixture->store, 4, 0, 5, &n_deleted), 0);
        assert_int_equal(n_deleted, 0);
        assert_int_equal(verify(fixture, &n_rows), 0);
        assert_int_equal(n_rows, 4);
        assert_int_equal(audit_table_cut(fixture->store, 0, INT64_MAX, 100, &n_deleted), 0); /* all: the newest stays */
        assert_int_equal(n_deleted, 3);
        assert_int_equal(verify(fixture, &n_rows), 0);
        assert_int_equal(n_rows, 1);
        fixture_reopen(fixture);
        append(fixture->store, 1);
        assert_int_equal(audit_table_newest(fixture->store, &seq, digest), 0);
        assert_int_equal(seq, 11);
        assert_int_equal(verify(fixture, &n_rows), 0);
}

static int check_columns(void *ctx, struct audit_row *row) {
        int *n = ctx;

        (*n)++;
        assert_int_equal(row->seq, 2);
        assert_int_equal(row->time_ms, 2000);
        assert_true(row->credible);
        assert_string_equal(row->door, "local");
        assert_string_equal(row->principal, "uid:0");
        assert_string_equal(row->command, "campaign.start");
        assert_true(row->has_document_digest);
        assert_int_equal(row->document_digest[0], 5);
        assert_string_equal(row->device, "udp:one");
        assert_string_equal(row->hash_before, "aa");
        assert_string_equal(row->version_before, "1.3.0");
        assert_string_equal(row->hash_after, "bb");
        assert_string_equal(row->version_after, "1.4.0");
        assert_string_equal(row->result, "updated");
        return 0;
}

static void test_every_column_comes_back(void **state) {
        struct fixture *fixture = *state;
        int n = 0;

        append(fixture->store, 3);
        fixture_reopen(fixture);
        assert_int_equal(audit_table_each(fixture->store, 2, 1, check_columns, &n), 0);
        assert_int_equal(n, 1);
}

static void test_a_row_without_end_is_refused(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *text = malloc(100001);
        struct audit_row row = { .command = "x", .result = text };

        memset(text, 'x', 100000);
        text[100000] = '\0';
        assert_int_equal(audit_table_append(fixture->store, &row), -EINVAL);
        assert_int_equal(store_failure(fixture->store), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup_open, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_an_untouched_chain_is_good), TEST(test_tampering_is_found),      TEST(test_cut_by_age_keeps_the_anchor),
                TEST(test_cut_by_number_in_slices),    TEST(test_every_column_comes_back), TEST(test_a_row_without_end_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
