/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SMP over a console: messages as lines of base64 between log and shell text (Zephyr's smp_transport.rst, "serial").
 *
 *     byte link (serial port) -> decoder -> datagram link -> smp_client
 *
 * A console is made first, then the byte link with smp_console_link_handler and the console as its context, then both are joined
 * by attach. The datagram link belongs to whoever uses it; closing it closes the byte link and frees the console.
 * Noise is expected: whatever is no SMP line is counted and may be handed to a listener, for diagnosis.
 */

#include <gatewayd/plugin.h>

#include "common/smp/limits.h"

struct smp_console_statistics {
        uint64_t messages; /* good ones received */
        uint64_t bad_crc;
        uint64_t bad_lines;   /* marked as SMP, but no base64, too long, or not fitting the message */
        uint64_t incomplete;  /* messages begun and never finished, or continued without a beginning */
        uint64_t noise_lines; /* other text */
        uint64_t noise_bytes; /* in other text and bad lines */
        uint64_t bytes;       /* all that came */
};

/* ---- decoder: bytes in, messages out. Also what the fuzzer feeds. */

struct smp_console_decoder {
        size_t message_max;
        void (*message)(void *ctx, const uint8_t *data, size_t size);
        void *ctx;
        void (*noise)(void *ctx, const char *line, size_t size); /* a line without its end; may hold any byte; NULL = nobody listens */
        void *noise_ctx;
        struct smp_console_statistics statistics;

        uint8_t line[SMP_CONSOLE_LINE_ACCEPTED];
        size_t line_size;
        bool line_overlong;
        uint8_t *packet; /* grows by need up to message_max + 4 */
        size_t packet_size, packet_capacity;
        size_t packet_wanted; /* 0 = no message is being received */
};

/* `message_max` 0 = SMP_RECEIVE_MAX. Callbacks must not deinit the decoder. */
void smp_console_decoder_init(struct smp_console_decoder *decoder, size_t message_max);
void smp_console_decoder_deinit(struct smp_console_decoder *decoder);
/* Bytes in pieces of any size. 0 or -ENOMEM (the message is lost, decoding goes on). */
int smp_console_decoder_feed(struct smp_console_decoder *decoder, const uint8_t *data, size_t size);

/* ---- encoder */

/* Bytes that a message of this size takes on the line. */
size_t smp_console_encoded_size(size_t message_size);
/* -EMSGSIZE over 65533 bytes, -ENOSPC when `capacity` is below smp_console_encoded_size(). */
int smp_console_encode(const uint8_t *message, size_t size, uint8_t *ret_lines, size_t capacity, size_t *ret_size);
uint16_t smp_console_crc16(uint16_t crc, const uint8_t *data, size_t size);

/* ---- the link */

struct smp_console;

struct smp_console_options {
        size_t message_max;                                      /* largest message to send, 0 = SMP_MESSAGE_MAX */
        void (*noise)(void *ctx, const char *line, size_t size); /* NULL */
        void *noise_ctx;
};

extern const struct gw_link_handler smp_console_link_handler;

int smp_console_new(const struct smp_console_options *options, struct smp_console **ret_console);
/* For a console that got no byte link. Afterwards use the datagram link's close. NULL is fine. */
void smp_console_free(struct smp_console *console);
/* Takes the byte link over. */
void smp_console_attach(struct smp_console *console, struct gw_link *bytes);
/* The datagram link; give it to smp_client_attach(). */
struct gw_link *smp_console_link(struct smp_console *console);
/* Valid until the datagram link is closed. */
const struct smp_console_statistics *smp_console_statistics(const struct smp_console *console);
