/* SPDX-License-Identifier: Apache-2.0 */
#include "example_run.h"

#include <fcntl.h>
#include <stdlib.h>

#include "example_task.h"

#define RETRY_MS 10000 /* how often a folder that is not there is looked for, and room on a disk that is full */

struct run {
        const struct gw_host *host;
        const struct gw_run_api *api;
        struct gw_run *handle;
        struct task *task; /* under way, or NULL */
        bool stop_asked, written_anew;
};

const char *folder_of(const struct gw_host *host, const struct gw_device *device) {
        const char *path = host->device->attribute(device, "path");

        return path ? path : host->device->address(device); /* a folder that a scan found has only its address */
}

static const struct gw_wanted *wanted(const struct run *run) {
        return &run->api->order(run->handle)->wanted[0];
}

static bool is_wanted(const struct run *run, const struct example_file *file) {
        return file->size > 0 && wanted(run)->hash_size == 32 && memcmp(wanted(run)->hash, file->sha256, 32) == 0;
}

static int begin(struct run *run, int (*act)(struct folder_work *), void (*then)(void *, struct task *, int)) {
        struct task *task = task_new(run->host, run, folder_of(run->host, run->api->device(run->handle)));

        if (!task)
                return -ENOMEM;
        task->act = act;
        task->then = then;
        return task_start(task, run->host, &run->task);
}

/* The one place that decides what a failure means for the job. */
static void end_failed(struct run *run, int r) {
        struct gw_error err;

        gw_error_set(&err, r == -ENOMEM ? "out-of-memory" : "disk-error", "%s", strerror(-r));
        if (r == -ENOENT || r == -ENOTDIR)
                run->api->wait(run->handle, "not-seen", GW_WAKE_TIMER | GW_WAKE_SEEN, RETRY_MS);
        else if (r == -ENOSPC)
                run->api->wait(run->handle, "disk-full", GW_WAKE_TIMER, RETRY_MS);
        else
                run->api->again(run->handle, &err);
}

/* ---- its steps; every `then` below begins by noting that the task is over */

static void next_if_done(void *owner, struct task *task, int r) {
        struct run *run = owner;

        (void) task;
        run->task = NULL;
        if (r < 0)
                end_failed(run, r);
        else
                run->api->next(run->handle);
}

static int connect_enter(void *ctx, struct gw_error *err) {
        (void) err;
        return begin(ctx, folder_look, next_if_done);
}

static void learn(struct run *run, const struct folder_work *work) {
        struct gw_image image = { .hash_size = 32, .flags = GW_IMAGE_ACTIVE | GW_IMAGE_CONFIRMED | GW_IMAGE_BOOTABLE };
        struct gw_facts facts = GW_FACTS_INIT;

        memcpy(image.hash, work->file.sha256, 32);
        snprintf(image.version, sizeof image.version, "%s", work->file.version);
        facts.address = work->folder;
        facts.version = image.version;
        facts.images = &image;
        facts.n_images = work->file.size > 0;
        run->api->learned(run->handle, &facts);
}

static void inspected(void *owner, struct task *task, int r) {
        struct run *run = owner;

        run->task = NULL;
        if (r < 0) {
                end_failed(run, r);
                return;
        }
        learn(run, &task->work);
        if (run->api->operation(run->handle) == GW_OPERATION_INSPECT)
                run->api->done(run->handle, GW_RESULT_REPORTED, GW_PROOF_NONE);
        else if (!is_wanted(run, &task->work.file))
                run->api->next(run->handle);
        else /* behind a crash it was this job that brought it there */
                run->api->done(run->handle, run->api->resume_step(run->handle) ? GW_RESULT_UPDATED : GW_RESULT_ALREADY,
                               GW_PROOF_HASH_ACTIVE_CONFIRMED);
}

static int inspect_enter(void *ctx, struct gw_error *err) {
        (void) err;
        return begin(ctx, folder_read, inspected);
}

/* The blob is the number of bytes that are safe on the disk, low byte first. */
static uint64_t written(const struct run *run) {
        size_t size;
        const uint8_t *blob = run->api->blob(run->handle, &size);
        uint64_t at = 0;

        for (size_t i = 0; size == 8 && i < 8; i++)
                at |= (uint64_t) blob[i] << 8 * i;
        return at;
}

static int set_written(struct run *run, uint64_t at) {
        uint8_t blob[8];

        for (size_t i = 0; i < 8; i++)
                blob[i] = (uint8_t) (at >> 8 * i);
        return run->api->blob_set(run->handle, blob, sizeof blob);
}

static void copied(void *owner, struct task *task, int r);

static int copy_next(struct run *run) {
        const struct gw_part *part = wanted(run)->part;
        struct task *task = task_new(run->host, run, folder_of(run->host, run->api->device(run->handle)));

        if (!task)
                return -ENOMEM;
        task->act = folder_copy;
        task->then = copied;
        task->work.at = written(run);
        task->work.offset = part->offset;
        task->work.size = part->size;
        task->work.fd = fcntl(part->fd, F_DUPFD_CLOEXEC, 3); /* the run may end while the thread reads */
        return task_start(task, run->host, &run->task);
}

static void copied(void *owner, struct task *task, int r) {
        struct run *run = owner;
        uint64_t size = wanted(run)->part->size;

        run->task = NULL;
        if (r == 0)
                r = set_written(run, task->work.at);
        if (r == 0) {
                run->api->checkpoint(run->handle); /* the host carries out at most one a minute */
                run->api->progress(run->handle, task->work.at, size);
                if (task->work.at == size)
                        run->api->next(run->handle);
                else if (run->stop_asked)
                        run->api->stopped(run->handle);
                else
                        r = copy_next(run);
        }
        if (r < 0)
                end_failed(run, r);
}

static int write_enter(void *ctx, struct gw_error *err) {
        struct run *run = ctx;

        if (run->api->order(run->handle)->n_wanted != 1 || !wanted(run)->part) {
                gw_error_set(err, "rollback-image-gone", "a folder keeps no older firmware, and the order brings none");
                return -ENOENT;
        }
        if (written(run) >= wanted(run)->part->size)
                run->api->next(run->handle);
        else
                return copy_next(run);
        return 0;
}

static void replace(void *ctx) {
        int r = begin(ctx, folder_rename, next_if_done);

        if (r < 0)
                end_failed(ctx, r);
}

/* What was written is not what was wanted: once more from the first byte, then it is a failed attempt. */
static void write_anew(struct run *run) {
        struct gw_error err;

        set_written(run, 0);
        gw_error_set(&err, "example-damaged", "firmware.new is not what was written into it");
        if (run->written_anew)
                run->api->again(run->handle, &err);
        else
                run->api->jump(run->handle, "write");
        run->written_anew = true;
}

static void checked(void *owner, struct task *task, int r) {
        struct run *run = owner;

        run->task = NULL;
        if (r == 0 && !is_wanted(run, &task->work.file))
                write_anew(run);
        else if (r == 0 && run->api->order(run->handle)->mode == GW_MODE_UPLOAD_ONLY)
                run->api->done(run->handle, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED);
        else if (r == 0)
                r = run->api->committed(run->handle, replace); /* from here on it ends succeeded or failed */
        if (r < 0)
                end_failed(run, r);
}

static int activate_enter(void *ctx, struct gw_error *err) {
        (void) err;
        return begin(ctx, folder_read_new, checked);
}

static void verified(void *owner, struct task *task, int r) {
        struct run *run = owner;
        struct gw_error err;

        run->task = NULL;
        if (r < 0) {
                end_failed(run, r);
                return;
        }
        learn(run, &task->work);
        gw_error_set(&err, "verify-failed", "another firmware lies in %.300s", task->work.folder);
        if (is_wanted(run, &task->work.file))
                run->api->done(run->handle, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED);
        else
                run->api->fail(run->handle, &err);
}

static int verify_enter(void *ctx, struct gw_error *err) {
        (void) err;
        return begin(ctx, folder_read, verified);
}

const struct gw_step update_steps[UPDATE_STEPS] = {
        { "connect", connect_enter, 10000, GW_STEP_PREPARE },
        { "inspect", inspect_enter, 60000, GW_STEP_PREPARE },
        { "write", write_enter, 600000, GW_STEP_RESUMABLE },
        { "activate", activate_enter, 60000, GW_STEP_RESUMABLE },
        { "verify", verify_enter, 60000, 0 },
};

const struct gw_step inspect_steps[INSPECT_STEPS] = { { "inspect", inspect_enter, 60000, 0 } };

int run_new(void *driver, struct gw_run *handle, void **ret_run, struct gw_error *err) {
        struct run *run = calloc(1, sizeof *run);

        if (!run) {
                gw_error_set(err, "out-of-memory", "no memory for a run");
                return -ENOMEM;
        }
        run->host = ((const struct driver *) driver)->host;
        run->api = run->host->run;
        run->handle = handle;
        *ret_run = run;
        return 0;
}

/* All tasks but the copy are so short that their own end is the answer. */
void run_stop(void *ctx, enum gw_stop_reason reason) {
        (void) reason;
        ((struct run *) ctx)->stop_asked = true;
}

void run_free(void *ctx) {
        struct run *run = ctx;

        task_forget(run->host, run->task);
        free(run);
}
