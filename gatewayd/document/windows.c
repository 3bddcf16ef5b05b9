/* SPDX-License-Identifier: Apache-2.0 */
#include "document/windows.h"

#include <string.h>

#include "base/limits.h"

#define DAY_S (24 * 3600)
/* A start of so many days ago may still be open. */
#define DAYS_BACK ((int) (TIME_WINDOW_DURATION_MAX_MIN / (24 * 60) + 1))
#define AHEAD_S (WINDOWS_AHEAD_MS / 1000)
#define STRETCH_MAX_S (WINDOWS_STRETCH_MAX_MS / 1000)
/* Openings and closings that one question looks at: bounds the time that windows without a common minute can cost. */
#define STEPS_MAX 2000

struct window {
        uint8_t days;
        int32_t start_s; /* local, since midnight */
        int64_t duration_s;
        const struct time_zone *zone;
};

struct windows {
        size_t n_items;
        struct window items[];
};

int windows_new(const struct time_window *list, size_t n_list, struct time_zones *zones, struct windows **ret_windows,
                struct gw_error *err) {
        _cleanup_windows_ struct windows *windows = calloc(1, sizeof(*windows) + n_list * sizeof(windows->items[0]));

        if (!windows)
                return -ENOMEM;
        for (size_t i = 0; i < n_list; i++) {
                struct window *window = &windows->items[i];
                int r = time_zones_get(zones, list[i].timezone, &window->zone);

                if (r < 0) {
                        gw_error_set(err, "timezone-unknown", "time zone %s: %s", list[i].timezone,
                                     r == -ENOENT ? "not in the database" : strerror(-r));
                        return r;
                }
                window->days = list[i].days;
                window->start_s = list[i].start_min * 60;
                window->duration_s = (int64_t) list[i].duration_min * 60;
        }
        windows->n_items = n_list;
        *ret_windows = TAKE_PTR(windows);
        return 0;
}

void windows_free(struct windows *windows) {
        free(windows);
}

/* --- one window --- */

/* The local date at this instant, in days since 1970-01-01. */
static int64_t local_day(const struct window *window, int64_t now_s) {
        int64_t local_s = now_s + time_zone_span(window->zone, now_s).offset_s;

        return local_s / DAY_S - (local_s % DAY_S < 0 ? 1 : 0);
}

static bool opens_on(const struct window *window, int64_t day) {
        int weekday = (int) (((day + 3) % 7 + 7) % 7); /* Monday is 0; 1970-01-01 was a Thursday */

        return window->days & 1u << weekday;
}

static int64_t start_on(const struct window *window, int64_t day) {
        return time_zone_from_local(window->zone, day * DAY_S + window->start_s);
}

/* When what is open now closes; now_s when nothing is. Of starts that lie behind now the last one is open longest. */
static int64_t window_end(const struct window *window, int64_t now_s) {
        int64_t today = local_day(window, now_s);

        for (int64_t day = today + 1; day >= today - DAYS_BACK; day--) {
                int64_t start_s;

                if (!opens_on(window, day))
                        continue;
                start_s = start_on(window, day);
                if (start_s <= now_s)
                        return MAX(start_s + window->duration_s, now_s);
        }
        return now_s;
}

/* The next start behind now. */
static int64_t window_next(const struct window *window, int64_t now_s) {
        int64_t today = local_day(window, now_s);

        for (int64_t day = today - 1; day <= today + 8; day++) {
                int64_t start_s;

                if (!opens_on(window, day))
                        continue;
                start_s = start_on(window, day);
                if (start_s > now_s)
                        return start_s;
        }
        return INT64_MAX;
}

/* --- the windows of one owner --- */

static bool is_restricted(const struct windows *windows) {
        return windows && windows->n_items > 0;
}

/* When the stretch that is open now ends; now_s when none is. */
static int64_t stretch_end(const struct windows *windows, int64_t now_s) {
        int64_t end_s = now_s, before_s;

        if (!is_restricted(windows))
                return now_s + STRETCH_MAX_S;
        do {
                before_s = end_s;
                for (size_t i = 0; i < windows->n_items; i++)
                        end_s = MAX(end_s, window_end(&windows->items[i], before_s));
        } while (end_s > before_s && end_s < now_s + STRETCH_MAX_S);
        return MIN(end_s, now_s + STRETCH_MAX_S);
}

static int64_t next_start(const struct windows *windows, int64_t now_s) {
        int64_t next_s = INT64_MAX;

        for (size_t i = 0; i < windows->n_items; i++)
                next_s = MIN(next_s, window_next(&windows->items[i], now_s));
        return next_s;
}

/* --- both --- */

/* Whichever is closed is moved to its next start, until both are open. */
static int64_t next_common_start(const struct windows_pair *pair, int64_t now_s) {
        int64_t at_s = now_s;

        for (int step = 0; step < STEPS_MAX && at_s - now_s < AHEAD_S; step++) {
                bool campaign_open = stretch_end(pair->campaign, at_s) > at_s, gateway_open = stretch_end(pair->gateway, at_s) > at_s;

                if (campaign_open && gateway_open)
                        return at_s;
                at_s = next_start(campaign_open ? pair->gateway : pair->campaign, at_s);
                if (at_s == INT64_MAX)
                        break;
        }
        return INT64_MAX;
}

static struct windows_state state_at(const struct windows_pair *pair, int64_t now_s) {
        int64_t end_s = MIN(stretch_end(pair->campaign, now_s), stretch_end(pair->gateway, now_s));

        if (end_s > now_s)
                return (struct windows_state){.open = true, .until_ms = end_s};
        return (struct windows_state){.open = false, .until_ms = next_common_start(pair, now_s)};
}

struct windows_state windows_at(const struct windows_pair *pair, int64_t now_ms) {
        struct windows_state state;

        if (!is_restricted(pair->campaign) && !is_restricted(pair->gateway))
                return (struct windows_state){.open = true, .until_ms = INT64_MAX};
        state = state_at(pair, now_ms / 1000);
        if (state.until_ms != INT64_MAX)
                state.until_ms *= 1000;
        return state;
}

int64_t windows_longest_ms(const struct windows_pair *pair, int64_t from_ms, int64_t to_ms) {
        int64_t longest_ms = 0, at_ms = from_ms;

        for (int step = 0; step < STEPS_MAX && at_ms < to_ms; step++) {
                struct windows_state state = windows_at(pair, at_ms);
                int64_t until_ms = MIN(state.until_ms, to_ms);

                if (state.open)
                        longest_ms = MAX(longest_ms, until_ms - at_ms);
                at_ms = until_ms;
        }
        return longest_ms;
}
