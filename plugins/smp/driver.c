/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <stdlib.h>

#include "ports.h"
#include "radio.h"
#include "run.h"
#include "scan.h"
#include "steps.h"

bool driver_has_run(const struct driver *driver, const char *key) {
        for (const struct smp_run *run = driver->runs; run; run = run->next_run)
                if (strcmp(driver->host->device->key(run->device), key) == 0)
                        return true;
        return false;
}

static int start(const struct gw_host *host, const struct transport *transport, void **ret_driver, struct gw_error *err) {
        struct driver *driver = calloc(1, sizeof *driver);
        int r = driver ? 0 : -ENOMEM;

        if (r == 0) {
                driver->host = host;
                driver->transport = transport;
                if (transport->kind == TRANSPORT_SERIAL)
                        r = ports_new(driver, &driver->ports);
                else if (transport->kind == TRANSPORT_BLE)
                        r = radio_new(driver, &driver->radio);
        }
        if (r < 0) {
                free(driver);
                gw_error_set(err, "plugin-start-failed", "%s: %s", transport->driver, strerror(-r));
                return r;
        }
        *ret_driver = driver;
        return 0;
}

static int start_serial(const struct gw_host *host, void **ret_driver, struct gw_error *err) {
        return start(host, &transport_serial, ret_driver, err);
}

static int start_udp(const struct gw_host *host, void **ret_driver, struct gw_error *err) {
        return start(host, &transport_udp, ret_driver, err);
}

static int start_ble(const struct gw_host *host, void **ret_driver, struct gw_error *err) {
        return start(host, &transport_ble, ret_driver, err);
}

static void stop(void *driver_ctx) {
        struct driver *driver = driver_ctx;

        scan_free(driver->scan);
        ports_free(driver->ports);
        radio_free(driver->radio);
        free(driver);
}

static int scan(void *driver_ctx, int64_t duration_ms, void (*done)(void *ctx), void *ctx, struct gw_error *err) {
        struct driver *driver = driver_ctx;

        if (driver->radio)
                return radio_scan(driver->radio, duration_ms, done, ctx, err);
        return scan_start(driver, duration_ms, done, ctx, err);
}

static int plan(void *driver, const struct gw_plan_request *request, struct gw_plan *ret_plan, struct gw_error *err) {
        return driver_plan(driver, request, ret_plan, err);
}

static int new_run(void *driver, struct gw_run *handle, void **ret_run_ctx, struct gw_error *err) {
        struct smp_run *run;
        int r = run_new(driver, handle, &run, err);

        if (r == 0)
                *ret_run_ctx = run;
        return r;
}

static void stop_run(void *run_ctx, enum gw_stop_reason reason) {
        run_stop(run_ctx, reason);
}

static void free_run(void *run_ctx) {
        run_free(run_ctx);
}

static const char *const formats[] = { "mcuboot", "ncs-zip", NULL };

/* What a driver does not have of its own. */
#define COMMON_MEMBERS                                                                                                                     \
        .operations = {                                                                                                                    \
                [GW_OPERATION_UPDATE] = { steps_update, STEPS_UPDATE_COUNT },                                                              \
                [GW_OPERATION_INSPECT] = { steps_inspect, STEPS_INSPECT_COUNT },                                                           \
                [GW_OPERATION_DIAGNOSE] = { steps_diagnose, STEPS_DIAGNOSE_COUNT },                                                        \
        },                                                                                                                                 \
        .stop = stop, .scan = scan, .plan = plan, .run_new = new_run, .run_stop = stop_run, .run_free = free_run, .formats = formats

const struct gw_driver driver_serial = {
        .name = "smp-serial",
        .summary = "Zephyr devices with MCUmgr (SMP) on a serial port",
        .device_settings = tuning_serial_settings,
        .auto_adopt = true,
        .start = start_serial,
        COMMON_MEMBERS,
};

const struct gw_driver driver_udp = {
        .name = "smp-udp",
        .summary = "Zephyr devices with MCUmgr (SMP) over UDP",
        .device_settings = tuning_udp_settings,
        .start = start_udp,
        COMMON_MEMBERS,
};

const struct gw_driver driver_ble = {
        .name = "smp-ble",
        .summary = "Zephyr devices with MCUmgr (SMP) over Bluetooth LE",
        .device_settings = tuning_ble_settings,
        .start = start_ble,
        COMMON_MEMBERS,
};
