/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_append_consume(void **state) {
        _cleanup_buffer_ struct buffer buffer = BUFFER_INIT(1000);

        (void) state;
        assert_non_null(buffer_data(&buffer));
        assert_int_equal(buffer_find(&buffer, 'x'), -1);
        assert_int_equal(buffer_append(&buffer, "hello\nworld", 11), 0);
        assert_int_equal(buffer_find(&buffer, '\n'), 5);
        buffer_consume(&buffer, 6);
        assert_int_equal(buffer_size(&buffer), 5);
        assert_memory_equal(buffer_data(&buffer), "world", 5);
        buffer_consume(&buffer, 100);
        assert_int_equal(buffer_size(&buffer), 0);
        assert_int_equal(buffer_append(&buffer, "", 0), 0);
}

static void test_limit(void **state) {
        _cleanup_buffer_ struct buffer buffer = BUFFER_INIT(300);
        char block[300];

        (void) state;
        memset(block, 'a', sizeof(block));
        assert_int_equal(buffer_append(&buffer, block, 301), -E2BIG);
        assert_int_equal(buffer_append(&buffer, block, 300), 0);
        assert_int_equal(buffer_room(&buffer), 0);
        assert_int_equal(buffer_append(&buffer, block, 1), -E2BIG);
        assert_int_equal(buffer_size(&buffer), 300);
        /* The front makes room for the end. */
        buffer_consume(&buffer, 299);
        assert_int_equal(buffer_append(&buffer, block, 299), 0);
        assert_int_equal(buffer_size(&buffer), 300);
        assert_int_equal(buffer_append(&buffer, block, SIZE_MAX), -E2BIG);
}

static void test_reserve_commit(void **state) {
        _cleanup_buffer_ struct buffer buffer = BUFFER_INIT(0);
        uint8_t *space = NULL;
        size_t space_bytes = 0;

        (void) state;
        buffer_init(&buffer, 512);
        assert_int_equal(buffer_append(&buffer, "ab", 2), 0);
        assert_int_equal(buffer_reserve(&buffer, 1000, &space, &space_bytes), 0);
        assert_int_equal(space_bytes, 510);
        memcpy(space, "cd", 2);
        buffer_commit(&buffer, 2);
        assert_int_equal(buffer_size(&buffer), 4);
        assert_memory_equal(buffer_data(&buffer), "abcd", 4);
        buffer_commit(&buffer, 508);
        assert_int_equal(buffer_reserve(&buffer, 1, &space, &space_bytes), -E2BIG);
        buffer_clear(&buffer);
        assert_int_equal(buffer_size(&buffer), 0);
        assert_int_equal(buffer_reserve(&buffer, 1, &space, &space_bytes), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_append_consume),
                cmocka_unit_test(test_limit),
                cmocka_unit_test(test_reserve_commit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
