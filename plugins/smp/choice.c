/* SPDX-License-Identifier: Apache-2.0 */
#include "choice.h"

#include <stdlib.h>

#define SECTOR_BYTES 4096
#define SECTOR_MS 250 /* two erasures and two writings of a sector of internal flash, with room to spare */

static const struct gw_wanted *wanted_of(const struct choice_question *question, const struct choice_image *image) {
        return &question->order->wanted[image->wanted];
}

/* Does the file fit the slot that would be written? `slot` -1: whichever. */
static bool part_fits(const struct choice_question *question, const struct gw_wanted *wanted) {
        const struct gw_image *running = verdict_running(question->images, question->n_images, wanted->image, false);
        bool in_place = question->family == VERDICT_FAMILY_XIP || question->family == VERDICT_FAMILY_XIP_REVERT;

        if (!wanted->part || wanted->part->slot < 0 || !in_place || !running)
                return true;
        return wanted->part->slot != running->slot;
}

/* Of the files for one image: the one chosen before, else the one that the device already runs, else one that fits. */
static int rank(const struct choice_question *question, size_t index) {
        const struct gw_wanted *wanted = &question->order->wanted[index];
        const struct gw_image *found = verdict_find(question->images, question->n_images, wanted->image, wanted->hash, wanted->hash_size);

        if (question->chosen & (1u << index))
                return 4;
        if (found && (found->flags & GW_IMAGE_ACTIVE))
                return 3;
        if (!part_fits(question, wanted))
                return 0;
        return found ? 2 : 1;
}

static struct choice_image *image_slot(struct choice *choice, uint8_t image) {
        size_t at = 0;

        while (at < choice->n_images && choice->images[at].image < image)
                at++;
        if (at < choice->n_images && choice->images[at].image == image)
                return &choice->images[at];
        memmove(&choice->images[at + 1], &choice->images[at], (choice->n_images - at) * sizeof choice->images[0]);
        choice->n_images++;
        choice->images[at] = (struct choice_image){ .image = image, .wanted = UINT8_MAX };
        return &choice->images[at];
}

static int choose_files(const struct choice_question *question, struct choice *choice, struct gw_error *err) {
        const struct gw_order *order = question->order;

        for (size_t i = 0; i < order->n_wanted && i < GW_PARTS_MAX; i++) {
                struct choice_image *image = image_slot(choice, order->wanted[i].image);

                if (image->wanted == UINT8_MAX || rank(question, i) > rank(question, image->wanted))
                        image->wanted = (uint8_t) i;
        }
        for (size_t i = 0; i < choice->n_images; i++) {
                if (rank(question, choice->images[i].wanted) > 0)
                        continue;
                gw_error_set(err, "smp-image-address", "image %u: the package holds no file that is linked for the free slot",
                             choice->images[i].image);
                return -EINVAL;
        }
        if (choice->n_images)
                return 0;
        gw_error_set(err, "internal-error", "the order wants no image");
        return -EINVAL;
}

/* The slot of `image` that does not run; NULL = empty, or not readable. Serial recovery knows only the first: what it writes, and
 * what is started. */
static const struct gw_image *other_of(const struct choice_question *question, uint8_t image, const struct gw_image *running) {
        for (size_t i = 0; i < question->n_images; i++)
                if (question->images[i].image == image && &question->images[i] != running &&
                    (question->family != VERDICT_FAMILY_RECOVERY || question->images[i].slot == 0))
                        return &question->images[i];
        return NULL;
}

static void judge_stand(const struct choice_question *question, struct choice_image *image) {
        const struct gw_wanted *wanted = wanted_of(question, image);
        const struct gw_image *running = verdict_running(question->images, question->n_images, image->image, true);
        const struct gw_image *other = other_of(question, image->image, running);
        bool trial = running && (running->flags & GW_IMAGE_ACTIVE) && !(running->flags & GW_IMAGE_CONFIRMED);

        image->stand = CHOICE_ABSENT;
        image->busy = verdict_can_revert(question->family) && trial;
        if (other && (other->flags & GW_IMAGE_PENDING) && question->family != VERDICT_FAMILY_XIP)
                image->busy = true;
        if (running && verdict_hash_is(running, wanted->hash, wanted->hash_size))
                image->stand = trial && question->family != VERDICT_FAMILY_XIP ? CHOICE_RUNNING : CHOICE_CONFIRMED;
        else if (other && verdict_hash_is(other, wanted->hash, wanted->hash_size))
                /* On trial, the confirmed image in the other slot comes back by itself. */
                image->stand =
                        (other->flags & GW_IMAGE_PENDING) || (trial && (other->flags & GW_IMAGE_CONFIRMED)) ? CHOICE_MARKED : CHOICE_STORED;
}

static enum choice_next judge_next(const struct choice_question *question, const struct choice *choice) {
        size_t n[CHOICE_CONFIRMED + 1] = { 0 };
        bool busy = false;

        for (size_t i = 0; i < choice->n_images; i++) {
                const struct choice_image *image = &choice->images[i];

                n[image->stand]++;
                if (image->busy && (image->stand == CHOICE_ABSENT || image->stand == CHOICE_STORED))
                        busy = true;
        }
        if (n[CHOICE_ABSENT] || busy)
                return busy ? CHOICE_NEXT_CLEAR : CHOICE_NEXT_UPLOAD;
        if (n[CHOICE_STORED])
                return verdict_marks(question->family) ? CHOICE_NEXT_TEST : CHOICE_NEXT_RESET;
        if (n[CHOICE_MARKED])
                return CHOICE_NEXT_RESET;
        return n[CHOICE_RUNNING] ? CHOICE_NEXT_VERIFY : CHOICE_NEXT_NOTHING;
}

int choice_make(const struct choice_question *question, struct choice *ret_choice, struct gw_error *err) {
        struct choice choice = { 0 };
        int r;

        r = choose_files(question, &choice, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < choice.n_images; i++)
                judge_stand(question, &choice.images[i]);
        choice.next = judge_next(question, &choice);
        *ret_choice = choice;
        return 0;
}

uint16_t choice_mask(const struct choice *choice) {
        uint16_t mask = 0;

        for (size_t i = 0; i < choice->n_images; i++)
                mask |= (uint16_t) (1u << choice->images[i].wanted);
        return mask;
}

uint64_t choice_upload_bytes(const struct choice *choice, const struct gw_order *order) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < choice->n_images; i++) {
                const struct gw_part *part = order->wanted[choice->images[i].wanted].part;

                if (choice->images[i].stand == CHOICE_ABSENT && part)
                        bytes += part->size;
        }
        return bytes;
}

static bool has_word(const char *text, const char *word) {
        return text && strcasestr(text, word);
}

bool choice_cannot_revert(const struct choice *choice, const char *board) {
        return choice->n_images > 1 && (has_word(board, "nrf5340") || has_word(board, "nrf53"));
}

uint32_t choice_slot_bytes(const struct choice_question *question, uint8_t image) {
        const struct gw_image *running = verdict_running(question->images, question->n_images, image, true);
        unsigned slot = running ? 1u - (running->slot & 1u) : 0;

        if (question->slots)
                for (size_t i = 0; i < question->slots->n_slots; i++)
                        if (question->slots->slots[i].image == image && question->slots->slots[i].slot == slot)
                                return question->slots->slots[i].size;
        for (size_t i = 0; i < question->n_images; i++)
                if (question->images[i].image == image && question->images[i].slot == slot)
                        return question->images[i].slot_size;
        return 0;
}

/* The most that the device takes for this image, 0 = not known. */
static uint32_t size_limit(const struct choice_question *question, uint8_t image) {
        if (question->slots)
                for (size_t i = 0; i < question->slots->n_max_image_sizes; i++)
                        if (question->slots->max_image_size[i].image == image && question->slots->max_image_size[i].bytes)
                                return question->slots->max_image_size[i].bytes;
        return choice_slot_bytes(question, image);
}

static int check_upload(const struct choice_question *question, const struct choice_image *image, struct gw_error *err) {
        const struct gw_wanted *wanted = wanted_of(question, image);
        uint32_t limit = size_limit(question, image->image);

        if (!wanted->part) {
                gw_error_set(err, "rollback-image-gone",
                             "image %u: the image to go back to lies in no slot, and there is no file with its hash", image->image);
                return -ENOENT;
        }
        if (!limit || wanted->part->size <= limit)
                return 0;
        gw_error_set(err, "image-too-large", "image %u: %llu bytes, but the device has room for %lu", image->image,
                     (unsigned long long) wanted->part->size, (unsigned long) limit);
        return -EFBIG;
}

/* Would a bootloader that always runs the highest version start it? */
static bool wins_by_version(int compared, const struct gw_image *running) {
        return compared > 0 || (compared == 0 && running->slot == 1);
}

static int check_version(const struct choice_question *question, const struct choice_image *image, struct gw_error *err) {
        const struct gw_wanted *wanted = wanted_of(question, image);
        const struct gw_image *running = verdict_running(question->images, question->n_images, image->image, true);
        bool known = false;
        int compared;

        if (!running && question->family == VERDICT_FAMILY_RECOVERY) /* what would run, if the bootloader did not answer */
                running = other_of(question, image->image, NULL);
        if (!running || image->stand >= CHOICE_RUNNING)
                return 0;
        compared = choice_version_compare(wanted->version, running->version, &known);
        if (!known)
                return 0;
        if (question->family == VERDICT_FAMILY_XIP && !wins_by_version(compared, running)) {
                gw_error_set(err, question->order->rollback ? "rollback-not-possible" : "downgrade",
                             "image %u: the bootloader always runs the highest version: %s would not be started over %s", image->image,
                             wanted->version, running->version);
                return -EPERM;
        }
        if (compared >= 0 || ((question->order->allow_downgrade || question->order->rollback) && !question->no_downgrade))
                return 0;
        gw_error_set(err, "downgrade", "image %u: the device runs %s, the file is %s%s", image->image, running->version, wanted->version,
                     question->no_downgrade ? "; its bootloader refuses lower versions" : "");
        return -EPERM;
}

int choice_check(const struct choice_question *question, const struct choice *choice, struct gw_error *err) {
        for (size_t i = 0; i < choice->n_images; i++) {
                int r = check_version(question, &choice->images[i], err);

                if (r == 0 && choice->images[i].stand == CHOICE_ABSENT)
                        r = check_upload(question, &choice->images[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool version_read(const char *text, uint32_t numbers[4]) {
        for (size_t i = 0; i < 4; i++) {
                char *end;
                unsigned long number;

                if (*text < '0' || *text > '9')
                        return false;
                number = strtoul(text, &end, 10);
                if (number > UINT32_MAX)
                        return false;
                numbers[i] = (uint32_t) number;
                text = end;
                if (*text == '\0')
                        return i >= 2; /* major.minor.revision at least */
                if (*text != '.' && !(*text == '+' && i == 2))
                        return false;
                text++;
        }
        return false;
}

int choice_version_compare(const char *a, const char *b, bool *ret_known) {
        uint32_t left[4] = { 0 }, right[4] = { 0 };

        *ret_known = version_read(a, left) && version_read(b, right);
        for (size_t i = 0; *ret_known && i < 4; i++)
                if (left[i] != right[i])
                        return left[i] < right[i] ? -1 : 1;
        return 0;
}

int64_t choice_return_ms(uint64_t bytes, int64_t base_ms, int64_t factor_percent) {
        uint64_t sectors = bytes / SECTOR_BYTES + 1;

        if (sectors > (UINT32_MAX / SECTOR_BYTES)) /* no slot is larger: a peer's nonsense must not make the deadline one */
                sectors = UINT32_MAX / SECTOR_BYTES;
        return base_ms + (int64_t) sectors * SECTOR_MS * factor_percent / 100;
}
