/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Network addresses as policy: which ones count as private, and ranges that a person allows ("10.0.0.0/8", "fd00::/8").
 * A download or a device address is judged by the address that is really connected to, never by its name.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct cidr {
        uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
        unsigned prefix;     /* 0..128 */
};

/* "10.0.0.0/8", "192.0.2.7" (one address), "fd00::/8". -EINVAL, also for bits behind the prefix. */
int cidr_parse(const char *text, struct cidr *ret_cidr);
/* IPv4, IPv6, and IPv4 mapped into IPv6. Other families never match. */
bool cidr_match(const struct cidr *cidr, const struct sockaddr *address);

/* Reaches this machine: loopback (127/8, ::1), also mapped, and the unspecified addresses, which connect to it on Linux. */
bool cidr_is_loopback(const struct sockaddr *address);
/* Reachable from the whole internet: not loopback, private, link-local, shared, unique-local, multicast, documentation,
 * unspecified or otherwise reserved; NAT64 and 6to4 are judged by the IPv4 address inside. */
bool cidr_is_public(const struct sockaddr *address);
