/* SPDX-License-Identifier: Apache-2.0 */
#include "blob.h"

#define FLAG_SEEN_ON_TRIAL 0x01
#define FLAG_UNMARKED 0x02
#define FLAG_SHORT_MESSAGES 0x04
#define FLAGS_KNOWN 0x07

#define HEAD_SIZE 12
#define ENTRY_SIZE 5 /* without the hash */

_Static_assert(BLOB_SIZE_MAX <= GW_BLOB_MAX, "the host would not take it");
_Static_assert(GW_PARTS_MAX <= 16, "chosen has 16 bits");

static size_t write_entry(const struct gw_image *image, uint8_t *bytes) {
        bytes[0] = image->image;
        bytes[1] = image->slot;
        bytes[2] = (uint8_t) (image->flags >> 8);
        bytes[3] = (uint8_t) image->flags;
        bytes[4] = image->hash_size;
        memcpy(bytes + ENTRY_SIZE, image->hash, image->hash_size);
        return ENTRY_SIZE + image->hash_size;
}

size_t blob_write(const struct blob *blob, uint8_t bytes[BLOB_SIZE_MAX]) {
        uint8_t flags = (uint8_t) ((blob->seen_on_trial ? FLAG_SEEN_ON_TRIAL : 0) | (blob->unmarked ? FLAG_UNMARKED : 0) |
                                   (blob->short_messages ? FLAG_SHORT_MESSAGES : 0));
        const uint8_t head[HEAD_SIZE] = {
                'S',
                'B',
                BLOB_VERSION,
                (uint8_t) blob->phase,
                flags,
                (uint8_t) blob->family,
                blob->n_resets,
                blob->n_clears,
                blob->n_trials,
                (uint8_t) (blob->chosen >> 8),
                (uint8_t) blob->chosen,
                (uint8_t) blob->n_before,
        };
        size_t used = sizeof head;

        memcpy(bytes, head, sizeof head);
        for (size_t i = 0; i < blob->n_before; i++)
                used += write_entry(&blob->before[i], bytes + used);
        return used;
}

/* Bytes taken, 0 = malformed. */
static size_t read_entry(const uint8_t *bytes, size_t size, struct gw_image *ret_image) {
        struct gw_image image = { 0 };

        if (size < ENTRY_SIZE || bytes[4] > GW_HASH_MAX || size - ENTRY_SIZE < bytes[4])
                return 0;
        image.image = bytes[0];
        image.slot = bytes[1];
        image.flags = (uint32_t) (bytes[2] << 8 | bytes[3]);
        image.hash_size = bytes[4];
        memcpy(image.hash, bytes + ENTRY_SIZE, image.hash_size);
        *ret_image = image;
        return ENTRY_SIZE + (size_t) image.hash_size;
}

static int read_entries(const uint8_t *bytes, size_t size, struct blob *blob) {
        for (size_t i = 0; i < blob->n_before; i++) {
                size_t taken = read_entry(bytes, size, &blob->before[i]);

                if (!taken)
                        return -EBADMSG;
                bytes += taken;
                size -= taken;
        }
        return size ? -EBADMSG : 0;
}

int blob_read(const void *data, size_t size, struct blob *ret_blob) {
        const uint8_t *bytes = data;
        struct blob blob = { 0 };
        int r;

        if (size < HEAD_SIZE || bytes[0] != 'S' || bytes[1] != 'B')
                return -EBADMSG;
        if (bytes[2] != BLOB_VERSION)
                return -EPROTONOSUPPORT;
        if (bytes[3] >= BLOB_PHASE_COUNT_ || (bytes[4] & ~FLAGS_KNOWN) || bytes[5] > VERDICT_FAMILY_UNSUPPORTED ||
            bytes[11] > GW_IMAGES_MAX)
                return -EBADMSG;
        blob.phase = (enum blob_phase) bytes[3];
        blob.seen_on_trial = bytes[4] & FLAG_SEEN_ON_TRIAL;
        blob.unmarked = bytes[4] & FLAG_UNMARKED;
        blob.short_messages = bytes[4] & FLAG_SHORT_MESSAGES;
        blob.family = (enum verdict_family) bytes[5];
        blob.n_resets = bytes[6];
        blob.n_clears = bytes[7];
        blob.n_trials = bytes[8];
        blob.chosen = (uint16_t) (bytes[9] << 8 | bytes[10]);
        blob.n_before = bytes[11];
        r = read_entries(bytes + HEAD_SIZE, size - HEAD_SIZE, &blob);
        if (r < 0)
                return r;
        *ret_blob = blob;
        return 0;
}

void blob_keep_before(struct blob *blob, const struct gw_image *images, size_t n_images) {
        blob->n_before = n_images < GW_IMAGES_MAX ? n_images : GW_IMAGES_MAX;
        for (size_t i = 0; i < blob->n_before; i++) {
                blob->before[i] = (struct gw_image){
                        .image = images[i].image,
                        .slot = images[i].slot,
                        .flags = images[i].flags & UINT16_MAX,
                        .hash_size = images[i].hash_size,
                };
                if (blob->before[i].hash_size > GW_HASH_MAX)
                        blob->before[i].hash_size = 0;
                memcpy(blob->before[i].hash, images[i].hash, blob->before[i].hash_size);
        }
}
