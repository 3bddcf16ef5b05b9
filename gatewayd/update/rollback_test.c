/* SPDX-License-Identifier: Apache-2.0 */
#include "update/test_support.h"

/* Campaigns that take back what another one did, over the toys, on virtual time. */

static struct json *back_document(const char *id, const char *of) {
        char text[512];
        struct json *json = NULL;
        (void) str_format(text, sizeof text,
                          "{\"schema\":\"gatewayd/campaign/1\",\"id\":\"%s\",\"revision\":1,\"rollback_of\":\"%s\",\"devices\":{\"all\":true}}", id, of);
        assert_int_equal(json_parse(text, strlen(text), 0, &json, NULL), 0);
        return json;
}

static void take_back(const char *id, const char *of) {
        _cleanup_json_ struct json *json = back_document(id, of);
        assert_int_equal(update_campaign_start(fixture.update, &actor, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_string_equal(fixture.error.name, "");
        fixture.events[0] = '\0';
}

static void roll_out(const char *id, const char *version, const char *devices) {
        import_version(version);
        start(id, 1, devices, NULL);
        assert_string_equal(fixture.error.name, "");
        run_until_event("campaign-state=completed");
        fixture.events[0] = '\0';
}

static int n_jobs(const char *campaign) {
        (void) job_of(campaign, "toy:d0");
        return (int) json_length(json_child(fixture.result, "jobs"));
}

static void test_from_the_other_slot(void **state) {
        (void) state;
        roll_out("c", "1.1.0", "{\"ids\":[\"toy:d0\",\"toy:d1\"]}");
        take_back("back", "c");
        run_until_event("campaign-state=completed");
        assert_string_equal(fixture.toys[0].running, "1.0.0");
        assert_string_equal(fixture.toys[1].running, "1.0.0");
        assert_int_equal(fixture.toys[0].n_uploads, 1); /* that was the way there */
        assert_int_equal(n_jobs("back"), 2);            /* the other toys were not updated by it */
        expect_job("back", "toy:d1", "succeeded", "updated");
}

/* The slot was written over since; a file that happens to be here has the image. */
static void test_from_a_file_of_the_cache(void **state) {
        (void) state;
        import_version("1.0.0");
        import_version("0.5.0");
        roll_out("c", "1.1.0", "{\"ids\":[\"toy:d0\"]}");
        strcpy(fixture.toys[0].stored, "9.9.9");
        take_back("back", "c");
        run_until_event("campaign-state=completed");
        assert_string_equal(fixture.toys[0].running, "1.0.0");
        assert_int_equal(fixture.toys[0].n_uploads, 2);
}

static void test_image_is_gone(void **state) {
        (void) state;
        roll_out("c", "1.1.0", "{\"ids\":[\"toy:d0\",\"toy:d1\"]}");
        strcpy(fixture.toys[0].stored, "9.9.9");
        assert_int_equal(update_device_visit(fixture.update, "toy:d0", GW_OPERATION_INSPECT, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        take_back("back", "c");
        run_until_event("campaign-state=completed");
        expect_job("back", "toy:d0", "rejected", "rollback-image-gone");
        expect_job("back", "toy:d1", "succeeded", "updated");
        assert_string_equal(fixture.toys[0].running, "1.1.0");
}

/* What a retry of the same campaign found is not what ran before it. */
static void test_behind_two_revisions(void **state) {
        (void) state;
        import_version("1.0.0");
        roll_out("c", "1.1.0", "{\"ids\":[\"toy:d0\"]}");
        import_version("1.2.0");
        start("c", 2, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        take_back("back", "c");
        run_until_event("campaign-state=completed");
        assert_string_equal(fixture.toys[0].running, "1.0.0");
}

/* Taken back in its middle it does not go on; who was behind its point of no return comes back, too. */
static void test_in_mid_campaign(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[1].hold = "confirm";
        start("c", 1, "{\"labels\":[\"sensor\"]}", "{\"concurrency\":2}");
        run_until_event("d0:job-result=succeeded");
        run_until_held(1);
        take_back("back", "c");
        run_until_event("d0:job-result=succeeded");
        fixture.toys[1].hold = NULL;
        run_api()->done(fixture.held[1]->run, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED);
        run_until_event("d1:job-result=succeeded");
        while (strcmp(fixture.toys[1].running, "1.0.0") != 0)
                assert_true(loop_run_once(fixture.loop));
        for (int i = 0; i < fixture.n_toys; i++)
                assert_string_equal(fixture.toys[i].running, "1.0.0");
        expect_job("c", "toy:d20", "canceled", "");
}

static void test_over_a_restart(void **state) {
        (void) state;
        import_version("1.0.0");
        roll_out("c", "1.1.0", "{\"ids\":[\"toy:d0\"]}");
        strcpy(fixture.toys[0].stored, "9.9.9");
        fixture.toys[0].hold = "upload";
        take_back("back", "c");
        run_until_held(0);
        restart();
        run_until_held(0);
        fixture.toys[0].hold = NULL;
        restart();
        run_until_event("campaign-state=completed");
        assert_string_equal(fixture.toys[0].running, "1.0.0");
        assert_int_equal(fixture.toys[0].n_uploads, 2);
}

static void test_plan(void **state) {
        _cleanup_json_ struct json *json = back_document("back", "c");
        struct json *entry = NULL;
        int64_t n = 0;
        (void) state;
        roll_out("c", "1.1.0", "{\"ids\":[\"toy:d0\"]}");
        assert_int_equal(update_campaign_plan(fixture.update, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_int_equal(json_member_int(json_child(fixture.result, "counts"), "update", 0, 99, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(json_member_int(json_child(fixture.result, "counts"), "not-selected", 0, 99, &n), 0);
        assert_int_equal(n, 29);
        entry = json_at(json_child(fixture.result, "devices"), 0);
        assert_string_equal(json_member_text(entry, "version_now"), "1.1.0");
        assert_string_equal(json_member_text(entry, "version_new"), "1.0.0");
        entry = json_at(json_child(fixture.result, "devices"), 1);
        assert_string_equal(json_member_text(entry, "member"), "rollback_of");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_virtual, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_from_the_other_slot),  TEST(test_from_a_file_of_the_cache), TEST(test_image_is_gone), TEST(test_behind_two_revisions),
                TEST(test_in_mid_campaign),      TEST(test_over_a_restart),           TEST(test_plan),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
