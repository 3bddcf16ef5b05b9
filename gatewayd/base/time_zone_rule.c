/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time_zone_rule.h"

#include <ctype.h>
#include <string.h>

#include "base/time.h"

#define DAY_S (24 * 3600)
#define CHANGE_TIME_MAX_S (167 * 3600 + 3599)
#define CHANGE_TIME_DEFAULT_S (2 * 3600)

/* Summers are known of from about the year 881 to 10680. */
#define FIRST_S (-((int64_t) 1 << 35))
#define LAST_S ((int64_t) 1 << 38)

/* --- reading; each reader moves *text behind what it took --- */

static int read_number(const char **text, int max, int *ret) {
        int value = 0;

        if (!isdigit((unsigned char) **text))
                return -EBADMSG;
        for (; isdigit((unsigned char) **text); (*text)++) {
                value = value * 10 + (**text - '0');
                if (value > max)
                        return -EBADMSG;
        }
        *ret = value;
        return 0;
}

static bool take(const char **text, char c) {
        if (**text != c)
                return false;
        (*text)++;
        return true;
}

/* "CET" or "<+0545>". */
static int skip_name(const char **text) {
        const char *start = *text;

        if (take(text, '<')) {
                while (isalnum((unsigned char) **text) || **text == '+' || **text == '-')
                        (*text)++;
                return *text - start > 3 && take(text, '>') ? 0 : -EBADMSG;
        }
        while (isalpha((unsigned char) **text))
                (*text)++;
        return *text - start >= 3 ? 0 : -EBADMSG;
}

/* [+-]hh[:mm[:ss]] */
static int read_time(const char **text, int32_t max_s, int32_t *ret_s) {
        int hours, minutes = 0, seconds = 0, sign = 1;
        int32_t total;

        if (take(text, '-'))
                sign = -1;
        else
                take(text, '+');
        if (read_number(text, 999, &hours) < 0)
                return -EBADMSG;
        if (take(text, ':') && (read_number(text, 59, &minutes) < 0 || (take(text, ':') && read_number(text, 59, &seconds) < 0)))
                return -EBADMSG;
        total = hours * 3600 + minutes * 60 + seconds;
        if (total > max_s)
                return -EBADMSG;
        *ret_s = sign * total;
        return 0;
}

/* POSIX counts west of Greenwich. */
static int read_offset(const char **text, int32_t *ret_s) {
        int32_t west_s;

        if (read_time(text, TIME_ZONE_OFFSET_MAX_S, &west_s) < 0)
                return -EBADMSG;
        *ret_s = -west_s;
        return 0;
}

static int read_weekday(const char **text, struct time_zone_change *ret) {
        ret->kind = TIME_ZONE_DAY_OF_WEEKDAY;
        if (read_number(text, 12, &ret->month) < 0 || !take(text, '.') || read_number(text, 5, &ret->week) < 0 || !take(text, '.') ||
            read_number(text, 6, &ret->day) < 0)
                return -EBADMSG;
        return ret->month > 0 && ret->week > 0 ? 0 : -EBADMSG;
}

static int read_day(const char **text, struct time_zone_change *ret) {
        if (take(text, 'M'))
                return read_weekday(text, ret);
        if (take(text, 'J')) {
                ret->kind = TIME_ZONE_DAY_JULIAN;
                return read_number(text, 365, &ret->day) < 0 || ret->day == 0 ? -EBADMSG : 0;
        }
        ret->kind = TIME_ZONE_DAY_OF_YEAR;
        return read_number(text, 365, &ret->day);
}

/* ",M3.5.0/3" */
static int read_change(const char **text, struct time_zone_change *ret) {
        ret->time_s = CHANGE_TIME_DEFAULT_S;
        if (!take(text, ',') || read_day(text, ret) < 0)
                return -EBADMSG;
        return take(text, '/') ? read_time(text, CHANGE_TIME_MAX_S, &ret->time_s) : 0;
}

int time_zone_rule_parse(const char *text, struct time_zone_rule *ret) {
        struct time_zone_rule rule = {0};

        if (skip_name(&text) < 0 || read_offset(&text, &rule.standard_s) < 0)
                return -EBADMSG;
        if (*text) {
                rule.has_summer = true;
                rule.summer_s = rule.standard_s + 3600;
                if (skip_name(&text) < 0 || (*text != ',' && read_offset(&text, &rule.summer_s) < 0))
                        return -EBADMSG;
                if (read_change(&text, &rule.to_summer) < 0 || read_change(&text, &rule.to_standard) < 0 || *text)
                        return -EBADMSG;
        }
        *ret = rule;
        return 0;
}

/* --- when does it change --- */

/* 0 is Sunday; 1970-01-01 was a Thursday. */
static int weekday_of(int64_t days) {
        return (int) (((days + 4) % 7 + 7) % 7);
}

static int64_t weekday_in_month(const struct time_zone_change *change, int year) {
        int64_t first = time_days_since_epoch(year, change->month, 1);
        int day = 1 + (change->day - weekday_of(first) + 7) % 7 + (change->week - 1) * 7;

        if (day > time_days_in_month(year, change->month))
                day -= 7;
        return first + day - 1;
}

static int64_t day_of_change(const struct time_zone_change *change, int year) {
        int64_t new_year = time_days_since_epoch(year, 1, 1);

        switch (change->kind) {
        case TIME_ZONE_DAY_JULIAN:
                return new_year + change->day - 1 + (time_is_leap_year(year) && change->day > 59 ? 1 : 0);
        case TIME_ZONE_DAY_OF_YEAR:
                return new_year + change->day;
        case TIME_ZONE_DAY_OF_WEEKDAY:
                return weekday_in_month(change, year);
        }
        return new_year;
}

static int64_t instant_of_change(const struct time_zone_change *change, int year, int32_t offset_before_s) {
        return day_of_change(change, year) * DAY_S + change->time_s - offset_before_s;
}

struct change_at {
        int64_t at_s;
        bool to_summer;
};

/* By time; at one instant the change to summer comes last, as a zone whose summer lasts all year writes it. */
static void insert_change(struct change_at *changes, size_t n, struct change_at change) {
        for (; n > 0; n--) {
                const struct change_at *before = &changes[n - 1];

                if (before->at_s < change.at_s || (before->at_s == change.at_s && change.to_summer))
                        break;
                changes[n] = *before;
        }
        changes[n] = change;
}

static int year_of(int64_t unix_s) {
        int year = (int) (1970 + unix_s / (365 * (int64_t) DAY_S + DAY_S / 4));

        while (time_days_since_epoch(year, 1, 1) * DAY_S > unix_s)
                year--;
        while (time_days_since_epoch(year + 1, 1, 1) * DAY_S <= unix_s)
                year++;
        return year;
}

struct time_zone_span time_zone_rule_span(const struct time_zone_rule *rule, int64_t unix_s) {
        struct time_zone_span span = {INT64_MIN, INT64_MAX, rule->standard_s};
        struct change_at changes[10];
        size_t n = 0;
        int year;

        if (!rule->has_summer)
                return span;
        if (unix_s < FIRST_S)
                return (struct time_zone_span){INT64_MIN, FIRST_S, rule->standard_s};
        if (unix_s >= LAST_S)
                return (struct time_zone_span){LAST_S, INT64_MAX, rule->standard_s};
        year = year_of(unix_s);
        /* A change may be a week before or behind its day, so in the year beside; the first and the last of them are known completely. */
        for (int y = year - 2; y <= year + 2; y++) {
                insert_change(changes, n++, (struct change_at){instant_of_change(&rule->to_summer, y, rule->standard_s), true});
                insert_change(changes, n++, (struct change_at){instant_of_change(&rule->to_standard, y, rule->summer_s), false});
        }
        for (size_t i = 0; i < n; i++) {
                if (changes[i].at_s > unix_s) {
                        span.to_s = changes[i].at_s;
                        break;
                }
                span.from_s = changes[i].at_s;
                span.offset_s = changes[i].to_summer ? rule->summer_s : rule->standard_s;
        }
        span.from_s = MAX(span.from_s, FIRST_S);
        span.to_s = MIN(span.to_s, LAST_S);
        return span;
}
