/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/base64url.h"

#include <errno.h>

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(char *dst, const void *data, size_t size) {
        const uint8_t *bytes = data;
        uint32_t held = 0;
        unsigned n_bits = 0;

        for (size_t i = 0; i < size; i++) {
                held = held << 8 | bytes[i];
                n_bits += 8;
                for (; n_bits >= 6; n_bits -= 6)
                        *dst++ = alphabet[held >> (n_bits - 6) & 0x3f];
        }
        if (n_bits > 0)
                *dst++ = alphabet[held << (6 - n_bits) & 0x3f];
        *dst = '\0';
}

int base64url_decoded_size(size_t text_size, size_t *ret_size) {
        if (text_size % 4 == 1)
                return -EINVAL;
        *ret_size = text_size / 4 * 3 + (text_size % 4 ? text_size % 4 - 1 : 0);
        return 0;
}

/* The six bits of a character; -1 none. */
static int value_of(char c) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int base64url_decode(void *dst, const char *text, size_t text_size) {
        uint8_t *bytes = dst;
        uint32_t held = 0;
        unsigned n_bits = 0;

        if (text_size % 4 == 1)
                return -EINVAL;
        for (size_t i = 0; i < text_size; i++) {
                int value = value_of(text[i]);

                if (value < 0)
                        return -EINVAL;
                held = held << 6 | (uint32_t) value;
                n_bits += 6;
                if (n_bits < 8)
                        continue;
                n_bits -= 8;
                *bytes++ = (uint8_t) (held >> n_bits);
        }
        return held & ((1u << n_bits) - 1) ? -EINVAL : 0;
}
