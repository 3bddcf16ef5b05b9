/* SPDX-License-Identifier: Apache-2.0 */

/* Requests: each belongs to a download, or waits for the moment when its end is told. */
#include <string.h>

#include "artifact/artifact_internal.h"

static void free_fetch(struct artifact_fetch *fetch) {
        list_remove(&fetch->node);
        loop_defer_cancel(fetch->deferral);
        free(fetch->url);
        free(fetch);
}

void fetch_answer(struct artifact_fetch *fetch, int result, const struct gw_error *err) {
        const struct artifact_fetch_handler *handler = fetch->handler;
        struct artifacts *artifacts = fetch->artifacts;
        struct gw_error error = { 0 };
        void *ctx = fetch->ctx;

        if (err)
                error = *err;
        free_fetch(fetch);
        handler->done(ctx, result, &error);
        artifacts_check_stopped(artifacts);
}

static void answer_later(void *ctx) {
        struct artifact_fetch *fetch = ctx;
        struct gw_error error = fetch->error;

        fetch->deferral = NULL;
        fetch_answer(fetch, fetch->result, &error);
}

static int defer_answer(struct artifact_fetch *fetch, int result) {
        fetch->result = result;
        fetch->download = NULL;
        if (list_is_linked(&fetch->node))
                list_remove(&fetch->node);
        list_append(&fetch->artifacts->answers, &fetch->node);
        return fetch->deferral ? 0 : loop_defer(fetch->artifacts->loop, answer_later, fetch, &fetch->deferral);
}

static int start(struct artifact_fetch *fetch, const struct artifact_request *request) {
        struct artifacts *artifacts = fetch->artifacts;
        struct artifact *artifact = artifacts_find(artifacts, request->sha256);

        if (artifact && artifact->row.complete) {
                if (request->size == 0 || request->size == (uint64_t) artifact->row.size)
                        return defer_answer(fetch, 0);
                gw_error_set(&fetch->error, "size-mismatch", "the file with this digest has %lld bytes, %llu were ordered",
                             (long long) artifact->row.size, (unsigned long long) request->size);
                return defer_answer(fetch, -EBADMSG);
        }
        if (!fetch->url) {
                gw_error_set(&fetch->error, "artifact-unknown", "the file is not on this gateway and the order names no URL for it");
                return defer_answer(fetch, -ENOENT);
        }
        artifact = artifacts_find_or_add(artifacts, request->sha256);
        return artifact ? download_join(artifacts, artifact, fetch) : -ENOMEM;
}

int artifact_fetch(struct artifacts *artifacts, const struct artifact_request *request, const struct artifact_fetch_handler *handler,
                   void *ctx, struct artifact_fetch **ret_fetch) {
        struct artifact_fetch *fetch;
        int r;

        if (artifacts->stopping)
                return -ESHUTDOWN;
        if (request->url && strlen(request->url) > ARTIFACT_URL_MAX)
                return -EINVAL;
        fetch = calloc(1, sizeof *fetch);
        if (!fetch)
                return -ENOMEM;
        *fetch = (struct artifact_fetch){ .artifacts = artifacts, .handler = handler, .ctx = ctx, .size = request->size };
        list_init(&fetch->node);
        fetch->url = request->url ? strdup(request->url) : NULL;
        r = request->url && !fetch->url ? -ENOMEM : start(fetch, request);
        if (r < 0) {
                free_fetch(fetch);
                return r;
        }
        if (ret_fetch)
                *ret_fetch = fetch;
        return 0;
}

void artifact_fetch_cancel(struct artifact_fetch *fetch) {
        struct download *download;

        if (!fetch)
                return;
        download = fetch->download;
        fetch->error = (struct gw_error){ 0 };
        (void) defer_answer(fetch, -ECANCELED);
        if (download)
                download_leave(download);
}

void fetch_cancel_all(struct artifacts *artifacts) {
        struct download *download, *spare;
        struct artifact_fetch *fetch;

        LIST_FOREACH_SAFE(download, spare, &artifacts->downloads, node) {
                struct list fetches;

                /* Leaving may end the download at once: its requests are taken out first. */
                list_init(&fetches);
                for (struct list *node; (node = list_pop(&download->fetches));)
                        list_append(&fetches, node);
                while ((fetch = LIST_FIRST(&fetches, struct artifact_fetch, node)))
                        (void) defer_answer(fetch, -ECANCELED);
                download_leave(download);
        }
}
