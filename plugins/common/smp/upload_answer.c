/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/upload_internal.h"

#define WRITE_BLOCK_MAX 64u /* largest tail that a device drops because of its flash's write size */
#define HOLD_MS 100u        /* before the next try when the device has no buffer even for one request */

static void alignment_learn(struct smp_upload *upload, uint64_t dropped) {
        uint32_t alignment = upload->alignment < 4 ? 4 : upload->alignment;

        if (dropped >= WRITE_BLOCK_MAX)
                return;
        while (alignment <= dropped)
                alignment *= 2;
        upload->alignment = alignment;
}

/* Sends again from `off`, but not for ever. */
static void go_back(struct smp_upload *upload, uint64_t off) {
        upload->n_repeats = off == upload->repeat_off ? upload->n_repeats + 1 : 1;
        upload->repeat_off = off;
        upload->generation++;
        upload->next = off;
        if (upload->n_repeats > SMP_CHUNK_REPEATS_MAX)
                upload_fail(upload, -ESTALE, "smp-upload-stalled", "the device answers, but did not take the chunk at %llu in %u tries",
                            (unsigned long long) off, upload->n_repeats);
}

static void complete(struct smp_upload *upload, const struct chunk *chunk, const struct cbor_map *map) {
        bool match = true;

        upload->confirmed = upload->options.size;
        if (cbor_map_get_bool(map, NULL, "match", &match) == 0)
                upload->report.matched = match;
        if (!match) {
                upload_fail(upload, -EBADMSG, "smp-upload-mismatch", "what the device stored has another SHA-256 than the file");
                return;
        }
        upload->report.already = chunk->off == 0 && chunk->end < upload->options.size;
        upload_finish(upload, 0);
}

static void first_answered(struct smp_upload *upload, const struct chunk *chunk, uint64_t off) {
        if (off == 0) {
                upload_restart(upload);
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

/* A live chunk was not taken as a whole. */
static void chunk_not_taken(struct smp_upload *upload, const struct chunk *chunk, uint64_t off) {
        if (off == 0) {
                /* An upload that is finished answers like one that was never begun. */
                if (upload->sent_end == upload->options.size && chunk->repeat) {
                        upload->report.unproven = true;
                        upload_finish(upload, 0);
                } else {
                        upload_restart(upload);
                }
                return;
        }
        if (off < upload->confirmed && ++upload->n_backwards > SMP_RESTARTS_MAX) {
                upload_fail(upload, -ESTALE, "smp-upload-stalled", "the device forgot what it had confirmed %u times", upload->n_backwards);
                return;
        }
        upload->confirmed = off;
        if (off > chunk->off)
                alignment_learn(upload, chunk->end - off);
        else
                upload_window_after_loss(upload);
        go_back(upload, off);
}

static void stream_answered(struct smp_upload *upload, const struct chunk *chunk, uint64_t off) {
        bool live = upload_is_live(upload, chunk);

        if (live)
                upload_rtt_sample(upload, (uint32_t) (upload_now_ms(upload) - chunk->sent_ms));
        if (off > upload->sent_end) {
                if (live)
                        upload_fail(upload, -EPROTO, "smp-upload-offset", "the device asks for offset %llu, but only %llu was sent",
                                    (unsigned long long) off, (unsigned long long) upload->sent_end);
                return;
        }
        if (off > upload->confirmed)
                upload->confirmed = off;
        if (chunk->ghost && off >= chunk->end)
                upload_silence_undo(upload, chunk);
        else if (live && off < chunk->end)
                chunk_not_taken(upload, chunk, off);
        else if (live)
                upload_window_after_success(upload);
        if (upload->next < upload->confirmed)
                upload->next = upload->confirmed;
}

static void accepted(struct smp_upload *upload, const struct chunk *chunk, const struct smp_answer *answer) {
        uint64_t off;

        if (cbor_map_get_uint(answer->map, NULL, "off", UINT64_MAX, &off) < 0) {
                upload_fail(upload, -EPROTO, "smp-bad-answer", "the answer to an upload packet has no offset");
                return;
        }
        if (off == upload->options.size)
                complete(upload, chunk, answer->map);
        else if (off > upload->options.size)
                upload_fail(upload, -EPROTO, "smp-upload-offset", "the device asks for offset %llu of %llu", (unsigned long long) off,
                            (unsigned long long) upload->options.size);
        else if (upload->phase == PHASE_FIRST)
                first_answered(upload, chunk, off);
        else
                stream_answered(upload, chunk, off);
}

static void fail_refused(struct smp_upload *upload, const struct smp_status *status) {
        char text[SMP_RSN_MAX + 96];

        upload->report.status = *status;
        smp_status_describe(status, text, sizeof text);
        if (smp_status_is_rc(status, SMP_RC_NO_MEMORY))
                upload_fail(upload, -EREMOTEIO, "smp-out-of-memory", "image upload at %llu: %s", (unsigned long long) upload->confirmed,
                            text);
        else if (smp_status_is_rc(status, SMP_RC_CORRUPT) || smp_status_is_rc(status, SMP_RC_TOO_LARGE))
                upload_fail(upload, -EREMOTEIO, "smp-message-too-long", "messages of %zu bytes: %s", upload->budget, text);
        else
                upload_fail(upload, -EREMOTEIO, "smp-refused", "image upload at %llu: the device refused with %s",
                            (unsigned long long) upload->confirmed, text);
}

/* rc 2: fewer requests at once; if it was the only one, later, and at last shorter. */
static void no_buffer(struct smp_upload *upload, const struct chunk *chunk, const struct smp_status *status, size_t n_others) {
        if (!upload_is_live(upload, chunk))
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
        upload->hold_until_ms = upload_now_ms(upload) + (HOLD_MS << upload->n_no_buffer);
        if (upload->n_no_buffer > 2)
                upload->budget = upload->options.limits.message_fallback;
        if (upload->phase == PHASE_STREAM)
                go_back(upload, upload->confirmed);
        else
                upload->n_first = 0; /* the timer sends it */
}

static void too_long(struct smp_upload *upload, const struct chunk *chunk, const struct smp_status *status) {
        if (!upload_is_live(upload, chunk))
                return;
        if (chunk->budget <= upload->options.limits.message_fallback) {
                fail_refused(upload, status);
                return;
        }
        upload->budget = upload->options.limits.message_fallback;
        if (upload->phase == PHASE_FIRST)
                upload_first_again(upload);
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
                upload_first_again(upload); /* the client has changed the version */
        else
                fail_refused(upload, status);
}

static void answer_judge(struct smp_upload *upload, const struct smp_answer *answer) {
        size_t index = upload_chunk_index(upload, answer->id);
        size_t n_others = upload_in_window(upload);
        struct chunk chunk;

        if (index == SIZE_MAX)
                return;
        chunk = upload->chunks[index];
        if (upload->phase == PHASE_CHECK)
                upload_first_check_end(upload);
        if (answer->result == -ENOTCONN) {
                upload_fail(upload, -ENOTCONN, "link-lost", "the link closed at %llu of %llu bytes", (unsigned long long) upload->confirmed,
                            (unsigned long long) upload->options.size);
                return;
        }
        n_others -= !chunk.ghost;
        upload_chunks_settle(upload, index + 1, answer->id);
        upload->heard_ms = upload_now_ms(upload);
        upload->n_silences = 0;
        upload->probing = false;
        if (answer->result == 0) {
                upload->n_no_buffer = 0;
                accepted(upload, &chunk, answer);
        } else if (answer->result == -EREMOTEIO) {
                refused(upload, &chunk, &answer->status, n_others);
        }
}

void upload_chunk_answered(void *ctx, const struct smp_answer *answer) {
        struct smp_upload *upload = ctx;

        upload_callback_enter(upload);
        answer_judge(upload, answer);
        if (!upload_is_over(upload))
                upload_progress(upload, false);
        if (!upload_is_over(upload) && upload->stopping && upload_in_window(upload) == 0)
                upload_finish(upload, -ECANCELED);
        if (!upload_is_over(upload))
                upload_pump(upload);
        upload_callback_leave(upload);
}
