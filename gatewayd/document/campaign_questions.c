/* SPDX-License-Identifier: Apache-2.0 */
#include "document/campaign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

int campaign_deadline(const struct campaign_document *document, int64_t accepted_ms, int64_t default_ms, int64_t *ret_deadline_ms,
                      struct gw_error *err) {
        int64_t deadline_ms = document->policy.deadline_ms;

        if (deadline_ms == 0) {
                *ret_deadline_ms = accepted_ms + MIN(default_ms, (int64_t) CAMPAIGN_DEADLINE_MAX_MS);
                return 0;
        }
        if (deadline_ms <= accepted_ms) {
                gw_error_set(err, "document-invalid", "policy.deadline: is over already");
                return -ERANGE;
        }
        if (deadline_ms - accepted_ms > CAMPAIGN_DEADLINE_MAX_MS) {
                gw_error_set(err, "document-invalid", "policy.deadline: is more than 180 days away");
                return -ERANGE;
        }
        *ret_deadline_ms = deadline_ms;
        return 0;
}

size_t campaign_waves(const struct campaign_policy *policy) {
        bool has_all = policy->n_waves > 0 && policy->waves[policy->n_waves - 1].percent == 100;

        return policy->n_waves + (has_all ? 0 : 1);
}

static size_t wave_share(const struct campaign_wave *wave, size_t population) {
        return wave->count > 0 ? MIN((size_t) wave->count, population) : (population * wave->percent + 99) / 100;
}

size_t campaign_wave_end(const struct campaign_policy *policy, size_t wave, size_t population) {
        size_t end = 0;

        if (wave + 1 >= campaign_waves(policy))
                return population;
        for (size_t i = 0; i <= wave; i++)
                end = MAX(end, wave_share(&policy->waves[i], population));
        return end;
}

static int compare_text_with_item(const void *text, const void *item) {
        return strcmp(text, *(char *const *) item);
}

bool campaign_selector_has_id(const struct campaign_selector *selector, const char *id) {
        const struct str_list *ids = &selector->ids;

        return ids->n_items > 0 && bsearch(id, ids->items, ids->n_items, sizeof(*ids->items), compare_text_with_item);
}

bool campaign_names_one_device(const struct campaign_document *document) {
        return document->devices.ids.n_items == 1;
}

const struct campaign_artifact *campaign_artifact_for_model(const struct campaign_document *document, const char *model) {
        for (size_t i = 0; i < document->n_artifacts; i++)
                if (str_list_contains(&document->artifacts[i].compatible, model))
                        return &document->artifacts[i];
        return NULL;
}

bool campaign_audience_entry_match(const char *entry, const char *gateway_id, const struct str_list *groups) {
        if (str_starts_with(entry, "group:"))
                return groups && str_list_contains(groups, entry + strlen("group:"));
        return str_glob_match(entry, gateway_id);
}

bool campaign_audience_match(const struct campaign_document *document, const char *gateway_id, const struct str_list *groups) {
        for (size_t i = 0; i < document->aud.n_items; i++)
                if (campaign_audience_entry_match(document->aud.items[i], gateway_id, groups))
                        return true;
        return document->aud.n_items == 0;
}
