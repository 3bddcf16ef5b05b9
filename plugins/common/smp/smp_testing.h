/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For tests: a host with a clock that only the test moves, a link whose other end is the test, and a device that behaves like a real
 * SMP server behind a link with latency, line speed and losses. Nothing here sleeps.
 */

#include <gatewayd/plugin.h>

/* ---- host: timers of a scripted clock. Events at the same time come in the order in which they were started. */

struct testing_host {
        struct gw_host host;
        struct gw_timer *timers; /* sorted by time */
        int64_t now_ms;
        uint64_t n_started, n_fired;
};

void testing_host_init(struct testing_host *testing);
void testing_host_deinit(struct testing_host *testing);
/* Fires what is due until then. */
void testing_host_advance(struct testing_host *testing, int64_t delay_ms);
/* Goes to the next timer and fires it; false when there is none. */
bool testing_host_step(struct testing_host *testing);

/* ---- link: keeps what was sent; the test plays the peer. */

#define TESTING_SENT_MAX 128

struct testing_link {
        struct gw_link link;
        size_t max_datagram;
        size_t queued_bytes;
        int send_result; /* what send() answers; 0 = takes it */
        size_t n_room;   /* datagrams that it takes before -EAGAIN */
        bool closed;     /* by its owner */
        /* NULL: kept in `sent`. Else called with each datagram. */
        int (*on_send)(void *ctx, const void *data, size_t size);
        void *on_send_ctx;
        struct {
                uint8_t *data;
                size_t size;
        } sent[TESTING_SENT_MAX];
        size_t n_sent;
};

void testing_link_init(struct testing_link *testing);
void testing_link_deinit(struct testing_link *testing);
void testing_link_open(struct testing_link *testing);
void testing_link_receive(struct testing_link *testing, const void *data, size_t size);
void testing_link_receive_hex(struct testing_link *testing, const char *hex);
void testing_link_writable(struct testing_link *testing);
void testing_link_lose(struct testing_link *testing);
/* Is sent datagram `index` these bytes? */
bool testing_link_sent_is(const struct testing_link *testing, size_t index, const char *hex);

/* Bytes of hex digits; -1 when there is no room or no digit. */
int testing_hex(const char *hex, uint8_t *ret_bytes, size_t room);

/* ---- device: image upload, echo and parameters of a server, behind a simulated line. */

#define TESTING_DEVICE_IMAGE_MAX (1u << 20)

struct testing_device {
        struct testing_host *host;
        struct testing_link link; /* give this to the client */

        /* The line. */
        int64_t latency_ms;   /* each way */
        uint64_t bytes_per_s; /* 0 = not limited; both ways */
        unsigned lose_request_permille, lose_answer_permille;
        uint32_t random; /* state of the generator; set for another course */
        int (*judge_request)(struct testing_device *device, const uint8_t *data, size_t size); /* NULL; < 0 loses it */
        int (*judge_answer)(struct testing_device *device, const uint8_t *data, size_t size);
        size_t framing; /* bytes that the line adds to a message */

        /* The server. */
        size_t message_max;   /* longer requests are dropped without a word; 0 = any */
        size_t corrupt_above; /* longer ones are answered with rc 9; 0 = never */
        uint32_t buf_count;   /* buffers; 0 = any number. A request without one gets rc 2 */
        bool drops_silently;  /* in place of rc 2 */
        int64_t work_ms;      /* for a request */
        int64_t erase_ms;     /* at the first packet */
        uint32_t write_block; /* drops tails that do not fill it; 0 = keeps all */
        bool has_match;       /* compares the SHA-256 in its last answer */
        bool no_resume;       /* MCUboot's recovery: off 0 always begins anew */
        bool wrong_match;
        bool version_1_only; /* rc 13 to version 2 */

        /* What it holds. */
        uint8_t *image;
        uint64_t len, off;
        uint8_t sha[32];
        bool session, finished;
        uint32_t n_busy; /* requests that hold a buffer */
        int64_t erasing_ms, busy_until_ms, line_in_free_us, line_out_free_us;
        uint64_t n_requests, n_answers, n_refused_buffer, n_lost, n_erases;
        uint32_t max_busy;
};

void testing_device_init(struct testing_device *device, struct testing_host *host);
/* The client must be gone. Runs the host's timers out. */
void testing_device_deinit(struct testing_device *device);
/* As after a power failure: no session, but what was finished stays. */
void testing_device_reset(struct testing_device *device);
