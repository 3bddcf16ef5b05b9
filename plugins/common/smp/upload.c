/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/upload_packet.h"

#include <stdlib.h>

/*
 * Chunks under way stand in a table, in the order of sending. A device handles requests strictly in order, so an answer to one of them
 * settles all that were sent before it: they are confirmed by its `off`, or lost.
 *
 *     live    sent since the last going back; its answer is judged
 *     stale   sent before the last going back; only what its answer confirms counts, but it takes a place in the window
 *     ghost   given up by silence; takes no place. If it is answered after all, the silence was ours to have waited longer: the ghosts
 *             sent after it live again
 *
 * Going back starts a new generation; live = of this generation. So N answers with the same old `off` after one loss make one
 * going back, not N.
 *
 * The window is narrowed on rc 2 and stays so for this upload: the number of buffers is a constant of the device, and each
 * attempt to widen it again would cost a going back. Devices that drop what they have no buffer for say nothing: they lose one
 * chunk of nearly every window. Three losses so close together narrow the window, too; but it may as well have been a bad moment of the
 * link, so it is widened again after a while, after four times that while if that was wrong.
 */

#define PLACES (2 * SMP_WINDOW_MAX)
#define FIRST_DATA_MIN 32 /* the server wants the whole image header in the first packet */
#define PROGRESS_INTERVAL_MS 250u
#define RTO_FIRST_GUESS_MS 1000u /* before anything was measured */
#define RTO_SLACK_MS 20u         /* the clock's steps and the loop's own delays */
#define RTO_LAST_MS 500u         /* the device may be comparing the SHA-256 */
#define WRITE_BLOCK_MAX 64u      /* largest tail that a device drops because of its flash's write size */
#define HOLD_MS 100u             /* before the next try when the device has no buffer even for one request */
#define CHECK_TIMEOUT_MS 2500u
#define CLOSE_LOSSES 3u         /* each within a window of the one before: the window is too wide */
#define WIDEN_AFTER 8u          /* windows without a loss */
#define WIDEN_AFTER_MAX 100000u /* chunks */
#define BLOCKED_MAX_MS 60000    /* a link that takes nothing for that long is dead */

enum phase {
        PHASE_FIRST, /* the first packet is out, alone */
        PHASE_STREAM,
        PHASE_CHECK,  /* the first packet was never answered: does the device answer something short? */
        PHASE_ENDING, /* `done` is due */
        PHASE_DONE,
};

struct chunk {
        uint32_t id; /* of the request */
        uint32_t generation;
        uint64_t off, end;
        int64_t sent_ms;
        size_t budget;
        bool repeat; /* was sent before */
        bool ghost;
};

struct smp_upload {
        struct smp_client *client;
        const struct gw_host *host;
        struct smp_upload_options options;
        uint8_t sha[32];
        smp_upload_done done;
        void *done_ctx;

        enum phase phase;
        bool stopping;
        bool blocked;  /* the link is full */
        bool probing;  /* after a silence: one chunk until something is heard */
        bool released; /* freed from inside a callback */
        unsigned n_callbacks;

        uint64_t confirmed, next, sent_end;
        uint32_t generation;
        uint32_t window, window_max; /* what is used now, what the device's buffers allow */
        unsigned n_close_losses;     /* in a row */
        uint32_t n_taken;            /* chunks since the last loss */
        uint32_t widen_after;        /* so many */
        uint32_t alignment;          /* of chunk ends, 1 = none */
        size_t budget;               /* bytes of a message */

        struct chunk chunks[PLACES];
        size_t n_chunks;

        unsigned n_first;     /* sendings of the first packet */
        unsigned n_silences;  /* in a row */
        unsigned n_repeats;   /* goings back to repeat_off */
        unsigned n_backwards; /* times that the device forgot something */
        unsigned n_no_buffer;
        uint64_t repeat_off;
        int64_t first_ms, heard_ms, hold_until_ms, stop_by_ms, progress_ms;
        int64_t line_busy_ms; /* the link still had bytes to send then: no silence of the device */

        bool rtt_known;
        uint32_t rtt_8th_ms, rtt_var_4th_ms; /* scaled by 8 and 4, as in TCP */
        uint32_t rto_floor_ms;

        struct gw_timer *timer;
        int64_t timer_due_ms;
        uint32_t check_id;
        int end_result;
        int64_t started_ms;
        struct smp_upload_report report;

        size_t frame_capacity;
        uint8_t frame[];
};

static void pump(struct smp_upload *upload);
static void chunk_answered(void *ctx, const struct smp_answer *answer);

static int64_t now_ms(const struct smp_upload *upload) {
        return upload->host->timer->now_ms(upload->host);
}

/* ---- life: callbacks may free the upload */

static void callback_enter(struct smp_upload *upload) {
        upload->n_callbacks++;
}

static void callback_leave(struct smp_upload *upload) {
        upload->n_callbacks--;
        if (upload->released && upload->n_callbacks == 0)
                free(upload);
}

static void chunks_forget(struct smp_upload *upload) {
        for (size_t i = 0; i < upload->n_chunks; i++)
                smp_client_forget(upload->client, upload->chunks[i].id);
        upload->n_chunks = 0;
}

/* Nothing is under way any more, no callback comes. */
static void quiet(struct smp_upload *upload) {
        chunks_forget(upload);
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

static bool is_over(const struct smp_upload *upload) {
        return upload->phase == PHASE_DONE || upload->phase == PHASE_ENDING;
}

/* ---- end */

static void progress(struct smp_upload *upload, bool at_end) {
        int64_t now = now_ms(upload);
        uint32_t interval_ms = upload->options.progress_interval_ms > 0 ? upload->options.progress_interval_ms : PROGRESS_INTERVAL_MS;

        if (!upload->options.progress || (!at_end && now - upload->progress_ms < interval_ms))
                return;
        upload->progress_ms = now;
        upload->options.progress(upload->options.ctx, upload->confirmed, upload->options.size);
}

/* Only from callbacks of timer and client, never from inside start. */
static void finish(struct smp_upload *upload, int result) {
        struct smp_upload_report report;

        if (upload->phase == PHASE_DONE)
                return;
        quiet(upload);
        progress(upload, true);
        if (upload->phase == PHASE_DONE)
                return; /* freed by the progress callback */
        upload->phase = PHASE_DONE;
        report = upload->report;
        report.confirmed = upload->confirmed;
        report.window = upload->window;
        report.message_size = (uint32_t) upload->budget;
        report.round_trip_ms = upload->rtt_8th_ms / 8;
        report.duration_ms = now_ms(upload) - upload->started_ms;
        upload->done(upload->done_ctx, result, &report);
}

GW_PRINTF(4, 5) static void fail(struct smp_upload *upload, int result, const char *name, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        gw_error_vset(&upload->report.error, name, format, arguments);
        va_end(arguments);
        finish(upload, result);
}

static void fail_refused(struct smp_upload *upload, const struct smp_status *status) {
        char text[SMP_RSN_MAX + 96];

        upload->report.status = *status;
        smp_status_describe(status, text, sizeof text);
        if (smp_status_is_rc(status, SMP_RC_NO_MEMORY))
                fail(upload, -EREMOTEIO, "smp-out-of-memory", "image upload at %llu: %s", (unsigned long long) upload->confirmed, text);
        else if (smp_status_is_rc(status, SMP_RC_CORRUPT) || smp_status_is_rc(status, SMP_RC_TOO_LARGE))
                fail(upload, -EREMOTEIO, "smp-message-too-long", "messages of %zu bytes: %s", upload->budget, text);
        else
                fail(upload, -EREMOTEIO, "smp-refused", "image upload at %llu: the device refused with %s",
                     (unsigned long long) upload->confirmed, text);
}

/* ---- the table */

static size_t in_window(const struct smp_upload *upload) {
        size_t n = 0;

        for (size_t i = 0; i < upload->n_chunks; i++)
                n += !upload->chunks[i].ghost;
        return n;
}

static size_t chunk_index(const struct smp_upload *upload, uint32_t id) {
        for (size_t i = 0; i < upload->n_chunks; i++)
                if (upload->chunks[i].id == id)
                        return i;
        return SIZE_MAX;
}

/* Takes the first `n` out. Those whose answer did not come are forgotten. */
static void chunks_settle(struct smp_upload *upload, size_t n, uint32_t answered_id) {
        for (size_t i = 0; i < n; i++)
                if (upload->chunks[i].id != answered_id)
                        smp_client_forget(upload->client, upload->chunks[i].id);
        upload->n_chunks -= n;
        memmove(upload->chunks, upload->chunks + n, upload->n_chunks * sizeof upload->chunks[0]);
}

static bool is_live(const struct smp_upload *upload, const struct chunk *chunk) {
        return !chunk->ghost && chunk->generation == upload->generation;
}

static const struct chunk *oldest_in_window(const struct smp_upload *upload) {
        for (size_t i = 0; i < upload->n_chunks; i++)
                if (!upload->chunks[i].ghost)
                        return &upload->chunks[i];
        return NULL;
}

/* ---- sending */

static void keys_fill(const struct smp_upload *upload, uint64_t off, struct smp_chunk_keys *ret_keys) {
        bool first = off == 0;

        *ret_keys = (struct smp_chunk_keys){
                .off = off,
                .first = first,
                .len = upload->options.size,
                .sha_size = first && upload->options.sha ? sizeof upload->sha : 0,
                .image = upload->options.image,
                .upgrade = first && upload->options.upgrade,
        };
}

static size_t data_size(const struct smp_upload *upload, const struct smp_chunk_keys *keys) {
        uint64_t left = upload->options.size - keys->off;
        size_t size = smp_upload_chunk_size(upload->budget, keys);
        size_t tail;

        if (size >= left)
                return (size_t) left;
        /* Devices that drop what does not fill a block of their flash. */
        tail = (size_t) ((keys->off + size) % upload->alignment);
        return size > tail ? size - tail : size;
}

static int frame_send(struct smp_upload *upload, size_t payload_size, uint32_t *ret_id) {
        const struct smp_request request = {
                .group = SMP_GROUP_IMAGE,
                .command = SMP_IMAGE_UPLOAD,
                .op = SMP_OP_WRITE,
                .frame = upload->frame,
                .payload_size = payload_size,
                .timeout_ms = UINT32_MAX,
                .unkept = true,
                .done = chunk_answered,
                .ctx = upload,
        };

        return smp_client_request(upload->client, &request, ret_id);
}

static void chunk_add(struct smp_upload *upload, uint32_t id, uint64_t off, size_t size) {
        struct chunk *chunk = &upload->chunks[upload->n_chunks++];

        *chunk = (struct chunk){
                .id = id,
                .generation = upload->generation,
                .off = off,
                .end = off + size,
                .sent_ms = now_ms(upload),
                .budget = upload->budget,
                .repeat = off < upload->sent_end,
        };
        upload->report.chunks++;
        upload->report.repeats += chunk->repeat;
        if (chunk->end > upload->sent_end)
                upload->sent_end = chunk->end;
}

/* The chunk at `off`. 0, -EAGAIN, or what cannot be mended (`ret_read`: the reading failed, not the sending). */
static int chunk_send(struct smp_upload *upload, uint64_t off, uint64_t *ret_end, bool *ret_read) {
        struct upload_packet packet = { .sha = upload->sha };
        size_t payload_size;
        uint8_t *data;
        uint32_t id;
        int r;

        *ret_read = false;
        keys_fill(upload, off, &packet.keys);
        packet.data_size = data_size(upload, &packet.keys);
        data = upload_packet_write(&packet, upload->frame + SMP_HEADER_SIZE, upload->frame_capacity - SMP_HEADER_SIZE, &payload_size);
        if (!data || packet.data_size == 0)
                return -EMSGSIZE;
        r = upload->options.read(upload->options.ctx, off, data, packet.data_size);
        if (r < 0) {
                *ret_read = true;
                return r;
        }
        if (upload->n_chunks == PLACES)
                chunks_settle(upload, 1, 0);
        r = frame_send(upload, payload_size, &id);
        if (r < 0)
                return r;
        chunk_add(upload, id, off, packet.data_size);
        *ret_end = off + packet.data_size;
        return 0;
}

/* True when sent. A full link waits for room; other failures end the upload. */
static bool chunk_send_or_fail(struct smp_upload *upload, uint64_t off, uint64_t *ret_end) {
        bool reading;
        int r = chunk_send(upload, off, ret_end, &reading);

        if (r == 0)
                return true;
        if (r == -EAGAIN && !reading)
                upload->blocked = true;
        else if (reading)
                fail(upload, r, "file-unreadable", "the image cannot be read at %llu: %s", (unsigned long long) off, strerror(-r));
        else if (r == -EMSGSIZE)
                fail(upload, r, "smp-message-too-long", "messages of %zu bytes are too small or too large for an upload", upload->budget);
        else
                fail(upload, r, "link-lost", "image upload at %llu: %s", (unsigned long long) off, strerror(-r));
        return false;
}

/* ---- time */

static uint32_t clamp(uint64_t value, uint32_t minimum, uint32_t maximum) {
        return value < minimum ? minimum : value > maximum ? maximum : (uint32_t) value;
}

static uint32_t rto_ms(const struct smp_upload *upload) {
        unsigned doublings = upload->n_silences < 6 ? upload->n_silences : 6;
        const struct chunk *oldest = oldest_in_window(upload);
        uint64_t rto = RTO_FIRST_GUESS_MS;
        uint32_t minimum = upload->rto_floor_ms;

        if (upload->rtt_known)
                rto = upload->rtt_8th_ms / 8 + (upload->rtt_var_4th_ms > RTO_SLACK_MS ? upload->rtt_var_4th_ms : RTO_SLACK_MS);
        if (oldest && oldest->end == upload->options.size && minimum < RTO_LAST_MS)
                minimum = RTO_LAST_MS;
        return clamp((uint64_t) clamp(rto, minimum, SMP_TIMEOUT_MS) << doublings, minimum, SMP_TIMEOUT_MS);
}

static void rtt_sample(struct smp_upload *upload, uint32_t sample_ms) {
        uint32_t rtt_ms = upload->rtt_8th_ms / 8;
        uint32_t error_ms = sample_ms > rtt_ms ? sample_ms - rtt_ms : rtt_ms - sample_ms;

        if (!upload->rtt_known) {
                upload->rtt_known = true;
                upload->rtt_8th_ms = sample_ms * 8;
                upload->rtt_var_4th_ms = sample_ms * 2;
                return;
        }
        upload->rtt_var_4th_ms += error_ms - upload->rtt_var_4th_ms / 4;
        upload->rtt_8th_ms += sample_ms - rtt_ms;
}

/* When to send the first packet again. With sha a second one does no harm: the device answers where it is. Without, it begins anew. */
static int64_t first_due_ms(const struct smp_upload *upload) {
        static const uint32_t with_sha_ms[] = { 3000, 8000, 18000 };
        static const uint32_t without_ms[] = { 20000 };
        const uint32_t *schedule = upload->options.sha ? with_sha_ms : without_ms;
        size_t n = upload->options.sha ? 3 : 1;

        if (upload->blocked)
                return upload->first_ms + SMP_TIMEOUT_FIRST_CHUNK_MS;
        if (upload->n_first == 0)
                return upload->hold_until_ms;
        return upload->first_ms + (upload->n_first <= n ? schedule[upload->n_first - 1] : SMP_TIMEOUT_FIRST_CHUNK_MS);
}

static int64_t stream_due_ms(const struct smp_upload *upload) {
        const struct chunk *oldest = oldest_in_window(upload);
        int64_t since_ms;

        if (upload->hold_until_ms > now_ms(upload))
                return upload->hold_until_ms;
        if (!oldest)
                return upload->blocked ? upload->heard_ms + BLOCKED_MAX_MS : INT64_MAX;
        since_ms = oldest->sent_ms > upload->heard_ms ? oldest->sent_ms : upload->heard_ms;
        if (upload->line_busy_ms > since_ms)
                since_ms = upload->line_busy_ms;
        return since_ms + rto_ms(upload);
}

static void timer_fired(void *ctx);

/* An earlier timer is left running: it looks again when it fires, so a stream of answers costs no timer work. */
static void timer_set(struct smp_upload *upload) {
        int64_t due_ms = INT64_MAX, delay_ms;

        if (upload->phase == PHASE_FIRST)
                due_ms = first_due_ms(upload);
        else if (upload->phase == PHASE_STREAM)
                due_ms = stream_due_ms(upload);
        else if (upload->phase == PHASE_ENDING)
                due_ms = 0;
        if (upload->stopping && upload->stop_by_ms < due_ms)
                due_ms = upload->stop_by_ms;
        if (due_ms == INT64_MAX || upload->phase == PHASE_DONE || (upload->timer && upload->timer_due_ms <= due_ms))
                return;
        upload->host->timer->cancel(upload->timer);
        upload->timer = NULL;
        delay_ms = due_ms - now_ms(upload);
        upload->timer_due_ms = due_ms;
        if (upload->host->timer->start(upload->host, delay_ms > 0 ? delay_ms : 0, timer_fired, upload, &upload->timer) < 0)
                upload->timer = NULL;
}

/* ---- the first packet */

static void first_send(struct smp_upload *upload) {
        uint64_t end;

        if (upload->n_first == 0)
                upload->first_ms = now_ms(upload);
        /* From the third on as small as it goes: silence may mean that long messages do not arrive. */
        if (upload->n_first >= (upload->options.sha ? 2u : 1u))
                upload->budget = upload->options.limits.message_fallback;
        if (chunk_send_or_fail(upload, 0, &end))
                upload->n_first++;
}

static void first_again(struct smp_upload *upload) {
        upload->phase = PHASE_FIRST;
        upload->generation++;
        upload->confirmed = upload->next = upload->sent_end = 0;
        upload->n_first = 0;
        upload->n_silences = 0;
        upload->probing = false;
        chunks_forget(upload);
        first_send(upload);
}

static void restart(struct smp_upload *upload) {
        if (++upload->n_backwards > SMP_RESTARTS_MAX) {
                fail(upload, -ESTALE, "smp-upload-stalled", "the device asked for the upload from its start %u times", upload->n_backwards);
                return;
        }
        upload->budget = upload->options.limits.message_max;
        first_again(upload);
}

static void check_answered(void *ctx, const struct smp_answer *answer) {
        struct smp_upload *upload = ctx;

        upload->check_id = 0;
        callback_enter(upload);
        if (answer->result == 0 || answer->result == -EREMOTEIO)
                fail(upload, -ETIMEDOUT, "smp-no-reassembly", "short requests are answered, an upload packet of %zu bytes is not",
                     upload->options.limits.message_max);
        else if (answer->result == -ENOTCONN)
                fail(upload, -ENOTCONN, "link-lost", "the link closed before the first upload packet was answered");
        else
                fail(upload, -ETIMEDOUT, "smp-no-answer", "no answer to the first upload packet for %u s",
                     SMP_TIMEOUT_FIRST_CHUNK_MS / 1000);
        callback_leave(upload);
}

static void first_given_up(struct smp_upload *upload) {
        uint8_t frame[SMP_HEADER_SIZE + 1] = { [SMP_HEADER_SIZE] = 0xa0 };
        const struct smp_request request = {
                .group = SMP_GROUP_OS,
                .command = SMP_OS_PARAMS,
                .op = SMP_OP_READ,
                .frame = frame,
                .payload_size = 1,
                .timeout_ms = CHECK_TIMEOUT_MS,
                .resends = 1,
                .done = check_answered,
                .ctx = upload,
        };

        chunks_forget(upload);
        upload->phase = PHASE_CHECK;
        if (smp_client_request(upload->client, &request, &upload->check_id) < 0)
                fail(upload, -ETIMEDOUT, "smp-no-answer", "no answer to the first upload packet");
}

/* ---- answers */

static void alignment_learn(struct smp_upload *upload, uint64_t dropped) {
        uint32_t alignment = upload->alignment < 4 ? 4 : upload->alignment;

        if (dropped >= WRITE_BLOCK_MAX)
                return;
        while (alignment <= dropped)
                alignment *= 2;
        upload->alignment = alignment;
}

/* Sends again from `off`. False when that was too often. */
static bool go_back(struct smp_upload *upload, uint64_t off) {
        upload->n_repeats = off == upload->repeat_off ? upload->n_repeats + 1 : 1;
        upload->repeat_off = off;
        upload->generation++;
        upload->next = off;
        if (upload->n_repeats <= SMP_CHUNK_REPEATS_MAX)
                return true;
        fail(upload, -ESTALE, "smp-upload-stalled", "the device answers, but did not take the chunk at %llu in %u tries",
             (unsigned long long) off, upload->n_repeats);
        return false;
}

static void complete(struct smp_upload *upload, const struct chunk *chunk, const struct cbor_map *map) {
        bool match = true;

        upload->confirmed = upload->options.size;
        if (cbor_map_get_bool(map, NULL, "match", &match) == 0)
                upload->report.matched = match;
        if (!match) {
                fail(upload, -EBADMSG, "smp-upload-mismatch", "what the device stored has another SHA-256 than the file");
                return;
        }
        upload->report.already = chunk->off == 0 && chunk->end < upload->options.size;
        finish(upload, 0);
}

static void first_answered(struct smp_upload *upload, const struct chunk *chunk, uint64_t off) {
        if (off == 0) {
                restart(upload);
                return;
        }
        if (off < chunk->end)
                alignment_learn(upload, chunk->end - off);
        upload->phase = PHASE_STREAM;
        upload->generation++; /* other sendings of the first packet are stale */
        upload->confirmed = upload->next = upload->sent_end = off;
        upload->report.resumed_at = off > chunk->end ? off : 0;
        upload->budget = chunk->budget;
}

/* Undoes a silence: what was sent before it is on its way after all. */
static void silence_undo(struct smp_upload *upload, const struct chunk *answered) {
        int64_t waited_ms = now_ms(upload) - answered->sent_ms;

        upload->rto_floor_ms = clamp((uint64_t) waited_ms * 3 / 2, upload->rto_floor_ms, SMP_TIMEOUT_MS);
        upload->generation++;
        for (size_t i = 0; i < upload->n_chunks; i++) {
                struct chunk *chunk = &upload->chunks[i];

                if (chunk->generation != answered->generation)
                        continue;
                chunk->generation = upload->generation;
                chunk->ghost = false;
                if (chunk->end > upload->next)
                        upload->next = chunk->end;
        }
}

static void window_after_loss(struct smp_upload *upload) {
        upload->n_close_losses = upload->n_taken < upload->window ? upload->n_close_losses + 1 : 0;
        upload->n_taken = 0;
        if (upload->n_close_losses < CLOSE_LOSSES || upload->window == 1)
                return;
        upload->window -= upload->window > 4 ? upload->window / 4 : 1;
        upload->n_close_losses = 0;
        if (upload->widen_after < WIDEN_AFTER_MAX)
                upload->widen_after *= 4;
}

static void window_after_success(struct smp_upload *upload) {
        if (++upload->n_taken < upload->widen_after || upload->window >= upload->window_max)
                return;
        upload->window++;
        upload->n_taken = 0;
        upload->n_close_losses = CLOSE_LOSSES - 1; /* one more at once, and it is taken back */
}

/* A live chunk was not taken as a whole. */
static void chunk_not_taken(struct smp_upload *upload, const struct chunk *chunk, uint64_t off) {
        if (off == 0) {
                /* An upload that is finished answers like one that was never begun. */
                if (upload->sent_end == upload->options.size && chunk->repeat) {
                        upload->report.unproven = true;
                        finish(upload, 0);
                } else {
                        restart(upload);
                }
                return;
        }
        if (off < upload->confirmed && ++upload->n_backwards > SMP_RESTARTS_MAX) {
                fail(upload, -ESTALE, "smp-upload-stalled", "the device forgot what it had confirmed %u times", upload->n_backwards);
                return;
        }
        upload->confirmed = off;
        if (off > chunk->off)
                alignment_learn(upload, chunk->end - off);
        else
                window_after_loss(upload);
        go_back(upload, off);
}

static void stream_answered(struct smp_upload *upload, const struct chunk *chunk, uint64_t off) {
        bool live = is_live(upload, chunk);

        if (live)
                rtt_sample(upload, (uint32_t) (now_ms(upload) - chunk->sent_ms));
        if (off > upload->sent_end) {
                if (live)
                        fail(upload, -EPROTO, "smp-upload-offset", "the device asks for offset %llu, but only %llu was sent",
                             (unsigned long long) off, (unsigned long long) upload->sent_end);
                return;
        }
        if (off > upload->confirmed)
                upload->confirmed = off;
        if (chunk->ghost && off >= chunk->end)
                silence_undo(upload, chunk);
        else if (live && off < chunk->end)
                chunk_not_taken(upload, chunk, off);
        else if (live)
                window_after_success(upload);
        if (upload->next < upload->confirmed)
                upload->next = upload->confirmed;
}

static void accepted(struct smp_upload *upload, const struct chunk *chunk, const struct smp_answer *answer) {
        uint64_t off;

        if (cbor_map_get_uint(answer->map, NULL, "off", UINT64_MAX, &off) < 0) {
                fail(upload, -EPROTO, "smp-bad-answer", "the answer to an upload packet has no offset");
                return;
        }
        if (off == upload->options.size)
                complete(upload, chunk, answer->map);
        else if (off > upload->options.size)
                fail(upload, -EPROTO, "smp-upload-offset", "the device asks for offset %llu of %llu", (unsigned long long) off,
                     (unsigned long long) upload->options.size);
        else if (upload->phase == PHASE_FIRST)
                first_answered(upload, chunk, off);
        else
                stream_answered(upload, chunk, off);
}

/* rc 2: fewer requests at once; if it was the only one, later, and at last shorter. */
static void no_buffer(struct smp_upload *upload, const struct chunk *chunk, const struct smp_status *status, size_t n_others) {
        if (!is_live(upload, chunk))
                return;
        if (n_others > 0 && upload->window > 1) {
                upload->window -= upload->window > 4 ? upload->window / 4 : 1;
                upload->window_max = upload->window;
                go_back(upload, upload->confirmed);
                return;
        }
        if (++upload->n_no_buffer > SMP_CHUNK_SILENCES_MAX) {
                fail_refused(upload, status);
                return;
        }
        upload->hold_until_ms = now_ms(upload) + (HOLD_MS << upload->n_no_buffer);
        if (upload->n_no_buffer > 2)
                upload->budget = upload->options.limits.message_fallback;
        if (upload->phase == PHASE_STREAM)
                go_back(upload, upload->confirmed);
        else
                upload->n_first = 0; /* the timer sends it */
}

static void too_long(struct smp_upload *upload, const struct chunk *chunk, const struct smp_status *status) {
        if (!is_live(upload, chunk))
                return;
        if (chunk->budget <= upload->options.limits.message_fallback) {
                fail_refused(upload, status);
                return;
        }
        upload->budget = upload->options.limits.message_fallback;
        if (upload->phase == PHASE_FIRST)
                first_again(upload);
        else
                go_back(upload, upload->confirmed);
}

static void refused(struct smp_upload *upload, const struct chunk *chunk, const struct smp_status *status, size_t n_others) {
        bool version = smp_status_is_rc(status, SMP_RC_VERSION_TOO_NEW) || smp_status_is_rc(status, SMP_RC_VERSION_TOO_OLD);

        if (smp_status_is_rc(status, SMP_RC_NO_MEMORY))
                no_buffer(upload, chunk, status, n_others);
        else if (smp_status_is_rc(status, SMP_RC_CORRUPT) || smp_status_is_rc(status, SMP_RC_TOO_LARGE))
                too_long(upload, chunk, status);
        else if (version && ++upload->n_backwards <= SMP_RESTARTS_MAX)
                first_again(upload); /* the client has changed the version */
        else
                fail_refused(upload, status);
}

static void answer_judge(struct smp_upload *upload, const struct smp_answer *answer) {
        size_t index = chunk_index(upload, answer->id);
        size_t n_others = in_window(upload);
        struct chunk chunk;

        if (index == SIZE_MAX)
                return;
        chunk = upload->chunks[index];
        if (answer->result == -ENOTCONN) {
                fail(upload, -ENOTCONN, "link-lost", "the link closed at %llu of %llu bytes", (unsigned long long) upload->confirmed,
                     (unsigned long long) upload->options.size);
                return;
        }
        n_others -= !chunk.ghost;
        chunks_settle(upload, index + 1, answer->id);
        upload->heard_ms = now_ms(upload);
        upload->n_silences = 0;
        upload->probing = false;
        if (answer->result == 0) {
                upload->n_no_buffer = 0;
                accepted(upload, &chunk, answer);
        } else if (answer->result == -EREMOTEIO) {
                refused(upload, &chunk, &answer->status, n_others);
        }
}

static void end_later(struct smp_upload *upload, int result) {
        upload->end_result = result;
        upload->phase = PHASE_ENDING;
        timer_set(upload);
}

static void chunk_answered(void *ctx, const struct smp_answer *answer) {
        struct smp_upload *upload = ctx;

        callback_enter(upload);
        answer_judge(upload, answer);
        if (!is_over(upload))
                progress(upload, false);
        if (!is_over(upload) && upload->stopping && in_window(upload) == 0)
                finish(upload, -ECANCELED);
        if (!is_over(upload))
                pump(upload);
        callback_leave(upload);
}

/* ---- the stream */

static void pump(struct smp_upload *upload) {
        size_t window = upload->probing ? 1 : upload->window;

        while (upload->phase == PHASE_STREAM && !upload->stopping && !upload->blocked && upload->next < upload->options.size &&
               in_window(upload) < window && upload->hold_until_ms <= now_ms(upload)) {
                uint64_t end;

                if (chunk_send_or_fail(upload, upload->next, &end))
                        upload->next = end;
        }
        timer_set(upload);
}

static void silent(struct smp_upload *upload) {
        const struct chunk *oldest = oldest_in_window(upload);
        bool last = oldest && oldest->end == upload->options.size;
        int64_t silent_ms = now_ms(upload) - upload->heard_ms;
        int64_t limit_ms = last ? SMP_TIMEOUT_LAST_CHUNK_MS : SMP_CHUNK_SILENCES_MAX * SMP_TIMEOUT_MS;

        upload->n_silences++;
        if (upload->n_silences >= SMP_CHUNK_SILENCES_MAX && silent_ms >= limit_ms) {
                fail(upload, -ETIMEDOUT, "smp-no-answer", "the device fell silent at %llu of %llu bytes",
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

        if (pending && now_ms(upload) - upload->first_ms >= SMP_TIMEOUT_FIRST_CHUNK_MS)
                first_given_up(upload);
        else if (!upload->blocked && !upload->stopping)
                first_send(upload);
}

/* The stream's timer: silence of the device, or of a link that takes nothing. */
static void stream_due(struct smp_upload *upload) {
        int64_t now = now_ms(upload);

        if (!oldest_in_window(upload))
                fail(upload, -ETIMEDOUT, "link-lost", "the link takes no more bytes at %llu of %llu",
                     (unsigned long long) upload->confirmed, (unsigned long long) upload->options.size);
        else if (smp_client_queued_bytes(upload->client) > 0 && now - upload->heard_ms < BLOCKED_MAX_MS)
                upload->line_busy_ms = now;
        else
                silent(upload);
}

static void due(struct smp_upload *upload) {
        int64_t now = now_ms(upload);

        if (upload->phase == PHASE_ENDING) {
                finish(upload, upload->end_result);
                return;
        }
        if (upload->stopping && now >= upload->stop_by_ms) {
                finish(upload, -ECANCELED);
                return;
        }
        if (upload->phase == PHASE_FIRST && now >= first_due_ms(upload))
                first_due(upload);
        else if (upload->phase == PHASE_STREAM && upload->hold_until_ms <= now && now >= stream_due_ms(upload))
                stream_due(upload);
        if (!is_over(upload))
                pump(upload);
}

static void timer_fired(void *ctx) {
        struct smp_upload *upload = ctx;

        upload->timer = NULL;
        callback_enter(upload);
        due(upload);
        callback_leave(upload);
}

static void writable(void *ctx) {
        struct smp_upload *upload = ctx;

        callback_enter(upload);
        upload->blocked = false;
        if (upload->phase == PHASE_FIRST && upload->n_chunks == 0 && !upload->stopping)
                first_send(upload);
        if (!is_over(upload))
                pump(upload);
        callback_leave(upload);
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
        upload->rto_floor_ms = SMP_RTO_MINIMUM_MS;
        upload->frame_capacity = options->limits.message_max;
        upload->repeat_off = UINT64_MAX;
        options_take(upload, options);
        upload->started_ms = upload->first_ms = upload->heard_ms = upload->progress_ms = now_ms(upload);
        r = chunk_send(upload, 0, &end, &reading);
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

void smp_upload_stop(struct smp_upload *upload) {
        if (is_over(upload) || upload->stopping)
                return;
        upload->stopping = true;
        upload->stop_by_ms = now_ms(upload) + SMP_STOP_GRACE_MS;
        if (upload->n_chunks == 0 || upload->phase == PHASE_CHECK)
                end_later(upload, -ECANCELED);
        else
                timer_set(upload);
}

uint64_t smp_upload_confirmed(const struct smp_upload *upload) {
        return upload->confirmed;
}
