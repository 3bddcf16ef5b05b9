/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A diagnosis: everything that can be asked, each finding a note. ask: what the device is and which commands it lacks. slots: what
 * lies where and what that means. Ends with the name of the failure where there is one. Nothing on the device changes.
 */

#include "steps.h"

static void note_offered(struct smp_run *run, enum smp_probe_item item, const char *what, const char *text) {
        if (run->probed.offered & item)
                run_note(run, "%s: %s", what, text);
        else
                run_note(run, "%s: not offered by this firmware (harmless)", what);
}

static void note_peer(struct smp_run *run) {
        const struct smp_ble_peer *peer = &run->session.peer;

        run_note(run, "Bluetooth: %u bytes a packet, %s", (unsigned) peer->packet_max,
                 peer->bonded ? "bonded" : "not bonded: whoever is near may update this device");
        if (peer->serial[0])
                run_note(run, "serial number: %s", peer->serial);
        if (peer->battery_percent != GW_BATTERY_UNKNOWN)
                run_note(run, "battery: %d %%", peer->battery_percent);
}

static void note_device(struct smp_run *run) {
        const struct smp_probe_result *probed = &run->probed;
        char text[80];

        run_note(run, "link: %s%s", run->session.where, run->driver->transport->kind == TRANSPORT_SERIAL ? ", console framing" : "");
        if (run->driver->transport->kind == TRANSPORT_BLE)
                note_peer(run);
        run_note(run, "protocol: SMP version %d", smp_client_version(run->client) == SMP_VERSION_1 ? 1 : 2);
        snprintf(text, sizeof text, "%u bytes x %u", (unsigned) probed->buf_size, (unsigned) probed->buf_count);
        note_offered(run, SMP_PROBE_PARAMS, "buffers", text);
        note_offered(run, SMP_PROBE_BOOTLOADER, "bootloader", probed->bootloader);
        snprintf(text, sizeof text, "%d, %s%s", probed->mode, verdict_bootloader_name(probed->mode),
                 probed->no_downgrade ? ", refuses lower versions" : "");
        note_offered(run, SMP_PROBE_MODE, "bootloader mode", text);
        note_offered(run, SMP_PROBE_BOARD, "board", probed->board);
        note_offered(run, SMP_PROBE_OS_INFO, "system", probed->os_info);
        note_offered(run, SMP_PROBE_MEMFAULT, "hardware by Memfault", probed->memfault_hardware);
        note_offered(run, SMP_PROBE_ECHO, "echo", "answered");
}

static void note_traffic(struct smp_run *run) {
        const struct smp_statistics *statistics = smp_client_statistics(run->client);

        run_note(run, "traffic: %llu requests, %llu sent again, %llu without an answer, %llu unexpected, %llu not understood",
                 (unsigned long long) statistics->requests, (unsigned long long) statistics->resends,
                 (unsigned long long) statistics->timeouts, (unsigned long long) statistics->unexpected,
                 (unsigned long long) statistics->garbage);
        for (size_t i = 0; i < run->session.n_noise; i++)
                run_note(run, "other text on the port: %s", run->session.noise[i]);
        if (run->session.console && smp_console_statistics(run->session.console)->bad_crc)
                run_note(run, "%llu messages with a wrong checksum: bytes are lost or mixed on the line",
                         (unsigned long long) smp_console_statistics(run->session.console)->bad_crc);
}

static void asked(void *ctx, int result, const struct gw_error *err) {
        struct smp_run *run = ctx;
        const struct smp_answer answer = { .result = result };

        (void) err;
        smp_probe_free(run->probe);
        run->probe = NULL;
        if (result < 0) {
                note_traffic(run);
                run_answer_failed(run, &answer, NULL);
                return;
        }
        run_learned_device(run);
        note_device(run);
        run_next(run);
}

static void opened(struct smp_run *run, int result, const struct gw_error *err) {
        struct gw_error start_error = { 0 };
        int r;

        if (result < 0) {
                run_note(run, "link: %s", err->text);
                run_fail(run, err);
                return;
        }
        steps_link_is_open(run);
        r = smp_probe_start(run->client, SMP_PROBE_ALL, &run->probed, asked, run, &run->probe);
        if (r == 0)
                return;
        gw_error_set(&start_error, "link-lost", "the device cannot be asked: %s", strerror(-r));
        run_fail(run, &start_error);
}

int step_ask_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        steps_open_link(run, opened);
        return 0;
}

/* ---- slots */

static void note_slot(struct smp_run *run, const struct gw_image *image) {
        char hash[17] = "no hash";

        for (size_t i = 0; i < 8 && i < image->hash_size; i++)
                snprintf(hash + 2 * i, 3, "%02x", image->hash[i]);
        run_note(run, "image %u slot %u: %s, %s%s%s%s%s%s", image->image, image->slot, image->version, hash,
                 image->flags & GW_IMAGE_ACTIVE ? ", active" : "", image->flags & GW_IMAGE_CONFIRMED ? ", confirmed" : "",
                 image->flags & GW_IMAGE_PENDING ? ", pending" : "", image->flags & GW_IMAGE_PERMANENT ? ", permanent" : "",
                 image->flags & GW_IMAGE_BOOTABLE ? "" : ", not bootable");
}

static void note_meaning(struct smp_run *run) {
        enum verdict_family family = verdict_family(run->probed.mode, run->state.images, run->state.n_images);

        if (family == VERDICT_FAMILY_RECOVERY)
                run_note(run, "no image is active: a bootloader's serial recovery answers");
        for (size_t i = 0; i < run->state.n_images; i++) {
                const struct gw_image *image = &run->state.images[i];

                if ((image->flags & GW_IMAGE_ACTIVE) && !(image->flags & GW_IMAGE_CONFIRMED) && verdict_can_revert(family))
                        run_note(run, "image %u is on trial: the next reset takes it back unless it is confirmed", image->image);
                if ((image->flags & GW_IMAGE_PENDING) && !(image->flags & GW_IMAGE_ACTIVE))
                        run_note(run,
                                 "image %u: slot %u waits for the next reset; if it still waits after one, the bootloader refused to swap",
                                 image->image, image->slot);
        }
}

static void note_sizes(struct smp_run *run) {
        const struct smp_slot_info *info = &run->probed.slot_info;

        for (size_t i = 0; i < info->n_slots; i++)
                run_note(run, "image %u slot %u: %u bytes", info->slots[i].image, info->slots[i].slot, (unsigned) info->slots[i].size);
}

static void slots_read(struct smp_run *run, const struct smp_answer *failed) {
        const struct smp_refusal answer = { SMP_GROUP_IMAGE, SMP_IMAGE_STATE, SMP_OP_READ,
                                            failed ? failed->status : (struct smp_status){ 0 } };
        struct refusal refusal = run_refusal(run, &answer, 0);

        note_traffic(run);
        if (failed) {
                run_answer_failed(run, failed, &refusal);
                return;
        }
        for (size_t i = 0; i < run->state.n_images; i++)
                note_slot(run, &run->state.images[i]);
        note_meaning(run);
        note_sizes(run);
        run_learned_images(run);
        run_done(run, GW_RESULT_REPORTED, GW_PROOF_NONE);
}

int step_slots_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        run_look(run, slots_read);
        return 0;
}
