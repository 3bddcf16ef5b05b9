/* SPDX-License-Identifier: Apache-2.0 */
#include "campaign_words.h"

#include <inttypes.h>
#include <string.h>

#include "base/time.h"
#include "document/windows.h"

#define LABEL_COLUMNS 12

/* One line: the label only where it is not "". */
static void line(struct strbuf *out, const char *label, const char *text, const struct style *style) {
        _cleanup_free_ char *clean = text_clean(text);
        size_t used = text_columns(label);

        strbuf_append(out, label);
        text_append_blanks(out, LABEL_COLUMNS - MIN(used, (size_t) LABEL_COLUMNS));
        text_append_wrapped(out, clean ? clean : "", LABEL_COLUMNS, style);
}

__attribute__((format(printf, 4, 5))) static void linef(struct strbuf *out, const char *label, const struct style *style,
                                                        const char *format, ...) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);
        va_list arguments;

        va_start(arguments, format);
        strbuf_vappendf(&text, format, arguments);
        va_end(arguments);
        line(out, label, strbuf_text(&text), style);
}

/* "a, b and c" */
static void append_words(struct strbuf *text, const struct str_list *list, const char *last) {
        for (size_t i = 0; i < list->n_items; i++)
                strbuf_appendf(text, "%s%s", i == 0 ? "" : i + 1 == list->n_items ? last : ", ", list->items[i]);
}

static void local_time(char *dst, size_t size, int64_t wall_ms) {
        char text[TIME_RFC3339_SIZE];

        if (time_format_rfc3339(text, sizeof text, wall_ms) == 0)
                text_time(dst, size, text);
        else
                str_copy(dst, size, "?");
}

/* "2026-12-05 01:00:00 (in 8 d)" */
static void append_instant(struct strbuf *text, int64_t wall_ms, int64_t now_ms) {
        char at[48], distance[32];

        local_time(at, sizeof at, wall_ms);
        text_duration(distance, sizeof distance, wall_ms > now_ms ? wall_ms - now_ms : now_ms - wall_ms);
        strbuf_appendf(text, wall_ms > now_ms ? "%s (in %s)" : "%s (%s ago)", at, distance);
}

/* --- who and what --- */

static void audience_line(const struct campaign_document *campaign, const struct style *style, struct strbuf *out) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);

        for (size_t i = 0; i < campaign->aud.n_items; i++) {
                const char *entry = campaign->aud.items[i];
                bool is_group = str_starts_with(entry, "group:");
                strbuf_appendf(&text, "%s%s%s", i == 0 ? "" : ", ", is_group ? "group " : "", is_group ? entry + strlen("group:") : entry);
        }
        line(out, "gateways", campaign->aud.n_items ? strbuf_text(&text) : "each that it is given to", style);
}

static void claim_lines(const struct campaign_words *words, const struct style *style, struct strbuf *out) {
        const struct campaign_document *campaign = words->campaign;
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);

        if (campaign->iat_s >= 0) {
                append_instant(&text, campaign->iat_s * 1000, words->now_ms);
                line(out, "issued", strbuf_text(&text), style);
                strbuf_reset(&text);
        }
        if (campaign->nbf_s >= 0) {
                strbuf_append(&text, "not before ");
                append_instant(&text, campaign->nbf_s * 1000, words->now_ms);
                strbuf_append(&text, campaign->exp_s >= 0 ? ", " : "");
        }
        if (campaign->exp_s >= 0) {
                strbuf_append(&text, "until ");
                append_instant(&text, campaign->exp_s * 1000, words->now_ms);
        }
        if (text.size > 0)
                line(out, "accepted", strbuf_text(&text), style);
}

static void artifact_lines(const struct campaign_artifact *artifact, const struct style *style, struct strbuf *out) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);
        char digest[2 * sizeof artifact->sha256 + 1], bytes[32];

        text_bytes(bytes, sizeof bytes, (int64_t) artifact->size);
        strbuf_appendf(&text, "%s%s%s%s%s", artifact->format ? artifact->format : "a file", artifact->version ? " " : "",
                       artifact->version ? artifact->version : "", ", ", bytes);
        if (artifact->image >= 0)
                strbuf_appendf(&text, ", image %d", artifact->image);
        strbuf_append(&text, artifact->compatible.n_items > 0 ? ", for " : ", for whatever hardware its order names");
        append_words(&text, &artifact->compatible, " or ");
        line(out, "brings", strbuf_text(&text), style);
        str_hex_encode(digest, sizeof digest, artifact->sha256, sizeof artifact->sha256);
        linef(out, "", style, "sha256 %s", digest);
        if (artifact->url)
                linef(out, "", style, "from %s", artifact->url);
        else
                line(out, "", "imported on the gateway before", style);
}

static void source_lines(const struct campaign_document *campaign, const struct style *style, struct strbuf *out) {
        if (campaign->rollback)
                line(out, "brings", "back the image in the other slot of each device", style);
        if (campaign->rollback_of)
                linef(out, "brings", style, "back what each device ran before campaign %s updated it", campaign->rollback_of);
        for (size_t i = 0; i < campaign->n_artifacts; i++)
                artifact_lines(&campaign->artifacts[i], style, out);
}

static void condition(struct strbuf *text) {
        if (text->size > 0)
                strbuf_append(text, "; ");
}

static void device_line(const struct campaign_selector *devices, const struct style *style, struct strbuf *out) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);

        if (devices->all)
                strbuf_append(&text, "all that are adopted");
        append_words(&text, &devices->ids, " and ");
        if (devices->labels.n_items > 0) {
                condition(&text);
                strbuf_append(&text, devices->labels.n_items == 1 ? "with label " : "with all the labels ");
                append_words(&text, &devices->labels, " and ");
        }
        if (devices->name) {
                condition(&text);
                strbuf_appendf(&text, "whose name, key or id matches %s", devices->name);
        }
        if (devices->drivers.n_items > 0) {
                condition(&text);
                strbuf_append(&text, "of driver ");
                append_words(&text, &devices->drivers, " or ");
        }
        if (devices->version) {
                condition(&text);
                strbuf_appendf(&text, "that run %s", devices->version);
        }
        if (devices->rssi_min_dbm != GW_RSSI_UNKNOWN) {
                condition(&text);
                strbuf_appendf(&text, "heard with at least %d dBm", devices->rssi_min_dbm);
        }
        if (devices->updated_by) {
                condition(&text);
                strbuf_appendf(&text, "that campaign %s updated", devices->updated_by);
        }
        line(out, "devices", strbuf_text(&text), style);
}

/* --- how and when --- */

static void mode_line(const struct campaign_policy *policy, const struct style *style, struct strbuf *out) {
        char trial[32];

        text_duration(trial, sizeof trial, policy->trial_ms);
        if (policy->mode == GW_MODE_TEST_AND_CONFIRM)
                linef(out, "mode", style, "%s: runs %s on trial, is looked at %u time%s, then confirmed", mode_name(policy->mode), trial,
                      policy->trial_checks, policy->trial_checks == 1 ? "" : "s");
        else
                line(out, "mode", mode_name(policy->mode), style);
}

static void wave_line(const struct campaign_policy *policy, const struct style *style, struct strbuf *out) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);
        size_t n = campaign_waves(policy);
        char soak[32];

        if (n == 1) {
                line(out, "waves", "one: all devices may start at once", style);
                return;
        }
        for (size_t i = 0; i < policy->n_waves; i++) {
                const struct campaign_wave *wave = &policy->waves[i];
                strbuf_append(&text, i == 0 ? "first " : ", then ");
                if (wave->count > 0)
                        strbuf_appendf(&text, "%u device%s", wave->count, wave->count == 1 ? "" : "s");
                else
                        strbuf_appendf(&text, wave->percent == 100 ? "all" : "%u %%", wave->percent);
        }
        strbuf_append(&text, n > policy->n_waves ? ", then all" : "");
        text_duration(soak, sizeof soak, policy->soak_ms);
        if (policy->soak_ms > 0)
                strbuf_appendf(&text, "; %s between two waves", soak);
        line(out, "waves", strbuf_text(&text), style);
        if (policy->gate != CAMPAIGN_GATE_NONE)
                linef(out, "", style, "after %s it waits for `gatewayctl continue`",
                      policy->gate == CAMPAIGN_GATE_FIRST_WAVE ? "the first wave" : "each wave");
}

static void abort_line(const struct campaign_abort *abort, const struct style *style, struct strbuf *out) {
        linef(out, "stops", style, "%s when %u device%s failed, or %u %% of at least %u that finished, or all of the first wave",
              abort->action == CAMPAIGN_ABORT_CANCEL ? "is canceled" : "pauses", abort->failed_count, abort->failed_count == 1 ? "" : "s",
              abort->failed_percent, abort->min_finished);
}

static void next_window(const struct campaign_words *words, const struct style *style, struct strbuf *out) {
        const struct campaign_policy *policy = &words->campaign->policy;
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_windows_ struct windows *windows = NULL;
        struct windows_state state;
        struct gw_error err = { 0 };

        if (!words->zones)
                return;
        if (windows_new(policy->windows, policy->n_windows, words->zones, &windows, &err) < 0) {
                line(out, "", err.text, style);
                return;
        }
        state = windows_at(&(struct windows_pair){ .campaign = windows }, words->now_ms);
        strbuf_append(&text, state.open ? "open now, until " : "opens next ");
        append_instant(&text, state.until_ms, words->now_ms);
        line(out, "", strbuf_text(&text), style);
}

static void window_lines(const struct campaign_words *words, const struct style *style, struct strbuf *out) {
        const struct campaign_policy *policy = &words->campaign->policy;

        for (size_t i = 0; i < policy->n_windows; i++) {
                char text[256];
                if (time_window_format(text, sizeof text, &policy->windows[i]) == 0)
                        line(out, i == 0 ? "windows" : "", text, style);
        }
        if (policy->n_windows == 0)
                return;
        line(out, "",
             policy->at_window_end == CAMPAIGN_WINDOW_END_SUSPEND ? "at its end what runs is suspended"
                                                                  : "what runs at its end is finished",
             style);
        next_window(words, style, out);
}

static void deadline_line(const struct campaign_words *words, const struct style *style, struct strbuf *out) {
        const struct campaign_policy *policy = &words->campaign->policy;
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);

        if (policy->deadline_ms > 0)
                append_instant(&text, policy->deadline_ms, words->now_ms);
        else
                strbuf_append(&text, "the gateway's own, usually 14 d after it accepted the campaign");
        line(out, "deadline", strbuf_text(&text), style);
}

static void limit_line(const struct campaign_policy *policy, const struct style *style, struct strbuf *out) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);

        strbuf_appendf(&text, "%u device%s at once, %u attempt%s each", policy->concurrency, policy->concurrency == 1 ? "" : "s",
                       policy->attempts, policy->attempts == 1 ? "" : "s");
        if (policy->battery_min_percent >= 0)
                strbuf_appendf(&text, ", battery at least %d %%", policy->battery_min_percent);
        strbuf_append(&text, policy->allow_downgrade ? ", also to an older version" : ", never to an older version");
        line(out, "limits", strbuf_text(&text), style);
}

int campaign_words(const struct campaign_words *words, const struct style *style, struct strbuf *out) {
        const struct campaign_document *campaign = words->campaign;
        const struct campaign_policy *policy = &campaign->policy;
        char jitter[32];

        linef(out, "campaign", style, "%s, revision %u", campaign->id, campaign->revision);
        if (campaign->comment)
                line(out, "comment", campaign->comment, style);
        if (words->signature)
                line(out, "signed", words->signature, style);
        if (campaign->iss)
                line(out, "issuer", campaign->iss, style);
        audience_line(campaign, style, out);
        claim_lines(words, style, out);
        source_lines(campaign, style, out);
        device_line(&campaign->devices, style, out);
        mode_line(policy, style, out);
        wave_line(policy, style, out);
        abort_line(&policy->abort, style, out);
        window_lines(words, style, out);
        text_duration(jitter, sizeof jitter, policy->start_jitter_ms);
        if (policy->start_jitter_ms > 0)
                linef(out, "start", style, "within %s, another moment on each gateway", jitter);
        deadline_line(words, style, out);
        limit_line(policy, style, out);
        return out->error;
}
