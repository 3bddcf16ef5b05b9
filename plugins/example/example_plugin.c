/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The smallest complete plugin, the template for new ones: its devices are folders (example_folder.h). docs/PLUGINS.md goes
 * through it. This file holds what the host sees; example_run.c is the procedure.
 */

#include <gatewayd/plugin.h>

#include <stdlib.h>

#include "example_run.h"
#include "example_task.h"

#define DRIVER "example-file"

static int start(const struct gw_host *host, void **ret_driver, struct gw_error *err) {
        struct driver *driver = calloc(1, sizeof *driver);

        if (!driver) {
                gw_error_set(err, "out-of-memory", "no memory for the driver");
                return -ENOMEM;
        }
        driver->host = host;
        *ret_driver = driver;
        return 0;
}

/* ---- looking for devices */

struct scan {
        struct scan *next;
        struct driver *driver;
        struct task *task;
        void (*done)(void *ctx);
        void *ctx;
};

static void stop(void *ctx) {
        struct driver *driver = ctx;

        while (driver->scans) {
                struct scan *scan = driver->scans;

                driver->scans = scan->next;
                task_forget(driver->host, scan->task);
                free(scan);
        }
        free(driver);
}

static void report(const struct gw_host *host, const struct folder_work *work) {
        for (size_t i = 0; i < work->n_found; i++) {
                char path[FOLDER_PATH_MAX + GW_KEY_MAX + 2];
                struct gw_facts facts = GW_FACTS_INIT;

                snprintf(path, sizeof path, "%s/%s", work->folder, work->found[i]);
                facts.address = path;
                (void) host->device->seen(host, DRIVER, work->found[i], &facts);
        }
}

static void scanned(void *owner, struct task *task, int r) {
        struct scan *scan = owner, **at = &scan->driver->scans;
        const struct gw_host *host = scan->driver->host;

        while (*at != scan)
                at = &(*at)->next;
        *at = scan->next;
        if (r < 0)
                host->log->write(host, NULL, GW_LOG_WARNING, "%s cannot be searched: %s", task->work.folder, strerror(-r));
        report(host, &task->work);
        scan->done(scan->ctx);
        free(scan);
}

static int scan_start(void *ctx, int64_t duration_ms, void (*done)(void *ctx), void *done_ctx, struct gw_error *err) {
        struct driver *driver = ctx;
        const struct gw_host *host = driver->host;
        struct scan *scan = calloc(1, sizeof *scan);
        struct task *task = scan ? task_new(host, scan, host->settings_ops->get(host->settings, "folders")) : NULL;
        int r = -ENOMEM;

        (void) duration_ms; /* it ends when all was looked at */
        if (task) {
                *scan = (struct scan){ .next = driver->scans, .driver = driver, .done = done, .ctx = done_ctx };
                task->act = folder_scan;
                task->then = scanned;
                r = task_start(task, host, &scan->task);
        }
        if (r < 0) {
                free(scan);
                gw_error_set(err, "internal-error", "the scan cannot begin: %s", strerror(-r));
                return r;
        }
        driver->scans = scan;
        return 0;
}

/* ---- what would be done */

static int plan(void *ctx, const struct gw_plan_request *request, struct gw_plan *ret_plan, struct gw_error *err) {
        const struct gw_host *host = ((const struct driver *) ctx)->host;
        const struct gw_wanted *want = &request->order->wanted[0];
        struct gw_plan result = { .size = sizeof result, .mode = request->order->mode, .work = GW_PLAN_UPLOAD };
        size_t n_images;
        const struct gw_image *images = host->device->images(request->device, &n_images);

        if (request->order->n_wanted != 1 || !want->part) {
                gw_error_set(err, "does-not-fit-device", "a folder takes one file with one image");
                return -EINVAL;
        }
        if (request->order->mode == GW_MODE_TEST_ONLY) {
                gw_error_set(err, "mode-not-supported", "a folder cannot run firmware on trial");
                return -EOPNOTSUPP;
        }
        if (result.mode == GW_MODE_TEST_AND_CONFIRM)
                result.mode = GW_MODE_CONFIRM_ONLY;
        if (n_images == 1 && images[0].hash_size == want->hash_size && memcmp(images[0].hash, want->hash, want->hash_size) == 0)
                result.work = GW_PLAN_NOTHING;
        else
                result.upload_bytes = want->part->size;
        snprintf(result.text, sizeof result.text, "no trial and no rollback: what is renamed into place is what runs");
        *ret_plan = result;
        return 0;
}

/* ---- what the host sees */

static const struct gw_setting device_settings[] = {
        { .key = "path", .type = GW_SETTING_PATH, .text = "The folder that is the device; without it `address`." },
        { .key = NULL },
};

static const char *const formats[] = { "example", NULL };

static const struct gw_driver folder_driver = {
        .name = DRIVER,
        .summary = "Folders that play devices (the template for new drivers)",
        .device_settings = device_settings,
        .operations = { [GW_OPERATION_UPDATE] = { update_steps, UPDATE_STEPS }, [GW_OPERATION_INSPECT] = { inspect_steps, INSPECT_STEPS } },
        .start = start,
        .stop = stop,
        .scan = scan_start,
        .plan = plan,
        .run_new = run_new,
        .run_stop = run_stop,
        .run_free = run_free,
        .formats = formats,
};

static const struct gw_setting plugin_settings[] = {
        { .key = "slice", .type = GW_SETTING_SIZE, .minimum = 1, .maximum = 1 << 20, .value = "64K", .text = "Bytes written at a time." },
        { .key = "folders", .type = GW_SETTING_PATH, .value = "/srv/gatewayd-example", .text = "A scan reports the folders in here." },
        { .key = NULL },
};

/* Names of ours; everything else is in docs/ERRORS.md. */
static const struct gw_error_info errors[] = {
        { "example-damaged", GW_ERROR_RETRY, "What was written into the folder is not what lies there now.",
          "Something else writes to firmware.new, or the disk is worn: look at `journalctl -k`." },
        { .name = NULL },
};

static int load(const struct gw_host *host, void **ret_plugin, struct gw_error *err) {
        int r = host->registry->format(host, &example_format, err);

        *ret_plugin = NULL;
        return r < 0 ? r : host->registry->driver(host, &folder_driver, err);
}

static void unload(void *plugin) {
        (void) plugin;
}

GW_PLUGIN_EXPORT(example_gw_plugin) = {
        .abi = GW_ABI,
        .size = sizeof(struct gw_plugin),
        .name = "example",
        .version = "1",
        .summary = "The template for new plugins",
        .settings = plugin_settings,
        .errors = errors,
        .load = load,
        .unload = unload,
};
