/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The table of methods: their rights and the members of their params. schemas/command.schema.json says the same, the corpus in
 * tests/schemas holds the two against each other.
 */

#include "document/params.h"

#include <string.h>

#include "document/names.h"

#define TEXT(member, text_rule)                                                                                                            \
        { .name = member, .kind = PARAM_TEXT, .rule = &text_rule }
#define TEXTS(member, text_rule, from, to)                                                                                                 \
        { .name = member, .kind = PARAM_TEXTS, .rule = &text_rule, .min = from, .max = to }
#define INTEGER(member, from, to)                                                                                                          \
        { .name = member, .kind = PARAM_INTEGER, .min = from, .max = to }
#define BOOL(member)                                                                                                                       \
        { .name = member, .kind = PARAM_BOOL }
#define REQUIRED_TEXT(member, text_rule)                                                                                                   \
        { .name = member, .kind = PARAM_TEXT, .rule = &text_rule, .required = true }
#define OBJECT(member)                                                                                                                     \
        { .name = member, .kind = PARAM_OBJECT }
#define NULLABLE_TEXT(member, text_rule)                                                                                                   \
        { .name = member, .kind = PARAM_TEXT, .rule = &text_rule, .nullable = true }
#define LIMIT INTEGER("limit", 1, COMMAND_PAGE_MAX)
#define END                                                                                                                                \
        { .name = NULL }

static const struct command_param no_params[] = {END};
static const struct command_param campaign_id_params[] = {REQUIRED_TEXT("id", rule_id), END};
static const struct command_param device_words_params[] = {REQUIRED_TEXT("id", rule_device_words), END};

static const struct command_param signed_params[] = {REQUIRED_TEXT("jws", rule_jws), END};
static const struct command_param start_params[] = {OBJECT("document"), TEXT("jws", rule_jws), END};
static const struct command_param plan_params[] = {OBJECT("document"), TEXT("jws", rule_jws), LIMIT, END};
static const struct command_param pause_params[] = {REQUIRED_TEXT("id", rule_id), TEXT("reason", rule_name), END};
static const struct command_param retry_params[] = {
        REQUIRED_TEXT("id", rule_id),
        TEXTS("devices", rule_device_id, 1, COMMAND_DEVICES_MAX),
        TEXTS("errors", rule_error_name, 1, 64),
        END,
};
static const struct command_param campaign_list_params[] = {
        TEXTS("state", rule_campaign_state, 1, CAMPAIGN_STATE_COUNT_),
        TEXT("after", rule_name),
        LIMIT,
        END,
};
static const struct command_param campaign_get_params[] = {
        REQUIRED_TEXT("id", rule_id),
        INTEGER("revision", 1, CAMPAIGN_REVISION_MAX),
        TEXTS("state", rule_job_state, 1, JOB_STATE_COUNT_),
        TEXTS("devices", rule_device_id, 1, COMMAND_DEVICES_MAX),
        BOOL("steps"),
        TEXT("after", rule_name),
        LIMIT,
        END,
};
static const struct command_param report_params[] = {REQUIRED_TEXT("id", rule_id), INTEGER("revision", 1, CAMPAIGN_REVISION_MAX), END};

static const struct command_param device_list_params[] = {
        TEXT("state", rule_device_state),
        TEXT("driver", rule_driver),
        TEXTS("labels", rule_id, 1, CAMPAIGN_LABELS_MAX),
        TEXT("match", rule_glob),
        TEXT("after", rule_device_id),
        LIMIT,
        END,
};
static const struct command_param scan_params[] = {TEXT("driver", rule_driver), INTEGER("duration_ms", 100, 60000), BOOL("inspect"), END};
static const struct command_param adopt_params[] = {
        TEXT("id", rule_device_id),
        TEXT("match", rule_glob),
        TEXT("model", rule_model),
        TEXTS("labels", rule_id, 0, CAMPAIGN_LABELS_MAX),
        TEXT("name", rule_name),
        TEXT("address", rule_address),
        END,
};
static const struct command_param set_params[] = {
        REQUIRED_TEXT("id", rule_device_words),
        NULLABLE_TEXT("name", rule_name),
        NULLABLE_TEXT("model", rule_model),
        NULLABLE_TEXT("address", rule_address),
        TEXTS("labels", rule_id, 0, CAMPAIGN_LABELS_MAX),
        TEXTS("add_labels", rule_id, 1, CAMPAIGN_LABELS_MAX),
        TEXTS("remove_labels", rule_id, 1, CAMPAIGN_LABELS_MAX),
        END,
};
static const struct command_param device_import_params[] = {REQUIRED_TEXT("csv", rule_csv), BOOL("dry_run"), END};

static const struct command_param artifact_import_params[] = {
        TEXT("name", rule_file_name),
        TEXT("sha256", rule_sha256),
        INTEGER("size_bytes", 1, CAMPAIGN_ARTIFACT_SIZE_MAX),
        END,
};
static const struct command_param artifact_remove_params[] = {REQUIRED_TEXT("sha256", rule_sha256), END};
static const struct command_param audit_query_params[] = {INTEGER("from", 1, JSON_INTEGER_MAX), LIMIT, END};
static const struct command_param subscribe_params[] = {
        INTEGER("from", 1, JSON_INTEGER_MAX),
        TEXT("epoch", rule_epoch),
        BOOL("progress"),
        TEXT("campaign", rule_id),
        TEXT("device", rule_device_id),
        END,
};

/* --- rules over several members --- */

static void check_order(struct reader *reader, struct place params) {
        if (json_has(params.json, "document") == json_has(params.json, "jws"))
                reader_mistake(reader, params.path, NULL, "expected exactly one of document and jws");
}

static void check_adopt(struct reader *reader, struct place params) {
        bool by_glob = json_has(params.json, "match");

        if (json_has(params.json, "id") == by_glob)
                reader_mistake(reader, params.path, NULL, "expected exactly one of id and match");
        if (by_glob && json_has(params.json, "name"))
                reader_mistake(reader, params.path, "name", "not for several devices at once");
        if (by_glob && json_has(params.json, "address"))
                reader_mistake(reader, params.path, "address", "not for several devices at once");
}

static void check_set(struct reader *reader, struct place params) {
        bool in_part = json_has(params.json, "add_labels") || json_has(params.json, "remove_labels");

        if (json_has(params.json, "labels") && in_part)
                reader_mistake(reader, params.path, "labels", "replaces all labels: not together with add_labels and remove_labels");
        if (json_length(params.json) < 2)
                reader_mistake(reader, params.path, NULL, "says nothing that could be set");
}

#define READ COMMAND_RIGHT_READ
#define STOP COMMAND_RIGHT_STOP
#define ORDER COMMAND_RIGHT_ORDER
#define WIDEN COMMAND_RIGHT_WIDEN
#define LOCAL COMMAND_RIGHT_LOCAL
#define METHOD(id_, name_, right_, params_, ...) [id_] = {.id = id_, .name = name_, .right = right_, .params = params_, __VA_ARGS__}

const struct command_method command_methods[COMMAND_METHOD_COUNT_] = {
        METHOD(COMMAND_CAMPAIGN_START, "campaign.start", ORDER, start_params, .check = check_order),
        METHOD(COMMAND_CAMPAIGN_PAUSE, "campaign.pause", STOP, pause_params),
        METHOD(COMMAND_CAMPAIGN_RESUME, "campaign.resume", WIDEN, campaign_id_params),
        METHOD(COMMAND_CAMPAIGN_CONTINUE, "campaign.continue", WIDEN, campaign_id_params),
        METHOD(COMMAND_CAMPAIGN_CANCEL, "campaign.cancel", STOP, campaign_id_params),
        METHOD(COMMAND_CAMPAIGN_RETRY, "campaign.retry", WIDEN, retry_params),
        METHOD(COMMAND_CAMPAIGN_LIST, "campaign.list", READ, campaign_list_params),
        METHOD(COMMAND_CAMPAIGN_GET, "campaign.get", READ, campaign_get_params),
        METHOD(COMMAND_CAMPAIGN_REPORT, "campaign.report", READ, report_params),
        METHOD(COMMAND_CAMPAIGN_PLAN, "campaign.plan", READ, plan_params, .check = check_order),
        METHOD(COMMAND_DEVICE_LIST, "device.list", READ, device_list_params),
        METHOD(COMMAND_DEVICE_GET, "device.get", READ, device_words_params),
        METHOD(COMMAND_DEVICE_SCAN, "device.scan", WIDEN, scan_params),
        METHOD(COMMAND_DEVICE_ADOPT, "device.adopt", WIDEN, adopt_params, .check = check_adopt),
        METHOD(COMMAND_DEVICE_SET, "device.set", WIDEN, set_params, .check = check_set),
        METHOD(COMMAND_DEVICE_FORGET, "device.forget", WIDEN, device_words_params),
        METHOD(COMMAND_DEVICE_DIAGNOSE, "device.diagnose", WIDEN, device_words_params),
        METHOD(COMMAND_DEVICE_IMPORT, "device.import", LOCAL, device_import_params),
        METHOD(COMMAND_DEVICE_PAIR, "device.pair", WIDEN, device_words_params),
        METHOD(COMMAND_DEVICE_UNPAIR, "device.unpair", WIDEN, device_words_params),
        METHOD(COMMAND_DEVICE_BONDS, "device.bonds", READ, no_params),
        METHOD(COMMAND_ARTIFACT_IMPORT, "artifact.import", LOCAL, artifact_import_params, .takes_file = true),
        METHOD(COMMAND_ARTIFACT_LIST, "artifact.list", READ, no_params),
        METHOD(COMMAND_ARTIFACT_REMOVE, "artifact.remove", LOCAL, artifact_remove_params),
        METHOD(COMMAND_AUDIT_QUERY, "audit.query", LOCAL, audit_query_params),
        METHOD(COMMAND_AUDIT_VERIFY, "audit.verify", LOCAL, no_params),
        METHOD(COMMAND_EVENTS_SUBSCRIBE, "events.subscribe", READ, subscribe_params, .streams = true),
        METHOD(COMMAND_GATEWAY_INFO, "gateway.info", READ, no_params),
        METHOD(COMMAND_GATEWAY_HEALTH, "gateway.health", READ, no_params),
        METHOD(COMMAND_GATEWAY_DIAGNOSE, "gateway.diagnose", WIDEN, no_params),
        METHOD(COMMAND_GATEWAY_RELOAD, "gateway.reload", LOCAL, no_params),
};

const struct command_method *command_method_find(const char *name) {
        for (size_t i = 0; i < COMMAND_METHOD_COUNT_; i++)
                if (strcmp(command_methods[i].name, name) == 0)
                        return &command_methods[i];
        return NULL;
}

bool command_may_be_signed(const struct command_method *method) {
        return method->right == COMMAND_RIGHT_STOP || method->right == COMMAND_RIGHT_WIDEN;
}

/* --- checking --- */

static void check_param(struct reader *reader, struct place params, const struct command_param *param) {
        const struct integer_range range = {param->min, param->max};
        struct str_list texts = STR_LIST_INIT;
        const struct json *object;
        const char *text;
        int64_t number;
        bool flag;

        if (param->required && !reader_require(reader, params, param->name))
                return;
        if (param->nullable && json_kind(json_child(params.json, param->name)) == JSON_KIND_NULL)
                return;
        switch (param->kind) {
        case PARAM_TEXT:
                reader_text(reader, params, param->name, param->rule, &text);
                return;
        case PARAM_TEXTS:
                reader_texts(reader, params, param->name, (struct list_rule){param->rule, (size_t) param->min, (size_t) param->max},
                             &texts);
                str_list_deinit(&texts);
                return;
        case PARAM_INTEGER:
                reader_integer(reader, params, param->name, range, &number);
                return;
        case PARAM_BOOL:
                reader_bool(reader, params, param->name, &flag);
                return;
        case PARAM_OBJECT:
                reader_object(reader, params, param->name, &object);
                return;
        }
}

static void check_members(struct reader *reader, struct place params, const struct command_param *table) {
        const char *allowed[PARAMS_MAX];
        size_t n_allowed = 0;

        for (const struct command_param *param = table; param->name; param++)
                allowed[n_allowed++] = param->name;
        reader_members(reader, params, allowed, n_allowed);
        if (json_kind(params.json) != JSON_KIND_OBJECT)
                return;
        for (const struct command_param *param = table; param->name; param++)
                check_param(reader, params, param);
}

bool params_check(struct reader *reader, struct place params, const struct command_method *method) {
        size_t n_before = reader->n_mistakes;

        check_members(reader, params, method->params);
        if (method->check && json_kind(params.json) == JSON_KIND_OBJECT)
                method->check(reader, params);
        return reader->n_mistakes == n_before;
}

bool params_check_outer(struct reader *reader, struct place params, const struct command_method *method) {
        size_t n_before = reader->n_mistakes;

        if (!command_may_be_signed(method) || !json_has(params.json, "jws"))
                return params_check(reader, params, method);
        check_members(reader, params, signed_params);
        return reader->n_mistakes == n_before;
}
