/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "fleet/selector.h"

/* A deadline may be 180 days away; timers are kept shorter, and armed again, so that a clock that is set right counts. */
#define DEADLINE_LOOK_MS (60 * 60 * 1000)

int campaign_new(struct update *update, struct campaign_row *row, struct campaign_document *document, struct campaign **ret_campaign) {
        struct campaign *campaign = calloc(1, sizeof *campaign);
        if (!campaign)
                return -ENOMEM;
        list_init(&campaign->link);
        list_init(&campaign->jobs);
        list_init(&campaign->ready);
        list_init(&campaign->later);
        campaign->files = calloc(document->n_artifacts + 1, sizeof *campaign->files);
        if (!campaign->files) {
                free(campaign);
                return -ENOMEM;
        }
        campaign->update = update;
        campaign->row = *row;
        memset(row, 0, sizeof *row);
        campaign->document = document;
        campaign->n_files = document->n_artifacts;
        for (size_t i = 0; i < campaign->n_files; i++) {
                campaign->files[i].artifact = &document->artifacts[i];
                campaign->files[i].campaign = campaign;
        }
        (void) campaign_state_parse(campaign->row.state, &campaign->state);
        *ret_campaign = campaign;
        return 0;
}

static void free_file(struct campaign_file *file) {
        package_put(&file->user);
        if (file->pinned)
                artifact_unpin(file->campaign->update->options.artifacts, file->artifact->sha256);
}

void campaign_free(struct campaign *campaign) {
        struct job *job, *spare;
        if (!campaign)
                return;
        LIST_FOREACH_SAFE(job, spare, &campaign->jobs, link)
                job_free(job);
        timer_cancel(campaign->deadline_timer);
        timer_cancel(campaign->soak_timer);
        timer_cancel(campaign->hold_timer);
        windows_free(campaign->windows);
        for (size_t i = 0; i < campaign->n_files; i++)
                free_file(&campaign->files[i]);
        free(campaign->files);
        free(campaign->candidates);
        campaign_document_free(campaign->document);
        campaign_row_clear(&campaign->row);
        list_remove(&campaign->link);
        free(campaign);
}

/* --- files --- */

static void file_failed(struct campaign_file *file, const struct gw_error *err) {
        struct log_fields fields = { .campaign = file->campaign->row.id, .error = err->name };
        file->error = *err;
        if (!file->is_candidate)
                log_error(&fields, "%s", err->text);
        schedule(file->campaign->update);
}

bool campaign_file_is_as_stated(const struct campaign_file *file, struct gw_error *err) {
        const struct gw_package *content = package_content(file->user.package);
        const struct campaign_artifact *stated = file->artifact;
        uint64_t size = package_size(file->user.package);
        if (stated->size != size) {
                gw_error_set(err, "size-mismatch", "the campaign says the file has %llu bytes, but it has %llu", (unsigned long long) stated->size,
                             (unsigned long long) size);
                return false;
        }
        if (stated->format && strcmp(stated->format, content->format) != 0) {
                gw_error_set(err, "format-mismatch", "the campaign says the file is %s, but it is %s", stated->format, content->format);
                return false;
        }
        if (stated->version && content->version[0] && strcmp(stated->version, content->version) != 0) {
                gw_error_set(err, "version-mismatch", "the campaign says the file is version %s, but it is %s", stated->version, content->version);
                return false;
        }
        return true;
}

static void file_read(void *ctx, struct package *package) {
        struct campaign_file *file = ctx;
        struct gw_error err = { 0 };
        if (package_error(package)) {
                file_failed(file, package_error(package));
                return;
        }
        if (!campaign_file_is_as_stated(file, &err)) {
                file_failed(file, &err);
                return;
        }
        file->waiting[0] = '\0';
        schedule(file->campaign->update);
}

void campaign_keep_file(struct campaign_file *file) {
        file->user.done = file_read;
        file->user.ctx = file;
}

static void read_file(struct campaign_file *file) {
        struct gw_error err;
        int r;
        campaign_keep_file(file);
        r = package_get(file->campaign->update, file->artifact->sha256, &file->user);
        if (r >= 0)
                return;
        gw_error_set(&err, "artifact-unreadable", "the file cannot be opened: %s", strerror(-r));
        file_failed(file, &err);
}

/* Canceled for a campaign that was over; it may have been retried meanwhile. */
static void fetch_canceled(struct campaign *campaign) {
        if (!campaign->update->stopping && !campaign_is_over(campaign))
                campaign_begin_files(campaign);
        schedule(campaign->update);
}

static void fetch_done(void *ctx, int result, const struct gw_error *err) {
        struct campaign_file *file = ctx;
        file->fetch = NULL;
        if (result == -ECANCELED)
                fetch_canceled(file->campaign);
        else if (result < 0)
                file_failed(file, err);
        else
                read_file(file);
}

static void fetch_waiting(void *ctx, const struct gw_error *why) {
        struct campaign_file *file = ctx;
        struct log_fields fields = { .campaign = file->campaign->row.id, .error = why ? why->name : NULL };
        (void) str_copy(file->waiting, sizeof file->waiting, why ? why->name : "");
        if (why)
                log_warning(&fields, "the download waits: %s", why->text);
        schedule(file->campaign->update);
}

static void begin_file(struct campaign_file *file) {
        static const struct artifact_fetch_handler handler = { .waiting = fetch_waiting, .done = fetch_done };
        struct artifacts *artifacts = file->campaign->update->options.artifacts;
        struct artifact_request request = { .url = file->artifact->url, .size = file->artifact->size };
        struct gw_error err;
        int r;
        if (!file->pinned)
                file->pinned = artifact_pin(artifacts, file->artifact->sha256) >= 0;
        memcpy(request.sha256, file->artifact->sha256, sizeof request.sha256);
        r = artifact_fetch(artifacts, &request, &handler, file, &file->fetch);
        if (r >= 0)
                return;
        gw_error_set(&err, "out-of-memory", "the download cannot begin: %s", strerror(-r));
        file_failed(file, &err);
}

bool campaign_is_over(const struct campaign *campaign) {
        return campaign_state_is_final(campaign->state) && campaign->n_unfinished == 0 && campaign->n_running == 0;
}

bool campaign_stop_fetching(struct campaign *campaign) {
        bool any = false;
        for (size_t i = 0; i < campaign->n_files; i++) {
                any |= campaign->files[i].fetch != NULL;
                artifact_fetch_cancel(campaign->files[i].fetch);
        }
        return any;
}

void campaign_begin_files(struct campaign *campaign) {
        if (!hold_may_fetch(campaign))
                return;
        for (size_t i = 0; i < campaign->n_files; i++)
                if (!campaign->files[i].fetch && !campaign->files[i].user.package && !gw_error_is_set(&campaign->files[i].error))
                        begin_file(&campaign->files[i]);
}

struct campaign_file *campaign_find_file(struct campaign *campaign, const uint8_t digest[DIGEST_SIZE]) {
        for (size_t i = 0; i < campaign->n_files; i++)
                if (memcmp(campaign->files[i].artifact->sha256, digest, DIGEST_SIZE) == 0)
                        return &campaign->files[i];
        return NULL;
}

/* --- devices --- */

struct job *campaign_find_job(struct campaign *campaign, const struct gw_device *device) {
        const struct device_work *work = device->work;
        struct job *job;
        if (!work)
                return NULL;
        LIST_FOREACH(job, &work->jobs, device_link)
                if (job->campaign == campaign)
                        return job;
        return NULL;
}

static bool was_updated_by(const struct campaign *campaign, const struct gw_device *device, const char *id) {
        _cleanup_job_row_ struct job_row row = { 0 };
        return job_table_find_updated(campaign->update->options.store, id, device->id, &row) >= 0;
}

enum fleet_selected campaign_select(const struct campaign *campaign, const struct gw_device *device, const char **ret_member) {
        const struct campaign_document *document = campaign->document;
        enum fleet_selected selected = fleet_select(&document->devices, device, ret_member);
        const char *member = NULL;
        if (selected == FLEET_SELECTED_NO)
                return selected;
        if (document->devices.updated_by && !was_updated_by(campaign, device, document->devices.updated_by))
                member = "updated_by";
        else if (document->rollback_of && !was_updated_by(campaign, device, document->rollback_of))
                member = "rollback_of";
        if (member && ret_member)
                *ret_member = member;
        return member ? FLEET_SELECTED_NO : selected;
}

int campaign_take_device(struct campaign *campaign, struct gw_device *device) {
        if (!device->adopted || campaign_state_is_final(campaign->state) || campaign_find_job(campaign, device))
                return 0;
        switch (campaign_select(campaign, device, NULL)) {
        case FLEET_SELECTED_NO:
                return 0;
        case FLEET_SELECTED_UNKNOWN:
                return job_create(campaign, device, true);
        case FLEET_SELECTED_YES:
                return job_create(campaign, device, false);
        }
        return 0;
}

static bool depends_on(const struct campaign *campaign, const char *id) {
        return str_equal(campaign->document->devices.updated_by, id) || str_equal(campaign->document->rollback_of, id);
}

void campaigns_take_updated(struct update *update, const char *id, struct gw_device *device) {
        struct campaign *campaign;
        LIST_FOREACH(campaign, &update->campaigns, link)
                if (depends_on(campaign, id))
                        (void) campaign_take_device(campaign, device);
}

void campaigns_check_dependents(struct update *update, const char *id) {
        struct campaign *campaign;
        LIST_FOREACH(campaign, &update->campaigns, link)
                if (str_equal(campaign->document->rollback_of, id))
                        campaign_check_complete(campaign);
}

static void take_device(void *ctx, struct gw_device *device) {
        struct campaign *campaign = ctx;
        int r = campaign_take_device(campaign, device);
        struct log_fields fields = { .campaign = campaign->row.id, .device = device->id };
        if (r < 0)
                log_error(&fields, "no job could be made: %s", strerror(-r));
}

int campaign_take_devices(struct campaign *campaign) {
        return fleet_each(campaign->update->options.fleet, take_device, campaign);
}

/* --- states --- */

int campaign_set_state(struct campaign *campaign, enum campaign_state state, const char *reason) {
        struct update *update = campaign->update;
        struct log_fields fields = { .campaign = campaign->row.id };
        int64_t finished_ms = campaign_state_is_final(state) ? update_wall_ms(update) : 0;
        struct json *body;
        char *reason_copy = reason ? strdup(reason) : NULL, *state_copy = strdup(campaign_state_name(state));
        if (!state_copy || (reason && !reason_copy)) {
                free(state_copy);
                free(reason_copy);
                return -ENOMEM;
        }
        free(campaign->row.state);
        free(campaign->row.reason);
        campaign->row.state = state_copy;
        campaign->row.reason = reason_copy;
        campaign->row.finished_ms = finished_ms;
        campaign->state = state;
        log_info(&fields, "campaign %s is %s%s%s", campaign->row.id, campaign_state_name(state), reason ? ": " : "", reason ? reason : "");
        body = json_new_object();
        json_set_string(body, "state", campaign_state_name(state));
        json_set_string(body, "reason", reason);
        if (campaign_table_set_state(update->options.store, campaign->row.campaign_id, campaign->row.state, campaign->row.reason, finished_ms) < 0) {
                json_free(body);
                return -EIO;
        }
        return record_event(update, "campaign-state", campaign, NULL, body);
}

static const char *const pause_words[] = {
        [CAMPAIGN_PAUSE_NONE] = NULL,
        [CAMPAIGN_PAUSE_PERSON] = "person",
        [CAMPAIGN_PAUSE_THRESHOLD] = "threshold",
        [CAMPAIGN_PAUSE_GATE] = "gate",
        [CAMPAIGN_PAUSE_KEY_REVOKED] = "key-revoked",
        [CAMPAIGN_PAUSE_NEEDS_APPROVAL] = "needs-approval",
};

int campaign_pause(struct campaign *campaign, enum campaign_pause pause, const char *detail) {
        char reason[160];
        int r;
        (void) str_format(reason, sizeof reason, "%s%s%s", pause_words[pause], detail ? ": " : "", detail ? detail : "");
        r = campaign_set_state(campaign, CAMPAIGN_STATE_PAUSED, reason);
        campaign_stop_jobs(campaign, JOB_STATE_QUEUED, NULL);
        return r;
}

enum campaign_pause campaign_pause_of(const struct campaign *campaign) {
        if (campaign->state != CAMPAIGN_STATE_PAUSED || !campaign->row.reason)
                return CAMPAIGN_PAUSE_NONE;
        for (size_t i = CAMPAIGN_PAUSE_PERSON; i < ARRAY_SIZE(pause_words); i++) {
                size_t size = strlen(pause_words[i]);
                if (strncmp(campaign->row.reason, pause_words[i], size) == 0 && (!campaign->row.reason[size] || campaign->row.reason[size] == ':'))
                        return (enum campaign_pause) i;
        }
        return CAMPAIGN_PAUSE_PERSON;
}

int64_t campaign_average_ms(const struct campaign *campaign) {
        int64_t sum_ms = 0, n = 0;
        const struct job *job;
        LIST_FOREACH(job, &campaign->jobs, link)
                if (job->state == JOB_STATE_SUCCEEDED && job->row.started_ms > 0) {
                        sum_ms += MAX(job->row.finished_ms - job->row.started_ms, 0);
                        n++;
                }
        return n > 0 ? sum_ms / n : 0;
}

void campaign_check_complete(struct campaign *campaign) {
        if (campaign_state_is_final(campaign->state) && campaign->n_unfinished == 0 && campaign->n_running == 0) {
                schedule(campaign->update); /* it is let go there */
                return;
        }
        if (rollback_is_awaited(campaign))
                return;
        /* A campaign without a device stays until its deadline: one may still be adopted. */
        if (campaign->n_unfinished > 0 || campaign->n_jobs == 0 || campaign_state_is_final(campaign->state))
                return;
        (void) campaign_set_state(campaign, CAMPAIGN_STATE_COMPLETED, NULL);
        schedule(campaign->update);
}

void campaign_stop_jobs(struct campaign *campaign, enum job_state state, struct json *ret_busy) {
        struct job *job, *spare;
        LIST_FOREACH_SAFE(job, spare, &campaign->jobs, link) {
                if (job_is_final(job) || job_stop(job, state) != -EBUSY || !ret_busy)
                        continue;
                struct json *row = json_append_new_object(ret_busy);
                json_set_string(row, "device", job->row.device);
                json_set_string(row, "step", job->row.step);
                json_set_string(row, "reason", "behind the point of no return");
        }
}

/* --- deadline --- */

/* Behind the point of no return a device that is not back by now failed; what still runs there is ended first. */
static void give_up(struct job *job) {
        struct gw_error err;
        if (job->run) {
                job->stopping = true;
                job->stop_state = JOB_STATE_FAILED;
                (void) run_stop(job->run, GW_STOP_SHUTDOWN);
                return;
        }
        gw_error_set(&err, "did-not-return", "%s was not back by the deadline of the campaign", job->row.device);
        (void) job_finish_error(job, JOB_STATE_FAILED, &err);
}

static void deadline_passed(struct campaign *campaign) {
        struct job *job, *spare;
        if (!campaign->started_any && !campaign_state_is_final(campaign->state))
                (void) campaign_set_state(campaign, CAMPAIGN_STATE_EXPIRED, "deadline");
        LIST_FOREACH_SAFE(job, spare, &campaign->jobs, link)
                if (!job_is_final(job) && job_stop(job, JOB_STATE_TIMED_OUT) == -EBUSY)
                        give_up(job);
        if (!campaign_state_is_final(campaign->state) && campaign->n_jobs == 0)
                (void) campaign_set_state(campaign, CAMPAIGN_STATE_EXPIRED, "deadline");
}

static void deadline_look(void *ctx) {
        struct campaign *campaign = ctx;
        campaign->deadline_timer = NULL;
        if (update_is_credible(campaign->update) && update_wall_ms(campaign->update) >= campaign->row.deadline_ms)
                deadline_passed(campaign);
        /* In a campaign that is over the deadline still holds for what goes on behind its point of no return. */
        if (!campaign_state_is_final(campaign->state) || campaign->n_unfinished > 0)
                campaign_arm_deadline(campaign);
}

void campaign_arm_deadline(struct campaign *campaign) {
        int64_t left_ms = campaign->row.deadline_ms - update_wall_ms(campaign->update);
        if (campaign->row.deadline_ms == 0 || campaign->deadline_timer)
                return;
        /* Passed, but with running jobs that end, or with a clock that is not believed: look again in a while. */
        if (left_ms <= 0)
                left_ms = campaign->started_any ? 5000 : 60000;
        (void) timer_start(campaign->update->options.loop, MIN(left_ms, DEADLINE_LOOK_MS), deadline_look, campaign, &campaign->deadline_timer);
}
