/* SPDX-License-Identifier: Apache-2.0 */
#include "facts.h"

#include "verdict.h"

static void add_attribute(struct gw_facts *facts, struct facts_room *room, const char *name, const char *value) {
        room->attributes[facts->n_attributes++] = (struct gw_attribute){ name, value };
        facts->attributes = room->attributes;
}

const char *facts_model(const struct smp_probe_result *probed) {
        if (probed->memfault_hardware[0])
                return probed->memfault_hardware;
        return probed->board[0] ? probed->board : NULL;
}

void facts_add_device(struct gw_facts *facts, const struct smp_probe_result *probed, struct facts_room *room) {
        facts->model = facts_model(probed);
        if (probed->offered & SMP_PROBE_BOOTLOADER)
                add_attribute(facts, room, "bootloader", probed->bootloader);
        if (probed->offered & SMP_PROBE_MODE) {
                snprintf(room->mode, sizeof room->mode, "%d", probed->mode);
                add_attribute(facts, room, "bootloader_mode", room->mode);
                add_attribute(facts, room, "no_downgrade", probed->no_downgrade ? "yes" : "no");
        }
        if (probed->offered & SMP_PROBE_PARAMS) {
                snprintf(room->buffers, sizeof room->buffers, "%u x %u", (unsigned) probed->buf_size, (unsigned) probed->buf_count);
                add_attribute(facts, room, "buffers", room->buffers);
        }
        if (probed->board[0])
                add_attribute(facts, room, "board", probed->board);
        if (probed->memfault_serial[0])
                add_attribute(facts, room, "memfault_serial", probed->memfault_serial);
}

void facts_add_peer(struct gw_facts *facts, const struct smp_ble_peer *peer, struct facts_room *room) {
        facts->battery_percent = peer->battery_percent;
        add_attribute(facts, room, "smp_access", peer->bonded ? "bonded" : "open");
        if (peer->serial[0])
                add_attribute(facts, room, "serial_number", peer->serial);
}

static uint32_t slot_size(const struct smp_slot_info *info, const struct gw_image *image) {
        for (size_t i = 0; i < info->n_slots; i++)
                if (info->slots[i].image == image->image && info->slots[i].slot == image->slot)
                        return info->slots[i].size;
        return 0;
}

void facts_add_images(struct gw_facts *facts, const struct smp_image_state *state, const struct smp_slot_info *info,
                      struct facts_room *room) {
        const struct gw_image *running = verdict_running(state->images, state->n_images, 0, false);

        for (size_t i = 0; i < state->n_images; i++) {
                room->images[i] = state->images[i];
                room->images[i].slot_size = slot_size(info, &state->images[i]);
        }
        facts->images = room->images;
        facts->n_images = state->n_images;
        facts->version = running ? running->version : NULL;
}
