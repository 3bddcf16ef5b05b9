/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error_catalogue.h"

#include <fcntl.h>
#include <ftw.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/str.h"

/*
 * Holds the code against the catalogue: every name that a source file hands to gw_error_set() as a literal must be in the catalogue
 * (or, in a plugin, in that plugin's own table). Tests and the template for plugins use names of their own and are left out.
 */

static struct strbuf unknown = {.limit = 1 << 16};
static size_t n_names;
static regex_t call, own;

static char *read_source(const char *path, off_t size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        char *text = calloc(1, (size_t) size + 1);

        assert_true(fd >= 0);
        assert_non_null(text);
        assert_int_equal(read(fd, text, (size_t) size), size);
        return text;
}

/* A plugin's table stands in the file that uses its names. */
static bool is_of_own_table(const char *text, const char *name) {
        const char *row, *end;
        char quoted[80];
        regmatch_t table;

        str_format(quoted, sizeof(quoted), "\"%s\"", name);
        if (regexec(&own, text, 1, &table, 0) != 0)
                return false;
        end = strstr(text + table.rm_so, "};");
        row = strstr(text + table.rm_so, quoted);
        return row && end && row < end;
}

static void check_source(const char *path, const char *text) {
        regmatch_t match[2];

        for (const char *at = text; regexec(&call, at, ARRAY_SIZE(match), match, 0) == 0; at += match[0].rm_eo) {
                char name[64];

                str_copy_n(name, sizeof(name), at + match[1].rm_so, (size_t) (match[1].rm_eo - match[1].rm_so));
                n_names++;
                if (!error_catalogue_find(name) && !is_of_own_table(text, name))
                        strbuf_appendf(&unknown, "%s in %s\n", name, path);
        }
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *ftw) {
        _cleanup_free_ char *text = NULL;

        (void) ftw;
        if (type != FTW_F || !str_ends_with(path, ".c") || str_ends_with(path, "_test.c") || strstr(path, "/plugins/example/"))
                return 0;
        text = read_source(path, status->st_size);
        check_source(path, text);
        return 0;
}

static void test_every_name_in_the_code_is_in_the_catalogue(void **state) {
        static const char *const folders[] = {"gatewayd", "plugins", "gatewayctl"};

        (void) state;
        assert_int_equal(regcomp(&call, "gw_error_set\\([^,]*,[[:space:]]*\"([^\"]*)\"", REG_EXTENDED), 0);
        assert_int_equal(regcomp(&own, "struct gw_error_info [a-z_]*\\[\\]", REG_EXTENDED), 0);
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
                char path[512];

                assert_int_equal(str_format(path, sizeof(path), "%s/%s", GW_SOURCE_DIR, folders[i]), 0);
                nftw(path, visit, 16, 0);
        }
        regfree(&call);
        regfree(&own);
        assert_true(n_names > 0);
        if (unknown.size > 0)
                fail_msg("names that are not in error_catalogue.def:\n%s", strbuf_text(&unknown));
        strbuf_deinit(&unknown);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_name_in_the_code_is_in_the_catalogue)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
