/* SPDX-License-Identifier: Apache-2.0 */
#include "update/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "update/internal.h"

/* Claims and scopes at their edges; neither needs more of the daemon than its name, its groups and its clock. */

#define NOW_S INT64_C(1795219200)
#define DAY_S (24 * 3600)

static struct settings settings;
static struct clock_fake fake;
static bool credible;

static bool clock_is_credible(void *ctx) {
        (void) ctx;
        return credible;
}

static struct update update_of_this_gateway(void) {
        clock_fake_init(&fake, 0, NOW_S * 1000);
        credible = true;
        return (struct update){ .options = { .clock = &fake.clock,
                                             .settings = &settings,
                                             .gateway_id = "pi-oslo-1",
                                             .clock_is_credible = clock_is_credible } };
}

static int make_groups(void **state) {
        (void) state;
        return str_list_append(&settings.gateway.groups, "oslo") | str_list_append(&settings.gateway.groups, "test");
}

static int free_groups(void **state) {
        (void) state;
        str_list_deinit(&settings.gateway.groups);
        return 0;
}

static struct str_list list_of(const char *a, const char *b) {
        struct str_list list = STR_LIST_INIT;

        assert_int_equal(str_list_append(&list, a), 0);
        if (b)
                assert_int_equal(str_list_append(&list, b), 0);
        return list;
}

/* name NULL: it counts. */
static void assert_judged(const struct keyring_key *key, const struct claims *claims, const char *name, const char *what) {
        struct update update = update_of_this_gateway();
        struct gw_error err = { 0 };
        int r = claims_judge(&update, key, claims, &err);

        if (name ? r != -EPERM || strcmp(err.name, name) != 0 || !err.text[0] : r != 0 || gw_error_is_set(&err))
                fail_msg("%s: %d %s %s", what, r, err.name, err.text);
}

static void test_for_whom(void **state) {
        static const struct {
                const char *a, *b;
                bool counts;
        } rows[] = {
                { "pi-oslo-1", NULL, true },    { "pi-oslo-*", NULL, true },         { "*", NULL, true },
                { "pi-oslo-[12]", NULL, true }, { "pi-bergen-1", "pi-oslo-1", true }, { "group:oslo", NULL, true },
                { "pi-oslo", NULL, false },     { "pi-oslo-?-x", NULL, false },      { "group:bergen", NULL, false },
                { "group:os*", NULL, false },   { "oslo", NULL, false },             { "xpi-oslo-1", "pi-oslo-10", false },
        };
        const struct keyring_key key = { .kid = (char *) "ci" };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_str_list_ struct str_list aud = list_of(rows[i].a, rows[i].b);

                assert_judged(&key, &(struct claims){ &aud, NOW_S, -1, NOW_S + 10 }, rows[i].counts ? NULL : "not-for-this-gateway", rows[i].a);
        }
}

static void test_when(void **state) {
        static const struct {
                const char *what;
                int64_t iat, nbf, exp; /* from now; nbf -1 none */
                const char *name;
        } rows[] = {
                { "just signed", 0, -1, 10, NULL },
                { "long ago", -80 * DAY_S, -1, DAY_S, NULL },
                { "the last second", -10, -1, 1, NULL },
                { "exp is now", -10, -1, 0, "document-expired" },
                { "over", -10, -1, -1, "document-expired" },
                { "the signer's clock is five minutes ahead", 300, -1, 1000, NULL },
                { "and one second more", 301, -1, 1000, "document-not-yet-valid" },
                { "nbf in five minutes", -10, 300, 1000, NULL },
                { "nbf later", -10, 301, 1000, "document-not-yet-valid" },
                { "nbf long ago", -10, -DAY_S, 1000, NULL },
        };
        _cleanup_str_list_ struct str_list aud = list_of("*", NULL);
        const struct keyring_key key = { .kid = (char *) "ci" };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct claims claims = { &aud, NOW_S + rows[i].iat, rows[i].nbf == -1 ? -1 : NOW_S + rows[i].nbf, NOW_S + rows[i].exp };

                assert_judged(&key, &claims, rows[i].name, rows[i].what);
        }
}

static void test_a_clock_that_is_not_believed(void **state) {
        _cleanup_str_list_ struct str_list everybody = list_of("*", NULL), others = list_of("pi-bergen-1", NULL);
        const struct keyring_key key = { .kid = (char *) "ci" };
        struct update update = update_of_this_gateway();
        struct gw_error err = { 0 };

        (void) state;
        credible = false;
        assert_int_equal(claims_judge(&update, &key, &(struct claims){ &everybody, NOW_S, -1, NOW_S + 10 }, &err), -EPERM);
        assert_string_equal(err.name, "clock-not-credible");
        /* What is for others is so at any time. */
        assert_int_equal(claims_judge(&update, &key, &(struct claims){ &others, NOW_S, -1, NOW_S + 10 }, &err), -EPERM);
        assert_string_equal(err.name, "not-for-this-gateway");
}

static void test_scope(void **state) {
        _cleanup_str_list_ struct str_list aud = list_of("*", NULL), oslo = list_of("bergen", "oslo"), bergen = list_of("bergen", NULL),
                                           globs = list_of("pi-bergen-*", "pi-oslo-*"), elsewhere = list_of("pi-bergen-*", NULL);
        const struct claims claims = { &aud, NOW_S, -1, NOW_S + 10 };

        (void) state;
        assert_judged(&(struct keyring_key){ .kid = (char *) "a", .scope = { .groups = oslo, .audience = globs } }, &claims, NULL, "both fit");
        assert_judged(&(struct keyring_key){ .kid = (char *) "a", .scope = { .groups = bergen, .audience = globs } }, &claims, "key-scope", "another group");
        assert_judged(&(struct keyring_key){ .kid = (char *) "a", .scope = { .groups = oslo, .audience = elsewhere } }, &claims, "key-scope", "another id");
        assert_judged(&(struct keyring_key){ .kid = (char *) "a", .scope = { .expires_ms = NOW_S * 1000 + 1 } }, &claims, NULL, "expires next");
        assert_judged(&(struct keyring_key){ .kid = (char *) "a", .scope = { .expires_ms = NOW_S * 1000 } }, &claims, "key-expired", "expires now");
}

static void test_drivers_must_be_stated(void **state) {
        static const struct {
                const char *what, *drivers[2], *ids[2];
                bool fits;
        } rows[] = {
                { "one of them", { "smp-udp" }, { NULL }, true },
                { "both", { "smp-udp", "smp-serial" }, { NULL }, true },
                { "another one", { "smp-ble" }, { NULL }, false },
                { "one and another one", { "smp-udp", "smp-ble" }, { NULL }, false },
                { "not stated", { NULL }, { NULL }, false },
                { "by ids", { NULL }, { "smp-udp:a", "smp-serial:b" }, true },
                { "one id of another one", { NULL }, { "smp-udp:a", "smp-ble:b" }, false },
                /* Members are ANDed: no device of another driver can be meant. */
                { "driver narrows ids", { "smp-udp" }, { "smp-udp:a", "smp-ble:b" }, true },
                { "a driver that begins like it", { "smp-udp2" }, { NULL }, false },
        };
        _cleanup_str_list_ struct str_list drivers = list_of("smp-udp", "smp-serial");
        const struct keyring_key scoped = { .kid = (char *) "a", .scope = { .drivers = drivers } }, free_key = { .kid = (char *) "b" };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct campaign_selector selector = { 0 };
                struct gw_error err = { 0 };
                int r;

                if (rows[i].drivers[0])
                        selector.drivers = list_of(rows[i].drivers[0], rows[i].drivers[1]);
                if (rows[i].ids[0])
                        selector.ids = list_of(rows[i].ids[0], rows[i].ids[1]);
                assert_int_equal(scope_judge_selector(&free_key, &selector, NULL), 0);
                r = scope_judge_selector(&scoped, &selector, &err);
                if (rows[i].fits ? r != 0 : r != -EPERM || strcmp(err.name, "key-scope") != 0)
                        fail_msg("%s: %d %s", rows[i].what, r, err.text);
                str_list_deinit(&selector.drivers);
                str_list_deinit(&selector.ids);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_for_whom),
                cmocka_unit_test(test_when),
                cmocka_unit_test(test_a_clock_that_is_not_believed),
                cmocka_unit_test(test_scope),
                cmocka_unit_test(test_drivers_must_be_stated),
        };

        return cmocka_run_group_tests(tests, make_groups, free_groups);
}
