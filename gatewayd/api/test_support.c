/* SPDX-License-Identifier: Apache-2.0 */
#include "api/test_support.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <unistd.h>

struct fixture fixture;

/* --- the driver: an update is one step; a scan hears toy:new; a diagnosis finds one thing --- */

static void tell_facts(const char *key) {
        struct gw_facts facts = GW_FACTS_INIT;
        facts.version = "1.0.0";
        assert_int_equal(fleet_seen(fixture.fleet, "toy", key, &facts), 0);
}

static int look_enter(void *ctx, struct gw_error *err) {
        struct gw_run *run = ctx;
        if (str_equal(run_api()->device(run)->id, fixture.unreadable)) {
                gw_error_set(err, "smp-no-answer", "nothing came");
                return -ETIMEDOUT;
        }
        if (run_api()->operation(run) == GW_OPERATION_UPDATE) {
                run_api()->next(run);
                return 0;
        }
        run_api()->note(run, "all is well");
        run_api()->done(run, GW_RESULT_REPORTED, GW_PROOF_NONE);
        return 0;
}

static int upload_enter(void *ctx, struct gw_error *err) {
        struct gw_run *run = ctx;
        (void) err;
        run_api()->progress(run, 4, 4);
        if (fixture.hold)
                fixture.held = run;
        else
                run_api()->done(run, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED);
        return 0;
}

void let_go(void) {
        struct gw_run *run = TAKE_PTR(fixture.held);
        run_api()->done(run, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED);
}

static int toy_run_new(void *driver, struct gw_run *run, void **ret_ctx, struct gw_error *err) {
        (void) driver;
        (void) err;
        *ret_ctx = run;
        return 0;
}

static void toy_run_stop(void *ctx, enum gw_stop_reason reason) {
        (void) reason;
        if (fixture.held == ctx)
                fixture.held = NULL;
        run_api()->stopped(ctx);
}

static void toy_run_free(void *ctx) {
        if (fixture.held == ctx)
                fixture.held = NULL;
}

void end_scans(void) {
        tell_facts("new");
        tell_facts("d0");
        while (fixture.n_scans > 0) {
                fixture.n_scans--;
                fixture.scans[fixture.n_scans].done(fixture.scans[fixture.n_scans].ctx);
        }
}

static void scan_is_over(void *ctx) {
        (void) ctx;
        end_scans();
}

static int toy_scan(void *driver, int64_t duration_ms, void (*done)(void *ctx), void *ctx, struct gw_error *err) {
        (void) driver;
        (void) err;
        assert_in_range(duration_ms, 100, 60000);
        assert_true(fixture.n_scans < ARRAY_SIZE(fixture.scans));
        fixture.scans[fixture.n_scans].done = done;
        fixture.scans[fixture.n_scans++].ctx = ctx;
        return fixture.scan_never_ends ? 0 : loop_defer(fixture.loop, scan_is_over, NULL, NULL);
}

static int deaf_scan(void *driver, int64_t duration_ms, void (*done)(void *ctx), void *ctx, struct gw_error *err) {
        (void) driver;
        (void) duration_ms;
        (void) done;
        (void) ctx;
        gw_error_set(err, "port-permission", "no ear");
        return -EACCES;
}

static const struct gw_step steps[] = { { "look", look_enter, 0, GW_STEP_PREPARE }, { "upload", upload_enter, 0, GW_STEP_RESUMABLE } };

static const struct gw_driver toy_driver = {
        .name = "toy",
        .summary = "Toys.",
        .operations = { [GW_OPERATION_UPDATE] = { steps, 2 },
                        [GW_OPERATION_INSPECT] = { steps, 1 },
                        [GW_OPERATION_DIAGNOSE] = { steps, 1 } },
        .scan = toy_scan,
        .run_new = toy_run_new,
        .run_stop = toy_run_stop,
        .run_free = toy_run_free,
};
static const struct gw_driver deaf_driver = {
        .name = "deaf",
        .summary = "Hears nothing.",
        .operations = { [GW_OPERATION_UPDATE] = { steps, 2 } },
        .scan = deaf_scan,
        .run_new = toy_run_new,
        .run_stop = toy_run_stop,
        .run_free = toy_run_free,
};
static const struct gw_driver mute_driver = {
        .name = "mute",
        .summary = "Cannot look.",
        .operations = { [GW_OPERATION_UPDATE] = { steps, 2 } },
        .run_new = toy_run_new,
        .run_stop = toy_run_stop,
        .run_free = toy_run_free,
};

/* --- the format: "v1.2.3" is a package, "?" one that nobody can use --- */

static bool format_matches(const uint8_t *head, size_t head_size, int fd, uint64_t file_size) {
        (void) fd;
        (void) file_size;
        return head_size > 0 && (head[0] == 'v' || head[0] == '?');
}

static int format_read(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package,
                       struct gw_error *err) {
        char version[GW_VERSION_MAX] = "";
        (void) options;
        assert_true(pread(fd, version, MIN(file_size, sizeof version - 1), 0) > 0);
        if (version[0] == '?') {
                gw_error_set(err, "format-recognised-no-driver", "known, but nobody can use it");
                return -ENOTSUP;
        }
        memset(ret_package, 0, sizeof *ret_package);
        (void) str_copy(ret_package->format, sizeof ret_package->format, "toy");
        (void) str_copy(ret_package->version, sizeof ret_package->version, version + 1);
        ret_package->n_parts = 1;
        ret_package->parts[0] = (struct gw_part){ .slot = -1, .hash_size = DIGEST_SIZE, .fd = fd, .size = file_size };
        digest_sha256(version, strlen(version), ret_package->parts[0].hash);
        (void) str_copy(ret_package->parts[0].version, sizeof ret_package->parts[0].version, version + 1);
        return 0;
}

static void format_release(struct gw_package *package, int fd) {
        (void) package;
        (void) fd;
}

static const struct gw_format toy_format = {
        .name = "toy", .summary = "A version.", .matches = format_matches, .read = format_read, .release = format_release
};

/* --- the daemon --- */

static const char *clock_state(void *ctx) {
        (void) ctx;
        return fixture.clock_state;
}

static int reload(void *ctx, struct json **ret_result, struct config_errors *mistakes, struct gw_error *err) {
        (void) ctx;
        if (fixture.reload_fails) {
                config_errors_add(mistakes, "gatewayd.conf", 12, "[gateway]", "id", "expected less");
                gw_error_set(err, "config-invalid", "the configuration has mistakes");
                return -EINVAL;
        }
        *ret_result = json_new_object();
        assert_non_null(json_set_new_array(*ret_result, "changed"));
        return json_set_int(*ret_result, "adopted", 0);
}

static void ignore_driver(void *ctx, const struct gw_driver *driver, const struct gw_error *err) {
        (void) ctx;
        (void) driver;
        fail_msg("%s", err->text);
}

static void open_api(void) {
        struct api_options options = { .loop = fixture.loop,
                                       .store = fixture.store,
                                       .fleet = fixture.fleet,
                                       .update = fixture.update,
                                       .artifacts = fixture.artifacts,
                                       .registry = fixture.registry,
                                       .settings = fixture.settings,
                                       .gateway_id = "test",
                                       .ble = fixture.ble,
                                       .clock = &fixture.clock.clock,
                                       .clock_state = clock_state,
                                       .reload = reload };
        struct gw_error err = { 0 };
        if (api_new(&options, &fixture.api, &err) < 0)
                fail_msg("%s: %s", err.name, err.text);
}

void api_restart(void) {
        api_stop(fixture.api);
        api_free(TAKE_PTR(fixture.api));
        open_api();
}

static void open_registry(void) {
        assert_int_equal(driver_registry_new(&fixture.registry), 0);
        assert_int_equal(driver_registry_add(fixture.registry, &toy_driver, NULL, NULL), 0);
        assert_int_equal(driver_registry_add(fixture.registry, &deaf_driver, NULL, NULL), 0);
        assert_int_equal(driver_registry_add(fixture.registry, &mute_driver, NULL, NULL), 0);
        assert_int_equal(driver_registry_add_format(fixture.registry, &toy_format, NULL), 0);
        driver_registry_start(fixture.registry, ignore_driver, NULL);
}

static void open_all(void) {
        struct store_options store_options = { .now_wall_ms = TEST_NOW_MS, .sha256 = digest_sha256 };
        struct fleet_options fleet_options = { .clock = &fixture.clock.clock, .settings = fixture.settings };
        struct artifacts_options artifact_options = { .clock = &fixture.clock.clock, .settings = fixture.settings };
        struct update_options update_options = { .clock = &fixture.clock.clock, .settings = fixture.settings, .gateway_id = "test" };
        char path[128];
        assert_int_equal(loop_new(&fixture.loop), 0);
        if (test_parts)
                test_parts->open();
        (void) str_format(path, sizeof path, "%s/" STORE_FILE, fixture.folder);
        store_options.path = path;
        assert_int_equal(store_open(fixture.loop, &store_options, &fixture.store, NULL), 0);
        open_registry();
        update_options.loop = fleet_options.loop = fixture.loop;
        update_options.store = fleet_options.store = fixture.store;
        update_options.registry = fleet_options.registry = fixture.registry;
        assert_int_equal(fleet_new(&fleet_options, &fixture.fleet, NULL), 0);
        assert_int_equal(artifacts_new(fixture.loop, NULL, fixture.store, &artifact_options, &fixture.artifacts, NULL), 0);
        update_options.fleet = fixture.fleet;
        update_options.artifacts = fixture.artifacts;
        assert_int_equal(update_new(&update_options, &fixture.update, NULL), 0);
        open_api();
        update_begin(fixture.update);
}

static void is_stopped(void *ctx) {
        (void) ctx;
        fixture.stopped = true;
}

static void close_all(void) {
        api_stop(fixture.api);
        end_scans();
        update_stop(fixture.update, is_stopped, NULL);
        LOOP_UNTIL(fixture.loop, fixture.stopped);
        fixture.stopped = false;
        artifacts_stop(fixture.artifacts, is_stopped, NULL);
        LOOP_UNTIL(fixture.loop, fixture.stopped);
        api_free(fixture.api);
        update_free(fixture.update);
        artifacts_free(fixture.artifacts);
        driver_registry_stop(fixture.registry);
        fleet_free(fixture.fleet);
        driver_registry_free(fixture.registry);
        store_free(fixture.store);
        if (test_parts)
                test_parts->close();
        loop_free(fixture.loop);
}

const char *test_settings;
const struct test_parts *test_parts;

int set_up(void **state) {
        struct config_errors mistakes = CONFIG_ERRORS_INIT;
        const struct group *group = getgrgid(getegid());
        char text[2048];
        size_t used;
        (void) state;
        memset(&fixture, 0, sizeof fixture);
        fixture.clock_state = "timesync";
        clock_fake_init(&fixture.clock, 1000, TEST_NOW_MS);
        strcpy(fixture.folder, "/tmp/gatewayd-api.XXXXXX");
        assert_non_null(mkdtemp(fixture.folder));
        assert_non_null(group);
        used = (size_t) snprintf(
                text, sizeof text,
                "[gateway]\nid = test\nstate_dir = %s\ncontrol_socket = %s/socket\ncontrol_group = %s\nplugin_dir = %s/plugins\n"
                "[artifacts]\nreserve = 0\n[serial]\nports = %s/tty*\n",
                fixture.folder, fixture.folder, group->gr_name, fixture.folder, fixture.folder);
        for (int i = 0; i < TEST_DEVICES; i++)
                used += (size_t) snprintf(text + used, sizeof text - used,
                                          "[device d%d]\ndriver = toy\nlabels = sensor\nmodel = acme,toy\n", i);
        if (test_settings)
                used += (size_t) snprintf(text + used, sizeof text - used, "%s", test_settings);
        assert_int_equal(settings_parse("test.conf", text, used, &mistakes, &fixture.settings), 0);
        config_errors_print(&mistakes, stderr);
        assert_false(config_errors_any(&mistakes));
        open_all();
        return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw) {
        (void) status;
        (void) type;
        (void) ftw;
        return remove(path);
}

int tear_down(void **state) {
        (void) state;
        close_all();
        settings_free(fixture.settings);
        return nftw(fixture.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- clients --- */

static void keep_for_schemas(const char *method, const char *line) {
        const char *path = getenv("GW_API_REPLIES");
        _cleanup_fclose_ FILE *file = path ? fopen(path, "ae") : NULL;
        if (file)
                fprintf(file, "%s\t%s\n", method, line);
}

static void line_came(void *ctx, char *line, size_t size, int *fd) {
        struct test_client *client = ctx;
        struct client_line *row = &client->lines[client->n_lines];
        int64_t id;
        (void) fd;
        assert_true(client->n_lines < CLIENT_LINES_MAX);
        assert_int_equal(json_parse(line, size, JSON_REPLY_MAX, &row->json, NULL), 0);
        if (json_member_int(row->json, "id", 1, 63, &id) >= 0)
                memcpy(row->method, client->asked[id], sizeof row->method);
        keep_for_schemas(row->method, line);
        client->n_lines++;
}

static void closed(void *ctx, int why) {
        struct test_client *client = ctx;
        client->connection = NULL;
        client->closed = true;
        client->why = why;
}

static const struct local_connection_handler handler = { .line = line_came, .closed = closed };

struct test_client *client_new(void) {
        static const struct local_connection_limits limits = { .line_max = JSON_REPLY_MAX, .output_max = JSON_REPLY_MAX };
        struct test_client *client = calloc(1, sizeof *client);
        struct gw_error err = { 0 };
        assert_non_null(client);
        if (local_socket_connect(fixture.loop, fixture.settings->gateway.control_socket, &limits, &handler, client, &client->connection,
                                 &err) < 0)
                fail_msg("%s: %s", err.name, err.text);
        return client;
}

void client_free(struct test_client *client) {
        local_connection_close(client->connection);
        for (size_t i = 0; i < client->n_lines; i++)
                json_free(client->lines[i].json);
        free(client);
}

void client_send(struct test_client *client, const char *line) {
        assert_int_equal(local_connection_send(client->connection, line, strlen(line)), 0);
}

int64_t client_ask(struct test_client *client, const char *method, const char *params, int fd) {
        int64_t id = ++client->next_id;
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT(JSON_REPLY_MAX);
        assert_true(id < 64);
        (void) str_copy(client->asked[id], sizeof client->asked[id], method);
        strbuf_appendf(&line, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\"%s", (int) id, method, params ? ",\"params\":" : "");
        strbuf_append(&line, params ? params : "");
        strbuf_append(&line, "}");
        assert_int_equal(line.error, 0);
        if (fd >= 0)
                assert_int_equal(local_connection_send_fd(client->connection, strbuf_text(&line), line.size, fd), 0);
        else
                client_send(client, strbuf_text(&line));
        return id;
}

static struct json *find_reply(const struct test_client *client, int64_t id) {
        for (size_t i = 0; i < client->n_lines; i++) {
                int64_t number;
                if (json_member_int(client->lines[i].json, "id", INT64_MIN, INT64_MAX, &number) >= 0 && number == id)
                        return client->lines[i].json;
        }
        return NULL;
}

struct json *client_reply(struct test_client *client, int64_t id) {
        LOOP_UNTIL(fixture.loop, find_reply(client, id) || client->closed);
        assert_non_null(find_reply(client, id));
        return find_reply(client, id);
}

struct json *client_call(struct test_client *client, const char *method, const char *params) {
        return client_reply(client, client_ask(client, method, params, -1));
}

struct json *client_result(struct test_client *client, const char *method, const char *params) {
        struct json *reply = client_call(client, method, params);
        if (!json_child(reply, "result"))
                fail_msg("%s: %s", method, text_of(json_child(reply, "error"), "message"));
        assert_string_equal(text_of(reply, "gateway"), "test");
        return json_child(reply, "result");
}

const char *client_error(struct test_client *client, const char *method, const char *params) {
        struct json *error = json_child(client_call(client, method, params), "error");
        assert_non_null(error);
        assert_string_not_equal(text_of(error, "message"), "");
        return text_of(json_child(error, "data"), "name");
}

static struct json *unread_notification(struct test_client *client) {
        while (client->n_read < client->n_lines) {
                struct json *json = client->lines[client->n_read].json;
                if (json_has(json, "method"))
                        return json;
                client->n_read++;
        }
        return NULL;
}

struct json *client_next_notification(struct test_client *client) {
        struct json *json;
        LOOP_UNTIL(fixture.loop, unread_notification(client) || client->closed);
        json = unread_notification(client);
        assert_non_null(json);
        client->n_read++;
        return json;
}

size_t client_n_notifications(const struct test_client *client) {
        size_t n = 0;
        for (size_t i = 0; i < client->n_lines; i++)
                n += json_has(client->lines[i].json, "method");
        return n;
}

struct json *client_next_line(struct test_client *client, size_t index) {
        LOOP_UNTIL(fixture.loop, client->n_lines > index || client->closed);
        assert_true(client->n_lines > index);
        return client->lines[index].json;
}

/* --- words --- */

int64_t number_of(const struct json *json, const char *member) {
        int64_t number = INT64_MIN;
        (void) json_member_int(json, member, INT64_MIN, INT64_MAX, &number);
        return number;
}

const char *text_of(const struct json *json, const char *member) {
        const char *text = json_member_text(json, member);
        return text ? text : "";
}

int file_with(const char *content) {
        char path[128];
        int fd;
        (void) str_format(path, sizeof path, "%s/file", fixture.folder);
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, content, strlen(content)), strlen(content));
        assert_int_equal(unlink(path), 0);
        return fd;
}

void import_file(struct test_client *client, const char *content, char hex[DIGEST_HEX_SIZE]) {
        _cleanup_close_ int fd = file_with(content);
        struct json *reply = client_reply(client, client_ask(client, "artifact.import", "{\"name\":\"file\"}", fd));
        assert_non_null(json_child(reply, "result"));
        assert_int_equal(str_copy(hex, DIGEST_HEX_SIZE, text_of(json_child(json_child(reply, "result"), "artifact"), "sha256")), 0);
}

void start_params(char *dst, size_t size, const char *id, const char *hex, size_t file_size, const char *devices) {
        assert_int_equal(str_format(dst, size,
                                    "{\"document\":{\"schema\":\"gatewayd/campaign/1\",\"id\":\"%s\",\"revision\":1,"
                                    "\"artifacts\":[{\"size\":%zu,\"sha256\":\"%s\",\"compatible\":[\"acme,toy\"]}],\"devices\":%s}}",
                                    id, file_size, hex, devices),
                         0);
}
