/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * When work may start: the jitter of a gateway, maintenance windows, battery and signal of a device. Pure; update/hold.c and
 * update/schedule.c ask it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "document/windows.h"

/* Before the end of a window no device is reset any more: what goes wrong then has no time to come right. */
#define WINDOW_LAST_MS (5 * 60 * 1000)

/* How long this gateway waits, 0..max_ms: always the same for the same campaign, spread evenly over the gateways. */
int64_t start_jitter_ms(const char *gateway_id, const char *campaign_id, int64_t max_ms);

/* When the stretch that is open at now_ms began; what began at least back_ms ago (the windows are open then already) is now_ms - back_ms. */
int64_t windows_opened_ms(const struct windows_pair *pair, int64_t now_ms, int64_t back_ms);

/* A job and the window it would run in. */
struct window_job {
        int64_t eta_ms;   /* 0: nobody knows */
        int64_t rest_ms;  /* until the window closes */
        int64_t whole_ms; /* the longest window until the deadline */
        bool can_be_suspended;
};

enum window_fit {
        WINDOW_FITS,
        WINDOW_FITS_LATER, /* into a window, but not into the rest of this one */
        WINDOW_FITS_NEVER,
};

enum window_fit window_fit(const struct window_job *job);

/* A fact that is not known, of a device that was asked, is one that the device does not have: then the rule does not bind it. */
bool battery_is_enough(int battery_percent, int min_percent);
bool signal_is_enough(int rssi_dbm, int min_dbm);
