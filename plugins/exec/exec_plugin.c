/* SPDX-License-Identifier: Apache-2.0 */

/* The plugin: one driver, whose devices bring their own program, and the format for files that nobody else reads. */

#include <gatewayd/plugin.h>

#include <stdlib.h>

#include "common/wrapped/wrapped_format.h"
#include "run.h"

static const struct gw_setting device_settings[] = {
        { .key = "program", .type = GW_SETTING_PATH, .text = "The program that knows this kind of device. Must be given." },
        { .key = "options", .type = GW_SETTING_STRING, .text = "Handed to the program as it stands." },
        { .key = "timeout",
          .type = GW_SETTING_DURATION,
          .minimum = 100,
          .maximum = (int64_t) EXEC_TIMEOUT_S_MAX * 1000,
          .value = "60 s",
          .text = "A step that neither ends nor moves on for so long is killed; a step may state its own." },
        { .key = "memory",
          .type = GW_SETTING_SIZE,
          .minimum = 0,
          .maximum = 1LL << 40,
          .value = "256M",
          .text = "Address space; 0: not limited." },
        { .key = "cpu",
          .type = GW_SETTING_DURATION,
          .minimum = 0,
          .maximum = (int64_t) EXEC_TIMEOUT_S_MAX * 1000,
          .value = "60 s",
          .text = "Processor time of one step; 0: not limited." },
        { .key = "files", .type = GW_SETTING_INTEGER, .minimum = 8, .maximum = 4096, .value = "64", .text = "Open files." },
        { .key = "file_size",
          .type = GW_SETTING_SIZE,
          .minimum = 0,
          .maximum = 1LL << 31,
          .value = "64M",
          .text = "A file that it writes; 0: not limited." },
        { .key = "output",
          .type = GW_SETTING_SIZE,
          .minimum = 1024,
          .maximum = 64 << 20,
          .value = "1M",
          .text = "Standard output of one step." },
        { .key = NULL },
};

static int start(const struct gw_host *host, void **ret_driver, struct gw_error *err) {
        struct driver *driver = calloc(1, sizeof *driver);

        if (!driver || !host->process) {
                free(driver);
                gw_error_set(err, "plugin-start-failed", "%s", driver ? "this host runs no programs" : "no memory");
                return -ENOMEM;
        }
        driver->host = host;
        *ret_driver = driver;
        return 0;
}

static void stop(void *driver) {
        free(driver);
}

static bool is_known_to_run(const struct gw_host *host, const struct gw_plan_request *request) {
        const struct gw_wanted *wanted = &request->order->wanted[0];
        size_t n_images;
        const struct gw_image *images = host->device->images(request->device, &n_images);

        for (size_t i = 0; i < n_images; i++)
                if ((images[i].flags & GW_IMAGE_ACTIVE) && images[i].image == wanted->image && images[i].hash_size == wanted->hash_size &&
                    memcmp(images[i].hash, wanted->hash, wanted->hash_size) == 0)
                        return true;
        return false;
}

static int plan(void *ctx, const struct gw_plan_request *request, struct gw_plan *ret_plan, struct gw_error *err) {
        const struct gw_host *host = ((const struct driver *) ctx)->host;
        const struct gw_part *part = request->order->wanted[0].part;
        const char *program = host->device->attribute(request->device, "program");
        struct gw_plan result = { .size = sizeof result, .mode = request->order->mode };

        if (!program) {
                gw_error_set(err, "exec-not-found", "no `program` is set in the section of this device");
                return -ENOENT;
        }
        if (request->order->n_wanted != 1) {
                gw_error_set(err, "does-not-fit-device", "a program takes files with one image, this one has %zu",
                             request->order->n_wanted);
                return -EINVAL;
        }
        if (is_known_to_run(host, request)) {
                result.work = GW_PLAN_NOTHING;
        } else {
                result.work = part ? GW_PLAN_UPLOAD : GW_PLAN_ACTIVATE;
                result.upload_bytes = part ? part->size : 0;
        }
        snprintf(result.text, sizeof result.text, "done by %.150s, which decides how", program);
        *ret_plan = result;
        return 0;
}

static const struct gw_driver exec_driver = {
        .name = "exec",
        .summary = "Devices that a program of yours updates",
        .device_settings = device_settings,
        .operations = { [GW_OPERATION_UPDATE] = { steps_update, STEPS_UPDATE_COUNT },
                        [GW_OPERATION_INSPECT] = { steps_inspect, STEPS_LOOK_COUNT },
                        [GW_OPERATION_DIAGNOSE] = { steps_diagnose, STEPS_LOOK_COUNT } },
        .start = start,
        .stop = stop,
        .plan = plan,
        .run_new = run_new,
        .run_stop = run_stop,
        .run_free = run_free,
};

static int load(const struct gw_host *host, void **ret_plugin, struct gw_error *err) {
        int r = host->registry->format(host, &wrapped_format, err);

        if (r == 0)
                r = host->registry->driver(host, &exec_driver, err);
        if (r == 0)
                *ret_plugin = NULL; /* everything belongs to the driver */
        return r;
}

static void unload(void *plugin) {
        (void) plugin;
}

GW_PLUGIN_EXPORT(exec_gw_plugin) = {
        .abi = GW_ABI,
        .size = sizeof(struct gw_plugin),
        .name = "exec",
        .version = GW_VERSION,
        .summary = "Devices that a program updates, for people who do not write C",
        .load = load,
        .unload = unload,
};
