/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "loop/loop_internal.h"
#include "loop/test_support.h"

struct fixture {
        struct loop *loop;
        struct process *process;
        char output[4096];
        size_t output_size;
        char diagnostics[4096];
        size_t diagnostics_size;
        size_t n_exits;
        int status;
        int term_signal;
        bool overflow;
        bool terminate_on_output;
        bool drop_on_output;
};

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        *state = fixture;
        return loop_new(&fixture->loop);
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        process_drop(fixture->process);
        loop_free(fixture->loop);
        /* Nothing is left to be reaped. */
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
        free(fixture);
        return 0;
}

static void keep(char *kept, size_t *kept_size, const uint8_t *data, size_t size) {
        size_t n = MIN(size, 4095 - *kept_size);

        memcpy(kept + *kept_size, data, n);
        *kept_size += n;
}

static void on_output(void *ctx, const uint8_t *data, size_t size) {
        struct fixture *fixture = ctx;

        assert_non_null(fixture->process);
        keep(fixture->output, &fixture->output_size, data, size);
        if (fixture->terminate_on_output)
                process_terminate(fixture->process, 60000);
        if (fixture->drop_on_output)
                process_drop(TAKE_PTR(fixture->process));
}

static void on_diagnostics(void *ctx, const uint8_t *data, size_t size) {
        struct fixture *fixture = ctx;

        keep(fixture->diagnostics, &fixture->diagnostics_size, data, size);
}

static void on_exited(void *ctx, int status, int term_signal, bool overflow) {
        struct fixture *fixture = ctx;

        fixture->process = NULL;
        fixture->n_exits++;
        fixture->status = status;
        fixture->term_signal = term_signal;
        fixture->overflow = overflow;
}

static const struct gw_process_handler handler = { .output = on_output, .diagnostics = on_diagnostics, .exited = on_exited };

static int start(struct fixture *fixture, const char *script, struct gw_process_options options) {
        const char *const argv[] = { "/bin/sh", "-c", script, NULL };

        options.size = sizeof options;
        options.argv = argv;
        if (options.keep_fd == 0)
                options.keep_fd = -1;
        return process_start(fixture->loop, &options, &handler, fixture, &fixture->process, NULL);
}

static void run(struct fixture *fixture, const char *script, struct gw_process_options options) {
        assert_int_equal(start(fixture, script, options), 0);
        assert_int_equal(fixture->n_exits, 0);
        LOOP_UNTIL(fixture->loop, fixture->n_exits == 1);
}

#define NO_OPTIONS ((struct gw_process_options){ .keep_fd = -1 })

static void test_output_diagnostics_and_exit_code(void **state) {
        struct fixture *fixture = *state;

        run(fixture, "echo out; echo err >&2; exit 7", NO_OPTIONS);
        assert_string_equal(fixture->output, "out\n");
        assert_string_equal(fixture->diagnostics, "err\n");
        assert_int_equal(fixture->status, 7);
        assert_int_equal(fixture->term_signal, 0);
        assert_false(fixture->overflow);
}

static void test_a_program_that_does_not_exist(void **state) {
        const char *const missing[] = { "/no/such/program", NULL }, *const relative[] = { "sh", NULL }, *const none[] = { NULL };
        const char *const *const argvs[] = { missing, relative, none };
        const int expected[] = { -ENOENT, -EINVAL, -EINVAL };
        struct fixture *fixture = *state;
        struct gw_process_options options = { .size = sizeof options, .keep_fd = -1 };

        for (size_t i = 0; i < ARRAY_SIZE(argvs); i++) {
                struct gw_error err = { 0 };

                options.argv = argvs[i];
                assert_int_equal(process_start(fixture->loop, &options, &handler, fixture, &fixture->process, &err), expected[i]);
                assert_string_equal(err.name, "exec-not-found");
        }
        assert_null(fixture->process);
        assert_int_equal(fixture->n_exits, 0);
}

static void test_input_is_written_and_ended(void **state) {
        struct fixture *fixture = *state;
        size_t size = 300000; /* more than a pipe takes at once */
        _cleanup_free_ char *input = malloc(size);
        struct gw_process_options options = { .keep_fd = -1, .input = input, .input_size = size };

        memset(input, 'x', size);
        run(fixture, "/usr/bin/wc -c", options);
        assert_int_equal(atoi(fixture->output), size);
}

static void test_a_child_may_leave_its_input_unread(void **state) {
        struct fixture *fixture = *state;
        static const char input[200000];
        struct gw_process_options options = { .keep_fd = -1, .input = input, .input_size = sizeof input };

        run(fixture, "exec 0<&-; echo done", options);
        assert_string_equal(fixture->output, "done\n");
        assert_int_equal(fixture->status, 0);
}

static void test_environment_and_directory_are_exactly_those(void **state) {
        struct fixture *fixture = *state;
        const char *const environment[] = { "A=1", NULL };
        struct gw_process_options options = { .keep_fd = -1, .environment = environment, .directory = "/usr" };

        setenv("GW_SECRET", "leak", 1);
        run(fixture, "echo $A-$GW_SECRET-$(pwd)", options);
        assert_string_equal(fixture->output, "1--/usr\n");
}

static void test_only_the_descriptors_it_is_meant_to_have(void **state) {
        struct fixture *fixture = *state;
        int leaky = open("/dev/null", O_RDONLY); /* not close-on-exec */
        int high = fcntl(leaky, F_DUPFD, 100);
        int keep_fd = memfd_create("kept", MFD_CLOEXEC);
        struct gw_process_options options = { .keep_fd = keep_fd };

        assert_int_equal(write(keep_fd, "kept\n", 5), 5);
        assert_int_equal(lseek(keep_fd, 0, SEEK_SET), 0);
        run(fixture, "for fd in /proc/self/fd/*; do case ${fd##*/} in 0|1|2|3) ;; *) [ -e $fd ] && echo leaked $fd;; esac; done; cat <&3",
            options);
        assert_string_equal(fixture->output, "kept\n");
        close(leaky);
        close(high);
        close(keep_fd);
}

static void test_without_a_kept_descriptor_there_is_no_3(void **state) {
        struct fixture *fixture = *state;

        run(fixture, "[ -e /proc/$$/fd/3 ] && echo three; [ -e /proc/$$/fd/2 ] && echo two", NO_OPTIONS);
        assert_string_equal(fixture->output, "two\n");
}

static void test_signals_are_as_at_the_beginning(void **state) {
        struct fixture *fixture = *state;

        const char *ignored;

        run(fixture, "/usr/bin/grep -E 'Sig(Blk|Ign)' /proc/self/status", NO_OPTIONS);
        ignored = strstr(fixture->output, "SigIgn:");
        assert_ptr_equal(strstr(fixture->output, "SigBlk:\t0000000000000000\n"), fixture->output);
        assert_non_null(ignored);
        /* The first 31: two above are the C library's own and cannot be set through it. */
        assert_int_equal(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & 0x7fffffff, 0);
}

static void test_too_much_output_ends_it(void **state) {
        struct fixture *fixture = *state;
        struct gw_process_options options = { .keep_fd = -1, .output_max = 1000 };

        run(fixture, "while :; do echo 0123456789; done", options);
        assert_true(fixture->overflow);
        assert_int_equal(fixture->output_size, 1000);
        assert_int_equal(fixture->status, -1);
        assert_int_equal(fixture->term_signal, SIGKILL);
}

static void test_exactly_as_much_as_allowed_is_fine(void **state) {
        struct fixture *fixture = *state;
        struct gw_process_options options = { .keep_fd = -1, .output_max = 8 };

        run(fixture, "printf 12345678; printf 1234567890123 >&2", options);
        assert_false(fixture->overflow);
        assert_string_equal(fixture->output, "12345678");
        assert_string_equal(fixture->diagnostics, "12345678");
        assert_int_equal(fixture->status, 0);
}

static void test_limits_reach_the_child(void **state) {
        struct fixture *fixture = *state;
        struct gw_process_options options = {
                .keep_fd = -1, .memory_max = 512u << 20, .cpu_s_max = 9, .files_max = 17, .file_size_max = 1 << 20
        };

        run(fixture, "ulimit -v; ulimit -t; ulimit -n; ulimit -f; ulimit -c", options);
        assert_string_equal(fixture->output, "524288\n9\n17\n2048\n0\n");
}

static void test_terminate_reaches_the_whole_group(void **state) {
        struct fixture *fixture = *state;

        fixture->terminate_on_output = true;
        run(fixture, "sleep 1000 & echo started; wait", NO_OPTIONS);
        assert_int_equal(fixture->term_signal, SIGTERM);
}

static void test_who_ignores_the_request_is_killed(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(start(fixture, "trap '' TERM; echo ready; while :; do sleep 1000; done", NO_OPTIONS), 0);
        LOOP_UNTIL(fixture->loop, fixture->output_size > 0);
        process_terminate(fixture->process, 3600 * 1000);
        process_terminate(fixture->process, 10);
        process_terminate(fixture->process, 3600 * 1000);
        LOOP_UNTIL(fixture->loop, fixture->n_exits == 1);
        assert_int_equal(fixture->term_signal, SIGKILL);
        process_terminate(NULL, 0);
}

static bool is_alive(const char *pid) {
        char path[64], state_text[256] = { 0 };
        _cleanup_close_ int fd = -1;

        snprintf(path, sizeof path, "/proc/%d/stat", atoi(pid));
        fd = open(path, O_RDONLY);
        if (fd < 0 || read(fd, state_text, sizeof state_text - 1) <= 0)
                return false;
        return !strstr(state_text, ") Z ") && !strstr(state_text, ") X ");
}

static void test_what_the_leader_leaves_behind_dies_with_it(void **state) {
        struct fixture *fixture = *state;

        run(fixture, "sleep 1000 & echo $!", NO_OPTIONS);
        assert_int_equal(fixture->status, 0);
        alarm(TEST_WATCHDOG_S);
        while (is_alive(fixture->output))
                sched_yield();
        alarm(0);
}

static void test_a_grandchild_that_keeps_the_pipe_does_not_hold_up_the_end(void **state) {
        struct fixture *fixture = *state;
        char command[64];

        run(fixture, "/usr/bin/setsid sleep 1000 & echo $!", NO_OPTIONS);
        assert_int_equal(fixture->status, 0);
        assert_true(atoi(fixture->output) > 0);
        snprintf(command, sizeof command, "kill -9 %d", atoi(fixture->output));
        assert_true(system(command) >= 0);
}

static void test_dropping_ends_it_without_a_word(void **state) {
        struct fixture *fixture = *state;

        fixture->drop_on_output = true;
        assert_int_equal(start(fixture, "echo $$; exec sleep 1000", NO_OPTIONS), 0);
        LOOP_UNTIL(fixture->loop, fixture->output_size > 0);
        assert_null(fixture->process);
        LOOP_UNTIL(fixture->loop, fixture->loop->n_works == 0);
        assert_false(is_alive(fixture->output));
        assert_int_equal(fixture->n_exits, 0);
}

static void test_many_at_once(void **state) {
        struct fixture fixtures[20] = { 0 };
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
                fixtures[i].loop = fixture->loop;
                assert_int_equal(start(&fixtures[i], "read x; echo $x",
                                       (struct gw_process_options){ .keep_fd = -1, .input = "hello\n", .input_size = 6 }),
                                 0);
        }
        for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
                LOOP_UNTIL(fixture->loop, fixtures[i].n_exits == 1);
                assert_string_equal(fixtures[i].output, "hello\n");
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_output_diagnostics_and_exit_code),
                TEST(test_a_program_that_does_not_exist),
                TEST(test_input_is_written_and_ended),
                TEST(test_a_child_may_leave_its_input_unread),
                TEST(test_environment_and_directory_are_exactly_those),
                TEST(test_only_the_descriptors_it_is_meant_to_have),
                TEST(test_without_a_kept_descriptor_there_is_no_3),
                TEST(test_signals_are_as_at_the_beginning),
                TEST(test_too_much_output_ends_it),
                TEST(test_exactly_as_much_as_allowed_is_fine),
                TEST(test_limits_reach_the_child),
                TEST(test_terminate_reaches_the_whole_group),
                TEST(test_who_ignores_the_request_is_killed),
                TEST(test_what_the_leader_leaves_behind_dies_with_it),
                TEST(test_a_grandchild_that_keeps_the_pipe_does_not_hold_up_the_end),
                TEST(test_dropping_ends_it_without_a_word),
                TEST(test_many_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
