/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/device.h"

#include "fleet/test_support.h"

static struct gw_device *device_of(struct fixture *fixture, const char *key, const struct gw_facts *facts) {
        char id[STR_DEVICE_ID_SIZE];

        if (!fixture->fleet)
                fixture_fleet(fixture, "");
        assert_int_equal(fleet_seen(fixture->fleet, "smp-udp", key, facts), 0);
        str_format(id, sizeof(id), "smp-udp:%s", key);
        return fleet_find(fixture->fleet, id);
}

static struct gw_facts facts_of_model(const char *model) {
        struct gw_facts facts = GW_FACTS_INIT;

        facts.model = model;
        return facts;
}

/* What the device states, what its adoption states, and what is made of the two. */
static void test_models(void **state) {
        static const struct {
                const char *stated, *adopted, *effective, *error;
        } rows[] = {
                {"acme,r2", NULL, "acme,r2", ""},
                {NULL, "acme,r2", "acme,r2", ""},
                {"acme,r2", "acme,r2", "acme,r2", ""},
                {"acme,r2", "acme,r3", NULL, "model-conflict"},
                {"acme,r2", "acme,R2", NULL, "model-conflict"},
                {NULL, NULL, NULL, "model-unknown"},
                /* Odd names are made well-formed, not dropped: the contradiction stays visible. */
                {"my board", "acme,r2", NULL, "model-conflict"},
                {"my board", NULL, "my_board", ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct gw_facts facts = facts_of_model(rows[i].stated);
                const struct fleet_statement statement = {.model = rows[i].adopted};
                struct gw_error err = {.name = ""};
                char key[16];
                struct gw_device *device;

                str_format(key, sizeof(key), "d%zu", i);
                device = device_of(*state, key, &facts);
                assert_int_equal(fleet_adopt(((struct fixture *) *state)->fleet, device->id, &statement, NULL, NULL), 0);
                assert_true(str_equal(device_model(device, &err), rows[i].effective));
                assert_true(str_equal(device_model_or_null(device), rows[i].effective));
                assert_string_equal(err.name, rows[i].error);
        }
}

static void test_names_and_addresses(void **state) {
        struct gw_facts facts = GW_FACTS_INIT;
        const struct fleet_statement statement = {.name = "Kitchen", .address = "192.0.2.9:1"};
        struct gw_device *device;

        facts.address = "192.0.2.7:1337";
        device = device_of(*state, "a", &facts);
        assert_string_equal(device_name(device), "a");
        facts.name = "Zephyr";
        device_of(*state, "a", &facts);
        assert_string_equal(device_name(device), "Zephyr");
        assert_string_equal(device_address(device), "192.0.2.7:1337");
        assert_int_equal(fleet_adopt(((struct fixture *) *state)->fleet, device->id, &statement, NULL, NULL), 0);
        assert_string_equal(device_name(device), "Kitchen");
        assert_string_equal(device_address(device), "192.0.2.9:1");
        assert_string_equal(device_key(device), "a");
}

static void test_attributes(void **state) {
        const struct gw_attribute attributes[] = {{"baud", "9600"}, {"bootloader", "MCUboot"}, {"bad name", "x"}, {"empty", ""}};
        struct gw_facts facts = GW_FACTS_INIT;
        struct gw_device *device, *configured;

        fixture_fleet(*state, "[device k]\ndriver = smp-udp\nbaud = 1000000\n[device l]\ndriver = smp-udp\n");
        device = device_of(*state, "a", NULL);
        assert_int_equal(device_attribute_number(device, "baud"), 115200);
        assert_string_equal(device_attribute(device, "baud"), "115200");
        assert_null(device_attribute(device, "port"));
        assert_int_equal(device_attribute_number(device, "port"), 0);
        facts.attributes = attributes;
        facts.n_attributes = ARRAY_SIZE(attributes);
        device_of(*state, "a", &facts);
        assert_int_equal(device->n_attributes, 2);
        assert_int_equal(device_attribute_number(device, "baud"), 9600);
        assert_string_equal(device_attribute(device, "bootloader"), "MCUboot");
        assert_int_equal(device_attribute_number(device, "bootloader"), 0);
        /* What the configuration says stands above what the device says; its silence does not. */
        configured = device_of(*state, "k", &facts);
        assert_int_equal(device_attribute_number(configured, "baud"), 1000000);
        assert_string_equal(device_attribute(configured, "baud"), "1000000");
        configured = device_of(*state, "l", &facts);
        assert_int_equal(device_attribute_number(configured, "baud"), 9600);
}

/* A neighbour may send anything: it is cut, made harmless to show, and never more than the limits. */
static void test_foreign_texts(void **state) {
        struct gw_attribute attributes[100];
        struct gw_image images[GW_IMAGES_MAX + 4];
        struct gw_facts facts = GW_FACTS_INIT;
        char names[100][8], many[2000];
        struct gw_device *device;

        memset(many, 'x', sizeof(many) - 1);
        many[sizeof(many) - 1] = '\0';
        memset(images, 0xff, sizeof(images));
        for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
                str_format(names[i], sizeof(names[i]), "a%zu", i);
                attributes[i] = (struct gw_attribute){names[i], many};
        }
        facts.name = "\x1b[31mred";
        facts.version = many;
        facts.model = many;
        facts.address = many;
        facts.images = images;
        facts.n_images = ARRAY_SIZE(images);
        facts.attributes = attributes;
        facts.n_attributes = ARRAY_SIZE(attributes);
        facts.rssi_dbm = 4000;
        facts.battery_percent = 101;
        device = device_of(*state, "a", &facts);
        assert_string_equal(device->name_stated, "\\x1b[31mred");
        assert_int_equal(strlen(device->version), GW_VERSION_MAX - 1);
        assert_int_equal(strlen(device->model_stated), GW_MODEL_MAX - 1);
        assert_int_equal(strlen(device->address_seen), 256);
        assert_int_equal(device->n_images, GW_IMAGES_MAX);
        assert_int_equal(device->images[0].hash_size, GW_HASH_MAX);
        assert_true(strlen(device->images[0].version) < GW_VERSION_MAX);
        assert_int_equal(device->n_attributes, DEVICE_ATTRIBUTES_MAX);
        assert_int_equal(strlen(device->attributes[0].value), 256);
        assert_int_equal(device->rssi_dbm, GW_RSSI_UNKNOWN);
        assert_int_equal(device->battery_percent, GW_BATTERY_UNKNOWN);
}

/* A plugin of yesterday does not know the members at the end. */
static void test_shorter_facts(void **state) {
        struct gw_facts facts = GW_FACTS_INIT;
        struct gw_device *device;

        facts.version = "1.2.3";
        facts.battery_percent = 50;
        facts.size = offsetof(struct gw_facts, battery_percent);
        device = device_of(*state, "a", &facts);
        assert_string_equal(device->version, "1.2.3");
        assert_int_equal(device->battery_percent, GW_BATTERY_UNKNOWN);
}

static void assert_described(const struct gw_device *device, const char *expected) {
        _cleanup_json_ struct json *json = NULL;
        _cleanup_free_ char *text = NULL;

        assert_int_equal(device_describe(device, &json), 0);
        assert_int_equal(json_write(json, &text, NULL), 0);
        assert_string_equal(text, expected);
}

static void test_description(void **state) {
        struct fixture *fixture = *state;
        const struct gw_image images[] = {
                {.image = 0,
                 .slot = 0,
                 .hash_size = 2,
                 .hash = {0xab, 0xcd},
                 .flags = GW_IMAGE_ACTIVE | GW_IMAGE_CONFIRMED,
                 .version = "1.2.3",
                 .slot_size = 4096},
                {.image = 0, .slot = 1},
        };
        char *label = (char[]){"sensor"};
        const struct str_list labels = {.items = &label, .n_items = 1};
        const struct fleet_statement statement = {.model = "acme,r3", .labels = &labels};
        const struct fleet_job_result result = {.job_id = 7, .result = "failed", .error = "link-lost", .time_ms = TEST_NOW_MS};
        struct gw_facts facts = GW_FACTS_INIT;
        struct gw_device *device = device_of(*state, "a", NULL);

        assert_described(
                device,
                "{\"id\":\"smp-udp:a\",\"driver\":\"smp-udp\",\"key\":\"a\",\"name\":\"a\",\"state\":\"discovered\",\"present\":true,"
                "\"model\":{\"conflict\":false},\"labels\":[],"
                "\"first_seen\":\"2026-11-21T00:00:00Z\",\"last_seen\":\"2026-11-21T00:00:00Z\"}");
        facts.images = images;
        facts.n_images = ARRAY_SIZE(images);
        facts.model = "acme,r2";
        facts.rssi_dbm = -60;
        assert_int_equal(fleet_adopt(fixture->fleet, device->id, &statement, NULL, NULL), 0);
        assert_int_equal(fleet_learned(fixture->fleet, device, &facts), 0);
        assert_int_equal(fleet_result(fixture->fleet, device, &result), 0);
        fleet_gone(fixture->fleet, "smp-udp", "a");
        assert_described(
                device, "{\"id\":\"smp-udp:a\",\"driver\":\"smp-udp\",\"key\":\"a\",\"name\":\"a\",\"state\":\"adopted\",\"present\":false,"
                        "\"model\":{\"stated\":\"acme,r2\",\"adopted\":\"acme,r3\",\"conflict\":true},\"labels\":[\"sensor\"],"
                        "\"images\":[{\"image\":0,\"slot\":0,\"version\":\"1.2.3\",\"hash\":\"abcd\",\"flags\":[\"active\",\"confirmed\"],"
                        "\"slot_size_bytes\":4096},{\"image\":0,\"slot\":1,\"flags\":[]}],\"rssi_dbm\":-60,"
                        "\"first_seen\":\"2026-11-21T00:00:00Z\",\"last_seen\":\"2026-11-21T00:00:00Z\","
                        "\"last_result\":{\"result\":\"failed\",\"error\":\"link-lost\",\"time\":\"2026-11-21T00:00:00Z\",\"job\":7}}");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                FLEET_TEST(test_models),        FLEET_TEST(test_names_and_addresses), FLEET_TEST(test_attributes),
                FLEET_TEST(test_foreign_texts), FLEET_TEST(test_shorter_facts),       FLEET_TEST(test_description),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
