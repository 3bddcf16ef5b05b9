/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Waves as arithmetic: which device of a population is in which wave, and what is to become of the wave that is open. Pure;
 * update/rollout.c asks it and acts.
 */

#include "document/campaign.h"

/* The wave of the device at this position (from 0) of the population. */
size_t wave_of(const struct campaign_policy *policy, size_t position, size_t population);

/* How a device stands towards the wave that it is in. */
enum wave_standing {
        WAVE_STANDING_FINAL,  /* its job has an end */
        WAVE_STANDING_ACTIVE, /* it is worked, or may be now */
        WAVE_STANDING_ABSENT, /* nothing was begun, and it is not there, or something about it is missing */
};

struct wave_counts {
        size_t n_final, n_active, n_absent; /* of the wave */
        size_t n_later;                     /* active ones of later waves */
};

enum wave_verdict {
        WAVE_GOES_ON,
        WAVE_HAS_ENDED,  /* all that are there have an end; the absent ones move to the last wave */
        WAVE_IS_EMPTY,   /* nobody is in it: the next one, without a word */
        WAVE_NEEDS_OTHERS, /* nobody of it is there, but others are: they take the places, or nothing would ever be tried out */
};

enum wave_verdict wave_judge(const struct wave_counts *counts, bool is_last);

/* What comes between the end of a wave and the next one. */
struct wave_pause {
        enum campaign_gate gate;
        size_t wave;         /* that has ended */
        size_t gates_passed; /* behind the waves before this number somebody said: continue */
        int64_t soak_left_ms;
};

enum wave_next {
        WAVE_NEXT_GATE, /* until somebody says: continue */
        WAVE_NEXT_SOAK,
        WAVE_NEXT_OPEN,
};

enum wave_next wave_next(const struct wave_pause *pause);
