/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Time: int64 milliseconds everywhere. Monotonic (CLOCK_BOOTTIME, so that a suspend counts) for deadlines, wall clock for
 * records. Code that decides by time takes a struct clock, so that its tests hand in a fake one and never sleep.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t time_now_monotonic_ms(void);
int64_t time_now_wall_ms(void); /* since 1970-01-01T00:00:00Z, without leap seconds */

struct clock {
        int64_t (*monotonic_ms)(const struct clock *clock);
        int64_t (*wall_ms)(const struct clock *clock);
};

static inline int64_t clock_monotonic_ms(const struct clock *clock) {
        return clock->monotonic_ms(clock);
}

static inline int64_t clock_wall_ms(const struct clock *clock) {
        return clock->wall_ms(clock);
}

/* The clocks of the system; static, never freed. */
const struct clock *clock_real(void);

/* A clock that moves only when told. Hand out &fake.clock. */
struct clock_fake {
        struct clock clock;
        int64_t now_monotonic_ms;
        int64_t now_wall_ms;
};

void clock_fake_init(struct clock_fake *fake, int64_t monotonic_ms, int64_t wall_ms);
void clock_fake_advance(struct clock_fake *fake, int64_t ms); /* both */

/* The Gregorian calendar, years from 1 on; month 1..12, day 1... Days are counted from 1970-01-01, a Thursday. */
bool time_is_leap_year(int year);
int time_days_in_month(int year, int month);
int64_t time_days_since_epoch(int year, int month, int day);

#define TIME_RFC3339_SIZE sizeof("2026-12-05T00:00:00.000Z")

/*
 * RFC 3339 with date, "T", time, optional fraction (digits beyond ms are cut) and "Z" or an offset; years 1970-9999, second
 * 60 is read as the next minute. -EINVAL.
 */
int time_parse_rfc3339(const char *text, int64_t *ret_wall_ms);
/* UTC; milliseconds only when they are not zero. Outside the years 1970-9999: -ERANGE. */
int time_format_rfc3339(char *dst, size_t size, int64_t wall_ms);
