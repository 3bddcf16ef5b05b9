/* SPDX-License-Identifier: Apache-2.0 */
#include "document/campaign.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "base/time.h"

#define DIGEST "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER_DIGEST "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEAD "\"schema\":\"gatewayd/campaign/1\",\"id\":\"sensors-1.4.0\",\"revision\":1,"
#define FILE_ "{\"size\":201344,\"sha256\":\"" DIGEST "\"}"
#define SHORTEST "{" HEAD "\"artifacts\":[" FILE_ "],\"devices\":{\"ids\":[\"smp-udp:kitchen\"]}}"

static int parse(const char *text, enum campaign_origin origin, struct campaign_document **ret, struct json_errors *errors) {
        const struct campaign_parse_options options = {.origin = origin};

        json_errors_init(errors);
        return campaign_document_parse(text, strlen(text), &options, ret, errors);
}

static struct campaign_document *good(const char *text) {
        struct campaign_document *document = NULL;
        struct json_errors errors;
        int r = parse(text, CAMPAIGN_ORIGIN_LOCAL, &document, &errors);

        if (r < 0)
                print_error("%s: %s\n", errors.items[0].path, errors.items[0].text);
        assert_int_equal(r, 0);
        assert_false(json_errors_any(&errors));
        return document;
}

/* The document is refused, and for this member in these words. */
static void bad(enum campaign_origin origin, const char *text, const char *path, const char *words) {
        struct campaign_document *document = NULL;
        struct json_errors errors;

        assert_int_equal(parse(text, origin, &document, &errors), -EBADMSG);
        assert_null(document);
        for (size_t i = 0; i < errors.n_items; i++)
                if (strcmp(errors.items[i].path, path) == 0 && strstr(errors.items[i].text, words))
                        return;
        fail_msg("no mistake \"%s: %s\" but \"%s: %s\"", path, words, errors.items[0].path, errors.items[0].text);
}

static void test_shortest(void **state) {
        _cleanup_campaign_document_ struct campaign_document *document = good(SHORTEST);

        (void) state;
        assert_string_equal(document->id, "sensors-1.4.0");
        assert_int_equal(document->revision, 1);
        assert_int_equal(document->n_artifacts, 1);
        assert_int_equal(document->artifacts[0].size, 201344);
        assert_int_equal(document->artifacts[0].sha256[31], 0x1f);
        assert_int_equal(document->artifacts[0].image, -1);
        assert_null(document->artifacts[0].url);
        assert_true(campaign_names_one_device(document));
        assert_int_equal(document->policy.mode, GW_MODE_TEST_AND_CONFIRM);
        assert_int_equal(document->policy.trial_ms, 60000);
        assert_int_equal(document->policy.trial_checks, 2);
        assert_int_equal(document->policy.concurrency, 3);
        assert_int_equal(document->policy.attempts, 5);
        assert_int_equal(document->policy.deadline_ms, 0);
        assert_false(document->policy.allow_downgrade);
        assert_int_equal(document->exp_s, -1);
}

#define FULL                                                                                                                               \
        "{" HEAD "\"iss\":\"ci@acme\",\"aud\":[\"pi-oslo-*\",\"group:lab\"],\"iat\":1795219200,\"nbf\":1795219200,\"exp\":1796428800,"     \
        "\"comment\":\"TICKET-812\",\"artifacts\":["                                                                                       \
        "{\"url\":\"https://fw.acme.example/r2.bin\",\"size\":201344,\"sha256\":\"" DIGEST "\",\"format\":\"mcuboot\","                    \
        "\"version\":\"1.4.0\",\"image\":0,\"compatible\":[\"acme,sensor-r2\"]},"                                                          \
        "{\"url\":\"https://fw.acme.example/r3.bin\",\"size\":7,\"sha256\":\"" OTHER_DIGEST "\","                                          \
        "\"compatible\":[\"acme,sensor-r3\",\"acme,sensor-r4\"]}],"                                                                        \
        "\"devices\":{\"ids\":[\"smp-udp:b\",\"smp-udp:a\",\"smp-serial:c\"],\"labels\":[\"sensor\"],\"name\":\"sensor-*\","               \
        "\"driver\":[\"smp-udp\",\"smp-serial\"],\"version\":\"<1.4.0\"},"                                                                 \
        "\"policy\":{\"mode\":\"confirm-only\",\"trial\":{\"duration_s\":120,\"checks\":3},\"deadline\":\"2026-12-05T00:00:00Z\","         \
        "\"concurrency\":7,\"attempts\":2,\"allow_downgrade\":true}}"

static void test_full(void **state) {
        _cleanup_campaign_document_ struct campaign_document *document = NULL;
        struct json_errors errors;

        (void) state;
        assert_int_equal(parse(FULL, CAMPAIGN_ORIGIN_SIGNED, &document, &errors), 0);
        assert_string_equal(document->comment, "TICKET-812");
        assert_string_equal(document->iss, "ci@acme");
        assert_int_equal(document->exp_s, 1796428800);
        assert_string_equal(document->artifacts[0].format, "mcuboot");
        assert_int_equal(document->artifacts[0].image, 0);
        assert_ptr_equal(campaign_artifact_for_model(document, "acme,sensor-r4"), &document->artifacts[1]);
        assert_null(campaign_artifact_for_model(document, "acme,sensor"));
        assert_true(campaign_selector_has_id(&document->devices, "smp-udp:a"));
        assert_true(campaign_selector_has_id(&document->devices, "smp-serial:c"));
        assert_false(campaign_selector_has_id(&document->devices, "smp-udp:c"));
        assert_false(campaign_names_one_device(document));
        assert_int_equal(document->devices.version_rule.n_comparisons, 1);
        assert_int_equal(document->policy.mode, GW_MODE_CONFIRM_ONLY);
        assert_int_equal(document->policy.trial_ms, 120000);
        assert_int_equal(document->policy.deadline_ms, 1796428800000);
        assert_true(document->policy.allow_downgrade);
}

static void test_audience(void **state) {
        _cleanup_campaign_document_ struct campaign_document *document = good(FULL), *open = good(SHORTEST);
        char *lab = (char[]){"lab"};
        const struct str_list groups = {.items = &lab, .n_items = 1};

        (void) state;
        assert_true(campaign_audience_match(document, "pi-oslo-1", NULL));
        assert_false(campaign_audience_match(document, "pi-bergen-1", NULL));
        assert_true(campaign_audience_match(document, "pi-bergen-1", &groups));
        assert_true(campaign_audience_match(open, "pi-bergen-1", NULL));
}

#define WITH_DEVICES(devices) "{" HEAD "\"artifacts\":[" FILE_ "],\"devices\":" devices "}"
#define WITH_MORE(more) "{" HEAD "\"artifacts\":[" FILE_ "],\"devices\":{\"all\":true}," more "}"
#define WITH_FILES(files) "{" HEAD "\"artifacts\":" files ",\"devices\":{\"all\":true}}"
#define SIGNED_ROLLBACK                                                                                                                    \
        "{" HEAD                                                                                                                           \
        "\"aud\":[\"pi-oslo-1\"],\"iat\":1795219200,\"exp\":1796428800,\"rollback_of\":\"sensors-1.3.0\",\"devices\":{\"all\":true}}"
#define WITH_POLICY(policy) WITH_MORE("\"policy\":" policy)
#define ROLLOUT                                                                                                                            \
        "\"waves\":[{\"count\":2},{\"percent\":25},{\"count\":40}],\"soak_s\":600,\"gate\":\"each-wave\","                                 \
        "\"abort\":{\"failed_count\":9,\"failed_percent\":8,\"min_finished\":7,\"action\":\"cancel\"},"                                    \
        "\"maintenance_windows\":[{\"days\":[\"sun\",\"tue\"],\"start\":\"22:30\",\"duration_min\":420,\"timezone\":\"Europe/Oslo\"},"     \
        "{\"start\":\"00:00\",\"duration_min\":1,\"timezone\":\"UTC\"}],"                                                                  \
        "\"at_window_end\":\"finish\",\"start_jitter_s\":20,\"battery_min_percent\":30"

static void test_rollout(void **state) {
        _cleanup_campaign_document_ struct campaign_document *document = good(WITH_POLICY("{" ROLLOUT "}"));
        const struct campaign_policy *policy = &document->policy;

        (void) state;
        assert_int_equal(policy->n_waves, 3);
        assert_int_equal(policy->waves[0].count, 2);
        assert_int_equal(policy->waves[1].percent, 25);
        assert_int_equal(policy->waves[1].count, 0);
        assert_int_equal(policy->soak_ms, 600000);
        assert_int_equal(policy->gate, CAMPAIGN_GATE_EACH_WAVE);
        assert_int_equal(policy->abort.failed_count, 9);
        assert_int_equal(policy->abort.failed_percent, 8);
        assert_int_equal(policy->abort.min_finished, 7);
        assert_int_equal(policy->abort.action, CAMPAIGN_ABORT_CANCEL);
        assert_int_equal(policy->n_windows, 2);
        assert_int_equal(policy->windows[0].days, 1 << 6 | 1 << 1);
        assert_int_equal(policy->windows[0].start_min, 22 * 60 + 30);
        assert_int_equal(policy->windows[0].duration_min, 420);
        assert_string_equal(policy->windows[0].timezone, "Europe/Oslo");
        assert_int_equal(policy->windows[1].days, TIME_WINDOW_EVERY_DAY);
        assert_int_equal(policy->at_window_end, CAMPAIGN_WINDOW_END_FINISH);
        assert_int_equal(policy->start_jitter_ms, 20000);
        assert_int_equal(policy->battery_min_percent, 30);
}

/* Who sends it from far away gets careful waves; who stands beside it, and who takes back, gets it at once. */
static void test_rollout_by_origin(void **state) {
        _cleanup_campaign_document_ struct campaign_document *local = good(SHORTEST), *distant = NULL, *back = NULL;
        struct json_errors errors;

        (void) state;
        assert_int_equal(parse(FULL, CAMPAIGN_ORIGIN_SIGNED, &distant, &errors), 0);
        assert_int_equal(parse(SIGNED_ROLLBACK, CAMPAIGN_ORIGIN_SIGNED, &back, &errors), 0);
        assert_int_equal(campaign_waves(&local->policy), 1);
        assert_int_equal(local->policy.start_jitter_ms, 0);
        assert_int_equal(campaign_waves(&distant->policy), 3);
        assert_int_equal(distant->policy.waves[0].count, 2);
        assert_int_equal(distant->policy.waves[1].percent, 25);
        assert_int_equal(distant->policy.start_jitter_ms, 300000);
        assert_int_equal(campaign_waves(&back->policy), 1);
        assert_string_equal(back->rollback_of, "sensors-1.3.0");
        assert_int_equal(back->n_artifacts, 0);
        for (size_t i = 0; i < 3; i++) {
                const struct campaign_policy *policy = &(struct campaign_document *[]){local, distant, back}[i]->policy;

                assert_int_equal(policy->abort.failed_count, 3);
                assert_int_equal(policy->abort.failed_percent, 20);
                assert_int_equal(policy->abort.min_finished, 5);
                assert_int_equal(policy->abort.action, CAMPAIGN_ABORT_PAUSE);
                assert_int_equal(policy->soak_ms, 0);
                assert_int_equal(policy->gate, CAMPAIGN_GATE_NONE);
                assert_int_equal(policy->n_windows, 0);
                assert_int_equal(policy->at_window_end, CAMPAIGN_WINDOW_END_SUSPEND);
                assert_int_equal(policy->battery_min_percent, -1);
        }
        assert_int_equal(local->devices.rssi_min_dbm, GW_RSSI_UNKNOWN);
        assert_null(local->devices.updated_by);
}

/* Devices up to the end of each wave, by size of the population; 0 ends a row. */
static void test_wave_ends(void **state) {
        static const struct {
                struct campaign_wave waves[4];
                size_t population;
                size_t ends[6];
        } table[] = {
                {{{.count = 2}, {.percent = 25}, {.percent = 100}}, 100, {2, 25, 100}},
                {{{.count = 2}, {.percent = 25}, {.percent = 100}}, 9, {2, 3, 9}},
                {{{.count = 2}, {.percent = 25}, {.percent = 100}}, 5, {2, 2, 5}},
                {{{.count = 2}, {.percent = 25}, {.percent = 100}}, 1, {1, 1, 1}},
                {{{.count = 2}, {.percent = 25}}, 100, {2, 25, 100}},
                {{{.percent = 1}}, 1, {1, 1}},
                {{{.percent = 1}}, 101, {2, 101}},
                {{{.percent = 99}}, 3, {3, 3}},
                {{{.count = 50}, {.percent = 10}, {.count = 60}}, 100, {50, 50, 60, 100}},
                {{{.percent = 100}}, 100000, {100000}},
                {{{.percent = 33}}, 100000, {33000, 100000}},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                struct campaign_policy policy = campaign_policy_default;
                size_t n_ends = 0;

                while (policy.n_waves < 4 && (table[i].waves[policy.n_waves].count || table[i].waves[policy.n_waves].percent)) {
                        policy.waves[policy.n_waves] = table[i].waves[policy.n_waves];
                        policy.n_waves++;
                }
                while (table[i].ends[n_ends] > 0)
                        n_ends++;
                assert_int_equal(campaign_waves(&policy), n_ends);
                for (size_t wave = 0; wave < n_ends; wave++)
                        assert_int_equal(campaign_wave_end(&policy, wave, table[i].population), table[i].ends[wave]);
                assert_int_equal(campaign_wave_end(&policy, 99, table[i].population), table[i].population);
                assert_int_equal(campaign_wave_end(&policy, 0, 0), 0);
        }
}

static void test_bad_rollout(void **state) {
        (void) state;
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"waves\":[]}"), "policy.waves", "1 to 32");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"waves\":[{\"count\":2},{}]}"), "policy.waves[1]", "either count or percent");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"waves\":[{\"count\":2,\"percent\":5}]}"), "policy.waves[0]", "either");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"waves\":[{\"percent\":101}]}"), "policy.waves[0].percent", "1 to 100");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"waves\":[{\"count\":3},{\"percent\":1},{\"count\":2}]}"), "policy.waves[2]",
            "cumulative");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"waves\":[{\"percent\":3},{\"count\":1},{\"percent\":2}]}"), "policy.waves[2]",
            "cumulative");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"waves\":[{\"percent\":100},{\"count\":2}]}"), "policy.waves[1]", "all devices");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"gate\":\"wave\"}"), "policy.gate", "none, first-wave or each-wave");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"abort\":{\"action\":\"stop\"}}"), "policy.abort.action", "pause or cancel");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"abort\":{\"failed\":3}}"), "policy.abort.failed", "unknown");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"maintenance_windows\":[{}]}"), "policy.maintenance_windows[0].timezone", "missing");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"maintenance_windows\":[{\"days\":[\"mo\"]}]}"), "policy.maintenance_windows[0].days[0]",
            "mon, tue");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_POLICY("{\"maintenance_windows\":[{\"timezone\":\"../x\"}]}"),
            "policy.maintenance_windows[0].timezone", "Europe/Oslo");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("{\"rssi_min_dbm\":30}"), "devices.rssi_min_dbm", "-127 to 20");
        bad(CAMPAIGN_ORIGIN_LOCAL, "{" HEAD "\"rollback_of\":\"sensors-1.4.0\",\"devices\":{\"all\":true}}", "rollback_of", "itself");
        bad(CAMPAIGN_ORIGIN_LOCAL, "{" HEAD "\"rollback_of\":\"x\",\"rollback\":\"other-slot\",\"devices\":{\"all\":true}}", "rollback_of",
            "not together");
}

/* Written out and read again it is the same order, whatever the configuration says by then. */
static void test_write(void **state) {
        static const struct campaign_policy other = {
                .mode = GW_MODE_UPLOAD_ONLY, .trial_ms = 1, .trial_checks = 9, .concurrency = 9, .attempts = 9, .battery_min_percent = -1};
        const struct campaign_parse_options options = {.defaults = &other};
        static const char *const texts[] = {
                SHORTEST,
                FULL,
                WITH_POLICY("{" ROLLOUT "}"),
                WITH_DEVICES("{\"rssi_min_dbm\":-85,\"updated_by\":\"sensors-1.3.0\"}"),
                "{" HEAD "\"rollback\":\"other-slot\",\"devices\":{\"all\":true}}",
                "{" HEAD "\"rollback_of\":\"sensors-1.3.0\",\"devices\":{\"all\":true}}",
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                _cleanup_campaign_document_ struct campaign_document *document = good(texts[i]), *again = NULL;
                _cleanup_json_ struct json *json = NULL, *json_again = NULL;

                assert_int_equal(campaign_document_write(document, &json), 0);
                assert_int_equal(campaign_document_read(json, "", &options, &again, NULL), 0);
                assert_int_equal(again->policy.mode, document->policy.mode);
                assert_int_equal(again->policy.trial_ms, document->policy.trial_ms);
                assert_int_equal(campaign_document_write(again, &json_again), 0);
                assert_true(json_equal(json, json_again));
        }
}

static void test_defaults(void **state) {
        static const struct campaign_policy other = {
                .mode = GW_MODE_UPLOAD_ONLY, .trial_ms = 500, .trial_checks = 9, .concurrency = 8, .attempts = 7};
        const struct campaign_parse_options options = {.defaults = &other};
        _cleanup_campaign_document_ struct campaign_document *document = NULL;

        (void) state;
        assert_int_equal(campaign_document_parse(SHORTEST, strlen(SHORTEST), &options, &document, NULL), 0);
        assert_int_equal(document->policy.mode, GW_MODE_UPLOAD_ONLY);
        assert_int_equal(document->policy.trial_ms, 500);
        assert_int_equal(document->policy.attempts, 7);
}

static void test_all_mistakes_at_once(void **state) {
        static const char text[] = "{\"schema\":\"x\",\"id\":\"a b\",\"revision\":0,\"artifacts\":[{\"size\":0}],\"devices\":{\"ids\":[]},"
                                   "\"policy\":{\"mode\":\"fast\",\"waves\":[]},\"extra\":1}";
        static const char *const paths[] = {
                "schema",      "id",           "revision", "artifacts[0].size", "artifacts[0].sha256", "devices.ids",
                "policy.mode", "policy.waves", "extra"};

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                bad(CAMPAIGN_ORIGIN_LOCAL, text, paths[i], "");
}

static void test_selectors(void **state) {
        (void) state;
        bad(CAMPAIGN_ORIGIN_LOCAL, "{" HEAD "\"artifacts\":[" FILE_ "]}", "devices", "missing");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("{}"), "devices", "names no device");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("null"), "devices", "expected an object");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("{\"all\":false}"), "devices.all", "must be true");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("{\"all\":true,\"name\":\"x\"}"), "devices.all", "stands alone");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("{\"labels\":null}"), "devices.labels", "found null");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("{\"labels\":[\"a\",\"a\"]}"), "devices.labels", "there twice");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("{\"name\":\"\"}"), "devices.name", "expected a glob");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("{\"ids\":[\"kitchen\"]}"), "devices.ids[0]", "expected a device id");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("{\"version\":\"1.4\"}"), "devices.version", "comparisons");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_DEVICES("{\"label\":[\"a\"]}"), "devices.label", "did you mean \"labels\"");
}

static void test_signed_needs_more(void **state) {
        (void) state;
        bad(CAMPAIGN_ORIGIN_SIGNED, SHORTEST, "aud", "missing");
        bad(CAMPAIGN_ORIGIN_SIGNED, SHORTEST, "iat", "missing");
        bad(CAMPAIGN_ORIGIN_SIGNED, SHORTEST, "exp", "missing");
        bad(CAMPAIGN_ORIGIN_SIGNED, SHORTEST, "artifacts[0].url", "missing");
        bad(CAMPAIGN_ORIGIN_SIGNED, SHORTEST, "artifacts[0].compatible", "missing");
        bad(CAMPAIGN_ORIGIN_SIGNED, "{" HEAD "\"rollback\":\"other-slot\",\"devices\":{\"all\":true}}", "rollback",
            "only in a local document");
}

static void test_claims(void **state) {
        (void) state;
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_MORE("\"iat\":10,\"exp\":10"), "exp", "must be later");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_MORE("\"nbf\":11,\"exp\":10"), "exp", "must be later");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_MORE("\"iat\":10,\"exp\":7776011"), "exp", "90 days");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_MORE("\"iat\":1.5"), "iat", "expected an integer");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_MORE("\"aud\":[\"Pi\"]"), "aud[0]", "expected a gateway id");
        campaign_document_free(good(WITH_MORE("\"iat\":10,\"exp\":7776010")));
        campaign_document_free(good(WITH_MORE("\"iat\":1.0e1")));
}

static void test_artifacts(void **state) {
        (void) state;
        bad(CAMPAIGN_ORIGIN_LOCAL, "{" HEAD "\"devices\":{\"all\":true}}", "artifacts", "missing");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_FILES("[]"), "artifacts", "1 to 16");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_FILES("[1]"), "artifacts[0]", "expected an object");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_FILES("[" FILE_ "," FILE_ "]"), "artifacts[1].compatible", "missing");
        bad(CAMPAIGN_ORIGIN_LOCAL, WITH_FILES("[{\"size\":1,\"sha256\":\"" DIGEST "\",\"url\":\"http://a/\"}]"), "artifacts[0].url",
            "https");
        bad(CAMPAIGN_ORIGIN_LOCAL,
            WITH_FILES("[{\"size\":1,\"sha256\":\"" DIGEST "\",\"compatible\":[\"a\"]},{\"size\":1,\"sha256\":\"" DIGEST
                       "\",\"compatible\":[\"b\",\"a\"]}]"),
            "artifacts", "[0] and [1] are both for a");
        /* Two kinds of bootloader on one board: the format tells them apart. */
        campaign_document_free(good(WITH_FILES("[{\"size\":1,\"sha256\":\"" DIGEST
                                               "\",\"format\":\"mcuboot\",\"compatible\":[\"a\"]},{\"size\":1,\"sha256\":\"" OTHER_DIGEST
                                               "\",\"format\":\"nordic-dfu\",\"compatible\":[\"a\"]}]")));
        bad(CAMPAIGN_ORIGIN_LOCAL, "{" HEAD "\"rollback\":\"other-slot\",\"artifacts\":[" FILE_ "],\"devices\":{\"all\":true}}",
            "artifacts", "not together with rollback");
}

static void test_no_json(void **state) {
        struct campaign_document *document = NULL;
        struct json_errors errors;

        (void) state;
        bad(CAMPAIGN_ORIGIN_LOCAL, "", "", "line 1, column 1");
        bad(CAMPAIGN_ORIGIN_LOCAL, "[]", "", "expected an object");
        bad(CAMPAIGN_ORIGIN_LOCAL, "{\"id\":1,\"id\":2}", "", "line 1");
        json_errors_init(&errors);
        assert_int_equal(campaign_document_parse("null", 4, NULL, &document, &errors), -EBADMSG);
        assert_true(json_errors_any(&errors));
        assert_int_equal(campaign_document_parse("{}", 2, NULL, &document, NULL), -EBADMSG);
}

static void test_deadline(void **state) {
        const int64_t day_ms = 24 * 3600 * 1000, due_ms = 1796428800000;
        _cleanup_campaign_document_ struct campaign_document *open = good(SHORTEST);
        _cleanup_campaign_document_ struct campaign_document *document =
                good(WITH_MORE("\"policy\":{\"deadline\":\"2026-12-05T00:00:00Z\"}"));
        _cleanup_campaign_document_ struct campaign_document *ancient =
                good(WITH_MORE("\"policy\":{\"deadline\":\"1970-01-01T00:00:00Z\"}"));
        struct gw_error err = {.name = ""};
        int64_t found_ms = 0;

        (void) state;
        assert_int_equal(campaign_deadline(open, 1000, CAMPAIGN_DEADLINE_DEFAULT_MS, &found_ms, &err), 0);
        assert_int_equal(found_ms, 1000 + 14 * day_ms);
        assert_int_equal(campaign_deadline(document, due_ms - 1, day_ms, &found_ms, &err), 0);
        assert_int_equal(found_ms, due_ms);
        assert_int_equal(campaign_deadline(document, due_ms - 180 * day_ms, day_ms, &found_ms, &err), 0);
        found_ms = 5;
        assert_int_equal(campaign_deadline(document, due_ms, day_ms, &found_ms, &err), -ERANGE);
        assert_string_equal(err.name, "document-invalid");
        assert_int_equal(campaign_deadline(document, due_ms - 180 * day_ms - 1, day_ms, &found_ms, &err), -ERANGE);
        assert_int_equal(campaign_deadline(ancient, 1000, day_ms, &found_ms, &err), -ERANGE);
        assert_int_equal(found_ms, 5);
}

/* Ten thousand ids are the largest order; repetitions among them are found without comparing all with all. */
static void test_many_ids(void **state) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(JSON_SIZE_MAX);
        _cleanup_campaign_document_ struct campaign_document *document = NULL;
        struct json_errors errors;

        (void) state;
        strbuf_append(&text, "{" HEAD "\"artifacts\":[" FILE_ "],\"devices\":{\"ids\":[\"smp-udp:first\"");
        for (int i = 1; i < CAMPAIGN_IDS_MAX; i++)
                strbuf_appendf(&text, ",\"smp-udp:device-%d\"", (i * 7919) % 10007);
        strbuf_append(&text, "]}}");
        assert_int_equal(text.error, 0);
        document = good(strbuf_text(&text));
        assert_int_equal(document->devices.ids.n_items, CAMPAIGN_IDS_MAX);
        assert_true(campaign_selector_has_id(&document->devices, "smp-udp:device-7919"));
        assert_false(campaign_selector_has_id(&document->devices, "smp-udp:device-10007"));
        text.size -= 3;
        text.text[text.size] = '\0';
        strbuf_append(&text, ",\"smp-udp:one-more\"]}}");
        assert_int_equal(parse(strbuf_text(&text), CAMPAIGN_ORIGIN_LOCAL, &document, &errors), -EBADMSG);
        assert_string_equal(errors.items[0].path, "devices.ids");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shortest),  cmocka_unit_test(test_full),
                cmocka_unit_test(test_audience),  cmocka_unit_test(test_write),
                cmocka_unit_test(test_defaults),  cmocka_unit_test(test_all_mistakes_at_once),
                cmocka_unit_test(test_rollout),   cmocka_unit_test(test_rollout_by_origin),
                cmocka_unit_test(test_wave_ends), cmocka_unit_test(test_bad_rollout),
                cmocka_unit_test(test_selectors), cmocka_unit_test(test_signed_needs_more),
                cmocka_unit_test(test_claims),    cmocka_unit_test(test_artifacts),
                cmocka_unit_test(test_no_json),   cmocka_unit_test(test_deadline),
                cmocka_unit_test(test_many_ids),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
