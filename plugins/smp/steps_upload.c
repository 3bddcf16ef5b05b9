/* SPDX-License-Identifier: Apache-2.0 */

/*
 * upload: every image that lies in no slot, one after the other, then a look whether the device can read back what it stored. The
 * engine resumes by the file's SHA-256, so a step that is entered again just uploads again.
 */

#include "steps.h"

#define STEP_TIMEOUT_MS 180000u /* without any progress; the first chunk may cost an erase of a whole slot */
#define MESSAGE_SHORT 128       /* F18: the last thing to try with a device that finds messages too long */

static void upload_next(struct smp_run *run);

/* ---- another update in the way (F5) */

static void clear_by_reset(struct smp_run *run) {
        struct gw_error err = { 0 };

        if (run->notes.n_clears >= BLOB_CLEARS_MAX) {
                gw_error_set(&err, "smp-other-update-pending", "another update is still waiting or on trial after %u resets",
                             run->notes.n_clears);
                run_fail(run, &err);
                return;
        }
        run->notes.n_clears++;
        run->notes.phase = BLOB_CLEARING;
        run_note(run, "another update is waiting or on trial on the device: resetting it (%u)", run->notes.n_clears);
        run_keep_notes(run);
        run_jump(run, "reset");
}

static void looked_after_erase(struct smp_run *run, const struct smp_answer *failed) {
        struct gw_error err = { 0 };

        if (failed) {
                run_answer_failed(run, failed, NULL);
        } else if (run_judge(run, &err) < 0) {
                run_fail(run, &err);
        } else if (run->choice.next == CHOICE_NEXT_CLEAR) {
                clear_by_reset(run);
        } else {
                run_note(run, "the slot of the other update was erased");
                upload_next(run);
        }
}

static void erased(struct smp_run *run, const struct smp_answer *failed) {
        if (failed && failed->result != -EREMOTEIO)
                run_answer_failed(run, failed, NULL);
        else
                run_look(run, looked_after_erase);
}

/* The busy image whose second slot only waits (is not needed to go back to); NULL = none. */
static const struct choice_image *waiting_image(const struct smp_run *run) {
        for (size_t i = 0; i < run->choice.n_images; i++) {
                const struct choice_image *image = &run->choice.images[i];
                const struct gw_image *running = verdict_running(run->state.images, run->state.n_images, image->image, true);

                if (image->busy && image->stand == CHOICE_ABSENT && running && (running->flags & GW_IMAGE_CONFIRMED))
                        return image;
        }
        return NULL;
}

/* Erasing what waits is gentler than a reset, which would start it; not every server allows it. */
void steps_clear(struct smp_run *run) {
        const struct choice_image *waiting = waiting_image(run);
        int slot;

        if (run->tuning.wait_when_slot_taken) {
                run_wait(run, "device-busy", GW_WAKE_TIMER, run->tuning.busy_retry_ms);
                return;
        }
        if (!waiting || run->erase_tried) {
                clear_by_reset(run);
                return;
        }
        run->erase_tried = true;
        slot = waiting->image == 0 ? -1 : 2 * waiting->image + 1;
        run->host->run->extend(run->handle, STEP_TIMEOUT_MS);
        run_sent(run, smp_image_erase(run->client, slot, run_on_answer, run, &run->request), erased);
}

/* ---- one image */

static struct choice_image *current(struct smp_run *run) {
        return &run->choice.images[run->image_index];
}

static const struct gw_part *current_part(struct smp_run *run) {
        return run_wanted(run, current(run))->part;
}

static int read_part(void *ctx, uint64_t offset, void *buffer, size_t size) {
        struct smp_run *run = ctx;

        return smp_upload_read_part((void *) current_part(run), offset, buffer, size);
}

static void progressed(void *ctx, uint64_t confirmed, uint64_t total) {
        struct smp_run *run = ctx;
        uint64_t all = run->uploaded_bytes + choice_upload_bytes(&run->choice, run->order);

        run->host->run->extend(run->handle, STEP_TIMEOUT_MS);
        run->host->run->progress(run->handle, run->uploaded_bytes + confirmed, all);
        run_target(run, current(run),
                   (struct gw_target){ .state = GW_TARGET_IN_PROGRESS, .percent = total ? (int) (confirmed * 100 / total) : -1 });
}

static void note_upload(struct smp_run *run, const struct smp_upload_report *report) {
        if (report->resumed_at)
                run_note(run, "image %u: resumed at byte %llu", current(run)->image, (unsigned long long) report->resumed_at);
        if (report->already)
                run_note(run, "image %u: the device held the whole file already", current(run)->image);
        run_note(run, "image %u: %llu chunks, %llu repeated, window %u, message %u bytes, round trip %u ms, %lld ms", current(run)->image,
                 (unsigned long long) report->chunks, (unsigned long long) report->repeats, report->window, report->message_size,
                 report->round_trip_ms, (long long) report->duration_ms);
}

/* From now on, and in later attempts, only short messages are sent. */
static void keep_short(struct smp_run *run) {
        run->notes.short_messages = true;
        run_keep_notes(run);
        run->host->run->checkpoint(run->handle);
}

static void upload_refused(struct smp_run *run, const struct smp_upload_report *report) {
        const struct smp_refusal answer = { SMP_GROUP_IMAGE, SMP_IMAGE_UPLOAD, SMP_OP_WRITE, report->status };
        struct refusal refusal = run_refusal(run, &answer, current(run)->image);
        struct gw_error err = { 0 };
        enum refusal_action action;

        refusal.first_chunk = report->confirmed == 0;
        action = refusal_judge(&refusal, false, &err);
        if (action == REFUSAL_CLEAR) {
                steps_clear(run);
        } else if (action == REFUSAL_SHORTEN) {
                run_note(run, "the device finds the messages too long: cut to %d bytes", MESSAGE_SHORT);
                keep_short(run);
                upload_next(run);
        } else {
                run_refused(run, action, &err);
        }
}

/* F20: the long requests got no answer. Does a short one? If not, the device may also just have gone: then it is worth another attempt. */
static void short_answered(struct smp_run *run, const struct smp_answer *failed) {
        struct verdict_silence silence = {
                .where = VERDICT_SILENCE_LONG_REQUEST,
                .serial = run->driver->transport->kind == TRANSPORT_SERIAL,
                .shortened = run->notes.short_messages,
                .gone = failed && failed->result != -EREMOTEIO,
        };
        bool was_short = run->notes.short_messages;
        struct gw_error err = { 0 };

        verdict_silence(&silence, &err);
        keep_short(run);
        if (silence.gone || !was_short)
                run_again(run, &err);
        else
                run_fail(run, &err);
}

static void upload_silent(struct smp_run *run, const struct smp_upload_report *report) {
        struct verdict_silence silence = { .where = VERDICT_SILENCE_UPLOAD, .waited_ms = report->duration_ms };
        struct gw_error err = { 0 };

        if (report->confirmed == 0) {
                run_ping(run, run->tuning.timeout_ms, short_answered);
                return;
        }
        verdict_silence(&silence, &err);
        run_again(run, &err);
}

static void upload_failed(struct smp_run *run, int result, const struct smp_upload_report *report) {
        if (result == -ECANCELED) {
                run_stopped(run);
        } else if (result == -EREMOTEIO) {
                upload_refused(run, report);
        } else if (result == -ETIMEDOUT) {
                upload_silent(run, report);
        } else if (result == -ENOTCONN && gw_error_is_set(&run->link_error)) {
                run_broken(run, &run->link_error);
        } else {
                run_again(run, &report->error);
        }
}

static void uploaded(void *ctx, int result, const struct smp_upload_report *report) {
        struct smp_run *run = ctx;
        const struct smp_upload_report kept = *report;

        smp_upload_free(run->upload);
        run->upload = NULL;
        note_upload(run, &kept);
        if (result < 0) {
                upload_failed(run, result, &kept);
                return;
        }
        run->unproven = run->unproven || kept.unproven;
        run->uploaded_bytes += current_part(run)->size;
        current(run)->stand = CHOICE_STORED;
        upload_next(run);
}

/* A device that tells its buffer size can put a message together. One that does not, or is silent to long ones, gets what fits a packet;
 * in packets shorter than the shortest message nothing could be sent at all. */
static void limit_to_packets(const struct smp_run *run, struct smp_limits *limits) {
        size_t packet_max = transport_packet_max(&run->session);

        if (packet_max < MESSAGE_SHORT)
                packet_max = MESSAGE_SHORT;
        if (!(run->probed.offered & SMP_PROBE_PARAMS) && limits->message_max > packet_max)
                limits->message_max = packet_max;
        if (limits->message_fallback > packet_max)
                limits->message_fallback = packet_max;
}

static struct smp_limits limits_of(struct smp_run *run) {
        struct smp_limits limits;

        smp_limits_compute(&run->probed, smp_client_max_message(run->client), run->driver->transport->framing, run->tuning.window_max,
                           &limits);
        if (run->tuning.message_max && limits.message_max > run->tuning.message_max)
                limits.message_max = run->tuning.message_max;
        if (run->notes.short_messages && limits.message_max > MESSAGE_SHORT)
                limits.message_max = MESSAGE_SHORT;
        limit_to_packets(run, &limits);
        /* Serial recovery begins its erase anew with every first chunk: a second, shorter one would come into the first one's erase. */
        if (limits.message_fallback > limits.message_max || run->family == VERDICT_FAMILY_RECOVERY)
                limits.message_fallback = limits.message_max;
        return limits;
}

static void upload_image(struct smp_run *run) {
        const struct gw_part *part = current_part(run);
        struct gw_error err = { 0 };
        struct smp_upload_options options = {
                .size = part->size,
                .image = current(run)->image,
                .sha = part->sha256,
                .upgrade = run->tuning.device_checks_version,
                .limits = limits_of(run),
                .recovery = run->family == VERDICT_FAMILY_RECOVERY,
                .read = read_part,
                .progress = progressed,
                .ctx = run,
        };

        if (smp_upload_start(run->client, &options, uploaded, run, &run->upload, &err) < 0)
                run_again(run, &err);
}

/* ---- all images */

/* The device asked for the start after the last chunk, as it does after an upload that ended and after a reset: it was the reset. */
static void end_was_lost(struct smp_run *run) {
        struct gw_error err = { 0 };

        gw_error_set(&err, "device-vanished", "the device was reset at the end of the upload and does not hold the image");
        run_again(run, &err);
}

static void check_stored(struct smp_run *run, const struct smp_answer *failed) {
        struct gw_error err = { 0 };

        if (failed) {
                run_answer_failed(run, failed, NULL);
                return;
        }
        run_learned_images(run);
        for (size_t i = 0; i < run->choice.n_images; i++) {
                const struct verdict_question question = steps_question(run, &run->choice.images[i]);

                if (verdict_stored(&question, &err) < 0) {
                        if (run->unproven)
                                end_was_lost(run);
                        else
                                run_fail(run, &err);
                        return;
                }
        }
        if (run_judge(run, &err) < 0)
                run_fail(run, &err);
        else if (run->order->mode == GW_MODE_UPLOAD_ONLY)
                run_done(run, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED);
        else if (verdict_marks(run->family))
                run_next(run);
        else
                steps_go_to_reset(run);
}

static void upload_next(struct smp_run *run) {
        for (run->image_index = 0; run->image_index < run->choice.n_images; run->image_index++) {
                if (current(run)->stand != CHOICE_ABSENT)
                        continue;
                upload_image(run);
                return;
        }
        if (run->family == VERDICT_FAMILY_RECOVERY && run->unproven)
                end_was_lost(run);
        else if (run->family == VERDICT_FAMILY_RECOVERY)
                steps_go_to_reset(run); /* its list may lack hashes: the proof comes after the reset */
        else
                run_look(run, check_stored);
}

int step_upload_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        run->uploaded_bytes = 0;
        run->unproven = false;
        run->host->run->extend(run->handle, STEP_TIMEOUT_MS);
        if (run->choice.next == CHOICE_NEXT_CLEAR)
                steps_clear(run);
        else if (run->way.no_return == VERDICT_NO_RETURN_UPLOAD && !run_is_committed(run))
                run_commit(run, upload_next);
        else
                upload_next(run);
        return 0;
}
