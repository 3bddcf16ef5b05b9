/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/str.h"

/* Which file is for which device, and what then holds between them: tables. What package.c would have read is stated here. */

struct package {
        bool is_ready;
        struct gw_package content;
};

bool package_is_ready(const struct package *package) {
        return package && package->is_ready;
}

const struct gw_package *package_content(const struct package *package) {
        return &package->content;
}

#define FILES_MAX 3

/* One file of a case: `document` is what the order says of its hardware, `own` what the file says. */
struct file {
        const char *document, *own;
        bool is_unread;
        const char *error;
};

struct fixture {
        struct update update;
        struct driver_registry *registry;
        struct campaign campaign;
        struct campaign_document document;
        struct campaign_artifact artifacts[FILES_MAX];
        struct campaign_file files[FILES_MAX];
        struct package packages[FILES_MAX];
        struct gw_device device;
        struct gw_image images[4];
};

static char one_id[] = "toy:d0", *one_device[] = { one_id };
static char model_configured[GW_MODEL_MAX], model_stated[GW_MODEL_MAX];

static const char *const toy_formats[] = { "toy", NULL };
static const struct gw_driver toy_driver = { .name = "toy", .formats = toy_formats };

static void lay_file(struct fixture *fixture, size_t i, const struct file *file) {
        struct campaign_file *laid = &fixture->files[i];
        fixture->artifacts[i].image = -1;
        if (file->document)
                assert_int_equal(str_list_append(&fixture->artifacts[i].compatible, file->document), 0);
        laid->artifact = &fixture->artifacts[i];
        laid->campaign = &fixture->campaign;
        (void) str_copy(fixture->packages[i].content.format, sizeof fixture->packages[i].content.format, "toy");
        fixture->packages[i].is_ready = !file->is_unread;
        if (file->own)
                (void) str_copy(fixture->packages[i].content.compatible[fixture->packages[i].content.n_compatible++], GW_MODEL_MAX, file->own);
        laid->user.package = &fixture->packages[i];
        if (file->error)
                gw_error_set(&laid->error, file->error, "as the test wants it");
}

static void lay(struct fixture *fixture, const struct file *files, size_t n_files, bool names_one, const char *configured, const char *stated) {
        memset(fixture, 0, sizeof *fixture);
        assert_int_equal(driver_registry_new(&fixture->registry), 0);
        assert_int_equal(driver_registry_add(fixture->registry, &toy_driver, NULL, NULL), 0);
        fixture->update.options.registry = fixture->registry;
        fixture->campaign.update = &fixture->update;
        fixture->campaign.document = &fixture->document;
        fixture->campaign.files = fixture->files;
        fixture->campaign.n_files = n_files;
        fixture->document.policy = campaign_policy_default;
        if (names_one)
                fixture->document.devices.ids = (struct str_list){ .items = one_device, .n_items = 1 };
        for (size_t i = 0; i < n_files; i++)
                lay_file(fixture, i, &files[i]);
        (void) str_copy(fixture->device.id, sizeof fixture->device.id, "toy:d0");
        (void) str_copy(fixture->device.driver, sizeof fixture->device.driver, "toy");
        (void) str_copy(model_configured, sizeof model_configured, configured ? configured : "");
        (void) str_copy(model_stated, sizeof model_stated, stated ? stated : "");
        fixture->device.model_configured = configured ? model_configured : NULL;
        fixture->device.model_stated = stated ? model_stated : NULL;
        fixture->device.images = fixture->images;
}

static void clear(struct fixture *fixture) {
        for (size_t i = 0; i < FILES_MAX; i++)
                str_list_deinit(&fixture->artifacts[i].compatible);
        driver_registry_free(fixture->registry);
}

/* --- which file --- */

#define R1 "acme,r1"
#define R2 "acme,r2"

struct choice {
        const char *label;
        struct file files[FILES_MAX];
        size_t n_files;
        bool names_one;
        const char *configured, *stated;
        int file;          /* that is chosen; -1 none */
        const char *error; /* then */
        bool waits;
};

static const struct choice choices[] = {
        { "the order names the model", { { .document = R1 } }, 1, false, R1, NULL, 0, NULL, false },
        { "what the device states counts as well", { { .document = R1 } }, 1, false, NULL, R1, 0, NULL, false },
        { "the order names another", { { .document = R1 } }, 1, false, R2, NULL, -1, "incompatible", false },
        { "also for the one device that is named", { { .document = R1 } }, 1, true, R2, NULL, -1, "incompatible", false },
        { "whole strings", { { .document = "acme,r10" } }, 1, false, R1, NULL, -1, "incompatible", false },
        { "the file names the model", { { .own = R1 } }, 1, false, R1, NULL, 0, NULL, false },
        { "the file names another", { { .own = R1 } }, 1, true, R2, NULL, -1, "incompatible", false },
        { "the order's word counts, not the file's", { { .document = R2, .own = R1 } }, 1, false, R1, NULL, -1, "incompatible", false },
        { "two revisions of the hardware, first", { { .document = R1 }, { .document = R2 } }, 2, false, R1, NULL, 0, NULL, false },
        { "two revisions of the hardware, second", { { .document = R1 }, { .document = R2 } }, 2, false, R2, NULL, 1, NULL, false },
        { "nobody names hardware, one device", { { .document = NULL } }, 1, true, NULL, NULL, 0, NULL, false },
        { "nobody names hardware, several devices", { { .document = NULL } }, 1, false, R1, NULL, -1, "incompatible", false },
        { "the one that names it goes before the one that does not", { { .document = NULL }, { .document = R1 } }, 2, true, R1, NULL, 1, NULL, false },
        { "model unknown", { { .document = R1 } }, 1, false, NULL, NULL, -1, "model-unknown", true },
        { "model contradicted", { { .document = R1 } }, 1, false, R1, R2, -1, "model-conflict", true },
        { "not read yet", { { .is_unread = true } }, 1, true, R1, NULL, -1, "fetching", true },
        { "not read yet, the order names it", { { .document = R1, .is_unread = true } }, 1, false, R1, NULL, 0, NULL, false },
        { "one that is not read yet may be the better one", { { .document = NULL }, { .own = R1, .is_unread = true } }, 2, true, R1, NULL, -1, "fetching", true },
        { "cannot be read", { { .error = "http-not-found" } }, 1, false, R1, NULL, -1, "http-not-found", false },
        { "cannot be read, one device", { { .error = "http-not-found" } }, 1, true, R1, NULL, -1, "http-not-found", false },
        { "another fits", { { .error = "http-not-found" }, { .document = R1 } }, 2, false, R1, NULL, 1, NULL, false },
};

static void test_choose(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
                const struct choice *choice = &choices[i];
                struct campaign_file *file = NULL;
                struct gw_error err = { 0 };
                struct fixture fixture;
                int r;
                lay(&fixture, choice->files, choice->n_files, choice->names_one, choice->configured, choice->stated);
                r = order_choose(&fixture.campaign, &fixture.device, &file, &err);
                if (choice->file >= 0 ? r != 0 || file != &fixture.files[choice->file] : r >= 0 || file || (r == -EAGAIN) != choice->waits)
                        fail_msg("%s: %d %s %s", choice->label, r, err.name, err.text);
                assert_string_equal(err.name, choice->error ? choice->error : "");
                clear(&fixture);
        }
}

/* --- what then holds --- */

static void set_hash(uint8_t *hash, uint8_t *size, int fill) {
        *size = fill ? 32 : 0;
        memset(hash, fill, *size);
}

static void put_image(struct fixture *fixture, uint8_t image, uint8_t slot, uint32_t flags, const char *version, int fill) {
        struct gw_image *row = &fixture->images[fixture->device.n_images++];
        *row = (struct gw_image){ .image = image, .slot = slot, .flags = flags };
        (void) str_copy(row->version, sizeof row->version, version);
        set_hash(row->hash, &row->hash_size, fill);
        fixture->device.images_known = true;
}

static void put_part(struct package *package, uint8_t image, const char *version, int fill) {
        struct gw_part *part = &package->content.parts[package->content.n_parts++];
        *part = (struct gw_part){ .image = image, .slot = -1 };
        (void) str_copy(part->version, sizeof part->version, version);
        set_hash(part->hash, &part->hash_size, fill);
}

static const struct {
        const char *label, *runs;
        int runs_hash; /* every byte of it; 0: not known */
        const char *file;
        int file_hash;
        bool is_allowed; /* by the policy */
        bool is_refused;
} downgrades[] = {
        { "newer", "1.0.0", 1, "1.1.0", 2, false, false },
        { "older", "1.1.0", 1, "1.0.0", 2, false, true },
        { "older, allowed", "1.1.0", 1, "1.0.0", 2, true, false },
        { "the same version, another build of it", "1.1.0", 1, "1.1.0", 2, false, false },
        { "an older build number", "1.1.0+7", 1, "1.1.0+6", 2, false, true },
        { "by number, not by letter", "1.9.0", 1, "1.10.0", 2, false, false },
        { "runs it already", "1.1.0", 1, "1.1.0", 1, false, false },
        { "the very image, whatever its version says", "1.1.0", 1, "1.0.0", 1, false, false },
        { "older, neither has a hash", "1.1.0", 0, "1.0.0", 0, false, true },
        { "older, the device names no hash", "1.1.0", 0, "1.0.0", 2, false, true },
        { "what runs has no version", "", 1, "1.0.0", 2, false, false },
        { "no version at all", "fast-one", 1, "1.0.0", 2, false, false },
};

static void test_downgrade(void **state) {
        static const struct file file = { .document = R1 };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(downgrades); i++) {
                _cleanup_free_ struct gw_order *order = NULL;
                struct gw_error err = { 0 };
                struct fixture fixture;
                int r;
                lay(&fixture, &file, 1, false, R1, NULL);
                fixture.document.policy.allow_downgrade = downgrades[i].is_allowed;
                put_image(&fixture, 0, 0, GW_IMAGE_ACTIVE, downgrades[i].runs, downgrades[i].runs_hash);
                put_part(&fixture.packages[0], 0, downgrades[i].file, downgrades[i].file_hash);
                assert_int_equal(order_make(&fixture.campaign, &fixture.device, &fixture.files[0], NULL, &order, &err), 0);
                r = order_check(&fixture.campaign, &fixture.device, order, &fixture.files[0], &err);
                if ((r < 0) != downgrades[i].is_refused)
                        fail_msg("%s: %d %s %s", downgrades[i].label, r, err.name, err.text);
                assert_string_equal(err.name, downgrades[i].is_refused ? "downgrade" : "");
                clear(&fixture);
        }
}

/* Each image against its own: a multi-image file is refused for any of them. */
static void test_downgrade_of_one_image(void **state) {
        static const struct file file = { .document = R1 };
        _cleanup_free_ struct gw_order *order = NULL;
        struct gw_error err = { 0 };
        struct fixture fixture;
        (void) state;
        lay(&fixture, &file, 1, false, R1, NULL);
        put_image(&fixture, 0, 0, GW_IMAGE_ACTIVE, "1.0.0", 1);
        put_image(&fixture, 1, 0, 0, "3.0.0", 2); /* an older server calls only its own core's image active */
        put_part(&fixture.packages[0], 0, "1.1.0", 3);
        put_part(&fixture.packages[0], 1, "2.0.0", 4);
        assert_int_equal(order_make(&fixture.campaign, &fixture.device, &fixture.files[0], NULL, &order, &err), 0);
        assert_int_equal(order->n_wanted, 2);
        assert_true(order_check(&fixture.campaign, &fixture.device, order, &fixture.files[0], &err) < 0);
        assert_string_equal(err.name, "downgrade");
        clear(&fixture);
}

/* What was chosen by what was known before is judged again by what the device stated itself. */
static void test_model_is_judged_again(void **state) {
        static const struct {
                struct file file;
                bool names_one;
                const char *configured, *stated, *error;
        } cases[] = {
                { { .document = R1 }, false, R1, R1, "" },
                { { .document = R1 }, false, NULL, R2, "incompatible" },
                { { .document = R1 }, false, R1, R2, "model-conflict" },
                { { .document = R1 }, false, NULL, NULL, "model-unknown" },
                { { .document = NULL }, true, R1, R2, "model-conflict" }, /* naming a device says nothing about another board under its name */
                { { .document = NULL }, true, NULL, NULL, "" },
                { { .document = NULL }, false, R1, NULL, "incompatible" },
                { { .own = R1 }, true, NULL, R2, "incompatible" },
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct gw_order order = { .size = sizeof order };
                struct gw_error err = { 0 };
                struct fixture fixture;
                int r;
                lay(&fixture, &cases[i].file, 1, cases[i].names_one, cases[i].configured, cases[i].stated);
                r = order_check(&fixture.campaign, &fixture.device, &order, &fixture.files[0], &err);
                assert_string_equal(err.name, cases[i].error);
                assert_int_equal(r < 0, cases[i].error[0] != '\0');
                clear(&fixture);
        }
}

/* --- what is wanted --- */

static void test_image_number(void **state) {
        static const struct file file = { .document = R1 };
        _cleanup_free_ struct gw_order *order = NULL;
        struct gw_error err = { 0 };
        struct fixture fixture;
        (void) state;
        lay(&fixture, &file, 1, false, R1, NULL);
        fixture.artifacts[0].image = 2;
        put_part(&fixture.packages[0], 0, "1.1.0", 3);
        assert_int_equal(order_make(&fixture.campaign, &fixture.device, &fixture.files[0], NULL, &order, &err), 0);
        assert_int_equal(order->wanted[0].image, 2);
        put_part(&fixture.packages[0], 1, "1.1.0", 4);
        assert_int_equal(order_make(&fixture.campaign, &fixture.device, &fixture.files[0], NULL, &order, &err), -EINVAL);
        assert_string_equal(err.name, "format-mismatch");
        clear(&fixture);
}

static void test_format_of_another_driver(void **state) {
        static const struct file file = { .document = R1 };
        _cleanup_free_ struct gw_order *order = NULL;
        struct gw_error err = { 0 };
        struct fixture fixture;
        (void) state;
        lay(&fixture, &file, 1, false, R1, NULL);
        put_part(&fixture.packages[0], 0, "1.1.0", 3);
        (void) str_copy(fixture.packages[0].content.format, sizeof fixture.packages[0].content.format, "other");
        assert_true(order_make(&fixture.campaign, &fixture.device, &fixture.files[0], NULL, &order, &err) < 0);
        assert_string_equal(err.name, "format-not-for-driver");
        clear(&fixture);
}

static void test_file_is_not_here(void **state) {
        static const struct file files[] = { { .document = R1, .is_unread = true }, { .document = R1, .error = "digest-mismatch" } };
        _cleanup_free_ struct gw_order *order = NULL;
        struct gw_error err = { 0 };
        struct fixture fixture;
        (void) state;
        lay(&fixture, files, 2, false, R1, NULL);
        assert_int_equal(order_make(&fixture.campaign, &fixture.device, &fixture.files[0], NULL, &order, &err), -EAGAIN);
        assert_string_equal(err.name, "fetching");
        (void) str_copy(fixture.files[0].waiting, sizeof fixture.files[0].waiting, "disk-full");
        assert_int_equal(order_make(&fixture.campaign, &fixture.device, &fixture.files[0], NULL, &order, &err), -EAGAIN);
        assert_string_equal(err.name, "disk-full");
        assert_int_equal(order_make(&fixture.campaign, &fixture.device, &fixture.files[1], NULL, &order, &err), -EIO);
        assert_string_equal(err.name, "digest-mismatch");
        clear(&fixture);
}

/* A rollback wants what lay in the other slot when it was ordered, whatever lies there later. */
static void test_rollback(void **state) {
        _cleanup_free_ struct gw_order *order = NULL, *again = NULL, *none = NULL;
        _cleanup_free_ char *wanted = NULL;
        struct gw_error err = { 0 };
        struct fixture fixture;
        (void) state;
        lay(&fixture, NULL, 0, true, R1, NULL);
        fixture.document.rollback = true;
        assert_int_equal(order_make(&fixture.campaign, &fixture.device, NULL, NULL, &none, &err), -EAGAIN);
        assert_string_equal(err.name, "inventory-unknown");
        put_image(&fixture, 0, 0, GW_IMAGE_ACTIVE | GW_IMAGE_CONFIRMED, "1.1.0", 1);
        assert_int_equal(order_make(&fixture.campaign, &fixture.device, NULL, NULL, &none, &err), -ENOENT);
        assert_string_equal(err.name, "rollback-image-gone");
        put_image(&fixture, 0, 1, 0, "1.0.0", 2);
        assert_int_equal(order_make(&fixture.campaign, &fixture.device, NULL, NULL, &order, &err), 0);
        assert_int_equal(order->n_wanted, 1);
        assert_int_equal(order->wanted[0].hash[31], 2);
        assert_true(order->rollback);
        assert_int_equal(order_check(&fixture.campaign, &fixture.device, order, NULL, NULL), 0); /* older, and meant so */
        assert_int_equal(order_write_wanted(order, &wanted), 0);
        set_hash(fixture.images[1].hash, &fixture.images[1].hash_size, 3);
        assert_int_equal(order_make(&fixture.campaign, &fixture.device, NULL, wanted, &again, &err), 0);
        assert_int_equal(again->n_wanted, 1);
        assert_int_equal(again->wanted[0].hash[31], 2);
        assert_string_equal(again->wanted[0].version, "1.0.0");
        clear(&fixture);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_choose),          cmocka_unit_test(test_downgrade),
                cmocka_unit_test(test_image_number),    cmocka_unit_test(test_downgrade_of_one_image),
                cmocka_unit_test(test_file_is_not_here), cmocka_unit_test(test_model_is_judged_again),
                cmocka_unit_test(test_rollback),        cmocka_unit_test(test_format_of_another_driver),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
