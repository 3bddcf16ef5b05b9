/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/smp/smp_testing.h"

static uint8_t bytes[1024];

static size_t from_hex(const char *hex) {
        int size = testing_hex(hex, bytes, sizeof bytes);

        assert_true(size >= 0);
        return (size_t) size;
}

/* Header and status of a whole answer. */
static void read_answer(const char *hex, struct smp_header *header, struct smp_status *status) {
        size_t size = from_hex(hex);
        struct cbor_map map;

        assert_int_equal(smp_header_read(bytes, size, header), 0);
        assert_int_equal(cbor_map_parse(&map, bytes + SMP_HEADER_SIZE, header->size), 0);
        smp_status_read(&map, status);
}

static void header_both_ways(void **state) {
        static const char *const headers[] = { "0800000100002a06a0", "0a00007800010101", "000000010000ff06a0",
                                               "0b00000e00010001",   "0300000600ff0801", "1f80000100000000a0" };

        (void) state;
        for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
                struct smp_header header;
                uint8_t again[SMP_HEADER_SIZE];
                size_t size = from_hex(headers[i]);

                memset(bytes + size, 0, 256);
                assert_int_equal(smp_header_read(bytes, size + 256, &header), 0);
                smp_header_write(&header, again);
                assert_memory_equal(again, bytes, SMP_HEADER_SIZE);
        }
}

static void header_fields(void **state) {
        struct smp_header header;

        (void) state;
        assert_int_equal(smp_header_read(bytes, from_hex("0b00000203411907a0ff"), &header), 0);
        assert_int_equal(header.op, SMP_OP_WRITE_ANSWER);
        assert_int_equal(header.version, SMP_VERSION_2);
        assert_int_equal(header.size, 2);
        assert_int_equal(header.group, 0x341);
        assert_int_equal(header.seq, 0x19);
        assert_int_equal(header.command, 7);
        /* Shorter than a header, or than it says. */
        assert_int_equal(smp_header_read(bytes, from_hex("0b000000004119"), &header), -EBADMSG);
        assert_int_equal(smp_header_read(bytes, from_hex("0b00000300411907a0ff"), &header), -EBADMSG);
        assert_int_equal(smp_header_read(bytes, 0, &header), -EBADMSG);
}

static void errors_in_both_forms(void **state) {
        static const struct {
                const char *hex;
                bool refused, group_form;
                uint16_t group;
                int32_t code;
                const char *text;
        } cases[] = {
                { "0b00001100010800a163657272a26567726f75700162726309", true, true, 1, 9, "NO_FREE_SLOT (group 1, code 9)" },
                { "0300000500010800a162726306", true, false, 0, 6, "EBADSTATE (rc 6)" },
                { "0300001800010801a2627263016372736e6e6d61676963206d69736d61746368", true, false, 0, 1,
                  "EUNKNOWN (rc 1): magic mismatch" },
                { "0100000600000006bf62726308ff", true, false, 0, 8, "ENOTSUP (rc 8)" },
                { "0b00001100030f00a163657272a26567726f75700362726303", true, true, 3, 3, "KEY_NOT_FOUND (group 3, code 3)" },
                { "0b00001300010d00bf63657272bf6567726f75700162726308ffff", true, true, 1, 8, "HASH_NOT_FOUND (group 1, code 8)" },
                /* An application's own group and code. */
                { "0b00001500010d00a163657272a26567726f75701901f46272631901f4", true, true, 500, 500,
                  "unknown code (group 500, code 500)" },
                /* Success in its forms. */
                { "0300000c00010101bf62726300636f6666183fff", false, false, 0, 0, NULL },
                { "0b00000100010101a0", false, false, 0, 0, NULL },
                { "0b00001100010800a163657272a26567726f75700162726300", false, false, 0, 0, NULL },
                /* A group error beside rc 0, and codes that are no numbers. */
                { "0b00001500010800a26272630063657272a26567726f75700162726309", true, true, 1, 9, "NO_FREE_SLOT (group 1, code 9)" },
                { "0b00000600010800a16272636138", false, false, 0, 0, NULL },
                { "0b00000600010800a163657272f6", false, false, 0, 0, NULL },
                /* Out of range, negative, and an err without a group. */
                { "0b00000d00010800a16272631bffffffffffffffff", true, false, 0, INT32_MAX, "unknown code (rc 2147483647)" },
                { "0b00000500010800a162726325", true, false, 0, -6, "unknown code (rc -6)" },
                { "0b00000a00010800a163657272a162726302", true, false, 0, 2, "ENOMEM (rc 2)" },
                { "0100000700410001bf62726318c8ff", true, false, 0, 200, "MODEM_INVALID_COMMAND (rc 200)" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct smp_header header;
                struct smp_status status;
                char text[200];

                read_answer(cases[i].hex, &header, &status);
                assert_int_equal(status.refused, cases[i].refused);
                assert_int_equal(status.group_form, cases[i].group_form);
                assert_int_equal(status.group, cases[i].group);
                assert_int_equal(status.code, cases[i].code);
                if (cases[i].text)
                        assert_string_equal(smp_status_describe(&status, text, sizeof text), cases[i].text);
        }
}

static void questions_about_a_status(void **state) {
        const struct smp_status plain = { .refused = true, .code = 8 };
        const struct smp_status grouped = { .refused = true, .group_form = true, .group = 1, .code = 8 };
        const struct smp_status success = { .code = 8 };

        (void) state;
        assert_true(smp_status_is_not_supported(&plain));
        assert_false(smp_status_is_not_supported(&grouped));
        assert_false(smp_status_is_not_supported(&success));
        assert_true(smp_status_is_group(&grouped, 1, 8));
        assert_false(smp_status_is_group(&grouped, 0, 8));
        assert_false(smp_status_is_group(&plain, 0, 8));
        assert_false(smp_status_is_group(&success, 0, 8));
}

/* A hostile reason must not reach a terminal or a log as it is. */
static void reason_is_made_printable_and_bounded(void **state) {
        struct smp_header header;
        struct smp_status status;

        (void) state;
        read_answer("0100001000010801a2627263016372736e661b5b316d0a41", &header, &status);
        assert_string_equal(status.rsn, "?[1m?A");
}

static void names_of_requests(void **state) {
        char text[64];

        (void) state;
        assert_string_equal(smp_request_name(1, 1, SMP_OP_WRITE, text, sizeof text), "image upload");
        assert_string_equal(smp_request_name(1, 0, SMP_OP_READ, text, sizeof text), "image state read");
        assert_string_equal(smp_request_name(1, 0, SMP_OP_WRITE, text, sizeof text), "image state write");
        assert_string_equal(smp_request_name(0, 5, SMP_OP_WRITE, text, sizeof text), "reset");
        assert_string_equal(smp_request_name(65, 1, SMP_OP_WRITE, text, sizeof text), "group 65 command 1 write");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(header_both_ways),
                cmocka_unit_test(header_fields),
                cmocka_unit_test(errors_in_both_forms),
                cmocka_unit_test(questions_about_a_status),
                cmocka_unit_test(reason_is_made_printable_and_bounded),
                cmocka_unit_test(names_of_requests),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
