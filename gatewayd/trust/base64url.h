/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * base64url without padding (RFC 4648 section 5, RFC 7515 section 2), read strictly: every sequence of bytes has exactly one text,
 * and only that is read. No "=", no white space, nothing of the other alphabet, no bits behind the last byte that are not zero.
 */

#include <stddef.h>
#include <stdint.h>

/* Characters of the text for so many bytes, without terminator. */
#define BASE64URL_SIZE(n_bytes) (((n_bytes) *4 + 2) / 3)

/* dst holds BASE64URL_SIZE(size) + 1 bytes; terminated. */
void base64url_encode(char *dst, const void *data, size_t size);
/* Bytes that a text of so many characters stands for; -EINVAL for a length that no text has. */
int base64url_decoded_size(size_t text_size, size_t *ret_size);
/* dst holds base64url_decoded_size(). -EINVAL. */
int base64url_decode(void *dst, const char *text, size_t text_size);
