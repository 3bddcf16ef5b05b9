/* SPDX-License-Identifier: Apache-2.0 */

/* Life and failures of a download; the picture of its states stands in artifact_internal.h. */
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "artifact/artifact_internal.h"
#include "base/error_catalogue.h"
#include "config/settings.h"

/* ---- waking: the only way in from calls of the cache */

static struct download *next_to_wake(struct artifacts *artifacts) {
        struct download *download;

        LIST_FOREACH(download, &artifacts->downloads, node) {
                if (list_is_empty(&download->fetches) && !download->stopping)
                        return download;
                if (download->joined && !download->stopping)
                        return download;
                if (download->state == DOWNLOAD_STATE_QUEUED && !download->stopping && download_has_slot(download))
                        return download;
        }
        return NULL;
}

/* Whoever is new hears why it waits; it begins in the next round, if it may. */
static void tell_joined(struct download *download) {
        download->joined = false;
        if (download->state == DOWNLOAD_STATE_QUEUED && !download_has_slot(download)) {
                gw_error_set(&download->error, "concurrency", "other downloads run");
                download_set_waiting(download, &download->error);
        } else if (gw_error_is_set(&download->waiting)) {
                download_set_waiting(download, &(struct gw_error){ 0 });
        }
}

/* Each round does away with what made it choose, and may free the download. */
static void on_wake(void *ctx) {
        struct artifacts *artifacts = ctx;
        struct download *download;

        artifacts->wake_deferral = NULL;
        while ((download = next_to_wake(artifacts))) {
                if (list_is_empty(&download->fetches)) {
                        download->stopping = true;
                        download_step(download);
                } else if (download->joined) {
                        tell_joined(download);
                } else {
                        download->state = DOWNLOAD_STATE_START;
                        download_step(download);
                }
        }
}

static int wake(struct artifacts *artifacts) {
        return artifacts->wake_deferral ? 0 : loop_defer(artifacts->loop, on_wake, artifacts, &artifacts->wake_deferral);
}

/* Waiting ends, a transfer too; what else is under way comes to its end by itself and then finds the file. */
void download_satisfy(struct download *download) {
        if (download->state == DOWNLOAD_STATE_RUNNING)
                download_cancel_transfer(download);
        if (download->state != DOWNLOAD_STATE_WAITING)
                return;
        timer_cancel(TAKE_PTR(download->timer));
        download->state = DOWNLOAD_STATE_QUEUED;
        (void) wake(download->artifacts);
}

void download_leave(struct download *download) {
        (void) wake(download->artifacts);
}

bool download_has_slot(const struct download *download) {
        const struct artifacts *artifacts = download->artifacts;
        const struct download *other;
        size_t n = 0;

        LIST_FOREACH(other, &artifacts->downloads, node)
        n += other != download && (other->transfer || other->working);
        /* A rate limit is meant for all together: one after the other. */
        return n < (artifacts->settings->artifacts.rate_limit_bytes ? 1 : ARTIFACT_DOWNLOADS_MAX);
}

/* ---- requests that hang on it */

/* Callbacks may cancel any request: each is put back before its own is called, none can be missed or met twice. */
static void take_all(struct download *download, struct list *ret_fetches) {
        list_init(ret_fetches);
        for (struct list *node; (node = list_pop(&download->fetches));)
                list_append(ret_fetches, node);
}

/* NULL: it goes on. An empty one: the reason that is known is told once more. */
void download_set_waiting(struct download *download, const struct gw_error *why) {
        struct list todo;

        if (!why && !gw_error_is_set(&download->waiting))
                return;
        if (!why || gw_error_is_set(why))
                download->waiting = why ? *why : (struct gw_error){ 0 };
        take_all(download, &todo);
        for (struct list *node; (node = list_pop(&todo));) {
                struct artifact_fetch *fetch = LIST_ENTRY(node, struct artifact_fetch, node);

                list_append(&download->fetches, node);
                if (fetch->handler->waiting)
                        fetch->handler->waiting(fetch->ctx, gw_error_is_set(&download->waiting) ? &download->waiting : NULL);
        }
}

void download_tell_progress(struct download *download, bool now) {
        int64_t now_ms = loop_now_ms(download->artifacts->loop);
        struct list todo;

        if (!now && now_ms - download->told_at_ms < DOWNLOAD_PROGRESS_MS)
                return;
        download->told_at_ms = now_ms;
        take_all(download, &todo);
        for (struct list *node; (node = list_pop(&todo));) {
                struct artifact_fetch *fetch = LIST_ENTRY(node, struct artifact_fetch, node);

                list_append(&download->fetches, node);
                if (fetch->handler->progress)
                        fetch->handler->progress(fetch->ctx, download->received, download->size);
        }
}

/* The order of the first request is the one that is carried out. */
int download_take_order(struct download *download) {
        struct artifact_fetch *first = LIST_FIRST(&download->fetches, struct artifact_fetch, node);
        char *url = strdup(first->url);

        if (!url)
                return -ENOMEM;
        free(download->url);
        download->url = url;
        download->size = download->ordered_size = first->size;
        download->n_failures = 0;
        download->progress_at_ms = loop_now_ms(download->artifacts->loop);
        return 0;
}

static int start(struct artifacts *artifacts, struct artifact *artifact, struct artifact_fetch *fetch) {
        struct download *download;
        int r;

        download = calloc(1, sizeof *download);
        if (!download)
                return -ENOMEM;
        *download = (struct download){
                .artifacts = artifacts,
                .artifact = artifact,
                .state = DOWNLOAD_STATE_QUEUED,
                .joined = true,
                .received = (uint64_t) artifact->row.received,
                .retry_after_ms = -1,
        };
        part_file_init(&download->part, artifacts->directory_fd, artifact->row.sha256);
        list_init(&download->fetches);
        list_append(&download->fetches, &fetch->node);
        r = download_take_order(download);
        if (r < 0) {
                list_remove(&fetch->node);
                free(download);
                return r;
        }
        artifact->download = download;
        fetch->download = download;
        list_append(&artifacts->downloads, &download->node);
        return 0;
}

int download_join(struct artifacts *artifacts, struct artifact *artifact, struct artifact_fetch *fetch) {
        int r;

        r = wake(artifacts);
        if (r >= 0 && !artifact->download)
                r = start(artifacts, artifact, fetch);
        if (r < 0) {
                artifact_forget_if_empty(artifact);
                return r;
        }
        if (fetch->download)
                return 0;
        fetch->download = artifact->download;
        list_append(&fetch->download->fetches, &fetch->node);
        fetch->download->joined = true;
        return 0;
}

/* ---- end */

/* A part that nobody can go on with does not stay. */
static void drop_useless_part(struct download *download) {
        struct artifact *artifact = download->artifact;
        char name[PART_FILE_NAME_SIZE];

        part_file_close(&download->part);
        if (artifact->stored && !artifact->row.complete)
                return;
        part_file_name(artifact->row.sha256, false, name);
        (void) unlinkat(download->artifacts->directory_fd, name, 0);
}

void download_free(struct download *download) {
        struct artifacts *artifacts = download->artifacts;
        struct artifact *artifact = download->artifact;

        timer_cancel(download->timer);
        drop_useless_part(download);
        list_remove(&download->node);
        artifact->download = NULL;
        artifact_forget_if_empty(artifact);
        free(download->filling);
        free(download->writing);
        free(download->url);
        free(download);
        (void) wake(artifacts); /* its slot */
        artifacts_check_stopped(artifacts);
}

static void let_go(struct list *fetches) {
        struct artifact_fetch *fetch;

        LIST_FOREACH(fetch, fetches, node)
        fetch->download = NULL;
}

void download_succeed(struct download *download) {
        struct artifact *artifact = download->artifact;
        uint64_t size = (uint64_t) artifact->row.size;
        struct artifact_fetch *fetch;
        struct list fetches;

        artifact->n_pins++; /* until all have been told, so that nothing they do pushes it out */
        take_all(download, &fetches);
        let_go(&fetches);
        download_free(download);
        while ((fetch = LIST_FIRST(&fetches, struct artifact_fetch, node))) {
                struct gw_error err = { 0 };

                if (fetch->size > 0 && fetch->size != size)
                        gw_error_set(&err, "size-mismatch", "the file with this digest has %" PRIu64 " bytes, %" PRIu64 " were ordered",
                                     size, fetch->size);
                fetch_answer(fetch, gw_error_is_set(&err) ? -EBADMSG : 0, &err);
        }
        artifact->n_pins--;
}

/* For those who gave this order; another URL may still be a better one. */
static void fail(struct download *download) {
        struct gw_error err = download->error;
        struct artifact_fetch *fetch, *spare;
        struct list failed, rest;

        list_init(&failed);
        LIST_FOREACH_SAFE(fetch, spare, &download->fetches, node) {
                if (strcmp(fetch->url, download->url) != 0 || fetch->size != download->ordered_size)
                        continue;
                list_remove(&fetch->node);
                list_append(&failed, &fetch->node);
        }
        let_go(&failed);
        if (!list_is_empty(&download->fetches) && download_take_order(download) >= 0) {
                download->state = DOWNLOAD_STATE_QUEUED;
                (void) wake(download->artifacts);
        } else {
                take_all(download, &rest); /* none, or no memory to go on for them */
                let_go(&rest);
                for (struct list *node; (node = list_pop(&rest));)
                        list_append(&failed, node);
                download_free(download);
        }
        while ((fetch = LIST_FIRST(&failed, struct artifact_fetch, node)))
                fetch_answer(fetch, -EREMOTEIO, &err);
}

/* ---- waiting and failures */

static void on_timer(void *ctx) {
        struct download *download = ctx;

        download->timer = NULL;
        download->state = DOWNLOAD_STATE_START;
        download_step(download);
}

void download_wait(struct download *download, int64_t delay_ms) {
        download->state = DOWNLOAD_STATE_WAITING;
        if (timer_start(download->artifacts->loop, delay_ms, on_timer, download, &download->timer) < 0) {
                fail(download);
                return;
        }
        download_set_waiting(download, &download->error);
}

static int64_t choose(int64_t configured, int64_t fallback) {
        return configured > 0 ? configured : fallback;
}

/* Exponential with full jitter: a fleet that lost the same server does not come back in step. */
static int64_t back_off_ms(const struct download *download) {
        int64_t limit = choose(download->artifacts->options.retry_first_ms, ARTIFACT_RETRY_FIRST_MS);
        uint32_t random = 0;

        for (unsigned i = 1; i < download->n_failures && limit < ARTIFACT_RETRY_MAX_MS; i++)
                limit *= 2;
        limit = MIN(limit, ARTIFACT_RETRY_MAX_MS);
        if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
                random = UINT32_MAX / 2;
        limit = 1 + limit * (int64_t) (random >> 1) / INT32_MAX;
        return MAX(limit, MIN(download->retry_after_ms, ARTIFACT_RETRY_AFTER_MAX_MS));
}

static void try_again(struct download *download) {
        int64_t now_ms = loop_now_ms(download->artifacts->loop);

        download->n_failures++;
        if (now_ms - download->progress_at_ms > ARTIFACT_RETRY_BUDGET_MS) {
                gw_error_prefix(&download->error, "no progress for %d h", ARTIFACT_RETRY_BUDGET_MS / 3600000);
                fail(download);
        } else {
                download_wait(download, back_off_ms(download));
        }
}

static void start_from_zero(struct download *download) {
        download->restarted = true;
        download->scratch = true;
        download->artifacts->statistics.n_restarted++;
        part_file_close(&download->part);
        free(TAKE_PTR(download->artifact->row.etag));
        download->state = DOWNLOAD_STATE_QUEUED;
        (void) wake(download->artifacts);
}

void download_failed(struct download *download) {
        const struct gw_error_info *info = error_catalogue_find(download->error.name);

        if (download->artifact->row.complete) { /* imported meanwhile */
                download_succeed(download);
                return;
        }
        if (download->from_zero && !download->restarted) {
                start_from_zero(download);
                return;
        }
        switch (info ? info->class_ : GW_ERROR_TERMINAL) {
        case GW_ERROR_RETRY:
                try_again(download);
                break;
        case GW_ERROR_WAIT:
                part_file_close(&download->part); /* gives back what was set aside for it */
                download_wait(download, choose(download->artifacts->options.disk_retry_ms, ARTIFACT_DISK_RETRY_MS));
                break;
        case GW_ERROR_TERMINAL:
                part_file_close(&download->part);
                fail(download);
                break;
        }
}

/* The wrong bytes may come from an answer that was joined to another: once all is fetched anew. */
void download_mismatched(struct download *download) {
        gw_error_set(&download->error, "digest-mismatch", "%" PRIu64 " bytes came, with another SHA-256 than was ordered",
                     download->received);
        if (download->artifact->row.complete) {
                download_succeed(download);
        } else if (download->resumed && !download->restarted) {
                start_from_zero(download);
        } else {
                part_file_close(&download->part);
                artifact_drop_files(download->artifacts, download->artifact);
                download->received = 0;
                fail(download);
        }
}
