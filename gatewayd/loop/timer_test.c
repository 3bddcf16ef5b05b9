/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/timer.h"

#include <stdlib.h>
#include <uv.h>

#include "base/time.h"
#include "loop/loop_internal.h"
#include "loop/test_support.h"
#include "loop/worker.h"

#define MANY 5000

struct alarm_clock {
        struct fixture *fixture;
        struct timer *timer;
        int64_t due_ms;
        bool cancelled;
        bool fired;
};

struct fixture {
        struct loop *loop;
        struct alarm_clock clocks[MANY];
        size_t n_fired;
        int64_t last_due_ms;
};

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        *state = fixture;
        return loop_new(&fixture->loop);
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        loop_free(fixture->loop);
        free(fixture);
        return 0;
}

static void on_fired(void *ctx) {
        struct alarm_clock *one = ctx;
        struct fixture *fixture = one->fixture;

        assert_false(one->cancelled);
        assert_false(one->fired);
        assert_true(loop_now_ms(fixture->loop) >= one->due_ms);
        one->fired = true;
        fixture->n_fired++;
}

static void start(struct fixture *fixture, size_t index, int64_t delay_ms) {
        struct alarm_clock *one = &fixture->clocks[index];

        *one = (struct alarm_clock){ .fixture = fixture, .due_ms = loop_now_ms(fixture->loop) + delay_ms };
        assert_int_equal(timer_start(fixture->loop, delay_ms, on_fired, one, &one->timer), 0);
}

static void test_a_timer_alone_keeps_the_loop_running_until_it_fired(void **state) {
        struct fixture *fixture = *state;

        start(fixture, 0, 20);
        loop_run(fixture->loop);
        assert_int_equal(fixture->n_fired, 1);
        assert_int_equal(uv_backend_timeout(&fixture->loop->uv), 0);
}

static void test_thousands_fire_once_and_not_early(void **state) {
        struct fixture *fixture = *state;
        size_t n_expected = 0;

        srand(1);
        for (size_t i = 0; i < MANY; i++)
                start(fixture, i, rand() % 30);
        for (size_t i = 0; i < MANY; i += 3) {
                timer_cancel(fixture->clocks[i].timer);
                fixture->clocks[i].cancelled = true;
        }
        for (size_t i = 0; i < MANY; i++)
                n_expected += !fixture->clocks[i].cancelled;
        loop_run(fixture->loop);
        assert_int_equal(fixture->n_fired, n_expected);
}

struct order {
        char text[8];
        size_t n;
        struct loop *loop;
        struct timer *victim;
};

static void add(void *ctx, char letter) {
        struct order *order = ctx;

        order->text[order->n++] = letter;
}

static void say_a(void *ctx) {
        add(ctx, 'a');
}

static void say_b(void *ctx) {
        add(ctx, 'b');
}

static void say_c_and_cancel(void *ctx) {
        struct order *order = ctx;

        add(ctx, 'c');
        timer_cancel(order->victim);
}

static void say_d_and_start_a(void *ctx) {
        struct order *order = ctx;
        struct timer *timer;

        add(ctx, 'd');
        assert_int_equal(timer_start(order->loop, -5, say_a, order, &timer), 0);
}

static void test_equal_times_fire_in_the_order_of_their_starts(void **state) {
        struct fixture *fixture = *state;
        struct order order = { .loop = fixture->loop };
        struct timer *timer;

        timer_start(fixture->loop, 0, say_d_and_start_a, &order, &timer);
        timer_start(fixture->loop, 0, say_b, &order, &timer);
        assert_string_equal(order.text, "");
        LOOP_UNTIL(fixture->loop, order.n >= 2);
        loop_run(fixture->loop);
        assert_string_equal(order.text, "dba");
}

static void test_a_callback_may_cancel_one_that_is_due_with_it(void **state) {
        struct fixture *fixture = *state;
        struct order order = { .loop = fixture->loop };
        struct timer *timer;

        timer_start(fixture->loop, 0, say_c_and_cancel, &order, &timer);
        timer_start(fixture->loop, 0, say_b, &order, &order.victim);
        loop_run(fixture->loop);
        assert_string_equal(order.text, "c");
}

static void test_no_wake_up_without_timers(void **state) {
        struct fixture *fixture = *state;

        start(fixture, 0, 3600 * 1000);
        timer_cancel(fixture->clocks[0].timer);
        timer_cancel(NULL);
        alarm(TEST_WATCHDOG_S);
        loop_run(fixture->loop);
        alarm(0);
        assert_int_equal(fixture->n_fired, 0);
        assert_false(uv_loop_alive(&fixture->loop->uv));
}

static void test_every_turn_knows_whether_a_timer_waits(void **state) {
        struct fixture *fixture = *state;

        start(fixture, 0, 1);
        start(fixture, 1, 20);
        while (fixture->n_fired == 0)
                assert_true(loop_run_once(fixture->loop));
        assert_true(uv_loop_alive(&fixture->loop->uv));
        LOOP_UNTIL(fixture->loop, fixture->n_fired == 2);
}

struct restless {
        struct loop *loop;
        struct timer *timer;
        size_t n_fired;
        bool heard;
};

static void on_restless(void *ctx) {
        struct restless *restless = ctx;

        restless->n_fired++;
        assert_int_equal(timer_start(restless->loop, 0, on_restless, restless, &restless->timer), 0);
}

static void on_heard(void *ctx) {
        struct restless *restless = ctx;

        restless->heard = true;
}

static void test_a_timer_that_starts_itself_anew_leaves_others_their_turn(void **state) {
        struct fixture *fixture = *state;
        struct restless restless = { .loop = fixture->loop };

        on_restless(&restless);
        for (size_t i = 0; i < 10; i++)
                loop_run_once(fixture->loop);
        assert_true(restless.n_fired > 1 && restless.n_fired <= 21);
        assert_int_equal(loop_defer(fixture->loop, on_heard, &restless, NULL), 0);
        loop_run_once(fixture->loop);
        assert_true(restless.heard);
        timer_cancel(restless.timer);
}

static void test_the_farthest_future_is_no_overflow(void **state) {
        struct fixture *fixture = *state;
        struct timer *timer;

        assert_int_equal(timer_start(fixture->loop, INT64_MAX, on_fired, NULL, &timer), 0);
        start(fixture, 0, 1);
        LOOP_UNTIL(fixture->loop, fixture->n_fired == 1);
        timer_cancel(timer);
}

/* ---- virtual time */

#define WEEK_MS (7ll * 24 * 3600 * 1000)

struct week {
        struct loop *loop;
        struct clock_fake clock;
        int n_days;
        int64_t work_done_ms;
};

static void on_day(void *ctx) {
        struct week *week = ctx;
        struct timer *timer;

        if (++week->n_days < 70)
                assert_int_equal(timer_start(week->loop, WEEK_MS / 7, on_day, week, &timer), 0);
}

static void test_weeks_pass_at_once(void **state) {
        struct week week = { 0 };
        struct timer *timer;

        (void) state;
        clock_fake_init(&week.clock, 1000, 2000);
        assert_int_equal(loop_new_virtual(&week.clock, &week.loop), 0);
        assert_int_equal(timer_start(week.loop, WEEK_MS / 7, on_day, &week, &timer), 0);
        loop_run(week.loop);
        assert_int_equal(week.n_days, 70);
        assert_int_equal(week.clock.now_monotonic_ms, 1000 + 10 * WEEK_MS);
        assert_int_equal(week.clock.now_wall_ms, 2000 + 10 * WEEK_MS);
        assert_int_equal(loop_now_ms(week.loop), week.clock.now_monotonic_ms);
        loop_free(week.loop);
}

static void work_done(void *ctx, int result) {
        struct week *week = ctx;

        assert_int_equal(result, 0);
        week->work_done_ms = loop_now_ms(week->loop);
}

static void deferred(void *ctx) {
        struct week *week = ctx;

        assert_int_equal(loop_now_ms(week->loop), 1000);
        assert_int_equal(worker_start(week->loop, test_nothing, work_done, week, NULL), 0);
}

/* However long it takes in the world: what is under way now is done now. */
static void test_time_waits_for_work(void **state) {
        struct week week = { 0 };
        struct timer *timer;

        (void) state;
        clock_fake_init(&week.clock, 1000, 2000);
        assert_int_equal(loop_new_virtual(&week.clock, &week.loop), 0);
        week.n_days = 69;
        assert_int_equal(timer_start(week.loop, 1, on_day, &week, &timer), 0);
        assert_int_equal(loop_defer(week.loop, deferred, &week, NULL), 0);
        loop_run(week.loop);
        assert_int_equal(week.work_done_ms, 1000);
        assert_int_equal(week.n_days, 70);
        assert_int_equal(loop_now_ms(week.loop), 1001);
        loop_free(week.loop);
}

/* Moved by the test: what became due meanwhile fires, and late ones keep their order. */
static void test_a_virtual_clock_may_be_moved(void **state) {
        struct week week = { 0 };
        struct timer *timer;

        (void) state;
        clock_fake_init(&week.clock, 1000, 2000);
        assert_int_equal(loop_new_virtual(&week.clock, &week.loop), 0);
        week.n_days = 69;
        assert_int_equal(timer_start(week.loop, WEEK_MS, on_day, &week, &timer), 0);
        clock_fake_advance(&week.clock, 2 * WEEK_MS);
        loop_run(week.loop);
        assert_int_equal(week.n_days, 70);
        assert_int_equal(loop_now_ms(week.loop), 1000 + 2 * WEEK_MS);
        loop_free(week.loop);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_timer_alone_keeps_the_loop_running_until_it_fired, setup, teardown),
                cmocka_unit_test_setup_teardown(test_thousands_fire_once_and_not_early, setup, teardown),
                cmocka_unit_test_setup_teardown(test_equal_times_fire_in_the_order_of_their_starts, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_callback_may_cancel_one_that_is_due_with_it, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_wake_up_without_timers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_every_turn_knows_whether_a_timer_waits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_timer_that_starts_itself_anew_leaves_others_their_turn, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_farthest_future_is_no_overflow, setup, teardown),
                cmocka_unit_test(test_weeks_pass_at_once),
                cmocka_unit_test(test_time_waits_for_work),
                cmocka_unit_test(test_a_virtual_clock_may_be_moved),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
