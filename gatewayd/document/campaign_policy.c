/* SPDX-License-Identifier: Apache-2.0 */
#include "document/campaign_policy.h"

#include "base/limits.h"
#include "base/str.h"
#include "base/time.h"

#define MINUTE_MS (60 * (int64_t) 1000)
#define DEFAULT_JITTER_MS (300 * (int64_t) 1000)

const struct campaign_policy campaign_policy_default = {
        .mode = GW_MODE_TEST_AND_CONFIRM,
        .trial_ms = 60 * 1000,
        .trial_checks = 2,
        .abort = {.failed_count = 3, .failed_percent = 20, .min_finished = 5, .action = CAMPAIGN_ABORT_PAUSE},
        .start_jitter_ms = -1,
        .concurrency = 3,
        .attempts = 5,
        .battery_min_percent = -1,
};

static const struct campaign_wave waves_of_signed[] = {{.count = 2}, {.percent = 25}, {.percent = 100}};
static const struct campaign_wave waves_at_once[] = {{.percent = 100}};

static const struct integer_range device_count = {1, CAMPAIGN_COUNT_MAX};
static const struct integer_range share_percent = {1, 100};

static void read_count(struct reader *reader, struct place place, const char *member, struct integer_range range, uint32_t *dst) {
        int64_t number;

        if (reader_integer(reader, place, member, range, &number))
                *dst = (uint32_t) number;
}

static void read_seconds(struct reader *reader, struct place place, const char *member, int64_t max_s, int64_t *dst_ms) {
        int64_t number;

        if (reader_integer(reader, place, member, (struct integer_range){0, max_s}, &number))
                *dst_ms = number * 1000;
}

/* The member as a place of its own; path has room for JSON_PATH_MAX. False: absent, or no object (then it was reported). */
static bool enter_object(struct reader *reader, struct place outer, const char *member, char *path, struct place *ret) {
        if (!reader_object(reader, outer, member, &ret->json))
                return false;
        json_path_member(path, outer.path, member);
        ret->path = path;
        return true;
}

static void read_trial(struct reader *reader, struct place policy_place, struct campaign_policy *policy) {
        static const char *const allowed[] = {"duration_s", "checks"};
        char path[JSON_PATH_MAX];
        struct place place;

        if (!enter_object(reader, policy_place, "trial", path, &place))
                return;
        reader_members(reader, place, allowed, ARRAY_SIZE(allowed));
        read_seconds(reader, place, "duration_s", CAMPAIGN_TRIAL_MAX_S, &policy->trial_ms);
        read_count(reader, place, "checks", (struct integer_range){1, CAMPAIGN_TRIAL_CHECKS_MAX}, &policy->trial_checks);
}

/* --- waves --- */

/* False: it is wrong, and was reported. */
static bool read_wave(struct reader *reader, struct place place, struct campaign_wave *wave) {
        static const char *const allowed[] = {"count", "percent"};

        if (!reader_members(reader, place, allowed, ARRAY_SIZE(allowed)))
                return false;
        if (json_length(place.json) != 1) {
                reader_mistake(reader, place.path, NULL, "expected either count or percent");
                return false;
        }
        read_count(reader, place, "count", device_count, &wave->count);
        read_count(reader, place, "percent", share_percent, &wave->percent);
        return wave->count > 0 || wave->percent > 0;
}

/* Counts and percents can be compared only with their like: which of 5 devices and 10 % is more depends on the gateway. */
static void check_wave_order(struct reader *reader, const char *path, const struct campaign_wave *wave, struct campaign_wave *largest) {
        if (largest->percent == 100)
                reader_mistake(reader, path, NULL, "stands behind a wave of all devices");
        else if (wave->count < largest->count && wave->count > 0)
                reader_mistake(reader, path, NULL, "is smaller than a wave before it: shares are cumulative");
        else if (wave->percent < largest->percent && wave->percent > 0)
                reader_mistake(reader, path, NULL, "is smaller than a wave before it: shares are cumulative");
        largest->count = MAX(largest->count, wave->count);
        largest->percent = MAX(largest->percent, wave->percent);
}

static void read_waves(struct reader *reader, struct place policy_place, struct campaign_policy *policy) {
        const struct json *list = json_child(policy_place.json, "waves");
        char path[JSON_PATH_MAX], item_path[JSON_PATH_MAX];
        struct campaign_wave largest = {0};

        if (!reader_array(reader, policy_place, "waves", 1, CAMPAIGN_WAVES_MAX))
                return;
        json_path_member(path, policy_place.path, "waves");
        policy->n_waves = json_length(list);
        for (size_t i = 0; i < policy->n_waves; i++) {
                policy->waves[i] = (struct campaign_wave){0};
                json_path_index(item_path, path, i);
                if (read_wave(reader, (struct place){json_at(list, i), item_path}, &policy->waves[i]))
                        check_wave_order(reader, item_path, &policy->waves[i], &largest);
        }
}

/* --- abort --- */

static void read_abort(struct reader *reader, struct place policy_place, struct campaign_abort *abort) {
        static const char *const allowed[] = {"failed_count", "failed_percent", "min_finished", "action"};
        char path[JSON_PATH_MAX];
        struct place place;
        const char *text;

        if (!enter_object(reader, policy_place, "abort", path, &place))
                return;
        reader_members(reader, place, allowed, ARRAY_SIZE(allowed));
        read_count(reader, place, "failed_count", device_count, &abort->failed_count);
        read_count(reader, place, "failed_percent", share_percent, &abort->failed_percent);
        read_count(reader, place, "min_finished", device_count, &abort->min_finished);
        if (reader_text(reader, place, "action", &rule_abort_action, &text))
                campaign_abort_action_parse(text, &abort->action);
}

/* --- maintenance windows --- */

static void read_days(struct reader *reader, struct place place, uint8_t *days) {
        _cleanup_str_list_ struct str_list words = STR_LIST_INIT;

        *days = TIME_WINDOW_EVERY_DAY;
        if (!reader_texts(reader, place, "days", (struct list_rule){&rule_day, 1, TIME_WINDOW_DAYS}, &words))
                return;
        *days = 0;
        for (size_t i = 0; i < words.n_items; i++)
                *days |= time_window_day_bit(words.items[i]);
}

static void read_window(struct reader *reader, struct place place, struct time_window *window) {
        static const char *const allowed[] = {"days", "start", "duration_min", "timezone"};
        const char *text;

        if (!reader_members(reader, place, allowed, ARRAY_SIZE(allowed)) && json_kind(place.json) != JSON_KIND_OBJECT)
                return;
        for (size_t i = 1; i < ARRAY_SIZE(allowed); i++)
                reader_require(reader, place, allowed[i]);
        read_days(reader, place, &window->days);
        if (reader_text(reader, place, "start", &rule_start, &text))
                time_window_parse_start(text, &window->start_min);
        read_count(reader, place, "duration_min", (struct integer_range){1, TIME_WINDOW_DURATION_MAX_MIN}, &window->duration_min);
        if (reader_text(reader, place, "timezone", &rule_time_zone, &text))
                reader_keep(reader, &window->timezone, text);
}

static void read_windows(struct reader *reader, struct place policy_place, struct campaign_policy *policy) {
        const struct json *list = json_child(policy_place.json, "maintenance_windows");
        char path[JSON_PATH_MAX], item_path[JSON_PATH_MAX];

        if (!reader_array(reader, policy_place, "maintenance_windows", 1, TIME_WINDOWS_MAX))
                return;
        policy->windows = calloc(json_length(list), sizeof(*policy->windows));
        if (!policy->windows) {
                reader->out_of_memory = true;
                return;
        }
        policy->n_windows = json_length(list);
        json_path_member(path, policy_place.path, "maintenance_windows");
        for (size_t i = 0; i < policy->n_windows; i++) {
                json_path_index(item_path, path, i);
                read_window(reader, (struct place){json_at(list, i), item_path}, &policy->windows[i]);
        }
}

/* --- the policy --- */

static void read_words(struct reader *reader, struct place place, struct campaign_policy *policy) {
        const char *text;

        if (reader_text(reader, place, "mode", &rule_mode, &text))
                mode_parse(text, &policy->mode);
        if (reader_text(reader, place, "gate", &rule_gate, &text))
                campaign_gate_parse(text, &policy->gate);
        if (reader_text(reader, place, "at_window_end", &rule_window_end, &text))
                campaign_window_end_parse(text, &policy->at_window_end);
        if (reader_text(reader, place, "deadline", &rule_time, &text)) {
                time_parse_rfc3339(text, &policy->deadline_ms);
                policy->deadline_ms = MAX(policy->deadline_ms, 1); /* 0 means absent */
        }
}

void campaign_policy_read(struct reader *reader, struct place document_place, struct campaign_policy *policy) {
        static const char *const allowed[] = {
                "mode",          "trial",          "waves",    "soak_s",      "gate",     "abort",           "maintenance_windows",
                "at_window_end", "start_jitter_s", "deadline", "concurrency", "attempts", "allow_downgrade", "battery_min_percent",
        };
        char path[JSON_PATH_MAX];
        struct place place;
        int64_t number;

        if (!enter_object(reader, document_place, "policy", path, &place))
                return;
        reader_members(reader, place, allowed, ARRAY_SIZE(allowed));
        read_words(reader, place, policy);
        read_trial(reader, place, policy);
        read_waves(reader, place, policy);
        read_seconds(reader, place, "soak_s", CAMPAIGN_SOAK_MAX_S, &policy->soak_ms);
        read_abort(reader, place, &policy->abort);
        read_windows(reader, place, policy);
        read_seconds(reader, place, "start_jitter_s", CAMPAIGN_START_JITTER_MAX_S, &policy->start_jitter_ms);
        read_count(reader, place, "concurrency", (struct integer_range){1, CAMPAIGN_CONCURRENCY_MAX}, &policy->concurrency);
        read_count(reader, place, "attempts", (struct integer_range){1, CAMPAIGN_ATTEMPTS_MAX}, &policy->attempts);
        reader_bool(reader, place, "allow_downgrade", &policy->allow_downgrade);
        if (reader_integer(reader, place, "battery_min_percent", share_percent, &number))
                policy->battery_min_percent = (int) number;
}

void campaign_policy_complete(struct campaign_policy *policy, bool is_signed, bool at_once) {
        const struct campaign_wave *waves = at_once ? waves_at_once : waves_of_signed;

        if (policy->n_waves == 0) {
                policy->n_waves = at_once ? ARRAY_SIZE(waves_at_once) : ARRAY_SIZE(waves_of_signed);
                for (size_t i = 0; i < policy->n_waves; i++)
                        policy->waves[i] = waves[i];
        }
        if (policy->start_jitter_ms < 0)
                policy->start_jitter_ms = is_signed ? DEFAULT_JITTER_MS : 0;
}

/* --- writing; results are gathered, only a lack of memory can make one fail --- */

static int write_trial(struct json *object, const struct campaign_policy *policy) {
        struct json *trial = json_set_new_object(object, "trial");
        int r = 0;

        if (!trial)
                return -ENOMEM;
        r |= json_set_int(trial, "duration_s", (policy->trial_ms + 999) / 1000);
        r |= json_set_int(trial, "checks", policy->trial_checks);
        return r;
}

static int write_waves(struct json *object, const struct campaign_policy *policy) {
        struct json *list = policy->n_waves > 0 ? json_set_new_array(object, "waves") : NULL;
        int r = policy->n_waves > 0 && !list ? -ENOMEM : 0;

        for (size_t i = 0; r == 0 && i < policy->n_waves; i++) {
                const struct campaign_wave *wave = &policy->waves[i];
                struct json *item = json_append_new_object(list);

                r |= !item             ? -ENOMEM
                     : wave->count > 0 ? json_set_int(item, "count", wave->count)
                                       : json_set_int(item, "percent", wave->percent);
        }
        return r;
}

static int write_abort(struct json *object, const struct campaign_abort *abort) {
        struct json *member = json_set_new_object(object, "abort");
        int r = 0;

        if (!member)
                return -ENOMEM;
        r |= json_set_int(member, "failed_count", abort->failed_count);
        r |= json_set_int(member, "failed_percent", abort->failed_percent);
        r |= json_set_int(member, "min_finished", abort->min_finished);
        r |= json_set_string(member, "action", campaign_abort_action_name(abort->action));
        return r;
}

static int write_window(struct json *list, const struct time_window *window) {
        struct json *item = json_append_new_object(list);
        struct json *days = item ? json_set_new_array(item, "days") : NULL;
        char start[TIME_WINDOW_START_SIZE];
        int r = 0;

        if (!days)
                return -ENOMEM;
        for (unsigned day = 0; day < TIME_WINDOW_DAYS; day++)
                if (window->days & 1u << day)
                        r |= json_append_string(days, time_window_day_name(day));
        time_window_format_start(start, window->start_min);
        r |= json_set_string(item, "start", start);
        r |= json_set_int(item, "duration_min", window->duration_min);
        r |= json_set_string(item, "timezone", window->timezone);
        return r;
}

static int write_windows(struct json *object, const struct campaign_policy *policy) {
        struct json *list = policy->n_windows > 0 ? json_set_new_array(object, "maintenance_windows") : NULL;
        int r = policy->n_windows > 0 && !list ? -ENOMEM : 0;

        for (size_t i = 0; r == 0 && i < policy->n_windows; i++)
                r = write_window(list, &policy->windows[i]);
        return r;
}

int campaign_policy_write(struct json *document, const struct campaign_policy *policy) {
        struct json *object = json_set_new_object(document, "policy");
        char deadline[TIME_RFC3339_SIZE];
        int r = 0;

        if (!object)
                return -ENOMEM;
        r |= json_set_string(object, "mode", mode_name(policy->mode));
        r |= write_trial(object, policy);
        r |= write_waves(object, policy);
        r |= json_set_int(object, "soak_s", policy->soak_ms / 1000);
        r |= json_set_string(object, "gate", campaign_gate_name(policy->gate));
        r |= write_abort(object, &policy->abort);
        r |= write_windows(object, policy);
        r |= json_set_string(object, "at_window_end", campaign_window_end_name(policy->at_window_end));
        if (policy->start_jitter_ms >= 0)
                r |= json_set_int(object, "start_jitter_s", policy->start_jitter_ms / 1000);
        if (policy->deadline_ms > 0 && time_format_rfc3339(deadline, sizeof(deadline), policy->deadline_ms) == 0)
                r |= json_set_string(object, "deadline", deadline);
        r |= json_set_int(object, "concurrency", policy->concurrency);
        r |= json_set_int(object, "attempts", policy->attempts);
        r |= json_set_bool(object, "allow_downgrade", policy->allow_downgrade);
        if (policy->battery_min_percent >= 0)
                r |= json_set_int(object, "battery_min_percent", policy->battery_min_percent);
        return r < 0 ? -ENOMEM : 0;
}
