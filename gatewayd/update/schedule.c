/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "update/start_rule.h"

#define INSPECTIONS_MAX 16 /* automatic ones at once, where the campaign does not work more devices at once anyway */

/* --- what is kept with a device --- */

struct device_work *device_work(struct update *update, struct gw_device *device) {
        struct device_work *work = device->work;
        if (work)
                return work;
        work = calloc(1, sizeof *work);
        if (!work)
                return NULL;
        list_init(&work->jobs);
        work->update = update;
        work->device = device;
        device->work = work;
        return work;
}

void device_work_free(struct gw_device *device) {
        struct device_work *work = device->work;
        if (!work || !list_is_empty(&work->jobs) || work->running || work->visit)
                return;
        free(work);
        device->work = NULL;
}

/* --- who hears of a device --- */

void schedule_device_done(struct gw_device *device) {
        struct device_work *work = device->work;
        struct job *job;
        if (!work)
                return;
        LIST_FOREACH(job, &work->jobs, device_link)
                if (!job_is_final(job) && !job->run && !job->wake_timer && !job->wakes)
                        job_make_ready(job);
}

static bool is_too_weak(const struct job *job) {
        return !job->row.step && !signal_is_enough(job->device->rssi_dbm, job->campaign->document->devices.rssi_min_dbm);
}

/* Heard as it was: it may advertise many times a second, and looking at an empty battery empties it further. */
static bool waits_for_more(const struct job *job) {
        if (str_equal(job->row.reason, "low-battery"))
                return !battery_is_enough(job->device->battery_percent, job->campaign->document->policy.battery_min_percent);
        return str_equal(job->row.reason, "weak-signal") && is_too_weak(job);
}

static void device_heard(struct gw_device *device) {
        struct device_work *work = device->work;
        struct job *job;
        if (!work)
                return;
        LIST_FOREACH(job, &work->jobs, device_link)
                if (!job_is_final(job) && (job->wakes & GW_WAKE_SEEN) && !waits_for_more(job))
                        job_make_ready(job);
}

static void device_changed(struct update *update, struct gw_device *device) {
        struct campaign *campaign;
        LIST_FOREACH(campaign, &update->campaigns, link)
                (void) campaign_take_device(campaign, device);
}

void schedule_device(struct update *update, struct gw_device *device, enum fleet_event event) {
        if (update->stopping || !update->begun)
                return;
        switch (event) {
        case FLEET_EVENT_CHANGED:
                device_changed(update, device);
                device_heard(device);
                break;
        case FLEET_EVENT_SEEN:
                device_heard(device);
                visit_returned(update, device);
                break;
        case FLEET_EVENT_ADOPTED:
                (void) record_event(update, "device-adopted", NULL, device->id, NULL);
                break;
        case FLEET_EVENT_FORGOTTEN:
                if (device->adopted)
                        (void) record_event(update, "device-forgotten", NULL, device->id, NULL);
                break;
        case FLEET_EVENT_GONE:
                break;
        }
}

/* --- starting one job --- */

static bool may_ask(const struct job *job, size_t n_visiting) {
        return n_visiting < MAX((size_t) INSPECTIONS_MAX, (size_t) job->campaign->document->policy.concurrency);
}

/* Model or slots are not known: the device is asked, which changes nothing on it. */
static void ask_device(struct job *job, const char *reason) {
        struct update *update = job->campaign->update;
        struct device_work *work = job->device->work;
        int64_t now_ms = loop_now_ms(update->options.loop);
        if (!may_ask(job, update->n_visiting)) {
                job_wait(job, reason, 0, 0);
                list_append(&update->asking, &job->ready_link);
                return;
        }
        if (!work->inspected_ms || now_ms - work->inspected_ms >= UPDATE_INSPECT_RETRY_MS) {
                work->inspected_ms = now_ms;
                (void) visit_start(update, job->device, GW_OPERATION_INSPECT, NULL, NULL);
        }
        job_wait(job, reason, GW_WAKE_SEEN | GW_WAKE_TIMER, UPDATE_INSPECT_RETRY_MS);
}

/* As many as there is room for; who turns out to need no visit leaves the room to the next pass. */
static void ask_more(struct update *update) {
        size_t n_visiting = update->n_visiting;
        struct job *job;
        while ((job = LIST_FIRST(&update->asking, struct job, ready_link)) && may_ask(job, n_visiting++)) {
                list_remove(&job->ready_link);
                job_make_ready(job);
        }
}

static bool device_is_free(struct job *job) {
        struct device_work *work = job->device->work;
        struct job *first;
        if (work->running || work->visit)
                return false;
        LIST_FOREACH(first, &work->jobs, device_link)
                if (job_must_end(first))
                        return first == job;
        /* In order of acceptance; a campaign that is paused does not hold up the next one. */
        LIST_FOREACH(first, &work->jobs, device_link)
                if (!job_is_final(first) && first->campaign->state == CAMPAIGN_STATE_IN_PROGRESS)
                        return first == job;
        return true;
}

static int choose(struct job *job, struct campaign_file **ret_file, struct gw_error *err) {
        struct campaign_file *file = NULL;
        int r;
        /* Once begun it keeps its file; before, what is known of the device may still change. */
        if (job->row.has_artifact && job->row.step) {
                file = campaign_find_file(job->campaign, job->row.artifact);
                if (!file) {
                        gw_error_set(err, "internal-error", "the file that this job began with is not one of its campaign");
                        return -EIO;
                }
                *ret_file = file;
                return 0;
        }
        r = order_choose(job->campaign, job->device, &file, err);
        if (r < 0)
                return r;
        if (file) {
                job->row.has_artifact = true;
                memcpy(job->row.artifact, file->artifact->sha256, DIGEST_SIZE);
        }
        *ret_file = file;
        return 0;
}

static int prepare_order(struct job *job, struct gw_error *err) {
        struct campaign_file *file = NULL;
        int r = choose(job, &file, err);
        if (r < 0)
                return r;
        free(TAKE_PTR(job->order));
        if (job->campaign->document->rollback_of && !job->row.wanted)
                r = rollback_wanted(job->campaign, job->device, &job->row.wanted, err);
        if (r >= 0)
                r = order_make(job->campaign, job->device, file, job->row.wanted, &job->order, err);
        if (r >= 0 && job->campaign->document->rollback_of)
                r = rollback_find_images(job->campaign, job->device, job->order, err);
        if (r < 0 || job->row.wanted || file)
                return r;
        /* What a rollback wants is what lay in the other slot when it was ordered, whatever lies there later. */
        r = order_write_wanted(job->order, &job->row.wanted);
        return r < 0 ? r : job_table_update(job->campaign->update->options.store, &job->row);
}

/* A refusal is a verdict before anything was sent; behind the first step the device may hold half of it, and the job failed. */
static void end_unstarted(struct job *job, const struct gw_error *err) {
        if (job->winding_down)
                (void) job_finish(job, job->stop_state, NULL);
        else
                (void) job_finish_error(job, job->row.step ? JOB_STATE_FAILED : JOB_STATE_REJECTED, err);
}

/* The driver's estimate; where it has none, what the devices before took. */
static int64_t estimate_ms(const struct job *job) {
        const struct campaign *campaign = job->campaign;
        struct gw_error err = { 0 };
        struct gw_plan plan;
        if (plan_ask_driver(campaign->update, job->device, job->order, &plan, &err) >= 0 && plan.duration_ms > 0)
                return plan.duration_ms;
        return campaign_average_ms(campaign);
}

static int judge_window(struct job *job, struct gw_error *err) {
        struct campaign *campaign = job->campaign;
        if (job_must_end(job) || !job_may_stop(job) || !hold_has_windows(campaign))
                return 0;
        return hold_judge_eta(campaign, job->device, estimate_ms(job), err);
}

/* Whether the campaign means the device had to be found out; now it is known, or the device is asked. 0: it does. */
static int decide(struct job *job, struct gw_error *err) {
        const char *member = NULL;
        if (!job->row.undecided)
                return 0;
        switch (campaign_select(job->campaign, job->device, &member)) {
        case FLEET_SELECTED_UNKNOWN:
                gw_error_set(err, "inventory-unknown", "what devices.%s asks for is not known of %s yet", member, job->row.device);
                return -EAGAIN;
        case FLEET_SELECTED_NO:
                gw_error_set(err, "not-selected", "devices.%s does not mean %s", member, job->row.device);
                return -EINVAL;
        case FLEET_SELECTED_YES:
                break;
        }
        job->row.undecided = false;
        return job_write(job);
}

static void not_startable(struct job *job, int r, const struct gw_error *err) {
        if (job->winding_down)
                end_unstarted(job, err);
        else if (r == -EAGAIN && strcmp(err->name, "window") == 0)
                job_wait(job, err->name, 0, 0); /* the next opening wakes it */
        else if (r == -EAGAIN && strcmp(err->name, "model-conflict") != 0)
                ask_device(job, err->name);
        else if (r == -EAGAIN)
                job_wait(job, err->name, GW_WAKE_SEEN, 0);
        else if (r == -EIO)
                (void) job_finish_error(job, JOB_STATE_FAILED, err);
        else
                end_unstarted(job, err);
}

static void start_job(struct job *job) {
        struct gw_error err = { 0 };
        int r;
        if (!job->device) {
                gw_error_set(&err, "device-unknown", "%s was forgotten", job->row.device);
                (void) job_finish_error(job, JOB_STATE_FAILED, &err);
                return;
        }
        if (!job->device->adopted) {
                gw_error_set(&err, "not-adopted", "%s is not adopted any more", job->row.device);
                end_unstarted(job, &err);
                return;
        }
        if (!device_is_free(job)) {
                job_wait(job, "busy", 0, 0);
                return;
        }
        if (is_too_weak(job)) {
                job_wait(job, "weak-signal", GW_WAKE_SEEN, 0);
                return;
        }
        r = decide(job, &err);
        if (r >= 0)
                r = prepare_order(job, &err);
        if (r >= 0)
                r = judge_window(job, &err);
        if (r >= 0)
                r = job_run_start(job, &err) < 0 ? -EIO : 0;
        if (r < 0)
                not_startable(job, r, &err);
        else if (job->winding_down)
                (void) run_stop(job->run, GW_STOP_CANCEL);
}

/* --- the pass --- */

/* A campaign whose files are on their way starts nothing: which file is for whom may depend on them. */
static bool files_are_decided(const struct campaign *campaign) {
        for (size_t i = 0; i < campaign->n_files; i++)
                if (!gw_error_is_set(&campaign->files[i].error) && !package_is_ready(campaign->files[i].user.package))
                        return false;
        return true;
}

static void schedule_campaign(struct update *update, struct campaign *campaign) {
        struct job *job;
        if (!campaign->hold_timer)
                hold_look(campaign);
        if (!files_are_decided(campaign))
                return;
        while (campaign->n_running < campaign->document->policy.concurrency && update->n_running < (size_t) update->options.settings->limits.jobs) {
                job = LIST_FIRST(&campaign->ready, struct job, ready_link);
                if (!job || ((campaign->state != CAMPAIGN_STATE_IN_PROGRESS || campaign->hold) && !job_must_end(job)))
                        return;
                list_remove(&job->ready_link);
                start_job(job);
        }
}

static void pass(void *ctx) {
        struct update *update = ctx;
        struct campaign *campaign, *spare;
        update->schedule_timer = NULL;
        if (update->stopping || !update->begun)
                return;
        LIST_FOREACH_SAFE(campaign, spare, &update->campaigns, link) {
                rollout_look(campaign);
                schedule_campaign(update, campaign);
                if (campaign->look && campaign->state == CAMPAIGN_STATE_IN_PROGRESS)
                        schedule(update);
                if (campaign_is_over(campaign) && !campaign_stop_fetching(campaign))
                        campaign_free(campaign);
        }
        ask_more(update);
}

void schedule(struct update *update) {
        if (update->schedule_timer || update->stopping || !update->begun)
                return;
        (void) timer_start(update->options.loop, 0, pass, update, &update->schedule_timer);
}
