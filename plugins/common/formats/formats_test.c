/* SPDX-License-Identifier: Apache-2.0 */
#include "common/formats/formats.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error_catalogue.h"
#include "base/str.h"
#include "common/mcuboot/test_image.h"
#include "common/zip/test_zip.h"

/* Reads the bytes with whatever matches; the file is refused as `name`, by the format `format` (NULL: by none), in these words. */
static void refused(const void *bytes, size_t size, const char *format_name, const char *name, const char *words) {
        _cleanup_close_ int fd = test_file_make(bytes, size);
        const struct gw_format *format = NULL;
        struct gw_package package = {.n_parts = 88};
        struct gw_error err = {};
        assert_int_equal(formats_find(fd, size, &format, NULL), 0);
        if (format_name)
                assert_string_equal(format ? format->name : "(none)", format_name);
        else
                assert_null(format);
        assert_int_equal(formats_read(fd, size, NULL, &package, &err), -EBADMSG);
        assert_string_equal(err.name, name);
        assert_non_null(strstr(err.text, words));
        assert_non_null(error_catalogue_find(err.name));
        assert_int_equal(package.n_parts, 88);
}

static void refused_zip(const char *const *names, const char *manifest, const char *format_name, const char *name, const char *words) {
        struct test_entry entries[5] = {};
        size_t n = 0, size;
        uint8_t *bytes;
        if (manifest)
                entries[n++] = (struct test_entry){.name = "manifest.json", .data = manifest, .size = strlen(manifest), .deflated = true};
        for (; *names; names++)
                entries[n++] = (struct test_entry){.name = *names, .data = "x", .size = 1};
        bytes = test_zip_make(entries, n, &size);
        refused(bytes, size, format_name, name, words);
        free(bytes);
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_DRIVER "format-recognised-no-driver"

static void other_firmware_archives_are_named(void **state) {
        (void) state;
        refused_zip(NAMES("a.bin", "a.dat"), "{\"manifest\":{\"application\":{\"bin_file\":\"a.bin\",\"dat_file\":\"a.dat\"}}}",
                    "nordic-secure-dfu", NO_DRIVER, "Secure DFU");
        refused_zip(NAMES("sb.bin", "sb.dat"),
                    "{\"manifest\":{\"softdevice_bootloader\":{\"bin_file\":\"sb.bin\",\"dat_file\":\"sb.dat\",\"info_read_only_metadata\":"
                    "{\"bl_size\":1,\"sd_size\":2}}}}",
                    "nordic-secure-dfu", NO_DRIVER, "Secure DFU");
        refused_zip(NAMES("a.bin", "a.dat"),
                    "{\"manifest\":{\"application\":{\"bin_file\":\"a.bin\",\"dat_file\":\"a.dat\",\"init_packet_data\":{\"application_"
                    "version\":1}},\"dfu_version\":0.5}}",
                    "nordic-legacy-dfu", NO_DRIVER, "legacy DFU");
        refused_zip(NAMES("application.bin", "application.dat"), NULL, "nordic-legacy-dfu", NO_DRIVER, "legacy DFU");
        refused_zip(NAMES("x.bin", "x.dat"),
                    "{\"manifest\":{\"application\":{\"bin_file\":\"x.bin\",\"dat_file\":\"x.dat\",\"init_packet_data\":{\"company_id\":89}"
                    "},\"dfu_version\":0.8}}",
                    "nordic-mesh-dfu", NO_DRIVER, "mesh DFU");
        refused_zip(NAMES("s0.bin", "s1.bin"),
                    "{\"files\":[{\"type\":\"mcuboot\",\"file\":\"s0.bin\"},{\"type\":\"mcuboot\",\"file\":\"s1.bin\"}]}",
                    "ncs-bootloader-zip", NO_DRIVER, "dfu_mcuboot.zip");
        refused_zip(NAMES("root.suit"), "{\"files\":[{\"type\":\"suit-envelope\",\"file\":\"root.suit\"}]}", "ncs-suit-zip", NO_DRIVER,
                    "SUIT");
}

/* Handed to an application updater by mistake again and again: it must never get that far. */
static void modem_firmware_is_never_an_application(void **state) {
        (void) state;
        refused_zip(NAMES("12345ab.ipc_dfu.signed_1.2.3.ihex", "firmware.update.image.segments.0.hex", "firmware.update.image.digest.txt"),
                    NULL, "nrf91-modem", "modem-firmware-file", "modem");
        refused_zip(NAMES("mfw_nrf9160_update_from_1.3.0_to_1.3.1.bin"), NULL, "nrf91-modem", "modem-firmware-file", "modem");
        refused_zip(NAMES("firmware.update.image.segments.0.hex", "a.bin"), "{\"files\":[{\"file\":\"a.bin\"}]}", "nrf91-modem",
                    "modem-firmware-file", "modem");
}

static void other_archives_say_what_is_missing(void **state) {
        (void) state;
        refused_zip(NAMES("readme.txt"), NULL, "ncs-zip", "manifest-missing", "manifest.json");
        refused_zip(NAMES("a.bin"), "{\"hello\":1}", "ncs-zip", "manifest-invalid", "files");
        refused_zip(NAMES("../a.bin"), "{\"files\":[{\"file\":\"a.bin\"}]}", "ncs-zip", "zip-path", "../a.bin");
        refused("PK\3\4 and nothing more", 21, "ncs-zip", "zip-invalid", "");
}

static void head(const char *bytes, size_t size, const char *format_name, const char *name, const char *words) {
        uint8_t file[6000] = {};
        memcpy(file, bytes, size);
        refused(file, sizeof file, format_name, name, words);
}

static void files_are_known_by_their_first_bytes(void **state) {
        char swupdate[110 + 15];
        uint8_t tar[1024] = "version";
        (void) state;
        head("\177ELF\1\1\1", 7, "elf", "not-mcuboot", "ELF");
        head(":020000040001F9\r\n", 17, "intel-hex", "not-mcuboot", "Intel HEX");
        head(":020000040001F8\r\n", 17, NULL, "format-unknown", "3a 30 32"); /* its sum is wrong */
        head("S00F000068656C6C6F202020202000003C\n", 35, "s-record", "not-mcuboot", "S-record");
        head("UF2\n\x57\x51\x5d\x9e", 8, "uf2", NO_DRIVER, "UF2");
        head("\xd8\x6b\xa2\x02", 4, "suit", NO_DRIVER, "SUIT");
        head("hsqs", 4, "rauc", NO_DRIVER, "RAUC");
        head("\x1f\x8b\x08\0", 4, "compressed", NO_DRIVER, "unpack it");
        head("\xfd"
             "7zXZ\0",
             6, "compressed", NO_DRIVER, "unpack it");
        head("\x28\xb5\x2f\xfd", 4, "compressed", NO_DRIVER, "unpack it");
        memcpy(tar + 257, "ustar", 5);
        refused(tar, sizeof tar, "mender", NO_DRIVER, "Mender");
        snprintf(swupdate, sizeof swupdate, "070702%0104dsw-description", 0);
        head(swupdate, sizeof swupdate, "swupdate", NO_DRIVER, "SWUpdate");
        head("\x3c\xb8\xf3\x96", 4, "mcuboot", "not-mcuboot", "2017");
        head("\x96\xf3\xb8\x3d", 4, "mcuboot", "not-mcuboot", "big-endian");
}

static void binaries_that_nobody_signed(void **state) {
        static const uint8_t vectors[] = {0x00, 0x20, 0x00, 0x20, 0x65, 0x0d, 0x02, 0x00, 0x11, 0x0e, 0x02, 0x00, 0x13, 0x0e, 0x02, 0x00};
        static const size_t rooms[] = {0, 0x20, 0x200, 0x800};
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rooms); i++) {
                uint8_t file[5000] = {};
                memcpy(file + rooms[i], vectors, sizeof vectors);
                refused(file, sizeof file, "unsigned-binary", "not-mcuboot", "imgtool");
                file[rooms[i] + 4] = 0x64; /* no Thumb address */
                refused(file, sizeof file, NULL, "format-unknown", "");
        }
}

static void files_that_are_nothing(void **state) {
        (void) state;
        refused("", 0, NULL, "format-unknown", "empty");
        refused("abc", 3, NULL, "format-unknown", "3 bytes");
        refused("hello, world", 12, NULL, "format-unknown", "68 65 6c 6c");
}

static void an_image_and_a_package_are_read(void **state) {
        size_t size, zip_size;
        _cleanup_free_ uint8_t *bytes = test_file_load("tests/data/mcuboot/vector-ed25519.bin", &size), *zip = NULL;
        _cleanup_close_ int image_fd = test_file_make(bytes, size), zip_fd = -1;
        static const char manifest[] = "{\"files\":[{\"file\":\"a.bin\",\"board\":\"acme,r2\"}]}";
        const struct test_entry entries[] = {{.name = "manifest.json", .data = manifest, .size = sizeof manifest - 1},
                                             {.name = "a.bin", .data = bytes, .size = size}};
        struct gw_package package;
        (void) state;
        assert_int_equal(formats_read(image_fd, size, NULL, &package, NULL), 0);
        assert_string_equal(package.format, "mcuboot");
        formats_release(&package, image_fd);
        zip = test_zip_make(entries, 2, &zip_size);
        zip_fd = test_file_make(zip, zip_size);
        assert_int_equal(formats_read(zip_fd, zip_size, NULL, &package, NULL), 0);
        assert_string_equal(package.format, "ncs-zip");
        assert_string_equal(package.version, "1.2.3+4");
        formats_release(&package, zip_fd);
        assert_int_equal(package.n_parts, 0);
        assert_true(fcntl(zip_fd, F_GETFD) >= 0);
}

static void a_table_that_can_be_registered(void **state) {
        size_t n;
        const struct gw_format *const *all = formats_all(&n);
        (void) state;
        assert_string_equal(all[0]->name, "mcuboot");
        for (size_t i = 0; i < n; i++) {
                assert_true(str_is_driver_name(all[i]->name));
                assert_true(strlen(all[i]->name) < sizeof((struct gw_package *) NULL)->format);
                assert_true(all[i]->summary && all[i]->matches && all[i]->read && all[i]->release);
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(all[i]->name, all[j]->name);
        }
}

/* Every name that the readers of this folder and of those below use. */
static void every_name_is_in_the_catalogue(void **state) {
        static const char *const names[] = {
                "not-mcuboot",
                "image-truncated",
                "image-malformed",
                "image-hash-missing",
                "image-hash-mismatch",
                "image-signature-missing",
                "image-signature-invalid",
                "image-signature-not-checkable",
                "image-key-unknown",
                "image-key-invalid",
                "image-trailing-data",
                "image-encrypted-key-missing",
                "image-dependency-unmet",
                "image-padded",
                "file-too-large",
                "file-unreadable",
                "out-of-memory",
                "disk-full",
                "disk-error",
                "zip-invalid",
                "zip-bomb",
                "zip-path",
                "zip-too-many-entries",
                "zip-entry-missing",
                "zip-entry-duplicate",
                "zip-entry-special",
                "zip-encrypted",
                "manifest-missing",
                "manifest-invalid",
                "part-duplicate",
                "part-size-mismatch",
                "format-unknown",
                NO_DRIVER,
                "modem-firmware-file",
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (!error_catalogue_find(names[i]))
                        fail_msg("%s is missing", names[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(other_firmware_archives_are_named),  cmocka_unit_test(modem_firmware_is_never_an_application),
                cmocka_unit_test(other_archives_say_what_is_missing), cmocka_unit_test(files_are_known_by_their_first_bytes),
                cmocka_unit_test(binaries_that_nobody_signed),        cmocka_unit_test(files_that_are_nothing),
                cmocka_unit_test(an_image_and_a_package_are_read),    cmocka_unit_test(a_table_that_can_be_registered),
                cmocka_unit_test(every_name_is_in_the_catalogue),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
