/* SPDX-License-Identifier: Apache-2.0 */
#include "api/test_support.h"

#include <unistd.h>

#include "store/audit_table.h"

#define START_SIZE 1024

static size_t n_audit(const char *command) {
        struct test_client *client = client_new();
        struct json *rows = json_child(client_result(client, "audit.query", NULL), "rows");
        size_t n = 0;
        JSON_FOREACH_ITEM(i, row, rows)
        n += str_equal(json_member_text(row, "command"), command);
        client_free(client);
        return n;
}

/* --- devices --- */

static void test_device_list_pages_and_filters(void **state) {
        struct test_client *client = client_new();
        struct json *page;
        (void) state;
        assert_int_equal(fleet_seen(fixture.fleet, "toy", "x1", &(struct gw_facts) GW_FACTS_INIT), 0);
        page = client_result(client, "device.list", "{\"limit\":2}");
        assert_int_equal(json_length(json_child(page, "devices")), 2);
        assert_string_equal(text_of(page, "next"), "toy:d1");
        assert_int_equal(number_of(json_child(page, "counts"), "devices"), TEST_DEVICES + 1);
        page = client_result(client, "device.list", "{\"limit\":3,\"after\":\"toy:d1\"}");
        assert_string_equal(text_of(json_at(json_child(page, "devices"), 0), "id"), "toy:d2");
        assert_int_equal(json_length(json_child(page, "devices")), 3);
        assert_false(json_has(page, "next"));
        page = client_result(client, "device.list", "{\"state\":\"discovered\"}");
        assert_int_equal(json_length(json_child(page, "devices")), 1);
        page = client_result(client, "device.list", "{\"labels\":[\"sensor\"],\"match\":\"d[01]\",\"driver\":\"toy\"}");
        assert_int_equal(json_length(json_child(page, "devices")), 2);
        page = client_result(client, "device.list", "{\"labels\":[\"sensor\",\"other\"]}");
        assert_int_equal(json_length(json_child(page, "devices")), 0);
        client_free(client);
}

static void test_device_adopt(void **state) {
        struct test_client *client = client_new();
        struct json *result;
        (void) state;
        result = client_result(client, "device.adopt",
                               "{\"id\":\"toy:x1\",\"name\":\"left\",\"model\":\"acme,toy\",\"labels\":[\"a\",\"b\"]}");
        assert_int_equal(json_length(json_child(result, "adopted")), 1);
        assert_int_equal(fleet_find(fixture.fleet, "toy:x1")->labels_adopted.n_items, 2);
        result = client_result(client, "device.adopt", "{\"id\":\"toy:x1\",\"name\":\"left\"}");
        assert_int_equal(json_length(json_child(result, "adopted")), 0);
        assert_int_equal(json_length(json_child(result, "unchanged")), 1);
        assert_int_equal(n_audit("device.adopt"), 1);
        result = client_result(client, "device.adopt", "{\"id\":\"toy:x1\",\"name\":\"right\"}");
        assert_int_equal(json_length(json_child(result, "adopted")), 1);
        assert_string_equal(client_error(client, "device.adopt", "{\"id\":\"nix:x1\"}"), "driver-unavailable");
        assert_string_equal(client_error(client, "device.adopt", "{\"match\":\"zz*\"}"), "no-device-matches");
        client_free(client);
}

static void test_device_adopt_by_glob(void **state) {
        struct test_client *client = client_new();
        struct json *result;
        (void) state;
        for (char key[] = "y0"; key[1] < '3'; key[1]++)
                assert_int_equal(fleet_seen(fixture.fleet, "toy", key, &(struct gw_facts) GW_FACTS_INIT), 0);
        (void) client_result(client, "device.adopt", "{\"id\":\"toy:y0\",\"labels\":[\"old\"]}");
        result = client_result(client, "device.adopt", "{\"match\":\"toy:y*\",\"labels\":[\"new\"]}");
        assert_int_equal(json_length(json_child(result, "adopted")), 2);
        assert_int_equal(json_length(json_child(result, "unchanged")), 1);
        assert_true(device_has_label(fleet_find(fixture.fleet, "toy:y2"), "new"));
        assert_true(device_has_label(fleet_find(fixture.fleet, "toy:y0"), "old"));
        assert_int_equal(n_audit("device.adopt"), 3);
        client_free(client);
}

static void test_device_set_and_forget(void **state) {
        struct test_client *client = client_new();
        struct json *device;
        (void) state;
        (void) client_result(client, "device.adopt", "{\"id\":\"toy:x1\",\"name\":\"left\",\"labels\":[\"a\",\"b\"]}");
        device =
                json_child(client_result(client, "device.set",
                                         "{\"id\":\"left\",\"add_labels\":[\"c\",\"a\"],\"remove_labels\":[\"b\"],\"model\":\"acme,toy\"}"),
                           "device");
        assert_int_equal(json_length(json_child(device, "labels")), 2);
        assert_true(texts_contain(json_child(device, "labels"), "c"));
        assert_string_equal(text_of(json_child(device, "model"), "effective"), "acme,toy");
        device = json_child(client_result(client, "device.set", "{\"id\":\"toy:x1\",\"name\":null,\"labels\":[]}"), "device");
        assert_string_equal(text_of(device, "name"), "x1");
        assert_int_equal(json_length(json_child(device, "labels")), 0);
        assert_int_equal(n_audit("device.set"), 2);
        assert_int_equal(json_length(client_result(client, "device.forget", "{\"id\":\"toy:x1\"}")), 0);
        assert_null(fleet_find(fixture.fleet, "toy:x1"));
        assert_string_equal(client_error(client, "device.forget", "{\"id\":\"toy:x1\"}"), "device-unknown");
        assert_string_equal(client_error(client, "device.forget", "{\"id\":\"toy:d0\"}"), "device-configured");
        assert_int_equal(n_audit("device.forget"), 1);
        client_free(client);
}

static void test_device_import(void **state) {
        struct test_client *client = client_new();
        struct json *result, *mistakes;
        (void) state;
        result = client_result(client, "device.import", "{\"csv\":\"toy:a1\\ntoy:a2\\n\",\"dry_run\":true}");
        assert_int_equal(number_of(result, "adopted"), 2);
        assert_null(fleet_find(fixture.fleet, "toy:a1"));
        assert_int_equal(n_audit("device.import"), 0);
        result = client_result(client, "device.import", "{\"csv\":\"toy:a1\\ntoy:a2\\n\"}");
        assert_int_equal(number_of(result, "adopted"), 2);
        assert_true(fleet_find(fixture.fleet, "toy:a1")->adopted);
        assert_int_equal(n_audit("device.import"), 1);
        result = json_child(client_call(client, "device.import", "{\"csv\":\"id,name\\ntoy:a3\\nnonsense,x\\n\"}"), "error");
        mistakes = json_child(json_child(result, "data"), "errors");
        assert_int_equal(json_length(mistakes), 2);
        assert_string_equal(text_of(json_at(mistakes, 1), "path"), "line 3, column 1");
        assert_null(fleet_find(fixture.fleet, "toy:a3"));
        client_free(client);
}

static void test_device_scan(void **state) {
        struct test_client *client = client_new();
        struct json *result, *drivers;
        (void) state;
        result = client_result(client, "device.scan", "{\"duration_ms\":100}");
        drivers = json_child(result, "drivers");
        assert_int_equal(json_length(drivers), 2); /* mute cannot */
        JSON_FOREACH_ITEM(i, driver, drivers)
        assert_string_equal(text_of(json_child(driver, "error"), "name"),
                            str_equal(json_member_text(driver, "name"), "deaf") ? "port-permission" : "");
        assert_int_equal(json_length(json_child(result, "devices")), 2);
        result = client_result(client, "device.scan", "{\"driver\":\"mute\"}");
        assert_string_equal(text_of(json_child(json_at(json_child(result, "drivers"), 0), "error"), "name"), "not-supported");
        assert_string_equal(client_error(client, "device.scan", "{\"driver\":\"nix\"}"), "driver-unavailable");
        client_free(client);
}

/* Each device that was heard is read as well; who cannot be read is told, and does not spoil the rest. */
static void test_device_scan_inspects(void **state) {
        struct test_client *client = client_new();
        struct json *result, *unread;
        (void) state;
        result = client_result(client, "device.scan", "{\"duration_ms\":100,\"inspect\":true}");
        assert_int_equal(json_length(json_child(result, "devices")), 2);
        assert_int_equal(json_length(json_child(result, "unread")), 0);
        fixture.unreadable = "toy:new";
        result = client_result(client, "device.scan", "{\"duration_ms\":100,\"inspect\":true}");
        unread = json_child(result, "unread");
        assert_int_equal(json_length(json_child(result, "devices")), 2);
        assert_int_equal(json_length(unread), 1);
        assert_string_equal(text_of(json_at(unread, 0), "id"), "toy:new");
        assert_string_equal(text_of(json_child(json_at(unread, 0), "error"), "name"), "smp-no-answer");
        result = client_result(client, "device.scan", "{\"driver\":\"mute\",\"inspect\":true}"); /* nothing was heard */
        assert_int_equal(json_length(json_child(result, "unread")), 0);
        client_free(client);
}

static void test_device_diagnose(void **state) {
        struct test_client *client = client_new();
        struct json *result = client_result(client, "device.diagnose", "{\"id\":\"d0\"}");
        (void) state;
        assert_string_equal(text_of(json_child(result, "device"), "id"), "toy:d0");
        assert_string_equal(json_string_or_null(json_at(json_child(result, "findings"), 0)), "all is well");
        assert_string_equal(client_error(client, "device.diagnose", "{\"id\":\"nobody\"}"), "device-unknown");
        client_free(client);
}

/* --- artifacts --- */

static size_t n_artifacts(struct test_client *client) {
        return json_length(json_child(client_result(client, "artifact.list", NULL), "artifacts"));
}

static void test_artifact_import(void **state) {
        struct test_client *client = client_new();
        _cleanup_close_ int fd = file_with("v1.2.3");
        struct json *result = json_child(client_reply(client, client_ask(client, "artifact.import", "{\"size_bytes\":6}", fd)), "result");
        char params[160];
        (void) state;
        assert_string_equal(text_of(json_child(result, "package"), "version"), "1.2.3");
        assert_int_equal(number_of(json_child(result, "artifact"), "size_bytes"), 6);
        assert_string_equal(text_of(json_child(result, "artifact"), "format"), "toy");
        (void) str_format(params, sizeof params, "{\"sha256\":\"%s\"}", text_of(json_child(result, "artifact"), "sha256"));
        result = json_child(client_reply(client, client_ask(client, "artifact.import", params, fd)), "result");
        bool known = false;
        assert_int_equal(json_member_bool(result, "known", &known), 0);
        assert_true(known);
        assert_int_equal(n_artifacts(client), 1);
        assert_int_equal(n_audit("artifact.import"), 2);
        assert_int_equal(number_of(client_result(client, "artifact.remove", params), "removed_bytes"), 6);
        assert_string_equal(client_error(client, "artifact.remove", params), "artifact-unknown");
        assert_int_equal(n_audit("artifact.remove"), 1);
        assert_int_equal(n_artifacts(client), 0);
        client_free(client);
}

/* What nobody can use does not stay, unless it was there before. */
static void test_artifact_import_refused(void **state) {
        static const struct {
                const char *content, *params, *name;
        } rows[] = {
                { "?", NULL, "format-recognised-no-driver" },
                { "nothing known", NULL, "format-unknown" },
                { "v1", "{\"size_bytes\":3}", "size-mismatch" },
                { "v1", "{\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000000\"}", "digest-mismatch" },
                { "", NULL, "file-unreadable" },
        };
        struct test_client *client = client_new();
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_close_ int fd = file_with(rows[i].content);
                struct json *reply = client_reply(client, client_ask(client, "artifact.import", rows[i].params, fd));
                assert_string_equal(text_of(json_child(json_child(reply, "error"), "data"), "name"), rows[i].name);
                assert_int_equal(n_artifacts(client), 0);
        }
        assert_int_equal(n_audit("artifact.import"), 0);
        client_free(client);
}

static void test_artifact_known_before_stays(void **state) {
        struct test_client *client = client_new();
        _cleanup_close_ int fd = file_with("v1");
        struct json *reply;
        char hex[DIGEST_HEX_SIZE];
        (void) state;
        import_file(client, "v1", hex);
        reply = client_reply(client, client_ask(client, "artifact.import",
                                                "{\"sha256\":\"0000000000000000000000000000000000000000000000000000000000000000\"}", fd));
        assert_non_null(json_child(reply, "error"));
        assert_int_equal(n_artifacts(client), 1);
        client_free(client);
}

static void test_artifact_not_a_file(void **state) {
        struct test_client *client = client_new();
        struct json *reply;
        int fds[2];
        (void) state;
        assert_int_equal(pipe(fds), 0);
        reply = client_reply(client, client_ask(client, "artifact.import", "{\"size_bytes\":3}", fds[0]));
        assert_string_equal(text_of(json_child(json_child(reply, "error"), "data"), "name"), "file-unreadable");
        close(fds[0]);
        close(fds[1]);
        client_free(client);
}

/* --- campaigns --- */

static void start(struct test_client *client, const char *id, const char *devices) {
        char hex[DIGEST_HEX_SIZE], params[START_SIZE];
        import_file(client, "v2.0.0", hex);
        start_params(params, sizeof params, id, hex, 6, devices);
        assert_string_equal(text_of(json_child(client_result(client, "campaign.start", params), "campaign"), "id"), id);
}

static const char *campaign_state(struct test_client *client, const char *id) {
        char params[128];
        (void) str_format(params, sizeof params, "{\"id\":\"%s\"}", id);
        client->next_id = 0;
        for (size_t i = 0; i < client->n_lines; i++)
                json_free(client->lines[i].json);
        client->n_lines = client->n_read = 0;
        return text_of(json_child(client_result(client, "campaign.get", params), "campaign"), "state");
}

static void test_campaign_from_start_to_report(void **state) {
        struct test_client *client = client_new();
        struct json *result;
        (void) state;
        start(client, "c", "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}");
        while (strcmp(campaign_state(client, "c"), "completed") != 0)
                continue;
        result = client_result(client, "campaign.get", "{\"id\":\"c\",\"steps\":true,\"limit\":2}");
        assert_int_equal(json_length(json_child(result, "jobs")), 2);
        assert_int_equal(number_of(json_child(json_child(result, "campaign"), "counts"), "succeeded"), 3);
        assert_string_equal(text_of(json_at(json_child(json_at(json_child(result, "jobs"), 0), "steps"), 0), "name"), "upload");
        assert_string_equal(text_of(json_child(result, "document"), "id"), "c");
        assert_string_equal(text_of(result, "next"), "toy:d1");
        result = client_result(client, "campaign.get", "{\"id\":\"c\",\"after\":\"toy:d1\"}");
        assert_int_equal(json_length(json_child(result, "jobs")), 1);
        assert_false(json_has(result, "next"));
        result = client_result(client, "campaign.get", "{\"id\":\"c\",\"state\":[\"failed\"]}");
        assert_int_equal(json_length(json_child(result, "jobs")), 0);
        result = client_result(client, "campaign.get", "{\"id\":\"c\",\"devices\":[\"toy:d2\"]}");
        assert_int_equal(json_length(json_child(result, "jobs")), 1);
        assert_string_equal(client_error(client, "campaign.get", "{\"id\":\"c\",\"after\":\"toy:d9\"}"), "params-invalid");
        result = client_result(client, "campaign.report", "{\"id\":\"c\"}");
        assert_string_equal(text_of(result, "gateway"), "test");
        result = client_result(client, "device.get", "{\"id\":\"d1\"}");
        assert_string_equal(text_of(json_child(result, "job"), "result"), "updated");
        assert_string_equal(text_of(result, "campaign"), "c");
        client_free(client);
}

static void test_campaign_commands(void **state) {
        struct test_client *client = client_new();
        struct json *result;
        (void) state;
        fixture.hold = true;
        start(client, "c", "{\"ids\":[\"toy:d0\",\"toy:d1\"]}");
        LOOP_UNTIL(fixture.loop, fixture.held);
        result = client_result(client, "campaign.pause", "{\"id\":\"c\",\"reason\":\"lunch\"}");
        assert_string_equal(text_of(json_child(result, "campaign"), "state"), "paused");
        assert_string_equal(client_error(client, "campaign.continue", "{\"id\":\"c\"}"), "campaign-state"); /* a person's pause is resumed */
        result = client_result(client, "campaign.resume", "{\"id\":\"c\"}");
        assert_string_equal(text_of(json_child(result, "campaign"), "state"), "in_progress");
        result = client_result(client, "campaign.continue", "{\"id\":\"c\"}");
        assert_string_equal(text_of(json_child(result, "campaign"), "state"), "in_progress");
        LOOP_UNTIL(fixture.loop, fixture.held);
        result = client_result(client, "campaign.cancel", "{\"id\":\"c\"}");
        assert_int_equal(json_length(json_child(result, "stopped")), 2);
        assert_int_equal(json_length(json_child(result, "not_stopped")), 0);
        fixture.hold = false;
        result = client_result(client, "campaign.retry", "{\"id\":\"c\",\"devices\":[\"toy:d1\"]}");
        assert_int_equal(json_length(json_child(result, "retried")), 1);
        assert_string_equal(client_error(client, "campaign.retry", "{\"id\":\"nix\",\"errors\":[\"link-lost\"]}"), "campaign-unknown");
        assert_int_equal(n_audit("campaign.retry"), 1);
        client_free(client);
}

static void test_campaign_list_pages(void **state) {
        struct test_client *client = client_new();
        struct json *result;
        (void) state;
        start(client, "a", "{\"ids\":[\"toy:d0\"]}");
        while (strcmp(campaign_state(client, "a"), "completed") != 0)
                continue;
        fixture.hold = true;
        start(client, "b", "{\"ids\":[\"toy:d0\"]}");
        start(client, "c", "{\"ids\":[\"toy:d0\"]}");
        result = client_result(client, "campaign.list", "{\"limit\":2}");
        assert_string_equal(text_of(json_at(json_child(result, "campaigns"), 0), "id"), "c");
        assert_string_equal(text_of(result, "next"), "b@1");
        result = client_result(client, "campaign.list", "{\"limit\":2,\"after\":\"b@1\"}");
        assert_string_equal(text_of(json_at(json_child(result, "campaigns"), 0), "id"), "a");
        assert_false(json_has(result, "next"));
        result = client_result(client, "campaign.list", "{\"state\":[\"in_progress\",\"scheduled\"]}");
        assert_int_equal(json_length(json_child(result, "campaigns")), 2);
        result = client_result(client, "campaign.list", "{\"state\":[\"completed\"]}");
        assert_int_equal(json_length(json_child(result, "campaigns")), 1);
        assert_string_equal(client_error(client, "campaign.list", "{\"after\":\"zz@1\"}"), "params-invalid");
        client_free(client);
}

static void test_campaign_plan(void **state) {
        struct test_client *client = client_new();
        char hex[DIGEST_HEX_SIZE], params[START_SIZE];
        bool cut = false;
        struct json *plan;
        (void) state;
        import_file(client, "v2.0.0", hex);
        start_params(params, sizeof params, "p", hex, 6, "{\"labels\":[\"sensor\"]}");
        plan = client_result(client, "campaign.plan", params);
        assert_int_equal(number_of(json_child(plan, "counts"), "update"), TEST_DEVICES);
        assert_int_equal(json_member_bool(plan, "cut", &cut), 0);
        assert_false(cut);
        params[strlen(params) - 1] = '\0';
        strcat(params, ",\"limit\":1}");
        plan = client_result(client, "campaign.plan", params);
        assert_int_equal(json_length(json_child(plan, "devices")), 1);
        assert_int_equal(json_member_bool(plan, "cut", &cut), 0);
        assert_true(cut);
        assert_string_equal(client_error(client, "campaign.get", "{\"id\":\"p\"}"), "campaign-unknown");
        client_free(client);
}

/* --- audit --- */

static void test_audit(void **state) {
        struct test_client *client = client_new();
        struct json *result, *row;
        bool valid = false;
        (void) state;
        for (int i = 0; i < 5; i++) {
                char params[64];
                (void) str_format(params, sizeof params, "{\"id\":\"toy:n%d\"}", i);
                (void) client_result(client, "device.adopt", params);
        }
        result = client_result(client, "audit.query", "{\"limit\":2}");
        assert_int_equal(number_of(result, "next"), 3);
        row = json_at(json_child(result, "rows"), 1);
        assert_string_equal(text_of(row, "device"), "toy:n1");
        assert_string_equal(text_of(row, "door"), "socket");
        assert_string_equal(text_of(row, "result"), "adopted");
        result = client_result(client, "audit.query", "{\"from\":5}");
        assert_int_equal(json_length(json_child(result, "rows")), 1);
        assert_false(json_has(result, "next"));
        result = client_result(client, "audit.verify", NULL);
        assert_int_equal(json_member_bool(result, "valid", &valid), 0);
        assert_true(valid);
        assert_int_equal(number_of(result, "rows"), 5);
        assert_int_equal(number_of(json_child(result, "newest"), "seq"), 5);
        client_free(client);
}

static void test_audit_verify_goes_in_slices(void **state) {
        struct test_client *client = client_new();
        struct update_actor actor = { .door = "socket", .principal = "uid:0" };
        (void) state;
        for (int i = 0; i < 2500; i++)
                assert_int_equal(update_audit(fixture.update, &actor, "device.adopt", "toy:x", "adopted"), 0);
        assert_int_equal(number_of(client_result(client, "audit.verify", NULL), "rows"), 2500);
        client_free(client);
}

/* --- gateway --- */

static void test_gateway_info(void **state) {
        struct test_client *client = client_new();
        struct json *result = client_result(client, "gateway.info", NULL);
        (void) state;
        assert_string_equal(text_of(result, "version"), GW_VERSION);
        assert_string_equal(text_of(result, "time_credible"), "timesync");
        assert_string_equal(text_of(result, "time"), "2027-01-15T08:00:00Z");
        assert_string_equal(text_of(result, "epoch"), store_epoch(fixture.store));
        assert_int_equal(json_length(json_child(result, "drivers")), 3);
        assert_int_equal(json_length(json_child(result, "formats")), 1);
        assert_true(number_of(result, "memory_bytes") > 100000);
        client_free(client);
}

static void test_gateway_health(void **state) {
        struct test_client *client = client_new();
        struct json *result;
        (void) state;
        fixture.hold = true;
        start(client, "c", "{\"ids\":[\"toy:d0\",\"toy:d1\"]}");
        LOOP_UNTIL(fixture.loop, fixture.held);
        result = client_result(client, "gateway.health", NULL);
        assert_string_equal(text_of(result, "status"), "ok");
        assert_int_equal(number_of(json_child(result, "campaigns"), "in_progress"), 1);
        assert_int_equal(number_of(json_child(result, "jobs"), "in_progress"), 2);
        assert_int_equal(number_of(json_child(result, "devices"), "configured"), TEST_DEVICES);
        assert_true(number_of(json_child(result, "artifacts"), "free_bytes") > 0);
        fixture.clock_state = "not-credible";
        result = client_result(client, "gateway.health", NULL);
        assert_string_equal(text_of(result, "status"), "degraded");
        assert_string_equal(text_of(json_at(json_child(result, "problems"), 0), "name"), "clock-not-credible");
        client_free(client);
}

static void test_gateway_reload(void **state) {
        struct test_client *client = client_new();
        struct json *error, *mistake;
        (void) state;
        assert_int_equal(number_of(client_result(client, "gateway.reload", NULL), "adopted"), 0);
        assert_int_equal(n_audit("gateway.reload"), 1);
        fixture.reload_fails = true;
        error = json_child(json_child(client_call(client, "gateway.reload", NULL), "error"), "data");
        assert_string_equal(text_of(error, "name"), "config-invalid");
        mistake = json_at(json_child(error, "errors"), 0);
        assert_string_equal(text_of(mistake, "path"), "gatewayd.conf:12");
        assert_non_null(strstr(text_of(mistake, "text"), "[gateway] id: expected less"));
        client_free(client);
}

/* --- pages --- */

static void test_page_ends_before_it_is_too_large(void **state) {
        _cleanup_json_ struct json *result = json_new_object();
        char *text = malloc(REPLY_LIST_BYTES_MAX / 3);
        struct page page;
        size_t n = 0;
        (void) state;
        memset(text, 'x', REPLY_LIST_BYTES_MAX / 3 - 1);
        text[REPLY_LIST_BYTES_MAX / 3 - 1] = '\0';
        assert_int_equal(page_begin(&page, NULL, result, "list"), 0);
        while (page_wants(&page)) {
                char token[16];
                struct json *item = json_new_object();
                assert_int_equal(json_set_string(item, "text", text), 0);
                (void) str_format(token, sizeof token, "t%zu", ++n);
                assert_int_equal(page_add(&page, item, token), 0);
        }
        assert_int_equal(json_length(page.items), 2);
        assert_int_equal(page_finish(&page, result), 0);
        assert_string_equal(text_of(result, "next"), "t2");
        free(text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_device_list_pages_and_filters),
                TEST(test_device_adopt),
                TEST(test_device_adopt_by_glob),
                TEST(test_device_set_and_forget),
                TEST(test_device_import),
                TEST(test_device_scan), TEST(test_device_scan_inspects),
                TEST(test_device_diagnose),
                TEST(test_artifact_import),
                TEST(test_artifact_import_refused),
                TEST(test_artifact_known_before_stays),
                TEST(test_artifact_not_a_file),
                TEST(test_campaign_from_start_to_report),
                TEST(test_campaign_commands),
                TEST(test_campaign_list_pages),
                TEST(test_campaign_plan),
                TEST(test_audit),
                TEST(test_audit_verify_goes_in_slices),
                TEST(test_gateway_info),
                TEST(test_gateway_health),
                TEST(test_gateway_reload),
                cmocka_unit_test(test_page_ends_before_it_is_too_large),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
