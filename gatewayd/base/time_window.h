/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A maintenance window as people write it: on which days, from when, how long, where. Campaign documents, gatewayd.conf and gatewayctl
 * share these words; when one is open is document/windows.h.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define TIME_WINDOW_DAYS 7
#define TIME_WINDOW_EVERY_DAY 0x7f
#define TIME_WINDOW_START_SIZE sizeof("22:00")

struct time_window {
        uint8_t days;          /* of the local date on which it opens: bit 0 is Monday, bit 6 Sunday; never 0 */
        uint16_t start_min;    /* local time, minutes since midnight: 0..1439 */
        uint32_t duration_min; /* real time that passes, whatever the clocks on the wall do: 1..TIME_WINDOW_DURATION_MAX_MIN */
        char *timezone;        /* a name of the time zone database, or UTC */
};

/* What the list owns, and the list. */
void time_windows_free(struct time_window *windows, size_t n_windows);

/* "mon" .. "sun" for 0 .. 6. */
const char *time_window_day_name(unsigned day);
/* The bit of a day, 0 for any other word. */
uint8_t time_window_day_bit(const char *text);

/* "22:00", two digits each. -EINVAL. */
int time_window_parse_start(const char *text, uint16_t *ret_min);
void time_window_format_start(char dst[TIME_WINDOW_START_SIZE], uint16_t start_min);

/* Europe/Oslo, UTC, Etc/GMT+5: words of A-Z a-z 0-9 _ + - joined by "/", at most TIME_ZONE_NAME_MAX characters. Whether there is
 * such a zone is base/time_zone.h's to say. */
bool time_zone_is_name(const char *text);

/*
 * Windows of one line, separated by ";": "[DAYS] START DURATION TIMEZONE", e.g. "mon,tue 22:00 7h Europe/Oslo; sat-sun 08:00 10h UTC".
 * DAYS are days and ranges (fri-mon goes over the weekend), absent: every day. The duration is one of str_parse_duration_ms(), whole
 * minutes. An empty text is no window. -EINVAL with the sentence that says what is wrong; -ENOMEM.
 */
int time_windows_parse(const char *text, struct time_window **ret_windows, size_t *ret_n_windows, char *why, size_t why_size);
/* One window in these words. -ENOBUFS. */
int time_window_format(char *dst, size_t size, const struct time_window *window);
