/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/worker.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "loop/test_support.h"

#define N_POOL 2

struct task {
        pthread_t loop_thread;
        sem_t gate;
        atomic_bool worked;
        bool done;
        bool wrong_thread;
        int result;
};

static void work_now(void *ctx) {
        struct task *task = ctx;

        task->wrong_thread = pthread_equal(pthread_self(), task->loop_thread);
        task->worked = true;
}

static void work_at_gate(void *ctx) {
        struct task *task = ctx;

        sem_wait(&task->gate);
        task->worked = true;
}

static void on_done(void *ctx, int result) {
        struct task *task = ctx;

        assert_false(task->done);
        assert_true(pthread_equal(pthread_self(), task->loop_thread));
        task->done = true;
        task->result = result;
}

static void task_init(struct task *task) {
        *task = (struct task){ .loop_thread = pthread_self() };
        sem_init(&task->gate, 0, 0);
}

static void test_work_runs_elsewhere_and_ends_here(void **state) {
        struct loop *loop;
        struct task task;
        (void) state;

        assert_int_equal(loop_new(&loop), 0);
        task_init(&task);
        assert_int_equal(worker_start(loop, work_now, on_done, &task, NULL), 0);
        assert_false(task.done);
        LOOP_UNTIL(loop, task.done);
        assert_int_equal(task.result, 0);
        assert_true(task.worked);
        assert_false(task.wrong_thread);
        loop_free(loop);
}

static void test_cancelled_work_reports_so_whether_it_ran_or_not(void **state) {
        struct task running[N_POOL], waiting;
        struct work *work[N_POOL], *late;
        struct loop *loop;
        (void) state;

        assert_int_equal(loop_new(&loop), 0);
        for (size_t i = 0; i < N_POOL; i++) {
                task_init(&running[i]);
                assert_int_equal(worker_start(loop, work_at_gate, on_done, &running[i], &work[i]), 0);
        }
        task_init(&waiting);
        assert_int_equal(worker_start(loop, work_now, on_done, &waiting, &late), 0);
        worker_cancel(late);
        worker_cancel(late);
        worker_cancel(work[0]);
        assert_false(waiting.done);
        for (size_t i = 0; i < N_POOL; i++)
                sem_post(&running[i].gate);
        LOOP_UNTIL(loop, waiting.done && running[0].done && running[1].done);
        assert_int_equal(waiting.result, -ECANCELED);
        assert_false(waiting.worked);
        assert_int_equal(running[0].result, -ECANCELED);
        assert_int_equal(running[1].result, 0);
        assert_true(running[1].worked);
        worker_cancel(NULL);
        loop_free(loop);
}

static void test_the_end_of_the_loop_waits_for_work(void **state) {
        struct loop *loop;
        struct task task;
        (void) state;

        assert_int_equal(loop_new(&loop), 0);
        task_init(&task);
        assert_int_equal(worker_start(loop, work_now, on_done, &task, NULL), 0);
        loop_free(loop);
        assert_true(task.done);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_work_runs_elsewhere_and_ends_here),
                cmocka_unit_test(test_cancelled_work_reports_so_whether_it_ran_or_not),
                cmocka_unit_test(test_the_end_of_the_loop_waits_for_work),
        };

        setenv("UV_THREADPOOL_SIZE", "2", 1);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
