/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One run: a job, an inspection or a diagnosis of one device. Holds the link, what the device said, the notes that survive a crash,
 * and the one thing that the running step waits for (an answer, a timer, an upload). The steps themselves are in steps_*.c; each of
 * them begins by looking at what is known of the device and ends through one of the run_… functions below, exactly once.
 *
 * A run has at most one request and one timer under way. Ending a step forgets both, so no callback of an ended step ever comes.
 */

#include "blob.h"
#include "choice.h"
#include "common/smp/image.h"
#include "common/smp/probe.h"
#include "common/smp/upload.h"
#include "driver.h"
#include "refusal.h"
#include "transport.h"
#include "tuning.h"
#include "verdict.h"

struct smp_run;

/* What a step does next: `failed` is NULL when the device said yes. */
typedef void (*run_answered)(struct smp_run *run, const struct smp_answer *failed);
typedef void (*run_continue)(struct smp_run *run);
typedef void (*run_link_opened)(struct smp_run *run, int result, const struct gw_error *err);

#define RUN_STRANGERS_MAX 8 /* remembered by one run */

struct smp_run {
        const struct gw_host *host;
        struct gw_run *handle;
        struct driver *driver;
        struct smp_run *next_run; /* of the driver's list */
        const struct gw_device *device;
        const struct gw_order *order; /* NULL unless an update */
        char resume_step[16];         /* "" = a first run */
        struct tuning tuning;

        /* The link. */
        struct smp_client *client;
        struct transport_session session;
        bool link_open;
        struct gw_error link_error;
        run_link_opened link_result;

        /* What the running step waits for. */
        bool active;
        bool is_protected; /* pausing does not end this step: the device is on trial */
        bool canceling;    /* a cancel came: once the device is there, it is reset so that it goes back */
        uint32_t request;
        run_answered answered;
        struct gw_timer *timer;
        run_continue timer_continue;
        run_continue commit_continue;
        struct smp_probe *probe;
        struct smp_upload *upload;

        /* What is known. */
        struct smp_probe_result probed;
        struct smp_image_state state;
        enum verdict_family family;
        struct verdict_way way;
        struct choice choice;
        struct blob notes;

        /* Of single steps. */
        size_t image_index;      /* into choice.images: upload, test, confirm */
        uint64_t uploaded_bytes; /* of images that are finished */
        bool erase_tried;
        bool mark_sent; /* the device was asked to start a new image at its next reset, and did not refuse */
        bool force_reset;
        bool reset_entered; /* by this attempt */
        bool reset_heard;   /* the device answered the reset, in this attempt */
        bool unproven;      /* an upload's last answer was lost: the device may have been reset instead */
        bool without_list;  /* after a recovery an application answers that has no image management */
        bool is_away;     /* after a reset, and not heard yet */
        bool since_is_guessed; /* away_since_ms: the daemon was restarted meanwhile */
        char strangers[RUN_STRANGERS_MAX][GW_GATT_KEY_SIZE]; /* who answered in the device's place; a ring */
        size_t n_strangers;
        int64_t away_since_ms, return_deadline_ms, retry_ms, opening_ms;
        uint32_t checks_done;
        uint32_t last_refused; /* group and command; the same refusal is noted once */
        int32_t last_refused_code;
};

int run_new(struct driver *driver, struct gw_run *handle, struct smp_run **ret_run, struct gw_error *err);
void run_free(struct smp_run *run);
void run_stop(struct smp_run *run, enum gw_stop_reason reason);

/* ---- begin and ends of a step */

/* First thing in every enter. */
void run_begin(struct smp_run *run);
void run_next(struct smp_run *run);
void run_jump(struct smp_run *run, const char *step);
void run_done(struct smp_run *run, enum gw_result result, enum gw_proof proof);
void run_wait(struct smp_run *run, const char *reason, uint32_t wakes, int64_t delay_ms);
void run_again(struct smp_run *run, const struct gw_error *err);
void run_fail(struct smp_run *run, const struct gw_error *err);
void run_stopped(struct smp_run *run);
/* Resets the device on trial once and ends with `stopped`. */
void run_go_back(struct smp_run *run);
/* The device is there and lets nobody in, which no later attempt finds otherwise: that is told as a property of it, and the run fails. */
void run_access_refused(struct smp_run *run, const struct gw_error *err);
/* Retried in a job (but for a refused access before anything was done), final in an inspection. */
void run_broken(struct smp_run *run, const struct gw_error *err);
/* A device refused: fail or again, as the refusal says. For refusals that the step cannot go around. */
void run_refused(struct smp_run *run, enum refusal_action action, const struct gw_error *err);
/* An answer that is no success: silence, link, nonsense, cancel; a refusal is judged without any special knowledge. */
void run_answer_failed(struct smp_run *run, const struct smp_answer *answer, const struct refusal *refusal);

/* ---- what a step waits for */

int64_t run_now_ms(const struct smp_run *run);
void run_timer(struct smp_run *run, int64_t delay_ms, run_continue then);
/* The point of no return, made durable; `then` follows, perhaps from inside. */
void run_commit(struct smp_run *run, run_continue then);
bool run_is_committed(const struct smp_run *run);

/* Opens the link anew; `then` gets 0 or why not (-ENODEV: the device is not there). */
void run_link_open(struct smp_run *run, run_link_opened then);
void run_link_close(struct smp_run *run);

/* Reads the image state into run->state and makes the choice anew; `then` gets the answer if it failed. */
void run_look(struct smp_run *run, run_answered then);
/* Any answer to a small question; run->state stays. */
void run_ping(struct smp_run *run, uint32_t timeout_ms, run_answered then);
/* For requests that steps send themselves: `r` is what the send returned. */
void run_sent(struct smp_run *run, int r, run_answered then);
/* Callback for those. */
void run_on_answer(void *ctx, const struct smp_answer *answer);
void run_on_state(void *ctx, const struct smp_answer *answer, const struct smp_image_state *state);

/* ---- knowledge */

bool run_is_update(const struct smp_run *run);
/* The notes as they are now become durable with the next journaled step. */
void run_keep_notes(struct smp_run *run);
/* Family, choice and way from run->state. 0 or negative with `err`. */
int run_judge(struct smp_run *run, struct gw_error *err);
struct choice_question run_question(const struct smp_run *run);
const struct gw_wanted *run_wanted(const struct smp_run *run, const struct choice_image *image);
bool run_reverts(const struct smp_run *run);
/* The serial number that the device states, by Bluetooth's Device Information or by Memfault; "". */
const char *run_serial(const struct smp_run *run);
/* Tells the host what was learned: of the device itself, of its slots. */
void run_learned_device(struct smp_run *run);
void run_learned_images(struct smp_run *run);
/* Where the device is now, once what it runs has proven that it is the one. */
void run_learned_place(struct smp_run *run);
void run_note(struct smp_run *run, const char *format, ...) GW_PRINTF(2, 3);
/* For a failure that may be the last one: where it leaves a device that may be on trial. Before the step ends. */
void run_note_trial(struct smp_run *run);
/* For a cancel that leaves a mark on the device. */
void run_note_mark(struct smp_run *run);
/* One image as a target of its own, when the order has several. `target` holds state, proof, error and percent; the rest is filled. */
void run_target(struct smp_run *run, const struct choice_image *image, struct gw_target target);
/* A refusal of a request about `image`, ready to be judged. */
struct refusal run_refusal(const struct smp_run *run, const struct smp_refusal *answer, uint8_t image);
