/* SPDX-License-Identifier: Apache-2.0 */

/* The link of a run and the questions that every step asks over it; what was learned goes to the host. */

#include "facts.h"
#include "run.h"

bool run_is_update(const struct smp_run *run) {
        return run->order != NULL;
}

/* ---- link */

static void open_timed_out(struct smp_run *run) {
        run_link_opened then = run->link_result;
        struct gw_error err = { 0 };

        gw_error_set(&err, "link-open-failed", "%s: not open after %d s", run->session.where,
                     (int) (run->driver->transport->open_timeout_ms / 1000));
        run_link_close(run);
        if (then)
                then(run, -ETIMEDOUT, &err);
}

void run_link_close(struct smp_run *run) {
        run->link_result = NULL;
        run->link_open = false;
        run->session.console = NULL; /* both end with the link */
        run->session.ble = NULL;
        smp_client_detach(run->client);
}

/* Of those who wait for the radio the one nearest its end goes first: it gives its place back soonest. */
static uint32_t run_priority(const struct smp_run *run) {
        static const uint32_t by_phase[] = { [BLOB_BEFORE] = 20, [BLOB_CLEARING] = 40, [BLOB_READY] = 80, [BLOB_RETURNED] = 90 };

        if (!run_is_update(run))
                return 10;
        return strcmp(run->resume_step, "upload") == 0 ? 50 : by_phase[run->notes.phase];
}

void run_link_open(struct smp_run *run, run_link_opened then) {
        struct gw_error err = { 0 };
        int r;

        run_link_close(run);
        run->session.priority = run_priority(run);
        run->link_error = (struct gw_error){ 0 };
        r = run->driver->transport->open(run->host, run->device, &run->session, &err);
        if (r < 0) {
                then(run, r, &err);
                return;
        }
        run->link_result = then;
        if (run->driver->transport->open_timeout_ms > 0)
                run_timer(run, run->driver->transport->open_timeout_ms, open_timed_out);
}

/* ---- questions */

void run_sent(struct smp_run *run, int r, run_answered then) {
        const struct smp_answer answer = { .result = r };

        if (r < 0)
                then(run, &answer);
        else
                run->answered = then;
}

void run_on_answer(void *ctx, const struct smp_answer *answer) {
        struct smp_run *run = ctx;

        run->request = 0;
        run->answered(run, answer->result == 0 ? NULL : answer);
}

void run_on_state(void *ctx, const struct smp_answer *answer, const struct smp_image_state *state) {
        struct smp_run *run = ctx;

        run->request = 0;
        if (answer->result == 0 && state)
                run->state = *state;
        run->answered(run, answer->result == 0 ? NULL : answer);
}

void run_look(struct smp_run *run, run_answered then) {
        run_sent(run, smp_image_read(run->client, run_on_state, run, &run->request), then);
}

void run_ping(struct smp_run *run, uint32_t timeout_ms, run_answered then) {
        uint8_t frame[SMP_HEADER_SIZE + 1];
        const struct smp_request request = {
                .group = SMP_GROUP_OS,
                .command = SMP_OS_PARAMS,
                .op = SMP_OP_READ,
                .frame = frame,
                .payload_size = 1,
                .timeout_ms = timeout_ms,
                .resends = 1, /* a peer that is not known yet gets it as version 1, too */
                .done = run_on_answer,
                .ctx = run,
        };

        frame[SMP_HEADER_SIZE] = 0xa0; /* an empty map: some servers ignore a request without any */
        run_sent(run, smp_client_request(run->client, &request, &run->request), then);
}

struct refusal run_refusal(const struct smp_run *run, const struct smp_refusal *answer, uint8_t image) {
        struct refusal refusal = {
                .answer = *answer,
                .image = image,
                .upgrade_sent = run->tuning.device_checks_version,
                .other_commands_ok = run->probed.offered != 0,
                .shortened = run->notes.short_messages,
        };

        for (size_t i = 0; i < run->choice.n_images; i++)
                refusal.slot_busy = refusal.slot_busy || (run->choice.images[i].image == image && run->choice.images[i].busy);
        return refusal;
}

/* ---- knowledge */

struct choice_question run_question(const struct smp_run *run) {
        return (struct choice_question){
                .order = run->order,
                .family = run->family,
                .images = run->state.images,
                .n_images = run->state.n_images,
                .slots = run->probed.offered & SMP_PROBE_SLOT_INFO ? &run->probed.slot_info : NULL,
                .no_downgrade = run->probed.no_downgrade,
                /* Before the reset the slots alone decide: the free one may have changed since the notes were made. */
                .chosen = run->notes.phase >= BLOB_READY ? run->notes.chosen : 0,
        };
}

/* After the reset of a bootloader's serial recovery, or of one that took no marks, the kind is the one noted before. */
static enum verdict_family family_of(const struct smp_run *run) {
        if (run->notes.phase >= BLOB_READY || run->notes.unmarked)
                return run->notes.family;
        return verdict_family(run->probed.mode, run->state.images, run->state.n_images);
}

int run_judge(struct smp_run *run, struct gw_error *err) {
        struct choice_question question;
        int r;

        run->family = family_of(run);
        question = run_question(run);
        r = choice_make(&question, &run->choice, err);
        if (r < 0)
                return r;
        return verdict_way(run->order->mode, run->family, choice_cannot_revert(&run->choice, run->probed.board), &run->way, err);
}

const struct gw_wanted *run_wanted(const struct smp_run *run, const struct choice_image *image) {
        return &run->order->wanted[image->wanted];
}

bool run_reverts(const struct smp_run *run) {
        return verdict_can_revert(run->family);
}

void run_keep_notes(struct smp_run *run) {
        uint8_t bytes[BLOB_SIZE_MAX];

        run->notes.family = run->family;
        run->notes.chosen = choice_mask(&run->choice);
        run->host->run->blob_set(run->handle, bytes, blob_write(&run->notes, bytes));
}

void run_learned_images(struct smp_run *run) {
        struct gw_facts facts = GW_FACTS_INIT;
        struct facts_room room;

        facts_add_images(&facts, &run->state, &run->probed.slot_info, &room);
        run->host->run->learned(run->handle, &facts);
}

const char *run_serial(const struct smp_run *run) {
        return run->session.peer.serial[0] ? run->session.peer.serial : run->probed.memfault_serial;
}

void run_learned_device(struct smp_run *run) {
        struct gw_facts facts = GW_FACTS_INIT;
        struct facts_room room;

        facts.address = run->session.where;
        facts_add_device(&facts, &run->probed, &room);
        if (run->driver->transport->kind == TRANSPORT_BLE) {
                transport_look_at_peer(&run->session);
                facts_add_peer(&facts, &run->session.peer, &room);
        }
        run->host->run->learned(run->handle, &facts);
}

void run_learned_place(struct smp_run *run) {
        struct gw_facts facts = GW_FACTS_INIT;

        if (run->driver->transport->kind != TRANSPORT_BLE)
                return; /* ports are found by their keys, and over UDP nobody moves */
        facts.address = run->session.where;
        run->host->run->learned(run->handle, &facts);
}

void run_target(struct smp_run *run, const struct choice_image *image, struct gw_target target) {
        char key[16];

        if (run->choice.n_images < 2)
                return;
        snprintf(key, sizeof key, "image-%u", image->image);
        target.size = sizeof target;
        target.key = key;
        target.result = target.proof == GW_PROOF_NONE ? GW_RESULT_SENT_UNPROVEN : run->way.result;
        run->host->run->target(run->handle, &target);
}
