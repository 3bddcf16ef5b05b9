/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"

/* FIPS 180-4 examples, and the empty message. */
static const struct {
        const char *message;
        const char *digest;
} vectors[] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static void assert_digest(const uint8_t digest[DIGEST_SIZE], const char *expected) {
        char hex[DIGEST_HEX_SIZE];

        assert_int_equal(str_hex_encode(hex, sizeof hex, digest, DIGEST_SIZE), 0);
        assert_string_equal(hex, expected);
}

static void test_one_shot(void **state) {
        uint8_t digest[DIGEST_SIZE];

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
                digest_sha256(vectors[i].message, strlen(vectors[i].message), digest);
                assert_digest(digest, vectors[i].digest);
        }
}

static void test_streaming_byte_by_byte_and_again(void **state) {
        _cleanup_digest_ struct digest *digest = NULL;
        uint8_t bytes[DIGEST_SIZE];

        (void) state;
        assert_int_equal(digest_new(&digest), 0);
        for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
                for (const char *c = vectors[i].message; *c; c++)
                        assert_int_equal(digest_update(digest, c, 1), 0);
                assert_int_equal(digest_finish(digest, bytes), 0);
                assert_digest(bytes, vectors[i].digest);
        }
}

static void test_file(void **state) {
        char path[] = "/tmp/digest_test.XXXXXX";
        _cleanup_close_ int fd = mkstemp(path);
        uint8_t digest[DIGEST_SIZE];

        (void) state;
        assert_true(fd >= 0);
        unlink(path);
        assert_int_equal(write(fd, "xxabcyy", 7), 7);
        assert_int_equal(digest_file(fd, 2, 3, digest), 0);
        assert_digest(digest, vectors[1].digest);
        assert_int_equal(digest_file(fd, 7, 0, digest), 0);
        assert_digest(digest, vectors[0].digest);
        assert_int_equal(digest_file(fd, 2, 6, digest), -EIO);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_shot),
                cmocka_unit_test(test_streaming_byte_by_byte_and_again),
                cmocka_unit_test(test_file),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
