/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The format "wrapped": a file of any kind behind a few lines of text that say what nobody could read from it, which is its version
 * and the hardware that it is for. For drivers whose devices take what no other format knows.
 *
 *     gatewayd-file/1
 *     version: 1.4.0
 *     compatible: acme,meter-2          one line for each hardware, at least one
 *                                       an empty line; what follows is the image, to the end of the file
 *
 * `printf 'gatewayd-file/1\nversion: 1.4.0\ncompatible: acme,meter-2\n\n' | cat - meter.hex > meter-1.4.0` makes one. The image's hash is
 * the SHA-256 of what follows the empty line. The hardware is mandatory: nothing else keeps the file from a device that it is not for.
 */

#include <gatewayd/plugin.h>

#define WRAPPED_MAGIC "gatewayd-file/1\n"
#define WRAPPED_HEADER_MAX 4096u /* bytes of text with its empty line */

extern const struct gw_format wrapped_format;

/* Only the text. *ret_header_size: bytes with the empty line. -EBADMSG with err. */
int wrapped_header_parse(const char *head, size_t size, struct gw_package *ret_package, size_t *ret_header_size, struct gw_error *err);
