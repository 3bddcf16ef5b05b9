/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "loop/test_support.h"

/* Loopback never fills a socket and always has a route, so the linker puts this in front of send() (--wrap). */
static int send_error;

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);
ssize_t __real_send(int fd, const void *data, size_t size, int flags);

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags) {
        if (send_error == 0)
                return __real_send(fd, data, size, flags);
        errno = send_error;
        send_error = 0;
        return -1;
}

/* A peer that the test itself reads and writes: what the link sends is in its socket when send() returns. */
struct fixture {
        struct loop *loop;
        int peer;
        uint16_t port;
        struct sockaddr_storage link_address;
        socklen_t link_address_size;
        struct gw_link *link;
        bool opened;
        bool closed;
        bool close_on_receive;
        struct gw_error error;
        size_t n_received;
        size_t n_writable;
        size_t last_size;
        uint8_t last[UDP_DATAGRAM_MAX];
};

static int peer_bind(int family, uint16_t *port) {
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(*port), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct sockaddr *address = family == AF_INET ? (struct sockaddr *) &v4 : (struct sockaddr *) &v6;
        socklen_t size = family == AF_INET ? sizeof v4 : sizeof v6;
        int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, address, size), 0);
        assert_int_equal(getsockname(fd, address, &size), 0);
        *port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
        return fd;
}

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        *state = fixture;
        fixture->peer = peer_bind(AF_INET, &fixture->port);
        return loop_new(&fixture->loop);
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        if (fixture->link)
                fixture->link->ops->close(fixture->link);
        loop_free(fixture->loop);
        close(fixture->peer);
        free(fixture);
        return 0;
}

static void on_opened(void *ctx) {
        struct fixture *fixture = ctx;

        assert_false(fixture->opened || fixture->closed);
        fixture->opened = true;
}

static void on_received(void *ctx, const uint8_t *data, size_t size) {
        struct fixture *fixture = ctx;

        assert_true(fixture->opened && !fixture->closed);
        assert_non_null(fixture->link);
        fixture->n_received++;
        fixture->last_size = size;
        memcpy(fixture->last, data, size);
        if (fixture->close_on_receive) {
                fixture->link->ops->close(fixture->link);
                fixture->link = NULL;
        }
}

static void on_writable(void *ctx) {
        struct fixture *fixture = ctx;

        fixture->n_writable++;
}

static void on_closed(void *ctx, const struct gw_error *why) {
        struct fixture *fixture = ctx;

        assert_false(fixture->opened || fixture->closed);
        fixture->closed = true;
        fixture->error = *why;
}

static const struct gw_link_handler handler = {
        .opened = on_opened, .received = on_received, .writable = on_writable, .closed = on_closed
};

static int open_link(struct fixture *fixture, const char *host, size_t max_datagram) {
        struct gw_udp_options options = { .size = sizeof options, .max_datagram = max_datagram };
        char address[128];

        snprintf(address, sizeof address, "%s:%u", host, fixture->port);
        options.address = address;
        return udp_link_open(fixture->loop, &options, &handler, fixture, &fixture->link);
}

static int link_send(struct fixture *fixture, const void *data, size_t size) {
        return fixture->link->ops->send(fixture->link, data, size);
}

static size_t peer_receive(struct fixture *fixture, void *data, size_t size) {
        ssize_t n;

        fixture->link_address_size = sizeof fixture->link_address;
        alarm(TEST_WATCHDOG_S);
        n = recvfrom(fixture->peer, data, size, 0, (struct sockaddr *) &fixture->link_address, &fixture->link_address_size);
        alarm(0);
        assert_true(n >= 0);
        return (size_t) n;
}

static void peer_send(struct fixture *fixture, const void *data, size_t size) {
        ssize_t n = sendto(fixture->peer, data, size, 0, (struct sockaddr *) &fixture->link_address, fixture->link_address_size);

        assert_int_equal(n, size);
}

static void round_trip(struct fixture *fixture) {
        char text[16];

        assert_int_equal(link_send(fixture, "hello", 5), 0);
        assert_int_equal(peer_receive(fixture, text, sizeof text), 5);
        fixture->n_received = 0;
        peer_send(fixture, "world!", 6);
        LOOP_UNTIL(fixture->loop, fixture->n_received == 1);
        assert_int_equal(fixture->last_size, 6);
        assert_memory_equal(fixture->last, "world!", 6);
}

static void test_opens_later_and_carries_datagrams(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(open_link(fixture, "127.0.0.1", 0), 0);
        assert_false(fixture->opened);
        assert_int_equal(link_send(fixture, "x", 1), -ENOTCONN);
        LOOP_UNTIL(fixture->loop, fixture->opened);
        assert_int_equal(fixture->link->ops->max_datagram(fixture->link), UDP_DATAGRAM_DEFAULT);
        assert_int_equal(fixture->link->ops->queued_bytes(fixture->link), 0);
        round_trip(fixture);
}

static void test_ipv6(void **state) {
        struct fixture *fixture = *state;

        close(fixture->peer);
        fixture->port = 0;
        fixture->peer = peer_bind(AF_INET6, &fixture->port);
        assert_int_equal(open_link(fixture, "[::1]", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened);
        round_trip(fixture);
}

static void test_a_name_is_resolved(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(open_link(fixture, "localhost", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened || fixture->closed);
        assert_true(fixture->opened);
}

static void test_a_name_that_cannot_be_resolved_closes(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(open_link(fixture, "a..b", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened || fixture->closed);
        assert_true(fixture->closed);
        assert_string_equal(fixture->error.name, "address-unresolvable");
        assert_non_null(strstr(fixture->error.text, "a..b"));
        assert_int_equal(link_send(fixture, "x", 1), -ENOTCONN);
}

static void test_closing_while_a_name_is_looked_up(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(open_link(fixture, "localhost", 0), 0);
        fixture->link->ops->close(fixture->link);
        fixture->link = NULL;
        loop_run(fixture->loop);
        assert_false(fixture->opened || fixture->closed);
}

static void test_malformed_addresses_are_refused(void **state) {
        static const char *const bad[] = { "",         ":",    "host",  "host:",  ":1337",    "host:0",    "host:65536",
                                           "host:12x", "[]:1", "[::1]", "[::1:1", "::1:1337", "[::1]1337", "a b\n:" };
        struct fixture *fixture = *state;
        struct gw_udp_options options = { .size = sizeof options };
        struct gw_link *link = NULL;

        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                options.address = bad[i];
                assert_int_equal(udp_link_open(fixture->loop, &options, &handler, fixture, &link), -EINVAL);
        }
        options.address = NULL;
        assert_int_equal(udp_link_open(fixture->loop, &options, &handler, fixture, &link), -EINVAL);
        options.address = "127.0.0.1:1";
        options.max_datagram = UDP_DATAGRAM_MAX + 1;
        assert_int_equal(udp_link_open(fixture->loop, &options, &handler, fixture, &link), -EINVAL);
        assert_null(link);
}

static void test_too_long_ones_are_refused_and_dropped(void **state) {
        struct fixture *fixture = *state;
        struct udp_link_statistics statistics;
        uint8_t data[UDP_RECEIVE_MAX + 1] = { 0 };

        assert_int_equal(open_link(fixture, "127.0.0.1", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened);
        assert_int_equal(link_send(fixture, data, UDP_DATAGRAM_DEFAULT + 1), -EMSGSIZE);
        assert_int_equal(link_send(fixture, data, UDP_DATAGRAM_DEFAULT), 0);
        assert_int_equal(peer_receive(fixture, data, sizeof data), UDP_DATAGRAM_DEFAULT);
        peer_send(fixture, data, sizeof data);
        peer_send(fixture, data, UDP_RECEIVE_MAX);
        LOOP_UNTIL(fixture->loop, fixture->n_received == 1);
        assert_int_equal(fixture->last_size, UDP_RECEIVE_MAX);
        udp_link_get_statistics(fixture->link, &statistics);
        assert_int_equal(statistics.n_too_long, 1);
        assert_int_equal(statistics.n_received, 1);
        assert_int_equal(statistics.n_sent, 1);
}

static void test_the_largest_datagram_and_an_empty_one(void **state) {
        struct fixture *fixture = *state;
        uint8_t *data = calloc(1, UDP_DATAGRAM_MAX);

        assert_int_equal(open_link(fixture, "127.0.0.1", UDP_DATAGRAM_MAX), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened);
        data[UDP_DATAGRAM_MAX - 1] = 7;
        assert_int_equal(link_send(fixture, data, UDP_DATAGRAM_MAX), 0);
        assert_int_equal(peer_receive(fixture, data, UDP_DATAGRAM_MAX), UDP_DATAGRAM_MAX);
        peer_send(fixture, data, UDP_DATAGRAM_MAX);
        LOOP_UNTIL(fixture->loop, fixture->n_received == 1);
        assert_int_equal(fixture->last_size, UDP_DATAGRAM_MAX);
        assert_int_equal(fixture->last[UDP_DATAGRAM_MAX - 1], 7);
        peer_send(fixture, data, 0);
        LOOP_UNTIL(fixture->loop, fixture->n_received == 2);
        assert_int_equal(fixture->last_size, 0);
        free(data);
}

static void test_a_burst_arrives_in_order(void **state) {
        struct fixture *fixture = *state;
        char text[8];

        assert_int_equal(open_link(fixture, "127.0.0.1", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened);
        assert_int_equal(link_send(fixture, "?", 1), 0);
        peer_receive(fixture, text, sizeof text);
        for (uint8_t i = 0; i < 50; i++)
                peer_send(fixture, &i, 1);
        for (uint8_t i = 0; i < 50; i++)
                LOOP_UNTIL(fixture->loop, fixture->n_received > i);
        assert_int_equal(fixture->n_received, 50);
        assert_int_equal(fixture->last[0], 49);
}

static void test_closing_inside_a_burst_ends_it(void **state) {
        struct fixture *fixture = *state;
        char text[8];

        assert_int_equal(open_link(fixture, "127.0.0.1", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened);
        assert_int_equal(link_send(fixture, "?", 1), 0);
        peer_receive(fixture, text, sizeof text);
        for (uint8_t i = 0; i < 5; i++)
                peer_send(fixture, &i, 1);
        fixture->close_on_receive = true;
        loop_run(fixture->loop);
        assert_int_equal(fixture->n_received, 1);
}

static uint64_t n_refused(struct fixture *fixture) {
        struct udp_link_statistics statistics;

        udp_link_get_statistics(fixture->link, &statistics);
        return statistics.n_refused;
}

static void test_a_peer_that_restarts_does_not_end_the_link(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(open_link(fixture, "127.0.0.1", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened);
        round_trip(fixture);
        close(fixture->peer);
        assert_int_equal(link_send(fixture, "gone", 4), 0);
        LOOP_UNTIL(fixture->loop, n_refused(fixture) == 1);
        /* Also noticed by the next send, when that comes before the loop does. */
        assert_int_equal(link_send(fixture, "gone", 4), 0);
        assert_int_equal(link_send(fixture, "gone", 4), 0);
        assert_true(n_refused(fixture) >= 2);
        fixture->peer = peer_bind(AF_INET, &fixture->port);
        round_trip(fixture);
        assert_false(fixture->closed);
}

static void test_a_full_socket_refuses_and_tells_when_there_is_room(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(open_link(fixture, "127.0.0.1", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened);
        send_error = EAGAIN;
        assert_int_equal(link_send(fixture, "x", 1), -EAGAIN);
        assert_int_equal(fixture->n_writable, 0);
        LOOP_UNTIL(fixture->loop, fixture->n_writable == 1);
        round_trip(fixture);
        loop_turn(fixture->loop);
        assert_int_equal(fixture->n_writable, 1);
}

static void test_a_datagram_without_a_way_is_lost(void **state) {
        static const int losses[] = { ENETUNREACH, EHOSTUNREACH, ENOBUFS, EPERM };
        struct fixture *fixture = *state;
        struct udp_link_statistics statistics;

        assert_int_equal(open_link(fixture, "127.0.0.1", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened);
        for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
                send_error = losses[i];
                assert_int_equal(link_send(fixture, "x", 1), 0);
        }
        udp_link_get_statistics(fixture->link, &statistics);
        assert_int_equal(statistics.n_unsent, 4);
        assert_int_equal(statistics.n_sent, 0);
        send_error = EMSGSIZE;
        assert_int_equal(link_send(fixture, "x", 1), -EMSGSIZE);
        round_trip(fixture);
}

static void test_datagrams_of_others_never_arrive(void **state) {
        struct fixture *fixture = *state;
        uint16_t port = 0;
        int other = peer_bind(AF_INET, &port);
        char text[8];

        assert_int_equal(open_link(fixture, "127.0.0.1", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened);
        assert_int_equal(link_send(fixture, "?", 1), 0);
        peer_receive(fixture, text, sizeof text);
        assert_true(sendto(other, "evil", 4, 0, (struct sockaddr *) &fixture->link_address, fixture->link_address_size) == 4);
        peer_send(fixture, "good", 4);
        LOOP_UNTIL(fixture->loop, fixture->n_received == 1);
        assert_memory_equal(fixture->last, "good", 4);
        close(other);
}

static void test_an_address_that_cannot_be_used_closes(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(open_link(fixture, "255.255.255.255", 0), 0);
        LOOP_UNTIL(fixture->loop, fixture->opened || fixture->closed);
        assert_true(fixture->closed);
        assert_string_equal(fixture->error.name, "link-open-failed");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_opens_later_and_carries_datagrams, setup, teardown),
                cmocka_unit_test_setup_teardown(test_ipv6, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_name_is_resolved, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_name_that_cannot_be_resolved_closes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_closing_while_a_name_is_looked_up, setup, teardown),
                cmocka_unit_test_setup_teardown(test_malformed_addresses_are_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_too_long_ones_are_refused_and_dropped, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_largest_datagram_and_an_empty_one, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_burst_arrives_in_order, setup, teardown),
                cmocka_unit_test_setup_teardown(test_closing_inside_a_burst_ends_it, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_peer_that_restarts_does_not_end_the_link, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_full_socket_refuses_and_tells_when_there_is_room, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_datagram_without_a_way_is_lost, setup, teardown),
                cmocka_unit_test_setup_teardown(test_datagrams_of_others_never_arrive, setup, teardown),
                cmocka_unit_test_setup_teardown(test_an_address_that_cannot_be_used_closes, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
