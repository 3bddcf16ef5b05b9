/* SPDX-License-Identifier: Apache-2.0 */

/* Prints device_describe() of devices in all their states, one a line, for test_device.py. */

#include <stdio.h>

#include "fleet/device.h"

static int print(const struct gw_device *device) {
        _cleanup_json_ struct json *json = NULL;
        _cleanup_free_ char *text = NULL;

        if (device_describe(device, &json) < 0 || json_write(json, &text, NULL) < 0)
                return 1;
        puts(text);
        return 0;
}

int main(void) {
        struct gw_image images[] = {
                {.image = 0,
                 .slot = 0,
                 .hash_size = 32,
                 .flags = GW_IMAGE_ACTIVE | GW_IMAGE_CONFIRMED | GW_IMAGE_BOOTABLE,
                 .version = "1.4.0",
                 .slot_size = 491520},
                {.image = 1, .slot = 1, .hash_size = 64, .flags = GW_IMAGE_PENDING | GW_IMAGE_PERMANENT, .version = "<???\?>"},
                {.image = 0, .slot = 1},
        };
        struct device_attribute attributes[] = {{(char *) "bootloader", (char *) "MCUboot"}, {(char *) "buffer_bytes", (char *) "2475"}};
        char *labels[] = {(char *) "sensor", (char *) "ground.floor"};
        struct gw_device device = {
                .id = "smp-udp:kitchen",
                .driver = "smp-udp",
                .rssi_dbm = GW_RSSI_UNKNOWN,
                .battery_percent = GW_BATTERY_UNKNOWN,
        };
        int failed;

        device.key = device.id + strlen("smp-udp:");
        failed = print(&device); /* configured or listed, never heard */
        device.present = true;
        device.first_seen_ms = device.last_seen_ms = 1795219200250;
        device.images_known = true;
        failed |= print(&device); /* discovered, holds nothing */
        device.adopted = true;
        device.name_adopted = (char *) "Küche, links";
        device.model_stated = (char *) "acme,sensor-r2";
        device.model_adopted = (char *) "acme,sensor-r3";
        device.address_adopted = (char *) "192.0.2.7:1337";
        device.address_seen = (char *) "[2001:db8::7]:1337";
        device.version = (char *) "1.4.0+7";
        device.labels_adopted = (struct str_list){labels, 2};
        device.images = images;
        device.n_images = ARRAY_SIZE(images);
        device.attributes = attributes;
        device.n_attributes = ARRAY_SIZE(attributes);
        device.rssi_dbm = -67;
        device.battery_percent = 0;
        failed |= print(&device); /* models differ */
        device.model_adopted = NULL;
        device.configured = true;
        device.last_job_id = 7;
        device.last_result = (char *) "failed";
        device.last_error = (char *) "smp-image-reverted";
        device.last_result_ms = 1795219200000;
        failed |= print(&device);
        device.last_result = (char *) "sent-unproven";
        device.last_error = NULL;
        failed |= print(&device);
        return failed;
}
