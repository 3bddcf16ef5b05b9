/* SPDX-License-Identifier: Apache-2.0 */
#include "base/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket such as systemd gives; an abstract address, so that nothing is left behind. */
static int notify_socket(void) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char name[64];
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int length = snprintf(name, sizeof(name), "@gatewayd-notify-test-%d", (int) getpid());

        assert_true(fd >= 0);
        memcpy(address.sun_path + 1, name + 1, (size_t) length - 1);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + (size_t) length)), 0);
        setenv("NOTIFY_SOCKET", name, 1);
        return fd;
}

static void expect(int fd, const char *beginning) {
        char text[512];
        ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

        assert_true(n > 0);
        text[n] = '\0';
        if (strncmp(text, beginning, strlen(beginning)) != 0)
                fail_msg("\"%s\" instead of \"%s\"", text, beginning);
}

static void test_messages(void **state) {
        int fd = notify_socket();

        (void) state;
        assert_int_equal(notify_ready(), 0);
        expect(fd, "READY=1");
        assert_int_equal(notify_status("%d jobs\nREADY=1", 3), 0);
        expect(fd, "STATUS=3 jobs\\x0aREADY=1");
        assert_int_equal(notify_watchdog(), 0);
        expect(fd, "WATCHDOG=1");
        assert_int_equal(notify_reloading(), 0);
        expect(fd, "RELOADING=1\nMONOTONIC_USEC=");
        assert_int_equal(notify_stopping(), 0);
        expect(fd, "STOPPING=1");
        close(fd);
        unsetenv("NOTIFY_SOCKET");
        assert_int_equal(notify_ready(), 0);
}

/* A service manager that does not read: nobody waits for it. */
static void test_full_queue(void **state) {
        int fd = notify_socket();
        int r = 0;

        (void) state;
        for (int i = 0; i < 100000 && r == 0; i++)
                r = notify_status("%d", i);
        assert_int_equal(r, -EAGAIN);
        assert_int_equal(notify_stopping(), -EAGAIN);
        assert_int_equal(notify_watchdog(), -EAGAIN);
        expect(fd, "STATUS=0");
        assert_int_equal(notify_ready(), 0);
        close(fd);
        unsetenv("NOTIFY_SOCKET");
}

static void test_names_of_sockets(void **state) {
        static const char *const names[] = { "", "/", "relative", "@" };
        char name[200];

        (void) state;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                setenv("NOTIFY_SOCKET", names[i], 1);
                assert_int_equal(notify_ready(), -EINVAL);
        }
        memset(name, 'a', sizeof name - 1);
        name[0] = '/';
        name[sizeof name - 1] = '\0';
        setenv("NOTIFY_SOCKET", name, 1);
        assert_int_equal(notify_ready(), -EINVAL);
        setenv("NOTIFY_SOCKET", "/nobody/listens/here", 1);
        assert_int_equal(notify_ready(), -ENOENT);
        unsetenv("NOTIFY_SOCKET");
}

static void test_watchdog_interval(void **state) {
        char pid[32];

        (void) state;
        unsetenv("WATCHDOG_USEC");
        assert_int_equal(notify_watchdog_interval_ms(), 0);
        setenv("WATCHDOG_USEC", "30000000", 1);
        assert_int_equal(notify_watchdog_interval_ms(), 30000);
        snprintf(pid, sizeof(pid), "%d", (int) getpid() + 1);
        setenv("WATCHDOG_PID", pid, 1);
        assert_int_equal(notify_watchdog_interval_ms(), 0);
        unsetenv("WATCHDOG_PID");
        setenv("WATCHDOG_USEC", "500", 1);
        assert_int_equal(notify_watchdog_interval_ms(), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages), cmocka_unit_test(test_full_queue), cmocka_unit_test(test_names_of_sockets),
                                           cmocka_unit_test(test_watchdog_interval)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
