/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For the tests of this folder: a state directory of its own with store and cache in it, settings from text, requests that remember
 * what they were told. Everything asserts.
 */

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "artifact/artifact.h"
#include "base/str.h"
#include "config/settings.h"
#include "loop/http.h"
#include "loop/test_support.h"
#include "store/artifact_table.h"
#include "store/store.h"
#include "trust/tls.h"

struct cache {
        char directory[64];
        struct loop *loop;
        struct tls *tls;
        struct http *http;
        struct store *store;
        struct settings *settings;
        struct artifacts *artifacts;
        struct clock_fake clock;
        struct artifacts_options options;
        bool stopped;
};

static inline struct settings *cache_settings(const struct cache *cache, const char *text) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_free_ char *whole = NULL;
        struct settings *settings;

        assert_true(asprintf(&whole, "[gateway]\nstate_dir = %s\n%s", cache->directory, text) > 0);
        assert_int_equal(settings_parse("test.conf", whole, strlen(whole), &errors, &settings), 0);
        if (config_errors_any(&errors))
                fail_msg("%s: %s", errors.items[0].where, errors.items[0].text);
        return settings;
}

/* Room enough, unless the test says otherwise. */
static inline int cache_free_bytes(void *ctx, const char *directory, uint64_t *ret_bytes) {
        (void) directory;
        *ret_bytes = *(uint64_t *) ctx;
        return 0;
}

static inline void cache_open(struct cache *cache) {
        char path[96];
        struct store_options options = { .path = path, .now_wall_ms = 1, .sha256 = digest_sha256 };

        snprintf(path, sizeof path, "%s/" STORE_FILE, cache->directory);
        assert_int_equal(store_open(cache->loop, &options, &cache->store, NULL), 0);
        cache->options.settings = cache->settings;
        cache->options.clock = &cache->clock.clock;
        assert_int_equal(artifacts_new(cache->loop, cache->http, cache->store, &cache->options, &cache->artifacts, NULL), 0);
}

static inline void cache_on_stopped(void *ctx) {
        ((struct cache *) ctx)->stopped = true;
}

static inline void cache_close(struct cache *cache) {
        if (!cache->artifacts)
                return;
        cache->stopped = false;
        artifacts_stop(cache->artifacts, cache_on_stopped, cache);
        LOOP_UNTIL(cache->loop, cache->stopped);
        artifacts_free(cache->artifacts);
        store_free(cache->store);
        cache->artifacts = NULL;
        cache->store = NULL;
}

static inline void cache_reopen(struct cache *cache) {
        cache_close(cache);
        cache_open(cache);
}

static inline void cache_configure(struct cache *cache, const char *text) {
        struct settings *settings = cache_settings(cache, text);

        artifacts_set_settings(cache->artifacts, settings);
        settings_free(cache->settings);
        cache->settings = settings;
        cache->options.settings = settings;
}

static inline int cache_setup(void **state) {
        struct cache *cache = calloc(1, sizeof *cache);

        assert_non_null(cache);
        snprintf(cache->directory, sizeof cache->directory, "/tmp/gatewayd-artifact.XXXXXX");
        assert_non_null(mkdtemp(cache->directory));
        clock_fake_init(&cache->clock, 0, INT64_C(1795219200000));
        cache->options.retry_first_ms = 20;
        cache->options.disk_retry_ms = 20;
        cache->options.clock_retry_ms = 20;
        cache->settings = cache_settings(cache, "[artifacts]\nreserve = 0\n");
        assert_int_equal(loop_new(&cache->loop), 0);
        assert_int_equal(tls_new(cache->loop, &cache->tls), 0);
        assert_int_equal(http_new(cache->loop, tls_http(), cache->tls, &cache->http), 0);
        cache_open(cache);
        *state = cache;
        return 0;
}

static inline int cache_remove_entry(const char *path, const struct stat *status, int flag, struct FTW *walk) {
        (void) status;
        (void) flag;
        (void) walk;
        return remove(path);
}

static inline int cache_teardown(void **state) {
        struct cache *cache = *state;

        cache_close(cache);
        http_free(cache->http);
        tls_free(cache->tls);
        loop_free(cache->loop);
        settings_free(cache->settings);
        assert_int_equal(nftw(cache->directory, cache_remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
        free(cache);
        return 0;
}

/* ---- files */

/* The same bytes for the same seed. */
static inline uint8_t *make_bytes(size_t size, unsigned seed) {
        uint8_t *bytes = malloc(size + 1);

        assert_non_null(bytes);
        for (size_t i = 0; i < size; i++)
                bytes[i] = (uint8_t) rand_r(&seed);
        return bytes;
}

static inline void file_path(const struct cache *cache, const uint8_t *sha256, const char *suffix, char ret_path[256]) {
        char hex[DIGEST_HEX_SIZE];

        assert_int_equal(str_hex_encode(hex, sizeof hex, sha256, DIGEST_SIZE), 0);
        snprintf(ret_path, 256, "%s/artifacts/%s%s", cache->directory, hex, suffix);
}

/* -1 = no such file. */
static inline int64_t file_size(const struct cache *cache, const uint8_t *sha256, const char *suffix) {
        struct stat status;
        char path[256];

        file_path(cache, sha256, suffix, path);
        return stat(path, &status) < 0 ? -1 : status.st_size;
}

static inline void file_write(const struct cache *cache, const uint8_t *sha256, const char *suffix, const void *data, size_t size) {
        _cleanup_close_ int fd = -1;
        char path[256];

        file_path(cache, sha256, suffix, path);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(write(fd, data, size), size);
}

static inline void assert_cached(struct cache *cache, const uint8_t *sha256, const uint8_t *bytes, size_t size) {
        _cleanup_free_ uint8_t *read_bytes = malloc(size + 1);
        _cleanup_close_ int fd = -1;
        struct artifact_row row;

        assert_true(artifact_has(cache->artifacts, sha256));
        assert_int_equal(artifact_open(cache->artifacts, sha256, &fd), 0);
        assert_int_equal(read(fd, read_bytes, size + 1), size);
        assert_memory_equal(read_bytes, bytes, size);
        assert_int_equal(file_size(cache, sha256, ".part"), -1);
        assert_int_equal(artifact_table_fetch(cache->store, sha256, &row), 0);
        assert_true(row.complete);
        assert_int_equal(row.size, size);
        artifact_row_clear(&row);
}

/* ---- requests */

struct request {
        struct artifact_fetch *fetch;
        bool done;
        int result;
        struct gw_error error;
        unsigned n_progress, n_waiting;
        uint64_t received;
        struct gw_error waiting; /* newest reason; empty = goes on */
        char waited[128];        /* names of all reasons */
        struct cache *cache;
        const uint8_t *pin; /* to be pinned when done */
};

static inline void request_progress(void *ctx, uint64_t received_bytes, uint64_t size_bytes) {
        struct request *request = ctx;

        assert_false(request->done);
        assert_true(size_bytes == 0 || received_bytes <= size_bytes);
        request->n_progress++;
        request->received = received_bytes;
}

static inline void request_waiting(void *ctx, const struct gw_error *why) {
        struct request *request = ctx;

        assert_false(request->done);
        request->n_waiting++;
        request->waiting = why ? *why : (struct gw_error){ 0 };
        if (why) {
                strncat(request->waited, why->name, sizeof request->waited - strlen(request->waited) - 1);
                strncat(request->waited, " ", sizeof request->waited - strlen(request->waited) - 1);
        }
}

static inline void request_done(void *ctx, int result, const struct gw_error *err) {
        struct request *request = ctx;

        assert_false(request->done);
        request->done = true;
        request->result = result;
        request->fetch = NULL;
        if (result < 0 && err)
                request->error = *err;
        if (result >= 0 && request->pin)
                assert_int_equal(artifact_pin(request->cache->artifacts, request->pin), 0);
}

static const struct artifact_fetch_handler request_handler = {
        .progress = request_progress,
        .waiting = request_waiting,
        .done = request_done,
};

static inline void request_start(struct cache *cache, struct request *request, const char *url, uint64_t size, const uint8_t *sha256) {
        struct artifact_request order = { .url = url, .size = size };

        *request = (struct request){ .cache = cache };
        memcpy(order.sha256, sha256, DIGEST_SIZE);
        assert_int_equal(artifact_fetch(cache->artifacts, &order, &request_handler, request, &request->fetch), 0);
        assert_false(request->done);
}
