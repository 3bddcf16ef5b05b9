/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/upload_internal.h"

#define CHECK_TIMEOUT_MS 2500u
#define CHECK_RESENDS ((SMP_TIMEOUT_FIRST_CHUNK_MAX_MS - SMP_TIMEOUT_FIRST_CHUNK_MS) / CHECK_TIMEOUT_MS - 1)

/* ---- chunks */

static void keys_fill(const struct smp_upload *upload, uint64_t off, struct smp_chunk_keys *ret_keys) {
        bool first = off == 0;

        *ret_keys = (struct smp_chunk_keys){
                .off = off,
                .first = first,
                .len = upload->options.size,
                .sha_size = first && upload->options.sha ? sizeof upload->sha : 0,
                .image = upload->options.image,
                .upgrade = first && upload->options.upgrade,
        };
}

static size_t data_size(const struct smp_upload *upload, const struct smp_chunk_keys *keys) {
        uint64_t left = upload->options.size - keys->off;
        size_t size = smp_upload_chunk_size(upload->budget, keys);
        size_t tail;

        if (size >= left)
                return (size_t) left;
        /* Devices that drop what does not fill a block of their flash. */
        tail = (size_t) ((keys->off + size) % upload->alignment);
        return size > tail ? size - tail : size;
}

static int frame_send(struct smp_upload *upload, size_t payload_size, uint32_t *ret_id) {
        const struct smp_request request = {
                .group = SMP_GROUP_IMAGE,
                .command = SMP_IMAGE_UPLOAD,
                .op = SMP_OP_WRITE,
                .frame = upload->frame,
                .payload_size = payload_size,
                .timeout_ms = UINT32_MAX,
                .unkept = true,
                .done = upload_chunk_answered,
                .ctx = upload,
        };

        return smp_client_request(upload->client, &request, ret_id);
}

static void chunk_add(struct smp_upload *upload, uint32_t id, uint64_t off, size_t size) {
        struct chunk *chunk = &upload->chunks[upload->n_chunks++];

        *chunk = (struct chunk){
                .id = id,
                .generation = upload->generation,
                .off = off,
                .end = off + size,
                .sent_ms = upload_now_ms(upload),
                .budget = upload->budget,
                .repeat = off < upload->sent_end,
        };
        upload->report.chunks++;
        upload->report.repeats += chunk->repeat;
        if (chunk->end > upload->sent_end)
                upload->sent_end = chunk->end;
}

/* The chunk at `off`. 0, -EAGAIN, or what cannot be mended (`ret_read`: the reading failed, not the sending). */
int upload_chunk_send(struct smp_upload *upload, uint64_t off, uint64_t *ret_end, bool *ret_read) {
        struct upload_packet packet = { .sha = upload->sha };
        size_t payload_size;
        uint8_t *data;
        uint32_t id;
        int r;

        *ret_read = false;
        keys_fill(upload, off, &packet.keys);
        packet.data_size = data_size(upload, &packet.keys);
        data = upload_packet_write(&packet, upload->frame + SMP_HEADER_SIZE, upload->frame_capacity - SMP_HEADER_SIZE, &payload_size);
        if (!data || packet.data_size == 0)
                return -EMSGSIZE;
        r = upload->options.read(upload->options.ctx, off, data, packet.data_size);
        if (r < 0) {
                *ret_read = true;
                return r;
        }
        if (upload->n_chunks == PLACES)
                upload_chunks_settle(upload, 1, 0);
        r = frame_send(upload, payload_size, &id);
        if (r < 0)
                return r;
        chunk_add(upload, id, off, packet.data_size);
        *ret_end = off + packet.data_size;
        return 0;
}

/* True when sent. A full link waits for room; other failures end the upload. */
bool upload_chunk_send_or_fail(struct smp_upload *upload, uint64_t off, uint64_t *ret_end) {
        bool reading;
        int r = upload_chunk_send(upload, off, ret_end, &reading);

        if (r == 0)
                return true;
        if (r == -EAGAIN && !reading)
                upload->blocked = true;
        else if (reading)
                upload_fail(upload, r, "file-unreadable", "the image cannot be read at %llu: %s", (unsigned long long) off, strerror(-r));
        else if (r == -EMSGSIZE)
                upload_fail(upload, r, "smp-message-too-long", "messages of %zu bytes are too small or too large for an upload",
                            upload->budget);
        else
                upload_fail(upload, r, "link-lost", "image upload at %llu: %s", (unsigned long long) off, strerror(-r));
        return false;
}

/* ---- the first packet */

void upload_first_send(struct smp_upload *upload) {
        uint64_t end;

        if (upload->n_first == 0)
                upload->first_ms = upload_now_ms(upload);
        /* From the fourth on as small as it goes: silence may mean that long messages do not arrive. */
        if (upload->n_first >= (upload->options.sha ? 3u : 1u))
                upload->budget = upload->options.limits.message_fallback;
        if (upload_chunk_send_or_fail(upload, 0, &end))
                upload->n_first++;
}

void upload_first_again(struct smp_upload *upload) {
        upload->phase = PHASE_FIRST;
        upload->generation++;
        upload->confirmed = upload->next = upload->sent_end = 0;
        upload->n_first = upload->n_checks = 0;
        upload->first_limit_ms = SMP_TIMEOUT_FIRST_CHUNK_MS;
        upload->n_silences = 0;
        upload->probing = false;
        upload_chunks_forget(upload);
        upload_first_send(upload);
}

void upload_restart(struct smp_upload *upload) {
        if (++upload->n_backwards > SMP_RESTARTS_MAX) {
                upload_fail(upload, -ESTALE, "smp-upload-stalled", "the device asked for the upload from its start %u times",
                            upload->n_backwards);
                return;
        }
        upload->budget = upload->options.limits.message_max;
        upload_first_again(upload);
}

/* The device answers short questions, so it is not erasing: the first packet was lost, or its answer was, or it is too long. */
static void first_not_taken(struct smp_upload *upload) {
        if (++upload->n_checks > 1) {
                upload_fail(upload, -ETIMEDOUT, "smp-no-reassembly", "short requests are answered, an upload packet of %zu bytes is not",
                            upload->options.limits.message_max);
                return;
        }
        upload->phase = PHASE_FIRST;
        upload->first_ms = upload_now_ms(upload);
        upload->first_limit_ms = upload->options.sha ? SMP_TIMEOUT_FIRST_AGAIN_MS : SMP_TIMEOUT_FIRST_CHUNK_MS;
        upload_first_send(upload);
        if (!upload_is_over(upload))
                upload_pump(upload); /* for its timer */
}

static void check_answered(void *ctx, const struct smp_answer *answer) {
        struct smp_upload *upload = ctx;

        upload->check_id = 0;
        upload_callback_enter(upload);
        if (answer->result == 0 || answer->result == -EREMOTEIO)
                first_not_taken(upload);
        else if (answer->result == -ENOTCONN)
                upload_fail(upload, -ENOTCONN, "link-lost", "the link closed before the first upload packet was answered");
        else
                upload_fail(upload, -ETIMEDOUT, "smp-no-answer", "no answer to the first upload packet, nor to anything else, for %u s",
                            SMP_TIMEOUT_FIRST_CHUNK_MAX_MS / 1000);
        upload_callback_leave(upload);
}

void upload_first_check_end(struct smp_upload *upload) {
        smp_client_forget(upload->client, upload->check_id);
        upload->check_id = 0;
        upload->phase = PHASE_FIRST;
}

void upload_first_check(struct smp_upload *upload) {
        uint8_t frame[SMP_HEADER_SIZE + 1] = { [SMP_HEADER_SIZE] = 0xa0 };
        const struct smp_request request = {
                .group = SMP_GROUP_OS,
                .command = SMP_OS_PARAMS,
                .op = SMP_OP_READ,
                .frame = frame,
                .payload_size = 1,
                .timeout_ms = CHECK_TIMEOUT_MS,
                .resends = CHECK_RESENDS,
                .done = check_answered,
                .ctx = upload,
        };

        upload->phase = PHASE_CHECK;
        if (smp_client_request(upload->client, &request, &upload->check_id) < 0)
                upload_fail(upload, -ETIMEDOUT, "smp-no-answer", "no answer to the first upload packet");
}
