/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The settings of the plugin and of its devices. Most keys stand in both tables: `[plugin smp]` gives the value for all devices,
 * `[device NAME]` another one for a single device.
 */

#include <gatewayd/plugin.h>

extern const struct gw_setting tuning_plugin_settings[];
extern const struct gw_setting tuning_serial_settings[];
extern const struct gw_setting tuning_udp_settings[];
extern const struct gw_setting tuning_ble_settings[];

enum transport_kind {
        TRANSPORT_SERIAL,
        TRANSPORT_UDP,
        TRANSPORT_BLE,
};

struct tuning {
        uint32_t timeout_ms; /* silence after which an ordinary request is sent again */
        uint8_t resends;
        uint32_t window_max;
        size_t message_max;        /* bytes, 0 = as the device says */
        int64_t return_timeout_ms; /* after a reset, beside what the exchange of the images takes */
        int64_t return_factor_percent;
        int64_t quiet_after_reset_ms; /* nothing is sent: a bootloader that hears something may stay */
        int64_t not_seen_retry_ms;
        int64_t busy_retry_ms;
        bool wait_when_slot_taken;
        bool device_checks_version;
        uint32_t baud; /* serial only */
        bool hardware_flow;
};

/* `device` NULL: for a port that is no device yet. `kind`: which driver's table the device has. */
void tuning_read(const struct gw_host *host, const struct gw_device *device, enum transport_kind kind, struct tuning *ret_tuning);
