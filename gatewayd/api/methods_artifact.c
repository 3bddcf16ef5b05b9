/* SPDX-License-Identifier: Apache-2.0 */
#include "api/methods.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/str.h"

static void describe(const struct artifact_info *info, struct json *json) {
        set_hex(json, "sha256", info->sha256, DIGEST_SIZE);
        json_set_int(json, "size_bytes", (int64_t) info->size);
        json_set_int(json, "received_bytes", (int64_t) info->received);
        json_set_bool(json, "complete", info->complete);
        json_set_bool(json, "pinned", info->n_pins > 0);
        json_set_string(json, "url", info->url);
        json_set_string(json, "format", info->format);
        json_set_string(json, "version", info->version && info->version[0] ? info->version : NULL);
        set_time(json, "created", info->created_ms);
        set_time(json, "last_used", info->last_used_ms);
}

/* --- import --- */

/*
 * receiving (artifact_import) -> reading (update_artifact_inspect) -> answer
 *
 * A file that cannot be read is taken out again, unless it was there before: then somebody else may need it.
 */
struct import {
        struct call *call;
        struct artifact_import *receiving;
        struct json *known; /* object: digests that were whole when it began */
        bool was_known;
        uint8_t sha256[DIGEST_SIZE];
        char hex[DIGEST_HEX_SIZE];
};

static void drop_import(struct call *call) {
        struct import *import = call->work;
        artifact_import_cancel(import->receiving);
        if (!import->receiving) {
                json_free(import->known);
                free(import);
                return;
        }
        import->call = NULL; /* received() still comes, with -ECANCELED, and frees it */
}

static void note_known(void *ctx, const struct artifact_info *info) {
        char hex[DIGEST_HEX_SIZE];
        if (!info->complete)
                return;
        (void) str_hex_encode(hex, sizeof hex, info->sha256, DIGEST_SIZE);
        (void) json_set_bool(ctx, hex, true);
}

static void take_out(struct import *import) {
        if (!import->was_known)
                (void) artifact_remove(import->call->api->options.artifacts, import->sha256, NULL);
}

struct lookup {
        const uint8_t *sha256;
        struct json *json;
        uint64_t size;
        bool found;
};

static void look(void *ctx, const struct artifact_info *info) {
        struct lookup *lookup = ctx;
        if (memcmp(info->sha256, lookup->sha256, DIGEST_SIZE) != 0)
                return;
        lookup->found = true;
        lookup->size = info->received;
        if (lookup->json)
                describe(info, lookup->json);
}

static void inspected(void *ctx, struct json *package, const struct gw_error *err, const struct json_errors *mistakes) {
        struct import *import = ctx;
        struct call *call = import->call;
        struct json *result = err ? NULL : json_new_object();
        struct lookup lookup = { .sha256 = import->sha256, .json = result ? json_set_new_object(result, "artifact") : NULL };
        if (err) {
                take_out(import);
                call_fail(call, err, mistakes);
                return;
        }
        artifact_each(call->api->options.artifacts, look, &lookup);
        if (!lookup.json || !lookup.found) {
                json_free(result);
                call_fail_errno(call, -ENOMEM, NULL);
                return;
        }
        json_set_bool(result, "known", import->was_known);
        json_set(result, "package", json_ref(package));
        call_audit(call, NULL, import->hex);
        call_answer_durable(call, result);
}

static void received(void *ctx, int result, const uint8_t sha256[DIGEST_SIZE], uint64_t size, const struct gw_error *err) {
        struct import *import = ctx;
        struct call *call = import->call;
        const char *expected = call ? call_text(call, "sha256") : NULL;
        struct gw_error mismatch;
        (void) size;
        import->receiving = NULL;
        if (!call) {
                json_free(import->known);
                free(import);
                return;
        }
        if (result < 0) {
                call_fail_errno(call, result, err);
                return;
        }
        memcpy(import->sha256, sha256, DIGEST_SIZE);
        (void) str_hex_encode(import->hex, sizeof import->hex, sha256, DIGEST_SIZE);
        import->was_known = json_has(import->known, import->hex);
        if (expected && strcasecmp(expected, import->hex) != 0) {
                gw_error_set(&mismatch, "digest-mismatch", "the file has the SHA-256 %s, not %s", import->hex, expected);
                take_out(import);
                call_fail(call, &mismatch, NULL);
                return;
        }
        call_started(call, update_artifact_inspect(call->api->options.update, sha256, inspected, import));
}

/* A wrong size is seen before a byte is copied. */
static bool has_wrong_size(const struct call *call, struct gw_error *err) {
        struct stat status;
        int64_t expected;
        if (json_member_int(call->params, "size_bytes", 1, INT64_MAX, &expected) < 0 || fstat(call->fd, &status) < 0 ||
            !S_ISREG(status.st_mode))
                return false;
        if (status.st_size == expected)
                return false;
        gw_error_set(err, "size-mismatch", "the file has %lld bytes, not %lld", (long long) status.st_size, (long long) expected);
        return true;
}

void method_artifact_import(struct call *call) {
        struct artifacts *artifacts = call->api->options.artifacts;
        struct import *import;
        struct gw_error err = { 0 };
        if (has_wrong_size(call, &err)) {
                call_fail(call, &err, NULL);
                return;
        }
        import = calloc(1, sizeof *import);
        if (!import) {
                call_fail_errno(call, -ENOMEM, NULL);
                return;
        }
        import->call = call;
        import->known = json_new_object();
        call->work = import;
        call->drop = drop_import;
        if (import->known)
                artifact_each(artifacts, note_known, import->known);
        call_started(call, import->known ? artifact_import(artifacts, call->fd, received, import, &import->receiving) : -ENOMEM);
}

/* --- list, remove --- */

static void list_artifact(void *ctx, const struct artifact_info *info) {
        struct json *json = json_append_new_object(ctx);
        if (json)
                describe(info, json);
}

void method_artifact_list(struct call *call) {
        const struct api_options *options = &call->api->options;
        struct json *result = json_new_object();
        struct json *list = result ? json_set_new_array(result, "artifacts") : NULL;
        struct artifacts_statistics statistics;
        if (!list) {
                json_free(result);
                call_fail_errno(call, -ENOMEM, NULL);
                return;
        }
        artifact_each(options->artifacts, list_artifact, list);
        artifacts_statistics(options->artifacts, &statistics);
        json_set_int(result, "used_bytes", (int64_t) statistics.used_bytes);
        json_set_int(result, "quota_bytes", (int64_t) options->settings->artifacts.quota_bytes);
        call_answer(call, result);
}

void method_artifact_remove(struct call *call) {
        struct artifacts *artifacts = call->api->options.artifacts;
        uint8_t sha256[DIGEST_SIZE];
        struct lookup lookup = { .sha256 = sha256 };
        struct gw_error err = { 0 };
        struct json *result;
        int r;
        (void) str_hex_decode(sha256, sizeof sha256, call_text(call, "sha256"));
        artifact_each(artifacts, look, &lookup);
        r = artifact_remove(artifacts, sha256, &err);
        if (r < 0) {
                call_fail_errno(call, r, &err);
                return;
        }
        result = json_new_object();
        json_set_int(result, "removed_bytes", (int64_t) lookup.size);
        call_audit(call, NULL, call_text(call, "sha256"));
        call_answer_durable(call, result);
}
