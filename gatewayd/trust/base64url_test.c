/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/base64url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"

/* RFC 4648 section 10 without its padding, and the two characters of the other alphabet. */
static const struct {
        const char *bytes, *text;
} vectors[] = {
        { "", "" },           { "f", "Zg" },           { "fo", "Zm8" },           { "foo", "Zm9v" },
        { "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" },  { "foobar", "Zm9vYmFy" },  { "\xfb\xff\xfe", "-__-" },
};

static void test_both_ways(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
                size_t size = strlen(vectors[i].bytes), decoded;
                char text[16], bytes[16];

                base64url_encode(text, vectors[i].bytes, size);
                assert_string_equal(text, vectors[i].text);
                assert_int_equal(strlen(text), BASE64URL_SIZE(size));
                assert_int_equal(base64url_decoded_size(strlen(text), &decoded), 0);
                assert_int_equal(decoded, size);
                assert_int_equal(base64url_decode(bytes, text, strlen(text)), 0);
                assert_memory_equal(bytes, vectors[i].bytes, size);
        }
}

static void test_lax_texts_are_refused(void **state) {
        static const struct {
                const char *what, *text;
        } rows[] = {
                { "padding", "Zg==" },
                { "padding of one", "Zm8=" },
                { "only padding", "====" },
                { "bits behind one byte", "Zh" },
                { "bits behind two bytes", "Zm9" },
                { "all bits behind one byte", "Z_" },
                { "a length that no bytes have", "Zm9vY" },
                { "one character", "Z" },
                { "the other alphabet: plus", "++++" },
                { "the other alphabet: slash", "Zm9/" },
                { "a blank", "Zm 9" },
                { "a line break", "Zm9\n" },
                { "a line break in the middle", "Zm\r\n9v" },
                { "a dot", "Zm9." },
                { "not ASCII", "Zm9\xc3" },
        };
        char bytes[16];

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (base64url_decode(bytes, rows[i].text, strlen(rows[i].text)) != -EINVAL)
                        fail_msg("%s was read", rows[i].what);
        /* Beyond a terminator there is more text, and it counts. */
        assert_int_equal(base64url_decode(bytes, "Zm\0v", 4), -EINVAL);
}

/* Of all texts of two and three characters exactly one stands for each sequence of one and two bytes. */
static void test_every_sequence_has_one_text(void **state) {
        static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= ";
        uint8_t seen[65536] = { 0 }, bytes[2];
        size_t n_one = 0, n_two = 0;

        (void) state;
        for (size_t a = 0; a < sizeof all - 1; a++)
                for (size_t b = 0; b < sizeof all - 1; b++) {
                        char text[3] = { all[a], all[b], 0 };

                        n_one += base64url_decode(bytes, text, 2) == 0;
                        for (size_t c = 0; c < sizeof all - 1; c++) {
                                text[2] = all[c];
                                if (base64url_decode(bytes, text, 3) < 0)
                                        continue;
                                assert_int_equal(seen[bytes[0] << 8 | bytes[1]]++, 0);
                                n_two++;
                        }
                }
        assert_int_equal(n_one, 256);
        assert_int_equal(n_two, 65536);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_both_ways),
                cmocka_unit_test(test_lax_texts_are_refused),
                cmocka_unit_test(test_every_sequence_has_one_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
