/* SPDX-License-Identifier: Apache-2.0 */
#include "api/test_support.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "store/audit_table.h"
#include "store/jti_table.h"
#include "trust/jws.h"

/* What comes from far, through a door that vouches for nobody; signed with a key that the gateway has, or not. */

#define NOW_S (TEST_NOW_MS / 1000)

/* One who speaks from far; a door may make one a message. */
struct remote {
        struct caller caller;
        struct json *answer;
        size_t n_answers;
};

static struct key *key;
static struct keyring *keyring;

static int remote_send(struct caller *caller, const char *line, size_t size) {
        struct remote *remote = container_of(caller, struct remote, caller);
        json_free(TAKE_PTR(remote->answer));
        remote->n_answers++;
        return json_parse(line, size, JSON_REPLY_MAX, &remote->answer, NULL);
}

static size_t remote_queued_bytes(const struct caller *caller) {
        (void) caller;
        return 0;
}

static const struct caller_ops remote_ops = { .send = remote_send, .queued_bytes = remote_queued_bytes };

static void remote_init(struct remote *remote) {
        *remote = (struct remote){ .caller = { .ops = &remote_ops, .door = "mqtt", .principal = "mqtt", .authority = CALLER_REMOTE } };
        caller_init(&remote->caller, fixture.api);
}

static void remote_deinit(struct remote *remote) {
        caller_gone(&remote->caller);
        json_free(remote->answer);
}

static void remote_ask(struct remote *remote, const char *method, const char *params) {
        _cleanup_free_ char *line = NULL;
        int fd = -1;
        assert_true(asprintf(&line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}", method, params) > 0);
        call_line(&remote->caller, line, strlen(line), &fd);
}

static const struct json *remote_answer(struct remote *remote, const char *method, const char *params) {
        size_t n = remote->n_answers;
        remote_ask(remote, method, params);
        LOOP_UNTIL(fixture.loop, remote->n_answers > n);
        return remote->answer;
}

static const char *remote_error(struct remote *remote, const char *method, const char *params) {
        return text_of(json_child(json_child(remote_answer(remote, method, params), "error"), "data"), "name");
}

static const struct json *remote_result(struct remote *remote, const char *method, const char *params) {
        const struct json *answer = remote_answer(remote, method, params);
        if (!json_has(answer, "result"))
                fail_msg("%s: %s", method, text_of(json_child(answer, "error"), "message"));
        return json_child(answer, "result");
}

/* --- signing --- */

static int set_up_keys(void **state) {
        char path[128];
        _cleanup_free_ char *pem = NULL;
        _cleanup_fclose_ FILE *file = NULL;
        int r = set_up(state);
        (void) str_format(path, sizeof path, "%s/keys", fixture.folder);
        assert_int_equal(mkdir(path, 0755), 0);
        (void) str_format(path, sizeof path, "%s/keys/ci.pub", fixture.folder);
        assert_int_equal(key_generate(KEY_ED25519, &key), 0);
        assert_int_equal(key_write_public(key, &pem), 0);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(pem, file) >= 0);
        fclose(TAKE_PTR(file));
        (void) str_format(path, sizeof path, "%s/keys", fixture.folder);
        assert_int_equal(keyring_load(path, &keyring, NULL), 0);
        update_set_keyring(fixture.update, keyring);
        return r;
}

static int tear_down_keys(void **state) {
        int r = tear_down(state);
        keyring_unref(TAKE_PTR(keyring));
        key_free(TAKE_PTR(key));
        return r;
}

/* params {"jws"} of this payload; the caller frees. */
static char *sign(const char *type, const char *payload) {
        _cleanup_free_ char *input = NULL, *jws = NULL;
        uint8_t signature[KEY_SIGNATURE_SIZE];
        char *params = NULL;
        assert_int_equal(jws_signing_input(KEY_ED25519, "ci", type, payload, strlen(payload), &input), 0);
        assert_int_equal(key_sign(key, input, strlen(input), signature), 0);
        assert_int_equal(jws_join(input, signature, &jws), 0);
        assert_true(asprintf(&params, "{\"jws\":\"%s\"}", jws) > 0);
        return params;
}

static char *sign_command(const char *method, const char *params, const char *jti) {
        char payload[512];
        assert_int_equal(str_format(payload, sizeof payload,
                                    "{\"schema\":\"gatewayd/command/1\",\"method\":\"%s\",\"params\":%s,\"aud\":[\"test\"],\"iat\":%lld,"
                                    "\"exp\":%lld,\"jti\":\"%s\"}",
                                    method, params, (long long) NOW_S, (long long) NOW_S + 300, jti),
                         0);
        return sign(JWS_TYPE_COMMAND, payload);
}

static char *sign_campaign(const char *id, const char *aud) {
        struct test_client *client = client_new();
        char payload[1024], hex[DIGEST_HEX_SIZE];
        import_file(client, "v1.1.0", hex);
        client_free(client);
        assert_int_equal(str_format(payload, sizeof payload,
                                    "{\"schema\":\"gatewayd/campaign/1\",\"id\":\"%s\",\"revision\":1,\"aud\":[\"%s\"],\"iat\":%lld,\"exp\":%lld,"
                                    "\"artifacts\":[{\"url\":\"https://fw.example/x\",\"size\":6,\"sha256\":\"%s\",\"compatible\":[\"acme,toy\"]}],"
                                    "\"devices\":{\"ids\":[\"toy:d0\"]},\"policy\":{\"start_jitter_s\":0}}",
                                    id, aud, (long long) NOW_S, (long long) NOW_S + 3600, hex),
                         0);
        return sign(JWS_TYPE_CAMPAIGN, payload);
}

static size_t n_rows;

static int count_refusal(void *ctx, struct audit_row *row) {
        n_rows += row->result && strncmp(row->result, ctx, strlen(ctx)) == 0;
        return 0;
}

static size_t n_audited(const char *result) {
        n_rows = 0;
        assert_int_equal(audit_table_each(fixture.store, 1, 10000, count_refusal, (void *) result), 0);
        return n_rows;
}

/* --- tests --- */

static void test_an_order_and_what_follows_it(void **state) {
        _cleanup_free_ char *order = sign_campaign("c", "te?t"), *other = sign_campaign("d", "pi-*"), *plain = NULL,
                            *resume = sign_command("campaign.resume", "{\"id\":\"c\"}", "1"),
                            *again = sign_command("campaign.resume", "{\"id\":\"c\"}", "2");
        struct remote remote;
        (void) state;
        remote_init(&remote);
        fixture.hold = true;
        assert_string_equal(remote_error(&remote, "campaign.start", "{\"document\":{}}"), "signature-required");
        assert_string_equal(remote_error(&remote, "campaign.start", other), "not-for-this-gateway");
        assert_string_equal(text_of(json_child(remote_result(&remote, "campaign.start", order), "campaign"), "state"), "in_progress");
        LOOP_UNTIL(fixture.loop, fixture.held);
        /* Whoever may speak may stop, and see, but not start. */
        assert_string_equal(text_of(json_child(remote_result(&remote, "campaign.pause", "{\"id\":\"c\"}"), "campaign"), "state"), "paused");
        assert_string_equal(text_of(json_child(remote_result(&remote, "campaign.get", "{\"id\":\"c\"}"), "campaign"), "state"), "paused");
        assert_string_equal(remote_error(&remote, "campaign.resume", "{\"id\":\"c\"}"), "signature-required");
        assert_string_equal(text_of(json_child(remote_result(&remote, "campaign.resume", resume), "campaign"), "state"), "in_progress");
        (void) remote_result(&remote, "campaign.pause", "{\"id\":\"c\"}");
        assert_string_equal(remote_error(&remote, "campaign.resume", resume), "command-replayed");
        assert_string_equal(text_of(json_child(remote_result(&remote, "campaign.resume", again), "campaign"), "state"), "in_progress");
        assert_true(asprintf(&plain, "{\"id\":\"c\",\"jws\":\"a.b.c\"}") > 0);
        assert_string_equal(remote_error(&remote, "campaign.resume", plain), "params-invalid");
        assert_int_equal(n_audited("command-replayed"), 1);
        assert_int_equal(n_audited("not-for-this-gateway"), 0);
        remote_deinit(&remote);
}

static void test_stopping_may_need_a_signature(void **state) {
        _cleanup_free_ char *order = sign_campaign("c", "test"), *cancel = sign_command("campaign.cancel", "{\"id\":\"c\"}", "1");
        struct remote remote;
        (void) state;
        remote_init(&remote);
        fixture.hold = true;
        fixture.settings->mqtt.unsigned_stop = false;
        (void) remote_result(&remote, "campaign.start", order);
        assert_string_equal(remote_error(&remote, "campaign.pause", "{\"id\":\"c\"}"), "signature-required");
        assert_string_equal(remote_error(&remote, "campaign.cancel", "{\"id\":\"c\"}"), "signature-required");
        assert_string_equal(text_of(json_child(remote_result(&remote, "campaign.cancel", cancel), "campaign"), "state"), "canceled");
        remote_deinit(&remote);
}

/* Its sender is gone while the signature is looked at: the order stands, the answer is for nobody. */
static void test_a_sender_that_goes_away(void **state) {
        _cleanup_free_ char *order = sign_campaign("c", "test");
        struct remote remote;
        (void) state;
        fixture.hold = true;
        remote_init(&remote);
        remote_ask(&remote, "campaign.start", order);
        remote_deinit(&remote);
        LOOP_UNTIL(fixture.loop, fixture.held);
        assert_int_equal(update_count(fixture.update).n_campaigns, 1);
        assert_int_equal(remote.n_answers, 0);
}

/* The api ends while a signature is looked at: nothing comes back to what is gone. */
static void test_an_end_in_between(void **state) {
        _cleanup_free_ char *adopt = sign_command("device.adopt", "{\"id\":\"toy:new\"}", "1");
        struct remote remote;
        (void) state;
        remote_init(&remote);
        remote_ask(&remote, "device.adopt", adopt);
        remote_deinit(&remote);
        api_restart();
        remote_init(&remote);
        assert_string_equal(text_of(remote_result(&remote, "gateway.info", "{}"), "id"), "test");
        remote_deinit(&remote);
}

/* The audit is not filled by whoever sends without end; what was left out is counted. */
static void test_garbage_without_end(void **state) {
        struct remote remote;
        (void) state;
        remote_init(&remote);
        for (int i = 0; i < 250; i++)
                assert_string_equal(remote_error(&remote, "campaign.start", "{\"jws\":\"x.y.z\"}"), "jws-malformed");
        assert_int_equal(n_audited("jws-malformed"), 100);
        assert_int_equal(n_audited("jws-malformed ("), 0);
        remote_deinit(&remote);
}

static void test_too_much_at_once(void **state) {
        _cleanup_free_ char *huge = malloc(JWS_TEXT_MAX + 64), *params = NULL;
        struct remote remote;
        (void) state;
        remote_init(&remote);
        memset(huge, 'A', JWS_TEXT_MAX);
        strcpy(huge + JWS_TEXT_MAX - 4, ".A.A");
        assert_true(asprintf(&params, "{\"jws\":\"%s\"}", huge) > 0);
        for (int i = 0; i < 20; i++)
                remote_ask(&remote, "campaign.start", params);
        LOOP_UNTIL(fixture.loop, remote.n_answers == 20);
        /* The first sixteen million bytes were looked at, the rest had to wait for another time. */
        assert_int_equal(n_audited("jws-malformed"), 16);
        assert_string_equal(remote_error(&remote, "campaign.start", params), "jws-malformed");
        remote_deinit(&remote);
}

static void test_more_commands_than_can_be_remembered(void **state) {
        _cleanup_free_ char *adopt = sign_command("device.adopt", "{\"id\":\"toy:new\"}", "one-more");
        struct remote remote;
        char jti[16];
        (void) state;
        for (int i = 0; i < JTI_ROWS_MAX; i++) {
                (void) str_format(jti, sizeof jti, "%d", i);
                assert_int_equal(jti_table_take(fixture.store, "ci", jti, TEST_NOW_MS + 1000), 0);
        }
        remote_init(&remote);
        assert_string_equal(remote_error(&remote, "device.adopt", adopt), "too-many-requests");
        clock_fake_advance(&fixture.clock, 2000);
        assert_int_equal(json_length(json_child(remote_result(&remote, "device.adopt", adopt), "adopted")), 1);
        remote_deinit(&remote);
}

int main(void) {
#define SIGNED_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_keys, tear_down_keys)
        const struct CMUnitTest tests[] = {
                SIGNED_TEST(test_an_order_and_what_follows_it),
                SIGNED_TEST(test_stopping_may_need_a_signature),
                SIGNED_TEST(test_a_sender_that_goes_away),
                SIGNED_TEST(test_an_end_in_between),
                SIGNED_TEST(test_garbage_without_end),
                SIGNED_TEST(test_too_much_at_once),
                SIGNED_TEST(test_more_commands_than_can_be_remembered),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
