/* SPDX-License-Identifier: Apache-2.0 */
#include "campaign_outcome.h"

#include "document/names.h"

static int64_t count_of(const struct json *campaign, const char *name) {
        int64_t n = 0;

        json_member_int(json_child(campaign, "counts"), name, 0, INT64_MAX, &n);
        return n;
}

static enum campaign_outcome outcome_of(const struct json *campaign) {
        const char *text = json_member_text(campaign, "state");
        enum campaign_state state;

        if (!text || campaign_state_parse(text, &state) < 0)
                return CAMPAIGN_OUTCOME_RUNNING;
        switch (state) {
        case CAMPAIGN_STATE_COMPLETED:
                return count_of(campaign, "succeeded") == count_of(campaign, "total") ? CAMPAIGN_OUTCOME_SUCCEEDED
                                                                                      : CAMPAIGN_OUTCOME_FAILED;
        case CAMPAIGN_STATE_SUPERSEDED:
                return CAMPAIGN_OUTCOME_SUPERSEDED;
        case CAMPAIGN_STATE_EXPIRED:
                return CAMPAIGN_OUTCOME_EXPIRED;
        case CAMPAIGN_STATE_CANCELED:
                return CAMPAIGN_OUTCOME_CANCELED;
        case CAMPAIGN_STATE_PAUSED:
                return CAMPAIGN_OUTCOME_PAUSED;
        case CAMPAIGN_STATE_SCHEDULED:
        case CAMPAIGN_STATE_IN_PROGRESS:
        case CAMPAIGN_STATE_COUNT_:
                break;
        }
        return CAMPAIGN_OUTCOME_RUNNING;
}

/* The worst of those that have devices for it (or of all). False: there is none. */
static bool worst_of(const struct json *gateways, bool with_devices, enum campaign_outcome *ret) {
        bool found = false;

        JSON_FOREACH_ITEM(i, entry, gateways) {
                const struct json *campaign = json_child(json_child(entry, "result"), "campaign");
                enum campaign_outcome outcome = outcome_of(campaign);
                if (!campaign || (with_devices && count_of(campaign, "total") == 0))
                        continue;
                *ret = found && *ret > outcome ? *ret : outcome;
                found = true;
        }
        return found;
}

enum campaign_outcome campaign_outcome(const struct json *result) {
        const struct json *gateways = json_child(result, "gateways");
        enum campaign_outcome outcome;

        if (!gateways)
                return outcome_of(json_child(result, "campaign"));
        if (worst_of(gateways, true, &outcome) || worst_of(gateways, false, &outcome))
                return outcome;
        return CAMPAIGN_OUTCOME_RUNNING;
}
