/* SPDX-License-Identifier: Apache-2.0 */

/* A copy of a file that the caller has open: look at it (worker), make room (loop), copy (worker). */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/artifact_internal.h"
#include "config/settings.h"

struct artifact_import {
        struct list node; /* in artifacts.imports */
        struct artifacts *artifacts;
        void (*done)(void *ctx, int result, const uint8_t sha256[DIGEST_SIZE], uint64_t size, const struct gw_error *err);
        void *ctx;
        int fd;
        struct stat status;
        struct part_copy copy;
        bool copying;
        bool canceled;
        int result; /* of the work in hand */
        struct gw_error error;
};

static void finish(struct artifact_import *import, int result) {
        struct artifacts *artifacts = import->artifacts;
        struct artifact_import last = *import;

        list_remove(&import->node);
        if (import->copying)
                artifacts->importing_bytes -= import->copy.size;
        close(import->fd);
        free(import);
        last.done(last.ctx, result, last.copy.sha256, result < 0 ? 0 : last.copy.size, &last.error);
        artifacts_check_stopped(artifacts);
}

static void name_failure(struct artifact_import *import, int result) {
        const char *directory = import->artifacts->directory;

        if (result == -EREMOTEIO || result == -ENODATA)
                gw_error_set(&import->error, "file-unreadable", "the file %s",
                             result == -ENODATA ? "became shorter while it was read" : "cannot be read");
        else if (result == -ENOSPC || result == -EDQUOT)
                gw_error_set(&import->error, "disk-full", "the file system of %s is full", directory);
        else
                gw_error_set(&import->error, "disk-error", "%s: %s", directory, strerror(-result));
}

/* ---- copy */

static void copy_work(void *ctx) {
        struct artifact_import *import = ctx;

        import->result = part_copy_run(&import->copy);
}

static int keep(struct artifact_import *import) {
        struct artifact *artifact = artifacts_find_or_add(import->artifacts, import->copy.sha256);

        if (!artifact)
                return -ENOMEM; /* the file is there: the next start finds it */
        artifact_completed(import->artifacts, artifact, import->copy.size);
        if (artifact->download)
                download_satisfy(artifact->download);
        return 0;
}

static void copy_done(void *ctx, int result) {
        struct artifact_import *import = ctx;

        if (result >= 0)
                result = import->result;
        if (result >= 0)
                result = keep(import);
        if (import->canceled)
                result = -ECANCELED;
        else if (result < 0)
                name_failure(import, result);
        finish(import, result);
}

/* ---- look */

static void look_work(void *ctx) {
        struct artifact_import *import = ctx;

        import->result = fstat(import->fd, &import->status) < 0 ? -errno : 0;
}

static int judge(struct artifact_import *import) {
        uint64_t max = import->artifacts->settings->artifacts.max_size_bytes;
        const struct stat *status = &import->status;

        if (!S_ISREG(status->st_mode)) {
                gw_error_set(&import->error, "file-unreadable", "it is not a regular file");
                return -EINVAL;
        }
        if (status->st_size == 0) {
                gw_error_set(&import->error, "file-unreadable", "the file is empty");
                return -EINVAL;
        }
        if ((uint64_t) status->st_size > max) {
                gw_error_set(&import->error, "artifact-too-large", "%" PRIu64 " bytes; max_size allows %" PRIu64,
                             (uint64_t) status->st_size, max);
                return -EFBIG;
        }
        return artifacts_make_room(import->artifacts, NULL, (uint64_t) status->st_size, &import->error);
}

static void look_done(void *ctx, int result) {
        struct artifact_import *import = ctx;
        struct artifacts *artifacts = import->artifacts;

        if (result >= 0)
                result = import->result;
        if (import->canceled)
                result = -ECANCELED;
        else if (result < 0)
                name_failure(import, -EREMOTEIO);
        else
                result = judge(import);
        if (result < 0) {
                finish(import, result);
                return;
        }
        import->copy.directory_fd = artifacts->directory_fd;
        import->copy.source_fd = import->fd;
        import->copy.size = (uint64_t) import->status.st_size;
        import->copy.number = ++artifacts->n_imports;
        import->copying = true;
        artifacts->importing_bytes += import->copy.size;
        result = worker_start(artifacts->loop, copy_work, copy_done, import, NULL);
        if (result < 0) {
                name_failure(import, result);
                finish(import, result);
        }
}

int artifact_import(struct artifacts *artifacts, int fd,
                    void (*done)(void *ctx, int result, const uint8_t sha256[DIGEST_SIZE], uint64_t size, const struct gw_error *err),
                    void *ctx, struct artifact_import **ret_import) {
        struct artifact_import *import;
        int r;

        if (artifacts->stopping)
                return -ESHUTDOWN;
        import = calloc(1, sizeof *import);
        if (!import)
                return -ENOMEM;
        import->artifacts = artifacts;
        import->done = done;
        import->ctx = ctx;
        import->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        r = import->fd < 0 ? -errno : worker_start(artifacts->loop, look_work, look_done, import, NULL);
        if (r < 0) {
                if (import->fd >= 0)
                        close(import->fd);
                free(import);
                return r;
        }
        list_append(&artifacts->imports, &import->node);
        if (ret_import)
                *ret_import = import;
        return 0;
}

void artifact_import_cancel(struct artifact_import *import) {
        if (!import)
                return;
        import->canceled = true;
        atomic_store(&import->copy.canceled, true);
}

void import_cancel_all(struct artifacts *artifacts) {
        struct artifact_import *import;

        LIST_FOREACH(import, &artifacts->imports, node)
        artifact_import_cancel(import);
}
