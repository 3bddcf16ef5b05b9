/* SPDX-License-Identifier: Apache-2.0 */
#include "update/start_rule.h"
#include "update/test_support.h"

#define MINUTE_MS (60 * 1000ll)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define ALL "{\"labels\":[\"sensor\"]}"
#define ONE "{\"ids\":[\"toy:d0\"]}"
#define NIGHT(minutes) "\"maintenance_windows\":[{\"days\":[\"mon\",\"tue\",\"wed\",\"thu\",\"fri\",\"sat\",\"sun\"],\"start\":\"22:00\",\"duration_min\":" #minutes ",\"timezone\":\"UTC\"}]"

/* Jitter, maintenance windows, battery, signal, facts that are found out: over the toys, on virtual time, which begins at 08:00 UTC. */

static int64_t minutes_of_day(void) {
        return fixture.clock.now_wall_ms % DAY_MS / MINUTE_MS;
}

static int64_t night_of(int n) {
        return 1800000000000 - 8 * HOUR_MS + n * DAY_MS + 22 * HOUR_MS;
}

static void run_until_wall(int64_t wall_ms) {
        while (fixture.clock.now_wall_ms < wall_ms)
                assert_true(loop_run_once(fixture.loop));
}

static int n_uploads(void) {
        int n = 0;
        for (int i = 0; i < fixture.n_toys; i++)
                n += fixture.toys[i].n_uploads;
        return n;
}

/* --- windows --- */

static int n_begun;

static void only_in_ten_minutes_of_night(int toy, const char *step) {
        (void) toy;
        assert_in_range(minutes_of_day(), 22 * 60, 22 * 60 + (str_equal(step, "upload") ? 10 : 5));
        n_begun++;
}

/* Thirty devices, a minute each, one at once, in ten minutes a night of which the last five see no reset. */
static void test_a_campaign_over_many_nights(void **state) {
        (void) state;
        import_version("1.1.0");
        n_begun = 0;
        fixture.watch = only_in_ten_minutes_of_night;
        for (int i = 0; i < fixture.n_toys; i++)
                fixture.toys[i].duration_ms = MINUTE_MS;
        start("c", 1, ALL, "{" NIGHT(10) ",\"concurrency\":1}");
        expect_job("c", "toy:d7", "queued", "window");
        run_until_event("campaign-state=completed");
        assert_int_equal(n_uploads(), 30);
        assert_in_range(fixture.clock.now_wall_ms, night_of(4), night_of(6));
        assert_in_range(n_begun, 60, 70);
        fixture.watch = NULL;
}

/* Longer than any window: in parts, night after night; nothing is sent twice. */
static void test_in_parts(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].upload_ms = fixture.toys[0].duration_ms = 5 * HOUR_MS;
        start("c", 1, ONE, "{" NIGHT(120) "}");
        run_until_wall(night_of(0) + HOUR_MS);
        assert_true(fixture.n_running == 1);
        run_until_wall(night_of(0) + 3 * HOUR_MS);
        assert_int_equal(fixture.n_running, 0);
        expect_job("c", "toy:d0", "in_progress", "window");
        restart();
        run_until_event("campaign-state=completed");
        assert_in_range(fixture.clock.now_wall_ms, night_of(2) + HOUR_MS, night_of(2) + HOUR_MS + MINUTE_MS);
        assert_int_equal(fixture.toys[0].n_uploads, 1);
}

static void test_what_runs_may_finish(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].upload_ms = 5 * HOUR_MS;
        fixture.toys[0].duration_ms = HOUR_MS; /* it takes longer than it should */
        start("c", 1, ONE, "{" NIGHT(120) ",\"at_window_end\":\"finish\"}");
        run_until_event("campaign-state=completed");
        assert_in_range(fixture.clock.now_wall_ms, night_of(0) + 5 * HOUR_MS, night_of(0) + 5 * HOUR_MS + MINUTE_MS);
}

static void test_what_never_fits_is_refused(void **state) {
        _cleanup_json_ struct json *json = NULL;
        struct json *entry;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].duration_ms = 3 * HOUR_MS;
        json = document("c", 1, ONE, "{" NIGHT(120) ",\"at_window_end\":\"finish\"}");
        assert_int_equal(update_campaign_plan(fixture.update, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        entry = json_at(json_child(fixture.result, "devices"), 0);
        assert_string_equal(json_member_text(entry, "verdict"), "reject");
        assert_string_equal(json_member_text(entry, "reason"), "does-not-fit-window");
        start("c", 1, ONE, "{" NIGHT(120) ",\"at_window_end\":\"finish\"}");
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "rejected", "does-not-fit-window");
        assert_int_equal(fixture.toys[0].n_entered, 0);
}

static int64_t begun_ms;

static void note_begun(int toy, const char *step) {
        (void) toy;
        if (str_equal(step, "upload"))
                begun_ms = fixture.clock.now_wall_ms;
}

/* It fits into a window, but not into what is left of this one. */
static void test_it_waits_for_a_window_that_is_long_enough(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].upload_ms = fixture.toys[0].duration_ms = HOUR_MS;
        begun_ms = 0;
        fixture.watch = note_begun;
        clock_fake_advance(&fixture.clock, night_of(0) + 90 * MINUTE_MS - fixture.clock.now_wall_ms);
        start("c", 1, ONE, "{" NIGHT(120) "}");
        run_until_job("c", "toy:d0", "window");
        run_until_wall(night_of(1));
        assert_int_equal(begun_ms, 0);
        run_until_event("campaign-state=completed");
        assert_in_range(begun_ms, night_of(1), night_of(1) + MINUTE_MS);
        fixture.watch = NULL;
}

static void test_no_reset_in_the_last_minutes(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].upload_ms = 117 * MINUTE_MS; /* nobody knew before */
        start("c", 1, ONE, "{" NIGHT(120) "}");
        run_until_wall(night_of(0) + 119 * MINUTE_MS);
        assert_int_equal(fixture.toys[0].n_uploads, 1);
        assert_int_equal(fixture.toys[0].n_activations, 0);
        run_until_job("c", "toy:d0", "window");
        restart();
        run_until_event("campaign-state=completed");
        assert_in_range(fixture.clock.now_wall_ms, night_of(1), night_of(1) + MINUTE_MS);
        assert_int_equal(fixture.toys[0].n_uploads, 1);
}

/* Both must be open: those of the campaign and those of the gateway. */
static void test_windows_of_the_gateway(void **state) {
        (void) state;
        import_version("1.1.0");
        set_settings("[policy]\nmaintenance_windows = sun 22:30 2h UTC\n");
        start("c", 1, ONE, "{" NIGHT(60) "}");
        run_until_event("campaign-state=completed");
        assert_in_range(fixture.clock.now_wall_ms, night_of(2) + 30 * MINUTE_MS, night_of(2) + 32 * MINUTE_MS);
        start("d", 1, "{\"ids\":[\"toy:d1\"]}", NULL); /* has none of its own */
        run_until_event("d1:job-result=succeeded");
        assert_true(fixture.clock.now_wall_ms < night_of(2) + HOUR_MS);
        start("e", 1, "{\"ids\":[\"toy:d2\"]}", "{\"maintenance_windows\":[{\"start\":\"12:00\",\"duration_min\":60,\"timezone\":\"UTC\",\"days\":[\"mon\"]}]}");
        run_until_job("e", "toy:d2", "window"); /* never both */
        set_settings("");
        run_until_event("d2:job-result=succeeded");
        assert_int_equal(minutes_of_day() / 60, 12);
}

static void test_a_zone_that_does_not_exist(void **state) {
        (void) state;
        import_version("1.1.0");
        start("c", 1, ONE, "{\"maintenance_windows\":[{\"start\":\"12:00\",\"duration_min\":60,\"timezone\":\"Europe/Atlantis\",\"days\":[\"mon\"]}]}");
        assert_string_equal(fixture.error.name, "timezone-unknown");
}

static void test_a_clock_that_is_wrong(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.clock_is_wrong = true;
        start("c", 1, ONE, "{" NIGHT(120) "}");
        run_until_job("c", "toy:d0", "clock-not-credible");
        run_until_wall(night_of(3));
        assert_int_equal(n_uploads(), 0);
        fixture.clock_is_wrong = false;
        run_until_event("campaign-state=completed");
        assert_in_range(fixture.clock.now_wall_ms, night_of(3), night_of(3) + 3 * MINUTE_MS);
}

/* A pause over an opening does not make it miss the next one. */
static void test_paused_over_an_opening(void **state) {
        (void) state;
        import_version("1.1.0");
        start("c", 1, ONE, "{" NIGHT(120) "}");
        assert_int_equal(update_campaign_pause(fixture.update, &actor, "c", NULL, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        run_until_wall(night_of(0) + HOUR_MS);
        assert_int_equal(n_uploads(), 0);
        assert_int_equal(update_campaign_resume(fixture.update, &actor, "c", on_reply, NULL), 0);
        run_until_event("campaign-state=completed");
        assert_true(fixture.clock.now_wall_ms < night_of(0) + 2 * HOUR_MS);
}

/* --- jitter --- */

static void test_jitter(void **state) {
        int64_t accepted_ms = fixture.clock.now_wall_ms, jitter_ms = start_jitter_ms("test", "c", 3600 * 1000);
        (void) state;
        import_version("1.1.0");
        fixture.watch = note_begun;
        start("c", 1, ONE, "{\"start_jitter_s\":3600}");
        expect_job("c", "toy:d0", "queued", "jitter");
        begun_ms = 0;
        clock_fake_advance(&fixture.clock, jitter_ms / 2); /* nothing is due by then */
        restart();
        expect_job("c", "toy:d0", "queued", "jitter"); /* at once */
        run_until_event("campaign-state=completed");
        assert_in_range(begun_ms, accepted_ms + jitter_ms, accepted_ms + jitter_ms + 1000);
        begun_ms = 0;
        start("d", 1, "{\"ids\":[\"toy:d1\"]}", "{\"start_jitter_s\":600," NIGHT(120) "}");
        fixture.events[0] = '\0';
        run_until_event("campaign-state=completed");
        jitter_ms = start_jitter_ms("test", "d", 600 * 1000);
        assert_in_range(begun_ms, night_of(0) + jitter_ms, night_of(0) + jitter_ms + 1000); /* behind each opening, too */
        fixture.watch = NULL;
}

/* --- facts of the device --- */

static void test_battery(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].battery_percent = 20;
        fixture.toys[1].battery_percent = 31;
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}", "{\"battery_min_percent\":30}");
        run_until_event("d1:job-result=succeeded");
        run_until_event("d2:job-result=succeeded"); /* has no battery */
        run_until_job("c", "toy:d0", "low-battery");
        run_until_wall(fixture.clock.now_wall_ms + 5 * HOUR_MS);
        assert_int_equal(fixture.toys[0].n_uploads, 0);
        assert_in_range(fixture.toys[0].n_entered, 5, 12); /* looking costs battery as well */
        fixture.toys[0].battery_percent = 80;
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
}

/* A person who has charged it asks it: the job does not wait until it would have looked by itself. */
static void test_battery_is_heard_of(void **state) {
        struct gw_facts facts = GW_FACTS_INIT;
        int64_t charged_ms;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].battery_percent = 20;
        start("c", 1, ONE, "{\"battery_min_percent\":30}");
        run_until_job("c", "toy:d0", "low-battery");
        facts.battery_percent = 29;
        assert_int_equal(fleet_seen(fixture.fleet, "toy", "d0", &facts), 0);
        run_until_wall(fixture.clock.now_wall_ms + HOUR_MS / 4);
        assert_int_equal(fixture.toys[0].n_entered, 1);
        fixture.toys[0].battery_percent = facts.battery_percent = 80;
        assert_int_equal(fleet_seen(fixture.fleet, "toy", "d0", &facts), 0);
        charged_ms = fixture.clock.now_wall_ms;
        run_until_event("campaign-state=completed");
        assert_true(fixture.clock.now_wall_ms < charged_ms + HOUR_MS / 4); /* before it would have looked by itself */
        expect_job("c", "toy:d0", "succeeded", "updated");
}

static void heard_at(const char *key, int rssi_dbm) {
        struct gw_facts facts = GW_FACTS_INIT;
        facts.rssi_dbm = rssi_dbm;
        assert_int_equal(fleet_seen(fixture.fleet, "toy", key, &facts), 0);
}

static void test_signal(void **state) {
        (void) state;
        import_version("1.1.0");
        heard_at("d0", -95);
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\"],\"rssi_min_dbm\":-85}", NULL);
        run_until_event("d1:job-result=succeeded"); /* on a wire: nobody hears how strong */
        run_until_job("c", "toy:d0", "weak-signal");
        heard_at("d0", -90);
        run_until_job("c", "toy:d0", "weak-signal");
        assert_int_equal(fixture.toys[0].n_entered, 0);
        heard_at("d0", -70);
        run_until_event("campaign-state=completed");
}

/* What is not known yet makes the job wait, and the device is asked; never a silent miss. */
static void test_a_version_that_is_not_known(void **state) {
        (void) state;
        import_version("1.1.0");
        strcpy(fixture.toys[1].running, "1.0.5");
        fixture.toys[2].absent = true;
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"],\"version\":\"<1.0.3\"}", NULL);
        run_until_event("d0:job-result=succeeded");
        run_until_event("d1:job-result=rejected");
        expect_job("c", "toy:d1", "rejected", "not-selected");
        run_until_job("c", "toy:d2", "inventory-unknown");
        restart();
        fixture.toys[2].absent = false;
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d2", "succeeded", "updated");
        assert_int_equal(fixture.toys[1].n_uploads, 0);
}

static void test_updated_by(void **state) {
        (void) state;
        import_version("1.1.0");
        start("first", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\"]}", NULL);
        run_until_event("campaign-state=completed");
        strcpy(fixture.toys[2].running, "1.1.0");
        fixture.events[0] = '\0';
        start("again", 1, "{\"ids\":[\"toy:d2\"]}", NULL);
        run_until_event("campaign-state=completed"); /* already: nothing that anybody updated */
        import_version("1.2.0");
        fixture.events[0] = '\0';
        start("second", 1, "{\"updated_by\":\"first\"}", NULL);
        run_until_event("campaign-state=completed");
        assert_string_equal(fixture.toys[0].running, "1.2.0");
        assert_string_equal(fixture.toys[1].running, "1.2.0");
        assert_string_equal(fixture.toys[2].running, "1.1.0");
        assert_string_equal(fixture.toys[3].running, "1.0.0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_virtual, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_a_campaign_over_many_nights),
                TEST(test_in_parts),
                TEST(test_what_runs_may_finish),
                TEST(test_what_never_fits_is_refused),
                TEST(test_it_waits_for_a_window_that_is_long_enough),
                TEST(test_no_reset_in_the_last_minutes),
                TEST(test_windows_of_the_gateway),
                TEST(test_a_zone_that_does_not_exist),
                TEST(test_a_clock_that_is_wrong),
                TEST(test_paused_over_an_opening),
                TEST(test_jitter),
                TEST(test_battery),
                TEST(test_battery_is_heard_of),
                TEST(test_signal),
                TEST(test_a_version_that_is_not_known),
                TEST(test_updated_by),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
