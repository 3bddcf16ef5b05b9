/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What one device of a campaign costs: at most 12 synced transactions and 64 KiB written. Here in the dearest order: one device after
 * the other, every step in a turn of its own, so that nothing is shared.
 */

#include <time.h>

#include "loop/test_support.h"
#include "store/audit_table.h"
#include "store/campaign_table.h"
#include "store/device_table.h"
#include "store/event_table.h"
#include "store/job_table.h"
#include "store/test_support.h"

#define N_DEVICES 200
#define SYNCS_MAX 12
#define BYTES_MAX 65536
#define SHA256_HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define IMAGES                                                                                                                             \
        "[{\"image\":0,\"slot\":0,\"hash\":\"" SHA256_HEX "\",\"version\":\"1.3.0\",\"flags\":[\"active\",\"confirmed\"]},"                \
        "{\"image\":0,\"slot\":1,\"hash\":\"" SHA256_HEX "\",\"version\":\"1.4.0\",\"flags\":[\"pending\"]}]"

static const char *const steps[] = { "upload", "test", "reset", "return", "verify", "trial", "confirm" };

static void synced(void *ctx, int result) {
        assert_int_equal(result, 0);
        *(bool *) ctx = true;
}

static void end_turn(struct fixture *fixture) {
        bool done = false;

        assert_int_equal(store_sync(fixture->store, synced, &done, NULL), 0);
        LOOP_UNTIL(fixture->loop, done);
}

static void event(struct store *store, const char *type, const char *device) {
        struct event_row row = {
                .time_ms = TEST_NOW_MS,
                .credible = true,
                .type = (char *) type,
                .campaign = "sensors-1.4.0",
                .revision = 1,
                .device = (char *) device,
                .body = "{\"state\":\"in_progress\",\"step\":\"upload\",\"attempt\":1,\"result\":\"updated\",\"proof\":\"hash-active-"
                        "confirmed\"}",
        };

        assert_int_equal(event_table_append(store, &row), 0);
}

static void finish(struct store *store, int64_t job_id, const char *device) {
        const struct job_finish end = {
                .state = "succeeded",
                .result = "updated",
                .proof = "hash-active-confirmed",
                .notes = "[]",
                .version_after = "1.4.0",
                .hash_after = SHA256_HEX,
                .finished_ms = TEST_NOW_MS,
        };
        struct audit_row audit = {
                .door = "local",
                .principal = "uid:0",
                .command = "job.finish",
                .device = (char *) device,
                .hash_before = SHA256_HEX,
                .version_before = "1.3.0",
                .hash_after = SHA256_HEX,
                .version_after = "1.4.0",
                .result = "updated",
        };
        struct device_row row = {
                .id = (char *) device,
                .adopted = true,
                .name = "a device",
                .model_adopted = "acme,sensor-r2",
                .labels = "[\"sensor\"]",
                .images = IMAGES,
                .version = "1.4.0",
                .last_job_id = job_id,
                .last_result = "updated",
        };

        assert_int_equal(job_table_finish(store, job_id, &end), 0);
        assert_int_equal(audit_table_append(store, &audit), 0);
        assert_int_equal(device_table_put(store, &row), 0);
        event(store, "job-finished", device);
}

static void update_one(struct fixture *fixture, int64_t campaign_id, const char *device) {
        struct job_row job = {
                .campaign_id = campaign_id,
                .device = (char *) device,
                .has_artifact = true,
                .state = "queued",
                .wanted = IMAGES,
                .version_before = "1.3.0",
                .hash_before = SHA256_HEX,
        };
        uint8_t blob[160] = { 1 };

        assert_int_equal(job_table_insert(fixture->store, &job), 0);
        event(fixture->store, "job-queued", device);
        end_turn(fixture);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                assert_int_equal(
                        job_table_enter_step(fixture->store, job.job_id, steps[i], 1, blob, sizeof blob, TEST_NOW_MS + (int64_t) i), 0);
                if (i == 0)
                        event(fixture->store, "job-started", device);
                end_turn(fixture);
        }
        assert_int_equal(job_table_set_committed(fixture->store, job.job_id), 0);
        end_turn(fixture);
        finish(fixture->store, job.job_id, device);
        end_turn(fixture);
}

static void test_cost_of_a_device(void **state) {
        struct fixture *fixture = *state;
        struct campaign_row campaign = { .id = "sensors-1.4.0", .revision = 1, .document = "{}", .state = "in_progress" };
        struct store_statistics before, after;
        uint64_t n_bytes;
        char device[32];

        assert_int_equal(campaign_table_insert(fixture->store, &campaign), 0);
        end_turn(fixture);
        store_statistics(fixture->store, &before);
        for (int i = 0; i < N_DEVICES; i++) {
                snprintf(device, sizeof device, "smp-udp:device-%04d", i);
                update_one(fixture, campaign.campaign_id, device);
        }
        store_statistics(fixture->store, &after);
        n_bytes = after.log_bytes - before.log_bytes + after.checkpoint_bytes - before.checkpoint_bytes;
        print_message("a device: %.1f syncs, %.1f KiB to the log, %.1f KiB from there to the database\n",
                      (double) (after.n_syncs - before.n_syncs) / N_DEVICES,
                      (double) (after.log_bytes - before.log_bytes) / 1024 / N_DEVICES,
                      (double) (after.checkpoint_bytes - before.checkpoint_bytes) / 1024 / N_DEVICES);
        assert_true(after.n_syncs - before.n_syncs <= SYNCS_MAX * N_DEVICES);
        assert_true(n_bytes <= (uint64_t) BYTES_MAX * N_DEVICES);
}

/* A thousand jobs that move at once share the transaction: CPU time on the loop, far below the second that it may take. */
static void test_a_thousand_jobs_in_one_turn(void **state) {
        struct fixture *fixture = *state;
        struct campaign_row campaign = { .id = "a", .revision = 1, .document = "{}", .state = "in_progress" };
        struct store_statistics before, after;
        clock_t start;
        char device[32];

        assert_int_equal(campaign_table_insert(fixture->store, &campaign), 0);
        for (int i = 0; i < 1000; i++) {
                struct job_row job = { .campaign_id = campaign.campaign_id, .device = device, .state = "queued" };

                snprintf(device, sizeof device, "smp-udp:device-%04d", i);
                assert_int_equal(job_table_insert(fixture->store, &job), 0);
        }
        end_turn(fixture);
        store_statistics(fixture->store, &before);
        start = clock();
        for (int i = 1; i <= 1000; i++) {
                assert_int_equal(job_table_enter_step(fixture->store, i, "upload", 1, "blob", 4, TEST_NOW_MS), 0);
                event(fixture->store, "job-started", "smp-udp:device");
        }
        end_turn(fixture);
        print_message("1000 transitions: %.1f ms\n", (double) (clock() - start) * 1000 / CLOCKS_PER_SEC);
        store_statistics(fixture->store, &after);
        assert_true(clock() - start < CLOCKS_PER_SEC);
        assert_int_equal(after.n_commits - before.n_commits, 1);
        assert_int_equal(after.n_syncs - before.n_syncs, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_cost_of_a_device, fixture_setup_loop, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_a_thousand_jobs_in_one_turn, fixture_setup_loop, fixture_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
