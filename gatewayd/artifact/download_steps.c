/* SPDX-License-Identifier: Apache-2.0 */

/* The way of a download; download_step() holds the sequence. The picture of its states stands in artifact_internal.h. */
#include <inttypes.h>
#include <string.h>

#include "artifact/artifact_internal.h"
#include "config/settings.h"

/* ---- worker */

static void work(void *ctx) {
        struct download *download = ctx;
        struct part_file *part = &download->part;

        switch (download->operation) {
        case DOWNLOAD_OPERATION_OPEN:
                download->operation_result = part_file_open(part, !download->scratch, download->size);
                break;
        case DOWNLOAD_OPERATION_RESET:
                download->operation_result = part_file_reset(part);
                break;
        case DOWNLOAD_OPERATION_WRITE:
                download->operation_result = part_file_write(part, download->writing, download->n_writing, download->sync);
                break;
        case DOWNLOAD_OPERATION_FINISH:
                download->operation_result = part_file_finish(part);
                break;
        }
}

static void work_done(void *ctx, int result) {
        struct download *download = ctx;

        download->working = false;
        if (result < 0)
                download->operation_result = result;
        download->received = download->part.received;
        download->allocated = download->part.allocated;
        download_step(download);
}

static void work_failed(void *ctx) {
        work_done(ctx, -ENOMEM);
}

static void operate(struct download *download, enum download_operation operation) {
        download->operation = operation;
        download->operation_result = 0;
        download->working = true;
        if (worker_start(download->artifacts->loop, work, work_done, download, NULL) < 0)
                (void) loop_defer(download->artifacts->loop, work_failed, download, NULL);
}

static void name_disk_error(struct download *download, int result) {
        if (result == -ENOSPC || result == -EDQUOT)
                gw_error_set(&download->error, "disk-full", "the file system is full");
        else if (result == -ENOMEM)
                gw_error_set(&download->error, "out-of-memory", "no memory for the download");
        else
                gw_error_set(&download->error, "disk-error", "%s: %s", download->artifacts->directory, strerror(-result));
}

/* ---- the transfer */

static int on_response(void *ctx, const struct http_response *response) {
        struct download *download = ctx;
        int r = download_judge(download, response);

        if (r >= 0 && download->reset_wanted)
                operate(download, DOWNLOAD_OPERATION_RESET); /* nothing else works yet: the answer only begins */
        return r;
}

/* The write in hand, if any, ends with a step, which lets a paused transfer go on. */
static int on_data(void *ctx, const uint8_t *data, size_t size) {
        struct download *download = ctx;
        uint64_t limit = download->size ? download->size : download->artifacts->settings->artifacts.max_size_bytes;

        if (download->reset_wanted || (download->working && download->n_filling + size > DOWNLOAD_BUFFER_SIZE)) {
                download->paused = true;
                return -EAGAIN;
        }
        if (download->received + download->n_writing + download->n_filling + size > limit) {
                gw_error_set(&download->error, download->size ? "size-mismatch" : "artifact-too-large", "more than %" PRIu64 " bytes came",
                             limit);
                return -EBADMSG;
        }
        if (download->n_filling + size > DOWNLOAD_BUFFER_SIZE) {
                gw_error_set(&download->error, "protocol-error", "%zu bytes in one piece", size);
                return -EMSGSIZE;
        }
        memcpy(download->filling + download->n_filling, data, size);
        download->n_filling += size;
        download->artifacts->statistics.received_bytes += size;
        if (download->n_filling >= DOWNLOAD_WRITE_SIZE)
                download_step(download);
        return 0;
}

static void on_done(void *ctx, int result, const struct gw_error *err) {
        struct download *download = ctx;

        download->transfer = NULL;
        download->canceling = false;
        if (result < 0 && !gw_error_is_set(&download->error)) {
                if (gw_error_is_set(err))
                        download->error = *err;
                else
                        gw_error_set(&download->error, "download-interrupted", "%s", strerror(-result));
        }
        download_step(download);
}

static const struct http_handler http_handler = { .response = on_response, .data = on_data, .done = on_done };

void download_cancel_transfer(struct download *download) {
        if (download->transfer && !download->canceling)
                http_cancel(download->transfer);
        download->canceling = download->transfer != NULL;
}

static int need_buffers(struct download *download) {
        if (!download->filling)
                download->filling = malloc(DOWNLOAD_BUFFER_SIZE);
        if (!download->writing)
                download->writing = malloc(DOWNLOAD_BUFFER_SIZE);
        return download->filling && download->writing ? 0 : -ENOMEM;
}

static void free_buffers(struct download *download) {
        free(TAKE_PTR(download->filling));
        free(TAKE_PTR(download->writing));
        download->n_filling = download->n_writing = 0;
}

static void start_transfer(struct download *download) {
        int r;

        download->state = DOWNLOAD_STATE_RUNNING;
        download->scratch = false;
        download->paused = download->reset_wanted = false;
        download->synced = download->received;
        download->artifacts->statistics.n_downloads++;
        r = need_buffers(download);
        if (r >= 0)
                r = download_request(download, &http_handler, &download->transfer, &download->error);
        if (r >= 0)
                return;
        if (!gw_error_is_set(&download->error))
                name_disk_error(download, r);
        free_buffers(download);
        download_failed(download);
}

/* ---- start */

static int check_room(struct download *download) {
        uint64_t max = download->artifacts->settings->artifacts.max_size_bytes;
        uint64_t present = download->scratch ? 0 : download->received;

        if (download->size > max) {
                gw_error_set(&download->error, "artifact-too-large", "%" PRIu64 " bytes; max_size allows %" PRIu64, download->size, max);
                return -EFBIG;
        }
        if (download->part.allocated)
                return 0;
        return artifacts_make_room(download->artifacts, download->artifact, download->size > present ? download->size - present : 0,
                                   &download->error);
}

static bool clock_is_credible(const struct artifacts *artifacts) {
        return !artifacts->options.clock_is_credible || artifacts->options.clock_is_credible(artifacts->options.ctx);
}

static void step_opened(struct download *download) {
        if (download->operation_result < 0) {
                name_disk_error(download, download->operation_result);
                download_failed(download);
        } else if (download->size > 0 && download->received == download->size) {
                download->resumed = true; /* of an earlier life, so it may be started from zero */
                download->state = DOWNLOAD_STATE_FINISHING;
                operate(download, DOWNLOAD_OPERATION_FINISH);
        } else if (download->received > 0 && !download->artifact->row.etag) {
                download->state = DOWNLOAD_STATE_RESETTING; /* without a strong validator nothing can be joined to it */
                operate(download, DOWNLOAD_OPERATION_RESET);
        } else {
                download->resumed = download->received > 0;
                start_transfer(download);
        }
}

static void step_start(struct download *download) {
        struct artifacts *artifacts = download->artifacts;
        int64_t clock_retry_ms = artifacts->options.clock_retry_ms;

        download->error = (struct gw_error){ 0 };
        download->operation_result = 0;
        download->from_zero = false;
        download->retry_after_ms = -1;
        if (download->artifact->row.complete) { /* imported meanwhile */
                download_succeed(download);
        } else if (!clock_is_credible(artifacts)) {
                gw_error_set(&download->error, "clock-not-credible", "the server's certificate cannot be judged before the clock is set");
                download_wait(download, clock_retry_ms > 0 ? clock_retry_ms : ARTIFACT_CLOCK_RETRY_MS);
        } else if (!download_has_slot(download)) {
                download->state = DOWNLOAD_STATE_QUEUED;
                gw_error_set(&download->error, "concurrency", "other downloads run");
                download_set_waiting(download, &download->error);
        } else if (check_room(download) < 0) {
                download_failed(download);
        } else {
                download_set_waiting(download, NULL);
                download->state = DOWNLOAD_STATE_OPENING;
                if (download->part.fd >= 0) /* still open from the last try */
                        step_opened(download);
                else
                        operate(download, DOWNLOAD_OPERATION_OPEN);
        }
}

static void step_reset(struct download *download) {
        if (download->operation_result < 0) {
                name_disk_error(download, download->operation_result);
                download_failed(download);
        } else {
                start_transfer(download);
        }
}

/* ---- running */

static void save_received(struct download *download) {
        struct artifact *artifact = download->artifact;

        artifact->row.received = (int64_t) download->received;
        if (artifact->stored && !artifact->row.complete)
                (void) artifact_table_set_received(download->artifacts->store, artifact->row.sha256, artifact->row.received);
}

/* All that came is written. */
static void end_transfer(struct download *download) {
        free_buffers(download);
        save_received(download);
        if (!gw_error_is_set(&download->error) && download->size > 0 && download->received < download->size)
                gw_error_set(&download->error, "download-interrupted", "%" PRIu64 " of %" PRIu64 " bytes came", download->received,
                             download->size);
        if (gw_error_is_set(&download->error)) {
                download_failed(download);
                return;
        }
        download->state = DOWNLOAD_STATE_FINISHING;
        operate(download, DOWNLOAD_OPERATION_FINISH);
}

static void start_write(struct download *download) {
        uint8_t *filled = download->filling;

        download->filling = download->writing;
        download->writing = filled;
        download->n_writing = download->n_filling;
        download->n_filling = 0;
        download->sync = download->received + download->n_writing - download->synced >= ARTIFACT_CHECKPOINT_BYTES;
        operate(download, DOWNLOAD_OPERATION_WRITE);
}

/* What the last operation did. */
static void take_result(struct download *download) {
        if (download->operation_result < 0) { /* the disk refused: nothing more is taken */
                name_disk_error(download, download->operation_result);
                download->operation_result = 0;
                download->n_filling = download->n_writing = 0;
                download->reset_wanted = download->paused = false;
                download_cancel_transfer(download);
        } else if (download->operation == DOWNLOAD_OPERATION_RESET) {
                download->reset_wanted = false;
        } else if (download->n_writing > 0) {
                download->n_writing = 0;
                download->n_failures = 0;
                download->progress_at_ms = loop_now_ms(download->artifacts->loop);
                if (download->sync) {
                        download->synced = download->received;
                        save_received(download);
                }
                download_tell_progress(download, false);
        }
}

static void step_running(struct download *download) {
        if (download->working)
                return;
        take_result(download);
        if (download->n_filling >= (download->transfer && !download->paused ? DOWNLOAD_WRITE_SIZE : 1))
                start_write(download);
        if (download->paused && download->transfer) {
                download->paused = false;
                http_resume(download->transfer);
        }
        if (!download->transfer && !download->working)
                end_transfer(download);
}

/* ---- end */

static void step_finished(struct download *download) {
        if (download->operation_result == -EBADMSG) {
                download_mismatched(download);
        } else if (download->operation_result < 0) {
                name_disk_error(download, download->operation_result);
                download_failed(download);
        } else {
                download_tell_progress(download, true);
                artifact_completed(download->artifacts, download->artifact, download->received);
                download_succeed(download);
        }
}

/* Nobody wants it any more: what runs comes to its end, the part stays for later. Or somebody came meanwhile: anew. */
static void step_stopping(struct download *download) {
        timer_cancel(TAKE_PTR(download->timer));
        download_cancel_transfer(download);
        if (download->transfer || download->working)
                return;
        if (download->state == DOWNLOAD_STATE_FINISHING && download->operation_result == 0)
                artifact_completed(download->artifacts, download->artifact, download->received);
        else
                save_received(download);
        free_buffers(download);
        part_file_close(&download->part);
        if (list_is_empty(&download->fetches)) {
                download_free(download);
                return;
        }
        download->stopping = false;
        download->state = DOWNLOAD_STATE_START;
        (void) download_take_order(download); /* without memory the old one is as good */
        download_step(download);
}

void download_step(struct download *download) {
        if (download->stopping) {
                step_stopping(download);
                return;
        }
        switch (download->state) {
        case DOWNLOAD_STATE_START:
                step_start(download);
                break;
        case DOWNLOAD_STATE_OPENING:
                if (!download->working)
                        step_opened(download);
                break;
        case DOWNLOAD_STATE_RESETTING:
                if (!download->working)
                        step_reset(download);
                break;
        case DOWNLOAD_STATE_RUNNING:
                step_running(download);
                break;
        case DOWNLOAD_STATE_FINISHING:
                if (!download->working)
                        step_finished(download);
                break;
        case DOWNLOAD_STATE_QUEUED:
        case DOWNLOAD_STATE_WAITING:
                break;
        }
}
