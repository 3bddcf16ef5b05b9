/* SPDX-License-Identifier: Apache-2.0 */

/* The whole plugin against the scripted host: real files in a folder of the test, a clock that only the test moves. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/testing/scripted_run.h"
#include "example_format.h"
#include "sha256.h"

extern const struct gw_plugin gw_plugin;

#define MOST_MS 3600000
#define FIRMWARE "gatewayd-example 1.2.0 acme,folder\nnew bytes, more than one slice of them"
#define WHOLE "connect inspect write activate verify"

struct fixture {
        char root[64], folder[96];
        struct scripted_host host;
        const struct gw_driver *driver;
        void *driver_ctx;
        struct gw_device *device;
        struct gw_part part;
        struct gw_order order;
        struct gw_run run;
};

static void put(const struct fixture *fixture, const char *name, const char *text) {
        char path[160];
        FILE *file;

        snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* NULL: there is no such file. */
static const char *get(const struct fixture *fixture, const char *name) {
        static char text[4096];
        char path[160];
        FILE *file;

        snprintf(path, sizeof path, "%s/%s", fixture->folder, name);
        file = fopen(path, "r");
        if (!file)
                return NULL;
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
        return text;
}

/* A file of the format, read as the daemon does. */
static void make_order(struct fixture *fixture) {
        struct gw_format_options options = { .size = sizeof options };
        struct gw_package package = { 0 };
        int fd = memfd_create("artifact", MFD_CLOEXEC);

        assert_int_equal(write(fd, FIRMWARE, strlen(FIRMWARE)), strlen(FIRMWARE));
        assert_true(example_format.matches((const uint8_t *) FIRMWARE, strlen(FIRMWARE), fd, strlen(FIRMWARE)));
        assert_int_equal(example_format.read(fd, strlen(FIRMWARE), &options, &package, NULL), 0);
        assert_string_equal(package.compatible[0], "acme,folder");
        fixture->part = package.parts[0];
        fixture->order = (struct gw_order){ .size = sizeof fixture->order, .n_wanted = 1 };
        fixture->order.wanted[0].part = &fixture->part;
        fixture->order.wanted[0].hash_size = fixture->part.hash_size;
        memcpy(fixture->order.wanted[0].hash, fixture->part.hash, GW_HASH_MAX);
        snprintf(fixture->order.wanted[0].version, GW_VERSION_MAX, "%s", fixture->part.version);
}

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        snprintf(fixture->root, sizeof fixture->root, "/tmp/example-test-XXXXXX");
        assert_non_null(mkdtemp(fixture->root));
        snprintf(fixture->folder, sizeof fixture->folder, "%s/kitchen", fixture->root);
        assert_int_equal(mkdir(fixture->folder, 0700), 0);
        scripted_host_init(&fixture->host, gw_plugin.settings);
        scripted_host_set(&fixture->host, "slice", "16");
        scripted_host_set(&fixture->host, "folders", fixture->root);
        assert_int_equal(gw_plugin.load(&fixture->host.host, &(void *){ NULL }, NULL), 0);
        fixture->driver = fixture->host.drivers[0];
        assert_int_equal(fixture->driver->start(&fixture->host.host, &fixture->driver_ctx, NULL), 0);
        fixture->device = scripted_device_add(&fixture->host, "example-file", "kitchen", fixture->driver->device_settings);
        scripted_device_set(fixture->device, "path", fixture->folder);
        make_order(fixture);
        fixture->run = (struct gw_run){
                .scripted = &fixture->host,
                .driver = fixture->driver,
                .driver_ctx = fixture->driver_ctx,
                .operation = GW_OPERATION_UPDATE,
                .device = fixture->device,
                .order = &fixture->order,
        };
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        struct fixture *fixture = *state;
        char command[96];

        scripted_run_deinit(&fixture->run);
        fixture->driver->stop(fixture->driver_ctx);
        scripted_host_advance(&fixture->host, MOST_MS); /* tasks that nobody waits for */
        scripted_host_deinit(&fixture->host);
        gw_plugin.unload(NULL);
        close(fixture->part.fd);
        snprintf(command, sizeof command, "rm -rf %s", fixture->root);
        assert_int_equal(system(command), 0);
        free(fixture);
        return 0;
}

static void expect(struct fixture *fixture, enum gw_result result, enum gw_proof proof, const char *path) {
        assert_int_equal(scripted_run_until_end(&fixture->run, MOST_MS), SCRIPTED_DONE);
        assert_int_equal(fixture->run.result, result);
        assert_int_equal(fixture->run.proof, proof);
        assert_string_equal(fixture->run.path, path);
}

static void test_an_update(void **state) {
        struct fixture *fixture = *state;

        put(fixture, "firmware", "gatewayd-example 1.1.0 acme,folder\nold bytes");
        scripted_run_begin(&fixture->run);
        assert_true(scripted_run_until_step(&fixture->run, "write", MOST_MS));
        assert_string_equal(fixture->device->version, "1.1.0");
        expect(fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, WHOLE);
        assert_string_equal(get(fixture, "firmware"), FIRMWARE);
        assert_null(get(fixture, "firmware.new"));
        assert_string_equal(fixture->run.committed_in, "activate");
        assert_int_equal(fixture->run.progress_done, strlen(FIRMWARE));
        assert_string_equal(fixture->device->version, "1.2.0");
        assert_memory_equal(fixture->device->images[0].hash, fixture->part.hash, 32);
}

static void test_what_runs_already_is_left_alone(void **state) {
        struct fixture *fixture = *state;

        put(fixture, "firmware", FIRMWARE);
        scripted_run_begin(&fixture->run);
        expect(fixture, GW_RESULT_ALREADY, GW_PROOF_HASH_ACTIVE_CONFIRMED, "connect inspect");
}

static void test_upload_only_leaves_what_runs(void **state) {
        struct fixture *fixture = *state;

        put(fixture, "firmware", "old");
        fixture->order.mode = GW_MODE_UPLOAD_ONLY;
        scripted_run_begin(&fixture->run);
        expect(fixture, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED, "connect inspect write activate");
        assert_string_equal(get(fixture, "firmware"), "old");
        assert_string_equal(get(fixture, "firmware.new"), FIRMWARE);
}

static void test_an_absent_folder_is_waited_for(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(rmdir(fixture->folder), 0);
        fixture->run.stop_at_wait = true;
        assert_int_equal(scripted_run_whole(&fixture->run, MOST_MS), SCRIPTED_WAITING);
        assert_string_equal(fixture->run.reason, "not-seen");
        assert_true(fixture->run.seen_wakes);
        assert_int_equal(mkdir(fixture->folder, 0700), 0);
        scripted_run_continue(&fixture->run);
        expect(fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, "connect " WHOLE);
}

static void test_a_crash_before_every_step(void **state) {
        static const struct {
                const char *step, *path;
        } rows[] = {
                { "write", "connect inspect connect inspect write activate verify" },
                { "activate", "connect inspect write connect inspect activate verify" },
                /* The rename is done: the look alone gives the proof. */
                { "verify", "connect inspect write activate connect inspect" },
        };

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture *fixture = *state;

                put(fixture, "firmware", "old");
                fixture->run.crash_at = rows[i].step;
                scripted_run_begin(&fixture->run);
                expect(fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, rows[i].path);
                assert_int_equal(fixture->run.n_crashes, 1);
                assert_string_equal(get(fixture, "firmware"), FIRMWARE);
                if (i + 1 < sizeof rows / sizeof rows[0]) {
                        assert_int_equal(teardown(state), 0);
                        assert_int_equal(setup(state), 0);
                }
        }
}

/* Turns until this many bytes are told as written. */
static void until_written(struct fixture *fixture, uint64_t size) {
        while (fixture->run.progress_done < size)
                assert_true(scripted_host_step(&fixture->host, MOST_MS));
}

static void test_a_copy_goes_on_where_it_was(void **state) {
        struct fixture *fixture = *state;

        scripted_run_begin(&fixture->run);
        until_written(fixture, 32);
        scripted_run_crash(&fixture->run);
        assert_true(scripted_run_until_step(&fixture->run, "write", MOST_MS));
        until_written(fixture, 48);
        assert_int_equal(fixture->run.progress_done, 48);
        expect(fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, "connect inspect write connect inspect write activate verify");
}

static void test_a_copy_stops_at_the_end_of_a_slice(void **state) {
        struct fixture *fixture = *state;

        scripted_run_begin(&fixture->run);
        until_written(fixture, 16);
        scripted_run_stop(&fixture->run, GW_STOP_PAUSE);
        assert_int_equal(scripted_run_until_end(&fixture->run, MOST_MS), SCRIPTED_STOPPED);
        assert_int_equal(fixture->run.progress_done, 32);
        scripted_run_continue(&fixture->run);
        expect(fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, "connect inspect write connect inspect write activate verify");
}

/* Somebody else wrote into firmware.new: once more from the first byte. */
static void test_a_damaged_copy_is_written_anew(void **state) {
        struct fixture *fixture = *state;

        scripted_run_begin(&fixture->run);
        assert_true(scripted_run_until_step(&fixture->run, "activate", MOST_MS));
        put(fixture, "firmware.new", "something else");
        expect(fixture, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, "connect inspect write activate write activate verify");
}

static void test_a_copy_that_is_damaged_again_is_a_failed_attempt(void **state) {
        struct fixture *fixture = *state;

        scripted_run_begin(&fixture->run);
        for (int i = 0; i < 2; i++) {
                assert_true(scripted_run_until_step(&fixture->run, "activate", MOST_MS));
                put(fixture, "firmware.new", "something else");
                if (i == 0)
                        assert_true(scripted_run_until_step(&fixture->run, "write", MOST_MS));
        }
        assert_int_equal(scripted_run_until_end(&fixture->run, MOST_MS), SCRIPTED_FAILED);
        assert_string_equal(fixture->run.error.name, "example-damaged");
        assert_null(get(fixture, "firmware"));
}

static void count(void *ctx) {
        ++*(int *) ctx;
}

static void test_a_scan_reports_folders_with_firmware(void **state) {
        struct fixture *fixture = *state;
        int n_done = 0;

        /* Nothing in it yet, so it is no device; the second scan has it. Each is answered once. */
        assert_int_equal(fixture->driver->scan(fixture->driver_ctx, 1000, count, &n_done, NULL), 0);
        scripted_host_advance(&fixture->host, 0);
        assert_int_equal(fixture->host.n_seen, 0);
        put(fixture, "firmware", "old");
        assert_int_equal(fixture->driver->scan(fixture->driver_ctx, 1000, count, &n_done, NULL), 0);
        assert_int_equal(fixture->driver->scan(fixture->driver_ctx, 1000, count, &n_done, NULL), 0);
        scripted_host_advance(&fixture->host, 0);
        assert_int_equal(n_done, 3);
        assert_int_equal(fixture->host.n_seen, 2);
        assert_string_equal(fixture->host.seen[0].key, "kitchen");
        assert_string_equal(fixture->host.seen[0].address, fixture->folder);
}

static void test_a_scan_that_nobody_waits_for(void **state) {
        struct fixture *fixture = *state;
        int n_done = 0;

        assert_int_equal(fixture->driver->scan(fixture->driver_ctx, 1000, count, &n_done, NULL), 0);
        fixture->driver->stop(fixture->driver_ctx);
        scripted_host_advance(&fixture->host, 0);
        assert_int_equal(n_done, 0);
        assert_int_equal(fixture->driver->start(&fixture->host.host, &fixture->driver_ctx, NULL), 0);
}

static void test_the_plan(void **state) {
        struct fixture *fixture = *state;
        struct gw_plan_request request = { .size = sizeof request, .device = fixture->device, .order = &fixture->order };
        struct gw_plan plan;
        struct gw_error err;

        assert_int_equal(fixture->driver->plan(fixture->driver_ctx, &request, &plan, &err), 0);
        assert_int_equal(plan.work, GW_PLAN_UPLOAD);
        assert_int_equal(plan.mode, GW_MODE_CONFIRM_ONLY);
        assert_int_equal(plan.upload_bytes, strlen(FIRMWARE));
        fixture->device->n_images = 1;
        fixture->device->images[0].hash_size = 32;
        memcpy(fixture->device->images[0].hash, fixture->part.hash, 32);
        assert_int_equal(fixture->driver->plan(fixture->driver_ctx, &request, &plan, &err), 0);
        assert_int_equal(plan.work, GW_PLAN_NOTHING);
        fixture->order.mode = GW_MODE_TEST_ONLY;
        assert_true(fixture->driver->plan(fixture->driver_ctx, &request, &plan, &err) < 0);
        assert_string_equal(err.name, "mode-not-supported");
        fixture->order.n_wanted = 2;
        assert_true(fixture->driver->plan(fixture->driver_ctx, &request, &plan, &err) < 0);
        assert_string_equal(err.name, "does-not-fit-device");
}

/* FIPS 180-2, appendix B, and a message of exactly one block of padding more. */
static void test_sha256(void **state) {
        static const struct {
                const char *text;
                uint8_t begin[4];
        } rows[] = {
                { "abc", { 0xba, 0x78, 0x16, 0xbf } },
                { "", { 0xe3, 0xb0, 0xc4, 0x42 } },
                { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", { 0x24, 0x8d, 0x6a, 0x61 } },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct sha256 sha;
                uint8_t digest[32];

                sha256_init(&sha);
                sha256_update(&sha, rows[i].text, strlen(rows[i].text));
                sha256_final(&sha, digest);
                assert_memory_equal(digest, rows[i].begin, 4);
        }
}

static void test_files_that_are_not_for_it(void **state) {
        static const char *const texts[] = { "gatewayd-example", "gatewayd-example 1.2.0\n", "gatewayd-example 1.2.0 acme,folder" };
        struct gw_format_options options = { .size = sizeof options };

        (void) state;
        assert_false(example_format.matches((const uint8_t *) "MZ", 2, -1, 2));
        for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
                int fd = memfd_create("artifact", MFD_CLOEXEC);
                struct gw_package package;
                struct gw_error err = { 0 };

                assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
                assert_true(example_format.read(fd, strlen(texts[i]), &options, &package, &err) < 0);
                assert_string_equal(err.name, "format-unreadable");
                close(fd);
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_an_update),
                TEST(test_what_runs_already_is_left_alone),
                TEST(test_upload_only_leaves_what_runs),
                TEST(test_an_absent_folder_is_waited_for),
                TEST(test_a_crash_before_every_step),
                TEST(test_a_copy_goes_on_where_it_was),
                TEST(test_a_copy_stops_at_the_end_of_a_slice),
                TEST(test_a_damaged_copy_is_written_anew),
                TEST(test_a_copy_that_is_damaged_again_is_a_failed_attempt),
                TEST(test_a_scan_reports_folders_with_firmware),
                TEST(test_a_scan_that_nobody_waits_for),
                TEST(test_the_plan),
                cmocka_unit_test(test_sha256),
                cmocka_unit_test(test_files_that_are_not_for_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
