/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/local_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "loop/test_support.h"

#define LINE_MAX_BYTES 100000
#define OUTPUT_MAX_BYTES 300000

/* One end, whichever: what it got, in a trace of words. */
struct end {
        struct local_connection *connection;
        size_t n_lines;
        size_t last_size;
        char text[64];
        bool closed;
        bool close_on_line;
        bool finish_on_line;
        bool drained;
        int why;
        int fd;
        size_t n_fds;
};

struct fixture {
        struct loop *loop;
        char directory[32];
        char path[64];
        struct local_server *server;
        struct end server_end;
        struct end client_end;
        int n_accepted;
        bool refuse;
};

static void on_line(void *ctx, char *line, size_t size, int *fd) {
        struct end *end = ctx;

        assert_false(end->closed);
        assert_int_equal(line[size], '\0');
        end->n_lines++;
        end->last_size = size;
        strncat(end->text, line, 8);
        strncat(end->text, *fd >= 0 ? "+fd " : " ", 5);
        if (*fd >= 0 && end->fd < 0) {
                end->fd = TAKE_FD(*fd);
                end->n_fds++;
        }
        if (end->close_on_line)
                local_connection_close(TAKE_PTR(end->connection));
        else if (end->finish_on_line)
                local_connection_finish(end->connection);
}

static void on_drained(void *ctx) {
        struct end *end = ctx;

        end->drained = true;
}

static void on_closed(void *ctx, int why) {
        struct end *end = ctx;

        assert_false(end->closed);
        end->closed = true;
        end->why = why;
        end->connection = NULL;
}

static const struct local_connection_handler handler = { .line = on_line, .drained = on_drained, .closed = on_closed };

static int on_accepted(void *ctx, struct local_connection *connection, const struct local_connection_handler **ret_handler,
                       void **ret_ctx) {
        struct fixture *fixture = ctx;

        fixture->n_accepted++;
        if (fixture->refuse)
                return -EPERM;
        fixture->server_end.connection = connection;
        *ret_handler = &handler;
        *ret_ctx = &fixture->server_end;
        return 0;
}

static const struct local_server_handler server_handler = { .accepted = on_accepted };
static const struct local_connection_limits limits = { .line_max = LINE_MAX_BYTES, .output_max = OUTPUT_MAX_BYTES };

static int server_start(struct fixture *fixture, struct local_server **ret_server, struct gw_error *err) {
        struct local_server_options options = {
                .path = fixture->path, .mode = 0660, .clients_max = 1, .busy_line = "busy", .limits = limits
        };

        return local_server_new(fixture->loop, &options, &server_handler, fixture, ret_server, err);
}

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        *state = fixture;
        fixture->server_end.fd = fixture->client_end.fd = -1;
        strcpy(fixture->directory, "/tmp/gw_local_XXXXXX");
        assert_non_null(mkdtemp(fixture->directory));
        snprintf(fixture->path, sizeof fixture->path, "%s/socket", fixture->directory);
        assert_int_equal(loop_new(&fixture->loop), 0);
        return server_start(fixture, &fixture->server, NULL);
}

static void end_deinit(struct end *end) {
        local_connection_close(end->connection);
        if (end->fd >= 0)
                close(end->fd);
}

static int teardown(void **state) {
        struct fixture *fixture = *state;
        struct stat status;

        end_deinit(&fixture->client_end);
        end_deinit(&fixture->server_end);
        local_server_free(fixture->server);
        loop_free(fixture->loop);
        assert_int_equal(lstat(fixture->path, &status), -1);
        assert_int_equal(rmdir(fixture->directory), 0);
        free(fixture);
        return 0;
}

static void client_connect(struct fixture *fixture) {
        assert_int_equal(local_socket_connect(fixture->loop, fixture->path, &limits, &handler, &fixture->client_end,
                                              &fixture->client_end.connection, NULL),
                         0);
        LOOP_UNTIL(fixture->loop, fixture->server_end.connection);
}

/* A client that is not ours, with a blocking socket. */
static int raw_connect(struct fixture *fixture) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, fixture->path);
        assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof address), 0);
        return fd;
}

static void raw_send(int socket_fd, const char *text, const int *fds, size_t n_fds) {
        char control[CMSG_SPACE(4 * sizeof(int))] = { 0 };
        struct iovec part = { .iov_base = (void *) text, .iov_len = strlen(text) };
        struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

        if (n_fds > 0) {
                struct cmsghdr *header = (struct cmsghdr *) control;

                *header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) };
                memcpy(CMSG_DATA(header), fds, n_fds * sizeof(int));
                message.msg_control = control;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        }
        assert_int_equal(sendmsg(socket_fd, &message, MSG_NOSIGNAL), strlen(text));
}

static int file_with(const char *text) {
        int fd = memfd_create("test", MFD_CLOEXEC);

        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        return fd;
}

static void assert_file_is(int fd, const char *text) {
        char found[32] = { 0 };

        assert_int_equal(pread(fd, found, sizeof found - 1, 0), strlen(text));
        assert_string_equal(found, text);
}

static void test_lines_go_both_ways(void **state) {
        struct fixture *fixture = *state;

        client_connect(fixture);
        assert_int_equal(local_connection_send(fixture->client_end.connection, "one", 3), 0);
        assert_int_equal(local_connection_send(fixture->client_end.connection, "", 0), 0);
        assert_int_equal(local_connection_send(fixture->client_end.connection, "three", 5), 0);
        LOOP_UNTIL(fixture->loop, fixture->server_end.n_lines == 3);
        assert_string_equal(fixture->server_end.text, "one  three ");
        assert_int_equal(local_connection_send(fixture->server_end.connection, "reply", 5), 0);
        LOOP_UNTIL(fixture->loop, fixture->client_end.n_lines == 1);
        assert_string_equal(fixture->client_end.text, "reply ");
}

static void test_the_peer_is_who_the_kernel_says(void **state) {
        struct fixture *fixture = *state;
        const struct local_peer *peer;

        client_connect(fixture);
        peer = local_connection_peer(fixture->server_end.connection);
        assert_int_equal(peer->uid, getuid());
        assert_int_equal(peer->pid, getpid());
        assert_true(local_peer_in_group(peer, getgid()));
        assert_false(local_peer_in_group(peer, 54321));
        assert_true(local_peer_in_group(&(struct local_peer){ .gid = 1, .n_groups = 2, .groups = { 7, 54321 } }, 54321));
}

static void test_a_line_in_pieces(void **state) {
        struct fixture *fixture = *state;
        int raw = raw_connect(fixture);

        LOOP_UNTIL(fixture->loop, fixture->server_end.connection);
        for (const char *at = "abc\nd"; *at; at++) {
                raw_send(raw, (char[]){ *at, '\0' }, NULL, 0);
                loop_turn(fixture->loop);
        }
        LOOP_UNTIL(fixture->loop, fixture->server_end.n_lines == 1);
        raw_send(raw, "ef\ng\n", NULL, 0);
        LOOP_UNTIL(fixture->loop, fixture->server_end.n_lines == 3);
        assert_string_equal(fixture->server_end.text, "abc def g ");
        close(raw);
        LOOP_UNTIL(fixture->loop, fixture->server_end.closed);
        assert_int_equal(fixture->server_end.why, 0);
}

static void test_the_longest_line_and_one_too_long(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *line = malloc(LINE_MAX_BYTES + 1);

        client_connect(fixture);
        memset(line, 'x', LINE_MAX_BYTES + 1);
        assert_int_equal(local_connection_send(fixture->client_end.connection, line, LINE_MAX_BYTES), 0);
        LOOP_UNTIL(fixture->loop, fixture->server_end.n_lines == 1);
        assert_int_equal(fixture->server_end.last_size, LINE_MAX_BYTES);
        assert_int_equal(local_connection_send(fixture->client_end.connection, line, LINE_MAX_BYTES + 1), 0);
        LOOP_UNTIL(fixture->loop, fixture->server_end.closed);
        assert_int_equal(fixture->server_end.why, -EMSGSIZE);
        assert_int_equal(fixture->server_end.n_lines, 1);
        LOOP_UNTIL(fixture->loop, fixture->client_end.closed);
        assert_int_equal(fixture->client_end.why, 0);
}

static void test_an_endless_line_is_cut_off_before_its_end(void **state) {
        struct fixture *fixture = *state;
        char piece[8193];
        int raw = raw_connect(fixture);

        LOOP_UNTIL(fixture->loop, fixture->server_end.connection);
        memset(piece, 'x', sizeof piece - 1);
        piece[sizeof piece - 1] = '\0';
        for (size_t n = 0; n < LINE_MAX_BYTES + sizeof piece && !fixture->server_end.closed; n += sizeof piece - 1) {
                raw_send(raw, piece, NULL, 0);
                loop_turn(fixture->loop);
        }
        LOOP_UNTIL(fixture->loop, fixture->server_end.closed);
        assert_int_equal(fixture->server_end.why, -EMSGSIZE);
        close(raw);
}

static void test_a_descriptor_comes_with_its_line(void **state) {
        struct fixture *fixture = *state;
        _cleanup_close_ int fd = file_with("firmware");

        client_connect(fixture);
        assert_int_equal(local_connection_send(fixture->client_end.connection, "a", 1), 0);
        assert_int_equal(local_connection_send_fd(fixture->client_end.connection, "b", 1, fd), 0);
        assert_int_equal(local_connection_send(fixture->client_end.connection, "c", 1), 0);
        LOOP_UNTIL(fixture->loop, fixture->server_end.n_lines == 3);
        assert_string_equal(fixture->server_end.text, "a b+fd c ");
        assert_file_is(fixture->server_end.fd, "firmware");
        assert_true(fcntl(fixture->server_end.fd, F_GETFD) & FD_CLOEXEC);
}

static size_t n_open_descriptors(void) {
        size_t n_open = 0;

        for (int fd = 0; fd < 256; fd++)
                n_open += fcntl(fd, F_GETFD) >= 0;
        return n_open;
}

static void test_descriptors_that_nobody_takes_are_closed(void **state) {
        struct fixture *fixture = *state;
        int fds[] = { file_with("1"), file_with("2"), file_with("3") };
        size_t n_before, n_raw;
        int raw = raw_connect(fixture);

        LOOP_UNTIL(fixture->loop, fixture->server_end.connection);
        n_before = n_open_descriptors();
        n_raw = 3;
        /* Three at once; two on one line; one on a line that is never ended. */
        raw_send(raw, "a\n", fds, n_raw);
        raw_send(raw, "b", fds, 1);
        raw_send(raw, "b\n", fds + 1, 1);
        raw_send(raw, "c", fds, 1);
        LOOP_UNTIL(fixture->loop, fixture->server_end.n_lines == 2);
        assert_string_equal(fixture->server_end.text, "a+fd bb+fd ");
        assert_file_is(fixture->server_end.fd, "1");
        close(raw);
        LOOP_UNTIL(fixture->loop, fixture->server_end.closed);
        loop_turn(fixture->loop);
        /* The one that was taken came; both ends of the connection went. */
        assert_int_equal(n_open_descriptors(), n_before + 1 - 2);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                close(fds[i]);
}

static void test_what_the_kernel_does_not_take_is_queued_with_its_descriptor(void **state) {
        struct fixture *fixture = *state;
        _cleanup_close_ int fd = file_with("late");
        _cleanup_free_ char *line = malloc(LINE_MAX_BYTES);
        size_t n_sent = 0;

        client_connect(fixture);
        memset(line, 'x', LINE_MAX_BYTES);
        while (local_connection_queued_bytes(fixture->server_end.connection) == 0) {
                assert_int_equal(local_connection_send(fixture->server_end.connection, line, LINE_MAX_BYTES), 0);
                n_sent++;
        }
        assert_int_equal(local_connection_send_fd(fixture->server_end.connection, "b", 1, fd), 0);
        assert_int_equal(local_connection_send_fd(fixture->server_end.connection, "b", 1, fd), -EBUSY);
        assert_int_equal(local_connection_send(fixture->server_end.connection, "c", 1), 0);
        LOOP_UNTIL(fixture->loop, fixture->client_end.n_lines == n_sent + 2);
        assert_file_is(fixture->client_end.fd, "late");
        assert_non_null(strstr(fixture->client_end.text, "b+fd c "));
        assert_int_equal(fixture->client_end.n_fds, 1);
        LOOP_UNTIL(fixture->loop, fixture->server_end.drained);
        assert_int_equal(local_connection_queued_bytes(fixture->server_end.connection), 0);
}

static void test_who_does_not_read_is_cut_off(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *line = malloc(LINE_MAX_BYTES);
        int raw = raw_connect(fixture), r = 0;

        LOOP_UNTIL(fixture->loop, fixture->server_end.connection);
        memset(line, 'x', LINE_MAX_BYTES);
        for (int i = 0; i < 100 && r == 0; i++)
                r = local_connection_send(fixture->server_end.connection, line, LINE_MAX_BYTES);
        assert_int_equal(r, -ENOBUFS);
        assert_false(fixture->server_end.closed);
        assert_int_equal(local_connection_send(fixture->server_end.connection, "x", 1), -EPIPE);
        LOOP_UNTIL(fixture->loop, fixture->server_end.closed);
        assert_int_equal(fixture->server_end.why, -ENOBUFS);
        close(raw);
}

static void test_who_leaves_half_unread_is_not_heard_until_it_reads(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *line = malloc(LINE_MAX_BYTES);
        char sink[65536];
        int raw = raw_connect(fixture);

        LOOP_UNTIL(fixture->loop, fixture->server_end.connection);
        memset(line, 'x', LINE_MAX_BYTES);
        while (local_connection_queued_bytes(fixture->server_end.connection) <= OUTPUT_MAX_BYTES / 2)
                assert_int_equal(local_connection_send(fixture->server_end.connection, line, LINE_MAX_BYTES), 0);
        raw_send(raw, "hello\n", NULL, 0);
        while (!fixture->server_end.drained) {
                assert_int_equal(fixture->server_end.n_lines > 0 &&
                                         local_connection_queued_bytes(fixture->server_end.connection) > OUTPUT_MAX_BYTES / 2,
                                 false);
                assert_true(recv(raw, sink, sizeof sink, 0) > 0);
                loop_turn(fixture->loop);
        }
        LOOP_UNTIL(fixture->loop, fixture->server_end.n_lines == 1);
        close(raw);
}

static void test_closing_inside_a_line_ends_it(void **state) {
        struct fixture *fixture = *state;
        int raw = raw_connect(fixture);

        LOOP_UNTIL(fixture->loop, fixture->server_end.connection);
        fixture->server_end.close_on_line = true;
        raw_send(raw, "a\nb\nc\n", NULL, 0);
        LOOP_UNTIL(fixture->loop, fixture->server_end.n_lines == 1);
        loop_turn(fixture->loop);
        assert_string_equal(fixture->server_end.text, "a ");
        assert_false(fixture->server_end.closed);
        close(raw);
}

static void test_finishing_delivers_what_is_queued(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *line = malloc(LINE_MAX_BYTES);
        size_t n_sent = 0;

        client_connect(fixture);
        memset(line, 'x', LINE_MAX_BYTES);
        while (local_connection_queued_bytes(fixture->client_end.connection) == 0) {
                assert_int_equal(local_connection_send(fixture->client_end.connection, line, LINE_MAX_BYTES), 0);
                n_sent++;
        }
        local_connection_finish(fixture->client_end.connection);
        assert_int_equal(local_connection_send(fixture->client_end.connection, "x", 1), -EPIPE);
        LOOP_UNTIL(fixture->loop, fixture->server_end.closed && fixture->client_end.closed);
        assert_int_equal(fixture->server_end.n_lines, n_sent);
        assert_int_equal(fixture->client_end.why, 0);
}

static void test_finishing_with_an_empty_queue(void **state) {
        struct fixture *fixture = *state;

        client_connect(fixture);
        fixture->server_end.finish_on_line = true;
        assert_int_equal(local_connection_send(fixture->client_end.connection, "a", 1), 0);
        LOOP_UNTIL(fixture->loop, fixture->server_end.closed && fixture->client_end.closed);
        assert_int_equal(fixture->server_end.why, 0);
}

static void test_one_client_too_many_is_told_so(void **state) {
        struct fixture *fixture = *state;
        char text[16] = { 0 };
        int raw;

        client_connect(fixture);
        raw = raw_connect(fixture);
        loop_turn(fixture->loop);
        alarm(TEST_WATCHDOG_S);
        assert_int_equal(recv(raw, text, sizeof text, MSG_WAITALL), 5);
        alarm(0);
        assert_string_equal(text, "busy\n");
        close(raw);
        assert_int_equal(fixture->n_accepted, 1);

        /* The place of one that goes is free again. */
        local_connection_close(TAKE_PTR(fixture->server_end.connection));
        raw = raw_connect(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_accepted == 2);
        close(raw);
}

static void test_the_owner_may_refuse(void **state) {
        struct fixture *fixture = *state;
        char byte;
        int raw;

        fixture->refuse = true;
        raw = raw_connect(fixture);
        LOOP_UNTIL(fixture->loop, fixture->n_accepted == 1);
        loop_turn(fixture->loop);
        assert_int_equal(recv(raw, &byte, 1, MSG_DONTWAIT), 0);
        close(raw);
}

static void test_mode_group_and_successor(void **state) {
        struct fixture *fixture = *state;
        struct local_server_options options = { .path = fixture->path, .mode = 0600, .group = "no such group", .limits = limits };
        struct local_server *second = NULL;
        struct gw_error err = { 0 };
        struct stat status;

        assert_int_equal(lstat(fixture->path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0660);
        assert_int_equal(server_start(fixture, &second, &err), -EADDRINUSE);
        assert_string_equal(err.name, "socket-unusable");
        assert_int_equal(local_server_new(fixture->loop, &options, &server_handler, fixture, &second, &err), -ENOENT);
        assert_string_equal(err.name, "group-unknown");
        options.path = "/nonexistent/folder/socket";
        options.group = NULL;
        assert_int_equal(local_server_new(fixture->loop, &options, &server_handler, fixture, &second, &err), -ENOENT);
        assert_null(second);
        local_server_free(fixture->server);
        assert_int_equal(server_start(fixture, &fixture->server, &err), 0);
}

static void test_a_socket_left_behind_is_replaced(void **state) {
        struct fixture *fixture = *state;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        local_server_free(fixture->server);
        strcpy(address.sun_path, fixture->path);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof address), 0);
        close(fd);
        assert_int_equal(server_start(fixture, &fixture->server, NULL), 0);
        client_connect(fixture);
}

static void test_a_file_in_the_way_is_not_touched(void **state) {
        struct fixture *fixture = *state;
        struct local_server *second = NULL;
        int fd;

        local_server_free(TAKE_PTR(fixture->server));
        fd = open(fixture->path, O_CREAT | O_WRONLY, 0600);
        close(fd);
        assert_int_equal(server_start(fixture, &second, NULL), -ENOTSOCK);
        assert_int_equal(unlink(fixture->path), 0);
}

static void test_nobody_listens(void **state) {
        struct fixture *fixture = *state;
        struct local_connection *connection = NULL;
        struct gw_error err = { 0 };

        assert_int_equal(local_socket_connect(fixture->loop, "/nonexistent/socket", &limits, &handler, NULL, &connection, &err), -ENOENT);
        assert_string_equal(err.name, "daemon-not-running");
        assert_null(connection);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_lines_go_both_ways),
                TEST(test_the_peer_is_who_the_kernel_says),
                TEST(test_a_line_in_pieces),
                TEST(test_the_longest_line_and_one_too_long),
                TEST(test_an_endless_line_is_cut_off_before_its_end),
                TEST(test_a_descriptor_comes_with_its_line),
                TEST(test_descriptors_that_nobody_takes_are_closed),
                TEST(test_what_the_kernel_does_not_take_is_queued_with_its_descriptor),
                TEST(test_who_does_not_read_is_cut_off),
                TEST(test_who_leaves_half_unread_is_not_heard_until_it_reads),
                TEST(test_closing_inside_a_line_ends_it),
                TEST(test_finishing_delivers_what_is_queued),
                TEST(test_finishing_with_an_empty_queue),
                TEST(test_one_client_too_many_is_told_so),
                TEST(test_the_owner_may_refuse),
                TEST(test_mode_group_and_successor),
                TEST(test_a_socket_left_behind_is_replaced),
                TEST(test_a_file_in_the_way_is_not_touched),
                TEST(test_nobody_listens),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
