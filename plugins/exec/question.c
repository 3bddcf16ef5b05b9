/* SPDX-License-Identifier: Apache-2.0 */
#include "question.h"

#include <assert.h>
#include <stdlib.h>

#include "common/json_line/json_line.h"
#include "limits.h"

#define PROTOCOL 1

static const char *const mode_names[] = {
        [GW_MODE_TEST_AND_CONFIRM] = "test-and-confirm",
        [GW_MODE_CONFIRM_ONLY] = "confirm-only",
        [GW_MODE_TEST_ONLY] = "test-only",
        [GW_MODE_UPLOAD_ONLY] = "upload-only",
};

static const char *const operation_names[GW_OPERATION_COUNT_] = {
        [GW_OPERATION_UPDATE] = "update",
        [GW_OPERATION_INSPECT] = "inspect",
        [GW_OPERATION_DIAGNOSE] = "diagnose",
};

/* ---- the environment; */

static int add(struct question *question, const char *name, const char *value) {
        char *variable;

        assert(question->n_variables < QUESTION_VARIABLES_MAX);
        if (asprintf(&variable, "%s=%s", name, value ? value : "") < 0)
                return -ENOMEM;
        question->environment[question->n_variables++] = variable;
        return 0;
}

static int add_number(struct question *question, const char *name, int64_t number) {
        char text[24];

        snprintf(text, sizeof text, "%lld", (long long) number);
        return add(question, name, text);
}

/* ---- both at once: a member of the object and its variable */

static int tell(struct question *question, struct json *json, const char *key, const char *name, const char *value) {
        int r = add(question, name, value);

        return r < 0 ? r : json_set_string(json, key, value);
}

static int tell_number(struct question *question, struct json *json, const char *key, const char *name, int64_t number) {
        int r = add_number(question, name, number);

        return r < 0 ? r : json_set_int(json, key, number);
}

static int tell_bool(struct question *question, struct json *json, const char *key, const char *name, bool value) {
        int r = add(question, name, value ? "1" : "0");

        return r < 0 ? r : json_set_bool(json, key, value);
}

static int tell_device(struct question *question, struct json *json, const struct gw_host *host, const struct gw_device *device) {
        struct json *object = json_set_new_object(json, "device");
        int r = object ? 0 : -ENOMEM;

        if (r == 0)
                r = tell(question, object, "key", "GW_DEVICE", host->device->key(device));
        if (r == 0)
                r = tell(question, object, "address", "GW_ADDRESS", host->device->address(device));
        if (r == 0)
                r = tell(question, object, "model", "GW_MODEL", host->device->model(device));
        if (r == 0)
                r = tell(question, object, "options", "GW_OPTIONS", host->device->attribute(device, "options"));
        return r;
}

static int tell_part(struct question *question, struct json *object, const struct gw_part *part) {
        char hex[2 * 32 + 1];
        int r = str_hex_encode(hex, sizeof hex, part->sha256, sizeof part->sha256);

        if (r == 0)
                r = tell(question, object, "sha256", "GW_SHA256", hex);
        if (r == 0)
                r = tell_number(question, object, "size", "GW_SIZE", (int64_t) part->size);
        return r;
}

static int tell_wanted(struct question *question, struct json *json, const struct gw_wanted *wanted) {
        struct json *object = json_set_new_object(json, "image");
        char hex[2 * GW_HASH_MAX + 1];
        int r = object ? 0 : -ENOMEM;

        if (r == 0)
                r = json_set_int(object, "image", wanted->image);
        if (r == 0)
                r = str_hex_encode(hex, sizeof hex, wanted->hash, wanted->hash_size);
        if (r == 0)
                r = tell(question, object, "hash", "GW_HASH", hex);
        if (r == 0)
                r = tell(question, object, "version", "GW_VERSION", wanted->version);
        if (r == 0 && wanted->part)
                r = tell_part(question, object, wanted->part);
        return r;
}

static int tell_order(struct question *question, struct json *json, const struct gw_order *order) {
        struct json *object = json_set_new_object(json, "order");
        int r = object ? 0 : -ENOMEM;

        if (r == 0)
                r = tell(question, object, "mode", "GW_MODE", mode_names[order->mode]);
        if (r == 0)
                r = tell_number(question, object, "trial_s", "GW_TRIAL_S", (order->trial_ms + 999) / 1000);
        if (r == 0)
                r = tell_number(question, object, "trial_checks", "GW_TRIAL_CHECKS", order->trial_checks);
        if (r == 0)
                r = tell_bool(question, object, "rollback", "GW_ROLLBACK", order->rollback);
        if (r == 0)
                r = json_set_bool(object, "allow_downgrade", order->allow_downgrade);
        return r < 0 ? r : tell_wanted(question, object, &order->wanted[0]);
}

/* A blob that is a text goes into the environment without its quotes. */
static int tell_blob(struct question *question, struct json *json, const struct gw_host *host, const struct gw_run *run) {
        size_t size;
        const char *text = host->run->blob(run, &size);
        struct json *blob = NULL;
        char *copy;
        int r = size > 0 ? json_parse(text, size, EXEC_BLOB_MAX, &blob, NULL) : 0;

        if (r < 0) /* not ours: another driver's, from before the section was changed */
                size = 0;
        copy = strndup(size > 0 ? text : "", size);
        r = copy ? add(question, "GW_BLOB", json_kind(blob) == JSON_KIND_STRING ? json_string_or_null(blob) : copy) : -ENOMEM;
        free(copy);
        if (r == 0 && blob)
                return json_set(json, "blob", blob);
        json_free(blob);
        return r;
}

static int tell_all(struct question *question, struct json *json, const struct gw_host *host, const struct gw_run *run) {
        const struct gw_order *order = host->run->order(run);
        int r = json_set_int(json, "protocol", PROTOCOL);

        if (r == 0)
                r = add(question, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        if (r == 0)
                r = add(question, "LANG", "C.UTF-8");
        if (r == 0)
                r = tell(question, json, "operation", "GW_OPERATION", operation_names[host->run->operation(run)]);
        if (r == 0)
                r = tell_number(question, json, "attempt", "GW_ATTEMPT", host->run->attempt(run));
        if (r == 0)
                r = tell_bool(question, json, "resumed", "GW_RESUMED", host->run->resume_step(run) != NULL);
        if (r == 0)
                r = tell_bool(question, json, "committed", "GW_COMMITTED", host->run->is_committed(run));
        if (r == 0)
                r = tell_blob(question, json, host, run);
        if (r == 0)
                r = tell_device(question, json, host, host->run->device(run));
        return r == 0 && order ? tell_order(question, json, order) : r;
}

int question_make(const struct gw_host *host, const struct gw_run *run, const char *step, struct question *ret_question) {
        _cleanup_json_ struct json *json = json_new_object();
        struct question question = { 0 };
        int r = json ? tell(&question, json, "step", "GW_STEP", step) : -ENOMEM;

        if (r == 0)
                r = tell_all(&question, json, host, run);
        if (r == 0)
                r = json_write(json, &question.text, &question.size);
        if (r < 0) {
                question_deinit(&question);
                return r;
        }
        question.text[question.size++] = '\n'; /* in place of the NUL: the size counts */
        *ret_question = question;
        return 0;
}

void question_deinit(struct question *question) {
        for (size_t i = 0; i < question->n_variables; i++)
                free((char *) question->environment[i]);
        free(question->text);
        *question = (struct question){ 0 };
}
