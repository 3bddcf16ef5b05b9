/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fleet.h"

#include <errno.h>

#include "fleet/test_support.h"

#define MINUTE_MS 60000

static struct gw_device *heard(struct fixture *fixture, const char *driver, const char *key, const char *version) {
        struct gw_facts facts = GW_FACTS_INIT;
        char id[STR_DEVICE_ID_SIZE];

        facts.version = version;
        assert_int_equal(fleet_seen(fixture->fleet, driver, key, &facts), 0);
        str_format(id, sizeof(id), "%s:%s", driver, key);
        return fleet_find(fixture->fleet, id);
}

static int64_t last_seen_of_row(struct fixture *fixture, const char *id) {
        _cleanup_device_row_ struct device_row row = {0};

        return device_table_fetch(fixture->store, id, &row) < 0 ? -1 : row.last_seen_ms;
}

/* What listeners heard, as letters: S seen, C changed, A adopted, G gone, F forgotten. */
struct log {
        char letters[64];
        struct fleet *fleet;
        bool forgets;
};

static void on_event(void *ctx, struct gw_device *device, enum fleet_event event) {
        struct log *log = ctx;
        size_t n = strlen(log->letters);

        if (n < sizeof(log->letters) - 1)
                log->letters[n] = "SCAGF"[event];
        if (log->forgets && event == FLEET_EVENT_CHANGED)
                assert_int_equal(fleet_forget(log->fleet, device->id, NULL), -EBUSY);
}

static void assert_log(struct log *log, const char *expected) {
        assert_string_equal(log->letters, expected);
        memset(log->letters, 0, sizeof(log->letters));
}

/* --- seen, gone, learned --- */

static void test_discovery(void **state) {
        struct fixture *fixture = *state;
        struct log log = {.letters = ""};
        struct gw_device *device;
        struct gw_facts facts = GW_FACTS_INIT;

        fixture_fleet(fixture, "");
        assert_int_equal(fleet_listen(fixture->fleet, on_event, &log), 0);
        device = heard(fixture, "smp-udp", "a", "1.0.0");
        assert_log(&log, "CS");
        assert_false(device->adopted);
        assert_true(device->present);
        assert_int_equal(device->first_seen_ms, TEST_NOW_MS);
        clock_fake_advance(&fixture->clock, 5);
        assert_ptr_equal(heard(fixture, "smp-udp", "a", "1.0.0"), device);
        assert_log(&log, "S");
        assert_int_equal(device->first_seen_ms, TEST_NOW_MS);
        assert_int_equal(device->last_seen_ms, TEST_NOW_MS + 5);
        heard(fixture, "smp-udp", "a", "1.0.1");
        assert_log(&log, "CS");
        heard(fixture, "smp-udp", "a", NULL);
        assert_string_equal(device->version, "1.0.1");
        assert_log(&log, "S");
        facts.rssi_dbm = -50;
        assert_int_equal(fleet_learned(fixture->fleet, device, &facts), 0);
        assert_log(&log, "S");
        assert_int_equal(device->rssi_dbm, -50);
        fleet_gone(fixture->fleet, "smp-udp", "a");
        fleet_gone(fixture->fleet, "smp-udp", "a");
        fleet_gone(fixture->fleet, "smp-udp", "nobody");
        assert_log(&log, "G");
        assert_false(device->present);
        fleet_unlisten(fixture->fleet, on_event, &log);
        heard(fixture, "smp-udp", "a", "2.0.0");
        assert_log(&log, "");
}

static void test_refused_names(void **state) {
        struct fixture *fixture = *state;

        fixture_fleet(fixture, "");
        assert_int_equal(fleet_seen(fixture->fleet, "nobody", "a", NULL), -EINVAL);
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "", NULL), -EINVAL);
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "a b", NULL), -EINVAL);
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "..", NULL), -EINVAL);
        assert_int_equal(fleet_count(fixture->fleet).n_devices, 0);
}

static void test_auto_adopt(void **state) {
        struct fixture *fixture = *state;

        fixture_fleet(fixture, "");
        assert_true(heard(fixture, "smp-serial", "a", NULL)->adopted);
        assert_false(heard(fixture, "smp-udp", "a", NULL)->adopted);
        fixture_fleet(fixture, "[gateway]\nauto_adopt = none\n");
        assert_false(heard(fixture, "smp-serial", "b", NULL)->adopted);
        assert_true(heard(fixture, "smp-serial", "a", NULL)->adopted);
        /* Switched on, it takes those that were discovered before. */
        fixture_fleet(fixture, "[gateway]\nauto_adopt = smp-udp\n");
        assert_true(fleet_find(fixture->fleet, "smp-udp:a")->adopted);
        assert_false(fleet_find(fixture->fleet, "smp-serial:b")->adopted);
        fixture_fleet(fixture, "");
        assert_true(fleet_find(fixture->fleet, "smp-udp:a")->adopted);
}

/* Nobody would know it again: neither by itself nor by a person. Once it shows its identity, it is a device as any other. */
static void test_private_address(void **state) {
        struct fixture *fixture = *state;
        struct gw_attribute attribute = {"address_type", "private"};
        const struct fleet_statement statement = {.name = "Kitchen"};
        struct gw_facts facts = GW_FACTS_INIT;
        struct gw_error err = {0};

        facts.attributes = &attribute;
        facts.n_attributes = 1;
        fixture_fleet(fixture, "[gateway]\nauto_adopt = smp-udp\n");
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "4A0000000001", &facts), 0);
        assert_false(fleet_find(fixture->fleet, "smp-udp:4A0000000001")->adopted);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:4A0000000001", &statement, NULL, &err), -EPERM);
        assert_string_equal(err.name, "private-address");
        assert_false(fleet_find(fixture->fleet, "smp-udp:4A0000000001")->adopted);
        attribute.value = "random";
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "DE063B974CD8", &facts), 0);
        assert_true(fleet_find(fixture->fleet, "smp-udp:DE063B974CD8")->adopted);
}

/* --- rows --- */

static void test_everything_comes_back(void **state) {
        struct fixture *fixture = *state;
        const struct gw_image image = {
                .image = 1, .slot = 1, .hash_size = 32, .hash = {1, 2, 3}, .flags = GW_IMAGE_PENDING, .version = "1.1.0", .slot_size = 9};
        const struct gw_attribute attribute = {"bootloader", "MCUboot"};
        char *label = (char[]){"sensor"};
        const struct str_list labels = {.items = &label, .n_items = 1};
        const struct fleet_statement statement = {.name = "Kitchen", .model = "acme,r2", .address = "192.0.2.1:1", .labels = &labels};
        const struct fleet_job_result result = {.job_id = 3, .result = "updated", .time_ms = TEST_NOW_MS};
        struct gw_facts facts = GW_FACTS_INIT;
        _cleanup_json_ struct json *before = NULL, *after = NULL;
        struct gw_device *device;

        facts.name = "Zephyr";
        facts.version = "1.0.0";
        facts.model = "acme,r2";
        facts.address = "192.0.2.7:1337";
        facts.images = &image;
        facts.n_images = 1;
        facts.attributes = &attribute;
        facts.n_attributes = 1;
        facts.rssi_dbm = -70;
        facts.battery_percent = 44;
        fixture_fleet(fixture, "");
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "a", &facts), 0);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:a", &statement, &device, NULL), 0);
        assert_int_equal(fleet_result(fixture->fleet, device, &result), 0);
        fleet_gone(fixture->fleet, "smp-udp", "a");
        assert_int_equal(device_describe(device, &before), 0);
        fixture_fleet(fixture, "");
        device = fleet_find(fixture->fleet, "smp-udp:a");
        assert_string_equal(device->name_stated, "Zephyr");
        assert_memory_equal(device->images[0].hash, image.hash, 32);
        assert_int_equal(device_describe(device, &after), 0);
        assert_true(json_equal(before, after));
}

/* Facts are written at once; being heard again costs a row a minute at most. */
static void test_rows_are_written_sparingly(void **state) {
        struct fixture *fixture = *state;

        fixture_fleet(fixture, "");
        heard(fixture, "smp-udp", "a", "1.0.0");
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:a"), TEST_NOW_MS);
        for (int i = 0; i < 59; i++) {
                clock_fake_advance(&fixture->clock, 1000);
                heard(fixture, "smp-udp", "a", "1.0.0");
                fleet_write_due(fixture->fleet, 100);
        }
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:a"), TEST_NOW_MS);
        clock_fake_advance(&fixture->clock, MINUTE_MS);
        fleet_write_due(fixture->fleet, 100);
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:a"), TEST_NOW_MS + 59000);
        assert_true(list_is_empty(&fixture->fleet->unwritten));
        heard(fixture, "smp-udp", "a", "1.0.1");
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:a"), fixture->clock.now_wall_ms);
        assert_true(list_is_empty(&fixture->fleet->unwritten));
}

/* Battery and attributes wait for their minute, too, but then the whole row is written. */
static void test_small_changes_reach_the_row(void **state) {
        struct fixture *fixture = *state;
        _cleanup_device_row_ struct device_row early = {0}, late = {0};
        struct gw_facts facts = GW_FACTS_INIT;

        fixture_fleet(fixture, "");
        heard(fixture, "smp-udp", "a", "1.0.0");
        facts.battery_percent = 44;
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "a", &facts), 0);
        heard(fixture, "smp-udp", "a", "1.0.0");
        assert_int_equal(device_table_fetch(fixture->store, "smp-udp:a", &early), 0);
        assert_int_equal(early.battery_percent, GW_BATTERY_UNKNOWN);
        clock_fake_advance(&fixture->clock, MINUTE_MS);
        fleet_write_due(fixture->fleet, 100);
        assert_int_equal(device_table_fetch(fixture->store, "smp-udp:a", &late), 0);
        assert_int_equal(late.battery_percent, 44);
}

static void test_rows_are_written_in_portions(void **state) {
        struct fixture *fixture = *state;
        char key[16];

        fixture_fleet(fixture, "");
        for (int round = 0; round < 2; round++)
                for (int i = 0; i < 10; i++) {
                        str_format(key, sizeof(key), "d%d", i);
                        heard(fixture, "smp-udp", key, "1.0.0");
                        clock_fake_advance(&fixture->clock, 1);
                }
        clock_fake_advance(&fixture->clock, MINUTE_MS);
        fleet_write_due(fixture->fleet, 4);
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:d3"), TEST_NOW_MS + 13);
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:d4"), TEST_NOW_MS + 4);
        /* Heard after its row was written it waits its minute again, behind the others. */
        heard(fixture, "smp-udp", "d0", "1.0.0");
        fleet_write_due(fixture->fleet, 100);
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:d9"), TEST_NOW_MS + 19);
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:d0"), TEST_NOW_MS + 10);
        fleet_free(fixture->fleet);
        fixture->fleet = NULL;
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:d0"), fixture->clock.now_wall_ms);
}

/* A timer runs only while a row waits. */
static void test_idle_is_idle(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(loop_new(&fixture->loop), 0);
        fixture_fleet(fixture, "");
        heard(fixture, "smp-udp", "a", "1.0.0");
        assert_null(fixture->fleet->write_timer);
        heard(fixture, "smp-udp", "a", "1.0.0");
        assert_non_null(fixture->fleet->write_timer);
}

/* --- limits --- */

static void test_oldest_discovered_goes(void **state) {
        struct fixture *fixture = *state;
        struct log log = {.letters = ""};
        struct gw_device *held;

        fixture_fleet(fixture, "[limits]\ndevices = 4\n");
        heard(fixture, "smp-udp", "a", NULL);
        heard(fixture, "smp-udp", "b", NULL);
        held = heard(fixture, "smp-udp", "c", NULL);
        fleet_hold(held);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:d", NULL, NULL, NULL), 0);
        heard(fixture, "smp-udp", "a", NULL);
        assert_int_equal(fleet_listen(fixture->fleet, on_event, &log), 0);
        heard(fixture, "smp-udp", "e", NULL);
        assert_log(&log, "FCS");
        assert_null(fleet_find(fixture->fleet, "smp-udp:b"));
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:b"), -1);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:a", NULL, NULL, NULL), 0);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:e", NULL, NULL, NULL), 0);
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "f", NULL), -ENOSPC);
        assert_int_equal(fleet_count(fixture->fleet).n_dropped, 1);
        assert_int_equal(fleet_count(fixture->fleet).n_adopted, 3);
        assert_int_equal(fleet_count(fixture->fleet).n_discovered, 1);
        fleet_release(fixture->fleet, held);
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "f", NULL), 0);
        assert_null(fleet_find(fixture->fleet, "smp-udp:c"));
}

/* Cost of one device does not depend on how many there are: the test ends in time or not at all. */
static void test_ten_thousand(void **state) {
        struct fixture *fixture = *state;
        char key[16];

        fixture_fleet(fixture, "");
        for (int round = 0; round < 20; round++)
                for (int i = 0; i < 10000; i++) {
                        str_format(key, sizeof(key), "device-%d", i);
                        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", key, NULL), 0);
                }
        assert_int_equal(fleet_count(fixture->fleet).n_devices, 10000);
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "one-more", NULL), 0);
        assert_int_equal(fleet_count(fixture->fleet).n_devices, 10000);
        assert_null(fleet_find(fixture->fleet, "smp-udp:device-0"));
        assert_non_null(fleet_find(fixture->fleet, "smp-udp:device-1"));
        fixture_fleet(fixture, "");
        assert_int_equal(fleet_count(fixture->fleet).n_devices, 10000);
        assert_non_null(fleet_find(fixture->fleet, "smp-udp:one-more"));
}

/* --- statements --- */

static void test_adopt_and_set(void **state) {
        struct fixture *fixture = *state;
        const struct fleet_statement first = {.name = "Kitchen", .model = "acme,r2"}, second = {.model = "", .address = "192.0.2.7:1"};
        const struct fleet_statement wrong = {.model = "acme r2"};
        struct log log = {.letters = ""};
        struct gw_device *device = NULL;
        struct gw_error err = {.name = ""};

        fixture_fleet(fixture, "");
        assert_int_equal(fleet_listen(fixture->fleet, on_event, &log), 0);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:a", &first, &device, &err), 0);
        assert_log(&log, "AC");
        assert_true(device->adopted);
        assert_int_equal(device->last_seen_ms, 0);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:a", &first, NULL, NULL), 0);
        assert_log(&log, "");
        assert_int_equal(fleet_set(fixture->fleet, "smp-udp:a", &second, &err), 0);
        assert_log(&log, "C");
        assert_string_equal(device->name_adopted, "Kitchen");
        assert_null(device->model_adopted);
        assert_string_equal(device->address_adopted, "192.0.2.7:1");
        assert_int_equal(fleet_set(fixture->fleet, "smp-udp:a", &wrong, &err), -EINVAL);
        assert_string_equal(err.name, "params-invalid");
        assert_int_equal(fleet_set(fixture->fleet, "smp-udp:b", &first, &err), -ENOENT);
        assert_string_equal(err.name, "device-unknown");
        assert_int_equal(fleet_adopt(fixture->fleet, "nobody:b", NULL, NULL, &err), -ENOENT);
        assert_string_equal(err.name, "driver-unavailable");
        assert_int_equal(fleet_adopt(fixture->fleet, "kitchen", NULL, NULL, &err), -EINVAL);
        assert_string_equal(err.name, "params-invalid");
        assert_int_equal(fleet_count(fixture->fleet).n_devices, 1);
        assert_log(&log, "");
}

static void test_forget(void **state) {
        struct fixture *fixture = *state;
        struct gw_error err = {.name = ""};
        struct gw_device *device;

        fixture_fleet(fixture, "[device k]\ndriver = smp-udp\n");
        device = heard(fixture, "smp-udp", "a", NULL);
        fleet_hold(device);
        assert_int_equal(fleet_forget(fixture->fleet, "smp-udp:a", &err), -EBUSY);
        assert_string_equal(err.name, "device-in-use");
        fleet_release(fixture->fleet, device);
        assert_int_equal(fleet_forget(fixture->fleet, "smp-udp:a", &err), 0);
        assert_null(fleet_find(fixture->fleet, "smp-udp:a"));
        assert_int_equal(last_seen_of_row(fixture, "smp-udp:a"), -1);
        assert_int_equal(fleet_forget(fixture->fleet, "smp-udp:a", &err), -ENOENT);
        assert_int_equal(fleet_forget(fixture->fleet, "smp-udp:k", &err), -EPERM);
        assert_string_equal(err.name, "device-configured");
        assert_false(heard(fixture, "smp-udp", "a", NULL)->adopted);
}

/* A listener that forgets what it is told of does not pull it from under the teller. */
static void test_forget_from_inside(void **state) {
        struct fixture *fixture = *state;
        struct log log = {.forgets = true};

        log.fleet = fixture_fleet(fixture, "");
        assert_int_equal(fleet_listen(fixture->fleet, on_event, &log), 0);
        heard(fixture, "smp-udp", "a", NULL);
        assert_log(&log, "CS");
}

struct walk {
        struct fleet *fleet;
        char ids[128];
};

static void forget_next(void *ctx, struct gw_device *device) {
        struct walk *walk = ctx;

        strcat(walk->ids, device->key);
        if (str_equal(device->key, "a"))
                assert_int_equal(fleet_forget(walk->fleet, "smp-udp:b", NULL), 0);
        if (str_equal(device->key, "c"))
                assert_int_equal(fleet_forget(walk->fleet, "smp-udp:c", NULL), 0);
        assert_string_equal(device->driver, "smp-udp");
}

static void collect(void *ctx, struct gw_device *device) {
        strcat(((struct walk *) ctx)->ids, device->key);
}

static void collect_const(void *ctx, const struct gw_device *device) {
        strcat(((struct walk *) ctx)->ids, device->key);
}

static void test_walks(void **state) {
        struct fixture *fixture = *state;
        struct walk walk = {.fleet = fixture_fleet(fixture, "")};

        heard(fixture, "smp-udp", "d", NULL);
        heard(fixture, "smp-udp", "c", NULL);
        heard(fixture, "smp-udp", "b", NULL);
        heard(fixture, "smp-udp", "a", NULL);
        assert_int_equal(fleet_each(fixture->fleet, forget_next, &walk), 0);
        assert_string_equal(walk.ids, "acd");
        assert_int_equal(fleet_count(fixture->fleet).n_devices, 2);
        walk.ids[0] = '\0';
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:d", &(struct fleet_statement){.name = "attic"}, NULL, NULL), 0);
        assert_int_equal(fleet_match(fixture->fleet, "att*", collect, &walk), 0);
        assert_int_equal(fleet_match(fixture->fleet, "smp-udp:*", collect, &walk), 0);
        assert_int_equal(fleet_match(fixture->fleet, "[a]", collect, &walk), 0);
        assert_string_equal(walk.ids, "dada");
        walk.ids[0] = '\0';
        fleet_each_of_driver(fixture->fleet, "smp-udp", collect_const, &walk);
        fleet_each_of_driver(fixture->fleet, "smp-serial", collect_const, &walk);
        assert_string_equal(walk.ids, "d");
}

static void test_find_by_words(void **state) {
        struct fixture *fixture = *state;
        struct gw_error err = {.name = ""};

        fixture_fleet(fixture, "");
        heard(fixture, "smp-udp", "a", NULL);
        heard(fixture, "smp-serial", "b", NULL);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:a", &(struct fleet_statement){.name = "Kitchen"}, NULL, NULL), 0);
        assert_string_equal(fleet_find_by_words(fixture->fleet, "smp-udp:a", &err)->id, "smp-udp:a");
        assert_string_equal(fleet_find_by_words(fixture->fleet, "Kitchen", &err)->id, "smp-udp:a");
        assert_string_equal(fleet_find_by_words(fixture->fleet, "b", &err)->id, "smp-serial:b");
        assert_null(fleet_find_by_words(fixture->fleet, "kitchen", &err));
        assert_string_equal(err.name, "device-unknown");
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-serial:b", &(struct fleet_statement){.name = "Kitchen"}, NULL, NULL), 0);
        assert_null(fleet_find_by_words(fixture->fleet, "Kitchen", &err));
        assert_string_equal(err.name, "device-ambiguous");
}

/* --- configuration --- */

#define KITCHEN "[device kitchen]\ndriver = smp-udp\naddress = 192.0.2.7:1337\nmodel = acme,r2\nlabels = ground sensor\nbaud = 9600\n"

static void test_configured(void **state) {
        struct fixture *fixture = *state;
        struct gw_facts facts = GW_FACTS_INIT;
        struct gw_device *device;

        fixture_fleet(fixture, KITCHEN);
        device = fleet_find(fixture->fleet, "smp-udp:kitchen");
        assert_true(device->configured && device->adopted && !device->present);
        assert_string_equal(device_address(device), "192.0.2.7:1337");
        assert_string_equal(device_model(device, NULL), "acme,r2");
        assert_true(device_has_label(device, "ground"));
        assert_int_equal(device_attribute_number(device, "baud"), 9600);
        facts.address = "192.0.2.8:1";
        facts.model = "acme,r3";
        facts.name = "Zephyr";
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", "kitchen", &facts), 0);
        assert_string_equal(device_address(device), "192.0.2.7:1337");
        assert_string_equal(device_name(device), "kitchen");
        assert_null(device_model(device, NULL));
        assert_int_equal(fleet_count(fixture->fleet).n_configured, 1);
}

/* Without its section a device is adopted only if somebody said so. */
static void test_section_vanishes(void **state) {
        struct fixture *fixture = *state;

        fixture_fleet(fixture, KITCHEN "[device hall]\ndriver = smp-udp\n");
        heard(fixture, "smp-udp", "kitchen", "1.0.0");
        heard(fixture, "smp-udp", "hall", "1.0.0");
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:hall", NULL, NULL, NULL), 0);
        fixture_fleet(fixture, "");
        assert_false(fleet_find(fixture->fleet, "smp-udp:kitchen")->adopted);
        assert_true(fleet_find(fixture->fleet, "smp-udp:hall")->adopted);
        assert_null(device_address(fleet_find(fixture->fleet, "smp-udp:kitchen")));
}

static void test_reload(void **state) {
        struct fixture *fixture = *state;
        struct settings *before, *bad = fixture_parse_settings("[device hall]\ndriver = smp-udp\nbaud = fast\n");
        struct log log = {.letters = ""};
        struct gw_error err = {.name = ""};
        struct gw_device *device;

        fixture_fleet(fixture, KITCHEN);
        device = fleet_find(fixture->fleet, "smp-udp:kitchen");
        assert_int_equal(fleet_listen(fixture->fleet, on_event, &log), 0);
        assert_int_equal(fleet_reload(fixture->fleet, bad, &err), -EINVAL);
        assert_string_equal(err.name, "config-invalid");
        assert_non_null(strstr(err.text, "baud"));
        assert_true(device->configured);
        assert_log(&log, "");
        settings_free(bad);

        before = fixture->settings;
        fixture->settings = fixture_parse_settings(KITCHEN);
        assert_int_equal(fleet_reload(fixture->fleet, fixture->settings, &err), 0);
        settings_free(before);
        assert_log(&log, "");
        assert_int_equal(device_attribute_number(device, "baud"), 9600);

        before = fixture->settings;
        fixture->settings = fixture_parse_settings("[device hall]\ndriver = smp-udp\n");
        assert_int_equal(fleet_reload(fixture->fleet, fixture->settings, &err), 0);
        settings_free(before);
        assert_log(&log, "CAC");
        assert_false(device->configured || device->adopted);
        assert_int_equal(device_attribute_number(device, "baud"), 115200);
        assert_true(fleet_find(fixture->fleet, "smp-udp:hall")->adopted);
        assert_int_equal(fleet_count(fixture->fleet).n_adopted, 1);
        assert_int_equal(fleet_count(fixture->fleet).n_discovered, 1);
}

/* A plugin that failed leaves its devices known, so that they are not forgotten over it. */
static void test_driver_that_is_gone(void **state) {
        struct fixture *fixture = *state;
        struct gw_error err = {.name = ""};

        fixture_fleet(fixture, "[device x]\ndriver = other\nspeed = 3\n");
        assert_true(fleet_find(fixture->fleet, "other:x")->configured);
        assert_null(device_attribute(fleet_find(fixture->fleet, "other:x"), "speed"));
        fleet_free(fixture->fleet);
        fixture->fleet = NULL;
        assert_int_equal(fixture_try_fleet(fixture, "[device x]\ndriver = smp-udp\nspeed = 3\n", &err), -EINVAL);
        assert_null(fixture->fleet);
        assert_string_equal(err.name, "config-invalid");
}

/* --- lists --- */

static int import(struct fixture *fixture, const char *text, bool dry_run, struct fleet_import *ret, struct json_errors *errors) {
        const struct fleet_import_source source = {.text = text, .size = strlen(text), .dry_run = dry_run};

        json_errors_init(errors);
        return fleet_import(fixture->fleet, &source, ret, errors);
}

static void test_import(void **state) {
        static const char text[] = "id,name,model,labels,address\nsmp-udp:a,A,acme r2,,\nnobody:b,B,,,\nsmp-udp:c,C,,x x,\n";
        static const char right[] = "id,name,model,labels,address\nsmp-udp:a,A,acme-r2,,\nsmp-udp:b,B,,,\nsmp-udp:c,C,,x y,\n";
        struct fixture *fixture = *state;
        struct fleet_import counts = {0};
        struct json_errors errors;

        fixture_fleet(fixture, "");
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:a", &(struct fleet_statement){.model = "acme-r2"}, NULL, NULL), 0);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:b", &(struct fleet_statement){.name = "B", .model = "m"}, NULL, NULL), 0);
        assert_int_equal(import(fixture, text, false, &counts, &errors), -EINVAL);
        assert_int_equal(errors.n_items, 3);
        assert_string_equal(errors.items[0].path, "line 2, column 13");
        assert_string_equal(errors.items[2].path, "line 3, column 1");
        assert_string_equal(errors.items[2].text, "there is no driver \"nobody\"");
        assert_int_equal(fleet_count(fixture->fleet).n_devices, 2);

        assert_int_equal(import(fixture, right, true, &counts, &errors), 0);
        assert_int_equal(fleet_count(fixture->fleet).n_devices, 2);
        assert_int_equal(import(fixture, right, false, &counts, &errors), 0);
        assert_int_equal(counts.n_adopted, 1);
        assert_int_equal(counts.n_changed, 1);
        assert_int_equal(counts.n_unchanged, 1);
        assert_string_equal(device_name(fleet_find(fixture->fleet, "smp-udp:a")), "A");
        assert_string_equal(fleet_find(fixture->fleet, "smp-udp:b")->model_adopted, "m");
        assert_true(device_has_label(fleet_find(fixture->fleet, "smp-udp:c"), "y"));
        assert_int_equal(import(fixture, right, false, &counts, &errors), 0);
        assert_int_equal(counts.n_unchanged, 3);
}

static void test_import_needs_room(void **state) {
        struct fixture *fixture = *state;
        struct json_errors errors;

        fixture_fleet(fixture, "[limits]\ndevices = 3\n");
        heard(fixture, "smp-udp", "x", NULL);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:a", NULL, NULL, NULL), 0);
        assert_int_equal(import(fixture, "smp-udp:a\nsmp-udp:b\nsmp-udp:c\nsmp-udp:d\nsmp-udp:e\n", false, NULL, &errors), -EINVAL);
        assert_int_equal(errors.n_items, 1);
        assert_string_equal(errors.items[0].path, "line 4");
        assert_int_equal(import(fixture, "smp-udp:a\nsmp-udp:b\nsmp-udp:c\n", false, NULL, &errors), 0);
        assert_null(fleet_find(fixture->fleet, "smp-udp:x"));
}

static void write_list(struct fixture *fixture, const char *text) {
        _cleanup_fclose_ FILE *file = fopen(fixture->list_path, "w");

        assert_non_null(file);
        fputs(text, file);
}

static void test_adoption_list(void **state) {
        struct fixture *fixture = *state;
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        char settings[256], printed[256];

        str_format(settings, sizeof(settings), "[gateway]\nadoption_list = %s\n", fixture->list_path);
        fixture_fleet(fixture, settings);
        assert_int_equal(fleet_read_adoption_list(fixture->fleet, &errors), -EINVAL);
        assert_non_null(strstr(errors.items[0].text, "No such file"));
        write_list(fixture, "smp-udp:a\nsmp-udp:b,x\n");
        assert_int_equal(fleet_read_adoption_list(fixture->fleet, &errors), -EINVAL);
        assert_int_equal(config_error_format(&errors.items[1], printed, sizeof(printed)), 0);
        assert_non_null(strstr(printed, "list.csv:2"));
        assert_non_null(strstr(printed, "column 11"));
        assert_int_equal(fleet_count(fixture->fleet).n_devices, 0);
        write_list(fixture, "smp-udp:a\nsmp-udp:b\n");
        assert_int_equal(fleet_read_adoption_list(fixture->fleet, &errors), 0);
        assert_true(fleet_find(fixture->fleet, "smp-udp:b")->adopted);
        fixture_fleet(fixture, "");
        assert_int_equal(fleet_read_adoption_list(fixture->fleet, &errors), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                FLEET_TEST(test_discovery),
                FLEET_TEST(test_refused_names),
                FLEET_TEST(test_auto_adopt),
                FLEET_TEST(test_private_address),
                FLEET_TEST(test_everything_comes_back),
                FLEET_TEST(test_rows_are_written_sparingly),
                FLEET_TEST(test_small_changes_reach_the_row),
                FLEET_TEST(test_rows_are_written_in_portions),
                FLEET_TEST(test_idle_is_idle),
                FLEET_TEST(test_oldest_discovered_goes),
                FLEET_TEST(test_ten_thousand),
                FLEET_TEST(test_adopt_and_set),
                FLEET_TEST(test_forget),
                FLEET_TEST(test_forget_from_inside),
                FLEET_TEST(test_walks),
                FLEET_TEST(test_find_by_words),
                FLEET_TEST(test_configured),
                FLEET_TEST(test_section_vanishes),
                FLEET_TEST(test_reload),
                FLEET_TEST(test_driver_that_is_gone),
                FLEET_TEST(test_import),
                FLEET_TEST(test_import_needs_room),
                FLEET_TEST(test_adoption_list),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
