/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/smp/ble.h"
#include "identity.h"

static void test_next_key(void **state) {
        static const struct {
                const char *key, *next;
        } rows[] = {
                { "DE063B974CD8", "DE063B974CD9" },
                { "DE063B974CFE", "DE063B974CFF" },
                { "E8063B9778FF", "E8063B977800" }, /* without carry */
                { "FFFFFFFFFFFF", "FFFFFFFFFF00" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                char next[GW_GATT_KEY_SIZE];

                identity_next_key(rows[i].key, next);
                assert_string_equal(next, rows[i].next);
        }
}

static void test_may_be(void **state) {
        static const struct {
                const char *what, *peer_key, *peer_name;
                bool smp, alone, known;
                int64_t first_heard_ms;
                bool may_be;
                bool restarted;
        } rows[] = {
                { "the next address", "DE063B974CD9", "boot", true, false, false, 1500, true, false },
                { "the next address, heard before the reset", "DE063B974CD9", "boot", true, true, false, 500, false, false },
                { "the next address, another device of ours", "DE063B974CD9", "boot", true, true, true, 1500, false, false },
                { "the next address, without SMP", "DE063B974CD9", "boot", false, true, false, 1500, false, false },
                { "any address, same name", "C00000000001", "sensor", true, true, false, 1500, true, false },
                { "any address, same name, the name alone", "C00000000001", "sensor", false, true, false, 1500, true, false },
                { "any address, same name, others are away, too", "C00000000001", "sensor", true, false, false, 1500, false, false },
                { "any address, same name, the neighbour's", "C00000000001", "sensor", true, true, false, 500, false, false },
                { "any address, another name", "C00000000001", "lamp", true, true, false, 1500, false, false },
                { "any address, no name", "C00000000001", NULL, true, true, false, 1500, false, false },
                { "the next address, after a restart", "DE063B974CD9", "boot", true, false, false, 500, true, true },
                { "the next address, after a restart, another device of ours", "DE063B974CD9", "boot", true, false, true, 500, false, true },
                { "any address, same name, after a restart", "C00000000001", "sensor", true, true, false, 1500, false, true },
        };
        static const char *const smp[] = { SMP_BLE_SERVICE };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                const struct gw_gatt_peer peer = { .key = rows[i].peer_key, .name = rows[i].peer_name, .services = smp, .n_services = rows[i].smp };
                const struct identity_question question = {
                        .key = "DE063B974CD8",
                        .name = "sensor",
                        .alone = rows[i].alone,
                        .away_since_ms = rows[i].restarted ? 0 : 1000,
                        .peer = &peer,
                        .peer_first_heard_ms = rows[i].first_heard_ms,
                        .peer_is_known = rows[i].known,
                };

                if (identity_may_be(&question) != rows[i].may_be)
                        fail_msg("%s", rows[i].what);
        }
}

/* It changes by itself: whoever has it now, nobody finds the device there again. */
static void test_private_address(void **state) {
        static const char *const smp[] = { SMP_BLE_SERVICE };

        (void) state;
        for (enum gw_gatt_address_kind kind = GW_GATT_ADDRESS_PUBLIC; kind <= GW_GATT_ADDRESS_PRIVATE; kind++) {
                const struct gw_gatt_peer peer = {
                        .key = "DE063B974CD9", .address_kind = kind, .name = "sensor", .services = smp, .n_services = 1
                };
                const struct identity_question question = {
                        .key = "DE063B974CD8",
                        .name = "sensor",
                        .alone = true,
                        .away_since_ms = 1000,
                        .peer = &peer,
                        .peer_first_heard_ms = 1500,
                };

                assert_int_equal(identity_may_be(&question), kind != GW_GATT_ADDRESS_PRIVATE);
        }
}

static void test_serial_match(void **state) {
        static const struct {
                struct identity_serial known, stated;
                enum identity_serial_match match;
        } rows[] = {
                { { "SN1", NULL }, { "SN1", "" }, IDENTITY_SERIAL_SAME },
                { { "SN1", NULL }, { "SN2", "" }, IDENTITY_SERIAL_OTHER },
                { { NULL, "SN1" }, { "", "SN1" }, IDENTITY_SERIAL_SAME },
                { { NULL, "SN1" }, { "", "SN2" }, IDENTITY_SERIAL_OTHER },
                { { "SN1", "M1" }, { "SN1", "M2" }, IDENTITY_SERIAL_OTHER },
                { { "SN1", "M1" }, { "SN1", "" }, IDENTITY_SERIAL_SAME },
                { { "SN1", NULL }, { "", "SN1" }, IDENTITY_SERIAL_UNKNOWN },
                { { NULL, NULL }, { "SN1", "M1" }, IDENTITY_SERIAL_UNKNOWN },
                { { "SN1", "M1" }, { "", "" }, IDENTITY_SERIAL_UNKNOWN },
                { { "", "" }, { "", "" }, IDENTITY_SERIAL_UNKNOWN },
                { { "00000000", NULL }, { "00000000", "" }, IDENTITY_SERIAL_UNKNOWN }, /* as on every device of that firmware */
                { { "zephyr serial", "M1" }, { "zephyr serial", "M1" }, IDENTITY_SERIAL_SAME },
                { { "00000000", NULL }, { "SN1", "" }, IDENTITY_SERIAL_OTHER },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
                assert_int_equal(identity_serial_match(&rows[i].known, &rows[i].stated), rows[i].match);
}

static void test_is_smp(void **state) {
        static const char *const smp[] = { "0000180f-0000-1000-8000-00805f9b34fb", SMP_BLE_SERVICE };
        static const struct {
                size_t n_services;
                const char *name, *globs;
                bool is_smp;
        } rows[] = {
                { 2, NULL, NULL, true },          { 1, "sensor", NULL, false },       { 1, "sensor", "", false },
                { 1, "sensor-7", "sensor-*", true }, { 1, "lamp", "sensor-*, la?p", true }, { 1, NULL, "*", false },
                { 0, "sensor", "  ,sens*", true }, { 0, "sensor", "lamp", false },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                const struct gw_gatt_peer peer = { .key = "DE063B974CD8", .name = rows[i].name, .services = smp, .n_services = rows[i].n_services };

                assert_int_equal(identity_is_smp(&peer, rows[i].globs), rows[i].is_smp);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_next_key),     cmocka_unit_test(test_may_be), cmocka_unit_test(test_private_address),
                cmocka_unit_test(test_serial_match), cmocka_unit_test(test_is_smp),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
