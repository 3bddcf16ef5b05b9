/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * May the wall clock be believed? Asked before anything is judged by `exp`, windows or deadlines, and before TLS.
 *
 *     before the build date                                    -> not credible, whoever claims it
 *     systemd-timesyncd's flag file, or the kernel says synced -> credible
 *     else later than the build date and the newest time seen  -> credible (a machine with a clock chip and no network)
 *     else                                                     -> not credible: error `clock-not-credible` waits
 *
 * Reading (files, adjtimex) and deciding are separate, so that the decision is a table test.
 */

#include <stdbool.h>
#include <stdint.h>

enum clock_kernel_state {
        CLOCK_KERNEL_UNKNOWN,  /* adjtimex is not allowed here (container, seccomp) */
        CLOCK_KERNEL_UNSYNCED, /* STA_UNSYNC */
        CLOCK_KERNEL_SYNCED,
};

struct clock_facts {
        int64_t wall_ms;
        int64_t build_ms;       /* date of the build or of the newest changelog entry */
        int64_t newest_seen_ms; /* newest time the store ever recorded; 0 = none */
        bool timesync_flag;
        enum clock_kernel_state kernel;
};

enum clock_credible {
        CLOCK_CREDIBLE_NOT,
        CLOCK_CREDIBLE_TIMESYNC,  /* systemd-timesyncd has synchronised since boot */
        CLOCK_CREDIBLE_KERNEL,    /* another NTP client disciplines the kernel clock */
        CLOCK_CREDIBLE_PLAUSIBLE, /* nobody vouches, but it is later than all we know */
};

#define CLOCK_TIMESYNC_FLAG "/run/systemd/timesync/synchronized"

/* Pure. */
enum clock_credible clock_credible_decide(const struct clock_facts *facts);

/* "not-credible", "timesync", "kernel", "plausible": for reports and the audit. */
const char *clock_credible_name(enum clock_credible state);

/* Fills timesync_flag and kernel. flag_path NULL: CLOCK_TIMESYNC_FLAG. */
void clock_facts_read(struct clock_facts *facts, const char *flag_path);

/* Reads and decides. newest_seen_ms from the store; build date is the one of this build. */
enum clock_credible clock_credible_check(int64_t wall_ms, int64_t newest_seen_ms, const char *flag_path);

/* Date of this build: GATEWAYD_BUILD_EPOCH in seconds, which CMake sets from SOURCE_DATE_EPOCH or the time of configuring. */
int64_t clock_build_ms(void);
