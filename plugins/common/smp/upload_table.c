/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/upload_internal.h"

#define RTO_FIRST_GUESS_MS 1000u /* before anything was measured */
#define RTO_SLACK_MS 20u         /* the clock's steps and the loop's own delays */
#define RTO_LAST_MS 500u         /* the device may be comparing the SHA-256 */
#define CLOSE_LOSSES 3u          /* each within a window of the one before: the window is too wide */
#define WIDEN_AFTER_MAX 100000u  /* chunks */

/* ---- the table */

size_t upload_in_window(const struct smp_upload *upload) {
        size_t n = 0;

        for (size_t i = 0; i < upload->n_chunks; i++)
                n += !upload->chunks[i].ghost;
        return n;
}

size_t upload_chunk_index(const struct smp_upload *upload, uint32_t id) {
        for (size_t i = 0; i < upload->n_chunks; i++)
                if (upload->chunks[i].id == id)
                        return i;
        return SIZE_MAX;
}

/* Takes the first `n` out. Those whose answer did not come are forgotten. */
void upload_chunks_settle(struct smp_upload *upload, size_t n, uint32_t answered_id) {
        for (size_t i = 0; i < n; i++)
                if (upload->chunks[i].id != answered_id)
                        smp_client_forget(upload->client, upload->chunks[i].id);
        upload->n_chunks -= n;
        memmove(upload->chunks, upload->chunks + n, upload->n_chunks * sizeof upload->chunks[0]);
}

void upload_chunks_forget(struct smp_upload *upload) {
        for (size_t i = 0; i < upload->n_chunks; i++)
                smp_client_forget(upload->client, upload->chunks[i].id);
        upload->n_chunks = 0;
}

bool upload_is_live(const struct smp_upload *upload, const struct chunk *chunk) {
        return !chunk->ghost && chunk->generation == upload->generation;
}

const struct chunk *upload_oldest(const struct smp_upload *upload) {
        for (size_t i = 0; i < upload->n_chunks; i++)
                if (!upload->chunks[i].ghost)
                        return &upload->chunks[i];
        return NULL;
}

/* ---- round trip */

static uint32_t clamp(uint64_t value, uint32_t minimum, uint32_t maximum) {
        return value < minimum ? minimum : value > maximum ? maximum : (uint32_t) value;
}

uint32_t upload_rto_ms(const struct smp_upload *upload) {
        unsigned doublings = upload->n_silences < 6 ? upload->n_silences : 6;
        const struct chunk *oldest = upload_oldest(upload);
        uint64_t rto = RTO_FIRST_GUESS_MS;
        uint32_t minimum = upload->rto_floor_ms;

        if (upload->rtt_known)
                rto = upload->rtt_8th_ms / 8 + (upload->rtt_var_4th_ms > RTO_SLACK_MS ? upload->rtt_var_4th_ms : RTO_SLACK_MS);
        if (oldest && oldest->end == upload->options.size && minimum < RTO_LAST_MS)
                minimum = RTO_LAST_MS;
        return clamp((uint64_t) clamp(rto, minimum, SMP_TIMEOUT_MS) << doublings, minimum, SMP_TIMEOUT_MS);
}

void upload_rtt_sample(struct smp_upload *upload, uint32_t sample_ms) {
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

/* ---- window */

void upload_window_after_loss(struct smp_upload *upload) {
        upload->n_close_losses = upload->n_taken < upload->window ? upload->n_close_losses + 1 : 0;
        upload->n_taken = 0;
        if (upload->n_close_losses < CLOSE_LOSSES || upload->window == 1)
                return;
        upload->window -= upload->window > 4 ? upload->window / 4 : 1;
        upload->n_close_losses = 0;
        if (upload->widen_after < WIDEN_AFTER_MAX)
                upload->widen_after *= 4;
}

void upload_window_after_success(struct smp_upload *upload) {
        if (++upload->n_taken < upload->widen_after || upload->window >= upload->window_max)
                return;
        upload->window++;
        upload->n_taken = 0;
        upload->n_close_losses = CLOSE_LOSSES - 1; /* one more at once, and it is taken back */
}

/* Undoes a silence: what was sent before it is on its way after all. */
void upload_silence_undo(struct smp_upload *upload, const struct chunk *answered) {
        int64_t waited_ms = upload_now_ms(upload) - answered->sent_ms;

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
