/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A descriptor from elsewhere (a SOCK_SEQPACKET socket that another program handed over) as an event source: whole datagrams in
 * both directions, back-pressure, and its end. The object belongs to whoever opened it, until datagram_close().
 */

#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"

struct datagram;

struct datagram_handler {
        void (*received)(void *ctx, const uint8_t *data, size_t size); /* valid during the call */
        void (*writable)(void *ctx);                                   /* only after datagram_send() returned -EAGAIN */
        void (*ended)(void *ctx);                                      /* the other side is gone; once. May be followed by nothing */
};

/* Takes fd, which is made non-blocking, also on failure. */
int datagram_open(struct loop *loop, int fd, const struct datagram_handler *handler, void *ctx, struct datagram **ret_datagram);
/* 0; -EAGAIN: no room, `writable` follows; -EPIPE: the other side is gone. Never calls back from inside. */
int datagram_send(struct datagram *datagram, const void *data, size_t size);
/* Bytes that the other side has not taken yet. */
size_t datagram_queued_bytes(const struct datagram *datagram);
/* No callback comes any more. What was sent stays readable for the other side. NULL is fine. */
void datagram_close(struct datagram *datagram);
