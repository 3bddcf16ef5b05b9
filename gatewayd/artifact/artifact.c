/* SPDX-License-Identifier: Apache-2.0 */
#include "artifact/artifact.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/artifact_internal.h"
#include "config/settings.h"

/* ---- what is known */

int64_t artifacts_wall_ms(const struct artifacts *artifacts) {
        return clock_wall_ms(artifacts->clock);
}

struct artifact *artifacts_find(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE]) {
        struct artifact *artifact;

        LIST_FOREACH(artifact, &artifacts->known, node)
        if (memcmp(artifact->row.sha256, sha256, DIGEST_SIZE) == 0)
                return artifact;
        return NULL;
}

struct artifact *artifacts_find_or_add(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE]) {
        struct artifact *artifact = artifacts_find(artifacts, sha256);

        if (artifact)
                return artifact;
        artifact = calloc(1, sizeof *artifact);
        if (!artifact)
                return NULL;
        memcpy(artifact->row.sha256, sha256, DIGEST_SIZE);
        artifact->row.created_ms = artifact->row.last_used_ms = artifacts_wall_ms(artifacts);
        list_append(&artifacts->known, &artifact->node);
        return artifact;
}

static void free_artifact(struct artifact *artifact) {
        list_remove(&artifact->node);
        artifact_row_clear(&artifact->row);
        free(artifact);
}

void artifact_forget_if_empty(struct artifact *artifact) {
        if (!artifact->stored && !artifact->download && artifact->n_pins == 0)
                free_artifact(artifact);
}

void artifact_save(struct artifacts *artifacts, struct artifact *artifact) {
        artifact->stored = true;
        (void) artifact_table_put(artifacts->store, &artifact->row);
}

void artifact_completed(struct artifacts *artifacts, struct artifact *artifact, uint64_t size) {
        artifact->row.size = artifact->row.received = (int64_t) size;
        artifact->row.complete = true;
        artifact->row.last_used_ms = artifacts_wall_ms(artifacts);
        artifact_save(artifacts, artifact);
}

/* On the loop: taking a name out of a folder does not wait for the disk. */
void artifact_drop_files(struct artifacts *artifacts, struct artifact *artifact) {
        char name[PART_FILE_NAME_SIZE];

        part_file_name(artifact->row.sha256, true, name);
        (void) unlinkat(artifacts->directory_fd, name, 0);
        part_file_name(artifact->row.sha256, false, name);
        (void) unlinkat(artifacts->directory_fd, name, 0);
        if (artifact->stored)
                (void) artifact_table_delete(artifacts->store, artifact->row.sha256);
        artifact->stored = false;
        artifact->row.complete = false;
        artifact->row.received = 0;
        free(TAKE_PTR(artifact->row.etag));
}

/* ---- life */

static int open_directory(struct artifacts *artifacts, struct gw_error *err) {
        int error;

        if (asprintf(&artifacts->directory, "%s/artifacts", artifacts->settings->gateway.state_dir) < 0) {
                artifacts->directory = NULL;
                return -ENOMEM;
        }
        if (mkdir(artifacts->directory, 0700) < 0 && errno != EEXIST)
                goto fail;
        artifacts->directory_fd = open(artifacts->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (artifacts->directory_fd >= 0)
                return 0;
fail:
        error = errno;
        gw_error_set(err, "state-dir-unusable", "%s: %s", artifacts->directory, strerror(error));
        return -error;
}

static int load(struct artifacts *artifacts, struct gw_error *err) {
        int r;

        r = open_directory(artifacts, err);
        if (r < 0)
                return r;
        r = artifacts_mend(artifacts);
        if (r < 0)
                gw_error_set(err, "state-dir-unusable", "%s: %s", artifacts->directory, strerror(-r));
        return r;
}

int artifacts_new(struct loop *loop, struct http *http, struct store *store, const struct artifacts_options *options,
                  struct artifacts **ret_artifacts, struct gw_error *err) {
        struct artifacts *artifacts;
        int r;

        artifacts = calloc(1, sizeof *artifacts);
        if (!artifacts)
                return -ENOMEM;
        artifacts->loop = loop;
        artifacts->http = http;
        artifacts->store = store;
        artifacts->options = *options;
        artifacts->settings = options->settings;
        artifacts->clock = options->clock ? options->clock : clock_real();
        artifacts->directory_fd = -1;
        list_init(&artifacts->known);
        list_init(&artifacts->downloads);
        list_init(&artifacts->imports);
        list_init(&artifacts->answers);
        r = load(artifacts, err);
        if (r < 0) {
                artifacts_free(artifacts);
                return r;
        }
        *ret_artifacts = artifacts;
        return 0;
}

void artifacts_free(struct artifacts *artifacts) {
        struct artifact *artifact, *spare;

        if (!artifacts)
                return;
        assert(list_is_empty(&artifacts->downloads) && list_is_empty(&artifacts->imports) && list_is_empty(&artifacts->answers));
        loop_defer_cancel(artifacts->stopped_deferral);
        loop_defer_cancel(artifacts->wake_deferral);
        LIST_FOREACH_SAFE(artifact, spare, &artifacts->known, node)
        free_artifact(artifact);
        if (artifacts->directory_fd >= 0)
                close(artifacts->directory_fd);
        free(artifacts->directory);
        free(artifacts);
}

static void tell_stopped(void *ctx) {
        struct artifacts *artifacts = ctx;

        artifacts->stopped_deferral = NULL;
        artifacts->stopped(artifacts->stopped_ctx);
}

void artifacts_check_stopped(struct artifacts *artifacts) {
        if (!artifacts->stopping || !artifacts->stopped || artifacts->stopped_deferral)
                return;
        if (!list_is_empty(&artifacts->downloads) || !list_is_empty(&artifacts->imports) || !list_is_empty(&artifacts->answers))
                return;
        (void) loop_defer(artifacts->loop, tell_stopped, artifacts, &artifacts->stopped_deferral);
}

void artifacts_stop(struct artifacts *artifacts, void (*stopped)(void *ctx), void *ctx) {
        assert(!artifacts->stopping);
        artifacts->stopping = true;
        artifacts->stopped = stopped;
        artifacts->stopped_ctx = ctx;
        fetch_cancel_all(artifacts);
        import_cancel_all(artifacts);
        artifacts_check_stopped(artifacts);
}

void artifacts_set_settings(struct artifacts *artifacts, const struct settings *settings) {
        artifacts->settings = settings;
}

/* ---- pins */

int artifact_pin(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE]) {
        struct artifact *artifact = artifacts_find_or_add(artifacts, sha256);

        if (!artifact)
                return -ENOMEM;
        artifact->n_pins++;
        return 0;
}

void artifact_unpin(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE]) {
        struct artifact *artifact = artifacts_find(artifacts, sha256);

        assert(artifact && artifact->n_pins > 0);
        artifact->n_pins--;
        artifact_forget_if_empty(artifact);
}

/* ---- use */

bool artifact_has(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE]) {
        struct artifact *artifact = artifacts_find(artifacts, sha256);

        return artifact && artifact->row.complete;
}

static void note_use(struct artifacts *artifacts, struct artifact *artifact) {
        int64_t now_ms = artifacts_wall_ms(artifacts);

        if (now_ms - artifact->row.last_used_ms < ARTIFACT_USED_MS && now_ms >= artifact->row.last_used_ms)
                return;
        artifact->row.last_used_ms = now_ms;
        (void) artifact_table_set_last_used(artifacts->store, artifact->row.sha256, now_ms);
}

int artifact_open(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE], int *ret_fd) {
        struct artifact *artifact = artifacts_find(artifacts, sha256);
        _cleanup_close_ int fd = -1;
        char name[PART_FILE_NAME_SIZE];
        struct stat status;

        if (!artifact || !artifact->row.complete)
                return -ENOENT;
        part_file_name(sha256, true, name);
        fd = openat(artifacts->directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 && errno != ENOENT)
                return -errno;
        if (fd < 0 || fstat(fd, &status) < 0 || status.st_size != artifact->row.size) {
                artifact_drop_files(artifacts, artifact); /* somebody took it or changed it: fetched or imported anew */
                artifact_forget_if_empty(artifact);
                return -ENOENT;
        }
        note_use(artifacts, artifact);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int artifact_set_format(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE], const char *format, const char *version) {
        struct artifact *artifact = artifacts_find(artifacts, sha256);
        _cleanup_free_ char *new_format = NULL, *new_version = NULL;

        if (!artifact || !artifact->row.complete)
                return -ENOENT;
        new_format = format ? strdup(format) : NULL;
        new_version = version ? strdup(version) : NULL;
        if ((format && !new_format) || (version && !new_version))
                return -ENOMEM;
        free(artifact->row.format);
        free(artifact->row.version);
        artifact->row.format = TAKE_PTR(new_format);
        artifact->row.version = TAKE_PTR(new_version);
        return artifact_table_set_format(artifacts->store, sha256, format, version);
}

/* ---- lists */

static int compare_use(const void *a, const void *b) {
        const struct artifact *const *left = a, *const *right = b;

        if ((*left)->row.last_used_ms != (*right)->row.last_used_ms)
                return (*left)->row.last_used_ms < (*right)->row.last_used_ms ? -1 : 1;
        return memcmp((*left)->row.sha256, (*right)->row.sha256, DIGEST_SIZE);
}

static void describe(const struct artifact *artifact, struct artifact_info *ret_info) {
        const struct artifact_row *row = &artifact->row;

        *ret_info = (struct artifact_info){
                .size = row->size == 0 && artifact->download ? artifact->download->size : (uint64_t) row->size,
                .received = artifact->download ? artifact->download->received : (uint64_t) row->received,
                .complete = row->complete,
                .fetching = artifact->download != NULL,
                .n_pins = artifact->n_pins,
                .url = row->url,
                .format = row->format,
                .version = row->version,
                .created_ms = row->created_ms,
                .last_used_ms = row->last_used_ms,
        };
        if (row->complete)
                ret_info->received = row->size;
        memcpy(ret_info->sha256, row->sha256, DIGEST_SIZE);
}

void artifact_each(struct artifacts *artifacts, void (*found)(void *ctx, const struct artifact_info *info), void *ctx) {
        size_t n = 0, n_known = list_count(&artifacts->known);
        _cleanup_free_ struct artifact **sorted = calloc(n_known + 1, sizeof *sorted);
        struct artifact *artifact;
        struct artifact_info info;

        if (!sorted)
                return;
        LIST_FOREACH(artifact, &artifacts->known, node)
        if (artifact->stored || artifact->download)
                sorted[n++] = artifact;
        qsort(sorted, n, sizeof *sorted, compare_use);
        for (size_t i = 0; i < n; i++) {
                describe(sorted[i], &info);
                found(ctx, &info);
        }
}

int artifact_remove(struct artifacts *artifacts, const uint8_t sha256[DIGEST_SIZE], struct gw_error *err) {
        struct artifact *artifact = artifacts_find(artifacts, sha256);

        if (!artifact || !artifact->stored) {
                gw_error_set(err, "artifact-unknown", "no artifact has this digest");
                return -ENOENT;
        }
        if (artifact->n_pins > 0 || artifact->download) {
                gw_error_set(err, "artifact-in-use", artifact->download ? "it is being fetched" : "a job needs it");
                return -EBUSY;
        }
        artifact_drop_files(artifacts, artifact);
        artifact_forget_if_empty(artifact);
        return 0;
}

void artifacts_statistics(const struct artifacts *artifacts, struct artifacts_statistics *ret_statistics) {
        const struct artifact *artifact;

        *ret_statistics = artifacts->statistics;
        ret_statistics->used_bytes = artifacts_used_bytes(artifacts);
        ret_statistics->n_files = 0;
        LIST_FOREACH(artifact, &artifacts->known, node)
        ret_statistics->n_files += artifact->row.complete;
}
