/* SPDX-License-Identifier: Apache-2.0 */

/* Every name of an error or a waiting reason in this plugin's sources stands in the catalogue: the plugin has no table of its own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "base/error_catalogue.h"

#define FILE_MAX 100000

/* The literals behind `marker` in `text`; returns how many. */
static unsigned check_names(const char *file, const char *text, const char *marker) {
        unsigned n = 0;

        for (const char *at = strstr(text, marker); at; at = strstr(at + 1, marker)) {
                const char *begin = at + strlen(marker), *end = strchr(begin, '"');
                char name[64];

                assert_non_null(end);
                snprintf(name, sizeof name, "%.*s", (int) (end - begin), begin);
                if (!error_catalogue_find(name))
                        fail_msg("%s: \"%s\" is not in the catalogue", file, name);
                n++;
        }
        return n;
}

static void test_names(void **state) {
        static const char *const markers[] = { "err, \"", "error, \"", "run_wait(run, \"" };
        static char text[FILE_MAX];
        unsigned n = 0;
        glob_t found;

        (void) state;
        assert_int_equal(glob(GW_SOURCE_DIR "/plugins/smp/*.c", 0, NULL, &found), 0);
        for (size_t i = 0; i < found.gl_pathc; i++) {
                FILE *file = strstr(found.gl_pathv[i], "_test.c") ? NULL : fopen(found.gl_pathv[i], "r");

                if (!file)
                        continue;
                text[fread(text, 1, sizeof text - 1, file)] = '\0';
                fclose(file);
                for (size_t marker = 0; marker < 3; marker++)
                        n += check_names(found.gl_pathv[i], text, markers[marker]);
        }
        globfree(&found);
        assert_true(n > 50);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_names) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
