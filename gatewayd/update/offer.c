/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "fleet/selector.h"
#include "update/offer.h"

/*
 * An order on its way in: parsed, its files that are here already read by a format (so that a broken file is refused at once and not
 * job by job), then either planned or accepted. The campaign object is made first and becomes the real one when it is accepted.
 *
 *     document -> mistakes? -> known? -> files (worker) -> offer_plan | accept_offer -> reply when durable
 */

static void offer_free(struct offer *offer) {
        if (!offer)
                return;
        loop_defer_cancel(offer->deferral);
        list_remove(&offer->link);
        campaign_free(offer->campaign);
        free(offer->door);
        free(offer->principal);
        free(offer);
}

static void refuse(struct offer *offer, const struct gw_error *err) {
        (void) reply_error(offer->update, err, NULL, offer->reply, offer->ctx);
        offer_free(offer);
}

/* --- accepting --- */

/* Begun, with a file that the new revision has, too, and for the same end. What was not begun loses nothing by beginning anew. */
static bool goes_on(const struct job *job, struct campaign *next) {
        const struct campaign_file *file = job->row.has_artifact ? campaign_find_file(next, job->row.artifact) : NULL;
        if (job->state != JOB_STATE_IN_PROGRESS || !job->device || campaign_find_job(next, job->device) || campaign_find_job(next, job->device) || job->winding_down || (job->stopping && job_state_is_final(job->stop_state)))
                return false;
        /* The parts that a run works with belong to the file as it was read: it must be held by the new revision, too. */
        if (!file || gw_error_is_set(&file->error) || !package_is_ready(file->user.package))
                return false;
        return next->document->policy.mode == job->campaign->document->policy.mode &&
               campaign_select(next, job->device, NULL) != FLEET_SELECTED_NO;
}

static void supersede(struct campaign *campaign, struct campaign *next) {
        char reason[64];
        struct job *job, *spare;
        (void) str_format(reason, sizeof reason, "revision %" PRId64, next->row.revision);
        if (campaign_state_is_final(campaign->state))
                return;
        LIST_FOREACH_SAFE(job, spare, &campaign->jobs, link)
                if (goes_on(job, next))
                        (void) job_move(job, next);
        (void) campaign_set_state(campaign, CAMPAIGN_STATE_SUPERSEDED, reason);
        campaign_stop_jobs(campaign, JOB_STATE_SUPERSEDED, NULL);
        schedule(campaign->update);
}

void offer_supersede(struct campaign *campaign) {
        struct campaign *old, *spare;
        LIST_FOREACH_SAFE(old, spare, &campaign->update->campaigns, link)
                if (strcmp(old->row.id, campaign->row.id) == 0 && old->row.revision < campaign->row.revision)
                        supersede(old, campaign);
        rollback_stop_other(campaign);
}

static void adopt_files(struct campaign *campaign) {
        for (size_t i = 0; i < campaign->n_files; i++)
                if (campaign->files[i].user.package)
                        campaign_keep_file(&campaign->files[i]);
        campaign_begin_files(campaign);
}

static int answer_accepted(struct offer *offer, const struct campaign *campaign, bool known) {
        struct json *result = json_new_object(), *summary = NULL;
        int r = campaign_describe(campaign, &summary);
        if (r < 0) {
                json_free(result);
                return r;
        }
        json_set(result, "campaign", summary);
        json_set_bool(result, "known", known);
        return reply_after_sync(offer->update, result, offer->reply, offer->ctx);
}

/* A name belongs to whoever used it first: the machine itself, or a key, for as long as that key is there. */
static bool may_follow(const struct offer *offer, const struct campaign_row *known, struct gw_error *err) {
        const char *kid = offer->campaign->row.kid;
        if (!kid || str_equal(kid, known->kid) || (known->kid && !keyring_find(offer->update->keyring, known->kid)))
                return true;
        gw_error_set(err, "campaign-other-key", "%s revision %" PRId64 " came from %s", known->id, known->revision, known->kid ? known->kid : "the gateway itself");
        return false;
}

/* The same (id, revision) twice is the same order; a lower revision or other bytes are not. 1: known, answered. */
static int compare_known(struct offer *offer, struct gw_error *err) {
        struct campaign *known;
        struct campaign_row *row = &offer->campaign->row;
        bool loaded;
        int r = campaign_look(offer->update, row->id, -1, &known, &loaded, NULL);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (known->row.revision < row->revision) {
                r = may_follow(offer, &known->row, err) ? 0 : -EPERM;
        } else if (known->row.revision > row->revision) {
                gw_error_set(err, "revision-lower", "revision %" PRId64 " of %s is known already", known->row.revision, row->id);
                r = -EPERM;
        } else if (memcmp(known->row.digest, row->digest, DIGEST_SIZE) != 0) {
                gw_error_set(err, "campaign-conflict", "another document was accepted as %s revision %" PRId64, row->id, row->revision);
                r = -EEXIST;
        } else {
                r = answer_accepted(offer, known, true) < 0 ? -ENOMEM : 1;
        }
        if (loaded)
                campaign_free(known);
        return r;
}

static int accept_offer(struct offer *offer) {
        struct update *update = offer->update;
        struct campaign *campaign = offer->campaign;
        struct update_actor actor = { .door = offer->door, .principal = offer->principal };
        int r;
        r = campaign_table_insert(update->options.store, &campaign->row);
        if (r < 0)
                return r;
        list_append(&update->campaigns, &campaign->link);
        offer->campaign = NULL;
        campaign->offer = NULL;
        campaign->visiting = false;
        r = offer->held ? campaign_pause(campaign, CAMPAIGN_PAUSE_NEEDS_APPROVAL, NULL)
                        : campaign_set_state(campaign, CAMPAIGN_STATE_IN_PROGRESS, NULL);
        if (r >= 0)
                r = record_command(update, &actor, "campaign.start", campaign, offer->held ? "held" : "accepted");
        adopt_files(campaign);
        if (!offer->held)
                offer_supersede(campaign);
        if (r >= 0)
                r = campaign_take_devices(campaign);
        if (r >= 0)
                r = rollout_choose_waves(campaign);
        rollout_begin(campaign);
        campaign_arm_deadline(campaign);
        schedule(update);
        return r < 0 ? r : answer_accepted(offer, campaign, false);
}

/* The same order may have come a second time, and another revision of it, while the files were read. */
static int accept_new(struct offer *offer, struct gw_error *err) {
        int r = compare_known(offer, err);
        return r == 0 ? accept_offer(offer) : r;
}

/* Naming one device is a person's statement about its hardware; an order for several needs a file or a document that names it. */
static bool names_hardware(const struct campaign *campaign, struct gw_error *err) {
        if (campaign_names_one_device(campaign->document) || campaign->document->rollback_of)
                return true;
        for (size_t i = 0; i < campaign->n_files; i++) {
                const struct campaign_file *file = &campaign->files[i];
                if (file->artifact->compatible.n_items > 0 || !package_is_ready(file->user.package) || package_content(file->user.package)->n_compatible > 0)
                        continue;
                gw_error_set(err, "compatible-required", "artifacts[%zu]: the file names no hardware; more than one device needs `compatible`", i);
                return false;
        }
        return true;
}

static void files_are_read(struct offer *offer) {
        struct gw_error err = { 0 };
        int r;
        for (size_t i = 0; i < offer->campaign->n_files; i++) {
                const struct campaign_file *file = &offer->campaign->files[i];
                if (gw_error_is_set(&file->error) && !file->is_candidate) {
                        err = file->error;
                        gw_error_prefix(&err, "artifacts[%zu]", i);
                        refuse(offer, &err);
                        return;
                }
        }
        if (!offer->planning && !names_hardware(offer->campaign, &err)) {
                refuse(offer, &err);
                return;
        }
        r = offer->planning ? offer_plan(offer) : accept_new(offer, &err);
        if (r < 0) {
                if (!gw_error_is_set(&err))
                        gw_error_set(&err, "internal-error", "the order could not be taken: %s", strerror(-r));
                refuse(offer, &err);
                return;
        }
        offer_free(offer);
}

static void file_read(void *ctx, struct package *package) {
        struct campaign_file *file = ctx;
        struct offer *offer = file->campaign->offer;
        struct gw_error err = { 0 };
        if (package_error(package))
                file->error = *package_error(package);
        else if (!campaign_file_is_as_stated(file, &err))
                file->error = err;
        if (--offer->n_reading == 0)
                files_are_read(offer);
}

static void nothing_to_read(void *ctx) {
        struct offer *offer = ctx;
        offer->deferral = NULL;
        files_are_read(offer);
}

static int read_files(struct offer *offer, struct gw_error *err) {
        struct update *update = offer->update;
        int r;
        for (size_t i = 0; i < offer->campaign->n_files; i++) {
                struct campaign_file *file = &offer->campaign->files[i];
                if (!artifact_has(update->options.artifacts, file->artifact->sha256)) {
                        if (file->artifact->url)
                                continue;
                        gw_error_set(err, "artifact-not-imported", "artifacts[%zu]: the file was not imported and has no url", i);
                        return -ENOENT;
                }
                file->user.done = file_read;
                file->user.ctx = file;
                r = package_get(update, file->artifact->sha256, &file->user);
                if (r < 0 && file->is_candidate) {
                        gw_error_set(&file->error, "artifact-unreadable", "the file cannot be opened: %s", strerror(-r));
                        continue;
                }
                if (r < 0) {
                        gw_error_set(err, "artifact-unreadable", "artifacts[%zu]: the file cannot be opened", i);
                        return -EIO;
                }
                offer->n_reading++;
        }
        return offer->n_reading > 0 ? 0 : loop_defer(update->options.loop, nothing_to_read, offer, &offer->deferral);
}

/* --- the document --- */

/* Kept with every default written out, so that another configuration does not change what was accepted. */
static char *write_whole(const struct campaign_document *document) {
        _cleanup_json_ struct json *json = NULL;
        char *text = NULL;
        return campaign_document_write(document, &json) >= 0 && json_write(json, &text, NULL) >= 0 ? text : NULL;
}

static int fill_row(struct offer *offer, const struct offer_origin *origin, struct campaign_document *document, struct campaign_row *row,
                    struct gw_error *err) {
        struct update *update = offer->update;
        row->id = strdup(document->id);
        row->document = write_whole(document);
        row->source = strdup(offer->door);
        row->principal = strdup(offer->principal);
        row->state = strdup(campaign_state_name(CAMPAIGN_STATE_SCHEDULED));
        row->kid = origin->kid ? strdup(origin->kid) : NULL;
        if (!row->id || !row->document || !row->source || !row->principal || !row->state || (origin->kid && !row->kid)) {
                gw_error_set(err, "out-of-memory", "no memory for the campaign");
                return -ENOMEM;
        }
        row->revision = document->revision;
        row->accepted_ms = update_wall_ms(update);
        return campaign_deadline(document, row->accepted_ms, update->options.settings->policy.deadline_ms, &row->deadline_ms, err);
}

static int check_outbox(struct offer *offer, struct gw_error *err) {
        struct update *update = offer->update;
        if (event_table_undelivered(update->options.store) < update->options.settings->limits.outbox)
                return 0;
        gw_error_set(err, "outbox-full", "reports of earlier work could not be delivered yet, and there is no room for more");
        return -ENOSPC;
}

/* Of the bytes that were signed; a local document has no bytes of its own. */
static int digest_of(const struct offer_origin *origin, const struct json *json, uint8_t ret_digest[DIGEST_SIZE]) {
        _cleanup_free_ char *text = NULL;
        int r;
        if (origin->digest) {
                memcpy(ret_digest, origin->digest, DIGEST_SIZE);
                return 0;
        }
        r = json_write(json, &text, NULL);
        if (r >= 0)
                digest_sha256(text, strlen(text), ret_digest);
        return r;
}

static int make_campaign(struct offer *offer, const struct offer_origin *origin, const struct json *json, struct json_errors *mistakes,
                         struct gw_error *err) {
        const struct settings *settings = offer->update->options.settings;
        struct campaign_policy defaults = campaign_policy_default;
        struct campaign_parse_options options = { .origin = origin->origin, .defaults = &defaults };
        struct campaign_document *document = NULL;
        _cleanup_campaign_row_ struct campaign_row row = { 0 };
        int r;
        (void) mode_parse(settings->policy.mode, &defaults.mode);
        defaults.concurrency = (uint32_t) settings->policy.concurrency;
        defaults.attempts = (uint32_t) settings->policy.attempts;
        defaults.trial_ms = settings->policy.trial_ms;
        defaults.trial_checks = (uint32_t) settings->policy.trial_checks;
        r = campaign_document_read(json, origin->path, &options, &document, mistakes);
        if (r < 0) {
                gw_error_set(err, "document-invalid", "the campaign document has %zu mistakes", json_errors_count(mistakes));
                return r;
        }
        r = digest_of(origin, json, row.digest);
        if (r >= 0)
                r = fill_row(offer, origin, document, &row, err);
        if (r >= 0)
                r = campaign_new(offer->update, &row, document, &offer->campaign);
        if (r < 0) {
                campaign_document_free(document);
                return r;
        }
        offer->campaign->visiting = true;
        offer->campaign->offer = offer;
        r = hold_read_windows(offer->campaign, err);
        return r < 0 ? r : rollback_add_candidates(offer->campaign);
}

static int begin(struct offer *offer, const struct offer_origin *origin, const struct json *json, struct json_errors *mistakes,
                 struct gw_error *err) {
        int r = make_campaign(offer, origin, json, mistakes, err);
        if (r >= 0 && !offer->planning)
                r = compare_known(offer, err);
        if (r != 0)
                return r;
        r = offer->planning ? 0 : check_outbox(offer, err);
        return r < 0 ? r : read_files(offer, err);
}

int offer_take(struct update *update, const struct update_actor *actor, const struct offer_origin *origin, const struct json *document,
               update_reply reply, void *ctx) {
        _cleanup_free_ struct json_errors *mistakes = calloc(1, sizeof *mistakes);
        struct offer *offer = calloc(1, sizeof *offer);
        struct gw_error err = { 0 };
        int r;
        if (!mistakes || !offer) {
                free(offer);
                return -ENOMEM;
        }
        *offer = (struct offer){ .update = update, .reply = reply, .ctx = ctx, .planning = !actor, .held = origin->held };
        list_init(&offer->link);
        list_append(&update->offers, &offer->link);
        offer->door = strdup(actor ? actor->door : "");
        offer->principal = strdup(actor ? actor->principal : "");
        json_errors_init(mistakes);
        r = offer->door && offer->principal ? begin(offer, origin, document, mistakes, &err) : -ENOMEM;
        if (r == 0)
                return 0;
        offer_free(offer);
        if (r > 0)
                return 0;
        if (!gw_error_is_set(&err))
                gw_error_set(&err, "internal-error", "the order could not be taken: %s", strerror(-r));
        return reply_error(update, &err, json_errors_any(mistakes) ? mistakes : NULL, reply, ctx);
}

/* Who may speak to the control socket is the authority. */
static const struct offer_origin local_origin = { .origin = CAMPAIGN_ORIGIN_LOCAL, .path = "params.document" };

int update_campaign_start(struct update *update, const struct update_actor *actor, const struct json *document, update_reply reply, void *ctx) {
        return offer_take(update, actor, &local_origin, document, reply, ctx);
}

int update_campaign_plan(struct update *update, const struct json *document, update_reply reply, void *ctx) {
        return offer_take(update, NULL, &local_origin, document, reply, ctx);
}

void offers_free(struct update *update) {
        struct offer *offer, *spare;
        LIST_FOREACH_SAFE(offer, spare, &update->offers, link)
                offer_free(offer);
}
