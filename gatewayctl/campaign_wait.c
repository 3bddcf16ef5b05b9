/* SPDX-License-Identifier: Apache-2.0 */

/* For pipelines: comes back when a campaign is over, and says by its exit code how it ended. */

#include "commands.h"

#include <string.h>

#include "base/time.h"
#include "campaign_outcome.h"
#include "follow.h"

#define APPEAR_RETRY_MS 1000

/* Does the gateway (or any of them) simply not know it yet? A published campaign arrives when it arrives. */
static bool may_still_appear(const struct session *session, const struct failure *failure) {
        int64_t appear_ms = 0;

        arguments_number(session->arguments, "appear", &appear_ms);
        return strcmp(failure->err.name, "campaign-unknown") == 0 && time_now_monotonic_ms() - session->begun_ms < appear_ms &&
               session_left_ms(session) != 0 && !client_is_interrupted(session->client);
}

static int follow_to_end(struct session *session, struct follow *follow, struct json **ret_campaign, struct failure *failure) {
        int r = follow_run(follow, ret_campaign, failure);

        while (r < 0 && may_still_appear(session, failure)) {
                failure_deinit(failure);
                *failure = (struct failure){ 0 };
                client_pause(session->client, APPEAR_RETRY_MS);
                r = follow_run(follow, ret_campaign, failure);
        }
        return r;
}

static enum exit_code exit_code_of(enum campaign_outcome outcome) {
        switch (outcome) {
        case CAMPAIGN_OUTCOME_SUCCEEDED:
                return EXIT_CODE_OK;
        case CAMPAIGN_OUTCOME_SUPERSEDED:
                return EXIT_CODE_SUPERSEDED;
        case CAMPAIGN_OUTCOME_EXPIRED:
                return EXIT_CODE_EXPIRED;
        case CAMPAIGN_OUTCOME_CANCELED:
                return EXIT_CODE_CANCELED;
        case CAMPAIGN_OUTCOME_PAUSED:
                return EXIT_CODE_PAUSED;
        case CAMPAIGN_OUTCOME_FAILED:
        case CAMPAIGN_OUTCOME_RUNNING:
                return EXIT_CODE_FINDINGS;
        }
        return EXIT_CODE_INTERNAL;
}

int run_campaign_wait(struct session *session, struct failure *failure) {
        _cleanup_follow_ struct follow *follow = NULL;
        _cleanup_json_ struct json *campaign = NULL;
        int r = follow_begin(session, arguments_at(session->arguments, 0), &follow, failure);

        if (r == 0 && !arguments_flag(session->arguments, "through-pauses"))
                follow_stop_when_paused(follow);
        if (r == 0)
                r = follow_to_end(session, follow, &campaign, failure);
        if (r == 0)
                r = follow_report(session, campaign, failure);
        return r < 0 ? r : (int) exit_code_of(campaign_outcome(campaign));
}
