/* SPDX-License-Identifier: Apache-2.0 */
#include "refusal.h"

#define TEXT_MAX 200 /* bytes of the description inside an error's text */

/* Codes of the image group that the client engine has no name for. */
enum {
        IMAGE_CODE_FLASH_OPEN_FAILED = 10,
        IMAGE_CODE_CONTEXT_ALREADY_SET = 16,
};

const char *refusal_describe(const struct smp_refusal *answer, char *text, size_t text_size) {
        char request[64], status[SMP_RSN_MAX + 64];

        snprintf(text, text_size, "%s: %s", smp_request_name(answer->group, answer->command, answer->op, request, sizeof request),
                 smp_status_describe(&answer->status, status, sizeof status));
        return text;
}

static bool is_rc(const struct refusal *refusal, enum smp_rc rc) {
        return smp_status_is_rc(&refusal->answer.status, rc);
}

/* This code of the image group, in the form of SMP version 2. */
static bool is_image(const struct refusal *refusal, int32_t code) {
        return smp_status_is_group(&refusal->answer.status, SMP_GROUP_IMAGE, code);
}

static bool has_words(const struct refusal *refusal, const char *words) {
        return strstr(refusal->answer.status.rsn, words) != NULL;
}

GW_PRINTF(4, 5)
static enum refusal_action judge(enum refusal_action action, struct gw_error *err, const char *name, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        gw_error_vset(err, name, format, arguments);
        va_end(arguments);
        return action;
}

static enum refusal_action judge_other(const struct refusal *refusal, struct gw_error *err) {
        char text[TEXT_MAX];

        refusal_describe(&refusal->answer, text, sizeof text);
        if (is_rc(refusal, SMP_RC_BUSY) || is_rc(refusal, SMP_RC_TIMEOUT))
                return judge(REFUSAL_AGAIN, err, "smp-busy", "%s", text);
        if (is_rc(refusal, SMP_RC_NO_MEMORY))
                return judge(REFUSAL_AGAIN, err, "smp-out-of-memory", "%s", text);
        if (is_rc(refusal, SMP_RC_ACCESS_DENIED))
                return judge(REFUSAL_FAIL, err, "smp-access-denied", "the application on the device denied it: %s", text);
        if (is_rc(refusal, SMP_RC_VERSION_TOO_OLD) || is_rc(refusal, SMP_RC_VERSION_TOO_NEW))
                return judge(REFUSAL_FAIL, err, "smp-protocol-version", "%s", text);
        if (is_rc(refusal, SMP_RC_CORRUPT) && !refusal->shortened)
                return judge(REFUSAL_SHORTEN, err, "smp-message-too-long", "message longer than the device accepts: %s", text);
        if (is_rc(refusal, SMP_RC_CORRUPT))
                return judge(REFUSAL_FAIL, err, "smp-message-too-long", "the device takes no message of this kind, however short: %s",
                             text);
        return judge(REFUSAL_FAIL, err, "smp-refused", "%s", text);
}

static enum refusal_action judge_state_read(const struct refusal *refusal, struct gw_error *err) {
        if (is_rc(refusal, SMP_RC_NOT_SUPPORTED) && refusal->other_commands_ok)
                return judge(REFUSAL_FAIL, err, "smp-no-image-management",
                             "this firmware has no image management (img_mgmt is not enabled): it cannot be updated over SMP");
        if (is_rc(refusal, SMP_RC_NOT_SUPPORTED))
                return judge(REFUSAL_FAIL, err, "smp-not-standard", "the peer answers, but none of the standard SMP commands");
        if (is_rc(refusal, SMP_RC_NO_MEMORY) || is_rc(refusal, SMP_RC_TOO_LARGE))
                return judge(REFUSAL_FAIL, err, "smp-device-buffer-too-small",
                             "the image list does not fit the device's answer buffer (two images need 512 bytes or more)");
        return judge_other(refusal, err);
}

/* A plain rc 1 to "test" stands for many codes; the mark that cannot be written is the one that people meet (F7). */
static bool is_bad_mark(const struct refusal *refusal) {
        return is_image(refusal, SMP_IMAGE_CODE_INVALID_MAGIC) ||
               (is_rc(refusal, SMP_RC_UNKNOWN) && (has_words(refusal, "magic") || !refusal->confirm));
}

static enum refusal_action judge_state_write(const struct refusal *refusal, bool marks_optional, struct gw_error *err) {
        char text[TEXT_MAX];
        unsigned image = refusal->image;

        if (is_rc(refusal, SMP_RC_NOT_SUPPORTED) && marks_optional)
                return REFUSAL_NO_MARK;
        if (is_bad_mark(refusal))
                return judge(REFUSAL_FAIL, err, "smp-swap-mark-not-written",
                             "image %u: the device cannot write the swap mark into its secondary slot (flash layout or external flash does "
                             "not match, "
                             "or the end of the slot is not erased)",
                             image);
        if (is_image(refusal, SMP_IMAGE_CODE_HASH_NOT_FOUND) || is_rc(refusal, SMP_RC_INVALID) || is_rc(refusal, SMP_RC_NO_ENTRY))
                return judge(REFUSAL_FAIL, err, "smp-hash-unknown", "image %u: the device does not find the image that it should hold",
                             image);
        if (is_image(refusal, SMP_IMAGE_CODE_ALREADY_PENDING) || is_image(refusal, SMP_IMAGE_CODE_NO_FREE_SLOT) ||
            is_rc(refusal, SMP_RC_BAD_STATE))
                return judge(REFUSAL_CLEAR, err, "smp-other-update-pending",
                             "image %u: another update is waiting or on trial on the device", image);
        refusal_describe(&refusal->answer, text, sizeof text);
        if (is_image(refusal, SMP_IMAGE_CODE_CONFIRMATION_DENIED) || is_image(refusal, SMP_IMAGE_CODE_TEST_ACTIVE_DENIED))
                return judge(REFUSAL_FAIL, err, "smp-confirm-refused", "image %u: the device does not allow this image to be marked: %s",
                             image, text);
        if (is_rc(refusal, SMP_RC_NOT_SUPPORTED))
                return judge(REFUSAL_FAIL, err, "smp-refused",
                             "image %u: this firmware does not offer to test or confirm an image, though its bootloader needs it", image);
        return judge_other(refusal, err);
}

/* Codes that come at any chunk of an upload. */
static enum refusal_action judge_upload_late(const struct refusal *refusal, struct gw_error *err) {
        const struct smp_status *status = &refusal->answer.status;
        unsigned image = refusal->image;
        char text[TEXT_MAX];

        refusal_describe(&refusal->answer, text, sizeof text);
        if (status->group_form && status->group != SMP_GROUP_IMAGE)
                return judge(REFUSAL_FAIL, err, "smp-access-denied", "image %u: the application on the device refused the upload: %s",
                             image, text);
        if (status->group_form && status->code >= IMAGE_CODE_FLASH_OPEN_FAILED && status->code <= SMP_IMAGE_CODE_FLASH_ERASE_FAILED)
                return judge(REFUSAL_FAIL, err, "smp-flash-error", "image %u: the device's flash failed: %s", image, text);
        if (is_image(refusal, SMP_IMAGE_CODE_NO_FREE_MEMORY))
                return judge(REFUSAL_AGAIN, err, "smp-out-of-memory", "image %u: %s", image, text);
        if (is_image(refusal, IMAGE_CODE_CONTEXT_ALREADY_SET))
                return judge(REFUSAL_AGAIN, err, "smp-busy", "image %u: another upload has not ended: %s", image, text);
        return judge_other(refusal, err);
}

static enum refusal_action judge_upload_first(const struct refusal *refusal, struct gw_error *err) {
        unsigned image = refusal->image;

        if (is_image(refusal, SMP_IMAGE_CODE_CURRENT_IS_NEWER) ||
            (is_rc(refusal, SMP_RC_BAD_STATE) && refusal->upgrade_sent && !refusal->slot_busy))
                return judge(REFUSAL_FAIL, err, "smp-version-not-newer", "image %u: the device runs the same or a newer version already",
                             image);
        if (is_image(refusal, SMP_IMAGE_CODE_NO_FREE_SLOT) || is_rc(refusal, SMP_RC_BAD_STATE))
                return judge(REFUSAL_CLEAR, err, "smp-other-update-pending",
                             "image %u: another update is waiting or on trial on the device", image);
        if (is_image(refusal, SMP_IMAGE_CODE_INVALID_MAGIC) || is_image(refusal, SMP_IMAGE_CODE_INVALID_HEADER) ||
            (is_rc(refusal, SMP_RC_UNKNOWN) && has_words(refusal, "magic")))
                return judge(REFUSAL_FAIL, err, "smp-image-magic-refused",
                             "image %u: the device does not take the file for an MCUboot image", image);
        if (image > 0 && (is_rc(refusal, SMP_RC_INVALID) || is_image(refusal, SMP_IMAGE_CODE_INVALID_SLOT)))
                return judge(REFUSAL_FAIL, err, "smp-single-image-device",
                             "image %u: the firmware on the device was built for fewer images (network-core update is not enabled)", image);
        if (is_image(refusal, SMP_IMAGE_CODE_TOO_LARGE))
                return judge(REFUSAL_FAIL, err, "smp-image-too-large", "image %u: the device says it does not fit its slot", image);
        if (is_image(refusal, SMP_IMAGE_CODE_INVALID_FLASH_ADDRESS))
                return judge(REFUSAL_FAIL, err, "smp-image-address", "image %u: it is linked for the other slot", image);
        return judge_upload_late(refusal, err);
}

static enum refusal_action judge_upload(const struct refusal *refusal, struct gw_error *err) {
        if (is_rc(refusal, SMP_RC_NOT_SUPPORTED))
                return judge(REFUSAL_FAIL, err, "smp-no-image-management",
                             "this firmware takes no image over SMP (upload is not supported)");
        return refusal->first_chunk ? judge_upload_first(refusal, err) : judge_upload_late(refusal, err);
}

static enum refusal_action judge_reset(const struct refusal *refusal, struct gw_error *err) {
        char text[TEXT_MAX];

        if (is_rc(refusal, SMP_RC_BUSY))
                return judge_other(refusal, err);
        return judge(REFUSAL_FAIL, err, "smp-reset-refused", "the device refuses to reset: %s",
                     refusal_describe(&refusal->answer, text, sizeof text));
}

enum refusal_action refusal_judge(const struct refusal *refusal, bool marks_optional, struct gw_error *err) {
        const struct smp_refusal *answer = &refusal->answer;

        if (answer->group == SMP_GROUP_IMAGE && answer->command == SMP_IMAGE_STATE)
                return answer->op == SMP_OP_READ ? judge_state_read(refusal, err) : judge_state_write(refusal, marks_optional, err);
        if (answer->group == SMP_GROUP_IMAGE && answer->command == SMP_IMAGE_UPLOAD)
                return judge_upload(refusal, err);
        if (answer->group == SMP_GROUP_OS && answer->command == SMP_OS_RESET)
                return judge_reset(refusal, err);
        return REFUSAL_IGNORE; /* everything else is optional (F1) */
}
