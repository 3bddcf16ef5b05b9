/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/objects.h"

#include <setjmp.h>

#include <cmocka.h>

#include "base/str.h"

#define ADAPTER "/org/bluez/hci0"

struct counts {
        size_t n_adapters, n_devices, n_attributes;
};

static void nothing_changed(void *ctx, struct adapter *adapter) {
        (void) ctx;
        (void) adapter;
}

static void adapter_gone(void *ctx, struct adapter *adapter) {
        (void) adapter;
        ((struct counts *) ctx)->n_adapters++;
}

static void device_changed(void *ctx, struct device *device, uint32_t changes) {
        (void) ctx;
        (void) device;
        (void) changes;
}

static void device_gone(void *ctx, struct device *device) {
        (void) device;
        ((struct counts *) ctx)->n_devices++;
}

static void attribute_gone(void *ctx, struct device *device, const struct attribute *attribute) {
        (void) device;
        (void) attribute;
        ((struct counts *) ctx)->n_attributes++;
}

static const struct objects_hooks hooks = { nothing_changed, adapter_gone, device_changed, device_gone, attribute_gone };

static void device_path(char *path, const char *adapter, unsigned number) {
        str_format(path, BLE_PATH_MAX, "%s/dev_C0_00_00_00_%02X_%02X", adapter, number >> 8, number & 255);
}

static void test_limits(void **state) {
        struct counts counts = { 0 };
        struct objects objects;
        struct adapter *adapter;
        struct device *device;
        struct attribute *attribute;
        char path[BLE_PATH_MAX], long_path[300];

        (void) state;
        objects_init(&objects, &hooks, &counts);
        device_path(path, ADAPTER, 1);
        assert_int_equal(objects_device_add(&objects, path, &device), -ENOENT); /* of no adapter that is known */
        for (unsigned i = 0; i < BLE_ADAPTERS_MAX; i++) {
                str_format(path, sizeof path, "/org/bluez/hci%u", i);
                assert_int_equal(objects_adapter_add(&objects, path, &adapter), 0);
        }
        assert_int_equal(objects_adapter_add(&objects, "/org/bluez/hci99", &adapter), -ENOSPC);
        for (unsigned i = 0; i < BLE_DEVICES_MAX; i++) {
                device_path(path, ADAPTER, i);
                assert_int_equal(objects_device_add(&objects, path, &device), 0);
        }
        device_path(path, ADAPTER, BLE_DEVICES_MAX);
        assert_int_equal(objects_device_add(&objects, path, &device), -ENOSPC);
        assert_int_equal(objects.n_dropped, 1);
        for (unsigned i = 0; i < BLE_ATTRIBUTES_MAX; i++) {
                str_format(path, sizeof path, "%s/service%04x", device->path, i);
                assert_int_equal(objects_attribute_add(device, path, true, &attribute), 0);
        }
        assert_int_equal(objects_attribute_add(device, "/x", true, &attribute), -ENOSPC);
        memset(long_path, 'x', sizeof long_path);
        memcpy(long_path, ADAPTER "/dev_", sizeof ADAPTER "/dev_" - 1);
        long_path[sizeof long_path - 1] = '\0';
        device_path(path, ADAPTER, 7);
        objects_device_remove(&objects, objects_device(&objects, path));
        assert_int_equal(objects_device_add(&objects, long_path, &device), -ENAMETOOLONG);
        objects_clear(&objects);
        assert_int_equal(counts.n_adapters, BLE_ADAPTERS_MAX);
        assert_int_equal(counts.n_devices, BLE_DEVICES_MAX);
}

/* "hci1" is not the adapter of what is below "hci10". */
static void test_adapters_with_like_names(void **state) {
        struct counts counts = { 0 };
        struct objects objects;
        struct adapter *one, *ten;
        struct device *device;
        char path[BLE_PATH_MAX];

        (void) state;
        objects_init(&objects, &hooks, &counts);
        assert_int_equal(objects_adapter_add(&objects, "/org/bluez/hci1", &one), 0);
        assert_int_equal(objects_adapter_add(&objects, "/org/bluez/hci10", &ten), 0);
        device_path(path, "/org/bluez/hci10", 1);
        assert_int_equal(objects_device_add(&objects, path, &device), 0);
        assert_ptr_equal(device->adapter, ten);
        objects_adapter_remove(&objects, one);
        assert_int_equal(counts.n_devices, 0);
        objects_adapter_remove(&objects, ten);
        assert_int_equal(counts.n_devices, 1);
        objects_clear(&objects);
}

static struct attribute *add(struct device *device, const char *below, const char *uuid, bool is_service) {
        struct attribute *attribute;
        char path[BLE_PATH_MAX];

        str_format(path, sizeof path, "%s/%s", device->path, below);
        assert_int_equal(objects_attribute_add(device, path, is_service, &attribute), 0);
        str_copy(attribute->uuid, sizeof attribute->uuid, uuid);
        return attribute;
}

/* In the order of their handles, whatever the order in which they are told; the first of a UUID counts. */
static void test_services(void **state) {
        struct counts counts = { 0 };
        struct objects objects;
        struct adapter *adapter;
        struct device *device;
        struct attribute *first, *second, *service;
        char path[BLE_PATH_MAX];

        (void) state;
        objects_init(&objects, &hooks, &counts);
        assert_int_equal(objects_adapter_add(&objects, ADAPTER, &adapter), 0);
        device_path(path, ADAPTER, 1);
        assert_int_equal(objects_device_add(&objects, path, &device), 0);
        second = add(device, "service0020/char0021", "battery", false);
        first = add(device, "service0010/char0011", "battery", false);
        add(device, "service0020", "two", true);
        service = add(device, "service0010", "one", true);
        assert_ptr_equal(device_characteristic(device, "battery"), first);
        assert_ptr_equal(device_service_of(device, first), service);
        assert_ptr_equal(device_service(device, "two"), device_service_of(device, second));
        assert_null(device_service(device, "battery"));
        assert_ptr_equal(objects_device_above(&objects, first->path), device);
        assert_null(objects_device_above(&objects, device->path));
        objects_attribute_remove(&objects, device, first);
        assert_int_equal(counts.n_attributes, 1);
        assert_ptr_equal(device_characteristic(device, "battery"), second);
        objects_clear(&objects);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_adapters_with_like_names),
                cmocka_unit_test(test_services),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
