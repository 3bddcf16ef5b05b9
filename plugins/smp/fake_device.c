/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_device.h"

#include <stdlib.h>

#include "common/smp/ble.h"

#define ANSWER_MS 5
#define ANSWER_MAX 2048

/* ---- the other end of a link */

struct answer {
        struct fake_device *device;
        unsigned boot_number;
        size_t size;
        uint8_t bytes[ANSWER_MAX];
};

/* In packets, one of which may be lost. */
static void notify(struct fake_device *device, struct scripted_link *link, const uint8_t *bytes, size_t size) {
        const size_t packet_max = link->max_datagram; /* the last one may have the link closed */

        for (size_t at = 0; at < size; at += packet_max) {
                size_t piece = size - at < packet_max ? size - at : packet_max;

                if (++device->n_notified != device->lose_packet)
                        scripted_link_receive(link, bytes + at, piece);
        }
}

static void link_say(struct fake_device *device, struct scripted_link *link, const uint8_t *bytes, size_t size) {
        uint8_t lines[2 * ANSWER_MAX];
        size_t n;

        if (device->ble)
                notify(device, link, bytes, size);
        else if (!link->serial)
                scripted_link_receive(link, bytes, size);
        else if (smp_console_encode(bytes, size, lines, sizeof lines, &n) == 0)
                scripted_link_receive(link, lines, n);
}

/* To whatever link is open by then; what was said before a reset is lost with it. */
static void answer_due(void *ctx) {
        struct answer *answer = ctx;
        struct scripted_link *link = scripted_link_open_one(answer->device->host);

        if (link && answer->boot_number == answer->device->boot_number)
                link_say(answer->device, link, answer->bytes, answer->size);
        free(answer);
}

static int peer_opening(void *ctx, const struct scripted_link *link, struct gw_error *why) {
        struct fake_device *device = ctx;

        (void) link;
        if (!device->unplugs || !device->booting)
                return 0;
        gw_error_set(why, "port-absent", "no such port");
        return -ENOENT;
}

static void noise_due(void *ctx) {
        struct fake_device *device = ctx;
        struct scripted_link *link = scripted_link_open_one(device->host);

        if (link)
                scripted_link_receive(link, device->noise, strlen(device->noise));
}

static void peer_opened(void *ctx, struct scripted_link *link) {
        struct fake_device *device = ctx;

        if (link->serial && device->noise)
                scripted_host_after(device->host, 1, noise_due, device);
}

static void message_received(void *ctx, const uint8_t *data, size_t size);

/* As Zephyr puts a request together: by the length in the header of its first packet. */
static void piece_received(struct fake_device *device, const uint8_t *data, size_t size) {
        size_t wanted;

        if (device->pieces_size + size > sizeof device->pieces)
                abort();
        memcpy(device->pieces + device->pieces_size, data, size);
        device->pieces_size += size;
        wanted = SMP_HEADER_SIZE + ((size_t) device->pieces[2] << 8 | device->pieces[3]);
        if (device->pieces_size < wanted)
                return;
        device->pieces_size = 0;
        message_received(device, device->pieces, wanted);
}

static void peer_sent(void *ctx, struct scripted_link *link, const uint8_t *data, size_t size) {
        struct fake_device *device = ctx;

        if (device->ble)
                piece_received(device, data, size);
        else if (!link->serial)
                message_received(device, data, size);
        else
                smp_console_decoder_feed(&device->decoder, data, size);
}

/* ---- boot */

static void image_start(struct fake_device *device, unsigned image, unsigned slot) {
        device->active[image] = slot;
}

static void slots_swap(struct fake_device *device, unsigned image) {
        struct fake_slot first = device->slots[image][0];

        device->slots[image][0] = device->slots[image][1];
        device->slots[image][1] = first;
}

/* MCUboot's decision for one image of a bootloader that swaps or overwrites. */
static void boot_swap(struct fake_device *device, unsigned image) {
        struct fake_slot *first = &device->slots[image][0], *second = &device->slots[image][1];
        bool permanent = second->permanent;

        if (second->present && second->pending) {
                if (device->refuse_swap)
                        return;
                if (device->reject_image) {
                        second->present = false;
                        return;
                }
                slots_swap(device, image);
                first->pending = first->permanent = false;
                first->confirmed = permanent || device->mode == 2;
                second->confirmed = !first->confirmed; /* what the next reset goes back to */
                if (device->mode == 2)
                        second->present = false;
                if (device->crash_at_boot && !first->confirmed) {
                        slots_swap(device, image);
                        first->confirmed = true;
                        second->confirmed = false;
                }
        } else if (!first->confirmed && second->present) {
                slots_swap(device, image);
                first->confirmed = true;
                second->confirmed = second->pending = false;
        }
}

static void boot_in_place(struct fake_device *device, unsigned image) {
        unsigned running = device->active[image], other = 1 - running;
        struct fake_slot *slots = device->slots[image];

        if (device->mode == 5 && !slots[running].confirmed) { /* the trial is over */
                slots[running].present = false;
                image_start(device, image, other);
        } else if (slots[other].present && strcmp(slots[other].version, slots[running].version) > 0 && !device->refuse_swap &&
                   (device->mode == 4 || slots[other].pending)) {
                slots[other].confirmed = slots[other].permanent;
                slots[other].pending = slots[other].permanent = false;
                image_start(device, image, other);
        }
}

static void crash(void *ctx);

static bool on_trial(const struct fake_device *device) {
        return !device->slots[0][device->active[0]].confirmed;
}

static void advertise(void *ctx) {
        struct fake_device *device = ctx;

        if (!device->ble->away && !device->ble->open && !device->dead)
                scripted_ble_advertise(device->ble);
        scripted_host_after(device->host, 500, advertise, device);
}

static void appear(struct fake_device *device) {
        if (device->next_key)
                scripted_ble_readdress(device->ble, device->next_key);
        device->next_key = NULL;
        device->ble->away = false;
}

static void boot(void *ctx) {
        struct fake_device *device = ctx;

        if (device->never_returns)
                return;
        for (unsigned image = 0; image < device->n_images; image++) {
                if (device->mode == 4 || device->mode == 5)
                        boot_in_place(device, image);
                else if (!device->recovery)
                        boot_swap(device, image);
        }
        if (device->recovery && device->stays_in_recovery > 0) {
                device->stays_in_recovery--;
        } else if (device->recovery) {
                device->recovery = false;
                device->slots[0][0].confirmed = true;
                device->dead = device->app_silent;
                for (uint8_t command = 0; device->app_without_images && command < 7; command++)
                        fake_device_refuse(device, (struct fake_refusal){ SMP_GROUP_IMAGE, command, -1, -1, SMP_RC_NOT_SUPPORTED, 0, 0 });
        }
        device->booting = false;
        device->n_boots++;
        if (device->ble)
                appear(device);
        if (device->crash_after_ms && on_trial(device))
                scripted_host_after(device->host, device->crash_after_ms, crash, device);
}

static void go_down(void *ctx) {
        struct fake_device *device = ctx;
        struct scripted_link *link = scripted_link_open_one(device->host);

        device->booting = true;
        device->reset_due = false;
        device->boot_number++;
        device->upload_session = false;
        scripted_host_after(device->host, device->boot_ms + device->swap_ms, boot, device);
        if (device->ble) {
                device->ble->away = true;
                device->pieces_size = 0;
                scripted_ble_lose(device->ble, "ble-disconnected");
        }
        if (device->unplugs && link)
                scripted_link_lose(link, "link-lost");
}

static void crash(void *ctx) {
        struct fake_device *device = ctx;

        if (!device->booting && on_trial(device))
                go_down(device);
}

void fake_device_power_cycle(struct fake_device *device) {
        if (!device->booting)
                go_down(device);
}

/* ---- answers */

struct request {
        struct smp_header header;
        const struct cbor_map *map;
        struct cbor_writer writer;
};

static void refuse(struct request *request, int err_group, int code) {
        request->writer.size = 0;
        if (err_group < 0) {
                cbor_write_map(&request->writer, 1);
                cbor_write_text(&request->writer, "rc");
                cbor_write_int(&request->writer, code);
                return;
        }
        cbor_write_map(&request->writer, 1);
        cbor_write_text(&request->writer, "err");
        cbor_write_map(&request->writer, 2);
        cbor_write_text(&request->writer, "group");
        cbor_write_uint(&request->writer, (uint64_t) err_group);
        cbor_write_text(&request->writer, "rc");
        cbor_write_int(&request->writer, code);
}

/* A code of the image group, or what the same server says to a client of version 1. */
static void refuse_image(struct fake_device *device, struct request *request, int code, int plain) {
        if (device->version_1)
                refuse(request, -1, plain);
        else
                refuse(request, SMP_GROUP_IMAGE, code);
}

static void write_flag(struct cbor_writer *writer, const char *name, bool value) {
        cbor_write_text(writer, name);
        cbor_write_bool(writer, value);
}

static void write_slot(struct fake_device *device, struct cbor_writer *writer, unsigned image, unsigned index) {
        const struct fake_slot *slot = &device->slots[image][index];
        bool app = !device->recovery, active = app && device->active[image] == index && (image == 0 || !device->active_only_first);

        cbor_write_map(writer, 2 + (device->n_images > 1) + !device->no_hashes + (app ? 5 : 0));
        if (device->n_images > 1) {
                cbor_write_text(writer, "image");
                cbor_write_uint(writer, image);
        }
        cbor_write_text(writer, "slot");
        cbor_write_uint(writer, index);
        cbor_write_text(writer, "version");
        cbor_write_text(writer, slot->version);
        if (!device->no_hashes) {
                cbor_write_text(writer, "hash");
                cbor_write_bytes(writer, slot->hash, sizeof slot->hash);
        }
        if (!app)
                return;
        write_flag(writer, "bootable", true);
        write_flag(writer, "pending", slot->pending);
        write_flag(writer, "confirmed", slot->confirmed);
        write_flag(writer, "active", active);
        write_flag(writer, "permanent", slot->permanent);
}

static bool is_listed(const struct fake_device *device, unsigned image, unsigned slot) {
        return device->slots[image][slot].present && !(device->hides_network_core && image == 1 && slot == 0);
}

static void write_state(struct fake_device *device, struct request *request) {
        size_t n = 0;

        for (unsigned i = 0; i < 2 * device->n_images; i++)
                n += is_listed(device, i / 2, i % 2);
        cbor_write_map(&request->writer, 1);
        cbor_write_text(&request->writer, "images");
        cbor_write_array(&request->writer, n);
        for (unsigned i = 0; i < 2 * device->n_images; i++)
                if (is_listed(device, i / 2, i % 2))
                        write_slot(device, &request->writer, i / 2, i % 2);
}

static struct fake_slot *slot_by_hash(struct fake_device *device, const uint8_t *hash, unsigned *ret_image, unsigned *ret_slot) {
        for (unsigned i = 0; i < 2 * device->n_images; i++) {
                struct fake_slot *slot = &device->slots[i / 2][i % 2];

                if (!slot->present || memcmp(slot->hash, hash, 32) != 0)
                        continue;
                *ret_image = i / 2;
                *ret_slot = i % 2;
                return slot;
        }
        return NULL;
}

static void mark(struct fake_device *device, struct request *request, struct fake_slot *slot, bool confirm) {
        if (confirm)
                device->n_confirms++;
        else
                device->n_tests++;
        if (!device->ignore_test) {
                slot->pending = true;
                slot->permanent = confirm;
        }
        write_state(device, request);
}

static void write_mark(struct fake_device *device, struct request *request) {
        const uint8_t *hash = NULL;
        size_t hash_size = 0;
        bool confirm = false;
        unsigned image = 0, index = device->active[0];
        struct fake_slot *slot;

        cbor_map_get_bool(request->map, NULL, "confirm", &confirm);
        if (cbor_map_get_bytes(request->map, NULL, "hash", &hash, &hash_size) == 0 && hash_size == 32)
                slot = slot_by_hash(device, hash, &image, &index);
        else
                slot = confirm ? &device->slots[0][index] : NULL;
        if (device->mode == 4 || device->recovery) {
                refuse(request, -1, SMP_RC_NOT_SUPPORTED);
        } else if (!slot) {
                refuse_image(device, request, SMP_IMAGE_CODE_HASH_NOT_FOUND, SMP_RC_UNKNOWN);
        } else if (index == device->active[image] && confirm) {
                device->n_confirms++;
                slot->confirmed = true;
                device->slots[image][1 - index].confirmed = false;
                write_state(device, request);
        } else if (index == device->active[image]) {
                refuse_image(device, request, SMP_IMAGE_CODE_TEST_ACTIVE_DENIED, SMP_RC_UNKNOWN);
        } else if (!device->slots[image][device->active[image]].confirmed || (slot->pending && slot->permanent != confirm)) {
                refuse_image(device, request, SMP_IMAGE_CODE_ALREADY_PENDING, SMP_RC_BAD_STATE);
        } else {
                mark(device, request, slot, confirm);
        }
}

static void write_offset(struct request *request, uint64_t off) {
        cbor_write_map(&request->writer, 1);
        cbor_write_text(&request->writer, "off");
        cbor_write_uint(&request->writer, off);
}

static void upload_store(struct fake_device *device) {
        unsigned target = device->recovery ? 0 : 1 - device->active[device->upload_image];
        struct fake_slot *slot = &device->slots[device->upload_image][target];

        device->n_uploads_ended++;
        device->upload_session = false;
        *slot = (struct fake_slot){ .present = !device->lose_upload };
        memcpy(slot->hash, device->file, 32);
        memcpy(slot->version, device->file + 32, 8);
}

static bool upload_begin(struct fake_device *device, struct request *request) {
        const uint8_t *sha = NULL;
        size_t sha_size = 0;
        uint64_t len = 0, image = 0;
        struct fake_slot *running, *other;

        cbor_map_get_uint(request->map, NULL, "image", UINT32_MAX, &image);
        cbor_map_get_uint(request->map, NULL, "len", FAKE_FILE_MAX, &len);
        cbor_map_get_bytes(request->map, NULL, "sha", &sha, &sha_size);
        if (sha_size == 32 && device->upload_session && memcmp(sha, device->file_sha, 32) == 0 && !device->recovery) {
                write_offset(request, device->file_off);
                return false;
        }
        if (image >= device->n_images) {
                refuse(request, -1, SMP_RC_INVALID);
                return false;
        }
        running = &device->slots[image][device->active[image]];
        other = &device->slots[image][1 - device->active[image]];
        if (!device->recovery && device->mode != 4 && (other->pending || !running->confirmed)) {
                refuse_image(device, request, SMP_IMAGE_CODE_NO_FREE_SLOT, SMP_RC_BAD_STATE);
                return false;
        }
        if (!device->recovery)
                other->present = false;
        device->n_uploads_begun++;
        device->upload_session = true;
        device->upload_image = (unsigned) image;
        device->file_size = (size_t) len;
        device->file_off = 0;
        memset(device->file_sha, 0, sizeof device->file_sha);
        if (sha_size == 32)
                memcpy(device->file_sha, sha, 32);
        return true;
}

static void write_upload(struct fake_device *device, struct request *request) {
        const uint8_t *data = NULL;
        size_t size = 0;
        uint64_t off = 0;

        cbor_map_get_uint(request->map, NULL, "off", UINT32_MAX, &off);
        cbor_map_get_bytes(request->map, NULL, "data", &data, &size);
        if (off == 0 && !upload_begin(device, request))
                return;
        if (device->upload_session && off == device->file_off && off + size <= device->file_size) {
                memcpy(device->file + off, data, size);
                device->file_off += size;
                device->n_bytes_written += size;
        }
        write_offset(request, device->upload_session ? device->file_off : 0);
        if (device->upload_session && device->file_off == device->file_size)
                upload_store(device);
}

static void write_slot_info(struct fake_device *device, struct request *request) {
        cbor_write_map(&request->writer, 1);
        cbor_write_text(&request->writer, "images");
        cbor_write_array(&request->writer, device->n_images);
        for (unsigned image = 0; image < device->n_images; image++) {
                cbor_write_map(&request->writer, 2);
                cbor_write_text(&request->writer, "image");
                cbor_write_uint(&request->writer, image);
                cbor_write_text(&request->writer, "slots");
                cbor_write_array(&request->writer, 2);
                for (unsigned slot = 0; slot < 2; slot++) {
                        cbor_write_map(&request->writer, 2);
                        cbor_write_text(&request->writer, "slot");
                        cbor_write_uint(&request->writer, slot);
                        cbor_write_text(&request->writer, "size");
                        cbor_write_uint(&request->writer, device->slot_size);
                }
        }
}

static void write_text(struct request *request, const char *key, const char *value) {
        if (!value) {
                refuse(request, -1, SMP_RC_NOT_SUPPORTED);
                return;
        }
        cbor_write_map(&request->writer, 1);
        cbor_write_text(&request->writer, key);
        cbor_write_text(&request->writer, value);
}

static void answer_bootloader(struct fake_device *device, struct request *request) {
        if (device->mode == -2) {
                refuse(request, -1, SMP_RC_NOT_SUPPORTED);
        } else if (!cbor_map_find(request->map, NULL, "query")) {
                write_text(request, "bootloader", "MCUboot");
        } else {
                cbor_write_map(&request->writer, device->no_downgrade ? 2 : 1);
                cbor_write_text(&request->writer, "mode");
                cbor_write_int(&request->writer, device->mode);
                if (device->no_downgrade)
                        write_flag(&request->writer, "no-downgrade", true);
        }
}

static void answer_params(struct fake_device *device, struct request *request) {
        if (!device->buf_count) {
                refuse(request, -1, SMP_RC_NOT_SUPPORTED);
                return;
        }
        cbor_write_map(&request->writer, 2);
        cbor_write_text(&request->writer, "buf_size");
        cbor_write_uint(&request->writer, device->buf_size);
        cbor_write_text(&request->writer, "buf_count");
        cbor_write_uint(&request->writer, device->buf_count);
}

static void answer_reset(struct fake_device *device, struct request *request) {
        cbor_write_map(&request->writer, 0);
        device->n_resets += !device->reset_due;
        if (device->ignore_reset_once) {
                device->ignore_reset_once = false;
                return;
        }
        if (device->drops_at_reset && !device->reset_due)
                scripted_host_after(device->host, 0, go_down, device);
        else if (!device->reset_due) /* as the server's delayed work: asking twice is one reset */
                scripted_host_after(device->host, device->reset_delay_ms, go_down, device);
        device->reset_due = true;
}

static void answer_memfault(struct fake_device *device, struct request *request) {
        if (!device->hardware || !device->software) {
                write_text(request, "hardware_version", device->hardware);
                return;
        }
        cbor_write_map(&request->writer, device->memfault_serial ? 3 : 2);
        if (device->memfault_serial) {
                cbor_write_text(&request->writer, "device_serial");
                cbor_write_text(&request->writer, device->memfault_serial);
        }
        cbor_write_text(&request->writer, "hardware_version");
        cbor_write_text(&request->writer, device->hardware);
        cbor_write_text(&request->writer, "current_version");
        cbor_write_text(&request->writer, device->software);
}

static void answer_os(struct fake_device *device, struct request *request) {
        switch (request->header.command) {
        case SMP_OS_ECHO:
                write_text(request, "r", "echo");
                break;
        case SMP_OS_RESET:
                answer_reset(device, request);
                break;
        case SMP_OS_PARAMS:
                answer_params(device, request);
                break;
        case SMP_OS_INFO:
                write_text(request, "output", device->board);
                break;
        case SMP_OS_BOOTLOADER:
                answer_bootloader(device, request);
                break;
        default:
                refuse(request, -1, SMP_RC_NOT_SUPPORTED);
        }
}

static void answer_image(struct fake_device *device, struct request *request) {
        bool read = request->header.op == SMP_OP_READ;

        if (request->header.command == SMP_IMAGE_STATE && read) {
                write_state(device, request);
        } else if (request->header.command == SMP_IMAGE_STATE) {
                write_mark(device, request);
        } else if (request->header.command == SMP_IMAGE_UPLOAD) {
                write_upload(device, request);
        } else if (request->header.command == SMP_IMAGE_SLOT_INFO && device->slot_size) {
                write_slot_info(device, request);
        } else if (request->header.command == SMP_IMAGE_ERASE) {
                device->n_erases++;
                device->slots[0][1 - device->active[0]].present = false;
                device->slots[0][1 - device->active[0]].pending = false;
                cbor_write_map(&request->writer, 0);
        } else {
                refuse(request, -1, SMP_RC_NOT_SUPPORTED);
        }
}

static bool is_refused(struct fake_device *device, struct request *request) {
        for (size_t i = 0; i < device->n_refusals; i++) {
                if (device->refusals[i].group != request->header.group || device->refusals[i].command != request->header.command)
                        continue;
                if (device->refusals[i].op >= 0 && device->refusals[i].op != request->header.op)
                        continue;
                if (device->refusals[i].after-- > 0)
                        continue;
                if (device->refusals[i].times && device->refusals[i].after + device->refusals[i].times < 0)
                        continue;
                refuse(request, device->refusals[i].err_group, device->refusals[i].code);
                return true;
        }
        return false;
}

static void answer_request(struct fake_device *device, struct request *request) {
        if (is_refused(device, request))
                return;
        if (request->header.group == SMP_GROUP_OS)
                answer_os(device, request);
        else if (request->header.group == SMP_GROUP_IMAGE)
                answer_image(device, request);
        else if (request->header.group == SMP_GROUP_MEMFAULT)
                answer_memfault(device, request);
        else
                refuse(request, -1, SMP_RC_NOT_SUPPORTED);
}

static void answer_send(struct fake_device *device, const struct request *request, struct answer *answer) {
        struct smp_header header = request->header;

        header.op = (uint8_t) (request->header.op + 1);
        header.version = device->version_1 ? SMP_VERSION_1 : header.version;
        header.size = (uint16_t) request->writer.size;
        smp_header_write(&header, answer->bytes);
        answer->size = SMP_HEADER_SIZE + request->writer.size;
        answer->boot_number = device->boot_number;
        if (device->drop_reset_answer && header.group == SMP_GROUP_OS && header.command == SMP_OS_RESET)
                free(answer);
        else
                scripted_host_after(device->host, ANSWER_MS, answer_due, answer);
}

static void message_received(void *ctx, const uint8_t *data, size_t size) {
        static struct cbor_map map; /* large */
        struct fake_device *device = ctx;
        struct answer *answer;
        struct request request = { .map = &map };

        if (device->dead_above && size > device->dead_above)
                device->dead = true;
        if (device->booting || device->dead || smp_header_read(data, size, &request.header) < 0 ||
            (device->silent_above && size > device->silent_above))
                return;
        if (device->stop_answering_after >= 0 && (int) device->n_requests >= device->stop_answering_after)
                return;
        device->n_requests++;
        if (device->on_request)
                device->on_request(device->on_request_ctx, device);
        if (device->booting) /* the power went with this request */
                return;
        if (cbor_map_parse(&map, data + SMP_HEADER_SIZE, size - SMP_HEADER_SIZE) < 0)
                return;
        answer = calloc(1, sizeof *answer);
        if (!answer)
                abort();
        answer->device = device;
        request.writer = CBOR_WRITER(answer->bytes + SMP_HEADER_SIZE, ANSWER_MAX - SMP_HEADER_SIZE);
        answer_request(device, &request);
        answer_send(device, &request, answer);
}

/* ---- life */

void fake_device_put(struct fake_device *device, unsigned image, unsigned slot, uint8_t hash, const char *version) {
        device->slots[image][slot] = (struct fake_slot){ .present = true };
        memset(device->slots[image][slot].hash, hash, 32);
        snprintf(device->slots[image][slot].version, sizeof device->slots[image][slot].version, "%s", version);
}

void fake_device_refuse(struct fake_device *device, struct fake_refusal refusal) {
        device->refusals[device->n_refusals++] = refusal;
}

void fake_device_init(struct fake_device *device, struct scripted_host *host, uint8_t hash) {
        *device = (struct fake_device){
                .host = host,
                .mode = 3,
                .n_images = 1,
                .buf_size = 512,
                .buf_count = 4,
                .slot_size = 0x20000,
                .board = "acme_board",
                .boot_ms = 1000,
                .swap_ms = 2000,
                .reset_delay_ms = 250,
                .stop_answering_after = -1,
        };
        fake_device_put(device, 0, 0, hash, "1.0.0");
        device->slots[0][0].confirmed = true;
        smp_console_decoder_init(&device->decoder, 0);
        device->decoder.message = message_received;
        device->decoder.ctx = device;
        host->peer = (struct scripted_peer){ .opening = peer_opening, .opened = peer_opened, .sent = peer_sent, .ctx = device };
}

void fake_device_on_air(struct fake_device *device, struct scripted_gatt *gatt, const char *key, const char *name) {
        device->ble = scripted_ble_add(gatt, key, name);
        scripted_ble_characteristic(device->ble, SMP_BLE_SERVICE, SMP_BLE_CHARACTERISTIC, GW_GATT_WRITE_COMMAND | GW_GATT_NOTIFY);
        scripted_ble_advertise_service(device->ble, SMP_BLE_SERVICE);
        device->ble->max_datagram = 244;
        scripted_host_after(device->host, 1, advertise, device);
}

void fake_device_deinit(struct fake_device *device) {
        smp_console_decoder_deinit(&device->decoder);
}

void fake_file(uint8_t *file, size_t size, uint8_t hash, const char *version) {
        for (size_t i = 0; i < size; i++)
                file[i] = (uint8_t) (i * 7 + i / 251);
        memset(file, hash, 32);
        memset(file + 32, 0, 8);
        snprintf((char *) file + 32, 8, "%s", version);
}
