/* SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

/* Silence ends these by itself; the limits are for what should not happen. Upload moves its own; return has a deadline of its own. */
#define READY_TIMEOUT_MS 120000u
#define QUEUE_TIMEOUT_MS (24u * 3600 * 1000)
#define UPLOAD_TIMEOUT_MS 180000u
#define REQUEST_TIMEOUT_MS 120000u

const struct gw_step steps_update[STEPS_UPDATE_COUNT] = {
        { "connect", step_connect_enter, READY_TIMEOUT_MS, GW_STEP_PREPARE },
        { "inspect", step_inspect_enter, READY_TIMEOUT_MS, GW_STEP_PREPARE },
        { "upload", step_upload_enter, UPLOAD_TIMEOUT_MS, GW_STEP_RESUMABLE },
        { "test", step_test_enter, REQUEST_TIMEOUT_MS, GW_STEP_RESUMABLE },
        { "reset", step_reset_enter, REQUEST_TIMEOUT_MS, 0 },
        { "return", step_return_enter, 0, 0 },
        { "verify", step_verify_enter, REQUEST_TIMEOUT_MS, 0 },
        { "trial", step_trial_enter, 0, 0 },
        { "confirm", step_confirm_enter, REQUEST_TIMEOUT_MS, 0 },
};

const struct gw_step steps_inspect[STEPS_INSPECT_COUNT] = {
        { "connect", step_connect_enter, READY_TIMEOUT_MS, GW_STEP_PREPARE },
        { "inspect", step_inspect_enter, READY_TIMEOUT_MS, 0 },
};

const struct gw_step steps_diagnose[STEPS_DIAGNOSE_COUNT] = {
        { "ask", step_ask_enter, READY_TIMEOUT_MS, 0 },
        { "slots", step_slots_enter, READY_TIMEOUT_MS, 0 },
};

/* Other devices are worked meanwhile, for as long as it takes: the radio counts its own time once it is this one's turn. */
void steps_open_link(struct smp_run *run, run_link_opened then) {
        if (run->driver->transport->scarce)
                run->host->run->extend(run->handle, QUEUE_TIMEOUT_MS);
        run_link_open(run, then);
}

void steps_link_is_open(struct smp_run *run) {
        if (run->driver->transport->scarce)
                run->host->run->extend(run->handle, READY_TIMEOUT_MS);
}
