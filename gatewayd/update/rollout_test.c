/* SPDX-License-Identifier: Apache-2.0 */
#include "update/offer.h"
#include "update/test_support.h"

#define MINUTE_MS (60 * 1000ll)
#define HOUR_MS (60 * MINUTE_MS)
#define ALL "{\"labels\":[\"sensor\"]}"
#define IN_WAVES "\"waves\":[{\"count\":2},{\"percent\":25},{\"percent\":100}]"

/* Whole campaigns over the thirty toys, on virtual time: waves, soak, gates, thresholds. */

static int n_updated(void) {
        int n = 0;
        for (int i = 0; i < fixture.n_toys; i++)
                n += str_equal(fixture.toys[i].running, "1.1.0");
        return n;
}

static const char *state_of(const char *campaign) {
        struct json *whole = NULL;
        struct gw_error err;
        json_free(fixture.result);
        fixture.result = NULL;
        assert_int_equal(update_campaign_get(fixture.update, campaign, -1, NULL, &whole, &err), 0);
        fixture.result = whole;
        return json_member_text(json_child(whole, "campaign"), "state");
}

static const char *reason_of(const char *campaign) {
        const char *reason;
        (void) state_of(campaign);
        reason = json_member_text(json_child(fixture.result, "campaign"), "reason");
        return reason ? reason : "";
}

static int wave_of_device(const char *campaign, const char *device) {
        int64_t wave = 0;
        assert_int_equal(json_member_int(job_of(campaign, device), "wave", 1, 99, &wave), 0);
        return (int) wave;
}

static void run_until_wall(int64_t wall_ms) {
        while (fixture.clock.now_wall_ms < wall_ms)
                assert_true(loop_run_once(fixture.loop));
}

static void command(int (*give)(struct update *, const struct update_actor *, const char *, update_reply, void *), const char *campaign) {
        assert_int_equal(give(fixture.update, &actor, campaign, on_reply, NULL), 0);
        wait_for(&fixture.replied);
}

static void resume(const char *campaign) {
        command(update_campaign_resume, campaign);
        assert_string_equal(fixture.error.name, "");
}

static void retry_all(const char *campaign) {
        struct update_retry retry = { .id = campaign };
        assert_int_equal(update_campaign_retry(fixture.update, &actor, &retry, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_string_equal(fixture.error.name, "");
}

static int count_events(const char *word) {
        int n = 0;
        for (const char *at = fixture.events; (at = strstr(at, word)); at += strlen(word))
                n++;
        return n;
}

static void heard(const char *key) {
        const struct gw_facts facts = GW_FACTS_INIT;
        assert_int_equal(fleet_seen(fixture.fleet, "toy", key, &facts), 0);
}

/* --- waves and soak --- */

static void test_waves_and_soak(void **state) {
        int64_t ended_ms;
        (void) state;
        import_version("1.1.0");
        start("c", 1, ALL, "{" IN_WAVES ",\"soak_s\":3600}");
        run_until_event("wave-ended=1");
        ended_ms = fixture.clock.now_wall_ms;
        assert_int_equal(n_updated(), 2);
        expect_job("c", "toy:d15", "queued", "wave");
        run_until_wall(ended_ms + HOUR_MS - 1);
        assert_int_equal(n_updated(), 2);
        run_until_event("wave-started=2");
        assert_int_equal(fixture.clock.now_wall_ms, ended_ms + HOUR_MS);
        run_until_event("wave-ended=2");
        ended_ms = fixture.clock.now_wall_ms;
        assert_int_equal(n_updated(), 8);
        run_until_event("wave-started=3");
        assert_int_equal(fixture.clock.now_wall_ms, ended_ms + HOUR_MS);
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 30);
        assert_int_equal(count_events("wave-started"), 3);
        assert_int_equal(count_events("wave-ended"), 2); /* the last one ends as the campaign does */
        assert_int_equal(fixture.n_running_most, 3);
        for (int i = 0; i < fixture.n_toys; i++)
                assert_int_equal(fixture.toys[i].n_uploads, 1);
}

static void test_soak_over_a_restart(void **state) {
        int64_t ended_ms;
        (void) state;
        import_version("1.1.0");
        start("c", 1, ALL, "{" IN_WAVES ",\"soak_s\":3600}");
        run_until_event("wave-ended=1");
        ended_ms = fixture.clock.now_wall_ms;
        run_until_wall(ended_ms + HOUR_MS / 2);
        restart();
        run_until_event("wave-started=2");
        assert_int_equal(fixture.clock.now_wall_ms, ended_ms + HOUR_MS);
        restart();
        run_until_event("wave-ended=2");
        assert_int_equal(n_updated(), 8);
        restart();
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 30);
        for (int i = 0; i < fixture.n_toys; i++)
                assert_int_equal(fixture.toys[i].n_uploads, 1);
        assert_int_equal(count_events("wave-started=2"), 1);
}

static void test_one_wave_says_nothing_of_waves(void **state) {
        (void) state;
        import_version("1.1.0");
        start("c", 1, ALL, "{\"concurrency\":10}");
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 30);
        assert_int_equal(count_events("wave"), 0);
        assert_int_equal(fixture.n_running_most, 10);
}

static void test_absent_ones_move_to_the_last_wave(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].absent = true;
        start("c", 1, ALL, "{" IN_WAVES "}");
        run_until_event("wave-ended=1");
        assert_int_equal(n_updated(), 1);
        assert_int_equal(wave_of_device("c", "toy:d0"), 3);
        assert_int_equal(wave_of_device("c", "toy:d1"), 1);
        run_until_event("wave-ended=2");
        fixture.toys[0].absent = false;
        restart(); /* who is in which wave stands in the rows */
        assert_int_equal(wave_of_device("c", "toy:d0"), 3);
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 30);
}

/* Devices that are not there prove nothing: others take their places, and no wave opens without a proof. */
static void test_a_wave_of_absent_ones_gets_others(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].absent = fixture.toys[1].absent = true; /* in the order of their ids: d0, d1, d10, d11 */
        start("c", 1, ALL, "{" IN_WAVES "}");
        run_until_event("wave-ended=1");
        assert_int_equal(n_updated(), 2);
        assert_int_equal(wave_of_device("c", "toy:d10"), 1);
        assert_int_equal(wave_of_device("c", "toy:d11"), 1);
        assert_int_equal(wave_of_device("c", "toy:d0"), 3);
        assert_int_equal(fixture.toys[10].n_uploads, 1);
}

static void test_nobody_is_there(void **state) {
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < fixture.n_toys; i++)
                fixture.toys[i].absent = true;
        start("c", 1, ALL, "{" IN_WAVES "}");
        run_until_wall(fixture.clock.now_wall_ms + 24 * HOUR_MS);
        assert_int_equal(count_events("wave-started"), 1);
        for (int i = 20; i < fixture.n_toys; i++)
                fixture.toys[i].absent = false;
        for (int i = 20; i < 23; i++) {
                char key[8];
                (void) str_format(key, sizeof key, "d%d", i);
                heard(key);
        }
        run_until_event("wave-ended=1");
        assert_int_equal(n_updated(), 2);
}

static void test_late_ones_join_the_last_wave(void **state) {
        struct fleet_statement statement = { .model = "acme,toy" };
        struct str_list labels = STR_LIST_INIT;
        (void) state;
        import_version("1.1.0");
        start("c", 1, ALL, "{" IN_WAVES ",\"soak_s\":60}");
        run_until_event("wave-ended=1");
        assert_int_equal(str_list_append(&labels, "sensor"), 0);
        statement.labels = &labels;
        strcpy(fixture.toys[30].running, "1.0.0");
        fixture.n_toys = 31;
        assert_int_equal(fleet_adopt(fixture.fleet, "toy:d30", &statement, NULL, NULL), 0);
        assert_int_equal(wave_of_device("c", "toy:d30"), 3);
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 31);
        str_list_deinit(&labels);
}

/* --- gates --- */

static void test_gate_behind_the_first_wave(void **state) {
        (void) state;
        import_version("1.1.0");
        start("c", 1, ALL, "{" IN_WAVES ",\"gate\":\"first-wave\"}");
        run_until_event("campaign-state=paused");
        assert_string_equal(reason_of("c"), "gate: wave 1 of 3");
        run_until_wall(fixture.clock.now_wall_ms + 48 * HOUR_MS);
        assert_int_equal(n_updated(), 2);
        command(update_campaign_resume, "c"); /* a gate has its own word */
        assert_string_equal(fixture.error.name, "campaign-state");
        restart();
        assert_string_equal(state_of("c"), "paused");
        command(update_campaign_continue, "c");
        assert_string_equal(fixture.error.name, "");
        restart(); /* what was let pass is not asked again */
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 30);
        assert_int_equal(count_events("campaign-state=paused"), 1);
}

static void test_gate_behind_each_wave(void **state) {
        (void) state;
        import_version("1.1.0");
        start("c", 1, ALL, "{" IN_WAVES ",\"gate\":\"each-wave\",\"soak_s\":600}");
        run_until_event("campaign-state=paused");
        assert_int_equal(n_updated(), 2);
        command(update_campaign_continue, "c");
        fixture.events[0] = '\0';
        run_until_event("campaign-state=paused");
        assert_string_equal(reason_of("c"), "gate: wave 2 of 3");
        assert_int_equal(n_updated(), 8);
        command(update_campaign_continue, "c");
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 30);
}

/* Paused by a person at a gate, it is resumed to the gate, and no further. */
static void test_a_person_at_a_gate(void **state) {
        (void) state;
        import_version("1.1.0");
        start("c", 1, ALL, "{" IN_WAVES ",\"gate\":\"first-wave\"}");
        run_until_event("campaign-state=paused");
        assert_int_equal(update_campaign_pause(fixture.update, &actor, "c", "not today", on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_string_equal(reason_of("c"), "person: not today");
        command(update_campaign_continue, "c");
        assert_string_equal(fixture.error.name, "campaign-state");
        fixture.events[0] = '\0';
        resume("c");
        run_until_event("campaign-state=paused");
        assert_string_equal(reason_of("c"), "gate: wave 1 of 3");
        assert_int_equal(n_updated(), 2);
}

/* --- thresholds --- */

static void test_threshold_pauses(void **state) {
        (void) state;
        import_version("1.1.0");
        for (int i = 12; i < 18; i++) /* d12.. are in the second wave: d0 d1 | d10 d11 d12 d13 d14 d15 | d16 ... */
                fixture.toys[i].fails = "smp-swap-refused";
        start("c", 1, ALL, "{" IN_WAVES ",\"concurrency\":1,\"abort\":{\"failed_count\":2,\"failed_percent\":100,\"min_finished\":100}}");
        run_until_event("campaign-state=paused");
        assert_string_equal(reason_of("c"), "threshold: 2 failed");
        assert_int_equal(n_updated(), 4);
        run_until_wall(fixture.clock.now_wall_ms + 24 * HOUR_MS);
        assert_int_equal(count_events("job-result=failed"), 2);
        restart();
        assert_string_equal(reason_of("c"), "threshold: 2 failed");
        fixture.events[0] = '\0';
        resume("c"); /* in spite of it: two more may not fail */
        restart();
        run_until_event("campaign-state=paused");
        assert_int_equal(count_events("job-result=failed"), 2);
        for (int i = 12; i < 18; i++)
                fixture.toys[i].fails = NULL;
        resume("c");
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 26);
}

/* Forgiven failures that are tried again and fail again count. */
static void test_a_retry_takes_forgiveness_along(void **state) {
        (void) state;
        import_version("1.1.0");
        for (int i = 10; i < 12; i++)
                fixture.toys[i].fails = "smp-swap-refused";
        start("c", 1, ALL, "{" IN_WAVES ",\"concurrency\":1,\"abort\":{\"failed_count\":2,\"failed_percent\":100,\"min_finished\":100}}");
        run_until_event("campaign-state=paused");
        resume("c");
        retry_all("c");
        fixture.events[0] = '\0';
        run_until_event("campaign-state=paused");
        assert_int_equal(count_events("job-result=failed"), 2);
}

static void test_threshold_cancels(void **state) {
        (void) state;
        import_version("1.1.0");
        for (int i = 10; i < 30; i++)
                fixture.toys[i].fails = "smp-swap-refused";
        start("c", 1, ALL, "{" IN_WAVES ",\"concurrency\":1,\"abort\":{\"failed_count\":100,\"failed_percent\":50,\"min_finished\":4,\"action\":\"cancel\"}}");
        run_until_event("campaign-state=canceled");
        assert_string_equal(reason_of("c"), "threshold: 2 of 4 failed");
        expect_job("c", "toy:d20", "canceled", "");
        assert_int_equal(count_events("job-result=failed"), 2);
}

static void test_a_first_wave_that_fails_whole(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].fails = fixture.toys[1].fails = "smp-swap-refused";
        start("c", 1, ALL, "{" IN_WAVES ",\"abort\":{\"failed_count\":100,\"failed_percent\":100,\"min_finished\":100}}");
        run_until_event("campaign-state=paused");
        assert_string_equal(reason_of("c"), "threshold: all of the first wave failed");
        assert_int_equal(n_updated(), 0);
        resume("c");
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 28);
}

/* The last failure completes a campaign; there is nothing left to stop. */
static void test_threshold_at_the_very_end(void **state) {
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < 3; i++)
                fixture.toys[i].fails = "smp-swap-refused";
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}", NULL);
        run_until_event("campaign-state=completed");
        assert_int_equal(count_events("paused"), 0);
}

/* --- what a person is told --- */

static int64_t number_of(const struct json *json, const char *member) {
        int64_t number = -1;
        assert_int_equal(json_member_int(json, member, 0, INT64_MAX, &number), 0);
        return number;
}

static void test_plan(void **state) {
        _cleanup_json_ struct json *json = NULL;
        struct json *waves;
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < fixture.n_toys; i++)
                fixture.toys[i].duration_ms = MINUTE_MS;
        json = document("c", 1, ALL, "{" IN_WAVES ",\"soak_s\":600,\"concurrency\":2}");
        assert_int_equal(update_campaign_plan(fixture.update, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        waves = json_child(fixture.result, "waves");
        assert_int_equal(json_length(waves), 3);
        assert_int_equal(number_of(json_at(waves, 0), "devices"), 2);
        assert_int_equal(number_of(json_at(waves, 1), "devices"), 6);
        assert_int_equal(number_of(json_at(waves, 2), "devices"), 22);
        assert_int_equal(number_of(json_at(json_child(fixture.result, "devices"), 2), "wave"), 2);
        assert_int_equal(number_of(fixture.result, "eta_ms"), (1 + 10 + 3 + 10 + 11) * MINUTE_MS);
        assert_int_equal(number_of(fixture.result, "unknown_durations"), 0);
}

static void test_report(void **state) {
        struct json *report = NULL, *waves, *retried;
        struct gw_error err;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].fails = "smp-image-rejected";
        fixture.toys[10].fails = fixture.toys[11].fails = "smp-swap-refused";
        start("c", 1, ALL, "{" IN_WAVES ",\"abort\":{\"failed_count\":100,\"failed_percent\":100}}");
        run_until_event("campaign-state=completed");
        fixture.toys[10].fails = NULL;
        fixture.events[0] = '\0';
        retry_all("c");
        run_until_event("campaign-state=completed");
        restart(); /* from the rows */
        assert_int_equal(update_campaign_report(fixture.update, "c", -1, &report, &err), 0);
        assert_string_equal(json_member_text(json_at(json_child(report, "failures"), 0), "name"), "smp-image-rejected");
        waves = json_child(report, "waves");
        assert_int_equal(number_of(json_at(waves, 0), "failed"), 1);
        assert_int_equal(number_of(json_at(waves, 1), "failed"), 1);
        assert_int_equal(number_of(json_at(waves, 1), "succeeded"), 5);
        retried = json_child(report, "retried");
        assert_int_equal(number_of(retried, "count"), 3);
        JSON_FOREACH_ITEM(i, row, json_child(retried, "devices"))
                if (str_equal(json_member_text(row, "device"), "toy:d10")) {
                        assert_string_equal(json_member_text(row, "state"), "succeeded");
                        assert_string_equal(json_member_text(json_at(json_child(row, "history"), 0), "error"), "smp-swap-refused");
                }
        json_free(report);
}

static void test_eta_of_what_runs(void **state) {
        int64_t eta_ms;
        (void) state;
        import_version("1.1.0");
        start("c", 1, ALL, "{" IN_WAVES ",\"soak_s\":3600,\"concurrency\":2}");
        run_until_event("wave-ended=2");
        run_until_event("wave-started=3");
        (void) state_of("c");
        eta_ms = number_of(json_child(fixture.result, "campaign"), "eta_ms");
        assert_in_range(eta_ms, 11 * MINUTE_MS, 12 * MINUTE_MS);
}

/* --- superseding --- */

/* Waves count anew over the rest; who has the file already costs them nothing. */
static void test_a_revision_counts_waves_anew(void **state) {
        (void) state;
        import_version("1.1.0");
        start("c", 1, ALL, "{" IN_WAVES ",\"gate\":\"each-wave\"}");
        run_until_event("campaign-state=paused");
        assert_int_equal(n_updated(), 2);
        fixture.events[0] = '\0';
        start("c", 2, ALL, "{\"waves\":[{\"count\":4},{\"percent\":100}],\"gate\":\"each-wave\"}");
        run_until_event("campaign-state=paused");
        assert_int_equal(n_updated(), 6);
        assert_string_equal(reason_of("c"), "gate: wave 1 of 2");
        expect_job("c", "toy:d0", "succeeded", "already");
        assert_int_equal(fixture.toys[0].n_uploads, 1);
}

/* --- held --- */

static struct offer_origin held_origin = { .origin = CAMPAIGN_ORIGIN_LOCAL, .kid = "release", .path = "", .held = true };

static void test_held_until_somebody_lets_it_go_on(void **state) {
        _cleanup_json_ struct json *json = NULL;
        (void) state;
        import_version("1.1.0");
        json = document("c", 1, ALL, NULL);
        assert_int_equal(offer_take(fixture.update, &actor, &held_origin, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_string_equal(fixture.error.name, "");
        assert_string_equal(reason_of("c"), "needs-approval");
        restart();
        run_until_wall(fixture.clock.now_wall_ms + 48 * HOUR_MS);
        for (int i = 0; i < fixture.n_toys; i++)
                assert_int_equal(fixture.toys[i].n_entered, 0);
        command(update_campaign_resume, "c");
        assert_string_equal(fixture.error.name, "campaign-state");
        command(update_campaign_continue, "c");
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 30);
}

static bool knows_none(void *ctx, const char *kid) {
        (void) ctx;
        assert_string_equal(kid, "release");
        return false;
}

static void test_its_key_is_removed(void **state) {
        struct offer_origin origin = { .origin = CAMPAIGN_ORIGIN_LOCAL, .kid = "release", .path = "" };
        _cleanup_json_ struct json *json = NULL;
        (void) state;
        import_version("1.1.0");
        json = document("c", 1, ALL, "{" IN_WAVES ",\"soak_s\":600}");
        assert_int_equal(offer_take(fixture.update, &actor, &origin, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        run_until_event("wave-ended=1");
        update_keys_changed(fixture.update, knows_none, NULL);
        assert_string_equal(reason_of("c"), "key-revoked: release");
        restart();
        update_keys_changed(fixture.update, knows_none, NULL);
        run_until_wall(fixture.clock.now_wall_ms + 48 * HOUR_MS);
        assert_int_equal(n_updated(), 2);
        resume("c"); /* who does so answers for it */
        update_keys_changed(fixture.update, knows_none, NULL);
        restart();
        update_keys_changed(fixture.update, knows_none, NULL);
        run_until_event("campaign-state=completed");
        assert_int_equal(n_updated(), 30);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_virtual, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_waves_and_soak),
                TEST(test_soak_over_a_restart),
                TEST(test_one_wave_says_nothing_of_waves),
                TEST(test_absent_ones_move_to_the_last_wave),
                TEST(test_a_wave_of_absent_ones_gets_others),
                TEST(test_nobody_is_there),
                TEST(test_late_ones_join_the_last_wave),
                TEST(test_gate_behind_the_first_wave),
                TEST(test_gate_behind_each_wave),
                TEST(test_a_person_at_a_gate),
                TEST(test_threshold_pauses),
                TEST(test_a_retry_takes_forgiveness_along),
                TEST(test_threshold_cancels),
                TEST(test_a_first_wave_that_fails_whole),
                TEST(test_threshold_at_the_very_end),
                TEST(test_plan),
                TEST(test_report),
                TEST(test_eta_of_what_runs),
                TEST(test_a_revision_counts_waves_anew),
                TEST(test_held_until_somebody_lets_it_go_on),
                TEST(test_its_key_is_removed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
