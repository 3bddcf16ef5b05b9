/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

bool verdict_any_active(const struct gw_image *images, size_t n_images) {
        for (size_t i = 0; i < n_images; i++)
                if (images[i].flags & GW_IMAGE_ACTIVE)
                        return true;
        return false;
}

bool verdict_hash_is(const struct gw_image *entry, const uint8_t *hash, size_t hash_size) {
        return entry && hash_size && entry->hash_size == hash_size && memcmp(entry->hash, hash, hash_size) == 0;
}

enum verdict_family verdict_family(int mode, const struct gw_image *images, size_t n_images) {
        switch (mode) {
        case SMP_BOOT_SINGLE_SLOT:
        case SMP_BOOT_SINGLE_SLOT_RAM_LOAD:
                return VERDICT_FAMILY_RECOVERY;
        case SMP_BOOT_FIRMWARE_LOADER:
                return VERDICT_FAMILY_UNSUPPORTED;
        }
        if (!verdict_any_active(images, n_images))
                return VERDICT_FAMILY_RECOVERY;
        switch (mode) {
        case SMP_BOOT_OVERWRITE_ONLY:
                return VERDICT_FAMILY_OVERWRITE;
        case SMP_BOOT_DIRECT_XIP:
        case SMP_BOOT_RAM_LOAD:
                return VERDICT_FAMILY_XIP;
        case SMP_BOOT_DIRECT_XIP_REVERT:
                return VERDICT_FAMILY_XIP_REVERT;
        }
        return VERDICT_FAMILY_SWAP;
}

const char *verdict_bootloader_name(int mode) {
        static const char *const names[] = {
                "single slot",        "swap using scratch", "overwrite only",  "swap using move",      "direct-XIP without revert",
                "direct-XIP, revert", "RAM load",           "firmware loader", "single slot RAM load", "swap using offset",
        };

        return mode >= 0 && mode < (int) (sizeof names / sizeof names[0]) ? names[mode] : "unknown";
}

bool verdict_can_revert(enum verdict_family family) {
        return family == VERDICT_FAMILY_SWAP || family == VERDICT_FAMILY_XIP_REVERT;
}

bool verdict_marks(enum verdict_family family) {
        return verdict_can_revert(family) || family == VERDICT_FAMILY_OVERWRITE;
}

static int refuse_mode(const char *why, struct gw_error *err) {
        gw_error_set(err, "mode-not-supported", "%s", why);
        return -EOPNOTSUPP;
}

/* Ways of a bootloader that can go back. */
static void way_reverting(enum gw_mode mode, bool cannot_revert, struct verdict_way *way) {
        way->mode = mode;
        way->result = GW_RESULT_UPDATED;
        way->proof = GW_PROOF_HASH_ACTIVE_CONFIRMED;
        if (mode == GW_MODE_TEST_AND_CONFIRM && cannot_revert) {
                way->mode = GW_MODE_CONFIRM_ONLY;
                way->text =
                        "no rollback on this device: the network core cannot be taken back, so several images at once are confirmed before "
                        "the reset";
        }
        if (way->mode == GW_MODE_CONFIRM_ONLY) {
                way->permanent = true;
                way->no_return = VERDICT_NO_RETURN_TEST;
                if (!way->text[0])
                        way->text = "the new image is kept without a trial";
        } else if (mode == GW_MODE_TEST_AND_CONFIRM) {
                way->no_return = VERDICT_NO_RETURN_CONFIRM;
        } else {
                way->result = GW_RESULT_ON_TRIAL;
                way->proof = GW_PROOF_HASH_ACTIVE;
                way->text = "the device goes back to its present image at the next reset unless somebody confirms";
        }
}

static int way_overwrite(enum gw_mode mode, struct verdict_way *way, struct gw_error *err) {
        if (mode == GW_MODE_TEST_ONLY)
                return refuse_mode("this bootloader overwrites the running image: nothing can be tried without keeping it", err);
        way->mode = GW_MODE_CONFIRM_ONLY;
        way->permanent = true;
        way->no_return = VERDICT_NO_RETURN_TEST;
        way->result = GW_RESULT_UPDATED;
        way->proof = GW_PROOF_HASH_ACTIVE_CONFIRMED;
        way->text = "no rollback on this device: overwrite-only bootloader";
        return 0;
}

static int way_xip(enum gw_mode mode, struct verdict_way *way, struct gw_error *err) {
        if (mode == GW_MODE_TEST_ONLY)
                return refuse_mode(
                        "this bootloader always runs the highest version and cannot go back: nothing can be tried without keeping it", err);
        way->mode = GW_MODE_CONFIRM_ONLY;
        way->no_return = VERDICT_NO_RETURN_RESET;
        way->result = GW_RESULT_UPDATED;
        way->proof = GW_PROOF_HASH_ACTIVE;
        way->text = "no rollback on this device: the bootloader runs the highest version";
        return 0;
}

static int way_recovery(enum gw_mode mode, struct verdict_way *way, struct gw_error *err) {
        if (mode == GW_MODE_TEST_ONLY || mode == GW_MODE_UPLOAD_ONLY)
                return refuse_mode("serial recovery writes the only slot: nothing can be tried or laid ready beside the running image",
                                   err);
        way->mode = GW_MODE_CONFIRM_ONLY;
        way->no_return = VERDICT_NO_RETURN_UPLOAD;
        way->result = GW_RESULT_UPDATED;
        way->proof = GW_PROOF_VERSION_READ;
        way->text = "no rollback on this device: serial recovery writes over the only image";
        return 0;
}

int verdict_way(enum gw_mode mode, enum verdict_family family, bool cannot_revert, struct verdict_way *ret_way, struct gw_error *err) {
        struct verdict_way way = { .mode = mode, .result = GW_RESULT_UPLOADED, .proof = GW_PROOF_HASH_STORED, .text = "" };
        int r = 0;

        if (family == VERDICT_FAMILY_UNSUPPORTED) {
                gw_error_set(err, "smp-bootloader-unsupported",
                             "this device updates through a firmware loader that lives in its other slot; gatewayd does not drive those");
                return -EOPNOTSUPP;
        }
        if (family == VERDICT_FAMILY_RECOVERY)
                r = way_recovery(mode, &way, err);
        else if (mode == GW_MODE_UPLOAD_ONLY)
                way.text = family == VERDICT_FAMILY_XIP ? "the bootloader runs a higher version at the next reset, whoever causes it" : "";
        else if (family == VERDICT_FAMILY_OVERWRITE)
                r = way_overwrite(mode, &way, err);
        else if (family == VERDICT_FAMILY_XIP)
                r = way_xip(mode, &way, err);
        else
                way_reverting(mode, cannot_revert, &way);
        if (r < 0)
                return r;
        *ret_way = way;
        return 0;
}

const struct gw_image *verdict_running(const struct gw_image *images, size_t n_images, uint8_t image, bool assume_first) {
        const struct gw_image *first = NULL;

        for (size_t i = 0; i < n_images; i++) {
                if (images[i].image != image)
                        continue;
                if (images[i].flags & GW_IMAGE_ACTIVE)
                        return &images[i];
                if (images[i].slot == 0)
                        first = &images[i];
        }
        return assume_first && verdict_any_active(images, n_images) ? first : NULL;
}

const struct gw_image *verdict_find(const struct gw_image *images, size_t n_images, uint8_t image, const uint8_t *hash, size_t hash_size) {
        const struct gw_image *found = NULL;

        for (size_t i = 0; i < n_images; i++) {
                if (images[i].image != image || !verdict_hash_is(&images[i], hash, hash_size))
                        continue;
                if (!found || (images[i].flags & GW_IMAGE_ACTIVE))
                        found = &images[i];
        }
        return found;
}

/* The new image does not run, another one does. */
static enum verdict_outcome judge_old_runs(const struct verdict_question *question, const struct gw_image *running) {
        const struct gw_image *was = verdict_running(question->before, question->n_before, question->image, true);
        const struct gw_image *stored =
                verdict_find(question->after, question->n_after, question->image, question->hash, question->hash_size);

        if (was && was->hash_size && !verdict_hash_is(running, was->hash, was->hash_size))
                return VERDICT_OTHER_RUNS;
        if (stored && question->family == VERDICT_FAMILY_XIP)
                return VERDICT_NOT_CHOSEN;
        if (stored && (stored->flags & GW_IMAGE_PENDING))
                return VERDICT_SWAP_REFUSED;
        if (question->seen_on_trial || (stored && question->n_resets >= 2))
                return VERDICT_RAN_AND_REVERTED;
        return stored ? VERDICT_REVERTED : VERDICT_REJECTED;
}

enum verdict_outcome verdict_after_reset(const struct verdict_question *question) {
        const struct gw_image *running;

        if (!verdict_any_active(question->after, question->n_after))
                return VERDICT_IN_RECOVERY;
        running = verdict_running(question->after, question->n_after, question->image, true);
        if (!running) {
                const struct gw_image *stored =
                        verdict_find(question->after, question->n_after, question->image, question->hash, question->hash_size);

                /* Another core's slot that no server can read: what left the secondary slot was taken or thrown away. */
                return stored && (stored->flags & GW_IMAGE_PENDING) ? VERDICT_SWAP_REFUSED : VERDICT_UNREADABLE;
        }
        if (!verdict_hash_is(running, question->hash, question->hash_size))
                return judge_old_runs(question, running);
        if (question->family == VERDICT_FAMILY_XIP)
                return VERDICT_ACTIVE;
        if (running->flags & GW_IMAGE_CONFIRMED)
                return VERDICT_CONFIRMED;
        return running->flags & GW_IMAGE_ACTIVE ? VERDICT_ON_TRIAL : VERDICT_ACTIVE;
}

bool verdict_failed(enum verdict_outcome outcome) {
        return outcome > VERDICT_UNREADABLE;
}

void verdict_explain(enum verdict_outcome outcome, const struct verdict_question *question, struct gw_error *err) {
        unsigned image = question->image;

        switch (outcome) {
        case VERDICT_CONFIRMED:
        case VERDICT_ACTIVE:
        case VERDICT_ON_TRIAL:
        case VERDICT_UNREADABLE:
                break;
        case VERDICT_SWAP_REFUSED:
                gw_error_set(err, "smp-swap-refused",
                             "image %u: after the reset the old image still runs and the new one still waits: the bootloader refused to "
                             "swap (slots or "
                             "sectors do not match, image too large for a swap, or a dependency is not met); the device is unharmed",
                             image);
                break;
        case VERDICT_REJECTED:
                gw_error_set(err, "smp-image-rejected",
                             "image %u: after the reset the old image runs and the new one is gone: the bootloader rejected and erased it "
                             "(signature or "
                             "key, corrupted, wrong address, or downgrade protection)",
                             image);
                break;
        case VERDICT_REVERTED:
                gw_error_set(err, "smp-image-reverted",
                             "image %u: after the reset the old image runs and the new one lies in the other slot without a mark: it was "
                             "started, "
                             "crashed or reset before it could be seen, and was taken back",
                             image);
                break;
        case VERDICT_RAN_AND_REVERTED:
                gw_error_set(err, "reset-during-trial",
                             "image %u: the new image ran, the device reset before it was confirmed, and the bootloader took it back",
                             image);
                break;
        case VERDICT_NOT_CHOSEN:
                gw_error_set(err, "smp-image-not-chosen",
                             "image %u: the new image lies in its slot but the bootloader runs the old one: its version is not higher, or "
                             "it is linked "
                             "for the other slot",
                             image);
                break;
        case VERDICT_OTHER_RUNS:
                gw_error_set(err, "wrong-image-active", "image %u: the device runs neither the image it ran before nor the new one", image);
                break;
        case VERDICT_IN_RECOVERY:
                gw_error_set(err, "smp-stuck-in-bootloader", "after the reset the bootloader answers and no image runs");
                break;
        }
}

static const struct gw_image *found_after(const struct verdict_question *question) {
        return verdict_find(question->after, question->n_after, question->image, question->hash, question->hash_size);
}

int verdict_stored(const struct verdict_question *question, struct gw_error *err) {
        if (found_after(question))
                return 0;
        gw_error_set(err, "smp-stored-image-missing",
                     "image %u was uploaded whole but no slot shows its hash: the secondary slot cannot be read back (flash or "
                     "partition set up wrongly in the firmware), or the device did not take the image for a valid one",
                     question->image);
        return -EPROTO;
}

int verdict_marked(const struct verdict_question *question, bool permanent, struct gw_error *err) {
        const struct gw_image *entry = found_after(question);
        uint32_t wanted = permanent ? GW_IMAGE_PERMANENT | GW_IMAGE_CONFIRMED : GW_IMAGE_PENDING;

        if (!entry)
                return verdict_stored(question, err);
        if (entry->flags & wanted)
                return 0;
        gw_error_set(err, "smp-test-ignored",
                     "image %u: the device accepted the request to boot it but does not show it as %s: most likely downgrade prevention",
                     question->image, permanent ? "permanent" : "pending");
        return -EPROTO;
}

static void explain_no_answer(const struct verdict_silence *silence, struct gw_error *err) {
        if (silence->serial && silence->bytes_heard && !silence->frames_heard)
                gw_error_set(err, "serial-garbage",
                             "%llu bytes came but no SMP frame among them: wrong speed, or the port carries a plain console (SMP over the "
                             "console or "
                             "the shell is not enabled), or SMP without console framing",
                             (unsigned long long) silence->bytes_heard);
        else
                gw_error_set(err, "smp-no-answer", "nothing was answered within %lld ms%s", (long long) silence->waited_ms,
                             silence->serial ? ": wrong port, wrong speed, flow control, or no SMP on this port"
                                             : ": device off, or wrong address");
}

void verdict_silence(const struct verdict_silence *silence, struct gw_error *err) {
        switch (silence->where) {
        case VERDICT_SILENCE_PROBE:
                explain_no_answer(silence, err);
                break;
        case VERDICT_SILENCE_LONG_REQUEST:
                gw_error_set(err, "smp-no-reassembly",
                             "short requests are answered, longer ones never%s: the firmware cannot put a long request together (%s)",
                             silence->gone        ? ", and after the first long one nothing at all"
                             : silence->shortened ? ", even cut to the smallest size"
                                                  : "",
                             silence->serial ? "serial buffer too small, or bytes lost without flow control"
                                             : "reassembly or IP fragmentation");
                break;
        case VERDICT_SILENCE_UPLOAD:
                gw_error_set(err, "device-vanished", "the device stopped answering in the middle of the upload; nothing came for %lld ms",
                             (long long) silence->waited_ms);
                break;
        case VERDICT_SILENCE_REQUEST:
                gw_error_set(err, "smp-no-answer", "the device answered before but not this request; waited %lld ms",
                             (long long) silence->waited_ms);
                break;
        case VERDICT_SILENCE_AFTER_RESET:
                gw_error_set(err, "did-not-return", "no SMP answer for %lld s after the reset; %s", (long long) (silence->waited_ms / 1000),
                             silence->reverts ? "the image was only on trial: a power cycle brings the old firmware back"
                                              : "the image was installed for good: it cannot be rolled back from here");
                break;
        }
}
