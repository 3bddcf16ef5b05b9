/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/client.h"

#include <stdlib.h>

/*
 * A request in flight lives in a fixed table. One host timer serves all of them: it is set for the earliest deadline and left alone
 * when that moves to a later time (it then fires once for nothing), so that a stream of chunks costs no timer work.
 * `done` is never called from inside request or cancel: a flight that ends there is marked and delivered by the timer.
 */

#define NO_DEADLINE INT64_MAX
#define EARLY_MIN_MS 250u

struct flight {
        uint32_t id; /* 0 = free */
        uint16_t group;
        uint8_t command, op, seq;
        uint8_t resends_left;
        bool unkept;
        bool resent;
        bool sent;
        bool early;       /* one resend before its time is still due */
        bool switched;    /* changed its SMP version once */
        bool undecodable; /* an answer came that is no CBOR map */
        bool wants_room;  /* the link was full */
        bool ended;       /* `done` is due, with `result` */
        uint8_t version;
        int result;
        uint32_t timeout_ms;
        int64_t sent_ms, deadline_ms;
        uint8_t *message; /* the copy, unless unkept */
        size_t message_size;
        void (*done)(void *ctx, const struct smp_answer *answer);
        void *ctx;
        void (*then)(void);
};

struct smp_client {
        const struct gw_host *host;
        struct smp_client_options options;
        const struct smp_client_handler *handler;
        void *handler_ctx;

        struct gw_link *link;
        bool is_open;
        bool was_heard;
        bool rtt_known;
        uint32_t rtt_8th_ms; /* of ordinary requests, smoothed, scaled by 8 */
        bool released;       /* freed from inside a callback */
        unsigned n_callbacks;
        enum smp_version version;

        struct gw_timer *timer;
        int64_t timer_due_ms;

        uint32_t next_id;
        uint8_t next_seq;
        struct flight flights[SMP_FLIGHTS_MAX];

        void (*writable)(void *ctx);
        void *writable_ctx;
        struct smp_statistics statistics;
};

static int64_t now_ms(const struct smp_client *client) {
        return client->host->timer->now_ms(client->host);
}

/* ---- life, and safety of being freed by a callback */

static void flight_clear(struct flight *flight) {
        free(flight->message);
        *flight = (struct flight){ 0 };
}

static void client_destroy(struct smp_client *client) {
        free(client);
}

static void callback_enter(struct smp_client *client) {
        client->n_callbacks++;
}

static void callback_leave(struct smp_client *client) {
        client->n_callbacks--;
        if (client->released && client->n_callbacks == 0)
                client_destroy(client);
}

static uint8_t seq_first(const struct smp_client *client) {
        int first = client->options.first_seq;

        return first >= 0 ? (uint8_t) first : (uint8_t) (now_ms(client) / 7);
}

int smp_client_new(const struct gw_host *host, const struct smp_client_options *options, const struct smp_client_handler *handler,
                   void *ctx, struct smp_client **ret_client) {
        struct smp_client *client = calloc(1, sizeof *client);

        if (!client)
                return -ENOMEM;
        client->host = host;
        client->options = options ? *options : (struct smp_client_options) SMP_CLIENT_OPTIONS_INIT;
        if (client->options.timeout_ms == 0)
                client->options.timeout_ms = SMP_TIMEOUT_MS;
        if (client->options.resends == 0)
                client->options.resends = SMP_RESENDS;
        client->handler = handler;
        client->handler_ctx = ctx;
        client->version = client->options.version_1 ? SMP_VERSION_1 : SMP_VERSION_2;
        client->next_seq = seq_first(client);
        *ret_client = client;
        return 0;
}

static void link_close(struct smp_client *client) {
        struct gw_link *link = client->link;

        client->link = NULL;
        client->is_open = false;
        if (link)
                link->ops->close(link);
}

void smp_client_free(struct smp_client *client) {
        if (!client)
                return;
        link_close(client);
        client->host->timer->cancel(client->timer);
        client->timer = NULL;
        for (size_t i = 0; i < SMP_FLIGHTS_MAX; i++)
                flight_clear(&client->flights[i]);
        client->writable = NULL;
        client->handler = NULL;
        if (client->n_callbacks > 0)
                client->released = true;
        else
                client_destroy(client);
}

/* ---- the timer */

static void timer_fired(void *ctx);

static void timer_set(struct smp_client *client, int64_t due_ms) {
        int64_t delay_ms;

        if (due_ms == NO_DEADLINE || client->released)
                return;
        if (client->timer) {
                if (client->timer_due_ms <= due_ms)
                        return;
                client->host->timer->cancel(client->timer);
                client->timer = NULL;
        }
        delay_ms = due_ms - now_ms(client);
        if (client->host->timer->start(client->host, delay_ms > 0 ? delay_ms : 0, timer_fired, client, &client->timer) < 0)
                client->timer = NULL;
        client->timer_due_ms = due_ms;
}

static void timer_set_again(struct smp_client *client) {
        int64_t due_ms = NO_DEADLINE;

        for (size_t i = 0; i < SMP_FLIGHTS_MAX; i++) {
                const struct flight *flight = &client->flights[i];

                if (flight->id == 0)
                        continue;
                if (flight->ended)
                        due_ms = 0;
                else if (flight->deadline_ms < due_ms)
                        due_ms = flight->deadline_ms;
        }
        timer_set(client, due_ms);
}

/* ---- ends of a flight */

/* Delivers. The place in the table is free before the callback, which may use it. */
static void flight_finish(struct flight *flight, struct smp_answer *answer) {
        void (*done)(void *ctx, const struct smp_answer *answer) = flight->done;
        void *ctx = flight->ctx;

        answer->id = flight->id;
        answer->sent = flight->sent;
        answer->resent = flight->resent;
        answer->then = flight->then;
        flight_clear(flight);
        if (done)
                done(ctx, answer);
}

static void flight_fail(struct flight *flight, int result) {
        struct smp_answer answer = { .result = result };

        flight_finish(flight, &answer);
}

static void flight_end_later(struct smp_client *client, struct flight *flight, int result) {
        if (flight->ended)
                return;
        flight->ended = true;
        flight->result = result;
        timer_set(client, 0);
}

static struct flight *flight_by_id(struct smp_client *client, uint32_t id) {
        for (size_t i = 0; id != 0 && i < SMP_FLIGHTS_MAX; i++)
                if (client->flights[i].id == id)
                        return &client->flights[i];
        return NULL;
}

void smp_client_cancel(struct smp_client *client, uint32_t id) {
        struct flight *flight = flight_by_id(client, id);

        if (flight)
                flight_end_later(client, flight, -ECANCELED);
}

void smp_client_forget(struct smp_client *client, uint32_t id) {
        struct flight *flight = flight_by_id(client, id);

        if (flight)
                flight_clear(flight);
}

/* ---- sending */

static int message_send(struct smp_client *client, const uint8_t *message, size_t size) {
        int r = client->is_open ? client->link->ops->send(client->link, message, size) : -ENOTCONN;

        if (r == 0)
                client->statistics.bytes_sent += size;
        return r;
}

/* Until the early resend, which a lost datagram costs in place of the whole timeout: many round trips, but never long. */
static uint32_t early_ms(const struct smp_client *client, const struct flight *flight) {
        uint32_t wait_ms = client->rtt_8th_ms + EARLY_MIN_MS;

        return wait_ms < flight->timeout_ms ? wait_ms : flight->timeout_ms;
}

static void flight_sent(struct smp_client *client, struct flight *flight) {
        flight->wants_room = false;
        flight->sent = true;
        flight->sent_ms = now_ms(client);
        if (flight->timeout_ms == UINT32_MAX)
                flight->deadline_ms = NO_DEADLINE;
        else
                flight->deadline_ms = flight->sent_ms + (flight->early ? early_ms(client, flight) : flight->timeout_ms);
        timer_set(client, flight->deadline_ms);
}

/* Sends the kept copy, or lets it wait for room. */
static void flight_send_copy(struct smp_client *client, struct flight *flight) {
        int r;

        flight->message[0] = (uint8_t) (flight->version << 3 | flight->op);
        r = message_send(client, flight->message, flight->message_size);
        if (r == -EAGAIN) {
                flight->wants_room = true;
                flight->deadline_ms = now_ms(client) + flight->timeout_ms;
                timer_set(client, flight->deadline_ms);
        } else if (r < 0) {
                flight_end_later(client, flight, r);
        } else {
                flight_sent(client, flight);
        }
}

static void flight_resend(struct smp_client *client, struct flight *flight) {
        flight->resent = flight->sent;
        client->statistics.resends++;
        flight_send_copy(client, flight);
}

/* Silence. The last try of a peer that never said a word goes out as the old version: it might drop the new one. */
static void flight_silent(struct smp_client *client, struct flight *flight) {
        if (flight->early) {
                flight->early = false;
                flight_resend(client, flight);
                return;
        }
        if (flight->unkept || flight->resends_left == 0) {
                client->statistics.timeouts++;
                flight_fail(flight, flight->undecodable ? -EBADMSG : -ETIMEDOUT);
                return;
        }
        flight->resends_left--;
        if (flight->resends_left == 0 && !client->was_heard && !flight->switched && flight->version == SMP_VERSION_2) {
                flight->switched = true;
                flight->version = SMP_VERSION_1;
        }
        flight_resend(client, flight);
}

static void timer_fired(void *ctx) {
        struct smp_client *client = ctx;
        int64_t now = now_ms(client);

        client->timer = NULL;
        callback_enter(client);
        for (size_t i = 0; i < SMP_FLIGHTS_MAX && !client->released; i++) {
                struct flight *flight = &client->flights[i];

                if (flight->id == 0)
                        continue;
                if (flight->ended)
                        flight_fail(flight, flight->result);
                else if (flight->deadline_ms <= now)
                        flight_silent(client, flight);
        }
        if (!client->released)
                timer_set_again(client);
        callback_leave(client);
}

static bool seq_is_used(const struct smp_client *client, uint8_t seq) {
        for (size_t i = 0; i < SMP_FLIGHTS_MAX; i++)
                if (client->flights[i].id != 0 && client->flights[i].seq == seq)
                        return true;
        return false;
}

/* The table is smaller than the number of sequence numbers, so one is always free. */
static uint8_t seq_take(struct smp_client *client) {
        while (seq_is_used(client, client->next_seq))
                client->next_seq++;
        return client->next_seq++;
}

static struct flight *flight_place(struct smp_client *client) {
        for (size_t i = 0; i < SMP_FLIGHTS_MAX; i++)
                if (client->flights[i].id == 0)
                        return &client->flights[i];
        return NULL;
}

static int request_check(const struct smp_client *client, const struct smp_request *request) {
        if (request->op != SMP_OP_READ && request->op != SMP_OP_WRITE)
                return -EINVAL;
        if (request->timeout_ms == UINT32_MAX && !request->unkept)
                return -EINVAL;
        if (!client->is_open)
                return -ENOTCONN;
        if (request->payload_size > UINT16_MAX || SMP_HEADER_SIZE + request->payload_size > client->link->ops->max_datagram(client->link))
                return -EMSGSIZE;
        return 0;
}

static void frame_fill(const struct smp_client *client, const struct smp_request *request, uint8_t seq) {
        const struct smp_header header = {
                .op = request->op,
                .version = (uint8_t) client->version,
                .size = (uint16_t) request->payload_size,
                .group = request->group,
                .seq = seq,
                .command = request->command,
        };

        smp_header_write(&header, request->frame);
}

/* The first sending; on failure the flight is as before. */
static int flight_start(struct smp_client *client, struct flight *flight, const struct smp_request *request) {
        size_t size = SMP_HEADER_SIZE + request->payload_size;
        int r;

        if (!request->unkept) {
                flight->message = malloc(size);
                if (!flight->message)
                        return -ENOMEM;
                memcpy(flight->message, request->frame, size);
                flight->message_size = size;
        }
        r = message_send(client, request->frame, size);
        if (r == -EAGAIN && !request->unkept) {
                flight->wants_room = true;
                flight->deadline_ms = now_ms(client) + flight->timeout_ms;
                timer_set(client, flight->deadline_ms);
                return 0;
        }
        if (r < 0)
                return r;
        flight_sent(client, flight);
        return 0;
}

static uint32_t id_take(struct smp_client *client) {
        if (++client->next_id == 0)
                client->next_id = 1;
        return client->next_id;
}

int smp_client_request(struct smp_client *client, const struct smp_request *request, uint32_t *ret_id) {
        struct flight *flight = flight_place(client);
        uint8_t seq;
        int r = request_check(client, request);

        if (r < 0)
                return r;
        if (!flight)
                return -EBUSY;
        seq = client->next_seq;
        *flight = (struct flight){
                .group = request->group,
                .command = request->command,
                .op = request->op,
                .seq = seq_take(client),
                .version = (uint8_t) client->version,
                .resends_left = request->resends,
                .unkept = request->unkept,
                .timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : client->options.timeout_ms,
                .done = request->done,
                .ctx = request->ctx,
                .then = request->then,
        };
        flight->early = client->rtt_known && request->resends > 0 && flight->timeout_ms <= SMP_TIMEOUT_STATE_MS;
        frame_fill(client, request, flight->seq);
        r = flight_start(client, flight, request);
        if (r < 0) {
                client->next_seq = seq; /* it never left */
                flight_clear(flight);
                return r;
        }
        flight->id = id_take(client);
        client->statistics.requests++;
        if (ret_id)
                *ret_id = flight->id;
        return 0;
}

/* ---- receiving */

static struct flight *flight_match(struct smp_client *client, const struct smp_header *header) {
        for (size_t i = 0; i < SMP_FLIGHTS_MAX; i++) {
                struct flight *flight = &client->flights[i];

                if (flight->id != 0 && !flight->ended && flight->sent && flight->seq == header->seq && flight->group == header->group &&
                    flight->command == header->command && flight->op + 1 == header->op)
                        return flight;
        }
        return NULL;
}

static bool version_refused(const struct smp_status *status) {
        return smp_status_is_rc(status, SMP_RC_VERSION_TOO_NEW) || smp_status_is_rc(status, SMP_RC_VERSION_TOO_OLD);
}

/* A peer that minds the version gets the same request once more in the other one. */
static bool version_switch(struct smp_client *client, struct flight *flight, const struct smp_status *status) {
        enum smp_version wanted = smp_status_is_rc(status, SMP_RC_VERSION_TOO_NEW) ? SMP_VERSION_1 : SMP_VERSION_2;

        if (!version_refused(status))
                return false;
        if (flight->version == wanted)
                return false;
        client->version = wanted;
        if (flight->switched || flight->unkept)
                return false;
        flight->switched = true;
        flight->version = (uint8_t) wanted;
        flight_resend(client, flight);
        return true;
}

static void refusal_tell(struct smp_client *client, const struct flight *flight, const struct smp_status *status) {
        const struct smp_refusal refusal = {
                .group = flight->group,
                .command = flight->command,
                .op = flight->op,
                .status = *status,
        };

        client->statistics.refusals++;
        if (client->handler && client->handler->refused)
                client->handler->refused(client->handler_ctx, &refusal);
}

static void rtt_sample(struct smp_client *client, const struct flight *flight, uint32_t sample_ms) {
        if (flight->unkept || flight->resent || flight->timeout_ms > SMP_TIMEOUT_STATE_MS)
                return;
        client->rtt_8th_ms = client->rtt_known ? client->rtt_8th_ms - client->rtt_8th_ms / 8 + sample_ms : sample_ms * 8;
        client->rtt_known = true;
}

static void flight_answered(struct smp_client *client, struct flight *flight, uint8_t version, const struct cbor_map *map) {
        struct smp_answer answer = { .map = map };
        uint32_t id = flight->id;

        client->was_heard = true;
        client->statistics.answers++;
        smp_status_read(map, &answer.status);
        if (version_switch(client, flight, &answer.status))
                return;
        /* A server that puts the newer version into its answers knows it, whatever the last try was sent as. */
        if (!version_refused(&answer.status))
                client->version = version == SMP_VERSION_2 ? SMP_VERSION_2 : (enum smp_version) flight->version;
        answer.round_trip_ms = (uint32_t) (now_ms(client) - flight->sent_ms);
        rtt_sample(client, flight, answer.round_trip_ms);
        if (answer.status.refused) {
                answer.result = -EREMOTEIO;
                refusal_tell(client, flight, &answer.status);
                if (client->released || flight->id != id)
                        return;
        }
        flight_finish(flight, &answer);
}

static void message_received(struct smp_client *client, const struct smp_header *header, const uint8_t *payload) {
        struct flight *flight = flight_match(client, header);
        struct cbor_map map;

        if (!flight) {
                client->statistics.unexpected++;
                return;
        }
        cbor_map_clear(&map);
        if (header->size > 0 && cbor_map_parse(&map, payload, header->size) < 0) {
                client->statistics.garbage++;
                flight->undecodable = true;
                return;
        }
        flight_answered(client, flight, header->version, &map);
}

/* Several answers may share a datagram. A callback may close the link: the rest belonged to it, and the bytes, too. */
static void on_received(void *ctx, const uint8_t *data, size_t size) {
        struct smp_client *client = ctx;
        const struct gw_link *link = client->link;

        client->statistics.bytes_received += size;
        if (size > SMP_RECEIVE_MAX) {
                client->statistics.garbage++;
                return;
        }
        callback_enter(client);
        while (size > 0 && !client->released && client->link == link) {
                struct smp_header header;

                if (smp_header_read(data, size, &header) < 0 || (header.op & 1) == 0) {
                        client->statistics.garbage++;
                        break;
                }
                message_received(client, &header, data + SMP_HEADER_SIZE);
                data += SMP_HEADER_SIZE + header.size;
                size -= SMP_HEADER_SIZE + header.size;
        }
        callback_leave(client);
}

/* ---- the link */

static void on_opened(void *ctx) {
        struct smp_client *client = ctx;

        client->is_open = true;
        callback_enter(client);
        if (client->handler && client->handler->opened)
                client->handler->opened(client->handler_ctx);
        callback_leave(client);
}

static void on_writable(void *ctx) {
        struct smp_client *client = ctx;

        for (size_t i = 0; i < SMP_FLIGHTS_MAX; i++) {
                struct flight *flight = &client->flights[i];

                if (flight->id != 0 && !flight->ended && flight->wants_room)
                        flight_send_copy(client, flight);
        }
        callback_enter(client);
        if (client->writable)
                client->writable(client->writable_ctx);
        callback_leave(client);
}

static void on_closed(void *ctx, const struct gw_error *why) {
        struct smp_client *client = ctx;
        const struct gw_link *link = client->link;

        client->is_open = false;
        callback_enter(client);
        if (client->handler && client->handler->closing)
                client->handler->closing(client->handler_ctx, why);
        for (size_t i = 0; i < SMP_FLIGHTS_MAX && !client->released; i++) {
                struct flight *flight = &client->flights[i];

                if (flight->id != 0)
                        flight_fail(flight, flight->ended ? flight->result : -ENOTCONN);
        }
        /* Whoever waits for room learns by trying that there is none any more. */
        if (client->writable)
                client->writable(client->writable_ctx);
        /* A callback may have detached this link already, or attached the next one. */
        if (client->link == link && client->handler && client->handler->closed)
                client->handler->closed(client->handler_ctx, why);
        callback_leave(client);
}

const struct gw_link_handler smp_client_link_handler = {
        .opened = on_opened,
        .received = on_received,
        .writable = on_writable,
        .closed = on_closed,
};

void smp_client_attach(struct smp_client *client, struct gw_link *link, bool is_open) {
        link->handler = &smp_client_link_handler;
        link->handler_ctx = client;
        client->link = link;
        client->is_open = is_open;
        client->was_heard = client->rtt_known = false;
        client->version = client->options.version_1 ? SMP_VERSION_1 : SMP_VERSION_2;
}

void smp_client_detach(struct smp_client *client) {
        link_close(client);
        for (size_t i = 0; i < SMP_FLIGHTS_MAX; i++)
                if (client->flights[i].id != 0)
                        flight_end_later(client, &client->flights[i], -ENOTCONN);
}

/* ---- what others ask */

bool smp_client_is_open(const struct smp_client *client) {
        return client->is_open;
}

size_t smp_client_max_message(const struct smp_client *client) {
        return client->is_open ? client->link->ops->max_datagram(client->link) : 0;
}

size_t smp_client_queued_bytes(const struct smp_client *client) {
        return client->is_open ? client->link->ops->queued_bytes(client->link) : 0;
}

void smp_client_on_writable(struct smp_client *client, void (*writable)(void *ctx), void *ctx) {
        client->writable = writable;
        client->writable_ctx = ctx;
}

const struct smp_statistics *smp_client_statistics(const struct smp_client *client) {
        return &client->statistics;
}

enum smp_version smp_client_version(const struct smp_client *client) {
        return client->version;
}

bool smp_client_was_heard(const struct smp_client *client) {
        return client->was_heard;
}

const struct gw_host *smp_client_host(const struct smp_client *client) {
        return client->host;
}

uint8_t smp_client_resends(const struct smp_client *client) {
        return client->options.resends;
}

void smp_answer_error(const struct smp_answer *answer, const char *what, struct gw_error *err) {
        char text[SMP_RSN_MAX + 96];

        switch (answer->result) {
        case -EREMOTEIO:
                gw_error_set(err, "smp-refused", "%s: the device refused with %s", what,
                             smp_status_describe(&answer->status, text, sizeof text));
                break;
        case -ETIMEDOUT:
                gw_error_set(err, "smp-no-answer", "%s: no answer", what);
                break;
        case -EBADMSG:
                gw_error_set(err, "smp-bad-answer", "%s: the answer cannot be understood", what);
                break;
        case -ENOTCONN:
                gw_error_set(err, "link-lost", "%s: the link closed", what);
                break;
        default:
                gw_error_set(err, "link-lost", "%s: %s", what, strerror(-answer->result));
        }
}
