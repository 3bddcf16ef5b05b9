/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"
#include "store/audit_table.h"
#include "update/test_support.h"

/* --- the tests --- */

static void test_one_campaign(void **state) {
        struct audit_verification verification = { 0 };
        struct json *job;
        (void) state;
        import_version("1.1.0");
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}", NULL);
        assert_string_equal(json_member_text(json_child(fixture.result, "campaign"), "state"), "in_progress");
        run_until_event("campaign-state=completed");
        for (int i = 0; i < 3; i++) {
                assert_string_equal(fixture.toys[i].running, "1.1.0");
                assert_int_equal(fixture.toys[i].n_uploads, 1);
        }
        expect_job("c", "toy:d1", "succeeded", "updated");
        job = job_of("c", "toy:d1");
        assert_string_equal(json_member_text(job, "version_before"), "1.0.0");
        assert_string_equal(json_member_text(job, "version_after"), "1.1.0");
        assert_int_equal(json_length(json_child(job, "steps")), 3);
        assert_non_null(strstr(fixture.events, "d0:job-state=queued "));
        assert_non_null(strstr(fixture.events, "d0:job-state=in_progress "));
        assert_non_null(strstr(fixture.events, "d0:job-result=succeeded "));
        assert_int_equal(audit_table_verify(fixture.store, &verification, 1000), 0);
        assert_true(verification.finished && verification.bad_seq == 0);
        assert_int_equal(verification.n_rows, 4);
        assert_string_equal(fleet_find(fixture.fleet, "toy:d0")->last_result, "updated");
}

static void test_concurrency(void **state) {
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < 6; i++)
                fixture.toys[i].hold = "upload";
        start("c", 1, "{\"labels\":[\"sensor\"],\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\",\"toy:d3\",\"toy:d4\",\"toy:d5\"]}", "{\"concurrency\":2}");
        run_until_held(0);
        run_until_held(1);
        for (int i = 0; i < 6; i++) {
                run_until_held(i);
                fixture.toys[i].hold = NULL;
                str_copy(fixture.toys[i].stored, sizeof fixture.toys[i].stored, "1.1.0");
                run_api()->next(fixture.held[i]->run);
        }
        run_until_event("campaign-state=completed");
        assert_int_equal(fixture.n_running_most, 2);
}

static void test_attempts(void **state) {
        struct json *job;
        int64_t attempt = 0;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].n_again = 2;
        fixture.toys[1].n_again = 99;
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\"]}", "{\"attempts\":3}");
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
        expect_job("c", "toy:d1", "failed", "link-lost");
        job = job_of("c", "toy:d1");
        assert_int_equal(json_member_int(job, "attempt", 0, 100, &attempt), 0);
        assert_int_equal(attempt, 3);
        assert_int_equal(json_length(json_child(job, "notes")), 1); /* the same words are not repeated */
}

static void test_waits_for_the_device(void **state) {
        const struct gw_facts facts = GW_FACTS_INIT;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].absent = true;
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_job("c", "toy:d0", "not-seen");
        expect_job("c", "toy:d0", "queued", "not-seen");
        fixture.toys[0].absent = false;
        assert_int_equal(fleet_seen(fixture.fleet, "toy", "d0", &facts), 0);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
}

static void test_pause_and_resume(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].hold = "upload";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_held(0);
        assert_int_equal(update_campaign_pause(fixture.update, &actor, "c", NULL, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        while (fixture.held[0])
                assert_true(loop_run_once(fixture.loop));
        run_until_job("c", "toy:d0", "paused");
        fixture.toys[0].hold = NULL;
        assert_int_equal(update_campaign_resume(fixture.update, &actor, "c", on_reply, NULL), 0);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
}

static void test_cancel(void **state) {
        struct json *not_stopped;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].hold = "confirm";
        fixture.toys[1].hold = "upload";
        fixture.toys[2].absent = true;
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}", NULL);
        run_until_held(0);
        run_until_held(1);
        run_until_job("c", "toy:d2", "not-seen");
        assert_int_equal(update_campaign_cancel(fixture.update, &actor, "c", on_reply, NULL), 0);
        wait_for(&fixture.replied);
        not_stopped = json_child(fixture.result, "not_stopped");
        assert_int_equal(json_length(not_stopped), 1);
        assert_string_equal(json_member_text(json_at(not_stopped, 0), "device"), "toy:d0");
        assert_int_equal(json_length(json_child(fixture.result, "stopped")), 2);
        run_until_event("d1:job-result=canceled");
        run_api()->done(fixture.held[0]->run, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED);
        run_until_event("d0:job-result=succeeded");
        expect_job("c", "toy:d2", "canceled", "");
}

static void test_retry(void **state) {
        struct str_list errors = STR_LIST_INIT;
        struct update_retry retry = { .id = "c", .errors = &errors };
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].fails = "smp-swap-refused";
        fixture.toys[1].fails = "smp-image-rejected";
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\"]}", NULL);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "failed", "smp-swap-refused");
        fixture.toys[0].fails = NULL;
        fixture.events[0] = '\0';
        assert_int_equal(str_list_append(&errors, "smp-swap-refused"), 0);
        assert_int_equal(update_campaign_retry(fixture.update, &actor, &retry, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_int_equal(json_length(json_child(fixture.result, "retried")), 1);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
        expect_job("c", "toy:d1", "failed", "smp-image-rejected");
        str_list_deinit(&errors);
}

static void test_the_same_order_twice(void **state) {
        bool known = false;
        (void) state;
        import_version("1.1.0");
        start("c", 2, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        start("c", 2, "{\"ids\":[\"toy:d0\"]}", NULL);
        assert_int_equal(json_member_bool(fixture.result, "known", &known), 0);
        assert_true(known);
        assert_int_equal(fixture.toys[0].n_uploads, 1);
        start("c", 2, "{\"ids\":[\"toy:d1\"]}", NULL);
        assert_string_equal(fixture.error.name, "campaign-conflict");
        start("c", 1, "{\"ids\":[\"toy:d1\"]}", NULL);
        assert_string_equal(fixture.error.name, "revision-lower");
        assert_int_equal(fixture.toys[1].n_entered, 0);
}

static void test_superseded(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].hold = "upload";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_held(0);
        import_version("1.2.0");
        fixture.toys[0].hold = NULL;
        start("c", 2, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        assert_string_equal(fixture.toys[0].running, "1.2.0");
        assert_non_null(strstr(fixture.events, "d0:job-result=superseded"));
}

static void test_deadline(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].absent = true;
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\"]}", "{\"deadline\":\"2027-01-15T09:00:00Z\"}");
        run_until_event("d1:job-result=succeeded");
        run_until_job("c", "toy:d0", "not-seen");
        clock_fake_advance(&fixture.clock, 10 * 24 * 3600 * 1000ll);
        restart(); /* the timer looks once an hour; a start looks at once */
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "timed_out", "not-seen");
}

static void test_refused_before_anything_is_sent(void **state) {
        (void) state;
        import_version("0.9.0");
        fixture.toys[1].model = "acme,other";
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\"]}", NULL);
        run_until_event("d0:job-result=rejected");
        run_until_job("c", "toy:d1", "model-conflict");
        expect_job("c", "toy:d0", "rejected", "downgrade");
        assert_int_equal(fixture.toys[0].n_uploads + fixture.toys[1].n_uploads, 0);
}

static void test_model_is_asked_of_the_device(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[6].model = "acme,toy"; /* d6 and d7 have no model in the configuration */
        fixture.toys[7].model = "acme,other";
        start("c", 1, "{\"ids\":[\"toy:d6\",\"toy:d7\"]}", NULL);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d6", "succeeded", "updated");
        expect_job("c", "toy:d7", "rejected", "incompatible");
}

static void test_already(void **state) {
        (void) state;
        import_version("1.0.0");
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "already");
        assert_int_equal(fixture.toys[0].n_uploads, 0);
}

static void test_restart_in_every_step(void **state) {
        static const char *const steps[] = { "upload", "activate", "confirm" };
        char event[64], device[16], devices[64], id[8];
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < 3; i++) {
                fixture.toys[i].hold = steps[i];
                (void) str_format(id, sizeof id, "c%d", i);
                (void) str_format(device, sizeof device, "toy:d%d", i);
                (void) str_format(devices, sizeof devices, "{\"ids\":[\"%s\"]}", device);
                start(id, 1, devices, NULL);
                run_until_held(i);
                restart();
                run_until_held(i); /* it is entered again, and not the steps before it */
                fixture.toys[i].hold = NULL;
                restart();
                (void) str_format(event, sizeof event, "d%d:job-result=succeeded", i);
                run_until_event(event);
                expect_job(id, device, "succeeded", "updated");
                assert_string_equal(fixture.toys[i].running, "1.1.0");
                assert_int_equal(fixture.toys[i].n_uploads, 1);
                assert_int_equal(fixture.toys[i].n_activations, 1);
        }
}

static void test_rollback(void **state) {
        static const char text[] = "{\"schema\":\"gatewayd/campaign/1\",\"id\":\"back\",\"revision\":1,\"rollback\":\"other-slot\",\"devices\":{\"ids\":[\"toy:d0\"]}}";
        _cleanup_json_ struct json *json = NULL;
        (void) state;
        import_version("1.1.0");
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        fixture.events[0] = '\0';
        assert_int_equal(json_parse(text, strlen(text), 0, &json, NULL), 0);
        assert_int_equal(update_campaign_start(fixture.update, &actor, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_string_equal(fixture.error.name, "");
        run_until_event("campaign-state=completed");
        assert_string_equal(fixture.toys[0].running, "1.0.0");
        assert_int_equal(fixture.toys[0].n_uploads, 1);
        expect_job("back", "toy:d0", "succeeded", "updated");
}

static void plan(const char *devices) {
        _cleanup_json_ struct json *json = document("p", 1, devices, NULL);
        assert_int_equal(update_campaign_plan(fixture.update, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
}

static void test_plan_touches_nothing(void **state) {
        struct json *entry;
        int64_t n = 0;
        (void) state;
        import_version("1.1.0");
        plan("{\"ids\":[\"toy:d0\",\"toy:nobody\"]}");
        assert_int_equal(json_member_int(json_child(fixture.result, "counts"), "update", 0, 9, &n), 0);
        assert_int_equal(n, 1);
        entry = json_at(json_child(fixture.result, "devices"), 0);
        assert_string_equal(json_member_text(entry, "reason"), "device-unknown");
        entry = json_at(json_child(fixture.result, "devices"), 1);
        assert_string_equal(json_member_text(entry, "verdict"), "update");
        assert_string_equal(json_member_text(entry, "version_new"), "1.1.0");
        assert_int_equal(fixture.toys[0].n_entered, 0);
        assert_string_equal(fixture.events, "");
}

static void test_mistakes_and_missing_files(void **state) {
        (void) state;
        import_version("1.1.0");
        start("c", 1, "{}", NULL);
        assert_string_equal(fixture.error.name, "document-invalid");
        assert_true(json_errors_any(&fixture.mistakes));
        memset(fixture.sha256, 7, DIGEST_SIZE);
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        assert_string_equal(fixture.error.name, "artifact-not-imported");
        import_version("no version"); /* in no format */
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        assert_string_equal(fixture.error.name, "format-unknown");
        assert_string_equal(fixture.events, "");
}

static void test_report(void **state) {
        struct json *report = NULL, *failure;
        struct gw_error err;
        int64_t count = 0;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].fails = fixture.toys[1].fails = "smp-swap-refused";
        fixture.toys[2].absent = true;
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}", NULL);
        run_until_event("d0:job-result=failed");
        run_until_event("d1:job-result=failed");
        run_until_job("c", "toy:d2", "not-seen");
        assert_int_equal(update_campaign_report(fixture.update, "c", -1, &report, &err), 0);
        failure = json_at(json_child(report, "failures"), 0);
        assert_string_equal(json_member_text(failure, "name"), "smp-swap-refused");
        assert_int_equal(json_member_int(failure, "count", 0, 9, &count), 0);
        assert_int_equal(count, 2);
        assert_true(strlen(json_member_text(failure, "advice")) > 10);
        assert_int_equal(json_member_int(json_child(report, "not_seen"), "count", 0, 9, &count), 0);
        assert_int_equal(count, 1);
        json_free(report);
}

static void heard(int toy) {
        const struct gw_facts facts = GW_FACTS_INIT;
        char key[8];
        (void) str_format(key, sizeof key, "d%d", toy);
        assert_int_equal(fleet_seen(fixture.fleet, "toy", key, &facts), 0);
}

static void pause_campaign(const char *id) {
        assert_int_equal(update_campaign_pause(fixture.update, &actor, id, NULL, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_string_equal(fixture.error.name, "");
}

static void cancel_campaign(const char *id) {
        assert_int_equal(update_campaign_cancel(fixture.update, &actor, id, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_string_equal(fixture.error.name, "");
}

/* Behind the point of no return a job goes on, also when it has to wait, whatever became of its campaign, also over a restart. */
static void test_committed_goes_on(void **state) {
        static const struct {
                const char *id;
                void (*end)(const char *id);
                bool restarts;
        } cases[] = { { "a", pause_campaign, false }, { "b", pause_campaign, true }, { "c", cancel_campaign, false }, { "d", cancel_campaign, true } };
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < 4; i++) {
                char devices[32], device[8], event[40];
                (void) str_format(device, sizeof device, "toy:d%d", i);
                (void) str_format(devices, sizeof devices, "{\"ids\":[\"%s\"]}", device);
                (void) str_format(event, sizeof event, "d%d:job-result=succeeded", i);
                fixture.toys[i].waits_in = "confirm";
                start(cases[i].id, 1, devices, NULL);
                run_until_job(cases[i].id, device, "swapping");
                cases[i].end(cases[i].id);
                fixture.toys[i].waits_in = NULL;
                if (cases[i].restarts)
                        restart();
                else
                        heard(i);
                run_until_event(event);
                expect_job(cases[i].id, device, "succeeded", "updated");
        }
}

/* It holds its device against later campaigns, and the deadline of its own still counts for it. */
static void test_committed_in_a_canceled_campaign_ends(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].waits_in = "confirm";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", "{\"deadline\":\"2027-01-15T09:00:00Z\"}");
        run_until_job("c", "toy:d0", "swapping");
        cancel_campaign("c");
        start("next", 1, "{\"ids\":[\"toy:d0\"]}", "{\"deadline\":\"2027-03-15T09:00:00Z\"}");
        run_until_job("next", "toy:d0", "busy");
        clock_fake_advance(&fixture.clock, 10 * 24 * 3600 * 1000ll);
        restart();
        run_until_event("d0:job-result=failed");
        expect_job("c", "toy:d0", "failed", "did-not-return");
        fixture.toys[0].waits_in = NULL;
        run_until_event("d0:job-result=succeeded");
}

/* Canceled while it waits, maybe on trial: one more run is told, which takes the device back. */
static void test_cancel_while_on_trial(void **state) {
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < 3; i++)
                fixture.toys[i].waits_in = "activate";
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}", NULL);
        for (int i = 0; i < 3; i++) {
                run_until_job("c", (const char *[]){ "toy:d0", "toy:d1", "toy:d2" }[i], "swapping");
                fixture.toys[i].waits_in = NULL;
                fixture.toys[i].hold = "activate";
        }
        fixture.toys[1].absent = true; /* cannot be told: it goes back at its next reset */
        cancel_campaign("c");
        assert_int_equal(json_length(json_child(fixture.result, "stopped")), 3);
        run_until_event("d0:job-result=canceled");
        run_until_event("d1:job-result=canceled");
        run_until_event("d2:job-result=canceled");
        assert_int_equal(fixture.toys[0].n_cancels, 1);
        assert_int_equal(fixture.toys[1].n_cancels, 0);
        assert_int_equal(fixture.toys[2].n_cancels, 1);
        cancel_campaign("c"); /* a repeated command has the same answer */
        assert_int_equal(json_length(json_child(fixture.result, "stopped")), 3);
}

static void test_cancel_while_on_trial_over_a_restart(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].waits_in = "activate";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_job("c", "toy:d0", "swapping");
        fixture.toys[0].waits_in = NULL;
        fixture.toys[0].hold = "connect"; /* making ready goes on, so that there is a step to tell */
        cancel_campaign("c");
        run_until_held(0);
        fixture.toys[0].hold = "activate";
        restart();
        run_until_event("d0:job-result=canceled");
        assert_int_equal(fixture.toys[0].n_cancels, 1);
}

static void test_a_wait_without_an_end(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].waits_without_wake = true;
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_job("c", "toy:d0", "not-seen");
        for (int i = 0; i < 50; i++)
                assert_true(loop_run_once(fixture.loop));
        assert_int_equal(fixture.toys[0].n_entered, 1);
}

/* The same order twice, the second before the first was accepted. */
static void test_the_same_order_at_once(void **state) {
        _cleanup_json_ struct json *json = NULL;
        bool known = false;
        (void) state;
        import_version("1.1.0");
        json = document("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        assert_int_equal(update_campaign_start(fixture.update, &actor, json, on_reply, NULL), 0);
        assert_int_equal(update_campaign_start(fixture.update, &actor, json, on_reply, NULL), 0);
        while (!fixture.result || json_member_bool(fixture.result, "known", &known) < 0 || !known) {
                wait_for(&fixture.replied);
                assert_string_equal(fixture.error.name, "");
        }
        run_until_event("campaign-state=completed");
        assert_null(strstr(fixture.events, "superseded"));
        assert_int_equal(fixture.toys[0].n_uploads, 1);
}

/* A lower revision that is still in memory for its last job does not hide the highest. */
static void test_highest_revision_is_over(void **state) {
        int64_t revision = 0;
        bool known = false;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].waits_in = "confirm";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_job("c", "toy:d0", "swapping");
        start("c", 2, "{\"ids\":[\"toy:d1\"]}", NULL);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d1", "succeeded", "updated");
        start("c", 2, "{\"ids\":[\"toy:d1\"]}", NULL);
        assert_string_equal(fixture.error.name, "");
        assert_int_equal(json_member_bool(fixture.result, "known", &known), 0);
        assert_true(known);
        assert_int_equal(json_member_int(json_child(fixture.result, "campaign"), "revision", 0, 9, &revision), 0);
        assert_int_equal(revision, 2);
}

/* What runs with a file that the new revision has, too, goes on in it; the rest is stopped. */
static void test_superseded_by_the_same_file(void **state) {
        struct json *old = NULL;
        struct gw_error err;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].hold = fixture.toys[1].hold = "upload";
        fixture.toys[3].waits_in = "activate";
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d3\"]}", "{\"concurrency\":2}");
        run_until_held(0);
        run_until_held(1);
        start("c", 2, "{\"ids\":[\"toy:d0\",\"toy:d2\",\"toy:d3\"]}", NULL);
        assert_non_null(fixture.held[0]);
        run_until_event("d1:job-result=superseded");
        run_until_event("d3:job-result=superseded"); /* had not begun */
        run_until_event("d2:job-result=succeeded");
        run_until_job("c", "toy:d3", "swapping");
        start("c", 3, "{\"ids\":[\"toy:d0\",\"toy:d2\",\"toy:d3\"]}", "{\"concurrency\":7}");
        assert_int_equal(fixture.toys[0].n_uploads, 0);
        str_copy(fixture.toys[0].stored, sizeof fixture.toys[0].stored, "1.1.0");
        run_api()->next(fixture.held[0]->run);
        fixture.toys[3].waits_in = NULL;
        heard(3);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
        expect_job("c", "toy:d2", "succeeded", "already");
        expect_job("c", "toy:d3", "succeeded", "updated");
        assert_int_equal(fixture.toys[0].n_entered, 1);
        assert_int_equal(fixture.toys[3].n_uploads, 1);
        assert_int_equal(update_campaign_get(fixture.update, "c", 1, NULL, &old, &err), 0);
        assert_string_equal(json_member_text(json_child(old, "campaign"), "state"), "superseded");
        assert_int_equal(json_length(json_child(old, "jobs")), 2);
        json_free(old);
}

static void test_retry_keeps_what_came_out_before(void **state) {
        struct update_retry retry = { .id = "c" };
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].fails = "smp-swap-refused";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        fixture.toys[0].fails = NULL;
        fixture.events[0] = '\0';
        assert_int_equal(update_campaign_retry(fixture.update, &actor, &retry, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        restart();
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
        assert_string_equal(json_string_or_null(json_at(json_child(job_of("c", "toy:d0"), "notes"), 0)),
                            "before the retry: failed: smp-swap-refused: as the test wants it");
}

static void test_deadline_keeps_the_reason(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].absent = true;
        fixture.toys[1].hold = "upload";
        start("c", 1, "{\"ids\":[\"toy:d1\",\"toy:d2\"]}", "{\"deadline\":\"2027-01-15T09:00:00Z\",\"concurrency\":1}");
        run_until_held(1);
        clock_fake_advance(&fixture.clock, 10 * 24 * 3600 * 1000ll);
        restart();
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d2", "timed_out", "concurrency");
}

static int take_seq(void *ctx, struct audit_row *row) {
        *(int64_t *) ctx = row->seq;
        return 0;
}

static int count_row(void *ctx, struct campaign_row *row) {
        (void) row;
        ++*(int *) ctx;
        return 0;
}

static int64_t oldest_audit_row(void) {
        int64_t seq = 0;
        assert_int_equal(audit_table_each(fixture.store, 0, 1, take_seq, &seq), 0);
        return seq;
}

static void insert_finished(int number) {
        char id[16];
        struct campaign_row row = { .id = id, .revision = 1, .document = (char *) "{}", .state = (char *) "completed", .accepted_ms = 1, .finished_ms = INT64_MAX / 2 + number };
        (void) str_format(id, sizeof id, "old%d", number);
        assert_int_equal(campaign_table_insert(fixture.store, &row), 0);
}

/* In slices; what is not over stays. */
static void test_upkeep(void **state) {
        struct audit_verification verification = { 0 };
        int n = 0;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].waits_in = "confirm";
        start("open", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_job("open", "toy:d0", "swapping");
        cancel_campaign("open");
        clock_fake_advance(&fixture.clock, 3600 * 1000);
        for (int i = 1; i <= CAMPAIGNS_KEPT_MAX + 5; i++)
                insert_finished(i); /* all of them newer than the one that is open */
        for (int i = 0; i < 2300; i++)
                assert_int_equal(update_audit(fixture.update, &actor, "device.adopt", "toy:d1", "adopted"), 0);
        fixture.settings->limits.audit_rows = 1000;
        update_upkeep(fixture.update);
        while (oldest_audit_row() <= 1300)
                assert_true(loop_run_once(fixture.loop));
        assert_int_equal(audit_table_verify(fixture.store, &verification, 10000), 0);
        assert_true(verification.finished && verification.bad_seq == 0);
        assert_int_equal(verification.n_rows, 1000);
        do {
                n = 0;
                assert_true(loop_run_once(fixture.loop));
                assert_int_equal(campaign_table_each(fixture.store, false, count_row, &n), 0);
        } while (n > CAMPAIGNS_KEPT_MAX + 1);
        expect_job("open", "toy:d0", "in_progress", "swapping");
}

static void test_given_up_and_heard_later(void **state) {
        const struct gw_facts facts = GW_FACTS_INIT;
        const struct gw_device *device;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].fails = "did-not-return";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        device = fleet_find(fixture.fleet, "toy:d0");
        assert_string_equal(device->last_error, "did-not-return");
        str_copy(fixture.toys[0].running, sizeof fixture.toys[0].running, "1.1.0");
        assert_int_equal(fleet_seen(fixture.fleet, "toy", "d0", &facts), 0);
        while (!str_equal(device->last_error, "returned-late"))
                assert_true(loop_run_once(fixture.loop));
        assert_string_equal(device->version, "1.1.0");
        expect_job("c", "toy:d0", "failed", "did-not-return");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_one_campaign),
                TEST(test_concurrency),
                TEST(test_attempts),
                TEST(test_waits_for_the_device),
                TEST(test_pause_and_resume),
                TEST(test_cancel),
                TEST(test_retry),
                TEST(test_the_same_order_twice),
                TEST(test_superseded),
                TEST(test_deadline),
                TEST(test_refused_before_anything_is_sent),
                TEST(test_model_is_asked_of_the_device),
                TEST(test_already),
                TEST(test_restart_in_every_step),
                TEST(test_rollback),
                TEST(test_plan_touches_nothing),
                TEST(test_mistakes_and_missing_files),
                TEST(test_report),
                TEST(test_given_up_and_heard_later),
                TEST(test_upkeep),
                TEST(test_committed_goes_on),
                TEST(test_committed_in_a_canceled_campaign_ends),
                TEST(test_cancel_while_on_trial),
                TEST(test_cancel_while_on_trial_over_a_restart),
                TEST(test_a_wait_without_an_end),
                TEST(test_the_same_order_at_once),
                TEST(test_highest_revision_is_over),
                TEST(test_superseded_by_the_same_file),
                TEST(test_retry_keeps_what_came_out_before),
                TEST(test_deadline_keeps_the_reason),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
