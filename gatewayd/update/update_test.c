/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#undef fail /* struct gw_run_api has one */

#include "base/limits.h"
#include "base/str.h"
#include "store/audit_table.h"

/*
 * The whole of update/ over the real store, fleet, artifact cache and loop; only the driver and the format are the test's own. A
 * toy device has a running and a stored image; its driver's steps end at once, or as the toy says.
 */

#define TOYS 8
#define JOB_END "campaign-state"

struct toy {
        char running[GW_VERSION_MAX], stored[GW_VERSION_MAX];
        bool absent;        /* connect waits for not-seen */
        int n_again;        /* upload fails so often in a passing way */
        const char *fails;  /* upload fails for good with this name */
        const char *model;  /* learned by connect */
        const char *hold;   /* this step does not end by itself */
        const char *waits_in;      /* this step ends with a wait, behind what it does first */
        bool waits_without_wake;   /* connect does, as no driver should */
        int n_uploads, n_activations, n_entered, n_cancels;
};

struct toy_run {
        struct gw_run *run;
        struct toy *toy;
        const char *held;   /* the step that is held */
};

struct fixture {
        char folder[64];
        struct loop *loop;
        struct loop_signal *keep_alive; /* as in the daemon: a loop that always has something to wait for */
        struct loop_hook *hook;         /* a turn never sleeps, so that the test looks after each */
        struct settings *settings;
        struct store *store;
        struct driver_registry *registry;
        struct fleet *fleet;
        struct artifacts *artifacts;
        struct update *update;
        struct clock_fake clock;
        struct toy toys[TOYS];
        struct toy_run *held[TOYS];
        int n_running, n_running_most;
        uint8_t sha256[DIGEST_SIZE];
        uint64_t size;
        struct json *result;
        struct gw_error error;
        struct json_errors mistakes;
        bool replied;
        char events[4096];
        bool stopped;
};

static struct fixture fixture;

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

static int upload_enter(void *ctx, struct gw_error *err) {
        struct toy_run *run = ctx;
        struct gw_error failure;
        (void) err;
        fixture.n_running++;
        fixture.n_running_most = MAX(fixture.n_running_most, fixture.n_running);
        if (is_held(run, "upload"))
                return 0;
        fixture.n_running--;
        if (run->toy->n_again > 0 || run->toy->fails) {
                gw_error_set(&failure, run->toy->fails ? run->toy->fails : "link-lost", "as the test wants it");
                if (run->toy->n_again-- > 0)
                        run_api()->again(run->run, &failure);
                else
                        run_api()->fail(run->run, &failure);
                return 0;
        }
        run->toy->n_uploads++;
        (void) str_copy(run->toy->stored, sizeof run->toy->stored, wanted_of(run)->version);
        assert_int_equal(run_api()->blob_set(run->run, "stored", 6), 0);
        run_api()->next(run->run);
        return 0;
}

static bool waits(struct toy_run *run, const char *step) {
        if (!str_equal(run->toy->waits_in, step))
                return false;
        run_api()->wait(run->run, "swapping", GW_WAKE_SEEN, 0);
        return true;
}

static int activate_enter(void *ctx, struct gw_error *err) {
        struct toy_run *run = ctx;
        char old[GW_VERSION_MAX];
        (void) err;
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
        if (run->held)
                run_api()->stopped(run->run);
}

static void toy_run_free(void *ctx) {
        struct toy_run *run = ctx;
        if (fixture.held[run->toy - fixture.toys] == run) {
                fixture.held[run->toy - fixture.toys] = NULL;
                fixture.n_running -= str_equal(run->held, "upload");
        }
        free(run);
}

static const struct gw_step update_steps[] = {
        { "connect", connect_enter, 0, GW_STEP_PREPARE }, { "inspect", inspect_enter, 0, GW_STEP_PREPARE }, { "upload", upload_enter, 0, GW_STEP_RESUMABLE },
        { "activate", activate_enter, 0, 0 },             { "confirm", confirm_enter, 0, 0 },
};
static const struct gw_driver toy_driver = {
        .name = "toy",
        .operations = { [GW_OPERATION_UPDATE] = { update_steps, ARRAY_SIZE(update_steps) }, [GW_OPERATION_INSPECT] = { update_steps, 2 } },
        .run_new = toy_run_new,
        .run_stop = toy_run_stop,
        .run_free = toy_run_free,
};

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

static void on_event(void *ctx, const struct event_row *event) {
        size_t used = strlen(fixture.events);
        _cleanup_json_ struct json *body = NULL;
        (void) ctx;
        assert_int_equal(json_parse(event->body, strlen(event->body), 0, &body, NULL), 0);
        snprintf(fixture.events + used, sizeof fixture.events - used, "%s%s%s=%s ", event->device ? event->device + 4 : "", event->device ? ":" : "", event->type,
                 json_member_text(body, "state"));
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

static void open_all(void) {
        struct store_options store_options = { .now_wall_ms = fixture.clock.now_wall_ms, .sha256 = digest_sha256 };
        struct fleet_options fleet_options = { .clock = &fixture.clock.clock };
        struct artifacts_options artifact_options = { .clock = &fixture.clock.clock };
        struct update_options update_options = { .clock = &fixture.clock.clock, .backoff_first_ms = 1 };
        struct gw_error err = { 0 };
        char path[128];
        assert_int_equal(loop_new(&fixture.loop), 0);
        assert_int_equal(loop_signal(fixture.loop, SIGUSR1, ignore_signal, NULL, &fixture.keep_alive), 0);
        assert_int_equal(loop_turn_hook(fixture.loop, do_not_sleep, NULL, &fixture.hook), 0);
        (void) str_format(path, sizeof path, "%s/%s", fixture.folder, STORE_FILE);
        store_options.path = path;
        assert_int_equal(store_open(fixture.loop, &store_options, &fixture.store, &err), 0);
        assert_int_equal(driver_registry_new(&fixture.registry), 0);
        assert_int_equal(driver_registry_add(fixture.registry, &toy_driver, NULL, &err), 0);
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

static void wait_for(bool *flag) {
        while (!*flag)
                assert_true(loop_run_once(fixture.loop));
        *flag = false;
}

static void close_all(void) {
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

static int set_up(void **state) {
        struct config_errors mistakes = CONFIG_ERRORS_INIT;
        char text[2048];
        size_t used;
        (void) state;
        memset(&fixture, 0, sizeof fixture);
        clock_fake_init(&fixture.clock, 1000, 1800000000000);
        strcpy(fixture.folder, "/tmp/update-test-XXXXXX");
        assert_non_null(mkdtemp(fixture.folder));
        used = (size_t) snprintf(text, sizeof text, "[gateway]\nid = test\nstate_dir = %s\n", fixture.folder);
        for (int i = 0; i < TOYS; i++) {
                strcpy(fixture.toys[i].running, "1.0.0");
                used += (size_t) snprintf(text + used, sizeof text - used, "[device d%d]\ndriver = toy\nlabels = sensor\n%s", i, i < 6 ? "model = acme,toy\n" : "");
        }
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

static int tear_down(void **state) {
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

static void import_version(const char *version) {
        char path[128];
        int fd;
        (void) str_format(path, sizeof path, "%s/file", fixture.folder);
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(write(fd, version, strlen(version)), strlen(version));
        assert_int_equal(artifact_import(fixture.artifacts, fd, imported, NULL, NULL), 0);
        close(fd);
        wait_for(&fixture.replied);
}

static void on_reply(void *ctx, struct json *result, const struct gw_error *err, const struct json_errors *mistakes) {
        (void) ctx;
        json_free(fixture.result);
        fixture.result = json_ref(result);
        fixture.error = err ? *err : (struct gw_error){ 0 };
        if (mistakes)
                fixture.mistakes = *mistakes;
        fixture.replied = true;
}

static const struct update_actor actor = { .door = "control", .principal = "uid:0" };

/* devices and policy are JSON; NULL policy = none. */
static struct json *document(const char *id, int revision, const char *devices, const char *policy) {
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

static void start(const char *id, int revision, const char *devices, const char *policy) {
        _cleanup_json_ struct json *json = document(id, revision, devices, policy);
        assert_int_equal(update_campaign_start(fixture.update, &actor, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
}

static void run_until_event(const char *word) {
        while (!strstr(fixture.events, word))
                assert_true(loop_run_once(fixture.loop));
}

static struct json *job_of(const char *campaign, const char *device) {
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

static void expect_job(const char *campaign, const char *device, const char *state, const char *detail) {
        struct json *job = job_of(campaign, device), *error = json_child(job, "error");
        const char *what = error ? json_member_text(error, "name") : json_member_text(job, "result") ? json_member_text(job, "result") : json_member_text(job, "reason");
        assert_string_equal(json_member_text(job, "state"), state);
        assert_string_equal(what ? what : "", detail);
}

static void run_until_job(const char *campaign, const char *device, const char *reason) {
        while (!str_equal(json_member_text(job_of(campaign, device), "reason"), reason))
                assert_true(loop_run_once(fixture.loop));
}

static void run_until_held(int toy) {
        while (!fixture.held[toy])
                assert_true(loop_run_once(fixture.loop));
}

static void restart(void) {
        close_all();
        open_all();
}

/* --- the tests --- */

static void test_one_campaign(void **state) {
        struct audit_verification verification = { 0 };
        struct json *job;
        (void) state;
        import_version("1.1.0");
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}", NULL);
        assert_string_equal(json_member_text(json_child(fixture.result, "campaign"), "state"), "in_progress");
        run_until_event("campaign-state=completed");
        for (int i = 0; i < 3; i++) {
                assert_string_equal(fixture.toys[i].running, "1.1.0");
                assert_int_equal(fixture.toys[i].n_uploads, 1);
        }
        expect_job("c", "toy:d1", "succeeded", "updated");
        job = job_of("c", "toy:d1");
        assert_string_equal(json_member_text(job, "version_before"), "1.0.0");
        assert_string_equal(json_member_text(job, "version_after"), "1.1.0");
        assert_int_equal(json_length(json_child(job, "steps")), 3);
        assert_non_null(strstr(fixture.events, "d0:job-state=queued "));
        assert_non_null(strstr(fixture.events, "d0:job-state=in_progress "));
        assert_non_null(strstr(fixture.events, "d0:job-result=succeeded "));
        assert_int_equal(audit_table_verify(fixture.store, &verification, 1000), 0);
        assert_true(verification.finished && verification.bad_seq == 0);
        assert_int_equal(verification.n_rows, 4);
        assert_string_equal(fleet_find(fixture.fleet, "toy:d0")->last_result, "updated");
}

static void test_concurrency(void **state) {
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < 6; i++)
                fixture.toys[i].hold = "upload";
        start("c", 1, "{\"labels\":[\"sensor\"],\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\",\"toy:d3\",\"toy:d4\",\"toy:d5\"]}", "{\"concurrency\":2}");
        run_until_held(0);
        run_until_held(1);
        for (int i = 0; i < 6; i++) {
                run_until_held(i);
                fixture.toys[i].hold = NULL;
                str_copy(fixture.toys[i].stored, sizeof fixture.toys[i].stored, "1.1.0");
                run_api()->next(fixture.held[i]->run);
        }
        run_until_event("campaign-state=completed");
        assert_int_equal(fixture.n_running_most, 2);
}

static void test_attempts(void **state) {
        struct json *job;
        int64_t attempt = 0;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].n_again = 2;
        fixture.toys[1].n_again = 99;
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\"]}", "{\"attempts\":3}");
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
        expect_job("c", "toy:d1", "failed", "link-lost");
        job = job_of("c", "toy:d1");
        assert_int_equal(json_member_int(job, "attempt", 0, 100, &attempt), 0);
        assert_int_equal(attempt, 3);
        assert_int_equal(json_length(json_child(job, "notes")), 1); /* the same words are not repeated */
}

static void test_waits_for_the_device(void **state) {
        const struct gw_facts facts = GW_FACTS_INIT;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].absent = true;
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_job("c", "toy:d0", "not-seen");
        expect_job("c", "toy:d0", "queued", "not-seen");
        fixture.toys[0].absent = false;
        assert_int_equal(fleet_seen(fixture.fleet, "toy", "d0", &facts), 0);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
}

static void test_pause_and_resume(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].hold = "upload";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_held(0);
        assert_int_equal(update_campaign_pause(fixture.update, &actor, "c", NULL, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        while (fixture.held[0])
                assert_true(loop_run_once(fixture.loop));
        run_until_job("c", "toy:d0", "paused");
        fixture.toys[0].hold = NULL;
        assert_int_equal(update_campaign_resume(fixture.update, &actor, "c", on_reply, NULL), 0);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
}

static void test_cancel(void **state) {
        struct json *not_stopped;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].hold = "confirm";
        fixture.toys[1].hold = "upload";
        fixture.toys[2].absent = true;
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}", NULL);
        run_until_held(0);
        run_until_held(1);
        run_until_job("c", "toy:d2", "not-seen");
        assert_int_equal(update_campaign_cancel(fixture.update, &actor, "c", on_reply, NULL), 0);
        wait_for(&fixture.replied);
        not_stopped = json_child(fixture.result, "not_stopped");
        assert_int_equal(json_length(not_stopped), 1);
        assert_string_equal(json_member_text(json_at(not_stopped, 0), "device"), "toy:d0");
        assert_int_equal(json_length(json_child(fixture.result, "stopped")), 2);
        run_until_event("d1:job-result=canceled");
        run_api()->done(fixture.held[0]->run, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED);
        run_until_event("d0:job-result=succeeded");
        expect_job("c", "toy:d2", "canceled", "");
}

static void test_retry(void **state) {
        struct str_list errors = STR_LIST_INIT;
        struct update_retry retry = { .id = "c", .errors = &errors };
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].fails = "smp-swap-refused";
        fixture.toys[1].fails = "smp-image-rejected";
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\"]}", NULL);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "failed", "smp-swap-refused");
        fixture.toys[0].fails = NULL;
        fixture.events[0] = '\0';
        assert_int_equal(str_list_append(&errors, "smp-swap-refused"), 0);
        assert_int_equal(update_campaign_retry(fixture.update, &actor, &retry, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_int_equal(json_length(json_child(fixture.result, "retried")), 1);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
        expect_job("c", "toy:d1", "failed", "smp-image-rejected");
        str_list_deinit(&errors);
}

static void test_the_same_order_twice(void **state) {
        bool known = false;
        (void) state;
        import_version("1.1.0");
        start("c", 2, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        start("c", 2, "{\"ids\":[\"toy:d0\"]}", NULL);
        assert_int_equal(json_member_bool(fixture.result, "known", &known), 0);
        assert_true(known);
        assert_int_equal(fixture.toys[0].n_uploads, 1);
        start("c", 2, "{\"ids\":[\"toy:d1\"]}", NULL);
        assert_string_equal(fixture.error.name, "campaign-conflict");
        start("c", 1, "{\"ids\":[\"toy:d1\"]}", NULL);
        assert_string_equal(fixture.error.name, "revision-lower");
        assert_int_equal(fixture.toys[1].n_entered, 0);
}

static void test_superseded(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].hold = "upload";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_held(0);
        import_version("1.2.0");
        fixture.toys[0].hold = NULL;
        start("c", 2, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        assert_string_equal(fixture.toys[0].running, "1.2.0");
        assert_non_null(strstr(fixture.events, "d0:job-result=superseded"));
}

static void test_deadline(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].absent = true;
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\"]}", "{\"deadline\":\"2027-01-15T09:00:00Z\"}");
        run_until_event("d1:job-result=succeeded");
        run_until_job("c", "toy:d0", "not-seen");
        clock_fake_advance(&fixture.clock, 10 * 24 * 3600 * 1000ll);
        restart(); /* the timer looks once an hour; a start looks at once */
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "timed_out", "not-seen");
}

static void test_refused_before_anything_is_sent(void **state) {
        (void) state;
        import_version("0.9.0");
        fixture.toys[1].model = "acme,other";
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\"]}", NULL);
        run_until_event("d0:job-result=rejected");
        run_until_job("c", "toy:d1", "model-conflict");
        expect_job("c", "toy:d0", "rejected", "downgrade");
        assert_int_equal(fixture.toys[0].n_uploads + fixture.toys[1].n_uploads, 0);
}

static void test_model_is_asked_of_the_device(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[6].model = "acme,toy"; /* d6 and d7 have no model in the configuration */
        fixture.toys[7].model = "acme,other";
        start("c", 1, "{\"ids\":[\"toy:d6\",\"toy:d7\"]}", NULL);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d6", "succeeded", "updated");
        expect_job("c", "toy:d7", "rejected", "incompatible");
}

static void test_already(void **state) {
        (void) state;
        import_version("1.0.0");
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "already");
        assert_int_equal(fixture.toys[0].n_uploads, 0);
}

static void test_restart_in_every_step(void **state) {
        static const char *const steps[] = { "upload", "activate", "confirm" };
        char event[64], device[16], devices[64], id[8];
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < 3; i++) {
                fixture.toys[i].hold = steps[i];
                (void) str_format(id, sizeof id, "c%d", i);
                (void) str_format(device, sizeof device, "toy:d%d", i);
                (void) str_format(devices, sizeof devices, "{\"ids\":[\"%s\"]}", device);
                start(id, 1, devices, NULL);
                run_until_held(i);
                restart();
                run_until_held(i); /* it is entered again, and not the steps before it */
                fixture.toys[i].hold = NULL;
                restart();
                (void) str_format(event, sizeof event, "d%d:job-result=succeeded", i);
                run_until_event(event);
                expect_job(id, device, "succeeded", "updated");
                assert_string_equal(fixture.toys[i].running, "1.1.0");
                assert_int_equal(fixture.toys[i].n_uploads, 1);
                assert_int_equal(fixture.toys[i].n_activations, 1);
        }
}

static void test_rollback(void **state) {
        static const char text[] = "{\"schema\":\"gatewayd/campaign/1\",\"id\":\"back\",\"revision\":1,\"rollback\":\"other-slot\",\"devices\":{\"ids\":[\"toy:d0\"]}}";
        _cleanup_json_ struct json *json = NULL;
        (void) state;
        import_version("1.1.0");
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        fixture.events[0] = '\0';
        assert_int_equal(json_parse(text, strlen(text), 0, &json, NULL), 0);
        assert_int_equal(update_campaign_start(fixture.update, &actor, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_string_equal(fixture.error.name, "");
        run_until_event("campaign-state=completed");
        assert_string_equal(fixture.toys[0].running, "1.0.0");
        assert_int_equal(fixture.toys[0].n_uploads, 1);
        expect_job("back", "toy:d0", "succeeded", "updated");
}

static void plan(const char *devices) {
        _cleanup_json_ struct json *json = document("p", 1, devices, NULL);
        assert_int_equal(update_campaign_plan(fixture.update, json, on_reply, NULL), 0);
        wait_for(&fixture.replied);
}

static void test_plan_touches_nothing(void **state) {
        struct json *entry;
        int64_t n = 0;
        (void) state;
        import_version("1.1.0");
        plan("{\"ids\":[\"toy:d0\",\"toy:nobody\"]}");
        assert_int_equal(json_member_int(json_child(fixture.result, "counts"), "update", 0, 9, &n), 0);
        assert_int_equal(n, 1);
        entry = json_at(json_child(fixture.result, "devices"), 0);
        assert_string_equal(json_member_text(entry, "reason"), "device-unknown");
        entry = json_at(json_child(fixture.result, "devices"), 1);
        assert_string_equal(json_member_text(entry, "verdict"), "update");
        assert_string_equal(json_member_text(entry, "version_new"), "1.1.0");
        assert_int_equal(fixture.toys[0].n_entered, 0);
        assert_string_equal(fixture.events, "");
}

static void test_mistakes_and_missing_files(void **state) {
        (void) state;
        import_version("1.1.0");
        start("c", 1, "{}", NULL);
        assert_string_equal(fixture.error.name, "document-invalid");
        assert_true(json_errors_any(&fixture.mistakes));
        memset(fixture.sha256, 7, DIGEST_SIZE);
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        assert_string_equal(fixture.error.name, "artifact-not-imported");
        import_version("no version"); /* in no format */
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        assert_string_equal(fixture.error.name, "format-unknown");
        assert_string_equal(fixture.events, "");
}

static void test_report(void **state) {
        struct json *report = NULL, *failure;
        struct gw_error err;
        int64_t count = 0;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].fails = fixture.toys[1].fails = "smp-swap-refused";
        fixture.toys[2].absent = true;
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}", NULL);
        run_until_event("d0:job-result=failed");
        run_until_event("d1:job-result=failed");
        run_until_job("c", "toy:d2", "not-seen");
        assert_int_equal(update_campaign_report(fixture.update, "c", -1, &report, &err), 0);
        failure = json_at(json_child(report, "failures"), 0);
        assert_string_equal(json_member_text(failure, "name"), "smp-swap-refused");
        assert_int_equal(json_member_int(failure, "count", 0, 9, &count), 0);
        assert_int_equal(count, 2);
        assert_true(strlen(json_member_text(failure, "advice")) > 10);
        assert_int_equal(json_member_int(json_child(report, "not_seen"), "count", 0, 9, &count), 0);
        assert_int_equal(count, 1);
        json_free(report);
}

static void heard(int toy) {
        const struct gw_facts facts = GW_FACTS_INIT;
        char key[8];
        (void) str_format(key, sizeof key, "d%d", toy);
        assert_int_equal(fleet_seen(fixture.fleet, "toy", key, &facts), 0);
}

static void pause_campaign(const char *id) {
        assert_int_equal(update_campaign_pause(fixture.update, &actor, id, NULL, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_string_equal(fixture.error.name, "");
}

static void cancel_campaign(const char *id) {
        assert_int_equal(update_campaign_cancel(fixture.update, &actor, id, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        assert_string_equal(fixture.error.name, "");
}

/* Behind the point of no return a job goes on, also when it has to wait, whatever became of its campaign, also over a restart. */
static void test_committed_goes_on(void **state) {
        static const struct {
                const char *id;
                void (*end)(const char *id);
                bool restarts;
        } cases[] = { { "a", pause_campaign, false }, { "b", pause_campaign, true }, { "c", cancel_campaign, false }, { "d", cancel_campaign, true } };
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < 4; i++) {
                char devices[32], device[8], event[40];
                (void) str_format(device, sizeof device, "toy:d%d", i);
                (void) str_format(devices, sizeof devices, "{\"ids\":[\"%s\"]}", device);
                (void) str_format(event, sizeof event, "d%d:job-result=succeeded", i);
                fixture.toys[i].waits_in = "confirm";
                start(cases[i].id, 1, devices, NULL);
                run_until_job(cases[i].id, device, "swapping");
                cases[i].end(cases[i].id);
                fixture.toys[i].waits_in = NULL;
                if (cases[i].restarts)
                        restart();
                else
                        heard(i);
                run_until_event(event);
                expect_job(cases[i].id, device, "succeeded", "updated");
        }
}

/* It holds its device against later campaigns, and the deadline of its own still counts for it. */
static void test_committed_in_a_canceled_campaign_ends(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].waits_in = "confirm";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", "{\"deadline\":\"2027-01-15T09:00:00Z\"}");
        run_until_job("c", "toy:d0", "swapping");
        cancel_campaign("c");
        start("next", 1, "{\"ids\":[\"toy:d0\"]}", "{\"deadline\":\"2027-03-15T09:00:00Z\"}");
        run_until_job("next", "toy:d0", "busy");
        clock_fake_advance(&fixture.clock, 10 * 24 * 3600 * 1000ll);
        restart();
        run_until_event("d0:job-result=failed");
        expect_job("c", "toy:d0", "failed", "did-not-return");
        fixture.toys[0].waits_in = NULL;
        run_until_event("d0:job-result=succeeded");
}

/* Canceled while it waits, maybe on trial: one more run is told, which takes the device back. */
static void test_cancel_while_on_trial(void **state) {
        (void) state;
        import_version("1.1.0");
        for (int i = 0; i < 3; i++)
                fixture.toys[i].waits_in = "activate";
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d2\"]}", NULL);
        for (int i = 0; i < 3; i++) {
                run_until_job("c", (const char *[]){ "toy:d0", "toy:d1", "toy:d2" }[i], "swapping");
                fixture.toys[i].waits_in = NULL;
                fixture.toys[i].hold = "activate";
        }
        fixture.toys[1].absent = true; /* cannot be told: it goes back at its next reset */
        cancel_campaign("c");
        assert_int_equal(json_length(json_child(fixture.result, "stopped")), 3);
        run_until_event("d0:job-result=canceled");
        run_until_event("d1:job-result=canceled");
        run_until_event("d2:job-result=canceled");
        assert_int_equal(fixture.toys[0].n_cancels, 1);
        assert_int_equal(fixture.toys[1].n_cancels, 0);
        assert_int_equal(fixture.toys[2].n_cancels, 1);
        cancel_campaign("c"); /* a repeated command has the same answer */
        assert_int_equal(json_length(json_child(fixture.result, "stopped")), 3);
}

static void test_cancel_while_on_trial_over_a_restart(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].waits_in = "activate";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_job("c", "toy:d0", "swapping");
        fixture.toys[0].waits_in = NULL;
        fixture.toys[0].hold = "connect"; /* making ready goes on, so that there is a step to tell */
        cancel_campaign("c");
        run_until_held(0);
        fixture.toys[0].hold = "activate";
        restart();
        run_until_event("d0:job-result=canceled");
        assert_int_equal(fixture.toys[0].n_cancels, 1);
}

static void test_a_wait_without_an_end(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].waits_without_wake = true;
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_job("c", "toy:d0", "not-seen");
        for (int i = 0; i < 50; i++)
                assert_true(loop_run_once(fixture.loop));
        assert_int_equal(fixture.toys[0].n_entered, 1);
}

/* The same order twice, the second before the first was accepted. */
static void test_the_same_order_at_once(void **state) {
        _cleanup_json_ struct json *json = NULL;
        bool known = false;
        (void) state;
        import_version("1.1.0");
        json = document("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        assert_int_equal(update_campaign_start(fixture.update, &actor, json, on_reply, NULL), 0);
        assert_int_equal(update_campaign_start(fixture.update, &actor, json, on_reply, NULL), 0);
        while (!fixture.result || json_member_bool(fixture.result, "known", &known) < 0 || !known) {
                wait_for(&fixture.replied);
                assert_string_equal(fixture.error.name, "");
        }
        run_until_event("campaign-state=completed");
        assert_null(strstr(fixture.events, "superseded"));
        assert_int_equal(fixture.toys[0].n_uploads, 1);
}

/* A lower revision that is still in memory for its last job does not hide the highest. */
static void test_highest_revision_is_over(void **state) {
        int64_t revision = 0;
        bool known = false;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].waits_in = "confirm";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_job("c", "toy:d0", "swapping");
        start("c", 2, "{\"ids\":[\"toy:d1\"]}", NULL);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d1", "succeeded", "updated");
        start("c", 2, "{\"ids\":[\"toy:d1\"]}", NULL);
        assert_string_equal(fixture.error.name, "");
        assert_int_equal(json_member_bool(fixture.result, "known", &known), 0);
        assert_true(known);
        assert_int_equal(json_member_int(json_child(fixture.result, "campaign"), "revision", 0, 9, &revision), 0);
        assert_int_equal(revision, 2);
}

/* What runs with a file that the new revision has, too, goes on in it; the rest is stopped. */
static void test_superseded_by_the_same_file(void **state) {
        struct json *old = NULL;
        struct gw_error err;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].hold = fixture.toys[1].hold = "upload";
        fixture.toys[3].waits_in = "activate";
        start("c", 1, "{\"ids\":[\"toy:d0\",\"toy:d1\",\"toy:d3\"]}", "{\"concurrency\":2}");
        run_until_held(0);
        run_until_held(1);
        start("c", 2, "{\"ids\":[\"toy:d0\",\"toy:d2\",\"toy:d3\"]}", NULL);
        assert_non_null(fixture.held[0]);
        run_until_event("d1:job-result=superseded");
        run_until_event("d3:job-result=superseded"); /* had not begun */
        run_until_event("d2:job-result=succeeded");
        run_until_job("c", "toy:d3", "swapping");
        start("c", 3, "{\"ids\":[\"toy:d0\",\"toy:d2\",\"toy:d3\"]}", "{\"concurrency\":7}");
        assert_int_equal(fixture.toys[0].n_uploads, 0);
        str_copy(fixture.toys[0].stored, sizeof fixture.toys[0].stored, "1.1.0");
        run_api()->next(fixture.held[0]->run);
        fixture.toys[3].waits_in = NULL;
        heard(3);
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
        expect_job("c", "toy:d2", "succeeded", "already");
        expect_job("c", "toy:d3", "succeeded", "updated");
        assert_int_equal(fixture.toys[0].n_entered, 1);
        assert_int_equal(fixture.toys[3].n_uploads, 1);
        assert_int_equal(update_campaign_get(fixture.update, "c", 1, NULL, &old, &err), 0);
        assert_string_equal(json_member_text(json_child(old, "campaign"), "state"), "superseded");
        assert_int_equal(json_length(json_child(old, "jobs")), 2);
        json_free(old);
}

static void test_retry_keeps_what_came_out_before(void **state) {
        struct update_retry retry = { .id = "c" };
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].fails = "smp-swap-refused";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        fixture.toys[0].fails = NULL;
        fixture.events[0] = '\0';
        assert_int_equal(update_campaign_retry(fixture.update, &actor, &retry, on_reply, NULL), 0);
        wait_for(&fixture.replied);
        restart();
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d0", "succeeded", "updated");
        assert_string_equal(json_string_or_null(json_at(json_child(job_of("c", "toy:d0"), "notes"), 0)),
                            "before the retry: failed: smp-swap-refused: as the test wants it");
}

static void test_deadline_keeps_the_reason(void **state) {
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].absent = true;
        fixture.toys[1].hold = "upload";
        start("c", 1, "{\"ids\":[\"toy:d1\",\"toy:d2\"]}", "{\"deadline\":\"2027-01-15T09:00:00Z\",\"concurrency\":1}");
        run_until_held(1);
        clock_fake_advance(&fixture.clock, 10 * 24 * 3600 * 1000ll);
        restart();
        run_until_event("campaign-state=completed");
        expect_job("c", "toy:d2", "timed_out", "concurrency");
}

static int take_seq(void *ctx, struct audit_row *row) {
        *(int64_t *) ctx = row->seq;
        return 0;
}

static int count_row(void *ctx, struct campaign_row *row) {
        (void) row;
        ++*(int *) ctx;
        return 0;
}

static int64_t oldest_audit_row(void) {
        int64_t seq = 0;
        assert_int_equal(audit_table_each(fixture.store, 0, 1, take_seq, &seq), 0);
        return seq;
}

static void insert_finished(int number) {
        char id[16];
        struct campaign_row row = { .id = id, .revision = 1, .document = (char *) "{}", .state = (char *) "completed", .accepted_ms = 1, .finished_ms = INT64_MAX / 2 + number };
        (void) str_format(id, sizeof id, "old%d", number);
        assert_int_equal(campaign_table_insert(fixture.store, &row), 0);
}

/* In slices; what is not over stays. */
static void test_upkeep(void **state) {
        struct audit_verification verification = { 0 };
        int n = 0;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].waits_in = "confirm";
        start("open", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_job("open", "toy:d0", "swapping");
        cancel_campaign("open");
        clock_fake_advance(&fixture.clock, 3600 * 1000);
        for (int i = 1; i <= CAMPAIGNS_KEPT_MAX + 5; i++)
                insert_finished(i); /* all of them newer than the one that is open */
        for (int i = 0; i < 2300; i++)
                assert_int_equal(update_audit(fixture.update, &actor, "device.adopt", "toy:d1", "adopted"), 0);
        fixture.settings->limits.audit_rows = 1000;
        update_upkeep(fixture.update);
        while (oldest_audit_row() <= 1300)
                assert_true(loop_run_once(fixture.loop));
        assert_int_equal(audit_table_verify(fixture.store, &verification, 10000), 0);
        assert_true(verification.finished && verification.bad_seq == 0);
        assert_int_equal(verification.n_rows, 1000);
        do {
                n = 0;
                assert_true(loop_run_once(fixture.loop));
                assert_int_equal(campaign_table_each(fixture.store, false, count_row, &n), 0);
        } while (n > CAMPAIGNS_KEPT_MAX + 1);
        expect_job("open", "toy:d0", "in_progress", "swapping");
}

static void test_given_up_and_heard_later(void **state) {
        const struct gw_facts facts = GW_FACTS_INIT;
        const struct gw_device *device;
        (void) state;
        import_version("1.1.0");
        fixture.toys[0].fails = "did-not-return";
        start("c", 1, "{\"ids\":[\"toy:d0\"]}", NULL);
        run_until_event("campaign-state=completed");
        device = fleet_find(fixture.fleet, "toy:d0");
        assert_string_equal(device->last_error, "did-not-return");
        str_copy(fixture.toys[0].running, sizeof fixture.toys[0].running, "1.1.0");
        assert_int_equal(fleet_seen(fixture.fleet, "toy", "d0", &facts), 0);
        while (!str_equal(device->last_error, "returned-late"))
                assert_true(loop_run_once(fixture.loop));
        assert_string_equal(device->version, "1.1.0");
        expect_job("c", "toy:d0", "failed", "did-not-return");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_one_campaign),
                TEST(test_concurrency),
                TEST(test_attempts),
                TEST(test_waits_for_the_device),
                TEST(test_pause_and_resume),
                TEST(test_cancel),
                TEST(test_retry),
                TEST(test_the_same_order_twice),
                TEST(test_superseded),
                TEST(test_deadline),
                TEST(test_refused_before_anything_is_sent),
                TEST(test_model_is_asked_of_the_device),
                TEST(test_already),
                TEST(test_restart_in_every_step),
                TEST(test_rollback),
                TEST(test_plan_touches_nothing),
                TEST(test_mistakes_and_missing_files),
                TEST(test_report),
                TEST(test_given_up_and_heard_later),
                TEST(test_upkeep),
                TEST(test_committed_goes_on),
                TEST(test_committed_in_a_canceled_campaign_ends),
                TEST(test_cancel_while_on_trial),
                TEST(test_cancel_while_on_trial_over_a_restart),
                TEST(test_a_wait_without_an_end),
                TEST(test_the_same_order_at_once),
                TEST(test_highest_revision_is_over),
                TEST(test_superseded_by_the_same_file),
                TEST(test_retry_keeps_what_came_out_before),
                TEST(test_deadline_keeps_the_reason),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
