/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void parse(struct message *message, const char *line) {
        struct gw_error err = { 0 };

        if (message_parse(line, strlen(line), message, &err) < 0)
                fail_msg("%s", err.text);
}

static void test_progress_and_notes(void **state) {
        struct message message;

        (void) state;
        parse(&message, "{\"progress\":0,\"total\":8}");
        assert_int_equal(message.kind, MESSAGE_PROGRESS);
        assert_int_equal(message.total, 8);
        message_deinit(&message);
        parse(&message, " {\"note\" : \"it is slow \\u00e4\"} ");
        assert_int_equal(message.kind, MESSAGE_NOTE);
        assert_string_equal(message.note, "it is slow \xc3\xa4");
        message_deinit(&message);
}

static void test_learned(void **state) {
        struct message message;

        (void) state;
        parse(&message,
              "{\"learned\":{\"version\":\"1.2\",\"model\":\"acme,m\",\"battery_percent\":0,\"attributes\":{\"bus\":\"7\"},"
              "\"images\":[{\"hash\":\"" HASH "\",\"version\":\"1.2\",\"active\":true,\"bootable\":true},{\"image\":1,\"slot\":1}]}}");
        assert_int_equal(message.kind, MESSAGE_LEARNED);
        assert_string_equal(message.facts.version, "1.2");
        assert_string_equal(message.facts.model, "acme,m");
        assert_int_equal(message.facts.battery_percent, 0);
        assert_int_equal(message.facts.rssi_dbm, GW_RSSI_UNKNOWN);
        assert_null(message.facts.name);
        assert_int_equal(message.facts.n_images, 2);
        assert_int_equal(message.facts.images[0].hash_size, 32);
        assert_int_equal(message.facts.images[0].hash[1], 0x23);
        assert_int_equal(message.facts.images[0].flags, GW_IMAGE_ACTIVE | GW_IMAGE_BOOTABLE);
        assert_int_equal(message.facts.images[1].slot, 1);
        assert_int_equal(message.facts.images[1].hash_size, 0);
        assert_int_equal(message.facts.n_attributes, 1);
        assert_string_equal(message.facts.attributes[0].value, "7");
        message_deinit(&message);
        parse(&message, "{\"learned\":{\"images\":[]}}");
        assert_non_null(message.facts.images);
        assert_int_equal(message.facts.n_images, 0);
        message_deinit(&message);
        parse(&message, "{\"learned\":{}}");
        assert_null(message.facts.images);
        message_deinit(&message);
}

static void test_blobs(void **state) {
        struct message message;

        (void) state;
        parse(&message, "{\"blob\": {\"at\": 5}}");
        assert_int_equal(message.blob_size, strlen("{\"at\":5}"));
        assert_memory_equal(message.blob, "{\"at\":5}", message.blob_size);
        message_deinit(&message);
        parse(&message, "{\"blob\": null}");
        assert_int_equal(message.blob_size, 0);
        message_deinit(&message);
}

static void test_targets(void **state) {
        struct message message;

        (void) state;
        parse(&message, "{\"target\":{\"key\":\"n-1\",\"state\":\"failed\",\"error\":\"acme-dark\",\"text\":\"no answer\"}}");
        assert_int_equal(message.target.state, GW_TARGET_FAILED);
        assert_string_equal(message.target.error->name, "acme-dark");
        assert_int_equal(message.target.percent, -1);
        message_deinit(&message);
        parse(&message,
              "{\"target\":{\"key\":\"n-1\",\"state\":\"succeeded\",\"result\":\"updated\",\"proof\":\"beacon\",\"percent\":100}}");
        assert_int_equal(message.target.proof, GW_PROOF_BEACON);
        assert_null(message.target.error);
        message_deinit(&message);
}

static void test_steps(void **state) {
        struct message message;

        (void) state;
        parse(&message, "{\"step\":\"activate\",\"timeout_s\":30,\"commits\":true}");
        assert_int_equal(message.kind, MESSAGE_STEP);
        assert_int_equal(message.step, PROGRAM_ACTIVATE);
        assert_int_equal(message.timeout_ms, 30000);
        assert_true(message.commits);
        message_deinit(&message);
}

static void test_ends(void **state) {
        struct message message;

        (void) state;
        parse(&message, "{\"end\":\"next\"}");
        assert_int_equal(message.end, MESSAGE_END_NEXT);
        message_deinit(&message);
        parse(&message, "{\"end\":\"jump\",\"step\":\"verify\"}");
        assert_int_equal(message.kind, MESSAGE_END);
        assert_int_equal(message.end, MESSAGE_END_JUMP);
        assert_int_equal(message.step, PROGRAM_VERIFY);
        message_deinit(&message);
        parse(&message, "{\"end\":\"done\",\"result\":\"sent-unproven\",\"proof\":\"none\"}");
        assert_int_equal(message.result, GW_RESULT_SENT_UNPROVEN);
        assert_int_equal(message.proof, GW_PROOF_NONE);
        message_deinit(&message);
        parse(&message, "{\"end\":\"wait\",\"reason\":\"low-battery\",\"delay_s\":5,\"wake\":\"seen\"}");
        assert_string_equal(message.reason, "low-battery");
        assert_int_equal(message.wakes, GW_WAKE_TIMER | GW_WAKE_SEEN);
        assert_int_equal(message.delay_ms, 5000);
        message_deinit(&message);
        parse(&message, "{\"end\":\"wait\",\"reason\":\"not-seen\",\"wake\":\"seen\"}");
        assert_int_equal(message.wakes, GW_WAKE_SEEN);
        message_deinit(&message);
        parse(&message, "{\"end\":\"again\",\"error\":\"acme-busy\",\"text\":\"try later\"}");
        assert_string_equal(message.error.name, "acme-busy");
        assert_string_equal(message.error.text, "try later");
        message_deinit(&message);
        parse(&message, "{\"end\":\"fail\"}");
        assert_string_equal(message.error.name, "exec-failed");
        message_deinit(&message);
}

static void test_what_is_refused(void **state) {
        static const char *const lines[] = {
                "hello",
                "[]",
                "5",
                "null",
                "{}",
                "{\"end\":\"next\"} {\"end\":\"next\"}",
                "{\"end\":\"next\",\"end\":\"next\"}",
                "{\"hello\":1}",
                "{\"progress\":5}",
                "{\"progress\":5,\"total\":4}",
                "{\"progress\":-1,\"total\":4}",
                "{\"progress\":0,\"total\":0}",
                "{\"progress\":1.5,\"total\":4}",
                "{\"progress\":1,\"total\":4,\"note\":\"x\"}",
                "{\"note\":5}",
                "{\"note\":null}",
                "{\"learned\":[]}",
                "{\"learned\":{\"model\":\"two words\"}}",
                "{\"learned\":{\"colour\":\"red\"}}",
                "{\"learned\":{\"battery_percent\":101}}",
                "{\"learned\":{\"images\":{}}}",
                "{\"learned\":{\"images\":[5]}}",
                "{\"learned\":{\"images\":[{\"hash\":\"12\"}]}}",
                "{\"learned\":{\"images\":[{\"slot\":2}]}}",
                "{\"learned\":{\"attributes\":{\"a b\":\"x\"}}}",
                "{\"learned\":{\"attributes\":{\"a\":5}}}",
                "{\"target\":{\"state\":\"failed\"}}",
                "{\"target\":{\"key\":\"a b\",\"state\":\"queued\"}}",
                "{\"target\":{\"key\":\"a\",\"state\":\"lost\"}}",
                "{\"target\":{\"key\":\"a\",\"state\":\"succeeded\"}}",
                "{\"step\":\"describe\"}",
                "{\"step\":\"upload\",\"timeout_s\":0}",
                "{\"step\":\"upload\",\"timeout_s\":86401}",
                "{\"step\":\"inspect\",\"commits\":true}",
                "{\"step\":\"upload\",\"commits\":1}",
                "{\"end\":\"later\"}",
                "{\"end\":null}",
                "{\"end\":\"next\",\"step\":\"verify\"}",
                "{\"end\":\"jump\"}",
                "{\"end\":\"jump\",\"step\":\"nowhere\"}",
                "{\"end\":\"done\"}",
                "{\"end\":\"done\",\"result\":\"updated\"}",
                "{\"end\":\"done\",\"result\":\"updated\",\"proof\":\"none\"}",
                "{\"end\":\"done\",\"result\":\"updated\",\"proof\":\"hash-stored\"}",
                "{\"end\":\"wait\"}",
                "{\"end\":\"wait\",\"reason\":\"not-seen\"}",
                "{\"end\":\"wait\",\"reason\":\"not-seen\",\"wake\":\"timer\"}",
                "{\"end\":\"wait\",\"reason\":\"paused\",\"delay_s\":5}",
                "{\"end\":\"wait\",\"reason\":\"not-seen\",\"delay_s\":86401}",
                "{\"end\":\"fail\",\"error\":\"No Name\"}",
                "{\"end\":\"fail\",\"text\":7}",
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                struct message message;
                struct gw_error err = { 0 };

                if (message_parse(lines[i], strlen(lines[i]), &message, &err) >= 0)
                        fail_msg("taken: %s", lines[i]);
                assert_string_equal(err.name, "exec-bad-output");
                assert_null(message.json);
        }
}

static void test_sizes(void **state) {
        static char line[EXEC_LINE_MAX + 2];
        struct message message;
        struct gw_error err = { 0 };

        (void) state;
        snprintf(line, sizeof line, "{\"blob\":\"%0*d\"}", (int) EXEC_BLOB_MAX - 2, 0);
        parse(&message, line);
        assert_int_equal(message.blob_size, EXEC_BLOB_MAX);
        message_deinit(&message);
        snprintf(line, sizeof line, "{\"blob\":\"%0*d\"}", (int) EXEC_BLOB_MAX - 1, 0);
        assert_true(message_parse(line, strlen(line), &message, &err) < 0);
        snprintf(line, sizeof line, "{\"note\":\"%0*d\"}", (int) EXEC_TEXT_MAX, 0);
        assert_true(message_parse(line, strlen(line), &message, &err) < 0);
        snprintf(line, sizeof line, "{\"note\":\"x\"%*s}", (int) EXEC_LINE_MAX - 11, "");
        assert_int_equal(strlen(line), EXEC_LINE_MAX + 1);
        assert_true(message_parse(line, strlen(line), &message, &err) < 0);
        assert_string_equal(err.name, "exec-bad-output");
}

/* The error shows the line, and nothing in it can move a terminal. */
static void test_the_error_shows_the_line(void **state) {
        static const char line[] = "\x1b[2Jhello \xff";
        struct message message;
        struct gw_error err = { 0 };

        (void) state;
        assert_true(message_parse(line, strlen(line), &message, &err) < 0);
        assert_non_null(strstr(err.text, "the line \\x1b[2Jhello \\xff: no JSON"));
}

static void test_names_of_steps(void **state) {
        enum program_step step;

        (void) state;
        for (int i = 0; i < PROGRAM_STEP_COUNT_; i++) {
                assert_int_equal(program_step_find(program_step_name((enum program_step) i), &step), 0);
                assert_int_equal(step, i);
        }
        assert_true(program_step_find("describe", &step) < 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_progress_and_notes),
                cmocka_unit_test(test_learned),
                cmocka_unit_test(test_blobs),
                cmocka_unit_test(test_targets),
                cmocka_unit_test(test_steps),
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_what_is_refused),
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_the_error_shows_the_line),
                cmocka_unit_test(test_names_of_steps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
