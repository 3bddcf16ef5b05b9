/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How long a campaign takes: from what each device takes, how many are worked at once, the waves with their soak, and the windows in
 * which work may be done. Pure. An estimate: persons at a gate, devices that are not there and attempts that fail are not in it.
 */

#include <stddef.h>
#include <stdint.h>

#include "document/windows.h"

/* What lies in one wave. */
struct eta_load {
        size_t n_jobs;
        int64_t total_ms, longest_ms;
};

void eta_add(struct eta_load *load, int64_t duration_ms);
/* `concurrency` at once, none waits for another. */
int64_t eta_of_wave(const struct eta_load *load, uint32_t concurrency);
/* When work_ms of work are done that begins at from_ms and goes on only while the windows are open; INT64_MAX: never. */
int64_t eta_in_windows(const struct windows_pair *pair, int64_t from_ms, int64_t work_ms);

struct eta_rollout {
        const struct eta_load *waves;
        size_t n_waves;
        uint32_t concurrency;
        int64_t soak_ms;
        struct windows_pair windows;
};
/* When all waves are through, begun at from_ms; INT64_MAX: never. Waves without a job take no time, and no soak. */
int64_t eta_of_rollout(const struct eta_rollout *rollout, int64_t from_ms);
