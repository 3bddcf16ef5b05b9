/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which Bluetooth device is it, when its address is another one than before? Pure. What is said here only chooses whom to ask: what a device is
 * proves its answer (image hashes, serial number).
 *
 * Addresses change where firmware or bootloader have a random address of their own: Nordic's bootloaders add one to the last byte,
 * without carry (..:FF becomes ..:00); others take a new one when their settings are erased.
 */

#include <gatewayd/plugin.h>

/* `key` with one added to its last byte modulo 256. `key` of twelve hexadecimal digits in upper case. */
void identity_next_key(const char *key, char ret_key[GW_GATT_KEY_SIZE]);

/* A device that was reset, and somebody who advertises while it is away. */
struct identity_question {
        const char *key;  /* its address before the reset */
        const char *name; /* that it advertised; NULL not known */
        bool alone;       /* no other device of this driver is away now */
        int64_t away_since_ms; /* 0 not known: the daemon was restarted meanwhile */
        const struct gw_gatt_peer *peer;
        int64_t peer_first_heard_ms;
        bool peer_is_known; /* it is another device of the registry */
};

/* May it be the same one? The next address of a peer that was not heard before the reset, or its name where nobody else is away. Where nobody knows
 * who was heard before, only the next address counts: a neighbour may have the same name. A private address is nobody's: it cannot be kept. */
bool identity_may_be(const struct identity_question *question);

/* Some firmware states the same text on every device, an example's or zeros: no serial number. `serial` is not empty. */
bool identity_tells_apart(const char *serial);

/* Serial numbers, as a device states them; NULL or "" where it states none. */
struct identity_serial {
        const char *device_information; /* of its Device Information service */
        const char *memfault;
};

enum identity_serial_match {
        IDENTITY_SERIAL_UNKNOWN, /* one of them states none, or each another kind */
        IDENTITY_SERIAL_SAME,
        IDENTITY_SERIAL_OTHER,
};

/* Numbers are compared within their kind: a product may count its boards in one and its housings in the other. */
enum identity_serial_match identity_serial_match(const struct identity_serial *known, const struct identity_serial *stated);

/* Does the peer offer SMP, by what it advertises, or does one of the globs match its name? `globs`: separated by blanks or commas, NULL none. */
bool identity_is_smp(const struct gw_gatt_peer *peer, const char *globs);
