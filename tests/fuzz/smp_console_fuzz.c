/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any bytes as a serial line. Whole or byte by byte, the same messages must come of it; and what the encoder makes of the input must
 * come back as it was, in spite of what stands on the line before it.
 */

#include "common/smp/console.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
        uint64_t n, digest;
        const uint8_t *expected;
        size_t expected_size;
        bool found;
};

static void on_message(void *ctx, const uint8_t *data, size_t size) {
        struct heard *heard = ctx;

        heard->n++;
        for (size_t i = 0; i < size; i++)
                heard->digest = heard->digest * 31 + data[i];
        heard->found = size == heard->expected_size && (size == 0 || memcmp(data, heard->expected, size) == 0);
}

static void on_noise(void *ctx, const char *line, size_t size) {
        uint64_t *sum = ctx;

        for (size_t i = 0; i < size; i++)
                *sum += (uint8_t) line[i];
}

static struct smp_console_statistics decode(struct heard *heard, const uint8_t *data, size_t size, size_t piece) {
        struct smp_console_decoder decoder;
        uint64_t sum = 0;

        smp_console_decoder_init(&decoder, 1024);
        decoder.message = on_message;
        decoder.ctx = heard;
        decoder.noise = on_noise;
        decoder.noise_ctx = &sum;
        for (size_t at = 0; at < size; at += piece)
                smp_console_decoder_feed(&decoder, data + at, size - at < piece ? size - at : piece);
        if (decoder.packet_capacity > 4096 || decoder.statistics.messages != heard->n)
                abort();
        smp_console_decoder_deinit(&decoder);
        return decoder.statistics;
}

static void comes_back(const uint8_t *data, size_t size) {
        size_t message_size = size < 1024 ? size : 1024, encoded_size, room = smp_console_encoded_size(message_size);
        struct heard heard = { .expected = data, .expected_size = message_size };
        uint8_t *line = malloc(size + 1 + room);

        if (!line)
                abort();
        if (size > 0)
                memcpy(line, data, size);
        line[size] = '\n';
        if (smp_console_encode(data, message_size, line + size + 1, room, &encoded_size) < 0 || encoded_size != room)
                abort();
        decode(&heard, line, size + 1 + room, 64);
        if (!heard.found)
                abort();
        free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct heard whole = { 0 }, pieces = { 0 };
        struct smp_console_statistics a = decode(&whole, data, size, size > 0 ? size : 1);
        struct smp_console_statistics b = decode(&pieces, data, size, 1);

        if (whole.n != pieces.n || whole.digest != pieces.digest || memcmp(&a, &b, sizeof a) != 0)
                abort();
        comes_back(data, size);
        return 0;
}
