/* SPDX-License-Identifier: Apache-2.0 */

/* Transactions of a turn, syncs, checkpoints, and what happens when the disk refuses. */

#include <signal.h>
#include <sys/resource.h>

#include "loop/test_support.h"
#include "store/device_table.h"
#include "store/event_table.h"
#include "store/store_internal.h"
#include "store/test_support.h"

static void put(struct store *store, const char *id) {
        assert_int_equal(device_table_put(store, &(struct device_row){ .id = (char *) id }), 0);
}

static struct store_statistics statistics(struct fixture *fixture) {
        struct store_statistics statistics;

        store_statistics(fixture->store, &statistics);
        return statistics;
}

/* Order of callbacks as a text of letters. */
struct waiter {
        char *log;
        char letter;
        int result;
        bool done;
};

static void on_synced(void *ctx, int result) {
        struct waiter *waiter = ctx;
        size_t n = strlen(waiter->log);

        assert_false(waiter->done);
        waiter->done = true;
        waiter->result = result;
        waiter->log[n] = waiter->letter;
        waiter->log[n + 1] = '\0';
}

static void test_writes_of_one_turn_share_one_transaction(void **state) {
        struct fixture *fixture = *state;
        struct store_statistics before = statistics(fixture), after;
        char log[8] = "";
        struct waiter waiter = { .log = log, .letter = 'a' };

        put(fixture->store, "udp:one");
        put(fixture->store, "udp:two");
        assert_int_equal(event_table_append(fixture->store, &(struct event_row){ .type = "x" }), 0);
        assert_int_equal(store_sync(fixture->store, on_synced, &waiter, NULL), 0);
        put(fixture->store, "udp:three"); /* behind the call, same turn: covered */
        assert_int_equal(fixture_ask(fixture, "SELECT count(*) FROM device"), 0);
        assert_false(waiter.done);
        LOOP_UNTIL(fixture->loop, waiter.done);
        after = statistics(fixture);
        assert_int_equal(waiter.result, 0);
        assert_int_equal(fixture_ask(fixture, "SELECT count(*) FROM device"), 3);
        assert_int_equal(after.n_commits - before.n_commits, 1);
        assert_int_equal(after.n_syncs - before.n_syncs, 1);
        assert_true(after.log_bytes - before.log_bytes >= 2 * STORE_FRAME_SIZE);
        assert_true(after.log_bytes - before.log_bytes <= 8 * STORE_FRAME_SIZE);
}

static void test_syncs_are_shared_and_in_order(void **state) {
        struct fixture *fixture = *state;
        struct store_statistics before = statistics(fixture);
        char log[8] = "";
        struct waiter waiters[4];

        put(fixture->store, "udp:one");
        for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
                waiters[i] = (struct waiter){ .log = log, .letter = "abcd"[i] };
                assert_int_equal(store_sync(fixture->store, on_synced, &waiters[i], NULL), 0);
        }
        LOOP_UNTIL(fixture->loop, waiters[3].done);
        assert_string_equal(log, "abcd");
        assert_int_equal(statistics(fixture).n_syncs - before.n_syncs, 1);
}

/* Each callback asks for the next write and sync: order stays, every one has its own sync. */
struct chain {
        struct store *store;
        int n, n_left;
};

static void chain_next(void *ctx, int result) {
        struct chain *chain = ctx;

        assert_int_equal(result, 0);
        chain->n++;
        if (chain->n_left-- == 0)
                return;
        put(chain->store, "udp:chain");
        assert_int_equal(store_sync(chain->store, chain_next, chain, NULL), 0);
}

static void test_sync_from_inside_a_callback(void **state) {
        struct fixture *fixture = *state;
        struct store_statistics before = statistics(fixture);
        struct chain chain = { .store = fixture->store, .n_left = 5 };

        chain_next(&chain, 0);
        LOOP_UNTIL(fixture->loop, chain.n == 6);
        assert_int_equal(statistics(fixture).n_syncs - before.n_syncs, 5);
}

static void test_nothing_written_nothing_synced(void **state) {
        struct fixture *fixture = *state;
        struct store_statistics before = statistics(fixture);
        char log[8] = "";
        struct waiter waiter = { .log = log, .letter = 'a' };

        assert_int_equal(store_sync(fixture->store, on_synced, &waiter, NULL), 0);
        assert_false(waiter.done);
        LOOP_UNTIL(fixture->loop, waiter.done);
        assert_int_equal(waiter.result, 0);
        assert_int_equal(statistics(fixture).n_syncs, before.n_syncs);
        assert_int_equal(statistics(fixture).n_commits, before.n_commits);
}

/* A hook behind the store's: the worker has the sync already, its end cannot have been told yet. */
static void cancel_wait(void *ctx) {
        struct store_wait **wait = ctx;

        store_sync_cancel(*wait);
        *wait = NULL;
}

static void test_canceled_wait_is_silent(void **state) {
        struct fixture *fixture = *state;
        struct store_wait *wait = NULL;
        struct loop_hook *hook;
        char log[8] = "";
        struct waiter waiters[3];

        put(fixture->store, "udp:one");
        for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
                waiters[i] = (struct waiter){ .log = log, .letter = "abc"[i] };
                assert_int_equal(store_sync(fixture->store, on_synced, &waiters[i], i == 1 ? &wait : NULL), 0);
        }
        assert_int_equal(loop_turn_hook(fixture->loop, cancel_wait, &wait, &hook), 0);
        LOOP_UNTIL(fixture->loop, waiters[2].done);
        loop_hook_remove(hook);
        assert_null(wait);
        assert_string_equal(log, "ac");

        log[0] = '\0';
        waiters[0].done = waiters[1].done = false;
        assert_int_equal(store_sync(fixture->store, on_synced, &waiters[0], &wait), 0);
        assert_int_equal(store_sync(fixture->store, on_synced, &waiters[1], NULL), 0);
        store_sync_cancel(wait);
        LOOP_UNTIL(fixture->loop, waiters[1].done);
        assert_string_equal(log, "b");
}

static void test_store_may_end_while_a_worker_syncs(void **state) {
        struct fixture *fixture = *state;
        char log[8] = "";
        struct waiter waiter = { .log = log, .letter = 'a' };

        put(fixture->store, "udp:one");
        assert_int_equal(store_sync(fixture->store, on_synced, &waiter, NULL), 0);
        loop_run_once(fixture->loop);
        put(fixture->store, "udp:two");
        fixture_close(fixture);
        while (loop_run_once(fixture->loop))
                ;
        assert_int_equal(fixture_ask(fixture, "SELECT count(*) FROM device"), 2);
}

/* Many turns: the log is copied into the database by a worker and does not grow for ever. */
static void write_on(void *ctx, int result) {
        struct chain *chain = ctx;

        assert_int_equal(result, 0);
        for (int i = 0; i < 20; i++) {
                char id[32];

                snprintf(id, sizeof id, "udp:%d", (chain->n * 7919 + i * 104729) % 3000);
                put(chain->store, id);
        }
        if (++chain->n < chain->n_left)
                assert_int_equal(store_sync(chain->store, write_on, chain, NULL), 0);
}

static void test_checkpoints_keep_the_log_short(void **state) {
        struct fixture *fixture = *state;
        struct chain chain = { .store = fixture->store, .n_left = 6000 };
        struct store_statistics last;

        write_on(&chain, 0);
        LOOP_UNTIL(fixture->loop, chain.n == chain.n_left);
        while (loop_run_once(fixture->loop))
                ;
        last = statistics(fixture);
        assert_true(last.n_checkpoints >= 2);
        assert_true(last.n_log_restarts >= 2);
        assert_true(last.log_bytes > last.log_size_bytes + 2 * STORE_CHECKPOINT_FRAMES * STORE_FRAME_SIZE);
        assert_true(last.log_size_bytes < 5 * STORE_CHECKPOINT_FRAMES * STORE_FRAME_SIZE);
        assert_true(last.checkpoint_bytes > 0 && last.checkpoint_bytes < last.log_bytes);
        assert_int_equal(store_failure(fixture->store), 0);
}

/* ---- failure: the file size limit stands in for a full disk */

struct failure {
        int n;
        struct gw_error why;
};

static void on_failed(void *ctx, const struct gw_error *why) {
        struct failure *failure = ctx;

        failure->n++;
        failure->why = *why;
}

static struct rlimit limit_files(rlim_t size_bytes) {
        struct rlimit old, new;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        new = (struct rlimit){ .rlim_cur = size_bytes, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &new), 0);
        return old;
}

static void test_full_disk_takes_the_turn_back_and_is_told(void **state) {
        struct fixture *fixture = *state;
        struct failure failure = { 0 };
        char log[8] = "";
        struct waiter first = { .log = log, .letter = 'a' }, second = { .log = log, .letter = 'b' };
        struct device_row row = { 0 };
        struct rlimit old;

        signal(SIGXFSZ, SIG_IGN);
        store_on_failure(fixture->store, on_failed, &failure);
        put(fixture->store, "udp:before");
        assert_int_equal(store_sync(fixture->store, on_synced, &first, NULL), 0);
        LOOP_UNTIL(fixture->loop, first.done);

        old = limit_files(statistics(fixture).log_size_bytes + STORE_LOG_HEADER_SIZE + 100);
        put(fixture->store, "udp:lost-one");
        put(fixture->store, "udp:lost-two");
        assert_int_equal(store_sync(fixture->store, on_synced, &second, NULL), 0);
        LOOP_UNTIL(fixture->loop, second.done && failure.n == 1);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

        assert_true(second.result < 0);
        assert_string_equal(failure.why.name, "store-failed");
        assert_int_equal(store_failure(fixture->store), second.result);
        assert_int_equal(device_table_put(fixture->store, &(struct device_row){ .id = "udp:after" }), second.result);
        assert_int_equal(device_table_fetch(fixture->store, "udp:before", &row), 0); /* reading goes on */
        device_row_clear(&row);
        assert_int_equal(device_table_fetch(fixture->store, "udp:lost-one", &row), -ENOENT);

        fixture_reopen(fixture);
        assert_int_equal(device_table_fetch(fixture->store, "udp:lost-two", &row), -ENOENT);
        put(fixture->store, "udp:after");
        assert_int_equal(store_flush(fixture->store), 0);
        assert_int_equal(failure.n, 1);
}

/* A mistake of the caller costs only its own statement. */
static void test_refused_write_keeps_the_turn(void **state) {
        struct fixture *fixture = *state;

        put(fixture->store, "udp:one");
        assert_int_equal(device_table_put(fixture->store, &(struct device_row){ .id = NULL }), -EINVAL);
        assert_int_equal(device_table_delete(fixture->store, "udp:none"), -ENOENT);
        put(fixture->store, "udp:two");
        assert_int_equal(store_flush(fixture->store), 0);
        assert_int_equal(fixture_ask(fixture, "SELECT count(*) FROM device"), 2);
        assert_int_equal(store_failure(fixture->store), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup_loop, fixture_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_writes_of_one_turn_share_one_transaction),
                TEST(test_syncs_are_shared_and_in_order),
                TEST(test_sync_from_inside_a_callback),
                TEST(test_nothing_written_nothing_synced),
                TEST(test_canceled_wait_is_silent),
                TEST(test_store_may_end_while_a_worker_syncs),
                TEST(test_checkpoints_keep_the_log_short),
                TEST(test_full_disk_takes_the_turn_back_and_is_told),
                TEST(test_refused_write_keeps_the_turn),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
