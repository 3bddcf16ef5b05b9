/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/error_catalogue.h"

static struct json *parse(const char *text) {
        struct json *json;

        assert_int_equal(json_parse(text, strlen(text), 0, &json, NULL), 0);
        return json;
}

static void assert_plan(const struct plan_view *view, struct style style, const char *expected) {
        struct strbuf out = STRBUF_INIT(100000);

        assert_int_equal(plan_render(view, &style, &out), 0);
        assert_string_equal(strbuf_text(&out), expected);
        strbuf_deinit(&out);
}

static const char one[] =
        "{\"id\":\"c1\",\"revision\":1,\"mode\":\"test-and-confirm\",\"counts\":{\"update\":1,\"wait\":0,\"reject\":0,\"unknown\":0,\"not-"
        "selected\":3},"
        "\"devices\":[{\"device\":\"smp-udp:kitchen\",\"name\":\"kitchen\",\"verdict\":\"update\",\"model\":\"acme,sensor-r2\",\"work\":"
        "\"upload\","
        "\"mode\":\"test-and-confirm\",\"upload_bytes\":205312,\"duration_ms\":12400,\"rollback_possible\":true,\"version_now\":\"1.0.0\","
        "\"version_new\":\"1.1.0\",\"needs_statement\":true},{\"device\":\"smp-udp:attic\",\"name\":\"attic\",\"verdict\":\"not-selected\","
        "\"member\":\"ids\"}],"
        "\"cut\":false,\"warnings\":[\"signed with a key that MCUboot publishes as a sample\"]}";

static void test_one_device(void **state) {
        struct json *plan = parse(one), *package = parse("{\"format\":\"mcuboot\",\"version\":\"1.1.0\"}");

        (void) state;
        assert_plan(&(struct plan_view){ .plan = plan, .package = package, .title = "app.bin" }, (struct style){ .utf8 = true },
                    "Plan: app.bin, version 1.1.0 (mcuboot), mode test-and-confirm; 1 device to update\n"
                    "\n"
                    "DEVICE           MODEL           NOW    NEW    WHAT             TIME  ROLLBACK\n"
                    "smp-udp:kitchen  acme,sensor-r2  1.0.0  1.1.0  upload 200 KiB  ~12 s  possible\n"
                    "\n"
                    "  Warning: signed with a key that MCUboot publishes as a sample\n");
        assert_true(plan_needs_statement(plan));
        assert_int_equal(plan_count(plan, "update"), 1);
        assert_int_equal(plan_count(plan, "not-selected"), 3);
        assert_int_equal(plan_count(plan, "nonsense"), 0);
        json_free(plan);
        json_free(package);
}

#define IN_WAVE(gateway, device, wave)                                                                                                     \
        "{\"gateway\":\"" gateway "\",\"device\":\"" device                                                                                \
        "\",\"verdict\":\"update\",\"work\":\"upload\",\"mode\":\"test-and-confirm\",\"wave\":" wave                                       \
        ",\"upload_bytes\":2048,\"duration_ms\":12400,\"rollback_possible\":true,\"version_now\":\"1.0.0\",\"version_new\":\"1.1.0\"}"

static void test_waves_on_several_gateways(void **state) {
        struct json *plan =
                parse("{\"id\":\"c1\",\"revision\":1,\"mode\":\"test-and-confirm\",\"counts\":{\"update\":2},\"devices\":[" IN_WAVE(
                        "pi-1", "smp-udp:a", "1") "," IN_WAVE("pi-2", "smp-udp:b",
                                                              "2") "],\"cut\":false,\"warnings\":[],\"eta_ms\":750400,"
                                                                   "\"ends\":\"2026-12-05T14:03:07Z\",\"unknown_durations\":1,\"window\":{"
                                                                   "\"open\":false,\"opens\":\"2026-12-05T13:50:00Z\"}}");

        (void) state;
        setenv("TZ", "UTC", true);
        tzset();
        assert_plan(&(struct plan_view){ .plan = plan }, (struct style){ .utf8 = true },
                    "Plan: c1, mode test-and-confirm; 2 devices to update\n"
                    "\n"
                    "GATEWAY  WAVE  DEVICE     NOW    NEW    WHAT              TIME  ROLLBACK\n"
                    "pi-1        1  smp-udp:a  1.0.0  1.1.0  upload 2.00 KiB  ~12 s  possible\n"
                    "pi-2        2  smp-udp:b  1.0.0  1.1.0  upload 2.00 KiB  ~12 s  possible\n"
                    "\n"
                    "  The maintenance window opens at 2026-12-05 13:50:00.\n"
                    "  All together at least 12 min 30 s, done by 2026-12-05 14:03:07.\n");
        json_free(plan);
}

static void test_the_devices_that_are_not_selected(void **state) {
        struct json *plan = parse(one);

        (void) state;
        assert_plan(&(struct plan_view){ .plan = plan, .all = true }, (struct style){ .columns = 78 },
                    "Plan: c1, mode test-and-confirm; 1 device to update\n"
                    "\n"
                    "DEVICE           MODEL         NOW    NEW    WHAT                        TIME  ROLLBACK\n"
                    "smp-udp:kitchen  acme,sensor~  1.0.0  1.1.0  upload 200 KiB             ~12 s  possible\n"
                    "smp-udp:attic                                not selected: devices.ids\n"
                    "\n"
                    "  Warning: signed with a key that MCUboot publishes as a sample\n");
        json_free(plan);
}

static const char many[] =
        "{\"id\":\"c2\",\"revision\":1,\"mode\":\"test-and-confirm\",\"counts\":{\"update\":3,\"wait\":1,\"reject\":2,\"unknown\":1,\"not-"
        "selected\":0},\"devices\":["
        "{\"device\":\"smp-udp:a\",\"verdict\":\"update\",\"work\":\"upload\",\"mode\":\"confirm-only\",\"upload_bytes\":1000,\"duration_"
        "ms\":90000,\"rollback_possible\":false,"
        "\"version_now\":\"1.0.0\",\"version_new\":\"1.1.0\",\"text\":\"no rollback on this device: overwrite-only bootloader\"},"
        "{\"device\":\"smp-udp:b\",\"verdict\":\"update\",\"work\":\"activate\",\"mode\":\"test-and-confirm\",\"rollback_possible\":true,"
        "\"version_new\":\"1.1.0\","
        "\"text\":\"no rollback on this device: overwrite-only bootloader\"},"
        "{\"device\":\"smp-udp:c\",\"verdict\":\"update\",\"work\":\"nothing\",\"mode\":\"test-and-confirm\",\"version_now\":\"1.1.0\","
        "\"version_new\":\"1.1.0\"},"
        "{\"device\":\"smp-udp:d\",\"verdict\":\"wait\",\"reason\":\"not-seen\",\"text\":\"not heard since 3 days\"},"
        "{\"device\":\"smp-udp:e\",\"verdict\":\"reject\",\"reason\":\"downgrade\",\"text\":\"it runs 1.2.0\",\"version_now\":\"1.2.0\"},"
        "{\"device\":\"smp-udp:f\",\"verdict\":\"reject\",\"reason\":\"downgrade\",\"text\":\"it runs 1.3.0\",\"version_now\":\"1.3.0\"},"
        "{\"device\":\"smp-udp:g\",\"verdict\":\"unknown\",\"member\":\"version\"}],\"cut\":true,\"warnings\":[]}";

static void test_every_verdict(void **state) {
        struct strbuf expected = STRBUF_INIT(100000);
        struct json *plan = parse(many);

        (void) state;
        strbuf_append(&expected, "Plan: c2, mode test-and-confirm; 3 devices to update, 2 waiting, 2 refused\n"
                                 "\n"
                                 "DEVICE     NOW      NEW    WHAT                            MODE                     TIME  ROLLBACK\n"
                                 "smp-udp:a  1.0.0    1.1.0  upload 0.98 KiB                 confirm-only      ~1 min 30 s  not possible\n"
                                 "smp-udp:b  unknown  1.1.0  activate: no upload needed      test-and-confirm               possible\n"
                                 "smp-udp:c  1.1.0    1.1.0  nothing: it runs this already   test-and-confirm\n"
                                 "smp-udp:d                  waits: not-seen\n"
                                 "smp-udp:e  1.2.0           refused: downgrade\n"
                                 "smp-udp:f  1.3.0           refused: downgrade\n"
                                 "smp-udp:g                  waits: devices.version unknown\n"
                                 "... and more; the counts above hold for all.\n"
                                 "\n"
                                 "  2 devices: no rollback on this device: overwrite-only bootloader\n"
                                 "  smp-udp:d: not heard since 3 days\n"
                                 "  smp-udp:e: it runs 1.2.0\n"
                                 "  smp-udp:f: it runs 1.3.0\n");
        strbuf_appendf(&expected, "  not-seen: %s\n", error_catalogue_find("not-seen")->advice);
        strbuf_appendf(&expected, "  downgrade: %s\n", error_catalogue_find("downgrade")->advice);
        assert_plan(&(struct plan_view){ .plan = plan }, (struct style){ .utf8 = true }, strbuf_text(&expected));
        strbuf_deinit(&expected);
        json_free(plan);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_device),
                cmocka_unit_test(test_waves_on_several_gateways),
                cmocka_unit_test(test_the_devices_that_are_not_selected),
                cmocka_unit_test(test_every_verdict),
        };

        text_init();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
