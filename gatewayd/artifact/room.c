/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Room: the quota of the cache and the reserve of the file system. What was used longest ago goes first; what is pinned or being
 * fetched never goes. Nothing is thrown away where that would not be enough anyway.
 */
#include <string.h>
#include <sys/statvfs.h>

#include "artifact/artifact_internal.h"
#include "base/str.h"
#include "config/settings.h"

static bool may_go(const struct artifact *artifact) {
        return artifact->stored && artifact->n_pins == 0 && !artifact->download;
}

/* What a known digest takes or was promised. */
static uint64_t taken_bytes(const struct artifact *artifact) {
        const struct download *download = artifact->download;

        if (artifact->row.complete)
                return (uint64_t) artifact->row.size;
        if (!download)
                return (uint64_t) artifact->row.received;
        if (download->state == DOWNLOAD_STATE_START || download->state == DOWNLOAD_STATE_QUEUED ||
            download->state == DOWNLOAD_STATE_WAITING)
                return download->received;
        return MAX(download->size, download->received);
}

uint64_t artifacts_used_bytes(const struct artifacts *artifacts) {
        const struct artifact *artifact;
        uint64_t used = artifacts->importing_bytes;

        LIST_FOREACH(artifact, &artifacts->known, node)
        used += taken_bytes(artifact);
        return used;
}

/* Promised to others, but not yet taken from the file system. */
static uint64_t promised_bytes(const struct artifacts *artifacts, const struct artifact *except) {
        const struct download *download;
        uint64_t promised = artifacts->importing_bytes;

        LIST_FOREACH(download, &artifacts->downloads, node) {
                bool running = download->state == DOWNLOAD_STATE_OPENING || download->state == DOWNLOAD_STATE_RUNNING;

                if (running && download->artifact != except && !download->allocated && download->size > download->received)
                        promised += download->size - download->received;
        }
        return promised;
}

static int free_bytes(const struct artifacts *artifacts, uint64_t *ret_bytes) {
        struct statvfs status;

        if (artifacts->options.free_bytes)
                return artifacts->options.free_bytes(artifacts->options.ctx, artifacts->directory, ret_bytes);
        if (fstatvfs(artifacts->directory_fd, &status) < 0)
                return -errno;
        *ret_bytes = (uint64_t) status.f_bavail * status.f_frsize;
        return 0;
}

static struct artifact *find_oldest(struct artifacts *artifacts) {
        struct artifact *artifact, *oldest = NULL;

        LIST_FOREACH(artifact, &artifacts->known, node)
        if (may_go(artifact) && (!oldest || artifact->row.last_used_ms < oldest->row.last_used_ms))
                oldest = artifact;
        return oldest;
}

static uint64_t evictable_bytes(const struct artifacts *artifacts) {
        const struct artifact *artifact;
        uint64_t bytes = 0;

        LIST_FOREACH(artifact, &artifacts->known, node)
        if (may_go(artifact))
                bytes += taken_bytes(artifact);
        return bytes;
}

static void evict(struct artifacts *artifacts, uint64_t bytes) {
        uint64_t gone = 0;

        while (gone < bytes) {
                struct artifact *oldest = find_oldest(artifacts);

                if (!oldest)
                        return;
                gone += taken_bytes(oldest);
                artifact_drop_files(artifacts, oldest);
                artifact_forget_if_empty(oldest);
                artifacts->statistics.n_evicted++;
        }
}

/* Bytes over the quota, if so many more came. */
static uint64_t over_quota(const struct artifacts *artifacts, uint64_t need_bytes) {
        uint64_t used = artifacts_used_bytes(artifacts), quota = artifacts->settings->artifacts.quota_bytes;

        return used + need_bytes > quota ? used + need_bytes - quota : 0;
}

int artifacts_make_room(struct artifacts *artifacts, const struct artifact *artifact, uint64_t need_bytes, struct gw_error *err) {
        uint64_t quota = over_quota(artifacts, need_bytes), free_now = 0, wanted, disk, evictable = evictable_bytes(artifacts);
        char needs[32], has[32];
        int r;

        r = free_bytes(artifacts, &free_now);
        if (r < 0) {
                gw_error_set(err, "disk-error", "%s: %s", artifacts->directory, strerror(-r));
                return r;
        }
        wanted = need_bytes + promised_bytes(artifacts, artifact) + artifacts->settings->artifacts.reserve_bytes;
        disk = wanted > free_now ? wanted - free_now : 0;
        if (MAX(quota, disk) <= evictable) {
                evict(artifacts, MAX(quota, disk));
                return 0;
        }
        (void) str_format_size(needs, sizeof needs, need_bytes);
        if (quota > evictable) {
                (void) str_format_size(has, sizeof has, artifacts->settings->artifacts.quota_bytes);
                gw_error_set(err, "disk-full", "%s more do not fit into the quota of %s: the rest is needed by live work", needs, has);
        } else {
                (void) str_format_size(has, sizeof has, free_now);
                gw_error_set(err, "disk-full", "%s more are needed, %s are free, of which the reserve is not touched", needs, has);
        }
        return -ENOSPC;
}
