/* SPDX-License-Identifier: Apache-2.0 */
#include "gateways.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int take(struct gateways *gateways, const char *id, const char *text) {
        return gateways_take(gateways, id, text, strlen(text));
}

static void test_come_and_go(void **state) {
        const struct audience all = { .kind = AUDIENCE_ALL }, oslo = { .kind = AUDIENCE_GROUP, .name = "oslo" };
        const struct audience one = { .kind = AUDIENCE_GATEWAY, .name = "b" };
        _cleanup_gateways_ struct gateways gateways = { 0 };

        (void) state;
        assert_int_equal(take(&gateways, "b", "{\"state\":\"online\",\"groups\":[\"oslo\",\"north\"],\"version\":\"1\"}"), 0);
        assert_int_equal(take(&gateways, "a", "{\"state\":\"offline\"}"), 0);
        assert_int_equal(take(&gateways, "c", "{\"state\":\"online\",\"groups\":[]}"), 0);
        assert_int_equal(gateways.n_items, 3);
        assert_string_equal(gateways.items[0].id, "a");
        assert_string_equal(gateways.items[2].id, "c");
        assert_int_equal(gateways_count(&gateways, &all), 3);
        assert_int_equal(gateways_count(&gateways, &oslo), 1);
        assert_int_equal(gateways_count(&gateways, &one), 1);
        assert_true(gateways_find(&gateways, "b")->online);
        assert_false(gateways_find(&gateways, "a")->online);

        assert_int_equal(gateways_take(&gateways, "b", NULL, 0), 0);
        assert_null(gateways_find(&gateways, "b"));
        assert_int_equal(gateways.n_items, 2);
        assert_int_equal(gateways_take(&gateways, "never-seen", NULL, 0), 0);
        assert_int_equal(gateways.n_items, 2);
}

/* A last will is written when the gateway connects, and knows little. */
static void test_a_last_will_keeps_what_was_known(void **state) {
        const struct audience oslo = { .kind = AUDIENCE_GROUP, .name = "oslo" };
        _cleanup_gateways_ struct gateways gateways = { 0 };

        (void) state;
        take(&gateways, "b", "{\"state\":\"online\",\"groups\":[\"oslo\"],\"version\":\"1.2\"}");
        assert_int_equal(take(&gateways, "b", "{\"state\":\"offline\"}"), 0);
        assert_false(gateways_find(&gateways, "b")->online);
        assert_int_equal(gateways_count(&gateways, &oslo), 1);
        assert_string_equal(json_member_text(gateways_find(&gateways, "b")->status, "version"), "1.2");
        assert_int_equal(take(&gateways, "b", "{\"state\":\"online\",\"groups\":[\"bergen\"]}"), 0);
        assert_int_equal(gateways_count(&gateways, &oslo), 0);
        assert_true(gateways_find(&gateways, "b")->online);
}

static void test_what_is_no_status(void **state) {
        static const char *const texts[] = { "null", "[]", "{}", "{\"state\":1}", "{\"state\":\"online\"", "\xff", "{\"groups\":[]}" };
        _cleanup_gateways_ struct gateways gateways = { 0 };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                assert_int_equal(take(&gateways, "a", texts[i]), -EBADMSG);
        assert_int_equal(take(&gateways, "Not-An-Id", "{\"state\":\"online\"}"), -EBADMSG);
        assert_int_equal(gateways.n_items, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_come_and_go),
                cmocka_unit_test(test_a_last_will_keeps_what_was_known),
                cmocka_unit_test(test_what_is_no_status),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
