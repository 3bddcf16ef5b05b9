/* SPDX-License-Identifier: Apache-2.0 */
#include "update/eta.h"

#include "base/cleanup.h"

#define STEPS_MAX 4096 /* openings that are looked at */

void eta_add(struct eta_load *load, int64_t duration_ms) {
        load->n_jobs++;
        load->total_ms += duration_ms;
        load->longest_ms = MAX(load->longest_ms, duration_ms);
}

int64_t eta_of_wave(const struct eta_load *load, uint32_t concurrency) {
        int64_t at_once = (int64_t) MAX(MIN((size_t) concurrency, load->n_jobs), (size_t) 1);
        return MAX(load->longest_ms, (load->total_ms + at_once - 1) / at_once);
}

int64_t eta_in_windows(const struct windows_pair *pair, int64_t from_ms, int64_t work_ms) {
        int64_t at_ms = from_ms;
        for (int i = 0; i < STEPS_MAX; i++) {
                struct windows_state state = windows_at(pair, at_ms);
                if (state.open && (state.until_ms == INT64_MAX || state.until_ms - at_ms >= work_ms))
                        return at_ms + work_ms;
                if (state.until_ms == INT64_MAX)
                        return INT64_MAX;
                if (state.open)
                        work_ms -= state.until_ms - at_ms;
                at_ms = state.until_ms;
        }
        return INT64_MAX;
}

int64_t eta_of_rollout(const struct eta_rollout *rollout, int64_t from_ms) {
        int64_t at_ms = from_ms;
        bool first = true;
        for (size_t i = 0; i < rollout->n_waves && at_ms != INT64_MAX; i++) {
                if (rollout->waves[i].n_jobs == 0)
                        continue;
                if (!first)
                        at_ms += rollout->soak_ms;
                first = false;
                at_ms = eta_in_windows(&rollout->windows, at_ms, eta_of_wave(&rollout->waves[i], rollout->concurrency));
        }
        return at_ms;
}
