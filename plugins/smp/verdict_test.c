/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A GW_IMAGE_ACTIVE
#define C GW_IMAGE_CONFIRMED
#define P GW_IMAGE_PENDING
#define M (GW_IMAGE_PENDING | GW_IMAGE_PERMANENT)

#define SWAP VERDICT_FAMILY_SWAP
#define OVERWRITE VERDICT_FAMILY_OVERWRITE
#define XIP VERDICT_FAMILY_XIP
#define XIP_REVERT VERDICT_FAMILY_XIP_REVERT

enum { OLD = 1, NEW = 2, ELSE = 3 };

/* One slot of a list in short: hash byte, flags; hash 0 = the slot is not listed. */
struct slot {
        uint8_t hash;
        uint32_t flags;
};

static size_t fill(struct gw_image *images, size_t n, uint8_t image, const struct slot slots[2]) {
        for (uint8_t i = 0; i < 2; i++) {
                if (!slots[i].hash)
                        continue;
                images[n] = (struct gw_image){ .image = image, .slot = i, .flags = slots[i].flags, .hash_size = 32 };
                memset(images[n].hash, slots[i].hash, 32);
                n++;
        }
        return n;
}

static const uint8_t *hash_of(uint8_t byte) {
        static uint8_t hash[32];

        memset(hash, byte, sizeof hash);
        return hash;
}

/* clang-format off */
static const struct state_row {
        const char *what;
        enum verdict_family family;
        struct slot before[2], after[2];
        bool seen;
        uint32_t n_resets;
        enum verdict_outcome outcome;
        const char *name; /* of the error, NULL = success */
} state_rows[] = {
        { "confirmed after test", SWAP, { { OLD, A | C }, { NEW, P } }, { { NEW, A | C }, { OLD, 0 } }, false, 1, VERDICT_CONFIRMED, NULL },
        { "F12 on trial", SWAP, { { OLD, A | C }, { NEW, P } }, { { NEW, A }, { OLD, C } }, false, 1, VERDICT_ON_TRIAL, NULL },
        { "overwritten", OVERWRITE, { { OLD, A | C }, { NEW, M } }, { { NEW, A | C } }, false, 1, VERDICT_CONFIRMED, NULL },
        { "XIP runs in slot 1", XIP, { { OLD, A }, { NEW, 0 } }, { { OLD, 0 }, { NEW, A } }, false, 1, VERDICT_ACTIVE, NULL },
        { "XIP, newer server", XIP, { { OLD, A | C }, { NEW, M } }, { { OLD, 0 }, { NEW, A | C } }, false, 1, VERDICT_ACTIVE, NULL },
        { "XIP with revert on trial", XIP_REVERT, { { OLD, A | C }, { NEW, P } }, { { OLD, C }, { NEW, A } }, false, 1, VERDICT_ON_TRIAL, NULL },
        { "F9 swap refused", SWAP, { { OLD, A | C }, { NEW, P } }, { { OLD, A | C }, { NEW, P } }, false, 1, VERDICT_SWAP_REFUSED, "smp-swap-refused" },
        { "F9 permanent", OVERWRITE, { { OLD, A | C }, { NEW, M } }, { { OLD, A | C }, { NEW, M } }, false, 1, VERDICT_SWAP_REFUSED, "smp-swap-refused" },
        { "F10 rejected", SWAP, { { OLD, A | C }, { NEW, P } }, { { OLD, A | C } }, false, 1, VERDICT_REJECTED, "smp-image-rejected" },
        { "F10 overwrite", OVERWRITE, { { OLD, A | C }, { NEW, M } }, { { OLD, A | C } }, false, 1, VERDICT_REJECTED, "smp-image-rejected" },
        { "F11 crashed before it was seen", SWAP, { { OLD, A | C }, { NEW, P } }, { { OLD, A | C }, { NEW, 0 } }, false, 1, VERDICT_REVERTED, "smp-image-reverted" },
        { "F11 seen running", SWAP, { { OLD, A | C }, { NEW, P } }, { { OLD, A | C }, { NEW, 0 } }, true, 1, VERDICT_RAN_AND_REVERTED, "reset-during-trial" },
        { "F11 two resets", SWAP, { { OLD, A | C }, { NEW, P } }, { { OLD, A | C }, { NEW, 0 } }, false, 2, VERDICT_RAN_AND_REVERTED, "reset-during-trial" },
        { "XIP with revert erases what it takes back", XIP_REVERT, { { OLD, A | C }, { NEW, P } }, { { OLD, A | C } }, true, 1,
          VERDICT_RAN_AND_REVERTED, "reset-during-trial" },
        { "XIP prefers the old one", XIP, { { OLD, A }, { NEW, 0 } }, { { OLD, A }, { NEW, 0 } }, false, 1, VERDICT_NOT_CHOSEN, "smp-image-not-chosen" },
        { "a stranger runs", SWAP, { { OLD, A | C }, { NEW, P } }, { { ELSE, A | C }, { OLD, 0 } }, false, 1, VERDICT_OTHER_RUNS, "wrong-image-active" },
        { "nobody noted what ran before", SWAP, { { 0, 0 } }, { { OLD, A | C }, { NEW, P } }, false, 1, VERDICT_SWAP_REFUSED, "smp-swap-refused" },
        { "the bootloader answers", SWAP, { { OLD, A | C }, { NEW, P } }, { { OLD, 0 } }, false, 1, VERDICT_IN_RECOVERY, "smp-stuck-in-bootloader" },
        { "going back to the confirmed image", SWAP, { { OLD, A }, { NEW, C } }, { { NEW, A | C }, { OLD, 0 } }, false, 1,
          VERDICT_CONFIRMED, NULL },
};
/* clang-format on */

static void test_state_after_reset(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof state_rows / sizeof state_rows[0]; i++) {
                const struct state_row *row = &state_rows[i];
                struct gw_image before[2], after[2];
                struct gw_error err = { 0 };
                struct verdict_question question = {
                        .family = row->family,
                        .hash = hash_of(NEW),
                        .hash_size = 32,
                        .before = before,
                        .n_before = fill(before, 0, 0, row->before),
                        .after = after,
                        .n_after = fill(after, 0, 0, row->after),
                        .seen_on_trial = row->seen,
                        .n_resets = row->n_resets,
                };
                enum verdict_outcome outcome = verdict_after_reset(&question);

                if (outcome != row->outcome)
                        fail_msg("%s: %d instead of %d", row->what, outcome, row->outcome);
                assert_int_equal(verdict_failed(outcome), row->name != NULL);
                verdict_explain(outcome, &question, &err);
                assert_string_equal(err.name, row->name ? row->name : "");
                assert_int_equal(gw_error_is_set(&err), err.text[0] != '\0');
        }
}

/* Image 1 of a list in which only the first core's image is flagged as running. */
static enum verdict_outcome judge_second_image(const struct slot before[2], const struct slot after[2]) {
        static const struct slot first[2] = { { ELSE, A | C } };
        struct gw_image was[4], is[4];
        struct verdict_question question = {
                .family = VERDICT_FAMILY_SWAP,
                .image = 1,
                .hash = hash_of(NEW),
                .hash_size = 32,
                .before = was,
                .after = is,
                .n_resets = 1,
        };

        question.n_before = fill(was, fill(was, 0, 0, first), 1, before);
        question.n_after = fill(is, fill(is, 0, 0, first), 1, after);
        return verdict_after_reset(&question);
}

static void test_second_image(void **state) {
        static const struct slot waits[2] = { { OLD, 0 }, { NEW, M } }, taken[2] = { { NEW, 0 } }, unreadable[2] = { { 0, 0 }, { NEW, M } },
                                 nothing[2] = { { 0, 0 } }, both_flags[2] = { { NEW, A | C } };

        (void) state;
        assert_int_equal(judge_second_image(waits, taken), VERDICT_ACTIVE);
        assert_int_equal(judge_second_image(waits, both_flags), VERDICT_CONFIRMED);
        assert_int_equal(judge_second_image(waits, waits), VERDICT_SWAP_REFUSED);
        assert_int_equal(judge_second_image(unreadable, nothing), VERDICT_UNREADABLE);
        assert_int_equal(judge_second_image(unreadable, unreadable), VERDICT_SWAP_REFUSED);
}

static void test_family(void **state) {
        static const struct slot app[2] = { { OLD, A | C } }, boot[2] = { { OLD, 0 } };
        struct gw_image running[2], idle[2];
        size_t n_running = fill(running, 0, 0, app), n_idle = fill(idle, 0, 0, boot);
        static const struct {
                int mode;
                enum verdict_family family;
        } rows[] = {
                { -1, VERDICT_FAMILY_SWAP },      { 0, VERDICT_FAMILY_RECOVERY }, { 1, VERDICT_FAMILY_SWAP },
                { 2, VERDICT_FAMILY_OVERWRITE },  { 3, VERDICT_FAMILY_SWAP },     { 4, VERDICT_FAMILY_XIP },
                { 5, VERDICT_FAMILY_XIP_REVERT }, { 6, VERDICT_FAMILY_XIP },      { 7, VERDICT_FAMILY_UNSUPPORTED },
                { 8, VERDICT_FAMILY_RECOVERY },   { 9, VERDICT_FAMILY_SWAP },     { 77, VERDICT_FAMILY_SWAP },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
                assert_int_equal(verdict_family(rows[i].mode, running, n_running), rows[i].family);
        assert_int_equal(verdict_family(-1, idle, n_idle), VERDICT_FAMILY_RECOVERY);
        assert_int_equal(verdict_family(3, idle, n_idle), VERDICT_FAMILY_RECOVERY);
        assert_int_equal(verdict_family(-1, NULL, 0), VERDICT_FAMILY_RECOVERY);
        assert_string_equal(verdict_bootloader_name(3), "swap using move");
        assert_string_equal(verdict_bootloader_name(9), "swap using offset");
        assert_string_equal(verdict_bootloader_name(-1), "unknown");
        assert_string_equal(verdict_bootloader_name(10), "unknown");
}

/* clang-format off */
static const struct way_row {
        enum gw_mode mode;
        enum verdict_family family;
        bool cannot_revert;
        int result; /* of the call */
        struct verdict_way way;
} way_rows[] = {
        { GW_MODE_TEST_AND_CONFIRM, SWAP, false, 0,
          { GW_MODE_TEST_AND_CONFIRM, VERDICT_NO_RETURN_CONFIRM, false, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, "" } },
        { GW_MODE_TEST_AND_CONFIRM, SWAP, true, 0,
          { GW_MODE_CONFIRM_ONLY, VERDICT_NO_RETURN_TEST, true, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, "no rollback" } },
        { GW_MODE_CONFIRM_ONLY, SWAP, false, 0,
          { GW_MODE_CONFIRM_ONLY, VERDICT_NO_RETURN_TEST, true, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, "without a trial" } },
        { GW_MODE_TEST_ONLY, SWAP, false, 0,
          { GW_MODE_TEST_ONLY, VERDICT_NO_RETURN_NEVER, false, GW_RESULT_ON_TRIAL, GW_PROOF_HASH_ACTIVE, "goes back" } },
        { GW_MODE_UPLOAD_ONLY, SWAP, false, 0,
          { GW_MODE_UPLOAD_ONLY, VERDICT_NO_RETURN_NEVER, false, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED, "" } },
        { GW_MODE_TEST_AND_CONFIRM, OVERWRITE, false, 0,
          { GW_MODE_CONFIRM_ONLY, VERDICT_NO_RETURN_TEST, true, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, "overwrite-only" } },
        { GW_MODE_TEST_ONLY, OVERWRITE, false, -EOPNOTSUPP, { .text = "mode-not-supported" } },
        { GW_MODE_UPLOAD_ONLY, OVERWRITE, false, 0,
          { GW_MODE_UPLOAD_ONLY, VERDICT_NO_RETURN_NEVER, false, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED, "" } },
        { GW_MODE_TEST_AND_CONFIRM, XIP, false, 0,
          { GW_MODE_CONFIRM_ONLY, VERDICT_NO_RETURN_RESET, false, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE, "highest version" } },
        { GW_MODE_TEST_ONLY, XIP, false, -EOPNOTSUPP, { .text = "mode-not-supported" } },
        { GW_MODE_TEST_AND_CONFIRM, XIP_REVERT, false, 0,
          { GW_MODE_TEST_AND_CONFIRM, VERDICT_NO_RETURN_CONFIRM, false, GW_RESULT_UPDATED, GW_PROOF_HASH_ACTIVE_CONFIRMED, "" } },
        { GW_MODE_TEST_AND_CONFIRM, VERDICT_FAMILY_RECOVERY, false, 0,
          { GW_MODE_CONFIRM_ONLY, VERDICT_NO_RETURN_UPLOAD, false, GW_RESULT_UPDATED, GW_PROOF_VERSION_READ, "serial recovery" } },
        { GW_MODE_TEST_ONLY, VERDICT_FAMILY_RECOVERY, false, -EOPNOTSUPP, { .text = "mode-not-supported" } },
        { GW_MODE_UPLOAD_ONLY, VERDICT_FAMILY_RECOVERY, false, -EOPNOTSUPP, { .text = "mode-not-supported" } },
        { GW_MODE_TEST_AND_CONFIRM, VERDICT_FAMILY_UNSUPPORTED, false, -EOPNOTSUPP, { .text = "smp-bootloader-unsupported" } },
        { GW_MODE_UPLOAD_ONLY, VERDICT_FAMILY_UNSUPPORTED, false, -EOPNOTSUPP, { .text = "smp-bootloader-unsupported" } },
};
/* clang-format on */

static void test_way(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof way_rows / sizeof way_rows[0]; i++) {
                const struct way_row *row = &way_rows[i];
                struct verdict_way way = { .text = "untouched" };
                struct gw_error err = { 0 };

                assert_int_equal(verdict_way(row->mode, row->family, row->cannot_revert, &way, &err), row->result);
                if (row->result < 0) {
                        assert_string_equal(err.name, row->way.text);
                        assert_string_equal(way.text, "untouched");
                        continue;
                }
                assert_int_equal(way.mode, row->way.mode);
                assert_int_equal(way.no_return, row->way.no_return);
                assert_int_equal(way.permanent, row->way.permanent);
                assert_int_equal(way.result, row->way.result);
                assert_int_equal(way.proof, row->way.proof);
                assert_non_null(strstr(way.text, row->way.text));
                assert_false(gw_error_is_set(&err));
        }
}

static void test_stored_and_marked(void **state) {
        static const struct slot nothing[2] = { { OLD, A | C } }, stored[2] = { { OLD, A | C }, { NEW, 0 } },
                                 marked[2] = { { OLD, A | C }, { NEW, P } }, permanent[2] = { { OLD, A | C }, { NEW, M } },
                                 confirmed[2] = { { NEW, A | C }, { OLD, 0 } };
        static const struct {
                const struct slot *slots;
                bool permanent;
                const char *stored, *marked;
        } rows[] = {
                { nothing, false, "smp-stored-image-missing", "smp-stored-image-missing" }, /* F8 */
                { stored, false, "", "smp-test-ignored" },                                  /* F15 */
                { marked, false, "", "" },
                { marked, true, "", "smp-test-ignored" },
                { permanent, true, "", "" },
                { permanent, false, "", "" },
                { confirmed, true, "", "" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct gw_image images[2];
                size_t n = fill(images, 0, 0, rows[i].slots);
                const struct verdict_question question = { .hash = hash_of(NEW), .hash_size = 32, .after = images, .n_after = n };
                struct gw_error err = { 0 };

                assert_int_equal(verdict_stored(&question, &err), rows[i].stored[0] ? -EPROTO : 0);
                assert_string_equal(err.name, rows[i].stored);
                err.name[0] = '\0';
                assert_int_equal(verdict_marked(&question, rows[i].permanent, &err), rows[i].marked[0] ? -EPROTO : 0);
                assert_string_equal(err.name, rows[i].marked);
        }
}

static void test_silence(void **state) {
        static const struct {
                struct verdict_silence silence;
                const char *name, *word;
        } rows[] = {
                { { .where = VERDICT_SILENCE_PROBE, .serial = true, .bytes_heard = 90 }, "serial-garbage", "90 bytes" },
                { { .where = VERDICT_SILENCE_PROBE, .serial = true }, "smp-no-answer", "wrong port" },
                { { .where = VERDICT_SILENCE_PROBE, .waited_ms = 7500 }, "smp-no-answer", "7500 ms" },
                { { .where = VERDICT_SILENCE_LONG_REQUEST, .serial = true }, "smp-no-reassembly", "serial buffer" },
                { { .where = VERDICT_SILENCE_LONG_REQUEST, .shortened = true }, "smp-no-reassembly", "smallest" },
                { { .where = VERDICT_SILENCE_LONG_REQUEST, .gone = true }, "smp-no-reassembly", "nothing at all" },
                { { .where = VERDICT_SILENCE_UPLOAD }, "device-vanished", "in the middle" },
                { { .where = VERDICT_SILENCE_REQUEST }, "smp-no-answer", "answered before" },
                { { .where = VERDICT_SILENCE_AFTER_RESET, .reverts = true, .waited_ms = 90000 }, "did-not-return", "power cycle" },
                { { .where = VERDICT_SILENCE_AFTER_RESET, .waited_ms = 90000 }, "did-not-return", "90 s" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct gw_error err = { 0 };

                verdict_silence(&rows[i].silence, &err);
                assert_string_equal(err.name, rows[i].name);
                if (!strstr(err.text, rows[i].word))
                        fail_msg("\"%s\" lacks \"%s\"", err.text, rows[i].word);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_state_after_reset),
                cmocka_unit_test(test_second_image),
                cmocka_unit_test(test_family),
                cmocka_unit_test(test_way),
                cmocka_unit_test(test_stored_and_marked),
                cmocka_unit_test(test_silence),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
