/* SPDX-License-Identifier: Apache-2.0 */
#include "base/backoff.h"

#include <sys/random.h>

#include "base/cleanup.h"

int64_t backoff_ms(uint32_t attempt, int64_t first_ms, int64_t max_ms, uint32_t random) {
        int64_t ceiling_ms = first_ms;
        for (uint32_t i = 1; i < attempt && ceiling_ms < max_ms; i++)
                ceiling_ms *= 2;
        ceiling_ms = MIN(ceiling_ms, max_ms);
        return (int64_t) (((uint64_t) ceiling_ms * random) >> 32);
}

uint32_t backoff_random(void) {
        uint32_t number = UINT32_MAX / 2;
        (void) !getrandom(&number, sizeof number, GRND_NONBLOCK);
        return number;
}
