/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/upload_packet.h"

#include <unistd.h>

/* Bytes of a text key of this length. */
#define KEY(length) (1 + (length))

size_t smp_upload_chunk_size(size_t budget, const struct smp_chunk_keys *keys) {
        static const size_t head_sizes[] = { 1, 2, 3, 5 };
        size_t fixed = SMP_HEADER_SIZE + 1 + KEY(3) + cbor_head_size(keys->off) + KEY(4);

        if (keys->first) {
                fixed += KEY(3) + cbor_head_size(keys->len);
                if (keys->sha_size > 0)
                        fixed += KEY(3) + cbor_head_size(keys->sha_size) + keys->sha_size;
                if (keys->image > 0)
                        fixed += KEY(5) + cbor_head_size(keys->image);
                if (keys->upgrade)
                        fixed += KEY(7) + 1;
        }
        for (size_t i = 0; i < sizeof head_sizes / sizeof head_sizes[0]; i++) {
                size_t head = head_sizes[i];

                if (budget > fixed + head && cbor_head_size(budget - fixed - head) <= head)
                        return budget - fixed - head;
        }
        return 0;
}

static size_t pairs(const struct smp_chunk_keys *keys) {
        return keys->first ? 3u + (keys->sha_size > 0) + (keys->image > 0) + keys->upgrade : 2u;
}

uint8_t *upload_packet_write(const struct upload_packet *packet, uint8_t *payload, size_t capacity, size_t *ret_size) {
        const struct smp_chunk_keys *keys = &packet->keys;
        struct cbor_writer writer = CBOR_WRITER(payload, capacity);
        uint8_t *data;

        cbor_write_map(&writer, pairs(keys));
        cbor_write_text(&writer, "off");
        cbor_write_uint(&writer, keys->off);
        if (keys->first) {
                cbor_write_text(&writer, "len");
                cbor_write_uint(&writer, keys->len);
                if (keys->sha_size > 0) {
                        cbor_write_text(&writer, "sha");
                        cbor_write_bytes(&writer, packet->sha, keys->sha_size);
                }
                if (keys->image > 0) {
                        cbor_write_text(&writer, "image");
                        cbor_write_uint(&writer, keys->image);
                }
                if (keys->upgrade) {
                        cbor_write_text(&writer, "upgrade");
                        cbor_write_bool(&writer, true);
                }
        }
        cbor_write_text(&writer, "data");
        data = cbor_write_bytes_room(&writer, packet->data_size);
        if (data)
                *ret_size = writer.size;
        return data;
}

int smp_upload_read_part(void *ctx, uint64_t offset, void *buffer, size_t size) {
        const struct gw_part *part = ctx;
        uint8_t *to = buffer;

        if (offset > part->size || size > part->size - offset)
                return -EINVAL;
        while (size > 0) {
                ssize_t n = pread(part->fd, to, size, (off_t) (part->offset + offset));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EIO; /* the file became shorter */
                to += n;
                offset += (uint64_t) n;
                size -= (size_t) n;
        }
        return 0;
}
