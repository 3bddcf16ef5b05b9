/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"

static char folder[] = "/tmp/gatewayctl-profiles-XXXXXX";
static char path[PATH_MAX];

static void write_profiles(const char *text) {
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static int setup(void **state) {
        (void) state;
        assert_non_null(mkdtemp(folder));
        str_format(path, sizeof path, "%s/profiles.conf", folder);
        return setenv("GATEWAYCTL_PROFILES", path, true);
}

static int teardown(void **state) {
        (void) state;
        unlink(path);
        return rmdir(folder);
}

static void test_values(void **state) {
        struct failure failure = { 0 };
        struct profile *profile;
        char expected[PATH_MAX];

        (void) state;
        write_profiles("[profile oslo]\nbroker = mqtts://b\nca_file = ca.pem\ncert = /etc/desk.pem\nkey = ~/ci.key\nall = yes\n"
                       "[profile home]\nsocket = /run/x.sock\n");
        setenv("HOME", "/users/somebody", true);
        assert_int_equal(profile_new("oslo", &profile, &failure), 0);
        assert_string_equal(profile_value(profile, "broker"), "mqtts://b");
        str_format(expected, sizeof expected, "%s/ca.pem", folder);
        assert_string_equal(profile_value(profile, "ca-file"), expected);
        assert_string_equal(profile_value(profile, "cert"), "/etc/desk.pem");
        assert_string_equal(profile_value(profile, "key"), "/users/somebody/ci.key");
        assert_string_equal(profile_value(profile, "all"), "");
        assert_null(profile_value(profile, "group"));
        assert_null(profile_value(profile, "timeout"));
        assert_null(profile_value(NULL, "broker"));
        profile_free(profile);
}

static void test_a_flag_that_is_off(void **state) {
        struct failure failure = { 0 };
        struct profile *profile;

        (void) state;
        write_profiles("[profile a]\nall = no\n");
        assert_int_equal(profile_new("a", &profile, &failure), 0);
        assert_null(profile_value(profile, "all"));
        profile_free(profile);
}

static void test_unknown(void **state) {
        struct failure failure = { 0 };
        struct profile *profile;

        (void) state;
        write_profiles("[profile a]\n");
        assert_true(profile_new("b", &profile, &failure) < 0);
        assert_string_equal(failure.err.name, "profile-unknown");
        assert_int_equal(failure.exit_code, EXIT_CODE_USAGE);
        unlink(path);
        assert_true(profile_new("b", &profile, &failure) < 0);
        assert_string_equal(failure.err.name, "profile-unknown");
}

/* All at once, each with its line. */
static void test_mistakes(void **state) {
        static const char *const places[] = { "line 2, [profile a] brokr", "line 3, [profile a] all", "line 4, [profile a] user",
                                              "line 5, [other]",           "line 6, [profile c]",     "line 9, [profile d]" };
        struct failure failure = { 0 };
        struct profile *profile;

        (void) state;
        write_profiles("[profile a]\nbrokr = x\nall = perhaps\nuser =\n[other]\n[profile c]\ngroup = x\ngateway = y\n[profile d]\nsocket = "
                       "/s\nbroker = mqtts://b\n");
        assert_true(profile_new("a", &profile, &failure) < 0);
        assert_string_equal(failure.err.name, "profile-invalid");
        assert_int_equal(json_length(failure.mistakes), ARRAY_SIZE(places));
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                bool found = false;
                JSON_FOREACH_ITEM(j, mistake, failure.mistakes)
                found = found || str_equal(json_member_text(mistake, "path"), places[i]);
                if (!found)
                        fail_msg("no mistake at %s", places[i]);
        }
        failure_deinit(&failure);
}

static void test_where_they_stand(void **state) {
        char where[PATH_MAX];

        (void) state;
        unsetenv("GATEWAYCTL_PROFILES");
        setenv("XDG_CONFIG_HOME", "/x", true);
        profiles_path(where, sizeof where);
        assert_string_equal(where, "/x/gatewayctl/profiles.conf");
        unsetenv("XDG_CONFIG_HOME");
        setenv("HOME", "/users/somebody", true);
        profiles_path(where, sizeof where);
        assert_string_equal(where, "/users/somebody/.config/gatewayctl/profiles.conf");
        setenv("GATEWAYCTL_PROFILES", path, true);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values),   cmocka_unit_test(test_a_flag_that_is_off), cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_mistakes), cmocka_unit_test(test_where_they_stand),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
