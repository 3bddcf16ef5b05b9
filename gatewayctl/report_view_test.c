/* SPDX-License-Identifier: Apache-2.0 */
#include "report_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define COUNTS(total, succeeded, failed)                                                                                                   \
        "\"counts\":{\"total\":" total ",\"queued\":0,\"in_progress\":0,\"succeeded\":" succeeded ",\"failed\":" failed                    \
        ",\"timed_out\":0,\"rejected\":0,\"canceled\":0,\"superseded\":0}"
#define OSLO                                                                                                                               \
        "{\"gateway\":\"pi-oslo-1\",\"campaign\":{\"id\":\"c1\",\"revision\":2,\"state\":\"completed\",\"comment\":\"a|b <i>\"," COUNTS(   \
                "5", "2",                                                                                                                  \
                "3") "},\"failures\":[{\"name\":\"did-not-return\",\"class\":\"terminal\",\"meaning\":\"It did not come back.\","          \
                     "\"advice\":\"Look at it.\",\"count\":2,\"devices\":[\"smp-udp:a\",\"smp-udp:b\"],\"cut\":true},"                     \
                     "{\"name\":\"timeout\",\"count\":1,\"devices\":[\"smp-udp:c\"],\"cut\":false}],"                                      \
                     "\"not_seen\":{\"count\":0,\"devices\":[],\"cut\":false}}"
#define BERGEN                                                                                                                             \
        "{\"gateway\":\"pi-bergen\",\"campaign\":{\"id\":\"c1\",\"revision\":2,\"state\":\"paused\",\"reason\":\"threshold\"," COUNTS(     \
                "4", "0", "2") "},\"failures\":[{\"name\":\"timeout\",\"meaning\":\"It is silent.\",\"count\":2,"                          \
                               "\"devices\":[\"smp-udp:a\",\"smp-udp:d\"],\"cut\":false}],"                                                \
                               "\"not_seen\":{\"count\":2,\"devices\":[{\"device\":\"smp-udp:y\",\"last_seen\":\"2026-11-20T23:59:00Z\"}," \
                               "{\"device\":\"smp-udp:z\"}],\"cut\":false}}"

static const struct style plain = { .columns = 0 };

static struct json *parse(const char *text) {
        struct json *json = NULL;

        assert_int_equal(json_parse(text, strlen(text), 0, &json, NULL), 0);
        return json;
}

static void test_text_of_one(void **state) {
        _cleanup_json_ struct json *reports = parse("[" OSLO "]");
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        (void) state;
        assert_int_equal(report_text(reports, &plain, &out), 0);
        assert_string_equal(strbuf_text(&out), "\ndid-not-return: 2 devices\n"
                                               "  meaning: It did not come back.\n"
                                               "  devices: smp-udp:a smp-udp:b ...\n"
                                               "  advice:  Look at it.\n"
                                               "\ntimeout: 1 device\n"
                                               "  devices: smp-udp:c\n");
}

/* An error that two gateways met is told once, the most frequent first, and each device with its gateway. */
static void test_text_of_many(void **state) {
        _cleanup_json_ struct json *reports = parse("[" OSLO "," BERGEN "]");
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        (void) state;
        assert_int_equal(report_text(reports, &plain, &out), 0);
        assert_string_equal(strbuf_text(&out), "GATEWAY    STATE               DEVICES  SUCCEEDED  FAILED\n"
                                               "pi-oslo-1  completed                 5          2       3\n"
                                               "pi-bergen  paused (threshold)        4                  2\n"
                                               "\ntimeout: 3 devices\n"
                                               "  devices: pi-oslo-1 smp-udp:c, pi-bergen smp-udp:a, pi-bergen smp-udp:d\n"
                                               "\ndid-not-return: 2 devices\n"
                                               "  meaning: It did not come back.\n"
                                               "  devices: pi-oslo-1 smp-udp:a, pi-oslo-1 smp-udp:b ...\n"
                                               "  advice:  Look at it.\n"
                                               "\nnot seen since: 2 devices\n"
                                               "  devices: pi-bergen smp-udp:y (2026-11-20 23:59:00), pi-bergen smp-udp:z\n");
}

static void test_markdown(void **state) {
        _cleanup_json_ struct json *reports = parse("[" OSLO "," BERGEN "]");
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        (void) state;
        assert_int_equal(report_markdown(reports, &out), 0);
        assert_string_equal(
                strbuf_text(&out),
                "## Campaign c1, revision 2\n"
                "\n"
                "a\\|b \\<i\\>\n"
                "\n"
                "| gateway | state | devices | succeeded | failed | timed out | rejected | canceled | superseded | running | waiting |\n"
                "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
                "| pi-oslo-1 | completed | 5 | 2 | 3 | 0 | 0 | 0 | 0 | 0 | 0 |\n"
                "| pi-bergen | paused (threshold) | 4 | 0 | 2 | 0 | 0 | 0 | 0 | 0 | 0 |\n"
                "\n"
                "### timeout: 3 devices\n"
                "\n"
                "- pi-oslo-1 smp-udp:c\n"
                "- pi-bergen smp-udp:a\n"
                "- pi-bergen smp-udp:d\n"
                "\n"
                "### did-not-return: 2 devices\n"
                "\n"
                "It did not come back.\n"
                "\n"
                "**What to do:** Look at it.\n"
                "\n"
                "- pi-oslo-1 smp-udp:a\n"
                "- pi-oslo-1 smp-udp:b\n"
                "- ...\n"
                "\n"
                "### Not seen: 2 devices\n"
                "\n"
                "- pi-bergen smp-udp:y, last seen 2026-11-20T23:59:00Z\n"
                "- pi-bergen smp-udp:z\n");
}

static void test_csv(void **state) {
        static const char text[] =
                "[{\"device\":\"smp-udp:a\",\"name\":\"Kitchen, \\\"left\\\"\",\"state\":\"succeeded\",\"result\":\"updated\","
                "\"proof\":\"hash-active\",\"version_before\":\"1.0\",\"version_after\":\"1.1\",\"queued\":\"2026-11-21T00:00:00Z\","
                "\"attempt\":1},"
                "{\"gateway\":\"pi-2\",\"device\":\"smp-udp:b\",\"name\":\"=SUM(A1)\",\"state\":\"failed\",\"attempt\":5,"
                "\"error\":{\"name\":\"timeout\",\"text\":\"two\\nlines\"}}]";
        _cleanup_json_ struct json *jobs = parse(text);
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        (void) state;
        assert_int_equal(report_csv(jobs, "c1", "pi-1", &out), 0);
        assert_string_equal(
                strbuf_text(&out),
                "gateway,campaign,device,name,state,result,proof,reason,version_before,version_after,queued,started,finished,"
                "attempt,error,error_text\r\n"
                "pi-1,c1,smp-udp:a,\"Kitchen, \"\"left\"\"\",succeeded,updated,hash-active,,1.0,1.1,2026-11-21T00:00:00Z,,,1,,\r\n"
                "pi-2,c1,smp-udp:b,\"'=SUM(A1)\",failed,,,,,,,,,5,timeout,two\\x0alines\r\n");
}

static void test_nothing(void **state) {
        _cleanup_json_ struct json *empty = parse("[]");
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        (void) state;
        assert_int_equal(report_text(empty, &plain, &out), 0);
        assert_string_equal(strbuf_text(&out), "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text_of_one), cmocka_unit_test(test_text_of_many), cmocka_unit_test(test_markdown),
                cmocka_unit_test(test_csv),         cmocka_unit_test(test_nothing),
        };

        setenv("TZ", "UTC", 1);
        tzset();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
