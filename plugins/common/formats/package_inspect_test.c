/* SPDX-License-Identifier: Apache-2.0 */
#include "common/formats/package_inspect.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct gw_package package = {
        .format = "ncs-zip",
        .version = "1.4.0",
        .compatible = {"acme,sensor-r2"},
        .n_compatible = 1,
        .parts = {{.image = 0,
                   .slot = 1,
                   .hash_size = 4,
                   .hash = {0xde, 0xad, 0xbe, 0xef},
                   .size = 1000,
                   .version = "1.4.0",
                   .name = "app.bin",
                   .load_address = 0x1000},
                  {.image = 1, .slot = -1, .hash_size = 2, .hash = {1, 2}, .size = 20, .version = "2.0.0", .encrypted = true}},
        .n_parts = 2,
        .warnings = {"careful \033[2J"},
        .n_warnings = 1,
        .facts = {{"signature", "none"}},
        .n_facts = 1,
        .dependencies = {{.image = 1, .of_image = 0, .minimum = "2.0.0"}},
        .n_dependencies = 1,
};

static void text_for_a_person(void **state) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(10000);
        const char *text;
        (void) state;
        assert_int_equal(package_inspect_text(&package, &out), 0);
        text = strbuf_text(&out);
        assert_non_null(strstr(text, "ncs-zip\n"));
        assert_non_null(strstr(text, "acme,sensor-r2\n"));
        assert_non_null(strstr(text, "image 0 slot 1 "));
        assert_non_null(strstr(text, "1.4.0, 1000 bytes\n"));
        assert_non_null(strstr(text, "deadbeef\n"));
        assert_non_null(strstr(text, "app.bin\n"));
        assert_non_null(strstr(text, "2.0.0, 20 bytes, encrypted\n"));
        assert_non_null(strstr(text, "image 0 needs image 1 to be 2.0.0 or newer\n"));
        assert_null(strchr(text, '\033'));
}

static void a_file_without_hardware_says_so(void **state) {
        static const struct gw_package bare = {.format = "mcuboot", .version = "1.0.0"};
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(1000);
        (void) state;
        assert_int_equal(package_inspect_text(&bare, &out), 0);
        assert_non_null(strstr(strbuf_text(&out), "names no hardware"));
}

static void json_for_a_program(void **state) {
        _cleanup_json_ struct json *json = NULL;
        const struct json *part;
        int64_t number = 0;
        bool encrypted = false;
        (void) state;
        assert_int_equal(package_inspect_json(&package, &json), 0);
        assert_string_equal(json_member_text(json, "format"), "ncs-zip");
        assert_string_equal(json_member_text(json, "version"), "1.4.0");
        assert_string_equal(json_string_or_null(json_at(json_child(json, "compatible"), 0)), "acme,sensor-r2");
        assert_int_equal(json_length(json_child(json, "parts")), 2);
        part = json_at(json_child(json, "parts"), 0);
        assert_int_equal(json_member_int(part, "slot", 0, 1, &number), 0);
        assert_int_equal(number, 1);
        assert_string_equal(json_member_text(part, "hash"), "deadbeef");
        assert_string_equal(json_member_text(part, "file"), "app.bin");
        assert_int_equal(json_member_int(part, "load_address", 0, INT32_MAX, &number), 0);
        assert_int_equal(number, 0x1000);
        part = json_at(json_child(json, "parts"), 1);
        assert_false(json_has(part, "slot"));
        assert_false(json_has(part, "load_address"));
        assert_int_equal(json_member_bool(part, "encrypted", &encrypted), 0);
        assert_true(encrypted);
        assert_string_equal(json_member_text(json_child(json, "facts"), "signature"), "none");
        assert_string_equal(json_member_text(json_at(json_child(json, "dependencies"), 0), "minimum"), "2.0.0");
        assert_int_equal(json_length(json_child(json, "warnings")), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(text_for_a_person),
                cmocka_unit_test(a_file_without_hardware_says_so),
                cmocka_unit_test(json_for_a_program),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
