/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/address.h"

#include <setjmp.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void test_keys(void **state) {
        char key[GW_GATT_KEY_SIZE], address[BLE_ADDRESS_SIZE];

        (void) state;
        assert_int_equal(ble_key_from_address("de:06:3B:97:4c:d8", key), 0);
        assert_string_equal(key, "DE063B974CD8");
        ble_address_from_key(key, address);
        assert_string_equal(address, "DE:06:3B:97:4C:D8");
        assert_int_equal(ble_key_from_address("DE:06:3B:97:4C", key), -EINVAL);
        assert_int_equal(ble_key_from_address("DE-06-3B-97-4C-D8", key), -EINVAL);
        assert_int_equal(ble_key_from_address("DE:06:3B:97:4C:DX", key), -EINVAL);
        assert_true(ble_is_key("DE063B974CD8"));
        assert_false(ble_is_key("de063b974cd8"));
        assert_false(ble_is_key("DE063B974CD80"));
        assert_false(ble_is_key(NULL));
}

static void test_kinds(void **state) {
        static const struct {
                const char *key, *type;
                enum gw_gatt_address_kind kind;
        } rows[] = {
                { "DE063B974CD8", "public", GW_GATT_ADDRESS_PUBLIC },  { "00063B974CD8", "public", GW_GATT_ADDRESS_PUBLIC },
                { "C0063B974CD8", "random", GW_GATT_ADDRESS_STATIC },  { "FF063B974CD8", "random", GW_GATT_ADDRESS_STATIC },
                { "40063B974CD8", "random", GW_GATT_ADDRESS_PRIVATE }, { "7F063B974CD8", "random", GW_GATT_ADDRESS_PRIVATE },
                { "3F063B974CD8", "random", GW_GATT_ADDRESS_PRIVATE }, { "00063B974CD8", "random", GW_GATT_ADDRESS_PRIVATE },
                { "BF063B974CD8", "random", GW_GATT_ADDRESS_PRIVATE },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(ble_address_kind(rows[i].key, rows[i].type), rows[i].kind);
}

static void test_uuids(void **state) {
        char uuid[GW_GATT_UUID_SIZE];

        (void) state;
        assert_int_equal(ble_uuid_normalize("8D53DC1D-1DB7-4CD3-868B-8A527460AA84", uuid), 0);
        assert_string_equal(uuid, "8d53dc1d-1db7-4cd3-868b-8a527460aa84");
        assert_int_equal(ble_uuid_normalize("0x2A19", uuid), 0);
        assert_string_equal(uuid, "00002a19-0000-1000-8000-00805f9b34fb");
        assert_int_equal(ble_uuid_normalize("fe59", uuid), 0);
        assert_string_equal(uuid, "0000fe59-0000-1000-8000-00805f9b34fb");
        assert_int_equal(ble_uuid_normalize("8d53dc1d1db74cd3868b8a527460aa84", uuid), -EINVAL);
        assert_int_equal(ble_uuid_normalize("xyz1", uuid), -EINVAL);
        assert_int_equal(ble_uuid_normalize("", uuid), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_keys),
                cmocka_unit_test(test_kinds),
                cmocka_unit_test(test_uuids),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
