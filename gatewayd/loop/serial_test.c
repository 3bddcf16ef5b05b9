/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/serial.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "loop/test_support.h"

/* The device's end is the master of a pty, read and written by the test. */
struct end {
        struct gw_link *link;
        bool opened;
        bool closed;
        bool close_on_receive;
        size_t n_writable;
        size_t n_calls;
        struct gw_error error;
        uint8_t data[4096];
        size_t size;
};

struct fixture {
        struct loop *loop;
        int master;
        char path[64];
        struct end end;
};

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        *state = fixture;
        fixture->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        assert_true(fixture->master >= 0);
        assert_int_equal(grantpt(fixture->master), 0);
        assert_int_equal(unlockpt(fixture->master), 0);
        assert_int_equal(ptsname_r(fixture->master, fixture->path, sizeof fixture->path), 0);
        return loop_new(&fixture->loop);
}

static void end_close(struct end *end) {
        if (end->link)
                end->link->ops->close(TAKE_PTR(end->link));
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        end_close(&fixture->end);
        loop_free(fixture->loop);
        if (fixture->master >= 0)
                close(fixture->master);
        free(fixture);
        return 0;
}

static void on_opened(void *ctx) {
        struct end *end = ctx;

        assert_false(end->opened || end->closed);
        end->opened = true;
}

static void on_received(void *ctx, const uint8_t *data, size_t size) {
        struct end *end = ctx;

        assert_true(end->opened && !end->closed && end->link);
        assert_true(end->size + size <= sizeof end->data);
        memcpy(end->data + end->size, data, size);
        end->size += size;
        end->n_calls++;
        if (end->close_on_receive)
                end_close(end);
}

static void on_writable(void *ctx) {
        struct end *end = ctx;

        end->n_writable++;
}

static void on_closed(void *ctx, const struct gw_error *why) {
        struct end *end = ctx;

        assert_false(end->closed);
        end->closed = true;
        end->error = *why;
}

static const struct gw_link_handler handler = {
        .opened = on_opened, .received = on_received, .writable = on_writable, .closed = on_closed
};

static void open_start(struct fixture *fixture, struct end *end, const char *path, uint32_t baud, size_t queue_max) {
        struct gw_serial_options options = { .size = sizeof options, .path = path, .baud = baud, .queue_max = queue_max };

        assert_int_equal(serial_link_open(fixture->loop, &options, &handler, end, &end->link), 0);
        assert_false(end->opened || end->closed);
        assert_int_equal(end->link->ops->send(end->link, "x", 1), -ENOTCONN);
}

static void open_link(struct fixture *fixture, size_t queue_max) {
        open_start(fixture, &fixture->end, fixture->path, 115200, queue_max);
        LOOP_UNTIL(fixture->loop, fixture->end.opened || fixture->end.closed);
        assert_true(fixture->end.opened);
}

static void assert_fails_with(struct fixture *fixture, const char *path, const char *name) {
        struct end end = { 0 };

        open_start(fixture, &end, path, 115200, 0);
        LOOP_UNTIL(fixture->loop, end.opened || end.closed);
        assert_true(end.closed);
        assert_string_equal(end.error.name, name);
        assert_non_null(strstr(end.error.text, path));
        end_close(&end);
}

static void test_bytes_go_both_ways_unchanged(void **state) {
        struct fixture *fixture = *state;
        uint8_t all[256], found[256];

        for (size_t i = 0; i < sizeof all; i++)
                all[i] = (uint8_t) i;
        open_link(fixture, 0);
        assert_true(fixture->end.link->ops->max_datagram(fixture->end.link) == SIZE_MAX);
        assert_int_equal(write(fixture->master, all, sizeof all), sizeof all);
        LOOP_UNTIL(fixture->loop, fixture->end.size == sizeof all);
        assert_memory_equal(fixture->end.data, all, sizeof all);
        assert_int_equal(fixture->end.link->ops->send(fixture->end.link, all, sizeof all), 0);
        assert_int_equal(read(fixture->master, found, sizeof found), sizeof all);
        assert_memory_equal(found, all, sizeof all);
}

static void test_the_line_is_set_as_asked(void **state) {
        struct fixture *fixture = *state;
        struct termios2 settings;

        /* No rate of the classic table. */
        open_start(fixture, &fixture->end, fixture->path, 250000, 0);
        LOOP_UNTIL(fixture->loop, fixture->end.opened);
        assert_int_equal(ioctl(fixture->master, TCGETS2, &settings), 0);
        assert_int_equal(settings.c_ospeed, 250000);
        assert_int_equal(settings.c_ispeed, 250000);
        assert_int_equal(settings.c_cflag & (CSIZE | PARENB | CSTOPB | HUPCL | CREAD | CLOCAL), CS8 | CREAD | CLOCAL);
        assert_int_equal(settings.c_lflag & (ICANON | ECHO | ISIG), 0);
}

static void test_options_out_of_range_are_refused(void **state) {
        static const struct gw_serial_options bad[] = {
                { .path = NULL, .baud = 115200 },
                { .path = "", .baud = 115200 },
                { .path = "/dev/ttyS0", .baud = SERIAL_BAUD_MIN - 1 },
                { .path = "/dev/ttyS0", .baud = SERIAL_BAUD_MAX + 1 },
        };
        struct fixture *fixture = *state;
        struct gw_link *link = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(serial_link_open(fixture->loop, &bad[i], &handler, NULL, &link), -EINVAL);
        assert_null(link);
}

static void test_what_cannot_be_opened_says_why(void **state) {
        struct fixture *fixture = *state;

        assert_fails_with(fixture, "/dev/no-such-port", "port-absent");
        assert_fails_with(fixture, "/dev/null", "port-not-a-tty");
        assert_fails_with(fixture, "/dev", "port-not-a-tty");
}

static void test_a_port_without_permission(void **state) {
        struct fixture *fixture = *state;
        uid_t uid = geteuid();

        assert_int_equal(chmod(fixture->path, 0), 0);
        if (uid == 0)
                assert_int_equal(seteuid(65534), 0);
        assert_fails_with(fixture, fixture->path, "port-permission");
        assert_int_equal(seteuid(uid), 0);
}

static void test_a_port_is_ours_alone(void **state) {
        struct fixture *fixture = *state;
        int other = open(fixture->path, O_RDWR | O_NOCTTY | O_CLOEXEC);

        assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
        assert_fails_with(fixture, fixture->path, "port-busy");
        close(other);

        open_link(fixture, 0);
        assert_fails_with(fixture, fixture->path, "port-busy");
        other = open(fixture->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
        close(other);

        /* Free again as soon as it is closed. */
        end_close(&fixture->end);
        fixture->end = (struct end){ 0 };
        open_link(fixture, 0);
}

static void test_unplugged(void **state) {
        struct fixture *fixture = *state;

        open_link(fixture, 0);
        close(TAKE_FD(fixture->master));
        LOOP_UNTIL(fixture->loop, fixture->end.closed);
        assert_string_equal(fixture->end.error.name, "link-lost");
        assert_int_equal(fixture->end.link->ops->send(fixture->end.link, "x", 1), -ENOTCONN);
}

static void test_unplugged_while_writing(void **state) {
        struct fixture *fixture = *state;

        open_link(fixture, 0);
        close(TAKE_FD(fixture->master));
        assert_int_equal(fixture->end.link->ops->send(fixture->end.link, "x", 1), -ENOTCONN);
        assert_false(fixture->end.closed);
        LOOP_UNTIL(fixture->loop, fixture->end.closed);
        assert_string_equal(fixture->end.error.name, "link-lost");
}

static void test_closing_inside_a_callback(void **state) {
        struct fixture *fixture = *state;

        open_link(fixture, 0);
        fixture->end.close_on_receive = true;
        assert_int_equal(write(fixture->master, "abc", 3), 3);
        LOOP_UNTIL(fixture->loop, fixture->end.n_calls == 1);
        loop_run(fixture->loop);
        assert_false(fixture->end.closed);
}

static void test_closing_before_it_opened(void **state) {
        struct fixture *fixture = *state;

        open_start(fixture, &fixture->end, fixture->path, 115200, 0);
        end_close(&fixture->end);
        loop_run(fixture->loop);
        assert_false(fixture->end.opened || fixture->end.closed);
}

#define QUEUE 1000
#define FRAME 300

static uint8_t stream_byte(size_t at) {
        return (uint8_t) (at * 7 + at / 251);
}

static int send_frame(struct gw_link *link, size_t at) {
        uint8_t frame[FRAME];

        for (size_t i = 0; i < FRAME; i++)
                frame[i] = stream_byte(at + i);
        return link->ops->send(link, frame, FRAME);
}

static size_t device_read(int master, size_t at) {
        uint8_t data[512];
        ssize_t n = read(master, data, sizeof data);

        for (ssize_t i = 0; i < n; i++)
                assert_int_equal(data[i], stream_byte(at + (size_t) i));
        return n > 0 ? (size_t) n : 0;
}

static void test_a_full_queue_refuses_and_tells_when_there_is_room(void **state) {
        struct fixture *fixture = *state;
        size_t n_sent = 0, n_read = 0, n_goal;
        struct gw_link *link;
        int r;

        open_link(fixture, QUEUE);
        link = fixture->end.link;
        assert_int_equal(link->ops->send(link, fixture->end.data, QUEUE + 1), -EMSGSIZE);
        while ((r = send_frame(link, n_sent)) == 0)
                n_sent += FRAME;
        assert_int_equal(r, -EAGAIN);
        assert_true(link->ops->queued_bytes(link) > QUEUE - FRAME);
        assert_int_equal(fixture->end.n_writable, 0);
        n_goal = n_sent + 10 * FRAME;
        while (n_read < n_goal) {
                n_read += device_read(fixture->master, n_read);
                loop_turn(fixture->loop);
                if (fixture->end.n_writable == 0)
                        continue;
                /* What was refused fits now, and the line has not run dry meanwhile. */
                fixture->end.n_writable = 0;
                assert_true(n_sent > n_read);
                assert_int_equal(send_frame(link, n_sent), 0);
                n_sent += FRAME;
                while (n_sent < n_goal && (r = send_frame(link, n_sent)) == 0)
                        n_sent += FRAME;
                if (n_sent >= n_goal)
                        break;
                assert_int_equal(r, -EAGAIN);
        }
        while (n_read < n_sent) {
                n_read += device_read(fixture->master, n_read);
                loop_turn(fixture->loop);
        }
        assert_int_equal(link->ops->queued_bytes(link), 0);
        assert_int_equal(fixture->end.n_writable, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_bytes_go_both_ways_unchanged),
                TEST(test_the_line_is_set_as_asked),
                TEST(test_options_out_of_range_are_refused),
                TEST(test_what_cannot_be_opened_says_why),
                TEST(test_a_port_without_permission),
                TEST(test_a_port_is_ours_alone),
                TEST(test_unplugged),
                TEST(test_unplugged_while_writing),
                TEST(test_closing_inside_a_callback),
                TEST(test_closing_before_it_opened),
                TEST(test_a_full_queue_refuses_and_tells_when_there_is_room),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
