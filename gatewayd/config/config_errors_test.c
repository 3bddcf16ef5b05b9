/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_errors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"

static void test_format_and_bound(void **state) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_free_ char *printed = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&printed, &size);

        (void) state;
        assert_false(config_errors_any(&errors));
        config_errors_add(&errors, "a.conf", 12, "[gateway]", "id", "expected %s", "x");
        config_errors_add(&errors, "a.conf", 3, "[serial]", NULL, "twice");
        config_errors_add(&errors, "a.conf", 0, NULL, NULL, "cannot be read");
        for (int i = 0; i < CONFIG_ERRORS_MAX; i++)
                config_errors_add(&errors, "b.conf", 1, NULL, "k", "more");
        assert_int_equal(errors.n_items, CONFIG_ERRORS_MAX);
        assert_int_equal(errors.n_dropped, 3);
        config_errors_print(&errors, stream);
        fclose(stream);
        assert_ptr_equal(strstr(printed, "a.conf:12: [gateway] id: expected x\na.conf:3: [serial]: twice\na.conf: cannot be read\n"
                                         "b.conf:1: k: more\n"),
                         printed);
        assert_non_null(strstr(printed, "\nand 3 more\n"));
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_format_and_bound)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
