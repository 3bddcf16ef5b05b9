/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct json *parse(const char *text) {
        struct json *json;

        assert_int_equal(json_parse(text, strlen(text), 0, &json, NULL), 0);
        return json;
}

typedef int (*render_fn)(const struct json *jobs, const struct style *style, struct strbuf *out);

static void assert_rendered(render_fn render, const char *jobs_text, struct style style, const char *expected) {
        struct strbuf out = STRBUF_INIT(100000);
        struct json *jobs = parse(jobs_text);

        assert_int_equal(render(jobs, &style, &out), 0);
        assert_string_equal(strbuf_text(&out), expected);
        strbuf_deinit(&out);
        json_free(jobs);
}

#define UPDATED(device)                                                                                                                    \
        "{\"device\":\"" device                                                                                                            \
        "\",\"state\":\"succeeded\",\"attempt\":1,\"attempts\":5,\"result\":\"updated\",\"proof\":\"hash-active-confirmed\","              \
        "\"version_before\":\"1.0.0\",\"version_after\":\"1.1.0\",\"started\":\"2026-11-21T00:00:00Z\",\"finished\":\"2026-11-21T00:00:"   \
        "12Z\"}"
#define REFUSED(device)                                                                                                                    \
        "{\"device\":\"" device                                                                                                            \
        "\",\"state\":\"failed\",\"attempt\":1,\"attempts\":5,\"version_before\":\"1.0.0\",\"version_after\":\"1.0.0\","                   \
        "\"error\":{\"name\":\"smp-swap-refused\",\"text\":\"image 0 still waits\",\"advice\":\"Compare the slots.\"},\"notes\":[\"142 "   \
        "chunks\"]}"
#define LATE "{\"device\":\"smp-udp:z\",\"state\":\"timed_out\",\"attempt\":0,\"attempts\":5,\"reason\":\"not-seen\"}"
#define RUNNING                                                                                                                            \
        "{\"device\":\"smp-udp:r\",\"campaign\":\"c1\",\"state\":\"in_progress\",\"step\":\"upload\",\"percent\":40,\"eta_ms\":4500,"      \
        "\"attempt\":2,\"attempts\":5}"
#define QUEUED "{\"device\":\"smp-udp:q\",\"campaign\":\"c1\",\"state\":\"queued\",\"reason\":\"concurrency\",\"attempt\":0,\"attempts\":5}"

static void test_results(void **state) {
        (void) state;
        assert_rendered(results_render, "[" UPDATED("smp-udp:a") "," REFUSED("smp-udp:b") "," LATE "," REFUSED("smp-udp:c") "]",
                        (struct style){ .utf8 = true },
                        "DEVICE     RESULT     PROOF OR ERROR         VERSION        TOOK\n"
                        "smp-udp:a  updated    hash-active-confirmed  1.0.0 → 1.1.0  12 s\n"
                        "smp-udp:b  failed     smp-swap-refused       1.0.0\n"
                        "smp-udp:z  timed_out  not-seen\n"
                        "smp-udp:c  failed     smp-swap-refused       1.0.0\n"
                        "\n"
                        "smp-swap-refused\n"
                        "  smp-udp:b: image 0 still waits\n"
                        "    noted: 142 chunks\n"
                        "  smp-udp:c: image 0 still waits\n"
                        "    noted: 142 chunks\n"
                        "  What to do: Compare the slots.\n"
                        "\n"
                        "1 of 4 devices succeeded, 3 did not.\n");
}

/* Of a campaign that is paused: what waits has not failed. */
static void test_results_before_the_end(void **state) {
        (void) state;
        assert_rendered(results_render, "[" UPDATED("smp-udp:a") "," LATE "," QUEUED "," RUNNING "]", (struct style){ 0 },
                        "DEVICE     RESULT       PROOF OR ERROR         VERSION         TOOK\n"
                        "smp-udp:a  updated      hash-active-confirmed  1.0.0 -> 1.1.0  12 s\n"
                        "smp-udp:z  timed_out    not-seen\n"
                        "smp-udp:q  queued       concurrency\n"
                        "smp-udp:r  in_progress\n"
                        "\n"
                        "1 of 4 devices succeeded, 1 did not, 2 are not over.\n");
}

static void test_one_result_needs_no_sum(void **state) {
        (void) state;
        assert_rendered(results_render, "[" UPDATED("smp-udp:a") "]", (struct style){ 0 },
                        "DEVICE     RESULT   PROOF OR ERROR         VERSION         TOOK\n"
                        "smp-udp:a  updated  hash-active-confirmed  1.0.0 -> 1.1.0  12 s\n");
}

static void test_jobs(void **state) {
        (void) state;
        assert_rendered(jobs_render, "[" RUNNING "," QUEUED "," REFUSED("smp-udp:b") "]", (struct style){ 0 },
                        "CAMPAIGN  DEVICE     STATE        STEP    DONE  LEFT  ATTEMPT  RESULT OR REASON  VERSION\n"
                        "c1        smp-udp:r  in_progress  upload  40 %   4 s      2/5\n"
                        "c1        smp-udp:q  queued                                    concurrency\n"
                        "          smp-udp:b  failed                                    smp-swap-refused  1.0.0\n");
}

static void test_how_many_did_not_succeed(void **state) {
        struct json *jobs = parse("[" UPDATED("a") "," REFUSED("b") "," LATE "," RUNNING "]");

        (void) state;
        assert_int_equal(jobs_without_success(jobs), 3);
        assert_int_equal(jobs_without_success(NULL), 0);
        json_free(jobs);
}

static void assert_outcome(const char *text, const char *expected) {
        struct json *job = parse(text);
        char outcome[OUTCOME_SIZE];

        job_outcome(job, outcome);
        assert_string_equal(outcome, expected);
        json_free(job);
}

static void test_outcomes(void **state) {
        (void) state;
        assert_outcome(UPDATED("a"), "updated, proof hash-active-confirmed");
        assert_outcome("{\"state\":\"succeeded\",\"result\":\"sent-unproven\",\"proof\":\"none\"}", "sent-unproven, without proof");
        assert_outcome(REFUSED("b"), "failed: smp-swap-refused");
        assert_outcome("{\"state\":\"canceled\",\"error\":{\"name\":\"canceled\",\"text\":\"\"}}", "canceled");
        assert_outcome("{\"state\":\"timed_out\"}", "timed_out");
}

static void assert_progress(const char *text, struct progress_state expected) {
        struct json *message = parse(text);
        struct progress_state progress;
        char outcome[OUTCOME_SIZE];

        job_progress(message, &progress, outcome);
        assert_int_equal(progress.phase, expected.phase);
        assert_true(str_equal(progress.step, expected.step));
        assert_true(str_equal(progress.waiting, expected.waiting));
        assert_true(str_equal(progress.outcome, expected.outcome));
        assert_int_equal(progress.percent, expected.percent);
        assert_int_equal(progress.attempt, expected.attempt);
        json_free(message);
}

static void test_jobs_and_messages_as_progress(void **state) {
        (void) state;
        assert_progress(RUNNING, (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "upload", .percent = 40, .attempt = 2 });
        assert_progress(QUEUED, (struct progress_state){ .phase = PROGRESS_QUEUED, .waiting = "concurrency", .percent = -1 });
        assert_progress(
                REFUSED("b"),
                (struct progress_state){ .phase = PROGRESS_FAILED, .outcome = "failed: smp-swap-refused", .percent = -1, .attempt = 1 });
        assert_progress(LATE, (struct progress_state){ .phase = PROGRESS_FAILED, .outcome = "timed_out", .percent = -1 });
        assert_progress("{\"step\":\"return\",\"waiting\":\"swapping\"}",
                        (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "return", .waiting = "swapping", .percent = -1 });
        /* In a job, `waiting` is a flag and the reason stands beside it. */
        assert_progress("{\"state\":\"in_progress\",\"waiting\":true,\"reason\":\"low-battery\",\"step\":\"inspect\"}",
                        (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "inspect", .waiting = "low-battery", .percent = -1 });
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_results),
                cmocka_unit_test(test_results_before_the_end),
                cmocka_unit_test(test_one_result_needs_no_sum),
                cmocka_unit_test(test_jobs),
                cmocka_unit_test(test_how_many_did_not_succeed),
                cmocka_unit_test(test_outcomes),
                cmocka_unit_test(test_jobs_and_messages_as_progress),
        };

        text_init();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
