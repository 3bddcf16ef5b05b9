/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For the tests of this folder: a store in a directory of its own, two drivers, a clock that moves when told, and a fleet on them.
 * Everything asserts.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fleet/fleet.h"
#include "fleet/fleet_internal.h"
#include "store/store.h"
#include "trust/digest.h"

#define TEST_NOW_MS INT64_C(1795219200000)

static const struct gw_setting test_driver_settings[] = {
        {.key = "baud", .type = GW_SETTING_INTEGER, .minimum = 1200, .maximum = 4000000, .value = "115200", .text = "Speed."},
        {.key = "port", .type = GW_SETTING_STRING, .text = "Port."},
        {.key = NULL},
};
static const struct gw_driver test_udp = {.name = "smp-udp", .device_settings = test_driver_settings};
static const struct gw_driver test_serial = {.name = "smp-serial", .auto_adopt = true};

struct fixture {
        char directory[64];
        char path[96];
        char list_path[96];
        struct loop *loop;
        struct store *store;
        struct driver_registry *registry;
        struct settings *settings;
        struct clock_fake clock;
        struct fleet *fleet;
};

static inline struct settings *fixture_parse_settings(const char *text) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        struct settings *settings = NULL;

        assert_int_equal(settings_parse("test.conf", text, strlen(text), &errors, &settings), 0);
        config_errors_print(&errors, stderr);
        assert_false(config_errors_any(&errors));
        return settings;
}

static inline void fixture_open_store(struct fixture *fixture) {
        const struct store_options options = {.path = fixture->path, .now_wall_ms = TEST_NOW_MS, .sha256 = digest_sha256};

        assert_int_equal(store_open(NULL, &options, &fixture->store, NULL), 0);
}

static inline int fixture_try_fleet(struct fixture *fixture, const char *settings, struct gw_error *err) {
        settings_free(fixture->settings);
        fixture->settings = fixture_parse_settings(settings);
        const struct fleet_options options = {
                .loop = fixture->loop,
                .store = fixture->store,
                .settings = fixture->settings,
                .registry = fixture->registry,
                .clock = &fixture->clock.clock,
        };
        return fleet_new(&options, &fixture->fleet, err);
}

/* A fleet under these settings; the one before ends as in a restart of the daemon. */
static inline struct fleet *fixture_fleet(struct fixture *fixture, const char *settings) {
        struct gw_error err = {.name = ""};

        fleet_free(fixture->fleet);
        fixture->fleet = NULL;
        if (fixture_try_fleet(fixture, settings, &err) < 0)
                fail_msg("%s: %s", err.name, err.text);
        return fixture->fleet;
}

static inline int fixture_setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        strcpy(fixture->directory, "/tmp/gatewayd-fleet.XXXXXX");
        assert_non_null(mkdtemp(fixture->directory));
        snprintf(fixture->path, sizeof(fixture->path), "%s/" STORE_FILE, fixture->directory);
        snprintf(fixture->list_path, sizeof(fixture->list_path), "%s/list.csv", fixture->directory);
        fixture_open_store(fixture);
        clock_fake_init(&fixture->clock, 1000, TEST_NOW_MS);
        assert_int_equal(driver_registry_new(&fixture->registry), 0);
        assert_int_equal(driver_registry_add(fixture->registry, &test_udp, NULL, NULL), 0);
        assert_int_equal(driver_registry_add(fixture->registry, &test_serial, NULL, NULL), 0);
        *state = fixture;
        return 0;
}

static inline int fixture_teardown(void **state) {
        static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
        struct fixture *fixture = *state;
        char path[128];

        fleet_free(fixture->fleet);
        settings_free(fixture->settings);
        driver_registry_free(fixture->registry);
        store_free(fixture->store);
        loop_free(fixture->loop);
        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
                snprintf(path, sizeof(path), "%s%s", fixture->path, suffixes[i]);
                unlink(path);
        }
        unlink(fixture->list_path);
        assert_int_equal(rmdir(fixture->directory), 0);
        free(fixture);
        return 0;
}

#define FLEET_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
