/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Any bytes as what a device sends: a client with a probe, a state read and an upload under way gets them. The first byte of each piece
 * says what happens: its low six bits are the size of a datagram, 0 lets time pass, and with the top bit set the sequence number and the
 * command are made to match a request that is in flight, so that the answers behind the header are reached, too.
 */

#include <stdlib.h>

#include "common/smp/smp_testing.h"
#include "common/smp/upload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct session {
        struct testing_host host;
        struct testing_link link;
        struct smp_client *client;
        struct smp_probe *probe;
        struct smp_probe_result probed;
        struct smp_upload *upload;
        uint8_t last[SMP_HEADER_SIZE]; /* header of the last request */
        unsigned n_ends;
};

static int keep_header(void *ctx, const void *data, size_t size) {
        struct session *session = ctx;

        if (size < SMP_HEADER_SIZE)
                abort();
        memcpy(session->last, data, SMP_HEADER_SIZE);
        return 0;
}

static int read_zeros(void *ctx, uint64_t offset, void *buffer, size_t size) {
        (void) ctx;
        if (offset + size > 5000)
                abort();
        memset(buffer, 0, size);
        return 0;
}

static void on_state(void *ctx, const struct smp_answer *answer, const struct smp_image_state *state) {
        struct session *session = ctx;

        if ((state != NULL) != (answer->result == 0) || (state && state->n_images > GW_IMAGES_MAX))
                abort();
        if (session->n_ends++ < 1000)
                smp_image_read(session->client, on_state, session, NULL);
}

static void on_probe(void *ctx, int result, const struct gw_error *err) {
        struct session *session = ctx;

        (void) err;
        if (result == 0 && session->probed.slot_info.n_slots > GW_IMAGES_MAX)
                abort();
        session->n_ends++;
        smp_probe_free(session->probe);
        session->probe = NULL;
}

static void on_upload(void *ctx, int result, const struct smp_upload_report *report) {
        struct session *session = ctx;

        if (result == 0 && !report->unproven && report->confirmed != 5000)
                abort();
        session->n_ends++;
        smp_upload_free(session->upload);
        session->upload = NULL;
}

static void session_begin(struct session *session) {
        const struct smp_client_options options = { .first_seq = 0 };
        const struct smp_upload_options upload = {
                .size = 5000, .sha = (const uint8_t *) "0123456789abcdef0123456789abcdef", .limits = { 300, 200, 4 }, .read = read_zeros
        };

        memset(session, 0, sizeof *session);
        testing_host_init(&session->host);
        testing_link_init(&session->link);
        session->link.on_send = keep_header;
        session->link.on_send_ctx = session;
        if (smp_client_new(&session->host.host, &options, NULL, NULL, &session->client) < 0)
                abort();
        smp_client_attach(session->client, &session->link.link, true);
        if (smp_image_read(session->client, on_state, session, NULL) < 0 ||
            smp_probe_start(session->client, SMP_PROBE_ALL, &session->probed, on_probe, session, &session->probe) < 0 ||
            smp_upload_start(session->client, &upload, on_upload, session, &session->upload, NULL) < 0)
                abort();
}

static void session_receive(struct session *session, const uint8_t *data, size_t size, bool match) {
        uint8_t message[64];

        memcpy(message, data, size);
        if (match && size >= SMP_HEADER_SIZE) {
                memcpy(message, session->last, SMP_HEADER_SIZE);
                message[0]++;
                message[2] = 0;
                message[3] = (uint8_t) (size - SMP_HEADER_SIZE);
        }
        testing_link_receive(&session->link, message, size);
}

static void session_end(struct session *session) {
        smp_upload_free(session->upload);
        smp_probe_free(session->probe);
        smp_client_free(session->client);
        if (session->host.timers)
                abort(); /* a timer outlives its owner */
        testing_link_deinit(&session->link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct session session;

        session_begin(&session);
        while (size > 0) {
                size_t piece = data[0] & 63;
                bool match = data[0] & 128;

                data++;
                size--;
                if (piece > size)
                        piece = size;
                if (piece == 0)
                        testing_host_advance(&session.host, 700);
                else
                        session_receive(&session, data, piece, match);
                data += piece;
                size -= piece;
        }
        session_end(&session);
        return 0;
}
