/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/image.h"

#define REQUEST_PAYLOAD_MAX 128 /* of all requests made here */
#define ECHO_TEXT_MAX 64

/* A request under construction: room for the header, then the map. */
struct small_request {
        uint8_t frame[SMP_HEADER_SIZE + REQUEST_PAYLOAD_MAX];
        struct cbor_writer writer;
};

static void small_request_init(struct small_request *small, size_t n_pairs) {
        small->writer = CBOR_WRITER(small->frame + SMP_HEADER_SIZE, REQUEST_PAYLOAD_MAX);
        cbor_write_map(&small->writer, n_pairs);
}

/* `request` holds what the caller knows; frame and size come from `small`. */
static int small_request_send(struct smp_client *client, struct small_request *small, struct smp_request *request, uint32_t *ret_id) {
        if (small->writer.overflow)
                return -EINVAL;
        request->frame = small->frame;
        request->payload_size = small->writer.size;
        return smp_client_request(client, request, ret_id);
}

/* ---- parsing */

static void flag_read(const struct cbor_map *map, const struct cbor_item *item, const char *key, uint32_t flag, uint32_t *flags) {
        bool set = false;

        cbor_map_get_bool(map, item, key, &set);
        if (set)
                *flags |= flag;
}

/* -EBADMSG when it is no image that we could name. */
static int image_parse(const struct cbor_map *map, const struct cbor_item *item, struct gw_image *ret_image) {
        struct gw_image image = { 0 };
        const uint8_t *hash;
        size_t hash_size;
        uint64_t number = 0, slot = 0;

        if (cbor_map_get_uint(map, item, "image", UINT8_MAX, &number) == -ERANGE ||
            cbor_map_get_uint(map, item, "slot", UINT8_MAX, &slot) < 0)
                return -EBADMSG;
        image.image = (uint8_t) number;
        image.slot = (uint8_t) slot;
        if (cbor_map_get_bytes(map, item, "hash", &hash, &hash_size) == 0 && hash_size <= sizeof image.hash) {
                memcpy(image.hash, hash, hash_size);
                image.hash_size = (uint8_t) hash_size;
        }
        cbor_map_get_text_cut(map, item, "version", image.version, sizeof image.version);
        flag_read(map, item, "active", GW_IMAGE_ACTIVE, &image.flags);
        flag_read(map, item, "confirmed", GW_IMAGE_CONFIRMED, &image.flags);
        flag_read(map, item, "pending", GW_IMAGE_PENDING, &image.flags);
        flag_read(map, item, "permanent", GW_IMAGE_PERMANENT, &image.flags);
        flag_read(map, item, "bootable", GW_IMAGE_BOOTABLE, &image.flags);
        *ret_image = image;
        return 0;
}

int smp_image_state_parse(const struct cbor_map *map, struct smp_image_state *ret_state) {
        const struct cbor_item *list = cbor_map_find(map, NULL, "images");
        struct smp_image_state state = { 0 };

        if (!list || list->kind != CBOR_KIND_ARRAY)
                return -EBADMSG;
        for (const struct cbor_item *item = cbor_map_first(map, list); item; item = cbor_map_next(map, list, item)) {
                if (state.n_images < GW_IMAGES_MAX && image_parse(map, item, &state.images[state.n_images]) == 0)
                        state.n_images++;
                else
                        state.n_left_out++;
        }
        *ret_state = state;
        return 0;
}

static void slot_parse(const struct cbor_map *map, const struct cbor_item *item, uint8_t image, struct smp_slot_info *info) {
        struct smp_slot slot = { .image = image, .upload_image = -1 };
        uint64_t number = 0, size = 0, upload;

        if (info->n_slots >= GW_IMAGES_MAX || cbor_map_get_uint(map, item, "slot", UINT8_MAX, &number) < 0)
                return;
        slot.slot = (uint8_t) number;
        /* A slot that could not be opened has a code in place of its size. */
        cbor_map_get_uint(map, item, "size", UINT32_MAX, &size);
        slot.size = (uint32_t) size;
        if (cbor_map_get_uint(map, item, "upload_image_id", INT16_MAX, &upload) == 0)
                slot.upload_image = (int16_t) upload;
        info->slots[info->n_slots++] = slot;
}

static void image_slots_parse(const struct cbor_map *map, const struct cbor_item *item, struct smp_slot_info *info) {
        const struct cbor_item *slots = cbor_map_find(map, item, "slots");
        uint64_t image = 0, size;

        if (cbor_map_get_uint(map, item, "image", UINT8_MAX, &image) == -ERANGE)
                return;
        if (cbor_map_get_uint(map, item, "max_image_size", UINT32_MAX, &size) == 0 && info->n_max_image_sizes < GW_IMAGES_MAX) {
                info->max_image_size[info->n_max_image_sizes].image = (uint8_t) image;
                info->max_image_size[info->n_max_image_sizes].bytes = (uint32_t) size;
                info->n_max_image_sizes++;
        }
        if (!slots || slots->kind != CBOR_KIND_ARRAY)
                return;
        for (const struct cbor_item *slot = cbor_map_first(map, slots); slot; slot = cbor_map_next(map, slots, slot))
                slot_parse(map, slot, (uint8_t) image, info);
}

int smp_slot_info_parse(const struct cbor_map *map, struct smp_slot_info *ret_info) {
        const struct cbor_item *list = cbor_map_find(map, NULL, "images");
        struct smp_slot_info info = { 0 };

        if (!list || list->kind != CBOR_KIND_ARRAY)
                return -EBADMSG;
        for (const struct cbor_item *item = cbor_map_first(map, list); item; item = cbor_map_next(map, list, item))
                image_slots_parse(map, item, &info);
        *ret_info = info;
        return 0;
}

const struct gw_image *smp_image_find(const struct smp_image_state *state, unsigned image, unsigned slot) {
        for (size_t i = 0; i < state->n_images; i++)
                if (state->images[i].image == image && state->images[i].slot == slot)
                        return &state->images[i];
        return NULL;
}

const struct gw_image *smp_image_find_hash(const struct smp_image_state *state, unsigned image, const uint8_t *hash, size_t hash_size) {
        for (size_t i = 0; i < state->n_images; i++) {
                const struct gw_image *found = &state->images[i];

                if (found->image == image && hash_size > 0 && found->hash_size == hash_size && memcmp(found->hash, hash, hash_size) == 0)
                        return found;
        }
        return NULL;
}

/* ---- state */

/* The answer to a read must hold a list, the one to a write may. */
static void state_deliver(void *ctx, const struct smp_answer *answer, bool list_needed) {
        smp_image_state_done done = (smp_image_state_done) answer->then;
        struct smp_image_state state = { 0 };
        struct smp_answer bad = *answer;

        if (answer->result < 0) {
                done(ctx, answer, NULL);
                return;
        }
        if (smp_image_state_parse(answer->map, &state) < 0 && list_needed) {
                bad.result = -EBADMSG;
                done(ctx, &bad, NULL);
                return;
        }
        done(ctx, answer, &state);
}

static void read_answered(void *ctx, const struct smp_answer *answer) {
        state_deliver(ctx, answer, true);
}

static void write_answered(void *ctx, const struct smp_answer *answer) {
        state_deliver(ctx, answer, false);
}

int smp_image_read(struct smp_client *client, smp_image_state_done done, void *ctx, uint32_t *ret_id) {
        struct smp_request request = {
                .group = SMP_GROUP_IMAGE,
                .command = SMP_IMAGE_STATE,
                .op = SMP_OP_READ,
                .timeout_ms = SMP_TIMEOUT_STATE_MS,
                .resends = smp_client_resends(client),
                .done = read_answered,
                .ctx = ctx,
                .then = (void (*)(void)) done,
        };
        struct small_request small;

        small_request_init(&small, 0);
        return small_request_send(client, &small, &request, ret_id);
}

int smp_image_write(struct smp_client *client, const struct smp_image_choice *choice, smp_image_state_done done, void *ctx,
                    uint32_t *ret_id) {
        struct smp_request request = {
                .group = SMP_GROUP_IMAGE,
                .command = SMP_IMAGE_STATE,
                .op = SMP_OP_WRITE,
                .timeout_ms = SMP_TIMEOUT_STATE_MS,
                .resends = choice->once ? 0 : smp_client_resends(client),
                .done = write_answered,
                .ctx = ctx,
                .then = (void (*)(void)) done,
        };
        struct small_request small;

        small_request_init(&small, choice->hash_size > 0 ? 2 : 1);
        if (choice->hash_size > 0) {
                cbor_write_text(&small.writer, "hash");
                cbor_write_bytes(&small.writer, choice->hash, choice->hash_size);
        }
        cbor_write_text(&small.writer, "confirm");
        cbor_write_bool(&small.writer, choice->confirm);
        return small_request_send(client, &small, &request, ret_id);
}

/* ---- erase, slot info */

static void plain_answered(void *ctx, const struct smp_answer *answer) {
        ((smp_done) answer->then)(ctx, answer);
}

int smp_image_erase(struct smp_client *client, int slot, smp_done done, void *ctx, uint32_t *ret_id) {
        struct smp_request request = {
                .group = SMP_GROUP_IMAGE,
                .command = SMP_IMAGE_ERASE,
                .op = SMP_OP_WRITE,
                .timeout_ms = SMP_TIMEOUT_ERASE_MS,
                .done = plain_answered,
                .ctx = ctx,
                .then = (void (*)(void)) done,
        };
        struct small_request small;

        small_request_init(&small, slot >= 0 ? 1 : 0);
        if (slot >= 0) {
                cbor_write_text(&small.writer, "slot");
                cbor_write_uint(&small.writer, (uint64_t) slot);
        }
        return small_request_send(client, &small, &request, ret_id);
}

static void slot_info_answered(void *ctx, const struct smp_answer *answer) {
        smp_slot_info_done done = (smp_slot_info_done) answer->then;
        struct smp_slot_info info = { 0 };
        struct smp_answer bad = *answer;

        if (answer->result == 0 && smp_slot_info_parse(answer->map, &info) < 0)
                bad.result = -EBADMSG;
        done(ctx, &bad, bad.result == 0 ? &info : NULL);
}

int smp_slot_info_read(struct smp_client *client, smp_slot_info_done done, void *ctx, uint32_t *ret_id) {
        struct smp_request request = {
                .group = SMP_GROUP_IMAGE,
                .command = SMP_IMAGE_SLOT_INFO,
                .op = SMP_OP_READ,
                .timeout_ms = SMP_TIMEOUT_SLOT_INFO_MS,
                .resends = smp_client_resends(client),
                .done = slot_info_answered,
                .ctx = ctx,
                .then = (void (*)(void)) done,
        };
        struct small_request small;

        small_request_init(&small, 0);
        return small_request_send(client, &small, &request, ret_id);
}

/* ---- os group */

/* The device may be gone before its answer left: a dropped link after the request went out is a yes. */
static void reset_answered(void *ctx, const struct smp_answer *answer) {
        struct smp_answer taken = *answer;

        if (answer->result == -ENOTCONN && answer->sent)
                taken.result = 0;
        ((smp_done) answer->then)(ctx, &taken);
}

int smp_os_reset(struct smp_client *client, const struct smp_reset_options *options, smp_done done, void *ctx, uint32_t *ret_id) {
        struct smp_request request = {
                .group = SMP_GROUP_OS,
                .command = SMP_OS_RESET,
                .op = SMP_OP_WRITE,
                .done = reset_answered,
                .ctx = ctx,
                .then = (void (*)(void)) done,
        };
        bool has_mode = options && options->boot_mode >= 0, force = options && options->force;
        struct small_request small;

        small_request_init(&small, (size_t) has_mode + force);
        if (force) {
                cbor_write_text(&small.writer, "force");
                cbor_write_bool(&small.writer, true);
        }
        if (has_mode) {
                cbor_write_text(&small.writer, "boot_mode");
                cbor_write_uint(&small.writer, (uint64_t) options->boot_mode);
        }
        return small_request_send(client, &small, &request, ret_id);
}

int smp_os_echo(struct smp_client *client, const char *text, smp_done done, void *ctx, uint32_t *ret_id) {
        struct smp_request request = {
                .group = SMP_GROUP_OS,
                .command = SMP_OS_ECHO,
                .op = SMP_OP_WRITE,
                .resends = smp_client_resends(client),
                .done = plain_answered,
                .ctx = ctx,
                .then = (void (*)(void)) done,
        };
        struct small_request small;

        if (strlen(text) > ECHO_TEXT_MAX)
                return -EINVAL;
        small_request_init(&small, 1);
        cbor_write_text(&small.writer, "d");
        cbor_write_text(&small.writer, text);
        return small_request_send(client, &small, &request, ret_id);
}
