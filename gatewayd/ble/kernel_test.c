/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void test_table(void **state) {
        static const struct {
                const char *release, *version;
                bool fails;
        } rows[] = {
                { "6.1.0-56-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-10-01)", true },
                { "6.1.0-55-rpi", "#1 SMP PREEMPT Debian 6.1.191-1", true },
                { "6.1.0-54-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.190-1 (2026-09-01)", false },
                { "6.1.0-57-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.193-1 (2026-11-01)", false },
                { "6.1.192-v8+", "#1 SMP PREEMPT Mon Nov  2 12:00:00 GMT 2026", true },
                { "6.1.19-v8+", "#1 SMP PREEMPT", false },
                { "6.12.192-v8+", "#1 SMP PREEMPT", false },
                { "6.6.191", "#1", false },
                { "6.1.192", "#1 Debian", true },
                { "6.1", "#1", false },
                { "", "", false },
                { "6.1.0-99", "#1 Debian unknown", false },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (ble_kernel_fails(rows[i].release, rows[i].version) != rows[i].fails)
                        fail_msg("row %zu: %s, %s", i, rows[i].release, rows[i].version);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_table) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
