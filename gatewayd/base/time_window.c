/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time_window.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"

#define MINUTE_MS (60 * (int64_t) 1000)
#define ENTRY_MAX 256 /* characters of one window */

static const char *const day_names[TIME_WINDOW_DAYS] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

void time_windows_free(struct time_window *windows, size_t n_windows) {
        for (size_t i = 0; i < n_windows; i++)
                free(windows[i].timezone);
        free(windows);
}

const char *time_window_day_name(unsigned day) {
        return day < TIME_WINDOW_DAYS ? day_names[day] : "?";
}

uint8_t time_window_day_bit(const char *text) {
        for (unsigned i = 0; i < TIME_WINDOW_DAYS; i++)
                if (strcmp(text, day_names[i]) == 0)
                        return (uint8_t) (1u << i);
        return 0;
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

int time_window_parse_start(const char *text, uint16_t *ret_min) {
        int hour, minute;

        if (strlen(text) != 5 || !is_digit(text[0]) || !is_digit(text[1]) || text[2] != ':' || !is_digit(text[3]) || !is_digit(text[4]))
                return -EINVAL;
        hour = (text[0] - '0') * 10 + text[1] - '0';
        minute = (text[3] - '0') * 10 + text[4] - '0';
        if (hour > 23 || minute > 59)
                return -EINVAL;
        *ret_min = (uint16_t) (hour * 60 + minute);
        return 0;
}

void time_window_format_start(char dst[TIME_WINDOW_START_SIZE], uint16_t start_min) {
        snprintf(dst, TIME_WINDOW_START_SIZE, "%02u:%02u", start_min / 60u % 24u, start_min % 60u);
}

bool time_zone_is_name(const char *text) {
        static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-";

        if (strlen(text) > TIME_ZONE_NAME_MAX)
                return false;
        for (;;) {
                size_t size = strspn(text, characters);

                if (size == 0)
                        return false;
                text += size;
                if (*text == '\0')
                        return true;
                if (*text++ != '/')
                        return false;
        }
}

/* --- one line of windows --- */

/* All days from the first to the last, over the end of the week where the last comes first. */
static uint8_t days_of_range(uint8_t first, uint8_t last) {
        uint8_t days = first;

        while (first != last) {
                first = first == 1u << 6 ? 1 : (uint8_t) (first << 1);
                days |= first;
        }
        return days;
}

static uint8_t parse_day_or_range(char *text) {
        char *dash = strchr(text, '-');
        uint8_t first, last;

        if (!dash)
                return time_window_day_bit(text);
        *dash = '\0';
        first = time_window_day_bit(text);
        last = time_window_day_bit(dash + 1);
        return first && last ? days_of_range(first, last) : 0;
}

/* "mon,wed-fri"; 0 when a word of it is no day. */
static uint8_t parse_days(char *text) {
        uint8_t days = 0;

        for (char *word; (word = strsep(&text, ","));) {
                uint8_t more = parse_day_or_range(word);

                if (more == 0)
                        return 0;
                days |= more;
        }
        return days;
}

static int parse_duration(const char *text, uint32_t *ret_min) {
        int64_t ms;

        if (str_parse_duration_ms(text, &ms) < 0 || ms % MINUTE_MS != 0 || ms < MINUTE_MS || ms > TIME_WINDOW_DURATION_MAX_MIN * MINUTE_MS)
                return -EINVAL;
        *ret_min = (uint32_t) (ms / MINUTE_MS);
        return 0;
}

/* The next word of *text, "" at its end. */
static char *next_word(char **text) {
        char *word = *text + strspn(*text, " \t");
        char *end = word + strcspn(word, " \t");

        *text = end;
        if (*end) {
                *end = '\0';
                *text = end + 1;
        }
        return word;
}

static bool is_blank(char c) {
        return c == ' ' || c == '\t';
}

/* Cuts the last word off; "" where it is the only one. */
static char *last_word(char *text) {
        char *end;

        text = str_trim(text);
        end = text + strlen(text);
        while (end > text && !is_blank(end[-1]))
                end--;
        if (end == text)
                return text + strlen(text);
        end[-1] = '\0';
        return end;
}

static int parse_entry(char *text, struct time_window *window, char *why, size_t why_size) {
        char *word = next_word(&text);
        char *timezone;

        window->days = TIME_WINDOW_EVERY_DAY;
        if (!is_digit(*word)) {
                window->days = parse_days(word);
                if (window->days == 0) {
                        str_format(why, why_size, "expected days such as mon,wed-fri, or a time such as 22:00");
                        return -EINVAL;
                }
                word = next_word(&text);
        }
        if (time_window_parse_start(word, &window->start_min) < 0) {
                str_format(why, why_size, "expected a time such as 22:00, found \"%.32s\"", word);
                return -EINVAL;
        }
        timezone = last_word(text);
        if (!time_zone_is_name(timezone) || is_digit(*timezone)) {
                str_format(why, why_size, "expected a time zone such as Europe/Oslo at the end");
                return -EINVAL;
        }
        if (parse_duration(text, &window->duration_min) < 0) {
                str_format(why, why_size, "expected a duration of whole minutes up to 7 d between start and time zone");
                return -EINVAL;
        }
        window->timezone = strdup(timezone);
        return window->timezone ? 0 : -ENOMEM;
}

struct windows_under_way {
        struct time_window *items;
        size_t n_items;
};

static void under_way_deinit(struct windows_under_way *windows) {
        time_windows_free(windows->items, windows->n_items);
}

static int append_entry(struct windows_under_way *windows, const char *text, size_t size, char *why, size_t why_size) {
        char entry[ENTRY_MAX];
        int r;

        if (strspn(text, " \t") >= size)
                return 0;
        if (windows->n_items == TIME_WINDOWS_MAX || str_copy_n(entry, sizeof(entry), text, size) < 0) {
                str_format(why, why_size, "at most %d windows of %d characters", TIME_WINDOWS_MAX, ENTRY_MAX - 1);
                return -EINVAL;
        }
        r = parse_entry(entry, &windows->items[windows->n_items], why, why_size);
        if (r == 0)
                windows->n_items++;
        return r;
}

int time_windows_parse(const char *text, struct time_window **ret_windows, size_t *ret_n_windows, char *why, size_t why_size) {
        _cleanup_(under_way_deinit) struct windows_under_way windows = {calloc(TIME_WINDOWS_MAX, sizeof(*windows.items)), 0};

        if (!windows.items)
                return -ENOMEM;
        for (;;) {
                size_t size = strcspn(text, ";");
                int r = append_entry(&windows, text, size, why, why_size);

                if (r < 0)
                        return r;
                if (text[size] == '\0')
                        break;
                text += size + 1;
        }
        *ret_n_windows = windows.n_items;
        windows.n_items = 0;
        *ret_windows = TAKE_PTR(windows.items);
        return 0;
}

/* --- back to words --- */

/* "mon-wed,sat": the runs of days within a week. */
static int format_days(struct strbuf *out, uint8_t days) {
        for (unsigned day = 0; day < TIME_WINDOW_DAYS; day++) {
                unsigned last = day;

                if (!(days & 1u << day))
                        continue;
                while (last + 1 < TIME_WINDOW_DAYS && days & 1u << (last + 1))
                        last++;
                strbuf_appendf(out, "%s%s", out->size > 0 ? "," : "", day_names[day]);
                if (last > day)
                        strbuf_appendf(out, "%s%s", last > day + 1 ? "-" : ",", day_names[last]);
                day = last;
        }
        return out->error;
}

int time_window_format(char *dst, size_t size, const struct time_window *window) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(ENTRY_MAX);
        char start[TIME_WINDOW_START_SIZE], duration[32];

        time_window_format_start(start, window->start_min);
        str_format_duration_ms(duration, sizeof(duration), window->duration_min * MINUTE_MS);
        if (window->days != TIME_WINDOW_EVERY_DAY) {
                format_days(&out, window->days);
                strbuf_append_char(&out, ' ');
        }
        strbuf_appendf(&out, "%s %s %s", start, duration, window->timezone);
        return out.error < 0 ? out.error : str_copy(dst, size, strbuf_text(&out));
}
