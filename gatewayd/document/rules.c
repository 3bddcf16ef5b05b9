/* SPDX-License-Identifier: Apache-2.0 */
#include "document/params.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "base/time.h"
#include "base/time_window.h"
#include "document/limits.h"
#include "document/names.h"
#include "document/version.h"

size_t text_length(const char *text) {
        size_t n = 0;

        for (; *text; text++)
                n += ((unsigned char) *text & 0xc0) != 0x80;
        return n;
}

/* 1..max characters, none of them a control character (C0, DEL, C1): safe to show on a terminal. */
static bool is_shown_text(const char *text, size_t max) {
        const unsigned char *at = (const unsigned char *) text;

        for (; *at; at++)
                if (*at < 0x20 || *at == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0))
                        return false;
        return *text && text_length(text) <= max;
}

static bool is_made_of(const char *text, const char *characters, size_t max) {
        size_t size = strlen(text);

        return size >= 1 && size <= max && strspn(text, characters) == size;
}

static bool is_name(const char *text) {
        return is_shown_text(text, DEVICE_NAME_MAX);
}

static bool is_glob(const char *text) {
        return is_shown_text(text, CAMPAIGN_NAME_MAX);
}

static bool is_comment(const char *text) {
        return is_shown_text(text, CAMPAIGN_COMMENT_MAX);
}

static bool is_file_name(const char *text) {
        return is_shown_text(text, COMMAND_FILE_NAME_MAX);
}

static bool is_address(const char *text) {
        return is_shown_text(text, DEVICE_ADDRESS_MAX);
}

static bool is_audience(const char *text) {
        if (str_starts_with(text, "group:"))
                return str_is_gateway_id(text + strlen("group:"));
        return is_made_of(text, "abcdefghijklmnopqrstuvwxyz0123456789-*?[]!", STR_GATEWAY_ID_MAX);
}

static bool is_sha256(const char *text) {
        return strlen(text) == 64 && is_made_of(text, "0123456789abcdef", 64);
}

static bool is_epoch(const char *text) {
        return strlen(text) == 16 && is_made_of(text, "0123456789abcdef", 16);
}

/* Bytes of the host at text (a name, an IPv4 address, or an IPv6 address in brackets), 0 = none. */
static size_t host_size(const char *text) {
        size_t size;

        if (*text != '[')
                return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-");
        size = strspn(text + 1, "0123456789ABCDEFabcdef:.");
        return size > 0 && text[1 + size] == ']' ? size + 2 : 0;
}

/* https only, no credentials in it, no fragment; printable ASCII. */
static bool is_url(const char *text) {
        size_t size, n_digits;

        if (strlen(text) > CAMPAIGN_URL_MAX || !str_starts_with(text, "https://"))
                return false;
        text += strlen("https://");
        size = host_size(text);
        if (size == 0)
                return false;
        text += size;
        if (*text == ':') {
                n_digits = strspn(text + 1, "0123456789");
                if (n_digits < 1 || n_digits > 5)
                        return false;
                text += 1 + n_digits;
        }
        if (*text != '\0' && *text != '/' && *text != '?')
                return false;
        for (; *text; text++)
                if (*text <= ' ' || *text > '~' || *text == '#')
                        return false;
        return true;
}

static bool is_version(const char *text) {
        return is_made_of(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-", CAMPAIGN_VERSION_MAX);
}

static bool is_version_rule(const char *text) {
        struct version_rule rule;

        return strlen(text) <= CAMPAIGN_VERSION_RULE_MAX && version_rule_parse(text, &rule) == 0;
}

static bool is_time(const char *text) {
        int64_t wall_ms;

        return time_parse_rfc3339(text, &wall_ms) == 0;
}

static bool is_mode(const char *text) {
        enum gw_mode mode;

        return mode_parse(text, &mode) == 0;
}

static bool is_gate(const char *text) {
        enum campaign_gate gate;

        return campaign_gate_parse(text, &gate) == 0;
}

static bool is_abort_action(const char *text) {
        enum campaign_abort_action action;

        return campaign_abort_action_parse(text, &action) == 0;
}

static bool is_window_end(const char *text) {
        enum campaign_window_end end;

        return campaign_window_end_parse(text, &end) == 0;
}

static bool is_day(const char *text) {
        return time_window_day_bit(text) != 0;
}

static bool is_start(const char *text) {
        uint16_t start_min;

        return time_window_parse_start(text, &start_min) == 0;
}

static bool is_campaign_state(const char *text) {
        enum campaign_state state;

        return campaign_state_parse(text, &state) == 0;
}

static bool is_job_state(const char *text) {
        enum job_state state;

        return job_state_parse(text, &state) == 0;
}

static bool is_device_state(const char *text) {
        return str_equal(text, "discovered") || str_equal(text, "adopted") || str_equal(text, "configured");
}

static bool is_csv(const char *text) {
        return *text && text_length(text) <= COMMAND_CSV_MAX;
}

/* Only what a JWS can hold at all, so that what is wrong with one is said by its own error. */
static bool is_jws(const char *text) {
        size_t size = 0;

        for (; text[size]; size++)
                if (text[size] <= ' ' || text[size] > '~' || size >= JWS_SIZE_MAX)
                        return false;
        return size > 0;
}

const struct text_rule rule_id = {str_is_id, "1 to 64 of A-Z a-z 0-9 _ . -"};
const struct text_rule rule_device_id = {str_is_device_id, "a device id, <driver>:<key>"};
const struct text_rule rule_device_words = {is_name, "a device id, or the name or key of a device"};
const struct text_rule rule_driver = {str_is_driver_name, "1 to 32 of a-z 0-9 -"};
const struct text_rule rule_model = {str_is_model, "a model such as acme,sensor-r2"};
const struct text_rule rule_audience = {is_audience, "a gateway id, a glob on them, or group:<name>"};
const struct text_rule rule_sha256 = {is_sha256, "64 hexadecimal digits in lower case"};
const struct text_rule rule_url = {is_url, "an https:// URL without credentials and fragment, at most 2048 characters"};
const struct text_rule rule_version = {is_version, "a version, 1 to 47 of A-Z a-z 0-9 _ . + -"};
const struct text_rule rule_version_rule = {is_version_rule, "comparisons such as \">=1.2 <1.4.0\""};
const struct text_rule rule_time = {is_time, "a time such as 2026-12-05T00:00:00Z"};
const struct text_rule rule_mode = {is_mode, "test-and-confirm, confirm-only, test-only or upload-only"};
const struct text_rule rule_gate = {is_gate, "none, first-wave or each-wave"};
const struct text_rule rule_abort_action = {is_abort_action, "pause or cancel"};
const struct text_rule rule_window_end = {is_window_end, "suspend or finish"};
const struct text_rule rule_day = {is_day, "mon, tue, wed, thu, fri, sat or sun"};
const struct text_rule rule_start = {is_start, "a time of day such as 22:00"};
const struct text_rule rule_time_zone = {time_zone_is_name, "a time zone such as Europe/Oslo"};
const struct text_rule rule_glob = {is_glob, "a glob, 1 to 128 characters"};
const struct text_rule rule_name = {is_name, "1 to 128 characters without control characters"};
const struct text_rule rule_comment = {is_comment, "1 to 512 characters without control characters"};
const struct text_rule rule_address = {is_address, "an address, 1 to 256 characters without control characters"};
const struct text_rule rule_file_name = {is_file_name, "1 to 255 characters without control characters"};
const struct text_rule rule_error_name = {str_is_error_name, "the name of an error"};
const struct text_rule rule_campaign_state = {is_campaign_state, "the state of a campaign"};
const struct text_rule rule_job_state = {is_job_state, "the state of a job"};
const struct text_rule rule_device_state = {is_device_state, "discovered, adopted or configured"};
const struct text_rule rule_epoch = {is_epoch, "16 hexadecimal digits in lower case"};
const struct text_rule rule_csv = {is_csv, "a list of devices, at most 1000000 characters"};
const struct text_rule rule_jws = {is_jws, "a JWS, at most 1000000 printable characters"};
