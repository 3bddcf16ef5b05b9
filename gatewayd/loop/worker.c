/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/worker.h"

#include <errno.h>
#include <stdlib.h>

#include "loop/loop_internal.h"

struct work {
        uv_work_t uv;
        struct loop *loop;
        void (*work)(void *ctx);
        void (*done)(void *ctx, int result);
        void *ctx;
        bool canceled;
};

static void on_pool(uv_work_t *uv) {
        struct work *work = uv->data;

        work->work(work->ctx);
}

static void on_done(uv_work_t *uv, int status) {
        struct work *work = uv->data;
        void (*done)(void *ctx, int result) = work->done;
        void *ctx = work->ctx;
        int result = work->canceled || status == UV_ECANCELED ? -ECANCELED : status;

        work->loop->n_works--;
        free(work);
        done(ctx, result);
}

int worker_start(struct loop *loop, void (*function)(void *ctx), void (*done)(void *ctx, int result), void *ctx, struct work **ret_work) {
        struct work *work = malloc(sizeof *work);
        int r;

        if (!work)
                return -ENOMEM;
        *work = (struct work){ .loop = loop, .work = function, .done = done, .ctx = ctx };
        work->uv.data = work;
        r = uv_queue_work(&loop->uv, &work->uv, on_pool, on_done);
        if (r < 0) {
                free(work);
                return r;
        }
        loop->n_works++;
        if (ret_work)
                *ret_work = work;
        return 0;
}

void worker_cancel(struct work *work) {
        if (!work || work->canceled)
                return;
        work->canceled = true;
        uv_cancel((uv_req_t *) &work->uv);
}
