/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cidr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "base/cleanup.h"

static struct sockaddr_storage address(const char *text) {
        struct sockaddr_storage storage = {0};
        struct sockaddr_in *v4 = (struct sockaddr_in *) &storage;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) &storage;

        if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                return storage;
        }
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
        return storage;
}

static void test_public(void **state) {
        static const struct {
                const char *address;
                bool is_public;
        } rows[] = {
                {"1.1.1.1", true},
                {"8.8.8.8", true},
                {"10.0.0.1", false},
                {"127.0.0.1", false},
                {"127.255.0.1", false},
                {"0.0.0.0", false},
                {"100.64.0.1", false},
                {"100.128.0.1", true},
                {"169.254.169.254", false},
                {"172.15.0.1", true},
                {"172.16.0.1", false},
                {"172.31.255.255", false},
                {"172.32.0.1", true},
                {"192.168.1.1", false},
                {"224.0.0.1", false},
                {"255.255.255.255", false},
                {"198.51.100.7", false},
                {"2606:4700::1111", true},
                {"::1", false},
                {"::", false},
                {"fe80::1", false},
                {"fd00::1", false},
                {"ff02::1", false},
                {"2001:db8::1", false},
                {"::ffff:10.0.0.1", false},
                {"::ffff:1.1.1.1", true},
                {"64:ff9b::a00:1", false},
                {"64:ff9b::101:101", true},
                {"2002:a00:1::", false},
                {"2001::1", false},
                {"::127.0.0.1", false},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct sockaddr_storage storage = address(rows[i].address);

                if (cidr_is_public((struct sockaddr *) &storage) != rows[i].is_public)
                        fail_msg("%s", rows[i].address);
        }
}

static void test_loopback(void **state) {
        struct sockaddr_storage storage;

        (void) state;
        storage = address("127.0.0.53");
        assert_true(cidr_is_loopback((struct sockaddr *) &storage));
        storage = address("::ffff:127.0.0.1");
        assert_true(cidr_is_loopback((struct sockaddr *) &storage));
        storage = address("0.0.0.0");
        assert_true(cidr_is_loopback((struct sockaddr *) &storage));
        storage = address("10.0.0.1");
        assert_false(cidr_is_loopback((struct sockaddr *) &storage));
        storage.ss_family = AF_UNIX;
        assert_false(cidr_is_loopback((struct sockaddr *) &storage));
        assert_false(cidr_is_public((struct sockaddr *) &storage));
}

static void test_ranges(void **state) {
        static const char *const bad[] = {"",           "10.0.0.0/33", "10.0.0.1/8", "10.0.0",     "x",
                                          "fd00::/129", "10.0.0.0/",   "fd00::1/8",  "10.0.0.0/-1"};
        struct sockaddr_storage inside = address("10.1.200.3"), mapped = address("::ffff:10.1.0.1"), outside = address("10.2.0.1");
        struct sockaddr_storage v6 = address("fd12::1");
        struct cidr cidr;

        (void) state;
        assert_int_equal(cidr_parse("10.1.0.0/16", &cidr), 0);
        assert_true(cidr_match(&cidr, (struct sockaddr *) &inside));
        assert_true(cidr_match(&cidr, (struct sockaddr *) &mapped));
        assert_false(cidr_match(&cidr, (struct sockaddr *) &outside));
        assert_false(cidr_match(&cidr, (struct sockaddr *) &v6));
        assert_int_equal(cidr_parse("fd00::/9", &cidr), 0);
        assert_true(cidr_match(&cidr, (struct sockaddr *) &v6));
        assert_int_equal(cidr_parse("10.2.0.1", &cidr), 0);
        assert_true(cidr_match(&cidr, (struct sockaddr *) &outside));
        assert_int_equal(cidr_parse("0.0.0.0/0", &cidr), 0);
        assert_true(cidr_match(&cidr, (struct sockaddr *) &outside));
        assert_false(cidr_match(&cidr, (struct sockaddr *) &v6));
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(cidr_parse(bad[i], &cidr), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_public),
                cmocka_unit_test(test_loopback),
                cmocka_unit_test(test_ranges),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
