/* SPDX-License-Identifier: Apache-2.0 */
#include "update/test_support.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>

struct fixture fixture;

/* --- the driver --- */

static struct toy *toy_of(const struct gw_device *device) {
        return &fixture.toys[atoi(device_key(device) + 1)];
}

static void image_hash(const char *version, uint8_t hash[DIGEST_SIZE]) {
        digest_sha256(version, strlen(version), hash);
}

static void learn(struct toy_run *run) {
        struct gw_image images[2] = { 0 };
        struct gw_facts facts = GW_FACTS_INIT;
        size_t n = 0;
        const char *versions[] = { run->toy->running, run->toy->stored };
        for (uint8_t slot = 0; slot < 2; slot++) {
                if (!versions[slot][0])
                        continue;
                images[n].slot = slot;
                images[n].flags = slot == 0 ? GW_IMAGE_ACTIVE | GW_IMAGE_CONFIRMED : 0;
                images[n].hash_size = DIGEST_SIZE;
                image_hash(versions[slot], images[n].hash);
                (void) str_copy(images[n].version, sizeof images[n].version, versions[slot]);
                n++;
        }
        facts.images = images;
        facts.n_images = n;
        facts.model = run->toy->model;
        if (run->toy->battery_percent)
                facts.battery_percent = run->toy->battery_percent;
        if (run->toy->rssi_dbm)
                facts.rssi_dbm = run->toy->rssi_dbm;
        facts.version = run->toy->running;
        run_api()->learned(run->run, &facts);
}

static bool is_held(struct toy_run *run, const char *step) {
        if (!run->toy->hold || strcmp(run->toy->hold, step) != 0)
                return false;
        run->held = step;
        fixture.held[run->toy - fixture.toys] = run;
        return true;
}

static int connect_enter(void *ctx, struct gw_error *err) {
        struct toy_run *run = ctx;
        (void) err;
        run->toy->n_entered++;
        if (is_held(run, "connect"))
                return 0;
        if (run->toy->waits_without_wake)
                run_api()->wait(run->run, "not-seen", 0, 0);
        else if (run->toy->absent)
                run_api()->wait(run->run, "not-seen", GW_WAKE_SEEN, 0);
        else {
                learn(run);
                run_api()->next(run->run);
        }
        return 0;
}

static const struct gw_wanted *wanted_of(struct toy_run *run) {
        return &run_api()->order(run->run)->wanted[0];
}

static int inspect_enter(void *ctx, struct gw_error *err) {
        struct toy_run *run = ctx;
        uint8_t running[DIGEST_SIZE], stored[DIGEST_SIZE];
        (void) err;
        if (run_api()->operation(run->run) == GW_OPERATION_INSPECT) {
                run_api()->done(run->run, GW_RESULT_REPORTED, GW_PROOF_NONE);
                return 0;
        }
        image_hash(run->toy->running, running);
        image_hash(run->toy->stored, stored);
        if (run_api()->resume_step(run->run))
                run_api()->next(run->run); /* on at the journaled step */
        else if (memcmp(wanted_of(run)->hash, running, DIGEST_SIZE) == 0)
                run_api()->done(run->run, GW_RESULT_ALREADY, GW_PROOF_HASH_ACTIVE_CONFIRMED);
        else if (run->toy->stored[0] && memcmp(wanted_of(run)->hash, stored, DIGEST_SIZE) == 0)
                run_api()->jump(run->run, "activate");
        else
                run_api()->next(run->run);
        return 0;
}

static void end_upload(struct toy_run *run) {
        struct gw_error failure;
        fixture.n_running--;
        if (run->toy->n_again > 0 || run->toy->fails) {
                gw_error_set(&failure, run->toy->fails ? run->toy->fails : "link-lost", "as the test wants it");
                if (run->toy->n_again-- > 0)
                        run_api()->again(run->run, &failure);
                else
                        run_api()->fail(run->run, &failure);
                return;
        }
        run->toy->n_uploads++;
        run->toy->uploaded_ms = 0;
        (void) str_copy(run->toy->stored, sizeof run->toy->stored, wanted_of(run)->version);
        assert_int_equal(run_api()->blob_set(run->run, "stored", 6), 0);
        run_api()->next(run->run);
}

static void upload_is_over(void *ctx) {
        struct toy_run *run = ctx;
        run->timer = NULL;
        end_upload(run);
}

static void begins(const struct toy_run *run, const char *step) {
        if (fixture.watch)
                fixture.watch((int) (run->toy - fixture.toys), step);
}

static int upload_enter(void *ctx, struct gw_error *err) {
        struct toy_run *run = ctx;
        (void) err;
        begins(run, "upload");
        fixture.n_running++;
        fixture.n_running_most = MAX(fixture.n_running_most, fixture.n_running);
        if (is_held(run, "upload"))
                return 0;
        run->since_ms = loop_now_ms(fixture.loop);
        if (run->toy->upload_ms > 0)
                return timer_start(fixture.loop, run->toy->upload_ms - run->toy->uploaded_ms, upload_is_over, run, &run->timer);
        end_upload(run);
        return 0;
}

static bool waits(struct toy_run *run, const char *step) {
        if (!str_equal(run->toy->waits_in, step))
                return false;
        run_api()->wait(run->run, "swapping", GW_WAKE_SEEN, 0);
        return true;
}

static int mark_enter(void *ctx, struct gw_error *err) {
        struct toy_run *run = ctx;
        (void) err;
        run_api()->next(run->run);
        return 0;
}

static int activate_enter(void *ctx, struct gw_error *err) {
        struct toy_run *run = ctx;
        char old[GW_VERSION_MAX];
        (void) err;
        begins(run, "activate");
        if (is_held(run, "activate") || waits(run, "activate"))
                return 0;
        run->toy->n_activations++;
        memcpy(old, run->toy->running, sizeof old);
        memcpy(run->toy->running, run->toy->stored, sizeof old);
        memcpy(run->toy->stored, old, sizeof old);
        learn(run);
        run_api()->next(run->run);
        return 0;
}

static void is_committed(void *ctx) {
        struct toy_run *run = ctx;
        if (!is_held(run, "confirm") && !waits(run, "confirm"))
                run_api()->done(run->run, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED);
}

static int confirm_enter(void *ctx, struct gw_error *err) {
        struct toy_run *run = ctx;
        (void) err;
        return run_api()->committed(run->run, is_committed);
}

static int toy_run_new(void *driver, struct gw_run *run, void **ret_ctx, struct gw_error *err) {
        struct toy_run *toy_run = calloc(1, sizeof *toy_run);
        (void) driver;
        (void) err;
        assert_non_null(toy_run);
        *toy_run = (struct toy_run){ .run = run, .toy = toy_of(run_api()->device(run)) };
        *ret_ctx = toy_run;
        return 0;
}

static void toy_run_stop(void *ctx, enum gw_stop_reason reason) {
        struct toy_run *run = ctx;
        run->toy->n_cancels += reason == GW_STOP_CANCEL;
        if (run->timer) {
                run->toy->uploaded_ms += loop_now_ms(fixture.loop) - run->since_ms;
                timer_cancel(TAKE_PTR(run->timer));
                fixture.n_running--;
                run_api()->stopped(run->run);
        } else if (run->held) {
                run_api()->stopped(run->run);
        }
}

static void toy_run_free(void *ctx) {
        struct toy_run *run = ctx;
        timer_cancel(run->timer);
        if (fixture.held[run->toy - fixture.toys] == run) {
                fixture.held[run->toy - fixture.toys] = NULL;
                fixture.n_running -= str_equal(run->held, "upload");
        }
        free(run);
}

static int toy_plan(void *driver, const struct gw_plan_request *request, struct gw_plan *ret_plan, struct gw_error *err) {
        (void) driver;
        (void) err;
        ret_plan->duration_ms = toy_of(request->device)->duration_ms;
        ret_plan->rollback_possible = true;
        return 0;
}

static const struct gw_step update_steps[] = {
        { "connect", connect_enter, 0, GW_STEP_PREPARE }, { "inspect", inspect_enter, 0, GW_STEP_PREPARE }, { "upload", upload_enter, 0, GW_STEP_RESUMABLE },
        { "activate", activate_enter, 0, 0 },             { "confirm", confirm_enter, 0, 0 },
};
static const struct gw_step marked_steps[] = {
        { "connect", connect_enter, 0, GW_STEP_PREPARE },     { "inspect", inspect_enter, 0, GW_STEP_PREPARE }, { "upload", upload_enter, 0, GW_STEP_RESUMABLE },
        { "mark", mark_enter, 0, GW_STEP_RESUMABLE },         { "activate", activate_enter, 0, 0 },             { "confirm", confirm_enter, 0, 0 },
};

#define TOY_DRIVER(steps_)                                                                                                                  \
        {                                                                                                                                  \
                .name = "toy",                                                                                                             \
                .operations = { [GW_OPERATION_UPDATE] = { steps_, ARRAY_SIZE(steps_) }, [GW_OPERATION_INSPECT] = { steps_, 2 } },          \
                .plan = toy_plan, .run_new = toy_run_new, .run_stop = toy_run_stop, .run_free = toy_run_free,                              \
        }
static const struct gw_driver toy_driver = TOY_DRIVER(update_steps), marked_driver = TOY_DRIVER(marked_steps);

/* --- the format: the version is the whole file --- */

static bool format_matches(const uint8_t *head, size_t head_size, int fd, uint64_t file_size) {
        (void) fd;
        (void) file_size;
        return head_size > 0 && head[0] >= '0' && head[0] <= '9';
}

static int format_read(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package, struct gw_error *err) {
        char version[GW_VERSION_MAX] = "";
        (void) options;
        (void) err;
        assert_int_equal(pread(fd, version, MIN(file_size, sizeof version - 1), 0), file_size);
        memset(ret_package, 0, sizeof *ret_package);
        (void) str_copy(ret_package->format, sizeof ret_package->format, "toy");
        (void) str_copy(ret_package->version, sizeof ret_package->version, version);
        ret_package->n_parts = 1;
        ret_package->parts[0] = (struct gw_part){ .slot = -1, .hash_size = DIGEST_SIZE, .fd = fd, .size = file_size };
        image_hash(version, ret_package->parts[0].hash);
        (void) str_copy(ret_package->parts[0].version, sizeof ret_package->parts[0].version, version);
        return 0;
}

static void format_release(struct gw_package *package, int fd) {
        (void) package;
        (void) fd;
}

static const struct gw_format toy_format = { .name = "toy", .matches = format_matches, .read = format_read, .release = format_release };

/* --- the fixture --- */

/* "d0:job-result=succeeded ", "campaign-state=completed ", "wave-started=2 " */
static void on_event(void *ctx, const struct event_row *event) {
        size_t used = strlen(fixture.events);
        _cleanup_json_ struct json *body = NULL;
        int64_t wave = 0;
        char number[24];
        (void) ctx;
        assert_int_equal(json_parse(event->body, strlen(event->body), 0, &body, NULL), 0);
        (void) json_member_int(body, "wave", 1, 99, &wave);
        (void) str_format(number, sizeof number, "%d", (int) wave);
        assert_true(used + 128 < sizeof fixture.events);
        snprintf(fixture.events + used, sizeof fixture.events - used, "%s%s%s=%s ", event->device ? event->device + 4 : "", event->device ? ":" : "", event->type,
                 json_member_text(body, "state") ? json_member_text(body, "state") : wave ? number : "");
}

static const struct update_listener listener = { .event = on_event };

static void no_driver_fails(void *ctx, const struct gw_driver *driver, const struct gw_error *err) {
        (void) ctx;
        (void) driver;
        (void) err;
        assert_true(false);
}

static void ignore_signal(void *ctx, int signum) {
        (void) ctx;
        (void) signum;
}

static void do_not_sleep(void *ctx) {
        (void) ctx;
        loop_stop(fixture.loop);
}

static bool clock_is_right(void *ctx) {
        (void) ctx;
        return !fixture.clock_is_wrong;
}

void open_all(void) {
        struct store_options store_options = { .now_wall_ms = fixture.clock.now_wall_ms, .sha256 = digest_sha256 };
        struct fleet_options fleet_options = { .clock = &fixture.clock.clock };
        struct artifacts_options artifact_options = { .clock = &fixture.clock.clock };
        struct update_options update_options = { .clock = &fixture.clock.clock, .clock_is_credible = clock_is_right, .gateway_id = "test", .backoff_first_ms = 1 };
        struct gw_error err = { 0 };
        char path[128];
        assert_int_equal(fixture.is_virtual ? loop_new_virtual(&fixture.clock, &fixture.loop) : loop_new(&fixture.loop), 0);
        assert_int_equal(loop_signal(fixture.loop, SIGUSR1, ignore_signal, NULL, &fixture.keep_alive), 0);
        assert_int_equal(loop_turn_hook(fixture.loop, do_not_sleep, NULL, &fixture.hook), 0);
        (void) str_format(path, sizeof path, "%s/%s", fixture.folder, STORE_FILE);
        store_options.path = path;
        assert_int_equal(store_open(fixture.loop, &store_options, &fixture.store, &err), 0);
        assert_int_equal(driver_registry_new(&fixture.registry), 0);
        assert_int_equal(driver_registry_add(fixture.registry, fixture.is_virtual ? &marked_driver : &toy_driver, NULL, &err), 0);
        assert_int_equal(driver_registry_add_format(fixture.registry, &toy_format, &err), 0);
        driver_registry_start(fixture.registry, no_driver_fails, NULL);
        fleet_options.loop = fixture.loop;
        fleet_options.store = fixture.store;
        fleet_options.settings = fixture.settings;
        fleet_options.registry = fixture.registry;
        assert_int_equal(fleet_new(&fleet_options, &fixture.fleet, &err), 0);
        artifact_options.settings = fixture.settings;
        assert_int_equal(artifacts_new(fixture.loop, NULL, fixture.store, &artifact_options, &fixture.artifacts, &err), 0);
        update_options.loop = fixture.loop;
        update_options.store = fixture.store;
        update_options.fleet = fixture.fleet;
        update_options.artifacts = fixture.artifacts;
        update_options.registry = fixture.registry;
        update_options.settings = fixture.settings;
        assert_int_equal(update_new(&update_options, &fixture.update, &err), 0);
        assert_int_equal(update_listen(fixture.update, &listener, NULL), 0);
        update_begin(fixture.update);
}

static void is_stopped(void *ctx) {
        (void) ctx;
        fixture.stopped = true;
}

void wait_for(bool *flag) {
        while (!*flag)
                assert_true(loop_run_once(fixture.loop));
        *flag = false;
}

void close_all(void) {
        update_stop(fixture.update, is_stopped, NULL);
        wait_for(&fixture.stopped);
        artifacts_stop(fixture.artifacts, is_stopped, NULL);
        wait_for(&fixture.stopped);
        update_unlisten(fixture.update, &listener, NULL);
        update_free(fixture.update);
        artifacts_free(fixture.artifacts);
        driver_registry_stop(fixture.registry);
        fleet_free(fixture.fleet);
        driver_registry_free(fixture.registry);
        store_free(fixture.store);
        loop_signal_remove(fixture.keep_alive);
        loop_hook_remove(fixture.hook);
        loop_free(fixture.loop);
}

static struct settings *read_settings(int n_with_model, const char *more) {
        struct config_errors mistakes = CONFIG_ERRORS_INIT;
        struct settings *settings = NULL;
        char text[8192];
        size_t used = (size_t) snprintf(text, sizeof text, "[gateway]\nid = test\nstate_dir = %s\n", fixture.folder);
        for (int i = 0; i < fixture.n_toys; i++)
                used += (size_t) snprintf(text + used, sizeof text - used, "[device d%d]\ndriver = toy\nlabels = sensor\n%s", i,
                                          i < n_with_model ? "model = acme,toy\n" : "");
        used += (size_t) snprintf(text + used, sizeof text - used, "%s", more);
        assert_int_equal(settings_parse("test.conf", text, used, &mistakes, &settings), 0);
        config_errors_print(&mistakes, stderr);
        assert_false(config_errors_any(&mistakes));
        return settings;
}

static void set_up_toys(int n_toys, int n_with_model) {
        clock_fake_init(&fixture.clock, 1000, 1800000000000); /* 2027-01-15T08:00:00Z, a Friday */
        strcpy(fixture.folder, "/tmp/update-test-XXXXXX");
        assert_non_null(mkdtemp(fixture.folder));
        fixture.n_toys = n_toys;
        for (int i = 0; i < n_toys; i++)
                strcpy(fixture.toys[i].running, "1.0.0");
        fixture.settings = read_settings(n_with_model, "");
}

void set_settings(const char *more) {
        struct settings *old = fixture.settings;
        fixture.settings = read_settings(fixture.n_toys, more);
        update_set_settings(fixture.update, fixture.settings);
        assert_int_equal(fleet_reload(fixture.fleet, fixture.settings, NULL), 0);
        settings_free(old);
}

int set_up(void **state) {
        (void) state;
        memset(&fixture, 0, sizeof fixture);
        set_up_toys(8, 6);
        open_all();
        return 0;
}

int set_up_virtual(void **state) {
        (void) state;
        memset(&fixture, 0, sizeof fixture);
        fixture.is_virtual = true;
        set_up_toys(30, 30);
        for (int i = 0; i < fixture.n_toys; i++)
                fixture.toys[i].upload_ms = 60 * 1000;
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
        json_free(fixture.result);
        close_all();
        settings_free(fixture.settings);
        return nftw(fixture.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- words for the tests --- */

static void imported(void *ctx, int result, const uint8_t sha256[DIGEST_SIZE], uint64_t size, const struct gw_error *err) {
        (void) ctx;
        (void) err;
        assert_int_equal(result, 0);
        memcpy(fixture.sha256, sha256, DIGEST_SIZE);
        fixture.size = size;
        fixture.replied = true;
}

void import_version(const char *version) {
        char path[128];
        int fd;
        (void) str_format(path, sizeof path, "%s/file", fixture.folder);
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(write(fd, version, strlen(version)), strlen(version));
        assert_int_equal(artifact_import(fixture.artifacts, fd, imported, NULL, NULL), 0);
        close(fd);
        wait_for(&fixture.replied);
}

void on_reply(void *ctx, struct json *result, const struct gw_error *err, const struct json_errors *mistakes) {
        (void) ctx;
        json_free(fixture.result);
        fixture.result = json_ref(result);
        fixture.error = err ? *err : (struct gw_error){ 0 };
        if (mistakes)
                fixture.mistakes = *mistakes;
        fixture.replied = true;
}

const struct update_actor actor = { .door = "control", .principal = "uid:0" };

/* devices and policy are JSON; NULL policy = none. */
struct json *document(const char *id, int revision, const char *devices, const char *policy) {
        char hex[DIGEST_HEX_SIZE], text[2048];
        struct json *json = NULL;
        str_hex_encode(hex, sizeof hex, fixture.sha256, DIGEST_SIZE);
        (void) str_format(text, sizeof text,
                          "{\"schema\":\"gatewayd/campaign/1\",\"id\":\"%s\",\"revision\":%d,"
                          "\"artifacts\":[{\"size\":%d,\"sha256\":\"%s\",\"compatible\":[\"acme,toy\"]}],\"devices\":%s%s%s}",
                          id, revision, (int) fixture.size, hex, devices, policy ? ",\"policy\":" : "", policy ? policy : "");
        assert_int_equal(json_parse(text, strlen(text), 0, &json, NULL), 0);
        return json;
}

void start(const char *id, int revision, const char *devices, const char *policy) {
        _cleanup_json_ struct json *json = document(id, revision, devices, policy);
        assert_int_equal(update_campaign_start(fixture.update, &actor, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
}

void run_until_event(const char *word) {
        while (!strstr(fixture.events, word))
                assert_true(loop_run_once(fixture.loop));
}

struct json *job_of(const char *campaign, const char *device) {
        struct json *whole = NULL, *found = NULL;
        struct gw_error err;
        json_free(fixture.result);
        fixture.result = NULL;
        assert_int_equal(update_campaign_get(fixture.update, campaign, -1, &(struct update_jobs_wanted){ .steps = true }, &whole, &err), 0);
        fixture.result = whole;
        JSON_FOREACH_ITEM(i, job, json_child(whole, "jobs"))
                if (str_equal(json_member_text(job, "device"), device))
                        found = job;
        assert_non_null(found);
        return found;
}

void expect_job(const char *campaign, const char *device, const char *state, const char *detail) {
        struct json *job = job_of(campaign, device), *error = json_child(job, "error");
        const char *what = error ? json_member_text(error, "name") : json_member_text(job, "result") ? json_member_text(job, "result") : json_member_text(job, "reason");
        assert_string_equal(json_member_text(job, "state"), state);
        assert_string_equal(what ? what : "", detail);
}

void run_until_job(const char *campaign, const char *device, const char *reason) {
        while (!str_equal(json_member_text(job_of(campaign, device), "reason"), reason))
                assert_true(loop_run_once(fixture.loop));
}

void run_until_held(int toy) {
        while (!fixture.held[toy])
                assert_true(loop_run_once(fixture.loop));
}

void restart(void) {
        close_all();
        open_all();
}
