/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/error_catalogue.h"
#include "base/time.h"
#include "document/limits.h"

/* --- tables --- */

enum {
        DEVICE_GATEWAY,
        DEVICE_ID,
        DEVICE_NAME,
        DEVICE_STATE,
        DEVICE_MODEL,
        DEVICE_VERSION,
        DEVICE_LABELS,
        DEVICE_ADDRESS,
        DEVICE_SEEN,
        DEVICE_RESULT
};

static const struct table_column device_columns[] = {
        [DEVICE_GATEWAY] = { .title = "GATEWAY" },
        [DEVICE_ID] = { .title = "DEVICE" },
        [DEVICE_NAME] = { .title = "NAME", .may_cut = true },
        [DEVICE_STATE] = { .title = "STATE" },
        [DEVICE_MODEL] = { .title = "MODEL", .may_cut = true },
        [DEVICE_VERSION] = { .title = "VERSION" },
        [DEVICE_LABELS] = { .title = "LABELS", .may_cut = true },
        [DEVICE_ADDRESS] = { .title = "ADDRESS", .may_cut = true },
        [DEVICE_SEEN] = { .title = "SEEN" },
        [DEVICE_RESULT] = { .title = "LAST RESULT", .may_cut = true },
};

static void join(const struct json *texts, char *dst, size_t size) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        JSON_FOREACH_ITEM(i, text, texts)
        strbuf_appendf(&out, "%s%s", i ? " " : "", json_string_or_null(text) ? json_string_or_null(text) : "");
        str_copy(dst, size, strbuf_text(&out));
}

static const char *address_of(const struct json *device) {
        const char *address = json_member_text(device, "address");

        return address ? address : json_member_text(device, "address_seen");
}

static void model_of(const struct json *device, char *dst, size_t size) {
        const struct json *model = json_child(device, "model");
        const char *effective = json_member_text(model, "effective");
        bool conflict = false;

        json_member_bool(model, "conflict", &conflict);
        if (conflict)
                str_format(dst, size, "conflict: %s, %s", json_member_text(model, "stated"), json_member_text(model, "adopted"));
        else
                str_copy(dst, size, effective ? effective : "");
}

static void add_result(struct table *table, const struct json *device) {
        const struct json *last = json_child(device, "last_result");
        const char *result = json_member_text(last, "result"), *error = json_member_text(last, "error");

        table_toned_cell(table, DEVICE_RESULT, error ? error : result, error ? TONE_BAD : TONE_PLAIN);
}

static void add_device(struct table *table, const struct json *device, int64_t now_wall_ms) {
        const char *name = json_member_text(device, "name"), *seen = json_member_text(device, "last_seen"),
                   *state = json_member_text(device, "state");
        char text[STR_ID_MAX * CAMPAIGN_LABELS_MAX];

        table_row(table);
        table_cell(table, DEVICE_GATEWAY, json_member_text(device, "gateway"));
        table_cell(table, DEVICE_ID, json_member_text(device, "id"));
        model_of(device, text, sizeof text);
        /* A name that only repeats what stands beside it tells nothing. */
        if (!str_equal(name, json_member_text(device, "key")) && !str_equal(name, text))
                table_cell(table, DEVICE_NAME, name);
        table_toned_cell(table, DEVICE_STATE, state, str_equal(state, "discovered") ? TONE_FAINT : TONE_PLAIN);
        table_cell(table, DEVICE_MODEL, text);
        table_cell(table, DEVICE_VERSION, json_member_text(device, "version"));
        join(json_child(device, "labels"), text, sizeof text);
        table_cell(table, DEVICE_LABELS, text);
        table_cell(table, DEVICE_ADDRESS, address_of(device));
        if (seen)
                text_ago(text, sizeof text, seen, now_wall_ms);
        else
                str_copy(text, sizeof text, "never");
        table_cell(table, DEVICE_SEEN, text);
        add_result(table, device);
}

static int render_devices(struct session *session, const struct json *devices, struct strbuf *out) {
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(device_columns, ARRAY_SIZE(device_columns), &table);

        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, device, devices)
        add_device(table, device, session->now_wall_ms);
        return table_render(table, &session->style, out);
}

/* --- list, scan --- */

int run_device_list(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_json_ struct json *result = NULL;
        int r;

        members_option(&params, "state", session->arguments, "state");
        members_option(&params, "driver", session->arguments, "driver");
        members_options(&params, "labels", session->arguments, "label");
        members_option(&params, "match", session->arguments, "match");
        members_number(&params, "limit", COMMAND_PAGE_MAX);
        r = session_call_pages(session, "device.list", &params, "devices", &result, failure);
        if (r < 0)
                return r;
        if (session->json)
                return session_print_json(session, result, failure);
        if (json_length(json_child(result, "devices")) == 0)
                return session_say(session, failure, "No device. `gatewayctl device scan` looks for some.\n");
        r = render_devices(session, json_child(result, "devices"), &out);
        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
}

/* A driver whose way is closed (no Bluetooth adapter, say) is told of; that is no fault of a gateway which does not need it. */
static bool is_fault(const char *error_name) {
        const struct gw_error_info *info = error_name ? error_catalogue_find(error_name) : NULL;

        return !info || info->class_ != GW_ERROR_WAIT;
}

/* Drivers that could not look; true when there was a fault. */
static bool scan_mistakes(const struct json *drivers, const struct style *style, struct strbuf *out) {
        bool any = false;

        JSON_FOREACH_ITEM(i, driver, drivers) {
                const struct json *error = json_child(driver, "error");
                const char *name = json_member_text(driver, "name"), *text = json_member_text(error, "text"),
                           *error_name = json_member_text(error, "name");
                char line[640];
                if (!error)
                        continue;
                any |= is_fault(error_name);
                str_format(line, sizeof line, "%s: %s (%s)", name ? name : "", text ? text : "", error_name ? error_name : "");
                text_append_toned(out, line, is_fault(error_name) ? TONE_BAD : TONE_FAINT, style);
                strbuf_append_char(out, '\n');
        }
        return any;
}

/* Devices that were heard but could not be read. */
static void scan_unread(const struct json *unread, const struct style *style, struct strbuf *out) {
        JSON_FOREACH_ITEM(i, row, unread) {
                const struct json *error = json_child(row, "error");
                char line[720];
                str_format(line, sizeof line, "%s could not be read: %s (%s)", json_member_text(row, "id"), json_member_text(error, "text"), json_member_text(error, "name"));
                text_append_toned(out, line, TONE_BAD, style);
                strbuf_append_char(out, '\n');
        }
}

static bool has_discovered(const struct json *devices) {
        JSON_FOREACH_ITEM(i, device, devices)
        if (str_equal(json_member_text(device, "state"), "discovered"))
                return true;
        return false;
}

static int show_scan(struct session *session, const struct json *result, struct strbuf *out) {
        const struct json *devices = json_child(result, "devices");
        bool any;
        int r;

        session->now_wall_ms = time_now_wall_ms(); /* it took a while: "now" is now */
        r = render_devices(session, devices, out);
        scan_unread(json_child(result, "unread"), &session->style, out);
        any = scan_mistakes(json_child(result, "drivers"), &session->style, out);
        if (json_length(devices) == 0)
                strbuf_append(out, "Nothing was heard. Is it powered, plugged in, and does its firmware speak? `gatewayctl doctor` checks "
                                   "the gateway's side.\n");
        else if (has_discovered(devices))
                strbuf_append(out, "\n`gatewayctl device adopt <device>` adopts one that is discovered; only then it can be updated.\n");
        return r < 0 ? r : any ? EXIT_CODE_FINDINGS : EXIT_CODE_OK;
}

int run_device_scan(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        const struct session_question question = { .method = "device.scan", .params = &params, .patient = true };
        int r;

        members_option(&params, "driver", session->arguments, "driver");
        members_option(&params, "duration_ms", session->arguments, "duration");
        if (arguments_flag(session->arguments, "inspect"))
                members_bool(&params, "inspect", true);
        if (!session->json && isatty(STDERR_FILENO))
                fprintf(stderr, "Listening ...\r");
        r = session_each(session, &question, show_scan, failure);
        if (!session->json && isatty(STDERR_FILENO))
                fprintf(stderr, "             \r");
        return r;
}

/* --- one device --- */

struct facts {
        struct session *session;
        struct strbuf *out;
};

static void fact(struct facts *facts, const char *name, const char *value) {
        _cleanup_free_ char *clean = value ? text_clean(value) : NULL;

        if (!clean || !clean[0])
                return;
        strbuf_appendf(facts->out, "%-17s ", name);
        strbuf_append(facts->out, clean);
        strbuf_append_char(facts->out, '\n');
}

static void fact_number(struct facts *facts, const struct json *object, const char *key, const char *name, const char *unit) {
        int64_t number;
        char text[48];

        if (json_member_int(object, key, INT64_MIN, INT64_MAX, &number) < 0)
                return;
        str_format(text, sizeof text, "%" PRId64 " %s", number, unit);
        fact(facts, name, text);
}

static void fact_time(struct facts *facts, const struct json *object, const char *key, const char *name) {
        const char *time = json_member_text(object, key);
        char at[48], ago[48], text[128];

        if (!time)
                return;
        text_time(at, sizeof at, time);
        text_ago(ago, sizeof ago, time, facts->session->now_wall_ms);
        str_format(text, sizeof text, "%s (%s)", at, ago);
        fact(facts, name, text);
}

static void add_head(struct facts *facts, const struct json *device) {
        const struct json *model = json_child(device, "model");
        const char *stated = json_member_text(model, "stated"), *adopted = json_member_text(model, "adopted");
        char text[STR_ID_MAX * CAMPAIGN_LABELS_MAX];
        bool present = false;

        fact(facts, "device", json_member_text(device, "id"));
        fact(facts, "name", json_member_text(device, "name"));
        json_member_bool(device, "present", &present);
        str_format(text, sizeof text, "%s, %s", json_member_text(device, "state"),
                   present ? "present" : "not heard since the daemon began");
        fact(facts, "state", text);
        model_of(device, text, sizeof text);
        fact(facts, "model", text[0] ? text : "unknown");
        if (stated && adopted && strcmp(stated, adopted) != 0) {
                fact(facts, "  it states", stated);
                fact(facts, "  adopted as", adopted);
        }
        join(json_child(device, "labels"), text, sizeof text);
        fact(facts, "labels", text);
        fact(facts, "address", json_member_text(device, "address"));
        if (!str_equal(json_member_text(device, "address"), json_member_text(device, "address_seen")))
                fact(facts, "  seen at", json_member_text(device, "address_seen"));
        fact(facts, "version", json_member_text(device, "version"));
        fact_number(facts, device, "rssi_dbm", "reception", "dBm");
        fact_number(facts, device, "battery_percent", "battery", "%");
        fact_time(facts, device, "first_seen", "first seen");
        fact_time(facts, device, "last_seen", "last seen");
}

static void add_attributes(struct facts *facts, const struct json *attributes) {
        JSON_FOREACH_MEMBER(it, attributes) {
                _cleanup_free_ char *key = text_clean(it.key);
                fact(facts, key ? key : "", json_string_or_null(it.value));
        }
}

static void add_last_result(struct facts *facts, const struct json *last) {
        const char *result = json_member_text(last, "result"), *error = json_member_text(last, "error"),
                   *time = json_member_text(last, "time");
        char text[160], at[48] = "";

        if (!result && !error)
                return;
        if (time)
                text_time(at, sizeof at, time);
        str_format(text, sizeof text, "%s%s%s%s%s", result ? result : "", result && error ? ": " : "", error ? error : "", time ? ", " : "",
                   at);
        fact(facts, "last result", text);
}

enum { IMAGE_IMAGE, IMAGE_SLOT, IMAGE_VERSION, IMAGE_FLAGS, IMAGE_SIZE, IMAGE_HASH };

static const struct table_column image_columns[] = {
        [IMAGE_IMAGE] = { .title = "IMAGE", .side = TABLE_RIGHT },
        [IMAGE_SLOT] = { .title = "SLOT", .side = TABLE_RIGHT },
        [IMAGE_VERSION] = { .title = "VERSION" },
        [IMAGE_FLAGS] = { .title = "FLAGS" },
        [IMAGE_SIZE] = { .title = "SLOT SIZE", .side = TABLE_RIGHT },
        [IMAGE_HASH] = { .title = "HASH", .may_cut = true },
};

static void add_image(struct table *table, const struct json *image) {
        int64_t number;
        char text[256];

        table_row(table);
        for (size_t column = IMAGE_IMAGE; column <= IMAGE_SLOT; column++)
                if (json_member_int(image, column == IMAGE_IMAGE ? "image" : "slot", 0, 255, &number) == 0) {
                        str_format(text, sizeof text, "%" PRId64, number);
                        table_cell(table, column, text);
                }
        table_cell(table, IMAGE_VERSION, json_member_text(image, "version"));
        join(json_child(image, "flags"), text, sizeof text);
        table_cell(table, IMAGE_FLAGS, text);
        if (json_member_int(image, "slot_size_bytes", 1, INT64_MAX, &number) == 0) {
                text_bytes(text, sizeof text, number);
                table_cell(table, IMAGE_SIZE, text);
        }
        table_cell(table, IMAGE_HASH, json_member_text(image, "hash"));
}

static int add_images(struct facts *facts, const struct json *images) {
        _cleanup_table_ struct table *table = NULL;
        int r = table_new(image_columns, ARRAY_SIZE(image_columns), &table);

        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, image, images)
        add_image(table, image);
        if (table_n_rows(table) > 0)
                strbuf_append_char(facts->out, '\n');
        return table_render(table, &facts->session->style, facts->out);
}

static void add_job(struct facts *facts, const struct json *result) {
        const struct json *job = json_child(result, "job");
        const char *campaign = json_member_text(result, "campaign"), *state = json_member_text(job, "state"),
                   *step = json_member_text(job, "step");
        char text[256];

        if (!job || !state)
                return;
        str_format(text, sizeof text, "%s%s%s, campaign %s", state, step ? ": " : "", step ? step : "", campaign ? campaign : "?");
        fact(facts, "job", text);
}

static int show_device(struct session *session, const struct json *result, struct strbuf *out) {
        struct facts facts = { .session = session, .out = out };
        const struct json *device = json_child(result, "device");

        add_head(&facts, device);
        add_attributes(&facts, json_child(device, "attributes"));
        add_last_result(&facts, json_child(device, "last_result"));
        add_job(&facts, result);
        return add_images(&facts, json_child(device, "images"));
}

/* A method whose only param is the device that the command names. */
static int ask_for_device(struct session *session, const char *method, session_show show, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();

        members_text(&params, "id", arguments_at(session->arguments, 0));
        return session_each(session, &(struct session_question){ .method = method, .params = &params, .patient = true }, show, failure);
}

int run_device_get(struct session *session, struct failure *failure) {
        return ask_for_device(session, "device.get", show_device, failure);
}

static int show_forgotten(struct session *session, const struct json *result, struct strbuf *out) {
        (void) result;
        strbuf_appendf(out, "%s is forgotten.\n", arguments_at(session->arguments, 0));
        return EXIT_CODE_OK;
}

int run_device_forget(struct session *session, struct failure *failure) {
        return ask_for_device(session, "device.forget", show_forgotten, failure);
}

static int show_diagnosis(struct session *session, const struct json *result, struct strbuf *out) {
        const struct json *error = json_child(result, "error");
        const char *name = json_member_text(error, "name"), *text = json_member_text(error, "text"),
                   *advice = json_member_text(error, "advice");

        JSON_FOREACH_ITEM(i, finding, json_child(result, "findings")) {
                _cleanup_free_ char *clean = text_clean(json_string_or_null(finding) ? json_string_or_null(finding) : "");
                strbuf_append(out, "- ");
                text_append_wrapped(out, clean ? clean : "", 2, &session->style);
        }
        if (error) {
                text_append_toned(out, name ? name : "error", TONE_BAD, &session->style);
                strbuf_appendf(out, ": %s\n", text ? text : "");
                if (advice) {
                        strbuf_append(out, "  ");
                        text_append_wrapped(out, advice, 2, &session->style);
                }
        } else {
                text_append_toned(out, "The device answers.", TONE_GOOD, &session->style);
                strbuf_append_char(out, '\n');
        }
        return error ? EXIT_CODE_FINDINGS : EXIT_CODE_OK;
}

int run_device_diagnose(struct session *session, struct failure *failure) {
        return ask_for_device(session, "device.diagnose", show_diagnosis, failure);
}

/* --- adopt, set, import --- */

static int adopt_usage(const struct arguments *arguments, struct failure *failure) {
        bool by_match = arguments_text(arguments, "match");

        if (by_match == (arguments_at(arguments, 0) != NULL))
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "device adopt: expected a device, or --match GLOB");
        if (by_match && (arguments_text(arguments, "name") || arguments_text(arguments, "address")))
                return failure_set(failure, EXIT_CODE_USAGE, "usage",
                                   "device adopt: --name and --address are for one device, not for --match");
        return 0;
}

static int show_adopted(struct session *session, const struct json *result, struct strbuf *out) {
        (void) session;
        JSON_FOREACH_ITEM(i, id, json_child(result, "adopted"))
        strbuf_appendf(out, "%s is adopted.\n", json_string_or_null(id));
        JSON_FOREACH_ITEM(i, id, json_child(result, "unchanged"))
        strbuf_appendf(out, "%s was adopted already.\n", json_string_or_null(id));
        if (out->size == 0)
                strbuf_append(out, "No discovered device matches.\n");
        return EXIT_CODE_OK;
}

int run_device_adopt(struct session *session, struct failure *failure) {
        const struct arguments *arguments = session->arguments;
        _cleanup_members_ struct members params = members_new();
        const char *words = arguments_at(arguments, 0);
        char id[STR_DEVICE_ID_SIZE];
        int r = adopt_usage(arguments, failure);

        /* A whole id may name a device that was never heard; anything shorter has to be found first. */
        if (r == 0 && words && !str_is_device_id(words))
                r = session_device_id(session, words, id, failure);
        if (r < 0)
                return r;
        if (words)
                members_text(&params, "id", str_is_device_id(words) ? words : id);
        members_option(&params, "match", arguments, "match");
        members_option(&params, "model", arguments, "model");
        members_options(&params, "labels", arguments, "label");
        members_option(&params, "name", arguments, "name");
        members_option(&params, "address", arguments, "address");
        return session_each(session, &(struct session_question){ .method = "device.adopt", .params = &params }, show_adopted, failure);
}

/* An empty text takes the statement away. */
static void text_or_null(struct members *params, const char *key, const struct arguments *arguments) {
        const char *text = arguments_text(arguments, key);

        if (text && !text[0])
                members_null(params, key);
        else
                members_text(params, key, text);
}

static int add_labels(struct members *params, const struct arguments *arguments) {
        const char *labels = arguments_text(arguments, "labels");
        struct json *array = labels ? json_new_array() : NULL;
        int r = labels && !array ? -ENOMEM : 0;

        for (const char *at = labels; at && *at && r == 0;) {
                size_t size = strcspn(at, " ,");
                if (size > 0)
                        r = json_append(array, json_new_string_n(at, size));
                at += size + strspn(at + size, " ,");
        }
        if (labels)
                members_json(params, "labels", array);
        return r;
}

int run_device_set(struct session *session, struct failure *failure) {
        const struct arguments *arguments = session->arguments;
        _cleanup_members_ struct members params = members_new();
        int r;

        members_text(&params, "id", arguments_at(arguments, 0));
        text_or_null(&params, "name", arguments);
        text_or_null(&params, "model", arguments);
        text_or_null(&params, "address", arguments);
        r = add_labels(&params, arguments);
        if (r < 0)
                return failure_errno(failure, r);
        members_options(&params, "add_labels", arguments, "add-label");
        members_options(&params, "remove_labels", arguments, "remove-label");
        if (params.error == 0 && json_length(params.json) < 2)
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "device set: expected at least one option that says what to set");
        return session_each(session, &(struct session_question){ .method = "device.set", .params = &params }, show_device, failure);
}

int run_device_import(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_json_ struct json *result = NULL;
        bool dry_run = arguments_flag(session->arguments, "dry-run");
        int64_t n_adopted = 0, n_changed = 0, n_unchanged = 0;
        _cleanup_free_ char *csv = NULL;
        size_t size;
        int r = file_read(arguments_at(session->arguments, 0), COMMAND_CSV_MAX, &csv, &size, failure);

        if (r < 0)
                return r;
        if (!str_is_utf8(csv, size) || strlen(csv) != size)
                return failure_set(failure, EXIT_CODE_REFUSED, "list-invalid", "%s is no UTF-8 text", arguments_at(session->arguments, 0));
        members_text(&params, "csv", csv);
        if (dry_run)
                members_bool(&params, "dry_run", true);
        r = session_call_patient(session, "device.import", &params, &result, failure);
        if (r < 0)
                return r;
        if (session->json)
                return session_print_json(session, result, failure);
        json_member_int(result, "adopted", 0, INT64_MAX, &n_adopted);
        json_member_int(result, "changed", 0, INT64_MAX, &n_changed);
        json_member_int(result, "unchanged", 0, INT64_MAX, &n_unchanged);
        return session_say(session, failure, "%s: %" PRId64 " adopted, %" PRId64 " changed, %" PRId64 " unchanged.\n",
                           dry_run ? "Would be done" : "Done", n_adopted, n_changed, n_unchanged);
}
