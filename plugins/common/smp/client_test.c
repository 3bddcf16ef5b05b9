/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/smp/smp_testing.h"

static struct testing_host host;
static struct testing_link link_a, link_b;
static struct smp_client *client;

static struct {
        unsigned n;
        int result;
        struct smp_status status;
        uint64_t off;
        bool has_map, resent, sent;
        uint32_t id, round_trip_ms;
        enum { NOTHING, FREE, DETACH, AGAIN, CANCEL_OTHER } then;
        uint32_t other_id;
} answers;

static unsigned n_opened, n_closing, n_closed, n_refused, n_writable, n_answers_when_closing;
static struct smp_refusal last_refusal;
static bool free_in_refused;

static int request(uint8_t command, uint8_t resends, uint32_t *ret_id);

static void on_done(void *ctx, const struct smp_answer *answer) {
        assert_ptr_equal(ctx, &answers);
        answers.n++;
        answers.result = answer->result;
        answers.status = answer->status;
        answers.has_map = answer->map != NULL;
        answers.id = answer->id;
        answers.resent = answer->resent;
        answers.sent = answer->sent;
        answers.round_trip_ms = answer->round_trip_ms;
        if (answer->map)
                cbor_map_get_uint(answer->map, NULL, "off", UINT32_MAX, &answers.off);
        switch (answers.then) {
        case NOTHING:
                break;
        case FREE:
                smp_client_free(client);
                client = NULL;
                break;
        case DETACH:
                smp_client_detach(client);
                break;
        case AGAIN:
                answers.then = NOTHING;
                request(1, 0, NULL);
                break;
        case CANCEL_OTHER:
                smp_client_cancel(client, answers.other_id);
                break;
        }
}

static void on_opened(void *ctx) {
        assert_ptr_equal(ctx, &host);
        n_opened++;
}

static void on_closing(void *ctx, const struct gw_error *why) {
        (void) ctx;
        assert_string_equal(why->text, "unplugged");
        n_answers_when_closing = answers.n;
        n_closing++;
}

static void on_closed(void *ctx, const struct gw_error *why) {
        (void) ctx;
        assert_string_equal(why->text, "unplugged");
        n_closed++;
}

static void on_refused(void *ctx, const struct smp_refusal *refusal) {
        (void) ctx;
        last_refusal = *refusal;
        n_refused++;
        if (free_in_refused) {
                smp_client_free(client);
                client = NULL;
        }
}

static void on_writable(void *ctx) {
        (void) ctx;
        n_writable++;
}

static const struct smp_client_handler handler = { .opened = on_opened, .closing = on_closing, .closed = on_closed, .refused = on_refused };

/* {} to the image group. */
static int request_with(uint8_t command, uint8_t resends, bool unkept, uint32_t *ret_id) {
        uint8_t frame[SMP_HEADER_SIZE + 1] = { [SMP_HEADER_SIZE] = 0xa0 };
        const struct smp_request wanted = {
                .group = SMP_GROUP_IMAGE,
                .command = command,
                .op = SMP_OP_WRITE,
                .frame = frame,
                .payload_size = 1,
                .timeout_ms = 1000,
                .resends = resends,
                .unkept = unkept,
                .done = on_done,
                .ctx = &answers,
        };

        return smp_client_request(client, &wanted, ret_id);
}

static int request(uint8_t command, uint8_t resends, uint32_t *ret_id) {
        return request_with(command, resends, false, ret_id);
}

static int setup(void **state) {
        struct smp_client_options options = { .first_seq = 1 };

        (void) state;
        memset(&answers, 0, sizeof answers);
        n_opened = n_closing = n_closed = n_refused = n_writable = 0;
        free_in_refused = false;
        testing_host_init(&host);
        testing_link_init(&link_a);
        testing_link_init(&link_b);
        assert_int_equal(smp_client_new(&host.host, &options, &handler, &host, &client), 0);
        smp_client_attach(client, &link_a.link, false);
        assert_int_equal(request(1, 0, NULL), -ENOTCONN);
        testing_link_open(&link_a);
        assert_int_equal(n_opened, 1);
        return 0;
}

static int teardown(void **state) {
        (void) state;
        smp_client_free(client);
        client = NULL;
        assert_null(host.timers); /* nothing is left behind */
        testing_link_deinit(&link_a);
        testing_link_deinit(&link_b);
        testing_host_deinit(&host);
        return 0;
}

static void request_and_answer(void **state) {
        uint32_t id = 0;

        (void) state;
        assert_int_equal(request(1, 2, &id), 0);
        assert_int_not_equal(id, 0);
        assert_int_equal(answers.n, 0);
        assert_true(testing_link_sent_is(&link_a, 0, "0a00000100010101a0"));
        testing_host_advance(&host, 30);
        testing_link_receive_hex(&link_a, "0b00000800010101bf636f6666183fff");
        assert_int_equal(answers.n, 1);
        assert_int_equal(answers.result, 0);
        assert_int_equal(answers.off, 63);
        assert_int_equal(answers.id, id);
        assert_int_equal(answers.round_trip_ms, 30);
        assert_false(answers.resent);
        assert_true(smp_client_was_heard(client));
        testing_host_advance(&host, 100000);
        assert_int_equal(answers.n, 1);
        assert_int_equal(link_a.n_sent, 1);
}

static void only_the_right_answer_matches(void **state) {
        static const char *const others[] = {
                "0b00000100010201a0", /* sequence */
                "0b00000100000101a0", /* group */
                "0b00000100010100a0", /* command */
                "0900000100010101a0", /* op of a read */
        };

        (void) state;
        assert_int_equal(request(1, 0, NULL), 0);
        for (size_t i = 0; i < 4; i++)
                testing_link_receive_hex(&link_a, others[i]);
        assert_int_equal(answers.n, 0);
        assert_int_equal(smp_client_statistics(client)->unexpected, 4);
        testing_link_receive_hex(&link_a, "0b00000100010101a0");
        testing_link_receive_hex(&link_a, "0b00000100010101a0"); /* twice: the second is nobody's */
        assert_int_equal(answers.n, 1);
        assert_int_equal(smp_client_statistics(client)->unexpected, 5);
}

static void garbage_is_counted_and_dropped(void **state) {
        static const char *const garbage[] = {
                "",
                "0b",
                "0b000001000101",
                "0b00ffff00010101a0",
                "ffffffffffffffffffff",
                "0a00000100010101a0",
                "0b00000400010101a1636f66",
                "0b000005000101015b7fffffff",
                "0b0000010001010100",
        };

        (void) state;
        assert_int_equal(request(1, 0, NULL), 0);
        for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++)
                testing_link_receive_hex(&link_a, garbage[i]);
        assert_int_equal(answers.n, 0);
        /* An empty datagram is nothing at all. */
        assert_int_equal(smp_client_statistics(client)->garbage, sizeof garbage / sizeof garbage[0] - 1);
        /* It did answer, but what cannot be decoded: that is another failure than silence. */
        testing_host_advance(&host, 1000);
        assert_int_equal(answers.result, -EBADMSG);
}

static void an_answer_without_a_map_is_a_yes(void **state) {
        (void) state;
        assert_int_equal(request(5, 0, NULL), 0);
        testing_link_receive_hex(&link_a, "0b00000000010105");
        assert_int_equal(answers.n, 1);
        assert_int_equal(answers.result, 0);
        assert_true(answers.has_map);
}

static void several_answers_in_one_datagram(void **state) {
        (void) state;
        assert_int_equal(request(1, 0, NULL), 0);
        assert_int_equal(request(0, 0, NULL), 0);
        testing_link_receive_hex(&link_a, "0b00000100010200a00b00000100010101a0");
        assert_int_equal(answers.n, 2);
        assert_int_equal(answers.result, 0);
}

/* The first answer's callback closes the link: what stands behind it in the datagram is nobody's any more. */
static void rest_of_a_datagram_ends_with_its_link(void **state) {
        (void) state;
        assert_int_equal(request(1, 0, NULL), 0);
        answers.then = DETACH;
        testing_link_receive_hex(&link_a, "0b00000100010101a00b00000100010001a0");
        assert_int_equal(answers.n, 1);
        assert_int_equal(smp_client_statistics(client)->unexpected, 0);
}

static void refusals_are_told(void **state) {
        (void) state;
        assert_int_equal(request(1, 2, NULL), 0);
        testing_link_receive_hex(&link_a, "0b00001100010101a163657272a26567726f75700162726309");
        assert_int_equal(answers.result, -EREMOTEIO);
        assert_true(smp_status_is_group(&answers.status, SMP_GROUP_IMAGE, SMP_IMAGE_CODE_NO_FREE_SLOT));
        assert_int_equal(n_refused, 1);
        assert_int_equal(last_refusal.command, 1);
        assert_int_equal(last_refusal.op, SMP_OP_WRITE);
        assert_int_equal(last_refusal.status.code, 9);
}

static void silence_is_asked_again(void **state) {
        (void) state;
        assert_int_equal(request(1, 2, NULL), 0);
        testing_host_advance(&host, 999);
        assert_int_equal(link_a.n_sent, 1);
        testing_host_advance(&host, 1);
        assert_int_equal(link_a.n_sent, 2);
        assert_true(testing_link_sent_is(&link_a, 1, "0a00000100010101a0")); /* the same request */
        testing_host_advance(&host, 1000);
        assert_int_equal(link_a.n_sent, 3);
        testing_host_advance(&host, 999);
        assert_int_equal(answers.n, 0);
        testing_host_advance(&host, 1);
        assert_int_equal(answers.n, 1);
        assert_int_equal(answers.result, -ETIMEDOUT);
        assert_int_equal(smp_client_statistics(client)->timeouts, 1);
        assert_int_equal(smp_client_statistics(client)->resends, 2);
        testing_host_advance(&host, 100000);
        assert_int_equal(answers.n, 1);
}

/* A device whose round trip is known gets one resend before the time, and then as many as any other. */
static void a_lost_datagram_costs_little(void **state) {
        (void) state;
        assert_int_equal(request(1, 2, NULL), 0);
        testing_host_advance(&host, 10);
        testing_link_receive_hex(&link_a, "0b00000100010101a0");
        assert_int_equal(request(1, 2, NULL), 0);
        testing_host_advance(&host, 329);
        assert_int_equal(link_a.n_sent, 2);
        testing_host_advance(&host, 1);
        assert_true(testing_link_sent_is(&link_a, 2, "0a00000100010201a0"));
        testing_host_advance(&host, 999);
        assert_int_equal(link_a.n_sent, 3);
        testing_host_advance(&host, 100000);
        assert_int_equal(link_a.n_sent, 5);
        assert_int_equal(answers.n, 2);
        assert_int_equal(answers.result, -ETIMEDOUT);
        /* Not for a request that must not be repeated. */
        assert_int_equal(request(5, 0, NULL), 0);
        testing_host_advance(&host, 100000);
        assert_int_equal(link_a.n_sent, 6);
}

static void answer_to_the_first_sending_after_the_second(void **state) {
        (void) state;
        assert_int_equal(request(1, 2, NULL), 0);
        testing_host_advance(&host, 1200);
        assert_int_equal(link_a.n_sent, 2);
        testing_link_receive_hex(&link_a, "0b00000100010101a0");
        assert_int_equal(answers.n, 1);
        assert_true(answers.resent);
        testing_link_receive_hex(&link_a, "0b00000100010101a0");
        assert_int_equal(answers.n, 1);
}

/* Nobody ever answered: the last try is SMP version 1. */
static void silent_peer_is_tried_in_version_1(void **state) {
        (void) state;
        assert_int_equal(request(1, 2, NULL), 0);
        testing_host_advance(&host, 2000);
        assert_true(testing_link_sent_is(&link_a, 1, "0a00000100010101a0"));
        assert_true(testing_link_sent_is(&link_a, 2, "0200000100010101a0"));
        testing_link_receive_hex(&link_a, "0300000100010101a0");
        assert_int_equal(answers.result, 0);
        assert_int_equal(smp_client_version(client), SMP_VERSION_1);
        assert_int_equal(request(1, 2, NULL), 0);
        assert_true(testing_link_sent_is(&link_a, 3, "0200000100010201a0"));
}

/* It was only slow: its answer shows that it knows version 2. */
static void slow_peer_stays_at_version_2(void **state) {
        (void) state;
        assert_int_equal(request(1, 2, NULL), 0);
        testing_host_advance(&host, 2000);
        testing_link_receive_hex(&link_a, "0b00000100010101a0");
        assert_int_equal(smp_client_version(client), SMP_VERSION_2);
}

static void version_answers_of_a_version_1_server(void **state) {
        (void) state;
        /* Answers with a version 1 head to a version 2 request are fine and change nothing. */
        assert_int_equal(request(1, 2, NULL), 0);
        testing_link_receive_hex(&link_a, "0300000500010101a162726308");
        assert_int_equal(answers.result, -EREMOTEIO);
        assert_int_equal(smp_client_version(client), SMP_VERSION_2);
        /* rc 13: the same request at once as version 1; its refusal is not a person's business. */
        n_refused = 0;
        assert_int_equal(request(1, 2, NULL), 0);
        testing_link_receive_hex(&link_a, "0300000500010201a16272630d");
        assert_true(testing_link_sent_is(&link_a, 2, "0200000100010201a0"));
        assert_int_equal(answers.n, 1);
        testing_link_receive_hex(&link_a, "0300000100010201a0");
        assert_int_equal(answers.n, 2);
        assert_int_equal(answers.result, 0);
        assert_int_equal(n_refused, 0);
        assert_int_equal(smp_client_version(client), SMP_VERSION_1);
}

static void version_refused_both_ways_ends(void **state) {
        (void) state;
        assert_int_equal(request(1, 2, NULL), 0);
        testing_link_receive_hex(&link_a, "0300000500010101a16272630d");
        testing_link_receive_hex(&link_a, "0300000500010101a16272630c");
        assert_int_equal(answers.n, 1);
        assert_int_equal(answers.result, -EREMOTEIO);
        assert_true(smp_status_is_rc(&answers.status, SMP_RC_VERSION_TOO_OLD));
        assert_int_equal(link_a.n_sent, 2);
}

static void cancel_comes_later(void **state) {
        uint32_t id;

        (void) state;
        assert_int_equal(request(1, 2, &id), 0);
        smp_client_cancel(client, id);
        smp_client_cancel(client, id);
        assert_int_equal(answers.n, 0);
        testing_link_receive_hex(&link_a, "0b00000100010101a0"); /* too late */
        assert_int_equal(answers.n, 0);
        testing_host_advance(&host, 0);
        assert_int_equal(answers.n, 1);
        assert_int_equal(answers.result, -ECANCELED);
        smp_client_cancel(client, id);
        smp_client_cancel(client, 0);
        smp_client_cancel(client, 12345);
        testing_host_advance(&host, 10000);
        assert_int_equal(answers.n, 1);
}

static void forget_is_silent(void **state) {
        uint32_t id;

        (void) state;
        assert_int_equal(request(1, 2, &id), 0);
        smp_client_forget(client, id);
        testing_link_receive_hex(&link_a, "0b00000100010101a0");
        testing_host_advance(&host, 10000);
        assert_int_equal(answers.n, 0);
        assert_int_equal(smp_client_statistics(client)->unexpected, 1);
}

static void lost_link_ends_all(void **state) {
        (void) state;
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(request(1, 2, NULL), 0);
        testing_link_lose(&link_a);
        assert_int_equal(answers.n, 3);
        assert_int_equal(answers.result, -ENOTCONN);
        assert_true(answers.sent);
        assert_int_equal(n_closing, 1);
        assert_int_equal(n_answers_when_closing, 0); /* the reason is told first */
        assert_int_equal(n_closed, 1);
        assert_int_equal(request(1, 2, NULL), -ENOTCONN);
        /* The next link. */
        smp_client_detach(client);
        assert_true(link_a.closed);
        smp_client_attach(client, &link_b.link, true);
        assert_int_equal(request(1, 2, NULL), 0);
        assert_int_equal(link_b.n_sent, 1);
}

static void detach_ends_later(void **state) {
        (void) state;
        assert_int_equal(request(1, 2, NULL), 0);
        smp_client_detach(client);
        assert_int_equal(answers.n, 0);
        testing_host_advance(&host, 0);
        assert_int_equal(answers.n, 1);
        assert_int_equal(answers.result, -ENOTCONN);
        assert_int_equal(n_closed, 0);
}

static void sequence_numbers_wrap_and_skip_those_in_use(void **state) {
        uint32_t id;

        (void) state;
        assert_int_equal(request(1, 0, &id), 0); /* 1 stays in flight */
        for (unsigned i = 0; i < 300; i++) {
                char hex[32];

                assert_int_equal(request(1, 0, NULL), 0);
                snprintf(hex, sizeof hex, "0b0000010001%02x01a0", link_a.sent[link_a.n_sent - 1].data[6]);
                assert_int_not_equal(link_a.sent[link_a.n_sent - 1].data[6], 1);
                testing_link_receive_hex(&link_a, hex);
                assert_int_equal(answers.n, i + 1);
                testing_link_deinit(&link_a);
                testing_host_advance(&host, 1);
        }
        testing_link_receive_hex(&link_a, "0b00000100010101a0");
        assert_int_equal(answers.id, id);
}

static void table_full(void **state) {
        (void) state;
        for (unsigned i = 0; i < SMP_FLIGHTS_MAX; i++)
                assert_int_equal(request(1, 0, NULL), 0);
        assert_int_equal(request(1, 0, NULL), -EBUSY);
        testing_host_advance(&host, 1000);
        assert_int_equal(answers.n, SMP_FLIGHTS_MAX);
        assert_int_equal(request(1, 0, NULL), 0);
}

static void full_link(void **state) {
        (void) state;
        link_a.n_room = 0;
        smp_client_on_writable(client, on_writable, NULL);
        assert_int_equal(request_with(1, 0, true, NULL), -EAGAIN);
        assert_int_equal(request(1, 2, NULL), 0); /* waits in its copy */
        assert_int_equal(link_a.n_sent, 0);
        link_a.n_room = 5;
        testing_link_writable(&link_a);
        assert_int_equal(n_writable, 1);
        /* The sequence number of the request that never left was not lost. */
        assert_true(testing_link_sent_is(&link_a, 0, "0a00000100010101a0"));
        testing_link_receive_hex(&link_a, "0b00000100010101a0");
        assert_int_equal(answers.n, 1);
        assert_false(answers.resent);
}

static void full_link_for_ever(void **state) {
        (void) state;
        link_a.n_room = 0;
        assert_int_equal(request(1, 2, NULL), 0);
        testing_host_advance(&host, 3000);
        assert_int_equal(answers.n, 1);
        assert_int_equal(answers.result, -ETIMEDOUT);
        assert_false(answers.sent);
}

static void requests_that_cannot_be(void **state) {
        static uint8_t frame[3000];
        struct smp_request wanted = {
                .group = 1, .op = SMP_OP_WRITE, .frame = frame, .payload_size = 1465, .done = on_done, .ctx = &answers
        };

        (void) state;
        assert_int_equal(smp_client_request(client, &wanted, NULL), -EMSGSIZE);
        wanted.payload_size = 1464;
        assert_int_equal(smp_client_request(client, &wanted, NULL), 0);
        wanted.op = SMP_OP_READ_ANSWER;
        assert_int_equal(smp_client_request(client, &wanted, NULL), -EINVAL);
        link_a.send_result = -EIO;
        assert_int_equal(request(1, 0, NULL), -EIO);
        assert_int_equal(answers.n, 0);
}

static void callbacks_may_do_anything(void **state) {
        (void) state;
        answers.then = AGAIN;
        assert_int_equal(request(1, 0, NULL), 0);
        testing_link_receive_hex(&link_a, "0b00000100010101a0");
        assert_int_equal(link_a.n_sent, 2);
        answers.then = CANCEL_OTHER;
        assert_int_equal(request(1, 0, &answers.other_id), 0);
        testing_link_receive_hex(&link_a, "0b00000100010201a0");
        answers.then = NOTHING;
        testing_host_advance(&host, 0);
        assert_int_equal(answers.n, 3);
        assert_int_equal(answers.result, -ECANCELED);
        answers.then = DETACH;
        assert_int_equal(request(1, 0, NULL), 0);
        assert_int_equal(request(1, 0, NULL), 0);
        testing_link_receive_hex(&link_a, "0b00000100010401a00b00000100010501a0");
        assert_int_equal(answers.n, 4);
        testing_host_advance(&host, 0);
        assert_int_equal(answers.n, 5);
        assert_int_equal(answers.result, -ENOTCONN);
}

/* From each place that calls back. */
static void freed_from_inside(void **state) {
        for (unsigned place = 0; place < 4; place++) {
                teardown(state);
                setup(state);
                answers.then = FREE;
                assert_int_equal(request(1, 0, NULL), 0);
                assert_int_equal(request(1, 0, NULL), 0);
                if (place == 0) {
                        testing_link_receive_hex(&link_a, "0b00000100010101a00b00000100010201a0");
                } else if (place == 1) {
                        testing_host_advance(&host, 1000);
                } else if (place == 2) {
                        testing_link_lose(&link_a);
                } else {
                        free_in_refused = true;
                        answers.then = NOTHING;
                        testing_link_receive_hex(&link_a, "0300000500010101a162726306");
                }
                assert_null(client);
                assert_int_equal(answers.n, place == 3 ? 0 : 1);
                assert_true(link_a.closed);
        }
}

static void named_errors(void **state) {
        static const struct {
                int result;
                const char *name;
        } cases[] = {
                { -EREMOTEIO, "smp-refused" }, { -ETIMEDOUT, "smp-no-answer" }, { -EBADMSG, "smp-bad-answer" }, { -ENOTCONN, "link-lost" }
        };

        (void) state;
        for (size_t i = 0; i < 4; i++) {
                struct smp_answer answer = { .result = cases[i].result, .status = { .refused = true, .code = 6 } };
                struct gw_error err;

                smp_answer_error(&answer, "image state", &err);
                assert_string_equal(err.name, cases[i].name);
                assert_non_null(strstr(err.text, "image state"));
                smp_answer_error(&answer, "image state", NULL);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(request_and_answer),
                TEST(only_the_right_answer_matches),
                TEST(garbage_is_counted_and_dropped),
                TEST(an_answer_without_a_map_is_a_yes),
                TEST(several_answers_in_one_datagram),
                TEST(rest_of_a_datagram_ends_with_its_link),
                TEST(refusals_are_told),
                TEST(silence_is_asked_again),
                TEST(a_lost_datagram_costs_little),
                TEST(answer_to_the_first_sending_after_the_second),
                TEST(silent_peer_is_tried_in_version_1),
                TEST(slow_peer_stays_at_version_2),
                TEST(version_answers_of_a_version_1_server),
                TEST(version_refused_both_ways_ends),
                TEST(cancel_comes_later),
                TEST(forget_is_silent),
                TEST(lost_link_ends_all),
                TEST(detach_ends_later),
                TEST(sequence_numbers_wrap_and_skip_those_in_use),
                TEST(table_full),
                TEST(full_link),
                TEST(full_link_for_ever),
                TEST(requests_that_cannot_be),
                TEST(callbacks_may_do_anything),
                TEST(freed_from_inside),
                TEST(named_errors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
