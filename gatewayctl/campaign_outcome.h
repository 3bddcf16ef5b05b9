/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a campaign stands, in one word, on one gateway or on all that have it. Pure.
 */

#include "base/json.h"

/* The worse the later, as far as the campaign is over; RUNNING goes before all of them. */
enum campaign_outcome {
        CAMPAIGN_OUTCOME_SUCCEEDED, /* every device */
        CAMPAIGN_OUTCOME_SUPERSEDED,
        CAMPAIGN_OUTCOME_EXPIRED,
        CAMPAIGN_OUTCOME_CANCELED,
        CAMPAIGN_OUTCOME_PAUSED,
        CAMPAIGN_OUTCOME_FAILED, /* it came to its end, and not every device succeeded */
        CAMPAIGN_OUTCOME_RUNNING,
};

/*
 * result: the answer of campaign.get, or the merged one of several gateways ({"gateways": [{"gateway", "result"}]}). Gateways on which no
 * device is meant count only where no other one does.
 */
enum campaign_outcome campaign_outcome(const struct json *result);
