/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The words of the design and their enums, for every document, reply, report, event and row of the store. This module owns the
 * states of jobs and campaigns; results, proofs and modes are enums of plugin.h and get their text here.
 *
 * x_name() never gives NULL; a value outside its enum is a programming error (asserted; "unknown" without asserts). x_parse() returns
 * -EINVAL for an unknown word (exact, case matters) and leaves *ret untouched.
 */

#include <stdbool.h>
#include <stddef.h>

#include <gatewayd/plugin.h>

/*
 *   queued -> in_progress -> succeeded | failed
 *      |           |-------> timed_out | rejected | canceled | superseded      only before the point of no return
 *      |-------------------> timed_out | rejected | canceled | superseded
 */
enum job_state {
        JOB_STATE_QUEUED,
        JOB_STATE_IN_PROGRESS,
        JOB_STATE_SUCCEEDED,
        JOB_STATE_FAILED,
        JOB_STATE_TIMED_OUT,
        JOB_STATE_REJECTED,
        JOB_STATE_CANCELED,
        JOB_STATE_SUPERSEDED,
        JOB_STATE_COUNT_,
};

enum campaign_state {
        CAMPAIGN_STATE_SCHEDULED,
        CAMPAIGN_STATE_IN_PROGRESS,
        CAMPAIGN_STATE_PAUSED,
        CAMPAIGN_STATE_COMPLETED,
        CAMPAIGN_STATE_CANCELED,
        CAMPAIGN_STATE_SUPERSEDED,
        CAMPAIGN_STATE_EXPIRED, /* the deadline came before any job started */
        CAMPAIGN_STATE_COUNT_,
};

/* Where a campaign stops by itself until somebody says "continue". */
enum campaign_gate {
        CAMPAIGN_GATE_NONE,
        CAMPAIGN_GATE_FIRST_WAVE,
        CAMPAIGN_GATE_EACH_WAVE,
};

/* What happens when too many devices failed. */
enum campaign_abort_action {
        CAMPAIGN_ABORT_PAUSE,
        CAMPAIGN_ABORT_CANCEL,
};

/* What running jobs do when the maintenance window ends. */
enum campaign_window_end {
        CAMPAIGN_WINDOW_END_SUSPEND,
        CAMPAIGN_WINDOW_END_FINISH,
};

const char *job_state_name(enum job_state state);
int job_state_parse(const char *text, enum job_state *ret);
/* Neither queued nor in_progress. */
bool job_state_is_final(enum job_state state);

const char *campaign_state_name(enum campaign_state state);
int campaign_state_parse(const char *text, enum campaign_state *ret);
/* Completed, canceled, superseded or expired. */
bool campaign_state_is_final(enum campaign_state state);

const char *campaign_gate_name(enum campaign_gate gate);
int campaign_gate_parse(const char *text, enum campaign_gate *ret);

const char *campaign_abort_action_name(enum campaign_abort_action action);
int campaign_abort_action_parse(const char *text, enum campaign_abort_action *ret);

const char *campaign_window_end_name(enum campaign_window_end end);
int campaign_window_end_parse(const char *text, enum campaign_window_end *ret);

const char *result_name(enum gw_result result);
int result_parse(const char *text, enum gw_result *ret);

const char *proof_name(enum gw_proof proof);
int proof_parse(const char *text, enum gw_proof *ret);

const char *mode_name(enum gw_mode mode);
int mode_parse(const char *text, enum gw_mode *ret);

const char *target_state_name(enum gw_target_state state);
int target_state_parse(const char *text, enum gw_target_state *ret);

/* One flag of struct gw_image: "active", "confirmed", "pending", "permanent", "bootable". */
const char *image_flag_name(enum gw_image_flag flag);
int image_flag_parse(const char *text, enum gw_image_flag *ret);
/* The flags one after the other, for loops; GW_IMAGE_ACTIVE first. */
extern const enum gw_image_flag image_flags[];
extern const size_t n_image_flags;
