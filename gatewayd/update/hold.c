/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "update/start_rule.h"

/*
 * What holds back a whole campaign: its start jitter, closed maintenance windows, a clock that is not believed. Found anew whenever it is
 * asked for; one timer looks again when it may have changed.
 *
 *     accepted -> jitter -> [window opens -> jitter -> jobs start ... window closes -> running jobs stop or finish] ...
 */

#define LOOK_MAX_MS (60 * 60 * 1000) /* so that a clock that is set right counts */
#define CLOCK_LOOK_MS (30 * 1000)

struct windows_pair hold_windows(const struct campaign *campaign) {
        return (struct windows_pair){ .campaign = campaign->windows, .gateway = campaign->update->windows };
}

bool hold_has_windows(const struct campaign *campaign) {
        return campaign->document->policy.n_windows > 0 || campaign->update->options.settings->policy.n_maintenance_windows > 0;
}

/* --- the windows --- */

int hold_read_windows(struct campaign *campaign, struct gw_error *err) {
        const struct campaign_policy *policy = &campaign->document->policy;
        return policy->n_windows == 0 ? 0 : windows_new(policy->windows, policy->n_windows, campaign->update->zones, &campaign->windows, err);
}

/* Jobs that did not fit into what was left of the last window. */
static void window_opened(struct campaign *campaign) {
        struct job *job;
        campaign->longest_window_ms = 0;
        LIST_FOREACH(job, &campaign->jobs, link)
                if (!job_is_final(job) && str_equal(job->row.reason, "window"))
                        job_make_ready(job);
}

/* Zones that are there when the settings are read may be gone later; then nothing starts, and the log says why. */
void hold_read_gateway_windows(struct update *update) {
        const struct settings *settings = update->options.settings;
        struct windows *windows = NULL;
        struct gw_error err = { 0 };
        struct campaign *campaign;
        int r = settings->policy.n_maintenance_windows == 0 ? 0
                                                            : windows_new(settings->policy.maintenance_windows,
                                                                          settings->policy.n_maintenance_windows, update->zones, &windows, &err);
        if (r < 0)
                log_error(&(struct log_fields){ .error = err.name }, "maintenance_windows: %s", err.text);
        windows_free(update->windows);
        update->windows = windows;
        LIST_FOREACH(campaign, &update->campaigns, link) {
                timer_cancel(TAKE_PTR(campaign->hold_timer));
                window_opened(campaign);
        }
}

static bool windows_are_missing(const struct campaign *campaign) {
        return (campaign->document->policy.n_windows > 0 && !campaign->windows) ||
               (campaign->update->options.settings->policy.n_maintenance_windows > 0 && !campaign->update->windows);
}

struct windows_state hold_windows_at(const struct campaign *campaign, int64_t wall_ms) {
        struct windows_pair pair = hold_windows(campaign);
        return windows_are_missing(campaign) ? (struct windows_state){ .open = false, .until_ms = INT64_MAX } : windows_at(&pair, wall_ms);
}

int64_t hold_longest_window_ms(struct campaign *campaign) {
        struct windows_pair pair = hold_windows(campaign);
        int64_t now_ms = update_wall_ms(campaign->update);
        if (campaign->longest_window_ms == 0)
                campaign->longest_window_ms = windows_longest_ms(&pair, now_ms, MAX(campaign->row.deadline_ms, now_ms));
        return campaign->longest_window_ms;
}

/* --- the jitter --- */

int64_t hold_jitter_ms(const struct campaign *campaign) {
        const struct update *update = campaign->update;
        return start_jitter_ms(update->options.gateway_id ? update->options.gateway_id : "", campaign->row.id,
                               campaign->document->policy.start_jitter_ms);
}

/* Since acceptance; by the clock that only goes forward, and after a restart at most once more the whole. */
static int64_t jitter_left_ms(struct campaign *campaign) {
        const struct update *update = campaign->update;
        int64_t jitter_ms = hold_jitter_ms(campaign), now_ms = loop_now_ms(update->options.loop);
        if (campaign->jitter_until_ms == 0)
                campaign->jitter_until_ms = now_ms + MIN(MAX(campaign->row.accepted_ms + jitter_ms - update_wall_ms(update), 0), jitter_ms);
        return campaign->jitter_until_ms - now_ms;
}

bool hold_may_fetch(struct campaign *campaign) {
        return campaign_pause_of(campaign) != CAMPAIGN_PAUSE_NEEDS_APPROVAL && jitter_left_ms(campaign) <= 0;
}

/* --- looking --- */

static void look_again(void *ctx) {
        struct campaign *campaign = ctx;
        campaign->hold_timer = NULL;
        hold_look(campaign);
        schedule(campaign->update);
}

static void look_in(struct campaign *campaign, int64_t delay_ms) {
        if (!campaign->hold_timer)
                (void) timer_start(campaign->update->options.loop, MIN(MAX(delay_ms, 1), LOOK_MAX_MS), look_again, campaign, &campaign->hold_timer);
}

/* A share of the jitter after each opening, too: all gateways of a house have the same windows. */
static int64_t opening_jitter_left_ms(struct campaign *campaign, int64_t now_ms, int64_t closes_ms) {
        struct windows_pair pair = hold_windows(campaign);
        int64_t jitter_ms = hold_jitter_ms(campaign);
        int64_t opened_ms = windows_opened_ms(&pair, now_ms, jitter_ms);
        jitter_ms = MIN(jitter_ms, (closes_ms - opened_ms) / 4);
        return opened_ms + jitter_ms - now_ms;
}

static const char *look_at_windows(struct campaign *campaign) {
        int64_t now_ms = update_wall_ms(campaign->update), left_ms;
        struct windows_state state;
        if (!hold_has_windows(campaign))
                return NULL;
        if (!update_is_credible(campaign->update)) {
                look_in(campaign, CLOCK_LOOK_MS);
                return "clock-not-credible";
        }
        state = hold_windows_at(campaign, now_ms);
        left_ms = state.until_ms == INT64_MAX ? LOOK_MAX_MS : state.until_ms - now_ms;
        if (!state.open) {
                look_in(campaign, left_ms);
                return "window";
        }
        campaign->window_closes_ms = state.until_ms;
        if (state.until_ms == INT64_MAX)
                return NULL;
        if (opening_jitter_left_ms(campaign, now_ms, state.until_ms) > 0)
                left_ms = MIN(left_ms, opening_jitter_left_ms(campaign, now_ms, state.until_ms));
        look_in(campaign, left_ms);
        return opening_jitter_left_ms(campaign, now_ms, state.until_ms) > 0 ? "jitter" : NULL;
}

static const char *look_at(struct campaign *campaign) {
        int64_t left_ms = jitter_left_ms(campaign);
        if (left_ms > 0) {
                look_in(campaign, left_ms);
                return "jitter";
        }
        return look_at_windows(campaign);
}

static void window_closed(struct campaign *campaign) {
        struct log_fields fields = { .campaign = campaign->row.id };
        if (campaign->n_running == 0 || campaign->document->policy.at_window_end == CAMPAIGN_WINDOW_END_FINISH)
                return;
        log_info(&fields, "the maintenance window is over: %zu jobs of campaign %s stop where they can go on later", campaign->n_running,
                 campaign->row.id);
        campaign_stop_jobs(campaign, JOB_STATE_QUEUED, NULL);
}

void hold_look(struct campaign *campaign) {
        const char *before = campaign->hold, *now = look_at(campaign);
        bool was_closed = before && !str_equal(before, "jitter");
        campaign->hold = now;
        if (campaign_state_is_final(campaign->state))
                return;
        if (before && !now) {
                campaign_begin_files(campaign);
                window_opened(campaign);
        }
        if (now && !was_closed && !str_equal(now, "jitter"))
                window_closed(campaign);
}

/* --- one job --- */

static bool can_be_suspended(const struct campaign *campaign, const struct gw_device *device) {
        const struct gw_driver *driver = driver_registry_find(campaign->update->options.registry, device->driver);
        const struct gw_operation *update = driver ? &driver->operations[GW_OPERATION_UPDATE] : NULL;
        if (!update || campaign->document->policy.at_window_end != CAMPAIGN_WINDOW_END_SUSPEND)
                return false;
        for (size_t i = 0; i < update->n_steps; i++)
                if (!(update->steps[i].flags & GW_STEP_PREPARE))
                        return update->steps[i].flags & GW_STEP_RESUMABLE;
        return false;
}

static int never_fits(int64_t eta_ms, int64_t whole_ms, struct gw_error *err) {
        char eta[32], whole[32];
        (void) str_format_duration_ms(eta, sizeof eta, eta_ms);
        (void) str_format_duration_ms(whole, sizeof whole, whole_ms);
        gw_error_set(err, "does-not-fit-window", "it takes about %s, the longest maintenance window has %s", eta, whole);
        return -EINVAL;
}

int hold_judge_plan(struct campaign *campaign, const struct gw_device *device, int64_t eta_ms, struct gw_error *err) {
        struct window_job job = { .eta_ms = eta_ms, .can_be_suspended = can_be_suspended(campaign, device) };
        if (!hold_has_windows(campaign))
                return 0;
        job.rest_ms = job.whole_ms = hold_longest_window_ms(campaign);
        return window_fit(&job) == WINDOW_FITS_NEVER ? never_fits(eta_ms, job.whole_ms, err) : 0;
}

int hold_judge_eta(struct campaign *campaign, const struct gw_device *device, int64_t eta_ms, struct gw_error *err) {
        struct window_job job = { .eta_ms = eta_ms, .can_be_suspended = can_be_suspended(campaign, device) };
        if (!hold_has_windows(campaign) || campaign->window_closes_ms == INT64_MAX)
                return 0;
        job.rest_ms = campaign->window_closes_ms - update_wall_ms(campaign->update);
        job.whole_ms = hold_longest_window_ms(campaign);
        switch (window_fit(&job)) {
        case WINDOW_FITS:
                return 0;
        case WINDOW_FITS_LATER:
                gw_error_set(err, "window", "it does not fit into what is left of the maintenance window");
                return -EAGAIN;
        case WINDOW_FITS_NEVER:
                break;
        }
        return never_fits(eta_ms, job.whole_ms, err);
}

/* Behind the last resumable step comes what resets the device. */
static bool leads_to_reset(const struct gw_driver *driver, const char *step) {
        const struct gw_operation *update = &driver->operations[GW_OPERATION_UPDATE];
        size_t last = update->n_steps;
        for (size_t i = 0; i < update->n_steps; i++)
                if (update->steps[i].flags & GW_STEP_RESUMABLE)
                        last = i;
        return last < update->n_steps && strcmp(update->steps[last].name, step) == 0;
}

bool hold_stops_before(const struct job *job, const char *step) {
        const struct campaign *campaign = job->campaign;
        const struct gw_driver *driver = driver_registry_find(campaign->update->options.registry, job->device->driver);
        struct windows_state state;
        int64_t now_ms = update_wall_ms(campaign->update);
        if (!driver || job->row.committed || !hold_has_windows(campaign) || campaign->document->policy.at_window_end == CAMPAIGN_WINDOW_END_FINISH)
                return false;
        state = hold_windows_at(campaign, now_ms);
        return leads_to_reset(driver, step) && (!state.open || state.until_ms - now_ms < WINDOW_LAST_MS);
}
