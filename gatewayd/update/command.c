/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/str.h"

/* Commands of a person to a campaign that exists. Each is written down before it is answered. */

static int find(struct update *update, const char *id, struct campaign **ret_campaign, struct gw_error *err) {
        bool loaded;
        struct campaign *campaign;
        int r = campaign_look(update, id, -1, &campaign, &loaded, err);
        if (r < 0)
                return r;
        if (!loaded) {
                *ret_campaign = campaign;
                return 0;
        }
        gw_error_set(err, "campaign-finished", "campaign %s is %s", id, campaign_state_name(campaign->state));
        campaign_free(campaign);
        return -EPERM;
}

/* Takes `result` over; adds the campaign as it is now. */
static int answer(struct update *update, const struct campaign *campaign, struct json *result, update_reply reply, void *ctx) {
        struct json *summary = NULL;
        int r = campaign_describe(campaign, &summary);
        if (r < 0) {
                json_free(result);
                return r;
        }
        json_set(result, "campaign", summary);
        return reply_after_sync(update, result, reply, ctx);
}

static int refuse_state(struct update *update, const struct campaign *campaign, const char *wanted, update_reply reply, void *ctx) {
        struct gw_error err;
        gw_error_set(&err, "campaign-state", "campaign %s is %s and cannot be %s", campaign->row.id, campaign_state_name(campaign->state), wanted);
        return reply_error(update, &err, NULL, reply, ctx);
}

static void devices_are_free(struct campaign *campaign) {
        struct job *job;
        LIST_FOREACH(job, &campaign->jobs, link)
                if (job->device)
                        schedule_device_done(job->device);
}

/* A gate or a threshold that is met before or later waits for its own word; a person's pause is stronger than both. */
static bool may_pause(const struct campaign *campaign) {
        enum campaign_pause pause = campaign_pause_of(campaign);
        return campaign->state != CAMPAIGN_STATE_PAUSED || pause == CAMPAIGN_PAUSE_GATE || pause == CAMPAIGN_PAUSE_THRESHOLD;
}

int update_campaign_pause(struct update *update, const struct update_actor *actor, const char *id, const char *why, update_reply reply, void *ctx) {
        struct campaign *campaign;
        struct gw_error err = { 0 };
        if (find(update, id, &campaign, &err) < 0)
                return reply_error(update, &err, NULL, reply, ctx);
        if (campaign_state_is_final(campaign->state))
                return refuse_state(update, campaign, "paused", reply, ctx);
        if (!may_pause(campaign))
                return answer(update, campaign, json_new_object(), reply, ctx);
        (void) campaign_pause(campaign, CAMPAIGN_PAUSE_PERSON, why);
        (void) record_command(update, actor, "campaign.pause", campaign, campaign->row.reason);
        devices_are_free(campaign);
        return answer(update, campaign, json_new_object(), reply, ctx);
}

static int refuse_resume(struct update *update, const struct campaign *campaign, update_reply reply, void *ctx) {
        struct gw_error err;
        gw_error_set(&err, "campaign-state", "campaign %s waits for campaign.continue (%s)", campaign->row.id, campaign->row.reason);
        return reply_error(update, &err, NULL, reply, ctx);
}

/* Its key is gone; who lets it go on all the same answers for it. */
static int take_over(struct campaign *campaign, const struct update_actor *actor) {
        char *kid = actor->kid ? strdup(actor->kid) : NULL;
        if (actor->kid && !kid)
                return -ENOMEM;
        free(campaign->row.kid);
        campaign->row.kid = kid;
        return campaign_table_set_kid(campaign->update->options.store, campaign->row.campaign_id, kid);
}

int update_campaign_resume(struct update *update, const struct update_actor *actor, const char *id, update_reply reply, void *ctx) {
        struct campaign *campaign;
        struct gw_error err = { 0 };
        enum campaign_pause pause;
        if (find(update, id, &campaign, &err) < 0)
                return reply_error(update, &err, NULL, reply, ctx);
        if (campaign->state == CAMPAIGN_STATE_IN_PROGRESS)
                return answer(update, campaign, json_new_object(), reply, ctx);
        if (campaign->state != CAMPAIGN_STATE_PAUSED)
                return refuse_state(update, campaign, "resumed", reply, ctx);
        pause = campaign_pause_of(campaign);
        if (pause == CAMPAIGN_PAUSE_GATE || pause == CAMPAIGN_PAUSE_NEEDS_APPROVAL)
                return refuse_resume(update, campaign, reply, ctx);
        if (pause == CAMPAIGN_PAUSE_KEY_REVOKED && take_over(campaign, actor) < 0)
                return -ENOMEM;
        if (pause == CAMPAIGN_PAUSE_THRESHOLD)
                (void) rollout_forgive(campaign);
        campaign->look = true;
        (void) campaign_set_state(campaign, CAMPAIGN_STATE_IN_PROGRESS, NULL);
        (void) record_command(update, actor, "campaign.resume", campaign, "resumed");
        campaign_begin_files(campaign);
        schedule(update);
        return answer(update, campaign, json_new_object(), reply, ctx);
}

int update_campaign_continue(struct update *update, const struct update_actor *actor, const char *id, update_reply reply, void *ctx) {
        struct campaign *campaign;
        struct gw_error err = { 0 };
        enum campaign_pause pause;
        if (find(update, id, &campaign, &err) < 0)
                return reply_error(update, &err, NULL, reply, ctx);
        if (campaign->state == CAMPAIGN_STATE_IN_PROGRESS)
                return answer(update, campaign, json_new_object(), reply, ctx);
        pause = campaign_pause_of(campaign);
        if (pause != CAMPAIGN_PAUSE_GATE && pause != CAMPAIGN_PAUSE_NEEDS_APPROVAL)
                return refuse_state(update, campaign, "continued", reply, ctx);
        if (pause == CAMPAIGN_PAUSE_NEEDS_APPROVAL)
                offer_supersede(campaign);
        if (pause == CAMPAIGN_PAUSE_GATE) {
                campaign->row.gates_passed = campaign->row.wave + 1;
                (void) campaign_table_set_rollout(update->options.store, &campaign->row);
        }
        campaign->look = true;
        (void) campaign_set_state(campaign, CAMPAIGN_STATE_IN_PROGRESS, NULL);
        (void) record_command(update, actor, "campaign.continue", campaign, "continued");
        campaign_begin_files(campaign);
        schedule(update);
        return answer(update, campaign, json_new_object(), reply, ctx);
}

void update_keys_changed(struct update *update, bool (*is_known)(void *ctx, const char *kid), void *ctx) {
        struct campaign *campaign;
        LIST_FOREACH(campaign, &update->campaigns, link) {
                struct update_actor actor = { .door = "gateway", .principal = campaign->row.kid };
                if (!campaign->row.kid || campaign_state_is_final(campaign->state) || is_known(ctx, campaign->row.kid))
                        continue;
                if (campaign_pause_of(campaign) == CAMPAIGN_PAUSE_KEY_REVOKED)
                        continue;
                (void) campaign_pause(campaign, CAMPAIGN_PAUSE_KEY_REVOKED, campaign->row.kid);
                (void) record_command(update, &actor, "campaign.pause", campaign, campaign->row.reason);
                devices_are_free(campaign);
        }
}

static int list_stopped(const struct campaign *campaign, struct json *result) {
        struct json *stopped = json_set_new_array(result, "stopped");
        struct job *job;
        if (!stopped)
                return -ENOMEM;
        LIST_FOREACH(job, &campaign->jobs, link)
                if (job->state == JOB_STATE_CANCELED || (!job_is_final(job) && job->stopping))
                        json_append_string(stopped, job->row.device);
        return 0;
}

/* Asked again for what was done: the same answer. */
static int answer_canceled(struct update *update, const char *id, const struct gw_error *why, update_reply reply, void *ctx) {
        struct campaign *campaign;
        struct json *result;
        bool loaded;
        int r = campaign_look(update, id, -1, &campaign, &loaded, NULL);
        if (r < 0)
                return reply_error(update, why, NULL, reply, ctx);
        result = json_new_object();
        if (campaign->state != CAMPAIGN_STATE_CANCELED || !result || !json_set_new_array(result, "not_stopped") || list_stopped(campaign, result) < 0) {
                json_free(result);
                r = reply_error(update, why, NULL, reply, ctx);
        } else {
                r = answer(update, campaign, result, reply, ctx);
        }
        if (loaded)
                campaign_free(campaign);
        return r;
}

int update_campaign_cancel(struct update *update, const struct update_actor *actor, const char *id, update_reply reply, void *ctx) {
        struct campaign *campaign;
        struct gw_error err = { 0 };
        struct json *result, *busy;
        if (find(update, id, &campaign, &err) < 0)
                return answer_canceled(update, id, &err, reply, ctx);
        result = json_new_object();
        busy = result ? json_set_new_array(result, "not_stopped") : NULL;
        if (!busy) {
                json_free(result);
                return -ENOMEM;
        }
        if (!campaign_state_is_final(campaign->state)) {
                (void) campaign_set_state(campaign, CAMPAIGN_STATE_CANCELED, "person");
                (void) record_command(update, actor, "campaign.cancel", campaign, "canceled");
        }
        campaign_stop_jobs(campaign, JOB_STATE_CANCELED, busy);
        (void) list_stopped(campaign, result);
        schedule(update);
        return answer(update, campaign, result, reply, ctx);
}

/* --- retry --- */

static bool wants_retry(const struct update_retry *retry, const struct job *job) {
        if (!job_is_final(job) || job->state == JOB_STATE_SUCCEEDED || job->state == JOB_STATE_SUPERSEDED)
                return false;
        if (retry->devices && !str_list_contains(retry->devices, job->row.device))
                return false;
        if (retry->errors && (!job->row.error_name || !str_list_contains(retry->errors, job->row.error_name)))
                return false;
        return retry->devices || retry->errors || job->state != JOB_STATE_REJECTED;
}

/* A finished campaign is taken back into memory for its jobs to run again. */
static int revive(struct update *update, const char *id, struct campaign **ret_campaign, struct gw_error *err) {
        struct campaign_row row = { 0 };
        int r = campaign_table_find(update->options.store, id, -1, &row);
        if (r < 0) {
                gw_error_set(err, "campaign-unknown", "no campaign %s is known", id);
                return r;
        }
        *ret_campaign = update_find_loaded(update, row.campaign_id);
        if (*ret_campaign) {
                campaign_row_clear(&row);
                return 0;
        }
        r = campaign_load(update, &row, false, ret_campaign);
        if (r < 0)
                gw_error_set(err, "store-corrupt", "campaign %s cannot be read from the store: %s", id, strerror(-r));
        return r;
}

/* What made a file fail may be repaired by now; whoever asks for another try means the file, too. */
static void forget_failures(struct campaign *campaign) {
        for (size_t i = 0; i < campaign->n_files; i++) {
                struct campaign_file *file = &campaign->files[i];
                if (!gw_error_is_set(&file->error))
                        continue;
                package_put(&file->user);
                file->error = (struct gw_error){ 0 };
        }
        campaign_begin_files(campaign);
}

static int requeue_all(struct campaign *campaign, const struct update_retry *retry, struct json *retried) {
        struct job *job;
        LIST_FOREACH(job, &campaign->jobs, link) {
                int r;
                if (!wants_retry(retry, job))
                        continue;
                r = job_requeue(job);
                if (r < 0)
                        return r;
                json_append_string(retried, job->row.device);
        }
        return 0;
}

static int reopen(struct campaign *campaign, struct gw_error *err) {
        struct update *update = campaign->update;
        if (campaign->state == CAMPAIGN_STATE_SUPERSEDED) {
                gw_error_set(err, "campaign-state", "campaign %s was superseded by a higher revision", campaign->row.id);
                return -EPERM;
        }
        if (campaign->row.deadline_ms > 0 && update_wall_ms(update) >= campaign->row.deadline_ms) {
                gw_error_set(err, "campaign-expired", "the deadline of campaign %s is over; a higher revision can set another", campaign->row.id);
                return -EPERM;
        }
        return 0;
}

int update_campaign_retry(struct update *update, const struct update_actor *actor, const struct update_retry *retry, update_reply reply, void *ctx) {
        struct campaign *campaign = NULL;
        struct gw_error err = { 0 };
        struct json *result, *retried;
        int r = revive(update, retry->id, &campaign, &err);
        if (r >= 0)
                r = reopen(campaign, &err);
        if (r < 0) {
                schedule(update);
                return reply_error(update, &err, NULL, reply, ctx);
        }
        result = json_new_object();
        retried = result ? json_set_new_array(result, "retried") : NULL;
        r = retried ? requeue_all(campaign, retry, retried) : -ENOMEM;
        if (r >= 0 && json_length(retried) > 0) {
                if (campaign_state_is_final(campaign->state))
                        r = campaign_set_state(campaign, CAMPAIGN_STATE_IN_PROGRESS, "retry");
                campaign_arm_deadline(campaign);
                (void) rollout_retried(campaign);
                forget_failures(campaign);
        }
        if (r < 0) {
                json_free(result);
                return r;
        }
        (void) record_command(update, actor, "campaign.retry", campaign, "retried");
        schedule(update);
        return answer(update, campaign, result, reply, ctx);
}
