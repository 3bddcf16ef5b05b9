/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/ble.h"

#include <stdlib.h>

#include "common/smp/frame.h"
#include "common/smp/reserve.h"

#define PIECES_APART_MAX_MS 5000 /* the pieces of one answer follow each other within connection intervals */

void smp_ble_assembly_deinit(struct smp_ble_assembly *assembly) {
        free(assembly->bytes);
        *assembly = (struct smp_ble_assembly){ 0 };
}

static void drop(struct smp_ble_assembly *assembly) {
        if (assembly->wanted)
                assembly->n_broken++;
        assembly->wanted = assembly->size = 0;
}

/* Bytes of the message that these begin; 0: they cannot be the first of an answer. */
static size_t message_size(const uint8_t *data, size_t size) {
        unsigned op = data[0] & 7u, version = data[0] >> 3 & 3u;
        size_t whole;

        if (size < SMP_HEADER_SIZE)
                return 0;
        whole = SMP_HEADER_SIZE + ((size_t) data[2] << 8 | data[3]);
        if ((op != SMP_OP_READ_ANSWER && op != SMP_OP_WRITE_ANSWER) || version > SMP_VERSION_2 || data[0] >> 5 || data[1])
                return 0;
        return whole > SMP_RECEIVE_MAX || size > whole ? 0 : whole;
}

/* Part of the message under way? A lost packet shows in that the next one has the header of an answer, or too many bytes. The header of
 * one message can also stand in the middle of another; then the answer is lost and the request is sent again. */
static bool continues(const struct smp_ble_assembly *assembly, int64_t now_ms, const uint8_t *data, size_t size) {
        if (!assembly->wanted || size > assembly->wanted - assembly->size || now_ms - assembly->heard_ms > PIECES_APART_MAX_MS)
                return false;
        return message_size(data, size) == 0;
}

int smp_ble_assembly_feed(struct smp_ble_assembly *assembly, int64_t now_ms, const uint8_t *data, size_t size,
                          void (*message)(void *ctx, const uint8_t *data, size_t size), void *ctx) {
        int r;

        if (size == 0)
                return 0;
        if (!continues(assembly, now_ms, data, size)) {
                size_t whole = message_size(data, size);

                drop(assembly);
                if (whole == 0) {
                        assembly->n_broken++;
                        return 0;
                }
                r = smp_reserve(&assembly->bytes, &assembly->capacity, whole);
                if (r < 0)
                        return r;
                assembly->wanted = whole;
        }
        memcpy(assembly->bytes + assembly->size, data, size);
        assembly->size += size;
        assembly->heard_ms = now_ms;
        if (assembly->size == assembly->wanted) {
                size_t whole = assembly->wanted;

                assembly->wanted = assembly->size = 0;
                message(ctx, assembly->bytes, whole);
        }
        return 0;
}
