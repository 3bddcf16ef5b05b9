/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A transport that is played: what gateways there are, which requests get lost, and what is said to the others. */

#define SENT_MAX 16
#define STEPS_MAX 16

struct fake;

/* What happens when a request was sent: one after the other, the last one again and again. */
typedef void (*fake_step)(struct fake *fake);

struct fake {
        struct transport transport;
        struct loop *loop;
        struct loop_deferral *deferral;
        struct loop_deferral *answer;
        const char *statuses[8][2]; /* id, document */
        fake_step steps[STEPS_MAX];
        size_t n_steps, at;
        char sent[SENT_MAX][64]; /* "group oslo", "gateway pi-1" */
        int64_t ids[SENT_MAX];
        size_t n_sent;
        struct failure failure;
        struct client *client;
};

static void say_status(struct fake *fake, const char *id, const char *text) {
        const struct transport_document document = {
                .kind = TRANSPORT_STATUS, .of = { AUDIENCE_GATEWAY, id }, .text = text, .size = strlen(text)
        };

        fake->transport.handler->document(fake->transport.ctx, &document);
}

static void say(struct fake *fake, const char *text) {
        fake->transport.handler->message(fake->transport.ctx, text, strlen(text));
}

/* The answer of a gateway to the n-th request that was sent. */
static void reply(struct fake *fake, size_t n, const char *gateway, const char *result) {
        char text[512];

        str_format(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":%" PRId64 ",\"gateway\":\"%s\",\"result\":%s}", fake->ids[n], gateway,
                   result);
        say(fake, text);
}

static void refuse(struct fake *fake, size_t n, const char *gateway, const char *name) {
        char text[512];

        str_format(text, sizeof text,
                   "{\"jsonrpc\":\"2.0\",\"id\":%" PRId64
                   ",\"gateway\":\"%s\",\"error\":{\"code\":-32000,\"message\":\"no\",\"data\":{\"name\":\"%s\","
                   "\"text\":\"it says no\",\"advice\":\"Ask kindly.\",\"errors\":[{\"path\":\"id\",\"text\":\"is wrong\"}]}}}",
                   fake->ids[n], gateway, name);
        say(fake, text);
}

static void on_opened(void *ctx) {
        struct fake *fake = ctx;

        fake->deferral = NULL;
        fake->transport.handler->opened(fake->transport.ctx);
}

static int fake_open(struct transport *transport, struct gw_error *err) {
        struct fake *fake = (struct fake *) transport;

        (void) err;
        return loop_defer(fake->loop, on_opened, fake, &fake->deferral);
}

static bool fake_is_open(const struct transport *transport) {
        (void) transport;
        return true;
}

static void fake_close(struct transport *transport) {
        (void) transport;
}

static void on_step(void *ctx) {
        struct fake *fake = ctx;
        fake_step step = fake->n_steps > 0 ? fake->steps[fake->at] : NULL;

        fake->answer = NULL;
        if (fake->at + 1 < fake->n_steps)
                fake->at++;
        if (step)
                step(fake);
}

static int fake_send(struct transport *transport, const struct transport_request *request) {
        struct fake *fake = (struct fake *) transport;

        if (request->fd >= 0)
                return -EOPNOTSUPP;
        assert_true(fake->n_sent < SENT_MAX);
        audience_text(request->audience, fake->sent[fake->n_sent], sizeof fake->sent[0]);
        fake->ids[fake->n_sent++] = request->id;
        if (!fake->answer)
                assert_int_equal(loop_defer(fake->loop, on_step, fake, &fake->answer), 0);
        return 0;
}

static void on_settled(void *ctx) {
        struct fake *fake = ctx;

        fake->deferral = NULL;
        for (size_t i = 0; fake->statuses[i][0]; i++)
                say_status(fake, fake->statuses[i][0], fake->statuses[i][1]);
        fake->transport.handler->settled(fake->transport.ctx, NULL);
}

static int fake_documents(struct transport *transport, const struct transport_interest *interest) {
        struct fake *fake = (struct fake *) transport;

        assert_int_equal(interest->kinds, TRANSPORT_STATUS);
        return loop_defer(fake->loop, on_settled, fake, &fake->deferral);
}

static const struct transport_ops fake_ops = {
        .open = fake_open,
        .is_open = fake_is_open,
        .close = fake_close,
        .free = fake_close,
        .send = fake_send,
        .documents = fake_documents,
};

static int make_fake(void *ctx, struct loop *loop, const struct transport_handler *handler, void *handler_ctx,
                     struct transport **ret_transport) {
        struct fake *fake = ctx;

        fake->transport =
                (struct transport){ .ops = &fake_ops, .handler = handler, .ctx = handler_ctx, .label = "mqtts://fake", .text_max = 4096 };
        fake->loop = loop;
        *ret_transport = &fake->transport;
        return 0;
}

#define ONLINE(groups) "{\"state\":\"online\",\"groups\":[" groups "]}"
#define OFFLINE(groups) "{\"state\":\"offline\",\"groups\":[" groups "]}"

static void begin(struct fake *fake, struct audience audience) {
        const struct client_place place = { .make = make_fake, .ctx = fake, .audience = audience, .repeat_ms = 2, .lost_ms = 4 };

        assert_int_equal(loop_new(&fake->loop), 0);
        assert_int_equal(client_new(fake->loop, &place, &fake->client, &fake->failure), 0);
}

static void end(struct fake *fake) {
        client_free(fake->client);
        loop_defer_cancel(fake->answer);
        loop_free(fake->loop);
        failure_deinit(&fake->failure);
}

static const struct audience oslo = { AUDIENCE_GROUP, "oslo" };
static const struct audience pi_1 = { AUDIENCE_GATEWAY, "pi-1" };
static const struct client_request info = { .method = "gateway.info", .timeout_ms = -1 };

static void assert_answer(const struct answers *answers, size_t index, const char *gateway, enum answer_state state, const char *name) {
        assert_true(index < answers->n_items);
        assert_string_equal(answers->items[index].gateway, gateway);
        assert_int_equal(answers->items[index].state, state);
        if (name)
                assert_string_equal(answers->items[index].failure.err.name, name);
}

/* --- one gateway --- */

static void answer_pi_1(struct fake *fake) {
        reply(fake, 0, "pi-1", "{\"id\":\"pi-1\"}");
}

static void test_one(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("") }, { "pi-2", ONLINE("") } }, .steps = { answer_pi_1 }, .n_steps = 1 };
        _cleanup_json_ struct json *result = NULL;

        (void) state;
        begin(&fake, pi_1);
        assert_int_equal(client_call(fake.client, &info, &result, &fake.failure), 0);
        assert_string_equal(json_member_text(result, "id"), "pi-1");
        assert_int_equal(fake.n_sent, 1);
        assert_string_equal(fake.sent[0], "gateway pi-1");
        assert_string_equal(client_gateway(fake.client), "pi-1");
        end(&fake);
}

static void test_one_that_is_away(void **state) {
        struct fake fake = { .statuses = { { "pi-1", OFFLINE("") } } };
        struct json *result;

        (void) state;
        begin(&fake, pi_1);
        assert_true(client_call(fake.client, &info, &result, &fake.failure) < 0);
        assert_string_equal(fake.failure.err.name, "gateway-offline");
        assert_int_equal(fake.failure.exit_code, EXIT_CODE_NO_DAEMON);
        assert_int_equal(fake.n_sent, 0);
        end(&fake);
}

static void test_one_without_a_status(void **state) {
        const struct client_request request = { .method = "gateway.info", .timeout_ms = 5 };
        struct fake fake = { 0 };
        struct json *result;

        (void) state;
        begin(&fake, pi_1);
        assert_true(client_call(fake.client, &request, &result, &fake.failure) < 0);
        assert_string_equal(fake.failure.err.name, "gateway-unknown");
        assert_true(fake.n_sent > 0);
        end(&fake);
}

static void refuse_pi_1(struct fake *fake) {
        refuse(fake, 0, "pi-1", "device-unknown");
}

static void test_a_refusal(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("") } }, .steps = { refuse_pi_1 }, .n_steps = 1 };
        struct json *result;

        (void) state;
        begin(&fake, pi_1);
        assert_true(client_call(fake.client, &info, &result, &fake.failure) < 0);
        assert_string_equal(fake.failure.err.name, "device-unknown");
        assert_string_equal(fake.failure.advice, "Ask kindly.");
        assert_int_equal(json_length(fake.failure.mistakes), 1);
        end(&fake);
}

/* --- several --- */

static void answer_group(struct fake *fake) {
        reply(fake, 0, "pi-3", "{\"n\":3}");
        reply(fake, 0, "pi-1", "{\"n\":1}");
        reply(fake, 0, "pi-1", "{\"n\":100}"); /* twice */
}

static void test_a_group(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("\"oslo\"") },
                                           { "pi-2", OFFLINE("\"oslo\"") },
                                           { "pi-3", ONLINE("\"oslo\",\"x\"") },
                                           { "pi-4", ONLINE("\"x\"") } },
                             .steps = { answer_group },
                             .n_steps = 1 };
        _cleanup_answers_ struct answers answers = { 0 };
        int64_t n = 0;

        (void) state;
        begin(&fake, oslo);
        assert_int_equal(client_gather(fake.client, &info, &answers, &fake.failure), 0);
        assert_int_equal(answers.n_items, 3);
        assert_answer(&answers, 0, "pi-1", ANSWER_RESULT, NULL);
        assert_answer(&answers, 1, "pi-2", ANSWER_NONE, "gateway-offline");
        assert_answer(&answers, 2, "pi-3", ANSWER_RESULT, NULL);
        json_member_int(answers.items[0].result, "n", 0, 1000, &n);
        assert_int_equal(n, 1);
        assert_int_equal(fake.n_sent, 1);
        assert_string_equal(fake.sent[0], "group oslo");
        end(&fake);
}

/* A question for one cannot go to several by mistake. */
static void test_one_of_a_group_is_not_guessed(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("\"oslo\"") } } };
        struct json *result;

        (void) state;
        begin(&fake, oslo);
        assert_true(client_call(fake.client, &info, &result, &fake.failure) < 0);
        assert_int_equal(fake.failure.exit_code, EXIT_CODE_USAGE);
        assert_int_equal(fake.n_sent, 0);
        end(&fake);
}

static void test_a_group_that_nobody_is_in(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("\"x\"") } } };
        _cleanup_answers_ struct answers answers = { 0 };

        (void) state;
        begin(&fake, oslo);
        assert_true(client_gather(fake.client, &info, &answers, &fake.failure) < 0);
        assert_string_equal(fake.failure.err.name, "gateway-unknown");
        assert_int_equal(fake.n_sent, 0);
        end(&fake);
}

static bool is_pi_3(void *ctx, const char *gateway, const struct str_list *groups) {
        (void) ctx;
        assert_int_equal(groups->n_items, 1);
        return strcmp(gateway, "pi-3") == 0;
}

static void answer_pi_3(struct fake *fake) {
        reply(fake, 0, "pi-3", "{}");
}

static void test_those_that_are_meant(void **state) {
        const struct client_request request = { .method = "campaign.start", .timeout_ms = -1, .is_meant = is_pi_3 };
        struct fake fake = { .statuses = { { "pi-1", ONLINE("\"oslo\"") }, { "pi-3", ONLINE("\"oslo\"") } },
                             .steps = { answer_pi_3 },
                             .n_steps = 1 };
        _cleanup_answers_ struct answers answers = { 0 };

        (void) state;
        begin(&fake, oslo);
        assert_int_equal(client_gather(fake.client, &request, &answers, &fake.failure), 0);
        assert_int_equal(answers.n_items, 1);
        assert_answer(&answers, 0, "pi-3", ANSWER_RESULT, NULL);
        end(&fake);
}

/* --- what goes wrong on the way --- */

static void answer_only_pi_1(struct fake *fake) {
        reply(fake, 0, "pi-1", "{}");
}

static void answer_late(struct fake *fake) {
        reply(fake, fake->n_sent - 1, "pi-3", "{}");
}

static int renew(void *ctx, struct json **ret_params, struct failure *failure) {
        (void) failure;
        (*(size_t *) ctx)++;
        *ret_params = json_new_object();
        return 0;
}

static void test_what_was_lost_is_sent_again(void **state) {
        size_t n_renewed = 0;
        const struct client_request request = {
                .method = "campaign.resume", .timeout_ms = 100000, .renew = renew, .renew_ctx = &n_renewed
        };
        struct fake fake = { .statuses = { { "pi-1", ONLINE("\"oslo\"") }, { "pi-3", ONLINE("\"oslo\"") } },
                             .steps = { answer_only_pi_1, answer_late },
                             .n_steps = 2 };
        _cleanup_answers_ struct answers answers = { 0 };

        (void) state;
        begin(&fake, oslo);
        assert_int_equal(client_gather(fake.client, &request, &answers, &fake.failure), 0);
        assert_answer(&answers, 0, "pi-1", ANSWER_RESULT, NULL);
        assert_answer(&answers, 1, "pi-3", ANSWER_RESULT, NULL);
        assert_string_equal(fake.sent[0], "group oslo");
        for (size_t i = 1; i < fake.n_sent; i++) {
                assert_string_equal(fake.sent[i], "gateway pi-3");
                assert_true(fake.ids[i] > fake.ids[i - 1]);
        }
        assert_int_equal(n_renewed, fake.n_sent - 1);
        assert_true(fake.n_sent >= 2);
        end(&fake);
}

static void test_silence(void **state) {
        const struct client_request request = { .method = "gateway.info", .timeout_ms = 300, .once = true };
        struct fake fake = { .statuses = { { "pi-1", ONLINE("\"oslo\"") }, { "pi-3", ONLINE("\"oslo\"") } },
                             .steps = { answer_only_pi_1 },
                             .n_steps = 1 };
        _cleanup_answers_ struct answers answers = { 0 };

        (void) state;
        begin(&fake, oslo);
        assert_int_equal(client_gather(fake.client, &request, &answers, &fake.failure), 0);
        assert_answer(&answers, 0, "pi-1", ANSWER_RESULT, NULL);
        assert_answer(&answers, 1, "pi-3", ANSWER_NONE, "reply-timeout");
        assert_int_equal(answers.items[1].failure.exit_code, EXIT_CODE_UNFINISHED);
        assert_int_equal(fake.n_sent, 1);
        end(&fake);
}

static void go_away(struct fake *fake) {
        say_status(fake, "pi-1", "{\"state\":\"offline\"}");
}

/* Also where there is no time limit. */
static void test_one_that_goes_away_meanwhile(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("") } }, .steps = { go_away }, .n_steps = 1 };
        struct json *result;

        (void) state;
        begin(&fake, pi_1);
        assert_true(client_call(fake.client, &info, &result, &fake.failure) < 0);
        assert_string_equal(fake.failure.err.name, "gateway-offline");
        end(&fake);
}

static void go_away_and_come_back(struct fake *fake) {
        say_status(fake, "pi-1", "{\"state\":\"offline\"}");
        say_status(fake, "pi-1", ONLINE(""));
}

static void answer_last(struct fake *fake) {
        reply(fake, fake->n_sent - 1, "pi-1", "{}");
}

static void test_one_that_restarts_meanwhile(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("") } }, .steps = { go_away_and_come_back, answer_last }, .n_steps = 2 };
        _cleanup_json_ struct json *result = NULL;

        (void) state;
        begin(&fake, pi_1);
        assert_int_equal(client_call(fake.client, &info, &result, &fake.failure), 0);
        assert_true(fake.n_sent >= 2);
        end(&fake);
}

static void say_nonsense(struct fake *fake) {
        say(fake, "nonsense");
        say(fake, "[]");
        say(fake, "{\"jsonrpc\":\"2.0\",\"id\":1,\"gateway\":\"pi-1\",\"result\":{\"wrong\":1}}"); /* somebody else's */
        say(fake, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":\"x\"}}");
        reply(fake, 0, "pi-9", "{\"wrong\":1}");
        reply(fake, 0, "Not An Id", "{\"wrong\":1}");
        reply(fake, 0, "pi-1", "{\"right\":true}");
}

static void test_others_may_say_anything(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("") } }, .steps = { say_nonsense }, .n_steps = 1 };
        _cleanup_json_ struct json *result = NULL;

        (void) state;
        begin(&fake, pi_1);
        assert_int_equal(client_call(fake.client, &info, &result, &fake.failure), 0);
        assert_true(json_has(result, "right"));
        end(&fake);
}

static void refuse_at_broker(struct fake *fake) {
        const struct gw_error err = { .name = "broker-refused", .text = "not authorized" };

        fake->transport.handler->refused(fake->transport.ctx, &err);
}

static void test_the_broker_refuses(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("") } }, .steps = { refuse_at_broker }, .n_steps = 1 };
        struct json *result;

        (void) state;
        begin(&fake, pi_1);
        assert_true(client_call(fake.client, &info, &result, &fake.failure) < 0);
        assert_string_equal(fake.failure.err.name, "broker-refused");
        end(&fake);
}

static void break_connection(struct fake *fake) {
        const struct gw_error err = { .name = "broker-lost", .text = "gone" };

        fake->transport.handler->closed(fake->transport.ctx, &err);
}

static void test_the_connection_breaks(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("") } }, .steps = { break_connection }, .n_steps = 1 };
        struct json *result;

        (void) state;
        begin(&fake, pi_1);
        assert_true(client_call(fake.client, &info, &result, &fake.failure) < 0);
        assert_string_equal(fake.failure.err.name, "broker-lost");
        assert_int_equal(fake.failure.exit_code, EXIT_CODE_NO_DAEMON);
        assert_false(client_is_connected(fake.client));
        assert_int_equal(client_wait(fake.client, -1), -EPIPE);
        assert_int_equal(client_reconnect(fake.client, &fake.failure), 0);
        assert_true(client_is_connected(fake.client));
        end(&fake);
}

static void test_what_cannot_be_sent(void **state) {
        struct fake fake = { .statuses = { { "pi-1", ONLINE("") } } };
        const struct client_request file = { .method = "artifact.import", .with_fd = true, .fd = 0 };
        struct client_request large = { .method = "campaign.start" };
        char text[5000];
        struct json *result;

        (void) state;
        begin(&fake, pi_1);
        assert_true(client_call(fake.client, &file, &result, &fake.failure) < 0);
        assert_int_equal(fake.failure.exit_code, EXIT_CODE_USAGE);
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        large.params = json_new_object();
        assert_int_equal(json_set_string(large.params, "jws", text), 0);
        assert_true(client_call(fake.client, &large, &result, &fake.failure) < 0);
        assert_string_equal(fake.failure.err.name, "document-too-large");
        end(&fake);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one),
                cmocka_unit_test(test_one_that_is_away),
                cmocka_unit_test(test_one_without_a_status),
                cmocka_unit_test(test_a_refusal),
                cmocka_unit_test(test_a_group),
                cmocka_unit_test(test_one_of_a_group_is_not_guessed),
                cmocka_unit_test(test_a_group_that_nobody_is_in),
                cmocka_unit_test(test_those_that_are_meant),
                cmocka_unit_test(test_what_was_lost_is_sent_again),
                cmocka_unit_test(test_silence),
                cmocka_unit_test(test_one_that_goes_away_meanwhile),
                cmocka_unit_test(test_one_that_restarts_meanwhile),
                cmocka_unit_test(test_others_may_say_anything),
                cmocka_unit_test(test_the_broker_refuses),
                cmocka_unit_test(test_the_connection_breaks),
                cmocka_unit_test(test_what_cannot_be_sent),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
