/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A campaign document from firmware files and options: what can be read from the files is never typed by a person. The result is checked
 * like any other document before it is written.
 */

#include "commands.h"

#include <inttypes.h>
#include <string.h>

#include "base/time.h"
#include "document_file.h"
#include "firmware.h"

#define VALID_DEFAULT_MS (14ll * 24 * 3600 * 1000)

#define USAGE(failure, ...) failure_set(failure, EXIT_CODE_USAGE, "usage", "campaign new: " __VA_ARGS__)

struct making {
        struct session *session;
        const struct arguments *arguments;
        struct members document;
        struct firmware *firmware;
        size_t n_firmware;
        struct str_list urls;
        struct failure *failure;
};

/* Takes `members` over as a member of the document; nothing where it stayed empty. */
static void put(struct making *making, const char *key, struct members *members) {
        if (members->error < 0)
                making->document.error = members->error;
        else if (json_length(members->json) > 0)
                members_json(&making->document, key, TAKE_PTR(members->json));
}

static void seconds_option(struct members *members, const char *key, const struct arguments *arguments, const char *option) {
        int64_t ms;

        if (arguments_number(arguments, option, &ms))
                members_number(members, key, (ms + 999) / 1000);
}

/* --- the head --- */

/* "app_update-1.4.0" of app_update.bin, so that nobody has to think of a name. */
static void default_id(const struct making *making, char *dst, size_t size) {
        const struct firmware *firmware = making->n_firmware > 0 ? &making->firmware[0] : NULL;
        const char *name = firmware ? file_name(firmware->path) : "rollback", *end = strrchr(name, '.');
        const char *version = firmware ? firmware->version : arguments_text(making->arguments, "rollback-of");
        char stem[STR_ID_MAX + 1], release[GW_VERSION_MAX];

        str_copy_n(stem, sizeof stem, name, end && end > name ? (size_t) (end - name) : strlen(name));
        str_copy_n(release, sizeof release, version, strcspn(version, "+"));
        /* Many a file's name holds its version already. */
        if (release[0] && strstr(stem, release))
                str_copy(dst, size, stem);
        else
                str_format(dst, size, "%s%s%s", stem, version[0] ? "-" : "", version);
        for (char *at = dst; *at; at++)
                if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", *at))
                        *at = '-';
}

static void put_claims(struct making *making) {
        int64_t iat_s = making->session->now_wall_ms / 1000, valid_ms = VALID_DEFAULT_MS;

        members_option(&making->document, "iss", making->arguments, "issuer");
        members_options(&making->document, "aud", making->arguments, "audience");
        if (!arguments_flag(making->arguments, "audience") && !arguments_flag(making->arguments, "valid"))
                return;
        arguments_number(making->arguments, "valid", &valid_ms);
        members_number(&making->document, "iat", iat_s);
        members_number(&making->document, "exp", iat_s + valid_ms / 1000);
}

static void put_head(struct making *making) {
        const char *id = arguments_text(making->arguments, "id");
        char default_text[STR_ID_MAX + 1];
        int64_t revision = 1;

        default_id(making, default_text, sizeof default_text);
        arguments_number(making->arguments, "revision", &revision);
        members_text(&making->document, "schema", CAMPAIGN_SCHEMA);
        members_text(&making->document, "id", id ? id : default_text);
        members_number(&making->document, "revision", revision);
        put_claims(making);
        members_option(&making->document, "comment", making->arguments, "comment");
        members_option(&making->document, "rollback_of", making->arguments, "rollback-of");
}

/* --- artifacts --- */

/* The URL of a file: one each, or one folder (it ends with "/") for all. */
static void put_url(const struct making *making, size_t index, struct members *artifact) {
        char url[CAMPAIGN_URL_MAX + 256];
        const char *given;

        if (making->urls.n_items == 0)
                return;
        given = making->urls.items[MIN(index, making->urls.n_items - 1)];
        str_format(url, sizeof url, "%s%s", given, str_ends_with(given, "/") ? file_name(making->firmware[index].path) : "");
        members_text(artifact, "url", url);
}

static void put_compatible(const struct making *making, const struct firmware *firmware, struct members *artifact) {
        _cleanup_str_list_ struct str_list models = STR_LIST_INIT;
        int r = arguments_texts(making->arguments, "compatible", &models);

        bool stated = models.n_items > 0;

        for (size_t i = 0; r == 0 && !stated && i < firmware->n_compatible; i++)
                r = str_list_append(&models, firmware->compatible[i]);
        if (r < 0)
                artifact->error = r;
        members_texts(artifact, "compatible", &models);
}

static struct json *artifact_new(const struct making *making, size_t index) {
        const struct firmware *firmware = &making->firmware[index];
        const char *format = arguments_text(making->arguments, "format");
        _cleanup_members_ struct members artifact = members_new();
        char digest[DIGEST_HEX_SIZE];

        str_hex_encode(digest, sizeof digest, firmware->sha256, DIGEST_SIZE);
        put_url(making, index, &artifact);
        members_number(&artifact, "size", (int64_t) firmware->size);
        members_text(&artifact, "sha256", digest);
        members_text(&artifact, "format", firmware->known ? firmware->format : format);
        members_text(&artifact, "version", firmware->version[0] ? firmware->version : NULL);
        members_option(&artifact, "image", making->arguments, "image");
        put_compatible(making, firmware, &artifact);
        return artifact.error < 0 ? NULL : TAKE_PTR(artifact.json);
}

static void put_artifacts(struct making *making) {
        struct json *list;

        if (making->n_firmware == 0 || making->document.error < 0)
                return;
        list = json_set_new_array(making->document.json, "artifacts");
        if (!list)
                making->document.error = -ENOMEM;
        for (size_t i = 0; list && i < making->n_firmware; i++) {
                struct json *artifact = artifact_new(making, i);
                if (!artifact || json_append(list, artifact) < 0)
                        making->document.error = -ENOMEM;
        }
}

/* --- devices --- */

static void put_devices(struct making *making) {
        const struct arguments *arguments = making->arguments;
        _cleanup_members_ struct members devices = members_new();

        members_option(&devices, "all", arguments, "all-devices");
        members_options(&devices, "ids", arguments, "device");
        members_options(&devices, "labels", arguments, "label");
        members_option(&devices, "name", arguments, "match");
        members_options(&devices, "driver", arguments, "driver");
        members_option(&devices, "version", arguments, "running");
        members_option(&devices, "rssi_min_dbm", arguments, "rssi-min");
        members_option(&devices, "updated_by", arguments, "updated-by");
        put(making, "devices", &devices);
}

/* --- policy --- */

/* "2,25%,100%" */
static int put_waves(struct making *making, struct members *policy) {
        const char *text = arguments_text(making->arguments, "waves");
        struct json *list = text && policy->error == 0 ? json_set_new_array(policy->json, "waves") : NULL;
        char word[16];

        for (size_t size; text && list; text += size + 1) {
                struct json *wave = json_append_new_object(list);
                bool percent;
                int64_t number;
                size = strcspn(text, ",");
                percent = size > 0 && text[size - 1] == '%';
                if (!wave)
                        break;
                if (size == 0 || str_copy_n(word, sizeof word, text, size - percent) < 0 || str_parse_int64(word, 1, 100000, &number) < 0)
                        return USAGE(making->failure, "--waves: expected numbers and percents such as 2,25%%,100%%");
                if (json_set_int(wave, percent ? "percent" : "count", number) < 0)
                        break;
                if (text[size] == '\0')
                        return 0;
        }
        return text ? failure_errno(making->failure, -ENOMEM) : 0;
}

static struct json *window_new(const struct time_window *window) {
        _cleanup_members_ struct members members = members_new();
        _cleanup_str_list_ struct str_list days = STR_LIST_INIT;
        char start[TIME_WINDOW_START_SIZE];

        for (unsigned day = 0; day < TIME_WINDOW_DAYS; day++)
                if (window->days & 1u << day && str_list_append(&days, time_window_day_name(day)) < 0)
                        return NULL;
        time_window_format_start(start, window->start_min);
        members_texts(&members, "days", &days);
        members_text(&members, "start", start);
        members_number(&members, "duration_min", window->duration_min);
        members_text(&members, "timezone", window->timezone);
        return members.error < 0 ? NULL : TAKE_PTR(members.json);
}

/* One --window may hold several, in the words of gatewayd.conf. */
static int add_windows(struct making *making, struct json *list, const char *text) {
        struct time_window *windows = NULL;
        size_t n_windows = 0;
        char why[128];
        int r = time_windows_parse(text, &windows, &n_windows, why, sizeof why);

        if (r == -EINVAL)
                return USAGE(making->failure, "--window %s: %s", text, why);
        for (size_t i = 0; r == 0 && i < n_windows; i++) {
                struct json *window = window_new(&windows[i]);
                r = window ? json_append(list, window) : -ENOMEM;
        }
        time_windows_free(windows, n_windows);
        return r < 0 ? failure_errno(making->failure, r) : 0;
}

static int put_windows(struct making *making, struct members *policy) {
        _cleanup_str_list_ struct str_list texts = STR_LIST_INIT;
        struct json *list;
        int r = arguments_texts(making->arguments, "window", &texts);

        if (r < 0 || policy->error < 0)
                return failure_errno(making->failure, r < 0 ? r : policy->error);
        if (texts.n_items == 0)
                return 0;
        list = json_set_new_array(policy->json, "maintenance_windows");
        if (!list)
                return failure_errno(making->failure, -ENOMEM);
        for (size_t i = 0; r == 0 && i < texts.n_items; i++)
                r = add_windows(making, list, texts.items[i]);
        return r;
}

/* A time, or how long from now. */
static int put_deadline(struct making *making, struct members *policy) {
        const char *given = arguments_text(making->arguments, "deadline");
        char text[TIME_RFC3339_SIZE];
        int64_t ms;

        if (!given)
                return 0;
        if (time_parse_rfc3339(given, &ms) < 0) {
                if (str_parse_duration_ms(given, &ms) < 0 || ms > CAMPAIGN_DEADLINE_MAX_MS)
                        return USAGE(making->failure,
                                     "--deadline %s: expected a time such as 2026-12-05T00:00:00Z, or how long from now (\"7 d\", at most "
                                     "180 d)",
                                     given);
                ms = (making->session->now_wall_ms + ms) / 1000 * 1000;
        }
        if (time_format_rfc3339(text, sizeof text, ms) < 0)
                return USAGE(making->failure, "--deadline %s: not a time that can be written", given);
        members_text(policy, "deadline", text);
        return 0;
}

static void put_trial(struct making *making, struct members *policy) {
        _cleanup_members_ struct members trial = members_new();

        seconds_option(&trial, "duration_s", making->arguments, "trial");
        members_option(&trial, "checks", making->arguments, "trial-checks");
        if (trial.error < 0)
                policy->error = trial.error;
        else if (json_length(trial.json) > 0)
                members_json(policy, "trial", TAKE_PTR(trial.json));
}

static void put_abort(struct making *making, struct members *policy) {
        const struct arguments *arguments = making->arguments;
        _cleanup_members_ struct members abort = members_new();

        members_option(&abort, "failed_count", arguments, "abort-failed");
        members_option(&abort, "failed_percent", arguments, "abort-percent");
        members_option(&abort, "min_finished", arguments, "abort-min-finished");
        members_option(&abort, "action", arguments, "abort-action");
        if (abort.error < 0)
                policy->error = abort.error;
        else if (json_length(abort.json) > 0)
                members_json(policy, "abort", TAKE_PTR(abort.json));
}

static int put_policy(struct making *making) {
        const struct arguments *arguments = making->arguments;
        _cleanup_members_ struct members policy = members_new();
        int r;

        members_option(&policy, "mode", arguments, "mode");
        put_trial(making, &policy);
        r = put_waves(making, &policy);
        if (r < 0)
                return r;
        seconds_option(&policy, "soak_s", arguments, "soak");
        members_option(&policy, "gate", arguments, "gate");
        put_abort(making, &policy);
        r = put_windows(making, &policy);
        if (r < 0)
                return r;
        members_option(&policy, "at_window_end", arguments, "at-window-end");
        seconds_option(&policy, "start_jitter_s", arguments, "start-jitter");
        r = put_deadline(making, &policy);
        if (r < 0)
                return r;
        members_option(&policy, "concurrency", arguments, "concurrency");
        members_option(&policy, "attempts", arguments, "attempts");
        members_option(&policy, "allow_downgrade", arguments, "allow-downgrade");
        members_option(&policy, "battery_min_percent", arguments, "battery-min");
        put(making, "policy", &policy);
        return 0;
}

/* --- the whole --- */

static int check_usage(struct making *making) {
        static const char *const selectors[] = { "all-devices", "device", "label", "match", "driver", "running", "rssi-min", "updated-by" };
        const struct arguments *arguments = making->arguments;
        bool selects = false;

        for (size_t i = 0; i < ARRAY_SIZE(selectors); i++)
                selects = selects || arguments_flag(arguments, selectors[i]);
        if (!selects)
                return USAGE(making->failure,
                             "which devices? --device, --label, --match, --driver, --running, --updated-by, or --all-devices");
        if (!arguments_at(arguments, 0) && !arguments_flag(arguments, "rollback-of"))
                return USAGE(making->failure, "expected a firmware file, or --rollback-of CAMPAIGN");
        if (arguments_at(arguments, 1) && arguments_flag(arguments, "compatible"))
                return USAGE(making->failure, "--compatible is for one file; of several each has to name its hardware itself");
        if (making->urls.n_items > 1 && making->urls.n_items != arguments->n_positional)
                return USAGE(making->failure, "one --url for each file, or one that ends with / for all of them");
        if (making->urls.n_items == 1 && arguments->n_positional > 1 && !str_ends_with(making->urls.items[0], "/"))
                return USAGE(making->failure, "one --url for each file, or one that ends with / for all of them");
        return 0;
}

static int read_files(struct making *making) {
        const struct arguments *arguments = making->arguments;
        int r = arguments_texts(arguments, "url", &making->urls);

        making->firmware = calloc(arguments->n_positional + 1, sizeof *making->firmware);
        if (r < 0 || !making->firmware)
                return failure_errno(making->failure, -ENOMEM);
        r = check_usage(making);
        for (size_t i = 0; r == 0 && i < arguments->n_positional; i++) {
                r = firmware_read(arguments->positional[i], &making->firmware[i], making->failure);
                making->n_firmware += r == 0;
        }
        return r;
}

/* What was made of options has to pass like everything else. */
static int check_document(struct making *making) {
        const struct campaign_parse_options options = {
                .origin = arguments_flag(making->arguments, "audience") ? CAMPAIGN_ORIGIN_SIGNED : CAMPAIGN_ORIGIN_LOCAL,
        };
        _cleanup_campaign_document_ struct campaign_document *campaign = NULL;
        struct json_errors errors;
        int r;

        json_errors_init(&errors);
        r = campaign_document_read(making->document.json, "", &options, &campaign, &errors);
        if (r == -EBADMSG)
                return mistakes_failure("the campaign would not be accepted", &errors, making->failure);
        return r < 0 ? failure_errno(making->failure, r) : 0;
}

static int write_document(struct making *making) {
        const char *path = arguments_text(making->arguments, "output");
        _cleanup_free_ char *text = NULL;
        FILE *stream;
        bool good;

        if (!path || strcmp(path, "-") == 0)
                return session_print_json(making->session, making->document.json, making->failure);
        if (json_write_pretty(making->document.json, &text, NULL) < 0)
                return failure_errno(making->failure, -ENOMEM);
        stream = fopen(path, "we");
        good = stream && fprintf(stream, "%s\n", text) >= 0;
        if (stream)
                good = fclose(stream) == 0 && good;
        if (!good)
                return failure_set(making->failure, EXIT_CODE_REFUSED, "output-failed", "%s: %s", path, strerror(errno));
        return session_say(making->session, making->failure, "%s holds campaign %s. `gatewayctl campaign show %s` explains it.\n", path,
                           json_member_text(making->document.json, "id"), path);
}

static int make(struct making *making) {
        int r = read_files(making);

        if (r < 0)
                return r;
        put_head(making);
        put_artifacts(making);
        put_devices(making);
        r = put_policy(making);
        if (r == 0 && making->document.error < 0)
                r = failure_errno(making->failure, making->document.error);
        if (r == 0)
                r = check_document(making);
        return r < 0 ? r : write_document(making);
}

int run_campaign_new(struct session *session, struct failure *failure) {
        struct making making = {
                .session = session, .arguments = session->arguments, .document = members_new(), .failure = failure, .urls = STR_LIST_INIT
        };
        int r = make(&making);

        members_deinit(&making.document);
        str_list_deinit(&making.urls);
        free(making.firmware);
        return r;
}
