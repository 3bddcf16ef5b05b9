/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The image group and the reset: what lies in the slots, test, confirm, erase, slot sizes. Each call is one request, resent on silence,
 * and follows the async contract: < 0 and `done` never comes, or 0 and it comes once, later. `ret_id` may be NULL; smp_client_cancel()
 * takes the id. Upload has a file of its own.
 */

#include "common/smp/client.h"

/* A device's slots. A slot that is not listed is empty or holds no readable image. */
struct smp_image_state {
        struct gw_image images[GW_IMAGES_MAX];
        size_t n_images;
        size_t n_left_out; /* beyond GW_IMAGES_MAX, or not understandable */
};

struct smp_slot {
        uint8_t image;
        uint8_t slot;
        uint32_t size;        /* bytes, 0 = the device could not open it */
        int16_t upload_image; /* number to give to the upload for this very slot; -1 not told */
};

struct smp_slot_info {
        struct smp_slot slots[GW_IMAGES_MAX];
        size_t n_slots;
        struct {
                uint8_t image;
                uint32_t bytes;
        } max_image_size[GW_IMAGES_MAX]; /* of the images that tell it */
        size_t n_max_image_sizes;
};

/* `state` is NULL unless answer->result is 0. */
typedef void (*smp_image_state_done)(void *ctx, const struct smp_answer *answer, const struct smp_image_state *state);
typedef void (*smp_slot_info_done)(void *ctx, const struct smp_answer *answer, const struct smp_slot_info *info);
typedef void (*smp_done)(void *ctx, const struct smp_answer *answer);

int smp_image_read(struct smp_client *client, smp_image_state_done done, void *ctx, uint32_t *ret_id);
/* Test: confirm = false, hash needed. confirm = true without hash (hash_size 0) confirms the running image. The state in the answer
 * says whether it took effect: look at the flags. Servers that answer without a list give a state with no image.
 *
 * `once`: silence is not answered by a resend. For the confirmation that ends a trial: were the new image taken back meanwhile, a
 * second one would reach the old image, name the one that has just failed, and make it boot for good. */
struct smp_image_choice {
        const uint8_t *hash;
        size_t hash_size;
        bool confirm;
        bool once;
};
int smp_image_write(struct smp_client *client, const struct smp_image_choice *choice, smp_image_state_done done, void *ctx,
                    uint32_t *ret_id);
/* slot < 0: the device's choice (the one not running). In multi-image builds slots count through: 2n, 2n + 1. */
int smp_image_erase(struct smp_client *client, int slot, smp_done done, void *ctx, uint32_t *ret_id);
int smp_slot_info_read(struct smp_client *client, smp_slot_info_done done, void *ctx, uint32_t *ret_id);

/*
 * Reset. Sent once, never again: a second one could end a trial. result 0 also when the link dropped after the request had
 * left (then answer->map is NULL). -ETIMEDOUT: not known whether it was heard; look at the device.
 */
struct smp_reset_options {
        bool force;
        int boot_mode; /* -1 = not sent; 1 = stay in the bootloader or firmware loader */
};
int smp_os_reset(struct smp_client *client, const struct smp_reset_options *options, smp_done done, void *ctx, uint32_t *ret_id);
/* `text` up to 64 characters; it comes back as `r` of answer->map. */
int smp_os_echo(struct smp_client *client, const char *text, smp_done done, void *ctx, uint32_t *ret_id);

/* Parsers, for tests and fuzzers. -EBADMSG when the map holds no list of images. */
int smp_image_state_parse(const struct cbor_map *map, struct smp_image_state *ret_state);
int smp_slot_info_parse(const struct cbor_map *map, struct smp_slot_info *ret_info);

/* NULL when there is none. */
const struct gw_image *smp_image_find(const struct smp_image_state *state, unsigned image, unsigned slot);
const struct gw_image *smp_image_find_hash(const struct smp_image_state *state, unsigned image, const uint8_t *hash, size_t hash_size);
