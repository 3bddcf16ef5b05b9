/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/console.h"

#include <stdlib.h>

/*
 * A packet is the message's length + 2 (16 bit), the message, its CRC; base64 of that, cut into lines:
 *
 *     06 09 <base64> 0a        first line
 *     04 14 <base64> 0a        following lines, each a whole number of base64 groups
 *
 * Decoding works line by line. A first line throws away a packet that was not finished; a following line without a beginning
 * is dropped; a packet is whole when it has as many bytes as its length says.
 */

#define LINE_CHARACTERS (SMP_CONSOLE_LINE_MAX - 3) /* of base64 */
#define LINE_BYTES (LINE_CHARACTERS / 4 * 3)       /* that they carry */

static const uint8_t first_marker[2] = { 0x06, 0x09 };
static const uint8_t next_marker[2] = { 0x04, 0x14 };

/* Nibble by nibble: CRC-16/XMODEM, polynomial 0x1021. */
static const uint16_t crc_table[16] = {
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
};

uint16_t smp_console_crc16(uint16_t crc, const uint8_t *data, size_t size) {
        for (size_t i = 0; i < size; i++) {
                crc = (uint16_t) (crc << 4 ^ crc_table[(crc >> 12 ^ data[i] >> 4) & 15]);
                crc = (uint16_t) (crc << 4 ^ crc_table[(crc >> 12 ^ data[i]) & 15]);
        }
        return crc;
}

/* ---- encoder */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct encoder {
        const uint8_t *message;
        size_t size;
        uint8_t length[2], crc[2];
};

/* Byte of the packet: length, message, CRC. */
static uint8_t packet_byte(const struct encoder *encoder, size_t index) {
        if (index < 2)
                return encoder->length[index];
        index -= 2;
        return index < encoder->size ? encoder->message[index] : encoder->crc[index - encoder->size];
}

size_t smp_console_encoded_size(size_t message_size) {
        size_t packet_size = message_size + 4;
        size_t n_lines = (packet_size + LINE_BYTES - 1) / LINE_BYTES;

        return (packet_size + 2) / 3 * 4 + n_lines * 3;
}

static uint8_t *encode_group(const struct encoder *encoder, size_t at, size_t n_bytes, uint8_t *out) {
        uint32_t bits = (uint32_t) packet_byte(encoder, at) << 16;

        if (n_bytes > 1)
                bits |= (uint32_t) packet_byte(encoder, at + 1) << 8;
        if (n_bytes > 2)
                bits |= packet_byte(encoder, at + 2);
        *out++ = (uint8_t) alphabet[bits >> 18];
        *out++ = (uint8_t) alphabet[bits >> 12 & 63];
        *out++ = n_bytes > 1 ? (uint8_t) alphabet[bits >> 6 & 63] : '=';
        *out++ = n_bytes > 2 ? (uint8_t) alphabet[bits & 63] : '=';
        return out;
}

int smp_console_encode(const uint8_t *message, size_t size, uint8_t *ret_lines, size_t capacity, size_t *ret_size) {
        struct encoder encoder = { .message = message, .size = size };
        uint16_t crc = smp_console_crc16(0, message, size);
        size_t packet_size = size + 4;
        uint8_t *out = ret_lines;

        if (size > UINT16_MAX - 2)
                return -EMSGSIZE;
        if (capacity < smp_console_encoded_size(size))
                return -ENOSPC;
        encoder.length[0] = (uint8_t) ((size + 2) >> 8);
        encoder.length[1] = (uint8_t) (size + 2);
        encoder.crc[0] = (uint8_t) (crc >> 8);
        encoder.crc[1] = (uint8_t) crc;
        for (size_t at = 0; at < packet_size; at += 3) {
                if (at % LINE_BYTES == 0) {
                        const uint8_t *marker = at == 0 ? first_marker : next_marker;

                        if (at > 0)
                                *out++ = '\n';
                        *out++ = marker[0];
                        *out++ = marker[1];
                }
                out = encode_group(&encoder, at, packet_size - at, out);
        }
        *out++ = '\n';
        *ret_size = (size_t) (out - ret_lines);
        return 0;
}

/* ---- decoder */

void smp_console_decoder_init(struct smp_console_decoder *decoder, size_t message_max) {
        *decoder = (struct smp_console_decoder){ .message_max = message_max > 0 ? message_max : SMP_RECEIVE_MAX };
}

void smp_console_decoder_deinit(struct smp_console_decoder *decoder) {
        free(decoder->packet);
        decoder->packet = NULL;
        decoder->packet_capacity = 0;
}

/* 0..63, 64 for the padding, 255 for anything else. */
static uint8_t digit(uint8_t character) {
        if (character >= 'A' && character <= 'Z')
                return (uint8_t) (character - 'A');
        if (character >= 'a' && character <= 'z')
                return (uint8_t) (character - 'a' + 26);
        if (character >= '0' && character <= '9')
                return (uint8_t) (character - '0' + 52);
        if (character == '+')
                return 62;
        if (character == '/')
                return 63;
        return character == '=' ? 64 : 255;
}

/* One group of four characters. Bytes it carries (1..3), or 0 when it is none. */
static size_t decode_group(const uint8_t *text, uint8_t *ret_bytes) {
        uint8_t a = digit(text[0]), b = digit(text[1]), c = digit(text[2]), d = digit(text[3]);

        if (a > 63 || b > 63 || c > 64 || d > 64 || (c == 64 && d != 64))
                return 0;
        ret_bytes[0] = (uint8_t) (a << 2 | b >> 4);
        if (c == 64)
                return 1;
        ret_bytes[1] = (uint8_t) (b << 4 | c >> 2);
        if (d == 64)
                return 2;
        ret_bytes[2] = (uint8_t) (c << 6 | d);
        return 3;
}

/* Decodes in place behind the marker. Bytes, or -1. Padding ends the text. */
static int decode_line(uint8_t *text, size_t size) {
        size_t n_bytes = 0;

        if (size == 0 || size % 4 != 0)
                return -1;
        for (size_t at = 0; at < size; at += 4) {
                uint8_t group[3];
                size_t n = decode_group(text + at, group);

                if (n == 0 || (n < 3 && at + 4 < size))
                        return -1;
                for (size_t i = 0; i < n; i++)
                        text[n_bytes++] = group[i];
        }
        return (int) n_bytes;
}

static void packet_drop(struct smp_console_decoder *decoder) {
        if (decoder->packet_wanted > 0)
                decoder->statistics.incomplete++;
        decoder->packet_wanted = 0;
        decoder->packet_size = 0;
}

static int packet_reserve(struct smp_console_decoder *decoder, size_t size) {
        size_t capacity = decoder->packet_capacity > 0 ? decoder->packet_capacity : 256;
        uint8_t *packet;

        if (size <= decoder->packet_capacity)
                return 0;
        while (capacity < size)
                capacity *= 2;
        packet = realloc(decoder->packet, capacity);
        if (!packet)
                return -ENOMEM;
        decoder->packet = packet;
        decoder->packet_capacity = capacity;
        return 0;
}

static void bad_line(struct smp_console_decoder *decoder, size_t size) {
        decoder->statistics.bad_lines++;
        decoder->statistics.noise_bytes += size;
        decoder->packet_wanted = 0;
        decoder->packet_size = 0;
}

/* The packet has all its bytes: length, message, CRC. The CRC over message and CRC is 0. */
static void packet_complete(struct smp_console_decoder *decoder) {
        size_t size = decoder->packet_wanted - 2;
        const uint8_t *message = decoder->packet + 2;

        decoder->packet_wanted = 0;
        decoder->packet_size = 0;
        if (smp_console_crc16(0, message, size) != 0) {
                decoder->statistics.bad_crc++;
                return;
        }
        decoder->statistics.messages++;
        if (decoder->message)
                decoder->message(decoder->ctx, message, size - 2);
}

static int packet_append(struct smp_console_decoder *decoder, const uint8_t *data, size_t size, size_t line_size) {
        int r;

        if (decoder->packet_size + size > decoder->packet_wanted) {
                bad_line(decoder, line_size);
                return 0;
        }
        r = packet_reserve(decoder, decoder->packet_size + size);
        if (r < 0) {
                packet_drop(decoder);
                return r;
        }
        memcpy(decoder->packet + decoder->packet_size, data, size);
        decoder->packet_size += size;
        if (decoder->packet_size == decoder->packet_wanted)
                packet_complete(decoder);
        return 0;
}

static int first_line(struct smp_console_decoder *decoder, const uint8_t *data, size_t size, size_t line_size) {
        size_t wanted;

        packet_drop(decoder);
        if (size < 2) {
                bad_line(decoder, line_size);
                return 0;
        }
        wanted = ((size_t) data[0] << 8 | data[1]) + 2; /* with the length itself */
        if (wanted < 4 || wanted - 4 > decoder->message_max) {
                bad_line(decoder, line_size);
                return 0;
        }
        decoder->packet_wanted = wanted;
        return packet_append(decoder, data, size, line_size);
}

static void noise_line(struct smp_console_decoder *decoder) {
        if (decoder->line_size == 0)
                return;
        decoder->statistics.noise_lines++;
        decoder->statistics.noise_bytes += decoder->line_size;
        if (decoder->noise)
                decoder->noise(decoder->noise_ctx, (const char *) decoder->line, decoder->line_size);
}

static int line_complete(struct smp_console_decoder *decoder) {
        size_t size = decoder->line_size;
        uint8_t *line = decoder->line;
        bool first = size >= 2 && memcmp(line, first_marker, 2) == 0;
        bool next = size >= 2 && memcmp(line, next_marker, 2) == 0;
        int n_bytes;

        if (!first && !next) {
                noise_line(decoder);
                return 0;
        }
        n_bytes = decoder->line_overlong ? -1 : decode_line(line + 2, size - 2);
        if (n_bytes < 0) {
                bad_line(decoder, size);
                return 0;
        }
        if (first)
                return first_line(decoder, line + 2, (size_t) n_bytes, size);
        if (decoder->packet_wanted == 0) {
                decoder->statistics.incomplete++;
                return 0;
        }
        return packet_append(decoder, line + 2, (size_t) n_bytes, size);
}

static int line_end(struct smp_console_decoder *decoder) {
        int r = line_complete(decoder);

        decoder->line_size = 0;
        decoder->line_overlong = false;
        return r;
}

/* A marker in mid-line begins a line, too: a prompt or half a log line may stand before it. The bytes before it are noise. */
static void line_restart(struct smp_console_decoder *decoder) {
        size_t size = decoder->line_size;
        uint8_t marker[2];

        if (size < 3)
                return;
        memcpy(marker, decoder->line + size - 2, 2);
        if (memcmp(marker, first_marker, 2) != 0 && memcmp(marker, next_marker, 2) != 0)
                return;
        decoder->line_size = size - 2;
        noise_line(decoder);
        memcpy(decoder->line, marker, 2);
        decoder->line_size = 2;
        decoder->line_overlong = false;
}

static void line_byte(struct smp_console_decoder *decoder, uint8_t byte) {
        if (decoder->line_size == sizeof decoder->line) {
                /* Noise without an end: keep the last byte, it may be half a marker. */
                decoder->statistics.noise_bytes += decoder->line_size - 1;
                decoder->line[0] = decoder->line[decoder->line_size - 1];
                decoder->line_size = 1;
                decoder->line_overlong = true;
        }
        decoder->line[decoder->line_size++] = byte;
        if (byte == first_marker[1] || byte == next_marker[1])
                line_restart(decoder);
}

int smp_console_decoder_feed(struct smp_console_decoder *decoder, const uint8_t *data, size_t size) {
        int result = 0;

        decoder->statistics.bytes += size;
        for (size_t i = 0; i < size; i++) {
                int r = 0;

                /* Both ends of a line are accepted, also together; an empty line is nothing. */
                if (data[i] == '\n' || data[i] == '\r')
                        r = line_end(decoder);
                else
                        line_byte(decoder, data[i]);
                if (r < 0)
                        result = r;
        }
        return result;
}
