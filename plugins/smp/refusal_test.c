/* SPDX-License-Identifier: Apache-2.0 */
#include "refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { R = SMP_OP_READ, W = SMP_OP_WRITE, OS = SMP_GROUP_OS, IMG = SMP_GROUP_IMAGE };
enum { OTHERS = 1, UPGRADE = 2, BUSY = 4, LATE = 8, CONFIRM = 16, SHORT = 32, OPTIONAL = 64 }; /* of `flags` */

static const struct row {
        const char *what;
        uint16_t group;
        uint8_t command, op;
        int err_group; /* -1 = the plain form */
        int32_t code;
        const char *rsn;
        uint8_t image;
        unsigned flags;
        enum refusal_action action;
        const char *name;
} rows[] = {
        { "F1 parameters", OS, SMP_OS_PARAMS, R, -1, 8, "", 0, 0, REFUSAL_IGNORE, "" },
        { "F1 bootloader", OS, SMP_OS_BOOTLOADER, R, -1, 8, "", 0, 0, REFUSAL_IGNORE, "" },
        { "F1 slot info", IMG, SMP_IMAGE_SLOT_INFO, R, -1, 8, "", 0, 0, REFUSAL_IGNORE, "" },
        { "F1 enumeration", SMP_GROUP_ENUMERATION, 1, R, -1, 8, "", 0, 0, REFUSAL_IGNORE, "" },
        { "erase of an empty slot", IMG, SMP_IMAGE_ERASE, W, 1, 1, "", 0, 0, REFUSAL_IGNORE, "" },
        { "F2 state", IMG, SMP_IMAGE_STATE, R, -1, 8, "", 0, OTHERS, REFUSAL_FAIL, "smp-no-image-management" },
        { "F2 upload", IMG, SMP_IMAGE_UPLOAD, W, -1, 8, "", 0, OTHERS, REFUSAL_FAIL, "smp-no-image-management" },
        { "F3 direct-XIP, recovery", IMG, SMP_IMAGE_STATE, W, -1, 8, "", 0, OPTIONAL, REFUSAL_NO_MARK, "" },
        { "marks needed but not offered", IMG, SMP_IMAGE_STATE, W, -1, 8, "", 0, 0, REFUSAL_FAIL, "smp-refused" },
        { "F4 everything refused", IMG, SMP_IMAGE_STATE, R, -1, 8, "", 0, 0, REFUSAL_FAIL, "smp-not-standard" },
        { "F5 v2", IMG, SMP_IMAGE_UPLOAD, W, 1, 9, "", 0, BUSY, REFUSAL_CLEAR, "smp-other-update-pending" },
        { "F5 v1", IMG, SMP_IMAGE_UPLOAD, W, -1, 6, "", 0, BUSY, REFUSAL_CLEAR, "smp-other-update-pending" },
        { "F5 v1 with upgrade", IMG, SMP_IMAGE_UPLOAD, W, -1, 6, "", 0, BUSY | UPGRADE, REFUSAL_CLEAR, "smp-other-update-pending" },
        { "F5 at test", IMG, SMP_IMAGE_STATE, W, 1, 28, "", 0, 0, REFUSAL_CLEAR, "smp-other-update-pending" },
        { "F5 at test, v1", IMG, SMP_IMAGE_STATE, W, -1, 6, "", 0, 0, REFUSAL_CLEAR, "smp-other-update-pending" },
        { "F6 v2", IMG, SMP_IMAGE_UPLOAD, W, 1, 23, "", 0, 0, REFUSAL_FAIL, "smp-image-magic-refused" },
        { "F6 v1", IMG, SMP_IMAGE_UPLOAD, W, -1, 1, "magic mismatch", 0, 0, REFUSAL_FAIL, "smp-image-magic-refused" },
        { "F6 header", IMG, SMP_IMAGE_UPLOAD, W, 1, 22, "", 0, 0, REFUSAL_FAIL, "smp-image-magic-refused" },
        { "F7 v2", IMG, SMP_IMAGE_STATE, W, 1, 23, "", 0, 0, REFUSAL_FAIL, "smp-swap-mark-not-written" },
        { "F7 v1", IMG, SMP_IMAGE_STATE, W, -1, 1, "", 0, 0, REFUSAL_FAIL, "smp-swap-mark-not-written" },
        { "rc 1 to confirm is no mark", IMG, SMP_IMAGE_STATE, W, -1, 1, "", 0, CONFIRM, REFUSAL_FAIL, "smp-refused" },
        { "hash not found", IMG, SMP_IMAGE_STATE, W, 1, 8, "", 0, 0, REFUSAL_FAIL, "smp-hash-unknown" },
        { "hash not found, old", IMG, SMP_IMAGE_STATE, W, -1, 3, "", 0, CONFIRM, REFUSAL_FAIL, "smp-hash-unknown" },
        { "confirm denied", IMG, SMP_IMAGE_STATE, W, 1, 32, "", 1, CONFIRM, REFUSAL_FAIL, "smp-confirm-refused" },
        { "F16 v2", IMG, SMP_IMAGE_UPLOAD, W, 1, 27, "", 0, UPGRADE, REFUSAL_FAIL, "smp-version-not-newer" },
        { "F16 v1", IMG, SMP_IMAGE_UPLOAD, W, -1, 6, "", 0, UPGRADE, REFUSAL_FAIL, "smp-version-not-newer" },
        { "F17", IMG, SMP_IMAGE_UPLOAD, W, -1, 3, "", 1, 0, REFUSAL_FAIL, "smp-single-image-device" },
        { "F17 v2", IMG, SMP_IMAGE_UPLOAD, W, 1, 14, "", 1, 0, REFUSAL_FAIL, "smp-single-image-device" },
        { "rc 3 on image 0 is another matter", IMG, SMP_IMAGE_UPLOAD, W, -1, 3, "", 0, 0, REFUSAL_FAIL, "smp-refused" },
        { "F18", IMG, SMP_IMAGE_UPLOAD, W, -1, 9, "", 0, 0, REFUSAL_SHORTEN, "smp-message-too-long" },
        { "F18 shortened", IMG, SMP_IMAGE_UPLOAD, W, -1, 9, "", 0, SHORT, REFUSAL_FAIL, "smp-message-too-long" },
        { "F19 rc 2", IMG, SMP_IMAGE_STATE, R, -1, 2, "", 0, OTHERS, REFUSAL_FAIL, "smp-device-buffer-too-small" },
        { "F19 rc 7", IMG, SMP_IMAGE_STATE, R, -1, 7, "", 0, OTHERS, REFUSAL_FAIL, "smp-device-buffer-too-small" },
        { "too large", IMG, SMP_IMAGE_UPLOAD, W, 1, 30, "", 0, 0, REFUSAL_FAIL, "smp-image-too-large" },
        { "wrong slot", IMG, SMP_IMAGE_UPLOAD, W, 1, 25, "", 0, 0, REFUSAL_FAIL, "smp-image-address" },
        { "flash", IMG, SMP_IMAGE_UPLOAD, W, 1, 12, "", 0, LATE, REFUSAL_FAIL, "smp-flash-error" },
        { "context", IMG, SMP_IMAGE_UPLOAD, W, 1, 16, "", 0, 0, REFUSAL_AGAIN, "smp-busy" },
        { "buffers", IMG, SMP_IMAGE_UPLOAD, W, -1, 2, "", 0, LATE, REFUSAL_AGAIN, "smp-out-of-memory" },
        { "application hook", IMG, SMP_IMAGE_UPLOAD, W, 70, 4, "", 0, 0, REFUSAL_FAIL, "smp-access-denied" },
        { "access denied", IMG, SMP_IMAGE_UPLOAD, W, -1, 11, "", 0, 0, REFUSAL_FAIL, "smp-access-denied" },
        { "old protocol refused", IMG, SMP_IMAGE_STATE, R, -1, 12, "", 0, 0, REFUSAL_FAIL, "smp-protocol-version" },
        { "reset busy", OS, SMP_OS_RESET, W, -1, 10, "", 0, 0, REFUSAL_AGAIN, "smp-busy" },
        { "reset refused", OS, SMP_OS_RESET, W, -1, 8, "", 0, 0, REFUSAL_FAIL, "smp-reset-refused" },
};

static struct refusal make(const struct row *row) {
        struct refusal refusal = {
                .answer = { .group = row->group, .command = row->command, .op = row->op },
                .image = row->image,
                .first_chunk = !(row->flags & LATE),
                .confirm = row->flags & CONFIRM,
                .upgrade_sent = row->flags & UPGRADE,
                .slot_busy = row->flags & BUSY,
                .other_commands_ok = row->flags & OTHERS,
                .shortened = row->flags & SHORT,
        };

        refusal.answer.status = (struct smp_status){
                .refused = true,
                .group_form = row->err_group >= 0,
                .group = (uint16_t) (row->err_group >= 0 ? row->err_group : 0),
                .code = row->code,
        };
        snprintf(refusal.answer.status.rsn, sizeof refusal.answer.status.rsn, "%s", row->rsn);
        return refusal;
}

static void test_judge(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct refusal refusal = make(&rows[i]);
                struct gw_error err = { 0 };
                enum refusal_action action = refusal_judge(&refusal, rows[i].flags & OPTIONAL, &err);

                if (action != rows[i].action || strcmp(err.name, rows[i].name) != 0)
                        fail_msg("%s: action %d, name \"%s\"", rows[i].what, action, err.name);
                assert_int_equal(refusal_judge(&refusal, rows[i].flags & OPTIONAL, NULL), rows[i].action);
        }
}

/* The report keeps which request was refused with which code. */
static void test_describe(void **state) {
        char text[160];
        struct refusal v2 = make(&(struct row){ .group = IMG, .command = SMP_IMAGE_UPLOAD, .op = W, .err_group = 1, .code = 9, .rsn = "" });
        struct refusal v1 =
                make(&(struct row){ .group = IMG, .command = SMP_IMAGE_STATE, .op = W, .err_group = -1, .code = 1, .rsn = "no magic" });

        (void) state;
        assert_ptr_equal(refusal_describe(&v2.answer, text, sizeof text), text);
        assert_non_null(strstr(text, "upload"));
        assert_non_null(strstr(text, "9"));
        refusal_describe(&v1.answer, text, sizeof text);
        assert_non_null(strstr(text, "no magic"));
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_judge), cmocka_unit_test(test_describe) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
