/* SPDX-License-Identifier: Apache-2.0 */

/*
 * trial: the new image runs unconfirmed for a while and is asked now and then; a device that resets meanwhile goes back by itself,
 * which the slots show. confirm: makes it permanent. Both end with the proof.
 */

#include "steps.h"

#define LINK_IDLE_MAX_MS 10000 /* a scarce link that is not needed for longer is closed */

static void check_later(struct smp_run *run);
static void confirm_next(struct smp_run *run);

/* ---- the end of a job */

static enum gw_proof proof_of(enum verdict_outcome outcome) {
        if (outcome == VERDICT_CONFIRMED)
                return GW_PROOF_HASH_ACTIVE_CONFIRMED;
        return outcome == VERDICT_ACTIVE ? GW_PROOF_HASH_ACTIVE : GW_PROOF_NONE;
}

void steps_finish(struct smp_run *run, const enum verdict_outcome outcomes[GW_PARTS_MAX]) {
        enum gw_proof weakest = run->choice.n_images ? GW_PROOF_HASH_ACTIVE_CONFIRMED : GW_PROOF_NONE;

        run_learned_images(run);
        run_learned_place(run);
        for (size_t i = 0; i < run->choice.n_images; i++) {
                enum gw_proof proof = proof_of(outcomes[i]);

                run_target(run, &run->choice.images[i], (struct gw_target){ .state = GW_TARGET_SUCCEEDED, .proof = proof, .percent = 100 });
                if (outcomes[i] == VERDICT_UNREADABLE)
                        run_note(run, "image %u: the device took it but cannot read it back: nothing proves that it runs",
                                 run->choice.images[i].image);
                if (proof > weakest) /* the enum goes from the strongest to none */
                        weakest = proof;
        }
        run_done(run, weakest == GW_PROOF_NONE ? GW_RESULT_SENT_UNPROVEN : GW_RESULT_UPDATED, weakest);
}

/* ---- trial */

static uint32_t checks_wanted(const struct smp_run *run) {
        return run->order->trial_checks > 0 ? run->order->trial_checks : 1;
}

/* Silent or gone: it may have crashed, and then it comes back with the old image; so wait for it and let the slots speak. */
static void trial_lost(struct smp_run *run) {
        struct gw_error err = { 0 };

        if (run->notes.n_trials >= BLOB_TRIALS_MAX) {
                gw_error_set(&err, "trial-no-answer", "the new firmware stopped answering %u times during its trial", run->notes.n_trials);
                run_note_trial(run);
                run_fail(run, &err);
                return;
        }
        run->notes.n_trials++;
        run_note(run, "the device stopped answering during its trial");
        run_keep_notes(run);
        run->away_since_ms = run_now_ms(run);
        run_jump(run, "return");
}

/* By the state that was just read. If not, the step has failed. */
static bool runs_what_it_should(struct smp_run *run) {
        enum verdict_outcome outcomes[GW_PARTS_MAX];
        struct gw_error err = { 0 };
        int bad;

        if (run_judge(run, &err) < 0) {
                run_fail(run, &err);
                return false;
        }
        bad = steps_verdicts(run, outcomes, NULL);
        if (bad >= 0)
                steps_fail_by_verdict(run, outcomes[bad], (size_t) bad);
        return bad < 0;
}

static void checked(struct smp_run *run, const struct smp_answer *failed) {
        if (failed && failed->result != -EREMOTEIO) {
                trial_lost(run);
                return;
        }
        if (failed) {
                run_answer_failed(run, failed, NULL);
                return;
        }
        if (!runs_what_it_should(run))
                return;
        if (++run->checks_done < checks_wanted(run))
                check_later(run);
        else
                run_next(run);
}

static void reopened(struct smp_run *run, int result, const struct gw_error *err) {
        (void) err;
        if (result < 0)
                trial_lost(run);
        else if (run->canceling)
                run_go_back(run);
        else
                run_look(run, checked);
}

static void check(struct smp_run *run) {
        if (run->link_open)
                run_look(run, checked);
        else
                run_link_open(run, reopened);
}

static void check_later(struct smp_run *run) {
        int64_t from_ms = run->order->trial_ms * run->checks_done / checks_wanted(run);
        int64_t to_ms = run->order->trial_ms * (run->checks_done + 1) / checks_wanted(run);

        /* Others may use the radio meanwhile. */
        if (run->driver->transport->scarce && to_ms - from_ms >= LINK_IDLE_MAX_MS)
                run_link_close(run);
        run_timer(run, to_ms - from_ms, check);
}

int step_trial_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        run->is_protected = true;
        run->notes.seen_on_trial = true;
        run->checks_done = 0;
        check_later(run);
        return 0;
}

/* ---- confirm */

static struct choice_image *current(struct smp_run *run) {
        return &run->choice.images[run->image_index];
}

static void check_proof(struct smp_run *run, const struct smp_answer *failed) {
        enum verdict_outcome outcomes[GW_PARTS_MAX];
        struct gw_error err = { 0 };
        bool trial = false;
        int bad;

        if (failed) {
                run_answer_failed(run, failed, NULL);
                return;
        }
        if (run_judge(run, &err) < 0) {
                run_fail(run, &err);
                return;
        }
        bad = steps_verdicts(run, outcomes, &trial);
        if (bad >= 0) {
                steps_fail_by_verdict(run, outcomes[bad], (size_t) bad);
        } else if (trial) {
                gw_error_set(&err, "smp-confirm-refused", "the device accepted the confirmation but does not show the image as confirmed");
                run_note_trial(run);
                run_fail(run, &err);
        } else {
                steps_finish(run, outcomes);
        }
}

static void confirmed(struct smp_run *run, const struct smp_answer *failed) {
        const struct smp_refusal answer = { SMP_GROUP_IMAGE, SMP_IMAGE_STATE, SMP_OP_WRITE,
                                            failed ? failed->status : (struct smp_status){ 0 } };
        struct refusal refusal = run_refusal(run, &answer, current(run)->image);
        struct gw_error err = { 0 };
        char text[160];

        if (!failed) {
                current(run)->stand = CHOICE_CONFIRMED;
                confirm_next(run);
        } else if (failed->result != -EREMOTEIO) {
                run_answer_failed(run, failed, NULL);
        } else {
                refusal.confirm = true;
                run_note_trial(run);
                if (refusal_judge(&refusal, false, &err) != REFUSAL_AGAIN) {
                        gw_error_set(&err, "smp-confirm-refused", "%s", refusal_describe(&answer, text, sizeof text));
                        run_fail(run, &err);
                } else {
                        run_again(run, &err);
                }
        }
}

static void confirm_next(struct smp_run *run) {
        struct smp_image_choice mark = { .confirm = true, .once = true }; /* the next attempt looks before it confirms */
        const struct gw_wanted *wanted;

        while (run->image_index < run->choice.n_images && current(run)->stand != CHOICE_RUNNING)
                run->image_index++;
        if (run->image_index == run->choice.n_images) {
                run_look(run, check_proof);
                return;
        }
        wanted = run_wanted(run, current(run));
        mark.hash = wanted->hash;
        mark.hash_size = wanted->hash_size;
        run_sent(run, smp_image_write(run->client, &mark, run_on_state, run, &run->request), confirmed);
}

/* A device that went back since the last look must not be confirmed, nor a job committed that cannot succeed. */
static void confirm_if_running(struct smp_run *run, const struct smp_answer *failed) {
        if (failed && failed->result != -EREMOTEIO && !run_is_committed(run)) {
                trial_lost(run); /* nothing was confirmed yet: it is still the trial */
                return;
        }
        if (failed) {
                run_answer_failed(run, failed, NULL);
                return;
        }
        if (!runs_what_it_should(run))
                return;
        if (run->way.no_return == VERDICT_NO_RETURN_NEVER || run_is_committed(run))
                confirm_next(run);
        else
                run_commit(run, confirm_next);
}

int step_confirm_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        run->is_protected = true;
        run->image_index = 0;
        run_look(run, confirm_if_running);
        return 0;
}
