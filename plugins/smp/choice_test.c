/* SPDX-License-Identifier: Apache-2.0 */
#include "choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A GW_IMAGE_ACTIVE
#define C GW_IMAGE_CONFIRMED
#define P GW_IMAGE_PENDING

enum { OLD = 1, NEW = 2, ELSE = 3, NET_OLD = 4, NET_NEW = 5 };

struct slot {
        uint8_t hash;
        uint32_t flags;
        const char *version;
};

static void add(struct gw_image *images, size_t *n, uint8_t image, uint8_t slot, const struct slot *content) {
        if (!content->hash)
                return;
        images[*n] = (struct gw_image){ .image = image, .slot = slot, .flags = content->flags, .hash_size = 32 };
        memset(images[*n].hash, content->hash, 32);
        snprintf(images[*n].version, sizeof images[*n].version, "%s", content->version ? content->version : "1.0.0");
        (*n)++;
}

static void want(struct gw_order *order, uint8_t image, uint8_t hash, const char *version, const struct gw_part *part) {
        struct gw_wanted *wanted = &order->wanted[order->n_wanted++];

        *wanted = (struct gw_wanted){ .image = image, .hash_size = 32, .part = part };
        memset(wanted->hash, hash, 32);
        snprintf(wanted->version, sizeof wanted->version, "%s", version);
}

static const struct gw_part any_part = { .slot = -1, .size = 200000 };

static const struct row {
        const char *what;
        enum verdict_family family;
        struct slot slots[2];
        enum choice_stand stand;
        enum choice_next next;
} rows[] = {
        { "nothing but the old one", VERDICT_FAMILY_SWAP, { { OLD, A | C, 0 } }, CHOICE_ABSENT, CHOICE_NEXT_UPLOAD },
        { "an older one in the other slot", VERDICT_FAMILY_SWAP, { { OLD, A | C, 0 }, { ELSE, 0, 0 } }, CHOICE_ABSENT, CHOICE_NEXT_UPLOAD },
        { "runs and stays", VERDICT_FAMILY_SWAP, { { NEW, A | C, 0 }, { OLD, 0, 0 } }, CHOICE_CONFIRMED, CHOICE_NEXT_NOTHING },
        { "on trial", VERDICT_FAMILY_SWAP, { { NEW, A, 0 }, { OLD, C, 0 } }, CHOICE_RUNNING, CHOICE_NEXT_VERIFY },
        { "stored", VERDICT_FAMILY_SWAP, { { OLD, A | C, 0 }, { NEW, 0, 0 } }, CHOICE_STORED, CHOICE_NEXT_TEST },
        { "marked", VERDICT_FAMILY_SWAP, { { OLD, A | C, 0 }, { NEW, P, 0 } }, CHOICE_MARKED, CHOICE_NEXT_RESET },
        { "F5 another one pending", VERDICT_FAMILY_SWAP, { { OLD, A | C, 0 }, { ELSE, P, 0 } }, CHOICE_ABSENT, CHOICE_NEXT_CLEAR },
        { "F5 another one on trial", VERDICT_FAMILY_SWAP, { { ELSE, A, 0 }, { OLD, C, 0 } }, CHOICE_ABSENT, CHOICE_NEXT_CLEAR },
        { "goes back by itself", VERDICT_FAMILY_SWAP, { { ELSE, A, 0 }, { NEW, C, 0 } }, CHOICE_MARKED, CHOICE_NEXT_RESET },
        { "overwritten", VERDICT_FAMILY_OVERWRITE, { { NEW, A | C, 0 } }, CHOICE_CONFIRMED, CHOICE_NEXT_NOTHING },
        { "XIP runs", VERDICT_FAMILY_XIP, { { OLD, 0, 0 }, { NEW, A, 0 } }, CHOICE_CONFIRMED, CHOICE_NEXT_NOTHING },
        { "XIP stored: no marks", VERDICT_FAMILY_XIP, { { OLD, A, 0 }, { NEW, 0, 0 } }, CHOICE_STORED, CHOICE_NEXT_RESET },
        { "XIP will start it", VERDICT_FAMILY_XIP, { { OLD, A | C, 0 }, { NEW, P, 0 } }, CHOICE_MARKED, CHOICE_NEXT_RESET },
        { "XIP: a waiting other one is overwritten",
          VERDICT_FAMILY_XIP,
          { { OLD, A | C, 0 }, { ELSE, P, 0 } },
          CHOICE_ABSENT,
          CHOICE_NEXT_UPLOAD },
        { "XIP with revert on trial", VERDICT_FAMILY_XIP_REVERT, { { OLD, C, 0 }, { NEW, A, 0 } }, CHOICE_RUNNING, CHOICE_NEXT_VERIFY },
        { "recovery", VERDICT_FAMILY_RECOVERY, { { OLD, 0, 0 } }, CHOICE_ABSENT, CHOICE_NEXT_UPLOAD },
        { "recovery, there already", VERDICT_FAMILY_RECOVERY, { { NEW, 0, 0 } }, CHOICE_STORED, CHOICE_NEXT_RESET },
        { "empty device", VERDICT_FAMILY_RECOVERY, { { 0, 0, 0 } }, CHOICE_ABSENT, CHOICE_NEXT_UPLOAD },
};

static void test_next(void **state) {
        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct gw_order order = { 0 };
                struct gw_image images[2];
                struct choice_question question = { .order = &order, .family = rows[i].family, .images = images };
                struct choice choice;

                want(&order, 0, NEW, "1.1.0", &any_part);
                for (uint8_t slot = 0; slot < 2; slot++)
                        add(images, &question.n_images, 0, slot, &rows[i].slots[slot]);
                assert_int_equal(choice_make(&question, &choice, NULL), 0);
                if (choice.next != rows[i].next || choice.images[0].stand != rows[i].stand)
                        fail_msg("%s: next %d, stand %d", rows[i].what, choice.next, choice.images[0].stand);
                assert_int_equal(choice_mask(&choice), 1);
                assert_int_equal(choice_upload_bytes(&choice, &order), choice.images[0].stand == CHOICE_ABSENT ? 200000 : 0);
        }
}

/* Two images: what is missing decides, then what is unmarked, then what waits. */
static void test_two_images(void **state) {
        static const struct {
                struct slot app[2], net[2];
                enum choice_next next;
        } cases[] = {
                { { { OLD, A | C, 0 } }, { { NET_OLD, 0, 0 } }, CHOICE_NEXT_UPLOAD },
                { { { OLD, A | C, 0 }, { NEW, 0, 0 } }, { { NET_OLD, 0, 0 } }, CHOICE_NEXT_UPLOAD },
                { { { OLD, A | C, 0 }, { NEW, P, 0 } }, { { NET_OLD, 0, 0 }, { NET_NEW, 0, 0 } }, CHOICE_NEXT_TEST },
                { { { OLD, A | C, 0 }, { NEW, P, 0 } }, { { NET_OLD, 0, 0 }, { NET_NEW, P, 0 } }, CHOICE_NEXT_RESET },
                { { { NEW, A, 0 }, { OLD, C, 0 } }, { { NET_NEW, 0, 0 } }, CHOICE_NEXT_VERIFY },
                { { { NEW, A | C, 0 } }, { { NET_NEW, A | C, 0 } }, CHOICE_NEXT_NOTHING },
                { { { OLD, A | C, 0 }, { ELSE, P, 0 } }, { { NET_OLD, 0, 0 }, { NET_NEW, P, 0 } }, CHOICE_NEXT_CLEAR },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct gw_order order = { 0 };
                struct gw_image images[4];
                struct choice_question question = { .order = &order, .family = VERDICT_FAMILY_SWAP, .images = images };
                struct choice choice;

                want(&order, 1, NET_NEW, "1.1.0", &any_part); /* the order of the package does not matter */
                want(&order, 0, NEW, "1.1.0", &any_part);
                for (uint8_t slot = 0; slot < 2; slot++) {
                        add(images, &question.n_images, 0, slot, &cases[i].app[slot]);
                        add(images, &question.n_images, 1, slot, &cases[i].net[slot]);
                }
                assert_int_equal(choice_make(&question, &choice, NULL), 0);
                if (choice.next != cases[i].next)
                        fail_msg("case %zu: %d", i, choice.next);
                assert_int_equal(choice.n_images, 2);
                assert_int_equal(choice.images[0].wanted, 1);
                assert_true(choice_cannot_revert(&choice, "nrf5340dk_nrf5340_cpuapp"));
                assert_true(choice_cannot_revert(&choice, "nRF5340dk"));
                assert_false(choice_cannot_revert(&choice, "nrf52840dk"));
                assert_false(choice_cannot_revert(&choice, NULL));
        }
}

/* Direct-XIP: the file for the slot that does not run; after the reset it is still the chosen one. */
static void test_file_for_slot(void **state) {
        const struct gw_part for_slot[2] = { { .slot = 0, .size = 1000 }, { .slot = 1, .size = 1000 } };
        struct gw_order order = { 0 };
        struct gw_image images[2];
        struct choice_question question = { .order = &order, .family = VERDICT_FAMILY_XIP_REVERT, .images = images };
        struct choice choice;
        struct gw_error err = { 0 };

        (void) state;
        want(&order, 0, NEW, "1.1.0", &for_slot[0]);
        want(&order, 0, ELSE, "1.1.0", &for_slot[1]);
        add(images, &question.n_images, 0, 0, &(struct slot){ OLD, A | C, 0 });
        assert_int_equal(choice_make(&question, &choice, NULL), 0);
        assert_int_equal(choice.images[0].wanted, 1);
        add(images, &question.n_images, 0, 1, &(struct slot){ ELSE, A, 0 });
        images[0].flags = C;
        assert_int_equal(choice_make(&question, &choice, NULL), 0);
        assert_int_equal(choice.images[0].wanted, 1);
        assert_int_equal(choice.next, CHOICE_NEXT_VERIFY);
        question.chosen = 1;
        assert_int_equal(choice_make(&question, &choice, NULL), 0);
        assert_int_equal(choice.images[0].wanted, 0);
        order.n_wanted = 1;
        question.chosen = 0;
        question.n_images = 1;
        images[0].flags = A | C;
        assert_int_equal(choice_make(&question, &choice, &err), -EINVAL);
        assert_string_equal(err.name, "smp-image-address");
        question.family = VERDICT_FAMILY_SWAP; /* there the file is always linked for slot 0 */
        assert_int_equal(choice_make(&question, &choice, NULL), 0);
        order.n_wanted = 0;
        assert_int_equal(choice_make(&question, &choice, &err), -EINVAL);
}

static void test_check(void **state) {
        enum { ALLOW = 1, ROLLBACK = 2, NO_PART = 4, NO_DOWNGRADE = 8, SMALL_SLOT = 16, SMALL_MAX = 32, STORED = 64, IN_SLOT_1 = 128 };
        static const struct {
                const char *running, *wanted;
                enum verdict_family family;
                unsigned flags;
                const char *name;
        } cases[] = {
                { "1.0.0", "1.1.0", VERDICT_FAMILY_SWAP, 0, "" },
                { "1.1.0", "1.1.0", VERDICT_FAMILY_SWAP, 0, "" },
                { "1.2.0", "1.1.0", VERDICT_FAMILY_SWAP, 0, "downgrade" },
                { "1.2.0", "1.1.0", VERDICT_FAMILY_SWAP, STORED, "downgrade" },
                { "1.2.0", "1.1.0", VERDICT_FAMILY_SWAP, ALLOW, "" },
                { "1.2.0", "1.1.0", VERDICT_FAMILY_SWAP, ALLOW | NO_DOWNGRADE, "downgrade" },
                { "1.2.0", "1.1.0", VERDICT_FAMILY_SWAP, ROLLBACK, "" },
                { "1.2.0", "1.1.0", VERDICT_FAMILY_SWAP, ROLLBACK | NO_PART, "rollback-image-gone" },
                { "1.2.0", "1.1.0", VERDICT_FAMILY_SWAP, ROLLBACK | NO_PART | STORED, "" },
                { "1.2.0", "1.1.0", VERDICT_FAMILY_XIP, ROLLBACK | STORED, "rollback-not-possible" },
                { "1.2.0", "1.1.0", VERDICT_FAMILY_XIP, ALLOW, "downgrade" },
                { "1.1.0", "1.1.0", VERDICT_FAMILY_XIP, 0, "downgrade" },
                { "1.1.0", "1.1.0", VERDICT_FAMILY_XIP, IN_SLOT_1, "" },
                { "1.0.0", "1.1.0", VERDICT_FAMILY_SWAP, SMALL_SLOT, "image-too-large" },
                { "1.0.0", "1.1.0", VERDICT_FAMILY_SWAP, SMALL_MAX, "image-too-large" },
                { "1.0.0", "1.1.0", VERDICT_FAMILY_SWAP, SMALL_SLOT | STORED, "" },
                { "<unreadable>", "1.1.0", VERDICT_FAMILY_SWAP, 0, "" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                unsigned flags = cases[i].flags;
                struct gw_order order = { .allow_downgrade = flags & ALLOW, .rollback = flags & ROLLBACK };
                struct smp_slot_info info = { .n_slots = 2 };
                struct gw_image images[2];
                struct choice_question question = {
                        .order = &order,
                        .family = cases[i].family,
                        .images = images,
                        .slots = &info,
                        .no_downgrade = flags & NO_DOWNGRADE,
                };
                struct choice choice;
                struct gw_error err = { 0 };
                int r;

                info.slots[0] = (struct smp_slot){ .slot = 0, .size = 0x40000 };
                info.slots[1] = (struct smp_slot){ .slot = 1, .size = flags & SMALL_SLOT ? 199999 : 0x40000 };
                if (flags & SMALL_MAX) {
                        info.n_max_image_sizes = 1;
                        info.max_image_size[0].bytes = 199999;
                }
                want(&order, 0, NEW, cases[i].wanted, flags & NO_PART ? NULL : &any_part);
                if (flags & IN_SLOT_1)
                        add(images, &question.n_images, 0, 0, &(struct slot){ ELSE, 0, "1.0.0" });
                add(images, &question.n_images, 0, flags & IN_SLOT_1 ? 1 : 0, &(struct slot){ OLD, A | C, cases[i].running });
                if (flags & STORED)
                        add(images, &question.n_images, 0, 1, &(struct slot){ NEW, 0, cases[i].wanted });
                assert_int_equal(choice_make(&question, &choice, NULL), 0);
                r = choice_check(&question, &choice, &err);
                if ((r < 0) != (cases[i].name[0] != '\0') || strcmp(err.name, cases[i].name) != 0)
                        fail_msg("case %zu: %d, \"%s\" (%s)", i, r, err.name, err.text);
        }
}

static void test_versions(void **state) {
        static const struct {
                const char *a, *b;
                int sign;
                bool known;
        } cases[] = {
                { "1.2.3", "1.2.3", 0, true },          { "1.2.3", "1.2.4", -1, true },     { "1.10.0", "1.9.9", 1, true },
                { "1.2.3+4", "1.2.3.5", -1, true },     { "1.2.3", "1.2.3+1", -1, true },   { "2.0.0", "1.9.9+77", 1, true },
                { "1.2", "1.2.3", 0, false },           { "", "1.2.3", 0, false },          { "1.2.3-rc1", "1.2.3", 0, false },
                { "<unreadable>", "1.0.0", 0, false },  { "1.2.3.4.5", "1.0.0", 0, false }, { "99999999999.0.0", "1.0.0", 0, false },
                { "1.0.4294967295", "1.0.0", 1, true },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                bool known;
                int compared = choice_version_compare(cases[i].a, cases[i].b, &known);

                assert_int_equal((compared > 0) - (compared < 0), cases[i].sign);
                assert_int_equal(known, cases[i].known);
        }
}

static void test_return_deadline(void **state) {
        (void) state;
        assert_int_equal(choice_return_ms(0, 60000, 100), 60250);
        assert_int_equal(choice_return_ms(1 << 20, 60000, 100), 60000 + 257 * 250);
        assert_int_equal(choice_return_ms(1 << 20, 60000, 300), 60000 + 257 * 750);
        assert_true(choice_return_ms(UINT64_MAX, 0, 1000) > 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_next),  cmocka_unit_test(test_two_images), cmocka_unit_test(test_file_for_slot),
                cmocka_unit_test(test_check), cmocka_unit_test(test_versions),   cmocka_unit_test(test_return_deadline),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
