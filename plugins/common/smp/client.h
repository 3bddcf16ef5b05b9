/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The SMP client: requests and answers over one gw_link, whatever that link is (UDP, console framing, GATT, a script of a test).
 *
 *     request -> [ in flight: seq ] -> answer matched by (seq, group, command, op + 1) -> done
 *                     | silence: the same request again, at last as SMP v1 if nothing was ever heard
 *                     | rc 13: the same request as v1; rc 12: as v2
 *                     | link closed, cancel, too many silences: done with the reason
 *
 * Ownership: the client owns the link from attach on and closes it. Uses only the host's timer table. All on the loop thread.
 * An answer is valid only during the callback. Callbacks may start and cancel requests, detach and even free the client.
 */

#include <gatewayd/plugin.h>

#include "common/smp/frame.h"

struct smp_client;

/* A refused request, for the report and the diagnosis. */
struct smp_refusal {
        uint16_t group;
        uint8_t command;
        uint8_t op; /* of the request */
        struct smp_status status;
};

struct smp_client_handler {
        /* All optional. `opened` and `closed` are the link's. After `closed` every request in flight has ended (its done came
         * before), and smp_client_detach() or _free() is what is left to do. */
        void (*opened)(void *ctx);
        /* The link is about to be told `closed`: comes before the requests in flight end, so that who asks them for a reason finds it. */
        void (*closing)(void *ctx, const struct gw_error *why);
        void (*closed)(void *ctx, const struct gw_error *why);
        /* Every refusal, also of optional commands, before the request's own `done`. */
        void (*refused)(void *ctx, const struct smp_refusal *refusal);
};

struct smp_client_options {
        uint32_t timeout_ms; /* of requests that name none; 0 = SMP_TIMEOUT_MS */
        uint8_t resends;     /* used by the calls of probe.h and image.h; 0 = SMP_RESENDS */
        int first_seq;       /* 0..255, -1 = taken from the clock, so that an answer to an earlier session is not ours */
        bool version_1;      /* begin with SMP v1 */
};

#define SMP_CLIENT_OPTIONS_INIT                                                                                                            \
        { .first_seq = -1 }

struct smp_statistics {
        uint64_t requests; /* first sendings */
        uint64_t resends;
        uint64_t answers;
        uint64_t refusals;
        uint64_t timeouts;   /* requests that ended without an answer */
        uint64_t unexpected; /* well-formed messages that answer nothing of ours */
        uint64_t garbage;    /* datagrams or rests of them that are no SMP message */
        uint64_t bytes_sent, bytes_received;
};

/* What `done` gets. */
struct smp_answer {
        /* 0 the device said yes; -EREMOTEIO it refused (`status`); -ETIMEDOUT silence; -EBADMSG it answered what cannot be
         * decoded; -ENOTCONN the link closed; -ECANCELED; -ENOBUFS, -EMSGSIZE, … it could not be sent. */
        int result;
        struct smp_status status;
        const struct cbor_map *map; /* with result 0 and -EREMOTEIO, else NULL */
        uint32_t id;                /* of the request */
        uint32_t round_trip_ms;     /* since the last sending; 0 without an answer */
        bool sent;                  /* the link took it at least once */
        bool resent;                /* was sent more than once: the round trip is not to be trusted */
        void (*then)(void);         /* of the request */
};

struct smp_request {
        uint16_t group;
        uint8_t command;
        uint8_t op; /* SMP_OP_READ or SMP_OP_WRITE */
        /* The whole message: SMP_HEADER_SIZE bytes that the client fills, then the payload. Need not outlive the call. */
        uint8_t *frame;
        size_t payload_size;
        /* Silence until a resend. 0 = the client's. UINT32_MAX = none: the caller watches the clock (needs `unkept`). */
        uint32_t timeout_ms;
        uint8_t resends;
        /* Keep no copy: no resend, no version fallback, nothing queued: -EAGAIN while the link is full. For upload chunks: allocates
         * nothing. */
        bool unkept;
        void (*done)(void *ctx, const struct smp_answer *answer);
        void *ctx;
        void (*then)(void); /* handed back in the answer: a typed callback behind `done` */
};

/* `handler` and its members may be NULL; it must live as long as the client. */
int smp_client_new(const struct gw_host *host, const struct smp_client_options *options, const struct smp_client_handler *handler,
                   void *ctx, struct smp_client **ret_client);
/* Closes the link. No callback comes any more, requests in flight end without one. NULL is fine. */
void smp_client_free(struct smp_client *client);

/*
 * Gives the client its link, in any state of its life: opening, or open already. Either make the link with
 * smp_client_link_handler and the client as its context, or with any other handler: attach puts ours in its place.
 */
extern const struct gw_link_handler smp_client_link_handler;
void smp_client_attach(struct smp_client *client, struct gw_link *link, bool is_open);
/* Closes the link; requests in flight end with -ENOTCONN, later. Then another link may be attached: what was learned of the SMP
 * version is forgotten, statistics go on. */
void smp_client_detach(struct smp_client *client);
bool smp_client_is_open(const struct smp_client *client);
/* Of the link; 0 when it is not open. */
size_t smp_client_max_message(const struct smp_client *client);
size_t smp_client_queued_bytes(const struct smp_client *client);

/*
 * Sends. 0 and `done` comes once, later; or < 0 and it never comes: -ENOTCONN, -EAGAIN (`unkept` only), -EMSGSIZE, -EBUSY (no
 * sequence number or place free), -ENOMEM, -EINVAL. Ids are never 0 and not reused.
 */
int smp_client_request(struct smp_client *client, const struct smp_request *request, uint32_t *ret_id);
/* `done` comes later, with -ECANCELED. Unknown ids are fine. */
void smp_client_cancel(struct smp_client *client, uint32_t id);
/* As cancel, but `done` never comes; a late answer is counted as unexpected. */
void smp_client_forget(struct smp_client *client, uint32_t id);

/* One listener: room again after -EAGAIN, or the link closed (the next sending tells). NULL ends it. */
void smp_client_on_writable(struct smp_client *client, void (*writable)(void *ctx), void *ctx);

const struct smp_statistics *smp_client_statistics(const struct smp_client *client);
/* Version that requests are sent with now. */
enum smp_version smp_client_version(const struct smp_client *client);
/* A device answered on this link. */
bool smp_client_was_heard(const struct smp_client *client);
const struct gw_host *smp_client_host(const struct smp_client *client);
uint8_t smp_client_resends(const struct smp_client *client);

/* A named error for an answer that is no success: link-lost, smp-no-answer, smp-bad-answer, smp-refused. `what` = "image state". */
void smp_answer_error(const struct smp_answer *answer, const char *what, struct gw_error *err);
