/* SPDX-License-Identifier: Apache-2.0 */

/* test: the marks for the next boot. reset: the reset itself. */

#include "steps.h"

#define SETTLE_MS 3000
#define GO_BACK_MS 30000 /* to look at a device that has returned, and to reset it once more */

static void mark_next(struct smp_run *run);

/* ---- test */

static struct choice_image *current(struct smp_run *run) {
        return &run->choice.images[run->image_index];
}

static void all_marked(struct smp_run *run) {
        if (run->notes.phase < BLOB_READY) {
                blob_keep_before(&run->notes, run->state.images, run->state.n_images);
                run->notes.phase = BLOB_READY;
                run->notes.n_resets = 1;
        }
        run_keep_notes(run);
        run_next(run);
}

static void check_mark(struct smp_run *run, const struct smp_answer *failed) {
        const struct verdict_question question = steps_question(run, current(run));
        struct gw_error err = { 0 };

        if (failed) {
                run_answer_failed(run, failed, NULL);
        } else if (verdict_marked(&question, run->way.permanent, &err) < 0) {
                run_fail(run, &err);
        } else {
                current(run)->stand = CHOICE_MARKED;
                mark_next(run);
        }
}

/* F3: the bootloader takes no marks, which an old server only says now. It then also cannot go back. */
static void go_without_mark(struct smp_run *run) {
        struct gw_error err = { 0 };

        run->notes.unmarked = true;
        run->notes.family = VERDICT_FAMILY_XIP;
        if (run_judge(run, &err) < 0) {
                run_fail(run, &err);
                return;
        }
        run_note(run, "test and confirm are not used by this bootloader; resetting activates the image");
        steps_go_to_reset(run);
}

/* The device takes no mark now because something else waits or is on trial: what does it say of its slots? */
static void looked_after_refusal(struct smp_run *run, const struct smp_answer *failed) {
        struct gw_error err = { 0 };

        if (failed) {
                run_answer_failed(run, failed, NULL);
        } else if (run_judge(run, &err) < 0) {
                run_fail(run, &err);
        } else if (run->choice.next == CHOICE_NEXT_TEST) {
                gw_error_set(&err, "smp-other-update-pending",
                             "the device refuses the mark because of another update, which its slots do not show");
                run_fail(run, &err);
        } else {
                steps_follow_choice(run);
        }
}

static void marked(struct smp_run *run, const struct smp_answer *failed) {
        const struct smp_refusal answer = { SMP_GROUP_IMAGE, SMP_IMAGE_STATE, SMP_OP_WRITE,
                                            failed ? failed->status : (struct smp_status){ 0 } };
        struct refusal refusal = run_refusal(run, &answer, current(run)->image);
        struct gw_error err = { 0 };
        enum refusal_action action;

        if (!failed) {
                if (run->state.n_images > 0)
                        check_mark(run, NULL);
                else
                        run_look(run, check_mark);
                return;
        }
        refusal.confirm = run->way.permanent;
        if (failed->result != -EREMOTEIO) {
                run_answer_failed(run, failed, NULL);
                return;
        }
        run->mark_sent = false;
        action = refusal_judge(&refusal, run->probed.mode == SMP_BOOT_UNKNOWN, &err);
        if (action == REFUSAL_NO_MARK)
                go_without_mark(run);
        else if (action == REFUSAL_CLEAR)
                run_look(run, looked_after_refusal);
        else
                run_refused(run, action, &err);
}

static void mark_next(struct smp_run *run) {
        struct smp_image_choice mark = { .confirm = run->way.permanent };
        const struct gw_wanted *wanted;

        while (run->image_index < run->choice.n_images && current(run)->stand != CHOICE_STORED)
                run->image_index++;
        if (run->image_index == run->choice.n_images) {
                all_marked(run);
                return;
        }
        wanted = run_wanted(run, current(run));
        mark.hash = wanted->hash;
        mark.hash_size = wanted->hash_size;
        run->mark_sent = true;
        run_sent(run, smp_image_write(run->client, &mark, run_on_state, run, &run->request), marked);
}

int step_test_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        run->image_index = 0;
        if (run->way.no_return == VERDICT_NO_RETURN_TEST && !run_is_committed(run))
                run_commit(run, mark_next);
        else
                mark_next(run);
        return 0;
}

/* ---- reset */

static void reset_send(struct smp_run *run);

/* A canceled job enters no further step, but the device must not stay on trial: this one waits as long as `return` would. */
static void await_return_here(struct smp_run *run) {
        int64_t limit_ms;

        steps_await_return(run);
        limit_ms = run->return_deadline_ms - run_now_ms(run) + GO_BACK_MS;
        run->host->run->extend(run->handle, limit_ms < UINT32_MAX ? (uint32_t) limit_ms : UINT32_MAX);
}

static void reset_away(struct smp_run *run) {
        run->away_since_ms = run_now_ms(run);
        run->force_reset = false;
        run_link_close(run);
        if (run->canceling)
                await_return_here(run);
        else
                run_next(run);
}

static void reset_answered(struct smp_run *run, const struct smp_answer *failed) {
        const struct smp_refusal answer = { SMP_GROUP_OS, SMP_OS_RESET, SMP_OP_WRITE, failed ? failed->status : (struct smp_status){ 0 } };
        struct refusal refusal = run_refusal(run, &answer, 0);

        run->reset_heard = !failed;
        if (!failed || failed->result == -ETIMEDOUT || (failed->result == -ENOTCONN && failed->sent)) {
                reset_away(run);
        } else if (failed->result == -EREMOTEIO && smp_status_is_rc(&failed->status, SMP_RC_BUSY) && !run->force_reset) {
                run->force_reset = true; /* the application's hook asks for a reset that is meant */
                reset_send(run);
        } else {
                run_answer_failed(run, failed, &refusal);
        }
}

static void reset_send(struct smp_run *run) {
        const struct smp_reset_options options = { .force = run->force_reset, .boot_mode = -1 };

        run->is_protected = true; /* from here on the device may be on trial */
        run->reset_heard = false;
        run_sent(run, smp_os_reset(run->client, &options, run_on_answer, run, &run->request), reset_answered);
}

static bool is_entered_again(const struct smp_run *run) {
        return strcmp(run->resume_step, "reset") == 0 && !run->reset_entered;
}

/* Canceled after the step was entered again: what was asked for before the crash may have put the device on trial. */
static void cancel_reset(struct smp_run *run, bool is_answering) {
        if (is_answering)
                steps_end_canceled(run);
        else
                await_return_here(run);
}

/* Entered again after a crash, the reset may have happened already: a second one would end the trial. The slots tell. */
static void reset_if_due(struct smp_run *run, const struct smp_answer *failed) {
        struct gw_error err = { 0 };
        bool was_entered_again = is_entered_again(run), due;

        run->reset_entered = true;
        if (!failed && run_judge(run, &err) < 0) {
                run_fail(run, &err);
                return;
        }
        if (run->canceling) {
                cancel_reset(run, !failed);
                return;
        }
        if (failed && was_entered_again) {
                run_jump(run, "return"); /* it is on its way down */
                return;
        }
        if (failed) {
                run_answer_failed(run, failed, NULL);
                return;
        }
        if (run->notes.phase == BLOB_CLEARING)
                due = run->choice.next == CHOICE_NEXT_CLEAR;
        else if (run->family == VERDICT_FAMILY_RECOVERY)
                due = !verdict_any_active(run->state.images, run->state.n_images);
        else
                due = run->choice.next == CHOICE_NEXT_RESET;
        if (!due)
                run_jump(run, "verify");
        else if (run->way.no_return == VERDICT_NO_RETURN_RESET && run->notes.phase == BLOB_READY && !run_is_committed(run))
                run_commit(run, reset_send);
        else
                reset_send(run);
}

static void look_before_reset(struct smp_run *run) {
        run_look(run, reset_if_due);
}

int step_reset_enter(void *ctx, struct gw_error *err) {
        struct smp_run *run = ctx;

        (void) err;
        run_begin(run);
        run->force_reset = false;
        run->is_protected = is_entered_again(run);
        if (run->is_protected)
                run_timer(run, SETTLE_MS, look_before_reset); /* a reset that was asked for before the crash may still be due */
        else
                look_before_reset(run);
        return 0;
}
