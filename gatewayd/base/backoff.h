/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How long until the next attempt: exponential with full jitter, so that a thousand who failed together do not come back together. */

#include <stdint.h>

/* Uniformly in 0..min(first * 2^(attempt - 1), max). attempt from 1; `random` uniform in 0..UINT32_MAX. */
int64_t backoff_ms(uint32_t attempt, int64_t first_ms, int64_t max_ms, uint32_t random);

/* For `random`; where the system has none, the middle. */
uint32_t backoff_random(void);
