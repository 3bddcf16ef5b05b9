/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/selector.h"

#include "fleet/test_support.h"

/* The device of every row: smp-udp:kitchen, called "Kitchen", labels sensor and ground, version 1.3.0. */
static const struct {
        const char *devices;
        enum fleet_selected selected;
        const char *member;
} rows[] = {
        {"{\"all\":true}", FLEET_SELECTED_YES, NULL},
        {"{\"ids\":[\"smp-udp:cellar\",\"smp-udp:kitchen\"]}", FLEET_SELECTED_YES, NULL},
        {"{\"ids\":[\"smp-udp:cellar\",\"smp-serial:kitchen\"]}", FLEET_SELECTED_NO, "ids"},
        {"{\"labels\":[\"sensor\"]}", FLEET_SELECTED_YES, NULL},
        {"{\"labels\":[\"ground\",\"sensor\"]}", FLEET_SELECTED_YES, NULL},
        {"{\"labels\":[\"sensor\",\"attic\"]}", FLEET_SELECTED_NO, "labels"},
        {"{\"name\":\"Kit*\"}", FLEET_SELECTED_YES, NULL},
        {"{\"name\":\"kit*\"}", FLEET_SELECTED_NO, "name"},
        {"{\"driver\":[\"smp-serial\",\"smp-udp\"]}", FLEET_SELECTED_YES, NULL},
        {"{\"driver\":[\"smp-serial\"]}", FLEET_SELECTED_NO, "driver"},
        {"{\"version\":\"<1.4.0\"}", FLEET_SELECTED_YES, NULL},
        {"{\"version\":\">=1.4.0\"}", FLEET_SELECTED_NO, "version"},
        {"{\"labels\":[\"sensor\"],\"driver\":[\"smp-udp\"],\"version\":\">1 <2\"}", FLEET_SELECTED_YES, NULL},
        {"{\"labels\":[\"sensor\"],\"driver\":[\"smp-serial\"],\"version\":\">1 <2\"}", FLEET_SELECTED_NO, "driver"},
        {"{\"labels\":[\"attic\"],\"name\":\"x\",\"driver\":[\"smp-serial\"],\"version\":\">2\"}", FLEET_SELECTED_NO, "driver"},
};

static struct campaign_document *document_of(const char *devices) {
        char text[1024];
        struct campaign_document *document = NULL;

        str_format(text, sizeof(text),
                   "{\"schema\":\"gatewayd/campaign/1\",\"id\":\"c\",\"revision\":1,\"rollback\":\"other-slot\",\"devices\":%s}", devices);
        assert_int_equal(campaign_document_parse(text, strlen(text), NULL, &document, NULL), 0);
        return document;
}

static struct gw_device *kitchen(struct fixture *fixture, const char *version) {
        char *labels[] = {(char[]){"sensor"}, (char[]){"ground"}};
        const struct str_list list = {.items = labels, .n_items = 2};
        const struct fleet_statement statement = {.name = "Kitchen", .labels = &list};
        struct gw_facts facts = GW_FACTS_INIT;
        struct gw_device *device = NULL;

        facts.version = version;
        assert_int_equal(fleet_seen(fixture_fleet(fixture, ""), "smp-udp", "kitchen", &facts), 0);
        assert_int_equal(fleet_adopt(fixture->fleet, "smp-udp:kitchen", &statement, &device, NULL), 0);
        return device;
}

static void test_table(void **state) {
        const struct gw_device *device = kitchen(*state, "1.3.0");

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_campaign_document_ struct campaign_document *document = document_of(rows[i].devices);
                const char *member = "none";

                assert_int_equal(fleet_select(&document->devices, device, &member), rows[i].selected);
                assert_true(str_equal(member, rows[i].member));
                assert_int_equal(fleet_select(&document->devices, device, NULL), rows[i].selected);
        }
}

/* What is not known makes it wait; what is known to be wrong decides first. */
static void test_unknown(void **state) {
        static const char *const versions[] = {NULL,
                                               "<??"
                                               "?>",
                                               "main-1234"};
        _cleanup_campaign_document_ struct campaign_document *waits = document_of("{\"labels\":[\"sensor\"],\"version\":\"<2\"}");
        _cleanup_campaign_document_ struct campaign_document *refuses = document_of("{\"labels\":[\"attic\"],\"version\":\"<2\"}");
        _cleanup_campaign_document_ struct campaign_document *fits = document_of("{\"labels\":[\"sensor\"]}");

        for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
                const struct gw_device *device = kitchen(*state, versions[i]);
                const char *member = NULL;

                assert_int_equal(fleet_select(&waits->devices, device, &member), FLEET_SELECTED_UNKNOWN);
                assert_string_equal(member, "version");
                assert_int_equal(fleet_select(&refuses->devices, device, &member), FLEET_SELECTED_NO);
                assert_string_equal(member, "labels");
                assert_int_equal(fleet_select(&fits->devices, device, &member), FLEET_SELECTED_YES);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {FLEET_TEST(test_table), FLEET_TEST(test_unknown)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
