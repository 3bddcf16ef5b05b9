/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any bytes as the packets of a Bluetooth device. The first byte of each piece is the size of a packet; 0 lets time pass. What is handed on is a
 * message by its header, and no packet stays longer than the message it belongs to.
 */

#include <stdlib.h>

#include "common/smp/ble.h"
#include "common/smp/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_message(void *ctx, const uint8_t *data, size_t size) {
        struct smp_header header;

        (void) ctx;
        if (smp_header_read(data, size, &header) < 0 || size != SMP_HEADER_SIZE + (size_t) header.size || size > SMP_RECEIVE_MAX)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct smp_ble_assembly assembly = { 0 };
        int64_t now_ms = 0;

        while (size > 0) {
                size_t piece = data[0];

                data++;
                size--;
                if (piece == 0)
                        now_ms += 3000;
                if (piece > size)
                        piece = size;
                if (smp_ble_assembly_feed(&assembly, now_ms, data, piece, on_message, NULL) < 0 || assembly.size > assembly.capacity ||
                    assembly.size > assembly.wanted)
                        abort();
                data += piece;
                size -= piece;
        }
        smp_ble_assembly_deinit(&assembly);
        return 0;
}
