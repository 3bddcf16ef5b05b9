/* SPDX-License-Identifier: Apache-2.0 */
#include "document/campaign.h"

#include <errno.h>

#include "base/str.h"
#include "document/campaign_policy.h"

/*
 * Setters return 0 or a negative errno; only a lack of memory can make these fail, so the results are gathered and looked at once.
 */

/* Nothing where the list is empty. */
static int set_texts(struct json *object, const char *member, const struct str_list *list) {
        struct json *array;
        int r = 0;

        if (list->n_items == 0)
                return 0;
        array = json_set_new_array(object, member);
        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < list->n_items; i++)
                r |= json_append_string(array, list->items[i]);
        return r;
}

static int set_number_from_zero(struct json *object, const char *member, int64_t value) {
        return value < 0 ? 0 : json_set_int(object, member, value);
}

static int write_artifact(struct json *list, const struct campaign_artifact *artifact) {
        struct json *object = json_append_new_object(list);
        char digest[2 * sizeof(artifact->sha256) + 1];
        int r = 0;

        if (!object)
                return -ENOMEM;
        str_hex_encode(digest, sizeof(digest), artifact->sha256, sizeof(artifact->sha256));
        r |= json_set_string(object, "url", artifact->url);
        r |= json_set_int(object, "size", (int64_t) artifact->size);
        r |= json_set_string(object, "sha256", digest);
        r |= json_set_string(object, "format", artifact->format);
        r |= json_set_string(object, "version", artifact->version);
        r |= set_number_from_zero(object, "image", artifact->image);
        r |= set_texts(object, "compatible", &artifact->compatible);
        return r;
}

static int write_artifacts(struct json *json, const struct campaign_document *document) {
        struct json *list;
        int r = 0;

        if (document->rollback)
                return json_set_string(json, "rollback", "other-slot");
        r |= json_set_string(json, "rollback_of", document->rollback_of);
        if (document->n_artifacts == 0)
                return r;
        list = json_set_new_array(json, "artifacts");
        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < document->n_artifacts; i++)
                r |= write_artifact(list, &document->artifacts[i]);
        return r;
}

static int write_selector(struct json *json, const struct campaign_selector *selector) {
        struct json *object = json_set_new_object(json, "devices");
        int r = 0;

        if (!object)
                return -ENOMEM;
        if (selector->all)
                r |= json_set_bool(object, "all", true);
        r |= set_texts(object, "ids", &selector->ids);
        r |= set_texts(object, "labels", &selector->labels);
        r |= json_set_string(object, "name", selector->name);
        r |= set_texts(object, "driver", &selector->drivers);
        r |= json_set_string(object, "version", selector->version);
        if (selector->rssi_min_dbm != GW_RSSI_UNKNOWN)
                r |= json_set_int(object, "rssi_min_dbm", selector->rssi_min_dbm);
        r |= json_set_string(object, "updated_by", selector->updated_by);
        return r;
}

static int write_head(struct json *json, const struct campaign_document *document) {
        int r = 0;

        r |= json_set_string(json, "schema", CAMPAIGN_SCHEMA);
        r |= json_set_string(json, "id", document->id);
        r |= json_set_int(json, "revision", document->revision);
        r |= json_set_string(json, "comment", document->comment);
        r |= json_set_string(json, "iss", document->iss);
        r |= set_texts(json, "aud", &document->aud);
        r |= set_number_from_zero(json, "iat", document->iat_s);
        r |= set_number_from_zero(json, "nbf", document->nbf_s);
        r |= set_number_from_zero(json, "exp", document->exp_s);
        return r;
}

int campaign_document_write(const struct campaign_document *document, struct json **ret_json) {
        _cleanup_json_ struct json *json = json_new_object();

        if (!json || write_head(json, document) < 0 || write_artifacts(json, document) < 0 ||
            write_selector(json, &document->devices) < 0 || campaign_policy_write(json, &document->policy) < 0)
                return -ENOMEM;
        *ret_json = TAKE_PTR(json);
        return 0;
}
