/* SPDX-License-Identifier: Apache-2.0 */

/* Downloads against a scripted server: every kind of answer and of interruption. */
#include "artifact/artifact.h"

#include "artifact/http_script.h"
#include "artifact/test_support.h"
#include "base/time.h"

#define URL "https://fw.example/a.bin"
#define OTHER_URL "https://mirror.example/a.bin"
#define SIZE 1000000u

struct world {
        struct cache *cache;
        uint8_t *bytes;
        uint8_t sha256[DIGEST_SIZE];
        struct http_script_file *file;
};

static int setup(void **state) {
        struct world *world = calloc(1, sizeof *world);

        cache_setup((void **) &world->cache);
        http_script_clear();
        world->bytes = make_bytes(SIZE, 1);
        digest_sha256(world->bytes, SIZE, world->sha256);
        world->file = &http_script_files[0];
        *world->file = (struct http_script_file){ .url = URL, .body = world->bytes, .size = SIZE, .etag = "\"v1\"" };
        *state = world;
        return 0;
}

static int teardown(void **state) {
        struct world *world = *state;

        cache_teardown((void **) &world->cache);
        free(world->bytes);
        free(world);
        return 0;
}

static void start(struct world *world, struct request *request) {
        request_start(world->cache, request, URL, SIZE, world->sha256);
}

static void finish(struct world *world, struct request *request) {
        LOOP_UNTIL(world->cache->loop, request->done);
}

static void assert_good(struct world *world, struct request *request) {
        finish(world, request);
        if (request->result < 0)
                fail_msg("%s: %s", request->error.name, request->error.text);
        assert_cached(world->cache, world->sha256, world->bytes, SIZE);
}

static void assert_failed(struct world *world, struct request *request, const char *name) {
        finish(world, request);
        assert_true(request->result < 0);
        assert_string_equal(request->error.name, name);
        assert_false(artifact_has(world->cache->artifacts, world->sha256));
}

/* ---- straight on */

static void test_fetch(void **state) {
        struct world *world = *state;
        struct request request;
        struct stat status;
        char path[256];

        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->n_requests, 1);
        assert_int_equal(world->file->last_from, 0);
        assert_string_equal(world->file->last_if_range, "");
        assert_true(request.n_progress >= 1);
        assert_int_equal(request.received, SIZE);
        file_path(world->cache, world->sha256, "", path);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0600);
        cache_reopen(world->cache);
        assert_cached(world->cache, world->sha256, world->bytes, SIZE);
}

static void test_already_there(void **state) {
        struct world *world = *state;
        struct request request;

        start(world, &request);
        assert_good(world, &request);
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->n_requests, 1);
        request_start(world->cache, &request, NULL, 0, world->sha256);
        assert_good(world, &request);
        request_start(world->cache, &request, URL, SIZE + 1, world->sha256);
        finish(world, &request);
        assert_string_equal(request.error.name, "size-mismatch");
}

static void test_no_url_and_not_there(void **state) {
        struct world *world = *state;
        struct request request;

        request_start(world->cache, &request, NULL, SIZE, world->sha256);
        assert_failed(world, &request, "artifact-unknown");
}

static void test_one_download_for_many(void **state) {
        struct world *world = *state;
        struct request requests[50];

        for (size_t i = 0; i < 25; i++)
                start(world, &requests[i]);
        LOOP_UNTIL(world->cache->loop, world->file->n_sent > SIZE / 2);
        for (size_t i = 25; i < ARRAY_SIZE(requests); i++)
                start(world, &requests[i]);
        for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
                assert_good(world, &requests[i]);
        assert_int_equal(world->file->n_requests, 1);
        assert_int_equal(world->file->n_sent, SIZE);
}

static void test_a_file_in_one_small_piece(void **state) {
        struct world *world = *state;
        struct request request;
        uint8_t sha256[DIGEST_SIZE];

        digest_sha256(world->bytes, 1, sha256);
        world->file->size = 1;
        request_start(world->cache, &request, URL, 1, sha256);
        finish(world, &request);
        assert_int_equal(request.result, 0);
        assert_cached(world->cache, sha256, world->bytes, 1);
}

/* ---- resumption */

static void test_cut_in_mid_file(void **state) {
        struct world *world = *state;
        struct request request;
        struct artifacts_statistics statistics;

        world->file->cut_after[0] = 400000;
        world->file->cut_after[1] = 300001;
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->n_requests, 3);
        assert_int_equal(world->file->last_from, 700001);
        assert_string_equal(world->file->last_if_range, "\"v1\"");
        assert_int_equal(world->file->n_sent, SIZE);
        assert_string_equal(request.waited, "download-interrupted download-interrupted ");
        artifacts_statistics(world->cache->artifacts, &statistics);
        assert_int_equal(statistics.n_resumed, 2);
        assert_int_equal(statistics.used_bytes, SIZE);
}

static void cut_and_restart(struct world *world, struct request *request) {
        start(world, request);
        LOOP_UNTIL(world->cache->loop, world->file->n_sent > SIZE / 2);
        cache_close(world->cache);
        assert_true(request->done);
        assert_int_equal(request->result, -ECANCELED);
        assert_true(file_size(world->cache, world->sha256, ".part") > 0);
        cache_open(world->cache);
        assert_false(artifact_has(world->cache->artifacts, world->sha256));
}

static void test_only_the_rest_after_a_restart(void **state) {
        struct world *world = *state;
        struct request request;
        int64_t present;

        cut_and_restart(world, &request);
        present = file_size(world->cache, world->sha256, ".part");
        world->file->n_sent = 0;
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->last_from, present);
        assert_int_equal(world->file->n_sent, SIZE - present);
}

static void test_etag_changed_bytes_did_not(void **state) {
        struct world *world = *state;
        struct request request;

        cut_and_restart(world, &request);
        world->file->etag = "\"v2\"";
        world->file->n_sent = 0;
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->n_requests, 2);
        assert_int_equal(world->file->n_sent, SIZE); /* the server sent the whole: 200 */
}

static void test_etag_changed_and_the_server_ignores_if_range(void **state) {
        struct world *world = *state;
        struct request request;

        cut_and_restart(world, &request);
        world->file->etag = "\"v2\"";
        world->file->ignores_if_range = true;
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->n_requests, 3); /* the part is not taken, then from zero */
        assert_int_equal(world->file->last_from, 0);
}

static void test_weak_etag_or_none_starts_from_zero(void **state) {
        static const char *const etags[] = { "W/\"v1\"", NULL, "\"", "v1" };
        struct world *world = *state;

        for (size_t i = 0; i < ARRAY_SIZE(etags); i++) {
                struct request request;

                world->file->etag = etags[i];
                world->file->n_requests = 0;
                world->file->n_sent = 0;
                world->file->cut_after[0] = 300000;
                start(world, &request);
                assert_good(world, &request);
                assert_int_equal(world->file->n_requests, 2);
                assert_int_equal(world->file->last_from, 0);
                assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, NULL), 0);
        }
}

static void test_server_without_ranges(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->without_ranges = true;
        world->file->cut_after[0] = 300000;
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->last_from, 300000);
        assert_int_equal(world->file->n_sent, SIZE + 300000);
}

static void test_another_part_than_asked(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->wrong_range = true;
        world->file->cut_after[0] = 300000;
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->n_requests, 3);
        assert_int_equal(world->file->last_from, 0);
}

static void test_range_not_satisfiable(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->cut_after[0] = 300000;
        world->file->statuses[1] = 416;
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->n_requests, 3);
        assert_int_equal(world->file->last_from, 0);
}

/* A crash between the last byte and the rename. */
static void test_all_bytes_there_already(void **state) {
        struct world *world = *state;
        struct request request;

        cut_and_restart(world, &request);
        file_write(world->cache, world->sha256, ".part", world->bytes, SIZE);
        world->file->n_requests = 0;
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->n_requests, 0);
}

/* What a power cut may leave: the right size, other bytes; too many bytes. */
static void test_part_file_with_other_bytes(void **state) {
        struct world *world = *state;
        _cleanup_free_ uint8_t *zeros = calloc(1, SIZE + 5);
        static const size_t sizes[] = { SIZE / 2, SIZE, SIZE + 5 };

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                struct request request;

                world->file->n_sent = 0;
                cut_and_restart(world, &request);
                file_write(world->cache, world->sha256, ".part", zeros, sizes[i]);
                cache_reopen(world->cache);
                start(world, &request);
                assert_good(world, &request);
                assert_int_equal(world->file->last_from, 0);
                assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, NULL), 0);
        }
}

/* ---- wrong bytes */

static void test_wrong_digest_at_once_is_terminal(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->corrupt = true;
        start(world, &request);
        assert_failed(world, &request, "digest-mismatch");
        assert_int_equal(world->file->n_requests, 1);
        assert_int_equal(file_size(world->cache, world->sha256, ".part"), -1);
        world->file->corrupt = false;
        start(world, &request);
        assert_good(world, &request);
}

static void test_wrong_digest_after_resumption_once_from_zero(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->cut_after[0] = 300000;
        world->file->corrupt_parts = true;
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->n_requests, 3);
        assert_int_equal(world->file->last_from, 0);
}

static void test_wrong_digest_after_resumption_and_from_zero_is_terminal(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->cut_after[0] = 300000;
        world->file->corrupt = true;
        start(world, &request);
        assert_failed(world, &request, "digest-mismatch");
        assert_int_equal(world->file->n_requests, 3);
}

/* Also where the second try is cut again: no third beginning. */
static void test_no_third_beginning(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->cut_after[0] = 300000;
        world->file->cut_after[2] = 300000;
        world->file->corrupt = true;
        start(world, &request);
        assert_failed(world, &request, "digest-mismatch");
        assert_int_equal(world->file->n_requests, 4);
}

/* ---- sizes */

static void test_file_of_another_size(void **state) {
        struct world *world = *state;
        struct request request;

        request_start(world->cache, &request, URL, SIZE - 1, world->sha256);
        assert_failed(world, &request, "size-mismatch");
        request_start(world->cache, &request, URL, SIZE + 1, world->sha256);
        assert_failed(world, &request, "size-mismatch");
        assert_int_equal(world->file->n_sent, 0); /* said by the head */
        assert_int_equal(file_size(world->cache, world->sha256, ".part"), -1);
}

static void test_more_bytes_than_declared(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->without_length = true;
        request_start(world->cache, &request, URL, 200000, world->sha256);
        assert_failed(world, &request, "size-mismatch");
        assert_true(world->file->n_sent <= 200000);
}

static void test_fewer_bytes_than_declared(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->without_length = true;
        request_start(world->cache, &request, URL, SIZE + 10, world->sha256);
        LOOP_UNTIL(world->cache->loop, request.waiting.name[0]);
        assert_string_equal(request.waiting.name, "download-interrupted");
        artifact_fetch_cancel(request.fetch);
        finish(world, &request);
        assert_int_equal(request.result, -ECANCELED);
}

static void test_size_not_told(void **state) {
        struct world *world = *state;
        struct request request;

        request_start(world->cache, &request, URL, 0, world->sha256);
        assert_good(world, &request);
        assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, NULL), 0);
        world->file->without_length = true;
        request_start(world->cache, &request, URL, 0, world->sha256);
        assert_good(world, &request);
}

static void test_too_large(void **state) {
        struct world *world = *state;
        struct request request;

        cache_configure(world->cache, "[artifacts]\nreserve = 0\nmax_size = 500K\n");
        start(world, &request);
        assert_failed(world, &request, "artifact-too-large");
        assert_int_equal(world->file->n_requests, 0);
        request_start(world->cache, &request, URL, 0, world->sha256);
        assert_failed(world, &request, "artifact-too-large");
        world->file->without_length = true;
        request_start(world->cache, &request, URL, 0, world->sha256);
        assert_failed(world, &request, "artifact-too-large");
        assert_true(world->file->n_sent <= 512000);
}

/* ---- answers */

static const struct {
        int status;
        const char *name;
        bool terminal;
} answers[] = {
        { 404, "artifact-not-found", true }, { 410, "artifact-not-found", true }, { 401, "artifact-forbidden", true },
        { 403, "artifact-forbidden", true }, { 400, "artifact-refused", true },   { 416, "artifact-refused", true },
        { 451, "artifact-refused", true },   { 408, "server-busy", false },       { 425, "server-busy", false },
        { 429, "server-busy", false },       { 503, "server-busy", false },       { 500, "server-error", false },
        { 502, "server-error", false },      { 204, "protocol-error", false },    { 304, "protocol-error", false },
};

static void test_statuses(void **state) {
        struct world *world = *state;

        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                struct request request;

                world->file->n_requests = 0;
                world->file->statuses[0] = answers[i].status;
                start(world, &request);
                finish(world, &request);
                if (answers[i].terminal) {
                        assert_failed(world, &request, answers[i].name);
                        assert_int_equal(world->file->n_requests, 1);
                        continue;
                }
                assert_good(world, &request);
                assert_string_equal(strtok(request.waited, " "), answers[i].name);
                assert_int_equal(world->file->n_requests, 2);
                assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, NULL), 0);
        }
}

static void test_a_part_nobody_asked_for(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->statuses[0] = 206;
        start(world, &request);
        assert_good(world, &request);
        assert_int_equal(world->file->n_requests, 2);
}

static void test_retry_after(void **state) {
        struct world *world = *state;
        struct request request;
        int64_t start_ms = time_now_monotonic_ms();

        world->file->statuses[0] = 503;
        world->file->retry_after_ms = 400;
        start(world, &request);
        assert_good(world, &request);
        assert_true(time_now_monotonic_ms() - start_ms >= 400);
}

static void test_terminal_answer_leaves_nothing(void **state) {
        struct world *world = *state;
        struct artifacts_statistics statistics;
        struct request request;
        struct artifact_row row;

        world->file->statuses[0] = 404;
        start(world, &request);
        assert_failed(world, &request, "artifact-not-found");
        assert_int_equal(file_size(world->cache, world->sha256, ".part"), -1);
        assert_int_equal(artifact_table_fetch(world->cache->store, world->sha256, &row), -ENOENT);
        artifacts_statistics(world->cache->artifacts, &statistics);
        assert_int_equal(statistics.used_bytes, 0);
}

static void test_another_url_may_be_better(void **state) {
        struct world *world = *state;
        struct request first, second, third;

        http_script_files[1] = *world->file;
        http_script_files[1].url = OTHER_URL;
        world->file->statuses[0] = 404;
        start(world, &first);
        request_start(world->cache, &second, OTHER_URL, SIZE, world->sha256);
        start(world, &third);
        assert_good(world, &second);
        assert_true(first.done && third.done);
        assert_string_equal(first.error.name, "artifact-not-found");
        assert_string_equal(third.error.name, "artifact-not-found");
        assert_int_equal(world->file->n_requests, 1);
        assert_int_equal(http_script_files[1].n_requests, 1);
}

static void test_url_nobody_can_use(void **state) {
        struct world *world = *state;
        struct request request;

        request_start(world->cache, &request, "ftp://fw.example/x", SIZE, world->sha256);
        assert_failed(world, &request, "url-invalid");
}

/* ---- cancel */

static void test_cancel_at_every_moment(void **state) {
        struct world *world = *state;
        static const uint64_t moments[] = { 0, 1, 100000, 300000, 500000, SIZE };

        for (size_t i = 0; i < ARRAY_SIZE(moments); i++) {
                struct request request;

                world->file->n_sent = 0;
                start(world, &request);
                if (moments[i])
                        LOOP_UNTIL(world->cache->loop, world->file->n_sent >= moments[i]);
                assert_false(request.done);
                artifact_fetch_cancel(request.fetch);
                assert_false(request.done);
                while (loop_run_once(world->cache->loop))
                        ;
                assert_true(request.done);
                assert_int_equal(request.result, -ECANCELED);
                world->file->n_sent = 0;
                start(world, &request); /* goes on where the last one stopped, or has it all */
                assert_good(world, &request);
                assert_true(world->file->n_sent <= SIZE - moments[i] + 300000); /* what was in memory is lost */
                assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, NULL), 0);
        }
}

static void test_cancel_of_one_of_two(void **state) {
        struct world *world = *state;
        struct request first, second;

        start(world, &first);
        start(world, &second);
        LOOP_UNTIL(world->cache->loop, world->file->n_sent > 200000);
        artifact_fetch_cancel(first.fetch);
        assert_good(world, &second);
        assert_true(first.done);
        assert_int_equal(first.result, -ECANCELED);
        assert_int_equal(world->file->n_requests, 1);
}

static void test_cancel_ends_a_wait(void **state) {
        struct world *world = *state;
        struct request request;

        world->file->statuses[0] = 503;
        world->file->retry_after_ms = 50 * 60 * 1000;
        start(world, &request);
        LOOP_UNTIL(world->cache->loop, request.waiting.name[0]);
        artifact_fetch_cancel(request.fetch);
        finish(world, &request);
        assert_int_equal(request.result, -ECANCELED);
        while (loop_run_once(world->cache->loop)) /* no timer is left */
                ;
}

static void test_cancel_then_ask_again_at_once(void **state) {
        struct world *world = *state;
        struct request first, second;

        start(world, &first);
        LOOP_UNTIL(world->cache->loop, world->file->n_sent > 200000);
        artifact_fetch_cancel(first.fetch);
        start(world, &second);
        assert_good(world, &second);
        assert_true(first.done);
        assert_int_equal(first.result, -ECANCELED);
}

static void test_stop_with_many_in_flight(void **state) {
        struct world *world = *state;
        struct request requests[6];
        char urls[6][64];

        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                uint8_t sha256[DIGEST_SIZE] = { (uint8_t) i };

                snprintf(urls[i], sizeof urls[i], "https://fw.example/%zu", i);
                http_script_files[i] = (struct http_script_file){ .url = urls[i], .body = world->bytes, .size = SIZE, .hangs = i % 2 };
                request_start(world->cache, &requests[i], urls[i], SIZE, sha256);
        }
        LOOP_UNTIL(world->cache->loop, http_script_files[0].n_sent > 100000);
        cache_close(world->cache);
        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                assert_true(requests[i].done);
                assert_int_equal(requests[i].result, -ECANCELED);
        }
        cache_open(world->cache);
}

/* ---- order */

static void test_four_at_once(void **state) {
        struct world *world = *state;
        struct request requests[7];
        char urls[ARRAY_SIZE(requests)][64];

        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                uint8_t sha256[DIGEST_SIZE] = { (uint8_t) i };

                snprintf(urls[i], sizeof urls[i], "https://fw.example/%zu", i);
                http_script_files[i] = (struct http_script_file){ .url = urls[i], .body = world->bytes, .size = SIZE, .hangs = true };
                request_start(world->cache, &requests[i], urls[i], SIZE, sha256);
        }
        LOOP_UNTIL(world->cache->loop, http_script_running == ARTIFACT_DOWNLOADS_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
                assert_string_equal(requests[i].waited, i < ARTIFACT_DOWNLOADS_MAX ? "" : "concurrency ");
        for (size_t i = 0; i < ARTIFACT_DOWNLOADS_MAX; i++)
                artifact_fetch_cancel(requests[i].fetch);
        LOOP_UNTIL(world->cache->loop, http_script_running == ARRAY_SIZE(requests) - ARTIFACT_DOWNLOADS_MAX);
        for (size_t i = ARTIFACT_DOWNLOADS_MAX; i < ARRAY_SIZE(requests); i++)
                assert_string_equal(requests[i].waiting.name, "");
        assert_int_equal(http_script_most_running, ARTIFACT_DOWNLOADS_MAX);
        for (size_t i = ARTIFACT_DOWNLOADS_MAX; i < ARRAY_SIZE(requests); i++)
                artifact_fetch_cancel(requests[i].fetch);
        for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
                finish(world, &requests[i]);
}

static void test_one_after_the_other_with_a_rate_limit(void **state) {
        struct world *world = *state;
        struct request requests[3];
        char urls[3][64];

        cache_configure(world->cache, "[artifacts]\nreserve = 0\nrate_limit = 1M\n");
        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                uint8_t sha256[DIGEST_SIZE];

                digest_sha256(world->bytes + i, 100000, sha256);
                snprintf(urls[i], sizeof urls[i], "https://fw.example/%zu", i);
                http_script_files[i] = (struct http_script_file){ .url = urls[i], .body = world->bytes + i, .size = 100000 };
                request_start(world->cache, &requests[i], urls[i], 100000, sha256);
        }
        for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
                finish(world, &requests[i]);
        assert_int_equal(http_script_most_running, 1);
        assert_int_equal(http_script_files[0].last_rate, 1 << 20);
        assert_string_equal(requests[1].waited, "concurrency ");
}

/* ---- room */

static void test_disk_full_waits_and_goes_on(void **state) {
        struct world *world = *state;
        uint64_t free_bytes = SIZE - 1;
        struct request request, late;

        world->cache->options.free_bytes = cache_free_bytes;
        world->cache->options.ctx = &free_bytes;
        cache_reopen(world->cache);
        start(world, &request);
        LOOP_UNTIL(world->cache->loop, request.n_waiting == 1);
        assert_string_equal(request.waiting.name, "disk-full");
        start(world, &late); /* hears it, too */
        LOOP_UNTIL(world->cache->loop, late.n_waiting >= 1);
        assert_string_equal(late.waiting.name, "disk-full");
        assert_int_equal(world->file->n_requests, 0);
        free_bytes = SIZE;
        assert_good(world, &request);
        assert_string_equal(request.waiting.name, "");
        assert_true(late.done);
}

static void test_reserve_is_not_touched(void **state) {
        struct world *world = *state;
        uint64_t free_bytes = SIZE + (1 << 20) - 1;
        struct request request;

        world->cache->options.free_bytes = cache_free_bytes;
        world->cache->options.ctx = &free_bytes;
        cache_reopen(world->cache);
        cache_configure(world->cache, "[artifacts]\nreserve = 1M\n");
        start(world, &request);
        LOOP_UNTIL(world->cache->loop, request.n_waiting == 1);
        assert_string_equal(request.waiting.name, "disk-full");
        free_bytes++;
        assert_good(world, &request);
}

static void test_size_of_the_head_needs_room_too(void **state) {
        struct world *world = *state;
        uint64_t free_bytes = SIZE - 1;
        struct request request;

        world->cache->options.free_bytes = cache_free_bytes;
        world->cache->options.ctx = &free_bytes;
        cache_reopen(world->cache);
        request_start(world->cache, &request, URL, 0, world->sha256);
        LOOP_UNTIL(world->cache->loop, request.n_waiting == 1);
        assert_string_equal(request.waiting.name, "disk-full");
        assert_int_equal(world->file->n_sent, 0);
        free_bytes = SIZE;
        assert_good(world, &request);
}

static void fetch_small(struct world *world, struct request *request, unsigned n) {
        static char urls[HTTP_SCRIPT_FILES][64];
        uint8_t sha256[DIGEST_SIZE];

        digest_sha256(world->bytes + n, 300000, sha256);
        snprintf(urls[n], sizeof urls[n], "https://fw.example/%u", n);
        http_script_files[n] = (struct http_script_file){ .url = urls[n], .body = world->bytes + n, .size = 300000 };
        world->cache->clock.now_wall_ms += 1000;
        request_start(world->cache, request, urls[n], 300000, sha256);
}

static bool has_small(struct world *world, unsigned n) {
        uint8_t sha256[DIGEST_SIZE];

        digest_sha256(world->bytes + n, 300000, sha256);
        return artifact_has(world->cache->artifacts, sha256);
}

static void pin_small(struct world *world, unsigned n, bool pin) {
        uint8_t sha256[DIGEST_SIZE];

        digest_sha256(world->bytes + n, 300000, sha256);
        if (pin)
                assert_int_equal(artifact_pin(world->cache->artifacts, sha256), 0);
        else
                artifact_unpin(world->cache->artifacts, sha256);
}

static void use_small(struct world *world, unsigned n) {
        _cleanup_close_ int fd = -1;
        uint8_t sha256[DIGEST_SIZE];

        digest_sha256(world->bytes + n, 300000, sha256);
        world->cache->clock.now_wall_ms += 120000;
        assert_int_equal(artifact_open(world->cache->artifacts, sha256, &fd), 0);
}

/* Quota of 1 MiB: three files of 300,000 bytes fit. */
static void test_quota_takes_what_was_used_longest_ago(void **state) {
        struct world *world = *state;
        struct request request;

        cache_configure(world->cache, "[artifacts]\nreserve = 0\nquota = 1M\nmax_size = 1M\n");
        for (unsigned n = 1; n <= 3; n++) {
                fetch_small(world, &request, n);
                finish(world, &request);
        }
        use_small(world, 1);
        fetch_small(world, &request, 4);
        finish(world, &request);
        assert_int_equal(request.result, 0);
        assert_true(has_small(world, 1) && !has_small(world, 2) && has_small(world, 3) && has_small(world, 4));
        cache_reopen(world->cache);
        fetch_small(world, &request, 5);
        finish(world, &request);
        assert_true(has_small(world, 1) && !has_small(world, 3) && has_small(world, 4) && has_small(world, 5));
}

static void test_quota_never_takes_what_is_pinned(void **state) {
        struct world *world = *state;
        struct request request;

        cache_configure(world->cache, "[artifacts]\nreserve = 0\nquota = 1M\nmax_size = 1M\n");
        for (unsigned n = 1; n <= 3; n++) {
                pin_small(world, n, true); /* before it is there, too */
                fetch_small(world, &request, n);
                finish(world, &request);
        }
        fetch_small(world, &request, 4);
        LOOP_UNTIL(world->cache->loop, request.n_waiting == 1);
        assert_string_equal(request.waiting.name, "disk-full");
        assert_non_null(strstr(request.waiting.text, "quota"));
        pin_small(world, 3, false);
        finish(world, &request);
        assert_int_equal(request.result, 0);
        assert_true(has_small(world, 1) && has_small(world, 2) && !has_small(world, 3) && has_small(world, 4));
        pin_small(world, 1, false);
        pin_small(world, 2, false);
}

/* Nothing goes where it would not be enough. */
static void test_nothing_is_thrown_away_in_vain(void **state) {
        struct world *world = *state;
        struct request request;

        cache_configure(world->cache, "[artifacts]\nreserve = 0\nquota = 1M\nmax_size = 1M\n");
        for (unsigned n = 1; n <= 2; n++) {
                fetch_small(world, &request, n);
                finish(world, &request);
        }
        pin_small(world, 1, true);
        start(world, &request); /* 1,000,000 + 600,000: 2 alone would not make the room */
        LOOP_UNTIL(world->cache->loop, request.n_waiting == 1);
        assert_string_equal(request.waiting.name, "disk-full");
        assert_true(has_small(world, 1) && has_small(world, 2));
        pin_small(world, 1, false);
        finish(world, &request);
        assert_int_equal(request.result, 0);
}

/* A pin made in the callback holds although the next download needs the room. */
static void test_pin_in_the_callback(void **state) {
        struct world *world = *state;
        struct request first, second;
        uint8_t sha256[DIGEST_SIZE];

        cache_configure(world->cache, "[artifacts]\nreserve = 0\nquota = 1M\nmax_size = 1M\nrate_limit = 100M\n");
        digest_sha256(world->bytes + 1, 300000, sha256);
        fetch_small(world, &first, 1);
        first.pin = sha256;
        start(world, &second);
        LOOP_UNTIL(world->cache->loop, first.done && second.n_waiting > 0 && strstr(second.waited, "disk-full"));
        assert_true(has_small(world, 1));
        pin_small(world, 1, false);
        finish(world, &second);
        assert_int_equal(second.result, 0);
        assert_false(has_small(world, 1));
}

/* ---- clock, credentials, addresses */

static bool credible;

static bool clock_is_credible(void *ctx) {
        (void) ctx;
        return credible;
}

static void test_waits_for_the_clock(void **state) {
        struct world *world = *state;
        struct request request;

        credible = false;
        world->cache->options.clock_is_credible = clock_is_credible;
        cache_reopen(world->cache);
        start(world, &request);
        LOOP_UNTIL(world->cache->loop, request.n_waiting == 2);
        assert_string_equal(request.waited, "clock-not-credible clock-not-credible ");
        assert_int_equal(world->file->n_requests, 0);
        credible = true;
        assert_good(world, &request);
}

static void write_secret(struct cache *cache, const char *name, const char *text, mode_t mode, char ret_path[128]) {
        _cleanup_close_ int fd = -1;

        snprintf(ret_path, 128, "%s/%s", cache->directory, name);
        fd = open(ret_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(fchmod(fd, mode), 0);
}

static void configure_source(struct world *world, const char *password_file) {
        _cleanup_free_ char *text = NULL;

        assert_true(asprintf(&text,
                             "[artifacts]\nreserve = 0\n[source acme]\nprefix = https://fw.example/\nuser = pi\npassword_file = %s\n",
                             password_file) > 0);
        cache_configure(world->cache, text);
}

static void test_credentials_belong_to_a_prefix(void **state) {
        struct world *world = *state;
        struct request request;
        char path[128];

        write_secret(world->cache, "password", "secret\n", 0600, path);
        configure_source(world, path);
        http_script_files[1] = *world->file;
        http_script_files[1].url = OTHER_URL;
        start(world, &request);
        assert_good(world, &request);
        assert_string_equal(world->file->last_user, "pi");
        assert_string_equal(world->file->last_password, "secret");
        assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, NULL), 0);
        request_start(world->cache, &request, OTHER_URL, SIZE, world->sha256);
        assert_good(world, &request);
        assert_string_equal(http_script_files[1].last_user, "");
        assert_string_equal(http_script_files[1].last_password, "");
}

static void test_credentials_that_cannot_be_used(void **state) {
        struct world *world = *state;
        struct request request;
        char path[128];

        write_secret(world->cache, "password", "secret\n", 0644, path);
        configure_source(world, path);
        start(world, &request);
        assert_failed(world, &request, "credentials-unreadable");
        write_secret(world->cache, "password", "", 0600, path);
        start(world, &request);
        assert_failed(world, &request, "credentials-unreadable");
        assert_int_equal(unlink(path), 0);
        start(world, &request);
        assert_failed(world, &request, "credentials-unreadable");
        assert_int_equal(world->file->n_requests, 0);
}

static void test_addresses_as_configured(void **state) {
        static const struct {
                const char *text;
                bool allow_private;
                size_t n_allowed;
        } cases[] = {
                { "", false, 0 },
                { "allow_private = loopback, private\n", true, 9 },
                { "allow_private = loopback\n", false, 2 },
                { "allow_private = private, 127.0.0.9\n", false, 8 },
        };
        struct world *world = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_free_ char *text = NULL;
                struct request request;

                assert_true(asprintf(&text, "[artifacts]\nreserve = 0\n%s", cases[i].text) > 0);
                cache_configure(world->cache, text);
                start(world, &request);
                assert_good(world, &request);
                assert_int_equal(world->file->last_allow_private, cases[i].allow_private);
                assert_int_equal(world->file->last_n_allowed, cases[i].n_allowed);
                assert_int_equal(artifact_remove(world->cache->artifacts, world->sha256, NULL), 0);
        }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_fetch),
                TEST(test_already_there),
                TEST(test_no_url_and_not_there),
                TEST(test_one_download_for_many),
                TEST(test_a_file_in_one_small_piece),
                TEST(test_cut_in_mid_file),
                TEST(test_only_the_rest_after_a_restart),
                TEST(test_etag_changed_bytes_did_not),
                TEST(test_etag_changed_and_the_server_ignores_if_range),
                TEST(test_weak_etag_or_none_starts_from_zero),
                TEST(test_server_without_ranges),
                TEST(test_another_part_than_asked),
                TEST(test_range_not_satisfiable),
                TEST(test_all_bytes_there_already),
                TEST(test_part_file_with_other_bytes),
                TEST(test_wrong_digest_at_once_is_terminal),
                TEST(test_wrong_digest_after_resumption_once_from_zero),
                TEST(test_wrong_digest_after_resumption_and_from_zero_is_terminal),
                TEST(test_no_third_beginning),
                TEST(test_file_of_another_size),
                TEST(test_more_bytes_than_declared),
                TEST(test_fewer_bytes_than_declared),
                TEST(test_size_not_told),
                TEST(test_too_large),
                TEST(test_statuses),
                TEST(test_a_part_nobody_asked_for),
                TEST(test_retry_after),
                TEST(test_terminal_answer_leaves_nothing),
                TEST(test_another_url_may_be_better),
                TEST(test_url_nobody_can_use),
                TEST(test_cancel_at_every_moment),
                TEST(test_cancel_of_one_of_two),
                TEST(test_cancel_ends_a_wait),
                TEST(test_cancel_then_ask_again_at_once),
                TEST(test_stop_with_many_in_flight),
                TEST(test_four_at_once),
                TEST(test_one_after_the_other_with_a_rate_limit),
                TEST(test_disk_full_waits_and_goes_on),
                TEST(test_reserve_is_not_touched),
                TEST(test_size_of_the_head_needs_room_too),
                TEST(test_quota_takes_what_was_used_longest_ago),
                TEST(test_quota_never_takes_what_is_pinned),
                TEST(test_nothing_is_thrown_away_in_vain),
                TEST(test_pin_in_the_callback),
                TEST(test_waits_for_the_clock),
                TEST(test_credentials_belong_to_a_prefix),
                TEST(test_credentials_that_cannot_be_used),
                TEST(test_addresses_as_configured),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
