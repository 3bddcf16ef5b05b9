/* SPDX-License-Identifier: Apache-2.0 */
#include "tuning.h"

#include "common/smp/limits.h"

/* clang-format off */
/* Keys of both levels. In a device's section they have no value of their own: then the plugin's counts. */
#define COMMON_SETTINGS(with) \
        { .key = "timeout", .type = GW_SETTING_DURATION, .minimum = 100, .maximum = 60000, .value = with("2500 ms"), \
          .text = "Silence after which a request is sent again. Erasing and long answers have longer times of their own." }, \
        { .key = "resends", .type = GW_SETTING_INTEGER, .minimum = 1, .maximum = 10, .value = with("2"), \
          .text = "How often an unanswered request is sent again before the device counts as silent." }, \
        { .key = "window_max", .type = GW_SETTING_INTEGER, .minimum = 1, .maximum = SMP_WINDOW_MAX, .value = with("16"), \
          .text = "Most upload requests under way at once; the device's own buffer count limits it further." }, \
        { .key = "message_max", .type = GW_SETTING_SIZE, .minimum = 0, .maximum = SMP_MESSAGE_MAX, .value = with("0"), \
          .text = "Most bytes of one message, for firmware that states a larger buffer than it has. 0: as the device says." }, \
        { .key = "return_timeout", .type = GW_SETTING_DURATION, .minimum = 1000, .maximum = 3600000, .value = with("60 s"), \
          .text = "How long a device may be away after a reset, beside the time for exchanging the images." }, \
        { .key = "return_factor_percent", .type = GW_SETTING_INTEGER, .minimum = 0, .maximum = 10000, .value = with("100"), \
          .text = "Share of the estimated exchange time (250 ms for each 4 KiB) that is granted; more for slow external flash." }, \
        { .key = "when_slot_taken", .type = GW_SETTING_ENUM, .choices = "reset|wait", .value = with("reset"), \
          .text = "What to do when another update waits or is on trial on the device: erase or reset it away, or wait until it is gone." }, \
        { .key = "device_checks_version", .type = GW_SETTING_BOOL, .value = with("no"), \
          .text = "Ask the device, too, to refuse a version that is not higher than its own." }, \
        { .key = "not_seen_retry", .type = GW_SETTING_DURATION, .minimum = 1000, .maximum = 86400000, .value = with("30 s"), \
          .text = "How often an absent device is looked for while a job waits for it." }, \
        { .key = "busy_retry", .type = GW_SETTING_DURATION, .minimum = 1000, .maximum = 86400000, .value = with("60 s"), \
          .text = "How often a device is asked again that waits for the end of another update." }

#define OWN_VALUE(text) text
#define NO_VALUE(text) NULL
#define END_OF_SETTINGS { .key = NULL }

const struct gw_setting tuning_plugin_settings[] = {
        COMMON_SETTINGS(OWN_VALUE),
        { .key = "baud", .type = GW_SETTING_INTEGER, .minimum = 1200, .maximum = 4000000, .value = "115200",
          .text = "Speed of serial ports whose device names none, and of a scan." },
        { .key = "ble_names", .type = GW_SETTING_LIST,
          .text = "Bluetooth devices with these names (globs) count as SMP devices although they do not advertise the service." },
        { .key = "ble_listen", .type = GW_SETTING_ENUM, .choices = "adopted|always", .value = "adopted",
          .text = "When to listen for Bluetooth devices: as soon as one is adopted or looked for, or always." },
        END_OF_SETTINGS,
};

const struct gw_setting tuning_serial_settings[] = {
        COMMON_SETTINGS(NO_VALUE),
        { .key = "port", .type = GW_SETTING_STRING,
          .text = "Path of the tty, or the key of a USB port (serial number and interface). Absent: the port with the device's key, else its "
                  "address." },
        { .key = "baud", .type = GW_SETTING_INTEGER, .minimum = 1200, .maximum = 4000000, .text = "Speed of the serial port." },
        { .key = "flow_control", .type = GW_SETTING_BOOL, .value = "no", .text = "RTS/CTS flow control." },
        { .key = "quiet_after_reset", .type = GW_SETTING_DURATION, .minimum = 0, .maximum = 600000, .value = "1500 ms",
          .text = "Nothing is sent for so long after a reset: MCUboot's serial recovery may stay when it hears a request while it starts." },
        END_OF_SETTINGS,
};

const struct gw_setting tuning_udp_settings[] = {
        COMMON_SETTINGS(NO_VALUE),
        { .key = "quiet_after_reset", .type = GW_SETTING_DURATION, .minimum = 0, .maximum = 600000, .value = "500 ms",
          .text = "Nothing is sent for so long after a reset." },
        END_OF_SETTINGS,
};

const struct gw_setting tuning_ble_settings[] = {
        COMMON_SETTINGS(NO_VALUE),
        { .key = "quiet_after_reset", .type = GW_SETTING_DURATION, .minimum = 0, .maximum = 600000, .value = "1 s",
          .text = "What the device advertises so shortly after a reset does not count: it may not be down yet." },
        END_OF_SETTINGS,
};

/* clang-format on */

/* The device's own value where its section gives one, else the plugin's. */
static const char *text_of(const struct gw_host *host, const struct gw_device *device, const char *key) {
        const char *text = device ? host->device->attribute(device, key) : NULL;

        return text ? text : host->settings_ops->get(host->settings, key);
}

static int64_t number_of(const struct gw_host *host, const struct gw_device *device, const char *key) {
        if (device && host->device->attribute(device, key))
                return host->device->attribute_number(device, key);
        return host->settings_ops->get_number(host->settings, key);
}

void tuning_read(const struct gw_host *host, const struct gw_device *device, enum transport_kind kind, struct tuning *ret_tuning) {
        struct tuning tuning = {
                .timeout_ms = (uint32_t) number_of(host, device, "timeout"),
                .resends = (uint8_t) number_of(host, device, "resends"),
                .window_max = (uint32_t) number_of(host, device, "window_max"),
                .message_max = (size_t) number_of(host, device, "message_max"),
                .return_timeout_ms = number_of(host, device, "return_timeout"),
                .return_factor_percent = number_of(host, device, "return_factor_percent"),
                .not_seen_retry_ms = number_of(host, device, "not_seen_retry"),
                .busy_retry_ms = number_of(host, device, "busy_retry"),
                .wait_when_slot_taken = strcmp(text_of(host, device, "when_slot_taken"), "wait") == 0,
                .device_checks_version = number_of(host, device, "device_checks_version"),
                .baud = (uint32_t) number_of(host, kind == TRANSPORT_SERIAL ? device : NULL, "baud"),
        };

        if (device) {
                tuning.quiet_after_reset_ms = host->device->attribute_number(device, "quiet_after_reset");
                tuning.hardware_flow = kind == TRANSPORT_SERIAL && host->device->attribute_number(device, "flow_control");
        }
        *ret_tuning = tuning;
}
