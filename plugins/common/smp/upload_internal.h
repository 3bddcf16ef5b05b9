/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of upload.h's engine among themselves; nobody else includes this.
 *
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

#include "common/smp/upload_packet.h"

#define PLACES (2 * SMP_WINDOW_MAX)

enum phase {
        PHASE_FIRST, /* the first packet is out, alone */
        PHASE_STREAM,
        PHASE_CHECK,  /* no answer to the first packet yet: does the device answer something short, or is it erasing? */
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

        unsigned n_first;  /* sendings of the first packet */
        unsigned n_checks; /* short questions answered since */
        uint32_t first_limit_ms;
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

/* ---- upload.c: life, time, the ends */

static inline int64_t upload_now_ms(const struct smp_upload *upload) {
        return upload->host->timer->now_ms(upload->host);
}

/* Around everything that may call back: a callback may free the upload, which then lasts until the last leave. */
void upload_callback_enter(struct smp_upload *upload);
void upload_callback_leave(struct smp_upload *upload);
/* Nothing more may be done with it but leave. */
bool upload_is_over(const struct smp_upload *upload);
/* `done`. Only from callbacks of timer and client, never from inside start. */
void upload_finish(struct smp_upload *upload, int result);
GW_PRINTF(4, 5) void upload_fail(struct smp_upload *upload, int result, const char *name, const char *format, ...);
void upload_progress(struct smp_upload *upload, bool at_end);
/* Sends what the window allows, and sets the timer. */
void upload_pump(struct smp_upload *upload);

/* ---- upload_table.c: chunks under way, round trip, window */

size_t upload_in_window(const struct smp_upload *upload);
/* SIZE_MAX when there is none. */
size_t upload_chunk_index(const struct smp_upload *upload, uint32_t id);
/* Takes the first `n` out. Those whose answer did not come are forgotten. */
void upload_chunks_settle(struct smp_upload *upload, size_t n, uint32_t answered_id);
void upload_chunks_forget(struct smp_upload *upload);
bool upload_is_live(const struct smp_upload *upload, const struct chunk *chunk);
/* The oldest that takes a place in the window; NULL. */
const struct chunk *upload_oldest(const struct smp_upload *upload);
/* Silence that means loss. */
uint32_t upload_rto_ms(const struct smp_upload *upload);
void upload_rtt_sample(struct smp_upload *upload, uint32_t sample_ms);
void upload_window_after_loss(struct smp_upload *upload);
void upload_window_after_success(struct smp_upload *upload);
/* A ghost was answered: those that were sent after it live again. */
void upload_silence_undo(struct smp_upload *upload, const struct chunk *answered);

/* ---- upload_send.c: chunks, and the first packet with its repeats */

/* The chunk at `off`. 0, -EAGAIN, or what cannot be mended (`ret_read`: the reading failed, not the sending). */
int upload_chunk_send(struct smp_upload *upload, uint64_t off, uint64_t *ret_end, bool *ret_read);
/* True when sent. A full link waits for room; other failures end the upload. */
bool upload_chunk_send_or_fail(struct smp_upload *upload, uint64_t off, uint64_t *ret_end);
void upload_first_send(struct smp_upload *upload);
void upload_first_again(struct smp_upload *upload);
/* As first_again, because the device asked for it; not for ever. */
void upload_restart(struct smp_upload *upload);
/* Asks something short, to learn what the silence means; the first packet may still be answered. */
void upload_first_check(struct smp_upload *upload);
/* It was. */
void upload_first_check_end(struct smp_upload *upload);

/* ---- upload_answer.c */

void upload_chunk_answered(void *ctx, const struct smp_answer *answer);
