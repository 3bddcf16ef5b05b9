/* SPDX-License-Identifier: Apache-2.0 */
#include "document/campaign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "document/campaign_policy.h"
#include "document/reader.h"

/* --- artifacts --- */

static void artifact_clear(struct campaign_artifact *artifact) {
        free(artifact->url);
        free(artifact->format);
        free(artifact->version);
        str_list_deinit(&artifact->compatible);
}

static void keep_text(struct reader *reader, struct place place, const char *member, const struct text_rule *rule, char **dst) {
        const char *text;

        if (reader_text(reader, place, member, rule, &text))
                reader_keep(reader, dst, text);
}

static void require_artifact_members(struct reader *reader, struct place place, bool is_signed, size_t n_artifacts) {
        reader_require(reader, place, "size");
        reader_require(reader, place, "sha256");
        if (is_signed)
                reader_require(reader, place, "url");
        /* With several files each device must be matched with one of them. */
        if (is_signed || n_artifacts > 1)
                reader_require(reader, place, "compatible");
}

static void read_artifact(struct reader *reader, struct place place, struct campaign_artifact *artifact) {
        static const char *const allowed[] = {"url", "size", "sha256", "format", "version", "image", "compatible"};
        const char *digest;
        int64_t number;

        if (!reader_members(reader, place, allowed, ARRAY_SIZE(allowed)) && json_kind(place.json) != JSON_KIND_OBJECT)
                return;
        keep_text(reader, place, "url", &rule_url, &artifact->url);
        keep_text(reader, place, "format", &rule_driver, &artifact->format);
        keep_text(reader, place, "version", &rule_version, &artifact->version);
        if (reader_integer(reader, place, "size", (struct integer_range){1, CAMPAIGN_ARTIFACT_SIZE_MAX}, &number))
                artifact->size = (uint64_t) number;
        if (reader_integer(reader, place, "image", (struct integer_range){0, CAMPAIGN_IMAGE_MAX}, &number))
                artifact->image = (int) number;
        if (reader_text(reader, place, "sha256", &rule_sha256, &digest))
                str_hex_decode(artifact->sha256, sizeof(artifact->sha256), digest);
        reader_texts(reader, place, "compatible", (struct list_rule){&rule_model, 1, CAMPAIGN_COMPATIBLE_MAX}, &artifact->compatible);
}

/* A model that two artifacts of the same format (or of none) list would leave open which of them is meant. */
static void check_one_artifact_a_model(struct reader *reader, const struct campaign_document *document, const char *path) {
        for (size_t i = 1; i < document->n_artifacts; i++)
                for (size_t j = 0; j < i; j++) {
                        const struct campaign_artifact *a = &document->artifacts[j], *b = &document->artifacts[i];

                        if (a->format && b->format && !str_equal(a->format, b->format))
                                continue;
                        for (size_t k = 0; k < b->compatible.n_items; k++)
                                if (str_list_contains(&a->compatible, b->compatible.items[k]))
                                        reader_mistake(reader, path, "artifacts", "[%zu] and [%zu] are both for %s", j, i,
                                                       b->compatible.items[k]);
                }
}

static void read_artifacts(struct reader *reader, struct place place, bool is_signed, struct campaign_document *document) {
        const struct json *list = json_child(place.json, "artifacts");
        char path[JSON_PATH_MAX], item_path[JSON_PATH_MAX];

        if (!reader_array(reader, place, "artifacts", 1, CAMPAIGN_ARTIFACTS_MAX))
                return;
        document->artifacts = calloc(json_length(list), sizeof(*document->artifacts));
        if (!document->artifacts) {
                reader->out_of_memory = true;
                return;
        }
        document->n_artifacts = json_length(list);
        json_path_member(path, place.path, "artifacts");
        for (size_t i = 0; i < document->n_artifacts; i++) {
                struct place item_place = {json_at(list, i), item_path};

                json_path_index(item_path, path, i);
                document->artifacts[i].image = -1;
                read_artifact(reader, item_place, &document->artifacts[i]);
                if (json_kind(item_place.json) == JSON_KIND_OBJECT)
                        require_artifact_members(reader, item_place, is_signed, document->n_artifacts);
        }
        check_one_artifact_a_model(reader, document, place.path);
}

/* --- devices --- */

static int compare_texts(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static void check_all(struct reader *reader, struct place place, const struct campaign_selector *selector) {
        if (json_length(place.json) == 0)
                reader_mistake(reader, place.path, NULL, "names no device: every device is asked for with {\"all\": true}");
        if (!json_has(place.json, "all"))
                return;
        if (json_kind(json_child(place.json, "all")) == JSON_KIND_BOOL && !selector->all)
                reader_mistake(reader, place.path, "all", "must be true where it stands");
        if (json_length(place.json) > 1)
                reader_mistake(reader, place.path, "all", "stands alone");
}

static void read_selector(struct reader *reader, struct place document_place, struct campaign_selector *selector) {
        static const char *const allowed[] = {"all", "ids", "labels", "name", "driver", "version", "rssi_min_dbm", "updated_by"};
        char path[JSON_PATH_MAX];
        struct place place = {NULL, path};
        int64_t number;

        if (!reader_require(reader, document_place, "devices") || !reader_object(reader, document_place, "devices", &place.json))
                return;
        json_path_member(path, document_place.path, "devices");
        reader_members(reader, place, allowed, ARRAY_SIZE(allowed));
        reader_bool(reader, place, "all", &selector->all);
        check_all(reader, place, selector);
        reader_texts(reader, place, "ids", (struct list_rule){&rule_device_id, 1, CAMPAIGN_IDS_MAX}, &selector->ids);
        reader_texts(reader, place, "labels", (struct list_rule){&rule_id, 1, CAMPAIGN_LABELS_MAX}, &selector->labels);
        reader_texts(reader, place, "driver", (struct list_rule){&rule_driver, 1, CAMPAIGN_DRIVERS_MAX}, &selector->drivers);
        keep_text(reader, place, "name", &rule_glob, &selector->name);
        keep_text(reader, place, "version", &rule_version_rule, &selector->version);
        if (selector->version)
                version_rule_parse(selector->version, &selector->version_rule);
        if (reader_integer(reader, place, "rssi_min_dbm", (struct integer_range){CAMPAIGN_RSSI_MIN_DBM, CAMPAIGN_RSSI_MAX_DBM}, &number))
                selector->rssi_min_dbm = (int) number;
        keep_text(reader, place, "updated_by", &rule_id, &selector->updated_by);
        if (selector->ids.n_items > 1)
                qsort(selector->ids.items, selector->ids.n_items, sizeof(*selector->ids.items), compare_texts);
}

/* --- the document --- */

static void read_claims(struct reader *reader, struct place place, bool is_signed, struct campaign_document *document) {
        const struct integer_range range = {0, CAMPAIGN_TIME_MAX_S};

        if (is_signed) {
                reader_require(reader, place, "aud");
                reader_require(reader, place, "iat");
                reader_require(reader, place, "exp");
        }
        document->iat_s = document->nbf_s = document->exp_s = -1;
        keep_text(reader, place, "iss", &rule_name, &document->iss);
        reader_texts(reader, place, "aud", (struct list_rule){&rule_audience, 1, CAMPAIGN_AUDIENCE_MAX}, &document->aud);
        reader_integer(reader, place, "iat", range, &document->iat_s);
        reader_integer(reader, place, "nbf", range, &document->nbf_s);
        reader_integer(reader, place, "exp", range, &document->exp_s);
        if (document->exp_s >= 0 && MAX(document->iat_s, document->nbf_s) >= document->exp_s)
                reader_mistake(reader, place.path, "exp", "must be later than iat and nbf");
        else if (document->exp_s >= 0 && document->iat_s >= 0 && document->exp_s - document->iat_s > CAMPAIGN_EXP_MAX_S)
                reader_mistake(reader, place.path, "exp", "is more than 90 days after iat");
}

static void read_head(struct reader *reader, struct place place, struct campaign_document *document) {
        static const char *const required[] = {"schema", "id", "revision"};
        const char *schema = json_member_text(place.json, "schema");
        int64_t revision;

        for (size_t i = 0; i < ARRAY_SIZE(required); i++)
                reader_require(reader, place, required[i]);
        if (json_has(place.json, "schema") && !str_equal(schema, CAMPAIGN_SCHEMA))
                reader_mistake(reader, place.path, "schema", "expected \"" CAMPAIGN_SCHEMA "\"");
        keep_text(reader, place, "id", &rule_id, &document->id);
        keep_text(reader, place, "comment", &rule_comment, &document->comment);
        if (reader_integer(reader, place, "revision", (struct integer_range){1, CAMPAIGN_REVISION_MAX}, &revision))
                document->revision = (uint32_t) revision;
}

/* What brings the new image: files, the other slot, or what an earlier campaign replaced (then files may help). */
static void read_source(struct reader *reader, struct place place, bool is_signed, struct campaign_document *document) {
        keep_text(reader, place, "rollback_of", &rule_id, &document->rollback_of);
        if (document->rollback_of && str_equal(document->rollback_of, document->id))
                reader_mistake(reader, place.path, "rollback_of", "is this campaign itself");
        if (!json_has(place.json, "rollback")) {
                if (!json_has(place.json, "rollback_of"))
                        reader_require(reader, place, "artifacts");
                return;
        }
        document->rollback = true;
        if (is_signed)
                reader_mistake(reader, place.path, "rollback", "only in a local document");
        if (!str_equal(json_member_text(place.json, "rollback"), "other-slot"))
                reader_mistake(reader, place.path, "rollback", "expected \"other-slot\"");
        if (json_has(place.json, "artifacts"))
                reader_mistake(reader, place.path, "artifacts", "not together with rollback: the image lies in the other slot");
        if (json_has(place.json, "rollback_of"))
                reader_mistake(reader, place.path, "rollback_of", "not together with rollback");
}

static void read_document(struct reader *reader, struct place place, bool is_signed, struct campaign_document *document) {
        static const char *const allowed[] = {
                "schema", "id",  "revision",  "comment", "iss",    "aud",      "iat",
                "nbf",    "exp", "artifacts", "devices", "policy", "rollback", "rollback_of",
        };

        if (!reader_members(reader, place, allowed, ARRAY_SIZE(allowed)) && json_kind(place.json) != JSON_KIND_OBJECT)
                return;
        read_head(reader, place, document);
        read_claims(reader, place, is_signed, document);
        read_source(reader, place, is_signed, document);
        read_artifacts(reader, place, is_signed, document);
        read_selector(reader, place, &document->devices);
        campaign_policy_read(reader, place, &document->policy);
        campaign_policy_complete(&document->policy, is_signed, !is_signed || document->rollback_of);
}

int campaign_document_read(const struct json *json, const char *path, const struct campaign_parse_options *options,
                           struct campaign_document **ret_document, struct json_errors *errors) {
        _cleanup_campaign_document_ struct campaign_document *document = calloc(1, sizeof(*document));
        struct reader reader = {.errors = errors};
        bool is_signed = options && options->origin == CAMPAIGN_ORIGIN_SIGNED;

        if (!document)
                return -ENOMEM;
        document->policy = options && options->defaults ? *options->defaults : campaign_policy_default;
        document->policy.deadline_ms = 0;
        document->policy.windows = NULL;
        document->policy.n_windows = 0;
        document->devices.rssi_min_dbm = GW_RSSI_UNKNOWN;
        read_document(&reader, (struct place){json, path}, is_signed, document);
        if (reader.out_of_memory)
                return -ENOMEM;
        if (reader.n_mistakes > 0)
                return -EBADMSG;
        *ret_document = TAKE_PTR(document);
        return 0;
}

int campaign_document_parse(const char *text, size_t size, const struct campaign_parse_options *options,
                            struct campaign_document **ret_document, struct json_errors *errors) {
        _cleanup_json_ struct json *json = NULL;
        struct json_check_error why = {.text = "too large"};
        int r = json_parse(text, size, 0, &json, &why);

        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                json_errors_add(errors, "", "line %u, column %u: %s", why.line, why.column, why.text);
                return -EBADMSG;
        }
        return campaign_document_read(json, "", options, ret_document, errors);
}

void campaign_document_free(struct campaign_document *document) {
        if (!document)
                return;
        free(document->id);
        free(document->comment);
        free(document->iss);
        str_list_deinit(&document->aud);
        for (size_t i = 0; i < document->n_artifacts; i++)
                artifact_clear(&document->artifacts[i]);
        free(document->artifacts);
        str_list_deinit(&document->devices.ids);
        str_list_deinit(&document->devices.labels);
        str_list_deinit(&document->devices.drivers);
        free(document->devices.name);
        free(document->devices.version);
        free(document->devices.updated_by);
        time_windows_free(document->policy.windows, document->policy.n_windows);
        free(document->rollback_of);
        free(document);
}
