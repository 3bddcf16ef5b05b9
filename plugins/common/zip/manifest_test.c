/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zip/manifest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int parse(const char *text, struct manifest *manifest, struct gw_error *err) {
        return manifest_parse(text, strlen(text), manifest, err);
}

static void a_real_entry(void **state) {
        struct manifest manifest;
        (void) state;
        assert_int_equal(parse("{\"format-version\": 1, \"time\": 1786861789, \"name\": \"omi\", \"files\": "
                               "[{\"type\":\"application\",\"board\":\"omi\","
                               "\"soc\":\"nrf5340\",\"load_address\":66048,\"image_index\":\"0\",\"slot_index_primary\":\"1\",\"slot_index_"
                               "secondary\":\"2\","
                               "\"version_MCUBOOT\":\"0.0.4+0\",\"size\":249148,\"file\":\"omi.signed.bin\",\"modtime\":1786861789}]}",
                               &manifest, NULL),
                         0);
        assert_string_equal(manifest.name, "omi");
        assert_int_equal(manifest.purpose, MANIFEST_APPLICATION);
        assert_int_equal(manifest.n_files, 1);
        assert_string_equal(manifest.files[0].file, "omi.signed.bin");
        assert_string_equal(manifest.files[0].board, "omi");
        assert_string_equal(manifest.files[0].version, "0.0.4+0");
        assert_int_equal(manifest.files[0].image, 0);
        assert_int_equal(manifest.files[0].slot, -1);
        assert_true(manifest.files[0].has_size);
        assert_int_equal(manifest.files[0].size, 249148);
}

static void numbers_as_strings_and_strings_as_numbers(void **state) {
        struct manifest manifest;
        (void) state;
        assert_int_equal(parse("{\"format-version\":\"0\",\"files\":[{\"file\":\"a\",\"image_index\":1,\"slot\":0,\"size\":\"0x10\","
                               "\"version\":7,\"board\":52},"
                               "{\"file\":\"b\",\"image_index\":\"1\",\"slot\":\"1\",\"version_MCUBOOT\":null,\"version\":\"2.0\"}]}",
                               &manifest, NULL),
                         0);
        assert_int_equal(manifest.n_files, 2);
        assert_int_equal(manifest.files[0].image, 1);
        assert_int_equal(manifest.files[0].slot, 0);
        assert_int_equal(manifest.files[0].size, 16);
        assert_string_equal(manifest.files[0].version, "7");
        assert_string_equal(manifest.files[0].board, "52");
        assert_int_equal(manifest.files[1].slot, 1);
        assert_string_equal(manifest.files[1].version, "2.0");
        assert_false(manifest.files[1].has_size);
}

static void purposes(void **state) {
        static const struct {
                const char *types[2];
                enum manifest_purpose purpose;
        } cases[] = {
                {{"application", "bin"}, MANIFEST_APPLICATION},
                {{"mcuboot", "mcuboot"}, MANIFEST_BOOTLOADER},
                {{"application", "mcuboot"}, MANIFEST_BOOTLOADER},
                {{"suit-envelope", "cache"}, MANIFEST_SUIT},
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char text[256];
                struct manifest manifest;
                snprintf(text, sizeof text,
                         "{\"files\":[{\"file\":\"a\",\"type\":\"%s\"},{\"file\":\"b\",\"image_index\":1,\"type\":\"%s\"}]}",
                         cases[i].types[0], cases[i].types[1]);
                assert_int_equal(parse(text, &manifest, NULL), 0);
                assert_int_equal(manifest.purpose, cases[i].purpose);
        }
}

static void refuses_by_name(void **state) {
        static const struct {
                const char *text, *name;
        } cases[] = {
                {"", "manifest-invalid"},
                {"[]", "manifest-invalid"},
                {"{}", "manifest-invalid"},
                {"null", "manifest-invalid"},
                {"{\"files\":{}}", "manifest-invalid"},
                {"{\"files\":[]}", "manifest-invalid"},
                {"{\"files\":[3]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\"}],}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\"}],\"files\":[{\"file\":\"b\"}]}", "manifest-invalid"},
                {"{\"format-version\":2,\"files\":[{\"file\":\"a\"}]}", "manifest-invalid"},
                {"{\"format-version\":{},\"files\":[{\"file\":\"a\"}]}", "manifest-invalid"},
                {"{\"files\":[{}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":{}}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\",\"type\":\"firmware\"}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\",\"type\":[]}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\",\"image_index\":16}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\",\"image_index\":-1}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\",\"image_index\":\"zero\"}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\",\"image_index\":1.5}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\",\"image_index\":true}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\",\"slot\":2}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\",\"size\":4294967296}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\",\"board\":\"two words\"}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"\"}]}", "zip-path"},
                {"{\"files\":[{\"file\":\"..\"}]}", "zip-path"},
                {"{\"files\":[{\"file\":\"../a\"}]}", "zip-path"},
                {"{\"files\":[{\"file\":\"/a\"}]}", "zip-path"},
                {"{\"files\":[{\"file\":\"a\\\\b\"}]}", "zip-path"},
                {"{\"files\":[{\"file\":\"a\\u001b[2J\"}]}", "zip-path"},
                {"{\"files\":[{\"file\":\"a\\u0000b\"}]}", "manifest-invalid"},
                {"{\"files\":[{\"file\":\"a\"},{\"file\":\"b\"}]}", "part-duplicate"},
                {"{\"files\":[{\"file\":\"a\"},{\"file\":\"a\",\"image_index\":1}]}", "part-duplicate"},
                {"{\"files\":[{\"file\":\"a\",\"slot\":0},{\"file\":\"b\",\"slot\":0}]}", "part-duplicate"},
                {"{\"files\":[{\"file\":\"a\",\"slot\":0},{\"file\":\"b\"}]}", "part-duplicate"},
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct manifest manifest = {.n_files = 55};
                struct gw_error err = {};
                assert_int_equal(parse(cases[i].text, &manifest, &err), -EBADMSG);
                if (strcmp(err.name, cases[i].name) != 0)
                        fail_msg("%s: %s (%s)", cases[i].text, err.name, err.text);
                assert_int_equal(manifest.n_files, 55);
        }
}

static void as_many_files_as_a_package_has_parts(void **state) {
        char text[4096] = "{\"files\":[";
        struct manifest manifest;
        (void) state;
        for (int i = 0; i < GW_PARTS_MAX; i++)
                snprintf(text + strlen(text), sizeof text - strlen(text), "%s{\"file\":\"f%d\",\"image_index\":%d}", i ? "," : "", i, i);
        strcat(text, "]}");
        assert_int_equal(parse(text, &manifest, NULL), 0);
        assert_int_equal(manifest.n_files, GW_PARTS_MAX);
        text[strlen(text) - 2] = '\0';
        strcat(text, ",{\"file\":\"x\"}]}");
        assert_int_equal(parse(text, &manifest, NULL), -EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_real_entry),    cmocka_unit_test(numbers_as_strings_and_strings_as_numbers), cmocka_unit_test(purposes),
                cmocka_unit_test(refuses_by_name), cmocka_unit_test(as_many_files_as_a_package_has_parts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
