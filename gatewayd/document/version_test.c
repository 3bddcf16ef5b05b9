/* SPDX-License-Identifier: Apache-2.0 */
#include "document/version.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/cleanup.h"

static struct version version_of(const char *text) {
        struct version version = {9, 9, 9, 9};

        assert_int_equal(version_parse(text, &version), 0);
        return version;
}

static void test_parse(void **state) {
        static const struct {
                const char *text;
                struct version version;
        } rows[] = {
                {"1", {1, 0, 0, 0}},          {"1.4", {1, 4, 0, 0}},
                {"1.4.0", {1, 4, 0, 0}},      {"1.4.2+7", {1, 4, 2, 7}},
                {"1.4.2.7", {1, 4, 2, 7}},    {"1.4+7", {1, 4, 0, 7}},
                {"v2.0.1", {2, 0, 1, 0}},     {"0.0.0+4294967295", {0, 0, 0, 4294967295u}},
                {"007.010.0", {7, 10, 0, 0}},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct version found = version_of(rows[i].text);

                assert_memory_equal(&found, &rows[i].version, sizeof(found));
        }
}

static void test_parse_refuses(void **state) {
        static const char *const texts[] = {
                "",          "v",      "1.",     ".1", "1..2",     "1.2.3.4.5",  "1.2.3.4+5",         "1.2.3+",           "1.2.3+x",
                "1.2.3-rc1", "1.2.3 ", " 1.2.3", "-1", "<\?\?\?>", "4294967296", "1.2.3+00000000001", "1.2.3+4294967296", "vv1",
        };
        struct version version = {1, 2, 3, 4};

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                assert_int_equal(version_parse(texts[i], &version), -EINVAL);
        assert_int_equal(version.build, 4);
}

static void test_order(void **state) {
        static const char *const ascending[] = {"0.0.0", "0.0.0+1", "0.0.1", "0.9", "1", "1.0.0+3", "1.0.1", "1.2", "1.10", "2.0.0", "10"};

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(ascending); i++)
                for (size_t j = 0; j < ARRAY_SIZE(ascending); j++) {
                        struct version a = version_of(ascending[i]), b = version_of(ascending[j]);
                        int order = version_compare(&a, &b);

                        assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
                }
}

static void test_rules(void **state) {
        static const struct {
                const char *rule;
                const char *version;
                bool match;
        } rows[] = {
                {"<1.4.0", "1.3.9+99", true},     {"<1.4.0", "1.4.0", false},
                {"<=1.4.0", "1.4.0", true},       {"<=1.4.0", "1.4.0+1", false},
                {"=1.4.0", "1.4.0", true},        {"=1.4", "1.4.0", true},
                {"=1.4.0", "1.4.0+1", false},     {"!=1.4.0", "1.4.0+1", true},
                {"!=1.4.0", "1.4.0", false},      {">1.4.0", "1.4.0+1", true},
                {">=1.4.0", "1.4.0", true},       {">=1.4.0", "1.3.9", false},
                {">=1.2 <1.4.0", "1.3.0", true},  {">=1.2 <1.4.0", "1.4.0", false},
                {">=1.2 <1.4.0", "1.1.0", false}, {">=1.2   <2   !=1.3.0", "1.3.0", false},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct version version = version_of(rows[i].version);
                struct version_rule rule;

                assert_int_equal(version_rule_parse(rows[i].rule, &rule), 0);
                assert_int_equal(version_rule_match(&rule, &version), rows[i].match);
        }
}

static void test_rules_refused(void **state) {
        static const char *const texts[] = {
                "",    " ",   "1.4.0",      "< 1.4.0", "<1.4.0 ", " <1.4.0",    "<1.4.0,>1", "=<1",
                "==1", "<>1", "<1.4.0\t>1", "<v1",     "~1.2",    "<1.2.3-rc1", "<1>0",
        };
        struct version_rule rule;

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                assert_int_equal(version_rule_parse(texts[i], &rule), -EINVAL);
        assert_int_equal(version_rule_parse(">1 >1 >1 >1 >1 >1 >1 >1", &rule), 0);
        assert_int_equal(version_rule_parse(">1 >1 >1 >1 >1 >1 >1 >1 >1", &rule), -E2BIG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse), cmocka_unit_test(test_parse_refuses), cmocka_unit_test(test_order),
                cmocka_unit_test(test_rules), cmocka_unit_test(test_rules_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
