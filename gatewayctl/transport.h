/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What carries requests to gateways and brings back what they say. Two ways: the control socket of the daemon on this machine
 * (transport_socket.h), and a broker with any number of gateways behind it (transport_broker.h). client.c waits and matches answers; a
 * transport only carries, and knows no method.
 *
 * Contract of an implementation: everything happens on the loop, nothing blocks. No callback comes from inside a function of the
 * transport. After free() none comes any more. What is lent to a callback is lent for that call.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "audience.h"

/* What gateways keep at a broker, as bits. The control socket has none of it. */
enum transport_document_kind {
        TRANSPORT_STATUS = 1 << 0,   /* of a gateway: online, groups, progress */
        TRANSPORT_EVENT = 1 << 1,    /* not retained: only what comes from now on */
        TRANSPORT_CAMPAIGN = 1 << 2, /* how a campaign stands on a gateway */
        TRANSPORT_DEVICE = 1 << 3,   /* what a device runs, as its gateway knows it */
        TRANSPORT_DESIRED = 1 << 4,  /* a signed campaign that somebody published */
};

struct transport_document {
        enum transport_document_kind kind;
        struct audience of; /* the gateway; of DESIRED also a group or all */
        const char *id;     /* of the campaign or device; NULL */
        const char *text;   /* size 0: it was removed */
        size_t size;
};

/* Which documents. */
struct transport_interest {
        unsigned kinds;
        struct audience audience; /* of DESIRED exactly these; else GROUP and ALL are the same: the caller looks at the groups */
        const char *campaign;     /* of CAMPAIGN and DESIRED: only this one; NULL all */
};

struct transport_handler {
        void (*opened)(void *ctx);
        /* The end of the connection, or of the attempt to open one; it may be opened again. Err: a name of the catalogue. */
        void (*closed)(void *ctx, const struct gw_error *err);
        /* A reply or a notification, one JSON-RPC object. */
        void (*message)(void *ctx, const char *text, size_t size);
        /* The broker did not take a request that send() had taken, or nobody is there to take it. */
        void (*refused)(void *ctx, const struct gw_error *err);
        void (*document)(void *ctx, const struct transport_document *document);
        /* What documents() asked for and was retained has been handed over. err NULL; else it was refused. */
        void (*settled)(void *ctx, const struct gw_error *err);
        /* What publish() handed over is with the broker. err NULL; else it was refused. */
        void (*published)(void *ctx, const struct gw_error *err);
};

struct transport_request {
        const struct audience *audience;
        int64_t id; /* of the request in text */
        const char *text;
        size_t size;
        int64_t expires_ms; /* after that nobody should begin with it any more; <= 0: no limit. The socket has no use for it */
        int fd;             /* goes with it; -1: none. Only the control socket can carry one: -EOPNOTSUPP */
};

struct transport;

struct transport_ops {
        /* Then `opened` or `closed` comes once. Only while it is closed. Err: what closed() says. */
        int (*open)(struct transport *transport, struct gw_error *err);
        bool (*is_open)(const struct transport *transport);
        /* Ends the connection without a callback; everything asked for is forgotten. */
        void (*close)(struct transport *transport);
        void (*free)(struct transport *transport);
        /* -EPIPE while it is closed, -E2BIG where it can never go, -EBUSY, -ENOMEM. */
        int (*send)(struct transport *transport, const struct transport_request *request);
        /* From now on documents come, first the retained ones, then `settled`. One at a time. NULL: this transport has none. */
        int (*documents)(struct transport *transport, const struct transport_interest *interest);
        /* Has the broker keep this text (size 0: forget it) as the desired campaign for the audience, then `published`. NULL: none. */
        int (*publish)(struct transport *transport, const struct audience *audience, const char *campaign, const char *text, size_t size);
};

/* Embedded as the first member of an implementation. */
struct transport {
        const struct transport_ops *ops;
        const struct transport_handler *handler;
        void *ctx;
        char label[256];    /* what messages call it: a path, "mqtts://broker.example:8883" */
        size_t text_max;    /* bytes of one request */
        bool is_incomplete; /* not everything that documents() asked for was handed over */
};
