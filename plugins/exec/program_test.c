/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
        char root[64], folder[80], program[96];
};

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);
        FILE *file;

        snprintf(fixture->root, sizeof fixture->root, "/tmp/exec-program-XXXXXX");
        assert_non_null(mkdtemp(fixture->root));
        snprintf(fixture->folder, sizeof fixture->folder, "%s/in", fixture->root);
        snprintf(fixture->program, sizeof fixture->program, "%s/update", fixture->folder);
        assert_int_equal(mkdir(fixture->folder, 0755), 0);
        file = fopen(fixture->program, "w");
        assert_non_null(file);
        fclose(file);
        assert_int_equal(chmod(fixture->program, 0755), 0);
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        struct fixture *fixture = *state;
        char command[96];

        snprintf(command, sizeof command, "rm -rf %s", fixture->root);
        assert_int_equal(system(command), 0);
        free(fixture);
        return 0;
}

static void expect(const char *program, const char *name) {
        char resolved[PATH_MAX] = "";
        struct gw_error err = { 0 };
        int r = program_check(program, resolved, &err);

        assert_string_equal(err.name, name);
        assert_int_equal(r < 0, name[0] != '\0');
        assert_int_equal(resolved[0] == '/', r == 0);
}

static void test_a_safe_one(void **state) {
        const struct fixture *fixture = *state;

        expect(fixture->program, "");
        expect("/bin/sh", "");
}

static void test_modes(void **state) {
        const struct fixture *fixture = *state;
        static const struct {
                mode_t program, folder, root;
                const char *name;
        } rows[] = {
                { 0700, 0700, 0700, "" },
                { 0775, 0755, 0755, "exec-not-safe" },
                { 0757, 0755, 0755, "exec-not-safe" },
                { 0755, 0775, 0755, "exec-not-safe" },
                { 0755, 0755, 0777, "exec-not-safe" },
                /* Others may put files there, but not exchange ours. */
                { 0755, 0755, 01777, "" },
                { 0644, 0755, 0755, "exec-not-found" },
        };

        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                assert_int_equal(chmod(fixture->program, rows[i].program), 0);
                assert_int_equal(chmod(fixture->folder, rows[i].folder), 0);
                assert_int_equal(chmod(fixture->root, rows[i].root), 0);
                expect(fixture->program, rows[i].name);
        }
}

static void test_owners(void **state) {
        const struct fixture *fixture = *state;

        if (geteuid() != 0)
                skip(); /* only root can give files away */
        assert_int_equal(chown(fixture->program, 12345, 0), 0);
        expect(fixture->program, "exec-not-safe");
        assert_int_equal(chown(fixture->program, 0, 12345), 0);
        expect(fixture->program, "");
        assert_int_equal(chown(fixture->folder, 12345, 0), 0);
        expect(fixture->program, "exec-not-safe");
}

static void test_what_is_no_program(void **state) {
        const struct fixture *fixture = *state;

        expect(NULL, "exec-not-found");
        expect("", "exec-not-found");
        expect("update", "exec-not-found");
        expect(fixture->folder, "exec-not-found");
        expect("/no/such/program", "exec-not-found");
}

/* A link counts as what it leads to. */
static void test_links(void **state) {
        const struct fixture *fixture = *state;
        char link[128], resolved[PATH_MAX];

        snprintf(link, sizeof link, "%s/link", fixture->root);
        assert_int_equal(symlink(fixture->program, link), 0);
        assert_int_equal(program_check(link, resolved, NULL), 0);
        assert_string_equal(resolved, fixture->program);
        assert_int_equal(chmod(fixture->program, 0777), 0);
        expect(link, "exec-not-safe");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = { TEST(test_a_safe_one), TEST(test_modes), TEST(test_owners), TEST(test_what_is_no_program),
                                            TEST(test_links) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
