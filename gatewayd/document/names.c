/* SPDX-License-Identifier: Apache-2.0 */
#include "document/names.h"

#include <assert.h>
#include <string.h>

#include "base/cleanup.h"

static const char *const job_states[JOB_STATE_COUNT_] = {
        [JOB_STATE_QUEUED] = "queued",     [JOB_STATE_IN_PROGRESS] = "in_progress", [JOB_STATE_SUCCEEDED] = "succeeded",
        [JOB_STATE_FAILED] = "failed",     [JOB_STATE_TIMED_OUT] = "timed_out",     [JOB_STATE_REJECTED] = "rejected",
        [JOB_STATE_CANCELED] = "canceled", [JOB_STATE_SUPERSEDED] = "superseded",
};

static const char *const campaign_states[CAMPAIGN_STATE_COUNT_] = {
        [CAMPAIGN_STATE_SCHEDULED] = "scheduled", [CAMPAIGN_STATE_IN_PROGRESS] = "in_progress", [CAMPAIGN_STATE_PAUSED] = "paused",
        [CAMPAIGN_STATE_COMPLETED] = "completed", [CAMPAIGN_STATE_CANCELED] = "canceled",       [CAMPAIGN_STATE_SUPERSEDED] = "superseded",
        [CAMPAIGN_STATE_EXPIRED] = "expired",
};

static const char *const gates[] = {
        [CAMPAIGN_GATE_NONE] = "none",
        [CAMPAIGN_GATE_FIRST_WAVE] = "first-wave",
        [CAMPAIGN_GATE_EACH_WAVE] = "each-wave",
};

static const char *const abort_actions[] = {
        [CAMPAIGN_ABORT_PAUSE] = "pause",
        [CAMPAIGN_ABORT_CANCEL] = "cancel",
};

static const char *const window_ends[] = {
        [CAMPAIGN_WINDOW_END_SUSPEND] = "suspend",
        [CAMPAIGN_WINDOW_END_FINISH] = "finish",
};

static const char *const results[] = {
        [GW_RESULT_UPDATED] = "updated",
        [GW_RESULT_ALREADY] = "already",
        [GW_RESULT_ON_TRIAL] = "on-trial",
        [GW_RESULT_UPLOADED] = "uploaded",
        [GW_RESULT_SENT_UNPROVEN] = "sent-unproven",
        [GW_RESULT_REPORTED] = "reported",
};

static const char *const proofs[] = {
        [GW_PROOF_HASH_ACTIVE_CONFIRMED] = "hash-active-confirmed",
        [GW_PROOF_HASH_ACTIVE] = "hash-active",
        [GW_PROOF_HASH_STORED] = "hash-stored",
        [GW_PROOF_VERSION_READ] = "version-read",
        [GW_PROOF_BEACON] = "beacon",
        [GW_PROOF_NONE] = "none",
};

static const char *const modes[] = {
        [GW_MODE_TEST_AND_CONFIRM] = "test-and-confirm",
        [GW_MODE_CONFIRM_ONLY] = "confirm-only",
        [GW_MODE_TEST_ONLY] = "test-only",
        [GW_MODE_UPLOAD_ONLY] = "upload-only",
};

static const char *const target_states[] = {
        [GW_TARGET_QUEUED] = "queued",
        [GW_TARGET_IN_PROGRESS] = "in_progress",
        [GW_TARGET_SUCCEEDED] = "succeeded",
        [GW_TARGET_FAILED] = "failed",
};

/* Same order as image_flags. */
static const char *const flag_names[] = {"active", "confirmed", "pending", "permanent", "bootable"};

const enum gw_image_flag image_flags[] = {
        GW_IMAGE_ACTIVE, GW_IMAGE_CONFIRMED, GW_IMAGE_PENDING, GW_IMAGE_PERMANENT, GW_IMAGE_BOOTABLE,
};
const size_t n_image_flags = ARRAY_SIZE(image_flags);

static const char *name_of(const char *const *names, size_t n_names, size_t value) {
        assert(value < n_names);
        return value < n_names ? names[value] : "unknown";
}

/* Index of the word, or -EINVAL. */
static int index_of(const char *const *names, size_t n_names, const char *text) {
        for (size_t i = 0; i < n_names; i++)
                if (strcmp(names[i], text) == 0)
                        return (int) i;
        return -EINVAL;
}

#define NAME_OF(names, value) name_of(names, ARRAY_SIZE(names), (size_t) (value))

/* Body of an x_parse(): the enums count from 0 without gaps, as their tables do. */
#define PARSE(names, text, ret)                                                                                                            \
        ({                                                                                                                                 \
                int index_ = index_of(names, ARRAY_SIZE(names), text);                                                                     \
                if (index_ >= 0)                                                                                                           \
                        *(ret) = (__typeof__(*(ret))) index_;                                                                              \
                MIN(index_, 0);                                                                                                            \
        })

const char *job_state_name(enum job_state state) {
        return NAME_OF(job_states, state);
}

int job_state_parse(const char *text, enum job_state *ret) {
        return PARSE(job_states, text, ret);
}

bool job_state_is_final(enum job_state state) {
        return state != JOB_STATE_QUEUED && state != JOB_STATE_IN_PROGRESS;
}

const char *campaign_state_name(enum campaign_state state) {
        return NAME_OF(campaign_states, state);
}

int campaign_state_parse(const char *text, enum campaign_state *ret) {
        return PARSE(campaign_states, text, ret);
}

bool campaign_state_is_final(enum campaign_state state) {
        return state != CAMPAIGN_STATE_SCHEDULED && state != CAMPAIGN_STATE_IN_PROGRESS && state != CAMPAIGN_STATE_PAUSED;
}

const char *campaign_gate_name(enum campaign_gate gate) {
        return NAME_OF(gates, gate);
}

int campaign_gate_parse(const char *text, enum campaign_gate *ret) {
        return PARSE(gates, text, ret);
}

const char *campaign_abort_action_name(enum campaign_abort_action action) {
        return NAME_OF(abort_actions, action);
}

int campaign_abort_action_parse(const char *text, enum campaign_abort_action *ret) {
        return PARSE(abort_actions, text, ret);
}

const char *campaign_window_end_name(enum campaign_window_end end) {
        return NAME_OF(window_ends, end);
}

int campaign_window_end_parse(const char *text, enum campaign_window_end *ret) {
        return PARSE(window_ends, text, ret);
}

const char *result_name(enum gw_result result) {
        return NAME_OF(results, result);
}

int result_parse(const char *text, enum gw_result *ret) {
        return PARSE(results, text, ret);
}

const char *proof_name(enum gw_proof proof) {
        return NAME_OF(proofs, proof);
}

int proof_parse(const char *text, enum gw_proof *ret) {
        return PARSE(proofs, text, ret);
}

const char *mode_name(enum gw_mode mode) {
        return NAME_OF(modes, mode);
}

int mode_parse(const char *text, enum gw_mode *ret) {
        return PARSE(modes, text, ret);
}

const char *target_state_name(enum gw_target_state state) {
        return NAME_OF(target_states, state);
}

int target_state_parse(const char *text, enum gw_target_state *ret) {
        return PARSE(target_states, text, ret);
}

const char *image_flag_name(enum gw_image_flag flag) {
        for (size_t i = 0; i < n_image_flags; i++)
                if (image_flags[i] == flag)
                        return flag_names[i];
        assert(!"a flag of enum gw_image_flag");
        return "unknown";
}

int image_flag_parse(const char *text, enum gw_image_flag *ret) {
        int index = index_of(flag_names, n_image_flags, text);

        if (index < 0)
                return index;
        *ret = image_flags[index];
        return 0;
}
