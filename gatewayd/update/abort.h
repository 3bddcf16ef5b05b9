/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * When a campaign stops itself. Pure. What counts is what a device came to by this firmware: succeeded jobs but for `already`, and
 * failed ones; rejected, timed out, canceled and superseded ones are in neither number.
 */

#include "document/campaign.h"

struct abort_counts {
        size_t n_failed;
        size_t n_finished; /* the failed ones among them */
};

/* The threshold that is met, as a person reads it, in why; false: none is. */
bool abort_is_due(const struct campaign_abort *rule, const struct abort_counts *counts, char *why, size_t why_size);
/* A first wave in which all fail stops its campaign, whatever the thresholds are. */
bool abort_after_first_wave(const struct abort_counts *wave);
