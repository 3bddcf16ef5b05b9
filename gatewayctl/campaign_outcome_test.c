/* SPDX-License-Identifier: Apache-2.0 */
#include "campaign_outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"

#define CAMPAIGN(state, total, succeeded)                                                                                                  \
        "{\"campaign\":{\"state\":\"" state "\",\"counts\":{\"total\":" total ",\"succeeded\":" succeeded "}}}"
#define ON(gateway, campaign) "{\"gateway\":\"" gateway "\",\"result\":" campaign "}"
#define ALL(...) "{\"gateways\":[" __VA_ARGS__ "]}"

#define GOOD CAMPAIGN("completed", "3", "3")
#define BAD CAMPAIGN("completed", "3", "2")
#define IDLE CAMPAIGN("in_progress", "0", "0")

static const struct {
        const char *result;
        enum campaign_outcome outcome;
} table[] = {
        { GOOD, CAMPAIGN_OUTCOME_SUCCEEDED },
        { BAD, CAMPAIGN_OUTCOME_FAILED },
        { CAMPAIGN("paused", "3", "1"), CAMPAIGN_OUTCOME_PAUSED },
        { CAMPAIGN("canceled", "3", "1"), CAMPAIGN_OUTCOME_CANCELED },
        { CAMPAIGN("expired", "3", "0"), CAMPAIGN_OUTCOME_EXPIRED },
        { CAMPAIGN("superseded", "3", "1"), CAMPAIGN_OUTCOME_SUPERSEDED },
        { CAMPAIGN("in_progress", "3", "3"), CAMPAIGN_OUTCOME_RUNNING },
        { CAMPAIGN("scheduled", "3", "0"), CAMPAIGN_OUTCOME_RUNNING },
        { CAMPAIGN("something-new", "3", "3"), CAMPAIGN_OUTCOME_RUNNING },
        { "{}", CAMPAIGN_OUTCOME_RUNNING },
        { ALL(ON("a", GOOD) "," ON("b", GOOD)), CAMPAIGN_OUTCOME_SUCCEEDED },
        { ALL(ON("a", GOOD) "," ON("b", BAD) "," ON("c", CAMPAIGN("paused", "1", "0"))), CAMPAIGN_OUTCOME_FAILED },
        { ALL(ON("a", GOOD) "," ON("b", CAMPAIGN("paused", "1", "0"))), CAMPAIGN_OUTCOME_PAUSED },
        { ALL(ON("a", CAMPAIGN("in_progress", "1", "0")) "," ON("b", BAD)), CAMPAIGN_OUTCOME_RUNNING },
        /* A gateway without a device for it may stay as it is; it counts where there is no other. */
        { ALL(ON("a", GOOD) "," ON("b", IDLE)), CAMPAIGN_OUTCOME_SUCCEEDED },
        { ALL(ON("a", IDLE) "," ON("b", CAMPAIGN("canceled", "2", "0"))), CAMPAIGN_OUTCOME_CANCELED },
        { ALL(ON("a", IDLE) "," ON("b", IDLE)), CAMPAIGN_OUTCOME_RUNNING },
        /* Who did not answer is told elsewhere. */
        { ALL(ON("a", GOOD) ",{\"gateway\":\"b\",\"error\":{\"name\":\"reply-timeout\"}}"), CAMPAIGN_OUTCOME_SUCCEEDED },
        { ALL("{\"gateway\":\"b\",\"error\":{\"name\":\"reply-timeout\"}}"), CAMPAIGN_OUTCOME_RUNNING },
};

static void test_table(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                _cleanup_json_ struct json *result = NULL;

                assert_int_equal(json_parse(table[i].result, strlen(table[i].result), 0, &result, NULL), 0);
                if (campaign_outcome(result) != table[i].outcome)
                        fail_msg("%s", table[i].result);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_table) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
