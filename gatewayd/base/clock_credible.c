/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock_credible.h"

#include <sys/timex.h>
#include <unistd.h>

#include "base/time.h"

enum clock_credible clock_credible_decide(const struct clock_facts *facts) {
        if (facts->wall_ms < facts->build_ms)
                return CLOCK_CREDIBLE_NOT;
        if (facts->timesync_flag)
                return CLOCK_CREDIBLE_TIMESYNC;
        if (facts->kernel == CLOCK_KERNEL_SYNCED)
                return CLOCK_CREDIBLE_KERNEL;
        if (facts->wall_ms >= facts->newest_seen_ms)
                return CLOCK_CREDIBLE_PLAUSIBLE;
        return CLOCK_CREDIBLE_NOT;
}

const char *clock_credible_name(enum clock_credible state) {
        switch (state) {
        case CLOCK_CREDIBLE_NOT:
                return "not-credible";
        case CLOCK_CREDIBLE_TIMESYNC:
                return "timesync";
        case CLOCK_CREDIBLE_KERNEL:
                return "kernel";
        case CLOCK_CREDIBLE_PLAUSIBLE:
                return "plausible";
        }
        return "not-credible";
}

/* Reading (modes 0) needs no privilege, but containers filter the call. */
static enum clock_kernel_state kernel_state(void) {
        struct timex timex = {.modes = 0};
        int state = adjtimex(&timex);

        if (state < 0)
                return CLOCK_KERNEL_UNKNOWN;
        return state == TIME_ERROR || (timex.status & STA_UNSYNC) ? CLOCK_KERNEL_UNSYNCED : CLOCK_KERNEL_SYNCED;
}

void clock_facts_read(struct clock_facts *facts, const char *flag_path) {
        facts->timesync_flag = access(flag_path ? flag_path : CLOCK_TIMESYNC_FLAG, F_OK) == 0;
        facts->kernel = kernel_state();
}

enum clock_credible clock_credible_check(int64_t wall_ms, int64_t newest_seen_ms, const char *flag_path) {
        struct clock_facts facts = {.wall_ms = wall_ms, .build_ms = clock_build_ms(), .newest_seen_ms = newest_seen_ms};

        clock_facts_read(&facts, flag_path);
        return clock_credible_decide(&facts);
}

#ifdef GATEWAYD_BUILD_EPOCH
int64_t clock_build_ms(void) {
        return (int64_t) GATEWAYD_BUILD_EPOCH * 1000;
}
#else
#error "the build sets GATEWAYD_BUILD_EPOCH"
#endif
