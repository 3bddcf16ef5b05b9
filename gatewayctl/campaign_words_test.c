/* SPDX-License-Identifier: Apache-2.0 */
#include "campaign_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/time.h"

#define NOW "2026-11-27T12:00:00Z"
#define DIGEST "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEAD "{\"schema\":\"gatewayd/campaign/1\",\"id\":\"sensors-1.4.0\",\"revision\":2,"

static const struct style plain = { .columns = 0 };

static void words_of(const char *text, enum campaign_origin origin, const char *signature, struct strbuf *out) {
        const struct campaign_parse_options options = { .origin = origin };
        _cleanup_campaign_document_ struct campaign_document *campaign = NULL;
        _cleanup_time_zones_ struct time_zones *zones = time_zones_new("/nonexistent");
        struct campaign_words words = { .signature = signature, .zones = zones };
        struct json_errors errors;

        json_errors_init(&errors);
        if (campaign_document_parse(text, strlen(text), &options, &campaign, &errors) < 0)
                fail_msg("%s: %s", errors.items[0].path, errors.items[0].text);
        assert_int_equal(time_parse_rfc3339(NOW, &words.now_ms), 0);
        words.campaign = campaign;
        assert_int_equal(campaign_words(&words, &plain, out), 0);
}

static void test_full(void **state) {
        static const char text[] =
                HEAD "\"comment\":\"TICKET-812\",\"iss\":\"ci@acme\",\"aud\":[\"pi-oslo-*\",\"group:lab\"],"
                     "\"iat\":1795780800,\"nbf\":1795784400,\"exp\":1796428800,"
                     "\"artifacts\":[{\"url\":\"https://fw.acme.example/s.bin\",\"size\":201344,\"sha256\":\"" DIGEST
                     "\",\"format\":\"mcuboot\",\"version\":\"1.4.0\",\"image\":0,\"compatible\":[\"acme,r2\",\"acme,r3\"]}],"
                     "\"devices\":{\"ids\":[\"smp-udp:b\",\"smp-udp:a\"],\"labels\":[\"sensor\",\"cold\"],\"name\":\"s-*\",\"driver\":["
                     "\"smp-udp\"],"
                     "\"version\":\"<1.4.0\",\"rssi_min_dbm\":-85,\"updated_by\":\"sensors-1.3.0\"},"
                     "\"policy\":{\"trial\":{\"duration_s\":120,\"checks\":1},\"waves\":[{\"count\":1},{\"percent\":25}],\"soak_s\":600,"
                     "\"gate\":\"each-wave\",\"abort\":{\"failed_count\":1,\"action\":\"cancel\"},"
                     "\"maintenance_windows\":[{\"days\":[\"sat\",\"sun\"],\"start\":\"12:30\",\"duration_min\":90,\"timezone\":\"UTC\"}],"
                     "\"at_window_end\":\"finish\",\"start_jitter_s\":20,\"deadline\":\"2026-12-05T00:00:00Z\",\"concurrency\":1,"
                     "\"attempts\":1,\"allow_downgrade\":true,\"battery_min_percent\":30}}";
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        (void) state;
        words_of(text, CAMPAIGN_ORIGIN_SIGNED, "by key ci", &out);
        assert_string_equal(strbuf_text(&out),
                            "campaign    sensors-1.4.0, revision 2\n"
                            "comment     TICKET-812\n"
                            "signed      by key ci\n"
                            "issuer      ci@acme\n"
                            "gateways    pi-oslo-*, group lab\n"
                            "issued      2026-11-27 12:00:00 (0 ms ago)\n"
                            "accepted    not before 2026-11-27 13:00:00 (in 1 h), until 2026-12-05 00:00:00 (in 7 d 12 h)\n"
                            "brings      mcuboot 1.4.0, 197 KiB, image 0, for acme,r2 or acme,r3\n"
                            "            sha256 " DIGEST "\n"
                            "            from https://fw.acme.example/s.bin\n"
                            "devices     smp-udp:a and smp-udp:b; with all the labels sensor and cold; whose name, key or id matches s-*; "
                            "of driver smp-udp; "
                            "that run <1.4.0; heard with at least -85 dBm; that campaign sensors-1.3.0 updated\n"
                            "mode        test-and-confirm: runs 2 min on trial, is looked at 1 time, then confirmed\n"
                            "waves       first 1 device, then 25 %, then all; 10 min between two waves\n"
                            "            after each wave it waits for `gatewayctl continue`\n"
                            "stops       is canceled when 1 device failed, or 20 % of at least 5 that finished, or all of the first wave\n"
                            "windows     sat,sun 12:30 1 h 30 min UTC\n"
                            "            what runs at its end is finished\n"
                            "            opens next 2026-11-28 12:30:00 (in 1 d)\n"
                            "start       within 20 s, another moment on each gateway\n"
                            "deadline    2026-12-05 00:00:00 (in 7 d 12 h)\n"
                            "limits      1 device at once, 1 attempt each, battery at least 30 %, also to an older version\n");
}

static void test_short(void **state) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        (void) state;
        words_of(HEAD "\"artifacts\":[{\"size\":1,\"sha256\":\"" DIGEST "\"}],\"devices\":{\"all\":true}}", CAMPAIGN_ORIGIN_LOCAL, NULL,
                 &out);
        assert_string_equal(strbuf_text(&out),
                            "campaign    sensors-1.4.0, revision 2\n"
                            "gateways    each that it is given to\n"
                            "brings      a file, 1 B, for whatever hardware its order names\n"
                            "            sha256 " DIGEST "\n"
                            "            imported on the gateway before\n"
                            "devices     all that are adopted\n"
                            "mode        test-and-confirm: runs 1 min on trial, is looked at 2 times, then confirmed\n"
                            "waves       one: all devices may start at once\n"
                            "stops       pauses when 3 devices failed, or 20 % of at least 5 that finished, or all of the "
                            "first wave\n"
                            "deadline    the gateway's own, usually 14 d after it accepted the campaign\n"
                            "limits      3 devices at once, 5 attempts each, never to an older version\n");
}

/* A window of a zone that is not known here is told, not passed over; going back has no files. */
static void test_rollback_and_zone(void **state) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        (void) state;
        words_of(HEAD "\"rollback_of\":\"sensors-1.3.0\",\"devices\":{\"all\":true},\"policy\":{\"mode\":\"confirm-only\","
                      "\"maintenance_windows\":[{\"start\":\"22:00\",\"duration_min\":60,\"timezone\":\"Europe/Oslo\"}]}}",
                 CAMPAIGN_ORIGIN_LOCAL, NULL, &out);
        assert_non_null(strstr(strbuf_text(&out), "brings      back what each device ran before campaign sensors-1.3.0 updated it\n"));
        assert_non_null(strstr(strbuf_text(&out), "mode        confirm-only\n"));
        assert_non_null(strstr(strbuf_text(&out), "windows     22:00 1 h Europe/Oslo\n"
                                                  "            at its end what runs is suspended\n"
                                                  "            time zone Europe/Oslo: not in the database\n"));
}

/* On a narrow terminal the text stays in its column. */
static void test_wrapped(void **state) {
        static const struct style narrow = { .columns = 40 };
        const struct campaign_parse_options options = { .origin = CAMPAIGN_ORIGIN_LOCAL };
        static const char text[] =
                HEAD "\"rollback\":\"other-slot\",\"comment\":\"one two three four five six seven eight\",\"devices\":{\"all\":true}}";
        _cleanup_campaign_document_ struct campaign_document *campaign = NULL;
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        (void) state;
        assert_int_equal(campaign_document_parse(text, strlen(text), &options, &campaign, NULL), 0);
        assert_int_equal(campaign_words(&(struct campaign_words){ .campaign = campaign }, &narrow, &out), 0);
        assert_non_null(strstr(strbuf_text(&out), "comment     one two three four five six\n            seven eight\n"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_full),
                cmocka_unit_test(test_short),
                cmocka_unit_test(test_rollback_and_zone),
                cmocka_unit_test(test_wrapped),
        };

        setenv("TZ", "UTC", 1);
        tzset();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
