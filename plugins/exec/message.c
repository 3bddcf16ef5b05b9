/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <stdlib.h>

#define SHOWN_BYTES 80 /* of a line that is wrong */

static const char *const step_names[PROGRAM_STEP_COUNT_] = {
        [PROGRAM_INSPECT] = "inspect",   [PROGRAM_PREPARE] = "prepare", [PROGRAM_UPLOAD] = "upload", [PROGRAM_TEST] = "test",
        [PROGRAM_ACTIVATE] = "activate", [PROGRAM_RESET] = "reset",     [PROGRAM_RETURN] = "return", [PROGRAM_VERIFY] = "verify",
        [PROGRAM_TRIAL] = "trial",       [PROGRAM_CONFIRM] = "confirm", [PROGRAM_FINISH] = "finish", [PROGRAM_DIAGNOSE] = "diagnose",
};

static const char *const kind_names[] = { "progress", "note", "learned", "blob", "target", "step", "end" };
static const char *const end_names[] = { "next", "jump", "done", "wait", "again", "fail" };
static const char *const result_names[] = { "updated", "already", "on-trial", "uploaded", "sent-unproven", "reported" };
static const char *const proof_names[] = { "hash-active-confirmed", "hash-active", "hash-stored", "version-read", "beacon", "none" };
static const char *const state_names[] = { "queued", "in_progress", "succeeded", "failed" };
static const char *const flag_names[] = { "active", "confirmed", "pending", "permanent", "bootable" }; /* in the order of their bits */
static const char *const wake_names[] = { "timer", "seen" };                                           /* likewise */
/* Conditions of a device that pass; the other names of this class are about the gateway. */
static const char *const reasons[] = { "not-seen", "device-busy", "low-battery", "on-trial", "swapping" };

const char *program_step_name(enum program_step step) {
        return step_names[step];
}

/* ---- words about what is wrong */

GW_PRINTF(2, 3) static int refuse(struct gw_error *err, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        gw_error_vset(err, "exec-bad-output", format, arguments);
        va_end(arguments);
        return -EBADMSG;
}

static int index_of(const char *const *names, size_t n_names, const char *text) {
        for (size_t i = 0; text && i < n_names; i++)
                if (strcmp(names[i], text) == 0)
                        return (int) i;
        return -ENOENT;
}

#define INDEX_OF(names, text) index_of(names, ARRAY_SIZE(names), text)

int program_step_find(const char *name, enum program_step *ret_step) {
        int index = INDEX_OF(step_names, name);

        if (index < 0)
                return -ENOENT;
        *ret_step = (enum program_step) index;
        return 0;
}

/* A member that must be one of some words. */
static int read_word(const struct json *json, const char *key, const char *const *names, size_t n_names, struct gw_error *err) {
        int index = index_of(names, n_names, json_member_text(json, key));

        return index < 0 ? refuse(err, "\"%s\" is missing or none of the words that the protocol has for it", key) : index;
}

#define READ_WORD(json, key, names, err) read_word(json, key, names, ARRAY_SIZE(names), err)

/* A text that may be absent. */
static int read_text(const struct json *json, const char *key, size_t size, const char **ret_text, struct gw_error *err) {
        const char *text = NULL;
        int r = json_member_string(json, key, &text);

        if (r == -ENOENT)
                return 0;
        if (r < 0 || strlen(text) >= size)
                return refuse(err, "\"%s\" must be a text of at most %zu bytes", key, size - 1);
        *ret_text = text;
        return 0;
}

struct range {
        int64_t minimum, maximum;
};

/* A number that may be absent. */
static int read_number(const struct json *json, const char *key, struct range range, int64_t *ret_number, struct gw_error *err) {
        int64_t number;
        int r = json_member_int(json, key, range.minimum, range.maximum, &number);

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return refuse(err, "\"%s\" must be a whole number from %lld to %lld", key, (long long) range.minimum,
                              (long long) range.maximum);
        *ret_number = number;
        return 0;
}

static int read_bool(const struct json *json, const char *key, bool *ret_value, struct gw_error *err) {
        int r = json_member_bool(json, key, ret_value);

        return r < 0 && r != -ENOENT ? refuse(err, "\"%s\" must be true or false", key) : 0;
}

static int check_members(const struct json *json, const char *const *allowed, size_t n_allowed, struct gw_error *err) {
        JSON_FOREACH_MEMBER(it, json)
        if (index_of(allowed, n_allowed, it.key) < 0)
                return refuse(err, "nobody knows the member \"%.60s\" here", it.key);
        return 0;
}

#define CHECK_MEMBERS(json, err, ...)                                                                                                      \
        check_members(json, (const char *const[]){ __VA_ARGS__ }, ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })), err)

/* ---- the kinds of lines */

static int read_progress(struct message *message, struct gw_error *err) {
        int64_t done = -1, total = -1;
        int r = CHECK_MEMBERS(message->json, err, "progress", "total");

        if (r == 0)
                r = read_number(message->json, "progress", (struct range){ 0, INT64_MAX }, &done, err);
        if (r == 0)
                r = read_number(message->json, "total", (struct range){ 1, INT64_MAX }, &total, err);
        if (r == 0 && (total < 1 || done > total))
                r = refuse(err, "\"progress\" needs a \"total\" that is not smaller");
        message->done = (uint64_t) done;
        message->total = (uint64_t) total;
        return r;
}

static int read_note(struct message *message, struct gw_error *err) {
        int r = CHECK_MEMBERS(message->json, err, "note");

        return r < 0 ? r : read_text(message->json, "note", EXEC_TEXT_MAX, &message->note, err);
}

static int read_image_hash(const struct json *json, struct gw_image *image, struct gw_error *err) {
        const char *hash = NULL;
        size_t length;
        int r = read_text(json, "hash", 2 * GW_HASH_MAX + 1, &hash, err);

        if (r < 0 || !hash)
                return r;
        length = strlen(hash);
        if ((length != 64 && length != 96 && length != 128) || str_hex_decode(image->hash, length / 2, hash) < 0)
                return refuse(err, "\"hash\" must be 64, 96 or 128 hexadecimal digits");
        image->hash_size = (uint8_t) (length / 2);
        return 0;
}

static int read_image_flags(const struct json *json, struct gw_image *image, struct gw_error *err) {
        for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++) {
                bool set = false;
                int r = read_bool(json, flag_names[i], &set, err);

                if (r < 0)
                        return r;
                image->flags |= set ? 1u << i : 0;
        }
        return 0;
}

static int read_image(const struct json *json, struct gw_image *image, struct gw_error *err) {
        int64_t number = 0, slot = 0, slot_size = 0;
        const char *version = "";
        int r = CHECK_MEMBERS(json, err, "image", "slot", "hash", "version", "slot_size", "active", "confirmed", "pending", "permanent",
                              "bootable");

        if (r == 0)
                r = read_number(json, "image", (struct range){ 0, 255 }, &number, err);
        if (r == 0)
                r = read_number(json, "slot", (struct range){ 0, 1 }, &slot, err);
        if (r == 0)
                r = read_number(json, "slot_size", (struct range){ 0, UINT32_MAX }, &slot_size, err);
        if (r == 0)
                r = read_text(json, "version", GW_VERSION_MAX, &version, err);
        if (r == 0)
                r = read_image_hash(json, image, err);
        if (r == 0)
                r = read_image_flags(json, image, err);
        image->image = (uint8_t) number;
        image->slot = (uint8_t) slot;
        image->slot_size = (uint32_t) slot_size;
        (void) str_copy(image->version, sizeof image->version, version);
        return r;
}

static int read_images(const struct json *json, struct message *message, struct gw_error *err) {
        const struct json *images = json_child(json, "images");

        if (!json_has(json, "images"))
                return 0;
        if (json_kind(images) != JSON_KIND_ARRAY || json_length(images) > GW_IMAGES_MAX)
                return refuse(err, "\"images\" must be a list of at most %d", GW_IMAGES_MAX);
        JSON_FOREACH_ITEM(i, image, images) {
                int r = json_kind(image) == JSON_KIND_OBJECT ? read_image(image, &message->images[i], err)
                                                             : refuse(err, "\"images\" must be a list of objects");

                if (r < 0)
                        return r;
        }
        message->facts.images = message->images;
        message->facts.n_images = json_length(images);
        return 0;
}

static int read_attributes(const struct json *json, struct message *message, struct gw_error *err) {
        const struct json *attributes = json_child(json, "attributes");

        if (!json_has(json, "attributes"))
                return 0;
        if (json_kind(attributes) != JSON_KIND_OBJECT || json_length(attributes) > EXEC_ATTRIBUTES_MAX)
                return refuse(err, "\"attributes\" must be an object of at most %u texts", EXEC_ATTRIBUTES_MAX);
        JSON_FOREACH_MEMBER(it, attributes) {
                struct gw_attribute *attribute = &message->attributes[message->facts.n_attributes++];

                *attribute = (struct gw_attribute){ it.key, json_string_or_null(it.value) };
                if (!str_is_id(it.key) || !attribute->value || strlen(attribute->value) >= EXEC_TEXT_MAX)
                        return refuse(err, "an attribute has a name of A-Z a-z 0-9 _ . - and a text");
        }
        message->facts.attributes = message->attributes;
        return 0;
}

static int read_learned(struct message *message, struct gw_error *err) {
        const struct json *json = json_child(message->json, "learned");
        struct gw_facts *facts = &message->facts;
        int64_t rssi = GW_RSSI_UNKNOWN, battery = GW_BATTERY_UNKNOWN;
        int r = CHECK_MEMBERS(message->json, err, "learned");

        *facts = (struct gw_facts) GW_FACTS_INIT;
        if (r == 0 && json_kind(json) != JSON_KIND_OBJECT)
                r = refuse(err, "\"learned\" must be an object");
        if (r == 0)
                r = CHECK_MEMBERS(json, err, "name", "address", "model", "version", "rssi_dbm", "battery_percent", "images", "attributes");
        if (r == 0)
                r = read_text(json, "name", EXEC_TEXT_MAX, &facts->name, err);
        if (r == 0)
                r = read_text(json, "address", EXEC_TEXT_MAX, &facts->address, err);
        if (r == 0)
                r = read_text(json, "model", GW_MODEL_MAX, &facts->model, err);
        if (r == 0 && facts->model && !str_is_model(facts->model))
                r = refuse(err, "\"model\" must be a hardware such as acme,meter-2");
        if (r == 0)
                r = read_text(json, "version", GW_VERSION_MAX, &facts->version, err);
        if (r == 0)
                r = read_number(json, "rssi_dbm", (struct range){ -200, 50 }, &rssi, err);
        if (r == 0)
                r = read_number(json, "battery_percent", (struct range){ 0, 100 }, &battery, err);
        if (r == 0)
                r = read_images(json, message, err);
        facts->rssi_dbm = (int) rssi;
        facts->battery_percent = (int) battery;
        return r < 0 ? r : read_attributes(json, message, err);
}

static int read_blob(struct message *message, struct gw_error *err) {
        const struct json *json = json_child(message->json, "blob");
        int r = CHECK_MEMBERS(message->json, err, "blob");

        if (r == 0 && json) /* null takes it away */
                r = json_write(json, &message->blob, &message->blob_size);
        if (r == 0 && message->blob_size > EXEC_BLOB_MAX)
                r = refuse(err, "\"blob\" has more than %u bytes", EXEC_BLOB_MAX);
        return r;
}

static int read_error(const struct json *json, struct message *message, struct gw_error *err) {
        const char *name = "exec-failed", *text = "the program gave no reason";
        int r = read_text(json, "error", sizeof message->error.name, &name, err);

        if (r == 0 && !str_is_error_name(name))
                r = refuse(err, "\"error\" must be a name of a-z 0-9 -");
        if (r == 0)
                r = read_text(json, "text", EXEC_TEXT_MAX, &text, err);
        gw_error_set(&message->error, name, "%s", text);
        return r;
}

static int read_outcome(const struct json *json, struct message *message, struct gw_error *err) {
        int result = READ_WORD(json, "result", result_names, err);
        int proof = result < 0 ? result : READ_WORD(json, "proof", proof_names, err);

        if (proof < 0)
                return proof;
        message->result = (enum gw_result) result;
        message->proof = (enum gw_proof) proof;
        /* "updated" is a claim about what runs now. */
        if (message->result == GW_RESULT_UPDATED && (message->proof == GW_PROOF_NONE || message->proof == GW_PROOF_HASH_STORED))
                return refuse(err, "\"updated\" needs a proof of what runs; without one it is \"sent-unproven\"");
        return 0;
}

static int read_target_end(const struct json *json, struct message *message, struct gw_error *err) {
        struct gw_target *target = &message->target;
        int r = 0;

        if (target->state == GW_TARGET_SUCCEEDED)
                r = read_outcome(json, message, err);
        if (target->state == GW_TARGET_FAILED)
                r = read_error(json, message, err);
        target->result = message->result;
        target->proof = message->proof;
        target->error = target->state == GW_TARGET_FAILED ? &message->error : NULL;
        return r;
}

static int read_target(struct message *message, struct gw_error *err) {
        const struct json *json = json_child(message->json, "target");
        struct gw_target *target = &message->target;
        int64_t percent = -1;
        int state, r = CHECK_MEMBERS(message->json, err, "target");

        *target = (struct gw_target){ .size = sizeof *target };
        if (r == 0 && json_kind(json) != JSON_KIND_OBJECT)
                r = refuse(err, "\"target\" must be an object");
        if (r == 0)
                r = CHECK_MEMBERS(json, err, "key", "state", "result", "proof", "error", "text", "percent");
        if (r == 0)
                r = read_text(json, "key", GW_KEY_MAX + 1, &target->key, err);
        if (r == 0 && (!target->key || !str_is_id(target->key)))
                r = refuse(err, "\"key\" must be 1 to 64 of A-Z a-z 0-9 _ . -");
        if (r == 0)
                r = read_number(json, "percent", (struct range){ 0, 100 }, &percent, err);
        state = r < 0 ? r : READ_WORD(json, "state", state_names, err);
        if (state < 0)
                return state;
        target->percent = (int) percent;
        target->state = (enum gw_target_state) state;
        return read_target_end(json, message, err);
}

static int read_step(struct message *message, struct gw_error *err) {
        int64_t timeout_s = 0;
        int step, r = CHECK_MEMBERS(message->json, err, "step", "timeout_s", "commits");

        step = r < 0 ? r : READ_WORD(message->json, "step", step_names, err);
        r = step < 0 ? step : read_number(message->json, "timeout_s", (struct range){ 1, EXEC_TIMEOUT_S_MAX }, &timeout_s, err);
        if (r == 0)
                r = read_bool(message->json, "commits", &message->commits, err);
        if (r < 0)
                return r;
        message->step = (enum program_step) step;
        message->timeout_ms = (uint32_t) timeout_s * 1000;
        if (message->commits && (message->step == PROGRAM_INSPECT || message->step == PROGRAM_DIAGNOSE))
                return refuse(err, "%s only looks, it cannot commit", program_step_name(message->step));
        return 0;
}

static int read_wait(struct message *message, struct gw_error *err) {
        const struct json *json = message->json;
        int64_t delay_s = 0;
        int reason, r = CHECK_MEMBERS(json, err, "end", "reason", "delay_s", "wake");

        reason = r < 0 ? r : READ_WORD(json, "reason", reasons, err);
        r = reason < 0 ? reason : read_number(json, "delay_s", (struct range){ 1, EXEC_DELAY_S_MAX }, &delay_s, err);
        if (r == 0 && json_has(json, "wake")) {
                r = READ_WORD(json, "wake", wake_names, err);
                message->wakes = r < 0 ? 0 : 1u << r;
        }
        if (r < 0)
                return r;
        if (delay_s > 0)
                message->wakes |= GW_WAKE_TIMER;
        if (message->wakes == 0 || (message->wakes & GW_WAKE_TIMER && delay_s == 0))
                return refuse(err, "a wait needs \"delay_s\", or \"wake\":\"seen\", or both");
        message->reason = reasons[reason];
        message->delay_ms = delay_s * 1000;
        return 0;
}

static int read_end(struct message *message, struct gw_error *err) {
        const struct json *json = message->json;
        int step, r = 0, end = READ_WORD(json, "end", end_names, err);

        if (end < 0)
                return end;
        message->end = (enum message_end) end;
        switch (message->end) {
        case MESSAGE_END_NEXT:
                return CHECK_MEMBERS(json, err, "end");
        case MESSAGE_END_JUMP:
                r = CHECK_MEMBERS(json, err, "end", "step");
                step = r < 0 ? r : READ_WORD(json, "step", step_names, err);
                message->step = step < 0 ? 0 : (enum program_step) step;
                return step < 0 ? step : 0;
        case MESSAGE_END_DONE:
                r = CHECK_MEMBERS(json, err, "end", "result", "proof");
                return r < 0 ? r : read_outcome(json, message, err);
        case MESSAGE_END_WAIT:
                return read_wait(message, err);
        case MESSAGE_END_AGAIN:
        case MESSAGE_END_FAIL:
                r = CHECK_MEMBERS(json, err, "end", "error", "text");
                return r < 0 ? r : read_error(json, message, err);
        }
        return -EBADMSG;
}

/* ---- the line */

static int read_kind(struct message *message, struct gw_error *err) {
        static int (*const readers[])(struct message * message, struct gw_error * err) = {
                [MESSAGE_PROGRESS] = read_progress, [MESSAGE_NOTE] = read_note,     [MESSAGE_LEARNED] = read_learned,
                [MESSAGE_BLOB] = read_blob,         [MESSAGE_TARGET] = read_target, [MESSAGE_STEP] = read_step,
                [MESSAGE_END] = read_end,
        };

        /* "end" first: a jump has a "step", too. */
        for (size_t i = ARRAY_SIZE(kind_names); i-- > 0;)
                if (json_has(message->json, kind_names[i])) {
                        message->kind = (enum message_kind) i;
                        return readers[i](message, err);
                }
        return refuse(err, "it has none of the members progress, note, learned, blob, target, step, end");
}

int message_parse(const char *line, size_t size, struct message *ret_message, struct gw_error *err) {
        struct json_check_error mistake = { .text = "it is too long" };
        char shown[4 * SHOWN_BYTES + 1];
        int r;

        *ret_message = (struct message){ 0 };
        r = json_parse(line, size, EXEC_LINE_MAX, &ret_message->json, &mistake);
        if (r == -ENOMEM)
                gw_error_set(err, "out-of-memory", "no memory for a line of the program");
        else if (r < 0)
                r = refuse(err, "no JSON: %s", mistake.text);
        else if (json_kind(ret_message->json) != JSON_KIND_OBJECT)
                r = refuse(err, "no JSON object");
        else
                r = read_kind(ret_message, err);
        if (r == 0)
                return 0;
        (void) str_escape(shown, sizeof shown, line, MIN(size, (size_t) SHOWN_BYTES));
        gw_error_prefix(err, "the line %s%s", shown, size > SHOWN_BYTES ? "..." : "");
        message_deinit(ret_message);
        return r;
}

void message_deinit(struct message *message) {
        json_free(message->json);
        free(message->blob);
        *message = (struct message){ 0 };
}
