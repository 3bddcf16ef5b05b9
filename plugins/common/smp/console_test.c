/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/smp/smp_testing.h"

static uint8_t got[SMP_RECEIVE_MAX];
static size_t got_size;
static unsigned n_got, n_noise;
static char noise[SMP_CONSOLE_LINE_ACCEPTED + 1];

static void on_message(void *ctx, const uint8_t *data, size_t size) {
        (void) ctx;
        memcpy(got, data, size);
        got_size = size;
        n_got++;
}

static void on_noise(void *ctx, const char *line, size_t size) {
        assert_ptr_equal(ctx, noise);
        memcpy(noise, line, size);
        noise[size] = '\0';
        n_noise++;
}

static void decoder_begin(struct smp_console_decoder *decoder, size_t message_max) {
        smp_console_decoder_init(decoder, message_max);
        decoder->message = on_message;
        decoder->noise = on_noise;
        decoder->noise_ctx = noise;
        got_size = 0;
        n_got = n_noise = 0;
}

static void feed(struct smp_console_decoder *decoder, const char *text, size_t size) {
        uint8_t *copy = malloc(size + 1);

        assert_non_null(copy);
        memcpy(copy, text, size);
        assert_int_equal(smp_console_decoder_feed(decoder, copy, size), 0);
        free(copy);
}

#define FEED(decoder, text) feed(decoder, text, sizeof(text) - 1)

static void crc_check_value(void **state) {
        (void) state;
        assert_int_equal(smp_console_crc16(0, (const uint8_t *) "123456789", 9), 0x31c3);
}

/* Messages and their lines, as the specification works them. */
#define STATE_READ "0800000100010700a0"
#define STATE_READ_LINE                                                                                                                    \
        "\x06\x09"                                                                                                                         \
        "AAsIAAABAAEHAKAqkQ==\n"
#define LONG_1                                                                                                                             \
        "\x06\x09"                                                                                                                         \
        "AMoKAADAAAEJAQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9AQUJDREVGR0hJSktMTU5PUFFS\n"
#define LONG_2                                                                                                                             \
        "\x04\x14"                                                                                                                         \
        "U1RVVldYWVpbXF1eX2BhYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ent8fX5/gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp+goaKjpKWmp6ipqqusra6v\n"
#define LONG_3                                                                                                                             \
        "\x04\x14"                                                                                                                         \
        "sLGys7S1tre4ubq7vL2+v+Uq\n"

static size_t long_message(uint8_t *message) {
        int size = testing_hex("0a0000c000010901", message, 8);

        for (int i = 0; i < 0xc0; i++)
                message[size++] = (uint8_t) i;
        return (size_t) size;
}

static void frames_both_ways(void **state) {
        static const struct {
                const char *message, *line;
        } cases[] = {
                { STATE_READ, STATE_READ_LINE },
                { "0a00000900000100a161646568656c6c6f", "\x06\x09"
                                                        "ABMKAAAJAAABAKFhZGVoZWxsb3o2\n" },
                { "0a00000100000205a0", "\x06\x09"
                                        "AAsKAAABAAACBaCORw==\n" },
                { "48656c6c6f2c20776f726c6421", "\x06\x09"
                                                "AA9IZWxsbywgd29ybGQhet4=\n" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct smp_console_decoder decoder;
                uint8_t message[64], lines[256];
                int size = testing_hex(cases[i].message, message, sizeof message);
                size_t lines_size;

                assert_int_equal(smp_console_encode(message, (size_t) size, lines, sizeof lines, &lines_size), 0);
                assert_int_equal(lines_size, smp_console_encoded_size((size_t) size));
                assert_int_equal(lines_size, strlen(cases[i].line));
                assert_memory_equal(lines, cases[i].line, lines_size);
                decoder_begin(&decoder, 0);
                feed(&decoder, cases[i].line, strlen(cases[i].line));
                assert_int_equal(n_got, 1);
                assert_int_equal(got_size, size);
                assert_memory_equal(got, message, got_size);
                smp_console_decoder_deinit(&decoder);
        }
}

static void three_lines(void **state) {
        static const char expected[] = LONG_1 LONG_2 LONG_3;
        struct smp_console_decoder decoder;
        uint8_t message[256], lines[512];
        size_t size = long_message(message), lines_size;

        (void) state;
        assert_int_equal(smp_console_encode(message, size, lines, sizeof lines, &lines_size), 0);
        assert_int_equal(lines_size, sizeof expected - 1);
        assert_memory_equal(lines, expected, lines_size);
        assert_int_equal(smp_console_encode(message, size, lines, lines_size - 1, &lines_size), -ENOSPC);
        decoder_begin(&decoder, 0);
        for (size_t i = 0; i < sizeof expected - 1; i++) /* byte by byte */
                feed(&decoder, expected + i, 1);
        assert_int_equal(n_got, 1);
        assert_int_equal(got_size, size);
        assert_memory_equal(got, message, size);
        smp_console_decoder_deinit(&decoder);
}

static void every_size_comes_back(void **state) {
        struct smp_console_decoder decoder;
        static uint8_t message[2048], lines[3000];

        (void) state;
        decoder_begin(&decoder, sizeof message);
        for (size_t size = 0; size <= sizeof message; size++) {
                size_t lines_size;

                for (size_t i = 0; i < size; i++)
                        message[i] = (uint8_t) (i * 7 + size);
                assert_int_equal(smp_console_encode(message, size, lines, sizeof lines, &lines_size), 0);
                assert_int_equal(lines_size, smp_console_encoded_size(size));
                n_got = 0;
                feed(&decoder, (char *) lines, lines_size);
                assert_int_equal(n_got, 1);
                assert_int_equal(got_size, size);
                assert_memory_equal(got, message, size);
        }
        smp_console_decoder_deinit(&decoder);
        /* The documented cost of a long message: 2801 bytes in 23 lines. */
        assert_int_equal(smp_console_encoded_size(2044), 2801);
}

/* What stands on the line, and what must come of it. */
static void noise_and_damage(void **state) {
        static const struct {
                const char *text;
                unsigned n_messages, n_noise, n_bad_crc, n_bad_lines, n_incomplete;
        } cases[] = {
                { "uart:~$ \n" STATE_READ_LINE "[00:00:01] <inf> boot\r\n", 1, 2, 0, 0, 0 },
                { "\r\n\r\n\n" STATE_READ_LINE, 1, 0, 0, 0, 0 },
                { "\x06\x09"
                  "AAsIAAABAAEHAKAqkQ==\r\n",
                  1, 0, 0, 0, 0 },
                { "uart:~$ " STATE_READ_LINE, 1, 1, 0, 0, 0 },                   /* a prompt before it */
                { LONG_1 "log\n" LONG_2 "another log\n" LONG_3, 1, 2, 0, 0, 0 }, /* logs between the lines */
                { LONG_1 "half a log" LONG_2 LONG_3, 1, 1, 0, 0, 0 },
                { LONG_1 LONG_3, 0, 0, 0, 0, 0 },                 /* a lost line: still waiting */
                { LONG_1 LONG_3 STATE_READ_LINE, 1, 0, 0, 0, 1 }, /* … until the next begins */
                { LONG_2 LONG_3 STATE_READ_LINE, 1, 0, 0, 0, 2 }, /* continued without a beginning */
                { LONG_1 LONG_2 LONG_2 LONG_3, 0, 0, 0, 1, 1 },   /* more than it said */
                { "\x06\x09"
                  "AAsIAAABAAEHAKAqkg==\n",
                  0, 0, 1, 0, 0 },
                { "\x06\x09"
                  "AAsIAAABAAEHAKAqk\n" STATE_READ_LINE,
                  1, 0, 0, 1, 0 }, /* no whole groups */
                { "\x06\x09"
                  "AAsI*AABAAEHAKAqkQ==\n",
                  0, 0, 0, 1, 0 },
                { "\x06\x09"
                  "AA==AAEHAKAqkQ==\n",
                  0, 0, 0, 1, 0 }, /* padding within a line */
                { "\x06\x09"
                  "A===\n",
                  0, 0, 0, 1, 0 },
                { "\x06\x09\n", 0, 0, 0, 1, 0 },
                { "\x06\x09"
                  "AA==\n",
                  0, 0, 0, 1, 0 }, /* not even a length */
                { "\x06\x09"
                  "AAAA\n",
                  0, 0, 0, 1, 0 }, /* a length below its CRC */
                { "\x06\x09"
                  "//8A\n" STATE_READ_LINE,
                  1, 0, 0, 1, 0 }, /* 65535 bytes promised */
                { "\x06\x06\x09"
                  "AAsIAAABAAEHAKAqkQ==\n",
                  1, 1, 0, 0, 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct smp_console_decoder decoder;

                decoder_begin(&decoder, 0);
                feed(&decoder, cases[i].text, strlen(cases[i].text));
                if (n_got != cases[i].n_messages || n_noise != cases[i].n_noise)
                        print_error("case %zu\n", i);
                assert_int_equal(n_got, cases[i].n_messages);
                assert_int_equal(n_noise, cases[i].n_noise);
                assert_int_equal(decoder.statistics.messages, cases[i].n_messages);
                assert_int_equal(decoder.statistics.noise_lines, cases[i].n_noise);
                assert_int_equal(decoder.statistics.bad_crc, cases[i].n_bad_crc);
                assert_int_equal(decoder.statistics.bad_lines, cases[i].n_bad_lines);
                assert_int_equal(decoder.statistics.incomplete, cases[i].n_incomplete);
                assert_int_equal(decoder.statistics.bytes, strlen(cases[i].text));
                smp_console_decoder_deinit(&decoder);
        }
}

static void noise_is_handed_on(void **state) {
        struct smp_console_decoder decoder;

        (void) state;
        decoder_begin(&decoder, 0);
        FEED(&decoder, "uart:~$ help\r\n");
        assert_string_equal(noise, "uart:~$ help");
        assert_int_equal(decoder.statistics.noise_bytes, 12);
        smp_console_decoder_deinit(&decoder);
}

static void noise_without_an_end_is_bounded(void **state) {
        struct smp_console_decoder decoder;

        (void) state;
        decoder_begin(&decoder, 0);
        for (unsigned i = 0; i < 100000; i++)
                FEED(&decoder, "x");
        FEED(&decoder, STATE_READ_LINE);
        assert_int_equal(n_got, 1);
        assert_null(decoder.packet_capacity > 1024 ? decoder.packet : NULL);
        assert_int_equal(decoder.statistics.noise_bytes, 100000);
        smp_console_decoder_deinit(&decoder);
}

static void messages_over_the_limit_take_no_memory(void **state) {
        struct smp_console_decoder decoder;
        static uint8_t message[1001], lines[2000];
        size_t size;

        (void) state;
        decoder_begin(&decoder, 1000);
        assert_int_equal(smp_console_encode(message, 1001, lines, sizeof lines, &size), 0);
        feed(&decoder, (char *) lines, size);
        assert_int_equal(n_got, 0);
        assert_int_equal(decoder.packet_capacity, 0);
        assert_int_equal(smp_console_encode(message, 1000, lines, sizeof lines, &size), 0);
        feed(&decoder, (char *) lines, size);
        assert_int_equal(n_got, 1);
        smp_console_decoder_deinit(&decoder);
}

/* ---- the link */

static unsigned n_opened, n_writable, n_closed;
static bool close_in_received;
static struct gw_link *datagrams;

static void handler_opened(void *ctx) {
        (void) ctx;
        n_opened++;
}

static void handler_received(void *ctx, const uint8_t *data, size_t size) {
        on_message(ctx, data, size);
        if (close_in_received)
                datagrams->ops->close(datagrams);
}

static void handler_writable(void *ctx) {
        (void) ctx;
        n_writable++;
}

static void handler_closed(void *ctx, const struct gw_error *why) {
        (void) ctx;
        assert_string_equal(why->name, "link-lost");
        n_closed++;
}

static const struct gw_link_handler handler = {
        .opened = handler_opened,
        .received = handler_received,
        .writable = handler_writable,
        .closed = handler_closed,
};

static void link_begin(struct testing_link *bytes, size_t message_max) {
        struct smp_console_options options = { .message_max = message_max, .noise = on_noise, .noise_ctx = noise };
        struct smp_console *console;

        testing_link_init(bytes);
        bytes->max_datagram = SIZE_MAX;
        assert_int_equal(smp_console_new(&options, &console), 0);
        smp_console_attach(console, &bytes->link);
        datagrams = smp_console_link(console);
        datagrams->handler = &handler;
        n_opened = n_writable = n_closed = n_got = n_noise = 0;
        close_in_received = false;
}

static void link_carries_messages(void **state) {
        struct testing_link bytes;
        uint8_t message[64];
        int size = testing_hex(STATE_READ, message, sizeof message);

        (void) state;
        link_begin(&bytes, 1020);
        assert_int_equal(datagrams->ops->send(datagrams, message, (size_t) size), -ENOTCONN);
        testing_link_open(&bytes);
        assert_int_equal(n_opened, 1);
        assert_int_equal(datagrams->ops->max_datagram(datagrams), 1020);
        assert_int_equal(datagrams->ops->send(datagrams, message, (size_t) size), 0);
        assert_int_equal(bytes.n_sent, 1);
        assert_memory_equal(bytes.sent[0].data, STATE_READ_LINE, bytes.sent[0].size);
        testing_link_receive(&bytes, "boot\n" STATE_READ_LINE, 5 + sizeof STATE_READ_LINE - 1);
        assert_int_equal(n_got, 1);
        assert_int_equal(n_noise, 1);
        testing_link_lose(&bytes);
        assert_int_equal(n_closed, 1);
        assert_int_equal(datagrams->ops->send(datagrams, message, (size_t) size), -ENOTCONN);
        datagrams->ops->close(datagrams);
        assert_true(bytes.closed);
        testing_link_deinit(&bytes);
}

static void link_holds_what_the_port_does_not_take(void **state) {
        struct testing_link bytes;
        static uint8_t message[3000];

        (void) state;
        link_begin(&bytes, 4000);
        testing_link_open(&bytes);
        bytes.n_room = 1; /* one piece of the message */
        assert_int_equal(datagrams->ops->send(datagrams, message, sizeof message), 0);
        assert_int_equal(bytes.n_sent, 1);
        assert_int_equal(datagrams->ops->queued_bytes(datagrams), smp_console_encoded_size(sizeof message) - bytes.sent[0].size);
        assert_int_equal(datagrams->ops->send(datagrams, message, 10), -EAGAIN);
        assert_int_equal(datagrams->ops->send(datagrams, message, 4001), -EMSGSIZE);
        bytes.n_room = 1;
        testing_link_writable(&bytes);
        assert_int_equal(n_writable, 0);
        bytes.n_room = SIZE_MAX;
        testing_link_writable(&bytes);
        assert_int_equal(n_writable, 1);
        assert_int_equal(datagrams->ops->queued_bytes(datagrams), 0);
        /* In pieces, but all of it and in order. */
        for (size_t i = 0; i < bytes.n_sent; i++)
                testing_link_receive(&bytes, bytes.sent[i].data, bytes.sent[i].size);
        assert_int_equal(n_got, 1);
        assert_int_equal(got_size, sizeof message);
        testing_link_writable(&bytes);
        assert_int_equal(n_writable, 1);
        datagrams->ops->close(datagrams);
        testing_link_deinit(&bytes);
}

static void link_may_be_closed_from_inside(void **state) {
        struct testing_link bytes;

        (void) state;
        link_begin(&bytes, 0);
        testing_link_open(&bytes);
        close_in_received = true;
        testing_link_receive(&bytes, STATE_READ_LINE STATE_READ_LINE, 2 * (sizeof STATE_READ_LINE - 1));
        assert_int_equal(n_got, 1);
        assert_true(bytes.closed);
        testing_link_deinit(&bytes);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(crc_check_value),
                cmocka_unit_test(frames_both_ways),
                cmocka_unit_test(three_lines),
                cmocka_unit_test(every_size_comes_back),
                cmocka_unit_test(noise_and_damage),
                cmocka_unit_test(noise_is_handed_on),
                cmocka_unit_test(noise_without_an_end_is_bounded),
                cmocka_unit_test(messages_over_the_limit_take_no_memory),
                cmocka_unit_test(link_carries_messages),
                cmocka_unit_test(link_holds_what_the_port_does_not_take),
                cmocka_unit_test(link_may_be_closed_from_inside),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
