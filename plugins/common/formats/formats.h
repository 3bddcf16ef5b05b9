/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every file format that gatewayd knows, in the order in which a file is held against them: the two that drivers can use
 * ("mcuboot", "ncs-zip"), then those that are only recognised, so that a person who hands over the wrong file hears what it is
 * and what it is for instead of "unknown". A recognised format's read() always fails with such an answer.
 *
 * No state; everything may be called from a worker thread.
 */

#include <gatewayd/plugin.h>

/* For gw_register_api.format: all of them, constant, alive for ever. */
const struct gw_format *const *formats_all(size_t *ret_n_formats);

/* The first that the file matches, or NULL. -errno (with err) only when it cannot be read. */
int formats_find(int fd, uint64_t file_size, const struct gw_format **ret_format, struct gw_error *err);

/* Reads the file with the first format that matches; `format-unknown` when there is none. Undone by formats_release(). */
int formats_read(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package, struct gw_error *err);

/* Closes what the package opened, not `fd`. */
void formats_release(struct gw_package *package, int fd);
