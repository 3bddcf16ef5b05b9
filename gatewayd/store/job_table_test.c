/* SPDX-License-Identifier: Apache-2.0 */
#include "store/job_table.h"

#include "store/campaign_table.h"
#include "store/test_support.h"

static int64_t campaign(struct store *store, const char *id) {
        struct campaign_row row = { .id = (char *) id, .revision = 1, .document = "{}", .state = "in_progress" };

        assert_int_equal(campaign_table_insert(store, &row), 0);
        return row.campaign_id;
}

static int64_t insert(struct store *store, int64_t campaign_id, const char *device) {
        struct job_row row = { .campaign_id = campaign_id, .device = (char *) device, .state = "queued", .queued_ms = 10 };

        assert_int_equal(job_table_insert(store, &row), 0);
        return row.job_id;
}

static const struct job_row full = {
        .device = "udp:one",
        .has_artifact = true,
        .artifact = { 9, 8, 7 },
        .state = "in_progress",
        .reason = "a",
        .step = "upload",
        .attempt = 2,
        .committed = true,
        .stopped = true,
        .blob = "\0\1\2",
        .blob_size = 3,
        .wanted = "[1]",
        .result = "c",
        .proof = "d",
        .error_name = "e",
        .error_text = "f",
        .notes = "[2]",
        .queued_ms = 11,
        .started_ms = 12,
        .finished_ms = 13,
        .not_before_ms = 14,
        .version_before = "g",
        .version_after = "h",
        .hash_before = "i",
        .hash_after = "j",
        .wave = 15,
        .undecided = true,
        .images_before = "[3]",
        .history = "[4]",
};

static void assert_full(const struct job_row *row) {
        assert_string_equal(row->device, full.device);
        assert_true(row->has_artifact);
        assert_memory_equal(row->artifact, full.artifact, sizeof full.artifact);
        assert_string_equal(row->state, full.state);
        assert_string_equal(row->reason, full.reason);
        assert_string_equal(row->step, full.step);
        assert_int_equal(row->attempt, full.attempt);
        assert_true(row->committed);
        assert_true(row->stopped);
        assert_int_equal(row->blob_size, full.blob_size);
        assert_memory_equal(row->blob, full.blob, full.blob_size);
        assert_string_equal(row->wanted, full.wanted);
        assert_string_equal(row->result, full.result);
        assert_string_equal(row->proof, full.proof);
        assert_string_equal(row->error_name, full.error_name);
        assert_string_equal(row->error_text, full.error_text);
        assert_string_equal(row->notes, full.notes);
        assert_int_equal(row->queued_ms, full.queued_ms);
        assert_int_equal(row->started_ms, full.started_ms);
        assert_int_equal(row->finished_ms, full.finished_ms);
        assert_int_equal(row->not_before_ms, full.not_before_ms);
        assert_string_equal(row->version_before, full.version_before);
        assert_string_equal(row->version_after, full.version_after);
        assert_string_equal(row->hash_before, full.hash_before);
        assert_string_equal(row->hash_after, full.hash_after);
        assert_int_equal(row->wave, full.wave);
        assert_true(row->undecided);
        assert_string_equal(row->images_before, full.images_before);
        assert_string_equal(row->history, full.history);
}

static void test_every_column_comes_back_from_insert(void **state) {
        struct fixture *fixture = *state;
        _cleanup_job_row_ struct job_row read = { 0 };
        struct job_row row = full;

        row.campaign_id = campaign(fixture->store, "a");
        assert_int_equal(job_table_insert(fixture->store, &row), 0);
        fixture_reopen(fixture);
        assert_int_equal(job_table_fetch(fixture->store, row.job_id, &read), 0);
        assert_int_equal(read.campaign_id, row.campaign_id);
        assert_full(&read);
}

static void test_every_column_comes_back_from_update(void **state) {
        struct fixture *fixture = *state;
        _cleanup_job_row_ struct job_row read = { 0 };
        struct job_row row = full;

        row.job_id = insert(fixture->store, campaign(fixture->store, "a"), "udp:one");
        assert_int_equal(job_table_update(fixture->store, &row), 0);
        assert_int_equal(job_table_fetch(fixture->store, row.job_id, &read), 0);
        assert_full(&read);
        row.job_id = 77;
        assert_int_equal(job_table_update(fixture->store, &row), -ENOENT);
}

static void test_wave(void **state) {
        struct fixture *fixture = *state;
        _cleanup_job_row_ struct job_row row = { 0 };
        int64_t job_id = insert(fixture->store, campaign(fixture->store, "a"), "udp:one");

        assert_int_equal(job_table_set_wave(fixture->store, job_id, 3), 0);
        assert_int_equal(job_table_fetch(fixture->store, job_id, &row), 0);
        assert_int_equal(row.wave, 3);
        assert_int_equal(job_table_set_wave(fixture->store, 99, 3), -ENOENT);
}

static int count_rows(void *ctx, struct job_row *row) {
        (void) row;
        ++*(int *) ctx;
        return 0;
}

static void insert_updated(struct store *store, int64_t campaign_id, const char *device, const char *hash_before, const char *result) {
        struct job_row row = {
                .campaign_id = campaign_id, .device = (char *) device, .state = "succeeded", .result = (char *) result, .hash_before = (char *) hash_before
        };

        assert_int_equal(job_table_insert(store, &row), 0);
}

static void test_over_all_revisions(void **state) {
        struct fixture *fixture = *state;
        struct campaign_row second = { .id = "a", .revision = 2, .document = "{}", .state = "in_progress" };
        int64_t first = campaign(fixture->store, "a"), other = campaign(fixture->store, "b");
        struct job_row row = { 0 };
        int n = 0;

        assert_int_equal(campaign_table_insert(fixture->store, &second), 0);
        insert_updated(fixture->store, first, "udp:one", "aa", "already");
        insert_updated(fixture->store, first, "udp:two", "bb", "updated");
        insert_updated(fixture->store, second.campaign_id, "udp:one", "cc", "updated");
        insert_updated(fixture->store, second.campaign_id, "udp:two", "dd", "updated");
        insert_updated(fixture->store, other, "udp:three", "ee", "updated");
        assert_int_equal(job_table_each_of_revisions(fixture->store, "a", count_rows, &n), 0);
        assert_int_equal(n, 4);
        assert_int_equal(job_table_find_updated(fixture->store, "a", "udp:one", &row), 0);
        assert_string_equal(row.hash_before, "cc");
        job_row_clear(&row);
        assert_int_equal(job_table_find_updated(fixture->store, "a", "udp:two", &row), 0);
        assert_string_equal(row.hash_before, "bb");
        job_row_clear(&row);
        assert_int_equal(job_table_find_updated(fixture->store, "a", "udp:three", &row), -ENOENT);
        assert_int_equal(job_table_find_updated(fixture->store, "nobody", "udp:one", &row), -ENOENT);
}

static void test_empty_columns_stay_empty(void **state) {
        struct fixture *fixture = *state;
        _cleanup_job_row_ struct job_row row = { 0 };
        int64_t job_id = insert(fixture->store, campaign(fixture->store, "a"), "udp:one");

        assert_int_equal(job_table_fetch(fixture->store, job_id, &row), 0);
        assert_false(row.has_artifact);
        assert_null(row.blob);
        assert_int_equal(row.blob_size, 0);
        assert_null(row.reason);
        assert_null(row.step);
        assert_null(row.hash_after);
}

static void test_what_is_refused(void **state) {
        struct fixture *fixture = *state;
        int64_t campaign_id = campaign(fixture->store, "a");
        int64_t job_id = insert(fixture->store, campaign_id, "udp:one");
        struct job_row row = { .campaign_id = 99, .device = "udp:one", .state = "queued" };
        static const uint8_t blob[GW_BLOB_MAX + 1];

        assert_int_equal(job_table_insert(fixture->store, &row), -EINVAL);
        row = (struct job_row){ .campaign_id = campaign_id, .state = "queued" };
        assert_int_equal(job_table_insert(fixture->store, &row), -EINVAL);
        assert_int_equal(job_table_enter_step(fixture->store, job_id, "x", 1, blob, sizeof blob, 1), -EINVAL);
        assert_int_equal(job_table_enter_step(fixture->store, job_id, NULL, 1, NULL, 0, 1), -EINVAL);
        assert_int_equal(job_table_enter_step(fixture->store, 99, "x", 1, NULL, 0, 1), -ENOENT);
        assert_int_equal(job_table_set_blob(fixture->store, job_id, blob, sizeof blob), -EINVAL);
        assert_int_equal(job_table_set_blob(fixture->store, job_id, blob, GW_BLOB_MAX), 0);
        assert_int_equal(job_table_put_target(fixture->store, &(struct target_row){ .job_id = 99, .key = "k", .state = "s" }), -EINVAL);
        assert_int_equal(job_table_finish(fixture->store, job_id, &(struct job_finish){ .state = "failed" }), -EINVAL);
}

static int append_step(void *ctx, struct step_row *row) {
        char *text = ctx;
        size_t n = strlen(text);

        snprintf(text + n, 128 - n, "%d:%s:%d@%d ", (int) row->n, row->name, (int) row->attempt, (int) row->entered_ms);
        return 0;
}

static void test_journal(void **state) {
        struct fixture *fixture = *state;
        int64_t job_id = insert(fixture->store, campaign(fixture->store, "a"), "udp:one");
        struct job_row row = { 0 };
        char text[128] = "";

        assert_int_equal(job_table_set_state(fixture->store, job_id, "queued", "not-seen", 500), 0);
        assert_int_equal(job_table_fetch(fixture->store, job_id, &row), 0);
        assert_string_equal(row.reason, "not-seen");
        assert_int_equal(row.not_before_ms, 500);
        job_row_clear(&row);

        assert_int_equal(job_table_enter_step(fixture->store, job_id, "upload", 1, "one", 3, 100), 0);
        assert_int_equal(job_table_set_committed(fixture->store, job_id), 0);
        assert_int_equal(job_table_enter_step(fixture->store, job_id, "upload", 2, NULL, 0, 200), 0);
        assert_int_equal(job_table_enter_step(fixture->store, job_id, "test", 2, "two!", 4, 300), 0);
        assert_int_equal(job_table_fetch(fixture->store, job_id, &row), 0);
        assert_string_equal(row.state, "in_progress");
        assert_null(row.reason);
        assert_string_equal(row.step, "test");
        assert_int_equal(row.attempt, 2);
        assert_int_equal(row.started_ms, 100);
        assert_int_equal(row.not_before_ms, 0);
        assert_true(row.committed);
        assert_int_equal(row.blob_size, 4);
        assert_memory_equal(row.blob, "two!", 4);
        job_row_clear(&row);
        assert_int_equal(job_table_each_step(fixture->store, job_id, append_step, text), 0);
        assert_string_equal(text, "1:upload:1@100 2:upload:2@200 3:test:2@300 ");
}

/* Into the next revision, with its steps. */
static void test_set_campaign(void **state) {
        struct fixture *fixture = *state;
        int64_t job_id = insert(fixture->store, campaign(fixture->store, "a"), "udp:one"), other = campaign(fixture->store, "b");
        _cleanup_job_row_ struct job_row row = { 0 };

        assert_int_equal(job_table_set_campaign(fixture->store, job_id, other), 0);
        assert_int_equal(job_table_fetch(fixture->store, job_id, &row), 0);
        assert_int_equal(row.campaign_id, other);
        assert_int_equal(job_table_set_campaign(fixture->store, job_id, 999), -EINVAL);
        assert_int_equal(job_table_set_campaign(fixture->store, 999, other), -ENOENT);
}

static int count_step(void *ctx, struct step_row *row) {
        int64_t *first_and_n = ctx;

        if (first_and_n[1]++ == 0)
                first_and_n[0] = row->n;
        return 0;
}

static void test_journal_is_bounded(void **state) {
        struct fixture *fixture = *state;
        int64_t job_id = insert(fixture->store, campaign(fixture->store, "a"), "udp:one"), first_and_n[2] = { 0 };

        for (int i = 0; i < JOB_TABLE_STEPS_KEPT + 10; i++)
                assert_int_equal(job_table_enter_step(fixture->store, job_id, "upload", 1, NULL, 0, i), 0);
        assert_int_equal(job_table_each_step(fixture->store, job_id, count_step, first_and_n), 0);
        assert_int_equal(first_and_n[0], 11);
        assert_int_equal(first_and_n[1], JOB_TABLE_STEPS_KEPT);
}

static void test_finish(void **state) {
        struct fixture *fixture = *state;
        int64_t job_id = insert(fixture->store, campaign(fixture->store, "a"), "udp:one");
        _cleanup_job_row_ struct job_row row = { 0 };
        const struct job_finish finish = {
                .state = "succeeded",
                .result = "updated",
                .proof = "hash-active-confirmed",
                .notes = "[]",
                .version_after = "1.4.0",
                .finished_ms = 900,
        };

        assert_int_equal(job_table_enter_step(fixture->store, job_id, "upload", 1, "one", 3, 100), 0);
        assert_int_equal(job_table_finish(fixture->store, job_id, &finish), 0);
        assert_int_equal(job_table_finish(fixture->store, job_id, &finish), -ENOENT); /* once */
        assert_int_equal(job_table_fetch(fixture->store, job_id, &row), 0);
        assert_string_equal(row.state, "succeeded");
        assert_string_equal(row.result, "updated");
        assert_string_equal(row.proof, "hash-active-confirmed");
        assert_string_equal(row.version_after, "1.4.0");
        assert_null(row.hash_after);
        assert_null(row.blob);
        assert_string_equal(row.step, "upload");
        assert_int_equal(row.finished_ms, 900);
}

static int append_device(void *ctx, struct job_row *row) {
        char *text = ctx;

        strncat(text, row->device, 64 - strlen(text) - 1);
        strncat(text, " ", 64 - strlen(text) - 1);
        return 0;
}

static int append_count(void *ctx, const char *state, const char *result, int64_t n_jobs) {
        char *text = ctx;
        size_t n = strlen(text);

        snprintf(text + n, 64 - n, "%s/%s=%d ", state, result ? result : "-", (int) n_jobs);
        return 0;
}

static void test_walks_and_counts(void **state) {
        struct fixture *fixture = *state;
        struct store *store = fixture->store;
        int64_t a = campaign(store, "a"), b = campaign(store, "b"), second;
        _cleanup_job_row_ struct job_row row = { 0 };
        char text[64] = "";

        insert(store, a, "x:1");
        second = insert(store, a, "x:2");
        insert(store, b, "x:1");
        insert(store, a, "x:3");
        assert_int_equal(
                job_table_finish(store, second, &(struct job_finish){ .state = "succeeded", .result = "already", .finished_ms = 1 }), 0);
        assert_int_equal(job_table_each_unfinished(store, append_device, text), 0);
        assert_string_equal(text, "x:1 x:1 x:3 ");
        text[0] = '\0';
        assert_int_equal(job_table_each_of_campaign(store, a, append_device, text), 0);
        assert_string_equal(text, "x:1 x:2 x:3 ");
        text[0] = '\0';
        assert_int_equal(job_table_each_of_device(store, "x:1", 1, append_device, text), 0);
        assert_string_equal(text, "x:1 ");
        text[0] = '\0';
        assert_int_equal(job_table_count(store, a, append_count, text), 0);
        assert_string_equal(text, "queued/-=2 succeeded/already=1 ");
        assert_int_equal(job_table_find(store, b, "x:1", &row), 0);
        assert_int_equal(row.job_id, 3);
        assert_int_equal(job_table_find(store, b, "x:2", &row), -ENOENT);
}

static int append_target(void *ctx, struct target_row *row) {
        char *text = ctx;
        size_t n = strlen(text);

        snprintf(text + n, 128 - n, "%s:%s:%s:%s:%s:%s ", row->key, row->state, row->result ? row->result : "-",
                 row->proof ? row->proof : "-", row->error_name ? row->error_name : "-", row->error_text ? row->error_text : "-");
        return 0;
}

static void test_targets(void **state) {
        struct fixture *fixture = *state;
        int64_t job_id = insert(fixture->store, campaign(fixture->store, "a"), "udp:one");
        char text[128] = "";

        assert_int_equal(job_table_put_target(fixture->store, &(struct target_row){ .job_id = job_id, .key = "n2", .state = "queued" }), 0);
        assert_int_equal(job_table_put_target(fixture->store, &(struct target_row){ .job_id = job_id, .key = "n1", .state = "queued" }), 0);
        assert_int_equal(job_table_put_target(fixture->store, &(struct target_row){ .job_id = job_id,
                                                                                    .key = "n2",
                                                                                    .state = "succeeded",
                                                                                    .result = "updated",
                                                                                    .proof = "beacon",
                                                                                    .error_name = "x",
                                                                                    .error_text = "y" }),
                         0);
        assert_int_equal(job_table_each_target(fixture->store, job_id, append_target, text), 0);
        assert_string_equal(text, "n1:queued:-:-:-:- n2:succeeded:updated:beacon:x:y ");
        assert_int_equal(job_table_clear_targets(fixture->store, job_id), 0);
        text[0] = '\0';
        assert_int_equal(job_table_each_target(fixture->store, job_id, append_target, text), 0);
        assert_string_equal(text, "");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup_open, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_every_column_comes_back_from_insert),
                TEST(test_every_column_comes_back_from_update),
                TEST(test_wave),
                TEST(test_over_all_revisions),
                TEST(test_empty_columns_stay_empty),
                TEST(test_what_is_refused),
                TEST(test_journal),
                TEST(test_journal_is_bounded),
                TEST(test_set_campaign),
                TEST(test_finish),
                TEST(test_walks_and_counts),
                TEST(test_targets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
