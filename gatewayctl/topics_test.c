/* SPDX-License-Identifier: Apache-2.0 */
#include "topics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static const struct audience one = { .kind = AUDIENCE_GATEWAY, .name = "pi-1" };
static const struct audience group = { .kind = AUDIENCE_GROUP, .name = "oslo" };
static const struct audience all = { .kind = AUDIENCE_ALL };

static void test_commands_and_desired(void **state) {
        static const struct {
                const struct audience *audience;
                const char *command, *desired;
        } rows[] = {
                { &one, "gatewayd/v1/gw/pi-1/command", "gatewayd/v1/gw/pi-1/desired/c1" },
                { &group, "gatewayd/v1/group/oslo/command", "gatewayd/v1/group/oslo/desired/c1" },
                { &all, "gatewayd/v1/all/command", "gatewayd/v1/all/desired/c1" },
        };
        char topic[TOPIC_SIZE];

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(topic_command("gatewayd", rows[i].audience, topic), 0);
                assert_string_equal(topic, rows[i].command);
                assert_int_equal(topic_desired("gatewayd", rows[i].audience, "c1", topic), 0);
                assert_string_equal(topic, rows[i].desired);
        }
        assert_int_equal(topic_reply("acme/fw", "desk", topic), 0);
        assert_string_equal(topic, "acme/fw/v1/client/desk/reply");
}

static void test_filters(void **state) {
        static const struct {
                enum transport_document_kind kind;
                struct transport_interest interest;
                const char *filter;
        } rows[] = {
                { TRANSPORT_STATUS, { .audience = { AUDIENCE_GATEWAY, "pi-1" } }, "r/v1/gw/pi-1/status" },
                { TRANSPORT_STATUS, { .audience = { AUDIENCE_GROUP, "oslo" } }, "r/v1/gw/+/status" },
                { TRANSPORT_EVENT, { .audience = { AUDIENCE_ALL, NULL } }, "r/v1/gw/+/event" },
                { TRANSPORT_CAMPAIGN, { .audience = { AUDIENCE_ALL, NULL } }, "r/v1/gw/+/campaign/+" },
                { TRANSPORT_CAMPAIGN, { .audience = { AUDIENCE_ALL, NULL }, .campaign = "c1" }, "r/v1/gw/+/campaign/c1" },
                { TRANSPORT_DEVICE, { .audience = { AUDIENCE_GATEWAY, "pi-1" }, .campaign = "c1" }, "r/v1/gw/pi-1/device/+" },
                { TRANSPORT_DESIRED, { .audience = { AUDIENCE_GROUP, "oslo" } }, "r/v1/group/oslo/desired/+" },
                { TRANSPORT_DESIRED, { .audience = { AUDIENCE_ALL, NULL }, .campaign = "c1" }, "r/v1/all/desired/c1" },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char topic[TOPIC_SIZE];
                assert_int_equal(topic_filter("r", rows[i].kind, &rows[i].interest, topic), 0);
                assert_string_equal(topic, rows[i].filter);
        }
}

static void test_reading(void **state) {
        static const struct {
                const char *topic;
                enum transport_document_kind kind;
                enum audience_kind of;
                const char *name, *id;
        } rows[] = {
                { "gatewayd/v1/gw/pi-1/status", TRANSPORT_STATUS, AUDIENCE_GATEWAY, "pi-1", NULL },
                { "gatewayd/v1/gw/pi-1/event", TRANSPORT_EVENT, AUDIENCE_GATEWAY, "pi-1", NULL },
                { "gatewayd/v1/gw/pi-1/campaign/c1", TRANSPORT_CAMPAIGN, AUDIENCE_GATEWAY, "pi-1", "c1" },
                { "gatewayd/v1/gw/pi-1/device/smp-udp:d0", TRANSPORT_DEVICE, AUDIENCE_GATEWAY, "pi-1", "smp-udp:d0" },
                { "gatewayd/v1/gw/pi-1/desired/c1", TRANSPORT_DESIRED, AUDIENCE_GATEWAY, "pi-1", "c1" },
                { "gatewayd/v1/group/oslo/desired/c1", TRANSPORT_DESIRED, AUDIENCE_GROUP, "oslo", "c1" },
                { "gatewayd/v1/all/desired/c1", TRANSPORT_DESIRED, AUDIENCE_ALL, NULL, "c1" },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct transport_document document;
                char parts[TOPIC_SIZE];
                assert_int_equal(topic_read("gatewayd", rows[i].topic, parts, &document), 0);
                assert_int_equal(document.kind, rows[i].kind);
                assert_int_equal(document.of.kind, rows[i].of);
                assert_true(str_equal(document.of.name, rows[i].name));
                assert_true(str_equal(document.id, rows[i].id));
        }
}

static void test_others_topics(void **state) {
        static const char *const topics[] = {
                "gatewayd/v1/gw/pi-1/command",
                "gatewayd/v1/gw/pi-1/status/more",
                "gatewayd/v1/gw/PI_1/status",
                "gatewayd/v1/gw/pi-1/campaign",
                "gatewayd/v1/group/oslo/status",
                "gatewayd/v1/all/status",
                "gatewayd/v2/gw/pi-1/status",
                "other/v1/gw/pi-1/status",
                "gatewayd2/v1/gw/pi-1/status",
                "gatewayd/v1/gw",
                "gatewayd/v1",
                "",
                "gatewayd/v1/client/desk/reply",
                "gatewayd/v1/gw//status",
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(topics); i++) {
                struct transport_document document;
                char parts[TOPIC_SIZE];
                assert_int_equal(topic_read("gatewayd", topics[i], parts, &document), -ENOENT);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_commands_and_desired),
                cmocka_unit_test(test_filters),
                cmocka_unit_test(test_reading),
                cmocka_unit_test(test_others_topics),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
