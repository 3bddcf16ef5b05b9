/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#undef fail /* struct gw_run_api has one */

#include "base/cleanup.h"
#include "driver/registry.h"

/*
 * A driver whose steps end as a script says ("connect:next inspect:jump=reset ..."), an owner that journals at once or when told,
 * and a trace of all that happened, which is what the tests compare.
 */
struct bench {
        struct loop *loop;
        struct gw_run *run;
        struct loop_deferral *answer;
        char trace[1024];
        const char *script;       /* how each entered step ends, in order, separated by blanks */
        bool hold_journal;        /* the journal is answered by the test */
        bool hold_step;           /* the step does not end by itself */
        bool ignore_stop;
        int journal_result;
        const char *refuse_prepared;
        bool ended;
        struct run_end end;
};

static struct bench bench;

static void trace(const char *format, ...) GW_PRINTF(1, 2);
static void trace(const char *format, ...) {
        size_t used = strlen(bench.trace);
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(bench.trace + used, sizeof bench.trace - used, format, arguments);
        va_end(arguments);
        strncat(bench.trace, " ", sizeof bench.trace - strlen(bench.trace) - 1);
}

/* --- the driver --- */

static void committed(void *ctx) {
        (void) ctx;
        trace("committed");
        run_api()->next(bench.run);
}

static void act(const char *word) {
        const struct gw_run_api *api = run_api();
        struct gw_error err;
        gw_error_set(&err, "link-lost", "gone");
        if (strcmp(word, "next") == 0)
                api->next(bench.run);
        else if (strncmp(word, "jump=", 5) == 0)
                api->jump(bench.run, word + 5);
        else if (strcmp(word, "done") == 0)
                api->done(bench.run, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED);
        else if (strcmp(word, "wait") == 0)
                api->wait(bench.run, "not-seen", GW_WAKE_SEEN, 1000);
        else if (strcmp(word, "again") == 0)
                api->again(bench.run, &err);
        else if (strcmp(word, "fail") == 0)
                api->fail(bench.run, &err);
        else if (strcmp(word, "twice") == 0) {
                api->next(bench.run);
                api->fail(bench.run, &err);
        } else if (strcmp(word, "commit") == 0)
                assert_int_equal(api->committed(bench.run, committed), 0);
        else if (strcmp(word, "blob") == 0) {
                assert_int_equal(api->blob_set(bench.run, "note", 4), 0);
                api->next(bench.run);
        } else if (strcmp(word, "stopped") == 0)
                api->stopped(bench.run);
        else
                assert_string_equal(word, "hold");
}

static int enter(void *ctx, struct gw_error *err) {
        char word[32];
        size_t length = strcspn(bench.script, " ");
        assert_ptr_equal(ctx, &bench);
        (void) err;
        assert_true(length > 0 && length < sizeof word);
        memcpy(word, bench.script, length);
        word[length] = '\0';
        bench.script += length + (bench.script[length] == ' ');
        act(word);
        return 0;
}

static int enter_broken(void *ctx, struct gw_error *err) {
        (void) ctx;
        gw_error_set(err, "port-busy", "taken");
        return -EBUSY;
}

static int driver_run_new(void *driver, struct gw_run *run, void **ret_ctx, struct gw_error *err) {
        (void) driver;
        (void) run;
        (void) err;
        *ret_ctx = &bench;
        return 0;
}

static void driver_run_stop(void *ctx, enum gw_stop_reason reason) {
        static const char *const names[] = { "cancel", "pause", "shutdown", "timeout" };
        (void) ctx;
        trace("stop=%s", names[reason]);
        if (!bench.ignore_stop)
                run_api()->stopped(bench.run);
}

static void driver_run_free(void *ctx) {
        (void) ctx;
        trace("free");
}

static const struct gw_step steps[] = {
        { "connect", enter, 0, GW_STEP_PREPARE }, { "inspect", enter, 0, GW_STEP_PREPARE }, { "upload", enter, 0, GW_STEP_RESUMABLE },
        { "test", enter, 50, 0 },                 { "reset", enter, 0, 0 },                 { "broken", enter_broken, 0, 0 },
};
static const struct gw_driver driver = {
        .name = "bench",
        .operations = { [GW_OPERATION_UPDATE] = { steps, ARRAY_SIZE(steps) } },
        .run_new = driver_run_new,
        .run_stop = driver_run_stop,
        .run_free = driver_run_free,
};

/* --- the owner --- */

static int owner_prepared(void *ctx, struct gw_run *run, struct gw_error *err) {
        (void) ctx;
        (void) run;
        trace("prepared");
        if (!bench.refuse_prepared)
                return 0;
        gw_error_set(err, bench.refuse_prepared, "no");
        return -EPERM;
}

static void answer_journal(void *ctx) {
        (void) ctx;
        bench.answer = NULL;
        run_journaled(bench.run, bench.journal_result);
}

static void owner_journal(void *ctx, struct gw_run *run, const char *step) {
        size_t size;
        (void) ctx;
        (void) run_blob(run, &size);
        trace("journal=%s/%zu", step, size);
        if (!bench.hold_journal)
                assert_int_equal(loop_defer(bench.loop, answer_journal, NULL, &bench.answer), 0);
}

static void owner_commit(void *ctx, struct gw_run *run) {
        (void) ctx;
        (void) run;
        trace("commit");
        assert_int_equal(loop_defer(bench.loop, answer_journal, NULL, &bench.answer), 0);
}

static void owner_entered(void *ctx, struct gw_run *run, const char *step) {
        (void) ctx;
        (void) run;
        trace("%s", step);
}

static void owner_ended(void *ctx, struct gw_run *run, const struct run_end *end) {
        static const char *const names[] = { "DONE", "WAIT", "AGAIN", "FAIL", "STOPPED" };
        (void) ctx;
        trace("%s%s%s", names[end->kind], end->error.name[0] ? "=" : "", end->error.name);
        bench.end = *end;
        bench.ended = true;
        run_free(run);
        bench.run = NULL;
        loop_stop(bench.loop);
}

static const struct run_owner owner = {
        .prepared = owner_prepared,
        .journal = owner_journal,
        .commit = owner_commit,
        .entered = owner_entered,
        .ended = owner_ended,
};

static void begin(const char *script, const char *resume_step) {
        struct run_options options = { .loop = bench.loop,
                                       .driver = &driver,
                                       .device_id = "bench:1",
                                       .resume_step = resume_step,
                                       .attempt = 1,
                                       .owner = &owner };
        struct gw_error err;
        bench.script = script;
        bench.ended = false;
        bench.trace[0] = '\0';
        assert_int_equal(run_new(&options, &bench.run), 0);
        assert_int_equal(run_start(bench.run, &err), 0);
}

static void expect(const char *script, const char *resume_step, const char *expected) {
        begin(script, resume_step);
        while (!bench.ended)
                assert_true(loop_run_once(bench.loop) || bench.ended);
        assert_string_equal(bench.trace, expected);
}

static int set_up(void **state) {
        (void) state;
        memset(&bench, 0, sizeof bench);
        return loop_new(&bench.loop);
}

static int tear_down(void **state) {
        (void) state;
        loop_defer_cancel(bench.answer);
        run_free(bench.run);
        loop_free(bench.loop);
        return 0;
}

/* --- the tests --- */

static void test_whole_list(void **state) {
        (void) state;
        expect("next next blob next done", NULL,
               "connect inspect prepared journal=upload/0 upload journal=test/4 test journal=reset/4 reset free DONE ");
        assert_int_equal(bench.end.result, GW_RESULT_UPDATED);
        assert_int_equal(bench.end.proof, GW_PROOF_HASH_ACTIVE_CONFIRMED);
}

static void test_jump_over(void **state) {
        (void) state;
        expect("next jump=reset done", NULL, "connect inspect prepared journal=reset/0 reset free DONE ");
}

static void test_resumes_at_journaled_step(void **state) {
        (void) state;
        /* It is in the journal already, so no second write. */
        expect("next next next done", "test", "connect inspect prepared test journal=reset/0 reset free DONE ");
}

static void test_connects_again_within_a_run(void **state) {
        (void) state;
        expect("next next jump=connect next next done", NULL,
               "connect inspect prepared journal=upload/0 upload connect inspect upload free DONE ");
}

static void test_other_ends(void **state) {
        (void) state;
        expect("wait", NULL, "connect free WAIT=not-seen ");
        assert_int_equal(bench.end.delay_ms, 1000);
        assert_int_equal(bench.end.wakes, GW_WAKE_SEEN);
        expect("next again", NULL, "connect inspect free AGAIN=link-lost ");
        expect("fail", NULL, "connect free FAIL=link-lost ");
        expect("next jump=broken", NULL, "connect inspect prepared journal=broken/0 broken free FAIL=port-busy ");
        expect("next jump=nowhere", NULL, "connect inspect free FAIL=plugin-misbehaved ");
        expect("twice next next next done", NULL, "connect inspect prepared journal=upload/0 upload journal=test/0 test journal=reset/0 reset free DONE ");
}

static void test_refused_before_anything_is_changed(void **state) {
        (void) state;
        bench.refuse_prepared = "incompatible";
        expect("next next", NULL, "connect inspect prepared free FAIL=incompatible ");
        assert_true(bench.end.rejected);
}

static void test_done_needs_no_permission(void **state) {
        (void) state;
        bench.refuse_prepared = "incompatible";
        expect("next done", NULL, "connect inspect free DONE ");
}

static void run_until(const char *word) {
        while (!strstr(bench.trace, word))
                assert_true(loop_run_once(bench.loop) || strstr(bench.trace, word));
}

static void test_point_of_no_return(void **state) {
        (void) state;
        begin("next jump=reset commit", NULL);
        run_until("committed");
        assert_true(run_is_committed(bench.run));
        assert_int_equal(run_stop(bench.run, GW_STOP_CANCEL), -EBUSY);
        assert_int_equal(run_stop(bench.run, GW_STOP_PAUSE), -EBUSY);
        assert_string_equal(bench.trace, "connect inspect prepared journal=reset/0 reset commit committed journal=broken/0 ");
}

static void test_stops_in_a_step(void **state) {
        (void) state;
        begin("next next hold", NULL);
        run_until("upload/0 upload");
        assert_int_equal(run_stop(bench.run, GW_STOP_PAUSE), 0);
        run_until("STOPPED");
        assert_non_null(strstr(bench.trace, "stop=pause free STOPPED"));
}

static void test_pause_goes_on_to_a_resumable_step(void **state) {
        (void) state;
        bench.ignore_stop = true;
        begin("next jump=test hold", NULL);
        run_until("test/0 test");
        assert_int_equal(run_stop(bench.run, GW_STOP_PAUSE), 0);
        run_api()->jump(bench.run, "upload");
        run_until("STOPPED");
        assert_null(strstr(bench.trace, "journal=upload"));
}

static void test_stop_while_it_is_written_down(void **state) {
        (void) state;
        bench.hold_journal = true;
        begin("next next", NULL);
        run_until("journal=upload");
        assert_int_equal(run_stop(bench.run, GW_STOP_CANCEL), 0);
        run_journaled(bench.run, 0);
        assert_true(bench.ended);
        assert_int_equal(bench.end.kind, RUN_END_STOPPED);
        assert_null(strstr(bench.trace, " upload "));
}

static void test_stop_before_it_began(void **state) {
        (void) state;
        begin("", NULL);
        assert_int_equal(run_stop(bench.run, GW_STOP_SHUTDOWN), 0);
        run_until("STOPPED");
        assert_string_equal(bench.trace, "free STOPPED ");
}

static void test_journal_fails(void **state) {
        (void) state;
        bench.journal_result = -EIO;
        expect("next next", NULL, "connect inspect prepared journal=upload/0 free AGAIN=store-failed ");
}

static void test_step_timeout(void **state) {
        (void) state;
        expect("next jump=test hold", NULL, "connect inspect prepared journal=test/0 test stop=timeout free AGAIN=step-timeout ");
}

/* A step that ended after all, though late, leaves no stop behind for the next one. */
static void test_late_but_ended(void **state) {
        (void) state;
        bench.ignore_stop = true;
        begin("next jump=test hold hold", NULL);
        run_until("stop=timeout");
        run_api()->next(bench.run);
        run_until("reset/0 reset");
        run_api()->stopped(bench.run);
        run_until("FAIL");
        assert_non_null(strstr(bench.trace, "test stop=timeout journal=reset/0 reset free FAIL=plugin-misbehaved"));
}

/* Behind the last step at which it can begin again the next step is entered, to be told: the device may be on trial. */
static void test_cancel_between_steps(void **state) {
        (void) state;
        bench.hold_journal = true;
        begin("next jump=reset hold", NULL);
        run_until("journal=reset");
        assert_int_equal(run_stop(bench.run, GW_STOP_CANCEL), 0);
        run_journaled(bench.run, 0);
        run_until("STOPPED");
        assert_string_equal(bench.trace, "connect inspect prepared journal=reset/0 reset stop=cancel free STOPPED ");
}

/* So is a run that is begun again only to be canceled. */
static void test_cancel_begun_again(void **state) {
        (void) state;
        begin("next next hold", "reset");
        assert_int_equal(run_stop(bench.run, GW_STOP_CANCEL), 0);
        run_until("STOPPED");
        assert_string_equal(bench.trace, "connect inspect prepared reset stop=cancel free STOPPED ");
        begin("", "upload");
        assert_int_equal(run_stop(bench.run, GW_STOP_CANCEL), 0);
        run_until("STOPPED");
        assert_string_equal(bench.trace, "free STOPPED ");
}

static void test_graver_reason(void **state) {
        (void) state;
        bench.ignore_stop = true;
        begin("next jump=reset hold", NULL);
        run_until("reset/0 reset");
        assert_int_equal(run_stop(bench.run, GW_STOP_PAUSE), 0);
        assert_int_equal(run_stop(bench.run, GW_STOP_PAUSE), 0);
        assert_int_equal(run_stop(bench.run, GW_STOP_CANCEL), 0);
        assert_int_equal(run_stop(bench.run, GW_STOP_PAUSE), 0);
        run_api()->stopped(bench.run);
        run_until("STOPPED");
        assert_non_null(strstr(bench.trace, "reset stop=pause stop=cancel free STOPPED"));
}

/* The journal may hold the point of no return already: nothing is canceled any more. */
static void test_cancel_while_committing(void **state) {
        (void) state;
        begin("next jump=reset commit", NULL);
        run_until("commit");
        assert_null(strstr(bench.trace, "committed"));
        assert_int_equal(run_stop(bench.run, GW_STOP_CANCEL), -EBUSY);
        run_until("committed");
}

static void test_stop_without_being_asked(void **state) {
        (void) state;
        expect("stopped", NULL, "connect free FAIL=plugin-misbehaved ");
}

static void test_blob_limit(void **state) {
        uint8_t big[GW_BLOB_MAX + 1] = { 0 };
        (void) state;
        begin("hold", NULL);
        run_until("connect");
        assert_int_equal(run_api()->blob_set(bench.run, big, sizeof big), -E2BIG);
        assert_int_equal(run_api()->blob_set(bench.run, big, GW_BLOB_MAX), 0);
}

static bool matches_nothing(const uint8_t *head, size_t head_size, int fd, uint64_t file_size) {
        (void) head;
        (void) head_size;
        (void) fd;
        (void) file_size;
        return false;
}

static int reads_nothing(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package, struct gw_error *err) {
        (void) fd;
        (void) file_size;
        (void) options;
        (void) ret_package;
        (void) err;
        return -EINVAL;
}

static void releases_nothing(struct gw_package *package, int fd) {
        (void) package;
        (void) fd;
}

static const struct gw_format format = { .name = "bench", .matches = matches_nothing, .read = reads_nothing, .release = releases_nothing };

static void test_registry(void **state) {
        static const struct gw_driver nameless = { .name = "Not OK" };
        static const struct gw_error_info errors[] = { { "own-error", GW_ERROR_RETRY, "m", "a" }, { 0 } };
        struct driver_registry *registry;
        struct driver_registry_mark mark;
        struct gw_host host, other;
        struct gw_error err;
        size_t n_formats;
        (void) state;
        assert_int_equal(driver_registry_new(&registry), 0);
        mark = driver_registry_mark(registry);
        assert_int_equal(driver_registry_add_format(registry, &format, &err), 0);
        assert_int_equal(driver_registry_add(registry, &nameless, &host, &err), -EINVAL);
        assert_int_equal(driver_registry_add(registry, &driver, &host, &err), 0);
        assert_int_equal(driver_registry_add(registry, &driver, &other, &err), -EEXIST);
        assert_ptr_equal(driver_registry_find(registry, "bench"), &driver);
        assert_false(driver_registry_is_started(registry, "bench"));
        assert_int_equal(driver_registry_add_errors(registry, errors), 0);
        assert_int_equal(driver_registry_error_class(registry, "own-error"), GW_ERROR_RETRY);
        assert_int_equal(driver_registry_error_class(registry, "nobody-knows"), GW_ERROR_TERMINAL);
        driver_registry_take_back(registry, &mark);
        assert_null(driver_registry_find(registry, "bench"));
        (void) driver_registry_formats(registry, &n_formats);
        assert_int_equal(n_formats, 0);
        assert_null(driver_registry_error(registry, "own-error"));
        driver_registry_free(registry);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_whole_list, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_jump_over, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_resumes_at_journaled_step, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_connects_again_within_a_run, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_other_ends, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_refused_before_anything_is_changed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_done_needs_no_permission, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_point_of_no_return, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stops_in_a_step, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_pause_goes_on_to_a_resumable_step, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stop_while_it_is_written_down, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stop_before_it_began, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_journal_fails, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_step_timeout, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_late_but_ended, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_cancel_between_steps, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_cancel_begun_again, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_graver_reason, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_cancel_while_committing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_stop_without_being_asked, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_blob_limit, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_registry, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
