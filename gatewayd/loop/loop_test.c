/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

#include "loop/loop_internal.h"
#include "loop/test_support.h"
#include "loop/timer.h"

struct trace {
        struct loop *loop;
        char text[64];
        struct loop_deferral *deferral;
        struct loop_hook *hook;
        int n_turns;
};

static int setup(void **state) {
        struct trace *trace = calloc(1, sizeof *trace);

        *state = trace;
        return loop_new(&trace->loop);
}

static int teardown(void **state) {
        struct trace *trace = *state;

        loop_free(trace->loop);
        free(trace);
        return 0;
}

static void note(struct trace *trace, const char *word) {
        strncat(trace->text, word, sizeof trace->text - strlen(trace->text) - 1);
}

static void say_a(void *ctx) {
        note(ctx, "a");
}

static void say_b(void *ctx) {
        note(ctx, "b");
}

static void say_c_and_defer_a(void *ctx) {
        struct trace *trace = ctx;

        note(trace, "c");
        assert_int_equal(loop_defer(trace->loop, say_a, trace, NULL), 0);
}

static void cancel_other(void *ctx) {
        struct trace *trace = ctx;

        note(trace, "x");
        loop_defer_cancel(trace->deferral);
}

static void test_deferred_calls_keep_their_order_and_never_nest(void **state) {
        struct trace *trace = *state;

        assert_int_equal(loop_defer(trace->loop, say_c_and_defer_a, trace, NULL), 0);
        assert_int_equal(loop_defer(trace->loop, say_b, trace, NULL), 0);
        assert_string_equal(trace->text, "");
        loop_run_once(trace->loop);
        assert_string_equal(trace->text, "cb");
        loop_run(trace->loop);
        assert_string_equal(trace->text, "cba");
}

static void test_a_deferred_call_can_be_cancelled_even_by_the_one_before_it(void **state) {
        struct trace *trace = *state;

        assert_int_equal(loop_defer(trace->loop, say_a, trace, &trace->deferral), 0);
        loop_defer_cancel(trace->deferral);
        loop_run(trace->loop);
        assert_string_equal(trace->text, "");

        assert_int_equal(loop_defer(trace->loop, cancel_other, trace, NULL), 0);
        assert_int_equal(loop_defer(trace->loop, say_b, trace, &trace->deferral), 0);
        assert_int_equal(loop_defer(trace->loop, say_a, trace, NULL), 0);
        loop_run(trace->loop);
        assert_string_equal(trace->text, "xa");
}

static void on_turn(void *ctx) {
        struct trace *trace = ctx;

        note(trace, "h");
        if (++trace->n_turns == 1)
                assert_int_equal(loop_defer(trace->loop, say_b, trace, NULL), 0);
        if (trace->n_turns == 2) {
                loop_hook_remove(trace->hook);
                trace->hook = NULL;
        }
}

static void test_the_turn_hook_comes_after_the_turn_and_may_defer(void **state) {
        struct trace *trace = *state;

        assert_int_equal(loop_turn_hook(trace->loop, on_turn, trace, &trace->hook), 0);
        assert_int_equal(loop_defer(trace->loop, say_a, trace, NULL), 0);
        loop_run(trace->loop);
        assert_string_equal(trace->text, "ahbh");
        assert_null(trace->hook);
}

static void on_signal(void *ctx, int signum) {
        struct trace *trace = ctx;

        note(trace, signum == SIGUSR1 ? "1" : "?");
        loop_stop(trace->loop);
}

static void test_signals_arrive_and_stop_ends_run(void **state) {
        struct trace *trace = *state;
        struct loop_signal *watched;

        assert_int_equal(loop_signal(trace->loop, SIGUSR1, on_signal, trace, &watched), 0);
        alarm(TEST_WATCHDOG_S);
        raise(SIGUSR1);
        loop_run(trace->loop);
        alarm(0);
        assert_string_equal(trace->text, "1");
        loop_signal_remove(watched);
        loop_signal_remove(NULL);
}

static void test_a_signal_that_cannot_be_caught_is_refused(void **state) {
        struct trace *trace = *state;
        struct loop_signal *watched = NULL;

        assert_int_equal(loop_signal(trace->loop, SIGKILL, on_signal, trace, &watched), -EINVAL);
        assert_null(watched);
}

static void test_an_idle_loop_sleeps_without_a_limit(void **state) {
        struct trace *trace = *state;
        struct loop_signal *watched;

        assert_int_equal(loop_signal(trace->loop, SIGUSR1, on_signal, trace, &watched), 0);
        assert_int_equal(loop_turn_hook(trace->loop, say_a, trace, &trace->hook), 0);
        assert_int_equal(loop_defer(trace->loop, say_b, trace, NULL), 0);
        loop_run_once(trace->loop);
        assert_string_equal(trace->text, "ba");
        assert_int_equal(uv_backend_timeout(&trace->loop->uv), -1);
        loop_hook_remove(trace->hook);
        loop_signal_remove(watched);
}

static void stop_then_hook(void *ctx, int signum) {
        struct trace *trace = ctx;

        note(trace, "s");
        loop_stop(trace->loop);
        (void) signum;
}

static void test_the_turn_that_stops_has_its_hook(void **state) {
        struct trace *trace = *state;
        struct loop_signal *watched;

        assert_int_equal(loop_signal(trace->loop, SIGUSR1, stop_then_hook, trace, &watched), 0);
        assert_int_equal(loop_turn_hook(trace->loop, say_a, trace, &trace->hook), 0);
        alarm(TEST_WATCHDOG_S);
        raise(SIGUSR1);
        loop_run(trace->loop);
        alarm(0);
        assert_string_equal(strchr(trace->text, 's'), "sa");
        loop_hook_remove(trace->hook);
        loop_signal_remove(watched);
}

static void test_the_process_is_set_up(void **state) {
        struct sigaction action;
        struct rlimit files;
        (void) state;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
        assert_true(files.rlim_cur >= LOOP_FILES_MAX || files.rlim_cur == files.rlim_max);
        assert_string_equal(getenv("UV_THREADPOOL_SIZE"), "2");

        assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
        assert_ptr_equal(action.sa_handler, SIG_IGN);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_deferred_calls_keep_their_order_and_never_nest, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_deferred_call_can_be_cancelled_even_by_the_one_before_it, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_turn_hook_comes_after_the_turn_and_may_defer, setup, teardown),
                cmocka_unit_test_setup_teardown(test_signals_arrive_and_stop_ends_run, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_signal_that_cannot_be_caught_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_an_idle_loop_sleeps_without_a_limit, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_turn_that_stops_has_its_hook, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_process_is_set_up, setup, teardown),
        };

        unsetenv("UV_THREADPOOL_SIZE");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
