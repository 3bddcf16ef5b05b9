/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/process_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "loop/process.h"

#define CHILD_FD_FIRST 10 /* ours lie above what the child is given, so that no dup2() meets another one's source */
#define CHILD_FDS_MAX 4

/* Everything the child needs between fork() and execve(), where nothing may be allocated or locked. */
struct child {
        const struct gw_process_options *options;
        pid_t parent;
        int fds[CHILD_FDS_MAX]; /* what becomes 0, 1, 2 and 3 */
        size_t n_fds;
        int report; /* the errno of a step that failed; closed by a successful execve() */
};

static void close_pair(int pair[2]) {
        for (size_t i = 0; i < 2; i++)
                if (pair[i] >= 0)
                        close(TAKE_FD(pair[i]));
}

static int move_up(int *fd) {
        int moved = fcntl(*fd, F_DUPFD_CLOEXEC, CHILD_FD_FIRST);

        if (moved < 0)
                return -errno;
        close(*fd);
        *fd = moved;
        return 0;
}

static int pipe_above(int pair[2]) {
        int r;

        if (pipe2(pair, O_CLOEXEC) < 0)
                return -errno;
        r = move_up(&pair[0]);
        return r < 0 ? r : move_up(&pair[1]);
}

/* ---- in the child: only what is safe after fork() in a process with threads */

static int set_limit(int resource, uint64_t limit) {
        struct rlimit value = { .rlim_cur = limit, .rlim_max = limit };

        return setrlimit((__rlimit_resource_t) resource, &value);
}

static int child_limits(const struct gw_process_options *options) {
        if (set_limit(RLIMIT_CORE, 0) < 0)
                return -1;
        if (set_limit(RLIMIT_NOFILE, options->files_max ? options->files_max : PROCESS_FILES_DEFAULT) < 0)
                return -1;
        if (options->memory_max && set_limit(RLIMIT_AS, options->memory_max) < 0)
                return -1;
        if (options->cpu_s_max && set_limit(RLIMIT_CPU, options->cpu_s_max) < 0) /* SIGKILL, as both limits are one */
                return -1;
        return options->file_size_max ? set_limit(RLIMIT_FSIZE, options->file_size_max) : 0;
}

static void child_signals(void) {
        struct sigaction action = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int signum = 1; signum < NSIG; signum++)
                sigaction(signum, &action, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_descriptors(const struct child *child) {
        for (size_t i = 0; i < child->n_fds; i++)
                if (dup2(child->fds[i], (int) i) < 0)
                        return -1;
        return close_range((unsigned) child->n_fds, ~0U, CLOSE_RANGE_CLOEXEC);
}

_Noreturn static void child_fail(const struct child *child) {
        int error = errno;

        /* No longer than PIPE_BUF, so it is written whole or, if the parent is gone, to nobody. */
        if (write(child->report, &error, sizeof error) < 0)
                _exit(126);
        _exit(127);
}

_Noreturn static void child_run(const struct child *child) {
        const struct gw_process_options *options = child->options;

        child_signals();
        if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                child_fail(child);
        /* The parent may have died before the line above. */
        if (getppid() != child->parent)
                _exit(127);
        if (options->directory && chdir(options->directory) < 0)
                child_fail(child);
        if (child_descriptors(child) < 0 || child_limits(options) < 0)
                child_fail(child);
        execve(options->argv[0], (char *const *) options->argv,
               options->environment ? (char *const *) options->environment : (char *const[]){ NULL });
        child_fail(child);
}

/* ---- in the parent */

/* Ends when execve() closed the pipe: a few hundred microseconds. */
static int await_exec(int report) {
        int error = 0;
        ssize_t n;

        do
                n = read(report, &error, sizeof error);
        while (n < 0 && errno == EINTR);
        return n == sizeof error ? -error : 0;
}

static void reap_failed(pid_t pid) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

/* All signals are blocked across fork(), so that no handler of ours runs in the child. */
static pid_t fork_child(const struct child *child) {
        sigset_t all, before;
        pid_t pid;
        int saved;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pid = fork();
        if (pid == 0)
                child_run(child);
        saved = errno;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        errno = saved;
        return pid;
}

static int spawn_child(const struct child *child, int report_read, int *report_write, struct process_spawned *spawned) {
        pid_t pid = fork_child(child);
        int r;

        if (pid < 0)
                return -errno;
        close(TAKE_FD(*report_write));
        setpgid(pid, pid); /* the child does it, too; whoever is first */
        r = await_exec(report_read);
        if (r == 0) {
                spawned->pidfd = pidfd_open(pid, 0);
                r = spawned->pidfd < 0 ? -errno : 0;
        }
        if (r < 0) {
                reap_failed(pid);
                return r;
        }
        spawned->pid = pid;
        return 0;
}

static int set_not_blocking(int fd) {
        return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ? -errno : 0;
}

enum { PIPE_INPUT, PIPE_OUTPUT, PIPE_DIAGNOSTICS, PIPE_REPORT, PIPE_COUNT };

static int spawn_with_pipes(const struct gw_process_options *options, int pipes[PIPE_COUNT][2], struct process_spawned *spawned) {
        _cleanup_close_ int keep_fd = -1;
        struct child child = { .options = options, .parent = getpid(), .n_fds = 3 };
        int r = 0;

        for (size_t i = 0; i < PIPE_COUNT && r == 0; i++)
                r = pipe_above(pipes[i]);
        if (r < 0)
                return r;
        child.fds[0] = pipes[PIPE_INPUT][0];
        child.fds[1] = pipes[PIPE_OUTPUT][1];
        child.fds[2] = pipes[PIPE_DIAGNOSTICS][1];
        child.report = pipes[PIPE_REPORT][1];
        if (options->keep_fd >= 0) {
                keep_fd = fcntl(options->keep_fd, F_DUPFD_CLOEXEC, CHILD_FD_FIRST);
                if (keep_fd < 0)
                        return -errno;
                child.fds[child.n_fds++] = keep_fd;
        }
        r = spawn_child(&child, pipes[PIPE_REPORT][0], &pipes[PIPE_REPORT][1], spawned);
        if (r < 0)
                return r;
        spawned->input = TAKE_FD(pipes[PIPE_INPUT][1]);
        spawned->output = TAKE_FD(pipes[PIPE_OUTPUT][0]);
        spawned->diagnostics = TAKE_FD(pipes[PIPE_DIAGNOSTICS][0]);
        set_not_blocking(spawned->input);
        set_not_blocking(spawned->output);
        set_not_blocking(spawned->diagnostics);
        return 0;
}

int process_spawn(const struct gw_process_options *options, struct process_spawned *ret_spawned) {
        int pipes[PIPE_COUNT][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
        struct process_spawned spawned = { .pidfd = -1, .input = -1, .output = -1, .diagnostics = -1 };
        int r = spawn_with_pipes(options, pipes, &spawned);

        for (size_t i = 0; i < PIPE_COUNT; i++)
                close_pair(pipes[i]);
        if (r == 0)
                *ret_spawned = spawned;
        return r;
}

void process_spawned_deinit(struct process_spawned *spawned) {
        int *const fds[] = { &spawned->pidfd, &spawned->input, &spawned->output, &spawned->diagnostics };

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (*fds[i] >= 0)
                        close(TAKE_FD(*fds[i]));
}
