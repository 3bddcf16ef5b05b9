/* SPDX-License-Identifier: Apache-2.0 */
#include "store/campaign_table.h"

#include "store/job_table.h"
#include "store/test_support.h"

static int64_t insert(struct store *store, const char *id, int64_t revision) {
        struct campaign_row row = {
                .id = (char *) id,
                .revision = revision,
                .digest = { 1, 2, 3 },
                .document = "{\"id\":\"x\"}",
                .source = "local",
                .principal = "uid:0",
                .kid = "release",
                .state = "in_progress",
                .accepted_ms = 1000 + revision,
                .deadline_ms = 2000,
        };

        assert_int_equal(campaign_table_insert(store, &row), 0);
        return row.campaign_id;
}

static void test_every_column_comes_back(void **state) {
        struct fixture *fixture = *state;
        _cleanup_campaign_row_ struct campaign_row row = { 0 };
        int64_t campaign_id = insert(fixture->store, "sensors", 3);

        assert_int_equal(campaign_table_set_state(fixture->store, campaign_id, "paused", "threshold", 0), 0);
        assert_int_equal(campaign_table_set_deadline(fixture->store, campaign_id, 2500), 0);
        assert_int_equal(campaign_table_set_rollout(fixture->store, &(struct campaign_row){ .campaign_id = campaign_id,
                                                                                            .wave = 1,
                                                                                            .wave_ended_ms = 2,
                                                                                            .gates_passed = 3,
                                                                                            .forgiven_failed = 4,
                                                                                            .forgiven_finished = 5 }),
                         0);
        fixture_reopen(fixture);
        assert_int_equal(campaign_table_fetch(fixture->store, campaign_id, &row), 0);
        assert_int_equal(row.campaign_id, campaign_id);
        assert_string_equal(row.kid, "release");
        assert_int_equal(row.wave, 1);
        assert_int_equal(row.wave_ended_ms, 2);
        assert_int_equal(row.gates_passed, 3);
        assert_int_equal(row.forgiven_failed, 4);
        assert_int_equal(row.forgiven_finished, 5);
        assert_string_equal(row.id, "sensors");
        assert_int_equal(row.revision, 3);
        assert_memory_equal(row.digest, ((uint8_t[32]){ 1, 2, 3 }), 32);
        assert_string_equal(row.document, "{\"id\":\"x\"}");
        assert_string_equal(row.source, "local");
        assert_string_equal(row.principal, "uid:0");
        assert_string_equal(row.state, "paused");
        assert_string_equal(row.reason, "threshold");
        assert_int_equal(row.accepted_ms, 1003);
        assert_int_equal(row.deadline_ms, 2500);
        assert_int_equal(row.finished_ms, 0);
}

static void test_somebody_else_answers_for_it(void **state) {
        struct fixture *fixture = *state;
        _cleanup_campaign_row_ struct campaign_row row = { 0 };
        int64_t campaign_id = insert(fixture->store, "sensors", 3);

        assert_int_equal(campaign_table_set_kid(fixture->store, campaign_id, NULL), 0);
        assert_int_equal(campaign_table_fetch(fixture->store, campaign_id, &row), 0);
        assert_null(row.kid);
        assert_int_equal(campaign_table_set_kid(fixture->store, 99, "other"), -ENOENT);
}

static void test_id_and_revision_are_unique(void **state) {
        struct fixture *fixture = *state;
        struct campaign_row row = { .id = "sensors", .revision = 1, .document = "{}", .state = "scheduled" };

        insert(fixture->store, "sensors", 1);
        assert_int_equal(campaign_table_insert(fixture->store, &row), -EEXIST);
        row.revision = 2;
        assert_int_equal(campaign_table_insert(fixture->store, &row), 0);
        row = (struct campaign_row){ .id = "no-state", .document = "{}" };
        assert_int_equal(campaign_table_insert(fixture->store, &row), -EINVAL);
}

static void test_find(void **state) {
        struct fixture *fixture = *state;
        struct campaign_row row = { 0 };

        insert(fixture->store, "sensors", 7);
        insert(fixture->store, "sensors", 9);
        insert(fixture->store, "sensors", 8);
        assert_int_equal(campaign_table_find(fixture->store, "sensors", -1, &row), 0);
        assert_int_equal(row.revision, 9);
        campaign_row_clear(&row);
        assert_int_equal(campaign_table_find(fixture->store, "sensors", 8, &row), 0);
        assert_int_equal(row.revision, 8);
        campaign_row_clear(&row);
        assert_int_equal(campaign_table_find(fixture->store, "sensors", 1, &row), -ENOENT);
        assert_int_equal(campaign_table_find(fixture->store, "other", -1, &row), -ENOENT);
        assert_int_equal(campaign_table_fetch(fixture->store, 99, &row), -ENOENT);
        assert_int_equal(campaign_table_set_state(fixture->store, 99, "paused", NULL, 0), -ENOENT);
        assert_null(row.id);
}

static int append_revision(void *ctx, struct campaign_row *row) {
        char *text = ctx;
        size_t n = strlen(text);

        snprintf(text + n, 32 - n, "%d ", (int) row->revision);
        return row->revision == 99 ? -ECANCELED : 0;
}

static void test_each(void **state) {
        struct fixture *fixture = *state;
        int64_t middle;
        char text[32] = "";

        insert(fixture->store, "b", 1);
        middle = insert(fixture->store, "a", 2);
        insert(fixture->store, "c", 3);
        assert_int_equal(campaign_table_set_state(fixture->store, middle, "completed", NULL, 5000), 0);
        assert_int_equal(campaign_table_each(fixture->store, false, append_revision, text), 0);
        assert_string_equal(text, "1 2 3 ");
        text[0] = '\0';
        assert_int_equal(campaign_table_each(fixture->store, true, append_revision, text), 0);
        assert_string_equal(text, "1 3 ");
        insert(fixture->store, "d", 99);
        insert(fixture->store, "e", 4);
        text[0] = '\0';
        assert_int_equal(campaign_table_each(fixture->store, true, append_revision, text), -ECANCELED);
        assert_string_equal(text, "1 3 99 ");
}

/* A walk inside a walk over the same statement. */
static int walk_again(void *ctx, struct campaign_row *row) {
        char text[32] = "";

        (void) row;
        assert_int_equal(campaign_table_each(ctx, false, append_revision, text), 0);
        assert_string_equal(text, "1 2 ");
        return 0;
}

static void test_nested_walks(void **state) {
        struct fixture *fixture = *state;

        insert(fixture->store, "a", 1);
        insert(fixture->store, "b", 2);
        assert_int_equal(campaign_table_each(fixture->store, false, walk_again, fixture->store), 0);
}

static void test_delete_takes_jobs_steps_and_targets(void **state) {
        struct fixture *fixture = *state;
        int64_t campaign_id = insert(fixture->store, "a", 1);
        struct job_row job = { .campaign_id = campaign_id, .device = "udp:one", .state = "queued" };
        struct target_row target = { .key = "node-1", .state = "queued" };

        assert_int_equal(job_table_insert(fixture->store, &job), 0);
        assert_int_equal(job_table_enter_step(fixture->store, job.job_id, "upload", 1, NULL, 0, 1), 0);
        target.job_id = job.job_id;
        assert_int_equal(job_table_put_target(fixture->store, &target), 0);
        assert_int_equal(campaign_table_delete(fixture->store, campaign_id), 0);
        assert_int_equal(campaign_table_delete(fixture->store, campaign_id), -ENOENT);
        assert_int_equal(store_flush(fixture->store), 0);
        assert_int_equal(fixture_ask(fixture, "SELECT (SELECT count(*) FROM job) + (SELECT count(*) FROM step)"
                                              " + (SELECT count(*) FROM target)"),
                         0);
}

static void test_prune_keeps_unfinished_and_newest(void **state) {
        struct fixture *fixture = *state;
        uint32_t n_deleted = 0;
        char text[32] = "";

        for (int i = 1; i <= 6; i++) {
                int64_t campaign_id = insert(fixture->store, "a", i);

                if (i != 2)
                        assert_int_equal(campaign_table_set_state(fixture->store, campaign_id, "completed", NULL, 1000 * i), 0);
        }
        assert_int_equal(campaign_table_prune(fixture->store, 100, 3500, 1, &n_deleted), 0);
        assert_int_equal(n_deleted, 1); /* 1: older; one at a time */
        assert_int_equal(campaign_table_prune(fixture->store, 100, 3500, 10, &n_deleted), 0);
        assert_int_equal(n_deleted, 1); /* 3 */
        assert_int_equal(campaign_table_prune(fixture->store, 2, 0, 10, &n_deleted), 0);
        assert_int_equal(n_deleted, 1); /* 4: beyond the newest two */
        assert_int_equal(campaign_table_each(fixture->store, false, append_revision, text), 0);
        assert_string_equal(text, "2 5 6 ");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup_open, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_every_column_comes_back),
                TEST(test_somebody_else_answers_for_it),
                TEST(test_id_and_revision_are_unique),
                TEST(test_find),
                TEST(test_each),
                TEST(test_nested_walks),
                TEST(test_delete_takes_jobs_steps_and_targets),
                TEST(test_prune_keeps_unfinished_and_newest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
