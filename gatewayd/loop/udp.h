/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A UDP socket to one peer as a gw_link (contract: gatewayd/plugin.h). The socket is connected: datagrams of others never arrive,
 * and a port without a listener is noticed, which is counted and not the end: a device that restarts is not a dead link.
 *
 * Made for a thousand links: nothing is queued or buffered per link beyond the kernel's socket buffers; all links of a loop share
 * one receive buffer, and one system call takes all datagrams that wait on a socket.
 */

#include <gatewayd/plugin.h>

#include "loop/loop.h"

#define UDP_DATAGRAM_DEFAULT 1472 /* Ethernet's 1500 without the headers of IPv4 and UDP */
#define UDP_DATAGRAM_MAX 65507
#define UDP_RECEIVE_MAX 4096 /* what a peer may send; more where max_datagram of the options is more. Longer ones are dropped */

/*
 * -EINVAL: the address is not "host:port", "[v6]:port" (with %scope where it is link-local), or max_datagram is above
 * UDP_DATAGRAM_MAX. -ENOMEM. All else comes by `closed`: address-unresolvable, peer-unreachable, link-open-failed.
 * send() on this link: a datagram that the kernel cannot send now (no route, peer's port closed) counts as lost on the way.
 */
int udp_link_open(struct loop *loop, const struct gw_udp_options *options, const struct gw_link_handler *handler, void *ctx,
                  struct gw_link **ret_link);

struct udp_link_statistics {
        uint64_t n_sent;
        uint64_t n_received;
        uint64_t n_refused;  /* the peer's host said that nobody listens on the port */
        uint64_t n_unsent;   /* dropped at send() by a passing condition: no route, no memory */
        uint64_t n_too_long; /* received ones that were dropped */
};

/* Of a link made by udp_link_open() and not yet closed by its owner. */
void udp_link_get_statistics(const struct gw_link *link, struct udp_link_statistics *ret_statistics);
