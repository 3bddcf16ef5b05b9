/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of time_zone.h: the rule that holds behind the last transition of a TZif file, written as the value of TZ in POSIX, with the
 * extensions of TZif version 3 (times of -167 to 167 hours).
 */

#include <stdbool.h>

#include "base/time_zone.h"

#define TIME_ZONE_OFFSET_MAX_S (26 * 3600 - 1) /* RFC 9636 section 3.2 */

enum time_zone_day_kind {
        TIME_ZONE_DAY_JULIAN,     /* Jn: 1..365, 29 February is never counted */
        TIME_ZONE_DAY_OF_YEAR,    /* n: 0..365 */
        TIME_ZONE_DAY_OF_WEEKDAY, /* Mm.w.d */
};

struct time_zone_change {
        enum time_zone_day_kind kind;
        int month;      /* 1..12 */
        int week;       /* 1..5, 5 is the last */
        int day;        /* of the year, or of the week (0 is Sunday) */
        int32_t time_s; /* local time before the change */
};

struct time_zone_rule {
        int32_t standard_s; /* offset to UTC */
        bool has_summer;
        int32_t summer_s;
        struct time_zone_change to_summer, to_standard;
};

/* -EBADMSG. */
int time_zone_rule_parse(const char *text, struct time_zone_rule *ret);
struct time_zone_span time_zone_rule_span(const struct time_zone_rule *rule, int64_t unix_s);
