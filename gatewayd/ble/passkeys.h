/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The passkeys that an administrator wrote down: a file of mode 0600 that belongs to the daemon's user, one line a device:
 *
 *     # key or address     six digits
 *     DE063B974CD8         004711
 *     DE:06:3B:97:4C:D9    123456
 *
 * Read at each pairing and wiped from memory afterwards. No passkey ever is in an error or in the log.
 */

#include <gatewayd/plugin.h>

/* Reads the whole file, so a mistake in any line shows at once: passkey-file-unsafe. passkey-missing: none for this device. 0..999999. */
int passkeys_find(const char *path, const char *key, uint32_t *ret_passkey, struct gw_error *err);
