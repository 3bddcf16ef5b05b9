/* SPDX-License-Identifier: Apache-2.0 */

/*
 * return: waits until the device answers again after a reset, up to a deadline that follows from what its bootloader has to
 * exchange. verify: what the slots say then.
 *
 *     quiet -> open link -> ping -> state        (over Bluetooth opening begins with the wait for a fresh advertisement)
 *       ^------ back-off -----'        | still as before the reset: perhaps it has not reset yet, ask again for a while
 *                                      | at another address, and another device: let go, never asked again
 */

#include "identity.h"
#include "radio.h"
#include "steps.h"

#define RETRY_FIRST_MS 300 /* also the longest round trip that is seen at once; later tries wait longer */
#define RETRY_MAX_MS 2000
#define QUIET_GROWTH 4
#define UNCHANGED_GRACE_MS 5000 /* a device may take so long from its answer to the reset itself */

#define FRESH_MAX_MS 30000      /* of one wait for an advertisement */

static void try_again(struct smp_run *run);

/* ---- return */

/* A bootloader that was caught by a question after the first reset is left alone for longer after the next. */
static int64_t quiet_after_reset_ms(const struct smp_run *run) {
        int64_t quiet_ms = run->tuning.quiet_after_reset_ms;

        if (run->notes.family != VERDICT_FAMILY_RECOVERY)
                return quiet_ms;
        for (unsigned i = 1; i < run->notes.n_resets && i < BLOB_RESETS_MAX; i++)
                quiet_ms *= QUIET_GROWTH;
        return quiet_ms;
}

/* By what is noted alone: after a restart of the daemon the device may not have been looked at yet. */
static uint64_t noted_bytes(const struct smp_run *run) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < run->order->n_wanted; i++)
                if ((!run->notes.chosen || run->notes.chosen & (1u << i)) && run->order->wanted[i].part)
                        bytes += run->order->wanted[i].part->size;
        return bytes;
}

/* Bytes that the bootloader moves at most. */
static uint64_t exchange_bytes(const struct smp_run *run) {
        const struct choice_question question = run_question(run);
        uint64_t bytes = run->choice.n_images ? 0 : noted_bytes(run);

        for (size_t i = 0; i < run->choice.n_images; i++) {
                const struct gw_part *part = run_wanted(run, &run->choice.images[i])->part;
                uint32_t slot_bytes = choice_slot_bytes(&question, run->choice.images[i].image);

                bytes += slot_bytes ? slot_bytes : part ? part->size : 0;
        }
        return bytes;
}

bool steps_recovery_is_done(const struct smp_run *run) {
        return run->notes.phase == BLOB_READY && run->notes.family == VERDICT_FAMILY_RECOVERY;
}

static void gave_up(struct smp_run *run) {
        struct verdict_silence silence = {
                .where = VERDICT_SILENCE_AFTER_RESET,
                .reverts = run_reverts(run) && !run->way.permanent && !run_is_committed(run), /* the way may not be known any more */
                .waited_ms = run_now_ms(run) - run->away_since_ms,
        };
        struct gw_error err = { 0 };

        if (run->canceling) {
                run_note(run, "canceled: the device did not return, so it could not be reset once more");
                run_stopped(run);
                return;
        }
        if (steps_recovery_is_done(run)) {
                run_note(run, "the application does not speak SMP, or does not run: nothing proves the update");
                run_done(run, GW_RESULT_SENT_UNPROVEN, GW_PROOF_NONE);
                return;
        }
        if (transport_is_refused(&run->link_error)) {
                err = run->link_error; /* it is back, but its bond is not */
                run_note_trial(run);
        } else if (run->notes.seen_on_trial) {
                gw_error_set(&err, "trial-no-answer", "the new firmware answered, then stopped answering for %lld s",
                             (long long) (silence.waited_ms / 1000));
                run_note_trial(run);
        } else {
                verdict_silence(&silence, &err);
        }
        run_fail(run, &err);
}

static void slow_down(struct smp_run *run) {
        run->retry_ms = run->retry_ms * 5 / 4 < RETRY_MAX_MS ? run->retry_ms * 5 / 4 : RETRY_MAX_MS;
}

static void retry_later(struct smp_run *run) {
        int64_t left_ms = run->return_deadline_ms - run_now_ms(run);

        if (left_ms <= 0) {
                gave_up(run);
                return;
        }
        run_timer(run, run->retry_ms < left_ms ? run->retry_ms : left_ms, try_again);
        slow_down(run);
}

/* Nothing changed: the reset may not have happened yet. */
static bool is_unchanged(const struct smp_run *run) {
        if (run->notes.phase == BLOB_CLEARING)
                return run->choice.next == CHOICE_NEXT_CLEAR;
        if (run->notes.phase != BLOB_READY)
                return false;
        if (run->family == VERDICT_FAMILY_RECOVERY)
                return !verdict_any_active(run->state.images, run->state.n_images);
        return run->choice.next == CHOICE_NEXT_RESET;
}

/* Whoever answers does so at another address than the device had. */
static bool is_elsewhere(const struct smp_run *run) {
        char key[GW_GATT_KEY_SIZE];

        if (run->driver->transport->kind != TRANSPORT_BLE)
                return false;
        transport_ble_key(run->host, run->device, key);
        return strcmp(key, run->session.peer.key) != 0;
}

/* Every image that is to be exchanged lies beside the one that ran before. */
static bool holds_both(const struct smp_run *run) {
        for (size_t i = 0; i < run->order->n_wanted; i++) {
                const struct gw_wanted *wanted = &run->order->wanted[i];
                const struct gw_image *was = verdict_running(run->notes.before, run->notes.n_before, wanted->image, true);

                if (!(run->notes.chosen & (1u << i)))
                        continue;
                if (!was || !verdict_find(run->state.images, run->state.n_images, was->image, was->hash, was->hash_size) ||
                    !verdict_find(run->state.images, run->state.n_images, wanted->image, wanted->hash, wanted->hash_size))
                        return false;
        }
        return run->notes.chosen != 0;
}

/* Who advertises with a fitting address or name may be the neighbour, which may even run the new image. After a restart of the daemon
 * nobody knows whether it was there before the reset, so that something must prove who it is. */
static bool is_stranger(const struct smp_run *run, bool is_listed) {
        const struct identity_serial known = {
                .device_information = run->host->device->attribute(run->device, "serial_number"),
                .memfault = run->host->device->attribute(run->device, "memfault_serial"),
        };
        const struct identity_serial stated = { .device_information = run->session.peer.serial, .memfault = run->probed.memfault_serial };

        if (!is_elsewhere(run))
                return false;
        switch (identity_serial_match(&known, &stated)) {
        case IDENTITY_SERIAL_SAME:
                return false;
        case IDENTITY_SERIAL_OTHER:
                return true;
        case IDENTITY_SERIAL_UNKNOWN:
                break;
        }
        return run->since_is_guessed && !(is_listed && holds_both(run));
}

static void let_go(struct smp_run *run) {
        run_note(run, "%s answers, but is another device or cannot prove that it is this one: waiting on", run->session.where);
        snprintf(run->strangers[run->n_strangers++ % RUN_STRANGERS_MAX], GW_GATT_KEY_SIZE, "%s", run->session.peer.key);
        run->probed = (struct smp_probe_result) SMP_PROBE_RESULT_INIT; /* what was said is not the device's */
        run_link_close(run);
        retry_later(run);
}

static void note_new_place(struct smp_run *run) {
        if (is_elsewhere(run))
                run_note(run, "after the reset the device answers as %s", run->session.where);
}

void steps_end_canceled(struct smp_run *run) {
        if (run->choice.next == CHOICE_NEXT_VERIFY) {
                run_go_back(run);
                return;
        }
        if (run->choice.next == CHOICE_NEXT_RESET)
                run_note_mark(run);
        run_stopped(run);
}

static void returned(struct smp_run *run) {
        note_new_place(run);
        if (run->canceling) {
                steps_end_canceled(run);
                return;
        }
        run_learned_images(run);
        run_next(run);
}

/* A single-slot application usually has no image management: then only its own word tells what runs. */
static void version_asked(void *ctx, int result, const struct gw_error *err) {
        struct smp_run *run = ctx;
        struct gw_error judge_error = { 0 };

        (void) err;
        smp_probe_free(run->probe);
        run->probe = NULL;
        run->state.n_images = 0;
        run->without_list = true;
        if (result < 0)
                retry_later(run);
        else if (run_judge(run, &judge_error) < 0)
                run_fail(run, &judge_error);
        else
                returned(run);
}

static void ask_version(struct smp_run *run) {
        run->probed = (struct smp_probe_result) SMP_PROBE_RESULT_INIT;
        if (smp_probe_start(run->client, SMP_PROBE_MEMFAULT, &run->probed, version_asked, run, &run->probe) < 0)
                retry_later(run);
}

static void looked(struct smp_run *run, const struct smp_answer *failed) {
        const struct smp_refusal answer = { SMP_GROUP_IMAGE, SMP_IMAGE_STATE, SMP_OP_READ,
                                            failed ? failed->status : (struct smp_status){ 0 } };
        struct refusal refusal = run_refusal(run, &answer, 0);
        struct gw_error err = { 0 };

        run->without_list = false;
        if ((!failed || failed->result == -EREMOTEIO) && is_stranger(run, !failed))
                let_go(run);
        else if (failed && failed->result == -EREMOTEIO && steps_recovery_is_done(run))
                ask_version(run);
        else if (failed && failed->result == -EREMOTEIO)
                run_answer_failed(run, failed, &refusal);
        else if (failed)
                retry_later(run);
        else if (run_judge(run, &err) < 0)
                run_fail(run, &err);
        else if (is_unchanged(run) && run_now_ms(run) - run->away_since_ms < quiet_after_reset_ms(run) + UNCHANGED_GRACE_MS)
                retry_later(run);
        else
                returned(run);
}

static void probed(void *ctx, int result, const struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        smp_probe_free(run->probe);
        run->probe = NULL;
        if (result < 0)
                retry_later(run);
        else
                run_look(run, looked);
}

/* Any answer, also a refusal, is a sign of life. After a crash of the daemon the device may not have been asked yet what it is. */
static void pinged(struct smp_run *run, const struct smp_answer *failed) {
        if (failed && failed->result == -ETIMEDOUT) {
                if (run->driver->transport->kind == TRANSPORT_BLE && run->retry_ms >= RETRY_MAX_MS)
                        run_link_close(run); /* what is written may go where the old firmware had its table */
                slow_down(run);
                try_again(run); /* the silence was the pause */
        } else if (failed && failed->result != -EREMOTEIO && failed->result != -EBADMSG) {
                retry_later(run);
        } else if (run->probed.asked) {
                run_look(run, looked);
        } else if (smp_probe_start(run->client, SMP_PROBE_UPDATE, &run->probed, probed, run, &run->probe) < 0) {
                retry_later(run);
        }
}

/* A port that is absent or busy now may be there in a moment. While the gateway itself has no radio nobody can return. */
static void opened(struct smp_run *run, int result, const struct gw_error *err) {
        run->session.fresh_ms = 0;
        if (result < 0 && transport_wait_reason(err))
                run->return_deadline_ms += run_now_ms(run) - run->opening_ms + run->retry_ms;
        if (result == 0 && is_elsewhere(run))
                run->probed = (struct smp_probe_result) SMP_PROBE_RESULT_INIT; /* who it is must be asked, not remembered */
        if (result < 0)
                retry_later(run);
        else
                run_ping(run, (uint32_t) run->retry_ms, pinged);
}

static bool was_let_go(const struct smp_run *run, const char *key) {
        for (size_t i = 0; i < run->n_strangers && i < RUN_STRANGERS_MAX; i++)
                if (strcmp(run->strangers[i], key) == 0)
                        return true;
        return false;
}

static bool may_be_returned(void *ctx, const struct gw_gatt_peer *peer) {
        struct smp_run *run = ctx;
        struct radio *radio = run->driver->radio;
        char key[GW_GATT_KEY_SIZE];
        struct identity_question question = {
                .key = key,
                .alone = true,
                .away_since_ms = run->since_is_guessed ? 0 : run->away_since_ms,
                .peer = peer,
                .peer_first_heard_ms = radio_first_heard_ms(radio, peer->key),
                .peer_is_known = radio_device_at(radio, peer->key, run->device) != NULL,
        };

        transport_ble_key(run->host, run->device, key);
        question.name = radio_name(radio, key);
        for (const struct smp_run *other = run->driver->runs; other; other = other->next_run)
                if (other != run && other->is_away)
                        question.alone = false;
        return !was_let_go(run, peer->key) && identity_may_be(&question);
}

/* A device that is reached by radio tells that it is there again: no connection is tried before. */
static void open_returned(struct smp_run *run) {
        int64_t left_ms = run->return_deadline_ms - run_now_ms(run);

        run->opening_ms = run_now_ms(run);
        if (run->driver->transport->kind == TRANSPORT_BLE) {
                run->session.fresh_ms = left_ms < FRESH_MAX_MS ? left_ms : FRESH_MAX_MS;
                /* No hash proves who answers after a reset that only cleared: an upload would go to whoever it is. */
                run->session.match = run->notes.phase == BLOB_CLEARING ? NULL : may_be_returned;
                run->session.match_ctx = run;
        }
        run_link_open(run, opened);
}

static void try_again(struct smp_run *run) {
        if (run_now_ms(run) >= run->return_deadline_ms)
                gave_up(run);
        else if (run->link_open)
                run_ping(run, (uint32_t) run->retry_ms, pinged);
        else
                open_returned(run);
}

void steps_await_return(struct smp_run *run) {
        int64_t quiet_ms = run->away_since_ms ? quiet_after_reset_ms(run) : 0;

        run->since_is_guessed = !run->away_since_ms; /* after a crash of the daemon nobody knows since when */
        if (run->since_is_guessed)
                run->away_since_ms = run_now_ms(run);
        run->return_deadline_ms =
                run_now_ms(run) + choice_return_ms(exchange_bytes(run), run->tuning.return_timeout_ms, run->tuning.return_factor_percent);
        run->retry_ms = RETRY_FIRST_MS;
        run->is_away = true;
        run_timer(run, quiet_ms, try_again);
}

int step_return_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        run->is_protected = true;
        steps_await_return(run);
        return 0;
}

/* ---- verify */

struct verdict_question steps_question(const struct smp_run *run, const struct choice_image *image) {
        const struct gw_wanted *wanted = run_wanted(run, image);

        return (struct verdict_question){
                .family = run->notes.family,
                .image = wanted->image,
                .hash = wanted->hash,
                .hash_size = wanted->hash_size,
                .before = run->notes.before,
                .n_before = run->notes.n_before,
                .after = run->state.images,
                .n_after = run->state.n_images,
                .seen_on_trial = run->notes.seen_on_trial,
                .n_resets = run->notes.n_resets,
        };
}

int steps_verdicts(struct smp_run *run, enum verdict_outcome outcomes[GW_PARTS_MAX], bool *ret_on_trial) {
        int failed = -1;

        for (size_t i = 0; i < run->choice.n_images; i++) {
                const struct verdict_question question = steps_question(run, &run->choice.images[i]);

                outcomes[i] = verdict_after_reset(&question);
                if (verdict_failed(outcomes[i]) && failed < 0)
                        failed = (int) i;
                if (ret_on_trial && outcomes[i] == VERDICT_ON_TRIAL)
                        *ret_on_trial = true;
        }
        return failed;
}

void steps_fail_by_verdict(struct smp_run *run, enum verdict_outcome outcome, size_t index) {
        const struct verdict_question question = { .image = run->choice.images[index].image };
        struct gw_error err = { 0 };

        verdict_explain(outcome, &question, &err);
        run_target(run, &run->choice.images[index], (struct gw_target){ .state = GW_TARGET_FAILED, .error = &err, .percent = -1 });
        run_fail(run, &err);
}

static void reset_once_more(struct smp_run *run) {
        run->notes.n_resets++;
        run->notes.phase = BLOB_READY;
        run_keep_notes(run);
        run_jump(run, "reset");
}

static void fail_stuck(struct smp_run *run) {
        if (run->notes.n_resets < BLOB_RESETS_MAX)
                reset_once_more(run); /* it may have been caught by a question of ours that came too early */
        else
                steps_fail_by_verdict(run, VERDICT_IN_RECOVERY, 0);
}

static bool version_is(const char *version, const struct gw_wanted *wanted) {
        bool known;

        return choice_version_compare(version, wanted->version, &known) == 0 && known;
}

/* What the application that runs now proves of one image; -EPROTO: another one runs. */
static int recovery_proof(const struct smp_run *run, const struct choice_image *image, enum gw_proof *ret_proof) {
        const struct gw_wanted *wanted = run_wanted(run, image);
        const struct gw_image *running = verdict_running(run->state.images, run->state.n_images, wanted->image, true);

        if (run->without_list)
                *ret_proof = image->image == 0 && version_is(run->probed.memfault_version, wanted) ? GW_PROOF_VERSION_READ : GW_PROOF_NONE;
        else if (!running)
                *ret_proof = GW_PROOF_NONE;
        else if (verdict_hash_is(running, wanted->hash, wanted->hash_size))
                *ret_proof = running->flags & GW_IMAGE_CONFIRMED ? GW_PROOF_HASH_ACTIVE_CONFIRMED : GW_PROOF_HASH_ACTIVE;
        else if (running->hash_size == 0 && version_is(running->version, wanted))
                *ret_proof = GW_PROOF_VERSION_READ;
        else
                return -EPROTO;
        return 0;
}

static void fail_other_runs(struct smp_run *run, const struct choice_image *image) {
        const struct gw_image *running = verdict_running(run->state.images, run->state.n_images, image->image, true);
        struct gw_error err = { 0 };

        gw_error_set(&err, "verify-failed", "image %u: expected version %s to run, but %s does%s", image->image,
                     run_wanted(run, image)->version, running->version, running->hash_size ? " (by its hash)" : "");
        run_fail(run, &err);
}

/* The one slot was written by the bootloader: what does whoever answers now say? */
static void verify_recovery(struct smp_run *run) {
        enum gw_proof weakest = run->choice.n_images ? GW_PROOF_HASH_ACTIVE_CONFIRMED : GW_PROOF_NONE;

        if (!run->without_list && !verdict_any_active(run->state.images, run->state.n_images)) {
                fail_stuck(run);
                return;
        }
        for (size_t i = 0; i < run->choice.n_images; i++) {
                enum gw_proof proof;

                if (recovery_proof(run, &run->choice.images[i], &proof) < 0) {
                        fail_other_runs(run, &run->choice.images[i]);
                        return;
                }
                if (proof > weakest) /* the enum goes from the strongest to none */
                        weakest = proof;
        }
        if (weakest == GW_PROOF_NONE)
                run_note(run,
                         "the application tells neither its images nor the expected version (it states \"%s\"): nothing proves the update",
                         run->probed.memfault_version);
        run_done(run, weakest == GW_PROOF_NONE ? GW_RESULT_SENT_UNPROVEN : GW_RESULT_UPDATED, weakest);
}

static void verify_cleared(struct smp_run *run) {
        if (run->choice.next == CHOICE_NEXT_CLEAR) {
                steps_clear(run);
                return;
        }
        run->notes.phase = BLOB_BEFORE;
        steps_follow_choice(run);
}

static void on_trial(struct smp_run *run) {
        run->notes.seen_on_trial = true;
        run_learned_place(run);
        run_keep_notes(run);
        if (run->way.mode == GW_MODE_TEST_ONLY)
                run_done(run, GW_RESULT_ON_TRIAL, GW_PROOF_HASH_ACTIVE);
        else if (run->way.mode == GW_MODE_TEST_AND_CONFIRM)
                run_next(run);
        else
                run_jump(run, "confirm");
}

static void judge_return(struct smp_run *run) {
        enum verdict_outcome outcomes[GW_PARTS_MAX];
        bool trial = false;
        int failed = steps_verdicts(run, outcomes, &trial);
        bool may_repeat = failed >= 0 && run->notes.n_resets < BLOB_RESETS_MAX &&
                          (outcomes[failed] == VERDICT_IN_RECOVERY || (outcomes[failed] == VERDICT_SWAP_REFUSED && !run->reset_heard));

        if (may_repeat)
                reset_once_more(run); /* the bootloader caught a question of ours and stayed, or no reset was heard */
        else if (failed >= 0)
                steps_fail_by_verdict(run, outcomes[failed], (size_t) failed);
        else if (trial)
                on_trial(run);
        else
                steps_finish(run, outcomes);
}

int step_verify_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        run->is_protected = true;
        if (run->notes.phase == BLOB_READY)
                run->notes.phase = BLOB_RETURNED;
        if (run->notes.phase == BLOB_CLEARING)
                verify_cleared(run);
        else if (run->notes.family == VERDICT_FAMILY_RECOVERY)
                verify_recovery(run);
        else
                judge_return(run);
        return 0;
}
