/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/upload_internal.h"

#include <stdlib.h>

#define FIRST_DATA_MIN 32 /* the server wants the whole image header in the first packet */
#define PROGRESS_INTERVAL_MS 250u
#define WIDEN_AFTER 8u       /* windows without a loss */
#define BLOCKED_MAX_MS 60000 /* a link that takes nothing for that long is dead */

/* ---- life: callbacks may free the upload */

void upload_callback_enter(struct smp_upload *upload) {
        upload->n_callbacks++;
}

void upload_callback_leave(struct smp_upload *upload) {
        upload->n_callbacks--;
        if (upload->released && upload->n_callbacks == 0)
                free(upload);
}

/* Nothing is under way any more, no callback comes. */
static void quiet(struct smp_upload *upload) {
        upload_chunks_forget(upload);
        smp_client_forget(upload->client, upload->check_id);
        upload->check_id = 0;
        upload->host->timer->cancel(upload->timer);
        upload->timer = NULL;
        smp_client_on_writable(upload->client, NULL, NULL);
}

void smp_upload_free(struct smp_upload *upload) {
        if (!upload)
                return;
        if (upload->phase != PHASE_DONE)
                quiet(upload);
        upload->phase = PHASE_DONE;
        if (upload->n_callbacks > 0)
                upload->released = true;
        else
                free(upload);
}

bool upload_is_over(const struct smp_upload *upload) {
        return upload->phase == PHASE_DONE || upload->phase == PHASE_ENDING;
}

/* ---- end */

void upload_progress(struct smp_upload *upload, bool at_end) {
        int64_t now = upload_now_ms(upload);
        uint32_t interval_ms = upload->options.progress_interval_ms > 0 ? upload->options.progress_interval_ms : PROGRESS_INTERVAL_MS;

        if (!upload->options.progress || (!at_end && now - upload->progress_ms < interval_ms))
                return;
        upload->progress_ms = now;
        upload->options.progress(upload->options.ctx, upload->confirmed, upload->options.size);
}

/* Only from callbacks of timer and client, never from inside start. */
void upload_finish(struct smp_upload *upload, int result) {
        struct smp_upload_report report;

        if (upload->phase == PHASE_DONE)
                return;
        quiet(upload);
        upload_progress(upload, true);
        if (upload->phase == PHASE_DONE)
                return; /* freed by the progress callback */
        upload->phase = PHASE_DONE;
        report = upload->report;
        report.confirmed = upload->confirmed;
        report.window = upload->window;
        report.message_size = (uint32_t) upload->budget;
        report.round_trip_ms = upload->rtt_8th_ms / 8;
        report.duration_ms = upload_now_ms(upload) - upload->started_ms;
        upload->done(upload->done_ctx, result, &report);
}

void upload_fail(struct smp_upload *upload, int result, const char *name, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        gw_error_vset(&upload->report.error, name, format, arguments);
        va_end(arguments);
        upload_finish(upload, result);
}

/* ---- time */

/* When to send the first packet again. With sha a second one does no harm: the device answers where it is. Without, it begins anew. */
static int64_t first_due_ms(const struct smp_upload *upload) {
        static const uint32_t schedule_ms[] = { 1000, 3000, 8000, 18000 };
        size_t n = upload->options.sha && upload->n_checks == 0 ? sizeof schedule_ms / sizeof schedule_ms[0] : 0;

        if (upload->blocked)
                return upload->first_ms + upload->first_limit_ms;
        if (upload->n_first == 0)
                return upload->hold_until_ms;
        return upload->first_ms + (upload->n_first <= n ? schedule_ms[upload->n_first - 1] : upload->first_limit_ms);
}

static int64_t stream_due_ms(const struct smp_upload *upload) {
        const struct chunk *oldest = upload_oldest(upload);
        int64_t since_ms;

        if (upload->hold_until_ms > upload_now_ms(upload))
                return upload->hold_until_ms;
        if (!oldest)
                return upload->blocked ? upload->heard_ms + BLOCKED_MAX_MS : INT64_MAX;
        since_ms = oldest->sent_ms > upload->heard_ms ? oldest->sent_ms : upload->heard_ms;
        if (upload->line_busy_ms > since_ms)
                since_ms = upload->line_busy_ms;
        return since_ms + upload_rto_ms(upload);
}

static void timer_fired(void *ctx);

/* An earlier timer is left running: it looks again when it fires, so a stream of answers costs no timer work. */
static void timer_set(struct smp_upload *upload) {
        int64_t due_ms = INT64_MAX, delay_ms;

        if (upload->phase == PHASE_ENDING)
                due_ms = 0;
        else if (upload->stopping)
                due_ms = upload->stop_by_ms; /* silence does not matter any more */
        else if (upload->phase == PHASE_FIRST)
                due_ms = first_due_ms(upload);
        else if (upload->phase == PHASE_STREAM)
                due_ms = stream_due_ms(upload);
        if (due_ms == INT64_MAX || upload->phase == PHASE_DONE || (upload->timer && upload->timer_due_ms <= due_ms))
                return;
        upload->host->timer->cancel(upload->timer);
        upload->timer = NULL;
        delay_ms = due_ms - upload_now_ms(upload);
        upload->timer_due_ms = due_ms;
        if (upload->host->timer->start(upload->host, delay_ms > 0 ? delay_ms : 0, timer_fired, upload, &upload->timer) < 0)
                upload->timer = NULL;
}

/* ---- the stream */

void upload_pump(struct smp_upload *upload) {
        size_t window = upload->probing ? 1 : upload->window;

        while (upload->phase == PHASE_STREAM && !upload->stopping && !upload->blocked && upload->next < upload->options.size &&
               upload_in_window(upload) < window && upload->hold_until_ms <= upload_now_ms(upload)) {
                uint64_t end;

                if (upload_chunk_send_or_fail(upload, upload->next, &end))
                        upload->next = end;
        }
        timer_set(upload);
}

static void silent(struct smp_upload *upload) {
        const struct chunk *oldest = upload_oldest(upload);
        bool last = oldest && oldest->end == upload->options.size;
        int64_t silent_ms = upload_now_ms(upload) - upload->heard_ms;
        int64_t limit_ms = last ? SMP_TIMEOUT_LAST_CHUNK_MS : SMP_CHUNK_SILENCES_MAX * SMP_TIMEOUT_MS;

        upload->n_silences++;
        if (upload->n_silences >= SMP_CHUNK_SILENCES_MAX && silent_ms >= limit_ms) {
                upload_fail(upload, -ETIMEDOUT, "smp-no-answer", "the device fell silent at %llu of %llu bytes",
                            (unsigned long long) upload->confirmed, (unsigned long long) upload->options.size);
                return;
        }
        for (size_t i = 0; i < upload->n_chunks; i++)
                upload->chunks[i].ghost = true;
        upload->generation++;
        upload->next = upload->confirmed;
        upload->probing = true;
}

static void first_due(struct smp_upload *upload) {
        bool pending = upload->n_first > 0 || upload->blocked;

        if (pending && upload_now_ms(upload) - upload->first_ms >= upload->first_limit_ms)
                upload_first_check(upload);
        else if (!upload->blocked)
                upload_first_send(upload);
}

/* The stream's timer: silence of the device, or of a link that takes nothing. */
static void stream_due(struct smp_upload *upload) {
        int64_t now = upload_now_ms(upload);

        if (!upload_oldest(upload))
                upload_fail(upload, -ETIMEDOUT, "link-lost", "the link takes no more bytes at %llu of %llu",
                            (unsigned long long) upload->confirmed, (unsigned long long) upload->options.size);
        else if (smp_client_queued_bytes(upload->client) > 0 && now - upload->heard_ms < BLOCKED_MAX_MS)
                upload->line_busy_ms = now;
        else
                silent(upload);
}

static void silence_look(struct smp_upload *upload) {
        int64_t now = upload_now_ms(upload);

        if (upload->phase == PHASE_FIRST && now >= first_due_ms(upload))
                first_due(upload);
        else if (upload->phase == PHASE_STREAM && upload->hold_until_ms <= now && now >= stream_due_ms(upload))
                stream_due(upload);
}

static void due(struct smp_upload *upload) {
        if (upload->phase == PHASE_ENDING)
                upload_finish(upload, upload->end_result);
        else if (upload->stopping && upload_now_ms(upload) >= upload->stop_by_ms)
                upload_finish(upload, -ECANCELED);
        else if (!upload->stopping)
                silence_look(upload);
        if (!upload_is_over(upload))
                upload_pump(upload);
}

static void timer_fired(void *ctx) {
        struct smp_upload *upload = ctx;

        upload->timer = NULL;
        upload_callback_enter(upload);
        due(upload);
        upload_callback_leave(upload);
}

static void writable(void *ctx) {
        struct smp_upload *upload = ctx;

        upload_callback_enter(upload);
        upload->blocked = false;
        if (upload->phase == PHASE_FIRST && upload->n_chunks == 0 && !upload->stopping)
                upload_first_send(upload);
        if (!upload_is_over(upload))
                upload_pump(upload);
        upload_callback_leave(upload);
}

/* ---- start, stop */

static int options_check(const struct smp_upload_options *options, struct gw_error *err) {
        struct smp_chunk_keys keys = {
                .first = true,
                .len = options->size,
                .sha_size = options->sha && !options->recovery ? 32 : 0,
                .image = options->image,
                .upgrade = options->upgrade,
        };

        if (options->size == 0 || options->size > UINT32_MAX || !options->read || options->limits.window == 0)
                return -EINVAL;
        if (options->limits.message_max > SMP_MESSAGE_MAX)
                return -EINVAL;
        if (smp_upload_chunk_size(options->limits.message_max, &keys) < (options->size < FIRST_DATA_MIN ? options->size : FIRST_DATA_MIN)) {
                gw_error_set(err, "smp-message-too-long", "the device takes messages of %zu bytes: too short for an upload",
                             options->limits.message_max);
                return -EMSGSIZE;
        }
        return 0;
}

static void options_take(struct smp_upload *upload, const struct smp_upload_options *options) {
        struct smp_limits *limits = &upload->options.limits;

        upload->options = *options;
        if (options->recovery) {
                upload->options.sha = NULL;
                upload->options.upgrade = false;
                limits->window = 1;
        }
        if (upload->options.sha) {
                memcpy(upload->sha, options->sha, sizeof upload->sha);
                upload->options.sha = upload->sha;
        }
        if (limits->window > SMP_WINDOW_MAX)
                limits->window = SMP_WINDOW_MAX;
        if (limits->message_fallback == 0 || limits->message_fallback > limits->message_max)
                limits->message_fallback = limits->message_max;
        upload->window = upload->window_max = limits->window;
        upload->widen_after = WIDEN_AFTER * limits->window;
        upload->budget = limits->message_max;
}

int smp_upload_start(struct smp_client *client, const struct smp_upload_options *options, smp_upload_done done, void *done_ctx,
                     struct smp_upload **ret_upload, struct gw_error *err) {
        struct smp_upload *upload;
        uint64_t end;
        bool reading;
        int r = options_check(options, err);

        if (r < 0)
                return r;
        upload = calloc(1, sizeof *upload + options->limits.message_max);
        if (!upload)
                return -ENOMEM;
        upload->client = client;
        upload->host = smp_client_host(client);
        upload->done = done;
        upload->done_ctx = done_ctx;
        upload->alignment = 1;
        upload->first_limit_ms = SMP_TIMEOUT_FIRST_CHUNK_MS;
        upload->rto_floor_ms = SMP_RTO_MINIMUM_MS;
        upload->frame_capacity = options->limits.message_max;
        upload->repeat_off = UINT64_MAX;
        options_take(upload, options);
        upload->started_ms = upload->first_ms = upload->heard_ms = upload->progress_ms = upload_now_ms(upload);
        r = upload_chunk_send(upload, 0, &end, &reading);
        if (r < 0 && r != -EAGAIN) {
                gw_error_set(err, reading ? "file-unreadable" : "link-lost", "the upload cannot begin: %s", strerror(-r));
                free(upload);
                return r;
        }
        upload->blocked = r == -EAGAIN;
        upload->n_first = r == 0 ? 1 : 0;
        smp_client_on_writable(client, writable, upload);
        timer_set(upload);
        *ret_upload = upload;
        return 0;
}

static void end_later(struct smp_upload *upload, int result) {
        upload->end_result = result;
        upload->phase = PHASE_ENDING;
        timer_set(upload);
}

void smp_upload_stop(struct smp_upload *upload) {
        if (upload_is_over(upload) || upload->stopping)
                return;
        upload->stopping = true;
        upload->stop_by_ms = upload_now_ms(upload) + SMP_STOP_GRACE_MS;
        if (upload->n_chunks == 0 || upload->phase == PHASE_CHECK)
                end_later(upload, -ECANCELED);
        else
                timer_set(upload);
}

uint64_t smp_upload_confirmed(const struct smp_upload *upload) {
        return upload->confirmed;
}
