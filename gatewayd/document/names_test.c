/* SPDX-License-Identifier: Apache-2.0 */
#include "document/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Every word is read back as the value that it was written for, and the words are those of the design. */

static void test_job_states(void **state) {
        static const char *const words[] = {"queued",    "in_progress", "succeeded", "failed",
                                            "timed_out", "rejected",    "canceled",  "superseded"};
        enum job_state found = JOB_STATE_QUEUED;

        (void) state;
        for (int i = 0; i < JOB_STATE_COUNT_; i++) {
                assert_string_equal(job_state_name((enum job_state) i), words[i]);
                assert_int_equal(job_state_parse(words[i], &found), 0);
                assert_int_equal(found, i);
                assert_int_equal(job_state_is_final((enum job_state) i), i >= JOB_STATE_SUCCEEDED);
        }
}

static void test_campaign_states(void **state) {
        static const char *const words[] = {"scheduled", "in_progress", "paused", "completed", "canceled", "superseded", "expired"};
        enum campaign_state found = CAMPAIGN_STATE_SCHEDULED;

        (void) state;
        for (int i = 0; i < CAMPAIGN_STATE_COUNT_; i++) {
                assert_string_equal(campaign_state_name((enum campaign_state) i), words[i]);
                assert_int_equal(campaign_state_parse(words[i], &found), 0);
                assert_int_equal(found, i);
                assert_int_equal(campaign_state_is_final((enum campaign_state) i), i >= CAMPAIGN_STATE_COMPLETED);
        }
}

static void test_results_and_proofs(void **state) {
        enum gw_result result = GW_RESULT_REPORTED;
        enum gw_proof proof = GW_PROOF_NONE;

        (void) state;
        for (int i = GW_RESULT_UPDATED; i <= GW_RESULT_REPORTED; i++) {
                assert_int_equal(result_parse(result_name((enum gw_result) i), &result), 0);
                assert_int_equal(result, i);
        }
        for (int i = GW_PROOF_HASH_ACTIVE_CONFIRMED; i <= GW_PROOF_NONE; i++) {
                assert_int_equal(proof_parse(proof_name((enum gw_proof) i), &proof), 0);
                assert_int_equal(proof, i);
        }
        assert_string_equal(result_name(GW_RESULT_SENT_UNPROVEN), "sent-unproven");
        assert_string_equal(result_name(GW_RESULT_ON_TRIAL), "on-trial");
        assert_string_equal(proof_name(GW_PROOF_HASH_ACTIVE_CONFIRMED), "hash-active-confirmed");
        assert_string_equal(proof_name(GW_PROOF_VERSION_READ), "version-read");
}

static void test_modes_and_targets(void **state) {
        enum gw_target_state target = GW_TARGET_QUEUED;
        enum gw_mode mode = GW_MODE_UPLOAD_ONLY;

        (void) state;
        for (int i = GW_MODE_TEST_AND_CONFIRM; i <= GW_MODE_UPLOAD_ONLY; i++) {
                assert_int_equal(mode_parse(mode_name((enum gw_mode) i), &mode), 0);
                assert_int_equal(mode, i);
        }
        for (int i = GW_TARGET_QUEUED; i <= GW_TARGET_FAILED; i++) {
                assert_int_equal(target_state_parse(target_state_name((enum gw_target_state) i), &target), 0);
                assert_int_equal(target, i);
        }
        assert_string_equal(mode_name(GW_MODE_CONFIRM_ONLY), "confirm-only");
        assert_string_equal(target_state_name(GW_TARGET_IN_PROGRESS), "in_progress");
}

static void test_policy_words(void **state) {
        enum campaign_gate gate = CAMPAIGN_GATE_NONE;
        enum campaign_abort_action action = CAMPAIGN_ABORT_PAUSE;
        enum campaign_window_end end = CAMPAIGN_WINDOW_END_SUSPEND;

        (void) state;
        assert_int_equal(campaign_gate_parse("each-wave", &gate), 0);
        assert_int_equal(gate, CAMPAIGN_GATE_EACH_WAVE);
        assert_int_equal(campaign_gate_parse("wave", &gate), -EINVAL);
        assert_string_equal(campaign_gate_name(CAMPAIGN_GATE_FIRST_WAVE), "first-wave");
        assert_string_equal(campaign_gate_name(CAMPAIGN_GATE_NONE), "none");
        assert_int_equal(campaign_abort_action_parse("cancel", &action), 0);
        assert_int_equal(action, CAMPAIGN_ABORT_CANCEL);
        assert_string_equal(campaign_abort_action_name(CAMPAIGN_ABORT_PAUSE), "pause");
        assert_int_equal(campaign_window_end_parse("finish", &end), 0);
        assert_int_equal(end, CAMPAIGN_WINDOW_END_FINISH);
        assert_string_equal(campaign_window_end_name(CAMPAIGN_WINDOW_END_SUSPEND), "suspend");
}

static void test_image_flags(void **state) {
        enum gw_image_flag flag = 0;
        unsigned all = 0;

        (void) state;
        for (size_t i = 0; i < n_image_flags; i++) {
                assert_int_equal(image_flag_parse(image_flag_name(image_flags[i]), &flag), 0);
                assert_int_equal(flag, image_flags[i]);
                all |= flag;
        }
        assert_int_equal(all, 0x1f);
        assert_string_equal(image_flag_name(GW_IMAGE_PERMANENT), "permanent");
}

static void test_unknown_words(void **state) {
        enum job_state job = JOB_STATE_FAILED;
        enum gw_mode mode = GW_MODE_TEST_ONLY;
        enum gw_image_flag flag = GW_IMAGE_PENDING;

        (void) state;
        assert_int_equal(job_state_parse("Queued", &job), -EINVAL);
        assert_int_equal(job_state_parse("", &job), -EINVAL);
        assert_int_equal(job_state_parse("in-progress", &job), -EINVAL);
        assert_int_equal(job, JOB_STATE_FAILED);
        assert_int_equal(mode_parse("test", &mode), -EINVAL);
        assert_int_equal(mode, GW_MODE_TEST_ONLY);
        assert_int_equal(image_flag_parse("active ", &flag), -EINVAL);
        assert_int_equal(flag, GW_IMAGE_PENDING);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_job_states),        cmocka_unit_test(test_campaign_states), cmocka_unit_test(test_results_and_proofs),
                cmocka_unit_test(test_modes_and_targets), cmocka_unit_test(test_policy_words),    cmocka_unit_test(test_image_flags),
                cmocka_unit_test(test_unknown_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
