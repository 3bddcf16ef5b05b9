/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/datagram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "loop/test_support.h"

struct fixture {
        struct loop *loop;
        struct datagram *datagram;
        int peer;
        size_t n_received, n_bytes, n_writable, n_ended;
        bool close_on_receive;
};

static void on_received(void *ctx, const uint8_t *data, size_t size) {
        struct fixture *fixture = ctx;

        assert_int_equal(data[0], 'x');
        fixture->n_received++;
        fixture->n_bytes += size;
        if (fixture->close_on_receive) {
                datagram_close(fixture->datagram);
                fixture->datagram = NULL;
        }
}

static void on_writable(void *ctx) {
        ((struct fixture *) ctx)->n_writable++;
}

static void on_ended(void *ctx) {
        ((struct fixture *) ctx)->n_ended++;
}

static const struct datagram_handler handler = { on_received, on_writable, on_ended };

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);
        int ends[2];

        assert_int_equal(loop_new(&fixture->loop), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        fixture->peer = ends[1];
        assert_int_equal(datagram_open(fixture->loop, ends[0], &handler, fixture, &fixture->datagram), 0);
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        datagram_close(fixture->datagram);
        if (fixture->peer >= 0)
                close(fixture->peer);
        loop_free(fixture->loop);
        free(fixture);
        return 0;
}

static void test_both_directions(void **state) {
        struct fixture *fixture = *state;
        char got[16];

        assert_int_equal(write(fixture->peer, "xyz", 3), 3);
        assert_int_equal(write(fixture->peer, "xy", 2), 2);
        LOOP_UNTIL(fixture->loop, fixture->n_received == 2);
        assert_int_equal(fixture->n_bytes, 5);
        assert_int_equal(datagram_send(fixture->datagram, "hello", 5), 0);
        assert_true(datagram_queued_bytes(fixture->datagram) > 0);
        assert_int_equal(read(fixture->peer, got, sizeof got), 5);
        assert_int_equal(datagram_queued_bytes(fixture->datagram), 0);
}

static void test_full_and_writable_again(void **state) {
        struct fixture *fixture = *state;
        char block[512] = "x";
        int r;

        while ((r = datagram_send(fixture->datagram, block, sizeof block)) == 0)
                ;
        assert_int_equal(r, -EAGAIN);
        loop_turn(fixture->loop);
        assert_int_equal(fixture->n_writable, 0);
        while (recv(fixture->peer, block, sizeof block, MSG_DONTWAIT) > 0)
                ;
        LOOP_UNTIL(fixture->loop, fixture->n_writable == 1);
        assert_int_equal(datagram_send(fixture->datagram, block, sizeof block), 0);
}

static void test_end(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(write(fixture->peer, "x", 1), 1);
        close(fixture->peer);
        fixture->peer = -1;
        LOOP_UNTIL(fixture->loop, fixture->n_ended == 1);
        assert_int_equal(fixture->n_received, 1); /* what came before it */
        assert_int_equal(datagram_send(fixture->datagram, "y", 1), -EPIPE);
}

static void test_closed_while_receiving(void **state) {
        struct fixture *fixture = *state;

        fixture->close_on_receive = true;
        assert_int_equal(write(fixture->peer, "x", 1), 1);
        assert_int_equal(write(fixture->peer, "x", 1), 1);
        LOOP_UNTIL(fixture->loop, fixture->n_received > 0);
        loop_turn(fixture->loop);
        assert_int_equal(fixture->n_received, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_both_directions, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full_and_writable_again, setup, teardown),
                cmocka_unit_test_setup_teardown(test_end, setup, teardown),
                cmocka_unit_test_setup_teardown(test_closed_while_receiving, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
