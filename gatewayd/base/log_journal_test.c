/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_compares_device_and_inode(void **state) {
        char variable[64];
        struct stat st;
        int fds[2];

        (void) state;
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(fstat(fds[1], &st), 0);
        snprintf(variable, sizeof(variable), "%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino);
        assert_true(log_journal_is_stream(fds[1], variable));
        strcat(variable, "x");
        assert_false(log_journal_is_stream(fds[1], variable));
        snprintf(variable, sizeof(variable), "%ju:%ju", (uintmax_t) st.st_dev, (uintmax_t) st.st_ino + 1);
        assert_false(log_journal_is_stream(fds[1], variable));
        assert_false(log_journal_is_stream(fds[1], "garbage"));
        assert_false(log_journal_is_stream(fds[1], NULL));
        close(fds[0]);
        close(fds[1]);
}

static void test_stays_away_without_journal(void **state) {
        (void) state;
        unsetenv("JOURNAL_STREAM");
        assert_false(log_journal_attach());
        setenv("JOURNAL_STREAM", "0:0", 1);
        assert_false(log_journal_attach());
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_compares_device_and_inode),
                cmocka_unit_test(test_stays_away_without_journal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
