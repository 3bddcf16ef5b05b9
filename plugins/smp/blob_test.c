/* SPDX-License-Identifier: Apache-2.0 */
#include "blob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct blob full_blob(void) {
        struct blob blob = {
                .phase = BLOB_READY,
                .seen_on_trial = true,
                .unmarked = true,
                .short_messages = true,
                .family = VERDICT_FAMILY_XIP_REVERT,
                .n_resets = 2,
                .n_clears = 1,
                .n_trials = 3,
                .chosen = 0x8001,
        };
        struct gw_image images[GW_IMAGES_MAX] = { 0 };

        for (size_t i = 0; i < GW_IMAGES_MAX; i++) {
                images[i].image = (uint8_t) (i / 2);
                images[i].slot = (uint8_t) (i % 2);
                images[i].flags = GW_IMAGE_ACTIVE << (i % 5);
                images[i].hash_size = i % 3 == 0 ? 64 : i % 3 == 1 ? 32 : 0;
                memset(images[i].hash, (int) i + 1, images[i].hash_size);
        }
        blob_keep_before(&blob, images, GW_IMAGES_MAX);
        return blob;
}

static void test_round_trip(void **state) {
        struct blob blobs[] = { full_blob(), { 0 } };
        uint8_t bytes[BLOB_SIZE_MAX], again[BLOB_SIZE_MAX];

        (void) state;
        for (size_t i = 0; i < 2; i++) {
                struct blob read;
                size_t size = blob_write(&blobs[i], bytes);

                assert_true(size <= BLOB_SIZE_MAX);
                assert_int_equal(blob_read(bytes, size, &read), 0);
                assert_int_equal(read.phase, blobs[i].phase);
                assert_int_equal(read.family, blobs[i].family);
                assert_int_equal(read.seen_on_trial, blobs[i].seen_on_trial);
                assert_int_equal(read.unmarked, blobs[i].unmarked);
                assert_int_equal(read.short_messages, blobs[i].short_messages);
                assert_int_equal(read.n_trials, blobs[i].n_trials);
                assert_int_equal(read.chosen, blobs[i].chosen);
                assert_int_equal(read.n_before, blobs[i].n_before);
                assert_int_equal(blob_write(&read, again), size);
                assert_memory_equal(again, bytes, size);
        }
}

/* Every shorter or longer piece of it is refused and leaves the result alone. */
static void test_cut(void **state) {
        struct blob blob = full_blob(), read = { .n_resets = 77 };
        uint8_t bytes[BLOB_SIZE_MAX + 1] = { 0 };
        size_t size = blob_write(&blob, bytes);

        (void) state;
        for (size_t cut = 0; cut < size; cut++)
                assert_int_equal(blob_read(bytes, cut, &read), -EBADMSG);
        assert_int_equal(blob_read(bytes, size + 1, &read), -EBADMSG);
        assert_int_equal(read.n_resets, 77);
}

static void test_refused_values(void **state) {
        static const struct {
                size_t at;
                uint8_t value;
                int result;
        } rows[] = {
                { 0, 'X', -EBADMSG },
                { 2, 0, -EPROTONOSUPPORT },
                { 2, BLOB_VERSION + 1, -EPROTONOSUPPORT },
                { 3, BLOB_PHASE_COUNT_, -EBADMSG },
                { 4, 0x80, -EBADMSG },
                { 5, 200, -EBADMSG },
                { 11, GW_IMAGES_MAX + 1, -EBADMSG },
                { 11, 1, -EBADMSG },
                { 16, 65, -EBADMSG }, /* hash size of the first slot */
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct blob blob = full_blob(), read;
                uint8_t bytes[BLOB_SIZE_MAX];
                size_t size = blob_write(&blob, bytes);

                bytes[rows[i].at] = rows[i].value;
                assert_int_equal(blob_read(bytes, size, &read), rows[i].result);
        }
}

/* A list with an absurd hash size is kept without that hash. */
static void test_keep_before(void **state) {
        struct gw_image images[1] = { { .hash_size = 255, .flags = GW_IMAGE_ACTIVE } };
        struct blob blob = { 0 };

        (void) state;
        blob_keep_before(&blob, images, 1);
        assert_int_equal(blob.n_before, 1);
        assert_int_equal(blob.before[0].hash_size, 0);
        assert_int_equal(blob.before[0].flags, GW_IMAGE_ACTIVE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_refused_values),
                cmocka_unit_test(test_keep_before),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
