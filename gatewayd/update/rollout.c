/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "update/abort.h"
#include "update/waves.h"

/*
 * How a campaign goes over its devices: which wave is open, when the next one opens, when it stops itself. Decisions are those of
 * waves.h and abort.h; here they are carried out.
 *
 *     wave open -> all that are there have an end -> [gate] -> [soak] -> next wave open -> ... -> last wave
 *
 * What has to survive a restart stands in the rows (job.wave; campaign.wave, wave_ended_ms, gates_passed); who is absent is found anew.
 */

#define WAVE_NOT_CHOSEN (-1)

size_t rollout_n_waves(const struct campaign *campaign) {
        return campaign_waves(&campaign->document->policy);
}

bool rollout_is_open(const struct job *job) {
        return job->row.wave <= job->campaign->row.wave;
}

/* --- who is in which wave --- */

/* It succeeded with the same file under an earlier revision, or goes on from there: it costs the waves of this one nothing. */
static int mark_carried(void *ctx, struct job_row *row) {
        struct campaign *campaign = ctx;
        struct gw_device *device;
        struct job *job;
        if (row->campaign_id == campaign->row.campaign_id || !str_equal(row->state, job_state_name(JOB_STATE_SUCCEEDED)) || !row->has_artifact ||
            !campaign_find_file(campaign, row->artifact))
                return 0;
        device = fleet_find(campaign->update->options.fleet, row->device);
        job = device ? campaign_find_job(campaign, device) : NULL;
        if (job)
                job->row.wave = 0;
        return 0;
}

static int set_wave(struct job *job, int64_t wave) {
        bool is_waiting_for_start = list_is_linked(&job->ready_link);
        int r;
        job->row.wave = wave;
        r = job_table_set_wave(job->campaign->update->options.store, job->row.job_id, wave);
        if (r >= 0 && is_waiting_for_start)
                job_place(job);
        return r;
}

int rollout_choose_waves(struct campaign *campaign) {
        const struct campaign_policy *policy = &campaign->document->policy;
        size_t population = 0, position = 0;
        struct job *job;
        int r;
        if (rollout_n_waves(campaign) == 1)
                return 0;
        LIST_FOREACH(job, &campaign->jobs, link)
                job->row.wave = job->row.step ? 0 : WAVE_NOT_CHOSEN;
        r = job_table_each_of_revisions(campaign->update->options.store, campaign->row.id, mark_carried, campaign);
        LIST_FOREACH(job, &campaign->jobs, link)
                population += job->row.wave == WAVE_NOT_CHOSEN;
        LIST_FOREACH(job, &campaign->jobs, link) {
                int64_t wave = job->row.wave == WAVE_NOT_CHOSEN ? (int64_t) wave_of(policy, position++, population) : 0;
                if (r >= 0)
                        r = set_wave(job, wave);
        }
        return r;
}

/* --- events --- */

static struct json *wave_body(const struct campaign *campaign) {
        struct json *body = json_new_object();
        json_set_int(body, "wave", campaign->row.wave + 1);
        json_set_int(body, "waves", (int64_t) rollout_n_waves(campaign));
        return body;
}

static void tell_started(struct campaign *campaign) {
        struct json *body = wave_body(campaign);
        const struct job *job;
        int64_t n = 0;
        LIST_FOREACH(job, &campaign->jobs, link)
                n += job->row.wave == campaign->row.wave;
        json_set_int(body, "devices", n);
        (void) record_event(campaign->update, "wave-started", campaign, NULL, body);
}

void rollout_begin(struct campaign *campaign) {
        campaign->look = campaign->has_begun = true;
        if (rollout_n_waves(campaign) > 1)
                tell_started(campaign);
}

/* --- counting --- */

/* Reasons that lie with the device: while it waits for one of these, nobody can say when it will be worked. */
static bool lies_with_device(const char *reason) {
        static const char *const names[] = { "not-seen",       "low-battery",       "weak-signal",       "model-unknown",
                                             "model-conflict", "inventory-unknown", "driver-unavailable" };
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (str_equal(reason, names[i]))
                        return true;
        return false;
}

static enum wave_standing standing_of(const struct job *job) {
        const struct device_work *work = job->device ? job->device->work : NULL;
        if (job_is_final(job))
                return WAVE_STANDING_FINAL;
        if (job->run || job->row.step || list_is_linked(&job->ready_link) || (work && work->visit))
                return WAVE_STANDING_ACTIVE;
        return lies_with_device(job->row.reason) ? WAVE_STANDING_ABSENT : WAVE_STANDING_ACTIVE;
}

static struct wave_counts count_wave(const struct campaign *campaign) {
        struct wave_counts counts = { 0 };
        const struct job *job;
        LIST_FOREACH(job, &campaign->jobs, link) {
                enum wave_standing standing = standing_of(job);
                bool is_later = job->row.wave > campaign->row.wave;
                counts.n_later += is_later && standing == WAVE_STANDING_ACTIVE;
                if (job->row.wave != campaign->row.wave)
                        continue;
                counts.n_final += standing == WAVE_STANDING_FINAL;
                counts.n_active += standing == WAVE_STANDING_ACTIVE;
                counts.n_absent += standing == WAVE_STANDING_ABSENT;
        }
        return counts;
}

/* wave < 0: of all */
static struct abort_counts count_results(const struct campaign *campaign, int64_t wave) {
        struct abort_counts counts = { 0 };
        const struct job *job;
        LIST_FOREACH(job, &campaign->jobs, link) {
                bool failed = job->state == JOB_STATE_FAILED;
                bool counts_as_success = job->state == JOB_STATE_SUCCEEDED && !str_equal(job->row.result, result_name(GW_RESULT_ALREADY));
                if (wave >= 0 && job->row.wave != wave)
                        continue;
                counts.n_failed += failed;
                counts.n_finished += failed || counts_as_success;
        }
        return counts;
}

/* --- stopping itself --- */

static void stop_itself(struct campaign *campaign, const char *why) {
        struct log_fields fields = { .campaign = campaign->row.id };
        char reason[96];
        log_warning(&fields, "campaign %s stops itself: %s", campaign->row.id, why);
        if (campaign->document->policy.abort.action == CAMPAIGN_ABORT_PAUSE) {
                (void) campaign_pause(campaign, CAMPAIGN_PAUSE_THRESHOLD, why);
                return;
        }
        (void) str_format(reason, sizeof reason, "threshold: %s", why);
        (void) campaign_set_state(campaign, CAMPAIGN_STATE_CANCELED, reason);
        campaign_stop_jobs(campaign, JOB_STATE_CANCELED, NULL);
}

/* What failed before somebody resumed the campaign in spite of it is forgiven; a retry can only make it less. */
static struct abort_counts count_unforgiven(const struct campaign *campaign) {
        struct abort_counts counts = count_results(campaign, -1);
        counts.n_failed -= MIN(counts.n_failed, (size_t) campaign->row.forgiven_failed);
        counts.n_finished -= MIN(counts.n_finished, (size_t) campaign->row.forgiven_finished);
        return counts;
}

static int write_rollout(struct campaign *campaign) {
        return campaign_table_set_rollout(campaign->update->options.store, &campaign->row);
}

int rollout_forgive(struct campaign *campaign) {
        struct abort_counts counts = count_results(campaign, -1);
        campaign->row.forgiven_failed = (int64_t) counts.n_failed;
        campaign->row.forgiven_finished = (int64_t) counts.n_finished;
        return write_rollout(campaign);
}

int rollout_retried(struct campaign *campaign) {
        struct abort_counts counts = count_results(campaign, -1);
        campaign->look = true;
        if (campaign->row.forgiven_finished == 0)
                return 0;
        campaign->row.forgiven_failed = MIN(campaign->row.forgiven_failed, (int64_t) counts.n_failed);
        campaign->row.forgiven_finished = MIN(campaign->row.forgiven_finished, (int64_t) counts.n_finished);
        return write_rollout(campaign);
}

static bool stops_by_threshold(struct campaign *campaign) {
        struct abort_counts counts = count_unforgiven(campaign);
        char why[64];
        if (!abort_is_due(&campaign->document->policy.abort, &counts, why, sizeof why))
                return false;
        stop_itself(campaign, why);
        return true;
}

/* --- from wave to wave --- */

static void move_absent_to_last(struct campaign *campaign, size_t *ret_n) {
        int64_t last = (int64_t) rollout_n_waves(campaign) - 1;
        struct job *job;
        LIST_FOREACH(job, &campaign->jobs, link)
                if (job->row.wave == campaign->row.wave && standing_of(job) == WAVE_STANDING_ABSENT) {
                        (void) set_wave(job, last);
                        ++*ret_n;
                }
}

/* The first ones of later waves take the places of those that are not there. */
static void fill_from_later(struct campaign *campaign) {
        size_t n_places = 0;
        struct job *job;
        move_absent_to_last(campaign, &n_places);
        LIST_FOREACH(job, &campaign->jobs, link) {
                if (n_places == 0)
                        break;
                if (job->row.wave <= campaign->row.wave || standing_of(job) != WAVE_STANDING_ACTIVE)
                        continue;
                (void) set_wave(job, campaign->row.wave);
                n_places--;
        }
}

static void end_wave(struct campaign *campaign) {
        struct abort_counts results = count_results(campaign, campaign->row.wave);
        struct json *body = wave_body(campaign);
        size_t n_absent = 0;
        move_absent_to_last(campaign, &n_absent);
        campaign->row.wave_ended_ms = MAX(update_wall_ms(campaign->update), 1);
        campaign->soak_until_ms = loop_now_ms(campaign->update->options.loop) + campaign->document->policy.soak_ms;
        (void) write_rollout(campaign);
        json_set_int(body, "finished", (int64_t) results.n_finished);
        json_set_int(body, "failed", (int64_t) results.n_failed);
        json_set_int(body, "absent", (int64_t) n_absent);
        (void) record_event(campaign->update, "wave-ended", campaign, NULL, body);
        if (campaign->row.wave == 0 && abort_after_first_wave(&results))
                stop_itself(campaign, "all of the first wave failed");
}

static void open_next(struct campaign *campaign, bool quietly) {
        struct job *job, *spare;
        campaign->row.wave++;
        campaign->row.wave_ended_ms = 0;
        (void) write_rollout(campaign);
        if (!quietly)
                tell_started(campaign);
        LIST_FOREACH_SAFE(job, spare, &campaign->later, ready_link)
                if (rollout_is_open(job))
                        job_place(job);
}

static void look_again(void *ctx) {
        struct campaign *campaign = ctx;
        campaign->soak_timer = NULL;
        campaign->look = true;
        schedule(campaign->update);
}

static void wait_for_soak(struct campaign *campaign, int64_t left_ms) {
        if (!campaign->soak_timer)
                (void) timer_start(campaign->update->options.loop, left_ms, look_again, campaign, &campaign->soak_timer);
}

/* In this life by the clock that only goes forward; after a restart by the date, as far as it is believed. */
static int64_t soak_left_ms(struct campaign *campaign) {
        const struct update *update = campaign->update;
        int64_t soak_ms = campaign->document->policy.soak_ms, now_ms = loop_now_ms(update->options.loop);
        int64_t passed_ms = update_is_credible(update) ? update_wall_ms(update) - campaign->row.wave_ended_ms : 0;
        if (campaign->soak_until_ms == 0)
                campaign->soak_until_ms = now_ms + soak_ms - MIN(MAX(passed_ms, 0), soak_ms);
        return campaign->soak_until_ms - now_ms;
}

static bool opens_next(struct campaign *campaign) {
        struct wave_pause pause = { .gate = campaign->document->policy.gate,
                                    .wave = (size_t) campaign->row.wave,
                                    .gates_passed = (size_t) campaign->row.gates_passed,
                                    .soak_left_ms = soak_left_ms(campaign) };
        char detail[48];
        switch (wave_next(&pause)) {
        case WAVE_NEXT_GATE:
                (void) str_format(detail, sizeof detail, "wave %" PRId64 " of %zu", campaign->row.wave + 1, rollout_n_waves(campaign));
                (void) campaign_pause(campaign, CAMPAIGN_PAUSE_GATE, detail);
                return false;
        case WAVE_NEXT_SOAK:
                wait_for_soak(campaign, pause.soak_left_ms);
                return false;
        case WAVE_NEXT_OPEN:
                open_next(campaign, false);
                return true;
        }
        return false;
}

/* True: there is more to see. */
static bool look_at_open(struct campaign *campaign) {
        struct wave_counts counts = count_wave(campaign);
        switch (wave_judge(&counts, (size_t) campaign->row.wave + 1 == rollout_n_waves(campaign))) {
        case WAVE_GOES_ON:
                return false;
        case WAVE_HAS_ENDED:
                end_wave(campaign);
                return campaign->state == CAMPAIGN_STATE_IN_PROGRESS;
        case WAVE_IS_EMPTY:
                open_next(campaign, true);
                return true;
        case WAVE_NEEDS_OTHERS:
                fill_from_later(campaign);
                return false;
        }
        return false;
}

void rollout_look(struct campaign *campaign) {
        bool more = campaign->look && campaign->state == CAMPAIGN_STATE_IN_PROGRESS;
        if (!more)
                return;
        campaign->look = false;
        if (stops_by_threshold(campaign))
                return;
        while (more)
                more = campaign->row.wave_ended_ms > 0 ? opens_next(campaign) : look_at_open(campaign);
}
