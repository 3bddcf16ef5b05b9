/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Campaign documents, judged without a daemon: by the daemon's own reader, and by what only a person's machine knows, the firmware files
 * that lie there and the keys.
 */

#include "commands.h"

#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/time.h"
#include "document/windows.h"
#include "document_file.h"
#include "firmware.h"

/* --- firmware files --- */

/* Is the last word of the URL's path the name of this file? */
static bool url_names(const char *url, const char *path) {
        const char *name = file_name(path);
        size_t end = url ? strcspn(url, "?") : 0, size = strlen(name);

        return end > size && url[end - size - 1] == '/' && strncmp(url + end - size, name, size) == 0;
}

/* The artifact that the file is meant for: by its digest, else the only one, else by the name in its URL. -1: none. */
static int artifact_for(const struct campaign_document *campaign, const struct firmware *firmware) {
        for (size_t i = 0; i < campaign->n_artifacts; i++)
                if (memcmp(campaign->artifacts[i].sha256, firmware->sha256, DIGEST_SIZE) == 0)
                        return (int) i;
        if (campaign->n_artifacts == 1)
                return 0;
        for (size_t i = 0; i < campaign->n_artifacts; i++)
                if (url_names(campaign->artifacts[i].url, firmware->path))
                        return (int) i;
        return -1;
}

static void compare(struct json_errors *errors, int index, const char *member, const char *stated, const char *found, const char *path) {
        char place[JSON_PATH_MAX];

        str_format(place, sizeof place, "artifacts[%d].%s", index, member);
        json_errors_add(errors, place, "says %s, but %s has %s", stated, file_name(path), found);
}

static void compare_bytes(struct json_errors *errors, const struct campaign_document *campaign, int index,
                          const struct firmware *firmware) {
        const struct campaign_artifact *artifact = &campaign->artifacts[index];
        char stated[DIGEST_HEX_SIZE], found[DIGEST_HEX_SIZE];

        if (artifact->size != firmware->size) {
                str_format(stated, sizeof stated, "%" PRIu64, artifact->size);
                str_format(found, sizeof found, "%" PRIu64, firmware->size);
                compare(errors, index, "size", stated, found, firmware->path);
        }
        if (memcmp(artifact->sha256, firmware->sha256, DIGEST_SIZE) != 0) {
                str_hex_encode(stated, sizeof stated, artifact->sha256, DIGEST_SIZE);
                str_hex_encode(found, sizeof found, firmware->sha256, DIGEST_SIZE);
                compare(errors, index, "sha256", stated, found, firmware->path);
        }
}

static void compare_firmware(struct json_errors *errors, const struct campaign_document *campaign, const struct firmware *firmware) {
        int index = artifact_for(campaign, firmware);
        const struct campaign_artifact *artifact;
        char text[64];

        if (index < 0) {
                json_errors_add(errors, "artifacts", "none of them is %s", firmware->path);
                return;
        }
        artifact = &campaign->artifacts[index];
        compare_bytes(errors, campaign, index, firmware);
        if (firmware->known && artifact->format && strcmp(artifact->format, firmware->format) != 0)
                compare(errors, index, "format", artifact->format, firmware->format, firmware->path);
        if (firmware->version[0] && artifact->version && strcmp(artifact->version, firmware->version) != 0)
                compare(errors, index, "version", artifact->version, firmware->version, firmware->path);
        if (firmware->n_images > 1 && artifact->image >= 0) {
                str_format(text, sizeof text, "%zu images", firmware->n_images);
                compare(errors, index, "image", "one image", text, firmware->path);
        }
}

/* --- what the clock and the time zones say --- */

struct judge {
        struct session *session;
        struct time_zones *zones; /* NULL: this machine has no database */
        const struct keyring *keyring;
        const struct firmware *firmware;
        size_t n_firmware;
};

struct verdict {
        struct document_file file;
        struct str_list warnings;
        int error;
};

static void verdict_deinit(struct verdict *verdict) {
        document_file_deinit(&verdict->file);
        str_list_deinit(&verdict->warnings);
}

static void warn(struct verdict *verdict, const char *text) {
        int r = str_list_append(&verdict->warnings, text);

        if (r < 0)
                verdict->error = r;
}

static void check_zones(const struct judge *judge, struct verdict *verdict) {
        const struct campaign_policy *policy = &verdict->file.campaign->policy;
        const struct time_zone *zone;
        char path[JSON_PATH_MAX];

        if (policy->n_windows > 0 && !judge->zones)
                warn(verdict, "this machine has no time zone database: the time zones were not checked");
        for (size_t i = 0; judge->zones && i < policy->n_windows; i++) {
                if (time_zones_get(judge->zones, policy->windows[i].timezone, &zone) == 0)
                        continue;
                str_format(path, sizeof path, "policy.maintenance_windows[%zu].timezone", i);
                json_errors_add(&verdict->file.errors, path, "there is no time zone %s", policy->windows[i].timezone);
        }
}

/* Is there any time at all in which something may be done? */
static void check_windows(const struct judge *judge, struct verdict *verdict, int64_t now_ms, int64_t deadline_ms) {
        const struct campaign_policy *policy = &verdict->file.campaign->policy;
        _cleanup_windows_ struct windows *windows = NULL;
        struct gw_error err = { 0 };
        int r;

        if (policy->n_windows == 0 || !judge->zones || json_errors_any(&verdict->file.errors))
                return;
        r = windows_new(policy->windows, policy->n_windows, judge->zones, &windows, &err);
        if (r < 0)
                verdict->error = r;
        else if (windows_longest_ms(&(struct windows_pair){ .campaign = windows }, now_ms, deadline_ms) == 0)
                warn(verdict, "no maintenance window opens before the deadline");
}

static void check_times(const struct judge *judge, struct verdict *verdict) {
        const struct campaign_document *campaign = verdict->file.campaign;
        const int64_t now_ms = judge->session->now_wall_ms;
        struct gw_error err = { 0 };
        int64_t deadline_ms;

        if (campaign->exp_s >= 0 && campaign->exp_s * 1000 <= now_ms)
                json_errors_add(&verdict->file.errors, "exp", "is over: no gateway takes the campaign any more");
        if (campaign_deadline(campaign, now_ms, CAMPAIGN_DEADLINE_DEFAULT_MS, &deadline_ms, &err) < 0) {
                const char *text = strchr(err.text, ' ');
                json_errors_add(&verdict->file.errors, "policy.deadline", "%s", text ? text + 1 : err.text);
                return;
        }
        if (campaign->exp_s >= 0 && campaign->policy.deadline_ms > campaign->exp_s * 1000)
                warn(verdict, "exp is before the deadline: a gateway that hears of the campaign between the two does not take it");
        check_windows(judge, verdict, now_ms, deadline_ms);
}

/* What a document that is fine on the gateway itself lacks to be signed. */
static int check_signable(const struct judge *judge, const char *path, struct verdict *verdict, struct failure *failure) {
        const struct document_file_options options = { .keyring = judge->keyring, .as_signed = true };
        _cleanup_document_file_ struct document_file file = { 0 };
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);
        int r;

        if (verdict->file.signature != DOCUMENT_UNSIGNED || strcmp(path, "-") == 0)
                return 0;
        r = document_file_read(path, &options, &file, failure);
        if (r < 0 || !json_errors_any(&file.errors))
                return r;
        for (size_t i = 0; i < file.errors.n_items; i++)
                strbuf_appendf(&text, "%s%s", i > 0 ? ", " : "to be signed it lacks: ", file.errors.items[i].path);
        warn(verdict, strbuf_text(&text));
        return 0;
}

static int judge_file(const struct judge *judge, const char *path, struct verdict *verdict, struct failure *failure) {
        const struct document_file_options options = { .keyring = judge->keyring,
                                                       .as_signed = arguments_flag(judge->session->arguments, "signed") };
        int r = document_file_read(path, &options, &verdict->file, failure);

        if (r < 0 || !verdict->file.campaign)
                return r;
        check_zones(judge, verdict);
        check_times(judge, verdict);
        for (size_t i = 0; i < judge->n_firmware; i++)
                compare_firmware(&verdict->file.errors, verdict->file.campaign, &judge->firmware[i]);
        if (!options.as_signed)
                r = check_signable(judge, path, verdict, failure);
        if (r == 0 && verdict->error < 0)
                r = failure_errno(failure, verdict->error);
        return r;
}

/* --- saying it --- */

static const char *signature_words(const struct document_file *file) {
        switch (file->signature) {
        case DOCUMENT_UNSIGNED:
                return "not signed";
        case DOCUMENT_SIGNED:
                return "signed, not verified: --keys DIR does";
        case DOCUMENT_SIGNED_VERIFIED:
                return "signed and verified";
        case DOCUMENT_SIGNED_BADLY:
                return "its signature does not hold";
        }
        return "";
}

static void say_verdict(const struct verdict *verdict, const struct style *style, struct strbuf *out) {
        const struct json_errors *errors = &verdict->file.errors;
        size_t n = json_errors_count(errors);

        strbuf_appendf(out, "%s: ", verdict->file.path);
        if (n == 0) {
                text_append_toned(out, "good", TONE_GOOD, style);
                strbuf_appendf(out, ", %s, revision %u, %s\n", verdict->file.campaign->id, verdict->file.campaign->revision,
                               signature_words(&verdict->file));
        } else {
                text_append_toned(out, n == 1 ? "a mistake" : "mistakes", TONE_BAD, style);
                strbuf_append(out, "\n");
        }
        for (size_t i = 0; i < errors->n_items; i++)
                strbuf_appendf(out, "  %s%s%s\n", errors->items[i].path, errors->items[i].path[0] ? ": " : "", errors->items[i].text);
        if (errors->n_dropped > 0)
                strbuf_appendf(out, "  and %zu more\n", errors->n_dropped);
        for (size_t i = 0; i < verdict->warnings.n_items; i++) {
                text_append_toned(out, "  note: ", TONE_CARE, style);
                text_append_wrapped(out, verdict->warnings.items[i], strlen("  note: "), style);
        }
}

static int verdict_json(const struct verdict *verdict, struct json *files) {
        struct json *object = json_append_new_object(files), *warnings, *errors = NULL;
        const struct campaign_document *campaign = verdict->file.campaign;
        int r = object ? json_set_string(object, "file", verdict->file.path) : -ENOMEM;

        if (r == 0)
                r = json_set_bool(object, "good", !json_errors_any(&verdict->file.errors));
        if (r == 0 && campaign)
                r = json_set_string(object, "id", campaign->id);
        if (r == 0 && campaign)
                r = json_set_int(object, "revision", campaign->revision);
        if (r == 0)
                r = json_set_bool(object, "signed", verdict->file.signature != DOCUMENT_UNSIGNED);
        if (r == 0 && verdict->file.kid[0])
                r = json_set_string(object, "kid", verdict->file.kid);
        if (r == 0)
                r = json_set_bool(object, "verified", verdict->file.signature == DOCUMENT_SIGNED_VERIFIED);
        if (r == 0)
                r = mistakes_json(&verdict->file.errors, &errors);
        if (r == 0)
                r = json_set(object, "errors", errors);
        warnings = r == 0 ? json_set_new_array(object, "notes") : NULL;
        if (r == 0 && !warnings)
                r = -ENOMEM;
        for (size_t i = 0; r == 0 && i < verdict->warnings.n_items; i++)
                r = json_append_string(warnings, verdict->warnings.items[i]);
        return r;
}

/* --- all files --- */

static int check_files(const struct judge *judge, struct failure *failure) {
        struct session *session = judge->session;
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_json_ struct json *root = json_new_object();
        struct json *files = root ? json_set_new_array(root, "files") : NULL;
        bool good = true;
        int r = files ? 0 : failure_errno(failure, -ENOMEM);

        for (size_t i = 0; r == 0 && arguments_at(session->arguments, i); i++) {
                _cleanup_(verdict_deinit) struct verdict verdict = { .warnings = STR_LIST_INIT };
                r = judge_file(judge, arguments_at(session->arguments, i), &verdict, failure);
                if (r < 0)
                        return r;
                good = good && !json_errors_any(&verdict.file.errors);
                if (session->json && (r = verdict_json(&verdict, files)) < 0)
                        return failure_errno(failure, r);
                if (!session->json)
                        say_verdict(&verdict, &session->style, &out);
        }
        if (r == 0)
                r = session->json ? session_print_json(session, root, failure) : session_print(session, &out, failure);
        return r < 0 ? r : good ? EXIT_CODE_OK : EXIT_CODE_REFUSED;
}

static int read_firmware(struct session *session, struct firmware **ret_firmware, size_t *ret_n, struct str_list *paths,
                         struct failure *failure) {
        _cleanup_free_ struct firmware *firmware = NULL;
        int r = arguments_texts(session->arguments, "artifact", paths);

        if (r == 0 && !(firmware = calloc(paths->n_items + 1, sizeof *firmware)))
                r = -ENOMEM;
        if (r < 0)
                return failure_errno(failure, r);
        for (size_t i = 0; i < paths->n_items; i++) {
                r = firmware_read(paths->items[i], &firmware[i], failure);
                if (r < 0)
                        return r;
        }
        *ret_firmware = TAKE_PTR(firmware);
        *ret_n = paths->n_items;
        return 0;
}

int run_campaign_check(struct session *session, struct failure *failure) {
        _cleanup_time_zones_ struct time_zones *zones = NULL;
        _cleanup_keyring_ struct keyring *keyring = NULL;
        _cleanup_str_list_ struct str_list paths = STR_LIST_INIT;
        _cleanup_free_ struct firmware *firmware = NULL;
        struct judge judge = { .session = session };
        int r;

        if (access(TIME_ZONE_DIRECTORY, R_OK | X_OK) == 0 && !(zones = time_zones_new(TIME_ZONE_DIRECTORY)))
                return failure_errno(failure, -ENOMEM);
        r = document_keys_load(session, &keyring, failure);
        if (r == 0)
                r = read_firmware(session, &firmware, &judge.n_firmware, &paths, failure);
        if (r < 0)
                return r;
        judge.zones = zones;
        judge.keyring = keyring;
        judge.firmware = firmware;
        return check_files(&judge, failure);
}
