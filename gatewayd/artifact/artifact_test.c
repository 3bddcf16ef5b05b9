/* SPDX-License-Identifier: Apache-2.0 */

/* The cache itself: imports, what is found at start, pins, lists, removal. */
#include "artifact/artifact.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "artifact/http_script.h"
#include "artifact/test_support.h"

#define URL "https://fw.example/a.bin"
#define SIZE 900000u

struct world {
        struct cache *cache;
        uint8_t *bytes;
        uint8_t sha256[DIGEST_SIZE];
        char path[128];
        int fd; /* a file with the bytes, outside of the cache */
};

static void write_file(struct world *world, size_t size) {
        if (world->fd >= 0)
                close(world->fd);
        snprintf(world->path, sizeof world->path, "%s/firmware.bin", world->cache->directory);
        world->fd = open(world->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_int_equal(write(world->fd, world->bytes, size), size);
}

static int setup(void **state) {
        struct world *world = calloc(1, sizeof *world);

        cache_setup((void **) &world->cache);
        http_script_clear();
        world->bytes = make_bytes(SIZE, 2);
        digest_sha256(world->bytes, SIZE, world->sha256);
        world->fd = -1;
        write_file(world, SIZE);
        *state = world;
        return 0;
}

static int teardown(void **state) {
        struct world *world = *state;

        cache_teardown((void **) &world->cache);
        close(world->fd);
        free(world->bytes);
        free(world);
        return 0;
}

/* ---- imports */

struct import {
        struct artifact_import *import;
        bool done;
        int result;
        uint8_t sha256[DIGEST_SIZE];
        uint64_t size;
        struct gw_error error;
};

static void on_imported(void *ctx, int result, const uint8_t sha256[DIGEST_SIZE], uint64_t size, const struct gw_error *err) {
        struct import *import = ctx;

        assert_false(import->done);
        import->done = true;
        import->result = result;
        import->size = size;
        memcpy(import->sha256, sha256, DIGEST_SIZE);
        import->error = *err;
}

static void start_import(struct world *world, struct import *import, int fd) {
        *import = (struct import){ 0 };
        assert_int_equal(artifact_import(world->cache->artifacts, fd, on_imported, import, &import->import), 0);
        assert_false(import->done);
}

static void import(struct world *world, struct import *import, int fd) {
        start_import(world, import, fd);
        LOOP_UNTIL(world->cache->loop, import->done);
}

static void assert_refused(struct world *world, int fd, const char *name) {
        struct import refused;

        import(world, &refused, fd);
        assert_true(refused.result < 0);
        assert_string_equal(refused.error.name, name);
}

static void assert_no_temporary(struct world *world) {
        char path[128];

        for (int i = 0; i < 10; i++) {
                snprintf(path, sizeof path, "%s/artifacts/import-%d.tmp", world->cache->directory, i);
                assert_int_equal(access(path, F_OK), -1);
        }
}

static void test_import(void **state) {
        struct world *world = *state;
        struct import good;
        struct stat status;
        char path[256];

        assert_int_equal(lseek(world->fd, 1000, SEEK_SET), 1000); /* its place does not matter */
        start_import(world, &good, world->fd);
        close(world->fd); /* nor that the caller closes it */
        world->fd = -1;
        LOOP_UNTIL(world->cache->loop, good.done);
        assert_int_equal(good.result, 0);
        assert_int_equal(good.size, SIZE);
        assert_memory_equal(good.sha256, world->sha256, DIGEST_SIZE);
        assert_cached(world->cache, world->sha256, world->bytes, SIZE);
        file_path(world->cache, world->sha256, "", path);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_int_equal(unlink(world->path), 0); /* it is a copy */
        cache_reopen(world->cache);
        assert_cached(world->cache, world->sha256, world->bytes, SIZE);
        assert_no_temporary(world);
}

static void test_import_twice(void **state) {
        struct world *world = *state;
        struct import first, second;
        struct artifacts_statistics statistics;

        start_import(world, &first, world->fd);
        start_import(world, &second, world->fd);
        LOOP_UNTIL(world->cache->loop, first.done && second.done);
        assert_int_equal(first.result, 0);
        assert_int_equal(second.result, 0);
        artifacts_statistics(world->cache->artifacts, &statistics);
        assert_int_equal(statistics.n_files, 1);
        assert_int_equal(statistics.used_bytes, SIZE);
        assert_no_temporary(world);
}

static void test_import_of_what_is_no_file(void **state) {
        struct world *world = *state;
        int fds[2], directory;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_refused(world, fds[0], "file-unreadable"); /* would block for ever */
        close(fds[0]);
        close(fds[1]);
        directory = open(world->cache->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_refused(world, directory, "file-unreadable");
        close(directory);
        directory = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        assert_refused(world, directory, "file-unreadable");
        close(directory);
        directory = open(world->path, O_WRONLY | O_CLOEXEC);
        assert_refused(world, directory, "file-unreadable");
        close(directory);
        write_file(world, 0);
        assert_refused(world, world->fd, "file-unreadable");
        assert_true(artifact_import(world->cache->artifacts, -1, on_imported, NULL, NULL) < 0);
        assert_no_temporary(world);
}

static void test_import_limits(void **state) {
        struct world *world = *state;
        uint64_t free_bytes = SIZE + (1 << 20) - 1;
        struct import good;

        cache_configure(world->cache, "[artifacts]\nreserve = 0\nmax_size = 800000\n");
        assert_refused(world, world->fd, "artifact-too-large");
        world->cache->options.free_bytes = cache_free_bytes;
        world->cache->options.ctx = &free_bytes;
        cache_reopen(world->cache);
        cache_configure(world->cache, "[artifacts]\nreserve = 1M\n");
        assert_refused(world, world->fd, "disk-full");
        free_bytes++;
        import(world, &good, world->fd);
        assert_int_equal(good.result, 0);
}

/* Room is promised once: of two that would fit alone the second is refused. */
static void test_imports_share_the_room(void **state) {
        struct world *world = *state;
        uint64_t free_bytes = 2 * SIZE - 1;
        struct import first, second;

        world->cache->options.free_bytes = cache_free_bytes;
        world->cache->options.ctx = &free_bytes;
        cache_reopen(world->cache);
        start_import(world, &first, world->fd);
        start_import(world, &second, world->fd);
        LOOP_UNTIL(world->cache->loop, first.done && second.done);
        assert_int_equal(first.result, 0);
        assert_string_equal(second.error.name, "disk-full");
}

/* The disk refuses in the middle (a limit of the file size stands in for it): nothing stays behind. */
static void test_import_that_the_disk_refuses(void **state) {
        struct world *world = *state;
        struct rlimit old, limit;
        struct import failed;

        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        limit = (struct rlimit){ .rlim_cur = SIZE / 2, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        import(world, &failed, world->fd);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_true(failed.result < 0);
        assert_string_equal(failed.error.name, "disk-error");
        assert_false(artifact_has(world->cache->artifacts, world->sha256));
        assert_no_temporary(world);
}

static void test_import_canceled(void **state) {
        struct world *world = *state;
        struct import canceled;

        start_import(world, &canceled, world->fd);
        artifact_import_cancel(canceled.import);
        assert_false(canceled.done);
        LOOP_UNTIL(world->cache->loop, canceled.done);
        assert_int_equal(canceled.result, -ECANCELED);
        start_import(world, &canceled, world->fd);
        cache_close(world->cache); /* waits for its worker */
        assert_true(canceled.done);
        assert_int_equal(canceled.result, -ECANCELED);
        cache_open(world->cache);
        assert_no_temporary(world);
}

/* The server is away; a person brings the file on a stick. */
static void test_import_ends_a_waiting_download(void **state) {
        struct world *world = *state;
        struct request request;
        struct import good;

        http_script_files[0] = (struct http_script_file){
                .url = URL,
                .body = world->bytes,
                .size = SIZE,
                .statuses = { 503 },
                .retry_after_ms = 3000000,
        };
        request_start(world->cache, &request, URL, SIZE, world->sha256);
        LOOP_UNTIL(world->cache->loop, request.n_waiting == 1);
        import(world, &good, world->fd);
        assert_int_equal(good.result, 0);
        LOOP_UNTIL(world->cache->loop, request.done);
        assert_int_equal(request.result, 0);
        assert_cached(world->cache, world->sha256, world->bytes, SIZE);
}

static void test_import_beside_a_download(void **state) {
        struct world *world = *state;
        struct request request;
        struct import good;

        http_script_files[0] = (struct http_script_file){ .url = URL, .body = world->bytes, .size = SIZE, .hangs = true };
        request_start(world->cache, &request, URL, SIZE, world->sha256);
        LOOP_UNTIL(world->cache->loop, http_script_running == 1);
        import(world, &good, world->fd);
        LOOP_UNTIL(world->cache->loop, request.done);
        assert_int_equal(request.result, 0); /* what the server sends does not matter any more */
        assert_cached(world->cache, world->sha256, world->bytes, SIZE);
}

/* ---- what is found at start */

static void put_row(struct world *world, bool complete, int64_t size, int64_t received, const char *etag) {
        struct artifact_row row = {
                .size = size,
                .received = received,
                .complete = complete,
                .url = URL,
                .etag = (char *) etag,
                .created_ms = 1,
                .last_used_ms = 1,
        };

        memcpy(row.sha256, world->sha256, DIGEST_SIZE);
        assert_int_equal(artifact_table_put(world->cache->store, &row), 0);
}

static bool has_row(struct world *world) {
        struct artifact_row row;

        if (artifact_table_fetch(world->cache->store, world->sha256, &row) < 0)
                return false;
        artifact_row_clear(&row);
        return true;
}

/* Crash between rename and row: the file is the truth. */
static void test_file_without_row(void **state) {
        struct world *world = *state;

        file_write(world->cache, world->sha256, "", world->bytes, SIZE);
        cache_reopen(world->cache);
        assert_cached(world->cache, world->sha256, world->bytes, SIZE);
}

static void test_file_whose_row_is_not_complete(void **state) {
        struct world *world = *state;
        struct artifact_row row;

        put_row(world, false, SIZE, 100, "\"v1\"");
        file_write(world->cache, world->sha256, "", world->bytes, SIZE);
        file_write(world->cache, world->sha256, ".part", world->bytes, 100); /* left by another crash */
        cache_reopen(world->cache);
        assert_cached(world->cache, world->sha256, world->bytes, SIZE);
        assert_int_equal(artifact_table_fetch(world->cache->store, world->sha256, &row), 0);
        assert_string_equal(row.url, URL);
        artifact_row_clear(&row);
}

static void test_row_without_file(void **state) {
        struct world *world = *state;

        put_row(world, true, SIZE, SIZE, NULL);
        cache_reopen(world->cache);
        assert_false(artifact_has(world->cache->artifacts, world->sha256));
        assert_false(has_row(world));
        put_row(world, false, SIZE, 100, "\"v1\"");
        cache_reopen(world->cache);
        assert_false(has_row(world));
}

static void test_file_of_another_size_than_its_row(void **state) {
        struct world *world = *state;

        put_row(world, true, SIZE, SIZE, NULL);
        file_write(world->cache, world->sha256, "", world->bytes, SIZE - 1);
        cache_reopen(world->cache);
        assert_false(artifact_has(world->cache->artifacts, world->sha256));
        assert_int_equal(file_size(world->cache, world->sha256, ""), -1);
        assert_false(has_row(world));
}

static void test_leftovers_go_strangers_stay(void **state) {
        struct world *world = *state;
        char stranger[128], temporary[128], link[256];

        snprintf(stranger, sizeof stranger, "%s/artifacts/README", world->cache->directory);
        snprintf(temporary, sizeof temporary, "%s/artifacts/import-7.tmp", world->cache->directory);
        file_path(world->cache, (uint8_t[DIGEST_SIZE]){ 1 }, "", link);
        file_write(world->cache, world->sha256, ".part", world->bytes, 100);
        close(open(stranger, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        close(open(temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        assert_int_equal(symlink("/etc/passwd", link), 0);
        cache_reopen(world->cache);
        assert_int_equal(file_size(world->cache, world->sha256, ".part"), -1);
        assert_int_equal(access(temporary, F_OK), -1);
        assert_int_equal(access(stranger, F_OK), 0);
        assert_false(artifact_has(world->cache->artifacts, (uint8_t[DIGEST_SIZE]){ 1 })); /* a link is no file of ours */
}

static void test_file_that_vanished_while_running(void **state) {
        struct world *world = *state;
        struct import good;
        char path[256];
        int fd = -1;

        import(world, &good, world->fd);
        file_path(world->cache, world->sha256, "", path);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(artifact_open(world->cache->artifacts, world->sha256, &fd), -ENOENT);
        assert_false(artifact_has(world->cache->artifacts, world->sha256));
        import(world, &good, world->fd);
        assert_cached(world->cache, world->sha256, world->bytes, SIZE);
}

static void test_folder_that_cannot_be(void **state) {
        struct world *world = *state;
        struct artifacts *artifacts = NULL;
        struct gw_error err = { 0 };
        char path[128];

        cache_close(world->cache);
        snprintf(path, sizeof path, "%s/artifacts", world->cache->directory);
        assert_int_equal(rmdir(path), 0);
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        assert_true(artifacts_new(world->cache->loop, world->cache->http, NULL, &world->cache->options, &artifacts, &err) < 0);
        assert_string_equal(err.name, "state-dir-unusable");
        assert_int_equal(unlink(path), 0);
        cache_open(world->cache);
}

/* ---- lists and removal */

struct listing {
        size_t n;
        struct artifact_info last;
        char format[32];
};

static void on_listed(void *ctx, const struct artifact_info *info) {
        struct listing *listing = ctx;

        listing->n++;
        listing->last = *info;
        snprintf(listing->format, sizeof listing->format, "%s", info->format ? info->format : "");
}

static void test_list_and_remove(void **state) {
        struct world *world = *state;
        struct listing listing = { 0 };
        struct gw_error err = { 0 };
        struct import good;
        int fd = -1;
        uint8_t byte;

        assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, &err), -ENOENT);
        assert_string_equal(err.name, "artifact-unknown");
        assert_int_equal(artifact_set_format(world->cache->artifacts, world->sha256, "mcuboot", "1.4.0"), -ENOENT);
        import(world, &good, world->fd);
        assert_int_equal(artifact_set_format(world->cache->artifacts, world->sha256, "mcuboot", "1.4.0"), 0);
        assert_int_equal(artifact_pin(world->cache->artifacts, world->sha256), 0);
        artifact_each(world->cache->artifacts, on_listed, &listing);
        assert_int_equal(listing.n, 1);
        assert_true(listing.last.complete && !listing.last.fetching);
        assert_int_equal(listing.last.size, SIZE);
        assert_int_equal(listing.last.received, SIZE);
        assert_int_equal(listing.last.n_pins, 1);
        assert_string_equal(listing.format, "mcuboot");
        assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, &err), -EBUSY);
        assert_string_equal(err.name, "artifact-in-use");
        artifact_unpin(world->cache->artifacts, world->sha256);
        assert_int_equal(artifact_open(world->cache->artifacts, world->sha256, &fd), 0);
        assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, &err), 0);
        assert_int_equal(pread(fd, &byte, 1, SIZE - 1), 1); /* who has it open reads on */
        close(fd);
        assert_int_equal(artifact_open(world->cache->artifacts, world->sha256, &fd), -ENOENT);
        assert_false(has_row(world));
}

static void test_what_is_being_fetched_is_not_removed(void **state) {
        struct world *world = *state;
        struct listing listing = { 0 };
        struct gw_error err = { 0 };
        struct request request;

        http_script_files[0] = (struct http_script_file){ .url = URL, .body = world->bytes, .size = SIZE, .etag = "\"v1\"" };
        request_start(world->cache, &request, URL, SIZE, world->sha256);
        LOOP_UNTIL(world->cache->loop, http_script_files[0].n_sent > 100000);
        assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, &err), -EBUSY);
        artifact_each(world->cache->artifacts, on_listed, &listing);
        assert_true(listing.last.fetching && !listing.last.complete);
        assert_int_equal(listing.last.size, SIZE);
        artifact_fetch_cancel(request.fetch);
        while (loop_run_once(world->cache->loop))
                ;
        assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, &err), 0);
        assert_int_equal(file_size(world->cache, world->sha256, ".part"), -1);
}

static void test_use_is_noted_now_and_then(void **state) {
        struct world *world = *state;
        struct artifact_row row;
        struct import good;
        int64_t first_ms;

        import(world, &good, world->fd);
        first_ms = world->cache->clock.now_wall_ms;
        for (int i = 0; i < 3; i++) {
                int fd = -1;

                world->cache->clock.now_wall_ms += 30000;
                assert_int_equal(artifact_open(world->cache->artifacts, world->sha256, &fd), 0);
                close(fd);
        }
        assert_int_equal(artifact_table_fetch(world->cache->store, world->sha256, &row), 0);
        assert_int_equal(row.last_used_ms, first_ms + 60000);
        artifact_row_clear(&row);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_import),
                TEST(test_import_twice),
                TEST(test_import_of_what_is_no_file),
                TEST(test_import_limits),
                TEST(test_imports_share_the_room),
                TEST(test_import_that_the_disk_refuses),
                TEST(test_import_canceled),
                TEST(test_import_ends_a_waiting_download),
                TEST(test_import_beside_a_download),
                TEST(test_file_without_row),
                TEST(test_file_whose_row_is_not_complete),
                TEST(test_row_without_file),
                TEST(test_file_of_another_size_than_its_row),
                TEST(test_leftovers_go_strangers_stay),
                TEST(test_file_that_vanished_while_running),
                TEST(test_folder_that_cannot_be),
                TEST(test_list_and_remove),
                TEST(test_what_is_being_fetched_is_not_removed),
                TEST(test_use_is_noted_now_and_then),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
