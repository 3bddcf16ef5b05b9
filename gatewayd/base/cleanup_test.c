/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

struct thing {
        int *n_freed;
};

static void thing_free(struct thing *thing) {
        (*thing->n_freed)++;
}
DEFINE_CLEANUP(struct thing *, thing_free);

static void test_take_pointer(void **state) {
        int n_freed = 0;
        struct thing object = {&n_freed}, *taken;

        (void) state;
        {
                _cleanup_(thing_freep) struct thing *owned = &object;

                taken = TAKE_PTR(owned);
                assert_null(owned);
        }
        assert_ptr_equal(taken, &object);
        assert_int_equal(n_freed, 0);
        {
                _cleanup_(thing_freep) struct thing *owned = &object;

                assert_non_null(owned);
        }
        assert_int_equal(n_freed, 1);
}

static void test_close_keeps_errno(void **state) {
        int fd, taken;

        (void) state;
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        {
                _cleanup_close_ int owned = fd;

                taken = TAKE_FD(owned);
                assert_int_equal(owned, -1);
        }
        assert_int_equal(fcntl(taken, F_GETFD), FD_CLOEXEC);
        errno = ENOTTY;
        {
                _cleanup_close_ int owned = taken;

                (void) owned;
        }
        assert_int_equal(errno, ENOTTY);
        assert_int_equal(fcntl(taken, F_GETFD), -1);
}

static void test_macros_nest(void **state) {
        int calls = 0;

        (void) state;
        assert_int_equal(MAX(MIN(3, 5), MIN(4, MAX(1, 2))), 3);
        assert_int_equal(MIN(++calls, 7), 1);
        assert_int_equal(calls, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_take_pointer),
                cmocka_unit_test(test_close_keeps_errno),
                cmocka_unit_test(test_macros_nest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
