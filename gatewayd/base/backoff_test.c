/* SPDX-License-Identifier: Apache-2.0 */
#include "base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_backoff(void **state) {
        (void) state;
        assert_int_equal(backoff_ms(1, 2000, 60000, UINT32_MAX), 1999);
        assert_int_equal(backoff_ms(1, 2000, 60000, 0), 0);
        assert_int_equal(backoff_ms(3, 2000, 60000, UINT32_MAX), 7999);
        assert_int_equal(backoff_ms(100, 2000, 60000, UINT32_MAX), 59999);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_backoff),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
