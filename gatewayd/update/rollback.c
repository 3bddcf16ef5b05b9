/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/str.h"

/*
 * The way back: a campaign with `rollback_of` brings each device that the other campaign updated to the images that it ran before. They are
 * known by their image hash. Where they still lie in the device nothing is sent; else any file with a part of that hash will do, one
 * of the document or one that happens to be in the cache.
 */

/* --- files --- */

struct candidates {
        struct campaign *campaign;
        struct campaign_artifact *artifacts;
        size_t n_artifacts;
};

static void add_candidate(void *ctx, const struct artifact_info *info) {
        struct candidates *candidates = ctx;
        struct campaign_artifact *artifact;
        if (!info->complete || campaign_find_file(candidates->campaign, info->sha256))
                return;
        /* The most recently used ones are the last to come. */
        if (candidates->n_artifacts == ROLLBACK_CANDIDATES_MAX) {
                memmove(candidates->artifacts, candidates->artifacts + 1, (ROLLBACK_CANDIDATES_MAX - 1) * sizeof *candidates->artifacts);
                candidates->n_artifacts--;
        }
        artifact = &candidates->artifacts[candidates->n_artifacts++];
        *artifact = (struct campaign_artifact){ .size = info->size, .image = -1 };
        memcpy(artifact->sha256, info->sha256, sizeof artifact->sha256);
}

int rollback_add_candidates(struct campaign *campaign) {
        struct candidates candidates = { .campaign = campaign };
        struct campaign_file *files;
        if (!campaign->document->rollback_of)
                return 0;
        candidates.artifacts = calloc(ROLLBACK_CANDIDATES_MAX, sizeof *candidates.artifacts);
        files = calloc(campaign->n_files + ROLLBACK_CANDIDATES_MAX, sizeof *files);
        if (!candidates.artifacts || !files) {
                free(candidates.artifacts);
                free(files);
                return -ENOMEM;
        }
        artifact_each(campaign->update->options.artifacts, add_candidate, &candidates);
        memcpy(files, campaign->files, campaign->n_files * sizeof *files); /* none of them is opened yet */
        for (size_t i = 0; i < candidates.n_artifacts; i++)
                files[campaign->n_files++] = (struct campaign_file){ .artifact = &candidates.artifacts[i], .campaign = campaign, .is_candidate = true };
        free(campaign->files);
        campaign->files = files;
        campaign->candidates = candidates.artifacts;
        return 0;
}

/* --- what a device goes back to --- */

static int write_one(const struct job_row *row, char **ret_text) {
        _cleanup_json_ struct json *json = json_new_array();
        struct json *image = json ? json_append_new_object(json) : NULL;
        if (!image)
                return -ENOMEM;
        json_set_int(image, "image", 0);
        json_set_string(image, "hash", row->hash_before);
        json_set_string(image, "version", row->version_before ? row->version_before : "");
        return json_write(json, ret_text, NULL);
}

int rollback_wanted(const struct campaign *campaign, const struct gw_device *device, char **ret_text, struct gw_error *err) {
        const char *id = campaign->document->rollback_of;
        _cleanup_job_row_ struct job_row row = { 0 };
        int r = job_table_find_updated(campaign->update->options.store, id, device->id, &row);
        if (r < 0) {
                gw_error_set(err, "not-selected", "campaign %s did not update %s", id, device->id);
                return -ENOENT;
        }
        if (row.images_before && strcmp(row.images_before, "[]") != 0) {
                *ret_text = TAKE_PTR(row.images_before);
                return 0;
        }
        if (!row.hash_before || row.images_before) {
                gw_error_set(err, "rollback-image-gone", "campaign %s could not tell which image %s ran before", id, device->id);
                return -ENOENT;
        }
        return write_one(&row, ret_text);
}

/* --- where it comes from --- */

static bool is_wanted(const struct gw_wanted *wanted, const struct gw_part *part) {
        return part->hash_size > 0 && part->hash_size == wanted->hash_size && memcmp(part->hash, wanted->hash, part->hash_size) == 0;
}

static const struct gw_part *find_part(const struct campaign *campaign, const struct gw_device *device, const struct gw_wanted *wanted) {
        for (size_t i = 0; i < campaign->n_files; i++) {
                const struct campaign_file *file = &campaign->files[i];
                const struct gw_package *content;
                if (gw_error_is_set(&file->error) || !package_is_ready(file->user.package) || package_error(file->user.package))
                        continue;
                content = package_content(file->user.package);
                if (!order_driver_takes(campaign, device, content->format))
                        continue;
                for (size_t j = 0; j < content->n_parts; j++)
                        if (is_wanted(wanted, &content->parts[j]))
                                return &content->parts[j];
        }
        return NULL;
}

static bool lies_in_device(const struct gw_device *device, const struct gw_wanted *wanted) {
        for (size_t i = 0; i < device->n_images; i++) {
                const struct gw_image *image = &device->images[i];
                if (image->image == wanted->image && image->hash_size == wanted->hash_size && memcmp(image->hash, wanted->hash, wanted->hash_size) == 0)
                        return true;
        }
        return false;
}

int rollback_find_images(const struct campaign *campaign, const struct gw_device *device, struct gw_order *order, struct gw_error *err) {
        char hex[2 * GW_HASH_MAX + 1];
        order->allow_downgrade = true;
        for (size_t i = 0; i < order->n_wanted; i++) {
                struct gw_wanted *wanted = &order->wanted[i];
                wanted->part = find_part(campaign, device, wanted);
                if (wanted->part || lies_in_device(device, wanted))
                        continue;
                if (!device->images_known) {
                        gw_error_set(err, "inventory-unknown", "what lies in the slots of %s is not known yet", device->id);
                        return -EAGAIN;
                }
                str_hex_encode(hex, sizeof hex, wanted->hash, wanted->hash_size);
                gw_error_set(err, "rollback-image-gone", "the image %.16s... (%s) that %s ran before lies in none of its slots, and no file here has it", hex,
                             wanted->version[0] ? wanted->version : "no version", device->id);
                return -ENOENT;
        }
        return 0;
}

/* --- the campaign that is taken back --- */

void rollback_stop_other(struct campaign *campaign) {
        struct campaign *other = campaign->document->rollback_of ? update_find_campaign(campaign->update, campaign->document->rollback_of) : NULL;
        char reason[STR_ID_MAX + 24];
        if (!other || campaign_state_is_final(other->state))
                return;
        (void) str_format(reason, sizeof reason, "rollback: %s", campaign->row.id);
        (void) campaign_set_state(other, CAMPAIGN_STATE_CANCELED, reason);
        campaign_stop_jobs(other, JOB_STATE_CANCELED, NULL);
}

bool rollback_is_awaited(const struct campaign *campaign) {
        const struct campaign *other;
        if (!campaign->document->rollback_of)
                return false;
        LIST_FOREACH(other, &campaign->update->campaigns, link)
                if (strcmp(other->row.id, campaign->document->rollback_of) == 0 && other->n_unfinished > 0)
                        return true;
        return false;
}
