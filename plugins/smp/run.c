/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <stdlib.h>

#include "radio.h"
#include "scan.h"

static void on_opened(void *ctx);
static void on_closing(void *ctx, const struct gw_error *why);
static void on_closed(void *ctx, const struct gw_error *why);
static void on_refused(void *ctx, const struct smp_refusal *refusal);

static const struct smp_client_handler client_handler = { .opened = on_opened, .closing = on_closing, .closed = on_closed, .refused = on_refused };

/* ---- life */

static void read_notes(struct smp_run *run) {
        size_t size = 0;
        const void *bytes = run->host->run->blob(run->handle, &size);
        const char *step = run->host->run->resume_step(run->handle);

        if (!run_is_update(run) || !step)
                return;
        snprintf(run->resume_step, sizeof run->resume_step, "%s", step);
        if (!bytes)
                return;
        if (blob_read(bytes, size, &run->notes) < 0)
                run_note(run, "the notes of an earlier version cannot be read; the device is looked at anew");
}

int run_new(struct driver *driver, struct gw_run *handle, struct smp_run **ret_run, struct gw_error *err) {
        const struct gw_host *host = driver->host;
        struct smp_run *run = calloc(1, sizeof *run);
        struct smp_client_options options = SMP_CLIENT_OPTIONS_INIT;
        int r = run ? 0 : -ENOMEM;

        if (r == 0) {
                run->host = host;
                run->handle = handle;
                run->driver = driver;
                run->device = host->run->device(handle);
                run->order = host->run->operation(handle) == GW_OPERATION_UPDATE ? host->run->order(handle) : NULL;
                run->probed = (struct smp_probe_result) SMP_PROBE_RESULT_INIT;
                tuning_read(host, run->device, driver->transport->kind, &run->tuning);
                options.timeout_ms = run->tuning.timeout_ms;
                options.resends = run->tuning.resends;
                r = smp_client_new(host, &options, &client_handler, run, &run->client);
                run->session.client = run->client;
                run->session.tuning = &run->tuning;
        }
        if (r < 0) {
                free(run);
                gw_error_set(err, "out-of-memory", "no memory for a run");
                return r;
        }
        read_notes(run);
        scan_leave(driver->scan, host->device->key(run->device));
        if (driver->radio)
                radio_listen(driver->radio); /* who is heard now is not somebody new after the reset */
        run->next_run = driver->runs;
        driver->runs = run;
        *ret_run = run;
        return 0;
}

/* Nothing that the step waited for comes any more. */
static void forget_all(struct smp_run *run) {
        run->active = false;
        run->is_protected = false;
        run->host->timer->cancel(run->timer);
        run->timer = NULL;
        smp_client_forget(run->client, run->request);
        run->request = 0;
        smp_probe_free(run->probe);
        run->probe = NULL;
        smp_upload_free(run->upload);
        run->upload = NULL;
        run->link_result = NULL;
        run->commit_continue = NULL;
        run->is_away = false;
}

void run_free(struct smp_run *run) {
        struct smp_run **at = &run->driver->runs;

        forget_all(run);
        smp_client_free(run->client);
        while (*at != run)
                at = &(*at)->next_run;
        *at = run->next_run;
        free(run);
}

/* ---- ends of a step */

void run_begin(struct smp_run *run) {
        run->active = true;
        run->canceling = false; /* the host asks every step anew */
}

void run_next(struct smp_run *run) {
        forget_all(run);
        run->host->run->next(run->handle);
}

void run_jump(struct smp_run *run, const char *step) {
        forget_all(run);
        run->host->run->jump(run->handle, step);
}

void run_done(struct smp_run *run, enum gw_result result, enum gw_proof proof) {
        forget_all(run);
        run->host->run->done(run->handle, result, proof);
}

void run_wait(struct smp_run *run, const char *reason, uint32_t wakes, int64_t delay_ms) {
        forget_all(run);
        run->host->run->wait(run->handle, reason, wakes, delay_ms);
}

void run_again(struct smp_run *run, const struct gw_error *err) {
        forget_all(run);
        run->host->run->again(run->handle, err);
}

void run_fail(struct smp_run *run, const struct gw_error *err) {
        forget_all(run);
        run->host->run->fail(run->handle, err);
}

void run_stopped(struct smp_run *run) {
        forget_all(run);
        run->host->run->stopped(run->handle);
}

void run_access_refused(struct smp_run *run, const struct gw_error *err) {
        const struct gw_attribute attribute = { "smp_access", err->name };
        struct gw_facts facts = GW_FACTS_INIT;

        facts.attributes = &attribute;
        facts.n_attributes = 1;
        run->host->run->learned(run->handle, &facts);
        run_fail(run, err);
}

void run_broken(struct smp_run *run, const struct gw_error *err) {
        if (transport_is_refused(err) && run->notes.phase == BLOB_BEFORE)
                run_access_refused(run, err);
        else if (run_is_update(run))
                run_again(run, err);
        else
                run_fail(run, err);
}

void run_refused(struct smp_run *run, enum refusal_action action, const struct gw_error *err) {
        if (action == REFUSAL_AGAIN)
                run_broken(run, err);
        else
                run_fail(run, err);
}

static void name_silence(struct smp_run *run, struct gw_error *err) {
        struct verdict_silence silence = {
                .where = smp_client_was_heard(run->client) ? VERDICT_SILENCE_REQUEST : VERDICT_SILENCE_PROBE,
                .serial = run->driver->transport->kind == TRANSPORT_SERIAL,
                .waited_ms = (int64_t) run->tuning.timeout_ms * (run->tuning.resends + 1),
        };

        transport_heard(&run->session, &silence.bytes_heard, &silence.frames_heard);
        verdict_silence(&silence, err);
}

void run_answer_failed(struct smp_run *run, const struct smp_answer *answer, const struct refusal *refusal) {
        struct gw_error err = { 0 };

        run_note_trial(run);
        if (answer->result == -EREMOTEIO && refusal) {
                enum refusal_action action = refusal_judge(refusal, false, &err);

                if (action == REFUSAL_IGNORE)
                        smp_answer_error(answer, "request", &err);
                run_refused(run, action, &err);
                return;
        }
        if (answer->result == -ETIMEDOUT)
                name_silence(run, &err);
        else if (answer->result == -ENOTCONN && gw_error_is_set(&run->link_error))
                err = run->link_error;
        else
                smp_answer_error(answer, "request", &err);
        run_broken(run, &err);
}

/* ---- stopping */

static void reset_answered(struct smp_run *run, const struct smp_answer *failed) {
        run_note(run, failed ? "canceled: the device could not be reset; it goes back to its old image at its next reset"
                             : "canceled: the device was reset once, so that it goes back to its old image");
        run_stopped(run);
}

void run_go_back(struct smp_run *run) {
        const struct smp_reset_options options = { .boot_mode = -1 };

        run->canceling = false;
        run->commit_continue = NULL;
        run->host->timer->cancel(run->timer);
        run->timer = NULL;
        smp_client_forget(run->client, run->request);
        run->request = 0;
        run_sent(run, smp_os_reset(run->client, &options, run_on_answer, run, &run->request), reset_answered);
}

/* What waits for its time is done now. */
static void run_hurry(struct smp_run *run) {
        run->host->timer->cancel(run->timer);
        run->timer = NULL;
        run_timer(run, 0, run->timer_continue);
}

/* The device may run the new image on trial, or is about to. Behind the point of no return only where the confirmation is that point. */
static bool may_be_on_trial(const struct smp_run *run) {
        bool was_reset = run->notes.phase == BLOB_RETURNED || (run->notes.phase == BLOB_READY && run->is_protected);

        return run_is_update(run) && was_reset && run->notes.n_resets > 0 && run_reverts(run) && !run->way.permanent &&
               (run->way.no_return == VERDICT_NO_RETURN_CONFIRM || !run_is_committed(run));
}

void run_note_trial(struct smp_run *run) {
        if (may_be_on_trial(run))
                run_note(run, "the device may run the new image on trial: unless confirmed it goes back at its next reset");
}

void run_note_mark(struct smp_run *run) {
        run_note(run, "canceled: the new image is marked; the device starts it once, on trial, at its next reset");
}

/* Marked for a trial, by this job or as it was found, and not reset since. */
static bool may_be_marked(const struct smp_run *run) {
        bool marked = run->mark_sent || run->notes.phase == BLOB_READY;

        for (size_t i = 0; i < run->choice.n_images; i++)
                marked = marked || run->choice.images[i].stand == CHOICE_MARKED;
        return marked && run_is_update(run) && !run->is_protected && run_reverts(run) && !run->way.permanent;
}

void run_stop(struct smp_run *run, enum gw_stop_reason reason) {
        if (!run->active)
                return;
        if (reason == GW_STOP_PAUSE && run->is_protected)
                return;
        if ((reason == GW_STOP_PAUSE || reason == GW_STOP_CANCEL) && run->commit_continue)
                return; /* the point of no return may be passed already */
        if (reason == GW_STOP_CANCEL && run->is_protected && may_be_on_trial(run) && !run_is_committed(run)) {
                run->canceling = true;
                if (run->notes.phase == BLOB_RETURNED && run->link_open)
                        run_go_back(run);
                else if (run->notes.phase == BLOB_RETURNED && run->timer && !run->link_result)
                        run_hurry(run);
                return; /* else the step that waits for the device goes on until it is there */
        }
        if (reason == GW_STOP_CANCEL && may_be_marked(run))
                run_note_mark(run);
        if (run->upload)
                smp_upload_stop(run->upload); /* ends with -ECANCELED at the next border of a chunk */
        else
                run_stopped(run);
}

/* ---- timer and point of no return */

int64_t run_now_ms(const struct smp_run *run) {
        return run->host->timer->now_ms(run->host);
}

static void on_timer(void *ctx) {
        struct smp_run *run = ctx;

        run->timer = NULL;
        run->timer_continue(run);
}

void run_timer(struct smp_run *run, int64_t delay_ms, run_continue then) {
        struct gw_error err = { 0 };

        run->timer_continue = then;
        if (run->host->timer->start(run->host, delay_ms, on_timer, run, &run->timer) == 0)
                return;
        run->timer = NULL;
        gw_error_set(&err, "out-of-memory", "no memory for a timer");
        run_again(run, &err);
}

static void on_committed(void *ctx) {
        struct smp_run *run = ctx;
        run_continue then = run->commit_continue;

        run->commit_continue = NULL;
        if (run->active && then)
                then(run);
}

void run_commit(struct smp_run *run, run_continue then) {
        struct gw_error err = { 0 };
        int r;

        run->commit_continue = then;
        r = run->host->run->committed(run->handle, on_committed);
        if (r == 0)
                return;
        gw_error_set(&err, "store-failed", "the point of no return cannot be made durable: %s", strerror(-r));
        run_again(run, &err);
}

bool run_is_committed(const struct smp_run *run) {
        return run->host->run->is_committed(run->handle);
}

/* ---- the client's callbacks */

/* Who waits for the link; the timer that watched the opening ends. */
static run_link_opened take_link_result(struct smp_run *run) {
        run_link_opened then = run->link_result;

        run->link_result = NULL;
        if (then) {
                run->host->timer->cancel(run->timer);
                run->timer = NULL;
        }
        return then;
}

static void on_opened(void *ctx) {
        struct smp_run *run = ctx;
        run_link_opened then = take_link_result(run);

        run->link_open = true;
        if (run->driver->transport->opened)
                run->driver->transport->opened(&run->session);
        if (then)
                then(run, 0, NULL);
}

static void on_closing(void *ctx, const struct gw_error *why) {
        struct smp_run *run = ctx;

        run->link_open = false;
        run->link_error = (struct gw_error){ 0 };
        if (why)
                run->link_error = *why;
        if (!gw_error_is_set(&run->link_error))
                gw_error_set(&run->link_error, "link-lost", "the link to the device closed");
}

static void on_closed(void *ctx, const struct gw_error *why) {
        struct smp_run *run = ctx;
        run_link_opened then = take_link_result(run);

        (void) why;
        if (then)
                then(run, transport_is_absent(&run->link_error) ? -ENODEV : -ENOTCONN, &run->link_error);
}

static void on_refused(void *ctx, const struct smp_refusal *refusal) {
        struct smp_run *run = ctx;
        uint32_t request = (uint32_t) refusal->group << 8 | refusal->command;
        char text[160];

        if (request == run->last_refused && refusal->status.code == run->last_refused_code)
                return;
        run->last_refused = request;
        run->last_refused_code = refusal->status.code;
        refusal_describe(refusal, text, sizeof text);
        /* Optional commands that this firmware lacks are no news in a job's report, only in a diagnosis. */
        if (run_is_update(run) && smp_status_is_not_supported(&refusal->status))
                run->host->log->write(run->host, run->handle, GW_LOG_DEBUG, "refused: %s", text);
        else
                run_note(run, "refused: %s", text);
}

void run_note(struct smp_run *run, const char *format, ...) {
        char text[240];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        run->host->run->note(run->handle, "%s", text);
}
