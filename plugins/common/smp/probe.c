/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/probe.h"

#include <stdlib.h>

#define SILENCES_MAX 2 /* in a row: then the device is gone, and the other questions are spared */

struct smp_probe {
        struct smp_client *client;
        struct smp_probe_result *result;
        uint32_t items;
        uint32_t request_id;
        struct gw_timer *timer; /* when there is nothing to ask */
        bool canceled;
        unsigned n_silences;
        void (*done)(void *ctx, int result, const struct gw_error *err);
        void *ctx;
};

/* One question: what to send, and how to read the answer into the result (false: nothing usable). */
struct question {
        enum smp_probe_item item;
        uint16_t group;
        uint8_t command, op;
        const char *key, *value; /* of the request's map; NULL = empty map */
        bool (*answer)(const struct cbor_map *map, struct smp_probe_result *result);
};

static bool params_answer(const struct cbor_map *map, struct smp_probe_result *result) {
        uint64_t size, count = 1;

        if (cbor_map_get_uint(map, NULL, "buf_size", UINT32_MAX, &size) < 0)
                return false;
        cbor_map_get_uint(map, NULL, "buf_count", UINT32_MAX, &count);
        result->buf_size = (uint32_t) size;
        result->buf_count = (uint32_t) count;
        return true;
}

static bool bootloader_answer(const struct cbor_map *map, struct smp_probe_result *result) {
        return cbor_map_get_text_cut(map, NULL, "bootloader", result->bootloader, sizeof result->bootloader) == 0;
}

static bool mode_answer(const struct cbor_map *map, struct smp_probe_result *result) {
        int64_t mode;

        if (cbor_map_get_int(map, NULL, "mode", &mode) < 0 || mode < INT16_MIN || mode > INT16_MAX)
                return false;
        result->mode = (int) mode;
        cbor_map_get_bool(map, NULL, "no-downgrade", &result->no_downgrade);
        return true;
}

static bool board_answer(const struct cbor_map *map, struct smp_probe_result *result) {
        return cbor_map_get_text(map, NULL, "output", result->board, sizeof result->board) == 0;
}

static bool os_info_answer(const struct cbor_map *map, struct smp_probe_result *result) {
        return cbor_map_get_text_cut(map, NULL, "output", result->os_info, sizeof result->os_info) == 0;
}

static bool slot_info_answer(const struct cbor_map *map, struct smp_probe_result *result) {
        return smp_slot_info_parse(map, &result->slot_info) == 0;
}

static bool memfault_answer(const struct cbor_map *map, struct smp_probe_result *result) {
        cbor_map_get_text(map, NULL, "device_serial", result->memfault_serial, sizeof result->memfault_serial);
        cbor_map_get_text(map, NULL, "software_type", result->memfault_software, sizeof result->memfault_software);
        cbor_map_get_text(map, NULL, "current_version", result->memfault_version, sizeof result->memfault_version);
        return cbor_map_get_text(map, NULL, "hardware_version", result->memfault_hardware, sizeof result->memfault_hardware) == 0;
}

static bool echo_answer(const struct cbor_map *map, struct smp_probe_result *result) {
        const struct cbor_item *text = cbor_map_find(map, NULL, "r");

        (void) result;
        return text && cbor_item_is_text(text, "gatewayd");
}

static const struct question questions[] = {
        { SMP_PROBE_PARAMS, SMP_GROUP_OS, SMP_OS_PARAMS, SMP_OP_READ, NULL, NULL, params_answer },
        { SMP_PROBE_BOOTLOADER, SMP_GROUP_OS, SMP_OS_BOOTLOADER, SMP_OP_READ, NULL, NULL, bootloader_answer },
        { SMP_PROBE_MODE, SMP_GROUP_OS, SMP_OS_BOOTLOADER, SMP_OP_READ, "query", "mode", mode_answer },
        { SMP_PROBE_BOARD, SMP_GROUP_OS, SMP_OS_INFO, SMP_OP_READ, "format", "i", board_answer },
        { SMP_PROBE_OS_INFO, SMP_GROUP_OS, SMP_OS_INFO, SMP_OP_READ, "format", "a", os_info_answer },
        { SMP_PROBE_SLOT_INFO, SMP_GROUP_IMAGE, SMP_IMAGE_SLOT_INFO, SMP_OP_READ, NULL, NULL, slot_info_answer },
        { SMP_PROBE_MEMFAULT, SMP_GROUP_MEMFAULT, 0, SMP_OP_READ, NULL, NULL, memfault_answer },
        { SMP_PROBE_ECHO, SMP_GROUP_OS, SMP_OS_ECHO, SMP_OP_WRITE, "d", "gatewayd", echo_answer },
};

static const struct question *question_next(struct smp_probe *probe) {
        struct smp_probe_result *result = probe->result;

        /* A device without the command cannot have its query. */
        if (result->asked & SMP_PROBE_BOOTLOADER && !(result->offered & SMP_PROBE_BOOTLOADER))
                result->asked |= SMP_PROBE_MODE;
        for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++)
                if (questions[i].item & probe->items & ~result->asked)
                        return &questions[i];
        return NULL;
}

static void answered(void *ctx, const struct smp_answer *answer);

static int ask(struct smp_probe *probe, const struct question *question) {
        uint8_t frame[SMP_HEADER_SIZE + 64];
        struct cbor_writer writer = CBOR_WRITER(frame + SMP_HEADER_SIZE, sizeof frame - SMP_HEADER_SIZE);
        struct smp_request request = {
                .group = question->group,
                .command = question->command,
                .op = question->op,
                .frame = frame,
                .resends = smp_client_resends(probe->client),
                .done = answered,
                .ctx = probe,
        };

        cbor_write_map(&writer, question->key ? 1 : 0);
        if (question->key) {
                cbor_write_text(&writer, question->key);
                cbor_write_text(&writer, question->value);
        }
        request.payload_size = writer.size;
        return smp_client_request(probe->client, &request, &probe->request_id);
}

/* The last thing that is done with a probe; the callback may free it. */
static void finish(struct smp_probe *probe, int result, const struct gw_error *err) {
        probe->request_id = 0;
        probe->done(probe->ctx, result, err);
}

static void go_on(struct smp_probe *probe) {
        const struct question *question = question_next(probe);
        struct gw_error err = { 0 };
        int r;

        if (!question) {
                finish(probe, 0, NULL);
                return;
        }
        r = ask(probe, question);
        if (r < 0) {
                gw_error_set(&err, "link-lost", "cannot ask the device: %s", strerror(-r));
                finish(probe, r, &err);
        }
}

static void answered(void *ctx, const struct smp_answer *answer) {
        struct smp_probe *probe = ctx;
        const struct question *question = question_next(probe);
        bool heard = answer->result == 0 || answer->result == -EREMOTEIO || answer->result == -EBADMSG;
        struct gw_error err = { 0 };

        probe->n_silences = heard ? 0 : probe->n_silences + 1;
        if (!heard && (answer->result != -ETIMEDOUT || !smp_client_was_heard(probe->client) || probe->n_silences >= SILENCES_MAX)) {
                smp_answer_error(answer, "probing the device", &err);
                finish(probe, answer->result, answer->result == -ECANCELED ? NULL : &err);
                return;
        }
        probe->result->asked |= question->item;
        if (answer->result == 0 && question->answer(answer->map, probe->result))
                probe->result->offered |= question->item;
        go_on(probe);
}

static void nothing_to_ask(void *ctx) {
        struct smp_probe *probe = ctx;

        probe->timer = NULL;
        finish(probe, probe->canceled ? -ECANCELED : 0, NULL);
}

int smp_probe_start(struct smp_client *client, uint32_t items, struct smp_probe_result *result,
                    void (*done)(void *ctx, int result, const struct gw_error *err), void *ctx, struct smp_probe **ret_probe) {
        const struct gw_host *host = smp_client_host(client);
        struct smp_probe *probe = calloc(1, sizeof *probe);
        const struct question *question;
        int r;

        if (!probe)
                return -ENOMEM;
        *probe = (struct smp_probe){ .client = client, .result = result, .items = items, .done = done, .ctx = ctx };
        question = question_next(probe);
        r = question ? ask(probe, question) : host->timer->start(host, 0, nothing_to_ask, probe, &probe->timer);
        if (r < 0) {
                free(probe);
                return r;
        }
        *ret_probe = probe;
        return 0;
}

void smp_probe_cancel(struct smp_probe *probe) {
        probe->canceled = true;
        smp_client_cancel(probe->client, probe->request_id);
}

void smp_probe_free(struct smp_probe *probe) {
        if (!probe)
                return;
        smp_client_host(probe->client)->timer->cancel(probe->timer);
        smp_client_forget(probe->client, probe->request_id);
        free(probe);
}

void smp_limits_compute(const struct smp_probe_result *result, size_t link_max, size_t framing, uint32_t window_cap,
                        struct smp_limits *ret_limits) {
        size_t buffer = result->buf_size > 0 ? result->buf_size : SMP_MESSAGE_DEFAULT;
        size_t message_max = buffer > framing ? buffer - framing : 0;
        uint32_t window = result->buf_count >= 3 ? result->buf_count - 1 : 1;

        if (window_cap == 0 || window_cap > SMP_WINDOW_MAX)
                window_cap = SMP_WINDOW_MAX;
        if (message_max > link_max)
                message_max = link_max;
        if (message_max > SMP_MESSAGE_MAX)
                message_max = SMP_MESSAGE_MAX;
        ret_limits->message_max = message_max;
        ret_limits->message_fallback = message_max < SMP_MESSAGE_FALLBACK ? message_max : SMP_MESSAGE_FALLBACK;
        ret_limits->window = window < window_cap ? window : window_cap;
}
