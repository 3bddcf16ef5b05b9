/* SPDX-License-Identifier: Apache-2.0 */

/* The driver against the scripted host, with processes whose other end is the test: every way in which a call can end. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/testing/scripted_run.h"
#include "limits.h"

extern const struct gw_plugin gw_plugin;

#define MOST_MS 3600000
#define PART "....image"
#define PART_OFFSET 4
#define PROGRAM "/bin/true" /* only its file is looked at */
#define DESCRIBED                                                                                                                          \
        "{\"step\":\"inspect\"}\n{\"step\":\"upload\",\"timeout_s\":5}\n{\"step\":\"activate\",\"commits\":true}\n{\"step\":\"verify\"}"   \
        "\n" NEXT
#define NEXT "{\"end\":\"next\"}\n"
#define UPDATED "{\"end\":\"done\",\"result\":\"updated\",\"proof\":\"version-read\"}\n"

/* The only process that runs. */
static struct fake_process {
        const struct gw_process_handler *handler;
        void *ctx;
        char call[32], input[4096], environment[4096], image[32];
        bool running, dropped;
        int64_t grace_ms; /* of the last terminate, -1 none */
        unsigned n_started;
        const char *refuse, *refuse_call; /* error name with which the next call of that step does not start */
} fake;

struct fixture {
        struct scripted_host host;
        struct gw_process_api process;
        const struct gw_driver *driver;
        void *driver_ctx;
        struct gw_part part;
        struct gw_order order;
        struct gw_run run;
};

static void join_environment(const char *const *environment) {
        fake.environment[0] = '\0';
        for (; *environment; environment++) {
                size_t used = strlen(fake.environment);

                snprintf(fake.environment + used, sizeof fake.environment - used, "%s\n", *environment);
        }
}

static int fake_start(const struct gw_host *host, const struct gw_process_options *options, const struct gw_process_handler *handler,
                      void *ctx, struct gw_process **ret_process, struct gw_error *err) {
        (void) host;
        if (fake.refuse && strcmp(fake.refuse_call, options->argv[1]) == 0) {
                gw_error_set(err, fake.refuse, "scripted");
                fake.refuse = NULL;
                return -EAGAIN;
        }
        assert_false(fake.running);
        assert_int_equal(options->input_size, strnlen(options->input, options->input_size));
        snprintf(fake.call, sizeof fake.call, "%s", options->argv[1]);
        snprintf(fake.input, sizeof fake.input, "%.*s", (int) options->input_size, (const char *) options->input);
        join_environment(options->environment);
        memset(fake.image, 0, sizeof fake.image);
        if (options->keep_fd >= 0)
                assert_true(read(options->keep_fd, fake.image, sizeof fake.image - 1) >= 0);
        fake.handler = handler;
        fake.ctx = ctx;
        fake.running = true;
        fake.grace_ms = -1;
        fake.n_started++;
        *ret_process = (struct gw_process *) &fake;
        return 0;
}

static void fake_terminate(struct gw_process *process, int64_t grace_ms) {
        assert_true(process == (struct gw_process *) &fake && fake.running);
        fake.grace_ms = grace_ms;
}

static void fake_drop(struct gw_process *process) {
        assert_true(process == (struct gw_process *) &fake && fake.running);
        fake.running = false;
        fake.dropped = true;
}

/* ---- what the process does */

static void says(const char *text) {
        assert_true(fake.running);
        fake.handler->output(fake.ctx, (const uint8_t *) text, strlen(text));
}

static void exits(int status, int term_signal, bool overflow) {
        assert_true(fake.running);
        fake.running = false;
        fake.handler->exited(fake.ctx, status, term_signal, overflow);
}

/* A whole call: it must be this step, says these lines and ends well. */
static void answer(struct fixture *fixture, const char *call, const char *text) {
        while (!fake.running)
                assert_true(scripted_host_step(&fixture->host, fixture->host.now_ms + MOST_MS));
        assert_string_equal(fake.call, call);
        says(text);
        exits(0, 0, false);
        scripted_host_advance(&fixture->host, 0);
}

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);
        struct gw_device *device;

        fake = (struct fake_process){ 0 };
        scripted_host_init(&fixture->host, NULL);
        fixture->process = (struct gw_process_api){ sizeof fixture->process, fake_start, fake_terminate, fake_drop };
        fixture->host.host.process = &fixture->process;
        assert_int_equal(gw_plugin.load(&fixture->host.host, &(void *){ NULL }, NULL), 0);
        fixture->driver = fixture->host.drivers[0];
        assert_int_equal(fixture->driver->start(&fixture->host.host, &fixture->driver_ctx, NULL), 0);
        device = scripted_device_add(&fixture->host, "exec", "meter", fixture->driver->device_settings);
        scripted_device_set(device, "program", PROGRAM);
        fixture->part =
                (struct gw_part){ .fd = memfd_create("part", MFD_CLOEXEC), .offset = PART_OFFSET, .size = strlen(PART) - PART_OFFSET };
        assert_int_equal(write(fixture->part.fd, PART, strlen(PART)), strlen(PART));
        fixture->order = (struct gw_order){ .size = sizeof fixture->order, .n_wanted = 1, .trial_ms = 1500 };
        fixture->order.wanted[0] = (struct gw_wanted){ .hash_size = 32, .part = &fixture->part, .version = "1.2.0" };
        fixture->run = (struct gw_run){
                .scripted = &fixture->host,
                .driver = fixture->driver,
                .driver_ctx = fixture->driver_ctx,
                .operation = GW_OPERATION_UPDATE,
                .device = device,
                .order = &fixture->order,
        };
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        scripted_run_deinit(&fixture->run);
        assert_false(fake.running);
        fixture->driver->stop(fixture->driver_ctx);
        scripted_host_advance(&fixture->host, MOST_MS);
        scripted_host_deinit(&fixture->host);
        close(fixture->part.fd);
        free(fixture);
        return 0;
}

static void expect_done(struct fixture *fixture, enum gw_result result, enum gw_proof proof, const char *path) {
        assert_int_equal(scripted_run_until_end(&fixture->run, MOST_MS), SCRIPTED_DONE);
        assert_int_equal(fixture->run.result, result);
        assert_int_equal(fixture->run.proof, proof);
        assert_string_equal(fixture->run.path, path);
}

static void expect_failed(struct fixture *fixture, const char *name, const char *words) {
        assert_int_equal(scripted_run_until_end(&fixture->run, MOST_MS), SCRIPTED_FAILED);
        assert_string_equal(fixture->run.error.name, name);
        if (!strstr(fixture->run.error.text, words))
                fail_msg("\"%s\" is not in: %s", words, fixture->run.error.text);
}

/* Up to the running call of `upload`. */
static void begin_upload(struct fixture *fixture) {
        scripted_run_begin(&fixture->run);
        answer(fixture, "describe", DESCRIBED);
        answer(fixture, "inspect", NEXT);
        while (!fake.running)
                assert_true(scripted_host_step(&fixture->host, fixture->host.now_ms + MOST_MS));
        assert_string_equal(fake.call, "upload");
}

/* ---- tests */

static void test_a_whole_update(void **state) {
        struct fixture *fixture = *state;

        scripted_run_begin(&fixture->run);
        answer(fixture, "describe", DESCRIBED);
        assert_int_equal(fixture->run.n_journaled, 0);
        answer(fixture, "inspect", NEXT);
        assert_string_equal(fixture->run.journaled, "upload");
        answer(fixture, "upload", "{\"progress\":3,\"total\":5}\n{\"blob\":\"mark\"}\n" NEXT);
        assert_string_equal(fixture->run.journaled, "activate");
        assert_int_equal(fixture->run.durable_size, strlen("\"mark\""));
        answer(fixture, "activate", NEXT);
        answer(fixture, "verify", UPDATED);
        expect_done(fixture, GW_RESULT_UPDATED, GW_PROOF_VERSION_READ, "describe inspect upload activate verify");
        assert_string_equal(fixture->run.committed_in, "activate");
        assert_int_equal(fixture->run.progress_done, 3);
        assert_string_equal(fake.image, "image");
        assert_non_null(strstr(fake.environment, "GW_BLOB=mark\n"));
        assert_non_null(strstr(fake.environment, "GW_TRIAL_S=2\n"));
        assert_non_null(strstr(fake.environment, "GW_COMMITTED=1\n"));
        assert_non_null(strstr(fake.input, "\"blob\":\"mark\""));
}

static void test_a_crash_before_every_step(void **state) {
        static const struct {
                const char *crash_at, *path;
        } rows[] = {
                { "upload", "describe inspect describe inspect upload activate verify" },
                { "activate", "describe inspect upload describe inspect activate verify" },
                { "verify", "describe inspect upload activate describe inspect verify" },
        };

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture *fixture = *state;

                fixture->run.crash_at = rows[i].crash_at;
                scripted_run_begin(&fixture->run);
                while (scripted_run_until_end(&fixture->run, 0) == SCRIPTED_RUNNING) {
                        if (!fake.running)
                                continue;
                        if (strcmp(fake.call, "describe") == 0)
                                answer(fixture, fake.call, DESCRIBED);
                        else
                                answer(fixture, fake.call, strcmp(fake.call, "verify") == 0 ? UPDATED : NEXT);
                }
                expect_done(fixture, GW_RESULT_UPDATED, GW_PROOF_VERSION_READ, rows[i].path);
                assert_int_equal(fixture->run.n_crashes, 1);
                if (i + 1 < sizeof rows / sizeof rows[0]) {
                        assert_int_equal(teardown(state), 0);
                        assert_int_equal(setup(state), 0);
                }
        }
}

static void test_a_crash_within_a_step(void **state) {
        struct fixture *fixture = *state;

        begin_upload(fixture);
        scripted_run_crash(&fixture->run);
        assert_true(fake.dropped);
        answer(fixture, "describe", DESCRIBED);
        assert_non_null(strstr(fake.input, "\"resumed\":true"));
        answer(fixture, "inspect", NEXT);
        answer(fixture, "upload", "{\"end\":\"jump\",\"step\":\"verify\"}\n");
        answer(fixture, "verify", UPDATED);
        expect_done(fixture, GW_RESULT_UPDATED, GW_PROOF_VERSION_READ, "describe inspect upload describe inspect upload verify");
}

/* The program was exchanged: the journaled step is no longer one of its own. */
static void test_a_step_that_is_gone_is_passed_over(void **state) {
        struct fixture *fixture = *state;

        begin_upload(fixture);
        scripted_run_crash(&fixture->run);
        answer(fixture, "describe", "{\"step\":\"verify\"}\n" NEXT);
        answer(fixture, "verify", UPDATED);
        expect_done(fixture, GW_RESULT_UPDATED, GW_PROOF_VERSION_READ, "describe inspect upload describe inspect upload verify");
}

static void test_each_bad_end_has_its_name(void **state) {
        static const struct {
                const char *output, *diagnostics;
                int status, term_signal;
                bool overflow;
                const char *name, *words;
        } rows[] = {
                { NEXT, "", -1, SIGSEGV, false, "exec-crashed", "signal 11" },
                { NEXT, "bus error\n\n", 3, 0, false, "exec-failed", "exit code 3: bus error" },
                { NEXT, "no end of line", 3, 0, false, "exec-failed", "exit code 3: no end of line" },
                { "", "", 0, 0, false, "exec-no-result", "upload: no line" },
                { "{\"note\":\"x\"}\n", "", 0, 0, false, "exec-no-result", "no line" },
                { NEXT NEXT, "", -1, SIGKILL, false, "exec-bad-output", "behind" },
                { "hello\n", "", -1, SIGKILL, false, "exec-bad-output", "hello" },
                { "hello", "", 0, 0, false, "exec-bad-output", "hello" },
                { "{\"step\":\"reset\"}\n", "", -1, SIGKILL, false, "exec-bad-output", "describe" },
                { "{\"end\":\"jump\",\"step\":\"reset\"}\n", "", 0, 0, false, "exec-bad-output", "jump" },
                { "{\"end\":\"jump\",\"step\":\"inspect\"}\n", "", 0, 0, false, "exec-bad-output", "jump" },
                { "{\"end\":\"done\",\"result\":\"reported\",\"proof\":\"none\"}\n", "", 0, 0, false, "exec-bad-output", "reported" },
                { NEXT, "", -1, SIGKILL, true, "exec-too-much-output", "1048576 bytes" },
                { "{\"end\":\"again\",\"error\":\"acme-cold\",\"text\":\"4 degrees\"}", "", 0, 0, false, "acme-cold", "4 degrees" },
                { "{\"end\":\"fail\",\"error\":\"acme-dark\"}", "", 0, 0, false, "acme-dark", "no reason" },
        };

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture *fixture = *state;

                begin_upload(fixture);
                fake.handler->diagnostics(fake.ctx, (const uint8_t *) rows[i].diagnostics, strlen(rows[i].diagnostics));
                says(rows[i].output);
                exits(rows[i].status, rows[i].term_signal, rows[i].overflow);
                expect_failed(fixture, rows[i].name, rows[i].words);
                if (i + 1 < sizeof rows / sizeof rows[0]) {
                        assert_int_equal(teardown(state), 0);
                        assert_int_equal(setup(state), 0);
                }
        }
}

static void test_which_failures_are_tried_again(void **state) {
        struct fixture *fixture = *state;

        fixture->run.attempts_max = 2;
        begin_upload(fixture);
        exits(3, 0, false);
        answer(fixture, "describe", DESCRIBED);
        answer(fixture, "inspect", NEXT);
        while (!fake.running)
                assert_true(scripted_host_step(&fixture->host, fixture->host.now_ms + MOST_MS));
        assert_non_null(strstr(fake.environment, "GW_ATTEMPT=2\n"));
        says("garbage\n");
        assert_int_equal(fake.grace_ms, 0);
        exits(-1, SIGKILL, false);
        expect_failed(fixture, "exec-bad-output", "garbage");
}

static void test_silence_is_killed_and_progress_is_not(void **state) {
        struct fixture *fixture = *state;

        begin_upload(fixture); /* its timeout is 5 s */
        scripted_host_advance(&fixture->host, 4000);
        says("{\"progress\":1,\"total\":9}\n");
        scripted_host_advance(&fixture->host, 4000);
        says("{\"progress\":1,\"total\":9}\n"); /* nothing moved */
        assert_int_equal(fake.grace_ms, -1);
        scripted_host_advance(&fixture->host, 1000);
        assert_int_equal(fake.grace_ms, EXEC_STOP_GRACE_MS);
        exits(-1, SIGTERM, false);
        expect_failed(fixture, "exec-timeout", "5000 ms");
}

static void test_stops(void **state) {
        struct fixture *fixture = *state;

        begin_upload(fixture);
        scripted_run_stop(&fixture->run, GW_STOP_SHUTDOWN);
        assert_int_equal(fake.grace_ms, EXEC_STOP_GRACE_MS);
        exits(-1, SIGTERM, false);
        assert_int_equal(scripted_run_until_end(&fixture->run, MOST_MS), SCRIPTED_STOPPED);
        scripted_run_continue(&fixture->run);
        answer(fixture, "describe", DESCRIBED);
        answer(fixture, "inspect", NEXT);
        while (!fake.running)
                assert_true(scripted_host_step(&fixture->host, fixture->host.now_ms + MOST_MS));
        scripted_run_stop(&fixture->run, GW_STOP_CANCEL);
        assert_int_equal(fake.grace_ms, EXEC_CANCEL_GRACE_MS);
        exits(1, 0, false);
        assert_int_equal(scripted_run_until_end(&fixture->run, MOST_MS), SCRIPTED_STOPPED);
}

/* It was done before the signal came: then it is done. */
static void test_an_end_before_the_stop_counts(void **state) {
        struct fixture *fixture = *state;

        begin_upload(fixture);
        scripted_run_stop(&fixture->run, GW_STOP_PAUSE);
        says(UPDATED);
        exits(0, 0, false);
        expect_done(fixture, GW_RESULT_UPDATED, GW_PROOF_VERSION_READ, "describe inspect upload");
}

static void test_a_stop_between_commit_and_call(void **state) {
        struct fixture *fixture = *state;

        begin_upload(fixture);
        says(NEXT);
        exits(0, 0, false);
        assert_true(scripted_run_until_step(&fixture->run, "activate", MOST_MS));
        assert_false(fake.running);
        scripted_run_stop(&fixture->run, GW_STOP_SHUTDOWN);
        assert_int_equal(scripted_run_until_end(&fixture->run, MOST_MS), SCRIPTED_STOPPED);
        assert_false(fake.running);
        assert_true(fixture->run.is_committed);
}

static void test_waits(void **state) {
        struct fixture *fixture = *state;

        scripted_run_begin(&fixture->run);
        answer(fixture, "describe", DESCRIBED);
        answer(fixture, "inspect", "{\"end\":\"wait\",\"reason\":\"low-battery\",\"delay_s\":60}\n");
        answer(fixture, "describe", DESCRIBED);
        assert_string_equal(fixture->run.reason, "low-battery");
        answer(fixture, "inspect", "{\"end\":\"done\",\"result\":\"already\",\"proof\":\"hash-active\"}\n");
        expect_done(fixture, GW_RESULT_ALREADY, GW_PROOF_HASH_ACTIVE, "describe inspect describe inspect");
}

static void test_descriptions_that_are_refused(void **state) {
        static const char *const texts[] = {
                "{\"step\":\"inspect\"}\n" NEXT,
                NEXT,
                "{\"step\":\"upload\"}\n{\"step\":\"upload\"}\n",
                "{\"step\":\"upload\"}\n{\"progress\":1,\"total\":2}\n",
                "{\"step\":\"upload\"}\n" UPDATED,
        };

        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                struct fixture *fixture = *state;

                scripted_run_begin(&fixture->run);
                answer(fixture, "describe", texts[i]);
                expect_failed(fixture, "exec-bad-output", "describe: ");
                if (i + 1 < sizeof texts / sizeof texts[0]) {
                        assert_int_equal(teardown(state), 0);
                        assert_int_equal(setup(state), 0);
                }
        }
}

static void test_what_cannot_begin(void **state) {
        struct fixture *fixture = *state;

        fake.refuse = "exec-start-failed";
        fake.refuse_call = "describe";
        fixture->run.attempts_max = 2;
        scripted_run_begin(&fixture->run);
        while (!fake.running) /* it is of the kind that passes */
                assert_true(scripted_host_step(&fixture->host, fixture->host.now_ms + MOST_MS));
        fake.refuse = "exec-not-found";
        fake.refuse_call = "inspect";
        answer(fixture, "describe", DESCRIBED);
        expect_failed(fixture, "exec-not-found", "inspect: scripted");
}

static void test_without_a_program(void **state) {
        struct fixture *fixture = *state;

        scripted_device_set(fixture->run.device, "program", "/no/such/program");
        scripted_run_begin(&fixture->run);
        expect_failed(fixture, "exec-not-found", "/no/such/program");
        assert_int_equal(fake.n_started, 0);
}

static void test_several_images_are_refused(void **state) {
        struct fixture *fixture = *state;
        struct gw_plan_request request = { .size = sizeof request, .device = fixture->run.device, .order = &fixture->order };
        struct gw_plan plan;
        struct gw_error err;

        fixture->order.n_wanted = 2;
        assert_true(fixture->driver->plan(fixture->driver_ctx, &request, &plan, &err) < 0);
        assert_string_equal(err.name, "does-not-fit-device");
        scripted_run_begin(&fixture->run);
        expect_failed(fixture, "does-not-fit-device", "2");
        assert_int_equal(fake.n_started, 0);
}

static void test_the_plan(void **state) {
        struct fixture *fixture = *state;
        struct gw_plan_request request = { .size = sizeof request, .device = fixture->run.device, .order = &fixture->order };
        struct gw_plan plan;

        assert_int_equal(fixture->driver->plan(fixture->driver_ctx, &request, &plan, NULL), 0);
        assert_int_equal(plan.work, GW_PLAN_UPLOAD);
        assert_int_equal(plan.upload_bytes, fixture->part.size);
        assert_non_null(strstr(plan.text, PROGRAM));
        fixture->run.device->n_images = 1;
        fixture->run.device->images[0] = (struct gw_image){ .hash_size = 32, .flags = GW_IMAGE_ACTIVE };
        assert_int_equal(fixture->driver->plan(fixture->driver_ctx, &request, &plan, NULL), 0);
        assert_int_equal(plan.work, GW_PLAN_NOTHING);
}

static void test_looking(void **state) {
        static const struct {
                enum gw_operation_kind operation;
                const char *described, *call;
        } rows[] = {
                { GW_OPERATION_INSPECT, "{\"step\":\"inspect\"}\n{\"step\":\"diagnose\"}\n" NEXT, "inspect" },
                { GW_OPERATION_DIAGNOSE, "{\"step\":\"inspect\"}\n{\"step\":\"diagnose\"}\n" NEXT, "diagnose" },
                { GW_OPERATION_DIAGNOSE, "{\"step\":\"inspect\"}\n" NEXT, "inspect" },
                { GW_OPERATION_DIAGNOSE, "{\"step\":\"upload\"}\n" NEXT, NULL },
        };

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture *fixture = *state;

                fixture->run.operation = rows[i].operation;
                scripted_run_begin(&fixture->run);
                answer(fixture, "describe", rows[i].described);
                if (rows[i].call)
                        answer(fixture, rows[i].call, "{\"learned\":{\"version\":\"7\"}}\n" NEXT);
                assert_int_equal(scripted_run_until_end(&fixture->run, MOST_MS), SCRIPTED_DONE);
                assert_int_equal(fixture->run.result, GW_RESULT_REPORTED);
                if (rows[i].call)
                        assert_string_equal(fixture->run.device->version, "7");
                assert_string_equal(fake.image, "");
                if (i + 1 < sizeof rows / sizeof rows[0]) {
                        assert_int_equal(teardown(state), 0);
                        assert_int_equal(setup(state), 0);
                }
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_a_whole_update),
                TEST(test_a_crash_before_every_step),
                TEST(test_a_crash_within_a_step),
                TEST(test_a_step_that_is_gone_is_passed_over),
                TEST(test_each_bad_end_has_its_name),
                TEST(test_which_failures_are_tried_again),
                TEST(test_silence_is_killed_and_progress_is_not),
                TEST(test_stops),
                TEST(test_an_end_before_the_stop_counts),
                TEST(test_a_stop_between_commit_and_call),
                TEST(test_waits),
                TEST(test_descriptions_that_are_refused),
                TEST(test_what_cannot_begin),
                TEST(test_without_a_program),
                TEST(test_several_images_are_refused),
                TEST(test_the_plan),
                TEST(test_looking),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
