/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/plugins.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"

/* Real shared objects (test_plugin/), copied into a folder of the test's own, so that owner, mode and name can be what they must not be. */

#define STRANGER 54321 /* a uid that is neither root's nor ours */

struct fixture {
        char folder[64];
        struct loop *loop;
        struct settings *settings;
        struct driver_registry *registry;
        struct plugins *plugins;
        struct config_errors mistakes;
        char log[4096];
};

static struct fixture fixture;

static void remember_log(enum log_level level, const struct log_fields *fields, const char *text, void *context) {
        size_t used = strlen(fixture.log);
        (void) level;
        (void) fields;
        (void) context;
        snprintf(fixture.log + used, sizeof fixture.log - used, "%s\n", text);
}

static int set_up(void **state) {
        (void) state;
        memset(&fixture, 0, sizeof fixture);
        fixture.mistakes = (struct config_errors) CONFIG_ERRORS_INIT;
        strcpy(fixture.folder, "/tmp/plugins-test-XXXXXX");
        assert_non_null(mkdtemp(fixture.folder));
        log_set_sink(remember_log, NULL);
        assert_int_equal(driver_registry_new(&fixture.registry), 0);
        return loop_new(&fixture.loop);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw) {
        (void) status;
        (void) type;
        (void) ftw;
        return remove(path);
}

static int tear_down(void **state) {
        (void) state;
        plugins_free(fixture.plugins);
        driver_registry_free(fixture.registry);
        settings_free(fixture.settings);
        config_errors_deinit(&fixture.mistakes);
        loop_free(fixture.loop);
        log_set_sink(NULL, NULL);
        return nftw(fixture.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- words for the tests --- */

static const char *path_of(const char *file) {
        static char path[256];
        (void) str_format(path, sizeof path, "%s/%s", fixture.folder, file);
        return path;
}

static void write_file(const char *name, const void *data, size_t size) {
        int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, size), size);
        assert_int_equal(fchmod(fd, 0755), 0);
        close(fd);
}

static void install_as(const char *kind, const char *file) {
        char path[512];
        _cleanup_close_ int fd = -1;
        _cleanup_free_ void *data = NULL;
        struct stat status;
        (void) str_format(path, sizeof path, "%s/%s.so", TEST_PLUGIN_DIR, kind);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &status), 0);
        data = malloc((size_t) status.st_size);
        assert_non_null(data);
        assert_int_equal(read(fd, data, (size_t) status.st_size), status.st_size);
        write_file(file, data, (size_t) status.st_size);
}

static void install(const char *kind) {
        char file[64];
        (void) str_format(file, sizeof file, "%s.so", kind);
        install_as(kind, file);
}

static void load(const char *more) {
        struct plugins_options options = { .loop = fixture.loop, .registry = fixture.registry };
        char text[1024];
        (void) str_format(text, sizeof text, "[gateway]\nid = test\nplugin_dir = %s\n%s", fixture.folder, more);
        assert_int_equal(settings_parse("test.conf", text, strlen(text), &fixture.mistakes, &fixture.settings), 0);
        assert_false(config_errors_any(&fixture.mistakes));
        options.settings = fixture.settings;
        assert_int_equal(plugins_load(&options, &fixture.mistakes, &fixture.plugins), 0);
}

struct wanted {
        const char *name;
        bool found, loaded;
        char error[48];
};

static void look_at(void *ctx, const struct plugin_info *info) {
        struct wanted *wanted = ctx;
        if (strcmp(info->name, wanted->name) != 0)
                return;
        wanted->found = true;
        wanted->loaded = info->loaded;
        (void) str_copy(wanted->error, sizeof wanted->error, info->error ? info->error->name : "");
}

/* error NULL: it is loaded. */
static void expect(const char *name, const char *error) {
        struct wanted wanted = { .name = name };
        plugins_each(fixture.plugins, look_at, &wanted);
        assert_true(wanted.found);
        assert_string_equal(wanted.error, error ? error : "");
        assert_int_equal(wanted.loaded, !error);
}

static size_t n_formats(void) {
        size_t n;
        (void) driver_registry_formats(fixture.registry, &n);
        return n;
}

static void nothing_is_left(const char *name) {
        char error[64];
        (void) str_format(error, sizeof error, "%s-error", name);
        assert_null(driver_registry_find(fixture.registry, name));
        assert_null(driver_registry_error(fixture.registry, error));
        assert_int_equal(n_formats(), 0);
}

/* --- the tests --- */

static void test_good(void **state) {
        (void) state;
        install("good");
        load("[plugin good]\ndepth = 7\n");
        expect("good", NULL);
        assert_non_null(strstr(fixture.log, "good: depth is 7"));
        assert_non_null(driver_registry_find(fixture.registry, "good"));
        assert_int_equal(driver_registry_error_class(fixture.registry, "good-error"), GW_ERROR_RETRY);
        assert_int_equal(n_formats(), 1);
        assert_string_equal(plugins_of_driver(fixture.plugins, "good"), "good");
        plugins_free(fixture.plugins);
        fixture.plugins = NULL;
        assert_non_null(strstr(fixture.log, "good: unloaded"));
}

static void test_its_configuration(void **state) {
        (void) state;
        install("good");
        load("[plugin good]\ndepth = 99\n");
        assert_true(config_errors_any(&fixture.mistakes));
}

static void test_switched_off(void **state) {
        struct wanted wanted = { .name = "good" };
        (void) state;
        install("good");
        load("[plugin good]\nenabled = no\n");
        plugins_each(fixture.plugins, look_at, &wanted);
        assert_true(wanted.found && !wanted.loaded && !wanted.error[0]);
        nothing_is_left("good");
}

/* Each is left out under its own name and leaves nothing behind. */
static void test_refused(void **state) {
        static const struct {
                const char *kind, *error;
        } cases[] = {
                { "failing", "port-permission" },        { "abi", "plugin-abi" },
                { "misnamed", "plugin-name" },           { "incomplete", "plugin-abi" },
                { "nosymbol", "plugin-symbol-missing" }, { "badtable", "plugin-configuration" },
                { "badtable-driver", "plugin-configuration" },
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                install(cases[i].kind);
        load("");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                expect(cases[i].kind, cases[i].error);
                nothing_is_left(cases[i].kind);
        }
        assert_null(strstr(fixture.log, "unloaded")); /* what was not loaded is not unloaded */
}

static void test_one_failure_does_not_stop_the_others(void **state) {
        (void) state;
        install("failing");
        install("good");
        write_file("broken.so", "no shared object", 16);
        write_file("notes.txt", "no plugin", 9);
        load("");
        expect("broken", "plugin-load-failed");
        expect("failing", "port-permission");
        expect("good", NULL);
        assert_int_equal(n_formats(), 1);
        assert_false(plugins_has(fixture.plugins, "notes"));
}

static void test_a_driver_that_is_there_already(void **state) {
        (void) state;
        install("good");
        install("second");
        load("");
        expect("good", NULL);
        expect("second", "plugin-misbehaved");
        assert_string_equal(plugins_of_driver(fixture.plugins, "good"), "good");
        assert_int_equal(n_formats(), 1);
}

static void test_file_name_is_no_plugin_name(void **state) {
        (void) state;
        install_as("good", "better.so");
        load("");
        expect("better", "plugin-name");
}

static void test_writable(void **state) {
        (void) state;
        install("good");
        assert_int_equal(chmod(path_of("good.so"), 0775), 0);
        load("");
        expect("good", "plugin-writable");
        nothing_is_left("good");
}

static void test_folder_writable(void **state) {
        (void) state;
        install("good");
        assert_int_equal(chmod(fixture.folder, 0777), 0);
        load("");
        expect("good", "plugin-writable");
}

static void test_owner(void **state) {
        (void) state;
        if (geteuid() != 0)
                skip();
        install("good");
        assert_int_equal(chown(path_of("good.so"), STRANGER, (gid_t) -1), 0);
        load("");
        expect("good", "plugin-owner");
}

static void test_folder_owner(void **state) {
        (void) state;
        if (geteuid() != 0)
                skip();
        install("good");
        assert_int_equal(chown(fixture.folder, STRANGER, (gid_t) -1), 0);
        load("");
        expect("good", "plugin-owner");
}

/* A link in a safe folder to a file in one that everybody writes to. */
static void test_link_into_an_unsafe_folder(void **state) {
        char target[256];
        (void) state;
        (void) str_format(target, sizeof target, "%s/unsafe", fixture.folder);
        assert_int_equal(mkdir(target, 0700), 0);
        install_as("good", "unsafe/good.so");
        assert_int_equal(chmod(target, 0777), 0);
        assert_int_equal(symlink("unsafe/good.so", path_of("good.so")), 0);
        load("");
        expect("good", "plugin-writable");
}

static void test_no_folder(void **state) {
        (void) state;
        assert_int_equal(rmdir(fixture.folder), 0);
        load("");
        assert_non_null(strstr(fixture.log, "cannot be read"));
        assert_int_equal(mkdir(fixture.folder, 0700), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_good),
                TEST(test_its_configuration),
                TEST(test_switched_off),
                TEST(test_refused),
                TEST(test_one_failure_does_not_stop_the_others),
                TEST(test_a_driver_that_is_there_already),
                TEST(test_file_name_is_no_plugin_name),
                TEST(test_writable),
                TEST(test_folder_writable),
                TEST(test_owner),
                TEST(test_folder_owner),
                TEST(test_link_into_an_unsafe_folder),
                TEST(test_no_folder),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
