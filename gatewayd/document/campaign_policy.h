/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of campaign.h: the member `policy` of a campaign document.
 */

#include "document/campaign.h"
#include "document/reader.h"

/* Members that are there replace those of *policy. */
void campaign_policy_read(struct reader *reader, struct place document_place, struct campaign_policy *policy);
/* What was left to the origin. at_once: nobody's trust has to be won by waves, or the new image has lost it. */
void campaign_policy_complete(struct campaign_policy *policy, bool is_signed, bool at_once);
int campaign_policy_write(struct json *document, const struct campaign_policy *policy);
