/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What is left when everything dies.
 *
 * Killed: a child writes turns of several rows and tells through a pipe which of them were reported durable; it is killed at a
 * random moment, in any call. The parent opens the same store and asks: is every turn that was reported there, and none by half?
 *
 * Power cut: the log is cut, or filled with other bytes, at every kind of place behind what was reported durable; a copy of the
 * store is opened. (What a disk loses is what was not synced: frames at the end, whole or torn, in any order.)
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "loop/test_support.h"
#include "store/audit_table.h"
#include "store/campaign_table.h"
#include "store/device_table.h"
#include "store/event_table.h"
#include "store/job_table.h"
#include "store/store_internal.h"
#include "store/test_support.h"

#define N_KILLS 40
#define MAX_DELAY_US 60000

/* Turn n: a campaign, its job, a step, a device, an event and an audit row, all of them called n. */
static void write_turn(struct store *store, int64_t n) {
        char text[32], device[32];
        struct campaign_row campaign = { .id = text, .revision = n, .document = "{}", .state = "in_progress" };
        struct job_row job = { .device = device, .state = "queued" };
        uint8_t blob[600];

        snprintf(text, sizeof text, "%d", (int) n);
        snprintf(device, sizeof device, "udp:%d", (int) (n % 50));
        memset(blob, (int) n, sizeof blob);
        assert_int_equal(campaign_table_insert(store, &campaign), 0);
        job.campaign_id = campaign.campaign_id;
        assert_int_equal(job_table_insert(store, &job), 0);
        assert_int_equal(job_table_enter_step(store, job.job_id, text, n, blob, sizeof blob, n), 0);
        assert_int_equal(device_table_put(store, &(struct device_row){ .id = device, .name = text, .last_job_id = job.job_id }), 0);
        assert_int_equal(event_table_append(store, &(struct event_row){ .type = "job", .revision = n }), 0);
        assert_int_equal(audit_table_append(store, &(struct audit_row){ .command = text, .time_ms = n }), 0);
}

/* ---- the child */

struct writer {
        struct store *store;
        int pipe_fd;
        int64_t n;
};

static void on_durable(void *ctx, int result) {
        struct writer *writer = ctx;

        if (result < 0 || write(writer->pipe_fd, &writer->n, sizeof writer->n) != sizeof writer->n)
                _exit(1);
        write_turn(writer->store, ++writer->n);
        if (store_sync(writer->store, on_durable, writer, NULL) < 0)
                _exit(1);
}

static void run_child(const char *path, int64_t last, int pipe_fd) {
        struct fixture fixture = { 0 };
        struct writer writer = { .pipe_fd = pipe_fd, .n = last };

        memcpy(fixture.path, path, strlen(path) + 1);
        if (loop_new(&fixture.loop) < 0 || fixture_open(&fixture, 0, NULL) < 0)
                _exit(1);
        writer.store = fixture.store;
        on_durable(&writer, 0);
        loop_run(fixture.loop);
        _exit(1); /* only a signal ends it */
}

/* Everything the child reported until its end. */
static int64_t read_reports(int fd, int64_t last) {
        int64_t n;

        while (read(fd, &n, sizeof n) == sizeof n)
                last = n;
        return last;
}

static int64_t run_and_kill(const char *path, int64_t last, long delay_us) {
        struct timespec delay = { .tv_nsec = delay_us * 1000 };
        int fds[2], status;
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                run_child(path, last, fds[1]);
        close(fds[1]);
        assert_int_equal(poll(&(struct pollfd){ .fd = fds[0], .events = POLLIN }, 1, 30000), 1); /* it writes */
        nanosleep(&delay, NULL);                                                                 /* the moment is the point here */
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        last = read_reports(fds[0], last);
        close(fds[0]);
        return last;
}

/* ---- what must hold */

static int64_t ask(struct fixture *fixture, const char *sql) {
        return fixture_ask(fixture, sql);
}

/* All turns 1..n whole, nothing beside them; gives n. */
static int64_t check_whole(struct fixture *fixture) {
        struct audit_verification verification = { 0 };
        int64_t n = event_table_newest(fixture->store);

        assert_int_equal(audit_table_verify(fixture->store, &verification, UINT32_MAX), 0);
        assert_true(verification.finished);
        assert_int_equal(verification.bad_seq, 0);
        assert_int_equal(verification.n_rows, n);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM event"), n);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM event WHERE seq <> revision"), 0);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM campaign"), n);
        assert_int_equal(ask(fixture, "SELECT coalesce(max(revision), 0) FROM campaign"), n);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM job JOIN step USING (job_id) JOIN campaign USING (campaign_id)"
                                      " WHERE job.step = campaign.id AND step.name = campaign.id AND length(blob) = 600"),
                         n);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM device JOIN job ON last_job_id = job_id WHERE name <> step"), 0);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
        return n;
}

static void test_killed_at_any_moment(void **state) {
        struct fixture *fixture = *state;
        int64_t present = 0, reported, first_unreported = 0;
        unsigned seed = (unsigned) time(NULL);

        print_message("seed %u\n", seed);
        for (int i = 0; i < N_KILLS; i++) {
                reported = run_and_kill(fixture->path, present, rand_r(&seed) % MAX_DELAY_US);
                assert_int_equal(fixture_open(fixture, 0, NULL), 0);
                present = check_whole(fixture);
                assert_true(present >= reported);
                first_unreported += present - reported;
                fixture_close(fixture);
        }
        assert_true(present > N_KILLS);           /* it did write */
        assert_true(first_unreported <= N_KILLS); /* one turn is under way at a time */
}

/* ---- power cut */

static void copy_file(const char *from, const char *to, off_t size, off_t garbage_from) {
        _cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        uint8_t chunk[4096];
        off_t at = 0;
        ssize_t n;

        assert_true(in >= 0 && out >= 0);
        while ((n = read(in, chunk, sizeof chunk)) > 0 && at < size) {
                n = MIN(n, size - at);
                for (ssize_t i = 0; i < n; i++)
                        if (at + i >= garbage_from)
                                chunk[i] = (uint8_t) (at + i) * 31;
                assert_int_equal(write(out, chunk, n), n);
                at += n;
        }
}

struct cut {
        off_t size;         /* of the log that is left */
        off_t garbage_from; /* other bytes from here on */
};

/* Opens a copy as it would be after the cut; gives the turns that are left. */
static int64_t open_after_cut(struct fixture *fixture, const struct cut *cut) {
        struct fixture *copy;
        void *state;
        char from[128], to[128];
        int64_t n;

        fixture_setup(&state);
        copy = state;
        copy_file(fixture->path, copy->path, INT64_MAX, INT64_MAX);
        snprintf(from, sizeof from, "%s-wal", fixture->path);
        snprintf(to, sizeof to, "%s-wal", copy->path);
        copy_file(from, to, cut->size, cut->garbage_from);
        assert_int_equal(fixture_open(copy, 0, NULL), 0);
        n = check_whole(copy);
        fixture_teardown(&state);
        return n;
}

static void test_power_cut_behind_the_last_sync(void **state) {
        struct fixture *fixture = *state;
        struct store_statistics statistics;
        off_t durable, end;
        unsigned seed = 1;
        bool lost_some = false;

        for (int n = 1; n <= 10; n++) {
                write_turn(fixture->store, n);
                assert_int_equal(store_flush(fixture->store), 0);
        }
        store_statistics(fixture->store, &statistics);
        durable = STORE_LOG_HEADER_SIZE + statistics.log_size_bytes;
        for (int n = 11; n <= 20; n++) { /* written, not reported */
                write_turn(fixture->store, n);
                assert_int_equal(store_commit(fixture->store), 0);
        }
        store_statistics(fixture->store, &statistics);
        end = STORE_LOG_HEADER_SIZE + statistics.log_size_bytes;

        assert_int_equal(open_after_cut(fixture, &(struct cut){ durable, INT64_MAX }), 10);
        assert_int_equal(open_after_cut(fixture, &(struct cut){ end, INT64_MAX }), 20);
        for (int i = 0; i < 100; i++) {
                off_t at = durable + rand_r(&seed) % (end - durable);
                struct cut cut = i % 2 ? (struct cut){ at, INT64_MAX } : (struct cut){ end, at };
                int64_t n = open_after_cut(fixture, &cut);

                assert_true(n >= 10 && n < 20);
                lost_some |= n < 19;
        }
        assert_true(lost_some);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_killed_at_any_moment, fixture_setup, fixture_teardown),
                cmocka_unit_test_setup_teardown(test_power_cut_behind_the_last_sync, fixture_setup_open, fixture_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
