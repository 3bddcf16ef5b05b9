/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/keyring.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/str.h"
#include "trust/test_keys.h"

#define OTHER_PUBLIC "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n"

static char directory[64];

static void put(const char *name, const char *text, mode_t mode) {
        char path[160];
        _cleanup_fclose_ FILE *file = NULL;

        assert_int_equal(str_format(path, sizeof path, "%s/%s", directory, name), 0);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fputs(text, file) >= 0, 1);
        assert_int_equal(fchmod(fileno(file), mode), 0);
}

static int make_directory(void **state) {
        (void) state;
        strcpy(directory, "/tmp/keyring_test.XXXXXX");
        return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
        _cleanup_closedir_ DIR *dir = opendir(directory);
        struct dirent *entry;

        (void) state;
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
                        (void) unlinkat(dirfd(dir), entry->d_name, entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
        return rmdir(directory);
}

static struct keyring *load(void) {
        struct keyring *keyring = NULL;
        struct gw_error err = { 0 };

        if (keyring_load(directory, &keyring, &err) < 0)
                fail_msg("%s: %s", err.name, err.text);
        return keyring;
}

static void assert_fault(const struct keyring *keyring, const char *file, const char *name) {
        for (size_t i = 0; i < keyring_fault_count(keyring); i++) {
                const struct keyring_fault *fault = keyring_fault_at(keyring, i);

                if (strcmp(fault->file, file) != 0)
                        continue;
                assert_string_equal(fault->error.name, name);
                assert_string_not_equal(fault->error.text, "");
                return;
        }
        fail_msg("%s is not told", file);
}

static void test_keys_with_and_without_scope(void **state) {
        _cleanup_keyring_ struct keyring *keyring = NULL;
        const struct keyring_key *key;
        _cleanup_free_ char *scoped = NULL;

        (void) state;
        assert_true(asprintf(&scoped,
                             "# of the pipeline\n[scope]\ndrivers = smp-serial, smp-udp\ngroups = oslo\naudience = pi-* lab-?\n"
                             "may_downgrade = no\nexpires = 2027-12-31T00:00:00Z\n%s",
                             test_p256_public) > 0);
        put("ci.pub", scoped, 0644);
        put("anna.pub", test_ed25519_public, 0600);
        put("README", "what these are\n", 0644);
        keyring = load();
        assert_int_equal(keyring_count(keyring), 2);
        assert_int_equal(keyring_fault_count(keyring), 0);
        assert_string_equal(keyring_at(keyring, 0)->kid, "anna");
        assert_null(keyring_at(keyring, 2));
        key = keyring_find(keyring, "anna");
        assert_int_equal(key_kind(key->key), KEY_ED25519);
        assert_true(key->scope.may_downgrade);
        assert_int_equal(key->scope.expires_ms, 0);
        assert_int_equal(key->scope.drivers.n_items + key->scope.groups.n_items + key->scope.audience.n_items, 0);
        key = keyring_find(keyring, "ci");
        assert_int_equal(key_kind(key->key), KEY_P256);
        assert_int_equal(key->scope.drivers.n_items, 2);
        assert_string_equal(key->scope.drivers.items[1], "smp-udp");
        assert_string_equal(key->scope.groups.items[0], "oslo");
        assert_string_equal(key->scope.audience.items[1], "lab-?");
        assert_false(key->scope.may_downgrade);
        assert_int_equal(key->scope.expires_ms, INT64_C(1830211200000));
        assert_null(keyring_find(keyring, "ci.pub"));
        assert_null(keyring_find(keyring, "../ci"));
        assert_null(keyring_find(NULL, "ci"));
}

static void test_scopes_with_mistakes_leave_the_key_out(void **state) {
        static const struct {
                const char *lines, *name;
        } rows[] = {
                { "[scope]\ndriver = smp-udp\n", "key-scope-invalid" },         /* a typing error must not widen */
                { "[scope]\ndrivers =\n", "key-scope-invalid" },                /* nothing is not everything */
                { "[scope]\ndrivers = \"\"\n", "key-scope-invalid" },
                { "[scope]\ndrivers = SMP\n", "key-scope-invalid" },
                { "[scope]\ngroups = Oslo\n", "key-scope-invalid" },
                { "[scope]\naudience = group:oslo\n", "key-scope-invalid" },
                { "[scope]\nmay_downgrade = perhaps\n", "key-scope-invalid" },
                { "[scope]\nexpires = tomorrow\n", "key-scope-invalid" },
                { "[scope]\nexpires =\n", "key-scope-invalid" },
                { "[scope]\ndrivers = smp-udp\ndrivers = smp-serial\n", "key-scope-invalid" },
                { "[scope]\ndrivers = a\n[scope]\ndrivers = b\n", "key-scope-invalid" },
                { "[skope]\ndrivers = smp-udp\n", "key-scope-invalid" },
                { "drivers = smp-udp\n", "key-scope-invalid" },                 /* outside of the section */
                { "only for oslo\n", "key-scope-invalid" },
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_free_ char *text = NULL;
                struct keyring_key *key = NULL;
                struct gw_error err = { 0 };

                assert_true(asprintf(&text, "%s%s", rows[i].lines, test_ed25519_public) > 0);
                if (keyring_key_parse("a.pub", text, strlen(text), &key, &err) != -EINVAL)
                        fail_msg("read: %s", rows[i].lines);
                assert_string_equal(err.name, rows[i].name);
        }
}

static void test_names(void **state) {
        static const char *const rows[] = { ".pub", "a b.pub", "a\xc3\xa4.pub", "..pub", "key", "a.pub.bak",
                                            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.pub" };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct keyring_key *key = NULL;
                struct gw_error err = { 0 };

                if (keyring_key_parse(rows[i], test_ed25519_public, strlen(test_ed25519_public), &key, &err) != -EINVAL)
                        fail_msg("%s is taken", rows[i]);
                assert_string_equal(err.name, "key-name");
        }
}

static void test_a_broken_file_is_told_and_the_others_count(void **state) {
        _cleanup_keyring_ struct keyring *keyring = NULL;
        char path[160];

        (void) state;
        put("good.pub", test_ed25519_public, 0644);
        put("twin.pub", test_ed25519_public, 0644);
        put("broken.pub", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0644);
        put("behind.pub", OTHER_PUBLIC "[scope]\ndrivers = smp-udp\n", 0644);
        put("private.pub", test_p256_private, 0600);
        put("anna.key", test_p256_private, 0600);
        put("open.pub", test_p256_public, 0666);
        put("not a key.pub", test_p256_public, 0644);
        put("empty.pub", "", 0644);
        assert_int_equal(str_format(path, sizeof path, "%s/folder.pub", directory), 0);
        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(str_format(path, sizeof path, "%s/fifo.pub", directory), 0);
        assert_int_equal(mkfifo(path, 0600), 0); /* must not block */
        assert_int_equal(str_format(path, sizeof path, "%s/nowhere.pub", directory), 0);
        assert_int_equal(symlink("gone", path), 0);
        keyring = load();
        assert_int_equal(keyring_count(keyring), 1);
        assert_non_null(keyring_find(keyring, "good"));
        assert_fault(keyring, "twin.pub", "key-invalid");
        assert_fault(keyring, "broken.pub", "key-invalid");
        assert_fault(keyring, "behind.pub", "key-invalid");
        assert_fault(keyring, "private.pub", "key-private");
        assert_fault(keyring, "anna.key", "key-private");
        assert_fault(keyring, "open.pub", "key-writable");
        assert_fault(keyring, "not a key.pub", "key-name");
        assert_fault(keyring, "empty.pub", "key-invalid");
        assert_fault(keyring, "folder.pub", "key-invalid");
        assert_fault(keyring, "fifo.pub", "key-invalid");
        assert_fault(keyring, "nowhere.pub", "key-unreadable");
        assert_int_equal(keyring_fault_count(keyring), 11);
}

static void test_directories(void **state) {
        _cleanup_keyring_ struct keyring *keyring = NULL;
        struct gw_error err = { 0 };

        (void) state;
        assert_int_equal(keyring_load("/nonexistent/keys", &keyring, &err), 0);
        assert_int_equal(keyring_count(keyring), 0);
        assert_int_equal(chmod(directory, 0777), 0);
        assert_int_equal(keyring_load(directory, &keyring, &err), -EPERM);
        assert_string_equal(err.name, "keys-unreadable");
        err = (struct gw_error){ 0 };
        assert_true(keyring_load("/dev/null", &keyring, &err) < 0);
        assert_string_equal(err.name, "keys-unreadable");
}

static void test_a_snapshot_outlives_its_files(void **state) {
        _cleanup_keyring_ struct keyring *keyring = NULL, *held = NULL;

        (void) state;
        put("good.pub", test_ed25519_public, 0644);
        keyring = load();
        held = keyring_ref(keyring);
        keyring_unref(TAKE_PTR(keyring));
        put("good.pub", "", 0644);
        keyring = load();
        assert_null(keyring_find(keyring, "good"));
        assert_non_null(keyring_find(held, "good"));
}

int main(void) {
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)
        const struct CMUnitTest tests[] = {
                TEST(test_keys_with_and_without_scope),
                TEST(test_scopes_with_mistakes_leave_the_key_out),
                TEST(test_names),
                TEST(test_a_broken_file_is_told_and_the_others_count),
                TEST(test_directories),
                TEST(test_a_snapshot_outlives_its_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
