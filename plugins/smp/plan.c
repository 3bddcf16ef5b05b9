/* SPDX-License-Identifier: Apache-2.0 */

/* What an order would mean for a device, from what the registry knows of it. Nothing is sent. */

#include <stdlib.h>

#include "choice.h"
#include "driver.h"
#include "verdict.h"

#define UDP_BYTES_PER_S 200000  /* a guess on the safe side: a device over UDP with two buffers */
#define BLE_BYTES_PER_S 8000    /* 1M PHY, 50 ms connection interval, a few packets each */
#define SERIAL_LINE_PERCENT 60  /* of the line's bits that become image bytes */
#define FLASH_BYTES_PER_S 65536 /* swap in internal flash */
#define BOOT_MS 3000

static enum verdict_family known_family(const struct gw_host *host, const struct gw_device *device, const struct gw_image *images,
                                        size_t n_images) {
        static const struct gw_image running = { .flags = GW_IMAGE_ACTIVE };
        const char *mode = host->device->attribute(device, "bootloader_mode");

        /* A device that was never read has no list to draw conclusions from. */
        return verdict_family(mode ? atoi(mode) : SMP_BOOT_UNKNOWN, n_images ? images : &running, n_images ? n_images : 1);
}

static int64_t bytes_per_s(const struct driver *driver, const struct gw_device *device) {
        struct tuning tuning;

        tuning_read(driver->host, device, driver->transport->kind, &tuning);
        switch (driver->transport->kind) {
        case TRANSPORT_SERIAL:
                return (int64_t) tuning.baud * SERIAL_LINE_PERCENT / 1000;
        case TRANSPORT_UDP:
                return UDP_BYTES_PER_S;
        case TRANSPORT_BLE:
                break;
        }
        return BLE_BYTES_PER_S;
}

static int64_t estimate_ms(const struct driver *driver, const struct gw_plan_request *request, const struct gw_plan *plan) {
        int64_t bytes = (int64_t) plan->upload_bytes;
        int64_t ms = bytes * 1000 / bytes_per_s(driver, request->device);

        if (plan->work == GW_PLAN_NOTHING || plan->mode == GW_MODE_UPLOAD_ONLY)
                return ms;
        ms += BOOT_MS + bytes * 1000 / FLASH_BYTES_PER_S;
        return plan->mode == GW_MODE_TEST_AND_CONFIRM ? ms + request->order->trial_ms : ms;
}

static void fill_work(const struct choice *choice, struct gw_plan *plan) {
        switch (choice->next) {
        case CHOICE_NEXT_NOTHING:
                plan->work = GW_PLAN_NOTHING;
                break;
        case CHOICE_NEXT_VERIFY:
        case CHOICE_NEXT_RESET:
        case CHOICE_NEXT_TEST:
                plan->work = GW_PLAN_ACTIVATE;
                break;
        case CHOICE_NEXT_UPLOAD:
        case CHOICE_NEXT_CLEAR:
                plan->work = GW_PLAN_UPLOAD;
                break;
        }
}

int driver_plan(const struct driver *driver, const struct gw_plan_request *request, struct gw_plan *ret_plan, struct gw_error *err) {
        const struct gw_host *host = driver->host;
        const char *no_downgrade = host->device->attribute(request->device, "no_downgrade");
        struct choice_question question = { .order = request->order };
        struct gw_plan plan = { .size = sizeof plan };
        struct choice choice;
        struct verdict_way way;
        int r;

        question.images = host->device->images(request->device, &question.n_images);
        question.family = known_family(host, request->device, question.images, question.n_images);
        question.no_downgrade = no_downgrade && strcmp(no_downgrade, "yes") == 0;
        r = choice_make(&question, &choice, err);
        if (r == 0)
                r = verdict_way(request->order->mode, question.family,
                                choice_cannot_revert(&choice, host->device->attribute(request->device, "board")), &way, err);
        /* The slots of a device that was never read are not known to lack anything. */
        if (r == 0 && choice.next != CHOICE_NEXT_NOTHING && question.n_images)
                r = choice_check(&question, &choice, err);
        if (r < 0)
                return r;
        plan.mode = way.mode;
        plan.upload_bytes = choice_upload_bytes(&choice, request->order);
        plan.rollback_possible =
                verdict_can_revert(question.family) && !choice_cannot_revert(&choice, host->device->attribute(request->device, "board"));
        fill_work(&choice, &plan);
        plan.duration_ms = estimate_ms(driver, request, &plan);
        snprintf(plan.text, sizeof plan.text, "%s%s%s", way.text, way.text[0] && !question.n_images ? "; " : "",
                 question.n_images ? "" : "the device was not read yet: what it runs and how it swaps is not known");
        *ret_plan = plan;
        return 0;
}
