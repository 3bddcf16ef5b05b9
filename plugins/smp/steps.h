/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The steps of the three operations, in table order. The procedure of an update, as its file reads:
 *
 *     connect  open the link, ask what the device is
 *     inspect  read the slots -> already there: done; stored: test; marked: reset; on trial: verify
 *     upload   every image that is in no slot            (somebody else's update in the way: clear it by one or two resets)
 *     test     mark each new image for the next boot     (not where the bootloader takes no marks)
 *     reset
 *     return   wait until the device answers again
 *     verify   compare the slots before and after -> a verdict
 *     trial    ask now and then whether it still runs
 *     confirm  make it permanent, read the proof
 *
 * Each enter has the context of a struct smp_run.
 */

#include "run.h"

enum { STEPS_UPDATE_COUNT = 9, STEPS_INSPECT_COUNT = 2, STEPS_DIAGNOSE_COUNT = 2 };

extern const struct gw_step steps_update[STEPS_UPDATE_COUNT];
extern const struct gw_step steps_inspect[STEPS_INSPECT_COUNT];
extern const struct gw_step steps_diagnose[STEPS_DIAGNOSE_COUNT];

/* run_link_open() of a first step: the time until it is this device's turn on the radio is not the step's. Once it is open: */
void steps_open_link(struct smp_run *run, run_link_opened then);
void steps_link_is_open(struct smp_run *run);

int step_connect_enter(void *ctx, struct gw_error *err);
int step_inspect_enter(void *ctx, struct gw_error *err);
int step_upload_enter(void *ctx, struct gw_error *err);
int step_test_enter(void *ctx, struct gw_error *err);
int step_reset_enter(void *ctx, struct gw_error *err);
int step_return_enter(void *ctx, struct gw_error *err);
int step_verify_enter(void *ctx, struct gw_error *err);
int step_trial_enter(void *ctx, struct gw_error *err);
int step_confirm_enter(void *ctx, struct gw_error *err);
int step_ask_enter(void *ctx, struct gw_error *err);
int step_slots_enter(void *ctx, struct gw_error *err);

/* Goes where the choice says while nothing that changes what boots was asked. Used by inspect, and by verify after clearing. */
void steps_follow_choice(struct smp_run *run);
/* Notes what lies in the slots now, then jumps to `reset`. */
void steps_go_to_reset(struct smp_run *run);
/* Another update stands in the way: waits, erases or resets it away, or gives up. */
void steps_clear(struct smp_run *run);
/* The one slot was written by the bootloader, and this is the reset after it. */
bool steps_recovery_is_done(const struct smp_run *run);
/* Waits until the device answers again, then ends the step: what `return` does, and `reset` when it was canceled meanwhile. */
void steps_await_return(struct smp_run *run);
/* Canceled, and the device was just looked at: takes it back where it is on trial, tells of a mark that stays, ends with `stopped`. */
void steps_end_canceled(struct smp_run *run);
/* The new images run and stay: reports the proof of the weakest. */
void steps_finish(struct smp_run *run, const enum verdict_outcome outcomes[GW_PARTS_MAX]);
/* What is known about one image of the choice, before and after the reset. Lives as long as the run. */
struct verdict_question steps_question(const struct smp_run *run, const struct choice_image *image);
/* One verdict an image of the choice; returns the first failed one's index, or -1. `ret_on_trial` may be NULL. */
int steps_verdicts(struct smp_run *run, enum verdict_outcome outcomes[GW_PARTS_MAX], bool *ret_on_trial);
/* Ends the job with the verdict on image `index`. */
void steps_fail_by_verdict(struct smp_run *run, enum verdict_outcome outcome, size_t index);
