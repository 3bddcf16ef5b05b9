/* SPDX-License-Identifier: Apache-2.0 */
#include "radio.h"
#include "steps.h"

/* ---- connect */

/* The device was reset by this job, so its silence is expected. */
static bool may_be_away(const struct smp_run *run) {
        return run_is_update(run) && (run->notes.phase >= BLOB_READY ? run->notes.n_resets > 0 : run->notes.phase == BLOB_CLEARING);
}

/* Whether a failure to connect only means that the device is not there now. A silent UDP device is absent; a serial port that is
 * there and silent is a fault that somebody has to look at. */
static bool is_absent(const struct smp_run *run, int result) {
        return result == -ENODEV || (result == -ETIMEDOUT && run->driver->transport->kind == TRANSPORT_UDP && !smp_client_was_heard(run->client));
}

static void connect_failed(struct smp_run *run, int result, const struct gw_error *err) {
        const char *reason = transport_wait_reason(err);

        if (run_is_update(run) && reason)
                run_wait(run, reason, GW_WAKE_TIMER | GW_WAKE_SEEN, run->tuning.not_seen_retry_ms);
        else if (may_be_away(run))
                run_jump(run, "return");
        else if (run_is_update(run) && is_absent(run, result))
                run_wait(run, "not-seen", GW_WAKE_TIMER | GW_WAKE_SEEN, run->tuning.not_seen_retry_ms);
        else if (transport_is_refused(err))
                run_access_refused(run, err);
        else
                run_broken(run, err);
}

/* A device that nobody adopted, with the serial number of one that somebody did: that one has a new address. */
static void recognise(struct smp_run *run) {
        const char *key = run->host->device->key(run->device), *serial = run_serial(run), *other;

        if (!run->driver->radio || !serial[0] || radio_device_at(run->driver->radio, key, NULL) == run->device)
                return;
        other = radio_serial_heard(run->driver->radio, run->device, serial, run->session.where);
        if (other)
                run_note(run, "serial number %s: this is %s:%s under a new address", serial, run->driver->transport->driver, other);
}

static void probed(void *ctx, int result, const struct gw_error *err) {
        struct smp_run *run = ctx;
        struct smp_answer answer = { .result = result };

        smp_probe_free(run->probe);
        run->probe = NULL;
        if (result == 0) {
                run_learned_device(run);
                recognise(run);
                run_next(run);
        } else if (result == -ETIMEDOUT && !may_be_away(run) && !is_absent(run, result)) {
                run_answer_failed(run, &answer, NULL);
        } else {
                connect_failed(run, result, result == -ENOTCONN && gw_error_is_set(&run->link_error) ? &run->link_error : err);
        }
}

static void connected(struct smp_run *run, int result, const struct gw_error *err) {
        struct gw_error start_error = { 0 };
        uint32_t items = run->host->run->operation(run->handle) == GW_OPERATION_DIAGNOSE ? SMP_PROBE_ALL : SMP_PROBE_UPDATE;
        int r;

        if (result < 0) {
                connect_failed(run, result, err);
                return;
        }
        steps_link_is_open(run);
        r = smp_probe_start(run->client, items, &run->probed, probed, run, &run->probe);
        if (r == 0)
                return;
        gw_error_set(&start_error, "link-lost", "the device cannot be asked: %s", strerror(-r));
        connect_failed(run, r, &start_error);
}

int step_connect_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        steps_open_link(run, connected);
        return 0;
}

/* ---- inspect */

void steps_go_to_reset(struct smp_run *run) {
        if (run->notes.phase < BLOB_READY) {
                blob_keep_before(&run->notes, run->state.images, run->state.n_images);
                run->notes.phase = BLOB_READY;
                run->notes.n_resets = 1;
        }
        run_keep_notes(run);
        run_jump(run, "reset");
}

/* Found on trial: an earlier job or somebody else started it. What ran before is not known. */
static void go_to_verify(struct smp_run *run) {
        run->notes.phase = BLOB_RETURNED;
        run->notes.n_resets = 1;
        run->notes.n_before = 0;
        run->notes.seen_on_trial = true;
        run_keep_notes(run);
        run_jump(run, "verify");
}

/* Upload-only is satisfied by whatever slot holds the image. */
static bool follow_upload_only(struct smp_run *run) {
        bool stored = run->choice.next == CHOICE_NEXT_TEST || run->choice.next == CHOICE_NEXT_RESET;

        if (run->order->mode != GW_MODE_UPLOAD_ONLY)
                return false;
        if (run->choice.next == CHOICE_NEXT_VERIFY)
                run_done(run, GW_RESULT_ALREADY, GW_PROOF_HASH_ACTIVE);
        else if (stored)
                run_done(run, GW_RESULT_UPLOADED, GW_PROOF_HASH_STORED);
        else
                return false;
        return true;
}

void steps_follow_choice(struct smp_run *run) {
        const struct choice_question question = run_question(run);
        struct gw_error err = { 0 };

        if (run->choice.next == CHOICE_NEXT_NOTHING) {
                run_done(run, GW_RESULT_ALREADY, run->family == VERDICT_FAMILY_XIP ? GW_PROOF_HASH_ACTIVE : GW_PROOF_HASH_ACTIVE_CONFIRMED);
                return;
        }
        if (follow_upload_only(run))
                return;
        if (choice_check(&question, &run->choice, &err) < 0) {
                run_fail(run, &err);
                return;
        }
        run_keep_notes(run);
        switch (run->choice.next) {
        case CHOICE_NEXT_NOTHING:
                break;
        case CHOICE_NEXT_VERIFY:
                go_to_verify(run);
                break;
        case CHOICE_NEXT_RESET:
                steps_go_to_reset(run);
                break;
        case CHOICE_NEXT_TEST:
                run_jump(run, "test");
                break;
        case CHOICE_NEXT_UPLOAD:
        case CHOICE_NEXT_CLEAR:
                run_jump(run, "upload");
                break;
        }
}

static void note_way(struct smp_run *run) {
        const struct smp_slot_info *info = &run->probed.slot_info;

        if (run->way.text[0])
                run_note(run, "%s", run->way.text);
        for (size_t i = 0; i + 1 < info->n_slots; i++) {
                const struct smp_slot *first = &info->slots[i], *second = &info->slots[i + 1];
                uint32_t difference = first->size > second->size ? first->size - second->size : second->size - first->size;

                if (first->image == second->image && first->size && second->size && difference > 4096)
                        run_note(run, "slots of image %u differ by %u bytes: a bootloader that swaps may refuse", first->image,
                                 (unsigned) difference);
        }
}

static void inspect_update(struct smp_run *run) {
        struct gw_error err = { 0 };

        if (run_judge(run, &err) < 0) {
                run_fail(run, &err);
                return;
        }
        if (run->notes.phase != BLOB_BEFORE) {
                run_next(run); /* on at the journaled step, which looks for itself */
                return;
        }
        if (!run->resume_step[0])
                note_way(run);
        steps_follow_choice(run);
}

static void inspected(struct smp_run *run, const struct smp_answer *failed) {
        if (failed) {
                const struct smp_refusal answer = { SMP_GROUP_IMAGE, SMP_IMAGE_STATE, SMP_OP_READ, failed->status };
                struct refusal refusal = run_refusal(run, &answer, 0);

                /* Silence: on its way. A refusal after a recovery: the application may have no image management. */
                if ((failed->result == -ETIMEDOUT && may_be_away(run)) || (failed->result == -EREMOTEIO && steps_recovery_is_done(run)))
                        run_jump(run, "return");
                else
                        run_answer_failed(run, failed, &refusal);
                return;
        }
        run_learned_images(run);
        if (run_is_update(run))
                inspect_update(run);
        else
                run_done(run, GW_RESULT_REPORTED, GW_PROOF_NONE);
}

int step_inspect_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        run_look(run, inspected);
        return 0;
}
