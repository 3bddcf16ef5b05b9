/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

static int64_t now_ms(clockid_t id) {
        struct timespec now;

        clock_gettime(id, &now);
        return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t time_now_monotonic_ms(void) {
        return now_ms(CLOCK_BOOTTIME);
}

int64_t time_now_wall_ms(void) {
        return now_ms(CLOCK_REALTIME);
}

static int64_t real_monotonic_ms(const struct clock *clock) {
        (void) clock;
        return time_now_monotonic_ms();
}

static int64_t real_wall_ms(const struct clock *clock) {
        (void) clock;
        return time_now_wall_ms();
}

const struct clock *clock_real(void) {
        static const struct clock real = {.monotonic_ms = real_monotonic_ms, .wall_ms = real_wall_ms};

        return &real;
}

/* clock is the first member of struct clock_fake. */
static int64_t fake_monotonic_ms(const struct clock *clock) {
        return ((const struct clock_fake *) clock)->now_monotonic_ms;
}

static int64_t fake_wall_ms(const struct clock *clock) {
        return ((const struct clock_fake *) clock)->now_wall_ms;
}

void clock_fake_init(struct clock_fake *fake, int64_t monotonic_ms, int64_t wall_ms) {
        *fake = (struct clock_fake){
                .clock = {.monotonic_ms = fake_monotonic_ms, .wall_ms = fake_wall_ms},
                .now_monotonic_ms = monotonic_ms,
                .now_wall_ms = wall_ms,
        };
}

void clock_fake_advance(struct clock_fake *fake, int64_t ms) {
        fake->now_monotonic_ms += ms;
        fake->now_wall_ms += ms;
}

/* --- the calendar and RFC 3339 --- */

bool time_is_leap_year(int year) {
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int time_days_in_month(int year, int month) {
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

        return month == 2 && time_is_leap_year(year) ? 29 : days[month - 1];
}

int64_t time_days_since_epoch(int year, int month, int day) {
        int64_t before = year - 1;
        int64_t days = before * 365 + before / 4 - before / 100 + before / 400 - 719162;

        for (int m = 1; m < month; m++)
                days += time_days_in_month(year, m);
        return days + day - 1;
}

/* Exactly n digits, then the character behind (0: anything). Moves *text behind both. */
static int read_digits(const char **text, int n, char behind, int min, int max, int *ret) {
        int value = 0;

        for (int i = 0; i < n; i++, (*text)++) {
                if (!isdigit((unsigned char) **text))
                        return -EINVAL;
                value = value * 10 + (**text - '0');
        }
        if (value < min || value > max)
                return -EINVAL;
        if (behind) {
                if (**text != behind)
                        return -EINVAL;
                (*text)++;
        }
        *ret = value;
        return 0;
}

static int read_fraction(const char **text, int *ret_ms) {
        int ms = 0, weight = 100;

        if (**text == '.') {
                (*text)++;
                if (!isdigit((unsigned char) **text))
                        return -EINVAL;
                for (; isdigit((unsigned char) **text); (*text)++, weight /= 10)
                        ms += weight * (**text - '0');
        }
        *ret_ms = ms;
        return 0;
}

/* "Z" or "+hh:mm"; nothing may follow. */
static int read_offset(const char *text, int *ret_minutes) {
        int hours, minutes, sign = *text == '-' ? -1 : 1;

        if (*text == 'Z' || *text == 'z') {
                *ret_minutes = 0;
                return text[1] ? -EINVAL : 0;
        }
        if (*text != '+' && *text != '-')
                return -EINVAL;
        text++;
        if (read_digits(&text, 2, ':', 0, 23, &hours) < 0 || read_digits(&text, 2, 0, 0, 59, &minutes) < 0 || *text)
                return -EINVAL;
        *ret_minutes = sign * (hours * 60 + minutes);
        return 0;
}

int time_parse_rfc3339(const char *text, int64_t *ret_wall_ms) {
        int year, month, day, hour, minute, second, ms, offset;
        int64_t seconds;

        if (read_digits(&text, 4, '-', 1970, 9999, &year) < 0 || read_digits(&text, 2, '-', 1, 12, &month) < 0 ||
            read_digits(&text, 2, 0, 1, time_days_in_month(year, month), &day) < 0)
                return -EINVAL;
        if (*text != 'T' && *text != 't')
                return -EINVAL;
        text++;
        if (read_digits(&text, 2, ':', 0, 23, &hour) < 0 || read_digits(&text, 2, ':', 0, 59, &minute) < 0 ||
            read_digits(&text, 2, 0, 0, 60, &second) < 0 || read_fraction(&text, &ms) < 0 || read_offset(text, &offset) < 0)
                return -EINVAL;
        seconds = time_days_since_epoch(year, month, day) * 86400 + hour * 3600 + (minute - offset) * 60 + second;
        *ret_wall_ms = seconds * 1000 + ms;
        return 0;
}

int time_format_rfc3339(char *dst, size_t size, int64_t wall_ms) {
        time_t seconds = (time_t) (wall_ms / 1000);
        int ms = (int) (wall_ms % 1000), n;
        struct tm tm;

        if (wall_ms < 0 || !gmtime_r(&seconds, &tm) || tm.tm_year + 1900 > 9999)
                return -ERANGE;
        n = snprintf(dst, size, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                     tm.tm_sec);
        if (n < 0 || (size_t) n >= size)
                return -ENOBUFS;
        if (ms)
                n += snprintf(dst + n, size - (size_t) n, ".%03dZ", ms);
        else
                n += snprintf(dst + n, size - (size_t) n, "Z");
        return (size_t) n >= size ? -ENOBUFS : 0;
}
