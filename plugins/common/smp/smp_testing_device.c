/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/smp_testing.h"

#include <stdlib.h>

#include "common/smp/frame.h"

/* One message on its way, in a timer's context. */
struct parcel {
        struct testing_device *device;
        void (*arrive)(struct testing_device *device, const uint8_t *data, size_t size);
        size_t size;
        uint8_t data[];
};

static bool unlucky(struct testing_device *device, unsigned permille) {
        device->random = device->random * 1664525u + 1013904223u;
        return (device->random >> 8) % 1000 < permille;
}

static void parcel_arrive(void *ctx) {
        struct parcel *parcel = ctx;

        parcel->arrive(parcel->device, parcel->data, parcel->size);
        free(parcel);
}

static void parcel_post(struct testing_device *device, int64_t delay_ms, const uint8_t *data, size_t size,
                        void (*arrive)(struct testing_device *device, const uint8_t *data, size_t size)) {
        struct parcel *parcel = malloc(sizeof *parcel + size);
        const struct gw_host *host = &device->host->host;
        struct gw_timer *timer;

        if (!parcel)
                abort();
        *parcel = (struct parcel){ .device = device, .arrive = arrive, .size = size };
        memcpy(parcel->data, data, size);
        if (host->timer->start(host, delay_ms, parcel_arrive, parcel, &timer) < 0)
                abort();
}

/* When the last byte of a message is through, in ms from now. The line works in us so that rounding does not add up. */
static int64_t line_delay_ms(struct testing_device *device, int64_t *free_us, size_t size) {
        int64_t now_us = device->host->now_ms * 1000;

        if (device->bytes_per_s == 0)
                return device->latency_ms;
        if (*free_us < now_us)
                *free_us = now_us;
        *free_us += (int64_t) ((size + device->framing) * 1000000 / device->bytes_per_s);
        return (*free_us - now_us + 999) / 1000 + device->latency_ms;
}

static void answer_arrived(struct testing_device *device, const uint8_t *data, size_t size) {
        testing_link_receive(&device->link, data, size);
}

static void buffer_freed(struct testing_device *device, const uint8_t *data, size_t size) {
        (void) data;
        (void) size;
        device->n_busy--;
}

static void answer(struct testing_device *device, const struct smp_header *request, const uint8_t *map, size_t size) {
        uint8_t message[256];
        struct smp_header header = *request;
        int64_t erased_ms = device->erasing_ms;

        device->erasing_ms = 0;
        header.op++;
        header.size = (uint16_t) size;
        smp_header_write(&header, message);
        memcpy(message + SMP_HEADER_SIZE, map, size);
        size += SMP_HEADER_SIZE;
        device->n_answers++;
        if (unlucky(device, device->lose_answer_permille) || (device->judge_answer && device->judge_answer(device, message, size) < 0)) {
                device->n_lost++;
                return;
        }
        parcel_post(device, line_delay_ms(device, &device->line_out_free_us, size) + erased_ms, message, size, answer_arrived);
}

static void answer_rc(struct testing_device *device, const struct smp_header *request, int rc) {
        uint8_t map[16];
        struct cbor_writer writer = CBOR_WRITER(map, sizeof map);

        cbor_write_map(&writer, 1);
        cbor_write_text(&writer, "rc");
        cbor_write_int(&writer, rc);
        answer(device, request, map, writer.size);
}

static void answer_off(struct testing_device *device, const struct smp_header *request, uint64_t off, bool complete) {
        uint8_t map[32];
        struct cbor_writer writer = CBOR_WRITER(map, sizeof map);

        cbor_write_map(&writer, complete && device->has_match ? 2 : 1);
        cbor_write_text(&writer, "off");
        cbor_write_uint(&writer, off);
        if (complete && device->has_match) {
                cbor_write_text(&writer, "match");
                cbor_write_bool(&writer, !device->wrong_match);
        }
        answer(device, request, map, writer.size);
}

static void store(struct testing_device *device, const uint8_t *data, size_t size) {
        if (device->write_block > 0 && device->off + size < device->len)
                size -= (size_t) ((device->off + size) % device->write_block);
        memcpy(device->image + device->off, data, size);
        device->off += size;
}

/* The first packet. False: only the offset is answered, its data is not used. */
static bool upload_begin(struct testing_device *device, const struct cbor_map *map) {
        const uint8_t *sha = NULL;
        size_t sha_size = 0;

        cbor_map_get_bytes(map, NULL, "sha", &sha, &sha_size);
        if (!device->no_resume && device->session && sha_size == 32 && memcmp(sha, device->sha, 32) == 0)
                return false;
        if (cbor_map_get_uint(map, NULL, "len", TESTING_DEVICE_IMAGE_MAX, &device->len) < 0)
                abort();
        device->off = 0;
        device->session = true;
        device->finished = false;
        device->n_erases++;
        device->erasing_ms = device->erase_ms;
        device->busy_until_ms += device->erase_ms;
        memset(device->sha, 0, sizeof device->sha);
        if (sha_size == 32)
                memcpy(device->sha, sha, 32);
        return true;
}

static void upload(struct testing_device *device, const struct smp_header *request, const struct cbor_map *map) {
        const uint8_t *data = NULL;
        size_t size = 0;
        uint64_t off = 0, stored;

        if (cbor_map_get_uint(map, NULL, "off", UINT32_MAX, &off) < 0 || cbor_map_get_bytes(map, NULL, "data", &data, &size) < 0)
                abort();
        if (off == 0 ? !upload_begin(device, map) : (!device->session || off != device->off)) {
                answer_off(device, request, device->session ? device->off : 0, false);
                return;
        }
        if (off + size > device->len)
                abort();
        store(device, data, size);
        stored = device->off;
        if (stored == device->len) {
                device->session = false;
                device->finished = true;
        }
        answer_off(device, request, stored, device->finished);
}

static void request_work(struct testing_device *device, const uint8_t *data, size_t size) {
        struct smp_header header;
        struct cbor_map map;
        uint8_t frame[64];

        if (smp_header_read(data, size, &header) < 0 || cbor_map_parse(&map, data + SMP_HEADER_SIZE, header.size) < 0)
                abort();
        if (device->version_1_only && header.version != SMP_VERSION_1)
                answer_rc(device, &header, SMP_RC_VERSION_TOO_NEW);
        else if (header.group == SMP_GROUP_IMAGE && header.command == SMP_IMAGE_UPLOAD)
                upload(device, &header, &map);
        else if (header.group == SMP_GROUP_OS && header.command == SMP_OS_PARAMS)
                answer(device, &header, frame,
                       (size_t) testing_hex("a2686275665f73697a65190800696275665f636f756e7404", frame, sizeof frame));
        else
                answer_rc(device, &header, SMP_RC_NOT_SUPPORTED);
        /* Request and answer each take a buffer until the answer has left. */
        buffer_freed(device, NULL, 0);
}

static void request_arrived(struct testing_device *device, const uint8_t *data, size_t size) {
        struct smp_header header;
        int64_t now_ms = device->host->now_ms;

        device->n_requests++;
        if (smp_header_read(data, size, &header) < 0)
                return;
        if (device->message_max > 0 && size > device->message_max)
                return;
        if (device->corrupt_above > 0 && size > device->corrupt_above) {
                answer_rc(device, &header, SMP_RC_CORRUPT);
                return;
        }
        /* One buffer is kept for the answer of the request that is worked on. */
        if (device->buf_count > 0 && device->n_busy + 1 >= device->buf_count) {
                device->n_refused_buffer++;
                if (!device->drops_silently)
                        answer_rc(device, &header, SMP_RC_NO_MEMORY);
                return;
        }
        device->n_busy++;
        if (device->n_busy > device->max_busy)
                device->max_busy = device->n_busy;
        if (device->busy_until_ms < now_ms)
                device->busy_until_ms = now_ms;
        device->busy_until_ms += device->work_ms;
        parcel_post(device, device->busy_until_ms - now_ms, data, size, request_work);
}

static int request_sent(void *ctx, const void *data, size_t size) {
        struct testing_device *device = ctx;

        if (unlucky(device, device->lose_request_permille) || (device->judge_request && device->judge_request(device, data, size) < 0)) {
                device->n_lost++;
                return 0;
        }
        parcel_post(device, line_delay_ms(device, &device->line_in_free_us, size), data, size, request_arrived);
        return 0;
}

void testing_device_init(struct testing_device *device, struct testing_host *host) {
        *device = (struct testing_device){ .host = host, .random = 1 };
        testing_link_init(&device->link);
        device->link.on_send = request_sent;
        device->link.on_send_ctx = device;
        device->image = calloc(1, TESTING_DEVICE_IMAGE_MAX);
        if (!device->image)
                abort();
}

void testing_device_deinit(struct testing_device *device) {
        device->link.link.handler = NULL;
        while (testing_host_step(device->host))
                ; /* what is still on its way is freed where it arrives */
        testing_link_deinit(&device->link);
        free(device->image);
}

void testing_device_reset(struct testing_device *device) {
        device->session = false;
        device->off = 0;
}
